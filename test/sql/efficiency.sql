--
-- Was it worth it: what an outcome costs, beside the quality it had, worked out by hand.
--
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger('UTC');
SELECT cost_ledger.create_partitions('2026-02-01', '2026-05-01') \g /dev/null
SELECT cost_ledger.set_price('p', 'big', '{"input_tokens": 8, "cache_read_tokens": 0.8, "cache_write_tokens": 10, "output_tokens": 40}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'mid', '{"input_tokens": [2, {"price": 4, "over": 200000}], "output_tokens": 10}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'mid', '{"input_tokens": 1, "output_tokens": 5}', '2026-01-01', service_class => 'batch') > 0 AS set,
       cost_ledger.set_price('p', 'mid-dear', '{"input_tokens": 3, "output_tokens": 12}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'small', '{"input_tokens": 1, "output_tokens": 5}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'tiny', '{"input_tokens": 0.1, "output_tokens": 0.5}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'vectors', '{"input_tokens": 0.01}', '2026-01-01') > 0 AS set;
-- Nothing recorded.
SELECT (SELECT count(*) FROM cost_ledger.efficiency_by_month), (SELECT count(*) FROM cost_ledger.tier_mix_by_month), (SELECT count(*) FROM cost_ledger.task_efficiency_by_month),
       (SELECT count(*) FROM cost_ledger.request_chain), (SELECT count(*) FROM cost_ledger.cache_saving_by_month), (SELECT count(*) FROM cost_ledger.batch_saving()), (SELECT count(*) FROM cost_ledger.tier_down());
SELECT calls, billed_tokens, cost, mean_cost_per_mtok, servers, hosted_amount, difference, break_even_tokens, is_above_break_even FROM cost_ledger.self_hosting_crossover(100, 1e9);

-- Request q1: big fails (0.8), its retry fails (0.8), a fallback to mid is accepted (0.2); q2: rejected (0.8); q3: big, no outcome, score 0.9, of which 40 % was cached;
-- q4 fails for good; an answer from the cache; a call without a price.
INSERT INTO cost_ledger.call (called_at, provider, model, team, feature, task_type, operation, status, accepted, score, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, request_id, attempt, run_id, served_from, avoided_cost) VALUES
    ('2026-03-02 10:00Z', 'p', 'big', 'a', 'chat', 't', 'primary', 'error', NULL, NULL, 100000, NULL, NULL, 0, 'q1', 1, 'r1', 'model', NULL),
    ('2026-03-02 10:01Z', 'p', 'big', 'a', 'chat', 't', 'retry', 'timeout', NULL, NULL, 100000, NULL, NULL, 0, 'q1', 2, 'r1', 'model', NULL),
    ('2026-03-02 10:02Z', 'p', 'mid', 'a', 'chat', 't', 'fallback', 'success', true, 0.5, 100000, NULL, NULL, 0, 'q1', 3, 'r1', 'model', NULL),
    ('2026-03-03 10:00Z', 'p', 'big', 'a', 'chat', 't', 'primary', 'success', false, 0.1, 100000, NULL, NULL, 0, 'q2', NULL, 'r2', 'model', NULL),
    ('2026-03-03 11:00Z', 'p', 'big', 'b', 'chat', 't', 'primary', NULL, NULL, 0.9, 100000, 40000, 10000, 20000, 'q3', 1, 'r3', 'model', NULL),
    ('2026-03-31 23:59Z', 'p', 'mid', 'b', 'search', NULL, 'primary', 'success', NULL, NULL, 100000, NULL, NULL, NULL, 'q4', 1, 'r4', 'model', NULL),
    ('2026-04-01 00:01Z', 'p', 'mid', 'b', 'search', NULL, 'retry', 'error', NULL, NULL, 300000, NULL, NULL, NULL, 'q4', 2, 'r4', 'model', NULL),
    ('2026-03-04 10:00Z', 'p', 'big', 'b', 'search', NULL, NULL, NULL, NULL, NULL, 50000, NULL, NULL, NULL, NULL, NULL, NULL, 'response_cache', 0.4),
    ('2026-03-04 10:00Z', 'p', 'none', 'b', 'search', NULL, NULL, NULL, true, NULL, 50000, NULL, NULL, NULL, NULL, NULL, NULL, 'model', NULL),
    -- a month in which nothing has a price, and one call that could have waited, at 2 and, by batch, 1
    ('2026-02-02 10:00Z', 'p', 'none', 'a', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'model', NULL),
    ('2026-04-02 10:00Z', 'p', 'mid', 'a', 'nightly', NULL, 'eval', NULL, NULL, NULL, 100000, NULL, NULL, NULL, NULL, NULL, NULL, 'model', NULL),
    ('2026-04-02 10:00Z', 'p', 'big', 'b', 'nightly', NULL, 'eval', NULL, NULL, NULL, 100000, NULL, NULL, NULL, NULL, NULL, NULL, 'model', NULL);

-- chat: 0.8 + 0.8 + 0.2 + 0.8 + (50000 × 8 + 40000 × 0.8 + 10000 × 10 + 20000 × 40) / 1e6 = 1.332: 3.932 for 5 calls, of which 3 have not failed and one was accepted;
-- one fallback for 3 turns, though it is a fifth of the calls.
SELECT label, value, calls, unpriced_calls, successful_calls, accepted_calls, turns, cost, mean_cost_per_successful_call AS per_successful, mean_cost_per_accepted_call AS per_accepted,
       success_ratio, acceptance_ratio, mean_score
FROM cost_ledger.efficiency_by_month WHERE month = '2026-03-01' ORDER BY label, value;
SELECT label, value, retries, retry_cost, retry_share, fallbacks, fallback_cost, fallback_ratio, output_to_input_ratio AS output_to_input, mean_cost_per_mtok, response_cache_calls AS cached, response_cache_ratio, avoided_cost
FROM cost_ledger.efficiency_by_month WHERE month = '2026-03-01' ORDER BY label, value;
SELECT value, calls, unpriced_calls, cost, mean_cost_per_successful_call, mean_cost_per_accepted_call, acceptance_ratio, mean_score, retry_share, fallback_ratio, output_to_input_ratio, mean_cost_per_mtok
FROM cost_ledger.efficiency_by_month WHERE month = '2026-02-01' AND label = 'feature';
SELECT month, feature, model_tier, models, calls, cost, mean_cost_per_call, acceptance_ratio, mean_score, call_share, share FROM cost_ledger.tier_mix_by_month ORDER BY month, feature, model_tier;

-- Tasks, each whole: r1 has failed twice and was accepted, r2 was rejected, r3 succeeded, r4 goes over the end of a month.
SELECT month, task_type, is_allocated, tasks, priced_tasks, successful_tasks, accepted_tasks, rejected_tasks, cost, mean_cost_per_task, mean_cost_per_successful_task, mean_cost_per_accepted_task,
       success_ratio, acceptance_ratio
FROM cost_ledger.task_efficiency_by_month ORDER BY month, task_type;
SELECT calls, failed, accepted, rejected, cost_ledger_internal.run_outcome(calls, failed, accepted, rejected) AS outcome
FROM (VALUES (2, 2, NULL, NULL), (2, 1, 0, 0), (1, NULL, NULL, NULL), (3, 3, 1, 1), (3, 0, 0, 1)) AS v (calls, failed, accepted, rejected);

-- Chains of attempts, over the end of a month too.
SELECT request_id, started_at, attempts, retries, fallbacks, failed_calls, cost, first_cost, repeat_cost, operations, first_model, last_model, status, outcome, feature, run_id
FROM cost_ledger.request_chain ORDER BY request_id;

-- big has 40000 of 400000 tokens from the cache in chat, which saved 40000 × 7.2 less 10000 × 2 for the writes; another 240000 would save 240000 × 7.2.
SELECT month, feature, model, calls, billed_input_tokens, cache_hit_ratio, input_cost, cache_read_cost, cache_write_cost, prompt_cache_saving, further_saving_at_70, response_cache_calls, avoided_cost
FROM cost_ledger.cache_saving_by_month ORDER BY month, feature, model;

-- By batch: mid has a price for it, big has none; the rule is the user's.
SELECT * FROM cost_ledger.batch_saving();
SELECT feature, model, calls, cost, batch_calls, standard_cost, batch_cost, saving FROM cost_ledger.batch_saving('{"feature": "search"}', '2026-03-01', '2026-04-01');

-- Other words for standard are standard; what is batch already saves nothing.
BEGIN;
INSERT INTO cost_ledger.call (called_at, provider, model, feature, service_class, input_tokens) SELECT '2026-04-03', 'p', 'mid', 'classes', c, 100000 FROM unnest('{Standard,default,on_demand,batch,BATCH}'::text[]) AS c;
SELECT calls, cost, batch_calls, batch_cost, saving FROM cost_ledger.batch_saving('{"feature": "classes"}');
SELECT calls, cost FROM cost_ledger.batch_saving('{"feature": "classes", "service_class": ["default", "batch"]}');
ROLLBACK;

-- One tier down.  Of two medium ones the cheaper is the median; the quality is what each model had in the feature.
SELECT feature, model, model_tier, calls, cost, acceptance_ratio AS accepted, mean_score, lower_tier, lower_model, comparable_calls, lower_cost, difference, ratio, lower_calls, lower_acceptance_ratio AS lower_accepted, lower_mean_score
FROM cost_ledger.tier_down('{}', '2026-03-01', '2026-04-01');
SELECT model, lower_model, lower_cost, ratio FROM cost_ledger.tier_down('{"feature": "search"}', '2026-04-01', '2026-05-01', pick => 'cheapest');
SELECT model, model_tier, lower_tier, lower_model, cost, lower_cost, ratio FROM cost_ledger.tier_down('{"model": "big", "feature": "nightly"}', to_model => 'tiny');
-- A tier of one's own has none below it; and of a provider that has no medium ones, the next are cheap.
SELECT cost_ledger.set_model_tier('{"model": "mid*"}', 'house');
SELECT model, model_tier, lower_tier, lower_model, ratio FROM cost_ledger.tier_down('{"feature": "nightly"}') ORDER BY model;
SELECT cost_ledger.set_model_tier('{"model": "mid*"}', NULL);

-- nightly in April: 200000 tokens for 1.0, 5 a million.  A server of 10 a month pays from 2 million on; of 10 and 1 for each million, from 2.5; one that serves a million never does.
SELECT month, capacity, extra, c.billed_tokens, c.cost, c.mean_cost_per_mtok, c.servers, c.hosted_amount, c.difference, c.break_even_tokens, c.is_above_break_even
FROM (VALUES (date '2026-04-01', 10000000, 0), ('2026-04-15', 10000000, 1), ('2026-04-01', 1000000, 0), ('2026-04-01', 2000000, 0), ('2026-04-01', 100000, 5)) AS v (month, capacity, extra),
     cost_ledger.self_hosting_crossover(10, v.capacity, '{"feature": "nightly"}', v.month, v.extra) c;
SELECT first_day, calls, cost, break_even_tokens, is_above_break_even FROM cost_ledger.self_hosting_crossover(0.1, 1e6, '{"feature": "nightly"}', '2026-04-30');
SELECT unpriced_calls, cost, mean_cost_per_mtok, difference, break_even_tokens, is_above_break_even FROM cost_ledger.self_hosting_crossover(0.1, 1e6, month => '2026-02-01');

-- All the same from the rollups.
CREATE TEMP TABLE before AS
    SELECT to_jsonb(e) AS row FROM cost_ledger.efficiency_by_month e UNION ALL SELECT to_jsonb(e) FROM cost_ledger.tier_mix_by_month e UNION ALL SELECT to_jsonb(e) FROM cost_ledger.task_efficiency_by_month e
    UNION ALL SELECT to_jsonb(e) FROM cost_ledger.request_chain e UNION ALL SELECT to_jsonb(e) FROM cost_ledger.cache_saving_by_month e;
CALL cost_ledger.refresh();
SELECT count(*) FROM ((TABLE before) EXCEPT ALL (
    SELECT to_jsonb(e) AS row FROM cost_ledger.efficiency_by_month e UNION ALL SELECT to_jsonb(e) FROM cost_ledger.tier_mix_by_month e UNION ALL SELECT to_jsonb(e) FROM cost_ledger.task_efficiency_by_month e
    UNION ALL SELECT to_jsonb(e) FROM cost_ledger.request_chain e UNION ALL SELECT to_jsonb(e) FROM cost_ledger.cache_saving_by_month e)) d;

-- A reader of a team gets answers of its own calls.
CREATE ROLE regress_efficiency;
SELECT cost_ledger.grant_team_reader('regress_efficiency', 'a');
SET ROLE regress_efficiency;
SELECT feature, model, calls, cost, saving FROM cost_ledger.batch_saving() ORDER BY model;
SELECT feature, model, calls, lower_model, mean_score, lower_mean_score FROM cost_ledger.tier_down('{}', '2026-03-01', '2026-05-01') ORDER BY feature, model;
SELECT calls, billed_tokens, cost FROM cost_ledger.self_hosting_crossover(10, 1e6, month => '2026-04-01');
SELECT label, value, calls FROM cost_ledger.efficiency_by_month WHERE label = 'feature' AND month = '2026-03-01';
SELECT request_id, attempts FROM cost_ledger.request_chain ORDER BY 1;
SELECT model, further_saving_at_70 > 0 AS more FROM cost_ledger.cache_saving_by_month WHERE month = '2026-03-01' AND model = 'big';
RESET ROLE;

-- What makes no sense.
SELECT * FROM cost_ledger.tier_down(pick => 'dearest');
SELECT * FROM cost_ledger.self_hosting_crossover(0, 1);
SELECT * FROM cost_ledger.self_hosting_crossover(1, 1, '{"user_id": "u"}');
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.self_hosting_crossover('NaN', 1);
SELECT * FROM cost_ledger.self_hosting_crossover(1, NULL);
SELECT * FROM cost_ledger.self_hosting_crossover(1, 1, amount_per_mtok => -1);
SELECT * FROM cost_ledger.tier_down('{"nobody": 1}');
SELECT * FROM cost_ledger.tier_down(range_start => '2026-04-01', range_end => '2026-03-01');
SELECT * FROM cost_ledger.batch_saving('[]');
SELECT * FROM cost_ledger.batch_saving(range_start => '2026-04-01', range_end => '2026-03-01');
\set VERBOSITY default
SELECT cost_ledger.revoke_team_reader('regress_efficiency', 'a');
DROP ROLE regress_efficiency;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
