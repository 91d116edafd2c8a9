/*-------------------------------------------------------------------------
 * usage.c
 *	  Provider usage objects into the ledger's convention.
 *
 * Providers differ in one thing that costs money: whether a specific count
 * (cached input, reasoning output) lies inside the general one or beside it.
 * OpenAI's cached_tokens are part of prompt_tokens; Anthropic's
 * cache_read_input_tokens come on top of input_tokens.  A format is a table of
 * what each key means, and the set of meters that come on top of their total;
 * nothing after this file needs to know.
 *
 * A call is a fact: what cannot be explained here is flagged for the row, not
 * refused.  Counts that are no counts (negative, fractional, beyond 10^12) are
 * refused: no provider sends them.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "money.h"
#include "usage.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/formatting.h"

#define METER(name)	name, sizeof(name) - 1

const TokenMeterInfo cl_token_meters[NUM_TOKEN_METERS] = {
	[METER_INPUT] = {METER("input_tokens"), -1, -1, -1},
	[METER_CACHE_READ] = {METER("cache_read_tokens"), METER_INPUT, -1, -1},
	[METER_CACHE_WRITE] = {METER("cache_write_tokens"), METER_INPUT, -1, -1},
	[METER_CACHE_WRITE_1H] = {METER("cache_write_1h_tokens"), METER_INPUT, -1, -1},
	[METER_OUTPUT] = {METER("output_tokens"), -1, -1, -1},
	[METER_REASONING] = {METER("reasoning_tokens"), METER_OUTPUT, -1, -1},
	[METER_INPUT_AUDIO] = {METER("input_audio_tokens"), METER_INPUT, -1, -1},
	[METER_INPUT_IMAGE] = {METER("input_image_tokens"), METER_INPUT, -1, -1},
	[METER_INPUT_VIDEO] = {METER("input_video_tokens"), METER_INPUT, -1, -1},
	[METER_CACHE_READ_AUDIO] = {METER("cache_read_audio_tokens"), METER_INPUT, METER_CACHE_READ, METER_INPUT_AUDIO},
	[METER_CACHE_READ_IMAGE] = {METER("cache_read_image_tokens"), METER_INPUT, METER_CACHE_READ, METER_INPUT_IMAGE},
	[METER_CACHE_READ_VIDEO] = {METER("cache_read_video_tokens"), METER_INPUT, METER_CACHE_READ, METER_INPUT_VIDEO},
	[METER_CACHE_WRITE_AUDIO] = {METER("cache_write_audio_tokens"), METER_INPUT, METER_CACHE_WRITE, METER_INPUT_AUDIO},
	[METER_OUTPUT_AUDIO] = {METER("output_audio_tokens"), METER_OUTPUT, -1, -1},
	[METER_OUTPUT_IMAGE] = {METER("output_image_tokens"), METER_OUTPUT, -1, -1},
	[METER_OUTPUT_VIDEO] = {METER("output_video_tokens"), METER_OUTPUT, -1, -1},
};

/* Words only providers use: whoever sends them has not normalised yet. */
static const char *const provider_words[] = {
	"prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens",
	"prompt_tokens_details", "completion_tokens_details",
	"input_tokens_details", "output_tokens_details",
	"cache_read_input_tokens", "cache_creation_input_tokens",
	"cache_creation", "server_tool_use", "usageMetadata",
	"promptTokenCount", "candidatesTokenCount", "inputTokens", "outputTokens",
	"billed_units", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
	"usage",
	NULL
};

static int
token_meter_by_name(const char *name, int len)
{
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (cl_token_meters[i].len == len &&
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
 * Makes cached tokens and tokens of a modality fit into the input together,
 * where nothing says which lie in both.  False if they cannot.
 */
static bool
settle_overlap(Usage *usage, int64 tokens[NUM_TOKEN_METERS])
{
	int64		covered = 0;

	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		const TokenMeterInfo *info = &cl_token_meters[i];

		if (info->cache_part >= 0)
		{
			if (usage->given[i])
				return true;	/* it is told; below it will show if it fits */
		}
		else if (info->total == METER_INPUT)
			covered += tokens[i];
	}
	if (covered <= tokens[METER_INPUT])
		return true;
	usage->status = "unexplained";
	return assume_overlap(tokens, covered - tokens[METER_INPUT]) <= 0;
}

/*
 * Divides the counts so that each token is in one: on return, usage->rest is
 * what each meter has beyond its parts, and the rests of a total add up to it.
 * False, with the meter whose parts exceed it, where that cannot be.
 *
 * (Nothing here can overflow: every count is at most 10^12.)
 */
static bool
split_tokens(Usage *usage, int *bad)
{
	static const bool none[NUM_TOKEN_METERS - NUM_TOKEN_COLUMNS] = {false};
	int64		tokens[NUM_TOKEN_METERS];
	int64	   *rest = usage->rest;
	int			nmeters = NUM_TOKEN_METERS;

	/* Most calls tell of no modality; then there is less to go through. */
	if (memcmp(usage->given + NUM_TOKEN_COLUMNS, none, sizeof(none)) == 0)
		nmeters = NUM_TOKEN_COLUMNS;
	usage->nmeters = nmeters;

	for (int i = 0; i < nmeters; i++)
		tokens[i] = usage->given[i] ? usage->tokens[i] : 0;
	if (nmeters > NUM_TOKEN_COLUMNS && !settle_overlap(usage, tokens))
	{
		*bad = METER_INPUT;
		return false;
	}

	/* A meter follows those it is a part of. */
	for (int i = 0; i < nmeters; i++)
	{
		const TokenMeterInfo *info = &cl_token_meters[i];

		rest[i] = tokens[i];
		if (info->cache_part >= 0)
		{
			/* In both parts, so taken out of the total twice before. */
			rest[info->cache_part] -= tokens[i];
			rest[info->modality_part] -= tokens[i];
			rest[info->total] += tokens[i];
		}
		else if (info->total >= 0)
			rest[info->total] -= tokens[i];
	}
	for (int i = 0; i < nmeters; i++)
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
 * Refuses parts that exceed their total: on return the counts are divided.
 */
static void
check_parts(Usage *usage)
{
	int			bad;

	if (!split_tokens(usage, &bad))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("parts of \"%s\" exceed it", cl_token_meters[bad].name),
				 bad == METER_INPUT ?
				 errhint("\"input_tokens\" counts all input, cached tokens included. If your provider counts them apart, add them up, or send its object as \"raw_usage\".") :
				 bad == METER_OUTPUT ?
				 errhint("\"output_tokens\" counts all output, reasoning included. If your provider counts it apart, add it up, or send its object as \"raw_usage\".") :
				 errhint("A part is counted in its total too.")));
}

