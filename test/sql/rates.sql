--
-- The whole rate card: tiers, windows of time, classes, regions, customers,
-- multipliers, currencies, modalities, and how they compose.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();

CREATE FUNCTION pg_temp.cost(model text, usage jsonb, at timestamptz DEFAULT '2026-03-02 12:00+00', service_class text DEFAULT 'standard',
                             region text DEFAULT NULL, customer text DEFAULT NULL) RETURNS numeric
LANGUAGE sql AS $$ SELECT cost_ledger.cost_at(at, 'p', model, usage, service_class, region, customer => cost.customer) $$;
CREATE FUNCTION pg_temp.why(model text, usage jsonb, at timestamptz DEFAULT '2026-03-02 12:00+00', service_class text DEFAULT 'standard',
                            region text DEFAULT NULL, customer text DEFAULT NULL)
RETURNS TABLE (meter text, quantity numeric, unit_price numeric, multiplier numeric, amount numeric, rule text)
LANGUAGE sql AS $$ SELECT meter, quantity, unit_price, multiplier, amount, rule
                   FROM cost_ledger.explain_cost(at, 'p', model, usage, service_class, region, why.customer) $$;

--
-- Context tiers go by all input tokens of the call, cached ones too; strict or
-- inclusive; for the whole call.
--
SELECT cost_ledger.set_price('p', 'tiered', '{"input_tokens": [3, {"price": 6, "over": 200000}, {"price": 9, "over": 1000000}],
    "cache_read_tokens": [0.3, {"price": 0.6, "over": 200000}], "output_tokens": [15, {"price": 22.5, "over": 200000}]}', '2026-01-01');
SELECT n, pg_temp.cost('tiered', jsonb_build_object('input_tokens', n)) AS input_cost,
       pg_temp.cost('tiered', jsonb_build_object('input_tokens', n, 'cache_read_tokens', n)) AS all_cached,
       pg_temp.cost('tiered', jsonb_build_object('input_tokens', n, 'output_tokens', 1000000)) - pg_temp.cost('tiered', jsonb_build_object('input_tokens', n)) AS output_cost
FROM (VALUES (200000), (200001), (1000000), (1000001)) AS v (n);
SELECT * FROM pg_temp.why('tiered', '{"input_tokens": 300000, "cache_read_tokens": 250000, "output_tokens": 1000}');
SELECT cost_ledger.set_price('p', 'inclusive', '{"input_tokens": [3, {"price": 6, "over": 128000, "inclusive": true}]}', '2026-01-01');
SELECT pg_temp.cost('inclusive', '{"input_tokens": 127999}') / 127999 * 1000000 AS below, pg_temp.cost('inclusive', '{"input_tokens": 128000}') / 128000 * 1000000 AS at;

-- graduated: what lies beyond, in steps, whatever the meter
SELECT cost_ledger.set_price('p', 'graduated', '{"input_tokens": [10, {"price": 5, "over": 1000000, "graduated": true}, {"price": 1, "over": 3000000, "graduated": true}],
    "pages": [{"price": 2, "per": 1}, {"price": 1, "per": 1, "over": 10, "graduated": true}]}', '2026-01-01');
SELECT * FROM pg_temp.why('graduated', '{"input_tokens": 4000000, "pages": 12.5}');
-- 10 + 2 × 5 + 1 and 10 × 2 + 2.5 × 1
SELECT pg_temp.cost('graduated', '{"input_tokens": 4000000, "pages": 12.5}'), pg_temp.cost('graduated', '{"input_tokens": 1000000, "pages": 10}'),
       pg_temp.cost('graduated', '{"input_tokens": 1000000, "pages": 9.5}');

