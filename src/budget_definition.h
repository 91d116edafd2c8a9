/*-------------------------------------------------------------------------
 * budget_definition.h
 *	  Which budgets there are, kept by each backend.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_DEFINITION_H
#define COST_LEDGER_BUDGET_DEFINITION_H

#include "budget_labels.h"
#include "datatype/timestamp.h"
#include "filter.h"
#include "nodes/pg_list.h"
#include "utils/numeric.h"

typedef enum BudgetMetric
{
	METRIC_COST,
	METRIC_TOKENS,
	METRIC_CALLS,
	METRIC_TOOL_CALLS,
	METRIC_TURNS,
	METRIC_CONCURRENT_CALLS,
	METRIC_DURATION,
	METRIC_DEPTH
} BudgetMetric;

/* What a threshold asks for, from the weakest; from ACTION_DEFER on, no call. */
typedef enum BudgetAction
{
	ACTION_ALLOW,
	ACTION_WARN,
	ACTION_THROTTLE,
	ACTION_DEGRADE,
	ACTION_DEFER,
	ACTION_STOP
} BudgetAction;

typedef struct BudgetThreshold
{
	Numeric		amount;
	BudgetAction action;
} BudgetThreshold;

/* A version of a limit. */
typedef struct BudgetLimit
{
	TimestampTz valid_from;
	TimestampTz valid_to;
	Numeric		amount;
	int			nthresholds;
	BudgetThreshold *thresholds;	/* ascending */
	char	   *degrade_to;		/* or NULL */
} BudgetLimit;

typedef struct BudgetDefinition
{
	int64		budget_id;
	char	   *match_key;
	char	   *name;
	BudgetMetric metric;
	char	   *period;
	int64		period_length;	/* of a rolling one, in microseconds; else 0 */
	char	   *time_zone;
	int			week_start;
	char	   *each_of;		/* or NULL */
	int			neach;
	char	  **each;			/* the labels that it names */
	bool		has_subruns;	/* of runs: with those below */
	int64		exception_of;	/* whose place it takes, or 0 */
	Filter	   *scope;
	int			nlimits;
	BudgetLimit *limits;		/* the highest version first */
	bool		is_request;		/* a limit of each request: no balance */
	bool		is_open;		/* its one balance is there, and had room */
	TimestampTz period_start;	/* of the period that was last asked for */
	TimestampTz period_end;
} BudgetDefinition;

/* What to do about a call that has no price. */
typedef enum UnpricedPolicy
{
	UNPRICED_ALLOW,
	UNPRICED_HOLD,
	UNPRICED_STOP
} UnpricedPolicy;

extern void cl_budget_init(void);
extern void cl_load_budgets(void);
extern bool cl_has_pauses(void);
extern UnpricedPolicy cl_unpriced_policy(Numeric *estimate);
extern bool cl_asks_for_runs(void);
extern List *cl_budgets_of(const BudgetLabels *labels);
extern BudgetLimit *cl_budget_limit(const BudgetDefinition *budget, TimestampTz at);
extern bool cl_is_turn(const char *operation);
extern void cl_budget_period(BudgetDefinition *budget, TimestampTz at);

#endif							/* COST_LEDGER_BUDGET_DEFINITION_H */
