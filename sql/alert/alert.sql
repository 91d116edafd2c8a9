-- Alerts: what is said of one, that it stays as it was raised, and rules, which
-- watch everything that is no budget's threshold.
--
-- The row is the alert.  A message says as much of it as fits, rings at the commit
-- that has the row, and may be missed.

CREATE FUNCTION cost_ledger_internal.short_message(message jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('v', message -> 'v', 'id', message -> 'id', 'kind', message -> 'kind', 'level', message -> 'level')
$$;

COMMENT ON FUNCTION cost_ledger_internal.short_message(jsonb) IS
    'What names an alert and says nothing else of it.';

CREATE FUNCTION cost_ledger_internal.message_time(at timestamptz) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN isfinite(at) THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END
$$;

COMMENT ON FUNCTION cost_ledger_internal.message_time(timestamptz) IS
    'A time as messages write it (RFC 3339); NULL for none, or one that never comes.';

CREATE FUNCTION cost_ledger_internal.fit_message(message jsonb) RETURNS jsonb
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
        RETURN cost_ledger_internal.short_message(message);
    END IF;
    RETURN fitting;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.fit_message(jsonb) IS
    'A message in less than 1 kB: values of its scope are shortened as far as that needs, and end in "..." then.';

CREATE FUNCTION cost_ledger_internal.alert_message(message jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE l.notify_payload
           WHEN 'full' THEN message
           ELSE cost_ledger_internal.short_message(message) END
    FROM cost_ledger.ledger l
$$;

COMMENT ON FUNCTION cost_ledger_internal.alert_message(jsonb) IS
    'As much of an alert''s message as ledger.notify_payload lets every session hear.';

CREATE FUNCTION cost_ledger_internal.notify_alert(message jsonb) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_notify('cost_ledger_alert', cost_ledger_internal.alert_message(message)::text) $$;

COMMENT ON FUNCTION cost_ledger_internal.notify_alert(jsonb) IS
    'Sends a message to channel cost_ledger_alert, with the commit.';

CREATE FUNCTION cost_ledger_internal.keep_alerts() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (old.acknowledged_at IS NULL AND new.acknowledged_at IS NOT NULL
            AND (to_jsonb(new) - '{acknowledged_at,acknowledged_by}'::text[]) = (to_jsonb(old) - '{acknowledged_at,acknowledged_by}'::text[]))
           OR (old.resolved_at IS NULL AND new.resolved_at IS NOT NULL
               AND to_jsonb(new) - 'resolved_at' = to_jsonb(old) - 'resolved_at') THEN
            RETURN new;
        END IF;
    END IF;
    RAISE EXCEPTION 'alerts are kept as they were raised: % of table "%" is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation',
              HINT = 'Acknowledge an alert with cost_ledger.acknowledge(alert_id).';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.keep_alerts() IS
    'Trigger of alert: an alert can be acknowledged, once, and be resolved, once; every other change is refused (23001), for a deleted alert would be raised again.';

CREATE FUNCTION cost_ledger_internal.acknowledge(alert_id bigint) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known record;
    acknowledged bigint;
BEGIN
    SELECT a.budget_id, a.budget_version, a.entity, a.starts_at, a.basis, a.occurrence, a.threshold, a.rule_id, a.subject INTO known
        FROM cost_ledger.alert a
        WHERE a.alert_id = acknowledge.alert_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no alert %', acknowledge.alert_id
            USING ERRCODE = 'no_data_found',
                  HINT = 'Pass an alert_id of cost_ledger.unacknowledged_alert.';
    END IF;
    UPDATE cost_ledger.alert a
        SET acknowledged_at = now(), acknowledged_by = cost_ledger_internal.caller()
        WHERE a.acknowledged_at IS NULL
          AND CASE WHEN known.rule_id IS NULL
                   THEN a.budget_id = known.budget_id AND a.budget_version = known.budget_version
                        AND a.entity = known.entity
                        AND a.starts_at = known.starts_at AND a.basis = known.basis AND a.occurrence = known.occurrence
                        AND a.threshold <= known.threshold
                   ELSE a.rule_id = known.rule_id AND a.subject = known.subject AND a.occurrence <= known.occurrence END;
    GET DIAGNOSTICS acknowledged = ROW_COUNT;
    RETURN acknowledged;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.acknowledge(bigint) IS
    'cost_ledger.acknowledge(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.acknowledge(alert_id bigint) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.acknowledge(bigint) IS
    'Takes an alert off unacknowledged_alert, and with it those of lower thresholds of the same budget and period, or earlier ones of the same rule and subject; returns how many were. acknowledged_by is the role that calls.';

-- Decisions.

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

COMMENT ON FUNCTION cost_ledger_internal.find_signal(text) IS
    'The view that rules of a kind compare: one of ours, or cost_ledger.signal_<kind> that users have made; an error where there is none (42P01), or where it is not of the role that would read it (42501).';

-- Users' views are read with the rights of the ledger's owner, whoever evaluates.
CREATE FUNCTION cost_ledger_internal.check_rule(rule_id bigint) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.check_rule(bigint) IS
    'One rule of check_rules(): raises and resolves its alerts, and returns how many were raised.';

CREATE FUNCTION cost_ledger_internal.check_rule_as_owner(rule_id bigint) RETURNS bigint
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
        FROM cost_ledger.alert_rule r WHERE r.rule_id = check_rule_as_owner.rule_id;
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
                'as_of', cost_ledger_internal.message_time(now())));
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

COMMENT ON FUNCTION cost_ledger_internal.check_rule_as_owner(bigint) IS
    'The body of check_rule().';

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
