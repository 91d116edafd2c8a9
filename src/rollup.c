/*-------------------------------------------------------------------------
 * rollup.c
 *	  What the rollups need that SQL says slowly.
 *
 * The ledger numbers transactions: a row's recorded_xid is the cluster's number
 * plus an offset.  A restored ledger is foreign: the numbers of its cluster mean
 * nothing to it, and until post_restore() has set the offset, rows get none.
 *
 * first_call() answers "what is this run for?": each label as the first call
 * says it that says anything.  Whose it is stays known, so that two parts of a
 * run, each with its own answer, can be put together.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger.h"
#include "port/pg_bswap.h"
#include "rollup.h"
#include "snapshot_mark.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/selfuncs.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/xid8.h"

/* Arguments of the aggregate: the state, the call's time and id, its labels. */
#define FIRST_LABEL_ARG 3

/* Fields of call_labels: the labels, then the first call, then "later". */
#define FIELD_CALLED_AT NUM_LABELS
#define FIELD_CALL_ID (NUM_LABELS + 1)
#define FIELD_LATER (NUM_LABELS + 2)
#define NUM_FIELDS (NUM_LABELS + 3)

/* As stored in "later", without padding: a label that is not the first call's. */
#define LATER_SIZE (1 + 2 * (int) sizeof(int64))

bool
cl_is_earlier(TimestampTz called_at, int64 call_id, const Label *label)
{
	return label->value == 0 || called_at < label->called_at ||
		(called_at == label->called_at && call_id < label->call_id);
}

/*
 * A row of call_labels, whose descriptor is blessed; NULL where no label was
 * said.
 */
Datum
cl_labels_datum(const CallLabels *state, TupleDesc descriptor, bool *isnull)
{
	Datum		values[NUM_FIELDS] = {0};
	bool		nulls[NUM_FIELDS];
	char		later[VARHDRSZ + NUM_LABELS * LATER_SIZE];
	char	   *end = later + VARHDRSZ;
	const Label *first = NULL;

	for (int i = 0; i < NUM_LABELS; i++)
	{
		const Label *label = &state->labels[i];

		if (label->value != 0 && (first == NULL || cl_is_earlier(label->called_at, label->call_id, first)))
			first = label;
	}
	*isnull = first == NULL;
	if (first == NULL)
		return (Datum) 0;

	memset(nulls, true, sizeof(nulls));
	for (int i = 0; i < NUM_LABELS; i++)
	{
		const Label *label = &state->labels[i];

		if (label->value == 0)
			continue;
		values[i] = label->value;
		nulls[i] = false;
		if (label->called_at != first->called_at || label->call_id != first->call_id)
		{
			uint64		key[2] = {pg_hton64((uint64) label->called_at), pg_hton64((uint64) label->call_id)};

			*end++ = (char) i;
			memcpy(end, key, sizeof(key));
			end += sizeof(key);
		}
	}
	values[FIELD_CALLED_AT] = TimestampTzGetDatum(first->called_at);
	values[FIELD_CALL_ID] = Int64GetDatum(first->call_id);
	nulls[FIELD_CALLED_AT] = nulls[FIELD_CALL_ID] = false;
	if (end > later + VARHDRSZ)
	{
		SET_VARSIZE(later, end - later);
		values[FIELD_LATER] = PointerGetDatum(later);
		nulls[FIELD_LATER] = false;
	}

	return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

static Datum
labels_to_row(const CallLabels *state, FunctionCallInfo fcinfo, bool *isnull)
{
	TupleDesc	descriptor;

	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		if (descriptor->natts != NUM_FIELDS)
			cl_refuse_other_version();
		fcinfo->flinfo->fn_extra = BlessTupleDesc(CreateTupleDescCopy(descriptor));
		MemoryContextSwitchTo(old);
	}
	return cl_labels_datum(state, fcinfo->flinfo->fn_extra, isnull);
}

/*
 * Adds the labels of a row: each where it is earlier than what is known.
 */
