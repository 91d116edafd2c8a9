SELECT r.week::timestamp AT TIME ZONE 'UTC' AS week, r.rank::double precision AS rank, r.run_id, r.trace_url, r.team, r.task_type, r.calls::double precision AS calls, r.cost::double precision AS cost
FROM cost_ledger.most_expensive_run r
