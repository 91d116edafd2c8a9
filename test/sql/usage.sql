--
-- What providers report, in the ledger's words.
--
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger();
CREATE FUNCTION pg_temp.n(usage jsonb, format text DEFAULT NULL, provider text DEFAULT NULL) RETURNS jsonb
LANGUAGE sql AS 'SELECT cost_ledger.normalize_usage(usage, format, provider)';
-- with what call.usage_status will say
CREATE FUNCTION pg_temp.s(usage jsonb, format text DEFAULT NULL, provider text DEFAULT NULL, OUT status text, OUT n jsonb)
LANGUAGE sql AS 'SELECT cost_ledger.usage_status(usage, format, provider), cost_ledger.normalize_usage(usage, format, provider)';

-- OpenAI chat: cached and reasoning tokens lie inside the totals
SELECT pg_temp.n('{"prompt_tokens": 5800, "completion_tokens": 600, "total_tokens": 6400,
                   "prompt_tokens_details": {"cached_tokens": 5000, "audio_tokens": 0},
                   "completion_tokens_details": {"reasoning_tokens": 500, "accepted_prediction_tokens": 0}}');
SELECT pg_temp.n('{"prompt_tokens": 4020, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 4012}}');
SELECT pg_temp.n('{"prompt_tokens": 8, "total_tokens": 8}') AS embeddings;
SELECT pg_temp.n('{"prompt_tokens": 8, "completion_tokens": null}') AS null_is_absent;
-- audio, images and video too; how many of the cached are audio is not told
SELECT * FROM pg_temp.s('{"prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300,
                   "prompt_tokens_details": {"cached_tokens": 100, "text_tokens": 500, "audio_tokens": 300, "image_tokens": 150, "video_tokens": 50},
                   "completion_tokens_details": {"reasoning_tokens": 20, "text_tokens": 80, "audio_tokens": 200, "image_tokens": 7, "video_tokens": 13}}');
-- cached and audio exceed the input by 200: at least so many are both
SELECT * FROM pg_temp.s('{"prompt_tokens": 1000, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 900, "audio_tokens": 300}}');
-- OpenAI responses, realtime, images, transcription
SELECT pg_temp.n('{"input_tokens": 5800, "output_tokens": 600, "total_tokens": 6400,
                   "input_tokens_details": {"cached_tokens": 5000}, "output_tokens_details": {"reasoning_tokens": 500}}');
SELECT pg_temp.n('{"input_tokens": 10, "output_tokens": 600, "output_tokens_details": {"reasoning_tokens": 500}}');
SELECT * FROM pg_temp.s('{"type": "response.done", "response": {"usage": {"total_tokens": 1150, "input_tokens": 1000, "output_tokens": 150,
                   "input_token_details": {"text_tokens": 400, "audio_tokens": 600, "cached_tokens": 450, "cached_tokens_details": {"text_tokens": 350, "audio_tokens": 100}},
                   "output_token_details": {"text_tokens": 50, "audio_tokens": 100}}}}');