static void
add_row(CallLabels *state, HeapTupleHeader row)
{
	TupleDesc	descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row};
	Datum		values[NUM_FIELDS];
	bool		nulls[NUM_FIELDS];
	TimestampTz called_at[NUM_LABELS];
	int64		call_id[NUM_LABELS];

	if (descriptor->natts != NUM_FIELDS)
		cl_refuse_other_version();
	heap_deform_tuple(&tuple, descriptor, values, nulls);
	ReleaseTupleDesc(descriptor);
	if (nulls[FIELD_CALLED_AT] || nulls[FIELD_CALL_ID])
		return;

	for (int i = 0; i < NUM_LABELS; i++)
	{
		called_at[i] = DatumGetTimestampTz(values[FIELD_CALLED_AT]);
		call_id[i] = DatumGetInt64(values[FIELD_CALL_ID]);
	}
	if (!nulls[FIELD_LATER])
	{
		bytea	   *later = DatumGetByteaPP(values[FIELD_LATER]);
		const char *data = VARDATA_ANY(later);
		int			len = VARSIZE_ANY_EXHDR(later);

		/* Anybody can write a row of this type. */
		for (; len >= LATER_SIZE && (unsigned char) *data < NUM_LABELS; len -= LATER_SIZE, data += LATER_SIZE)
		{
			uint64		key[2];

			memcpy(key, data + 1, sizeof(key));
			called_at[(int) *data] = (TimestampTz) pg_ntoh64(key[0]);
			call_id[(int) *data] = (int64) pg_ntoh64(key[1]);
		}
		if (len != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"later\" of call_labels is not a list of labels and calls"),
					 errhint("Such rows are made by cost_ledger_internal.first_call().")));
	}
	for (int i = 0; i < NUM_LABELS; i++)
	{
		Label	   *label = &state->labels[i];

		if (!nulls[i] && cl_is_earlier(called_at[i], call_id[i], label))
		{
			label->value = values[i];
			label->called_at = called_at[i];
			label->call_id = call_id[i];
		}
	}
}

PG_FUNCTION_INFO_V1(cl_first_call_trans);
PG_FUNCTION_INFO_V1(cl_first_call_final);
PG_FUNCTION_INFO_V1(cl_merge_labels);

/*
 * first_call_trans(internal, called_at timestamptz, call_id bigint, text, …)
 */
Datum
cl_first_call_trans(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	CallLabels *state = PG_ARGISNULL(0) ? NULL : (CallLabels *) PG_GETARG_POINTER(0);
	TimestampTz called_at;
	int64		call_id;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	if (PG_NARGS() != FIRST_LABEL_ARG + NUM_LABELS)
		cl_refuse_other_version();
	if (state == NULL)
		state = MemoryContextAllocZero(context, sizeof(CallLabels));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);
	called_at = PG_GETARG_TIMESTAMPTZ(1);
	call_id = PG_GETARG_INT64(2);

	for (int i = 0; i < NUM_LABELS; i++)
	{
		Label	   *label = &state->labels[i];
		MemoryContext old;

		if (PG_ARGISNULL(FIRST_LABEL_ARG + i) || !cl_is_earlier(called_at, call_id, label))
			continue;
		/* The time only moves back, so little is copied twice. */
		old = MemoryContextSwitchTo(context);
		if (label->value != 0)
			pfree(DatumGetPointer(label->value));
		label->value = PointerGetDatum(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(FIRST_LABEL_ARG + i)));
		label->called_at = called_at;
		label->call_id = call_id;
		MemoryContextSwitchTo(old);
	}
	PG_RETURN_POINTER(state);
}

/*
 * first_call_final(internal) → call_labels
 */
Datum
cl_first_call_final(PG_FUNCTION_ARGS)
{
	bool		isnull;
	Datum		row;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "aggregate function called in non-aggregate context");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	row = labels_to_row((CallLabels *) PG_GETARG_POINTER(0), fcinfo, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(row);
}

/*
 * merge(call_labels, call_labels) → call_labels; of one that is NULL, the other.
 */
Datum
cl_merge_labels(PG_FUNCTION_ARGS)
{
	CallLabels	state = {0};
	bool		isnull;
	Datum		row;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0))
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	add_row(&state, PG_GETARG_HEAPTUPLEHEADER(0));
	add_row(&state, PG_GETARG_HEAPTUPLEHEADER(1));
	row = labels_to_row(&state, fcinfo, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(row);
}

/*
 * Where the rollups end, as one snapshot sees it.  A scan of the calls asks for
 * every row; what one snapshot sees does not change.
 */
static struct
{
	bool		is_known;
	SnapshotMark snapshot;
	FullTransactionId from;
	ArrayType  *xids;			/* in TopMemoryContext */
	int64		base_call_id;
	FullTransactionId partial_xid;	/* invalid where none is partly in */
	int64		partial_call_id;
}			state;

