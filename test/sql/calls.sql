--
-- Calls: what INSERT and COPY record, price, refuse and remember.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT count(*) > 0 AS made FROM cost_ledger.create_partitions('2026-01-01', '2026-12-31') AS p;
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 3.00, "cache_read_tokens": 0.30, "cache_write_tokens": 3.75, "cache_write_1h_tokens": 6.00, "output_tokens": 15.00}', '2025-09-29');
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5', '{"input_tokens": 1.50, "output_tokens": 7.50}', '2025-09-29', service_class => 'batch');
SELECT cost_ledger.set_price('local', 'llama', '{"input_tokens": 0, "output_tokens": 0}', '2025-01-01');
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 2, "output_tokens": 8}', '2026-01-01');
SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 1, "output_tokens": 4}', '2026-02-01');

-- the worked example: 5,000 cached and 800 fresh input tokens, 600 output
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, output_tokens)
VALUES ('2026-01-02', 'anthropic', 'claude-sonnet-4-5', 5800, 5000, 600)
RETURNING cost, price_id, pricing, usage_status, service_class, served_from,
          recorded_at = now() AS recorded_now, recorded_xid = pg_current_xact_id() AS stamped;

-- price at the call's own time, in one statement across a price change
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens)
VALUES ('2025-12-31 23:59:59.999999', 'openai', 'gpt-x', 1000000, 1000000),
       ('2026-01-01', 'openai', 'gpt-x', 1000000, 1000000),
       ('2026-01-31 23:59:59.999999', 'openai', 'gpt-x', 1000000, 1000000),
       ('2026-02-01', 'openai', 'gpt-x', 1000000, 1000000)
RETURNING called_at, cost, pricing, price_id IS NOT NULL AS has_price;

-- the four kinds of pricing
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens, other_usage, served_from, service_class)
VALUES ('2026-03-01', 'local', 'llama', 100, 100, NULL, 'model', NULL),                              -- free: explicit rates of 0
       ('2026-03-01', 'openai', 'gpt-x', 100, 100, NULL, 'response_cache', NULL),                    -- free: nobody was asked
       ('2026-03-01', 'openai', 'gpt-x', 100, 100, '{"images": 2}', 'model', NULL),                  -- partial: no rate for images
       ('2026-03-01', 'openai', 'gpt-99', 100, 100, NULL, 'model', NULL),                            -- unpriced: no such price
       ('2026-03-01', 'anthropic', 'claude-sonnet-4-5', 1000, 1000, NULL, 'model', 'batch'),         -- another class
       ('2026-03-01', 'anthropic', 'claude-sonnet-4-5', 1000, 1000, NULL, 'model', 'flex'),          -- a class without a price
       ('2026-03-01', 'openai', 'gpt-x', 0, 0, NULL, 'model', NULL),                                 -- nothing was consumed
       ('2026-03-01', 'openai', 'gpt-x', NULL, NULL, NULL, 'model', NULL)                            -- nobody knows what was
RETURNING provider, model, service_class, cost, pricing, usage_status;
SELECT provider, model, service_class, pricing, cost, reason FROM cost_ledger.unpriced_call ORDER BY call_id;

-- the provider's object as it came
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage)
VALUES ('2026-01-02', 'anthropic', 'claude-sonnet-4-5', '{"input_tokens": 800, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 0, "output_tokens": 600, "service_tier": "standard"}'),
       ('2026-01-02', 'anthropic', 'claude-sonnet-4-5', '{"input_tokens": 5800, "output_tokens": 600, "service_tier": "batch"}'),
       ('2026-01-02', 'openai', 'gpt-x', '{"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "completion_tokens_details": {"reasoning_tokens": 60}}'),
       ('2026-01-02', 'openai', 'gpt-x', '{"service_tier": "default", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}'),
       ('2026-01-02', 'openai', 'gpt-x', '{"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1101}'),                                -- does not add up
       ('2026-01-02', 'openai', 'gpt-x', '{"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"haptic_tokens": 7}}'),       -- a kind without a meter
       ('2026-01-02', 'openai', 'gpt-x', '{"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 11}}'),          -- contradicts itself
       ('2026-01-02', 'openai', 'gpt-x', '{"words": 1000}'),                                                                                        -- of no known shape
       ('2026-01-02', 'openai', 'gpt-x', '[]')
RETURNING service_class, input_tokens, cache_read_tokens, output_tokens, reasoning_tokens, cost, pricing, usage_status;

-- a client may say that counts are not final, nothing else about the ledger's own columns
INSERT INTO cost_ledger.call (called_at, provider, model, output_tokens, usage_status, tool_calls, input_parts, input_tokens, reported_cost, accepted, tags)
VALUES ('2026-01-02', 'openai', 'gpt-x', 10, 'partial', '{"search": 2, "fetch": 1}', '{"history": 60, "new_input": 40}', 100, 0.0001, true, '{"experiment": "b"}')
RETURNING cost, reported_cost, usage_status, tool_calls_count;

