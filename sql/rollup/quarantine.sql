-- The quarantine: one row that cannot be added up must not keep a million
-- others from being.
--
-- A batch that fails with an error of its data is halved until the rows are
-- known that fail alone; these go into the quarantine in the transaction that
-- brings in the rest, so every row is in the rollups or in the quarantine, once,
-- whatever ends the transaction.  As long as nothing fails, and nothing is in
-- quarantine, none of this costs anything: the conditions below are texts.
--
-- To try a row alone takes as long as to try hundreds together.  So that a batch
-- full of bad rows comes to an end, its parts are not made smaller than a
-- thousandth of it once a hundred rows have been found.

CREATE FUNCTION cost_ledger_internal.not_quarantined() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM cost_ledger_internal.quarantine) THEN
        RETURN ' AND NOT EXISTS (SELECT FROM cost_ledger_internal.quarantine q WHERE q.called_at = c.called_at AND q.call_id = c.call_id)';
    END IF;
    RETURN '';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.not_quarantined() IS
    'What leaves rows in quarantine out of a condition on rows c of call; empty while there are none.';

CREATE FUNCTION cost_ledger_internal.quarantined_ids(range_start timestamptz, range_end timestamptz) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT array_agg(q.call_id ORDER BY q.call_id)
            FROM cost_ledger_internal.quarantine q
            WHERE q.called_at >= quarantined_ids.range_start AND q.called_at < quarantined_ids.range_end);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.quarantined_ids(timestamptz, timestamptz) IS
    'The calls of a range of time that are in quarantine; NULL where there are none.';

CREATE FUNCTION cost_ledger_internal.tell_of_quarantine() RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    calls bigint := (SELECT count(*) FROM cost_ledger_internal.quarantine);
BEGIN
    IF calls > 0 THEN
        RAISE NOTICE 'calls in quarantine, which are left out: %', calls
            USING HINT = 'SELECT * FROM cost_ledger.quarantined_call; says which and why.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.tell_of_quarantine() IS
    'Says how many calls are in quarantine, if any are.';

