/*-------------------------------------------------------------------------
 * row.c
 *	  Rows of the ledger's own tables, found and changed one by one.
 *
 * A decision looks up and changes a handful of rows by their keys.  A plan for
 * that is started and ended at twenty times the cost of what it does; so these
 * are the steps that the executor takes, without it.  For tables that only the
 * ledger writes: nothing here fires a trigger, nor looks at a CHECK, which are
 * for what is written by hand.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_collation.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "ledger.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "row.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/*
 * Opens a table whose first columns are these.
 */
void
cl_open_rows(RowTable *table, const char *name, const char *const *columns, int ncolumns, LOCKMODE mode)
{
	TupleDesc	descriptor;

	memset(table, 0, sizeof(RowTable));
	table->relation = table_open(cl_ledger_relation(name), mode);
	descriptor = RelationGetDescr(table->relation);
	if (descriptor->natts < ncolumns)
		cl_refuse_other_version();
	for (int i = 0; i < ncolumns; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(descriptor, i)->attname), columns[i]) != 0)
			cl_refuse_other_version();
	}
	table->ncolumns = ncolumns;
	for (int i = ncolumns; i < descriptor->natts; i++)
		table->is_extended = table->is_extended || !TupleDescAttr(descriptor, i)->attisdropped;
	table->estate = CreateExecutorState();
	table->target = makeNode(ResultRelInfo);
	InitResultRelInfo(table->target, table->relation, 0, NULL, 0);
	ExecOpenIndices(table->target, true);
}

/*
 * The lock stays to the end of the transaction.
 */
void
cl_close_rows(RowTable *table)
{
	ExecResetTupleTable(table->rows, true);
	if (table->snapshot != NULL)
		UnregisterSnapshot(table->snapshot);
	ExecCloseIndices(table->target);
	FreeExecutorState(table->estate);
	table_close(table->relation, NoLock);
}

/*
 * A row to be found or filled, until the table is closed.
 */
TupleTableSlot *
cl_make_row(RowTable *table)
{
	return table_slot_create(table->relation, &table->rows);
}

/*
 * A value of a row that was found; columns are counted from 0.
 */
Datum
cl_row_value(TupleTableSlot *row, int column, bool *isnull)
{
	bool		null;

	return slot_getattr(row, column + 1, isnull ? isnull : &null);
}

/* ---- keys, by the place of a column in the index, from 1 ---- */

static RegProcedure
comparison(StrategyNumber strategy, RegProcedure equal, RegProcedure at_least, RegProcedure at_most)
{
	return strategy == BTEqualStrategyNumber ? equal :
		strategy == BTGreaterEqualStrategyNumber ? at_least : at_most;
}

void
cl_int64_key(ScanKey key, int column, StrategyNumber strategy, int64 value)
{
	ScanKeyInit(key, column, strategy, comparison(strategy, F_INT8EQ, F_INT8GE, F_INT8LE), Int64GetDatum(value));
}

void
cl_time_key(ScanKey key, int column, StrategyNumber strategy, TimestampTz value)
{
	ScanKeyInit(key, column, strategy, comparison(strategy, F_TIMESTAMPTZ_EQ, F_TIMESTAMPTZ_GE, F_TIMESTAMPTZ_LE),
				TimestampTzGetDatum(value));
}

/*
 * Texts of keys are COLLATE "C".
 */
void
cl_text_key(ScanKey key, int column, const char *value)
{
	ScanKeyInit(key, column, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(value));
	key->sk_collation = C_COLLATION_OID;
}

void
cl_uuid_key(ScanKey key, int column, const pg_uuid_t *value)
{
	ScanKeyInit(key, column, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(value));
}

/* ---- finding ---- */

/*
 * From now on what a snapshot has is seen.
 */
void
cl_see_rows(RowTable *table, Snapshot snapshot)
{
	snapshot = RegisterSnapshot(snapshot);
	if (table->snapshot != NULL)
		UnregisterSnapshot(table->snapshot);
	table->snapshot = snapshot;
}

static Relation
find_index(const RowTable *table, Oid index)
{
	for (int i = 0; i < table->target->ri_NumIndices; i++)
	{
		if (RelationGetRelid(table->target->ri_IndexRelationDescs[i]) == index)
			return table->target->ri_IndexRelationDescs[i];
	}
	cl_refuse_other_version();
}

IndexScanDesc
cl_begin_rows(const RowTable *table, Oid index, ScanKey keys, int nkeys)
{
	IndexScanDesc scan = cl_index_beginscan(table->relation, find_index(table, index), table->snapshot, nkeys);

	index_rescan(scan, keys, nkeys, NULL, 0);
	return scan;
}

/*
 * False after the last, which ends the scan.
 */
bool
cl_next_row(IndexScanDesc scan, TupleTableSlot *row)
{
	CHECK_FOR_INTERRUPTS();
	if (index_getnext_slot(scan, ForwardScanDirection, row))
		return true;
	index_endscan(scan);
	return false;
}

/*
 * The first row with a key, as it stays in memory.
 */
bool
cl_find_row(const RowTable *table, Oid index, ScanKey keys, int nkeys, TupleTableSlot *row)
{
	IndexScanDesc scan = cl_begin_rows(table, index, keys, nkeys);
	bool		is_there = index_getnext_slot(scan, ForwardScanDirection, row);

	if (is_there)
		ExecMaterializeSlot(row);
	index_endscan(scan);
	return is_there;
}

