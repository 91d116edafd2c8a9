-- Runs: each by itself, and whole, with all the runs that it started.
--
-- What a task costs is what its whole run costs, so that is what is charted; the
-- runs one by one are beside it (own_).  A call that is in no run is a task of its
-- own, or a task type without agents would have no mean.
--
-- Same rules as in the other reports: corrections are summed but not counted, days
-- are those of the reporting zone, totals are not rounded.

CREATE VIEW cost_ledger.run WITH (security_barrier = true) AS
SELECT r.run_id, r.parent_run_id,
       r.started_at, r.ended_at,
       (extract(epoch FROM r.ended_at - r.started_at) * 1000)::double precision AS duration_ms,
       r.calls, r.turns, r.retries, r.fallbacks, r.failed_calls, r.unpriced_calls, r.tool_calls,
       r.accepted_calls, r.rejected_calls,
       r.depth,
       -- Of a root that others pay for, who may not see their calls sees no name.
       CASE WHEN coalesce(r.root_run_id, r.run_id) = r.run_id THEN r.run_id WHEN (SELECT cost_ledger_internal.sees_all()) THEN r.root_run_id END AS root_run_id,
       r.is_circular,
       r.input_tokens, r.cache_read_tokens, r.cache_write_tokens + r.cache_write_1h_tokens AS cache_write_tokens, r.output_tokens,
       r.cost, r.adjustment_cost,
       r.team, r.feature, r.customer, r.task_type, r.user_id, r.agent,
       r.session_id, r.environment, r.trace_url,
       s.currency,
       r.run_id AS row_key
FROM cost_ledger_internal.live_run r
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.run IS 'What did each agent run cost by itself? One row per run_id; calls without one are not in it. A sub-agent with a run_id of its own is a run of its own, linked by parent_run_id; run_tree has what a run costs with all below it.';
COMMENT ON COLUMN cost_ledger.run.run_id IS 'The run.';
COMMENT ON COLUMN cost_ledger.run.parent_run_id IS 'The run that started it; of several that its calls name, the first in byte order.';
COMMENT ON COLUMN cost_ledger.run.started_at IS 'called_at of its first call.';
COMMENT ON COLUMN cost_ledger.run.ended_at IS 'End of its last call: called_at plus duration_ms, where that is known; a duration counts for 30 days at most.';
COMMENT ON COLUMN cost_ledger.run.duration_ms IS 'From started_at to ended_at, in milliseconds.';
COMMENT ON COLUMN cost_ledger.run.calls IS 'Calls of the run, every attempt counted; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.run.turns IS 'Steps of the loop: all calls but those of operation retry, fallback, eval, judge, embedding, embeddings, rerank, moderation, background and routing, in any case.';
COMMENT ON COLUMN cost_ledger.run.retries IS 'Calls with operation retry, plus the retries clients made inside calls (retry_count).';
COMMENT ON COLUMN cost_ledger.run.fallbacks IS 'Calls with operation fallback.';
COMMENT ON COLUMN cost_ledger.run.failed_calls IS 'Calls that have failed: with a status other than success, ok, completed, succeeded and 2xx, in any case; an unknown one is no failure.';
COMMENT ON COLUMN cost_ledger.run.unpriced_calls IS 'Calls without a full price, as in unpriced_call: what they cost beyond that is missing in cost.';
COMMENT ON COLUMN cost_ledger.run.tool_calls IS 'Tool calls the models asked for.';
COMMENT ON COLUMN cost_ledger.run.accepted_calls IS 'Calls whose outcome was accepted.';
COMMENT ON COLUMN cost_ledger.run.rejected_calls IS 'Calls whose outcome was not accepted.';
COMMENT ON COLUMN cost_ledger.run.depth IS 'How many runs it is below root_run_id: 0 for a run without a parent.';
COMMENT ON COLUMN cost_ledger.run.root_run_id IS 'The run at the top of those that started it, whether it has calls or not; itself for a run without a parent. Where parents go in a circle, the smallest run_id of it. NULL where it is another run and the reader may not see all calls.';
COMMENT ON COLUMN cost_ledger.run.is_circular IS 'Whether the run is one of a circle of parents, which clients should mend.';
COMMENT ON COLUMN cost_ledger.run.input_tokens IS 'All input tokens, cached ones included.';
COMMENT ON COLUMN cost_ledger.run.cache_read_tokens IS 'Input tokens read from the prompt cache: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.run.cache_write_tokens IS 'Input tokens written to the prompt cache, for 5 minutes or for 1 hour: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.run.output_tokens IS 'All output tokens, reasoning included.';
COMMENT ON COLUMN cost_ledger.run.cost IS 'Cost of its own calls in the ledger''s currency, exact, corrections included; NULL if no call has a price.';
COMMENT ON COLUMN cost_ledger.run.adjustment_cost IS 'The part of it that corrections and re-ratings booked; NULL where there is none.';
COMMENT ON COLUMN cost_ledger.run.team IS 'Team that pays. This and the other attributes are those of the first call that states one.';
COMMENT ON COLUMN cost_ledger.run.feature IS 'Product feature the run served.';
COMMENT ON COLUMN cost_ledger.run.customer IS 'Customer or tenant the run served.';
COMMENT ON COLUMN cost_ledger.run.task_type IS 'Workflow or kind of task.';
COMMENT ON COLUMN cost_ledger.run.user_id IS 'End user the run served.';
COMMENT ON COLUMN cost_ledger.run.agent IS 'Agent: the one that made the first call.';
COMMENT ON COLUMN cost_ledger.run.session_id IS 'Conversation or session.';
COMMENT ON COLUMN cost_ledger.run.environment IS 'production, staging, ci, …';
COMMENT ON COLUMN cost_ledger.run.trace_url IS 'Link to the trace; of several, the first in byte order.';

