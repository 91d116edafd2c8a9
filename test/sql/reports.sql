-- The report views against numbers worked out by hand, and against the raw
-- ledger: no cost is lost, whatever is NULL.
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
SELECT cost_ledger.create_ledger('Asia/Kolkata');  -- UTC+05:30

-- 1 per input token, 0.1 per cached one, 2 per output token.
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1000000, "cache_read_tokens": 100000, "output_tokens": 2000000}', '2025-01-01') > 0 AS is_set;
SELECT * FROM cost_ledger.create_partitions('2025-10-02', '2025-11-02');

-- An empty ledger has empty reports.
SELECT (SELECT count(*) FROM cost_ledger.chargeback_by_month) + (SELECT count(*) FROM cost_ledger.margin_by_feature)
     + (SELECT count(*) FROM cost_ledger.week_over_week) + (SELECT count(*) FROM cost_ledger.run)
     + (SELECT count(*) FROM cost_ledger.cost_per_run_by_day) + (SELECT count(*) FROM cost_ledger.cost_per_user_by_month)
     + (SELECT count(*) FROM cost_ledger.cost_by_task_type) + (SELECT count(*) FROM cost_ledger.most_expensive_run)
     + (SELECT count(*) FROM cost_ledger.cost_by_model) + (SELECT count(*) FROM cost_ledger.cost_by_operation)
     + (SELECT count(*) FROM cost_ledger.cache_hit_by_feature) AS rows;

-- Midnight in the reporting zone is 18:30 UTC.  The comment is the local time
-- and the cost.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, output_tokens, team, feature, task_type, user_id, run_id, operation, status) VALUES
    -- Mon 29 Sep 00:00:00: 10.  The first instant of a week: the week counts.
    ('2025-09-28 18:30:00Z', 'acme', 'm', 10, NULL, NULL, 'search', 'answers', NULL, NULL, NULL, NULL, NULL),
    -- Tue 30 Sep 23:59:59.999999: 20, and Wed 1 Oct 00:00: 30.  One run in two months.
    ('2025-09-30 18:29:59.999999Z', 'acme', 'm', 20, NULL, NULL, 'search', 'answers', 'summarize', 'u1', 'r1', 'primary', 'success'),
    ('2025-09-30 18:30:00Z', 'acme', 'm', 30, NULL, NULL, 'search', 'answers', 'summarize', 'u1', 'r1', 'retry', 'success'),
    -- Sun 5 Oct 23:59:59: 40.  Belongs to nobody.
    ('2025-10-05 18:29:59Z', 'acme', 'm', 40, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    -- Mon 6 Oct 00:00: 50 × 1 + 50 × 0.1 + 10 × 2 = 75, and Wed 8 Oct: 45.
    ('2025-10-05 18:30:00Z', 'acme', 'm', 100, 50, 10, 'search', 'answers', 'summarize', 'u1', 'r2', 'primary', 'success'),
    ('2025-10-08 06:00:00Z', 'acme', 'm', 45, NULL, NULL, 'search', 'answers', 'summarize', 'u1', 'r2', 'fallback', 'error'),
    -- Tue 14 Oct: 138.  A team that is really called (unallocated).
    ('2025-10-14 06:00:00Z', 'acme', 'm', 138, NULL, NULL, '(unallocated)', 'answers', NULL, 'u2', 'r3', 'primary', 'success'),
    -- Fri 31 Oct 23:59: 10, corrected by 90 below.  Sat 1 Nov 00:00: no price.
    ('2025-10-31 18:29:00Z', 'acme', 'm', 10, NULL, NULL, 'search', 'billing', 'refactor', 'u1', 'r4', 'primary', 'success'),
    ('2025-10-31 18:30:00Z', 'acme', 'x', 1000, NULL, NULL, 'search', 'billing', 'refactor', 'u3', 'r5', 'primary', 'timeout');
-- Sat 1 Nov: from the application's own cache, free.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, served_from, team, feature, user_id)
    VALUES ('2025-11-01 10:00:00Z', 'acme', 'm', 7, 'response_cache', 'search', 'answers', 'u2');
-- Tue 4 Nov: 5 + 5 × 2 = 15; 15; 60.  The first two start together, the third
-- one is made of two calls and has everything stated late or twice.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens, team, feature, task_type, user_id, run_id, duration_ms) VALUES
    ('2025-11-04 06:00:00Z', 'acme', 'm', 15, NULL, 'data', 'exports', 'export', 'u5', 'r7', NULL),
    ('2025-11-04 06:00:00Z', 'acme', 'm', 5, 5, 'data', 'exports', 'export', 'u4', 'r6', 2500);
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_write_tokens, cache_write_1h_tokens, team, feature, customer, task_type, user_id, run_id, parent_run_id, agent, session_id, environment, duration_ms, retry_count, tool_calls, trace_url) VALUES
    ('2025-11-04 07:00:00Z', 'acme', 'm', 50, 20, 10, 'data', 'exports', NULL, NULL, 'u6', 'r8', NULL, 'planner', 's1', 'production', 1e300, 2, '{"grep": 3}', NULL),
    ('2025-11-04 07:00:10Z', 'acme', 'm', 10, NULL, NULL, 'data', 'exports', 'c1', 'export', 'u6', 'r8', 'r6', 'coder', 's1', 'staging', NULL, 1, '{"edit": 1}', 'https://trace.example/r8');
