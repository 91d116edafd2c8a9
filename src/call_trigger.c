/*-------------------------------------------------------------------------
 * call_trigger.c
 *	  What happens to a call on its way into the ledger.
 *
 * In this order: the row is numbered, what is empty in it becomes NULL, it is
 * checked, its event key is claimed (a replay ends there), its usage is read, it
 * is priced at its own time, and the columns that belong to the ledger are
 * filled.  The row is refused only for what cannot be a fact; a call without a
 * price is recorded as one.
 *
 * Runs for every row of every INSERT and COPY, so it changes the row where it
 * lies, in the executor's slot, and keeps its column numbers for the statement.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "bounds.h"
#include "call_trigger.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "event_key.h"
#include "fmgr.h"
#include "json_column.h"
#include "ledger.h"
#include "miscadmin.h"
#include "pricing.h"
#include "rollup.h"
#include "usage_read.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

/* The columns that mean something to the ledger itself. */
typedef enum CallColumn
{
	CALL_ID,
	CALLED_AT,
	RECORDED_AT,
	RECORDED_XID,
	PRICE_ID,
	CORRECTS,
	REVERSES,
	RESTATES,
	INPUT_TOKENS,				/* the token columns, in TokenMeter's order */
	CACHE_READ_TOKENS,
	CACHE_WRITE_TOKENS,
	CACHE_WRITE_1H_TOKENS,
	OUTPUT_TOKENS,
	REASONING_TOKENS,
	DURATION_MS,
	HOLD_ID,
	TOOL_CALLS_COUNT,
	RETRY_COUNT,
	ATTEMPT,
	ACCEPTED,
	COST,
	CACHE_READ_COST,			/* in CostPart's order */
	CACHE_WRITE_COST,
	OUTPUT_COST,
	REASONING_COST,
	OTHER_COST,
	PROMPT_CACHE_SAVING,
	REPORTED_COST,
	AVOIDED_COST,
	SCORE,
	PRICING,
	USAGE_STATUS,
	SERVED_FROM,
	PROVIDER,
	MODEL,
	REGION,
	SERVICE_CLASS,
	OPERATION,
	STATUS,
	TEAM,
	FEATURE,
	FLOW,
	CUSTOMER,
	TASK_TYPE,
	ENVIRONMENT,
	USER_ID,
	COHORT,
	API_KEY,
	AGENT,
	STEP,
	SESSION_ID,
	RUN_ID,
	PARENT_RUN_ID,
	REQUEST_ID,
	TOOL,
	EVENT_KEY,
	TRACE_URL,
	OTHER_USAGE,				/* from here on, JSON */
	RAW_USAGE,
	TOOL_CALLS,
	INPUT_PARTS,
	TAGS
} CallColumn;

#define NUM_CALL_COLUMNS (TAGS + 1)

static const struct
{
	const char *name;
	Oid			type;
}			call_columns[NUM_CALL_COLUMNS] =
{
	[CALL_ID] = {"call_id", INT8OID},
	[CALLED_AT] = {"called_at", TIMESTAMPTZOID},
	[RECORDED_AT] = {"recorded_at", TIMESTAMPTZOID},
	[RECORDED_XID] = {"recorded_xid", XID8OID},
	[PRICE_ID] = {"price_id", INT8OID},
	[CORRECTS] = {"corrects", INT8OID},
	[REVERSES] = {"reverses", INT8OID},
	[RESTATES] = {"restates", INT8OID},
	[INPUT_TOKENS] = {"input_tokens", INT8OID},
	[CACHE_READ_TOKENS] = {"cache_read_tokens", INT8OID},
	[CACHE_WRITE_TOKENS] = {"cache_write_tokens", INT8OID},
	[CACHE_WRITE_1H_TOKENS] = {"cache_write_1h_tokens", INT8OID},
	[OUTPUT_TOKENS] = {"output_tokens", INT8OID},
	[REASONING_TOKENS] = {"reasoning_tokens", INT8OID},
	[DURATION_MS] = {"duration_ms", FLOAT8OID},
	[HOLD_ID] = {"hold_id", UUIDOID},
	[TOOL_CALLS_COUNT] = {"tool_calls_count", INT4OID},
	[RETRY_COUNT] = {"retry_count", INT4OID},
	[ATTEMPT] = {"attempt", INT4OID},
	[ACCEPTED] = {"accepted", BOOLOID},
	[COST] = {"cost", NUMERICOID},
	[CACHE_READ_COST] = {"cache_read_cost", NUMERICOID},
	[CACHE_WRITE_COST] = {"cache_write_cost", NUMERICOID},
	[OUTPUT_COST] = {"output_cost", NUMERICOID},
	[REASONING_COST] = {"reasoning_cost", NUMERICOID},
	[OTHER_COST] = {"other_cost", NUMERICOID},
	[PROMPT_CACHE_SAVING] = {"prompt_cache_saving", NUMERICOID},
	[REPORTED_COST] = {"reported_cost", NUMERICOID},
	[AVOIDED_COST] = {"avoided_cost", NUMERICOID},
	[SCORE] = {"score", NUMERICOID},
	[PRICING] = {"pricing", TEXTOID},
	[USAGE_STATUS] = {"usage_status", TEXTOID},
	[SERVED_FROM] = {"served_from", TEXTOID},
	[PROVIDER] = {"provider", TEXTOID},
	[MODEL] = {"model", TEXTOID},
	[REGION] = {"region", TEXTOID},
	[SERVICE_CLASS] = {"service_class", TEXTOID},
	[OPERATION] = {"operation", TEXTOID},
	[STATUS] = {"status", TEXTOID},
	[TEAM] = {"team", TEXTOID},
	[FEATURE] = {"feature", TEXTOID},
	[FLOW] = {"flow", TEXTOID},
	[CUSTOMER] = {"customer", TEXTOID},
	[TASK_TYPE] = {"task_type", TEXTOID},
	[ENVIRONMENT] = {"environment", TEXTOID},
	[USER_ID] = {"user_id", TEXTOID},
	[COHORT] = {"cohort", TEXTOID},
	[API_KEY] = {"api_key", TEXTOID},
	[AGENT] = {"agent", TEXTOID},
	[STEP] = {"step", TEXTOID},
	[SESSION_ID] = {"session_id", TEXTOID},
	[RUN_ID] = {"run_id", TEXTOID},
	[PARENT_RUN_ID] = {"parent_run_id", TEXTOID},
	[REQUEST_ID] = {"request_id", TEXTOID},
	[TOOL] = {"tool", TEXTOID},
	[EVENT_KEY] = {"event_key", TEXTOID},
	[TRACE_URL] = {"trace_url", TEXTOID},
	[OTHER_USAGE] = {"other_usage", JSONBOID},
	[RAW_USAGE] = {"raw_usage", JSONBOID},
	[TOOL_CALLS] = {"tool_calls", JSONBOID},
	[INPUT_PARTS] = {"input_parts", JSONBOID},
	[TAGS] = {"tags", JSONBOID},
};