CREATE VIEW cost_ledger.run_tree WITH (security_barrier = true) AS
SELECT t.root_run_id,
       t.started_on, t.started_at, t.ended_at,
       (extract(epoch FROM t.ended_at - t.started_at) * 1000)::double precision AS duration_ms,
       t.runs, t.depth,
       t.calls, t.turns, t.retries, t.fallbacks, t.failed_calls, t.unpriced_calls, t.tool_calls, t.accepted_calls, t.rejected_calls,
       t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
       t.cost, t.own_cost, t.adjustment_cost,
       -- Equal costs are equal texts, however many zeros their sums were made with.
       to_jsonb(ARRAY(SELECT trim_scale(c.cost)::text FROM unnest(t.level_cost) WITH ORDINALITY AS c (cost, level) ORDER BY c.level))::text AS cost_by_level,
       t.team, t.feature, t.customer, t.task_type, t.user_id, t.agent,
       t.session_id, t.environment, t.trace_url,
       s.currency,
       t.root_run_id AS row_key
FROM cost_ledger_internal.live_run_tree t
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.run_tree IS 'What did each task cost, with all its sub-agents? One row for each run that no other started, with all the runs below it, at this instant; calls without a run_id are not in it. Who may not see all calls sees the trees that his own calls make.';
COMMENT ON COLUMN cost_ledger.run_tree.root_run_id IS 'The run at the top. It has no calls where others name it as their parent and it made none; where parents go in a circle, it is the smallest run_id of that.';
COMMENT ON COLUMN cost_ledger.run_tree.started_on IS 'Day of the reporting zone on which it began: what reads some days reads no others.';
COMMENT ON COLUMN cost_ledger.run_tree.started_at IS 'called_at of the first call of the run at the top; where it has none, of the first below it.';
COMMENT ON COLUMN cost_ledger.run_tree.ended_at IS 'End of the last call of all: called_at plus duration_ms, where that is known; a duration counts for 30 days at most.';
COMMENT ON COLUMN cost_ledger.run_tree.duration_ms IS 'From started_at to ended_at, in milliseconds.';
COMMENT ON COLUMN cost_ledger.run_tree.runs IS 'Runs that have calls: the one at the top, and all below it.';
COMMENT ON COLUMN cost_ledger.run_tree.depth IS 'How many runs the deepest is below the one at the top: 0 for a run that is alone.';
COMMENT ON COLUMN cost_ledger.run_tree.calls IS 'Calls of all of them, every attempt counted; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.run_tree.turns IS 'Steps of their loops, as in run.';
COMMENT ON COLUMN cost_ledger.run_tree.retries IS 'Retries, as in run.';
COMMENT ON COLUMN cost_ledger.run_tree.fallbacks IS 'Calls with operation fallback.';
COMMENT ON COLUMN cost_ledger.run_tree.failed_calls IS 'Calls that have failed, as in run.';
COMMENT ON COLUMN cost_ledger.run_tree.unpriced_calls IS 'Calls without a full price: cost is at least what it says.';
COMMENT ON COLUMN cost_ledger.run_tree.tool_calls IS 'Tool calls the models asked for.';
COMMENT ON COLUMN cost_ledger.run_tree.accepted_calls IS 'Calls whose outcome was accepted.';
COMMENT ON COLUMN cost_ledger.run_tree.rejected_calls IS 'Calls whose outcome was not accepted.';
COMMENT ON COLUMN cost_ledger.run_tree.input_tokens IS 'All input tokens, cached ones included.';
COMMENT ON COLUMN cost_ledger.run_tree.cache_read_tokens IS 'Input tokens read from the prompt cache: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.run_tree.cache_write_tokens IS 'Input tokens written to the prompt cache, for 5 minutes or for 1 hour: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.run_tree.output_tokens IS 'All output tokens, reasoning included.';
COMMENT ON COLUMN cost_ledger.run_tree.cost IS 'Cost of the run at the top and of all below it in the ledger''s currency, exact, corrections included; NULL if no call has a price.';
COMMENT ON COLUMN cost_ledger.run_tree.own_cost IS 'The part of it for the calls of the run at the top; NULL where these have no price.';
COMMENT ON COLUMN cost_ledger.run_tree.adjustment_cost IS 'The part of it that corrections and re-ratings booked; NULL where there is none.';
COMMENT ON COLUMN cost_ledger.run_tree.cost_by_level IS 'The same cost by depth, a JSON array from depth 0, each as text without trailing zeros; null where nothing has a price. run_tree_level has it in rows.';
COMMENT ON COLUMN cost_ledger.run_tree.team IS 'Team that pays. This and the other attributes are those of the first call of all that states one.';
COMMENT ON COLUMN cost_ledger.run_tree.feature IS 'Product feature it served.';
COMMENT ON COLUMN cost_ledger.run_tree.customer IS 'Customer or tenant it served.';
COMMENT ON COLUMN cost_ledger.run_tree.task_type IS 'Workflow or kind of task.';
COMMENT ON COLUMN cost_ledger.run_tree.user_id IS 'End user it served.';
COMMENT ON COLUMN cost_ledger.run_tree.agent IS 'Agent: the one that made the first call.';
COMMENT ON COLUMN cost_ledger.run_tree.session_id IS 'Conversation or session.';
COMMENT ON COLUMN cost_ledger.run_tree.environment IS 'production, staging, ci, …';
COMMENT ON COLUMN cost_ledger.run_tree.trace_url IS 'Link to the trace of the run at the top; where it has none, to one of the others.';

