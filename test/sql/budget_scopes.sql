-- What a budget is of: runs with the runs below them, filters, each of several, a
-- default and its exceptions.
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
SELECT pg_sleep(1) \g /dev/null
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


-- A scope is a filter, for reserve() and settlements, which read it in C, as for
-- refresh() and everybody who says it in SQL: 150 random filters, each a budget,
-- over calls with random labels.
DROP VIEW pg_temp.standing;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger();
SELECT setseed(0.42)::text = '' AS seeded;
CREATE FUNCTION pg_temp.pick(VARIADIC text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT $1[1 + floor(random() * cardinality($1))::integer] $$;
CREATE FUNCTION pg_temp.random_wanted() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    one jsonb := coalesce(to_jsonb(pg_temp.pick('a', 'b', 'ab', 'a\*', 'a*', 'ab*', '*', 'a\b', 'A', '7', 'true', NULL)), 'null');
    list jsonb := jsonb_build_array(pg_temp.pick('a', 'ab*', 'A', '7'), pg_temp.pick('b', 'a\*', NULL));
BEGIN
    RETURN CASE pg_temp.pick('one', 'one', 'list', 'not', 'not list', 'none')
        WHEN 'one' THEN one WHEN 'list' THEN list
        WHEN 'not' THEN jsonb_build_object('not', one) WHEN 'not list' THEN jsonb_build_object('not', list) ELSE '[]' END;
END
$$;
CREATE TEMP TABLE scope AS
    SELECT n, jsonb_build_object(pg_temp.pick('team', 'feature', 'user_id'), pg_temp.random_wanted())
              || CASE WHEN random() < 0.7 THEN jsonb_build_object(pg_temp.pick('cohort', 'tags.tier', 'tags.a b'), pg_temp.random_wanted()) ELSE '{}' END AS filter
    FROM generate_series(1, 150) n;
SELECT count(cost_ledger.set_budget('random ' || n, filter, 'month', 1000000, metric => 'calls', each_of => pg_temp.pick(NULL, NULL, 'team', '{user_id,tags.tier}'))) AS budgets FROM scope;
CREATE TEMP TABLE labels AS
    SELECT n, jsonb_strip_nulls(jsonb_build_object(
               'team', pg_temp.pick('a', 'b', 'ab', 'abc', 'a*', 'a\b', 'A', NULL), 'feature', pg_temp.pick('a', 'ab', 'a*', '7'),
               'user_id', pg_temp.pick('a', 'ab', 'a\*', 'true', NULL), 'cohort', pg_temp.pick('a', 'ab*', NULL),
               'tags', CASE WHEN n % 5 > 0 THEN jsonb_build_object('tier', pg_temp.pick('a', 'ab', 'A', '7', '', NULL), 'a b', 7, 'other', n)
                                                || CASE WHEN n % 5 = 1 THEN '{"a b": true}'::jsonb ELSE '{}' END END)) AS labels
    FROM generate_series(1, 60) n;
SELECT count(r.hold_id) AS granted FROM labels l, cost_ledger.reserve('random ' || l.n, l.labels, provider => 'own') r;
CREATE FUNCTION pg_temp.count_calls(filter jsonb, each_of text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM cost_ledger.call c WHERE c.provider = %L AND %s AND %s', 'own', cost_ledger_internal.call_condition(filter),
                   CASE each_of WHEN 'team' THEN 'c.team IS NOT NULL' WHEN '{user_id,tags.tier}' THEN 'c.user_id IS NOT NULL AND length(c.tags ->> ''tier'') > 0' ELSE 'true' END) INTO n;
    RETURN n;
END
$$;
-- as calls they are held of, refreshed, settled
INSERT INTO cost_ledger.call (provider, model, team, feature, user_id, cohort, tags)
    SELECT 'own', 'm', labels ->> 'team', labels ->> 'feature', labels ->> 'user_id', labels ->> 'cohort', labels -> 'tags' FROM labels;
CREATE TEMP TABLE found AS
    SELECT b.budget_id, b.scope AS filter, b.each_of, pg_temp.count_calls(s.filter, b.each_of) AS expected,
           (SELECT count(*) FROM cost_ledger_internal.hold_line l WHERE l.budget_id = b.budget_id) AS held
    FROM scope s JOIN cost_ledger.budget b ON b.name = 'random ' || s.n;
SELECT count(*) FILTER (WHERE expected BETWEEN 1 AND 59) > 50 AS many, count(*) FILTER (WHERE held <> expected) AS held_otherwise FROM found;
SELECT filter, each_of, expected, held FROM found WHERE held <> expected LIMIT 5;
CALL cost_ledger.refresh();
SELECT count(*) AS refreshed_otherwise
FROM found f WHERE expected <> (SELECT coalesce(sum(s.posted), 0) FROM cost_ledger_internal.budget_balance s WHERE s.budget_id = f.budget_id);
INSERT INTO cost_ledger.call (provider, model, team, feature, user_id, cohort, tags, hold_id)
    SELECT 'own', 'm', labels ->> 'team', labels ->> 'feature', labels ->> 'user_id', labels ->> 'cohort', labels -> 'tags', h.hold_id
    FROM labels l JOIN cost_ledger_internal.hold h ON h.hold_key = 'random ' || l.n;
SELECT count(*) FILTER (WHERE 2 * expected <> (SELECT coalesce(sum(s.posted), 0) FROM cost_ledger_internal.budget_balance s WHERE s.budget_id = f.budget_id)) AS settled_otherwise,
       count(*) FILTER (WHERE EXISTS (SELECT FROM cost_ledger_internal.hold_line l WHERE l.budget_id = f.budget_id)) AS still_held
FROM found f;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();
-- and started anew
SET client_min_messages = warning;
UPDATE cost_ledger.budget SET week_start = 2 WHERE name LIKE 'random%';
RESET client_min_messages;
SELECT count(*) FILTER (WHERE 2 * expected <> (SELECT coalesce(sum(s.posted), 0) FROM cost_ledger_internal.budget_balance s WHERE s.budget_id = f.budget_id)) AS started_otherwise
FROM found f;
UPDATE cost_ledger.budget SET is_active = false;

-- What none is, or is of too many.
SELECT cost_ledger.set_budget('wrong', '{"status": "success"}', 'month', 1);
SELECT cost_ledger.set_budget('wrong', '{"tags": {"tier": ""}}', 'month', 1);
SELECT cost_ledger.set_budget('wrong', '{}', 'month', 1, each_of => 'status');
SELECT cost_ledger.set_budget('wrong', '{}', 'month', 1, each_of => '{team,team}');
SELECT cost_ledger.set_budget('wrong', '{}', 'month', 1, each_of => '{team');
SELECT cost_ledger.set_budget('wrong', '{}', 'month', 1, each_of => '{team,NULL}');
SELECT cost_ledger.set_budget('wrong', '{}', 'month', 1, each_of => '{}');
SELECT cost_ledger.set_budget('wrong', '{}', 'month', 1, each_of => '{team,model,agent,feature,flow}');
SELECT cost_ledger.set_budget('wrong', '{}', 'month', 1, each_of => 'tags.');
SELECT * FROM cost_ledger.reserve('wrong', '{"tags": {"tier": ["gold"]}}', 1);
SELECT * FROM cost_ledger.reserve('wrong', '{"tags": "gold"}', 1);
-- A call looks its budgets up by the most selective name.
SELECT scope, cost_ledger_internal.match_key(scope)
FROM (VALUES ('{"team": "a", "user_id": "b"}'::jsonb), ('{"team": ["a", "b"], "tags.tier": "gold"}'), ('{"team": "a\\*", "user_id": "b*"}'), ('{"team": {"not": "a"}}'),
             ('{"cohort": "c", "tags.t": "x"}')) AS s (scope);

-- A scope that no call has been in is told, not in a ledger that has no calls yet.
SELECT cost_ledger.set_budget('misspelt', '{"team": "serach"}', 'month', 1) > 0 AS set;
SELECT cost_ledger.set_budget('beginning', '{"model": "gpt*"}', 'month', 1) > 0 AS set;
SELECT cost_ledger.set_budget('known', '{"team": ["a", "nobody"], "feature": "a*"}', 'month', 1) > 0 AS set;
SELECT cost_ledger.set_budget('user', '{"team": "a", "user_id": "nobody"}', 'month', 1) > 0 AS set;
UPDATE cost_ledger.budget SET is_active = false;

-- Each of several is the JSON array of their values, shortened where these are
-- long, and escaped as JSON does, so that no two look alike.
SET client_min_messages = warning;
SELECT cost_ledger.set_budget('each', '{"provider": "each"}', 'month', 10, metric => 'calls', each_of => '{team, user_id}') > 0 AS set;
RESET client_min_messages;
SELECT each_of FROM cost_ledger.budget WHERE name = 'each';
INSERT INTO cost_ledger.call (provider, model, team, user_id) VALUES
    ('each', 'm', 'a', 'b'), ('each', 'm', 'a", "b', 'c'), ('each', 'm', 'a', 'b", "c'), ('each', 'm', 'a', NULL),
    ('each', 'm', repeat(E'\x01', 1000), repeat('u', 1000)), ('each', 'm', repeat(E'\x01', 1000), repeat('u', 1000) || 'v');
CALL cost_ledger.refresh();
SELECT octet_length(entity) AS bytes, CASE WHEN octet_length(entity) < 100 THEN entity END AS entity, spent, jsonb_array_length(entity::jsonb) AS parts
FROM cost_ledger.budget_status WHERE name = 'each' ORDER BY entity COLLATE "C";
SELECT r.decision, r.spent, r.held FROM cost_ledger.reserve('each', jsonb_build_object('provider', 'each', 'team', repeat(E'\x01', 1000), 'user_id', repeat('u', 1000)), 0) r;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();
UPDATE cost_ledger.budget SET is_active = false;

-- A model goes by its name in any case, and by its name without a date: all of
-- these are priced by its card, and count.
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": {"price": 1, "per": 1}}', '2020-01-01') > 0 AS set;
SET client_min_messages = warning;
SELECT cost_ledger.set_budget('model', '{"model": "gpt-x"}', 'month', 10) > 0 AS set, cost_ledger.set_budget('model in capitals', '{"model": "GPT-X"}', 'month', 10) > 0 AS set,
       cost_ledger.set_budget('names', '{"model": "gpt-x*"}', 'month', 100) > 0 AS set, cost_ledger.set_budget('of a day', '{"model": "gpt-x-2026-08-06"}', 'month', 100) > 0 AS set,
       cost_ledger.set_budget('others', '{"model": {"not": ["gpt-x", "gpt-x-mini"]}, "provider": "openai"}', 'month', 100) > 0 AS set;
RESET client_min_messages;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'gpt-x', 10), ('openai', 'gpt-x-2026-08-06', 10), ('openai', 'GPT-X', 10);
SELECT name, spent FROM cost_ledger.budget_status ORDER BY 1;
CALL cost_ledger.refresh();
SELECT name, spent, level FROM cost_ledger.budget_status ORDER BY 1;
SELECT m AS model, r.decision FROM unnest('{gpt-x,gpt-x-2026-08-06,GPT-X,gpt-x-latest,gpt-x-20260806:free,gpt-x-mini}'::text[]) m,
     LATERAL cost_ledger.reserve('model ' || m, '{}', provider => 'openai', model => m, input_tokens => 1, max_output_tokens => 0) r;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();
