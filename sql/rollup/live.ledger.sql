-- The rollups as they are this moment: what refresh() has brought in, and the
-- calls it has not seen yet, in one snapshot.  So what reports say of these
-- views is what they would say of the ledger itself, at every instant.
--
-- What the current role may not see is left out here (sql/grant/visible.sql).
-- The cube has a team and a customer, so it is cut down as calls are.  Sums of
-- runs, sessions and users are of all calls there were: who may not see those
-- gets the same answers from his calls themselves, and totals from the cube.
-- For all others those branches are pruned before they run.
--
-- Both sides of a UNION ALL have the same types, to the letter, and it stands in a
-- query of its own where there is a WITH: only then does the planner leave out
-- what a query does not ask for.  The last column says on
-- which node of several a row is; here there is one.

-- What each row of call adds to the rollups: every measure, once, in SQL.
CREATE VIEW cost_ledger_internal.call_measure AS
SELECT c.called_at, c.call_id, c.recorded_xid,
       -- A row in the place of another is as early as that one.
       coalesce(c.restates, c.call_id) AS first_id,
       c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, c.service_class, c.operation,
       c.status, c.served_from,
       c.agent, c.step, c.tool, c.api_key, c.cohort, c.user_id, c.session_id, c.run_id, c.parent_run_id, c.trace_url,
       c.corrects IS NULL AS is_call,
       -- 30 days at most and none below 0: one absurd duration must not end the
       -- report with a timestamp out of range.
       c.called_at + greatest(least(coalesce(c.duration_ms, 0), 2592000000), 0) * interval '1 millisecond' AS ended_at,
       -- What enters summaries: the cost as first priced.
       CASE WHEN c.corrects IS NULL OR c.usage_status = 'repriced' THEN c.cost END AS call_cost,
       (c.corrects IS NULL)::integer::bigint AS calls,
       (c.cost IS NOT NULL AND (c.corrects IS NULL OR coalesce(c.usage_status = 'repriced', false)))::integer::bigint AS priced_calls,
       cost_ledger_internal.unpriced_calls(c.corrects, c.pricing, c.usage_status) AS unpriced_calls,
       (c.corrects IS NOT NULL)::integer::bigint AS corrections,
       (c.corrects IS NULL AND coalesce(lower(c.operation) = 'retry', false))::integer + coalesce(c.retry_count, 0)::bigint AS retries,
       (c.corrects IS NULL AND coalesce(lower(c.operation) = 'fallback', false))::integer::bigint AS fallbacks,
       (c.corrects IS NULL AND cost_ledger_internal.is_turn(c.operation))::integer::bigint AS turns,
       CASE WHEN c.corrects IS NULL AND cost_ledger_internal.is_turn(c.operation) THEN c.input_tokens END AS turn_input_tokens,
       (c.corrects IS NULL AND cost_ledger_internal.is_failure(c.status))::integer::bigint AS failed_calls,
       coalesce(c.tool_calls_count, 0)::bigint AS tool_calls,
       coalesce(c.accepted, false)::integer::bigint AS accepted_calls,
       (NOT coalesce(c.accepted, true))::integer::bigint AS rejected_calls,
       (c.score IS NOT NULL)::integer::bigint AS scored_calls,
       coalesce(c.input_tokens, 0)::numeric AS input_tokens,
       coalesce(c.cache_read_tokens, 0)::numeric AS cache_read_tokens,
       coalesce(c.cache_write_tokens, 0)::numeric AS cache_write_tokens,
       coalesce(c.cache_write_1h_tokens, 0)::numeric AS cache_write_1h_tokens,
       coalesce(c.output_tokens, 0)::numeric AS output_tokens,
       coalesce(c.reasoning_tokens, 0)::numeric AS reasoning_tokens,
       c.cost, c.cache_read_cost, c.cache_write_cost, c.output_cost, c.reasoning_cost, c.other_cost,
       CASE WHEN c.corrects IS NOT NULL THEN c.cost END AS adjustment_cost,
       c.reported_cost,
       CASE WHEN c.run_id IS NULL THEN c.cost END AS cost_without_run,
       c.avoided_cost, c.prompt_cache_saving, c.score
FROM cost_ledger.call c
WHERE c.reverses IS NULL;

COMMENT ON VIEW cost_ledger_internal.call_measure IS 'What each row of call adds to the rollups as long as it is not taken back (reversal); without the rows that take back. Columns as in call, rollup_total_day and rollup_run.';

CREATE VIEW cost_ledger_internal.consumed_measure AS
SELECT m.*
FROM cost_ledger_internal.call_measure m
WHERE cost_ledger_internal.is_consumed(m.recorded_xid, m.call_id, (SELECT s.snapshot FROM cost_ledger_internal.rollup_state s),
                                       (SELECT s.base_call_id FROM cost_ledger_internal.rollup_state s),
                                       (SELECT s.partial_xid FROM cost_ledger_internal.rollup_state s),
                                       (SELECT s.partial_call_id FROM cost_ledger_internal.rollup_state s))
  AND NOT EXISTS (SELECT FROM cost_ledger_internal.reversal v WHERE v.called_at = m.called_at AND v.call_id = m.call_id)
  AND m.call_id <> ALL (ARRAY(SELECT q.call_id FROM cost_ledger_internal.quarantine q));

COMMENT ON VIEW cost_ledger_internal.consumed_measure IS 'What the rows of call have added to the rollups that are in them, as far as call still has them. Columns as in call_measure.';

-- The same of the calls that are not in the rollups.
DO $view$
BEGIN
    EXECUTE 'CREATE VIEW cost_ledger_internal.unconsumed_measure AS '
            || replace(pg_get_viewdef('cost_ledger_internal.call_measure'), 'FROM cost_ledger.call c', 'FROM cost_ledger_internal.unconsumed_calls() c');
END
$view$;

COMMENT ON VIEW cost_ledger_internal.unconsumed_measure IS 'What rows of call add to the rollups that are not in them yet: those of unconsumed_call. Columns as in call_measure.';

CREATE VIEW cost_ledger_internal.live_call AS
SELECT m.*
FROM cost_ledger_internal.unconsumed_measure m
WHERE (SELECT cost_ledger_internal.sees_all())
   OR m.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR m.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]);

COMMENT ON VIEW cost_ledger_internal.live_call IS 'What the calls that are not in the rollups of labels yet will add to them, as far as the current role may see them. Columns as in call_measure.';

CREATE VIEW cost_ledger_internal.live_call_by_id AS
SELECT m.*
FROM cost_ledger_internal.unconsumed_measure m
WHERE cost_ledger_internal.sees_all();

COMMENT ON VIEW cost_ledger_internal.live_call_by_id IS 'What the calls that are not in the rollups of runs, sessions and users yet will add to them; none for a role that may not see all, which has them in seen_rollup(). Columns as in call_measure.';

CREATE VIEW cost_ledger_internal.live_month AS
SELECT r.month,
       k.team, k.feature, k.customer, k.flow, k.task_type, k.environment, k.provider, k.model, k.service_class, k.operation,
       k.status, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, coalesce(r.tool_calls, 0) AS tool_calls, coalesce(r.accepted_calls, 0) AS accepted_calls,
       coalesce(r.rejected_calls, 0) AS rejected_calls, coalesce(r.scored_calls, 0) AS scored_calls, coalesce(r.input_tokens, 0) AS input_tokens,
       coalesce(r.cache_read_tokens, 0) AS cache_read_tokens, coalesce(r.cache_write_tokens, 0) AS cache_write_tokens,
       coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens, coalesce(r.output_tokens, 0) AS output_tokens,
       coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost, r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost,
       r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text AS node
FROM cost_ledger_internal.rollup_month r
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE (SELECT cost_ledger_internal.sees_all())
   OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])
UNION ALL
SELECT date_trunc('month', m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date,
       m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation,
       m.status, m.served_from,
       m.calls, m.priced_calls, m.unpriced_calls, m.corrections, m.retries, m.tool_calls, m.accepted_calls, m.rejected_calls,
       m.scored_calls, m.input_tokens, m.cache_read_tokens, m.cache_write_tokens, m.cache_write_1h_tokens, m.output_tokens,
       m.reasoning_tokens, m.cost, m.cache_read_cost, m.cache_write_cost, m.output_cost, m.reasoning_cost, m.other_cost, m.adjustment_cost,
       m.reported_cost, m.cost_without_run, m.avoided_cost, m.prompt_cache_saving, m.score,
       'local'::text
FROM cost_ledger_internal.live_call m;

COMMENT ON VIEW cost_ledger_internal.live_month IS 'What calls add up to by month of the reporting zone and labels, those included that are not in rollup_month yet. A month and its labels may be there more than once: add up what you need. Columns as in rollup_month and rollup_key.';

CREATE VIEW cost_ledger_internal.live_day AS
SELECT r.day,
       k.team, k.feature, k.customer, k.flow, k.task_type, k.environment, k.provider, k.model, k.service_class, k.operation,
       k.status, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, coalesce(r.tool_calls, 0) AS tool_calls, coalesce(r.accepted_calls, 0) AS accepted_calls,
       coalesce(r.rejected_calls, 0) AS rejected_calls, coalesce(r.scored_calls, 0) AS scored_calls, coalesce(r.input_tokens, 0) AS input_tokens,
       coalesce(r.cache_read_tokens, 0) AS cache_read_tokens, coalesce(r.cache_write_tokens, 0) AS cache_write_tokens,
       coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens, coalesce(r.output_tokens, 0) AS output_tokens,
       coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost, r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost,
       r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text AS node
FROM cost_ledger_internal.rollup_day r
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE (SELECT cost_ledger_internal.sees_all())
   OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])
