-- Jobs: when each step of run_jobs() last ran, and how that went.

CREATE TABLE cost_ledger.job (
    name              text PRIMARY KEY,
    last_started_at   timestamptz,
    last_finished_at  timestamptz,
    last_ok_at        timestamptz,
    last_error_at     timestamptz,
    last_error        text,
    runs              bigint NOT NULL DEFAULT 0,
    failures          bigint NOT NULL DEFAULT 0
);

COMMENT ON TABLE cost_ledger.job IS 'The steps of run_jobs(); run_jobs itself is the heartbeat of whatever calls it. Written by run_jobs().';
COMMENT ON COLUMN cost_ledger.job.name IS 'The step.';
COMMENT ON COLUMN cost_ledger.job.last_started_at IS 'When it was last begun.';
COMMENT ON COLUMN cost_ledger.job.last_finished_at IS 'When it last ended, well or not; earlier than last_started_at while it runs, or if it was killed.';
COMMENT ON COLUMN cost_ledger.job.last_ok_at IS 'When it last ended well.';
COMMENT ON COLUMN cost_ledger.job.last_error_at IS 'When it last failed.';
COMMENT ON COLUMN cost_ledger.job.last_error IS 'Why: SQLSTATE and message. Kept after it went well again.';
COMMENT ON COLUMN cost_ledger.job.runs IS 'How often it ended.';
COMMENT ON COLUMN cost_ledger.job.failures IS 'How often it failed.';

-- Here from the first moment, so that jobs which never ran are seen.
INSERT INTO cost_ledger.job (name) VALUES ('run_jobs'), ('refresh'), ('check_budgets'), ('create_partitions');

CREATE VIEW cost_ledger.job_status WITH (security_invoker = true) AS
SELECT j.name,
       j.last_started_at, j.last_finished_at, j.last_ok_at,
       coalesce(j.last_ok_at < now() - interval '5 minutes', true) AS is_stale,
       coalesce(j.last_error_at >= j.last_ok_at, j.last_error_at IS NOT NULL) AS is_failing,
       j.last_error_at, j.last_error,
       j.runs, j.failures
FROM cost_ledger.job j;

COMMENT ON VIEW cost_ledger.job_status IS 'Whether the jobs run. run_jobs is_stale: nothing calls it. Another step is_stale and is_failing: last_error says why.';
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

-- Counts what waits; cheap unless that is much.
CREATE VIEW cost_ledger.rollup_status WITH (security_invoker = true) AS
SELECT u.unconsumed_rows,
       u.oldest_recorded_at,
       extract(epoch FROM now() - u.oldest_recorded_at)::double precision AS lag_seconds,
       s.consumed_at, s.rows_consumed, s.batches,
       l.system_identifier <> (SELECT c.system_identifier FROM pg_control_system() c) AS needs_post_restore,
       coalesce(j.last_error_at >= j.last_ok_at, j.last_error_at IS NOT NULL) AS is_failing,
       j.last_error_at, j.last_error
FROM cost_ledger.rollup_state s
CROSS JOIN cost_ledger.ledger l
CROSS JOIN (SELECT count(*) AS unconsumed_rows, min(c.recorded_at) AS oldest_recorded_at
            FROM cost_ledger.unconsumed_call c) u
LEFT JOIN cost_ledger.job j ON j.name = 'refresh';

COMMENT ON VIEW cost_ledger.rollup_status IS 'How far the rollups are behind the ledger. Reports are right all the same, but read the rows that wait one by one.';
COMMENT ON COLUMN cost_ledger.rollup_status.unconsumed_rows IS 'Rows of call that are not in the rollups yet.';
COMMENT ON COLUMN cost_ledger.rollup_status.oldest_recorded_at IS 'When the oldest of them was recorded; NULL when none waits.';
COMMENT ON COLUMN cost_ledger.rollup_status.lag_seconds IS 'How long ago that was, in seconds; NULL when none waits.';
COMMENT ON COLUMN cost_ledger.rollup_status.consumed_at IS 'When refresh() last brought rows in.';
COMMENT ON COLUMN cost_ledger.rollup_status.rows_consumed IS 'Rows it has brought in since the ledger was made.';
COMMENT ON COLUMN cost_ledger.rollup_status.batches IS 'Transactions in which it did so.';
COMMENT ON COLUMN cost_ledger.rollup_status.needs_post_restore IS 'Whether the ledger was restored into another cluster and waits for post_restore().';
COMMENT ON COLUMN cost_ledger.rollup_status.is_failing IS 'Whether the job''s refresh failed the last time.';
COMMENT ON COLUMN cost_ledger.rollup_status.last_error_at IS 'When it last failed.';
COMMENT ON COLUMN cost_ledger.rollup_status.last_error IS 'Why: SQLSTATE and message. Kept after it went well again.';