-- what an answer from the response cache would have cost: as sent, else its usage at the price of its time; a part of that is no price
INSERT INTO cost_ledger.call (called_at, provider, model, served_from, input_tokens, output_tokens, raw_usage, other_usage, avoided_cost)
VALUES ('2026-01-02', 'openai', 'gpt-x', 'response_cache', 1000000, 100000, NULL, NULL, NULL),                                   -- 2 + 0.8
       ('2026-02-02', 'openai', 'gpt-x', 'response_cache', NULL, NULL, '{"prompt_tokens": 1000000, "completion_tokens": 100000}', NULL, NULL), -- 1 + 0.4
       ('2026-02-02', 'openai', 'gpt-x', 'response_cache', 1000000, 100000, NULL, NULL, 0.70),
       ('2026-02-02', 'openai', 'gpt-x', 'response_cache', NULL, NULL, NULL, NULL, 0.7),
       ('2026-02-02', 'openai', 'gpt-x', 'response_cache', NULL, NULL, NULL, NULL, NULL),
       ('2026-02-02', 'openai', 'gpt-x', 'response_cache', 1000000, 100000, NULL, '{"images": 2}', NULL),                        -- no rate for images
       ('2026-02-02', 'openai', 'gpt-99', 'response_cache', 1000000, 100000, NULL, NULL, NULL),                                  -- no such price
       ('2026-02-02', 'local', 'llama', 'response_cache', 1000000, 100000, NULL, NULL, NULL),                                    -- at an explicit rate of 0
       ('2026-02-02', 'openai', 'gpt-x', 'model', 1000000, 100000, NULL, NULL, NULL),
       ('2026-02-02', 'openai', 'gpt-x', 'model', 1000000, 100000, NULL, NULL, 0)                                                -- as gateways send it with every call
RETURNING model, served_from, cost, pricing, price_id IS NOT NULL AS has_price, avoided_cost;

-- a flow is a label; scores are on any scale
INSERT INTO cost_ledger.call (called_at, provider, model, flow, operation, score, input_tokens)
VALUES ('2026-05-02', 'openai', 'gpt-x', 'checkout', 'eval', 0.875, 1000000), ('2026-05-02', 'openai', 'gpt-x', '', 'eval', -1.5, 1000000),
       ('2026-05-02', 'openai', 'gpt-x', 'checkout', NULL, NULL, 1000000)
RETURNING flow, score, cost;
SELECT sum(calls) AS calls, sum(real_cost) AS real_cost FROM cost_ledger.what_if('2026-05-01', '2026-06-01', filters => '{"flow": "check*"}');
SELECT flow, count(*), avg(score) AS mean_score FROM cost_ledger.call_detail WHERE called_at >= '2026-05-01' AND called_at < '2026-06-01' GROUP BY flow ORDER BY flow;

