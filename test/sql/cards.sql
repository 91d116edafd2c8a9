--
-- Which card a meter is priced by: a part's own rate before its total's, a more
-- specific card before a less specific one, and what has no rate at all.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();

CREATE FUNCTION pg_temp.why(model text, usage jsonb, service_class text DEFAULT 'standard', region text DEFAULT NULL, customer text DEFAULT NULL, at timestamptz DEFAULT '2026-11-20 12:00')
RETURNS TABLE (meter text, quantity numeric, unit_price numeric, multiplier numeric, amount numeric, rule text)
LANGUAGE sql AS $$ SELECT e.meter, e.quantity, e.unit_price, e.multiplier, e.amount, e.rule
                   FROM cost_ledger.explain_cost(why.at, 'p', why.model, why.usage, why.service_class, why.region, why.customer) e $$;
-- what every way of asking says of the same call
CREATE FUNCTION pg_temp.agree(at timestamptz, model text, usage jsonb, service_class text DEFAULT 'standard', region text DEFAULT NULL, customer text DEFAULT NULL)
RETURNS TABLE (cost numeric, pricing text, cost_at_agrees boolean, explain_agrees boolean, rerate_agrees boolean)
LANGUAGE plpgsql AS $$
DECLARE
    c record;
BEGIN
    INSERT INTO cost_ledger.call (called_at, provider, model, service_class, region, customer, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, other_usage)
    SELECT agree.at, 'p', agree.model, agree.service_class, agree.region, agree.customer, (usage ->> 'input_tokens')::bigint, (usage ->> 'cache_read_tokens')::bigint,
           (usage ->> 'cache_write_tokens')::bigint, (usage ->> 'output_tokens')::bigint, nullif(usage - '{input_tokens,cache_read_tokens,cache_write_tokens,output_tokens}'::text[], '{}')
    RETURNING * INTO c;
    RETURN QUERY SELECT c.cost, c.pricing,
        cost_ledger.cost_at(agree.at, 'p', agree.model, usage, agree.service_class, agree.region, customer => agree.customer) IS NOT DISTINCT FROM c.cost,
        (SELECT sum(e.amount) FROM cost_ledger.explain_cost(agree.at, 'p', agree.model, usage, agree.service_class, agree.region, agree.customer) e) IS NOT DISTINCT FROM c.cost,
        NOT EXISTS (SELECT FROM cost_ledger.rerate(agree.at, agree.at + interval '1 microsecond') r WHERE r.call_id = c.call_id);
END
$$;

--
-- A discount on input and output leaves cache reads at the list's rate:
-- 100,000 × 2.40 + 900,000 × 0.30 per million.
--
SELECT cost_ledger.set_price('p', 'c', '{"input_tokens": 3.00, "cache_read_tokens": 0.30, "cache_write_tokens": 3.75, "output_tokens": 15.00}', '2026-01-01') AS list;
SELECT cost_ledger.set_price('p', 'c', '{"input_tokens": 2.40, "output_tokens": 12.00}', '2026-01-01', customer => 'acme') AS acme,
       cost_ledger.set_price('p', 'c', '{"input_tokens": 3.30, "output_tokens": 16.50}', '2026-01-01', region => 'eu') AS eu;
SELECT customer, region, a.*
FROM (VALUES (1, NULL, NULL), (2, 'acme', NULL), (3, NULL, 'eu'), (4, 'acme', 'eu')) AS v (n, customer, region),
     LATERAL pg_temp.agree('2026-11-20', 'c', '{"input_tokens": 1000000, "cache_read_tokens": 900000}', region => v.region, customer => v.customer) a
ORDER BY n;
SELECT * FROM pg_temp.why('c', '{"input_tokens": 1000000, "cache_read_tokens": 900000}', customer => 'acme');
SELECT * FROM pg_temp.why('c', '{"input_tokens": 1000000, "cache_read_tokens": 900000}', region => 'eu', customer => 'acme');
-- audio in the cache: its own rate, that of its cache state, that of its modality, whichever card has them, before that of input
SELECT cost_ledger.set_price('p', 'omni', '{"input_tokens": 1, "input_audio_tokens": 10, "output_tokens": 4}', '2026-01-01') AS list;
SELECT cost_ledger.set_price('p', 'omni', '{"input_tokens": 0.9}', '2026-01-01', customer => 'acme') AS acme;
SELECT * FROM pg_temp.why('omni', '{"input_tokens": 1000, "cache_read_tokens": 300, "input_audio_tokens": 400, "cache_read_audio_tokens": 200}', customer => 'acme');
SELECT cost_ledger.set_price('p', 'omni', '{"input_tokens": 1, "input_audio_tokens": 10, "output_tokens": 4, "cache_read_tokens": 0.1}', '2026-02-01') AS list;
SELECT * FROM pg_temp.why('omni', '{"input_tokens": 1000, "cache_read_tokens": 300, "input_audio_tokens": 400, "cache_read_audio_tokens": 200}', customer => 'acme');

