/*-------------------------------------------------------------------------
 * budget_request.c
 *	  What reserve() was asked: the labels of a call that is about to be made,
 *	  what it is expected to cost, and how deep it is.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/xact.h"
#include "bounds.h"
#include "budget_query.h"
#include "budget_request.h"
#include "catalog/pg_type.h"
#include "json_build.h"
#include "json_column.h"
#include "money.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* What a client may send that no budget is limited to, but a decision reads. */
static const char *const label_names[] = {
	"run_id", "session_id", "user_id", "api_key", "customer", "agent", "flow",
	"feature", "team", "task_type", "model", "provider", "operation",
	"service_class", "environment", "parent_run_id", "cohort", "step", "region",
	"request_id", "tool", "depth"
};

StaticAssertDecl(lengthof(label_names) == MAX_BUDGET_LABELS, "labels of a call and their names");

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
			 errhint("The labels are columns of the call: run_id, session_id, user_id, api_key, customer, agent, flow, feature, team, task_type, model, provider, operation, service_class, environment, parent_run_id, cohort, step, region, request_id, tool and tags; and depth.")));
}

static Jsonb *
read_tags(const JsonbValue *value)
{
	Jsonb	   *tags;

	if (value->type == jbvNull)
		return NULL;
	tags = JsonbValueToJsonb(unconstify(JsonbValue *, value));
	if (!JB_ROOT_IS_OBJECT(tags) || !cl_is_flat_object(tags))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"tags\" is not a flat object of names and values"),
				 errhint("Write {\"tags\": {\"tier\": \"gold\"}}: what the call will carry.")));
	return tags;
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
		if (key.val.string.len == 4 && memcmp(key.val.string.val, "tags", 4) == 0)
			labels->tags = read_tags(&value);
		else
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
	Numeric		most = cl_numeric_mul(cl_numeric_from_int64(tenth), cl_numeric_from_int64(tenth));

	return !DatumGetBool(DirectFunctionCall2(numeric_lt, NumericGetDatum(estimate), NumericGetDatum(cl_numeric_from_int64(0)))) &&
		cl_numeric_compare(estimate, most) <= 0 &&
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
	/* What is held is written without the executor, which would have asked. */
	if (!request->check_only && XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot reserve in a read-only transaction"),
				 errhint("Ask with check_only => true, or reserve on the primary, in a transaction that may write.")));
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
		(PG_ARGISNULL(9) || request->tool_calls >= 0) &&
		request->ttl != NULL && is_ttl(request->ttl))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("estimate, tokens, tool calls or ttl of a reservation are out of range"),
			 errhint("An estimate is from 0 to 1e30, with at most 100 decimals; counts of tokens and tool calls are not negative; ttl is more than 0 and at most 7 days.")));
}

static void
name_model(FunctionCallInfo fcinfo, Request *request)
{
	static const char *const names[] = {"provider", "model"};

	request->wanted.n = 0;
	request->wanted.tags = request->labels.tags;
	cl_set_label(&request->wanted, "service_class", "standard");
	for (int i = 0; i < request->labels.n; i++)
		cl_set_label(&request->wanted, request->labels.label[i].name, request->labels.label[i].value);
	for (int i = 0; i < 2; i++)
	{
		if (!PG_ARGISNULL(3 + i))
			cl_set_label(&request->wanted, names[i], TextDatumGetCString(PG_GETARG_DATUM(3 + i)));
	}
}

