--
-- Re-rating books what the price list as it is now makes different, once; and
-- what-if prices the same calls in another way.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions('2026-03-01', '2026-04-30');
ALTER TABLE cost_ledger.call ADD project text;

SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 10, "cache_read_tokens": 1, "output_tokens": 40, "pages": {"price": 1, "per": 1}}', '2026-01-01') AS m;
SELECT cost_ledger.set_price('p', 'part', '{"input_tokens": 2}', '2026-01-01') AS part;
INSERT INTO cost_ledger.call (called_at, provider, model, team, feature, customer, operation, input_tokens, cache_read_tokens, output_tokens, other_usage, served_from, event_key, project, tags, duration_ms, tool_calls) VALUES
    ('2026-03-01 10:00', 'p', 'm',    'a', 'x', NULL,   'primary', 1000000, NULL,   500000,  NULL,           'model',          'plain',   'apollo', '{"tier": "gold"}', 900, '{"grep": 2}'),
    ('2026-03-02 10:00', 'p', 'm',    'a', 'y', 'acme', 'eval',    1000000, 400000, NULL,    '{"pages": 2}', 'model',          'fix',     NULL,     NULL,               NULL, NULL),
    ('2026-03-02 10:00', 'p', 'm',    'b', 'x', NULL,   'primary', 1000000, NULL,   NULL,    NULL,           'response_cache', 'cached',  NULL,     NULL,               NULL, NULL),
    ('2026-03-03 10:00', 'p', 'late', 'b', 'x', NULL,   'primary', 2000000, NULL,   NULL,    NULL,           'model',          'late',    NULL,     NULL,               NULL, NULL),
    ('2026-03-04 10:00', 'p', 'part', NULL, NULL, NULL, 'eval',    1000000, NULL,   1000000, NULL,           'model',          'part',    NULL,     NULL,               NULL, NULL),
    ('2026-03-05 10:00', 'p', 'm',    'b', 'y', NULL,   'primary', NULL,    NULL,   NULL,    NULL,           'model',          'missing', NULL,     NULL,               NULL, NULL),
    ('2026-04-01 10:00', 'p', 'm',    'b', 'y', NULL,   'primary', 3000000, NULL,   NULL,    NULL,           'model',          'april',   NULL,     NULL,               NULL, NULL);
INSERT INTO cost_ledger.call (called_at, provider, model, team, raw_usage)
VALUES ('2026-03-06 10:00', 'p', 'm', 'a', '{"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 600}}');
-- 10 + 20; 0.6 × 10 + 0.4 × 1 + 2 × 1; 0; unknown; 2 of the input alone; unknown; (400 × 10 + 600 × 1 + 100 × 40) / 1000000; 30
SELECT call_id, model, team, cost, pricing, price_id FROM cost_ledger.call ORDER BY call_id;

-- nothing has changed: nothing to do
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-05-01');

-- usage that is corrected counts as it is now: twice the input, all pages but one gone; 1.6 × 10 + 0.4 × 1 + 1 × 1
SELECT cost_ledger.correct_call('fix', '{"input_tokens": 2000000, "cache_read_tokens": 400000, "pages": 1}', 'counted again') AS correction;
SELECT call_id, usage, cost, pricing, price_id, corrections FROM cost_ledger_internal.booked_calls('2026-03-02', '2026-03-03') ORDER BY call_id;
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-05-01');

--
-- A price is replaced, a missing one comes, a missing rate comes.
--
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 12, "cache_read_tokens": 1, "output_tokens": 40, "pages": {"price": 1, "per": 1}}', '2026-01-01', replace => true) AS m;
SELECT cost_ledger.set_price('p', 'late', '{"input_tokens": 5}', '2026-01-01') AS late;
SELECT cost_ledger.set_price('p', 'part', '{"input_tokens": 2, "output_tokens": 3}', '2026-01-01', replace => true) AS part;
-- +2; +1.6 × 2 (the pages and reads are the same); 2 × 5; +3; 0.0004 × 2; April is not asked for
SELECT call_id, called_at, model, old_cost, new_cost, change, old_price_id, new_price_id, old_pricing, new_pricing, batch_id, adjustment_id
FROM cost_ledger.rerate('2026-03-01', '2026-04-01');
-- a dry run books nothing
SELECT count(*) FROM cost_ledger.call;
-- the end is exclusive, the start is not
SELECT call_id FROM cost_ledger.rerate('2026-03-01 10:00', '2026-03-04 10:00');

