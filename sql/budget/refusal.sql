-- Refusals: added up, and told of.
--
-- Periods begin and end with a minute, so all the rows of a minute are of one.

CREATE FUNCTION cost_ledger_internal.refusal_period(
    period text, metric text, period_length interval, time_zone text, week_start integer, at timestamptz,
    OUT period_start timestamptz, OUT period_end timestamptz
)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT date_bin(period_length, at, '2000-01-03Z'), date_bin(period_length, at, '2000-01-03Z') + period_length
    WHERE period = 'rolling'
    UNION ALL
    SELECT p.period_start, p.period_end
    FROM cost_ledger_internal.budget_period(
        -- What has no period, or one without end, is told of once a day.
        CASE WHEN period = 'request' OR (metric = 'concurrent_calls' AND period = 'total') THEN 'day' ELSE period END,
        at, time_zone, week_start) p
    WHERE period <> 'rolling'
$$;

COMMENT ON FUNCTION cost_ledger_internal.refusal_period(text, text, interval, text, integer, timestamptz) IS
    'The period of a budget for which a refusal is counted: its own, of a rolling one the last multiple of its length, of a limit of requests or of calls at once the day.';

CREATE FUNCTION cost_ledger_internal.new_refusals()
    RETURNS TABLE (budget_id bigint, entity text, period_start timestamptz, period_end timestamptz, refusals bigint, calls bigint, asked numeric,
                   first_at timestamptz, last_at timestamptz, spent numeric, action text)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.new_refusals() IS
    'Refusals that are not in budget_refusal yet, whoever asks, by budget, entity and period: the view that adds them leaves out what its reader may not see.';

