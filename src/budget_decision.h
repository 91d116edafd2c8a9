/*-------------------------------------------------------------------------
 * budget_decision.h
 *	  From what is left of budgets, an answer.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_DECISION_H
#define COST_LEDGER_BUDGET_DECISION_H

#include "budget_gate.h"
#include "utils/uuid.h"

typedef struct Answer
{
	const char *decision;
	bool		is_refused;
	BudgetAction action;
	Candidate  *by;
	Numeric		ratio;
	char	   *reason;
	Numeric		spent;
	Numeric		held;
	Numeric		limit_amount;
	TimestampTz resets_at;		/* DT_NOEND: never */
	TimestampTz retry_at;		/* DT_NOEND: not known */
	char	   *degrade_to;
	Numeric		estimate;
	bool		is_unpriced;
	bool		has_hold;
	pg_uuid_t	hold_id;
} Answer;

extern const char *const cl_decision_names[];
extern bool cl_fits_as_held(const Candidate *candidate, const Request *request);
extern bool cl_fits_soon(const Candidate *candidate, const Request *request);
extern void cl_measure_all(List *candidates, const Request *request);
extern bool cl_is_concerned(const Candidate *candidate, const Request *request, const char *degrade_to);
extern void cl_decide(Answer *answer, List *candidates, const Request *request, bool (*has_room) (const Candidate *, const Request *));

#endif							/* COST_LEDGER_BUDGET_DECISION_H */