-- filters: columns, lists, null, columns of one's own, tags; all must hold
CREATE FUNCTION pg_temp.found(filters jsonb) RETURNS bigint[] LANGUAGE sql
AS $$ SELECT array_agg(call_id ORDER BY call_id) FROM cost_ledger.rerate('2026-03-01', '2026-04-01', filters) $$;
SELECT filters, pg_temp.found(filters) AS calls
FROM (VALUES (1, '{"model": "m"}'::jsonb), (2, '{"team": ["b", null]}'), (3, '{"team": null}'), (4, '{"team": "a", "feature": ["x", "z"]}'), (5, '{"pricing": ["unpriced", "partial"]}'),
             (6, '{"project": "apollo"}'), (7, '{"tags": {"tier": "gold"}}'), (8, '{"call_id": [1, 5]}'), (9, '{"call_id": 1}'), (10, '{"model": []}'), (11, '{"customer": "acme", "tags": null}'),
             (12, '{"team": "it''s \" {a,b} \\ $1"}')) AS v (n, filters)
ORDER BY n;

-- booked: linked to their calls, at their time, with their attribution; costs only
SELECT call_id, model, change, new_pricing, batch_id, adjustment_id
FROM cost_ledger.rerate('2026-03-01', '2026-04-01', dry_run => false, reason => 'list of March was wrong');
SELECT call_id, corrects, called_at, model, team, feature, customer, operation, project, cost, price_id, pricing, tags
FROM cost_ledger.call WHERE tags ? 'rerate_batch' ORDER BY call_id;
SELECT count(*) AS rows,
       count(*) FILTER (WHERE num_nulls(input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens, other_usage, raw_usage,
                                        event_key, reported_cost, duration_ms, tool_calls, tool_calls_count, input_parts, hold_id, accepted, retry_count) = 17) AS only_costs
FROM cost_ledger.call WHERE tags ? 'rerate_batch';
SELECT batch_id, starts_at, ends_at, filters, reason, calls, amount, created_by = current_user AS by_me FROM cost_ledger.rerate_batch;
SELECT batch_id, reason, month, team, is_allocated, model, calls, charges, credits, amount FROM cost_ledger.rerate_batch_summary ORDER BY team, model;
-- reports show what was rated and what was adjusted: 30 + 8.4 + 0.0086 and the corrections 9 + 5.2008 of team a
SELECT month, team, calls, corrections, cost, rated_cost, adjustment_cost FROM cost_ledger.chargeback_by_month WHERE month = '2026-03-01' ORDER BY team;

-- what has got its full price is unpriced no more
SELECT call_id, pricing, reason FROM cost_ledger.unpriced_call ORDER BY call_id;

-- again: nothing
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01');
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01', dry_run => false, reason => 'again');
SELECT count(*) FROM cost_ledger.rerate_batch;
-- one call was missed: 3 × 2, by a filter
SELECT call_id, change, batch_id > 1 AS another_batch FROM cost_ledger.rerate('-infinity', 'infinity', '{"feature": "y"}', false, 'April too');

-- after a re-rating a correction takes what is booked into account: 1.6 × 12 + 0.4 × 1 for 2000000 tokens and no page
SELECT cost_ledger.correct_call('fix', '{"input_tokens": 2000000, "cache_read_tokens": 400000}', 'no page at all') > 0 AS corrected;
SELECT usage, cost, corrections FROM cost_ledger_internal.booked_calls('2026-03-02', '2026-03-03', '{"event_key": "fix"}');
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-05-01');

