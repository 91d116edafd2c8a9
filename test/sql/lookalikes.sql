--
-- Lookalikes: whatever stands in the caller's path, before pg_catalog or behind
-- it, nothing is entered but what is pg_catalog's and ours.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT cost_ledger.create_ledger();

-- every function that can carry a path of its own has one, or was parsed when it was
-- made
SELECT p.oid::regprocedure AS without_a_path
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
  AND l.lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL
  AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)
ORDER BY 1;

-- and none with a backslash in it leaves to the session what that means
SELECT p.oid::regprocedure AS without_standard_strings
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
  AND l.lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL AND strpos(p.prosrc, E'\\') > 0
  AND NOT coalesce('standard_conforming_strings=on' = ANY (p.proconfig), false)
ORDER BY 1;

-- A trap says that it was entered, and leaves a mark that no rollback takes away.
CREATE SCHEMA traps;
CREATE SEQUENCE traps.entered;
CREATE FUNCTION traps.enter(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    PERFORM nextval('traps.entered');
    RAISE WARNING '% was entered', what;
    RETURN true;
END
$$;
-- One for each function and aggregate of pg_catalog that PL/pgSQL can say, of the
-- same signature, and, where that takes any type, one for each of these types,
-- which fits better than pg_catalog's.
CREATE FUNCTION traps.plant() RETURNS TABLE (functions bigint, aggregates bigint, operators bigint, types bigint) LANGUAGE plpgsql SET search_path = pg_catalog AS $plant$
DECLARE
    f record;
    type_name text;
    arguments text;
    result text;
BEGIN
    functions := 0;
    aggregates := 0;
    operators := 0;
    types := 0;
    FOR f IN
        SELECT p.oid, p.proname, p.prokind, p.proretset, p.oid::regprocedure AS name,
               pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
               pg_get_function_identity_arguments(p.oid) AS inputs, a.aggkind
        FROM pg_proc p LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a')
          AND NOT (p.proargtypes::oid[] && ARRAY['internal', 'cstring']::regtype[]::oid[])
          AND p.prorettype <> ALL (ARRAY['internal', 'cstring', 'trigger', 'event_trigger', 'language_handler', 'fdw_handler', 'index_am_handler', 'table_am_handler', 'tsm_handler']::regtype[])
    LOOP
        FOREACH type_name IN ARRAY '{same,text,bigint,integer,numeric,xid8,jsonb,uuid,date,timestamptz,timestamp,regclass}'::text[] LOOP
            EXIT WHEN type_name <> 'same' AND f.inputs !~ '\many|"any"';
            arguments := f.inputs;
            result := f.result;
            IF type_name <> 'same' THEN
                arguments := regexp_replace(regexp_replace(arguments, '\many(compatible)?array\M', type_name || '[]', 'g'),
                                            '\many(compatible)?(element|nonarray)?\M|"any"', type_name, 'g');
                arguments := regexp_replace(arguments, 'VARIADIC ([a-z]+ )?([a-z0-9]+)$', 'VARIADIC \2[]');
                result := regexp_replace(regexp_replace(result, '\many(compatible)?array\M', type_name || '[]', 'g'),
                                         '\many(compatible)?(element|nonarray)?\M', type_name, 'g');
            END IF;
            BEGIN
                IF f.prokind = 'f' THEN
                    EXECUTE format('CREATE FUNCTION traps.%I (%s) RETURNS %s LANGUAGE plpgsql AS %L', f.proname,
                                   CASE type_name WHEN 'same' THEN f.arguments ELSE arguments END, result,
                                   format('BEGIN PERFORM traps.enter(%L); RETURN%s; END', f.name,
                                          CASE WHEN f.proretset OR f.result = 'record' OR f.result = 'void' OR f.result ~ '^TABLE' THEN '' ELSE ' NULL' END));
                    functions := functions + 1;
                ELSIF f.aggkind = 'n' THEN
                    EXECUTE format('CREATE FUNCTION traps.%I (state text%s) RETURNS text LANGUAGE plpgsql AS %L',
                                   'trans_' || aggregates, CASE WHEN arguments = '' THEN '' ELSE ', ' || arguments END,
                                   format('BEGIN PERFORM traps.enter(%L); RETURN NULL; END', f.name));
                    EXECUTE format('CREATE AGGREGATE traps.%I (%s) (SFUNC = traps.%I, STYPE = text)', f.proname,
                                   CASE WHEN arguments = '' THEN '*' ELSE arguments END, 'trans_' || aggregates);
                    aggregates := aggregates + 1;
                END IF;
            EXCEPTION WHEN OTHERS THEN
                NULL;  -- PL/pgSQL has no such arguments
            END;
        END LOOP;
    END LOOP;
    FOR f IN
        SELECT o.oprname, format_type(nullif(o.oprleft, 0), NULL) AS left_type, format_type(o.oprright, NULL) AS right_type,
               format_type(o.oprresult, NULL) AS result, o.oid::regoperator AS name
        FROM pg_operator o
        WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprcode <> 0
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION traps.%I (%s%s) RETURNS %s LANGUAGE plpgsql AS %L', 'operator_' || operators,
                           f.left_type || ', ', f.right_type, f.result,
                           format('BEGIN PERFORM traps.enter(%L); RETURN NULL; END', 'operator ' || f.name));
            EXECUTE format('CREATE OPERATOR traps.%s (%s RIGHTARG = %s, FUNCTION = traps.%I)', f.oprname,
                           'LEFTARG = ' || f.left_type || ',', f.right_type, 'operator_' || operators);
            operators := operators + 1;
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    FOR f IN
        SELECT t.typname FROM pg_type t
        WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' AND t.typelem = 0
    LOOP
        EXECUTE format('CREATE DOMAIN traps.%I AS pg_catalog.%1$I CHECK (traps.enter(%L))', f.typname, 'type ' || f.typname);
        types := types + 1;
    END LOOP;
    RETURN NEXT;
