/*-------------------------------------------------------------------------
 * put.c
 *	  Adds parts to the tables of the rollups.
 *
 * What a rollup keeps is in its table's columns: each is filled by its name.  How
 * a row is put together with one that is there follows from what the column is,
 * so the statement that does it is made of them, once in a session.  The parts
 * are given to it as the relation "delta", of the table's own row type.
 *
 * A count in a column that may be NULL is NULL for 0, which takes no space.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/md5.h"
#include "executor/spi.h"
#include "ledger.h"
#include "miscadmin.h"
#include "period.h"
#include "put.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

typedef enum ColumnKind
{
	COLUMN_BUCKET,
	COLUMN_ID,
	COLUMN_NAME,
	COLUMN_FEATURE,
	COLUMN_COHORT,				/* the last that may be in a key */
	COLUMN_COUNT,
	COLUMN_AMOUNT,
	COLUMN_CALL_COST,
	COLUMN_STARTED_AT,
	COLUMN_STARTED_ON,
	COLUMN_ENDED_AT,
	COLUMN_MIN_TURN_INPUT,
	COLUMN_MAX_TURN_INPUT,
	COLUMN_PARENT_RUN_ID,
	COLUMN_TRACE_URL,
	COLUMN_ROOT_RUN_ID,
	COLUMN_DEPTH,
	COLUMN_LABELS,
	COLUMN_OTHER				/* filled by others */
} ColumnKind;

typedef struct Column
{
	ColumnKind	kind;
	int			index;			/* of a count or amount */
} Column;

/* The columns by name that are neither counts nor amounts. */
static const struct
{
	const char *name;
	ColumnKind	kind;
}			special_columns[] = {
	{"minute", COLUMN_BUCKET},
	{"hour", COLUMN_BUCKET},
	{"day", COLUMN_BUCKET},
	{"week", COLUMN_BUCKET},
	{"month", COLUMN_BUCKET},
	{"key_id", COLUMN_ID},
	{"label_id", COLUMN_ID},
	{"run_id", COLUMN_NAME},
	{"session_id", COLUMN_NAME},
	{"user_id", COLUMN_NAME},
	{"task_type", COLUMN_NAME},
	{"feature", COLUMN_FEATURE},
	{"cohort", COLUMN_COHORT},
	{"call_cost", COLUMN_CALL_COST},
	{"started_at", COLUMN_STARTED_AT},
	{"started_on", COLUMN_STARTED_ON},
	{"ended_at", COLUMN_ENDED_AT},
	{"min_turn_input_tokens", COLUMN_MIN_TURN_INPUT},
	{"max_turn_input_tokens", COLUMN_MAX_TURN_INPUT},
	{"parent_run_id", COLUMN_PARENT_RUN_ID},
	{"trace_url", COLUMN_TRACE_URL},
	{"root_run_id", COLUMN_ROOT_RUN_ID},
	{"depth", COLUMN_DEPTH},
	{"labels", COLUMN_LABELS},
};

/*
 * How a part that comes is put together with the row r that is there.  The place of
 * a run is of one that is new only.
 */
static const char *const merges[] = {
	[COLUMN_AMOUNT] = "coalesce(r.%1$s + excluded.%1$s, r.%1$s, excluded.%1$s)",
	[COLUMN_CALL_COST] = "cost_ledger.merge(r.%1$s, excluded.%1$s)",
	[COLUMN_STARTED_AT] = "least(r.%1$s, excluded.%1$s)",
	/* Not the lesser day: some zones turn their clocks back over midnight. */
	[COLUMN_STARTED_ON] = "CASE WHEN excluded.started_at < r.started_at THEN excluded.%1$s ELSE r.%1$s END",
	[COLUMN_ENDED_AT] = "greatest(r.%1$s, excluded.%1$s)",
	[COLUMN_MIN_TURN_INPUT] = "least(r.%1$s, excluded.%1$s)",
	[COLUMN_MAX_TURN_INPUT] = "greatest(r.%1$s, excluded.%1$s)",
	[COLUMN_PARENT_RUN_ID] = "least(r.%1$s, excluded.%1$s)",
	[COLUMN_TRACE_URL] = "least(r.%1$s, excluded.%1$s)",
	[COLUMN_LABELS] = "cost_ledger_internal.merge_labels(r.%1$s, excluded.%1$s)",
};
#define MERGE_COUNT "r.%1$s + excluded.%1$s"
#define MERGE_COUNT_OR_NULL "nullif(coalesce(r.%1$s, 0) + coalesce(excluded.%1$s, 0), 0)"

