-- Signals of the reports' numbers, and the rules that come with them.
--
-- Each rule is one line that a number must not cross; report_threshold shows the
-- lines to who draws the number.  On by default is what has one subject, and a
-- threshold that means the same to everybody; the others wait for theirs.

CREATE VIEW cost_ledger_internal.signal_week_over_week AS
SELECT w.label || coalesce(' ' || w.value, '') AS subject,
       w.change_ratio AS value,
       jsonb_build_object('label', w.label, 'value', w.value, 'week', w.week, 'cost', w.cost::text, 'previous_cost', w.previous_cost::text)::text AS detail
FROM cost_ledger.week_over_week w
WHERE w.week = date_trunc('week', now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date - 7
  AND w.label = ANY ('{total,team,feature}');

COMMENT ON VIEW cost_ledger_internal.signal_week_over_week IS 'How much more the last whole week cost than the one before, in total, by team and by feature, for alert_rule.';
COMMENT ON COLUMN cost_ledger_internal.signal_week_over_week.subject IS 'total, or a team or feature.';
COMMENT ON COLUMN cost_ledger_internal.signal_week_over_week.value IS 'change_ratio of week_over_week: 0.2 for 20 percent more.';
COMMENT ON COLUMN cost_ledger_internal.signal_week_over_week.detail IS 'Label, value, week and both costs, as JSON.';

CREATE VIEW cost_ledger_internal.signal_run_cost_spread AS
SELECT 'all' AS subject,
       round(cost_ledger.p95(d.run_cost)::numeric * cost_ledger.num_values(d.run_cost) / nullif(d.cost, 0), 6) AS value,
       jsonb_build_object('runs', d.runs, 'p95_cost', cost_ledger.p95(d.run_cost)::text, 'cost', d.cost::text)::text AS detail
FROM (SELECT sum(r.runs) AS runs, sum(r.cost) AS cost, cost_ledger.merge(r.run_cost) AS run_cost
      FROM cost_ledger_internal.live_run_day r
      WHERE r.day > (now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date - 7) d
-- Of fewer, one is more than 5 in a hundred.
WHERE cost_ledger.num_values(d.run_cost) >= 20;

COMMENT ON VIEW cost_ledger_internal.signal_run_cost_spread IS 'How many times the mean the dear runs of the last seven days cost, for alert_rule: 10 suggests that some run away.';
COMMENT ON COLUMN cost_ledger_internal.signal_run_cost_spread.subject IS 'all.';
COMMENT ON COLUMN cost_ledger_internal.signal_run_cost_spread.value IS '95th percentile / mean of the cost of runs; no row with less than 20 of them.';
COMMENT ON COLUMN cost_ledger_internal.signal_run_cost_spread.detail IS 'Runs, their 95th percentile and their cost, as JSON.';

CREATE VIEW cost_ledger_internal.signal_run_cost AS
SELECT r.run_id AS subject, r.cost AS value,
       jsonb_strip_nulls(jsonb_build_object('run_id', r.run_id, 'team', r.team, 'feature', r.feature, 'task_type', r.task_type, 'trace_url', r.trace_url))::text AS detail
FROM cost_ledger.most_expensive_run r
WHERE r.week >= date_trunc('week', now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date;

COMMENT ON VIEW cost_ledger_internal.signal_run_cost IS 'What the ten dearest runs of this week cost, for alert_rule. A budget of period run tells of each.';
COMMENT ON COLUMN cost_ledger_internal.signal_run_cost.subject IS 'The run.';
COMMENT ON COLUMN cost_ledger_internal.signal_run_cost.value IS 'Its cost in the ledger''s currency.';
COMMENT ON COLUMN cost_ledger_internal.signal_run_cost.detail IS 'The run, its labels and its trace, as JSON.';

CREATE VIEW cost_ledger_internal.signal_day_cost AS
SELECT 'all' AS subject, coalesce(sum(d.cost), 0) AS value, jsonb_build_object('day', t.day)::text AS detail
FROM (SELECT (now() AT TIME ZONE l.time_zone)::date AS day FROM cost_ledger.ledger l) t
LEFT JOIN cost_ledger_internal.live_total_day d ON d.label = 'all' AND d.day = t.day
GROUP BY t.day;

COMMENT ON VIEW cost_ledger_internal.signal_day_cost IS 'What today has cost so far, for alert_rule.';
COMMENT ON COLUMN cost_ledger_internal.signal_day_cost.subject IS 'all.';
COMMENT ON COLUMN cost_ledger_internal.signal_day_cost.value IS 'Cost of the day of the reporting zone in the ledger''s currency.';
COMMENT ON COLUMN cost_ledger_internal.signal_day_cost.detail IS 'The day, as JSON.';

CREATE VIEW cost_ledger_internal.signal_user_month_cost AS
SELECT 'all' AS subject, m.p95_cost::numeric AS value,
       jsonb_build_object('month', m.month, 'users', m.users, 'mean_cost', m.mean_cost::text)::text AS detail
FROM cost_ledger.cost_per_user_by_month m
WHERE m.month = date_trunc('month', now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date;

COMMENT ON VIEW cost_ledger_internal.signal_user_month_cost IS 'What a dear user has cost this month, for alert_rule.';
COMMENT ON COLUMN cost_ledger_internal.signal_user_month_cost.subject IS 'all.';
COMMENT ON COLUMN cost_ledger_internal.signal_user_month_cost.value IS '95th percentile of the cost per user in the ledger''s currency.';
COMMENT ON COLUMN cost_ledger_internal.signal_user_month_cost.detail IS 'Month, users and mean, as JSON.';

CREATE VIEW cost_ledger_internal.signal_task_type_cost AS
SELECT t.task_type AS subject, t.mean_cost_per_run AS value,
       jsonb_build_object('task_type', t.task_type, 'month', t.month, 'runs', t.runs, 'p95_cost_per_run', t.p95_cost_per_run::text)::text AS detail
FROM cost_ledger.cost_by_task_type t
WHERE t.month = date_trunc('month', now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date;

COMMENT ON VIEW cost_ledger_internal.signal_task_type_cost IS 'What a run of each task type costs this month, for alert_rule.';
COMMENT ON COLUMN cost_ledger_internal.signal_task_type_cost.subject IS 'The task type; (unallocated) for runs without one.';
COMMENT ON COLUMN cost_ledger_internal.signal_task_type_cost.value IS 'Mean cost per run in the ledger''s currency.';
COMMENT ON COLUMN cost_ledger_internal.signal_task_type_cost.detail IS 'Task type, month, runs and their 95th percentile, as JSON.';

CREATE VIEW cost_ledger_internal.signal_unpriced_calls AS
SELECT d.provider || '/' || d.model AS subject, sum(d.unpriced_calls) AS value,
       jsonb_build_object('provider', d.provider, 'model', d.model)::text AS detail
FROM cost_ledger_internal.live_day d
WHERE d.day >= (now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date - 1
  AND d.day <= (now() AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date
GROUP BY d.provider, d.model
HAVING sum(d.unpriced_calls) > 0;

COMMENT ON VIEW cost_ledger_internal.signal_unpriced_calls IS 'Calls without a full price, of today and yesterday, by model, for alert_rule: what they cost no budget knows.';
COMMENT ON COLUMN cost_ledger_internal.signal_unpriced_calls.subject IS 'Provider and model.';
COMMENT ON COLUMN cost_ledger_internal.signal_unpriced_calls.value IS 'Number of calls.';
COMMENT ON COLUMN cost_ledger_internal.signal_unpriced_calls.detail IS 'Provider and model, as JSON.';

INSERT INTO cost_ledger.alert_rule (name, kind, severity, threshold, scope, is_active, note) VALUES
    ('calls have no price', 'unpriced_calls', 'review', 1, '{}', true, 'Calls of today and yesterday. SELECT * FROM cost_ledger.unpriced_call; then set_price() and rerate().'),
    ('the week costs 15 percent more', 'week_over_week', 'review', 0.15, '{"label": "total"}', true, 'To be investigated. SELECT * FROM cost_ledger.week_over_week; says of which team and feature.'),
    ('the week costs 20 percent more', 'week_over_week', 'review', 0.20, '{"label": "total"}', true, 'To be reviewed.'),
    ('more than usual is spent', 'spend_vs_usual', 'review', 1.5, '{"label": "all"}', true, 'The last hour against what is usual. SELECT * FROM cost_ledger.spend_rate(); says where.'),
    ('more than usual is spent somewhere', 'spend_vs_usual', 'review', 1.5, '{"label": ["team", "feature", "customer"]}', false, 'The same of each team, feature and customer.'),
    ('spend runs away', 'spend_rate', 'page', 500, '{"label": "all"}', false, 'An hour, by the last 5 minutes, in the ledger''s currency; on where that is USD.'),
    ('some runs run away', 'run_cost_spread', 'review', 10, '{}', true, 'p95 / mean of the last seven days. SELECT * FROM cost_ledger.most_expensive_run;'),
    ('a run costs too much', 'run_cost', 'review', 100, '{}', false, 'Set your own threshold.'),
    ('the day costs too much', 'day_cost', 'page', 5000, '{}', false, 'Set your own threshold.'),
    ('a user costs too much', 'user_month_cost', 'review', 10, '{}', false, 'p95 of the month. Set your own threshold.'),
    ('a task type costs too much', 'task_type_cost', 'review', 10, '{}', false, 'Mean per run. Set your own threshold.');

CREATE VIEW cost_ledger.report_threshold WITH (security_barrier = true) AS
SELECT n.number, n.report, r.name AS rule, r.threshold, r.severity, r.is_active,
       CASE WHEN n.is_money THEN (SELECT s.currency FROM cost_ledger_internal.report_setting s) END AS currency,
       jsonb_build_array(n.number, r.rule_id)::text AS row_key
FROM (VALUES ('run_cost', 'cost_per_run', 'most_expensive_run', true), ('run_cost_spread', 'p95_per_mean_run', 'cost_per_run_by_day', false),
             ('user_month_cost', 'p95_cost_per_user_month', 'cost_per_user_by_month', true),
             ('task_type_cost', 'mean_cost_per_run_of_task_type', 'cost_by_task_type', true),
             ('week_over_week', 'week_over_week', 'week_over_week', false),
             ('day_cost', 'daily_total', 'cost_per_run_by_day', true)) AS n (kind, number, report, is_money)
JOIN cost_ledger.alert_rule r ON r.kind = n.kind
-- A line for all calls is no business of a reader of some.
WHERE (SELECT cost_ledger_internal.sees_all())
   OR cost_ledger_internal.is_own_scope(r.scope, (SELECT cost_ledger_internal.seen_teams()), (SELECT cost_ledger_internal.seen_customers()));

COMMENT ON VIEW cost_ledger.report_threshold IS 'The line that each number of a dashboard should not cross: the thresholds of alert_rule, beside the report that has the number. UPDATE alert_rule to move one. Who may not see all calls sees the lines of rules that name nothing but teams or customers granted.';
COMMENT ON COLUMN cost_ledger.report_threshold.number IS 'The number: cost_per_run, p95_per_mean_run, p95_cost_per_user_month, mean_cost_per_run_of_task_type, week_over_week or daily_total.';
COMMENT ON COLUMN cost_ledger.report_threshold.report IS 'The view that shows it.';
COMMENT ON COLUMN cost_ledger.report_threshold.rule IS 'The rule of alert_rule.';
COMMENT ON COLUMN cost_ledger.report_threshold.threshold IS 'From which value on it alerts: an amount of currency, or a ratio.';
COMMENT ON COLUMN cost_ledger.report_threshold.severity IS 'How urgent that is: review or page.';
COMMENT ON COLUMN cost_ledger.report_threshold.is_active IS 'Whether the rule is on; the line is there in any case.';
COMMENT ON COLUMN cost_ledger.report_threshold.currency IS 'ISO 4217 code of an amount; NULL for a ratio.';