-- refused, with what to do
INSERT INTO cost_ledger.call (provider, model, score) VALUES ('openai', 'gpt-x', 'NaN');
INSERT INTO cost_ledger.call (provider, model, score) VALUES ('openai', 'gpt-x', '-Infinity');
INSERT INTO cost_ledger.call (provider, model, score) VALUES ('openai', 'gpt-x', -1000000000000);
INSERT INTO cost_ledger.call (provider, model, avoided_cost) VALUES ('openai', 'gpt-x', -0.01);
INSERT INTO cost_ledger.call (provider, model, avoided_cost) VALUES ('openai', 'gpt-x', 'NaN');
INSERT INTO cost_ledger.call (provider, model, avoided_cost) VALUES ('openai', 'gpt-x', 1000000000000);
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'gpt-x', -1);
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'gpt-x', 1000000000001);
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'gpt-x', 9223372036854775808);
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'gpt-x', 'NaN'::numeric);
INSERT INTO cost_ledger.call (provider, model, input_tokens, cache_read_tokens) VALUES ('openai', 'gpt-x', 10, 11);
INSERT INTO cost_ledger.call (provider, model, input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens) VALUES ('openai', 'gpt-x', 10, 4, 4, 4);
INSERT INTO cost_ledger.call (provider, model, cache_read_tokens) VALUES ('openai', 'gpt-x', 1);
INSERT INTO cost_ledger.call (provider, model, output_tokens, reasoning_tokens) VALUES ('openai', 'gpt-x', 10, 11);
INSERT INTO cost_ledger.call (provider, model, input_tokens, called_at) VALUES ('openai', 'gpt-x', 1, 'infinity');
INSERT INTO cost_ledger.call (provider, model, input_tokens, called_at) VALUES ('openai', 'gpt-x', 1, '-infinity');
INSERT INTO cost_ledger.call (provider, model, input_tokens, called_at) VALUES ('openai', 'gpt-x', 1, NULL);
INSERT INTO cost_ledger.call (provider, model, input_tokens, called_at) VALUES ('openai', 'gpt-x', 1, '1969-12-31 23:59:59.999999+00');
INSERT INTO cost_ledger.call (provider, model, input_tokens, called_at) VALUES ('openai', 'gpt-x', 1, '2200-01-01 00:00:00+00');
BEGIN;
INSERT INTO cost_ledger.call (provider, model, input_tokens, called_at) VALUES ('openai', 'gpt-x', 1, '1970-01-01 00:00:00+00'), ('openai', 'gpt-x', 1, '2199-12-31 23:59:59.999999+00');
ROLLBACK;
INSERT INTO cost_ledger.call (model, input_tokens) VALUES ('gpt-x', 1);
INSERT INTO cost_ledger.call (provider, input_tokens) VALUES ('openai', 1);
INSERT INTO cost_ledger.call (provider, model, input_tokens, cost) VALUES ('openai', 'gpt-x', 1, 0);
INSERT INTO cost_ledger.call (provider, model, input_tokens, price_id) VALUES ('openai', 'gpt-x', 1, 1);
INSERT INTO cost_ledger.call (provider, model, input_tokens, pricing) VALUES ('openai', 'gpt-x', 1, 'free');
INSERT INTO cost_ledger.call (provider, model, input_tokens, recorded_at) VALUES ('openai', 'gpt-x', 1, now());
INSERT INTO cost_ledger.call (provider, model, input_tokens, recorded_xid) VALUES ('openai', 'gpt-x', 1, '1');
INSERT INTO cost_ledger.call (call_id, provider, model, input_tokens) VALUES (1, 'openai', 'gpt-x', 1);
INSERT INTO cost_ledger.call (call_id, provider, model, input_tokens) OVERRIDING SYSTEM VALUE VALUES (9223372036854775807, 'openai', 'gpt-x', 1);
INSERT INTO cost_ledger.call (call_id, provider, model, corrects, cost, pricing) VALUES (1, 'openai', 'gpt-x', 1, 1, 'priced');
COPY cost_ledger.call (call_id, provider, model) FROM stdin;
1	openai	gpt-x
\.
-- NULL is as if it were left out; replication brings its numbers along
BEGIN;
INSERT INTO cost_ledger.call (call_id, provider, model, input_tokens) VALUES (NULL, 'openai', 'gpt-x', 1), (DEFAULT, 'openai', 'gpt-x', 1) RETURNING call_id - currval('cost_ledger.call_call_id_seq') AS from_the_last;
SET LOCAL session_replication_role = replica;
INSERT INTO cost_ledger.call (call_id, recorded_at, provider, model, service_class, pricing) VALUES (-7, now(), 'openai', 'gpt-x', 'standard', 'unpriced'), (NULL, now(), 'openai', 'gpt-x', 'standard', 'unpriced') RETURNING call_id = -7 AS is_kept;
ROLLBACK;
INSERT INTO cost_ledger.call (provider, model, input_tokens, raw_usage) VALUES ('openai', 'gpt-x', 1, '{"prompt_tokens": 1}');
INSERT INTO cost_ledger.call (provider, model, other_usage) VALUES ('openai', 'gpt-x', '{"input_tokens": 1}');
INSERT INTO cost_ledger.call (provider, model, other_usage) VALUES ('openai', 'gpt-x', '{"images": -1}');
INSERT INTO cost_ledger.call (provider, model, other_usage) VALUES ('openai', 'gpt-x', '{"images": "many"}');
INSERT INTO cost_ledger.call (provider, model, other_usage) VALUES ('openai', 'gpt-x', '7');
INSERT INTO cost_ledger.call (provider, model, input_tokens, usage_status) VALUES ('openai', 'gpt-x', 1, 'good');
INSERT INTO cost_ledger.call (provider, model, input_tokens, served_from) VALUES ('openai', 'gpt-x', 1, 'cdn');
INSERT INTO cost_ledger.call (provider, model, input_tokens, reported_cost) VALUES ('openai', 'gpt-x', 1, 'NaN');
INSERT INTO cost_ledger.call (provider, model, input_tokens, reported_cost) VALUES ('openai', 'gpt-x', 1, -0.01);
INSERT INTO cost_ledger.call (provider, model, input_tokens, reported_cost) VALUES ('openai', 'gpt-x', 1, 'Infinity');
INSERT INTO cost_ledger.call (provider, model, input_tokens, duration_ms) VALUES ('openai', 'gpt-x', 1, 'NaN');
INSERT INTO cost_ledger.call (provider, model, input_tokens, duration_ms) VALUES ('openai', 'gpt-x', 1, 'Infinity');
INSERT INTO cost_ledger.call (provider, model, input_tokens, retry_count) VALUES ('openai', 'gpt-x', 1, -1);
INSERT INTO cost_ledger.call (provider, model, input_tokens, attempt) VALUES ('openai', 'gpt-x', 1, -1);
INSERT INTO cost_ledger.call (provider, model, input_tokens, tool_calls_count) VALUES ('openai', 'gpt-x', 1, -1);
INSERT INTO cost_ledger.call (provider, model, input_tokens, tool_calls) VALUES ('openai', 'gpt-x', 1, '{"search": 1.5}');
INSERT INTO cost_ledger.call (provider, model, input_tokens, tool_calls) VALUES ('openai', 'gpt-x', 1, '["search"]');
INSERT INTO cost_ledger.call (provider, model, input_tokens, tool_calls) VALUES ('openai', 'gpt-x', 1, '{"search": 3000000000}');
INSERT INTO cost_ledger.call (provider, model, input_tokens, input_parts) VALUES ('openai', 'gpt-x', 1, '{"history": 2}');
SELECT count(*) FROM cost_ledger.call;

