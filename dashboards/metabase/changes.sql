-- title: What was changed?
-- description: Deploys, prompts, models and prices, and when they took effect.
-- display: table 12x7
SELECT a.happened_at AS "when", a.kind, a.title, a.scope, a.link
FROM cost_ledger.annotation_list a
WHERE true [[AND a.happened_at >= {{from}}]] [[AND a.happened_at < {{to}}::date + 1]]
  [[AND a.kind IN ({{kind}})]]
ORDER BY a.happened_at DESC NULLS LAST, a.row_key
LIMIT 200
