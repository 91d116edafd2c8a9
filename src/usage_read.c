/*-------------------------------------------------------------------------
 * usage_read.c
 *	  Usage objects of providers and libraries, read into the ledger's
 *	  convention.
 *
 * A call is a fact and recorded in any case, so nothing here is an error.  What
 * cannot be explained flags the row as unexplained, and is priced inside its
 * total: counts that do not add up, and any number that no rule reads.  Where a
 * total is no count, or its parts exceed it, nothing is known that could be
 * priced: the usage is unrecognized.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "fmgr.h"
#include "json_keys.h"
#include "miscadmin.h"
#include "money.h"
#include "usage_find.h"
#include "usage_read.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/formatting.h"

/* Digits of a count, or of a quantity with its decimals, that is sent as text. */
#define MAX_NUMBER_LEN 40

/* The longest word for a size. */
#define MAX_SIZE_LEN 20

/* Meters without a column, of a call. */
#define MAX_METERS 100

/* A usage object while it is read. */
typedef struct Reading
{
	Usage	   *usage;
	Format		format;
	int			dialect;		/* that keys say it is, or unknown */
	int			on_top;			/* of their totals, as far as is known */
	int			either;			/* or are they inside: their sizes will tell */
	int64		extra_input;
	int64		tool_input;
	int64		written_5m;
	int64		written;
	int64		total;
	bool		has_writes;
	bool		has_lifetimes;
	bool		has_total;
	/* Of the wholes that are divided by modality: what is text. */
	bool		is_divided[NUM_TOKEN_COLUMNS];
	int64		text[NUM_TOKEN_COLUMNS];
	/* Compaction: passes that the counts of the response leave out. */
	int64		passes[NUM_TOKEN_METERS];
	int64		least_pass;		/* input of the smallest pass that is told of */
	const char *search_context;
	bool		is_search_once; /* however many searches: billed for the prompt */
	Numeric		cost;
	bool		is_cost_clear;	/* what the account pays, in dollars */
	bool		is_byok;
	bool		is_unexplained;
	bool		is_unreadable;
} Reading;

static void read_object(Reading *reading, JsonbContainer *object, const Rule *rules);
static void finish(Reading *reading);

/*
 * Digits, as protobuf's JSON has them for its longer integers, with decimals
 * perhaps; NULL where a value is no number.
 */
static Numeric
number_of(const JsonbValue *value)
{
	char		digits[MAX_NUMBER_LEN + 1];
	int			len = value->type == jbvString ? value->val.string.len : 0;

	if (value->type == jbvNumeric)
		return value->val.numeric;
	if (len == 0 || len > MAX_NUMBER_LEN)
		return NULL;
	memcpy(digits, value->val.string.val, len);
	digits[len] = '\0';
	if ((int) strspn(digits, "0123456789.") != len || digits[0] == '.' ||
		digits[len - 1] == '.' || strchr(digits, '.') != strrchr(digits, '.'))
		return NULL;
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(digits),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/*
 * A count of tokens.  False where it is none: negative, with a fraction, above
 * 10^12, or no number.
 */
static bool
count_of(const JsonbValue *value, int64 *count)
{
	Numeric		number = number_of(value);

	return number && cl_numeric_to_int64(number, count) &&
		*count >= 0 && *count <= MAX_QUANTITY;
}

/*
 * The same, where it is but a part, or a check.
 */
static int64
count_or_flag(Reading *reading, const JsonbValue *value)
{
	int64		count;

	if (count_of(value, &count))
		return count;
	reading->is_unexplained = true;
	return 0;
}

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
add_count(Reading *reading, int64 *sum, int64 count)
{
	if (count > MAX_QUANTITY - *sum)
		reading->is_unreadable = true;
	else
		*sum += count;
}

static void
add_tokens(Reading *reading, int meter, int64 count)
{
	if (count == 0 && meter >= NUM_TOKEN_COLUMNS)
		return;
	add_count(reading, &reading->usage->tokens[meter], count);
	reading->usage->given[meter] = true;
}

/*
 * A count without which nothing is known makes the object unreadable; one of
 * what lies inside another is priced there.
 */
static void
read_count(Reading *reading, const Rule *rule, const JsonbValue *value)
{
	int64		count;

	if (count_of(value, &count))
		set_tokens(reading, rule->meter, count);
	else if (cl_token_meters[rule->meter].total < 0 ||
			 ((reading->on_top | reading->either) & ON_TOP(rule->meter)))
		reading->is_unreadable = true;
	else
		reading->is_unexplained = true;
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
	if (json_is_word(modality, "TEXT"))
		return whole;
	if (json_is_word(modality, "AUDIO"))
		return first_modality(whole);
	/* Pages are seen as images. */
	if (json_is_word(modality, "IMAGE") || json_is_word(modality, "DOCUMENT"))
		return first_modality(whole) + 1;
	if (json_is_word(modality, "VIDEO"))
		return first_modality(whole) + 2;
	return -1;
}

/*
 * The ledger's name for a provider's service tier; NULL for the standard one.
 */
static const char *
class_of_tier(const char *tier, int len)
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
		if ((int) strlen(known[i].tier) == len && pg_strncasecmp(known[i].tier, tier, len) == 0)
			return known[i].class;
	}
	return asc_tolower(tier, len);
}