--
-- Event keys: an event is recorded once.
--
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e1', 'openai', 'gpt-x', 100) RETURNING event_key, cost;
-- a retry, with a new time too, does nothing; in the same statement too
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e1', 'openai', 'gpt-x', 100) RETURNING event_key, cost;
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-07-02', 'e1', 'openai', 'gpt-x', 100) RETURNING event_key, cost;
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens)
VALUES ('2026-01-02', 'e2', 'openai', 'gpt-x', 100), ('2026-01-02', 'e2', 'openai', 'gpt-x', 100), ('2026-01-02', 'e3', 'openai', 'gpt-x', 100) RETURNING event_key;
-- the same key for something else is refused, whatever differs
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e1', 'openai', 'gpt-x', 101);
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens, team) VALUES ('2026-01-02', 'e1', 'openai', 'gpt-x', 100, 'search');
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, output_tokens) VALUES ('2026-01-02', 'e1', 'openai', 'gpt-x', 100);
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', repeat('k', 513), 'openai', 'gpt-x', 100);
\echo :LAST_ERROR_MESSAGE
\set VERBOSITY default
-- an event that was rolled back was not recorded
BEGIN;
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e4', 'openai', 'gpt-x', 100);
ROLLBACK;
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e4', 'openai', 'gpt-x', 200) RETURNING event_key, cost;
-- raw usage is part of the payload as it came
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, raw_usage) VALUES ('2026-01-02', 'e5', 'openai', 'gpt-x', '{"prompt_tokens": 5, "completion_tokens": 1}') RETURNING event_key;
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, raw_usage) VALUES ('2026-01-02', 'e5', 'openai', 'gpt-x', '{"completion_tokens": 1, "prompt_tokens": 5}') RETURNING event_key;
SELECT k.event_key, c.input_tokens FROM cost_ledger_internal.event_key k JOIN cost_ledger.call c USING (called_at, call_id) ORDER BY 1;
-- one payload in two spellings is one event: numbers, JSON, what is left out, what is said without saying it
CREATE FUNCTION pg_temp.retry(first jsonb, again jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    sent jsonb;
    recorded bigint := 0;
    n bigint;
    key text := 'r' || gen_random_uuid();
BEGIN
    FOR sent IN SELECT '{"provider": "openai", "model": "gpt-x", "called_at": "2026-01-02"}' || v || jsonb_build_object('event_key', key) FROM unnest(ARRAY[first, again]) v LOOP
        EXECUTE format('INSERT INTO cost_ledger.call (%1$s) SELECT %1$s FROM jsonb_populate_record(NULL::cost_ledger.call, $1)',
                       (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_object_keys(sent) k)) USING sent;
        GET DIAGNOSTICS n = ROW_COUNT;
        recorded := recorded + n;
    END LOOP;
    RETURN recorded || ' recorded';
EXCEPTION WHEN SQLSTATE 'LC003' THEN
    GET STACKED DIAGNOSTICS key = PG_EXCEPTION_DETAIL;
    RETURN regexp_replace(key, '^It belongs to call [0-9]+ of 2026-01-02 00:00:00\+00\. ', '');
END
$$;
SELECT v.n, pg_temp.retry(v.first, v.again)
FROM (VALUES (1, '{"reported_cost": 0.1}'::jsonb, '{"reported_cost": 0.10}'::jsonb), (2, '{"reported_cost": 1000, "score": 0}', '{"reported_cost": 1000.000, "score": -0.0}'),
             (3, '{"reported_cost": 0.123456789012345678901}', '{"reported_cost": 0.123456789012345678902}'), (4, '{"duration_ms": 0}', '{"duration_ms": -0.0}'),
             (5, '{"other_usage": {"seconds": 2, "images": 1}}', '{"other_usage": {"images": 1.0, "seconds": 2.00}}'), (6, '{"other_usage": {"seconds": 1000}}', '{"other_usage": {"seconds": 1e3}}'),
             (7, '{"raw_usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, "x": [1.50, {"y": 0}]}}', '{"raw_usage": {"prompt_tokens": 1e1, "completion_tokens": 1.0, "total_tokens": 11.0, "x": [1.5, {"y": 0.0}]}}'),
             (8, '{"raw_usage": {"prompt_tokens": 10, "completion_tokens": 1}}', '{"raw_usage": "{\"completion_tokens\": 1, \"prompt_tokens\": 10.0}"}'),
             (9, '{"input_tokens": 1}', '{"input_tokens": 1, "team": null, "feature": "", "tags": "null", "served_from": null, "usage_status": "", "accepted": null}'),
             (10, '{"input_tokens": 1}', '{"input_tokens": 1, "served_from": "model", "usage_status": "final", "service_class": "standard"}'),
             (11, '{"tool_calls": {"grep": 2}}', '{"tool_calls": {"grep": 2.0}, "tool_calls_count": 2}'), (12, '{"called_at": "2026-01-02"}', '{"called_at": "2026-01-03"}'),
             (21, '{"reported_cost": 0.1}', '{"reported_cost": 0.11}'), (22, '{"score": 0.5}', '{"score": -0.5}'), (23, '{"accepted": true}', '{"accepted": false}'), (24, '{"flow": "a"}', '{}'), (25, '{"avoided_cost": 1}', '{"avoided_cost": 2}'),
             (26, '{"other_usage": {"seconds": 2}}', '{"other_usage": {"seconds": 20}}'), (27, '{"raw_usage": {"prompt_tokens": 10, "completion_tokens": 1, "x": [1]}}', '{"raw_usage": {"prompt_tokens": 10, "completion_tokens": 1, "x": 1}}'),
             (28, '{"raw_usage": {"prompt_tokens": 10, "completion_tokens": 1, "x": "1"}}', '{"raw_usage": {"prompt_tokens": 10, "completion_tokens": 1, "x": 1}}'), (29, '{"input_tokens": 1, "service_class": "batch"}', '{"input_tokens": 1}'),
             (30, '{"raw_usage": {"prompt_tokens": 10, "completion_tokens": 1}}', '{"input_tokens": 10, "output_tokens": 1}'), (31, '{"raw_usage": {"prompt_tokens": 10, "completion_tokens": 1}}', '{"service_class": "standard", "raw_usage": {"prompt_tokens": 10, "completion_tokens": 1}}'),
             (32, '{"team": "a"}', '{"customer": "a"}'), (33, '{"input_tokens": 1}', '{"input_tokens": 1, "model": "gpt-y"}')) AS v (n, first, again)
ORDER BY v.n;
SELECT pg_temp.retry(jsonb_build_object('team', repeat('x', 2000)), jsonb_build_object('team', left(repeat('x', 2000), 991) || '#' || md5(repeat('x', 2000)))) AS shortened;
SELECT length(pg_temp.retry(jsonb_build_object('tags', jsonb_build_object('x', repeat('x', 900000))), jsonb_build_object('tags', jsonb_build_object('x', repeat('y', 900000))))) AS bounded;
-- a column of one's own is no part of it: its default may be volatile, or younger than the first try
BEGIN;
ALTER TABLE cost_ledger.call ADD COLUMN ingested_at timestamptz DEFAULT clock_timestamp();
SELECT pg_temp.retry('{"input_tokens": 1}', '{"input_tokens": 1}'), pg_temp.retry('{"input_tokens": 1, "ingested_at": "2026-01-02"}', '{"input_tokens": 1, "ingested_at": "2026-01-03"}');
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e10', 'openai', 'gpt-x', 100) RETURNING event_key;
ALTER TABLE cost_ledger.call ADD COLUMN source text DEFAULT 'gateway';
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e10', 'openai', 'gpt-x', 100) RETURNING event_key;
ROLLBACK;
-- neither is what the ledger fills in: another price, a new reading of the usage
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, served_from, input_tokens) VALUES ('2026-01-02', 'e11', 'openai', 'gpt-x', 'response_cache', 1000) RETURNING avoided_cost;
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, served_from, input_tokens) VALUES ('2026-02-02', 'e11', 'openai', 'gpt-x', 'response_cache', 1000) RETURNING avoided_cost;
-- the call of a key, by the key
SELECT r.called_at, r.cost, r.pricing, r.is_dropped, r.call - 'call_id' - 'price_id' - 'recorded_at' - 'recorded_xid' AS call, r.call_id = (r.call ->> 'call_id')::bigint AS of_it
FROM cost_ledger.recorded_call('e5') r;
SELECT c.event_key, c.input_tokens, c.raw_usage FROM cost_ledger.recorded_call('e5') r, jsonb_populate_record(NULL::cost_ledger.call, r.call) c;
SELECT count(*) FROM cost_ledger.recorded_call('no such key');
SELECT count(*) FROM cost_ledger.recorded_call('e5', key_space => 'other');
SELECT count(*) FROM cost_ledger.recorded_call(NULL);
-- one partition is looked at, of thirteen and more
BEGIN;
CREATE TEMP TABLE scans AS SELECT relid, seq_scan, idx_scan FROM pg_stat_xact_user_tables;
SELECT count(*) FROM cost_ledger.recorded_call('e5');
SELECT n.relid::regclass AS looked_at, n.seq_scan - coalesce(s.seq_scan, 0) AS seq_scan, n.idx_scan - coalesce(s.idx_scan, 0) AS idx_scan
FROM pg_stat_xact_user_tables n LEFT JOIN scans s USING (relid)
WHERE n.relid IN (SELECT p.relid FROM pg_partition_tree('cost_ledger.call') p UNION SELECT 'cost_ledger_internal.event_key'::regclass)
  AND (n.seq_scan, n.idx_scan) IS DISTINCT FROM (coalesce(s.seq_scan, 0), coalesce(s.idx_scan, 0)) ORDER BY 1;
