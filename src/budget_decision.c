/*-------------------------------------------------------------------------
 * budget_decision.c
 *	  May this call be made?  reserve(): what is left of every budget the call
 *	  belongs to, and what is held of it.
 *
 * What is held of a budget and entity stands in one row, the gate, whatever
 * period it is: a call that is on its way may come in this period or the next.
 * Who has the gates of all budgets that a call belongs to, taken in the order
 * of their key, decides; the rest waits.  Settlements take them in the same
 * order, so what has been posted is looked at after the gates are ours.
 *
 * What a snapshot shows to be full is refused without a lock, and so without a
 * transaction id and a commit record.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/xact.h"
#include "bounds.h"
#include "budget_definition.h"
#include "budget_wait.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "money.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* What a client may send that no budget is limited to, but a decision reads. */
static const char *const label_names[] = {
	"run_id", "session_id", "user_id", "api_key", "customer", "agent", "flow",
	"feature", "team", "task_type", "model", "provider", "operation",
	"service_class", "environment", "parent_run_id", "cohort", "step", "region",
	"request_id", "tool", "depth"
};

StaticAssertDecl(lengthof(label_names) == MAX_BUDGET_LABELS, "labels of a call and their names");

/* As many lines that are over are read with a balance, rather than taken out. */
#define MAX_OVER 16

typedef struct Request
{
	Datum		hold_key;
	BudgetLabels		labels;			/* as they were sent */
	BudgetLabels		wanted;			/* as the call will have them */
	Numeric		estimate;		/* NULL: not known */
	bool		is_priced;		/* by us, of the tokens that were said */
	int64		input_tokens;	/* -1: not said */
	int64		output_tokens;
	Interval   *ttl;
	bool		check_only;
	TimestampTz at;
} Request;

/* A budget that the call belongs to. */
typedef struct Candidate
{
	BudgetDefinition *budget;
	BudgetLimit *limit;
	const char *entity;
	bool		is_degraded;	/* only with the model that is degraded to */
	TimestampTz period_start;
	TimestampTz period_end;
	Numeric		asked;
	/* What was read. */
	bool		is_known;
	Numeric		posted;
	Numeric		held;			/* without what is over */
	Numeric		expiring;
	bool		has_expired;	/* by the clock, and in held of the gate */
	int64		nover;			/* lines of holds that have ended there */
	TimestampTz first_at;
	TimestampTz first_minute;
} Candidate;

typedef struct Answer
{
	const char *decision;
	bool		is_refused;
	BudgetAction action;
	Candidate  *by;
	Numeric		ratio;
	char	   *reason;
	Numeric		spent;
	Numeric		held;
	Numeric		limit_amount;
	TimestampTz resets_at;		/* DT_NOEND: never */
	TimestampTz retry_at;		/* DT_NOEND: not known */
	char	   *degrade_to;
	Numeric		estimate;
	bool		has_hold;
	pg_uuid_t	hold_id;
} Answer;

static const char *const decision_names[] = {
	"allow", "warn", "throttle", "degrade", "defer", "stop"
};

/* ---- amounts ---- */

static Numeric
number(int64 value)
{
	return DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(value)));
}

static int
compare(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

static const char *
amount_text(Numeric amount)
{
	Datum		rounded = DirectFunctionCall2(numeric_round, NumericGetDatum(amount), Int32GetDatum(12));

	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(cl_numeric_trim(DatumGetNumeric(rounded)))));
}

static const char *
exact_text(Numeric amount)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(cl_numeric_trim(amount))));
}

/* ---- labels ---- */

static const char *
label_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return value->val.boolean ? "true" : "false";
		default:
			return NULL;
	}
}

static const char *
known_label(const JsonbValue *key, const JsonbValue *value)
{
	for (int i = 0; i < MAX_BUDGET_LABELS && value->type != jbvBinary; i++)
	{
		if ((int) strlen(label_names[i]) == key->val.string.len &&
			memcmp(label_names[i], key->val.string.val, key->val.string.len) == 0)
			return label_names[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("label \"%s\" is not one of a call, or no text", pnstrdup(key->val.string.val, key->val.string.len)),
			 errhint("The labels are columns of the call: run_id, session_id, user_id, api_key, customer, agent, flow, feature, team, task_type, model, provider, operation, service_class, environment, parent_run_id, cohort, step, region, request_id, tool; and depth.")));
}

static void
read_labels(Jsonb *json, BudgetLabels *labels)
{
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("labels are not a JSON object"),
				 errhint("Write {\"team\": \"search\", \"user_id\": \"u1\"}: what the call will carry.")));
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		JsonbIteratorNext(&it, &value, true);
		cl_set_label(labels, known_label(&key, &value), label_text(&value));
	}
}

/* ---- the request ---- */

static bool
is_ttl(const Interval *ttl)
{
	Interval	most = {.day = 7};
	Interval	none = {0};

	return DatumGetBool(DirectFunctionCall2(interval_gt, PointerGetDatum(ttl), PointerGetDatum(&none))) &&
		DatumGetBool(DirectFunctionCall2(interval_le, PointerGetDatum(ttl), PointerGetDatum(&most)));
}

static bool
is_estimate(Numeric estimate)
{
	static const int64 tenth = INT64CONST(1000000000000000);
	Numeric		most = cl_numeric_mul(number(tenth), number(tenth));

	return !DatumGetBool(DirectFunctionCall2(numeric_lt, NumericGetDatum(estimate), NumericGetDatum(number(0)))) &&
		compare(estimate, most) <= 0 &&
		DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(estimate))) <= 100;
}

static void
check_request(const Request *request)
{
	if (XactIsoLevel != XACT_READ_COMMITTED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("budgets are reserved at READ COMMITTED only"),
				 errhint("SET default_transaction_isolation = 'read committed'; or BEGIN ISOLATION LEVEL READ COMMITTED;")));
	if (!request->check_only &&
		(request->hold_key == (Datum) 0 || VARSIZE_ANY_EXHDR(request->hold_key) < 1 || VARSIZE_ANY_EXHDR(request->hold_key) > 512))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a hold needs a key of 1 to 512 bytes"),
				 errhint("Pass a key that is the same in every retry of this request, e.g. its request_id.")));
}