/*
 * The class that is meant by a word for one, also by a provider's own.
 */
const char *
cl_service_class(const char *word, int *len)
{
	static const char standard[] = "standard";
	const char *class;

	if (*len == (int) strlen(standard) && memcmp(word, standard, *len) == 0)
		return word;
	class = class_of_tier(word, *len);
	class = class ? class : standard;
	*len = strlen(class);
	return class;
}

PG_FUNCTION_INFO_V1(cl_service_class_of);

/*
 * service_class(word)
 */
Datum
cl_service_class_of(PG_FUNCTION_ARGS)
{
	text	   *word = PG_GETARG_TEXT_PP(0);
	int			len = VARSIZE_ANY_EXHDR(word);
	const char *class = cl_service_class(VARDATA_ANY(word), &len);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(class, len));
}

/*
 * A tier is a word, or an object with one under "type".
 */
static void
read_tier(Usage *usage, const JsonbValue *value)
{
	JsonbContainer *object = json_object_of(value);
	JsonbValue	buffer;
	const char *class;

	if (object)
		value = json_value(object, "type", &buffer);
	if (value == NULL || value->type != jbvString)
		return;
	class = class_of_tier(value->val.string.val, value->val.string.len);
	if (class)
		usage->service_class = class;
}

static void
read_region(Usage *usage, const JsonbValue *value)
{
	if (value->type == jbvString && value->val.string.len > 0 &&
		!json_is_word(value, "global") && !json_is_word(value, "not_available"))
		usage->region = pnstrdup(value->val.string.val, value->val.string.len);
}

/*
 * A cost is a number, or an object that only Perplexity sends.
 */
static void
read_cost(Reading *reading, const JsonbValue *value)
{
	JsonbContainer *object = json_object_of(value);
	JsonbValue	buffer;

	if (object)
	{
		value = json_value(object, "total_cost", &buffer);
		reading->is_cost_clear = true;
	}
	if (value && value->type == jbvNumeric &&
		!cl_numeric_is_negative(value->val.numeric) && cl_is_money(value->val.numeric))
		reading->cost = value->val.numeric;
}

/*
 * A meter's quantity, which may be told twice; where the two differ, the larger.
 */
static void
add_quantity(Reading *reading, const char *name, Numeric quantity)
{
	Usage	   *usage = reading->usage;

	/* Nobody sends these; rate cards have no such meters. */
	if (strlen(name) >= NAMEDATALEN || usage->nother >= MAX_METERS)
	{
		reading->is_unexplained = true;
		return;
	}
	quantity = cl_numeric_trim(quantity);
	for (int i = 0; i < usage->nother; i++)
	{
		Numeric    *before = &usage->other[i].quantity;
		int			order;

		if (strcmp(usage->other[i].name, name) != 0)
			continue;
		order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(quantity),
												  NumericGetDatum(*before)));
		reading->is_unexplained |= order != 0;
		if (order > 0)
			*before = quantity;
		return;
	}
	cl_usage_add_meter(usage, name, quantity);
}

static void
add_number(Reading *reading, const char *name, int64 number)
{
	if (number > 0)
		add_quantity(reading, name, int64_to_numeric(number));
}

static void
read_quantity(Reading *reading, const char *name, const JsonbValue *value)
{
	Numeric		quantity = number_of(value);

	if (quantity == NULL || !cl_is_quantity(quantity))
		reading->is_unexplained = true;
	else if (!cl_numeric_is_zero(quantity))
		add_quantity(reading, name, quantity);
}

/*
 * A meter by the name of its key, which must not be that of something else.
 */
static void
read_named_quantity(Reading *reading, const Rule *rule, const JsonbValue *key,
					const JsonbValue *value)
{
	Numeric		number = number_of(value);
	char	   *name;

	if (number == NULL || cl_numeric_is_zero(number))
		return;
	name = pnstrdup(key->val.string.val, key->val.string.len);
	if (cl_names_no_count(name, key->val.string.len))
		return;
	if (cl_is_provider_word(name) ||
		(rule->kind == RULE_TOOL &&
		 (cl_names_tokens(name, key->val.string.len) || strcmp(name, "requests") == 0)))
		reading->is_unexplained = true;
	else
		read_quantity(reading, name, value);
}

/*
 * One element of an array: [{"modality": "TEXT", "tokenCount": 9}].
 */
