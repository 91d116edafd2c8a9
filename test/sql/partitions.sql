--
-- Partitions: months of the reporting zone, made before or after their calls
-- come, and dropped when they are old and proved.
--
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
\set VERBOSITY terse
-- without a ledger
SELECT cost_ledger.create_partitions('2024-01-01', '2024-01-01');
SELECT cost_ledger.set_retention('1 year');
SELECT * FROM cost_ledger.apply_retention();

-- months of zones that change their clocks: by an hour …
SELECT cost_ledger.create_ledger('Europe/Berlin');
SELECT cost_ledger.create_partitions('2024-03-10', '2024-03-10'), cost_ledger.create_partitions('2024-10-10', '2024-10-10');
SELECT partition, range_start, range_end FROM cost_ledger_internal.partitions() WHERE range_end < '2025-01-01';
-- the last and the first instant of March, local
SELECT cost_ledger.create_partitions('2024-03-31 21:59:59.999999Z', '2024-03-31 21:59:59.999999Z');
SELECT cost_ledger.create_partitions('2024-03-31 22:00Z', '2024-03-31 22:00Z');
-- whatever the session's zone and style
SET TIME ZONE 'Asia/Jerusalem';
SET datestyle = 'SQL, DMY';
SELECT cost_ledger.create_partitions('2024-06-10', '2024-06-10');
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
SELECT partition, range_start, range_end FROM cost_ledger_internal.partitions() WHERE partition = 'call_p2024_06';
SELECT cost_ledger.drop_ledger(i_mean_it => true);
-- … and by half an hour, from +10:30 to +11:00
SELECT cost_ledger.create_ledger('Australia/Lord_Howe');
SELECT cost_ledger.create_partitions('2024-04-10', '2024-04-10'), cost_ledger.create_partitions('2024-10-10', '2024-10-10');
SELECT partition, range_start, range_end FROM cost_ledger_internal.partitions() WHERE range_end < '2025-01-01';
SELECT cost_ledger.drop_ledger(i_mean_it => true);

SELECT cost_ledger.create_ledger('Asia/Kolkata');  -- UTC+05:30
-- 1 per input token
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1000000}', '2010-01-01') > 0 AS is_set;

--
-- Calls without a partition.
--
SELECT has_rows FROM cost_ledger.partition_status WHERE is_default;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES
    ('2024-01-31 18:29:59Z', 'acme', 'm', 1),   -- 31 January, 23:59:59
    ('2024-01-31 18:30:00Z', 'acme', 'm', 2),   -- 1 February
    ('2024-02-29 18:29:59Z', 'acme', 'm', 3),   -- 29 February
    ('1970-01-02 00:00:00Z', 'acme', 'm', 4),
    ('2150-01-01 00:00:00Z', 'acme', 'm', 5);