--
-- A class that is listed by input and output only: its cache reads cost what
-- they cost in class standard, or the class's share of it, never its input.
--
SELECT count(*) > 0 AS imported FROM cost_ledger.import_prices('{"gemini/g3": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 2e-06, "cache_read_input_token_cost": 2e-07,
    "output_cost_per_token": 1.2e-05, "input_cost_per_token_batches": 1e-06, "output_cost_per_token_batches": 6e-06}}', 'litellm', valid_from => '2026-01-01');
INSERT INTO cost_ledger.call (called_at, provider, model, service_class, input_tokens, cache_read_tokens)
VALUES ('2026-11-20', 'gemini', 'g3', 'standard', 100000, 90000), ('2026-11-20', 'gemini', 'g3', 'batch', 100000, 90000) RETURNING service_class, cost, pricing, usage_status;
SELECT meter, quantity, unit_price, multiplier, amount, rule FROM cost_ledger.explain_cost('2026-11-20', 'gemini', 'g3', '{"input_tokens": 100000, "cache_read_tokens": 90000}', 'batch');
-- a factor of the class is for what stands on no card of the class
SELECT cost_ledger.set_multiplier('gemini', 'half', 0.5, '2026-02-01', service_class => 'batch');
SELECT meter, quantity, unit_price, multiplier, amount, rule FROM cost_ledger.explain_cost('2026-11-20', 'gemini', 'g3', '{"input_tokens": 100000, "cache_read_tokens": 90000}', 'batch');

-- the same of a region's and a customer's: each applies to a rate that is not its own
SELECT cost_ledger.set_multiplier('p', 'uplift', 1.1, '2026-01-01', model => 'c', region => 'eu'),
       cost_ledger.set_multiplier('p', 'rebate', 0.9, '2026-01-01', model => 'c', customer => 'acme'),
       cost_ledger.set_multiplier('p', 'surcharge', 1.05, '2026-01-01', model => 'c');
SELECT * FROM pg_temp.why('c', '{"input_tokens": 1000000, "cache_read_tokens": 900000}', region => 'eu', customer => 'acme');
SELECT * FROM pg_temp.why('c', '{"input_tokens": 1000000, "cache_read_tokens": 900000}', region => 'eu');

--
-- A rate whose condition does not hold is none: another card's, then the
-- total's, is used.
--
SELECT cost_ledger.set_price('p', 'window', '{"input_tokens": 3, "cache_read_tokens": [{"price": 0.3, "from": "16:30", "to": "00:30", "zone": "UTC"}], "output_tokens": 15}', '2026-01-01') AS list;
SELECT at, a.* FROM (VALUES (timestamptz '2026-11-01 12:00+00'), ('2026-11-01 20:00+00')) AS v (at),
     LATERAL pg_temp.agree(at, 'window', '{"input_tokens": 1000000, "cache_read_tokens": 1000000}') a;
SELECT * FROM pg_temp.why('window', '{"input_tokens": 1000000, "cache_read_tokens": 1000000}');
-- cache writes have a rate above 200,000 tokens only
SELECT cost_ledger.set_price('p', 'tier', '{"input_tokens": [1.25, {"price": 2.5, "over": 200000}], "cache_write_tokens": [{"price": 2.5, "over": 200000}], "output_tokens": 10}', '2026-01-01') AS list;
SELECT n, a.* FROM (VALUES (100000), (200000), (200001)) AS v (n), LATERAL pg_temp.agree('2026-11-20', 'tier', jsonb_build_object('input_tokens', n, 'cache_write_tokens', 90000)) a;
-- nights are cheaper for acme, who pays the list by day; a meter with no rate by day on any card has none
SELECT cost_ledger.set_price('p', 'tier', '{"input_tokens": [{"price": 1, "from": "20:00", "to": "06:00"}], "pages": [{"price": 2, "per": 1, "from": "20:00", "to": "06:00"}]}', '2026-01-01', customer => 'acme') AS acme;
SELECT * FROM pg_temp.why('tier', '{"input_tokens": 1000000, "pages": 1.5}', customer => 'acme');
SELECT * FROM pg_temp.why('tier', '{"input_tokens": 1000000, "pages": 1.5}', customer => 'acme', at => '2026-11-20 23:00');
-- of graduated steps without a first one, the other card has what lies before them
SELECT cost_ledger.set_price('p', 'steps', '{"input_tokens": 10}', '2026-01-01') AS list,
       cost_ledger.set_price('p', 'steps', '{"input_tokens": [{"price": 5, "over": 1000000, "graduated": true}]}', '2026-01-01', customer => 'acme') AS acme;
