-- The ledger itself: whether its jobs run, how far the rollups are, and what it could
-- not price.  For a reader of all; who reads some calls sees none of this.
--- dashboard cost-ledger-operations
-- title: LLM cost: the ledger itself
-- description: Jobs, rollups, problems, calls without a price, and what providers say. Needs a role that was granted reader: of team and customer readers it is not.
-- from: now-7d

--- panel stat 6x4
-- title: Rollups
-- description: For how long the oldest call waits for refresh(), and how many wait. Reports are of this instant all the same.
-- seconds: ^behind$
-- json: {"fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": "orange", "value": 900}]}}}}
SELECT coalesce(s.lag_seconds, 0) AS behind, s.unconsumed_rows AS waiting
FROM cost_ledger.rollup_status s

--- panel stat 6x4
-- title: Jobs
-- description: Steps of run_jobs() that fail, or have not run for longer than they should.
-- json: {"fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": "red", "value": 1}]}}}}
SELECT count(*) FILTER (WHERE j.is_failing) AS failing, count(*) FILTER (WHERE j.is_stale) AS late
FROM cost_ledger.job_status j

--- panel stat 6x4
-- title: Problems
-- description: What the ledger finds wrong with itself, and rows that were set aside because no sum can take them.
-- json: {"fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": "red", "value": 1}]}}}}
SELECT (SELECT count(*) FROM cost_ledger.ledger_problem) AS problems, s.quarantined_calls AS "set aside"
FROM cost_ledger.rollup_status s

--- panel stat 6x4
-- title: Without a price
-- description: Calls of the range that have no full price: what they cost is in no sum.
-- json: {"fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": "orange", "value": 1}]}}}}
SELECT coalesce(sum(c.unpriced_calls), 0) AS calls
FROM cost_ledger.cost_chart_by_hour c
WHERE $__timeFilter(c.starts_at)

--- panel timeseries 24x8
-- title: What came in
-- description: Calls by hour, and of these the failed and the unpriced.
SELECT c.starts_at AS time, c.calls, c.failed_calls AS failed, c.unpriced_calls AS "without a price"
FROM cost_ledger.cost_chart_by_hour c
WHERE $__timeFilter(c.starts_at)
ORDER BY c.starts_at

--- panel table 24x8
-- title: Jobs
-- description: Each step of run_jobs(), how it went, and why it was left out or failed.
SELECT j.name AS job, j.is_failing AS failing, j.is_stale AS late, j.last_ok_at AS "last went well", j.last_started_at AS "last began", j.runs, j.failures, j.skipped,
       j.last_skip_reason AS "left out because", j.last_error_at AS "last failed", j.last_error AS "because"
FROM cost_ledger.job_status j
ORDER BY j.is_failing DESC NULLS LAST, j.is_stale DESC NULLS LAST, j.name

--- panel table 12x8
-- title: What is wrong
-- description: Problems of the ledger, each with what to do.
SELECT p.problem, p.subject, p.detail, p.hint
FROM cost_ledger.ledger_problem p
ORDER BY p.problem, p.subject

--- panel table 12x8
-- title: Which models have no price?
-- description: Calls of the range without a full price, by model, with the statement that mends it: set_price(), then rerate().
SELECT c.provider, c.model, c.service_class AS "service class", sum(c.unpriced_calls) AS calls, max(c.starts_at) AS last
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at)
GROUP BY c.provider, c.model, c.service_class
HAVING sum(c.unpriced_calls) > 0
ORDER BY calls DESC NULLS LAST, c.provider, c.model
LIMIT 200

--- panel table 12x8
-- title: Quarantine
-- description: Rows that no sum can take, set aside until somebody mends them: release_quarantine().
SELECT q.quarantined_at AS "set aside", q.sqlstate, q.message, q.called_at AS called, q.provider, q.model, q.team
FROM cost_ledger.quarantined_call q
ORDER BY q.quarantined_at DESC NULLS LAST, q.call_id
LIMIT 200

--- panel table 12x8
-- title: Months of calls
-- description: Partitions, their sizes, and whether retention drops them next.
-- json: {"fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "size"}, "properties": [{"id": "unit", "value": "bytes"}]}]}}
SELECT p.partition, p.starts_at AS begins, p.estimated_rows AS "rows, about", p.bytes AS size, p.is_expired AS expired, p.checked_at AS proved, p.problem
FROM cost_ledger.partition_status p
ORDER BY p.starts_at DESC NULLS LAST, p.partition
LIMIT 200