--
-- Windows of time: local hours, past midnight, on some days.
--
SELECT cost_ledger.set_price('p', 'nightly', '{"input_tokens": [2, {"price": 1, "from": "16:30", "to": "00:30", "zone": "UTC"}], "output_tokens": 4}', '2026-01-01');
SELECT at, pg_temp.cost('nightly', '{"input_tokens": 1000000}', at) AS cost
FROM (VALUES (timestamptz '2026-03-02 16:29:59.999999+00'), ('2026-03-02 16:30:00+00'), ('2026-03-03 00:29:59.999999+00'), ('2026-03-03 00:30:00+00')) AS v (at);
SELECT * FROM pg_temp.why('nightly', '{"input_tokens": 1000000, "output_tokens": 1000000}', '2026-03-02 20:00+00');
-- in a zone with summer time: 8:00 to 18:00 in Berlin is another hour in UTC from 29 March on; on working days only
SELECT cost_ledger.set_price('p', 'office', '{"input_tokens": [1, {"price": 5, "from": "08:00", "to": "18:00", "days": [1, 2, 3, 4, 5], "zone": "Europe/Berlin"}]}', '2026-01-01');
SELECT at, to_char(at AT TIME ZONE 'Europe/Berlin', 'Dy HH24:MI') AS local, pg_temp.cost('office', '{"input_tokens": 1000000}', at) AS cost
FROM (VALUES (timestamptz '2026-03-27 07:00+00'), ('2026-03-27 06:59+00'), ('2026-03-27 17:00+00'), ('2026-03-28 12:00+00'), ('2026-03-29 12:00+00'),
             ('2026-03-30 06:00+00'), ('2026-03-30 05:59+00'), ('2026-03-30 15:59+00'), ('2026-03-30 16:00+00')) AS v (at);
-- the weekend, all day
SELECT cost_ledger.set_price('p', 'weekend', '{"input_tokens": [2, {"price": 1, "days": [6, 7]}]}', '2026-01-01');
SELECT pg_temp.cost('weekend', '{"input_tokens": 1000000}', '2026-03-06 23:59:59+00') AS friday, pg_temp.cost('weekend', '{"input_tokens": 1000000}', '2026-03-07 00:00+00') AS saturday,
       pg_temp.cost('weekend', '{"input_tokens": 1000000}', '2026-03-08 23:59+00') AS sunday, pg_temp.cost('weekend', '{"input_tokens": 1000000}', '2026-03-09 00:00+00') AS monday;