/*
 * Refuses counts that cannot be: on return every count is in range and every
 * part within its total.
 */
void
cl_usage_check(Usage *usage)
{
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (usage->given[i])
			check_count(cl_token_meters[i].name, usage->tokens[i]);
	}
	check_parts(usage);
}

static void
check_quantity(const char *name, Numeric quantity)
{
	Fixed		fixed;
	bool		good = cl_fixed_from_numeric(quantity, &fixed) && fixed.mantissa >= 0;

	/* 10^12 with the quantity's decimals, or as many of them as matter */
	if (good)
	{
		Fixed		limit = {MAX_QUANTITY, 0};

		good = !cl_fixed_rescale(&limit, fixed.scale) ||
			fixed.mantissa <= limit.mantissa;
	}
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("quantity of meter \"%s\" must be from 0 to 10^12", name),
				 errhint("Send what the call consumed, with at most %d decimals.",
						 FIXED_MAX_SCALE)));
}

/*
 * A number of a usage object as a count.
 */
static int64
count_of_numeric(const char *key, Numeric number)
{
	int64		count;

	if (!cl_numeric_to_int64(number, &count))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" in a usage object is not a whole number of at most 10^12", key),
				 errhint("A usage object counts tokens: {\"input_tokens\": 5800, \"output_tokens\": 600}.")));
	check_count(key, count);
	return count;
}

/*
 * A value of a usage object as a count.
 */
static int64
count_of(const char *key, const JsonbValue *value)
{
	if (value->type != jbvNumeric)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" in a usage object is not a number", key),
				 errhint("A usage object counts tokens: {\"input_tokens\": 5800, \"output_tokens\": 600}.")));
	return count_of_numeric(key, value->val.numeric);
}

static bool
has_key(JsonbContainer *object, const char *key)
{
	JsonbValue	buffer;

	return getKeyJsonValueFromContainer(object, key, strlen(key), &buffer) != NULL;
}

/*
 * The object that a value is, or NULL.
 */
static JsonbContainer *
object_of(const JsonbValue *value)
{
	if (value == NULL || value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		return NULL;
	return value->val.binary.data;
}

static JsonbContainer *
child_object(JsonbContainer *object, const char *key)
{
	JsonbValue	buffer;

	return object_of(getKeyJsonValueFromContainer(object, key, strlen(key), &buffer));
}

static bool
string_is(const JsonbValue *value, const char *word)
{
	return value->type == jbvString &&
		(int) strlen(word) == value->val.string.len &&
		pg_strncasecmp(word, value->val.string.val, value->val.string.len) == 0;
}

static void
add_other(Usage *usage, const char *name, Numeric quantity)
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

static bool
is_provider_word(const char *name)
{
	for (const char *const *word = provider_words; *word; word++)
	{
		if (strcmp(name, *word) == 0)
			return true;
	}
	return false;
}

/*
 * Reads one level of a usage object of ours.  Token words go to their meters
 * (those with a column only where they are wanted), everything else is a meter
 * of its own.
 */
static void
read_meters(JsonbContainer *object, bool tokens_too, Usage *usage)
{
	int			npairs = JsonContainerSize(object);
	const char *data = (const char *) &object->children[2 * npairs];
	uint32		key_offset = 0;
	uint32		value_offset = 0;

	if (!JsonContainerIsObject(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("usage is not a JSON object"),
				 errhint("Write {\"input_tokens\": 5800, \"output_tokens\": 600}.")));

	/*
	 * Read as jsonb.h describes it: all keys, then all values in the same
	 * order, each entry with its length or the end of it.  An iterator costs
	 * as much as all of the pricing.
	 */
	for (int i = 0; i < npairs; i++)
		JBE_ADVANCE_OFFSET(value_offset, object->children[i]);
	for (int i = 0; i < npairs; i++)
	{
		JEntry		entry = object->children[npairs + i];
		const char *key = data + key_offset;
		Numeric		number = (Numeric) (data + INTALIGN(value_offset));
		const char *name;
		int			meter;

		JBE_ADVANCE_OFFSET(key_offset, object->children[i]);
		JBE_ADVANCE_OFFSET(value_offset, entry);
		meter = token_meter_by_name(key, data + key_offset - key);
		name = meter >= 0 ? cl_token_meters[meter].name :
			pnstrdup(key, data + key_offset - key);
		if (meter < 0 && is_provider_word(name))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is a provider's word, not a usage meter", name),
					 errhint("Pass the provider's object through cost_ledger.normalize_usage(), or insert it as \"raw_usage\".")));

		if (JBE_ISNULL(entry))
			continue;
		if (!JBE_ISNUMERIC(entry))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("quantity of meter \"%s\" is not a number", name),
					 errhint("Write {\"input_tokens\": 5800, \"output_tokens\": 600}; a provider's own object goes through cost_ledger.normalize_usage().")));

		if (meter < 0)
		{
			check_quantity(name, number);
			add_other(usage, name, number);
		}
		else if (tokens_too || meter >= NUM_TOKEN_COLUMNS)
		{
			usage->tokens[meter] = count_of_numeric(name, number);
			usage->given[meter] = true;
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
	check_parts(usage);
}

/* What a key of a provider's usage object means. */
typedef enum RuleKind
{
	RULE_COUNT,					/* tokens of a meter */
	RULE_EXTRA_INPUT,			/* input without a meter of its own, on top */
	RULE_WRITTEN_5M,			/* of what was written to the cache */
	RULE_TEXT,					/* the part of a whole that is text */
	RULE_MODALITIES,			/* an array of such parts */
	RULE_LIFETIMES,				/* an array of cache writes by lifetime */
	RULE_ITERATIONS,			/* an array of passes behind one response */
	RULE_TOTAL,					/* all tokens, to check against */
	RULE_QUANTITY,				/* a meter that is not tokens of ours */
	RULE_QUANTITIES,			/* an object of them, by their own names */
	RULE_OBJECT,				/* an object with rules of its own */
	RULE_TIER,
	RULE_REGION,
	RULE_COST,
	RULE_TOTAL_COST,
	RULE_BYOK,
	RULE_KNOWN					/* says nothing that is not said elsewhere */
} RuleKind;

