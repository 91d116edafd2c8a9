-- Alerts of rules: everything that somebody should hear of and that is no
-- budget's threshold.

CREATE FUNCTION cost_ledger_internal.run_within(command text, time_limit interval) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_run_within';
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.run_within(text, interval) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.run_within(text, interval) IS
    'Runs a SELECT of one row and returns its bigint; an error (LC004) if that is not over within time_limit, NULL for any time. A cancel by somebody else stays one (57014).';

CREATE FUNCTION cost_ledger_internal.find_signal(kind text) RETURNS regclass
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    signal regclass := to_regclass(format('cost_ledger_internal.%I', 'signal_' || kind));
    owner name;
BEGIN
    IF signal IS NOT NULL THEN
        RETURN signal;
    END IF;
    signal := to_regclass(format('cost_ledger.%I', 'signal_' || kind));
    IF signal IS NULL THEN
        RAISE EXCEPTION 'there is nothing to watch of kind "%"', kind
            USING ERRCODE = 'undefined_table',
                  HINT = format('Make a view cost_ledger.signal_%s with subject text, value numeric and detail text, or switch the rule off.', kind);
    END IF;
    -- The functions that a view calls have the rights of who reads it.
    owner := (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = signal);
    IF owner <> current_user THEN
        RAISE EXCEPTION 'view % belongs to role "%", and is not read by role "%"', signal, owner, current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('If you trust its definition: ALTER VIEW %s OWNER TO %I;', signal, current_user);
    END IF;
    RETURN signal;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.find_signal(text) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.find_signal(text) IS
    'The view that rules of a kind compare: one of ours, or cost_ledger.signal_<kind> that users have made; an error where there is none (42P01), or where it is not of the role that would read it (42501).';

CREATE FUNCTION cost_ledger_internal.check_rule(rule_id bigint) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    rule record;
    signal record;
    open_alert bigint;
    seen text[] := '{}';
    id bigint;
    message jsonb;
    made bigint := 0;