static const char *const table_names[NUM_ROLLUP_TABLES] = {
	[ROLLUP_MINUTE] = "rollup_minute",
	[ROLLUP_HOUR] = "rollup_hour",
	[ROLLUP_DAY] = "rollup_day",
	[ROLLUP_MONTH] = "rollup_month",
	[ROLLUP_TOTAL_DAY] = "rollup_total_day",
	[ROLLUP_TOTAL_WEEK] = "rollup_total_week",
	[ROLLUP_TOTAL_MONTH] = "rollup_total_month",
	[ROLLUP_USER_DAY] = "rollup_user_day",
	[ROLLUP_USER_MONTH] = "rollup_user_month",
	[ROLLUP_USER_FEATURE_MONTH] = "rollup_user_feature_month",
	[ROLLUP_WITHOUT_RUN_DAY] = "rollup_without_run_day",
	[ROLLUP_SUBRUN_MONTH] = "rollup_subrun_month",
	[ROLLUP_SESSION] = "rollup_session",
	[ROLLUP_RUN] = "rollup_run",
};

static Column
column_of(const char *name)
{
	Column		column = {.kind = COLUMN_OTHER};

	for (int i = 0; i < NUM_COUNTS; i++)
	{
		if (strcmp(name, cl_count_names[i]) == 0)
			return (Column) {COLUMN_COUNT, i};
	}
	for (int i = 0; i < NUM_AMOUNTS; i++)
	{
		if (strcmp(name, cl_amount_names[i]) == 0)
			return (Column) {COLUMN_AMOUNT, i};
	}
	for (int i = 0; i < (int) lengthof(special_columns); i++)
	{
		if (strcmp(name, special_columns[i].name) == 0)
			column.kind = special_columns[i].kind;
	}
	return column;
}

static void
append_merge(StringInfo set, const char *name, Column column, bool is_not_null)
{
	const char *merge = column.kind == COLUMN_COUNT ?
		(is_not_null ? MERGE_COUNT : MERGE_COUNT_OR_NULL) : merges[column.kind];

	appendStringInfo(set, "%s%s = ", set->len > 0 ? ", " : "", name);
	for (; *merge; merge++)
	{
		if (strncmp(merge, "%1$s", 4) == 0)
		{
			appendStringInfoString(set, name);
			merge += 3;
		}
		else
			appendStringInfoChar(set, *merge);
	}
}

/*
 * The statement that adds the rows of delta to a table.
 */
static char *
upsert_statement(Relation relation, const Column *columns)
{
	TupleDesc	descriptor = RelationGetDescr(relation);
	StringInfoData names,
				keys,
				set,
				statement;

	initStringInfo(&names);
	initStringInfo(&keys);
	initStringInfo(&set);
	initStringInfo(&statement);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		const char *name = NameStr(attribute->attname);

		if (columns[i].kind == COLUMN_OTHER)
			continue;
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", name);
		if (columns[i].kind <= COLUMN_COHORT)
			appendStringInfo(&keys, "%s%s", keys.len > 0 ? ", " : "", name);
		else if (columns[i].kind == COLUMN_COUNT || merges[columns[i].kind] != NULL)
			append_merge(&set, name, columns[i], attribute->attnotnull);
	}
	appendStringInfo(&statement,
					 "INSERT INTO cost_ledger_internal.%s AS r (%s) SELECT %s FROM delta ON CONFLICT (%s) DO UPDATE SET %s",
					 RelationGetRelationName(relation), names.data, names.data, keys.data, set.data);
	return statement.data;
}

