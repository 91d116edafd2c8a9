-- A summary is a function of the multiset of values: neither order nor
-- grouping nor parallel workers leave a trace in its bytes.
SET search_path = cost_ledger, pg_catalog;

-- pseudo-random values with a heavy tail, free calls, credits and large sums
CREATE TABLE public.summary_value AS
SELECT i, (hashint8extended(i, 1) & 1023)::integer AS g,
    CASE WHEN i % 17 = 0 THEN 0
         WHEN i % 101 = 0 THEN -round(exp(u * 9 - 7)::numeric, 6)
         WHEN i % 1009 = 0 THEN u::numeric * 1e30
         WHEN i % 1013 = 0 THEN u::numeric * 1e-20
         ELSE round(exp(u * 9 - 7)::numeric, 8) END AS x,
    CASE WHEN i % 19 = 0 THEN NULL ELSE exp(u * 9 - 7) END AS f
FROM (SELECT i, (hashint8extended(i, 2) & 1073741823) / 1073741824.0::double precision AS u
      FROM generate_series(1, 20000) AS i) AS v;
ANALYZE public.summary_value;

CREATE TABLE public.summary_truth AS
SELECT summarize(x) AS x, summarize(f) AS f FROM public.summary_value;
SELECT num_values(x) = 20000 AS number, total(x) = (SELECT sum(v.x) FROM public.summary_value AS v) AS total,
    num_values(f) AS floats
FROM public.summary_truth;

-- order
SELECT x = (SELECT summarize(v.x ORDER BY v.x) FROM public.summary_value AS v) AS ascending,
    x = (SELECT summarize(v.x ORDER BY v.x DESC) FROM public.summary_value AS v) AS descending,
    x = (SELECT summarize(v.x ORDER BY v.g, v.i) FROM public.summary_value AS v) AS mixed,
    f = (SELECT summarize(v.f ORDER BY v.f DESC) FROM public.summary_value AS v) AS floats
FROM public.summary_truth;

-- trees of merges
WITH RECURSIVE leaf AS MATERIALIZED (
    SELECT g, summarize(x) AS s FROM public.summary_value GROUP BY g
), tree AS (
    SELECT 10 AS level, g AS node, s FROM leaf
    UNION ALL
    SELECT level - 1, node / 2, merge(s) OVER (PARTITION BY node / 2)
    FROM (SELECT DISTINCT ON (node) level, node, s FROM tree) AS t
    WHERE level > 7
)
SELECT level, count(DISTINCT node) AS nodes,
    (SELECT merge(s) FROM (SELECT DISTINCT ON (node) s FROM tree AS u WHERE u.level = t.level) AS v)
        = (SELECT x FROM public.summary_truth) AS same
FROM tree AS t WHERE level = 10 GROUP BY level;
SELECT n, (SELECT merge(s) FROM (SELECT merge(s) AS s FROM (SELECT g, summarize(x) AS s FROM public.summary_value GROUP BY g) AS leaf GROUP BY g % n) AS v)
    = (SELECT x FROM public.summary_truth) AS same
FROM unnest(ARRAY[1, 2, 7, 100, 1000]) AS n;
-- one after the other, as a rollup is kept up to date
DO $$
DECLARE
    s cost_ledger.summary;
    r record;
BEGIN
    FOR r IN SELECT cost_ledger.summarize(x) AS s FROM public.summary_value GROUP BY i / 40 ORDER BY i / 40
    LOOP
        s := cost_ledger.merge(s, r.s);
    END LOOP;
    RAISE NOTICE 'one by one: %', (SELECT x = s FROM public.summary_truth);
END
$$;
-- small with small, small with large, large with small
SELECT count(*), bool_and(merge(a, b) = c) AS same
FROM (SELECT summarize(x) FILTER (WHERE x <= k) AS a, summarize(x) FILTER (WHERE x > k) AS b, summarize(x) AS c
      FROM generate_series(0, 40) AS k, generate_series(1, 40) AS x GROUP BY k) AS v;