/*
 * Whether the trigger needs the column of this name: without it no call would
 * be recorded any more.
 */
bool
cl_is_call_column(const char *name)
{
	for (int i = 0; i < NUM_CALL_COLUMNS; i++)
	{
		if (strcmp(name, call_columns[i].name) == 0)
			return true;
	}
	return false;
}

/*
 * One row near either end of timestamptz would make every report fail that
 * turns it into local time.
 */
#define EARLIEST_CALL ((TimestampTz) (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)
#define LATEST_CALL ((TimestampTz) 73049 * USECS_PER_DAY)	/* 2200-01-01 */

/* A row taken apart, with the statement's knowledge of its relation. */
typedef struct CallRow
{
	Oid			sequence;		/* of call_id */
	bool		is_last;		/* no other trigger is shown the row after us */
	int			index[NUM_CALL_COLUMNS];	/* attribute number - 1 */
	Datum	   *values;
	bool	   *nulls;
	Datum		words[PRICING_PRICED + 1];	/* names of Pricing, as text */
	Datum		standard;		/* 'standard' */
	Datum		model;			/* 'model' */
	bool		knows_currency;
	bool		is_in_dollars;
} CallRow;

#define VALUE(row, column)	((row)->values[(row)->index[column]])
#define ISNULL(row, column)	((row)->nulls[(row)->index[column]])

static inline void
put(CallRow *row, CallColumn column, Datum value)
{
	VALUE(row, column) = value;
	ISNULL(row, column) = false;
}

/*
 * The attribute of a name, counted from 0, or -1.  Mostly it stands at or soon
 * after start.
 */
static int
find_attribute(TupleDesc descriptor, const char *name, int start)
{
	for (int i = 0; i < descriptor->natts; i++)
	{
		int			j = (start + i) % descriptor->natts;
		Form_pg_attribute attribute = TupleDescAttr(descriptor, j);

		if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0)
			return j;
	}
	return -1;
}

/*
 * Users may have triggers of their own, which fire in the order of their names.
 */
static bool
is_last_trigger(const TriggerData *trigger)
{
	const TriggerDesc *triggers = trigger->tg_relation->trigdesc;
	Oid			last = InvalidOid;

	for (int i = 0; i < triggers->numtriggers; i++)
	{
		const Trigger *other = &triggers->triggers[i];

		if (TRIGGER_TYPE_MATCHES(other->tgtype, TRIGGER_TYPE_ROW,
								 TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_INSERT))
			last = other->tgoid;
	}
	return last == trigger->tg_trigger->tgoid;
}

/*
 * Finds the columns by name: a partition may have them in another order, and
 * users may have added their own.
 */