typedef struct Rule
{
	const char *key;
	int			len;
	RuleKind	kind;
	int			meter;			/* or the whole that is divided */
	const struct Rule *rules;	/* of an object; at the end, those that follow */
	const char *name;			/* of a quantity */
} Rule;

#define RULE(key, ...)		{key, sizeof(key) - 1, __VA_ARGS__}
#define COUNT(key, meter)	RULE(key, RULE_COUNT, meter)
#define TEXT(key, whole)	RULE(key, RULE_TEXT, whole)
#define MODALITIES(key, whole)	RULE(key, RULE_MODALITIES, whole)
#define OBJECT(key, rules)	RULE(key, RULE_OBJECT, -1, rules)
#define QUANTITY(key, name)	RULE(key, RULE_QUANTITY, -1, NULL, name)
#define KNOWN(key)			RULE(key, RULE_KNOWN)
#define ALSO(rules)			{NULL, 0, RULE_KNOWN, -1, rules}
#define END					{NULL}

/*
 * OpenAI and everybody who speaks its language: OpenRouter, DeepSeek, Groq,
 * Mistral, Together, Fireworks, Cerebras, Hugging Face, …
 */
static const Rule openai_cached_details[] = {
	COUNT("audio_tokens", METER_CACHE_READ_AUDIO),
	COUNT("image_tokens", METER_CACHE_READ_IMAGE),
	COUNT("video_tokens", METER_CACHE_READ_VIDEO),
	TEXT("text_tokens", METER_CACHE_READ),
	END
};

static const Rule openai_input_details[] = {
	COUNT("cached_tokens", METER_CACHE_READ),
	COUNT("cache_write_tokens", METER_CACHE_WRITE),
	COUNT("audio_tokens", METER_INPUT_AUDIO),
	COUNT("image_tokens", METER_INPUT_IMAGE),
	COUNT("video_tokens", METER_INPUT_VIDEO),
	TEXT("text_tokens", METER_INPUT),
	OBJECT("cached_tokens_details", openai_cached_details),
	END
};

/* Providers do not agree whether text holds the reasoning: it checks nothing. */
static const Rule openai_output_details[] = {
	COUNT("reasoning_tokens", METER_REASONING),
	COUNT("audio_tokens", METER_OUTPUT_AUDIO),
	COUNT("image_tokens", METER_OUTPUT_IMAGE),
	COUNT("video_tokens", METER_OUTPUT_VIDEO),
	KNOWN("text_tokens"),
	KNOWN("accepted_prediction_tokens"),
	KNOWN("rejected_prediction_tokens"),
	END
};

/* What OpenRouter adds: what it has charged, unless the key is not its own. */
static const Rule openrouter_rules[] = {
	RULE("cost", RULE_COST),
	RULE("is_byok", RULE_BYOK),
	RULE("service_tier", RULE_TIER),
	END
};

static const Rule openai_chat_rules[] = {
	COUNT("prompt_tokens", METER_INPUT),
	COUNT("completion_tokens", METER_OUTPUT),
	RULE("total_tokens", RULE_TOTAL),
	OBJECT("prompt_tokens_details", openai_input_details),
	OBJECT("completion_tokens_details", openai_output_details),
	COUNT("cached_tokens", METER_CACHE_READ),	/* Together, Moonshot */
	COUNT("reasoning_tokens", METER_REASONING), /* Modal */
	COUNT("prompt_cache_hit_tokens", METER_CACHE_READ), /* DeepSeek */
	KNOWN("prompt_cache_miss_tokens"),
	KNOWN("num_cached_tokens"), /* Mistral, which bills by the details */
	OBJECT("prompt_token_details", openai_input_details),
	ALSO(openrouter_rules)
};

static const Rule openai_responses_rules[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	RULE("total_tokens", RULE_TOTAL),
	OBJECT("input_tokens_details", openai_input_details),
	OBJECT("output_tokens_details", openai_output_details),
	OBJECT("input_token_details", openai_input_details),	/* realtime, transcription */
	OBJECT("output_token_details", openai_output_details),
	QUANTITY("seconds", "seconds"), /* transcription by duration */
	ALSO(openrouter_rules)
};

static const Rule xai_rules[] = {
	COUNT("cached_prompt_text_tokens", METER_CACHE_READ),	/* its own SDK */
	COUNT("prompt_image_tokens", METER_INPUT_IMAGE),
	TEXT("prompt_text_tokens", METER_INPUT),
	ALSO(openai_chat_rules)
};

static const Rule perplexity_cost[] = {
	RULE("total_cost", RULE_TOTAL_COST),
	KNOWN("input_tokens_cost"),
	KNOWN("output_tokens_cost"),
	END
};

/* Its total leaves out citations and reasoning, which have rates of their own. */
static const Rule perplexity_rules[] = {
	KNOWN("total_tokens"),
	QUANTITY("citation_tokens", "citation_tokens"),
	QUANTITY("num_search_queries", "web_search_requests"),
	OBJECT("cost", perplexity_cost),
	ALSO(openai_chat_rules)
};

static const Rule voyage_rules[] = {
	COUNT("total_tokens", METER_INPUT),
	END
};

/*
 * Anthropic messages, also on Bedrock and Vertex.
 */
static const Rule anthropic_written[] = {
	RULE("ephemeral_5m_input_tokens", RULE_WRITTEN_5M),
	COUNT("ephemeral_1h_input_tokens", METER_CACHE_WRITE_1H),
	END
};

static const Rule anthropic_output_details[] = {
	COUNT("thinking_tokens", METER_REASONING),
	END
};

static const Rule anthropic_pass_rules[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	COUNT("cache_read_input_tokens", METER_CACHE_READ),
	COUNT("cache_creation_input_tokens", METER_CACHE_WRITE),
	OBJECT("cache_creation", anthropic_written),
	OBJECT("output_tokens_details", anthropic_output_details),
	END
};

static const Rule anthropic_rules[] = {
	RULE("server_tool_use", RULE_QUANTITIES),
	RULE("service_tier", RULE_TIER),
	RULE("speed", RULE_TIER),
	RULE("inference_geo", RULE_REGION),
	RULE("iterations", RULE_ITERATIONS),
	ALSO(anthropic_pass_rules)
};

