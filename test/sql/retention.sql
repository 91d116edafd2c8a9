--
-- After retention: what asks of months whose calls are gone answers from the
-- rollups, refuses, or says so.  Never as if they had cost nothing.
--
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
-- A rolling window of dropped calls is known by the hour as long as hours are kept, else by the day.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
SELECT cost_ledger.create_partitions('2026-01-01', '2026-03-31') IS NOT NULL AS made;
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 3, "output_tokens": 6}', '2020-01-01') > 0 AS is_set, cost_ledger.set_price('p', 'n', '{"input_tokens": 1}', '2020-01-01') > 0 AS is_set;
-- January, which will be dropped: 3 + 3 + 6 of m, 1 of n, one without a price; February: 6 + 3
INSERT INTO cost_ledger.call (called_at, provider, model, feature, flow, team, user_id, run_id, operation, input_tokens, output_tokens, tool_calls_count, reported_cost, event_key) VALUES
    ('2026-01-05', 'p', 'm', 'chat', 'f', 'a', 'u1', 'r1', 'chat', 1000000, NULL, 2, 3, 'k1'), ('2026-01-10', 'p', 'm', 'chat', 'f', 'a', 'u2', 'r1', 'retry', 1000000, NULL, NULL, NULL, 'k2'),
    ('2026-01-31 23:59', 'p', 'm', 'chat', NULL, 'b', 'u1', 'r2', 'chat', NULL, 1000000, 1, NULL, 'k3'), ('2026-01-20', 'p', 'n', 'search', NULL, 'b', 'u1', NULL, NULL, 1000000, NULL, NULL, NULL, NULL),
    ('2026-01-21', 'p', 'none', 'search', NULL, 'b', 'u1', NULL, NULL, 1000000, NULL, NULL, NULL, NULL),
    ('2026-02-05', 'p', 'm', 'chat', 'f', 'a', 'u1', 'r2', 'chat', 2000000, NULL, 1, 6, 'k4'), ('2026-02-06', 'p', 'm', 'chat', NULL, 'b', 'u3', 'r3', 'chat', 1000000, NULL, NULL, NULL, NULL);
CALL cost_ledger.refresh();
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 3, "output_tokens": 5}', '2020-01-01', replace => true) > 0 AS is_set;
SELECT sum(change) FROM cost_ledger.rerate('2026-01-01', '2026-03-01', '{"feature": "chat"}', false, 'a lower price');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 4, "output_tokens": 5}', '2020-01-01', replace => true) > 0 AS is_set;
SELECT count(*), sum(change) FROM cost_ledger.rerate('2026-01-01', '2026-03-01', '{"feature": "chat"}', false, 'a higher price');
SELECT count(*) FROM cost_ledger.estimate_feature_cost('chat', 'p', 'm', 10, 1, 0, 100000, 0, save => true, first_month => '2026-01-01', scenarios => '{"base": {}}');
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, quantity, amount) VALUES
    ('I-1', 'p', '2026-01-05', '2026-01-05', 'm', 'input_tokens', 1000000, 4), ('I-2', 'p', '2026-02-05', '2026-02-05', 'm', 'input_tokens', 2000000, 8), ('I-3', 'p', '2026-01-15', '2026-02-15', 'n', 'input_tokens', 1000000, 1);

-- balances of before, which go on
SELECT cost_ledger.set_budget('before', '{}', 'total', 1000) > 0 AS is_set, cost_ledger.set_budget('users before', '{}', 'total', 1000, each_of => 'user_id') > 0 AS is_set;
CALL cost_ledger.refresh();