-- back to the old price: a credit, to the cent; and the sum is what it was before
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 10, "cache_read_tokens": 1, "output_tokens": 40, "pages": {"price": 1, "per": 1}}', '2026-01-01', replace => true) AS m;
SELECT call_id, old_cost, new_cost, change FROM cost_ledger.rerate('2026-03-01', '2026-05-01', '{"model": "m"}', false, 'it was right');
SELECT sum(cost) FROM cost_ledger.call WHERE model = 'm' AND (called_at, model) <> ('2026-03-02 10:00', 'm');

--
-- A price that is gone, or has lost a rate, lowers no cost: the calls are
-- listed, and nothing is booked.
--
SELECT cost_ledger.set_price('p', 'm', '{"pages": {"price": 1, "per": 1}}', '2026-01-01', replace => true) > 0 AS set;
SELECT cost_ledger.set_price('p', 'part', '{"output_tokens": 1}', '2026-01-01', replace => true) > 0 AS set;
SELECT call_id, old_cost, new_cost, change, old_pricing, new_pricing, adjustment_id
FROM cost_ledger.rerate('2026-03-01', '2026-04-01', dry_run => false, reason => 'lost');
SELECT count(*) FROM cost_ledger.rerate_batch WHERE reason = 'lost';
-- priced at 0 on purpose is another thing
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 0, "output_tokens": 0}', '2026-01-01', replace => true) > 0 AS set;
SELECT call_id, old_cost, new_cost, change, old_pricing, new_pricing FROM cost_ledger.rerate('2026-03-01', '2026-03-02', dry_run => false, reason => 'a gift');
-- a missing rate that is 0: the cost is the same, and now it is whole
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens) VALUES ('2026-03-10', 'p', 'late', 1000000, 7) RETURNING cost, pricing;
SELECT cost_ledger.set_price('p', 'late', '{"input_tokens": 5, "output_tokens": 0}', '2026-01-01', replace => true) > 0 AS set;
SELECT old_cost, new_cost, change, old_pricing, new_pricing FROM cost_ledger.rerate('2026-03-10', '2026-03-11', dry_run => false, reason => 'output is free');
SELECT cost, pricing, corrections FROM cost_ledger_internal.booked_calls('2026-03-10', '2026-03-11');
SELECT * FROM cost_ledger.rerate('2026-03-10', '2026-03-11');

--
-- Customer, region and class matter: of several cards the most specific is named.
--
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens, customer, region, service_class) VALUES
    ('2026-03-20 00:00', 'p', 'multi', 1000000, 1000000, NULL, NULL, 'standard'), ('2026-03-20 00:01', 'p', 'multi', 1000000, 1000000, 'acme', NULL, 'standard'),
    ('2026-03-20 00:02', 'p', 'multi', 1000000, 1000000, NULL, 'eu', 'standard'), ('2026-03-20 00:03', 'p', 'multi', 1000000, 1000000, NULL, NULL, 'batch'),
    ('2026-03-20 00:04', 'p', 'multi', 1000000, 1000000, NULL, NULL, 'flex');
SELECT cost_ledger.set_price('p', 'multi', '{"input_tokens": 1, "output_tokens": 2}', '2026-01-01') AS standard,
       cost_ledger.set_price('p', 'multi', '{"output_tokens": 1.5}', '2026-01-01', customer => 'acme') AS acme,
       cost_ledger.set_price('p', 'multi', '{"input_tokens": 1.25}', '2026-01-01', region => 'eu') AS eu,
       cost_ledger.set_price('p', 'multi', '{"output_tokens": 1}', '2026-01-01', service_class => 'batch') AS batch;
-- 1 + 2; 1 + 1.5; 1.25 + 2; 1 + 1; a class nobody has priced is no difference
SELECT new_cost, new_price_id, new_pricing FROM cost_ledger.rerate('2026-03-20', '2026-03-21', dry_run => false, reason => 'new model');

-- a correction is priced for the call's customer as well: 2 + 1.5
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens, customer, event_key) VALUES ('2026-03-20 00:05', 'p', 'multi', 1000000, 1000000, 'acme', 'for acme');
SELECT cost_ledger.correct_call('for acme', '{"input_tokens": 2000000, "output_tokens": 1000000}', 'recount') > 0 AS corrected;
SELECT cost FROM cost_ledger_internal.booked_calls('2026-03-20', '2026-03-21', '{"event_key": "for acme"}');

