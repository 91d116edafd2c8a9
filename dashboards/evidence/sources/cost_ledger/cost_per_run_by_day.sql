SELECT r.day::timestamp AT TIME ZONE 'UTC' AS day, r.is_complete, r.runs::double precision AS runs, r.mean_cost::double precision AS mean_cost, r.p95_cost::double precision AS p95_cost
FROM cost_ledger.cost_per_run_by_day r
WHERE r.starts_at >= now() - interval '90 days' AND r.runs > 0