/*
 * The value of a count in a column of some type.
 */
static Datum
count_datum(int64 count, Oid type)
{
	return type == NUMERICOID ? NumericGetDatum(int64_to_numeric(count)) : Int64GetDatum(count);
}

static Datum
sketch_datum(Sketch *sketch)
{
	size_t		size;
	char	   *data;

	cl_sketch_settle(sketch);
	data = cl_sketch_pack(sketch, CurrentMemoryContext, VARHDRSZ, &size);
	SET_VARSIZE(data, size);
	return PointerGetDatum(data);
}

static Datum
labels_datum(const CallLabels *labels, Oid type, bool *isnull)
{
	TupleDesc	descriptor = lookup_rowtype_tupdesc(type, -1);
	Datum		row = cl_labels_datum(labels, descriptor, isnull);

	ReleaseTupleDesc(descriptor);
	return row;
}

static Datum
text_or_null(text *value, bool *isnull)
{
	*isnull = value == NULL;
	return PointerGetDatum(value);
}

static Datum
count_or_null(int64 count, bool *isnull)
{
	*isnull = count < 0;
	return Int64GetDatum(count);
}

/*
 * What a part says in one column.
 */
static Datum
part_value(const Part *part, Column column, Form_pg_attribute attribute, bool *isnull)
{
	*isnull = false;
	switch (column.kind)
	{
		case COLUMN_BUCKET:
			return attribute->atttypid == DATEOID ? DateADTGetDatum((DateADT) part->bucket) : TimestampTzGetDatum(part->bucket);
		case COLUMN_ID:
			return Int32GetDatum(part->subject->id);
		case COLUMN_NAME:
			return text_or_null((text *) DatumGetPointer(part->subject->values[0]), isnull);
		case COLUMN_FEATURE:
		case COLUMN_COHORT:
			if (part->subject->num_values < 3)
				cl_refuse_other_version();
			return text_or_null((text *) DatumGetPointer(part->subject->values[1 + column.kind - COLUMN_FEATURE]), isnull);
		case COLUMN_COUNT:
			*isnull = part->measures.counts[column.index] == 0 && !attribute->attnotnull;
			return *isnull ? (Datum) 0 : count_datum(part->measures.counts[column.index], attribute->atttypid);
		case COLUMN_AMOUNT:
			*isnull = !cl_amount_is_known(&part->measures, column.index);
			return *isnull ? (Datum) 0 : cl_amount_datum(&part->measures, column.index);
		case COLUMN_CALL_COST:
			*isnull = part->call_cost == NULL;
			return *isnull ? (Datum) 0 : sketch_datum(part->call_cost);
		case COLUMN_STARTED_AT:
			return TimestampTzGetDatum(part->span->started_at);
		case COLUMN_STARTED_ON:
			return DateADTGetDatum(cl_find_periods(part->span->started_at)->day);
		case COLUMN_ENDED_AT:
			return TimestampTzGetDatum(part->span->ended_at);
		case COLUMN_MIN_TURN_INPUT:
			return count_or_null(part->span->min_turn_input, isnull);
		case COLUMN_MAX_TURN_INPUT:
			return count_or_null(part->span->max_turn_input, isnull);
		case COLUMN_PARENT_RUN_ID:
			return text_or_null(part->span->parent_run_id, isnull);
		case COLUMN_TRACE_URL:
			return text_or_null(part->span->trace_url, isnull);
		case COLUMN_ROOT_RUN_ID:
			*isnull = part->span->root_run_id == 0;
			return part->span->root_run_id;
		case COLUMN_DEPTH:
			return Int32GetDatum(part->span->depth);
		case COLUMN_LABELS:
			return labels_datum(&part->span->labels, attribute->atttypid, isnull);
		case COLUMN_OTHER:
			break;
	}
	*isnull = true;
	return (Datum) 0;
}

