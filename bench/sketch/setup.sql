-- Values with the heavy tail costs of calls have (log-normal, sigma 1.6, about
-- one cent on average), once as numeric of 8 decimals and once as double
-- precision, and two columns to group by.
SELECT setseed(0.5);
CREATE TABLE value AS
SELECT x AS f, round(x::numeric, 8) AS n,
    (random() * 9999)::integer AS g10k, (random() * 199999)::integer AS g200k
FROM (SELECT exp(1.6 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) - 5.5) AS x
      FROM generate_series(1, :rows)) AS v;
VACUUM (FREEZE, ANALYZE) value;

-- Summaries as rollups store them: of 3 values each, and of so many that
-- nearly all buckets are in use.
CREATE TABLE small AS
SELECT cost_ledger.summarize(n) AS s
FROM (SELECT n, row_number() OVER () / 3 AS g FROM value LIMIT 3 * 1000000) AS v GROUP BY g;
CREATE TABLE full_one AS
SELECT cost_ledger.summarize(n) AS s FROM value GROUP BY g10k % 20;
CREATE TABLE "full" AS
SELECT s FROM full_one, generate_series(1, 1000);
VACUUM (FREEZE, ANALYZE) small;
VACUUM (FREEZE, ANALYZE) "full";
CREATE EXTENSION IF NOT EXISTS pg_prewarm;
SELECT pg_prewarm('value'), pg_prewarm('small'), pg_prewarm('"full"');