-- Wed 3 Dec: 20 runs: 18 of cost 1, one of 2, one of 40.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, task_type, user_id, run_id)
    SELECT '2025-12-03 06:00:00Z', 'acme', 'm', CASE i WHEN 7 THEN 2 WHEN 8 THEN 40 ELSE 1 END,
           'batch', 'nightly', 'classify', 'b' || i, format('b%s', lpad(i::text, 2, '0'))
    FROM generate_series(1, 20) AS i;
-- Now: never in a complete week.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature) VALUES (now(), 'acme', 'm', 1000, 'search', 'now');
SELECT cost_ledger.correct_call(c.called_at, c.call_id, '{"input_tokens": 100}', 'the client counted in tens') IS NOT NULL AS is_corrected
    FROM cost_ledger.call c WHERE c.run_id = 'r4';

-- Nothing is in the rollups yet, so reports are read from the calls.  They are
-- compared again when all is in, and when half of it is.
SELECT count(*) FROM cost_ledger_internal.unconsumed_call;

-- September 30 = 10 + 20.  October: search 30 + 75 + 45 + 10 + 90 = 250,
-- nobody 40, the namesake 138, together 428: 0.584112, 0.093458, 0.322430.
-- November: search nothing but a free and an unpriced call, data 90.
SELECT month, team, is_allocated, calls, failed_calls AS failed, unpriced_calls AS unpriced, corrections,
       cost, rated_cost, adjustment_cost, share
    FROM cost_ledger.chargeback_by_month WHERE month <= '2025-12-01' ORDER BY month, team, is_allocated;
-- October of search: input 30 + 100 + 45 + 10 + 90 (the difference), …
SELECT month, team, is_allocated, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens
    FROM cost_ledger.chargeback_by_month WHERE month <= '2025-12-01' ORDER BY month, team, is_allocated;
-- A team with unpriced calls only: its cost is unknown, not 0.
SELECT month, feature, is_allocated, calls, unpriced_calls, revenue, cost, margin
    FROM cost_ledger.margin_by_feature WHERE month = '2025-11-01' ORDER BY feature;

-- Revenue.  October answers: costs 30 + 75 + 45 + 138 = 288, of 960 exactly
-- 0.30, which is not above the ceiling; billing: 100 of 300 = 0.333333, above;
-- a feature without calls; revenue of 0 and of nothing; a refund; no feature.
INSERT INTO cost_ledger.revenue (earned_on, feature, customer, amount) VALUES
    ('2025-10-01', 'answers', 'c1', 900), ('2025-10-31', 'answers', 'c2', 60),
    ('2025-10-01', 'billing', NULL, 300),
    ('2025-10-15', 'unused', NULL, 70.5),
    ('2025-10-15', NULL, 'c1', 80),
    ('2025-11-01', 'exports', NULL, 0),
    ('2025-11-30', 'refunded', NULL, -5),
    ('2025-12-01', 'nightly', NULL, 199.9999999999);
SELECT month, feature, is_allocated AS alloc, revenue, cost, margin, margin_ratio, cost_to_revenue_ratio AS cost_ratio, is_over_ceiling
    FROM cost_ledger.margin_by_feature WHERE month <= '2025-12-01' ORDER BY month, feature;
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES ('2025-10-01', 'NaN');
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES ('2025-10-01', 'Infinity');
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES ('2025-10-01', '-Infinity');
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES ('2025-10-01', NULL);
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES (NULL, 1);
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES ('infinity', 1);
INSERT INTO cost_ledger.revenue (earned_on, feature, amount) VALUES ('2025-10-01', '', 1);
INSERT INTO cost_ledger.revenue (earned_on, customer, amount) VALUES ('2025-10-01', '', 1);
\set VERBOSITY default

