/*-------------------------------------------------------------------------
 * pricing.c
 *	  The cost of one usage at one time, and its explanation.
 *
 * Each token is priced once: a meter's quantity is what is left of its count
 * when its parts are taken out, and each part is priced at its own rate,
 * whichever card has it, or, lacking one, at its total's.  A line's amount is
 * the unrounded product; nothing is rounded here.
 *
 * No rate is not a rate of 0, nor is one in a currency of unknown worth: such a
 * quantity leaves the cost partial or unpriced, and says so.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger.h"
#include "miscadmin.h"
#include "pricing.h"
#include "usage_read.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "visible.h"

/* Of a quantity while nobody asks why; see cl_price_cache_why(). */
#define NO_PRICE "no price is in force"

/* What tokens are that the prompt cache had to do with, a bit for each part. */
#define CACHED_PARTS (1 << PART_CACHE_READ | 1 << PART_CACHE_WRITE)

/* A cost under way: in fixed point as long as it fits, then in numeric. */
typedef struct Costing
{
	const PriceSlice *slice;	/* NULL: no price is in force */
	TimestampTz at;
	int64		input_tokens;	/* of the whole call: what tiers go by */
	int64		least_pass;		/* of its passes, if it had several; else 0 */
	int128		fixed;
	Numeric		exact;			/* what did not fit; NULL while all did */
	CostPart	part;			/* that is being priced */
	bool		priced;			/* some quantity had a rate */
	int			unpriced;		/* a bit for each part of which some had none */
	bool		costs;			/* some rate that applied is not 0 */
	CallCost   *cost;
	bool		want_lines;
} Costing;

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

/*
 * quantity × price / per, unrounded.
 */
static Numeric
exact_amount(Numeric quantity, const PriceLine *line)
{
	return cl_numeric_trim(cl_numeric_div_pow10(cl_numeric_mul(quantity, line->price),
												line->per_digits));
}

/*
 * What a line's amount is a part of: reasoning at the rate of output is output.
 */
static CostPart
part_of_line(const Costing *costing, const PriceLine *line)
{
	return costing->part == PART_REASONING &&
		strcmp(line->meter, cl_token_meters[METER_REASONING].name) != 0 ? PART_OUTPUT : costing->part;
}

static void
add_exact(Costing *costing, Numeric quantity, const PriceLine *line)
{
	Numeric		amount = exact_amount(quantity, line);
	Numeric    *part = &costing->cost->exact[part_of_line(costing, line)];

	costing->exact = costing->exact ? cl_numeric_add(costing->exact, amount) : amount;
	*part = *part ? cl_numeric_add(*part, amount) : amount;
}

/*
 * The statement that gives a price's currency an exchange rate, but for the
 * rate.
 */
static const char *
exchange_statement(const PriceLine *line)
{
	return psprintf("INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('%s', '%s', …)",
					line->currency, timestamptz_to_str(line->valid_from));
}

static void
explain(Costing *costing, const char *meter, Numeric quantity,
		const PriceLine *line, const char *rule)
{
	CallCost   *cost = costing->cost;
	CostLine   *result;

	if (cost->lines == NULL)
		cost->lines = palloc(sizeof(CostLine));
	else
		cost->lines = repalloc(cost->lines, (cost->nlines + 1) * sizeof(CostLine));
	result = &cost->lines[cost->nlines++];
	result->meter = meter;
	result->quantity = quantity;
	result->line = line;
	result->amount = line && !line->is_unknown ? exact_amount(quantity, line) : NULL;
	if (line && strcmp(line->meter, meter) != 0)
		rule = psprintf("no rate of its own: priced as %s", line->meter);
	if (line && line->over_tokens > 0)
		rule = psprintf("%s; %s " INT64_FORMAT "%s", rule,
						line->is_graduated ? "beyond" : line->is_inclusive ? "from" : "over",
						line->over_tokens, line->is_graduated ? "" : " input tokens");
	if (line && line->zone)
		rule = psprintf("%s; in its window of time", rule);
	if (line)
		rule = psprintf("%s%s", rule, line->rule);
	if (line && line->is_unknown)
		rule = psprintf("%s; no exchange rate for %s: %s", rule, line->currency,
						exchange_statement(line));
	result->rule = rule;
}

/*
 * Adds a count at one rate, or at none.
 */
