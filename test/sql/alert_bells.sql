--
-- Nothing happens unseen: alerts stay whatever becomes of their bells, and many
-- at once ring once.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
UPDATE cost_ledger.alert_rule SET is_active = kind = 'unpriced_calls';

-- a bell that breaks undoes nothing, keeps no rule from being evaluated, and rings
-- with the next run
SELECT pg_get_functiondef('cost_ledger_internal.notify_alert(jsonb)'::regprocedure) AS working \gset
CREATE OR REPLACE FUNCTION cost_ledger_internal.notify_alert(message jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the queue is full'; END $$;
SELECT cost_ledger.set_budget('today', '{"team": "t"}', 'day', 1) > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, team, input_tokens) VALUES ('openai', 'm', 't', 2000000), ('openai', 'gpt-next', 'u', 1);
CALL cost_ledger.run_jobs();
SELECT level, severity, kind, budget, rule, subject, threshold FROM cost_ledger.unacknowledged_alert ORDER BY alert_id;
SELECT is_failing, last_error FROM cost_ledger.job_status WHERE name = 'notify_alerts';
SELECT message ->> 'kind' AS kind, message ->> 'severity' AS severity, message -> 'crossed' AS crossed FROM cost_ledger_internal.bell ORDER BY bell_id;
-- nor by hand
INSERT INTO cost_ledger.call (provider, model, team, input_tokens) VALUES ('openai', 'gpt-next', 'u', 1);
SELECT cost_ledger.check_budgets(), cost_ledger.check_rules();
:working;
CALL cost_ledger.run_jobs();
SELECT count(*) AS waiting FROM cost_ledger_internal.bell;
SELECT is_failing FROM cost_ledger.job_status WHERE name = 'notify_alerts';
SELECT cost_ledger.notify_alerts() AS nothing_left;

-- a thousand users over their limit are one bell, a row each, and one acknowledgment
SELECT cost_ledger.set_budget('each user', '{}', 'month', 1, each_of => 'user_id') > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, user_id, input_tokens)
SELECT 'openai', 'm', 'user number ' || lpad(n::text, 24, '0'), 1000000 + n FROM generate_series(1, 1000) AS n;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets(now());
SELECT count(*) AS bells, max(octet_length(message::text)) < 1000 AS fit FROM cost_ledger_internal.bell;
SELECT message ->> 'budget' AS budget, message ->> 'kind' AS kind, message ->> 'level' AS level, message ->> 'severity' AS severity, message -> 'count' AS count,
       jsonb_array_length(message -> 'worst') AS worst, message -> 'worst' -> 0 AS first, message -> 'worst' -> 9 AS tenth,
       message -> 'scope' AS scope
FROM cost_ledger_internal.bell;
SELECT (message ->> 'id')::bigint AS alert_id FROM cost_ledger_internal.bell \gset
SELECT a.entity, a.threshold FROM cost_ledger.alert a WHERE a.alert_id = :alert_id;
SELECT cost_ledger_internal.check_budgets(now()) AS no_news;
SELECT cost_ledger.acknowledge(:alert_id);
SELECT count(*) FROM cost_ledger.unacknowledged_alert WHERE budget = 'each user';
SELECT cost_ledger.notify_alerts();

-- a budget set on what is there already calls nobody, and stands in nobody's way
INSERT INTO cost_ledger.call (provider, model, session_id, called_at, input_tokens)
SELECT 'openai', 'm', 's' || n, now() - interval '2 hours', 2000000 FROM generate_series(1, 100) AS n;
CALL cost_ledger.refresh();
SELECT cost_ledger.set_budget('a session', '{}', 'session', 1) > 0 AS set;
SELECT cost_ledger.check_budgets() AS no_news;
SELECT count(*) FROM cost_ledger.unacknowledged_alert WHERE budget = 'a session';
SELECT count(*), count(acknowledged_at) AS acknowledged FROM cost_ledger.alert WHERE kind = 'seeded';

