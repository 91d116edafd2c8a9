/*-------------------------------------------------------------------------
 * budget_gate.h
 *	  Balances of the budgets that a call belongs to.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_GATE_H
#define COST_LEDGER_BUDGET_GATE_H

#include "budget_balance.h"
#include "budget_request.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"

/* A budget that the call belongs to. */
typedef struct Candidate
{
	BudgetDefinition *budget;
	BudgetLimit *limit;
	const char *entity;
	bool		is_degraded;	/* only with the model that is degraded to */
	TimestampTz period_start;
	TimestampTz period_end;
	Numeric		asked;
	TupleTableSlot *gate;		/* the row, once it is ours */
	/* What was read. */
	bool		is_known;
	Numeric		posted;
	Numeric		held;			/* without what has expired */
	Numeric		expiring;
	bool		has_expired;
	int			nover;			/* lines of holds that have ended otherwise */
	TimestampTz first_at;
	TimestampTz first_minute;
} Candidate;

extern List *cl_find_candidates(List *candidates, const Request *request, const BudgetLabels *labels, Numeric estimate, bool is_degraded);
extern List *cl_add_degraded(List *candidates, const Request *request);
extern int cl_by_key(const ListCell *a, const ListCell *b);
extern bool cl_has_balance(const Candidate *candidate);
extern bool cl_is_held(const Candidate *candidate);
extern void cl_look(Books *books, List *candidates, TimestampTz at, bool are_swept);
extern void cl_take_gates(Books *books, List *candidates, TimestampTz at);
extern void cl_renew(List *candidates, TimestampTz at);
extern bool cl_sweep_expired(Books *books, List *candidates);
extern void cl_sweep_over(Books *books, List *candidates);

#endif							/* COST_LEDGER_BUDGET_GATE_H */
