--
-- Prices in parallel workers: each has a cache of its own, and all of them the
-- prices of the leader, also those that it has set and not committed.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT count(cost_ledger.set_price('p', 'm' || n, jsonb_build_object('input_tokens', n * 0.37, 'output_tokens', jsonb_build_array(n, jsonb_build_object('price', 2 * n, 'over', 5000))),
                                   timestamptz '2025-01-01' + v * interval '100 days'))
FROM generate_series(1, 50) AS n, generate_series(0, 3) AS v;
CREATE TABLE traffic AS
SELECT timestamptz '2024-12-01' + i % 500 * interval '1 day' AS at, 'm' || 1 + i % 55 AS model,
       jsonb_build_object('input_tokens', 1000 + i % 9000, 'output_tokens', i % 700) AS usage
FROM generate_series(1, 50000) AS i;
ANALYZE traffic;

CREATE FUNCTION pg_temp.total(OUT workers boolean, OUT cost numeric, OUT priced bigint) LANGUAGE plpgsql AS $$
DECLARE
    query text := $q$SELECT sum(cost_ledger.cost_at(at, 'p', model, usage)), count(cost_ledger.cost_at(at, 'p', model, usage)) FROM traffic$q$;
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan;
    workers := jsonb_path_query_first(plan::jsonb, '$.**."Workers Launched"')::integer > 0;
    EXECUTE query INTO cost, priced;
END
$$;
-- low enough for this scan, too high for the reading of prices
SET parallel_setup_cost = 10;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 0;
SELECT * FROM pg_temp.total() \gset serial_
SET max_parallel_workers_per_gather = 2;
SELECT * FROM pg_temp.total() \gset parallel_
-- some of it has no price: five models of 55, and the first month of the rest
SELECT :{?serial_workers} AS any_in_serial, :'parallel_workers' AS workers, :serial_cost = :parallel_cost AS same_cost, :serial_priced = :parallel_priced AS same_count,
       :serial_priced = (SELECT count(*) FROM traffic WHERE at >= '2025-01-01' AND substr(model, 2)::integer <= 50) AS right_count;
-- an independent sum
SELECT :parallel_cost = (
    SELECT sum((t.usage ->> 'input_tokens')::numeric * n * 0.37 * 0.000001
               + (t.usage ->> 'output_tokens')::numeric * n * CASE WHEN (t.usage ->> 'input_tokens')::numeric > 5000 THEN 2 ELSE 1 END * 0.000001)
    FROM traffic t, LATERAL (SELECT substr(t.model, 2)::integer AS n) m WHERE t.at >= '2025-01-01' AND n <= 50) AS right_cost;

-- a price that only this transaction knows of
BEGIN;
SELECT cost_ledger.set_price('p', 'm51', '{"input_tokens": 1000}', '2024-01-01') > 0 AS set;
SELECT * FROM pg_temp.total() \gset inside_
ROLLBACK;
SELECT :'inside_workers' AS workers, :inside_priced - :parallel_priced = (SELECT count(*) FROM traffic WHERE model = 'm51') AS of_m51,
       :inside_cost - :parallel_cost = (SELECT sum((usage ->> 'input_tokens')::numeric) * 0.001 FROM traffic WHERE model = 'm51') AS cost_of_m51;
SELECT * FROM pg_temp.total() \gset after_
SELECT :after_cost = :parallel_cost AS as_before;

-- the same inserted: an INSERT is not made in parallel, what is read for it may be
SELECT cost_ledger.create_partitions('2024-12-01', '2026-05-01') IS NOT NULL AS made LIMIT 1;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens)
SELECT at, 'p', model, (usage ->> 'input_tokens')::bigint, (usage ->> 'output_tokens')::bigint FROM traffic;
SELECT sum(cost) = :parallel_cost AS same_cost, count(cost) = :parallel_priced AS same_count FROM cost_ledger.call;

DROP TABLE traffic;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
