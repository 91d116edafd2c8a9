-- The shipped price list: loaded once and again, beside prices of the ledger's own,
-- and in a ledger of another currency.
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never

-- without a ledger: the usual hint
SELECT cost_ledger.load_seed_prices();

SELECT cost_ledger.create_ledger();
SELECT cost_ledger.load_seed_prices() > 1000 AS loaded;
CREATE TEMP TABLE first_load AS TABLE cost_ledger.price_list;
CREATE TEMP TABLE first_version AS SELECT price_id FROM cost_ledger_internal.price;

-- what is in it: every price has a source of a day or a page, and its currency
SELECT count(DISTINCT (provider, model)) > 200 AS models, count(*) FILTER (WHERE service_class = 'batch') > 100 AS batch,
       count(*) FILTER (WHERE over_tokens > 0) > 50 AS tiers, count(*) FILTER (WHERE meter ~ '^cache_') > 300 AS cache,
       bool_and(source ~ ' of \d{4}-\d\d') AS sources, bool_and(currency = 'USD') AS dollars
FROM cost_ledger.price_list;
SELECT provider, count(DISTINCT model) > 0 AS models
FROM (VALUES ('openai'), ('anthropic'), ('gemini'), ('vertex_ai'), ('mistral'), ('deepseek'), ('xai'), ('groq'), ('together_ai'),
             ('fireworks_ai'), ('cerebras'), ('cohere'), ('bedrock'), ('moonshot')) AS p (provider)
LEFT JOIN cost_ledger.price_list l USING (provider)
GROUP BY provider ORDER BY provider COLLATE "C";

-- gpt-4o: half the price since 2 October 2024, with a rate for cached input; one
-- dated name has had that price from its first day, another has never had it.
SELECT at, model, cost_ledger.cost_at(at, 'openai', model, '{"input_tokens": 1000000, "cache_read_tokens": 0, "output_tokens": 100000}') AS fresh,
       cost_ledger.cost_at(at, 'openai', model, '{"input_tokens": 1000000, "cache_read_tokens": 1000000, "output_tokens": 100000}') AS cached
FROM (VALUES ('2024-06-01'::timestamptz, 'gpt-4o'), ('2024-10-01 23:59:59Z', 'gpt-4o'), ('2024-10-02 00:00Z', 'gpt-4o'), ('2026-11-01', 'gpt-4o'),
             ('2024-08-07', 'gpt-4o-2024-08-06'), ('2026-11-01', 'gpt-4o-2024-11-20'), ('2026-11-01', 'gpt-4o-2024-05-13'), ('2024-05-01', 'gpt-4o')) AS v (at, model);
INSERT INTO cost_ledger.call (provider, model, input_tokens, cache_read_tokens, output_tokens)
    VALUES ('openai', 'gpt-4o', 1000000, 0, 100000), ('openai', 'gpt-4o-2024-08-06', 1000000, 0, 100000), ('openai', 'gpt-4o', 1000000, 1000000, 100000)
    RETURNING model, cache_read_tokens, cost, pricing;
-- claude-sonnet-4-5 costs more above 200,000 tokens: 401,468 × 6 + 792 × 22.50 per million
INSERT INTO cost_ledger.call (provider, model, input_tokens, output_tokens)
    VALUES ('anthropic', 'claude-sonnet-4-5-20250929', 401468, 792) RETURNING cost, pricing;
-- half of that in a batch
SELECT cost_ledger.cost_at('2026-11-01', 'anthropic', 'claude-sonnet-4-5', '{"input_tokens": 401468, "output_tokens": 792}', 'batch') AS batch;
-- a price that fell, a tier that went, a name that became another model
SELECT provider, model, at, cost_ledger.cost_at(at, provider, model, '{"input_tokens": 300000, "output_tokens": 10000}') AS cost
FROM (VALUES ('openai', 'o3', '2025-06-09'::timestamptz), ('openai', 'o3', '2025-06-10 00:00Z'),
             ('anthropic', 'claude-opus-4-6', '2026-03-12'), ('anthropic', 'claude-opus-4-6', '2026-03-13 00:00Z'),
             ('xai', 'grok-code-fast-1', '2026-05-15 18:59Z'), ('xai', 'grok-code-fast-1', '2026-05-15 19:00Z'),
             ('deepseek', 'deepseek-chat', '2026-07-24 15:58Z'), ('deepseek', 'deepseek-chat', '2026-07-24 15:59Z')) AS v (provider, model, at);

