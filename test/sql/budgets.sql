--
-- Budgets: periods, limits, what counts as spent, alerts and their messages.
-- Every amount is worked out by hand: a million input tokens cost 1.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
-- without a ledger
SELECT cost_ledger.set_budget('all', '{}', 'month', 10);
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.check_budgets();
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.create_ledger(time_zone => 'Europe/Berlin');
SELECT count(*) > 0 AS made FROM cost_ledger.create_partitions('2026-01-01', '2026-12-31') AS p;
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2025-01-01');
CREATE FUNCTION pg_temp.spend(at timestamptz, amount numeric, team text DEFAULT NULL, feature text DEFAULT NULL, user_id text DEFAULT NULL) RETURNS void
    LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, user_id)
        VALUES ($1, 'openai', 'm', $2 * 1000000, $3, $4, $5)
$$;

--
-- periods
--
SELECT p.*, p.period_end - p.period_start AS length
FROM (VALUES (1, 'day', timestamptz '2026-03-28 23:00Z', 'Europe/Berlin'),   -- midnight of the day that clocks go forward
             (2, 'day', '2026-03-28 22:59:59.999999Z', 'Europe/Berlin'),     -- still the day before
             (3, 'day', '2026-10-25 12:00Z', 'Europe/Berlin'),               -- clocks go back
             (4, 'day', '2026-05-01 18:00Z', 'Asia/Kolkata'),                -- 23:30 there
             (5, 'day', '2026-05-01 18:30Z', 'Asia/Kolkata'),                -- 00:00 there
             (6, 'week', '2026-03-01 12:00Z', 'UTC'),                        -- a Sunday
             (7, 'week', '2026-03-02 00:00Z', 'UTC'),                        -- a Monday
             (8, 'month', '2026-03-31 21:59Z', 'Europe/Berlin'),
             (9, 'month', '2026-03-31 22:00Z', 'Europe/Berlin'),
             (10, 'day', '2025-10-26 00:30Z', 'Atlantic/Azores'),            -- the first of two midnight hours
             (11, 'day', '2025-10-26 01:30Z', 'Atlantic/Azores'),            -- the second
             (12, 'day', '2025-10-25 23:30Z', 'Atlantic/Azores')             -- the day before
     ) AS v (n, period, at, zone),
     cost_ledger_internal.budget_period(v.period, v.at, v.zone) p
ORDER BY n;
SELECT t, cost_ledger_internal.budget_level(t) FROM unnest('{NULL,0.000001,0.899999,0.9,0.999999,1,100}'::numeric[]) AS t;

--
-- what set_budget() refuses
--
SELECT cost_ledger.set_budget(NULL, '{}', 'month', 10);
SELECT cost_ledger.set_budget('', '{}', 'month', 10);
SELECT cost_ledger.set_budget(repeat('é', 33), '{}', 'month', 10);
SELECT cost_ledger.set_budget(E'two\nlines', '{}', 'month', 10);
SELECT cost_ledger.set_budget('b', '{"user": "u1"}', 'month', 10);
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.set_budget('b', '{"team": {"is": null}}', 'month', 10);
SELECT cost_ledger.set_budget('b', '{"team": ""}', 'month', 10);
SELECT cost_ledger.set_budget('b', '{"team": [["a"], "b"]}', 'month', 10);
SELECT cost_ledger.set_budget('b', '["team"]', 'month', 10);
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.set_budget('b', '{}', 'fortnight', 10);
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.set_budget('b', '{}', NULL, 10);
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, time_zone => 'Mars/Olympus');
\echo :LAST_ERROR_SQLSTATE
-- an abbreviation has no summer time
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, time_zone => 'CEST');
SELECT cost_ledger.set_budget('b', '{}', 'month', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.set_budget('b', '{}', 'month', NULL);
\set VERBOSITY sqlstate
SELECT cost_ledger.set_budget('b', '{}', 'month', -1);
SELECT cost_ledger.set_budget('b', '{}', 'month', 'NaN');
SELECT cost_ledger.set_budget('b', '{}', 'month', 'Infinity');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{}');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{0.5,0}');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{0.5,NULL}');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{0.5,NaN}');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{101}');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{0.1234567}');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{1,2,3,4,5,6,7,8,9,10,11}');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{{0.5,1}}');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{{0.5,NULL},{0.7,1}}');
SELECT cost_ledger.set_budget('b', '{}', 'month', '1e31');
SELECT cost_ledger.set_budget('b', '{}', 'month', '1e-31');
\set VERBOSITY default
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{0.5,0.5}', actions => '{warn,stop}');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{0.5}', actions => '{degrade}', degrade_to => '');
SELECT cost_ledger.set_budget('b', '{}', 'week', 10, week_start => 2147483647);
SELECT cost_ledger.set_budget('b', '{}', 'month', 10, '{80,100,101}');
SELECT count(*) AS budgets FROM cost_ledger.budget;

