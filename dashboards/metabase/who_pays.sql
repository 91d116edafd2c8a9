-- title: Who pays?
-- description: Cost by team, its share, what a call cost, and the calls that could not be priced.
-- display: table 12x7
SELECT coalesce(c.team, '(unallocated)') AS team, sum(c.calls) AS calls, sum(c.unpriced_calls) AS "without a price", sum(c.cost) AS cost,
       sum(c.cost) / nullif(sum(sum(c.cost)) OVER (), 0) AS share, sum(c.cost) / nullif(sum(c.priced_calls), 0) AS "cost per call"
FROM cost_ledger.cost_by_day c
WHERE true [[AND c.day >= {{from}}]] [[AND c.day <= {{to}}]]
  [[AND coalesce(c.team, '(unallocated)') IN ({{team}})]]
  [[AND coalesce(c.feature, '(unallocated)') IN ({{feature}})]]
  [[AND coalesce(c.customer, '(unallocated)') IN ({{customer}})]]
  [[AND coalesce(c.model, '(unallocated)') IN ({{model}})]]
GROUP BY c.team
ORDER BY cost DESC NULLS LAST, team
