-- From a day to the calls: by hour and any label, then users, runs and one run's calls.
--- dashboard cost-ledger-drill-down
-- title: LLM cost: drill-down
-- description: Which hours, users, runs and calls was it? Choose a label to split by, filter, and click from a run to its calls and its trace.
-- from: now-7d

--- labels team feature customer model

--- variable by
-- label: Split by
-- json: {"type": "custom", "query": "team,feature,customer,model,task_type,operation,environment,status,provider,service_class,flow", "current": {"text": "team", "value": "team"}, "options": []}

--- variable run
-- label: Run
-- json: {"type": "textbox", "query": "", "current": {"text": "", "value": ""}}

--- variable trace_base
-- label: Trace link
-- json: {"type": "textbox", "query": "", "current": {"text": "", "value": ""}, "description": "Where calls carry no link to their trace: what a run's id is appended to, as in https://traces.example/run/"}

--- annotation Alerts

--- annotation Changes

--- annotation Prices

--- panel timeseries 24x9
-- title: When?
-- description: Cost by hour, or by as much as a bar is wide, from midnight in the reporting zone, and the chosen label. Hours are kept for ledger.retain_hours: of before there are none. By team, feature, customer and model.
-- money: .
-- json: {"interval": "1h", "fieldConfig": {"defaults": {"custom": {"drawStyle": "bars", "fillOpacity": 70, "stacking": {"mode": "normal", "group": "A"}}}}}
SELECT date_bin('$__interval', h.starts_at, (SELECT min(m.starts_at) FROM cost_ledger.cost_by_label m WHERE m.label = 'total')) AS time, sum(h.cost) AS cost, h.metric
FROM (SELECT c.starts_at, c.cost,
             coalesce(CASE '${by}' WHEN 'team' THEN c.team WHEN 'feature' THEN c.feature WHEN 'customer' THEN c.customer WHEN 'model' THEN c.model WHEN 'task_type' THEN c.task_type
                      WHEN 'operation' THEN c.operation WHEN 'environment' THEN c.environment WHEN 'status' THEN c.status WHEN 'provider' THEN c.provider
                      WHEN 'service_class' THEN c.service_class WHEN 'flow' THEN c.flow END, '(unallocated)') AS metric
      FROM cost_ledger.cost_by_hour c
      WHERE $__timeFilter(c.starts_at) AND [labels c.]) h
GROUP BY 1, h.metric
ORDER BY 1, h.metric

--- panel table 12x10
-- title: Who?
-- description: Cost of the range by the chosen label, with what a call cost, retries, failures and the calls that could not be priced. By team, feature, customer and model.
-- money: ^cost
-- share: ^share$
SELECT v.value, sum(v.calls) AS calls, sum(v.failed_calls) AS failed, sum(v.retries) AS retries, sum(v.unpriced_calls) AS "without a price", sum(v.cost) AS cost,
       sum(v.cost) / nullif(sum(sum(v.cost)) OVER (), 0) AS share, sum(v.cost) / nullif(sum(v.priced_calls), 0) AS "cost per call"
FROM (SELECT c.calls, c.failed_calls, c.retries, c.unpriced_calls, c.priced_calls, c.cost,
             coalesce(CASE '${by}' WHEN 'team' THEN c.team WHEN 'feature' THEN c.feature WHEN 'customer' THEN c.customer WHEN 'model' THEN c.model WHEN 'task_type' THEN c.task_type
                      WHEN 'operation' THEN c.operation WHEN 'environment' THEN c.environment WHEN 'status' THEN c.status WHEN 'provider' THEN c.provider
                      WHEN 'service_class' THEN c.service_class WHEN 'flow' THEN c.flow END, '(unallocated)') AS value
      FROM cost_ledger.cost_by_day c
      WHERE $__timeFilter(c.starts_at) AND [labels c.]) v
GROUP BY v.value
ORDER BY cost DESC NULLS LAST, v.value
LIMIT 200