SELECT merge(NULL, NULL::summary) IS NULL AS none, merge(summarize(1), NULL) = summarize(1) AS first,
    merge(NULL, summarize(1)) = summarize(1) AS second;
-- in an upsert, where either side may be NULL
CREATE TEMP TABLE kept (g integer PRIMARY KEY, s summary);
INSERT INTO kept VALUES (1, (SELECT summarize(1))), (2, NULL);
INSERT INTO kept AS k VALUES (1, (SELECT summarize(2))), (2, (SELECT summarize(3))), (3, (SELECT summarize(4)))
ON CONFLICT (g) DO UPDATE SET s = merge(k.s, excluded.s);
INSERT INTO kept AS k VALUES (1, NULL), (4, NULL)
ON CONFLICT (g) DO UPDATE SET s = merge(k.s, excluded.s);
SELECT * FROM kept ORDER BY g;

-- parallel plans
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 3;
CREATE FUNCTION pg_temp.has_node(query text, node text) RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query
    LOOP
        IF line LIKE '%' || node || '%' THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
SELECT pg_temp.has_node('SELECT cost_ledger.summarize(x) FROM public.summary_value', 'Partial Aggregate') AS parallel;
SELECT (SELECT summarize(v.x) FROM public.summary_value AS v) = x AS numbers,
    (SELECT summarize(v.f) FROM public.summary_value AS v) = f AS floats,
    (SELECT summarize(v.x) FROM public.summary_value AS v WHERE v.i < 0) IS NULL AS none,
    (SELECT summarize(v.x) FROM public.summary_value AS v WHERE v.i = 5) IS NOT NULL AS one,
    (SELECT p95(v.x) FROM public.summary_value AS v) = p95(x) AS direct,
    (SELECT merge(s) FROM (SELECT summarize(v.x) AS s FROM public.summary_value AS v GROUP BY g) AS w) = x AS merged
FROM public.summary_truth;
CREATE TABLE public.summary_rollup AS
SELECT g, summarize(x) AS x, summarize(f, 0.001) AS f FROM public.summary_value GROUP BY g;
SELECT (SELECT merge(r.x) FROM public.summary_rollup AS r) = x AS rolled_up FROM public.summary_truth;
SET max_parallel_workers_per_gather = 0;
SELECT count(*) AS groups, bool_and(r.x = v.x AND r.f = v.f) AS same
FROM public.summary_rollup AS r
    JOIN (SELECT g, summarize(x) AS x, summarize(f, 0.001) AS f FROM public.summary_value GROUP BY g) AS v USING (g);
-- hashed and spilling, and sorted
SET work_mem = '64kB';
SET enable_sort = off;
SELECT count(*) AS groups, bool_and(r.x = v.x) AS same
FROM public.summary_rollup AS r
    JOIN (SELECT g, summarize(x) AS x FROM public.summary_value GROUP BY g) AS v USING (g);
RESET enable_sort;
SET enable_hashagg = off;
SELECT count(*) AS groups, bool_and(r.x = v.x) AS same
FROM public.summary_rollup AS r
    JOIN (SELECT g, summarize(x) AS x FROM public.summary_value GROUP BY g) AS v USING (g);
SELECT count(*) AS sets, count(*) FILTER (WHERE num_values(x) = 20000) AS whole
FROM (SELECT g % 2 AS a, g % 3 AS b, summarize(x) AS x FROM public.summary_value GROUP BY CUBE (g % 2, g % 3)) AS v;
RESET ALL;

-- accuracies do not mix, in parallel plans either
SET search_path = cost_ledger, pg_catalog;
SELECT coarsen((SELECT summarize(v.f, 0.001) FROM public.summary_value AS v), 0.01) = f AS coarser FROM public.summary_truth;
\set VERBOSITY sqlstate
SELECT merge(s) FROM (SELECT x FROM public.summary_rollup UNION ALL SELECT f FROM public.summary_rollup) AS v (s);
\set VERBOSITY default

DROP TABLE public.summary_value, public.summary_truth, public.summary_rollup;
