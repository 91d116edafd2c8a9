/*-------------------------------------------------------------------------
 * pricing.c
 *	  The cost of one usage at one time, and its explanation.
 *
 * Each token is priced once: a meter's quantity is what is left of its count
 * when its subsets are taken out, and each subset is priced at its own rate
 * or, lacking one, at its parent's.  A line's amount is the unrounded product;
 * nothing is rounded here.
 *
 * No rate is not a rate of 0: such a quantity leaves the cost partial or
 * unpriced, and says so.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pricing.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

/* Counted for every call, whether the client says so or not. */
#define METER_REQUESTS "requests"

/* A sum under way: in fixed point as long as it fits, then in numeric. */
typedef struct Total
{
	int			scale;
	int128		fixed;
	Numeric		exact;			/* what did not fit; NULL while all did */
	bool		priced;			/* some quantity had a rate */
	bool		unpriced;		/* some quantity had none */
	bool		costs;			/* some rate that applied is not 0 */
} Total;

const char *
cl_pricing_name(Pricing pricing)
{
	static const char *const names[] = {
		[PRICING_UNPRICED] = "unpriced",
		[PRICING_PARTIAL] = "partial",
		[PRICING_FREE] = "free",
		[PRICING_PRICED] = "priced",
	};

	return names[pricing];
}

static Numeric
exact_amount(Numeric quantity, const PriceLine *line)
{
	return cl_numeric_trim(cl_numeric_div_pow10(cl_numeric_mul(quantity, line->unit_price),
												line->per_digits));
}

static void
add_exact(Total *total, Numeric quantity, const PriceLine *line)
{
	Numeric		amount = exact_amount(quantity, line);

	total->exact = total->exact ? cl_numeric_add(total->exact, amount) : amount;
}

static void
add_count(Total *total, int64 count, const PriceLine *line)
{
	int128		amount;

	if (line == NULL)
	{
		if (count != 0)
			total->unpriced = true;
		return;
	}
	total->priced = true;
	if (line->is_fixed)
	{
		if (line->rate != 0)
			total->costs = true;
		if (!__builtin_mul_overflow(line->rate, (int128) count, &amount) &&
			!__builtin_add_overflow(total->fixed, amount, &amount))
		{
			total->fixed = amount;
			return;
		}
	}
	else
		total->costs = true;
	add_exact(total, int64_to_numeric(count), line);
}

static void
explain(CallCost *cost, const char *meter, Numeric quantity,
		const PriceLine *line, const char *rule)
{
	CostLine   *result = &cost->lines[cost->nlines++];

	result->meter = meter;
	result->quantity = quantity;
	result->line = line;
	result->amount = line ? exact_amount(quantity, line) : NULL;
	result->rule = rule;
}

static const PriceLine *
find_line(const PriceVersion *version, const char *meter)
{
	for (int i = 0; i < version->nlines; i++)
	{
		if (strcmp(version->lines[i].meter, meter) == 0)
			return &version->lines[i];
	}
	return NULL;
}

static void
price_tokens(const PriceVersion *version, const Usage *usage,
			 bool want_lines, CallCost *cost, Total *total)
{
	int64		rest[NUM_TOKEN_METERS];
	bool		has_subsets[NUM_TOKEN_METERS] = {0};

	for (int i = NUM_TOKEN_METERS - 1; i >= 0; i--)
	{
		int			parent = cl_token_meters[i].parent;

		rest[i] = usage->given[i] ? usage->tokens[i] : 0;
		if (parent >= 0 && rest[i] > 0)
			has_subsets[parent] = true;
	}
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (cl_token_meters[i].parent >= 0)
			rest[cl_token_meters[i].parent] -= usage->given[i] ? usage->tokens[i] : 0;
	}

	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		const PriceLine *line = NULL;
		int			from = i;

		if (!usage->given[i])
			continue;
		if (version)
		{
			while ((line = version->token_lines[from]) == NULL &&
				   cl_token_meters[from].parent >= 0)
				from = cl_token_meters[from].parent;
		}
		add_count(total, rest[i], line);
		if (want_lines)
			explain(cost, cl_token_meters[i].name, int64_to_numeric(rest[i]), line,
					version == NULL ? "no price is in force" :
					line == NULL ? "no rate for this meter" :
					from != i ? psprintf("no rate of its own: priced as %s",
										 cl_token_meters[from].name) :
					has_subsets[i] ? "own rate; what its subsets leave" :
					"own rate");
	}
}