static void
add_count(Costing *costing, const char *meter, int64 count,
		  const PriceLine *line, const char *rule)
{
	int128		amount;
	int128		sum;

	if (costing->want_lines)
		explain(costing, meter, int64_to_numeric(count), line, rule);
	if (line == NULL || line->is_unknown)
	{
		if (count != 0)
			costing->unpriced |= 1 << costing->part;
		return;
	}
	costing->priced = true;
	if (!line->is_zero)
		costing->costs = true;
	if (line->is_fixed &&
		!__builtin_mul_overflow(line->rate, (int128) count, &amount) &&
		!__builtin_add_overflow(costing->fixed, amount, &sum))
	{
		costing->fixed = sum;
		costing->cost->fixed[part_of_line(costing, line)] += amount;
	}
	else
		add_exact(costing, int64_to_numeric(count), line);
}

static bool
reaches_tier(const PriceLine *line, int64 input_tokens)
{
	return line->is_inclusive ? input_tokens >= line->over_tokens :
		input_tokens > line->over_tokens;
}

/*
 * The provider chooses the tier of each pass behind an answer, and the counts
 * are those of all: where that makes a difference, it is told.
 */
static bool
line_applies(Costing *costing, const PriceLine *line)
{
	if (!cl_price_line_in_window(line, costing->at))
		return false;
	if (line->is_graduated || line->over_tokens == 0)
		return true;
	if (!reaches_tier(line, costing->input_tokens))
		return false;
	if (costing->least_pass > 0 && !reaches_tier(line, costing->least_pass))
		costing->cost->is_tier_in_doubt = true;
	return true;
}

static const char *
no_rate(const Costing *costing)
{
	return costing->slice ? "no rate for this meter" : NO_PRICE;
}

/*
 * Adds a count at the first line that applies.  Graduated lines take what
 * lies beyond their threshold, the count before it included, and leave the rest
 * to the lines after them.
 */
static void
price_count(Costing *costing, const char *meter, int64 before, int64 count,
			MeterPrice price, const char *rule)
{
	for (int i = 0; i < price.nlines; i++)
	{
		const PriceLine *line = price.lines[i];

		if (line->is_conditional)
		{
			if (!line_applies(costing, line))
				continue;
			if (line->is_graduated && line->over_tokens > 0)
			{
				int64		beyond = Min(count, before + count - line->over_tokens);

				if (beyond > 0)
				{
					add_count(costing, meter, beyond, line, rule);
					count -= beyond;
				}
				continue;
			}
		}
		add_count(costing, meter, count, line, rule);
		return;
	}
	add_count(costing, meter, count, NULL, no_rate(costing));
}

/*
 * Adds a quantity that is no whole number: as add_count().
 */
static void
add_fraction(Costing *costing, const char *meter, Numeric quantity,
			 const PriceLine *line, const char *rule)
{
	if (costing->want_lines)
		explain(costing, meter, quantity, line, rule);
	if (line == NULL || line->is_unknown)
	{
		costing->unpriced |= 1 << costing->part;
		return;
	}
	costing->priced = true;
	if (!line->is_zero)
		costing->costs = true;
	add_exact(costing, quantity, line);
}

/*
 * The same as price_count().
 */
static void
price_fraction(Costing *costing, const char *meter, Numeric quantity,
			   MeterPrice price)
{
	for (int i = 0; i < price.nlines; i++)
	{
		const PriceLine *line = price.lines[i];

		if (line->is_conditional && !line_applies(costing, line))
			continue;
		if (line->is_graduated && line->over_tokens > 0)
		{
			Numeric		threshold = int64_to_numeric(line->over_tokens);
			Numeric		beyond = cl_numeric_sub(quantity, threshold);

			if (!cl_numeric_is_negative(beyond))
			{
				add_fraction(costing, meter, beyond, line, "own rate");
				quantity = threshold;
			}
			continue;
		}
		add_fraction(costing, meter, quantity, line, "own rate");
		return;
	}
	add_fraction(costing, meter, quantity, NULL, no_rate(costing));
}

static CostPart
part_of_meter(int meter)
{
	switch (meter)
	{
		case METER_INPUT:
		case METER_INPUT_AUDIO:
		case METER_INPUT_IMAGE:
		case METER_INPUT_VIDEO:
			return PART_INPUT;
		case METER_CACHE_READ:
		case METER_CACHE_READ_AUDIO:
		case METER_CACHE_READ_IMAGE:
		case METER_CACHE_READ_VIDEO:
			return PART_CACHE_READ;
		case METER_CACHE_WRITE:
		case METER_CACHE_WRITE_1H:
		case METER_CACHE_WRITE_AUDIO:
			return PART_CACHE_WRITE;
		case METER_REASONING:
			return PART_REASONING;
		default:
			return PART_OUTPUT;
	}
}

