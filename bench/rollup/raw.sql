-- The same questions put to the rows of call themselves, as a ledger without
-- rollups would ask them.
CREATE SCHEMA raw;
CREATE VIEW raw.chargeback_by_month WITH (security_invoker = true) AS
SELECT t.month,
       coalesce(t.team, '(unallocated)') AS team,
       t.team IS NOT NULL AS is_allocated,
       t.calls, t.failed_calls, t.unpriced_calls, t.corrections,
       t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
       t.cost, t.rated_cost, t.adjustment_cost,
       round(t.cost / nullif(sum(t.cost) OVER (PARTITION BY t.month), 0), 6) AS share
FROM (
    SELECT date_trunc('month', c.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS month,
           c.team,
           count(*) FILTER (WHERE c.corrects IS NULL) AS calls,
           count(*) FILTER (WHERE c.corrects IS NULL AND c.status <> 'success') AS failed_calls,
           count(*) FILTER (WHERE c.corrects IS NULL AND c.pricing IN ('unpriced', 'partial'))
               - count(*) FILTER (WHERE c.usage_status = 'repriced') AS unpriced_calls,
           count(c.corrects) AS corrections,
           coalesce(sum(c.input_tokens), 0) AS input_tokens,
           coalesce(sum(c.cache_read_tokens), 0) AS cache_read_tokens,
           coalesce(sum(c.cache_write_tokens), 0) + coalesce(sum(c.cache_write_1h_tokens), 0) AS cache_write_tokens,
           coalesce(sum(c.output_tokens), 0) AS output_tokens,
           sum(c.cost) AS cost,
           sum(c.cost) FILTER (WHERE c.corrects IS NULL) AS rated_cost,
           sum(c.cost) FILTER (WHERE c.corrects IS NOT NULL) AS adjustment_cost
    FROM cost_ledger.call c
    GROUP BY 1, c.team) t;

CREATE VIEW raw.margin_by_feature WITH (security_invoker = true) AS
SELECT m.month,
       coalesce(m.feature, '(unallocated)') AS feature,
       m.feature IS NOT NULL AS is_allocated,
       m.calls, m.unpriced_calls,
       m.revenue, m.cost,
       m.revenue - m.cost AS margin,
       round((m.revenue - m.cost) / nullif(m.revenue, 0), 6) AS margin_ratio,
       round(m.cost / nullif(m.revenue, 0), 6) AS cost_to_revenue_ratio,
       -- Multiplied, not divided: exact at the limit, and has an answer for a
       -- revenue of 0.
       m.cost > m.revenue * 0.30 AS is_over_ceiling
FROM (
    SELECT s.month, s.feature,
           count(*) FILTER (WHERE s.is_call) AS calls,
           count(*) FILTER (WHERE s.is_call AND s.pricing IN ('unpriced', 'partial'))
               - count(*) FILTER (WHERE s.usage_status = 'repriced') AS unpriced_calls,
           sum(s.revenue) AS revenue,
           -- No calls cost nothing; calls without a price cost nobody knows what.
           CASE WHEN count(s.is_call) = 0 THEN 0 ELSE sum(s.cost) END AS cost
    FROM (
        SELECT date_trunc('month', c.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS month,
               c.feature, c.corrects IS NULL AS is_call, c.pricing, c.usage_status, c.cost, NULL::numeric AS revenue
        FROM cost_ledger.call c
        UNION ALL
        SELECT date_trunc('month', r.earned_on::timestamp)::date,
               r.feature, NULL, NULL, NULL, NULL, r.amount
        FROM cost_ledger.revenue r) s
    GROUP BY s.month, s.feature) m;

CREATE VIEW raw.cost_per_run_by_day WITH (security_invoker = true) AS
SELECT r.day,
       count(r.run_id) AS runs,
       avg(r.cost) FILTER (WHERE r.run_id IS NOT NULL) AS mean_cost,
       cost_ledger.p95(r.cost) FILTER (WHERE r.run_id IS NOT NULL) AS p95_cost,
       max(r.cost) FILTER (WHERE r.run_id IS NOT NULL) AS max_cost,
       sum(r.cost) FILTER (WHERE r.run_id IS NOT NULL) AS cost,
       sum(r.cost) FILTER (WHERE r.run_id IS NULL) AS cost_without_run
FROM (
    SELECT c.run_id,
           min(c.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS day,
           sum(c.cost) AS cost
    FROM cost_ledger.call c
    GROUP BY c.run_id,
             CASE WHEN c.run_id IS NULL
                  THEN (c.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date END) r
GROUP BY r.day;

CREATE VIEW raw.cost_per_user_by_month WITH (security_invoker = true) AS
SELECT u.month,
       count(u.user_id) AS users,
       avg(u.cost) FILTER (WHERE u.user_id IS NOT NULL) AS mean_cost,
       cost_ledger.p95(u.cost) FILTER (WHERE u.user_id IS NOT NULL) AS p95_cost,
       max(u.cost) FILTER (WHERE u.user_id IS NOT NULL) AS max_cost,
       sum(u.cost) FILTER (WHERE u.user_id IS NOT NULL) AS cost,
       sum(u.cost) FILTER (WHERE u.user_id IS NULL) AS cost_without_user
FROM (
    SELECT date_trunc('month', c.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS month,
           c.user_id,
           sum(c.cost) AS cost
    FROM cost_ledger.call c
    GROUP BY 1, c.user_id) u
GROUP BY u.month;

CREATE VIEW raw.week_over_week WITH (security_invoker = true) AS
WITH spent AS (
    SELECT c.week,
           CASE WHEN GROUPING(c.team) = 0 THEN 'team'
                WHEN GROUPING(c.feature) = 0 THEN 'feature'
                ELSE 'total' END AS label,
           coalesce(c.team, c.feature) AS name,  -- at most one of them is grouped by
           min(c.called_on) AS called_on,
           sum(c.cost) AS cost,
           sum(c.unpriced_calls) AS unpriced_calls
    FROM (
        -- Grouped twice: grouping sets alone would know no parallel plan.
        SELECT date_trunc('week', t.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS week,
               t.team, t.feature,
               min(t.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS called_on,
               sum(t.cost) AS cost,
               count(*) FILTER (WHERE t.corrects IS NULL AND t.pricing IN ('unpriced', 'partial'))
                   - count(*) FILTER (WHERE t.usage_status = 'repriced') AS unpriced_calls
        FROM cost_ledger.call t
        GROUP BY 1, t.team, t.feature) c
    GROUP BY GROUPING SETS ((c.week), (c.week, c.team), (c.week, c.feature))
), complete AS (
    -- A ledger that begins in mid-week has seen only a part of that week.
    SELECT date_trunc('week', min(s.called_on)::timestamp + interval '6 days')::date AS first_week,
           date_trunc('week', now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date - 7 AS last_week
    FROM spent s
    WHERE s.label = 'total'
), filled AS (
    SELECT s.label, s.name, s.week, s.cost, s.unpriced_calls
    FROM spent s
    UNION ALL
    -- As timestamps without zone: with dates, generate_series() would step
    -- through the session's zone.
    SELECT v.label, v.name, w.week::date, 0, 0
    FROM (SELECT s.label, s.name, min(s.week) AS week
          FROM spent s
          GROUP BY s.label, s.name) v
    CROSS JOIN complete k
    CROSS JOIN LATERAL generate_series(v.week::timestamp, k.last_week::timestamp, interval '7 days') AS w (week)
), compared AS (
    SELECT f.label, f.name, f.week,
           sum(f.cost) AS cost,
           sum(f.unpriced_calls)::bigint AS unpriced_calls,
           -- Before its first week a value has cost nothing, but of the time
           -- before the ledger nothing is known.
           lag(sum(f.cost), 1, CASE WHEN f.week > k.first_week THEN 0::numeric END)
               OVER (PARTITION BY f.label, f.name ORDER BY f.week) AS previous_cost
    FROM filled f
    JOIN complete k ON f.week BETWEEN k.first_week AND k.last_week
    GROUP BY f.label, f.name, f.week, k.first_week
)
SELECT p.label,
       CASE WHEN p.label <> 'total' THEN coalesce(p.name, '(unallocated)') END AS value,
       CASE WHEN p.label <> 'total' THEN p.name IS NOT NULL END AS is_allocated,
       p.week,
       p.cost,
       p.previous_cost,
       p.cost - p.previous_cost AS change,
       CASE WHEN p.previous_cost > 0 THEN round((p.cost - p.previous_cost) / p.previous_cost, 6) END AS change_ratio,
       -- Multiplied, not divided: exact at the limits.
       CASE WHEN p.previous_cost > 0 AND p.cost > p.previous_cost * 1.20 THEN 'review'
            WHEN p.previous_cost > 0 AND p.cost > p.previous_cost * 1.15 THEN 'investigate' END AS flag,
       p.unpriced_calls
FROM compared p;

