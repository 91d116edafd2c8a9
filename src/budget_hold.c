/*-------------------------------------------------------------------------
 * budget_hold.c
 *	  What of a decision is written, and found again by a retry.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "budget_hold.h"
#include "budget_query.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static const char *const hold_query =
	"WITH made AS (INSERT INTO cost_ledger_internal.hold (hold_key, run_id, parent_run_id, request, estimate, created_at, expires_at, answer) "
	"  VALUES ($1, $2, $3, $4, $5, $6, $6 + $7, "
	"          jsonb_build_object('decision', $8::text, 'budget_id', $9::bigint, 'reason', $10::text, 'spent', $11::numeric, 'held', $12::numeric,"
	"                             'limit_amount', $13::numeric, 'resets_at', $14::timestamptz, 'degrade_to', $15::text, 'estimate', $5)) "
	"  ON CONFLICT ON CONSTRAINT hold_key DO NOTHING RETURNING hold_id), "
	"lines AS (INSERT INTO cost_ledger_internal.hold_line (hold_id, budget_id, entity, period_start, amount, expires_at) "
	"  SELECT m.hold_id, l.budget_id, l.entity, '-infinity', l.amount, $6 + $7 "
	"  FROM made m CROSS JOIN unnest($16, $17, $18) AS l (budget_id, entity, amount)), "
	"held AS (UPDATE cost_ledger_internal.budget_balance s SET held = s.held + l.amount "
	"  FROM made m CROSS JOIN unnest($16, $17, $18) AS l (budget_id, entity, amount) "
	"  WHERE s.budget_id = l.budget_id AND s.entity = l.entity AND s.period_start = '-infinity') "
	"SELECT m.hold_id FROM made m";

static void
put_text(Datum *value, char *null, const char *text)
{
	*null = text ? ' ' : 'n';
	*value = text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
put_numeric(Datum *value, char *null, Numeric amount)
{
	*null = amount ? ' ' : 'n';
	*value = NumericGetDatum(amount);
}

/*
 * What is held of which budget, as three arrays.
 */
static void
put_lines(Datum *values, List *candidates, const Request *request, const char *degrade_to)
{
	int			most = list_length(candidates) + 1;
	Datum	   *ids = palloc(most * sizeof(Datum));
	Datum	   *entities = palloc(most * sizeof(Datum));
	Datum	   *amounts = palloc(most * sizeof(Datum));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (!cl_is_held(candidate) || !cl_is_concerned(candidate, request, degrade_to))
			continue;
		ids[n] = Int64GetDatum(candidate->budget->budget_id);
		entities[n] = CStringGetTextDatum(candidate->entity);
		amounts[n++] = NumericGetDatum(candidate->asked);
	}
	values[0] = cl_array_of(ids, NULL, n, INT8OID);
	values[1] = cl_array_of(entities, NULL, n, TEXTOID);
	values[2] = cl_array_of(amounts, NULL, n, NUMERICOID);
}

/*
 * False where another session has used the key meanwhile.
 */
bool
cl_hold(Answer *answer, List *candidates, const Request *request, Datum request_doc)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, JSONBOID, NUMERICOID, TIMESTAMPTZOID, INTERVALOID, TEXTOID, INT8OID, TEXTOID,
		NUMERICOID, NUMERICOID, NUMERICOID, TIMESTAMPTZOID, TEXTOID, INT8ARRAYOID, TEXTARRAYOID, NUMERICARRAYOID};
	Datum		values[18] = {request->hold_key};
	char		nulls[] = "                  ";

	put_text(&values[1], &nulls[1], cl_label_value(&request->wanted, "run_id"));
	put_text(&values[2], &nulls[2], cl_is_parent_known(request) ? NULL : cl_label_value(&request->wanted, "parent_run_id"));
	values[3] = request_doc;
	put_numeric(&values[4], &nulls[4], answer->estimate);
	values[5] = TimestampTzGetDatum(request->at);
	values[6] = IntervalPGetDatum(request->ttl);
	put_text(&values[7], &nulls[7], answer->decision);
	nulls[8] = answer->by ? ' ' : 'n';
	values[8] = answer->by ? Int64GetDatum(answer->by->budget->budget_id) : (Datum) 0;
	put_text(&values[9], &nulls[9], answer->reason);
	put_numeric(&values[10], &nulls[10], answer->spent);
	put_numeric(&values[11], &nulls[11], answer->held);
	put_numeric(&values[12], &nulls[12], answer->limit_amount);
	nulls[13] = TIMESTAMP_NOT_FINITE(answer->resets_at) ? 'n' : ' ';
	values[13] = TimestampTzGetDatum(answer->resets_at);
	put_text(&values[14], &nulls[14], answer->degrade_to);
	put_lines(values + 15, candidates, request, answer->degrade_to);
	if (cl_ask(&plan, hold_query, 18, types, values, nulls) == 0)
		return false;
	answer->has_hold = true;
	answer->hold_id = *DatumGetUUIDP(cl_result(0, 1, NULL));
	return true;
}

static const char *const retry_query =
	"SELECT h.hold_id, h.request = $2, h.state, h.expires_at, h.answer ->> 'decision', (h.answer ->> 'budget_id')::bigint, h.answer ->> 'reason',"
	" (h.answer ->> 'spent')::numeric, (h.answer ->> 'held')::numeric, (h.answer ->> 'limit_amount')::numeric,"
	" (h.answer ->> 'resets_at')::timestamptz, h.answer ->> 'degrade_to', h.estimate, $3 > h.expires_at - h.created_at "
	"FROM cost_ledger_internal.hold h WHERE h.hold_key = $1";

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
		ereport(ERROR,
				(errcode(ERRCODE_CL_EVENT_KEY_CONFLICT),
				 errmsg("the hold of key \"%s\" is over", TextDatumGetCString(request->hold_key)),
				 errhint("It was released or has expired: reserve again with a new key.")));
}

/*
 * A retry that asks for longer gets it, in the order hold, then lines.
 */
static void
extend(const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INTERVALOID};
	Datum		values[] = {request->hold_key, TimestampTzGetDatum(request->at), IntervalPGetDatum(request->ttl)};

	cl_ask(&plan, "WITH longer AS (UPDATE cost_ledger_internal.hold h SET expires_at = $2 + $3 "
		" WHERE h.hold_key = $1 AND h.state = 'open' AND h.expires_at > $2 AND h.expires_at < $2 + $3 RETURNING h.hold_id) "
		"UPDATE cost_ledger_internal.hold_line l SET expires_at = $2 + $3 FROM longer h WHERE l.hold_id = h.hold_id",
		3, types, values, NULL);
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
