-- The type cost_ledger.summary: what it holds, what its readers answer, and
-- what it refuses.
\pset null '(null)'
SET search_path = cost_ledger, pg_catalog;

-- a small group keeps its values, and display scale does not matter
SELECT summarize(x) FROM (VALUES (0.0129), (0.01290), (5), (-1.5), (NULL)) AS v (x);
SELECT summarize(1.0::numeric) = summarize(1.00::numeric) AS same_scale,
    summarize(2.5::numeric) = summarize(2.5::double precision) AS same_type,
    summarize(3::bigint) = summarize(3::numeric) AS same_integer,
    summarize(7) = summarize(7::numeric) AS same_int4;

-- the readers
WITH s AS (
    SELECT summarize(x) AS s FROM generate_series(1, 1000) AS x
)
SELECT num_values(s), total(s), mean(s), minimum(s), maximum(s), p50(s), p95(s),
    p99(s), quantile(s, 0) AS q0, quantile(s, 0.25) AS q25, quantile(s, 1) AS q1
FROM s;
SELECT quantiles(summarize(x), ARRAY[0, 0.5, NULL, 1]),
    quantiles(summarize(x), ARRAY[[0.1, 0.2], [0.3, 0.4]]) AS two_dimensions,
    quantiles(summarize(x), ARRAY[]::double precision[]) AS none
FROM generate_series(1, 1000) AS x;
SELECT (summary_info(summarize(x))).* FROM generate_series(1, 1000) AS x;
SELECT (summary_info(summarize(x / 100.0, 0.001))).* FROM generate_series(-3, 7) AS x;
SELECT p50(x), p95(x), p99(x) FROM generate_series(1, 16) AS x;
SELECT p95(x::numeric) = p95(x::double precision) AND p95(x::numeric) = p95(x::bigint)
    AND p95(x::numeric) = p95(summarize(x)) AS same
FROM generate_series(1, 1000) AS x;

-- a mean is the total divided by the number
SELECT mean(summarize(x)) = avg(x) AS same FROM (VALUES (0.1), (0.2), (0.7)) AS v (x);
SELECT mean(summarize(x)) FROM (VALUES (1), (1), (2)) AS v (x);

-- no values at all
SELECT summarize(x) IS NULL AS summary, p95(x) IS NULL AS p95
FROM (SELECT 1.0 WHERE false) AS v (x);
SELECT summarize(x) IS NULL AS summary, merge(summarize(x)) OVER () IS NULL AS merged
FROM (VALUES (NULL::numeric), (NULL)) AS v (x);
SELECT g, num_values(summarize(x)), total(summarize(x)), p95(x)
FROM (VALUES (1, 3.5), (1, NULL), (2, NULL)) AS v (g, x)
GROUP BY g ORDER BY g;
SELECT quantile(NULL::summary, 0.5), quantiles(NULL, ARRAY[0.5]), mean(NULL), total(NULL),
    num_values(NULL), minimum(NULL), maximum(NULL), p95(NULL::summary), rank(NULL::summary, 1);
SELECT quantile(summarize(1), NULL), quantiles(summarize(1), NULL), rank(summarize(1), NULL);

-- zero and negative values are values
SELECT num_values(s), total(s), minimum(s), maximum(s), p50(s), p95(s),
    quantiles(s, ARRAY[0.01, 0.1, 0.2, 0.8])
FROM (SELECT summarize(x) AS s
      FROM (SELECT 0.0 FROM generate_series(1, 700)
            UNION ALL SELECT -i / 10.0 FROM generate_series(1, 100) AS i
            UNION ALL SELECT i / 10.0 FROM generate_series(1, 200) AS i) AS v (x)) AS v;
SELECT summarize('-0'::double precision) = summarize(0) AS no_negative_zero;

-- one value a million times is still exact
SELECT summarize(0.0125) FROM generate_series(1, 1000000);

-- 16 distinct values are kept, 17 are not
SELECT (summary_info(summarize(x % 16))).is_exact AS sixteen,
    (summary_info(summarize(x % 17))).is_exact AS seventeen
