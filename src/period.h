/*-------------------------------------------------------------------------
 * period.h
 *	  In which hour, day, week and month of the reporting zone an instant is.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_PERIOD_H
#define COST_LEDGER_PERIOD_H

#include "utils/date.h"
#include "utils/timestamp.h"

typedef struct Periods
{
	TimestampTz hour;
	DateADT		day;
} Periods;

extern void cl_set_zone(text *zone);
extern const Periods *cl_find_periods(TimestampTz at);
extern DateADT cl_week_of(DateADT day);
extern DateADT cl_month_of(DateADT day);
extern TimestampTz cl_minute_of(TimestampTz at);

#endif							/* COST_LEDGER_PERIOD_H */