-- Weeks: 29 Sep: 10 + 20 + 30 + 40 = 100.  6 Oct: 75 + 45 = 120, + 20 %, which
-- is not above 20 %.  13 Oct: 138, + 15 %, which is not above 15 %.  20 Oct: 0.
-- 27 Oct: 100 on a base of 0.  3 Nov: 90.  Three weeks of 0, then 60.
SELECT week, cost, previous_cost, change, change_ratio, flag, unpriced_calls, value, is_allocated
    FROM cost_ledger.week_over_week
    WHERE label = 'total' AND week <= '2025-12-08' ORDER BY week;
-- search: 60, 120 (doubled), 0, 0, 100, 0.  A team has rows from its first
-- week on; nothing before it is a 0, but before the ledger is NULL.
SELECT label, value, is_allocated, week, cost, previous_cost, change, change_ratio, flag
    FROM cost_ledger.week_over_week
    WHERE label IN ('team', 'feature') AND week <= '2025-11-03' ORDER BY label, value, is_allocated, week;
-- Customers, models, task types and agents in the week of 3 November, in which c1 has
-- 10 of 90, the coder 10 and the planner 50, exports 15 + 15 + 10.
SELECT label, value, is_allocated, calls, cost, previous_cost, unpriced_calls
    FROM cost_ledger.week_over_week
    WHERE label NOT IN ('total', 'team', 'feature') AND week = '2025-11-03' ORDER BY label, value, is_allocated;
-- The last week is this one, and marked; each label is the whole.
SELECT max(week) = date_trunc('week', now() AT TIME ZONE 'Asia/Kolkata')::date AS ends_with_this_week,
       bool_and(is_complete = (ends_at <= now())) AS is_marked,
       count(*) FILTER (WHERE value = 'now') AS running_week, count(flag) FILTER (WHERE NOT is_complete) AS flagged
    FROM cost_ledger.week_over_week;
SELECT label, sum(cost) FROM cost_ledger.week_over_week GROUP BY label ORDER BY label;
-- Just above the limits.
BEGIN;
INSERT INTO cost_ledger.call (called_at, provider, model, other_usage, input_tokens, team)
    VALUES ('2025-10-07 00:00:00Z', 'acme', 'm', NULL, 1, 'search'),  -- 121 of 100
           ('2025-10-14 00:00:00Z', 'acme', 'm', NULL, 2, 'search');  -- 140 of 121: + 15.7 %
SELECT week, cost, change_ratio, flag
    FROM cost_ledger.week_over_week WHERE label = 'total' AND week IN ('2025-10-06', '2025-10-13') ORDER BY week;
ROLLBACK;

-- Runs.
SELECT run_id, parent_run_id AS parent, started_at, ended_at, duration_ms, calls, retries, fallbacks AS fb, failed_calls AS failed, unpriced_calls AS unpriced, tool_calls AS tools, cost
    FROM cost_ledger.run WHERE run_id LIKE 'r%' ORDER BY run_id;
SELECT run_id, input_tokens AS input, cache_read_tokens AS read, cache_write_tokens AS write, output_tokens AS output,
       team, feature, customer, task_type, user_id, agent, session_id, environment, trace_url
    FROM cost_ledger.run WHERE run_id IN ('r2', 'r4', 'r8') ORDER BY run_id;
-- 4 Nov: 15, 15, 60.  3 Dec: (18 + 2 + 40) / 20 = 3, and 19 of 20 cost at most 2.
-- 1 Nov: one run, its cost not known; and a call without a run, free.
SELECT * FROM cost_ledger.cost_per_run_by_day WHERE day <= '2025-12-31' ORDER BY day;
-- October: u1 30 + 75 + 45 + 100 = 250, u2 138.  November: u2 0, u3 unknown,
-- u4 15, u5 15, u6 60: 90 / 4.
SELECT * FROM cost_ledger.cost_per_user_by_month WHERE month <= '2025-12-01' ORDER BY month;
-- September: r1 began there and cost 20 + 30.  October: untyped 40 + 138 in 2
-- calls and 1 run of 138; summarize 30 + 75 + 45 = 150 in 3 calls, r2 with 120;
-- refactor 10 + 90 in 1 call.  November: untyped 50 of r8 and the free call, 50
-- / 2; r8 as a whole is an export, as its second call says: 15, 15, 60.
SELECT * FROM cost_ledger.cost_by_task_type WHERE month <= '2025-12-01' ORDER BY month, is_allocated, task_type;
-- Ten of the twenty of December; equal costs and times in order of run_id.
SELECT week, rank, run_id, cost, calls, team, task_type, user_id, trace_url
    FROM cost_ledger.most_expensive_run WHERE week <= '2025-12-01' ORDER BY week, rank;

