/*-------------------------------------------------------------------------
 * budget_settle.c
 *	  What calls with a hold do to balances: what was held is given back, what
 *	  they cost is posted by their own labels, in the periods of called_at.
 *
 * Locks are taken in the order of everybody: the table of balances, holds by
 * their id, balances by their key, lines.  Lines go when their balances are
 * ours: until then whoever has a balance may take expired lines of it, and then
 * they are not to be given back twice.
 *
 * The measures are those of budget_spend_query(); check_balances() compares.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "budget_query.h"
#include "budget_settle.h"
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
	Numeric		held;
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

/* What was held for the calls. */
typedef struct Line
{
	pg_uuid_t	hold_id;
	int64		budget_id;
	char	   *entity;
	TimestampTz period_start;
	Numeric		amount;
} Line;

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

	cl_ask(&plan, "SELECT FROM cost_ledger_internal.hold h WHERE h.hold_id = ANY ($1) ORDER BY h.hold_id FOR UPDATE", 1, types, &holds, NULL);
}

/*
 * A hold_id that nobody has granted is spent money all the same.
 */
static void
make_unknown_holds(Datum holds)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};

	cl_ask(&plan, "INSERT INTO cost_ledger_internal.hold (hold_id, state, is_unknown) "
		"SELECT u.id, 'settled', true FROM unnest($1) AS u (id) "
		"WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.hold k WHERE k.hold_id = u.id) "
		"ORDER BY 1 ON CONFLICT DO NOTHING", 1, types, &holds, NULL);
}

static bool
are_known(Datum holds, int nholds)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};

	return cl_ask(&plan, "SELECT FROM cost_ledger_internal.hold h WHERE h.hold_id = ANY ($1)", 1, types, &holds, NULL) == (uint64) nholds;
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
		values[i] = cl_array_of(column[i], null[i], nholds, types[i]);
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
	if (cl_ask(&plan, hold_query, 7, types, values, NULL) < (uint64) nholds)
	{
		make_unknown_holds(holds);
		cl_ask(&plan, hold_query, 7, types, values, NULL);
	}
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		pg_uuid_t  *hold_id = DatumGetUUIDP(cl_result(row, 1, NULL));
		int64		call_id = DatumGetInt64(cl_result(row, 2, NULL));
		bool		isnull;
		Datum		provisional = cl_result(row, 3, &isnull);
		SettledCall key = {.hold_id = *hold_id};
		SettledCall *pointer = &key;
		SettledCall **found;

		if (isnull)
			continue;
		key.call_id = call_id;
		found = bsearch(&pointer, first, nholds, sizeof(SettledCall *), by_hold);
		if (found != NULL)
			(*found)->cost = cl_numeric_add((*found)->cost ? (*found)->cost : cl_numeric_from_int64(0), DatumGetNumeric(provisional));
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
	change->posted = change->held = cl_numeric_from_int64(0);
	return change;
}

static Numeric
posted_amount(const SettledCall *call, BudgetMetric metric)
{
	switch (metric)
	{
		case METRIC_COST:
			return call->cost ? call->cost : cl_numeric_from_int64(0);
		case METRIC_TOKENS:
			return call->tokens;
		case METRIC_CALLS:
			return cl_numeric_from_int64(1);
		case METRIC_TOOL_CALLS:
			return cl_numeric_from_int64(call->tool_calls);
		case METRIC_TURNS:
			return cl_numeric_from_int64(call->is_turn ? 1 : 0);
		default:
			return cl_numeric_from_int64(0);
	}
}