-- how urgent: a run's limit is a review, a day's a page; less than all of it is a
-- review; or as the budget says
SELECT cost_ledger.set_budget('a run', '{}', 'run', 1) + cost_ledger.set_budget('a day', '{"team": "urgent"}', 'day', 1)
     + cost_ledger.set_budget('quiet day', '{"team": "urgent"}', 'day', 1, severity => 'review') + cost_ledger.set_budget('loud run', '{}', 'run', 1, severity => 'page') > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, team, run_id, input_tokens) VALUES ('openai', 'm', 'urgent', 'r', 2000000);
CALL cost_ledger.refresh();
SELECT cost_ledger.check_budgets();
SELECT budget, threshold, level, severity, message::jsonb ->> 'severity' AS said FROM cost_ledger.unacknowledged_alert
WHERE budget IN ('a run', 'a day', 'quiet day', 'loud run') ORDER BY budget, threshold;
SELECT cost_ledger.set_budget('a day', '{"team": "urgent"}', 'day', 1, severity => 'shout');
\echo :LAST_ERROR_SQLSTATE

-- minutes that were over before anybody looked: every one since the last check,
-- and one bell for them
SELECT cost_ledger.set_budget('a minute', '{"team": "minutes"}', 'minute', 1, '{1.0}') AS minutes \gset
UPDATE cost_ledger.budget_version SET valid_from = now() - interval '1 day' WHERE budget_id = :minutes;
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens)
SELECT date_trunc('minute', now()) - n * interval '1 hour', 'openai', 'm', 'minutes', 2000000 + n FROM generate_series(1, 3) AS n;
CALL cost_ledger.refresh();
UPDATE cost_ledger_internal.alert_state SET budgets_checked_at = now() - interval '150 minutes';
SELECT cost_ledger_internal.check_all_budgets() AS of_two_of_three;
SELECT message -> 'count' AS count, message -> 'is_late' AS is_late, message ->> 'severity' AS severity, message -> 'worst' -> 0 ? 'starts_at' AS says_when
FROM cost_ledger_internal.bell;
SELECT spent, is_late, ends_at < now() AS is_over FROM cost_ledger.unacknowledged_alert WHERE budget = 'a minute' ORDER BY spent;
SELECT budgets_checked_at >= now() - interval '1 minute' AS noted FROM cost_ledger_internal.alert_state;
-- one is itself, late or not
SELECT cost_ledger.notify_alerts();
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens) VALUES (date_trunc('minute', now()) - interval '2 minutes', 'openai', 'm', 'minutes', 5000000);
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_all_budgets();
SELECT message ->> 'spent' AS spent, message -> 'is_late' AS is_late, message ? 'count' AS is_group FROM cost_ledger_internal.bell;
SELECT cost_ledger.notify_alerts();

-- what is long over is forgotten, if somebody says so; nothing else can be deleted
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens) VALUES (now() - interval '20 days', 'openai', 'm', 't', 2000000);
CALL cost_ledger.refresh();
UPDATE cost_ledger.budget_version v SET valid_from = now() - interval '30 days' FROM cost_ledger.budget b WHERE b.budget_id = v.budget_id AND b.name = 'today';
SELECT cost_ledger_internal.check_budgets(now() - interval '20 days');
SELECT cost_ledger_internal.prune_alerts(now() + interval '10 days') AS kept_for_ever;
SELECT cost_ledger.set_retention(retain_alerts => '7 days');
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.set_retention(retain_alerts => '8 days');
SELECT retain_alerts FROM cost_ledger.retention;
SELECT cost_ledger_internal.prune_alerts() AS raised_just_now;
SELECT cost_ledger_internal.prune_alerts(now() + interval '9 days') > 0 AS forgotten;
SELECT count(*) AS of_then FROM cost_ledger.alert WHERE ends_at < now() - interval '10 days';
SELECT count(*) AS of_runs FROM cost_ledger.alert WHERE ends_at = 'infinity' AND kind = 'threshold';
DELETE FROM cost_ledger.alert WHERE ends_at > now();
\echo :LAST_ERROR_SQLSTATE

