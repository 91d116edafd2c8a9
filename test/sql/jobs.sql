--
-- Jobs: each step by itself, its outcome on record, and somebody to call them.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
-- without a ledger
CALL cost_ledger.run_jobs();
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.schedule_jobs();
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.create_ledger();
-- depend on the time of day and month
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind IN ('budget_forecast', 'velocity');
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01');

-- jobs that never ran are stale
SELECT name, is_stale, is_failing, runs, failures FROM cost_ledger.job_status ORDER BY name;

-- a run: budgets are checked, partitions made ahead
SELECT cost_ledger.set_budget('all', '{}', 'month', 10) > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 9500000);
SELECT 'call_p' || to_char(now() + interval '3 months', 'YYYY_MM') AS ahead \gset
SET cost_ledger.allow_drop = on;
DROP TABLE cost_ledger_internal.:ahead;
RESET cost_ledger.allow_drop;
CALL cost_ledger.run_jobs();
SELECT name, is_stale, is_failing, last_started_at <= last_finished_at AND last_finished_at <= clock_timestamp() AS timed,
       last_ok_at = last_finished_at AS ok, last_error, runs, failures
FROM cost_ledger.job_status ORDER BY name;
SELECT budget, threshold, level FROM cost_ledger.unacknowledged_alert ORDER BY threshold;
SELECT to_regclass('cost_ledger_internal.' || :'ahead') IS NOT NULL AS made_ahead;

-- stale after five minutes
BEGIN;
UPDATE cost_ledger_internal.job SET last_ok_at = now() - interval '5 minutes 1 second' WHERE name = 'run_jobs';
UPDATE cost_ledger_internal.job SET last_ok_at = now() - interval '5 minutes' WHERE name = 'check_budgets';
SELECT name, is_stale FROM cost_ledger.job_status ORDER BY name;
ROLLBACK;

-- after a while without jobs, the run that finds it does not call itself stopped
UPDATE cost_ledger_internal.job SET last_started_at = now() - interval '1 hour', last_finished_at = now() - interval '1 hour', last_ok_at = now() - interval '1 hour';
CALL cost_ledger.run_jobs();
SELECT subject FROM cost_ledger.unacknowledged_alert WHERE kind = 'stale_job';
-- but how long there was none, and the next one that it is over
SELECT rule, level, subject, value BETWEEN 3600 AND 3660 AS about_an_hour, resolved_at FROM cost_ledger.unacknowledged_alert WHERE kind = 'job_outage';
CALL cost_ledger.run_jobs();
SELECT subject, resolved_at IS NOT NULL AS resolved FROM cost_ledger.unacknowledged_alert WHERE kind = 'job_outage';
-- runs that do not come to their end are none
UPDATE cost_ledger_internal.job SET last_ok_at = now() - interval '1 hour' WHERE name = 'run_jobs';
CALL cost_ledger.run_jobs();
SELECT subject, resolved_at IS NOT NULL AS resolved FROM cost_ledger.unacknowledged_alert WHERE kind = 'job_outage' ORDER BY alert_id;
CALL cost_ledger.run_jobs();
-- asked by hand, there is no run at work
SELECT value FROM cost_ledger_internal.signal_job_outage;

-- it commits, so it is its own transaction
BEGIN;
CALL cost_ledger.run_jobs();
ROLLBACK;
\echo :LAST_ERROR_SQLSTATE
BEGIN;
CALL cost_ledger.refresh();
ROLLBACK;
DO $$ BEGIN CALL cost_ledger.refresh(); EXCEPTION WHEN division_by_zero THEN NULL; END $$;
CREATE FUNCTION public.call_jobs() RETURNS void LANGUAGE plpgsql AS 'BEGIN CALL cost_ledger.run_jobs(); END';
SELECT public.call_jobs();
DROP FUNCTION public.call_jobs();
-- a block without errors to catch, and a procedure, can
DO $$ BEGIN CALL cost_ledger.refresh(); END $$;
CREATE PROCEDURE public.call_jobs() LANGUAGE plpgsql AS 'BEGIN CALL cost_ledger.refresh(); COMMIT; CALL cost_ledger.run_jobs(); END';
CALL public.call_jobs();
DROP PROCEDURE public.call_jobs();

-- whatever the default of the session is, which it keeps
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1);
SET default_transaction_isolation = 'repeatable read';
CALL cost_ledger.refresh();
SELECT unconsumed_rows FROM cost_ledger.rollup_status;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1);
SET default_transaction_isolation = 'serializable';
CALL cost_ledger.run_jobs();
SELECT current_setting('transaction_isolation') AS isolation, unconsumed_rows FROM cost_ledger.rollup_status;
SELECT count(*) AS failing FROM cost_ledger.job_status WHERE is_failing;
RESET default_transaction_isolation;