FROM generate_series(1, 1000) AS x;

-- what a double is rounded to, and what its total is
SELECT total(summarize(0.1::double precision)) AS tenth,
    total(summarize(1e-16::double precision)) AS below,
    total(summarize(5e-16::double precision)) AS half_up,
    total(summarize(-5e-16::double precision)) AS half_down,
    total(summarize(1234.56::double precision)) AS cents,
    maximum(summarize(5e-324::double precision)) AS denormal;
-- 2^-16 is 0.0000152587890625, a tie
SELECT minimum(summarize(x)), maximum(summarize(x))
FROM (VALUES (2 ^ -16::double precision), (-1 * 2 ^ -16::double precision)) AS v (x);
SELECT total(summarize(x)) FROM (VALUES (1e20::double precision), (1), (-1e20)) AS v (x);
SELECT length(total(summarize(x))::text), total(summarize(x)) % 1000 AS last_digits
FROM (VALUES (1.7976931348623157e308::double precision), (1)) AS v (x);
SELECT total(summarize(x)) = sum(x::numeric) AS exact, maximum(summarize(x)) AS maximum
FROM (VALUES (9007199254740993::bigint), (9223372036854775807), (-9223372036854775808)) AS v (x);

-- numeric of any size
SELECT total(s) = 1e40 + 1e-40 AS exact, minimum(s), maximum(s) = 1e40 AS maximum, p50(s)
FROM (SELECT summarize(x) AS s FROM (VALUES (1e40), (1e-40)) AS v (x)) AS v;
WITH v AS (
    SELECT (x - 50) * 1.23456789012345678901234567890e25 + 1e-30 * x AS x
    FROM generate_series(1, 1000) AS x
)
SELECT total(summarize(x)) = sum(x) AS exact, minimum(summarize(x)) = min(x) AS minimum,
    maximum(summarize(x)) = max(x) AS maximum
FROM v;
SELECT total(s) = 9 * (10::numeric ^ 131071) + 7e-1000 AS exact, num_values(s)
FROM (SELECT summarize(x) AS s
      FROM (VALUES (9 * 10::numeric ^ 131071), (7e-1000)) AS v (x)) AS v;

-- the end buckets: what is out of range costs accuracy, never an error
SELECT quantiles(summarize(('1e' || x)::numeric), ARRAY[0.1, 0.4, 0.5, 0.6, 0.999])
FROM generate_series(-20, 20) AS x;
SELECT quantiles(summarize(-('1e' || x)::numeric), ARRAY[0.001, 0.4, 0.5, 0.6, 0.9])
FROM generate_series(-20, 20) AS x;
-- an estimate never leaves the range of the values
SELECT p50(s) BETWEEN minimum(s) AND maximum(s) AS inside
FROM (SELECT summarize(1.0000001 + x / 1e9) AS s FROM generate_series(1, 100) AS x) AS v;

-- counts beyond 2^53
WITH s AS (
    SELECT '{"version": 1, "accuracy": 0.01, "count": 9007199254740993, "values": [[0.5, 9007199254740992], [2, 1]]}'::summary AS s
)
SELECT num_values(s), total(s), p50(s), maximum(s), num_values(merge(s, s)) AS twice FROM s;

-- accuracy is part of the value
SELECT accuracy, (summary_info(summarize(x::numeric, accuracy))).buckets,
    abs(quantile(summarize(x::numeric, accuracy), 0.9) - 9000) <= 9000 * accuracy::numeric AS within
FROM generate_series(1, 10000) AS x, unnest(ARRAY[0.02, 0.01, 0.005, 0.002, 0.001]) AS accuracy
GROUP BY accuracy ORDER BY accuracy;
SELECT coarsen(summarize(x / 7.0, 0.001), 0.01) = summarize(x / 7.0, 0.01) AS to_1_percent,
    coarsen(summarize(x / 7.0, 0.01), 0.02) = summarize(x / 7.0, 0.02) AS to_2_percent,
    coarsen(summarize(x / 7.0, 0.01), 0.01) = summarize(x / 7.0) AS to_itself