static CallRow *
make_call_row(const TriggerData *trigger, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Relation	relation = trigger->tg_relation;
	TupleDesc	descriptor = RelationGetDescr(relation);
	CallRow    *row = palloc0(sizeof(CallRow));
	int			found = -1;

	row->sequence = cl_ledger_relation("call_call_id_seq");
	row->is_last = is_last_trigger(trigger);
	for (int i = 0; i < NUM_CALL_COLUMNS; i++)
	{
		const char *name = call_columns[i].name;

		row->index[i] = found = find_attribute(descriptor, name, found + 1);
		if (found < 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist",
							name, RelationGetRelationName(relation)),
					 errhint("The ledger's own columns must keep their names.")));
		if (TupleDescAttr(descriptor, found)->atttypid != call_columns[i].type)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table \"%s\" has the wrong type",
							name, RelationGetRelationName(relation)),
					 errhint("The ledger's own columns must keep their types.")));
	}

	for (int i = 0; i <= PRICING_PRICED; i++)
		row->words[i] = CStringGetTextDatum(cl_pricing_name(i));
	row->standard = CStringGetTextDatum("standard");
	row->model = CStringGetTextDatum("model");
	MemoryContextSwitchTo(old);
	return row;
}

/*
 * Whether the row can be changed where it lies.  A virtual slot has its values
 * one by one, and what stands there is what gets inserted: to form a tuple, for
 * the executor to take it apart again, would cost more than pricing does.  A
 * trigger after this one would be shown the tuple that came, which is older.
 */
static bool
is_in_place(const CallRow *row, const TriggerData *trigger)
{
	return row->is_last && TTS_IS_VIRTUAL(trigger->tg_trigslot);
}

static void
open_row(CallRow *row, const TriggerData *trigger)
{
	TupleDesc	descriptor = RelationGetDescr(trigger->tg_relation);

	if (is_in_place(row, trigger))
	{
		row->values = trigger->tg_trigslot->tts_values;
		row->nulls = trigger->tg_trigslot->tts_isnull;
		return;
	}
	row->values = palloc(descriptor->natts * sizeof(Datum));
	row->nulls = palloc(descriptor->natts * sizeof(bool));
	heap_deform_tuple(trigger->tg_trigtuple, descriptor, row->values, row->nulls);
}

/*
 * The trigger's result: the row as it has become.
 *
 * The tuple that came says that the slot is to be taken as it is.  It was made
 * for us, and the executor only compares its address, but would keep it to the
 * end of the statement: a COPY's memory would grow with each row.
 */
static HeapTuple
close_row(const CallRow *row, const TriggerData *trigger)
{
	if (!is_in_place(row, trigger))
		return heap_form_tuple(RelationGetDescr(trigger->tg_relation), row->values, row->nulls);
	heap_freetuple(trigger->tg_trigtuple);
	return trigger->tg_trigtuple;
}

static bool
text_equals(Datum value, const char *word)
{
	text	   *t = DatumGetTextPP(value);
	int			len = strlen(word);

	return (int) VARSIZE_ANY_EXHDR(t) == len && memcmp(VARDATA_ANY(t), word, len) == 0;
}

static void
refuse_computed_column(CallColumn column)
{
	ereport(ERROR,
			(errcode(ERRCODE_GENERATED_ALWAYS),
			 errmsg("column \"%s\" is set by the ledger", call_columns[column].name),
			 errhint("Leave it out. What the provider says a call cost goes to \"reported_cost\"; a dump of calls is restored with its tables, not into a ledger that is there.")));
}

/*
 * Numbers the row.  No identity column: of one, a trigger could not tell an id
 * that was sent from one that was made.  A row that comes by replication keeps
 * the number it has; pairs that move a call are numbered by who books them, so
 * that each can name the other.
 */
static void
number_row(CallRow *row)
{
	if (ISNULL(row, CALL_ID))
		put(row, CALL_ID, Int64GetDatum(nextval_internal(row->sequence, false)));
	else if (SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA &&
			 ISNULL(row, REVERSES) && ISNULL(row, RESTATES))
		refuse_computed_column(CALL_ID);
}

/* What the ledger computes. */
static const CallColumn computed[] = {
	RECORDED_AT, RECORDED_XID, PRICE_ID, COST, PRICING,
	CACHE_READ_COST, CACHE_WRITE_COST, OUTPUT_COST, REASONING_COST, OTHER_COST,
	PROMPT_CACHE_SAVING
};

static bool
is_computed(CallColumn column)
{
	for (int i = 0; i < (int) lengthof(computed); i++)
	{
		if (computed[i] == column)
			return true;
	}
	return false;
}

/*
 * What is computed, nobody sends.
 */
static void
refuse_computed_columns(const CallRow *row)
{
	for (int i = 0; i < (int) lengthof(computed); i++)
	{
		if (!ISNULL(row, computed[i]))
			refuse_computed_column(computed[i]);
	}
}

/*
 * Languages without a NULL for texts send '', and typed clients JSON's null.
 * Before anything looks at the row, so that a retry may say it either way.
 */
static void
clear_empty(CallRow *row)
{
	for (int i = PRICING; i <= TRACE_URL; i++)
	{
		/* A call needs these two, and is not lost over one that is empty. */
		if (i != PROVIDER && i != MODEL && !ISNULL(row, i) &&
			VARSIZE_ANY_EXHDR(DatumGetPointer(VALUE(row, i))) == 0)
			ISNULL(row, i) = true;
	}
	for (int i = OTHER_USAGE; i <= TAGS; i++)
	{
		if (!ISNULL(row, i) && cl_is_json_scalar(VALUE(row, i)))
		{
			Jsonb	   *meant = cl_unwrap_json(DatumGetJsonbP(VALUE(row, i)));

			VALUE(row, i) = PointerGetDatum(meant);
			ISNULL(row, i) = meant == NULL;
		}
	}
}

