CREATE EXTENSION cost_ledger;
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions('2026-09-01', '2026-10-31');
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 3.00, "cache_read_tokens": 0.30, "cache_write_tokens": 3.75, "output_tokens": 15.00}', '2025-09-29');
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 2.00, "cache_read_tokens": 0.20, "cache_write_tokens": 2.50, "output_tokens": 10.00}', '2026-10-01');
SELECT cost_ledger.set_price('openai', 'gpt-5', '{"input_tokens": 1.25, "cache_read_tokens": 0.125, "output_tokens": 10.00}', '2025-08-07');
SELECT cost_ledger.set_price('openai', 'gpt-5-mini', '{"input_tokens": 0.25, "cache_read_tokens": 0.025, "output_tokens": 2.00}', '2025-08-07');

-- The same table, once without triggers, once with one that does nothing.
CREATE TABLE bare_call (LIKE cost_ledger.call INCLUDING DEFAULTS, PRIMARY KEY (called_at, call_id)) PARTITION BY RANGE (called_at);
ALTER TABLE bare_call ALTER call_id DROP DEFAULT;
ALTER TABLE bare_call ALTER call_id ADD GENERATED ALWAYS AS IDENTITY, ALTER recorded_at DROP NOT NULL, ALTER pricing DROP NOT NULL, ALTER service_class DROP NOT NULL;
CREATE TABLE bare_call_p2026_09 PARTITION OF bare_call FOR VALUES FROM ('2026-09-01') TO ('2026-10-01');
CREATE TABLE bare_call_p2026_10 PARTITION OF bare_call FOR VALUES FROM ('2026-10-01') TO ('2026-11-01');

CREATE TABLE floor_call (LIKE bare_call INCLUDING DEFAULTS INCLUDING IDENTITY, PRIMARY KEY (called_at, call_id)) PARTITION BY RANGE (called_at);
CREATE TABLE floor_call_p2026_09 PARTITION OF floor_call FOR VALUES FROM ('2026-09-01') TO ('2026-10-01');
CREATE TABLE floor_call_p2026_10 PARTITION OF floor_call FOR VALUES FROM ('2026-10-01') TO ('2026-11-01');
CREATE FUNCTION empty_trigger() RETURNS trigger LANGUAGE c AS :'empty_trigger';
CREATE TRIGGER nothing BEFORE INSERT ON floor_call FOR EACH ROW EXECUTE FUNCTION empty_trigger();

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
