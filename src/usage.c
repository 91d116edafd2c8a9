/*-------------------------------------------------------------------------
 * usage.c
 *	  Provider usage objects into the ledger's convention.
 *
 * Providers differ in one thing that costs money: whether a specific count
 * (cached input, reasoning output) lies inside the general one or beside it.
 * OpenAI's cached_tokens are part of prompt_tokens; Anthropic's
 * cache_read_input_tokens come on top of input_tokens.  Each format below
 * states which, and nothing after this file needs to know.
 *
 * A call is a fact: what cannot be explained here is flagged for the row, not
 * refused.  Counts that are no counts (negative, fractional, beyond 2^53) are
 * refused: no provider sends them.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "fmgr.h"
#include "money.h"
#include "usage.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

const TokenMeterInfo cl_token_meters[NUM_TOKEN_METERS] = {
	[METER_INPUT] = {"input_tokens", -1, -1, -1},
	[METER_CACHE_READ] = {"cache_read_tokens", METER_INPUT, -1, -1},
	[METER_CACHE_WRITE] = {"cache_write_tokens", METER_INPUT, -1, -1},
	[METER_CACHE_WRITE_1H] = {"cache_write_1h_tokens", METER_INPUT, -1, -1},
	[METER_OUTPUT] = {"output_tokens", -1, -1, -1},
	[METER_REASONING] = {"reasoning_tokens", METER_OUTPUT, -1, -1},
	[METER_INPUT_AUDIO] = {"input_audio_tokens", METER_INPUT, -1, -1},
	[METER_INPUT_IMAGE] = {"input_image_tokens", METER_INPUT, -1, -1},
	[METER_INPUT_VIDEO] = {"input_video_tokens", METER_INPUT, -1, -1},
	[METER_CACHE_READ_AUDIO] = {"cache_read_audio_tokens", METER_INPUT, METER_CACHE_READ, METER_INPUT_AUDIO},
	[METER_CACHE_READ_IMAGE] = {"cache_read_image_tokens", METER_INPUT, METER_CACHE_READ, METER_INPUT_IMAGE},
	[METER_CACHE_READ_VIDEO] = {"cache_read_video_tokens", METER_INPUT, METER_CACHE_READ, METER_INPUT_VIDEO},
	[METER_CACHE_WRITE_AUDIO] = {"cache_write_audio_tokens", METER_INPUT, METER_CACHE_WRITE, METER_INPUT_AUDIO},
	[METER_OUTPUT_AUDIO] = {"output_audio_tokens", METER_OUTPUT, -1, -1},
	[METER_OUTPUT_IMAGE] = {"output_image_tokens", METER_OUTPUT, -1, -1},
	[METER_OUTPUT_VIDEO] = {"output_video_tokens", METER_OUTPUT, -1, -1},
};

/* Words only providers use: whoever sends them has not normalised yet. */
static const char *const provider_words[] = {
	"prompt_tokens", "completion_tokens", "total_tokens",
	"prompt_tokens_details", "completion_tokens_details",
	"input_tokens_details", "output_tokens_details",
	"cache_read_input_tokens", "cache_creation_input_tokens",
	"cache_creation", "server_tool_use", "usageMetadata",
	"promptTokenCount", "candidatesTokenCount", "inputTokens", "outputTokens",
	"usage",
	NULL
};

int
cl_token_meter_by_name(const char *name, int len)
{
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if ((int) strlen(cl_token_meters[i].name) == len &&
			memcmp(cl_token_meters[i].name, name, len) == 0)
			return i;
	}
	return -1;
}

/*
 * True when nothing was reported at all, which is not the same as zero.
 */
bool
cl_usage_is_empty(const Usage *usage)
{
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (usage->given[i])
			return false;
	}
	return usage->nother == 0;
}

/*
 * The meters whose rate a meter without one is priced at, nearest first: its
 * cache state matters more than its modality, and both more than the total.
 */
