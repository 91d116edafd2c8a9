-- What the money is worth: caches, retries, outcomes, models.
--- dashboard cost-ledger-efficiency
-- title: LLM cost: efficiency
-- description: What costs are made of, whether the caches work, what retries and failures cost, what an outcome costs, and which models do the work.
-- from: now-30d

--- labels team feature customer model

--- annotation Changes

--- annotation Prices

--- panel stat 6x4
-- title: Cost per call
-- description: Mean over the calls that have a price, and per call that was accepted, of the range. By team, feature, customer and model.
-- money: .
SELECT sum(c.cost) / nullif(sum(c.priced_calls), 0) AS "per call", sum(c.cost) / nullif(sum(c.accepted_calls), 0) AS "per accepted call"
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]

--- panel stat 6x4
-- title: Prompt cache
-- description: Input tokens that were read from the prompt cache, of all that models were sent. By team, feature, customer and model.
-- share: .
SELECT sum(c.cache_read_tokens) / nullif(sum(c.input_tokens), 0) AS hit
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.] AND c.served_from = 'model'

--- panel stat 6x4
-- title: Retries and fallbacks
-- description: Their share of the cost, and the share of calls that failed. By team, feature, customer and model.
-- share: .
SELECT sum(c.cost) FILTER (WHERE c.operation IN ('retry', 'fallback')) / nullif(sum(c.cost), 0) AS "of the cost", sum(c.failed_calls)::numeric / nullif(sum(c.calls), 0) AS "failed calls"
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]

--- panel stat 6x4
-- title: Response cache
-- description: What answers from the application's own cache would have cost, and their share of calls. By team, feature, customer and model.
-- money: ^avoided$
-- share: ^of calls$
SELECT sum(c.avoided_cost) AS avoided, sum(c.calls) FILTER (WHERE c.served_from = 'response_cache')::numeric / nullif(sum(c.calls), 0) AS "of calls"
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]

--- panel timeseries 12x9
-- title: What is a bill made of?
-- description: Cost by day: fresh input, cache reads, cache writes, output (reasoning included), what is no token, and corrections. By team, feature, customer and model.
-- money: .
-- json: {"fieldConfig": {"defaults": {"custom": {"drawStyle": "bars", "fillOpacity": 70, "stacking": {"mode": "normal", "group": "A"}}}}}
SELECT c.starts_at AS time, sum(c.input_cost) AS input, sum(c.cache_read_cost) AS "cache reads", sum(c.cache_write_cost) AS "cache writes", sum(c.output_cost) AS output,
       sum(c.other_cost) AS other, sum(c.adjustment_cost) AS corrections
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]
GROUP BY c.starts_at
ORDER BY c.starts_at

--- panel timeseries 12x9
-- title: Does the prompt cache work?
-- description: Part of the input tokens that was read from the cache, by day and feature. A drop is a prompt whose beginning changes. By team, feature, customer and model.
-- json: {"fieldConfig": {"defaults": {"unit": "percentunit", "min": 0, "max": 1}}}
SELECT c.starts_at AS time, sum(c.cache_read_tokens) / nullif(sum(c.input_tokens), 0) AS hit, coalesce(c.feature, '(unallocated)') AS metric
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.] AND c.served_from = 'model'
GROUP BY c.starts_at, c.feature
HAVING sum(c.input_tokens) > 0
ORDER BY c.starts_at, metric

--- panel timeseries 12x9
-- title: Which tier does the work?
-- description: Cost by day and tier of the models (cheap, medium, premium, or your own words: set_model_tier). By team, feature, customer and model.
-- money: .
-- json: {"fieldConfig": {"defaults": {"custom": {"drawStyle": "bars", "fillOpacity": 70, "stacking": {"mode": "percent", "group": "A"}}}}}
SELECT c.starts_at AS time, sum(c.cost) AS cost, coalesce(c.model_tier, '(no tier)') AS metric
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]
GROUP BY c.starts_at, c.model_tier
ORDER BY c.starts_at, metric

--- panel timeseries 12x9
-- title: What is not the work itself?
-- description: Cost by day and operation, without primary calls: retries, fallbacks, evals, judges, embeddings, routing, … By team, feature, customer and model.
-- money: .
-- json: {"fieldConfig": {"defaults": {"custom": {"drawStyle": "bars", "fillOpacity": 70, "stacking": {"mode": "normal", "group": "A"}}}}}
SELECT c.starts_at AS time, sum(c.cost) AS cost, coalesce(c.operation, '(unallocated)') AS metric
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.] AND c.operation IS DISTINCT FROM 'primary'
GROUP BY c.starts_at, c.operation
ORDER BY c.starts_at, metric

--- panel table 24x11
-- title: What does each model cost?
-- description: Of the range: cost per call, per accepted call and per million tokens, output for each input token, failures and retries. By team, feature, customer and model.
-- money: ^cost
-- share: share$
SELECT c.provider, c.model, max(c.model_tier) AS tier, sum(c.calls) AS calls, sum(c.cost) AS cost, sum(c.cost) / nullif(sum(sum(c.cost)) OVER (), 0) AS share,
       sum(c.cost) / nullif(sum(c.priced_calls), 0) AS "cost per call", sum(c.cost) / nullif(sum(c.accepted_calls), 0) AS "cost per accepted call",
       sum(c.cost) * 1000000 / nullif(sum(c.billed_input_tokens + c.billed_output_tokens), 0) AS "cost per million tokens",
       round(sum(c.output_tokens) / nullif(sum(c.input_tokens), 0), 4) AS "output per input token", sum(c.score) / nullif(sum(c.scored_calls), 0) AS "mean score",
       sum(c.accepted_calls)::numeric / nullif(sum(c.accepted_calls) + sum(c.rejected_calls), 0) AS "accepted, share", sum(c.failed_calls)::numeric / nullif(sum(c.calls), 0) AS "failed, share"
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]
GROUP BY c.provider, c.model
ORDER BY cost DESC NULLS LAST, c.provider, c.model
LIMIT 100

--- panel table 24x11
-- title: What does an outcome cost?
-- description: Of the range, by feature: cost per call, per call that succeeded and per accepted one; what customers pay for it is in margin_by_feature. By team, feature, customer and model.
-- money: ^cost
-- share: share$
SELECT coalesce(c.feature, '(unallocated)') AS feature, sum(c.calls) AS calls, sum(c.cost) AS cost, sum(c.cost) / nullif(sum(c.priced_calls), 0) AS "cost per call",
       sum(c.cost) / nullif(sum(c.calls - c.failed_calls), 0) AS "cost per successful call", sum(c.accepted_calls) AS accepted, sum(c.cost) / nullif(sum(c.accepted_calls), 0) AS "cost per accepted call",
       sum(c.accepted_calls)::numeric / nullif(sum(c.accepted_calls) + sum(c.rejected_calls), 0) AS "accepted, share", sum(c.retries) AS retries, sum(c.avoided_cost) AS "cost avoided by the response cache"
FROM cost_ledger.cost_by_day c
WHERE $__timeFilter(c.starts_at) AND [labels c.]
GROUP BY c.feature
ORDER BY cost DESC NULLS LAST, feature
LIMIT 200
