-- What the prompt cache saves, by each price there is, and what becomes of it; and
-- reasoning at a rate of its own.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger();
SELECT count(cost_ledger.set_price('p', model, rates::jsonb, '2025-01-01', service_class => class))
FROM (VALUES ('m', 'standard', '{"input_tokens": [3, {"price": 6, "over": 200000}], "cache_read_tokens": [0.3, {"price": 0.6, "over": 200000}], "cache_write_tokens": 3.75, "cache_write_1h_tokens": 6, "output_tokens": 15}'),
             ('m', 'priority', '{"input_tokens": 5}'),
             ('plain', 'standard', '{"input_tokens": 3}'),
             ('no input', 'standard', '{"cache_read_tokens": 0.3}'),
             ('steps', 'standard', '{"input_tokens": [3, {"price": 2, "over": 1000, "graduated": true}], "cache_read_tokens": 0.3}'),
             ('audio', 'standard', '{"input_tokens": 3, "cache_read_tokens": 0.3, "input_audio_tokens": 10, "cache_read_audio_tokens": 1}'),
             ('free', 'standard', '{"input_tokens": 0, "cache_read_tokens": 0}'),
             ('night', 'standard', '{"input_tokens": [3, {"price": 1, "from": "00:00", "to": "06:00", "zone": "UTC"}], "cache_read_tokens": 0.3}'),
             ('long', 'standard', '{"input_tokens": 0.123456789012345678901234567890123456, "cache_read_tokens": 0.012345678901234567890123456789012345}')) AS c (model, class, rates);
SELECT cost_ledger.set_price('p', 'pounds', '{"input_tokens": 3, "cache_read_tokens": 1}', '2025-01-01', currency => 'GBP') > 0 AS no_exchange_rate,
       cost_ledger.set_price('p', 'euros', '{"input_tokens": 3, "cache_read_tokens": 1}', '2025-01-01', currency => 'EUR') > 0 AS has_one,
       cost_ledger.set_multiplier('p', 'batch', 0.5, '2025-01-01', service_class => 'batch') IS NOT NULL AS batch;
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2025-01-01', 1.25);
CREATE TEMP TABLE told (what text, per_million numeric, model text, class text, input bigint, read bigint, write bigint, write_1h bigint, other jsonb, called_at timestamptz DEFAULT '2026-01-05 12:00Z');
INSERT INTO told (what, per_million, model, class, input, read, write, write_1h) VALUES
    ('800 × (3 - 0.3)', 2160, 'm', 'standard', 1000, 800, NULL, NULL),
    ('written once, 1000 × (3 - 3.75)', -750, 'm', 'standard', 1000, NULL, 1000, NULL),
    ('for an hour, 1000 × (3 - 6)', -3000, 'm', 'standard', 1000, NULL, NULL, 1000),
    ('read and written, 800 × 2.7 - 100 × 0.75', 2085, 'm', 'standard', 1000, 800, 100, NULL),
    ('in the tier of the whole input, 250000 × (6 - 0.6)', 1350000, 'm', 'standard', 300000, 250000, NULL, NULL),
    ('batch, half of it', 1080, 'm', 'batch', 1000, 800, NULL, NULL),
    ('priority, 800 × (5 - 0.3)', 3760, 'm', 'priority', 1000, 800, NULL, NULL),
    ('no cache', NULL, 'm', 'standard', 1000, NULL, NULL, NULL),
    ('none read', NULL, 'm', 'standard', 1000, 0, NULL, NULL),
    ('read at the rate of input', 0, 'plain', 'standard', 1000, 800, NULL, NULL),
    ('free', 0, 'free', 'standard', 1000, 800, NULL, NULL),
    ('no rate for input', NULL, 'no input', 'standard', 1000, 800, NULL, NULL),
    ('300 up to the step and 500 beyond: 900 + 1000 - 240', 1660, 'steps', 'standard', 1500, 800, NULL, NULL),
    ('all beyond it, 800 × (2 - 0.3)', 1360, 'steps', 'standard', 3000, 800, NULL, NULL),
    ('at night, 800 × (1 - 0.3)', 560, 'night', 'standard', 1000, 800, NULL, NULL),
    ('pounds', NULL, 'pounds', 'standard', 1000, 800, NULL, NULL),
    ('euros, 800 × 2 × 1.25', 2000, 'euros', 'standard', 1000, 800, NULL, NULL),
    ('nobody knows', NULL, 'unheard', 'standard', 1000, 800, NULL, NULL),
    ('beyond 128 bits', 1000000000000 * (0.123456789012345678901234567890123456 - 0.012345678901234567890123456789012345), 'long', 'standard', 1000000000000, 1000000000000, NULL, NULL);
