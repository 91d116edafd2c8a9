-- Usage: what a call consumed.
--
-- The specific is a part of the general (OpenTelemetry's convention), so that no
-- token is counted twice; src/usage.c reads whatever providers say into that.

CREATE FUNCTION cost_ledger.normalize_usage(usage jsonb, format text DEFAULT NULL, provider text DEFAULT NULL) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_normalize_usage';

COMMENT ON FUNCTION cost_ledger.normalize_usage(jsonb, text, text) IS
    'A provider''s usage object, or a whole response with one inside, in the ledger''s convention: input_tokens is all input, of which cache_read_tokens, cache_write_tokens and cache_write_1h_tokens are subsets; output_tokens is all output, of which reasoning_tokens is a subset; likewise audio, image and video. Formats: openai_chat, openai_responses, anthropic, gemini, bedrock_converse, cohere, cohere_tokens, opentelemetry, xai, perplexity, voyage, cost_ledger; told by shape, and by provider where that is not enough, when NULL. An unknown format or shape, a subset that exceeds its total and a count that is no number are errors (22023), as is a count below 0, with a fraction or above 10^12 (22003).';

CREATE FUNCTION cost_ledger.usage_status(usage jsonb, format text DEFAULT NULL, provider text DEFAULT NULL) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_usage_status';

COMMENT ON FUNCTION cost_ledger.usage_status(jsonb, text, text) IS
    'How far a usage object explains itself, as call.usage_status will say: final; unexplained (counts that do not add up, or tokens without a meter, are priced inside their total); unrecognized (of no known shape, or a subset exceeds its total: recorded and not priced). Arguments and other errors as normalize_usage().';
