-- title: What does each kind of task cost?
-- description: Mean of the month of a day (to; left out, this one): per whole run, or per call where a call is in none.
-- display: row 12x9
-- settings: {"graph.dimensions": ["task type"], "graph.metrics": ["mean cost of a task"]}
SELECT t.task_type AS "task type", t.mean_cost_per_task AS "mean cost of a task", t.p95_cost_per_task AS "p95 of a task", t.tasks, t.cost
FROM cost_ledger.cost_by_task_type t
WHERE t.month = (SELECT max(m.month) FROM cost_ledger.cost_by_label m WHERE m.label = 'total' [[AND m.month <= {{to}}]])
  [[AND t.task_type IN ({{task_type}})]]
ORDER BY t.mean_cost_per_task DESC NULLS LAST, t.task_type
