-- Sessions, users and their plans, a day in one view, now, and one click deeper: of
-- what is in the rollups and of what is not, for who sees all and for who does not.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger('Europe/Berlin') \g /dev/null
SELECT cost_ledger.create_partitions('2026-01-01', '2026-06-01') \g /dev/null
-- However long ago the times below are.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1, "output_tokens": 2}', '2026-01-01') \g /dev/null

-- A conversation whose every turn sends what was said before: 1000, 1500, 2000.  A
-- retry and a judge are no turns of it.  2500 of 4500 were carried.
INSERT INTO cost_ledger.call (called_at, provider, model, operation, session_id, user_id, input_tokens, output_tokens) VALUES
    ('2026-03-02 10:00Z', 'p', 'm', NULL, 's1', 'u1', 1000, 100), ('2026-03-02 10:01Z', 'p', 'm', 'chat', 's1', 'u1', 1500, 100),
    ('2026-03-02 10:02Z', 'p', 'm', 'retry', 's1', 'u1', 7000, 0), ('2026-03-02 10:03Z', 'p', 'm', 'primary', 's1', 'u1', 2000, 100),
    ('2026-03-02 10:04Z', 'p', 'm', 'judge', 's1', 'u1', 10, 1), ('2026-03-02 23:30Z', 'p', 'm', NULL, 's2', 'u2', 500, 5), ('2026-03-02 12:00Z', 'p', 'm', NULL, 's3', 'u2', NULL, 5);
CREATE VIEW pg_temp.conversation AS
    SELECT session_id, calls, turns, input_tokens, context_tokens, min_context_tokens AS min, max_context_tokens AS max, mean_context_growth AS growth, carried_tokens AS carried, carried_ratio,
           cost, mean_cost_per_turn
    FROM cost_ledger.session ORDER BY session_id;
CREATE VIEW pg_temp.conversations AS SELECT day, sessions, p50_turns, p95_turns, p50_tokens, p95_tokens, mean_cost, p95_cost, max_cost, cost FROM cost_ledger.cost_per_session_by_day ORDER BY day;
SELECT * FROM pg_temp.conversation;
SELECT * FROM pg_temp.conversations;
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.conversation;
SELECT * FROM pg_temp.conversations;
-- Both sides of refresh(), a call that is earlier than all others, and one that is taken back.
INSERT INTO cost_ledger.call (called_at, provider, model, session_id, user_id, input_tokens) VALUES ('2026-03-01 22:00Z', 'p', 'm', 's1', 'u1', 250), ('2026-03-02 11:00Z', 'p', 'm', 's1', 'u1', 2500);
SELECT * FROM pg_temp.conversation WHERE session_id = 's1';
SELECT day, sessions, p95_turns, p95_tokens, cost FROM pg_temp.conversations;
CALL cost_ledger.refresh();
SELECT count(cost_ledger.void_call(c.called_at, c.call_id, 'twice')) FROM cost_ledger.call c WHERE c.session_id = 's1' AND c.input_tokens IN (250, 2500);
SELECT * FROM pg_temp.conversation WHERE session_id = 's1';
SELECT day, sessions, p95_turns, p95_tokens, cost FROM pg_temp.conversations;
SELECT * FROM cost_ledger.check_rollups();

-- Ten users of January on two plans: the dearest fifth cost 21 of 60.
INSERT INTO cost_ledger.call (called_at, provider, model, user_id, feature, cohort, team, input_tokens)
    SELECT '2026-01-15Z', 'p', 'm', 'user ' || i, 'f' || i % 2, CASE WHEN i > 7 THEN 'pro' WHEN i > 2 THEN 'basic' END, 'team ' || i % 2, i * 1000000 FROM generate_series(1, 10) i;
-- One user on two plans, calls without a user, and one without a price.
INSERT INTO cost_ledger.call (called_at, provider, model, user_id, feature, cohort, input_tokens) VALUES
    ('2026-01-20Z', 'p', 'm', 'user 10', 'f0', 'basic', 2000000), ('2026-01-20Z', 'p', 'm', NULL, 'f0', 'pro', 3000000), ('2026-01-20Z', 'p', 'unknown', 'user 11', NULL, 'pro', 5);