/*
 * Gemini, in the words of its REST interface and of its Python client.
 */
static const Rule gemini_snake_rules[] = {
	COUNT("prompt_token_count", METER_INPUT),
	COUNT("candidates_token_count", METER_OUTPUT),
	COUNT("response_token_count", METER_OUTPUT),
	COUNT("thoughts_token_count", METER_REASONING),
	COUNT("cached_content_token_count", METER_CACHE_READ),
	RULE("tool_use_prompt_token_count", RULE_EXTRA_INPUT),
	RULE("total_token_count", RULE_TOTAL),
	MODALITIES("prompt_tokens_details", METER_INPUT),
	MODALITIES("tool_use_prompt_tokens_details", METER_INPUT),
	MODALITIES("cache_tokens_details", METER_CACHE_READ),
	MODALITIES("candidates_tokens_details", METER_OUTPUT),
	MODALITIES("response_tokens_details", METER_OUTPUT),
	RULE("service_tier", RULE_TIER),
	RULE("traffic_type", RULE_TIER),
	END
};

static const Rule gemini_rules[] = {
	COUNT("promptTokenCount", METER_INPUT),
	COUNT("candidatesTokenCount", METER_OUTPUT),
	COUNT("responseTokenCount", METER_OUTPUT),	/* live */
	COUNT("thoughtsTokenCount", METER_REASONING),
	COUNT("cachedContentTokenCount", METER_CACHE_READ),
	RULE("toolUsePromptTokenCount", RULE_EXTRA_INPUT),
	RULE("totalTokenCount", RULE_TOTAL),
	MODALITIES("promptTokensDetails", METER_INPUT),
	MODALITIES("promptTokenDetails", METER_INPUT),	/* embeddings */
	MODALITIES("toolUsePromptTokensDetails", METER_INPUT),
	MODALITIES("cacheTokensDetails", METER_CACHE_READ),
	MODALITIES("candidatesTokensDetails", METER_OUTPUT),
	MODALITIES("responseTokensDetails", METER_OUTPUT),
	RULE("serviceTier", RULE_TIER),
	RULE("trafficType", RULE_TIER),
	ALSO(gemini_snake_rules)
};

/*
 * Bedrock: Converse, and what Nova and Titan answer to InvokeModel.
 */
static const Rule bedrock_rules[] = {
	COUNT("inputTokens", METER_INPUT),
	COUNT("outputTokens", METER_OUTPUT),
	RULE("totalTokens", RULE_TOTAL),
	COUNT("cacheReadInputTokens", METER_CACHE_READ),
	COUNT("cacheWriteInputTokens", METER_CACHE_WRITE),
	COUNT("cacheReadInputTokenCount", METER_CACHE_READ),
	COUNT("cacheWriteInputTokenCount", METER_CACHE_WRITE),
	RULE("cacheDetails", RULE_LIFETIMES),
	RULE("serverToolUsage", RULE_QUANTITIES),
	COUNT("inputTextTokenCount", METER_INPUT),
	RULE("serviceTier", RULE_TIER),
	END
};

/*
 * Cohere: billed_units are what is paid for; tokens also count what Cohere
 * wraps around the prompt.
 */
static const Rule cohere_billed_units[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	COUNT("image_tokens", METER_INPUT_IMAGE),
	QUANTITY("search_units", "search_units"),
	QUANTITY("classifications", "classifications"),
	END
};

static const Rule cohere_rules[] = {
	OBJECT("billed_units", cohere_billed_units),
	KNOWN("cached_tokens"),
	END
};

static const Rule cohere_tokens_rules[] = {
	OBJECT("tokens", cohere_billed_units),
	COUNT("cached_tokens", METER_CACHE_READ),
	END
};

/*
 * OpenTelemetry's attributes of a span, flat or nested.
 */
static const Rule otel_input[] = {
	COUNT("input_tokens", METER_CACHE_READ),
	END
};

static const Rule otel_creation[] = {
	COUNT("input_tokens", METER_CACHE_WRITE),
	END
};

static const Rule otel_reasoning[] = {
	COUNT("output_tokens", METER_REASONING),
	END
};

static const Rule otel_usage[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	OBJECT("cache_read", otel_input),
	OBJECT("cache_creation", otel_creation),
	OBJECT("reasoning", otel_reasoning),
	END
};

static const Rule otel_gen_ai[] = {
	OBJECT("usage", otel_usage),
	END
};

static const Rule otel_rules[] = {
	COUNT("gen_ai.usage.input_tokens", METER_INPUT),
	COUNT("gen_ai.usage.output_tokens", METER_OUTPUT),
	COUNT("gen_ai.usage.cache_read.input_tokens", METER_CACHE_READ),
	COUNT("gen_ai.usage.cache_creation.input_tokens", METER_CACHE_WRITE),
	COUNT("gen_ai.usage.reasoning.output_tokens", METER_REASONING),
	COUNT("gen_ai.usage.prompt_tokens", METER_INPUT),	/* before 2024-08 */
	COUNT("gen_ai.usage.completion_tokens", METER_OUTPUT),
	KNOWN("gen_ai.request.max_tokens"),
	RULE("openai.response.service_tier", RULE_TIER),
	RULE("gen_ai.openai.response.service_tier", RULE_TIER),
	OBJECT("gen_ai", otel_gen_ai),
	END
};

typedef enum Format
{
	FORMAT_OPENAI_CHAT,
	FORMAT_OPENAI_RESPONSES,
	FORMAT_ANTHROPIC,
	FORMAT_GEMINI,
	FORMAT_BEDROCK_CONVERSE,
	FORMAT_COHERE,
	FORMAT_COHERE_TOKENS,
	FORMAT_OPENTELEMETRY,
	FORMAT_XAI,
	FORMAT_PERPLEXITY,
	FORMAT_VOYAGE,
	FORMAT_COST_LEDGER
} Format;

#define NUM_FORMATS			(FORMAT_COST_LEDGER + 1)
#define FORMAT_UNKNOWN		(-1)

#define ON_TOP(meter)		(1 << (meter))
#define ALL_CACHE			(ON_TOP(METER_CACHE_READ) | ON_TOP(METER_CACHE_WRITE) | \
							 ON_TOP(METER_CACHE_WRITE_1H))

