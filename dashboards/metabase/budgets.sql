-- title: Budgets and forecasts
-- description: Each active budget and entity in its running period, whatever the days: limit, spent, held and left, and where it will end.
-- display: table 24x8
SELECT b.name AS budget, b.entity, b.period, coalesce(b.currency, b.metric) AS unit, b.limit_amount AS "limit", b.spent, b.held, b.remaining AS "left", b.used_ratio AS used, b.level,
       b.forecast, b.days_left AS "days left", b.ends_at AS ends
FROM cost_ledger.budget_status b
WHERE true [[AND b.name IN ({{budget}})]]
ORDER BY b.used_ratio DESC NULLS LAST, b.name, b.entity
LIMIT 200