BEGIN
    SELECT r.*, coalesce(r.clear_below, r.threshold * 0.95) AS clears_below INTO STRICT rule
        FROM cost_ledger.alert_rule r WHERE r.rule_id = check_rule.rule_id;
    -- Subjects come from callers: one that is too long for an index must not
    -- cost the others their alerts, nor may two of one name resolve each
    -- other's.
    FOR signal IN
        EXECUTE format($query$
            SELECT DISTINCT ON (1) coalesce(cost_ledger_internal.shorten_id(s.subject::text), '') COLLATE "C" AS subject,
                   s.value::numeric AS value, coalesce(s.detail::jsonb, '{}') AS detail
            FROM %s s
            WHERE s.value IS NOT NULL AND cost_ledger_internal.matches_filter(coalesce(s.detail::jsonb, '{}'), $1)
            ORDER BY 1, 2 DESC
            $query$, cost_ledger_internal.find_signal(rule.kind))
            USING rule.scope
    LOOP
        seen := seen || signal.subject;
        SELECT a.alert_id INTO open_alert
            FROM cost_ledger.alert a
            WHERE a.rule_id = rule.rule_id AND a.subject = signal.subject AND a.resolved_at IS NULL;
        IF open_alert IS NOT NULL AND signal.value < rule.clears_below THEN
            UPDATE cost_ledger.alert a SET resolved_at = clock_timestamp() WHERE a.alert_id = open_alert RETURNING a.payload INTO message;
            PERFORM cost_ledger_internal.notify_alert(message || '{"kind": "resolved"}');
        ELSIF open_alert IS NULL AND signal.value >= rule.threshold THEN
            id := nextval(pg_get_serial_sequence('cost_ledger.alert', 'alert_id'));
            message := cost_ledger_internal.fit_message(jsonb_build_object(
                'v', 1,
                'id', id,
                'kind', rule.kind,
                'level', rule.severity,
                'rule', rule.name,
                'rule_id', rule.rule_id,
                'scope', jsonb_build_object('subject', signal.subject),
                'value', trim_scale(round(signal.value, 10))::text,
                'threshold', rule.threshold::text,
                'watermark', (SELECT s.rows_consumed FROM cost_ledger_internal.rollup_state s),
                'as_of', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')));
            INSERT INTO cost_ledger.alert (alert_id, rule_id, subject, value, kind, basis, threshold, level, scope, payload, occurrence)
                VALUES (id, rule.rule_id, signal.subject, signal.value, rule.kind, 'signal', rule.threshold, rule.severity,
                        signal.detail, message,
                        1 + (SELECT count(*) FROM cost_ledger.alert a
                             WHERE a.rule_id = rule.rule_id AND a.subject = signal.subject));
            PERFORM cost_ledger_internal.notify_alert(message);
            made := made + 1;
        END IF;
    END LOOP;
    -- A subject that is gone is over.
    FOR message IN
        UPDATE cost_ledger.alert a SET resolved_at = clock_timestamp()
            WHERE a.rule_id = rule.rule_id AND a.resolved_at IS NULL AND a.subject <> ALL (seen)
            RETURNING a.payload
    LOOP
        PERFORM cost_ledger_internal.notify_alert(message || '{"kind": "resolved"}');
    END LOOP;
    RETURN made;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.check_rule(bigint) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.check_rule(bigint) IS
    'One rule of check_rules(): raises and resolves its alerts, and returns how many were raised.';

CREATE FUNCTION cost_ledger.check_rules() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rule record;
    error text;
    hint text;
    made bigint := 0;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    -- Two evaluators come after each other: the second finds the alerts of the
    -- first.
    PERFORM cost_ledger_internal.take_lock('check_rules');
    FOR rule IN
        SELECT r.rule_id, r.name, r.time_limit
        FROM cost_ledger.alert_rule r
        WHERE r.is_active
        ORDER BY r.rule_id
    LOOP
        -- A rule that cannot be evaluated, or not in time, must not silence the
        -- others.
        BEGIN
            made := made + cost_ledger_internal.run_within(format('SELECT cost_ledger_internal.check_rule(%s)', rule.rule_id), rule.time_limit);
            error := NULL;
        EXCEPTION WHEN OTHERS THEN
            error := format('%s: %s', SQLSTATE, SQLERRM);
            GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
            RAISE WARNING 'alert rule "%" was not evaluated: %', rule.name, error
                USING HINT = coalesce(nullif(hint, ''), 'SELECT name, last_error FROM cost_ledger.alert_rule;');
        END;
        UPDATE cost_ledger.alert_rule r SET last_error = error WHERE r.rule_id = rule.rule_id AND r.last_error IS DISTINCT FROM error;
    END LOOP;
    RETURN made;
END
$$;

COMMENT ON FUNCTION cost_ledger.check_rules() IS
    'Compares what each active rule of alert_rule watches with its threshold; records an alert for each subject at or above it, once until it is resolved, and returns how many. Resolved is what falls below clear_below, or is gone: has no row or no value any more, or not in the rule''s scope. Of rows with the same subject the highest counts. With the commit, channel cost_ledger_alert gets one JSON message per alert, and again, of kind resolved, when it is over. The job calls it every minute. A rule that cannot be evaluated, because its view is missing, fails or takes longer than time_limit, gives a warning and keeps the error in last_error.';

-- What needs sums by minute of all calls, but shows those of the caller: the body
-- has the owner's rights, and is told what the caller may see.  The function people
-- call is parsed when it is made, as a view is, so that it may call what they cannot
-- name.

CREATE FUNCTION cost_ledger_internal.spend_rate(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (subject text, team text, rate_5m numeric, rate_1h numeric, usual_rate numeric, times_usual numeric)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

CREATE FUNCTION cost_ledger_internal.spend_rate_as_owner(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (subject text, team text, rate_5m numeric, rate_1h numeric, usual_rate numeric, times_usual numeric)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    -- The windows begin with a whole minute; what is divided by is the time
    -- from there.
    WITH windows AS (
        SELECT date_trunc('minute', spend_rate_as_owner.at - interval '5 minutes') AS start_5m,
               date_trunc('minute', spend_rate_as_owner.at - interval '1 hour') AS start_1h
    ), recent AS MATERIALIZED (
        SELECT m.team, sum(m.cost) AS cost, sum(m.cost) FILTER (WHERE m.minute >= w.start_5m) AS cost_5m
        FROM windows w JOIN cost_ledger_internal.live_minute m ON m.minute >= w.start_1h AND m.minute <= spend_rate_as_owner.at
        WHERE sees_all OR m.team = ANY (teams) OR m.customer = ANY (customers)
        GROUP BY m.team
    ), weeks AS (
        -- Costs are kept by the hour: of the two that the last hour is in, as
        -- much as it is in each.
        SELECT n.weeks, (c.hour - p.hours * interval '1 hour' - n.weeks * interval '7 days') AT TIME ZONE c.time_zone AS hour,
               abs(p.hours - extract(epoch FROM c.at - c.hour) / 3600) AS share
        FROM (SELECT l.time_zone, spend_rate_as_owner.at AT TIME ZONE l.time_zone AS at, date_trunc('hour', spend_rate_as_owner.at AT TIME ZONE l.time_zone) AS hour
              FROM cost_ledger.ledger l) c, generate_series(1, 4) AS n (weeks), generate_series(0, 1) AS p (hours)
    ), before AS MATERIALIZED (
        SELECT w.weeks, h.team, sum(h.cost * w.share) AS cost
        FROM weeks w JOIN cost_ledger_internal.live_hour h ON h.hour = w.hour
        WHERE sees_all OR h.team = ANY (teams) OR h.customer = ANY (customers)
        GROUP BY w.weeks, h.team
    ), subjects AS (
        SELECT 'all' AS subject, NULL AS team, coalesce(sum(r.cost), 0) AS cost, coalesce(sum(r.cost_5m), 0) AS cost_5m FROM recent r
        UNION ALL
        SELECT 'team ' || r.team, r.team, coalesce(r.cost, 0), coalesce(r.cost_5m, 0) FROM recent r WHERE r.team IS NOT NULL
    )
    SELECT s.subject, s.team, round(r.rate_5m, 12), round(r.rate_1h, 12), round(u.usual, 12), round(r.rate_1h / nullif(u.usual, 0), 6)
    FROM subjects s
    CROSS JOIN windows w
    CROSS JOIN LATERAL (
        SELECT s.cost_5m * 3600 / extract(epoch FROM spend_rate_as_owner.at - w.start_5m) AS rate_5m,
               s.cost * 3600 / extract(epoch FROM spend_rate_as_owner.at - w.start_1h) AS rate_1h) r
    -- The median of four is the mean of the two in the middle.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN count(*) FILTER (WHERE c.weeks = 4 AND c.is_known) = 1 THEN (sum(c.cost) - min(c.cost) - max(c.cost)) / 2 END AS usual
        FROM (SELECT k.weeks, coalesce(sum(b.cost), 0) AS cost,
                     EXISTS (SELECT FROM cost_ledger_internal.rollup_day d WHERE d.day <= (k.hour AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date) AS is_known
              FROM (SELECT w.weeks, min(w.hour) AS hour FROM weeks w GROUP BY w.weeks) k
              LEFT JOIN before b ON b.weeks = k.weeks AND (s.team IS NULL OR b.team = s.team)
              GROUP BY k.weeks, k.hour) c) u
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_rate_as_owner(timestamptz, boolean, text[], text[]) IS
    'The body of spend_rate().';
COMMENT ON FUNCTION cost_ledger_internal.spend_rate(timestamptz, boolean, text[], text[]) IS
    'cost_ledger.spend_rate() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger.spend_rate(at timestamptz DEFAULT now())
    RETURNS TABLE (subject text, team text, rate_5m numeric, rate_1h numeric, usual_rate numeric, times_usual numeric)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.*
    FROM cost_ledger_internal.spend_rate(spend_rate.at, cost_ledger_internal.sees_all(),
                                         cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) r;
END;

COMMENT ON FUNCTION cost_ledger.spend_rate(timestamptz) IS
    'How fast money is spent, in all and by each team that spent in the last hour: cost per hour of the last 5 minutes and of the last hour (12 decimals), what is usual, the median of the same hour of the last four weeks, made of the hours of the clock by the part that is in each (NULL while the ledger is younger), and rate_1h / usual_rate (6 decimals; NULL where nothing is usual). Minutes are kept for two days.';

CREATE FUNCTION cost_ledger_internal.budget_velocity(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (budget_id bigint, name text, entity text, pace numeric, rate_5m numeric, rate_1h numeric, velocity numeric, exhausted_at timestamptz)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

CREATE FUNCTION cost_ledger_internal.budget_velocity_as_owner(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (budget_id bigint, name text, entity text, pace numeric, rate_5m numeric, rate_1h numeric, velocity numeric, exhausted_at timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    WITH windows AS (
        SELECT date_trunc('minute', budget_velocity_as_owner.at - interval '5 minutes') AS start_5m,
               date_trunc('minute', budget_velocity_as_owner.at - interval '1 hour') AS start_1h
    ), recent AS MATERIALIZED (
        SELECT jsonb_strip_nulls(jsonb_build_object('team', m.team, 'feature', m.feature, 'customer', m.customer, 'task_type', m.task_type,
                                                    'environment', m.environment, 'provider', m.provider, 'model', m.model,
                                                    'service_class', m.service_class, 'operation', m.operation)) AS labels,
               sum(m.cost) AS cost, sum(m.cost) FILTER (WHERE m.minute >= w.start_5m) AS cost_5m
        FROM windows w JOIN cost_ledger_internal.live_minute m ON m.minute >= w.start_1h AND m.minute <= budget_velocity_as_owner.at
        GROUP BY 1
    )
    SELECT b.budget_id, b.name, r.entity, round(r.pace, 12), round(r.rate_5m, 12), round(r.rate_1h, 12), round(least(r.rate_5m, r.rate_1h) / r.pace, 6),
           CASE WHEN a.spent >= v.limit_amount THEN budget_velocity_as_owner.at
                WHEN r.rate_1h > 0 AND (v.limit_amount - a.spent) / r.rate_1h < 876000
                THEN budget_velocity_as_owner.at + ((v.limit_amount - a.spent) / r.rate_1h)::double precision * interval '1 hour' END
    FROM cost_ledger.budget b
    CROSS JOIN windows w
    CROSS JOIN LATERAL (
        SELECT v.limit_amount FROM cost_ledger.budget_version v
        WHERE v.budget_id = b.budget_id AND v.valid_from <= now() AND (v.valid_to IS NULL OR v.valid_to > now())
        ORDER BY v.version DESC LIMIT 1) v
    CROSS JOIN LATERAL cost_ledger_internal.budget_period(b.period, budget_velocity_as_owner.at, coalesce(b.time_zone, (SELECT l.time_zone FROM cost_ledger.ledger l)), b.week_start) p
    CROSS JOIN LATERAL (
        SELECT e.entity, v.limit_amount * 3600 / extract(epoch FROM p.period_end - p.period_start) AS pace,
               e.cost_5m * 3600 / extract(epoch FROM budget_velocity_as_owner.at - w.start_5m) AS rate_5m,
               e.cost * 3600 / extract(epoch FROM budget_velocity_as_owner.at - w.start_1h) AS rate_1h
        FROM (SELECT coalesce(cost_ledger_internal.shorten_id(c.labels ->> b.each_of), '') COLLATE "C" AS entity,
                     coalesce(sum(c.cost_5m), 0) AS cost_5m, coalesce(sum(c.cost), 0) AS cost
              FROM recent c
              WHERE c.labels @> b.scope AND (b.each_of IS NULL OR c.labels ? b.each_of)
              GROUP BY 1
              UNION ALL
              -- A budget of one limit is there also while nothing is spent.
              SELECT '', 0, 0
              WHERE b.each_of IS NULL AND NOT EXISTS (SELECT FROM recent c WHERE c.labels @> b.scope)) e) r
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(s.posted), 0) AS spent FROM cost_ledger_internal.budget_balance s
        WHERE s.budget_id = b.budget_id AND s.entity = r.entity AND s.period_start = p.period_start) a
    CROSS JOIN LATERAL (
        SELECT b.scope || CASE WHEN b.each_of IS NULL THEN '{}' ELSE jsonb_build_object(b.each_of, r.entity) END AS scope) s
    WHERE b.is_active AND b.metric = 'cost' AND b.period IN ('hour', 'day', 'week', 'month', 'quarter')
      -- Minutes are kept by these labels only.
      AND b.scope - '{team,feature,customer,task_type,environment,provider,model,service_class,operation}'::text[] = '{}'
      AND (sees_all OR s.scope -> 'team' <@ to_jsonb(teams) OR s.scope -> 'customer' <@ to_jsonb(customers))
      AND coalesce(b.each_of, 'team') = ANY ('{team,feature,customer,task_type,environment,provider,model,service_class,operation}')
$$;

COMMENT ON FUNCTION cost_ledger_internal.budget_velocity_as_owner(timestamptz, boolean, text[], text[]) IS
    'The body of budget_velocity().';
COMMENT ON FUNCTION cost_ledger_internal.budget_velocity(timestamptz, boolean, text[], text[]) IS
    'cost_ledger.budget_velocity() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger.budget_velocity(at timestamptz DEFAULT now())
    RETURNS TABLE (budget_id bigint, name text, entity text, pace numeric, rate_5m numeric, rate_1h numeric, velocity numeric, exhausted_at timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.*
    FROM cost_ledger_internal.budget_velocity(budget_velocity.at, cost_ledger_internal.sees_all(),
                                         cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) r;
END;

COMMENT ON FUNCTION cost_ledger.budget_velocity(timestamptz) IS
    'How fast each active cost budget of an hour, day, week, month or quarter is being used, and each entity of it that spent in the last hour: its pace (limit_amount / length of the period), the rates of the last 5 minutes and the last hour, all per hour (12 decimals), velocity, the lower rate as a multiple of the pace (6 decimals), so that one burst or one quiet minute is none, and when the limit is used up at the rate of the last hour. Not for users, runs, sessions, agents or API keys, by which minutes are not kept: a budget of a minute or a rolling window is for them.';