/*
 * What the ledger and the state of its rollups say of this cluster; read again
 * when the ledger's row changes, or another state takes the place of this one.
 */
static bool numbering_is_known = false;
static bool is_foreign;
static int64 xid_offset;
static Oid	ledger_oid = InvalidOid;
static Oid	state_oid = InvalidOid;

static void
forget_numbering(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == ledger_oid || relid == state_oid)
		numbering_is_known = false;
}

static void
forget_state_at_end(XactEvent event, void *arg)
{
	state.is_known = false;
}

static void
forget_state_at_subend(SubXactEvent event, SubTransactionId mySubid,
					   SubTransactionId parentSubid, void *arg)
{
	state.is_known = false;
}

void
cl_rollup_init(void)
{
	CacheRegisterRelcacheCallback(forget_numbering, (Datum) 0);
	RegisterXactCallback(forget_state_at_end, NULL);
	RegisterSubXactCallback(forget_state_at_subend, NULL);
}

/*
 * Whether this is not the cluster, or not the course of it, that the ledger was
 * written in.  A dump that is restored gives the state another xmin than its row
 * names, also where the cluster is the same, or a copy that went its own way;
 * and what is brought in up to a number that is still to come was brought in
 * elsewhere.
 */
static bool
says_foreign(HeapTuple tuple, TupleDesc descriptor)
{
	bool		isnull;
	int64		system_identifier = DatumGetInt64(SPI_getbinval(tuple, descriptor, 1, &isnull));
	uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId()) + xid_offset;
	Datum		consumed_to = SPI_getbinval(tuple, descriptor, 3, &isnull);
	bool		is_as_written;

	/* No state at all: calls go on being recorded, without a number. */
	if (isnull)
		return true;
	is_as_written = DatumGetBool(SPI_getbinval(tuple, descriptor, 4, &isnull));
	return system_identifier != (int64) GetSystemIdentifier() || !is_as_written ||
		next < U64FromFullTransactionId(DatumGetFullTransactionId(consumed_to));
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
	state_oid = cl_ledger_relation("rollup_state");
	/* Before the read: a message that comes during it must not be lost. */
	numbering_is_known = true;
	PG_TRY();
	{
		caller = cl_become_owner(ledger_oid);
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to the executor");
		cl_prepare_once(&plan,
						"SELECT l.system_identifier, l.xid_offset, "
						"pg_catalog.pg_snapshot_xmax(s.snapshot), s.xmin OPERATOR(pg_catalog.=) s.written_by "
						"FROM cost_ledger.ledger l LEFT JOIN cost_ledger_internal.rollup_state s ON true", 0, NULL);
		/* The latest: an older snapshot may be from before post_restore(). */
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		if (SPI_execute_snapshot(plan, NULL, NULL, snapshot, InvalidSnapshot, true, false, 1) != SPI_OK_SELECT ||
			SPI_processed != 1)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the ledger's settings are gone"),
					 errhint("cost_ledger.ledger has exactly one row; bring it back from a backup.")));
		UnregisterSnapshot(snapshot);
		tuple = SPI_tuptable->vals[0];
		xid_offset = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
		is_foreign = says_foreign(tuple, SPI_tuptable->tupdesc);
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

PG_FUNCTION_INFO_V1(cl_is_foreign);

/*
 * is_foreign() → boolean, as it is now
 */
Datum
cl_is_foreign(PG_FUNCTION_ARGS)
{
	read_numbering();
	PG_RETURN_BOOL(is_foreign);
}

PG_FUNCTION_INFO_V1(cl_writing_xid);

/*
 * writing_xid() → xid
 */
