-- title: What does a run cost?
-- description: Mean and 95th percentile of whole runs, sub-agents included, by the day on which they began.
-- display: line 12x7
-- settings: {"graph.dimensions": ["day"], "graph.metrics": ["mean", "p95"]}
SELECT r.started_on AS day, avg(r.cost) AS mean, cost_ledger.p95(r.cost) AS p95, count(*) AS runs
FROM cost_ledger.run_tree r
WHERE true [[AND r.started_on >= {{from}}]] [[AND r.started_on <= {{to}}]]
  [[AND coalesce(r.team, '(unallocated)') IN ({{team}})]]
  [[AND coalesce(r.feature, '(unallocated)') IN ({{feature}})]]
  [[AND coalesce(r.customer, '(unallocated)') IN ({{customer}})]]
GROUP BY r.started_on
ORDER BY r.started_on
