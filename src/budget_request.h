/*-------------------------------------------------------------------------
 * budget_request.h
 *	  What reserve() was asked.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_REQUEST_H
#define COST_LEDGER_BUDGET_REQUEST_H

#include "budget_definition.h"
#include "fmgr.h"

typedef struct Request
{
	Datum		hold_key;
	BudgetLabels labels;			/* as they were sent */
	BudgetLabels wanted;			/* as the call will have them */
	Numeric		estimate;		/* NULL: not known */
	bool		is_priced;		/* by us, of the tokens that were said */
	int64		input_tokens;	/* -1: not said */
	int64		output_tokens;
	int64		tool_calls;
	Interval   *ttl;
	bool		check_only;
	bool		raise;			/* a refusal is an error */
	bool		is_unpriced;	/* the model has no price, and nobody said what the call costs */
	TimestampTz at;
} Request;

extern void cl_read_request(FunctionCallInfo fcinfo, Request *request);
extern Datum cl_labels_json(const BudgetLabels *labels);
extern Numeric cl_tokens_for(const Request *request, Numeric estimate);
extern bool cl_is_unpriced(const Request *request);
extern Numeric cl_price_request(const Request *request, const char *model);
extern Numeric cl_degraded_estimate(const Request *request, const char *model);
extern Numeric cl_find_depth(const Request *request);
extern char *cl_find_root(const Request *request);
extern bool cl_is_parent_known(const Request *request);
extern Datum cl_request_json(FunctionCallInfo fcinfo, const Request *request);

#endif							/* COST_LEDGER_BUDGET_REQUEST_H */