SELECT * FROM pg_temp.s('{"input_tokens": 350, "output_tokens": 1056, "total_tokens": 1406, "input_tokens_details": {"text_tokens": 27, "image_tokens": 323}}');
SELECT pg_temp.n('{"type": "duration", "seconds": 27}');
-- Anthropic: cache reads and writes come on top of input_tokens
SELECT pg_temp.n('{"input_tokens": 800, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 0, "output_tokens": 600}');
SELECT pg_temp.n('{"input_tokens": 800, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 300,
                   "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}, "output_tokens": 600}');
-- a write whose lifetime is not told is one of 5 minutes
SELECT * FROM pg_temp.s('{"input_tokens": 800, "cache_creation_input_tokens": 300,
                   "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 50}, "output_tokens": 600}');
-- lifetimes that exceed the writes: all of them
SELECT * FROM pg_temp.s('{"input_tokens": 800, "cache_creation_input_tokens": 100,
                   "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 50}, "output_tokens": 600}');
SELECT * FROM pg_temp.s('{"input_tokens": 800, "cache_creation": {"ephemeral_1h_input_tokens": 50}, "output_tokens": 600}');
SELECT pg_temp.n('{"input_tokens": 800, "output_tokens": 600, "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0}}');
SELECT pg_temp.n('{"input_tokens": 800, "output_tokens": 600, "output_tokens_details": {"thinking_tokens": 400}}');
-- a compaction is billed beside the message: 180 + (100 + 55096) in, 8 + 82 out
SELECT * FROM pg_temp.s('{"input_tokens": 180, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 8, "iterations": [
                   {"type": "compaction", "input_tokens": 100, "cache_creation_input_tokens": 55096, "cache_creation": {"ephemeral_5m_input_tokens": 55096}, "output_tokens": 82},
                   {"type": "message", "input_tokens": 180, "output_tokens": 8}]}');
-- an advisor is another model
SELECT * FROM pg_temp.s('{"input_tokens": 2482, "cache_read_input_tokens": 0, "output_tokens": 166, "iterations": [
                   {"type": "message", "input_tokens": 1128, "output_tokens": 155}, {"type": "advisor_message", "model": "another", "input_tokens": 2564, "output_tokens": 99},
                   {"type": "message", "input_tokens": 1354, "output_tokens": 11}]}');
-- Gemini: thoughts on top of the candidates, tool prompts on top of the prompt
SELECT * FROM pg_temp.s('{"modelVersion": "gemini", "usageMetadata": {"promptTokenCount": 500, "toolUsePromptTokenCount": 80, "cachedContentTokenCount": 300, "candidatesTokenCount": 60, "thoughtsTokenCount": 40, "totalTokenCount": 680,
                   "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 200}, {"modality": "AUDIO", "tokenCount": 150}, {"modality": "IMAGE", "tokenCount": 60}, {"modality": "DOCUMENT", "tokenCount": 40}, {"modality": "VIDEO", "tokenCount": 50}],
                   "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 80}],
                   "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 220}, {"modality": "AUDIO", "tokenCount": 50}, {"modality": "VIDEO", "tokenCount": 30}],
                   "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 10}, {"modality": "IMAGE", "tokenCount": 50}]}}');
SELECT pg_temp.n('{"promptTokenCount": 500, "candidatesTokenCount": 60, "thoughtsTokenCount": 40}');
-- its Python client
SELECT * FROM pg_temp.s('{"usage_metadata": {"prompt_token_count": 500, "cached_content_token_count": 300, "candidates_token_count": 60, "thoughts_token_count": 40, "total_token_count": 600,
                   "prompt_tokens_details": [{"modality": "TEXT", "token_count": 350}, {"modality": "AUDIO", "token_count": 150}]}}');
-- embeddings; no answer but thoughts
SELECT * FROM pg_temp.s('{"usageMetadata": {"promptTokenCount": 7, "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 7}]}}');
SELECT * FROM pg_temp.s('{"promptTokenCount": 15, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 15}], "thoughtsTokenCount": 2, "totalTokenCount": 17}');
-- 66 of 343 without a modality; a modality of the future
SELECT * FROM pg_temp.s('{"promptTokenCount": 343, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 277}], "candidatesTokenCount": 1, "totalTokenCount": 344}');
SELECT * FROM pg_temp.s('{"promptTokenCount": 343, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 277}, {"modality": "SMELL", "tokenCount": 66}], "candidatesTokenCount": 1}');
-- Bedrock Converse: cache reads and writes on top of inputTokens; some fields come twice
SELECT * FROM pg_temp.s('{"inputTokens": 3, "cacheReadInputTokens": 1000, "cacheReadInputTokenCount": 1000, "cacheWriteInputTokens": 2074, "cacheWriteInputTokenCount": 2074, "outputTokens": 288, "totalTokens": 3365,
                   "cacheDetails": [{"ttl": "5m", "inputTokens": 74}, {"ttl": "1h", "inputTokens": 2000}], "serverToolUsage": {}}');
SELECT * FROM pg_temp.s('{"inputTokens": 3, "cacheWriteInputTokens": 5, "outputTokens": 2, "cacheDetails": [{"ttl": "24h", "inputTokens": 5}]}');
-- counts that differ: the larger
SELECT * FROM pg_temp.s('{"inputTokens": 3, "cacheReadInputTokens": 1000, "cacheReadInputTokenCount": 1001, "outputTokens": 288}');
SELECT pg_temp.n('{"inputTextTokenCount": 5, "embedding": [0.5]}');
-- Cohere: what it bills; images beside the text; what it counts
SELECT pg_temp.n('{"usage": {"billed_units": {"input_tokens": 2406, "output_tokens": 2}, "tokens": {"input_tokens": 2935, "output_tokens": 4}, "cached_tokens": 2928}}');
SELECT pg_temp.n('{"meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4, "image_tokens": 100, "search_units": 2}}}');
SELECT pg_temp.n('{"usage": {"billed_units": {"input_tokens": 2406, "output_tokens": 2}, "tokens": {"input_tokens": 2935, "output_tokens": 4}, "cached_tokens": 2928}}', 'cohere_tokens');
-- OpenTelemetry, flat and nested
SELECT * FROM pg_temp.s('{"attributes": {"gen_ai.system": "openai", "gen_ai.request.max_tokens": 4096, "gen_ai.usage.input_tokens": 5800, "gen_ai.usage.cache_read.input_tokens": 5000,
                   "gen_ai.usage.cache_creation.input_tokens": 300, "gen_ai.usage.output_tokens": 600, "gen_ai.usage.reasoning.output_tokens": 500}}');
