/*-------------------------------------------------------------------------
 * budget_balance.c
 *	  Rows of balances, holds and their lines, by their keys.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/xact.h"
#include "budget_balance.h"
#include "ledger.h"
#include "miscadmin.h"
#include "money.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

static const char *const balance_columns[] = {
	"budget_id", "period_start", "entity", "posted", "held", "unpriced_calls",
	"first_at", "last_at"
};
static const char *const line_columns[] = {
	"hold_id", "budget_id", "entity", "period_start", "amount", "expires_at"
};
static const char *const hold_columns[] = {
	"hold_id", "hold_key", "run_id", "parent_run_id", "request", "estimate",
	"answer", "state", "created_at", "expires_at", "ended_at", "call_id",
	"cost", "overrun", "provisional", "exchanged_at", "calls", "is_late",
	"is_unknown"
};

StaticAssertDecl(lengthof(balance_columns) == NUM_BALANCE_COLUMNS, "columns of budget_balance");
StaticAssertDecl(lengthof(line_columns) == NUM_LINE_COLUMNS, "columns of hold_line");
StaticAssertDecl(lengthof(hold_columns) == NUM_HOLD_COLUMNS, "columns of hold");

void
cl_open_books(Books *books, LOCKMODE mode)
{
	cl_open_rows(&books->balances, "budget_balance", balance_columns, NUM_BALANCE_COLUMNS, mode);
	cl_open_rows(&books->holds, "hold", hold_columns, NUM_HOLD_COLUMNS, mode);
	cl_open_rows(&books->lines, "hold_line", line_columns, NUM_LINE_COLUMNS, mode);
	cl_see_books(books);
}

/*
 * From now on the books are seen as they are now, all by one snapshot.
 */
void
cl_see_books(Books *books)
{
	Snapshot	snapshot;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	cl_see_rows(&books->balances, snapshot);
	cl_see_rows(&books->holds, snapshot);
	cl_see_rows(&books->lines, snapshot);
	UnregisterSnapshot(snapshot);
}

void
cl_close_books(Books *books)
{
	cl_close_rows(&books->lines);
	cl_close_rows(&books->holds);
	cl_close_rows(&books->balances);
}

static void
balance_keys(ScanKey keys, int64 budget_id, const char *entity, StrategyNumber strategy, TimestampTz period_start)
{
	cl_int64_key(keys, 1, BTEqualStrategyNumber, budget_id);
	cl_text_key(keys + 1, 2, entity);
	cl_time_key(keys + 2, 3, strategy, period_start);
}

bool
cl_find_balance(const Books *books, int64 budget_id, const char *entity, TimestampTz period_start, TupleTableSlot *row)
{
	ScanKeyData keys[3];

	balance_keys(keys, budget_id, entity, BTEqualStrategyNumber, period_start);
	return cl_find_row(&books->balances, cl_primary_key(books->balances.relation), keys, 3, row);
}

static void
fill_balance(TupleTableSlot *row, int64 budget_id, const char *entity, TimestampTz period_start)
{
	Datum		zero = NumericGetDatum(cl_numeric_from_int64(0));

	ExecClearTuple(row);
	memset(row->tts_isnull, true, row->tts_tupleDescriptor->natts * sizeof(bool));
	memset(row->tts_isnull, false, BALANCE_FIRST_AT * sizeof(bool));
	row->tts_values[BALANCE_BUDGET_ID] = Int64GetDatum(budget_id);
	row->tts_values[BALANCE_PERIOD_START] = TimestampTzGetDatum(period_start);
	row->tts_values[BALANCE_ENTITY] = CStringGetTextDatum(entity);
	row->tts_values[BALANCE_POSTED] = row->tts_values[BALANCE_HELD] = zero;
	row->tts_values[BALANCE_UNPRICED_CALLS] = Int64GetDatum(0);
	ExecStoreVirtualTuple(row);
}

/*
 * Locks a balance, which is made if it is not there.
 */
void
cl_take_balance(Books *books, int64 budget_id, const char *entity, TimestampTz period_start, TupleTableSlot *row)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (cl_find_balance(books, budget_id, entity, period_start, row))
		{
			if (cl_lock_row(&books->balances, row, LockTupleNoKeyExclusive))
				return;
		}
		else
		{
			fill_balance(row, budget_id, entity, period_start);
			(void) cl_insert_new_row(&books->balances, row, cl_primary_key(books->balances.relation));
		}
		cl_see_books(books);
	}
}

/*
 * The balances of an entity from a period on, the earliest first.
 */
IndexScanDesc
cl_begin_balances(const Books *books, int64 budget_id, const char *entity, TimestampTz first_start)
{
	ScanKeyData keys[3];

	balance_keys(keys, budget_id, entity, BTGreaterEqualStrategyNumber, first_start);
	return cl_begin_rows(&books->balances, cl_primary_key(books->balances.relation), keys, 3);
}

/*
 * What is held of a balance and expires by a time, the first first.
 */
IndexScanDesc
cl_begin_lines(const Books *books, int64 budget_id, const char *entity, TimestampTz expires_by)
{
	ScanKeyData keys[4];

	balance_keys(keys, budget_id, entity, BTEqualStrategyNumber, GATE);
	cl_time_key(keys + 3, 4, BTLessEqualStrategyNumber, expires_by);
	return cl_begin_rows(&books->lines, cl_ledger_relation("hold_line_balance"), keys, 4);
}

/*
 * An amount that outlives its row, or NULL.
 */
Numeric
cl_amount_of(TupleTableSlot *row, int column)
{
	bool		isnull;
	Datum		value = cl_row_value(row, column, &isnull);

	return isnull ? NULL : DatumGetNumericCopy(value);
}

/*
 * DT_NOEND where there is none.
 */
TimestampTz
cl_time_of(TupleTableSlot *row, int column)
{
	bool		isnull;
	Datum		value = cl_row_value(row, column, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(value);
}