UNION ALL
SELECT (m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date,
       m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation,
       m.status, m.served_from,
       m.calls, m.priced_calls, m.unpriced_calls, m.corrections, m.retries, m.tool_calls, m.accepted_calls, m.rejected_calls,
       m.scored_calls, m.input_tokens, m.cache_read_tokens, m.cache_write_tokens, m.cache_write_1h_tokens, m.output_tokens,
       m.reasoning_tokens, m.cost, m.cache_read_cost, m.cache_write_cost, m.output_cost, m.reasoning_cost, m.other_cost, m.adjustment_cost,
       m.reported_cost, m.cost_without_run, m.avoided_cost, m.prompt_cache_saving, m.score,
       'local'::text
FROM cost_ledger_internal.live_call m
WHERE (m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date >= (SELECT s.days_from FROM cost_ledger_internal.rollup_state s);

COMMENT ON VIEW cost_ledger_internal.live_day IS 'What calls add up to by day of the reporting zone and labels, those included that are not in rollup_day yet. A day and its labels may be there more than once: add up what you need. Days are kept for ledger.retain_days; those of totals for good. Columns as in rollup_day and rollup_key.';

CREATE VIEW cost_ledger_internal.live_hour AS
SELECT r.hour,
       k.team, k.feature, k.customer, k.flow, k.task_type, k.environment, k.provider, k.model, k.service_class, k.operation,
       k.status, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, coalesce(r.tool_calls, 0) AS tool_calls, coalesce(r.accepted_calls, 0) AS accepted_calls,
       coalesce(r.rejected_calls, 0) AS rejected_calls, coalesce(r.scored_calls, 0) AS scored_calls, coalesce(r.input_tokens, 0) AS input_tokens,
       coalesce(r.cache_read_tokens, 0) AS cache_read_tokens, coalesce(r.cache_write_tokens, 0) AS cache_write_tokens,
       coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens, coalesce(r.output_tokens, 0) AS output_tokens,
       coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost, r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost,
       r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text AS node
FROM cost_ledger_internal.rollup_hour r
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE (SELECT cost_ledger_internal.sees_all())
   OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])
UNION ALL
SELECT cost_ledger_internal.hour_start(m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)),
       m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation,
       m.status, m.served_from,
       m.calls, m.priced_calls, m.unpriced_calls, m.corrections, m.retries, m.tool_calls, m.accepted_calls, m.rejected_calls,
       m.scored_calls, m.input_tokens, m.cache_read_tokens, m.cache_write_tokens, m.cache_write_1h_tokens, m.output_tokens,
       m.reasoning_tokens, m.cost, m.cache_read_cost, m.cache_write_cost, m.output_cost, m.reasoning_cost, m.other_cost, m.adjustment_cost,
       m.reported_cost, m.cost_without_run, m.avoided_cost, m.prompt_cache_saving, m.score,
       'local'::text
FROM cost_ledger_internal.live_call m
WHERE m.called_at >= (SELECT s.hours_from FROM cost_ledger_internal.rollup_state s);

COMMENT ON VIEW cost_ledger_internal.live_hour IS 'What calls add up to by hour of the reporting zone and labels, those included that are not in rollup_hour yet. An hour and its labels may be there more than once: add up what you need. Hours are kept for ledger.retain_hours. Columns as in rollup_hour and rollup_key.';

-- A label of each combination, and of each call: the same rows once for each of
-- them, so ask for one.
CREATE VIEW cost_ledger_internal.cube_label AS
SELECT k.key_id, k.team, k.customer, k.status, l.label,
       CASE l.label
           WHEN 'team' THEN k.team
           WHEN 'feature' THEN k.feature
           WHEN 'customer' THEN k.customer
           WHEN 'flow' THEN k.flow
           WHEN 'task_type' THEN k.task_type
           WHEN 'environment' THEN k.environment
           WHEN 'provider' THEN k.provider
           WHEN 'model' THEN k.model
           WHEN 'service_class' THEN k.service_class
           WHEN 'operation' THEN k.operation
           WHEN 'status' THEN k.status
           WHEN 'served_from' THEN k.served_from END AS value,
       CASE WHEN l.label = 'model' THEN k.provider END AS provider,
       CASE WHEN l.label = 'model' THEN k.service_class END AS service_class,
       CASE WHEN l.label = 'feature' THEN k.served_from END AS served_from
FROM (VALUES ('all'::text), ('team'::text), ('feature'::text), ('customer'::text), ('flow'::text), ('task_type'::text), ('environment'::text), ('provider'::text), ('model'::text), ('service_class'::text), ('operation'::text), ('status'::text), ('served_from'::text)) AS l (label)
CROSS JOIN cost_ledger_internal.rollup_key k;

COMMENT ON VIEW cost_ledger_internal.cube_label IS 'The labels of the cube''s combinations, each by itself. Columns as in rollup_key and rollup_label.';

CREATE VIEW cost_ledger_internal.live_call_label AS
SELECT m.called_at, l.label,
       CASE l.label
           WHEN 'team' THEN m.team
           WHEN 'feature' THEN m.feature
           WHEN 'customer' THEN m.customer
           WHEN 'flow' THEN m.flow
           WHEN 'task_type' THEN m.task_type
           WHEN 'environment' THEN m.environment
           WHEN 'provider' THEN m.provider
           WHEN 'model' THEN m.model
           WHEN 'service_class' THEN m.service_class
           WHEN 'operation' THEN m.operation
           WHEN 'status' THEN m.status
           WHEN 'served_from' THEN m.served_from
           WHEN 'agent' THEN m.agent
           WHEN 'step' THEN m.step
           WHEN 'tool' THEN m.tool
           WHEN 'api_key' THEN m.api_key
           WHEN 'cohort' THEN m.cohort END AS value,
       CASE WHEN l.label = 'model' THEN m.provider END AS provider,
       CASE WHEN l.label = 'model' THEN m.service_class END AS service_class,
       CASE WHEN l.label = 'feature' THEN m.served_from END AS served_from,
       m.calls, m.priced_calls, m.unpriced_calls, m.corrections, m.retries, m.failed_calls, m.tool_calls, m.accepted_calls, m.rejected_calls, m.scored_calls,
       m.input_tokens, m.cache_read_tokens, m.cache_write_tokens, m.cache_write_1h_tokens, m.output_tokens, m.reasoning_tokens, m.cost, m.cache_read_cost,
       m.cache_write_cost, m.output_cost, m.reasoning_cost, m.other_cost, m.adjustment_cost, m.reported_cost, m.cost_without_run, m.avoided_cost, m.prompt_cache_saving, m.score
FROM (VALUES ('all'::text), ('team'::text), ('feature'::text), ('customer'::text), ('flow'::text), ('task_type'::text), ('environment'::text), ('provider'::text), ('model'::text), ('service_class'::text), ('operation'::text), ('status'::text), ('served_from'::text), ('agent'::text), ('step'::text), ('tool'::text), ('api_key'::text), ('cohort'::text)) AS l (label)
CROSS JOIN cost_ledger_internal.live_call m;

COMMENT ON VIEW cost_ledger_internal.live_call_label IS 'What the calls that are not in the rollups yet will add to totals, for each label by itself. Columns as in call_measure and rollup_label.';

CREATE VIEW cost_ledger_internal.live_total_month AS
SELECT r.month, k.label, k.value, k.provider, k.service_class, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, coalesce(r.failed_calls, 0) AS failed_calls, coalesce(r.tool_calls, 0) AS tool_calls,
       coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls, coalesce(r.scored_calls, 0) AS scored_calls,
       coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.cache_read_tokens, 0) AS cache_read_tokens,
       coalesce(r.cache_write_tokens, 0) AS cache_write_tokens, coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
       coalesce(r.output_tokens, 0) AS output_tokens, coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost,
       r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost, r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text AS node
FROM cost_ledger_internal.rollup_total_month r
JOIN cost_ledger_internal.rollup_label k ON k.label_id = r.label_id
WHERE cost_ledger_internal.sees_all()
  AND k.label NOT LIKE '% of payer'
UNION ALL
SELECT r.month, k.label, k.value, k.provider, k.service_class, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, CASE WHEN cost_ledger_internal.is_failure(k.status) THEN r.calls ELSE 0 END,
       coalesce(r.tool_calls, 0) AS tool_calls, coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls,
       coalesce(r.scored_calls, 0) AS scored_calls, coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.cache_read_tokens, 0) AS cache_read_tokens,
       coalesce(r.cache_write_tokens, 0) AS cache_write_tokens, coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
       coalesce(r.output_tokens, 0) AS output_tokens, coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost,
       r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost, r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text
FROM cost_ledger_internal.rollup_month r
JOIN cost_ledger_internal.cube_label k ON k.key_id = r.key_id
-- The time too: of that the planner can see that it is nothing for who sees all.
WHERE NOT cost_ledger_internal.sees_all() AND r.month >= cost_ledger_internal.live_call_from()::date
  AND (k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
       OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]))
UNION ALL
SELECT r.month, substr(k.label, 1, length(k.label) - length(' of payer')), k.value, NULL, NULL, NULL,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, coalesce(r.failed_calls, 0) AS failed_calls, coalesce(r.tool_calls, 0) AS tool_calls,
       coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls, coalesce(r.scored_calls, 0) AS scored_calls,
       coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.cache_read_tokens, 0) AS cache_read_tokens,
       coalesce(r.cache_write_tokens, 0) AS cache_write_tokens, coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
       coalesce(r.output_tokens, 0) AS output_tokens, coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost,
       r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost, r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text
FROM cost_ledger_internal.rollup_total_month r
JOIN cost_ledger_internal.rollup_label k ON k.label_id = r.label_id
WHERE NOT cost_ledger_internal.sees_all() AND r.month >= cost_ledger_internal.live_call_from()::date
  AND k.label LIKE '% of payer'
  AND (k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
       OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]))