SELECT user_id, calls, cost, rank, share, cumulated_share, rank_ratio FROM cost_ledger.cost_by_user WHERE month = '2026-01-01' ORDER BY rank;
SELECT max(cumulated_share) AS of_the_dearest_fifth FROM cost_ledger.cost_by_user WHERE month = '2026-01-01' AND rank_ratio <= 0.2;
SELECT user_id, feature, is_allocated, calls, cost, user_share, feature_share FROM cost_ledger.cost_by_user_feature WHERE month = '2026-01-01' AND user_id IN ('user 10', 'user 11', '(unallocated)') ORDER BY 1, 2;
CALL cost_ledger.refresh();
-- 999 rupees are 11.7882; the price of the month is that of its end.
SELECT cost_ledger.set_plan_price('pro', 999, '2025-01-01', 'INR');
SELECT plan, plan_amount, plan_currency, price, users, users_above_price, p95_cost_to_price_ratio FROM cost_ledger.cost_per_user_by_plan WHERE month = '2026-01-01' AND plan = 'pro';
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('INR', '2025-01-01', 0.0118);
SELECT cost_ledger.set_plan_price('basic', 9, '2025-01-01'), cost_ledger.set_plan_price('basic', 4, '2026-01-31', note => 'cut'), cost_ledger.set_plan_price('basic', 5, '2026-01-31', note => 'cut less'),
       cost_ledger.set_plan_price('basic', 3, '2026-02-02'), cost_ledger.set_plan_price(NULL, 0, '2026-03-01') \g /dev/null
SELECT plan, valid_from, price, currency, note FROM cost_ledger.plan_price ORDER BY 1, 2;
SELECT plan, is_allocated, plan_amount, plan_currency, price, users, mean_cost, p95_cost, max_cost, cost, mean_cost_to_price_ratio AS mean_ratio, p95_cost_to_price_ratio AS p95_ratio,
       users_above_price AS above, users_above_price_ratio AS above_ratio, margin
    FROM cost_ledger.cost_per_user_by_plan WHERE month = '2026-01-01' ORDER BY plan;
\set VERBOSITY sqlstate
SELECT cost_ledger.set_plan_price('x', -1);
SELECT cost_ledger.set_plan_price('x', 'NaN');
SELECT cost_ledger.set_plan_price('x', NULL);
SELECT cost_ledger.set_plan_price('x', 1, 'infinity');
SELECT cost_ledger.set_plan_price('x', 1, currency => 'rupees');
SELECT * FROM cost_ledger.drill('week');
SELECT * FROM cost_ledger.drill('day', '{"nobody": "x"}');
SELECT * FROM cost_ledger.drill('day', '{}', '2026-02-01', '2026-01-01');
\set VERBOSITY default

-- One click deeper, each row's arguments leading to the next, to the calls of one run.
INSERT INTO cost_ledger.call (called_at, provider, model, user_id, run_id, team, customer, tags, input_tokens, duration_ms, event_key)
    SELECT timestamptz '2026-04-10 00:00Z' + i * interval '11 minutes', 'p', CASE WHEN i % 20 = 0 THEN 'unknown' ELSE 'm' END, 'u' || i % 7, CASE WHEN i % 6 > 0 THEN 'run ' || i / 4 END,
           'team ' || i % 2, 'c' || i % 3, jsonb_build_object('tier', 't' || i % 2), i * 1000, 2000, 'e' || i FROM generate_series(1, 300) i;
SELECT cost_ledger.correct_call('e100', '{"input_tokens": 300000}', 'recount') > 0 AS corrected;
CALL cost_ledger.refresh();
INSERT INTO cost_ledger.call (called_at, provider, model, user_id, run_id, team, customer, input_tokens) VALUES ('2026-04-11 05:30Z', 'p', 'm', 'u1', 'run 160', 'team 0', 'c0', 7000000);
SELECT d.* FROM cost_ledger.drill('day', '{"team": "team 0"}', '2026-04-09 22:00Z', '2026-04-13 22:00Z') d;
SELECT d.* FROM cost_ledger.drill('day', '{"team": "team 0"}', '2026-04-09 22:00Z', '2026-04-13 22:00Z') a, cost_ledger.drill(a.next_level, a.next_filter, a.starts_at, a.ends_at) d
    WHERE a.value = '2026-04-11' AND d.cost > 1;
