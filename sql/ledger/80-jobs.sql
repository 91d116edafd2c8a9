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
INSERT INTO cost_ledger.job (name) VALUES ('run_jobs'), ('check_budgets'), ('create_partitions');

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
