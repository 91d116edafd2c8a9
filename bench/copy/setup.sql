-- Beside the ledger and calls of bench/rollup/setup.sql, the same table with the
-- same indexes and as many partitions, once without triggers, once with one that
-- does nothing.  Numbers come from an identity column, and what the ledger computes
-- may be missing.
CREATE PROCEDURE make_peer(peer text) LANGUAGE plpgsql AS $$
DECLARE
    p record;
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE cost_ledger.call INCLUDING DEFAULTS INCLUDING INDEXES) PARTITION BY RANGE (called_at)', peer);
    EXECUTE format('ALTER TABLE %I ALTER call_id DROP DEFAULT', peer);
    EXECUTE format('ALTER TABLE %I ALTER call_id ADD GENERATED ALWAYS AS IDENTITY, ALTER recorded_at DROP NOT NULL, ALTER pricing DROP NOT NULL, ALTER service_class DROP NOT NULL', peer);
    FOR p IN
        SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bounds
        FROM pg_partition_tree('cost_ledger.call') t JOIN pg_class c ON c.oid = t.relid
        WHERE t.isleaf
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I %s', replace(p.relname, 'call', peer), peer, p.bounds);
    END LOOP;
END
$$;
CALL make_peer('bare_call');
CALL make_peer('floor_call');
CREATE FUNCTION empty_trigger() RETURNS trigger LANGUAGE c AS :'empty_trigger';
CREATE TRIGGER nothing BEFORE INSERT ON floor_call FOR EACH ROW EXECUTE FUNCTION empty_trigger();

-- What clients have sent of each call, with its counts in columns and with the
-- usage object of its provider.
CREATE VIEW sent AS
SELECT called_at, provider, model, nullif(service_class, 'standard') AS service_class,
       input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, duration_ms, tool_calls_count, retry_count, accepted,
       team, feature, customer, task_type, environment, user_id, cohort, api_key, agent, step, tool, session_id, run_id, parent_run_id, operation, status
FROM cost_ledger.call
ORDER BY call_id;

CREATE VIEW sent_raw AS
SELECT called_at, provider, model, service_class,
       CASE provider
           WHEN 'anthropic' THEN format('{"input_tokens": %s, "cache_read_input_tokens": %s, "cache_creation_input_tokens": %s, "output_tokens": %s, "service_tier": "standard"}',
                                        input_tokens - coalesce(cache_read_tokens, 0) - coalesce(cache_write_tokens, 0), coalesce(cache_read_tokens, 0), coalesce(cache_write_tokens, 0), output_tokens)
           ELSE format('{"prompt_tokens": %s, "completion_tokens": %s, "total_tokens": %s, "prompt_tokens_details": {"cached_tokens": %s, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": %s}}',
                       input_tokens, output_tokens, input_tokens + output_tokens, coalesce(cache_read_tokens, 0), coalesce(reasoning_tokens, 0))
       END AS raw_usage,
       duration_ms, tool_calls_count, retry_count, accepted,
       team, feature, customer, task_type, environment, user_id, cohort, api_key, agent, step, tool, session_id, run_id, parent_run_id, operation, status
FROM sent;

CREATE TABLE processor_time (nanoseconds bigint);

CREATE FUNCTION bench_reset(which regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    partition regclass;
BEGIN
    -- Triggers refuse TRUNCATE of the ledger; the bench may go round them.
    FOR partition IN SELECT relid FROM pg_partition_tree(which) WHERE isleaf LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', partition);
        EXECUTE format('TRUNCATE %s', partition);
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', partition);
    END LOOP;
    IF which = 'cost_ledger.call'::regclass THEN
        ALTER TABLE cost_ledger.call ENABLE ALWAYS TRIGGER price_call;
    END IF;
END
$$;