-- a step that fails is undone and put on record, and the others go on
CREATE FUNCTION public.break_alerts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'alerts are broken' USING ERRCODE = 'LCTST';
END
$$;
CREATE TRIGGER break_alerts BEFORE INSERT ON cost_ledger.alert FOR EACH ROW EXECUTE FUNCTION public.break_alerts();
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 500000);
SET cost_ledger.allow_drop = on;
DROP TABLE cost_ledger_internal.:ahead;
RESET cost_ledger.allow_drop;
CALL cost_ledger.run_jobs();
SELECT name, is_stale, is_failing, last_error, last_error_at = last_finished_at AS error_now, runs, failures
FROM cost_ledger.job_status ORDER BY name;
SELECT to_regclass('cost_ledger_internal.' || :'ahead') IS NOT NULL AS made_ahead;
SELECT count(*) FROM cost_ledger.alert;
-- a later step too
ALTER TABLE cost_ledger.ledger DISABLE TRIGGER keep_settings;
UPDATE cost_ledger.ledger SET time_zone = 'Nowhere/Land';
DROP TRIGGER break_alerts ON cost_ledger.alert;
UPDATE cost_ledger.budget SET time_zone = 'UTC';
CALL cost_ledger.run_jobs();
SELECT name, is_failing, last_error, runs, failures FROM cost_ledger.job_status ORDER BY name;
UPDATE cost_ledger.ledger SET time_zone = 'UTC';
ALTER TABLE cost_ledger.ledger ENABLE TRIGGER keep_settings;
-- and is well again; what was wrong stays readable
CALL cost_ledger.run_jobs();
SELECT name, is_failing, last_error, runs, failures FROM cost_ledger.job_status ORDER BY name;
SELECT budget_version, threshold, level FROM cost_ledger.alert ORDER BY alert_id;

-- a run that is canceled ends, and the step it was in says so
CREATE OR REPLACE FUNCTION public.break_alerts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(60);
    RETURN new;
END
$$;
CREATE TRIGGER break_alerts BEFORE INSERT ON cost_ledger.alert FOR EACH ROW EXECUTE FUNCTION public.break_alerts();
SELECT cost_ledger.set_budget('all', '{}', 'month', 1, time_zone => 'UTC') > 0 AS set;
SET statement_timeout = '1s';
CALL cost_ledger.run_jobs();
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
SELECT name, is_failing, last_error, runs, failures FROM cost_ledger.job_status ORDER BY name;
-- one that takes too long is undone, and the others go on
SELECT cost_ledger.set_job_time_limit('check_budgets', '1 second');
SELECT name, time_limit_seconds FROM cost_ledger.job_status WHERE time_limit_seconds IS DISTINCT FROM 600;
CALL cost_ledger.run_jobs();
SELECT name, is_failing, last_error, runs, failures FROM cost_ledger.job_status ORDER BY name;
SELECT cost_ledger.set_job_time_limit('check_budgets', NULL);
SELECT name, time_limit_seconds FROM cost_ledger.job_status WHERE time_limit_seconds IS DISTINCT FROM 600;
SELECT cost_ledger.set_job_time_limit('check_budgets', '0.9 seconds');
SELECT cost_ledger.set_job_time_limit('run_jobs', '1 minute');
SELECT cost_ledger.set_job_time_limit('check_budget', '1 minute');
SELECT cost_ledger.set_job_time_limit(NULL, '1 minute');
DROP FUNCTION public.break_alerts() CASCADE;
-- nothing is left behind that would keep the next one out
CALL cost_ledger.run_jobs();
SELECT name, is_failing, runs, failures FROM cost_ledger.job_status ORDER BY name;
SELECT current_setting('lock_timeout') AS lock_timeout;

-- locks are rows that nobody else can lock; a run that finds none to lock says so
CREATE ROLE regress_stranger;
GRANT USAGE ON SCHEMA cost_ledger, cost_ledger_internal TO regress_stranger;
SET ROLE regress_stranger;
SELECT FROM cost_ledger_internal.lock FOR KEY SHARE;
SELECT cost_ledger_internal.try_lock('run_jobs');
RESET ROLE;
REVOKE USAGE ON SCHEMA cost_ledger, cost_ledger_internal FROM regress_stranger;
DROP ROLE regress_stranger;
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND p.prosrc ~ 'advisory';
DELETE FROM cost_ledger_internal.lock WHERE name IN ('run_jobs', 'check_rules');
CALL cost_ledger.run_jobs();
SELECT name, skipped, last_skip_reason FROM cost_ledger.job_status WHERE skipped > 0;
SELECT cost_ledger.check_rules();
INSERT INTO cost_ledger_internal.lock VALUES ('run_jobs'), ('check_rules');
-- each step that is left out is counted once
CREATE FUNCTION public.lose_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM cost_ledger_internal.lock WHERE name = 'run_jobs';
    RETURN NULL;
