-- What the parts of the input cost: what calls paid for it, divided, and whole again.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions('2026-05-01', '2026-07-01') \g /dev/null
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1, "cache_read_tokens": 0.1, "output_tokens": 1000}', '2026-01-01') > 0 AS priced;
INSERT INTO cost_ledger.call (called_at, provider, model, feature, served_from, input_tokens, cache_read_tokens, output_tokens, input_parts, event_key) VALUES
    -- 6.1, of which a seventh has no last digit.
    ('2026-05-01Z', 'p', 'm', 'sevenths', 'model', 7000000, 1000000, NULL, '{"a": 1000000, "b": 2000000, "c": 4000000}', 'e1'),
    -- A half is said; output is no input.
    ('2026-05-02Z', 'p', 'm', 'half', 'model', 1000000, 500000, 1000, '{"history": 300000, "new_input": 200000}', 'e2'),
    ('2026-05-02Z', 'p', 'm', 'half', 'model', 1000000, NULL, NULL, NULL, 'e3'),
    -- The application's own cache has sent nothing; nothing is known of the price; a part has the name of the rest.
    ('2026-05-03Z', 'p', 'm', 'own cache', 'response_cache', 1000000, NULL, NULL, '{"history": 1000000}', 'e4'),
    ('2026-05-03Z', 'p', 'none', 'no price', 'model', 1000, NULL, NULL, '{"history": 1000}', 'e5'),
    ('2026-05-31 23:59:59Z', 'p', 'm', NULL, 'model', 1000000, NULL, NULL, '{"(unallocated)": 400000, "": 0}', 'e6'),
    ('2026-06-01Z', 'p', 'm', NULL, 'model', 1000000, NULL, NULL, '{"history": 1000000}', 'e7'),
    -- Parts of an input that nobody has counted.
    ('2026-06-02Z', 'p', 'm', 'not counted', 'model', NULL, NULL, 1000, '{"history": 5}', 'e8');
CREATE VIEW pg_temp.shown AS
    SELECT month, feature, part, is_allocated, calls, input_tokens AS tokens, mean_tokens_per_call AS mean, cost, share
    FROM cost_ledger.cost_by_input_part ORDER BY row_key COLLATE "C";
SELECT * FROM pg_temp.shown;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.shown;
CALL cost_ledger.refresh();
SELECT count(*) AS differ FROM ((TABLE before EXCEPT ALL SELECT * FROM pg_temp.shown) UNION ALL (SELECT * FROM pg_temp.shown EXCEPT ALL TABLE before)) d;
-- All together are what the input cost, to the last digit.
SELECT p.month, p.cost - l.cost AS difference
FROM (SELECT month, sum(cost) AS cost FROM cost_ledger.cost_by_input_part GROUP BY month) p
JOIN (SELECT month, sum(input_cost + cache_read_cost + cache_write_cost) AS cost FROM cost_ledger.cost_by_month GROUP BY month) l USING (month) ORDER BY 1;
-- A recount is of no part; a move takes the parts along; what is taken back is gone.
SELECT cost_ledger.correct_call('e2', '{"input_tokens": 100000, "cache_read_tokens": 0}', 'recount') > 0 AS corrected, cost_ledger.void_call('e7', 'never made') IS NOT NULL AS voided;
SELECT count(*) > 0 AS moved FROM cost_ledger.reattribute('{"feature": "sevenths"}'::jsonb, '{"feature": "moved"}', 'x', dry_run => false);
SELECT * FROM pg_temp.shown WHERE feature IN ('half', 'moved', 'sevenths') OR month = '2026-06-01';
DROP VIEW pg_temp.shown;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