static void
store_columns(Tuplestorestate *store, TupleDesc descriptor, const Column *columns, Part **parts, uint64 num_parts)
{
	Datum	   *values = palloc(descriptor->natts * sizeof(Datum));
	bool	   *nulls = palloc(descriptor->natts * sizeof(bool));
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "cost_ledger row of a rollup", ALLOCSET_DEFAULT_SIZES);

	for (uint64 i = 0; i < num_parts; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(row);

		for (int j = 0; j < descriptor->natts; j++)
			values[j] = part_value(parts[i], columns[j], TupleDescAttr(descriptor, j), &nulls[j]);
		MemoryContextSwitchTo(old);
		tuplestore_putvalues(store, descriptor, values, nulls);
		MemoryContextReset(row);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(row);
}

static Column *
all_columns(TupleDesc descriptor)
{
	Column	   *columns = palloc(descriptor->natts * sizeof(Column));

	for (int i = 0; i < descriptor->natts; i++)
		columns[i] = column_of(NameStr(TupleDescAttr(descriptor, i)->attname));
	return columns;
}

/*
 * Parts as rows of some columns, by their names.
 */
void
cl_store_parts(Tuplestorestate *store, TupleDesc descriptor, Part **parts, uint64 num_parts)
{
	store_columns(store, descriptor, all_columns(descriptor), parts, num_parts);
}

static Tuplestorestate *
store_parts(Relation relation, const Column *columns, Part **parts, uint64 num_parts)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);

	store_columns(store, RelationGetDescr(relation), columns, parts, num_parts);
	return store;
}

static void
connect_executor(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
}

/*
 * Runs a statement that reads rows of a table's type from "delta".  Whoever calls
 * this has a connection of his own, whose memory it takes: what is registered must
 * not outlive that.
 */