SELECT has_rows, starts_at, ends_at, bytes > 0 AS has_bytes, is_expired FROM cost_ledger.partition_status WHERE is_default;
SELECT month, rows, cost, first_called_at, last_called_at, is_plausible FROM cost_ledger.waiting_call_by_month ORDER BY month;
-- the job moves them, unchanged, to the partition that it makes
GRANT SELECT ON cost_ledger_internal.call_default TO PUBLIC;
CREATE TABLE before_move AS SELECT * FROM cost_ledger.call;
SELECT cost_ledger_internal.drain_default('2024-03-01');
SELECT cost_ledger_internal.drain_default('2024-03-01');
SELECT tableoid::regclass, called_at, cost FROM cost_ledger.call ORDER BY called_at;
SELECT count(*) AS changed FROM ((TABLE before_move EXCEPT ALL TABLE cost_ledger.call) UNION ALL (TABLE cost_ledger.call EXCEPT ALL TABLE before_move)) c;
-- the default partition is the same table as before, with its grants and guards
SELECT has_table_privilege('public', 'cost_ledger_internal.call_default', 'SELECT') AS is_granted;
UPDATE cost_ledger_internal.call_default SET cost = 0;
DELETE FROM cost_ledger_internal.call_default;
TRUNCATE cost_ledger_internal.call_default;
SELECT count(*) FILTER (WHERE t.tgenabled = 'A') AS guards FROM pg_trigger t WHERE t.tgrelid = 'cost_ledger_internal.call_default'::regclass;
-- what is not of a likely time, only a person moves
SELECT month, rows, is_plausible FROM cost_ledger.waiting_call_by_month ORDER BY month;
SELECT cost_ledger.create_partitions('1970-01-01', '1970-01-31');
SELECT month, rows, is_plausible FROM cost_ledger.waiting_call_by_month ORDER BY month;
SELECT count(*) AS changed FROM ((TABLE before_move EXCEPT ALL TABLE cost_ledger.call) UNION ALL (TABLE cost_ledger.call EXCEPT ALL TABLE before_move)) c;
DROP TABLE before_move;
-- only rows that are all seen are moved
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cost_ledger.create_partitions('2023-12-01', '2023-12-01');
SELECT cost_ledger.create_partitions('2150-01-01', '2150-01-01');
ROLLBACK;
-- a table of the name, or a partition of the time, that somebody has made
CREATE TABLE cost_ledger_internal.call_p2022_01 (a int);
CREATE TABLE cost_ledger.call_2021 (LIKE cost_ledger.call INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE cost_ledger.call ATTACH PARTITION cost_ledger.call_2021 FOR VALUES FROM ('2020-12-31 18:30Z') TO ('2021-12-31 18:30Z');
SELECT cost_ledger.create_partitions('2021-12-10', '2022-02-10');
SELECT partition, starts_at, ends_at, has_rows FROM cost_ledger.partition_status WHERE starts_at < '2024-01-01' ORDER BY starts_at;
SET cost_ledger.allow_drop = on;
ALTER TABLE cost_ledger.call DETACH PARTITION cost_ledger.call_2021;
DROP TABLE cost_ledger_internal.call_p2022_01, cost_ledger.call_2021;
RESET cost_ledger.allow_drop;
SELECT cost_ledger.drop_ledger(i_mean_it => true);

--
-- Retention.
--
SELECT cost_ledger.create_ledger('Asia/Kolkata');  -- UTC+05:30
-- However long ago the times below are.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1000000}', '2010-01-01') > 0 AS is_set;
SELECT cost_ledger.create_partitions('2024-01-15', '2024-04-15');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key, team, run_id, session_id, user_id) VALUES
    ('2024-01-10 12:00Z', 'acme', 'm', 1, 'k1', 'a', 'r1', 's1', 'u1'),
    ('2024-01-31 18:00Z', 'acme', 'm', 20, 'k2', 'a', 'r2', 's2', 'u1'),     -- a run from 31 January
    ('2024-01-31 19:00Z', 'acme', 'm', 300, NULL, 'a', 'r2', 's2', 'u1'),    -- to 1 February
    ('2024-02-20 12:00Z', 'acme', 'm', 4000, 'k4', 'b', 'r3', 's2', 'u2'),
    ('2024-03-20 12:00Z', 'acme', 'm', 50000, 'k5', 'b', 'r4', 's3', 'u2');
-- nothing is dropped unless it is said
SELECT retain_calls, retain_event_keys FROM cost_ledger.retention;
SELECT * FROM cost_ledger.apply_retention();
SELECT cost_ledger_internal.prune_event_keys();
SELECT cost_ledger.set_retention('29 days');
SELECT cost_ledger.set_retention(retain_event_keys => '0');
SELECT cost_ledger.set_retention(retain_holds => '178000000 years');
SELECT cost_ledger.set_retention('3 months');
SELECT retain_calls, retain_event_keys FROM cost_ledger.retention;
SELECT * FROM cost_ledger.apply_retention('infinity');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM cost_ledger.apply_retention();
ROLLBACK;

-- January is three months old at midnight of 1 May, local; not what is not in
-- the rollups
SELECT * FROM cost_ledger.apply_retention('2024-04-30 18:29:59.999999Z');
SELECT * FROM cost_ledger.apply_retention('2024-04-30 18:30Z');
CALL cost_ledger.refresh();
CREATE TABLE january AS SELECT * FROM cost_ledger_internal.call_p2024_01;
CREATE TABLE before_drop AS SELECT 'day' AS rollup, to_jsonb(r) - 'call_cost' AS r FROM cost_ledger_internal.rollup_day r UNION ALL SELECT 'run', to_jsonb(r) FROM cost_ledger_internal.rollup_run r;

-- nor what the rollups have wrong; February waits for January
UPDATE cost_ledger_internal.rollup_day SET cost = cost + 1 WHERE day = '2024-01-10';
SELECT * FROM cost_ledger.apply_retention('2024-05-31 18:30Z');
SELECT partition, is_expired, checked_at IS NOT NULL AS is_checked, problem FROM cost_ledger.partition_status WHERE problem IS NOT NULL;
SELECT rollup, key ->> 'day' AS day, stored ->> 'cost' AS stored, expected ->> 'cost' AS expected FROM cost_ledger.check_rollups('2023-12-31 18:30:00+00', '2024-01-31 18:30:00+00');
SELECT cost_ledger.rebuild_rollups('2023-12-31 18:30:00+00', '2024-01-31 18:30:00+00');
SELECT cost_ledger_internal.check_partition('cost_ledger_internal.call_p2024_01');
SELECT partition, rows, cost, first_call_id, last_call_id, problem FROM cost_ledger_internal.partition_check;

