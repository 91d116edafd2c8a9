/*-------------------------------------------------------------------------
 * usage_rules.c
 *	  What the keys of usage objects mean, format by format.
 *
 * Providers and libraries differ in one thing that costs money: whether a
 * specific count (cached input, reasoning output) lies inside the general one
 * or beside it.  OpenAI's cached_tokens are part of prompt_tokens; Anthropic's
 * cache_read_input_tokens come on top of input_tokens.  A format is a table of
 * what each key means, and the set of meters that come on top of their total;
 * nothing after this file needs to know.
 *
 * A number that no rule reads makes the row unexplained: a key that says
 * nothing new is listed as one that is known.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "lib/stringinfo.h"
#include "usage_rules.h"

#define RULE(key, ...)		{key, sizeof(key) - 1, __VA_ARGS__}
#define COUNT(key, meter)	RULE(key, RULE_COUNT, meter)
#define EITHER(key, meter)	RULE(key, RULE_EITHER, meter)
#define ADD(key, meter)		RULE(key, RULE_ADD, meter)
#define TEXT(key, whole)	RULE(key, RULE_TEXT, whole)
#define MODALITIES(key, whole)	RULE(key, RULE_MODALITIES, whole)
#define OBJECT(key, rules)	RULE(key, RULE_OBJECT, 0, rules)
#define ON_TOP_OBJECT(key, on_top, rules)	RULE(key, RULE_OBJECT, on_top, rules)
#define QUANTITY(key, name)	RULE(key, RULE_QUANTITY, -1, NULL, name)
#define CLASS(key, meter, class)	RULE(key, RULE_CLASS, meter, NULL, class)
#define KNOWN(key)			RULE(key, RULE_KNOWN)
#define DIALECT(key, format)	RULE(key, RULE_DIALECT, format)
#define PREFIX(key, rules)	RULE(key, RULE_PREFIX, 0, rules)
#define ALSO(rules)			{NULL, 0, RULE_KNOWN, -1, rules}
#define ELSE(kind)			{NULL, 1, kind}
#define END					{NULL}

/*
 * Parts that several formats share.
 */
static const Rule nothing_new[] = {
	ELSE(RULE_KNOWN)
};

static const Rule strangers[] = {
	END
};

/* What the elements of lists are read by; any other number in one is a stranger. */
const Rule	cl_element_words[] = {
	KNOWN("modality"),
	KNOWN("tokenCount"),
	KNOWN("token_count"),
	KNOWN("tokens"),
	KNOWN("ttl"),
	KNOWN("inputTokens"),
	KNOWN("type"),
	KNOWN("count"),
	END
};

static const Rule lifetimes[] = {
	RULE("ephemeral_5m_input_tokens", RULE_WRITTEN_5M),
	COUNT("ephemeral_1h_input_tokens", METER_CACHE_WRITE_1H),
	END
};

/* What is called and what was executed holds the searches. */
static const Rule server_tools[] = {
	KNOWN("tool_calls_requested"),
	KNOWN("tool_calls_executed"),
	ELSE(RULE_TOOL)
};

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