static void
price_others(const PriceVersion *version, const Usage *usage,
			 bool want_lines, CallCost *cost, Total *total)
{
	const PriceLine *per_call = version ? find_line(version, METER_REQUESTS) : NULL;

	for (int i = 0; i < usage->nother; i++)
	{
		const OtherMeter *other = &usage->other[i];
		const PriceLine *line = version ? find_line(version, other->name) : NULL;
		int64		count;

		if (line == per_call)
			per_call = NULL;	/* the client has counted them itself */
		if (line == NULL)
		{
			if (!cl_numeric_is_zero(other->quantity))
				total->unpriced = true;
		}
		else if (cl_numeric_to_int64(other->quantity, &count))
			add_count(total, count, line);
		else
		{
			total->priced = true;
			if (!line->is_fixed || line->rate != 0)
				total->costs = true;
			add_exact(total, other->quantity, line);
		}
		if (want_lines)
			explain(cost, other->name, other->quantity, line,
					version == NULL ? "no price is in force" :
					line == NULL ? "no rate for this meter" : "own rate");
	}

	if (per_call)
	{
		add_count(total, 1, per_call);
		if (want_lines)
			explain(cost, METER_REQUESTS, int64_to_numeric(1), per_call,
					"own rate; one for every call");
	}
}

/*
 * Prices a usage at a version (NULL: no price is in force).  Lines, when asked
 * for, are in the order of the meters.
 */
void
cl_price_usage(const PriceVersion *version, const Usage *usage,
			   bool want_lines, CallCost *cost)
{
	Total		total = {0};

	memset(cost, 0, sizeof(CallCost));
	if (want_lines)
		cost->lines = palloc((NUM_TOKEN_METERS + usage->nother + 1) * sizeof(CostLine));

	price_tokens(version, usage, want_lines, cost, &total);
	price_others(version, usage, want_lines, cost, &total);

	if (version == NULL || cl_usage_is_empty(usage) ||
		(total.unpriced && !total.priced))
	{
		cost->pricing = PRICING_UNPRICED;
		return;
	}

	cost->amount = cl_fixed_to_numeric((Fixed) {total.fixed, version->scale});
	if (total.exact)
		cost->amount = cl_numeric_trim(cl_numeric_add(cost->amount, total.exact));
	cost->pricing = total.unpriced ? PRICING_PARTIAL :
		total.costs || version->nlines == 0 ? PRICING_PRICED : PRICING_FREE;
}

/* Arguments of cost_at() and explain_cost(), which are the same up to strict. */
typedef struct CostRequest
{
	TimestampTz at;
	char	   *provider;
	char	   *model;
	char	   *service_class;
	char	   *region;
	Usage		usage;
	const PriceVersion *version;
} CostRequest;

