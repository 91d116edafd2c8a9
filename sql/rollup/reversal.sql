-- Rows that are taken back: out of rollups and balances, in the transaction that
-- takes them back.
--
-- Sums could be subtracted; a summary, a first call, an end or a NULL could not.
-- So the rows of rollups that have them are made anew from the calls that are left
-- (src/remake.c).  Whoever does it holds the lock of rollup_state, so rollups,
-- reversal and the state say the same at every instant; the row that stands in the
-- place of another is brought in by refresh(), as any row.

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

CREATE FUNCTION cost_ledger_internal.local_range(first date, next date) RETURNS tstzrange
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT tstzrange(cost_ledger_internal.day_start(first, l.time_zone), cost_ledger_internal.day_start(next, l.time_zone)) FROM cost_ledger.ledger l
$$;

COMMENT ON FUNCTION cost_ledger_internal.local_range(date, date) IS
    'From the start of a day of the reporting zone to the start of another.';

CREATE FUNCTION cost_ledger_internal.remake_rollups(
    taken text, source text, kept text, kept_times tstzmultirange, OUT run_days date[], OUT session_days date[], OUT run_ids text[])
    LANGUAGE c VOLATILE STRICT
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
    AS 'MODULE_PATHNAME', 'cl_remake_rollups';

COMMENT ON FUNCTION cost_ledger_internal.remake_rollups(text, text, text, tstzmultirange) IS
    'Makes the rows of the rollups anew, but for those of days of runs and sessions and of whole runs, that have one of the rows of a query, of the rows c of another query for which a condition holds. Where calls of a row''s time are no more, sums are subtracted from it. Returns the days on which the runs and sessions concerned began, before and after, and the ids of the runs.';

CREATE FUNCTION cost_ledger_internal.spans_of(taken text) RETURNS tstzmultirange
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    spans tstzmultirange;
BEGIN
    -- Whole months and weeks, and all of their runs and sessions.
    EXECUTE format('SELECT range_agg(s.span)
                    FROM (SELECT DISTINCT tstzrange(date_trunc(''week'', m.month, %1$L), (date_trunc(''week'', m.month_end, %1$L) AT TIME ZONE %1$L + interval ''7 days'') AT TIME ZONE %1$L) AS span
                          FROM (SELECT DISTINCT date_trunc(''month'', c.called_at, %1$L) AS month,
                                       (date_trunc(''month'', c.called_at AT TIME ZONE %1$L) + interval ''1 month'') AT TIME ZONE %1$L - interval ''1 second'' AS month_end
                                FROM %2$s c) m
                          UNION ALL
                          SELECT tstzrange(r.started_at, r.ended_at + interval ''1 microsecond'') FROM cost_ledger_internal.rollup_run r
                          WHERE r.run_id = ANY (ARRAY(SELECT DISTINCT c.run_id COLLATE "C" FROM %2$s c))
                          UNION ALL
                          SELECT tstzrange(r.started_at, r.ended_at + interval ''1 microsecond'') FROM cost_ledger_internal.rollup_session r
                          WHERE r.session_id = ANY (ARRAY(SELECT DISTINCT c.session_id COLLATE "C" FROM %2$s c))) s',
                   (cost_ledger_internal.ledger()).time_zone, taken)
        INTO spans;
    RETURN spans;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spans_of(text) IS
    'The times whose calls are in the rows of rollups that have one of the rows of a query.';

CREATE FUNCTION cost_ledger_internal.apply_reversals() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    consumed constant text := cost_ledger_internal.consumed_condition() || cost_ledger_internal.not_quarantined();
    month timestamp;
    taken text;
    made record;
    trees text[];
BEGIN
    IF NOT EXISTS (SELECT FROM cost_ledger_internal.reversal v WHERE v.is_due) THEN
        RETURN;
    END IF;
    -- Month by month, so that what is touched fits into memory.
    FOR month IN SELECT DISTINCT date_trunc('month', v.called_at AT TIME ZONE zone) FROM cost_ledger_internal.reversal v WHERE v.is_due ORDER BY 1 LOOP
        taken := format('(SELECT c.* FROM cost_ledger_internal.reversal v JOIN cost_ledger.call c ON c.called_at = v.called_at AND c.call_id = v.call_id
                          WHERE v.is_due AND v.called_at >= %L AND v.called_at < %L AND date_trunc(''month'', v.called_at AT TIME ZONE %L) = %L AND %s)',
                        -- Which month it is the last condition says; a zone may have its first midnight twice.
                        (month - interval '1 day') AT TIME ZONE zone, (month + interval '1 month 1 day') AT TIME ZONE zone, zone, month, consumed);
        -- A run may be gone, or above no other, when it has been made anew.
        EXECUTE format('SELECT cost_ledger_internal.trees_of(ARRAY(SELECT DISTINCT c.run_id FROM %s c WHERE c.run_id IS NOT NULL))', taken) INTO trees;
        SELECT m.* INTO made
            FROM cost_ledger_internal.remake_rollups(
                taken, cost_ledger_internal.calls_within(cost_ledger_internal.spans_of(taken)), consumed || cost_ledger_internal.standing(),
                cost_ledger_internal.kept_times('run')) m;
        -- One by one, by the primary key.
        PERFORM cost_ledger_internal.add_input_parts(
            format('(SELECT p.* FROM %s t CROSS JOIN LATERAL (SELECT p.* FROM cost_ledger_internal.call_input_part p WHERE p.called_at = t.called_at AND p.call_id = t.call_id OFFSET 0) p)', taken),
            'true', -1);
        IF made.run_ids IS NOT NULL THEN
            made.run_days := made.run_days || cost_ledger_internal.place_trees(
                made.run_ids, made.run_ids || ARRAY(SELECT r.run_id FROM cost_ledger_internal.rollup_run r WHERE r.parent_run_id = ANY (made.run_ids)), trees);
        END IF;
        PERFORM cost_ledger_internal.make_days(made.run_days, made.session_days);
    END LOOP;
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
    SET jit = off
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