static void
execute_with_delta(SPIPlanPtr *plan, const char *statement, Oid relation, Tuplestorestate *store, uint64 num_rows,
				   Oid parameter, Datum value)
{
	EphemeralNamedRelation delta = palloc0(sizeof(EphemeralNamedRelationData));
	int			result;

	delta->md.name = "delta";
	delta->md.reliddesc = relation;
	delta->md.enrtype = ENR_NAMED_TUPLESTORE;
	delta->md.enrtuples = (double) num_rows;
	delta->reldata = store;
	if (SPI_register_relation(delta) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows of a rollup");
	cl_prepare_once(plan, statement, OidIsValid(parameter) ? 1 : 0, &parameter);
	result = SPI_execute_plan(*plan, &value, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement, SPI_result_code_string(result));
	SPI_unregister_relation("delta");
}

/*
 * A statement of the session, made anew where the table is another one.
 */
typedef struct Statement
{
	Oid			relation;
	SPIPlanPtr	plan;
} Statement;

static SPIPlanPtr *
plan_for(Statement *statement, Oid relation)
{
	if (statement->relation != relation && statement->plan != NULL)
	{
		SPI_freeplan(statement->plan);
		statement->plan = NULL;
	}
	statement->relation = relation;
	return &statement->plan;
}

/*
 * Adds parts, in the order of the table's key, to its rows.
 */
void
cl_put_parts(RollupTable table, Part **parts, uint64 num_parts)
{
	static Statement statements[NUM_ROLLUP_TABLES];
	Relation	relation;
	Column	   *columns;
	Tuplestorestate *store;

	if (num_parts == 0)
		return;
	connect_executor();
	relation = table_open(cl_ledger_relation(table_names[table]), RowExclusiveLock);
	columns = all_columns(RelationGetDescr(relation));
	store = store_parts(relation, columns, parts, num_parts);
	execute_with_delta(plan_for(&statements[table], RelationGetRelid(relation)),
					   upsert_statement(relation, columns), RelationGetRelid(relation), store, num_parts, InvalidOid, (Datum) 0);
	tuplestore_end(store);
	table_close(relation, NoLock);
	SPI_finish();
}

/*
 * The key of a table, and its calls.
 */
static Column *
key_columns(Relation relation)
{
	TupleDesc	descriptor = RelationGetDescr(relation);
	Column	   *columns = palloc(descriptor->natts * sizeof(Column));

	for (int i = 0; i < descriptor->natts; i++)
	{
		columns[i] = column_of(NameStr(TupleDescAttr(descriptor, i)->attname));
		if (columns[i].kind > COLUMN_COHORT && !(columns[i].kind == COLUMN_COUNT && columns[i].index == CALLS))
			columns[i].kind = COLUMN_OTHER;
	}
	return columns;
}

/*
 * Whose calls are in a row: r of the table, or d of the delta.
 */
static const char *const times[NUM_ROLLUP_TABLES] = {
	[ROLLUP_MINUTE] = "tstzrange(d.minute, d.minute + interval '1 minute')",
	[ROLLUP_HOUR] = "tstzrange(d.hour, d.hour + interval '1 hour')",
	[ROLLUP_DAY] = "cost_ledger_internal.local_range(d.day, d.day + 1)",
	[ROLLUP_MONTH] = "cost_ledger_internal.local_range(d.month, (d.month + interval '1 month')::date)",
	[ROLLUP_TOTAL_DAY] = "cost_ledger_internal.local_range(d.day, d.day + 1)",
	[ROLLUP_TOTAL_WEEK] = "cost_ledger_internal.local_range(d.week, d.week + 7)",
	[ROLLUP_TOTAL_MONTH] = "cost_ledger_internal.local_range(d.month, (d.month + interval '1 month')::date)",
	[ROLLUP_USER_DAY] = "cost_ledger_internal.local_range(d.day, d.day + 1)",
	[ROLLUP_USER_MONTH] = "cost_ledger_internal.local_range(d.month, (d.month + interval '1 month')::date)",
	[ROLLUP_USER_FEATURE_MONTH] = "cost_ledger_internal.local_range(d.month, (d.month + interval '1 month')::date)",
	[ROLLUP_WITHOUT_RUN_DAY] = "cost_ledger_internal.local_range(d.day, d.day + 1)",
	[ROLLUP_SUBRUN_MONTH] = "cost_ledger_internal.local_range(d.month, (d.month + interval '1 month')::date)",
	[ROLLUP_SESSION] = "tstzrange(r.started_at, r.ended_at, '[]')",
	[ROLLUP_RUN] = "tstzrange(r.started_at, r.ended_at, '[]')",
};

/*
 * The rows of delta as d, each with the row r of its key, looked up one by one.
 */
static const char *
lookup(Relation relation, const Column *columns)
{
	TupleDesc	descriptor = RelationGetDescr(relation);
	const char *name = NULL;	/* of what a user may be without */
	StringInfoData keys;

	initStringInfo(&keys);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (columns[i].kind == COLUMN_NAME && !attribute->attnotnull)
			name = NameStr(attribute->attname);
		else if (columns[i].kind <= COLUMN_COHORT)
			appendStringInfo(&keys, "%sr.%s %s d.%s", keys.len > 0 ? " AND " : "", NameStr(attribute->attname),
							 columns[i].kind >= COLUMN_FEATURE ? "IS NOT DISTINCT FROM" : "=", NameStr(attribute->attname));
	}
	if (name == NULL)
		return psprintf("delta d CROSS JOIN LATERAL (SELECT r.ctid, r.* FROM cost_ledger_internal.%s r WHERE %s OFFSET 0) r",
						RelationGetRelationName(relation), keys.data);
	return psprintf("delta d CROSS JOIN LATERAL ("
					"(SELECT r.ctid, r.* FROM cost_ledger_internal.%1$s r WHERE %2$s AND r.%3$s = d.%3$s OFFSET 0) UNION ALL "
					"(SELECT r.ctid, r.* FROM cost_ledger_internal.%1$s r WHERE %2$s AND r.%3$s IS NULL AND d.%3$s IS NULL OFFSET 0)) r",
					RelationGetRelationName(relation), keys.data, name);
}

