-- Nothing is lost to one careless statement.  What is refused, and by what, is
-- in src/guard.c; here is only what loads it, and the trigger against TRUNCATE,
-- which fires no event trigger.

CREATE FUNCTION cost_ledger_internal.refuse_drop() RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_refuse_drop';

COMMENT ON FUNCTION cost_ledger_internal.refuse_drop() IS
    'Refuses the statement at work if it names something of the ledger to drop (23001); and loads the library, which refuses everything else.';

-- Fired for everybody's statements: nothing but a refusal may get out of it.  A
-- role that has no USAGE on this schema does not get at refuse_drop(); it owns
-- nothing here either that it could drop.
CREATE FUNCTION cost_ledger_internal.guard() RETURNS event_trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger_internal.refuse_drop();
EXCEPTION
    WHEN restrict_violation THEN RAISE;
    WHEN OTHERS THEN NULL;  -- a library that is missing, for one
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.guard() IS
    'Event trigger: loads the library before a statement that may drop something of the ledger.';

CREATE EVENT TRIGGER cost_ledger_guard
    ON ddl_command_start
    WHEN TAG IN ('DROP TABLE', 'DROP SEQUENCE', 'DROP VIEW', 'DROP SCHEMA', 'DROP EXTENSION', 'DROP OWNED', 'DROP TRIGGER', 'ALTER TABLE')
    EXECUTE FUNCTION cost_ledger_internal.guard();

COMMENT ON EVENT TRIGGER cost_ledger_guard IS
    'Keeps DROP and DETACH from taking the ledger of cost_ledger along, and stops nothing else. ALTER EVENT TRIGGER cost_ledger_guard DISABLE turns that off.';

CREATE FUNCTION cost_ledger_internal.refuse_truncate() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_refuse_truncate';

COMMENT ON FUNCTION cost_ledger_internal.refuse_truncate() IS
    'Trigger of tables that nobody empties: refuses TRUNCATE (23001), as the guard refuses DROP.';
