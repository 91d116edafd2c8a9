/*-------------------------------------------------------------------------
 * reserve.c
 *	  May this call be made?  reserve(): what is left of every budget the call
 *	  belongs to, and what is held of it.
 *
 * What a snapshot shows to be full is refused without a lock, and so without a
 * transaction id and a commit record.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "budget_decision.h"
#include "budget_gate.h"
#include "budget_hold.h"
#include "budget_query.h"
#include "budget_request.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger.h"
#include "miscadmin.h"
#include "reserve.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

static int	decision_lock_timeout = 2000;

void
cl_reserve_init(void)
{
	DefineCustomIntVariable("cost_ledger.decision_lock_timeout",
							"How long reserve() waits for a balance that another transaction has.",
							"Longer waits hide a transaction that stays open around a call of a model. 0 waits for ever.",
							&decision_lock_timeout, 2000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
}
/*
 * The kill switch is before everything.
 */
static bool
is_paused(const Request *request, Answer *answer)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TIMESTAMPTZOID, JSONBOID};
	Datum		values[] = {TimestampTzGetDatum(request->at), cl_labels_json(&request->wanted)};

	if (cl_ask(&plan, "SELECT p.reason, p.until FROM cost_ledger.pause p "
			"WHERE p.resumed_at IS NULL AND (p.until IS NULL OR p.until > $1) AND cost_ledger_internal.matches_filter($2, p.scope) "
			"ORDER BY p.pause_id LIMIT 1", 2, types, values, NULL) == 0)
		return false;
	answer->is_refused = true;
	answer->decision = cl_decision_names[ACTION_STOP];
	answer->reason = psprintf("paused: %s", cl_text_result(0, 1));
	answer->resets_at = answer->retry_at = cl_time_result(0, 2);
	return true;
}

/*
 * Whether a look before the lock can tell something: that a gate has to be
 * made, or that there is no room.
 */
static bool
needs_look(List *candidates)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (!cl_has_balance(candidate))
			continue;
		if (candidate->budget->each_of != NULL || !candidate->budget->is_open || candidate->budget->metric == METRIC_DURATION)
			return true;
	}
	return false;
}

static Numeric
held_estimate(const Answer *answer, const Request *request)
{
	if (answer->action == ACTION_DEGRADE && !answer->is_refused && request->is_priced)
		return cl_price_request(request, answer->degrade_to);
	return request->estimate;
}

static void
ask_budgets(Books *books, Answer *answer, List *candidates, const Request *request, bool (*has_room) (const Candidate *, const Request *))
{
	cl_look(books, candidates, request->at);
	cl_measure_all(candidates, request);
	cl_decide(answer, candidates, request, has_room);
	answer->estimate = held_estimate(answer, request);
}

/*
 * Has all gates that will be held when it returns true; false where it needs
 * no lock to refuse.
 */
static bool
get_gates(Books *books, Answer *answer, List *candidates, const Request *request)
{
	if (needs_look(candidates))
	{
		ask_budgets(books, answer, candidates, request, cl_fits_soon);
		if (answer->is_refused)
			return false;
	}
	cl_take_gates(books, candidates, request->at);
	return true;
}

/*
 * Whether the call has been granted, and all of it is held.
 */
static bool
hold_all(Books *books, Answer *answer, List *candidates, Request *request, Datum request_doc)
{
	if (!get_gates(books, answer, candidates, request))
		return false;
	request->at = GetCurrentTimestamp();
	cl_renew(candidates, request->at);
	ask_budgets(books, answer, candidates, request, cl_fits_as_held);
	if (answer->is_refused)
		return false;
	cl_sweep_all(books, candidates);
	return cl_hold(books, answer, candidates, request, request_doc);
}

static bool
decide_by_budgets(Books *books, Answer *answer, Request *request, Datum request_doc)
{
	List	   *candidates;

	if (request->estimate == NULL)
	{
		request->estimate = cl_price_request(request, cl_label_value(&request->wanted, "model"));
		request->is_priced = request->estimate != NULL;
	}
	candidates = cl_find_candidates(NIL, request, &request->wanted, request->estimate, false);
	candidates = cl_add_degraded(candidates, request);
	list_sort(candidates, cl_by_key);
	if (!request->check_only)
		return hold_all(books, answer, candidates, request, request_doc);
	ask_budgets(books, answer, candidates, request, cl_fits_as_held);
	return false;
}

/*
 * What is in the way, or has just been held, may be the hold of the same
 * request, sent again.
 */
