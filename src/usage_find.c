/*-------------------------------------------------------------------------
 * usage_find.c
 *	  Where the usage object is in what was sent, and of which format.
 *
 * People send the object alone, the response with it, an event of a stream, a
 * line of a batch, a span.  A format is told by the keys that only it has; the
 * common ones with few looks, the others by a list in which the more special
 * comes first.  Where two providers mean different things by the same keys, the
 * call's provider tells.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include <ctype.h>

#include "json_keys.h"
#include "usage_find.h"

/* How deep a response may be wrapped. */
#define MAX_WRAPPERS 4

/* What tells a format. */
typedef struct Clue
{
	const char *key;			/* that the object has */
	const char *also;			/* and this one, too */
	const char *within;			/* as an object, or its list's first, that has this one,
								 * or any */
	bool		is_number;
	bool		is_list;
	Format		format;
} Clue;

#define HAS(key, format)			{key, NULL, NULL, false, false, format}
#define BOTH(key, also, format)		{key, also, NULL, false, false, format}
#define WITHIN(key, within, format) {key, NULL, within, false, false, format}
#define NUMBER(key, format)			{key, NULL, NULL, true, false, format}
#define NUMBERS(key, also, format)	{key, also, NULL, true, false, format}
#define LIST(key, format)			{key, NULL, NULL, false, true, format}

static const Clue clues[] = {
	HAS("promptTokenCount", FORMAT_GEMINI), /* of .NET, too */
	WITHIN("outputTokens", "total", FORMAT_AI_SDK_6_MODEL),
	HAS("inputTokens", FORMAT_BEDROCK_CONVERSE),
	HAS("outputTokens", FORMAT_BEDROCK_CONVERSE),
	BOTH("inputTokenCount", "invocationLatency", FORMAT_BEDROCK_INVOKE),
	BOTH("inputTokenCount", "firstByteLatency", FORMAT_BEDROCK_INVOKE),
	BOTH("inputTokenCount", "cacheReadInputTokenCount", FORMAT_BEDROCK_INVOKE),
	BOTH("inputTokenCount", "cacheWriteInputTokenCount", FORMAT_BEDROCK_INVOKE),
	HAS("inputTokenCount", FORMAT_MICROSOFT),
	HAS("outputTokenCount", FORMAT_MICROSOFT),
	HAS("inputTextTokenCount", FORMAT_BEDROCK_INVOKE),
	HAS("totalOutputTextTokenCount", FORMAT_BEDROCK_INVOKE),
	HAS("generation_token_count", FORMAT_BEDROCK_INVOKE),
	HAS("x-amzn-bedrock-input-token-count", FORMAT_BEDROCK_INVOKE),
	WITHIN("input", "inputTokenCount", FORMAT_BEDROCK_INVOKE),
	HAS("completion_token_count", FORMAT_LLAMAINDEX),
	HAS("prompt_llm_token_count", FORMAT_LLAMAINDEX),
	HAS("input_token_count", FORMAT_TOKEN_COUNTS),
	HAS("prompt_token_count", FORMAT_GEMINI),
	HAS("total_token_count", FORMAT_GEMINI),
	HAS("totalTokenCount", FORMAT_GEMINI),
	HAS("total_input_tokens", FORMAT_GEMINI_INTERACTIONS),
	HAS("total_output_tokens", FORMAT_GEMINI_INTERACTIONS),
	WITHIN("promptTokensDetails", "cachedTokens", FORMAT_OPENROUTER_SDK),
	WITHIN("completionTokensDetails", "reasoningTokens", FORMAT_OPENROUTER_SDK),
	HAS("promptTokens", FORMAT_AI_SDK_4),
	HAS("completionTokens", FORMAT_AI_SDK_4),
	HAS("native_tokens_prompt", FORMAT_OPENROUTER_GENERATION),
	WITHIN("billed_units", "", FORMAT_COHERE),
	WITHIN("tokens", "input", FORMAT_OPENCODE),
	WITHIN("tokens", "input_tokens", FORMAT_COHERE_TOKENS),
	WITHIN("tokens", "output_tokens", FORMAT_COHERE_TOKENS),
	HAS("pages_processed", FORMAT_OCR),
	NUMBERS("num_pages", "credits", FORMAT_OCR),
	HAS("prompt_eval_count", FORMAT_OLLAMA),
	HAS("eval_count", FORMAT_OLLAMA),
	HAS("request_tokens", FORMAT_PYDANTIC_AI),
	HAS("response_tokens", FORMAT_PYDANTIC_AI),
	WITHIN("gen_ai", "usage", FORMAT_OPENTELEMETRY),
	WITHIN("llm", "token_count", FORMAT_OPENINFERENCE),
	WITHIN("llm", "usage", FORMAT_OPENTELEMETRY),
	NUMBERS("input", "output", FORMAT_LANGFUSE),
	NUMBERS("input", "total", FORMAT_LANGFUSE),
	NUMBER("generated_tokens", FORMAT_TGI),
	BOTH("seconds", "size", FORMAT_VIDEO),
	HAS("seconds", FORMAT_TRANSCRIPTION),
	NUMBER("audio_duration", FORMAT_TRANSCRIPTION),
	BOTH("duration", "task", FORMAT_TRANSCRIPTION),
	BOTH("duration", "channels", FORMAT_TRANSCRIPTION),
	NUMBER("duration_seconds", FORMAT_VIDEO),
	NUMBER("tokens", FORMAT_AI_SDK_EMBEDDING),
	WITHIN("data", "b64_json", FORMAT_IMAGES),
	{"data", "created", "url", false, false, FORMAT_IMAGES},
	{"data", "object", "url", false, false, FORMAT_IMAGES},
	WITHIN("predictions", "mimeType", FORMAT_IMAGES),
	LIST("images", FORMAT_IMAGES),
};

