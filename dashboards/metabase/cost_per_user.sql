-- title: What does a user cost in a month?
-- description: Mean and 95th percentile over the users that had a call in the month, of one feature or in all; the last month may still run.
-- display: bar 12x7
-- settings: {"graph.dimensions": ["month"], "graph.metrics": ["mean", "p95"]}
SELECT u.month, avg(u.cost) AS mean, cost_ledger.p95(u.cost) AS p95, count(*) AS users
FROM (SELECT f.month, f.user_id, sum(f.cost) AS cost
      FROM cost_ledger.cost_by_user_feature f
      WHERE f.user_id <> '(unallocated)' [[AND f.month >= date_trunc('month', {{from}}::timestamp)::date]] [[AND f.month <= {{to}}]]
        [[AND f.feature IN ({{feature}})]]
      GROUP BY f.month, f.user_id) u
GROUP BY u.month
ORDER BY u.month
