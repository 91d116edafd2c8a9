/*-------------------------------------------------------------------------
 * period.c
 *	  In which hour, day, week and month of the reporting zone an instant is, and
 *	  when a day begins.
 *
 * PostgreSQL is asked for the first and the last instant of a quarter of an hour.
 * Where both are in one hour and on one day, all between them are.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "fmgr.h"
#include "period.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#define SLOT	(15 * USECS_PER_MINUTE)
#define NUM_SLOTS	256

/* As of the last time; by quarter of an hour. */
static struct
{
	bool		is_known;
	int64		number;
	Periods		periods;
}			slots[NUM_SLOTS];

static text *reporting_zone = NULL; /* in TopMemoryContext */

/*
 * Which zone it is from here on.
 */
void
cl_set_zone(text *zone)
{
	if (reporting_zone != NULL && VARSIZE_ANY(zone) == VARSIZE_ANY(reporting_zone) &&
		memcmp(zone, reporting_zone, VARSIZE_ANY(zone)) == 0)
		return;
	memset(slots, 0, sizeof(slots));
	if (reporting_zone != NULL)
		pfree(reporting_zone);
	reporting_zone = MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(zone));
	memcpy(reporting_zone, zone, VARSIZE_ANY(zone));
}

static TimestampTz
truncate_hour(TimestampTz at)
{
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_trunc_zone, PointerGetDatum(cstring_to_text("hour")),
												   TimestampTzGetDatum(at), PointerGetDatum(reporting_zone)));
}

/*
 * As hour_start() says it in SQL.
 */
static Periods
ask_periods(TimestampTz at)
{
	Periods		periods;
	Datum		local = DirectFunctionCall2(timestamptz_zone, PointerGetDatum(reporting_zone), TimestampTzGetDatum(at));

	periods.day = DatumGetDateADT(DirectFunctionCall1(timestamp_date, local));
	/* Where a clock is set by half an hour, an hour may begin where it is set. */
	periods.hour = truncate_hour(at);
	if (truncate_hour(periods.hour) != periods.hour)
		periods.hour += 30 * USECS_PER_MINUTE;
	return periods;
}

/*
 * Until the next question.
 */
const Periods *
cl_find_periods(TimestampTz at)
{
	static Periods asked;
	int64		number = at >= 0 ? at / SLOT : -1 - (-1 - at) / SLOT;
	int			i = (int) ((uint64) number % NUM_SLOTS);
	Periods		last;

	if (slots[i].is_known && slots[i].number == number)
		return &slots[i].periods;
	asked = ask_periods(number * SLOT);
	last = ask_periods((number + 1) * SLOT - 1);
	if (asked.hour == last.hour && asked.day == last.day)
	{
		slots[i].is_known = true;
		slots[i].number = number;
		slots[i].periods = asked;
		return &slots[i].periods;
	}
	asked = ask_periods(at);
	return &asked;
}

/*
 * The Monday of a day's week.  Day 2 is one.
 */
DateADT
cl_week_of(DateADT day)
{
	int			since = (day - 2) % 7;

	return day - (since < 0 ? since + 7 : since);
}

/*
 * The first day of a day's month.
 */
DateADT
cl_month_of(DateADT day)
{
	int			year,
				month,
				mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return day - (mday - 1);
}

/*
 * The first instant of a minute.
 */
TimestampTz
cl_minute_of(TimestampTz at)
{
	TimestampTz minute = at - at % USECS_PER_MINUTE;

	return minute > at ? minute - USECS_PER_MINUTE : minute;
}

/* What a call of day_start() has answered last: the next row mostly asks the same. */
typedef struct DayStart
{
	DateADT		day;
	TimestampTz start;
	text	   *zone;
} DayStart;

/*
 * A zone may set its clock back over midnight, which then comes twice: the day
 * begins at the first one, as it does where reports truncate local times.  AT TIME
 * ZONE answers the second.
 */
static TimestampTz
find_day_start(DateADT day, text *zone)
{
	Timestamp	midnight = DatumGetTimestamp(DirectFunctionCall1(date_timestamp, DateADTGetDatum(day)));
	TimestampTz instant = DatumGetTimestampTz(DirectFunctionCall2(timestamp_zone, PointerGetDatum(zone), TimestampGetDatum(midnight)));
	TimestampTz day_before = instant - USECS_PER_DAY;
	TimestampTz earlier;

	if (TIMESTAMP_NOT_FINITE(instant) || !IS_VALID_TIMESTAMP(day_before))
		return instant;
	/* Where the zone is ahead by as much as it was the day before. */
	earlier = midnight - (DatumGetTimestamp(DirectFunctionCall2(timestamptz_zone, PointerGetDatum(zone), TimestampTzGetDatum(day_before))) - day_before);
	if (earlier < instant && IS_VALID_TIMESTAMP(earlier) &&
		DatumGetTimestamp(DirectFunctionCall2(timestamptz_zone, PointerGetDatum(zone), TimestampTzGetDatum(earlier))) == midnight)
		return earlier;
	return instant;
}

PG_FUNCTION_INFO_V1(cl_day_start);

/*
 * day_start(day date, time_zone text) → timestamptz
 */
Datum
cl_day_start(PG_FUNCTION_ARGS)
{
	DateADT		day = PG_GETARG_DATEADT(0);
	text	   *zone = PG_GETARG_TEXT_PP(1);
	DayStart   *last = fcinfo->flinfo->fn_extra;
	bool		is_zone;

	if (last == NULL)
		last = fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(DayStart));
	is_zone = last->zone != NULL && VARSIZE_ANY(zone) == VARSIZE_ANY(last->zone) && memcmp(zone, last->zone, VARSIZE_ANY(zone)) == 0;
	if (!is_zone || day != last->day)
	{
		last->start = find_day_start(day, zone);
		last->day = day;
	}
	/* Of one ledger there is one zone. */
	if (!is_zone)
	{
		if (last->zone != NULL)
			pfree(last->zone);
		last->zone = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, VARSIZE_ANY(zone));
		memcpy(last->zone, zone, VARSIZE_ANY(zone));
	}
	PG_RETURN_TIMESTAMPTZ(last->start);
}
