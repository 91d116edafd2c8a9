-- title: Where is it going?
-- description: Cost of each whole week against the week before, in percent; above 15 it wants to be investigated, above 20 reviewed. Of all calls, or of those of which a label (team, feature, customer, model, task_type, agent) says a value: set both.
-- display: bar 12x9
-- settings: {"graph.dimensions": ["week"], "graph.metrics": ["change, %"], "graph.show_goal": true, "graph.goal_value": 15, "graph.goal_label": "investigate"}
SELECT w.week, w.change_ratio * 100 AS "change, %", w.cost, w.previous_cost AS "week before", w.flag
FROM cost_ledger.week_over_week w
WHERE w.is_complete AND w.label = coalesce([[{{label}}, ]] 'total') [[AND w.value IN ({{value}})]]
  [[AND w.week >= {{from}}]] [[AND w.week <= {{to}}]]
ORDER BY w.week
