-- Refusals: what budgets turn away is counted and told of; and what an answer says.
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": {"price": 1, "per": 1}}', '2026-01-01') IS NOT NULL AS priced;

-- A limit of 100, calls of 32: three fit.  The limit itself is never reached.
SELECT cost_ledger.set_budget('month', '{"team": "a"}', 'month', 100) > 0 AS set;
SELECT decision, count(*) FROM generate_series(1, 7) i, LATERAL cost_ledger.reserve('k' || i, '{"team": "a"}', 32) GROUP BY 1 ORDER BY 1;
-- at once, before any job
SELECT name, entity, refusals, exceeding_calls, asked, currency, is_complete, first_refused_at <= last_refused_at AS ordered FROM cost_ledger.budget_refusal;
SELECT cost_ledger.check_budgets() AS alerts;
SELECT a.kind, a.basis, a.level, a.severity, a.threshold, a.spent, a.limit_amount, a.payload - '{id,budget_id,as_of,period}'::text[] AS payload
FROM cost_ledger.alert a ORDER BY a.alert_id;
-- the next are counted, and are no news
SELECT decision, reason FROM cost_ledger.reserve('k8', '{"team": "a"}', 40);
SELECT cost_ledger.check_budgets() AS alerts;
SELECT refusals, asked FROM cost_ledger.budget_refusal;
-- a check, a pause and a retry that was granted refuse nothing
SELECT decision FROM cost_ledger.reserve(NULL, '{"team": "a"}', 40, check_only => true);
SELECT decision FROM cost_ledger.reserve('k1', '{"team": "a"}', 32);
SELECT cost_ledger.pause('{"team": "a"}', 'a test') > 0 AS paused;
SELECT decision FROM cost_ledger.reserve('k9', '{"team": "a"}', 1);
SELECT cost_ledger.resume('{"team": "a"}') AS resumed;
SELECT refusals, asked FROM cost_ledger.budget_refusal;
-- what is rolled back was not refused to anybody
BEGIN;
SELECT decision FROM cost_ledger.reserve('k10', '{"team": "a"}', 40);
ROLLBACK;
SELECT refusals FROM cost_ledger.budget_refusal;
-- a transaction that may not write is answered all the same
BEGIN READ ONLY;
SELECT decision FROM cost_ledger.reserve(NULL, '{"team": "a"}', 40, check_only => true);
COMMIT;

-- Each user for himself, and calls at once: told of by the day.
SELECT cost_ledger.set_budget('users', '{}', 'day', 10, each_of => 'user_id', thresholds => '{0.5, 1}', actions => '{warn,defer}') > 0 AS set;
SELECT cost_ledger.set_budget('at once', '{"team": "c"}', 'total', 2, metric => 'concurrent_calls') > 0 AS set;
SELECT decision, count(*) FROM generate_series(1, 3) u, generate_series(1, u) i, LATERAL cost_ledger.reserve('u' || u || '-' || i, jsonb_build_object('user_id', 'u' || u), 6) GROUP BY 1 ORDER BY 1;
SELECT decision, count(*) FROM generate_series(1, 3) i, LATERAL cost_ledger.reserve('c' || i, '{"team": "c"}', 1) GROUP BY 1 ORDER BY 1;
SELECT name, entity, period, ends_at - starts_at AS length, refusals, asked, currency FROM cost_ledger.budget_refusal ORDER BY 1, 2;
SELECT cost_ledger.check_budgets() AS alerts;
SELECT b.name, a.entity, a.kind, a.level, a.severity, a.threshold FROM cost_ledger.alert a JOIN cost_ledger.budget b USING (budget_id) ORDER BY a.alert_id;

-- A call above the limit of a request that nobody was asked about, or that cost
-- more than was held.  What is loaded of long ago is no news.
SELECT cost_ledger.set_budget('a request', '{"team": "b*"}', 'request', 1) > 0 AS set,
       cost_ledger.set_budget('tokens of one', '{}', 'request', 100, metric => 'tokens', each_of => 'agent', thresholds => '{1}', actions => '{warn}') > 0 AS set;
SELECT decision FROM cost_ledger.reserve('b-1', '{"team": "b2"}', 1);
INSERT INTO cost_ledger.call (provider, model, team, agent, called_at, input_tokens, hold_id) VALUES
    ('openai', 'm', 'b1', NULL, now(), 5, NULL), ('openai', 'm', 'b1', NULL, now(), 1, NULL), ('openai', 'm', 'c', NULL, now(), 5, NULL),
    ('openai', 'm', 'b1', NULL, now() - interval '3 days', 7, NULL), ('openai', 'm', 'c', 'agent 7', now(), 101, NULL),
    ('openai', 'm', 'b2', NULL, now(), 4, (SELECT hold_id FROM cost_ledger.open_hold WHERE hold_key = 'b-1')::uuid);
