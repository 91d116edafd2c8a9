--
-- Estimates: the cost-per-feature calculation, worked out by hand, and how it
-- turned out.
--
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('p', 'mid', '{"input_tokens": [3, {"price": 6, "over": 200000}], "cache_read_tokens": 0.3, "output_tokens": 15, "web_search_requests": {"price": 10, "per": 1000}}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'mid', '{"input_tokens": 1.5, "cache_read_tokens": 0.15, "output_tokens": 7.5}', '2026-01-01', service_class => 'batch') > 0 AS set,
       cost_ledger.set_price('p', 'mid', '{"input_tokens": 2, "cache_read_tokens": 0.2, "output_tokens": 10}', '2026-07-01') > 0 AS set;

--
-- The inverse of the normal distribution: against tables, and against itself.
-- Reference values from 16-digit tables; the promise is 1.15e-9.
--
SELECT p, abs(cost_ledger_internal.normal_quantile(p) / z - 1) < 1.15e-9 AS as_promised
FROM (VALUES (1e-9, -5.9978070150076869), (0.001, -3.0902323061678135), (0.02425, -1.9729610513118845), (0.025, -1.9599639845400542), (0.10, -1.2815515655446004), (0.75, 0.6744897501960817),
             (0.90, 1.2815515655446004), (0.95, 1.6448536269514722), (0.975, 1.9599639845400542), (0.99, 2.3263478740408408), (0.999999, 4.7534243088228987)) AS v (p, z);
SELECT cost_ledger_internal.normal_quantile(0.5), cost_ledger_internal.normal_quantile(NULL) IS NULL AS unknown;
-- it increases throughout, and is symmetric
SELECT bool_and(z > before) AS increases, max(abs(z + other)) < 1e-12 AS symmetric
FROM (SELECT n, cost_ledger_internal.normal_quantile(n / 10000.0::double precision) AS z, lag(cost_ledger_internal.normal_quantile(n / 10000.0::double precision)) OVER (ORDER BY n) AS before,
             cost_ledger_internal.normal_quantile(1 - n / 10000.0::double precision) AS other
      FROM generate_series(1, 9999) AS n) x
WHERE n > 1;
SELECT cost_ledger_internal.normal_quantile(1);
\set VERBOSITY sqlstate
SELECT cost_ledger_internal.normal_quantile(0);
SELECT cost_ledger_internal.normal_quantile('NaN');
\set VERBOSITY default

--
-- 5000 cached and 800 fresh input tokens, 600 of output: 0.0015 + 0.0024 + 0.009 = 0.0129 a call;
-- × 8 a day × 30 days = 3.096 a user, × 5000 users = 15480 a month (516 a day).
-- 30.96 % of 10 a month is over 30 %, 15.48 % of 20 is not, 5 loses money as well.
--
SELECT scenario, estimated_users, calls_per_month, cost_per_call, daily_cost, monthly_cost, tail_monthly_cost, buffered_monthly_cost, cost_per_user, estimate_id
FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', users => 5000, calls_per_user_per_day => 8, cached_input_tokens => 5000, fresh_input_tokens => 800, output_tokens => 600,
                                       priced_at => '2026-03-01', scenarios => '{"base": {}}');
SELECT revenue, e.cost_per_user, e.cost_to_revenue_ratio, e.is_over_ceiling
FROM (VALUES (20), (10.32), (10), (5), (0), (NULL)) AS v (revenue),
     LATERAL cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 5000, 8, 5000, 800, 600, revenue_per_user => v.revenue, priced_at => '2026-03-01', scenarios => '{"base": {}}') e;

-- 10000 users, of whom 30 % use it on a day, 4 calls each: 12000 calls a day, of 2000 × 3 + 200 × 15
SELECT calls_per_month / 30 AS calls_per_day, cost_per_call, daily_cost, monthly_cost, cost_per_user, cost_per_user * 10000 = monthly_cost AS agree
FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 10000, 4, 0, 2000, 200, engagement_rate => 0.3, priced_at => '2026-03-01', scenarios => '{"base": {}}');

-- scenarios: bull is 5000 × 2 users, 8 × 1.5 calls; stress 15000 users, 8 × 1.5 calls of (1500 + 3200 × 3 + 1200 × 15) / 1000000
SELECT scenario, estimated_users, calls_per_month, cost_per_call, monthly_cost, tail_monthly_cost, buffered_monthly_cost, is_over_ceiling
FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 5000, 8, 5000, 800, 600, revenue_per_user => 20, priced_at => '2026-03-01');
-- scenarios of one's own; more input may be another tier: 250 × 800 = 200000 is the last at 3, one more is at 6
SELECT scenario, cost_per_call
FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 5000, 8, 0, 800, 0, priced_at => '2026-03-01',
                                       scenarios => '{"as it is": {"fresh_input": 1}, "last": {"fresh_input": 250}, "next": {"fresh_input": 250.001}, "nothing": {"fresh_input": 0}}');
