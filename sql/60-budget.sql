-- Budgets: what may be spent, and who is told when it is.

CREATE FUNCTION cost_ledger.budget_period(
    period     text,
    at         timestamptz,
    time_zone  text,
    OUT period_start  timestamptz,
    OUT period_end    timestamptz
) RETURNS record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A zone may set its clock back over midnight, which then comes twice: the
    -- day begins at the first one, as it does where reports truncate local
    -- times.  AT TIME ZONE would answer the second.
    SELECT min(b.instant), max(b.instant)
    FROM (SELECT date_trunc(budget_period.period, budget_period.at AT TIME ZONE budget_period.time_zone) AS local_start) AS p
    CROSS JOIN LATERAL (VALUES
        (p.local_start),
        (p.local_start + CASE budget_period.period
                             WHEN 'day' THEN interval '1 day'
                             WHEN 'week' THEN interval '7 days'
                             WHEN 'month' THEN interval '1 month'
                         END)) AS l (midnight)
    CROSS JOIN LATERAL (SELECT l.midnight AT TIME ZONE budget_period.time_zone AS last) AS s
    CROSS JOIN LATERAL (SELECT s.last - interval '1 day' AS yesterday) AS y
    CROSS JOIN LATERAL (SELECT (l.midnight - (y.yesterday AT TIME ZONE budget_period.time_zone
                                              - y.yesterday AT TIME ZONE 'UTC')) AT TIME ZONE 'UTC' AS first) AS f
    CROSS JOIN LATERAL (SELECT CASE WHEN f.first AT TIME ZONE budget_period.time_zone = l.midnight
                                    THEN least(f.first, s.last)
                                    ELSE s.last
                               END AS instant) AS b
$$;

COMMENT ON FUNCTION cost_ledger.budget_period(text, timestamptz, text) IS
    'The day, week (from Monday) or month of a time zone that an instant falls in: from period_start, inclusive, to period_end, exclusive. Every instant is in exactly one period, also where clocks change.';

CREATE FUNCTION cost_ledger.budget_level(threshold numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN threshold IS NULL THEN 'ok'
        WHEN threshold < 0.9 THEN 'warn'
        WHEN threshold < 1 THEN 'throttle'
        ELSE 'stop'
    END
$$;

COMMENT ON FUNCTION cost_ledger.budget_level(numeric) IS
    'What crossing a threshold asks for: warn below 0.9, throttle from 0.9, stop from 1; ok when none is crossed (NULL).';

CREATE FUNCTION cost_ledger._check_budget() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF new.period IS NULL OR new.period NOT IN ('day', 'week', 'month') THEN
        RAISE EXCEPTION 'budget period "%" is not known', new.period
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The periods are day, week and month.';
    END IF;
    -- Infinity is the largest but for NaN, which sorts after it.
    IF new.amount IS NULL OR new.amount <= 0 OR new.amount >= 'Infinity' THEN
        RAISE EXCEPTION 'budget amount % is not a sum of money', coalesce(new.amount::text, 'NULL')
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'An amount is greater than 0 and finite; to stop watching a budget, set is_active to false.';
    END IF;
    -- CASE: what follows knows no arrays of arrays.
    IF NOT coalesce(CASE WHEN array_ndims(new.thresholds) = 1
                         THEN cardinality(new.thresholds) <= 10
                              AND array_position(new.thresholds, NULL) IS NULL
                              AND 0 < ALL (new.thresholds) AND 100 >= ALL (new.thresholds)
                              AND NOT EXISTS (SELECT FROM unnest(new.thresholds) AS t (threshold) WHERE scale(trim_scale(threshold)) > 6)
                    END, false) THEN
        RAISE EXCEPTION 'budget thresholds % are not fractions of the amount', coalesce(new.thresholds::text, 'NULL')
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'Pass 1 to 10 fractions, each greater than 0 and at most 100, of at most six decimals: ARRAY[0.5, 0.8, 1.0] is 50, 80 and 100 percent.';
    END IF;
    SELECT array_agg(DISTINCT trim_scale(threshold) ORDER BY trim_scale(threshold)) INTO new.thresholds
        FROM unnest(new.thresholds) AS t (threshold);
    IF new.time_zone IS NOT NULL
       AND (TG_OP = 'INSERT' OR new.time_zone IS DISTINCT FROM old.time_zone)
       AND NOT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = new.time_zone) THEN
        RAISE EXCEPTION 'time zone "%" is not known', new.time_zone
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use a name of pg_timezone_names, e.g. UTC, Europe/Berlin or Asia/Kolkata; NULL is the zone of the ledger.';
    END IF;

    -- Alerts are once per version: another limit has thresholds of its own.
    IF TG_OP = 'UPDATE'
       AND (new.amount, new.thresholds, new.period, new.time_zone,
            new.team, new.feature, new.customer, new.user_id, new.provider, new.model)
           IS DISTINCT FROM
           (old.amount, old.thresholds, old.period, old.time_zone,
            old.team, old.feature, old.customer, old.user_id, old.provider, old.model) THEN
        new.version := old.version + 1;
        new.version_since := now();
    END IF;
    RETURN new;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger._check_budget() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._check_budget() IS
    'Trigger of budget: checks a budget, sorts its thresholds, and gives it a new version when its limit changes.';