UNION ALL
SELECT date_trunc('month', m.called_at AT TIME ZONE (SELECT g.time_zone FROM cost_ledger.ledger g))::date, m.label, m.value, m.provider, m.service_class, m.served_from,
       m.calls, m.priced_calls, m.unpriced_calls, m.corrections, m.retries, m.failed_calls, m.tool_calls, m.accepted_calls, m.rejected_calls, m.scored_calls,
       m.input_tokens, m.cache_read_tokens, m.cache_write_tokens, m.cache_write_1h_tokens, m.output_tokens, m.reasoning_tokens, m.cost, m.cache_read_cost,
       m.cache_write_cost, m.output_cost, m.reasoning_cost, m.other_cost, m.adjustment_cost, m.reported_cost, m.cost_without_run, m.avoided_cost, m.prompt_cache_saving, m.score,
       'local'::text
FROM cost_ledger_internal.live_call_label m;

COMMENT ON VIEW cost_ledger_internal.live_total_month IS 'What calls add up to by month of the reporting zone and each label by itself, those included that are not in rollup_total_month yet. Ask for one label; all: of all calls. A month and its value may be there more than once: add up what you need. Columns as in rollup_total_month and rollup_label.';

CREATE VIEW cost_ledger_internal.live_total_week AS
SELECT r.week, k.label, k.value, k.provider, k.service_class, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, coalesce(r.failed_calls, 0) AS failed_calls, coalesce(r.tool_calls, 0) AS tool_calls,
       coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls, coalesce(r.scored_calls, 0) AS scored_calls,
       coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.cache_read_tokens, 0) AS cache_read_tokens,
       coalesce(r.cache_write_tokens, 0) AS cache_write_tokens, coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
       coalesce(r.output_tokens, 0) AS output_tokens, coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost,
       r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost, r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text AS node
FROM cost_ledger_internal.rollup_total_week r
JOIN cost_ledger_internal.rollup_label k ON k.label_id = r.label_id
WHERE cost_ledger_internal.sees_all()
  AND k.label NOT LIKE '% of payer'
UNION ALL
SELECT cost_ledger_internal.week_of(r.day), k.label, k.value, k.provider, k.service_class, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, CASE WHEN cost_ledger_internal.is_failure(k.status) THEN r.calls ELSE 0 END,
       coalesce(r.tool_calls, 0) AS tool_calls, coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls,
       coalesce(r.scored_calls, 0) AS scored_calls, coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.cache_read_tokens, 0) AS cache_read_tokens,
       coalesce(r.cache_write_tokens, 0) AS cache_write_tokens, coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
       coalesce(r.output_tokens, 0) AS output_tokens, coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost,
       r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost, r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text
FROM cost_ledger_internal.rollup_day r
JOIN cost_ledger_internal.cube_label k ON k.key_id = r.key_id
-- The time too: of that the planner can see that it is nothing for who sees all.
WHERE NOT cost_ledger_internal.sees_all() AND r.day >= cost_ledger_internal.live_call_from()::date
  AND (k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
       OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]))
  AND r.day >= cost_ledger_internal.week_of((SELECT s.days_from FROM cost_ledger_internal.rollup_state s) + 6)
UNION ALL
SELECT cost_ledger_internal.week_of((m.called_at AT TIME ZONE (SELECT g.time_zone FROM cost_ledger.ledger g))::date), m.label, m.value, m.provider, m.service_class, m.served_from,
       m.calls, m.priced_calls, m.unpriced_calls, m.corrections, m.retries, m.failed_calls, m.tool_calls, m.accepted_calls, m.rejected_calls, m.scored_calls,
       m.input_tokens, m.cache_read_tokens, m.cache_write_tokens, m.cache_write_1h_tokens, m.output_tokens, m.reasoning_tokens, m.cost, m.cache_read_cost,
       m.cache_write_cost, m.output_cost, m.reasoning_cost, m.other_cost, m.adjustment_cost, m.reported_cost, m.cost_without_run, m.avoided_cost, m.prompt_cache_saving, m.score,
       'local'::text
FROM cost_ledger_internal.live_call_label m
WHERE (SELECT cost_ledger_internal.sees_all())
   OR ((m.called_at AT TIME ZONE (SELECT g.time_zone FROM cost_ledger.ledger g))::date
           >= cost_ledger_internal.week_of((SELECT s.days_from FROM cost_ledger_internal.rollup_state s) + 6)
       AND m.label <> ALL ('{agent,step,tool,api_key,cohort}'));

COMMENT ON VIEW cost_ledger_internal.live_total_week IS 'What calls add up to by week of the reporting zone and each label by itself, those included that are not in rollup_total_week yet. Ask for one label; all: of all calls. A week and its value may be there more than once: add up what you need. Who may not see all calls sees whole weeks of what ledger.retain_days keeps, and no agent, step, tool, api_key and cohort. Columns as in rollup_total_week and rollup_label.';

CREATE VIEW cost_ledger_internal.live_total_day AS
SELECT r.day, k.label, k.value, k.provider, k.service_class, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, coalesce(r.failed_calls, 0) AS failed_calls, coalesce(r.tool_calls, 0) AS tool_calls,
       coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls, coalesce(r.scored_calls, 0) AS scored_calls,
       coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.cache_read_tokens, 0) AS cache_read_tokens,
       coalesce(r.cache_write_tokens, 0) AS cache_write_tokens, coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
       coalesce(r.output_tokens, 0) AS output_tokens, coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost,
       r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost, r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text AS node
FROM cost_ledger_internal.rollup_total_day r
JOIN cost_ledger_internal.rollup_label k ON k.label_id = r.label_id
WHERE cost_ledger_internal.sees_all()
  AND k.label NOT LIKE '% of payer'
UNION ALL
SELECT r.day, k.label, k.value, k.provider, k.service_class, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.corrections, 0) AS corrections,
       coalesce(r.retries, 0) AS retries, CASE WHEN cost_ledger_internal.is_failure(k.status) THEN r.calls ELSE 0 END,
       coalesce(r.tool_calls, 0) AS tool_calls, coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls,
       coalesce(r.scored_calls, 0) AS scored_calls, coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.cache_read_tokens, 0) AS cache_read_tokens,
       coalesce(r.cache_write_tokens, 0) AS cache_write_tokens, coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
       coalesce(r.output_tokens, 0) AS output_tokens, coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost,
       r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost, r.reported_cost, r.cost_without_run, r.avoided_cost, r.prompt_cache_saving, r.score,
       'local'::text
FROM cost_ledger_internal.rollup_day r
JOIN cost_ledger_internal.cube_label k ON k.key_id = r.key_id
-- The time too: of that the planner can see that it is nothing for who sees all.
WHERE NOT cost_ledger_internal.sees_all() AND r.day >= cost_ledger_internal.live_call_from()::date
  AND (k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
       OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]))
UNION ALL
SELECT (m.called_at AT TIME ZONE (SELECT g.time_zone FROM cost_ledger.ledger g))::date, m.label, m.value, m.provider, m.service_class, m.served_from,
       m.calls, m.priced_calls, m.unpriced_calls, m.corrections, m.retries, m.failed_calls, m.tool_calls, m.accepted_calls, m.rejected_calls, m.scored_calls,
       m.input_tokens, m.cache_read_tokens, m.cache_write_tokens, m.cache_write_1h_tokens, m.output_tokens, m.reasoning_tokens, m.cost, m.cache_read_cost,
       m.cache_write_cost, m.output_cost, m.reasoning_cost, m.other_cost, m.adjustment_cost, m.reported_cost, m.cost_without_run, m.avoided_cost, m.prompt_cache_saving, m.score,
       'local'::text
FROM cost_ledger_internal.live_call_label m
WHERE (SELECT cost_ledger_internal.sees_all())
   OR ((m.called_at AT TIME ZONE (SELECT g.time_zone FROM cost_ledger.ledger g))::date >= (SELECT s.days_from FROM cost_ledger_internal.rollup_state s)
       AND m.label <> ALL ('{agent,step,tool,api_key,cohort}'));

COMMENT ON VIEW cost_ledger_internal.live_total_day IS 'What calls add up to by day of the reporting zone and each label by itself, those included that are not in rollup_total_day yet. Ask for one label; all: of all calls. A day and its value may be there more than once: add up what you need. Who may not see all calls sees days of what ledger.retain_days keeps, and no agent, step, tool, api_key and cohort. Columns as in rollup_total_day and rollup_label.';

CREATE VIEW cost_ledger_internal.live_minute AS
SELECT r.minute,
       k.team, k.feature, k.customer, k.flow, k.task_type, k.environment, k.provider, k.model, k.service_class, k.operation,
       k.status, k.served_from,
       r.calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.tool_calls, 0) AS tool_calls,
       coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.output_tokens, 0) AS output_tokens, r.cost,
       'local'::text AS node
FROM cost_ledger_internal.rollup_minute r
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE (SELECT cost_ledger_internal.sees_all())
   OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])
UNION ALL
SELECT date_trunc('minute', m.called_at),
       m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation,
       m.status, m.served_from,
       m.calls, m.unpriced_calls, m.tool_calls, m.input_tokens, m.output_tokens, m.cost,
       'local'::text
FROM cost_ledger_internal.live_call m
WHERE m.called_at >= (SELECT s.minutes_from FROM cost_ledger_internal.rollup_state s);

COMMENT ON VIEW cost_ledger_internal.live_minute IS 'What calls of the last two days add up to by minute and labels, those included that are not in rollup_minute yet. A minute and its labels may be there more than once: add up what you need. Columns as in rollup_minute and rollup_key.';

CREATE VIEW cost_ledger_internal.live_user_day AS
SELECT r.day, r.user_id, r.calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls,
       coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.output_tokens, 0) AS output_tokens, r.cost,
       'local'::text AS node