--
-- a budget and its versions
--
SELECT cost_ledger.set_budget('search', '{"team": "search"}', 'month', 100) AS search \gset
SELECT cost_ledger.set_budget('search', '{"team": "search"}', 'month', 100.00, '{1,0.70,0.9,0.7}') = :search AS same;
CREATE VIEW budget_limit AS
SELECT b.name, b.scope, b.period, b.time_zone, v.limit_amount, v.thresholds, v.actions, v.version, v.valid_to IS NULL AS is_open, b.is_active
FROM cost_ledger.budget b JOIN cost_ledger.budget_version v USING (budget_id);
SELECT * FROM budget_limit;
-- another limit is another version, however it is set; its name and state are not its limit
SELECT cost_ledger.set_budget('search', '{"team": "search"}', 'month', 200) = :search AS same;
SELECT cost_ledger.set_budget('search', '{"team": "search"}', 'month', 200, '{1.0,0.5}') = :search AS same;
UPDATE cost_ledger.budget SET time_zone = 'Asia/Kolkata';
UPDATE cost_ledger.budget SET is_active = false, name = 'find';
UPDATE cost_ledger.budget SET time_zone = 'Asia/Nowhere';
SELECT cost_ledger.set_budget('find', '{"team": "search"}', 'month', 200, '{0.5,1}', 'Asia/Kolkata') = :search AS same;
SELECT * FROM budget_limit ORDER BY version;
DROP VIEW budget_limit;
-- constraints hold where nobody looks
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.budget (name, period) VALUES ('find', 'month');
INSERT INTO cost_ledger.budget (name, period) VALUES (E'\t', 'month');
INSERT INTO cost_ledger.budget (name, scope, period) VALUES ('x', '{"team": ""}', 'month');
INSERT INTO cost_ledger.budget (name, period) VALUES ('x', 'year');
INSERT INTO cost_ledger.budget_version (budget_id, version, limit_amount) VALUES (:search, 99, 0);
INSERT INTO cost_ledger.budget_version (budget_id, version, limit_amount) VALUES (-1, 1, 1);
\set VERBOSITY default
DELETE FROM cost_ledger.budget;

