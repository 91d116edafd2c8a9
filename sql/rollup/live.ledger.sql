-- The rollups as they are this moment: what refresh() has brought in, and the
-- calls it has not seen yet, in one snapshot.  So what reports say of these
-- views is what they would say of the ledger itself, at every instant.
--
-- What the current role may not see is left out here (sql/grant/visible.sql).
-- Labels have a team and a customer, so sums by label are cut down as calls are.
-- Sums of runs, sessions and users are of all calls there were: who may not see
-- those gets the same answers from his calls themselves.  For all others that
-- branch is pruned before it runs.
--
-- Both sides of a UNION ALL have the same types, to the letter: only then does
-- the planner leave out what a query does not ask for.

CREATE VIEW cost_ledger_internal.live_call AS
SELECT c.*
FROM cost_ledger_internal.unconsumed_call c
WHERE (SELECT cost_ledger_internal.sees_all())
   OR c.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR c.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]);

COMMENT ON VIEW cost_ledger_internal.live_call IS 'The calls that are not in the rollups of labels yet, as far as the current role may see them. Columns as in call.';

CREATE VIEW cost_ledger_internal.live_call_by_id AS
SELECT c.*
FROM cost_ledger_internal.unconsumed_call c
WHERE cost_ledger_internal.sees_all()
UNION ALL
SELECT c.called_at, c.call_id, c.recorded_at, c.corrects,
       c.pricing, c.usage_status, c.cost, c.cache_read_cost, c.cache_write_cost, c.output_cost, c.other_cost, c.reported_cost,
       c.input_tokens, c.cache_read_tokens, c.cache_write_tokens, c.cache_write_1h_tokens, c.output_tokens, c.reasoning_tokens,
       c.retry_count, c.tool_calls_count, c.accepted, c.duration_ms,
       c.team, c.feature, c.flow, c.customer, c.task_type, c.environment,
       c.provider, c.model, c.service_class, c.operation, c.status, c.served_from,
       c.user_id, c.api_key, c.agent, c.session_id, c.run_id, c.parent_run_id, c.trace_url, c.hold_id::text AS hold_id
FROM cost_ledger.call c
-- Not sees_all() itself: of that the planner would expect all calls, and plan,
-- and compile, for as many.  Of a time it can ask the histogram.
WHERE c.called_at >= cost_ledger_internal.live_call_from()
  AND c.call_id <> ALL (ARRAY(SELECT q.call_id FROM cost_ledger_internal.quarantine q))
  AND (c.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
       OR c.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]));

COMMENT ON VIEW cost_ledger_internal.live_call_by_id IS 'The calls of which sums by run, session and user are made beside the rollups: those that are not in them yet; for a role that may not see all, every call it may see. Columns as in call.';

CREATE VIEW cost_ledger_internal.live_call_measure AS
SELECT c.called_at,
       c.team, c.feature, c.customer, c.task_type, c.environment, c.provider, c.model, c.service_class, c.operation, c.status, c.served_from,
       (c.corrects IS NULL)::integer::bigint AS calls,
       (c.cost IS NOT NULL AND (c.corrects IS NULL OR coalesce(c.usage_status = 'repriced', false)))::integer::bigint AS priced_calls,
       ((c.corrects IS NULL AND c.pricing IN ('unpriced', 'partial'))::integer
           - (coalesce(c.usage_status IN ('repriced', 'completed'), false))::integer)::bigint AS unpriced_calls,
       (c.corrects IS NOT NULL)::integer::bigint AS corrections,
       (c.corrects IS NULL AND coalesce(lower(c.operation) = 'retry', false))::integer + coalesce(c.retry_count, 0)::bigint AS retries,
       coalesce(c.tool_calls_count, 0)::bigint AS tool_calls,
       coalesce(c.accepted, false)::integer::bigint AS accepted_calls,
       (NOT coalesce(c.accepted, true))::integer::bigint AS rejected_calls,
       coalesce(c.input_tokens, 0)::numeric AS input_tokens,
       coalesce(c.cache_read_tokens, 0)::numeric AS cache_read_tokens,
       coalesce(c.cache_write_tokens, 0)::numeric AS cache_write_tokens,
       coalesce(c.cache_write_1h_tokens, 0)::numeric AS cache_write_1h_tokens,
       coalesce(c.output_tokens, 0)::numeric AS output_tokens,
       coalesce(c.reasoning_tokens, 0)::numeric AS reasoning_tokens,
       c.cost,
       c.cache_read_cost,
       c.cache_write_cost,
       c.output_cost,
       c.other_cost,
       CASE WHEN c.corrects IS NOT NULL THEN c.cost END AS adjustment_cost,
       c.reported_cost,
       CASE WHEN c.run_id IS NULL THEN c.cost END AS cost_without_run
