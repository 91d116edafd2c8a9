-- Rows that are taken back: out of rollups and balances, in the transaction that
-- takes them back.
--
-- Sums could be subtracted; a summary, a first call, an end or a NULL could not.
-- So the buckets concerned are made anew from the rows that are left: hours and
-- minutes, runs, sessions and days of users from the calls of their time, days and
-- months from those.  Whoever does it holds the lock of rollup_state, so rollups,
-- reversal and the state say the same at every instant; the row that stands in the
-- place of another is brought in by refresh(), as any row.
--
-- Of what has just been written the planner expects a row or two, and would compare
-- each with each.  So nothing here is joined: what is touched is looked up one by one
-- by its key, or asked for in a hash table ("(… IN (…)) IS TRUE").

CREATE FUNCTION cost_ledger_internal.standing() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN ' AND c.reverses IS NULL'
        || CASE WHEN EXISTS (SELECT FROM cost_ledger_internal.reversal)
                THEN ' AND NOT EXISTS (SELECT FROM cost_ledger_internal.reversal v WHERE v.called_at = c.called_at AND v.call_id = c.call_id)'
                ELSE '' END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.standing() IS
    'What leaves rows that were taken back, and rows that take back, out of a condition on rows c of call.';

CREATE FUNCTION cost_ledger_internal.calls_within(spans tstzmultirange) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET DateStyle = 'ISO'
AS $$
    -- OFFSET 0: span by span, whatever the planner would make of it.
    SELECT format('(SELECT c.* FROM unnest(%L::tstzmultirange) AS s (span)
                    CROSS JOIN LATERAL (SELECT c.* FROM cost_ledger.call c WHERE c.called_at >= lower(s.span) AND c.called_at < upper(s.span) OFFSET 0) c)', spans)
$$;

COMMENT ON FUNCTION cost_ledger_internal.calls_within(tstzmultirange) IS
    'A query for the rows of call of some spans of time, which finds them by the primary key.';

CREATE FUNCTION cost_ledger_internal.merged_columns(rollup text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format(CASE c.merge WHEN 'merge' THEN 'cost_ledger.merge(f.%1$s) AS %1$s' ELSE 'sum(f.%1$s) AS %1$s' END, c.column_name),
                      ', ' ORDER BY c.number)
    FROM cost_ledger_internal.rollup_column() c
    WHERE merged_columns.rollup = ANY (c.rollups) AND NOT c.is_key
$$;

COMMENT ON FUNCTION cost_ledger_internal.merged_columns(text) IS
    'The measures of a rollup by time as made of several rows f of a finer one.';

