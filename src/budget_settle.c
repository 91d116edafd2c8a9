/*-------------------------------------------------------------------------
 * budget_settle.c
 *	  What calls with a hold do to balances: what was held is given back, what
 *	  they cost is posted by their own labels, in the periods of called_at.
 *
 * Locks are taken in the order of everybody: the table of balances, holds by
 * their id, what is posted by its key.  Nobody waits here for a gate, where what
 * is held stands: a decision that stays open would have every call wait.  Whose
 * gate cannot be had at once, the lines of that are marked as over, and count
 * for nothing any more; whoever has the gate next takes them out of it.  He and
 * we step over the lines that the other is at, so no line is given back twice.
 *
 * The measures are those of budget_spend_query(); check_balances() compares.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "budget_settle.h"
#include "budget_wait.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger.h"
#include "miscadmin.h"
#include "money.h"
#include "period.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* What is added to one balance. */
typedef struct Change
{
	int64		budget_id;
	const char *entity;
	TimestampTz period_start;
	Numeric		posted;
	int64		unpriced_calls;
	TimestampTz first_at;		/* 0 where last_at is: none */
	TimestampTz last_at;
	bool		has_call;
} Change;

typedef struct Changes
{
	int			n;
	int			max;
	Change	   *change;
} Changes;

static Numeric
zero(void)
{
	return DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(0)));
}

static Numeric
number(int64 value)
{
	return DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(value)));
}

static uint64
run(SPIPlanPtr *plan, const char *query, int nargs, Oid *types, Datum *values)
{
	int			result;

	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor(query, nargs, types, CURSOR_OPT_GENERIC_PLAN);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
		*plan = made;
	}
	result = SPI_execute_plan(*plan, values, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "could not settle holds: %s", SPI_result_code_string(result));
	return SPI_processed;
}

static Datum
result(uint64 row, int column, bool *isnull)
{
	bool		null;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull ? isnull : &null);
}

static Datum
array_of(Datum *values, bool *nulls, int n, Oid type)
{
	int			lower = 1;
	int			len = type == UUIDOID ? UUID_LEN : type == NUMERICOID || type == TEXTOID ? -1 : type == BOOLOID ? 1 : 8;
	bool		by_value = len == 8 || len == 1;
	char		align = len == 8 ? TYPALIGN_DOUBLE : len == -1 ? TYPALIGN_INT : TYPALIGN_CHAR;

	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower, type, len, by_value, align));
}

/* ---- holds ---- */

static int
by_hold(const void *a, const void *b)
{
	const SettledCall *ca = *(SettledCall *const *) a;
	const SettledCall *cb = *(SettledCall *const *) b;
	int			order = memcmp(&ca->hold_id, &cb->hold_id, sizeof(pg_uuid_t));

	if (order != 0)
		return order;
	return ca->call_id < cb->call_id ? -1 : ca->call_id > cb->call_id;
}

/*
 * The first call of each hold, in the order of the holds, and how many calls
 * come with it.
 */
static SettledCall **
first_calls(SettledCall *calls, int ncalls, int *nholds, int64 *counts)
{
	SettledCall **first = palloc_extended(ncalls * sizeof(SettledCall *), MCXT_ALLOC_HUGE);

	for (int i = 0; i < ncalls; i++)
		first[i] = calls + i;
	qsort(first, ncalls, sizeof(SettledCall *), by_hold);
	*nholds = 0;
	for (int i = 0; i < ncalls; i++)
	{
		if (*nholds > 0 && memcmp(&first[*nholds - 1]->hold_id, &first[i]->hold_id, sizeof(pg_uuid_t)) == 0)
		{
			counts[*nholds - 1]++;
			continue;
		}
		counts[*nholds] = 1;
		first[(*nholds)++] = first[i];
	}
	return first;
}