--
-- what counts, where and when
--
SELECT cost_ledger.set_budget('all', '{}', 'month', 1000) AS every_call \gset
SELECT cost_ledger.set_budget('search day', '{"team": "search"}', 'day', 10) AS search_day \gset
SELECT cost_ledger.set_budget('search day in India', '{"team": "search"}', 'day', 10, time_zone => 'Asia/Kolkata') AS search_india \gset
SELECT cost_ledger.set_budget('rag of u1', '{"feature": "rag", "user_id": "u1", "provider": "openai", "model": "m"}', 'week', 10) AS rag \gset
CREATE VIEW cost_ledger_spent AS
SELECT a.alert_id, b.name, a.budget_version AS version, a.starts_at, a.threshold, a.level, a.is_late, a.spent, a.limit_amount, a.unpriced_calls
FROM cost_ledger.alert a JOIN cost_ledger.budget b USING (budget_id);
-- 23:30 of 9 May and 00:30 of 10 May in Berlin
SELECT pg_temp.spend('2026-05-09 21:30Z', 6.999999, 'search');
SELECT pg_temp.spend('2026-05-09 22:30Z', 100, 'search');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-05-09 21:45Z');
SELECT * FROM cost_ledger_spent ORDER BY 1;
-- the millionth that was missing: of whatever feature and user
SELECT pg_temp.spend('2026-05-08 22:00Z', 0.000001, 'search', 'rag', 'u9');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-05-09 21:45Z');
SELECT * FROM cost_ledger_spent ORDER BY 1;
-- other teams, and calls of nobody, are not the team's
SELECT pg_temp.spend('2026-05-09 12:00Z', 1000, 'ads');
SELECT pg_temp.spend('2026-05-09 12:00Z', 1000);
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-05-09 21:45Z');
SELECT * FROM cost_ledger_spent WHERE alert_id > 3 ORDER BY 1;
-- all labels must match
SELECT pg_temp.spend('2026-05-11 12:00Z', 50, feature => 'rag', user_id => 'u2');
SELECT pg_temp.spend('2026-05-11 12:00Z', 50, feature => 'chat', user_id => 'u1');
SELECT pg_temp.spend('2026-05-11 12:00Z', 8, feature => 'rag', user_id => 'u1');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-05-17 21:59Z');
SELECT * FROM cost_ledger_spent WHERE alert_id > 6 ORDER BY 1;
-- once per threshold and period
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-05-17 21:59Z') AS again, cost_ledger_internal.check_budgets('2026-05-09 21:45Z') AS and_again;
SELECT nextval(pg_get_serial_sequence('cost_ledger.alert', 'alert_id')) - max(alert_id) AS identities_used FROM cost_ledger.alert;

-- the day that clocks go forward begins at 23:00 and lasts 23 hours
SELECT cost_ledger.set_budget('dst', '{"team": "dst"}', 'day', 10, '{1.0}') AS dst \gset
SELECT pg_temp.spend('2026-03-28 22:59:59.999999Z', 1, 'dst'), pg_temp.spend('2026-03-28 23:00Z', 10, 'dst'),
       pg_temp.spend('2026-03-29 21:59:59.999999Z', 20, 'dst'), pg_temp.spend('2026-03-29 22:00Z', 100, 'dst');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-03-29 12:00Z');
SELECT starts_at, ends_at, threshold, spent FROM cost_ledger.alert WHERE budget_id = :dst;

--
-- another limit alerts anew
--
SELECT cost_ledger.set_budget('search day', '{"team": "search"}', 'day', 7.5, '{0.5}') = :search_day AS same;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-05-09 21:45Z');
SELECT version, threshold, level, spent, limit_amount FROM cost_ledger_spent WHERE name = 'search day' ORDER BY alert_id;
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :search_day;
UPDATE cost_ledger.budget_version SET limit_amount = 1 WHERE budget_id = :search_day;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-05-09 21:45Z') AS inactive;

--
-- calls that come when their period is over
--
SELECT cost_ledger.set_budget('late', '{"team": "late"}', 'day', 10, '{0.5,1.0}') AS late \gset
SELECT pg_temp.spend('2026-06-01 12:00Z', 7, 'late'), pg_temp.spend('2026-06-02 12:00Z', 20, 'late');
-- the limit is younger than that
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-06-03 12:00Z');
UPDATE cost_ledger.budget_version SET valid_from = '2026-06-02 22:00Z' WHERE budget_id = :late;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-06-03 12:00Z');
UPDATE cost_ledger.budget_version SET valid_from = '2026-06-02 21:59:59.999999Z' WHERE budget_id = :late;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-06-03 12:00Z');
-- not late when it was noticed in time
UPDATE cost_ledger.budget_version SET valid_from = '2026-01-01' WHERE budget_id = :late;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-06-01 13:00Z');
SELECT pg_temp.spend('2026-06-01 12:00Z', 3, 'late');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-06-02 12:00Z');
SELECT starts_at, threshold, is_late, spent FROM cost_ledger_spent WHERE name = 'late' ORDER BY alert_id;
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :late;

