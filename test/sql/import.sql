--
-- Price lists of others: what they become, what a second one changes, what is
-- held for review, and that nothing is lost on the way out again.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
-- what an import returns, without what is the same on every line
CREATE FUNCTION pg_temp.import(doc jsonb, format text, valid_from timestamptz DEFAULT NULL, dry_run boolean DEFAULT false, close_gone boolean DEFAULT false, hold_factor numeric DEFAULT 10)
RETURNS TABLE (outcome text, card text, meter text, condition text, old_price numeric, new_price numeric, per bigint, applies_from timestamptz, note text)
LANGUAGE sql AS $$
    SELECT outcome, concat_ws(' ', provider, model, nullif(region, ''), nullif(service_class, 'standard')), meter, condition, old_price, new_price, per,
           nullif(applies_from, now()), note
    FROM cost_ledger.import_prices(import.doc, import.format, import.valid_from, import.dry_run, close_gone => import.close_gone, hold_factor => import.hold_factor)
$$;

--
-- genai-prices
--
CREATE TEMP TABLE genai AS SELECT '[
  {"id": "acme", "provider_match": {"or": [{"contains": "vertex"}, {"equals": "xai"}]},
   "models": [
    {"id": "big", "match": {"or": [{"equals": "big"}, {"starts_with": "big-"}, {"regex": "^big_\\d+$"}]},
     "prices": [{"prices": {"input_mtok": {"base": 3, "tiers": [{"start": 200000, "price": 6}]}, "cache_read_mtok": 0.3, "cache_write_mtok": 3.75, "output_mtok": 15,
                            "web_searches_kcount": 10, "requests_kcount": 5}},
                {"constraint": {"start_date": "2026-03-13"}, "prices": {"input_mtok": 2.50, "output_mtok": 12}}]},
    {"id": "nightly", "match": {"and": [{"contains": "night"}, {"ends_with": "ly"}]},
     "prices": [{"prices": {"input_mtok": 0.135, "output_mtok": 0.55}},
                {"constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 0.27}}]},
    {"id": "big-small", "match": {"starts_with": "big-small"}, "prices": {"input_mtok": 1}},
    {"id": "gratis", "match": {"equals": "gratis"}, "prices": {}},
    {"id": "odd", "match": {"contains": "odd"}, "prices": {"input_mtok": 0.000004285999999999999, "smell_mtok": 7}}]},
  {"id": "host", "fallback_model_providers": ["acme"],
   "models": [{"id": "own", "match": {"or": [{"equals": "own"}, {"equals": "a.b+c"}]}, "prices": {"input_mtok": 9}}]}]'::jsonb AS doc;
SELECT r.* FROM genai, pg_temp.import(doc, 'genai-prices', dry_run => true) r;
-- nothing was written
SELECT (SELECT count(*) FROM cost_ledger_internal.rate_card) AS cards, (SELECT count(*) FROM cost_ledger_internal.price_source) AS sources, (SELECT count(*) FROM cost_ledger.model_alias) AS aliases;
CREATE TEMP TABLE dry AS SELECT r.* FROM genai, pg_temp.import(doc, 'genai-prices', dry_run => true) r;
CREATE TEMP TABLE wet AS SELECT r.* FROM genai, pg_temp.import(doc, 'genai-prices') r;
(TABLE dry EXCEPT ALL TABLE wet) UNION ALL (TABLE wet EXCEPT ALL TABLE dry);
-- the same again changes nothing
SELECT r.* FROM genai, pg_temp.import(doc, 'genai-prices') r;
SELECT r.* FROM genai, pg_temp.import(doc, 'genai-prices', '2025-01-01') r;
SELECT count(*) AS prices, (SELECT count(*) FROM cost_ledger_internal.price_origin) AS with_origin, (SELECT count(*) FROM cost_ledger_internal.price_source) AS entries FROM cost_ledger_internal.price;
SELECT entry, raw -> 'prices' AS prices, unknown FROM cost_ledger_internal.price_source WHERE unknown <> '{}';
-- more than 200,000 is another tier; another price from 13 March on; writes for an hour are writes
SELECT cost_ledger.cost_at(at, 'acme', 'big', usage) AS cost
FROM (VALUES (1, timestamptz '2026-03-12 23:59:59+00', '{"input_tokens": 200000}'::jsonb), (2, '2026-03-12 23:59:59+00', '{"input_tokens": 200001}'), (3, '2026-03-13 00:00+00', '{"input_tokens": 200001}'),
             (4, '2021-01-01', '{"input_tokens": 1000000, "cache_write_1h_tokens": 1000000, "cache_read_tokens": 0, "web_search_requests": 3}')) AS v (n, at, usage) ORDER BY n;
SELECT at::time, cost_ledger.cost_at(at, 'acme', 'nightly', '{"input_tokens": 1000000, "output_tokens": 1000000}') AS cost
FROM (VALUES (timestamptz '2026-05-01 00:29:59+00'), ('2026-05-01 00:30:00+00'), ('2026-05-01 16:29:59+00'), ('2026-05-01 16:30:00+00')) AS v (at);
SELECT cost_ledger.cost_at('2026-05-01', 'acme', 'odd', '{"input_tokens": 1}') AS all_digits, cost_ledger.cost_at('2026-05-01', 'acme', 'gratis', '{"input_tokens": 1, "output_tokens": 5}') AS free;
-- the first model whose rule holds: big before big-small, whose own name is its own
SELECT v.provider, v.model, r.priced_provider, r.priced_model
FROM (VALUES (1, 'acme', 'big-small'), (2, 'acme', 'big-small-2'), (3, 'acme', 'big_77'), (4, 'acme', 'big_x'), (5, 'acme', 'all-nights-ly'), (6, 'acme', 'oddly'), (7, 'host', 'a.b+c'), (8, 'host', 'aXbbc'),
             (9, 'host', 'big-1'), (10, 'gcp.vertex_ai', 'nightly'), (11, 'xai', 'big_1'), (12, 'openai', 'big')) AS v (n, provider, model)
LEFT JOIN LATERAL (SELECT * FROM cost_ledger.resolve_model(v.provider, v.model) r WHERE r.is_used) r ON true ORDER BY v.n;

--
-- LiteLLM
--
CREATE TEMP TABLE litellm AS SELECT '{
  "sample_spec": {"input_cost_per_token": "0.0", "litellm_provider": "one of …"},
  "fallback_generalizations": {"rules": []},
  "full": {"litellm_provider": "openai", "source": "https://example.com/prices", "max_tokens": 1000, "comment": "cost is not a price here",
    "input_cost_per_token": 1e-06, "input_cost_per_token_above_200k_tokens": 2e-06, "input_cost_per_token_batches": 5e-07, "input_cost_per_token_flex": 6e-07,
    "input_cost_per_token_priority": 1.8e-06, "input_cost_per_token_above_200k_tokens_priority": 3.6e-06, "output_cost_per_token": 0.000004285999999999999,
    "output_cost_per_reasoning_token": 5e-06, "cache_read_input_token_cost": 1e-07, "input_cost_per_token_cache_hit": 1e-07, "cache_creation_input_token_cost": 1.25e-06,
    "cache_creation_input_token_cost_above_1hr": 2e-06, "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 4e-06, "input_cost_per_audio_token": 1e-05,
    "cache_read_input_audio_token_cost": 3e-06, "cache_creation_input_audio_token_cost": 4e-06, "output_cost_per_audio_token": 2e-05, "input_cost_per_image_token": 7e-06,
    "output_cost_per_image_token": 3e-05, "output_cost_per_video_token": 4e-05, "citation_cost_per_token": 2e-06,
    "search_context_cost_per_query": {"search_context_size_low": 0.03, "search_context_size_medium": 0.035, "search_context_size_high": 0.05},
    "regional_processing_uplift_multiplier_eu": 1.1, "provider_specific_entry": {"us": 1.2, "fast": 6.0, "schema": "titan"}},
  "acme/media": {"litellm_provider": "acme", "input_cost_per_image": 0.04, "output_cost_per_image": 0.05, "output_cost_per_image_0.5K": 0.02, "input_cost_per_pixel": 1.9e-08, "output_cost_per_pixel": 0,
    "input_cost_per_second": 0.0001, "output_cost_per_second": 0.1, "output_cost_per_second_1080p": 0.15, "input_cost_per_audio_per_second": 0.002, "input_cost_per_video_per_second": 0.003,
    "input_cost_per_video_per_second_above_8s_interval": 0.004, "output_cost_per_video_per_second": 0.5, "input_cost_per_character": 2.5e-07, "output_cost_per_character": 5e-07,
    "input_cost_per_character_above_128k_tokens": 5e-07, "input_cost_per_query": 0.002, "input_cost_per_request": 0.001, "ocr_cost_per_page": 0.0015, "annotation_cost_per_page": 0.003,
    "ocr_cost_per_credit": 0.015, "code_interpreter_cost_per_session": 0.03},
  "dashscope/steps": {"litellm_provider": "dashscope", "tiered_pricing": [{"range": [0, 32000], "input_cost_per_token": 1e-06, "output_cost_per_token": 5e-06}, {"range": [32000, 128000], "input_cost_per_token": 1.8e-06, "output_cost_per_token": 9e-06}]},
  "exa_ai/search": {"litellm_provider": "exa_ai", "tiered_pricing": [{"max_results_range": [0, 25], "input_cost_per_query": 0.005}, {"max_results_range": [26, 100], "input_cost_per_query": 0.025}]},
  "xai/grok": {"litellm_provider": "xai", "input_cost_per_token": 2e-06, "input_cost_per_token_above_128k_tokens": 4e-06},
  "databricks/brick": {"litellm_provider": "databricks", "input_cost_per_token": 1e-06, "input_dbu_cost_per_token": 1.4286e-05, "output_dbu_cost_per_token": 4.2857e-05},
  "bedrock/eu-west-1/titan": {"litellm_provider": "bedrock", "input_cost_per_token": 2e-06},
  "titan": {"litellm_provider": "bedrock_converse", "input_cost_per_token": 1e-06},
  "sora": {"litellm_provider": "vertex_ai-video-models", "output_cost_per_second": 0.1}, "vertex_ai/sora": {"litellm_provider": "vertex_ai", "output_cost_per_second": 0.2},
  "weird": {"litellm_provider": "acme", "input_cost_per_smell": 0.3, "off_peak_pricing": {"hours_utc": "00-08"}, "input_cost_per_token_cache_hit": 2e-07, "cache_read_input_token_cost": 1e-07, "tiered_pricing": [{"input_cost_per_token": 1}]},
  "nothing": {"litellm_provider": "acme", "mode": "chat"}}'::jsonb AS doc;
SELECT r.* FROM litellm, pg_temp.import(doc, 'litellm', '2026-08-01') r;
SELECT r.* FROM litellm, pg_temp.import(doc, 'litellm') r;
SELECT DISTINCT source FROM cost_ledger.price_list WHERE provider = 'openai';

-- classes, regions, tiers and hour-long writes, worked out by hand
SELECT service_class, region, meter, quantity, unit_price, multiplier, amount
FROM (VALUES (1, 'standard', NULL, '{"input_tokens": 1000, "cache_read_tokens": 200, "cache_write_1h_tokens": 100, "output_tokens": 100, "reasoning_tokens": 40, "citation_tokens": 10, "web_search_requests": 2}'::jsonb),
             (2, 'standard', NULL, '{"input_tokens": 200001, "cache_write_1h_tokens": 200001}'), (3, 'standard', 'eu', '{"input_tokens": 1000}'), (4, 'standard', 'us', '{"input_tokens": 1000}'),
             (5, 'fast', NULL, '{"input_tokens": 1000}'), (6, 'batch', NULL, '{"input_tokens": 1000}'), (7, 'flex', NULL, '{"input_tokens": 1000}'), (8, 'priority', NULL, '{"input_tokens": 200001}')) AS v (n, service_class, region, usage),
     LATERAL cost_ledger.explain_cost('2026-09-01', 'openai', 'full', usage, service_class, region) e
ORDER BY v.n, e.meter COLLATE "C";
-- xAI's threshold is reached by its number; LiteLLM's ranges end with theirs
SELECT cost_ledger.cost_at('2026-09-01', 'xai', 'grok', '{"input_tokens": 127999}') / 127999 AS below, cost_ledger.cost_at('2026-09-01', 'xai', 'grok', '{"input_tokens": 128000}') / 128000 AS at,
       cost_ledger.cost_at('2026-09-01', 'dashscope', 'steps', '{"input_tokens": 32000}') / 32000 AS low, cost_ledger.cost_at('2026-09-01', 'dashscope', 'steps', '{"input_tokens": 200000}') / 200000 AS high;
-- Databricks units: no price until somebody says what one costs; dollars are apart
SELECT cost_ledger.cost_at('2026-09-01', 'databricks', 'brick', '{"input_tokens": 1000000}') AS dollars, cost_ledger.cost_at('2026-09-01', 'databricks', 'brick', '{"input_tokens": 1000000}', 'dbu') AS no_rate;
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('DBU', '2026-08-01', 0.07);
SELECT cost_ledger.cost_at('2026-09-01', 'databricks', 'brick', '{"input_tokens": 1000000}', 'dbu') AS units;
-- a region in the path is a region
SELECT model, region, cost_ledger.cost_at('2026-09-01', 'aws.bedrock', model, '{"input_tokens": 1000000}', region => region) AS cost
FROM (VALUES ('titan', NULL), ('titan', 'eu-west-1'), ('eu-west-1/titan', NULL)) AS v (model, region);
-- out again: every price and multiplier of every entry
SELECT key, value AS lost, cost_ledger.export_prices('litellm') -> key AS back
FROM litellm, jsonb_each(doc) WHERE key NOT IN ('sample_spec', 'fallback_generalizations') AND value IS DISTINCT FROM cost_ledger.export_prices('litellm') -> key;

-- the next month's list: one up, one without a meter, one gone, another uplift, and two that are ten times what they were, one of them exactly
CREATE TEMP TABLE litellm2 AS SELECT jsonb_set(jsonb_set(jsonb_set(jsonb_set((doc #- '{full,citation_cost_per_token}'::text[]) - 'exa_ai/search'::text, '{full,input_cost_per_token}', '1.5e-06'), '{xai/grok,input_cost_per_token}', '2.0001e-05'),
    '{sora,output_cost_per_second}', '1'), '{full,regional_processing_uplift_multiplier_eu}', '1.15') AS doc FROM litellm;
SELECT r.* FROM litellm2, pg_temp.import(doc, 'litellm', '2026-09-01', dry_run => true) r;
SELECT count(*) AS held FROM cost_ledger.held_price;
SELECT r.* FROM litellm2, pg_temp.import(doc, 'litellm', '2026-09-01') r;
SELECT held_id, provider, model, rates, valid_from, reason, source, decision FROM cost_ledger.held_price;
-- held once, and listed until somebody decides
SELECT r.* FROM litellm2, pg_temp.import(doc, 'litellm', '2026-09-01') r;
SELECT count(*) AS held FROM cost_ledger.held_price;
SELECT cost_ledger.cost_at('2026-09-01', 'openai', 'full', '{"input_tokens": 100000}') AS raised, cost_ledger.cost_at('2026-09-01', 'xai', 'grok', '{"input_tokens": 100000}') AS not_yet;
SELECT cost_ledger.reject_held_price(2, 'off by ten');
SELECT cost_ledger.reject_held_price(2);
SELECT cost_ledger.accept_held_price(99);
SELECT r.* FROM litellm2, pg_temp.import(doc, 'litellm', '2026-09-01') r WHERE outcome <> 'gone';
-- another suspicious price of the same model is held anew, accepted and in force; the list is then the same
SELECT r.* FROM litellm2, pg_temp.import(jsonb_set(doc, '{xai/grok,input_cost_per_token}', '0'), 'litellm', '2026-09-01') r WHERE outcome <> 'gone';
SELECT held_id, decision, comment FROM cost_ledger.held_price ORDER BY held_id;
SELECT cost_ledger.accept_held_price(3, 'a gift') > 0 AS accepted;
SELECT cost_ledger.cost_at('2026-09-01', 'xai', 'grok', '{"input_tokens": 100000}') AS free, cost_ledger.cost_at('2026-08-31', 'xai', 'grok', '{"input_tokens": 100000}') AS before;
SELECT r.* FROM litellm2, pg_temp.import(jsonb_set(doc, '{xai/grok,input_cost_per_token}', '0'), 'litellm', '2026-09-01') r WHERE outcome <> 'gone';
-- a hundredfold is taken where nothing is to be held, and what waited for a decision no longer does
SELECT r.* FROM litellm2, pg_temp.import(jsonb_set(doc, '{xai/grok,input_cost_per_token}', '0.1'), 'litellm', '2026-09-02') r WHERE outcome <> 'gone';
SELECT r.* FROM litellm2, pg_temp.import(jsonb_set(doc, '{xai/grok,input_cost_per_token}', '0.1'), 'litellm', '2026-09-02', hold_factor => NULL, close_gone => true) r;
SELECT held_id, decision FROM cost_ledger.held_price ORDER BY held_id;
SELECT model, valid_to FROM cost_ledger.price_list WHERE provider = 'exa_ai';

--
-- Our own, out and in again
--
SELECT cost_ledger.set_price('acme', 'rich', '{"input_tokens": [1.50, {"price": 3, "over": 128000, "inclusive": true}, {"price": 0.5, "from": "22:00", "to": "06:00", "days": [1, 5], "zone": "Europe/Berlin"}],
    "pages": [{"price": 2, "per": 1000}, {"price": 1, "per": 1000, "over": 10, "graduated": true}]}', '2026-01-01 10:30:00.000001', '2026-02-01', 'batch', 'eu', 'EUR', 'a contract', customer => 'globex') > 0 AS set;
SELECT cost_ledger.set_price('acme', 'rich', '{"input_tokens": 2}', '2026-03-01', service_class => 'batch', region => 'eu', customer => 'globex') > 0 AS set;
SELECT cost_ledger.set_multiplier('acme', 'discount', 0.9, '2026-01-01', customer => 'globex', tokens_only => false);
INSERT INTO cost_ledger.model_alias (match, pattern, to_model) VALUES ('prefix', 'house/', 'rich');
SELECT jsonb_path_query_array(cost_ledger.export_prices(), '$.prices[*] ? (@.model == "rich")'), jsonb_path_query_array(cost_ledger.export_prices(), '$.multipliers[*] ? (@.provider == "acme")');
CREATE TEMP TABLE exported AS SELECT cost_ledger.export_prices() AS doc;
CREATE TEMP TABLE listed AS TABLE cost_ledger.price_list;
CREATE TEMP TABLE aliases AS TABLE cost_ledger.model_alias;
SELECT r.* FROM exported, pg_temp.import(doc, 'cost_ledger') r;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger();
SELECT count(*) > 60 AS rates FROM exported, cost_ledger.import_prices(doc, 'cost_ledger');
SELECT doc = cost_ledger.export_prices() AS the_same FROM exported;
(TABLE listed EXCEPT ALL TABLE cost_ledger.price_list) UNION ALL (TABLE cost_ledger.price_list EXCEPT ALL TABLE listed);
(TABLE aliases EXCEPT ALL TABLE cost_ledger.model_alias) UNION ALL (TABLE cost_ledger.model_alias EXCEPT ALL TABLE aliases);
SELECT r.* FROM exported, pg_temp.import(doc, 'cost_ledger') r;
SELECT jsonb_array_length(cost_ledger.export_prices(at => '2026-09-01') -> 'prices') < jsonb_array_length(doc -> 'prices') AS fewer FROM exported;

--
-- Mistakes: said clearly, and nothing half-written
--
CREATE TEMP TABLE before AS SELECT (SELECT count(*) FROM cost_ledger_internal.price) AS prices, (SELECT count(*) FROM cost_ledger_internal.price_source) AS sources, (SELECT count(*) FROM cost_ledger_internal.rate_card) AS cards,
    (SELECT count(*) FROM cost_ledger.model_alias) AS aliases, (SELECT count(*) FROM cost_ledger.price_multiplier) AS multipliers;
SELECT * FROM cost_ledger.import_prices(NULL);
SELECT * FROM cost_ledger.import_prices('{}', 'yaml');
SELECT * FROM cost_ledger.import_prices('{}', NULL);
SELECT * FROM cost_ledger.import_prices('{}', 'litellm');
SELECT * FROM cost_ledger.import_prices('[1]', 'litellm');
SELECT * FROM cost_ledger.import_prices('{}', 'genai-prices');
SELECT * FROM cost_ledger.import_prices('[{"id": "p"}]', 'genai-prices');
SELECT * FROM cost_ledger.import_prices('{"x": 1}', 'cost_ledger');
SELECT * FROM cost_ledger.import_prices('"x"', 'cost_ledger');
SELECT * FROM cost_ledger.import_prices('{"good": {"litellm_provider": "p", "input_cost_per_token": 1e-6}, "bad": {"litellm_provider": "p", "input_cost_per_token": -1e-6}}');
SELECT * FROM cost_ledger.import_prices('{"good": {"litellm_provider": "p", "input_cost_per_token": 1e-6}, "bad": {"litellm_provider": "p", "output_cost_per_image": 1e30}}');
SELECT * FROM cost_ledger.import_prices('{"good": {"litellm_provider": "p", "input_cost_per_token": 1e-6}, "bad": {"input_cost_per_token": 1e-6}}');
SELECT outcome, meter, note FROM cost_ledger.import_prices('{"text": {"litellm_provider": "p", "input_cost_per_token": "0.1"}}', dry_run => true);
SELECT * FROM cost_ledger.import_prices('[{"id": "p", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": "3"}}]}]', 'genai-prices');
SELECT * FROM cost_ledger.import_prices('[{"id": "p", "models": [{"id": "m", "match": {"like": "m"}, "prices": {"input_mtok": 3}}]}]', 'genai-prices');
SELECT * FROM cost_ledger.import_prices('[{"id": "p", "models": [{"id": "m", "match": {"regex": "(m"}, "prices": {"input_mtok": 3}}]}]', 'genai-prices');
SELECT * FROM cost_ledger.import_prices('[{"id": "p", "models": [{"id": "m", "match": {"equals": "m"}, "prices": [{"constraint": {"moon": "full"}, "prices": {"input_mtok": 3}}]}]}]', 'genai-prices');
SELECT * FROM cost_ledger.import_prices('[{"id": "p", "models": [{"id": "m", "match": {"equals": "m"}, "prices": [{"constraint": {"start_date": "2026-02-30"}, "prices": {"input_mtok": 3}}]}]}]', 'genai-prices');
SELECT * FROM cost_ledger.import_prices('[{"id": "p", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 3}}, {"id": "m", "match": {"equals": "n"}, "prices": {"input_mtok": 4}}]}]', 'genai-prices');
SELECT * FROM cost_ledger.import_prices('[{"provider": "p", "model": "good", "rates": {"input_tokens": 3}}, {"provider": "p", "model": "bad", "rates": {"input_tokens": -3}}]', 'cost_ledger');
SELECT * FROM cost_ledger.import_prices('[{"provider": "p", "model": "m", "rates": {"input_tokens": 3}, "prize": 1}]', 'cost_ledger');
SELECT * FROM cost_ledger.import_prices('[{"provider": "p", "model": "m", "rates": {"input_tokens": 3}, "valid_from": "someday"}]', 'cost_ledger');
SELECT * FROM cost_ledger.import_prices('[{"provider": "p", "model": "m", "rates": {"input_tokens": 3}, "currency": "dollars"}]', 'cost_ledger');
SELECT * FROM cost_ledger.import_prices('{"multipliers": [{"provider": "p", "name": "x", "factor": -1}]}', 'cost_ledger');
SELECT * FROM cost_ledger.import_prices('{"aliases": [{"match": "magic", "pattern": "x", "to_model": "y"}]}', 'cost_ledger');
SELECT * FROM cost_ledger.import_prices('{}', valid_from => 'infinity');
SELECT * FROM cost_ledger.import_prices('{}', hold_factor => 1);
SELECT cost_ledger.export_prices('yaml');
SELECT b = (p.n, s.n, c.n, a.n, m.n) AS nothing_written
FROM before b, (SELECT count(*) FROM cost_ledger_internal.price) AS p (n), (SELECT count(*) FROM cost_ledger_internal.price_source) AS s (n), (SELECT count(*) FROM cost_ledger_internal.rate_card) AS c (n),
     (SELECT count(*) FROM cost_ledger.model_alias) AS a (n), (SELECT count(*) FROM cost_ledger.price_multiplier) AS m (n);

SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT * FROM cost_ledger.import_prices('{}');