ROLLBACK;
-- a unique index cannot be named; what cannot be named need not be
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e3', 'openai', 'gpt-x', 100) ON CONFLICT (event_key) DO NOTHING;
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e3', 'openai', 'gpt-x', 100) ON CONFLICT DO NOTHING RETURNING event_key;
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-01-02', 'e3', 'openai', 'gpt-x', 101) ON CONFLICT DO NOTHING;
\set VERBOSITY default

-- a correction is a linked row of differences; done twice it books nothing more
SELECT cost_ledger.correct_call('e1', '{"input_tokens": 150, "output_tokens": 10, "images": 0}', 'the client forgot the output') IS NOT NULL AS booked;
SELECT cost_ledger.correct_call('e1', '{"input_tokens": 150, "output_tokens": 10}', 'again') IS NULL AS nothing_new;
SELECT cost_ledger.correct_call('e1', '{"input_tokens": 90}', 'less after all') IS NOT NULL AS booked;
SELECT c.corrects IS NOT NULL AS is_correction, c.input_tokens, c.output_tokens, c.cost, c.pricing, c.event_key, c.tags
FROM cost_ledger.call c JOIN cost_ledger_internal.event_key k ON k.called_at = c.called_at AND k.call_id IN (c.call_id, c.corrects)
WHERE k.event_key = 'e1' ORDER BY c.call_id;
SELECT sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens, sum(c.cost) AS cost
FROM cost_ledger.call c JOIN cost_ledger_internal.event_key k ON k.called_at = c.called_at AND k.call_id IN (c.call_id, c.corrects)
WHERE k.event_key = 'e1';
-- an unpriced call gets its cost when its usage is corrected to one that has a price
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, other_usage) VALUES ('2026-01-02', 'e6', 'openai', 'gpt-x', '{"images": 2}') RETURNING pricing, cost;
SELECT cost_ledger.correct_call('e6', '{"input_tokens": 1000}', 'they were tokens') IS NOT NULL AS booked;
SELECT input_tokens, other_usage, cost, pricing FROM cost_ledger.call WHERE corrects IS NOT NULL AND model = 'gpt-x' ORDER BY call_id DESC LIMIT 1;
SELECT cost_ledger.correct_call('no such key', '{"input_tokens": 1}', 'x');
SELECT cost_ledger.correct_call('2026-01-02', 0, '{"input_tokens": 1}', 'x');
SELECT cost_ledger.correct_call('e1', '{"input_tokens": 1}', '');
SELECT cost_ledger.correct_call('e1', '{"input_tokens": 1, "images": 1}', 'no rate for images');
SELECT cost_ledger.correct_call('e1', '{"input_tokens": 1, "cache_read_tokens": 2}', 'x');