CREATE FUNCTION cost_ledger_internal.new_refusals_as_owner()
    RETURNS TABLE (budget_id bigint, entity text, period_start timestamptz, period_end timestamptz, refusals bigint, calls bigint, asked numeric,
                   first_at timestamptz, last_at timestamptz, spent numeric, action text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    WITH minutes AS (
        SELECT r.budget_id, r.entity, date_trunc('minute', r.refused_at) AS minute,
               count(*) FILTER (WHERE r.call_id IS NULL) AS refusals, count(r.call_id) AS calls, sum(r.asked) AS asked,
               min(r.refused_at) AS first_at, max(r.refused_at) AS last_at,
               max(CASE WHEN r.call_id IS NULL THEN r.spent ELSE r.asked END) AS spent, max(r.action) AS action
        FROM cost_ledger_internal.refusal r
        GROUP BY r.budget_id, r.entity, date_trunc('minute', r.refused_at)
    )
    SELECT m.budget_id, m.entity, p.period_start, p.period_end, sum(m.refusals)::bigint, sum(m.calls)::bigint, sum(m.asked),
           min(m.first_at), max(m.last_at), max(m.spent), max(m.action)
    FROM minutes m
    JOIN cost_ledger.budget b ON b.budget_id = m.budget_id
    CROSS JOIN cost_ledger.ledger l
    CROSS JOIN LATERAL cost_ledger_internal.refusal_period(b.period, b.metric, b.period_length, coalesce(b.time_zone, l.time_zone), b.week_start, m.minute) p
    GROUP BY m.budget_id, m.entity, p.period_start, p.period_end
$$;

COMMENT ON FUNCTION cost_ledger_internal.new_refusals_as_owner() IS
    'The body of new_refusals().';

CREATE FUNCTION cost_ledger_internal.refused_threshold(thresholds numeric[], actions text[], used_ratio numeric, OUT threshold numeric, OUT action text)
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.threshold, t.action
    FROM unnest(thresholds, actions) AS t (threshold, action)
    WHERE used_ratio IS NULL OR t.threshold <= used_ratio
    ORDER BY CASE WHEN used_ratio IS NULL AND t.action NOT IN ('defer', 'stop') THEN 1 ELSE 0 END,
             CASE WHEN used_ratio IS NULL THEN t.threshold ELSE -t.threshold END
    LIMIT 1
$$;

COMMENT ON FUNCTION cost_ledger_internal.refused_threshold(numeric[], text[], numeric) IS
    'The threshold that nothing may go beyond; or, of what was used all the same, a fraction of the limit, the highest that this has reached.';

CREATE FUNCTION cost_ledger_internal.fold_refusals(at timestamptz) RETURNS bigint[]
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    -- All of it sees the same rows: those that are added up are those that go.
    WITH sums AS MATERIALIZED (
        SELECT n.* FROM cost_ledger_internal.new_refusals_as_owner() n
    ), gone AS (
        DELETE FROM cost_ledger_internal.refusal
    ), folded AS (
        INSERT INTO cost_ledger_internal.budget_refusal AS f (budget_id, entity, period_start, period_end, refusals, calls, asked, first_at, last_at)
        SELECT n.budget_id, n.entity, n.period_start, n.period_end, n.refusals, n.calls, n.asked, n.first_at, n.last_at
        FROM sums n
        ORDER BY n.budget_id, n.entity, n.period_start
        ON CONFLICT (budget_id, entity, period_start) DO UPDATE SET
            period_end = greatest(f.period_end, excluded.period_end), refusals = f.refusals + excluded.refusals, calls = f.calls + excluded.calls,
            asked = f.asked + excluded.asked, first_at = least(f.first_at, excluded.first_at), last_at = greatest(f.last_at, excluded.last_at)
    ), first AS (
        SELECT nextval(pg_get_serial_sequence('cost_ledger.alert', 'alert_id')) AS id, n.*, b.name, b.period, v.version, v.limit_amount,
               CASE WHEN n.refusals > 0 THEN 'stopped' ELSE 'exceeded' END AS kind, t.threshold, coalesce(n.action, t.action) AS level,
               CASE b.metric WHEN 'cost' THEN l.currency ELSE b.metric END AS unit, n.period_end <= at AS is_late,
               cost_ledger_internal.budget_severity(b.severity, b.period, b.scope, b.each_of, t.threshold) AS severity,
               cost_ledger_internal.entity_scope(b.scope, b.each_of, n.entity) AS scope
        FROM sums n
        JOIN cost_ledger.budget b ON b.budget_id = n.budget_id AND b.is_active
        CROSS JOIN cost_ledger.ledger l
        CROSS JOIN LATERAL (
            SELECT v.* FROM cost_ledger.budget_version v
            WHERE v.budget_id = b.budget_id AND v.valid_from <= at AND (v.valid_to IS NULL OR v.valid_to > at)
            ORDER BY v.version DESC LIMIT 1) v
        CROSS JOIN LATERAL cost_ledger_internal.refused_threshold(v.thresholds, v.actions, CASE WHEN n.refusals = 0 THEN n.spent / v.limit_amount END) t
        WHERE NOT EXISTS (
            SELECT FROM cost_ledger.alert a
            WHERE a.budget_id = n.budget_id AND a.entity = n.entity AND a.starts_at = n.period_start AND a.basis = 'refused')
        ORDER BY n.budget_id, n.entity, n.period_start
    ), raised AS (
        INSERT INTO cost_ledger.alert (alert_id, budget_id, budget_version, entity, starts_at, ends_at, kind, basis, threshold,
                                       level, severity, is_late, spent, limit_amount, currency, unpriced_calls, scope, payload)
        SELECT f.id, f.budget_id, f.version, f.entity, f.period_start, f.period_end, f.kind, 'refused', f.threshold,
               f.level, f.severity, f.is_late, f.spent, f.limit_amount, f.unit, 0, f.scope,
               cost_ledger_internal.fit_message(jsonb_build_object(
                   'v', 1, 'id', f.id, 'kind', f.kind, 'level', f.level, 'severity', f.severity,
                   'budget', f.name, 'budget_id', f.budget_id, 'budget_version', f.version, 'scope', f.scope,
                   'period', jsonb_build_object('kind', f.period, 'starts_at', cost_ledger_internal.message_time(f.period_start),
                                                'ends_at', cost_ledger_internal.message_time(f.period_end)),
                   'basis', 'refused', 'threshold', f.threshold::text,
                   'spent', cost_ledger_internal.short_amount(f.spent), 'limit_amount', cost_ledger_internal.short_amount(f.limit_amount),
                   'currency', f.unit, 'refusals', f.refusals, 'asked', cost_ledger_internal.short_amount(f.asked),
                   'as_of', cost_ledger_internal.message_time(at), 'is_late', f.is_late))
        FROM first f
        ON CONFLICT ON CONSTRAINT alert_once DO NOTHING
        RETURNING alert_id
    )
    SELECT coalesce(array_agg(r.alert_id), '{}') FROM raised r
$$;

COMMENT ON FUNCTION cost_ledger_internal.fold_refusals(timestamptz) IS
    'Adds new refusals to budget_refusal, and records an alert for the first of a budget, entity and period: of kind stopped, or exceeded for a call above the limit of a request that nobody was asked about. Returns the ids.';

CREATE FUNCTION cost_ledger_internal.least_request_limit(metric text) RETURNS numeric
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(v.limit_amount * coalesce(t.threshold, 1))
    FROM cost_ledger.budget b
    JOIN cost_ledger.budget_version v ON v.budget_id = b.budget_id
    LEFT JOIN LATERAL (
        SELECT min(t.threshold) AS threshold FROM unnest(v.thresholds, v.actions) AS t (threshold, action) WHERE t.action IN ('defer', 'stop')) t ON true
    WHERE b.is_active AND b.period = 'request' AND b.metric = least_request_limit.metric
$$;

COMMENT ON FUNCTION cost_ledger_internal.least_request_limit(text) IS
    'The lowest limit that any single request has, of cost or tokens; NULL where there is none.';

CREATE FUNCTION cost_ledger_internal.note_exceeding_calls(condition text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    least_cost numeric := cost_ledger_internal.least_request_limit('cost');
    least_tokens numeric := cost_ledger_internal.least_request_limit('tokens');
BEGIN
    IF least_cost IS NULL AND least_tokens IS NULL THEN
        RETURN;
    END IF;
    -- Few calls are above any limit; what is loaded of long ago is no news.
    EXECUTE format($query$
        INSERT INTO cost_ledger_internal.refusal (budget_id, entity, refused_at, asked, spent, action, call_id)
        SELECT b.budget_id, n.entity, c.called_at, a.amount, 0, t.action, c.call_id
        FROM (SELECT c.called_at, c.call_id, c.cost,
                     CASE WHEN c.served_from = 'model' THEN coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0) END AS tokens,
                     (SELECT jsonb_object_agg(l.key, l.value) FROM jsonb_each(to_jsonb(c)) l
                      WHERE l.value <> 'null' AND l.key = ANY (cost_ledger_internal.budget_columns() || '{tags}'::text[])) AS labels
              FROM cost_ledger.call c
              WHERE (%s) AND c.corrects IS NULL AND c.restates IS NULL AND c.called_at > now() - interval '1 day'
                AND (c.cost > $1 OR c.input_tokens + coalesce(c.output_tokens, 0) > $2 OR c.output_tokens > $2)
              OFFSET 0) c
        CROSS JOIN LATERAL unnest(cost_ledger_internal.budget_keys(c.labels)) AS k (key)
        JOIN cost_ledger.budget b ON b.match_key = k.key AND b.is_active AND b.period = 'request' AND cost_ledger_internal.matches_filter(c.labels, b.scope)
        CROSS JOIN LATERAL (
            SELECT v.* FROM cost_ledger.budget_version v
            WHERE v.budget_id = b.budget_id AND v.valid_from <= now() AND (v.valid_to IS NULL OR v.valid_to > now())
            ORDER BY v.version DESC LIMIT 1) v
        CROSS JOIN LATERAL (SELECT CASE b.metric WHEN 'cost' THEN c.cost WHEN 'tokens' THEN c.tokens END AS amount) a
        CROSS JOIN LATERAL (SELECT cost_ledger_internal.entity_of(cost_ledger_internal.each_columns(b.each_of), c.labels) AS entity) n
        CROSS JOIN LATERAL (
            SELECT coalesce(min(u.threshold) FILTER (WHERE u.action IN ('defer', 'stop')), 1) AS hard,
                   (array_agg(u.action ORDER BY u.threshold DESC) FILTER (WHERE u.threshold * v.limit_amount <= a.amount))[1] AS action
            FROM unnest(v.thresholds, v.actions) AS u (threshold, action)) t
        WHERE n.entity IS NOT NULL AND a.amount > t.hard * v.limit_amount
          AND NOT cost_ledger_internal.is_excepted(b.budget_id, c.labels)
        $query$, condition) USING least_cost, least_tokens;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.note_exceeding_calls(text) IS
    'Puts on record which of the rows c of call for which a condition holds are above the limit of a single request: with a hold, they cost more than was held; without one, nobody was asked.';