--- panel table 12x10
-- title: Which users?
-- description: The dear users of the last month in the range. By feature; of a team, customer or model there are none.
-- money: ^cost$
-- share: share$
-- json: {"fieldConfig": {"defaults": {"noValue": "Users are kept by feature, not by team, customer or model."}}}
SELECT s."user", s.calls, s.cost, s.share, s.cumulated AS "with all dearer, share"
FROM (SELECT u.user_id AS "user", u.calls, u.cost, u.cost / nullif(sum(u.cost) OVER (), 0) AS share,
             sum(u.cost) FILTER (WHERE u.user_id <> '(unallocated)') OVER (ORDER BY u.cost DESC NULLS LAST, u.user_id) / nullif(sum(u.cost) OVER (), 0) AS cumulated
      FROM (SELECT max(m.month) AS month FROM cost_ledger.cost_by_label m WHERE m.label = 'total' AND m.starts_at <= $__timeTo()::timestamptz) l
      CROSS JOIN LATERAL (
          SELECT a.user_id, a.calls, a.cost
          FROM cost_ledger.cost_by_user a
          WHERE a.month = l.month AND [no labels]
          UNION ALL
          SELECT f.user_id, sum(f.calls)::bigint, sum(f.cost)
          FROM cost_ledger.cost_by_user_feature f
          WHERE f.month = l.month AND NOT [no labels] AND [no labels but feature] AND f.feature IN ($feature)
          GROUP BY f.user_id) u) s
WHERE s."user" <> '(unallocated)'
ORDER BY s.cost DESC NULLS LAST, s."user"
LIMIT 50

--- panel table 24x10
-- title: Which runs?
-- description: The dear runs that began in the range, each with all the runs that it started. A run leads to its calls below, trace to its trace. By team, feature and customer.
-- money: cost$
-- seconds: ^took$
-- json: {"fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "run"}, "properties": [{"id": "links", "value": [{"title": "Its calls", "url": "/d/cost-ledger-drill-down?var-run=${__data.fields.run:percentencode}&${__url_time_range}"}]}]}, {"matcher": {"id": "byName", "options": "trace"}, "properties": [{"id": "links", "value": [{"title": "Trace", "url": "${__data.fields.trace:raw}", "targetBlank": true}]}]}]}}
SELECT t.root_run_id AS run, t.started_at AS began, t.duration_ms / 1000 AS took, t.team, t.feature, t.customer, t.task_type AS "task type", t.user_id AS "user", t.runs, t.calls, t.retries,
       t.failed_calls AS failed, t.own_cost AS "own cost", t.cost, CASE WHEN t.trace_url ~* '^https?://' THEN t.trace_url ELSE nullif('${trace_base}', '') || t.root_run_id END AS trace
FROM cost_ledger.run_tree t
WHERE $__timeFilter(t.started_at) AND [late labels t. but model]
ORDER BY t.cost DESC NULLS LAST, t.root_run_id
LIMIT 50

--- panel table 24x12
-- title: Which calls of run ${run}?
-- description: The calls of the run in the variable Run, in order, each with its corrections; without a run, those of the range's dearest one. explain_call() says why a call costs what it does.
-- money: ^cost$
-- share: ^share$
-- seconds: ^took$
SELECT d.starts_at AS began, d.value AS call, extract(epoch FROM d.ends_at - d.starts_at) AS took, d.input_tokens AS "input tokens", d.output_tokens AS "output tokens", d.cost, d.share
FROM cost_ledger.drill('call', jsonb_build_object('run_id', replace(coalesce(nullif('${run}', ''),
         (SELECT r.run_id FROM cost_ledger.most_expensive_run r WHERE r.starts_at <= $__timeTo()::timestamptz ORDER BY r.week DESC NULLS LAST, r.rank LIMIT 1), '(no run)'), '*', '\*'))) d
ORDER BY d.starts_at, d.value
LIMIT 1000