/* The first call gets the hold; what more come with it were not reserved. */
static const char *const hold_query =
	"UPDATE cost_ledger_internal.hold h "
	"SET is_late = h.is_late OR h.state IN ('released', 'expired') OR (h.state = 'open' AND h.expires_at <= $7),"
	" state = CASE h.state WHEN 'open' THEN 'settled' ELSE h.state END,"
	" ended_at = coalesce(h.ended_at, $7),"
	" call_id = coalesce(h.call_id, f.call_id),"
	" cost = CASE WHEN h.call_id IS NULL THEN f.cost ELSE h.cost END,"
	" overrun = CASE WHEN h.call_id IS NULL AND f.cost > h.estimate THEN f.cost - h.estimate ELSE h.overrun END,"
	/* A failure without a price has cost nothing anybody knows of. */
	" provisional = CASE WHEN h.call_id IS NULL AND f.is_unknown AND NOT cost_ledger_internal.is_failure(f.status)"
	"                    THEN greatest(h.estimate - coalesce(f.cost, 0), 0) ELSE h.provisional END,"
	" calls = h.calls + f.calls "
	"FROM unnest($1, $2, $3, $4, $5, $6) AS f (hold_id, call_id, cost, is_unknown, status, calls) "
	"WHERE h.hold_id = f.hold_id "
	"RETURNING h.hold_id, h.call_id, CASE WHEN h.exchanged_at IS NULL THEN h.provisional END";

static void
lock_holds(Datum holds)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};

	run(&plan, "SELECT FROM cost_ledger_internal.hold h WHERE h.hold_id = ANY ($1) ORDER BY h.hold_id FOR UPDATE", 1, types, &holds);
}

/*
 * A hold_id that nobody has granted is spent money all the same.
 */
static void
make_unknown_holds(Datum holds)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};

	run(&plan, "INSERT INTO cost_ledger_internal.hold (hold_id, state, is_unknown) "
		"SELECT u.id, 'settled', true FROM unnest($1) AS u (id) "
		"WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.hold k WHERE k.hold_id = u.id) "
		"ORDER BY 1 ON CONFLICT DO NOTHING", 1, types, &holds);
}

static bool
are_known(Datum holds, int nholds)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};

	return run(&plan, "SELECT FROM cost_ledger_internal.hold h WHERE h.hold_id = ANY ($1)", 1, types, &holds) == (uint64) nholds;
}

static Datum
put_holds(SettledCall **first, int nholds, int64 *counts, TimestampTz ended, Datum *values)
{
	Datum	   *column[6];
	bool	   *null[6];
	static const Oid types[] = {UUIDOID, INT8OID, NUMERICOID, BOOLOID, TEXTOID, INT8OID};

	for (int i = 0; i < 6; i++)
	{
		column[i] = palloc0(nholds * sizeof(Datum));
		null[i] = palloc0(nholds * sizeof(bool));
	}
	for (int i = 0; i < nholds; i++)
	{
		column[0][i] = UUIDPGetDatum(&first[i]->hold_id);
		column[1][i] = Int64GetDatum(first[i]->call_id);
		column[2][i] = NumericGetDatum(first[i]->cost);
		null[2][i] = first[i]->cost == NULL;
		column[3][i] = BoolGetDatum(first[i]->is_unknown);
		null[4][i] = first[i]->status == NULL;
		column[4][i] = first[i]->status ? CStringGetTextDatum(first[i]->status) : (Datum) 0;
		column[5][i] = Int64GetDatum(counts[i]);
	}
	for (int i = 0; i < 6; i++)
		values[i] = array_of(column[i], null[i], nholds, types[i]);
	values[6] = TimestampTzGetDatum(ended);
	return values[0];
}

/*
 * Puts calls on record with their holds.  An estimate that stands in for a
 * price counts as the cost of the call.
 */