/*
 * Returns whether the prompt cache had to do with some of them.
 */
static bool
price_tokens(Costing *costing, const Usage *usage)
{
	static const MeterPrice none = {0, NULL};
	int			parts = 0;

	for (int i = 0; i < usage->nmeters; i++)
	{
		if (!usage->given[i] && usage->rest[i] == 0)
			continue;
		costing->part = part_of_meter(i);
		if (usage->rest[i] > 0)
			parts |= 1 << costing->part;
		price_count(costing, cl_token_meters[i].name, 0, usage->rest[i],
					costing->slice ? costing->slice->tokens[i] : none,
					usage->rest[i] == usage->tokens[i] ? "own rate" :
					"own rate; what its parts leave");
	}
	return (parts & CACHED_PARTS) != 0;
}

/*
 * The fee of the call itself.  Outside its window of time, or below its tier,
 * there is none.
 */
static void
price_request(Costing *costing)
{
	MeterPrice	price = costing->slice->requests;

	for (int i = 0; i < price.nlines; i++)
	{
		const PriceLine *line = price.lines[i];

		if (line->is_graduated && line->over_tokens > 0)
			continue;			/* one is not beyond it */
		if (line->is_conditional && !line_applies(costing, line))
			continue;
		add_count(costing, METER_REQUESTS, 1, line, "own rate; one for every call");
		return;
	}
}

static void
price_others(Costing *costing, const Usage *usage)
{
	bool		is_counted = false;

	costing->part = PART_OTHER;
	for (int i = 0; i < usage->nother; i++)
	{
		const OtherMeter *other = &usage->other[i];
		MeterPrice	price = {0, NULL};
		int64		count;

		if (costing->slice)
			price = cl_price_find_meter(costing->slice, other->name);
		is_counted |= strcmp(other->name, METER_REQUESTS) == 0;
		if (cl_numeric_to_int64(other->quantity, &count))
			price_count(costing, other->name, 0, count, price, "own rate");
		else
			price_fraction(costing, other->name, other->quantity, price);
	}
	if (costing->slice && !is_counted)
		price_request(costing);
}

/*
 * The amount, less what tokens cost that the prompt cache had to do with.
 */
static Numeric
less_cached(const Costing *plain, const CallCost *cost)
{
	static const CostPart parts[] = {PART_CACHE_READ, PART_CACHE_WRITE};
	Fixed		fixed = {.mantissa = plain->fixed, .scale = plain->slice->scale};
	Numeric		exact = plain->exact;
	Numeric		amount;

	for (int i = 0; i < (int) lengthof(parts); i++)
	{
		Numeric		part = cost->exact[parts[i]];

		fixed.mantissa -= cost->fixed[parts[i]];
		if (part)
			exact = cl_numeric_sub(exact ? exact : int64_to_numeric(0), part);
	}
	amount = cl_fixed_to_numeric(fixed);
	return exact ? cl_numeric_trim(cl_numeric_add(amount, exact)) : amount;
}

/*
 * What the tokens that were read from the prompt cache and written to it would
 * have cost as plain input of their modality, on top of what was plain, less
 * what they cost.  Where some of that has no rate, it is not known.
 *
 * Source: providers' price lists, in which rates for reads and writes stand
 * beside the one for input, e.g. https://platform.openai.com/docs/pricing and
 * https://docs.claude.com/en/docs/build-with-claude/prompt-caching.
 */
static void
set_prompt_cache_saving(const Costing *costing, const Usage *usage)
{
	CallCost	cost = {PRICING_UNPRICED};
	Costing		plain = *costing;
	int64		before[NUM_TOKEN_METERS];

	plain.cost = &cost;
	plain.part = PART_INPUT;
	plain.fixed = 0;
	plain.exact = NULL;
	plain.unpriced &= CACHED_PARTS;
	plain.want_lines = false;
	memcpy(before, usage->rest, sizeof(before));
	for (int i = 0; i < usage->nmeters; i++)
	{
		int			modality = cl_token_meters[i].modality_part;
		int			meter = modality < 0 ? METER_INPUT : modality;

		if (usage->rest[i] == 0 || (1 << part_of_meter(i) & CACHED_PARTS) == 0)
			continue;
		price_count(&plain, NULL, before[meter], usage->rest[i], costing->slice->tokens[meter], NULL);
		before[meter] += usage->rest[i];
	}
	if (plain.unpriced == 0)
		costing->cost->prompt_cache_saving = less_cached(&plain, costing->cost);
}

