-- What a budget is of: runs with the runs below them.
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
-- 1 a token
SELECT cost_ledger.set_price('openai', m, '{"input_tokens": {"price": 1, "per": 1}}', '2020-01-01') > 0 AS set FROM unnest('{m,big,mini}'::text[]) m;
CREATE FUNCTION pg_temp.ask(key text, labels jsonb, amount numeric, n integer DEFAULT 1, OUT granted bigint, OUT stopped bigint) LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE r.hold_id IS NOT NULL), count(*) FILTER (WHERE r.decision = 'stop')
    FROM generate_series(1, n) i, LATERAL cost_ledger.reserve(key || i, labels, amount) r
$$;
CREATE FUNCTION pg_temp.settle(text) RETURNS bigint LANGUAGE sql AS $$
    WITH made AS (
        INSERT INTO cost_ledger.call (provider, model, run_id, input_tokens, hold_id)
        SELECT 'openai', 'm', h.request -> 'labels' ->> 'run_id', h.estimate::bigint, h.hold_id FROM cost_ledger_internal.hold h WHERE h.state = 'open' AND h.hold_key ~ $1
        RETURNING 1)
    SELECT count(*) FROM made
$$;
CREATE VIEW pg_temp.standing AS
    SELECT s.name, s.entity, s.spent, s.held, s.level FROM cost_ledger.budget_status s ORDER BY 1, 2;

-- A run has its limit together with the runs below it.  Ten children of 6 do not
-- pass a cap of 20, whether reserve() is told of them,
SELECT cost_ledger.set_budget('a task', '{}', 'run', 20, include => 'subruns') > 0 AS set;
SELECT * FROM pg_temp.ask('task', '{"run_id": "task"}', 0.5);
SELECT count(r.hold_id) AS granted, count(*) FILTER (WHERE r.decision = 'stop') AS stopped, max(r.reason) AS reason
FROM generate_series(1, 10) i, cost_ledger.reserve('child' || i, jsonb_build_object('run_id', 'child ' || i, 'parent_run_id', 'task'), 6) r;
SELECT * FROM pg_temp.standing;
-- deeper too, also below one that was refused
SELECT * FROM pg_temp.ask('grandchild', '{"run_id": "grandchild", "parent_run_id": "child 9"}', 6);
SELECT * FROM pg_temp.ask('grandchild small', '{"run_id": "grandchild", "parent_run_id": "child 9"}', 1);
SELECT * FROM pg_temp.ask('again', '{"run_id": "child 1"}', 1);
-- its calls need not say it again
SELECT pg_temp.settle('^(task|child|grand)');
SELECT * FROM pg_temp.standing;
SELECT * FROM pg_temp.ask('more', '{"run_id": "child 2"}', 0.5, 2);
SELECT pg_temp.settle('^more');
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.standing;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();
SELECT cost_ledger.check_budgets();
SELECT entity, threshold, spent, scope FROM cost_ledger.alert ORDER BY alert_id;

-- or refresh() has seen their calls
INSERT INTO cost_ledger.call (provider, model, run_id, parent_run_id, input_tokens)
    SELECT 'openai', 'm', 'r' || i, CASE WHEN i > 1 THEN 'r1' END, CASE WHEN i > 1 THEN 6 ELSE 1 END FROM generate_series(1, 11) i;
SELECT * FROM pg_temp.standing WHERE entity LIKE 'r%';
SELECT * FROM pg_temp.ask('before', '{"run_id": "r2"}', 0.1);
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.ask('after', '{"run_id": "r2"}', 0.1);
SELECT * FROM pg_temp.ask('after all', '{"run_id": "r1"}', 0.1);
SELECT cost_ledger.check_budgets();
SELECT entity, threshold, spent FROM cost_ledger.alert WHERE entity LIKE 'r%' ORDER BY alert_id;