CREATE FUNCTION pg_temp.answer(question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE question INTO answer;
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END
$$;
CREATE FUNCTION pg_temp.answers() RETURNS TABLE (n bigint, answer text) LANGUAGE sql AS $$
    SELECT q.n, pg_temp.answer(q.question)
    FROM unnest(ARRAY[
        $q$SELECT string_agg(concat_ws(' ', month, actual_cost, actual_calls, actual_cost_per_call, coalesce(active_users::text, 'unknown users')), ', ' ORDER BY month) FROM cost_ledger.estimate_vs_actual WHERE feature = 'chat' AND month < '2026-03-01'$q$,
        $q$SELECT sum(real_cost) FROM cost_ledger.what_if('2026-01-01', '2026-03-01', '[]')$q$,
        $q$SELECT sum(real_cost) FROM cost_ledger.what_if('2026-02-01', '2026-03-01', '[]')$q$,
        $q$SELECT sum(amount) FROM cost_ledger.billed_meters('2026-01-31 12:00', '2026-03-01')$q$,
        $q$SELECT sum(amount) FROM cost_ledger.billed_meters('2026-02-01', '2026-03-01')$q$,
        $q$SELECT samples || ' ' || cost FROM cost_ledger.feature_cost_sample('chat', '2026-01-01', '2026-02-15', 'user')$q$,
        $q$SELECT samples || ' ' || cost FROM cost_ledger.feature_cost_sample('chat', '2026-02-01', '2026-02-15', 'user')$q$,
        $q$SELECT count(*) FROM cost_ledger.estimate_feature_cost('chat', 'p', 'm', 10, 1, 0, 100000, 0, sample_by => 'user', sample_start => '2026-01-01', sample_end => '2026-02-01')$q$,
        $q$SELECT string_agg(concat_ws(' ', billed_from, model, quantity, amount, coalesce(difference::text, '-'), status, is_matched), ', ' ORDER BY billed_from, model) FROM cost_ledger.invoice_reconciliation$q$,
        $q$SELECT string_agg(concat_ws(' ', month, reported_cost), ', ' ORDER BY month) FROM cost_ledger.reported_cost_difference$q$,
        $q$SELECT string_agg(concat_ws(' ', batch_id, coalesce(month::text, 'dropped'), team, calls, amount), ', ' ORDER BY batch_id, month, team) FROM cost_ledger.rerate_batch_summary$q$,
        $q$SELECT bool_and((b.amount, b.calls) = (SELECT (sum(s.amount), sum(s.calls)) FROM cost_ledger.rerate_batch_summary s WHERE s.batch_id = b.batch_id)) FROM cost_ledger.rerate_batch b$q$,
        $q$SELECT concat_ws(' ', called_at, cost, pricing, is_dropped, call IS NULL) FROM cost_ledger.recorded_call('k1')$q$,
        $q$SELECT concat_ws(' ', sum(cost), sum(calls)) FROM cost_ledger.chargeback_by_month$q$,
        $q$SELECT string_agg(concat_ws(' ', name, entity, spent, 'from ' || counts_from), ', ' ORDER BY name, entity) FROM cost_ledger.budget_status$q$,
        $q$SELECT count(*) FROM cost_ledger.check_balances()$q$]) WITH ORDINALITY AS q (question, n)
$$;
SELECT * FROM pg_temp.answers();
SELECT cost_ledger.set_retention(retain_calls => '1 month');
SELECT partition, outcome FROM cost_ledger.apply_retention('2026-03-01');
SELECT * FROM pg_temp.answers();
-- what can be asked of the time since, is
\set VERBOSITY default
SELECT * FROM cost_ledger.what_if('2026-01-01', '2026-03-01');
SELECT * FROM cost_ledger.feature_cost_sample('chat', '2026-01-01', '2026-03-01');
\set VERBOSITY terse
-- a conflict of a dropped event
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key) VALUES ('2026-01-05', 'p', 'm', 1, 'k1');
DO $$
DECLARE
    detail text;
BEGIN
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key) VALUES ('2026-01-05', 'p', 'm', 1, 'k1');
EXCEPTION WHEN SQLSTATE 'LC003' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE WARNING '%', detail;
END
$$;

--
-- Budgets that are set when the calls are gone begin with what the rollups have.
--
SELECT month, team, cost, calls, input_tokens + output_tokens AS tokens FROM cost_ledger.chargeback_by_month ORDER BY month, team;
SELECT count(cost_ledger.set_budget(b.name, b.scope, 'total', 1000, metric => b.metric, each_of => b.each_of))
FROM (VALUES ('all', '{}'::jsonb, 'cost', NULL), ('a', '{"team": "a"}', 'cost', NULL), ('chat by team', '{"feature": "chat"}', 'cost', 'team'), ('nobody', '{"team": "c"}', 'cost', NULL),
             ('calls', '{}', 'calls', 'model'), ('tokens', '{"provider": "p"}', 'tokens', NULL), ('tools', '{}', 'tool_calls', NULL), ('turns', '{}', 'turns', 'feature')) AS b (name, scope, metric, each_of);
