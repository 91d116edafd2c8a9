--
-- Price lists: versions, their changes, and what was in force when.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();

CREATE FUNCTION pg_temp.versions(model text) RETURNS TABLE (valid_from timestamptz, valid_to timestamptz, input_price numeric)
LANGUAGE sql AS $$
    SELECT p.valid_from, p.valid_to, l.unit_price
    FROM cost_ledger_internal.rate_card c JOIN cost_ledger_internal.price p USING (card_id)
    JOIN cost_ledger_internal.price_line l ON l.price_id = p.price_id AND l.meter = 'input_tokens'
    WHERE c.model = versions.model ORDER BY p.valid_from, p.price_id
$$;

-- a later version closes the earlier one; a back-dated one runs until the next
-- begins; a future one waits for its date
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 4, "output_tokens": 8}', '2026-02-01');
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 6, "output_tokens": 8}', '2026-04-01');
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 5, "output_tokens": 8}', '2026-03-01');
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 3, "output_tokens": 8}', '2026-01-01');
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 9, "output_tokens": 8}', '2099-01-01');
SELECT * FROM pg_temp.versions('gpt-x');

-- the boundary belongs to the new version, and nothing holds before the first
SELECT at, cost_ledger.cost_at(at, 'openai', 'gpt-x', '{"input_tokens": 1000000}') AS cost
FROM (VALUES (timestamptz '2025-12-31 23:59:59.999999'), ('2026-01-01'), ('2026-01-31 23:59:59.999999'), ('2026-02-01'),
             ('2026-02-28 23:59:59.999999'), ('2026-03-01'), ('2026-04-01'), ('2098-12-31 23:59:59.999999'), ('2099-01-01')) AS v (at);

-- the same again is nothing; different is an error unless it is on purpose
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"output_tokens": 8.0, "input_tokens": 6.00}', '2026-04-01') =
       (SELECT price_id FROM cost_ledger_internal.price WHERE valid_from = '2026-04-01') AS same;
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 7, "output_tokens": 8}', '2026-04-01');
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 7, "output_tokens": 8}', '2026-04-01', replace => true) > 5 AS corrected;
SELECT * FROM pg_temp.versions('gpt-x');
SELECT count(*) AS rates_in_the_list FROM cost_ledger.price_list WHERE model = 'gpt-x';

-- an end of one's own
SELECT cost_ledger.set_price('openai', 'preview', '{"input_tokens": 1}', '2026-01-01', valid_to => '2026-01-08') > 0 AS set;
SELECT cost_ledger.cost_at('2026-01-07', 'openai', 'preview', '{"input_tokens": 1000000}') AS inside,
       cost_ledger.cost_at('2026-01-08', 'openai', 'preview', '{"input_tokens": 1000000}') AS outside;

-- versions never overlap, whoever writes them
INSERT INTO cost_ledger_internal.price (card_id, valid_from, valid_to, currency)
    SELECT card_id, '2026-01-15', '2026-01-16', 'USD' FROM cost_ledger_internal.rate_card WHERE model = 'gpt-x';

-- history stays: only the end of a version may change, and only come earlier
UPDATE cost_ledger_internal.price SET valid_from = '2020-01-01' WHERE valid_from = '2099-01-01';
UPDATE cost_ledger_internal.price SET valid_to = '2099-02-01' WHERE valid_from = '2099-01-01';
UPDATE cost_ledger_internal.price SET valid_to = '2099-03-01' WHERE valid_from = '2099-01-01';
UPDATE cost_ledger_internal.price SET valid_to = NULL WHERE valid_from = '2099-01-01';
UPDATE cost_ledger_internal.price_line SET unit_price = 0;
DELETE FROM cost_ledger_internal.price_line;
DELETE FROM cost_ledger_internal.price;
DELETE FROM cost_ledger_internal.rate_card;
TRUNCATE cost_ledger_internal.price_line;
SET client_min_messages = warning;
TRUNCATE cost_ledger_internal.price CASCADE;
RESET client_min_messages;

-- regions and service classes are cards of their own; a region without one
-- falls back to any, a class never does
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 10}', '2026-01-01', region => 'eu') > 0 AS eu,
       cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 2}', '2026-01-01', service_class => 'batch') > 0 AS batch;
