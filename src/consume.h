/*-------------------------------------------------------------------------
 * consume.h
 *	  A pass over calls, for rollups.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_CONSUME_H
#define COST_LEDGER_CONSUME_H

#include "delta.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "period.h"
#include "put.h"
#include "utils/array.h"

/* The columns that are read of each call, in this order. */
typedef enum CallColumn
{
	CALLED_AT,
	CALL_ID,
	CORRECTS,
	RESTATES,
	PRICING,
	USAGE_STATUS,
	CALL_COST,
	CALL_CACHE_READ_COST,
	CALL_CACHE_WRITE_COST,
	CALL_OUTPUT_COST,
	CALL_REASONING_COST,
	CALL_OTHER_COST,
	CALL_PROMPT_CACHE_SAVING,
	CALL_REPORTED_COST,
	CALL_AVOIDED_COST,
	CALL_SCORE,
	CALL_INPUT_TOKENS,
	CALL_CACHE_READ_TOKENS,
	CALL_CACHE_WRITE_TOKENS,
	CALL_CACHE_WRITE_1H_TOKENS,
	CALL_OUTPUT_TOKENS,
	CALL_REASONING_TOKENS,
	RETRY_COUNT,
	TOOL_CALLS_COUNT,
	ACCEPTED,
	DURATION_MS,
	FIRST_CUBE_LABEL,
	FIRST_OTHER_LABEL = FIRST_CUBE_LABEL + NUM_CUBE_LABELS,
	AGENT = FIRST_OTHER_LABEL,
	STEP,
	TOOL,
	API_KEY,
	COHORT,
	USER_ID,
	SESSION_ID,
	RUN_ID,
	PARENT_RUN_ID,
	TRACE_URL,
	HAS_INPUT_PARTS,
	NUM_CALL_COLUMNS
} CallColumn;

#define NUM_OTHER_LABELS (USER_ID - FIRST_OTHER_LABEL)

typedef struct Pass Pass;

/* A call, as it is read. */
typedef struct Call
{
	Datum		values[NUM_CALL_COLUMNS];
	bool		nulls[NUM_CALL_COLUMNS];
	TimestampTz called_at;
	Periods		periods;
	Measures	measures;
	Numeric		value;			/* what it enters summaries with; NULL for nothing */
} Call;

/* A pass: what it has added up since it last wrote, and what it hands back. */
struct Pass
{
	/* Since when what is kept. */
	TimestampTz minutes_from;
	TimestampTz hours_from;
	DateADT		days_from;

	/* What is done with each call. */
	void		(*add) (Pass *pass, const Call *call, Subject *combination);
	bool		is_closed;		/* subjects that are not known are not made */

	/* Asked when so much has been added up; whether to go on. */
	bool		(*make_room) (Pass *pass);
	Size		max_memory;

	MemoryContext delta;		/* all that follows */
	Table		combinations;
	Table		labels;
	Table		run_ids;
	Table		session_ids;
	Table		user_ids;
	Table		minutes;
	Table		hours;
	Table		days;			/* of a combination */
	Table		total_days;		/* of a label */
	Table		total_months;	/* of a label by team and customer */
	Table		users;			/* with a feature and a cohort */
	Table		user_days;
	Table		user_feature_months;
	Table		task_types;
	Table		days_without_run;	/* of a task type */
	Table		subrun_months;	/* of a combination */
	Table		sessions;
	Table		runs;

	FmgrInfo	is_turn;
	FmgrInfo	is_failure;
	StringInfoData key;

	int64		calls;
	bool		has_input_parts;	/* one of them, in what it says */
	MemoryContext kept;			/* to the end */
	ArrayBuildState *run_days;
	ArrayBuildState *session_days;
	ArrayBuildState *child_runs;	/* that say a parent */
	ArrayBuildState *other_runs;
};

extern void cl_open_pass(Pass *pass, bool only_reads);
extern void cl_start_pass(Pass *pass);
extern void cl_reset_delta(Pass *pass);
extern void cl_read_calls(Pass *pass, const char *source, const char *condition);
extern Part *cl_add_to(Table *table, int64 bucket, Subject *subject, const Call *call);
extern Subject *cl_find_label(Pass *pass, const char *name, Datum value, const Datum details[NUM_LABEL_FIELDS]);
extern Subject *cl_find_other_label(Pass *pass, const Call *call, int i, bool of_payer);
extern Subject *cl_find_user(Pass *pass, const Call *call);
extern Subject *cl_find_id(Pass *pass, Table *table, Datum id);
extern void cl_label_span(const Call *call, Datum labels[NUM_LABELS]);
extern void cl_add_span(Pass *pass, Part *part, const Call *call, const Datum labels[NUM_LABELS]);
extern void cl_add_to_run(Pass *pass, const Call *call);
extern void cl_add_to_session(Pass *pass, const Call *call);
extern void cl_add_without_run(Pass *pass, const Call *call);
extern void cl_put_table(RollupTable rollup, const Table *table, int64 from);
extern int	cl_start_lookups(void);
extern Datum cl_array_or_null(ArrayBuildState *noted, MemoryContext context, bool *isnull);

#endif							/* COST_LEDGER_CONSUME_H */
