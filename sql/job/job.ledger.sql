-- Jobs: when each step of run_jobs() last ran, and how that went.

CREATE TABLE cost_ledger_internal.job (
    name              text PRIMARY KEY,
    last_started_at   timestamptz,
    last_finished_at  timestamptz,
    last_ok_at        timestamptz,
    last_error_at     timestamptz,
    last_error        text,
    runs              bigint NOT NULL DEFAULT 0,
    failures          bigint NOT NULL DEFAULT 0,
    skipped           bigint NOT NULL DEFAULT 0,
    last_skipped_at   timestamptz,
    last_skip_reason  text,
    time_limit        interval DEFAULT '10 minutes' CHECK (time_limit BETWEEN '1 second' AND '20 days')
);

COMMENT ON TABLE cost_ledger_internal.job IS 'The steps of run_jobs(); run_jobs itself is the heartbeat of whatever calls it. Written by run_jobs(), but for time_limit: set_job_time_limit().';
COMMENT ON COLUMN cost_ledger_internal.job.name IS 'The step.';
COMMENT ON COLUMN cost_ledger_internal.job.last_started_at IS 'When it was last begun.';
COMMENT ON COLUMN cost_ledger_internal.job.last_finished_at IS 'When it last ended, well or not; earlier than last_started_at while it runs, or if it was killed.';
COMMENT ON COLUMN cost_ledger_internal.job.last_ok_at IS 'When it last ended well.';
COMMENT ON COLUMN cost_ledger_internal.job.last_error_at IS 'When it last failed.';
COMMENT ON COLUMN cost_ledger_internal.job.last_error IS 'Why: SQLSTATE and message. Kept after it went well again.';
COMMENT ON COLUMN cost_ledger_internal.job.runs IS 'How often it ended.';
COMMENT ON COLUMN cost_ledger_internal.job.failures IS 'How often it failed.';
COMMENT ON COLUMN cost_ledger_internal.job.skipped IS 'How often it was left out, because another session was at work.';
COMMENT ON COLUMN cost_ledger_internal.job.last_skipped_at IS 'When that was last.';
COMMENT ON COLUMN cost_ledger_internal.job.last_skip_reason IS 'Why: who had the lock then.';
COMMENT ON COLUMN cost_ledger_internal.job.time_limit IS 'After how long it is canceled and undone, and the next step begins; of refresh, each batch. NULL: never.';

-- Here from the first moment, so that jobs which never ran are seen.
INSERT INTO cost_ledger_internal.job (name) VALUES ('run_jobs'), ('refresh'), ('summarize_pages'), ('prune_alerts'), ('check_budgets'), ('check_rules'), ('notify_alerts'), ('create_partitions'), ('drain_default'), ('prune_event_keys'), ('prune_holds');

CREATE VIEW cost_ledger.job_status WITH (security_barrier = true) AS
SELECT j.name,
       j.last_started_at, j.last_finished_at, j.last_ok_at,
       coalesce(j.last_ok_at < now() - interval '5 minutes', true) AS is_stale,
       coalesce(j.last_error_at >= j.last_ok_at, j.last_error_at IS NOT NULL) AS is_failing,
       j.last_error_at, j.last_error,
       j.runs, j.failures,
       j.skipped, j.last_skipped_at, j.last_skip_reason,
       extract(epoch FROM j.time_limit)::double precision AS time_limit_seconds,
       j.name AS row_key
FROM cost_ledger_internal.job j;

COMMENT ON VIEW cost_ledger.job_status IS 'Whether the jobs run. run_jobs is_stale: nothing calls it. Another step is_stale and is_failing: last_error says why. Stale with a last_skipped_at of just now: another session keeps the jobs from running, last_skip_reason says which.';
COMMENT ON COLUMN cost_ledger.job_status.name IS 'The step; run_jobs is the heartbeat.';
COMMENT ON COLUMN cost_ledger.job_status.last_started_at IS 'When it was last begun.';
COMMENT ON COLUMN cost_ledger.job_status.last_finished_at IS 'When it last ended, well or not; earlier than last_started_at while it runs, or if it was killed.';
COMMENT ON COLUMN cost_ledger.job_status.last_ok_at IS 'When it last ended well.';
COMMENT ON COLUMN cost_ledger.job_status.is_stale IS 'Whether it has not ended well for 5 minutes, or never.';
COMMENT ON COLUMN cost_ledger.job_status.is_failing IS 'Whether it failed the last time.';
COMMENT ON COLUMN cost_ledger.job_status.last_error_at IS 'When it last failed.';
COMMENT ON COLUMN cost_ledger.job_status.last_error IS 'Why: SQLSTATE and message. Kept after it went well again.';
COMMENT ON COLUMN cost_ledger.job_status.runs IS 'How often it ended.';
COMMENT ON COLUMN cost_ledger.job_status.failures IS 'How often it failed.';
COMMENT ON COLUMN cost_ledger.job_status.skipped IS 'How often it was left out, because another session was at work; now and then that is no fault.';
COMMENT ON COLUMN cost_ledger.job_status.last_skipped_at IS 'When that was last.';
COMMENT ON COLUMN cost_ledger.job_status.last_skip_reason IS 'Why: who had the lock then.';
COMMENT ON COLUMN cost_ledger.job_status.time_limit_seconds IS 'After how many seconds a step is canceled and undone, and the next one begins; of refresh, each batch. NULL: never. See set_job_time_limit().';