static bool
read_cost_request(FunctionCallInfo fcinfo, CostRequest *request)
{
	text	   *provider;
	text	   *model;
	text	   *region = NULL;
	text	   *service_class = NULL;

	/* Once per query is enough. */
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		cl_price_check_read_access();
		fcinfo->flinfo->fn_extra = fcinfo->flinfo;
	}

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		return false;
	request->at = PG_GETARG_TIMESTAMPTZ(0);
	if (TIMESTAMP_NOT_FINITE(request->at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of a call must be finite"),
				 errhint("Pass the time the call was made.")));
	provider = PG_GETARG_TEXT_PP(1);
	model = PG_GETARG_TEXT_PP(2);
	cl_usage_from_jsonb(PG_GETARG_JSONB_P(3), &request->usage);
	if (!PG_ARGISNULL(4))
		service_class = PG_GETARG_TEXT_PP(4);
	if (!PG_ARGISNULL(5))
		region = PG_GETARG_TEXT_PP(5);

	request->provider = text_to_cstring(provider);
	request->model = text_to_cstring(model);
	request->service_class = service_class ? text_to_cstring(service_class) : "standard";
	request->region = region ? text_to_cstring(region) : "";
	request->version = cl_price_cache_lookup(request->provider, strlen(request->provider),
											 request->model, strlen(request->model),
											 request->region, strlen(request->region),
											 request->service_class, strlen(request->service_class),
											 request->at);
	return true;
}

PG_FUNCTION_INFO_V1(cl_cost_at);

/*
 * cost_at(called_at, provider, model, usage, service_class, region, strict)
 */
Datum
cl_cost_at(PG_FUNCTION_ARGS)
{
	CostRequest request;
	CallCost	cost;

	if (!read_cost_request(fcinfo, &request))
		PG_RETURN_NULL();
	cl_price_usage(request.version, &request.usage, false, &cost);

	if (!PG_ARGISNULL(6) && PG_GETARG_BOOL(6) &&
		(cost.pricing == PRICING_UNPRICED || cost.pricing == PRICING_PARTIAL))
	{
		if (request.version == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_CL_NO_PRICE),
					 errmsg("no price is in force for model \"%s\" of \"%s\" at %s",
							request.model, request.provider, timestamptz_to_str(request.at)),
					 errdetail("Service class is \"%s\", region is \"%s\".",
							   request.service_class, request.region),
					 errhint("Add one with cost_ledger.set_price().")));
		ereport(ERROR,
				(errcode(ERRCODE_CL_NO_PRICE),
				 errmsg("the price of model \"%s\" of \"%s\" at %s has no rate for a meter of this usage",
						request.model, request.provider, timestamptz_to_str(request.at)),
				 errhint("cost_ledger.explain_cost() shows which; set a price that has it with cost_ledger.set_price().")));
	}

	if (cost.pricing == PRICING_UNPRICED)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(cost.amount);
}

PG_FUNCTION_INFO_V1(cl_explain_cost);

/*
 * explain_cost(called_at, provider, model, usage, service_class, region)
 * → one row per meter
 */
Datum
cl_explain_cost(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CostRequest request;
	CallCost	cost;

	InitMaterializedSRF(fcinfo, 0);
	if (!read_cost_request(fcinfo, &request))
		return (Datum) 0;
	cl_price_usage(request.version, &request.usage, true, &cost);

	for (int i = 0; i < cost.nlines; i++)
	{
		const CostLine *line = &cost.lines[i];
		const PriceVersion *version = request.version;
		Datum		values[10] = {0};
		bool		nulls[10];

		memset(nulls, true, sizeof(nulls));
		values[0] = CStringGetTextDatum(line->meter);
		values[1] = NumericGetDatum(line->quantity);
		values[9] = CStringGetTextDatum(line->rule);
		nulls[0] = nulls[1] = nulls[9] = false;
		if (line->line)
		{
			values[2] = NumericGetDatum(line->line->unit_price);
			values[3] = Int64GetDatum(line->line->per);
			values[4] = NumericGetDatum(line->amount);
			nulls[2] = nulls[3] = nulls[4] = false;
		}
		if (version)
		{
			values[5] = CStringGetTextDatum(version->currency);
			values[6] = Int64GetDatum(version->price_id);
			values[7] = TimestampTzGetDatum(version->valid_from);
			values[8] = TimestampTzGetDatum(version->valid_to);
			nulls[5] = nulls[6] = nulls[7] = false;
			nulls[8] = TIMESTAMP_IS_NOEND(version->valid_to);
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