/*
 * Which parts come on top of the total a provider reports; all others lie
 * inside it.  This is the only place that says so.
 */
static const struct
{
	const char *name;
	const Rule *rules;
	int			on_top;
}			formats[NUM_FORMATS] =
{
	[FORMAT_OPENAI_CHAT] = {"openai_chat", openai_chat_rules, 0},
	[FORMAT_OPENAI_RESPONSES] = {"openai_responses", openai_responses_rules, 0},
	[FORMAT_ANTHROPIC] = {"anthropic", anthropic_rules, ALL_CACHE},
	[FORMAT_GEMINI] = {"gemini", gemini_rules, ON_TOP(METER_REASONING)},
	[FORMAT_BEDROCK_CONVERSE] = {"bedrock_converse", bedrock_rules, ALL_CACHE},
	[FORMAT_COHERE] = {"cohere", cohere_rules, ON_TOP(METER_INPUT_IMAGE)},
	[FORMAT_COHERE_TOKENS] = {"cohere_tokens", cohere_tokens_rules, ON_TOP(METER_INPUT_IMAGE)},
	[FORMAT_OPENTELEMETRY] = {"opentelemetry", otel_rules, 0},
	[FORMAT_XAI] = {"xai", xai_rules, ON_TOP(METER_REASONING)},
	[FORMAT_PERPLEXITY] = {"perplexity", perplexity_rules, ON_TOP(METER_REASONING)},
	[FORMAT_VOYAGE] = {"voyage", voyage_rules, 0},
	[FORMAT_COST_LEDGER] = {"cost_ledger", NULL, 0},
};

/* Providers that send a known shape and mean something else by it. */
static const struct
{
	const char *provider;
	Format		shape;
	Format		format;
}			dialects[] =
{
	{"x-ai", FORMAT_OPENAI_CHAT, FORMAT_XAI},
	{"xai", FORMAT_OPENAI_CHAT, FORMAT_XAI},
	{"x_ai", FORMAT_OPENAI_CHAT, FORMAT_XAI},
	{"perplexity", FORMAT_OPENAI_CHAT, FORMAT_PERPLEXITY},
	{"voyageai", FORMAT_UNKNOWN, FORMAT_VOYAGE},
	{"voyage", FORMAT_UNKNOWN, FORMAT_VOYAGE},
};

/* A usage object while it is read. */
typedef struct Reading
{
	Usage	   *usage;
	Format		format;
	int64		extra_input;
	int64		written_5m;
	int64		total;
	bool		has_lifetimes;
	bool		has_total;
	/* Of the wholes that are divided by modality: what is text. */
	bool		is_divided[NUM_TOKEN_COLUMNS];
	int64		text[NUM_TOKEN_COLUMNS];
	/* Compaction: passes that the counts of the response leave out. */
	int64		passes[NUM_TOKEN_METERS];
	int64		least_pass;		/* input of the smallest pass that is told of */
	Numeric		cost;
	bool		is_cost_clear;	/* what the account pays, in dollars */
	bool		is_byok;
	bool		is_unexplained;
} Reading;

/*
 * A meter's count, which may be told twice; where the two differ, the larger.
 */
static void
set_tokens(Reading *reading, int meter, int64 count)
{
	Usage	   *usage = reading->usage;

	/* Nobody needs to store that a chat had no video. */
	if (count == 0 && meter >= NUM_TOKEN_COLUMNS)
		return;
	if (usage->given[meter] && usage->tokens[meter] != count)
	{
		reading->is_unexplained = true;
		count = Max(count, usage->tokens[meter]);
	}
	usage->tokens[meter] = count;
	usage->given[meter] = true;
}

/*
 * Adds counts of an array, however long it is.
 */
static void
add_count(int64 *sum, const char *key, int64 count)
{
	*sum += count;
	check_count(key, *sum);
}

static void
add_tokens(Usage *usage, int meter, int64 count)
{
	if (count == 0 && meter >= NUM_TOKEN_COLUMNS)
		return;
	add_count(&usage->tokens[meter], cl_token_meters[meter].name, count);
	usage->given[meter] = true;
}

static const Rule *
find_rule(const Rule *rule, const char *key, int len)
{
	for (;;)
	{
		if (rule->key == NULL)
		{
			rule = rule->rules;
			if (rule == NULL)
				return NULL;
		}
		else if (rule->len == len && memcmp(rule->key, key, len) == 0)
			return rule;
		else
			rule++;
	}
}

static bool
ends_with(const char *key, int len, const char *end)
{
	int			end_len = strlen(end);

	return len > end_len && memcmp(key + len - end_len, end, end_len) == 0;
}

/*
 * Counts of tokens that a format does not know are inside some total it does
 * know, and so priced at that total's rate; the row says so.
 */
static bool
names_tokens(const char *key, int len)
{
	return ends_with(key, len, "_tokens") || ends_with(key, len, "Tokens") ||
		ends_with(key, len, "TokenCount") || ends_with(key, len, "_token_count");
}

/*
 * A whole's meters of audio, image and video, which follow each other.
 */
static int
first_modality(int whole)
{
	return whole == METER_INPUT ? METER_INPUT_AUDIO :
		whole == METER_OUTPUT ? METER_OUTPUT_AUDIO : METER_CACHE_READ_AUDIO;
}

/*
 * The meter of a modality within a whole; the whole itself for text; -1 where
 * it has none.
 */
static int
modality_meter(int whole, const JsonbValue *modality)
{
	if (string_is(modality, "TEXT"))
		return whole;
	if (string_is(modality, "AUDIO"))
		return first_modality(whole);
	/* Pages are seen as images. */
	if (string_is(modality, "IMAGE") || string_is(modality, "DOCUMENT"))
		return first_modality(whole) + 1;
	if (string_is(modality, "VIDEO"))
		return first_modality(whole) + 2;
	return -1;
}

/*
 * The ledger's name for a provider's service tier; NULL for the standard one.
 */