-- What runs out within its period is an alert, with any history and with none: two
-- percent more than the limit at this rate, about 18 hours into a day.
SELECT format('Etc/GMT%s', to_char(CASE WHEN n > 14 THEN 24 - n ELSE -n END, 'S9')) AS zone
FROM (SELECT (17 - extract(hour FROM now() AT TIME ZONE 'UTC')::integer + 24) % 24) AS x (n) \gset
UPDATE cost_ledger.budget SET is_active = false;
SELECT extract(epoch FROM now() - period_start) / 86400 AS share FROM cost_ledger_internal.budget_period('day', now(), :'zone', 1) \gset
SELECT :share BETWEEN 0.6 AND 0.8 AS is_evening;
SELECT cost_ledger.set_budget('evening', '{"team": "evening"}', 'day', 100, '{1.0}', time_zone => :'zone') > 0 AS set;
SELECT cost_ledger.set_budget('slow evening', '{"team": "slow"}', 'day', 100, '{1.0}', time_zone => :'zone') > 0 AS set;
-- as fast as 85 of 100 by 18:00, 4.72 an hour: used up at 21:10
SELECT cost_ledger.set_budget('fast evening', '{"team": "fast"}', 'day', 100, '{1.0}', time_zone => :'zone') > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, team, input_tokens) VALUES ('openai', 'm', 'evening', :share * 102 * 1000000), ('openai', 'm', 'slow', :share * 98 * 1000000), ('openai', 'm', 'fast', :share * 85 * 24 / 18 * 1000000);
CALL cost_ledger.refresh();
SELECT subject, round(value, 2) AS value FROM cost_ledger_internal.signal_budget_forecast WHERE value >= 1 ORDER BY 1;
SELECT to_char(exhausted_at AT TIME ZONE time_zone, 'HH24:MI') AS exhausted FROM cost_ledger.budget_status WHERE name = 'fast evening';
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens)
SELECT now() - n * interval '1 day', 'openai', 'm', team, 10000000 FROM generate_series(1, 30) AS n, (VALUES ('evening'), ('slow'), ('fast')) AS t (team);
CALL cost_ledger.refresh();
SELECT s.subject, round(s.value, 2) AS value, s.detail::jsonb ->> 'method' AS method, b.exhausted_at < b.ends_at AS runs_out
FROM cost_ledger_internal.signal_budget_forecast s JOIN cost_ledger.budget_status b ON b.name = s.subject WHERE s.value >= 1 ORDER BY 1;

-- The line for each number: as shipped
SELECT number, rule, threshold, severity, is_active, currency FROM cost_ledger.report_threshold ORDER BY 1, threshold;
-- last week 20 percent more than the one before
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens)
SELECT date_trunc('week', now()) - n * interval '7 days' + interval '1 day', 'openai', 'm', amount * 1000000
FROM (VALUES (1, 120), (2, 100), (3, 100)) AS v (n, amount);
-- of 30 runs two cost 150, the others 0.1: the mean is 302.8 / 30, p95 150
INSERT INTO cost_ledger.call (called_at, provider, model, run_id, input_tokens)
SELECT now() - interval '1 second', 'openai', 'm', 'r' || n, CASE WHEN n <= 2 THEN 150000000 ELSE 100000 END FROM generate_series(1, 30) AS n;
CALL cost_ledger.refresh();
UPDATE cost_ledger.alert_rule SET is_active = true WHERE kind IN ('run_cost', 'day_cost');
UPDATE cost_ledger.alert_rule SET threshold = 250 WHERE kind = 'day_cost';
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind IN ('spend_rate', 'spend_vs_usual', 'stale_job');
SELECT cost_ledger.check_rules();
SELECT rule, severity, subject, round(value, 1) AS value FROM cost_ledger.unacknowledged_alert ORDER BY rule, subject;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