--
-- Service classes: rates of their own, else standard's where the class has a
-- price at all; a share of standard; a class nobody has priced has no price.
--
SELECT cost_ledger.set_price('p', 'classy', '{"input_tokens": [10, {"price": 20, "over": 1000}], "output_tokens": 40, "reasoning_tokens": 50}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'classy', '{"output_tokens": 20}', '2026-01-01', service_class => 'batch');
SELECT cost_ledger.set_multiplier('p', 'flex', 0.5, '2026-01-01', service_class => 'flex');
SELECT class, pg_temp.cost('classy', '{"input_tokens": 1000, "output_tokens": 1000, "reasoning_tokens": 1000}', service_class => class) AS cost
FROM (VALUES ('standard'), ('batch'), ('flex'), ('priority')) AS v (class);
-- reasoning has a rate of its own, though not of the class
SELECT * FROM pg_temp.why('classy', '{"input_tokens": 2000, "output_tokens": 1000, "reasoning_tokens": 1000}', service_class => 'batch');
SELECT * FROM pg_temp.why('classy', '{"input_tokens": 2000, "output_tokens": 1000, "reasoning_tokens": 1000}', service_class => 'flex');

--
-- Multipliers: uplift of a region, discount of a provider, mark-up for a
-- customer, each dated; not on what has a rate of its own; not on fees unless
-- they say so.
--
SELECT cost_ledger.set_price('p', 'base', '{"input_tokens": 10, "web_search_requests": {"price": 10, "per": 1000}}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'base', '{"input_tokens": 12}', '2026-01-01', region => 'swiss');
SELECT cost_ledger.set_multiplier('p', 'uplift', 1.1, '2026-02-01', model => 'base', region => 'eu');
SELECT cost_ledger.set_multiplier('p', 'uplift', 1.2, '2026-02-01', model => 'base', region => 'swiss');
SELECT region, pg_temp.cost('base', '{"input_tokens": 1000000, "web_search_requests": 1000}', region => region) AS cost
FROM (VALUES (NULL), ('eu'), ('swiss'), ('us')) AS v (region);
SELECT pg_temp.cost('base', '{"input_tokens": 1000000}', '2026-01-31 23:59:59+00', region => 'eu') AS before, pg_temp.cost('base', '{"input_tokens": 1000000}', '2026-02-01', region => 'eu') AS after;
SELECT cost_ledger.set_multiplier('p', 'discount', 0.9, '2026-03-01', tokens_only => false);
SELECT cost_ledger.set_multiplier('p', 'discount', 0.9, '2026-03-01', tokens_only => false);
SELECT cost_ledger.set_multiplier('p', 'discount', 0.8, '2026-03-01', tokens_only => false);
SELECT cost_ledger.set_multiplier('p', 'discount', 1, '2026-04-01', tokens_only => false);
SELECT at::date, pg_temp.cost('base', '{"input_tokens": 1000000, "web_search_requests": 1000}', at, region => 'eu') AS cost
FROM (VALUES (timestamptz '2026-02-28'), ('2026-03-01'), ('2026-04-01')) AS v (at);
SELECT * FROM pg_temp.why('base', '{"input_tokens": 1000000, "web_search_requests": 1000}', '2026-03-02', region => 'eu');

-- customers: a price of their own, or a mark-up; others are not touched
SELECT cost_ledger.set_price('p', 'base', '{"input_tokens": 7}', '2026-01-01', customer => 'acme') > 0 AS set;
SELECT cost_ledger.set_multiplier('p', 'markup', 1.3, '2026-01-01', customer => 'globex');
SELECT customer, pg_temp.cost('base', '{"input_tokens": 1000000, "web_search_requests": 1000}', '2026-05-01', customer => customer) AS cost
FROM (VALUES (NULL), ('acme'), ('globex'), ('initech')) AS v (customer);
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, customer)
VALUES ('2026-05-01', 'p', 'base', 1000000, NULL), ('2026-05-01', 'p', 'base', 1000000, 'acme'), ('2026-05-01', 'p', 'base', 1000000, 'globex')
RETURNING customer, cost;

-- all at once: tier × class × region × discount × customer
SELECT cost_ledger.set_multiplier('p', 'uplift', 1.1, '2026-02-01', model => 'tiered', region => 'eu');
SELECT * FROM pg_temp.why('tiered', '{"input_tokens": 300000, "cache_read_tokens": 200000, "output_tokens": 1000}', '2026-03-02', 'flex', 'eu', 'globex');
-- 0.1 × 6 + 0.2 × 0.6 + 0.001 × 22.5 = 0.7425, × 0.5 × 1.1 × 0.9 × 1.3
SELECT pg_temp.cost('tiered', '{"input_tokens": 300000, "cache_read_tokens": 200000, "output_tokens": 1000}', '2026-03-02', 'flex', 'eu', 'globex')
       = 0.7425 * 0.5 * 1.1 * 0.9 * 1.3 AS composed;

--
-- Currencies: at the exchange rate of the call's time; without one no price.
--
SELECT cost_ledger.set_price('p', 'euro', '{"input_tokens": 10}', '2026-01-01', currency => 'EUR') > 0 AS set;
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2026-02-01', 1.10), ('EUR', '2026-03-01', 1.2345678);
SELECT at::date, pg_temp.cost('euro', '{"input_tokens": 1000000}', at) AS cost
FROM (VALUES (timestamptz '2026-01-31'), ('2026-02-01'), ('2026-05-01')) AS v (at);
SELECT unit_price, multiplier, currency, amount, rule FROM cost_ledger.explain_cost('2026-05-01', 'p', 'euro', '{"input_tokens": 1000000}');
UPDATE cost_ledger.exchange_rate SET rate = 2;
DELETE FROM cost_ledger.price_multiplier;

--
-- Modality × cache state is a matrix: each token at its own place in it.
--
SELECT cost_ledger.set_price('p', 'omni', '{"input_tokens": 1, "cache_read_tokens": 0.1, "input_audio_tokens": 10, "cache_read_audio_tokens": 2, "input_image_tokens": 5,
    "output_tokens": 4, "output_audio_tokens": 20}', '2026-01-01') > 0 AS set;
SELECT * FROM pg_temp.why('omni', '{"input_tokens": 1000000, "cache_read_tokens": 400000, "input_audio_tokens": 300000, "cache_read_audio_tokens": 100000, "input_image_tokens": 50000,
    "output_tokens": 100000, "output_audio_tokens": 60000}');
-- cached images have no rate: priced as cached; nobody says which cached tokens are audio: as few as can be
SELECT * FROM pg_temp.why('omni', '{"input_tokens": 1000, "cache_read_tokens": 900, "input_image_tokens": 300, "cache_read_image_tokens": 250}');
SELECT * FROM pg_temp.why('omni', '{"input_tokens": 1000, "cache_read_tokens": 900, "input_audio_tokens": 300}');
SELECT pg_temp.cost('omni', '{"input_tokens": 1000, "cache_read_tokens": 500, "input_audio_tokens": 300, "cache_read_audio_tokens": 400}');
SELECT pg_temp.cost('omni', '{"input_tokens": 1000, "cache_read_tokens": 100, "input_audio_tokens": 1300}');
SELECT pg_temp.cost('omni', '{"input_tokens": 1000, "output_tokens": 10, "output_audio_tokens": 11}');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, output_tokens, other_usage)
VALUES ('2026-05-01', 'p', 'omni', 1000, 400, 100, '{"input_audio_tokens": 300, "cache_read_audio_tokens": 100, "output_audio_tokens": 60}'),
       ('2026-05-01', 'p', 'omni', 1000, 900, 100, '{"input_audio_tokens": 300}')