-- a price of the time of day, from a day on of weekdays only, and not on holidays
SELECT model, at, cost_ledger.cost_at(at, 'deepseek', model, '{"input_tokens": 1000000, "output_tokens": 1000000}') AS cost
FROM (VALUES ('deepseek-v4-flash', '2026-08-16 15:59:59Z'::timestamptz), ('deepseek-v4-flash', '2026-08-16 16:00Z'), ('deepseek-v4-flash', '2026-08-17 01:00Z'),
             ('deepseek-v4-flash', '2026-08-22 06:00Z'), ('deepseek-v4-flash', '2026-08-23 06:00Z'), ('deepseek-v4-flash', '2026-08-24 06:00Z'),
             ('deepseek-v4-flash', '2026-09-25 06:00Z'), ('deepseek-v4-flash', '2026-11-27 03:59:59Z'), ('deepseek-v4-flash', '2026-11-27 04:00Z'),
             ('deepseek-v4-pro', '2026-11-27 03:00Z'), ('deepseek-v4-pro', '2026-11-27 12:00Z'), ('deepseek-flash', '2026-11-27 12:00Z')) AS v (model, at);
-- an offer that ends: what comes after is not known
SELECT model, at, cost_ledger.cost_at(at, 'openai', model, '{"input_tokens": 100000, "output_tokens": 10000}') AS cost,
       cost_ledger.cost_at(at, 'openai', model, '{"input_tokens": 300000, "cache_read_tokens": 100000, "output_tokens": 10000}', 'batch') AS long_batch
FROM (VALUES ('gpt-5.6-sol', '2026-08-20 23:59:59Z'::timestamptz), ('gpt-5.6-sol', '2026-08-21 00:00Z'), ('gpt-5.6', '2026-11-21 23:59:59Z'), ('gpt-5.6-sol', '2026-11-22 00:00Z')) AS v (model, at);
-- models where companies call them
SELECT provider, model, cost_ledger.cost_at('2026-11-01', provider, model, '{"input_tokens": 100000, "output_tokens": 10000}') AS cost
FROM (VALUES ('openrouter', 'openai/gpt-5-mini'), ('openrouter', 'anthropic/claude-opus-4.5'), ('azure', 'o3-mini'), ('vertex_ai', 'claude-sonnet-4-5@20250929'), ('vertex_ai', 'claude-opus-5'),
             ('bedrock', 'us.anthropic.claude-sonnet-4-20250514-v1:0'), ('bedrock', 'jp.anthropic.claude-haiku-4-5-20251001-v1:0'), ('bedrock', 'anthropic.claude-opus-4-1-20250805-v1:0')) AS m (provider, model);

-- again: nothing changes, and there is nothing to say
SELECT cost_ledger.load_seed_prices() = count(*) AS same_number FROM cost_ledger.price_list;
SELECT count(*) AS changed FROM (TABLE first_load EXCEPT ALL TABLE cost_ledger.price_list) d;
SELECT count(*) AS new_versions FROM cost_ledger_internal.price p WHERE NOT EXISTS (SELECT FROM first_version v WHERE v.price_id = p.price_id);

-- A newer list, as an upgrade brings it: what it has in addition is added, what it
-- corrects is corrected, what it no longer has stays.
BEGIN;
CREATE OR REPLACE FUNCTION cost_ledger_internal.seed_prices() RETURNS jsonb LANGUAGE sql IMMUTABLE
    AS $list$ SELECT '{"source": "LiteLLM of 2027-01-01 and genai-prices of 2027-01-01", "currency": "USD", "prices": [
        {"provider": "openai", "model": "gpt-4.1", "valid_from": "2025-04-14T00:00:00Z", "rates": {"input_tokens": 2, "output_tokens": 8, "cache_read_tokens": 0.5}},
        {"provider": "openai", "model": "gpt-4.1", "valid_from": "2026-12-01T00:00:00Z", "rates": {"input_tokens": 1.5, "output_tokens": 6, "cache_read_tokens": 0.4}},
        {"provider": "openai", "model": "gpt-4.1-mini", "valid_from": "2025-04-14T00:00:00Z", "rates": {"input_tokens": 0.35, "output_tokens": 1.6}},
        {"provider": "openai", "model": "gpt-next", "valid_from": "2026-12-01T00:00:00Z", "rates": {"input_tokens": 7}}]}'::jsonb $list$;
