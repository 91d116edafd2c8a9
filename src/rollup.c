/*-------------------------------------------------------------------------
 * rollup.c
 *	  What the rollups need that SQL says slowly.
 *
 * The ledger numbers transactions: a row's recorded_xid is the cluster's number
 * plus an offset.  A restored ledger is in a cluster whose numbers mean nothing
 * to it; until post_restore() has set the offset, rows get no number.
 *
 * first_call() answers "what is this run for?": the labels of its first call
 * that has any.  All of them come from one call, so that two halves of a run,
 * each with its own answer, can be put together by comparing two calls.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Arguments of the aggregate: the state, the call's time and id, its labels. */
#define FIRST_LABEL 3
#define MAX_LABELS 16

typedef struct FirstCall
{
	TimestampTz called_at;
	int64		call_id;
	int			nlabels;
	Datum		labels[MAX_LABELS];
	bool		nulls[MAX_LABELS];
	bool		is_set;
} FirstCall;

PG_FUNCTION_INFO_V1(cl_first_call_trans);
PG_FUNCTION_INFO_V1(cl_first_call_final);

/*
 * _first_call_trans(internal, called_at timestamptz, call_id bigint, text, …)
 */
Datum
cl_first_call_trans(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	MemoryContext old;
	FirstCall  *state = PG_ARGISNULL(0) ? NULL : (FirstCall *) PG_GETARG_POINTER(0);
	int			nlabels = PG_NARGS() - FIRST_LABEL;
	TimestampTz called_at;
	int64		call_id;
	bool		has_label = false;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	Assert(nlabels <= MAX_LABELS);

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	called_at = PG_GETARG_TIMESTAMPTZ(1);
	call_id = PG_GETARG_INT64(2);
	if (state && state->is_set &&
		(called_at > state->called_at ||
		 (called_at == state->called_at && call_id >= state->call_id)))
		PG_RETURN_POINTER(state);
	for (int i = 0; i < nlabels; i++)
		has_label |= !PG_ARGISNULL(FIRST_LABEL + i);

	old = MemoryContextSwitchTo(context);
	if (state == NULL)
		state = palloc0(sizeof(FirstCall));
	if (has_label)
	{
		/* The time only moves back, so little is copied twice. */
		for (int i = 0; i < state->nlabels; i++)
		{
			if (!state->nulls[i])
				pfree(DatumGetPointer(state->labels[i]));
		}
		state->called_at = called_at;
		state->call_id = call_id;
		state->nlabels = nlabels;
		state->is_set = true;
		for (int i = 0; i < nlabels; i++)
		{
			state->nulls[i] = PG_ARGISNULL(FIRST_LABEL + i);
			if (!state->nulls[i])
				state->labels[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(FIRST_LABEL + i)));
		}
	}
	MemoryContextSwitchTo(old);
	PG_RETURN_POINTER(state);
}

/*
 * _first_call_final(internal) → call_labels: called_at, call_id, text, …
 */
Datum
cl_first_call_final(PG_FUNCTION_ARGS)
{
	FirstCall  *state = PG_ARGISNULL(0) ? NULL : (FirstCall *) PG_GETARG_POINTER(0);
	TupleDesc	descriptor;
	Datum		values[2 + MAX_LABELS];
	bool		nulls[2 + MAX_LABELS];

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "aggregate function called in non-aggregate context");
	if (state == NULL || !state->is_set)
		PG_RETURN_NULL();

	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		fcinfo->flinfo->fn_extra = BlessTupleDesc(CreateTupleDescCopy(descriptor));
		MemoryContextSwitchTo(old);
	}
	descriptor = fcinfo->flinfo->fn_extra;
	if (descriptor->natts != 2 + state->nlabels)
		cl_refuse_other_version();

	values[0] = TimestampTzGetDatum(state->called_at);
	values[1] = Int64GetDatum(state->call_id);
	nulls[0] = nulls[1] = false;
	memcpy(values + 2, state->labels, state->nlabels * sizeof(Datum));
	memcpy(nulls + 2, state->nulls, state->nlabels * sizeof(bool));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls)));
}

/* What the ledger's row says of this cluster; read again when it changes. */
static bool numbering_is_known = false;
static bool is_foreign;
static int64 xid_offset;
static Oid	ledger_oid = InvalidOid;

static void
forget_numbering(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == ledger_oid)
		numbering_is_known = false;
}

void
cl_rollup_init(void)
{
	CacheRegisterRelcacheCallback(forget_numbering, (Datum) 0);
}

static void
read_numbering(void)
{
	static SPIPlanPtr plan = NULL;
	CallerIdentity caller;
	Snapshot	snapshot;
	bool		isnull;
	HeapTuple	tuple;

	ledger_oid = cl_ledger_relation("ledger");
	/* Before the read: a message that comes during it must not be lost. */
	numbering_is_known = true;
	PG_TRY();
	{
		caller = cl_become_owner(ledger_oid);
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to the executor");
		cl_prepare_once(&plan, "SELECT l.system_identifier, l.xid_offset FROM cost_ledger.ledger l", 0, NULL);
		/* The latest: an older snapshot may be from before post_restore(). */
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		if (SPI_execute_snapshot(plan, NULL, NULL, snapshot, InvalidSnapshot, true, false, 1) != SPI_OK_SELECT ||
			SPI_processed != 1)
			elog(ERROR, "could not read the ledger's settings");
		UnregisterSnapshot(snapshot);
		tuple = SPI_tuptable->vals[0];
		is_foreign = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull)) != (int64) GetSystemIdentifier();
		xid_offset = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
		SPI_finish();
		cl_become_caller(caller);
	}
	PG_CATCH();
	{
		numbering_is_known = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * The ledger's number of the current top-level transaction; false where the
 * ledger has been restored into this cluster and post_restore() not yet run.
 */
bool
cl_rollup_transaction(FullTransactionId *xid)
{
	if (!numbering_is_known)
		read_numbering();
	if (is_foreign)
		return false;
	*xid = FullTransactionIdFromU64(U64FromFullTransactionId(GetTopFullTransactionId()) + xid_offset);
	return true;
}

PG_FUNCTION_INFO_V1(cl_ledger_changed);

/*
 * Row trigger on the ledger's settings: tells every backend at commit.
 */
Datum
cl_ledger_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cost_ledger._ledger_changed() must be fired AFTER ROW"),
				 errhint("cost_ledger.create_ledger() attaches it; do not attach it by hand.")));

	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);
}