RETURNING cost, usage_status, pricing, other_usage;

--
-- Names: exact, alias, path, Bedrock's, dates; the row keeps what was sent.
--
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5', '{"input_tokens": 3}', '2025-09-29') > 0 AS set;
SELECT cost_ledger.set_price('aws', 'claude-sonnet-4-5', '{"input_tokens": 3.3}', '2025-09-29') > 0 AS set;
SELECT cost_ledger.set_price('openai', 'gpt-4o', '{"input_tokens": 2.5}', '2024-10-02') > 0 AS set;
SELECT cost_ledger.set_price('openai', 'gpt-4o-2024-05-13', '{"input_tokens": 5}', '2024-05-13') > 0 AS set;
INSERT INTO cost_ledger.model_alias (provider, match, pattern, priority, to_provider, to_model) VALUES
    ('', 'prefix', 'house/', 0, 'anthropic', 'claude-sonnet-4-5'), ('', 'prefix', 'house/cheap', 0, 'openai', 'gpt-4o'),
    ('gateway', 'regex', '^sonnet(-\d+)?$', 5, 'anthropic', 'claude-sonnet-4-5'), ('gateway', 'contains', 'sonnet', 1, 'openai', 'gpt-4o');
SELECT v.provider, v.model, r.priced_provider, r.priced_model, r.rule
FROM (VALUES (1, 'anthropic', 'claude-sonnet-4-5'), (2, 'anthropic', 'claude-sonnet-4-5-20250929'), (3, 'anthropic', 'claude-sonnet-4-5-latest'), (4, 'anthropic', 'anthropic/claude-sonnet-4-5'),
             (5, 'aws.bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'), (6, 'bedrock', 'anthropic.claude-sonnet-4-5'), (7, 'openai', 'gpt-4o-2024-05-13'),
             (8, 'openai', 'gpt-4o-2024-08-06'), (9, 'gcp.vertex_ai', 'publishers/anthropic/models/claude-sonnet-4-5@20250929'), (10, 'any', 'house/sonnet'), (11, 'any', 'house/cheap-one'),
             (12, 'gateway', 'sonnet-4'), (13, 'gateway', 'my-sonnet'), (14, 'openai', 'gpt-4o-mini'), (15, 'openai', ''),
             (16, 'openai', 'gpt-4o-v2'), (17, 'openai', 'gpt-4o:1'), (18, 'openai', 'OpenAI/GPT-4o')) AS v (n, provider, model)
LEFT JOIN LATERAL (SELECT * FROM cost_ledger.resolve_model(v.provider, v.model) r WHERE r.is_used) r ON true
ORDER BY v.n;
SELECT * FROM cost_ledger.resolve_model('aws.bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-05-01', 'aws.bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', 1000000) RETURNING model, cost;
SELECT meter, amount, rule FROM cost_ledger.explain_cost('2026-05-01', 'aws.bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', '{"input_tokens": 1000000}');
-- The name as sent comes first, then less and less of its path, and what it may be called otherwise at each step:
-- a region or vendor in the path tells two cards apart, and a name is never another's while it is one's own
SELECT count(cost_ledger.set_price(provider, model, jsonb_build_object('input_tokens', price), '2025-01-01')) AS set
FROM (VALUES ('bedrock', 'amazon.titan', 0.02), ('bedrock', 'us-gov-east-1/amazon.titan', 0.2), ('bedrock', 'anthropic.claude-x-v1:0', 3), ('bedrock', 'eu.anthropic.claude-x-v1:0', 3.3),
             ('azure', 'gpt-5', 1.2), ('azure', 'gpt-5-2025-08-07', 1.25), ('azure', 'eu/gpt-5-2025-08-07', 1.375), ('azure', 'us/gpt-5', 1.4), ('azure_ai', 'grok', 7), ('azure', 'grok', 8), ('azure', 'azure/odd-2025-08-07', 9), ('azure', 'odd', 10),
             ('openrouter', 'anthropic/claude-sonnet-4.5', 3), ('openrouter', 'claude-sonnet-4.5', 99), ('openrouter', 'deepseek/r1:free', 0), ('openrouter', 'deepseek/r1', 0.4),
             ('groq', 'openai/gpt-oss-120b', 0.15), ('openai', 'gpt-oss-120b', 98), ('openai', 'ft:gpt-4o-2024-08-06', 3.75), ('openai', 'ft:gpt-4o', 3.7), ('openai', 'gpt-4.1', 2),
             ('vertex_ai', 'gemini-pro-001', 5), ('vertex_ai', 'gemini-flash', 6), ('gemini', 'gemini-flash', 61), ('together_ai', 'BAAI/bge', 0.1), ('together_ai', 'baai/bge', 0.2), ('Acme', 'Big', 11)) AS v (provider, model, price);
