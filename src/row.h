/*-------------------------------------------------------------------------
 * row.h
 *	  Rows of the ledger's own tables, found and changed one by one.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_ROW_H
#define COST_LEDGER_ROW_H

#include "access/genam.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "nodes/lockoptions.h"
#include "utils/rel.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* A table that is open with its indexes, and what is seen of it. */
typedef struct RowTable
{
	Relation	relation;
	EState	   *estate;
	ResultRelInfo *target;
	Snapshot	snapshot;
	List	   *rows;			/* go when the table is closed */
	int			ncolumns;		/* those that are ours */
	bool		is_extended;	/* by columns that somebody has added */
} RowTable;

extern void cl_open_rows(RowTable *table, const char *name, const char *const *columns, int ncolumns, LOCKMODE mode);
extern void cl_close_rows(RowTable *table);
extern TupleTableSlot *cl_make_row(RowTable *table);
extern Datum cl_row_value(TupleTableSlot *row, int column, bool *isnull);
extern void cl_int64_key(ScanKey key, int column, StrategyNumber strategy, int64 value);
extern void cl_time_key(ScanKey key, int column, StrategyNumber strategy, TimestampTz value);
extern void cl_text_key(ScanKey key, int column, const char *value);
extern void cl_uuid_key(ScanKey key, int column, const pg_uuid_t *value);
extern void cl_see_rows(RowTable *table, Snapshot snapshot);
extern IndexScanDesc cl_begin_rows(const RowTable *table, Oid index, ScanKey keys, int nkeys);
extern bool cl_next_row(IndexScanDesc scan, TupleTableSlot *row);
extern bool cl_find_row(const RowTable *table, Oid index, ScanKey keys, int nkeys, TupleTableSlot *row);
extern bool cl_lock_row(const RowTable *table, TupleTableSlot *row, LockTupleMode mode);
extern bool cl_try_lock_row(const RowTable *table, TupleTableSlot *row, LockTupleMode mode);
extern void cl_insert_row(RowTable *table, TupleTableSlot *row);
extern bool cl_insert_new_row(RowTable *table, TupleTableSlot *row, Oid index);
extern void cl_update_row(RowTable *table, TupleTableSlot *row, const int *columns, const Datum *values, const bool *nulls, int n);
extern void cl_delete_row(const RowTable *table, TupleTableSlot *row);

#endif							/* COST_LEDGER_ROW_H */