SELECT cost_ledger.cost_at('2026-01-02', 'openai', 'gpt-x', '{"input_tokens": 1000000}') AS standard,
       cost_ledger.cost_at('2026-01-02', 'openai', 'gpt-x', '{"input_tokens": 1000000}', region => 'eu') AS eu,
       cost_ledger.cost_at('2026-01-02', 'openai', 'gpt-x', '{"input_tokens": 1000000}', region => 'us') AS us,
       cost_ledger.cost_at('2026-01-02', 'openai', 'gpt-x', '{"input_tokens": 1000000}', 'batch') AS batch,
       cost_ledger.cost_at('2026-01-02', 'openai', 'gpt-x', '{"input_tokens": 1000000}', 'flex') AS flex;

--
-- What a usage costs, and why.
--
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 3.00, "cache_read_tokens": 0.30, "cache_write_tokens": 3.75, "cache_write_1h_tokens": 6.00, "output_tokens": 15.00,
      "web_search_requests": {"price": 10, "per": 1000}}', '2025-09-29') > 0 AS set;
SELECT cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-sonnet-4-5', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}');

CREATE FUNCTION pg_temp.explain(model text, usage jsonb) RETURNS TABLE (meter text, quantity numeric, unit_price numeric, per bigint, amount numeric, rule text)
LANGUAGE sql AS $$
    SELECT meter, quantity, unit_price, per, amount, rule FROM cost_ledger.explain_cost('2026-01-02', 'anthropic', explain.model, usage)
$$;
SELECT * FROM pg_temp.explain('claude-sonnet-4-5', '{"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}');
-- every kind of input once, reasoning at its parent's rate, a tool
SELECT * FROM pg_temp.explain('claude-sonnet-4-5',
    '{"input_tokens": 10000, "cache_read_tokens": 2000, "cache_write_tokens": 3000, "cache_write_1h_tokens": 4000,
      "output_tokens": 600, "reasoning_tokens": 500, "web_search_requests": 3}');
SELECT sum(amount) = cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 10000, "cache_read_tokens": 2000, "cache_write_tokens": 3000, "cache_write_1h_tokens": 4000, "output_tokens": 600, "reasoning_tokens": 500, "web_search_requests": 3}') AS adds_up
FROM pg_temp.explain('claude-sonnet-4-5',
    '{"input_tokens": 10000, "cache_read_tokens": 2000, "cache_write_tokens": 3000, "cache_write_1h_tokens": 4000, "output_tokens": 600, "reasoning_tokens": 500, "web_search_requests": 3}');
