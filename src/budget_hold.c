/*-------------------------------------------------------------------------
 * budget_hold.c
 *	  What of a decision is written, and found again by a retry.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/xact.h"
#include "budget_balance.h"
#include "budget_hold.h"
#include "budget_query.h"
#include "budget_wait.h"
#include "catalog/pg_type.h"
#include "json_build.h"
#include "ledger.h"
#include "money.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/uuid.h"
#include "utils/timestamp.h"

/*
 * What the call asks of limits of tokens, or NULL where there is none: it may
 * have been worked out at a price that changes.
 */
static Numeric
asked_tokens(List *candidates)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (candidate->budget->metric == METRIC_TOKENS)
			return candidate->asked;
	}
	return NULL;
}

static Datum
answer_json(const Answer *answer, List *candidates)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	json_put_text(&state, "decision", answer->decision);
	json_put_numeric(&state, "budget_id", answer->by ? cl_numeric_from_int64(answer->by->budget->budget_id) : NULL);
	json_put_text(&state, "reason", answer->reason);
	json_put_numeric(&state, "spent", answer->spent);
	json_put_numeric(&state, "held", answer->held);
	json_put_numeric(&state, "limit_amount", answer->limit_amount);
	json_put_time(&state, "resets_at", answer->resets_at);
	json_put_text(&state, "degrade_to", answer->degrade_to);
	json_put_numeric(&state, "estimate", answer->estimate);
	json_put_numeric(&state, "tokens", asked_tokens(candidates));
	json_put_text(&state, "is_unpriced", answer->is_unpriced ? "true" : NULL);
	return json_done(&state);
}

static void
put_value(TupleTableSlot *row, int column, Datum value)
{
	row->tts_values[column] = value;
	row->tts_isnull[column] = false;
}

static void
put_text(TupleTableSlot *row, int column, const char *text)
{
	if (text != NULL)
		put_value(row, column, CStringGetTextDatum(text));
}

static TupleTableSlot *
begin_row(RowTable *table)
{
	TupleTableSlot *row = cl_make_row(table);

	memset(row->tts_isnull, true, row->tts_tupleDescriptor->natts * sizeof(bool));
	return row;
}

static TimestampTz
expiry(const Request *request)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(request->at),
												   IntervalPGetDatum(request->ttl)));
}

/*
 * False where another session has used the key meanwhile.
 */
static bool
write_hold(Books *books, Answer *answer, List *candidates, const Request *request, Datum request_doc)
{
	TupleTableSlot *row = begin_row(&books->holds);
	Datum		id = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	bool		is_new;

	put_value(row, HOLD_ID, id);
	put_value(row, HOLD_KEY, request->hold_key);
	put_text(row, HOLD_RUN_ID, cl_label_value(&request->wanted, "run_id"));
	put_text(row, HOLD_PARENT_RUN_ID, cl_is_parent_known(request) ? NULL : cl_label_value(&request->wanted, "parent_run_id"));
	put_value(row, HOLD_REQUEST, request_doc);
	if (answer->estimate != NULL)
		put_value(row, HOLD_ESTIMATE, NumericGetDatum(answer->estimate));
	put_value(row, HOLD_ANSWER, answer_json(answer, candidates));
	put_text(row, HOLD_STATE, "open");
	put_value(row, HOLD_CREATED_AT, TimestampTzGetDatum(request->at));
	put_value(row, HOLD_EXPIRES_AT, TimestampTzGetDatum(expiry(request)));
	put_value(row, HOLD_CALLS, Int32GetDatum(0));
	put_value(row, HOLD_IS_LATE, BoolGetDatum(false));
	put_value(row, HOLD_IS_UNKNOWN, BoolGetDatum(false));
	ExecStoreVirtualTuple(row);
	is_new = cl_insert_new_row(&books->holds, row, cl_ledger_relation("hold_key"));
	answer->has_hold = is_new;
	answer->hold_id = *DatumGetUUIDP(id);
	return is_new;
}

static void
write_line(Books *books, const Candidate *candidate, const Answer *answer, const Request *request)
{
	TupleTableSlot *row = begin_row(&books->lines);

	put_value(row, LINE_HOLD_ID, UUIDPGetDatum(&answer->hold_id));
	put_value(row, LINE_BUDGET_ID, Int64GetDatum(candidate->budget->budget_id));
	put_text(row, LINE_ENTITY, candidate->entity);
	put_value(row, LINE_PERIOD_START, TimestampTzGetDatum(GATE));
	put_value(row, LINE_AMOUNT, NumericGetDatum(candidate->asked));
	put_value(row, LINE_EXPIRES_AT, TimestampTzGetDatum(expiry(request)));
	ExecStoreVirtualTuple(row);
	cl_insert_row(&books->lines, row);
}

/*
 * Adds what is asked for to the gate, as it was when it was taken.
 */
static void
add_held(Books *books, const Candidate *candidate)
{
	const int	column = BALANCE_HELD;
	const Datum held = NumericGetDatum(cl_numeric_add(cl_amount_of(candidate->gate, BALANCE_HELD), candidate->asked));

	cl_update_row(&books->balances, candidate->gate, &column, &held, NULL, 1);
}

/*
 * False where another session has used the key meanwhile.
 */
bool
cl_hold(Books *books, Answer *answer, List *candidates, const Request *request, Datum request_doc)
{
	ListCell   *cell;

	if (!write_hold(books, answer, candidates, request, request_doc))
		return false;
	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (!cl_is_held(candidate) || !cl_is_concerned(candidate, request, answer->degrade_to))
			continue;
		add_held(books, candidate);
		write_line(books, candidate, answer, request);
	}
	cl_see_books(books);
	return true;
}