CREATE VIEW cost_ledger.run_tree_level WITH (security_barrier = true) AS
SELECT t.root_run_id, (l.number - 1)::integer AS depth,
       l.runs, l.calls, l.cost,
       round(l.cost / nullif(t.cost, 0), 6) AS share,
       t.started_at, t.task_type,
       s.currency,
       jsonb_build_array(t.root_run_id, l.number - 1)::text AS row_key
FROM cost_ledger_internal.live_run_tree t
CROSS JOIN LATERAL unnest(t.level_runs, t.level_calls, t.level_cost) WITH ORDINALITY AS l (runs, calls, cost, number)
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.run_tree_level IS 'At which depth does the money of a task go? One row for each run that no other started and each depth below it.';
COMMENT ON COLUMN cost_ledger.run_tree_level.root_run_id IS 'The run at the top, as in run_tree.';
COMMENT ON COLUMN cost_ledger.run_tree_level.depth IS 'How many runs these are below it: 0 for itself.';
COMMENT ON COLUMN cost_ledger.run_tree_level.runs IS 'Runs of this depth that have calls.';
COMMENT ON COLUMN cost_ledger.run_tree_level.calls IS 'Their calls; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.run_tree_level.cost IS 'Their cost in the ledger''s currency, exact, corrections included; NULL where nothing has a price.';
COMMENT ON COLUMN cost_ledger.run_tree_level.share IS 'cost as a fraction of the cost of the whole run; NULL where that is 0 or unknown.';
COMMENT ON COLUMN cost_ledger.run_tree_level.started_at IS 'When the whole run began, as in run_tree.';
COMMENT ON COLUMN cost_ledger.run_tree_level.task_type IS 'Workflow or kind of task of the whole run, as in run_tree.';