-- other meters, other classes, other times; a mean call of fractions
SELECT cost_per_call FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 5000, 800, 600, other_usage => '{"web_search_requests": 2}', priced_at => '2026-03-01', scenarios => '{"base": {}}')
UNION ALL SELECT cost_per_call FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 5000, 800, 600, service_class => 'batch', priced_at => '2026-03-01', scenarios => '{"base": {}}')
UNION ALL SELECT cost_per_call FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 5000, 800, 600, priced_at => '2026-07-01', scenarios => '{"base": {}}')
UNION ALL SELECT cost_per_call FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 4999.1, 799.5, 599.999, priced_at => '2026-03-01', scenarios => '{"base": {}}');
-- a mean is not rounded: 1.4 tokens, a fraction of a token, a part that is priced as its total, the last step of a graduated rate, another meter
SELECT cost_ledger.set_price('p', 'plain', '{"input_tokens": 3, "output_tokens": 15}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'tiers', '{"input_tokens": [1, {"price": 2, "over": 1000}], "cache_read_tokens": 0.1, "output_tokens": [10, {"price": 20, "over": 1000, "graduated": true}], "requests": {"price": 0.5, "per": 1}}', '2026-01-01') > 0 AS set;
SELECT e.n, r.cost_per_call, r.monthly_cost
FROM (VALUES (1, 'mid', 0, 0, 1.4), (2, 'mid', 0.25, 0.5, 0.1), (3, 'plain', 100.5, 10.25, 0), (4, 'tiers', 500.4, 499.6, 1.4), (5, 'tiers', 500.4, 499.7, 1.4), (6, 'tiers', 0.3, 0.2, 0), (8, 'tiers', 0, 0, 1000.4), (7, 'mid', 0.000001, 1e-12, 1000000.5)) AS e (n, model, cached, fresh, output),
     cost_ledger.estimate_feature_cost('chat', 'p', e.model, 1000000, 1, e.cached, e.fresh, e.output, priced_at => '2026-03-01', scenarios => '{"base": {}}') r
ORDER BY e.n;
-- the same as whole counts of a million calls cost
SELECT e.cost_per_call * 1000 = cost_ledger.cost_at('2026-03-01', 'p', 'plain', '{"input_tokens": 12345, "output_tokens": 678}') AS exact
FROM cost_ledger.estimate_feature_cost('chat', 'p', 'plain', 1, 1, 0, 12.345, 0.678, priced_at => '2026-03-01', scenarios => '{"base": {}}') e;
SELECT tail_monthly_cost, buffered_monthly_cost, is_over_ceiling
FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 5000, 8, 5000, 800, 600, revenue_per_user => 10, tail_factor => 1, buffer_factor => 3, ceiling => 0.31,
                                       priced_at => '2026-03-01', scenarios => '{"base": {}}');

--
-- Percentiles.  With sigma 1.1 the median user is exp(-0.605) = 0.546074 of
-- the mean one, the 90th percentile exp(1.1 × 1.281552 - 0.605) = 2.236040,
-- the 99th exp(1.1 × 2.326348 - 0.605) = 7.056736 of it.
--
SELECT p50_user_cost, p90_user_cost, p99_user_cost, p50_monthly_cost, p90_monthly_cost, p99_monthly_cost,
       round(p50_user_cost / cost_per_user, 5) AS p50, round(p90_user_cost / cost_per_user, 5) AS p90, round(p99_user_cost / cost_per_user, 5) AS p99
FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 5000, 8, 5000, 800, 600, priced_at => '2026-03-01', scenarios => '{"base": {}}');
-- the 95th percentile over the median, which the default sigma is chosen by: from 5 to 8
SELECT round(exp(1.1 * cost_ledger_internal.normal_quantile(0.95))::numeric, 3) AS p95_over_median;
-- all users alike
SELECT p50_user_cost = cost_per_user AND p99_user_cost = cost_per_user AS all_alike
FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 5000, 8, 5000, 800, 600, sigma => 0, priced_at => '2026-03-01', scenarios => '{"base": {}}');