static void
check_amounts(FunctionCallInfo fcinfo, const Request *request)
{
	if ((request->estimate == NULL || is_estimate(request->estimate)) &&
		(PG_ARGISNULL(5) || request->input_tokens >= 0) &&
		(PG_ARGISNULL(6) || request->output_tokens >= 0) &&
		request->ttl != NULL && is_ttl(request->ttl))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("estimate, tokens or ttl of a reservation are out of range"),
			 errhint("An estimate is from 0 to 1e30, with at most 100 decimals; token counts are not negative; ttl is more than 0 and at most 7 days.")));
}

static void
name_model(FunctionCallInfo fcinfo, Request *request)
{
	static const char *const names[] = {"provider", "model"};

	request->wanted.n = 0;
	cl_set_label(&request->wanted, "service_class", "standard");
	for (int i = 0; i < request->labels.n; i++)
		cl_set_label(&request->wanted, request->labels.label[i].name, request->labels.label[i].value);
	for (int i = 0; i < 2; i++)
	{
		if (!PG_ARGISNULL(3 + i))
			cl_set_label(&request->wanted, names[i], TextDatumGetCString(PG_GETARG_DATUM(3 + i)));
	}
}

static void
read_request(FunctionCallInfo fcinfo, Request *request)
{
	memset(request, 0, sizeof(Request));
	request->hold_key = PG_ARGISNULL(0) ? (Datum) 0 : PointerGetDatum(PG_GETARG_TEXT_PP(0));
	request->estimate = PG_ARGISNULL(2) ? NULL : PG_GETARG_NUMERIC(2);
	request->input_tokens = PG_ARGISNULL(5) ? -1 : PG_GETARG_INT64(5);
	request->output_tokens = PG_ARGISNULL(6) ? -1 : PG_GETARG_INT64(6);
	request->ttl = PG_ARGISNULL(7) ? NULL : PG_GETARG_INTERVAL_P(7);
	request->check_only = !PG_ARGISNULL(8) && PG_GETARG_BOOL(8);
	request->at = GetCurrentTimestamp();
	check_request(request);
	if (!PG_ARGISNULL(1))
		read_labels(PG_GETARG_JSONB_P(1), &request->labels);
	check_amounts(fcinfo, request);
	name_model(fcinfo, request);
}

static Datum
labels_json(const BudgetLabels *labels)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < labels->n; i++)
	{
		JsonbValue	name = {.type = jbvString};
		JsonbValue	value = {.type = jbvString};

		name.val.string.val = unconstify(char *, labels->label[i].name);
		name.val.string.len = strlen(labels->label[i].name);
		value.val.string.val = unconstify(char *, labels->label[i].value);
		value.val.string.len = strlen(labels->label[i].value);
		pushJsonbValue(&state, WJB_KEY, &name);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* ---- asking the executor ---- */

/*
 * Planned once for all: every step is a look-up by index, whatever the
 * statistics say, which the settings of reserve() see to.
 */
static uint64
ask(SPIPlanPtr *plan, const char *query, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			result;

	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor(query, nargs, types, CURSOR_OPT_GENERIC_PLAN);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
		*plan = made;
	}
	result = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not decide by budgets: %s", SPI_result_code_string(result));
	return SPI_processed;
}

static Datum
result(int row, int column, bool *isnull)
{
	bool		null;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull ? isnull : &null);
}

static Numeric
numeric_result(int row, int column)
{
	bool		isnull;
	Datum		value = result(row, column, &isnull);

	return isnull ? NULL : DatumGetNumericCopy(value);
}

static TimestampTz
time_result(int row, int column)
{
	bool		isnull;
	Datum		value = result(row, column, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(value);
}

static char *
text_result(int row, int column)
{
	bool		isnull;
	Datum		value = result(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Datum
array_of(Datum *values, int n, Oid type)
{
	bool		by_value = type == INT8OID || type == TIMESTAMPTZOID;

	return PointerGetDatum(construct_array(values, n, type, by_value ? 8 : -1, by_value,
										   by_value ? TYPALIGN_DOUBLE : TYPALIGN_INT));
}

/* ---- pauses, prices, depth ---- */

/*
 * The kill switch is before everything.
 */
static bool
is_paused(const Request *request, Answer *answer)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TIMESTAMPTZOID, JSONBOID};
	Datum		values[] = {TimestampTzGetDatum(request->at), labels_json(&request->wanted)};

	if (ask(&plan, "SELECT p.reason, p.until FROM cost_ledger.pause p "
			"WHERE p.resumed_at IS NULL AND (p.until IS NULL OR p.until > $1) AND cost_ledger_internal.matches_filter($2, p.scope) "
			"ORDER BY p.pause_id LIMIT 1", 2, types, values, NULL) == 0)
		return false;
	answer->is_refused = true;
	answer->decision = decision_names[ACTION_STOP];
	answer->reason = psprintf("paused: %s", text_result(0, 1));
	answer->resets_at = answer->retry_at = time_result(0, 2);
	return true;
}

/*
 * What the tokens that were said cost now with a model, or NULL.
 */
static Numeric
price_request(const Request *request, const char *model)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TIMESTAMPTZOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID};
	const char *texts[] = {cl_label_value(&request->wanted, "provider"), model,
		cl_label_value(&request->wanted, "service_class"), cl_label_value(&request->wanted, "region"),
	cl_label_value(&request->wanted, "customer")};
	const int	places[] = {1, 2, 5, 6, 7};
	Datum		values[8] = {TimestampTzGetDatum(request->at)};
	char		nulls[] = "        ";

	if (texts[0] == NULL || model == NULL || (request->input_tokens < 0 && request->output_tokens < 0))
		return NULL;
	for (int i = 0; i < 5; i++)
	{
		nulls[places[i]] = texts[i] == NULL ? 'n' : ' ';
		values[places[i]] = texts[i] == NULL ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	values[3] = Int64GetDatum(Max(request->input_tokens, 0));
	values[4] = Int64GetDatum(Max(request->output_tokens, 0));
	ask(&plan, "SELECT cost_ledger.cost_at($1, $2, $3, jsonb_build_object('input_tokens', $4, 'output_tokens', $5), $6, $7, customer => $8)",
		8, types, values, nulls);
	return numeric_result(0, 1);
}