static void
refuse_number(CallColumn column)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg(column == SCORE ? "\"%s\" must not be NaN or infinite" :
					"\"%s\" must not be negative, NaN or infinite",
					call_columns[column].name),
			 errhint("Leave it out where it is not known.")));
}

static void
refuse_large(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is too large", name),
			 errhint("Send that of a single call; nothing of one is 10^12 or more.")));
}

/*
 * An object of names and whole numbers; returns their sum.
 */
static int64
sum_of_counts(Datum object, const char *column)
{
	Jsonb	   *doc = DatumGetJsonbP(object);
	JsonbIterator *it;
	JsonbValue	value;
	JsonbIteratorToken token;
	int64		sum = 0;
	bool		good = JB_ROOT_IS_OBJECT(doc);

	it = JsonbIteratorInit(&doc->root);
	while (good && (token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		int64		count;

		if (token != WJB_VALUE)
			continue;
		good = value.type == jbvNumeric &&
			cl_numeric_to_int64(value.val.numeric, &count) &&
			count >= 0;
		if (good && count > MAX_QUANTITY - sum)
			refuse_large(column);
		if (good)
			sum += count;
	}
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not an object of names and counts", column),
				 errhint("Write {\"name\": 2, \"other\": 1}.")));
	return sum;
}

static void
shorten(CallRow *row, CallColumn column, int limit)
{
	const char *value;

	if (ISNULL(row, column))
		return;
	/* As nearly all are, and not worth a call. */
	value = DatumGetPointer(VALUE(row, column));
	if (VARATT_IS_4B_U(value) && VARSIZE_4B(value) - VARHDRSZ <= (Size) limit)
		return;
	VALUE(row, column) = cl_shorten_datum(VALUE(row, column), limit);
}

/*
 * Labels become keys of the rollups and of their indexes, which have a longest
 * one; the call has been paid for and must not be lost over its label.  What
 * nobody asks for by its value must only not be huge.
 */
static void
bound_texts(CallRow *row)
{
	static const CallColumn ids[] = {USER_ID, SESSION_ID, RUN_ID, PARENT_RUN_ID};

	for (int i = 0; i < (int) lengthof(ids); i++)
		shorten(row, ids[i], MAX_ID_LEN);
	for (int i = PROVIDER; i <= TOOL; i++)
		shorten(row, i, MAX_LABEL_LEN);
	if (!ISNULL(row, TRACE_URL))
		cl_check_length(VALUE(row, TRACE_URL), MAX_TEXT_LEN, call_columns[TRACE_URL].name);
	for (int i = OTHER_USAGE; i <= TAGS; i++)
	{
		/* A response with pictures in it is no reason to lose a call. */
		if (i != RAW_USAGE && !ISNULL(row, i))
			cl_check_length(VALUE(row, i), MAX_JSON_LEN, call_columns[i].name);
	}
}

/*
 * Neither shortened nor left out: it is what makes a retry harmless.
 */
static void
check_event_key(CallRow *row)
{
	Size		len;

	if (ISNULL(row, EVENT_KEY))
		return;
	len = VARSIZE_ANY_EXHDR(DatumGetTextPP(VALUE(row, EVENT_KEY)));
	if (len > MAX_ID_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("\"event_key\" must have at most %d bytes", MAX_ID_LEN),
				 errdetail("It has %zu.", len),
				 errhint("Leave it out, or send a digest of what is longer.")));
}

/*
 * Filters ask for tags by name, and corrections add their own: neither is
 * possible in a list or a text.
 */
static void
check_tags(CallRow *row)
{
	if (!ISNULL(row, TAGS) && !cl_is_flat_object(DatumGetJsonbP(VALUE(row, TAGS))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"tags\" is not a flat object of names and values"),
				 errhint("Write {\"tier\": \"gold\", \"beta\": true}: no list and no object inside.")));
}

/*
 * A cost that somebody states is not negative; a score may be.
 */
static void
check_decimal(CallRow *row, CallColumn column)
{
	Numeric		value;

	if (ISNULL(row, column))
		return;
	value = DatumGetNumeric(VALUE(row, column));
	if (numeric_is_nan(value) || numeric_is_inf(value) ||
		(column != SCORE && cl_numeric_is_negative(value)))
		refuse_number(column);
	if (!cl_is_money(value))
		refuse_large(call_columns[column].name);
	put(row, column, NumericGetDatum(cl_round_money(value)));
}

/*
 * Everything about a row that is not usage and can be wrong by itself.
 */