static void
post_call(Changes *changes, const SettledCall *call, BudgetDefinition *budget)
{
	const char *entity = cl_budget_entity(budget->each, budget->neach, call->labels);
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
	ListCell   *cell;

	foreach(cell, cl_budgets_of(call->labels))
	{
		BudgetDefinition *budget = lfirst(cell);

		if (!budget->is_request && budget->metric != METRIC_CONCURRENT_CALLS && budget->metric != METRIC_DEPTH)
			post_call(changes, call, budget);
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
	into->held = cl_numeric_add(into->held, more->held);
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
	static const Oid element[] = {INT8OID, TEXTOID, TIMESTAMPTZOID, NUMERICOID, NUMERICOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, NUMERICARRAYOID, NUMERICARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID};
	Datum		values[8];
	Datum	   *column[8];
	bool	   *has_none = palloc(Max(changes->n, 1) * sizeof(bool));

	if (changes->n == 0)
		return;
	for (int i = 0; i < 8; i++)
		column[i] = palloc_extended(changes->n * sizeof(Datum), MCXT_ALLOC_HUGE);
	for (int i = 0; i < changes->n; i++)
	{
		const Change *change = changes->change + i;

		column[0][i] = Int64GetDatum(change->budget_id);
		column[1][i] = CStringGetTextDatum(change->entity);
		column[2][i] = TimestampTzGetDatum(change->period_start);
		column[3][i] = NumericGetDatum(change->posted);
		column[4][i] = NumericGetDatum(change->held);
		column[5][i] = Int64GetDatum(change->unpriced_calls);
		column[6][i] = TimestampTzGetDatum(change->first_at);
		column[7][i] = TimestampTzGetDatum(change->last_at);
		has_none[i] = !change->has_call;
	}
	for (int i = 0; i < 8; i++)
		values[i] = cl_array_of(column[i], i >= 6 ? has_none : NULL, changes->n, element[i]);
	cl_ask(&plan, "INSERT INTO cost_ledger_internal.budget_balance AS b (budget_id, entity, period_start, posted, held, unpriced_calls, first_at, last_at) "
		"SELECT c.* FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS c "
		"ON CONFLICT (budget_id, entity, period_start) DO UPDATE SET"
		" posted = b.posted + excluded.posted, held = b.held + excluded.held, unpriced_calls = b.unpriced_calls + excluded.unpriced_calls,"
		" first_at = least(b.first_at, excluded.first_at), last_at = greatest(b.last_at, excluded.last_at)", 8, types, values, NULL);
}

/* ---- lines ---- */

/*
 * What is held for the calls; when the first of it expires.
 */
static Line *
read_lines(Datum holds, int *nlines, TimestampTz *expires_at)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};
	Line	   *lines;

	*nlines = cl_ask(&plan, "SELECT l.hold_id, l.budget_id, l.entity, l.period_start, l.amount, l.expires_at "
				  "FROM cost_ledger_internal.hold_line l WHERE l.hold_id = ANY ($1)", 1, types, &holds, NULL);
	*expires_at = DT_NOEND;
	lines = palloc_extended(Max(*nlines, 1) * sizeof(Line), MCXT_ALLOC_HUGE);
	for (int i = 0; i < *nlines; i++)
	{
		lines[i].hold_id = *DatumGetUUIDP(cl_result(i, 1, NULL));
		lines[i].budget_id = DatumGetInt64(cl_result(i, 2, NULL));
		lines[i].entity = TextDatumGetCString(cl_result(i, 3, NULL));
		lines[i].period_start = DatumGetTimestampTz(cl_result(i, 4, NULL));
		lines[i].amount = DatumGetNumericCopy(cl_result(i, 5, NULL));
		*expires_at = Min(*expires_at, DatumGetTimestampTz(cl_result(i, 6, NULL)));
	}
	return lines;
}

static bool
is_gone(const Line *line)
{
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		if (DatumGetInt64(cl_result(row, 2, NULL)) == line->budget_id &&
			memcmp(DatumGetUUIDP(cl_result(row, 1, NULL)), &line->hold_id, sizeof(pg_uuid_t)) == 0 &&
			strcmp(TextDatumGetCString(cl_result(row, 3, NULL)), line->entity) == 0)
			return true;
	}
	return false;
}

/*
 * What somebody has taken of the lines meanwhile is not to be given back twice.
 */
static void
delete_lines(Datum holds, Line *lines, int nlines)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};
	Changes		taken = {.max = 16, .change = palloc(16 * sizeof(Change))};

	if (cl_ask(&plan, "DELETE FROM cost_ledger_internal.hold_line l WHERE l.hold_id = ANY ($1) RETURNING l.hold_id, l.budget_id, l.entity",
			1, types, &holds, NULL) == (uint64) nlines)
		return;
	for (int i = 0; i < nlines; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_gone(lines + i))
			add_change(&taken, lines[i].budget_id, lines[i].entity, lines[i].period_start)->held = lines[i].amount;
	}
	merge_changes(&taken);
	write_changes(&taken);
}

/*
 * Holds that have expired while we waited for the balances are late.
 */
static void
mark_late(Datum holds)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDARRAYOID};

	cl_ask(&plan, "UPDATE cost_ledger_internal.hold h SET is_late = true "
		"WHERE h.hold_id = ANY ($1) AND h.expires_at <= clock_timestamp() AND NOT h.is_late", 1, types, &holds, NULL);
}

static void
settle(SettledCall *calls, int ncalls)
{
	Changes		changes = {.max = 16, .change = palloc(16 * sizeof(Change))};
	Datum		holds = end_holds(calls, ncalls, GetCurrentTimestamp());
	int			nlines;
	TimestampTz expires_at;
	Line	   *lines = read_lines(holds, &nlines, &expires_at);

	for (int i = 0; i < ncalls; i++)
		post_calls(&changes, calls + i);
	for (int i = 0; i < nlines; i++)
	{
		Change	   *change = add_change(&changes, lines[i].budget_id, lines[i].entity, lines[i].period_start);

		change->held = cl_numeric_sub(cl_numeric_from_int64(0), lines[i].amount);
	}
	merge_changes(&changes);
	write_changes(&changes);
	if (nlines > 0)
		delete_lines(holds, lines, nlines);
	if (expires_at <= GetCurrentTimestamp())
		mark_late(holds);
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
	settle(calls, ncalls);
	SPI_finish();
	AtEOXact_GUC(true, outer);
}
