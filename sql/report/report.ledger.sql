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
       t.own_runs,
       trim_scale(t.own_cost_of_runs / nullif(cost_ledger.num_values(t.own_run_cost), 0)) AS mean_own_cost_per_run,
       cost_ledger.p95(t.own_run_cost) AS p95_own_cost_per_run,
       t.runs + t.calls_without_run AS tasks,
       trim_scale((coalesce(t.cost_of_runs, 0) + coalesce(t.cost_without_run, 0))
                  / nullif(coalesce(cost_ledger.num_values(t.run_cost), 0) + t.priced_without_run, 0)) AS mean_cost_per_task,
       cost_ledger.p95(cost_ledger.merge(t.run_cost, t.call_cost)) AS p95_cost_per_task,
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
           cost_ledger.merge(u.run_cost) AS run_cost,
           coalesce(sum(u.own_runs), 0)::bigint AS own_runs,
           sum(u.own_cost_of_runs) AS own_cost_of_runs,
           cost_ledger.merge(u.own_run_cost) AS own_run_cost,
           coalesce(sum(u.calls_without_run), 0)::bigint AS calls_without_run,
           coalesce(sum(u.priced_without_run), 0) AS priced_without_run,
           sum(u.cost_without_run) AS cost_without_run,
           cost_ledger.merge(u.call_cost) AS call_cost
    FROM (
        SELECT d.month, d.value AS task_type,
               d.calls, d.priced_calls, d.unpriced_calls, d.cost,
               NULL::bigint AS runs, NULL::numeric AS cost_of_runs, NULL::cost_ledger.summary AS run_cost,
               NULL::bigint AS own_runs, NULL::numeric AS own_cost_of_runs, NULL::cost_ledger.summary AS own_run_cost,
               NULL::bigint AS calls_without_run, NULL::bigint AS priced_without_run, NULL::numeric AS cost_without_run, NULL::cost_ledger.summary AS call_cost
        FROM cost_ledger_internal.live_total_month d
        WHERE d.label = 'task_type'
        UNION ALL
        SELECT date_trunc('month', r.day::timestamp)::date, r.task_type,
               NULL, NULL, NULL, NULL,
               r.runs, r.cost, r.run_cost, r.own_runs, r.own_cost, r.own_run_cost,
               NULL, NULL, NULL, NULL
        FROM cost_ledger_internal.live_run_day r
        UNION ALL
        SELECT date_trunc('month', w.day::timestamp)::date, w.task_type,
               NULL, NULL, NULL, NULL,
               NULL, NULL, NULL, NULL, NULL, NULL,
               w.calls, w.priced_calls, w.cost, w.call_cost
        FROM cost_ledger_internal.live_without_run_day w) u
    GROUP BY u.month, u.task_type) t
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_by_task_type IS 'What does each workflow cost, in total, per run and per call? Calls and costs go by the task_type and the month of each call, so that the costs of a month are all in it; runs, with all below them, by the task_type of the whole run (run_tree) and the month in which it began.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.task_type IS 'Workflow or kind of task; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.is_allocated IS 'Whether the calls have a task_type; false only for (unallocated).';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.runs IS 'Whole runs of the task type that began in the month, each with all below it; those without any price included.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.calls IS 'Calls, within runs or not; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.unpriced_calls IS 'Calls without a full price, as in unpriced_call: what they cost beyond that is missing in cost.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.cost IS 'Cost of all its calls in the ledger''s currency, exact, corrections included; NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.mean_cost_per_run IS 'Mean of the runs'' whole costs, of those with a price. Calls without a run are not in it, but in mean_cost_per_task.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.p95_cost_per_run IS '95th percentile of the runs'' costs: 95 of 100 runs cost at most this. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.own_runs IS 'Runs that began in the month, each by itself and of its own task type, as in run.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.mean_own_cost_per_run IS 'Mean cost of the own calls of those that have a price.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.p95_own_cost_per_run IS '95th percentile of these costs. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.tasks IS 'runs, and the month''s calls without a run, each a task of its own.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.mean_cost_per_task IS 'Mean cost of those tasks that have a price: what a bar chart of task types shows.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.p95_cost_per_task IS '95th percentile of their costs, of calls as first priced. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.mean_cost_per_call IS 'cost divided by the number of calls that have a price.';
COMMENT ON COLUMN cost_ledger.cost_by_task_type.share IS 'cost as a fraction of the month''s cost; NULL where that is 0 or unknown.';

