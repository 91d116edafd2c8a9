-- title: Alerts that wait for somebody
-- description: What budgets and rules have raised and nobody has acknowledged, whatever the days.
-- display: table 12x7
SELECT u.created_at AS raised, u.severity, u.level, coalesce(u.budget, u.rule) AS "of", coalesce(nullif(u.entity, ''), u.subject) AS subject, u.message
FROM cost_ledger.unacknowledged_alert u
WHERE true [[AND u.severity IN ({{severity}})]]
ORDER BY u.created_at DESC NULLS LAST, u.alert_id
LIMIT 200
