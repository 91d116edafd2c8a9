/*-------------------------------------------------------------------------
 * consume.c
 *	  One pass over new calls, which adds each to every rollup.
 *
 * The calls are read once, in the order in which they lie, and added up in
 * memory: by the finest bucket that is kept of their time.  Coarser buckets are
 * made of those when what has been added up is written, which is at the end, or
 * when it takes too much memory.  All of it is in one memory context, so a
 * batch that fails leaves nothing behind.
 *
 * What a call adds is said here, in C, and once more in SQL, by the view
 * call_measure, from which check_rollups() makes everything anew.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/md5.h"
#include "consume.h"
#include "funcapi.h"
#include "ledger.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* Calls that are fetched at once. */
#define FETCH_CALLS 1000

/* Written when this much has been added up, and coarser buckets are still to be made. */
#define MAX_MEMORY ((Size) 64 * 1024 * 1024)

/* Of a day before 1970, which a zone may show, to one after 2199. */
#define FIRST_TIME	((TimestampTz) (DATE_OF_1969_12_31 * USECS_PER_DAY))
#define END_TIME	((TimestampTz) (DATE_OF_2200_01_01 * USECS_PER_DAY))
#define DATE_OF_1969_12_31 INT64CONST(-10958)
#define DATE_OF_2200_01_01 INT64CONST(73049)

static const char *const column_names[NUM_CALL_COLUMNS] = {
	[CALLED_AT] = "called_at",
	[CALL_ID] = "call_id",
	[CORRECTS] = "corrects",
	[RESTATES] = "restates",
	[PRICING] = "pricing",
	[USAGE_STATUS] = "usage_status",
	[CALL_COST] = "cost",
	[CALL_CACHE_READ_COST] = "cache_read_cost",
	[CALL_CACHE_WRITE_COST] = "cache_write_cost",
	[CALL_OUTPUT_COST] = "output_cost",
	[CALL_REASONING_COST] = "reasoning_cost",
	[CALL_OTHER_COST] = "other_cost",
	[CALL_PROMPT_CACHE_SAVING] = "prompt_cache_saving",
	[CALL_REPORTED_COST] = "reported_cost",
	[CALL_AVOIDED_COST] = "avoided_cost",
	[CALL_SCORE] = "score",
	[CALL_INPUT_TOKENS] = "input_tokens",
	[CALL_CACHE_READ_TOKENS] = "cache_read_tokens",
	[CALL_CACHE_WRITE_TOKENS] = "cache_write_tokens",
	[CALL_CACHE_WRITE_1H_TOKENS] = "cache_write_1h_tokens",
	[CALL_OUTPUT_TOKENS] = "output_tokens",
	[CALL_REASONING_TOKENS] = "reasoning_tokens",
	[RETRY_COUNT] = "retry_count",
	[TOOL_CALLS_COUNT] = "tool_calls_count",
	[ACCEPTED] = "accepted",
	[DURATION_MS] = "duration_ms",
	[FIRST_CUBE_LABEL + CUBE_TEAM] = "team",
	[FIRST_CUBE_LABEL + CUBE_FEATURE] = "feature",
	[FIRST_CUBE_LABEL + CUBE_CUSTOMER] = "customer",
	[FIRST_CUBE_LABEL + CUBE_FLOW] = "flow",
	[FIRST_CUBE_LABEL + CUBE_TASK_TYPE] = "task_type",
	[FIRST_CUBE_LABEL + CUBE_ENVIRONMENT] = "environment",
	[FIRST_CUBE_LABEL + CUBE_PROVIDER] = "provider",
	[FIRST_CUBE_LABEL + CUBE_MODEL] = "model",
	[FIRST_CUBE_LABEL + CUBE_SERVICE_CLASS] = "service_class",
	[FIRST_CUBE_LABEL + CUBE_OPERATION] = "operation",
	[FIRST_CUBE_LABEL + CUBE_STATUS] = "status",
	[FIRST_CUBE_LABEL + CUBE_SERVED_FROM] = "served_from",
	[AGENT] = "agent",
	[STEP] = "step",
	[TOOL] = "tool",
	[API_KEY] = "api_key",
	[COHORT] = "cohort",
	[USER_ID] = "user_id",
	[SESSION_ID] = "session_id",
	[RUN_ID] = "run_id",
	[PARENT_RUN_ID] = "parent_run_id",
	[TRACE_URL] = "trace_url",
	[HAS_INPUT_PARTS] = "input_parts IS NOT NULL",
};

/* ----------
 * Subjects
 * ----------
 */

/*
 * Texts become a key by their lengths and bytes, -1 for NULL: labels_fingerprint(),
 * which is their MD5, does the same.
 */
