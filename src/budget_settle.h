/*-------------------------------------------------------------------------
 * budget_settle.h
 *	  What calls with a hold do to balances.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_SETTLE_H
#define COST_LEDGER_BUDGET_SETTLE_H

#include "access/xact.h"
#include "budget_definition.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* What of a recorded call concerns budgets. */
typedef struct SettledCall
{
	SubTransactionId by;		/* whose row it is */
	int64		call_id;
	TimestampTz called_at;
	pg_uuid_t	hold_id;
	Numeric		cost;			/* NULL: not known */
	Numeric		tokens;
	int64		tool_calls;
	bool		is_turn;
	bool		needs_price;	/* it, or a part of it, has none */
	bool		is_unknown;		/* no more than a fee is known */
	char	   *status;			/* or NULL */
	BudgetLabels *labels;		/* as long as there are any */
} SettledCall;

extern void cl_settle_holds(SettledCall *calls, int ncalls);

#endif							/* COST_LEDGER_BUDGET_SETTLE_H */
