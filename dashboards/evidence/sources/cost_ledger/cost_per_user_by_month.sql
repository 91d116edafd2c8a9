SELECT u.month::timestamp AT TIME ZONE 'UTC' AS month, u.is_complete, u.users::double precision AS users, u.mean_cost::double precision AS mean_cost, u.p95_cost::double precision AS p95_cost
FROM cost_ledger.cost_per_user_by_month u