static void
append_to_key(StringInfo key, Datum value)
{
	uint32		len = value == 0 ? pg_hton32((uint32) -1) : pg_hton32((uint32) VARSIZE_ANY_EXHDR(DatumGetPointer(value)));

	appendBinaryStringInfo(key, (const char *) &len, sizeof(len));
	if (value != 0)
		appendBinaryStringInfo(key, VARDATA_ANY(DatumGetPointer(value)), (int) VARSIZE_ANY_EXHDR(DatumGetPointer(value)));
}

/*
 * The subject of some texts, of which it keeps copies.  A combination may always
 * be new: its labels may be known.
 */
static Subject *
find_subject(Pass *pass, Table *table, const Datum *values, int num_values, bool may_be_new, bool *is_new)
{
	StringInfo	key = &pass->key;
	Subject    *subject;

	resetStringInfo(key);
	for (int i = 0; i < num_values; i++)
		append_to_key(key, values[i]);
	*is_new = false;
	if (pass->is_closed && !may_be_new)
		return cl_known_bytes(table, key->data, key->len);
	subject = cl_find_bytes(table, key->data, key->len, sizeof(Subject), is_new);
	if (*is_new)
	{
		subject->key = (const char *) subject + MAXALIGN(sizeof(Subject));
		subject->len = key->len;
		subject->num_values = num_values;
		subject->values = MemoryContextAllocZero(pass->delta, num_values * sizeof(Datum));
		for (int i = 0; i < num_values; i++)
		{
			if (values[i] != 0)
			{
				MemoryContext old = MemoryContextSwitchTo(pass->delta);

				subject->values[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(values[i]));
				MemoryContextSwitchTo(old);
			}
		}
	}
	return subject;
}

/*
 * The subject of an id, whose key is the id itself; of none, NULL.
 */
Subject *
cl_find_id(Pass *pass, Table *table, Datum id)
{
	struct varlena *bytes = (struct varlena *) DatumGetPointer(id);
	const char *key = id == 0 ? "" : VARDATA_ANY(bytes);
	int			len = id == 0 ? 0 : (int) VARSIZE_ANY_EXHDR(bytes);
	bool		is_new;
	Subject    *subject;

	if (pass->is_closed)
		return cl_known_bytes(table, key, len);
	subject = cl_find_bytes(table, key, len, sizeof(Subject), &is_new);
	if (is_new)
	{
		subject->key = (const char *) subject + MAXALIGN(sizeof(Subject));
		subject->len = len;
		subject->num_values = 1;
		subject->values = MemoryContextAllocZero(pass->delta, sizeof(Datum));
		if (id != 0)
		{
			MemoryContext old = MemoryContextSwitchTo(pass->delta);

			subject->values[0] = PointerGetDatum(PG_DETOAST_DATUM_COPY(id));
			MemoryContextSwitchTo(old);
		}
	}
	return subject;
}

Subject *
cl_find_label(Pass *pass, const char *name, Datum value, const Datum details[NUM_LABEL_FIELDS])
{
	Datum		values[NUM_LABEL_FIELDS];
	bool		is_new;

	memcpy(values, details, sizeof(values));
	values[LABEL_NAME] = PointerGetDatum(cstring_to_text(name));
	values[LABEL_VALUE] = value;
	return find_subject(pass, &pass->labels, values, NUM_LABEL_FIELDS, false, &is_new);
}

/*
 * Each label of a combination by itself.  Models are told apart by who serves
 * them how, as cost_by_model shows them; features by what their answers come
 * from, as cache_hit_by_feature asks.
 */
static void
find_labels(Pass *pass, Subject *combination)
{
	const Datum *values = combination->values;
	Datum		nothing[NUM_LABEL_FIELDS] = {0};
	Datum		served[NUM_LABEL_FIELDS] = {[LABEL_SERVED_FROM] = values[CUBE_SERVED_FROM]};
	Datum		priced[NUM_LABEL_FIELDS] = {
		[LABEL_PROVIDER] = values[CUBE_PROVIDER],
		[LABEL_SERVICE_CLASS] = values[CUBE_SERVICE_CLASS]
	};

	for (int i = 0; i < NUM_CUBE_LABELS; i++)
		combination->labels[i] = cl_find_label(pass, column_names[FIRST_CUBE_LABEL + i], values[i],
											i == CUBE_MODEL ? priced : i == CUBE_FEATURE ? served : nothing);
	combination->labels[NUM_CUBE_LABELS] = cl_find_label(pass, "all", (Datum) 0, nothing);
}

/*
 * The user of a call, with the feature and the cohort.
 */
Subject *
cl_find_user(Pass *pass, const Call *call)
{
	Datum		values[3] = {call->values[USER_ID], call->values[FIRST_CUBE_LABEL + CUBE_FEATURE], call->values[COHORT]};
	bool		is_new;

	return find_subject(pass, &pass->users, values, 3, false, &is_new);
}

/*
 * What one of the functions that tell words apart says of a word.
 */
