/*-------------------------------------------------------------------------
 * filter.h
 *	  Which calls are meant: what passes a filter.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_FILTER_H
#define COST_LEDGER_FILTER_H

#include "utils/jsonb.h"

/* A name that is wanted, or the beginning of one. */
typedef struct FilterValue
{
	char	   *text;			/* NULL: that there is none */
	bool		is_beginning;
} FilterValue;

typedef struct FilterCondition
{
	char	   *label;
	bool		is_not;			/* none of the values */
	int			nvalues;
	FilterValue *value;
} FilterCondition;

/* All of its conditions must hold. */
typedef struct Filter
{
	int			nconditions;
	FilterCondition *condition;
} Filter;

/* What labels say of one, or NULL. */
typedef const char *(*LabelSaid) (const void *labels, const char *label);

extern const char *cl_json_label(JsonbContainer *object, const char *name);
extern const char *cl_tag_name(const char *label);
extern const char *cl_said_in_json(const void *labels, const char *label);
extern char *cl_model_name(const char *model);
extern char *cl_undated_model(const char *model);
extern Filter *cl_read_filter(Jsonb *json);
extern bool cl_passes_filter(const Filter *filter, LabelSaid said, const void *labels);

#endif							/* COST_LEDGER_FILTER_H */