-- Shares of models, operations and caches.
SELECT month, provider, model, service_class, calls, failed_calls AS failed, unpriced_calls AS unpriced, input_tokens AS input, cache_read_tokens AS read,
       cache_write_tokens AS write, output_tokens AS output, cost, mean_cost_per_call, share
    FROM cost_ledger.cost_by_model WHERE month <= '2025-12-01' ORDER BY month, model;
SELECT * FROM cost_ledger.cost_by_operation WHERE month BETWEEN '2025-10-01' AND '2025-11-01' ORDER BY month, is_allocated, operation;
-- October answers: 30 + 100 + 45 + 138 = 313 in, 50 of them cached: 0.159744.
SELECT * FROM cost_ledger.cache_hit_by_feature WHERE month BETWEEN '2025-10-01' AND '2025-11-01' ORDER BY month, feature;

-- A month that cost nothing has no shares.
BEGIN;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team) VALUES ('2025-02-01 00:00:00Z', 'acme', 'm', 0, 'idle');
SELECT team, cost, share FROM cost_ledger.chargeback_by_month WHERE month = '2025-02-01';
ROLLBACK;

-- No report depends on the session's time zone.
CREATE TEMP VIEW line AS
    SELECT 'chargeback_by_month' AS report, to_jsonb(v) AS line FROM cost_ledger.chargeback_by_month v
    UNION ALL SELECT 'margin_by_feature', to_jsonb(v) FROM cost_ledger.margin_by_feature v
    UNION ALL SELECT 'week_over_week', to_jsonb(v) FROM cost_ledger.week_over_week v
    UNION ALL SELECT 'cost_per_run_by_day', to_jsonb(v) FROM cost_ledger.cost_per_run_by_day v
    UNION ALL SELECT 'cost_per_user_by_month', to_jsonb(v) FROM cost_ledger.cost_per_user_by_month v
    UNION ALL SELECT 'cost_by_task_type', to_jsonb(v) FROM cost_ledger.cost_by_task_type v
    UNION ALL SELECT 'cost_by_model', to_jsonb(v) FROM cost_ledger.cost_by_model v
    UNION ALL SELECT 'cost_by_operation', to_jsonb(v) FROM cost_ledger.cost_by_operation v
    UNION ALL SELECT 'cache_hit_by_feature', to_jsonb(v) FROM cost_ledger.cache_hit_by_feature v
    UNION ALL SELECT 'most_expensive_run', to_jsonb(v) - 'started_at' FROM cost_ledger.most_expensive_run v;
CREATE TEMP TABLE seen AS TABLE line;
SET TIME ZONE 'America/New_York';
SELECT count(*) AS different FROM ((TABLE line EXCEPT ALL TABLE seen) UNION ALL (TABLE seen EXCEPT ALL TABLE line)) d;
SET TIME ZONE 'UTC';
DROP VIEW line;
DROP TABLE seen;

SELECT cost_ledger.drop_ledger(i_mean_it => true);

-- A zone with summer time.  2025-03-30 has 23 hours there, 2025-10-26 has 25.
SELECT cost_ledger.create_ledger('Europe/Berlin');
-- However long ago the times below are.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1000000}', '2025-01-01') > 0 AS is_set;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES
    ('2025-03-18 12:00:00Z', 'acme', 'm', 999),  -- a Tuesday: the ledger's first week is not complete
    ('2025-03-23 22:59:59Z', 'acme', 'm', 999),  -- Sun 23:59:59 of that week
    ('2025-03-23 23:00:00Z', 'acme', 'm', 1),    -- Mon 24 Mar 00:00 +01
    ('2025-03-30 21:59:59Z', 'acme', 'm', 2),    -- Sun 30 Mar 23:59:59 +02
    ('2025-03-30 22:00:00Z', 'acme', 'm', 4),    -- Mon 31 Mar 00:00 +02
    ('2025-03-31 22:00:00Z', 'acme', 'm', 8),    -- Tue 1 Apr 00:00 +02
    ('2025-10-19 21:59:59Z', 'acme', 'm', 16),   -- Sun 19 Oct 23:59:59 +02
    ('2025-10-19 22:00:00Z', 'acme', 'm', 32),   -- Mon 20 Oct 00:00 +02
    ('2025-10-26 00:30:00Z', 'acme', 'm', 64),   -- Sun 26 Oct 02:30 +02
    ('2025-10-26 01:30:00Z', 'acme', 'm', 128),  -- Sun 26 Oct 02:30 +01
    ('2025-10-26 22:59:59Z', 'acme', 'm', 256),  -- Sun 26 Oct 23:59:59 +01
    ('2025-10-26 23:00:00Z', 'acme', 'm', 512);  -- Mon 27 Oct 00:00 +01
