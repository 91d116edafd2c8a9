-- title: What does each feature earn?
-- description: Revenue, cost and margin of each feature by month; unknown where no revenue was entered.
-- display: table 12x8
SELECT m.month, m.is_complete AS "whole", m.feature, m.revenue, m.cost, m.margin, m.margin_ratio AS "margin, share", m.is_over_ceiling AS "too dear", m.unpriced_calls AS "without a price"
FROM cost_ledger.margin_by_feature m
WHERE true [[AND m.month >= date_trunc('month', {{from}}::timestamp)::date]] [[AND m.month <= {{to}}]]
  [[AND m.feature IN ({{feature}})]]
ORDER BY m.month DESC NULLS LAST, m.cost DESC NULLS LAST, m.feature
