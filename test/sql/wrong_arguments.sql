--
-- Every function, called from SQL with NULL, with the ends of each type and
-- with nonsense: an error, if there is one, is of ours or of PostgreSQL's input
-- checks; never an internal one (class XX).
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS is_set;
INSERT INTO cost_ledger.call (provider, model, input_tokens, run_id, team) VALUES ('acme', 'm', 1, 'r', 't');
CALL cost_ledger.refresh();

-- NULL stands in all of them, besides
CREATE TEMP TABLE sample (type regtype PRIMARY KEY, literals text[]);
INSERT INTO sample VALUES
    ('text', ARRAY['''''', '''x''', 'repeat(''"'', 3000)', '''SELECT''', '''CREATE TEMP TABLE x ()''', '''COMMIT''', '''SELECT 1 / 0''', '''{"team": 1}''', 'E''\x01''']),
    ('cstring', ARRAY['''''', '''x''']),
    ('boolean', ARRAY['true', 'false']),
    ('integer', ARRAY['0', '-1', '2147483647', '-2147483648']),
    ('bigint', ARRAY['0', '-1', '9223372036854775807', '-9223372036854775808']),
    ('oid', ARRAY['0', '1259', '4294967295']),
    ('double precision', ARRAY['0', '-1', '''NaN''::float8', '''Infinity''::float8', '1.7e308', '5e-324']),
    ('numeric', ARRAY['0', '-1', '''NaN''::numeric', '''-Infinity''::numeric', '9e131071', '1e-16383']),
    ('timestamptz', ARRAY['now()', '''infinity''::timestamptz', '''-infinity''::timestamptz', '''4713-01-01 BC''::timestamptz', '''294276-12-31''::timestamptz']),
    ('timestamp', ARRAY['''infinity''::timestamp', '''294276-12-31''::timestamp']),
    ('date', ARRAY['current_date', '''infinity''::date', '''5874897-12-31''::date', '''4713-01-01 BC''::date']),
    ('time', ARRAY['''24:00''::time']),
    ('interval', ARRAY['''0''::interval', '''-1 second''::interval', '''178000000 years''::interval', '''1 month -30 days''::interval']),
    ('jsonb', ARRAY['''{}''::jsonb', '''[]''::jsonb', '''null''::jsonb', '''"x"''::jsonb', '''{"x": {"y": [1]}}''::jsonb', '''{"input_tokens": 9e99999}''::jsonb', '''{"team": null, "usage": 1}''::jsonb']),
    ('bytea', ARRAY['''''::bytea', '''\x00ff''::bytea', 'decode(repeat(''ff'', 300), ''hex'')']),
    ('xid8', ARRAY['''0''::xid8', '''18446744073709551615''::xid8']),
    ('pg_snapshot', ARRAY['''1:1:''::pg_snapshot', '''10:20:10,14''::pg_snapshot']),
    ('regclass', ARRAY['0::regclass', '''pg_class''::regclass', '4294967295::regclass', '''cost_ledger.call''::regclass']),
    ('cost_ledger.summary', ARRAY['(SELECT cost_ledger.summarize(1::numeric))', '(SELECT cost_ledger.summarize(x) FROM generate_series(-1e40, 1e40, 1e39) x)']),
    -- rows that first_call() would not have made
    ('cost_ledger_internal.call_labels', ARRAY['ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::cost_ledger_internal.call_labels',
        'ROW(''t'', NULL, NULL, NULL, NULL, NULL, NULL, NULL, now(), 1, ''\x00'')::cost_ledger_internal.call_labels',
        'ROW(''t'', NULL, NULL, NULL, NULL, NULL, NULL, NULL, now(), 1, ''\xff00000000000000000000000000000000'')::cost_ledger_internal.call_labels',
        'ROW(''t'', ''f'', NULL, NULL, NULL, NULL, NULL, NULL, ''infinity'', -1, ''\x0700000000000000000000000000000000'')::cost_ledger_internal.call_labels',
        'ROW(repeat(''x'', 100000), ''f'', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, decode(repeat(''00'', 17 * 300), ''hex''))::cost_ledger_internal.call_labels']);
INSERT INTO sample
SELECT (s.type || '[]')::regtype, ARRAY[format('''{}''::%s[]', s.type), format('ARRAY[NULL]::%s[]', s.type), format('ARRAY[%s, NULL, %s]::%s[]', s.literals[1], s.literals[cardinality(s.literals)], s.type)]
FROM sample s WHERE s.type <> 'cstring'::regtype;

-- each function with the n-th of each argument's samples, and with such mixtures
-- as a fixed seed gives
CREATE PROCEDURE pg_temp.call_everything() LANGUAGE plpgsql AS $$
DECLARE
    f record;
    question text;
    state text;
    message text;
    asked bigint := 0;
    failed bigint := 0;
BEGIN
    PERFORM setseed(0.5);
    SET LOCAL client_min_messages = error;
    SET LOCAL jit = off;
    FOR f IN
        SELECT p.oid, p.oid::regproc::text AS name, p.proargtypes, p.prokind
        FROM pg_proc p
        WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND p.prokind IN ('f', 'a')
          -- PostgreSQL itself lets nobody pass those, nor call a trigger.
          AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[]) AND p.prorettype <> ALL ('{trigger,event_trigger}'::regtype[])
          -- These would do what they say.
          AND p.proname <> ALL ('{create_ledger,drop_ledger,unschedule_jobs,schedule_jobs}')
        ORDER BY p.oid::regprocedure::text COLLATE "C"
    LOOP
        FOR round IN 0 .. 13 LOOP
            SELECT format('SELECT %s(%s)', f.name, coalesce(string_agg(
                       CASE WHEN round = 0 OR s.literals IS NULL OR (round > 9 AND random() < 0.1) THEN 'NULL::' || t.type::regtype
                            WHEN round < 10 THEN s.literals[1 + (round - 1) % cardinality(s.literals)]
                            ELSE s.literals[1 + floor(random() * cardinality(s.literals))::integer] END, ', ' ORDER BY t.place), ''))
                INTO question
                FROM unnest(f.proargtypes::oid[]) WITH ORDINALITY AS t (type, place)
                LEFT JOIN sample s ON s.type = t.type;
            BEGIN
                EXECUTE question;
                RAISE EXCEPTION USING ERRCODE = 'LX000';
            EXCEPTION WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
                asked := asked + 1;
                failed := failed + (state <> 'LX000')::integer;
                IF state LIKE 'XX%' THEN
                    INSERT INTO internal_error VALUES (left(question, 300), state, message);
                END IF;
            END;
        END LOOP;
    END LOOP;
    RAISE INFO 'asked more than 2000 times: %, answered more than 500 times: %', asked > 2000, asked - failed > 500;
END
$$;
CREATE TEMP TABLE internal_error (question text, state text, message text);
CALL pg_temp.call_everything();
SELECT * FROM internal_error;

-- whoever names the columns of rows may name nothing else than these have
CREATE FUNCTION pg_temp.seen(rollup text, columns text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(*) FROM cost_ledger_internal.seen_rollup(%L, ''{t}'', ''{}'') AS s (%s)', rollup, columns);
    RETURN 'rows';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END
$$;
SELECT c.rollup, c.columns, pg_temp.seen(c.rollup, c.columns)
FROM (VALUES ('run', 'run_id text, started_at timestamptz, labels cost_ledger_internal.call_labels'), ('run', 'run_id bigint'), ('run', 'labels text'), ('run', 'nothing text'), ('run', 'ctid tid'),
             ('user_day', 'day date, calls bigint'), ('user_day', 'day text'), ('user_day', 'calls text'), ('user_day', 'started_at timestamptz'), ('user_day', 'feature text'),
             ('without_run_day', 'call_cost cost_ledger.summary'), ('without_run_day', 'cost double precision'), ('month', 'month date'), (NULL, 'month date')) AS c (rollup, columns);
SELECT count(*) FROM cost_ledger_internal.seen_rollup('run', NULL, NULL) AS s (run_id text);

SELECT cost_ledger.drop_ledger(i_mean_it => true);
