--
-- How fast money is spent.  Every rate is worked out by hand: a million input
-- tokens cost 1.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
CREATE FUNCTION pg_temp.spend(at timestamptz, amount numeric, team text DEFAULT NULL) RETURNS void
    LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team) VALUES ($1, 'openai', 'm', $2 * 1000000, $3)
$$;
SELECT date_trunc('minute', now()) AS at \gset

-- nothing spent, no rates by team
SELECT * FROM cost_ledger.spend_rate(:'at');

-- 60 half an hour ago, 10 four minutes ago: 70 an hour, and 10 × 12 = 120 an
-- hour in the last five minutes
SELECT pg_temp.spend(timestamptz :'at' - interval '61 minutes', 1000, 'a'), pg_temp.spend(timestamptz :'at' - interval '30 minutes', 60, 'a'),
       pg_temp.spend(timestamptz :'at' - interval '4 minutes', 10, 'a');
SELECT * FROM cost_ledger.spend_rate(:'at') ORDER BY 1;
-- half a minute later the windows are half a minute longer: 10 × 60 / 5.5, 70 × 60 / 60.5
SELECT subject, rate_5m, rate_1h FROM cost_ledger.spend_rate(timestamptz :'at' + interval '30 seconds') ORDER BY 1;
-- the same when it has been refreshed
CALL cost_ledger.refresh();
SELECT * FROM cost_ledger.spend_rate(:'at') ORDER BY 1;

-- the same hour of four weeks: of 10, 20, 40 and 1000 the median is 30;
-- 70 / 30.  Of team b nothing is usual.  The hour is part of two of the clock,
-- in both of which that is spent.
SELECT pg_temp.spend(date_trunc('hour', timestamptz :'at') - n * interval '7 days' + minute * interval '1 minute', amount, 'a')
FROM (VALUES (1, 10), (2, 20), (3, 40)) AS v (n, amount), (VALUES (-59), (1)) AS m (minute);
CALL cost_ledger.refresh();
-- of three weeks, the one in the middle
SELECT subject, rate_1h, usual_rate, times_usual FROM cost_ledger.spend_rate(:'at') ORDER BY 1;
SELECT pg_temp.spend(date_trunc('hour', timestamptz :'at') - interval '28 days' + minute * interval '1 minute', 1000, 'a')
FROM (VALUES (-1), (59)) AS m (minute);
SELECT pg_temp.spend(timestamptz :'at' - interval '1 minute', 1, 'b');
CALL cost_ledger.refresh();
SELECT subject, rate_1h, usual_rate, times_usual FROM cost_ledger.spend_rate(:'at') ORDER BY 1;
-- a quarter past the hour, three quarters of the last hour are of the one
-- before: 8 more in that are 6 more
SELECT pg_temp.spend(date_trunc('hour', timestamptz :'at') - n * interval '7 days' - interval '30 minutes', 8) FROM generate_series(1, 4) AS n;
CALL cost_ledger.refresh();
SELECT subject, usual_rate FROM cost_ledger.spend_rate(date_trunc('hour', timestamptz :'at') + interval '15 minutes') WHERE subject = 'all';

-- a budget of 10 an hour over its quarter: at 70 and 120 an hour it is used at
-- 7 times its pace
SELECT 10 * extract(epoch FROM period_end - period_start) / 3600 AS amount FROM cost_ledger_internal.budget_period('quarter', :'at', 'UTC') \gset
SELECT cost_ledger.set_budget('a', '{"team": "a"}', 'quarter', :amount) > 0 AS set;
SELECT cost_ledger.set_budget('b', '{"team": "b"}', 'quarter', :amount) > 0 AS set;
SELECT cost_ledger.set_budget('users', '{}', 'quarter', :amount, each_of => 'user_id') > 0 AS set;
SELECT cost_ledger.set_budget('u1', '{"user_id": "u1"}', 'quarter', :amount) > 0 AS set;
SELECT cost_ledger.set_budget('total', '{}', 'total', :amount) > 0 AS set;
SELECT v.name, v.pace, v.rate_5m, v.rate_1h, v.velocity,
       abs(extract(epoch FROM v.exhausted_at - :'at') - (:amount - s.spent) / v.rate_1h * 3600) < 0.001 AS exhausted_as_said
FROM cost_ledger.budget_velocity(:'at') v JOIN cost_ledger.budget_status s USING (budget_id) ORDER BY 1;
-- it takes both windows
SELECT name, rate_5m, rate_1h, velocity FROM cost_ledger.budget_velocity(timestamptz :'at' + interval '10 minutes') ORDER BY 1;

-- for each team the same, by team; each is compared with its own spend
SELECT cost_ledger.set_budget('each team', '{}', 'quarter', :amount, each_of => 'team') > 0 AS set;
SELECT v.entity, v.pace, v.rate_5m, v.rate_1h, v.velocity,
       abs(extract(epoch FROM v.exhausted_at - :'at') - (:amount - s.spent) / v.rate_1h * 3600) < 0.001 AS exhausted_as_said
FROM cost_ledger.budget_velocity(:'at') v JOIN cost_ledger.budget_status s USING (budget_id, entity) WHERE v.name = 'each team' ORDER BY 1;
SELECT count(*) AS quiet FROM cost_ledger.budget_velocity(timestamptz :'at' + interval '2 hours') v WHERE v.name = 'each team';

-- In the first week, the same hour of the days before: of 2, 4 and 6 the median is
-- 4.  9 of the last hour are 2.25 times that, of a team, a feature and a customer.
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, customer)
SELECT date_trunc('hour', timestamptz :'at') - n * interval '1 day' + minute * interval '1 minute', 'openai', 'm', n * 2000000, 'a', 'f', 'c'
FROM generate_series(1, 3) AS n, (VALUES (-59), (1)) AS m (minute);
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, customer)
VALUES (timestamptz :'at' - interval '30 minutes', 'openai', 'm', 9000000, 'a', 'f', 'c');
CALL cost_ledger.refresh();
SELECT subject, label, value, rate_1h, usual_rate, times_usual FROM cost_ledger.spend_rate(:'at') ORDER BY 1;

SELECT s.label, cost_ledger_internal.matches_filter(s.detail::jsonb, r.scope) AS watched
FROM (SELECT v.detail::jsonb ->> 'label' AS label, v.detail FROM cost_ledger_internal.signal_spend_vs_usual v) s
JOIN cost_ledger.alert_rule r ON r.name = 'more than usual is spent somewhere' ORDER BY 1;

-- a loop at 3,450 an hour: 57.5 a minute.  After the first minute the last five
-- have seen 57.5 × 12 = 690 an hour, and the rule for 500 an hour rings.
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
UPDATE cost_ledger.alert_rule SET scope = '{}' WHERE kind = 'spend_rate';
SELECT cost_ledger.check_rules();
SELECT pg_temp.spend(timestamptz :'at' - interval '1 minute', 57.5, 'loop');
SELECT subject, rate_5m FROM cost_ledger.spend_rate(:'at') ORDER BY 1;
SELECT pg_temp.spend(now(), 57.5, 'loop');
SELECT cost_ledger.check_rules();
SELECT rule, level, subject, value > 500 AS above FROM cost_ledger.unacknowledged_alert ORDER BY subject;
SELECT subject, value IS NULL AS nothing_usual FROM cost_ledger_internal.signal_spend_vs_usual ORDER BY 1;
SELECT count(*) FROM cost_ledger_internal.signal_velocity;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
