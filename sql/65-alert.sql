-- Alerts of rules: everything that somebody should hear of and that is no
-- budget's threshold.

CREATE FUNCTION cost_ledger.check_rules() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    rule record;
    signal record;
    open_alert bigint;
    id bigint;
    message jsonb;
    error text;
    hint text;
    made bigint := 0;
BEGIN
    PERFORM cost_ledger._ledger();
    -- Two evaluators come after each other: the second finds the alerts of the
    -- first.
    PERFORM pg_advisory_xact_lock(hashtextextended('cost_ledger.check_rules', 0));
    FOR rule IN
        SELECT r.*, coalesce(r.clear_below, r.threshold * 0.95) AS clears_below
        FROM cost_ledger.alert_rule r
        WHERE r.is_active
        ORDER BY r.rule_id
    LOOP
        -- A rule that cannot be evaluated must not silence the others.
        BEGIN
            IF to_regclass(format('cost_ledger.%I', 'signal_' || rule.kind)) IS NULL THEN
                RAISE EXCEPTION 'alert rule "%" is of unknown kind "%"', rule.name, rule.kind
                    USING ERRCODE = 'undefined_table',
                          HINT = format('Make a view cost_ledger.signal_%s with subject text, value numeric and detail text, or switch the rule off.', rule.kind);
            END IF;
            FOR signal IN
                EXECUTE format('SELECT s.subject, s.value, s.detail::jsonb AS detail FROM cost_ledger.%I s
                                WHERE s.value IS NOT NULL AND coalesce(s.detail, ''{}'')::jsonb @> $1
                                ORDER BY s.subject', 'signal_' || rule.kind)
                    USING rule.scope
            LOOP
                SELECT a.alert_id INTO open_alert
                    FROM cost_ledger.alert a
                    WHERE a.rule_id = rule.rule_id AND a.subject = signal.subject AND a.resolved_at IS NULL;
                IF open_alert IS NOT NULL AND signal.value < rule.clears_below THEN
                    UPDATE cost_ledger.alert a SET resolved_at = clock_timestamp() WHERE a.alert_id = open_alert;
                ELSIF open_alert IS NULL AND signal.value >= rule.threshold THEN
                    id := nextval(pg_get_serial_sequence('cost_ledger.alert', 'alert_id'));
                    message := cost_ledger._fit_message(jsonb_build_object(
                        'v', 1,
                        'id', id,
                        'kind', rule.kind,
                        'level', rule.severity,
                        'rule', rule.name,
                        'rule_id', rule.rule_id,
                        'scope', jsonb_build_object('subject', signal.subject),
                        'value', trim_scale(round(signal.value, 10))::text,
                        'threshold', rule.threshold::text,
                        'as_of', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')));
                    INSERT INTO cost_ledger.alert (alert_id, rule_id, subject, value, kind, basis, threshold, level, scope, payload, occurrence)
                        VALUES (id, rule.rule_id, signal.subject, signal.value, rule.kind, 'signal', rule.threshold, rule.severity,
                                coalesce(signal.detail, '{}'), message,
                                1 + (SELECT count(*) FROM cost_ledger.alert a
                                     WHERE a.rule_id = rule.rule_id AND a.subject = signal.subject));
                    PERFORM pg_notify('cost_ledger_alert', message::text);
                    made := made + 1;
                END IF;
            END LOOP;
            -- A subject that is gone is over.
            EXECUTE format('UPDATE cost_ledger.alert a SET resolved_at = clock_timestamp()
                            WHERE a.rule_id = $1 AND a.resolved_at IS NULL
                              AND NOT EXISTS (SELECT FROM cost_ledger.%I s WHERE s.subject = a.subject)', 'signal_' || rule.kind)
                USING rule.rule_id;
            error := NULL;
        EXCEPTION WHEN OTHERS THEN
            error := format('%s: %s', SQLSTATE, SQLERRM);
            GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
            RAISE WARNING 'alert rule "%" was not evaluated: %', rule.name, error USING HINT = hint;
        END;
        UPDATE cost_ledger.alert_rule r SET last_error = error WHERE r.rule_id = rule.rule_id AND r.last_error IS DISTINCT FROM error;
    END LOOP;
    RETURN made;
END
$$;

COMMENT ON FUNCTION cost_ledger.check_rules() IS
    'Compares what each active rule of alert_rule watches with its threshold; records an alert for each subject at or above it, once until it is resolved, and returns how many. Resolved is what falls below clear_below, or is gone. With the commit, channel cost_ledger_alert gets one JSON message per alert. The job calls it every minute. A rule that cannot be evaluated, because its view is missing or fails, gives a warning and keeps the error in last_error.';

CREATE FUNCTION cost_ledger.calls_without_partition(
    OUT rows bigint, OUT first_called_at timestamptz, OUT last_called_at timestamptz
)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- By name at every call: create_partitions() may have made the table anew.
    SELECT count(*), min(c.called_at), max(c.called_at) INTO rows, first_called_at, last_called_at
        FROM cost_ledger.call_default c;
END
$$;

COMMENT ON FUNCTION cost_ledger.calls_without_partition() IS
    'How many calls wait in the default partition, and the times of the first and the last.';
