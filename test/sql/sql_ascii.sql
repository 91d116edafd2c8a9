--
-- A database of SQL_ASCII takes any byte for text, also what is none in any
-- encoding: it is shown, added up, alerted of and dropped as any other.
--
SELECT current_database() AS home \gset
SET client_min_messages = warning;
DROP DATABASE IF EXISTS cost_ledger_test_ascii;
RESET client_min_messages;
CREATE DATABASE cost_ledger_test_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;
\c cost_ledger_test_ascii
SET client_encoding = 'SQL_ASCII';
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
CREATE EXTENSION cost_ledger;
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS is_set;
SELECT cost_ledger.set_budget('bytes', jsonb_build_object('team', E'\xff\xc3\x28'), 'total', 1, '{0.5}') > 0 AS is_set;
SELECT cost_ledger.set_budget('each', '{}', 'total', 1, '{0.5}', each_of => 'user_id') > 0 AS is_set;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, customer, user_id, run_id, session_id, trace_url, tags)
SELECT v.called_at, 'acme', 'm', 1000000, n, n, n, n, n, n, n, jsonb_build_object('x', n)
FROM (VALUES ('2026-03-10Z'::timestamptz), (now())) AS v (called_at), unnest(ARRAY[E'\xff\xc3\x28', repeat(E'\xe2\x82', 700), 'plain']) n;
SELECT cost_ledger.create_partitions('2026-03-01', '2026-03-31') IS NOT NULL AS made;
CALL cost_ledger.run_jobs();
SELECT name, last_error FROM cost_ledger.job_status WHERE is_failing;
SELECT name, last_error FROM cost_ledger.alert_rule WHERE last_error IS NOT NULL;
SELECT b.name, count(*) AS alerts FROM cost_ledger.alert a JOIN cost_ledger.budget b USING (budget_id) GROUP BY b.name ORDER BY b.name;
SELECT decision FROM cost_ledger.reserve('k', jsonb_build_object('team', E'\xff\xc3\x28'));
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT count(*) AS differences FROM cost_ledger.check_balances();
CREATE PROCEDURE ask_everything() LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    lines bigint;
BEGIN
    FOR relation IN
        SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
    LOOP
        BEGIN
            EXECUTE format('SELECT count(x::text) FROM %s x', relation) INTO lines;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING '%: %', relation, SQLERRM;
        END;
    END LOOP;
END
$$;
CALL ask_everything();
-- retention proves the month, makes its digest, and drops it
SELECT cost_ledger.set_retention('1 month');
SELECT partition, outcome FROM cost_ledger.apply_retention() WHERE partition = 'call_p2026_03';
SELECT rows, cost, length(digest) FROM cost_ledger.retention_log WHERE partition = 'call_p2026_03';
\c :home
-- where the bytes are text, the digest is that of a database of UTF-8
SELECT cost_ledger.create_ledger();
CREATE TEMP TABLE copy (called_at timestamptz, call_id bigint, note text);
INSERT INTO copy VALUES ('2026-03-10Z', 1, 'é€');
SELECT cost_ledger.partition_digest('copy') AS digest \gset
\c cost_ledger_test_ascii
CREATE TEMP TABLE copy (called_at timestamptz, call_id bigint, note text);
INSERT INTO copy VALUES ('2026-03-10Z', 1, E'\xc3\xa9\xe2\x82\xac');
SELECT cost_ledger.partition_digest('copy') = :'digest' AS same_digest;
\c :home
SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP DATABASE cost_ledger_test_ascii;
