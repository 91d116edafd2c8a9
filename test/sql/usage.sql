--
-- What providers report, in the ledger's words.
--
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.n(usage jsonb, format text DEFAULT NULL) RETURNS jsonb
LANGUAGE sql AS 'SELECT cost_ledger.normalize_usage(usage, format)';

-- OpenAI chat: cached and reasoning tokens lie inside the totals
SELECT pg_temp.n('{"prompt_tokens": 5800, "completion_tokens": 600, "total_tokens": 6400,
                   "prompt_tokens_details": {"cached_tokens": 5000, "audio_tokens": 0},
                   "completion_tokens_details": {"reasoning_tokens": 500, "accepted_prediction_tokens": 0}}');
SELECT pg_temp.n('{"prompt_tokens": 4020, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 4012}}');
SELECT pg_temp.n('{"prompt_tokens": 8, "total_tokens": 8}') AS embeddings;
SELECT pg_temp.n('{"prompt_tokens": 8, "completion_tokens": null}') AS null_is_absent;
-- OpenAI responses
SELECT pg_temp.n('{"input_tokens": 5800, "output_tokens": 600, "total_tokens": 6400,
                   "input_tokens_details": {"cached_tokens": 5000}, "output_tokens_details": {"reasoning_tokens": 500}}');
-- Anthropic: cache reads and writes come on top of input_tokens
SELECT pg_temp.n('{"input_tokens": 800, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 0, "output_tokens": 600}');
SELECT pg_temp.n('{"input_tokens": 800, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 300,
                   "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}, "output_tokens": 600}');
-- a write whose lifetime is not told is one of 5 minutes
SELECT pg_temp.n('{"input_tokens": 800, "cache_creation_input_tokens": 300,
                   "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 50}, "output_tokens": 600}');
SELECT pg_temp.n('{"input_tokens": 800, "cache_creation": {"ephemeral_1h_input_tokens": 50}, "output_tokens": 600}');
SELECT pg_temp.n('{"input_tokens": 800, "output_tokens": 600, "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0}}');
SELECT pg_temp.n('{"input_tokens": 800, "cache_read_input_tokens": 5000, "output_tokens": 600, "output_tokens_details": {"thinking_tokens": 400}}');
-- our own convention passes unchanged; a whole response has its usage inside
SELECT pg_temp.n('{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "web_search_requests": 1}');
SELECT pg_temp.n('{"id": "msg_1", "model": "claude", "usage": {"input_tokens": 800, "cache_read_input_tokens": 5000, "output_tokens": 600}}');
-- a named format is believed: these tokens would be Anthropic's by their shape
SELECT pg_temp.n('{"input_tokens": 800, "output_tokens": 600}', 'openai_responses');
SELECT pg_temp.n(NULL) IS NULL AS nothing;

-- the same tokens, whoever reports them
SELECT pg_temp.n('{"prompt_tokens": 5800, "completion_tokens": 600, "prompt_tokens_details": {"cached_tokens": 5000}}')
     = pg_temp.n('{"input_tokens": 800, "cache_read_input_tokens": 5000, "output_tokens": 600}') AS equal;

-- what is no usage
SELECT pg_temp.n('{}');
SELECT pg_temp.n('[]');
SELECT pg_temp.n('5');
SELECT pg_temp.n('{"tokens": 5}');
SELECT pg_temp.n('{"usage": {"usage": {"prompt_tokens": 1}}}');
SELECT pg_temp.n('{"prompt_tokens": 1}', 'no_such_format');
SELECT pg_temp.n('{"prompt_tokens": -1, "completion_tokens": 1}');
SELECT pg_temp.n('{"prompt_tokens": 1.5, "completion_tokens": 1}');
SELECT pg_temp.n('{"prompt_tokens": "1", "completion_tokens": 1}');
SELECT pg_temp.n('{"prompt_tokens": 1e300, "completion_tokens": 1}');
SELECT pg_temp.n('{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}');
SELECT pg_temp.n('{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": [1]}}');
SELECT pg_temp.n('{"input_tokens": 9007199254740992, "cache_read_input_tokens": 9007199254740992, "output_tokens": 1}');
SELECT pg_temp.n('{"input_tokens": 1, "cache_read_tokens": 1, "total_tokens": 2, "cached": 7}');
