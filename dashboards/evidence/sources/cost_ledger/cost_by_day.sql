SELECT c.day::timestamp AT TIME ZONE 'UTC' AS day, c.is_complete, coalesce(c.team, '(unallocated)') AS team, coalesce(c.feature, '(unallocated)') AS feature, c.model,
       sum(c.calls)::double precision AS calls, sum(c.unpriced_calls)::double precision AS unpriced_calls, sum(c.cost)::double precision AS cost
FROM cost_ledger.cost_by_day c
WHERE c.starts_at >= now() - interval '90 days'
GROUP BY 1, 2, 3, 4, 5