-- a call that comes between the check and the drop
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, run_id) VALUES ('2024-01-20 12:00Z', 'acme', 'm', 600000, 'c', 'r1');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.drop_partition('cost_ledger_internal.call_p2024_01');
SELECT count(*) FROM cost_ledger_internal.call_p2024_01;
SELECT cost_ledger_internal.drop_partition('cost_ledger_internal.call_p2024_01');
INSERT INTO january SELECT * FROM cost_ledger_internal.call_p2024_01 WHERE team = 'c';
DROP TABLE before_drop;
CREATE TABLE before_drop AS SELECT 'day' AS rollup, to_jsonb(r) - 'call_cost' AS r FROM cost_ledger_internal.rollup_day r UNION ALL SELECT 'run', to_jsonb(r) FROM cost_ledger_internal.rollup_run r;

-- checked, and then dropped
SELECT cost_ledger_internal.check_partition('cost_ledger_internal.call_p2024_01');
SELECT cost_ledger_internal.drop_partition('cost_ledger_internal.call_p2024_01');
SELECT to_regclass('cost_ledger_internal.call_p2024_01'), calls_from FROM cost_ledger_internal.rollup_state;
SELECT partition, starts_at, ends_at, rows, cost, first_call_id, last_call_id, retain_calls, dropped_by = current_user AS by_me, checked_at <= clock_timestamp() AS was_checked FROM cost_ledger.retention_log;
-- the digest is that of any copy, by the formula of the manual
SELECT l.digest = cost_ledger.partition_digest('january') AS is_of_copy,
       l.digest = (SELECT encode(sha256(sha256(string_agg(sha256(convert_to(c::text, 'UTF8')), '' ORDER BY called_at, call_id))), 'hex') FROM january c) AS is_formula
FROM cost_ledger.retention_log l;
SET TIME ZONE 'Asia/Tokyo';
SELECT l.digest = cost_ledger.partition_digest('january') AS is_of_copy FROM cost_ledger.retention_log l;
SET TIME ZONE 'UTC';
UPDATE january SET cost = 2 WHERE call_id = 1;
SELECT l.digest = cost_ledger.partition_digest('january') AS is_of_copy FROM cost_ledger.retention_log l;
DROP TABLE january;
UPDATE cost_ledger.retention_log SET rows = 0;
DELETE FROM cost_ledger.retention_log;
TRUNCATE cost_ledger.retention_log;

-- rollups are as before, and right: of runs and sessions, those that began since
(SELECT 'day' AS rollup, to_jsonb(r) - 'call_cost' AS r FROM cost_ledger_internal.rollup_day r UNION ALL SELECT 'run', to_jsonb(r) FROM cost_ledger_internal.rollup_run r) EXCEPT ALL TABLE before_drop;
TABLE before_drop EXCEPT ALL (SELECT 'day' AS rollup, to_jsonb(r) - 'call_cost' AS r FROM cost_ledger_internal.rollup_day r UNION ALL SELECT 'run', to_jsonb(r) FROM cost_ledger_internal.rollup_run r);
SELECT * FROM cost_ledger.check_rollups();
SELECT * FROM cost_ledger.check_rollups('2024-01-01', '2024-03-01');
SELECT cost_ledger.rebuild_rollups();
SELECT run_id, started_at, calls, cost FROM cost_ledger_internal.rollup_run ORDER BY run_id;
SELECT sum(cost) FROM cost_ledger_internal.rollup_day;
UPDATE cost_ledger_internal.rollup_run SET cost = 0 WHERE run_id IN ('r2', 'r3');
SELECT rollup, key, stored ->> 'cost' AS stored, expected ->> 'cost' AS expected FROM cost_ledger.check_rollups();
UPDATE cost_ledger_internal.rollup_run SET cost = 320 WHERE run_id = 'r2';
SELECT cost_ledger.rebuild_rollups();
SELECT run_id, calls, cost FROM cost_ledger_internal.rollup_run ORDER BY run_id;
-- and the run goes on
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, run_id, session_id) VALUES ('2024-02-01 12:00Z', 'acme', 'm', 7000000, 'a', 'r2', 's2');
CALL cost_ledger.refresh();
SELECT calls, cost FROM cost_ledger_internal.rollup_run WHERE run_id = 'r2';
SELECT * FROM cost_ledger.check_rollups();

-- what refers to a dropped call
\set VERBOSITY default
SELECT cost_ledger.correct_call('k1', '{"input_tokens": 5}', 'wrong') ;
SELECT cost_ledger.rerate('2024-01-01', '2024-03-01');
\set VERBOSITY terse
SELECT count(*) FROM cost_ledger.rerate('2024-01-31 18:30:00+00', '2024-03-01');
SELECT cost_ledger.correct_call('2024-02-10', 1, '{"input_tokens": 5}', 'wrong') ;
-- its key is kept: a replay is none
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key, team, run_id, session_id, user_id) VALUES
    ('2024-05-01 12:00Z', 'acme', 'm', 1, 'k1', 'a', 'r1', 's1', 'u1') RETURNING call_id;

