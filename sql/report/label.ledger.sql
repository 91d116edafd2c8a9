-- Totals of one label: what calls cost by what that label says.  cost_by_label has
-- them all by month, the charts have each day and hour of them without a gap.
--
-- Each label by itself is the whole cost of the ledger: read one at a time.

CREATE VIEW cost_ledger.cost_by_label WITH (security_barrier = true) AS
SELECT t.month,
       cost_ledger_internal.day_start(t.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((t.month + interval '1 month')::date, s.time_zone) AS ends_at,
       t.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       t.label,
       CASE WHEN t.label <> 'total' THEN coalesce(t.value, '(unallocated)') END AS value,
       CASE WHEN t.label <> 'total' THEN t.value IS NOT NULL END AS is_allocated,
       t.provider, t.service_class, r.tier AS model_tier,
       t.calls, t.priced_calls, t.unpriced_calls, t.failed_calls, t.retries, t.tool_calls,
       t.accepted_calls, t.rejected_calls, t.scored_calls, t.corrections,
       t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens, t.reasoning_tokens,
       t.cost,
       t.cost - coalesce(t.cache_read_cost, 0) - coalesce(t.cache_write_cost, 0) - coalesce(t.output_cost, 0) - coalesce(t.reasoning_cost, 0) - coalesce(t.other_cost, 0)
              - coalesce(t.adjustment_cost, 0) AS input_cost,
       CASE WHEN t.cost IS NOT NULL THEN coalesce(t.cache_read_cost, 0) END AS cache_read_cost,
       CASE WHEN t.cost IS NOT NULL THEN coalesce(t.cache_write_cost, 0) END AS cache_write_cost,
       CASE WHEN t.cost IS NOT NULL THEN coalesce(t.output_cost, 0) END AS output_cost,
       CASE WHEN t.cost IS NOT NULL THEN coalesce(t.reasoning_cost, 0) END AS reasoning_cost,
       CASE WHEN t.cost IS NOT NULL THEN coalesce(t.other_cost, 0) END AS other_cost,
       CASE WHEN t.cost IS NOT NULL THEN coalesce(t.adjustment_cost, 0) END AS adjustment_cost,
       t.reported_cost, t.avoided_cost, t.prompt_cache_saving, t.cost_without_run, t.score,
       trim_scale(t.cost / nullif(t.priced_calls, 0)) AS mean_cost_per_call,
       trim_scale(t.cost / nullif(t.accepted_calls, 0)) AS mean_cost_per_accepted_call,
       round(t.cost / nullif(sum(t.cost) OVER (PARTITION BY t.month, t.label), 0), 6) AS share,
       round(t.calls / nullif(sum(t.calls) OVER (PARTITION BY t.month, t.label), 0), 6) AS call_share,
       s.currency,
       jsonb_build_array(t.month, t.label, t.value, t.provider, t.service_class)::text AS row_key
FROM (
    SELECT d.month,
           CASE d.label WHEN 'all' THEN 'total' ELSE d.label END AS label,
           d.value, d.provider, d.service_class,
           sum(d.calls)::bigint AS calls,
           sum(d.priced_calls)::bigint AS priced_calls,
           sum(d.unpriced_calls)::bigint AS unpriced_calls,
           sum(d.failed_calls)::bigint AS failed_calls,
           sum(d.retries)::bigint AS retries,
           sum(d.tool_calls)::bigint AS tool_calls,
           sum(d.accepted_calls)::bigint AS accepted_calls,
           sum(d.rejected_calls)::bigint AS rejected_calls,
           sum(d.scored_calls)::bigint AS scored_calls,
           sum(d.corrections)::bigint AS corrections,
           sum(d.input_tokens) AS input_tokens,
           sum(d.cache_read_tokens) AS cache_read_tokens,
           sum(d.cache_write_tokens + d.cache_write_1h_tokens) AS cache_write_tokens,
           sum(d.output_tokens) AS output_tokens,
           sum(d.reasoning_tokens) AS reasoning_tokens,
           sum(d.cost) AS cost,
           sum(d.cache_read_cost) AS cache_read_cost,
           sum(d.cache_write_cost) AS cache_write_cost,
           sum(d.output_cost) AS output_cost, sum(d.reasoning_cost) AS reasoning_cost,
           sum(d.other_cost) AS other_cost,
           sum(d.adjustment_cost) AS adjustment_cost,
           sum(d.reported_cost) AS reported_cost,
           sum(d.avoided_cost) AS avoided_cost, sum(d.prompt_cache_saving) AS prompt_cache_saving,
           sum(d.cost_without_run) AS cost_without_run,
           sum(d.score) AS score
    FROM cost_ledger_internal.live_total_month d
    GROUP BY d.month, d.label, d.value, d.provider, d.service_class) t
LEFT JOIN cost_ledger_internal.tier_of_model r ON t.label = 'model' AND r.provider = t.provider AND r.model = t.value
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_by_label IS 'What do calls cost by month and what one label says: total, team, feature, customer, flow, task_type, environment, provider, model, service_class, operation, status, served_from, agent, step, tool, api_key, cohort? Each label adds up to the whole cost of a month, so ask for one: WHERE label = ''agent''. Each value is one row, a model one for each provider and service class.';
COMMENT ON COLUMN cost_ledger.cost_by_label.provider IS 'Of the label model: who bills the calls; otherwise NULL.';
COMMENT ON COLUMN cost_ledger.cost_by_label.service_class IS 'Of the label model: the service class; otherwise NULL.';
COMMENT ON COLUMN cost_ledger.cost_by_label.model_tier IS 'Of the label model: cheap, medium, premium or a word of your own (set_model_tier()); otherwise NULL, and without a rule or price.';

-- A label has a row of 0 for every day since its first, so that a day without
-- calls is a drop and not a gap, and nothing before.
CREATE VIEW cost_ledger.cost_chart_by_day WITH (security_barrier = true) AS
SELECT c.day,
       cost_ledger_internal.day_start(c.day, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start(c.day + 1, s.time_zone) AS ends_at,
       c.day + 1 <= now() AT TIME ZONE s.time_zone AS is_complete,
       c.label,
       CASE WHEN c.label <> 'total' THEN coalesce(c.value, '(unallocated)') END AS value,
       CASE WHEN c.label <> 'total' THEN c.value IS NOT NULL END AS is_allocated,
       c.calls, c.unpriced_calls, c.failed_calls, c.input_tokens, c.output_tokens, c.cost,
       s.currency,
       jsonb_build_array(c.day, c.label, c.value)::text AS row_key
FROM (
    SELECT f.day,
           CASE f.label WHEN 'all' THEN 'total' ELSE f.label END AS label,
           f.value,
           sum(f.calls)::bigint AS calls, sum(f.unpriced_calls)::bigint AS unpriced_calls, sum(f.failed_calls)::bigint AS failed_calls,
           sum(f.input_tokens) AS input_tokens, sum(f.output_tokens) AS output_tokens,
           -- No calls cost nothing; calls without a price cost nobody knows what.
           CASE WHEN sum(f.calls) = 0 AND sum(f.cost) IS NULL THEN 0 ELSE sum(f.cost) END AS cost
    FROM (
        SELECT d.day, d.label, d.value, d.calls, d.unpriced_calls, d.failed_calls, d.input_tokens, d.output_tokens, d.cost
        FROM cost_ledger_internal.live_total_day d
        UNION ALL
        SELECT g.day::date, v.label, v.value, 0, 0, 0, 0, 0, NULL
        FROM (SELECT d.label, d.value, min(d.day) AS first_day FROM cost_ledger_internal.live_total_day d GROUP BY d.label, d.value) v
        -- As timestamps without zone, which no session's zone moves.
        CROSS JOIN LATERAL generate_series(v.first_day::timestamp,
            (now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date::timestamp, interval '1 day') AS g (day)) f
    GROUP BY f.day, f.label, f.value) c
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_chart_by_day IS 'What do calls cost each day, by what one label says, for charts: total, team, feature, customer, model, … (as in cost_by_label)? Each label adds up to the whole cost of a day, so ask for one: WHERE label = ''total''. No day is missing from the first with calls to today, and there is none before. Who may not see all calls has days of what ledger.retain_days keeps, and no agent, step, tool, api_key and cohort.';

-- Hours of the cube that are kept: of one label, a GROUP BY of cost_by_hour.
CREATE VIEW cost_ledger.cost_chart_by_hour WITH (security_barrier = true) AS
SELECT c.hour,
       c.hour AS starts_at,
       cost_ledger_internal.hour_end(c.hour, s.time_zone) AS ends_at,
       cost_ledger_internal.hour_end(c.hour, s.time_zone) <= now() AS is_complete,
       c.calls, c.unpriced_calls, c.failed_calls, c.input_tokens, c.output_tokens, c.cost,
       s.currency,
       to_jsonb(extract(epoch FROM c.hour)::bigint)::text AS row_key
FROM (
    SELECT h.hour,
           sum(h.calls)::bigint AS calls, sum(h.unpriced_calls)::bigint AS unpriced_calls,
           coalesce(sum(h.calls) FILTER (WHERE cost_ledger_internal.is_failure(h.status)), 0)::bigint AS failed_calls,
           sum(h.input_tokens) AS input_tokens, sum(h.output_tokens) AS output_tokens,
           CASE WHEN sum(h.calls) = 0 AND sum(h.cost) IS NULL THEN 0 ELSE sum(h.cost) END AS cost
    FROM (
        SELECT h.hour, h.status, h.calls, h.unpriced_calls, h.input_tokens, h.output_tokens, h.cost
        FROM cost_ledger_internal.live_hour h
        UNION ALL
        SELECT cost_ledger_internal.hour_start(g.hour, l.time_zone), NULL, 0, 0, 0, 0, NULL
        FROM cost_ledger.ledger l
        CROSS JOIN LATERAL generate_series(
            (SELECT f.hour FROM cost_ledger_internal.first_hour f),
            -- Half an hour is the least by which clocks are set.
            now(), interval '30 minutes') AS g (hour)) h
    GROUP BY h.hour) c
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_chart_by_hour IS 'What do all calls cost each hour, for charts? No hour is missing from the first with calls to this one, and there is none before. Hours are kept for ledger.retain_hours. By a label: cost_by_hour.';