SELECT cost_ledger.load_seed_prices() AS rates;
SELECT p.model, p.meter, p.unit_price, p.valid_from, p.valid_to, p.source
FROM cost_ledger.price_list p
WHERE p.provider = 'openai' AND p.service_class = 'standard' AND p.model IN ('gpt-4.1', 'gpt-4.1-mini', 'gpt-4.1-nano', 'gpt-next')
ORDER BY p.model COLLATE "C", p.valid_from, p.meter COLLATE "C";
ROLLBACK;

-- A price of one's own, afterwards, is kept; the shipped list is not set over it.
SELECT cost_ledger.set_price('openai', 'gpt-5', '{"input_tokens": 1, "output_tokens": 8}', '2026-01-01') IS NOT NULL AS set;
SELECT cost_ledger.load_seed_prices() < (SELECT count(*) FROM first_load) AS fewer;
SELECT cost_ledger.cost_at('2026-11-01', 'openai', 'gpt-5', '{"input_tokens": 1000000}') AS own, cost_ledger.cost_at('2025-11-01', 'openai', 'gpt-5', '{"input_tokens": 1000000}') AS listed;
SELECT cost_ledger.drop_ledger(i_mean_it => true);

-- Before: whatever name the price has by which the model's calls are priced. A
-- customer's price is none for all.
SELECT cost_ledger.create_ledger();
SELECT count(cost_ledger.set_price(p.provider, p.model, '{"input_tokens": 1, "output_tokens": 2}', '2020-01-01', customer => p.customer)) AS set
FROM (VALUES ('openai', 'gpt-4o', NULL), ('google', 'gemini-2.5-pro', NULL), ('house', 'large', NULL), ('openai', 'gpt-4.1', 'acme')) AS p (provider, model, customer);
INSERT INTO cost_ledger.model_alias (provider, match, pattern, to_provider, to_model) VALUES ('groq', 'prefix', 'openai/', 'house', 'large');
SELECT cost_ledger.load_seed_prices() > 1000 AS loaded;
SELECT provider, model, cost_ledger.cost_at('2026-11-01', provider, model, '{"input_tokens": 1000000}') AS cost
FROM (VALUES ('openai', 'gpt-4o'), ('openai', 'gpt-4o-2024-08-06'), ('gemini', 'gemini-2.5-pro'), ('groq', 'openai/gpt-oss-20b'), ('openai', 'gpt-4.1')) AS m (provider, model);
-- a long list of them is cut short
SET client_min_messages = warning;
SELECT count(cost_ledger.set_price(l.provider, l.model, '{"input_tokens": 1}', '2026-11-01')) > 10 AS set
FROM (SELECT DISTINCT provider, model FROM cost_ledger.price_list WHERE provider = 'anthropic') AS l;
RESET client_min_messages;
SELECT cost_ledger.load_seed_prices() > 1000 AS loaded;
SELECT cost_ledger.drop_ledger(i_mean_it => true);

-- In euros: what is missing, and how it is given. Then it prices.
SELECT cost_ledger.create_ledger(currency => 'EUR');
\set VERBOSITY terse
SELECT cost_ledger.load_seed_prices() > 1000 AS loaded;
\set VERBOSITY default
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-11-01', 'openai', 'gpt-4o', 1000000) RETURNING cost, pricing;
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('USD', '2020-01-01', 0.90);
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-11-01', 'openai', 'gpt-4o', 1000000) RETURNING cost, pricing;
SELECT cost_ledger.load_seed_prices() > 1000 AS loaded;
-- an exchange rate of later on is none yet
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger(currency => 'EUR');
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('USD', '2100-01-01', 0.90);
\set VERBOSITY terse
SELECT cost_ledger.load_seed_prices() > 1000 AS loaded;
\set VERBOSITY default

-- The list is a document of our own form: a field at the top stands for prices that
-- do not have it, and nothing else may stand there.
SELECT provider, meter, new_price, currency FROM cost_ledger.import_prices('{"currency": "GBP", "source": "page 3", "prices": [
    {"provider": "acme", "model": "m", "valid_from": "2026-01-01T00:00:00Z", "rates": {"input_tokens": 1}},
    {"provider": "acme", "model": "n", "valid_from": "2026-01-01T00:00:00Z", "rates": {"input_tokens": 1}, "currency": "USD", "source": "page 4"}]}', 'cost_ledger');
SELECT model, currency, source FROM cost_ledger.price_list WHERE provider = 'acme' ORDER BY model;
SELECT * FROM cost_ledger.import_prices('{"currency": 1, "prices": []}', 'cost_ledger');
SELECT * FROM cost_ledger.import_prices('{"provider": "acme", "prices": []}', 'cost_ledger');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