CREATE VIEW cost_ledger.most_expensive_run WITH (security_barrier = true) AS
SELECT r.week,
       cost_ledger_internal.day_start(r.week, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start(r.week + 7, s.time_zone) AS ends_at,
       r.week + 7 <= now() AT TIME ZONE s.time_zone AS is_complete,
       r.rank,
       r.root_run_id AS run_id, r.trace_url, r.cost, r.own_cost, r.runs,
       r.started_at, r.duration_ms,
       r.calls, r.retries, r.fallbacks, r.failed_calls, r.unpriced_calls, r.tool_calls,
       r.team, r.feature, r.customer, r.task_type, r.user_id, r.agent, r.environment,
       s.currency,
       r.root_run_id AS row_key
FROM (
    SELECT u.*,
           (extract(epoch FROM u.ended_at - u.started_at) * 1000)::double precision AS duration_ms,
           cost_ledger_internal.week_of(u.started_on) AS week,
           row_number() OVER (PARTITION BY cost_ledger_internal.week_of(u.started_on) ORDER BY u.cost DESC, u.started_at, u.root_run_id) AS rank
    FROM cost_ledger_internal.live_dear_run_tree u
    WHERE u.cost IS NOT NULL) r
CROSS JOIN cost_ledger_internal.report_setting s
WHERE r.rank <= 10;

COMMENT ON VIEW cost_ledger.most_expensive_run IS 'Which ten runs cost most in each week, with all the runs that they started, and where are their traces? A run belongs to the week it started in, with all its cost; runs without any price are left out. The running week is in it. Runs each by itself: run, ORDER BY cost.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.week IS 'Monday of the ISO week, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.rank IS '1 for the most expensive run of the week, up to 10; at equal cost the earlier run comes first.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.run_id IS 'The run: one that no other started, as root_run_id of run_tree.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.trace_url IS 'Link to the trace.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.cost IS 'Cost of the run and of all below it in the ledger''s currency, exact, corrections included.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.own_cost IS 'The part of it for its own calls; NULL where these have no price.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.runs IS 'Runs that have calls: itself, and all below it.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.started_at IS 'called_at of its first call.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.duration_ms IS 'From its first call to the end of its last one, in milliseconds.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.calls IS 'Calls of the run and of all below it, every attempt counted.';
COMMENT ON COLUMN cost_ledger.most_expensive_run.retries IS 'Retries, as in run.';
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
       r.max_cost, r.cost,
       r.own_runs,
       trim_scale(r.own_cost / nullif(cost_ledger.num_values(r.own_run_cost), 0)) AS mean_own_cost,
       cost_ledger.p95(r.own_run_cost) AS p95_own_cost,
       r.max_own_cost, r.own_cost,
       r.runs + r.calls_without_run AS tasks,
       trim_scale((coalesce(r.cost, 0) + coalesce(r.cost_without_run, 0))
                  / nullif(coalesce(cost_ledger.num_values(r.run_cost), 0) + r.priced_without_run, 0)) AS mean_cost_per_task,
       cost_ledger.p95(cost_ledger.merge(r.run_cost, r.call_cost)) AS p95_cost_per_task,
       r.calls_without_run, r.cost_without_run,
       r.run_cost AS run_cost_summary,
       s.currency,
       jsonb_build_array(r.day)::text AS row_key
FROM (
    SELECT d.day,
           coalesce(sum(d.runs), 0)::bigint AS runs,
           sum(d.cost) AS cost, max(d.max_cost) AS max_cost,
           cost_ledger.merge(d.run_cost) AS run_cost,
           coalesce(sum(d.own_runs), 0)::bigint AS own_runs,
           sum(d.own_cost) AS own_cost, max(d.max_own_cost) AS max_own_cost,
           cost_ledger.merge(d.own_run_cost) AS own_run_cost,
           coalesce(sum(d.calls_without_run), 0)::bigint AS calls_without_run,
           coalesce(sum(d.priced_without_run), 0) AS priced_without_run,
           sum(d.cost_without_run) AS cost_without_run,
           cost_ledger.merge(d.call_cost) AS call_cost
    FROM (
        SELECT d.day, d.runs, d.cost, d.max_cost, d.run_cost, d.own_runs, d.own_cost, d.max_own_cost, d.own_run_cost,
               NULL::bigint AS calls_without_run, NULL::bigint AS priced_without_run, NULL::numeric AS cost_without_run, NULL::cost_ledger.summary AS call_cost
        FROM cost_ledger_internal.live_run_day d
        UNION ALL
        SELECT w.day, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, w.calls, w.priced_calls, w.cost, w.call_cost
        FROM cost_ledger_internal.live_without_run_day w) d
    GROUP BY d.day) r
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_per_run_by_day IS 'What does a run cost, with all the runs that it started, on average and at the expensive end? A run belongs to the day it started on, with all its cost. cost and cost_without_run together, over all days, are the cost of the ledger.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.day IS 'Day of the reporting zone. Days without any call are left out.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.runs IS 'Whole runs that started on the day, each with all below it, as in run_tree; those without any price included.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.mean_cost IS 'Mean cost of those runs that have one.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.p95_cost IS '95th percentile of their costs: 95 of 100 runs cost at most this. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.max_cost IS 'Cost of the most expensive run.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.cost IS 'Cost of the runs, exact; NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.own_runs IS 'Runs that started on the day, each by itself, as in run: those that others started are counted too.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.mean_own_cost IS 'Mean cost of the own calls of those that have one.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.p95_own_cost IS '95th percentile of these costs. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.max_own_cost IS 'The highest of these costs.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.own_cost IS 'Cost of the own calls of all of them, whenever these were, exact; NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.tasks IS 'runs, and calls_without_run, each a task of its own.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.mean_cost_per_task IS 'Mean cost of those tasks that have one.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.p95_cost_per_task IS '95th percentile of their costs, of calls as first priced. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.calls_without_run IS 'The day''s calls that have no run_id; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.cost_without_run IS 'Cost of the day''s calls that have no run_id, exact; NULL if there are none. In cost it is not.';
COMMENT ON COLUMN cost_ledger.cost_per_run_by_day.run_cost_summary IS 'Distribution of the costs of the whole runs, for the quantiles of several days together: p95(merge(run_cost_summary)). As JSON it is its figures.';