/*
 * How deep the call is: as it says, or below the run above it.
 */
static Numeric
find_depth(const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID};
	const char *said = cl_label_value(&request->wanted, "depth");
	const char *parent = cl_label_value(&request->wanted, "parent_run_id");
	const char *run = parent ? parent : cl_label_value(&request->wanted, "run_id");
	Datum		value;

	if (said != NULL && strspn(said, "0123456789") == strlen(said) && strlen(said) <= 9)
		return number(atoi(said));
	if (run == NULL)
		return number(0);
	value = CStringGetTextDatum(run);
	ask(&plan, "SELECT cost_ledger_internal.depth_of_run($1)", 1, types, &value, NULL);
	return number(DatumGetInt32(result(0, 1, NULL)) + (parent ? 1 : 0));
}

/* ---- which budgets ---- */

/*
 * What the call asks of a budget; of a token budget, an estimate alone says
 * nothing.
 */
static Numeric
find_asked(const Request *request, BudgetMetric metric, Numeric estimate)
{
	switch (metric)
	{
		case METRIC_COST:
			return estimate ? estimate : number(0);
		case METRIC_TOKENS:
			return cl_numeric_add(number(Max(request->input_tokens, 0)), number(Max(request->output_tokens, 0)));
		case METRIC_CALLS:
		case METRIC_CONCURRENT_CALLS:
		case METRIC_TURNS:
			return number(1);
		default:
			return number(0);
	}
}

static bool
is_candidate(List *candidates, BudgetDefinition *budget, const char *entity)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		if (candidate->budget == budget && strcmp(candidate->entity, entity) == 0)
			return true;
	}
	return false;
}

static List *
add_candidate(List *candidates, const Request *request, const BudgetLabels *labels, BudgetDefinition *budget, Numeric estimate, bool is_degraded)
{
	BudgetLimit *limit = cl_budget_limit(budget, request->at);
	const char *entity = budget->each_of ? cl_shortened(cl_label_value(labels, budget->each_of), MAX_ID_LEN) : "";
	Candidate  *candidate;

	if (limit == NULL || is_candidate(candidates, budget, entity))
		return candidates;
	/* What is no turn is not stopped for turns. */
	if (budget->metric == METRIC_TURNS && !cl_is_turn(cl_label_value(labels, "operation")))
		return candidates;
	candidate = palloc0(sizeof(Candidate));
	candidate->budget = budget;
	candidate->limit = limit;
	candidate->entity = entity;
	candidate->is_degraded = is_degraded;
	candidate->asked = find_asked(request, budget->metric, estimate);
	cl_budget_period(budget, request->at);
	candidate->period_start = budget->period_start;
	candidate->period_end = budget->period_end;
	candidate->posted = candidate->held = candidate->expiring = number(0);
	return lappend(candidates, candidate);
}

static List *
find_candidates(List *candidates, const Request *request, const BudgetLabels *labels, Numeric estimate, bool is_degraded)
{
	for (int i = -1; i < labels->n; i++)
	{
		int			nfound;
		BudgetDefinition *budget = cl_find_budgets(i < 0 ? "" : labels->label[i].key, &nfound);

		for (; nfound > 0; nfound--, budget++)
		{
			if (cl_belongs(budget, labels))
				candidates = add_candidate(candidates, request, labels, budget, estimate, is_degraded);
		}
	}
	return candidates;
}

/*
 * Whether a budget may send the call to another model.
 */
static const char *
may_degrade_to(const Candidate *candidate)
{
	for (int i = 0; i < candidate->limit->nthresholds; i++)
	{
		if (candidate->limit->thresholds[i].action == ACTION_DEGRADE)
			return candidate->limit->degrade_to;
	}
	return NULL;
}

/*
 * The budgets of the models that the call may be sent to are candidates from
 * the beginning, so that all gates are taken in one order.
 */
static List *
add_degraded(List *candidates, const Request *request)
{
	int			n = list_length(candidates);

	for (int i = 0; i < n; i++)
	{
		const char *model = may_degrade_to(list_nth(candidates, i));
		BudgetLabels		labels = request->wanted;

		if (model == NULL)
			continue;
		cl_set_label(&labels, "model", model);
		candidates = find_candidates(candidates, request, &labels,
									 request->is_priced ? price_request(request, model) : request->estimate, true);
	}
	return candidates;
}

static int
by_key(const ListCell *a, const ListCell *b)
{
	const Candidate *ca = lfirst(a);
	const Candidate *cb = lfirst(b);

	if (ca->budget->budget_id != cb->budget->budget_id)
		return ca->budget->budget_id < cb->budget->budget_id ? -1 : 1;
	return strcmp(ca->entity, cb->entity);
}

/* ---- balances ---- */

static bool
has_balance(const Candidate *candidate)
{
	return !candidate->budget->is_request;
}

static bool
is_zero(Numeric amount)
{
	return cl_numeric_is_zero(amount);
}

/*
 * Whether something of the budget is to be held.
 */
static bool
is_held(const Candidate *candidate)
{
	return has_balance(candidate) && !is_zero(candidate->asked);
}

/*
 * Keys of the candidates for which a condition holds, as two arrays; how many.
 */