int
cl_token_meter_fallbacks(int meter, int fallbacks[MAX_FALLBACKS])
{
	const TokenMeterInfo *info = &cl_token_meters[meter];
	int			n = 0;

	if (info->cache_part >= 0)
		fallbacks[n++] = info->cache_part;
	if (info->modality_part >= 0)
		fallbacks[n++] = info->modality_part;
	if (info->total >= 0)
		fallbacks[n++] = info->total;
	return n;
}

/*
 * Where cached tokens and tokens of a modality together exceed the input, and
 * nothing says which lie in both, the fewest that can: tokens read from the
 * cache that are audio, else images, else video.
 */
static int64
assume_overlap(int64 tokens[NUM_TOKEN_METERS], int64 excess)
{
	static const int both[] = {
		METER_CACHE_READ_AUDIO, METER_CACHE_READ_IMAGE, METER_CACHE_READ_VIDEO
	};
	int64		read_left = tokens[METER_CACHE_READ];

	for (int i = 0; i < (int) lengthof(both) && excess > 0; i++)
	{
		int64		overlap = Min(excess,
								  Min(read_left, tokens[cl_token_meters[both[i]].modality_part]));

		tokens[both[i]] = overlap;
		read_left -= overlap;
		excess -= overlap;
	}
	return excess;
}

/*
 * Divides the counts so that each token is in one: on return, rest[] is what
 * each meter has beyond its parts, and the rests of a total add up to it.
 * False, with the meter whose parts exceed it, where that cannot be.
 *
 * (Nothing here can overflow: every count is at most 2^53.)
 */
bool
cl_usage_split(const Usage *usage, int64 rest[NUM_TOKEN_METERS],
			   bool *is_assumed, int *bad)
{
	int64		tokens[NUM_TOKEN_METERS];
	int64		covered = 0;
	bool		is_told = false;

	*is_assumed = false;
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		const TokenMeterInfo *info = &cl_token_meters[i];

		tokens[i] = usage->given[i] ? usage->tokens[i] : 0;
		if (info->cache_part >= 0)
		{
			is_told |= usage->given[i];
			covered -= tokens[i];
		}
		else if (info->total == METER_INPUT)
			covered += tokens[i];
	}
	if (covered > tokens[METER_INPUT] && !is_told)
	{
		*is_assumed = true;
		if (assume_overlap(tokens, covered - tokens[METER_INPUT]) > 0)
		{
			*bad = METER_INPUT;
			return false;
		}
	}

	memcpy(rest, tokens, sizeof(tokens));
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		const TokenMeterInfo *info = &cl_token_meters[i];

		if (info->cache_part >= 0)
		{
			/* In both parts, so taken out of the total twice below. */
			rest[info->cache_part] -= tokens[i];
			rest[info->modality_part] -= tokens[i];
			rest[info->total] += tokens[i];
		}
		else if (info->total >= 0)
			rest[info->total] -= tokens[i];
	}
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (rest[i] < 0)
		{
			*bad = i;
			return false;
		}
	}
	return true;
}

static void
check_count(const char *name, int64 count)
{
	if (count < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" must not be negative", name),
				 errdetail("The value is " INT64_FORMAT ".", count),
				 errhint("Send what the call consumed; corrections are made with cost_ledger.correct_call().")));
	if (count > MAX_QUANTITY)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is too large", name),
				 errdetail("The value is " INT64_FORMAT ", the limit " INT64_FORMAT ".",
						   count, MAX_QUANTITY),
				 errhint("Send the count of a single call.")));
}

/*
 * Refuses counts that cannot be: on return every count is in range and every
 * part within its total.
 */
void
cl_usage_check(Usage *usage)
{
	int64		rest[NUM_TOKEN_METERS];
	bool		is_assumed;
	int			bad;

	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (usage->given[i])
			check_count(cl_token_meters[i].name, usage->tokens[i]);
	}
	if (!cl_usage_split(usage, rest, &is_assumed, &bad))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("parts of \"%s\" exceed it", cl_token_meters[bad].name),
				 bad == METER_INPUT ?
				 errhint("\"input_tokens\" counts all input, cached tokens included. If your provider counts them apart, add them up, or send its object as \"raw_usage\".") :
				 bad == METER_OUTPUT ?
				 errhint("\"output_tokens\" counts all output, reasoning included. If your provider counts it apart, add it up, or send its object as \"raw_usage\".") :
				 errhint("A part is counted in its total too.")));
	if (is_assumed)
		usage->status = "unexplained";
}

