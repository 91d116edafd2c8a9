-- Usage: what a call consumed.
--
-- The specific is a part of the general (OpenTelemetry's convention), so that no
-- token is counted twice; src/usage_read.c reads whatever is reported into that.

CREATE FUNCTION cost_ledger.normalize_usage(usage jsonb, format text DEFAULT NULL, provider text DEFAULT NULL) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_normalize_usage';

COMMENT ON FUNCTION cost_ledger.normalize_usage(jsonb, text, text) IS
    'A usage object of a provider, library, gateway or span, or a whole response or event with one inside, in the ledger''s convention: input_tokens is all input, of which cache_read_tokens, cache_write_tokens and cache_write_1h_tokens are subsets; output_tokens is all output, of which reasoning_tokens is a subset; likewise audio, image and video; anything else is a meter of its own. The format is one of those in docs/usage.md (openai_chat, anthropic, gemini, langchain, …; an unknown one is an error that lists them); told by shape, and by provider where that is not enough, when NULL. What usage_status() says is unrecognized is an error (22023).';

CREATE FUNCTION cost_ledger.usage_status(usage jsonb, format text DEFAULT NULL, provider text DEFAULT NULL) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_usage_status';

COMMENT ON FUNCTION cost_ledger.usage_status(jsonb, text, text) IS
    'How far a usage object explains itself, as call.usage_status will say: final; unexplained (counts that do not add up, a number that nobody knows to be no count, or output without input: what is left is priced inside its total); unrecognized (of no known shape, a total that is no whole number from 0 to 10^12, or a subset that exceeds its total: recorded and not priced). Arguments as normalize_usage(); an unknown format is an error (22023).';
