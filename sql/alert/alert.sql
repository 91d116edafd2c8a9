-- Alerts: what is said of one, that it stays as it was raised, and rules, which
-- watch everything that is no budget's threshold.
--
-- The row is the alert.  A message says as much of it as fits, and may be missed.
-- It waits in bell until a transaction of its own sends it: whatever is wrong with
-- NOTIFY, the alert is there.

CREATE FUNCTION cost_ledger_internal.short_message(message jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('v', message -> 'v', 'id', message -> 'id', 'kind', message -> 'kind', 'level', message -> 'level',
                                                'severity', message -> 'severity', 'count', message -> 'count'))
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

CREATE FUNCTION cost_ledger_internal.shorten_values(message jsonb, kept integer) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(e.key, CASE WHEN length(e.value #>> '{}') > kept AND jsonb_typeof(e.value) = 'string'
                                                 THEN to_jsonb(left(e.value #>> '{}', kept) || '...') ELSE e.value END), '{}')
    FROM jsonb_each(message) e
$$;

COMMENT ON FUNCTION cost_ledger_internal.shorten_values(jsonb, integer) IS
    'An object whose texts are no longer than that, and end in "..." where they were.';

CREATE FUNCTION cost_ledger_internal.fit_message(message jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept integer;
    fitting jsonb := message;
BEGIN
    -- Only names that come from callers can be long; the alert has them whole.
    FOREACH kept IN ARRAY '{64,32,16,8,0}'::integer[] LOOP
        EXIT WHEN octet_length(fitting::text) < 1000;
        fitting := message || jsonb_build_object('scope', cost_ledger_internal.shorten_values(message -> 'scope', kept));
        IF message ? 'worst' THEN
            fitting := fitting || jsonb_build_object('worst', (
                SELECT jsonb_agg(w.value || jsonb_build_object('entity', cost_ledger_internal.shorten_values(jsonb_build_object('e', w.value -> 'entity'), kept) -> 'e')
                                 ORDER BY w.ordinality)
                FROM jsonb_array_elements(message -> 'worst') WITH ORDINALITY AS w));
        END IF;
    END LOOP;
    IF octet_length(fitting::text) >= 1000 THEN
        RETURN cost_ledger_internal.short_message(message);
    END IF;
    RETURN fitting;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.fit_message(jsonb) IS
    'A message in less than 1 kB: values of its scope, and names of entities, are shortened as far as that needs, and end in "..." then.';

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

CREATE FUNCTION cost_ledger_internal.put_bells(alert_ids bigint[], kind text DEFAULT NULL) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    INSERT INTO cost_ledger_internal.bell (message)
    SELECT CASE WHEN max(g.members) = 1 THEN max(g.payload::text)::jsonb
                ELSE cost_ledger_internal.fit_message((max(g.payload::text) FILTER (WHERE g.rank = 1))::jsonb - '{crossed,spent,value,unpriced_calls,occurrence,period,limit_amount}'::text[]
                         || jsonb_build_object('count', max(g.members), 'is_late', bool_and(g.is_late), 'severity', min(g.severity),
                                               'scope', coalesce(max(b.scope::text)::jsonb, '{}'))
                         || jsonb_build_object('worst', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                                'entity', coalesce(nullif(g.entity, ''), g.subject),
                                'starts_at', CASE WHEN g.periods > 1 THEN cost_ledger_internal.message_time(g.starts_at) END,
                                'spent', cost_ledger_internal.short_amount(g.spent), 'value', cost_ledger_internal.short_amount(round(g.value, 10)))) ORDER BY g.rank)
                                FILTER (WHERE g.rank <= 10))) END
           || CASE WHEN put_bells.kind IS NULL THEN '{}' ELSE jsonb_build_object('kind', put_bells.kind) END
    FROM (SELECT a.*, count(*) OVER same AS members,
                 max(dense) OVER same AS periods,
                 row_number() OVER (PARTITION BY a.budget_id, a.rule_id
                                    ORDER BY a.threshold DESC, a.spent / a.limit_amount DESC, a.value DESC, a.alert_id) AS rank
          -- Of the thresholds that something crossed at once, the highest.
          FROM (SELECT DISTINCT ON (a.budget_id, a.rule_id, a.entity, a.subject, a.starts_at) a.*,
                       dense_rank() OVER (PARTITION BY a.budget_id, a.rule_id ORDER BY a.starts_at) AS dense
                FROM cost_ledger.alert a
                WHERE a.alert_id = ANY (alert_ids)
                ORDER BY a.budget_id, a.rule_id, a.entity, a.subject, a.starts_at, a.threshold DESC) a
          WINDOW same AS (PARTITION BY a.budget_id, a.rule_id)) g
    LEFT JOIN cost_ledger.budget b ON b.budget_id = g.budget_id
    GROUP BY g.budget_id, g.rule_id
    ORDER BY g.budget_id, g.rule_id
$$;

COMMENT ON FUNCTION cost_ledger_internal.put_bells(bigint[], text) IS
    'Has messages sent of these alerts, one for each budget and rule: that of its one alert (of thresholds crossed at once the highest), or of all together, with their count and the ten that are worst. They are of this kind, or the alerts''.';

CREATE FUNCTION cost_ledger.notify_alerts() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    message jsonb;
    sent bigint := 0;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    -- A queue that is full is an error only at the commit, and to all who notify.
    IF pg_notification_queue_usage() > 0.9 THEN
        RAISE EXCEPTION 'the queue of notifications is % percent full', round((pg_notification_queue_usage() * 100)::numeric)
            USING ERRCODE = 'program_limit_exceeded',
                  HINT = 'A session that listens is in a long transaction: see pg_stat_activity. The alerts are there, and ring when there is room.';
    END IF;
    -- Another session's are being sent by that one.
    FOR message IN
        WITH due AS (
            SELECT b.bell_id FROM cost_ledger_internal.bell b ORDER BY b.bell_id FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM cost_ledger_internal.bell b USING due d WHERE b.bell_id = d.bell_id RETURNING b.*
        )
        SELECT g.message FROM gone g ORDER BY g.bell_id
    LOOP
        PERFORM cost_ledger_internal.notify_alert(message);
        sent := sent + 1;
    END LOOP;
    RETURN sent;
END
$$;

COMMENT ON FUNCTION cost_ledger.notify_alerts() IS
    'Sends, with the commit, the messages of new and resolved alerts that were not sent yet to channel cost_ledger_alert, and returns how many: one for each budget or rule and run, with its count and the ten that are worst where it is of several alerts. What fails is sent the next time. An error (54000) while the queue of notifications is almost full. The job calls it when the alerts are committed.';

CREATE FUNCTION cost_ledger_internal.try_notify() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger.notify_alerts();
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'no message of new alerts was sent: %', SQLERRM
        USING HINT = 'The alerts are in cost_ledger.unacknowledged_alert; cost_ledger.notify_alerts() tries again.';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.try_notify() IS
    'notify_alerts(); what goes wrong is a warning, for it must not undo the alerts.';

CREATE FUNCTION cost_ledger_internal.keep_alerts() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' AND cost_ledger_internal.is_old_alert(old.resolved_at, old.starts_at, old.ends_at) THEN
        RETURN old;
    ELSIF TG_OP = 'UPDATE' THEN
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
    'Trigger of alert: an alert can be acknowledged, once, and be resolved, once; every other change is refused (23001), for a deleted alert would be raised again. What is old enough may go.';

CREATE FUNCTION cost_ledger_internal.is_old_alert(resolved_at timestamptz, starts_at timestamptz, ends_at timestamptz, as_of timestamptz DEFAULT now()) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- The period before the current one is looked at, so one more must be over.
    SELECT coalesce(CASE WHEN ends_at IS NULL THEN resolved_at
                         WHEN isfinite(ends_at) AND isfinite(starts_at) THEN ends_at + (ends_at - starts_at) + interval '4 days' END
                    < cost_ledger_internal.retained_from((SELECT r.retain_alerts FROM cost_ledger.retention r), as_of), false)
$$;

COMMENT ON FUNCTION cost_ledger_internal.is_old_alert(timestamptz, timestamptz, timestamptz, timestamptz) IS
    'Whether an alert has been over for as long as set_retention() says: of a rule, since it was resolved; of a budget, since nobody looks at its period any more. One of a period without end never is.';

CREATE FUNCTION cost_ledger_internal.prune_alerts(as_of timestamptz DEFAULT now(), max_alerts bigint DEFAULT 50000) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    retain interval := (SELECT r.retain_alerts FROM cost_ledger.retention r);
    pruned bigint;
BEGIN
    IF retain IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM cost_ledger.alert a
        USING (SELECT o.alert_id
               FROM cost_ledger.alert o
               WHERE o.created_at < cost_ledger_internal.retained_from(retain, as_of)
                 AND cost_ledger_internal.is_old_alert(o.resolved_at, o.starts_at, o.ends_at, as_of)
               ORDER BY o.created_at
               LIMIT max_alerts
               FOR UPDATE SKIP LOCKED) o
        WHERE a.alert_id = o.alert_id;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.prune_alerts(timestamptz, bigint) IS
    'Step of the jobs: forgets max_alerts alerts that are as old as set_retention() says, and returns how many.';

CREATE FUNCTION cost_ledger_internal.acknowledge(alert_id bigint) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known record;
    acknowledged bigint;
BEGIN
    SELECT a.* INTO known
        FROM cost_ledger.alert a
        WHERE a.alert_id = acknowledge.alert_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no alert %', acknowledge.alert_id
            USING ERRCODE = 'no_data_found',
                  HINT = 'Pass an alert_id of cost_ledger.unacknowledged_alert.';
    END IF;
    -- What one run raised of a budget, or a rule, had one message.
    UPDATE cost_ledger.alert a
        SET acknowledged_at = now(), acknowledged_by = cost_ledger_internal.caller()
        WHERE a.acknowledged_at IS NULL
          AND CASE WHEN known.rule_id IS NULL
                   THEN a.budget_id = known.budget_id
                        AND (a.budget_version, a.entity, a.starts_at, a.basis, a.occurrence) IN (
                            SELECT g.budget_version, g.entity, g.starts_at, g.basis, g.occurrence
                            FROM cost_ledger.alert g
                            WHERE g.budget_id = known.budget_id AND g.created_at = known.created_at AND g.threshold <= known.threshold)
                        AND a.threshold <= known.threshold
                   ELSE a.rule_id = known.rule_id
                        AND (a.created_at = known.created_at OR (a.subject = known.subject AND a.occurrence <= known.occurrence)) END;
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
    'Takes an alert off unacknowledged_alert, and with it those that the same run raised of the budget or rule for other entities, periods or subjects (they had one message), and those of lower thresholds of the same periods, or earlier ones of the same subject; returns how many were. acknowledged_by is the role that calls.';

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
    raised bigint[] := '{}';
    resolved bigint[];
    id bigint;
    message jsonb;
BEGIN
    SELECT r.*, coalesce(r.clear_below, r.threshold * 0.95) AS clears_below INTO STRICT rule
        FROM cost_ledger.alert_rule r WHERE r.rule_id = check_rule_as_owner.rule_id;
    -- Subjects come from callers: one that is too long for an index must not
    -- cost the others their alerts, nor may two of one name resolve each
    -- other's.
    FOR signal IN
        EXECUTE format($query$
            SELECT v.* FROM (
                SELECT DISTINCT ON (1) coalesce(cost_ledger_internal.shorten_id(s.subject::text), '') COLLATE "C" AS subject,
                       s.value::numeric AS value, coalesce(s.detail::jsonb, '{}') AS detail
                FROM %s s
                WHERE s.value IS NOT NULL AND cost_ledger_internal.matches_filter(coalesce(s.detail::jsonb, '{}'), $1)
                ORDER BY 1, 2 DESC) v
            -- What is below is over, as a subject that is gone.
            WHERE v.value >= $2
            $query$, cost_ledger_internal.find_signal(rule.kind))
            USING rule.scope, rule.clears_below
    LOOP
        SELECT a.alert_id INTO open_alert
            FROM cost_ledger.alert a
            WHERE a.rule_id = rule.rule_id AND a.subject = signal.subject AND a.resolved_at IS NULL;
        seen := seen || signal.subject;
        IF open_alert IS NULL AND signal.value >= rule.threshold THEN
            id := nextval(pg_get_serial_sequence('cost_ledger.alert', 'alert_id'));
            message := cost_ledger_internal.fit_message(jsonb_build_object(
                'v', 1,
                'id', id,
                'kind', rule.kind,
                'level', rule.severity,
                'severity', rule.severity,
                'rule', rule.name,
                'rule_id', rule.rule_id,
                'scope', jsonb_build_object('subject', signal.subject),
                'value', trim_scale(round(signal.value, 10))::text,
                'threshold', rule.threshold::text,
                'watermark', (SELECT s.rows_consumed FROM cost_ledger_internal.rollup_state s),
                'as_of', cost_ledger_internal.message_time(now())));
            INSERT INTO cost_ledger.alert (alert_id, rule_id, subject, value, kind, basis, threshold, level, severity, scope, payload, occurrence)
                VALUES (id, rule.rule_id, signal.subject, signal.value, rule.kind, 'signal', rule.threshold, rule.severity, rule.severity,
                        signal.detail, message,
                        1 + (SELECT coalesce(max(a.occurrence), 0) FROM cost_ledger.alert a
                             WHERE a.rule_id = rule.rule_id AND a.subject = signal.subject));
            raised := raised || id;
        END IF;
    END LOOP;
    WITH gone AS (
        UPDATE cost_ledger.alert a SET resolved_at = clock_timestamp()
            WHERE a.rule_id = rule.rule_id AND a.resolved_at IS NULL AND a.subject <> ALL (seen)
            RETURNING a.alert_id
    )
    SELECT coalesce(array_agg(g.alert_id), '{}') INTO resolved FROM gone g;
    PERFORM cost_ledger_internal.put_bells(resolved, 'resolved');
    PERFORM cost_ledger_internal.put_bells(raised);
    RETURN cardinality(raised);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_rule_as_owner(bigint) IS
    'The body of check_rule().';

CREATE FUNCTION cost_ledger_internal.check_all_rules() RETURNS bigint
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
        -- Which of the others failed is known after them.
        ORDER BY r.kind = 'rule_error', r.rule_id
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

COMMENT ON FUNCTION cost_ledger_internal.check_all_rules() IS
    'check_rules() without its bell: what the job does, which rings in a transaction of its own.';

CREATE FUNCTION cost_ledger.check_rules() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint := cost_ledger_internal.check_all_rules();
BEGIN
    PERFORM cost_ledger_internal.try_notify();
    RETURN made;
END
$$;

COMMENT ON FUNCTION cost_ledger.check_rules() IS
    'Compares what each active rule of alert_rule watches with its threshold; records an alert for each subject at or above it, once until it is resolved, and returns how many. Resolved is what falls below clear_below, or is gone: has no row or no value any more, or not in the rule''s scope. Of rows with the same subject the highest counts. Then it rings, as notify_alerts() does: one message per rule, and one of kind resolved for what is over. The job calls it every minute. A rule that cannot be evaluated, because its view is missing, fails or takes longer than time_limit, gives a warning, keeps the error in last_error and is an alert of kind rule_error.';