static char *
service_class_of(const JsonbValue *tier)
{
	static const struct
	{
		const char *tier;
		const char *class;
	}			known[] =
	{
		{"standard", NULL}, {"default", NULL}, {"auto", NULL},
		{"standard_only", NULL}, {"on_demand", NULL}, {"", NULL},
		{"unspecified", NULL}, {"traffic_type_unspecified", NULL},
		{"on_demand_priority", "priority"}, {"on_demand_flex", "flex"},
	};

	for (int i = 0; i < (int) lengthof(known); i++)
	{
		if (string_is(tier, known[i].tier))
			return unconstify(char *, known[i].class);
	}
	return asc_tolower(tier->val.string.val, tier->val.string.len);
}

/*
 * A tier is a word, or an object with one under "type".
 */
static void
read_tier(Usage *usage, const JsonbValue *value)
{
	JsonbContainer *object = object_of(value);
	JsonbValue	buffer;
	char	   *class;

	if (object)
		value = getKeyJsonValueFromContainer(object, "type", 4, &buffer);
	if (value == NULL || value->type != jbvString)
		return;
	class = service_class_of(value);
	if (class)
		usage->service_class = class;
}

static void read_object(Reading *reading, JsonbContainer *object, const Rule *rules);
static void finish(Reading *reading);

/*
 * One element of an array: [{"modality": "TEXT", "tokenCount": 9}].
 */
static void
read_modality(Reading *reading, const Rule *rule, JsonbContainer *element)
{
	JsonbValue	modality;
	JsonbValue	buffer;
	JsonbValue *value;
	int			meter = -1;
	int64		count;

	value = getKeyJsonValueFromContainer(element, "tokenCount", 10, &buffer);
	if (value == NULL)
		value = getKeyJsonValueFromContainer(element, "token_count", 11, &buffer);
	if (value == NULL || value->type == jbvNull)
		return;
	count = count_of(rule->key, value);
	reading->is_divided[rule->meter] |= count > 0;
	if (getKeyJsonValueFromContainer(element, "modality", 8, &modality) != NULL)
		meter = modality_meter(rule->meter, &modality);
	if (meter == rule->meter)
		add_count(&reading->text[meter], rule->key, count);
	else if (meter >= 0)
		add_tokens(reading->usage, meter, count);
	else if (count > 0)
		reading->is_unexplained = true;
}

/*
 * One element of an array: [{"ttl": "1h", "inputTokens": 2074}].
 */
static void
read_lifetime(Reading *reading, const Rule *rule, JsonbContainer *element)
{
	JsonbValue	buffer;
	JsonbValue *value;
	int64		count;

	value = getKeyJsonValueFromContainer(element, "inputTokens", 11, &buffer);
	if (value == NULL || value->type == jbvNull)
		return;
	count = count_of(rule->key, value);
	reading->has_lifetimes = true;
	value = getKeyJsonValueFromContainer(element, "ttl", 3, &buffer);
	if (value != NULL && string_is(value, "1h"))
		add_tokens(reading->usage, METER_CACHE_WRITE_1H, count);
	else
	{
		add_count(&reading->written_5m, rule->key, count);
		if (value == NULL || !string_is(value, "5m"))
			reading->is_unexplained = true;
	}
}

static void
note_pass(Reading *reading, int64 input)
{
	if (input > 0 && (reading->least_pass == 0 || input < reading->least_pass))
		reading->least_pass = input;
}

/*
 * One pass behind an Anthropic response.  The counts of the response are those
 * of its messages.  A compaction is billed beside them, to the same model; any
 * other pass (an advisor's) is another model's, which has no rate here.  Of
 * both the smallest is kept: the provider chooses a context tier for each.
 */
static void
read_pass(Reading *reading, JsonbContainer *element)
{
	JsonbValue	buffer;
	JsonbValue *type = getKeyJsonValueFromContainer(element, "type", 4, &buffer);
	bool		is_message = type != NULL && string_is(type, "message");
	Usage		usage;
	Reading		pass;

	if (!is_message && (type == NULL || !string_is(type, "compaction")))
	{
		reading->is_unexplained = true;
		return;
	}
	memset(&usage, 0, sizeof(usage));
	memset(&pass, 0, sizeof(pass));
	pass.usage = &usage;
	pass.format = reading->format;
	read_object(&pass, element, anthropic_pass_rules);
	finish(&pass);
	note_pass(reading, usage.tokens[METER_INPUT]);
	if (is_message)
		return;
	reading->is_unexplained |= pass.is_unexplained;
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (usage.given[i])
			add_count(&reading->passes[i], cl_token_meters[i].name, usage.tokens[i]);
	}
}

static void
read_array(Reading *reading, const Rule *rule, const JsonbValue *value)
{
	JsonbIterator *it;
	JsonbValue	element;
	JsonbIteratorToken token;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
	{
		reading->is_unexplained = true;
		return;
	}
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		JsonbContainer *object;

		CHECK_FOR_INTERRUPTS();
		if (token != WJB_ELEM)
			continue;
		object = object_of(&element);
		if (object == NULL)
			reading->is_unexplained = true;
		else if (rule->kind == RULE_MODALITIES)
			read_modality(reading, rule, object);
		else if (rule->kind == RULE_LIFETIMES)
			read_lifetime(reading, rule, object);
		else
			read_pass(reading, object);
	}
}

static void
read_quantity(Reading *reading, char *name, const JsonbValue *value)
{
	if (value->type != jbvNumeric || cl_numeric_is_zero(value->val.numeric))
		return;
	check_quantity(name, value->val.numeric);
	add_other(reading->usage, name, value->val.numeric);
}

/*
 * Server tools are meters of their own, billed beside the tokens.
 */
static void
read_quantities(Reading *reading, JsonbContainer *object)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	value;
	JsonbIteratorToken token;
	char	   *name = NULL;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
		{
			/* A tool that takes the name of something else would be that. */
			if (names_tokens(name, strlen(name)) || is_provider_word(name) ||
				strcmp(name, "requests") == 0)
				reading->is_unexplained = true;
			else
				read_quantity(reading, name, &value);
		}
	}
}