SELECT m AS model, cost_ledger_internal.budget_keys(jsonb_build_object('model', m)) AS keys
FROM unnest('{m-20260806,M-2026-08-06,m@default,m-latest:free,m-latest:free1,m-2026-8-6,-latest,claude@20260806,m:x}'::text[]) m;
UPDATE cost_ledger.budget SET is_active = false;

-- Whose a scope is: who reads a team, a and one that is called b*, or customer x.
SELECT scope, cost_ledger_internal.is_own_scope(scope, '{a,b*}', '{x}') AS is_own
FROM (VALUES ('{}'::jsonb), ('{"team": "a"}'), ('{"team": "b*"}'), ('{"team": "b\\*"}'), ('{"team": "a*"}'), ('{"team": ["a", "b\\*"]}'), ('{"team": ["a", "c"]}'), ('{"team": ["a", null]}'),
             ('{"team": ["a", "a*"]}'), ('{"team": null}'), ('{"team": []}'), ('{"team": {"not": "a"}}'), ('{"team": {"not": []}}'), ('{"team": "c", "customer": "x"}'), ('{"tags.team": "a"}'), ('[]'), ('"a"')) AS s (scope);

-- One default and its exceptions: an exception takes the place of the default for
-- the calls of its scope, wherever they count.
CREATE VIEW pg_temp.standing AS
    SELECT s.name, s.entity, s.spent, s.held, s.limit_amount, s.level FROM cost_ledger.budget_status s ORDER BY 1, 2;
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": {"price": 1, "per": 1}}', '2020-01-01') > 0 AS set;
SET client_min_messages = warning;
SELECT cost_ledger.set_budget('each user', '{"provider": "openai"}', 'month', 50, each_of => 'user_id') > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, user_id, input_tokens) VALUES ('openai', 'm', 'vip', 45), ('openai', 'm', 'u', 45), ('openai', 'm', 'vip2', 1), ('openai', 'm', 'vip3', 2);
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.ask('vip before', '{"user_id": "vip", "provider": "openai"}', 4);
SELECT * FROM pg_temp.ask('vip more', '{"user_id": "vip", "provider": "openai"}', 4);
SELECT cost_ledger.set_budget('vip', '{"user_id": "vip", "provider": "openai"}', 'month', 500, exception_of => 'each user') > 0 AS set,
       cost_ledger.set_budget('more vips', '{"user_id": ["vip2", "vip3"], "provider": "openai"}', 'month', 100, each_of => 'user_id', exception_of => 'each user') > 0 AS set;