static void
read_modality(Reading *reading, const Rule *rule, JsonbContainer *element)
{
	static const char *const counts[] = {"tokenCount", "token_count", "tokens"};
	JsonbValue	modality;
	JsonbValue	buffer;
	JsonbValue *value = NULL;
	int			meter;
	int64		count;

	for (int i = 0; i < (int) lengthof(counts) && value == NULL; i++)
		value = json_value(element, counts[i], &buffer);
	if (value == NULL || value->type == jbvNull)
		return;
	count = count_or_flag(reading, value);
	reading->is_divided[rule->meter] |= count > 0;
	meter = modality_meter(rule->meter, json_value(element, "modality", &modality));
	if (meter == rule->meter)
		add_count(reading, &reading->text[meter], count);
	else if (meter >= 0)
		add_tokens(reading, meter, count);
	else if (count > 0)
		reading->is_unexplained = true;
}

/*
 * One element of an array: [{"ttl": "1h", "inputTokens": 2074}].
 */
static void
read_lifetime(Reading *reading, JsonbContainer *element)
{
	JsonbValue	buffer;
	JsonbValue *value = json_value(element, "inputTokens", &buffer);
	int64		count;

	if (value == NULL || value->type == jbvNull)
		return;
	count = count_or_flag(reading, value);
	reading->has_lifetimes = true;
	value = json_value(element, "ttl", &buffer);
	if (json_is_word(value, "1h"))
		add_tokens(reading, METER_CACHE_WRITE_1H, count);
	else
	{
		add_count(reading, &reading->written_5m, count);
		reading->is_unexplained |= !json_is_word(value, "5m");
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
	JsonbValue *type = json_value(element, "type", &buffer);
	bool		is_message = json_is_word(type, "message");
	Usage		usage;
	Reading		pass;

	if (!is_message && !json_is_word(type, "compaction"))
	{
		reading->is_unexplained = true;
		return;
	}
	memset(&usage, 0, sizeof(usage));
	memset(&pass, 0, sizeof(pass));
	pass.usage = &usage;
	pass.format = FORMAT_ANTHROPIC;
	pass.on_top = cl_formats[FORMAT_ANTHROPIC].on_top;
	read_object(&pass, element, cl_anthropic_pass_rules);
	finish(&pass);
	note_pass(reading, usage.tokens[METER_INPUT]);
	if (is_message)
		return;
	reading->is_unexplained |= pass.is_unexplained;
	reading->is_unreadable |= pass.is_unreadable;
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (usage.given[i])
			add_count(reading, &reading->passes[i], usage.tokens[i]);
	}
}

/*
 * One element of an array: [{"type": "google_search", "count": 2}].
 */
static void
read_tool_count(Reading *reading, JsonbContainer *element)
{
	JsonbValue	type;
	JsonbValue	count;
	const char *name;

	if (json_value(element, "type", &type) == NULL || type.type != jbvString ||
		json_value(element, "count", &count) == NULL)
		reading->is_unexplained = true;
	else
	{
		name = json_is_word(&type, "google_search") ? "web_search_requests" :
			json_is_word(&type, "google_maps") ? "google_maps_grounding_requests" :
			psprintf("%.*s_requests", type.val.string.len, type.val.string.val);
		read_quantity(reading, name, &count);
	}
}

static void
read_element(Reading *reading, const Rule *rule, JsonbContainer *element)
{
	switch (rule->kind)
	{
		case RULE_MODALITIES:
			read_modality(reading, rule, element);
			read_object(reading, element, cl_element_words);
			break;
		case RULE_LIFETIMES:
			read_lifetime(reading, element);
			read_object(reading, element, cl_element_words);
			break;
		case RULE_ITERATIONS:
			read_pass(reading, element);
			break;
		case RULE_TOOL_COUNTS:
			read_tool_count(reading, element);
			read_object(reading, element, cl_element_words);
			break;
		default:
			read_object(reading, element, rule->rules);
			break;
	}
}

/*
 * A list of objects.
 */
static void
read_array(Reading *reading, const Rule *rule, const JsonbValue *value)
{
	JsonbContainer *array = json_array_of(value);
	JsonbIterator *it;
	JsonbValue	element;

	if (array == NULL)
	{
		reading->is_unexplained |= JsonContainerSize(json_object_of(value)) > 0;
		return;
	}
	it = JsonbIteratorInit(array);
	while (json_next_element(&it, &element))
	{
		JsonbContainer *object;

		object = json_object_of(&element);
		if (object)
			read_element(reading, rule, object);
		else
			reading->is_unexplained = true;
	}
}

/*
 * How many of a response's items are of each kind that has a fee.
 */
typedef struct ItemCounts
{
	int64		searches;
	int64		file_searches;
	int64		containers;
	bool		has_images;
} ItemCounts;

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Texts of which only those that differ are counted. */
typedef struct TextSet
{
	char	  **texts;
	int			count;
	int			size;
} TextSet;

static void
add_text(TextSet *set, const JsonbValue *value)
{
	if (value == NULL || value->type != jbvString || value->val.string.len == 0)
		return;
	if (set->count == set->size)
	{
		set->size = Max(16, set->size * 2);
		set->texts = set->texts ? repalloc(set->texts, set->size * sizeof(char *)) :
			palloc(set->size * sizeof(char *));
	}
	set->texts[set->count++] = pnstrdup(value->val.string.val, value->val.string.len);
}