--
-- unpriced calls are counted, and corrections are spent or given back
--
SELECT cost_ledger.set_budget('mixed', '{"team": "mixed"}', 'month', 10, '{0.1,1.0}') AS mixed \gset
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, other_usage, team) VALUES
    ('2026-07-01 12:00Z', 'openai', 'm', 9000000, NULL, 'mixed'),
    ('2026-07-01 12:00Z', 'openai', 'nobody knows', 9000000, NULL, 'mixed'),
    ('2026-07-01 12:00Z', 'openai', 'm', 0, '{"images": 5}', 'mixed');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z');
-- 9 becomes 10, and later 2
SELECT cost_ledger.correct_call(called_at, call_id, '{"input_tokens": 10000000}', 'counted wrong') IS NOT NULL AS corrected
FROM cost_ledger.call WHERE team = 'mixed' AND cost = 9;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z');
SELECT threshold, spent, unpriced_calls FROM cost_ledger_spent WHERE name = 'mixed' ORDER BY alert_id;

-- 7 of 10 are crossed at 8; 6.8 is not 5 percent below 7, 6.6 is: resolved, and
-- at 7 crossed again
SELECT cost_ledger.set_budget('mends', '{"team": "mends"}', 'month', 10, '{0.7,1.0}') AS mends \gset
SELECT pg_temp.spend('2026-07-02Z', 8, 'mends');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z');
SELECT cost_ledger.correct_call(called_at, call_id, '{"input_tokens": 6800000}', 'counted wrong') > 0 AS corrected FROM cost_ledger.call WHERE team = 'mends' AND corrects IS NULL;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z');
SELECT threshold, occurrence, spent, resolved_at IS NOT NULL AS resolved FROM cost_ledger.alert WHERE budget_id = :mends ORDER BY alert_id;
SELECT cost_ledger.correct_call(called_at, call_id, '{"input_tokens": 6600000}', 'counted wrong') > 0 AS corrected FROM cost_ledger.call WHERE team = 'mends' AND corrects IS NULL;
CALL cost_ledger.refresh();
-- of a period that is over nothing is resolved
SELECT cost_ledger_internal.check_budgets('2026-08-01 12:00Z');
SELECT count(*) AS open FROM cost_ledger.alert WHERE budget_id = :mends AND resolved_at IS NULL;
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z');
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z');
SELECT threshold, occurrence, spent, resolved_at IS NOT NULL AS resolved FROM cost_ledger.alert WHERE budget_id = :mends ORDER BY alert_id;
SELECT pg_temp.spend('2026-07-02Z', 0.4, 'mends');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z');
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z');
SELECT threshold, occurrence, spent, resolved_at IS NOT NULL AS resolved, payload ->> 'occurrence' AS said FROM cost_ledger.alert WHERE budget_id = :mends ORDER BY alert_id;
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :mends;
SELECT cost_ledger.set_budget('none', '{"team": "none"}', 'month', 0.000001) AS none \gset
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team) VALUES ('2026-07-01 12:00Z', 'openai', 'nobody knows', 1, 'none');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z') AS nothing_known_to_be_spent;