Datum
cl_writing_xid(PG_FUNCTION_ARGS)
{
	return TransactionIdGetDatum(GetCurrentTransactionId());
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

PG_FUNCTION_INFO_V1(cl_is_own_xid);

/*
 * is_own_xid(xid) → boolean
 */
Datum
cl_is_own_xid(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(TransactionIdIsCurrentTransactionId(DatumGetTransactionId(PG_GETARG_DATUM(0))));
}

PG_FUNCTION_INFO_V1(cl_ledger_changed);

/*
 * Row trigger on the ledger's settings: tells every backend at commit.
 */
Datum
cl_ledger_changed(PG_FUNCTION_ARGS)
{
	return cl_announce_change(fcinfo, "ledger_changed");
}

/*
 * Reads the state of the rollups under the query's snapshot.  Views ask for it,
 * so the caller needs no rights.
 */
static void
read_state(void)
{
	static SPIPlanPtr plan = NULL;
	Snapshot	snapshot = GetActiveSnapshot();
	CallerIdentity caller;
	bool		isnull;
	HeapTuple	tuple;
	ArrayType  *xids;

	if (state.is_known && cl_is_same_snapshot(&state.snapshot, snapshot))
		return;
	state.is_known = false;

	caller = cl_become_owner(cl_ledger_relation("rollup_state"));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	cl_prepare_once(&plan,
					"SELECT pg_catalog.pg_snapshot_xmax(s.snapshot), "
					"ARRAY(SELECT x FROM pg_catalog.pg_snapshot_xip(s.snapshot) x), s.base_call_id, "
					"s.partial_xid, s.partial_call_id "
					"FROM cost_ledger_internal.rollup_state s",
					0, NULL);
	if (SPI_execute_plan(plan, NULL, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the state of the rollups is gone"),
				 errhint("cost_ledger_internal.rollup_state has exactly one row; bring it back from a backup.")));
	tuple = SPI_tuptable->vals[0];
	state.from = DatumGetFullTransactionId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
	xids = DatumGetArrayTypeP(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
	state.base_call_id = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 3, &isnull));
	state.partial_xid = DatumGetFullTransactionId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 4, &isnull));
	if (isnull)
		state.partial_xid = InvalidFullTransactionId;
	state.partial_call_id = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 5, &isnull));
	if (state.xids)
		pfree(state.xids);
	state.xids = MemoryContextAlloc(TopMemoryContext, VARSIZE(xids));
	memcpy(state.xids, xids, VARSIZE(xids));
	SPI_finish();
	cl_become_caller(caller);

	cl_mark_snapshot(&state.snapshot, snapshot);
	state.is_known = true;
}

PG_FUNCTION_INFO_V1(cl_consumed_to);
PG_FUNCTION_INFO_V1(cl_unconsumed_xids);
PG_FUNCTION_INFO_V1(cl_unconsumed_base);
PG_FUNCTION_INFO_V1(cl_partly_consumed);

Datum
cl_consumed_to(PG_FUNCTION_ARGS)
{
	read_state();
	return FullTransactionIdGetDatum(FullTransactionIdFromU64(U64FromFullTransactionId(state.from) - 1));
}

Datum
cl_unconsumed_xids(PG_FUNCTION_ARGS)
{
	read_state();
	/* A copy: another query may read the state anew while this one holds it. */
	PG_RETURN_DATUM(datumCopy(PointerGetDatum(state.xids), false, -1));
}

Datum
cl_unconsumed_base(PG_FUNCTION_ARGS)
{
	read_state();
	PG_RETURN_INT64(state.base_call_id);
}

/*
 * Of a row without a number too: it is no part of any transaction.
 */
Datum
cl_partly_consumed(PG_FUNCTION_ARGS)
{
	read_state();
	if (PG_ARGISNULL(0) || !FullTransactionIdIsValid(state.partial_xid) ||
		!FullTransactionIdEquals(DatumGetFullTransactionId(PG_GETARG_DATUM(0)), state.partial_xid))
		PG_RETURN_INT64(PG_INT64_MIN);
	PG_RETURN_INT64(state.partial_call_id);
}

/*
 * How much of a partition the calls are that refresh() has not seen: few, however
 * big it is.  There are as many partitions as months, and a minute's calls are in
 * one or two of them.  The histogram, which is older than they are, would have the
 * planner expect a hundredth of each, and plan, and compile, for as many; so would
 * a thousand of each, which a bitmap would fetch from as many pages.
 */
#define EXPECTED_TAIL 50.0

PG_FUNCTION_INFO_V1(cl_tail_selectivity);
Datum
cl_tail_selectivity(PG_FUNCTION_ARGS)
{
	PlannerInfo *root = (PlannerInfo *) PG_GETARG_POINTER(0);
	List	   *args = (List *) PG_GETARG_POINTER(2);
	int			rel_id = PG_GETARG_INT32(3);
	VariableStatData column;
	Node	   *other;
	bool		is_left;
	double		selectivity = DEFAULT_RANGE_INEQ_SEL;

	if (get_restriction_variable(root, args, rel_id, &column, &other, &is_left))
	{
		if (column.rel != NULL && column.rel->tuples > EXPECTED_TAIL)
			selectivity = EXPECTED_TAIL / column.rel->tuples;
		ReleaseVariableStats(column);
	}
	PG_RETURN_FLOAT8(selectivity);
}
