-- The ledger: made by create_ledger() as ordinary objects of the caller, in
-- this schema but not of this extension, so that dumps keep whatever users add
-- to them and DROP EXTENSION cannot take the data along.

CREATE FUNCTION cost_ledger._price_call() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_price_call';
REVOKE EXECUTE ON FUNCTION cost_ledger._price_call() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._price_call() IS
    'Trigger of call: checks a row, prices it at its own time and stamps it.';

CREATE FUNCTION cost_ledger._refuse_change() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_refuse_change';
REVOKE EXECUTE ON FUNCTION cost_ledger._refuse_change() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._refuse_change() IS
    'Trigger of append-only tables: refuses UPDATE, DELETE and TRUNCATE (23001).';

CREATE FUNCTION cost_ledger._keep_settings() RETURNS trigger
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
REVOKE EXECUTE ON FUNCTION cost_ledger._keep_settings() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._keep_settings() IS
    'Trigger of ledger: refuses another zone or currency (55000).';

CREATE FUNCTION cost_ledger._ledger(OUT time_zone text, OUT currency text) RETURNS record
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
REVOKE EXECUTE ON FUNCTION cost_ledger._ledger() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._ledger() IS
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
    PERFORM cost_ledger._ledger();
    PERFORM cost_ledger._unschedule_jobs();

    -- Whatever stands in this schema and is not the extension's own is the
    -- ledger's.  Without CASCADE: objects elsewhere that use it are named in
    -- the error instead of going down with it.
    SELECT string_agg(c.oid::regclass::text, ', ') FILTER (WHERE c.relkind IN ('v', 'm')),
           string_agg(c.oid::regclass::text, ', ') FILTER (WHERE c.relkind IN ('r', 'p'))
        INTO views, tables
        FROM pg_class c
        WHERE c.relnamespace = 'cost_ledger'::regnamespace
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

