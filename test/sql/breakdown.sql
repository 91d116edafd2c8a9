--
-- The bill in one breakdown: each cent in exactly one component, worked out by hand.
--
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger('UTC');
SELECT cost_ledger.create_partitions('2026-03-01', '2026-05-01') \g /dev/null
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1, "cache_read_tokens": 0.1, "cache_write_tokens": 2, "output_tokens": 4, "web_search_requests": {"price": 0.01, "per": 1}}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'thinks', '{"input_tokens": 1, "output_tokens": 4, "reasoning_tokens": 8}', '2026-01-01') > 0 AS set;
-- Nothing recorded, nothing shown.
SELECT count(*) FROM cost_ledger.cost_breakdown_by_month;

-- What is no turn has a component, and what is one has none, but for subagent.
SELECT o AS operation, cost_ledger_internal.call_component(o) AS component
FROM unnest('{retry,fallback,eval,judge,embedding,embeddings,rerank,moderation,background,routing,primary,subagent,chat,Retry,NULL}'::text[]) AS o
WHERE (cost_ledger_internal.call_component(o) IS NULL) <> cost_ledger_internal.is_turn(o);

-- 0.7 input, 0.02 + 0.2 cache, 2.0 output of which a quarter is reasoning, 0.02 for two searches.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, operation, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, other_usage, event_key) VALUES
    ('2026-03-02', 'p', 'm', 'chat', 'primary', 1000000, 200000, 100000, 500000, 125000, '{"web_search_requests": 2}', 'work');
-- 1 input, 1.6 output, 0.8 reasoning, which has a rate of its own.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, input_tokens, output_tokens, reasoning_tokens) VALUES ('2026-03-02', 'p', 'thinks', 'chat', 1000000, 500000, 100000);
-- A retry is a retry, also of a sub-agent.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, operation, input_tokens, run_id, parent_run_id) VALUES
    ('2026-03-03', 'p', 'm', 'chat', 'retry', 100000, NULL, NULL), ('2026-03-03', 'p', 'm', 'chat', 'RETRY', 200000, 'r2', 'r1'), ('2026-03-03', 'p', 'm', 'chat', 'Fallback', 300000, NULL, NULL),
    ('2026-03-03', 'p', 'm', 'chat', 'eval', 200000, NULL, NULL), ('2026-03-03', 'p', 'm', 'chat', 'judge', 400000, NULL, NULL),
    ('2026-03-03', 'p', 'm', 'chat', 'embedding', 50000, NULL, NULL), ('2026-03-03', 'p', 'm', 'chat', 'embeddings', 60000, NULL, NULL), ('2026-03-03', 'p', 'm', 'chat', 'rerank', 10000, NULL, NULL),
    ('2026-03-03', 'p', 'm', 'chat', 'moderation', 20000, NULL, NULL), ('2026-03-03', 'p', 'm', 'chat', 'background', 30000, NULL, NULL), ('2026-03-03', 'p', 'm', 'chat', 'routing', 40000, NULL, NULL);
CALL cost_ledger.refresh();
-- Sub-agents, in the rollups or not: by their parent (1 + 0.4), by their operation, by both; one without a price.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, operation, input_tokens, output_tokens, reasoning_tokens, run_id, parent_run_id, event_key) VALUES
    ('2026-03-04', 'p', 'm', 'chat', 'primary', 1000000, 100000, 50000, 'r2', 'r1', 'sub'), ('2026-03-04', 'p', 'm', 'chat', 'subagent', 500000, NULL, NULL, NULL, NULL, NULL),
    ('2026-03-04', 'p', 'm', 'chat', 'SubAgent', 250000, NULL, NULL, 'r3', 'r1', NULL), ('2026-03-04', 'p', 'none', 'chat', NULL, 1, NULL, NULL, 'r3', 'r1', NULL);