static Datum
end_holds(SettledCall *calls, int ncalls, TimestampTz ended)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID, INT8ARRAYOID, NUMERICARRAYOID, BOOLARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[7];
	int64	   *counts = palloc_extended(ncalls * sizeof(int64), MCXT_ALLOC_HUGE);
	int			nholds;
	SettledCall **first = first_calls(calls, ncalls, &nholds, counts);
	Datum		holds = put_holds(first, nholds, counts, ended, values);

	if (nholds > 1)
	{
		if (!are_known(holds, nholds))
			make_unknown_holds(holds);
		lock_holds(holds);
	}
	if (run(&plan, hold_query, 7, types, values) < (uint64) nholds)
	{
		make_unknown_holds(holds);
		run(&plan, hold_query, 7, types, values);
	}
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		pg_uuid_t  *hold_id = DatumGetUUIDP(result(row, 1, NULL));
		int64		call_id = DatumGetInt64(result(row, 2, NULL));
		bool		isnull;
		Datum		provisional = result(row, 3, &isnull);
		SettledCall key = {.hold_id = *hold_id};
		SettledCall *pointer = &key;
		SettledCall **found;

		if (isnull)
			continue;
		key.call_id = call_id;
		found = bsearch(&pointer, first, nholds, sizeof(SettledCall *), by_hold);
		if (found != NULL)
			(*found)->cost = cl_numeric_add((*found)->cost ? (*found)->cost : zero(), DatumGetNumeric(provisional));
	}
	return holds;
}

/* ---- what changes ---- */

static Change *
add_change(Changes *changes, int64 budget_id, const char *entity, TimestampTz period_start)
{
	Change	   *change;

	if (changes->n == changes->max)
	{
		changes->max *= 2;
		changes->change = repalloc_huge(changes->change, changes->max * sizeof(Change));
	}
	change = changes->change + changes->n++;
	memset(change, 0, sizeof(Change));
	change->budget_id = budget_id;
	change->entity = entity;
	change->period_start = period_start;
	change->posted = zero();
	return change;
}

static Numeric
posted_amount(const SettledCall *call, BudgetMetric metric)
{
	switch (metric)
	{
		case METRIC_COST:
			return call->cost ? call->cost : zero();
		case METRIC_TOKENS:
			return call->tokens;
		case METRIC_CALLS:
			return number(1);
		case METRIC_TOOL_CALLS:
			return number(call->tool_calls);
		case METRIC_TURNS:
			return number(call->is_turn ? 1 : 0);
		default:
			return zero();
	}
}

static void
post_call(Changes *changes, const SettledCall *call, BudgetDefinition *budget)
{
	const char *entity = budget->each_of ? cl_shortened(cl_label_value(call->labels, budget->each_of), 512) : "";
	TimestampTz start;
	Change	   *change;

	if (budget->period_length > 0)
		start = cl_minute_of(call->called_at);
	else
	{
		cl_budget_period(budget, call->called_at);
		start = budget->period_start;
	}
	change = add_change(changes, budget->budget_id, entity, start);
	change->posted = posted_amount(call, budget->metric);
	change->unpriced_calls = call->needs_price ? 1 : 0;
	change->first_at = change->last_at = call->called_at;
	change->has_call = true;
}

static void
post_calls(Changes *changes, const SettledCall *call)
{
	for (int i = -1; i < call->labels->n; i++)
	{
		int			nfound;
		BudgetDefinition *budget = cl_find_budgets(i < 0 ? "" : call->labels->label[i].key, &nfound);

		for (; nfound > 0; nfound--, budget++)
		{
			if (!budget->is_request && budget->metric != METRIC_CONCURRENT_CALLS && budget->metric != METRIC_DEPTH &&
				cl_belongs(budget, call->labels))
				post_call(changes, call, budget);
		}
	}
}

static int
by_key(const void *a, const void *b)
{
	const Change *ca = a;
	const Change *cb = b;
	int			order;

	if (ca->budget_id != cb->budget_id)
		return ca->budget_id < cb->budget_id ? -1 : 1;
	order = strcmp(ca->entity, cb->entity);
	if (order != 0)
		return order;
	return ca->period_start < cb->period_start ? -1 : ca->period_start > cb->period_start;
}

static void
merge_change(Change *into, const Change *more)
{
	into->posted = cl_numeric_add(into->posted, more->posted);
	into->unpriced_calls += more->unpriced_calls;
	if (!more->has_call)
		return;
	into->first_at = into->has_call ? Min(into->first_at, more->first_at) : more->first_at;
	into->last_at = into->has_call ? Max(into->last_at, more->last_at) : more->last_at;
	into->has_call = true;
}