static bool
ask_word(FmgrInfo *function, Datum word)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum		answer;

	InitFunctionCallInfoData(*fcinfo, function, 1, DEFAULT_COLLATION_OID, NULL, NULL);
	fcinfo->args[0].value = word;
	fcinfo->args[0].isnull = word == 0;
	answer = FunctionCallInvoke(fcinfo);
	return !fcinfo->isnull && DatumGetBool(answer);
}

static bool
is_word(Datum value, const char *word)
{
	text	   *lowered;

	if (value == 0)
		return false;
	lowered = DatumGetTextPP(DirectFunctionCall1Coll(lower, DEFAULT_COLLATION_OID, value));
	return VARSIZE_ANY_EXHDR(lowered) == strlen(word) && memcmp(VARDATA_ANY(lowered), word, strlen(word)) == 0;
}

static Subject *
find_combination(Pass *pass, const Call *call)
{
	bool		is_new;
	Subject    *combination = find_subject(pass, &pass->combinations, &call->values[FIRST_CUBE_LABEL], NUM_CUBE_LABELS, true, &is_new);

	if (is_new)
	{
		Datum		operation = combination->values[CUBE_OPERATION];

		combination->is_turn = ask_word(&pass->is_turn, operation);
		combination->is_failure = ask_word(&pass->is_failure, combination->values[CUBE_STATUS]);
		combination->is_retry = is_word(operation, "retry");
		combination->is_fallback = is_word(operation, "fallback");
		find_labels(pass, combination);
	}
	return combination;
}

/* ----------
 * What a call adds
 * ----------
 */

static bool
says(const Call *call, CallColumn column, const char *word)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(call->values[column]);

	return !call->nulls[column] && VARSIZE_ANY_EXHDR(value) == strlen(word) &&
		memcmp(VARDATA_ANY(value), word, strlen(word)) == 0;
}

static int64
count_or_zero(const Call *call, CallColumn column)
{
	return call->nulls[column] ? 0 : DatumGetInt64(call->values[column]);
}

static void
measure_counts(Call *call, const Subject *combination)
{
	int64	   *counts = call->measures.counts;
	bool		is_call = call->nulls[CORRECTS];
	bool		is_repriced = says(call, USAGE_STATUS, "repriced");

	counts[CALLS] = is_call;
	counts[CORRECTIONS] = !is_call;
	counts[PRICED_CALLS] = !call->nulls[CALL_COST] && (is_call || is_repriced);
	counts[UNPRICED_CALLS] = (is_call && (says(call, PRICING, "unpriced") || says(call, PRICING, "partial"))) -
		(is_repriced || says(call, USAGE_STATUS, "completed"));
	counts[RETRIES] = (is_call && combination->is_retry) +
		(call->nulls[RETRY_COUNT] ? 0 : DatumGetInt32(call->values[RETRY_COUNT]));
	counts[FALLBACKS] = is_call && combination->is_fallback;
	counts[TURNS] = is_call && combination->is_turn;
	counts[TURN_INPUT_TOKENS] = counts[TURNS] ? count_or_zero(call, CALL_INPUT_TOKENS) : 0;
	counts[FAILED_CALLS] = is_call && combination->is_failure;
	counts[TOOL_CALLS] = call->nulls[TOOL_CALLS_COUNT] ? 0 : DatumGetInt32(call->values[TOOL_CALLS_COUNT]);
	counts[ACCEPTED_CALLS] = !call->nulls[ACCEPTED] && DatumGetBool(call->values[ACCEPTED]);
	counts[REJECTED_CALLS] = !call->nulls[ACCEPTED] && !DatumGetBool(call->values[ACCEPTED]);
	counts[SCORED_CALLS] = !call->nulls[CALL_SCORE];
	for (int i = 0; i <= CALL_REASONING_TOKENS - CALL_INPUT_TOKENS; i++)
		counts[INPUT_TOKENS + i] = count_or_zero(call, CALL_INPUT_TOKENS + i);
}

static void
measure_amounts(Call *call)
{
	static const struct
	{
		CallColumn	column;
		Amount		amount;
	}			amounts[] = {
		{CALL_CACHE_READ_COST, CACHE_READ_COST},
		{CALL_CACHE_WRITE_COST, CACHE_WRITE_COST},
		{CALL_OUTPUT_COST, OUTPUT_COST},
		{CALL_REASONING_COST, REASONING_COST},
		{CALL_OTHER_COST, OTHER_COST},
		{CALL_PROMPT_CACHE_SAVING, PROMPT_CACHE_SAVING},
		{CALL_REPORTED_COST, REPORTED_COST},
		{CALL_AVOIDED_COST, AVOIDED_COST},
		{CALL_SCORE, SCORE},
	};

	for (int i = 0; i < (int) lengthof(amounts); i++)
	{
		if (!call->nulls[amounts[i].column])
			cl_add_amount(&call->measures, amounts[i].amount, cl_money((Numeric) DatumGetPointer(call->values[amounts[i].column])));
	}
	call->value = NULL;
	if (!call->nulls[CALL_COST])
	{
		Numeric		cost = (Numeric) DatumGetPointer(call->values[CALL_COST]);
		Money		money = cl_money(cost);

		cl_add_amount(&call->measures, COST, money);
		if (!call->nulls[CORRECTS])
			cl_add_amount(&call->measures, ADJUSTMENT_COST, money);
		if (call->nulls[RUN_ID])
			cl_add_amount(&call->measures, COST_WITHOUT_RUN, money);
		if (call->measures.counts[PRICED_CALLS] > 0)
			call->value = cost;
	}
}