--
-- Code that is generated from the catalog must send what has to be sent, and only
-- that; a default is no value that was sent.
--
SELECT DISTINCT a.attname AS required
FROM pg_attribute a
WHERE a.attrelid IN (SELECT p.relid FROM pg_partition_tree('cost_ledger.call') p)
  AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''
ORDER BY 1;
INSERT INTO cost_ledger.call (call_id, called_at, recorded_at, pricing, service_class, provider, model, raw_usage)
VALUES (DEFAULT, '2026-02-02', DEFAULT, DEFAULT, DEFAULT, 'openai', 'gpt-x', NULL), (DEFAULT, '2026-02-02', DEFAULT, DEFAULT, DEFAULT, 'openai', 'gpt-x', '{"prompt_tokens": 5, "completion_tokens": 1, "service_tier": "flex"}')
RETURNING call_id > 0 AS numbered, recorded_at = now() AS recorded, pricing, service_class;
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.call (provider, model, pricing) VALUES ('openai', 'gpt-x', 'unpriced');
INSERT INTO cost_ledger.call (provider, model, recorded_at) VALUES ('openai', 'gpt-x', 'epoch');
INSERT INTO cost_ledger.call (provider, model, call_id) VALUES ('openai', 'gpt-x', 0);
INSERT INTO cost_ledger.call DEFAULT VALUES;
\set VERBOSITY default

--
-- What comes in empty is NULL, and an object that was made a string is unwrapped.
--
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, region, service_class, operation, status, team, feature, flow, customer, task_type, environment, user_id, cohort, api_key,
                              agent, step, session_id, run_id, parent_run_id, request_id, tool, event_key, trace_url, usage_status, served_from, pricing)
SELECT '2026-02-02', 'openai', 'gpt-x', 1000, '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '' FROM generate_series(1, 2)
RETURNING cost, pricing, service_class, served_from,
          num_nonnulls(region, operation, status, team, feature, flow, customer, task_type, environment, user_id, cohort, api_key, agent, step, session_id, run_id, parent_run_id, request_id, tool, event_key, trace_url, usage_status) AS said;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, raw_usage, other_usage, tool_calls, input_parts, tags)