static void
check_quantity(const char *name, Numeric quantity)
{
	Fixed		fixed;
	bool		good = cl_fixed_from_numeric(quantity, &fixed) && fixed.mantissa >= 0;

	/* 2^53 with the quantity's decimals, or as many of them as matter */
	if (good)
	{
		Fixed		limit = {MAX_QUANTITY, 0};

		good = !cl_fixed_rescale(&limit, fixed.scale) ||
			fixed.mantissa <= limit.mantissa;
	}
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("quantity of meter \"%s\" must be from 0 to 2^53", name),
				 errhint("Send what the call consumed, with at most %d decimals.",
						 FIXED_MAX_SCALE)));
}

/*
 * A count read from JSON; false when the key is absent or null.
 */
static bool
json_count(JsonbContainer *object, const char *key, int64 *count)
{
	JsonbValue	buffer;
	JsonbValue *value;

	value = getKeyJsonValueFromContainer(object, key, strlen(key), &buffer);
	if (value == NULL || value->type == jbvNull)
		return false;
	if (value->type != jbvNumeric)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" in a usage object is not a number", key),
				 errhint("A usage object counts tokens: {\"input_tokens\": 5800, \"output_tokens\": 600}.")));
	if (!cl_numeric_to_int64(value->val.numeric, count))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" in a usage object is not a whole number of at most 2^53", key),
				 errhint("A usage object counts tokens: {\"input_tokens\": 5800, \"output_tokens\": 600}.")));
	check_count(key, *count);
	return true;
}

static JsonbContainer *
usage_object(JsonbContainer *object, const char *key, JsonbValue *buffer)
{
	JsonbValue *value;

	value = getKeyJsonValueFromContainer(object, key, strlen(key), buffer);
	if (value == NULL || value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		return NULL;
	return value->val.binary.data;
}

static bool
json_has(JsonbContainer *object, const char *key)
{
	JsonbValue	buffer;

	return getKeyJsonValueFromContainer(object, key, strlen(key), &buffer) != NULL;
}

static char *
json_string(JsonbContainer *object, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *value;

	value = getKeyJsonValueFromContainer(object, key, strlen(key), &buffer);
	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static void
set_tokens(Usage *usage, TokenMeter meter, int64 count)
{
	usage->tokens[meter] = count;
	usage->given[meter] = true;
}

static void
add_other(Usage *usage, char *name, Numeric quantity)
{
	if (usage->other == NULL)
		usage->other = palloc(sizeof(OtherMeter));
	else
		usage->other = repalloc(usage->other,
								(usage->nother + 1) * sizeof(OtherMeter));
	usage->other[usage->nother].name = name;
	usage->other[usage->nother].quantity = quantity;
	usage->nother++;
}

/*
 * Reads one level of a usage object of ours.  Token words go to their meters
 * (those with a column only where they are wanted), everything else is a meter
 * of its own.
 */
static void
read_meters(JsonbContainer *object, bool tokens_too, Usage *usage)
{
	JsonbIterator *it;
	JsonbValue	value;
	JsonbIteratorToken token;
	char	   *name = NULL;

	if (!JsonContainerIsObject(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("usage is not a JSON object"),
				 errhint("Write {\"input_tokens\": 5800, \"output_tokens\": 600}.")));

	it = JsonbIteratorInit(object);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		int			meter;

		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		if (token != WJB_VALUE)
			continue;

		for (const char *const *word = provider_words; *word; word++)
		{
			if (strcmp(name, *word) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("\"%s\" is a provider's word, not a usage meter", name),
						 errhint("Pass the provider's object through cost_ledger.normalize_usage(), or insert it as \"raw_usage\".")));
		}

		if (value.type == jbvNull)
			continue;
		if (value.type != jbvNumeric)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("quantity of meter \"%s\" is not a number", name),
					 errhint("Write {\"input_tokens\": 5800, \"output_tokens\": 600}; a provider's own object goes through cost_ledger.normalize_usage().")));

		meter = cl_token_meter_by_name(name, strlen(name));
		if (meter < 0)
		{
			check_quantity(name, value.val.numeric);
			add_other(usage, name, value.val.numeric);
		}
		else if (tokens_too || meter >= NUM_TOKEN_COLUMNS)
		{
			int64		count;

			json_count(object, name, &count);
			set_tokens(usage, meter, count);
		}
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" has a column of its own", name),
					 errhint("Put it there; \"other_usage\" is for meters without a column.")));
	}
}

