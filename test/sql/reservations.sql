--
-- Decisions: what reserve() grants and refuses, what holds it makes, and what
-- becomes of them.  Every amount is worked out by hand: a million input tokens
-- cost 1, a million output tokens 2.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
-- without a ledger
SELECT cost_ledger.reserve('k', '{}', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.release('k');
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1, "output_tokens": 2}', '2025-01-01') > 0 AS set;

CREATE FUNCTION pg_temp.ask(key text, labels jsonb, estimate numeric DEFAULT NULL, input_tokens bigint DEFAULT NULL, max_output_tokens bigint DEFAULT NULL,
                            ttl interval DEFAULT '10 minutes', check_only boolean DEFAULT false) RETURNS text
    LANGUAGE sql AS $$
    SELECT concat_ws(' ', r.decision, (SELECT b.name FROM cost_ledger.budget b WHERE b.budget_id = r.budget_id),
                     trim_scale(r.spent) || '+' || trim_scale(r.held) || '/' || trim_scale(r.limit_amount),
                     '-> ' || r.degrade_to, CASE WHEN r.hold_id IS NULL THEN 'no hold' END)
    FROM cost_ledger.reserve($1, $2, $3, 'openai', 'm', $4, $5, $6, $7) r
$$;
-- A call of so many millionths of tokens that it costs amount, with the hold of
-- a key.
CREATE FUNCTION pg_temp.call(key text, labels jsonb, amount numeric, model text DEFAULT 'm', status text DEFAULT NULL, at timestamptz DEFAULT now()) RETURNS void
    LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, status, hold_id, team, user_id, feature, run_id, operation, tool_calls_count)
        SELECT $6, 'openai', $4, $3 * 1000000, $5, (SELECT h.hold_id FROM cost_ledger_internal.hold h WHERE h.hold_key = $1),
               $2 ->> 'team', $2 ->> 'user_id', $2 ->> 'feature', $2 ->> 'run_id', $2 ->> 'operation', ($2 ->> 'tool_calls')::integer
$$;
CREATE VIEW balance AS
SELECT b.name, s.entity, sum(s.posted) AS posted, sum(s.held) AS held FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id) WHERE b.is_active GROUP BY 1, 2;
CREATE FUNCTION pg_temp.next() RETURNS void LANGUAGE sql AS 'UPDATE cost_ledger.budget SET is_active = false WHERE is_active';