static int
collect_keys(List *candidates, bool (*holds) (const Candidate *), Datum *ids, Datum *entities)
{
	Datum	   *id = palloc((list_length(candidates) + 1) * sizeof(Datum));
	Datum	   *entity = palloc((list_length(candidates) + 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (!holds(candidate))
			continue;
		id[n] = Int64GetDatum(candidate->budget->budget_id);
		entity[n++] = CStringGetTextDatum(candidate->entity);
	}
	*ids = array_of(id, n, INT8OID);
	*entities = array_of(entity, n, TEXTOID);
	return n;
}

static const char *const look_query =
	"SELECT s.budget_id, s.held, least(s.first_at, p.first_at), p.posted, p.first_minute, x.over, x.expiring, x.has_expired, x.nover "
	"FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY AS k (budget_id, entity, first_start, last_start, over_at, n) "
	"LEFT JOIN LATERAL (SELECT s.* FROM cost_ledger_internal.budget_balance s "
	" WHERE s.budget_id = k.budget_id AND s.entity = k.entity AND s.period_start = 'infinity' LIMIT 1) s ON true "
	"CROSS JOIN LATERAL (SELECT coalesce(sum(m.posted), 0) AS posted, min(m.period_start) FILTER (WHERE m.posted > 0) AS first_minute, min(m.first_at) AS first_at "
	" FROM cost_ledger_internal.budget_balance m "
	" WHERE m.budget_id = k.budget_id AND m.entity = k.entity AND m.period_start >= k.first_start AND m.period_start <= k.last_start) p "
	"CROSS JOIN LATERAL (SELECT coalesce(sum(i.amount) FILTER (WHERE i.expires_at <= k.over_at), 0) AS over, coalesce(sum(i.amount), 0) AS expiring,"
	" coalesce(bool_or(i.expires_at > '-infinity' AND i.expires_at <= k.over_at), false) AS has_expired, count(*) FILTER (WHERE i.expires_at = '-infinity') AS nover "
	" FROM cost_ledger_internal.hold_line i "
	" WHERE i.budget_id = k.budget_id AND i.entity = k.entity AND i.period_start = 'infinity' AND i.expires_at <= $6) x "
	"ORDER BY k.n";

static void
read_balance(Candidate *candidate, int row)
{
	Numeric		over = numeric_result(row, 6);
	Numeric		held = numeric_result(row, 2);
	bool		isnull;

	result(row, 1, &isnull);
	candidate->is_known = !isnull;
	candidate->first_at = time_result(row, 3);
	candidate->posted = numeric_result(row, 4);
	candidate->first_minute = time_result(row, 5);
	candidate->expiring = cl_numeric_sub(numeric_result(row, 7), over);
	candidate->held = isnull ? number(0) : cl_numeric_sub(held, over);
	candidate->has_expired = DatumGetBool(result(row, 8, NULL));
	candidate->nover = DatumGetInt64(result(row, 9, NULL));
}

/*
 * Reads what is posted and held, under a snapshot of now.  A hold that has ended
 * counts for nothing, and what was posted for it is in the same snapshot.  One
 * that has expired may be being settled: once gates have been swept, only what
 * was taken out of them is over.
 */
static void
look(List *candidates, TimestampTz at, bool are_swept)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID};
	Datum		values[6];
	Datum	   *times[3];
	int			n = 0;
	ListCell   *cell;

	for (int i = 0; i < 3; i++)
		times[i] = palloc((list_length(candidates) + 1) * sizeof(Datum));
	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		if (!has_balance(candidate))
			continue;
		times[0][n] = TimestampTzGetDatum(candidate->period_start);
		times[1][n] = TimestampTzGetDatum(candidate->budget->period_length > 0 ? DT_NOEND : candidate->period_start);
		times[2][n++] = TimestampTzGetDatum(are_swept && is_held(candidate) ? DT_NOBEGIN : at);
	}
	if (n == 0)
		return;
	collect_keys(candidates, has_balance, &values[0], &values[1]);
	for (int i = 0; i < 3; i++)
		values[2 + i] = array_of(times[i], n, TIMESTAMPTZOID);
	values[5] = TimestampTzGetDatum(at + USECS_PER_SEC);
	ask(&plan, look_query, 6, types, values, NULL);
	n = 0;
	foreach(cell, candidates)
	{
		if (has_balance(lfirst(cell)))
			read_balance(lfirst(cell), n++);
	}
	SPI_freetuptable(SPI_tuptable);
}

static bool
is_missing(const Candidate *candidate)
{
	return has_balance(candidate) && !candidate->is_known &&
		(is_held(candidate) || candidate->budget->metric == METRIC_DURATION);
}

/*
 * Makes gates that are not there.  All that will be held are taken on the way,
 * in the order of the key: a row that is there is locked and left as it is.
 */
static void
make_gates(List *candidates, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID};
	Datum		values[3];
	Datum		ids;
	Datum		entities;

	if (collect_keys(candidates, is_missing, &ids, &entities) == 0)
		return;
	collect_keys(candidates, has_balance, &values[0], &values[1]);
	values[2] = TimestampTzGetDatum(at);
	/* The time of a duration runs from the first call that was asked for. */
	ask(&plan, "INSERT INTO cost_ledger_internal.budget_balance AS s (budget_id, entity, period_start, first_at, last_at) "
		"SELECT k.budget_id, k.entity, 'infinity', CASE WHEN b.metric = 'duration' THEN $3 END, CASE WHEN b.metric = 'duration' THEN $3 END "
		"FROM unnest($1, $2) AS k (budget_id, entity) JOIN cost_ledger.budget b USING (budget_id) "
		"ORDER BY k.budget_id, k.entity COLLATE \"C\" "
		"ON CONFLICT (budget_id, entity, period_start) DO UPDATE SET held = s.held WHERE false", 3, types, values, NULL);
}

/*
 * Takes the gates, in the order of their key.  False where one of them, which
 * was there, is not: a transaction that made it was rolled back.
 */
static bool
take_gates(List *candidates)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID};
	Datum		values[2];
	int			n = collect_keys(candidates, is_held, &values[0], &values[1]);

	return n == 0 ||
		ask(&plan, "SELECT FROM unnest($1, $2) AS k (budget_id, entity) "
			"JOIN cost_ledger_internal.budget_balance s ON s.budget_id = k.budget_id AND s.entity = k.entity AND s.period_start = 'infinity' "
			"ORDER BY s.budget_id, s.entity, s.period_start FOR NO KEY UPDATE OF s", 2, types, values, NULL) == (uint64) n;
}