/* ----------
 * Adding it
 * ----------
 */

Part *
cl_add_to(Table *table, int64 bucket, Subject *subject, const Call *call)
{
	/* What it adds lives as long as the part. */
	MemoryContext old = MemoryContextSwitchTo(table->context);
	Part	   *part = cl_find_part(table, bucket, subject);

	cl_add_measures(&part->measures, &call->measures);
	MemoryContextSwitchTo(old);
	return part;
}

/*
 * The combination's minute, and the finest bucket that is kept of its time.
 */
static void
add_combination(Pass *pass, const Call *call, Subject *combination)
{
	Part	   *part;

	if (call->called_at >= pass->minutes_from)
		cl_add_to(&pass->minutes, cl_minute_of(call->called_at), combination, call);
	if (call->called_at >= pass->hours_from)
		part = cl_add_to(&pass->hours, call->periods.hour, combination, call);
	else
		part = cl_add_to(&pass->days, call->periods.day, combination, call);
	if (call->value != NULL)
		cl_add_value(part, pass->delta, call->value);
}

/*
 * A label that is in no combination, by itself or by team and customer.
 */
Subject *
cl_find_other_label(Pass *pass, const Call *call, int i, bool of_payer)
{
	CallColumn	column = FIRST_OTHER_LABEL + i;
	Datum		details[NUM_LABEL_FIELDS] = {0};
	char		name[NAMEDATALEN];

	if (!of_payer)
		return cl_find_label(pass, column_names[column], call->values[column], details);
	details[LABEL_TEAM] = call->values[FIRST_CUBE_LABEL + CUBE_TEAM];
	details[LABEL_CUSTOMER] = call->values[FIRST_CUBE_LABEL + CUBE_CUSTOMER];
	snprintf(name, sizeof(name), "%s of payer", column_names[column]);
	return cl_find_label(pass, name, call->values[column], details);
}

/*
 * By day, and for readers of some teams or customers by month with these.
 */
static void
add_other_labels(Pass *pass, const Call *call)
{
	for (int i = 0; i < NUM_OTHER_LABELS; i++)
	{
		cl_add_to(&pass->total_days, call->periods.day, cl_find_other_label(pass, call, i, false), call);
		cl_add_to(&pass->total_months, cl_month_of(call->periods.day), cl_find_other_label(pass, call, i, true), call);
	}
}

static void
keep_least_text(Pass *pass, text **kept, const Call *call, CallColumn column)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(call->values[column]);
	int			order;

	if (call->nulls[column])
		return;
	if (*kept != NULL)
	{
		int			len = (int) VARSIZE_ANY_EXHDR(value);
		int			kept_len = (int) VARSIZE_ANY_EXHDR(*kept);

		order = memcmp(VARDATA_ANY(value), VARDATA_ANY(*kept), Min(len, kept_len));
		if (order > 0 || (order == 0 && len >= kept_len))
			return;
	}
	*kept = MemoryContextAlloc(pass->delta, VARSIZE_ANY(value));
	memcpy(*kept, value, VARSIZE_ANY(value));
}

/*
 * 30 days at most and none below 0: one absurd duration must not end the report
 * with a timestamp out of range.
 */
static TimestampTz
ended_at(const Call *call)
{
	double		duration = call->nulls[DURATION_MS] ? 0 : DatumGetFloat8(call->values[DURATION_MS]);

	if (isnan(duration) || duration > 2592000000.0)
		duration = 2592000000.0;
	else if (duration < 0)
		duration = 0;
	return call->called_at + (int64) rint(duration * 1000);
}

/*
 * The context of a turn is all the input that it was sent.
 */
static void
add_context(Span *span, int64 input_tokens)
{
	span->min_turn_input = span->min_turn_input < 0 ? input_tokens : Min(span->min_turn_input, input_tokens);
	span->max_turn_input = Max(span->max_turn_input, input_tokens);
}

/*
 * What a call says of the run or session that it is in.
 */