END
$plant$;

-- What is called under which path, all of it from here.
CREATE TABLE traps.command (number integer GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO traps.command (command) VALUES
    ($$SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1, "output_tokens": 2}', '2020-01-01', replace => true)$$),
    ($$SELECT cost_ledger.set_multiplier('openai', 'batch', 2, '2020-01-01', service_class => 'batch')$$),
    ($$INSERT INTO cost_ledger.model_alias (match, pattern, to_model) VALUES ('prefix', 'mm', 'm') ON CONFLICT DO NOTHING$$),
    ($$SELECT FROM cost_ledger.import_prices('{"m2": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}}', 'litellm', '2026-01-01')$$),
    ($$SELECT cost_ledger.export_prices('litellm')$$),
    ($$SELECT cost_ledger.set_budget('b', '{"team": "t"}', 'day', 100, time_zone => 'Europe/Berlin')$$),
    ($$SELECT cost_ledger.set_budget('r', '{}', 'rolling', 100, period_length => '1 hour', each_of => 'user_id')$$),
    ($$SELECT cost_ledger.raise_budget('b', 200, clock_timestamp() + '1 day', 'because')$$),
    ($$INSERT INTO cost_ledger.call (provider, model, input_tokens, team, event_key) VALUES ('openai', 'm', 10, 't', gen_random_uuid())$$),
    ($$INSERT INTO cost_ledger.call (provider, model, raw_usage, reported_cost, run_id, user_id) VALUES ('openai', 'm', '{"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}', 1, 'run', 'user')$$),
    ($$INSERT INTO cost_ledger.call (provider, model, input_tokens, hold_id) SELECT 'openai', 'mm', 10, r.hold_id FROM cost_ledger.reserve(CAST(gen_random_uuid() AS pg_catalog.text), '{"team": "t"}', 1, 'openai', 'm', 100, 100) r$$),
    ($$SET CONSTRAINTS ALL IMMEDIATE$$),
    ($$SELECT FROM cost_ledger.reserve('k', '{"team": "t"}', 1, check_only => true)$$),
    ($$SELECT cost_ledger.release('k')$$),
    ($$SELECT cost_ledger.pause('{"team": "t"}', 'because')$$),
    ($$SELECT cost_ledger.resume('{"team": "t"}')$$),
    ($$SELECT cost_ledger.correct_call(c.called_at, c.call_id, '{"input_tokens": 11}', 'recount') FROM (SELECT c.* FROM cost_ledger.call_detail c WHERE c.event_key IS NOT NULL LIMIT 1) c$$),
    ($$SELECT FROM cost_ledger.rerate(CURRENT_DATE - 7, CURRENT_DATE + 1, dry_run => false, reason => 'because')$$),
    ($$SELECT FROM cost_ledger.reattribute(filters => '{"team": "t"}', labels => '{"feature": "f", "tags.x": 1}', reason => 'because', range_start => CURRENT_DATE, dry_run => false)$$),
    ($$SELECT cost_ledger.void_call(c.event_key, 'because') FROM (SELECT c.* FROM cost_ledger.call c WHERE c.event_key IS NOT NULL AND c.reverses IS NULL ORDER BY c.call_id DESC LIMIT 1) c$$),
    ($$SELECT FROM cost_ledger.call c CROSS JOIN LATERAL cost_ledger.explain_call(c.call_id)$$),
    ($$SELECT FROM cost_ledger.what_if(CURRENT_DATE - 7, CURRENT_DATE + 1, '[{"from": {}, "to": {"service_class": "batch"}}]')$$),
    ($$SELECT FROM cost_ledger.billed_meters(CURRENT_DATE - 7, CURRENT_DATE + 1)$$),
    ($$SELECT cost_ledger.cost_at(CURRENT_DATE, 'openai', 'm', '{"input_tokens": 11}')$$),
    ($$SELECT FROM cost_ledger.explain_cost(CURRENT_DATE, 'openai', 'm', '{"input_tokens": 11}')$$),
    ($$SELECT FROM cost_ledger.estimate_feature_cost('feature', 'openai', 'm', 10, 1, 100, 1000, 100)$$),
    ($$SELECT cost_ledger.quantile(cost_ledger.summarize(g), 0.5), cost_ledger.merge(cost_ledger.summarize(g), cost_ledger.summarize(g)) FROM (VALUES (1.0), (2.0)) AS v (g)$$),
    ($$SELECT cost_ledger_internal.refresh_batch()$$),
    ($$SELECT cost_ledger.check_budgets()$$),
    ($$SELECT cost_ledger.check_rules()$$),
    ($$SELECT FROM cost_ledger.check_rollups()$$),
    ($$SELECT FROM cost_ledger.check_balances()$$),
    ($$SELECT cost_ledger.rebuild_rollups()$$),
    ($$SELECT FROM cost_ledger.create_partitions('2031-01-01', '2031-01-01')$$),
    ($$SELECT cost_ledger.set_retention('13 months')$$),
    ($$SELECT FROM cost_ledger.apply_retention()$$),
    ($$SELECT cost_ledger.set_job_time_limit('refresh', '5 minutes')$$);
-- names of pg_catalog that these use themselves
UPDATE traps.command SET command = regexp_replace(regexp_replace(command, '\m(gen_random_uuid|clock_timestamp)\(\)', 'pg_catalog.\1()', 'g'), ' ([+-]) (\d|'')', ' OPERATOR(pg_catalog.\1) \2', 'g');
INSERT INTO traps.command (command)
    SELECT format('SELECT * FROM %s', c.oid::regclass)
    FROM pg_class c
    WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind = 'v'
    ORDER BY c.oid::regclass::text;
CREATE FUNCTION traps.run(path text) RETURNS SETOF text LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT * FROM traps.command ORDER BY number LOOP
        BEGIN
            PERFORM pg_catalog.set_config('search_path', path, true);
            EXECUTE c.command;
            PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
        EXCEPTION WHEN OTHERS THEN
            RETURN NEXT pg_catalog.concat_ws(' ', c.command, SQLSTATE, SQLERRM);
        END;
    END LOOP;
END
$$;
-- Every function of ours, with nothing but NULL: how far it comes.  All is undone.
CREATE FUNCTION traps.call_all(path text) RETURNS TABLE (called bigint) LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    f record;
BEGIN
    called := 0;
    FOR f IN
        SELECT format('SELECT * FROM %s(%s)', p.oid::regproc,
                      (SELECT string_agg(format('NULL::%s.%I', y.typnamespace::regnamespace, y.typname), ', ' ORDER BY t.n)
                       FROM unnest(p.proargtypes) WITH ORDINALITY AS t (type, n) JOIN pg_type y ON y.oid = t.type)) AS command
        FROM pg_proc p
        WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND p.prokind = 'f'
          AND NOT (p.proargtypes::oid[] && ARRAY['internal', 'cstring']::regtype[]::oid[])
          AND p.prorettype <> ALL (ARRAY['internal', 'cstring', 'trigger', 'event_trigger']::regtype[])
        ORDER BY p.oid
    LOOP
        BEGIN
            PERFORM pg_catalog.set_config('search_path', path, true);
            EXECUTE f.command;
            RAISE EXCEPTION 'undone';
        EXCEPTION WHEN OTHERS THEN
            called := called OPERATOR(pg_catalog.+) 1;
        END;
    END LOOP;
    RETURN NEXT;
END
$$;
SELECT functions > 2000 AS functions, aggregates > 100 AS aggregates, operators > 700 AS operators, types > 50 AS types FROM traps.plant();

-- before pg_catalog
SELECT traps.run('traps, public, pg_catalog');
SET search_path = traps, public, pg_catalog;
INSERT INTO cost_ledger.call (provider, model, input_tokens, team, event_key) VALUES ('openai', 'm', 10, 't', 'e');
INSERT INTO cost_ledger.call (provider, model, input_tokens, team, event_key) VALUES ('openai', 'm', 10, 't', 'e');
COPY cost_ledger.call (provider, model, input_tokens) FROM stdin;
openai	m	7
\.
CALL cost_ledger.refresh();
CALL cost_ledger.index_calls('{run_id}');
SELECT FROM cost_ledger.find_calls('{"run_id": "r", "user_id": "u", "session_id": "s"}');
CALL cost_ledger.run_jobs();
INSERT INTO cost_ledger.call (provider, model, input_tokens, hold_id) SELECT 'openai', 'm', 10, r.hold_id FROM cost_ledger.reserve('settled', '{"team": "t"}', 1) r;
CALL cost_ledger.refresh(1);
RESET search_path;
SELECT is_called AS entered FROM traps.entered;

-- behind it, where only what fits better is found; a new session, where nothing has been planned
\c -
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = "$user", public, traps;
INSERT INTO cost_ledger.call (provider, model, input_tokens, team, event_key) VALUES ('openai', 'm', 10, 't', 'e2');
CALL cost_ledger.refresh();
CALL cost_ledger.run_jobs();
RESET search_path;
SELECT traps.run('"$user", public, traps');
SELECT name, last_error FROM cost_ledger.job_status WHERE is_failing;
SELECT is_called AS entered FROM traps.entered;

-- and all functions
SET client_min_messages = error;
SELECT called > 100 AS called FROM traps.call_all('traps, public, pg_catalog');
SELECT called > 100 AS called FROM traps.call_all('"$user", public, traps');
-- nor does a ledger that is made there
SET search_path = traps, public, pg_catalog;
SELECT cost_ledger.drop_ledger(true);
SELECT cost_ledger.create_ledger();
INSERT INTO cost_ledger.call (provider, model, input_tokens, team, event_key) VALUES ('openai', 'm', 10, 't', 'e');
CALL cost_ledger.run_jobs();
RESET search_path;
SELECT is_called AS entered FROM traps.entered;
SET client_min_messages = warning;

-- Nor does it matter what a backslash is to the session, in one that has parsed
-- nothing yet.
\c -
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET standard_conforming_strings = off;
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01', replace => true) > 0 AS priced;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm-2026-01-31', 10) RETURNING pricing;
SELECT bool_and(starts_at < ends_at) AS proper FROM cost_ledger.partition_status;
RESET standard_conforming_strings;

