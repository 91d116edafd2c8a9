-- title: The ten dearest runs
-- description: Whole runs, sub-agents included, that began in the days asked for (left out, the last seven), with the link to their trace.
-- display: table 24x8
SELECT r.root_run_id AS run, r.started_at AS began, r.team, r.feature, r.customer, r.task_type AS "task type", r.runs, r.calls, r.cost, r.trace_url AS trace
FROM cost_ledger.run_tree r
WHERE r.started_on >= coalesce([[{{from}}::date, ]] current_date - 7) [[AND r.started_on <= {{to}}]]
  [[AND coalesce(r.team, '(unallocated)') IN ({{team}})]]
  [[AND coalesce(r.feature, '(unallocated)') IN ({{feature}})]]
  [[AND coalesce(r.customer, '(unallocated)') IN ({{customer}})]]
ORDER BY r.cost DESC NULLS LAST, r.root_run_id
LIMIT 10