-- from the ledger: ten users, of whom user n makes n calls of 0.003: 55 in all; by rank, the 5th, the 9th and the last of ten
INSERT INTO cost_ledger.call (called_at, provider, model, feature, user_id, run_id, input_tokens, cache_read_tokens, output_tokens)
SELECT '2026-04-01'::timestamptz + u * interval '1 hour' + i * interval '1 minute', 'p', 'mid', 'chat', 'u' || u, 'r' || u || '-' || i / 2, 1000, 0, 0
FROM generate_series(1, 10) AS u, generate_series(1, u) AS i;
INSERT INTO cost_ledger.call (called_at, provider, model, feature, user_id, run_id, input_tokens) VALUES
    ('2026-04-02', 'p', 'mid', 'chat', NULL, 'lonely', 100000), ('2026-04-02', 'p', 'unknown', 'chat', 'u1', NULL, 1000), ('2026-04-02', 'p', 'mid', 'other', 'u1', 'r1', 100000), ('2026-05-01', 'p', 'mid', 'chat', 'u1', 'r1', 100000);
SELECT * FROM cost_ledger.feature_cost_sample('chat', '2026-04-01', '2026-05-01') \gx
SELECT samples, calls, cost FROM cost_ledger.feature_cost_sample('chat', '2026-04-01', '2026-05-01', 'run');
SELECT samples, calls, cost, mean_cost, p50_cost FROM cost_ledger.feature_cost_sample('chat', '2026-04-01', '2026-05-01', 'call');
SELECT samples, calls, cost, unpriced_calls FROM cost_ledger.feature_cost_sample('nothing', '2026-04-01', '2026-05-01');
-- a correction belongs to its user
SELECT cost_ledger.correct_call(c.called_at, c.call_id, '{"input_tokens": 2000}', 'recount') > 0 AS corrected
FROM (SELECT * FROM cost_ledger.call WHERE user_id = 'u10' ORDER BY call_id LIMIT 1) c;
SELECT samples, calls, cost FROM cost_ledger.feature_cost_sample('chat', '2026-04-01', '2026-05-01');
SELECT samples, calls, cost FROM cost_ledger.feature_cost_sample('chat', '2026-04-01', '2026-05-01', 'call');
-- the sample's percentiles over its mean, at the prices of the estimate
SELECT e.cost_per_user, e.p50_user_cost = round(e.cost_per_user * s.p50_cost / s.mean_cost, 6) AS p50, e.p90_user_cost = round(e.cost_per_user * s.p90_cost / s.mean_cost, 6) AS p90,
       e.p99_user_cost = round(e.cost_per_user * s.p99_cost / s.mean_cost, 6) AS p99, e.p50_user_cost < e.p99_user_cost AS spread
FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 5000, 8, 5000, 800, 600, sample_by => 'user', sample_start => '2026-04-01', sample_end => '2026-05-01',
                                       priced_at => '2026-03-01', scenarios => '{"base": {}}') e,
     cost_ledger.feature_cost_sample('chat', '2026-04-01', '2026-05-01') s;

--
-- Saved, and compared.  April: 55 calls of 0.003, one more 0.003 for the
-- correction, one of 0.3, one unpriced.  May: one of 0.3.
--
SELECT DISTINCT estimate_id FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 10, 0.1, 0, 1000, 0, priced_at => '2026-03-01', save => true, first_month => '2026-03-17', note => 'first');
SELECT DISTINCT estimate_id FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 10, 1, 0, 1000, 0, priced_at => '2026-03-01', save => true, first_month => '2026-05-01', scenarios => '{"base": {}}');
-- the same month said again: the later one counts
SELECT DISTINCT estimate_id FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 20, 1, 0, 1000, 0, priced_at => '2026-03-01', save => true, first_month => '2026-05-01', scenarios => '{"base": {}}');
SELECT estimate_id, feature, first_month, note, inputs - 'scenarios' AS inputs FROM cost_ledger.estimate WHERE note = 'first';
SELECT month, feature, is_complete, estimate_id, scenario, estimated_cost, tail_cost, buffered_cost, actual_cost, difference, ratio, is_over_buffer
FROM cost_ledger.estimate_vs_actual WHERE month < '2026-06-01' ORDER BY month, feature, estimate_id, scenario;
SELECT month, calls_per_month, actual_calls, estimated_cost_per_call, actual_cost_per_call, estimated_users, active_users
FROM cost_ledger.estimate_vs_actual WHERE month < '2026-06-01' AND scenario = 'base' ORDER BY month;
-- in force until now
SELECT max(month) = date_trunc('month', now())::date AS until_now, bool_and(is_complete = (month < date_trunc('month', now())::date)) AS complete FROM cost_ledger.estimate_vs_actual;
DELETE FROM cost_ledger.estimate WHERE estimate_id = 3;
SELECT month, estimate_id, estimated_cost FROM cost_ledger.estimate_vs_actual WHERE month = '2026-05-01';

