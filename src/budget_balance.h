/*-------------------------------------------------------------------------
 * budget_balance.h
 *	  Rows of balances, holds and their lines.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_BALANCE_H
#define COST_LEDGER_BUDGET_BALANCE_H

#include "row.h"
#include "utils/numeric.h"

/* The period_start of what is held, in a row of its own. */
#define GATE DT_NOEND

/* Columns of budget_balance, from 0. */
typedef enum BalanceColumn
{
	BALANCE_BUDGET_ID,
	BALANCE_PERIOD_START,
	BALANCE_ENTITY,
	BALANCE_POSTED,
	BALANCE_HELD,
	BALANCE_UNPRICED_CALLS,
	BALANCE_FIRST_AT,
	BALANCE_LAST_AT,
	NUM_BALANCE_COLUMNS
} BalanceColumn;

typedef enum LineColumn
{
	LINE_HOLD_ID,
	LINE_BUDGET_ID,
	LINE_ENTITY,
	LINE_PERIOD_START,
	LINE_AMOUNT,
	LINE_EXPIRES_AT,
	NUM_LINE_COLUMNS
} LineColumn;

typedef enum HoldColumn
{
	HOLD_ID,
	HOLD_KEY,
	HOLD_RUN_ID,
	HOLD_PARENT_RUN_ID,
	HOLD_REQUEST,
	HOLD_ESTIMATE,
	HOLD_ANSWER,
	HOLD_STATE,
	HOLD_CREATED_AT,
	HOLD_EXPIRES_AT,
	HOLD_ENDED_AT,
	HOLD_CALL_ID,
	HOLD_COST,
	HOLD_OVERRUN,
	HOLD_PROVISIONAL,
	HOLD_EXCHANGED_AT,
	HOLD_CALLS,
	HOLD_IS_LATE,
	HOLD_IS_UNKNOWN,
	NUM_HOLD_COLUMNS
} HoldColumn;

/* The tables of a decision or settlement, open together. */
typedef struct Books
{
	RowTable	balances;
	RowTable	holds;
	RowTable	lines;
} Books;

extern void cl_open_books(Books *books, LOCKMODE mode);
extern void cl_see_books(Books *books);
extern void cl_close_books(Books *books);
extern bool cl_find_balance(const Books *books, int64 budget_id, const char *entity, TimestampTz period_start, TupleTableSlot *row);
extern void cl_take_balance(Books *books, int64 budget_id, const char *entity, TimestampTz period_start, TupleTableSlot *row);
extern IndexScanDesc cl_begin_balances(const Books *books, int64 budget_id, const char *entity, TimestampTz first_start);
extern IndexScanDesc cl_begin_lines(const Books *books, int64 budget_id, const char *entity, TimestampTz expires_by);
extern Numeric cl_amount_of(TupleTableSlot *row, int column);
extern TimestampTz cl_time_of(TupleTableSlot *row, int column);

#endif							/* COST_LEDGER_BUDGET_BALANCE_H */