-- a meter without a rate: the rest counts, unless all of it is asked for
SELECT * FROM pg_temp.explain('claude-sonnet-4-5', '{"input_tokens": 1000, "images": 2}');
SELECT cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-sonnet-4-5', '{"input_tokens": 1000, "images": 2}');
SELECT cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-sonnet-4-5', '{"input_tokens": 1000, "images": 2}', strict => true);
SELECT cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-sonnet-4-5', '{"images": 2}') IS NULL AS nothing_known;
-- no price at all
SELECT * FROM pg_temp.explain('claude-9', '{"input_tokens": 1000, "output_tokens": 10}');
SELECT cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-9', '{"input_tokens": 1000}') IS NULL AS unpriced;
SELECT cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-9', '{"input_tokens": 1000}', strict => true);
--
-- Why there is no price: no such name, no version at that time, no such class
-- or region, no exchange rate, no rate for a meter.  The view says the same of
-- recorded calls.
--
CREATE FUNCTION pg_temp.why(provider text, model text, at timestamptz DEFAULT '2026-01-02', service_class text DEFAULT 'standard', region text DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$ SELECT rule FROM cost_ledger.explain_cost(at, provider, model, '{"input_tokens": 1000}', service_class, region) $$;
-- near in its own provider, or the very name elsewhere; far from all
SELECT v.provider, left(v.model, 30) AS model, pg_temp.why(v.provider, v.model)
FROM (VALUES (1, 'anthropic', 'claude-sonet-4-5'), (2, 'anthropic', 'anthropic/claude-sonnet-4-6'), (3, 'Anthropic', 'claude-sonnet-4'), (4, 'openai', 'claude-sonnet-4-5'), (5, 'gateway', 'anthropic/claude-sonnet-4-5'),
             (6, 'anthropic', 'x'), (7, 'anthropic', repeat('claude-', 100)), (8, 'OPENAI', 'gpt-y')) AS v (n, provider, model) ORDER BY v.n;
SELECT cost_ledger.set_price('q', 'dated', '{"input_tokens": 1}', '2026-02-01', '2026-03-01') > 0 AS set, cost_ledger.set_price('q', 'dated', '{"input_tokens": 2}', '2026-04-01', '2026-05-01') > 0 AS set,
       cost_ledger.set_price('q', 'dated', '{"input_tokens": 1}', '2026-02-10', '2026-02-20', service_class => 'batch') > 0 AS set,
       cost_ledger.set_price('q', 'local', '{"input_tokens": 1}', '2026-01-01', region => 'eu') > 0 AS set, cost_ledger.set_price('q', 'local', '{"input_tokens": 1}', '2026-01-01', region => 'us', service_class => 'batch') > 0 AS set,
       cost_ledger.set_price('q', 'withdrawn', '{"input_tokens": 1}', '2026-01-01', '2026-01-02') > 0 AS set, cost_ledger.set_price('q', 'foreign', '{"input_tokens": 1}', '2026-01-01', currency => 'EUR') > 0 AS set;
UPDATE cost_ledger_internal.price SET valid_to = valid_from WHERE valid_to = '2026-01-02';
SELECT cost_ledger.set_multiplier('q', 'flex', 0.5, '2026-04-10', model => 'dated', service_class => 'flex');
SELECT v.model, v.at, v.service_class AS class, v.region, pg_temp.why('q', v.model, v.at, v.service_class, v.region)
FROM (VALUES (1, 'dated', timestamptz '2026-01-01', 'standard', NULL), (2, 'dated', '2026-03-15', 'standard', NULL), (3, 'dated', '2026-05-01', 'standard', NULL), (4, 'dated', '2026-04-15', 'standard', NULL),
             (5, 'dated', '2026-02-05', 'batch', NULL), (6, 'dated', '2026-02-15', 'batch', NULL), (7, 'dated', '2026-02-25', 'batch', NULL), (8, 'dated', '2026-04-15', 'batch', NULL),
             (9, 'dated', '2026-04-05', 'flex', NULL), (10, 'dated', '2026-04-15', 'flex', NULL), (11, 'dated', '2026-05-15', 'flex', NULL), (12, 'dated', '2026-04-15', 'priority', NULL),
             (13, 'local', '2026-01-02', 'standard', NULL), (14, 'local', '2026-01-02', 'standard', 'jp'), (15, 'local', '2026-01-02', 'standard', 'eu'), (16, 'local', '2026-01-02', 'standard', 'us'), (17, 'local', '2025-12-31', 'batch', 'us'),
             (18, 'withdrawn', '2026-01-01', 'standard', NULL), (19, 'foreign', '2026-01-02', 'standard', NULL), (20, 'foreign', '2025-12-31', 'standard', NULL)) AS v (n, model, at, service_class, region) ORDER BY v.n;
-- strict says it in the error, and what to do in the hint
SELECT cost_ledger.cost_at('2026-03-15', 'q', 'dated', '{"input_tokens": 1}', strict => true);
SELECT cost_ledger.cost_at('2026-04-15', 'q', 'dated', '{"input_tokens": 1}', 'priority', strict => true);
SELECT cost_ledger.cost_at('2026-01-02', 'q', 'local', '{"input_tokens": 1}', strict => true);
SELECT cost_ledger.cost_at('2026-01-02', 'q', 'foreign', '{"input_tokens": 1}', strict => true);
SELECT cost_ledger.cost_at('2026-01-02', 'q', 'local', '{"input_tokens": 1, "images": 2, "pages": 3, "seconds": 0}', region => 'eu', strict => true);
-- recorded calls, in one ledger that has no exchange rate: by the prices of now
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, service_class, region, other_usage)
VALUES ('2026-01-02', 'OpenAI', 'gpt-y', 1, 'standard', NULL, NULL), ('2026-03-15', 'q', 'dated', 1, 'standard', NULL, NULL), ('2026-04-15', 'q', 'dated', 1, 'priority', NULL, NULL), ('2026-01-02', 'q', 'local', 1, 'standard', NULL, NULL),
       ('2026-01-02', 'q', 'foreign', 1, 'standard', NULL, NULL), ('2026-01-02', 'q', 'local', 1, 'standard', 'eu', '{"images": 2, "pages": 3, "seconds": 0}'), ('2026-01-02', 'q', 'local', NULL, 'standard', 'eu', '{"images": 2}'),
       ('2026-01-02', 'q', 'local', NULL, 'standard', 'eu', NULL);