/* LiteLLM has more to say here: writes, searches, and what embeddings count. */
static const Rule litellm_input_details[] = {
	COUNT("cache_creation_tokens", METER_CACHE_WRITE),
	OBJECT("cache_creation_token_details", lifetimes),
	EITHER("cache_creation_input_tokens", METER_CACHE_WRITE),	/* Alibaba */
	OBJECT("cache_creation", lifetimes),
	RULE("tool_use_tokens", RULE_TOOL_INPUT),
	QUANTITY("web_search_requests", "web_search_requests"),
	EITHER("cache_read_input_tokens", METER_CACHE_READ),	/* Perplexity */
	QUANTITY("character_count", "input_characters"),
	QUANTITY("image_count", "input_images"),
	QUANTITY("video_length_seconds", "input_video_seconds"),
	QUANTITY("audio_length_seconds", "input_audio_seconds"),
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
	ALSO(litellm_input_details)
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

/*
 * OpenRouter's client, and what it tells of a call afterwards.
 */
static const Rule openrouter_sdk_input[] = {
	COUNT("cachedTokens", METER_CACHE_READ),
	COUNT("cacheWriteTokens", METER_CACHE_WRITE),
	COUNT("audioTokens", METER_INPUT_AUDIO),
	COUNT("videoTokens", METER_INPUT_VIDEO),
	END
};

static const Rule openrouter_sdk_output[] = {
	COUNT("reasoningTokens", METER_REASONING),
	COUNT("audioTokens", METER_OUTPUT_AUDIO),
	COUNT("imageTokens", METER_OUTPUT_IMAGE),
	KNOWN("acceptedPredictionTokens"),
	KNOWN("rejectedPredictionTokens"),
	END
};

static const Rule openrouter_sdk_tools[] = {
	QUANTITY("webSearchRequests", "web_search_requests"),
	KNOWN("toolCallsRequested"),
	KNOWN("toolCallsExecuted"),
	END
};

static const Rule openrouter_sdk_rules[] = {
	COUNT("promptTokens", METER_INPUT),
	COUNT("completionTokens", METER_OUTPUT),
	RULE("totalTokens", RULE_TOTAL),
	OBJECT("promptTokensDetails", openrouter_sdk_input),
	OBJECT("completionTokensDetails", openrouter_sdk_output),
	OBJECT("serverToolUseDetails", openrouter_sdk_tools),
	RULE("cost", RULE_COST),
	KNOWN("costDetails"),
	RULE("isByok", RULE_BYOK),
	END
};

static const Rule openrouter_generation_rules[] = {
	COUNT("native_tokens_prompt", METER_INPUT),
	COUNT("native_tokens_completion", METER_OUTPUT),
	COUNT("native_tokens_reasoning", METER_REASONING),
	COUNT("native_tokens_cached", METER_CACHE_READ),
	COUNT("native_tokens_completion_images", METER_OUTPUT_IMAGE),
	PREFIX("native_tokens_", strangers),
	RULE("total_cost", RULE_COST),
	RULE("is_byok", RULE_BYOK),
	KNOWN("usage"),				/* in dollars */
	ELSE(RULE_BESIDE)
};

/* What OpenRouter adds: what it has charged, unless the key is not its own. */
static const Rule openrouter_rules[] = {
	RULE("cost", RULE_COST),
	RULE("is_byok", RULE_BYOK),
	RULE("service_tier", RULE_TIER),
	OBJECT("server_tool_use", server_tools),
	OBJECT("server_tool_use_details", server_tools),
	END
};

/* What LiteLLM keeps beside, in the words of Anthropic and others, told twice. */
static const Rule litellm_rules[] = {
	EITHER("cache_read_input_tokens", METER_CACHE_READ),
	EITHER("cache_creation_input_tokens", METER_CACHE_WRITE),
	OBJECT("cache_creation", lifetimes),
	RULE("speed", RULE_TIER),
	RULE("inference_geo", RULE_REGION),
	RULE("iterations", RULE_ITERATIONS),
	ALSO(openrouter_rules)
};

static const Rule mistral_connectors[] = {
	QUANTITY("web_search", "web_search_requests"),
	QUANTITY("web_search_premium", "web_search_premium_requests"),
	ELSE(RULE_TOOL)
};

static const Rule openai_chat_rules[] = {
	COUNT("prompt_tokens", METER_INPUT),
	COUNT("completion_tokens", METER_OUTPUT),
	RULE("total_tokens", RULE_TOTAL),
	OBJECT("prompt_tokens_details", openai_input_details),
	OBJECT("completion_tokens_details", openai_output_details),
	COUNT("cached_tokens", METER_CACHE_READ),	/* Together, Moonshot */
	COUNT("reasoning_tokens", METER_REASONING), /* Modal */
	DIALECT("num_search_queries", FORMAT_PERPLEXITY),
	DIALECT("citation_tokens", FORMAT_PERPLEXITY),
	DIALECT("search_context_size", FORMAT_PERPLEXITY),
	DIALECT("modality_tokens", FORMAT_HELICONE),
	DIALECT("cache_write_input_tokens", FORMAT_HAYSTACK_BEDROCK),
	DIALECT("thoughts_token_count", FORMAT_HAYSTACK_GEMINI),
	COUNT("prompt_cache_hit_tokens", METER_CACHE_READ), /* DeepSeek */
	KNOWN("prompt_cache_miss_tokens"),
	KNOWN("num_cached_tokens"), /* Mistral, which bills by the details */
	QUANTITY("prompt_audio_seconds", "input_audio_seconds"),	/* Mistral */
	RULE("connector_tokens", RULE_TOOL_INPUT),
	OBJECT("connectors", mistral_connectors),
	OBJECT("prompt_token_details", openai_input_details),
	OBJECT("completion_token_details", openai_output_details),
	COUNT("cached_prompt_tokens", METER_CACHE_READ),	/* CrewAI */
	COUNT("cache_creation_tokens", METER_CACHE_WRITE),
	KNOWN("successful_requests"),
	ALSO(litellm_rules)
};

/* Groq's compound systems: several models behind one object. */
static const Rule openai_chat_response_rules[] = {
	RULE("usage_breakdown", RULE_STRANGER),
	END
};

/*
 * Realtime and transcription write "token" where others write "tokens"; so
 * does LangChain, whose words inside are others: no reader mistakes them.
 */
static const Rule token_input_details[] = {
	EITHER("cache_read", METER_CACHE_READ),
	RULE("cache_creation", RULE_COUNT_IF_ANY, METER_CACHE_WRITE),
	RULE("ephemeral_5m_input_tokens", RULE_WRITTEN_5M),
	COUNT("ephemeral_1h_input_tokens", METER_CACHE_WRITE_1H),
	COUNT("audio", METER_INPUT_AUDIO),
	COUNT("image", METER_INPUT_IMAGE),
	COUNT("video", METER_INPUT_VIDEO),
	ADD("document", METER_INPUT_IMAGE),
	KNOWN("text"),
	CLASS("flex_cache_read", METER_CACHE_READ, "flex"),
	CLASS("priority_cache_read", METER_CACHE_READ, "priority"),
	CLASS("flex", -1, "flex"),
	CLASS("priority", -1, "priority"),
	ALSO(openai_input_details)
};

static const Rule token_output_details[] = {
	COUNT("reasoning", METER_REASONING),
	COUNT("audio", METER_OUTPUT_AUDIO),
	COUNT("image", METER_OUTPUT_IMAGE),
	COUNT("video", METER_OUTPUT_VIDEO),
	KNOWN("text"),
	KNOWN("document"),
	CLASS("flex_reasoning", METER_REASONING, "flex"),
	CLASS("priority_reasoning", METER_REASONING, "priority"),
	CLASS("flex", -1, "flex"),
	CLASS("priority", -1, "priority"),
	ALSO(openai_output_details)
};

/* How often each server tool ran, where it is billed by its runs. */
static const Rule perplexity_web_search[] = {
	QUANTITY("invocation", "web_search_requests"),
	END
};

static const Rule perplexity_tools[] = {
	OBJECT("web_search", perplexity_web_search),
	END
};

static const Rule xai_tools[] = {
	QUANTITY("web_search_calls", "web_search_requests"),
	QUANTITY("x_search_calls", "x_search_requests"),
	QUANTITY("code_interpreter_calls", "code_interpreter_calls"),
	QUANTITY("file_search_calls", "file_search_calls"),
	QUANTITY("document_search_calls", "document_search_calls"),
	QUANTITY("image_generation_calls", "image_generation_calls"),
	KNOWN("mcp_calls"),
	END
};

static const Rule openai_responses_rules[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	RULE("total_tokens", RULE_TOTAL),
	OBJECT("input_tokens_details", openai_input_details),
	OBJECT("output_tokens_details", openai_output_details),
	OBJECT("input_token_details", token_input_details),
	OBJECT("output_token_details", token_output_details),
	KNOWN("requests"),			/* the Agents SDK sums up a run */
	KNOWN("request_usage_entries"),
	QUANTITY("seconds", "input_seconds"),
	COUNT("cached_input_tokens", METER_CACHE_READ), /* Codex */
	COUNT("cache_write_input_tokens", METER_CACHE_WRITE),
	COUNT("reasoning_output_tokens", METER_REASONING),
	OBJECT("tool_calls_details", perplexity_tools),
	OBJECT("server_side_tool_usage_details", xai_tools),
	KNOWN("num_server_side_tools_used"),	/* their sum */
	QUANTITY("num_sources_used", "search_sources"),
	KNOWN("context_details"),	/* how full the context is */
	ALSO(openrouter_rules)
};

/* Fees that no usage object counts stand in the response. */
static const Rule web_search_usage[] = {
	QUANTITY("num_requests", "web_search_requests"),
	END
};

static const Rule tool_usage[] = {
	OBJECT("web_search", web_search_usage),
	RULE("image_gen", RULE_STRANGER),	/* another model's tokens */
	END
};

static const Rule openai_response_rules[] = {
	RULE("output", RULE_OUTPUT_ITEMS),
	OBJECT("tool_usage", tool_usage),
	END
};

/*
 * What is not counted in tokens.
 */
static const Rule images_rules[] = {
	RULE("data", RULE_LENGTH, -1, NULL, "output_images"),
	RULE("images", RULE_LENGTH, -1, NULL, "output_images"),
	RULE("predictions", RULE_LENGTH, -1, NULL, "output_images"),
	ELSE(RULE_BESIDE)
};

static const Rule transcription_rules[] = {
	QUANTITY("seconds", "input_seconds"),
	QUANTITY("duration", "input_seconds"),
	QUANTITY("audio_duration", "input_seconds"),
	ELSE(RULE_BESIDE)
};

static const Rule video_rules[] = {
	QUANTITY("seconds", "output_seconds"),
	QUANTITY("duration_seconds", "output_seconds"),
	ELSE(RULE_BESIDE)
};

static const Rule ocr_rules[] = {
	QUANTITY("pages_processed", "pages"),
	QUANTITY("pages_processed_annotation", "annotation_pages"),
	QUANTITY("credits", "credits"),
	KNOWN("num_pages"),			/* Reducto, which bills credits */
	KNOWN("doc_size_bytes"),
	END
};

static const Rule xai_rules[] = {
	COUNT("cached_prompt_text_tokens", METER_CACHE_READ),	/* its own SDK */
	COUNT("prompt_image_tokens", METER_INPUT_IMAGE),
	TEXT("prompt_text_tokens", METER_INPUT),
	QUANTITY("num_sources_used", "search_sources"),
	ALSO(openai_chat_rules)
};

/* Its total leaves out citations and reasoning, which have rates of their own. */
static const Rule perplexity_rules[] = {
	KNOWN("total_tokens"),
	QUANTITY("citation_tokens", "citation_tokens"),
	QUANTITY("num_search_queries", "web_search_requests"),
	RULE("search_context_size", RULE_SEARCH_CONTEXT),
	ALSO(openai_chat_rules)
};

/* Embeddings and rerankers that count one thing; pixels are in it. */
static const Rule total_tokens_rules[] = {
	COUNT("total_tokens", METER_INPUT),
	COUNT("tokens", METER_INPUT),
	KNOWN("text_tokens"),
	KNOWN("image_tokens"),
	KNOWN("image_pixels"),
	KNOWN("video_pixels"),
	END
};

/*
 * Anthropic messages, also on Bedrock and Vertex.
 */
static const Rule anthropic_output_details[] = {
	COUNT("thinking_tokens", METER_REASONING),
	END
};

const Rule	cl_anthropic_pass_rules[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	COUNT("cache_read_input_tokens", METER_CACHE_READ),
	COUNT("cache_creation_input_tokens", METER_CACHE_WRITE),
	OBJECT("cache_creation", lifetimes),
	OBJECT("output_tokens_details", anthropic_output_details),
	COUNT("cache_write_input_tokens", METER_CACHE_WRITE),	/* Haystack, of headers */
	END
};

static const Rule anthropic_rules[] = {
	OBJECT("server_tool_use", server_tools),
	RULE("service_tier", RULE_TIER),
	RULE("speed", RULE_TIER),
	RULE("inference_geo", RULE_REGION),
	RULE("iterations", RULE_ITERATIONS),
	KNOWN("fallback_credit"),
	ALSO(cl_anthropic_pass_rules)
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

static const Rule gemini_response_rules[] = {
	RULE("modelVersion", RULE_MODEL_VERSION),
	RULE("candidates", RULE_CANDIDATES),
	END
};

static const Rule gemini_interactions_rules[] = {
	COUNT("total_input_tokens", METER_INPUT),
	COUNT("total_output_tokens", METER_OUTPUT),
	COUNT("total_cached_tokens", METER_CACHE_READ),
	COUNT("total_thought_tokens", METER_REASONING),
	COUNT("total_reasoning_tokens", METER_REASONING),
	RULE("total_tool_use_tokens", RULE_EXTRA_INPUT),
	RULE("total_tokens", RULE_TOTAL),
	MODALITIES("input_tokens_by_modality", METER_INPUT),
	MODALITIES("cached_tokens_by_modality", METER_CACHE_READ),
	MODALITIES("output_tokens_by_modality", METER_OUTPUT),
	MODALITIES("tool_use_tokens_by_modality", METER_INPUT),
	RULE("grounding_tool_count", RULE_TOOL_COUNTS),
	END
};

/*
 * Haystack writes OpenAI's words over those of others, and keeps the rest.
 */
static const Rule haystack_gemini_rules[] = {
	COUNT("prompt_tokens", METER_INPUT),
	COUNT("completion_tokens", METER_OUTPUT),
	RULE("total_tokens", RULE_TOTAL),
	ALSO(gemini_snake_rules)
};

static const Rule haystack_bedrock_rules[] = {
	COUNT("prompt_tokens", METER_INPUT),
	COUNT("completion_tokens", METER_OUTPUT),
	RULE("total_tokens", RULE_TOTAL),
	COUNT("cache_read_input_tokens", METER_CACHE_READ),
	COUNT("cache_write_input_tokens", METER_CACHE_WRITE),
	RULE("cache_details", RULE_LIFETIMES),
	END
};

/*
 * Bedrock: Converse, and what models answer to InvokeModel.
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
	OBJECT("serverToolUsage", server_tools),
	RULE("serviceTier", RULE_TIER),
	COUNT("cacheCreationInputTokens", METER_CACHE_WRITE),	/* Claude's agents */
	COUNT("thinkingTokens", METER_REASONING),
	QUANTITY("webSearchRequests", "web_search_requests"),
	KNOWN("contextWindow"),
	KNOWN("maxOutputTokens"),
	END
};

static const Rule titan_result[] = {
	ADD("tokenCount", METER_OUTPUT),
	KNOWN("outputText"),
	END
};

/* Of a stream's last chunk, in two parts in the log. */
static const Rule bedrock_metrics[] = {
	COUNT("inputTokenCount", METER_INPUT),
	COUNT("outputTokenCount", METER_OUTPUT),
	COUNT("cacheReadInputTokenCount", METER_CACHE_READ),
	COUNT("cacheWriteInputTokenCount", METER_CACHE_WRITE),
	END
};

static const Rule bedrock_invoke_rules[] = {
	COUNT("inputTextTokenCount", METER_INPUT),	/* Titan */
	COUNT("totalOutputTextTokenCount", METER_OUTPUT),
	OBJECT("results", titan_result),
	KNOWN("embedding"),
	KNOWN("embeddingsByType"),
	COUNT("prompt_token_count", METER_INPUT),	/* Llama */
	COUNT("generation_token_count", METER_OUTPUT),
	KNOWN("generation"),
	COUNT("x-amzn-bedrock-input-token-count", METER_INPUT), /* headers */
	COUNT("x-amzn-bedrock-output-token-count", METER_OUTPUT),
	COUNT("x-amzn-bedrock-cache-read-input-token-count", METER_CACHE_READ),
	COUNT("x-amzn-bedrock-cache-write-input-token-count", METER_CACHE_WRITE),
	OBJECT("input", bedrock_metrics),
	OBJECT("output", bedrock_metrics),
	ALSO(bedrock_metrics)
};

/*
 * Cohere: billed_units are what is paid for; tokens also count what Cohere
 * wraps around the prompt.
 */
static const Rule cohere_billed_units[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	COUNT("image_tokens", METER_INPUT_IMAGE),
	QUANTITY("images", "input_images"),
	QUANTITY("search_units", "search_units"),
	QUANTITY("classifications", "classifications"),
	END
};

static const Rule cohere_rules[] = {
	OBJECT("billed_units", cohere_billed_units),
	OBJECT("tokens", nothing_new),
	KNOWN("cached_tokens"),
	KNOWN("api_version"),
	END
};

static const Rule cohere_tokens_rules[] = {
	OBJECT("tokens", cohere_billed_units),
	COUNT("cached_tokens", METER_CACHE_READ),
	OBJECT("billed_units", nothing_new),
	KNOWN("api_version"),
	END
};

static const Rule tgi_rules[] = {
	COUNT("input_length", METER_INPUT),
	COUNT("generated_tokens", METER_OUTPUT),
	KNOWN("prefill"),
	KNOWN("tokens"),
	KNOWN("top_tokens"),
	KNOWN("seed"),
	KNOWN("best_of_sequences"),
	END
};

static const Rule ollama_rules[] = {
	COUNT("prompt_eval_count", METER_INPUT),
	COUNT("eval_count", METER_OUTPUT),
	KNOWN("message"),
	KNOWN("response"),
	KNOWN("thinking"),
	KNOWN("context"),
	KNOWN("embeddings"),
	KNOWN("logprobs"),
	END
};

/*
 * The words of several: watsonx, Replicate, Microsoft's Agent Framework, the
 * telemetry of Gemini's and OpenAI's command lines.
 */
static const Rule token_count_rules[] = {
	COUNT("input_token_count", METER_INPUT),
	COUNT("output_token_count", METER_OUTPUT),
	COUNT("generated_token_count", METER_OUTPUT),
	RULE("total_token_count", RULE_TOTAL),
	EITHER("cache_read_input_token_count", METER_CACHE_READ),
	EITHER("cache_creation_input_token_count", METER_CACHE_WRITE),
	EITHER("cached_token_count", METER_CACHE_READ),
	EITHER("cached_content_token_count", METER_CACHE_READ),
	COUNT("reasoning_output_token_count", METER_REASONING),
	COUNT("reasoning_token_count", METER_REASONING),
	COUNT("thoughts_token_count", METER_REASONING),
	KNOWN("predict_time"),
	KNOWN("tokens_per_second"),
	KNOWN("generated_text"),
	PREFIX("prompt/", nothing_new), /* the same, in the provider's words */
	PREFIX("completion/", nothing_new),
	PREFIX("openai.", nothing_new),
	PREFIX("anthropic.", nothing_new),
	END
};

/* Helicone's gateway: writes beside the prompt, reads inside, and in the total twice. */
static const Rule helicone_writes[] = {
	RULE("write_5m_tokens", RULE_WRITTEN_5M),
	COUNT("write_1h_tokens", METER_CACHE_WRITE_1H),
	END
};

static const Rule helicone_input_details[] = {
	OBJECT("cache_write_details", helicone_writes),
	ALSO(openai_input_details)
};

static const Rule helicone_rules[] = {
	KNOWN("total_tokens"),
	OBJECT("prompt_tokens_details", helicone_input_details),
	OBJECT("modality_tokens", strangers),
	ALSO(openai_chat_rules)
};

static const Rule opencode_cache[] = {
	COUNT("read", METER_CACHE_READ),
	COUNT("write", METER_CACHE_WRITE),
	END
};

static const Rule opencode_tokens[] = {
	COUNT("input", METER_INPUT),
	COUNT("output", METER_OUTPUT),
	COUNT("reasoning", METER_REASONING),
	OBJECT("cache", opencode_cache),
	RULE("total", RULE_TOTAL),
	END
};

static const Rule opencode_rules[] = {
	OBJECT("tokens", opencode_tokens),
	ELSE(RULE_BESIDE)
};

/* Agno has the ledger's words for what the provider meant by them. */
static const Rule agno_rules[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	RULE("total_tokens", RULE_TOTAL),
	EITHER("cache_read_tokens", METER_CACHE_READ),
	EITHER("cache_write_tokens", METER_CACHE_WRITE),
	COUNT("reasoning_tokens", METER_REASONING),
	COUNT("audio_input_tokens", METER_INPUT_AUDIO),
	COUNT("audio_output_tokens", METER_OUTPUT_AUDIO),
	KNOWN("audio_total_tokens"),
	KNOWN("duration"),
	KNOWN("provider_metrics"),
	KNOWN("additional_metrics"),
	END
};

/*
 * Vercel's AI SDK.  Until its fifth version it hands on what providers mean by
 * input, and tells of the cache elsewhere.
 */
static const Rule ai_sdk_anthropic_usage[] = {
	COUNT("cache_read_input_tokens", METER_CACHE_READ),
	COUNT("cache_creation_input_tokens", METER_CACHE_WRITE),
	OBJECT("cache_creation", lifetimes),
	OBJECT("server_tool_use", server_tools),
	RULE("service_tier", RULE_TIER),
	ELSE(RULE_REPEATED)
};

static const Rule ai_sdk_anthropic[] = {
	COUNT("cacheReadInputTokens", METER_CACHE_READ),
	COUNT("cacheCreationInputTokens", METER_CACHE_WRITE),
	OBJECT("usage", ai_sdk_anthropic_usage),
	ELSE(RULE_KNOWN)
};

static const Rule ai_sdk_bedrock_usage[] = {
	COUNT("cacheReadInputTokens", METER_CACHE_READ),
	COUNT("cacheWriteInputTokens", METER_CACHE_WRITE),
	ELSE(RULE_REPEATED)
};

static const Rule ai_sdk_bedrock[] = {
	OBJECT("usage", ai_sdk_bedrock_usage),
	ELSE(RULE_KNOWN)
};

static const Rule ai_sdk_openai[] = {
	COUNT("cachedPromptTokens", METER_CACHE_READ),
	COUNT("reasoningTokens", METER_REASONING),
	ELSE(RULE_KNOWN)
};

static const Rule ai_sdk_metadata[] = {
	ON_TOP_OBJECT("anthropic", ALL_CACHE, ai_sdk_anthropic),
	ON_TOP_OBJECT("bedrock", ALL_CACHE, ai_sdk_bedrock),
	OBJECT("openai", ai_sdk_openai),
	ELSE(RULE_KNOWN)
};

static const Rule ai_sdk_response_rules[] = {
	OBJECT("providerMetadata", ai_sdk_metadata),
	OBJECT("experimental_providerMetadata", ai_sdk_metadata),
	END
};

/*
 * What a library hands along as it came from the provider repeats its counts;
 * it is read for what the library leaves out.
 */
static const Rule native_usage[] = {
	OBJECT("cache_creation", lifetimes),
	RULE("cacheDetails", RULE_LIFETIMES),
	OBJECT("server_tool_use", server_tools),
	OBJECT("prompt_tokens_details", openai_input_details),
	OBJECT("completion_tokens_details", openai_output_details),
	OBJECT("input_tokens_details", openai_input_details),
	OBJECT("output_tokens_details", openai_output_details),
	MODALITIES("promptTokensDetails", METER_INPUT),
	MODALITIES("cacheTokensDetails", METER_CACHE_READ),
	MODALITIES("candidatesTokensDetails", METER_OUTPUT),
	RULE("service_tier", RULE_TIER),
	RULE("serviceTier", RULE_TIER),
	RULE("speed", RULE_TIER),
	RULE("inference_geo", RULE_REGION),
	RULE("iterations", RULE_ITERATIONS),
	ELSE(RULE_REPEATED)
};

/* Spring AI has the same words, and more. */
static const Rule ai_sdk_4_rules[] = {
	COUNT("promptTokens", METER_INPUT),
	COUNT("completionTokens", METER_OUTPUT),
	COUNT("generationTokens", METER_OUTPUT),
	RULE("totalTokens", RULE_TOTAL),
	EITHER("cacheReadInputTokens", METER_CACHE_READ),
	RULE("cacheWriteInputTokens", RULE_WRITTEN_ON_TOP, METER_CACHE_WRITE),
	OBJECT("nativeUsage", native_usage),
	COUNT("thoughtsTokenCount", METER_REASONING),	/* Gemini */
	COUNT("cachedContentTokenCount", METER_CACHE_READ),
	RULE("toolUsePromptTokenCount", RULE_EXTRA_INPUT),
	MODALITIES("promptTokensDetails", METER_INPUT),
	MODALITIES("toolUsePromptTokensDetails", METER_INPUT),
	MODALITIES("cacheTokensDetails", METER_CACHE_READ),
	MODALITIES("candidatesTokensDetails", METER_OUTPUT),
	RULE("trafficType", RULE_TIER),
	END
};

static const Rule ai_sdk_5_rules[] = {
	COUNT("inputTokens", METER_INPUT),
	COUNT("outputTokens", METER_OUTPUT),
	RULE("totalTokens", RULE_TOTAL),
	EITHER("cachedInputTokens", METER_CACHE_READ),
	COUNT("reasoningTokens", METER_REASONING),
	END
};

/* Of a result, or of a model, whose totals are objects. */
static const Rule ai_sdk_6_input[] = {
	COUNT("cacheReadTokens", METER_CACHE_READ),
	COUNT("cacheWriteTokens", METER_CACHE_WRITE),
	KNOWN("noCacheTokens"),
	COUNT("total", METER_INPUT),
	COUNT("cacheRead", METER_CACHE_READ),
	COUNT("cacheWrite", METER_CACHE_WRITE),
	KNOWN("noCache"),
	END
};

static const Rule ai_sdk_6_output[] = {
	COUNT("reasoningTokens", METER_REASONING),
	KNOWN("textTokens"),
	COUNT("total", METER_OUTPUT),
	COUNT("reasoning", METER_REASONING),
	KNOWN("text"),
	END
};

static const Rule ai_sdk_6_rules[] = {
	OBJECT("inputTokenDetails", ai_sdk_6_input),
	OBJECT("outputTokenDetails", ai_sdk_6_output),
	COUNT("cachedInputTokens", METER_CACHE_READ),
	OBJECT("raw", native_usage),
	ALSO(ai_sdk_5_rules)
};

static const Rule ai_sdk_6_model_rules[] = {
	OBJECT("inputTokens", ai_sdk_6_input),
	OBJECT("outputTokens", ai_sdk_6_output),
	OBJECT("raw", native_usage),
	END
};

/*
 * pydantic-ai: the ledger's convention, with all writes in one.  Its details
 * say again what the provider said.
 */
static const Rule pydantic_ai_details[] = {
	COUNT("reasoning_tokens", METER_REASONING),
	COUNT("thoughts_tokens", METER_REASONING),
	COUNT("thinking_tokens", METER_REASONING),
	QUANTITY("search_units", "search_units"),
	QUANTITY("classifications", "classifications"),
	PREFIX("advisor_", strangers),	/* of another model */
	ELSE(RULE_REPEATED)
};

static const Rule pydantic_ai_rules[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	COUNT("cache_read_tokens", METER_CACHE_READ),
	COUNT("cache_write_tokens", METER_CACHE_WRITE),
	RULE("cache_write_5m_tokens", RULE_WRITTEN_5M),
	COUNT("cache_write_1h_tokens", METER_CACHE_WRITE_1H),
	COUNT("input_audio_tokens", METER_INPUT_AUDIO),
	COUNT("input_image_tokens", METER_INPUT_IMAGE),
	COUNT("input_video_tokens", METER_INPUT_VIDEO),
	KNOWN("input_text_tokens"),
	COUNT("cache_audio_read_tokens", METER_CACHE_READ_AUDIO),
	COUNT("cache_image_read_tokens", METER_CACHE_READ_IMAGE),
	COUNT("cache_video_read_tokens", METER_CACHE_READ_VIDEO),
	KNOWN("cache_text_read_tokens"),
	COUNT("output_audio_tokens", METER_OUTPUT_AUDIO),
	COUNT("output_image_tokens", METER_OUTPUT_IMAGE),
	COUNT("output_video_tokens", METER_OUTPUT_VIDEO),
	COUNT("output_reasoning_tokens", METER_REASONING),
	KNOWN("output_text_tokens"),
	QUANTITY("web_searches", "web_search_requests"),
	COUNT("request_tokens", METER_INPUT),	/* before its first version */
	COUNT("response_tokens", METER_OUTPUT),
	RULE("total_tokens", RULE_TOTAL),
	OBJECT("details", pydantic_ai_details),
	KNOWN("requests"),			/* of a run, and the tools of its own */
	KNOWN("tool_calls"),
	END
};

static const Rule llamaindex_rules[] = {
	COUNT("prompt_llm_token_count", METER_INPUT),
	COUNT("completion_llm_token_count", METER_OUTPUT),
	RULE("total_llm_token_count", RULE_TOTAL),
	COUNT("prompt_token_count", METER_INPUT),
	COUNT("completion_token_count", METER_OUTPUT),
	RULE("total_token_count", RULE_TOTAL),
	KNOWN("prompt"),
	KNOWN("completion"),
	END
};

/*
 * .NET: Microsoft.Extensions.AI, and OpenAI's client, which Semantic Kernel
 * hands on.
 */
static const Rule microsoft_input[] = {
	COUNT("cachedTokenCount", METER_CACHE_READ),
	COUNT("audioTokenCount", METER_INPUT_AUDIO),
	KNOWN("textTokenCount"),
	COUNT("imageTokenCount", METER_INPUT_IMAGE),
	END
};

static const Rule microsoft_output[] = {
	COUNT("reasoningTokenCount", METER_REASONING),
	COUNT("audioTokenCount", METER_OUTPUT_AUDIO),
	KNOWN("textTokenCount"),
	KNOWN("acceptedPredictionTokenCount"),
	KNOWN("rejectedPredictionTokenCount"),
	END
};

static const Rule microsoft_additional[] = {
	PREFIX("InputTokenDetails.", microsoft_input),
	PREFIX("OutputTokenDetails.", microsoft_output),
	COUNT("cacheCreationInputTokens", METER_CACHE_WRITE),
	COUNT("cache_creation_input_tokens", METER_CACHE_WRITE),
	COUNT("cacheReadInputTokens", METER_CACHE_READ),
	COUNT("cache_read_input_tokens", METER_CACHE_READ),
	QUANTITY("webSearchRequests", "web_search_requests"),
	QUANTITY("webFetchRequests", "web_fetch_requests"),
	END
};

static const Rule microsoft_rules[] = {
	COUNT("inputTokenCount", METER_INPUT),
	COUNT("outputTokenCount", METER_OUTPUT),
	RULE("totalTokenCount", RULE_TOTAL),
	COUNT("cachedInputTokenCount", METER_CACHE_READ),
	COUNT("reasoningTokenCount", METER_REASONING),
	COUNT("inputAudioTokenCount", METER_INPUT_AUDIO),
	COUNT("outputAudioTokenCount", METER_OUTPUT_AUDIO),
	KNOWN("inputTextTokenCount"),
	KNOWN("outputTextTokenCount"),
	OBJECT("additionalCounts", microsoft_additional),
	OBJECT("inputTokenDetails", microsoft_input),
	OBJECT("outputTokenDetails", microsoft_output),
	END
};

/*
 * Langfuse: keys that exclude each other.
 */
static const Rule langfuse_rules[] = {
	COUNT("input", METER_INPUT),
	COUNT("output", METER_OUTPUT),
	RULE("total", RULE_TOTAL),
	COUNT("input_cached_tokens", METER_CACHE_READ),
	COUNT("input_cache_read", METER_CACHE_READ),
	COUNT("cache_read_input_tokens", METER_CACHE_READ),
	RULE("input_cache_creation", RULE_WRITTEN),
	RULE("input_cache_write", RULE_WRITTEN),
	RULE("cache_creation_input_tokens", RULE_WRITTEN),
	RULE("input_cache_creation_5m", RULE_WRITTEN),
	RULE("input_ephemeral_5m_input_tokens", RULE_WRITTEN),
	COUNT("input_cache_creation_1h", METER_CACHE_WRITE_1H),
	COUNT("input_ephemeral_1h_input_tokens", METER_CACHE_WRITE_1H),
	COUNT("input_audio_tokens", METER_INPUT_AUDIO),
	COUNT("input_audio", METER_INPUT_AUDIO),
	COUNT("input_modality_AUDIO", METER_INPUT_AUDIO),
	COUNT("input_image_tokens", METER_INPUT_IMAGE),
	COUNT("input_modality_IMAGE", METER_INPUT_IMAGE),
	RULE("input_text_tokens", RULE_EXTRA_INPUT),
	RULE("input_modality_TEXT", RULE_EXTRA_INPUT),
	COUNT("output_reasoning_tokens", METER_REASONING),
	COUNT("output_reasoning", METER_REASONING),
	COUNT("output_audio_tokens", METER_OUTPUT_AUDIO),
	COUNT("output_audio", METER_OUTPUT_AUDIO),
	COUNT("output_image_tokens", METER_OUTPUT_IMAGE),
	ADD("output_text_tokens", METER_OUTPUT),
	ADD("output_accepted_prediction_tokens", METER_OUTPUT),
	ADD("output_rejected_prediction_tokens", METER_OUTPUT),
	KNOWN("inputCost"),
	KNOWN("outputCost"),
	KNOWN("totalCost"),
	END
};

/*
 * OpenTelemetry's attributes of a span, flat, nested or in OTLP's list, as the
 * convention has them and as instrumentations write them; and OpenInference's,
 * which are of the same kind.  What is not usage among them says nothing here.
 */
static const Rule openinference_input[] = {
	EITHER("cache_read", METER_CACHE_READ),
	EITHER("cache_input", METER_CACHE_READ),
	EITHER("cache_write", METER_CACHE_WRITE),
	COUNT("audio", METER_INPUT_AUDIO),
	END
};

static const Rule openinference_output[] = {
	COUNT("reasoning", METER_REASONING),
	COUNT("audio", METER_OUTPUT_AUDIO),
	END
};

static const Rule openinference_counts[] = {
	COUNT("prompt", METER_INPUT),
	COUNT("completion", METER_OUTPUT),
	RULE("total", RULE_TOTAL),
	PREFIX("prompt_details.", openinference_input),
	PREFIX("completion_details.", openinference_output),
	OBJECT("prompt_details", openinference_input),
	OBJECT("completion_details", openinference_output),
	END
};

static const Rule otel_cache_read[] = {
	EITHER("input_tokens", METER_CACHE_READ),
	END
};

static const Rule otel_cache_creation[] = {
	EITHER("input_tokens", METER_CACHE_WRITE),
	END
};

static const Rule otel_reasoning[] = {
	COUNT("output_tokens", METER_REASONING),
	END
};

static const Rule otel_details[] = {
	EITHER("cache_read_tokens", METER_CACHE_READ),
	EITHER("cache_write_tokens", METER_CACHE_WRITE),
	EITHER("cache_read_input_tokens", METER_CACHE_READ),
	EITHER("cache_creation_input_tokens", METER_CACHE_WRITE),
	COUNT("input_audio_tokens", METER_INPUT_AUDIO),
	COUNT("cache_audio_read_tokens", METER_CACHE_READ_AUDIO),
	COUNT("output_audio_tokens", METER_OUTPUT_AUDIO),
	ALSO(pydantic_ai_details)
};

static const Rule otel_usage[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	PREFIX("cache_read.", otel_cache_read),
	PREFIX("cache_creation.", otel_cache_creation),
	PREFIX("reasoning.", otel_reasoning),
	PREFIX("details.", otel_details),
	RULE("total_tokens", RULE_TOTAL),
	COUNT("reasoning_tokens", METER_REASONING),
	EITHER("cache_read_input_tokens", METER_CACHE_READ),
	EITHER("cache_read_tokens", METER_CACHE_READ),
	EITHER("input_cached_tokens", METER_CACHE_READ),
	EITHER("input_tokens.cached", METER_CACHE_READ),	/* Sentry */
	EITHER("cache_creation_input_tokens", METER_CACHE_WRITE),
	EITHER("cache_write_tokens", METER_CACHE_WRITE),
	EITHER("input_cache_creation", METER_CACHE_WRITE),
	EITHER("input_tokens.cache_write", METER_CACHE_WRITE),
	COUNT("output_tokens.reasoning", METER_REASONING),
	COUNT("input_audio_tokens", METER_INPUT_AUDIO),
	COUNT("output_audio_tokens", METER_OUTPUT_AUDIO),
	KNOWN("input_text_tokens"),
	KNOWN("output_text_tokens"),
	EITHER("cached_prompt_text_tokens", METER_CACHE_READ),	/* xAI */
	COUNT("prompt_image_tokens", METER_INPUT_IMAGE),
	KNOWN("prompt_text_tokens"),
	COUNT("prompt_tokens", METER_INPUT),	/* before 2024-08 */
	COUNT("completion_tokens", METER_OUTPUT),
	PREFIX("prompt_details.", openinference_input),
	PREFIX("completion_details.", openinference_output),
	OBJECT("cache_read", otel_cache_read),
	OBJECT("cache_creation", otel_cache_creation),
	OBJECT("reasoning", otel_reasoning),
	OBJECT("details", otel_details),
	END
};

/* The AI SDK's own, beside the others, of which they are a repetition. */
static const Rule otel_ai_sdk[] = {
	PREFIX("inputTokenDetails.", ai_sdk_6_input),
	PREFIX("outputTokenDetails.", ai_sdk_6_output),
	COUNT("tokens", METER_INPUT),
	COUNT("promptTokens", METER_INPUT),
	COUNT("completionTokens", METER_OUTPUT),
	ALSO(ai_sdk_5_rules)
};

static const Rule otel_gen_ai[] = {
	OBJECT("usage", otel_usage),
	ELSE(RULE_KNOWN)
};

static const Rule otel_llm[] = {
	OBJECT("token_count", openinference_counts),
	OBJECT("usage", otel_usage),
	ELSE(RULE_KNOWN)
};

static const Rule otel_rules[] = {
	PREFIX("gen_ai.usage.", otel_usage),
	PREFIX("llm.token_count.", openinference_counts),
	PREFIX("llm.usage.", otel_usage),
	PREFIX("ai.usage.", otel_ai_sdk),
	RULE("openai.response.service_tier", RULE_TIER),
	RULE("gen_ai.openai.response.service_tier", RULE_TIER),
	OBJECT("gen_ai", otel_gen_ai),
	OBJECT("llm", otel_llm),
	ELSE(RULE_KNOWN)
};

/*
 * The ledger's own words; any other number is a meter of its own.
 */
static const Rule cost_ledger_rules[] = {
	COUNT("input_tokens", METER_INPUT),
	COUNT("output_tokens", METER_OUTPUT),
	COUNT("cache_read_tokens", METER_CACHE_READ),
	COUNT("cache_write_tokens", METER_CACHE_WRITE),
	COUNT("cache_write_1h_tokens", METER_CACHE_WRITE_1H),
	COUNT("reasoning_tokens", METER_REASONING),
	COUNT("input_audio_tokens", METER_INPUT_AUDIO),
	COUNT("input_image_tokens", METER_INPUT_IMAGE),
	COUNT("input_video_tokens", METER_INPUT_VIDEO),
	COUNT("cache_read_audio_tokens", METER_CACHE_READ_AUDIO),
	COUNT("cache_read_image_tokens", METER_CACHE_READ_IMAGE),
	COUNT("cache_read_video_tokens", METER_CACHE_READ_VIDEO),
	COUNT("cache_write_audio_tokens", METER_CACHE_WRITE_AUDIO),
	COUNT("output_audio_tokens", METER_OUTPUT_AUDIO),
	COUNT("output_image_tokens", METER_OUTPUT_IMAGE),
	COUNT("output_video_tokens", METER_OUTPUT_VIDEO),
	RULE("total_tokens", RULE_TOTAL),
	RULE("service_tier", RULE_TIER),
	ELSE(RULE_METER)
};

#define ALL_PARTS			(~(ON_TOP(METER_INPUT) | ON_TOP(METER_OUTPUT)))

const FormatInfo cl_formats[NUM_FORMATS] = {
	[FORMAT_OPENAI_CHAT] = {"openai_chat", openai_chat_rules, .response_rules = openai_chat_response_rules},
	[FORMAT_OPENAI_RESPONSES] = {"openai_responses", openai_responses_rules, .response_rules = openai_response_rules},
	[FORMAT_OPENAI_IMAGES] = {"openai_images", openai_responses_rules},
	[FORMAT_IMAGES] = {"images", images_rules},
	[FORMAT_TRANSCRIPTION] = {"transcription", transcription_rules},
	[FORMAT_VIDEO] = {"video", video_rules},
	[FORMAT_ANTHROPIC] = {"anthropic", anthropic_rules, ALL_CACHE},
	[FORMAT_GEMINI] = {"gemini", gemini_rules, ON_TOP(METER_REASONING), .response_rules = gemini_response_rules},
	[FORMAT_GEMINI_INTERACTIONS] = {"gemini_interactions", gemini_interactions_rules, ON_TOP(METER_REASONING)},
	[FORMAT_BEDROCK_CONVERSE] = {"bedrock_converse", bedrock_rules, ALL_CACHE},
	[FORMAT_BEDROCK_INVOKE] = {"bedrock_invoke", bedrock_invoke_rules, ALL_CACHE},
	[FORMAT_COHERE] = {"cohere", cohere_rules, ON_TOP(METER_INPUT_IMAGE)},
	[FORMAT_COHERE_TOKENS] = {"cohere_tokens", cohere_tokens_rules, ON_TOP(METER_INPUT_IMAGE)},
	[FORMAT_XAI] = {"xai", xai_rules, ON_TOP(METER_REASONING)},
	[FORMAT_PERPLEXITY] = {"perplexity", perplexity_rules, ON_TOP(METER_REASONING)},
	[FORMAT_VOYAGE] = {"voyage", total_tokens_rules},
	[FORMAT_JINA] = {"jina", total_tokens_rules},
	[FORMAT_OCR] = {"ocr", ocr_rules},
	[FORMAT_OPENROUTER_SDK] = {"openrouter_sdk", openrouter_sdk_rules},
	[FORMAT_OPENROUTER_GENERATION] = {"openrouter_generation", openrouter_generation_rules},
	[FORMAT_TGI] = {"tgi", tgi_rules},
	[FORMAT_TOKEN_COUNTS] = {"token_counts", token_count_rules, .on_top_of_anthropic = ALL_CACHE},
	[FORMAT_HELICONE] = {"helicone", helicone_rules, ON_TOP(METER_CACHE_WRITE) | ON_TOP(METER_CACHE_WRITE_1H)},
	[FORMAT_OPENCODE] = {"opencode", opencode_rules, ALL_CACHE | ON_TOP(METER_REASONING)},
	[FORMAT_AGNO] = {"agno", agno_rules, .on_top_of_anthropic = ALL_CACHE},
	[FORMAT_OLLAMA] = {"ollama", ollama_rules},
	[FORMAT_LITELLM] = {"litellm", openai_chat_rules},
	[FORMAT_LANGCHAIN] = {"langchain", openai_responses_rules},
	[FORMAT_LLAMAINDEX] = {"llamaindex", llamaindex_rules},
	[FORMAT_HAYSTACK] = {"haystack", openai_chat_rules},
	[FORMAT_HAYSTACK_BEDROCK] = {"haystack_bedrock", haystack_bedrock_rules, ALL_CACHE},
	[FORMAT_HAYSTACK_GEMINI] = {"haystack_gemini", haystack_gemini_rules, ON_TOP(METER_REASONING)},
	[FORMAT_PYDANTIC_AI] = {"pydantic_ai", pydantic_ai_rules},
	[FORMAT_OPENAI_AGENTS] = {"openai_agents", openai_responses_rules},
	[FORMAT_AI_SDK_4] = {"ai_sdk_4", ai_sdk_4_rules, .on_top_of_anthropic = ALL_CACHE, .response_rules = ai_sdk_response_rules},
	[FORMAT_AI_SDK_5] = {"ai_sdk_5", ai_sdk_5_rules, .on_top_of_anthropic = ALL_CACHE, .response_rules = ai_sdk_response_rules},
	[FORMAT_AI_SDK_6] = {"ai_sdk_6", ai_sdk_6_rules},
	[FORMAT_AI_SDK_6_MODEL] = {"ai_sdk_6_model", ai_sdk_6_model_rules},
	[FORMAT_AI_SDK_EMBEDDING] = {"ai_sdk_embedding", total_tokens_rules},
	[FORMAT_SPRING_AI] = {"spring_ai", ai_sdk_4_rules, .on_top_of_anthropic = ALL_CACHE},
	[FORMAT_MICROSOFT] = {"microsoft_extensions_ai", microsoft_rules},
	[FORMAT_SEMANTIC_KERNEL] = {"semantic_kernel", microsoft_rules},
	[FORMAT_LANGFUSE] = {"langfuse", langfuse_rules, ALL_PARTS},
	[FORMAT_OPENTELEMETRY] = {"opentelemetry", otel_rules},
	[FORMAT_OPENINFERENCE] = {"openinference", otel_rules},
	[FORMAT_COST_LEDGER] = {"cost_ledger", cost_ledger_rules},
};

/*
 * Whether a key is that of a rule, also where it begins with a capital, as .NET
 * writes it: most others are told from it by their length or first letter.
 */
static inline bool
is_key(const Rule *rule, const char *key, int len)
{
	return rule->len == len && ((rule->key[0] ^ key[0]) & ~0x20) == 0 &&
		memcmp(rule->key + 1, key + 1, len - 1) == 0;
}

/*
 * What a key means, or NULL where that is not known.
 */
const Rule *
cl_find_rule(const Rule *rule, const char *key, int len)
{
	for (;;)
	{
		if (rule->key == NULL)
		{
			if (rule->rules)
				rule = rule->rules;
			else
				return rule->len > 0 ? rule : NULL;
		}
		else if (rule->kind == RULE_PREFIX)
		{
			if (len > rule->len && memcmp(rule->key, key, rule->len) == 0)
			{
				key += rule->len;
				len -= rule->len;
				rule = rule->rules;
			}
			else
				rule++;
		}
		else if (is_key(rule, key, len))
			return rule;
		else
			rule++;
	}
}

/*
 * The names of all formats, for hints.
 */
char *
cl_format_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < NUM_FORMATS; i++)
		appendStringInfo(&names, "%s%s", cl_formats[i].name,
						 i < NUM_FORMATS - 2 ? ", " : i == NUM_FORMATS - 2 ? " and " : "");
	return names.data;
}