CREATE FUNCTION cost_ledger.set_budget(
    name        text,
    scope       jsonb,
    period      text,
    amount      numeric,
    thresholds  numeric[] DEFAULT '{0.7,0.9,1.0}',
    time_zone   text DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    dimension text;
    wanted jsonb;
    id bigint;
BEGIN
    PERFORM cost_ledger._ledger();
    -- Alerts carry the name in a message of less than 1 kB.
    IF set_budget.name IS NULL OR octet_length(set_budget.name) NOT BETWEEN 1 AND 64
       OR set_budget.name ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'budget name "%" is empty, longer than 64 bytes or not printable', left(set_budget.name, 100)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give a short name that people know the budget by.';
    END IF;
    IF coalesce(jsonb_typeof(set_budget.scope), 'null') NOT IN ('object', 'null') THEN
        RAISE EXCEPTION 'budget scope is not a JSON object'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write {"team": "search"}, or {} for every call.';
    END IF;
    IF jsonb_typeof(set_budget.scope) = 'object' THEN
        FOR dimension, wanted IN SELECT e.key, e.value FROM jsonb_each(set_budget.scope) e ORDER BY e.key COLLATE "C" LOOP
            IF dimension NOT IN ('team', 'feature', 'customer', 'user_id', 'provider', 'model') THEN
                RAISE EXCEPTION 'budget scope has unknown key "%"', dimension
                    USING ERRCODE = 'invalid_parameter_value',
                          HINT = 'The keys are columns of the call: team, feature, customer, user_id, provider, model.';
            ELSIF jsonb_typeof(wanted) <> 'string' OR wanted = '""' THEN
                RAISE EXCEPTION 'value of budget scope "%" is not a name', dimension
                    USING ERRCODE = 'invalid_parameter_value',
                          HINT = format('Write {"%s": "…"} with the text that the calls carry; leave the key out for every %1$s.', dimension);
            END IF;
        END LOOP;
    END IF;

    INSERT INTO cost_ledger.budget AS b (name, team, feature, customer, user_id, provider, model, period, time_zone, amount, thresholds)
        VALUES (set_budget.name,
                set_budget.scope ->> 'team', set_budget.scope ->> 'feature', set_budget.scope ->> 'customer',
                set_budget.scope ->> 'user_id', set_budget.scope ->> 'provider', set_budget.scope ->> 'model',
                set_budget.period, set_budget.time_zone, set_budget.amount,
                coalesce(set_budget.thresholds, '{0.7,0.9,1.0}'))
        ON CONFLICT ON CONSTRAINT budget_name DO UPDATE SET
            team = excluded.team, feature = excluded.feature, customer = excluded.customer,
            user_id = excluded.user_id, provider = excluded.provider, model = excluded.model,
            period = excluded.period, time_zone = excluded.time_zone, amount = excluded.amount,
            thresholds = excluded.thresholds, is_active = true
        RETURNING b.budget_id INTO id;
    RETURN id;
END
$$;

COMMENT ON FUNCTION cost_ledger.set_budget(text, jsonb, text, numeric, numeric[], text) IS
    'Sets a budget, new or known by its name, and returns its budget_id. scope names what it limits by columns of the call, {"team": "search", "model": "…"}: all of them must match; {} is every call. period is day, week or month in time_zone (NULL: the ledger''s); amount is in the ledger''s currency; thresholds are fractions of it at which an alert is raised. A changed limit is a new version, which alerts anew; the same again changes nothing.';

CREATE FUNCTION cost_ledger._fit_message(message jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept integer;
    fitting jsonb := message;
BEGIN
    -- Only names that come from callers can be long; the alert has them whole.
    FOREACH kept IN ARRAY '{64,32,16,8,0}'::integer[] LOOP
        EXIT WHEN octet_length(fitting::text) < 1000;
        fitting := message || jsonb_build_object('scope', (
            SELECT jsonb_object_agg(e.key, CASE WHEN length(e.value) > kept THEN left(e.value, kept) || '...' ELSE e.value END)
            FROM jsonb_each_text(message -> 'scope') e));
    END LOOP;
    IF octet_length(fitting::text) >= 1000 THEN
        RETURN jsonb_build_object('v', message -> 'v', 'id', message -> 'id', 'kind', message -> 'kind', 'level', message -> 'level');
    END IF;
    RETURN fitting;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger._fit_message(jsonb) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._fit_message(jsonb) IS
    'A message in less than 1 kB: values of its scope are shortened as far as that needs, and end in "..." then.';

CREATE FUNCTION cost_ledger._check_budgets(at timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    -- Every minute, mostly over few rows: compiling would be most of the work.
    SET jit = off
AS $$
DECLARE
    ledger_zone text;
    ledger_currency text;
    due record;
    fraction numeric;
    id bigint;
    message jsonb;
    news jsonb;
    made bigint := 0;
BEGIN
    SELECT l.time_zone, l.currency INTO STRICT ledger_zone, ledger_currency FROM cost_ledger.ledger l;

    -- Each budget's period of now, and the one before for calls that came
    -- late, unless the limit is younger than that.  Alerts that are all there
    -- need no sum, and budgets of one period that limit the same dimensions
    -- share one pass over the calls.
    FOR due IN
        WITH due AS MATERIALIZED (
            SELECT b.budget_id, b.version, b.name, b.period, b.amount, b.thresholds,
                   jsonb_strip_nulls(jsonb_build_object('team', b.team, 'feature', b.feature, 'customer', b.customer,
                                                        'user_id', b.user_id, 'provider', b.provider, 'model', b.model)) AS scope,
                   ARRAY[b.team, b.feature, b.customer, b.user_id, b.provider, b.model] AS members,
                   ARRAY[b.team IS NOT NULL, b.feature IS NOT NULL, b.customer IS NOT NULL,
                         b.user_id IS NOT NULL, b.provider IS NOT NULL, b.model IS NOT NULL] AS dimensions,
                   p.period_start, p.period_end, p.is_late
            FROM cost_ledger.budget b
            CROSS JOIN LATERAL (
                SELECT c.period_start, c.period_end, false AS is_late
                FROM cost_ledger.budget_period(b.period, at, coalesce(b.time_zone, ledger_zone)) c
                UNION ALL
                SELECT o.period_start, o.period_end, true
                FROM cost_ledger.budget_period(b.period, at, coalesce(b.time_zone, ledger_zone)) c
                CROSS JOIN LATERAL cost_ledger.budget_period(b.period, c.period_start - interval '1 microsecond',
                                                             coalesce(b.time_zone, ledger_zone)) o
                WHERE b.version_since < o.period_end) p
            WHERE b.is_active
              AND EXISTS (
                SELECT FROM unnest(b.thresholds) AS t (threshold)
                WHERE NOT EXISTS (
                    SELECT FROM cost_ledger.alert a
                    WHERE a.budget_id = b.budget_id AND a.budget_version = b.version AND a.period_start = p.period_start
                      AND a.basis = 'actual' AND a.threshold = t.threshold))
        ), spend AS (
            SELECT w.period_start, w.period_end, w.dimensions, s.members, s.spent, s.unpriced_calls
            FROM (SELECT DISTINCT d.period_start, d.period_end, d.dimensions FROM due d) w
            CROSS JOIN LATERAL (
                SELECT ARRAY[CASE WHEN w.dimensions[1] THEN c.team END,
                             CASE WHEN w.dimensions[2] THEN c.feature END,
                             CASE WHEN w.dimensions[3] THEN c.customer END,
                             CASE WHEN w.dimensions[4] THEN c.user_id END,
                             CASE WHEN w.dimensions[5] THEN c.provider END,
                             CASE WHEN w.dimensions[6] THEN c.model END] AS members,
                       sum(c.cost) AS spent,
                       count(*) FILTER (WHERE c.pricing IN ('unpriced', 'partial') AND c.corrects IS NULL)
                           - count(*) FILTER (WHERE c.usage_status IN ('repriced', 'completed')) AS unpriced_calls
                FROM cost_ledger.call c
                WHERE c.called_at >= w.period_start AND c.called_at < w.period_end
                GROUP BY 1) s
        )
        SELECT d.budget_id, d.version, d.name, d.period, d.amount, d.thresholds, d.scope,
               d.period_start, d.period_end, d.is_late,
               coalesce(s.spent, 0) AS spent, coalesce(s.unpriced_calls, 0) AS unpriced_calls
        FROM due d
        LEFT JOIN spend s ON s.period_start = d.period_start AND s.period_end = d.period_end
                         AND s.dimensions = d.dimensions AND s.members = d.members
        -- The order in which everybody inserts: two evaluators wait for each
        -- other, and never in a circle.
        ORDER BY d.budget_id, d.period_start
    LOOP
        news := NULL;
        FOREACH fraction IN ARRAY due.thresholds LOOP
            EXIT WHEN due.spent < fraction * due.amount;
            -- Asked first, so that nothing but a race uses up an identity.
            CONTINUE WHEN EXISTS (
                SELECT FROM cost_ledger.alert a
                WHERE a.budget_id = due.budget_id AND a.budget_version = due.version AND a.period_start = due.period_start
                  AND a.basis = 'actual' AND a.threshold = fraction);
            id := nextval(pg_get_serial_sequence('cost_ledger.alert', 'alert_id'));
            message := cost_ledger._fit_message(jsonb_build_object(
                'v', 1,
                'id', id,
                'kind', 'threshold',
                'level', cost_ledger.budget_level(fraction),
                'budget', due.name,
                'budget_id', due.budget_id,
                'budget_version', due.version,
                'scope', due.scope,
                'period', jsonb_build_object(
                    'kind', due.period,
                    'start', to_char(due.period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                    'end', to_char(due.period_end AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
                'basis', 'actual',
                'threshold', fraction::text,
                'crossed', (SELECT jsonb_agg(t.threshold::text ORDER BY t.threshold)
                            FROM unnest(due.thresholds) AS t (threshold) WHERE due.spent >= t.threshold * due.amount),
                -- Strings: JSON numbers become binary fractions in most hands.
                'spent', trim_scale(CASE WHEN length(due.spent::text) > 40 THEN round(due.spent, 10) ELSE due.spent END)::text,
                'limit', trim_scale(CASE WHEN length(due.amount::text) > 40 THEN round(due.amount, 10) ELSE due.amount END)::text,
                'currency', ledger_currency,
                'unpriced_calls', due.unpriced_calls,
                'as_of', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'occurrence', 1,
                'late', due.is_late));
            INSERT INTO cost_ledger.alert (alert_id, budget_id, budget_version, period_start, period_end, kind, basis, threshold,
                                           level, is_late, spent, limit_amount, currency, unpriced_calls, scope, payload)
                VALUES (id, due.budget_id, due.version, due.period_start, due.period_end, 'threshold', 'actual', fraction,
                        cost_ledger.budget_level(fraction), due.is_late, due.spent, due.amount, ledger_currency, due.unpriced_calls, due.scope, message)
                ON CONFLICT ON CONSTRAINT alert_once DO NOTHING;
            IF FOUND THEN
                made := made + 1;
                news := message;
            END IF;
        END LOOP;
        -- One bell for all thresholds crossed at once: that of the highest.
        IF news IS NOT NULL THEN
            PERFORM pg_notify('cost_ledger_alert', news::text);
        END IF;
    END LOOP;
    RETURN made;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger._check_budgets(timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._check_budgets(timestamptz) IS
    'check_budgets() for the periods that an instant falls in.';

CREATE FUNCTION cost_ledger.check_budgets() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger._ledger();
    RETURN cost_ledger._check_budgets(now());
END
$$;

COMMENT ON FUNCTION cost_ledger.check_budgets() IS
    'Compares every active budget with what was spent in its current period, and in the one before for calls that came late; records an alert for each threshold crossed, once per budget version and period, and returns how many. With the commit, channel cost_ledger_alert gets one JSON message per budget and period, of its highest new alert. The job calls it every minute.';

CREATE FUNCTION cost_ledger._keep_alerts() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (old.acknowledged_at IS NULL AND new.acknowledged_at IS NOT NULL
            AND (to_jsonb(new) - '{acknowledged_at,acknowledged_by}'::text[]) = (to_jsonb(old) - '{acknowledged_at,acknowledged_by}'::text[]))
           OR (old.resolved_at IS NULL AND new.resolved_at IS NOT NULL AND new.rule_id IS NOT NULL
               AND to_jsonb(new) - 'resolved_at' = to_jsonb(old) - 'resolved_at') THEN
            RETURN new;
        END IF;
    END IF;
    RAISE EXCEPTION 'alerts are kept as they were raised: % of table "%" is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation',
              HINT = 'Acknowledge an alert with cost_ledger.acknowledge(alert_id).';
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger._keep_alerts() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._keep_alerts() IS
    'Trigger of alert: an alert can be acknowledged, once, and that of a rule be resolved, once; every other change is refused (23001), for a deleted alert would be raised again.';

CREATE FUNCTION cost_ledger.acknowledge(alert_id bigint, acknowledged_by text DEFAULT current_user) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known record;
    acknowledged bigint;
BEGIN
    SELECT a.budget_id, a.budget_version, a.period_start, a.basis, a.occurrence, a.threshold, a.rule_id, a.subject INTO known
        FROM cost_ledger.alert a
        WHERE a.alert_id = acknowledge.alert_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no alert %', acknowledge.alert_id
            USING ERRCODE = 'no_data_found',
                  HINT = 'Pass an alert_id of cost_ledger.unacknowledged_alert.';
    END IF;
    UPDATE cost_ledger.alert a
        SET acknowledged_at = now(), acknowledged_by = coalesce(acknowledge.acknowledged_by, current_user)
        WHERE a.acknowledged_at IS NULL
          AND CASE WHEN known.rule_id IS NULL
                   THEN a.budget_id = known.budget_id AND a.budget_version = known.budget_version
                        AND a.period_start = known.period_start AND a.basis = known.basis AND a.occurrence = known.occurrence
                        AND a.threshold <= known.threshold
                   ELSE a.rule_id = known.rule_id AND a.subject = known.subject AND a.occurrence <= known.occurrence END;
    GET DIAGNOSTICS acknowledged = ROW_COUNT;
    RETURN acknowledged;
END
$$;

COMMENT ON FUNCTION cost_ledger.acknowledge(bigint, text) IS
    'Takes an alert off unacknowledged_alert, and with it those of lower thresholds of the same budget and period, or earlier ones of the same rule and subject; returns how many were. acknowledged_by is who says so: by default the current role.';
