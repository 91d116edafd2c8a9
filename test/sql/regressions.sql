--
-- What an attentive reader once found to go wrong, so that it stays right.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 10, "output_tokens": 20}', '2026-01-01') > 0 AS set;

-- whoever may insert calls runs nothing of its own with the owner's rights:
-- not by an operator that the ledger's queries would find in its search_path
CREATE ROLE cost_ledger_test_evil;
SELECT cost_ledger.grant_gateway('cost_ledger_test_evil');
CREATE SCHEMA evil AUTHORIZATION cost_ledger_test_evil;
SET SESSION AUTHORIZATION cost_ledger_test_evil;
CREATE FUNCTION evil.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'own code runs as the owner: %', current_user <> 'cost_ledger_test_evil';
    RETURN texteq($1, $2);
END
$$;
CREATE OPERATOR evil.= (leftarg = text, rightarg = text, function = evil.eq);
SET search_path = evil, pg_catalog;
INSERT INTO cost_ledger.call (called_at, provider, model, event_key, input_tokens) VALUES ('2026-11-01', 'p', 'm', 'k1', 5);
INSERT INTO cost_ledger.call (called_at, provider, model, event_key, input_tokens) VALUES ('2026-11-01', 'p', 'm', 'k1', 5);
INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage) VALUES ('2026-11-01', 'openrouter', 'm', '{"prompt_tokens": 5, "completion_tokens": 1, "cost": 0.1, "is_byok": false}');
SELECT decision FROM cost_ledger.reserve('k1', '{"team": "t"}', 1);
RESET search_path;
RESET SESSION AUTHORIZATION;
DROP SCHEMA evil CASCADE;
DROP OWNED BY cost_ledger_test_evil;
DROP ROLE cost_ledger_test_evil;

-- a correction sees what other sessions have booked, or is not made
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cost_ledger.correct_call('k1', '{"input_tokens": 6}', 'x');
ROLLBACK;

-- a price in a currency without a rate is no price, and nothing stands in
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 5}', '2026-01-01', service_class => 'batch', currency => 'EUR') > 0 AS set,
       cost_ledger.set_price('p', 'm', '{"input_tokens": 5}', '2026-01-01', customer => 'acme', currency => 'EUR') > 0 AS set_too;
SELECT cost_ledger.cost_at('2026-11-01', 'p', 'm', '{"input_tokens": 1000000}', 'batch') AS batch,
       cost_ledger.cost_at('2026-11-01', 'p', 'm', '{"input_tokens": 1000000}', customer => 'acme') AS acme,
       cost_ledger.cost_at('2026-11-01', 'p', 'm', '{"input_tokens": 1000000}') AS others;
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2026-06-01', 1.1);
SELECT cost_ledger.cost_at('2026-11-01', 'p', 'm', '{"input_tokens": 1000000}', 'batch') AS batch,
       cost_ledger.cost_at('2026-11-01', 'p', 'm', '{"input_tokens": 1000000, "output_tokens": 1000000}', customer => 'acme') AS acme,
       cost_ledger.cost_at('2026-05-01', 'p', 'm', '{"input_tokens": 1000000}', customer => 'acme') AS before_the_rate;

-- corrections: of what the application's own cache served; of a fee that was
-- not due; in a table with a generated column; each twice
ALTER TABLE cost_ledger.call ADD COLUMN is_large boolean GENERATED ALWAYS AS (input_tokens > 1000) STORED;
SELECT cost_ledger.set_price('p', 'fee', '{"input_tokens": 10, "requests": {"price": 1, "per": 1}}', '2026-01-01') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens, served_from) VALUES ('2026-11-02', 'cached', 'p', 'm', 1000000, 'response_cache'), ('2026-11-02', 'fee', 'p', 'fee', 1000000, 'model');
SELECT cost_ledger.correct_call('cached', '{"input_tokens": 2000000}', 'x') IS NOT NULL AS booked, cost_ledger.correct_call('cached', '{"input_tokens": 2000000}', 'x') IS NULL AS again,
       cost_ledger.correct_call('fee', '{"input_tokens": 1000000, "requests": 0}', 'x') IS NOT NULL AS fee_booked, cost_ledger.correct_call('fee', '{"input_tokens": 1000000, "requests": 0}', 'x') IS NULL AS fee_again;
SELECT model, sum(input_tokens) AS input_tokens, sum(cost) AS cost FROM cost_ledger.call WHERE called_at = '2026-11-02' GROUP BY model ORDER BY model;
SELECT count(*) AS to_rerate FROM cost_ledger.rerate('2026-11-02', '2026-11-03');

-- two rows with the same call_id, which replication can bring, are two calls
SET session_replication_role = replica;
COPY cost_ledger.call (call_id, called_at, recorded_at, provider, model, service_class, input_tokens, cost, pricing) FROM stdin;
5555	2026-11-14 01:00+00	2026-11-14 01:00+00	p	m	standard	1000000	10	priced
5555	2026-11-14 02:00+00	2026-11-14 01:00+00	p	m	standard	1000000	10	priced
\.
RESET session_replication_role;
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 12, "output_tokens": 20}', '2026-01-01', replace => true) > 0 AS replaced;
SELECT call_id, change, adjustment_id IS NOT NULL AS booked FROM cost_ledger.rerate('2026-11-14', '2026-11-15', dry_run => false, reason => 'x');
SELECT calls, amount FROM cost_ledger.rerate_batch;

-- partitions begin at the zone's midnight whatever the session's own settings
SET DateStyle = 'SQL, DMY';
SET TimeZone = 'Asia/Kolkata';
SELECT cost_ledger.create_partitions('2027-06-10', '2027-07-10');
SET DateStyle = 'ISO';
SET TimeZone = 'UTC';
SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname IN ('call_p2027_06', 'call_p2027_07') AND relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) ORDER BY 1;
SET DateStyle = 'Postgres, MDY';

-- of windows that overlap the first counts, so their order is a change
SELECT cost_ledger.set_price('p', 'w', '{"input_tokens": [{"price": 1, "from": "00:00", "to": "12:00"}, {"price": 2, "from": "06:00", "to": "18:00"}, 9]}', '2026-01-01') > 0 AS set;
SELECT cost_ledger.cost_at('2026-11-01 07:00+00', 'p', 'w', '{"input_tokens": 1000000}');
SELECT cost_ledger.set_price('p', 'w', '{"input_tokens": [{"price": 2, "from": "06:00", "to": "18:00"}, {"price": 1, "from": "00:00", "to": "12:00"}, 9]}', '2026-01-01', replace => true) > 0 AS replaced;
SELECT cost_ledger.cost_at('2026-11-01 07:00+00', 'p', 'w', '{"input_tokens": 1000000}');

-- an alias that cannot be matched is refused where it is made
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.model_alias (match, pattern, to_model) VALUES ('regex', '[', 'm');
\set VERBOSITY default
TRUNCATE cost_ledger.price_multiplier;
TRUNCATE cost_ledger.exchange_rate;

SELECT cost_ledger.drop_ledger(i_mean_it => true);
