--
-- Holds in transactions of every shape, across the ends of periods, and when
-- prices come in parts or budgets change under them.  A million input tokens cost 1.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT count(*) > 0 AS made FROM cost_ledger.create_partitions(now() - interval '3 months', now() + interval '3 months') AS p;
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
CREATE FUNCTION pg_temp.ask(key text, labels jsonb, estimate numeric DEFAULT NULL, ttl interval DEFAULT '10 minutes') RETURNS text
    LANGUAGE sql AS $$
    SELECT concat_ws(' ', r.decision, (SELECT b.name FROM cost_ledger.budget b WHERE b.budget_id = r.budget_id),
                     trim_scale(r.spent) || '+' || trim_scale(r.held) || '/' || trim_scale(r.limit_amount), CASE WHEN r.hold_id IS NULL THEN 'no hold' END)
    FROM cost_ledger.reserve($1, $2, $3, 'openai', 'm', ttl => $4) r
$$;
CREATE FUNCTION pg_temp.call(key text, team text, amount numeric, model text DEFAULT 'm', at timestamptz DEFAULT now()) RETURNS void
    LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, hold_id, team)
        SELECT $5, 'openai', $4, $3 * 1000000, (SELECT h.hold_id FROM cost_ledger_internal.hold h WHERE h.hold_key = $1), $2
$$;
CREATE VIEW balance AS
SELECT b.name, s.entity, sum(s.posted) AS posted, sum(s.held) AS held FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id) WHERE b.is_active GROUP BY 1, 2;
CREATE FUNCTION pg_temp.expire(key text) RETURNS void LANGUAGE sql AS $$
    UPDATE cost_ledger_internal.hold SET expires_at = clock_timestamp() WHERE hold_key LIKE $1;
    UPDATE cost_ledger_internal.hold_line l SET expires_at = h.expires_at FROM cost_ledger_internal.hold h WHERE h.hold_id = l.hold_id AND h.hold_key LIKE $1
$$;
CREATE FUNCTION pg_temp.next() RETURNS void LANGUAGE sql AS 'UPDATE cost_ledger.budget SET is_active = false WHERE is_active';

--
-- settled in a part of the transaction that is undone: settled again with the rest
--
SELECT cost_ledger.set_budget('parts', '{"team": "p"}', 'total', 100) > 0 AS set;
SELECT pg_temp.ask('p' || n, '{"team": "p"}', 10) FROM generate_series(1, 6) AS n ORDER BY n;
BEGIN;
SELECT pg_temp.call('p1', 'p', 1);
SAVEPOINT s;
SELECT pg_temp.call('p2', 'p', 2);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM balance;
ROLLBACK TO s;
SELECT * FROM balance;
SELECT pg_temp.call('p3', 'p', 3);
COMMIT;
SELECT * FROM balance;
-- a part that stays, in one that is undone, in one that stays
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT pg_temp.call('p4', 'p', 4);
SAVEPOINT a;
SELECT pg_temp.call('p5', 'p', 5);
SAVEPOINT b;
SELECT pg_temp.call('p2', 'p', 2);
RELEASE b;
ROLLBACK TO a;
SET CONSTRAINTS ALL DEFERRED;
SELECT pg_temp.call('p6', 'p', 6);
SELECT * FROM balance;
COMMIT;
SELECT * FROM balance;
-- an error that is caught
SET client_min_messages = warning;
DO $$
BEGIN
    INSERT INTO cost_ledger.call (provider, model, input_tokens, hold_id, team) SELECT 'openai', 'm', 5000000, hold_id, 'p' FROM cost_ledger_internal.hold WHERE hold_key = 'p5';
    BEGIN
        SET CONSTRAINTS ALL IMMEDIATE;
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
END
$$;
RESET client_min_messages;
SELECT * FROM balance;
SELECT hold_key, state, cost FROM cost_ledger_internal.hold ORDER BY 1;
SELECT * FROM cost_ledger.check_balances();

--
-- COPY
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('copied', '{"team": "c"}', 'total', 100) > 0 AS set;
SELECT pg_temp.ask('c' || n, '{"team": "c"}', 10) FROM generate_series(1, 2) AS n ORDER BY n;
-- COPY must be told which
UPDATE cost_ledger_internal.hold_line l SET hold_id = ('00000000-0000-0000-0000-00000000000' || right(h.hold_key, 1))::uuid FROM cost_ledger_internal.hold h WHERE h.hold_id = l.hold_id AND h.hold_key ~ '^c';
UPDATE cost_ledger_internal.hold SET hold_id = ('00000000-0000-0000-0000-00000000000' || right(hold_key, 1))::uuid WHERE hold_key ~ '^c';
COPY cost_ledger.call (provider, model, input_tokens, team, hold_id) FROM stdin;
openai	m	1000000	c	00000000-0000-0000-0000-000000000001
openai	m	2000000	c	00000000-0000-0000-0000-000000000002
openai	m	4000000	c	\N
\.
SELECT * FROM balance;
CALL cost_ledger.refresh();
SELECT * FROM balance;
SELECT * FROM cost_ledger.check_balances();