/* Providers that send a known shape and mean something else by it. */
static const struct
{
	const char *provider;
	int			shape;
	Format		format;
}			dialects[] =
{
	{"xai", FORMAT_OPENAI_CHAT, FORMAT_XAI},
	{"x-ai", FORMAT_OPENAI_CHAT, FORMAT_XAI},
	{"x_ai", FORMAT_OPENAI_CHAT, FORMAT_XAI},
	{"perplexity", FORMAT_OPENAI_CHAT, FORMAT_PERPLEXITY},
	{"voyage", FORMAT_UNKNOWN, FORMAT_VOYAGE},
	{"jina", FORMAT_UNKNOWN, FORMAT_JINA},
};

/* Flat attributes of a span. */
static const char *const attribute_prefixes[] = {
	"gen_ai.usage.", "llm.token_count.", "llm.usage.", "ai.usage."
};

/* Meters without a column that a format of ours is told by; others begin so. */
static const char *const own_meters[] = {
	"input_seconds", "output_seconds", "input_audio_seconds", "input_video_seconds",
	"input_characters", "output_characters", "input_images", "output_images",
	"input_pixels", "output_pixels", "pages", "annotation_pages", "credits",
	"search_units", "web_search_requests", "citation_tokens", "requests",
	"google_maps_grounding_requests", "code_interpreter_sessions",
	"file_search_calls", "file_search_gb_days", "vector_store_gb_days",
	"computer_use_input_tokens", "computer_use_output_tokens"
};

/*
 * Whether a provider's name, or a word in it, begins so, in capitals or not.
 */
bool
cl_provider_begins(const char *provider, int len, const char *word)
{
	int			word_len = strlen(word);

	for (int i = 0; i + word_len <= len; i++)
	{
		if ((i == 0 || !isalnum((unsigned char) provider[i - 1])) &&
			pg_strncasecmp(provider + i, word, word_len) == 0)
			return true;
	}
	return false;
}

/*
 * A value of a key, also of one written as .NET writes them.
 */
static JsonbValue *
clue_value(JsonbContainer *object, const char *key, bool in_capitals, JsonbValue *buffer)
{
	char		capital[64];

	if (!in_capitals)
		return json_value(object, key, buffer);
	strlcpy(capital, key, sizeof(capital));
	capital[0] = pg_toupper((unsigned char) capital[0]);
	return json_value(object, capital, buffer);
}

/*
 * The object that a value is, or that its list begins with.
 */
static JsonbContainer *
first_object(const JsonbValue *value)
{
	JsonbContainer *array = json_array_of(value);

	if (array)
		return json_object_of(getIthJsonbValueFromContainer(array, 0));
	return json_object_of(value);
}

static bool
fits(JsonbContainer *object, const Clue *clue, bool in_capitals)
{
	JsonbValue	buffer;
	JsonbValue *value = clue_value(object, clue->key, in_capitals, &buffer);
	JsonbContainer *inner;

	if (value == NULL || (clue->is_number && value->type != jbvNumeric) ||
		(clue->is_list && value->type != jbvBinary))
		return false;
	if (clue->within)
	{
		inner = first_object(value);
		if (inner == NULL || (*clue->within != '\0' &&
							  !clue_value(inner, clue->within, in_capitals, &buffer)))
			return false;
	}
	else if (value->type == jbvBinary && !(clue->is_list && json_array_of(value)))
		return false;
	return clue->also == NULL || clue_value(object, clue->also, in_capitals, &buffer);
}

static bool
begins_with(const JsonbValue *key, const char *prefix)
{
	int			len = strlen(prefix);

	return key->type == jbvString && key->val.string.len >= len &&
		memcmp(key->val.string.val, prefix, len) == 0;
}

