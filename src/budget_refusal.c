/*-------------------------------------------------------------------------
 * budget_refusal.c
 *	  What was refused, put on record.
 *
 * A refusal is a row that nobody waits for; check_budgets() adds them up.  One
 * that is raised as an error takes its transaction along: it waits in the
 * backend for the next decision, and is on record with that.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/xact.h"
#include "budget_refusal.h"
#include "nodes/pg_list.h"
#include "row.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Columns of refusal, from 0; the last is of calls that nobody was asked about. */
static const char *const refusal_columns[] = {
	"budget_id", "entity", "refused_at", "asked", "spent", "action", "call_id"
};

#define NUM_REFUSAL_COLUMNS ((int) lengthof(refusal_columns))

/* So many are remembered: who raises more without a decision in between is not waited for. */
#define MAX_WAITING 1000

typedef struct Refusal
{
	Datum		values[NUM_REFUSAL_COLUMNS];
	SubTransactionId written_in;	/* none while it waits */
} Refusal;

static List *waiting = NIL;

static void
fill_refusal(Refusal *refusal, const Answer *answer, TimestampTz at)
{
	refusal->values[0] = Int64GetDatum(answer->by->budget->budget_id);
	refusal->values[1] = CStringGetTextDatum(answer->by->entity);
	refusal->values[2] = TimestampTzGetDatum(at);
	refusal->values[3] = datumCopy(NumericGetDatum(answer->by->asked), false, -1);
	refusal->values[4] = datumCopy(NumericGetDatum(answer->spent), false, -1);
	refusal->values[5] = CStringGetTextDatum(answer->decision);
}

static void
write_refusal(RowTable *refusals, const Refusal *refusal)
{
	TupleTableSlot *row = cl_make_row(refusals);

	memset(row->tts_isnull, true, row->tts_tupleDescriptor->natts * sizeof(bool));
	memset(row->tts_isnull, false, (NUM_REFUSAL_COLUMNS - 1) * sizeof(bool));
	memcpy(row->tts_values, refusal->values, (NUM_REFUSAL_COLUMNS - 1) * sizeof(Datum));
	ExecStoreVirtualTuple(row);
	cl_insert_row(refusals, row);
}

void
cl_record_refusal(const Answer *answer, const Request *request)
{
	RowTable	refusals;
	Refusal		refusal;

	if (XactReadOnly)
		return;
	fill_refusal(&refusal, answer, request->at);
	cl_open_rows(&refusals, "refusal", refusal_columns, NUM_REFUSAL_COLUMNS, RowExclusiveLock);
	write_refusal(&refusals, &refusal);
	cl_close_rows(&refusals);
}

/* ---- those that wait ---- */

static void
forget_written(void)
{
	const int	places[] = {1, 3, 4, 5};
	ListCell   *cell;

	foreach(cell, waiting)
	{
		Refusal    *refusal = lfirst(cell);

		if (refusal->written_in == InvalidSubTransactionId)
			continue;
		for (int i = 0; i < (int) lengthof(places); i++)
			pfree(DatumGetPointer(refusal->values[places[i]]));
		pfree(refusal);
		waiting = foreach_delete_current(waiting, cell);
	}
}

/*
 * What was written since has not been.
 */
static void
let_wait_again(SubTransactionId since)
{
	ListCell   *cell;

	foreach(cell, waiting)
	{
		Refusal    *refusal = lfirst(cell);

		if (refusal->written_in >= since)
			refusal->written_in = InvalidSubTransactionId;
	}
}

static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		forget_written();
	else if (event == XACT_EVENT_ABORT)
		let_wait_again(TopSubTransactionId);
}

/*
 * Subtransactions are numbered in the order they begin.
 */
static void
end_subtransaction(SubXactEvent event, SubTransactionId ours, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		let_wait_again(ours);
}

void
cl_refusal_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

static bool
is_any_waiting(void)
{
	ListCell   *cell;

	foreach(cell, waiting)
	{
		if (((Refusal *) lfirst(cell))->written_in == InvalidSubTransactionId)
			return true;
	}
	return false;
}

/*
 * Puts on record what was raised before.
 */
void
cl_record_waiting(void)
{
	RowTable	refusals;
	ListCell   *cell;

	if (!is_any_waiting() || XactReadOnly)
		return;
	cl_open_rows(&refusals, "refusal", refusal_columns, NUM_REFUSAL_COLUMNS, RowExclusiveLock);
	foreach(cell, waiting)
	{
		Refusal    *refusal = lfirst(cell);

		if (refusal->written_in != InvalidSubTransactionId)
			continue;
		write_refusal(&refusals, refusal);
		refusal->written_in = GetCurrentSubTransactionId();
	}
	cl_close_rows(&refusals);
}

static void
remember(const Answer *answer, TimestampTz at)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Refusal    *refusal = palloc0(sizeof(Refusal));

	fill_refusal(refusal, answer, at);
	waiting = lappend(waiting, refusal);
	MemoryContextSwitchTo(old);
}

/*
 * The answer as an error, for who has asked for that.
 */
void
cl_raise_refusal(const Answer *answer, const Request *request)
{
	char	   *until = TIMESTAMP_NOT_FINITE(answer->retry_at) ? NULL : pstrdup(timestamptz_to_str(answer->retry_at));

	if (answer->by != NULL && !request->check_only && list_length(waiting) < MAX_WAITING)
		remember(answer, request->at);
	ereport(ERROR,
			(errcode(strcmp(answer->decision, "defer") == 0 ? ERRCODE_CL_DEFERRED : ERRCODE_CL_STOPPED),
			 errmsg("%s", answer->reason),
			 until ? errhint("There may be room again at %s.", until) :
			 errhint("Nothing says when there will be room again.")));
}