static int64
count_distinct(TextSet *set)
{
	int64		distinct = 0;

	if (set->count > 0)
		qsort(set->texts, set->count, sizeof(char *), compare_texts);
	for (int i = 0; i < set->count; i++)
	{
		if (i == 0 || strcmp(set->texts[i - 1], set->texts[i]) != 0)
			distinct++;
	}
	return distinct;
}

/*
 * One of the items that an OpenAI response consists of.  A web search is
 * billed for searching, not for opening what was found; a container for
 * itself, not for each use of it.
 */
static void
count_item(ItemCounts *counts, TextSet *containers, JsonbContainer *item)
{
	JsonbValue	buffer;
	JsonbValue *type = json_value(item, "type", &buffer);
	JsonbContainer *action;
	JsonbValue	inner;

	if (json_is_word(type, "web_search_call"))
	{
		action = json_child(item, "action");
		if (action == NULL || json_value(action, "type", &inner) == NULL ||
			json_is_word(&inner, "search"))
			counts->searches++;
	}
	else if (json_is_word(type, "file_search_call"))
		counts->file_searches++;
	else if (json_is_word(type, "code_interpreter_call"))
		add_text(containers, json_value(item, "container_id", &inner));
	else if (json_is_word(type, "image_generation_call"))
		counts->has_images = true;
}

/*
 * Pictures that a response has made on its way are billed by the tokens of
 * another model, which no usage object of this one counts.
 */
static void
read_output_items(Reading *reading, const JsonbValue *value)
{
	JsonbContainer *array = json_array_of(value);
	JsonbIterator *it;
	JsonbValue	element;
	ItemCounts	counts = {0};
	TextSet		containers = {0};

	if (array == NULL)
		return;
	it = JsonbIteratorInit(array);
	while (json_next_element(&it, &element))
	{
		if (json_object_of(&element))
			count_item(&counts, &containers, json_object_of(&element));
	}
	add_number(reading, "web_search_requests", counts.searches);
	add_number(reading, "file_search_calls", counts.file_searches);
	add_number(reading, "code_interpreter_sessions", count_distinct(&containers));
	reading->is_unexplained |= counts.has_images;
}

static void
add_texts(TextSet *set, const JsonbValue *list)
{
	JsonbContainer *array = json_array_of(list);
	JsonbIterator *it;
	JsonbValue	element;

	if (array == NULL)
		return;
	it = JsonbIteratorInit(array);
	while (json_next_element(&it, &element))
	{
		add_text(set, &element);
	}
}

/*
 * Whether an answer rests on places of a map.
 */
static bool
is_grounded_on_map(JsonbContainer *grounding)
{
	JsonbValue	buffer;
	JsonbContainer *chunks = json_array_of(json_value(grounding, "groundingChunks", &buffer));
	JsonbIterator *it;
	JsonbValue	element;

	if (chunks == NULL)
		return false;
	it = JsonbIteratorInit(chunks);
	while (json_next_element(&it, &element))
	{
		if (json_object_of(&element) &&
			json_child(json_object_of(&element), "maps"))
			return true;
	}
	return false;
}

/*
 * Gemini's answers: the same search, in several of them, is one; grounding on
 * a map is billed once for the prompt.
 */
static void
read_candidates(Reading *reading, const JsonbValue *value)
{
	JsonbContainer *array = json_array_of(value);
	JsonbIterator *it;
	JsonbValue	element;
	TextSet		queries = {0};
	bool		has_map = false;

	if (array == NULL)
		return;
	it = JsonbIteratorInit(array);
	while (json_next_element(&it, &element))
	{
		JsonbContainer *answer = json_object_of(&element);
		JsonbContainer *grounding = answer ? json_child(answer, "groundingMetadata") : NULL;
		JsonbValue	buffer;

		if (answer && grounding == NULL)
			grounding = json_child(answer, "grounding_metadata");
		if (grounding == NULL)
			continue;
		add_texts(&queries, json_value(grounding, "webSearchQueries", &buffer));
		add_texts(&queries, json_value(grounding, "web_search_queries", &buffer));
		has_map |= is_grounded_on_map(grounding);
	}
	add_number(reading, "web_search_requests",
			   reading->is_search_once ? Min(queries.count, 1) : count_distinct(&queries));
	add_number(reading, "google_maps_grounding_requests", has_map ? 1 : 0);
}

/*
 * Gemini was billed for a prompt that was grounded, before it was for searches.
 */
static void
read_model_version(Reading *reading, const JsonbValue *value)
{
	reading->is_search_once = value->type == jbvString && value->val.string.len > 9 &&
		(pg_strncasecmp(value->val.string.val, "gemini-1.", 9) == 0 ||
		 pg_strncasecmp(value->val.string.val, "gemini-2.", 9) == 0);
}