void
cl_add_span(Pass *pass, Part *part, const Call *call, const Datum labels[NUM_LABELS])
{
	Span	   *span = part->span;
	/* A row in the place of another is as early as that one. */
	int64		first_id = DatumGetInt64(call->values[call->nulls[RESTATES] ? CALL_ID : RESTATES]);

	if (span == NULL)
	{
		span = part->span = MemoryContextAllocZero(pass->delta, sizeof(Span));
		span->started_at = call->called_at;
		span->ended_at = ended_at(call);
		span->min_turn_input = -1;
		span->max_turn_input = -1;
	}
	span->started_at = Min(span->started_at, call->called_at);
	span->ended_at = Max(span->ended_at, ended_at(call));
	if (call->measures.counts[TURNS] > 0 && !call->nulls[CALL_INPUT_TOKENS])
		add_context(span, DatumGetInt64(call->values[CALL_INPUT_TOKENS]));
	keep_least_text(pass, &span->parent_run_id, call, PARENT_RUN_ID);
	keep_least_text(pass, &span->trace_url, call, TRACE_URL);
	for (int i = 0; i < NUM_LABELS && call->nulls[CORRECTS]; i++)
	{
		Label	   *label = &span->labels.labels[i];

		if (labels[i] == 0 || !cl_is_earlier(call->called_at, first_id, label))
			continue;
		label->value = PointerGetDatum(MemoryContextAlloc(pass->delta, VARSIZE_ANY(DatumGetPointer(labels[i]))));
		memcpy(DatumGetPointer(label->value), DatumGetPointer(labels[i]), VARSIZE_ANY(DatumGetPointer(labels[i])));
		label->called_at = call->called_at;
		label->call_id = first_id;
	}
}

/*
 * The labels that a call says of its run; of its session all but the last.
 */
void
cl_label_span(const Call *call, Datum labels[NUM_LABELS])
{
	static const CallColumn columns[NUM_LABELS] = {
		FIRST_CUBE_LABEL + CUBE_TEAM, FIRST_CUBE_LABEL + CUBE_FEATURE, FIRST_CUBE_LABEL + CUBE_CUSTOMER,
		FIRST_CUBE_LABEL + CUBE_TASK_TYPE, FIRST_CUBE_LABEL + CUBE_ENVIRONMENT, USER_ID, AGENT, SESSION_ID
	};

	for (int i = 0; i < NUM_LABELS; i++)
		labels[i] = call->values[columns[i]];
}

void
cl_add_to_run(Pass *pass, const Call *call)
{
	Datum		labels[NUM_LABELS];

	if (call->nulls[RUN_ID])
		return;
	cl_label_span(call, labels);
	cl_add_span(pass, cl_add_to(&pass->runs, 0, cl_find_id(pass, &pass->run_ids, call->values[RUN_ID]), call), call, labels);
}

void
cl_add_to_session(Pass *pass, const Call *call)
{
	Datum		labels[NUM_LABELS];

	if (call->nulls[SESSION_ID])
		return;
	cl_label_span(call, labels);
	labels[NUM_LABELS - 1] = 0;
	cl_add_span(pass, cl_add_to(&pass->sessions, 0, cl_find_id(pass, &pass->session_ids, call->values[SESSION_ID]), call), call, labels);
}

/*
 * A call outside of runs is a task of its own.
 */
void
cl_add_without_run(Pass *pass, const Call *call)
{
	Subject    *task_type;
	Part	   *part;

	if (!call->nulls[RUN_ID])
		return;
	task_type = cl_find_id(pass, &pass->task_types, call->values[FIRST_CUBE_LABEL + CUBE_TASK_TYPE]);
	part = cl_add_to(&pass->days_without_run, call->periods.day, task_type, call);
	if (call->value != NULL)
		cl_add_value(part, pass->delta, call->value);
}

/*
 * A call as it is read: what is NULL is 0, and no value is compressed or stored
 * elsewhere.
 */
static void
read_call(Call *call, HeapTuple tuple, TupleDesc descriptor)
{
	heap_deform_tuple(tuple, descriptor, call->values, call->nulls);
	for (int i = 0; i < NUM_CALL_COLUMNS; i++)
	{
		if (call->nulls[i])
			call->values[i] = 0;
		else if (TupleDescAttr(descriptor, i)->attlen == -1)
			call->values[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(call->values[i]));
	}
	call->called_at = DatumGetTimestampTz(call->values[CALLED_AT]);
	if (call->called_at < FIRST_TIME || call->called_at >= END_TIME)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
				 errmsg("a call was made at a time that reports cannot show"),
				 errhint("A row with such a time came by replication, or with the triggers of call switched off.")));
	call->periods = *cl_find_periods(call->called_at);
	memset(&call->measures, 0, sizeof(call->measures));
}

/*
 * Adds a call to all that is added up.
 */
static void
add_call(Pass *pass, const Call *call, Subject *combination)
{
	add_combination(pass, call, combination);
	add_other_labels(pass, call);
	cl_add_to_run(pass, call);
	cl_add_to_session(pass, call);
	cl_add_without_run(pass, call);
	if (!call->nulls[PARENT_RUN_ID])
		cl_add_to(&pass->subrun_months, cl_month_of(call->periods.day), combination, call);
	cl_add_to(&pass->user_days, call->periods.day, cl_find_id(pass, &pass->user_ids, call->values[USER_ID]), call);
	cl_add_to(&pass->user_feature_months, cl_month_of(call->periods.day), cl_find_user(pass, call), call);
	pass->calls++;
	pass->has_input_parts |= DatumGetBool(call->values[HAS_INPUT_PARTS]);
}