static bool
is_attribute(const JsonbValue *key)
{
	for (int i = 0; i < (int) lengthof(attribute_prefixes); i++)
	{
		if (begins_with(key, attribute_prefixes[i]))
			return true;
	}
	return false;
}

static bool
is_own_meter(const JsonbValue *key)
{
	int			meter = cl_token_meter_by_name(key->val.string.val, key->val.string.len);

	if (meter >= 0)
		return meter != METER_INPUT && meter != METER_OUTPUT;
	for (int i = 0; i < (int) lengthof(own_meters); i++)
	{
		if (begins_with(key, own_meters[i]))
			return true;
	}
	return false;
}

/*
 * The format that some key of the object tells by its name: a span's
 * attribute, or a meter of ours.  Also whether keys are in capitals.
 */
static int
format_of_keys(JsonbContainer *object, bool *in_capitals)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;
	int			format = FORMAT_UNKNOWN;

	*in_capitals = false;
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		if (key.val.string.len > 0 && isupper((unsigned char) key.val.string.val[0]))
			*in_capitals = true;
		if (is_attribute(&key))
			return FORMAT_OPENTELEMETRY;
		if (value.type == jbvNumeric && is_own_meter(&key))
			format = FORMAT_COST_LEDGER;
	}
	return format;
}

/*
 * OpenAI's Images endpoint divides its input only, into pictures and text;
 * responses always divide both.
 */
static int
format_of_divided_input(JsonbContainer *object)
{
	JsonbContainer *details;

	if (has_json_key(object, "output_tokens_details"))
		return FORMAT_OPENAI_RESPONSES;
	details = json_child(object, "input_tokens_details");
	return details && has_json_key(details, "image_tokens") &&
		!has_json_key(details, "cached_tokens") ?
		FORMAT_OPENAI_IMAGES : FORMAT_OPENAI_RESPONSES;
}

/*
 * The format of an object that counts input and output.
 */
static int
format_of_input_output(JsonbContainer *object)
{
	JsonbContainer *details;
	bool		in_capitals;

	if (has_json_key(object, "cache_read_input_tokens") ||
		has_json_key(object, "cache_creation_input_tokens") ||
		has_json_key(object, "cache_creation"))
		return FORMAT_ANTHROPIC;
	if (has_json_key(object, "input_tokens_details"))
		return format_of_divided_input(object);
	if (has_json_key(object, "details") ||
		(has_json_key(object, "requests") && has_json_key(object, "tool_calls")))
		return FORMAT_PYDANTIC_AI;
	if (has_json_key(object, "cache_read_tokens") || has_json_key(object, "cache_write_tokens"))
		return has_json_key(object, "total_tokens") ? FORMAT_AGNO : FORMAT_COST_LEDGER;
	if (has_json_key(object, "total_tokens") ||
		has_json_key(object, "input_token_details") ||
		has_json_key(object, "output_token_details") ||
		has_json_key(object, "cached_input_tokens") ||
		has_json_key(object, "reasoning_output_tokens"))
		return FORMAT_OPENAI_RESPONSES;
	details = json_child(object, "output_tokens_details");
	if (details)
		return has_json_key(details, "thinking_tokens") ?
			FORMAT_ANTHROPIC : FORMAT_OPENAI_RESPONSES;
	if (format_of_keys(object, &in_capitals) == FORMAT_COST_LEDGER)
		return FORMAT_COST_LEDGER;
	return FORMAT_ANTHROPIC;
}

/*
 * The format of an object that has inputTokens: Bedrock's, or a version of the
 * AI SDK.
 */
static int
format_of_camel(JsonbContainer *object, const JsonbValue *input)
{
	if (input->type == jbvBinary)
		return FORMAT_AI_SDK_6_MODEL;
	if (has_json_key(object, "inputTokenDetails") || has_json_key(object, "outputTokenDetails"))
		return FORMAT_AI_SDK_6;
	if (has_json_key(object, "cachedInputTokens") || has_json_key(object, "reasoningTokens"))
		return FORMAT_AI_SDK_5;
	return FORMAT_BEDROCK_CONVERSE;
}

/*
 * The format of an object, by the keys that only it has.
 */
static int
detect_format(JsonbContainer *object)
{
	JsonbValue	buffer;
	JsonbValue *input;
	bool		in_capitals;
	int			format;

	if (has_json_key(object, "prompt_tokens") || has_json_key(object, "completion_tokens"))
		return FORMAT_OPENAI_CHAT;
	if (has_json_key(object, "input_tokens") || has_json_key(object, "output_tokens"))
		return format_of_input_output(object);
	if (has_json_key(object, "promptTokenCount"))
		return FORMAT_GEMINI;
	input = json_value(object, "inputTokens", &buffer);
	if (input)
		return format_of_camel(object, input);
	for (int i = 0; i < (int) lengthof(clues); i++)
	{
		if (fits(object, &clues[i], false))
			return clues[i].format;
	}
	format = format_of_keys(object, &in_capitals);
	for (int i = 0; in_capitals && format == FORMAT_UNKNOWN && i < (int) lengthof(clues); i++)
	{
		if (fits(object, &clues[i], true))
			return clues[i].format;
	}
	return format;
}