SELECT * FROM pg_temp.why('steps', '{"input_tokens": 1500000}', customer => 'acme');

--
-- Without an exchange rate a rate prices nothing; nothing stands in for it, and
-- it stands in the way of no meter that its card has not.
--
SELECT cost_ledger.set_price('p', 'fee', '{"requests": {"price": 100, "per": 1}, "input_tokens": 9}', '2026-01-01', currency => 'EUR') AS list,
       cost_ledger.set_price('p', 'fee', '{"input_tokens": 3}', '2026-01-01', customer => 'acme') AS acme;
SELECT * FROM pg_temp.agree('2026-11-20', 'fee', '{"input_tokens": 1000000}', customer => 'acme');
SELECT cost_ledger.cost_at('2026-11-20', 'p', 'fee', '{"input_tokens": 1000000}', strict => true, customer => 'acme');
SELECT meter, quantity, unit_price, multiplier, amount, currency, price_id IS NOT NULL AS has_price, rule FROM cost_ledger.explain_cost('2026-11-20', 'p', 'fee', '{"input_tokens": 1000000}', customer => 'acme');
-- of the customer's price in euros nothing is known, of the list's fee in dollars all
SELECT cost_ledger.set_price('p', 'abroad', '{"input_tokens": 3, "cache_read_tokens": 0.3, "output_tokens": 15, "web_search_requests": {"price": 10, "per": 1000}}', '2026-01-01') AS list,
       cost_ledger.set_price('p', 'abroad', '{"input_tokens": 2, "output_tokens": 10}', '2026-01-01', currency => 'EUR', customer => 'acme') AS acme;
SELECT * FROM pg_temp.why('abroad', '{"input_tokens": 1000, "cache_read_tokens": 100, "output_tokens": 10, "web_search_requests": 2}', customer => 'acme');
SELECT * FROM pg_temp.agree('2026-11-20', 'abroad', '{"input_tokens": 1000, "cache_read_tokens": 100, "output_tokens": 10, "web_search_requests": 2}', customer => 'acme');
SELECT * FROM pg_temp.agree('2026-11-20', 'abroad', '{"input_tokens": 1000, "output_tokens": 10}', customer => 'acme');
SELECT cost_ledger.cost_at('2026-11-20', 'p', 'abroad', '{"input_tokens": 1000, "output_tokens": 10}', strict => true, customer => 'acme');
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2026-01-01', 1.1);
SELECT * FROM pg_temp.agree('2026-11-20', 'fee', '{"input_tokens": 1000000}', customer => 'acme');
SELECT * FROM pg_temp.why('abroad', '{"input_tokens": 1000, "output_tokens": 10}', customer => 'acme');
-- what was partial is made whole
SELECT old_cost, new_cost, change, old_pricing, new_pricing FROM cost_ledger.rerate('2026-11-20', '2026-11-21', '{"model": "fee"}', dry_run => false, reason => 'the euro has a rate');

--
-- A price per request is in every call once, whatever else is known of it.
--
SELECT cost_ledger.set_price('p', 'per-call', '{"requests": {"price": 10, "per": 1000}}', '2026-01-01') AS fee_only,
       cost_ledger.set_price('p', 'per-call-and-token', '{"requests": {"price": 10, "per": 1000}, "input_tokens": 3, "output_tokens": 15}', '2026-01-01') AS with_tokens,
       cost_ledger.set_price('p', 'per-call-free-tokens', '{"requests": {"price": 10, "per": 1000}, "input_tokens": 0}', '2026-01-01') AS with_free_tokens,
       cost_ledger.set_price('p', 'per-call-by-night', '{"requests": {"price": 10, "per": 1000, "from": "20:00", "to": "06:00"}, "input_tokens": 1}', '2026-01-01') AS by_night;
