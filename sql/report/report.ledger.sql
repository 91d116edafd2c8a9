-- Reports: the views that people and BI tools read.  Three rules hold in all
-- of them.
--
-- A row of call with "corrects" is not a call: its cost and tokens are
-- differences, so they are summed, but it is not counted.
--
-- They read the live_ views: rollups, and the calls that are not in them yet, in
-- one snapshot.  So their totals are those of the ledger at every instant, in
-- milliseconds.  Days, weeks and months are those of the reporting zone.
--
-- Totals are sums of the ledger's own numbers, not rounded.  A cost is NULL
-- where nothing has a price: unknown is not 0.  Ratios have 6 decimals and are
-- NULL where they have no meaning; means of money are as exact as a division
-- is, quantiles are estimates.

CREATE VIEW cost_ledger.run_cost WITH (security_barrier = true) AS
SELECT r.run_id, r.parent_run_id,
       r.started_at, r.ended_at,
       (extract(epoch FROM r.ended_at - r.started_at) * 1000)::double precision AS duration_ms,
       r.calls, r.turns, r.retries, r.fallbacks, r.failed_calls, r.unpriced_calls, r.tool_calls,
       r.accepted_calls, r.rejected_calls,
       r.depth,
       -- Of a root that others pay for, who may not see their calls sees no name.
       CASE WHEN r.root_run_id IS NULL THEN r.run_id WHEN (SELECT cost_ledger_internal.sees_all()) THEN r.root_run_id END AS root_run_id,
       r.is_circular,
       r.input_tokens, r.cache_read_tokens, r.cache_write_tokens + r.cache_write_1h_tokens AS cache_write_tokens, r.output_tokens,
       r.cost, r.adjustment_cost,
       r.team, r.feature, r.customer, r.task_type, r.user_id, r.agent,
       r.session_id, r.environment, r.trace_url,
       s.currency,
       r.run_id AS row_key
FROM cost_ledger_internal.live_run r
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.run_cost IS 'What did each agent run cost? One row per run_id; calls without one are not in it. A sub-agent with a run_id of its own is a run of its own, linked by parent_run_id.';
COMMENT ON COLUMN cost_ledger.run_cost.run_id IS 'The run.';
COMMENT ON COLUMN cost_ledger.run_cost.parent_run_id IS 'The run that started it. This and the other attributes of a run are those of its first call that states one.';
COMMENT ON COLUMN cost_ledger.run_cost.started_at IS 'called_at of its first call.';
COMMENT ON COLUMN cost_ledger.run_cost.ended_at IS 'End of its last call: called_at plus duration_ms, where that is known; a duration counts for 30 days at most.';
COMMENT ON COLUMN cost_ledger.run_cost.duration_ms IS 'From started_at to ended_at, in milliseconds.';
COMMENT ON COLUMN cost_ledger.run_cost.calls IS 'Calls of the run, every attempt counted; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.run_cost.turns IS 'Steps of the loop: all calls but those of operation retry, fallback, eval, judge, embedding, embeddings, rerank, moderation, background and routing, in any case.';
COMMENT ON COLUMN cost_ledger.run_cost.retries IS 'Calls with operation retry, plus the retries clients made inside calls (retry_count).';
COMMENT ON COLUMN cost_ledger.run_cost.fallbacks IS 'Calls with operation fallback.';
COMMENT ON COLUMN cost_ledger.run_cost.failed_calls IS 'Calls that have failed: with a status other than success, ok, completed, succeeded and 2xx, in any case; an unknown one is no failure.';
COMMENT ON COLUMN cost_ledger.run_cost.unpriced_calls IS 'Calls without a full price, as in unpriced_call: what they cost beyond that is missing in cost.';
COMMENT ON COLUMN cost_ledger.run_cost.tool_calls IS 'Tool calls the models asked for.';
COMMENT ON COLUMN cost_ledger.run_cost.accepted_calls IS 'Calls whose outcome was accepted.';
COMMENT ON COLUMN cost_ledger.run_cost.rejected_calls IS 'Calls whose outcome was not accepted.';
COMMENT ON COLUMN cost_ledger.run_cost.depth IS 'How many runs it is below root_run_id: 0 for a run without a parent.';
COMMENT ON COLUMN cost_ledger.run_cost.root_run_id IS 'The run at the top of those that started it, whether it has calls or not; itself for a run without a parent. Where parents go in a circle, the smallest run_id of it. NULL where it is another run and the reader may not see all calls.';
COMMENT ON COLUMN cost_ledger.run_cost.is_circular IS 'Whether the run is one of a circle of parents, which clients should mend.';
COMMENT ON COLUMN cost_ledger.run_cost.input_tokens IS 'All input tokens, cached ones included.';
COMMENT ON COLUMN cost_ledger.run_cost.cache_read_tokens IS 'Input tokens read from the prompt cache: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.run_cost.cache_write_tokens IS 'Input tokens written to the prompt cache, for 5 minutes or for 1 hour: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.run_cost.output_tokens IS 'All output tokens, reasoning included.';
COMMENT ON COLUMN cost_ledger.run_cost.cost IS 'Cost in the ledger''s currency, exact, corrections included; NULL if no call has a price.';
COMMENT ON COLUMN cost_ledger.run_cost.adjustment_cost IS 'The part of it that corrections and re-ratings booked; NULL where there is none.';
COMMENT ON COLUMN cost_ledger.run_cost.team IS 'Team that pays.';
COMMENT ON COLUMN cost_ledger.run_cost.feature IS 'Product feature the run served.';
COMMENT ON COLUMN cost_ledger.run_cost.customer IS 'Customer or tenant the run served.';
COMMENT ON COLUMN cost_ledger.run_cost.task_type IS 'Workflow or kind of task.';
COMMENT ON COLUMN cost_ledger.run_cost.user_id IS 'End user the run served.';
COMMENT ON COLUMN cost_ledger.run_cost.agent IS 'Agent: the one that made the first call.';
COMMENT ON COLUMN cost_ledger.run_cost.session_id IS 'Conversation or session.';
COMMENT ON COLUMN cost_ledger.run_cost.environment IS 'production, staging, ci, …';
COMMENT ON COLUMN cost_ledger.run_cost.trace_url IS 'Link to the trace.';