--
-- what counts otherwise, or is switched on again, has reached already what it
-- then finds: no news
--
SELECT pg_temp.spend('2026-07-02Z', 8, 'moves');
CALL cost_ledger.refresh();
SELECT cost_ledger.set_budget('moves', '{"team": "elsewhere"}', 'total', 10, '{0.5,1.0}') AS moves \gset
SELECT cost_ledger.set_budget('moves', '{"team": "moves"}', 'total', 10, '{0.5,1.0}') = :moves AS same;
SELECT kind, threshold, budget_version FROM cost_ledger.alert WHERE budget_id = :moves ORDER BY alert_id;
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :moves;
SELECT pg_temp.spend('2026-07-02Z', 3, 'moves');
CALL cost_ledger.refresh();
SELECT cost_ledger.set_budget('moves', '{"team": "moves"}', 'total', 10, '{0.5,1.0}') = :moves AS same;
SELECT kind, threshold, budget_version FROM cost_ledger.alert WHERE budget_id = :moves ORDER BY alert_id;
-- of the same again there is nothing to find, and a limit that changes alerts
SELECT cost_ledger.set_budget('moves', '{"team": "moves"}', 'total', 10, '{0.5,1.0}') = :moves AS same;
SELECT cost_ledger.set_budget('moves', '{"team": "moves"}', 'total', 11, '{0.5,1.0}') = :moves AS same;
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z');
SELECT kind, threshold, budget_version FROM cost_ledger.alert WHERE budget_id = :moves ORDER BY alert_id;
-- by whatever way: edited, switched on, made by hand
SELECT cost_ledger.set_budget('edited', '{"team": "elsewhere"}', 'total', 10, '{0.5,1.0}') AS edited \gset
UPDATE cost_ledger.budget SET scope = '{"team": "moves"}' WHERE budget_id = :edited;
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z') AS no_news;
SELECT kind, threshold, budget_version FROM cost_ledger.alert WHERE budget_id = :edited ORDER BY alert_id;
SELECT cost_ledger.set_budget('edited', '{"team": "moves"}', 'total', 13, '{0.5,1.0}') = :edited AS same;
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :edited;
SELECT pg_temp.spend('2026-07-02Z', 3, 'moves');
CALL cost_ledger.refresh();
UPDATE cost_ledger.budget SET is_active = true WHERE budget_id = :edited;
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z') AS of_the_other_budget;
SELECT kind, threshold, budget_version FROM cost_ledger.alert WHERE budget_id = :edited ORDER BY alert_id;
INSERT INTO cost_ledger.budget (name, scope, period, match_key) VALUES ('by hand', '{"team": "moves"}', 'total', '') RETURNING budget_id AS by_hand \gset
INSERT INTO cost_ledger.budget_version (budget_id, version, limit_amount) VALUES (:by_hand, 1, 14);
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z') AS no_news;
SELECT kind, threshold, budget_version FROM cost_ledger.alert WHERE budget_id = :by_hand ORDER BY alert_id;
-- what counts otherwise is measured by the limit that comes with it
SELECT cost_ledger.set_budget('edited', '{"team": "moves", "provider": "openai"}', 'total', 20, '{0.5,1.0}') = :edited AS same;
SELECT kind, threshold, budget_version, limit_amount FROM cost_ledger.alert WHERE budget_id = :edited ORDER BY alert_id;
-- a limit that has raised alerts is history, also within its transaction: the next one alerts anew
BEGIN;
SELECT cost_ledger.set_budget('twice', '{"team": "moves"}', 'total', 20, '{0.6}') AS twice \gset
SELECT cost_ledger.set_budget('twice', '{"team": "moves"}', 'total', 22, '{0.6}') = :twice AS same;
SELECT cost_ledger.set_budget('twice', '{"team": "moves"}', 'total', 30, '{0.6}') = :twice AS same;
SELECT cost_ledger.set_budget('twice', '{"team": "moves"}', 'total', 25, '{0.6}') = :twice AS same;
SELECT cost_ledger.raise_budget('twice', 100, now() + interval '1 day', 'a launch');
SELECT cost_ledger.set_budget('twice', '{"team": "moves"}', 'total', 24, '{0.6}') = :twice AS same;
COMMIT;
SELECT version, limit_amount, valid_to > valid_from AS was_valid FROM cost_ledger.budget_version WHERE budget_id = :twice ORDER BY version;
SELECT pg_temp.spend('2026-07-02Z', 1, 'moves');
CALL cost_ledger.refresh();
SELECT kind, threshold, budget_version, spent, limit_amount FROM cost_ledger.alert WHERE budget_id = :twice ORDER BY alert_id;
SELECT count(*) FROM (SELECT cost_ledger_internal.check_budgets('2026-07-15 12:00Z')) AS c;
SELECT kind, threshold, budget_version, spent, limit_amount FROM cost_ledger.alert WHERE budget_id = :twice ORDER BY alert_id;
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id IN (:moves, :edited, :by_hand, :twice);