--
-- what is refused as nonsense
--
SELECT cost_ledger.reserve(NULL, '{}', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.reserve('k', '{"taem": "x"}', 1);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY sqlstate
SELECT cost_ledger.reserve('', '{}', 1);
SELECT cost_ledger.reserve(repeat('k', 513), '{}', 1);
SELECT cost_ledger.reserve('k', '[]', 1);
SELECT cost_ledger.reserve('k', '{"team": ["a"]}', 1);
SELECT cost_ledger.reserve('k', '{}', -1);
SELECT cost_ledger.reserve('k', '{}', 'NaN');
SELECT cost_ledger.reserve('k', '{}', 'Infinity');
-- such sums would be beyond numeric, in every later decision
SELECT cost_ledger.reserve('k', '{}', ('1' || repeat('0', 131071))::numeric);
SELECT cost_ledger.reserve('k', '{}', ('0.' || repeat('0', 100) || '1')::numeric);
SELECT cost_ledger.reserve('k', '{}', input_tokens => -1);
SELECT cost_ledger.reserve('k', '{}', 1, ttl => '0');
SELECT cost_ledger.reserve('k', '{}', 1, ttl => NULL);
\set VERBOSITY default
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cost_ledger.reserve('k', '{}', 1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT decision FROM cost_ledger.reserve('k', '{}', 1, check_only => true);
SELECT decision FROM cost_ledger.reserve('k', '{}', 1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- no budget, no limit; labels may be NULL
SELECT pg_temp.ask('free', NULL, 1e9), pg_temp.ask('free 2', '{"team": null}');
-- '' is none: no run has used up anything, the same key is the same request, and a model is asked for by its label
SELECT cost_ledger.set_budget('each run', '{}', 'run', 0.02) > 0 AS set;
SELECT pg_temp.ask('empty', '{"run_id": "", "team": ""}', 1), pg_temp.ask('empty', '{}', 1), pg_temp.ask('no run', '{"run_id": "r"}', 1);
SELECT decision, spent, held FROM cost_ledger.reserve('model', '{"run_id": "r", "provider": "openai", "model": "m"}', provider => '', model => '', input_tokens => 10000);
SELECT pg_temp.next();

--
-- exactly floor(L / a)
--
SELECT cost_ledger.set_budget('ten', '{"team": "x"}', 'total', 10) > 0 AS set;
SELECT n, pg_temp.ask('a' || n, '{"team": "x"}', 3) FROM generate_series(1, 4) AS n ORDER BY n;
SELECT pg_temp.ask('a5', '{"team": "x"}', 1);
SELECT pg_temp.ask('a6', '{"team": "x"}', 0.000001);
SELECT decision, hold_id, reason, spent, held, limit_amount, resets_at, retry_after BETWEEN '9 minutes' AND '10 minutes' AS when_the_first_hold_expires FROM cost_ledger.reserve('a7', '{"team": "x"}', 0.5);
-- other teams have nothing to do with it
SELECT pg_temp.ask('b1', '{"team": "y"}', 100);
SELECT * FROM balance;
SELECT hold_key, labels, estimate, expires_at - created_at AS ttl, is_expired FROM cost_ledger.open_hold WHERE hold_key LIKE 'a%' ORDER BY hold_key;
SELECT cost_ledger.release('a1') AS first, cost_ledger.release('a1') AS again, cost_ledger.release('nobody''s') AS unknown;
SELECT pg_temp.ask('a8', '{"team": "x"}', 3);

-- settled for less: the rest is free; for more: all of it is posted, and said
SELECT pg_temp.call('a2', '{"team": "x"}', 1.5);
SELECT * FROM balance;
SELECT pg_temp.call('a3', '{"team": "x"}', 5);
SELECT * FROM balance;
SELECT hold_key, state, estimate, cost, overrun, calls, is_late FROM cost_ledger_internal.hold WHERE hold_key IN ('a2', 'a3') ORDER BY 1;
SELECT pg_temp.ask('a9', '{"team": "x"}', 0.1);
SELECT * FROM cost_ledger.check_balances();
-- refresh() does not post it once more
CALL cost_ledger.refresh();
SELECT * FROM balance;
SELECT * FROM cost_ledger.check_balances();

-- many in one transaction, a savepoint rolled back, all rolled back
SELECT cost_ledger.release('a5'), cost_ledger.release('a8');
SELECT pg_temp.ask('c' || n, '{"team": "x"}', 0.5) FROM generate_series(1, 4) AS n ORDER BY n;
BEGIN;
SELECT pg_temp.call('c1', '{"team": "x"}', 0.25);
SAVEPOINT s;
SELECT pg_temp.call('c2', '{"team": "x"}', 0.25);
ROLLBACK TO s;
SELECT pg_temp.call('c3', '{"team": "x"}', 0.125);
SELECT * FROM balance;
COMMIT;
SELECT * FROM balance;
BEGIN;
SELECT pg_temp.call('c4', '{"team": "x"}', 0.25);
ROLLBACK;
SELECT * FROM balance;
SELECT hold_key, state FROM cost_ledger_internal.hold WHERE hold_key LIKE 'c_' ORDER BY 1;
-- at once, if one wants to see it
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT pg_temp.call('c4', '{"team": "x"}', 0.25);
SELECT * FROM balance;
COMMIT;
SELECT * FROM cost_ledger.check_balances();
-- not at another isolation level, where a new budget might be missed
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.call('c2', '{"team": "x"}', 0.25);
COMMIT;
\echo :LAST_ERROR_SQLSTATE
SELECT hold_key, state FROM cost_ledger_internal.hold WHERE hold_key = 'c2';

--
-- a key is one request
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('retried', '{"team": "r"}', 'total', 10) > 0 AS set;
SELECT hold_id AS first FROM cost_ledger.reserve('r1', '{"team": "r"}', 7) \gset
SELECT hold_id = :'first' AS same, decision, spent, held, limit_amount FROM cost_ledger.reserve('r1', '{"team": "r"}', 7.0);
SELECT * FROM balance;
SELECT cost_ledger.reserve('r1', '{"team": "r"}', 8);
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.reserve('r1', '{"team": "s"}', 7);
-- also when it has been settled: the call was made
SELECT pg_temp.call('r1', '{"team": "r"}', 6);
SELECT hold_id = :'first' AS same, decision FROM cost_ledger.reserve('r1', '{"team": "r"}', 7);
-- a refusal is no hold: it may be asked again
SELECT pg_temp.ask('r2', '{"team": "r"}', 5);
SELECT cost_ledger.set_budget('retried', '{"team": "r"}', 'total', 20) > 0 AS set;
SELECT pg_temp.ask('r2', '{"team": "r"}', 5);
SELECT cost_ledger.release('r2');
SELECT cost_ledger.reserve('r2', '{"team": "r"}', 5, 'openai', 'm');
\echo :LAST_ERROR_SQLSTATE

--
-- all budgets or none; the one that refuses is named
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('team', '{"team": "x"}', 'month', 100) > 0 AS set;
SELECT cost_ledger.set_budget('each user', '{}', 'month', 5, each_of => 'user_id') > 0 AS set;
SELECT cost_ledger.set_budget('u1 in chat', '{"user_id": "u1", "feature": "chat"}', 'day', 2) > 0 AS set;
SELECT pg_temp.ask('m1', '{"team": "x", "user_id": "u1", "feature": "chat"}', 2);
SELECT pg_temp.ask('m2', '{"team": "x", "user_id": "u1", "feature": "chat"}', 1);
SELECT * FROM balance ORDER BY 1, 2;
-- a user nobody has seen before has the same limit
SELECT pg_temp.ask('m3', '{"team": "x", "user_id": "u2"}', 5);
SELECT pg_temp.ask('m4', '{"team": "x", "user_id": "u3"}', 5.01);
-- nobody's calls have no user's limit
SELECT pg_temp.ask('m5', '{"team": "x"}', 50);
SELECT * FROM balance ORDER BY 1, 2;
-- a call is posted by its own labels, whatever was reserved
SELECT pg_temp.call('m3', '{"user_id": "u4"}', 4);
SELECT * FROM balance ORDER BY 1, 2;
SELECT name, entity, spent, held, remaining, used_ratio, level FROM cost_ledger.budget_status ORDER BY 1, 2;
SELECT * FROM cost_ledger.check_balances();
-- ids are as long as in the ledger
SELECT pg_temp.ask('m6', jsonb_build_object('user_id', repeat('é', 300)), 3);
SELECT pg_temp.call('m6', jsonb_build_object('user_id', repeat('é', 300)), 4);
SELECT pg_temp.ask('m7', jsonb_build_object('user_id', repeat('é', 300)), 3);
SELECT octet_length(entity) FROM balance WHERE length(entity) > 10;
-- what is known of the price is the estimate: 2 × 1 + 1 × 2
SELECT pg_temp.ask('m8', '{"user_id": "u8"}', NULL, 2000000, 1000000);
SELECT estimate FROM cost_ledger_internal.hold WHERE hold_key = 'm8';
-- nothing known: only a limit that is used up refuses
SELECT pg_temp.ask('m9', '{"user_id": "u8"}'), pg_temp.ask('m10', '{"user_id": "u8"}', 1), pg_temp.ask('m11', '{"user_id": "u8"}');

--
-- expired holds are in nobody's way, and need no job
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('expiring', '{"team": "e"}', 'total', 10) > 0 AS set;
SELECT cost_ledger.set_budget('also', '{"team": "e"}', 'rolling', 10, period_length => '1 hour') > 0 AS set;
SELECT pg_temp.ask('e' || n, '{"team": "e"}', 5) FROM generate_series(1, 2) AS n ORDER BY n;
SELECT pg_temp.ask('e3', '{"team": "e"}', 5);
UPDATE cost_ledger_internal.hold SET expires_at = clock_timestamp() WHERE hold_key IN ('e1', 'e2');
UPDATE cost_ledger_internal.hold_line l SET expires_at = h.expires_at FROM cost_ledger_internal.hold h WHERE h.hold_id = l.hold_id AND h.hold_key IN ('e1', 'e2');
SELECT pg_temp.ask('e4', '{"team": "e"}', 5), pg_temp.ask('e5', '{"team": "e"}', 5), pg_temp.ask('e6', '{"team": "e"}', 5);
SELECT * FROM balance ORDER BY 1;
SELECT pg_temp.ask('e1', '{"team": "e"}', 5);
\echo :LAST_ERROR_SQLSTATE
-- the call comes all the same: posted, and marked
SELECT pg_temp.call('e1', '{"team": "e"}', 4);
SELECT hold_key, state, is_late, cost FROM cost_ledger_internal.hold WHERE hold_key = 'e1';
SELECT * FROM balance ORDER BY 1;
-- the job tidies up
SELECT cost_ledger.check_budgets() >= 0 AS checked;
SELECT hold_key, state, is_late FROM cost_ledger_internal.hold WHERE hold_key IN ('e1', 'e2') ORDER BY 1;
SELECT pg_temp.call('e2', '{"team": "e"}', 1);
SELECT cost_ledger.release('e4');
SELECT pg_temp.call('e4', '{"team": "e"}', 1);
SELECT hold_key, state, is_late FROM cost_ledger_internal.hold WHERE hold_key IN ('e2', 'e4') ORDER BY 1;
SELECT * FROM balance ORDER BY 1;
SELECT * FROM cost_ledger.check_balances();

--
-- what a call brings that is not as expected
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('odd', '{"team": "o"}', 'total', 100) > 0 AS set;
SELECT pg_temp.ask('o' || n, '{"team": "o"}', 3) FROM generate_series(1, 5) AS n ORDER BY n;
-- a success without a price stands for its estimate, until the price comes
SELECT pg_temp.call('o1', '{"team": "o"}', 7, 'new-model');
SELECT * FROM balance;
SELECT state, estimate, cost, provisional, exchanged_at IS NULL AS waits FROM cost_ledger_internal.hold WHERE hold_key = 'o1';
SELECT * FROM cost_ledger.check_balances();
SELECT cost_ledger.set_price('openai', 'new-model', '{"input_tokens": 1}', '2025-01-01') > 0 AS set;
SELECT old_cost, new_cost FROM cost_ledger.rerate('2025-01-01', 'infinity', '{"model": "new-model"}', false, 'price known now');
SELECT * FROM balance;
SELECT name, spent, unpriced_calls FROM cost_ledger.budget_status;
CALL cost_ledger.refresh();
SELECT * FROM balance;
SELECT state, estimate, cost, provisional, exchanged_at IS NULL AS waits FROM cost_ledger_internal.hold WHERE hold_key = 'o1';
SELECT * FROM cost_ledger.check_balances();
-- corrected later: the difference comes with refresh()
SELECT cost_ledger.correct_call(called_at, call_id, '{"input_tokens": 6000000}', 'counted wrong') IS NOT NULL AS corrected
FROM cost_ledger.call WHERE model = 'new-model' AND corrects IS NULL;
CALL cost_ledger.refresh();
SELECT * FROM balance;
-- broken off after a part of the answer: what that cost; without usage: nothing
SELECT pg_temp.call('o2', '{"team": "o"}', 1, status => 'error');
INSERT INTO cost_ledger.call (provider, model, status, hold_id, team) SELECT 'openai', 'm', 'error', hold_id, 'o' FROM cost_ledger_internal.hold WHERE hold_key = 'o3';
SELECT * FROM balance;
SELECT hold_key, state, cost, provisional FROM cost_ledger_internal.hold WHERE hold_key IN ('o2', 'o3') ORDER BY 1;
-- a hold that nobody granted
INSERT INTO cost_ledger.call (provider, model, input_tokens, hold_id, team) VALUES ('openai', 'm', 2000000, 'ffffffff-0000-0000-0000-000000000001', 'o');
SELECT hold_key, state, is_unknown, cost, calls FROM cost_ledger_internal.hold WHERE is_unknown;
-- two calls with one hold
SELECT pg_temp.call('o4', '{"team": "o"}', 1), pg_temp.call('o4', '{"team": "o"}', 2);
SELECT hold_key, state, cost, calls FROM cost_ledger_internal.hold WHERE hold_key = 'o4';
-- a replay is recorded once, and settles once
INSERT INTO cost_ledger.call (provider, model, input_tokens, hold_id, team, event_key) SELECT 'openai', 'm', 1000000, hold_id, 'o', 'o5' FROM cost_ledger_internal.hold WHERE hold_key = 'o5';
INSERT INTO cost_ledger.call (provider, model, input_tokens, hold_id, team, event_key) SELECT 'openai', 'm', 1000000, hold_id, 'o', 'o5' FROM cost_ledger_internal.hold WHERE hold_key = 'o5';
SELECT * FROM balance;
CALL cost_ledger.refresh();
SELECT * FROM balance;
SELECT * FROM cost_ledger.check_balances();
-- the past of a budget that is set now: with holds, without, and estimates
SELECT pg_temp.call(NULL, '{"team": "o"}', 10);
SELECT pg_temp.ask('o6', '{"team": "o"}', 3);
SELECT pg_temp.call('o6', '{"team": "o"}', 1, 'unknown');
CALL cost_ledger.refresh();
SELECT cost_ledger.set_budget('same, later', '{"team": "o"}', 'total', 100, '{0.2,0.9,1}') > 0 AS set;
SELECT * FROM balance ORDER BY 1;
SELECT b.name AS budget, a.threshold, a.kind, a.spent FROM cost_ledger.alert a JOIN cost_ledger.budget b USING (budget_id) WHERE a.kind = 'seeded';
SELECT cost_ledger.check_budgets();

--
-- levels and what they ask for
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('levels', '{"team": "l"}', 'day', 10, '{0.5,0.6,0.7,1.2}', actions => '{warn,throttle,degrade,defer}', degrade_to => 'm-mini') > 0 AS set;
SELECT pg_temp.ask('l1', '{"team": "l"}', 4.9), pg_temp.ask('l2', '{"team": "l"}', 0.1), pg_temp.ask('l3', '{"team": "l"}', 1), pg_temp.ask('l4', '{"team": "l"}', 1);
-- nothing is held by a question
SELECT pg_temp.ask(NULL, '{"team": "l"}', 5, check_only => true), pg_temp.ask(NULL, '{"team": "l"}', 5.1, check_only => true);
SELECT * FROM balance;
SELECT decision, resets_at = date_trunc('day', now()) + interval '1 day' AS at_midnight, retry_after > '0' AS later FROM cost_ledger.reserve('l5', '{"team": "l"}', 5.1);
-- 12 is 1.2 times the amount
SELECT pg_temp.ask('l6', '{"team": "l"}', 5);
-- the strongest decides
SELECT cost_ledger.set_budget('only warns', '{"team": "none"}', 'day', 1, '{0.1}') > 0 AS set;
SELECT pg_temp.ask('l7', '{"team": "none"}', 50);
SELECT cost_ledger.release('l6');
SELECT pg_temp.ask('l8', '{"team": "l"}', 0.1);
\set VERBOSITY sqlstate
SELECT cost_ledger.set_budget('bad', '{}', 'day', 1, '{0.5,1}', actions => '{stop}');
SELECT cost_ledger.set_budget('bad', '{}', 'day', 1, '{1}', actions => '{shout}');
SELECT cost_ledger.set_budget('bad', '{}', 'day', 1, '{1}', actions => '{degrade}');
SELECT cost_ledger.set_budget('bad', '{}', 'day', 1, each_of => 'tags');
SELECT cost_ledger.set_budget('bad', '{}', 'run', 1, each_of => 'user_id');
SELECT cost_ledger.set_budget('bad', '{}', 'rolling', 1);
SELECT cost_ledger.set_budget('bad', '{}', 'rolling', 1, period_length => '90 seconds');
SELECT cost_ledger.set_budget('bad', '{}', 'day', 1, period_length => '1 hour');
SELECT cost_ledger.set_budget('bad', '{}', 'week', 1, week_start => 8);
SELECT cost_ledger.set_budget('bad', '{}', 'day', 1, metric => 'smiles');
SELECT cost_ledger.set_budget('bad', '{}', 'day', 1, metric => 'depth');
SELECT cost_ledger.set_budget('bad', '{}', 'request', 1, metric => 'turns');
SELECT cost_ledger.set_budget('bad', '{}', 'minute', 1, metric => 'concurrent_calls');
\set VERBOSITY default
SELECT count(*) FROM cost_ledger.budget WHERE name = 'bad';

-- raised for a while, with a reason
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('raised', '{"team": "t"}', 'total', 10) > 0 AS set;
SELECT pg_temp.ask('t1', '{"team": "t"}', 10), pg_temp.ask('t2', '{"team": "t"}', 5);
SELECT cost_ledger.raise_budget('raised', 15, now() + interval '1 day', 'launch');
SELECT pg_temp.ask('t2', '{"team": "t"}', 5);
UPDATE cost_ledger.budget_version SET valid_from = now() - interval '2 days', valid_to = now() WHERE reason = 'launch';
SELECT name, version, limit_amount, held, remaining, level FROM cost_ledger.budget_status;
SELECT version, limit_amount, valid_to IS NOT NULL AS ended, reason FROM cost_ledger.budget_version JOIN cost_ledger.budget USING (budget_id) WHERE name = 'raised' ORDER BY 1;
\set VERBOSITY sqlstate
SELECT cost_ledger.raise_budget('nobody''s', 15, now() + interval '1 day', 'launch');
SELECT cost_ledger.raise_budget('raised', 15, now() + interval '1 day', '');
SELECT cost_ledger.raise_budget('raised', 15, now(), 'launch');
SELECT cost_ledger.raise_budget('raised', 0, now() + interval '1 day', 'launch');
\set VERBOSITY default

--
-- every metric
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('a request', '{"feature": "f1"}', 'request', 1) > 0 AS set;
SELECT pg_temp.ask('q1', '{"feature": "f1"}', 1), pg_temp.ask('q2', '{"feature": "f1"}', 1), pg_temp.ask('q3', '{"feature": "f1"}', 1.01);
SELECT cost_ledger.set_budget('tokens', '{"feature": "f2"}', 'total', 1000, metric => 'tokens') > 0 AS set;
SELECT pg_temp.ask('q4', '{"feature": "f2"}', NULL, 400, 500), pg_temp.ask('q5', '{"feature": "f2"}', NULL, 100, 1);
SELECT cost_ledger.set_budget('calls', '{"feature": "f3"}', 'total', 2, metric => 'calls') > 0 AS set;
SELECT pg_temp.ask('q6', '{"feature": "f3"}'), pg_temp.ask('q7', '{"feature": "f3"}'), pg_temp.ask('q8', '{"feature": "f3"}');
SELECT cost_ledger.set_budget('at once', '{"feature": "f4"}', 'total', 2, metric => 'concurrent_calls') > 0 AS set;
SELECT pg_temp.ask('q9', '{"feature": "f4"}'), pg_temp.ask('q10', '{"feature": "f4"}'), pg_temp.ask('q11', '{"feature": "f4"}');
SELECT pg_temp.call('q9', '{"feature": "f4"}', 1);
SELECT pg_temp.ask('q11', '{"feature": "f4"}'), pg_temp.ask('q12', '{"feature": "f4"}');
SELECT cost_ledger.set_budget('turns', '{"feature": "f5"}', 'run', 2, metric => 'turns') > 0 AS set;
SELECT pg_temp.call(NULL, '{"feature": "f5", "run_id": "r1"}', 1), pg_temp.call(NULL, '{"feature": "f5", "run_id": "r1", "operation": "judge"}', 1);
CALL cost_ledger.refresh();
SELECT pg_temp.ask('q13', '{"feature": "f5", "run_id": "r1"}'), pg_temp.ask('q14', '{"feature": "f5", "run_id": "r1"}'),
       pg_temp.ask('q15', '{"feature": "f5", "run_id": "r1", "operation": "judge"}'), pg_temp.ask('q16', '{"feature": "f5", "run_id": "r2"}');
SELECT cost_ledger.set_budget('tools', '{"feature": "f6"}', 'run', 5, metric => 'tool_calls') > 0 AS set;
SELECT pg_temp.ask('q17', '{"feature": "f6", "run_id": "r1"}');
SELECT pg_temp.call('q17', '{"feature": "f6", "run_id": "r1", "tool_calls": "5"}', 1);
SELECT pg_temp.ask('q18', '{"feature": "f6", "run_id": "r1"}');
SELECT cost_ledger.set_budget('depth', '{"feature": "f7"}', 'request', 2, metric => 'depth') > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, run_id, parent_run_id) VALUES ('openai', 'm', 'd0', NULL), ('openai', 'm', 'd1', 'd0'), ('openai', 'm', 'd2', 'd1');
CALL cost_ledger.refresh();
SELECT pg_temp.ask('q19', '{"feature": "f7", "run_id": "d2"}'), pg_temp.ask('q20', '{"feature": "f7", "run_id": "d3", "parent_run_id": "d2"}'),
       pg_temp.ask('q21', '{"feature": "f7", "depth": "2"}'), pg_temp.ask('q22', '{"feature": "f7", "depth": "3"}');
SELECT cost_ledger.set_budget('minutes', '{"feature": "f8"}', 'run', 1800, metric => 'duration') > 0 AS set;
SELECT pg_temp.call(NULL, '{"feature": "f8", "run_id": "r1"}', 1, at => now() - interval '29 minutes'), pg_temp.call(NULL, '{"feature": "f8", "run_id": "r2"}', 1, at => now() - interval '30 minutes');
CALL cost_ledger.refresh();
SELECT split_part(pg_temp.ask('q23', '{"feature": "f8", "run_id": "r1"}'), ' ', 1) AS r1, split_part(pg_temp.ask('q24', '{"feature": "f8", "run_id": "r2"}'), ' ', 1) AS r2,
       split_part(pg_temp.ask('q25', '{"feature": "f8", "run_id": "r3"}'), ' ', 1) AS r3;
-- the last hour: what is older does not count
SELECT cost_ledger.set_budget('hour', '{"feature": "f9"}', 'rolling', 10, period_length => '1 hour') > 0 AS set;
SELECT pg_temp.call(NULL, '{"feature": "f9"}', 7, at => now() - interval '62 minutes'), pg_temp.call(NULL, '{"feature": "f9"}', 4, at => now() - interval '58 minutes');
CALL cost_ledger.refresh();
SELECT pg_temp.ask('q26', '{"feature": "f9"}', 3), pg_temp.ask('q27', '{"feature": "f9"}', 3), pg_temp.ask('q28', '{"feature": "f9"}', 0.1);
SELECT name, spent, held, remaining FROM cost_ledger.budget_status WHERE name = 'hour';
SELECT pg_temp.call('q26', '{"feature": "f9"}', 2);
SELECT name, spent, held, remaining FROM cost_ledger.budget_status WHERE name = 'hour';
SELECT * FROM cost_ledger.check_balances();
SELECT cost_ledger.check_budgets() > 0 AS alerted, cost_ledger.check_budgets() AS again;
SELECT budget, entity, threshold, level, spent, limit_amount, currency FROM cost_ledger.unacknowledged_alert
WHERE budget IN ('turns', 'tools', 'hour', 'tokens', 'calls') ORDER BY 1, 2, 3;

-- by flow: calls with a hold, calls that refresh() has not seen, and paused ones
SELECT cost_ledger.set_budget('flows', '{"feature": "f10"}', 'total', 5, each_of => 'flow') + cost_ledger.set_budget('a flow', '{"feature": "f10", "flow": "checkout"}', 'total', 4) > 0 AS set;
SELECT pg_temp.ask('q29', '{"feature": "f10", "flow": "checkout"}', 2), pg_temp.ask('q30', '{"feature": "f10", "flow": "search"}', 5), pg_temp.ask('q31', '{"feature": "f10"}', 6);
INSERT INTO cost_ledger.call (provider, model, input_tokens, feature, flow, hold_id)
VALUES ('openai', 'm', 1500000, 'f10', 'checkout', (SELECT hold_id FROM cost_ledger_internal.hold WHERE hold_key = 'q29')), ('openai', 'm', 1000000, 'f10', 'checkout', NULL);
SELECT name, entity, spent, held FROM cost_ledger.budget_status WHERE name IN ('flows', 'a flow') ORDER BY name, entity;
CALL cost_ledger.refresh();
SELECT pg_temp.ask('q32', '{"feature": "f10", "flow": "checkout"}', 1.5), pg_temp.ask('q33', '{"feature": "f10", "flow": "checkout"}', 0.1), pg_temp.ask('q34', '{"feature": "f10", "flow": "search"}', 0.1);
SELECT cost_ledger.pause('{"flow": "search"}', 'looked at') > 0 AS paused;
SELECT pg_temp.ask('q35', '{"feature": "f10", "flow": "search"}', 0), pg_temp.ask('q36', '{"feature": "f10", "flow": "help"}', 0);
SELECT cost_ledger.resume('{"flow": "search"}') AS resumed;
SELECT * FROM cost_ledger.check_balances();

-- minutes that no window sees any more go
INSERT INTO cost_ledger_internal.budget_balance (budget_id, period_start, posted)
    SELECT b.budget_id, date_trunc('minute', now() - v.ago), 1 FROM cost_ledger.budget b, (VALUES (interval '24 hours'), ('26 hours')) AS v (ago) WHERE b.name = 'hour';
SELECT cost_ledger.check_budgets();
SELECT count(*) AS old_minutes FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id)
WHERE b.name = 'hour' AND s.period_start > '-infinity' AND s.period_start < now() - interval '2 hours';

--
-- the kill switch
--
SELECT cost_ledger.pause('{"agent": "crawler"}', 'runs away') > 0 AS paused;
SELECT decision, reason, hold_id, budget_id, retry_after FROM cost_ledger.reserve('p1', '{"agent": "crawler", "team": "z"}', 1);
SELECT pg_temp.ask('p2', '{"agent": "reader"}', 1);
SELECT cost_ledger.pause('{"agent": "reader"}', 'until later', now() + interval '1 hour') > 0 AS paused;
SELECT decision, reason, retry_after > '59 minutes' AS in_an_hour FROM cost_ledger.reserve('p2', '{"agent": "reader"}', 1, 'openai', 'm');
SELECT cost_ledger.resume('{"agent": "crawler"}'), cost_ledger.resume('{"agent": "crawler"}') AS again;
SELECT pg_temp.ask('p1', '{"agent": "crawler", "team": "z"}', 1);
UPDATE cost_ledger.pause SET until = now() WHERE until IS NOT NULL;
SELECT pg_temp.ask('p3', '{"agent": "reader"}', 1);
SELECT scope, reason, paused_by = current_user AS by_me, resumed_at IS NOT NULL AS resumed, resumed_by = current_user AS by_me_too FROM cost_ledger.pause ORDER BY pause_id;
\set VERBOSITY sqlstate
SELECT cost_ledger.pause('{"agent": "crawler"}', '');
SELECT cost_ledger.pause('{"agnt": "crawler"}', 'x');
SELECT cost_ledger.pause('{}', 'x', now());
-- what is not there is not everything
SELECT cost_ledger.pause((SELECT b.scope FROM cost_ledger.budget b WHERE b.name = 'no such budget'), 'x');
SELECT cost_ledger.resume(NULL);
SELECT cost_ledger.pause('null', 'x');
\set VERBOSITY default

--
-- the period before, other weeks, quarters
--
SELECT p.* FROM (VALUES (1, 'week', 7), (2, 'week', 1), (3, 'quarter', 1), (4, 'hour', 1), (5, 'minute', 1), (6, 'total', 1)) AS v (n, period, week_start),
    cost_ledger_internal.budget_period(v.period, '2026-05-17 18:45:30Z', 'Asia/Kolkata', v.week_start) p ORDER BY n;
SELECT * FROM cost_ledger_internal.budget_period('rolling', '2026-05-17 18:45:30Z', 'UTC', 1, '90 minutes');

--
-- who may do what: a client that inserts settles without any right on budgets
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('client', '{"team": "c"}', 'total', 10) > 0 AS set;
CREATE ROLE regress_client;
SELECT cost_ledger.grant_writer('regress_client');
SELECT hold_id AS held FROM cost_ledger.reserve('client', '{"team": "c"}', 3) \gset
SET ROLE regress_client;
INSERT INTO cost_ledger.call (provider, model, input_tokens, hold_id, team) VALUES ('openai', 'm', 2000000, :'held', 'c');
\set VERBOSITY sqlstate
SELECT cost_ledger.reserve('client 2', '{"team": "c"}', 3);
\set VERBOSITY default
RESET ROLE;
SELECT * FROM balance;
-- as a gateway, it reserves too
SELECT cost_ledger.grant_gateway('regress_client');
SET ROLE regress_client;
SELECT decision FROM cost_ledger.reserve('client 2', '{"team": "c"}', 3);
SELECT cost_ledger.release('client 2');
SELECT cost_ledger.pause('{}', 'not mine to say');
RESET ROLE;
-- who pulls the switch, and cannot say that somebody else did
CREATE ROLE regress_oncall;
SELECT cost_ledger.grant_operator('regress_oncall');
SET ROLE regress_oncall;
SELECT cost_ledger.pause('{"agent": "nobody"}', 'mine to say') > 0 AS paused;
SELECT cost_ledger.resume('{"agent": "nobody"}');
INSERT INTO cost_ledger.pause (scope, reason, paused_by) VALUES ('{}', 'x', 'somebody else');
RESET ROLE;
SELECT paused_by, resumed_by FROM cost_ledger.pause WHERE scope = '{"agent": "nobody"}';
DROP OWNED BY regress_oncall;
DROP ROLE regress_oncall;
RESET ROLE;
SELECT * FROM balance;
DROP OWNED BY regress_client;
DROP ROLE regress_client;
-- a budget goes with what it has
SELECT decision FROM cost_ledger.reserve('gone', '{"team": "c"}', 3);
DELETE FROM cost_ledger.budget WHERE name = 'client';
SELECT count(*) FROM cost_ledger_internal.budget_balance s WHERE NOT EXISTS (SELECT FROM cost_ledger.budget b WHERE b.budget_id = s.budget_id);
SELECT pg_temp.call('gone', '{"team": "c"}', 3);
SELECT hold_key, state FROM cost_ledger_internal.hold WHERE hold_key = 'gone';
SELECT count(*) FROM cost_ledger_internal.budget_balance WHERE held < 0;
DROP VIEW balance;
--
-- holds that were over long ago are forgotten; open ones, and estimates that stand
-- in for a price, are not
--
SELECT count(*) > 3 AS some, count(*) FILTER (WHERE state = 'open') > 0 AS open, count(*) FILTER (WHERE provisional IS NOT NULL AND exchanged_at IS NULL) AS provisional FROM cost_ledger_internal.hold;
SELECT cost_ledger_internal.prune_holds();
SELECT cost_ledger.set_retention(retain_holds => '7 days');
SELECT cost_ledger.set_retention(retain_holds => '8 days');
SELECT cost_ledger_internal.prune_holds(now() + interval '7 days');
SELECT count(*) AS over FROM cost_ledger_internal.hold WHERE state <> 'open' AND (provisional IS NULL OR exchanged_at IS NOT NULL) \gset
-- once a day
SELECT cost_ledger_internal.prune_holds(now() + interval '7 days 23 hours');
SELECT cost_ledger_internal.prune_holds(now() + interval '9 days', 2);
SELECT cost_ledger_internal.prune_holds(now() + interval '9 days') = :over - 2 AS pruned;
SELECT count(*) FROM cost_ledger_internal.hold WHERE state <> 'open' AND (provisional IS NULL OR exchanged_at IS NOT NULL);
SELECT count(*) FILTER (WHERE state = 'open') > 0 AS open, count(*) FILTER (WHERE provisional IS NOT NULL AND exchanged_at IS NULL) AS provisional FROM cost_ledger_internal.hold;
SELECT count(*) FROM cost_ledger.check_balances();

SELECT cost_ledger.drop_ledger(i_mean_it => true);