static bool
lock(const RowTable *table, TupleTableSlot *row, LockTupleMode mode, LockWaitPolicy policy)
{
	ItemPointerData place = row->tts_tid;
	TM_FailureData failure;
	TM_Result	result = table_tuple_lock(table->relation, &place, table->snapshot, row, GetCurrentCommandId(true), mode, policy,
										  TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS | TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
										  &failure);

	if (result == TM_Deleted || result == TM_WouldBlock)
		return false;
	if (result != TM_Ok)
		elog(ERROR, "could not lock a row of \"%s\": %d", RelationGetRelationName(table->relation), result);
	ExecMaterializeSlot(row);
	return true;
}

/*
 * Locks a row that was found, and brings it up to date.  False where it has
 * been deleted meanwhile.
 */
bool
cl_lock_row(const RowTable *table, TupleTableSlot *row, LockTupleMode mode)
{
	return lock(table, row, mode, LockWaitBlock);
}

/*
 * The same without waiting: false, too, where somebody has it.
 */
bool
cl_try_lock_row(const RowTable *table, TupleTableSlot *row, LockTupleMode mode)
{
	return lock(table, row, mode, LockWaitSkip);
}

/* ---- columns that somebody has added ---- */

/*
 * Makes a row what its table asks for, as it is about to be written.
 */
static void
complete_row(RowTable *table, TupleTableSlot *row)
{
	TupleConstr *constraints = RelationGetDescr(table->relation)->constr;

	if (!table->is_extended || constraints == NULL)
		return;
	if (constraints->has_generated_stored)
		ExecComputeStoredGenerated(table->target, table->estate, row, CMD_INSERT);
	ExecConstraints(table->target, row, table->estate);
}

/*
 * The same for a new row, which has the defaults.
 */
static void
complete_new_row(RowTable *table, TupleTableSlot *row)
{
	TupleDesc	descriptor = RelationGetDescr(table->relation);
	ExprContext *context = GetPerTupleExprContext(table->estate);

	for (int i = table->ncolumns; table->is_extended && i < descriptor->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(descriptor, i);
		Node	   *value = column->attisdropped || column->attgenerated ? NULL : build_column_default(table->relation, i + 1);

		if (value != NULL)
			row->tts_values[i] = ExecEvalExprSwitchContext(ExecPrepareExpr((Expr *) value, table->estate), context, &row->tts_isnull[i]);
	}
	complete_row(table, row);
}

/* ---- writing ---- */

void
cl_insert_row(RowTable *table, TupleTableSlot *row)
{
	complete_new_row(table, row);
	table_tuple_insert(table->relation, row, GetCurrentCommandId(true), 0, NULL);
	(void) cl_insert_index_tuples(table->target, row, table->estate, false, false, NULL, NIL, false);
	ResetPerTupleExprContext(table->estate);
}

/*
 * INSERT … ON CONFLICT DO NOTHING, as the executor does it: waits for who is
 * about to insert the same, and is false where it is there.
 */
bool
cl_insert_new_row(RowTable *table, TupleTableSlot *row, Oid index)
{
	List	   *arbiter = list_make1_oid(index);
	bool		is_beaten = true;

	complete_new_row(table, row);
	while (is_beaten)
	{
		ItemPointerData conflict;
		uint32		token;

		CHECK_FOR_INTERRUPTS();
		if (!cl_check_index_constraints(table->target, row, table->estate, &conflict, arbiter))
			return false;
		token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
		table_tuple_insert_speculative(table->relation, row, GetCurrentCommandId(true), 0, NULL, token);
		is_beaten = false;
		(void) cl_insert_index_tuples(table->target, row, table->estate, false, true, &is_beaten, arbiter, false);
		table_tuple_complete_speculative(table->relation, row, token, !is_beaten);
		SpeculativeInsertionLockRelease(GetCurrentTransactionId());
		ResetPerTupleExprContext(table->estate);
	}
	return true;
}

/*
 * Changes columns, counted from 0, of a row that is locked.  The row that was
 * found is then the new one.
 */
void
cl_update_row(RowTable *table, TupleTableSlot *row, const int *columns, const Datum *values, const bool *nulls, int n)
{
	TupleTableSlot *changed = table_slot_create(table->relation, NULL);
	int			natts = RelationGetDescr(table->relation)->natts;
	CLUpdatedIndexes updated;

	slot_getallattrs(row);
	memcpy(changed->tts_values, row->tts_values, natts * sizeof(Datum));
	memcpy(changed->tts_isnull, row->tts_isnull, natts * sizeof(bool));
	for (int i = 0; i < n; i++)
	{
		changed->tts_values[columns[i]] = values[i];
		changed->tts_isnull[columns[i]] = nulls != NULL && nulls[i];
	}
	ExecStoreVirtualTuple(changed);
	complete_row(table, changed);
	simple_table_tuple_update(table->relation, &row->tts_tid, changed, GetActiveSnapshot(), &updated);
	if (cl_needs_indexes(updated))
		(void) cl_insert_index_tuples(table->target, changed, table->estate, true, false, NULL, NIL, cl_needs_summaries_only(updated));
	ResetPerTupleExprContext(table->estate);
	ExecCopySlot(row, changed);
	row->tts_tid = changed->tts_tid;
	ExecDropSingleTupleTableSlot(changed);
}

void
cl_delete_row(const RowTable *table, TupleTableSlot *row)
{
	simple_table_tuple_delete(table->relation, &row->tts_tid, GetActiveSnapshot());
}
