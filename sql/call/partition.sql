-- Partitions of call: made ahead, and filled late.
--
-- Who changes them takes locks in one order: the lock partitions, the row of
-- rollup_state (only to drop), call, call_default, the partition.  refresh()
-- takes rollup_state and then reads call; writers lock call and one partition.
-- Whoever waits for an exclusive lock has everybody after it waiting too, so no
-- wait for a table is longer than 0.1 s: a try that does not get all its locks
-- gives them back, and is made again.

CREATE FUNCTION cost_ledger_internal.partitions() RETURNS TABLE (
        relation regclass, partition text, range_start timestamptz, range_end timestamptz, is_default boolean)
    LANGUAGE sql STABLE ROWS 36
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
    -- Bounds are read from text; an abbreviated zone may be read back as another.
    SET DateStyle = 'ISO'
    SET TimeZone = 'UTC'
AS $$
    SELECT c.oid::regclass, c.relname::text,
           CASE WHEN b.bounds[1] = 'MINVALUE' THEN '-infinity' ELSE trim(b.bounds[1], '''')::timestamptz END,
           CASE WHEN b.bounds[2] = 'MAXVALUE' THEN 'infinity' ELSE trim(b.bounds[2], '''')::timestamptz END,
           b.bounds IS NULL
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \((.+)\) TO \((.+)\)$') AS bounds) b
    WHERE i.inhparent = to_regclass('cost_ledger.call')
    ORDER BY b.bounds IS NULL, 3
$$;

COMMENT ON FUNCTION cost_ledger_internal.partitions() IS
    'The partitions of call with their ranges (end exclusive), oldest first, the default one last; in the view partition_status there is more of each.';

CREATE FUNCTION cost_ledger_internal.new_partition(partition text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE TABLE cost_ledger_internal.%I (LIKE cost_ledger.call INCLUDING ALL)', partition);
    EXECUTE format('ALTER TABLE cost_ledger_internal.%I OWNER TO %I', partition,
                   (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = 'cost_ledger.call'::regclass));
    EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON cost_ledger_internal.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION cost_ledger_internal.refuse_change()', partition);
    EXECUTE format('ALTER TABLE cost_ledger_internal.%I ENABLE ALWAYS TRIGGER append_only_truncate', partition);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.new_partition(text) IS
    'Makes a table that can be attached to call. It has no row triggers until then.';

CREATE FUNCTION cost_ledger_internal.missing_partitions(months timestamp[]) RETURNS TABLE (
        partition text, lower_bound timestamptz, upper_bound timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.*
    FROM (SELECT to_char(n.month, '"call_p"YYYY_MM') AS partition,
                 cost_ledger_internal.day_start(n.month::date, z.time_zone) AS lower_bound,
                 cost_ledger_internal.day_start((n.month + interval '1 month')::date, z.time_zone) AS upper_bound
          FROM cost_ledger_internal.ledger() z, unnest(months) AS n (month)) m
    WHERE to_regclass('cost_ledger_internal.' || m.partition) IS NULL
      -- Somebody may have attached a partition of another size.
      AND NOT EXISTS (SELECT FROM cost_ledger_internal.partitions() p
                      WHERE p.range_start < m.upper_bound AND p.range_end > m.lower_bound)
    ORDER BY m.lower_bound
$$;

COMMENT ON FUNCTION cost_ledger_internal.missing_partitions(timestamp[]) IS
    'Those of some months (their first instants, local to the reporting zone) that have no partition, nor a table of its name.';

CREATE FUNCTION cost_ledger_internal.holders(relations regclass[]) RETURNS text
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'Locks are held by ' || coalesce(string_agg(DISTINCT coalesce('process ' || l.pid, 'a prepared transaction'), ', '), 'nobody any more') || '.'
    FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.granted
      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
      AND l.relation = ANY (relations::oid[])
      AND l.pid IS DISTINCT FROM pg_backend_pid()
$$;

COMMENT ON FUNCTION cost_ledger_internal.holders(regclass[]) IS
    'Who else has locks on some tables, as the detail of an error.';

CREATE FUNCTION cost_ledger_internal.default_has_calls(lower_bounds timestamptz[], upper_bounds timestamptz[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT
                   FROM unnest(lower_bounds, upper_bounds) AS u (lower_bound, upper_bound)
                   WHERE EXISTS (SELECT FROM cost_ledger_internal.call_default c
                                 WHERE c.called_at >= u.lower_bound AND c.called_at < u.upper_bound));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.default_has_calls(timestamptz[], timestamptz[]) IS
    'Whether calls wait in call_default for partitions of some bounds; as it is now, not as the statement found it.';

CREATE FUNCTION cost_ledger_internal.lock_for_partitions(lower_bounds timestamptz[], upper_bounds timestamptz[], tries integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '100ms'
AS $$
DECLARE
    is_draining boolean;
BEGIN
    -- A partition is attached under locks that keep writers out of call_default
    -- only.  Where that has rows of the months, nobody may write until they are
    -- moved.
    FOR try IN 1 .. tries LOOP
        is_draining := cost_ledger_internal.default_has_calls(lower_bounds, upper_bounds);
        IF is_draining AND current_setting('transaction_isolation') <> 'read committed' THEN
            -- Rows that an older snapshot does not see would be left behind.
            RAISE EXCEPTION 'calls are moved to their partition at READ COMMITTED only'
                USING ERRCODE = 'invalid_transaction_state',
                      HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED;';
        END IF;
        BEGIN
            IF is_draining THEN
                LOCK TABLE ONLY cost_ledger.call IN ACCESS EXCLUSIVE MODE;
            ELSE
                LOCK TABLE ONLY cost_ledger.call IN SHARE UPDATE EXCLUSIVE MODE;
            END IF;
            LOCK TABLE cost_ledger_internal.call_default IN ACCESS EXCLUSIVE MODE;
            IF NOT is_draining AND cost_ledger_internal.default_has_calls(lower_bounds, upper_bounds) THEN
                -- They came while we waited.  The stronger lock is taken anew:
                -- from this one, it would wait for writers that wait for us.
                RAISE lock_not_available;
            END IF;
            RETURN is_draining;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF try >= tries THEN
                RAISE EXCEPTION 'the ledger is too busy to attach a partition'
                    USING ERRCODE = 'lock_not_available',
                          DETAIL = cost_ledger_internal.holders(ARRAY['cost_ledger.call', 'cost_ledger_internal.call_default']::regclass[]),
                          HINT = 'Try again when they have ended; calls go on being recorded meanwhile, and the job tries again every minute.';
            END IF;
        END;
        PERFORM pg_sleep(0.1 + 0.2 * random());
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.lock_for_partitions(timestamptz[], timestamptz[], integer) IS
    'Takes the locks under which partitions of some bounds are attached, and returns whether call_default has rows of theirs. 55P03 when it has not got them in so many tries of 0.1 s.';

CREATE FUNCTION cost_ledger_internal.make_partitions(months timestamp[], tries integer DEFAULT 20) RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    -- Bounds go through text; an abbreviated zone may be read back as another.
    SET DateStyle = 'ISO'
    SET TimeZone = 'UTC'
    SET client_min_messages = warning
    SET lock_timeout = '100ms'
    -- call_default is detached while rows are taken out of it.
    SET cost_ledger.allow_drop = on
AS $$
DECLARE
    zone text := (cost_ledger_internal.ledger()).time_zone;
    columns text;
    is_draining boolean;
    m record;
    made text[];
    lower_bounds timestamptz[];
    upper_bounds timestamptz[];
BEGIN
    SELECT array_agg(p.partition), array_agg(p.lower_bound), array_agg(p.upper_bound)
        INTO made, lower_bounds, upper_bounds
        FROM cost_ledger_internal.missing_partitions(months) p;
    IF made IS NULL THEN
        RETURN;  -- somebody else has made them
    END IF;
    FOR m IN SELECT u.partition FROM unnest(made) AS u (partition) LOOP
        PERFORM cost_ledger_internal.new_partition(m.partition);
    END LOOP;

    is_draining := cost_ledger_internal.lock_for_partitions(lower_bounds, upper_bounds, tries);

    -- Rows that came before their partition are moved to it.  A re-insert
    -- through the ledger would price and stamp them again; between tables that
    -- are not part of it they keep ids, costs and transactions, and a
    -- publication of the ledger tells nobody.
    IF is_draining THEN
        ALTER TABLE cost_ledger.call DETACH PARTITION cost_ledger_internal.call_default;
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
            FROM pg_attribute a
            WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    END IF;
    FOR m IN
        SELECT * FROM unnest(made, lower_bounds, upper_bounds) AS u (partition, lower_bound, upper_bound)
    LOOP
        IF is_draining THEN
            EXECUTE format('INSERT INTO cost_ledger_internal.%2$I (%1$s) SELECT %1$s FROM cost_ledger_internal.call_default
                            WHERE called_at >= $1 AND called_at < $2', columns, m.partition)
                USING m.lower_bound, m.upper_bound;
            -- Deleted, not truncated away: who reads the whole ledger with an
            -- older snapshot still finds them here.
            DELETE FROM cost_ledger_internal.call_default c WHERE c.called_at >= m.lower_bound AND c.called_at < m.upper_bound;
        END IF;
        -- Attached rather than created in place, which would lock out writers.
        EXECUTE format('ALTER TABLE cost_ledger.call ATTACH PARTITION cost_ledger_internal.%I FOR VALUES FROM (%L) TO (%L)',
                       m.partition, m.lower_bound, m.upper_bound);
        EXECUTE format('COMMENT ON TABLE cost_ledger_internal.%I IS %L', m.partition,
                       format('Calls of %s, %s.', to_char(m.lower_bound AT TIME ZONE zone, 'FMMonth YYYY'), zone));
        RETURN NEXT m.partition;
    END LOOP;
    IF is_draining THEN
        ALTER TABLE cost_ledger.call ATTACH PARTITION cost_ledger_internal.call_default DEFAULT;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.make_partitions(timestamp[], integer) IS
    'Makes the partitions that some months lack, with the calls of these months that wait in call_default, and returns their names. 55P03 when it has not got its locks in so many tries of 0.1 s.';

CREATE FUNCTION cost_ledger.create_partitions(range_start timestamptz, range_end timestamptz) RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text;
    months timestamp[];
BEGIN
    IF NOT coalesce(isfinite(range_start) AND isfinite(range_end) AND range_start <= range_end, false) THEN
        RAISE EXCEPTION 'partitions need a finite range of time'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'Pass the first and the last time that calls will carry.';
    END IF;
    IF range_end - range_start > interval '36525 days' THEN
        RAISE EXCEPTION 'range of partitions is longer than a century'
            USING ERRCODE = 'program_limit_exceeded',
                  HINT = 'Each month becomes a table; pass the range that calls really carry.';
    END IF;

    zone := (cost_ledger_internal.ledger()).time_zone;
    months := ARRAY(SELECT generate_series(date_trunc('month', range_start AT TIME ZONE zone),
                                           range_end AT TIME ZONE zone, interval '1 month'));
    IF EXISTS (SELECT FROM cost_ledger_internal.missing_partitions(months)) THEN
        -- One maker at a time; nobody else waits for this lock.
        PERFORM cost_ledger_internal.take_lock('partitions');
        RETURN QUERY SELECT * FROM cost_ledger_internal.make_partitions(months);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger.create_partitions(timestamptz, timestamptz) IS
    'Makes the monthly partitions of call (months of the reporting zone) that a range of time needs and that are missing, and returns their names; for backfills, and for the job, which makes them ahead. Calls of those months that wait in call_default are moved, unchanged; only then are writers locked out meanwhile. On a busy ledger it waits for its locks in tries of 0.1 s, so that nobody queues up behind it, and gives up after a few seconds (55P03).';

CREATE FUNCTION cost_ledger_internal.drain_default(as_of timestamptz DEFAULT now()) RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text := (cost_ledger_internal.ledger()).time_zone;
    months timestamp[];
BEGIN
    -- A client with a broken clock must not make a table for each month there
    -- is.
    months := ARRAY(SELECT DISTINCT date_trunc('month', c.called_at AT TIME ZONE zone) AS month
                    FROM cost_ledger_internal.call_default c
                    WHERE c.called_at >= as_of - interval '10 years' AND c.called_at < as_of + interval '3 months'
                    ORDER BY month
                    LIMIT 12);
    IF months <> '{}' THEN
        PERFORM cost_ledger_internal.take_lock('partitions');
        RETURN QUERY SELECT * FROM cost_ledger_internal.make_partitions(months);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.drain_default(timestamptz) IS
    'Makes partitions for the calls that wait in call_default, up to 12 at a time, moves the calls there, and returns their names. Only of the last 10 years and the next 3 months: other times are rather wrong than early.';