/*
 * Whether a value may count something: digits in a text are a count as well.
 */
static bool
is_number(const JsonbValue *value)
{
	Numeric		number = number_of(value);

	return number && !cl_numeric_is_zero(number);
}

/*
 * Whether an object or list has a number in it that may count something.
 */
static bool
has_number(JsonbContainer *container)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbValue	value;
	JsonbIteratorToken token;
	bool		may_count = true;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY)
			may_count = !cl_names_no_count(value.val.string.val, value.val.string.len);
		else if ((token == WJB_VALUE || token == WJB_ELEM) && may_count && is_number(&value))
			return true;
	}
	return false;
}

/*
 * What no rule reads: it may count something that costs.
 */
static void
meet_stranger(Reading *reading, const JsonbValue *key, const JsonbValue *value)
{
	if (value->type == jbvNull || value->type == jbvBool ||
		cl_names_no_count(key->val.string.val, key->val.string.len))
		return;
	reading->is_unexplained |= value->type == jbvBinary ?
		has_number(value->val.binary.data) : is_number(value);
}

static void
read_inner_object(Reading *reading, const Rule *rule, const JsonbValue *value)
{
	JsonbContainer *object = json_object_of(value);

	if (object == NULL)
	{
		if (value->type == jbvBinary)
			read_array(reading, rule, value);
		else
			reading->is_unexplained = true;
		return;
	}
	reading->on_top |= rule->meter;
	read_object(reading, object, rule->rules);
}

/*
 * Counts, wherever they belong.
 */
static void
read_tokens(Reading *reading, const Rule *rule, const JsonbValue *value)
{
	int64		count;

	switch (rule->kind)
	{
		case RULE_COUNT:
			read_count(reading, rule, value);
			return;
		case RULE_EITHER:
			reading->either |= ON_TOP(rule->meter);
			read_count(reading, rule, value);
			return;
		case RULE_TOTAL:
			reading->total = count_or_flag(reading, value);
			/* Who has not counted says 0. */
			reading->has_total = reading->total > 0;
			return;
		default:
			break;
	}

	count = count_or_flag(reading, value);
	switch (rule->kind)
	{
		case RULE_COUNT_IF_ANY:
			if (count > 0)
				set_tokens(reading, rule->meter, count);
			reading->has_writes = true;
			break;
		case RULE_WRITTEN_ON_TOP:
			if (count > 0)
				reading->on_top |= ALL_CACHE;
			set_tokens(reading, rule->meter, count);
			break;
		case RULE_ADD:
			add_tokens(reading, rule->meter, count);
			break;
		case RULE_EXTRA_INPUT:
			reading->extra_input = count;
			break;
		case RULE_TOOL_INPUT:
			reading->tool_input = count;
			break;
		case RULE_WRITTEN_5M:
			reading->written_5m = Max(reading->written_5m, count);
			reading->has_lifetimes = true;
			break;
		case RULE_WRITTEN:
			add_count(reading, &reading->written, count);
			break;
		default:					/* RULE_TEXT */
			reading->text[rule->meter] = count;
			/* Some send a breakdown of zeroes. */
			reading->is_divided[rule->meter] |= count > 0;
			break;
	}
}

/*
 * What stands beside counts.
 */
static void
read_label(Reading *reading, const Rule *rule, const JsonbValue *value)
{
	switch (rule->kind)
	{
		case RULE_TIER:
			read_tier(reading->usage, value);
			break;
		case RULE_REGION:
			read_region(reading->usage, value);
			break;
		case RULE_COST:
			read_cost(reading, value);
			break;
		case RULE_BYOK:
			if (value->type == jbvBool && !value->val.boolean)
				reading->is_cost_clear = true;
			else
				reading->is_byok = true;
			break;
		case RULE_CLASS:
			if (rule->meter >= 0)
				read_count(reading, rule, value);
			if (count_or_flag(reading, value) > 0)
				reading->usage->service_class = unconstify(char *, rule->name);
			break;
		default:					/* RULE_SEARCH_CONTEXT */
			if (value->type == jbvString && value->val.string.len > 0 &&
				value->val.string.len <= MAX_SIZE_LEN)
				reading->search_context = asc_tolower(value->val.string.val,
													  value->val.string.len);
			break;
	}
}