/*
 * Adds the meters of an other_usage object.
 */
void
cl_usage_add_other(Usage *usage, Jsonb *other)
{
	read_meters(&other->root, false, usage);
}

/*
 * Reads a usage object in the ledger's own convention, checked.
 */
void
cl_usage_from_jsonb(Jsonb *doc, Usage *usage)
{
	memset(usage, 0, sizeof(Usage));
	read_meters(&doc->root, true, usage);
	cl_usage_check(usage);
}

/*
 * Counts of tokens that a format does not know are inside some total it does
 * know, and so priced at that total's rate; the row says so.
 */
static void
flag_unknown_tokens(JsonbContainer *object, const char *const *known, Usage *usage)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	value;
	JsonbIteratorToken token;
	bool		is_unknown = false;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			int			len = value.val.string.len;

			is_unknown = len > 7 &&
				memcmp(value.val.string.val + len - 7, "_tokens", 7) == 0;
			for (const char *const *word = known; is_unknown && *word; word++)
			{
				if ((int) strlen(*word) == len &&
					memcmp(*word, value.val.string.val, len) == 0)
					is_unknown = false;
			}
		}
		else if (token == WJB_VALUE && is_unknown &&
				 value.type == jbvNumeric &&
				 !cl_numeric_is_zero(value.val.numeric))
			usage->status = "unexplained";
	}
}

/*
 * OpenAI: chat completions and embeddings (prompt_, completion_), responses
 * (input_, output_).  Cached and reasoning tokens lie inside the totals.
 */
static void
normalize_openai(JsonbContainer *raw, bool responses, Usage *usage)
{
	static const char *const known[] = {
		"prompt_tokens", "completion_tokens", "input_tokens", "output_tokens",
		"total_tokens", NULL
	};
	static const char *const known_details[] = {
		"cached_tokens", "cache_write_tokens", "reasoning_tokens", "text_tokens",
		"accepted_prediction_tokens", "rejected_prediction_tokens", NULL
	};
	JsonbValue	buffer;
	JsonbContainer *details;
	int64		count;
	int64		total;

	if (json_count(raw, responses ? "input_tokens" : "prompt_tokens", &count))
		set_tokens(usage, METER_INPUT, count);
	if (json_count(raw, responses ? "output_tokens" : "completion_tokens", &count))
		set_tokens(usage, METER_OUTPUT, count);

	details = usage_object(raw, responses ? "input_tokens_details" : "prompt_tokens_details",
						  &buffer);
	if (details)
	{
		if (json_count(details, "cached_tokens", &count))
			set_tokens(usage, METER_CACHE_READ, count);
		if (json_count(details, "cache_write_tokens", &count))
			set_tokens(usage, METER_CACHE_WRITE, count);
		flag_unknown_tokens(details, known_details, usage);
	}
	details = usage_object(raw, responses ? "output_tokens_details" : "completion_tokens_details",
						  &buffer);
	if (details)
	{
		if (json_count(details, "reasoning_tokens", &count))
			set_tokens(usage, METER_REASONING, count);
		flag_unknown_tokens(details, known_details, usage);
	}

	flag_unknown_tokens(raw, known, usage);
	if (json_count(raw, "total_tokens", &total) &&
		total != usage->tokens[METER_INPUT] + usage->tokens[METER_OUTPUT])
		usage->status = "unexplained";
}

