/*-------------------------------------------------------------------------
 * delta.h
 *	  What a batch of calls adds to the rollups, in memory.
 *
 * A part is what is to be added to one row of a rollup: its bucket of time, its
 * subject (a combination of labels, a label, a run, a session, a user), and what
 * the calls add up to.  A subject stands in a table once, so it is its address.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_DELTA_H
#define COST_LEDGER_DELTA_H

#include "measure.h"
#include "rollup.h"
#include "sketch.h"

/* The labels of rollup_key, in its order. */
typedef enum CubeLabel
{
	CUBE_TEAM,
	CUBE_FEATURE,
	CUBE_CUSTOMER,
	CUBE_FLOW,
	CUBE_TASK_TYPE,
	CUBE_ENVIRONMENT,
	CUBE_PROVIDER,
	CUBE_MODEL,
	CUBE_SERVICE_CLASS,
	CUBE_OPERATION,
	CUBE_STATUS,
	CUBE_SERVED_FROM,
	NUM_CUBE_LABELS
} CubeLabel;

/* The columns of rollup_label, in its order. */
typedef enum LabelField
{
	LABEL_NAME,
	LABEL_VALUE,
	LABEL_PROVIDER,
	LABEL_SERVICE_CLASS,
	LABEL_SERVED_FROM,
	LABEL_TEAM,
	LABEL_CUSTOMER,
	NUM_LABEL_FIELDS
} LabelField;

typedef struct Subject
{
	int32		id;				/* in rollup_key or rollup_label, once found */
	int			len;
	const char *key;			/* what tells it from others */
	Datum	   *values;			/* its texts; 0 for NULL */
	int			num_values;

	/* Of a combination of labels: */
	bool		is_turn;
	bool		is_failure;
	bool		is_retry;
	bool		is_fallback;
	struct Subject *labels[NUM_CUBE_LABELS + 1];	/* each by itself; the last: all calls */
} Subject;

/* What runs and sessions have beside measures. */
typedef struct Span
{
	TimestampTz started_at;
	TimestampTz ended_at;
	int64		min_turn_input;	/* -1 for none */
	int64		max_turn_input;
	text	   *parent_run_id;
	Datum		root_run_id;	/* of a run that is new; 0 where that is not known */
	int32		depth;
	text	   *trace_url;
	CallLabels	labels;
} Span;

typedef struct Part
{
	int64		bucket;			/* timestamptz or date, as the rollup has it */
	Subject    *subject;
	Measures	measures;
	Sketch	   *call_cost;		/* NULL where the rollup has none, or no value */
	Span	   *span;
} Part;

/* A table of subjects or parts, by their bytes. */
typedef struct Table
{
	struct bytes_hash *hash;
	MemoryContext context;
} Table;

extern Table cl_make_table(MemoryContext context);
extern uint32 cl_table_size(const Table *table);
extern void **cl_table_entries(const Table *table);
extern void *cl_find_bytes(Table *table, const char *key, int len, Size size, bool *is_new);
extern void *cl_known_bytes(const Table *table, const char *key, int len);
extern bool cl_has_part(const Table *table, int64 bucket, Subject *subject);
extern Part *cl_find_part(Table *table, int64 bucket, Subject *subject);
extern void cl_add_part(Part *into, const Part *more);
extern void cl_add_value(Part *part, MemoryContext context, Numeric value);

#endif							/* COST_LEDGER_DELTA_H */
