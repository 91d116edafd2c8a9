-- Usage: what a call consumed.

CREATE FUNCTION cost_ledger.normalize_usage(usage jsonb, format text DEFAULT NULL) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_normalize_usage';

COMMENT ON FUNCTION cost_ledger.normalize_usage(jsonb, text) IS
    'A provider''s usage object (or a whole response with one under "usage") in the ledger''s convention: input_tokens is all input, of which cache_read_tokens, cache_write_tokens and cache_write_1h_tokens are subsets; output_tokens is all output, of which reasoning_tokens is a subset. Formats: openai_chat, openai_responses, anthropic, cost_ledger; told by shape when NULL. An unknown shape is an error (22023).';
