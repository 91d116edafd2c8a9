-- What is left, what will be left, who was told, and who was refused.
--- dashboard cost-ledger-budgets
-- title: LLM cost: budgets
-- description: Limits, what has been spent and is held of them, where they will end, what was refused, and the alerts that nobody has acknowledged. Budgets are of their own period, whatever the range.
-- from: now-30d

--- labels team feature customer model

--- annotation Alerts
-- color: red
SELECT a.created_at AS time, a.resolved_at AS timeend, a.level || ': ' || coalesce(b.name || coalesce(' ' || nullif(a.entity, ''), ''), a.subject, a.kind) AS text, concat_ws(',', 'alert', a.severity) AS tags
FROM cost_ledger.alert a
LEFT JOIN cost_ledger.budget b ON b.budget_id = a.budget_id
WHERE $__timeFilter(a.created_at) AND [concerns a.scope]
ORDER BY a.created_at DESC NULLS LAST
LIMIT 200

--- annotation Limits
-- color: purple
SELECT v.valid_from AS time, 'limit of ' || b.name || ' is ' || v.limit_amount || coalesce(': ' || v.reason, '') AS text, 'limit' AS tags
FROM cost_ledger.budget_version v
JOIN cost_ledger.budget b ON b.budget_id = v.budget_id
WHERE $__timeFilter(v.valid_from) AND [concerns b.scope]
ORDER BY v.valid_from DESC NULLS LAST
LIMIT 200

--- annotation Changes

--- annotation Prices

--- panel stat 6x4
-- title: Budgets
-- description: Active budgets and their entities in the running period; above their limit; and those that will be if the forecast holds. By team, feature, customer and model: those whose scope lets such calls pass.
SELECT count(*) AS all, count(*) FILTER (WHERE b.used_ratio >= 1) AS "used up", count(*) FILTER (WHERE b.used_ratio < 1 AND b.forecast > b.limit_amount) AS "will not last"
FROM cost_ledger.budget_status b
WHERE [concerns entity b]

--- panel stat 6x4
-- title: Alerts
-- description: Alerts of budgets and rules that nobody has acknowledged, and of these the pages. By team, feature, customer and model: those that concern such calls.
-- json: {"fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": "orange", "value": 1}]}}}}
SELECT count(*) AS waiting, count(*) FILTER (WHERE u.severity = 'page') AS pages
FROM cost_ledger.unacknowledged_alert u
WHERE [concerns u.scope::jsonb]

--- panel stat 6x4
-- title: Refused
-- description: How often reserve() said stop in the running periods, and what had been asked for. By team, feature, customer and model: of budgets whose scope lets such calls pass.
-- money: ^asked$
SELECT coalesce(sum(r.refusals), 0) AS refusals, sum(r.asked) FILTER (WHERE r.metric = 'cost') AS asked
FROM cost_ledger.budget_refusal r
WHERE NOT r.is_complete AND [concerns entity r]

--- panel stat 6x4
-- title: Held
-- description: What is reserved for calls that have not come yet. By team, feature, customer and model.
-- money: ^held$
SELECT count(*) AS holds, sum(h.estimate) AS held
FROM cost_ledger.open_hold h
CROSS JOIN LATERAL jsonb_to_record(h.labels::jsonb) AS l (team text, feature text, customer text, model text)
WHERE [labels l.]

--- panel timeseries 24x9
-- title: What was spent each day
-- description: Cost by day, with what was changed (annotation), alerts, limits and prices as annotations. By team, feature, customer and model.
-- money: .
-- json: {"fieldConfig": {"defaults": {"custom": {"drawStyle": "bars", "fillOpacity": 70}}}}
SELECT c.starts_at AS time, sum(c.cost) AS cost
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]
GROUP BY c.starts_at
ORDER BY c.starts_at

--- panel bargauge 8x12
-- title: How much is used
-- description: What is spent and held of each limit; the twenty that are used most. By team, feature, customer and model: those whose scope lets such calls pass.
-- json: {"fieldConfig": {"defaults": {"unit": "percentunit", "max": 1.2, "color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "orange", "value": 0.8}, {"color": "red", "value": 1}]}}}}
SELECT b.name || coalesce(' ' || nullif(b.entity, ''), '') || ' (' || b.period || ' ' || b.budget_id || ')' AS budget, max(b.used_ratio) AS used
FROM cost_ledger.budget_status b
WHERE [concerns entity b]
GROUP BY 1
ORDER BY used DESC NULLS LAST, budget
LIMIT 20

--- panel table 16x12
-- title: Budgets and forecasts
-- description: Each active budget and entity in its running period: limit, spent, held and left, where it will end with the band in which 8 of 10 fall, and in how many days it is used up. Budgets of tokens and calls count those. By team, feature, customer and model: those whose scope lets such calls pass.
-- share: ^used$
-- json: {"fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "used"}, "properties": [{"id": "custom.cellOptions", "value": {"type": "gauge", "mode": "basic"}}, {"id": "min", "value": 0}, {"id": "max", "value": 1}, {"id": "thresholds", "value": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "orange", "value": 0.8}, {"color": "red", "value": 1}]}}]}]}}
SELECT b.name AS budget, b.entity, b.period, b.metric, coalesce(b.currency, b.metric) AS unit, b.limit_amount AS "limit", b.spent, b.held, b.remaining AS left, b.used_ratio AS used, b.level,
       b.forecast, b.forecast_low AS "forecast, low", b.forecast_high AS "forecast, high", b.days_left AS "days left", b.ends_at AS ends, b.unpriced_calls AS "without a price"
FROM cost_ledger.budget_status b
WHERE [concerns entity b]
ORDER BY b.used_ratio DESC NULLS LAST, b.name, b.entity
LIMIT 200

--- panel table 12x10
-- title: Alerts that wait for somebody
-- description: SELECT cost_ledger.acknowledge(alert_id) takes one off the list. By team, feature, customer and model: those that concern such calls.
SELECT u.created_at AS raised, u.severity, u.level, coalesce(u.budget, u.rule) AS "of", coalesce(nullif(u.entity, ''), u.subject) AS subject, u.message, u.alert_id
FROM cost_ledger.unacknowledged_alert u
WHERE [concerns u.scope::jsonb]
ORDER BY u.created_at DESC NULLS LAST, u.alert_id
LIMIT 200

--- panel table 12x10
-- title: What was refused
-- description: Refusals of reserve() by budget, entity and period. By team, feature, customer and model: of budgets whose scope lets such calls pass.
SELECT r.name AS budget, r.entity, r.period, r.starts_at AS began, r.refusals, r.asked, r.metric, r.first_refused_at AS first, r.last_refused_at AS last
FROM cost_ledger.budget_refusal r
WHERE (r.ends_at IS NULL OR r.ends_at > $__timeFrom()::timestamptz) AND [concerns entity r]
ORDER BY r.last_refused_at DESC NULLS LAST, r.name, r.entity
LIMIT 200
