-- Now, and each day: what a dashboard shows at the top.
--
-- The last hour is read by minute, today and the same weekday a week ago by hour.  Of
-- the hour of that day that was not over at this time, costs are taken by the part
-- that had passed.

CREATE VIEW cost_ledger.spend_now WITH (security_barrier = true) AS
WITH recent AS (
    SELECT l.label, l.value,
           sum(m.cost) FILTER (WHERE m.minute >= date_trunc('minute', now() - interval '1 minute')) AS cost_1m,
           sum(m.cost) FILTER (WHERE m.minute >= date_trunc('minute', now() - interval '5 minutes')) AS cost_5m,
           sum(m.cost) AS cost_1h,
           sum(m.calls) FILTER (WHERE m.minute >= date_trunc('minute', now() - interval '1 minute')) AS calls_1m,
           sum(m.calls) FILTER (WHERE m.minute >= date_trunc('minute', now() - interval '5 minutes')) AS calls_5m,
           sum(m.calls) AS calls_1h,
           sum(m.input_tokens + m.output_tokens) FILTER (WHERE m.minute >= date_trunc('minute', now() - interval '1 minute')) AS tokens_1m,
           sum(m.input_tokens + m.output_tokens) FILTER (WHERE m.minute >= date_trunc('minute', now() - interval '5 minutes')) AS tokens_5m,
           sum(m.input_tokens + m.output_tokens) AS tokens_1h
    FROM cost_ledger_internal.live_minute m
    CROSS JOIN LATERAL (VALUES ('total', NULL), ('team', m.team), ('feature', m.feature), ('customer', m.customer), ('flow', m.flow),
                               ('task_type', m.task_type), ('environment', m.environment), ('provider', m.provider), ('model', m.model),
                               ('service_class', m.service_class), ('operation', m.operation), ('status', m.status), ('served_from', m.served_from))
                       AS l (label, value)
    WHERE m.minute >= date_trunc('minute', now() - interval '60 minutes') AND m.minute <= now()
    GROUP BY l.label, l.value
), clock AS (
    SELECT cost_ledger_internal.day_start((now() AT TIME ZONE s.time_zone)::date, s.time_zone) AS today,
           cost_ledger_internal.day_start((now() AT TIME ZONE s.time_zone)::date - 7, s.time_zone) AS then_day,
           ((now() AT TIME ZONE s.time_zone) - interval '7 days') AT TIME ZONE s.time_zone AS then_at
    FROM cost_ledger_internal.report_setting s
), day AS (
    SELECT l.label, l.value,
           sum(h.cost) FILTER (WHERE h.hour >= (SELECT c.today FROM clock c)) AS today_cost,
           sum(h.calls) FILTER (WHERE h.hour >= (SELECT c.today FROM clock c)) AS today_calls,
           sum(h.unpriced_calls) FILTER (WHERE h.hour >= (SELECT c.today FROM clock c)) AS today_unpriced_calls,
           sum(h.cost * least(extract(epoch FROM (SELECT c.then_at FROM clock c) - h.hour) / 3600, 1))
               FILTER (WHERE h.hour < (SELECT c.then_at FROM clock c)) AS previous_cost
    FROM cost_ledger_internal.live_hour h
    CROSS JOIN LATERAL (VALUES ('total', NULL), ('team', h.team), ('feature', h.feature), ('customer', h.customer), ('flow', h.flow),
                               ('task_type', h.task_type), ('environment', h.environment), ('provider', h.provider), ('model', h.model),
                               ('service_class', h.service_class), ('operation', h.operation), ('status', h.status), ('served_from', h.served_from))
                       AS l (label, value)
    WHERE (h.hour >= (SELECT c.today FROM clock c) AND h.hour <= now())
       OR (h.hour >= (SELECT c.then_day FROM clock c) AND h.hour < (SELECT c.then_at FROM clock c))
    GROUP BY l.label, l.value
)
SELECT d.label,
       CASE WHEN d.label <> 'total' THEN coalesce(d.value, '(unallocated)') END AS value,
       CASE WHEN d.label <> 'total' THEN d.value IS NOT NULL END AS is_allocated,
       trim_scale(CASE WHEN d.calls_1m > 0 THEN d.cost_1m ELSE coalesce(d.cost_1m, 0) END * 3600 / w.seconds_1m) AS rate_1m,
       trim_scale(CASE WHEN d.calls_5m > 0 THEN d.cost_5m ELSE coalesce(d.cost_5m, 0) END * 3600 / w.seconds_5m) AS rate_5m,
       trim_scale(CASE WHEN d.calls_1h > 0 THEN d.cost_1h ELSE coalesce(d.cost_1h, 0) END * 3600 / w.seconds_1h) AS rate_1h,
       trim_scale(coalesce(d.calls_1m, 0) * 60 / w.seconds_1m) AS calls_per_minute_1m,
       trim_scale(coalesce(d.calls_5m, 0) * 60 / w.seconds_5m) AS calls_per_minute_5m,
       trim_scale(coalesce(d.calls_1h, 0) * 60 / w.seconds_1h) AS calls_per_minute_1h,
       trim_scale(coalesce(d.tokens_1m, 0) * 60 / w.seconds_1m) AS tokens_per_minute_1m,
       trim_scale(coalesce(d.tokens_5m, 0) * 60 / w.seconds_5m) AS tokens_per_minute_5m,
       trim_scale(coalesce(d.tokens_1h, 0) * 60 / w.seconds_1h) AS tokens_per_minute_1h,
       coalesce(d.today_calls, 0)::bigint AS today_calls,
       coalesce(d.today_unpriced_calls, 0)::bigint AS today_unpriced_calls,
       d.today_cost,
       trim_scale(d.previous_cost) AS previous_cost,
       trim_scale(d.today_cost - d.previous_cost) AS change,
       CASE WHEN d.previous_cost > 0 THEN round((d.today_cost - d.previous_cost) / d.previous_cost, 6) END AS change_ratio,
       now() AS ended_at,
       s.currency,
       jsonb_build_array(d.label, d.value)::text AS row_key
