-- Budgets at their edges: the end of a period, an edited budget, a model that is
-- degraded to, runs that nobody has seen, clocks, percent.
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
-- 1 a token
SELECT cost_ledger.set_price('openai', m, '{"input_tokens": {"price": 1, "per": 1}}', '2020-01-01') > 0 AS set FROM unnest('{m,big,mini}'::text[]) m;
SELECT cost_ledger.set_price('own', 'local', '{"input_tokens": 0, "output_tokens": 0}', '2020-01-01') > 0 AS set;
CREATE FUNCTION pg_temp.ask(text, jsonb, numeric, OUT granted bigint, OUT stopped bigint) LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE r.hold_id IS NOT NULL), count(*) FILTER (WHERE r.decision = 'stop')
    FROM generate_series(1, 12) i, LATERAL cost_ledger.reserve($1 || i, $2, $3) r
$$;
CREATE FUNCTION pg_temp.call_all(text, text, timestamptz DEFAULT now()) RETURNS bigint LANGUAGE sql AS $$
    WITH made AS (
        INSERT INTO cost_ledger.call (provider, model, team, input_tokens, called_at, hold_id)
        SELECT 'openai', $2, $1, h.estimate::bigint, $3, h.hold_id FROM cost_ledger_internal.hold h WHERE h.state = 'open'
        RETURNING 1)
    SELECT count(*) FROM made
$$;

-- What is held is held of every period until it is over: a new one begins with
-- it, and the call counts when it was made.
SELECT cost_ledger.set_budget('ends', '{"team": "ends"}', 'minute', 10) > 0 AS set;
SELECT * FROM pg_temp.ask('e', '{"team": "ends"}', 1);
-- as a minute later
UPDATE cost_ledger_internal.budget_balance SET period_start = period_start - interval '1 minute' WHERE period_start > '-infinity';
SELECT * FROM pg_temp.ask('f', '{"team": "ends"}', 1);
-- made in the minute before: there is room in this one
SELECT pg_temp.call_all('ends', 'm', date_trunc('minute', now()) - interval '1 second');
SELECT * FROM pg_temp.ask('g', '{"team": "ends"}', 1);
SELECT pg_temp.call_all('ends', 'm');
SELECT count(*) AS minutes, max(s.posted) AS most, sum(s.held) AS held
FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id) WHERE b.name = 'ends' AND s.posted > 0;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();

-- Edited, switched off and on, another limit of another name: what is held stays.
SELECT cost_ledger.set_budget('edited', '{"team": "edited"}', 'month', 10) > 0 AS set;
SELECT * FROM pg_temp.ask('a', '{"team": "edited"}', 1);
UPDATE cost_ledger.budget SET time_zone = 'Asia/Kolkata' WHERE name = 'edited';
SELECT * FROM pg_temp.ask('b', '{"team": "edited"}', 1);
UPDATE cost_ledger.budget SET is_active = false WHERE name = 'edited';
UPDATE cost_ledger.budget SET is_active = true WHERE name = 'edited';
SELECT * FROM pg_temp.ask('c', '{"team": "edited"}', 1);
SELECT cost_ledger.set_budget('edited calls', '{"team": "edited"}', 'day', 10, metric => 'calls') > 0 AS set;
SELECT name, held FROM cost_ledger.budget_status WHERE name LIKE 'edited%' ORDER BY 1;
SELECT pg_temp.call_all('edited', 'm');
SELECT name, spent, held FROM cost_ledger.budget_status WHERE name LIKE 'edited%' ORDER BY 1;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();

-- A model that is degraded to has limits of its own, in the same decision.
SELECT cost_ledger.set_budget('big', '{"team": "t", "model": "big"}', 'month', 100, ARRAY[0.1, 1.0], actions => '{degrade,stop}', degrade_to => 'mini') > 0 AS set,
       cost_ledger.set_budget('mini', '{"team": "t", "model": "mini"}', 'month', 5) > 0 AS set,
       cost_ledger.set_budget('each model', '{"team": "t"}', 'month', 50, each_of => 'model') > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, team, input_tokens) VALUES ('openai', 'big', 't', 10);
CALL cost_ledger.refresh();
SELECT decision, degrade_to, estimate_held, reason FROM generate_series(1, 3) i, cost_ledger.reserve('k' || i, '{"team": "t"}', 4, 'openai', 'big');
SELECT b.name, l.entity, l.amount FROM cost_ledger_internal.hold_line l JOIN cost_ledger.budget b USING (budget_id) ORDER BY 1, 2;
SELECT pg_temp.call_all('t', 'mini');
SELECT name, entity, spent, held, limit_amount FROM cost_ledger.budget_status WHERE scope::jsonb @> '{"team": "t"}' ORDER BY 1, 2;
SELECT count(*) AS wrong FROM cost_ledger.check_balances();

-- Runs are as deep as reserve() was told, before refresh() sees a call of theirs.
SELECT cost_ledger.set_budget('depth', '{"team": "d"}', 'request', 5, metric => 'depth') > 0 AS set;
SELECT count(r.hold_id) AS granted, count(*) FILTER (WHERE r.decision = 'stop') AS stopped
FROM generate_series(1, 12) i,
     cost_ledger.reserve('d' || i, jsonb_strip_nulls(jsonb_build_object('team', 'd', 'run_id', 'run ' || i, 'parent_run_id', CASE WHEN i > 1 THEN 'run ' || i - 1 END)), 0.01) r;