--
-- The identity, on calls of all kinds: after re-rating, the ledger is what
-- today's list says, and every adjustment is the difference.
--
SELECT cost_ledger.set_price('p', 'r' || n, jsonb_build_object('input_tokens', n, 'output_tokens', jsonb_build_array(4 * n, jsonb_build_object('price', 6 * n, 'over', 100000)),
                                                               'cache_read_tokens', n * 0.1, 'input_audio_tokens', 7 * n), '2026-01-01') > 0 AS set
FROM generate_series(1, 3) AS n;
SELECT setseed(0.25);
CREATE TEMP TABLE drawn AS
SELECT i, '2026-04-02 00:00+00'::timestamptz + i * interval '7 minutes' AS called_at, 'r' || 1 + floor(random() * 4)::int AS model,
       floor(random() * 200000)::bigint AS input, random() AS reads, floor(random() * 9000)::bigint AS output, random() AS audio, floor(random() * 3) AS pages,
       (ARRAY['standard', 'batch'])[1 + floor(random() * 2)::int] AS class, (ARRAY['acme', 'globex', NULL])[1 + floor(random() * 3)::int] AS customer
FROM generate_series(1, 2000) AS i;
INSERT INTO cost_ledger.call (called_at, provider, model, service_class, customer, input_tokens, cache_read_tokens, output_tokens, other_usage, event_key)
SELECT called_at, 'p', model, class, customer, input, floor(input * reads / 2), output,
       jsonb_strip_nulls(jsonb_build_object('input_audio_tokens', CASE WHEN audio < 0.5 THEN floor(input * audio) END, 'pages', nullif(pages, 0))), 'i' || i
FROM drawn;
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage)
SELECT called_at + interval '1 second', 'p', model, jsonb_build_object('input_tokens', input, 'cache_read_input_tokens', output, 'output_tokens', output) FROM drawn WHERE i % 5 = 0;
-- some are corrected, at the prices that are known so far
SELECT count(cost_ledger.correct_call('i' || i, jsonb_build_object('input_tokens', input + 7, 'output_tokens', output, 'cache_read_tokens', 3, 'input_audio_tokens', 2), 'recount')) AS corrected
FROM drawn WHERE i % 7 = 0 AND model IN ('r1', 'r2', 'r3') AND class = 'standard';
SELECT cost_ledger.set_price('p', 'r2', '{"input_tokens": 1.5, "output_tokens": 7, "pages": {"price": 0.001, "per": 1}}', '2026-04-05') > 0 AS set;
SELECT cost_ledger.set_price('p', 'r4', '{"input_tokens": 0.123456789, "output_tokens": 0, "pages": {"price": 0.01, "per": 1}}', '2026-04-03') > 0 AS set;
SELECT cost_ledger.set_multiplier('p', 'discount', 0.5, '2026-01-01', service_class => 'batch');
SELECT cost_ledger.set_multiplier('p', 'markup', 1.1, '2026-04-06', customer => 'globex', model => 'r1');
CREATE TEMP TABLE changes AS SELECT * FROM cost_ledger.rerate('2026-04-02', '2026-04-30', dry_run => false, reason => 'identity');
SELECT count(*) > 1000 AS many, count(*) FILTER (WHERE change < 0) > 100 AS credits, count(*) FILTER (WHERE old_pricing = 'unpriced') > 100 AS from_unpriced,
       count(*) FILTER (WHERE old_pricing = 'partial' AND new_pricing = 'partial') > 10 AS still_partial FROM changes;