INSERT INTO told VALUES ('audio as audio, 300 × 2.7 + 200 × 9', 2610, 'audio', 'standard', 1000, 500, NULL, NULL, '{"input_audio_tokens": 300, "cache_read_audio_tokens": 200}');
UPDATE told SET called_at = '2026-01-05 03:00Z' WHERE model = 'night';
INSERT INTO cost_ledger.call (called_at, provider, model, service_class, input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, other_usage, feature, event_key)
    SELECT called_at, 'p', model, class, input, read, write, write_1h, other, what, what FROM told;
SELECT t.what, c.prompt_cache_saving, c.prompt_cache_saving * 1000000 IS NOT DISTINCT FROM t.per_million AS is_right, c.pricing
FROM told t JOIN cost_ledger.call c ON c.feature = t.what ORDER BY c.call_id;
-- An answer from the application's own cache has read no other.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, served_from) VALUES ('2026-01-05', 'p', 'm', 1000, 800, 'response_cache')
    RETURNING cost, avoided_cost, prompt_cache_saving;
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.call (provider, model, input_tokens, prompt_cache_saving) VALUES ('p', 'm', 1, 1);
INSERT INTO cost_ledger.call (provider, model, input_tokens, reasoning_cost) VALUES ('p', 'm', 1, 1);
\set VERBOSITY default

-- Reasoning where it has a rate, on its own card or on one that stands in; else it is output.
SELECT count(cost_ledger.set_price('p', model, rates::jsonb, '2025-01-01', service_class => class))
FROM (VALUES ('thinks', 'standard', '{"output_tokens": 10, "reasoning_tokens": 2}'), ('thinks', 'flex', '{"output_tokens": 5}'), ('writes', 'standard', '{"output_tokens": 10}'),
             ('thinks for free', 'standard', '{"output_tokens": 10, "reasoning_tokens": 0}'), ('thinks at a price', 'standard', '{"output_tokens": 10, "reasoning_tokens": 10}'),
             ('thinks in steps', 'standard', '{"output_tokens": 10, "reasoning_tokens": {"price": 2, "over": 50, "graduated": true}}')) AS c (model, class, rates);
INSERT INTO cost_ledger.call (called_at, provider, model, service_class, output_tokens, reasoning_tokens)
    SELECT '2026-01-06', 'p', m, c, 1000000, 600000 FROM (VALUES ('thinks', 'standard'), ('thinks', 'flex'), ('thinks', 'batch'), ('writes', 'standard'), ('thinks for free', 'standard'), ('thinks at a price', 'standard'), ('thinks in steps', 'standard')) AS v (m, c)
    RETURNING model, service_class, cost, output_cost, reasoning_cost;
SELECT cost_ledger.import_prices('{"r1": {"litellm_provider": "p", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-05, "output_cost_per_reasoning_token": 2e-06}}', 'litellm', '2025-01-01') IS NOT NULL AS imported \g /dev/null
INSERT INTO cost_ledger.call (called_at, provider, model, output_tokens, reasoning_tokens) VALUES ('2026-01-06', 'p', 'r1', 1000000, 600000)
    RETURNING model, cost, output_cost, reasoning_cost;