CREATE VIEW cost_ledger.most_expensive_run WITH (security_barrier = true) AS
SELECT r.week,
       cost_ledger_internal.day_start(r.week, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start(r.week + 7, s.time_zone) AS ends_at,
       r.week + 7 <= now() AT TIME ZONE s.time_zone AS is_complete,
       r.rank,
       r.run_id, r.trace_url, r.cost,
       r.started_at, r.duration_ms,
       r.calls, r.retries, r.fallbacks, r.failed_calls, r.unpriced_calls, r.tool_calls,
       r.team, r.feature, r.customer, r.task_type, r.user_id, r.agent, r.environment,
       s.currency,
       r.run_id AS row_key
FROM (
    SELECT u.*,
           (extract(epoch FROM u.ended_at - u.started_at) * 1000)::double precision AS duration_ms,
           cost_ledger_internal.week_of(u.started_on) AS week,
           row_number() OVER (PARTITION BY cost_ledger_internal.week_of(u.started_on) ORDER BY u.cost DESC, u.started_at, u.run_id) AS rank
    FROM cost_ledger_internal.live_dear_run u
    WHERE u.cost IS NOT NULL) r
CROSS JOIN cost_ledger_internal.report_setting s
WHERE r.rank <= 10;

COMMENT ON VIEW cost_ledger.most_expensive_run IS 'Which ten runs cost most in each week, and where are their traces? A run belongs to the week it started in, with all its cost; runs without any price are left out. The running week is in it.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.week IS 'Monday of the ISO week, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.rank IS '1 for the most expensive run of the week, up to 10; at equal cost the earlier run comes first.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.run_id IS 'The run.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.trace_url IS 'Link to the trace.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.cost IS 'Cost of the run in the ledger''s currency, exact, corrections included.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.started_at IS 'called_at of its first call.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.duration_ms IS 'From its first call to the end of its last one, in milliseconds.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.calls IS 'Calls of the run, every attempt counted.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.retries IS 'Retries, as in run_cost.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.fallbacks IS 'Calls with operation fallback.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.failed_calls IS 'Calls that have failed: with a status other than success, ok, completed, succeeded and 2xx, in any case; an unknown one is no failure.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.unpriced_calls IS 'Calls without a full price: cost is at least what it says.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.tool_calls IS 'Tool calls the models asked for.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.team IS 'Team that pays.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.feature IS 'Product feature the run served.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.customer IS 'Customer or tenant the run served.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.task_type IS 'Workflow or kind of task.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.user_id IS 'End user the run served.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.agent IS 'Agent: the one that made the first call.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.environment IS 'production, staging, ci, …';

CREATE VIEW cost_ledger.cost_per_run_by_day WITH (security_barrier = true) AS
SELECT r.day,
       cost_ledger_internal.day_start(r.day, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start(r.day + 1, s.time_zone) AS ends_at,
       r.day + 1 <= now() AT TIME ZONE s.time_zone AS is_complete,
       r.runs,
       trim_scale(r.cost / nullif(cost_ledger.num_values(r.run_cost), 0)) AS mean_cost,
       cost_ledger.p95(r.run_cost) AS p95_cost,
       r.max_cost, r.cost, r.cost_without_run,
       s.currency,
       jsonb_build_array(r.day)::text AS row_key
FROM (
    SELECT d.day,
           coalesce(sum(d.runs), 0)::bigint AS runs,
           sum(d.cost) AS cost, max(d.max_cost) AS max_cost,
           cost_ledger.merge(d.run_cost) AS run_cost,
           sum(d.cost_without_run) AS cost_without_run
    FROM (
        SELECT d.day, d.runs, d.cost, d.max_cost, d.run_cost, NULL::numeric AS cost_without_run
        FROM cost_ledger_internal.live_run_day d
        UNION ALL
        SELECT t.day, NULL, NULL, NULL, NULL, t.cost_without_run
        FROM cost_ledger_internal.live_total_day t
        WHERE t.label = 'all' AND t.cost_without_run IS NOT NULL) d
    GROUP BY d.day) r
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_per_run_by_day IS 'What does a run cost, on average and at the expensive end? A run belongs to the day it started on, with all its cost. cost and cost_without_run together, over all days, are the cost of the ledger.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.day IS 'Day of the reporting zone. Days without any call are left out.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.runs IS 'Runs that started on the day, those without any price included.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.mean_cost IS 'Mean cost of those runs that have one.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.p95_cost IS '95th percentile of their costs: 95 of 100 runs cost at most this. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.max_cost IS 'Cost of the most expensive run.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.cost IS 'Cost of the runs, exact; NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.cost_without_run IS 'Cost of the day''s calls that have no run_id, exact; NULL if there are none. In no other column.';

CREATE VIEW cost_ledger.cost_per_user_by_month WITH (security_barrier = true) AS
SELECT u.month,
       cost_ledger_internal.day_start(u.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((u.month + interval '1 month')::date, s.time_zone) AS ends_at,
       u.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       count(u.user_id) AS users,
       trim_scale(avg(u.cost) FILTER (WHERE u.user_id IS NOT NULL)) AS mean_cost,
       cost_ledger.p95(u.cost) FILTER (WHERE u.user_id IS NOT NULL) AS p95_cost,
       max(u.cost) FILTER (WHERE u.user_id IS NOT NULL) AS max_cost,
       sum(u.cost) FILTER (WHERE u.user_id IS NOT NULL) AS cost,
       sum(u.cost) FILTER (WHERE u.user_id IS NULL) AS cost_without_user,
       s.currency,
       jsonb_build_array(u.month)::text AS row_key
FROM (
    SELECT m.month, m.user_id, sum(m.cost) AS cost
    FROM cost_ledger_internal.live_user_month m
    GROUP BY m.month, m.user_id) u
CROSS JOIN cost_ledger_internal.report_setting s
GROUP BY u.month, s.time_zone, s.currency;

COMMENT ON VIEW cost_ledger.cost_per_user_by_month IS 'What does a user cost per month, on average and at the expensive end? cost and cost_without_user together are the cost of the month.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_month.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_month.users IS 'Users (user_id) with a call in the month, those without any price included.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_month.mean_cost IS 'Mean over those users that have a cost, of each user''s cost in the month.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_month.p95_cost IS '95th percentile of their costs: 95 of 100 users cost at most this. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_month.max_cost IS 'Cost of the most expensive user.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_month.cost IS 'Cost of the users, exact; NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_month.cost_without_user IS 'Cost of the month''s calls that have no user_id, exact; NULL if there are none. In no other column.';

-- Both in one grouping, so that neither calls nor runs lose a row to the other.
CREATE VIEW cost_ledger.cost_by_task_type WITH (security_barrier = true) AS
SELECT t.month,
       cost_ledger_internal.day_start(t.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((t.month + interval '1 month')::date, s.time_zone) AS ends_at,
       t.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(t.task_type, '(unallocated)') AS task_type,
       t.task_type IS NOT NULL AS is_allocated,
       t.runs, t.calls, t.unpriced_calls,
       t.cost,
       trim_scale(t.cost_of_runs / nullif(cost_ledger.num_values(t.run_cost), 0)) AS mean_cost_per_run,
       cost_ledger.p95(t.run_cost) AS p95_cost_per_run,
       trim_scale(t.cost / nullif(t.priced_calls, 0)) AS mean_cost_per_call,
       round(t.cost / nullif(sum(t.cost) OVER (PARTITION BY t.month), 0), 6) AS share,
       s.currency,
       jsonb_build_array(t.month, t.task_type)::text AS row_key
FROM (
    SELECT u.month, u.task_type,
           coalesce(sum(u.runs), 0)::bigint AS runs,
           coalesce(sum(u.calls), 0)::bigint AS calls,
           coalesce(sum(u.unpriced_calls), 0)::bigint AS unpriced_calls,
           sum(u.priced_calls) AS priced_calls,
           sum(u.cost) AS cost,
           sum(u.cost_of_runs) AS cost_of_runs,
           cost_ledger.merge(u.run_cost) AS run_cost
    FROM (
        SELECT d.month, d.value AS task_type,
               d.calls, d.priced_calls, d.unpriced_calls, d.cost,
               NULL::bigint AS runs, NULL::numeric AS cost_of_runs, NULL::cost_ledger.summary AS run_cost
        FROM cost_ledger_internal.live_total_month d
        WHERE d.label = 'task_type'
        UNION ALL
        SELECT date_trunc('month', r.day::timestamp)::date, r.task_type,
               NULL, NULL, NULL, NULL,
               r.runs, r.cost, r.run_cost
        FROM cost_ledger_internal.live_run_day r) u
    GROUP BY u.month, u.task_type) t
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_by_task_type IS 'What does each workflow cost, in total, per run and per call? Calls and costs go by the task_type and the month of each call, so that the costs of a month are all in it; runs, whole, by the task_type of the run (run_cost) and the month in which it began.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.task_type IS 'Workflow or kind of task; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.is_allocated IS 'Whether the calls have a task_type; false only for (unallocated).';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.runs IS 'Runs of the task type that began in the month, those without any price included.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.calls IS 'Calls, within runs or not; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.unpriced_calls IS 'Calls without a full price, as in unpriced_call: what they cost beyond that is missing in cost.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.cost IS 'Cost of all its calls in the ledger''s currency, exact, corrections included; NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.mean_cost_per_run IS 'Mean of the runs'' whole costs, of those with a price. Calls without a run are in cost and mean_cost_per_call only.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.p95_cost_per_run IS '95th percentile of the runs'' costs: 95 of 100 runs cost at most this. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.mean_cost_per_call IS 'cost divided by the number of calls that have a price.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.share IS 'cost as a fraction of the month''s cost; NULL where that is 0 or unknown.';

CREATE VIEW cost_ledger.cost_by_model WITH (security_barrier = true) AS
SELECT t.month, t.starts_at, t.ends_at, t.is_complete,
       t.provider, t.value AS model, t.model_tier, t.service_class,
       t.calls, t.failed_calls, t.unpriced_calls,
       t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens, t.reasoning_tokens,
       t.cost, t.input_cost, t.cache_read_cost, t.cache_write_cost, t.output_cost, t.other_cost, t.adjustment_cost,
       t.mean_cost_per_call, t.mean_cost_per_accepted_call, t.share,
       t.currency,
       jsonb_build_array(t.month, t.provider, t.value, t.service_class)::text AS row_key
FROM cost_ledger.cost_by_label t
WHERE t.label = 'model';

COMMENT ON VIEW cost_ledger.cost_by_model IS 'Which models does the money go to? Models by the names the calls carry.';

CREATE VIEW cost_ledger.cost_by_operation WITH (security_barrier = true) AS
SELECT t.month, t.starts_at, t.ends_at, t.is_complete,
       t.value AS operation, t.is_allocated,
       t.calls, t.failed_calls, t.unpriced_calls,
       t.cost, t.share, t.call_share,
       t.currency,
       jsonb_build_array(t.month, CASE WHEN t.is_allocated THEN t.value END)::text AS row_key
FROM cost_ledger.cost_by_label t
WHERE t.label = 'operation';

COMMENT ON VIEW cost_ledger.cost_by_operation IS 'How much of the money goes to retries, fallbacks, evals and judges instead of the work itself?';
COMMENT ON COLUMN cost_ledger.cost_by_operation.operation IS 'primary, retry, fallback, eval, …, as the calls say; (unallocated) for calls without one.';

-- An answer from the application's own cache has read no prompt cache: its
-- tokens would only thin the ratio out.
CREATE VIEW cost_ledger.cache_hit_by_feature WITH (security_barrier = true) AS
SELECT f.month, f.starts_at, f.ends_at, f.is_complete,
       f.feature, f.is_allocated,
       f.calls, f.response_cache_calls,
       f.input_tokens, f.cache_read_tokens, f.cache_write_tokens,
       round(f.cache_read_tokens / nullif(f.input_tokens, 0), 6) AS cache_hit_ratio,
       jsonb_build_array(f.month, CASE WHEN f.is_allocated THEN f.feature END)::text AS row_key
FROM (
    SELECT t.month, t.starts_at, t.ends_at, t.is_complete, t.value AS feature, t.is_allocated,
           sum(t.calls)::bigint AS calls,
           coalesce(sum(t.calls) FILTER (WHERE t.served_from = 'response_cache'), 0)::bigint AS response_cache_calls,
           coalesce(sum(t.input_tokens) FILTER (WHERE t.served_from = 'model'), 0) AS input_tokens,
           coalesce(sum(t.cache_read_tokens) FILTER (WHERE t.served_from = 'model'), 0) AS cache_read_tokens,
           coalesce(sum(t.cache_write_tokens) FILTER (WHERE t.served_from = 'model'), 0) AS cache_write_tokens
    FROM cost_ledger.cost_by_label t
    WHERE t.label = 'feature'
    GROUP BY t.month, t.starts_at, t.ends_at, t.is_complete, t.value, t.is_allocated) f;

COMMENT ON VIEW cost_ledger.cache_hit_by_feature IS 'How well does each feature use the prompt cache? Tokens are those that models were sent; answers from the application''s own cache are counted apart.';
COMMENT ON COLUMN cost_ledger.cache_hit_by_feature.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.cache_hit_by_feature.feature IS 'Product feature; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cache_hit_by_feature.is_allocated IS 'Whether the calls have a feature; false only for (unallocated).';
COMMENT ON COLUMN cost_ledger.cache_hit_by_feature.calls IS 'Calls; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.cache_hit_by_feature.response_cache_calls IS 'Calls answered from the application''s own cache, at no cost.';
COMMENT ON COLUMN cost_ledger.cache_hit_by_feature.input_tokens IS 'All input tokens sent to models, cached ones included.';
COMMENT ON COLUMN cost_ledger.cache_hit_by_feature.cache_read_tokens IS 'Input tokens read from the prompt cache: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.cache_hit_by_feature.cache_write_tokens IS 'Input tokens written to the prompt cache, for 5 minutes or for 1 hour: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.cache_hit_by_feature.cache_hit_ratio IS 'cache_read_tokens / input_tokens, 0 to 1; NULL without input tokens.';

-- Every value gets a row of 0 for every week since its first, so that a week
-- without calls is a drop and not a gap.
CREATE VIEW cost_ledger.week_over_week WITH (security_barrier = true) AS
-- Not as a whole: who asks for one label has one label added up.
WITH spent AS NOT MATERIALIZED (
    SELECT d.week,
           CASE d.label WHEN 'all' THEN 'total' ELSE d.label END AS label,
           d.value,
           sum(d.cost) AS cost,
           sum(d.calls)::bigint AS calls,
           sum(d.accepted_calls)::bigint AS accepted_calls,
           sum(d.priced_calls)::bigint AS priced_calls,
           sum(d.unpriced_calls)::bigint AS unpriced_calls
    FROM cost_ledger_internal.live_total_week d
    WHERE d.label = ANY ('{all,team,feature,customer,model,task_type,agent}')
    GROUP BY d.week, d.label, d.value
), bounds AS (
    SELECT cost_ledger_internal.week_of(min(d.day) + 6) AS first_whole_week,
           cost_ledger_internal.week_of((now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date) AS this_week
    FROM cost_ledger_internal.live_total_day d
    WHERE d.label = 'all'
), filled AS (
    SELECT s.label, s.value, s.week, s.cost, s.calls, s.accepted_calls, s.priced_calls, s.unpriced_calls
    FROM spent s
    UNION ALL
    -- As timestamps without zone: with dates, generate_series() would step
    -- through the session's zone.  As an array, of which the planner expects ten
    -- weeks and not a thousand, for which it would compile.
    SELECT v.label, v.value, w.week::date, 0, 0, 0, 0, 0
    FROM (SELECT s.label, s.value, min(s.week) AS week
          FROM spent s
          GROUP BY s.label, s.value) v
    CROSS JOIN bounds k
    CROSS JOIN LATERAL unnest(ARRAY(
        SELECT generate_series(v.week::timestamp, k.this_week::timestamp, interval '7 days'))) AS w (week)
), compared AS (
    SELECT f.label, f.value, f.week,
           sum(f.cost) AS cost,
           sum(f.calls)::bigint AS calls,
           sum(f.accepted_calls)::bigint AS accepted_calls,
           sum(f.priced_calls)::bigint AS priced_calls,
           sum(f.unpriced_calls)::bigint AS unpriced_calls,
           lag(f.week) OVER of_value AS previous_week,
           lag(sum(f.cost)) OVER of_value AS previous_cost
    FROM filled f
    GROUP BY f.label, f.value, f.week
    WINDOW of_value AS (PARTITION BY f.label, f.value ORDER BY f.week)
)
SELECT p.week,
       cost_ledger_internal.day_start(p.week, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start(p.week + 7, s.time_zone) AS ends_at,
       p.week + 7 <= now() AT TIME ZONE s.time_zone AS is_complete,
       p.label,
       CASE WHEN p.label <> 'total' THEN coalesce(p.value, '(unallocated)') END AS value,
       CASE WHEN p.label <> 'total' THEN p.value IS NOT NULL END AS is_allocated,
       p.calls,
       p.cost,
       p.previous_cost,
       p.cost - p.previous_cost AS change,
       CASE WHEN p.previous_cost > 0 THEN round((p.cost - p.previous_cost) / p.previous_cost, 6) END AS change_ratio,
       -- Multiplied, not divided: exact at the limits.  A week that runs has not
       -- grown yet, and what it has not spent is no drop.
       CASE WHEN p.week + 7 > now() AT TIME ZONE s.time_zone THEN NULL
            WHEN p.previous_cost > 0 AND p.cost > p.previous_cost * 1.20 THEN 'review'
            WHEN p.previous_cost > 0 AND p.cost > p.previous_cost * 1.15 THEN 'investigate' END AS flag,
       p.unpriced_calls,
       trim_scale(p.cost / nullif(p.priced_calls, 0)) AS mean_cost_per_call,
       trim_scale(p.cost / nullif(p.accepted_calls, 0)) AS mean_cost_per_accepted_call,
       s.currency,
       jsonb_build_array(p.week, p.label, p.value)::text AS row_key
FROM (
    SELECT c.week, c.label, c.value, c.cost, c.calls, c.accepted_calls, c.priced_calls, c.unpriced_calls,
           -- Before its first week a value has cost nothing.  Of the time before the
           -- ledger nothing is known, and of a week in which it began too little.
           CASE WHEN c.week <= k.first_whole_week THEN NULL
                WHEN c.previous_week = c.week - 7 THEN c.previous_cost
                ELSE 0 END AS previous_cost
    FROM compared c
    CROSS JOIN bounds k) p
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.week_over_week IS 'Does spend grow faster than it should: in total, of which team, feature, customer, model, task type, agent? A row per ISO week of the reporting zone; a week without calls has cost 0, and the running week is there with is_complete false. Each label adds up to the whole cost of a week, so ask for one: WHERE label = ''customer''. Who may not see all calls has no agents.';
COMMENT ON COLUMN cost_ledger.week_over_week.week IS 'Monday of the ISO week, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.week_over_week.cost IS 'Cost of the week in the ledger''s currency, exact, corrections included; 0 without calls. Calls without a price add nothing; see unpriced_calls.';
COMMENT ON COLUMN cost_ledger.week_over_week.previous_cost IS 'Cost of the week before, 0 without calls; NULL up to the ledger''s first whole week, before which not enough is known.';
COMMENT ON COLUMN cost_ledger.week_over_week.change IS 'cost - previous_cost.';
COMMENT ON COLUMN cost_ledger.week_over_week.change_ratio IS 'change / previous_cost, e.g. 0.2 for a growth of 20 %; NULL unless previous_cost is above 0. In the running week, of a part of it.';
COMMENT ON COLUMN cost_ledger.week_over_week.flag IS 'review above 20 % growth, investigate above 15 %, otherwise NULL, and of the running week.';
COMMENT ON COLUMN cost_ledger.week_over_week.unpriced_calls IS 'Calls of the week without a full price: what they cost beyond that is missing in cost.';