/*
 * One change for each balance, in the order of the key.
 */
static void
merge_changes(Changes *changes)
{
	int			n = 0;

	qsort(changes->change, changes->n, sizeof(Change), by_key);
	for (int i = 0; i < changes->n; i++)
	{
		if (n > 0 && by_key(changes->change + n - 1, changes->change + i) == 0)
			merge_change(changes->change + n - 1, changes->change + i);
		else
			changes->change[n++] = changes->change[i];
	}
	changes->n = n;
}

static void
write_changes(Changes *changes)
{
	static SPIPlanPtr plan = NULL;
	static const Oid element[] = {INT8OID, TEXTOID, TIMESTAMPTZOID, NUMERICOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, NUMERICARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID};
	Datum		values[lengthof(element)];
	Datum	   *column[lengthof(element)];

	if (changes->n == 0)
		return;
	for (int i = 0; i < (int) lengthof(element); i++)
		column[i] = palloc_extended(changes->n * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (int i = 0; i < changes->n; i++)
	{
		const Change *change = changes->change + i;

		column[0][i] = Int64GetDatum(change->budget_id);
		column[1][i] = CStringGetTextDatum(change->entity);
		column[2][i] = TimestampTzGetDatum(change->period_start);
		column[3][i] = NumericGetDatum(change->posted);
		column[4][i] = Int64GetDatum(change->unpriced_calls);
		column[5][i] = TimestampTzGetDatum(change->first_at);
		column[6][i] = TimestampTzGetDatum(change->last_at);
	}
	for (int i = 0; i < (int) lengthof(element); i++)
		values[i] = array_of(column[i], NULL, changes->n, element[i]);
	run(&plan, "INSERT INTO cost_ledger_internal.budget_balance AS b (budget_id, entity, period_start, posted, unpriced_calls, first_at, last_at) "
		"SELECT c.* FROM unnest($1, $2, $3, $4, $5, $6, $7) AS c "
		"ON CONFLICT (budget_id, entity, period_start) DO UPDATE SET"
		" posted = b.posted + excluded.posted, unpriced_calls = b.unpriced_calls + excluded.unpriced_calls,"
		" first_at = least(b.first_at, excluded.first_at), last_at = greatest(b.last_at, excluded.last_at)", lengthof(types), types, values);
}

/* ---- lines ---- */

/*
 * What is over of a balance that somebody has is his to take out, or whose it
 * is next.  A line that he is at he takes already.
 */
static void
end_lines(Datum holds)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};

	run(&plan, "UPDATE cost_ledger_internal.hold_line l SET expires_at = '-infinity' "
		"FROM (SELECT k.hold_id, k.budget_id, k.entity FROM cost_ledger_internal.hold_line k WHERE k.hold_id = ANY ($1) FOR UPDATE SKIP LOCKED) k "
		"WHERE l.hold_id = k.hold_id AND l.budget_id = k.budget_id AND l.entity = k.entity", 1, types, &holds);
}

/*
 * Takes what holds have reserved out of the balances, and waits for none of
 * them.  The caller has the holds.  Returns when the first of it expires, or
 * would have.
 */
