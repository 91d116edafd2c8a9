SELECT w.week::timestamp AT TIME ZONE 'UTC' AS week, w.is_complete, w.cost::double precision AS cost, w.change_ratio::double precision AS change_ratio, w.flag
FROM cost_ledger.week_over_week w
WHERE w.label = 'total'