/*
 * The keys of parts, each with its number as the count of calls.
 */
static Tuplestorestate *
store_keys(Relation relation, const Column *columns, Part **parts, uint64 num_parts)
{
	Part	   *numbered = MemoryContextAllocHuge(CurrentMemoryContext, num_parts * sizeof(Part));
	Part	  **to_store = MemoryContextAllocHuge(CurrentMemoryContext, num_parts * sizeof(Part *));

	memset(numbered, 0, num_parts * sizeof(Part));
	for (uint64 i = 0; i < num_parts; i++)
	{
		numbered[i].bucket = parts[i]->bucket;
		numbered[i].subject = parts[i]->subject;
		numbered[i].measures.counts[CALLS] = (int64) i;
		to_store[i] = &numbered[i];
	}
	return store_parts(relation, columns, to_store, num_parts);
}

/*
 * Removes the rows of some parts, but for those of whose time not all is kept;
 * says which these are.
 */
void
cl_delete_parts(RollupTable table, Part **parts, uint64 num_parts, Datum kept_times, bool *is_kept)
{
	static Statement find[NUM_ROLLUP_TABLES];
	static Statement delete[NUM_ROLLUP_TABLES];
	Relation	relation;
	Oid			oid;
	Column	   *columns;
	const char *rows;
	Tuplestorestate *store;

	if (num_parts == 0)
		return;
	connect_executor();
	relation = table_open(cl_ledger_relation(table_names[table]), RowExclusiveLock);
	oid = RelationGetRelid(relation);
	columns = key_columns(relation);
	rows = lookup(relation, columns);
	store = store_keys(relation, columns, parts, num_parts);
	execute_with_delta(plan_for(&find[table], oid),
					   psprintf("SELECT d.calls FROM %s WHERE NOT %s <@ $1", rows, times[table]),
					   oid, store, num_parts, TSTZMULTIRANGEOID, kept_times);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		is_kept[DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull))] = true;
	}
	execute_with_delta(plan_for(&delete[table], oid),
					   psprintf("DELETE FROM cost_ledger_internal.%s o WHERE o.ctid = ANY (ARRAY(SELECT r.ctid FROM %s WHERE %s <@ $1))",
								table_names[table], rows, times[table]),
					   oid, store, num_parts, TSTZMULTIRANGEOID, kept_times);
	tuplestore_end(store);
	table_close(relation, NoLock);
	SPI_finish();
}

static int
compare_parts(const void *a, const void *b)
{
	const Part *x = *(Part *const *) a;
	const Part *y = *(Part *const *) b;
	int			result;

	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	if (x->subject->id != y->subject->id)
		return x->subject->id < y->subject->id ? -1 : 1;
	result = memcmp(x->subject->key, y->subject->key, Min(x->subject->len, y->subject->len));
	return result != 0 ? result : x->subject->len - y->subject->len;
}

/*
 * The parts of a table in the order of the rollup's key.
 */
uint64
cl_sorted_parts(const Table *table, Part ***parts)
{
	*parts = (Part **) cl_table_entries(table);
	qsort(*parts, cl_table_size(table), sizeof(Part *), compare_parts);
	return cl_table_size(table);
}

/*
 * Rows of subjects for a table that numbers them: number in the delta, texts,
 * fingerprint.
 */
static Tuplestorestate *
store_subjects(Relation relation, Subject **subjects, uint32 num_subjects, int num_values)
{
	TupleDesc	descriptor = RelationGetDescr(relation);
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	Datum	   *values = palloc0(descriptor->natts * sizeof(Datum));
	bool	   *nulls = palloc0(descriptor->natts * sizeof(bool));

	if (descriptor->natts != num_values + 2)
		cl_refuse_other_version();
	for (uint32 i = 0; i < num_subjects; i++)
	{
		const Subject *subject = subjects[i];
		const char *error = NULL;
		pg_uuid_t	fingerprint;

		if (!pg_md5_binary(subject->key, subject->len, fingerprint.data, &error))
			elog(ERROR, "could not compute an MD5 hash: %s", error);
		values[0] = Int32GetDatum((int32) i);
		for (int j = 0; j < num_values; j++)
		{
			values[1 + j] = subject->values[j];
			nulls[1 + j] = subject->values[j] == 0;
		}
		values[1 + num_values] = UUIDPGetDatum(&fingerprint);
		tuplestore_putvalues(store, descriptor, values, nulls);
	}
	return store;
}

