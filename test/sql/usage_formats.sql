--
-- The usage objects of libraries, gateways and endpoints, each with the counts
-- that are right.
--
\set SHOW_CONTEXT never
-- name, provider, usage, what it is here, and the status
CREATE TEMP TABLE sent (n int GENERATED ALWAYS AS IDENTITY, shape text, provider text, usage jsonb, counts jsonb, status text DEFAULT 'final');

-- LangChain: details inside; its three ways with the lifetimes of writes; the tier in the keys; Vertex with the reasoning on top
INSERT INTO sent (shape, provider, usage, counts) VALUES
('LangChain', 'anthropic', '{"input_tokens": 5800, "output_tokens": 600, "total_tokens": 6400, "input_token_details": {"cache_read": 5000, "cache_creation": 0}, "output_token_details": {"reasoning": 100}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600, "reasoning_tokens": 100}'),
('LangChain', 'anthropic', '{"input_tokens": 5800, "output_tokens": 600, "total_tokens": 6400, "input_token_details": {"cache_read": 0, "cache_creation": 5000}}',
    '{"input_tokens": 5800, "cache_read_tokens": 0, "cache_write_tokens": 5000, "output_tokens": 600}'),
('LangChain', 'anthropic', '{"input_tokens": 12307, "output_tokens": 550, "total_tokens": 12857, "input_token_details": {"cache_read": 0, "cache_creation": 0, "ephemeral_5m_input_tokens": 304, "ephemeral_1h_input_tokens": 12000}}',
    '{"input_tokens": 12307, "cache_read_tokens": 0, "cache_write_tokens": 304, "cache_write_1h_tokens": 12000, "output_tokens": 550}'),
('LangChain', 'anthropic', '{"input_tokens": 12307, "output_tokens": 550, "total_tokens": 12857, "input_token_details": {"cache_read": 0, "cache_creation": 12304, "ephemeral_5m_input_tokens": 304, "ephemeral_1h_input_tokens": 12000}}',
    '{"input_tokens": 12307, "cache_read_tokens": 0, "cache_write_tokens": 304, "cache_write_1h_tokens": 12000, "output_tokens": 550}'),
('LangChain', 'openai', '{"input_tokens": 2000, "output_tokens": 300, "total_tokens": 2300, "input_token_details": {"priority_cache_read": 1536, "priority": 464}, "output_token_details": {"priority_reasoning": 128, "priority": 172}}',
    '{"input_tokens": 2000, "cache_read_tokens": 1536, "output_tokens": 300, "reasoning_tokens": 128}'),
('LangChain', 'google', '{"input_tokens": 20, "output_tokens": 30, "total_tokens": 827, "input_token_details": {"cache_read": 0}, "output_token_details": {"reasoning": 777}}',
    '{"input_tokens": 20, "cache_read_tokens": 0, "output_tokens": 807, "reasoning_tokens": 777}'),
('LangChain', 'bedrock', '{"input_tokens": 800, "output_tokens": 600, "total_tokens": 1400, "input_token_details": {"cache_read": 5000, "cache_creation": 0}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600}'),
('LangChain, a message', 'openai', '{"type": "AIMessage", "content": "hi", "usage_metadata": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_token_details": {"audio": 4, "text": 6}, "output_token_details": {}}}',
    '{"input_tokens": 10, "input_audio_tokens": 4, "output_tokens": 5}'),
('LangChain, response_metadata', 'openai', '{"response_metadata": {"token_usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}}', '{"input_tokens": 10, "output_tokens": 5}'),
('LangChain.js, tokenUsage', 'openai', '{"tokenUsage": {"promptTokens": 10, "completionTokens": 5, "totalTokens": 15}}', '{"input_tokens": 10, "output_tokens": 5}');

-- LiteLLM tells the same twice, inside; Portkey and the older Haystack have the same keys beside the prompt, and the total or the sizes tell
INSERT INTO sent (shape, provider, usage, counts) VALUES
('LiteLLM', 'anthropic', '{"prompt_tokens": 12307, "completion_tokens": 550, "total_tokens": 12857, "completion_tokens_details": {"accepted_prediction_tokens": null, "audio_tokens": null, "reasoning_tokens": 100, "rejected_prediction_tokens": null, "text_tokens": 450}, "prompt_tokens_details": {"audio_tokens": null, "cached_tokens": 0, "text_tokens": null, "image_tokens": null, "cache_creation_tokens": 12304, "cache_creation_token_details": {"ephemeral_5m_input_tokens": 304, "ephemeral_1h_input_tokens": 12000}}, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 0, "server_tool_use": {"web_search_requests": 2, "tool_search_requests": null}}',
    '{"input_tokens": 12307, "cache_read_tokens": 0, "cache_write_tokens": 304, "cache_write_1h_tokens": 12000, "output_tokens": 550, "reasoning_tokens": 100, "web_search_requests": 2}'),
('LiteLLM, Gemini', 'gemini', '{"prompt_tokens": 23, "completion_tokens": 5, "total_tokens": 28, "prompt_tokens_details": {"cached_tokens": 10, "text_tokens": 13, "audio_tokens": null, "web_search_requests": 1}}',
    '{"input_tokens": 23, "cache_read_tokens": 10, "output_tokens": 5, "web_search_requests": 1}'),
('LiteLLM, Gemini with a tool', 'gemini', '{"prompt_tokens": 23, "completion_tokens": 5, "total_tokens": 108, "prompt_tokens_details": {"tool_use_tokens": 80}}', '{"input_tokens": 103, "output_tokens": 5}'),
('LiteLLM, searches told twice', 'anthropic', '{"prompt_tokens": 23, "completion_tokens": 5, "total_tokens": 0, "prompt_tokens_details": {"web_search_requests": 2}, "server_tool_use": {"web_search_requests": 2}}',
    '{"input_tokens": 23, "output_tokens": 5, "web_search_requests": 2}'),
('LiteLLM, embeddings', 'vertex_ai', '{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "prompt_tokens_details": {"character_count": 34, "image_count": 1, "video_length_seconds": 12.5, "audio_length_seconds": 3}}',
    '{"input_tokens": 0, "output_tokens": 0, "input_characters": 34, "input_images": 1, "input_video_seconds": 12.5, "input_audio_seconds": 3}'),
('Portkey', 'anthropic', '{"prompt_tokens": 800, "completion_tokens": 600, "total_tokens": 6400, "prompt_tokens_details": {"cached_tokens": 5000}, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 0}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600}'),
('Portkey', 'anthropic', '{"prompt_tokens": 803, "completion_tokens": 550, "total_tokens": 13657, "prompt_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 12304}',
    '{"input_tokens": 13107, "cache_read_tokens": 0, "cache_write_tokens": 12304, "output_tokens": 550}'),
('Haystack, older', 'anthropic', '{"prompt_tokens": 800, "completion_tokens": 600, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 0}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600}'),
('Haystack', 'anthropic', '{"prompt_tokens": 5800, "completion_tokens": 600, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "service_tier": "standard"}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "cache_write_1h_tokens": 0, "output_tokens": 600}'),
('Haystack, a message', 'openai', '{"role": "assistant", "meta": {"model": "m", "index": 0, "finish_reason": "stop", "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}, "content": [{"text": "hi"}]}', '{"input_tokens": 10, "output_tokens": 5}'),
('Haystack, Bedrock', 'bedrock', '{"prompt_tokens": 458, "completion_tokens": 4, "total_tokens": 2560, "cache_read_input_tokens": 2098, "cache_write_input_tokens": 0, "cache_details": {}}',
    '{"input_tokens": 2556, "cache_read_tokens": 2098, "cache_write_tokens": 0, "output_tokens": 4}'),
('Haystack, Bedrock headers', 'bedrock', '{"input_tokens": 458, "output_tokens": 4, "cache_read_input_tokens": 2098, "cache_write_input_tokens": 10}',
    '{"input_tokens": 2566, "cache_read_tokens": 2098, "cache_write_tokens": 10, "output_tokens": 4}'),
