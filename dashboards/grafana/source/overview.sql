-- The picture that a team looks at every morning: four numbers, four panels, and
-- where to look first when something is wrong.
--- dashboard cost-ledger-overview
-- title: LLM cost: overview
-- description: What a run, a user and a kind of task cost, where it is going, and the runs to look at first. Days, weeks and months are those of the ledger's reporting zone.
-- from: now-60d

--- labels team feature customer model

--- variable trace_base
-- label: Trace link
-- json: {"type": "textbox", "query": "", "current": {"text": "", "value": ""}, "description": "Where calls carry no link to their trace: what a run's id is appended to, as in https://traces.example/run/"}

--- annotation Alerts

--- annotation Changes

--- annotation Prices

--- panel stat 6x4
-- title: Cost per run
-- description: Mean and 95th percentile of whole runs, sub-agents included, that began in the range; without the dearest says what the mean is when that run is left out. By team, feature and customer; a run has no one model.
-- money: .
SELECT sum(r.cost) / nullif(cost_ledger.num_values(cost_ledger.merge(r.run_cost_summary)), 0) AS mean,
       cost_ledger.p95(cost_ledger.merge(r.run_cost_summary)) AS p95,
       (sum(r.cost) - max(r.max_cost)) / nullif(cost_ledger.num_values(cost_ledger.merge(r.run_cost_summary)) - 1, 0) AS "without the dearest"
FROM (SELECT d.cost, d.max_cost, d.run_cost_summary
      FROM cost_ledger.cost_per_run_by_day d
      WHERE $__timeFilter(d.starts_at) AND [no labels but model]
      UNION ALL
      SELECT sum(t.cost), max(t.cost), cost_ledger.summarize(t.cost)
      FROM cost_ledger.run_tree t
      WHERE $__timeFilter(t.started_at) AND NOT [no labels but model] AND [labels t. but model]) r

--- panel stat 6x4
-- title: Cost per user and month
-- description: Of the last month in the range, which may still run: mean and 95th percentile over the users that had a call. By feature; of a team, customer or model there is none.
-- money: .
-- json: {"fieldConfig": {"defaults": {"noValue": "Users are kept by feature, not by team, customer or model."}}}
SELECT u.mean, u.p95
FROM (SELECT m.month, m.mean_cost AS mean, m.p95_cost AS p95
      FROM cost_ledger.cost_per_user_by_month m
      WHERE m.ends_at > $__timeFrom()::timestamptz AND m.starts_at <= $__timeTo()::timestamptz AND [no labels]
      UNION ALL
      SELECT f.month, avg(f.cost), cost_ledger.p95(f.cost)
      FROM (SELECT u.month, u.user_id, sum(u.cost) AS cost
            FROM cost_ledger.cost_by_user_feature u
            WHERE u.ends_at > $__timeFrom()::timestamptz AND u.starts_at <= $__timeTo()::timestamptz AND u.user_id <> '(unallocated)'
              AND NOT [no labels] AND [no labels but feature] AND u.feature IN ($feature)
            GROUP BY u.month, u.user_id) f
      GROUP BY f.month) u
ORDER BY u.month DESC NULLS LAST
LIMIT 1

--- panel stat 6x4
-- title: Month to date
-- description: What this month has cost so far, and what it will have cost when it ends (project_spend), whatever the range. By team, feature, customer and model; of two of these at once there is no forecast.
-- money: .
SELECT sum(m.spent) AS "so far", CASE WHEN count(m.forecast) = count(*) THEN sum(m.forecast) END AS forecast
FROM (SELECT p.spent, p.forecast
      FROM cost_ledger.project_spend() p
      WHERE [no labels]
      UNION ALL
      SELECT p.spent, p.forecast
      FROM (VALUES ('team', [no labels but team], ARRAY[$team]), ('feature', [no labels but feature], ARRAY[$feature]),
                   ('customer', [no labels but customer], ARRAY[$customer]), ('model', [no labels but model], ARRAY[$model])) AS l (label, is_alone, chosen)
      CROSS JOIN LATERAL cost_ledger.project_spend(l.label) p
      WHERE NOT [no labels] AND l.is_alone AND coalesce(p.value, '(unallocated)') = ANY (l.chosen)
      UNION ALL
      SELECT c.cost, NULL
      FROM cost_ledger.cost_by_month c
      WHERE NOT [no labels but team] AND NOT [no labels but feature] AND NOT [no labels but customer] AND NOT [no labels but model]
        AND NOT c.is_complete AND [labels c.]) m