SELECT * FROM pg_temp.standing;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();
SELECT * FROM pg_temp.ask('vip after', '{"user_id": "vip", "provider": "openai"}', 400);
SELECT * FROM pg_temp.ask('u', '{"user_id": "u", "provider": "openai"}', 6);
SELECT * FROM pg_temp.ask('vip2', '{"user_id": "vip2", "provider": "openai"}', 60);
-- settled, refreshed, taken back, rung for
INSERT INTO cost_ledger.call (provider, model, user_id, input_tokens, hold_id)
    SELECT 'openai', 'm', h.request -> 'labels' ->> 'user_id', h.estimate::bigint, h.hold_id FROM cost_ledger_internal.hold h WHERE h.state = 'open' AND h.hold_key LIKE 'vip%';
INSERT INTO cost_ledger.call (provider, model, user_id, input_tokens) VALUES ('openai', 'm', 'vip', 3), ('openai', 'm', 'u', 1);
SELECT * FROM pg_temp.standing;
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.standing;
SELECT cost_ledger.check_budgets();
SELECT b.name, a.entity, a.threshold, a.spent, a.kind, a.scope FROM cost_ledger.alert a JOIN cost_ledger.budget b USING (budget_id) WHERE b.name IN ('each user', 'vip', 'more vips') ORDER BY a.alert_id;
SELECT cost_ledger.void_call(called_at, call_id, 'a test') > 0 AS void FROM cost_ledger.call WHERE user_id = 'vip' AND input_tokens = 3;
SELECT * FROM pg_temp.standing WHERE name = 'vip';
SELECT count(*) AS wrong FROM cost_ledger.check_balances();
-- off, and the default has its calls again; on; and gone for good
UPDATE cost_ledger.budget SET is_active = false WHERE name = 'vip';
SELECT * FROM pg_temp.standing;
SELECT * FROM pg_temp.ask('vip off', '{"user_id": "vip", "provider": "openai"}', 1);
UPDATE cost_ledger.budget SET is_active = true WHERE name = 'vip';
SELECT * FROM pg_temp.ask('vip on', '{"user_id": "vip", "provider": "openai"}', 1);
SELECT cost_ledger.set_budget('more vips', '{"user_id": "vip3", "provider": "openai"}', 'month', 100, exception_of => 'each user') > 0 AS set;
SELECT * FROM pg_temp.standing;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();
-- what the default counts, its exceptions count
SELECT cost_ledger.set_budget('each user', '{"provider": "openai"}', 'week', 50, each_of => 'user_id', time_zone => 'Asia/Kolkata') > 0 AS set;
SELECT name, period, time_zone, metric FROM cost_ledger.budget WHERE name IN ('each user', 'vip', 'more vips') ORDER BY 1;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();
UPDATE cost_ledger.budget SET exception_of = NULL WHERE name = 'more vips';
SELECT * FROM pg_temp.standing;
RESET client_min_messages;
-- in the same decision with a model that is degraded to
SELECT cost_ledger.set_budget('each model', '{}', 'month', 100, ARRAY[0.1, 1.0], actions => '{degrade,stop}', degrade_to => 'mini', each_of => 'model') > 0 AS set,
       cost_ledger.set_budget('mini', '{"model": "mini*"}', 'month', 5, exception_of => 'each model') > 0 AS set;