-- Reports have them, before a refresh and after, and rollups are what calls add up to.
CREATE VIEW pg_temp.reported AS
    SELECT v.view, v.saving - c.saving AS saving_difference, v.reasoning - c.reasoning AS reasoning_difference
    FROM (SELECT sum(prompt_cache_saving) AS saving, sum(reasoning_cost) AS reasoning FROM cost_ledger.call_detail) c
    CROSS JOIN (SELECT 'cost_by_hour' AS view, sum(prompt_cache_saving) AS saving, sum(reasoning_cost) AS reasoning FROM cost_ledger.cost_by_hour
                UNION ALL SELECT 'cost_by_day', sum(prompt_cache_saving), sum(reasoning_cost) FROM cost_ledger.cost_by_day
                UNION ALL SELECT 'cost_by_month', sum(prompt_cache_saving), sum(reasoning_cost) FROM cost_ledger.cost_by_month
                UNION ALL SELECT 'cost_by_model', sum(prompt_cache_saving), sum(reasoning_cost) FROM cost_ledger.cost_by_model
                UNION ALL SELECT 'cost_by_customer', sum(prompt_cache_saving), sum(reasoning_cost) FROM cost_ledger.cost_by_customer
                UNION ALL SELECT 'cost_by_label ' || label, sum(prompt_cache_saving), sum(reasoning_cost) FROM cost_ledger.cost_by_label GROUP BY label
                UNION ALL SELECT 'cache_hit_by_feature', sum(prompt_cache_saving), NULL FROM cost_ledger.cache_hit_by_feature) v;
UPDATE cost_ledger.ledger SET retain_hours = '100 years';
SELECT count(*) AS views, sum(abs(saving_difference)) AS saving, sum(abs(reasoning_difference)) AS reasoning FROM pg_temp.reported;
CALL cost_ledger.refresh();
SELECT count(*) AS views, sum(abs(saving_difference)) AS saving, sum(abs(reasoning_difference)) AS reasoning FROM pg_temp.reported;
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT feature, cache_hit_ratio, prompt_cache_saving, currency FROM cost_ledger.cache_hit_by_feature WHERE feature ~ '^(800|written|no cache)' ORDER BY feature;
-- Parts are the cost.
SELECT sum(cost - input_cost - cache_read_cost - cache_write_cost - output_cost - reasoning_cost - other_cost - adjustment_cost) AS difference FROM cost_ledger.cost_by_month;
SELECT sum(cost) - (SELECT sum(input_cost + cache_read_cost + cache_write_cost) FROM cost_ledger.cost_by_month) AS input_difference FROM cost_ledger.cost_by_input_part;

-- What is booked later: each call saves what its usage and the prices now make of it.
CREATE VIEW pg_temp.saved AS
    SELECT c.model, coalesce(c.corrects, c.call_id) AS call_id, sum(c.cost) AS cost, sum(c.prompt_cache_saving) AS prompt_cache_saving, count(*) AS rows
    FROM cost_ledger.call_detail c GROUP BY 1, 2;
SELECT cost_ledger.correct_call('800 × (3 - 0.3)', '{"input_tokens": 1000, "cache_read_tokens": 500}', 'fewer') IS NOT NULL AS "500 × 2.7",
       cost_ledger.correct_call('800 × (3 - 0.3)', '{"input_tokens": 1000, "cache_read_tokens": 500}', 'again') IS NULL AS same,
       cost_ledger.correct_call('no cache', '{"input_tokens": 1001}', 'more') IS NOT NULL AS "none still",
       cost_ledger.correct_call('none read', '{"input_tokens": 1000, "cache_read_tokens": 100}', 'some') IS NOT NULL AS "100 × 2.7",
       cost_ledger.correct_call('read and written, 800 × 2.7 - 100 × 0.75', '{"input_tokens": 1000}', 'none') IS NOT NULL AS nothing;