--- panel stat 6x4
-- title: Week over week
-- description: The last whole week against the one before it, whatever the range. By team, feature, customer and model.
-- share: .
-- json: {"fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": "orange", "value": 0.15}, {"color": "red", "value": 0.2}]}}}}
SELECT w.change AS "last week"
FROM (SELECT t.starts_at, t.change_ratio AS change
      FROM cost_ledger.week_over_week t
      WHERE t.label = 'total' AND t.is_complete AND [no labels]
      UNION ALL
      SELECT v.starts_at, CASE WHEN v.previous_cost IS NOT NULL AND v.before > 0 THEN round((v.cost - v.before) / v.before, 6) END
      FROM (SELECT w.starts_at, w.previous_cost, s.cost, lag(s.cost) OVER (ORDER BY w.week) AS before
            FROM cost_ledger.week_over_week w
            LEFT JOIN (SELECT date_trunc('week', c.day::timestamp)::date AS week, sum(c.cost) AS cost
                       FROM cost_ledger.cost_by_day c
                       WHERE c.starts_at >= now() - interval '22 days' AND NOT [no labels] AND [labels c.]
                       GROUP BY 1) c ON c.week = w.week
            CROSS JOIN LATERAL (SELECT CASE WHEN c.week IS NULL THEN 0 ELSE c.cost END AS cost) s
            WHERE w.label = 'total' AND w.is_complete AND w.starts_at >= now() - interval '22 days' AND NOT [no labels]) v) w
ORDER BY w.starts_at DESC NULLS LAST
LIMIT 1