int
cl_format_by_name(const char *name)
{
	for (int i = 0; i < NUM_FORMATS; i++)
	{
		if (strcmp(cl_formats[i].name, name) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown usage format \"%s\"", name),
			 errhint("Known formats are %s.", cl_format_names())));
	return FORMAT_UNKNOWN;		/* not reached */
}

static bool
ends_with(const char *key, int len, const char *end)
{
	int			end_len = strlen(end);

	return len > end_len && memcmp(key + len - end_len, end, end_len) == 0;
}

/*
 * Whether a key counts tokens, by its name.
 */
bool
cl_names_tokens(const char *key, int len)
{
	return ends_with(key, len, "_tokens") || ends_with(key, len, "Tokens") ||
		ends_with(key, len, "TokenCount") || ends_with(key, len, "_token_count");
}

/*
 * Whether a key of a whole response stands for usage, by its name.
 */
bool
cl_names_usage(const char *key, int len)
{
	return cl_names_tokens(key, len) ||
		(len == 6 && memcmp(key, "tokens", 6) == 0) ||
		(len == 5 && memcmp(key, "usage", 5) == 0);
}

/* What pydantic-ai calls the counts of Anthropic's passes and of modalities. */
static const Rule pydantic_ai_repetitions[] = {
	KNOWN("message_iterations"),
	PREFIX("compaction_", nothing_new),
	KNOWN("cached_content_tokens"),
	KNOWN("tool_use_prompt_tokens"),
	PREFIX("text_", nothing_new),
	PREFIX("document_", nothing_new),
	KNOWN("image_prompt_tokens"),
	KNOWN("audio_prompt_tokens"),
	KNOWN("video_prompt_tokens"),
	KNOWN("image_cache_tokens"),
	KNOWN("audio_cache_tokens"),
	KNOWN("video_cache_tokens"),
	KNOWN("image_candidates_tokens"),
	KNOWN("audio_candidates_tokens"),
	KNOWN("video_candidates_tokens"),
	END
};

