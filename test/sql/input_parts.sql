-- What the parts of the input cost: what calls paid for it, divided, and whole again.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions('2026-05-01', '2026-08-01') \g /dev/null
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
-- Before and after refresh(), taken back before it or after, of single batches: the same, and proved.
TRUNCATE before;
INSERT INTO before SELECT * FROM pg_temp.shown;
CALL cost_ledger.refresh();
SELECT count(*) AS differ FROM ((TABLE before EXCEPT ALL SELECT * FROM pg_temp.shown) UNION ALL (SELECT * FROM pg_temp.shown EXCEPT ALL TABLE before)) d;
INSERT INTO cost_ledger.call (called_at, provider, model, feature, input_tokens, input_parts, event_key)
    SELECT timestamptz '2026-05-05Z' + i * interval '3 days', CASE WHEN i % 4 = 0 THEN 'q' ELSE 'p' END, 'm', 'many ' || i % 2, i * 1000, jsonb_build_object('history', i * 300, repeat('long', 300) || i % 2, i * 7), 'many ' || i
    FROM generate_series(1, 12) AS i;
SELECT cost_ledger.void_call('many 2', 'before refresh()') IS NOT NULL AS voided;
TRUNCATE before;
INSERT INTO before SELECT * FROM pg_temp.shown;
CALL cost_ledger.refresh(5);
SELECT count(*) AS differ FROM ((TABLE before EXCEPT ALL SELECT * FROM pg_temp.shown) UNION ALL (SELECT * FROM pg_temp.shown EXCEPT ALL TABLE before)) d;
-- Those that have no price are all that is left of a part.
SELECT count(cost_ledger.void_call('many ' || i, 'after refresh()')) AS voided FROM unnest('{6,10}'::integer[]) AS i;
SELECT feature, left(part, 7) AS part, length(part) AS length, calls, tokens, cost FROM pg_temp.shown WHERE feature LIKE 'many%';
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
-- What is proved is seen to be wrong, and put right; also of a month that has lost all.
BEGIN;
UPDATE cost_ledger_internal.rollup_input_part_month SET input_tokens = input_tokens + 1 WHERE part = 'history' AND month = '2026-06-01';
DELETE FROM cost_ledger_internal.rollup_input_part_month WHERE month = '2026-05-01';
SELECT rollup, key ->> 'feature' AS feature, left(key ->> 'part', 7) AS part, stored, expected FROM cost_ledger.check_rollups() ORDER BY 2, 3, expected::text COLLATE "C" LIMIT 4;
SELECT cost_ledger.rebuild_rollups() > 10 AS put_right;
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
ROLLBACK;
-- Who names no part is among those; a count is a count, however it is written.
BEGIN;
INSERT INTO cost_ledger.call (called_at, provider, model, feature, input_tokens, input_parts) VALUES
    ('2026-07-10Z', 'p', 'm', 'nothing said', 100, '{}'), ('2026-07-10Z', 'p', 'm', 'nothing said', 100, 'null'), ('2026-07-10Z', 'p', 'm', 'nothing said', 100, NULL),
    ('2026-07-10Z', 'p', 'm', 'nothing said', 100, '{"a": 40.00}');
SELECT part, calls, tokens, mean, cost FROM pg_temp.shown WHERE feature = 'nothing said';
ROLLBACK;
-- Calls that came another way may say anything: what is no count is no part.
SET session_replication_role = replica;
INSERT INTO cost_ledger.call (call_id, called_at, recorded_at, recorded_xid, provider, model, pricing, service_class, input_tokens, input_parts)
    SELECT 999 + n, '2026-07-20Z', now(), NULL, 'p', 'm', 'free', 'standard', 100, parts::jsonb
    FROM unnest(ARRAY['{"a": "much", "b": 7, "c": -7, "d": 1e300}', '[1, 2]', '"text"']) WITH ORDINALITY AS v (parts, n);
RESET session_replication_role;
SELECT part, calls, tokens, cost FROM pg_temp.shown WHERE month = '2026-07-01';
CALL cost_ledger.refresh();
SELECT part, calls, tokens, cost FROM pg_temp.shown WHERE month = '2026-07-01';
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
DROP VIEW pg_temp.shown;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