VALUES ('2026-02-02', 'openai', 'gpt-x', 1000, 'null', 'null', 'null', 'null', 'null'), ('2026-02-02', 'openai', 'gpt-x', 1000, '""', '"null"', '" "', '"null"', '""')
RETURNING cost, num_nonnulls(raw_usage, other_usage, tool_calls, input_parts, tags) AS said;
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage, tool_calls, input_parts, tags)
VALUES ('2026-02-02', 'openai', 'gpt-x', to_jsonb(' {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}'::text), '"{\"grep\": 2}"', '"{\"history\": 900}"', '"{\"tier\": \"gold\"}"')
RETURNING jsonb_typeof(raw_usage) AS raw_usage, tool_calls, tool_calls_count, input_parts, tags ->> 'tier' AS tier, cost, pricing;
INSERT INTO cost_ledger.call (called_at, provider, model, other_usage) VALUES ('2026-02-02', 'openai', 'gpt-x', '"{\"images\": 2}"') RETURNING other_usage;
-- a string with anything else in it stays: usage that cannot be read is recorded, what must be an object is refused
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage) VALUES ('2026-02-02', 'openai', 'gpt-x', '"{\"prompt_tokens\": 1000"'), ('2026-02-02', 'openai', 'gpt-x', '"{\"a\": \"\\u0000\"}"'), ('2026-02-02', 'openai', 'gpt-x', '"many"')
RETURNING raw_usage, usage_status, pricing;
-- nor is a call lost over a string that would be JSON, but of numbers or a depth that nothing can hold
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage)
SELECT '2026-02-02', 'openai', 'gpt-x', to_jsonb('{"prompt_tokens": 1000, "completion_tokens": 100, "x": ' || x || '}')
FROM (VALUES (1, '1e200000'), (2, '1e-20000'), (3, '-1E+99999999999999999999'), (4, repeat('9', 200000)), (5, '0.' || repeat('1', 20000)),
             (6, repeat('[', 50000) || repeat(']', 50000)), (7, repeat('{"a":', 50000) || '1' || repeat('}', 50000)), (8, '1e5'), (9, repeat('[', 20) || repeat(']', 20)), (10, '"{[1e99999"')) AS v (n, x)
ORDER BY n
RETURNING jsonb_typeof(raw_usage), usage_status;
INSERT INTO cost_ledger.call (called_at, provider, model, tool_calls) VALUES ('2026-02-02', 'openai', 'gpt-x', '"{grep}"');
INSERT INTO cost_ledger.call (called_at, provider, model, tags) VALUES ('2026-02-02', 'openai', 'gpt-x', '["a"]');
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.call (called_at, provider, model, tags) VALUES ('2026-02-02', 'openai', 'gpt-x', '"text"');
INSERT INTO cost_ledger.call (called_at, provider, model, tags) VALUES ('2026-02-02', 'openai', 'gpt-x', '7');
INSERT INTO cost_ledger.call (called_at, provider, model, tags) VALUES ('2026-02-02', 'openai', 'gpt-x', '{"a": {"b": 1}}');
INSERT INTO cost_ledger.call (called_at, provider, model, tags) VALUES ('2026-02-02', 'openai', 'gpt-x', '{"a": 1, "b": []}');
INSERT INTO cost_ledger.call (called_at, provider, model, tags) VALUES ('2026-02-02', 'openai', 'gpt-x', '"{\"a\": [1]}"');
\set VERBOSITY default
INSERT INTO cost_ledger.call (called_at, provider, model, tags) VALUES ('2026-02-02', 'openai', 'gpt-x', '{}'), ('2026-02-02', 'openai', 'gpt-x', '{"a": null, "b": 1, "c": true, "d": ""}') RETURNING tags;
-- an empty object says nothing, so a retry may leave it out
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens, other_usage, input_parts, tags) VALUES ('2026-02-02', 'empty object', 'openai', 'gpt-x', 1, '{}', '"{}"', '{}') RETURNING other_usage, input_parts, tags;
INSERT INTO cost_ledger.call (event_key, provider, model, input_tokens) VALUES ('empty object', 'openai', 'gpt-x', 1) RETURNING call_id;
INSERT INTO cost_ledger.call (event_key, provider, model, input_tokens) VALUES ('empty object', 'openai', 'gpt-x', 2);
-- a retry may say it otherwise
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens, team, tags) VALUES ('2026-02-02', 'empty', 'openai', 'gpt-x', 1, '', '"{\"a\": 1}"'), ('2026-02-02', 'empty', 'openai', 'gpt-x', 1, NULL, '{"a": 1}') RETURNING event_key, team, tags;

--
-- COPY does what INSERT does.
--
COPY cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, output_tokens, raw_usage, event_key, team) FROM stdin WITH (FORMAT csv, NULL '');
2026-05-02T00:00:00Z,anthropic,claude-sonnet-4-5,5800,5000,600,,c1,search
2026-05-02T00:00:00Z,anthropic,claude-sonnet-4-5,5800,5000,600,,c1,search
2026-05-02T00:00:01Z,openai,gpt-x,1000000,,1000000,,,search
2026-05-02T00:00:02Z,openai,gpt-99,1,,,,,search
2026-05-02T00:00:03Z,anthropic,claude-sonnet-4-5,,,,"{""input_tokens"": 800, ""cache_read_input_tokens"": 5000, ""output_tokens"": 600}",,search
\.
SELECT model, cost, pricing FROM cost_ledger.call WHERE team = 'search' ORDER BY called_at;
COPY cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens) FROM stdin WITH (FORMAT csv, NULL '');
2026-05-03T00:00:00Z,openai,gpt-x,1,
2026-05-03T00:00:00Z,openai,gpt-x,1,2
\.
SELECT count(*) AS half_copied FROM cost_ledger.call WHERE called_at = '2026-05-03';

