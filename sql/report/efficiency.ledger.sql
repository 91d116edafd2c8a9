-- Was it worth it: what an outcome costs, beside the quality it had; how often work is
-- done again; which tiers do it.
--
-- All of these are sums of the cube, divided at the end; a ratio without a base is
-- NULL.  Tasks and chains of attempts have no labels of the cube, and begin with runs
-- and calls.

CREATE VIEW cost_ledger.efficiency_by_month WITH (security_barrier = true) AS
SELECT e.month,
       cost_ledger_internal.day_start(e.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((e.month + interval '1 month')::date, s.time_zone) AS ends_at,
       e.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       e.label,
       CASE WHEN e.label <> 'total' THEN coalesce(e.value, '(unallocated)') END AS value,
       CASE WHEN e.label <> 'total' THEN e.value IS NOT NULL END AS is_allocated,
       e.provider,
       e.calls, e.priced_calls, e.unpriced_calls, e.successful_calls, e.failed_calls, e.accepted_calls, e.rejected_calls, e.scored_calls, e.turns,
       e.cost,
       trim_scale(e.cost / nullif(e.priced_calls, 0)) AS mean_cost_per_call,
       trim_scale(e.cost / nullif(e.successful_calls, 0)) AS mean_cost_per_successful_call,
       trim_scale(e.cost / nullif(e.accepted_calls, 0)) AS mean_cost_per_accepted_call,
       round(e.successful_calls::numeric / nullif(e.calls, 0), 6) AS success_ratio,
       round(e.accepted_calls::numeric / nullif(e.accepted_calls + e.rejected_calls, 0), 6) AS acceptance_ratio,
       trim_scale(e.score / nullif(e.scored_calls, 0)) AS mean_score,
       e.retries, e.retry_cost, round(e.retry_cost / nullif(e.cost, 0), 6) AS retry_share,
       e.fallbacks, e.fallback_cost, round(e.fallbacks::numeric / nullif(e.turns, 0), 6) AS fallback_ratio,
       e.billed_input_tokens, e.billed_output_tokens,
       round(e.billed_output_tokens / nullif(e.billed_input_tokens, 0), 6) AS output_to_input_ratio,
       trim_scale(e.cost * 1000000 / nullif(e.priced_tokens, 0)) AS mean_cost_per_mtok,
       e.response_cache_calls, round(e.response_cache_calls::numeric / nullif(e.calls, 0), 6) AS response_cache_ratio, e.avoided_cost,
       s.currency,
       jsonb_build_array(e.month, e.label, e.value, e.provider)::text AS row_key
FROM (
    SELECT m.month,
           CASE WHEN GROUPING(m.feature) = 0 THEN 'feature' WHEN GROUPING(m.model) = 0 THEN 'model' WHEN GROUPING(m.task_type) = 0 THEN 'task_type' ELSE 'total' END AS label,
           CASE WHEN GROUPING(m.feature) = 0 THEN m.feature WHEN GROUPING(m.model) = 0 THEN m.model WHEN GROUPING(m.task_type) = 0 THEN m.task_type END AS value,
           m.provider,
           sum(m.calls)::bigint AS calls, sum(m.priced_calls)::bigint AS priced_calls, sum(m.unpriced_calls)::bigint AS unpriced_calls,
           sum(m.calls - m.failed_calls)::bigint AS successful_calls, sum(m.failed_calls)::bigint AS failed_calls,
           sum(m.accepted_calls)::bigint AS accepted_calls, sum(m.rejected_calls)::bigint AS rejected_calls, sum(m.scored_calls)::bigint AS scored_calls,
           sum(m.turns)::bigint AS turns, sum(m.cost) AS cost, sum(m.score) AS score,
           sum(m.retries)::bigint AS retries, sum(m.cost) FILTER (WHERE m.component = 'retries') AS retry_cost,
           coalesce(sum(m.calls) FILTER (WHERE m.component = 'fallbacks'), 0)::bigint AS fallbacks, sum(m.cost) FILTER (WHERE m.component = 'fallbacks') AS fallback_cost,
           -- Tokens of a model without a price would only thin the mean out.
           sum(m.billed_input_tokens + m.billed_output_tokens) FILTER (WHERE m.cost IS NOT NULL) AS priced_tokens,
           sum(m.billed_input_tokens) AS billed_input_tokens, sum(m.billed_output_tokens) AS billed_output_tokens,
           coalesce(sum(m.calls) FILTER (WHERE m.served_from = 'response_cache'), 0)::bigint AS response_cache_calls, sum(m.avoided_cost) AS avoided_cost
    FROM (
        SELECT c.month, c.feature, c.provider, c.model, c.task_type, c.served_from, cost_ledger_internal.call_component(c.operation) AS component,
               c.calls, c.priced_calls, c.unpriced_calls, c.failed_calls, c.accepted_calls, c.rejected_calls, c.scored_calls, c.turns, c.cost, c.score,
               c.retries, c.billed_input_tokens, c.billed_output_tokens, c.avoided_cost
        FROM cost_ledger.cost_by_month c) m
    GROUP BY GROUPING SETS ((m.month), (m.month, m.feature), (m.month, m.provider, m.model), (m.month, m.task_type))) e
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.efficiency_by_month IS 'What does an outcome cost, and how good was it? By month in total, and by feature, model and task type, each of which is the whole: ask for one label. Cost per successful and per accepted call beside acceptance and score; retries, fallbacks, output for input, and what the application''s own cache avoided.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.label IS 'total, feature, model or task_type. Each adds up to the whole cost, so read one at a time.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.provider IS 'Of the label model: who bills the calls; otherwise NULL.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.successful_calls IS 'Calls that have not failed.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.mean_cost_per_successful_call IS 'cost, of all calls, divided by successful_calls: what a call that succeeds costs, with the failures before it; NULL without any.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.success_ratio IS 'successful_calls / calls; NULL without calls.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.acceptance_ratio IS 'accepted_calls / (accepted_calls + rejected_calls); NULL where no outcome is known.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.mean_score IS 'Mean of the scores of scored_calls; NULL without any.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.retry_cost IS 'The part of cost of calls with operation retry; NULL where none has a price. Retries inside a call (retry_count) are in its cost, and in retries.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.retry_share IS 'retry_cost as a fraction of cost; NULL where either is unknown.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.fallbacks IS 'Calls with operation fallback.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.fallback_cost IS 'The part of cost of calls with operation fallback; NULL where none has a price.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.fallback_ratio IS 'fallbacks / turns: of how many steps of the work the first model was not the last. Above 1 where steps fall back more than once; NULL without turns.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.output_to_input_ratio IS 'billed_output_tokens / billed_input_tokens; NULL without input.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.mean_cost_per_mtok IS 'What a million billed tokens cost, input and output together; those of models without any price are left out. NULL without any.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.response_cache_calls IS 'Calls answered from the application''s own cache, at no cost.';
COMMENT ON COLUMN cost_ledger.efficiency_by_month.response_cache_ratio IS 'response_cache_calls / calls; NULL without calls.';

CREATE VIEW cost_ledger.tier_mix_by_month WITH (security_barrier = true) AS
SELECT e.month,
       cost_ledger_internal.day_start(e.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((e.month + interval '1 month')::date, s.time_zone) AS ends_at,
       e.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(e.feature, '(unallocated)') AS feature,
       e.feature IS NOT NULL AS is_allocated,
       e.model_tier, e.models,
       e.calls, e.unpriced_calls, e.cost,
       trim_scale(e.cost / nullif(e.priced_calls, 0)) AS mean_cost_per_call,
       trim_scale(e.cost / nullif(e.accepted_calls, 0)) AS mean_cost_per_accepted_call,
       round(e.accepted_calls::numeric / nullif(e.accepted_calls + e.rejected_calls, 0), 6) AS acceptance_ratio,
       trim_scale(e.score / nullif(e.scored_calls, 0)) AS mean_score,
       round(e.calls / nullif(sum(e.calls) OVER (PARTITION BY e.month, e.feature), 0), 6) AS call_share,
       round(e.cost / nullif(sum(e.cost) OVER (PARTITION BY e.month, e.feature), 0), 6) AS share,
       s.currency,
       jsonb_build_array(e.month, e.feature, e.model_tier)::text AS row_key
FROM (
    SELECT m.month, m.feature, m.model_tier, count(DISTINCT (m.provider, m.model)) AS models,
           sum(m.calls)::bigint AS calls, sum(m.priced_calls)::bigint AS priced_calls, sum(m.unpriced_calls)::bigint AS unpriced_calls,
           sum(m.accepted_calls)::bigint AS accepted_calls, sum(m.rejected_calls)::bigint AS rejected_calls, sum(m.scored_calls)::bigint AS scored_calls,
           sum(m.cost) AS cost, sum(m.score) AS score
    FROM cost_ledger.cost_by_month m
    GROUP BY m.month, m.feature, m.model_tier) e
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.tier_mix_by_month IS 'Which tiers of models does each feature use, and what did the quality of each cost? tier_down() says what one tier down would have cost.';
COMMENT ON COLUMN cost_ledger.tier_mix_by_month.feature IS 'Product feature; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.tier_mix_by_month.models IS 'Models of the tier that calls name.';
COMMENT ON COLUMN cost_ledger.tier_mix_by_month.acceptance_ratio IS 'accepted_calls / (accepted_calls + rejected_calls); NULL where no outcome is known.';
COMMENT ON COLUMN cost_ledger.tier_mix_by_month.mean_score IS 'Mean of the scores of calls that have one; NULL without any.';
COMMENT ON COLUMN cost_ledger.tier_mix_by_month.share IS 'cost as a fraction of what the feature cost in the month; NULL where that is 0 or unknown.';
COMMENT ON COLUMN cost_ledger.tier_mix_by_month.call_share IS 'calls as a fraction of the feature''s in the month.';

-- A task is a whole run.  What became of it is kept with the days of runs, so that
-- nobody adds up runs again.
CREATE VIEW cost_ledger.task_efficiency_by_month WITH (security_barrier = true) AS
SELECT e.month,
       cost_ledger_internal.day_start(e.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((e.month + interval '1 month')::date, s.time_zone) AS ends_at,
       e.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(e.task_type, '(unallocated)') AS task_type,
       e.task_type IS NOT NULL AS is_allocated,
       e.tasks, e.priced_tasks, e.successful_tasks, e.accepted_tasks, e.rejected_tasks,
       e.cost,
       trim_scale(e.cost / nullif(e.priced_tasks, 0)) AS mean_cost_per_task,
       trim_scale(e.cost / nullif(e.successful_tasks, 0)) AS mean_cost_per_successful_task,
       trim_scale(e.cost / nullif(e.accepted_tasks, 0)) AS mean_cost_per_accepted_task,
       round(e.successful_tasks::numeric / nullif(e.tasks, 0), 6) AS success_ratio,
       round(e.accepted_tasks::numeric / nullif(e.accepted_tasks + e.rejected_tasks, 0), 6) AS acceptance_ratio,
       s.currency,
       jsonb_build_array(e.month, e.task_type)::text AS row_key
FROM (
    SELECT date_trunc('month', d.day::timestamp)::date AS month, d.task_type,
           sum(d.runs)::bigint AS tasks, coalesce(sum(cost_ledger.num_values(d.run_cost)), 0)::bigint AS priced_tasks,
           sum(d.successful_runs)::bigint AS successful_tasks, sum(d.accepted_runs)::bigint AS accepted_tasks, sum(d.rejected_runs)::bigint AS rejected_tasks,
           sum(d.cost) AS cost
    FROM cost_ledger_internal.live_run_day d
    WHERE d.runs > 0
    GROUP BY 1, d.task_type) e
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.task_efficiency_by_month IS 'What does a task cost that succeeds, and one that is accepted? A task is a run with all that it started (run_tree), of the month in which it began, and of the task type of its first call. Calls without a run are in efficiency_by_month.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.task_type IS 'Workflow or kind of task; (unallocated) for tasks without one.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.is_allocated IS 'Whether the tasks have a task_type; false only for (unallocated).';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.tasks IS 'Whole runs that began in the month.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.priced_tasks IS 'Those of which something has a price.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.successful_tasks IS 'Those that were accepted; and of those that nobody rejected, those of which some call has not failed.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.accepted_tasks IS 'Those of which some call was accepted.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.rejected_tasks IS 'Those of which some call was rejected, and none accepted.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.cost IS 'Cost of all of them, whenever their calls were, exact, corrections included; NULL without any price.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.mean_cost_per_task IS 'cost / priced_tasks; NULL without any.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.mean_cost_per_successful_task IS 'cost, of all tasks, divided by successful_tasks; NULL without any.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.mean_cost_per_accepted_task IS 'cost, of all tasks, divided by accepted_tasks: what an accepted task costs, with those that were not; NULL without any.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.success_ratio IS 'successful_tasks / tasks.';
COMMENT ON COLUMN cost_ledger.task_efficiency_by_month.acceptance_ratio IS 'accepted_tasks / (accepted_tasks + rejected_tasks); NULL where no outcome is known.';

-- Corrections belong to the attempt that they correct, and stand at its time.
CREATE VIEW cost_ledger.request_chain WITH (security_barrier = true) AS
SELECT r.request_id, r.started_at, r.ended_at,
       r.attempts, r.retries, r.fallbacks, r.failed_calls, r.unpriced_calls,
       r.cost, r.first_cost,
       trim_scale(r.cost - r.first_cost) AS repeat_cost,
       r.operations, r.first_model, r.last_model,
       r.last_status AS status,
       CASE WHEN r.is_accepted THEN 'accepted' WHEN r.is_rejected THEN 'rejected' WHEN cost_ledger_internal.is_failure(r.last_status) THEN 'failed' ELSE 'success' END AS outcome,
       r.team, r.feature, r.customer, r.run_id,
       s.currency,
       r.request_id AS row_key
FROM (
    SELECT c.request_id,
           min(c.called_at) AS started_at,
           max(c.called_at + greatest(least(coalesce(c.duration_ms, 0), 2592000000), 0) * interval '1 millisecond') AS ended_at,
           count(*) FILTER (WHERE c.corrects IS NULL) AS attempts,
           count(*) FILTER (WHERE c.corrects IS NULL AND lower(c.operation) = 'retry') + coalesce(sum(c.retry_count), 0)::bigint AS retries,
           count(*) FILTER (WHERE c.corrects IS NULL AND lower(c.operation) = 'fallback') AS fallbacks,
           count(*) FILTER (WHERE c.corrects IS NULL AND cost_ledger_internal.is_failure(c.status)) AS failed_calls,
           sum(cost_ledger_internal.unpriced_calls(c.corrects, c.pricing, c.usage_status))::bigint AS unpriced_calls,
           sum(c.cost) AS cost,
           sum(c.cost) FILTER (WHERE c.is_first) AS first_cost,
           string_agg(coalesce(c.operation, 'call'), ' → ' ORDER BY c.attempt, c.called_at, c.call_id) FILTER (WHERE c.corrects IS NULL) AS operations,
           max(c.model) FILTER (WHERE c.is_first AND c.corrects IS NULL) AS first_model,
           max(c.model) FILTER (WHERE c.is_last AND c.corrects IS NULL) AS last_model,
           max(c.status) FILTER (WHERE c.is_last AND c.corrects IS NULL) AS last_status,
           coalesce(bool_or(c.accepted), false) AS is_accepted,
           coalesce(bool_or(NOT c.accepted), false) AS is_rejected,
           max(c.team) FILTER (WHERE c.is_first AND c.corrects IS NULL) AS team,
           max(c.feature) FILTER (WHERE c.is_first AND c.corrects IS NULL) AS feature,
           max(c.customer) FILTER (WHERE c.is_first AND c.corrects IS NULL) AS customer,
           max(c.run_id) FILTER (WHERE c.is_first AND c.corrects IS NULL) AS run_id
    FROM (
        SELECT d.request_id, d.attempt, d.called_at, d.call_id, d.corrects, d.operation, d.retry_count, d.status, d.accepted, d.pricing, d.usage_status, d.duration_ms,
               d.cost, d.model, d.team, d.feature, d.customer, d.run_id,
               coalesce(d.corrects, d.call_id) = first_value(coalesce(d.corrects, d.call_id)) OVER attempts AS is_first,
               coalesce(d.corrects, d.call_id) = last_value(coalesce(d.corrects, d.call_id)) OVER attempts AS is_last
        FROM cost_ledger_internal.seen_call d
        WHERE d.request_id IS NOT NULL
        WINDOW attempts AS (PARTITION BY d.request_id ORDER BY d.attempt, d.called_at, coalesce(d.restates, d.corrects, d.call_id)
                            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) c
    GROUP BY c.request_id) r
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.request_chain IS 'How often was a request tried, what did all attempts cost, and what became of it? One row for each request_id, with its attempts in order: by attempt where it is said, then by time. Calls without a request_id are not in it. Reads the calls; one request is found at once with index_calls(''request_id'').';
COMMENT ON COLUMN cost_ledger.request_chain.request_id IS 'The logical request.';
COMMENT ON COLUMN cost_ledger.request_chain.started_at IS 'called_at of its earliest attempt.';
COMMENT ON COLUMN cost_ledger.request_chain.ended_at IS 'End of its last attempt: called_at plus duration_ms, where that is known; a duration counts for 30 days at most.';
COMMENT ON COLUMN cost_ledger.request_chain.attempts IS 'Calls of the request; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.request_chain.fallbacks IS 'Attempts with operation fallback.';
COMMENT ON COLUMN cost_ledger.request_chain.failed_calls IS 'Attempts that have failed, by their status; an unknown one is no failure.';
COMMENT ON COLUMN cost_ledger.request_chain.cost IS 'Cost of all attempts in the ledger''s currency, exact, corrections included; NULL without any price.';
COMMENT ON COLUMN cost_ledger.request_chain.first_cost IS 'The part of it of the first attempt.';
COMMENT ON COLUMN cost_ledger.request_chain.repeat_cost IS 'What it cost to try again: cost - first_cost; NULL where either is unknown.';
COMMENT ON COLUMN cost_ledger.request_chain.operations IS 'The operations of its attempts in order, as the calls say them; call for one that says nothing.';
COMMENT ON COLUMN cost_ledger.request_chain.first_model IS 'Model of the first attempt, as sent.';
COMMENT ON COLUMN cost_ledger.request_chain.last_model IS 'Model of the last attempt, as sent.';
COMMENT ON COLUMN cost_ledger.request_chain.status IS 'Status of the last attempt, as the call says it.';
COMMENT ON COLUMN cost_ledger.request_chain.outcome IS 'accepted, where some attempt was; rejected, where one was and none accepted; failed, where the last attempt failed; else success.';
COMMENT ON COLUMN cost_ledger.request_chain.team IS 'Team of the first attempt; NULL if it names none.';
COMMENT ON COLUMN cost_ledger.request_chain.feature IS 'Feature of the first attempt.';
COMMENT ON COLUMN cost_ledger.request_chain.customer IS 'Customer of the first attempt.';
COMMENT ON COLUMN cost_ledger.request_chain.run_id IS 'Agent run of the first attempt.';