SELECT sum(c.cost) = sum(k.cost) AS sums_are_equal, count(*) FILTER (WHERE c.cost IS DISTINCT FROM k.cost) AS calls_off
FROM (SELECT coalesce(corrects, call_id) AS call_id, sum(cost) AS cost FROM cost_ledger.call WHERE called_at >= '2026-04-02' GROUP BY 1) c
JOIN (SELECT o.call_id, cost_ledger.cost_at(o.called_at, o.provider, o.model,
                 CASE WHEN u.input IS NOT NULL THEN jsonb_build_object('input_tokens', u.input + 7, 'output_tokens', u.output, 'cache_read_tokens', 3, 'input_audio_tokens', 2)
                      ELSE jsonb_build_object('input_tokens', o.input_tokens, 'cache_read_tokens', o.cache_read_tokens, 'output_tokens', o.output_tokens) || coalesce(o.other_usage, '{}') END,
                 o.service_class, o.region, customer => o.customer) AS cost
      FROM cost_ledger.call o
      LEFT JOIN drawn u ON 'i' || u.i = o.event_key AND u.i % 7 = 0 AND u.model IN ('r1', 'r2', 'r3') AND u.class = 'standard'
      WHERE o.called_at >= '2026-04-02' AND o.corrects IS NULL) k USING (call_id);
SELECT count(*) AS rows, sum(b.amount) = sum(c.change) AS batch_is_its_rows, sum(b.calls) = sum(c.calls) AS all_calls
FROM cost_ledger.rerate_batch b, (SELECT count(*) AS calls, sum(change) AS change FROM changes) c WHERE b.reason = 'identity';
SELECT count(*) FROM cost_ledger.rerate('2026-04-02', '2026-04-30');

--
-- Errors.
--
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01', dry_run => false);
SELECT * FROM cost_ledger.rerate('2026-04-01', '2026-04-01');
SELECT * FROM cost_ledger.rerate(NULL, '2026-04-01');
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01', '{"colour": "red"}');
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01', '["p"]');
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01', '{"model": {"name": "m"}}');
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01', '{"model": [["m"]]}');
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01', '{"call_id": "one"}');
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01', '{"call_id": [1, null, 1e30]}');
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01', '{"called_at": "yesterday at noon"}');
SELECT * FROM cost_ledger.what_if('2026-03-01', '2026-04-01', filters => '{"accepted": "perhaps"}');
SELECT * FROM cost_ledger.what_if('2026-03-01', '2026-04-01', '[{"from": {"duration_ms": "long"}, "to": {"model": "m"}}]');
SELECT count(*) FROM cost_ledger.rerate('2026-03-01', '2026-04-01', '{"accepted": [true, null], "duration_ms": [900, null], "called_at": []}');
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger_internal.booked_calls('2026-03-01', '2026-04-01', marks => '{}');
UPDATE cost_ledger.rerate_batch SET reason = 'another';
DELETE FROM cost_ledger.rerate_batch;
TRUNCATE cost_ledger.rerate_batch;
\set VERBOSITY default
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM cost_ledger.rerate('2026-03-20', '2026-03-21');
SELECT * FROM cost_ledger.rerate('2026-03-20', '2026-03-21', dry_run => false, reason => 'x');
ROLLBACK;
-- who may read asks what_if(); the owner and admins rate anew
CREATE ROLE regress_rerate_reader;
SELECT cost_ledger.grant_reader('regress_rerate_reader');
SET ROLE regress_rerate_reader;
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01');
SELECT count(*) > 0 AS found FROM cost_ledger.what_if('2026-03-01', '2026-04-01');
RESET ROLE;
DROP OWNED BY regress_rerate_reader;
DROP ROLE regress_rerate_reader;

--
-- What if: the same calls at other prices.
--
SELECT cost_ledger.set_price('q', 'big', '{"input_tokens": 10, "cache_read_tokens": 1, "cache_write_tokens": 12, "output_tokens": 50}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('q', 'small', '{"input_tokens": 2, "cache_read_tokens": 0.2, "output_tokens": 10}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('q', 'small', '{"input_tokens": 1, "output_tokens": 5}', '2026-01-01', service_class => 'batch') > 0 AS set,
       cost_ledger.set_price('q', 'big', '{"input_tokens": 20, "output_tokens": 50}', '2026-06-01') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, provider, model, team, feature, operation, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, served_from) VALUES
    ('2026-05-01', 'q', 'big', 'a', 'x', 'primary', 1000000, 200000, 700000, 100000, 'model'),      -- 0.1 × 10 + 0.2 × 1 + 0.7 × 12 + 0.1 × 50 = 14.6
    ('2026-05-02', 'q', 'big', 'a', 'x', 'eval',    1000000, NULL,   NULL,   100000, 'model'),      -- 10 + 5 = 15
    ('2026-05-03', 'q', 'big', 'a', 'x', 'primary', 1000000, NULL,   NULL,   100000, 'response_cache'),
    ('2026-05-04', 'q', 'small', 'b', 'x', 'eval',  1000000, NULL,   NULL,   NULL,   'model'),      -- 2
    ('2026-05-05', 'q', 'none', NULL, NULL, NULL,   1000000, NULL,   NULL,   NULL,   'model');      -- unpriced