/*
 * Limits and periods are those of when the gates are ours.
 */
static void
renew(List *candidates, TimestampTz at)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);
		BudgetLimit *limit = cl_budget_limit(candidate->budget, at);

		if (limit != NULL)
			candidate->limit = limit;
		cl_budget_period(candidate->budget, at);
		candidate->period_start = candidate->budget->period_start;
		candidate->period_end = candidate->budget->period_end;
	}
}

/*
 * Takes what is over out of a balance that is ours.  A line that somebody has
 * is being settled or extended: it counts until that is done.
 */
static void
sweep(const Candidate *candidate)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(candidate->budget->budget_id), CStringGetTextDatum(candidate->entity),
	TimestampTzGetDatum(GetCurrentTimestamp())};

	ask(&plan, "WITH over AS MATERIALIZED (SELECT l.hold_id FROM cost_ledger_internal.hold_line l "
		"  WHERE l.budget_id = $1 AND l.entity = $2 AND l.period_start = 'infinity' AND l.expires_at <= $3 FOR UPDATE SKIP LOCKED), "
		"gone AS (DELETE FROM cost_ledger_internal.hold_line l USING over o "
		"  WHERE l.hold_id = o.hold_id AND l.budget_id = $1 AND l.entity = $2 RETURNING l.amount) "
		"UPDATE cost_ledger_internal.budget_balance s SET held = s.held - g.amount FROM (SELECT sum(g.amount) AS amount FROM gone g) g "
		"WHERE g.amount > 0 AND s.budget_id = $1 AND s.entity = $2 AND s.period_start = 'infinity'", 3, types, values, NULL);
}

/* ---- the decision ---- */

static Numeric
used(const Candidate *candidate)
{
	return cl_numeric_add(candidate->posted, candidate->held);
}

/*
 * The first threshold that no call may go beyond, or NULL.
 */
static BudgetThreshold *
hard_threshold(const Candidate *candidate)
{
	for (int i = 0; i < candidate->limit->nthresholds; i++)
	{
		if (candidate->limit->thresholds[i].action >= ACTION_DEFER)
			return candidate->limit->thresholds + i;
	}
	return NULL;
}

/*
 * Where several refuse, the strongest that is reached answers.
 */
static BudgetThreshold *
refusing_threshold(const Candidate *candidate)
{
	BudgetThreshold *strongest = hard_threshold(candidate);
	Numeric		reached = used(candidate);

	for (int i = 0; i < candidate->limit->nthresholds; i++)
	{
		BudgetThreshold *threshold = candidate->limit->thresholds + i;

		if (threshold->action > strongest->action && compare(reached, threshold->amount) >= 0)
			strongest = threshold;
	}
	return strongest;
}

static Numeric
seconds_since(TimestampTz start, TimestampTz at)
{
	Numeric		microseconds = number(Max(at - start, 0));

	return cl_numeric_div_pow10(microseconds, 6);
}

/*
 * What a budget without a sum is at: its own measure in place of posted.
 */
static void
measure(Candidate *candidate, const Request *request)
{
	if (candidate->budget->metric == METRIC_DEPTH)
		candidate->posted = find_depth(request);
	else if (candidate->budget->metric == METRIC_DURATION)
		candidate->posted = TIMESTAMP_NOT_FINITE(candidate->first_at) ? number(0) : seconds_since(candidate->first_at, request->at);
}

/*
 * Whether the call costs nothing of what is counted: a model whose price is 0,
 * not one whose cost nobody knows.
 */
static bool
is_free(const Candidate *candidate, const Request *request)
{
	return candidate->budget->metric == METRIC_COST && request->is_priced && is_zero(candidate->asked);
}

static bool
fits(const Candidate *candidate, const Request *request, Numeric held)
{
	BudgetThreshold *hard = hard_threshold(candidate);

	if (hard == NULL || is_free(candidate, request))
		return true;
	if (candidate->budget->metric == METRIC_DEPTH)
		return compare(candidate->posted, hard->amount) <= 0;
	if (candidate->budget->is_request)
		return compare(candidate->asked, hard->amount) <= 0;
	if (is_zero(candidate->asked))
		return compare(cl_numeric_add(candidate->posted, held), hard->amount) < 0;
	return compare(cl_numeric_add(cl_numeric_add(candidate->posted, held), candidate->asked), hard->amount) <= 0;
}

static bool
fits_as_held(const Candidate *candidate, const Request *request)
{
	return fits(candidate, request, candidate->held);
}

/*
 * Without a lock: holds that are about to expire are left out, for they may
 * have by the time somebody hears the answer.
 */
static bool
fits_soon(const Candidate *candidate, const Request *request)
{
	return fits(candidate, request, cl_numeric_sub(candidate->held, candidate->expiring));
}

/*
 * When the first of the holds expires that are in the way.
 */
static TimestampTz
first_expiry(const Candidate *candidate, const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(candidate->budget->budget_id), CStringGetTextDatum(candidate->entity),
	TimestampTzGetDatum(request->at)};

	if (ask(&plan, "SELECT l.expires_at FROM cost_ledger_internal.hold_line l "
			"WHERE l.budget_id = $1 AND l.entity = $2 AND l.period_start = 'infinity' AND l.expires_at > $3 "
			"ORDER BY l.expires_at LIMIT 1", 3, types, values, NULL) == 0)
		return DT_NOEND;
	return time_result(0, 1);
}

static TimestampTz
reset_time(const Candidate *candidate)
{
	if (candidate->budget->period_length == 0)
		return candidate->period_end;
	if (TIMESTAMP_NOT_FINITE(candidate->first_minute))
		return DT_NOEND;
	return candidate->first_minute + (candidate->period_end - candidate->period_start);
}