static void
read_value(Reading *reading, const Rule *rule, const JsonbValue *key,
		   const JsonbValue *value)
{
	JsonbContainer *array;

	if (value->type == jbvNull)
		return;
	switch (rule->kind)
	{
		case RULE_KNOWN:
			break;
		case RULE_STRANGER:
			meet_stranger(reading, key, value);
			break;
		case RULE_BESIDE:
			if (cl_names_usage(key->val.string.val, key->val.string.len))
				meet_stranger(reading, key, value);
			break;
		case RULE_REPEATED:
			if (!cl_is_word_of_provider(key->val.string.val, key->val.string.len))
				meet_stranger(reading, key, value);
			break;
		case RULE_DIALECT:
			reading->dialect = rule->meter;
			break;
		case RULE_OBJECT:
			read_inner_object(reading, rule, value);
			break;
		case RULE_MODALITIES:
		case RULE_LIFETIMES:
		case RULE_ITERATIONS:
		case RULE_TOOL_COUNTS:
			if (value->type == jbvBinary)
				read_array(reading, rule, value);
			else
				reading->is_unexplained = true;
			break;
		case RULE_QUANTITY:
			read_quantity(reading, rule->name, value);
			break;
		case RULE_TOOL:
		case RULE_METER:
			if (value->type == jbvBinary)
				meet_stranger(reading, key, value);
			else
				read_named_quantity(reading, rule, key, value);
			break;
		case RULE_LENGTH:
			array = json_array_of(value);
			if (array)
				add_number(reading, rule->name, JsonContainerSize(array));
			break;
		case RULE_OUTPUT_ITEMS:
			read_output_items(reading, value);
			break;
		case RULE_CANDIDATES:
			read_candidates(reading, value);
			break;
		case RULE_MODEL_VERSION:
			read_model_version(reading, value);
			break;
		case RULE_TIER:
		case RULE_REGION:
		case RULE_COST:
		case RULE_BYOK:
		case RULE_CLASS:
		case RULE_SEARCH_CONTEXT:
			read_label(reading, rule, value);
			break;
		default:
			read_tokens(reading, rule, value);
			break;
	}
}

static void
read_object(Reading *reading, JsonbContainer *object, const Rule *rules)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;
	const Rule *rule;

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		rule = cl_find_rule(rules, key.val.string.val, key.val.string.len);
		if (rule)
			read_value(reading, rule, &key, &value);
		else
			meet_stranger(reading, &key, &value);
	}
}

/*
 * OTLP's list: [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "9"}}].
 */
static void
read_attributes(Reading *reading, JsonbContainer *list, const Rule *rules)
{
	static const char *const types[] = {
		"intValue", "doubleValue", "stringValue", "int_value", "double_value", "string_value"
	};
	JsonbIterator *it = JsonbIteratorInit(list);
	JsonbValue	element;

	while (json_next_element(&it, &element))
	{
		JsonbContainer *object = json_object_of(&element);
		JsonbContainer *wrapper = object ? json_child(object, "value") : NULL;
		JsonbValue	key;
		JsonbValue	whole;
		JsonbValue	buffer;
		JsonbValue *value = NULL;
		const Rule *rule;

		if (wrapper == NULL || json_value(object, "key", &key) == NULL || key.type != jbvString)
			continue;
		for (int i = 0; i < (int) lengthof(types) && value == NULL; i++)
			value = json_value(wrapper, types[i], &buffer);
		rule = cl_find_rule(rules, key.val.string.val, key.val.string.len);
		if (rule && value)
			read_value(reading, rule, &key, value);
		else if (rule == NULL || rule->kind != RULE_KNOWN)
			/* A list, or an object of its own kind, is not looked into. */
			meet_stranger(reading, &key, value ? value : json_value(object, "value", &whole));
	}
}

/*
 * What a response says around its usage.
 */
static void
read_response(Reading *reading, JsonbContainer *response, const Rule *rules)
{
	JsonbValue	buffer;
	JsonbValue *tier = json_value(response, "service_tier", &buffer);

	if (tier == NULL)
		tier = json_value(response, "serviceTier", &buffer);
	if (tier)
		read_tier(reading->usage, tier);
	for (; rules && rules->key; rules++)
	{
		JsonbValue	key = {.type = jbvString};
		JsonbValue *value = getKeyJsonValueFromContainer(response, rules->key, rules->len, &buffer);

		key.val.string.val = unconstify(char *, rules->key);
		key.val.string.len = rules->len;
		if (value)
			read_value(reading, rules, &key, value);
	}
}

/*
 * Where a whole was divided by modality, the parts should add up to it, with
 * the cache or without.  What they leave is priced as the whole.
 */
static void
check_division(Reading *reading, int whole, int64 count)
{
	const int64 *tokens = reading->usage->tokens;
	int			first = first_modality(whole);
	int64		sum = reading->text[whole];

	if (!reading->is_divided[whole])
		return;
	for (int i = first; i < first + 3; i++)
		sum += tokens[i];
	if (sum != count &&
		(whole != METER_INPUT ||
		 sum != count - tokens[METER_CACHE_READ] - tokens[METER_CACHE_WRITE]))
		reading->is_unexplained = true;
}

/*
 * Writes are for 5 minutes, the default, unless said otherwise; what is told of
 * them without a lifetime is all of them.  The ledger's own are apart already.
 */