CREATE FUNCTION cost_ledger.correct_call(called_at timestamptz, call_id bigint, usage jsonb, reason text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    original record;
    corrected_cost numeric;
    corrected_price bigint;
    corrected_pricing text;
    columns text;
    difference jsonb;
    is_same boolean;
    correction bigint;
BEGIN
    IF coalesce(correct_call.reason, '') = '' THEN
        RAISE EXCEPTION 'a correction needs a reason'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Say why the recorded usage was wrong.';
    END IF;
    -- An older snapshot would not see what another session has just booked.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'corrections are booked at READ COMMITTED only'
            USING ERRCODE = 'invalid_transaction_state',
                  HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED;';
    END IF;
    -- Not while rerate() books: both take what is recorded so far from what
    -- should be.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('cost_ledger.rerate', 0));
    -- Corrections of a call stand beside it, at the same called_at.
    PERFORM pg_advisory_xact_lock(hashtextextended('cost_ledger.correct_call', correct_call.call_id));
    SELECT c.provider, c.model, c.service_class, c.region, c.customer, c.served_from INTO original
        FROM cost_ledger.call c
        WHERE c.called_at = correct_call.called_at AND c.call_id = correct_call.call_id AND c.corrects IS NULL;
    IF NOT FOUND THEN
        PERFORM cost_ledger._refuse_dropped(correct_call.called_at);
        RAISE EXCEPTION 'there is no call % at %', correct_call.call_id, correct_call.called_at
            USING ERRCODE = 'no_data_found',
                  HINT = 'Pass called_at and call_id of a call; a correction itself cannot be corrected.';
    END IF;

    IF original.served_from = 'response_cache' THEN
        corrected_cost := 0;
        corrected_pricing := 'free';
    ELSE
        corrected_cost := cost_ledger.cost_at(correct_call.called_at, original.provider, original.model, usage,
                                              original.service_class, original.region, strict => true, customer => original.customer);
        SELECT min(e.price_id), CASE WHEN bool_or(e.unit_price * e.multiplier <> 0) THEN 'priced' ELSE 'free' END
            INTO corrected_price, corrected_pricing
            FROM cost_ledger.explain_cost(correct_call.called_at, original.provider, original.model, usage,
                                          original.service_class, original.region, original.customer) e;
    END IF;

    -- What is recorded so far, the call and its earlier corrections, is taken
    -- from what should have been.
    WITH recorded AS (
        SELECT sum(c.cost) AS cost,
               sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens,
               sum(c.cache_read_tokens) AS cache_read_tokens, sum(c.cache_write_tokens) AS cache_write_tokens,
               sum(c.cache_write_1h_tokens) AS cache_write_1h_tokens, sum(c.reasoning_tokens) AS reasoning_tokens
        FROM cost_ledger.call c
        WHERE c.called_at = correct_call.called_at AND (c.call_id = correct_call.call_id OR c.corrects = correct_call.call_id)
    ), meters AS (
        SELECT m.key AS meter, coalesce((usage ->> m.key)::numeric, 0) - coalesce(m.value::numeric, 0) AS quantity
        FROM recorded r, jsonb_each_text(to_jsonb(r) - 'cost') m
    ), others AS (
        SELECT meter, sum(quantity) AS quantity
        FROM (SELECT o.key AS meter, -o.value::numeric AS quantity
              FROM cost_ledger.call c, jsonb_each_text(c.other_usage) o
              WHERE c.called_at = correct_call.called_at AND (c.call_id = correct_call.call_id OR c.corrects = correct_call.call_id)
              UNION ALL
              SELECT u.key, u.value::numeric
              FROM jsonb_each_text(usage) u
              WHERE u.key NOT IN (SELECT meter FROM meters)) x
        GROUP BY meter
        -- "requests" counts for one unless it is said, so that a 0 says something.
        HAVING sum(quantity) <> 0 OR meter = 'requests'
    )
    SELECT jsonb_object_agg(m.meter, m.quantity)
               || jsonb_build_object(
                   'cost', trim_scale(corrected_cost - coalesce(min(r.cost), 0)),
                   'other_usage', (SELECT jsonb_object_agg(o.meter, o.quantity) FROM others o)),
           bool_and(m.quantity = 0) AND NOT EXISTS (SELECT FROM others o WHERE o.quantity <> 0) AND corrected_cost = min(r.cost)
        INTO difference, is_same
        FROM meters m, recorded r;
    IF is_same THEN
        RETURN NULL;
    END IF;

    -- Attribution is the call's own, in columns that users have added too; what
    -- is not a difference is left empty.
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
        FROM pg_attribute a
        WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attgenerated = '' AND a.attname <> 'call_id';
    EXECUTE format('INSERT INTO cost_ledger.call (%1$s)
                    SELECT %1$s
                    FROM (SELECT (jsonb_populate_record(c, $3 || jsonb_build_object(''tags'', coalesce(c.tags, ''{}'') || $4))).*
                          FROM cost_ledger.call c
                          WHERE c.called_at = $1 AND c.call_id = $2) AS corrected
                    RETURNING call_id', columns)
        INTO correction
        USING correct_call.called_at, correct_call.call_id,
              difference || jsonb_build_object(
                  'corrects', correct_call.call_id, 'price_id', corrected_price, 'pricing', corrected_pricing,
                  'usage_status', (SELECT CASE c.pricing WHEN 'partial' THEN 'completed' ELSE 'repriced' END FROM cost_ledger.call c
                                   WHERE c.called_at = correct_call.called_at AND c.call_id = correct_call.call_id
                                     AND c.pricing IN ('unpriced', 'partial')
                                     AND NOT EXISTS (SELECT FROM cost_ledger.call r
                                                     WHERE r.called_at = c.called_at AND r.corrects = c.call_id AND r.usage_status IN ('repriced', 'completed'))),
                  'event_key', NULL, 'raw_usage', NULL, 'reported_cost', NULL,
                  'cache_read_cost', NULL, 'cache_write_cost', NULL, 'output_cost', NULL, 'other_cost', NULL, 'hold_id', NULL, 'duration_ms', NULL,
                  'retry_count', NULL, 'tool_calls', NULL, 'tool_calls_count', NULL, 'input_parts', NULL, 'accepted', NULL),
              jsonb_build_object('correction_reason', reason);
    RETURN correction;
END
$$;

COMMENT ON FUNCTION cost_ledger.correct_call(timestamptz, bigint, jsonb, text) IS
    'Corrects the usage of a recorded call: usage, in the ledger''s convention, is what it should have been. Books a new row with the differences in counts and cost, linked by corrects, with the reason in tags, and returns its call_id; NULL when nothing differs, so doing it twice books nothing. The cost is that of the price list as it is now for called_at (LC001 when there is none). A call served from response_cache stays at 0. Only for the owner of the ledger, at READ COMMITTED (25000).';

CREATE FUNCTION cost_ledger.correct_call(event_key text, usage jsonb, reason text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known record;
BEGIN
    SELECT k.called_at, k.call_id INTO known
        FROM cost_ledger.event_key k WHERE k.event_key = correct_call.event_key;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no call with event key "%"', correct_call.event_key
            USING ERRCODE = 'no_data_found',
                  HINT = 'Pass the event key that the call was recorded with, or its called_at and call_id.';
    END IF;
    RETURN cost_ledger.correct_call(known.called_at, known.call_id, usage, reason);
END
$$;

COMMENT ON FUNCTION cost_ledger.correct_call(text, jsonb, text) IS
    'Corrects the usage of the call that was recorded under an event key; see correct_call(timestamptz, bigint, jsonb, text).';