FROM generate_series(-1000, 1000) AS x;
SELECT coarsen(summarize(x, 0.001), 0.005) = summarize(x, 0.005) AS values
FROM generate_series(1, 10) AS x;

-- rank, the inverse of quantile
SELECT rank(s, 0), rank(s, 1), rank(s, 1.5), rank(s, 4), rank(s, -1)
FROM (SELECT summarize(x) AS s FROM generate_series(1, 4) AS x) AS v;
SELECT rank(s, -1), rank(s, 0.5), abs(rank(s, 300) - 0.3) < 0.004 AS about, rank(s, 1000), rank(s, 1e30)
FROM (SELECT summarize(x) AS s FROM generate_series(1, 1000) AS x) AS v;

-- the histogram
SELECT * FROM histogram((SELECT summarize(x) FROM generate_series(-5, 1000) AS x));
SELECT * FROM histogram((SELECT summarize(('1e' || x)::numeric) FROM generate_series(-20, 20) AS x), 1);
SELECT count(*), sum(num_values) FROM histogram((SELECT summarize(x) FROM generate_series(1, 1000) AS x), 116);

-- equality and hashing
SELECT s = t AS equal, s <> t AS unequal, s = u AS other
FROM (SELECT summarize(x) AS s, summarize(1001 - x) AS t, summarize(x + 1) AS u
      FROM generate_series(1, 1000) AS x) AS v;
SELECT count(DISTINCT n)
FROM (SELECT summarize(x)::text AS n FROM generate_series(1, 3) AS x, generate_series(1, 4) AS g GROUP BY g) AS v;
SET enable_sort = off;
SELECT s, count(*)
FROM (SELECT g, summarize(x) AS s FROM generate_series(1, 3) AS x, generate_series(1, 4) AS g
      GROUP BY g) AS v
GROUP BY s;
RESET enable_sort;
SELECT cost_ledger_internal.summary_hash(summarize(1)) = cost_ledger_internal.summary_hash(summarize(1.0)) AS hash,
    cost_ledger_internal.summary_hash_extended(summarize(1), 0)::bit(32) = cost_ledger_internal.summary_hash(summarize(1))::bit(32) AS extended;

-- as a window aggregate; the final function leaves the state alone
SELECT x, num_values(w), total(w), p50(w), p50(x) OVER running AS direct
FROM (SELECT x, summarize(x) OVER running AS w FROM generate_series(1, 5) AS x
      WINDOW running AS (ORDER BY x)) AS v
WINDOW running AS (ORDER BY x);
SELECT count(*) AS rows, count(*) FILTER (WHERE w = n) AS right
FROM (SELECT summarize(x) OVER (ORDER BY x ROWS BETWEEN 40 PRECEDING AND 10 FOLLOWING) AS w,
          (SELECT summarize(y) FROM generate_series(greatest(x - 40, 1), least(x + 10, 200)) AS y) AS n
      FROM generate_series(1, 200) AS x) AS v;

-- DISTINCT and FILTER
SELECT num_values(summarize(DISTINCT x % 10)), num_values(summarize(x) FILTER (WHERE x > 90))
FROM generate_series(1, 100) AS x;