SELECT s.* FROM pg_temp.saved s JOIN cost_ledger.call c USING (call_id) WHERE s.rows > 1 ORDER BY c.call_id;
SELECT c.feature, e.entry, e.meter, e.amount, e.prompt_cache_saving, e.rule FROM cost_ledger.call c CROSS JOIN LATERAL cost_ledger.explain_call(c.call_id) e WHERE c.event_key IN ('800 × (3 - 0.3)', 'batch, half of it') ORDER BY c.call_id, e.entry_id, e.meter;
-- A price that came late brings what it saved, one of input alone no cost: all that was read.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, event_key) VALUES ('2026-01-07', 'p', 'unheard', 800, 800, 'u'), ('2026-01-07', 'p', 'audio', 800, 800, 'all read') RETURNING cost, prompt_cache_saving;
SELECT cost_ledger.set_price('p', 'unheard', '{"input_tokens": 3, "cache_read_tokens": 0.3}', '2025-01-01') > 0 AS late,
       cost_ledger.set_price('p', 'audio', '{"input_tokens": 4, "cache_read_tokens": 0.3, "input_audio_tokens": 10, "cache_read_audio_tokens": 1}', '2026-01-07', replace => true) > 0 AS dearer;
SELECT model, old_cost, new_cost, change FROM cost_ledger.rerate('2026-01-01', '2026-02-01', dry_run => false, reason => 'late') ORDER BY called_at, model;
SELECT count(*) AS again FROM cost_ledger.rerate('2026-01-01', '2026-02-01');
SELECT s.* FROM pg_temp.saved s JOIN cost_ledger.call c USING (call_id) WHERE c.event_key IN ('u', 'all read', 'nobody knows') ORDER BY c.call_id;
SELECT e.entry, e.meter, e.amount, e.prompt_cache_saving FROM cost_ledger.explain_call('all read') e;
-- Moved as it is; to a customer with prices of its own as if it had come so; taken back.
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 30}', '2025-01-01', customer => 'dear') > 0 AS own;
SELECT old_cost, new_cost FROM cost_ledger.reattribute('{"feature": "800 × (3 - 0.3)"}'::jsonb, '{"team": "t"}', 'moved', dry_run => false);
SELECT c.team, c.reverses IS NOT NULL AS reverses, c.restates IS NOT NULL AS restates, c.cost, c.prompt_cache_saving FROM cost_ledger.call c WHERE c.feature = '800 × (3 - 0.3)' ORDER BY c.call_id;
SELECT old_cost, new_cost FROM cost_ledger.reattribute('{"feature": "batch, half of it"}'::jsonb, '{"customer": "dear"}', 'theirs', dry_run => false);
SELECT prompt_cache_saving AS "400 × (30 - 0.3)" FROM cost_ledger.call_detail WHERE feature = 'batch, half of it';
SELECT cost_ledger.void_call('priority, 800 × (5 - 0.3)', 'never made') IS NOT NULL AS taken_back;
SELECT sum(e.amount) AS amount, sum(e.prompt_cache_saving) AS saving FROM cost_ledger.explain_call('priority, 800 × (5 - 0.3)') e;
-- Where the list says something else now, by parts, reasoning among them.
SELECT cost_ledger.set_price('p', 'thinks', '{"output_tokens": 20, "reasoning_tokens": 3}', '2025-01-01', replace => true) > 0 AS dearer;
SELECT e.meter, e.quantity, e.amount, e.rule ~ '^as recorded' AS as_recorded FROM cost_ledger.call c CROSS JOIN LATERAL cost_ledger.explain_call(c.call_id) e WHERE c.model = 'thinks' AND c.service_class = 'standard' ORDER BY 1;
SELECT sum(abs(saving_difference)) AS saving, sum(abs(reasoning_difference)) AS reasoning FROM pg_temp.reported;
CALL cost_ledger.refresh();
SELECT sum(abs(saving_difference)) AS saving, sum(abs(reasoning_difference)) AS reasoning FROM pg_temp.reported;
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
-- Every call that stands saves what its usage does at the prices that it has now.
SELECT count(*) AS calls, count(*) FILTER (WHERE coalesce(p.prompt_cache_saving, 0) <> coalesce(b.prompt_cache_saving, 0)) AS otherwise
FROM cost_ledger_internal.booked_calls('2026-01-01', '2026-02-01') b
CROSS JOIN LATERAL cost_ledger_internal.pricing_at(b.called_at, b.provider, b.model, b.usage, b.service_class, b.region, b.customer) p
WHERE b.served_from = 'model';
DROP VIEW pg_temp.saved, pg_temp.reported;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
