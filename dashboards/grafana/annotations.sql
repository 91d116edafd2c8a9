-- Annotations that several dashboards have: a source names them, without a query.
--- annotation Alerts
-- color: red
SELECT a.created_at AS time, a.resolved_at AS timeend, a.level || ': ' || coalesce(nullif(a.entity, ''), a.subject, a.kind) AS text, concat_ws(',', 'alert', a.severity) AS tags
FROM cost_ledger.alert a
WHERE $__timeFilter(a.created_at) AND [concerns a.scope]
ORDER BY a.created_at DESC NULLS LAST
LIMIT 200

--- annotation Changes
-- color: green
SELECT a.happened_at AS time, a.kind || ': ' || a.title || coalesce(' ' || a.link, '') AS text, a.kind AS tags
FROM cost_ledger.annotation a
WHERE $__timeFilter(a.happened_at) AND [concerns a.scope]
ORDER BY a.happened_at DESC NULLS LAST
LIMIT 200

--- annotation Prices
-- color: blue
SELECT p.happened_at AS time, p.title AS text, p.kind AS tags
FROM cost_ledger.annotation_list p
WHERE $__timeFilter(p.happened_at) AND p.row_key LIKE 'price %' AND [concerns p.scope::jsonb]
  AND EXISTS (SELECT FROM cost_ledger.cost_by_label m
              WHERE m.label = 'model' AND m.ends_at > $__timeFrom()::timestamptz AND m.starts_at <= $__timeTo()::timestamptz
                AND replace(lower(p.scope::jsonb ->> 'model'), '\*', '*') IN (lower(m.value), [undated m.value]))
ORDER BY p.happened_at DESC NULLS LAST
LIMIT 200