--
-- A client needs to be a writer, nothing more: neither prices nor event keys are
-- shown to it.
--
CREATE ROLE cost_ledger_test_client;
SELECT cost_ledger.grant_writer('cost_ledger_test_client', with_returning => false);
SET ROLE cost_ledger_test_client;
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-06-02', 'r1', 'openai', 'gpt-x', 1000000);
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens) VALUES ('2026-06-02', 'r1', 'openai', 'gpt-x', 1000000);
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, corrects, cost, pricing) VALUES ('2026-06-02', 'openai', 'gpt-x', -1000000, 1, -1, 'priced');
SELECT count(*) FROM cost_ledger.call;
SELECT count(*) FROM cost_ledger_internal.event_key;
INSERT INTO cost_ledger_internal.event_key VALUES ('', 'x', 'x', 1, now());
SELECT current_user;
RESET ROLE;
SELECT count(*), sum(cost) FROM cost_ledger.call WHERE called_at = '2026-06-02';
INSERT INTO cost_ledger.call (called_at, provider, model, corrects) VALUES ('2026-06-02', 'openai', 'gpt-x', 1);
DROP OWNED BY cost_ledger_test_client;
DROP ROLE cost_ledger_test_client;

-- partitions may order columns as they like, and users may add their own
ALTER TABLE cost_ledger.call ADD COLUMN region_of_user text;
CREATE TABLE public.call_p2031 (extra int, LIKE cost_ledger.call INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE public.call_p2031 DROP COLUMN extra;
ALTER TABLE cost_ledger.call ATTACH PARTITION public.call_p2031 FOR VALUES FROM ('2031-01-01') TO ('2032-01-01');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key, region_of_user) VALUES ('2031-06-02', 'openai', 'gpt-x', 1000000, 'p1', 'eu')
RETURNING tableoid::regclass, cost, region_of_user;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key, region_of_user) VALUES ('2026-06-02', 'openai', 'gpt-x', 1000000, 'p1', 'eu') RETURNING 1;

-- so with triggers: one that fires before the ledger's is heard by it, one that fires after it sees the row as recorded, and may leave it or change it
CREATE FUNCTION public.regress_label() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    new.team := 'of ' || new.team;
    new.input_tokens := 2 * new.input_tokens;
    RETURN new;
END
$$;
CREATE FUNCTION public.regress_see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.region_of_user IS NULL THEN
        RAISE NOTICE '% costs %, %, %', new.team, new.cost, new.pricing, new.call_id > 0;
    ELSE
        new.region_of_user := format('%s at %s', new.region_of_user, new.cost);
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER a_label BEFORE INSERT ON cost_ledger.call FOR EACH ROW EXECUTE FUNCTION public.regress_label();
CREATE TEMP TABLE with_triggers AS
SELECT t.called_at, 'openai' AS provider, 'gpt-x' AS model, 1000000 AS input_tokens, v.team, v.region_of_user, repeat('label', 300) AS api_key, 'k' || row_number() OVER () AS event_key
FROM (VALUES ('2026-06-03'::timestamptz), ('2031-06-03'), ('1999-06-03')) t (called_at), (VALUES ('one', NULL), ('two', 'eu')) v (team, region_of_user);
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, region_of_user, api_key, event_key)
SELECT * FROM with_triggers RETURNING tableoid::regclass, team, input_tokens, cost, pricing, region_of_user, length(api_key);
CREATE TRIGGER z_see BEFORE INSERT ON cost_ledger.call FOR EACH ROW EXECUTE FUNCTION public.regress_see();
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, region_of_user, api_key, event_key)
SELECT called_at, provider, model, input_tokens, team, region_of_user, api_key, event_key || 'z' FROM with_triggers
RETURNING tableoid::regclass, team, input_tokens, cost, pricing, region_of_user, length(api_key);
COPY cost_ledger.call (called_at, provider, model, input_tokens, team, region_of_user) FROM STDIN (FORMAT csv);
2026-06-03,openai,gpt-x,1000000,three,
2031-06-03,openai,gpt-x,1000000,three,us
\.
-- a replay is one with them too
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, api_key, event_key) SELECT called_at, provider, model, input_tokens, team, api_key, event_key FROM with_triggers WHERE team = 'one' RETURNING 1;
DROP TRIGGER a_label ON cost_ledger.call;
DROP TRIGGER z_see ON cost_ledger.call;
-- and straight into a partition
INSERT INTO cost_ledger_internal.call_p2026_06 (called_at, provider, model, input_tokens, team) VALUES ('2026-06-03', 'openai', 'gpt-x', 1000000, 'four') RETURNING cost, pricing;
SELECT date_trunc('year', c.called_at)::date AS year, c.team, c.input_tokens, c.cost, c.pricing, c.region_of_user, length(c.api_key), count(*)
FROM cost_ledger.call c WHERE c.called_at IN ('2026-06-03', '2031-06-03', '1999-06-03')
GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 6;
DROP FUNCTION public.regress_label(), public.regress_see();

SELECT cost_ledger.drop_ledger(i_mean_it => true);