SELECT model, usage, a.*
FROM (VALUES (1, 'per-call', '{}'::jsonb), (2, 'per-call', '{"requests": 3}'), (3, 'per-call', '{"requests": 0}'), (4, 'per-call-and-token', '{}'), (5, 'per-call-and-token', '{"input_tokens": 1000}'),
             (6, 'per-call-and-token', '{"input_tokens": 0, "output_tokens": 0}'), (7, 'per-call-free-tokens', '{}'), (8, 'per-call', '{"input_tokens": 5}'), (9, 'c', '{}'), (10, 'nothing', '{}')) AS v (n, model, usage),
     LATERAL pg_temp.agree('2026-11-19', model, usage) a
ORDER BY n;
SELECT at, a.* FROM (VALUES (timestamptz '2026-11-19 12:00'), ('2026-11-19 21:00')) AS v (at), LATERAL pg_temp.agree(at, 'per-call-by-night', '{"input_tokens": 1000}') a;
SELECT * FROM pg_temp.why('per-call', '{}');
SELECT cost_ledger.cost_at('2026-11-19', 'p', 'per-call', '{}', strict => true) AS fee_only;
SELECT cost_ledger.cost_at('2026-11-19', 'p', 'per-call-and-token', '{}', strict => true) AS with_tokens;
-- nothing was sent; what was sent is of no known shape; the call failed before it was worked on, or while it was; it was no request
INSERT INTO cost_ledger.call (called_at, provider, model, status, served_from, raw_usage, input_tokens) VALUES
    ('2026-11-18', 'p', 'per-call', NULL, NULL, NULL, NULL),
    ('2026-11-18', 'p', 'per-call', '200', NULL, '{"shape": "unknown"}', NULL),
    ('2026-11-18', 'p', 'per-call', 'OK', NULL, NULL, NULL),
    ('2026-11-18', 'p', 'per-call', 'error', NULL, NULL, NULL),
    ('2026-11-18', 'p', 'per-call', '429', NULL, '{"shape": "unknown"}', NULL),
    ('2026-11-18', 'p', 'per-call-and-token', 'timeout', NULL, NULL, NULL),
    ('2026-11-18', 'p', 'per-call-and-token', 'timeout', NULL, NULL, 1000),
    ('2026-11-18', 'p', 'per-call', NULL, 'response_cache', NULL, NULL)
RETURNING model, status, served_from, usage_status, input_tokens, cost, other_cost, avoided_cost, pricing, price_id IS NOT NULL AS has_price;
-- a writer, who may call nothing of the ledger, is asked no more of
CREATE ROLE regress_cards_writer;
SELECT cost_ledger.grant_writer('regress_cards_writer');
SET ROLE regress_cards_writer;
INSERT INTO cost_ledger.call (called_at, provider, model, status) VALUES ('2026-11-16', 'p', 'per-call', 'error'), ('2026-11-16', 'p', 'per-call', 'ok');
RESET ROLE;
SELECT status, cost, pricing FROM cost_ledger.call WHERE called_at = '2026-11-16' ORDER BY call_id;
SELECT cost_ledger.revoke_writer('regress_cards_writer');
DROP ROLE regress_cards_writer;
-- the reports that price again agree: rerate() finds nothing, billed_meters() adds up to what is booked, what_if() knows the fee
SELECT count(*) AS differ FROM cost_ledger.rerate('2026-11-18', '2026-11-19');
SELECT * FROM cost_ledger.billed_meters('2026-11-18', '2026-11-19') ORDER BY model, meter;
SELECT calls, real_cost, what_if_cost, unpriced_calls FROM cost_ledger.what_if('2026-11-18', '2026-11-19', priced_at => '2026-11-18');
SELECT pricing, usage_status, reason, cost FROM cost_ledger.unpriced_call WHERE called_at = '2026-11-18' ORDER BY call_id;
-- a correction is the difference to one fee, and a failed call that was billed gets its own
SELECT cost_ledger.correct_call('2026-11-18', call_id, '{"input_tokens": 2000, "output_tokens": 100}', 'the log has the counts') > 0 AS corrected FROM cost_ledger.call WHERE called_at = '2026-11-18' AND input_tokens = 1000;
SELECT cost_ledger.correct_call('2026-11-18', call_id, '{"requests": 1}', 'it is on the invoice') > 0 AS corrected FROM cost_ledger.call WHERE called_at = '2026-11-18' AND status = 'error';
SELECT corrects IS NOT NULL AS is_correction, model, status, input_tokens, other_usage, cost FROM cost_ledger.call WHERE called_at = '2026-11-18' AND (corrects IS NOT NULL OR status IN ('error', 'timeout')) ORDER BY coalesce(corrects, call_id), call_id;
SELECT count(*) AS differ FROM cost_ledger.rerate('2026-11-18', '2026-11-19');