--
-- a raise that was over with its period is what that was held against
--
SELECT count(*) > 0 AS made FROM cost_ledger.create_partitions('2025-06-01', '2025-07-31') AS p;
SELECT cost_ledger.set_budget('raised', '{"team": "raised"}', 'month', 10, '{0.5,1.0}') AS raised \gset
UPDATE cost_ledger.budget_version SET valid_from = '2025-01-01' WHERE budget_id = :raised;
SELECT cost_ledger.raise_budget('raised', 100, now() + interval '1 day', 'a launch');
UPDATE cost_ledger.budget_version SET valid_from = '2025-06-05', valid_to = '2025-07-01 00:00 Europe/Berlin' WHERE budget_id = :raised AND version = 2;
SELECT pg_temp.spend('2025-06-20Z', 20, 'raised'), pg_temp.spend('2025-07-02Z', 6, 'raised');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2025-07-15 12:00Z') AS of_july;
SELECT pg_temp.spend('2025-06-20Z', 40, 'raised');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2025-07-15 12:00Z') AS late;
SELECT budget_version, starts_at, threshold, is_late, spent, limit_amount FROM cost_ledger.alert WHERE budget_id = :raised ORDER BY alert_id;
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :raised;

--
-- a rolling window alerts once per its length, and all that is over when it has moved on
--
SELECT cost_ledger.set_budget('rolls', '{"team": "rolls"}', 'rolling', 10, '{0.5}', period_length => '1 hour') AS rolls \gset
SELECT pg_temp.spend('2026-07-15 12:40Z', 8, 'rolls');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:50Z') AS one, cost_ledger_internal.check_budgets('2026-07-15 12:55Z') AS still;
SELECT cost_ledger_internal.check_budgets('2026-07-15 13:30Z') AS another;
SELECT cost_ledger_internal.check_budgets('2026-07-15 13:45Z') AS none;
SELECT starts_at, ends_at, spent, resolved_at IS NOT NULL AS resolved FROM cost_ledger.alert WHERE budget_id = :rolls ORDER BY alert_id;
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :rolls;
-- what was seeded is no news either while it is in the window
SELECT cost_ledger.set_budget('rolls on', '{"team": "rolls on"}', 'rolling', 10, '{0.5,1}', period_length => '1 hour') AS rolls_on \gset
SELECT pg_temp.spend('2026-07-15 12:40Z', 8, 'rolls on');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 12:50Z', :rolls_on) AS seeded, cost_ledger_internal.check_budgets('2026-07-15 13:30Z') AS no_news;
SELECT pg_temp.spend('2026-07-15 13:30Z', 3, 'rolls on');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 13:35Z') AS news;
SELECT cost_ledger_internal.check_budgets('2026-07-15 13:45Z') AS over;
SELECT pg_temp.spend('2026-07-15 13:50Z', 3, 'rolls on');
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-07-15 13:55Z') AS news;
SELECT kind, threshold, occurrence, starts_at, spent, resolved_at IS NOT NULL AS resolved FROM cost_ledger.alert WHERE budget_id = :rolls_on ORDER BY alert_id;
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :rolls_on;
-- a day is 24 hours, whatever the clocks of a session do
SELECT cost_ledger.set_budget('a day', '{"team": "rolls"}', 'rolling', 10, period_length => '1 day') AS a_day \gset
SET TIME ZONE 'Europe/Berlin';
SELECT timezone('UTC', p.period_start) AS period_start
FROM cost_ledger.budget b, cost_ledger_internal.budget_period(b.period, '2026-03-29 12:00Z', 'UTC', 1, b.period_length) p WHERE b.budget_id = :a_day;
SET TIME ZONE 'UTC';
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :a_day;