/* ---- retries ---- */

/*
 * Whether the key has been used: mostly it has not, and that is all to know.
 */
bool
cl_is_used(Books *books, const Request *request)
{
	ScanKeyData key;

	cl_text_key(&key, 1, TextDatumGetCString(request->hold_key));
	return cl_find_row(&books->holds, cl_ledger_relation("hold_key"), &key, 1, cl_make_row(&books->holds));
}

static const char *const retry_query =
	"SELECT h.hold_id, h.request = $2, h.state, h.expires_at, h.answer ->> 'decision', (h.answer ->> 'budget_id')::bigint, h.answer ->> 'reason',"
	" (h.answer ->> 'spent')::numeric, (h.answer ->> 'held')::numeric, (h.answer ->> 'limit_amount')::numeric,"
	" (h.answer ->> 'resets_at')::timestamptz, h.answer ->> 'degrade_to', h.estimate, $3 > h.expires_at - h.created_at, h.answer ? 'is_unpriced' "
	"FROM cost_ledger_internal.hold h WHERE h.hold_key = $1";

static void
refuse_ended(const Request *request)
{
	ereport(ERROR,
			(errcode(ERRCODE_CL_EVENT_KEY_CONFLICT),
			 errmsg("the hold of key \"%s\" is over", TextDatumGetCString(request->hold_key)),
			 errhint("It was released or has expired: reserve again with a new key.")));
}

static void
refuse_retry(const Request *request, const char *state, TimestampTz expires_at)
{
	if (!DatumGetBool(cl_result(0, 2, NULL)))
		ereport(ERROR,
				(errcode(ERRCODE_CL_EVENT_KEY_CONFLICT),
				 errmsg("hold key \"%s\" has already been used for another request", TextDatumGetCString(request->hold_key)),
				 errhint("Send a retry with the same arguments, and a new request with a new key.")));
	if (strcmp(state, "released") == 0 || strcmp(state, "expired") == 0 ||
		(strcmp(state, "open") == 0 && expires_at <= request->at))
		refuse_ended(request);
}

/*
 * A retry that asks for longer gets it, in the order hold, then lines; not when
 * somebody has just taken a line because it had expired.
 */
static void
extend(const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INTERVALOID};
	Datum		values[] = {request->hold_key, TimestampTzGetDatum(request->at), IntervalPGetDatum(request->ttl)};

	cl_note_ended_holds();
	cl_ask(&plan, "WITH longer AS (UPDATE cost_ledger_internal.hold h SET expires_at = $2 + $3 "
		   "  WHERE h.hold_key = $1 AND h.state = 'open' AND h.expires_at > clock_timestamp() AND h.expires_at < $2 + $3 RETURNING h.hold_id), "
		   "lines AS (UPDATE cost_ledger_internal.hold_line l SET expires_at = $2 + $3 FROM longer h WHERE l.hold_id = h.hold_id RETURNING 1) "
		   "SELECT (SELECT count(*) FROM lines) < (SELECT count(*) FROM longer h JOIN cost_ledger_internal.hold_line l USING (hold_id))",
		   3, types, values, NULL);
	if (DatumGetBool(cl_result(0, 1, NULL)))
		refuse_ended(request);
}

/*
 * Whether the key has a hold already, whose answer it is then.
 */
bool
cl_is_retry(Answer *answer, int64 *budget_id, const Request *request, Datum request_doc)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, JSONBOID, INTERVALOID};
	Datum		values[] = {request->hold_key, request_doc, IntervalPGetDatum(request->ttl)};
	char	   *state;
	bool		isnull;

	if (cl_ask(&plan, retry_query, 3, types, values, NULL) == 0)
		return false;
	memset(answer, 0, sizeof(Answer));
	state = cl_text_result(0, 3);
	refuse_retry(request, state, cl_time_result(0, 4));
	answer->has_hold = true;
	answer->hold_id = *DatumGetUUIDP(cl_result(0, 1, NULL));
	answer->decision = cl_text_result(0, 5);
	*budget_id = DatumGetInt64(cl_result(0, 6, &isnull));
	if (isnull)
		*budget_id = 0;
	answer->reason = cl_text_result(0, 7);
	answer->spent = cl_numeric_result(0, 8);
	answer->held = cl_numeric_result(0, 9);
	answer->limit_amount = cl_numeric_result(0, 10);
	answer->resets_at = cl_time_result(0, 11);
	answer->retry_at = DT_NOEND;
	answer->degrade_to = cl_text_result(0, 12);
	answer->estimate = cl_numeric_result(0, 13);
	answer->is_unpriced = DatumGetBool(cl_result(0, 15, NULL));
	if (strcmp(state, "open") == 0 && DatumGetBool(cl_result(0, 14, NULL)))
		extend(request);
	return true;
}

/*
 * A run that is refused is known all the same: what it starts is below it.
 */
void
cl_remember_run(const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[2];

	if (cl_is_parent_known(request))
		return;
	values[0] = CStringGetTextDatum(cl_label_value(&request->wanted, "run_id"));
	values[1] = CStringGetTextDatum(cl_label_value(&request->wanted, "parent_run_id"));
	cl_ask(&plan, "INSERT INTO cost_ledger_internal.hold (run_id, parent_run_id, state, ended_at) VALUES ($1, $2, 'released', now())",
		2, types, values, NULL);
}
