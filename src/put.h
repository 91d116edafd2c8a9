/*-------------------------------------------------------------------------
 * put.h
 *	  Adds parts to the tables of the rollups.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_PUT_H
#define COST_LEDGER_PUT_H

#include "delta.h"
#include "access/tupdesc.h"
#include "utils/array.h"
#include "utils/tuplestore.h"

typedef enum RollupTable
{
	ROLLUP_MINUTE,
	ROLLUP_HOUR,
	ROLLUP_DAY,
	ROLLUP_MONTH,
	ROLLUP_TOTAL_DAY,
	ROLLUP_TOTAL_WEEK,
	ROLLUP_TOTAL_MONTH,
	ROLLUP_USER_DAY,
	ROLLUP_USER_MONTH,
	ROLLUP_USER_FEATURE_MONTH,
	ROLLUP_WITHOUT_RUN_DAY,
	ROLLUP_SUBRUN_MONTH,
	ROLLUP_SESSION,
	ROLLUP_RUN,
	NUM_ROLLUP_TABLES
} RollupTable;

extern void cl_find_ids(const char *table, const Table *subjects, int num_values);
extern void cl_put_parts(RollupTable table, Part **parts, uint64 num_parts);
extern void cl_store_parts(Tuplestorestate *store, TupleDesc descriptor, Part **parts, uint64 num_parts);
extern void cl_delete_parts(RollupTable table, Part **parts, uint64 num_parts, Datum kept_times, bool *is_kept);
extern void cl_find_start_days(RollupTable rollup, const Table *spans, MemoryContext context, ArrayBuildState **days);
extern uint64 cl_sorted_parts(const Table *table, Part ***parts);

#endif							/* COST_LEDGER_PUT_H */