FROM (
    SELECT u.label, u.value,
           sum(u.cost_1m) AS cost_1m, sum(u.cost_5m) AS cost_5m, sum(u.cost_1h) AS cost_1h,
           sum(u.calls_1m) AS calls_1m, sum(u.calls_5m) AS calls_5m, sum(u.calls_1h) AS calls_1h,
           sum(u.tokens_1m) AS tokens_1m, sum(u.tokens_5m) AS tokens_5m, sum(u.tokens_1h) AS tokens_1h,
           -- No calls cost nothing; calls without a price cost nobody knows what.
           CASE WHEN coalesce(sum(u.today_calls), 0) = 0 AND sum(u.today_cost) IS NULL THEN 0 ELSE sum(u.today_cost) END AS today_cost,
           sum(u.today_calls) AS today_calls, sum(u.today_unpriced_calls) AS today_unpriced_calls, sum(u.previous_cost) AS previous_cost
    FROM (
        SELECT r.label, r.value, r.cost_1m, r.cost_5m, r.cost_1h, r.calls_1m, r.calls_5m, r.calls_1h, r.tokens_1m, r.tokens_5m, r.tokens_1h,
               NULL::numeric AS today_cost, NULL::numeric AS today_calls, NULL::numeric AS today_unpriced_calls, NULL::numeric AS previous_cost
        FROM recent r
        UNION ALL
        SELECT d.label, d.value, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, d.today_cost, d.today_calls, d.today_unpriced_calls, d.previous_cost
        FROM day d) u
    GROUP BY u.label, u.value) d