void
cl_read_request(FunctionCallInfo fcinfo, Request *request)
{
	memset(request, 0, sizeof(Request));
	request->hold_key = PG_ARGISNULL(0) ? (Datum) 0 : PointerGetDatum(PG_GETARG_TEXT_PP(0));
	request->estimate = PG_ARGISNULL(2) ? NULL : PG_GETARG_NUMERIC(2);
	request->input_tokens = PG_ARGISNULL(5) ? -1 : PG_GETARG_INT64(5);
	request->output_tokens = PG_ARGISNULL(6) ? -1 : PG_GETARG_INT64(6);
	request->ttl = PG_ARGISNULL(7) ? NULL : PG_GETARG_INTERVAL_P(7);
	request->check_only = !PG_ARGISNULL(8) && PG_GETARG_BOOL(8);
	request->tool_calls = PG_ARGISNULL(9) ? -1 : PG_GETARG_INT64(9);
	request->raise = !PG_ARGISNULL(10) && PG_GETARG_BOOL(10);
	request->at = GetCurrentTimestamp();
	check_request(request);
	if (!PG_ARGISNULL(1))
		read_labels(PG_GETARG_JSONB_P(1), &request->labels);
	check_amounts(fcinfo, request);
	name_model(fcinfo, request);
}

static void
put_labels(JsonbParseState **state, const BudgetLabels *labels)
{
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < labels->n; i++)
		json_put_text(state, labels->label[i].name, labels->label[i].value);
	if (labels->tags != NULL)
	{
		JsonbValue	value = {.type = jbvBinary};

		value.val.binary.data = &labels->tags->root;
		value.val.binary.len = VARSIZE(labels->tags) - VARHDRSZ;
		json_put_key(state, "tags");
		pushJsonbValue(state, WJB_VALUE, &value);
	}
}

Datum
cl_labels_json(const BudgetLabels *labels)
{
	JsonbParseState *state = NULL;

	put_labels(&state, labels);
	return json_done(&state);
}

/* ---- prices, depth ---- */

/*
 * What so many tokens cost now with a model, or NULL.
 */
static Numeric
price_tokens(const Request *request, const char *model, int64 input_tokens, int64 output_tokens)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TIMESTAMPTZOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID};
	const char *texts[] = {cl_label_value(&request->wanted, "provider"), model,
		cl_label_value(&request->wanted, "service_class"), cl_label_value(&request->wanted, "region"),
	cl_label_value(&request->wanted, "customer")};
	const int	places[] = {1, 2, 5, 6, 7};
	Datum		values[8] = {TimestampTzGetDatum(request->at)};
	char		nulls[] = "        ";

	for (int i = 0; i < 5; i++)
	{
		nulls[places[i]] = texts[i] == NULL ? 'n' : ' ';
		values[places[i]] = texts[i] == NULL ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	values[3] = Int64GetDatum(input_tokens);
	values[4] = Int64GetDatum(output_tokens);
	cl_ask(&plan, "SELECT cost_ledger.cost_at($1, $2, $3, jsonb_build_object('input_tokens', $4, 'output_tokens', $5), $6, $7, customer => $8)",
		8, types, values, nulls);
	return cl_numeric_result(0, 1);
}

/*
 * What the tokens that were said cost now with a model, or NULL.
 */
Numeric
cl_price_request(const Request *request, const char *model)
{
	if (cl_label_value(&request->wanted, "provider") == NULL || model == NULL ||
		(request->input_tokens < 0 && request->output_tokens < 0))
		return NULL;
	return price_tokens(request, model, Max(request->input_tokens, 0), Max(request->output_tokens, 0));
}

/*
 * How many tokens of input an estimate buys, or NULL.
 */
Numeric
cl_tokens_for(const Request *request, Numeric estimate)
{
	const char *model = cl_label_value(&request->wanted, "model");
	Numeric		price;

	if (model == NULL || cl_label_value(&request->wanted, "provider") == NULL)
		return NULL;
	price = price_tokens(request, model, 1, 0);
	if (price == NULL || cl_numeric_is_zero(price) || cl_numeric_is_negative(price))
		return NULL;
	return DatumGetNumeric(DirectFunctionCall1(numeric_ceil,
											   DirectFunctionCall2(numeric_div, NumericGetDatum(estimate), NumericGetDatum(price))));
}

