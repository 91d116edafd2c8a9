/*-------------------------------------------------------------------------
 * usage_rules.h
 *	  The formats of usage objects, as tables of what each key means.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_USAGE_RULES_H
#define COST_LEDGER_USAGE_RULES_H

#include "usage.h"

/* What a key of a usage object means. */
typedef enum RuleKind
{
	RULE_STRANGER,				/* nobody knows what its numbers count */
	RULE_KNOWN,					/* says nothing that is not said elsewhere */
	RULE_BESIDE,				/* of a whole response: nothing, unless it is named as usage */
	RULE_REPEATED,				/* what a provider said already, unless no provider does */
	RULE_COUNT,					/* tokens of a meter */
	RULE_COUNT_IF_ANY,			/* the same, where 0 says nothing */
	RULE_EITHER,				/* tokens of the cache, inside the input or beside it */
	RULE_WRITTEN_ON_TOP,		/* the same, beside it where there are any */
	RULE_ADD,					/* more tokens of a meter */
	RULE_EXTRA_INPUT,			/* input without a meter of its own, on top */
	RULE_TOOL_INPUT,			/* the same, where the total says that it is on top */
	RULE_WRITTEN_5M,			/* of what was written to the cache */
	RULE_WRITTEN,				/* more that was written, for 5 minutes */
	RULE_TEXT,					/* the part of a whole that is text */
	RULE_MODALITIES,			/* an array of such parts */
	RULE_LIFETIMES,				/* an array of cache writes by lifetime */
	RULE_ITERATIONS,			/* an array of passes behind one response */
	RULE_TOTAL,					/* all tokens, to check against */
	RULE_QUANTITY,				/* a meter that is not tokens of ours */
	RULE_TOOL,					/* a server tool: a meter by the name of its key */
	RULE_TOOL_COUNTS,			/* an array of them */
	RULE_METER,					/* a meter by the name of its key */
	RULE_DIALECT,				/* only another format has it, whose rules apply */
	RULE_OBJECT,				/* an object with rules of its own, or a list of them */
	RULE_PREFIX,				/* what follows in the key has rules of its own */
	RULE_LENGTH,				/* a list, whose length is a meter's quantity */
	RULE_OUTPUT_ITEMS,			/* what a response consists of */
	RULE_CANDIDATES,			/* answers, with the searches behind them */
	RULE_MODEL_VERSION,			/* that tells what searches are billed by */
	RULE_SEARCH_CONTEXT,		/* the size that a request's fee goes by */
	RULE_CLASS,					/* a service class, by the name of its key */
	RULE_TIER,
	RULE_REGION,
	RULE_COST,
	RULE_BYOK
} RuleKind;

typedef struct Rule
{
	const char *key;			/* NULL: any other, or those that follow */
	int			len;
	RuleKind	kind;
	int			meter;			/* or the whole that is divided, what is on top, the
								 * other format */
	const struct Rule *rules;	/* of an object; those that follow */
	const char *name;			/* of a quantity, a class */
} Rule;

typedef enum Format
{
	FORMAT_OPENAI_CHAT,
	FORMAT_OPENAI_RESPONSES,
	FORMAT_OPENAI_IMAGES,
	FORMAT_IMAGES,
	FORMAT_TRANSCRIPTION,
	FORMAT_VIDEO,
	FORMAT_ANTHROPIC,
	FORMAT_GEMINI,
	FORMAT_GEMINI_INTERACTIONS,
	FORMAT_BEDROCK_CONVERSE,
	FORMAT_BEDROCK_INVOKE,
	FORMAT_COHERE,
	FORMAT_COHERE_TOKENS,
	FORMAT_XAI,
	FORMAT_PERPLEXITY,
	FORMAT_VOYAGE,
	FORMAT_JINA,
	FORMAT_OCR,
	FORMAT_OPENROUTER_SDK,
	FORMAT_OPENROUTER_GENERATION,
	FORMAT_TGI,
	FORMAT_TOKEN_COUNTS,
	FORMAT_HELICONE,
	FORMAT_OPENCODE,
	FORMAT_AGNO,
	FORMAT_OLLAMA,
	FORMAT_LITELLM,
	FORMAT_LANGCHAIN,
	FORMAT_LLAMAINDEX,
	FORMAT_HAYSTACK,
	FORMAT_HAYSTACK_BEDROCK,
	FORMAT_HAYSTACK_GEMINI,
	FORMAT_PYDANTIC_AI,
	FORMAT_OPENAI_AGENTS,
	FORMAT_AI_SDK_4,
	FORMAT_AI_SDK_5,
	FORMAT_AI_SDK_6,
	FORMAT_AI_SDK_6_MODEL,
	FORMAT_AI_SDK_EMBEDDING,
	FORMAT_SPRING_AI,
	FORMAT_MICROSOFT,
	FORMAT_SEMANTIC_KERNEL,
	FORMAT_LANGFUSE,
	FORMAT_OPENTELEMETRY,
	FORMAT_OPENINFERENCE,
	FORMAT_COST_LEDGER
} Format;

#define NUM_FORMATS			(FORMAT_COST_LEDGER + 1)
#define FORMAT_UNKNOWN		(-1)

#define ON_TOP(meter)		(1 << (meter))
#define ALL_CACHE			(ON_TOP(METER_CACHE_READ) | ON_TOP(METER_CACHE_WRITE) | \
							 ON_TOP(METER_CACHE_WRITE_1H))

/*
 * Which parts come on top of the total that is reported; all others lie inside
 * it.  This is the only place that says so.
 */
typedef struct FormatInfo
{
	const char *name;
	const Rule *rules;
	int			on_top;
	int			on_top_of_anthropic;	/* where the provider is Anthropic or Bedrock */
	const Rule *response_rules; /* of what stands around the usage object */
} FormatInfo;

extern const FormatInfo cl_formats[NUM_FORMATS];
extern const Rule cl_anthropic_pass_rules[];
extern const Rule cl_element_words[];

extern const Rule *cl_find_rule(const Rule *rule, const char *key, int len);
extern int	cl_format_by_name(const char *name);
extern char *cl_format_names(void);
extern bool cl_names_tokens(const char *key, int len);
extern bool cl_names_usage(const char *key, int len);
extern bool cl_is_word_of_provider(const char *key, int len);
extern bool cl_names_no_count(const char *key, int len);

#endif							/* COST_LEDGER_USAGE_RULES_H */
