-- Jobs: what has to be done every minute, and who does it.
--
-- A step is a transaction of its own.  One that fails, takes too long or has to
-- wait for somebody says so in its row and leaves the others to be done.

CREATE PROCEDURE cost_ledger_internal.require_autocommit(procedure text)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_require_autocommit';

COMMENT ON PROCEDURE cost_ledger_internal.require_autocommit(text) IS
    'For a procedure of that name that commits: an error (25001) where that is not possible, in a transaction block, a function or a block that catches errors.';

CREATE FUNCTION cost_ledger_internal.run_within(command text, time_limit interval) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_run_within';

COMMENT ON FUNCTION cost_ledger_internal.run_within(text, interval) IS
    'Runs a SELECT of one row and returns its bigint; an error (LC004) if that is not over within time_limit, NULL for any time. A cancel by somebody else stays one (57014).';

CREATE FUNCTION cost_ledger_internal.note_skip(job text, reason text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE cost_ledger_internal.job j
        SET skipped = j.skipped + 1, last_skipped_at = clock_timestamp(), last_skip_reason = reason
        WHERE j.name = (SELECT k.name FROM cost_ledger_internal.job k WHERE k.name = job FOR NO KEY UPDATE SKIP LOCKED);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.note_skip(text, text) IS
    'Records that a step of run_jobs(), or all of it, was left out, and why.';

CREATE FUNCTION cost_ledger_internal.start_job(job text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '10s'
AS $$
BEGIN
    IF to_regclass('cost_ledger_internal.job') IS NULL THEN
        RAISE EXCEPTION 'there is no ledger in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Run SELECT cost_ledger.create_ledger(); or stop the job with SELECT cost_ledger.unschedule_jobs();';
    ELSIF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'this server is a standby: its jobs run on the primary'
            USING ERRCODE = 'read_only_sql_transaction',
                  HINT = 'Run the jobs on the primary.';
    END IF;
    BEGIN
        LOCK TABLE cost_ledger_internal.lock IN ROW SHARE MODE;
    EXCEPTION WHEN lock_not_available THEN
        PERFORM cost_ledger_internal.note_skip(job, 'table cost_ledger_internal.lock was locked for more than 10 seconds');
        RETURN false;
    END;
    IF NOT cost_ledger_internal.try_lock('run_jobs') THEN
        PERFORM cost_ledger_internal.note_skip(job, cost_ledger_internal.why_locked('run_jobs'));
        RETURN false;
    END IF;
    -- Somebody who sets a time_limit and does not commit costs the record, not
    -- the work.
    UPDATE cost_ledger_internal.job j SET last_started_at = clock_timestamp()
        WHERE j.name = (SELECT k.name FROM cost_ledger_internal.job k WHERE k.name = job FOR NO KEY UPDATE SKIP LOCKED);
    RETURN true;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.start_job(text) IS
    'Records that a step of run_jobs() begins; false, and on record as skipped, while another session is in a step.';

CREATE FUNCTION cost_ledger_internal.do_job(job text, batch_end cost_ledger_internal.batch_end) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CASE job
        WHEN 'run_jobs' THEN
            PERFORM cost_ledger_internal.forget_roles();
        WHEN 'refresh' THEN
            PERFORM cost_ledger_internal.refresh_batch(batch_end);
        WHEN 'summarize_pages' THEN
            PERFORM cost_ledger_internal.summarize_pages();
        WHEN 'check_budgets' THEN
            PERFORM cost_ledger_internal.check_all_budgets();
        WHEN 'check_rules' THEN
            PERFORM cost_ledger_internal.check_all_rules();
        WHEN 'notify_alerts' THEN
            PERFORM cost_ledger.notify_alerts();
        WHEN 'prune_alerts' THEN
            PERFORM cost_ledger_internal.prune_alerts();
        WHEN 'create_partitions' THEN
            PERFORM cost_ledger.create_partitions(now(), now() + interval '3 months');
        WHEN 'drain_default' THEN
            PERFORM cost_ledger_internal.drain_default();
        WHEN 'prune_event_keys' THEN
            PERFORM cost_ledger_internal.prune_event_keys();
        WHEN 'prune_holds' THEN
            PERFORM cost_ledger_internal.prune_holds();
    END CASE;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.do_job(text, cost_ledger_internal.batch_end) IS
    'What a step of run_jobs() does; of refresh, the batch that has this end.';

CREATE FUNCTION cost_ledger_internal.run_job(job text, batch_end cost_ledger_internal.batch_end DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    -- Whatever holds up a step is waited for in the next minute's run.
    SET lock_timeout = '10s'
AS $$
DECLARE
    error text;
    is_canceled boolean := false;
    ended timestamptz;
BEGIN
    -- Held to the end of the transaction, which is this step's.
    IF NOT cost_ledger_internal.try_lock('run_jobs') THEN
        PERFORM cost_ledger_internal.note_skip(job, cost_ledger_internal.why_locked('run_jobs'));
        RETURN NULL;
    END IF;
    BEGIN
        PERFORM cost_ledger_internal.run_within(format('SELECT cost_ledger_internal.do_job(%L, %L)', job, batch_end),
                                        (SELECT j.time_limit FROM cost_ledger_internal.job j WHERE j.name = job));
    EXCEPTION
        WHEN query_canceled THEN
            error := format('%s: %s', SQLSTATE, SQLERRM);
            is_canceled := true;
        WHEN OTHERS THEN
            error := format('%s: %s', SQLSTATE, SQLERRM);
    END;
    ended := clock_timestamp();
    UPDATE cost_ledger_internal.job j
        SET last_finished_at = ended,
            last_ok_at = CASE WHEN error IS NULL THEN ended ELSE j.last_ok_at END,
            last_error_at = CASE WHEN error IS NULL THEN j.last_error_at ELSE ended END,
            last_error = coalesce(error, j.last_error),
            runs = j.runs + 1,
            failures = j.failures + CASE WHEN error IS NULL THEN 0 ELSE 1 END
        WHERE j.name = (SELECT k.name FROM cost_ledger_internal.job k WHERE k.name = job FOR NO KEY UPDATE SKIP LOCKED);
    RETURN CASE WHEN is_canceled THEN error END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.run_job(text, cost_ledger_internal.batch_end) IS
    'One step of run_jobs() (of refresh, the batch that has this end), with its outcome recorded; an error in it, or its time limit, is undone and recorded instead of raised. Returns the error if the step was canceled otherwise, which is to end the run.';

CREATE FUNCTION cost_ledger_internal.plan_job(job text) RETURNS cost_ledger_internal.batch_end[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '10s'
AS $$
BEGIN
    -- After a failure in smaller ones: what takes too long at once, as looking
    -- for rows that fail does, comes to an end in parts.
    RETURN CASE job WHEN 'refresh' THEN cost_ledger_internal.refresh_ends((
                        SELECT CASE WHEN j.last_error_at > coalesce(j.last_ok_at, '-infinity') THEN 50000 ELSE 1000000 END
                        FROM cost_ledger_internal.job j WHERE j.name = 'refresh'))
                    ELSE ARRAY[NULL::cost_ledger_internal.batch_end] END;
EXCEPTION WHEN OTHERS THEN
    RETURN ARRAY[NULL::cost_ledger_internal.batch_end];  -- the step itself will tell
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.plan_job(text) IS
    'In how many transactions a step is done: of refresh, where the batches of a backlog end; else one, which is one NULL, also when that cannot be found out.';

-- A procedure that commits can have no SET clause, and resolves names by its
-- caller's search_path: it is a loop over functions that have one, and says
-- where everything is.  CASE and IN hide operators.
CREATE PROCEDURE cost_ledger.run_jobs()
    LANGUAGE plpgsql
AS $$
DECLARE
    step pg_catalog.text;
    batch_end cost_ledger_internal.batch_end;
    canceled pg_catalog.text;
BEGIN
    CALL cost_ledger_internal.require_autocommit('run_jobs');
    -- The default of the session may be another level; CHAIN keeps this one.
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    IF NOT cost_ledger_internal.start_job('run_jobs') THEN
        RETURN;
    END IF;
    COMMIT AND CHAIN;

    FOREACH step IN ARRAY '{refresh,summarize_pages,create_partitions,drain_default,prune_event_keys,prune_holds,prune_alerts,check_budgets,check_rules,notify_alerts}'::pg_catalog.text[] LOOP
        FOREACH batch_end IN ARRAY cost_ledger_internal.plan_job(step) LOOP
            IF cost_ledger_internal.start_job(step) THEN
                COMMIT AND CHAIN;
                canceled := cost_ledger_internal.run_job(step, batch_end);
            END IF;
            COMMIT AND CHAIN;
            IF canceled IS NOT NULL THEN
                RAISE EXCEPTION 'run of the jobs was canceled' USING ERRCODE = 'query_canceled', DETAIL = canceled;
            END IF;
        END LOOP;
    END LOOP;

    PERFORM cost_ledger_internal.run_job('run_jobs');
    COMMIT AND CHAIN;
END
$$;

COMMENT ON PROCEDURE cost_ledger.run_jobs() IS
    'Everything the ledger needs done every minute: refreshes the rollups, makes partitions three months ahead and for calls that wait for one, forgets event keys, holds and alerts that are old enough (set_retention()), checks budgets and alert rules, and sends the messages of their alerts. Each step is a transaction of its own with a time limit (set_job_time_limit()), an error in one is recorded in job_status and does not stop the others, and a run that finds another one at work leaves, and is counted in job_status.skipped. schedule_jobs() has pg_cron call it; any other scheduler, or a person, may as well (not inside a transaction block: 25001).';

CREATE FUNCTION cost_ledger.set_job_time_limit(job text, time_limit interval) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF NOT coalesce(time_limit BETWEEN interval '1 second' AND interval '20 days', true) THEN
        RAISE EXCEPTION 'time limit % of a job is not between 1 second and 20 days', time_limit
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass e.g. interval ''30 minutes'', or NULL for no limit.';
    END IF;
    UPDATE cost_ledger_internal.job j SET time_limit = set_job_time_limit.time_limit WHERE j.name = job AND j.name <> 'run_jobs';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no job "%" that has a time limit', job
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('The jobs are %s.', (SELECT string_agg(j.name, ', ' ORDER BY j.name) FROM cost_ledger_internal.job j WHERE j.name <> 'run_jobs'));
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger.set_job_time_limit(text, interval) IS
    'Sets after how long a step of run_jobs() is canceled, undone and recorded as failed (LC004), of refresh each batch: 10 minutes at first, from 1 second to 20 days, NULL for never (22023). Only for the owner of the ledger.';

CREATE FUNCTION cost_ledger_internal.cron_database() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found text;
BEGIN
    -- pg_cron shows its settings to superusers only.  The refusal tells that
    -- it is loaded: for a setting nobody defined there is none.
    found := current_setting('cron.database_name', true);
    -- Somebody's line in the configuration is not yet a loaded pg_cron.
    RETURN CASE WHEN EXISTS (SELECT FROM pg_settings s WHERE s.name = 'cron.database_name') THEN found END;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN '';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.cron_database() IS
    'The database pg_cron keeps its jobs in; empty if this role may not know it; NULL if pg_cron is not loaded.';

CREATE FUNCTION cost_ledger_internal.cron_schedule(version text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
    SELECT CASE WHEN string_to_array(substring(version FROM '^\d+(?:\.\d+)*'), '.')::integer[] >= '{1,5}' THEN '30 seconds' ELSE '* * * * *' END
$$;

COMMENT ON FUNCTION cost_ledger_internal.cron_schedule(text) IS
    'How often a version of pg_cron calls the jobs: every 30 seconds from 1.5, which has such schedules, else every minute.';

CREATE FUNCTION cost_ledger_internal.cron_obstacle(owner name, OUT obstacle text, OUT hint text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    host text;
    method text;
BEGIN
    IF coalesce(current_setting('cron.use_background_workers', true), 'off')::boolean THEN
        -- One is pg_cron itself, one may be the launcher of logical replication.
        IF current_setting('max_worker_processes')::integer < 3 THEN
            obstacle := format('pg_cron runs each job in a background worker, and max_worker_processes is %s', current_setting('max_worker_processes'));
            hint := 'ALTER SYSTEM SET max_worker_processes = 8; and restart the server.';
        END IF;
        RETURN;
    END IF;
    -- It connects as any client does, and has no password of its own.
    host := coalesce(nullif(current_setting('cron.host', true), ''), 'localhost');
    IF host NOT LIKE '/%' AND current_setting('listen_addresses') = '' THEN
        obstacle := format('pg_cron connects to %s, and the server listens on no address', host);
        hint := 'ALTER SYSTEM SET cron.use_background_workers = on; and restart the server: runs need no connection then. Or set listen_addresses = ''localhost''.';
        RETURN;
    END IF;
    SELECT h.auth_method INTO method
        FROM pg_hba_file_rules h
        WHERE h.error IS NULL
          AND h.type = ANY (CASE WHEN host LIKE '/%' THEN '{local}' ELSE '{host,hostssl,hostnossl}' END::text[])
          AND h.database && ARRAY['all', current_database()]::text[] AND h.user_name && ARRAY['all', owner]::text[]
          AND coalesce(h.address, '') = ANY ('{"",127.0.0.1,::1,localhost,samehost,samenet,all,0.0.0.0,::}')
        ORDER BY h.line_number
        LIMIT 1;
    IF NOT coalesce(method = 'trust' OR method = 'peer' AND owner = (SELECT r.rolname FROM pg_roles r WHERE r.oid = 10), false) THEN
        obstacle := format('pg_cron connects to %s as role "%s", which pg_hba.conf lets in by %s', host, owner, coalesce(method, 'no rule'));
        hint := 'ALTER SYSTEM SET cron.use_background_workers = on; and restart the server: runs need no connection then. Or let this role in from there without a password, or keep one in the .pgpass of the user that the server runs as.';
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN;  -- a superuser may look
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.cron_obstacle(name) IS
    'Why pg_cron will not be able to run a job of a role, by the settings of the server, and what to set; NULL when nothing is known to be in the way.';

CREATE FUNCTION cost_ledger_internal.warn_of_cron(owner name, command text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    last record;
    o record;
BEGIN
    SELECT * INTO o FROM cost_ledger_internal.cron_obstacle(owner);
    -- What has been is surer than what the settings let expect.
    IF to_regclass('cron.job_run_details') IS NOT NULL THEN
        SELECT d.status, d.return_message, coalesce(d.end_time, d.start_time) AS at INTO last
            FROM cron.job_run_details d
            WHERE d.database = current_database() AND d.command = warn_of_cron.command AND d.username = owner
              AND d.status IN ('succeeded', 'failed')
            ORDER BY d.runid DESC
            LIMIT 1;
        IF last.status = 'succeeded' THEN
            RETURN;
        ELSIF last.status = 'failed' THEN
            RAISE WARNING 'the last run of the jobs by pg_cron failed: %', coalesce(last.return_message, 'it does not say why')
                USING DETAIL = concat_ws(' ', 'That was at ' || last.at::text || '.', 'Now: ' || o.obstacle || '.'),
                      HINT = coalesce(o.hint, 'See the log of the server, and SELECT * FROM cron.job_run_details ORDER BY runid DESC;');
            RETURN;
        END IF;
    END IF;
    IF o.obstacle IS NOT NULL THEN
        RAISE WARNING 'runs of the jobs will fail: %', o.obstacle USING HINT = o.hint;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN;  -- a superuser may look
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.warn_of_cron(name, text) IS
    'A warning when pg_cron has failed to run a command in this database, or will.';

CREATE FUNCTION cost_ledger.schedule_jobs() RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted_schedule constant text := cost_ledger_internal.cron_schedule(coalesce(
        (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'pg_cron'),
        (SELECT a.default_version FROM pg_available_extensions a WHERE a.name = 'pg_cron')));
    job_command constant text := 'CALL cost_ledger.run_jobs()';
    package constant text := format('postgresql-%s-cron', current_setting('server_version_num')::integer / 10000);
    cron_database text := cost_ledger_internal.cron_database();
    owner name;
    job_name text;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF cron_database IS NULL THEN
        RAISE EXCEPTION 'pg_cron is not loaded in this server'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('%sdd pg_cron to shared_preload_libraries, set cron.database_name = %L and cron.use_background_workers = on, restart the server, and run CREATE EXTENSION pg_cron; here. Any other scheduler may run %s; every minute instead.',
                                CASE WHEN EXISTS (SELECT FROM pg_available_extensions e WHERE e.name = 'pg_cron')
                                     THEN 'A'
                                     ELSE format('Install package %s (apt install %1$s), a', package)
                                END,
                                current_database(), job_command);
    END IF;

    -- The job runs as the owner of the ledger, whoever schedules it: a
    -- superuser's job would run the owner's triggers as superuser.
    SELECT r.rolname INTO owner
        FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.oid = 'cost_ledger.ledger'::regclass;
    IF NOT (SELECT r.rolcanlogin FROM pg_roles r WHERE r.rolname = owner) THEN
        RAISE EXCEPTION 'role "%" owns the ledger but may not log in', owner
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('pg_cron runs a job in a session of its role: ALTER ROLE %I LOGIN;', owner);
    END IF;

    IF EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_cron')
       AND cron_database IN ('', current_database()) THEN
        -- What is right already stays, with its history.
        IF NOT EXISTS (SELECT FROM cron.job j
                       WHERE j.jobname = 'cost_ledger' AND j.schedule = wanted_schedule AND j.command = job_command
                         AND j.database = current_database() AND j.username = owner AND j.active)
           OR 1 < (SELECT count(*) FROM cron.job j
                   WHERE j.database = current_database() AND j.command = job_command) THEN
            PERFORM cron.unschedule(j.jobid) FROM cron.job j
                WHERE j.database = current_database() AND j.command = job_command;
            IF owner = current_user THEN
                PERFORM cron.schedule('cost_ledger', wanted_schedule, job_command);
            ELSE
                PERFORM cron.schedule_in_database('cost_ledger', wanted_schedule, job_command, current_database(), owner);
            END IF;
        END IF;
        RAISE NOTICE 'pg_cron is to run the jobs every % as role "%"', CASE wanted_schedule WHEN '* * * * *' THEN 'minute' ELSE wanted_schedule END, owner
            USING HINT = 'Whether it does: SELECT is_stale, last_ok_at FROM cost_ledger.job_status WHERE name = ''run_jobs''; in two minutes.';
        PERFORM cost_ledger_internal.warn_of_cron(owner, job_command);
        RETURN NULL;
    ELSIF cron_database = current_database() THEN
        RAISE EXCEPTION 'pg_cron is loaded, but its extension is missing in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'As a superuser, run CREATE EXTENSION pg_cron; and call this again.';
    END IF;

    PERFORM cost_ledger_internal.warn_of_cron(owner, job_command);
    -- There may be more ledgers in the server, and job names are cut at 63
    -- bytes.
    job_name := 'cost_ledger:' || current_database();
    IF octet_length(job_name) > 63 THEN
        job_name := 'cost_ledger:' || md5(current_database());
    END IF;
    IF cron_database = '' THEN
        RAISE NOTICE 'pg_cron keeps its jobs in another database, which only a superuser may ask for: SHOW cron.database_name'
            USING HINT = 'Run the returned statement there, as a superuser.';
    ELSE
        RAISE NOTICE 'pg_cron keeps its jobs in database "%"', cron_database
            USING HINT = 'Run the returned statement there, as a superuser.';
    END IF;
    RETURN format('SELECT cron.schedule_in_database(%L, %L, %L, %L, %L);',
                  job_name, wanted_schedule, job_command, current_database(), owner);
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'not allowed to schedule the jobs: %', SQLERRM
        USING ERRCODE = 'insufficient_privilege',
              HINT = format('Be a superuser, or the owner of the ledger with this right: GRANT USAGE ON SCHEMA cron TO %I;', owner);
END
$$;

COMMENT ON FUNCTION cost_ledger.schedule_jobs() IS
    'Has pg_cron CALL cost_ledger.run_jobs() every minute, with pg_cron 1.5 or later every 30 seconds, as the owner of the ledger; again keeps the one job. NULL when that is done. Where pg_cron keeps its jobs in another database: the statement to run there. A warning with the settings to change when the last run failed, or when runs will fail: as pg_cron comes, it connects to localhost, which takes a password that it does not have. Without pg_cron an error (55000) whose hint says what to install and set.';

CREATE FUNCTION cost_ledger.unschedule_jobs() RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cron_database text := cost_ledger_internal.cron_database();
    stopped bigint;
BEGIN
    IF cron_database IS NULL THEN
        RAISE NOTICE 'pg_cron is not loaded in this server, so it runs no jobs';
        RETURN NULL;
    END IF;
    IF cron_database IN ('', current_database())
       AND EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_cron') THEN
        SELECT count(cron.unschedule(j.jobid)) INTO stopped FROM cron.job j
            WHERE j.database = current_database() AND j.command = 'CALL cost_ledger.run_jobs()';
        RAISE NOTICE 'jobs stopped: %', stopped;
        RETURN NULL;
    END IF;
    RAISE NOTICE 'pg_cron keeps its jobs in %', coalesce('database "' || nullif(cron_database, '') || '"', 'another database')
        USING HINT = 'Run the returned statement there, as a superuser.';
    RETURN format('SELECT cron.unschedule(jobid) FROM cron.job WHERE database = %L AND command = %L;',
                  current_database(), 'CALL cost_ledger.run_jobs()');
END
$$;

COMMENT ON FUNCTION cost_ledger.unschedule_jobs() IS
    'Undoes schedule_jobs(), of all jobs that this role may see. NULL when that is done. Where pg_cron keeps its jobs in another database: the statement to run there.';

CREATE FUNCTION cost_ledger_internal.unschedule_jobs() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_cron') THEN
        PERFORM cron.unschedule(j.jobid) FROM cron.job j
            WHERE j.database = current_database() AND j.command = 'CALL cost_ledger.run_jobs()';
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'the pg_cron job of the ledger could not be stopped: %', SQLERRM
        USING HINT = 'Stop it as a superuser: SELECT cron.unschedule(jobid) FROM cron.job WHERE command = ''CALL cost_ledger.run_jobs()'';';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.unschedule_jobs() IS
    'Stops the job of this database if pg_cron is in it; a failure is a warning, for it must not keep the ledger from being dropped.';