SELECT d.value, d.starts_at, d.ends_at, d.calls, d.cost, d.next_level, d.next_filter
    FROM cost_ledger.drill('hour', '{"team": "team 0"}', '2026-04-11 05:00Z', '2026-04-11 06:00Z') a, cost_ledger.drill(a.next_level, a.next_filter, a.starts_at, a.ends_at) d;
SELECT d.value, d.is_allocated, d.calls, d.cost, d.next_level, d.next_filter
    FROM cost_ledger.drill('user', '{"team": "team 0"}', '2026-04-11 05:00Z', '2026-04-11 06:00Z') a, cost_ledger.drill(a.next_level, a.next_filter, a.starts_at, a.ends_at) d WHERE a.value = 'u1';
SELECT d.starts_at, d.ends_at, d.calls, d.input_tokens, d.cost, d.next_level, d.next_filter FROM cost_ledger.drill('call', '{"run_id": "run 25"}') d;
SELECT value, is_allocated, next_filter FROM cost_ledger.drill('run', '{"user_id": "u1", "tags": {"tier": "t0"}}', '2026-04-10', '2026-04-10 06:00Z') ORDER BY is_allocated, value;
-- At each level, whatever it is read from, all costs and calls of the range.
CREATE FUNCTION pg_temp.levels() RETURNS TABLE (of text, level text, wrong bigint) LANGUAGE sql AS $$
    SELECT r.of, l.level, (SELECT count(*) FROM (SELECT coalesce(sum(d.calls), 0) AS calls, sum(d.cost) AS cost, coalesce(sum(d.input_tokens), 0) AS input, coalesce(sum(d.unpriced_calls), 0) AS unpriced
                                              FROM cost_ledger.drill(l.level, r.filter, r.t, r.u) d) d
            WHERE ROW(d.*) IS DISTINCT FROM
                  (SELECT ROW(count(*) FILTER (WHERE c.corrects IS NULL)::numeric, sum(c.cost), coalesce(sum(c.input_tokens), 0), count(*) FILTER (WHERE c.pricing = 'unpriced' AND c.corrects IS NULL)::numeric)
                   FROM cost_ledger.call_detail c
                   WHERE c.called_at >= r.t AND c.called_at < r.u AND (r.filter ->> 'team' IS NULL OR c.team = r.filter ->> 'team')
                     AND (r.filter ->> 'user_id' IS NULL OR c.user_id = r.filter ->> 'user_id') AND (r.filter ->> 'run_id' IS NULL OR c.run_id = r.filter ->> 'run_id')))
    FROM (VALUES ('all', '{}'::jsonb, timestamptz '-infinity', timestamptz 'infinity'), ('days', '{"team": "team 1"}', '2026-04-09 22:00Z', '2026-04-12 22:00Z'),
                 ('hours', '{"team": "team 1"}', '2026-04-10 07:00Z', '2026-04-11 09:00Z'), ('minutes', '{}', '2026-04-10 07:07Z', '2026-04-11 09:09Z'),
                 ('days and minutes', '{"team": "team 1"}', '2026-04-10 07:07Z', '2026-04-12 09:09Z'),
                 ('a user', '{"user_id": "u3"}', '2026-04-09 22:00Z', '2026-04-12 22:00Z'), ('a run', '{"run_id": "run 160"}', '-infinity', 'infinity')) AS r (of, filter, t, u)
    CROSS JOIN unnest('{day,hour,user,run,call}'::text[]) AS l (level)