CALL cost_ledger.refresh();
SELECT name, entity, refusals, exceeding_calls, asked FROM cost_ledger.budget_refusal WHERE exceeding_calls > 0 ORDER BY 1;
SELECT cost_ledger.check_budgets() > 0 AS alerted;
SELECT b.name, a.entity, a.kind, a.level, a.severity, a.threshold, a.spent FROM cost_ledger.alert a JOIN cost_ledger.budget b USING (budget_id) WHERE a.kind = 'exceeded' ORDER BY 1;

-- An error, for who asks for one: on record with the next decision.
\set VERBOSITY sqlstate
SELECT decision FROM cost_ledger.reserve('e1', '{"team": "a"}', 40, raise => true);
SELECT decision FROM cost_ledger.reserve('e2', '{"user_id": "u2"}', 40, raise => true);
SELECT cost_ledger.pause('{"team": "p"}', 'a test') > 0 AS paused;
SELECT decision FROM cost_ledger.reserve('e3', '{"team": "p"}', 1, raise => true);
\set VERBOSITY default
-- with one that stays: these are rolled back
BEGIN;
SELECT decision FROM cost_ledger.reserve('e5', '{"team": "z"}', 1);
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT decision FROM cost_ledger.reserve('e6', '{"team": "z"}', 1);
ROLLBACK TO s;
COMMIT;
SELECT name, entity, refusals, asked FROM cost_ledger.budget_refusal WHERE name IN ('month', 'users') ORDER BY 1, 2;
SELECT decision FROM cost_ledger.reserve('e4', '{"team": "z"}', 1, raise => true);
SELECT decision FROM cost_ledger.reserve('e7', '{"team": "z"}', 1, raise => true);
SELECT name, entity, refusals, asked FROM cost_ledger.budget_refusal WHERE name IN ('month', 'users') ORDER BY 1, 2;

-- A throttled call hears its pace: what is left, over what is left of the period.
SELECT cost_ledger.set_budget('pace', '{"team": "t"}', 'day', 100, thresholds => '{0.5, 1}', actions => '{throttle,stop}') > 0 AS set;
SELECT r.decision, r.retry_after IS NULL AS no_pace FROM cost_ledger.reserve('t1', '{"team": "t"}', 40) r;
SELECT r.decision, round((extract(epoch FROM r.retry_after) / extract(epoch FROM r.resets_at - clock_timestamp()))::numeric, 2) AS share_of_what_is_left
FROM cost_ledger.reserve('t2', '{"team": "t"}', 20) r;
SELECT r.decision, round((extract(epoch FROM r.retry_after) / extract(epoch FROM r.resets_at - clock_timestamp()))::numeric, 2) AS share_of_what_is_left
FROM cost_ledger.reserve('t3', '{"team": "t"}', 40) r;

-- Tokens and tool calls.
SELECT cost_ledger.set_budget('tokens', '{"team": "k"}', 'minute', 1000, metric => 'tokens') > 0 AS set,
       cost_ledger.set_budget('tools', '{"team": "l"}', 'day', 5, metric => 'tool_calls') > 0 AS set;
SELECT decision FROM cost_ledger.reserve('k-1', '{"team": "k"}', 1);
SELECT decision, held FROM cost_ledger.reserve('k-0', '{"team": "k"}', 3.5, provider => 'openai', model => 'm');
SELECT decision, held FROM cost_ledger.reserve('k-2', '{"team": "k"}', 1, input_tokens => 600);
SELECT decision FROM cost_ledger.reserve('k-3', '{"team": "k"}', 1, max_output_tokens => 600);
SELECT decision, held FROM cost_ledger.reserve('l-1', '{"team": "l"}', 1, tool_calls => 3);
SELECT decision, held FROM cost_ledger.reserve('l-2', '{"team": "l"}', 1, tool_calls => 3);
SELECT decision FROM cost_ledger.reserve('l-3', '{"team": "l"}', 1, tool_calls => -1);
-- they are rebuilt from the hold
UPDATE cost_ledger.budget SET is_active = false WHERE name IN ('tools', 'tokens');
UPDATE cost_ledger.budget SET is_active = true WHERE name IN ('tools', 'tokens');
SELECT name, held FROM cost_ledger.budget_status WHERE name IN ('tools', 'tokens') ORDER BY 1;