CREATE VIEW cost_ledger.cost_by_model WITH (security_barrier = true) AS
SELECT t.month, t.starts_at, t.ends_at, t.is_complete,
       t.provider, t.value AS model, t.model_tier, t.service_class,
       t.calls, t.failed_calls, t.unpriced_calls,
       t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens, t.reasoning_tokens,
       t.cost, t.input_cost, t.cache_read_cost, t.cache_write_cost, t.output_cost, t.reasoning_cost, t.other_cost, t.adjustment_cost, t.prompt_cache_saving,
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
SELECT f.month,
       cost_ledger_internal.day_start(f.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((f.month + interval '1 month')::date, s.time_zone) AS ends_at,
       f.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(f.feature, '(unallocated)') AS feature,
       f.feature IS NOT NULL AS is_allocated,
       f.calls, f.response_cache_calls,
       f.input_tokens, f.cache_read_tokens, f.cache_write_tokens,
       round(f.cache_read_tokens / nullif(f.input_tokens, 0), 6) AS cache_hit_ratio,
       f.prompt_cache_saving,
       s.currency,
       jsonb_build_array(f.month, f.feature)::text AS row_key
FROM (
    SELECT t.month, t.value AS feature,
           sum(t.calls)::bigint AS calls,
           coalesce(sum(t.calls) FILTER (WHERE t.served_from = 'response_cache'), 0)::bigint AS response_cache_calls,
           coalesce(sum(t.input_tokens) FILTER (WHERE t.served_from = 'model'), 0) AS input_tokens,
           coalesce(sum(t.cache_read_tokens) FILTER (WHERE t.served_from = 'model'), 0) AS cache_read_tokens,
           coalesce(sum(t.cache_write_tokens + t.cache_write_1h_tokens) FILTER (WHERE t.served_from = 'model'), 0) AS cache_write_tokens,
           sum(t.prompt_cache_saving) AS prompt_cache_saving
    FROM cost_ledger_internal.live_total_month t
    WHERE t.label = 'feature'
    GROUP BY t.month, t.value) f
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cache_hit_by_feature IS 'How well does each feature use the prompt cache, and what does it save? Tokens are those that models were sent; answers from the application''s own cache are counted apart.';
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
       r.tier AS model_tier,
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
LEFT JOIN (
    -- Models are added up here whoever serves them.
    SELECT m.model, CASE WHEN count(DISTINCT m.tier) = 1 THEN min(m.tier) END AS tier
    FROM cost_ledger_internal.tier_of_model m
    GROUP BY m.model) r ON p.label = 'model' AND r.model = p.value
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.week_over_week IS 'Does spend grow faster than it should: in total, of which team, feature, customer, model, task type, agent? A row per ISO week of the reporting zone; a week without calls has cost 0, and the running week is there with is_complete false. Each label adds up to the whole cost of a week, so ask for one: WHERE label = ''customer''. Who may not see all calls has no agents.';
COMMENT ON COLUMN cost_ledger.week_over_week.week IS 'Monday of the ISO week, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.week_over_week.model_tier IS 'Of the label model: cheap, medium, premium or a word of your own (set_model_tier()); otherwise NULL, without a rule or price, and where those who serve it are not of one tier.';
COMMENT ON COLUMN cost_ledger.week_over_week.cost IS 'Cost of the week in the ledger''s currency, exact, corrections included; 0 without calls. Calls without a price add nothing; see unpriced_calls.';
COMMENT ON COLUMN cost_ledger.week_over_week.previous_cost IS 'Cost of the week before, 0 without calls; NULL up to the ledger''s first whole week, before which not enough is known.';
COMMENT ON COLUMN cost_ledger.week_over_week.change IS 'cost - previous_cost.';
COMMENT ON COLUMN cost_ledger.week_over_week.change_ratio IS 'change / previous_cost, e.g. 0.2 for a growth of 20 %; NULL unless previous_cost is above 0. In the running week, of a part of it.';
COMMENT ON COLUMN cost_ledger.week_over_week.flag IS 'review above 20 % growth, investigate above 15 %, otherwise NULL, and of the running week.';
COMMENT ON COLUMN cost_ledger.week_over_week.unpriced_calls IS 'Calls of the week without a full price: what they cost beyond that is missing in cost.';