SELECT * FROM pg_temp.s('{"gen_ai": {"system": "openai", "usage": {"input_tokens": 5800, "output_tokens": 600, "cache_read": {"input_tokens": 5000}, "cache_creation": {"input_tokens": 300}, "reasoning": {"output_tokens": 500}}}}');
-- DeepSeek, Together, Mistral, Groq in a stream
SELECT * FROM pg_temp.s('{"prompt_tokens": 563, "completion_tokens": 116, "total_tokens": 679, "prompt_cache_hit_tokens": 512, "prompt_cache_miss_tokens": 51}');
SELECT * FROM pg_temp.s('{"prompt_tokens": 563, "completion_tokens": 116, "total_tokens": 679, "cached_tokens": 512}');
SELECT * FROM pg_temp.s('{"prompt_tokens": 77, "completion_tokens": 12, "total_tokens": 89, "num_cached_tokens": 76}');
SELECT * FROM pg_temp.s('{"choices": [], "usage": null, "x_groq": {"usage": {"queue_time": 0.04, "prompt_tokens": 44, "completion_tokens": 20, "total_tokens": 64}}}');
-- xAI: reasoning on top, said by the provider or by the total
SELECT * FROM pg_temp.s('{"prompt_tokens": 32, "completion_tokens": 9, "prompt_tokens_details": {"text_tokens": 32, "cached_tokens": 6}, "completion_tokens_details": {"reasoning_tokens": 94}}', provider => 'x-ai');
SELECT * FROM pg_temp.s('{"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135, "completion_tokens_details": {"reasoning_tokens": 94}}', provider => 'xai');
SELECT * FROM pg_temp.s('{"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135, "completion_tokens_details": {"reasoning_tokens": 94}}');
SELECT * FROM pg_temp.s('{"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 41, "completion_tokens_details": {"reasoning_tokens": 5}}');
SELECT cost_ledger.usage_status('{"prompt_tokens": 32, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 94}}') AS without_either;
-- Perplexity: so are reasoning and citations, which its total leaves out
SELECT * FROM pg_temp.s('{"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196, "citation_tokens": 20016, "num_search_queries": 28, "reasoning_tokens": 95305}');
SELECT * FROM pg_temp.s('{"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196, "reasoning_tokens": 10}', provider => 'perplexity');
-- Voyage counts one thing
SELECT * FROM pg_temp.s('{"usage": {"total_tokens": 120}}', provider => 'voyageai');
-- our own convention passes unchanged; a whole response has its usage inside
SELECT pg_temp.n('{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "web_search_requests": 1}');
SELECT pg_temp.n('{"id": "msg_1", "model": "claude", "usage": {"input_tokens": 800, "cache_read_input_tokens": 5000, "output_tokens": 600}}');
SELECT pg_temp.n('{"type": "message_start", "message": {"usage": {"input_tokens": 800, "cache_read_input_tokens": 5000, "output_tokens": 1}}}');
-- a named format is believed: these tokens would be Anthropic's by their shape
SELECT pg_temp.n('{"input_tokens": 800, "output_tokens": 600}', 'openai_responses');
SELECT pg_temp.n(NULL) IS NULL AS nothing, cost_ledger.usage_status(NULL) IS NULL AS nothing;

-- the same tokens, whoever reports them
SELECT count(DISTINCT pg_temp.n(usage)) AS one
FROM (VALUES ('{"prompt_tokens": 5800, "completion_tokens": 600, "prompt_tokens_details": {"cached_tokens": 5000}}'::jsonb),
             ('{"input_tokens": 5800, "output_tokens": 600, "total_tokens": 6400, "input_tokens_details": {"cached_tokens": 5000}}'),
             ('{"input_tokens": 800, "cache_read_input_tokens": 5000, "output_tokens": 600}'),
             ('{"promptTokenCount": 5800, "cachedContentTokenCount": 5000, "candidatesTokenCount": 600, "totalTokenCount": 6400}'),
             ('{"inputTokens": 800, "cacheReadInputTokens": 5000, "outputTokens": 600, "totalTokens": 6400}'),
             ('{"gen_ai.usage.input_tokens": 5800, "gen_ai.usage.cache_read.input_tokens": 5000, "gen_ai.usage.output_tokens": 600}'),
             ('{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}')) AS v (usage);

