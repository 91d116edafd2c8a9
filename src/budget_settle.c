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

#include "budget_balance.h"
#include "budget_query.h"
#include "budget_settle.h"
#include "budget_wait.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger.h"
#include "lib/qunique.h"
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
	Numeric		freed;			/* what was held */
	int64		unpriced_calls;
	TimestampTz first_at;		/* 0 where last_at is: none */
	TimestampTz last_at;
	TupleTableSlot *balance;	/* once it is ours */
} Change;

typedef struct Changes
{
	int			n;
	int			max;
	Change	   *change;
} Changes;

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

static void
put(Datum *values, bool *nulls, int place, Datum value, bool isnull)
{
	values[place] = isnull ? (Datum) 0 : value;
	nulls[place] = isnull;
}

static bool
is_failure(const char *status)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID};
	Datum		value = status ? CStringGetTextDatum(status) : (Datum) 0;

	cl_ask(&plan, "SELECT cost_ledger_internal.is_failure($1)", 1, types, &value, status ? " " : "n");
	return DatumGetBool(cl_result(0, 1, NULL));
}

/*
 * What an estimate stands in for: the cost of a call that has no price.  A
 * failure without a price has cost nothing anybody knows of.
 */
static Numeric
find_provisional(const SettledCall *call, Numeric estimate)
{
	Numeric		rest;

	if (!call->is_unknown || is_failure(call->status))
		return NULL;
	if (estimate == NULL)
		return cl_numeric_from_int64(0);
	rest = call->cost ? cl_numeric_sub(estimate, call->cost) : estimate;
	return cl_numeric_is_negative(rest) ? cl_numeric_from_int64(0) : rest;
}

static bool
has_state(TupleTableSlot *hold, const char *state)
{
	return strcmp(TextDatumGetCString(cl_row_value(hold, HOLD_STATE, NULL)), state) == 0;
}

/*
 * Whether a hold reserves nothing any more.
 */
static bool
is_over(TupleTableSlot *hold, TimestampTz at)
{
	return DatumGetBool(cl_row_value(hold, HOLD_IS_LATE, NULL)) || has_state(hold, "released") || has_state(hold, "expired") ||
		(has_state(hold, "open") && cl_time_of(hold, HOLD_EXPIRES_AT) <= at);
}

/*
 * The first call gets the hold; what more come with it were not reserved.
 */
static void
end_hold(Books *books, TupleTableSlot *hold, SettledCall *call, int64 ncalls, TimestampTz at)
{
	static const int columns[] = {HOLD_STATE, HOLD_ENDED_AT, HOLD_CALLS, HOLD_IS_LATE, HOLD_CALL_ID, HOLD_COST, HOLD_OVERRUN, HOLD_PROVISIONAL};
	Datum		values[lengthof(columns)];
	bool		nulls[lengthof(columns)] = {0};
	Numeric		estimate = cl_amount_of(hold, HOLD_ESTIMATE);
	Numeric		provisional;
	bool		is_first;

	(void) cl_row_value(hold, HOLD_CALL_ID, &is_first);
	values[0] = has_state(hold, "open") ? CStringGetTextDatum("settled") : cl_row_value(hold, HOLD_STATE, NULL);
	values[1] = TimestampTzGetDatum(cl_time_of(hold, HOLD_ENDED_AT) == DT_NOEND ? at : cl_time_of(hold, HOLD_ENDED_AT));
	values[2] = Int32GetDatum(DatumGetInt32(cl_row_value(hold, HOLD_CALLS, NULL)) + (int32) ncalls);
	values[3] = BoolGetDatum(is_over(hold, at));
	if (is_first)
	{
		bool		is_more = call->cost && estimate && cl_numeric_compare(call->cost, estimate) > 0;

		provisional = find_provisional(call, estimate);
		put(values, nulls, 4, Int64GetDatum(call->call_id), false);
		put(values, nulls, 5, NumericGetDatum(call->cost), call->cost == NULL);
		put(values, nulls, 6, is_more ? NumericGetDatum(cl_numeric_sub(call->cost, estimate)) : (Datum) 0, !is_more);
		put(values, nulls, 7, NumericGetDatum(provisional), provisional == NULL);
		if (provisional != NULL)
			call->cost = call->cost ? cl_numeric_add(call->cost, provisional) : provisional;
	}
	cl_update_row(&books->holds, hold, columns, values, nulls, is_first ? 8 : 4);
}