--
-- Errors: nothing is saved.
--
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'unknown', 10, 1, 0, 1000, 0, priced_at => '2026-03-01', save => true);
SELECT * FROM cost_ledger.estimate_feature_cost('', 'p', 'mid', 10, 1, 0, 1000, 0);
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', -1, 1, 0, 1000, 0);
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 0, 1000, 0, engagement_rate => 30);
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 0, 1000, 0, scenarios => '{"base": {"tokens": 2}}');
SELECT * FROM cost_ledger.estimate_feature_cost('none', 'p', 'mid', 1, 1, 0, 1000, 0, sample_by => 'user', sample_start => '2026-04-01', sample_end => '2026-05-01');
SELECT * FROM cost_ledger.feature_cost_sample('chat', '2026-04-01', '2026-05-01', 'moon');
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 'NaN', 1, 0, 1000, 0);
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', NULL, 1, 0, 1000, 0);
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 0, 1000, 0, sigma => 'infinity');
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 0, 1000, 0, scenarios => '{"base": {"users": -2}}');
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 0, 1000, 0, scenarios => '{"base": 2}');
SELECT * FROM cost_ledger.estimate_feature_cost('chat', 'p', 'mid', 1, 1, 0, 1000, 0, scenarios => '{}');
SELECT * FROM cost_ledger.feature_cost_sample('chat', '2026-05-01', '2026-04-01');
INSERT INTO cost_ledger.estimate (feature, first_month, inputs) VALUES ('x', '2026-05-02', '{}');
\set VERBOSITY default
SELECT count(*) FROM cost_ledger.estimate;

--
-- Errors and retries: of 100 calls 5 fail, each is tried again twice: 10 % more.  They stand beside buffer and tail, and end where all calls fail.
--
SELECT scenario, monthly_cost, retried_monthly_cost, tail_monthly_cost, buffered_monthly_cost
FROM cost_ledger.estimate_feature_cost('errors', 'p', 'mid', 5000, 8, 5000, 800, 600, priced_at => '2026-03-01', error_rate => 0.05, retries_per_error => 2,
                                       scenarios => '{"base": {}, "stress": {"errors": 4}, "all": {"errors": 100}, "none": {"errors": 0}}', save => true, first_month => '2026-03-01');
-- What came: a call of four has failed, and was tried again three times, twice inside of it.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, operation, status, retry_count, input_tokens, run_id, parent_run_id) VALUES
    ('2026-03-02', 'p', 'mid', 'errors', 'primary', 'success', NULL, 1000000, 'e1', NULL), ('2026-03-02', 'p', 'mid', 'errors', 'primary', 'error', 2, 1000000, 'e2', 'e1'),
    ('2026-03-02', 'p', 'mid', 'errors', 'retry', 'success', NULL, 1000000, 'e2', 'e1'), ('2026-03-02', 'p', 'mid', 'errors', NULL, NULL, NULL, 1000000, NULL, NULL);
SELECT scenario, estimated_cost, retried_cost, buffered_cost, actual_cost, estimated_error_rate, actual_error_ratio, estimated_retries_per_error, actual_retries_per_error
FROM cost_ledger.estimate_vs_actual WHERE feature = 'errors' AND month = '2026-03-01' ORDER BY scenario;
-- Percentiles of whole tasks: one of three calls, and one of a call alone.
SELECT samples, calls, calls_per_sample, mean_cost, p50_cost, p90_cost, p99_cost, failed_calls, retries FROM cost_ledger.feature_cost_sample('errors', '2026-03-01', '2026-04-01', 'task');
SELECT p50_user_cost, p90_user_cost, p99_user_cost
FROM cost_ledger.estimate_feature_cost('errors', 'p', 'mid', 10, 1, 0, 1000, 0, priced_at => '2026-03-01', sample_by => 'task', sample_start => '2026-03-01', sample_end => '2026-04-01', scenarios => '{"base": {}}');
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.estimate_feature_cost('errors', 'p', 'mid', 10, 1, 0, 1000, 0, error_rate => 1.1);
SELECT * FROM cost_ledger.estimate_feature_cost('errors', 'p', 'mid', 10, 1, 0, 1000, 0, error_rate => NULL);
SELECT * FROM cost_ledger.estimate_feature_cost('errors', 'p', 'mid', 10, 1, 0, 1000, 0, retries_per_error => -1);
\set VERBOSITY default

SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT * FROM cost_ledger.feature_cost_sample('chat', '2026-04-01', '2026-05-01');