--- panel timeseries 12x9
-- title: What does a run cost?
-- description: Whole runs, sub-agents included, by the day on which they began. The dotted line is where a run wants a review (alert_rule). The axis ends above the dear runs of usual days, so that one runaway does not flatten the rest; the table below has it. By team, feature and customer.
-- money: .
-- json: {"fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "review at"}, "properties": [{"id": "custom.lineStyle", "value": {"fill": "dot", "dash": [2, 6]}}, {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}, {"id": "custom.showPoints", "value": "never"}]}]}}
SELECT r.time, r.mean, r.p95, h.threshold AS "review at"
FROM (SELECT d.starts_at AS time, d.mean_cost AS mean, d.p95_cost AS p95
      FROM cost_ledger.cost_per_run_by_day d
      WHERE $__timeFilter(d.starts_at) AND d.runs > 0 AND [no labels but model]
      UNION ALL
      SELECT c.starts_at, t.mean, t.p95
      FROM (SELECT t.started_on, avg(t.cost) AS mean, cost_ledger.p95(t.cost) AS p95
            FROM cost_ledger.run_tree t
            WHERE $__timeFilter(t.started_at) AND NOT [no labels but model] AND [labels t. but model]
            GROUP BY t.started_on) t
      JOIN cost_ledger.cost_chart_by_day c ON c.label = 'total' AND c.day = t.started_on) r
LEFT JOIN (SELECT min(t.threshold) AS threshold FROM cost_ledger.report_threshold t WHERE t.number = 'cost_per_run' AND t.is_active) h ON true
WHERE r.time >= $__timeFrom()::timestamptz
ORDER BY r.time
--- config
SELECT 1.3 * greatest(cost_ledger.quantile(cost_ledger.summarize(d.p95_cost), 0.95), (SELECT min(t.threshold) FROM cost_ledger.report_threshold t WHERE t.number = 'cost_per_run' AND t.is_active)) AS max
FROM cost_ledger.cost_per_run_by_day d
WHERE $__timeFilter(d.starts_at) AND [no labels but model]
HAVING count(d.p95_cost) > 0

--- panel barchart 12x9
-- title: What does a user cost in a month?
-- description: Mean and 95th percentile over the users that had a call in the month; the last may still run. The third bar is where a dear user wants a review (alert_rule). By feature; of a team, customer or model there is none.
-- money: .
-- json: {"fieldConfig": {"defaults": {"noValue": "Users are kept by feature, not by team, customer or model."}}}
SELECT to_char(u.month, 'YYYY-MM') || CASE WHEN u.is_complete THEN '' ELSE ' so far' END AS month, u.mean, u.p95,
       (SELECT min(t.threshold) FROM cost_ledger.report_threshold t WHERE t.number = 'p95_cost_per_user_month' AND t.is_active) AS "review at"
FROM (SELECT m.month, m.is_complete, m.mean_cost AS mean, m.p95_cost AS p95
      FROM cost_ledger.cost_per_user_by_month m
      WHERE m.ends_at > $__timeFrom()::timestamptz - interval '6 months' AND m.starts_at <= $__timeTo()::timestamptz AND [no labels]
      UNION ALL
      SELECT f.month, f.is_complete, avg(f.cost), cost_ledger.p95(f.cost)
      FROM (SELECT u.month, u.is_complete, u.user_id, sum(u.cost) AS cost
            FROM cost_ledger.cost_by_user_feature u
            WHERE u.ends_at > $__timeFrom()::timestamptz - interval '6 months' AND u.starts_at <= $__timeTo()::timestamptz AND u.user_id <> '(unallocated)'
              AND NOT [no labels] AND [no labels but feature] AND u.feature IN ($feature)
            GROUP BY u.month, u.is_complete, u.user_id) f
      GROUP BY f.month, f.is_complete) u
ORDER BY u.month

--- panel barchart 12x12
-- title: What does each kind of task cost?
-- description: Mean of the last month in the range, per whole run, or per call where the task type has no runs. The axis is logarithmic: a kind of task may cost ten cents, another five dollars. By team, feature, customer and model; a run has no one model, so of a model it is per call.
-- money: .
-- json: {"options": {"orientation": "horizontal", "showValue": "always", "legend": {"showLegend": false}}, "fieldConfig": {"defaults": {"custom": {"scaleDistribution": {"type": "log", "log": 10}}}}}
SELECT t.task_type || CASE WHEN t.mean_cost_per_run IS NOT NULL THEN ', per run' ELSE ', per call' END AS "task type", coalesce(t.mean_cost_per_run, t.mean_cost_per_call) AS mean
FROM (SELECT max(m.month) AS month, max(m.starts_at) AS starts_at, max(m.ends_at) AS ends_at
      FROM cost_ledger.cost_by_label m
      WHERE m.label = 'total' AND m.starts_at <= $__timeTo()::timestamptz) l
CROSS JOIN LATERAL (
    SELECT k.task_type, k.mean_cost_per_run, k.mean_cost_per_call
    FROM cost_ledger.cost_by_task_type k
    WHERE k.month = l.month AND [no labels]
    UNION ALL
    SELECT coalesce(s.task_type, '(unallocated)'), sum(s.cost_of_runs) / nullif(sum(s.runs), 0), sum(s.cost) / nullif(sum(s.priced_calls), 0)
    FROM (SELECT c.task_type, c.cost, c.priced_calls, NULL::numeric AS cost_of_runs, NULL::bigint AS runs
          FROM cost_ledger.cost_by_month c
          WHERE c.month = l.month AND NOT [no labels] AND [labels c.]
          UNION ALL
          SELECT r.task_type, NULL, NULL, sum(r.cost), count(r.cost)
          FROM cost_ledger.run_tree r
          WHERE r.started_at >= l.starts_at AND r.started_at < l.ends_at AND NOT [no labels] AND '' IN ($model) AND [late labels r. but model]
          GROUP BY r.task_type) s
    GROUP BY s.task_type) t
WHERE coalesce(t.mean_cost_per_run, t.mean_cost_per_call) > 0
ORDER BY 2 DESC NULLS LAST
LIMIT 20

--- panel timeseries 12x12
-- title: Where is it going?
-- description: Cost of each whole week against the week before; to be investigated and reviewed above the dotted lines (alert_rule). The running week is left out: it has not ended. By team, feature, customer and model.
-- json: {"fieldConfig": {"defaults": {"unit": "percentunit", "custom": {"drawStyle": "bars", "fillOpacity": 70}}, "overrides": [{"matcher": {"id": "byRegexp", "options": "/ at$/"}, "properties": [{"id": "custom.drawStyle", "value": "line"}, {"id": "custom.fillOpacity", "value": 0}, {"id": "custom.lineStyle", "value": {"fill": "dot", "dash": [2, 6]}}, {"id": "custom.showPoints", "value": "never"}]}, {"matcher": {"id": "byName", "options": "investigate at"}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "orange"}}]}, {"matcher": {"id": "byName", "options": "review at"}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}]}]}}
SELECT w.time, w.change, h.investigate AS "investigate at", h.review AS "review at"
FROM (SELECT t.starts_at AS time, t.change_ratio AS change
      FROM cost_ledger.week_over_week t
      WHERE t.label = 'total' AND t.is_complete AND [no labels]
      UNION ALL
      SELECT v.starts_at, CASE WHEN v.previous_cost IS NOT NULL AND v.before > 0 THEN round((v.cost - v.before) / v.before, 6) END
      FROM (SELECT w.starts_at, w.previous_cost, s.cost, lag(s.cost) OVER (ORDER BY w.week) AS before
            FROM cost_ledger.week_over_week w
            LEFT JOIN (SELECT date_trunc('week', c.day::timestamp)::date AS week, sum(c.cost) AS cost
                       FROM cost_ledger.cost_by_day c
                       WHERE c.starts_at >= $__timeFrom()::timestamptz - interval '15 days' AND c.starts_at <= $__timeTo()::timestamptz AND NOT [no labels] AND [labels c.]
                       GROUP BY 1) c ON c.week = w.week
            CROSS JOIN LATERAL (SELECT CASE WHEN c.week IS NULL THEN 0 ELSE c.cost END AS cost) s
            WHERE w.label = 'total' AND w.is_complete AND w.starts_at >= $__timeFrom()::timestamptz - interval '7 days' AND w.starts_at <= $__timeTo()::timestamptz AND NOT [no labels]) v) w