/*
 * A hold_id that nobody has granted is spent money all the same.
 */
static void
make_unknown_hold(Books *books, TupleTableSlot *hold, const pg_uuid_t *hold_id, TimestampTz at)
{
	ExecClearTuple(hold);
	memset(hold->tts_isnull, true, hold->tts_tupleDescriptor->natts * sizeof(bool));
	put(hold->tts_values, hold->tts_isnull, HOLD_ID, UUIDPGetDatum(hold_id), false);
	put(hold->tts_values, hold->tts_isnull, HOLD_STATE, CStringGetTextDatum("settled"), false);
	put(hold->tts_values, hold->tts_isnull, HOLD_CREATED_AT, TimestampTzGetDatum(at), false);
	put(hold->tts_values, hold->tts_isnull, HOLD_CALLS, Int32GetDatum(0), false);
	put(hold->tts_values, hold->tts_isnull, HOLD_IS_LATE, BoolGetDatum(false), false);
	put(hold->tts_values, hold->tts_isnull, HOLD_IS_UNKNOWN, BoolGetDatum(true), false);
	ExecStoreVirtualTuple(hold);
	(void) cl_insert_new_row(&books->holds, hold, cl_primary_key(books->holds.relation));
}

static bool
find_hold(Books *books, const pg_uuid_t *hold_id, TupleTableSlot *hold)
{
	ScanKeyData key;

	cl_uuid_key(&key, 1, hold_id);
	return cl_find_row(&books->holds, cl_primary_key(books->holds.relation), &key, 1, hold);
}

static void
take_hold(Books *books, const pg_uuid_t *hold_id, TupleTableSlot *hold, TimestampTz at)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!find_hold(books, hold_id, hold))
			make_unknown_hold(books, hold, hold_id, at);
		else if (cl_lock_row(&books->holds, hold, LockTupleNoKeyExclusive))
			return;
		cl_see_books(books);
	}
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
	change->posted = change->freed = cl_numeric_from_int64(0);
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
	into->unpriced_calls += more->unpriced_calls;
	into->first_at = Min(into->first_at, more->first_at);
	into->last_at = Max(into->last_at, more->last_at);
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
take_balances(Books *books, Changes *changes)
{
	for (int i = 0; i < changes->n; i++)
	{
		Change	   *change = changes->change + i;

		change->balance = cl_make_row(&books->balances);
		cl_take_balance(books, change->budget_id, change->entity, change->period_start, change->balance);
	}
}

static void
write_change(Books *books, const Change *change)
{
	static const int columns[] = {BALANCE_POSTED, BALANCE_UNPRICED_CALLS, BALANCE_FIRST_AT, BALANCE_LAST_AT};
	TupleTableSlot *balance = change->balance;
	TimestampTz first_at = cl_time_of(balance, BALANCE_FIRST_AT);
	TimestampTz last_at = cl_time_of(balance, BALANCE_LAST_AT);
	Datum		values[lengthof(columns)] = {
		NumericGetDatum(cl_numeric_add(cl_amount_of(balance, BALANCE_POSTED), change->posted)),
		Int64GetDatum(DatumGetInt64(cl_row_value(balance, BALANCE_UNPRICED_CALLS, NULL)) + change->unpriced_calls),
		TimestampTzGetDatum(Min(first_at, change->first_at)),
		TimestampTzGetDatum(last_at == DT_NOEND ? change->last_at : Max(last_at, change->last_at))
	};

	cl_update_row(&books->balances, balance, columns, values, NULL, 4);
}

/* ---- lines ---- */

static IndexScanDesc
begin_lines(Books *books, const pg_uuid_t *hold_id)
{
	ScanKeyData key;

	cl_uuid_key(&key, 1, hold_id);
	return cl_begin_rows(&books->lines, cl_primary_key(books->lines.relation), &key, 1);
}

/*
 * The gates in which something is held; when the first of it expires, or would
 * have.
 */
