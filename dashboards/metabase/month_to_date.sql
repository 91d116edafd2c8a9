-- title: Month to date
-- description: What this month has cost so far and what it will have cost when it ends, in all or by what a label says (team, feature, customer, flow, task_type, environment, provider, model, service_class or operation).
-- display: table 12x4
SELECT p.value AS value, p.spent AS "so far", p.forecast, p.forecast_low AS "forecast, low", p.forecast_high AS "forecast, high"
FROM cost_ledger.project_spend([[{{label}}]]) p
ORDER BY p.spent DESC NULLS LAST, value