SELECT provider, model, service_class AS class, region, pricing, reason FROM cost_ledger.unpriced_call ORDER BY call_id;
-- it changes with them, at once: a name, a version, an exchange rate
SELECT cost_ledger.set_price('openai', 'gpt-y', '{"input_tokens": 1}', '2026-01-01') > 0 AS set, cost_ledger.set_price('q', 'dated', '{"input_tokens": 1}', '2026-03-20') > 0 AS set,
       cost_ledger.set_price('q', 'local', '{"input_tokens": 1}', '2026-01-01', region => 'jp') > 0 AS set;
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2026-01-03', 1.1);
SELECT provider, model, service_class AS class, region, pricing, reason FROM cost_ledger.unpriced_call ORDER BY call_id LIMIT 5;

-- nothing was consumed, which is known; nothing is known
SELECT cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-sonnet-4-5', '{"input_tokens": 0}') AS zero,
       cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-sonnet-4-5', '{}') AS unknown,
       cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-sonnet-4-5', '{"input_tokens": null}') AS null_count,
       cost_ledger.cost_at(NULL, 'anthropic', 'claude-sonnet-4-5', '{"input_tokens": 1}') AS null_time,
       cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-sonnet-4-5', NULL) AS null_usage;

-- a price per call, counted for every call unless the client counts
SELECT cost_ledger.set_price('perplexity', 'sonar', '{"input_tokens": 1, "requests": {"price": 5, "per": 1000}}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.cost_at('2026-01-02', 'perplexity', 'sonar', '{"input_tokens": 1000}') AS one,
       cost_ledger.cost_at('2026-01-02', 'perplexity', 'sonar', '{"input_tokens": 1000, "requests": 3}') AS three,
       cost_ledger.cost_at('2026-01-02', 'perplexity', 'sonar', '{"input_tokens": 1000, "requests": 0}') AS none;

-- exact at any size: 23 decimals, 10^12 tokens, both at once, and fractions
SELECT cost_ledger.set_price('x', 'tiny', '{"input_tokens": {"price": 0.00000000000000000000001, "per": 1}, "output_tokens": {"price": 123456789.123456789123456789, "per": 1}, "seconds": {"price": 0.006, "per": 10}}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": 1}') AS smallest,
       cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": 1000000000000, "output_tokens": 1000000000000}')
           = 1000000000000 * 0.00000000000000000000001 + 1000000000000 * 123456789.123456789123456789 AS largest,
       cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"seconds": 12.345}') AS fraction,
       cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": 1, "seconds": 0.000000000000000001}') AS sum_of_both;