END
$$;
CREATE TRIGGER lose_lock AFTER UPDATE ON cost_ledger_internal.job FOR EACH ROW WHEN (new.name = 'summarize_pages') EXECUTE FUNCTION public.lose_lock();
CALL cost_ledger.run_jobs();
SELECT name, skipped, last_skip_reason FROM cost_ledger.job_status WHERE skipped > 0 ORDER BY name;
DROP FUNCTION public.lose_lock() CASCADE;
INSERT INTO cost_ledger_internal.lock VALUES ('run_jobs');

-- an owner who is not superuser runs everything
CREATE ROLE regress_ledger_owner;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger(owner => 'regress_ledger_owner');
SET ROLE regress_ledger_owner;
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind IN ('budget_forecast', 'velocity');
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
SELECT cost_ledger.set_budget('all', '{}', 'month', 1) > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 950000);
CALL cost_ledger.run_jobs();
SELECT name, is_stale, is_failing, last_error, runs FROM cost_ledger.job_status ORDER BY name;
SELECT budget, threshold, level FROM cost_ledger.unacknowledged_alert ORDER BY threshold;
SELECT name, level FROM cost_ledger.budget_status;
-- a view of his is read with his rights, also by a superuser
CREATE VIEW cost_ledger.signal_reader AS SELECT current_user::text AS subject, 1 AS value, NULL AS detail;
INSERT INTO cost_ledger.alert_rule (name, kind, threshold) VALUES ('who reads', 'reader', 1);
RESET ROLE;
SELECT cost_ledger.check_rules();
SELECT subject FROM cost_ledger.alert WHERE kind = 'reader';

-- a job needs a role that may log in, or a pg_cron to begin with
\set VERBOSITY sqlstate
SELECT cost_ledger.schedule_jobs();
\set VERBOSITY default
SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP OWNED BY regress_ledger_owner;
DROP ROLE regress_ledger_owner;

-- scheduling: pg_cron is here, elsewhere or not at all, and each has its answer
SELECT cost_ledger.create_ledger();
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind IN ('budget_forecast', 'velocity');
CREATE FUNCTION public.try_schedule() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    has_cron boolean := EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron');
    jobs bigint;
    hint text;
BEGIN
    statement := cost_ledger.schedule_jobs();
    IF has_cron THEN
        PERFORM cost_ledger.schedule_jobs();
        SELECT count(*) INTO jobs FROM cron.job WHERE database = current_database() AND jobname = 'cost_ledger' AND active;
        PERFORM cost_ledger.unschedule_jobs();
        RETURN CASE WHEN statement IS NULL AND jobs = 1
                     AND NOT EXISTS (SELECT FROM cron.job WHERE database = current_database() AND jobname = 'cost_ledger')
                    THEN 'ok' ELSE 'wrong: ' || jobs END;
    END IF;
    RETURN CASE WHEN replace(statement, '''30 seconds''', '''* * * * *''')
                     = format('SELECT cron.schedule_in_database(%L, ''* * * * *'', ''CALL cost_ledger.run_jobs()'', %L, %L);',
                              'cost_ledger:' || current_database(), current_database(), current_user)
                 AND cost_ledger.unschedule_jobs() LIKE 'SELECT cron.unschedule(jobid) FROM cron.job WHERE database = %'
                THEN 'ok' ELSE statement END;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN CASE WHEN hint LIKE '%CREATE EXTENSION pg_cron;%' THEN 'ok' ELSE hint END;
END
$$;
-- (what is said of a pg_cron that cannot run them is in test/t/pg_cron.pl)
SET client_min_messages = error;
SELECT public.try_schedule();
-- seconds where pg_cron knows them
SELECT version, cost_ledger_internal.cron_schedule(version) FROM (VALUES ('1.4'), ('1.4-1'), ('1.5'), ('1.6'), ('1.10'), ('2.0'), (NULL)) AS v (version);
-- dropping a ledger takes its job along, or has none to take
SELECT cost_ledger_internal.unschedule_jobs();
DROP FUNCTION public.try_schedule();
RESET client_min_messages;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