static void
read_value(Reading *reading, const Rule *rule, const JsonbValue *value)
{
	JsonbContainer *object;

	if (value->type == jbvNull)
		return;
	switch (rule->kind)
	{
		case RULE_COUNT:
			set_tokens(reading, rule->meter, count_of(rule->key, value));
			break;
		case RULE_EXTRA_INPUT:
			reading->extra_input = count_of(rule->key, value);
			break;
		case RULE_WRITTEN_5M:
			reading->written_5m = count_of(rule->key, value);
			reading->has_lifetimes = true;
			break;
		case RULE_TEXT:
			reading->text[rule->meter] = count_of(rule->key, value);
			/* Some send a breakdown of zeroes. */
			reading->is_divided[rule->meter] |= reading->text[rule->meter] > 0;
			break;
		case RULE_TOTAL:
			reading->total = count_of(rule->key, value);
			reading->has_total = true;
			break;
		case RULE_MODALITIES:
		case RULE_LIFETIMES:
		case RULE_ITERATIONS:
			read_array(reading, rule, value);
			break;
		case RULE_QUANTITY:
			read_quantity(reading, unconstify(char *, rule->name), value);
			break;
		case RULE_OBJECT:
		case RULE_QUANTITIES:
			object = object_of(value);
			if (object == NULL)
				reading->is_unexplained = true;
			else if (rule->kind == RULE_OBJECT)
				read_object(reading, object, rule->rules);
			else
				read_quantities(reading, object);
			break;
		case RULE_TIER:
			read_tier(reading->usage, value);
			break;
		case RULE_REGION:
			if (value->type == jbvString && value->val.string.len > 0 &&
				!string_is(value, "global") && !string_is(value, "not_available"))
				reading->usage->region = pnstrdup(value->val.string.val,
												  value->val.string.len);
			break;
		case RULE_COST:
		case RULE_TOTAL_COST:
			if (value->type == jbvNumeric && !cl_numeric_is_negative(value->val.numeric) &&
				cl_is_money(value->val.numeric))
				reading->cost = value->val.numeric;
			reading->is_cost_clear |= rule->kind == RULE_TOTAL_COST;
			break;
		case RULE_BYOK:
			if (value->type == jbvBool && !value->val.boolean)
				reading->is_cost_clear = true;
			else
				reading->is_byok = true;
			break;
		case RULE_KNOWN:
			break;
	}
}

static void
read_object(Reading *reading, JsonbContainer *object, const Rule *rules)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	value;
	JsonbIteratorToken token;
	const Rule *rule = NULL;
	bool		is_unknown_count = false;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			rule = find_rule(rules, value.val.string.val, value.val.string.len);
			is_unknown_count = rule == NULL &&
				names_tokens(value.val.string.val, value.val.string.len);
		}
		else if (token != WJB_VALUE)
			continue;
		else if (rule)
			read_value(reading, rule, &value);
		else if (is_unknown_count && value.type == jbvNumeric &&
				 !cl_numeric_is_zero(value.val.numeric))
			reading->is_unexplained = true;
	}
}

/*
 * Where a whole was divided by modality, the parts should add up to it.  What
 * they leave is priced as the whole.
 */
static void
check_division(Reading *reading, int whole, int64 count)
{
	int64		sum = reading->text[whole];
	int			first = first_modality(whole);

	if (!reading->is_divided[whole])
		return;
	for (int i = first; i < first + 3; i++)
		sum += reading->usage->tokens[i];
	if (sum != count)
		reading->is_unexplained = true;
}

/*
 * Turns what was read into the ledger's convention: totals that hold all
 * their parts.
 */
static void
finish(Reading *reading)
{
	Usage	   *usage = reading->usage;
	int64	   *tokens = usage->tokens;
	int			on_top = formats[reading->format].on_top;

	check_division(reading, METER_INPUT, tokens[METER_INPUT] + reading->extra_input);
	check_division(reading, METER_CACHE_READ, tokens[METER_CACHE_READ]);
	check_division(reading, METER_OUTPUT, tokens[METER_OUTPUT]);

	if (reading->extra_input > 0)
		add_tokens(usage, METER_INPUT, reading->extra_input);

	/* Writes are for 5 minutes, the default, unless said otherwise. */
	if (reading->has_lifetimes || usage->given[METER_CACHE_WRITE_1H])
	{
		int64		told = reading->written_5m + tokens[METER_CACHE_WRITE_1H];

		set_tokens(reading, METER_CACHE_WRITE, told);
		tokens[METER_CACHE_WRITE] -= tokens[METER_CACHE_WRITE_1H];
	}

	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if ((on_top & ON_TOP(i)) && usage->given[i])
			add_tokens(usage, cl_token_meters[i].total, tokens[i]);
	}

	if (reading->has_total)
	{
		int64		rest = reading->total - tokens[METER_INPUT] - tokens[METER_OUTPUT];

		/* A total with the reasoning added says that it is not in the output. */
		if (rest > 0 && rest == tokens[METER_REASONING] &&
			!(on_top & ON_TOP(METER_REASONING)))
			add_tokens(usage, METER_OUTPUT, rest);
		else if (rest != 0)
			reading->is_unexplained = true;
	}

	if (reading->least_pass > 0)
		note_pass(reading, tokens[METER_INPUT]);
	usage->least_pass = reading->least_pass;
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (reading->passes[i] > 0)
			add_tokens(usage, i, reading->passes[i]);
	}
}

/*
 * The format of an object, by the keys that only it has.  The common ones are
 * told with few looks.
 */
static int
detect_format(JsonbContainer *object)
{
	JsonbContainer *details;
	bool		has_counts;

	if (has_key(object, "prompt_tokens") || has_key(object, "completion_tokens"))
		return has_key(object, "citation_tokens") || has_key(object, "num_search_queries") ?
			FORMAT_PERPLEXITY : FORMAT_OPENAI_CHAT;

	has_counts = has_key(object, "input_tokens") || has_key(object, "output_tokens");
	if (has_counts)
	{
		if (has_key(object, "cache_read_input_tokens") ||
			has_key(object, "cache_creation_input_tokens") ||
			has_key(object, "cache_creation"))
			return FORMAT_ANTHROPIC;
		if (has_key(object, "total_tokens") ||
			has_key(object, "input_tokens_details") ||
			has_key(object, "input_token_details"))
			return FORMAT_OPENAI_RESPONSES;
		details = child_object(object, "output_tokens_details");
		if (details)
			return has_key(details, "thinking_tokens") ?
				FORMAT_ANTHROPIC : FORMAT_OPENAI_RESPONSES;
	}
	if (has_key(object, "cache_read_tokens") ||
		has_key(object, "cache_write_tokens") ||
		has_key(object, "cache_write_1h_tokens") ||
		has_key(object, "reasoning_tokens"))
		return FORMAT_COST_LEDGER;
	if (has_counts)
		return FORMAT_ANTHROPIC;

	if (has_key(object, "promptTokenCount") || has_key(object, "totalTokenCount") ||
		has_key(object, "prompt_token_count") || has_key(object, "total_token_count"))
		return FORMAT_GEMINI;
	if (has_key(object, "inputTokens") || has_key(object, "outputTokens") ||
		has_key(object, "inputTextTokenCount"))
		return FORMAT_BEDROCK_CONVERSE;
	if (has_key(object, "billed_units"))
		return FORMAT_COHERE;
	if (child_object(object, "tokens"))
		return FORMAT_COHERE_TOKENS;
	if (has_key(object, "gen_ai.usage.input_tokens") ||
		has_key(object, "gen_ai.usage.output_tokens") ||
		has_key(object, "gen_ai.usage.prompt_tokens") ||
		has_key(object, "gen_ai.usage.completion_tokens") ||
		child_object(object, "gen_ai"))
		return FORMAT_OPENTELEMETRY;
	if (has_key(object, "seconds"))
		return FORMAT_OPENAI_RESPONSES;
	return FORMAT_UNKNOWN;
}