SELECT week, cost, previous_cost
    FROM cost_ledger.week_over_week
    WHERE label = 'total' AND week < '2025-11-01' AND (cost <> 0 OR week < '2025-04-14') ORDER BY week;
-- One row a week, also over the clock changes.
SELECT count(*) AS weeks, max(week) - min(week) AS days
    FROM cost_ledger.week_over_week WHERE label = 'total' AND week < '2025-11-01';
SELECT month, cost FROM cost_ledger.chargeback_by_month ORDER BY month;
SELECT day, cost_without_run FROM cost_ledger.cost_per_run_by_day WHERE day >= '2025-10-19' ORDER BY day;

CALL cost_ledger.refresh();
-- Identities, over calls with every mix of NULLs: each report, added up, is
-- the ledger.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, task_type, user_id, run_id, operation, status)
    SELECT '2025-06-01 00:00:00Z'::timestamptz + i * interval '3 hours 7 minutes', 'acme',
           CASE WHEN i % 97 = 0 THEN 'unknown' ELSE 'm' END, i * 7919 % 1000,
           'team' || nullif(i % 5, 0), 'feature' || nullif(i % 7, 0), 'task' || nullif(i % 3, 0),
           'user' || nullif(i % 11, 0), 'run' || nullif(i / 4 % 13, 0) || '.' || i / 52, 'op' || nullif(i % 4, 0), CASE i % 9 WHEN 0 THEN NULL WHEN 1 THEN 'error' ELSE 'success' END
    FROM generate_series(1, 2000) AS i
    WHERE i % 2 = 0;
CALL cost_ledger.refresh();
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, task_type, user_id, run_id, operation, status)
    SELECT '2025-06-01 00:00:00Z'::timestamptz + i * interval '3 hours 7 minutes', 'acme',
           CASE WHEN i % 97 = 0 THEN 'unknown' ELSE 'm' END, i * 7919 % 1000,
           'team' || nullif(i % 5, 0), 'feature' || nullif(i % 7, 0), 'task' || nullif(i % 3, 0),
           'user' || nullif(i % 11, 0), 'run' || nullif(i / 4 % 13, 0) || '.' || i / 52, 'op' || nullif(i % 4, 0), CASE i % 9 WHEN 0 THEN NULL WHEN 1 THEN 'error' ELSE 'success' END
    FROM generate_series(1, 2000) AS i
    WHERE i % 2 = 1;
SELECT count(cost_ledger.correct_call(c.called_at, c.call_id, jsonb_build_object('input_tokens', c.input_tokens / 2), 'half of it')) AS corrections
    FROM cost_ledger.call c WHERE c.call_id % 50 = 0 AND c.cost > 1;
-- Half of it in the rollups, half not: runs, days and users on both sides.
SELECT count(*) > 1000 AS unconsumed FROM cost_ledger_internal.unconsumed_call;
-- Each line is a report and the difference from the ledger's own sum.
SELECT report, total - (SELECT sum(c.cost) FROM cost_ledger.call c) AS difference
    FROM (SELECT 'chargeback_by_month' AS report, sum(cost) AS total FROM cost_ledger.chargeback_by_month
          UNION ALL SELECT 'chargeback_by_month, parts', sum(coalesce(rated_cost, 0) + coalesce(adjustment_cost, 0)) FROM cost_ledger.chargeback_by_month
          UNION ALL SELECT 'margin_by_feature', sum(cost) FROM cost_ledger.margin_by_feature
          UNION ALL SELECT 'run + calls without run', sum(cost) + (SELECT sum(c.cost) FROM cost_ledger.call c WHERE c.run_id IS NULL) FROM cost_ledger.run
          UNION ALL SELECT 'cost_per_run_by_day', sum(coalesce(cost, 0) + coalesce(cost_without_run, 0)) FROM cost_ledger.cost_per_run_by_day
          UNION ALL SELECT 'cost_per_user_by_month', sum(coalesce(cost, 0) + coalesce(cost_without_user, 0)) FROM cost_ledger.cost_per_user_by_month
          UNION ALL SELECT 'cost_by_task_type', sum(cost) FROM cost_ledger.cost_by_task_type
          UNION ALL SELECT 'cost_by_model', sum(cost) FROM cost_ledger.cost_by_model
          UNION ALL SELECT 'cost_by_operation', sum(cost) FROM cost_ledger.cost_by_operation) r
    ORDER BY report;