-- what does not explain itself is priced inside its total: an unknown kind, an
-- unknown total, a breakdown that leaves a rest, something else than expected
SELECT usage, cost_ledger.usage_status(usage) AS status
FROM (VALUES ('{"prompt_tokens": 10, "completion_tokens": 5, "haptic_tokens": 1}'::jsonb),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "haptic_tokens": 0}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"haptic_tokens": 1}}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "latency_ms": 1, "model_load": {"b": [[[]]]}}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 16}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 14}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"text_tokens": 9}}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"text_tokens": 0, "image_tokens": 0}}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": null}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": [1]}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": 7}'),
             ('{"prompt_tokens": 10, "cached_tokens": 4, "prompt_cache_hit_tokens": 5}'),
             ('{"input_tokens": 10, "output_tokens": 5, "server_tool_use": {"input_tokens": 9}}'),
             ('{"input_tokens": 10, "output_tokens": 5, "server_tool_use": {"requests": 9}}'),
             ('{"input_tokens": 10, "output_tokens": 5, "server_tool_use": {"usage": 9}}'),
             ('{"input_tokens": 10, "output_tokens": 5, "iterations": {"type": "message"}}'),
             ('{"input_tokens": 10, "output_tokens": 5, "iterations": [[[]], 7, null]}'),
             ('{"input_tokens": 10, "output_tokens": 5, "iterations": [{"type": "message"}]}'),
             ('{"promptTokenCount": 10, "promptTokensDetails": {"modality": "TEXT", "tokenCount": 10}}'),
             ('{"promptTokenCount": 10, "promptTokensDetails": []}'),
             ('{"promptTokenCount": 10, "cachedContentTokenCount": 5, "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 4}]}'),
             ('{"promptTokenCount": 10, "candidatesTokenCount": 5, "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 4}]}'),
             ('{"input_tokens": 10, "output_tokens": 5, "iterations": [{"type": "compaction", "cache_creation_input_tokens": 3, "cache_creation": {"ephemeral_5m_input_tokens": 2}}]}'),
             ('{"promptTokenCount": 10, "promptTokensDetails": [{"tokenCount": 10}]}'),
             ('{"promptTokenCount": 10, "promptTokensDetails": [{"modality": ["TEXT"], "tokenCount": 10}]}'),
             ('{"gen_ai.usage.input_tokens": 10, "gen_ai.usage.haptic.input_tokens": 1}')) AS v (usage);

-- contradictions, and what is no usage: recorded, not priced
SELECT usage, cost_ledger.usage_status(usage) AS status
FROM (VALUES ('{}'::jsonb), ('[]'), ('5'), ('null'), ('"prompt_tokens"'), ('{"tokens": [5]}'), ('{"usage": {}}'), ('{"usage": []}'),
             ('{"usage": {"usage": {"usage": {"usage": {"usage": {"prompt_tokens": 1}}}}}}'),
             ('{"total_tokens": 120}'),
             ('{"prompt_tokens": null}'),
             ('{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6}}'),
             ('{"prompt_tokens": 10, "prompt_tokens_details": {"audio_tokens": 6, "image_tokens": 5}}'),
             ('{"promptTokenCount": 10, "cachedContentTokenCount": 20}'),
             ('{"promptTokenCount": 10, "cachedContentTokenCount": 5, "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}]}'),
             ('{"candidatesTokenCount": 10, "totalTokenCount": 10, "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 11}]}')) AS v (usage);
SELECT pg_temp.n('{}');
SELECT pg_temp.n('[]');
SELECT pg_temp.n('5');
SELECT pg_temp.n('{"tokens": [5]}');
SELECT pg_temp.n('{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}');
SELECT pg_temp.n('{"prompt_tokens": 1}', 'anthropic');
SELECT pg_temp.n('{"prompt_tokens": 1}', 'no_such_format');

