-- title: What is it spent on?
-- description: Cost by day and model.
-- display: area 12x7
-- settings: {"graph.dimensions": ["day", "model"], "graph.metrics": ["cost"], "stackable.stack_type": "stacked"}
SELECT c.day, coalesce(c.model, '(unallocated)') AS model, sum(c.cost) AS cost
FROM cost_ledger.cost_by_day c
WHERE true [[AND c.day >= {{from}}]] [[AND c.day <= {{to}}]]
  [[AND coalesce(c.team, '(unallocated)') IN ({{team}})]]
  [[AND coalesce(c.feature, '(unallocated)') IN ({{feature}})]]
  [[AND coalesce(c.customer, '(unallocated)') IN ({{customer}})]]
  [[AND coalesce(c.model, '(unallocated)') IN ({{model}})]]
GROUP BY c.day, c.model
ORDER BY c.day, model