FROM cost_ledger_internal.live_call c;

COMMENT ON VIEW cost_ledger_internal.live_call_measure IS 'What each row of live_call adds to the rollups of labels. Columns as in call, rollup_key and rollup_hour.';

-- One view for each length of time, all alike.
DO $views$
DECLARE
    labels constant text[] := '{team,feature,customer,task_type,environment,provider,model,service_class,operation,status,served_from}';
    measures constant text[] := '{calls,priced_calls,unpriced_calls,corrections,retries,tool_calls,accepted_calls,rejected_calls,
                                  input_tokens,cache_read_tokens,cache_write_tokens,cache_write_1h_tokens,output_tokens,reasoning_tokens,
                                  cost,cache_read_cost,cache_write_cost,output_cost,other_cost,adjustment_cost,reported_cost,cost_without_run}';
    unit record;
BEGIN
    FOR unit IN
        SELECT u.*
        FROM (VALUES ('month', 'A', 'date_trunc(''month'', m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date'),
                     ('day', 'A', '(m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date'),
                     ('hour', 'An', 'date_trunc(''hour'', m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l))')) AS u (name, article, of_call)
    LOOP
        EXECUTE format($view$
            CREATE VIEW cost_ledger_internal.live_%1$s AS
            SELECT r.%1$s, k.%3$s, r.%4$s
            FROM cost_ledger_internal.rollup_%1$s r
            JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
            WHERE (SELECT cost_ledger_internal.sees_all())
               OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
               OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])
            UNION ALL
            SELECT %2$s, m.%5$s, m.%6$s
            FROM cost_ledger_internal.live_call_measure m
            $view$,
            unit.name, unit.of_call,
            array_to_string(labels, ', k.'), array_to_string(measures, ', r.'),
            array_to_string(labels, ', m.'), array_to_string(measures, ', m.'));
        EXECUTE format('COMMENT ON VIEW cost_ledger_internal.live_%1$s IS %2$L', unit.name,
            format('What calls add up to by %1$s of the reporting zone and labels, those included that are not in rollup_%1$s yet. %2$s %1$s and its labels may be there more than once: add up what you need. Columns as in rollup_%1$s and rollup_key.',
                   unit.name, unit.article));
    END LOOP;
END
$views$;

CREATE VIEW cost_ledger_internal.live_minute AS
SELECT r.minute,
       k.team, k.feature, k.customer, k.task_type, k.environment, k.provider, k.model, k.service_class, k.operation, k.status, k.served_from,
       r.calls, r.unpriced_calls, r.tool_calls, r.input_tokens, r.output_tokens, r.cost
FROM cost_ledger_internal.rollup_minute r
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE (SELECT cost_ledger_internal.sees_all())
   OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])
UNION ALL
SELECT date_trunc('minute', m.called_at),
       m.team, m.feature, m.customer, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status, m.served_from,
       m.calls, m.unpriced_calls, m.tool_calls, m.input_tokens, m.output_tokens, m.cost
FROM cost_ledger_internal.live_call_measure m
WHERE m.called_at >= (SELECT s.minutes_from FROM cost_ledger_internal.rollup_state s);

COMMENT ON VIEW cost_ledger_internal.live_minute IS 'What calls of the last two days add up to by minute and labels, those included that are not in rollup_minute yet. A minute and its labels may be there more than once: add up what you need. Columns as in rollup_minute and rollup_key.';