LEFT JOIN (SELECT min(t.threshold) AS investigate, max(t.threshold) AS review FROM cost_ledger.report_threshold t WHERE t.number = 'week_over_week' AND t.is_active) h ON true
WHERE $__timeFilter(w.time)
ORDER BY w.time

--- panel table 24x10
-- title: The ten dearest runs of the week
-- description: Whole runs that began in the last week of the range, sub-agents included; the drill-down has those of the range. A run leads to its calls, trace to its trace: the link that its calls carry, or the variable Trace link with the run's id. By team, feature and customer.
-- money: ^cost$
-- json: {"fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "run"}, "properties": [{"id": "links", "value": [{"title": "Its calls", "url": "/d/cost-ledger-drill-down?var-run=${__data.fields.run:percentencode}&${__url_time_range}"}]}]}, {"matcher": {"id": "byName", "options": "trace"}, "properties": [{"id": "links", "value": [{"title": "Trace", "url": "${__data.fields.trace:raw}", "targetBlank": true}]}]}, {"matcher": {"id": "byName", "options": "cost"}, "properties": [{"id": "custom.cellOptions", "value": {"type": "gauge", "mode": "basic"}}, {"id": "min", "value": 0}]}]}}
SELECT t.root_run_id AS run, t.started_at AS began, t.team, t.feature, t.customer, t.task_type AS "task type", t.runs, t.calls, t.cost,
       CASE WHEN t.trace_url ~* '^https?://' THEN t.trace_url ELSE nullif('${trace_base}', '') || t.root_run_id END AS trace
FROM cost_ledger.run_tree t
WHERE t.started_at >= (SELECT max(w.starts_at) FROM cost_ledger.week_over_week w WHERE w.label = 'total' AND w.starts_at <= $__timeTo()::timestamptz)
  AND t.started_at <= $__timeTo()::timestamptz AND [late labels t. but model]
ORDER BY t.cost DESC NULLS LAST, t.root_run_id
LIMIT 10

--- panel timeseries 12x9
-- title: What is it spent on?
-- description: Cost by day and model. By team, feature, customer and model. A model leads to its calls.
-- money: .
-- json: {"fieldConfig": {"defaults": {"custom": {"drawStyle": "bars", "fillOpacity": 70, "stacking": {"mode": "normal", "group": "A"}}, "links": [{"title": "By hour", "url": "/d/cost-ledger-drill-down?var-model=${__field.name:percentencode}&${__url_time_range}"}]}}}
SELECT c.starts_at AS time, sum(c.cost) AS cost, coalesce(c.model, '(unallocated)') AS metric
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]
GROUP BY c.starts_at, c.model
ORDER BY c.starts_at, metric

--- panel table 12x9
-- title: Who pays?
-- description: Cost of the range by team, its share, and the calls that could not be priced. By team, feature, customer and model.
-- money: ^cost
-- share: ^share$
-- json: {"fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "team"}, "properties": [{"id": "links", "value": [{"title": "By hour", "url": "/d/cost-ledger-drill-down?var-team=${__data.fields.team:percentencode}&${__url_time_range}"}]}]}]}}
SELECT coalesce(c.team, '(unallocated)') AS team, sum(c.calls) AS calls, sum(c.unpriced_calls) AS "without a price", sum(c.cost) AS cost,
       sum(c.cost) / nullif(sum(sum(c.cost)) OVER (), 0) AS share, sum(c.cost) / nullif(sum(c.priced_calls), 0) AS "cost per call"
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]
GROUP BY c.team
ORDER BY cost DESC NULLS LAST, team
LIMIT 100