-- to a budget, a success of unknown usage is what was held for it, until its usage is known: 3, then 0.01 + 0.006
SELECT cost_ledger.set_budget('fees', '{"team": "fees"}', 'total', 100) > 0 AS is_set;
SELECT decision, hold_id FROM cost_ledger.reserve('fee-1', '{"team": "fees"}', estimate => 3) \gset
INSERT INTO cost_ledger.call (called_at, provider, model, team, hold_id, event_key) VALUES ('2026-11-18', 'p', 'per-call-and-token', 'fees', :'hold_id', 'fee-1') RETURNING cost, pricing;
SELECT spent, held FROM cost_ledger.budget_status WHERE name = 'fees';
SELECT cost_ledger.correct_call('fee-1', '{"input_tokens": 2000}', 'the log has the counts') > 0 AS corrected;
CALL cost_ledger.refresh();
SELECT spent, held FROM cost_ledger.budget_status WHERE name = 'fees';
SELECT count(*) AS wrong_balances FROM cost_ledger.check_balances();

--
-- A context tier goes by the sum of the passes behind an answer, the provider's
-- by each: where that makes a difference, the row says so.
--
CREATE FUNCTION pg_temp.passes(compaction bigint, message bigint) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('input_tokens', message, 'cache_read_input_tokens', 0, 'output_tokens', 0, 'iterations',
        jsonb_build_array(jsonb_build_object('type', 'compaction', 'input_tokens', compaction, 'output_tokens', 0), jsonb_build_object('type', 'message', 'input_tokens', message, 'output_tokens', 0))) $$;
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage)
VALUES ('2026-11-17', 'p', 'tier', pg_temp.passes(150000, 50000)), ('2026-11-17', 'p', 'tier', pg_temp.passes(150000, 50001)), ('2026-11-17', 'p', 'tier', pg_temp.passes(300000, 250000)),
       ('2026-11-17', 'p', 'c', pg_temp.passes(150000, 100000))
RETURNING model, input_tokens, cost, usage_status;