-- a count that is none is no reason to lose the call: without a total nothing is
-- priced, a part is priced inside it; digits in a text are a count
SELECT usage, cost_ledger.usage_status(usage) AS status
FROM (VALUES ('{"prompt_tokens": -1, "completion_tokens": 1}'::jsonb),
             ('{"prompt_tokens": 1.5, "completion_tokens": 1}'),
             ('{"prompt_tokens": "1", "completion_tokens": 1}'),
             ('{"prompt_tokens": "one", "completion_tokens": 1}'),
             ('{"prompt_tokens": "-1", "completion_tokens": 1}'),
             ('{"prompt_tokens": "", "completion_tokens": 1}'),
             ('{"prompt_tokens": true, "completion_tokens": 1}'),
             ('{"prompt_tokens": {"a": 1}, "completion_tokens": 1}'),
             ('{"prompt_tokens": 1e30, "completion_tokens": 1}'),
             ('{"prompt_tokens": 1000000000001, "completion_tokens": 1}'),
             ('{"prompt_tokens": "1000000000000000000000000000000000000000000000", "completion_tokens": 1}'),
             ('{"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": -1}'),
             ('{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": [1]}}'),
             ('{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": -1}}'),
             ('{"input_tokens": 10, "cache_read_input_tokens": -1, "output_tokens": 1}'),
             ('{"input_tokens": 1000000000000, "cache_read_input_tokens": 1000000000000, "output_tokens": 1}'),
             ('{"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": -1}}'),
             ('{"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 1e13}}'),
             ('{"promptTokenCount": 10, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": -1}]}'),
             ('{"inputTokens": 10, "outputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": 0.5}]}'),
             ('{"input_tokens": 1, "cache_read_tokens": 1, "reasoning_tokens": "many"}'),
             ('{"seconds": "a few"}')) AS v (usage);
SELECT cost_ledger.usage_status(jsonb_build_object('promptTokenCount', 10, 'promptTokensDetails',
       (SELECT jsonb_agg('{"modality": "AUDIO", "tokenCount": 1000000000000}'::jsonb) FROM generate_series(1, 5000)))) AS too_many;
-- no number that nobody knows is final: in the details, beside them, deep inside
SELECT usage, cost_ledger.usage_status(usage) AS status
FROM (VALUES ('{"prompt_tokens": 1000, "completion_tokens": 1, "prompt_tokens_details": {"cached": 500}}'::jsonb),
             ('{"input_tokens": 1000, "output_tokens": 1, "total_tokens": 1001, "input_token_details": {"cached": 500}}'),
             ('{"input_tokens": 1000, "output_tokens": 1, "cache_creation": {"ephemeral_24h_input_tokens": 500}}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 20}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "haptics": 1}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "haptics": {"a": [{"b": 0}, {"b": 2}]}}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "haptic_tokens": "2"}'),
             ('{"promptTokenCount": 10, "candidatesTokenCount": 5, "haptics": 1}'),
             ('{"inputTokens": 10, "outputTokens": 5, "haptics": 1}'),
             ('{"billed_units": {"input_tokens": 10, "output_tokens": 5, "haptics": 1}}'),
             ('{"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.haptics": 1}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "haptics": 0, "model": "7", "cached": true, "nothing": {"a": 0}}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.01, "cost_details": {"upstream_inference_cost": 0.01}, "latency_ms": 812, "total_time": 0.2}'),
             ('{"prompt_tokens": 10, "completion_tokens": 5, "timings": {"prompt_ms": 3.5}, "x": {"latency_ms": 7}}'),
             ('{"completion_tokens": 5}')) AS v (usage);
-- the most there can be; whole numbers however they are written; the last of two equal keys
SELECT pg_temp.n('{"prompt_tokens": 999999999000, "completion_tokens": 1e3, "total_tokens": 1000000000000}');
SELECT pg_temp.n('{"prompt_tokens": 10.0, "completion_tokens": 7, "completion_tokens": 8}');
-- depth and length alone do no harm
SELECT cost_ledger.usage_status((repeat('{"usage": ', 1000) || '1' || repeat('}', 1000))::jsonb) AS deep,
       cost_ledger.usage_status((repeat('{"input_tokens": 1, "iterations": [', 1000) || '1' || repeat(']}', 1000))::jsonb) AS deeper,
       cost_ledger.usage_status(('{"input_tokens": 1, "output_tokens": 1, "iterations": [' || repeat('{"type": "compaction", "iterations": [', 1000) || repeat(']}', 1000) || ']}')::jsonb) AS compactions,
       cost_ledger.usage_status(jsonb_build_object('input_tokens', 1, 'output_tokens', 1, repeat('x', 100000), 7)) AS long,
       cost_ledger.usage_status(jsonb_build_object('promptTokenCount', 100000, 'promptTokensDetails',
           (SELECT jsonb_agg('{"modality": "AUDIO", "tokenCount": 1}'::jsonb) FROM generate_series(1, 100000)))) AS many;