CREATE FUNCTION cost_ledger_internal.try_consume(condition text, OUT consumed bigint, OUT state text, OUT message text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    consumed := cost_ledger_internal.consume(condition);
EXCEPTION WHEN data_exception OR program_limit_exceeded OR internal_error THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    -- Of internal errors the one that a value too large for memory gives.
    -- Timeouts, deadlocks and full disks are no row's fault.
    IF state LIKE 'XX%' AND message NOT LIKE 'invalid memory alloc request size%' THEN
        RAISE;
    END IF;
    message := left(message, 1000);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.try_consume(text) IS
    'consume(), undone where the rows are to blame: then state and message are of its error, and consumed is NULL.';

CREATE FUNCTION cost_ledger_internal.halves(condition text, least_calls bigint) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET DateStyle = 'ISO'
    SET row_security = off
    SET jit = off
AS $$
DECLARE
    calls bigint;
    middle record;
BEGIN
    EXECUTE format('SELECT count(*) FROM cost_ledger.call c WHERE %s', condition) INTO calls;
    IF calls <= least_calls THEN
        RETURN NULL;
    END IF;
    -- In the order of the primary key, by which smaller and smaller parts are
    -- found.
    EXECUTE format('SELECT c.called_at, c.call_id FROM cost_ledger.call c WHERE %s ORDER BY c.called_at, c.call_id OFFSET %s LIMIT 1',
                   condition, calls / 2)
        INTO middle;
    RETURN ARRAY[format('(%s) AND c.called_at <= %L AND (c.called_at, c.call_id) < (%2$L, %s)', condition, middle.called_at, middle.call_id),
                 format('(%s) AND c.called_at >= %L AND (c.called_at, c.call_id) >= (%2$L, %s)', condition, middle.called_at, middle.call_id)];
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.halves(text, bigint) IS
    'The conditions of the two halves of the rows c of call for which a condition holds; NULL where these are no more than least_calls.';

CREATE FUNCTION cost_ledger_internal.consume_parts(condition text) RETURNS TABLE (part text, consumed bigint, state text, message text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parts text[] := ARRAY[condition];
    halves text[];
    smallest bigint;
    refused bigint := 0;
BEGIN
    WHILE parts <> '{}' LOOP
        part := parts[1];
        parts := parts[2:];
        SELECT t.* INTO consumed, state, message FROM cost_ledger_internal.try_consume(part) t;
        IF state IS NOT NULL THEN
            IF smallest IS NULL THEN
                EXECUTE format('SELECT greatest(count(*) / 1000, 1) FROM cost_ledger.call c WHERE %s', condition) INTO smallest;
            END IF;
            halves := cost_ledger_internal.halves(part, CASE WHEN refused < 100 THEN 1 ELSE smallest END);
            IF halves IS NOT NULL THEN
                parts := halves || parts;
                CONTINUE;
            END IF;
            SELECT t.* INTO consumed, state, message FROM cost_ledger_internal.try_consume(part) t;
            refused := refused + 1;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.consume_parts(text) IS
    'consume(), in as many parts as it takes: for each the condition of its rows, and how many went in, or the error that it failed with, twice. Parts that fail are single rows; after a hundred, a thousandth of all or less.';

CREATE FUNCTION cost_ledger_internal.consume_batch(condition text, OUT consumed bigint, OUT quarantined bigint)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    outcome record;
    refused bigint;
    last_state text;
    last_message text;
BEGIN
    consumed := 0;
    quarantined := 0;
    PERFORM cost_ledger_internal.note_reversals(condition);
    condition := format('(%s)%s', condition, cost_ledger_internal.standing());
    FOR outcome IN SELECT p.* FROM cost_ledger_internal.consume_parts(condition) p LOOP
        IF outcome.state IS NULL THEN
            consumed := consumed + outcome.consumed;
            CONTINUE;
        END IF;
        EXECUTE format('INSERT INTO cost_ledger_internal.quarantine (called_at, call_id, sqlstate, message)
                        SELECT c.called_at, c.call_id, $1, $2 FROM cost_ledger.call c WHERE %s', outcome.part)
            USING outcome.state, outcome.message;
        GET DIAGNOSTICS refused = ROW_COUNT;
        quarantined := quarantined + refused;
        last_state := outcome.state;
        last_message := outcome.message;
    END LOOP;
    -- Where none of many can be read, it is not they that are wrong.
    IF consumed = 0 AND quarantined > 20 THEN
        RAISE EXCEPTION 'no call could be brought into the rollups: %', last_message
            USING ERRCODE = last_state,
                  HINT = format('All %s failed, and not only together: something is broken that all of them need.', quarantined);
    END IF;
    IF quarantined > 0 THEN
        RAISE WARNING 'calls put into quarantine: %', quarantined
            USING HINT = 'SELECT * FROM cost_ledger.quarantined_call; says which and why.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.consume_batch(text) IS
    'consume() of the rows that stand, but what consume_parts() cannot bring in goes into the quarantine instead. Returns how many went in, and how many into the quarantine. The caller has locked rollup_state.';

CREATE FUNCTION cost_ledger.release_quarantine(called_at timestamptz DEFAULT NULL, call_id bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET DateStyle = 'ISO'
    SET row_security = off
AS $$
DECLARE
    wanted text := 'EXISTS (SELECT FROM cost_ledger_internal.quarantine q WHERE q.called_at = c.called_at AND q.call_id = c.call_id)'
                   || coalesce(' AND c.called_at = ' || quote_literal(release_quarantine.called_at), '')
                   || coalesce(' AND c.call_id = ' || release_quarantine.call_id, '')
                   || cost_ledger_internal.standing();
    held record;
    outcome record;
    released bigint := 0;
BEGIN
    -- As refresh() does: nobody else brings the row in meanwhile.
    IF (cost_ledger_internal.lock_rollups()).is_foreign THEN
        PERFORM cost_ledger_internal.refuse_foreign();
    END IF;
    IF NOT EXISTS (SELECT FROM cost_ledger_internal.quarantine q
                   WHERE q.called_at = coalesce(release_quarantine.called_at, q.called_at)
                     AND q.call_id = coalesce(release_quarantine.call_id, q.call_id)) THEN
        IF num_nonnulls(release_quarantine.called_at, release_quarantine.call_id) > 0 THEN
            RAISE EXCEPTION 'call % of % is not in quarantine', release_quarantine.call_id, release_quarantine.called_at
                USING ERRCODE = 'no_data_found',
                      HINT = 'SELECT * FROM cost_ledger.quarantined_call; shows what is.';
        END IF;
        RETURN 0;
    END IF;
    FOR outcome IN SELECT p.* FROM cost_ledger_internal.consume_parts(wanted) p LOOP
        IF outcome.state IS NULL THEN
            EXECUTE 'DELETE FROM cost_ledger_internal.quarantine h USING cost_ledger.call c WHERE h.called_at = c.called_at AND h.call_id = c.call_id AND ' || outcome.part;
            released := released + outcome.consumed;
        ELSIF release_quarantine.call_id IS NOT NULL THEN
            RAISE EXCEPTION 'call % of % still cannot be brought in: %', release_quarantine.call_id, release_quarantine.called_at, outcome.message
                USING ERRCODE = outcome.state,
                      HINT = 'It stays in quarantine; book what it cost as a call of its own, or keep it there until a later version can read it.';
        ELSE
            FOR held IN EXECUTE 'UPDATE cost_ledger_internal.quarantine h SET sqlstate = $1, message = $2 FROM cost_ledger.call c
                                 WHERE h.called_at = c.called_at AND h.call_id = c.call_id AND ' || outcome.part || ' RETURNING h.called_at, h.call_id'
                        USING outcome.state, outcome.message LOOP
                RAISE WARNING 'call % of % stays in quarantine: %', held.call_id, held.called_at, outcome.message;
            END LOOP;
        END IF;
    END LOOP;
    UPDATE cost_ledger_internal.rollup_state s SET rows_consumed = s.rows_consumed + released WHERE released > 0;
    RETURN released;
END
$$;

COMMENT ON FUNCTION cost_ledger.release_quarantine(timestamptz, bigint) IS
    'Brings calls in quarantine into rollups and balances, each exactly once, and returns how many: the one that is named, which is an error if it still fails, with its SQLSTATE; by default all that can be, with a warning for each that stays. Waits for refresh(), and it for this. At READ COMMITTED (25000). Only for the owner of the ledger.';