SELECT report, calls - (SELECT count(*) FROM cost_ledger.call c WHERE c.corrects IS NULL) AS difference
    FROM (SELECT 'chargeback_by_month' AS report, sum(calls) AS calls FROM cost_ledger.chargeback_by_month
          UNION ALL SELECT 'margin_by_feature', sum(calls) FROM cost_ledger.margin_by_feature
          UNION ALL SELECT 'run + calls without run', sum(calls) + (SELECT count(*) FROM cost_ledger.call c WHERE c.corrects IS NULL AND c.run_id IS NULL) FROM cost_ledger.run
          UNION ALL SELECT 'cost_by_task_type', sum(calls) FROM cost_ledger.cost_by_task_type
          UNION ALL SELECT 'cost_by_model', sum(calls) FROM cost_ledger.cost_by_model
          UNION ALL SELECT 'cost_by_operation', sum(calls) FROM cost_ledger.cost_by_operation
          UNION ALL SELECT 'cache_hit_by_feature', sum(calls) FROM cost_ledger.cache_hit_by_feature) r
    ORDER BY report;

-- Row by row, recomputed another way: local time from the zone's offset in
-- text, one scalar query per group.
SET TIME ZONE 'Europe/Berlin';
CREATE TEMP TABLE local_call AS
    SELECT to_char(called_at, 'YYYY-MM-01')::date AS month, to_char(called_at, 'YYYY-MM-DD')::date AS day,
           to_date(to_char(called_at, 'IYYY-IW'), 'IYYY-IW') AS week, c.*
    FROM cost_ledger.call c;
CREATE TEMP TABLE local_run AS
    SELECT run_id, min(called_at) AS started_at, min(day) AS day, min(week) AS week, sum((corrects IS NULL)::int) AS calls, sum(cost) AS cost
    FROM local_call WHERE run_id IS NOT NULL GROUP BY run_id;
CREATE TEMP TABLE typed_run AS
    SELECT r.*, to_char(r.started_at, 'YYYY-MM-01')::date AS month,
           (SELECT k.task_type FROM local_call k WHERE k.run_id = r.run_id AND k.task_type IS NOT NULL AND k.corrects IS NULL ORDER BY k.called_at, k.call_id LIMIT 1) AS task_type
    FROM local_run r;