('Haystack, Gemini', 'google', '{"prompt_tokens": 33, "completion_tokens": 1780, "total_tokens": 2342, "thoughts_token_count": 529, "cached_content_token_count": null, "prompt_tokens_details": [{"modality": "TEXT", "token_count": 33}]}',
    '{"input_tokens": 33, "output_tokens": 2309, "reasoning_tokens": 529}'),
('Helicone', 'anthropic', '{"prompt_tokens": 5800, "completion_tokens": 600, "total_tokens": 11400, "prompt_tokens_details": {"cached_tokens": 5000, "audio_tokens": 0}, "modality_tokens": {}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('Helicone', 'anthropic', '{"prompt_tokens": 3, "completion_tokens": 550, "total_tokens": 12857, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0, "cache_write_tokens": 12304, "cache_write_details": {"write_5m_tokens": 304, "write_1h_tokens": 12000}}, "modality_tokens": {}}',
    '{"input_tokens": 12307, "cache_read_tokens": 0, "cache_write_tokens": 304, "cache_write_1h_tokens": 12000, "output_tokens": 550}');

-- Vercel's AI SDK: 4 tells of the cache beside, 5 passes on what providers mean, 6 has all inside
INSERT INTO sent (shape, provider, usage, counts) VALUES
('AI SDK 4', 'openai', '{"promptTokens": 5800, "completionTokens": 600, "totalTokens": 6400}', '{"input_tokens": 5800, "output_tokens": 600}'),
('AI SDK 4, a result', 'anthropic', '{"text": "hi", "usage": {"promptTokens": 800, "completionTokens": 600, "totalTokens": 1400}, "providerMetadata": {"anthropic": {"cacheCreationInputTokens": null, "cacheReadInputTokens": 5000}}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('AI SDK 4, a result', 'openai', '{"usage": {"promptTokens": 5800, "completionTokens": 600, "totalTokens": 6400}, "providerMetadata": {"openai": {"cachedPromptTokens": 5000, "reasoningTokens": 100, "acceptedPredictionTokens": 0, "rejectedPredictionTokens": 0}}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100}'),
('AI SDK 5, OpenAI', 'openai', '{"inputTokens": 5800, "outputTokens": 600, "totalTokens": 6400, "reasoningTokens": 100, "cachedInputTokens": 5000}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100}'),
('AI SDK 5, Anthropic', 'anthropic', '{"inputTokens": 800, "outputTokens": 600, "totalTokens": 1400, "cachedInputTokens": 5000}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('AI SDK 5, Anthropic, told by the provider', 'vertex.anthropic.messages', '{"inputTokens": 8000, "outputTokens": 600, "totalTokens": 8600, "cachedInputTokens": 5000}', '{"input_tokens": 13000, "cache_read_tokens": 5000, "output_tokens": 600}'),
('AI SDK 5, Anthropic, a result', 'Anthropic', '{"usage": {"inputTokens": 3, "outputTokens": 550, "totalTokens": 553, "cachedInputTokens": 0}, "providerMetadata": {"anthropic": {"cacheCreationInputTokens": 12304, "usage": {"input_tokens": 3, "cache_creation_input_tokens": 12304, "cache_creation": {"ephemeral_5m_input_tokens": 304, "ephemeral_1h_input_tokens": 12000}, "cache_read_input_tokens": 0, "output_tokens": 550, "service_tier": "standard", "server_tool_use": {"web_search_requests": 1}}}}}',
    '{"input_tokens": 12307, "cache_read_tokens": 0, "cache_write_tokens": 304, "cache_write_1h_tokens": 12000, "output_tokens": 550, "web_search_requests": 1}'),
('AI SDK 5, Bedrock, a result', 'amazon-bedrock', '{"usage": {"inputTokens": 800, "outputTokens": 600, "totalTokens": 1400, "cachedInputTokens": 500}, "providerMetadata": {"bedrock": {"usage": {"cacheWriteInputTokens": 40}}}}',
    '{"input_tokens": 1340, "cache_read_tokens": 500, "cache_write_tokens": 40, "output_tokens": 600}'),
('AI SDK 5, Anthropic, a result without reads', 'anthropic', '{"usage": {"inputTokens": 800, "outputTokens": 600, "totalTokens": 1400}, "providerMetadata": {"anthropic": {"cacheCreationInputTokens": 500}}}',
    '{"input_tokens": 1300, "cache_write_tokens": 500, "output_tokens": 600}'),
('AI SDK 5, OpenAI, a result without any', 'openai', '{"usage": {"inputTokens": 800, "outputTokens": 600, "totalTokens": 1400}, "providerMetadata": {"openai": {"responseId": "resp_1", "serviceTier": "default"}}}',
    '{"input_tokens": 800, "output_tokens": 600}'),
('AI SDK 5, Google', 'google', '{"inputTokens": 5800, "outputTokens": 500, "totalTokens": 6400, "reasoningTokens": 100, "cachedInputTokens": 5000}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100}'),
('AI SDK 6', 'anthropic', '{"inputTokens": 17307, "inputTokenDetails": {"noCacheTokens": 3, "cacheReadTokens": 5000, "cacheWriteTokens": 12304}, "outputTokens": 550, "outputTokenDetails": {"textTokens": 450, "reasoningTokens": 100}, "totalTokens": 17857, "reasoningTokens": 100, "cachedInputTokens": 5000, "raw": {"input_tokens": 3, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 5000, "output_tokens": 550}}',
    '{"input_tokens": 17307, "cache_read_tokens": 5000, "cache_write_tokens": 12304, "output_tokens": 550, "reasoning_tokens": 100}'),
('AI SDK 6, what only raw tells', 'anthropic', '{"inputTokens": 17307, "inputTokenDetails": {"noCacheTokens": 3, "cacheReadTokens": 5000, "cacheWriteTokens": 12304}, "outputTokens": 550, "outputTokenDetails": {}, "totalTokens": 17857, "raw": {"input_tokens": 3, "cache_creation_input_tokens": 12304, "cache_creation": {"ephemeral_5m_input_tokens": 304, "ephemeral_1h_input_tokens": 12000}, "cache_read_input_tokens": 5000, "output_tokens": 550, "server_tool_use": {"web_search_requests": 2}}}',
    '{"input_tokens": 17307, "cache_read_tokens": 5000, "cache_write_tokens": 304, "cache_write_1h_tokens": 12000, "output_tokens": 550, "web_search_requests": 2}'),
('AI SDK 6, of a model', 'anthropic', '{"inputTokens": {"total": 17307, "noCache": 3, "cacheRead": 5000, "cacheWrite": 12304}, "outputTokens": {"total": 550, "text": 450, "reasoning": 100}}',
    '{"input_tokens": 17307, "cache_read_tokens": 5000, "cache_write_tokens": 12304, "output_tokens": 550, "reasoning_tokens": 100}'),
('AI SDK, embeddings', 'openai', '{"embedding": [0.1], "usage": {"tokens": 1234}}', '{"input_tokens": 1234}');

-- pydantic-ai: its details say the same again
INSERT INTO sent (shape, provider, usage, counts) VALUES
('pydantic-ai', 'anthropic', '{"input_tokens": 5800, "cache_write_tokens": 0, "cache_read_tokens": 5000, "output_tokens": 600, "input_audio_tokens": 0, "cache_audio_read_tokens": 0, "output_audio_tokens": 0, "details": {"input_tokens": 800, "output_tokens": 600, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 5000, "thinking_tokens": 100}, "cost": "0.0129"}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600, "reasoning_tokens": 100}'),
('pydantic-ai, a run', 'anthropic', '{"requests": 2, "tool_calls": 1, "input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('pydantic-ai, before 1.0', 'openai', '{"requests": 1, "request_tokens": 57, "response_tokens": 8, "total_tokens": 65, "details": null}', '{"input_tokens": 57, "output_tokens": 8}'),
('pydantic-ai, audio and lifetimes', 'openai', '{"input_tokens": 100, "cache_write_tokens": 30, "cache_write_5m_tokens": 10, "cache_write_1h_tokens": 20, "cache_read_tokens": 40, "output_tokens": 60, "input_audio_tokens": 20, "cache_audio_read_tokens": 5, "output_audio_tokens": 7, "details": {"text_prompt_tokens": 80}}',
    '{"input_tokens": 100, "cache_read_tokens": 40, "cache_write_tokens": 10, "cache_write_1h_tokens": 20, "output_tokens": 60, "input_audio_tokens": 20, "cache_read_audio_tokens": 5, "output_audio_tokens": 7}');
INSERT INTO sent (shape, provider, usage, counts, status) VALUES
('pydantic-ai, an advisor', 'anthropic', '{"input_tokens": 10, "output_tokens": 5, "details": {"advisor_input_tokens": 9}}', '{"input_tokens": 10, "output_tokens": 5}', 'unexplained');

-- OpenAI's endpoints and its agents
INSERT INTO sent (shape, provider, usage, counts) VALUES
('OpenAI Agents SDK', 'openai', '{"requests": 2, "input_tokens": 2100, "input_tokens_details": [{"cached_tokens": 1024, "cache_write_tokens": 0}], "output_tokens": 220, "output_tokens_details": [{"reasoning_tokens": 64}], "total_tokens": 2320, "request_usage_entries": [{"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100, "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 32}}, {"input_tokens": 1100, "output_tokens": 120, "total_tokens": 1220, "input_tokens_details": {"cached_tokens": 1024}, "output_tokens_details": {"reasoning_tokens": 32}}]}',
    '{"input_tokens": 2100, "cache_read_tokens": 1024, "cache_write_tokens": 0, "output_tokens": 220, "reasoning_tokens": 64}'),
('OpenAI images', 'openai', '{"input_tokens": 3987, "input_tokens_details": {"image_tokens": 3044, "text_tokens": 943}, "output_tokens": 6240, "total_tokens": 10227}',
    '{"input_tokens": 3987, "input_image_tokens": 3044, "output_tokens": 6240, "output_image_tokens": 6240}'),
('OpenAI images, divided', 'openai', '{"input_tokens": 50, "input_tokens_details": {"image_tokens": 40, "text_tokens": 10}, "output_tokens": 50, "output_tokens_details": {"image_tokens": 30, "text_tokens": 20}, "total_tokens": 100}',
    '{"input_tokens": 50, "input_image_tokens": 40, "output_tokens": 50, "output_image_tokens": 30}'),
('OpenAI images, the response', 'openai', '{"created": 1713833628, "data": [{"b64_json": "aGk="}], "size": "1024x1024", "quality": "high", "usage": {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}}',
    '{"input_tokens": 50, "input_image_tokens": 40, "output_tokens": 4160, "output_image_tokens": 4160}'),
('images that are not counted in tokens', 'openai', '{"created": 1589478378, "data": [{"url": "https://example.com/1"}, {"url": "https://example.com/2"}]}', '{"output_images": 2}'),
('OpenAI transcription', 'openai', '{"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 10, "audio_tokens": 4}, "output_tokens": 101, "total_tokens": 115}',
    '{"input_tokens": 14, "input_audio_tokens": 4, "output_tokens": 101}'),
('OpenAI transcription by duration', 'openai', '{"text": "hi", "usage": {"type": "duration", "seconds": 12.5}}', '{"input_seconds": 12.5}'),
('OpenAI transcription, older', 'openai', '{"task": "transcribe", "language": "english", "duration": "8.47", "text": "hi", "segments": [{"id": 0, "start": 0.0, "end": 3.3, "tokens": [50364]}]}', '{"input_seconds": 8.47}'),
('OpenAI video', 'openai', '{"id": "video_1", "object": "video", "model": "sora-2", "progress": 100, "seconds": "8", "size": "1280x720"}', '{"output_seconds": 8}'),
('OpenAI realtime', 'openai', '{"type": "response.done", "response": {"object": "realtime.response", "usage": {"total_tokens": 253, "input_tokens": 132, "output_tokens": 121, "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "image_tokens": 0, "cached_tokens": 64, "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0}}, "output_token_details": {"text_tokens": 30, "audio_tokens": 91}}}}',
    '{"input_tokens": 132, "cache_read_tokens": 64, "input_audio_tokens": 13, "output_tokens": 121, "output_audio_tokens": 91}'),
('OpenAI responses, tool items', 'openai', '{"object": "response", "output": [{"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}, {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}}, {"type": "web_search_call"}, {"type": "file_search_call", "queries": ["a", "b"]}, {"type": "code_interpreter_call", "container_id": "c1"}, {"type": "code_interpreter_call", "container_id": "c1"}, {"type": "message"}], "usage": {"input_tokens": 328, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 52, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 380}}',
    '{"input_tokens": 328, "cache_read_tokens": 0, "output_tokens": 52, "reasoning_tokens": 0, "web_search_requests": 2, "file_search_calls": 1, "code_interpreter_sessions": 1}'),
('OpenAI responses, tool_usage', 'openai', '{"object": "response", "output": [{"type": "web_search_call", "status": "completed", "action": {"type": "search"}}], "usage": {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25, "input_tokens_details": {"cached_tokens": 10}, "output_tokens_details": {"reasoning_tokens": 2}}, "tool_usage": {"image_gen": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, "web_search": {"num_requests": 1}}}',
    '{"input_tokens": 20, "cache_read_tokens": 10, "output_tokens": 5, "reasoning_tokens": 2, "web_search_requests": 1}'),
('OpenAI batch, a line', 'openai', '{"custom_id": "r1", "response": {"status_code": 200, "body": {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}}, "error": null}', '{"input_tokens": 10, "output_tokens": 5}'),
('Codex', 'openai', '{"input_tokens": 2544789, "cached_input_tokens": 2417664, "cache_write_input_tokens": 0, "output_tokens": 21855, "reasoning_output_tokens": 12093}',
    '{"input_tokens": 2544789, "cache_read_tokens": 2417664, "cache_write_tokens": 0, "output_tokens": 21855, "reasoning_tokens": 12093}');
INSERT INTO sent (shape, provider, usage, counts, status) VALUES
('OpenAI responses, pictures of another model', 'openai', '{"output": [{"type": "image_generation_call"}], "usage": {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25}}', '{"input_tokens": 20, "output_tokens": 5}', 'unexplained'),
('OpenAI responses, their tokens', 'openai', '{"usage": {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25}, "tool_usage": {"image_gen": {"input_tokens": 9}}}', '{"input_tokens": 20, "output_tokens": 5}', 'unexplained'),
('OpenAI, tokens that nobody explains', 'openai', '{"input_tokens": 20, "input_tokens_details": {"orchestration_input_tokens": 7}, "output_tokens": 5, "total_tokens": 25}', '{"input_tokens": 20, "output_tokens": 5}', 'unexplained');

-- Anthropic: events of a stream, agents
INSERT INTO sent (shape, provider, usage, counts, status) VALUES
('Anthropic, message_start', 'anthropic', '{"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 25, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}}}',
    '{"input_tokens": 25, "cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 1}', 'unexplained'),
('Anthropic, message_delta without input', 'anthropic', '{"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 89}}', '{"output_tokens": 89}', 'unexplained'),
('Anthropic, its usage alone', 'anthropic', '{"output_tokens": 89}', '{"output_tokens": 89}', 'unexplained'),
('Anthropic, message_delta', 'anthropic', '{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 10682, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 510, "server_tool_use": {"web_search_requests": 1}}}',
    '{"input_tokens": 10682, "cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 510, "web_search_requests": 1}', 'final'),
('Anthropic batch, a line', 'anthropic', '{"custom_id": "r1", "result": {"type": "succeeded", "message": {"usage": {"input_tokens": 10, "output_tokens": 5, "service_tier": "batch"}}}}', '{"input_tokens": 10, "output_tokens": 5}', 'final'),
('Anthropic, a fallback model', 'anthropic', '{"input_tokens": 10, "output_tokens": 5, "iterations": [{"type": "message"}, {"type": "fallback_message", "model": "other", "input_tokens": 10, "output_tokens": 5}]}', '{"input_tokens": 10, "output_tokens": 5}', 'unexplained'),
('Anthropic, a lifetime nobody knows', 'anthropic', '{"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 500, "cache_creation": {"ephemeral_24h_input_tokens": 500}}', '{"input_tokens": 510, "cache_write_tokens": 500, "output_tokens": 5}', 'unexplained'),
('Claude''s agents, of a model', 'anthropic', '{"inputTokens": 46, "outputTokens": 26153, "cacheReadInputTokens": 1596187, "cacheCreationInputTokens": 99047, "webSearchRequests": 0, "costUSD": 1.63, "contextWindow": 1000000, "maxOutputTokens": 128000, "thinkingTokens": 18570}',
    '{"input_tokens": 1695280, "cache_read_tokens": 1596187, "cache_write_tokens": 99047, "output_tokens": 26153, "reasoning_tokens": 18570}', 'final');

-- Google: the Interactions API, and searches
INSERT INTO sent (shape, provider, usage, counts) VALUES
('Gemini Interactions', 'google', '{"object": "interaction", "service_tier": "standard", "usage": {"total_input_tokens": 5800, "total_output_tokens": 500, "total_thought_tokens": 100, "total_cached_tokens": 5000, "total_tool_use_tokens": 0, "total_tokens": 6400, "input_tokens_by_modality": [{"modality": "text", "tokens": 5800}], "grounding_tool_count": [{"type": "google_search", "count": 2}, {"type": "google_maps", "count": 1}]}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100, "web_search_requests": 2, "google_maps_grounding_requests": 1}'),
('Gemini, searches', 'google', '{"modelVersion": "gemini-3-pro", "candidates": [{"groundingMetadata": {"webSearchQueries": ["spain euro 2024", "euro 2024 winner", "spain euro 2024", ""], "groundingChunks": [{"web": {"uri": "u"}}]}}, {"groundingMetadata": {"webSearchQueries": ["euro 2024 winner"]}}], "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 340, "totalTokenCount": 352}}',
    '{"input_tokens": 12, "output_tokens": 340, "web_search_requests": 2}'),
('Gemini, Python', 'google', '{"candidates": [{"grounding_metadata": {"web_search_queries": ["a", "b"]}}], "usage_metadata": {"prompt_token_count": 12, "candidates_token_count": 340, "total_token_count": 352}}',
    '{"input_tokens": 12, "output_tokens": 340, "web_search_requests": 2}'),
('Gemini 2, a grounded prompt', 'google', '{"modelVersion": "gemini-2.5-flash", "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"], "groundingChunks": [{"maps": {"uri": "u"}}]}}], "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 340, "totalTokenCount": 352}}',
    '{"input_tokens": 12, "output_tokens": 340, "web_search_requests": 1, "google_maps_grounding_requests": 1}');

-- Bedrock
INSERT INTO sent (shape, provider, usage, counts) VALUES
('Bedrock, invocation metrics', 'bedrock', '{"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 800, "outputTokenCount": 600, "invocationLatency": 2137, "firstByteLatency": 612, "cacheReadInputTokenCount": 5000, "cacheWriteInputTokenCount": 0}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600}'),
('Bedrock, its log', 'bedrock', '{"input": {"inputTokenCount": 800, "cacheReadInputTokenCount": 5000}, "output": {"outputTokenCount": 600}}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('Bedrock, headers', 'bedrock', '{"x-amzn-bedrock-input-token-count": "800", "x-amzn-bedrock-output-token-count": "600", "x-amzn-bedrock-cache-read-input-token-count": "5000"}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('Bedrock, Llama', 'bedrock', '{"generation": "hi", "prompt_token_count": 25, "generation_token_count": 12, "stop_reason": "stop"}', '{"input_tokens": 25, "output_tokens": 12}'),
('Bedrock, Titan', 'bedrock', '{"inputTextTokenCount": 25, "results": [{"tokenCount": 12, "outputText": "hi", "completionReason": "FINISH"}]}', '{"input_tokens": 25, "output_tokens": 12}'),
('Bedrock, ConverseStream', 'bedrock', '{"metadata": {"usage": {"inputTokens": 800, "outputTokens": 600, "totalTokens": 6400, "cacheReadInputTokens": 5000}, "metrics": {"latencyMs": 1234}}}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('Strands over OpenAI', 'openai', '{"inputTokens": 5800, "outputTokens": 600, "totalTokens": 6400, "cacheReadInputTokens": 5000}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}');

-- .NET, Java, LlamaIndex, Ollama
INSERT INTO sent (shape, provider, usage, counts) VALUES
('Microsoft.Extensions.AI', 'openai', '{"inputTokenCount": 5800, "outputTokenCount": 600, "totalTokenCount": 6400, "cachedInputTokenCount": 5000, "reasoningTokenCount": 100, "additionalCounts": {"InputTokenDetails.AudioTokenCount": 0, "OutputTokenDetails.AcceptedPredictionTokenCount": 3}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100}'),
('Microsoft.Extensions.AI, in capitals', 'openai', '{"InputTokenCount": 5800, "OutputTokenCount": 600, "TotalTokenCount": 6400, "CachedInputTokenCount": 5000, "ReasoningTokenCount": 100, "inputAudioTokenCount": null, "AdditionalCounts": null}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100}'),
('Microsoft.Extensions.AI, Anthropic', 'anthropic', '{"inputTokenCount": 17307, "outputTokenCount": 550, "totalTokenCount": 17857, "cachedInputTokenCount": 5000, "additionalCounts": {"CacheCreationInputTokens": 12304, "WebSearchRequests": 2}}',
    '{"input_tokens": 17307, "cache_read_tokens": 5000, "cache_write_tokens": 12304, "output_tokens": 550, "web_search_requests": 2}'),
('Semantic Kernel, .NET', 'openai', '{"InputTokenCount": 5800, "OutputTokenCount": 600, "TotalTokenCount": 6400, "InputTokenDetails": {"AudioTokenCount": 0, "CachedTokenCount": 5000}, "OutputTokenDetails": {"ReasoningTokenCount": 100, "AudioTokenCount": 0, "AcceptedPredictionTokenCount": 0, "RejectedPredictionTokenCount": 0}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100}'),
('Semantic Kernel, Python', 'openai', '{"prompt_tokens": 5800, "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 5000}, "completion_tokens": 600, "completion_tokens_details": null}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('Bedrock, .NET', 'bedrock', '{"InputTokens": 800, "OutputTokens": 600, "TotalTokens": 6400, "CacheReadInputTokens": 5000, "CacheWriteInputTokens": 0}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600}'),
('Gemini, .NET', 'google', '{"PromptTokenCount": 33, "CandidatesTokenCount": 1780, "ThoughtsTokenCount": 529, "TotalTokenCount": 2342}', '{"input_tokens": 33, "output_tokens": 2309, "reasoning_tokens": 529}'),
('Spring AI, OpenAI', 'openai', '{"promptTokens": 5800, "completionTokens": 600, "totalTokens": 6400, "cacheReadInputTokens": 5000, "cacheWriteInputTokens": null, "nativeUsage": {"prompt_tokens": 5800, "completion_tokens": 600, "total_tokens": 6400}}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('Spring AI, Anthropic', 'anthropic', '{"promptTokens": 800, "completionTokens": 600, "totalTokens": 1400, "cacheReadInputTokens": 5000, "cacheWriteInputTokens": 0}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600}'),
('Spring AI, Bedrock', 'bedrock', '{"promptTokens": 458, "completionTokens": 4, "totalTokens": 2560, "cacheReadInputTokens": 2098, "cacheWriteInputTokens": 0}', '{"input_tokens": 2556, "cache_read_tokens": 2098, "cache_write_tokens": 0, "output_tokens": 4}'),
('Spring AI, Gemini', 'google', '{"promptTokens": 33, "completionTokens": 1780, "totalTokens": 2342, "thoughtsTokenCount": 529, "cachedContentTokenCount": null, "trafficType": "ON_DEMAND"}', '{"input_tokens": 33, "output_tokens": 2309, "reasoning_tokens": 529}'),
('Spring AI, embeddings', 'google', '{"promptTokens": 0, "completionTokens": 0, "totalTokens": 70}', '{"input_tokens": 70, "output_tokens": 0}'),
('LlamaIndex', 'openai', '{"prompt_token_count": 5800, "completion_token_count": 600, "total_token_count": 6400}', '{"input_tokens": 5800, "output_tokens": 600}'),
('Ollama', 'ollama', '{"model": "llama3.2", "message": {"role": "assistant", "content": "hi"}, "done": true, "total_duration": 4883583458, "load_duration": 1334875, "prompt_eval_count": 26, "prompt_eval_duration": 342546000, "eval_count": 282, "eval_duration": 4535599000}', '{"input_tokens": 26, "output_tokens": 282}'),
('Ollama, embeddings', 'ollama', '{"model": "all-minilm", "embeddings": [[0.01]], "total_duration": 14143917, "load_duration": 1019500, "prompt_eval_count": 8}', '{"input_tokens": 8}'),
('Agno, Anthropic', 'anthropic', '{"input_tokens": 800, "output_tokens": 600, "total_tokens": 1400, "cache_read_tokens": 500, "duration": 1.2}', '{"input_tokens": 1300, "cache_read_tokens": 500, "output_tokens": 600}'),
('CrewAI', 'openai', '{"total_tokens": 6400, "prompt_tokens": 5800, "cached_prompt_tokens": 5000, "completion_tokens": 600, "reasoning_tokens": 100, "cache_creation_tokens": 0, "successful_requests": 3}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600, "reasoning_tokens": 100}'),
('Agent Framework, Gemini', 'google', '{"input_token_count": 33, "output_token_count": 1780, "total_token_count": 2342, "cache_read_input_token_count": 0, "reasoning_output_token_count": 529}', '{"input_tokens": 33, "cache_read_tokens": 0, "output_tokens": 2309, "reasoning_tokens": 529}'),
('Replicate', 'replicate', '{"metrics": {"predict_time": 0.53, "input_token_count": 12, "output_token_count": 4}}', '{"input_tokens": 12, "output_tokens": 4}'),
('opencode', 'anthropic', '{"tokens": {"input": 100, "output": 30, "reasoning": 5, "cache": {"read": 10, "write": 2}}, "cost": 0.01}', '{"input_tokens": 112, "cache_read_tokens": 10, "cache_write_tokens": 2, "output_tokens": 35, "reasoning_tokens": 5}');

-- spans: OpenTelemetry's names, those of its writers, OpenInference's; flat, nested, and in OTLP's list
INSERT INTO sent (shape, provider, usage, counts) VALUES
('OpenTelemetry, pydantic-ai', 'anthropic', '{"gen_ai.usage.input_tokens": 5800, "gen_ai.usage.output_tokens": 600, "gen_ai.usage.cache_read.input_tokens": 5000, "gen_ai.usage.details.cache_read_tokens": 5000, "gen_ai.usage.details.cache_read_input_tokens": 5000, "gen_ai.usage.details.cache_creation_input_tokens": 0, "gen_ai.usage.details.thinking_tokens": 100, "gen_ai.usage.details.input_tokens": 800}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600, "reasoning_tokens": 100}'),
('OpenTelemetry, OpenLLMetry', 'anthropic', '{"gen_ai.usage.input_tokens": 5800, "gen_ai.usage.output_tokens": 600, "llm.usage.total_tokens": 6400, "gen_ai.usage.cache_read_input_tokens": 5000, "gen_ai.usage.cache_creation_input_tokens": 0, "gen_ai.request.max_tokens": 4096, "gen_ai.request.temperature": 0.7}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "cache_write_tokens": 0, "output_tokens": 600}'),
('OpenTelemetry, older', 'openai', '{"gen_ai.usage.prompt_tokens": 5800, "gen_ai.usage.completion_tokens": 600, "llm.usage.total_tokens": 6400}', '{"input_tokens": 5800, "output_tokens": 600}'),
('OpenTelemetry, the cache beside', 'bedrock', '{"gen_ai.usage.input_tokens": 800, "gen_ai.usage.output_tokens": 600, "gen_ai.usage.total_tokens": 1400, "gen_ai.usage.cache_read.input_tokens": 5000}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('OpenTelemetry, OTLP', 'openai', '{"name": "chat", "attributes": [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "5800"}}, {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "600"}}, {"key": "gen_ai.usage.cache_read.input_tokens", "value": {"intValue": "5000"}}, {"key": "gen_ai.request.max_tokens", "value": {"intValue": "4096"}}, {"key": "gen_ai.response.finish_reasons", "value": {"arrayValue": {"values": [{"stringValue": "stop"}]}}}]}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('OpenTelemetry, nested', 'openai', '{"gen_ai": {"system": "openai", "usage": {"input_tokens": 5800, "output_tokens": 600, "details": {"cache_read_tokens": 5000}}}}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('OpenTelemetry, AI SDK', 'openai', '{"ai.usage.inputTokens": 5800, "ai.usage.outputTokens": 600, "ai.usage.totalTokens": 6400, "ai.usage.cachedInputTokens": 5000, "gen_ai.usage.input_tokens": 5800, "gen_ai.usage.output_tokens": 600}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('OpenInference', 'openai', '{"llm.token_count.prompt": 5800, "llm.token_count.completion": 600, "llm.token_count.total": 6400, "llm.token_count.prompt_details.cache_read": 5000, "llm.token_count.completion_details.reasoning": 100}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100}'),
('OpenInference, nested', 'openai', '{"llm": {"token_count": {"prompt": 5800, "completion": 600, "total": 6400, "prompt_details": {"cache_read": 5000}, "completion_details": {"reasoning": 100}}}}',
    '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100}'),
('OpenInference, Bedrock', 'bedrock', '{"llm.token_count.prompt": 458, "llm.token_count.completion": 4, "llm.token_count.total": 2560, "llm.token_count.prompt_details.cache_read": 2098, "llm.token_count.prompt_details.cache_write": 0}', '{"input_tokens": 2556, "cache_read_tokens": 2098, "cache_write_tokens": 0, "output_tokens": 4}'),
('OpenInference, OTLP', 'openai', '{"attributes": [{"key": "llm.token_count.prompt", "value": {"intValue": 10}}, {"key": "llm.token_count.completion", "value": {"doubleValue": 5}}]}', '{"input_tokens": 10, "output_tokens": 5}'),
('Langfuse', 'openai', '{"input": 800, "output": 500, "total": 6400, "input_cached_tokens": 5000, "output_reasoning_tokens": 100}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "reasoning_tokens": 100}'),
('Langfuse, writes', 'anthropic', '{"usageDetails": {"input": 3, "output": 550, "input_cache_creation_5m": 304, "input_cache_creation_1h": 12000, "input_cache_creation": 0, "total": 12857}, "usage": {"input": 3, "output": 550, "total": 12857, "unit": "TOKENS"}}', '{"input_tokens": 12307, "cache_write_tokens": 304, "cache_write_1h_tokens": 12000, "output_tokens": 550}'),
('Langfuse, by hand', 'openai', '{"input": 5800, "output": 600, "total": 6400, "cache_read_input_tokens": 5000}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
('Langfuse, older', 'openai', '{"input": 12, "output": 24, "total": 36, "unit": "TOKENS"}', '{"input_tokens": 12, "output_tokens": 24}'),
('Langfuse, OpenAI''s own', 'openai', '{"usageDetails": {"prompt_tokens": 5800, "completion_tokens": 600, "total_tokens": 6400, "prompt_tokens_details": {"cached_tokens": 5000}}}', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}');
INSERT INTO sent (shape, provider, usage, counts, status) VALUES
('OpenTelemetry, a count of usage that nobody knows', 'openai', '{"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.haptic": 7}', '{"input_tokens": 10, "output_tokens": 5}', 'unexplained');

-- what else is billed: pages, units, seconds, images, searches
INSERT INTO sent (shape, provider, usage, counts) VALUES
('Cohere, rerank', 'cohere', '{"meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 3.0}}}', '{"search_units": 3}'),
('Cohere, images', 'cohere', '{"meta": {"billed_units": {"images": 2, "image_tokens": 1024, "input_tokens": 0}}}', '{"input_tokens": 1024, "input_image_tokens": 1024, "input_images": 2}'),
('Mistral, OCR', 'mistral', '{"pages": [{"index": 0}], "model": "mistral-ocr-latest", "usage_info": {"pages_processed": 3, "pages_processed_annotation": 2, "doc_size_bytes": 4096}}', '{"pages": 3, "annotation_pages": 2}'),
('Reducto', 'reducto', '{"usage": {"num_pages": 4, "credits": 8}}', '{"credits": 8}'),
('Mistral, connectors', 'mistral', '{"prompt_tokens": 188, "completion_tokens": 55, "total_tokens": 7355, "connector_tokens": 7112, "connectors": {"web_search": 1}}', '{"input_tokens": 7300, "output_tokens": 55, "web_search_requests": 1}'),
('Mistral, Voxtral', 'mistral', '{"prompt_audio_seconds": 12, "prompt_tokens": 3, "total_tokens": 419, "completion_tokens": 41, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375}, "service_tier": "standard"}',
    '{"input_tokens": 378, "cache_read_tokens": 0, "input_audio_tokens": 375, "output_tokens": 41, "input_audio_seconds": 12}'),
('Jina, rerank', 'jina_ai', '{"model": "jina-reranker", "usage": {"total_tokens": 815}, "results": []}', '{"input_tokens": 815}'),
('Jina, reader', 'jina', '{"data": {"title": "t", "usage": {"tokens": 1234}}}', '{"input_tokens": 1234}'),
('Voyage, pictures', 'voyage', '{"usage": {"total_tokens": 68, "text_tokens": 12, "image_pixels": 31360, "video_pixels": 0}}', '{"input_tokens": 68}'),
('Perplexity', 'perplexity', '{"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "search_context_size": "high", "num_search_queries": 1}}', '{"input_tokens": 100, "output_tokens": 50, "web_search_requests_high": 1}'),
('Perplexity, without a number', 'perplexity', '{"prompt_tokens": 14, "completion_tokens": 70, "total_tokens": 84, "search_context_size": "low", "cost": {"input_tokens_cost": 0.000042, "output_tokens_cost": 0.00105, "request_cost": 0.006, "total_cost": 0.007092}}', '{"input_tokens": 14, "output_tokens": 70, "web_search_requests_low": 1}'),
('Perplexity, one request searches twice', 'perplexity', '{"prompt_tokens": 14, "completion_tokens": 70, "search_context_size": "low", "num_search_queries": 2}', '{"input_tokens": 14, "output_tokens": 70, "web_search_requests_low": 1}'),
('Perplexity, research', 'perplexity', '{"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196, "citation_tokens": 20016, "num_search_queries": 28, "reasoning_tokens": 95305}', '{"input_tokens": 33, "output_tokens": 102468, "reasoning_tokens": 95305, "citation_tokens": 20016, "web_search_requests": 28}'),
('Perplexity, responses', 'perplexity', '{"input_tokens": 3681, "output_tokens": 780, "total_tokens": 4461, "input_tokens_details": {"cache_read_input_tokens": 3000, "cache_creation_input_tokens": 0}, "tool_calls_details": {"web_search": {"invocation": 3}}, "cost": {"currency": "USD", "input_cost": 0.0016, "output_cost": 0.0078, "tool_calls_cost": 0.015, "total_cost": 0.0244}}',
    '{"input_tokens": 3681, "cache_read_tokens": 3000, "cache_write_tokens": 0, "output_tokens": 780, "web_search_requests": 3}'),
('OpenRouter', 'openrouter', '{"prompt_tokens": 10, "completion_tokens": 15, "total_tokens": 25, "prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 5}, "cost": 0.0012, "is_byok": false, "cost_details": {"upstream_inference_cost": null, "upstream_inference_prompt_cost": 0.0008}, "server_tool_use_details": {"tool_calls_executed": 2, "tool_calls_requested": 2, "web_search_requests": 2}}',
    '{"input_tokens": 10, "cache_read_tokens": 2, "output_tokens": 15, "reasoning_tokens": 5, "web_search_requests": 2}'),
('OpenRouter, its client', 'openrouter', '{"promptTokens": 10, "completionTokens": 15, "totalTokens": 25, "promptTokensDetails": {"cachedTokens": 2}, "completionTokensDetails": {"reasoningTokens": 5}, "cost": 0.0012, "serverToolUseDetails": {"webSearchRequests": 1}}',
    '{"input_tokens": 10, "cache_read_tokens": 2, "output_tokens": 15, "reasoning_tokens": 5, "web_search_requests": 1}'),
('OpenRouter, of a generation', 'openrouter', '{"data": {"id": "gen-1", "tokens_prompt": 9, "tokens_completion": 14, "native_tokens_prompt": 10, "native_tokens_completion": 15, "native_tokens_reasoning": 5, "native_tokens_cached": 2, "usage": 0.0012, "total_cost": 0.0012, "is_byok": false, "latency": 812}}',
    '{"input_tokens": 10, "cache_read_tokens": 2, "output_tokens": 15, "reasoning_tokens": 5}'),
('xAI, responses', 'xai', '{"input_tokens": 8237, "input_tokens_details": {"cached_tokens": 3072}, "output_tokens": 2023, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 10260, "num_sources_used": 0, "num_server_side_tools_used": 4, "cost_in_usd_ticks": 321281500, "server_side_tool_usage_details": {"web_search_calls": 0, "x_search_calls": 4, "code_interpreter_calls": 0}, "context_details": {"input_tokens": 6647, "output_tokens": 1757}}',
    '{"input_tokens": 8237, "cache_read_tokens": 3072, "output_tokens": 2023, "reasoning_tokens": 0, "x_search_requests": 4}'),
('Groq', 'groq', '{"id": "chatcmpl-1", "usage": {"queue_time": 0.02, "prompt_tokens": 50, "prompt_time": 0.002, "completion_tokens": 20, "completion_time": 0.03, "total_tokens": 70, "total_time": 0.032, "prompt_tokens_details": {"cached_tokens": 32}}, "usage_breakdown": null, "x_groq": {"id": "req_1", "seed": 1, "usage": {"dram_cached_tokens": 0, "sram_cached_tokens": 32}}}',
    '{"input_tokens": 50, "cache_read_tokens": 32, "output_tokens": 20}'),
('Text Generation Inference', 'huggingface', '{"details": {"finish_reason": "stop", "generated_tokens": 12, "input_length": 7, "seed": 5}}', '{"input_tokens": 7, "output_tokens": 12}'),
('Deepgram', 'deepgram', '{"metadata": {"duration": 25.93, "channels": 1, "models": []}, "results": {"channels": []}}', '{"input_seconds": 25.93}'),
('AssemblyAI', 'assemblyai', '{"status": "completed", "audio_duration": 281, "words": [{"start": 250, "end": 650}]}', '{"input_seconds": 281}'),
('Nova Canvas', 'bedrock', '{"images": ["aGk=", "aGk="], "error": null}', '{"output_images": 2}'),
('Imagen', 'vertex_ai', '{"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": "aGk="}]}', '{"output_images": 1}'),
('the ledger''s meters', 'openai', '{"input_characters": 1200}', '{"input_characters": 1200}');
INSERT INTO sent (shape, provider, usage, counts) VALUES
('Together, pictures', 'together', '{"id": "i", "object": "list", "data": [{"index": 0, "url": "https://example.com/1"}]}', '{"output_images": 1}');
INSERT INTO sent (shape, provider, usage, counts, status) VALUES
('Groq, several models', 'groq', '{"usage": {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70}, "usage_breakdown": {"models": [{"model": "m", "usage": {"prompt_tokens": 9}}]}}', '{"input_tokens": 50, "output_tokens": 20}', 'unexplained'),
('Text Generation Inference, without the prompt', 'huggingface', '{"details": {"generated_tokens": 12}}', '{"output_tokens": 12}', 'unexplained');

-- digits in a text, what stands in the elements of a list, beside a library's own words and in a list of OTLP's: nothing unread is final
INSERT INTO sent (shape, provider, usage, counts, status) VALUES
('a stranger in a text', 'openai', '{"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached": "500"}}', '{"input_tokens": 1000, "output_tokens": 10}', 'unexplained'),
('a stranger in a text, deeper', 'openai', '{"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"by_lifetime": [{"read": "500"}]}}', '{"input_tokens": 1000, "output_tokens": 10}', 'unexplained'),
('a stranger in a text, at the top', 'mistral', '{"prompt_tokens": 1000, "completion_tokens": 10, "cached": "500"}', '{"input_tokens": 1000, "output_tokens": 10}', 'unexplained'),
('a modality counted otherwise', 'google', '{"promptTokenCount": 1000, "candidatesTokenCount": 10, "promptTokensDetails": [{"modality": "AUDIO", "tokensUsed": 500}]}', '{"input_tokens": 1000, "output_tokens": 10}', 'unexplained'),
('more in a modality', 'google', '{"promptTokenCount": 1000, "candidatesTokenCount": 10, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000, "cachedCount": 500}]}', '{"input_tokens": 1000, "output_tokens": 10}', 'unexplained'),
('a lifetime counted otherwise', 'bedrock', '{"inputTokens": 100, "outputTokens": 10, "cacheDetails": [{"ttl": "1h", "tokensWritten": 500}]}', '{"input_tokens": 100, "output_tokens": 10}', 'unexplained'),
('more in the count of a tool', 'google', '{"total_input_tokens": 100, "total_output_tokens": 10, "grounding_tool_count": [{"type": "google_search", "count": 1, "pages": 3}]}', '{"input_tokens": 100, "output_tokens": 10, "web_search_requests": 1}', 'unexplained'),
('pydantic-ai, what no provider says', 'openai', '{"input_tokens": 100, "output_tokens": 10, "details": {"cached": 50}}', '{"input_tokens": 100, "output_tokens": 10}', 'unexplained'),
('AI SDK 6, what no provider says', 'anthropic', '{"inputTokens": {"total": 100}, "outputTokens": {"total": 10}, "raw": {"input_tokens": 100, "cached": 50}}', '{"input_tokens": 100, "output_tokens": 10}', 'unexplained'),
('AI SDK 5, what no provider says', 'anthropic', '{"usage": {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110, "cachedInputTokens": 0}, "providerMetadata": {"anthropic": {"usage": {"input_tokens": 100, "cached": 50}}}}', '{"input_tokens": 100, "cache_read_tokens": 0, "output_tokens": 10}', 'unexplained'),
('Text Generation Inference, and more', 'huggingface', '{"generated_tokens": 10, "input_length": 100, "cached": 50}', '{"input_tokens": 100, "output_tokens": 10}', 'unexplained'),
('OpenRouter afterwards, and more', 'openrouter', '{"native_tokens_prompt": 5, "native_tokens_completion": 3, "native_tokens_prompt_video": 4}', '{"input_tokens": 5, "output_tokens": 3}', 'unexplained'),
('OpenRouter afterwards, with other words', 'openrouter', '{"data": {"native_tokens_prompt": 5, "native_tokens_completion": 3, "usage": 0.002, "cached_tokens": 4}}', '{"input_tokens": 5, "output_tokens": 3}', 'unexplained'),
('opencode, and more', 'openai', '{"tokens": {"input": 5, "output": 3}, "summary_tokens": 99}', '{"input_tokens": 5, "output_tokens": 3}', 'unexplained'),
('a transcription with tokens', 'openai', '{"seconds": 60, "tokens": 50}', '{"input_seconds": 60}', 'unexplained'),
('images with a usage of their own', 'acme', '{"created": 1, "data": [{"url": "u"}], "usage": {"megapixels": 7}}', '{"output_images": 1}', 'unexplained'),
('OTLP, an object as a value', 'openai', '{"attributes": [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "100"}}, {"key": "gen_ai.usage.details", "value": {"kvlistValue": {"values": [{"key": "cache_read_tokens", "value": {"intValue": "50"}}]}}}]}', '{"input_tokens": 100}', 'unexplained');
-- but an answer may be a number, a tool be called with one, and a version or an id be digits
INSERT INTO sent (shape, provider, usage, counts) VALUES
('OTLP, by the names of its messages', 'openai', '{"attributes": [{"key": "gen_ai.usage.input_tokens", "value": {"int_value": "100"}}, {"key": "gen_ai.usage.output_tokens", "value": {"int_value": "5"}}, {"key": "gen_ai.response.finish_reasons", "value": {"array_value": {"values": [{"string_value": "7"}]}}}]}', '{"input_tokens": 100, "output_tokens": 5}'),
('Ollama answers 42', 'ollama', '{"model": "llama", "response": "42", "done": true, "prompt_eval_count": 10, "eval_count": 3}', '{"input_tokens": 10, "output_tokens": 3}'),
('Ollama calls a tool', 'ollama', '{"message": {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 5, "b": "7"}}}]}, "prompt_eval_count": 10, "eval_count": 3}', '{"input_tokens": 10, "output_tokens": 3}'),
('Llama answers 42', 'bedrock', '{"generation": "42", "prompt_token_count": 10, "generation_token_count": 3, "stop_reason": "stop"}', '{"input_tokens": 10, "output_tokens": 3}'),
('Titan answers 42', 'bedrock', '{"inputTextTokenCount": 5, "results": [{"tokenCount": 3, "outputText": "42", "completionReason": "FINISH"}]}', '{"input_tokens": 5, "output_tokens": 3}'),
('Cohere, version 2', 'cohere', '{"meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 5, "output_tokens": 3}}}', '{"input_tokens": 5, "output_tokens": 3}'),
('an id of digits', 'acme', '{"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13, "id": "20260101", "request_id": "8801", "estimated_total_cost": "1"}', '{"input_tokens": 10, "output_tokens": 3}'),
('Agno, with costs', 'openai', '{"input_tokens": 5, "output_tokens": 3, "total_tokens": 8, "cache_read_tokens": 2, "input_cost": "1", "output_cost": "2"}', '{"input_tokens": 5, "cache_read_tokens": 2, "output_tokens": 3}'),
('pydantic-ai, the words of several', 'google', '{"input_tokens": 10, "output_tokens": 3, "details": {"text_prompt_tokens": 10, "cached_content_tokens": 4, "message_iterations": 1, "compaction_input_tokens": 4, "num_cached_tokens": 4, "is_byok": 1}}', '{"input_tokens": 10, "output_tokens": 3}'),
('images with a cost', 'xai', '{"data": [{"url": "u"}], "created": 1, "usage": {"cost_in_usd_ticks": 7}}', '{"output_images": 1}');

-- the ones that are read otherwise
SELECT n, shape, usage, counts AS expected, cost_ledger.normalize_usage(usage, NULL, provider) AS counts, cost_ledger.usage_status(usage, NULL, provider) AS status
FROM sent
WHERE cost_ledger.normalize_usage(usage, NULL, provider) IS DISTINCT FROM counts OR cost_ledger.usage_status(usage, NULL, provider) <> status;
-- addresses that are no pictures
SELECT cost_ledger.usage_status('{"code": 200, "data": [{"title": "t", "url": "https://example.com", "content": "c"}]}') AS search_results;
SELECT count(*) AS shapes, count(*) FILTER (WHERE status <> 'final') AS flagged FROM sent;

-- a call that is recorded with them says the same
SELECT cost_ledger.create_ledger();
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage, request_id) SELECT '2026-02-01', provider, 'm', usage, n FROM sent;
SELECT s.n, s.shape, s.counts, r.counts, c.usage_status
FROM sent s
LEFT JOIN cost_ledger.call c ON c.request_id = s.n::text,
     LATERAL (SELECT jsonb_strip_nulls(jsonb_build_object(
                  'input_tokens', input_tokens, 'cache_read_tokens', cache_read_tokens, 'cache_write_tokens', cache_write_tokens,
                  'cache_write_1h_tokens', cache_write_1h_tokens, 'output_tokens', output_tokens, 'reasoning_tokens', reasoning_tokens))
              || coalesce(other_usage, '{}') AS counts) AS r
WHERE r.counts <> s.counts OR coalesce(c.usage_status, 'final') <> s.status OR c.call_id IS NULL;
SELECT service_class, count(*) FROM cost_ledger.call WHERE service_class <> 'standard' GROUP BY 1 ORDER BY 1;

-- the money. Cached input of LangChain: 800 x 3 + 5,000 x 0.30 + 600 x 15 per million; written, 800 x 3 + 5,000 x 3.75 + 600 x 15;
-- LiteLLM's writes: 3 x 3 + 12,304 x 3.75 + 550 x 15, and for an hour 3 x 3 + 12,304 x 6 + 550 x 15
SELECT cost_ledger.set_price('anthropic', 'c', '{"input_tokens": 3.00, "cache_read_tokens": 0.30, "cache_write_tokens": 3.75, "cache_write_1h_tokens": 6.00, "output_tokens": 15.00}', '2026-01-01') IS NOT NULL AS set;
CREATE FUNCTION pg_temp.cost(provider text, model text, usage jsonb, OUT cost numeric, OUT pricing text, OUT usage_status text)
LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage) VALUES ('2026-06-01', provider, model, usage)
    RETURNING cost, pricing, usage_status
$$;
SELECT n, (pg_temp.cost('anthropic', 'c', usage)).*, expected
FROM (VALUES (1, 0.0129, '{"input_tokens": 5800, "output_tokens": 600, "total_tokens": 6400, "input_token_details": {"cache_read": 5000, "cache_creation": 0}, "output_token_details": {"reasoning": 100}}'::jsonb),
             (2, 0.03015, '{"input_tokens": 5800, "output_tokens": 600, "total_tokens": 6400, "input_token_details": {"cache_read": 0, "cache_creation": 5000}}'),
             (3, 0.0129, '{"input_tokens": 5800, "cache_write_tokens": 0, "cache_read_tokens": 5000, "output_tokens": 600, "details": {}}'),
             (4, 0.0129, '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600, "model": "c"}'),
             (5, 0.0129, '{"requests": 2, "tool_calls": 1, "input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}'),
             (6, 0.054399, '{"prompt_tokens": 12307, "completion_tokens": 550, "total_tokens": 12857, "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_tokens": 12304}, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 0}'),
             (7, 0.082083, '{"prompt_tokens": 12307, "completion_tokens": 550, "total_tokens": 12857, "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_tokens": 12304, "cache_creation_token_details": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 12304}}, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 0}')) AS v (n, expected, usage)
ORDER BY n;
-- a picture: 943 x 5 + 3,044 x 8 + 6,240 x 30; without a rate for text, 150 x 5 + 8,000 x 40
SELECT cost_ledger.set_price('openai', 'gpt-image-2', '{"input_tokens": 5, "cache_read_tokens": 1.25, "input_image_tokens": 8, "output_tokens": 10, "output_image_tokens": 30}', '2026-04-21') IS NOT NULL AS set;
SELECT cost_ledger.set_price('openai', 'gpt-image-1', '{"input_tokens": 5, "input_image_tokens": 10, "output_image_tokens": 40}', '2025-04-21') IS NOT NULL AS set;
SELECT (pg_temp.cost('openai', model, usage)).*, expected
FROM (VALUES ('gpt-image-2', 0.216267, '{"input_tokens": 3987, "input_tokens_details": {"image_tokens": 3044, "text_tokens": 943}, "output_tokens": 6240, "total_tokens": 10227}'::jsonb),
             ('gpt-image-1', 0.32075, '{"input_tokens": 150, "input_tokens_details": {"image_tokens": 0, "text_tokens": 150}, "output_tokens": 8000, "total_tokens": 8150}')) AS v (model, expected, usage);

-- LiteLLM's list and the calls say the same meter: seconds, units, pages, images, the fee by the context's size
SELECT count(*) > 0 AS imported
FROM cost_ledger.import_prices('{
    "whisper-1": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001},
    "deepgram/nova-3": {"litellm_provider": "deepgram", "mode": "audio_transcription", "input_cost_per_second": 7.167e-05, "output_cost_per_second": 0.0},
    "soniox/stt": {"litellm_provider": "soniox", "mode": "audio_transcription", "input_cost_per_second": 0.0, "output_cost_per_second": 2.5e-05},
    "rerank-v3.5": {"litellm_provider": "cohere", "mode": "rerank", "input_cost_per_query": 0.002, "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "mistral/mistral-ocr-latest": {"litellm_provider": "mistral", "mode": "ocr", "ocr_cost_per_page": 0.004, "annotation_cost_per_page": 0.005},
    "dall-e-3": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.04},
    "1024-x-1024/dall-e-2": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 1.9e-08, "output_cost_per_pixel": 0.0},
    "gpt-realtime": {"litellm_provider": "openai", "mode": "realtime", "input_cost_per_token": 4e-06, "input_cost_per_image": 5e-06, "output_cost_per_token": 1.6e-05},
    "sora-2": {"litellm_provider": "openai", "mode": "video_generation", "output_cost_per_video_per_second": 0.1},
    "perplexity/sonar-pro": {"litellm_provider": "perplexity", "mode": "chat", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
        "search_context_cost_per_query": {"search_context_size_low": 0.006, "search_context_size_medium": 0.01, "search_context_size_high": 0.014}}}', 'litellm', valid_from => '2025-01-01');