SELECT r.decision, r.degrade_to, r.reason FROM cost_ledger.reserve('degraded 1', '{"provider": "other", "model": "big"}', 12) r;
SELECT cost_ledger.set_budget('mini', '{"model": "mini*"}', 'month', 20, exception_of => 'each model') > 0 AS set;
SELECT r.decision, r.degrade_to, r.reason FROM cost_ledger.reserve('degraded 2', '{"provider": "other", "model": "big"}', 12) r;
SELECT b.name, l.entity, l.amount FROM cost_ledger_internal.hold_line l JOIN cost_ledger.budget b USING (budget_id) WHERE b.name IN ('each model', 'mini') ORDER BY 1, 2;
-- what is none
SELECT cost_ledger.set_budget('wrong', '{"user_id": "v"}', 'month', 1, exception_of => 'nobody');
SELECT cost_ledger.set_budget('wrong', '{"user_id": "v"}', 'week', 1, time_zone => 'Asia/Kolkata', exception_of => 'vip');
SELECT cost_ledger.set_budget('wrong', '{"user_id": "v"}', 'month', 1, exception_of => 'each user');
SELECT cost_ledger.set_budget('wrong', '{"user_id": "v"}', 'week', 1, time_zone => 'Asia/Kolkata', metric => 'calls', exception_of => 'each user');
SELECT cost_ledger.set_budget('wrong', '{}', 'week', 1, time_zone => 'Asia/Kolkata', exception_of => 'each user');
SELECT cost_ledger.set_budget('each user', '{"provider": "openai"}', 'week', 50, each_of => 'user_id', time_zone => 'Asia/Kolkata', exception_of => 'each user');
SELECT cost_ledger.set_budget('each user', '{"provider": "openai"}', 'month', 50, each_of => 'user_id', exception_of => 'each model');

