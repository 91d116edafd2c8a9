/*-------------------------------------------------------------------------
 * period.c
 *	  In which hour, day, week and month of the reporting zone an instant is.
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