/*
 * Whether the model that was named has no price.
 */
bool
cl_is_unpriced(const Request *request)
{
	const char *model = cl_label_value(&request->wanted, "model");

	return model != NULL && cl_label_value(&request->wanted, "provider") != NULL &&
		price_tokens(request, model, Max(request->input_tokens, 1), Max(request->output_tokens, 1)) == NULL;
}

/*
 * What the call is expected to cost with another model; without a price of that
 * one, the same.
 */
Numeric
cl_degraded_estimate(const Request *request, const char *model)
{
	Numeric		estimate = request->is_priced ? cl_price_request(request, model) : NULL;

	return estimate ? estimate : request->estimate;
}

/*
 * How deep the call is: as it says, or below the run above it.
 */
Numeric
cl_find_depth(const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID};
	const char *said = cl_label_value(&request->wanted, "depth");
	const char *parent = cl_label_value(&request->wanted, "parent_run_id");
	const char *run = parent ? parent : cl_label_value(&request->wanted, "run_id");
	Datum		value;

	if (said != NULL && strspn(said, "0123456789") == strlen(said) && strlen(said) <= 9)
		return cl_numeric_from_int64(atoi(said));
	if (run == NULL)
		return cl_numeric_from_int64(0);
	value = CStringGetTextDatum(run);
	cl_ask(&plan, "SELECT cost_ledger_internal.depth_of_run($1)", 1, types, &value, NULL);
	return cl_numeric_from_int64(DatumGetInt32(cl_result(0, 1, NULL)) + (parent ? 1 : 0));
}

/*
 * The run at the top of those that started the call's.
 */
char *
cl_find_root(const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID};
	const char *parent = cl_label_value(&request->wanted, "parent_run_id");
	Datum		values[] = {CStringGetTextDatum(cl_label_value(&request->wanted, "run_id")), parent ? CStringGetTextDatum(parent) : (Datum) 0};
	char		nulls[] = {' ', parent ? ' ' : 'n'};

	cl_ask(&plan, "SELECT cost_ledger_internal.told_root($1, $2)", 2, types, values, nulls);
	return cl_text_result(0, 1);
}

/*
 * Whether the run's parent is known without the request, if it names one.
 */
bool
cl_is_parent_known(const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID};
	const char *run = cl_label_value(&request->wanted, "run_id");
	Datum		value;

	if (run == NULL || cl_label_value(&request->wanted, "parent_run_id") == NULL)
		return true;
	value = CStringGetTextDatum(run);
	return cl_ask(&plan, "SELECT FROM cost_ledger_internal.rollup_run r WHERE r.run_id = $1 AND r.parent_run_id IS NOT NULL "
				  "UNION ALL SELECT FROM cost_ledger_internal.hold h WHERE h.run_id = $1 AND h.parent_run_id IS NOT NULL "
				  "LIMIT 1", 1, types, &value, NULL) > 0;
}

/*
 * What was asked for, which a retry must ask for too.
 */
Datum
cl_request_json(FunctionCallInfo fcinfo, const Request *request)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	json_put_key(&state, "labels");
	put_labels(&state, &request->labels);
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	json_put_numeric(&state, "estimate", PG_ARGISNULL(2) ? NULL : PG_GETARG_NUMERIC(2));
	json_put_text(&state, "provider", cl_label_value(&request->wanted, "provider"));
	json_put_text(&state, "model", cl_label_value(&request->wanted, "model"));
	json_put_numeric(&state, "input_tokens", PG_ARGISNULL(5) ? NULL : cl_numeric_from_int64(request->input_tokens));
	json_put_numeric(&state, "max_output_tokens", PG_ARGISNULL(6) ? NULL : cl_numeric_from_int64(request->output_tokens));
	json_put_numeric(&state, "tool_calls", PG_ARGISNULL(9) ? NULL : cl_numeric_from_int64(request->tool_calls));
	return json_done(&state);
}
