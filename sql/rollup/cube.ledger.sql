-- The cube as it is this moment, each combination of labels once.  What refresh()
-- has brought in is read as it is stored; only the few combinations of the calls
-- that it has not seen (fresh_) are put together here, so who asks for a month gets
-- it without adding all of it up again.
--
-- What the current role may not see is left out, as in live_month (live.ledger.sql).

CREATE VIEW cost_ledger_internal.fresh_hour AS
SELECT cost_ledger_internal.hour_start(m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS hour,
       m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status, m.served_from,
       cost_ledger_internal.labels_fingerprint(m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class,
                                               m.operation, m.status, m.served_from) AS fingerprint,
       sum(m.calls)::bigint AS calls, sum(m.priced_calls)::bigint AS priced_calls, sum(m.unpriced_calls)::bigint AS unpriced_calls,
       sum(m.retries)::bigint AS retries, sum(m.tool_calls)::bigint AS tool_calls, sum(m.accepted_calls)::bigint AS accepted_calls,
       sum(m.rejected_calls)::bigint AS rejected_calls, sum(m.scored_calls)::bigint AS scored_calls, sum(m.corrections)::bigint AS corrections,
       sum(m.input_tokens) AS input_tokens, sum(m.cache_read_tokens) AS cache_read_tokens, sum(m.cache_write_tokens) AS cache_write_tokens,
       sum(m.cache_write_1h_tokens) AS cache_write_1h_tokens, sum(m.output_tokens) AS output_tokens, sum(m.reasoning_tokens) AS reasoning_tokens,
       sum(m.cost) AS cost, sum(m.cache_read_cost) AS cache_read_cost, sum(m.cache_write_cost) AS cache_write_cost, sum(m.output_cost) AS output_cost, sum(m.reasoning_cost) AS reasoning_cost,
       sum(m.other_cost) AS other_cost, sum(m.adjustment_cost) AS adjustment_cost, sum(m.reported_cost) AS reported_cost,
       sum(m.avoided_cost) AS avoided_cost, sum(m.prompt_cache_saving) AS prompt_cache_saving, sum(m.cost_without_run) AS cost_without_run, sum(m.score) AS score,
       cost_ledger.summarize(m.call_cost) AS call_cost
FROM cost_ledger_internal.live_call m
WHERE m.called_at >= (SELECT s.hours_from FROM cost_ledger_internal.rollup_state s)
GROUP BY 1, m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status, m.served_from;

COMMENT ON VIEW cost_ledger_internal.fresh_hour IS 'What calls that are not in rollup_hour yet add up to, by hour and labels. Columns as in rollup_hour and rollup_key.';

CREATE VIEW cost_ledger_internal.fresh_day AS
SELECT (m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS day,
       m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status, m.served_from,
       cost_ledger_internal.labels_fingerprint(m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class,
                                               m.operation, m.status, m.served_from) AS fingerprint,
       sum(m.calls)::bigint AS calls, sum(m.priced_calls)::bigint AS priced_calls, sum(m.unpriced_calls)::bigint AS unpriced_calls,
       sum(m.retries)::bigint AS retries, sum(m.tool_calls)::bigint AS tool_calls, sum(m.accepted_calls)::bigint AS accepted_calls,
       sum(m.rejected_calls)::bigint AS rejected_calls, sum(m.scored_calls)::bigint AS scored_calls, sum(m.corrections)::bigint AS corrections,
       sum(m.input_tokens) AS input_tokens, sum(m.cache_read_tokens) AS cache_read_tokens, sum(m.cache_write_tokens) AS cache_write_tokens,
       sum(m.cache_write_1h_tokens) AS cache_write_1h_tokens, sum(m.output_tokens) AS output_tokens, sum(m.reasoning_tokens) AS reasoning_tokens,
       sum(m.cost) AS cost, sum(m.cache_read_cost) AS cache_read_cost, sum(m.cache_write_cost) AS cache_write_cost, sum(m.output_cost) AS output_cost, sum(m.reasoning_cost) AS reasoning_cost,
       sum(m.other_cost) AS other_cost, sum(m.adjustment_cost) AS adjustment_cost, sum(m.reported_cost) AS reported_cost,
       sum(m.avoided_cost) AS avoided_cost, sum(m.prompt_cache_saving) AS prompt_cache_saving, sum(m.cost_without_run) AS cost_without_run, sum(m.score) AS score,
       cost_ledger.summarize(m.call_cost) AS call_cost
FROM cost_ledger_internal.live_call m
WHERE (m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date >= (SELECT s.days_from FROM cost_ledger_internal.rollup_state s)
GROUP BY 1, m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status, m.served_from;

COMMENT ON VIEW cost_ledger_internal.fresh_day IS 'What calls that are not in rollup_day yet add up to, by day and labels. Columns as in rollup_day and rollup_key.';

CREATE VIEW cost_ledger_internal.fresh_month AS
SELECT date_trunc('month', m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS month,
       m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status, m.served_from,
       cost_ledger_internal.labels_fingerprint(m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class,
                                               m.operation, m.status, m.served_from) AS fingerprint,
       sum(m.calls)::bigint AS calls, sum(m.priced_calls)::bigint AS priced_calls, sum(m.unpriced_calls)::bigint AS unpriced_calls,
       sum(m.retries)::bigint AS retries, sum(m.tool_calls)::bigint AS tool_calls, sum(m.accepted_calls)::bigint AS accepted_calls,
       sum(m.rejected_calls)::bigint AS rejected_calls, sum(m.scored_calls)::bigint AS scored_calls, sum(m.corrections)::bigint AS corrections,
       sum(m.input_tokens) AS input_tokens, sum(m.cache_read_tokens) AS cache_read_tokens, sum(m.cache_write_tokens) AS cache_write_tokens,
       sum(m.cache_write_1h_tokens) AS cache_write_1h_tokens, sum(m.output_tokens) AS output_tokens, sum(m.reasoning_tokens) AS reasoning_tokens,
       sum(m.cost) AS cost, sum(m.cache_read_cost) AS cache_read_cost, sum(m.cache_write_cost) AS cache_write_cost, sum(m.output_cost) AS output_cost, sum(m.reasoning_cost) AS reasoning_cost,
       sum(m.other_cost) AS other_cost, sum(m.adjustment_cost) AS adjustment_cost, sum(m.reported_cost) AS reported_cost,
       sum(m.avoided_cost) AS avoided_cost, sum(m.prompt_cache_saving) AS prompt_cache_saving, sum(m.cost_without_run) AS cost_without_run, sum(m.score) AS score,
       cost_ledger.summarize(m.call_cost) AS call_cost
FROM cost_ledger_internal.live_call m
GROUP BY 1, m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status, m.served_from;

COMMENT ON VIEW cost_ledger_internal.fresh_month IS 'What calls that are not in rollup_month yet add up to, by month and labels. Columns as in rollup_month and rollup_key.';

-- As an array, of which the planner expects ten days: who asks for some of them gets
-- these from an index.
CREATE VIEW cost_ledger_internal.cube_calendar AS
SELECT d.day,
       cost_ledger_internal.day_start(d.day, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS starts_at,
       cost_ledger_internal.day_start(d.day + 1, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS ends_at
FROM unnest(ARRAY(
    WITH RECURSIVE days (day) AS (
        SELECT min(r.day) FROM cost_ledger_internal.rollup_day r
        UNION ALL
        SELECT (SELECT min(r.day) FROM cost_ledger_internal.rollup_day r WHERE r.day > d.day) FROM days d WHERE d.day IS NOT NULL
    )
    SELECT d.day FROM days d WHERE d.day IS NOT NULL)) AS d (day);

COMMENT ON VIEW cost_ledger_internal.cube_calendar IS 'Days that are in rollup_day, and when they begin.';
COMMENT ON COLUMN cost_ledger_internal.cube_calendar.day IS 'Day of the reporting zone.';
COMMENT ON COLUMN cost_ledger_internal.cube_calendar.starts_at IS 'Its first instant.';
COMMENT ON COLUMN cost_ledger_internal.cube_calendar.ends_at IS 'The first instant of the next.';

CREATE VIEW cost_ledger_internal.live_cube_hour AS
SELECT r.hour, r.hour AS starts_at, cost_ledger_internal.hour_end(r.hour, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS ends_at,
       k.team, k.feature, k.customer, k.flow, k.task_type, k.environment, k.provider, k.model, k.service_class, k.operation, k.status, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.retries, 0) AS retries,
       coalesce(r.tool_calls, 0) AS tool_calls, coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls,
       coalesce(r.scored_calls, 0) AS scored_calls, coalesce(r.corrections, 0) AS corrections, coalesce(r.input_tokens, 0) AS input_tokens,
       coalesce(r.cache_read_tokens, 0) AS cache_read_tokens, coalesce(r.cache_write_tokens, 0) AS cache_write_tokens,
       coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens, coalesce(r.output_tokens, 0) AS output_tokens,
       coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost, r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost,
       r.reported_cost, r.avoided_cost, r.prompt_cache_saving, r.cost_without_run, r.score, r.call_cost,
       'local'::text AS node
FROM cost_ledger_internal.rollup_hour r
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE ((SELECT cost_ledger_internal.sees_all())
       OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
       OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]))
  -- Hashed, however many rows the planner expects.
  AND (r.hour, k.fingerprint) NOT IN (SELECT f.hour, f.fingerprint FROM cost_ledger_internal.fresh_hour f)
UNION ALL
SELECT f.hour, f.hour AS starts_at, cost_ledger_internal.hour_end(f.hour, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS ends_at,
       f.team, f.feature, f.customer, f.flow, f.task_type, f.environment, f.provider, f.model, f.service_class, f.operation, f.status, f.served_from,
       f.calls + coalesce(r.calls, 0), f.priced_calls + coalesce(r.priced_calls, 0), f.unpriced_calls + coalesce(r.unpriced_calls, 0),
       f.retries + coalesce(r.retries, 0), f.tool_calls + coalesce(r.tool_calls, 0), f.accepted_calls + coalesce(r.accepted_calls, 0),
       f.rejected_calls + coalesce(r.rejected_calls, 0), f.scored_calls + coalesce(r.scored_calls, 0), f.corrections + coalesce(r.corrections, 0),
       f.input_tokens + coalesce(r.input_tokens, 0), f.cache_read_tokens + coalesce(r.cache_read_tokens, 0),
       f.cache_write_tokens + coalesce(r.cache_write_tokens, 0), f.cache_write_1h_tokens + coalesce(r.cache_write_1h_tokens, 0),
       f.output_tokens + coalesce(r.output_tokens, 0), f.reasoning_tokens + coalesce(r.reasoning_tokens, 0), coalesce(f.cost + r.cost, f.cost, r.cost),
       coalesce(f.cache_read_cost + r.cache_read_cost, f.cache_read_cost, r.cache_read_cost),
       coalesce(f.cache_write_cost + r.cache_write_cost, f.cache_write_cost, r.cache_write_cost),
       coalesce(f.output_cost + r.output_cost, f.output_cost, r.output_cost), coalesce(f.reasoning_cost + r.reasoning_cost, f.reasoning_cost, r.reasoning_cost), coalesce(f.other_cost + r.other_cost, f.other_cost, r.other_cost),
       coalesce(f.adjustment_cost + r.adjustment_cost, f.adjustment_cost, r.adjustment_cost),
       coalesce(f.reported_cost + r.reported_cost, f.reported_cost, r.reported_cost),
       coalesce(f.avoided_cost + r.avoided_cost, f.avoided_cost, r.avoided_cost), coalesce(f.prompt_cache_saving + r.prompt_cache_saving, f.prompt_cache_saving, r.prompt_cache_saving),
       coalesce(f.cost_without_run + r.cost_without_run, f.cost_without_run, r.cost_without_run), coalesce(f.score + r.score, f.score, r.score),
       coalesce(cost_ledger.merge(f.call_cost, r.call_cost), f.call_cost, r.call_cost),
       'local'::text
FROM cost_ledger_internal.fresh_hour f
LEFT JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = f.fingerprint
LEFT JOIN cost_ledger_internal.rollup_hour r ON r.hour = f.hour AND r.key_id = k.key_id;

COMMENT ON VIEW cost_ledger_internal.live_cube_hour IS 'The cube by hour, each combination of labels once, calls that are not in it yet included, as far as the current role may see them. Columns as in rollup_hour and rollup_key.';

CREATE VIEW cost_ledger_internal.live_cube_day AS
SELECT r.day, p.starts_at, p.ends_at,
       k.team, k.feature, k.customer, k.flow, k.task_type, k.environment, k.provider, k.model, k.service_class, k.operation, k.status, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.retries, 0) AS retries,
       coalesce(r.tool_calls, 0) AS tool_calls, coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls,
       coalesce(r.scored_calls, 0) AS scored_calls, coalesce(r.corrections, 0) AS corrections, coalesce(r.input_tokens, 0) AS input_tokens,
       coalesce(r.cache_read_tokens, 0) AS cache_read_tokens, coalesce(r.cache_write_tokens, 0) AS cache_write_tokens,
       coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens, coalesce(r.output_tokens, 0) AS output_tokens,
       coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost, r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost,
       r.reported_cost, r.avoided_cost, r.prompt_cache_saving, r.cost_without_run, r.score, r.call_cost,
       'local'::text AS node
FROM cost_ledger_internal.cube_calendar p
JOIN cost_ledger_internal.rollup_day r ON r.day = p.day
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE ((SELECT cost_ledger_internal.sees_all())
       OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
       OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]))
  -- Hashed, however many rows the planner expects.
  AND (r.day, k.fingerprint) NOT IN (SELECT f.day, f.fingerprint FROM cost_ledger_internal.fresh_day f)
UNION ALL
SELECT f.day, cost_ledger_internal.day_start(f.day, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS starts_at, cost_ledger_internal.day_start(f.day + 1, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS ends_at,
       f.team, f.feature, f.customer, f.flow, f.task_type, f.environment, f.provider, f.model, f.service_class, f.operation, f.status, f.served_from,
       f.calls + coalesce(r.calls, 0), f.priced_calls + coalesce(r.priced_calls, 0), f.unpriced_calls + coalesce(r.unpriced_calls, 0),
       f.retries + coalesce(r.retries, 0), f.tool_calls + coalesce(r.tool_calls, 0), f.accepted_calls + coalesce(r.accepted_calls, 0),
       f.rejected_calls + coalesce(r.rejected_calls, 0), f.scored_calls + coalesce(r.scored_calls, 0), f.corrections + coalesce(r.corrections, 0),
       f.input_tokens + coalesce(r.input_tokens, 0), f.cache_read_tokens + coalesce(r.cache_read_tokens, 0),
       f.cache_write_tokens + coalesce(r.cache_write_tokens, 0), f.cache_write_1h_tokens + coalesce(r.cache_write_1h_tokens, 0),
       f.output_tokens + coalesce(r.output_tokens, 0), f.reasoning_tokens + coalesce(r.reasoning_tokens, 0), coalesce(f.cost + r.cost, f.cost, r.cost),
       coalesce(f.cache_read_cost + r.cache_read_cost, f.cache_read_cost, r.cache_read_cost),
       coalesce(f.cache_write_cost + r.cache_write_cost, f.cache_write_cost, r.cache_write_cost),
       coalesce(f.output_cost + r.output_cost, f.output_cost, r.output_cost), coalesce(f.reasoning_cost + r.reasoning_cost, f.reasoning_cost, r.reasoning_cost), coalesce(f.other_cost + r.other_cost, f.other_cost, r.other_cost),
       coalesce(f.adjustment_cost + r.adjustment_cost, f.adjustment_cost, r.adjustment_cost),
       coalesce(f.reported_cost + r.reported_cost, f.reported_cost, r.reported_cost),
       coalesce(f.avoided_cost + r.avoided_cost, f.avoided_cost, r.avoided_cost), coalesce(f.prompt_cache_saving + r.prompt_cache_saving, f.prompt_cache_saving, r.prompt_cache_saving),
       coalesce(f.cost_without_run + r.cost_without_run, f.cost_without_run, r.cost_without_run), coalesce(f.score + r.score, f.score, r.score),
       coalesce(cost_ledger.merge(f.call_cost, r.call_cost), f.call_cost, r.call_cost),
       'local'::text
FROM cost_ledger_internal.fresh_day f
LEFT JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = f.fingerprint
LEFT JOIN cost_ledger_internal.rollup_day r ON r.day = f.day AND r.key_id = k.key_id;

COMMENT ON VIEW cost_ledger_internal.live_cube_day IS 'The cube by day, each combination of labels once, calls that are not in it yet included, as far as the current role may see them. Columns as in rollup_day and rollup_key.';

CREATE VIEW cost_ledger_internal.live_cube_month AS
SELECT r.month, cost_ledger_internal.day_start(r.month, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS starts_at,
       cost_ledger_internal.day_start((r.month + interval '1 month')::date, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS ends_at,
       k.team, k.feature, k.customer, k.flow, k.task_type, k.environment, k.provider, k.model, k.service_class, k.operation, k.status, k.served_from,
       r.calls, coalesce(r.priced_calls, 0) AS priced_calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.retries, 0) AS retries,
       coalesce(r.tool_calls, 0) AS tool_calls, coalesce(r.accepted_calls, 0) AS accepted_calls, coalesce(r.rejected_calls, 0) AS rejected_calls,
       coalesce(r.scored_calls, 0) AS scored_calls, coalesce(r.corrections, 0) AS corrections, coalesce(r.input_tokens, 0) AS input_tokens,
       coalesce(r.cache_read_tokens, 0) AS cache_read_tokens, coalesce(r.cache_write_tokens, 0) AS cache_write_tokens,
       coalesce(r.cache_write_1h_tokens, 0) AS cache_write_1h_tokens, coalesce(r.output_tokens, 0) AS output_tokens,
       coalesce(r.reasoning_tokens, 0) AS reasoning_tokens, r.cost, r.cache_read_cost, r.cache_write_cost, r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost,
       r.reported_cost, r.avoided_cost, r.prompt_cache_saving, r.cost_without_run, r.score, r.call_cost,
       'local'::text AS node
FROM cost_ledger_internal.rollup_month r
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE ((SELECT cost_ledger_internal.sees_all())
       OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
       OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]))
  -- Hashed, however many rows the planner expects.
  AND (r.month, k.fingerprint) NOT IN (SELECT f.month, f.fingerprint FROM cost_ledger_internal.fresh_month f)
UNION ALL
SELECT f.month, cost_ledger_internal.day_start(f.month, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS starts_at,
       cost_ledger_internal.day_start((f.month + interval '1 month')::date, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS ends_at,
       f.team, f.feature, f.customer, f.flow, f.task_type, f.environment, f.provider, f.model, f.service_class, f.operation, f.status, f.served_from,
       f.calls + coalesce(r.calls, 0), f.priced_calls + coalesce(r.priced_calls, 0), f.unpriced_calls + coalesce(r.unpriced_calls, 0),
       f.retries + coalesce(r.retries, 0), f.tool_calls + coalesce(r.tool_calls, 0), f.accepted_calls + coalesce(r.accepted_calls, 0),
       f.rejected_calls + coalesce(r.rejected_calls, 0), f.scored_calls + coalesce(r.scored_calls, 0), f.corrections + coalesce(r.corrections, 0),
       f.input_tokens + coalesce(r.input_tokens, 0), f.cache_read_tokens + coalesce(r.cache_read_tokens, 0),
       f.cache_write_tokens + coalesce(r.cache_write_tokens, 0), f.cache_write_1h_tokens + coalesce(r.cache_write_1h_tokens, 0),
       f.output_tokens + coalesce(r.output_tokens, 0), f.reasoning_tokens + coalesce(r.reasoning_tokens, 0), coalesce(f.cost + r.cost, f.cost, r.cost),
       coalesce(f.cache_read_cost + r.cache_read_cost, f.cache_read_cost, r.cache_read_cost),
       coalesce(f.cache_write_cost + r.cache_write_cost, f.cache_write_cost, r.cache_write_cost),
       coalesce(f.output_cost + r.output_cost, f.output_cost, r.output_cost), coalesce(f.reasoning_cost + r.reasoning_cost, f.reasoning_cost, r.reasoning_cost), coalesce(f.other_cost + r.other_cost, f.other_cost, r.other_cost),
       coalesce(f.adjustment_cost + r.adjustment_cost, f.adjustment_cost, r.adjustment_cost),
       coalesce(f.reported_cost + r.reported_cost, f.reported_cost, r.reported_cost),
       coalesce(f.avoided_cost + r.avoided_cost, f.avoided_cost, r.avoided_cost), coalesce(f.prompt_cache_saving + r.prompt_cache_saving, f.prompt_cache_saving, r.prompt_cache_saving),
       coalesce(f.cost_without_run + r.cost_without_run, f.cost_without_run, r.cost_without_run), coalesce(f.score + r.score, f.score, r.score),
       coalesce(cost_ledger.merge(f.call_cost, r.call_cost), f.call_cost, r.call_cost),
       'local'::text
FROM cost_ledger_internal.fresh_month f
LEFT JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = f.fingerprint
LEFT JOIN cost_ledger_internal.rollup_month r ON r.month = f.month AND r.key_id = k.key_id;

COMMENT ON VIEW cost_ledger_internal.live_cube_month IS 'The cube by month, each combination of labels once, calls that are not in it yet included, as far as the current role may see them. Columns as in rollup_month and rollup_key.';

-- Of all, by an index; not of who may not see all.
CREATE VIEW cost_ledger_internal.first_hour AS
SELECT CASE WHEN (SELECT cost_ledger_internal.sees_all())
            THEN least((SELECT min(r.hour) FROM cost_ledger_internal.rollup_hour r), (SELECT min(f.hour) FROM cost_ledger_internal.fresh_hour f))
            ELSE (SELECT min(h.hour) FROM cost_ledger_internal.live_hour h) END AS hour;

COMMENT ON VIEW cost_ledger_internal.first_hour IS 'The first hour of the cube that has calls which the current role may see: one row.';
COMMENT ON COLUMN cost_ledger_internal.first_hour.hour IS 'Start of the hour; NULL without any.';

-- Their columns are those of the rollups, and so are their comments.
DO $comments$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT DISTINCT ON (v.attrelid, v.attname) v.attrelid::regclass AS view, v.attname, coalesce(w.description, col_description(t.attrelid, t.attnum)) AS description
        FROM pg_class r
        JOIN pg_attribute v ON v.attrelid = r.oid AND v.attnum > 0
        LEFT JOIN (VALUES ('starts_at', 'Its first instant.'), ('ends_at', 'The first instant after it.'),
                          ('node', 'Which node of several has the row: local, where there is one.')) AS w (name, description) ON w.name = v.attname
        LEFT JOIN pg_attribute t ON t.attname = v.attname
                                AND t.attrelid IN (('cost_ledger_internal.rollup_' || substring(r.relname FROM '[a-z]*$'))::regclass, 'cost_ledger_internal.rollup_key'::regclass)
        WHERE r.relnamespace = 'cost_ledger_internal'::regnamespace AND r.relname ~ '^(fresh|live_cube)_(hour|day|month)$'
        ORDER BY v.attrelid, v.attname, t.attrelid
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.description);
    END LOOP;
END
$comments$;
