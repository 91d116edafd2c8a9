-- title: What does each customer earn?
-- description: Revenue, cost and margin of each customer by month; unknown where no revenue was entered.
-- display: table 12x8
SELECT m.month, m.is_complete AS "whole", m.customer, m.revenue, m.cost, m.margin, m.margin_ratio AS "margin, share", m.is_over_ceiling AS "too dear", m.unpriced_calls AS "without a price"
FROM cost_ledger.margin_by_customer m
WHERE true [[AND m.month >= date_trunc('month', {{from}}::timestamp)::date]] [[AND m.month <= {{to}}]]
  [[AND m.customer IN ({{customer}})]]
ORDER BY m.month DESC NULLS LAST, m.cost DESC NULLS LAST, m.customer