$$;
SELECT count(*) AS compared, count(*) FILTER (WHERE wrong > 0) AS differ FROM pg_temp.levels();
SELECT of, level FROM pg_temp.levels() WHERE wrong > 0;
-- What begins or ends within a day is read from the calls at its ends only, which may be all that is left.
BEGIN;
UPDATE cost_ledger_internal.rollup_state SET calls_from = '2026-04-12 07:00Z';
SELECT value, calls, cost FROM cost_ledger.drill('day', '{"team": "team 0"}', '2026-04-09 22:00Z', '2026-04-12 07:30Z');
SELECT count(*), sum(calls), sum(cost) FROM cost_ledger.drill('hour', '{"team": "team 0"}', '2026-04-09 22:00Z', '2026-04-12 07:30Z');
SELECT sum(calls), sum(cost) FROM cost_ledger.drill('user', '{}', '2026-04-09 22:00Z', '2026-04-12 22:00Z');
UPDATE cost_ledger_internal.rollup_state SET hours_from = '2026-04-12 07:00Z';
SELECT value, calls, cost FROM cost_ledger.drill('day', '{"team": "team 0"}', '2026-04-09 22:00Z', '2026-04-12 07:30Z');
SELECT value, calls, cost FROM cost_ledger.drill('day', '{"team": "team 0"}', '2026-04-09 22:00Z', '2026-04-12 06:30Z');
ROLLBACK;
-- A summer's night with an hour twice.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team) VALUES ('2025-10-26 00:30Z', 'p', 'm', 1, 'night'), ('2025-10-26 01:30Z', 'p', 'm', 1, 'night');
SELECT value, starts_at, ends_at, calls FROM cost_ledger.drill('hour', '{"team": "night"}', '2025-10-25', '2025-10-27');

-- A day: total, by model, by feature, and what an outcome costs.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, customer, status, accepted, input_tokens) VALUES
    ('2026-05-04 10:00Z', 'p', 'm', 'answers', 'acme', 'success', true, 3000000), ('2026-05-04 11:00Z', 'p', 'm', 'answers', 'acme', 'error', NULL, 1000000),
    ('2026-05-04 12:00Z', 'p', 'm2', NULL, 'acme', NULL, true, 1000000), ('2026-04-27 12:00Z', 'p', 'm', 'answers', NULL, NULL, false, 2000000);
SELECT label, value, is_allocated, calls, failed_calls AS failed, unpriced_calls AS unpriced, accepted_calls AS accepted, cost, share, mean_cost_per_call AS per_call, mean_cost_per_successful_call AS per_success,
       mean_cost_per_accepted_call AS per_accepted, previous_cost AS previous, change, change_ratio
    FROM cost_ledger.daily_summary WHERE day = '2026-05-04' ORDER BY label, value;
SELECT label, sum(cost) - (SELECT sum(cost) FROM cost_ledger.call) AS difference FROM cost_ledger.daily_summary GROUP BY label ORDER BY label;

-- Of a day of credits, more or less is no fraction.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, input_tokens, event_key) VALUES ('2026-06-01 10:00Z', 'p', 'm', 'refunded', 1000000, 'refunded');
INSERT INTO cost_ledger.call (called_at, provider, model, feature, corrects, input_tokens, cost, pricing) SELECT called_at, provider, model, feature, call_id, -3000000, -3, 'priced' FROM cost_ledger.call WHERE event_key = 'refunded';
INSERT INTO cost_ledger.call (called_at, provider, model, feature, input_tokens) VALUES ('2026-06-08 10:00Z', 'p', 'm', 'refunded', 1000000);
SELECT day, cost, previous_cost, change, change_ratio FROM cost_ledger.daily_summary WHERE day IN ('2026-06-01', '2026-06-08') AND value = 'refunded' ORDER BY day;

-- Now: of the last minute, five minutes, the hour, today, and a week ago.
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens, output_tokens)
    SELECT now() - i * interval '3 minutes', 'p', 'm', CASE WHEN i % 2 = 0 THEN 'even' END, 60000, 0 FROM generate_series(0, 15) i;
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens)
    SELECT cost_ledger_internal.day_start((now() AT TIME ZONE 'Europe/Berlin')::date - 7, 'Europe/Berlin'), 'p', 'm', 'even', 4000000 WHERE now() < '2200-01-01';
CREATE VIEW pg_temp.now AS
    -- Windows are of 1 to 2, 5 to 6 and 60 to 61 minutes.
    SELECT label, value, is_allocated, rate_1m BETWEEN 1.7 AND 3.7 AS rate_1m, rate_5m BETWEEN 1.1 AND 1.5 AS rate_5m, calls_per_minute_1h BETWEEN 0.25 AND 0.28 AS calls, tokens_per_minute_1h BETWEEN 15000 AND 16500 AS tokens, previous_cost > 0 AS before
    FROM cost_ledger.spend_now WHERE label = 'total';
