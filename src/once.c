/*-------------------------------------------------------------------------
 * once.c
 *	  What reports ask again and again is read once.
 *
 * A report is made of views that each ask for the calls which are in no rollup
 * yet, and for the runs that these move.  As long as the same snapshot asks, the
 * rows are the same, whoever asks: they are kept, as far as they fit into
 * work_mem, until the transaction ends.
 *
 * Not in a transaction that writes.  A function that a statement calls for each
 * row that it writes sees those before it, and has the same snapshot each time.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/xact.h"
#include "as_owner.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "once.h"
#include "snapshot_mark.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/* The functions that are declared so are three. */
#define MAX_KEPT 4

typedef struct Kept
{
	Oid			function;		/* InvalidOid: nothing is kept here */
	SnapshotMark snapshot;
	MemoryContext context;		/* of all that follows */
	TupleDesc	descriptor;
	MinimalTuple *rows;
	int			num_rows;
	int			max_rows;
} Kept;

static Kept kept[MAX_KEPT];

/*
 * Their memory is the transaction's.
 */
static void
forget_at_end(XactEvent event, void *arg)
{
	memset(kept, 0, sizeof(kept));
}

void
cl_once_init(void)
{
	RegisterXactCallback(forget_at_end, NULL);
}

/*
 * The place of a function's rows: its own, or one that is free; NULL where there
 * is none.
 */
static Kept *
find_place(Oid function)
{
	Kept	   *free = NULL;

	for (int i = 0; i < MAX_KEPT; i++)
	{
		if (kept[i].function == function)
			return &kept[i];
		if (!OidIsValid(kept[i].function))
			free = &kept[i];
	}
	return free;
}

static void
return_kept(ReturnSetInfo *result, const Kept *place)
{
	MemoryContext old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(place->descriptor, &TTSOpsMinimalTuple);

	result->returnMode = SFRM_Materialize;
	result->setDesc = CreateTupleDescCopy(place->descriptor);
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	for (int i = 0; i < place->num_rows; i++)
	{
		ExecStoreMinimalTuple(place->rows[i], slot, false);
		tuplestore_puttupleslot(result->setResult, slot);
		CHECK_FOR_INTERRUPTS();
	}
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextSwitchTo(old);
}

static void
add_row(Kept *place, TupleTableSlot *slot)
{
	if (place->num_rows == place->max_rows)
	{
		place->max_rows *= 2;
		place->rows = repalloc_huge(place->rows, place->max_rows * sizeof(MinimalTuple));
	}
	place->rows[place->num_rows++] = ExecCopySlotMinimalTuple(slot);
}

/*
 * Whether all rows of a result fit; it stands at its beginning again.
 */
static bool
copy_rows(Kept *place, ReturnSetInfo *result)
{
	MemoryContext old = MemoryContextSwitchTo(place->context);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(place->descriptor, &TTSOpsMinimalTuple);
	bool		fits = true;

	while (fits && tuplestore_gettupleslot(result->setResult, true, false, slot))
	{
		add_row(place, slot);
		fits = MemoryContextMemAllocated(place->context, false) <= work_mem * (Size) 1024;
		CHECK_FOR_INTERRUPTS();
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_rescan(result->setResult);
	MemoryContextSwitchTo(old);
	return fits;
}

static void
begin_rows(Kept *place, TupleDesc descriptor)
{
	MemoryContext old = MemoryContextSwitchTo(place->context);

	place->descriptor = CreateTupleDescCopy(descriptor);
	place->num_rows = 0;
	place->max_rows = 64;
	place->rows = palloc(place->max_rows * sizeof(MinimalTuple));
	MemoryContextSwitchTo(old);
}

/*
 * What a subtransaction writes is also its transaction's.
 */
static bool
has_written(void)
{
	return TransactionIdIsValid(GetTopTransactionIdIfAny());
}

static void
keep_result(ReturnSetInfo *result, Oid function, Snapshot snapshot)
{
	Kept	   *place = find_place(function);

	if (place == NULL || has_written() || result->setResult == NULL || result->setDesc == NULL)
		return;
	place->function = InvalidOid;
	if (place->context)
		MemoryContextReset(place->context);
	else
		place->context = AllocSetContextCreate(TopTransactionContext, "cost_ledger rows read once", ALLOCSET_DEFAULT_SIZES);
	begin_rows(place, result->setDesc);
	if (!copy_rows(place, result))
	{
		MemoryContextReset(place->context);
		return;
	}
	cl_mark_snapshot(&place->snapshot, snapshot);
	place->function = function;
}

PG_FUNCTION_INFO_V1(cl_as_owner_once);

/*
 * As cl_as_owner(), for functions without arguments that return the same rows to
 * whoever asks under the same snapshot.
 */
Datum
cl_as_owner_once(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			function = fcinfo->flinfo->fn_oid;
	Snapshot	snapshot = GetActiveSnapshot();
	Kept	   *place = find_place(function);

	Assert(PG_NARGS() == 0);
	if (result && IsA(result, ReturnSetInfo) && (result->allowedModes & SFRM_Materialize)
		&& place && place->function == function && !has_written() && cl_is_same_snapshot(&place->snapshot, snapshot))
	{
		return_kept(result, place);
		PG_RETURN_NULL();
	}
	cl_as_owner(fcinfo);
	keep_result(result, function, snapshot);
	PG_RETURN_NULL();
}
