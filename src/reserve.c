/*-------------------------------------------------------------------------
 * reserve.c
 *	  May this call be made?  reserve(): what is left of every budget the call
 *	  belongs to, and what is held of it.
 *
 * What a snapshot shows to be full is refused without a lock.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "budget_decision.h"
#include "budget_gate.h"
#include "budget_hold.h"
#include "budget_query.h"
#include "budget_refusal.h"
#include "budget_request.h"
#include "budget_wait.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

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
		return cl_degraded_estimate(request, answer->degrade_to);
	return request->estimate;
}

static void
answer_by_balances(Answer *answer, List *candidates, const Request *request, bool (*has_room) (const Candidate *, const Request *))
{
	cl_measure_all(candidates, request);
	cl_decide(answer, candidates, request, has_room);
	answer->is_unpriced = request->is_unpriced;
	if (request->is_unpriced && answer->reason == NULL)
		answer->reason = psprintf("model \"%s\" has no price: %s is held of what it costs", cl_label_value(&request->wanted, "model"),
								  request->estimate ? "as much as the ledger says" : "nothing");
	answer->estimate = held_estimate(answer, request);
}

static void
ask_budgets(Books *books, Answer *answer, List *candidates, const Request *request, bool (*has_room) (const Candidate *, const Request *))
{
	cl_look(books, candidates, request->at, false);
	answer_by_balances(answer, candidates, request, has_room);
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
 * By its price, or by what the ledger says of models that have none; false if
 * that is to stop them.
 */
static bool
estimate_call(Request *request)
{
	Numeric		instead;

	request->estimate = cl_price_request(request, cl_label_value(&request->wanted, "model"));
	request->is_priced = request->estimate != NULL;
	request->is_unpriced = !request->is_priced && cl_is_unpriced(request);
	if (!request->is_unpriced)
		return true;
	switch (cl_unpriced_policy(&instead))
	{
		case UNPRICED_STOP:
			return false;
		case UNPRICED_HOLD:
			request->estimate = instead;
			return true;
		default:
			return true;
	}
}

static void
stop_unpriced(Answer *answer, const Request *request)
{
	answer->is_refused = answer->is_unpriced = true;
	answer->decision = cl_decision_names[ACTION_STOP];
	answer->reason = psprintf("model \"%s\" has no price", cl_label_value(&request->wanted, "model"));
	answer->resets_at = answer->retry_at = DT_NOEND;
}

/*
 * Whether the call has been granted, and all of it is held.
 */
static bool
hold_all(Books *books, Answer *answer, List *candidates, Request *request, Datum request_doc)
{
	if (!get_gates(books, answer, candidates, request))
		return false;
	cl_note_gates();
	request->at = GetCurrentTimestamp();
	cl_renew(candidates, request->at);
	cl_look(books, candidates, request->at, false);
	if (cl_sweep_expired(books, candidates))
		cl_look(books, candidates, request->at, true);
	answer_by_balances(answer, candidates, request, cl_fits_as_held);
	cl_sweep_over(books, candidates);
	if (answer->is_refused)
		return false;
	return cl_hold(books, answer, candidates, request, request_doc);
}

static bool
decide_by_budgets(Books *books, Answer *answer, Request *request, Datum request_doc)
{
	List	   *candidates;

	if (request->estimate == NULL && !estimate_call(request))
	{
		stop_unpriced(answer, request);
		return false;
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

/*
 * What was refused, and what was said of runs with it: what a run that was
 * refused starts is below it all the same.
 */
static void
put_on_record(const Answer *answer, const Request *request)
{
	if (answer->is_refused && request->raise)
		return;
	cl_record_waiting();
	if (!answer->is_refused)
		return;
	if (answer->by != NULL)
		cl_record_refusal(answer, request);
	if (cl_asks_for_runs())
		cl_remember_run(request);
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
	if (!request->check_only)
		put_on_record(answer, request);
}

static void
put_answer(FunctionCallInfo fcinfo, const Answer *answer, int64 budget_id, TimestampTz at)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[12];
	bool		nulls[12] = {0};

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
	nulls[8] = TIMESTAMP_NOT_FINITE(answer->retry_at);
	values[8] = nulls[8] ? (Datum) 0 : DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(answer->retry_at), TimestampTzGetDatum(at));
	nulls[9] = answer->degrade_to == NULL;
	values[9] = answer->degrade_to ? CStringGetTextDatum(answer->degrade_to) : (Datum) 0;
	nulls[10] = answer->estimate == NULL;
	values[10] = NumericGetDatum(answer->estimate);
	values[11] = BoolGetDatum(answer->is_unpriced);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(cl_reserve);

/*
 * reserve(hold_key text, labels jsonb, estimate numeric, provider text, model
 * text, input_tokens bigint, max_output_tokens bigint, ttl interval,
 * check_only boolean, tool_calls bigint, raise boolean) → a row
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
	cl_wait_briefly();
	PG_TRY();
	{
		answer_request(fcinfo, &request, &answer, &budget_id);
	}
	PG_CATCH();
	{
		cl_explain_wait(caller, "another transaction has had the balance of a budget for too long");
	}
	PG_END_TRY();
	AtEOXact_GUC(true, settings);
	if (answer.is_refused && request.raise)
		cl_raise_refusal(&answer, &request);
	put_answer(fcinfo, &answer, budget_id, request.at);
	SPI_finish();
	PG_RETURN_NULL();
}
