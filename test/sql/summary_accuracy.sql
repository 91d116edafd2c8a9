-- Every quantile of every distribution is within the accuracy of what
-- percentile_disc finds by sorting.
SET search_path = cost_ledger, pg_catalog;

CREATE TEMP TABLE sample AS
SELECT distribution, n, x
FROM unnest(ARRAY[1, 10, 17, 100, 3000]) AS n,
    LATERAL (SELECT i, (hashint8extended(i, 11) & 1073741823) / 1073741824.0::double precision AS u,
                 (hashint8extended(i, 12) & 1073741823) / 1073741824.0::double precision AS w
             FROM generate_series(1, n) AS i) AS random,
    LATERAL (VALUES
        ('uniform', u::numeric),
        ('log-normal', exp(1.6 * sqrt(-2 * ln(1 - u)) * cos(2 * pi() * w) - 4)::numeric),
        ('log-normal, wide', exp(5 * sqrt(-2 * ln(1 - u)) * cos(2 * pi() * w))::numeric),
        ('pareto', ((1 - u) ^ (-1 / 1.1) / 1000)::numeric),
        ('pareto, extreme', ((1 - u) ^ -3)::numeric),
        ('exponential', (-ln(1 - u))::numeric),
        ('bimodal', CASE WHEN w < 0.9 THEN round(u::numeric / 1000, 8) ELSE round(10 + u::numeric, 8) END),
        ('constant', 0.0125),
        ('all zero', 0),
        ('mostly zero', CASE WHEN w < 0.8 THEN 0 ELSE round(u::numeric, 6) END),
        ('credits', -round(exp(u * 9 - 7)::numeric, 8)),
        ('both signs', round((u - 0.5)::numeric * 20, 9)),
        ('ascending', i::numeric),
        ('descending', (n - i) / 1000.0),
        ('small', 1e-12 + u::numeric * 1e-9),
        ('large', 1e11 + u::numeric * 8e11),
        ('whole range', round(10::numeric ^ (u::numeric * 23.9 - 12), 20)),
        ('powers of ten', 10::numeric ^ (i % 24 - 12)),
        ('few values', ((i * i) % 19)::numeric / 8),
        ('denormals', (u * 2e-308 * 2 ^ -20)::double precision::numeric),
        ('1e-12 and 1e12', CASE WHEN w < 0.5 THEN 1e-12 + u::numeric * 1e-14 ELSE 1e12 - 1 - u::numeric * 1e9 END),
        ('mixture', CASE WHEN w < 0.1 THEN 0 WHEN w < 0.2 THEN -round(u::numeric, 4) WHEN w < 0.3 THEN 0.002
                         WHEN w < 0.4 THEN 1e-20 * i WHEN w < 0.6 THEN round(((1 - u) ^ -2)::numeric, 6)
                         ELSE round(exp(u * 9 - 7)::numeric, 8) END)
    ) AS value (distribution, x);

CREATE FUNCTION pg_temp.off(distribution text, n integer, accuracy double precision)
    RETURNS numeric
    LANGUAGE sql AS $$
    -- what is nearer to zero than 1e-12 counts as zero
    SELECT max(CASE WHEN e.estimate = t.truth OR greatest(abs(e.estimate), abs(t.truth)) < 1e-12 THEN 0 ELSE abs(e.estimate - t.truth) / nullif(abs(t.truth), 0) END)
    FROM unnest(ARRAY[0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1]::double precision[],
            (SELECT cost_ledger.quantiles(cost_ledger.summarize(s.x, $3), ARRAY[0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1])
             FROM sample AS s WHERE s.distribution = $1 AND s.n = $2)) AS e (fraction, estimate)
        JOIN unnest(ARRAY[0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1]::double precision[],
            (SELECT percentile_disc(ARRAY[0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1]) WITHIN GROUP (ORDER BY s.x)
             FROM sample AS s WHERE s.distribution = $1 AND s.n = $2)) AS t (fraction, truth) USING (fraction)
$$;

SELECT distribution,
    bool_and(pg_temp.off(distribution, n, 0.01) <= 0.01) AS "1 %",
    bool_and(pg_temp.off(distribution, n, 0.001) <= 0.001) AS "0.1 %",
    bool_and(pg_temp.off(distribution, n, 0.02) <= 0.02) AS "2 %",
    bool_and(pg_temp.off(distribution, n, 0.01) = 0) FILTER (WHERE n <= 10) AS "10 exact"
FROM (SELECT DISTINCT distribution, n FROM sample) AS s
GROUP BY distribution ORDER BY distribution;