static void
check_call(CallRow *row)
{
	static const CallColumn counts[] = {TOOL_CALLS_COUNT, RETRY_COUNT, ATTEMPT};

	if (ISNULL(row, CALLED_AT) ||
		DatumGetTimestampTz(VALUE(row, CALLED_AT)) < EARLIEST_CALL ||
		DatumGetTimestampTz(VALUE(row, CALLED_AT)) >= LATEST_CALL)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("\"called_at\" must be a finite time from 1970 to 2199"),
				 errhint("Send the time of the call, or leave it out for now().")));
	if (ISNULL(row, PROVIDER) || ISNULL(row, MODEL))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("a call needs \"provider\" and \"model\""),
				 errhint("Send the names that its price carries, e.g. anthropic and claude-sonnet-4-5.")));
	check_event_key(row);
	check_tags(row);
	for (int i = 0; i < (int) lengthof(counts); i++)
	{
		if (!ISNULL(row, counts[i]) && DatumGetInt32(VALUE(row, counts[i])) < 0)
			refuse_number(counts[i]);
	}
	if (!ISNULL(row, DURATION_MS))
	{
		double		duration = DatumGetFloat8(VALUE(row, DURATION_MS));

		if (!(duration >= 0) || isinf(duration))
			refuse_number(DURATION_MS);
	}
	check_decimal(row, REPORTED_COST);
	check_decimal(row, AVOIDED_COST);
	check_decimal(row, SCORE);
	if (ISNULL(row, SERVED_FROM))
		put(row, SERVED_FROM, row->model);
	if (!text_equals(VALUE(row, SERVED_FROM), "model") &&
		!text_equals(VALUE(row, SERVED_FROM), "response_cache"))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("\"served_from\" is neither model nor response_cache"),
				 errhint("response_cache is for answers from your own cache, at no cost.")));
	if (!ISNULL(row, USAGE_STATUS) &&
		!text_equals(VALUE(row, USAGE_STATUS), "final") &&
		!text_equals(VALUE(row, USAGE_STATUS), "partial") &&
		!text_equals(VALUE(row, USAGE_STATUS), "estimated"))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("\"usage_status\" is not one of final, partial, estimated"),
				 errhint("Leave it out for final counts.")));
	if (!ISNULL(row, TOOL_CALLS))
	{
		int64		sum = sum_of_counts(VALUE(row, TOOL_CALLS), "tool_calls");

		if (sum > PG_INT32_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"tool_calls\" add up to more than an integer holds"),
					 errhint("Send the counts of a single call.")));
		if (ISNULL(row, TOOL_CALLS_COUNT))
			put(row, TOOL_CALLS_COUNT, Int32GetDatum((int32) sum));
	}
}

/*
 * What the ledger gives or computes itself is no part of what a client sent; a
 * retry may have another time, and its key is known to be the same.
 */
static bool
is_payload(CallColumn column)
{
	return column != CALL_ID && column != CALLED_AT && column != CORRECTS &&
		column != EVENT_KEY && !is_computed(column);
}

/*
 * A word that says what is meant without it, or an object without any.
 */
static bool
is_implied(const CallRow *row, CallColumn column)
{
	switch (column)
	{
		case SERVED_FROM:
			return text_equals(VALUE(row, column), "model");
		case USAGE_STATUS:
			return text_equals(VALUE(row, column), "final");
		case SERVICE_CLASS:
			return ISNULL(row, RAW_USAGE) && text_equals(VALUE(row, column), "standard");
		case OTHER_USAGE:
		case INPUT_PARTS:
		case TAGS:
			return cl_is_empty_object(VALUE(row, column));
		default:
			return false;
	}
}

/*
 * Digest of what the client sent, in one spelling.  Columns that users have
 * added are theirs: a default of one says nothing about the event.
 */
static bytea *
digest_payload(const CallRow *row)
{
	StringInfoData payload;

	initStringInfo(&payload);
	for (int i = 0; i < NUM_CALL_COLUMNS; i++)
	{
		if (!ISNULL(row, i) && is_payload(i) && !is_implied(row, i))
			cl_payload_add(&payload, call_columns[i].name, call_columns[i].type, VALUE(row, i));
	}
	return cl_payload_digest(&payload);
}

static void
refuse_other_event(const CallRow *row, TupleDesc descriptor, const EventKeyClaim *claim)
{
	Datum		columns[NUM_CALL_COLUMNS];
	int			ncolumns = 0;
	HeapTuple	tuple = heap_form_tuple(descriptor, row->values, row->nulls);

	for (int i = 0; i < NUM_CALL_COLUMNS; i++)
	{
		if (is_payload(i))
			columns[ncolumns++] = CStringGetTextDatum(call_columns[i].name);
	}
	cl_refuse_other_event(VALUE(row, EVENT_KEY), claim,
						  heap_copy_tuple_as_datum(tuple, descriptor), descriptor->tdtypeid,
						  PointerGetDatum(construct_array(columns, ncolumns, TEXTOID, -1, false, TYPALIGN_INT)));
}

/*
 * Claims the row's event key.  False when the same event is already recorded:
 * then there is nothing to insert.  What was sent is all that counts, so before
 * the ledger fills anything.
 */