/* ----------
 * Writing what has been added up
 * ----------
 */

/*
 * Adds each part of a table to that of a coarser bucket.
 */
static Table
coarser(const Table *fine, int64 (*bucket_of) (int64))
{
	Table		coarse = cl_make_table(fine->context);
	Part	  **parts = (Part **) cl_table_entries(fine);

	for (uint32 i = 0; i < cl_table_size(fine); i++)
		cl_add_part(cl_find_part(&coarse, bucket_of(parts[i]->bucket), parts[i]->subject), parts[i]);
	return coarse;
}

static int64
day_of_hour(int64 hour)
{
	return cl_find_periods(hour)->day;
}

static int64
week_of_day(int64 day)
{
	return cl_week_of((DateADT) day);
}

static int64
month_of_day(int64 day)
{
	return cl_month_of((DateADT) day);
}

/*
 * Writes the parts of a rollup from some bucket on.
 */
void
cl_put_table(RollupTable rollup, const Table *table, int64 from)
{
	Part	  **parts;
	uint64		num_parts = cl_sorted_parts(table, &parts);
	uint64		skipped = 0;

	while (skipped < num_parts && parts[skipped]->bucket < from)
		skipped++;
	cl_put_parts(rollup, parts + skipped, num_parts - skipped);
}

/*
 * Every day of a combination is a day of each of its labels.
 */
static void
add_totals(Pass *pass)
{
	Part	  **parts = (Part **) cl_table_entries(&pass->days);

	for (uint32 i = 0; i < cl_table_size(&pass->days); i++)
	{
		for (int j = 0; j <= NUM_CUBE_LABELS; j++)
			cl_add_measures(&cl_find_part(&pass->total_days, parts[i]->bucket, parts[i]->subject->labels[j])->measures,
							&parts[i]->measures);
	}
}

static void
put_cube(Pass *pass)
{
	Part	  **hours = (Part **) cl_table_entries(&pass->hours);
	Table		months;

	cl_put_table(ROLLUP_MINUTE, &pass->minutes, PG_INT64_MIN);
	cl_put_table(ROLLUP_HOUR, &pass->hours, PG_INT64_MIN);
	for (uint32 i = 0; i < cl_table_size(&pass->hours); i++)
		cl_add_part(cl_find_part(&pass->days, day_of_hour(hours[i]->bucket), hours[i]->subject), hours[i]);
	cl_put_table(ROLLUP_DAY, &pass->days, pass->days_from);
	months = coarser(&pass->days, month_of_day);
	cl_put_table(ROLLUP_MONTH, &months, PG_INT64_MIN);
	cl_put_table(ROLLUP_SUBRUN_MONTH, &pass->subrun_months, PG_INT64_MIN);
}

static void
put_totals(Pass *pass)
{
	Table		weeks;
	Table		months;

	cl_put_table(ROLLUP_TOTAL_DAY, &pass->total_days, PG_INT64_MIN);
	weeks = coarser(&pass->total_days, week_of_day);
	cl_put_table(ROLLUP_TOTAL_WEEK, &weeks, PG_INT64_MIN);
	months = coarser(&pass->total_days, month_of_day);
	cl_put_table(ROLLUP_TOTAL_MONTH, &months, PG_INT64_MIN);
	cl_put_table(ROLLUP_TOTAL_MONTH, &pass->total_months, PG_INT64_MIN);
}

/*
 * The days on which runs or sessions begin, which the caller makes anew.
 */
static void
note_days(Pass *pass, const Table *spans, ArrayBuildState **days)
{
	Part	  **parts = (Part **) cl_table_entries(spans);
	DateADT		last_day = 0;

	for (uint32 i = 0; i < cl_table_size(spans); i++)
	{
		DateADT		day = cl_find_periods(parts[i]->span->started_at)->day;

		if (i == 0 || day != last_day)
			*days = accumArrayResult(*days, DateADTGetDatum(day), false, DATEOID, pass->kept);
		last_day = day;
	}
}

/*
 * Where a run is below one that no other started, as far as these calls know: where
 * both are new, that is how it is.  The caller looks at all others.
 */
static void
place_new_runs(Pass *pass)
{
	Part	  **parts = (Part **) cl_table_entries(&pass->runs);

	for (uint32 i = 0; i < cl_table_size(&pass->runs); i++)
	{
		Span	   *span = parts[i]->span;
		text	   *id = span->parent_run_id;
		Subject    *parent = id == NULL ? NULL : cl_known_bytes(&pass->run_ids, VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id));
		Span	   *above = parent == NULL ? NULL : cl_find_part(&pass->runs, 0, parent)->span;

		if (above == NULL || above->parent_run_id != NULL)
			continue;
		span->root_run_id = parent->values[0];
		span->depth = 1;
		above->root_run_id = parent->values[0];
	}
}

