-- Thresholds: what budgets have reached, and of which nobody has heard yet.
--
-- One evaluator at a time (the lock check_budgets): the next finds what the one
-- before has raised.  Everything is done for all budgets at once, so that ten
-- thousand entities over their limit cost one statement.

CREATE FUNCTION cost_ledger_internal.budget_severity(severity text, period text, scope jsonb, each_of text, threshold numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(severity, CASE
        WHEN threshold < 1 OR period IN ('request', 'minute') OR cost_ledger_internal.each_columns(each_of) && '{run_id,session_id}'
             OR scope ?| '{run_id,session_id}' THEN 'review'
        ELSE 'page' END)
$$;

COMMENT ON FUNCTION cost_ledger_internal.budget_severity(text, text, jsonb, text, numeric) IS
    'How urgent it is that a threshold of a budget was reached: what the budget says, else as budget.severity tells.';

CREATE FUNCTION cost_ledger_internal.checked_from(period text, at timestamptz, since timestamptz, time_zone text, week_start integer) RETURNS timestamptz
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN period = 'total' THEN '-infinity'
        WHEN period = 'rolling' THEN at
        ELSE least(
            CASE WHEN period = 'minute' THEN c.period_start - interval '10 minutes'
                 ELSE (cost_ledger_internal.budget_period(period, c.period_start - interval '1 microsecond', time_zone, week_start)).period_start END,
            (cost_ledger_internal.budget_period(period, least(since, at), time_zone, week_start)).period_start) END
    FROM cost_ledger_internal.budget_period(period, at, time_zone, week_start) c
$$;

COMMENT ON FUNCTION cost_ledger_internal.checked_from(text, timestamptz, timestamptz, text, integer) IS
    'Start of the earliest period that a check looks at: the one before the current, for calls that came late (of minutes, ten), or the one in which the last check was, whichever is earlier.';

CREATE FUNCTION cost_ledger_internal.checked_budgets(at timestamptz, since timestamptz, only_budget bigint)
    RETURNS TABLE (budget_id bigint, version integer, name text, unit text, period text, scope jsonb, each_of text, include text, severity text,
                   limit_amount numeric, thresholds numeric[], actions text[], degrade_to text, is_version_now boolean,
                   is_duration boolean, period_length interval, time_zone text, week_start integer,
                   period_start timestamptz, period_end timestamptz, checked_from timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    -- Most budgets share a period: it is worked out once for each kind.
    WITH kinds AS MATERIALIZED (
        SELECT k.*, c.period_start, c.period_end,
               cost_ledger_internal.checked_from(k.period, at, since, k.zone, k.week_start) AS checked_from
        FROM (SELECT DISTINCT b.period, coalesce(b.time_zone, l.time_zone) AS zone, b.week_start, b.period_length
              FROM cost_ledger.budget b CROSS JOIN cost_ledger.ledger l
              WHERE b.is_active AND b.budget_id = coalesce(only_budget, b.budget_id)) k
        CROSS JOIN LATERAL cost_ledger_internal.budget_period(k.period, at, k.zone, k.week_start, k.period_length) c
    )
    SELECT b.budget_id, v.version, b.name, CASE b.metric WHEN 'cost' THEN l.currency ELSE b.metric END, b.period, b.scope, b.each_of, b.include, b.severity,
           v.limit_amount, v.thresholds, v.actions, v.degrade_to, v.version = v.version_now,
           b.metric = 'duration', b.period_length, z.zone, b.week_start,
           p.period_start, p.period_end, p.checked_from
    FROM cost_ledger.budget b
    CROSS JOIN cost_ledger.ledger l
    CROSS JOIN LATERAL (SELECT coalesce(b.time_zone, l.time_zone) AS zone) z
    JOIN kinds p
        ON p.period = b.period AND p.zone = z.zone AND p.week_start = b.week_start AND p.period_length IS NOT DISTINCT FROM b.period_length
    -- The limit of now, and raises that have ended since periods did that are
    -- looked at.
    CROSS JOIN LATERAL (
        SELECT v.*, n.version AS version_now
        FROM (SELECT v.version FROM cost_ledger.budget_version v
              WHERE v.budget_id = b.budget_id AND v.valid_from <= now() AND (v.valid_to IS NULL OR v.valid_to > now())
              ORDER BY v.version DESC LIMIT 1) n
        JOIN cost_ledger.budget_version v
            ON v.budget_id = b.budget_id
           AND (v.version = n.version OR (v.version > n.version AND v.valid_to >= p.checked_from))) v
    WHERE b.is_active AND b.budget_id = coalesce(only_budget, b.budget_id)
      AND b.period <> 'request' AND b.metric <> 'concurrent_calls'
$$;

COMMENT ON FUNCTION cost_ledger_internal.checked_budgets(timestamptz, timestamptz, bigint) IS
    'Active budgets (or one), a row for each limit that a period from checked_from to now may be held against.';

CREATE FUNCTION cost_ledger_internal.tree_balances(budget_id bigint, first_start timestamptz, last_start timestamptz)
    RETURNS TABLE (entity text, period_start timestamptz, posted numeric, unpriced_calls bigint, first_at timestamptz, last_at timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    WITH known AS MATERIALIZED (
        SELECT coalesce(r.root_run_id, s.entity) AS run_id, s.period_start,
               sum(s.posted) AS posted, sum(s.unpriced_calls)::bigint AS unpriced_calls, min(s.first_at) AS first_at, max(s.last_at) AS last_at
        FROM cost_ledger_internal.budget_balance s
        LEFT JOIN cost_ledger_internal.rollup_run r ON r.run_id = s.entity
        WHERE s.budget_id = tree_balances.budget_id
          AND s.period_start >= tree_balances.first_start AND s.period_start <= tree_balances.last_start
        GROUP BY 1, 2
    )
    -- Few runs are known from reserve() only.
    SELECT n.entity, k.period_start, sum(k.posted), sum(k.unpriced_calls)::bigint, min(k.first_at), max(k.last_at)
    FROM known k
    LEFT JOIN (SELECT DISTINCT h.run_id FROM cost_ledger_internal.hold h WHERE h.parent_run_id IS NOT NULL) t ON t.run_id = k.run_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN t.run_id IS NULL THEN k.run_id ELSE cost_ledger_internal.told_root(k.run_id, NULL) END COLLATE "C" AS entity) n
    GROUP BY 1, 2
$$;

COMMENT ON FUNCTION cost_ledger_internal.tree_balances(bigint, timestamptz, timestamptz) IS
    'Balances of a budget that includes subruns, of the periods from first_start to last_start: of each run at the top, together with all below it.';

CREATE FUNCTION cost_ledger_internal.reached_budgets(at timestamptz, since timestamptz, only_budget bigint)
    RETURNS TABLE (budget_id bigint, version integer, name text, unit text, period text, scope jsonb, severity text, each_of text,
                   limit_amount numeric, thresholds numeric[], actions text[], degrade_to text, entity text,
                   period_start timestamptz, period_end timestamptz, is_late boolean, spent numeric, unpriced_calls bigint, seeded_in timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    SELECT b.budget_id, b.version, b.name, b.unit, b.period,
           CASE WHEN b.each_of IS NULL THEN b.scope ELSE cost_ledger_internal.entity_scope(b.scope, b.each_of, s.entity) END, b.severity, b.each_of,
           b.limit_amount, b.thresholds, b.actions, b.degrade_to, s.entity,
           s.period_start, e.period_end, s.period_start < b.period_start AND b.period <> 'rolling',
           s.spent, s.unpriced_calls,
           CASE WHEN b.period = 'rolling' THEN s.period_start - b.period_length END
    FROM cost_ledger_internal.checked_budgets(at, since, only_budget) b
    CROSS JOIN LATERAL (
        SELECT x.entity, x.period_start, CASE WHEN b.is_duration THEN extract(epoch FROM x.last_at - x.first_at) ELSE x.posted END AS spent, x.unpriced_calls
        FROM cost_ledger_internal.budget_balance x
        WHERE b.period <> 'rolling' AND b.include IS NULL AND x.budget_id = b.budget_id
          AND x.period_start <= b.period_start AND x.period_start >= b.checked_from
        UNION ALL
        SELECT x.entity, x.period_start, CASE WHEN b.is_duration THEN extract(epoch FROM x.last_at - x.first_at) ELSE x.posted END, x.unpriced_calls
        FROM cost_ledger_internal.tree_balances(b.budget_id, b.checked_from, b.period_start) x
        WHERE b.period <> 'rolling' AND b.include IS NOT NULL
        UNION ALL
        -- A rolling period has no beginning: once per its length it is.
        SELECT n.entity, date_bin(b.period_length, at, '2000-01-03Z'), sum(x.posted), sum(x.unpriced_calls)::bigint
        FROM cost_ledger_internal.budget_balance x
        CROSS JOIN LATERAL (
            SELECT CASE WHEN b.include IS NULL THEN x.entity ELSE cost_ledger_internal.root_of_run_as_owner(x.entity) END COLLATE "C" AS entity) n
        WHERE b.period = 'rolling' AND x.budget_id = b.budget_id AND x.period_start >= b.period_start AND x.period_start < b.period_end
        GROUP BY n.entity) s
    CROSS JOIN LATERAL (
        SELECT CASE WHEN b.period = 'rolling' THEN s.period_start + b.period_length
                    WHEN s.period_start = b.period_start THEN b.period_end
                    ELSE (cost_ledger_internal.budget_period(b.period, s.period_start, b.time_zone, b.week_start)).period_end END AS period_end) e
    WHERE s.spent >= b.thresholds[1] * b.limit_amount
      -- A period that is over is held against the limit it ended with.
      AND CASE WHEN s.period_start >= b.period_start OR b.period = 'rolling' THEN b.is_version_now
               ELSE b.version = (SELECT max(v.version) FROM cost_ledger.budget_version v
                                 WHERE v.budget_id = b.budget_id AND v.valid_from < e.period_end
                                   AND (v.valid_to IS NULL OR v.valid_to >= e.period_end)) END
$$;

COMMENT ON FUNCTION cost_ledger_internal.reached_budgets(timestamptz, timestamptz, bigint) IS
    'Budgets with their entities and periods that have reached their first threshold, whether there are alerts of it or not.';

CREATE FUNCTION cost_ledger_internal.short_amount(amount numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT trim_scale(CASE WHEN length(amount::text) > 40 THEN round(amount, 10) ELSE amount END)::text $$;

COMMENT ON FUNCTION cost_ledger_internal.short_amount(numeric) IS
    'An amount as messages write it: a string, for JSON numbers become binary fractions in most hands; of more than 40 digits, ten decimals.';

CREATE FUNCTION cost_ledger_internal.raise_budgets(at timestamptz, since timestamptz, seeded_budget bigint) RETURNS bigint[]
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    WITH crossed AS (
        SELECT r.*, t.threshold, t.action, o.occurrence
        FROM cost_ledger_internal.reached_budgets(at, since, seeded_budget) r
        CROSS JOIN LATERAL unnest(r.thresholds, r.actions) AS t (threshold, action)
        CROSS JOIN LATERAL (
            SELECT coalesce(max(a.occurrence) FILTER (WHERE a.starts_at = r.period_start), 0) + 1 AS occurrence,
                   count(*) > count(a.resolved_at) AS is_open
            FROM cost_ledger.alert a
            WHERE a.budget_id = r.budget_id AND a.budget_version = r.version AND a.entity = r.entity
              -- What was seeded is in a rolling window up to its length later.
              AND (a.starts_at = r.period_start OR (a.kind = 'seeded' AND a.starts_at = r.seeded_in))
              AND a.basis = 'actual' AND a.threshold = t.threshold) o
        WHERE r.spent >= t.threshold * r.limit_amount AND NOT o.is_open
        ORDER BY r.budget_id, r.entity, r.period_start, t.threshold
    ), numbered AS (
        SELECT nextval(pg_get_serial_sequence('cost_ledger.alert', 'alert_id')) AS id, c.*,
               CASE WHEN seeded_budget IS NULL THEN 'threshold' ELSE 'seeded' END AS kind,
               cost_ledger_internal.budget_severity(c.severity, c.period, c.scope, c.each_of, c.threshold) AS urgency
        FROM crossed c
    ), raised AS (
        INSERT INTO cost_ledger.alert (alert_id, budget_id, budget_version, entity, starts_at, ends_at, kind, basis, threshold,
                                       occurrence, level, severity, is_late, spent, limit_amount, currency, unpriced_calls, scope,
                                       acknowledged_at, acknowledged_by, payload)
        SELECT n.id, n.budget_id, n.version, n.entity, n.period_start, n.period_end, n.kind, 'actual', n.threshold,
               n.occurrence, n.action, n.urgency, n.is_late, n.spent, n.limit_amount, n.unit, n.unpriced_calls, n.scope,
               -- Who sets a budget on a filled ledger knows that it is filled.
               CASE WHEN n.kind = 'seeded' THEN now() END, CASE WHEN n.kind = 'seeded' THEN cost_ledger_internal.caller() END,
               cost_ledger_internal.fit_message(jsonb_build_object(
                   'v', 1, 'id', n.id, 'kind', n.kind, 'level', n.action, 'severity', n.urgency,
                   'budget', n.name, 'budget_id', n.budget_id, 'budget_version', n.version, 'scope', n.scope,
                   'period', jsonb_build_object('kind', n.period, 'starts_at', cost_ledger_internal.message_time(n.period_start),
                                                'ends_at', cost_ledger_internal.message_time(n.period_end)),
                   'basis', 'actual', 'threshold', n.threshold::text,
                   'crossed', (SELECT jsonb_agg(t::text ORDER BY t) FROM unnest(n.thresholds) AS t WHERE n.spent >= t * n.limit_amount),
                   'spent', cost_ledger_internal.short_amount(n.spent), 'limit_amount', cost_ledger_internal.short_amount(n.limit_amount),
                   'currency', n.unit, 'unpriced_calls', n.unpriced_calls,
                   'as_of', cost_ledger_internal.message_time(at), 'watermark', (SELECT s.rows_consumed FROM cost_ledger_internal.rollup_state s),
                   'occurrence', n.occurrence, 'is_late', n.is_late)
                   || CASE n.action WHEN 'degrade' THEN jsonb_build_object('degrade_to', left(n.degrade_to, 100)) ELSE '{}' END)
        FROM numbered n
        ON CONFLICT ON CONSTRAINT alert_once DO NOTHING
        RETURNING alert_id
    )
    SELECT coalesce(array_agg(r.alert_id), '{}') FROM raised r
$$;

COMMENT ON FUNCTION cost_ledger_internal.raise_budgets(timestamptz, timestamptz, bigint) IS
    'Records an alert for each threshold that was crossed and has no open one, in the order of budget, entity and period, and returns their ids. Of one budget that is set then: seeded, and acknowledged by who sets it.';

CREATE FUNCTION cost_ledger_internal.resolve_budgets(at timestamptz) RETURNS bigint[]
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    WITH resolved AS (
        UPDATE cost_ledger.alert a
            SET resolved_at = clock_timestamp()
            FROM cost_ledger.budget b
            -- A rolling window ends long after the alert's period.
            WHERE a.rule_id IS NULL AND a.resolved_at IS NULL AND a.ends_at > at - coalesce(b.period_length, '0')
              AND b.budget_id = a.budget_id AND b.is_active AND b.metric <> 'duration'
              AND a.basis = 'actual'
              AND (SELECT coalesce(sum(s.posted), 0)
                   FROM cost_ledger_internal.budget_balance s
                   WHERE s.budget_id = a.budget_id
                     AND (s.entity = a.entity OR b.include IS NOT NULL AND s.entity IN (SELECT cost_ledger_internal.subruns(a.entity)))
                     AND CASE WHEN b.period = 'rolling' THEN s.period_start >= date_trunc('minute', at - b.period_length)
                              ELSE s.period_start = a.starts_at END)
                  < a.threshold * a.limit_amount * 0.95
            RETURNING a.alert_id
    )
    SELECT coalesce(array_agg(r.alert_id), '{}') FROM resolved r
$$;

COMMENT ON FUNCTION cost_ledger_internal.resolve_budgets(timestamptz) IS
    'Resolves the alerts of budgets whose period (a rolling one: window) is not over and of which less than 95 percent of the threshold is spent, and returns their ids.';

CREATE FUNCTION cost_ledger_internal.check_budgets(at timestamptz, seeded_budget bigint DEFAULT NULL, since timestamptz DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    raised bigint[];
BEGIN
    IF seeded_budget IS NULL THEN
        PERFORM cost_ledger_internal.take_lock('check_budgets');
        -- What has fallen well below a threshold in its period, by a correction,
        -- may cross it again.
        PERFORM cost_ledger_internal.put_bells(cost_ledger_internal.resolve_budgets(at), 'resolved');
    END IF;
    raised := cost_ledger_internal.raise_budgets(at, since, seeded_budget);
    IF seeded_budget IS NULL THEN
        raised := raised || cost_ledger_internal.fold_refusals(at);
        PERFORM cost_ledger_internal.put_bells(raised);
    END IF;
    RETURN cardinality(raised);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_budgets(timestamptz, bigint, timestamptz) IS
    'check_budgets() for the periods that an instant falls in, and those since another; or what has been reached of one budget that is set then, of which nobody is told.';

CREATE FUNCTION cost_ledger_internal.forget_minutes() RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM cost_ledger_internal.budget_balance s
        USING (SELECT o.budget_id, o.entity, o.period_start
               FROM cost_ledger.budget b
               JOIN cost_ledger_internal.budget_balance o USING (budget_id)
               WHERE b.period IN ('minute', 'rolling') AND o.held = 0
                 AND o.period_start > '-infinity' AND o.period_start < now() - coalesce(b.period_length, '0') - interval '1 day'
               FOR UPDATE OF o SKIP LOCKED) o
        WHERE s.budget_id = o.budget_id AND s.entity = o.entity AND s.period_start = o.period_start
$$;

COMMENT ON FUNCTION cost_ledger_internal.forget_minutes() IS
    'Drops balances of minutes that nobody looks at any more.';

CREATE FUNCTION cost_ledger_internal.check_all_budgets() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    PERFORM cost_ledger_internal.take_lock('check_budgets');
    made := cost_ledger_internal.check_budgets(now(), since => (SELECT s.budgets_checked_at FROM cost_ledger_internal.alert_state s));
    UPDATE cost_ledger_internal.alert_state s SET budgets_checked_at = greatest(s.budgets_checked_at, now());
    PERFORM cost_ledger_internal.expire_holds();
    PERFORM cost_ledger_internal.forget_minutes();
    RETURN made;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_all_budgets() IS
    'check_budgets() without its bell: what the job does, which rings in a transaction of its own.';

CREATE FUNCTION cost_ledger.check_budgets() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint := cost_ledger_internal.check_all_budgets();
BEGIN
    PERFORM cost_ledger_internal.try_notify();
    RETURN made;
END
$$;

COMMENT ON FUNCTION cost_ledger.check_budgets() IS
    'Compares every active budget, and each of its entities, with what was spent in its current period, in the one before for calls that came late, and in every one since the last check; records an alert for each threshold crossed, once per budget version, entity and period, and returns how many. A period that is over is held against the limit it ended with, unless that was changed for good since. When a correction brings spend below 95 percent of a threshold, its alert is resolved, and crossing it again is the next occurrence. What was spent is what refresh() has seen, and every call with a hold. Then it rings, as notify_alerts() does: one message per budget. The job calls it every minute.';