--
-- a reservation in a larger transaction: what fails takes it along, what is
-- caught does not
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('larger', '{"team": "l"}', 'total', 10) > 0 AS set;
BEGIN;
SELECT pg_temp.ask('l1', '{"team": "l"}', 4);
SAVEPOINT s;
SELECT pg_temp.ask('l2', '{"team": "l"}', 4);
ROLLBACK TO s;
SELECT pg_temp.ask('l3', '{"team": "l"}', 7), pg_temp.ask('l2', '{"team": "l"}', 6);
SELECT pg_temp.call('l1', 'l', 1);
COMMIT;
SELECT * FROM balance;
BEGIN;
SELECT pg_temp.ask('l4', '{"team": "l"}', 3);
SELECT pg_temp.ask('l2', '{"team": "l"}', 5);
ROLLBACK;
SELECT hold_key, state FROM cost_ledger_internal.hold WHERE hold_key ~ '^l' ORDER BY 1;
SELECT * FROM balance;

--
-- an estimate of nothing holds nothing; a limit that is used up refuses it too
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('nothing', '{"team": "n"}', 'total', 5) > 0 AS set;
SELECT pg_temp.ask('n1', '{"team": "n"}', 0), pg_temp.ask('n2', '{"team": "n"}', 5), pg_temp.ask('n3', '{"team": "n"}', 0), pg_temp.ask('n4', '{"team": "n"}');
SELECT pg_temp.call('n1', 'n', 1);
SELECT hold_key, estimate, cost, overrun FROM cost_ledger_internal.hold WHERE hold_key ~ '^n' ORDER BY 1;
SELECT * FROM balance;
-- what has expired asks for no level
SELECT pg_temp.expire('n2');
SELECT pg_temp.ask('n5', '{"team": "n"}', 1), pg_temp.ask('n6', '{"team": "n"}', 1);
SELECT * FROM balance;
SELECT cost_ledger.set_budget('nothing at once', '{"feature": "n"}', 'rolling', 5, period_length => '1 day') > 0 AS set;
SELECT pg_temp.ask('n7', '{"feature": "n"}', 5);
SELECT pg_temp.expire('n7');
SELECT pg_temp.ask('n8', '{"feature": "n"}', 1);

--
-- several windows at once, each with a clock and a week of its own: held and
-- posted in the period of each
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('w-month', '{"team": "w"}', 'month', 100) > 0 AS a, cost_ledger.set_budget('w-day', '{"team": "w"}', 'day', 20, time_zone => 'Pacific/Kiritimati') > 0 AS b,
       cost_ledger.set_budget('w-week', '{"team": "w"}', 'week', 50, time_zone => 'America/New_York', week_start => 7) > 0 AS c,
       cost_ledger.set_budget('w-hour', '{"team": "w"}', 'rolling', 10, period_length => '1 hour') > 0 AS d;
SELECT pg_temp.ask('w1', '{"team": "w"}', 6);
-- the shortest refuses; the others hold nothing of it
SELECT pg_temp.ask('w2', '{"team": "w"}', 5);
-- what is held stands apart from periods, and what is spent in its own
SELECT b.name, s.posted, s.held, s.period_start
FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id) WHERE b.is_active ORDER BY 1;
SELECT pg_temp.call('w1', 'w', 4);
SELECT b.name, s.posted, s.held,
       s.period_start = CASE b.name WHEN 'w-month' THEN date_trunc('month', now())
                                    WHEN 'w-day' THEN date_trunc('day', now(), 'Pacific/Kiritimati')
                                    WHEN 'w-week' THEN (date_trunc('week', now() AT TIME ZONE 'America/New_York' + interval '1 day') - interval '1 day') AT TIME ZONE 'America/New_York'
                                    ELSE greatest(s.period_start, date_trunc('minute', now()) - interval '1 minute') END AS in_its_period
FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id) WHERE b.is_active AND s.posted <> 0 ORDER BY 1;
SELECT * FROM balance ORDER BY 1;
SELECT * FROM cost_ledger.check_balances();