-- 60 x 0.0001; 60 x 0.00007167; 60 x 0.000025; 3 x 0.002; 12 x 0.004 + 2 x 0.005; 2 x 0.04; 1024 x 1024 x 0.000000019; 10 x 4 + 90 x 5 + 7 x 16 per million; 8 x 0.1
-- 100 x 3 + 50 x 15 per million is 0.00105, and 0.014 or 0.006 or, where nobody says, 0.01; 14 x 3 + 70 x 15 per million + 0.006
SELECT n, (pg_temp.cost(provider, model, usage)).*, expected
FROM (VALUES (1, 'openai', 'whisper-1', 0.006, '{"type": "duration", "seconds": 60}'::jsonb),
             (2, 'deepgram', 'nova-3', 0.0043002, '{"seconds": 60}'),
             (3, 'soniox', 'stt', 0.0015, '{"audio_duration": 60}'),
             (4, 'cohere', 'rerank-v3.5', 0.006, '{"meta": {"billed_units": {"search_units": 3}}}'),
             (5, 'mistral', 'mistral-ocr-latest', 0.058, '{"usage_info": {"pages_processed": 12, "pages_processed_annotation": 2, "doc_size_bytes": 10000}}'),
             (6, 'openai', 'dall-e-3', 0.08, '{"created": 1, "data": [{"url": "u"}, {"url": "u"}]}'),
             (7, 'openai', '1024-x-1024/dall-e-2', 0.019922944, '{"created": 1, "data": [{"url": "u"}]}'),
             (8, 'openai', 'gpt-realtime', 0.000602, '{"input_tokens": 100, "output_tokens": 7, "total_tokens": 107, "input_token_details": {"image_tokens": 90, "text_tokens": 10}, "output_token_details": {"text_tokens": 7}}'),
             (9, 'openai', 'sora-2', 0.8, '{"object": "video", "seconds": "8", "size": "1280x720"}'),
             (10, 'perplexity', 'sonar-pro', 0.01505, '{"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "search_context_size": "high", "num_search_queries": 1}}'),
             (11, 'perplexity', 'sonar-pro', 0.00705, '{"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "search_context_size": "low", "num_search_queries": 1}}'),
             (12, 'perplexity', 'sonar-pro', 0.01105, '{"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "num_search_queries": 1}}'),
             (13, 'perplexity', 'sonar-pro', 0.007092, '{"usage": {"prompt_tokens": 14, "completion_tokens": 70, "total_tokens": 84, "search_context_size": "low", "cost": {"input_tokens_cost": 0.000042, "output_tokens_cost": 0.00105, "request_cost": 0.006, "total_cost": 0.007092}}}')) AS v (n, provider, model, expected, usage)
ORDER BY n;
-- genai-prices knows one fee for a request, whatever its search: 0.00105 + 0.014
SELECT count(*) > 0 AS imported FROM cost_ledger.import_prices('[{"id": "perplexity", "name": "Perplexity", "models": [{"id": "sonar-x", "match": {"equals": "sonar-x"}, "prices": {"input_mtok": 3, "output_mtok": 15, "requests_kcount": 14}}]}]', 'genai-prices', valid_from => '2025-01-01');
SELECT (pg_temp.cost('perplexity', 'sonar-x', '{"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "search_context_size": "high"}')).*;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