SET TIME ZONE 'UTC';
CREATE FUNCTION pg_temp.differences(report text, recomputed text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((%1$s EXCEPT ALL %2$s) UNION ALL (%2$s EXCEPT ALL %1$s)) d', '(' || report || ')', '(' || recomputed || ')') INTO n;
    RETURN n;
END
$$;
CREATE TEMP TABLE report_check (report text, said text, recomputed text);
INSERT INTO report_check VALUES ('chargeback_by_month',
    'SELECT month, CASE WHEN is_allocated THEN team END, calls, failed_calls, unpriced_calls, corrections, input_tokens, cost FROM cost_ledger.chargeback_by_month',
    'SELECT month, team, sum((corrects IS NULL)::int), sum((corrects IS NULL AND coalesce(status, ''success'') <> ''success'')::int),
            sum((pricing = ''unpriced'')::int), sum((corrects IS NOT NULL)::int), sum(coalesce(input_tokens, 0)), sum(cost)
     FROM local_call GROUP BY month, team');
INSERT INTO report_check VALUES ('margin_by_feature',
    'SELECT month, CASE WHEN is_allocated THEN feature END, calls, unpriced_calls, cost FROM cost_ledger.margin_by_feature',
    'SELECT month, feature, sum((corrects IS NULL)::int), sum((pricing = ''unpriced'')::int), sum(cost) FROM local_call GROUP BY month, feature');
INSERT INTO report_check VALUES ('week_over_week',
    'SELECT label, CASE WHEN is_allocated THEN value END, week, cost FROM cost_ledger.week_over_week WHERE cost <> 0',
    'SELECT d.label, d.value, week, sum(cost) FROM local_call
     CROSS JOIN LATERAL (VALUES (''total'', NULL), (''team'', team), (''feature'', feature), (''customer'', customer), (''model'', model),
                                (''task_type'', task_type), (''agent'', agent)) AS d (label, value)
     GROUP BY 1, 2, 3 HAVING sum(cost) <> 0');
INSERT INTO report_check VALUES ('previous_week',
    'SELECT label, value, is_allocated, week, previous_cost FROM cost_ledger.week_over_week WHERE previous_cost <> 0',
    'SELECT label, value, is_allocated, week + 7, cost FROM cost_ledger.week_over_week
     WHERE cost <> 0 AND week >= ''2025-03-24'' AND week + 7 <= date_trunc(''week'', now() AT TIME ZONE ''Europe/Berlin'')');
INSERT INTO report_check VALUES ('run',
    'SELECT run_id, started_at, calls, cost, team, feature, task_type, user_id FROM cost_ledger.run',
    'SELECT run_id, started_at, calls, cost,
            (SELECT k.team FROM local_call k WHERE k.run_id = r.run_id AND k.team IS NOT NULL ORDER BY called_at, call_id LIMIT 1),
            (SELECT k.feature FROM local_call k WHERE k.run_id = r.run_id AND k.feature IS NOT NULL ORDER BY called_at, call_id LIMIT 1),
            (SELECT k.task_type FROM local_call k WHERE k.run_id = r.run_id AND k.task_type IS NOT NULL ORDER BY called_at, call_id LIMIT 1),
            (SELECT k.user_id FROM local_call k WHERE k.run_id = r.run_id AND k.user_id IS NOT NULL ORDER BY called_at, call_id LIMIT 1)
     FROM local_run r');
-- Fewer than 17 runs a day, users a month: the quantile is exact.
INSERT INTO report_check VALUES ('cost_per_run_by_day',
    'SELECT day, runs, mean_cost, p95_cost, max_cost, cost FROM cost_ledger.cost_per_run_by_day WHERE runs > 0',
    'SELECT day, count(*), avg(cost), percentile_disc(0.95) WITHIN GROUP (ORDER BY cost), max(cost), sum(cost)
     FROM local_run GROUP BY day');
INSERT INTO report_check VALUES ('cost_per_user_by_month',
    'SELECT month, users, mean_cost, p95_cost, max_cost, cost FROM cost_ledger.cost_per_user_by_month WHERE users > 0',
    'SELECT month, count(*), avg(cost), percentile_disc(0.95) WITHIN GROUP (ORDER BY cost), max(cost), sum(cost)
     FROM (SELECT month, user_id, sum(cost) AS cost FROM local_call WHERE user_id IS NOT NULL GROUP BY month, user_id) u GROUP BY month');
INSERT INTO report_check VALUES ('cost_by_task_type',
    'SELECT month, CASE WHEN is_allocated THEN task_type END, runs, calls, cost, mean_cost_per_run, share FROM cost_ledger.cost_by_task_type',
    'SELECT month, task_type,
            (SELECT count(*) FROM typed_run r WHERE r.month = c.month AND r.task_type IS NOT DISTINCT FROM c.task_type),
            sum((corrects IS NULL)::int), sum(cost),
            (SELECT avg(r.cost) FROM typed_run r WHERE r.month = c.month AND r.task_type IS NOT DISTINCT FROM c.task_type),
            round(sum(cost) / (SELECT sum(k.cost) FROM local_call k WHERE k.month = c.month), 6)
     FROM local_call c GROUP BY month, task_type');
INSERT INTO report_check VALUES ('most_expensive_run',
    'SELECT week, rank, run_id, cost FROM cost_ledger.most_expensive_run',
    'SELECT r.week, 1 + b.better, r.run_id, r.cost
     FROM local_run r
     CROSS JOIN LATERAL (SELECT count(*) AS better FROM local_run o
         WHERE o.week = r.week AND (-o.cost, o.started_at, o.run_id) < (-r.cost, r.started_at, r.run_id)) b
     WHERE b.better < 10 AND r.cost IS NOT NULL');
SELECT report, pg_temp.differences(said, recomputed) AS differences FROM report_check ORDER BY report;

-- The same when everything is in the rollups, which check themselves too.
CALL cost_ledger.refresh();
SELECT count(*) AS unconsumed FROM cost_ledger_internal.unconsumed_call;
SELECT report, pg_temp.differences(said, recomputed) AS differences FROM report_check ORDER BY report;
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT cost_ledger.rebuild_rollups() AS put_right;
DROP TABLE local_call, local_run;

-- The contract of everything in a ledger, whoever wrote it: comments on each
-- relation and column; of a view, built-in types that every tool reads, but of
-- one that shows calls as they are.
CREATE TEMP VIEW relation AS
    SELECT c.oid, c.relname, c.relkind, c.reloptions
    FROM pg_class c
    WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition;
SELECT count(*) FILTER (WHERE relkind = 'v') > 10 AS has_views FROM relation;
SELECT relname AS without_comment FROM relation WHERE coalesce(obj_description(oid, 'pg_class'), '') = '' ORDER BY relname;
SELECT r.relname, a.attname AS without_comment
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE coalesce(col_description(r.oid, a.attnum), '') = ''
    ORDER BY r.relname, a.attnum;
SELECT r.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS not_for_every_tool
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
    WHERE r.relkind = 'v' AND r.relname NOT IN ('call_detail', 'seen_call', 'granted_role', 'call_measure', 'consumed_measure', 'unconsumed_measure', 'live_call', 'live_call_by_id', 'live_run', 'live_run_day', 'live_run_tree', 'live_dear_run_tree', 'changed_run', 'changed_session', 'changed_run_tree', 'stored_run_tree', 'live_session_day', 'live_without_run_day', 'call_input_part', 'consumed_input_part', 'unconsumed_input_part', 'current_budget', 'budget_standing')
      AND r.relname !~ '^(fresh|live_cube)_(hour|day|month)$' AND NOT (a.atttypid = 'cost_ledger.summary'::regtype AND a.attname LIKE '%\_summary')
      AND a.atttypid NOT IN ('text'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'double precision'::regtype,
                             'timestamptz'::regtype, 'date'::regtype, 'boolean'::regtype)
    ORDER BY r.relname, a.attnum;
-- The seam: what people read knows no table of rollups, but for what tells how these
-- are, and the last column of what it reads says on which node a row is.
SELECT DISTINCT v.relname AS view, t.relname AS reads
FROM pg_rewrite r
JOIN pg_class v ON v.oid = r.ev_class AND v.relnamespace = 'cost_ledger'::regnamespace
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
JOIN pg_class t ON t.oid = d.refobjid AND t.relname LIKE 'rollup\_%' AND t.relname <> 'rollup_state'
WHERE v.relname NOT IN ('rollup_status', 'retention_check')
ORDER BY 1, 2;
SELECT c.relname
FROM pg_class c
JOIN LATERAL (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid ORDER BY a.attnum DESC LIMIT 1) l ON l.attname <> 'node'
WHERE c.relnamespace = 'cost_ledger_internal'::regnamespace AND c.relname LIKE 'live\_%' AND c.relname NOT LIKE 'live\_call%' AND c.relkind = 'v';
-- The zone is looked up once per query, never once per row.
DO $$
DECLARE
    report text;
    line text;
    plan text;
BEGIN
    FOREACH report IN ARRAY '{chargeback_by_month,margin_by_feature,week_over_week,cost_per_run_by_day,cost_per_user_by_month,cost_by_task_type,
                              cost_by_model,cost_by_operation,cache_hit_by_feature,most_expensive_run,cost_by_hour,cost_by_day,cost_by_month,cost_by_label,
                              cost_by_customer,margin_by_customer,cost_chart_by_day,cost_chart_by_hour,
                              cost_breakdown_by_month,efficiency_by_month,tier_mix_by_month,task_efficiency_by_month,cache_saving_by_month}'::text[] LOOP
        plan := '';
        FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT * FROM cost_ledger.%I', report) LOOP
            plan := plan || line || E'\n';
        END LOOP;
        IF plan ~ 'SubPlan [^\n]*\n *->  [^\n]* on ledger' OR plan NOT LIKE '%InitPlan%' THEN
            RAISE WARNING 'view "%" looks the zone up for each row', report;
        END IF;
    END LOOP;
END
$$;
DROP VIEW relation;

SELECT cost_ledger.drop_ledger(i_mean_it => true);