/*
 * Gives each subject its id: its row's in a table that numbers them, which is
 * made where there is none.
 */
void
cl_find_ids(const char *table, const Table *table_of_subjects, int num_values)
{
	static Statement insert[2];
	static Statement find[2];
	int			which = strcmp(table, "rollup_key") == 0 ? 0 : 1;
	const char *id = which == 0 ? "key_id" : "label_id";
	uint32		num_subjects = cl_table_size(table_of_subjects);
	Subject   **subjects = (Subject **) cl_table_entries(table_of_subjects);
	Relation	relation;
	Oid			oid;
	Tuplestorestate *store;
	StringInfoData names;

	if (num_subjects == 0)
		return;
	connect_executor();
	relation = table_open(cl_ledger_relation(table), RowExclusiveLock);
	oid = RelationGetRelid(relation);
	store = store_subjects(relation, subjects, num_subjects, num_values);
	initStringInfo(&names);
	for (int i = 1; i <= num_values; i++)
		appendStringInfo(&names, "%s%s", i > 1 ? ", " : "", NameStr(TupleDescAttr(RelationGetDescr(relation), i)->attname));
	/* OFFSET: looked up one by one, whatever the statistics say. */
	execute_with_delta(plan_for(&insert[which], oid),
					   psprintf("INSERT INTO cost_ledger_internal.%s (%s) SELECT %s FROM delta d "
								"WHERE (SELECT k.%s FROM cost_ledger_internal.%s k WHERE k.fingerprint = d.fingerprint) IS NULL ORDER BY d.%s",
								table, names.data, names.data, id, table, id),
					   oid, store, num_subjects, InvalidOid, (Datum) 0);
	execute_with_delta(plan_for(&find[which], oid),
					   psprintf("SELECT d.%s, (SELECT k.%s FROM cost_ledger_internal.%s k WHERE k.fingerprint = d.fingerprint) FROM delta d",
								id, id, table),
					   oid, store, num_subjects, InvalidOid, (Datum) 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		HeapTuple	row = SPI_tuptable->vals[i];
		int32		number = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));

		subjects[number]->id = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	}
	tuplestore_end(store);
	table_close(relation, NoLock);
	SPI_finish();
}

/*
 * Adds to an array the days on which runs or sessions that are there, and will be
 * put, began.
 */
void
cl_find_start_days(RollupTable rollup, const Table *spans, MemoryContext context, ArrayBuildState **days)
{
	static Statement find[NUM_ROLLUP_TABLES];
	Relation	relation;
	Part	  **parts = (Part **) cl_table_entries(spans);
	Tuplestorestate *store;
	const char *id = rollup == ROLLUP_RUN ? "run_id" : "session_id";

	if (cl_table_size(spans) == 0)
		return;
	connect_executor();
	relation = table_open(cl_ledger_relation(table_names[rollup]), RowExclusiveLock);
	store = store_parts(relation, key_columns(relation), parts, cl_table_size(spans));
	execute_with_delta(plan_for(&find[rollup], RelationGetRelid(relation)),
					   psprintf("SELECT DISTINCT (SELECT r.started_on FROM cost_ledger_internal.%1$s r WHERE r.%2$s = d.%2$s) FROM delta d",
								table_names[rollup], id),
					   RelationGetRelid(relation), store, cl_table_size(spans), InvalidOid, (Datum) 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		day = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
			*days = accumArrayResult(*days, day, false, DATEOID, context);
	}
	tuplestore_end(store);
	table_close(relation, NoLock);
	SPI_finish();
}