static bool
claim_event_key(const CallRow *row, TupleDesc descriptor)
{
	EventKeyClaim claim = cl_claim_event_key(VALUE(row, EVENT_KEY), digest_payload(row),
											 DatumGetInt64(VALUE(row, CALL_ID)),
											 DatumGetTimestampTz(VALUE(row, CALLED_AT)));

	if (!claim.is_claimed && !claim.is_same)
		refuse_other_event(row, descriptor, &claim);
	return claim.is_claimed;
}

/*
 * A text column's bytes, not terminated; empty for NULL.
 */
static const char *
text_of(const CallRow *row, CallColumn column, int *len)
{
	text	   *t;

	if (ISNULL(row, column))
	{
		*len = 0;
		return "";
	}
	t = DatumGetTextPP(VALUE(row, column));
	*len = VARSIZE_ANY_EXHDR(t);
	return VARDATA_ANY(t);
}

/*
 * Providers report in dollars: in a ledger of another currency their cost
 * would be compared with something else.
 */
static bool
is_ledger_in_dollars(CallRow *row)
{
	static SPIPlanPtr plan = NULL;

	if (!row->knows_currency)
	{
		CallerIdentity caller = cl_become_owner(cl_ledger_relation("ledger"));

		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to the executor");
		cl_prepare_once(&plan, "SELECT FROM cost_ledger.ledger l WHERE l.currency OPERATOR(pg_catalog.=) 'USD'", 0, NULL);
		if (SPI_execute_plan(plan, NULL, NULL, true, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not read the ledger's currency");
		row->is_in_dollars = SPI_processed == 1;
		row->knows_currency = true;
		SPI_finish();
		cl_become_caller(caller);
	}
	return row->is_in_dollars;
}

/*
 * Of what is too long to be kept as it came, what it says of the usage.
 */
static void
shorten_raw_usage(CallRow *row, const char *provider, int provider_len, const Usage *usage)
{
	Jsonb	   *kept;

	if (!cl_is_longer(VALUE(row, RAW_USAGE), MAX_JSON_LEN))
		return;
	kept = cl_usage_core(DatumGetJsonbP(VALUE(row, RAW_USAGE)), provider, provider_len, usage);
	VALUE(row, RAW_USAGE) = PointerGetDatum(kept);
	ISNULL(row, RAW_USAGE) = kept == NULL;
}

/*
 * The row's usage, from the columns or from raw_usage, which then fills them.
 * False when there is nothing to price it by.
 */
static bool
read_usage(CallRow *row, Usage *usage)
{
	bool		has_columns = !ISNULL(row, OTHER_USAGE);
	const char *provider;
	int			provider_len;
	bool		known;
	Jsonb	   *other;

	memset(usage, 0, sizeof(Usage));
	for (int i = 0; i < NUM_TOKEN_COLUMNS; i++)
	{
		if (!ISNULL(row, INPUT_TOKENS + i))
		{
			usage->given[i] = has_columns = true;
			usage->tokens[i] = DatumGetInt64(VALUE(row, INPUT_TOKENS + i));
		}
	}

	if (ISNULL(row, RAW_USAGE))
	{
		if (!ISNULL(row, OTHER_USAGE))
			cl_usage_add_other(usage, DatumGetJsonbP(VALUE(row, OTHER_USAGE)));
		cl_usage_check(usage);
		if (cl_usage_is_empty(usage))
		{
			put(row, USAGE_STATUS, CStringGetTextDatum("missing"));
			return false;
		}
		if (usage->status)
			put(row, USAGE_STATUS, CStringGetTextDatum(usage->status));
		return true;
	}

	if (has_columns)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a call has either usage columns or \"raw_usage\", not both"),
				 errhint("Send the provider's object alone; the ledger fills the columns from it.")));

	provider = text_of(row, PROVIDER, &provider_len);
	known = cl_usage_normalize(DatumGetJsonbP(VALUE(row, RAW_USAGE)), NULL,
							   provider, provider_len, usage);
	shorten_raw_usage(row, provider, provider_len, usage);
	if (ISNULL(row, SERVICE_CLASS) && usage->service_class)
		put(row, SERVICE_CLASS, cl_shorten_datum(CStringGetTextDatum(usage->service_class), MAX_LABEL_LEN));
	if (ISNULL(row, REGION) && usage->region)
		put(row, REGION, cl_shorten_datum(CStringGetTextDatum(usage->region), MAX_LABEL_LEN));
	if (ISNULL(row, REPORTED_COST) && usage->reported_cost && is_ledger_in_dollars(row))
		put(row, REPORTED_COST, NumericGetDatum(cl_round_money(usage->reported_cost)));
	if (!known)
	{
		/* Nothing of it is believed, and nothing of it is in the row. */
		memset(usage, 0, sizeof(Usage));
		put(row, USAGE_STATUS, CStringGetTextDatum("unrecognized"));
		return false;
	}
	for (int i = 0; i < NUM_TOKEN_COLUMNS; i++)
	{
		if (usage->given[i])
			put(row, INPUT_TOKENS + i, Int64GetDatum(usage->tokens[i]));
	}
	other = cl_usage_to_jsonb(usage, true);
	if (other)
		put(row, OTHER_USAGE, JsonbPGetDatum(other));
	if (usage->status)
		put(row, USAGE_STATUS, CStringGetTextDatum(usage->status));
	return true;
}