-- Nor do casts stop anything that databases moved from elsewhere have, where numbers
-- and times are text unasked; in a session that has parsed nothing yet.
CREATE FUNCTION traps.casts(command text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    type_name text;
BEGIN
    FOREACH type_name IN ARRAY '{smallint,integer,bigint,numeric,real,double precision,date,timestamp,timestamptz,interval,uuid,oid}'::text[] LOOP
        EXECUTE format(command, type_name);
    END LOOP;
END
$$;
SELECT traps.casts('CREATE CAST (%s AS text) WITH INOUT AS IMPLICIT');
\c -
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT traps.run('public');
CALL cost_ledger.refresh();
CALL cost_ledger.run_jobs();
SELECT name, last_error FROM cost_ledger.job_status WHERE is_failing;
SELECT traps.casts('DROP CAST (%s AS text)');

-- what a careless procedure would enter
CREATE PROCEDURE traps.careless() LANGUAGE plpgsql AS $$
DECLARE
    cuts xid8[] := '{1,2}';
    step text := 'refresh';
BEGIN
    IF array_length(cuts, 1) > 1 THEN
        NULL;
    END IF;
    step := CASE step WHEN 'refresh' THEN 'a' ELSE 'b' END;
END
$$;
SET search_path = public, traps;
CALL traps.careless();
SET search_path = traps, pg_catalog;
CALL traps.careless();
RESET search_path;

SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP SCHEMA traps CASCADE;