SELECT cost_ledger.set_budget('quarter', '{}', 'quarter', 1000) > 0 AS is_set;
SELECT name, entity, spent, unpriced_calls, counts_from FROM cost_ledger.budget_status WHERE name !~ 'before|quarter' ORDER BY name, entity;
-- of whom no rollup is kept, from what is left
SELECT cost_ledger.set_budget('users', '{}', 'total', 1000, each_of => 'user_id') > 0 AS is_set;
SELECT cost_ledger.set_budget('a run', '{"team": "a"}', 'run', 1000) > 0 AS is_set;
SELECT cost_ledger.set_budget('minutes', '{}', 'run', 1000, metric => 'duration') > 0 AS is_set;
SELECT cost_ledger.set_budget('at once', '{}', 'total', 3, metric => 'concurrent_calls') > 0 AS is_set;
SELECT name, entity, spent, counts_from FROM cost_ledger.budget_status WHERE name IN ('users', 'a run', 'users before') ORDER BY name, entity;
SELECT * FROM cost_ledger.check_balances();
-- in a period that begins later nothing is missing, nor in one that is counted otherwise then
SELECT cost_ledger.set_budget('users', '{}', 'month', 1000, each_of => 'user_id') > 0 AS is_set;
SELECT count(*) FROM cost_ledger_internal.budget_gap;
SELECT cost_ledger.set_budget('users', '{}', 'total', 1000, each_of => 'team') > 0 AS is_set;
SELECT name, entity, spent, counts_from FROM cost_ledger.budget_status WHERE name = 'users' ORDER BY name, entity;

-- a call of January that comes now: without a hold, and with one that is there before refresh() is
INSERT INTO cost_ledger.call (called_at, provider, model, feature, team, user_id, input_tokens) VALUES ('2026-01-11', 'p', 'm', 'chat', 'a', 'u1', 1000000);
INSERT INTO cost_ledger.call (called_at, provider, model, feature, team, user_id, input_tokens, hold_id)
SELECT '2026-01-12', 'p', 'm', 'chat', 'a', 'u1', 500000, r.hold_id FROM cost_ledger.reserve('late', '{"team": "a", "feature": "chat", "user_id": "u1"}', 2) r;
SELECT cost_ledger.set_budget('a again', '{"team": "a"}', 'total', 1000) > 0 AS is_set;
SELECT name, spent FROM cost_ledger.budget_status WHERE name IN ('a', 'a again', 'all') ORDER BY name;
SELECT * FROM cost_ledger.check_balances();
CALL cost_ledger.refresh();
SELECT cost_ledger.set_budget('a once more', '{"team": "a"}', 'total', 1000) > 0 AS is_set;
SELECT name, spent FROM cost_ledger.budget_status WHERE name IN ('a', 'a again', 'a once more', 'all') ORDER BY name;
SELECT * FROM cost_ledger.check_balances();
SELECT * FROM pg_temp.answers() WHERE n IN (1, 9, 10, 14);
-- balances that are wrong are still seen
UPDATE cost_ledger_internal.budget_balance SET posted = posted + 1 WHERE period_start < 'infinity' AND budget_id IN (SELECT budget_id FROM cost_ledger.budget WHERE name IN ('a', 'users before'));
SELECT budget_id = (SELECT budget_id FROM cost_ledger.budget WHERE name = 'a') AS of_a, posted - expected AS too_much FROM cost_ledger.check_balances();
-- a window, of which the rollups know the hours
SELECT date_trunc('month', now()) - interval '2 months' + interval '36 hours 10 minutes' AS then \gset
SELECT cost_ledger.create_partitions(:'then'::date, current_date) IS NOT NULL AS made;
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens)
VALUES (:'then', 'p', 'm', 'z', 1000000), (:'then'::timestamptz + interval '1 hour', 'p', 'm', 'z', 2000000), (now() - interval '1 minute', 'p', 'm', 'z', 250000);
CALL cost_ledger.refresh();
SELECT cost_ledger.set_budget('window before', '{"team": "z"}', 'rolling', 100, period_length => '100 days') > 0 AS is_set;
SELECT bool_or(outcome = 'dropped') AS dropped FROM cost_ledger.apply_retention();
SELECT cost_ledger.set_budget('window', '{"team": "z"}', 'rolling', 100, period_length => '100 days') > 0 AS is_set, cost_ledger.set_budget('whole', '{"team": "z"}', 'total', 100, time_zone => 'Asia/Kolkata') > 0 AS is_set;
SELECT name, spent FROM cost_ledger.budget_status WHERE name IN ('window before', 'window', 'whole') ORDER BY name;
SELECT period_start = date_trunc('hour', :'then'::timestamptz) + interval '59 minutes' AS at_its_end, posted
FROM cost_ledger_internal.budget_balance WHERE budget_id = (SELECT budget_id FROM cost_ledger.budget WHERE name = 'window') ORDER BY period_start LIMIT 1;
SELECT count(*) FROM cost_ledger.check_balances() WHERE budget_id NOT IN (SELECT budget_id FROM cost_ledger.budget WHERE name IN ('a', 'users before'));
DELETE FROM cost_ledger.budget WHERE name IN ('a run', 'minutes');
SELECT count(*) FROM cost_ledger_internal.budget_gap;

SELECT cost_ledger.drop_ledger(i_mean_it => true);