/*
 * Anthropic messages: cache reads and writes come on top of input_tokens.
 * Writes are for 5 minutes unless the breakdown says otherwise.
 */
static void
normalize_anthropic(JsonbContainer *raw, Usage *usage)
{
	static const char *const known[] = {
		"input_tokens", "output_tokens", "cache_read_input_tokens",
		"cache_creation_input_tokens", NULL
	};
	static const char *const known_creation[] = {
		"ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", NULL
	};
	JsonbValue	buffer;
	JsonbContainer *part;
	int64		fresh = 0;
	int64		read = 0;
	int64		written = 0;
	int64		written_5m = 0;
	int64		written_1h = 0;
	int64		count;
	bool		has_input;
	bool		has_read;
	bool		has_written;

	has_input = json_count(raw, "input_tokens", &fresh);
	has_read = json_count(raw, "cache_read_input_tokens", &read);
	has_written = json_count(raw, "cache_creation_input_tokens", &written);

	part = usage_object(raw, "cache_creation", &buffer);
	if (part)
	{
		(void) json_count(part, "ephemeral_5m_input_tokens", &written_5m);
		(void) json_count(part, "ephemeral_1h_input_tokens", &written_1h);
		flag_unknown_tokens(part, known_creation, usage);
		if (!has_written)
			written = written_5m + written_1h;
		has_written = true;
		if (written_5m + written_1h > written)
		{
			written = written_5m + written_1h;
			usage->status = "unexplained";
		}
		else if (written_5m + written_1h < written)
			usage->status = "unexplained";	/* the rest: the default lifetime */
	}

	if (has_input || has_read || has_written)
		set_tokens(usage, METER_INPUT, fresh + read + written);
	if (has_read)
		set_tokens(usage, METER_CACHE_READ, read);
	if (has_written)
	{
		set_tokens(usage, METER_CACHE_WRITE, written - written_1h);
		set_tokens(usage, METER_CACHE_WRITE_1H, written_1h);
	}
	if (json_count(raw, "output_tokens", &count))
		set_tokens(usage, METER_OUTPUT, count);
	part = usage_object(raw, "output_tokens_details", &buffer);
	if (part && json_count(part, "thinking_tokens", &count))
		set_tokens(usage, METER_REASONING, count);

	/* Server tools are meters of their own, billed beside the tokens. */
	part = usage_object(raw, "server_tool_use", &buffer);
	if (part)
	{
		JsonbIterator *it = JsonbIteratorInit(part);
		JsonbValue	value;
		JsonbIteratorToken token;
		char	   *name = NULL;

		while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		{
			if (token == WJB_KEY)
				name = pnstrdup(value.val.string.val, value.val.string.len);
			else if (token == WJB_VALUE && value.type == jbvNumeric &&
					 !cl_numeric_is_zero(value.val.numeric))
			{
				check_quantity(name, value.val.numeric);
				add_other(usage, name, value.val.numeric);
			}
		}
	}
	flag_unknown_tokens(raw, known, usage);
}

/*
 * The ledger's name for a provider's service tier.
 */
static char *
service_class_of(char *tier)
{
	static const char *const standard[] = {
		"default", "auto", "standard", "standard_only", "on_demand", NULL
	};

	for (const char *const *word = standard; *word; word++)
	{
		if (strcmp(tier, *word) == 0)
			return "standard";
	}
	return tier;
}

/*
 * Reads a provider's usage object, or a whole response with one under
 * "usage".  The format is told by its shape when none is named.  False when
 * the shape is unknown or the counts contradict each other: then the call is
 * recorded and not priced.
 */