-- Counts what waits; cheap unless that is much.
CREATE VIEW cost_ledger.rollup_status WITH (security_barrier = true) AS
SELECT u.unconsumed_rows,
       u.oldest_recorded_at,
       extract(epoch FROM now() - u.oldest_recorded_at)::double precision AS lag_seconds,
       s.consumed_at, s.rows_consumed, s.batches,
       cost_ledger_internal.is_foreign() AS needs_post_restore,
       coalesce(j.last_error_at >= j.last_ok_at, j.last_error_at IS NOT NULL) AS is_failing,
       j.last_error_at, j.last_error,
       (SELECT count(*) FROM cost_ledger_internal.quarantine) AS quarantined_calls,
       'rollups'::text AS row_key
FROM cost_ledger_internal.rollup_state s
CROSS JOIN (SELECT count(*) AS unconsumed_rows, min(c.recorded_at) AS oldest_recorded_at
            FROM cost_ledger_internal.unconsumed_call c) u
LEFT JOIN cost_ledger_internal.job j ON j.name = 'refresh';

COMMENT ON VIEW cost_ledger.rollup_status IS 'How far the rollups are behind the ledger. Reports are right all the same, but read the rows that wait one by one.';
COMMENT ON COLUMN cost_ledger.rollup_status.unconsumed_rows IS 'Rows of call that are not in the rollups yet.';
COMMENT ON COLUMN cost_ledger.rollup_status.oldest_recorded_at IS 'When the oldest of them was recorded; NULL when none waits.';
COMMENT ON COLUMN cost_ledger.rollup_status.lag_seconds IS 'How long ago that was, in seconds; NULL when none waits.';
COMMENT ON COLUMN cost_ledger.rollup_status.consumed_at IS 'When refresh() last brought rows in.';
COMMENT ON COLUMN cost_ledger.rollup_status.rows_consumed IS 'Rows it has brought in since the ledger was made.';
COMMENT ON COLUMN cost_ledger.rollup_status.batches IS 'Transactions in which it did so.';
COMMENT ON COLUMN cost_ledger.rollup_status.needs_post_restore IS 'Whether the ledger was restored and waits for post_restore().';
COMMENT ON COLUMN cost_ledger.rollup_status.is_failing IS 'Whether the job''s refresh failed the last time.';
COMMENT ON COLUMN cost_ledger.rollup_status.last_error_at IS 'When it last failed.';
COMMENT ON COLUMN cost_ledger.rollup_status.last_error IS 'Why: SQLSTATE and message. Kept after it went well again.';
COMMENT ON COLUMN cost_ledger.rollup_status.quarantined_calls IS 'Calls that no sum could take in, and that reports and budgets leave out: quarantined_call.';

-- What the rules of alert_rule compare: subject, value, and a detail as JSON.
CREATE VIEW cost_ledger_internal.signal_stale_job AS
SELECT j.name AS subject,
       -- The run that asks this is not over; the one before may be long ago,
       -- when the server was down or this one has much to do.
       round(extract(epoch FROM now() - greatest(coalesce(j.last_ok_at, l.created_at),
                                                 -- Messages are sent after what asks this.
                                                 CASE WHEN j.name = 'notify_alerts' THEN (SELECT r.last_started_at FROM cost_ledger_internal.job r
                                                                                          WHERE r.name = 'run_jobs' AND r.last_started_at > coalesce(r.last_finished_at, '-infinity')
                                                                                            AND coalesce(j.last_error_at, '-infinity') <= coalesce(j.last_ok_at, '-infinity'))
                                                      WHEN j.name IN ('run_jobs', 'check_rules') AND j.last_started_at > coalesce(j.last_finished_at, '-infinity')
                                                      THEN j.last_started_at END)), 0) AS value,
       jsonb_build_object('job', j.name, 'last_error', j.last_error)::text AS detail
