SELECT t.month::timestamp AT TIME ZONE 'UTC' AS month, t.task_type, t.tasks::double precision AS tasks, t.mean_cost_per_task::double precision AS mean_cost_per_task, t.cost::double precision AS cost
FROM cost_ledger.cost_by_task_type t
