-- Calls of a run, a session or a user: all of them and nobody else's, whether the
-- rollups have them, have a part of them, or nothing.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger('Europe/Berlin');
SELECT cost_ledger.create_partitions('2025-03-01', '2025-05-01') \g /dev/null
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1}', '2025-01-01') > 0 AS priced;
CREATE PROCEDURE record_calls(lo integer, hi integer) LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, duration_ms, team, customer, user_id, session_id, run_id)
    SELECT timestamptz '2025-03-20 23:00Z' + i * interval '37 minutes', 'p', CASE i % 5 WHEN 0 THEN 'none' ELSE 'm' END, 1000 + i, i % 3 * 1000,
           (ARRAY['a', 'b'])[1 + i % 2], 'c' || i % 3, NULLIF('u' || i % 7, 'u0'), 's' || i / 40, CASE WHEN i % 9 > 0 THEN 'r' || i / 11 END
    FROM generate_series(lo, hi) AS i
$$;
-- What find_calls() says that the calls themselves do not, and the reverse.
CREATE FUNCTION differences(filter jsonb, range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity')
    RETURNS TABLE (found bigint, differ bigint) LANGUAGE plpgsql AS $$
DECLARE
    condition text := cost_ledger_internal.call_condition(filter);
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH found AS (SELECT to_jsonb(f) AS call FROM cost_ledger.find_calls($1, $2, $3) f),
        right_ones AS (SELECT to_jsonb(c) AS call FROM (
            SELECT c.called_at, c.call_id, c.corrects, c.run_id, c.parent_run_id, c.session_id, c.user_id, c.request_id, c.attempt, c.team, c.feature, c.customer,
                   c.task_type, c.agent, c.step, c.tool, c.provider, c.model, c.operation, c.status, c.duration_ms, c.input_tokens, c.cache_read_tokens,
                   c.output_tokens, c.cost, c.pricing, c.trace_url
            FROM cost_ledger.call c WHERE c.called_at >= $2 AND c.called_at < $3 AND %s) c)
        SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM ((TABLE found EXCEPT ALL TABLE right_ones) UNION ALL (TABLE right_ones EXCEPT ALL TABLE found)) d)
        $q$, condition) USING filter, range_start, range_end;
END
$$;
CREATE TABLE question (n integer, filter jsonb, range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity');
INSERT INTO question (n, filter) VALUES
    (1, '{"run_id": "r7"}'), (2, '{"run_id": ["r7", "r80", "nobody"]}'), (3, '{"session_id": "s3"}'), (4, '{"user_id": "u4"}'), (5, '{"user_id": null}'),
    (6, '{"user_id": "u4", "session_id": ["s3", "s9"], "model": "m"}'), (7, '{"run_id": "r7*"}'), (8, '{"run_id": {"not": "r7"}, "team": "a"}'),
    (9, '{"run_id": "r7", "team": "a"}'), (10, '{"run_id": "nobody"}'), (11, '{"user_id": ["u1", null]}'), (12, '{}'), (13, '{"run_id": []}');
INSERT INTO question VALUES
    (14, '{"user_id": "u4"}', '2025-03-28 22:30Z', '2025-04-02'), (15, '{"run_id": "r7"}', '2025-03-22 21:00Z', '2025-03-22 23:00Z'), (16, '{"team": "b"}', '2025-04-01', '2025-04-02');
CALL record_calls(1, 500);
SELECT n, d.* FROM question q, differences(q.filter, q.range_start, q.range_end) d ORDER BY n;
CALL cost_ledger.refresh();
-- A run goes on, earlier and later than the rollups know; a user has a new day.
CALL record_calls(501, 1000);
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, session_id, user_id, duration_ms)
    VALUES ('2025-03-02', 'p', 'm', 1, 'r7', 's3', 'u4', 5), ('2025-04-29', 'p', 'm', 2, 'r7', 's3', 'u4', 5), ('2024-02-29', 'p', 'm', 3, 'r7', 's3', 'u4', 5);
