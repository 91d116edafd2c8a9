-- What a bill is made of: which component the cost of a call belongs to.

CREATE FUNCTION cost_ledger_internal.call_component(operation text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE lower(operation)
        WHEN 'retry' THEN 'retries'
        WHEN 'fallback' THEN 'fallbacks'
        WHEN 'eval' THEN 'evals'
        WHEN 'judge' THEN 'evals'
        WHEN 'embedding' THEN 'embeddings'
        WHEN 'embeddings' THEN 'embeddings'
        WHEN 'rerank' THEN 'rerank'
        WHEN 'moderation' THEN 'moderation'
        WHEN 'background' THEN 'background'
        WHEN 'routing' THEN 'routing'
        WHEN 'subagent' THEN 'sub_agents'
    END;

COMMENT ON FUNCTION cost_ledger_internal.call_component(text) IS
    'The component of cost_breakdown_by_month that the whole cost of a call belongs to for its operation; NULL for a turn, whose cost goes by what was paid for.';
