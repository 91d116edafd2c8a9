/*-------------------------------------------------------------------------
 * budget_labels.h
 *	  Labels of a call, as budgets ask for them.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_LABELS_H
#define COST_LEDGER_BUDGET_LABELS_H

#include "utils/jsonb.h"

typedef struct BudgetLabel
{
	const char *name;
	const char *value;
	const char *key;			/* name=value, as match_key has it */
} BudgetLabel;

/* All that a call can have, but tags. */
#define MAX_BUDGET_LABELS 22

typedef struct BudgetLabels
{
	Jsonb	   *tags;			/* a flat object, or NULL */
	int			n;
	BudgetLabel label[MAX_BUDGET_LABELS];
} BudgetLabels;

extern const char *cl_shortened(const char *value, int limit);
extern const char *cl_label_key(const char *name, const char *value);
extern const char *cl_undated_key(const char *model);
extern void cl_set_label(BudgetLabels *labels, const char *name, const char *value);
extern const char *cl_label_value(const BudgetLabels *labels, const char *name);
extern const char *cl_said_of_call(const void *labels, const char *name);
extern const char *cl_budget_entity(char *const *names, int nnames, const BudgetLabels *labels);

#endif							/* COST_LEDGER_BUDGET_LABELS_H */
