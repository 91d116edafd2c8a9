-- The ledger: made by create_ledger() as ordinary objects of the caller, in the
-- extension's schemas but not of the extension, so that dumps keep whatever
-- users add to them and DROP EXTENSION cannot take the data along.

CREATE FUNCTION cost_ledger_internal.keep_settings() RETURNS trigger
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'the reporting zone and the currency of a ledger are for good'
        USING ERRCODE = 'object_not_in_prerequisite_state',
              DETAIL = 'Partitions and rollups are cut by the zone, costs are booked in the currency.',
              HINT = 'Make a ledger in another database, or drop_ledger() and create_ledger(time_zone, currency), and bring the calls there.';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.keep_settings() IS
    'Trigger of ledger: refuses another zone or currency (55000).';

CREATE FUNCTION cost_ledger_internal.day_start(day date, time_zone text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_day_start';

COMMENT ON FUNCTION cost_ledger_internal.day_start(date, text) IS
    'The first instant of a day of a time zone.';

CREATE FUNCTION cost_ledger_internal.period_start(unit text, at timestamptz, time_zone text) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    -- date_trunc() of a time with its zone answers the second of two midnights.
    RETURN CASE WHEN isfinite(at) THEN cost_ledger_internal.day_start(date_trunc(unit, at AT TIME ZONE time_zone)::date, time_zone) ELSE at END;

COMMENT ON FUNCTION cost_ledger_internal.period_start(text, timestamptz, text) IS
    'The first instant of the day, week or month of a time zone that an instant is in; infinity stays what it is.';

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

COMMENT ON FUNCTION cost_ledger_internal.ledger() IS
    'Settings of the ledger; an error (55000) where there is none.';

CREATE FUNCTION cost_ledger_internal.forget_owners(next_owner text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before regrole;
BEGIN
    -- Nobody but owners has anything in the internal schema.
    FOR before IN
        SELECT DISTINCT a.grantee
        FROM pg_namespace n, aclexplode(n.nspacl) a
        WHERE n.nspname = 'cost_ledger_internal' AND a.grantee NOT IN (0, n.nspowner, (SELECT r.oid FROM pg_roles r WHERE r.rolname = next_owner))
    LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA cost_ledger, cost_ledger_internal FROM %s CASCADE', before);
        EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA cost_ledger, cost_ledger_internal FROM %s CASCADE', before);
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.forget_owners(text) IS
    'Takes from who owned a ledger before, and from whom these had granted it, what they have of the extension: EXECUTE is all that is asked of who acts as the next owner. For superusers.';

CREATE FUNCTION cost_ledger_internal.prepare_owner(owner text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger_internal.find_role(prepare_owner.owner);
    -- What belongs to the extension is the superuser's; an owner makes the
    -- ledger beside it, calls all of it, and lets others.
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA cost_ledger, cost_ledger_internal TO %I WITH GRANT OPTION', prepare_owner.owner);
    EXECUTE format('GRANT EXECUTE ON ALL ROUTINES IN SCHEMA cost_ledger, cost_ledger_internal TO %I WITH GRANT OPTION', prepare_owner.owner);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.prepare_owner(text) IS
    'Gives a role what it needs of the extension to own the ledger. For superusers.';

CREATE FUNCTION cost_ledger.create_ledger(time_zone text DEFAULT 'UTC', currency text DEFAULT 'USD', owner text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
    SET client_min_messages = warning
AS $create_ledger$
DECLARE
    role_before text := current_setting('role');
    is_superuser boolean := (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user);
BEGIN
    IF to_regclass('cost_ledger.ledger') IS NOT NULL THEN
        RAISE EXCEPTION 'this database already has a ledger'
            USING ERRCODE = 'duplicate_object',
                  HINT = 'There is one ledger per database; cost_ledger.drop_ledger(i_mean_it => true) removes it with all its data.';
    END IF;
    IF currency IS NULL OR currency !~ '^[A-Z]{3}$' THEN
        RAISE EXCEPTION 'currency "%" is not an ISO 4217 code', currency
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use three capital letters, e.g. USD.';
    END IF;
    IF is_superuser THEN
        PERFORM cost_ledger_internal.forget_owners(coalesce(owner, current_user));
    END IF;
    IF owner IS NOT NULL THEN
        IF NOT is_superuser THEN
            RAISE EXCEPTION 'only a superuser hands the ledger to another role'
                USING ERRCODE = 'insufficient_privilege',
                      HINT = 'Leave owner out, or ask who installed the extension.';
        END IF;
        PERFORM cost_ledger_internal.prepare_owner(owner);
        PERFORM set_config('role', owner, true);
    END IF;
    IF NOT has_schema_privilege('cost_ledger', 'CREATE') OR NOT has_schema_privilege('cost_ledger_internal', 'CREATE, USAGE')
       OR NOT has_function_privilege('cost_ledger_internal.price_call()', 'EXECUTE') THEN
        RAISE EXCEPTION 'role "%" may not make the ledger', current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('A superuser runs: SELECT cost_ledger.create_ledger(owner => %L);', current_user);
    END IF;
    -- Only now: a function that is internal.
    IF cost_ledger_internal.is_time_zone(create_ledger.time_zone) IS NOT TRUE THEN
        RAISE EXCEPTION 'time zone "%" is not known', create_ledger.time_zone
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use a name of pg_timezone_names, e.g. UTC, Europe/Berlin or Asia/Kolkata.';
    END IF;

    EXECUTE $ledger$
@LEDGER@
    $ledger$;

    INSERT INTO cost_ledger.ledger (version, time_zone, currency, system_identifier)
        SELECT cost_ledger.version(), create_ledger.time_zone, create_ledger.currency, c.system_identifier
        FROM pg_control_system() c;
    -- 500 an hour is one thing in USD, and another in JPY.
    UPDATE cost_ledger.alert_rule r SET is_active = true WHERE r.kind = 'spend_rate' AND create_ledger.currency = 'USD';
    PERFORM cost_ledger_internal.drop_old_buckets();

    -- Clocks are not exact and reports look back: last month, this one, three ahead.
    PERFORM cost_ledger.create_partitions(now() - interval '1 month', now() + interval '3 months');
    IF owner IS NOT NULL THEN
        PERFORM set_config('role', role_before, true);
    END IF;
END
$create_ledger$;

COMMENT ON FUNCTION cost_ledger.create_ledger(text, text, text) IS
    'Makes the ledger in this database: tables, triggers and views in schema cost_ledger and cost_ledger_internal, owned by the caller, or by the role owner, which a superuser hands it to and which need not be one. time_zone is the reporting zone of days, weeks and months; currency the ISO 4217 code of every cost. One ledger per database.';

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
    PERFORM cost_ledger_internal.revoke_all();

    -- Whatever stands in the two schemas and is not the extension's own is the
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