--
-- Bad input, each with what to do about it.
--
SELECT cost_ledger.set_price(NULL, 'm', '{"input_tokens": 1}', '2026-01-01');
SELECT cost_ledger.set_price('p', '', '{"input_tokens": 1}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', NULL, '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '[]', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": -1}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": "3"}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": null}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": {"price": 3, "per": 7}}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": {"price": 3, "pre": 1}}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"images": 3}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"images": {"price": 3}}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"Input Tokens": 3}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"prompt_tokens": 3}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 3}', 'infinity');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 3}', NULL);
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 3}', '2026-01-01', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 3}', '2026-01-01', '-infinity');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 3}', '2026-01-01', currency => 'euro');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, {"price": 6, "over": -1}]}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, {"price": 6, "over": 1.5}]}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": []}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, {"price": 6, "from": "25:00", "to": "01:00"}]}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, {"price": 6, "from": "20:00"}]}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, {"price": 6, "zone": "UTC"}]}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, {"price": 6, "days": [0, 8]}]}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, {"price": 6, "days": [1], "zone": "Mars"}]}', '2026-01-01');
-- two rates for the same calls; a rate for each is another thing
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, 4]}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, {"price": 6, "over": 5}, {"price": 6, "over": 5, "inclusive": true}]}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": [3, {"price": 6, "days": [1, 2]}, {"price": 7, "days": [2, 1], "zone": "UTC"}]}', '2026-01-01');
-- rates nobody charges, which nothing could be multiplied with
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1e131000}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1000000000000}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1e-101}', '2026-01-01');
INSERT INTO cost_ledger.price_list (provider, model, meter, unit_price, valid_from) VALUES ('p', 'm', 'input_tokens', 1e131000, '2026-01-01');
SELECT cost_ledger.set_multiplier('p', 'discount', 1e131000, '2026-01-01');
SELECT cost_ledger.set_multiplier('p', 'discount', 1e-101, '2026-01-01');
SELECT cost_ledger.set_multiplier('p', 'discount', -1, '2026-01-01');
SELECT cost_ledger.set_multiplier('p', 'discount', 'NaN', '2026-01-01');
SELECT cost_ledger.set_multiplier('p', '', 1, '2026-01-01');
SELECT cost_ledger.set_multiplier('p', 'discount', 1, 'infinity');
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2026-01-01', 1e131000);
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2026-01-01', 0);
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', 'infinity', 1);
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('eur', '2026-01-01', 1);
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('USD', '2026-01-01', 1);
SELECT count(*) AS half_written FROM cost_ledger_internal.rate_card WHERE provider = 'p';
-- the dearest and the finest there can be, multiplied as far as can be
SELECT cost_ledger.set_price('p', 'edge', '{"input_tokens": {"price": 999999999999, "per": 1}, "output_tokens": {"price": 1e-100, "per": 1000000000}}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.set_multiplier('p', 'markup', 999999, '2026-01-01', model => 'edge');
SELECT cost_ledger.cost_at('2026-01-02', 'p', 'edge', '{"input_tokens": 1000000000000}') = 1000000000000::numeric * 999999999999 * 999999 AS dearest,
       cost_ledger.cost_at('2026-01-02', 'p', 'edge', '{"output_tokens": 1}') = 1e-109 * 999999 AS finest;
SELECT cost_ledger.cost_at('infinity', 'x', 'tiny', '{"input_tokens": 1}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"prompt_tokens": 1}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": "1"}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": 1.5}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": -1}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": 1e30}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": 1000000000001}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"seconds": -1}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"seconds": 1e-37}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"seconds": 1000000000000.1}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"seconds": 1e100}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": {"a": 1}}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '[1]');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"input_tokens": 1, "cache_read_tokens": 2}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"cache_write_tokens": 2}');
SELECT cost_ledger.cost_at('2026-01-02', 'x', 'tiny', '{"output_tokens": 1, "reasoning_tokens": 2}');

--
-- The list as CSV: the shipped one loads, once; an exported one loads as it was.
--
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.load_seed_prices() > 20 AS loaded;
CREATE TEMP TABLE first_load AS TABLE cost_ledger.price_list;
SELECT cost_ledger.load_seed_prices() > 20 AS loaded_again;
SELECT count(*) AS changed FROM (TABLE first_load EXCEPT ALL TABLE cost_ledger.price_list) d;
SELECT cost_ledger.cost_at('2026-01-02', 'anthropic', 'claude-3-haiku', '{"input_tokens": 1000000, "output_tokens": 1000000}') AS haiku;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger();
INSERT INTO cost_ledger.price_list TABLE first_load;
SELECT count(*) > 25 AS rates FROM cost_ledger.price_list;
(TABLE first_load EXCEPT ALL TABLE cost_ledger.price_list) UNION ALL (TABLE cost_ledger.price_list EXCEPT ALL TABLE first_load);
SELECT count(*) AS left_behind FROM cost_ledger_internal.price_list_load;
COPY cost_ledger.price_list (provider, model, region, service_class, meter, unit_price, per, currency, valid_from, valid_to, source) FROM stdin WITH (FORMAT csv, HEADER);
provider,model,region,service_class,meter,unit_price,per,currency,valid_from,valid_to,source
acme,a-1,,,input_tokens,1.25,,,2026-01-01T00:00:00Z,,"page 3, table ""prices"""
acme,a-1,,,output_tokens,10,,,2026-01-01T00:00:00Z,,"page 3, table ""prices"""
acme,a-1,,batch,input_tokens,0.625,1000000,USD,2026-01-01T00:00:00Z,,
\.
SELECT model, region, service_class, customer, meter, unit_price, per, currency, valid_from, valid_to, source
FROM cost_ledger.price_list WHERE provider = 'acme' ORDER BY service_class, meter;
-- a list with a mistake in it changes nothing
COPY cost_ledger.price_list (provider, model, region, service_class, meter, unit_price, per, currency, valid_from, valid_to, source) FROM stdin WITH (FORMAT csv);
acme,a-2,,,input_tokens,1.25,,,2026-01-01T00:00:00Z,,
acme,a-3,,,input_tokens,-1,,,2026-01-01T00:00:00Z,,
\.
SELECT count(*) AS half_loaded FROM cost_ledger.price_list WHERE model = 'a-2';

--
-- The cache: a hit is a hit, a change is seen at once, a rolled-back one never.
--
CREATE FUNCTION pg_temp.loads() RETURNS bigint LANGUAGE sql AS 'SELECT loads FROM cost_ledger_internal.price_cache_status()';
SELECT cost_ledger.cost_at('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}');
SELECT pg_temp.loads() AS before \gset
SELECT sum(cost_ledger.cost_at('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}')) FROM generate_series(1, 1000);
SELECT pg_temp.loads() - :before AS loads_for_a_thousand_calls;
BEGIN;
SELECT cost_ledger.set_price('acme', 'a-1', '{"input_tokens": 99}', '2026-01-02') > 0 AS set;
SELECT cost_ledger.cost_at('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}') AS inside;
ROLLBACK;
SELECT cost_ledger.cost_at('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}') AS after_rollback;
BEGIN;
SAVEPOINT s;
SELECT cost_ledger.set_price('acme', 'a-1', '{"input_tokens": 98}', '2026-01-02') > 0 AS set;
SELECT cost_ledger.cost_at('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}') AS inside;
ROLLBACK TO s;
SELECT cost_ledger.cost_at('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}') AS after_savepoint;
COMMIT;
-- in one statement that changes the price half-way
SELECT i, cost_ledger.cost_at('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}') AS cost,
       CASE WHEN i = 2 THEN cost_ledger.set_price('acme', 'a-1', '{"input_tokens": 50}', '2026-01-02') END > 0 AS set
FROM generate_series(1, 3) AS i;

--
-- A change of one model loads that one again; the others are looked through
-- and kept.  Here: ten models by their own names, one by its name without a
-- date, one by an alias, one that has no price.
--
SELECT count(cost_ledger.set_price('many', 'm' || n, jsonb_build_object('input_tokens', n), '2026-01-01')) AS set FROM generate_series(1, 10) AS n;
INSERT INTO cost_ledger.model_alias (provider, match, pattern, to_model) VALUES ('many', 'prefix', 'tuned-', 'm2');
CREATE TEMP TABLE asked AS
SELECT n, 'm' || n AS model FROM generate_series(1, 10) AS n UNION ALL VALUES (11, 'm1-20260101'), (12, 'tuned-x'), (13, 'none');
CREATE FUNCTION pg_temp.ask(OUT cost numeric, OUT without_price text, OUT loads bigint, OUT checks bigint) LANGUAGE plpgsql AS $$
DECLARE
    before record;
    after record;
BEGIN
    SELECT * INTO before FROM cost_ledger_internal.price_cache_status();
    SELECT sum(c.cost), string_agg(c.model, ', ' ORDER BY c.n) FILTER (WHERE c.cost IS NULL) INTO cost, without_price
        FROM (SELECT n, model, cost_ledger.cost_at('2026-01-02', 'many', model, '{"input_tokens": 1000000}') AS cost FROM asked OFFSET 0) c;
    SELECT * INTO after FROM cost_ledger_internal.price_cache_status();
    loads := after.loads - before.loads;
    checks := after.checks - before.checks;
END
$$;
-- 55 + 1 + 2
SELECT * FROM pg_temp.ask();
SELECT * FROM pg_temp.ask();
-- + 10 of m10 alone
SELECT cost_ledger.set_price('many', 'm10', '{"input_tokens": 20}', '2026-01-02') > 0 AS set;
SELECT * FROM pg_temp.ask();
SELECT * FROM pg_temp.ask();
-- + 10 of m2, and of what is priced as m2
SELECT cost_ledger.set_price('many', 'm2', '{"input_tokens": 12}', '2026-01-02') > 0 AS set;
SELECT * FROM pg_temp.ask();
-- of nobody: a model nobody calls, another class and region of one they do
SELECT cost_ledger.set_price('many', 'new', '{"input_tokens": 1}', '2026-01-02') > 0 AS set,
       cost_ledger.set_price('many', 'm3', '{"input_tokens": 1}', '2026-01-02', service_class => 'batch', region => 'eu') > 0 AS set;
SELECT * FROM pg_temp.ask();
-- + 100 of the model that had none
SELECT cost_ledger.set_price('many', 'none', '{"input_tokens": 100}', '2026-01-02') > 0 AS set;
SELECT * FROM pg_temp.ask();
-- + 1000 - 1 of a name that gets prices of its own
SELECT cost_ledger.set_price('many', 'm1-20260101', '{"input_tokens": 1000}', '2026-01-02') > 0 AS set;
SELECT * FROM pg_temp.ask();
-- a customer's first card: the model's entry is loaded to know of it, and the customer's
SELECT cost_ledger.cost_at('2026-01-02', 'many', 'm5', '{"input_tokens": 1000000}', customer => 'acme') AS before;
SELECT cost_ledger.set_price('many', 'm5', '{"input_tokens": 4}', '2026-01-02', customer => 'acme') > 0 AS set;
SELECT * FROM pg_temp.ask();
SELECT cost_ledger.cost_at('2026-01-02', 'many', 'm5', '{"input_tokens": 1000000}', customer => 'acme') AS after,
       cost_ledger.cost_at('2026-01-02', 'many', 'm5', '{"input_tokens": 1000000}', customer => 'globex') AS of_another;
-- rolled back: loaded inside, and again after
BEGIN;
SELECT cost_ledger.set_price('many', 'm4', '{"input_tokens": 44}', '2026-01-02') > 0 AS set;
SELECT * FROM pg_temp.ask();
ROLLBACK;
SELECT * FROM pg_temp.ask();
-- a line that comes later, to one version
\set VERBOSITY sqlstate
INSERT INTO cost_ledger_internal.price_line (price_id, line, meter, unit_price) SELECT max(price_id), 3, 'output_tokens', 7 FROM cost_ledger_internal.price;
\set VERBOSITY default
-- but by replication it may
SET session_replication_role = replica;
INSERT INTO cost_ledger_internal.price_line (price_id, line, meter, unit_price)
SELECT p.price_id, 2, 'output_tokens', 7 FROM cost_ledger_internal.price p JOIN cost_ledger_internal.rate_card c USING (card_id) WHERE c.provider = 'many' AND c.model = 'm6';
RESET session_replication_role;
SELECT * FROM pg_temp.ask();
SELECT cost_ledger.cost_at('2026-01-02', 'many', 'm6', '{"output_tokens": 1000000}') AS of_the_line;
-- what concerns all: every entry is loaded again
SELECT cost_ledger.set_multiplier('many', 'discount', 0.5, '2026-01-02');
SELECT * FROM pg_temp.ask();
INSERT INTO cost_ledger.model_alias (provider, match, pattern, to_model) VALUES ('many', 'prefix', 'tuned-x', 'm3');
SELECT * FROM pg_temp.ask();
-- rows that move are loaded again for nothing
VACUUM FULL cost_ledger_internal.price;
SELECT cost, without_price FROM pg_temp.ask();

-- Names are the client's to choose: however many and long, the cache is bounded.
SELECT count(cost_ledger.cost_at('2026-01-02', 'many', repeat('x', 30000) || n, '{"input_tokens": 1}')) FROM generate_series(1, 1500) n;
SELECT sum(total_bytes) < 48 * 1024 * 1024 AS bounded FROM pg_backend_memory_contexts WHERE name LIKE 'cost_ledger price%';
SELECT entries < 1500 AS started_over, bytes < 48 * 1024 * 1024 AS says_so FROM cost_ledger_internal.price_cache_status();
SELECT cost_ledger.cost_at('2026-01-02', 'many', 'm9', '{"input_tokens": 1000000}');

-- who may call the functions sees prices, but of no customer that is not granted
CREATE ROLE cost_ledger_test_nobody;
SELECT cost_ledger.grant_team_reader('cost_ledger_test_nobody', 'none');
SET ROLE cost_ledger_test_nobody;
SELECT cost_ledger.cost_at('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}');
SELECT amount FROM cost_ledger.explain_cost('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}');
SELECT cost_ledger.cost_at('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}', customer => 'anybody');
SELECT amount FROM cost_ledger.explain_cost('2026-01-02', 'acme', 'a-1', '{"input_tokens": 1000000}', customer => 'anybody');
SELECT cost_ledger_internal.price_cache_status();
RESET ROLE;
DROP OWNED BY cost_ledger_test_nobody;
DROP ROLE cost_ledger_test_nobody;

SELECT cost_ledger.drop_ledger(i_mean_it => true);