/*
 * As reports have it: is_failure() says which words mean one.
 */
static bool
has_failed(const CallRow *row)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID};
	Datum		status = VALUE(row, STATUS);
	CallerIdentity caller;
	bool		isnull;
	bool		failed;

	if (ISNULL(row, STATUS))
		return false;
	caller = cl_become_owner(cl_ledger_relation("ledger"));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	cl_prepare_once(&plan, "SELECT cost_ledger_internal.is_failure($1)", 1, types);
	if (SPI_execute_plan(plan, &status, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not ask whether a call has failed");
	failed = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	cl_become_caller(caller);
	return failed;
}

/*
 * The cost of a usage at the prices of the row's own time; returns the slice of
 * prices, NULL where none was in force.
 */
static const PriceSlice *
price_usage(const CallRow *row, const Usage *usage, CallCost *cost)
{
	PriceKey	key;
	TimestampTz at = DatumGetTimestampTz(VALUE(row, CALLED_AT));
	const PriceSlice *slice;

	key.provider = text_of(row, PROVIDER, &key.provider_len);
	key.model = text_of(row, MODEL, &key.model_len);
	key.region = text_of(row, REGION, &key.region_len);
	key.service_class = text_of(row, SERVICE_CLASS, &key.class_len);
	key.service_class = cl_service_class(key.service_class, &key.class_len);
	key.customer = text_of(row, CUSTOMER, &key.customer_len);
	slice = cl_price_cache_lookup(&key, at);
	cl_price_usage(slice, usage, at, false, cost);

	/* A provider bills what it has worked on: it would tell of usage. */
	if (cost->amount && cl_usage_is_empty(usage) && has_failed(row))
		*cost = (CallCost) {PRICING_UNPRICED};
	return slice;
}

/*
 * An answer from the application's own cache costs nothing.  Its usage is that
 * of the answer it repeats, so its price is what has been avoided; a part of
 * that price would be a number that looks whole.
 */
static void
price_cached_answer(CallRow *row, const Usage *usage)
{
	CallCost	cost = {PRICING_UNPRICED};

	put(row, COST, NumericGetDatum(int64_to_numeric(0)));
	put(row, PRICING, row->words[PRICING_FREE]);
	if (!ISNULL(row, AVOIDED_COST))
		return;
	price_usage(row, usage, &cost);
	if (cost.pricing == PRICING_PRICED || cost.pricing == PRICING_FREE)
		put(row, AVOIDED_COST, NumericGetDatum(cost.amount));
}

/*
 * Fills cost, price_id and pricing.
 */
static void
price_row(CallRow *row)
{
	Usage		usage;
	bool		has_usage = read_usage(row, &usage);
	const PriceSlice *slice;
	CallCost	cost;

	if (!ISNULL(row, INPUT_PARTS))
	{
		int64		parts = sum_of_counts(VALUE(row, INPUT_PARTS), "input_parts");

		if (usage.given[METER_INPUT] && parts > usage.tokens[METER_INPUT])
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("\"input_parts\" exceed \"input_tokens\""),
					 errhint("The parts are shares of all input tokens of this call.")));
	}

	if (ISNULL(row, SERVICE_CLASS))
		put(row, SERVICE_CLASS, row->standard);

	if (text_equals(VALUE(row, SERVED_FROM), "response_cache"))
	{
		price_cached_answer(row, &usage);
		return;
	}

	slice = price_usage(row, &usage, &cost);
	if (slice && (has_usage || cost.amount))
		put(row, PRICE_ID, Int64GetDatum(slice->price_id));
	if (cost.is_tier_in_doubt)
		put(row, USAGE_STATUS, CStringGetTextDatum("unexplained"));
	if (cost.amount)
	{
		put(row, COST, NumericGetDatum(cost.amount));
		for (int part = PART_CACHE_READ; part < NUM_COST_PARTS; part++)
		{
			Numeric		amount = cl_cost_part(&cost, part);

			if (amount)
				put(row, CACHE_READ_COST + part - PART_CACHE_READ, NumericGetDatum(amount));
		}
		if (cost.prompt_cache_saving)
			put(row, PROMPT_CACHE_SAVING, NumericGetDatum(cost.prompt_cache_saving));
	}
	put(row, PRICING, row->words[cost.pricing]);
}

/*
 * Whether the row is no call that somebody has made, but booked by the ledger
 * about one: a correction, or half of a pair that moves or takes back a row.
 */
static bool
is_booked(const CallRow *row)
{
	return !ISNULL(row, CORRECTS) || !ISNULL(row, REVERSES) || !ISNULL(row, RESTATES);
}

static void
check_booker(Relation relation)
{
	if (!has_privs_of_role(GetUserId(), relation->rd_rel->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only the owner of the ledger may book corrections"),
				 errhint("Leave \"corrects\", \"reverses\" and \"restates\" out, or ask the owner to call cost_ledger.correct_call(), reattribute() or void_call().")));
}