/*
 * Whether some provider's usage object has this key, or what follows its last
 * dot: what repeats one for a library has been read from the library's words.
 */
bool
cl_is_word_of_provider(const char *key, int len)
{
	static const Rule *const tables[] = {
		openai_chat_rules, openai_responses_rules, openai_input_details, openai_output_details,
		anthropic_rules, gemini_rules, bedrock_rules, cohere_billed_units, lifetimes,
		pydantic_ai_repetitions
	};

	for (int i = len - 1; i >= 0; i--)
	{
		if (key[i] == '.')
		{
			key += i + 1;
			len -= i + 1;
			break;
		}
	}
	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		if (cl_find_rule(tables[i], key, len))
			return true;
	}
	return false;
}

/*
 * Numbers that providers and libraries put beside counts: money, times and
 * speeds.  In the order of strcmp().
 */
static const char *const no_counts[] = {
	"acceptance_rate",
	"completion_time",
	"completion_tokens_after_first_per_sec",
	"completion_tokens_after_first_per_sec_first_ten",
	"completion_tokens_after_first_per_sec_graph",
	"completion_tokens_per_sec",
	"cost",
	"costUSD",
	"cost_details",
	"cost_estimate",
	"cost_in_nano_usd",
	"cost_in_usd_ticks",
	"created",
	"created_at",
	"duration_ms",
	"end_time",
	"estimated_cost",
	"eval_duration",
	"firstByteLatency",
	"id",
	"inputCost",
	"invocationLatency",
	"latency",
	"latencyMs",
	"latency_ms",
	"load_duration",
	"model",
	"outputCost",
	"prompt_eval_duration",
	"prompt_time",
	"pydantic_ai_gateway",
	"queue_time",
	"response_time",
	"start_time",
	"time_info",
	"time_to_first_token",
	"timestamp",
	"timings",
	"totalCost",
	"total_cost",
	"total_duration",
	"total_latency",
	"total_time",
	"total_tokens_per_sec",
	"ttft",
};

bool
cl_names_no_count(const char *key, int len)
{
	int			low = 0;
	int			high = lengthof(no_counts);

	if (ends_with(key, len, "_cost") || ends_with(key, len, "_id"))
		return true;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const char *word = no_counts[middle];
		int			order = strncmp(key, word, len);

		if (order == 0)
			order = word[len] == '\0' ? 0 : -1;
		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}