--
-- held in one period, called in another: given back where it was held, posted
-- where it was called
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('spans', '{"team": "s"}', 'month', 10) > 0 AS set;
SELECT pg_temp.ask('s1', '{"team": "s"}', 6);
SELECT pg_temp.call('s1', 's', 5, at => date_trunc('month', now()) - interval '1 second');
SELECT s.period_start = date_trunc('month', now()) AS current, s.posted, s.held
FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id) WHERE b.name = 'spans' ORDER BY 1, 2;
-- so the whole month is there, and the one before is not asked
SELECT pg_temp.ask('s2', '{"team": "s"}', 10);
SELECT pg_temp.call('s2', 's', 7, at => date_trunc('month', now()) + interval '1 month');
SELECT s.period_start = date_trunc('month', now()) AS current, s.posted, s.held
FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id) WHERE b.name = 'spans' ORDER BY s.period_start;
SELECT * FROM cost_ledger.check_balances();

--
-- a price that comes in parts takes the place of the estimate once, with the first
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('parts of a price', '{"team": "x"}', 'total', 100) > 0 AS set;
SELECT pg_temp.ask('x' || n, '{"team": "x"}', 10) FROM generate_series(1, 3) AS n ORDER BY n;
INSERT INTO cost_ledger.call (provider, model, input_tokens, other_usage, hold_id, team)
    SELECT 'openai', 'new', 12000000, '{"images": 2}', hold_id, 'x' FROM cost_ledger_internal.hold WHERE hold_key ~ '^x' ORDER BY hold_key;
