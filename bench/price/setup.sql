CREATE EXTENSION cost_ledger;
SELECT cost_ledger.create_ledger();
\set more_than 0
\ir prices.sql

CREATE TABLE traffic AS
SELECT i AS id, timestamptz '2025-01-01' + (i * 7919) % 50000000 * interval '1 second' AS at, 'p'::text AS provider,
       'model-' || 1 + (i * 31) % :models AS model,
       CASE WHEN i % 3 = 0 THEN jsonb_build_object('input_tokens', 1000 + i % 5000, 'output_tokens', i % 900)
            ELSE jsonb_build_object('input_tokens', 1000 + i % 5000, 'cache_read_tokens', i % 1000, 'output_tokens', i % 900) END AS usage
FROM generate_series(1::bigint, :rows) AS i;
CREATE INDEX ON traffic (id);
VACUUM ANALYZE;
