/*-------------------------------------------------------------------------
 * seen_rollup.c
 *	  Runs, sessions and users of the calls that somebody may see.
 *
 * Their rollups are sums over all teams and customers.  Who may see some of these
 * only gets the same rows, made of his calls while he waits, by the pass that
 * makes the rollups: in memory, and nothing of a single call is kept.
 *
 * Where that takes too much memory, the pass is made anew for a part of the ids
 * at a time, so that each row is whole.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "catalog/pg_type.h"
#include "consume.h"
#include "funcapi.h"
#include "ledger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* In times of work_mem; with the 4 MB that it has at first, some 200,000 runs. */
#define MAX_MEMORY_FACTOR 64

typedef struct Seen
{
	Pass		pass;			/* first, so that it is this */
	bool		is_too_much;
} Seen;

static void
add_run(Pass *pass, const Call *call, Subject *combination)
{
	cl_add_to_run(pass, call);
}

static void
add_session(Pass *pass, const Call *call, Subject *combination)
{
	cl_add_to_session(pass, call);
}

static void
add_user_day(Pass *pass, const Call *call, Subject *combination)
{
	cl_add_to(&pass->user_days, call->periods.day, cl_find_id(pass, &pass->user_ids, call->values[USER_ID]), call);
}

static void
add_user_month(Pass *pass, const Call *call, Subject *combination)
{
	cl_add_to(&pass->user_days, cl_month_of(call->periods.day), cl_find_id(pass, &pass->user_ids, call->values[USER_ID]), call);
}

static void
add_user_feature_month(Pass *pass, const Call *call, Subject *combination)
{
	cl_add_to(&pass->user_feature_months, cl_month_of(call->periods.day), cl_find_user(pass, call), call);
}

static void
add_without_run(Pass *pass, const Call *call, Subject *combination)
{
	cl_add_without_run(pass, call);
}

/* The rollups, which calls are in them, what a row of each is of, and where the pass has its parts. */
static const struct
{
	const char *name;
	const char *condition;
	const char *id;
	void		(*add) (Pass *pass, const Call *call, Subject *combination);
	size_t		parts;
}			rollups[] = {
	{"run", "c.run_id IS NOT NULL", "run_id", add_run, offsetof(Pass, runs)},
	{"session", "c.session_id IS NOT NULL", "session_id", add_session, offsetof(Pass, sessions)},
	{"user_day", "true", "user_id", add_user_day, offsetof(Pass, user_days)},
	{"user_month", "true", "user_id", add_user_month, offsetof(Pass, user_days)},
	{"user_feature_month", "true", "user_id", add_user_feature_month, offsetof(Pass, user_feature_months)},
	{"without_run_day", "c.run_id IS NULL", "task_type", add_without_run, offsetof(Pass, days_without_run)},
};

static int
find_rollup(const char *name)
{
	for (int i = 0; i < (int) lengthof(rollups); i++)
	{
		if (strcmp(name, rollups[i].name) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("no rollup \"%s\" is made of calls that are seen", name)));
}

/*
 * Its columns, of its types: by their names they are filled.
 */
static void
check_columns(TupleDesc descriptor, const char *rollup)
{
	Oid			relation = cl_ledger_relation(psprintf("rollup_%s", rollup));

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(descriptor, i);
		AttrNumber	number = get_attnum(relation, NameStr(column->attname));

		if (number <= 0 || get_atttype(relation, number) != column->atttypid)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("rollup_%s has no column \"%s\" of type %s", rollup, NameStr(column->attname), format_type_be(column->atttypid))));
	}
}

/*
 * Which rows c of call are meant: of these teams and customers, as they stand.
 */
static char *
seen_condition(const char *rollup_condition, Datum teams, Datum customers)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[] = {teams, customers};

	cl_prepare_once(&plan, "SELECT cost_ledger_internal.seen_condition($1, $2)", lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not ask which calls are seen");
	return psprintf("%s AND %s", rollup_condition, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
}

/*
 * Of these, one of so many parts of the ids.
 */
static char *
part_condition(const char *condition, const char *id, uint32 part, uint32 num_parts)
{
	return psprintf("%s AND (hashtext(coalesce(c.%s, '')) & %u) = %u", condition, id, num_parts - 1, part);
}

static bool
give_up(Pass *pass)
{
	((Seen *) pass)->is_too_much = true;
	return false;
}

PG_FUNCTION_INFO_V1(cl_seen_rollup);

/*
 * seen_rollup(rollup text, teams text[], customers text[]) → rows of columns of
 * the rollup, as the caller names them
 */
Datum
cl_seen_rollup(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Seen		seen = {0};
	Pass	   *pass = &seen.pass;
	int			i;
	Table	   *table;
	char	   *condition;
	uint32		num_parts = 1;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || result == NULL || result->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a rollup of seen calls needs its name, teams, customers and columns")));
	i = find_rollup(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	table = (Table *) ((char *) pass + rollups[i].parts);
	check_columns(result->expectedDesc, rollups[i].name);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	condition = seen_condition(rollups[i].condition, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2));
	cl_open_pass(pass, true);
	pass->add = rollups[i].add;
	pass->make_room = give_up;
	pass->max_memory = (Size) work_mem * 1024 * MAX_MEMORY_FACTOR;
	for (uint32 part = 0; part < num_parts; part++)
	{
		cl_read_calls(pass, "cost_ledger.call", num_parts == 1 ? condition : part_condition(condition, rollups[i].id, part, num_parts));
		if (!seen.is_too_much)
			cl_store_parts(result->setResult, result->setDesc, (Part **) cl_table_entries(table), cl_table_size(table));
		else
		{
			/* From the beginning, in twice as many parts. */
			tuplestore_clear(result->setResult);
			num_parts *= 2;
			part = -1;
			/* Ids are not to blame where that has not helped so far. */
			if (num_parts >= 1024)
				pass->make_room = NULL;
		}
		seen.is_too_much = false;
		cl_reset_delta(pass);
	}
	SPI_finish();
	return (Datum) 0;
}