FROM cost_ledger_internal.rollup_user_day r
WHERE cost_ledger_internal.sees_all()
UNION ALL
SELECT (m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date,
       m.user_id COLLATE "C", m.calls, m.unpriced_calls, m.input_tokens, m.output_tokens, m.cost,
       'local'::text
FROM cost_ledger_internal.live_call_by_id m
UNION ALL
SELECT s.day, s.user_id, coalesce(s.calls, 0), coalesce(s.unpriced_calls, 0), coalesce(s.input_tokens, 0), coalesce(s.output_tokens, 0), s.cost,
       'local'::text
FROM cost_ledger_internal.seen_rollup('user_day', cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers())
    AS s (day date, user_id text COLLATE "C", calls bigint, unpriced_calls bigint, input_tokens numeric, output_tokens numeric, cost numeric)
WHERE NOT cost_ledger_internal.sees_all();

COMMENT ON VIEW cost_ledger_internal.live_user_day IS 'What calls add up to by day of the reporting zone and user, those included that are not in rollup_user_day yet. A day and its user may be there more than once: add up what you need. Columns as in rollup_user_day.';

CREATE VIEW cost_ledger_internal.live_user_month AS
SELECT r.month, r.user_id, r.calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls,
       coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.output_tokens, 0) AS output_tokens, r.cost,
       'local'::text AS node
