/*-------------------------------------------------------------------------
 * budget_hold.h
 *	  What of a decision is written.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_HOLD_H
#define COST_LEDGER_BUDGET_HOLD_H

#include "budget_decision.h"

extern bool cl_hold(Books *books, Answer *answer, List *candidates, const Request *request, Datum request_doc);
extern bool cl_is_used(Books *books, const Request *request);
extern bool cl_is_retry(Answer *answer, int64 *budget_id, const Request *request, Datum request_doc);
extern void cl_remember_run(const Request *request);

#endif							/* COST_LEDGER_BUDGET_HOLD_H */