-- a call of January that comes now is recorded and rolled up, once
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, run_id) VALUES ('2024-01-15 12:00Z', 'acme', 'm', 80000000, 'c', 'r1');
SELECT starts_at, dropped_rows, dropped_cost, later_rows, later_cost, rollup_rows, rollup_cost, is_equal FROM cost_ledger.retention_check;
CALL cost_ledger.refresh();
CALL cost_ledger.refresh();
SELECT starts_at, dropped_rows, dropped_cost, later_rows, later_cost, rollup_rows, rollup_cost, is_equal FROM cost_ledger.retention_check;
SELECT calls, cost FROM cost_ledger_internal.rollup_run WHERE run_id = 'r1';
SELECT * FROM cost_ledger.check_rollups();
SELECT count(*) FROM cost_ledger.rerate('2024-01-01', '2024-03-01', '{"call_id": [8]}');
SELECT cost_ledger.correct_call('2024-01-15 12:00Z', call_id, '{"input_tokens": 80000001}', 'one more') > 0 AS corrected FROM cost_ledger.call WHERE team = 'c';
-- it gets a partition, which is dropped like the first
SELECT cost_ledger_internal.drain_default('2024-05-01');
SELECT * FROM cost_ledger.apply_retention('2024-04-30 18:30Z');
CALL cost_ledger.refresh();
SELECT * FROM cost_ledger.check_rollups();
UPDATE cost_ledger_internal.rollup_total_day SET cost = cost + 1 WHERE day = '2024-01-10';
SELECT starts_at, rollup_cost, is_equal FROM cost_ledger.retention_check;
SELECT * FROM cost_ledger.apply_retention('2024-04-30 18:30Z');
UPDATE cost_ledger_internal.rollup_total_day SET cost = cost - 1 WHERE day = '2024-01-10';
SELECT * FROM cost_ledger.apply_retention('2024-04-30 18:30Z');
SELECT partition, rows, cost, first_call_id, last_call_id FROM cost_ledger.retention_log ORDER BY log_id;
SELECT starts_at, dropped_rows, dropped_cost, later_rows, later_cost, rollup_rows, rollup_cost, is_equal FROM cost_ledger.retention_check;
SELECT calls_from FROM cost_ledger_internal.rollup_state;
-- several at once, in order
SELECT * FROM cost_ledger.apply_retention('2024-07-15');
SELECT calls_from FROM cost_ledger_internal.rollup_state;
SELECT count(*) FROM cost_ledger.call;
SELECT starts_at, dropped_rows, dropped_cost, is_equal FROM cost_ledger.retention_check ORDER BY starts_at;
SELECT partition, rows, cost FROM cost_ledger.retention_log ORDER BY log_id;
SELECT * FROM cost_ledger.check_rollups();

-- event keys: of calls made and recorded long ago; k6 is recorded just now
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key) VALUES
    ('2024-05-10', 'acme', 'm', 1, 'k6'), (now(), 'acme', 'm', 1, 'k7');
SELECT cost_ledger_internal.prune_event_keys();
SELECT cost_ledger.set_retention(retain_event_keys => '13 months');
SELECT cost_ledger_internal.prune_event_keys(max_keys => 3);
SELECT count(*) FROM cost_ledger_internal.event_key;
SELECT cost_ledger_internal.prune_event_keys(max_keys => 3);
SELECT event_key FROM cost_ledger_internal.event_key ORDER BY event_key;
-- once a day
INSERT INTO cost_ledger_internal.event_key VALUES ('', 'k1', '', 1, '2024-01-10 12:00Z');
SELECT cost_ledger_internal.prune_event_keys();
SELECT cost_ledger_internal.prune_event_keys(now() + interval '1 day');
SELECT event_key FROM cost_ledger_internal.event_key ORDER BY event_key;

-- for the owner only
CREATE ROLE regress_partitions;
SELECT cost_ledger.grant_reader('regress_partitions');
SET ROLE regress_partitions;
SELECT cost_ledger.set_retention('1 year');
SELECT cost_ledger.apply_retention();
SELECT is_default, has_rows FROM cost_ledger.partition_status WHERE is_default;
SELECT count(*) FROM cost_ledger.retention_check;
SELECT cost_ledger.create_partitions('2024-01-01', '2024-01-01');
RESET ROLE;
DROP OWNED BY regress_partitions;
DROP ROLE regress_partitions;
DROP TABLE before_drop;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
