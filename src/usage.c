/*-------------------------------------------------------------------------
 * usage.c
 *	  What a call consumed, in the ledger's own convention.
 *
 * A specific count is a part of the general one, and every token is priced
 * once: so every count is in range, and no parts exceed their total.  Who sends
 * counts in this convention means them: what is none is refused.  What providers
 * and libraries report comes by usage_read.c.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "fmgr.h"
#include "money.h"
#include "usage.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

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

int
cl_token_meter_by_name(const char *name, int len)
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
bool
cl_usage_divide(Usage *usage, int *bad)
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

	if (!cl_usage_divide(usage, &bad))
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

/*
 * From 0 to 10^12, with as many decimals as matter.
 */
bool
cl_is_quantity(Numeric quantity)
{
	Fixed		fixed;
	Fixed		limit = {MAX_QUANTITY, 0};

	if (!cl_fixed_from_numeric(quantity, &fixed) || fixed.mantissa < 0)
		return false;
	return !cl_fixed_rescale(&limit, fixed.scale) || fixed.mantissa <= limit.mantissa;
}

static void
check_quantity(const char *name, Numeric quantity)
{
	if (!cl_is_quantity(quantity))
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

void
cl_usage_add_meter(Usage *usage, const char *name, Numeric quantity)
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

bool
cl_is_provider_word(const char *name)
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
		meter = cl_token_meter_by_name(key, data + key_offset - key);
		name = meter >= 0 ? cl_token_meters[meter].name :
			pnstrdup(key, data + key_offset - key);
		if (meter < 0 && cl_is_provider_word(name))
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
			cl_usage_add_meter(usage, name, number);
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