SELECT * FROM pg_temp.now;
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.now;
-- What has no price costs nobody knows what.
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens) VALUES (now(), 'p', 'unheard of', 'unknown', 1000);
SELECT rate_1m, rate_5m, rate_1h, calls_per_minute_5m > 0 AS calls, today_cost, today_unpriced_calls FROM cost_ledger.spend_now WHERE label = 'team' AND value = 'unknown';
-- What has stopped costs nothing today.
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens)
    SELECT cost_ledger_internal.day_start((now() AT TIME ZONE 'Europe/Berlin')::date - 7, 'Europe/Berlin'), 'p', 'm', 'stopped', 4000000;
SELECT today_calls, today_cost, rate_1h, previous_cost > 0 AS before, change = -previous_cost AS less FROM cost_ledger.spend_now WHERE label = 'team' AND value = 'stopped';
SELECT value, is_allocated, calls_per_minute_1h > 0.1 AS calls FROM cost_ledger.spend_now WHERE label = 'team' AND calls_per_minute_1h > 0 ORDER BY value;
SELECT s.today_cost = d.cost AND s.today_calls = d.calls AS same FROM cost_ledger.spend_now s JOIN cost_ledger.daily_summary d ON d.label = 'total' AND d.starts_at <= now() AND d.ends_at > now() WHERE s.label = 'total';
SELECT label, count(*) > 0 AS some, sum(rate_1h) - (SELECT rate_1h FROM cost_ledger.spend_now WHERE label = 'total') BETWEEN -1e-9 AND 1e-9 AS whole FROM cost_ledger.spend_now GROUP BY label ORDER BY label;

-- A reader of one team: as a ledger of its calls.
CREATE ROLE regress_sessions;
SELECT cost_ledger.grant_team_reader('regress_sessions', 'team 1') \g /dev/null
GRANT EXECUTE ON FUNCTION pg_temp.levels TO regress_sessions;
SET ROLE regress_sessions;
SELECT count(*) AS compared, count(*) FILTER (WHERE wrong > 0) AS differ FROM pg_temp.levels();
SELECT DISTINCT next_filter FROM cost_ledger.drill('day', '{"team": "team 0"}');
SELECT user_id, cost, rank, cumulated_share FROM cost_ledger.cost_by_user WHERE month = '2026-01-01' ORDER BY rank;
SELECT plan, users, cost, users_above_price FROM cost_ledger.cost_per_user_by_plan WHERE month = '2026-01-01' ORDER BY plan;
SELECT label, value, calls, cost FROM cost_ledger.daily_summary WHERE day = '2026-01-15' AND label <> 'cohort' ORDER BY 1, 2;
SELECT count(*) FROM cost_ledger.spend_now WHERE value = 'even';
SELECT count(*) FROM cost_ledger.session;
\set VERBOSITY sqlstate
TABLE cost_ledger.plan_price;
SELECT cost_ledger.set_plan_price('x', 1);
\set VERBOSITY default
RESET ROLE;
SELECT * FROM cost_ledger.check_rollups();
-- Of more runs than are made at once in so little memory: each of them is whole.
INSERT INTO cost_ledger.call (called_at, provider, model, team, run_id, user_id, input_tokens)
    SELECT timestamptz '2026-07-01Z' + i * interval '1 second', 'p', 'm', 'team 1', 'of many ' || i % 5000, 'user of many ' || i % 5000, i FROM generate_series(1, 10000) AS i;
CREATE VIEW pg_temp.many AS
    SELECT count(*) AS runs, count(DISTINCT run_id) AS ids, min(calls), max(calls), sum(cost) AS cost, count(DISTINCT user_id) AS users,
           (SELECT sum(r.cost * r.runs) FROM cost_ledger.run_tree r WHERE r.root_run_id LIKE 'of many%') AS whole FROM cost_ledger.run WHERE run_id LIKE 'of many%';
GRANT SELECT ON pg_temp.many TO regress_sessions;
SELECT * FROM pg_temp.many;
SET ROLE regress_sessions;
SELECT * FROM pg_temp.many;
SET work_mem = '64kB';
SELECT * FROM pg_temp.many;
RESET work_mem;
RESET ROLE;
DROP VIEW pg_temp.many;
SELECT cost_ledger.revoke_team_reader('regress_sessions') \g /dev/null
DROP FUNCTION pg_temp.levels;
DROP ROLE regress_sessions;
DROP VIEW pg_temp.now, pg_temp.conversation, pg_temp.conversations;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