bool
cl_usage_normalize(Jsonb *raw, const char *format, Usage *usage)
{
	JsonbContainer *object = &raw->root;
	JsonbContainer *inner;
	JsonbValue	buffer;
	char	   *tier = NULL;
	int64		rest[NUM_TOKEN_METERS];
	bool		is_assumed;
	int			bad;

	memset(usage, 0, sizeof(Usage));
	if (!JB_ROOT_IS_OBJECT(raw))
		return false;

	tier = json_string(object, "service_tier");
	inner = usage_object(object, "usage", &buffer);
	if (inner)
	{
		char	   *inner_tier = json_string(inner, "service_tier");

		object = inner;
		if (inner_tier)
			tier = inner_tier;
	}
	if (tier)
		usage->service_class = service_class_of(tier);

	if (format == NULL)
	{
		if (json_has(object, "prompt_tokens") || json_has(object, "completion_tokens"))
			format = "openai_chat";
		else if (json_has(object, "cache_read_input_tokens") ||
				 json_has(object, "cache_creation_input_tokens") ||
				 json_has(object, "cache_creation"))
			format = "anthropic";
		else if (json_has(object, "input_tokens_details") ||
				 json_has(object, "output_tokens_details") ||
				 (json_has(object, "input_tokens") && json_has(object, "total_tokens")))
			format = "openai_responses";
		else if (json_has(object, "cache_read_tokens") ||
				 json_has(object, "cache_write_tokens") ||
				 json_has(object, "cache_write_1h_tokens") ||
				 json_has(object, "reasoning_tokens"))
			format = "cost_ledger";
		else if (json_has(object, "input_tokens") || json_has(object, "output_tokens"))
			format = "anthropic";
		else
			return false;
	}

	if (strcmp(format, "openai_chat") == 0)
		normalize_openai(object, false, usage);
	else if (strcmp(format, "openai_responses") == 0)
		normalize_openai(object, true, usage);
	else if (strcmp(format, "anthropic") == 0)
		normalize_anthropic(object, usage);
	else if (strcmp(format, "cost_ledger") == 0)
		read_meters(object, true, usage);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown usage format \"%s\"", format),
				 errhint("Known formats are openai_chat, openai_responses, anthropic and cost_ledger.")));

	/* Sums of counts can exceed what each may be. */
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (usage->given[i])
			check_count(cl_token_meters[i].name, usage->tokens[i]);
	}
	if (!cl_usage_split(usage, rest, &is_assumed, &bad))
		return false;
	if (is_assumed)
		usage->status = "unexplained";
	return !cl_usage_is_empty(usage);
}

static void
push_meter(JsonbParseState **state, const char *name, Numeric quantity)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, name);
	value.val.string.len = strlen(name);
	pushJsonbValue(state, WJB_KEY, &value);
	value.type = jbvNumeric;
	value.val.numeric = quantity;
	pushJsonbValue(state, WJB_VALUE, &value);
}

/*
 * The usage as an object in the ledger's convention; the meters without a
 * column only, if so asked.  NULL where there are none.
 */
Jsonb *
cl_usage_to_jsonb(const Usage *usage, bool other_only)
{
	JsonbParseState *state = NULL;
	JsonbValue *result;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = other_only ? NUM_TOKEN_COLUMNS : 0; i < NUM_TOKEN_METERS; i++)
	{
		if (usage->given[i])
			push_meter(&state, cl_token_meters[i].name,
					   int64_to_numeric(usage->tokens[i]));
	}
	for (int i = 0; i < usage->nother; i++)
		push_meter(&state, usage->other[i].name, usage->other[i].quantity);
	result = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return result->val.object.nPairs == 0 ? NULL : JsonbValueToJsonb(result);
}

PG_FUNCTION_INFO_V1(cl_normalize_usage);

/*
 * normalize_usage(usage jsonb, format text) → jsonb
 */
Datum
cl_normalize_usage(PG_FUNCTION_ARGS)
{
	Usage		usage;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (!cl_usage_normalize(PG_GETARG_JSONB_P(0),
							PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
							&usage))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("usage object is of no known shape, or its counts contradict each other"),
				 errhint("Known formats are openai_chat, openai_responses, anthropic and cost_ledger; a subset must not exceed its total.")));
	PG_RETURN_JSONB_P(cl_usage_to_jsonb(&usage, false));
}
