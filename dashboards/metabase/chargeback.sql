-- title: Chargeback
-- description: What each team costs by month, with corrections apart; whole months do not change any more but by corrections.
-- display: table 24x8
SELECT c.month, c.is_complete AS "whole", c.team, c.calls, c.rated_cost AS rated, c.adjustment_cost AS corrections, c.cost, c.share
FROM cost_ledger.chargeback_by_month c
WHERE true [[AND c.month >= date_trunc('month', {{from}}::timestamp)::date]] [[AND c.month <= {{to}}]]
  [[AND c.team IN ({{team}})]]
ORDER BY c.month DESC NULLS LAST, c.cost DESC NULLS LAST, c.team