/*
 * The places of runs that have a parent are found by the caller, and what whole
 * runs add up to.
 */
static void
note_runs(Pass *pass)
{
	Part	  **parts = (Part **) cl_table_entries(&pass->runs);

	for (uint32 i = 0; i < cl_table_size(&pass->runs); i++)
	{
		ArrayBuildState **runs = parts[i]->span->parent_run_id == NULL ? &pass->other_runs : &pass->child_runs;

		*runs = accumArrayResult(*runs, parts[i]->subject->values[0], false, TEXTOID, pass->kept);
	}
}

static void
put_spans(Pass *pass)
{
	Table		user_months = coarser(&pass->user_days, month_of_day);

	cl_put_table(ROLLUP_USER_DAY, &pass->user_days, PG_INT64_MIN);
	cl_put_table(ROLLUP_USER_MONTH, &user_months, PG_INT64_MIN);
	cl_put_table(ROLLUP_USER_FEATURE_MONTH, &pass->user_feature_months, PG_INT64_MIN);
	cl_put_table(ROLLUP_WITHOUT_RUN_DAY, &pass->days_without_run, PG_INT64_MIN);
	/* Before and after. */
	cl_find_start_days(ROLLUP_SESSION, &pass->sessions, pass->kept, &pass->session_days);
	note_days(pass, &pass->sessions, &pass->session_days);
	cl_put_table(ROLLUP_SESSION, &pass->sessions, PG_INT64_MIN);
	cl_find_start_days(ROLLUP_RUN, &pass->runs, pass->kept, &pass->run_days);
	note_days(pass, &pass->runs, &pass->run_days);
	place_new_runs(pass);
	cl_put_table(ROLLUP_RUN, &pass->runs, PG_INT64_MIN);
	note_runs(pass);
}

static void
start_delta(Pass *pass)
{
	Table	   *const tables[] = {
		&pass->combinations, &pass->labels, &pass->run_ids, &pass->session_ids, &pass->user_ids, &pass->minutes, &pass->hours,
		&pass->days, &pass->total_days, &pass->total_months, &pass->users, &pass->user_days, &pass->user_feature_months,
		&pass->task_types, &pass->days_without_run, &pass->subrun_months, &pass->sessions, &pass->runs
	};
	MemoryContext old;

	for (int i = 0; i < (int) lengthof(tables); i++)
		*tables[i] = cl_make_table(pass->delta);
	old = MemoryContextSwitchTo(pass->delta);
	initStringInfo(&pass->key);
	MemoryContextSwitchTo(old);
}

/*
 * Rows are looked up by their keys, also where a table was empty when the
 * statement was planned, and one index as good as another; until
 * AtEOXact_GUC().
 */
int
cl_start_lookups(void)
{
	int			settings = NewGUCNestLevel();

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_indexonlyscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return settings;
}

/*
 * Begins anew.
 */
void
cl_reset_delta(Pass *pass)
{
	MemoryContextReset(pass->delta);
	start_delta(pass);
}

/*
 * Writes what has been added up, and begins anew.
 */
static bool
put_delta(Pass *pass)
{
	MemoryContext old = MemoryContextSwitchTo(pass->delta);
	int			settings = cl_start_lookups();

	cl_find_ids("rollup_key", &pass->combinations, NUM_CUBE_LABELS);
	put_cube(pass);
	add_totals(pass);
	cl_find_ids("rollup_label", &pass->labels, NUM_LABEL_FIELDS);
	put_totals(pass);
	put_spans(pass);
	AtEOXact_GUC(false, settings);
	MemoryContextSwitchTo(old);
	cl_reset_delta(pass);
	return true;
}

/* ----------
 * The pass
 * ----------
 */

static void
find_function(const char *name, FmgrInfo *function)
{
	Oid			argument = TEXTOID;

	fmgr_info(LookupFuncName(list_make2(makeString(CL_INTERNAL_SCHEMA), makeString(pstrdup(name))), 1, &argument, false), function);
}

/*
 * A pass that only reads sees what its statement sees.
 */