-- the exact part is exact
SELECT count(*) AS samples, bool_and(ok) AS exact
FROM (SELECT num_values(s) = c AND total(s) = t AND minimum(s) = a AND maximum(s) = z AS ok
      FROM (SELECT summarize(x) AS s, count(x) AS c, sum(x) AS t, min(x) AS a, max(x) AS z
            FROM sample GROUP BY distribution, n) AS v) AS w;

-- order and grouping leave no trace in the bytes
SELECT count(*) AS samples, bool_and(s = ascending) AS ascending, bool_and(s = descending) AS descending,
    bool_and(s = shuffled) AS shuffled, bool_and(s = merged) AS merged
FROM (SELECT distribution, n, summarize(x) AS s, summarize(x ORDER BY x) AS ascending, summarize(x ORDER BY x DESC) AS descending,
          summarize(x ORDER BY hashtext(x::text)) AS shuffled
      FROM sample GROUP BY distribution, n) AS v
    JOIN (SELECT distribution, n, merge(s ORDER BY a DESC) AS merged
          FROM (SELECT distribution, n, a, merge(s) AS s
                FROM (SELECT distribution, n, abs(hashtext(x::text)) % 5 AS a, abs(hashtext(x::text || 'b')) % 7 AS b, summarize(x) AS s
                      FROM sample GROUP BY distribution, n, a, b) AS leaf
                GROUP BY distribution, n, a) AS twig
          GROUP BY distribution, n) AS w USING (distribution, n);

-- every bucket has the bounds the manual gives, and no value strays from them
SELECT count(*) AS buckets, bool_and(upper_bound / lower_bound < 1.01 / 0.99) AS narrow,
    bool_and(lower_bound = round(10::numeric ^ (k / 116.0), 7) * 10::numeric ^ d) AS placed
FROM (SELECT h.*, row_number() OVER (ORDER BY lower_bound) - 1 AS row
      FROM histogram((SELECT summarize(round(10::numeric ^ ((k + 0.5) / 116), 30) * 10::numeric ^ d)
                      FROM generate_series(0, 115) AS k, generate_series(-12, 11) AS d), 116) AS h) AS h,
    LATERAL (SELECT row % 116 AS k, row / 116 - 12 AS d) AS p;
-- a number on a cut belongs above it, one that is a little smaller below
SELECT count(*) AS cuts, count(*) FILTER (WHERE a.lower_bound = cut) AS above,
    count(*) FILTER (WHERE b.upper_bound = cut) AS below
FROM (SELECT round(10::numeric ^ ((b % 116) / 116.0), 7) * 10::numeric ^ (b / 116 - 12) AS cut
      FROM generate_series(1, 2783) AS b) AS c,
    LATERAL (SELECT summarize(x) AS s FROM (VALUES (cut)) AS v (x)) AS at,
    LATERAL (SELECT summarize(x) AS s FROM (VALUES (cut - 1e-27)) AS v (x)) AS under,
    LATERAL histogram(at.s, 116) AS a,
    LATERAL histogram(under.s, 116) AS b;
-- and so it is among numbers of 64 bits, whose buckets are found in another
-- way: by a table for the default accuracy, by searching the cuts for others
CREATE TEMP TABLE near AS
SELECT trim_scale(n * 1e-16) AS x
FROM (SELECT ceil(round(10::numeric ^ ((b % 116) / 116.0), 7) * 10::numeric ^ (b / 116 + 4)) + d AS n
      FROM generate_series(0, 1749) AS b, generate_series(-2, 1) AS d
      UNION ALL
      SELECT 2::numeric ^ k + div(2::numeric ^ k * cell, 128) + d
      FROM generate_series(14, 62) AS k, generate_series(0, 127) AS cell, generate_series(-2, 1) AS d) AS v
WHERE n * 1e-16 < 922;
SELECT count(*) AS numbers,
    summarize(x) = coarsen(summarize(x, 0.001), 0.01) AS same,
    summarize(-x) = coarsen(summarize(-x, 0.001), 0.01) AS negative
FROM near;
WITH bar AS (
    SELECT * FROM histogram((SELECT summarize(x) FROM near), 116)
), truth AS (
    SELECT (SELECT array_agg(lower_bound) FROM bar) [b] AS lower_bound, num_values
    FROM (SELECT width_bucket(x, (SELECT array_agg(lower_bound) FROM bar)) AS b, count(*) AS num_values
          FROM near GROUP BY b) AS v
)
SELECT count(*) AS bars, bool_and(bar.num_values = truth.num_values) AS right
FROM bar FULL JOIN truth USING (lower_bound);