static void
refuse(Answer *answer, Candidate *candidate, const Request *request)
{
	BudgetThreshold *threshold = refusing_threshold(candidate);
	const BudgetDefinition *budget = candidate->budget;
	Numeric		held = budget->is_request ? number(0) : candidate->held;

	if (answer->is_refused && answer->action >= threshold->action)
		return;
	answer->is_refused = true;
	answer->action = threshold->action;
	answer->by = candidate;
	answer->decision = decision_names[threshold->action];
	answer->spent = budget->is_request && budget->metric != METRIC_DEPTH ? number(0) : candidate->posted;
	answer->held = held;
	answer->limit_amount = threshold->amount;
	answer->degrade_to = candidate->limit->degrade_to;
	answer->resets_at = answer->retry_at = reset_time(candidate);
	answer->reason = psprintf("budget \"%s\"%s: %s of %s spent%s, %s more asked for", budget->name,
							  budget->each_of ? psprintf(" of %s %s", budget->each_of, pnstrdup(candidate->entity, pg_mbcharcliplen(candidate->entity, strlen(candidate->entity), 100))) : "",
							  amount_text(answer->spent), exact_text(threshold->amount),
							  is_zero(held) ? "" : psprintf(" and %s held", exact_text(held)),
							  exact_text(candidate->asked));
	if (!is_zero(held) && fits(candidate, request, number(0)))
		answer->retry_at = Min(first_expiry(candidate, request), answer->resets_at);
}

static BudgetAction
soft_action(const Candidate *candidate, Numeric reached)
{
	BudgetAction action = ACTION_ALLOW;

	for (int i = 0; i < candidate->limit->nthresholds; i++)
	{
		BudgetThreshold *threshold = candidate->limit->thresholds + i;

		if (compare(threshold->amount, reached) > 0)
			break;
		if (threshold->action < ACTION_DEFER)
			action = Max(action, threshold->action);
	}
	return action;
}

/*
 * The strongest thing that is asked for decides; of equals, the budget that is
 * nearest to its end is named.
 */
static void
grant(Answer *answer, Candidate *candidate)
{
	BudgetThreshold *hard = hard_threshold(candidate);
	Numeric		held = cl_numeric_add(candidate->budget->is_request ? number(0) : candidate->held, candidate->asked);
	Numeric		reached = cl_numeric_add(candidate->posted, held);
	BudgetAction action = soft_action(candidate, reached);
	Numeric		ratio = DatumGetNumeric(DirectFunctionCall2(numeric_div, NumericGetDatum(reached), NumericGetDatum(candidate->limit->amount)));

	if (answer->by != NULL &&
		(action < answer->action || (action == answer->action && compare(ratio, answer->ratio) <= 0)))
		return;
	answer->action = action;
	answer->ratio = ratio;
	answer->by = candidate;
	answer->decision = decision_names[action];
	answer->spent = candidate->posted;
	answer->held = candidate->budget->is_request ? number(0) : held;
	answer->limit_amount = hard ? hard->amount : candidate->limit->amount;
	answer->degrade_to = action == ACTION_DEGRADE ? candidate->limit->degrade_to : NULL;
	answer->resets_at = candidate->budget->period_length == 0 ? candidate->period_end : DT_NOEND;
	answer->reason = action == ACTION_ALLOW ? NULL :
		psprintf("budget \"%s\": %s of %s spent or held", candidate->budget->name,
				 amount_text(cl_numeric_add(answer->spent, answer->held)), exact_text(answer->limit_amount));
}

static bool
counts(const Candidate *candidate, const Answer *answer, bool for_degraded)
{
	if (candidate->is_degraded != for_degraded)
		return false;
	if (!for_degraded)
		return true;
	return answer->action == ACTION_DEGRADE && !answer->is_refused;
}

/*
 * Whether a candidate is of the call, or of the model it is sent to.
 */
static bool
is_concerned(const Candidate *candidate, const Request *request, const char *degrade_to)
{
	BudgetLabels		labels = request->wanted;

	if (!candidate->is_degraded)
		return true;
	if (degrade_to == NULL)
		return false;
	cl_set_label(&labels, "model", degrade_to);
	return cl_belongs(candidate->budget, &labels) &&
		(candidate->budget->each_of == NULL ||
		 strcmp(cl_shortened(cl_label_value(&labels, candidate->budget->each_of), MAX_ID_LEN), candidate->entity) == 0);
}

/*
 * Asks every candidate: first those of the call, then those of the model it is
 * sent to, which may refuse, and degrade no further.
 */
static void
decide(Answer *answer, List *candidates, const Request *request, bool (*has_room) (const Candidate *, const Request *))
{
	memset(answer, 0, sizeof(Answer));
	answer->decision = decision_names[ACTION_ALLOW];
	answer->resets_at = answer->retry_at = DT_NOEND;
	for (int pass = 0; pass < 2; pass++)
	{
		const char *degrade_to = answer->degrade_to;
		ListCell   *cell;

		foreach(cell, candidates)
		{
			Candidate  *candidate = lfirst(cell);

			if (!counts(candidate, answer, pass == 1) || !is_concerned(candidate, request, degrade_to))
				continue;
			candidate->budget->is_open = has_room(candidate, request) && candidate->is_known;
			if (!has_room(candidate, request))
				refuse(answer, candidate, request);
			else if (!answer->is_refused && pass == 0 && !is_free(candidate, request))
				grant(answer, candidate);
		}
		if (answer->is_refused)
			return;
	}
}

/* ---- what is written ---- */

