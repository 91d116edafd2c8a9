-- Refusals: what budgets turn away is counted and told of.
SET timezone = 'UTC';
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

-- Who may read a team's budgets sees its refusals, and no others.
CREATE ROLE refusals_reader;
SELECT cost_ledger.grant_team_reader('refusals_reader', 'a');
SET ROLE refusals_reader;
SELECT name, refusals FROM cost_ledger.budget_refusal;
RESET ROLE;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP ROLE refusals_reader;