-- A model without a price is allowed and said so; or held for; or stopped.
SELECT cost_ledger.set_budget('unpriced', '{"team": "n"}', 'day', 10) > 0 AS set;
SELECT decision, reason, estimate_held, is_unpriced FROM cost_ledger.reserve('n-1', '{"team": "n"}', provider => 'openai', model => 'unheard-of', input_tokens => 5);
SELECT decision, estimate_held, is_unpriced FROM cost_ledger.reserve('n-1', '{"team": "n"}', provider => 'openai', model => 'unheard-of', input_tokens => 5);
SELECT decision, reason, is_unpriced FROM cost_ledger.reserve('n-2', '{"team": "n"}', provider => 'openai', model => 'unheard-of');
SELECT decision, estimate_held, is_unpriced FROM cost_ledger.reserve('n-3', '{"team": "n"}', 2, provider => 'openai', model => 'unheard-of');
SELECT decision, reason, is_unpriced FROM cost_ledger.reserve('n-4', '{"team": "n"}', provider => 'openai', model => 'm');
\set VERBOSITY terse
UPDATE cost_ledger.ledger SET unpriced_policy = 'hold';
\set VERBOSITY default
UPDATE cost_ledger.ledger SET unpriced_policy = 'hold', unpriced_estimate = 9;
SELECT decision, reason, held, estimate_held, is_unpriced FROM cost_ledger.reserve('n-5', '{"team": "n"}', provider => 'openai', model => 'unheard-of');
SELECT decision, reason FROM cost_ledger.reserve('n-6', '{"team": "z"}', provider => 'openai', model => 'unheard-of');
UPDATE cost_ledger.ledger SET unpriced_policy = 'stop';
SELECT decision, reason, is_unpriced FROM cost_ledger.reserve('n-7', '{"team": "z"}', provider => 'openai', model => 'unheard-of');
-- The same as one JSON document.
SELECT jsonb_pretty(cost_ledger.reserve_json('{"hold_key": "j-1", "labels": {"team": "t"}, "estimate": 1}') - '{hold_id,budget_id,resets_at,retry_after_seconds}'::text[]);
SELECT jsonb_pretty(cost_ledger.reserve_json('{"hold_key": "j-2", "labels": {"user_id": "u2"}, "estimate": "0.50", "provider": "openai", "model": "m", "input_tokens": 7, "max_output_tokens": 7, "tool_calls": 0, "ttl": "PT5M", "check_only": true}')
                    - '{hold_id,budget_id,resets_at,retry_after_seconds}'::text[]);
SELECT jsonb_pretty(cost_ledger.reserve_json('{"hold_key": "j-3", "labels": {"user_id": "u2"}, "estimate": 5}') - '{budget_id,resets_at,retry_after_seconds}'::text[]);
SELECT cost_ledger.reserve_json('{"hold_key": "j-4", "label": {"user_id": "u2"}}');
SELECT cost_ledger.reserve_json('{"hold_key": "j-4", "estimate": "much"}');
SELECT cost_ledger.reserve_json('[]');
SELECT cost_ledger.reserve_json(NULL);
SELECT decision, reason FROM cost_ledger.reserve('n-8', '{"team": "z"}', provider => 'openai', model => 'm', input_tokens => 1);

-- Who may read a team's budgets sees its refusals, and no others.
CREATE ROLE refusals_reader;
SELECT cost_ledger.grant_team_reader('refusals_reader', 'a');
SET ROLE refusals_reader;
SELECT name, refusals FROM cost_ledger.budget_refusal;
RESET ROLE;
-- several that refuse have all to be over; what is more than a whole limit fits never
SELECT cost_ledger.set_budget('a day', '{"team": "lasts"}', 'day', 10) > 0 AS set, cost_ledger.set_budget('for ever', '{"team": "lasts"}', 'total', 10) > 0 AS set;
INSERT INTO cost_ledger.call (provider, model, team, input_tokens) VALUES ('openai', 'm', 'lasts', 10);
CALL cost_ledger.refresh();
SELECT decision, reason, retry_after FROM cost_ledger.reserve('lasts', '{"team": "lasts"}', 5);
SELECT cost_ledger.set_budget('small', '{"team": "small"}', 'day', 10) > 0 AS set;
SELECT decision, retry_after FROM cost_ledger.reserve('small', '{"team": "small"}', 11);
-- the clock set back to before a budget was set: its limit holds
SELECT cost_ledger.set_budget('back', '{"team": "back"}', 'month', 10) > 0 AS set;
UPDATE cost_ledger.budget_version v SET valid_from = now() + interval '5 minutes' FROM cost_ledger.budget b WHERE b.budget_id = v.budget_id AND b.name = 'back';
SELECT decision FROM cost_ledger.reserve('back', '{"team": "back"}', 11);
-- sent to a model without a price, it holds what was expected of the first
SELECT cost_ledger.set_budget('sent', '{"team": "sent"}', 'month', 100, ARRAY[0.0001, 1], actions => '{degrade,stop}', degrade_to => 'unheard-of') > 0 AS set;
SELECT decision, degrade_to, estimate_held FROM cost_ledger.reserve('sent', '{"team": "sent"}', provider => 'openai', model => 'm', input_tokens => 3);

SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP ROLE refusals_reader;