FROM cost_ledger_internal.rollup_user_month r
WHERE cost_ledger_internal.sees_all()
UNION ALL
SELECT date_trunc('month', m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date,
       m.user_id COLLATE "C", m.calls, m.unpriced_calls, m.input_tokens, m.output_tokens, m.cost,
       'local'::text
FROM cost_ledger_internal.live_call_by_id m
UNION ALL
SELECT s.month, s.user_id, coalesce(s.calls, 0), coalesce(s.unpriced_calls, 0), coalesce(s.input_tokens, 0), coalesce(s.output_tokens, 0), s.cost,
       'local'::text
FROM cost_ledger_internal.seen_rollup('user_month', cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers())
    AS s (month date, user_id text COLLATE "C", calls bigint, unpriced_calls bigint, input_tokens numeric, output_tokens numeric, cost numeric)
WHERE NOT cost_ledger_internal.sees_all();

COMMENT ON VIEW cost_ledger_internal.live_user_month IS 'What calls add up to by month of the reporting zone and user, those included that are not in rollup_user_month yet. A month and its user may be there more than once: add up what you need. Columns as in rollup_user_month.';

CREATE VIEW cost_ledger_internal.live_user_feature_month AS
SELECT r.month, r.user_id, r.feature, r.cohort, r.calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls,
       coalesce(r.input_tokens, 0) AS input_tokens, coalesce(r.output_tokens, 0) AS output_tokens, r.cost,
       'local'::text AS node
FROM cost_ledger_internal.rollup_user_feature_month r
WHERE cost_ledger_internal.sees_all()
UNION ALL
SELECT date_trunc('month', m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date,
       m.user_id COLLATE "C", m.feature COLLATE "C", m.cohort COLLATE "C", m.calls, m.unpriced_calls, m.input_tokens, m.output_tokens, m.cost,
       'local'::text
FROM cost_ledger_internal.live_call_by_id m
UNION ALL
SELECT s.month, s.user_id, s.feature, s.cohort, coalesce(s.calls, 0), coalesce(s.unpriced_calls, 0), coalesce(s.input_tokens, 0), coalesce(s.output_tokens, 0), s.cost,
       'local'::text
FROM cost_ledger_internal.seen_rollup('user_feature_month', cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers())
    AS s (month date, user_id text COLLATE "C", feature text COLLATE "C", cohort text COLLATE "C", calls bigint, unpriced_calls bigint, input_tokens numeric, output_tokens numeric, cost numeric)
WHERE NOT cost_ledger_internal.sees_all();

COMMENT ON VIEW cost_ledger_internal.live_user_feature_month IS 'What calls add up to by month of the reporting zone, user, feature and cohort, those included that are not in rollup_user_feature_month yet. A month with its user, feature and cohort may be there more than once: add up what you need. Columns as in rollup_user_feature_month.';

CREATE VIEW cost_ledger_internal.changed_run AS
SELECT m.run_id COLLATE "C" AS run_id,
       min(m.parent_run_id COLLATE "C") AS parent_run_id,
       min(m.called_at) AS started_at, max(m.ended_at) AS ended_at,
       sum(m.calls)::bigint AS calls, sum(m.turns)::bigint AS turns, sum(m.failed_calls)::bigint AS failed_calls,
       sum(m.unpriced_calls)::bigint AS unpriced_calls, sum(m.retries)::bigint AS retries, sum(m.fallbacks)::bigint AS fallbacks,
       sum(m.tool_calls)::bigint AS tool_calls, sum(m.accepted_calls)::bigint AS accepted_calls, sum(m.rejected_calls)::bigint AS rejected_calls,
       sum(m.scored_calls)::bigint AS scored_calls, sum(m.input_tokens) AS input_tokens, sum(m.cache_read_tokens) AS cache_read_tokens,
       sum(m.cache_write_tokens) AS cache_write_tokens, sum(m.cache_write_1h_tokens) AS cache_write_1h_tokens, sum(m.output_tokens) AS output_tokens,
       sum(m.reasoning_tokens) AS reasoning_tokens, sum(m.cost) AS cost, sum(m.adjustment_cost) AS adjustment_cost, sum(m.avoided_cost) AS avoided_cost,
       sum(m.score) AS score,
       min(m.trace_url COLLATE "C") AS trace_url,
       cost_ledger_internal.first_call(m.called_at, m.first_id, m.team, m.feature, m.customer, m.task_type, m.environment, m.user_id, m.agent, m.session_id)
           FILTER (WHERE m.is_call) AS labels
FROM cost_ledger_internal.live_call_by_id m
WHERE m.run_id IS NOT NULL
GROUP BY 1
UNION ALL
SELECT s.run_id, s.parent_run_id, s.started_at, s.ended_at,
       coalesce(s.calls, 0), coalesce(s.turns, 0), coalesce(s.failed_calls, 0), coalesce(s.unpriced_calls, 0), coalesce(s.retries, 0),
       coalesce(s.fallbacks, 0), coalesce(s.tool_calls, 0), coalesce(s.accepted_calls, 0), coalesce(s.rejected_calls, 0), coalesce(s.scored_calls, 0),
       coalesce(s.input_tokens, 0), coalesce(s.cache_read_tokens, 0), coalesce(s.cache_write_tokens, 0), coalesce(s.cache_write_1h_tokens, 0), coalesce(s.output_tokens, 0), coalesce(s.reasoning_tokens, 0),
       s.cost, s.adjustment_cost, s.avoided_cost, s.score, s.trace_url, s.labels
FROM cost_ledger_internal.seen_rollup('run', cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers())
    AS s (run_id text COLLATE "C", parent_run_id text COLLATE "C", started_at timestamptz, ended_at timestamptz,
          calls bigint, turns bigint, failed_calls bigint, unpriced_calls bigint, retries bigint, fallbacks bigint, tool_calls bigint, accepted_calls bigint, rejected_calls bigint, scored_calls bigint,
          input_tokens numeric, cache_read_tokens numeric, cache_write_tokens numeric, cache_write_1h_tokens numeric, output_tokens numeric, reasoning_tokens numeric,
          cost numeric, adjustment_cost numeric, avoided_cost numeric, score numeric, trace_url text COLLATE "C", labels cost_ledger_internal.call_labels)
WHERE NOT cost_ledger_internal.sees_all();

COMMENT ON VIEW cost_ledger_internal.changed_run IS 'What the calls of a run add up to that are not in rollup_run yet; for who may not see all calls, those that he may see. Columns as in rollup_run.';

-- A run that refresh() has not touched since is read as it is stored, with its
-- indexes; the few others are put together here.  Who asks for those asks for the
-- new ones by is_new: comparing each with the names of all takes too long where
-- they are many, as after loading a history.
CREATE VIEW cost_ledger_internal.live_run AS
WITH tail AS MATERIALIZED (
    SELECT t.* FROM cost_ledger_internal.changed_run t
), moved AS MATERIALIZED (
    SELECT p.run_id COLLATE "C" AS run_id, p.root_run_id COLLATE "C" AS root_run_id, p.depth, p.is_circular
    FROM cost_ledger_internal.moved_runs() p
)
SELECT u.run_id, u.parent_run_id, u.started_at, (u.started_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS started_on, u.ended_at,
       u.calls, u.turns, u.failed_calls, u.unpriced_calls, u.retries, u.fallbacks, u.tool_calls, u.accepted_calls,
       u.rejected_calls, u.scored_calls, u.input_tokens, u.cache_read_tokens, u.cache_write_tokens, u.cache_write_1h_tokens,
       u.output_tokens, u.reasoning_tokens, u.cost, u.adjustment_cost, u.avoided_cost, u.score,
       (u.labels).team, (u.labels).feature, (u.labels).customer, (u.labels).task_type, (u.labels).environment,
       (u.labels).user_id, (u.labels).agent, (u.labels).session_id, u.labels, u.trace_url,
       u.root_run_id, u.depth, u.is_circular, u.is_new,
       'local'::text AS node
FROM (
    SELECT r.run_id, cost_ledger_internal.merge_labels(r.labels, t.labels) AS labels,
           least(r.parent_run_id, t.parent_run_id) AS parent_run_id,
           least(r.started_at, t.started_at) AS started_at,
           greatest(r.ended_at, t.ended_at) AS ended_at,
           r.calls + coalesce(t.calls, 0) AS calls, coalesce(r.turns, 0) + coalesce(t.turns, 0) AS turns,
           coalesce(r.failed_calls, 0) + coalesce(t.failed_calls, 0) AS failed_calls,
           coalesce(r.unpriced_calls, 0) + coalesce(t.unpriced_calls, 0) AS unpriced_calls, coalesce(r.retries, 0) + coalesce(t.retries, 0) AS retries,
           coalesce(r.fallbacks, 0) + coalesce(t.fallbacks, 0) AS fallbacks, coalesce(r.tool_calls, 0) + coalesce(t.tool_calls, 0) AS tool_calls,
           coalesce(r.accepted_calls, 0) + coalesce(t.accepted_calls, 0) AS accepted_calls,
           coalesce(r.rejected_calls, 0) + coalesce(t.rejected_calls, 0) AS rejected_calls,
           coalesce(r.scored_calls, 0) + coalesce(t.scored_calls, 0) AS scored_calls, coalesce(r.input_tokens, 0) + coalesce(t.input_tokens, 0) AS input_tokens,
           coalesce(r.cache_read_tokens, 0) + coalesce(t.cache_read_tokens, 0) AS cache_read_tokens,
           coalesce(r.cache_write_tokens, 0) + coalesce(t.cache_write_tokens, 0) AS cache_write_tokens,
           coalesce(r.cache_write_1h_tokens, 0) + coalesce(t.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
           coalesce(r.output_tokens, 0) + coalesce(t.output_tokens, 0) AS output_tokens,
           coalesce(r.reasoning_tokens, 0) + coalesce(t.reasoning_tokens, 0) AS reasoning_tokens, coalesce(r.cost + t.cost, r.cost, t.cost) AS cost,
           coalesce(r.adjustment_cost + t.adjustment_cost, r.adjustment_cost, t.adjustment_cost) AS adjustment_cost,
           coalesce(r.avoided_cost + t.avoided_cost, r.avoided_cost, t.avoided_cost) AS avoided_cost, coalesce(r.score + t.score, r.score, t.score) AS score,
           least(r.trace_url, t.trace_url) AS trace_url,
           -- A run that moves says so itself, or is below one that does.
           CASE WHEN p.run_id IS NULL THEN r.root_run_id ELSE p.root_run_id END AS root_run_id,
           CASE WHEN p.run_id IS NULL THEN r.depth ELSE p.depth END AS depth,
           CASE WHEN p.run_id IS NULL THEN r.is_circular ELSE p.is_circular END AS is_circular,
           false AS is_new
    FROM cost_ledger_internal.rollup_run r
    LEFT JOIN tail t ON t.run_id = r.run_id
    LEFT JOIN moved p ON p.run_id = r.run_id
    WHERE cost_ledger_internal.sees_all()
    UNION ALL
    SELECT t.run_id, t.labels,
           t.parent_run_id, t.started_at, t.ended_at,
           t.calls, t.turns, t.failed_calls, t.unpriced_calls, t.retries, t.fallbacks, t.tool_calls, t.accepted_calls,
           t.rejected_calls, t.scored_calls, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.cache_write_1h_tokens,
           t.output_tokens, t.reasoning_tokens, t.cost, t.adjustment_cost, t.avoided_cost, t.score,
           t.trace_url,
           CASE WHEN p.run_id IS NULL THEN s.root_run_id ELSE p.root_run_id END,
           coalesce(p.depth, s.depth, 0), coalesce(p.is_circular, s.is_circular, false),
           true
    FROM tail t
    LEFT JOIN moved p ON p.run_id = t.run_id
    -- Its place is among all runs, whoever asks.
    LEFT JOIN cost_ledger_internal.rollup_run s ON s.run_id = t.run_id
    WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.rollup_run r WHERE r.run_id = t.run_id AND cost_ledger_internal.sees_all())) u;

COMMENT ON VIEW cost_ledger_internal.live_run IS 'What the calls of a run add up to, those included that are not in rollup_run yet. Columns as in rollup_run.';

CREATE VIEW cost_ledger_internal.changed_session AS
SELECT m.session_id COLLATE "C" AS session_id,
       min(m.called_at) AS started_at, max(m.ended_at) AS ended_at,
       sum(m.calls)::bigint AS calls, sum(m.turns)::bigint AS turns, sum(m.failed_calls)::bigint AS failed_calls,
       sum(m.unpriced_calls)::bigint AS unpriced_calls, sum(m.retries)::bigint AS retries, sum(m.fallbacks)::bigint AS fallbacks,
       sum(m.tool_calls)::bigint AS tool_calls, sum(m.accepted_calls)::bigint AS accepted_calls, sum(m.rejected_calls)::bigint AS rejected_calls,
       sum(m.scored_calls)::bigint AS scored_calls, sum(m.input_tokens) AS input_tokens, sum(m.cache_read_tokens) AS cache_read_tokens,
       sum(m.cache_write_tokens) AS cache_write_tokens, sum(m.cache_write_1h_tokens) AS cache_write_1h_tokens, sum(m.output_tokens) AS output_tokens,
       sum(m.reasoning_tokens) AS reasoning_tokens, sum(m.turn_input_tokens) AS turn_input_tokens,
       min(m.turn_input_tokens) AS min_turn_input_tokens, max(m.turn_input_tokens) AS max_turn_input_tokens, sum(m.cost) AS cost, sum(m.adjustment_cost) AS adjustment_cost, sum(m.avoided_cost) AS avoided_cost,
       sum(m.score) AS score,
       min(m.trace_url COLLATE "C") AS trace_url,
       cost_ledger_internal.first_call(m.called_at, m.first_id, m.team, m.feature, m.customer, m.task_type, m.environment, m.user_id, m.agent, NULL)
           FILTER (WHERE m.is_call) AS labels
FROM cost_ledger_internal.live_call_by_id m
WHERE m.session_id IS NOT NULL
GROUP BY 1
UNION ALL
SELECT s.session_id, s.started_at, s.ended_at,
       coalesce(s.calls, 0), coalesce(s.turns, 0), coalesce(s.failed_calls, 0), coalesce(s.unpriced_calls, 0), coalesce(s.retries, 0),
       coalesce(s.fallbacks, 0), coalesce(s.tool_calls, 0), coalesce(s.accepted_calls, 0), coalesce(s.rejected_calls, 0), coalesce(s.scored_calls, 0),
       coalesce(s.input_tokens, 0), coalesce(s.cache_read_tokens, 0), coalesce(s.cache_write_tokens, 0), coalesce(s.cache_write_1h_tokens, 0), coalesce(s.output_tokens, 0), coalesce(s.reasoning_tokens, 0),
       s.turn_input_tokens, s.min_turn_input_tokens, s.max_turn_input_tokens, s.cost, s.adjustment_cost, s.avoided_cost, s.score, s.trace_url, s.labels
FROM cost_ledger_internal.seen_rollup('session', cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers())
    AS s (session_id text COLLATE "C", started_at timestamptz, ended_at timestamptz,
          calls bigint, turns bigint, failed_calls bigint, unpriced_calls bigint, retries bigint, fallbacks bigint, tool_calls bigint, accepted_calls bigint, rejected_calls bigint, scored_calls bigint,
          input_tokens numeric, cache_read_tokens numeric, cache_write_tokens numeric, cache_write_1h_tokens numeric, output_tokens numeric, reasoning_tokens numeric,
          turn_input_tokens numeric, min_turn_input_tokens bigint, max_turn_input_tokens bigint, cost numeric, adjustment_cost numeric, avoided_cost numeric, score numeric, trace_url text COLLATE "C", labels cost_ledger_internal.call_labels)
WHERE NOT cost_ledger_internal.sees_all();

COMMENT ON VIEW cost_ledger_internal.changed_session IS 'What the calls of a session add up to that are not in rollup_session yet; for who may not see all calls, those that he may see. Columns as in rollup_session.';

-- A session that refresh() has not touched since is read as it is stored, with its
-- indexes; the few others are put together here.
CREATE VIEW cost_ledger_internal.live_session AS
WITH tail AS MATERIALIZED (
    SELECT t.* FROM cost_ledger_internal.changed_session t
)
SELECT u.session_id, u.started_at, (u.started_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS started_on, u.ended_at,
       u.calls, u.turns, u.failed_calls, u.unpriced_calls, u.retries, u.fallbacks, u.tool_calls, u.accepted_calls,
       u.rejected_calls, u.scored_calls, u.input_tokens, u.cache_read_tokens, u.cache_write_tokens, u.cache_write_1h_tokens,
       u.output_tokens, u.reasoning_tokens, coalesce(u.turn_input_tokens, 0) AS turn_input_tokens, u.min_turn_input_tokens, u.max_turn_input_tokens, u.cost, u.adjustment_cost, u.avoided_cost, u.score,
       (u.labels).team, (u.labels).feature, (u.labels).customer, (u.labels).task_type, (u.labels).environment,
       (u.labels).user_id, (u.labels).agent, u.trace_url, u.is_new,
       'local'::text AS node
FROM (
    SELECT r.session_id, cost_ledger_internal.merge_labels(r.labels, t.labels) AS labels,
           least(r.started_at, t.started_at) AS started_at,
           greatest(r.ended_at, t.ended_at) AS ended_at,
           r.calls + coalesce(t.calls, 0) AS calls, coalesce(r.turns, 0) + coalesce(t.turns, 0) AS turns,
           coalesce(r.failed_calls, 0) + coalesce(t.failed_calls, 0) AS failed_calls,
           coalesce(r.unpriced_calls, 0) + coalesce(t.unpriced_calls, 0) AS unpriced_calls, coalesce(r.retries, 0) + coalesce(t.retries, 0) AS retries,
           coalesce(r.fallbacks, 0) + coalesce(t.fallbacks, 0) AS fallbacks, coalesce(r.tool_calls, 0) + coalesce(t.tool_calls, 0) AS tool_calls,
           coalesce(r.accepted_calls, 0) + coalesce(t.accepted_calls, 0) AS accepted_calls,
           coalesce(r.rejected_calls, 0) + coalesce(t.rejected_calls, 0) AS rejected_calls,
           coalesce(r.scored_calls, 0) + coalesce(t.scored_calls, 0) AS scored_calls, coalesce(r.input_tokens, 0) + coalesce(t.input_tokens, 0) AS input_tokens,
           coalesce(r.cache_read_tokens, 0) + coalesce(t.cache_read_tokens, 0) AS cache_read_tokens,
           coalesce(r.cache_write_tokens, 0) + coalesce(t.cache_write_tokens, 0) AS cache_write_tokens,
           coalesce(r.cache_write_1h_tokens, 0) + coalesce(t.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
           coalesce(r.output_tokens, 0) + coalesce(t.output_tokens, 0) AS output_tokens,
           coalesce(r.reasoning_tokens, 0) + coalesce(t.reasoning_tokens, 0) AS reasoning_tokens,
           coalesce(r.turn_input_tokens, 0) + coalesce(t.turn_input_tokens, 0) AS turn_input_tokens,
           least(r.min_turn_input_tokens, t.min_turn_input_tokens) AS min_turn_input_tokens,
           greatest(r.max_turn_input_tokens, t.max_turn_input_tokens) AS max_turn_input_tokens, coalesce(r.cost + t.cost, r.cost, t.cost) AS cost,
           coalesce(r.adjustment_cost + t.adjustment_cost, r.adjustment_cost, t.adjustment_cost) AS adjustment_cost,
           coalesce(r.avoided_cost + t.avoided_cost, r.avoided_cost, t.avoided_cost) AS avoided_cost, coalesce(r.score + t.score, r.score, t.score) AS score,
           least(r.trace_url, t.trace_url) AS trace_url,
           false AS is_new
    FROM cost_ledger_internal.rollup_session r
    LEFT JOIN tail t ON t.session_id = r.session_id
    WHERE cost_ledger_internal.sees_all()
    UNION ALL
    SELECT t.session_id, t.labels,
           t.started_at, t.ended_at,
           t.calls, t.turns, t.failed_calls, t.unpriced_calls, t.retries, t.fallbacks, t.tool_calls, t.accepted_calls,
           t.rejected_calls, t.scored_calls, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.cache_write_1h_tokens,
           t.output_tokens, t.reasoning_tokens, t.turn_input_tokens, t.min_turn_input_tokens, t.max_turn_input_tokens, t.cost, t.adjustment_cost, t.avoided_cost, t.score,
           t.trace_url,
           true
    FROM tail t
    WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.rollup_session r WHERE r.session_id = t.session_id AND cost_ledger_internal.sees_all())) u;

COMMENT ON VIEW cost_ledger_internal.live_session IS 'What the calls of a session add up to, those included that are not in rollup_session yet. Columns as in rollup_session.';

-- Days on which no session has an unconsumed call are read as they are stored.
CREATE VIEW cost_ledger_internal.live_session_day AS
WITH changed AS MATERIALIZED (
    SELECT s.started_on AS day FROM cost_ledger_internal.live_session s
    WHERE cost_ledger_internal.sees_all()
      AND (s.is_new OR s.session_id = ANY (ARRAY(SELECT DISTINCT m.session_id COLLATE "C" FROM cost_ledger_internal.live_call_by_id m WHERE m.session_id IS NOT NULL)))
    UNION
    SELECT r.started_on FROM cost_ledger_internal.rollup_session r
    WHERE cost_ledger_internal.sees_all()
      AND r.session_id = ANY (ARRAY(SELECT DISTINCT m.session_id COLLATE "C" FROM cost_ledger_internal.live_call m WHERE m.session_id IS NOT NULL))
)
SELECT u.*
FROM (
    SELECT r.day, r.sessions, r.cost, r.max_cost, r.session_turns, r.session_tokens, r.session_cost, 'local'::text AS node
    FROM cost_ledger_internal.rollup_session_day r
    WHERE cost_ledger_internal.sees_all()
      AND NOT EXISTS (SELECT FROM changed c WHERE c.day = r.day)
    UNION ALL
    SELECT s.day, count(*), sum(s.cost), max(s.cost), cost_ledger.summarize(s.turns), cost_ledger.summarize(s.tokens), cost_ledger.summarize(s.cost), 'local'::text
    FROM (
        SELECT r.started_on AS day, r.cost, coalesce(r.turns, 0) AS turns, coalesce(r.input_tokens, 0) + coalesce(r.output_tokens, 0) AS tokens
        FROM cost_ledger_internal.rollup_session r
        -- As in live_run_day.
        WHERE r.started_on = ANY (ARRAY(SELECT c.day FROM changed c))
          AND r.started_on BETWEEN (SELECT min(c.day) FROM changed c) AND (SELECT max(c.day) FROM changed c)
          AND cost_ledger_internal.sees_all()
          AND r.session_id NOT IN (SELECT m.session_id COLLATE "C" FROM cost_ledger_internal.live_call m WHERE m.session_id IS NOT NULL)
        UNION ALL
        SELECT s.started_on, s.cost, s.turns, s.input_tokens + s.output_tokens
        FROM cost_ledger_internal.live_session s
        WHERE cost_ledger_internal.sees_all()
          AND (s.is_new OR s.session_id = ANY (ARRAY(SELECT DISTINCT m.session_id COLLATE "C" FROM cost_ledger_internal.live_call_by_id m WHERE m.session_id IS NOT NULL)))
        UNION ALL
        SELECT (s.started_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date, s.cost, s.turns, s.input_tokens + s.output_tokens
        FROM cost_ledger_internal.changed_session s
        WHERE NOT cost_ledger_internal.sees_all()) s
    GROUP BY s.day) u;

COMMENT ON VIEW cost_ledger_internal.live_session_day IS 'What sessions add up to by the day of the reporting zone on which they began, those included that are not in rollup_session_day yet. Columns as in rollup_session_day.';

CREATE VIEW cost_ledger_internal.live_without_run_day AS
SELECT r.day, r.task_type, r.calls, coalesce(r.priced_calls, 0) AS priced_calls, r.cost, r.call_cost, 'local'::text AS node
FROM cost_ledger_internal.rollup_without_run_day r
WHERE cost_ledger_internal.sees_all()
UNION ALL
SELECT m.day, m.task_type, sum(m.calls)::bigint, sum(m.priced_calls)::bigint, sum(m.cost), cost_ledger.summarize(m.call_cost), 'local'::text
FROM (SELECT (m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS day, m.task_type COLLATE "C" AS task_type,
             m.calls, m.priced_calls, m.cost, m.call_cost
      FROM cost_ledger_internal.live_call_by_id m
      WHERE m.run_id IS NULL) m
GROUP BY m.day, m.task_type
UNION ALL
SELECT s.day, s.task_type, coalesce(s.calls, 0), coalesce(s.priced_calls, 0), s.cost, s.call_cost, 'local'::text
FROM cost_ledger_internal.seen_rollup('without_run_day', cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers())
    AS s (day date, task_type text COLLATE "C", calls bigint, priced_calls bigint, cost numeric, call_cost cost_ledger.summary)
WHERE NOT cost_ledger_internal.sees_all();

COMMENT ON VIEW cost_ledger_internal.live_without_run_day IS 'What calls that are in no run add up to by day of the reporting zone and task type, those included that are not in rollup_without_run_day yet. A day and its task type may be there more than once: add up what you need. Columns as in rollup_without_run_day.';

-- Of whole runs, those are put together here of which a run has changed, and that is
-- few; for who may not see all, every one of his, from the parents that his calls
-- state, so that it is what a ledger of these calls would say.
CREATE VIEW cost_ledger_internal.changed_run_tree AS
WITH changed AS MATERIALIZED (
    SELECT c.run_id COLLATE "C" AS run_id, c.root_run_id COLLATE "C" AS root_run_id
    FROM cost_ledger_internal.changed_tree_runs() c
    WHERE cost_ledger_internal.sees_all()
), seen AS MATERIALIZED (
    SELECT r.* FROM cost_ledger_internal.changed_run r WHERE NOT cost_ledger_internal.sees_all()
), placed AS MATERIALIZED (
    SELECT p.run_id COLLATE "C" AS run_id, p.root_run_id COLLATE "C" AS root_run_id, p.depth
    FROM (SELECT array_agg(s.run_id) AS run_ids, array_agg(s.parent_run_id) AS parents, array_agg(NULL::text) AS roots, array_agg(NULL::integer) AS depths
          FROM seen s WHERE s.parent_run_id IS NOT NULL) a
    CROSS JOIN LATERAL cost_ledger_internal.place_in_tree(a.run_ids, a.parents, a.roots, a.depths) p
), member AS (
    SELECT coalesce(r.root_run_id, r.run_id) AS tree_id, r.depth AS level,
           r.started_at, r.ended_at, r.calls, r.turns, r.failed_calls, r.unpriced_calls, r.retries, r.fallbacks, r.tool_calls, r.accepted_calls,
           r.rejected_calls, r.input_tokens, r.cache_read_tokens, r.cache_write_tokens + r.cache_write_1h_tokens AS cache_write_tokens,
           r.output_tokens, r.cost, r.adjustment_cost, r.labels, r.trace_url
    FROM cost_ledger_internal.live_run r
    WHERE cost_ledger_internal.sees_all() AND (r.is_new OR r.run_id = ANY (ARRAY(SELECT c.run_id FROM changed c)))
    UNION ALL
    SELECT coalesce(p.root_run_id, s.run_id), coalesce(p.depth, 0),
           s.started_at, s.ended_at, s.calls, s.turns, s.failed_calls, s.unpriced_calls, s.retries, s.fallbacks, s.tool_calls, s.accepted_calls,
           s.rejected_calls, s.input_tokens, s.cache_read_tokens, s.cache_write_tokens + s.cache_write_1h_tokens, s.output_tokens, s.cost,
           s.adjustment_cost, s.labels, s.trace_url
    FROM seen s
    LEFT JOIN placed p ON p.run_id = s.run_id
), level AS (
    SELECT r.tree_id, r.level, count(*) AS runs, min(r.started_at) AS started_at, max(r.ended_at) AS ended_at,
           sum(r.calls)::bigint AS calls, sum(r.turns)::bigint AS turns, sum(r.failed_calls)::bigint AS failed_calls,
           sum(r.unpriced_calls)::bigint AS unpriced_calls, sum(r.retries)::bigint AS retries, sum(r.fallbacks)::bigint AS fallbacks,
           sum(r.tool_calls)::bigint AS tool_calls, sum(r.accepted_calls)::bigint AS accepted_calls, sum(r.rejected_calls)::bigint AS rejected_calls,
           sum(r.input_tokens) AS input_tokens, sum(r.cache_read_tokens) AS cache_read_tokens, sum(r.cache_write_tokens) AS cache_write_tokens,
           sum(r.output_tokens) AS output_tokens, sum(r.cost) AS cost, sum(r.adjustment_cost) AS adjustment_cost,
           cost_ledger_internal.first_labels(r.labels) AS labels, min(r.trace_url COLLATE "C") AS trace_url
    FROM member r
    GROUP BY r.tree_id, r.level
), tree AS (
    SELECT v.tree_id AS root_run_id,
           coalesce(min(v.started_at) FILTER (WHERE v.level = 0), min(v.started_at)) AS started_at, max(v.ended_at) AS ended_at,
           sum(v.runs)::bigint AS runs, max(v.level) AS depth, sum(v.calls)::bigint AS calls, sum(v.turns)::bigint AS turns,
           sum(v.failed_calls)::bigint AS failed_calls, sum(v.unpriced_calls)::bigint AS unpriced_calls, sum(v.retries)::bigint AS retries,
           sum(v.fallbacks)::bigint AS fallbacks, sum(v.tool_calls)::bigint AS tool_calls, sum(v.accepted_calls)::bigint AS accepted_calls,
           sum(v.rejected_calls)::bigint AS rejected_calls, sum(v.input_tokens) AS input_tokens, sum(v.cache_read_tokens) AS cache_read_tokens,
           sum(v.cache_write_tokens) AS cache_write_tokens, sum(v.output_tokens) AS output_tokens, sum(v.cost) AS cost,
           sum(v.cost) FILTER (WHERE v.level = 0) AS own_cost, sum(v.adjustment_cost) AS adjustment_cost,
           cost_ledger_internal.first_labels(v.labels) AS labels,
           coalesce(min(v.trace_url) FILTER (WHERE v.level = 0), min(v.trace_url)) AS trace_url,
           -- A run at the top that has no calls is a level all the same.
           CASE min(v.level) WHEN 0 THEN '{}' ELSE '{0}'::bigint[] END || array_agg(v.runs ORDER BY v.level) AS level_runs,
           CASE min(v.level) WHEN 0 THEN '{}' ELSE '{0}'::bigint[] END || array_agg(v.calls ORDER BY v.level) AS level_calls,
           CASE min(v.level) WHEN 0 THEN '{}' ELSE '{NULL}'::numeric[] END || array_agg(v.cost ORDER BY v.level) AS level_cost
    FROM level v
    GROUP BY v.tree_id
)
SELECT t.root_run_id, t.started_at, (t.started_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS started_on, t.ended_at,
       t.runs, t.depth, t.calls, t.turns, t.failed_calls, t.unpriced_calls, t.retries, t.fallbacks, t.tool_calls, t.accepted_calls, t.rejected_calls,
       t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens, t.cost, t.own_cost, t.adjustment_cost, t.level_runs, t.level_calls,
       t.level_cost, t.labels, t.trace_url
FROM tree t
UNION ALL
-- What was at the top, and is no more.
SELECT DISTINCT c.root_run_id, NULL::timestamptz, NULL::date, NULL::timestamptz, 0::bigint, NULL::integer, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
       NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::bigint[], NULL::bigint[], NULL::numeric[], NULL::cost_ledger_internal.call_labels, NULL::text
FROM changed c
WHERE NOT EXISTS (SELECT FROM tree t WHERE t.root_run_id = c.root_run_id);

COMMENT ON VIEW cost_ledger_internal.changed_run_tree IS 'What runs add up to with all below them, of those of which a run has calls that are not in the rollups yet, or moves for them; without runs, what was at the top before. For who may not see all calls, all that he may see. Columns as in rollup_run_tree.';

CREATE VIEW cost_ledger_internal.stored_run_tree AS
SELECT t.root_run_id, t.started_at, t.started_on, t.ended_at, t.runs, t.depth, t.calls, t.turns, t.failed_calls, t.unpriced_calls, t.retries,
       t.fallbacks, t.tool_calls, t.accepted_calls, t.rejected_calls, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
       t.cost, t.own_cost, t.adjustment_cost, t.level_runs, t.level_calls, t.level_cost,
       (t.labels).team, (t.labels).feature, (t.labels).customer, (t.labels).task_type, (t.labels).environment, (t.labels).user_id, (t.labels).agent, (t.labels).session_id,
       t.trace_url,
       'local'::text AS node
FROM cost_ledger_internal.rollup_run_tree t
WHERE cost_ledger_internal.sees_all()
UNION ALL
-- A run that is alone.
SELECT r.run_id, r.started_at, r.started_on, r.ended_at, 1::bigint, 0, r.calls, coalesce(r.turns, 0), coalesce(r.failed_calls, 0),
       coalesce(r.unpriced_calls, 0), coalesce(r.retries, 0), coalesce(r.fallbacks, 0), coalesce(r.tool_calls, 0), coalesce(r.accepted_calls, 0),
       coalesce(r.rejected_calls, 0), coalesce(r.input_tokens, 0), coalesce(r.cache_read_tokens, 0),
       coalesce(r.cache_write_tokens, 0) + coalesce(r.cache_write_1h_tokens, 0), coalesce(r.output_tokens, 0), r.cost, r.cost, r.adjustment_cost,
       ARRAY[1::bigint], ARRAY[r.calls], ARRAY[r.cost],
       (r.labels).team, (r.labels).feature, (r.labels).customer, (r.labels).task_type, (r.labels).environment, (r.labels).user_id, (r.labels).agent,
       (r.labels).session_id, r.trace_url,
       'local'::text
FROM cost_ledger_internal.rollup_run r
WHERE cost_ledger_internal.sees_all() AND r.root_run_id IS NULL;

COMMENT ON VIEW cost_ledger_internal.stored_run_tree IS 'What runs add up to with all below them, runs that are alone included, as the rollups have it; nothing for who may not see all calls. Columns as in rollup_run_tree.';

CREATE VIEW cost_ledger_internal.live_run_tree AS
WITH changed AS MATERIALIZED (
    SELECT t.* FROM cost_ledger_internal.changed_run_tree t
)
SELECT u.*
FROM (
    SELECT t.*
    FROM cost_ledger_internal.stored_run_tree t
    WHERE NOT EXISTS (SELECT FROM changed c WHERE c.root_run_id = t.root_run_id)
    UNION ALL
    SELECT t.root_run_id, t.started_at, t.started_on, t.ended_at, t.runs, t.depth, t.calls, t.turns, t.failed_calls, t.unpriced_calls, t.retries,
           t.fallbacks, t.tool_calls, t.accepted_calls, t.rejected_calls, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
           t.cost, t.own_cost, t.adjustment_cost, t.level_runs, t.level_calls, t.level_cost,
           (t.labels).team, (t.labels).feature, (t.labels).customer, (t.labels).task_type, (t.labels).environment, (t.labels).user_id, (t.labels).agent, (t.labels).session_id,
           t.trace_url,
           'local'::text
    FROM changed t
    WHERE t.runs > 0) u;

COMMENT ON VIEW cost_ledger_internal.live_run_tree IS 'What runs add up to with all below them, runs that are alone and calls that are not in the rollups yet included: one row for each run that no other started. Columns as in rollup_run_tree.';

-- Days on which no run has an unconsumed call are read as they are stored; the
-- others run by run.
CREATE VIEW cost_ledger_internal.live_run_day AS
WITH changed AS MATERIALIZED (
    SELECT r.run_id, r.started_on AS day, r.task_type, r.cost
    FROM cost_ledger_internal.live_run r
    WHERE cost_ledger_internal.sees_all()
      AND (r.is_new OR r.run_id = ANY (ARRAY(SELECT DISTINCT m.run_id COLLATE "C" FROM cost_ledger_internal.live_call_by_id m WHERE m.run_id IS NOT NULL)))
    UNION ALL
    -- Every one of his, each looked at once.
    SELECT r.run_id, (r.started_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date, (r.labels).task_type, r.cost
    FROM cost_ledger_internal.changed_run r
    WHERE NOT cost_ledger_internal.sees_all()
), changed_tree AS MATERIALIZED (
    SELECT t.root_run_id, t.runs, t.started_on AS day, (t.labels).task_type, t.cost,
           cost_ledger_internal.run_outcome(t.calls, t.failed_calls, t.accepted_calls, t.rejected_calls) AS outcome
    FROM cost_ledger_internal.changed_run_tree t
), changed_day AS MATERIALIZED (
    SELECT c.day FROM changed c WHERE cost_ledger_internal.sees_all()
    UNION
    SELECT c.day FROM changed_tree c WHERE c.runs > 0 AND cost_ledger_internal.sees_all()
    UNION
    SELECT r.started_on FROM cost_ledger_internal.rollup_run r
    WHERE cost_ledger_internal.sees_all()
      AND r.run_id = ANY (ARRAY(SELECT c.run_id FROM changed c UNION ALL SELECT c.root_run_id FROM changed_tree c))
    UNION
    SELECT t.started_on FROM cost_ledger_internal.rollup_run_tree t
    WHERE cost_ledger_internal.sees_all() AND t.root_run_id = ANY (ARRAY(SELECT c.root_run_id FROM changed_tree c))
)
SELECT u.*
FROM (
    SELECT r.day, r.task_type, r.runs, r.cost, r.max_cost, r.run_cost, r.own_runs, r.own_cost, r.max_own_cost, r.own_run_cost,
           r.successful_runs, r.accepted_runs, r.rejected_runs, 'local'::text AS node
    FROM cost_ledger_internal.rollup_run_day r
    WHERE cost_ledger_internal.sees_all()
      AND NOT EXISTS (SELECT FROM changed_day c WHERE c.day = r.day)
    UNION ALL
    SELECT d.day, d.task_type,
           count(*) FILTER (WHERE d.is_whole), sum(d.cost) FILTER (WHERE d.is_whole), max(d.cost) FILTER (WHERE d.is_whole),
           cost_ledger.summarize(d.cost) FILTER (WHERE d.is_whole),
           count(*) FILTER (WHERE d.is_own), sum(d.cost) FILTER (WHERE d.is_own), max(d.cost) FILTER (WHERE d.is_own),
           cost_ledger.summarize(d.cost) FILTER (WHERE d.is_own),
           count(*) FILTER (WHERE d.is_whole AND d.outcome IN ('success', 'accepted')), count(*) FILTER (WHERE d.is_whole AND d.outcome = 'accepted'),
           count(*) FILTER (WHERE d.is_whole AND d.outcome = 'rejected'),
           'local'::text
    FROM (
        SELECT r.started_on AS day, (r.labels).task_type, r.cost,
               -- Hashed, however many runs of a day the planner expects.
               r.run_id NOT IN (SELECT c.run_id FROM changed c) AS is_own,
               r.root_run_id IS NULL AND r.run_id NOT IN (SELECT c.root_run_id FROM changed_tree c) AS is_whole,
               cost_ledger_internal.run_outcome(r.calls, r.failed_calls, r.accepted_calls, r.rejected_calls) AS outcome
        FROM cost_ledger_internal.rollup_run r
        -- ARRAY and bounds: the planner expects a few days of it, not all nor ten.
        WHERE r.started_on = ANY (ARRAY(SELECT c.day FROM changed_day c))
          AND r.started_on BETWEEN (SELECT min(c.day) FROM changed_day c) AND (SELECT max(c.day) FROM changed_day c)
          AND cost_ledger_internal.sees_all()
        UNION ALL
        SELECT t.started_on, (t.labels).task_type, t.cost, false, true, cost_ledger_internal.run_outcome(t.calls, t.failed_calls, t.accepted_calls, t.rejected_calls)
        FROM cost_ledger_internal.rollup_run_tree t
        WHERE t.started_on = ANY (ARRAY(SELECT c.day FROM changed_day c))
          AND t.started_on BETWEEN (SELECT min(c.day) FROM changed_day c) AND (SELECT max(c.day) FROM changed_day c)
          AND cost_ledger_internal.sees_all()
          AND t.root_run_id NOT IN (SELECT c.root_run_id FROM changed_tree c)
        UNION ALL
        SELECT c.day, c.task_type, c.cost, true, false, NULL FROM changed c
        UNION ALL
        SELECT c.day, c.task_type, c.cost, false, true, c.outcome FROM changed_tree c WHERE c.runs > 0) d
    GROUP BY d.day, d.task_type
    HAVING bool_or(d.is_whole OR d.is_own)) u;

COMMENT ON VIEW cost_ledger_internal.live_run_day IS 'What runs add up to, whole and each by itself, by the day of the reporting zone on which they began and their task type, those included that are not in rollup_run_day yet. A day and its task type may be there more than once: add up what you need. Columns as in rollup_run_day.';

-- Of each week the ten dearest of the whole runs that have not changed, by indexes,
-- and every one that has: the ten dearest are among them.  Who does not see all
-- reads all runs of his calls in any case.
CREATE VIEW cost_ledger_internal.live_dear_run_tree AS
WITH changed AS MATERIALIZED (
    SELECT t.* FROM cost_ledger_internal.changed_run_tree t
), dear AS MATERIALIZED (
    SELECT d.run_id
    FROM (SELECT DISTINCT cost_ledger_internal.week_of(d.day) AS week FROM cost_ledger_internal.rollup_run_day d WHERE cost_ledger_internal.sees_all()) w
    -- Who costs less than ten trees is none of the ten dearest.
    CROSS JOIN LATERAL (
        SELECT CASE count(*) WHEN 10 THEN min(t.cost) ELSE '-Infinity' END AS cost
        FROM (SELECT t.cost
              FROM cost_ledger_internal.rollup_run_tree t
              WHERE cost_ledger_internal.week_of(t.started_on) = w.week AND t.cost IS NOT NULL
                AND NOT EXISTS (SELECT FROM changed c WHERE c.root_run_id = t.root_run_id)
              ORDER BY t.cost DESC LIMIT 10) t) least
    CROSS JOIN LATERAL (
        (SELECT s.run_id
         FROM cost_ledger_internal.rollup_run s
         WHERE cost_ledger_internal.week_of(s.started_on) = w.week AND s.cost IS NOT NULL AND s.cost >= least.cost AND s.root_run_id IS NULL
           AND NOT EXISTS (SELECT FROM changed c WHERE c.root_run_id = s.run_id)
         ORDER BY s.cost DESC, s.started_at, s.run_id LIMIT 10)
        UNION ALL
        (SELECT t.root_run_id
         FROM cost_ledger_internal.rollup_run_tree t
         WHERE cost_ledger_internal.week_of(t.started_on) = w.week AND t.cost IS NOT NULL
           AND NOT EXISTS (SELECT FROM changed c WHERE c.root_run_id = t.root_run_id)
         ORDER BY t.cost DESC, t.started_at, t.root_run_id LIMIT 10)) d
)
SELECT t.*
FROM cost_ledger_internal.stored_run_tree t
WHERE t.root_run_id = ANY (ARRAY(SELECT d.run_id FROM dear d))
UNION ALL
SELECT t.root_run_id, t.started_at, t.started_on, t.ended_at, t.runs, t.depth, t.calls, t.turns, t.failed_calls, t.unpriced_calls, t.retries,
       t.fallbacks, t.tool_calls, t.accepted_calls, t.rejected_calls, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
       t.cost, t.own_cost, t.adjustment_cost, t.level_runs, t.level_calls, t.level_cost,
       (t.labels).team, (t.labels).feature, (t.labels).customer, (t.labels).task_type, (t.labels).environment, (t.labels).user_id, (t.labels).agent, (t.labels).session_id,
       t.trace_url,
       'local'::text
FROM changed t
WHERE t.runs > 0;

COMMENT ON VIEW cost_ledger_internal.live_dear_run_tree IS 'Whole runs among which the ten most expensive of each week are. Columns as in live_run_tree.';

-- Their columns are those of the rollups, and so are their comments.
DO $comments$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT DISTINCT ON (v.attrelid, v.attname) v.attrelid::regclass AS view, v.attname, col_description(t.attrelid, t.attnum) AS description
        FROM pg_attribute v
        JOIN pg_class w ON w.oid = v.attrelid AND w.relnamespace = 'cost_ledger_internal'::regnamespace
                       AND (w.relname LIKE 'live\_%' OR w.relname IN ('call_measure', 'cube_label', 'consumed_measure', 'unconsumed_measure', 'changed_run', 'changed_session', 'changed_run_tree', 'stored_run_tree'))
        CROSS JOIN LATERAL unnest(ARRAY[coalesce(to_regclass('cost_ledger_internal.rollup_' || substr(w.relname, 6)), 'cost_ledger.call'),
                                        'cost_ledger_internal.rollup_key', 'cost_ledger_internal.rollup_label', 'cost_ledger_internal.rollup_total_day',
                                        'cost_ledger_internal.rollup_day', 'cost_ledger_internal.rollup_run', 'cost_ledger_internal.rollup_session', 'cost_ledger_internal.rollup_run_tree',
                                        'cost_ledger_internal.call_labels'])
            WITH ORDINALITY AS s (relation, number)
        JOIN pg_attribute t ON t.attname = v.attname AND t.attrelid = s.relation
        WHERE v.attnum > 0
        ORDER BY v.attrelid, v.attname, s.number
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.description);
    END LOOP;
    FOR c IN
        SELECT v.attrelid::regclass AS view
        FROM pg_attribute v
        JOIN pg_class w ON w.oid = v.attrelid AND w.relnamespace = 'cost_ledger_internal'::regnamespace AND (w.relname LIKE 'live\_%' OR w.relname = 'stored_run_tree')
        WHERE v.attname = 'node'
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.node IS %L', c.view, 'Which node of several has the row: local, where there is one.');
    END LOOP;
    COMMENT ON COLUMN cost_ledger_internal.live_run.is_new IS 'Whether no rollup has the run yet.';
    COMMENT ON COLUMN cost_ledger_internal.live_session.is_new IS 'Whether no rollup has the session yet.';
    FOR c IN SELECT unnest('{call_measure,consumed_measure,unconsumed_measure,live_call,live_call_by_id}'::text[]) AS view LOOP
        EXECUTE format('COMMENT ON COLUMN cost_ledger_internal.%I.is_call IS %L', c.view, 'Whether the row is a call: no correction.');
        EXECUTE format('COMMENT ON COLUMN cost_ledger_internal.%I.first_id IS %L', c.view, 'call_id of the row as it was first recorded, which says whose labels come first.');
    END LOOP;
END
$comments$;