static const char *const hold_query =
	"WITH made AS (INSERT INTO cost_ledger_internal.hold (hold_key, run_id, parent_run_id, request, estimate, created_at, expires_at, answer) "
	"  VALUES ($1, $2, $3, $4, $5, $6, $6 + $7, "
	"          jsonb_build_object('decision', $8::text, 'budget_id', $9::bigint, 'reason', $10::text, 'spent', $11::numeric, 'held', $12::numeric,"
	"                             'limit_amount', $13::numeric, 'resets_at', $14::timestamptz, 'degrade_to', $15::text, 'estimate', $5)) "
	"  ON CONFLICT ON CONSTRAINT hold_key DO NOTHING RETURNING hold_id), "
	"lines AS (INSERT INTO cost_ledger_internal.hold_line (hold_id, budget_id, entity, period_start, amount, expires_at) "
	"  SELECT m.hold_id, l.budget_id, l.entity, 'infinity', l.amount, $6 + $7 "
	"  FROM made m CROSS JOIN unnest($16, $17, $18) AS l (budget_id, entity, amount)), "
	"held AS (UPDATE cost_ledger_internal.budget_balance s SET held = s.held + l.amount "
	"  FROM made m CROSS JOIN unnest($16, $17, $18) AS l (budget_id, entity, amount) "
	"  WHERE s.budget_id = l.budget_id AND s.entity = l.entity AND s.period_start = 'infinity') "
	"SELECT m.hold_id FROM made m";

static Datum
request_json(FunctionCallInfo fcinfo, const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {JSONBOID, NUMERICOID, TEXTOID, TEXTOID, INT8OID, INT8OID};
	const char *provider = cl_label_value(&request->wanted, "provider");
	const char *model = cl_label_value(&request->wanted, "model");
	Datum		values[] = {
		labels_json(&request->labels),
		PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2),
		provider ? CStringGetTextDatum(provider) : (Datum) 0,
		model ? CStringGetTextDatum(model) : (Datum) 0,
		Int64GetDatum(request->input_tokens),
		Int64GetDatum(request->output_tokens)
	};
	char		nulls[] = {' ', PG_ARGISNULL(2) ? 'n' : ' ', provider ? ' ' : 'n', model ? ' ' : 'n',
		PG_ARGISNULL(5) ? 'n' : ' ', PG_ARGISNULL(6) ? 'n' : ' '};

	ask(&plan, "SELECT jsonb_strip_nulls(jsonb_build_object('labels', $1, 'estimate', $2, 'provider', $3, 'model', $4, 'input_tokens', $5, 'max_output_tokens', $6))",
		6, types, values, nulls);
	return PointerGetDatum(PG_DETOAST_DATUM_COPY(result(0, 1, NULL)));
}

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

		if (!is_held(candidate) || !is_concerned(candidate, request, degrade_to))
			continue;
		ids[n] = Int64GetDatum(candidate->budget->budget_id);
		entities[n] = CStringGetTextDatum(candidate->entity);
		amounts[n++] = NumericGetDatum(candidate->asked);
	}
	values[0] = array_of(ids, n, INT8OID);
	values[1] = array_of(entities, n, TEXTOID);
	values[2] = array_of(amounts, n, NUMERICOID);
}

/*
 * False where another session has used the key meanwhile.
 */
static bool
hold(Answer *answer, List *candidates, const Request *request, Datum request_doc)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, JSONBOID, NUMERICOID, TIMESTAMPTZOID, INTERVALOID, TEXTOID, INT8OID, TEXTOID,
		NUMERICOID, NUMERICOID, NUMERICOID, TIMESTAMPTZOID, TEXTOID, INT8ARRAYOID, TEXTARRAYOID, NUMERICARRAYOID};
	Datum		values[18] = {request->hold_key};
	char		nulls[] = "                  ";

	put_text(&values[1], &nulls[1], cl_label_value(&request->wanted, "run_id"));
	put_text(&values[2], &nulls[2], cl_label_value(&request->wanted, "parent_run_id"));
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
	if (ask(&plan, hold_query, 18, types, values, nulls) == 0)
		return false;
	answer->has_hold = true;
	answer->hold_id = *DatumGetUUIDP(result(0, 1, NULL));
	return true;
}

/* ---- retries ---- */

static const char *const retry_query =
	"SELECT h.hold_id, h.request = $2, h.state, h.expires_at, h.answer ->> 'decision', (h.answer ->> 'budget_id')::bigint, h.answer ->> 'reason',"
	" (h.answer ->> 'spent')::numeric, (h.answer ->> 'held')::numeric, (h.answer ->> 'limit_amount')::numeric,"
	" (h.answer ->> 'resets_at')::timestamptz, h.answer ->> 'degrade_to', h.estimate, $3 > h.expires_at - h.created_at "
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
	if (!DatumGetBool(result(0, 2, NULL)))
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
	ask(&plan, "WITH longer AS (UPDATE cost_ledger_internal.hold h SET expires_at = $2 + $3 "
		"  WHERE h.hold_key = $1 AND h.state = 'open' AND h.expires_at > clock_timestamp() AND h.expires_at < $2 + $3 RETURNING h.hold_id), "
		"lines AS (UPDATE cost_ledger_internal.hold_line l SET expires_at = $2 + $3 FROM longer h WHERE l.hold_id = h.hold_id RETURNING 1) "
		"SELECT (SELECT count(*) FROM lines) < (SELECT count(*) FROM longer h JOIN cost_ledger_internal.hold_line l USING (hold_id))",
		3, types, values, NULL);
	if (DatumGetBool(result(0, 1, NULL)))
		refuse_ended(request);
}

/*
 * Whether the key has a hold already, whose answer it is then.
 */
static bool
is_retry(Answer *answer, int64 *budget_id, const Request *request, Datum request_doc)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, JSONBOID, INTERVALOID};
	Datum		values[] = {request->hold_key, request_doc, IntervalPGetDatum(request->ttl)};
	char	   *state;
	bool		isnull;

	if (ask(&plan, retry_query, 3, types, values, NULL) == 0)
		return false;
	memset(answer, 0, sizeof(Answer));
	state = text_result(0, 3);
	refuse_retry(request, state, time_result(0, 4));
	answer->has_hold = true;
	answer->hold_id = *DatumGetUUIDP(result(0, 1, NULL));
	answer->decision = text_result(0, 5);
	*budget_id = DatumGetInt64(result(0, 6, &isnull));
	if (isnull)
		*budget_id = 0;
	answer->reason = text_result(0, 7);
	answer->spent = numeric_result(0, 8);
	answer->held = numeric_result(0, 9);
	answer->limit_amount = numeric_result(0, 10);
	answer->resets_at = time_result(0, 11);
	answer->retry_at = DT_NOEND;
	answer->degrade_to = text_result(0, 12);
	answer->estimate = numeric_result(0, 13);
	if (strcmp(state, "open") == 0 && DatumGetBool(result(0, 14, NULL)))
		extend(request);
	return true;
}

