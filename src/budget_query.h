/*-------------------------------------------------------------------------
 * budget_query.h
 *	  How budgets ask the executor.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_QUERY_H
#define COST_LEDGER_BUDGET_QUERY_H

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "utils/numeric.h"

extern uint64 cl_ask(SPIPlanPtr *plan, const char *query, int nargs, Oid *types, Datum *values, const char *nulls);
extern Datum cl_result(int row, int column, bool *isnull);
extern Numeric cl_numeric_result(int row, int column);
extern TimestampTz cl_time_result(int row, int column);
extern char *cl_text_result(int row, int column);
extern Datum cl_array_of(Datum *values, bool *nulls, int n, Oid type);

#endif							/* COST_LEDGER_BUDGET_QUERY_H */