-- The windows begin with a whole minute; what is divided by is the time from there.
CROSS JOIN (SELECT extract(epoch FROM now() - date_trunc('minute', now() - interval '1 minute')) AS seconds_1m,
                   extract(epoch FROM now() - date_trunc('minute', now() - interval '5 minutes')) AS seconds_5m,
                   extract(epoch FROM now() - date_trunc('minute', now() - interval '60 minutes')) AS seconds_1h) w
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.spend_now IS 'How fast is money spent right now, and is today dearer than this weekday usually is? One row for all calls, and for each value of each label that has calls in the last hour, today, or on the same weekday a week ago. Ask for one label (WHERE label = ''team''). spend_rate() says what is usual over four weeks.';
COMMENT ON COLUMN cost_ledger.spend_now.label IS 'total, or which label: team, feature, customer, flow, task_type, environment, provider, model, service_class, operation, status, served_from.';
COMMENT ON COLUMN cost_ledger.spend_now.value IS 'What it says; (unallocated) for calls without it; NULL for total.';
COMMENT ON COLUMN cost_ledger.spend_now.is_allocated IS 'Whether the calls have the label; false only for (unallocated), NULL for total.';
COMMENT ON COLUMN cost_ledger.spend_now.rate_1m IS 'Cost per hour, in the ledger''s currency, at the pace of the last minute: from the start of the minute before this one. 0 without calls, NULL if none has a price.';
COMMENT ON COLUMN cost_ledger.spend_now.rate_5m IS 'The same of the last 5 minutes.';
COMMENT ON COLUMN cost_ledger.spend_now.rate_1h IS 'The same of the last 60 minutes.';
COMMENT ON COLUMN cost_ledger.spend_now.calls_per_minute_1m IS 'Calls per minute in the last minute; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.spend_now.calls_per_minute_5m IS 'Calls per minute in the last 5 minutes.';
COMMENT ON COLUMN cost_ledger.spend_now.calls_per_minute_1h IS 'Calls per minute in the last 60 minutes.';
COMMENT ON COLUMN cost_ledger.spend_now.tokens_per_minute_1m IS 'Input and output tokens per minute in the last minute.';
COMMENT ON COLUMN cost_ledger.spend_now.tokens_per_minute_5m IS 'Input and output tokens per minute in the last 5 minutes.';
COMMENT ON COLUMN cost_ledger.spend_now.tokens_per_minute_1h IS 'Input and output tokens per minute in the last 60 minutes.';
COMMENT ON COLUMN cost_ledger.spend_now.today_calls IS 'Calls since the day began in the reporting zone.';
COMMENT ON COLUMN cost_ledger.spend_now.today_unpriced_calls IS 'Those of them without a full price: what they cost beyond that is missing in today_cost, and in the rates.';
COMMENT ON COLUMN cost_ledger.spend_now.today_cost IS 'Their cost, exact; 0 without calls, NULL if none has a price.';
COMMENT ON COLUMN cost_ledger.spend_now.previous_cost IS 'Cost of the same weekday a week ago up to the same time of the day: of the hour that was not over then, the part that had passed. NULL without any price.';
COMMENT ON COLUMN cost_ledger.spend_now.change IS 'today_cost - previous_cost.';
COMMENT ON COLUMN cost_ledger.spend_now.change_ratio IS 'change / previous_cost: 0.2 is 20 percent more; NULL unless previous_cost is above 0.';
COMMENT ON COLUMN cost_ledger.spend_now.ended_at IS 'Until when it counts: now.';