-- a row says what the object says beside its counts: class, region and cost
SELECT cost_ledger.set_price('openrouter', 'm', '{"input_tokens": 1, "output_tokens": 2}', '2026-01-01') IS NOT NULL AS set;
CREATE FUNCTION pg_temp.row(provider text, usage jsonb, OUT service_class text, OUT region text, OUT reported_cost numeric, OUT cost numeric, OUT usage_status text)
LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage) VALUES ('2026-02-01', provider, 'm', usage)
    RETURNING service_class, region, reported_cost, cost, usage_status
$$;
-- 10 x 1 + 5 x 2 per million is 0.00002
SELECT r.*, usage
FROM (VALUES (1, '{"prompt_tokens": 10, "completion_tokens": 5}'::jsonb),
             (2, '{"prompt_tokens": 10, "completion_tokens": 5, "service_tier": "auto"}'),
             (3, '{"prompt_tokens": 10, "completion_tokens": 5, "service_tier": "flex"}'),
             (4, '{"service_tier": "priority", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}'),
             (5, '{"promptTokenCount": 10, "candidatesTokenCount": 5, "serviceTier": "standard", "trafficType": "ON_DEMAND"}'),
             (6, '{"promptTokenCount": 10, "candidatesTokenCount": 5, "trafficType": "PROVISIONED_THROUGHPUT"}'),
             (7, '{"promptTokenCount": 10, "candidatesTokenCount": 5, "trafficType": "ON_DEMAND_FLEX"}'),
             (8, '{"usage": {"inputTokens": 10, "outputTokens": 5}, "serviceTier": {"type": "priority"}}'),
             (9, '{"input_tokens": 10, "output_tokens": 5, "service_tier": "standard", "speed": "fast"}'),
             (10, '{"input_tokens": 10, "output_tokens": 5, "service_tier": 7, "inference_geo": "us"}'),
             (11, '{"input_tokens": 10, "output_tokens": 5, "inference_geo": "not_available"}'),
             (12, '{"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.00003, "is_byok": false}'),
             (13, '{"prompt_tokens": 10, "completion_tokens": 5, "cost": 1.5e-05}'),
             (14, '{"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.000001, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.00002}}'),
             (15, '{"prompt_tokens": 10, "completion_tokens": 5, "cost": -1, "is_byok": false}'),
             (16, '{"prompt_tokens": 10, "completion_tokens": 5, "cost": "free", "is_byok": false}')) AS v (n, usage),
     LATERAL pg_temp.row('openrouter', usage) AS r
ORDER BY n;
-- others may count in roubles; Perplexity counts in dollars
SELECT (pg_temp.row('polza', '{"prompt_tokens": 10, "completion_tokens": 5, "cost": 15.75}')).reported_cost AS other,
       (pg_temp.row('polza', '{"prompt_tokens": 10, "completion_tokens": 5, "cost": 15.75, "is_byok": false}')).reported_cost AS openrouter_by_shape,
       (pg_temp.row('perplexity', '{"prompt_tokens": 10, "completion_tokens": 5, "cost": {"input_tokens_cost": 0.1, "output_tokens_cost": 0.2, "request_cost": 0.006, "total_cost": 0.306}}')).reported_cost AS perplexity;
-- what the client says stands
INSERT INTO cost_ledger.call (called_at, provider, model, service_class, region, reported_cost, raw_usage)
VALUES ('2026-02-01', 'openrouter', 'm', 'standard', 'eu', 7, '{"usage": {"prompt_tokens": 10, "completion_tokens": 5, "cost": 1, "is_byok": false}, "service_tier": "flex"}')
RETURNING service_class, region, reported_cost, cost;
-- modalities are kept in other_usage; the provider of the row decides
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage)
VALUES ('2026-02-01', 'openrouter', 'm', '{"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"audio_tokens": 4, "video_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 3}}'),
       ('2026-02-01', 'x-ai', 'm', '{"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 3}}')
RETURNING input_tokens, output_tokens, reasoning_tokens, other_usage, usage_status;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
-- dollars are not compared with euros
SELECT cost_ledger.create_ledger(currency => 'EUR');
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage)
VALUES ('2026-02-01', 'openrouter', 'm', '{"prompt_tokens": 10, "completion_tokens": 5, "cost": 1, "is_byok": false}')
RETURNING reported_cost;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