CREATE VIEW cost_ledger_internal.live_user_day AS
SELECT r.day, r.user_id, r.calls, r.unpriced_calls, r.input_tokens, r.output_tokens, r.cost
FROM cost_ledger_internal.rollup_user_day r
WHERE cost_ledger_internal.sees_all()
UNION ALL
SELECT (c.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date,
       c.user_id,
       (c.corrects IS NULL)::integer::bigint,
       ((c.corrects IS NULL AND c.pricing IN ('unpriced', 'partial'))::integer
           - (coalesce(c.usage_status IN ('repriced', 'completed'), false))::integer)::bigint,
       coalesce(c.input_tokens, 0)::numeric, coalesce(c.output_tokens, 0)::numeric,
       c.cost
FROM cost_ledger_internal.live_call_by_id c;

COMMENT ON VIEW cost_ledger_internal.live_user_day IS 'What calls add up to by day of the reporting zone and user, those included that are not in rollup_user_day yet. A day and its user may be there more than once: add up what you need. Columns as in rollup_user_day.';

-- A run that refresh() has not touched since is read as it is stored, with its
-- indexes; the few others are put together here.
CREATE VIEW cost_ledger_internal.live_run AS
WITH tail AS (
    SELECT c.run_id COLLATE "C" AS run_id,
           min(c.parent_run_id COLLATE "C") AS parent_run_id,
           min(c.called_at) AS started_at,
           -- At most 30 days each: one absurd duration must not end the report
           -- with a timestamp out of range.
           max(c.called_at + least(coalesce(c.duration_ms, 0), 2592000000) * interval '1 millisecond') AS ended_at,
           count(*) FILTER (WHERE c.corrects IS NULL) AS calls,
           count(*) FILTER (WHERE c.corrects IS NULL AND cost_ledger_internal.is_turn(c.operation)) AS turns,
           count(*) FILTER (WHERE c.corrects IS NULL AND cost_ledger_internal.is_failure(c.status)) AS failed_calls,
           count(*) FILTER (WHERE c.corrects IS NULL AND c.pricing IN ('unpriced', 'partial'))
               - count(*) FILTER (WHERE c.usage_status IN ('repriced', 'completed')) AS unpriced_calls,
           count(*) FILTER (WHERE c.corrects IS NULL AND lower(c.operation) = 'retry') + coalesce(sum(c.retry_count), 0) AS retries,
           count(*) FILTER (WHERE c.corrects IS NULL AND lower(c.operation) = 'fallback') AS fallbacks,
           coalesce(sum(c.tool_calls_count), 0) AS tool_calls,
           count(*) FILTER (WHERE c.accepted) AS accepted_calls,
           count(*) FILTER (WHERE NOT c.accepted) AS rejected_calls,
           coalesce(sum(c.input_tokens), 0) AS input_tokens,
           coalesce(sum(c.cache_read_tokens), 0) AS cache_read_tokens,
           coalesce(sum(c.cache_write_tokens), 0) AS cache_write_tokens,
           coalesce(sum(c.cache_write_1h_tokens), 0) AS cache_write_1h_tokens,
           coalesce(sum(c.output_tokens), 0) AS output_tokens,
           coalesce(sum(c.reasoning_tokens), 0) AS reasoning_tokens,
           sum(c.cost) AS cost,
           sum(c.cost) FILTER (WHERE c.corrects IS NOT NULL) AS adjustment_cost,
           min(c.trace_url COLLATE "C") AS trace_url,
           cost_ledger_internal.first_call(c.called_at, c.call_id, c.team, c.feature, c.customer, c.task_type, c.environment, c.user_id, c.agent, c.session_id)
               FILTER (WHERE c.corrects IS NULL) AS labels
    FROM cost_ledger_internal.live_call_by_id c
    WHERE c.run_id IS NOT NULL
    GROUP BY 1
)
SELECT u.run_id, u.parent_run_id, u.started_at, u.ended_at, u.calls, u.turns, u.failed_calls, u.unpriced_calls,
       u.retries, u.fallbacks, u.tool_calls, u.accepted_calls, u.rejected_calls, u.input_tokens, u.cache_read_tokens,
       u.cache_write_tokens, u.cache_write_1h_tokens, u.output_tokens, u.reasoning_tokens, u.cost, u.adjustment_cost,
       (u.labels).team, (u.labels).feature, (u.labels).customer, (u.labels).task_type, (u.labels).environment,
       (u.labels).user_id, (u.labels).agent, (u.labels).session_id, u.trace_url
FROM (
    SELECT r.run_id, cost_ledger_internal.merge_labels(r.labels, t.labels) AS labels,
           least(r.parent_run_id, t.parent_run_id) AS parent_run_id,
           least(r.started_at, t.started_at) AS started_at,
           greatest(r.ended_at, t.ended_at) AS ended_at,
           r.calls + coalesce(t.calls, 0) AS calls,
           r.turns + coalesce(t.turns, 0) AS turns,
           r.failed_calls + coalesce(t.failed_calls, 0) AS failed_calls,
           r.unpriced_calls + coalesce(t.unpriced_calls, 0) AS unpriced_calls,
           r.retries + coalesce(t.retries, 0) AS retries,
           r.fallbacks + coalesce(t.fallbacks, 0) AS fallbacks,
           r.tool_calls + coalesce(t.tool_calls, 0) AS tool_calls,
           r.accepted_calls + coalesce(t.accepted_calls, 0) AS accepted_calls,
           r.rejected_calls + coalesce(t.rejected_calls, 0) AS rejected_calls,
           r.input_tokens + coalesce(t.input_tokens, 0) AS input_tokens,
           r.cache_read_tokens + coalesce(t.cache_read_tokens, 0) AS cache_read_tokens,
           r.cache_write_tokens + coalesce(t.cache_write_tokens, 0) AS cache_write_tokens,
           r.cache_write_1h_tokens + coalesce(t.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
           r.output_tokens + coalesce(t.output_tokens, 0) AS output_tokens,
           r.reasoning_tokens + coalesce(t.reasoning_tokens, 0) AS reasoning_tokens,
           coalesce(r.cost + t.cost, r.cost, t.cost) AS cost,
           coalesce(r.adjustment_cost + t.adjustment_cost, r.adjustment_cost, t.adjustment_cost) AS adjustment_cost,
           least(r.trace_url, t.trace_url) AS trace_url
    FROM cost_ledger_internal.rollup_run r
    LEFT JOIN tail t ON t.run_id = r.run_id
    WHERE cost_ledger_internal.sees_all()
    UNION ALL
    SELECT t.run_id, t.labels,
           t.parent_run_id, t.started_at, t.ended_at, t.calls, t.turns, t.failed_calls, t.unpriced_calls, t.retries,
           t.fallbacks, t.tool_calls, t.accepted_calls, t.rejected_calls, t.input_tokens, t.cache_read_tokens,
           t.cache_write_tokens, t.cache_write_1h_tokens, t.output_tokens, t.reasoning_tokens, t.cost, t.adjustment_cost,
           t.trace_url
    FROM tail t
    WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.rollup_run r WHERE r.run_id = t.run_id AND cost_ledger_internal.sees_all())) u;

COMMENT ON VIEW cost_ledger_internal.live_run IS 'What the calls of a run add up to, those included that are not in rollup_run yet. Columns as in rollup_run.';

-- A session that refresh() has not touched since is read as it is stored, with its
-- indexes; the few others are put together here.
CREATE VIEW cost_ledger_internal.live_session AS
WITH tail AS (
    SELECT c.session_id COLLATE "C" AS session_id,
           min(c.called_at) AS started_at,
           -- At most 30 days each: one absurd duration must not end the report
           -- with a timestamp out of range.
           max(c.called_at + least(coalesce(c.duration_ms, 0), 2592000000) * interval '1 millisecond') AS ended_at,
           count(*) FILTER (WHERE c.corrects IS NULL) AS calls,
           count(*) FILTER (WHERE c.corrects IS NULL AND cost_ledger_internal.is_turn(c.operation)) AS turns,
           count(*) FILTER (WHERE c.corrects IS NULL AND cost_ledger_internal.is_failure(c.status)) AS failed_calls,
           count(*) FILTER (WHERE c.corrects IS NULL AND c.pricing IN ('unpriced', 'partial'))
               - count(*) FILTER (WHERE c.usage_status IN ('repriced', 'completed')) AS unpriced_calls,
           count(*) FILTER (WHERE c.corrects IS NULL AND lower(c.operation) = 'retry') + coalesce(sum(c.retry_count), 0) AS retries,
           count(*) FILTER (WHERE c.corrects IS NULL AND lower(c.operation) = 'fallback') AS fallbacks,
           coalesce(sum(c.tool_calls_count), 0) AS tool_calls,
           count(*) FILTER (WHERE c.accepted) AS accepted_calls,
           count(*) FILTER (WHERE NOT c.accepted) AS rejected_calls,
           coalesce(sum(c.input_tokens), 0) AS input_tokens,
           coalesce(sum(c.cache_read_tokens), 0) AS cache_read_tokens,
           coalesce(sum(c.cache_write_tokens), 0) AS cache_write_tokens,
           coalesce(sum(c.cache_write_1h_tokens), 0) AS cache_write_1h_tokens,
           coalesce(sum(c.output_tokens), 0) AS output_tokens,
           coalesce(sum(c.reasoning_tokens), 0) AS reasoning_tokens,
           sum(c.cost) AS cost,
           sum(c.cost) FILTER (WHERE c.corrects IS NOT NULL) AS adjustment_cost,
           min(c.trace_url COLLATE "C") AS trace_url,
           cost_ledger_internal.first_call(c.called_at, c.call_id, c.team, c.feature, c.customer, c.task_type, c.environment, c.user_id, c.agent, NULL)
               FILTER (WHERE c.corrects IS NULL) AS labels
    FROM cost_ledger_internal.live_call_by_id c
    WHERE c.session_id IS NOT NULL
    GROUP BY 1
)
SELECT u.session_id, u.started_at, u.ended_at, u.calls, u.turns, u.failed_calls, u.unpriced_calls, u.retries,
       u.fallbacks, u.tool_calls, u.accepted_calls, u.rejected_calls, u.input_tokens, u.cache_read_tokens,
       u.cache_write_tokens, u.cache_write_1h_tokens, u.output_tokens, u.reasoning_tokens, u.cost, u.adjustment_cost,
       (u.labels).team, (u.labels).feature, (u.labels).customer, (u.labels).task_type, (u.labels).environment,
       (u.labels).user_id, (u.labels).agent, u.trace_url
FROM (
    SELECT r.session_id, cost_ledger_internal.merge_labels(r.labels, t.labels) AS labels,
           least(r.started_at, t.started_at) AS started_at,
           greatest(r.ended_at, t.ended_at) AS ended_at,
           r.calls + coalesce(t.calls, 0) AS calls,
           r.turns + coalesce(t.turns, 0) AS turns,
           r.failed_calls + coalesce(t.failed_calls, 0) AS failed_calls,
           r.unpriced_calls + coalesce(t.unpriced_calls, 0) AS unpriced_calls,
           r.retries + coalesce(t.retries, 0) AS retries,
           r.fallbacks + coalesce(t.fallbacks, 0) AS fallbacks,
           r.tool_calls + coalesce(t.tool_calls, 0) AS tool_calls,
           r.accepted_calls + coalesce(t.accepted_calls, 0) AS accepted_calls,
           r.rejected_calls + coalesce(t.rejected_calls, 0) AS rejected_calls,
           r.input_tokens + coalesce(t.input_tokens, 0) AS input_tokens,
           r.cache_read_tokens + coalesce(t.cache_read_tokens, 0) AS cache_read_tokens,
           r.cache_write_tokens + coalesce(t.cache_write_tokens, 0) AS cache_write_tokens,
           r.cache_write_1h_tokens + coalesce(t.cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
           r.output_tokens + coalesce(t.output_tokens, 0) AS output_tokens,
           r.reasoning_tokens + coalesce(t.reasoning_tokens, 0) AS reasoning_tokens,
           coalesce(r.cost + t.cost, r.cost, t.cost) AS cost,
           coalesce(r.adjustment_cost + t.adjustment_cost, r.adjustment_cost, t.adjustment_cost) AS adjustment_cost,
           least(r.trace_url, t.trace_url) AS trace_url
    FROM cost_ledger_internal.rollup_session r
    LEFT JOIN tail t ON t.session_id = r.session_id
    WHERE cost_ledger_internal.sees_all()
    UNION ALL
    SELECT t.session_id, t.labels,
           t.started_at, t.ended_at, t.calls, t.turns, t.failed_calls, t.unpriced_calls, t.retries, t.fallbacks,
           t.tool_calls, t.accepted_calls, t.rejected_calls, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens,
           t.cache_write_1h_tokens, t.output_tokens, t.reasoning_tokens, t.cost, t.adjustment_cost, t.trace_url
    FROM tail t
    WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.rollup_session r WHERE r.session_id = t.session_id AND cost_ledger_internal.sees_all())) u;

COMMENT ON VIEW cost_ledger_internal.live_session IS 'What the calls of a session add up to, those included that are not in rollup_session yet. Columns as in rollup_session.';

-- Their columns are those of the rollups, and so are their comments.
DO $comments$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT DISTINCT ON (v.attrelid, v.attname) v.attrelid::regclass AS view, v.attname, col_description(t.attrelid, t.attnum) AS description
        FROM pg_attribute v
        JOIN pg_class w ON w.oid = v.attrelid AND w.relnamespace = 'cost_ledger_internal'::regnamespace AND w.relname LIKE 'live\_%'
        JOIN pg_attribute t ON t.attname = v.attname
                           AND t.attrelid IN (coalesce(to_regclass('cost_ledger_internal.rollup_' || substr(w.relname, 6)), 'cost_ledger.call'),
                                          'cost_ledger_internal.rollup_key'::regclass, 'cost_ledger_internal.rollup_hour'::regclass, 'cost_ledger_internal.call_labels'::regclass)
        WHERE v.attnum > 0
        ORDER BY v.attrelid, v.attname, t.attrelid <> coalesce(to_regclass('cost_ledger_internal.rollup_' || substr(w.relname, 6)), 'cost_ledger.call')
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.description);
    END LOOP;
END
$comments$;