-- as it was
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01');
-- evaluations to the small model's batch: 1 + 0.5; what is big besides to the small one: 0.8 × 2 + 0.2 × 0.2 + 0.1 × 10; the first rule counts
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', '[{"from": {"operation": "eval"}, "to": {"model": "small", "service_class": "batch"}}, {"from": {"model": "big"}, "to": {"model": "small"}}]');
-- half of all input read from the cache: big 0.5 × 1 + 0.5 × 12 + 5 (writes fill the rest) and 0.5 × 10 + 0.5 × 1 + 5, small 0.5 × 2 + 0.5 × 0.2
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', cache_hit_ratio => 0.5);
SELECT real_cost, what_if_cost FROM cost_ledger.what_if('2026-05-01', '2026-06-01', cache_hit_ratio => 0, filters => '{"team": "a"}');
-- at the prices of June: (0.1 + 0.2 + 0.7) × 20 + 5 and 20 + 5, as cached tokens are no cheaper then
SELECT team, real_cost, what_if_cost FROM cost_ledger.what_if('2026-05-01', '2026-06-01', priced_at => '2026-06-15');
-- to a model without a price, or a class without one: both sides leave these calls out
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', '[{"from": {"operation": "eval"}, "to": {"service_class": "flex"}}]');
-- audio in the cache, and nothing to say which
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens, cache_write_tokens, other_usage)
VALUES ('2026-05-06', 'q', 'big', 'audio', 1000, 900, '{"input_audio_tokens": 1000, "cache_write_audio_tokens": 900}');
SELECT team, calls, real_cost, what_if_cost FROM cost_ledger.what_if('2026-05-06', '2026-05-07', cache_hit_ratio => 0.2);
-- errors
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', cache_hit_ratio => 1.5);
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', '{"from": {}}');
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', '[{"from": {"model": "big"}, "to": {"modell": "small"}}]');
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', '[{"from": {"modell": "big"}, "to": {"model": "small"}}]');
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', '[{"from": {"model": "big"}}]');
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', '[{"to": {"model": null}}]');
SELECT * FROM cost_ledger.what_if('2026-05-01', '2026-06-01', priced_at => 'infinity');
SELECT * FROM cost_ledger.what_if('2026-06-01', '2026-05-01');
\set VERBOSITY default

-- reports count as unpriced what unpriced_call lists
SELECT (SELECT count(*) FROM cost_ledger.call WHERE usage_status = 'repriced') > 0 AS some_repriced,
       v.view, v.unpriced_calls = (SELECT count(*) FROM cost_ledger.unpriced_call) AS agrees
FROM (SELECT 'chargeback_by_month' AS view, sum(unpriced_calls) AS unpriced_calls FROM cost_ledger.chargeback_by_month
      UNION ALL SELECT 'margin_by_feature', sum(unpriced_calls) FROM cost_ledger.margin_by_feature
      UNION ALL SELECT 'cost_by_model', sum(unpriced_calls) FROM cost_ledger.cost_by_model
      UNION ALL SELECT 'cost_by_operation', sum(unpriced_calls) FROM cost_ledger.cost_by_operation
      UNION ALL SELECT 'cost_by_task_type', sum(unpriced_calls) FROM cost_ledger.cost_by_task_type) AS v
ORDER BY v.view;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
-- without a ledger
SELECT * FROM cost_ledger.rerate('2026-03-01', '2026-04-01');
