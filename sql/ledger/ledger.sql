-- The ledger: made by create_ledger() as ordinary objects of the caller, in
-- this schema but not of this extension, so that dumps keep whatever users add
-- to them and DROP EXTENSION cannot take the data along.

CREATE FUNCTION cost_ledger_internal.keep_settings() RETURNS trigger
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'the reporting zone and the currency of a ledger are for good'
        USING ERRCODE = 'object_not_in_prerequisite_state',
              DETAIL = 'Partitions and rollups are cut by the zone, costs are booked in the currency.',
              HINT = 'Make a ledger in another database, or drop_ledger() and create_ledger(timezone, currency), and bring the calls there.';
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.keep_settings() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.keep_settings() IS
    'Trigger of ledger: refuses another zone or currency (55000).';

CREATE FUNCTION cost_ledger_internal.ledger(OUT time_zone text, OUT currency text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('cost_ledger.ledger') IS NULL THEN
        RAISE EXCEPTION 'there is no ledger in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Run SELECT cost_ledger.create_ledger();';
    END IF;
    SELECT l.time_zone, l.currency INTO STRICT time_zone, currency FROM cost_ledger.ledger l;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.ledger() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.ledger() IS
    'Settings of the ledger; an error (55000) where there is none.';

CREATE FUNCTION cost_ledger.create_ledger(timezone text DEFAULT 'UTC', currency text DEFAULT 'USD') RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $create_ledger$
BEGIN
    IF to_regclass('cost_ledger.ledger') IS NOT NULL THEN
        RAISE EXCEPTION 'this database already has a ledger'
            USING ERRCODE = 'duplicate_object',
                  HINT = 'There is one ledger per database; cost_ledger.drop_ledger(i_mean_it => true) removes it with all its data.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = create_ledger.timezone) THEN
        RAISE EXCEPTION 'time zone "%" is not known', timezone
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use a name of pg_timezone_names, e.g. UTC, Europe/Berlin or Asia/Kolkata.';
    END IF;
    IF currency IS NULL OR currency !~ '^[A-Z]{3}$' THEN
        RAISE EXCEPTION 'currency "%" is not an ISO 4217 code', currency
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use three capital letters, e.g. USD.';
    END IF;

    EXECUTE $ledger$
@LEDGER@
    $ledger$;

    INSERT INTO cost_ledger.ledger (version, time_zone, currency, system_identifier)
        SELECT cost_ledger.version(), create_ledger.timezone, create_ledger.currency, c.system_identifier
        FROM pg_control_system() c;

    -- Clocks are not exact and reports look back: last month, this one, three ahead.
    PERFORM cost_ledger.create_partitions(now() - interval '1 month', now() + interval '3 months');
END
$create_ledger$;

COMMENT ON FUNCTION cost_ledger.create_ledger(text, text) IS
    'Makes the ledger in this database: tables, triggers and views in schema cost_ledger, owned by the caller. timezone is the reporting zone of days, weeks and months; currency the ISO 4217 code of every cost. One ledger per database.';

CREATE FUNCTION cost_ledger.drop_ledger(i_mean_it boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
    SET cost_ledger.allow_drop = on
AS $$
DECLARE
    views text;
    tables text;
BEGIN
    IF NOT coalesce(i_mean_it, false) THEN
        RAISE EXCEPTION 'this would remove every call, price, budget and alert of the ledger'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'If that is what you want: SELECT cost_ledger.drop_ledger(i_mean_it => true);';
    END IF;
    PERFORM cost_ledger_internal.ledger();
    PERFORM cost_ledger_internal.unschedule_jobs();

    -- Whatever stands in this schema and is not the extension's own is the
    -- ledger's.  Without CASCADE: objects elsewhere that use it are named in
    -- the error instead of going down with it.
    SELECT string_agg(c.oid::regclass::text, ', ') FILTER (WHERE c.relkind IN ('v', 'm')),
           string_agg(c.oid::regclass::text, ', ') FILTER (WHERE c.relkind IN ('r', 'p'))
        INTO views, tables
        FROM pg_class c
        WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
          AND c.relkind IN ('r', 'p', 'v', 'm')
          AND NOT c.relispartition
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
    EXECUTE 'DROP VIEW ' || views;
    EXECUTE 'DROP TABLE ' || tables;
END
$$;

COMMENT ON FUNCTION cost_ledger.drop_ledger(boolean) IS
    'Removes the ledger with all its data, and its job. Refused unless i_mean_it => true, and while objects outside the ledger depend on it (2BP01).';