CREATE FUNCTION cost_ledger_internal.touched_rows(rollup text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('r.ctid = ANY (ARRAY(SELECT s.ctid FROM touched t CROSS JOIN LATERAL (%s) s))',
                  string_agg(format('(SELECT s.ctid FROM cost_ledger_internal.rollup_%s s WHERE %s OFFSET 0)', touched_rows.rollup, k.condition), ' UNION ALL '))
    FROM unnest(CASE
        WHEN rollup IN ('minute', 'hour', 'day', 'month') THEN ARRAY[format('s.%s = t.bucket AND s.key_id = t.key_id', rollup)]
        WHEN rollup IN ('run', 'session') THEN ARRAY[format('s.%s_id = t.id', rollup)]
        -- A user_id may be NULL; none is empty.
        ELSE ARRAY[format('s.%s = t.bucket AND s.user_id = t.user_id', replace(rollup, 'user_', '')),
                   format('s.%s = t.bucket AND s.user_id IS NULL AND t.user_id = ''''', replace(rollup, 'user_', ''))] END) AS k (condition)
$$;

COMMENT ON FUNCTION cost_ledger_internal.touched_rows(text) IS
    'The condition that the row r of a rollup is one of touched, looked up one by one by the key.';

CREATE FUNCTION cost_ledger_internal.remake_labels(taken text, kept text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    fingerprint constant text := format('md5(%s)::uuid', cost_ledger_internal.label_columns('quote_nullable(c.%s)', ' || '','' || '));
    keyed constant text := format('%s c JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = %s', taken, fingerprint);
    touched text;
    spans tstzmultirange;
    unit record;
BEGIN
    -- Around an hour: where clocks are turned back, one may be longer.
    FOR unit IN
        SELECT u.*
        FROM (VALUES ('minute', 'date_trunc(''minute'', c.called_at)', 'c.called_at >= (SELECT s.minutes_from FROM cost_ledger_internal.rollup_state s)',
                      interval '0', interval '1 minute'),
                     ('hour', format('date_trunc(''hour'', c.called_at, %L)', zone), 'true', interval '1 hour', interval '2 hours'))
            AS u (name, bucket, condition, before, after)
    LOOP
        touched := format('SELECT DISTINCT %s AS bucket, k.key_id, k.fingerprint FROM %s WHERE %s', unit.bucket, keyed, unit.condition);
        EXECUTE format('SELECT range_agg(tstzrange(t.bucket - $1, t.bucket + $2)) FROM (%s) t', touched) INTO spans USING unit.before, unit.after;
        IF spans IS NOT NULL THEN
            PERFORM cost_ledger_internal.put_right(
                unit.name,
                format('SELECT r.* FROM (%s) r WHERE ((r.%s, r.key_id) IN (SELECT t.bucket, t.key_id FROM touched t)) IS TRUE',
                       cost_ledger_internal.expected_rows(unit.name, format('(%s IN (SELECT t.fingerprint FROM touched t)) IS TRUE AND %s', fingerprint, kept),
                                                          cost_ledger_internal.calls_within(spans)),
                       unit.name),
                cost_ledger_internal.touched_rows(unit.name), touched);
        END IF;
    END LOOP;

    -- Days of hours, months of days.
    FOR unit IN
        SELECT u.*
        FROM (VALUES ('day', 'hour', format('(c.called_at AT TIME ZONE %L)::date', zone), format('(f.hour AT TIME ZONE %L)::date', zone),
                      format('((SELECT min(t.bucket) FROM touched t) - 1)::timestamp AT TIME ZONE %L', zone),
                      format('((SELECT max(t.bucket) FROM touched t) + 2)::timestamp AT TIME ZONE %L', zone)),
                     ('month', 'day', format('date_trunc(''month'', c.called_at AT TIME ZONE %L)::date', zone), 'date_trunc(''month'', f.day::timestamp)::date',
                      '(SELECT min(t.bucket) FROM touched t)', '(SELECT max(t.bucket) FROM touched t) + 31')) AS u (name, finer, bucket, bucket_of_finer, start, stop)
    LOOP
        PERFORM cost_ledger_internal.put_right(
            unit.name,
            format('SELECT %1$s AS %2$s, f.key_id, %3$s FROM cost_ledger_internal.rollup_%4$s f
                    WHERE f.%4$s >= %5$s AND f.%4$s < %6$s AND ((%1$s, f.key_id) IN (SELECT t.bucket, t.key_id FROM touched t)) IS TRUE GROUP BY 1, 2',
                   unit.bucket_of_finer, unit.name, cost_ledger_internal.merged_columns(unit.name), unit.finer, unit.start, unit.stop),
            cost_ledger_internal.touched_rows(unit.name),
            format('SELECT DISTINCT %s AS bucket, k.key_id FROM %s', unit.bucket, keyed));
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.remake_labels(text, text) IS
    'Makes the minutes, hours, days and months anew in which the rows of a query were, of the rows c of call for which a condition holds.';

CREATE FUNCTION cost_ledger_internal.remake_users(taken text, kept text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    day constant text := format('(c.called_at AT TIME ZONE %L)::date', zone);
    user_id constant text := 'coalesce(%s.user_id, '''') COLLATE "C"';
    touched constant text := format('SELECT DISTINCT %s AS bucket, %s AS user_id FROM %s c', day, format(user_id, 'c'), taken);
    spans tstzmultirange;
BEGIN
    EXECUTE format('SELECT range_agg(tstzrange((t.bucket::timestamp AT TIME ZONE %1$L) - interval ''2 hours'', ((t.bucket + 1)::timestamp AT TIME ZONE %1$L) + interval ''2 hours''))
                    FROM (%2$s) t', zone, touched)
        INTO spans;
    IF spans IS NULL THEN
        RETURN;
    END IF;
    PERFORM cost_ledger_internal.put_right(
        'user_day',
        cost_ledger_internal.expected_rows('user_day', format('((%s, %s) IN (SELECT t.bucket, t.user_id FROM touched t)) IS TRUE AND %s', day, format(user_id, 'c'), kept),
                                           cost_ledger_internal.calls_within(spans)),
        cost_ledger_internal.touched_rows('user_day'), touched);
    PERFORM cost_ledger_internal.put_right(
        'user_month',
        format('SELECT date_trunc(''month'', f.day::timestamp)::date AS month, f.user_id, %s FROM cost_ledger_internal.rollup_user_day f
                WHERE f.day >= (SELECT min(t.bucket) FROM touched t) AND f.day < (SELECT max(t.bucket) FROM touched t) + 31
                  AND ((date_trunc(''month'', f.day::timestamp)::date, %s) IN (SELECT t.bucket, t.user_id FROM touched t)) IS TRUE GROUP BY 1, 2',
               cost_ledger_internal.merged_columns('user_month'), format(user_id, 'f')),
        cost_ledger_internal.touched_rows('user_month'),
        format('SELECT DISTINCT date_trunc(''month'', t.bucket::timestamp)::date AS bucket, t.user_id FROM (%s) t', touched));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.remake_users(text, text) IS
    'remake_labels() for days and months of users.';

CREATE FUNCTION cost_ledger_internal.remake_ids(rollup text, taken text, kept text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    -- Of what is older, and of what has calls in a month that vanished, calls are missing.
    whole constant text := 'r.started_at >= (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s)
                            AND NOT EXISTS (SELECT FROM cost_ledger_internal.vanished_month v WHERE r.started_at < v.range_end AND r.ended_at >= v.range_start)';
    touched constant text := format('SELECT r.%1$s_id AS id, r.started_at, r.ended_at, r.started_on FROM cost_ledger_internal.rollup_%1$s r
                                     WHERE r.%1$s_id IN (SELECT c.%1$s_id COLLATE "C" FROM %3$s c) AND (%2$s)', rollup, whole, taken);
    ids text[];
    spans tstzmultirange;
    days date[];
    older_days date[];
BEGIN
    EXECUTE format('SELECT array_agg(t.id), array_agg(DISTINCT t.started_on), range_agg(tstzrange(t.started_at, t.ended_at + interval ''1 microsecond'')) FROM (%s) t', touched)
        INTO ids, days, spans;
    IF ids IS NOT NULL THEN
        PERFORM cost_ledger_internal.put_right(
            rollup,
            cost_ledger_internal.expected_rows(rollup, format('(c.%s_id COLLATE "C" IN (SELECT t.id FROM touched t)) IS TRUE AND %s', rollup, kept),
                                               cost_ledger_internal.calls_within(spans)),
            cost_ledger_internal.touched_rows(rollup), touched);
    END IF;
    EXECUTE format('WITH older AS (
                        UPDATE cost_ledger_internal.rollup_%1$s r SET %2$s
                        FROM (%3$s) x WHERE x.%1$s_id = r.%1$s_id AND NOT (%4$s) RETURNING r.started_on)
                    SELECT array_agg(DISTINCT o.started_on) FROM older o',
                   rollup,
                   (SELECT string_agg(format(CASE c.merge WHEN '+' THEN '%1$s = r.%1$s - x.%1$s' ELSE '%1$s = r.%1$s - coalesce(x.%1$s, 0)' END, c.column_name), ', ')
                    FROM cost_ledger_internal.rollup_column() c
                    WHERE rollup = ANY (c.rollups) AND c.merge IN ('+', 'sum')),
                   cost_ledger_internal.rollup_query(rollup, 'true', taken), whole)
        INTO older_days;
    IF rollup = 'run' THEN
        PERFORM cost_ledger_internal.remake_run_days(
            days || older_days || ARRAY(SELECT DISTINCT r.started_on FROM cost_ledger_internal.rollup_run r WHERE r.run_id = ANY (ids)));
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.remake_ids(text, text, text) IS
    'remake_labels() for runs or sessions. From those that began before the first call that is kept, sums are subtracted; when they began and ended, and their labels, stay.';

CREATE FUNCTION cost_ledger_internal.apply_reversals() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    consumed text;
    taken text;
    kept text;
BEGIN
    IF NOT EXISTS (SELECT FROM cost_ledger_internal.reversal v WHERE v.is_due) THEN
        RETURN;
    END IF;
    PERFORM cost_ledger_internal.raise_work_mem();
    SELECT format('cost_ledger_internal.is_consumed(c.recorded_xid, c.call_id, %L, %s)', s.snapshot, s.base_call_id) || cost_ledger_internal.not_quarantined()
        INTO consumed
        FROM cost_ledger_internal.rollup_state s;
    taken := format('(SELECT c.* FROM cost_ledger_internal.reversal v JOIN cost_ledger.call c ON c.called_at = v.called_at AND c.call_id = v.call_id WHERE v.is_due AND %s)', consumed);
    kept := consumed || cost_ledger_internal.standing();
    PERFORM cost_ledger_internal.remake_labels(taken, kept);
    PERFORM cost_ledger_internal.remake_ids('run', taken, kept);
    PERFORM cost_ledger_internal.remake_ids('session', taken, kept);
    PERFORM cost_ledger_internal.remake_users(taken, kept);
    -- Last, as consume() does.
    PERFORM cost_ledger_internal.unpost_spend();
    UPDATE cost_ledger_internal.reversal v SET is_due = false WHERE v.is_due;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.apply_reversals() IS
    'Takes the rows of reversal that are due out of rollups and balances, as far as they are in. The caller has locked rollup_state.';

CREATE FUNCTION cost_ledger_internal.note_reversals(condition text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
BEGIN
    EXECUTE format('INSERT INTO cost_ledger_internal.reversal (called_at, call_id, reversal_id, restatement_id)
                    SELECT c.called_at, c.reverses, c.call_id,
                           (SELECT n.call_id FROM cost_ledger.call n
                            WHERE n.called_at = c.called_at AND n.call_id > c.reverses
                              AND n.restates = coalesce((SELECT o.restates FROM cost_ledger.call o WHERE o.called_at = c.called_at AND o.call_id = c.reverses), c.reverses)
                            ORDER BY n.call_id LIMIT 1)
                    FROM cost_ledger.call c
                    WHERE (%s) AND c.reverses IS NOT NULL
                      AND NOT EXISTS (SELECT FROM cost_ledger_internal.reversal v WHERE v.called_at = c.called_at AND v.call_id = c.reverses)
                    ON CONFLICT DO NOTHING', condition);
    PERFORM cost_ledger_internal.apply_reversals();
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.note_reversals(text) IS
    'Enters in reversal what the rows c of call for which a condition holds take back, where reattribute() or void_call() did not run here: on a logical subscriber. The caller has locked rollup_state.';
