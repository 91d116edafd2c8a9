-- Locks: one at a time, where two would spoil each other's work.
--
-- A lock is a row of cost_ledger_internal.lock, held to the end of the
-- transaction.  Only who may update that table can take one: an advisory lock
-- anybody can hold who can connect, and with it stop the jobs.  The rows never
-- change, so taking one leaves nothing to clean up.
--
-- Who takes more than one lock takes them in this order: the row run_jobs, one
-- of the other rows, the row of rollup_state, tables.

CREATE FUNCTION cost_ledger_internal.take_lock(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM cost_ledger_internal.lock l WHERE l.name = take_lock.name FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'row "%" of cost_ledger_internal.lock is missing', name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('INSERT INTO cost_ledger_internal.lock VALUES (%L);', name);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.take_lock(text) IS
    'Takes a lock to the end of the transaction; waits for who has it.';

CREATE FUNCTION cost_ledger_internal.try_lock(name text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM cost_ledger_internal.lock l WHERE l.name = try_lock.name FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.try_lock(text) IS
    'Takes a lock to the end of the transaction; false when somebody else has it.';

CREATE FUNCTION cost_ledger_internal.why_locked(name text) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    holder xid;
    pid integer;
BEGIN
    SELECT l.xmax INTO holder FROM cost_ledger_internal.lock l WHERE l.name = why_locked.name;
    IF NOT FOUND THEN
        RETURN format('row "%s" of cost_ledger_internal.lock is missing', name);
    END IF;
    -- Whoever has locked a row holds a lock on his own transaction; of a
    -- subtransaction that has ended only the outer one's is left.
    SELECT k.pid INTO pid
        FROM pg_locks k
        WHERE k.locktype = 'transactionid' AND k.transactionid = holder AND k.mode = 'ExclusiveLock' AND k.granted;
    RETURN format('%s had the lock "%s"', CASE WHEN FOUND THEN coalesce('process ' || pid::text, 'a prepared transaction') ELSE 'somebody' END, name);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.why_locked(text) IS
    'Who has a lock, or why there is none to get, for people to read.';