static TimestampTz
find_gates(Books *books, Changes *gates, const pg_uuid_t *holds, int nholds)
{
	TupleTableSlot *line = cl_make_row(&books->lines);
	TimestampTz expires_at = DT_NOEND;

	for (int i = 0; i < nholds; i++)
	{
		IndexScanDesc scan = begin_lines(books, holds + i);

		while (cl_next_row(scan, line))
		{
			add_change(gates, DatumGetInt64(cl_row_value(line, LINE_BUDGET_ID, NULL)),
					   TextDatumGetCString(cl_row_value(line, LINE_ENTITY, NULL)), GATE);
			expires_at = Min(expires_at, cl_time_of(line, LINE_EXPIRES_AT));
		}
	}
	merge_changes(gates);
	return expires_at;
}

/*
 * Takes the gates that nobody has.
 */
static void
try_gates(Books *books, Changes *gates)
{
	for (int i = 0; i < gates->n; i++)
	{
		Change	   *gate = gates->change + i;
		TupleTableSlot *row = cl_make_row(&books->balances);

		if (cl_find_balance(books, gate->budget_id, gate->entity, GATE, row) &&
			cl_try_lock_row(&books->balances, row, LockTupleNoKeyExclusive))
			gate->balance = row;
	}
}

static Change *
find_gate(const Changes *gates, TupleTableSlot *line)
{
	Change		key = {.budget_id = DatumGetInt64(cl_row_value(line, LINE_BUDGET_ID, NULL)),
		.entity = TextDatumGetCString(cl_row_value(line, LINE_ENTITY, NULL)),
	.period_start = GATE};

	return bsearch(&key, gates->change, gates->n, sizeof(Change), by_key);
}

/*
 * Takes a line out of its gate, if that is ours; else it is over, for whoever
 * has the gate next.  A line that he is at he takes already.
 */
static void
end_line(Books *books, const Changes *gates, TupleTableSlot *line)
{
	const int	column = LINE_EXPIRES_AT;
	const Datum over = TimestampTzGetDatum(DT_NOBEGIN);
	Change	   *gate = find_gate(gates, line);

	if (gate == NULL || (gate->balance == NULL && cl_time_of(line, LINE_EXPIRES_AT) == DT_NOBEGIN) ||
		!cl_try_lock_row(&books->lines, line, LockTupleExclusive))
		return;
	if (gate->balance == NULL)
	{
		cl_update_row(&books->lines, line, &column, &over, NULL, 1);
		return;
	}
	gate->freed = cl_numeric_add(gate->freed, cl_amount_of(line, LINE_AMOUNT));
	cl_delete_row(&books->lines, line);
}

static void
end_lines(Books *books, const Changes *gates, const pg_uuid_t *holds, int nholds)
{
	TupleTableSlot *line = cl_make_row(&books->lines);

	for (int i = 0; i < nholds; i++)
	{
		IndexScanDesc scan = begin_lines(books, holds + i);

		while (cl_next_row(scan, line))
			end_line(books, gates, line);
	}
}

static void
write_gate(Books *books, const Change *gate)
{
	const int	column = BALANCE_HELD;
	Datum		held;

	if (gate->balance == NULL)
		return;
	held = NumericGetDatum(cl_numeric_sub(cl_amount_of(gate->balance, BALANCE_HELD), gate->freed));
	cl_update_row(&books->balances, gate->balance, &column, &held, NULL, 1);
}

/*
 * Takes what holds have reserved out of the gates, and waits for none of them.
 * The caller has the holds.  Returns when the first of it expires, or would
 * have.
 */
static TimestampTz
give_back(Books *books, const pg_uuid_t *holds, int nholds)
{
	Changes		gates = {.max = 16, .change = palloc(16 * sizeof(Change))};
	TimestampTz expires_at;

	cl_see_books(books);
	expires_at = find_gates(books, &gates, holds, nholds);
	try_gates(books, &gates);
	cl_see_books(books);
	end_lines(books, &gates, holds, nholds);
	for (int i = 0; i < gates.n; i++)
		write_gate(books, gates.change + i);
	cl_see_books(books);
	return expires_at;
}

/* ---- all of it ---- */

/*
 * A hold that has expired before its lines were ours is late.
 */
