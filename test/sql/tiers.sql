-- Tiers of models: by rule, by price, and not at all; at once, and for who sees a part.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger();
SELECT count(cost_ledger.set_price('p', model, rates::jsonb, '2025-01-01'))
FROM (VALUES ('five', '{"output_tokens": 5}'), ('more', '{"output_tokens": 5.01}'), ('fifteen', '{"output_tokens": 15}'), ('most', '{"output_tokens": 15.01}'), ('embed', '{"input_tokens": 0.1}'), ('free', '{"input_tokens": 0, "output_tokens": 0}')) AS m (model, rates);
INSERT INTO cost_ledger.call (provider, model, input_tokens, output_tokens, team)
SELECT 'p', m, 10, 10, CASE WHEN m < 'f' THEN 'a' ELSE 'b' END FROM unnest('{five,more,fifteen,most,embed,free,unknown,alpha-1,alpha-10}'::text[]) AS m;
-- By price; before the rollups know a model, and after.
SELECT model, model_tier FROM cost_ledger.cost_by_month ORDER BY model;
CALL cost_ledger.refresh();
SELECT model, model_tier FROM cost_ledger.cost_by_day ORDER BY model;
-- By rule: the longest filter counts, whole names before beginnings, then the last.
SELECT cost_ledger.set_model_tier('{"model": "alpha-1*"}', 'own'), cost_ledger.set_model_tier('{"model": "alpha-1"}', 'whole'), cost_ledger.set_model_tier('{"model": ["most", "free"]}', 'listed'),
       cost_ledger.set_model_tier('{"provider": "p", "model": "most"}', 'of p') \g /dev/null
SELECT DISTINCT model, model_tier FROM cost_ledger.cost_by_model ORDER BY model;
-- The same filter in another order of words says something else.
SELECT cost_ledger.set_model_tier('{"model": "most", "provider": "p"}', 'anew');
SELECT filter, tier FROM cost_ledger.model_tier ORDER BY model_tier_id;
-- NULL takes away.
SELECT cost_ledger.set_model_tier(filter, NULL) FROM cost_ledger.model_tier \g /dev/null
SELECT count(*) FROM cost_ledger.model_tier;
SELECT model_tier, sum(calls) FROM cost_ledger.cost_by_hour GROUP BY 1 ORDER BY 1;
SELECT model_tier IS NOT NULL AS has_tier, count(*) FROM cost_ledger.cost_by_label WHERE label IN ('model', 'team') GROUP BY label, 1 ORDER BY label, 1;
\set VERBOSITY sqlstate
SELECT cost_ledger.set_model_tier('{"team": "a"}', 'x');
SELECT cost_ledger.set_model_tier('{"model": "a"}', '');
SELECT cost_ledger.set_model_tier('[1]', 'x');
\set VERBOSITY default
-- A currency other than the list's, with and without a rate.
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger(currency => 'INR');
SELECT cost_ledger.set_price('p', 'm', '{"output_tokens": 10}', '2025-01-01', currency => 'USD') > 0 AS priced;
INSERT INTO cost_ledger.call (provider, model, output_tokens, team) VALUES ('p', 'm', 1, 'a');
SELECT model_tier FROM cost_ledger.cost_by_month;
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('USD', '2025-01-01', 88);
SELECT model_tier FROM cost_ledger.cost_by_month;
CREATE ROLE regress_tier;
SELECT cost_ledger.grant_team_reader('regress_tier', 'a') \g /dev/null
SET ROLE regress_tier;
SELECT model, model_tier FROM cost_ledger.cost_by_month;
SELECT cost_ledger.set_model_tier('{"model": "m"}', 'x');
RESET ROLE;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP OWNED BY regress_tier;
DROP ROLE regress_tier;