static void
settle_writes(Reading *reading)
{
	Usage	   *usage = reading->usage;
	int64		told = reading->written_5m + usage->tokens[METER_CACHE_WRITE_1H];

	if (reading->written > 0)
		add_tokens(reading, METER_CACHE_WRITE, reading->written);
	if (reading->format == FORMAT_COST_LEDGER || reading->format == FORMAT_LANGFUSE)
		return;
	if (reading->has_lifetimes || usage->given[METER_CACHE_WRITE_1H])
	{
		set_tokens(reading, METER_CACHE_WRITE, told);
		usage->tokens[METER_CACHE_WRITE] -= usage->tokens[METER_CACHE_WRITE_1H];
	}
	else if (reading->has_writes)
		usage->given[METER_CACHE_WRITE] = true;
}

/*
 * Whether the parts whose place depends on who counts come on top: a total that
 * has them beside the input says so, or that they are more than the input.
 */
static void
place_cache(Reading *reading)
{
	const int64 *tokens = reading->usage->tokens;
	int64		cached = tokens[METER_CACHE_READ] + tokens[METER_CACHE_WRITE] +
		tokens[METER_CACHE_WRITE_1H];

	if (cached > tokens[METER_INPUT] ||
		(cached > 0 && reading->has_total &&
		 reading->total == tokens[METER_INPUT] + tokens[METER_OUTPUT] + cached))
		reading->on_top |= ALL_CACHE;
}

/*
 * Whether the total says that parts lie inside after all.  Langfuse's keys
 * exclude each other, but people fill them by hand; Strands puts the counts of
 * every provider into Bedrock's words.
 */
static bool
are_parts_inside(const Reading *reading)
{
	const int64 *tokens = reading->usage->tokens;
	int64		cached = tokens[METER_CACHE_READ] + tokens[METER_CACHE_WRITE] +
		tokens[METER_CACHE_WRITE_1H];

	return (reading->format == FORMAT_LANGFUSE || reading->format == FORMAT_BEDROCK_CONVERSE) &&
		reading->has_total && reading->extra_input == 0 && cached <= tokens[METER_INPUT] &&
		reading->total == tokens[METER_INPUT] + tokens[METER_OUTPUT];
}

/*
 * Compares the sum of what is known with the total that was told.
 */
static void
check_total(Reading *reading, int64 cached_on_top)
{
	const int64 *tokens = reading->usage->tokens;
	int64		rest;

	if (!reading->has_total)
		return;
	/* Embeddings of Spring AI have nothing but a total. */
	if (reading->format == FORMAT_AI_SDK_4 &&
		tokens[METER_INPUT] == 0 && tokens[METER_OUTPUT] == 0)
		add_tokens(reading, METER_INPUT, reading->total);
	rest = reading->total - tokens[METER_INPUT] - tokens[METER_OUTPUT];

	/* A total with the reasoning, a tool or audio added says that it is on top. */
	if (rest > 0 && rest == tokens[METER_REASONING] &&
		!(reading->on_top & ON_TOP(METER_REASONING)))
		add_tokens(reading, METER_OUTPUT, rest);
	else if (rest > 0 && (rest == reading->tool_input || rest == tokens[METER_INPUT_AUDIO]))
		add_tokens(reading, METER_INPUT, rest);
	/* Some leave out of it what they leave out of the input. */
	else if (rest != 0 && rest != -cached_on_top)
		reading->is_unexplained = true;
}

/*
 * Perplexity's fee for a request goes by the size of its context, however often
 * it searches; those that research deeply, and so cite, pay for their searches.
 */
static void
size_search_fee(Reading *reading)
{
	Usage	   *usage = reading->usage;
	OtherMeter *searches = NULL;
	char	   *name = psprintf("web_search_requests_%s", reading->search_context);

	for (int i = 0; i < usage->nother; i++)
	{
		if (strcmp(usage->other[i].name, "citation_tokens") == 0)
			return;
		if (strcmp(usage->other[i].name, "web_search_requests") == 0)
			searches = &usage->other[i];
	}
	if (searches)
	{
		searches->name = name;
		searches->quantity = int64_to_numeric(1);
	}
	else
		add_number(reading, name, 1);
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
	int64		before;

	check_division(reading, METER_INPUT, tokens[METER_INPUT] + reading->extra_input);
	check_division(reading, METER_CACHE_READ, tokens[METER_CACHE_READ]);
	check_division(reading, METER_OUTPUT, tokens[METER_OUTPUT]);

	/* An answer without a question: the counts have only begun, or ended. */
	if (usage->given[METER_OUTPUT] && !usage->given[METER_INPUT] &&
		!(reading->on_top & ON_TOP(METER_INPUT)))
		reading->is_unexplained = true;

	/* What the Images endpoint makes are images, unless it says otherwise. */
	if (reading->format == FORMAT_OPENAI_IMAGES && !usage->given[METER_OUTPUT_IMAGE])
		set_tokens(reading, METER_OUTPUT_IMAGE, tokens[METER_OUTPUT]);

	settle_writes(reading);
	if (reading->either)
		place_cache(reading);
	if (are_parts_inside(reading))
		reading->on_top = 0;
	if (reading->extra_input > 0)
		add_tokens(reading, METER_INPUT, reading->extra_input);
	before = tokens[METER_INPUT];
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if ((reading->on_top & ON_TOP(i)) && usage->given[i])
			add_tokens(reading, cl_token_meters[i].total, tokens[i]);
	}
	check_total(reading, tokens[METER_INPUT] - before);

	if (reading->least_pass > 0)
		note_pass(reading, tokens[METER_INPUT]);
	usage->least_pass = reading->least_pass;
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (reading->passes[i] > 0)
			add_tokens(reading, i, reading->passes[i]);
	}
	if (reading->search_context)
		size_search_fee(reading);
}