/*
 * Prices a usage by what is in force (NULL: nothing is).  Lines, when asked
 * for, are in the order of the meters.
 *
 * Of a call whose usage is not known at all the fee is: the cost is no more
 * than a part where the call may have consumed something that costs.
 */
void
cl_price_usage(const PriceSlice *slice, const Usage *usage, TimestampTz at,
			   bool want_lines, CallCost *cost)
{
	Costing		costing = {0};
	bool		is_empty = cl_usage_is_empty(usage);
	bool		is_cached;

	memset(cost, 0, sizeof(CallCost));
	costing.slice = slice;
	costing.at = at;
	costing.input_tokens = usage->given[METER_INPUT] ? usage->tokens[METER_INPUT] : 0;
	costing.least_pass = usage->least_pass;
	costing.cost = cost;
	costing.want_lines = want_lines;

	is_cached = price_tokens(&costing, usage);
	price_others(&costing, usage);

	if (slice == NULL || (!costing.priced && (costing.unpriced || is_empty)))
	{
		cost->pricing = PRICING_UNPRICED;
		return;
	}

	cost->scale = slice->scale;
	cost->amount = cl_fixed_to_numeric((Fixed) {costing.fixed, slice->scale});
	if (costing.exact)
		cost->amount = cl_numeric_trim(cl_numeric_add(cost->amount, costing.exact));
	if (is_cached)
		set_prompt_cache_saving(&costing, usage);
	cost->pricing = costing.unpriced || (is_empty && slice->has_counts) ? PRICING_PARTIAL :
		costing.costs ? PRICING_PRICED : PRICING_FREE;
}

/*
 * What a part of the usage cost, or NULL for nothing.  Of a priced cost only.
 */
Numeric
cl_cost_part(const CallCost *cost, CostPart part)
{
	Numeric		amount = cost->exact[part];

	if (cost->fixed[part] != 0)
	{
		Numeric		fixed = cl_fixed_to_numeric((Fixed) {cost->fixed[part], cost->scale});

		amount = amount ? cl_numeric_trim(cl_numeric_add(fixed, amount)) : fixed;
	}
	return amount && cl_numeric_is_zero(amount) ? NULL : amount;
}

/* Arguments of cost_at() and explain_cost(), which are the same up to strict. */
typedef struct CostRequest
{
	TimestampTz at;
	PriceKey	key;
	Usage		usage;
	const PriceSlice *slice;
} CostRequest;

/*
 * The bytes of a text argument, not terminated.
 */
static const char *
text_argument(FunctionCallInfo fcinfo, int number, const char *otherwise, int *len)
{
	text	   *argument;

	if (PG_ARGISNULL(number))
	{
		*len = strlen(otherwise);
		return otherwise;
	}
	argument = PG_GETARG_TEXT_PP(number);
	*len = VARSIZE_ANY_EXHDR(argument);
	return VARDATA_ANY(argument);
}

static void
read_price_key(FunctionCallInfo fcinfo, int customer, PriceKey *key)
{
	key->provider = text_argument(fcinfo, 1, "", &key->provider_len);
	key->model = text_argument(fcinfo, 2, "", &key->model_len);
	key->service_class = text_argument(fcinfo, 4, "standard", &key->class_len);
	key->service_class = cl_service_class(key->service_class, &key->class_len);
	key->region = text_argument(fcinfo, 5, "", &key->region_len);
	key->customer = text_argument(fcinfo, customer, "", &key->customer_len);
}

static bool
read_cost_request(FunctionCallInfo fcinfo, int customer, CostRequest *request)
{
	PriceKey   *key = &request->key;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		return false;
	request->at = PG_GETARG_TIMESTAMPTZ(0);
	if (TIMESTAMP_NOT_FINITE(request->at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of a call must be finite"),
				 errhint("Pass the time the call was made.")));
	cl_usage_from_jsonb(PG_GETARG_JSONB_P(3), &request->usage);

	read_price_key(fcinfo, customer, key);
	if (key->customer_len > 0)
		cl_check_customer_visible(key->customer, key->customer_len);
	request->slice = cl_price_cache_lookup(key, request->at);
	return true;
}

/*
 * The meters that have no rate, with commas between them; NULL if all have one.
 * A count of 0 needs none.
 */