/*
 * Finds the usage object in what may be a whole response, or an event of a
 * stream with one; returns its format.
 */
static int
find_usage(JsonbContainer **object, Usage *usage)
{
	static const char *const outer[] = {"response", "message", "x_groq"};
	static const char *const inner[] = {
		"usage", "usageMetadata", "usage_metadata", "meta", "attributes"
	};
	JsonbContainer *found = child_object(*object, "usage");
	JsonbValue	buffer;
	JsonbValue *tier;

	if (found == NULL)
	{
		int			format = detect_format(*object);

		if (format != FORMAT_UNKNOWN)
			return format;
		for (int i = 0; i < (int) lengthof(outer) && found == NULL; i++)
			found = child_object(*object, outer[i]);
		if (found)
			*object = found;
		found = NULL;
		for (int i = 0; i < (int) lengthof(inner) && found == NULL; i++)
			found = child_object(*object, inner[i]);
		if (found == NULL)
			return FORMAT_UNKNOWN;
	}

	tier = getKeyJsonValueFromContainer(*object, "service_tier", 12, &buffer);
	if (tier == NULL)
		tier = getKeyJsonValueFromContainer(*object, "serviceTier", 11, &buffer);
	if (tier)
		read_tier(usage, tier);
	*object = found;
	return detect_format(found);
}

/*
 * The names of all formats, for hints.
 */
static char *
known_formats(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < NUM_FORMATS; i++)
		appendStringInfo(&names, "%s%s", formats[i].name,
						 i < NUM_FORMATS - 2 ? ", " : i == NUM_FORMATS - 2 ? " and " : "");
	return names.data;
}

static int
format_by_name(const char *name)
{
	for (int i = 0; i < NUM_FORMATS; i++)
	{
		if (strcmp(formats[i].name, name) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown usage format \"%s\"", name),
			 errhint("Known formats are %s.", known_formats())));
	return FORMAT_UNKNOWN;		/* not reached */
}

static bool
provider_is(const char *provider, int len, const char *word)
{
	return (int) strlen(word) == len && memcmp(provider, word, len) == 0;
}

/*
 * Reads a provider's usage object, or a whole response with one inside.  The
 * format is told by its shape, and by the provider where that is not enough,
 * when none is named.  False when the shape is unknown or the counts
 * contradict each other: then the call is recorded and not priced.
 */
bool
cl_usage_normalize(Jsonb *raw, const char *format_name,
				   const char *provider, int provider_len, Usage *usage)
{
	JsonbContainer *object = &raw->root;
	Reading		reading;
	int			format;
	int			bad;

	memset(usage, 0, sizeof(Usage));
	if (!JB_ROOT_IS_OBJECT(raw))
		return false;

	format = find_usage(&object, usage);
	if (format_name)
		format = format_by_name(format_name);
	else
	{
		for (int i = 0; i < (int) lengthof(dialects); i++)
		{
			if ((int) dialects[i].shape == format &&
				provider_is(provider, provider_len, dialects[i].provider))
			{
				format = dialects[i].format;
				break;
			}
		}
		if (format == FORMAT_UNKNOWN)
			return false;
	}

	if (format == FORMAT_COST_LEDGER)
		read_meters(object, true, usage);
	else
	{
		memset(&reading, 0, sizeof(reading));
		reading.usage = usage;
		reading.format = format;
		read_object(&reading, object, formats[format].rules);
		finish(&reading);
		if (reading.is_unexplained)
			usage->status = "unexplained";
		if (!reading.is_byok &&
			(reading.is_cost_clear || provider_is(provider, provider_len, "openrouter")))
			usage->reported_cost = reading.cost;
	}

	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (usage->given[i])
			check_count(cl_token_meters[i].name, usage->tokens[i]);
	}
	if (!split_tokens(usage, &bad))
		return false;
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

/*
 * The usage object of an SQL call; format and provider may be NULL.
 */
static bool
normalize_arguments(FunctionCallInfo fcinfo, Usage *usage)
{
	text	   *provider = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);

	return cl_usage_normalize(PG_GETARG_JSONB_P(0),
							  PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
							  provider ? VARDATA_ANY(provider) : "",
							  provider ? VARSIZE_ANY_EXHDR(provider) : 0,
							  usage);
}

PG_FUNCTION_INFO_V1(cl_normalize_usage);

/*
 * normalize_usage(usage jsonb, format text, provider text) → jsonb
 */
Datum
cl_normalize_usage(PG_FUNCTION_ARGS)
{
	Usage		usage;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (!normalize_arguments(fcinfo, &usage))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("usage object is of no known shape, or its counts contradict each other"),
				 errhint("Known formats are %s; a subset must not exceed its total.",
						 known_formats())));
	PG_RETURN_JSONB_P(cl_usage_to_jsonb(&usage, false));
}

PG_FUNCTION_INFO_V1(cl_usage_status);

/*
 * usage_status(usage jsonb, format text, provider text) → text
 */
Datum
cl_usage_status(PG_FUNCTION_ARGS)
{
	Usage		usage;
	const char *status = "unrecognized";

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (normalize_arguments(fcinfo, &usage))
		status = usage.status ? usage.status : "final";
	PG_RETURN_TEXT_P(cstring_to_text(status));
}