SELECT v.provider, v.model, r.priced_provider AS as_provider, r.priced_model AS as_model, cost_ledger.cost_at('2026-05-01', v.provider, v.model, '{"input_tokens": 1000000}') AS cost, r.rule
FROM (VALUES (1, 'bedrock', 'bedrock/us-gov-east-1/amazon.titan'), (2, 'aws.bedrock', 'us-gov-east-1/amazon.titan'), (3, 'bedrock', 'bedrock/us-gov-west-1/amazon.titan'), (4, 'bedrock', 'jp.anthropic.claude-x-v1:0'), (5, 'bedrock', 'EU.anthropic.claude-x-v1:0'),
             (6, 'bedrock', 'arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-x-v1:0'),
             (7, 'azure', 'azure/eu/gpt-5-2025-08-07'), (8, 'azure', 'azure/us/gpt-5-2025-08-07'), (9, 'azure.ai.openai', 'azure/gpt-5-2026-01-01'), (10, 'AZURE', 'Azure/EU/GPT-5-2025-08-07'), (11, 'azure', 'azure/odd-2025-08-07'), (12, 'azure', 'odd-2025-08-07'),
             (13, 'azure.ai.inference', 'grok'), (14, 'azure.ai.openai', 'grok'), (15, 'azure.ai.openai', 'azure_ai/grok'), (16, 'openai', 'azure/gpt-5'),
             (17, 'openrouter', 'openrouter/anthropic/claude-sonnet-4.5'), (18, 'openrouter', 'anthropic/claude-sonnet-4.5-20250929'), (19, 'openrouter', 'anthropic/claude-4.5-sonnet-20250929'), (20, 'openrouter', 'deepseek/r1-20250528:free'), (21, 'openrouter', 'deepseek/r1:extra'),
             (22, 'groq', 'groq/openai/gpt-oss-120b'), (23, 'groq', 'gpt-oss-120b'),
             (24, 'openai', 'ft:gpt-4o-2024-08-06:acme::9Xa1'), (25, 'openai', 'ft:gpt-4o-2024-08-06:acme:suffix:9Xa1:ckpt-step-88'), (26, 'openai', 'openai/ft:gpt-4o-2024-11-20:acme::9Xa1'), (27, 'openai', 'ft:gpt-4.1:acme::9Xa1'),
             (28, 'google', 'vertex_ai/gemini-flash'), (29, 'google', 'gemini-flash'), (30, 'vertex_ai-language-models', 'gemini-pro-001'), (31, 'gcp.vertex_ai', 'gemini-flash-002'), (32, 'gcp.vertex_ai', 'publishers/google/models/gemini-flash@default'),
             (33, 'together_ai', 'baai/bge'), (34, 'together_ai', 'together_ai/BAAI/bge'), (35, 'together', 'BAAI/BGE'), (36, 'acme', 'big'), (37, 'ACME', 'acme/BIG-2026-01-01')) AS v (n, provider, model)