static const char *
meters_without_rate(const CallCost *cost)
{
	StringInfoData meters;

	initStringInfo(&meters);
	for (int i = 0; i < cost->nlines; i++)
	{
		const CostLine *line = &cost->lines[i];

		if (line->line == NULL && !cl_numeric_is_zero(line->quantity))
			appendStringInfo(&meters, "%s%s", meters.len > 0 ? ", " : "", line->meter);
	}
	return meters.len > 0 ? meters.data : NULL;
}

/*
 * The first line of a price that nothing says what its currency is worth; NULL
 * if there is none.
 */
static const CostLine *
line_without_exchange_rate(const CallCost *cost)
{
	for (int i = 0; i < cost->nlines; i++)
	{
		const CostLine *line = &cost->lines[i];

		if (line->line && line->line->is_unknown && !cl_numeric_is_zero(line->quantity))
			return line;
	}
	return NULL;
}

/*
 * Says what is missing to a full price.
 */
static void
refuse_incomplete_price(const CostRequest *request)
{
	const PriceKey *key = &request->key;
	const CostLine *unknown;
	const char *meters;
	CallCost	cost;

	if (request->slice == NULL)
	{
		const Unpriced *why = cl_price_cache_why(key, request->at);

		ereport(ERROR,
				(errcode(ERRCODE_CL_NO_PRICE),
				 errmsg("no price for model \"%.*s\" of \"%.*s\" at %s: %s",
						key->model_len, key->model, key->provider_len, key->provider,
						timestamptz_to_str(request->at), why->reason ? why->reason : NO_PRICE),
				 errdetail("Service class is \"%.*s\", region is \"%.*s\".",
						   key->class_len, key->service_class, key->region_len, key->region),
				 why->remedy ? errhint("%s", why->remedy) : 0));
	}
	cl_price_usage(request->slice, &request->usage, request->at, true, &cost);
	meters = meters_without_rate(&cost);
	if (meters)
		ereport(ERROR,
				(errcode(ERRCODE_CL_NO_PRICE),
				 errmsg("the price of model \"%.*s\" of \"%.*s\" at %s has no rate for %s",
						key->model_len, key->model, key->provider_len, key->provider,
						timestamptz_to_str(request->at), meters),
				 errhint("Set a price that has it with cost_ledger.set_price(); cost_ledger.explain_cost() shows those in force.")));
	unknown = line_without_exchange_rate(&cost);
	if (unknown)
		ereport(ERROR,
				(errcode(ERRCODE_CL_NO_PRICE),
				 errmsg("there is no exchange rate for %s at %s, in which meter \"%s\" of model \"%.*s\" of \"%.*s\" is priced",
						unknown->line->currency, timestamptz_to_str(request->at), unknown->meter,
						key->model_len, key->model, key->provider_len, key->provider),
				 errhint("Set one from that time or before, what one %s is worth in the ledger's currency: %s.",
						 unknown->line->currency, exchange_statement(unknown->line))));
	ereport(ERROR,
			(errcode(ERRCODE_CL_NO_PRICE),
			 errmsg("usage of model \"%.*s\" of \"%.*s\" is not known",
					key->model_len, key->model, key->provider_len, key->provider),
			 errhint("Pass the counts that its price has rates for, e.g. {\"input_tokens\": 1000, \"output_tokens\": 100}.")));
}

PG_FUNCTION_INFO_V1(cl_cost_at);

/*
 * cost_at(called_at, provider, model, usage, service_class, region, strict,
 * customer)
 */
Datum
cl_cost_at(PG_FUNCTION_ARGS)
{
	CostRequest request;
	CallCost	cost;

	if (!read_cost_request(fcinfo, 7, &request))
		PG_RETURN_NULL();
	cl_price_usage(request.slice, &request.usage, request.at, false, &cost);

	if (!PG_ARGISNULL(6) && PG_GETARG_BOOL(6) &&
		(cost.pricing == PRICING_UNPRICED || cost.pricing == PRICING_PARTIAL))
		refuse_incomplete_price(&request);

	if (cost.pricing == PRICING_UNPRICED)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(cost.amount);
}

PG_FUNCTION_INFO_V1(cl_pricing_at);

/*
 * pricing_at(called_at, provider, model, usage, service_class, region,
 * customer, OUT cost, OUT pricing, OUT price_id, OUT prompt_cache_saving)
 */
