/*-------------------------------------------------------------------------
 * remake.c
 *	  Takes calls out of the rollups, where they were taken back.
 *
 * A sum could be subtracted; a summary, a first call, an end or a NULL could not.
 * So the rows that have one of the calls are removed, and made anew of the calls
 * that are left: one pass says which rows these are, a second reads the calls of
 * their time, and adds to them alone.  Where calls of a row's time are no more,
 * dropped by retention, sums are subtracted from it all the same.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "catalog/pg_type.h"
#include "consume.h"
#include "funcapi.h"
#include "ledger.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/memutils.h"

typedef struct Remake
{
	Pass		pass;			/* first, so that it is this */
	Table		rollups[NUM_ROLLUP_TABLES];
} Remake;

/* ----------
 * What a call adds
 * ----------
 */

/*
 * Adds a call to one part; in the second pass, if it is one of those of the
 * first.
 */
static Part *
add_to_rollup(Remake *remake, RollupTable rollup, int64 bucket, Subject *subject, const Call *call)
{
	Table	   *table = &remake->rollups[rollup];

	if (subject == NULL || (remake->pass.is_closed && !cl_has_part(table, bucket, subject)))
		return NULL;
	return cl_add_to(table, bucket, subject, call);
}

static void
add_to_cube(Remake *remake, RollupTable rollup, int64 bucket, Subject *combination, const Call *call)
{
	Part	   *part = add_to_rollup(remake, rollup, bucket, combination, call);

	if (part != NULL && call->value != NULL)
		cl_add_value(part, remake->pass.delta, call->value);
}

static void
add_combination(Remake *remake, const Call *call, Subject *combination)
{
	const Pass *pass = &remake->pass;

	if (call->called_at >= pass->minutes_from)
		add_to_rollup(remake, ROLLUP_MINUTE, cl_minute_of(call->called_at), combination, call);
	if (call->called_at >= pass->hours_from)
		add_to_cube(remake, ROLLUP_HOUR, call->periods.hour, combination, call);
	if (call->periods.day >= pass->days_from)
		add_to_cube(remake, ROLLUP_DAY, call->periods.day, combination, call);
	add_to_cube(remake, ROLLUP_MONTH, cl_month_of(call->periods.day), combination, call);
}

static void
add_label(Remake *remake, const Call *call, Subject *label)
{
	DateADT		day = call->periods.day;

	add_to_rollup(remake, ROLLUP_TOTAL_DAY, day, label, call);
	add_to_rollup(remake, ROLLUP_TOTAL_WEEK, cl_week_of(day), label, call);
	add_to_rollup(remake, ROLLUP_TOTAL_MONTH, cl_month_of(day), label, call);
}

static void
add_labels(Remake *remake, const Call *call, Subject *combination)
{
	for (int i = 0; i <= NUM_CUBE_LABELS; i++)
		add_label(remake, call, combination->labels[i]);
	for (int i = 0; i < NUM_OTHER_LABELS; i++)
	{
		add_label(remake, call, cl_find_other_label(&remake->pass, call, i, false));
		add_to_rollup(remake, ROLLUP_TOTAL_MONTH, cl_month_of(call->periods.day),
					  cl_find_other_label(&remake->pass, call, i, true), call);
	}
}

static void
add_span(Remake *remake, RollupTable rollup, Table *ids, const Call *call, CallColumn id, const Datum labels[NUM_LABELS])
{
	Part	   *part;

	if (call->nulls[id])
		return;
	part = add_to_rollup(remake, rollup, 0, cl_find_id(&remake->pass, ids, call->values[id]), call);
	if (part != NULL)
		cl_add_span(&remake->pass, part, call, labels);
}

static void
add_everywhere(Pass *pass, const Call *call, Subject *combination)
{
	Remake	   *remake = (Remake *) pass;
	Subject    *user = cl_find_id(pass, &pass->user_ids, call->values[USER_ID]);
	Datum		labels[NUM_LABELS];

	add_combination(remake, call, combination);
	add_labels(remake, call, combination);
	add_to_rollup(remake, ROLLUP_USER_DAY, call->periods.day, user, call);
	add_to_rollup(remake, ROLLUP_USER_MONTH, cl_month_of(call->periods.day), user, call);
	add_to_rollup(remake, ROLLUP_USER_FEATURE_MONTH, cl_month_of(call->periods.day), cl_find_user(pass, call), call);
	if (call->nulls[RUN_ID])
		add_to_cube(remake, ROLLUP_WITHOUT_RUN_DAY, call->periods.day,
					cl_find_id(pass, &pass->task_types, call->values[FIRST_CUBE_LABEL + CUBE_TASK_TYPE]), call);
	cl_label_span(call, labels);
	add_span(remake, ROLLUP_RUN, &pass->run_ids, call, RUN_ID, labels);
	labels[NUM_LABELS - 1] = 0;
	add_span(remake, ROLLUP_SESSION, &pass->session_ids, call, SESSION_ID, labels);
}