LEFT JOIN LATERAL (SELECT * FROM cost_ledger.resolve_model(v.provider, v.model) r WHERE r.is_used) r ON true
ORDER BY v.n;
-- aliases at each step too, of the provider whatever its name; the first step at which there is one
INSERT INTO cost_ledger.model_alias (provider, match, pattern, to_model) VALUES ('azure', 'exact', 'my-deployment', 'gpt-5'), ('azure', 'prefix', 'eu/my-', 'eu/gpt-5-2025-08-07');
SELECT v.model, r.priced_model, r.rule
FROM (VALUES (1, 'azure/my-deployment'), (2, 'azure/eu/my-deployment'), (3, 'azure/us/My-Deployment')) AS v (n, model)
LEFT JOIN LATERAL (SELECT * FROM cost_ledger.resolve_model('azure_openai', v.model) r WHERE r.is_used) r ON true ORDER BY v.n;
-- a name that only customers have is nobody else's: the others go on to the next
SELECT cost_ledger.cost_at('2026-05-01', 'azure', 'gpt-5-2026-01-01', '{"input_tokens": 1000000}', customer => 'acme') AS before;
SELECT cost_ledger.set_price('azure', 'gpt-5-2026-01-01', '{"input_tokens": 0.9}', '2025-01-01', customer => 'acme') > 0 AS set;
SELECT customer, cost_ledger.cost_at('2026-05-01', 'azure', 'gpt-5-2026-01-01', '{"input_tokens": 1000000}', customer => customer) AS cost FROM (VALUES (1, 'acme'), (2, 'globex'), (3, NULL)) AS v (n, customer) ORDER BY n;
-- and whoever has one but for case gets the very one as soon as it is there, as does who has none
SELECT cost_ledger.cost_at('2026-05-01', 'acme', 'big', '{"input_tokens": 1000000}') AS before, cost_ledger.cost_at('2026-05-01', 'acme', 'acme/small-2026-01-01', '{"input_tokens": 1000000}') AS none;
SELECT cost_ledger.set_price('acme', 'big', '{"input_tokens": 12}', '2025-01-01') > 0 AS set, cost_ledger.set_price('ACME', 'SMALL', '{"input_tokens": 13}', '2025-01-01') > 0 AS set;
SELECT cost_ledger.cost_at('2026-05-01', 'acme', 'big', '{"input_tokens": 1000000}') AS after, cost_ledger.cost_at('2026-05-01', 'acme', 'acme/small-2026-01-01', '{"input_tokens": 1000000}') AS found;
-- a path of a thousand parts costs no more than one of six
SELECT count(*) < 50 AS bounded FROM cost_ledger.resolve_model('azure', repeat('a/', 500) || 'gpt-5');
SELECT priced_model FROM cost_ledger.resolve_model('azure', repeat('a/', 500) || 'gpt-5') WHERE is_used;
-- an alias is heard of at once
INSERT INTO cost_ledger.model_alias (match, pattern, to_provider, to_model) VALUES ('exact', 'brand-new', 'openai', 'gpt-4o');
SELECT cost_ledger.cost_at('2026-05-01', 'x', 'brand-new', '{"input_tokens": 1000000}');
DELETE FROM cost_ledger.model_alias WHERE pattern = 'brand-new';
SELECT cost_ledger.cost_at('2026-05-01', 'x', 'brand-new', '{"input_tokens": 1000000}') IS NULL AS forgotten;

-- in parallel workers, with a cache that starts empty there
CREATE TABLE usage_to_price AS SELECT '{"input_tokens": 300000, "cache_read_tokens": 200000, "output_tokens": 1000}'::jsonb AS usage FROM generate_series(1, 2000);
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
SELECT count(DISTINCT cost_ledger.cost_at('2026-03-02', 'p', 'tiered', usage, 'flex', 'eu', customer => 'globex')), sum(cost_ledger.cost_at('2026-03-02', 'p', 'tiered', usage)) FROM usage_to_price;
RESET ALL;
DROP TABLE usage_to_price;

-- the list leaves and comes back as it is
CREATE TEMP TABLE exported AS TABLE cost_ledger.price_list;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger();
INSERT INTO cost_ledger.price_list TABLE exported;
SELECT count(*) > 20 AS rates, count(*) FILTER (WHERE over_tokens > 0) > 5 AS tiers, count(*) FILTER (WHERE window_zone IS NOT NULL) > 2 AS windows FROM cost_ledger.price_list;
(TABLE exported EXCEPT ALL TABLE cost_ledger.price_list) UNION ALL (TABLE cost_ledger.price_list EXCEPT ALL TABLE exported);
SELECT cost_ledger.drop_ledger(i_mean_it => true);