-- what is refused
SELECT summarize('NaN'::numeric);
SELECT summarize('Infinity'::numeric);
SELECT summarize('-Infinity'::numeric);
SELECT summarize('NaN'::double precision);
SELECT summarize('-Infinity'::double precision);
SELECT p95(x) FROM (VALUES (1.0), ('NaN')) AS v (x);
SELECT rank(summarize(1), 'NaN');
SELECT quantile(summarize(1), 1.1);
SELECT quantile(summarize(1), -0.1);
SELECT quantile(summarize(1), 'NaN');
SELECT quantiles(summarize(1), ARRAY[0.5, 'Infinity']);
SELECT summarize(1, 0.03);
SELECT summarize(1.0, 'NaN');
SELECT summarize(x, NULL) FROM (VALUES (1.0)) AS v (x);
SELECT summarize(x, a) FROM (VALUES (1, 0.01), (2, 0.02)) AS v (x, a);
SELECT merge(s) FROM (SELECT summarize(1.0, 0.01) UNION ALL SELECT summarize(1.0, 0.001)) AS v (s);
SELECT merge(summarize(1.0, 0.005), summarize(1.0));
SELECT merge(coarsen(summarize(1.0, 0.005), 0.01), summarize(1.0));
SELECT coarsen(summarize(1.0), 0.001);
SELECT coarsen(summarize(1.0, 0.002), 0.005);
SELECT histogram(summarize(1), 3);
SELECT histogram(summarize(1), 0);
SELECT merge(s, s)
FROM (VALUES ('{"version": 1, "accuracy": 0.01, "count": 9223372036854775807, "values": [[1, 9223372036854775807]]}'::summary)) AS v (s);
SELECT total(merge(s, s))
FROM (SELECT summarize(9 * 10::numeric ^ 131071)) AS v (s);
\set VERBOSITY sqlstate
SELECT summarize('NaN'::numeric);
SELECT summarize('Infinity'::double precision);
SELECT quantile(summarize(1), 2);
SELECT summarize(1, 0.03);
SELECT merge(summarize(1.0, 0.005), summarize(1.0));
SELECT merge(s, s)
FROM (VALUES ('{"version": 1, "accuracy": 0.01, "count": 9223372036854775807, "values": [[1, 9223372036854775807]]}'::summary)) AS v (s);
SELECT total(merge(s, s))
FROM (SELECT summarize(9 * 10::numeric ^ 131071)) AS v (s);
\set VERBOSITY default

-- support functions are no business of ordinary roles, nor of plain calls
SELECT p.proname, p.proargtypes::regtype[] AS arguments
FROM pg_proc AS p
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
    AND (p.prorettype = 'internal'::regtype OR 'internal'::regtype = ANY (p.proargtypes::oid[]))
    AND p.proname LIKE '%summary%'
    AND has_function_privilege('public', p.oid, 'EXECUTE');
\set VERBOSITY sqlstate
SELECT cost_ledger_internal.summary_add_numeric(NULL, 1);
SELECT cost_ledger_internal.summary_combine(NULL, NULL);
SELECT cost_ledger_internal.summary_final(NULL);
\set VERBOSITY default

-- everything of the type says what it is
SELECT p.oid::regprocedure
FROM pg_proc AS p
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
    AND (p.proname LIKE '\_summary\_%' OR 'summary'::regtype = ANY (p.proargtypes::oid[]) OR p.prorettype = 'summary'::regtype)
    AND (obj_description(p.oid, 'pg_proc') IS NULL OR p.proparallel <> 's');

-- a stored numeric, which has a short header, is read as one that was computed
CREATE TEMP TABLE stored AS
SELECT sign * digits * ('1e' || power)::numeric AS x
FROM unnest(ARRAY[1, -1]) AS sign,
    unnest(ARRAY[0, 1, 7, 10, 899.9999, 900, 900.00000001, 922.3372036854775807, 922.3372036854775808,
        1234, 9999.9999, 9999.99999999, 12345678.9012, 99999999.9999999999999999, 1e-12, 9.999e-13]) AS digits,
    generate_series(-28, 28) AS power;
INSERT INTO stored SELECT trim_scale(x) FROM stored WHERE x <> 0;
SELECT count(*) AS numbers, bool_and(stored = computed) AS same, bool_and(total = sum) AS exact
FROM (SELECT summarize(x) AS stored, summarize(x + 0) AS computed, total(summarize(x)) AS total, sum(x) AS sum
      FROM (SELECT x FROM stored UNION ALL SELECT x FROM stored) AS v GROUP BY x) AS v;
-- a first maximum that is no multiple of 1e-16 gives way to those that are
SELECT maximum(s), minimum(s)
FROM (SELECT summarize(x) AS s
      FROM (SELECT 0 FROM generate_series(1, 16) UNION ALL SELECT 1e-20 / i FROM generate_series(1, 20) AS i
            UNION ALL SELECT i FROM generate_series(1, 100) AS i) AS v (x)) AS v;