/*
 * What is booked is computed by the functions that book.  A correction carries
 * differences; what is not known has none.
 */
static void
check_booking(CallRow *row)
{
	if (ISNULL(row, PRICING) ||
		(ISNULL(row, COST) && (text_equals(VALUE(row, PRICING), "priced") ||
							   text_equals(VALUE(row, PRICING), "free"))) ||
		(!ISNULL(row, COST) &&
		 (numeric_is_nan(DatumGetNumeric(VALUE(row, COST))) ||
		  numeric_is_inf(DatumGetNumeric(VALUE(row, COST))))))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("a correction needs a cost and a pricing status"),
				 errhint("Use cost_ledger.correct_call(), which computes them.")));
	for (int i = COST; i <= SCORE; i++)
	{
		if (!ISNULL(row, i) && !cl_is_cost(DatumGetNumeric(VALUE(row, i))))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"%s\" of a correction is too large", call_columns[i].name),
					 errhint("Use cost_ledger.correct_call(), which computes it.")));
	}
	if (ISNULL(row, SERVICE_CLASS))
		put(row, SERVICE_CLASS, row->standard);
}

/*
 * A call that moves to a customer with other prices comes without a cost, and is
 * priced as if it had come so.  Its columns were read from raw_usage already.
 */
static void
price_restated(CallRow *row)
{
	Datum		usage_status = VALUE(row, USAGE_STATUS);
	bool		has_status = !ISNULL(row, USAGE_STATUS);
	bool		has_raw_usage = !ISNULL(row, RAW_USAGE);

	ISNULL(row, RAW_USAGE) = true;
	price_row(row);
	ISNULL(row, RAW_USAGE) = !has_raw_usage;
	if (has_status)
		put(row, USAGE_STATUS, usage_status);
}

static TriggerData *
check_trigger_protocol(FunctionCallInfo fcinfo, const char *name, bool as_agreed)
{
	if (!CALLED_AS_TRIGGER(fcinfo) || !as_agreed)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cost_ledger_internal.%s() is a trigger of cost_ledger.call", name),
				 errhint("cost_ledger.create_ledger() attaches it; do not attach or call it by hand.")));
	return (TriggerData *) fcinfo->context;
}

PG_FUNCTION_INFO_V1(cl_price_call);

/*
 * BEFORE INSERT FOR EACH ROW ON cost_ledger.call
 */
Datum
cl_price_call(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	descriptor;
	CallRow    *row;
	FullTransactionId xid;

	check_trigger_protocol(fcinfo, "price_call",
						   CALLED_AS_TRIGGER(fcinfo) &&
						   TRIGGER_FIRED_BEFORE(trigger->tg_event) &&
						   TRIGGER_FIRED_FOR_ROW(trigger->tg_event) &&
						   TRIGGER_FIRED_BY_INSERT(trigger->tg_event));

	descriptor = RelationGetDescr(trigger->tg_relation);
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = make_call_row(trigger, fcinfo->flinfo->fn_mcxt);
	row = fcinfo->flinfo->fn_extra;
	open_row(row, trigger);
	number_row(row);

	/* A row that comes by replication was priced where it was inserted. */
	if (SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
	{
		clear_empty(row);
		if (is_booked(row))
		{
			check_booker(trigger->tg_relation);
			if (!ISNULL(row, RESTATES))
				bound_texts(row);
			if (!ISNULL(row, RESTATES) && ISNULL(row, CORRECTS) && ISNULL(row, PRICING))
				price_restated(row);
			check_booking(row);
		}
		else
		{
			refuse_computed_columns(row);
			check_call(row);
			bound_texts(row);
			if (!ISNULL(row, EVENT_KEY) && !claim_event_key(row, descriptor))
				return PointerGetDatum(NULL);	/* a replay: nothing happens */
			price_row(row);
		}
		put(row, RECORDED_AT, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
	}
	ISNULL(row, RECORDED_XID) = true;
	if (cl_rollup_transaction(&xid))
		put(row, RECORDED_XID, FullTransactionIdGetDatum(xid));

	return PointerGetDatum(close_row(row, trigger));
}

PG_FUNCTION_INFO_V1(cl_refuse_change);

/*
 * BEFORE UPDATE OR DELETE FOR EACH ROW, BEFORE TRUNCATE FOR EACH STATEMENT
 */
Datum
cl_refuse_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = check_trigger_protocol(fcinfo, "refuse_change",
												  CALLED_AS_TRIGGER(fcinfo));

	ereport(ERROR,
			(errcode(ERRCODE_RESTRICT_VIOLATION),
			 errmsg("the ledger is append-only: %s of \"%s\" is refused",
					TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? "UPDATE" :
					TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? "DELETE" : "TRUNCATE",
					RelationGetRelationName(trigger->tg_relation)),
			 errhint("Correct a call with cost_ledger.correct_call(), which books the difference as a new row; old months go by cost_ledger.set_retention(), which keeps their sums.")));
	return PointerGetDatum(NULL);	/* not reached */
}