/* ---- all of it ---- */

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

		if (!has_balance(candidate))
			continue;
		if (candidate->budget->each_of != NULL || !candidate->budget->is_open || candidate->budget->metric == METRIC_DURATION)
			return true;
	}
	return false;
}

static void
measure_all(List *candidates, const Request *request)
{
	ListCell   *cell;

	foreach(cell, candidates)
		measure(lfirst(cell), request);
}

/*
 * Takes out of the gates what has expired; whether there was any.
 */
static bool
sweep_expired(List *candidates)
{
	bool		has_swept = false;
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (!is_held(candidate) || !candidate->has_expired)
			continue;
		sweep(candidate);
		has_swept = true;
	}
	return has_swept;
}

/*
 * Holds that have ended while somebody had the gate stay there until it is
 * worth the while.
 */
static void
sweep_over(List *candidates)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (is_held(candidate) && candidate->nover >= MAX_OVER)
			sweep(candidate);
	}
}

static Numeric
held_estimate(const Answer *answer, const Request *request)
{
	if (answer->action == ACTION_DEGRADE && !answer->is_refused && request->is_priced)
		return price_request(request, answer->degrade_to);
	return request->estimate;
}

static void
answer_by_balances(Answer *answer, List *candidates, const Request *request, bool (*has_room) (const Candidate *, const Request *))
{
	measure_all(candidates, request);
	decide(answer, candidates, request, has_room);
	answer->estimate = held_estimate(answer, request);
}

static void
ask_budgets(Answer *answer, List *candidates, const Request *request, bool (*has_room) (const Candidate *, const Request *))
{
	look(candidates, request->at, false);
	answer_by_balances(answer, candidates, request, has_room);
}

/*
 * Has all gates that will be held when it returns true; false where it needs
 * no lock to refuse.  A gate that somebody had made, or dropped, may be gone or
 * back when our turn comes: then all of them are looked at again.
 */
static bool
get_gates(Answer *answer, List *candidates, const Request *request)
{
	if (!needs_look(candidates) && take_gates(candidates))
		return true;
	do
	{
		CHECK_FOR_INTERRUPTS();
		ask_budgets(answer, candidates, request, fits_soon);
		if (answer->is_refused)
			return false;
		make_gates(candidates, request->at);
	} while (!take_gates(candidates));
	return true;
}

/*
 * Whether the call has been granted, and all of it is held.
 */
static bool
decide_by_budgets(Answer *answer, Request *request, Datum request_doc)
{
	List	   *candidates = find_candidates(NIL, request, &request->wanted, request->estimate, false);

	candidates = add_degraded(candidates, request);
	list_sort(candidates, by_key);
	if (request->check_only)
	{
		ask_budgets(answer, candidates, request, fits_as_held);
		return false;
	}
	if (!get_gates(answer, candidates, request))
		return false;
	cl_note_gates();
	request->at = GetCurrentTimestamp();
	renew(candidates, request->at);
	look(candidates, request->at, false);
	if (sweep_expired(candidates))
		look(candidates, request->at, true);
	answer_by_balances(answer, candidates, request, fits_as_held);
	sweep_over(candidates);
	if (answer->is_refused)
		return false;
	return hold(answer, candidates, request, request_doc);
}

/*
 * A run that is too deep is known all the same: what it starts is deeper yet.
 */
static void
remember_run(const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID};
	const char *run = cl_label_value(&request->wanted, "run_id");
	const char *parent = cl_label_value(&request->wanted, "parent_run_id");
	Datum		values[2];

	if (run == NULL || parent == NULL)
		return;
	values[0] = CStringGetTextDatum(run);
	values[1] = CStringGetTextDatum(parent);
	ask(&plan, "INSERT INTO cost_ledger_internal.hold (run_id, parent_run_id, state, ended_at) "
		"SELECT $1, $2, 'released', now() "
		"WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.hold h WHERE h.run_id = $1 AND h.parent_run_id IS NOT NULL)",
		2, types, values, NULL);
}

static void
answer_request(FunctionCallInfo fcinfo, Request *request, Answer *answer, int64 *budget_id)
{
	Datum		request_doc = (Datum) 0;

	LockRelationOid(cl_ledger_relation("budget_balance"), request->check_only ? AccessShareLock : RowExclusiveLock);
	request->at = GetCurrentTimestamp();
	cl_load_budgets();
	memset(answer, 0, sizeof(Answer));
	if (cl_has_pauses() && is_paused(request, answer))
		return;
	if (!request->check_only)
	{
		request_doc = request_json(fcinfo, request);
		if (is_retry(answer, budget_id, request, request_doc))
			return;
	}
	if (request->estimate == NULL)
	{
		request->estimate = price_request(request, cl_label_value(&request->wanted, "model"));
		request->is_priced = request->estimate != NULL;
	}
	/* What was in the way may be the hold of the same request. */
	if (decide_by_budgets(answer, request, request_doc) || request->check_only ||
		!is_retry(answer, budget_id, request, request_doc))
		*budget_id = answer->by ? answer->by->budget->budget_id : 0;
	if (answer->is_refused && !request->check_only && answer->by->budget->metric == METRIC_DEPTH)
		remember_run(request);
}

static void
put_answer(FunctionCallInfo fcinfo, const Answer *answer, int64 budget_id, TimestampTz at)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[11];
	bool		nulls[11] = {0};

	InitMaterializedSRF(fcinfo, 0);
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
	read_request(fcinfo, &request);
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
	put_answer(fcinfo, &answer, budget_id, request.at);
	SPI_finish();
	PG_RETURN_NULL();
}
