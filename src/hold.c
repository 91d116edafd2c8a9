/*-------------------------------------------------------------------------
 * hold.c
 *	  Which calls of this transaction settle a hold.
 *
 * Balances of budgets are rows that everybody wants.  A transaction touches
 * them once, at its end, for all the calls it has recorded with a hold: the
 * price trigger notes them here, and the first of the deferred triggers that
 * fires settles them all, in the order of the balances.  The others find
 * nothing left to do.
 *
 * Rows that were rolled back to a savepoint stay in the list; settle_holds()
 * looks only at those that are there.  A settlement that was rolled back to a
 * savepoint, after SET CONSTRAINTS, is due again, as its trigger is.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "hold.h"
#include "ledger.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static int	num_settlements = 0;
static int	max_settlements = 0;
static Datum *settled_at = NULL;	/* called_at and call_id of each */
static Datum *settled_id = NULL;

/*
 * The first num_done of the list are settled, in parts: each by a
 * subtransaction, up to an end.  The list of parts is as short as SET
 * CONSTRAINTS is rare.
 */
typedef struct SettledPart
{
	SubTransactionId by;
	int			start;
	struct SettledPart *before;
} SettledPart;

static int	num_done = 0;
static SettledPart *last_part = NULL;

/* The list lives as long as the transaction, however that ends. */
static void
forget_settlements(void *arg)
{
	num_settlements = max_settlements = num_done = 0;
	settled_at = settled_id = NULL;
	last_part = NULL;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (SettledPart *part = last_part; part && part->by == mine; part = part->before)
			part->by = parent;
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (last_part && last_part->by == mine)
		{
			num_done = last_part->start;
			last_part = last_part->before;
		}
	}
}

void
cl_note_settlement(TimestampTz called_at, int64 call_id)
{
	static bool is_registered = false;
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	if (settled_at == NULL)
	{
		MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

		callback->func = forget_settlements;
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
		if (!is_registered)
			RegisterSubXactCallback(end_subtransaction, NULL);
		is_registered = true;
		max_settlements = 16;
		settled_at = palloc(max_settlements * sizeof(Datum));
		settled_id = palloc(max_settlements * sizeof(Datum));
	}
	else if (num_settlements == max_settlements)
	{
		settled_at = repalloc_huge(settled_at, 2 * (Size) max_settlements * sizeof(Datum));
		settled_id = repalloc_huge(settled_id, 2 * (Size) max_settlements * sizeof(Datum));
		max_settlements *= 2;
	}
	settled_at[num_settlements] = TimestampTzGetDatum(called_at);
	settled_id[num_settlements++] = Int64GetDatum(call_id);
	MemoryContextSwitchTo(old);
}

PG_FUNCTION_INFO_V1(cl_settle_calls);

/*
 * CONSTRAINT TRIGGER AFTER INSERT FOR EACH ROW ON cost_ledger.call, deferred
 */
Datum
cl_settle_calls(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TIMESTAMPTZARRAYOID, INT8ARRAYOID};
	Datum		arguments[2];
	CallerIdentity caller;
	SettledPart *part;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(((TriggerData *) fcinfo->context)->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cost_ledger_internal.settle_calls() is a trigger of cost_ledger.call"),
				 errhint("cost_ledger.create_ledger() attaches it; do not attach or call it by hand.")));
	if (num_done == num_settlements)
		return PointerGetDatum(NULL);

	arguments[0] = PointerGetDatum(construct_array(settled_at + num_done, num_settlements - num_done, TIMESTAMPTZOID, sizeof(TimestampTz), true, TYPALIGN_DOUBLE));
	arguments[1] = PointerGetDatum(construct_array(settled_id + num_done, num_settlements - num_done, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE));
	part = MemoryContextAlloc(TopTransactionContext, sizeof(SettledPart));
	part->by = GetCurrentSubTransactionId();
	part->start = num_done;
	part->before = last_part;
	last_part = part;
	num_done = num_settlements;

	caller = cl_become_owner(cl_ledger_relation("hold"));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	cl_prepare_once(&plan, "SELECT cost_ledger_internal.settle_holds($1, $2)", 2, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not settle holds");
	SPI_finish();
	cl_become_caller(caller);
	return PointerGetDatum(NULL);
}