Datum
cl_pricing_at(PG_FUNCTION_ARGS)
{
	TupleDesc	descriptor;
	CostRequest request = {0};
	CallCost	cost = {PRICING_UNPRICED};
	Datum		values[4];
	bool		nulls[4] = {0};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (descriptor->natts != (int) lengthof(values))
		cl_refuse_other_version();
	if (read_cost_request(fcinfo, 6, &request))
		cl_price_usage(request.slice, &request.usage, request.at, false, &cost);

	nulls[0] = cost.amount == NULL;
	values[0] = NumericGetDatum(cost.amount);
	values[1] = CStringGetTextDatum(cl_pricing_name(cost.pricing));
	nulls[2] = request.slice == NULL;
	values[2] = Int64GetDatum(request.slice ? request.slice->price_id : 0);
	nulls[3] = cost.prompt_cache_saving == NULL;
	values[3] = NumericGetDatum(cost.prompt_cache_saving);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}

#define NUM_EXPLAIN_COLUMNS 11

PG_FUNCTION_INFO_V1(cl_explain_cost);

/*
 * explain_cost(called_at, provider, model, usage, service_class, region,
 * customer) → one row per meter
 */
Datum
cl_explain_cost(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CostRequest request;
	CallCost	cost;
	const char *reason = NULL;

	InitMaterializedSRF(fcinfo, 0);
	if (rsinfo->setDesc->natts != NUM_EXPLAIN_COLUMNS)
		cl_refuse_other_version();
	if (!read_cost_request(fcinfo, 6, &request))
		return (Datum) 0;
	cl_price_usage(request.slice, &request.usage, request.at, true, &cost);
	if (request.slice == NULL)
		reason = cl_price_cache_why(&request.key, request.at)->reason;

	for (int i = 0; i < cost.nlines; i++)
	{
		const CostLine *line = &cost.lines[i];
		Datum		values[NUM_EXPLAIN_COLUMNS] = {0};
		bool		nulls[NUM_EXPLAIN_COLUMNS];

		memset(nulls, true, sizeof(nulls));
		values[0] = CStringGetTextDatum(line->meter);
		values[1] = NumericGetDatum(line->quantity);
		values[10] = CStringGetTextDatum(reason ? reason : line->rule);
		nulls[0] = nulls[1] = nulls[10] = false;
		if (line->line)
		{
			values[2] = NumericGetDatum(line->line->unit_price);
			values[3] = Int64GetDatum(line->line->per);
			if (!line->line->is_unknown)
			{
				values[4] = NumericGetDatum(cl_numeric_trim(line->line->multiplier));
				values[5] = NumericGetDatum(line->amount);
			}
			values[6] = CStringGetTextDatum(line->line->currency);
			values[7] = Int64GetDatum(line->line->price_id);
			values[8] = TimestampTzGetDatum(line->line->valid_from);
			values[9] = TimestampTzGetDatum(line->line->valid_to);
			memset(nulls, false, sizeof(nulls));
			nulls[4] = nulls[5] = line->line->is_unknown;
			nulls[9] = TIMESTAMP_IS_NOEND(line->line->valid_to);
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(cl_unpriced_reason);

/*
 * unpriced_reason(called_at, provider, model, usage, service_class, region,
 * customer), for a call that its reader may see: no customer is checked
 */
Datum
cl_unpriced_reason(PG_FUNCTION_ARGS)
{
	CostRequest request = {0};
	PriceKey   *key = &request.key;
	const CostLine *unknown;
	const char *reason;
	CallCost	cost;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	request.at = PG_GETARG_TIMESTAMPTZ(0);
	read_price_key(fcinfo, 6, key);
	request.slice = cl_price_cache_lookup(key, request.at);
	if (request.slice == NULL)
	{
		reason = cl_price_cache_why(key, request.at)->reason;
		PG_RETURN_TEXT_P(cstring_to_text(reason ? reason : NO_PRICE));
	}
	cl_usage_from_jsonb(PG_GETARG_JSONB_P(3), &request.usage);
	cl_price_usage(request.slice, &request.usage, request.at, true, &cost);
	reason = meters_without_rate(&cost);
	unknown = line_without_exchange_rate(&cost);
	if (reason)
		reason = psprintf("no rate for %s", reason);
	else if (unknown)
		reason = psprintf("no exchange rate for %s: %s", unknown->line->currency,
						  exchange_statement(unknown->line));
	else
		reason = cost.pricing == PRICING_UNPRICED ? "nothing was counted" : "it has a price by now: rerate() books it";
	PG_RETURN_TEXT_P(cstring_to_text(reason));
}