FROM cost_ledger_internal.job j
CROSS JOIN cost_ledger.ledger l;

COMMENT ON VIEW cost_ledger_internal.signal_stale_job IS 'How long ago each job ended well, for alert_rule. When nothing calls the jobs, nothing evaluates this either: a listener that has heard nothing for long asks job_status.';
COMMENT ON COLUMN cost_ledger_internal.signal_stale_job.subject IS 'The job.';
COMMENT ON COLUMN cost_ledger_internal.signal_stale_job.value IS 'Seconds since it last ended well, or since the ledger was made; of the run that asks, since it began: how long there was none before is in signal_job_outage.';
COMMENT ON COLUMN cost_ledger_internal.signal_stale_job.detail IS 'The job and its last error, as JSON.';

-- Afterwards everything looks well again: this is what is left of it.
CREATE VIEW cost_ledger_internal.signal_job_outage AS
SELECT j.name AS subject,
       CASE WHEN j.last_started_at > coalesce(j.last_finished_at, '-infinity')
            THEN round(extract(epoch FROM j.last_started_at - j.last_ok_at), 0)
            ELSE 0 END AS value,
       jsonb_build_object('job', j.name, 'last_ok_at', j.last_ok_at, 'started_at', j.last_started_at)::text AS detail
FROM cost_ledger_internal.job j
WHERE j.name = 'run_jobs';

COMMENT ON VIEW cost_ledger_internal.signal_job_outage IS 'How long the jobs were away before the run at work, for alert_rule: the first run after a time without any, or with none that came to its end, says so.';
COMMENT ON COLUMN cost_ledger_internal.signal_job_outage.subject IS 'run_jobs.';
COMMENT ON COLUMN cost_ledger_internal.signal_job_outage.value IS 'Seconds from the end of the last run that ended well to the beginning of this one; 0 when none is at work, NULL before the first has ended.';
COMMENT ON COLUMN cost_ledger_internal.signal_job_outage.detail IS 'The job, and from when to when, as JSON.';

CREATE VIEW cost_ledger_internal.signal_rollup_lag AS
SELECT 'rollups'::text AS subject,
       round(coalesce(s.lag_seconds, 0)::numeric, 0) AS value,
       jsonb_build_object('unconsumed_rows', s.unconsumed_rows, 'last_error', s.last_error)::text AS detail
FROM cost_ledger.rollup_status s;

COMMENT ON VIEW cost_ledger_internal.signal_rollup_lag IS 'How far the rollups are behind the ledger, for alert_rule.';
COMMENT ON COLUMN cost_ledger_internal.signal_rollup_lag.subject IS 'rollups.';
COMMENT ON COLUMN cost_ledger_internal.signal_rollup_lag.value IS 'Seconds since the oldest row that is not in them was recorded; 0 when none waits.';
COMMENT ON COLUMN cost_ledger_internal.signal_rollup_lag.detail IS 'How many rows wait, and the last error of refresh(), as JSON.';

CREATE VIEW cost_ledger_internal.signal_needs_post_restore AS
SELECT 'ledger'::text AS subject,
       cost_ledger_internal.is_foreign()::integer::numeric AS value,
       NULL::text AS detail;

COMMENT ON VIEW cost_ledger_internal.signal_needs_post_restore IS 'Whether the ledger was restored and waits for post_restore(), for alert_rule.';
COMMENT ON COLUMN cost_ledger_internal.signal_needs_post_restore.subject IS 'ledger.';
COMMENT ON COLUMN cost_ledger_internal.signal_needs_post_restore.value IS '1 if it does, else 0.';
COMMENT ON COLUMN cost_ledger_internal.signal_needs_post_restore.detail IS 'NULL.';

CREATE VIEW cost_ledger_internal.signal_default_partition AS
SELECT 'call_default'::text AS subject,
       coalesce(sum(w.rows), 0) AS value,
       jsonb_build_object('first_called_at', min(w.first_called_at), 'last_called_at', max(w.last_called_at))::text AS detail
FROM cost_ledger.waiting_call_by_month w;

COMMENT ON VIEW cost_ledger_internal.signal_default_partition IS 'How many calls wait in the default partition, for alert_rule.';
COMMENT ON COLUMN cost_ledger_internal.signal_default_partition.subject IS 'call_default.';
COMMENT ON COLUMN cost_ledger_internal.signal_default_partition.value IS 'Rows in it.';
COMMENT ON COLUMN cost_ledger_internal.signal_default_partition.detail IS 'Times of its first and last call, as JSON.';