static void
answer_by_budgets(Answer *answer, int64 *budget_id, Request *request, Datum request_doc)
{
	Books		books;

	cl_open_books(&books, request->check_only ? AccessShareLock : RowExclusiveLock);
	if (request->check_only || !cl_is_used(&books, request) ||
		!cl_is_retry(answer, budget_id, request, request_doc))
	{
		if (decide_by_budgets(&books, answer, request, request_doc) || request->check_only ||
			!cl_is_retry(answer, budget_id, request, request_doc))
			*budget_id = answer->by ? answer->by->budget->budget_id : 0;
	}
	cl_close_books(&books);
}

static void
answer_request(FunctionCallInfo fcinfo, Request *request, Answer *answer, int64 *budget_id)
{
	LockRelationOid(cl_ledger_relation("budget_balance"), request->check_only ? AccessShareLock : RowExclusiveLock);
	request->at = GetCurrentTimestamp();
	cl_load_budgets();
	memset(answer, 0, sizeof(Answer));
	if (cl_has_pauses() && is_paused(request, answer))
		return;
	answer_by_budgets(answer, budget_id, request, request->check_only ? (Datum) 0 : cl_request_json(fcinfo, request));
	if (answer->is_refused && !request->check_only && answer->by->budget->metric == METRIC_DEPTH)
		cl_remember_run(request);
}

/*
 * A wait that is over: what to do is not what the executor says.
 */
static void
explain_wait(MemoryContext caller)
{
	ErrorData  *error;

	if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
		PG_RE_THROW();
	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	FlushErrorState();
	error->message = pstrdup("another transaction has had the balance of a budget for too long");
	error->hint = pstrdup("Commit the transaction of reserve() before the call of the model; reserve() waits for cost_ledger.decision_lock_timeout.");
	ReThrowError(error);
}

/*
 * The shorter of the session's own lock_timeout and ours.
 */
static void
limit_waits(void)
{
	int			own = atoi(GetConfigOptionByName("lock_timeout", NULL, false));
	char		value[16];

	if (decision_lock_timeout == 0 || (own > 0 && own < decision_lock_timeout))
		return;
	snprintf(value, sizeof(value), "%d", decision_lock_timeout);
	(void) set_config_option("lock_timeout", value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void
put_answer(FunctionCallInfo fcinfo, const Answer *answer, int64 budget_id, TimestampTz at)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[11];
	bool		nulls[11] = {0};

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (rsinfo->setDesc->natts != (int) lengthof(values))
		cl_refuse_other_version();
	values[0] = CStringGetTextDatum(answer->decision);
	nulls[1] = !answer->has_hold;
	values[1] = UUIDPGetDatum(&answer->hold_id);
	nulls[2] = budget_id == 0;
	values[2] = Int64GetDatum(budget_id);
	nulls[3] = answer->reason == NULL;
	values[3] = answer->reason ? CStringGetTextDatum(answer->reason) : (Datum) 0;
	nulls[4] = answer->spent == NULL;
	values[4] = NumericGetDatum(answer->spent);
	nulls[5] = answer->held == NULL;
	values[5] = NumericGetDatum(answer->held);
	nulls[6] = answer->limit_amount == NULL;
	values[6] = NumericGetDatum(answer->limit_amount);
	nulls[7] = TIMESTAMP_NOT_FINITE(answer->resets_at);
	values[7] = TimestampTzGetDatum(answer->resets_at);
	nulls[8] = !answer->is_refused || TIMESTAMP_NOT_FINITE(answer->retry_at);
	values[8] = nulls[8] ? (Datum) 0 : DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(answer->retry_at), TimestampTzGetDatum(at));
	nulls[9] = answer->degrade_to == NULL;
	values[9] = answer->degrade_to ? CStringGetTextDatum(answer->degrade_to) : (Datum) 0;
	nulls[10] = answer->estimate == NULL;
	values[10] = NumericGetDatum(answer->estimate);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(cl_reserve);

/*
 * reserve(hold_key text, labels jsonb, estimate numeric, provider text, model
 * text, input_tokens bigint, max_output_tokens bigint, ttl interval,
 * check_only boolean) → a row
 */
Datum
cl_reserve(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	int			settings = NewGUCNestLevel();
	Request		request;
	Answer		answer;
	int64		budget_id = 0;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	cl_read_request(fcinfo, &request);
	limit_waits();
	PG_TRY();
	{
		answer_request(fcinfo, &request, &answer, &budget_id);
	}
	PG_CATCH();
	{
		explain_wait(caller);
	}
	PG_END_TRY();
	AtEOXact_GUC(true, settings);
	put_answer(fcinfo, &answer, budget_id, request.at);
	SPI_finish();
	PG_RETURN_NULL();
}