-- What budgets might be: three times what each spent in the last full period.
INSERT INTO cost_ledger.call (called_at, provider, model, team, user_id, tags, input_tokens)
    SELECT date_trunc('month', now()) - interval '1 hour', 'openai', 'm', t, u, '{"tier": "gold"}', n
    FROM (VALUES ('search', 'u1', 7), ('search', 'u2', 5), ('a*', 'u2', 2), (NULL, 'u1', 100), (repeat('long ', 100), E'u\t3', 1)) AS v (t, u, n);
SELECT left(scope, 30) AS scope, spent, limit_amount, currency, CASE WHEN length(scope) < 100 THEN statement ELSE left(statement, 80) END AS statement FROM cost_ledger.suggest_budgets('team', 3);
CALL cost_ledger.refresh();
SELECT left(scope, 30) AS scope, spent, limit_amount FROM cost_ledger.suggest_budgets('team');
SELECT scope, spent, limit_amount, statement FROM cost_ledger.suggest_budgets('user_id', 1.5);
SELECT scope, spent, limit_amount FROM cost_ledger.suggest_budgets('{team,user_id}', 2) WHERE length(scope) < 100;
SELECT scope, spent, limit_amount FROM cost_ledger.suggest_budgets('tags.tier', 2, 'month');
SELECT string_agg(statement, '' ORDER BY spent DESC) AS statements FROM cost_ledger.suggest_budgets('team', 3) \gset
SET client_min_messages = warning;
\o /dev/null
:statements
\o
RESET client_min_messages;
SELECT left(b.name, 30) AS name, left(b.scope::text, 20) AS scope, v.limit_amount FROM cost_ledger.budget b JOIN cost_ledger.budget_version v USING (budget_id) WHERE b.name ~ 'by the month|#' ORDER BY v.limit_amount;
SELECT * FROM cost_ledger.suggest_budgets('team', -3);
SELECT * FROM cost_ledger.suggest_budgets('team', 3, 'hour');
SELECT * FROM cost_ledger.suggest_budgets('status', 3);
SELECT * FROM cost_ledger.suggest_budgets(NULL, 3);

DROP VIEW pg_temp.standing;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
