-- Retention: how long calls, event keys and holds are kept, and how a month of
-- calls goes.
--
-- A month is dropped only when its calls are in the rollups and the rollups have
-- been proved, row by row, in the same state: what is gone can no longer be
-- counted again.  What is left of it is a line in retention_log, with a digest that
-- a copy can be held against.  Locks are taken in the order that partition.sql says.

CREATE FUNCTION cost_ledger.set_retention(
    retain_calls interval DEFAULT NULL, retain_event_keys interval DEFAULT NULL, retain_holds interval DEFAULT NULL,
    retain_alerts interval DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF least(retain_calls, retain_event_keys) < interval '1 month' OR least(retain_holds, retain_alerts) < interval '8 days'
       OR greatest(retain_calls, retain_event_keys, retain_holds, retain_alerts) > interval '1000 years' THEN
        RAISE EXCEPTION 'calls and event keys are kept for a month at least, holds and alerts for 8 days, and each for 1000 years at most'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass e.g. retain_calls => ''13 months''; what is left out is kept for ever.';
    END IF;
    UPDATE cost_ledger.retention r
        SET retain_calls = set_retention.retain_calls, retain_event_keys = set_retention.retain_event_keys,
            retain_holds = set_retention.retain_holds, retain_alerts = set_retention.retain_alerts;
END
$$;

COMMENT ON FUNCTION cost_ledger.set_retention(interval, interval, interval, interval) IS
    'How long calls are kept, event keys, and holds and alerts that are over; what is left out, or NULL, is kept for ever, as is everything at first. Calls are dropped by whole months of the reporting zone, each when its last day is older than retain_calls and its rollups are proved; rollups stay. A replay of an event whose key is no longer kept counts twice; the key of a hold that is no longer kept may be used anew. An alert is over when its period was, and the one after it, or a rule''s when it was resolved; those of a period without end are kept. Calls and event keys are kept a month at least, holds and alerts 8 days, and each 1000 years at most (22023). Only for the owner of the ledger.';

CREATE FUNCTION cost_ledger_internal.retained_from(retain interval, as_of timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (as_of AT TIME ZONE l.time_zone - retain) AT TIME ZONE l.time_zone FROM cost_ledger_internal.ledger() l
$$;

COMMENT ON FUNCTION cost_ledger_internal.retained_from(interval, timestamptz) IS
    'An interval before a moment, counted in the reporting zone; NULL for no interval.';

CREATE FUNCTION cost_ledger_internal.expired_partitions(as_of timestamptz) RETURNS TABLE (
        relation regclass, partition text, range_start timestamptz, range_end timestamptz)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT p.relation, p.partition, p.range_start, p.range_end
        FROM cost_ledger_internal.partitions() p
        WHERE NOT p.is_default
          AND p.range_end <= cost_ledger_internal.retained_from((SELECT r.retain_calls FROM cost_ledger.retention r), as_of)
        ORDER BY p.range_start;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.expired_partitions(timestamptz) IS
    'Partitions all of whose time is older than calls are kept, oldest first.';

CREATE FUNCTION cost_ledger.partition_digest(relation regclass) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    -- Whatever the session has set: the text of a row must not change with it.
    SET DateStyle = 'ISO'
    SET IntervalStyle = 'postgres'
    SET TimeZone = 'UTC'
    SET extra_float_digits = 1
    SET bytea_output = 'hex'
    SET jit = off
AS $$
DECLARE
    -- Of digests of rows, a thousand at a time: no value grows large.
    query constant text := $query$
        SELECT encode(sha256(coalesce(string_agg(t.digest, '' ORDER BY t.n), '')), 'hex')
        FROM (SELECT r.n, sha256(string_agg(r.digest, '' ORDER BY r.called_at, r.call_id)) AS digest
              FROM (SELECT c.called_at, c.call_id, sha256(convert_to(c::text, %L)) AS digest,
                           (row_number() OVER (ORDER BY c.called_at, c.call_id) - 1) / 1000 AS n
                    FROM %s c WHERE true%s) r
              GROUP BY r.n) t
        $query$;
    left_out text := '';
    digest text;
BEGIN
    -- Where copies are kept there may be no ledger.
    IF to_regclass('cost_ledger.quarantined_call') IS NOT NULL THEN
        left_out := ' AND NOT EXISTS (SELECT FROM cost_ledger.quarantined_call q WHERE q.called_at = c.called_at AND q.call_id = c.call_id)';
    END IF;
    BEGIN
        EXECUTE format(query, 'UTF8', relation, left_out) INTO digest;
    EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
        -- Bytes that no text of UTF-8 has: as they are stored.
        EXECUTE format(query, getdatabaseencoding(), relation, left_out) INTO digest;
    END;
    RETURN digest;
END
$$;

COMMENT ON FUNCTION cost_ledger.partition_digest(regclass) IS
    'SHA-256 over the rows of a partition of call, in the order of called_at and call_id, as retention_log keeps it: of the digests of thousands of rows, which are of the digests of rows, which are of their text in UTF-8 (as from SELECT c::text, with dates in ISO and UTC); where some byte is no text in UTF-8, of all as they are stored. A copy kept elsewhere that has the same columns in the same order has the same digest. Calls in quarantine are left out: retention_log.quarantined names those that a dropped partition had.';

CREATE FUNCTION cost_ledger_internal.check_partition(relation regclass) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET DateStyle = 'ISO'
    SET TimeZone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    bounds record;
    state record;
    found_rows record;
    waiting bigint;
    differences bigint;
    problem text;
    quarantined bigint[];
BEGIN
    -- No rows must move meanwhile, nor somebody else drop what we read.
    PERFORM cost_ledger_internal.take_lock('partitions');
    IF cost_ledger_internal.is_foreign() THEN
        PERFORM cost_ledger_internal.refuse_foreign();
    END IF;
    DELETE FROM cost_ledger_internal.partition_check k WHERE k.relation = check_partition.relation::oid;
    SELECT p.partition, p.range_start, p.range_end INTO bounds
        FROM cost_ledger_internal.partitions() p WHERE p.relation = check_partition.relation;
    IF NOT FOUND THEN
        RETURN 'it is no partition any more';
    END IF;

    -- The state first: rows that come after it are seen to be new when the
    -- partition is dropped.
    SELECT * INTO STRICT state FROM cost_ledger_internal.rollup_state;
    quarantined := cost_ledger_internal.quarantined_ids(bounds.range_start, bounds.range_end);
    EXECUTE format('SELECT count(*) FROM %s c WHERE %s', relation, cost_ledger_internal.unconsumed_condition(state.snapshot, state.base_call_id, state.partial_xid, state.partial_call_id))
        INTO waiting;
    IF waiting > 0 THEN
        RETURN format('it has rows that are not in the rollups yet (%s)', waiting);
    END IF;

    IF bounds.range_end <= state.calls_from THEN
        -- Of a month that was dropped before; these rows came later.
        SELECT count(*) INTO differences
            FROM cost_ledger.retention_check r
            WHERE r.starts_at < bounds.range_end AND r.ends_at > bounds.range_start AND NOT r.is_equal;
    ELSE
        SELECT count(*) INTO differences FROM cost_ledger.check_rollups(bounds.range_start, bounds.range_end);
    END IF;
    IF differences > 0 THEN
        problem := format('its rollups differ from its calls (in %s rows)', differences);
    END IF;
    EXECUTE format('SELECT count(*) AS rows, sum(c.cost) AS cost, min(c.call_id) AS first_call_id, max(c.call_id) AS last_call_id FROM %s c WHERE true%s',
                   relation, cost_ledger_internal.standing() || cost_ledger_internal.not_quarantined())
        INTO found_rows;
    INSERT INTO cost_ledger_internal.partition_check (relation, partition, range_start, range_end, snapshot, base_call_id,
                                             rows, cost, first_call_id, last_call_id, quarantined, digest, problem)
        VALUES (check_partition.relation, bounds.partition, bounds.range_start, bounds.range_end, state.snapshot, state.base_call_id,
                found_rows.rows, found_rows.cost, found_rows.first_call_id, found_rows.last_call_id, quarantined,
                CASE WHEN problem IS NULL THEN cost_ledger.partition_digest(check_partition.relation) END, problem);
    RETURN problem;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_partition(regclass) IS
    'Proves that all rows of a partition but those in quarantine are in the rollups, and rightly, and records that with their digest in partition_check. Returns what is in the way, or NULL. It only reads call: nobody waits for it but who makes or drops partitions.';

CREATE FUNCTION cost_ledger_internal.drop_partition(relation regclass, tries integer DEFAULT 20) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET client_min_messages = warning
    SET lock_timeout = '100ms'
    SET cost_ledger.allow_drop = on
AS $$
DECLARE
    checked record;
    is_stale boolean;
BEGIN
    FOR try IN 1 .. tries LOOP
        BEGIN
            -- First the rollups, as refresh() does: no row of the partition
            -- can be brought in between the question and the drop.
            PERFORM cost_ledger_internal.lock_rollups();
            LOCK TABLE ONLY cost_ledger.call IN ACCESS EXCLUSIVE MODE;
            LOCK TABLE cost_ledger_internal.call_default IN ACCESS EXCLUSIVE MODE;
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
            EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF try >= tries THEN
                RAISE EXCEPTION 'partition % is due to be dropped, but in use', relation
                    USING ERRCODE = 'lock_not_available',
                          DETAIL = cost_ledger_internal.holders(ARRAY['cost_ledger.call', 'cost_ledger_internal.call_default', 'cost_ledger_internal.rollup_state', relation]::regclass[]),
                          HINT = 'Try again when they have ended.';
            END IF;
        END;
        PERFORM pg_sleep(0.1 + 0.2 * random());
    END LOOP;

    SELECT * INTO checked
        FROM cost_ledger_internal.partition_check k
        WHERE k.relation = drop_partition.relation::oid AND k.problem IS NULL;
    IF NOT FOUND THEN
        RETURN 'it has not been checked';
    END IF;
    -- Rows that came since: they may be in the rollups or not, and have not
    -- been checked.
    EXECUTE format('SELECT EXISTS (SELECT FROM %s c WHERE %s)', relation, cost_ledger_internal.unconsumed_condition(checked.snapshot, checked.base_call_id, NULL, NULL))
        INTO is_stale;
    DELETE FROM cost_ledger_internal.partition_check k WHERE k.relation = drop_partition.relation::oid;
    -- Or one has been brought in that was in quarantine.
    IF is_stale OR checked.quarantined IS DISTINCT FROM cost_ledger_internal.quarantined_ids(checked.range_start, checked.range_end) THEN
        RETURN 'calls have been recorded in it since it was checked';
    END IF;

    INSERT INTO cost_ledger.retention_log (partition, starts_at, ends_at, rows, cost, first_call_id, last_call_id, digest, retain_calls, checked_at, quarantined)
        SELECT checked.partition, checked.range_start, checked.range_end, checked.rows, checked.cost,
               checked.first_call_id, checked.last_call_id, checked.digest, r.retain_calls, checked.checked_at, checked.quarantined
        FROM cost_ledger.retention r;
    DELETE FROM cost_ledger_internal.quarantine q WHERE q.called_at >= checked.range_start AND q.called_at < checked.range_end;
    DELETE FROM cost_ledger_internal.reversal v WHERE v.called_at >= checked.range_start AND v.called_at < checked.range_end;
    UPDATE cost_ledger_internal.rollup_state s SET calls_from = greatest(s.calls_from, checked.range_end);
    EXECUTE format('DROP TABLE %s', relation);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.drop_partition(regclass, integer) IS
    'Drops a partition that check_partition() has proved and that has got no row since, and writes retention_log, in one transaction. Returns what is in the way, or NULL. Writers and readers wait for some milliseconds; 55P03 when it has not got its locks in so many tries of 0.1 s.';

CREATE FUNCTION cost_ledger.apply_retention(as_of timestamptz DEFAULT now(), tries integer DEFAULT 20) RETURNS TABLE (partition text, outcome text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    expired record;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF as_of IS NULL OR as_of > now() THEN
        RAISE EXCEPTION 'retention is applied as of a moment that has been'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave as_of out for now.';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'retention is applied at READ COMMITTED only'
            USING ERRCODE = 'invalid_transaction_state',
                  HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED;';
    END IF;
    -- In order: what is before the first call that is kept is gone.
    FOR expired IN SELECT * FROM cost_ledger_internal.expired_partitions(as_of) LOOP
        partition := expired.partition;
        outcome := cost_ledger_internal.check_partition(expired.relation);
        IF outcome IS NULL THEN
            outcome := cost_ledger_internal.drop_partition(expired.relation, tries);
        END IF;
        IF outcome IS NOT NULL THEN
            outcome := 'kept: ' || outcome;
            RETURN NEXT;
            RETURN;
        END IF;
        outcome := 'dropped';
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger.apply_retention(timestamptz, integer) IS
    'Drops the partitions of call that are older than set_retention() has it, oldest first, each only when all of its rows are in the rollups and these are right, and writes a row of retention_log for each. Stops at the first that has to stay, and says why. as_of is the moment to count from; tries is how often to ask for the locks, for 0.1 s each (55P03 when none got them). Only for the owner of the ledger, at READ COMMITTED (25000).';

CREATE FUNCTION cost_ledger_internal.prune_event_keys(as_of timestamptz DEFAULT now(), max_keys bigint DEFAULT 50000) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    keys_from timestamptz;
    pruned bigint;
BEGIN
    SELECT cost_ledger_internal.retained_from(r.retain_event_keys, as_of) INTO keys_from
        FROM cost_ledger.retention r
        WHERE r.retain_event_keys IS NOT NULL
          -- There is no index for it, so it is a task of once a day.
          AND (r.event_keys_pruned_at IS NULL OR r.event_keys_pruned_at <= as_of - interval '1 day');
    IF keys_from IS NULL THEN
        RETURN 0;
    END IF;
    WITH old AS (
        SELECT k.key_space, k.event_key
        FROM cost_ledger_internal.event_key k
        WHERE k.called_at < keys_from
          -- An old call that was recorded lately may be sent again.
          AND NOT EXISTS (SELECT FROM cost_ledger.call c
                          WHERE c.called_at = k.called_at AND c.call_id = k.call_id AND c.recorded_at >= keys_from)
        LIMIT max_keys
    ), gone AS (
        DELETE FROM cost_ledger_internal.event_key k USING old o WHERE k.key_space = o.key_space AND k.event_key = o.event_key RETURNING 1
    )
    SELECT count(*) INTO pruned FROM gone;
    IF pruned < max_keys THEN
        UPDATE cost_ledger.retention r SET event_keys_pruned_at = as_of;
    END IF;
    RETURN pruned;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.prune_event_keys(timestamptz, bigint) IS
    'Step of the jobs: forgets event keys of calls made and recorded longer ago than set_retention() has it, up to max_keys at a time, and then not again for a day. Returns how many.';

CREATE FUNCTION cost_ledger_internal.refuse_dropped(called_at timestamptz) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    dropped record;
BEGIN
    SELECT r.partition INTO dropped
        FROM cost_ledger.retention_log r
        WHERE refuse_dropped.called_at >= r.starts_at AND refuse_dropped.called_at < r.ends_at
        ORDER BY r.log_id DESC
        LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'calls of % were dropped by retention', refuse_dropped.called_at
            USING ERRCODE = 'no_data_found',
                  DETAIL = format('Partition %s is gone; retention_log says when.', dropped.partition),
                  HINT = 'What is in the rollups of a dropped call stays as it is; book a difference as a call of today, with what it is for in tags.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.refuse_dropped(timestamptz) IS
    'The error of a function that looks for a call where retention has dropped the calls (P0002); nothing elsewhere.';

CREATE FUNCTION cost_ledger_internal.refuse_dropped(range_start timestamptz, range_end timestamptz, filters jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET DateStyle = 'ISO'
AS $$
DECLARE
    dropped_to timestamptz;
BEGIN
    SELECT max(r.ends_at) INTO dropped_to
        FROM cost_ledger.retention_log r
        WHERE r.starts_at < refuse_dropped.range_end AND r.ends_at > refuse_dropped.range_start AND r.rows > 0;
    -- Calls that are named are there, or nobody expects them.
    IF dropped_to IS NOT NULL AND coalesce(jsonb_typeof(filters -> 'call_id') IN ('object', 'null'), true) THEN
        RAISE EXCEPTION 'calls made before % were dropped by retention', dropped_to
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'What is in the rollups of them stays as it is; see retention_log.',
                  HINT = format('Start the range at %L', dropped_to)
                         || CASE WHEN filters IS NULL THEN '.'
                                 ELSE '; calls that were recorded for that time since can be named: filters => ''{"call_id": [1, 2]}''.' END;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.refuse_dropped(timestamptz, timestamptz, jsonb) IS
    'The error of a function that takes all calls of a range of time where retention has dropped some (22023), unless the filters name calls; filters is NULL for one that has none.';