static TimestampTz
give_back(Datum holds)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};
	bool		isnull;
	Datum		expires_at;

	run(&plan, "WITH line AS MATERIALIZED (SELECT l.budget_id, l.entity, l.expires_at FROM cost_ledger_internal.hold_line l WHERE l.hold_id = ANY ($1)), "
		"mine AS MATERIALIZED (SELECT s.budget_id, s.entity FROM (SELECT DISTINCT l.budget_id, l.entity FROM line l) l "
		"  JOIN cost_ledger_internal.budget_balance s ON s.budget_id = l.budget_id AND s.entity = l.entity AND s.period_start = 'infinity' "
		"  FOR NO KEY UPDATE OF s SKIP LOCKED), "
		"gone AS (DELETE FROM cost_ledger_internal.hold_line l USING mine m "
		"  WHERE l.hold_id = ANY ($1) AND l.budget_id = m.budget_id AND l.entity = m.entity RETURNING l.budget_id, l.entity, l.amount), "
		"given AS (UPDATE cost_ledger_internal.budget_balance s SET held = s.held - g.amount "
		"  FROM (SELECT g.budget_id, g.entity, sum(g.amount) AS amount FROM gone g GROUP BY 1, 2) g "
		"  WHERE s.budget_id = g.budget_id AND s.entity = g.entity AND s.period_start = 'infinity') "
		"SELECT min(l.expires_at), count(*) > (SELECT count(*) FROM gone) FROM line l", 1, types, &holds);
	expires_at = result(0, 1, &isnull);
	if (DatumGetBool(result(0, 2, NULL)))
		end_lines(holds);
	return isnull ? DT_NOEND : DatumGetTimestampTz(expires_at);
}

/*
 * Holds that have expired before their lines were ours are late.
 */
static void
mark_late(Datum holds)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};

	run(&plan, "UPDATE cost_ledger_internal.hold h SET is_late = true "
		"WHERE h.hold_id = ANY ($1) AND h.expires_at <= clock_timestamp() AND NOT h.is_late", 1, types, &holds);
}

static void
settle(SettledCall *calls, int ncalls)
{
	Changes		changes = {.max = 16, .change = palloc(16 * sizeof(Change))};
	Datum		holds = end_holds(calls, ncalls, GetCurrentTimestamp());

	if (give_back(holds) <= GetCurrentTimestamp())
		mark_late(holds);
	for (int i = 0; i < ncalls; i++)
		post_calls(&changes, calls + i);
	merge_changes(&changes);
	write_changes(&changes);
}

/*
 * Every step is a look-up by index, whatever the statistics say; and the names
 * are ours, whatever the path of who inserts.
 */
static void
set_up(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"}, {"jit", "off"}, {"enable_seqscan", "off"},
		{"enable_bitmapscan", "off"}, {"enable_hashjoin", "off"}, {"enable_mergejoin", "off"}
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Who has ended other holds in this transaction might have what somebody waits
 * for who has what we wait for.
 */
static void
settle_in_turn(SettledCall *calls, int ncalls)
{
	MemoryContext caller = CurrentMemoryContext;

	if (!cl_has_ended_holds())
	{
		cl_note_ended_holds();
		cl_wait_patiently();
		settle(calls, ncalls);
		return;
	}
	cl_wait_briefly();
	PG_TRY();
	{
		settle(calls, ncalls);
	}
	PG_CATCH();
	{
		cl_explain_wait(caller, "another transaction has had a hold, or what is posted of a budget, for too long");
	}
	PG_END_TRY();
}

/*
 * Settles the holds of calls.  The caller has the rights of the owner.
 */
void
cl_settle_holds(SettledCall *calls, int ncalls)
{
	int			outer = NewGUCNestLevel();

	/* An older snapshot might not have a budget that is being set. */
	if (XactIsoLevel != XACT_READ_COMMITTED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("holds are settled at READ COMMITTED only"),
				 errhint("BEGIN ISOLATION LEVEL READ COMMITTED; or insert the call without its hold_id and release() the hold.")));
	set_up();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	/* start_budget() waits for this, and this for it. */
	LockRelationOid(cl_ledger_relation("budget_balance"), RowExclusiveLock);
	cl_load_budgets();
	settle_in_turn(calls, ncalls);
	SPI_finish();
	AtEOXact_GUC(true, outer);
}

PG_FUNCTION_INFO_V1(cl_give_back);

/*
 * give_back(hold_ids uuid[]) → void
 */
Datum
cl_give_back(PG_FUNCTION_ARGS)
{
	int			outer;

	if (PG_ARGISNULL(0))
		PG_RETURN_VOID();
	outer = NewGUCNestLevel();
	set_up();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	(void) give_back(PG_GETARG_DATUM(0));
	SPI_finish();
	AtEOXact_GUC(true, outer);
	PG_RETURN_VOID();
}