/*
 * Whether OTLP's list of attributes has any of usage.
 */
static bool
has_attributes(JsonbContainer *list)
{
	JsonbIterator *it = JsonbIteratorInit(list);
	JsonbValue	element;

	while (json_next_element(&it, &element))
	{
		JsonbContainer *object = json_object_of(&element);
		JsonbValue	buffer;
		JsonbValue *key = object ? json_value(object, "key", &buffer) : NULL;

		if (key && is_attribute(key))
			return true;
	}
	return false;
}

static JsonbContainer *
first_child(JsonbContainer *object, const char *const *keys, int nkeys)
{
	for (int i = 0; i < nkeys; i++)
	{
		JsonbContainer *child = json_child(object, keys[i]);

		if (child)
			return child;
	}
	return NULL;
}

/*
 * Takes an object for the usage, if it is one.
 */
static bool
take(FoundUsage *found, JsonbContainer *usage, JsonbContainer *response)
{
	int			format = usage ? detect_format(usage) : FORMAT_UNKNOWN;

	/* Embeddings' only count is enough for providers who say so. */
	if (usage && (format != FORMAT_UNKNOWN ||
				  (found->usage == NULL && has_json_key(usage, "total_tokens"))))
	{
		found->usage = usage;
		found->response = response;
		found->format = format;
	}
	return format != FORMAT_UNKNOWN;
}

/*
 * Looks for usage in an object, beside what is told by its own keys, and then
 * in what wraps a response.  Returns where to go on, or NULL.
 */
static JsonbContainer *
look_around(FoundUsage *found, JsonbContainer *at)
{
	static const char *const inner[] = {
		"usageMetadata", "usage_metadata", "usage_info", "usageDetails", "usage_details",
		"amazon-bedrock-invocationMetrics", "token_usage", "tokenUsage", "usage_object"
	};
	static const char *const wrappers[] = {
		"response", "message", "x_groq", "meta", "metadata", "attributes",
		"response_metadata", "body", "result", "interaction", "kwargs", "data", "details",
		"metrics"
	};
	JsonbContainer *usage = first_child(at, inner, lengthof(inner));
	JsonbValue	buffer;
	JsonbContainer *list;

	if (take(found, usage, at))
		return NULL;
	list = json_array_of(json_value(at, "attributes", &buffer));
	if (list && has_attributes(list))
	{
		found->usage = list;
		found->format = FORMAT_OPENTELEMETRY;
		return NULL;
	}
	return usage ? usage : first_child(at, wrappers, lengthof(wrappers));
}

/*
 * The format of a provider's own, where it means something else by a shape.
 */
static int
dialect(int shape, const char *provider, int len)
{
	for (int i = 0; i < (int) lengthof(dialects); i++)
	{
		if (dialects[i].shape == shape &&
			cl_provider_begins(provider, len, dialects[i].provider))
			return dialects[i].format;
	}
	return shape;
}

/*
 * Finds the usage object in what may be a whole response, or an event of a
 * stream with one.  Where there is none, the format is unknown and the usage
 * is what was sent.
 */
FoundUsage
cl_find_usage(JsonbContainer *root, const char *provider, int len)
{
	FoundUsage	found = {NULL, NULL, FORMAT_UNKNOWN, false};
	JsonbContainer *at = root;
	JsonbValue	buffer;

	for (int i = 0; i < MAX_WRAPPERS && at; i++)
	{
		JsonbContainer *usage = json_child(at, "usage");

		/* Langfuse keeps an older form of the same beside it. */
		if (usage && json_child(at, "usageDetails"))
			usage = json_child(at, "usageDetails");
		if (take(&found, usage, at) || take(&found, at, NULL))
			break;
		at = usage ? usage : look_around(&found, at);
	}
	found.is_unfinished = found.response &&
		json_is_word(json_value(root, "type", &buffer), "message_start");
	if (found.usage == NULL)
		found.usage = root;
	else
		found.format = dialect(found.format, provider, len);
	/* The AI SDK leaves out what is undefined, and then has Bedrock's words. */
	if (found.format == FORMAT_BEDROCK_CONVERSE && found.response &&
		has_json_key(found.response, "providerMetadata"))
		found.format = FORMAT_AI_SDK_5;
	return found;
}