-- An answer from the cache, a call without a price; corrections: 0.1 less for the work, 0.2 less for the sub-agent.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, served_from, input_tokens) VALUES ('2026-03-05', 'p', 'm', 'chat', 'response_cache', 1000000), ('2026-03-05', 'p', 'none', 'chat', DEFAULT, 1000000);
SELECT cost_ledger.correct_call('work', '{"input_tokens": 900000, "cache_read_tokens": 200000, "cache_write_tokens": 100000, "output_tokens": 500000, "reasoning_tokens": 125000, "web_search_requests": 2}', 'recount') > 0 AS corrected,
       cost_ledger.correct_call('sub', '{"input_tokens": 800000, "output_tokens": 100000, "reasoning_tokens": 50000}', 'recount') > 0 AS corrected;
-- One-sided: sub-agents alone, a credit alone (the call is of another month's bill), nothing with a price, and calls without a feature.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, operation, input_tokens, run_id, parent_run_id, event_key) VALUES
    ('2026-03-06', 'p', 'm', 'agents', 'primary', 100000, 'r9', 'r8', NULL), ('2026-04-06', 'p', 'none', 'unpriced', 'primary', 1, NULL, NULL, NULL), ('2026-04-06', 'p', 'none', 'unpriced', 'eval', 1, NULL, NULL, NULL),
    ('2026-04-07', 'p', 'm', NULL, 'primary', 500000, NULL, NULL, 'credited'), ('2026-04-07', 'p', 'm', NULL, 'background', 500000, NULL, NULL, 'credited too');
SELECT cost_ledger.correct_call(k, '{"input_tokens": 0}', 'a credit') > 0 AS credited FROM unnest('{credited,"credited too"}'::text[]) AS k;

CREATE TEMP TABLE breakdown AS SELECT * FROM cost_ledger.cost_breakdown_by_month;
SELECT month, feature, is_allocated, component, calls, unpriced_calls, cost, feature_share, share FROM breakdown ORDER BY month, feature, component;
SELECT b.month, b.cost, b.cost = c.cost AS adds_up, b.shares
FROM (SELECT month, sum(cost) AS cost, round(sum(share), 4) AS shares FROM breakdown GROUP BY month) b
JOIN (SELECT date_trunc('month', called_at)::date AS month, sum(cost) AS cost FROM cost_ledger.call GROUP BY 1) c ON c.month = b.month
ORDER BY b.month;

-- The same once all of it is in the rollups, which are what the calls say; and after a call has moved, and one was never made.
CALL cost_ledger.refresh();
(TABLE breakdown EXCEPT TABLE cost_ledger.cost_breakdown_by_month) UNION ALL (TABLE cost_ledger.cost_breakdown_by_month EXCEPT TABLE breakdown);
SELECT * FROM cost_ledger.check_rollups();
SELECT count(*) FROM cost_ledger.reattribute('{"run_id": "r9"}'::jsonb, '{"feature": "chat"}', 'moved', dry_run => false);
SELECT cost_ledger.void_call('sub', 'never made') > 0 AS void;
CALL cost_ledger.refresh();
SELECT feature, component, calls, cost FROM cost_ledger.cost_breakdown_by_month WHERE component = 'sub_agents' ORDER BY feature;
SELECT * FROM cost_ledger.check_rollups();
SELECT (SELECT sum(cost) FROM cost_ledger.cost_breakdown_by_month) = (SELECT sum(cost) FROM cost_ledger.call) AS adds_up;
-- A rollup that is wrong is found, and put right.
UPDATE cost_ledger_internal.rollup_subrun_month SET cost = cost + 1 WHERE month = '2026-03-01';
SELECT rollup, count(*) > 0 AS differs FROM cost_ledger.check_rollups() GROUP BY rollup;
\set VERBOSITY terse
SELECT cost_ledger.rebuild_rollups() > 0 AS put_right;
\set VERBOSITY default
SELECT count(*) FROM cost_ledger.check_rollups();
SELECT cost_ledger.drop_ledger(i_mean_it => true);