CREATE VIEW cost_ledger.daily_summary WITH (security_barrier = true) AS
WITH spent AS (
    SELECT d.day, CASE d.label WHEN 'all' THEN 'total' ELSE d.label END AS label, d.value,
           sum(d.calls)::bigint AS calls, sum(d.failed_calls)::bigint AS failed_calls, sum(d.unpriced_calls)::bigint AS unpriced_calls,
           sum(d.accepted_calls)::bigint AS accepted_calls, sum(d.rejected_calls)::bigint AS rejected_calls, sum(d.priced_calls) AS priced_calls,
           sum(d.input_tokens) AS input_tokens, sum(d.cache_read_tokens) AS cache_read_tokens, sum(d.output_tokens) AS output_tokens,
           sum(d.cost) AS cost
    FROM cost_ledger_internal.live_total_day d
    WHERE d.label = ANY ('{all,model,feature,customer,cohort}')
      -- Of some teams or customers, days of cohorts are not kept.
      AND (d.label <> 'cohort' OR (SELECT cost_ledger_internal.sees_all()))
    GROUP BY d.day, d.label, d.value
)
SELECT t.day,
       cost_ledger_internal.day_start(t.day, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start(t.day + 1, s.time_zone) AS ends_at,
       t.day + 1 <= now() AT TIME ZONE s.time_zone AS is_complete,
       t.label,
       CASE WHEN t.label <> 'total' THEN coalesce(t.value, '(unallocated)') END AS value,
       CASE WHEN t.label <> 'total' THEN t.value IS NOT NULL END AS is_allocated,
       t.calls, t.failed_calls, t.unpriced_calls, t.accepted_calls, t.rejected_calls,
       t.input_tokens, t.cache_read_tokens, t.output_tokens,
       t.cost,
       round(t.cost / nullif(sum(t.cost) OVER (PARTITION BY t.day, t.label), 0), 6) AS share,
       trim_scale(t.cost / nullif(t.priced_calls, 0)) AS mean_cost_per_call,
       trim_scale(t.cost / nullif(t.calls - t.failed_calls, 0)) AS mean_cost_per_successful_call,
       trim_scale(t.cost / nullif(t.accepted_calls, 0)) AS mean_cost_per_accepted_call,
       p.cost AS previous_cost,
       t.cost - p.cost AS change,
       CASE WHEN p.cost > 0 THEN round((t.cost - p.cost) / p.cost, 6) END AS change_ratio,
       s.currency,
       jsonb_build_array(t.day, t.label, t.value)::text AS row_key
FROM spent t
LEFT JOIN spent p ON p.day = t.day - 7 AND p.label = t.label AND coalesce(p.value, '') = coalesce(t.value, '') AND (p.value IS NULL) = (t.value IS NULL)
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.daily_summary IS 'What did a day cost, by model and feature, and what did an outcome cost? One row per day for all calls, and for each model, feature, customer and cohort, each beside the same weekday a week before. The running day is in it, marked.';
COMMENT ON COLUMN cost_ledger.daily_summary.day IS 'Day of the reporting zone. Days without any call are left out.';
COMMENT ON COLUMN cost_ledger.daily_summary.label IS 'total, model, feature, customer or cohort; no cohort for who may not see all calls.';
COMMENT ON COLUMN cost_ledger.daily_summary.value IS 'Which one; (unallocated) for calls without it; NULL for total.';
COMMENT ON COLUMN cost_ledger.daily_summary.is_allocated IS 'Whether the calls have the label; false only for (unallocated), NULL for total.';
COMMENT ON COLUMN cost_ledger.daily_summary.calls IS 'Calls; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.daily_summary.failed_calls IS 'Calls that have failed: with a status other than success, ok, completed, succeeded and 2xx, in any case; an unknown one is no failure.';
COMMENT ON COLUMN cost_ledger.daily_summary.unpriced_calls IS 'Calls without a full price, as in unpriced_call: what they cost beyond that is missing in cost.';
COMMENT ON COLUMN cost_ledger.daily_summary.accepted_calls IS 'Calls whose outcome was accepted.';
COMMENT ON COLUMN cost_ledger.daily_summary.rejected_calls IS 'Calls whose outcome was not accepted.';
COMMENT ON COLUMN cost_ledger.daily_summary.input_tokens IS 'All input tokens, cached ones included.';
COMMENT ON COLUMN cost_ledger.daily_summary.cache_read_tokens IS 'Input tokens read from the prompt cache: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.daily_summary.output_tokens IS 'All output tokens, reasoning included.';
COMMENT ON COLUMN cost_ledger.daily_summary.cost IS 'Cost in the ledger''s currency, exact, corrections included; NULL without any price.';
COMMENT ON COLUMN cost_ledger.daily_summary.share IS 'cost as a fraction of the day''s cost; NULL where that is 0 or unknown.';
COMMENT ON COLUMN cost_ledger.daily_summary.mean_cost_per_call IS 'cost divided by the number of calls that have a price.';
COMMENT ON COLUMN cost_ledger.daily_summary.mean_cost_per_successful_call IS 'cost, that of failed calls included, divided by the number of calls that have not failed.';
COMMENT ON COLUMN cost_ledger.daily_summary.mean_cost_per_accepted_call IS 'cost, all of it, divided by accepted_calls: what a good outcome costs. NULL where none was accepted.';
COMMENT ON COLUMN cost_ledger.daily_summary.previous_cost IS 'cost of the same weekday a week before; NULL where there was none.';
COMMENT ON COLUMN cost_ledger.daily_summary.change IS 'cost - previous_cost.';
COMMENT ON COLUMN cost_ledger.daily_summary.change_ratio IS 'change / previous_cost: 0.2 is 20 percent more; NULL unless previous_cost is above 0.';