--
-- alerts stay as they are, until somebody takes note
--
UPDATE cost_ledger.alert SET spent = 0;
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY sqlstate
UPDATE cost_ledger.alert SET spent = 0, acknowledged_at = now(), acknowledged_by = 'x';
DELETE FROM cost_ledger.alert;
TRUNCATE cost_ledger.alert;
UPDATE cost_ledger.alert SET acknowledged_at = now();
DELETE FROM cost_ledger.budget WHERE budget_id = :mixed;
SELECT cost_ledger.acknowledge(-1);
\set VERBOSITY default
SELECT cost_ledger.acknowledge(NULL);
SELECT level, threshold, budget, scope FROM cost_ledger.unacknowledged_alert WHERE budget IN ('all', 'mixed') ORDER BY alert_id;
-- who knows that 1.0 was reached knows of 0.9
SELECT cost_ledger.acknowledge(alert_id) FROM cost_ledger.alert WHERE budget_id = :every_call AND threshold = 0.9;
SELECT cost_ledger.acknowledge(alert_id) FROM cost_ledger.alert WHERE budget_id = :every_call AND threshold = 1.0;
SELECT cost_ledger.acknowledge(alert_id) FROM cost_ledger.alert WHERE budget_id = :every_call AND threshold = 1.0;
SELECT threshold, acknowledged_by = current_user AS by_me, nullif(acknowledged_by, current_user) AS by_other, acknowledged_at = now() AS at_now
FROM cost_ledger.alert WHERE budget_id = :every_call ORDER BY threshold;
UPDATE cost_ledger.alert SET acknowledged_at = NULL, acknowledged_by = NULL WHERE budget_id = :every_call;
\echo :LAST_ERROR_SQLSTATE
SELECT level, threshold, budget, scope FROM cost_ledger.unacknowledged_alert WHERE budget IN ('all', 'mixed') ORDER BY alert_id;