/*
 * Whether a provider's counts have the cache beside the input, which libraries
 * pass on.
 */
static bool
counts_like_anthropic(const char *provider, int len)
{
	static const char *const words[] = {"anthropic", "bedrock", "aws"};

	for (int i = 0; i < (int) lengthof(words); i++)
	{
		if (cl_provider_begins(provider, len, words[i]))
			return true;
	}
	return false;
}

/*
 * Reads what was found, by the rules of a format.
 */
static void
read_found(Reading *reading, const FoundUsage *found, int format,
		   const char *provider, int len)
{
	const FormatInfo *info = &cl_formats[format];
	Usage	   *usage = reading->usage;

	memset(usage, 0, sizeof(Usage));
	memset(reading, 0, sizeof(Reading));
	reading->usage = usage;
	reading->format = format;
	reading->dialect = FORMAT_UNKNOWN;
	reading->on_top = info->on_top;
	reading->is_unexplained = found->is_unfinished;
	if (info->on_top_of_anthropic && counts_like_anthropic(provider, len))
		reading->on_top |= info->on_top_of_anthropic;
	if (JsonContainerIsArray(found->usage))
		read_attributes(reading, found->usage, info->rules);
	else
		read_object(reading, found->usage, info->rules);
	if (found->response)
		read_response(reading, found->response, info->response_rules);
}

/*
 * Reads a usage object, or a whole response with one inside.  The format is
 * told by its shape, and by the provider where that is not enough, when none is
 * named.  False when the shape is unknown or the counts contradict each other:
 * then the call is recorded and not priced.
 */
bool
cl_usage_normalize(Jsonb *raw, const char *format_name,
				   const char *provider, int provider_len, Usage *usage)
{
	FoundUsage	found;
	Reading		reading;
	int			bad;

	found.format = FORMAT_UNKNOWN;
	if (JB_ROOT_IS_OBJECT(raw))
	{
		found = cl_find_usage(&raw->root, provider, provider_len);
		if (format_name)
			found.format = cl_format_by_name(format_name);
	}
	if (found.format == FORMAT_UNKNOWN)
	{
		memset(usage, 0, sizeof(Usage));
		return false;
	}

	reading.usage = usage;
	read_found(&reading, &found, found.format, provider, provider_len);
	/* A named format is believed. */
	if (reading.dialect != FORMAT_UNKNOWN && format_name == NULL)
		read_found(&reading, &found, reading.dialect, provider, provider_len);
	finish(&reading);
	if (reading.is_unexplained)
		usage->status = "unexplained";
	if (reading.cost && !reading.is_byok &&
		(reading.is_cost_clear || cl_provider_begins(provider, provider_len, "openrouter")))
		usage->reported_cost = reading.cost;
	if (reading.is_unreadable)
		return false;
	for (int i = 0; i < NUM_TOKEN_METERS; i++)
	{
		if (usage->tokens[i] > MAX_QUANTITY)
			return false;
	}
	return cl_usage_divide(usage, &bad) && !cl_usage_is_empty(usage);
}

static Jsonb *
copy_container(JsonbContainer *container)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbParseState *state = NULL;
	JsonbValue	value;
	JsonbValue *result = NULL;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
		result = pushJsonbValue(&state, token, token < WJB_BEGIN_ARRAY ? &value : NULL);
	return JsonbValueToJsonb(result);
}

/*
 * What is kept of an object that is too long: the usage object in it, or what
 * was read of it.  NULL where that is nothing.
 */
Jsonb *
cl_usage_core(Jsonb *raw, const char *provider, int provider_len, const Usage *usage)
{
	FoundUsage	found = {.format = FORMAT_UNKNOWN};
	Jsonb	   *core;

	if (JB_ROOT_IS_OBJECT(raw))
		found = cl_find_usage(&raw->root, provider, provider_len);
	if (found.format != FORMAT_UNKNOWN && found.usage != &raw->root)
	{
		core = copy_container(found.usage);
		if (!cl_is_longer(PointerGetDatum(core), MAX_JSON_LEN))
			return core;
	}
	return cl_usage_to_jsonb(usage, false);
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
				 errhint("A count is a whole number from 0 to 10^12, a subset does not exceed its total; what shapes are known is in docs/usage.md. Counts of another shape can be sent as {\"input_tokens\": 5800, \"cache_read_tokens\": 5000, \"output_tokens\": 600}.")));
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