-- stop is stronger than defer
SELECT cost_ledger.set_budget('both', '{"team": "s"}', 'month', 100, ARRAY[0.5, 0.8, 1.0], actions => '{warn,defer,stop}') > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, team, input_tokens) VALUES ('openai', 'm', 's', 85);
CALL cost_ledger.refresh();
SELECT decision FROM cost_ledger.reserve('s1', '{"team": "s"}', 1);
INSERT INTO cost_ledger.call (provider, model, team, input_tokens) VALUES ('openai', 'm', 's', 65);
CALL cost_ledger.refresh();
SELECT decision, reason FROM cost_ledger.reserve('s2', '{"team": "s"}', 1);
-- a model that costs nothing goes on; one whose cost nobody knows does not
SELECT decision, reason FROM cost_ledger.reserve('s3', '{"team": "s"}', provider => 'own', model => 'local', input_tokens => 1000, max_output_tokens => 10);
SELECT decision FROM cost_ledger.reserve('s4', '{"team": "s"}', provider => 'own', model => 'unknown', input_tokens => 1000, max_output_tokens => 10);

-- what the application's own cache answers are no tokens of a provider
SELECT cost_ledger.set_budget('TPM', '{"team": "tpm"}', 'hour', 1000, metric => 'tokens') > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, team, served_from, input_tokens) VALUES ('openai', 'm', 'tpm', 'response_cache', 1000000);
CALL cost_ledger.refresh();
SELECT decision, spent, held FROM cost_ledger.reserve('t1', '{"team": "tpm"}', provider => 'openai', model => 'm', input_tokens => 700, max_output_tokens => 0) \gset
\echo :decision :spent :held
INSERT INTO cost_ledger.call (provider, model, team, served_from, input_tokens, hold_id) SELECT 'openai', 'm', 'tpm', 'response_cache', 700, hold_id FROM cost_ledger_internal.hold WHERE hold_key = 't1';
SELECT spent, held FROM cost_ledger.budget_status WHERE name = 'TPM';
SELECT count(*) AS wrong FROM cost_ledger.check_balances();

-- Where nothing but holds is in the way, the first that expires is worth waiting for.
SELECT cost_ledger.set_budget('held', '{"team": "h"}', 'total', 10) > 0 AS set;
SELECT decision FROM cost_ledger.reserve('h1', '{"team": "h"}', 6, ttl => '5 minutes');
SELECT decision FROM cost_ledger.reserve('h2', '{"team": "h"}', 4, ttl => '1 hour');
SELECT decision, retry_after BETWEEN '4 minutes' AND '5 minutes' AS first_expiry FROM cost_ledger.reserve('h3', '{"team": "h"}', 2);
-- a retry that asks for longer has it; one that asks for less changes nothing
SELECT decision FROM cost_ledger.reserve('h1', '{"team": "h"}', 6, ttl => '30 minutes');
SELECT decision FROM cost_ledger.reserve('h2', '{"team": "h"}', 4, ttl => '1 minute');
SELECT h.hold_key, date_trunc('minute', h.expires_at - now() + interval '1 second') AS left, l.expires_at = h.expires_at AS line_too
FROM cost_ledger_internal.hold h JOIN cost_ledger_internal.hold_line l USING (hold_id) WHERE h.hold_key ~ '^h' ORDER BY 1;

-- Of limits that refuse alike, the one that lasts longest says when to try again.
SELECT cost_ledger.set_budget('this minute', '{"team": "both"}', 'minute', 1) > 0 AS set, cost_ledger.set_budget('this quarter', '{"team": "both"}', 'quarter', 1) > 0 AS set,
       cost_ledger.set_budget('this hour', '{"team": "both"}', 'hour', 1) > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, team, input_tokens, hold_id) SELECT 'openai', 'm', 'both', 1, r.hold_id FROM cost_ledger.reserve('both', '{"team": "both"}', 1) r;
SELECT b.name, r.decision, abs(extract(epoch FROM r.retry_after - (r.resets_at - now()))) < 60 AS when_that_is_over
FROM cost_ledger.reserve('again', '{"team": "both"}', 0.5) r JOIN cost_ledger.budget b USING (budget_id);

-- Who writes 50 means percent; who says percent is understood.
SELECT cost_ledger.set_budget('percent', '{"team": "p"}', 'month', 10, thresholds => ARRAY[50, 80, 100]);
SELECT cost_ledger.set_budget('percent', '{"team": "p"}', 'month', 10, thresholds => '{50,80,100}');
SELECT cost_ledger.set_budget('percent', '{"team": "p"}', 'month', 10, thresholds => '{50%, 80 %,100%}') > 0 AS set;
SELECT v.thresholds, v.actions FROM cost_ledger.budget_version v JOIN cost_ledger.budget b USING (budget_id) WHERE b.name = 'percent';
SELECT cost_ledger.set_budget('percent', '{"team": "p"}', 'month', 10, thresholds => '{a half}');

SELECT cost_ledger.drop_ledger(i_mean_it => true);