/* ----------
 * Between the passes
 * ----------
 */

/*
 * The days on which runs and sessions began that have been added up.
 */
static void
note_days(Remake *remake)
{
	Pass	   *pass = &remake->pass;

	cl_find_start_days(ROLLUP_RUN, &remake->rollups[ROLLUP_RUN], pass->kept, &pass->run_days);
	cl_find_start_days(ROLLUP_SESSION, &remake->rollups[ROLLUP_SESSION], pass->kept, &pass->session_days);
}

static void
note_runs(Remake *remake)
{
	Pass	   *pass = &remake->pass;
	Table	   *runs = &remake->rollups[ROLLUP_RUN];
	Part	  **parts = (Part **) cl_table_entries(runs);

	for (uint32 i = 0; i < cl_table_size(runs); i++)
		pass->other_runs = accumArrayResult(pass->other_runs, parts[i]->subject->values[0], false, TEXTOID, pass->kept);
}

/*
 * Removes the rows of a rollup that can be made anew, whose parts stay, empty;
 * subtracts from the others.
 */
static void
take_out(Remake *remake, RollupTable rollup, Datum kept_times)
{
	Table	   *table = &remake->rollups[rollup];
	Part	  **parts;
	uint64		num_parts = cl_sorted_parts(table, &parts);
	uint64		num_left = 0;
	bool	   *is_kept = palloc0(num_parts * sizeof(bool));

	cl_delete_parts(rollup, parts, num_parts, kept_times, is_kept);
	*table = cl_make_table(remake->pass.delta);
	for (uint64 i = 0; i < num_parts; i++)
	{
		if (!is_kept[i])
			cl_find_part(table, parts[i]->bucket, parts[i]->subject);
		else
		{
			cl_negate_measures(&parts[i]->measures);
			parts[i]->call_cost = NULL;
			parts[num_left++] = parts[i];
		}
	}
	cl_put_parts(rollup, parts, num_left);
}

/*
 * Writes the parts that calls were added to.
 */
static void
put_again(Remake *remake, RollupTable rollup)
{
	Part	  **parts;
	uint64		num_parts = cl_sorted_parts(&remake->rollups[rollup], &parts);
	uint64		num_left = 0;

	for (uint64 i = 0; i < num_parts; i++)
	{
		if (parts[i]->measures.counts[CALLS] + parts[i]->measures.counts[CORRECTIONS] > 0)
			parts[num_left++] = parts[i];
	}
	cl_put_parts(rollup, parts, num_left);
}

static void
remake_rollups(Remake *remake, const char *taken, const char *source, const char *kept, Datum kept_times)
{
	Pass	   *pass = &remake->pass;
	int			settings;

	cl_read_calls(pass, taken, "true");
	MemoryContextSwitchTo(pass->delta);
	settings = cl_start_lookups();
	cl_find_ids("rollup_key", &pass->combinations, NUM_CUBE_LABELS);
	cl_find_ids("rollup_label", &pass->labels, NUM_LABEL_FIELDS);
	note_days(remake);
	note_runs(remake);
	for (int i = 0; i < NUM_ROLLUP_TABLES; i++)
		take_out(remake, i, kept_times);
	AtEOXact_GUC(false, settings);

	pass->is_closed = true;
	cl_read_calls(pass, source, kept);
	settings = cl_start_lookups();
	for (int i = 0; i < NUM_ROLLUP_TABLES; i++)
		put_again(remake, i);
	note_days(remake);
	AtEOXact_GUC(false, settings);
}

PG_FUNCTION_INFO_V1(cl_remake_rollups);

/*
 * remake_rollups(taken text, source text, kept text, kept_times tstzmultirange, OUT run_days date[],
 *				  OUT session_days date[], OUT run_ids text[])
 */
Datum
cl_remake_rollups(PG_FUNCTION_ARGS)
{
	Remake		remake = {0};
	TupleDesc	descriptor;
	Datum		values[3];
	bool		nulls[3];
	MemoryContext caller = CurrentMemoryContext;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE || descriptor->natts != 3)
		cl_refuse_other_version();
	descriptor = BlessTupleDesc(descriptor);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	cl_start_pass(&remake.pass);
	remake.pass.add = add_everywhere;
	for (int i = 0; i < NUM_ROLLUP_TABLES; i++)
		remake.rollups[i] = cl_make_table(remake.pass.delta);
	remake_rollups(&remake, text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)),
				   text_to_cstring(PG_GETARG_TEXT_PP(2)), PG_GETARG_DATUM(3));
	MemoryContextSwitchTo(caller);
	values[0] = cl_array_or_null(remake.pass.run_days, caller, &nulls[0]);
	values[1] = cl_array_or_null(remake.pass.session_days, caller, &nulls[1]);
	values[2] = cl_array_or_null(remake.pass.other_runs, caller, &nulls[2]);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls)));
}