-- A run that gets a parent later moves, with what is held of it and with all
-- below it; so does the limit.
SELECT * FROM pg_temp.ask('x', '{"run_id": "x"}', 12);
SELECT * FROM pg_temp.ask('y', '{"run_id": "y", "parent_run_id": "x"}', 3);
SELECT * FROM pg_temp.ask('top', '{"run_id": "top"}', 4);
SELECT pg_temp.settle('^x');
SELECT * FROM pg_temp.standing WHERE entity IN ('x', 'y', 'top');
INSERT INTO cost_ledger.call (provider, model, run_id, parent_run_id, input_tokens) VALUES ('openai', 'm', 'x', 'top', 0);
SELECT * FROM pg_temp.standing WHERE entity IN ('x', 'y', 'top');
SELECT * FROM pg_temp.ask('unseen', '{"run_id": "top"}', 2);
SELECT cost_ledger.release('unseen1');
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.standing WHERE entity IN ('x', 'y', 'top');
SELECT * FROM pg_temp.ask('seen', '{"run_id": "y"}', 2);
SELECT * FROM pg_temp.ask('fits', '{"run_id": "y"}', 1);
SELECT cost_ledger.release(k) FROM unnest('{y1,fits1,top1}'::text[]) k;
SELECT * FROM pg_temp.standing WHERE entity IN ('x', 'y', 'top');
-- and again, to where its call really belongs
SELECT count(*) AS moved FROM cost_ledger.reattribute('{"run_id": "x"}', '{"run_id": "z"}', 'wrong run', now() - interval '1 hour', now() + interval '1 hour');
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.standing WHERE entity IN ('x', 'y', 'z', 'top');
SELECT count(*) AS wrong FROM cost_ledger.check_balances();

-- Parents that go in a circle end at the smallest.
SELECT * FROM pg_temp.ask('c1', '{"run_id": "c1", "parent_run_id": "c3"}', 6);
SELECT * FROM pg_temp.ask('c2', '{"run_id": "c2", "parent_run_id": "c1"}', 6);
SELECT * FROM pg_temp.ask('c3', '{"run_id": "c3", "parent_run_id": "c2"}', 6);
SELECT * FROM pg_temp.ask('c4', '{"run_id": "c4", "parent_run_id": "c2"}', 6);
SELECT * FROM pg_temp.standing WHERE entity LIKE 'c_';
SELECT * FROM pg_temp.ask('self', '{"run_id": "self", "parent_run_id": "self"}', 21);

-- What is held expires; what a new budget finds is of the run at the top.
SELECT r.decision FROM cost_ledger.reserve('short', '{"run_id": "t2", "parent_run_id": "t1"}', 15, ttl => '0.2 seconds') r;
SELECT * FROM pg_temp.ask('too much', '{"run_id": "t1"}', 15);
SELECT pg_sleep(0.3);
SELECT * FROM pg_temp.ask('enough', '{"run_id": "t1"}', 15);
SELECT cost_ledger.set_budget('turns', '{}', 'run', 3, metric => 'turns', include => 'subruns') > 0 AS set,
       cost_ledger.set_budget('at once', '{}', 'run', 2, metric => 'concurrent_calls', include => 'subruns') > 0 AS set,
       cost_ledger.set_budget('a day', '{}', 'day', 30, each_of => 'run_id', include => 'subruns') > 0 AS set;
SELECT * FROM pg_temp.standing WHERE name <> 'a task' AND entity ~ '^(t1|c1|task)';
SELECT r.decision, r.reason FROM cost_ledger.reserve('t3', '{"run_id": "t3", "parent_run_id": "t2"}', 0) r;
SELECT r.decision, r.reason FROM cost_ledger.reserve('t4', '{"run_id": "t4", "parent_run_id": "t3"}', 0) r;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();
SELECT cost_ledger.set_budget('wrong', '{}', 'session', 3, include => 'subruns');
SELECT cost_ledger.set_budget('wrong', '{}', 'run', 3, include => 'children');

DROP VIEW pg_temp.standing;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