--
-- What is probably a slip is said, with what to do.
--
SELECT cost_ledger.set_price('p', 'per-token', '{"input_tokens": 0.0000025, "output_tokens": 0.00001}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.set_price('p', 'per-token', '{"input_tokens": {"price": 0.0000025, "per": 1}, "output_tokens": {"price": 0.00001, "per": 1}}', '2026-01-01', replace => true) > 0 AS set;
SELECT cost_ledger.set_price('p', 'cheap', '{"input_tokens": 0.001, "output_tokens": 0}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.set_price('p', 'typo', '{"input_tokens": 2.5, "ouput_tokens": 10}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.set_price('p', 'own-meters', '{"input_tokens": 2.5, "widgets": {"price": 1, "per": 1}, "output_images_1024_x_1024": {"price": 0.04, "per": 1}, "web_search_requests_low": {"price": 5, "per": 1000}}', '2026-01-01') > 0 AS set;
-- seen before; the same again
SELECT cost_ledger.set_price('p', 'own-meters-too', '{"widgets": {"price": 2, "per": 1}}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.set_price('p', 'typo', '{"input_tokens": 2.5, "ouput_tokens": 10}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.set_price('p', 'half', '{"input_tokens": [2.5, {"price": 5, "over": 200000}], "cache_read_tokens": [0.25, {"price": 0.1, "days": [6, 7]}], "output_tokens": 10, "web_search_requests": {"price": 10, "per": 1000}}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.set_price('p', 'half', '{"output_tokens": 12}', '2026-06-01') > 0 AS set;
SELECT cost_ledger.set_price('p', 'half', '{"input_tokens": 2.5, "cache_read_tokens": 0.25, "output_tokens": 12, "web_search_requests": {"price": 10, "per": 1000}}', '2026-03-01') > 0 AS set;
-- another threshold is a change; a card of another class is another card
SELECT cost_ledger.set_price('p', 'tier', '{"input_tokens": [1.25, {"price": 2.5, "over": 272000}], "cache_write_tokens": [{"price": 2.5, "over": 272000}], "output_tokens": 10}', '2026-12-01') > 0 AS set;
SELECT cost_ledger.set_price('p', 'half', '{"output_tokens": 6}', '2026-06-01', service_class => 'batch') > 0 AS set;
-- a price of a customer, a class or a region for a name that is priced by another otherwise: what it lacks, nobody has
SELECT cost_ledger.set_price('q', 'g', '{"input_tokens": 3, "cache_read_tokens": 0.3, "output_tokens": 15}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.set_price('q', 'g-2026-01-01', '{"input_tokens": 2.4, "output_tokens": 12}', '2026-01-01', customer => 'acme') > 0 AS set;
SELECT cost_ledger.set_price('Q', 'g', '{"input_tokens": 2.4}', '2026-01-01', customer => 'acme') > 0 AS set;
SELECT cost_ledger.set_price('q', 'q/g', '{"input_tokens": 1.5}', '2026-01-01', service_class => 'batch') > 0 AS set;
SELECT cost_ledger.set_price('q', 'G', '{"input_tokens": 3.3}', '2026-01-01', region => 'eu') > 0 AS set;
-- not for that name itself, nor where the common price stands beside, nor of a name that is no other's
SELECT cost_ledger.set_price('q', 'g', '{"input_tokens": 2.4}', '2026-01-01', customer => 'acme') > 0 AS set;
SELECT cost_ledger.set_price('q', 'g-2026-02-02', '{"input_tokens": 3, "cache_read_tokens": 0.3}', '2026-01-01') > 0 AS common,
       cost_ledger.set_price('q', 'g-2026-02-02', '{"input_tokens": 2.4}', '2026-01-01', customer => 'acme') > 0 AS set;
SELECT cost_ledger.set_price('q', 'only acme has it', '{"input_tokens": 2.4}', '2026-01-01', customer => 'acme') > 0 AS set;
-- a list says each once, and nothing of versions that it brings itself
INSERT INTO cost_ledger.price_list (provider, model, meter, unit_price, valid_from)
SELECT 'p', 'm' || i, m.meter, 0.0000025, '2026-01-01' FROM generate_series(1, 100) i, (VALUES ('input_tokens'), ('out_tokens')) AS m (meter);
INSERT INTO cost_ledger.price_list (provider, model, meter, unit_price, valid_from)
VALUES ('p', 'history', 'input_tokens', 3, '2025-01-01'), ('p', 'history', 'output_tokens', 15, '2025-01-01'), ('p', 'history', 'input_tokens', 2, '2026-01-01'), ('p', 'half', 'input_tokens', 3, '2026-09-01');
-- an import says in its rows what came and went
SELECT model, meter, outcome FROM cost_ledger.import_prices('{"gemini/g3": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 2e-16}}', 'litellm', valid_from => '2026-03-01', hold_factor => NULL) WHERE service_class = 'standard' ORDER BY meter;

--
-- Time zones are names of pg_timezone_names, and found without reading it.
--
SELECT count(*) > 100 AS names, count(*) FILTER (WHERE NOT cost_ledger_internal.is_time_zone(name)) AS refused FROM pg_timezone_names;
SELECT name FROM unnest('{UTC,Europe/Berlin,EST5EDT,Etc/GMT+5,europe/berlin,EUROPE/BERLIN,Europe,Europe/,/Europe/Berlin,Europe//Berlin,./UTC,../zoneinfo/UTC,XYZ3,CET-1CEST,<+07>-7,UTC+3,GMT+5,Mars,tzdata.zi,"", UTC}'::text[]) AS n (name)
WHERE cost_ledger_internal.is_time_zone(n.name) IS DISTINCT FROM EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = n.name);
SELECT cost_ledger.set_price('p', 'zoned', '{"input_tokens": [3, {"price": 1, "from": "16:30", "to": "00:30", "zone": "CET-1CEST"}]}', '2026-01-01');
SELECT cost_ledger.set_price('p', 'zoned', '{"input_tokens": [3, {"price": 1, "from": "16:30", "to": "00:30", "zone": "asia/shanghai"}]}', '2026-01-01');
SELECT cost_ledger.set_budget('zoned', '{}', 'month', 1, time_zone => 'EST5EDT4');
SELECT oid::regprocedure AS reads_the_view FROM pg_proc WHERE pronamespace::regnamespace::text LIKE 'cost\_ledger%' AND prosrc ~* '(from|join)\s+(pg_catalog\.)?pg_timezone_names' ORDER BY 1;

SELECT cost_ledger.drop_ledger(i_mean_it => true);