--
-- messages
--
SELECT jsonb_pretty(message::jsonb) AS message FROM cost_ledger.unacknowledged_alert WHERE budget = 'mixed' AND threshold = 1.0;
-- whatever people call their teams: everything that JSON must escape, 10 kB of it
UPDATE cost_ledger.budget SET is_active = false;
CREATE TABLE weird AS SELECT n, name FROM (VALUES
    (1, repeat('x', 10000)), (2, repeat('"', 10000)), (3, repeat('\', 10000)), (4, repeat(E'\x01', 10000)),
    (5, repeat('🦀', 10000)), (6, repeat(E'\n\t', 5000)), (7, 'team "A"\'), (8, '''; DROP TABLE x; --')) AS v (n, name);
-- and prices of as many digits as anybody likes
SELECT cost_ledger.set_price('openai', 'precise', '{"input_tokens": 1.234567890123456789012345678901234567890123456789}', '2025-01-01') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, customer, user_id)
SELECT '2026-08-01 12:00Z', 'openai', 'precise', 999999999999, name, name, name, left(name, 100) FROM weird;
SELECT count(cost_ledger.set_budget(repeat('"', 60) || n,
           jsonb_build_object('team', name, 'feature', name, 'customer', name, 'user_id', left(name, 100), 'provider', 'openai', 'model', 'precise'),
           'month', 11111.123456789012345678901234567890123456789,
           '{0.100001,0.200002,0.300003,0.400004,0.500005,0.600006,0.700007,0.800008,0.900009,9.999999}'))
FROM weird;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_budgets('2026-08-15 12:00Z');
SELECT right(b.name, 1) AS n,
       max(octet_length(u.message)) < 1000 AS fits,
       bool_and(u.message::jsonb ->> 'id' = u.alert_id::text) AS has_id,
       bool_and(u.message::jsonb ?& '{scope,spent,limit_amount,budget,threshold,crossed,period}') AS is_whole,
       bool_and(u.scope::jsonb ->> 'team' = cost_ledger_internal.shorten_label(w.name)) AS scope_whole_in_alert,
       min(left((u.message::jsonb -> 'scope' -> 'team')::text, 30)) AS team_in_message
FROM cost_ledger.unacknowledged_alert u JOIN cost_ledger.budget b USING (budget_id) JOIN weird w ON right(b.name, 1) = w.n::text
WHERE b.name LIKE '"%'
GROUP BY b.name ORDER BY b.name;
SELECT count(*) AS alerts, max(spent) AS spent, max(message::jsonb ->> 'spent') AS spent_said, max(message::jsonb ->> 'limit_amount') AS limit_said
FROM cost_ledger.unacknowledged_alert WHERE budget LIKE '"%';
-- nothing can be too long
SELECT cost_ledger_internal.fit_message(jsonb_build_object('v', 1, 'id', 7, 'kind', 'threshold', 'level', 'stop', 'scope', '{}'::jsonb, 'budget', repeat('x', 1000)));
DROP TABLE weird;

--
-- how budgets stand now
--
DROP VIEW cost_ledger_spent;
UPDATE cost_ledger.budget SET is_active = false;
SELECT cost_ledger.set_budget('now', '{"team": "now"}', 'month', 3, time_zone => 'UTC') > 0 AS set;
SELECT cost_ledger.set_budget('idle', '{"team": "idle"}', 'day', 3) > 0 AS set;
SELECT cost_ledger.set_budget('over', '{"team": "now"}', 'month', 0.5, time_zone => 'UTC') > 0 AS set;
SELECT pg_temp.spend(now(), 2, 'now'), pg_temp.spend(date_trunc('month', now()), 0.7, 'now'),
       pg_temp.spend(date_trunc('month', now()) - interval '1 microsecond', 50, 'now'),
       pg_temp.spend(date_trunc('month', now()) + interval '1 month', 50, 'now');
INSERT INTO cost_ledger.call (provider, model, input_tokens, team) VALUES ('openai', 'nobody knows', 1, 'now');
SELECT name, scope, period, time_zone, currency, limit_amount, spent, remaining, used_ratio, threshold, level, unpriced_calls,
       starts_at <= now() AND now() < ends_at AS current
FROM cost_ledger.budget_status ORDER BY name;
-- the same once they are posted, and alerts say the same
CALL cost_ledger.refresh();
SELECT name, limit_amount, spent, remaining, used_ratio, threshold, level, unpriced_calls FROM cost_ledger.budget_status ORDER BY name;
SELECT * FROM cost_ledger.check_balances();
SELECT cost_ledger.check_budgets();
SELECT s.name, max(a.threshold) = s.threshold AS same_threshold, bool_and(a.spent = s.spent) AS same_spent,
       bool_and(a.unpriced_calls = s.unpriced_calls) AS same_unpriced, bool_and((a.starts_at, a.ends_at) = (s.starts_at, s.ends_at)) AS same_period
FROM cost_ledger.budget_status s JOIN cost_ledger.alert a USING (budget_id) GROUP BY s.name, s.threshold ORDER BY s.name;
SELECT cost_ledger.check_budgets() AS again;

--
-- who may do what
--
CREATE ROLE regress_oncall;
SELECT cost_ledger.grant_operator('regress_oncall');
SELECT max(alert_id) AS of_now FROM cost_ledger.unacknowledged_alert WHERE budget = 'now' \gset
SET ROLE regress_oncall;
SELECT cost_ledger.acknowledge(:of_now);
\set VERBOSITY sqlstate
SELECT cost_ledger.check_budgets();
SELECT cost_ledger_internal.check_budgets(now());
SELECT cost_ledger.set_budget('mine', '{}', 'day', 1);
SELECT * FROM cost_ledger.budget_status;
\set VERBOSITY default
RESET ROLE;
DROP OWNED BY regress_oncall;
DROP ROLE regress_oncall;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