SELECT * FROM balance;
SELECT cost_ledger.set_price('openai', 'new', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
SELECT new_pricing, change FROM cost_ledger.rerate('2020-01-01', 'infinity', '{"model": "new"}', false, 'a part is known') ORDER BY call_id;
CALL cost_ledger.refresh();
-- 12 each, of which 2 are beyond the estimate
SELECT * FROM balance;
SELECT hold_key, estimate, cost, overrun, exchanged_at IS NOT NULL AS exchanged FROM cost_ledger_internal.hold WHERE hold_key ~ '^x' ORDER BY 1;
SELECT * FROM cost_ledger.check_balances();
SELECT cost_ledger.set_price('openai', 'new', '{"input_tokens": 1, "images": {"price": 3, "per": 1}}', '2020-01-01', replace => true) > 0 AS set;
SELECT new_pricing, change FROM cost_ledger.rerate('2020-01-01', 'infinity', '{"model": "new"}', false, 'all is known') ORDER BY call_id;
CALL cost_ledger.refresh();
SELECT * FROM balance;
SELECT * FROM cost_ledger.check_balances();
-- both before anybody looks, and a correction as well
SELECT pg_temp.ask('x4', '{"team": "x"}', 30);
INSERT INTO cost_ledger.call (provider, model, input_tokens, other_usage, hold_id, team) SELECT 'openai', 'newer', 1000000, '{"images": 2}', hold_id, 'x' FROM cost_ledger_internal.hold WHERE hold_key = 'x4';
SELECT * FROM balance;
SELECT cost_ledger.set_price('openai', 'newer', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
SELECT new_pricing, change FROM cost_ledger.rerate('2020-01-01', 'infinity', '{"model": "newer"}', false, 'a part is known');
SELECT cost_ledger.set_price('openai', 'newer', '{"input_tokens": 1, "images": {"price": 3, "per": 1}}', '2020-01-01', replace => true) > 0 AS set;
SELECT new_pricing, change FROM cost_ledger.rerate('2020-01-01', 'infinity', '{"model": "newer"}', false, 'all is known');
SELECT cost_ledger.correct_call(called_at, call_id, '{"input_tokens": 2000000, "images": 2}', 'counted wrong') > 0 AS corrected FROM cost_ledger.call WHERE model = 'newer' AND corrects IS NULL;
-- as spent as it will be when refresh() has seen it
SELECT spent FROM cost_ledger.budget_status WHERE name = 'parts of a price';
CALL cost_ledger.refresh();
SELECT * FROM balance;
SELECT * FROM cost_ledger.check_balances();

--
-- budgets that change under open holds
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('changing', '{"team": "b"}', 'total', 20) AS id \gset
SELECT pg_temp.ask('b' || n, '{"team": "b"}', 5) FROM generate_series(1, 4) AS n ORDER BY n;
-- another limit: they are held of it, also where that is more than it is now
SELECT cost_ledger.set_budget('changing', '{"team": "b"}', 'total', 12) = :id AS same;
SELECT pg_temp.ask('b5', '{"team": "b"}', 1);
SELECT cost_ledger.release('b1'), cost_ledger.release('b2');
SELECT pg_temp.ask('b5', '{"team": "b"}', 2), pg_temp.ask('b6', '{"team": "b"}', 0.1);
-- switched off: settled all the same, counted by nobody
UPDATE cost_ledger.budget SET is_active = false WHERE budget_id = :id;
SELECT pg_temp.ask('b7', '{"team": "b"}', 500);
SELECT pg_temp.call('b3', 'b', 3);
SELECT hold_key, state, cost FROM cost_ledger_internal.hold WHERE hold_key = 'b3';
-- on again: what was spent meanwhile counts, and what was granted holds of it
UPDATE cost_ledger.budget SET is_active = true WHERE budget_id = :id;
SELECT * FROM balance;
SELECT cost_ledger.release('b7');
SELECT pg_temp.call('b4', 'b', 4);
SELECT * FROM balance;
-- a budget that is new while calls are on their way has their holds, and gets their cost
SELECT pg_temp.ask('b8', '{"team": "b"}', 1);
SELECT cost_ledger.set_budget('later', '{"team": "b"}', 'total', 20) > 0 AS set;
SELECT * FROM balance ORDER BY 1;
SELECT pg_temp.call('b8', 'b', 1);
SELECT * FROM balance ORDER BY 1;
-- counts otherwise: begins anew
SELECT pg_temp.ask('b9', '{"team": "b"}', 1);
SELECT cost_ledger.set_budget('changing', '{"team": "b"}', 'total', 12, metric => 'calls') = :id AS same;
SELECT * FROM balance ORDER BY 1;
SELECT pg_temp.call('b9', 'b', 1);
SELECT * FROM balance ORDER BY 1;
SELECT * FROM cost_ledger.check_balances();

--
-- the role of the manual, also where it has expired holds to clear away
--
SELECT pg_temp.next();
SELECT cost_ledger.set_budget('g', '{"team": "g"}', 'total', 10) > 0 AS set, cost_ledger.set_budget('g of an hour', '{"team": "g"}', 'rolling', 10, period_length => '1 hour') > 0 AS set;
SELECT cost_ledger.set_budget('g runs', '{"team": "g"}', 'run', 100, metric => 'duration') > 0 AS set;
SELECT pg_temp.ask('g1', '{"team": "g"}', 10);
SELECT pg_temp.expire('g1');
CREATE ROLE regress_gateway;
SELECT cost_ledger.grant_gateway('regress_gateway');
SET ROLE regress_gateway;
SELECT decision, held, hold_id AS g2 FROM cost_ledger.reserve('g2', '{"team": "g", "run_id": "r"}', 8) \gset
\echo :decision :held
SELECT decision, held FROM cost_ledger.reserve('g3', '{"team": "g", "run_id": "r"}', 8);
SELECT decision FROM cost_ledger.reserve(NULL, '{"team": "g", "run_id": "r"}', 1, check_only => true);
INSERT INTO cost_ledger.call (provider, model, input_tokens, hold_id, team, run_id) VALUES ('openai', 'm', 3000000, :'g2', 'g', 'r');
SELECT decision, spent, held FROM cost_ledger.reserve('g4', '{"team": "g"}', 7);
SELECT cost_ledger.release('g4');
-- and nothing more
\set VERBOSITY sqlstate
SELECT cost_ledger.set_budget('g', '{}', 'total', 1000);
UPDATE cost_ledger.budget_version SET limit_amount = 1000;
DELETE FROM cost_ledger_internal.hold;
UPDATE cost_ledger.call SET cost = 0;
\set VERBOSITY default
-- by tokens too, whose price it need not see
SELECT decision, held FROM cost_ledger.reserve('g5', '{"team": "g"}', NULL, 'openai', 'm', 1000000, 0);
SELECT cost_ledger.release('g5');
RESET ROLE;
DROP OWNED BY regress_gateway;
DROP ROLE regress_gateway;

--
-- columns and indexes that somebody has added have what INSERT and UPDATE would give them
--
SELECT pg_temp.next();
ALTER TABLE cost_ledger_internal.hold ADD COLUMN tenant text NOT NULL DEFAULT lower('ACME'), ADD COLUMN is_open boolean GENERATED ALWAYS AS (state = 'open') STORED;
ALTER TABLE cost_ledger_internal.hold_line ADD COLUMN cents numeric GENERATED ALWAYS AS (amount * 100) STORED, ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE cost_ledger_internal.budget_balance ADD COLUMN used numeric GENERATED ALWAYS AS (posted + held) STORED CHECK (used < 100);
ALTER TABLE cost_ledger_internal.refusal ADD COLUMN seen_at timestamptz NOT NULL DEFAULT '2026-01-01';
CREATE INDEX added_team ON cost_ledger_internal.hold ((request -> 'labels' ->> 'team')) WHERE state = 'open';
CREATE INDEX added_used ON cost_ledger_internal.budget_balance (used) WHERE held > 0;
SELECT cost_ledger.set_budget('added', '{"team": "added"}', 'month', 10) > 0 AS set;
SELECT pg_temp.ask('added ' || n, '{"team": "added"}', n) FROM generate_series(1, 4) n ORDER BY n;
SELECT pg_temp.ask('added 5', '{"team": "added"}', 5);
SELECT pg_temp.call('added 1', 'added', 1.5);
INSERT INTO cost_ledger.call (provider, model, input_tokens, hold_id, team) VALUES ('openai', 'm', 1000000, gen_random_uuid(), 'added');
SELECT cost_ledger.release('added 2');
SELECT hold_key, state, tenant, is_open FROM cost_ledger_internal.hold WHERE hold_key LIKE 'added%' OR is_unknown AND tenant IS NOT NULL ORDER BY 1;
SELECT amount, cents, n FROM cost_ledger_internal.hold_line WHERE cents IS DISTINCT FROM amount * 100 OR n IS NULL OR amount IN (3, 4) ORDER BY n;
SELECT b.name, s.used FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id) WHERE b.name = 'added' OR s.used IS DISTINCT FROM s.posted + s.held ORDER BY 2;
SELECT r.asked, r.seen_at FROM cost_ledger_internal.refusal r JOIN cost_ledger.budget b USING (budget_id) WHERE b.name = 'added';
SET enable_seqscan = off;
SELECT hold_key FROM cost_ledger_internal.hold WHERE request -> 'labels' ->> 'team' = 'added' AND state = 'open' ORDER BY 1;
SELECT count(*) AS held FROM cost_ledger_internal.budget_balance WHERE used > 5 AND held > 0;
RESET enable_seqscan;
-- what does not pass is refused
SELECT cost_ledger.set_budget('large', '{"team": "large"}', 'month', 1000) > 0 AS set;
\set VERBOSITY sqlstate
SELECT pg_temp.ask('large', '{"team": "large"}', 200);
\set VERBOSITY default
SET cost_ledger.allow_drop = on;
DROP INDEX cost_ledger_internal.added_team, cost_ledger_internal.added_used;
ALTER TABLE cost_ledger_internal.hold DROP COLUMN tenant, DROP COLUMN is_open;
ALTER TABLE cost_ledger_internal.hold_line DROP COLUMN cents, DROP COLUMN n;
ALTER TABLE cost_ledger_internal.budget_balance DROP COLUMN used;
ALTER TABLE cost_ledger_internal.refusal DROP COLUMN seen_at;
RESET cost_ledger.allow_drop;
SELECT pg_temp.ask('large', '{"team": "large"}', 200);
SELECT count(*) AS wrong FROM cost_ledger.check_balances();

--
-- of ten thousand budgets a reservation reads those that the call belongs to
--
SELECT pg_temp.next();
-- without the triggers: nothing was spent
SET session_replication_role = replica;
INSERT INTO cost_ledger.budget (name, scope, period, match_key) SELECT 'm' || n, jsonb_build_object('team', 'm' || n), 'month', 'team=m' || n FROM generate_series(1, 10000) n;
INSERT INTO cost_ledger.budget_version (budget_id, version, limit_amount, actions) SELECT budget_id, 1, 10, '{warn,throttle,stop}' FROM cost_ledger.budget WHERE name ~ '^m[0-9]';
RESET session_replication_role;
ANALYZE cost_ledger.budget, cost_ledger.budget_version;
-- known from the first decision on; counted from here
SELECT pg_temp.ask('m', '{"team": "m8"}', 1);
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT pg_temp.ask('m' || n, jsonb_build_object('team', 'm' || n * 1000), n) FROM generate_series(9, 11) n ORDER BY n;
SELECT relname, seq_tup_read AS scanned, idx_tup_fetch AS found FROM pg_stat_xact_user_tables
WHERE schemaname = 'cost_ledger' AND relname IN ('budget', 'budget_version') ORDER BY 1;
COMMIT;
SELECT * FROM balance ORDER BY 1;
-- a hold that is named twice is given back once
SELECT pg_temp.ask('twice', '{"team": "m8"}', 1);
SELECT cost_ledger_internal.give_back(ARRAY[h.hold_id, h.hold_id]) FROM cost_ledger_internal.hold h WHERE h.hold_key = 'twice';
SELECT * FROM balance WHERE name = 'm8';
DROP VIEW balance;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