SELECT cost_ledger.correct_call(called_at, call_id, '{"input_tokens": 7}', 'miscounted') > 0 AS corrected FROM cost_ledger.call WHERE run_id = 'r7' AND cost IS NOT NULL ORDER BY called_at LIMIT 1;
SELECT n, d.* FROM question q, differences(q.filter, q.range_start, q.range_end) d ORDER BY n;
CALL cost_ledger.refresh();
SELECT n, d.* FROM question q, differences(q.filter, q.range_start, q.range_end) d ORDER BY n;
-- In the order in which they were made.
SELECT array_agg(called_at) = array_agg(called_at ORDER BY called_at, call_id) AS in_order FROM cost_ledger.find_calls('{"user_id": "u4"}');
-- One in quarantine is in no rollup.
INSERT INTO cost_ledger_internal.quarantine (called_at, call_id, sqlstate, message) SELECT called_at, call_id, '22003', 'test' FROM cost_ledger.call WHERE called_at = '2024-02-29';
DELETE FROM cost_ledger_internal.rollup_run WHERE run_id = 'r7';
SELECT called_at, input_tokens FROM cost_ledger.find_calls('{"run_id": "r7"}');
DELETE FROM cost_ledger_internal.quarantine;
SELECT cost_ledger.rebuild_rollups() > 0 AS rebuilt;

-- A reader of one team gets the calls of that team.
CREATE ROLE regress_find_team;
SELECT cost_ledger.grant_team_reader('regress_find_team', 'a') \g /dev/null
SET ROLE regress_find_team;
SELECT count(*), min(team), max(team) FROM cost_ledger.find_calls('{"run_id": "r7"}');
SELECT count(*) FROM cost_ledger.find_calls('{"run_id": "r7", "team": "b"}');
SELECT (SELECT count(*) FROM cost_ledger.find_calls('{"user_id": "u4"}')) = (SELECT count(*) FROM cost_ledger.call_detail WHERE user_id = 'u4') AS as_call_detail;
RESET ROLE;
SELECT cost_ledger.revoke_team_reader('regress_find_team') \g /dev/null
DROP ROLE regress_find_team;
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.find_calls('{"nothing": "x"}');
SELECT * FROM cost_ledger.find_calls('{}', '2025-04-02', '2025-04-01');
\set VERBOSITY default

--
-- Indexes for who wants them: of every partition, also of those made later.
--
CALL cost_ledger.index_calls('{run_id,user_id}');
SELECT c.relname, i.indisvalid, (SELECT count(*) FROM pg_inherits h WHERE h.inhparent = c.oid) = (SELECT count(*) FROM cost_ledger_internal.partitions()) AS has_all
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relname LIKE 'call\_by\_%' AND c.relkind = 'I' ORDER BY 1;
CALL cost_ledger.index_calls('{run_id,user_id}');
SELECT count(*) FROM cost_ledger.create_partitions('2025-06-01', '2025-06-02');
SELECT c.relname, i.indisvalid, (SELECT count(*) FROM pg_inherits h WHERE h.inhparent = c.oid) = (SELECT count(*) FROM cost_ledger_internal.partitions()) AS has_all
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relname LIKE 'call\_by\_%' AND c.relkind = 'I' ORDER BY 1;
-- The same index in every partition, however it came there.
SELECT count(DISTINCT regexp_replace(pg_get_indexdef(i.indexrelid), '^.* ON \S+ ', '')), count(*) = (SELECT count(*) FROM cost_ledger_internal.partitions()) AS in_all
FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid WHERE h.inhparent = 'cost_ledger.call_corrects'::regclass;
DROP INDEX cost_ledger.call_by_user_id;
\set VERBOSITY sqlstate
CALL cost_ledger.index_calls('{nothing}');
CALL cost_ledger.index_calls(NULL);
BEGIN;
CALL cost_ledger.index_calls('{run_id}');
ROLLBACK;
\set VERBOSITY default

-- What retention has dropped is not there, and that is said.
CALL cost_ledger.refresh();
SELECT cost_ledger.set_retention(retain_calls => '1 month');
SELECT count(*) > 0 AS some FROM cost_ledger.apply_retention() WHERE outcome = 'dropped';
-- (The notice has a date.)
\set VERBOSITY sqlstate
SELECT count(*) FROM cost_ledger.find_calls('{"run_id": "r7"}');
\set VERBOSITY default

DROP FUNCTION differences(jsonb, timestamptz, timestamptz);
DROP PROCEDURE record_calls(integer, integer);
DROP TABLE question;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