void
cl_open_pass(Pass *pass, bool only_reads)
{
	static SPIPlanPtr plan = NULL;
	bool		isnull;
	HeapTuple	row;

	cl_prepare_once(&plan,
					"SELECT s.minutes_from, s.hours_from, s.days_from, l.time_zone "
					"FROM cost_ledger_internal.rollup_state s CROSS JOIN cost_ledger.ledger l", 0, NULL);
	if (SPI_execute_plan(plan, NULL, NULL, only_reads, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read the state of the rollups");
	row = SPI_tuptable->vals[0];
	pass->minutes_from = DatumGetTimestampTz(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
	pass->hours_from = DatumGetTimestampTz(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	pass->days_from = DatumGetDateADT(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &isnull));
	cl_set_zone(DatumGetTextPP(SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &isnull)));
	find_function("is_turn", &pass->is_turn);
	find_function("is_failure", &pass->is_failure);
	pass->kept = CurrentMemoryContext;
	pass->delta = AllocSetContextCreate(CurrentMemoryContext, "cost_ledger new calls", ALLOCSET_DEFAULT_SIZES);
	start_delta(pass);
}

/*
 * For who writes: what is too old for a rollup goes first, so that nothing is added
 * to it.
 */
void
cl_start_pass(Pass *pass)
{
	if (SPI_execute("SELECT cost_ledger_internal.drop_old_buckets()", false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not drop old buckets");
	cl_open_pass(pass, false);
}

static Portal
open_calls(const char *source, const char *condition)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT ");
	for (int i = 0; i < NUM_CALL_COLUMNS; i++)
		appendStringInfo(&query, "%sc.%s", i > 0 ? ", " : "", column_names[i]);
	appendStringInfo(&query, " FROM %s c WHERE %s", source, condition);
	return SPI_cursor_open_with_args(NULL, query.data, 0, NULL, NULL, NULL, true, CURSOR_OPT_NO_SCROLL);
}

/*
 * Adds the calls that have been fetched.
 */
static void
add_fetched(Pass *pass, SPITupleTable *fetched)
{
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "cost_ledger calls", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(each);

	for (uint64 i = 0; i < fetched->numvals; i++)
	{
		Call		call;
		Subject    *combination;

		read_call(&call, fetched->vals[i], fetched->tupdesc);
		combination = find_combination(pass, &call);
		measure_counts(&call, combination);
		measure_amounts(&call);
		pass->add(pass, &call, combination);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(each);
	SPI_freetuptable(fetched);
}

/*
 * Adds the rows of a source for which a condition holds, in the order in which
 * they lie.
 */
void
cl_read_calls(Pass *pass, const char *source, const char *condition)
{
	Portal		calls = open_calls(source, condition);

	for (;;)
	{
		SPI_cursor_fetch(calls, true, FETCH_CALLS);
		if (SPI_processed == 0)
			break;
		add_fetched(pass, SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
		if (pass->make_room != NULL && MemoryContextMemAllocated(pass->delta, true) > pass->max_memory && !pass->make_room(pass))
			break;
	}
	SPI_cursor_close(calls);
}

PG_FUNCTION_INFO_V1(cl_labels_fingerprint);

/*
 * labels_fingerprint(VARIADIC text[]) → uuid
 */
Datum
cl_labels_fingerprint(PG_FUNCTION_ARGS)
{
	StringInfoData key;
	Datum	   *values;
	bool	   *nulls;
	int			num_values;
	const char *error = NULL;
	pg_uuid_t  *fingerprint = palloc(sizeof(pg_uuid_t));

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &num_values);
	initStringInfo(&key);
	for (int i = 0; i < num_values; i++)
		append_to_key(&key, nulls[i] ? (Datum) 0 : values[i]);
	if (!pg_md5_binary(key.data, key.len, fingerprint->data, &error))
		elog(ERROR, "could not compute an MD5 hash: %s", error);
	PG_RETURN_UUID_P(fingerprint);
}

/*
 * What has been noted for the caller.
 */
Datum
cl_array_or_null(ArrayBuildState *noted, MemoryContext context, bool *isnull)
{
	*isnull = noted == NULL;
	return *isnull ? (Datum) 0 : makeArrayResult(noted, context);
}

PG_FUNCTION_INFO_V1(cl_add_calls);

/*
 * add_calls(condition text, OUT calls bigint, OUT run_days date[], OUT session_days date[], OUT run_ids text[],
 *			 OUT child_runs text[], OUT has_input_parts boolean)
 */
Datum
cl_add_calls(PG_FUNCTION_ARGS)
{
	Pass		pass = {0};
	TupleDesc	descriptor;
	Datum		values[6];
	bool		nulls[6] = {0};
	MemoryContext caller = CurrentMemoryContext;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE || descriptor->natts != 6)
		cl_refuse_other_version();
	descriptor = BlessTupleDesc(descriptor);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	cl_start_pass(&pass);
	pass.add = add_call;
	pass.make_room = put_delta;
	pass.max_memory = MAX_MEMORY;
	cl_read_calls(&pass, "cost_ledger.call", text_to_cstring(PG_GETARG_TEXT_PP(0)));
	put_delta(&pass);
	values[0] = Int64GetDatum(pass.calls);
	MemoryContextSwitchTo(caller);
	values[1] = cl_array_or_null(pass.run_days, caller, &nulls[1]);
	values[2] = cl_array_or_null(pass.session_days, caller, &nulls[2]);
	values[3] = cl_array_or_null(pass.other_runs, caller, &nulls[3]);
	values[4] = cl_array_or_null(pass.child_runs, caller, &nulls[4]);
	values[5] = BoolGetDatum(pass.has_input_parts);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls)));
}
