/*-------------------------------------------------------------------------
 * budget_refusal.h
 *	  What was refused, put on record.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_REFUSAL_H
#define COST_LEDGER_BUDGET_REFUSAL_H

#include "budget_decision.h"

extern void cl_refusal_init(void);
extern void cl_record_refusal(const Answer *answer, const Request *request);
extern void cl_record_waiting(void);
pg_noreturn extern void cl_raise_refusal(const Answer *answer, const Request *request);

#endif							/* COST_LEDGER_BUDGET_REFUSAL_H */
