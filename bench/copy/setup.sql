CREATE EXTENSION cost_ledger;
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions('2026-09-01', '2026-10-31');
SELECT cost_ledger.set_price('anthropic', 'claude-opus-4-1',
    '{"input_tokens": 15.00, "cache_read_tokens": 1.50, "cache_write_tokens": 18.75, "output_tokens": 75.00}', '2025-08-05');
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 3.00, "cache_read_tokens": 0.30, "cache_write_tokens": 3.75, "output_tokens": 15.00}', '2025-09-29');
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 2.00, "cache_read_tokens": 0.20, "cache_write_tokens": 2.50, "output_tokens": 10.00}', '2026-10-01');
SELECT cost_ledger.set_price('anthropic', 'claude-haiku-4-5',
    '{"input_tokens": 1.00, "cache_read_tokens": 0.10, "cache_write_tokens": 1.25, "output_tokens": 5.00}', '2025-10-15');
SELECT cost_ledger.set_price('openai', 'gpt-5', '{"input_tokens": 1.25, "cache_read_tokens": 0.125, "output_tokens": 10.00}', '2025-08-07');
SELECT cost_ledger.set_price('openai', 'gpt-5-mini', '{"input_tokens": 0.25, "cache_read_tokens": 0.025, "output_tokens": 2.00}', '2025-08-07');
SELECT cost_ledger.set_price('openai', 'gpt-5-mini', '{"input_tokens": 0.125, "cache_read_tokens": 0.0125, "output_tokens": 1.00}', '2025-08-07',
    service_class => 'batch');

-- The same table with the same indexes and as many partitions, once without
-- triggers, once with one that does nothing.  Numbers come from an identity
-- column, and what the ledger computes may be missing.
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