static void
mark_late(Books *books, const pg_uuid_t *hold_id, TupleTableSlot *hold)
{
	const int	column = HOLD_IS_LATE;
	const Datum value = BoolGetDatum(true);

	if (!find_hold(books, hold_id, hold) || cl_time_of(hold, HOLD_EXPIRES_AT) > GetCurrentTimestamp() ||
		DatumGetBool(cl_row_value(hold, HOLD_IS_LATE, NULL)))
		return;
	cl_update_row(&books->holds, hold, &column, &value, NULL, 1);
}

/*
 * Ends the holds of calls, and what they have reserved.
 */
static void
end_holds(Books *books, SettledCall **first, int nholds, const int64 *counts)
{
	TupleTableSlot *hold = cl_make_row(&books->holds);
	pg_uuid_t  *holds = palloc_extended(nholds * sizeof(pg_uuid_t), MCXT_ALLOC_HUGE);
	TimestampTz at = GetCurrentTimestamp();

	for (int i = 0; i < nholds; i++)
	{
		holds[i] = first[i]->hold_id;
		take_hold(books, holds + i, hold, at);
		end_hold(books, hold, first[i], counts[i], at);
	}
	if (give_back(books, holds, nholds) > GetCurrentTimestamp())
		return;
	for (int i = 0; i < nholds; i++)
		mark_late(books, holds + i, hold);
}

static void
settle(Books *books, SettledCall *calls, int ncalls)
{
	Changes		changes = {.max = 16, .change = palloc(16 * sizeof(Change))};
	int64	   *counts = palloc_extended(ncalls * sizeof(int64), MCXT_ALLOC_HUGE);
	int			nholds;
	SettledCall **first = first_calls(calls, ncalls, &nholds, counts);

	end_holds(books, first, nholds, counts);
	for (int i = 0; i < ncalls; i++)
		post_calls(&changes, calls + i);
	merge_changes(&changes);
	take_balances(books, &changes);
	for (int i = 0; i < changes.n; i++)
		write_change(books, changes.change + i);
	CommandCounterIncrement();
}

/*
 * Who has ended other holds in this transaction might have what somebody waits
 * for who has what we wait for.
 */
static void
settle_in_turn(Books *books, SettledCall *calls, int ncalls)
{
	MemoryContext caller = CurrentMemoryContext;

	if (!cl_has_ended_holds())
	{
		cl_note_ended_holds();
		cl_wait_patiently();
		settle(books, calls, ncalls);
		return;
	}
	cl_wait_briefly();
	PG_TRY();
	{
		settle(books, calls, ncalls);
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
	Books		books;

	/* An older snapshot might not have a budget that is being set. */
	if (XactIsoLevel != XACT_READ_COMMITTED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("holds are settled at READ COMMITTED only"),
				 errhint("BEGIN ISOLATION LEVEL READ COMMITTED; or insert the call without its hold_id and release() the hold.")));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	/* start_budget() waits for this, and this for it. */
	LockRelationOid(cl_ledger_relation("budget_balance"), RowExclusiveLock);
	cl_load_budgets();
	cl_open_books(&books, RowExclusiveLock);
	settle_in_turn(&books, calls, ncalls);
	cl_close_books(&books);
	SPI_finish();
	AtEOXact_GUC(true, outer);
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t));
}

PG_FUNCTION_INFO_V1(cl_give_back);

/*
 * give_back(hold_ids uuid[]) → void
 *
 * A hold may be named more than once.
 */
Datum
cl_give_back(PG_FUNCTION_ARGS)
{
	Books		books;
	Datum	   *ids;
	pg_uuid_t  *holds;
	int			nholds;

	if (PG_ARGISNULL(0))
		PG_RETURN_VOID();
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids, NULL, &nholds);
	holds = palloc_extended(Max(nholds, 1) * sizeof(pg_uuid_t), MCXT_ALLOC_HUGE);
	for (int i = 0; i < nholds; i++)
		holds[i] = *DatumGetUUIDP(ids[i]);
	qsort(holds, nholds, sizeof(pg_uuid_t), compare_ids);
	nholds = qunique(holds, nholds, sizeof(pg_uuid_t), compare_ids);
	cl_open_books(&books, RowExclusiveLock);
	(void) give_back(&books, holds, nholds);
	cl_close_books(&books);
	PG_RETURN_VOID();
}
