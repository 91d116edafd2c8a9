--
-- Exactness: 100,000 calls over 1,000 price versions (a million by make
-- exactness-million), priced by the trigger, against PostgreSQL's own numeric
-- and a join on the price tables.  The numbers come from a hash, so that every
-- run has the same ones.
--
\if :{?rows}
\else
\set rows 100000
\endif
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger();
SELECT count(*) > 0 AS made FROM cost_ledger.create_partitions('2024-01-01', '2025-12-31');

CREATE FUNCTION pg_temp.dice(i bigint, salt text, sides bigint) RETURNS bigint IMMUTABLE
LANGUAGE sql AS $$ SELECT ((hashtextextended(i || salt, 42) & x'7fffffffffffffff'::bigint::bigint) % sides) $$;

-- 200 models of 5 versions; some meters without a rate, some free, scales of
-- 0 to 23 decimals; that some look like slips is meant
SET client_min_messages = warning;
SELECT count(cost_ledger.set_price('p' || m % 7, 'm' || m,
    jsonb_strip_nulls(jsonb_build_object(
        'input_tokens', pg_temp.dice(m * 10 + v, 'in', 100000000) / 10 ^ pg_temp.dice(m * 10 + v, 'in scale', 24)::numeric,
        'cache_read_tokens', CASE WHEN m % 3 <> 0 THEN pg_temp.dice(m * 10 + v, 'read', 1000000) / 10 ^ pg_temp.dice(m * 10 + v, 'read scale', 9)::numeric END,
        'cache_write_tokens', CASE WHEN m % 4 <> 0 THEN pg_temp.dice(m * 10 + v, 'write', 1000000) / 1000::numeric END,
        'cache_write_1h_tokens', CASE WHEN m % 5 = 0 THEN pg_temp.dice(m * 10 + v, 'write 1h', 1000000) / 1000::numeric END,
        'output_tokens', CASE WHEN m % 11 = 0 THEN 0 ELSE pg_temp.dice(m * 10 + v, 'out', 1000000) / 100::numeric END,
        'reasoning_tokens', CASE WHEN m % 7 = 0 THEN pg_temp.dice(m * 10 + v, 'reason', 1000000) / 100::numeric END)),
    timestamptz '2024-01-01' + v * interval '100 days 7 hours')) AS versions
FROM generate_series(1, 200) AS m, generate_series(0, 4) AS v;

INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens)
SELECT timestamptz '2024-01-01' + pg_temp.dice(i, 'time', 63072000) * interval '1 second',
       'p' || m % 7, 'm' || m, read + write + write_1h + fresh,
       CASE WHEN i % 2 = 0 THEN read ELSE 0 END, CASE WHEN i % 3 = 0 THEN write ELSE 0 END, CASE WHEN i % 5 = 0 THEN write_1h END,
       reasoning + pg_temp.dice(i, 'answer', 5000), CASE WHEN i % 2 = 0 THEN reasoning END
FROM generate_series(1, :rows) AS i,
     LATERAL (SELECT 1 + pg_temp.dice(i, 'model', 200) AS m, pg_temp.dice(i, 'fresh', CASE WHEN i % 1000 = 0 THEN 900000000000 ELSE 200000 END) AS fresh,
                     pg_temp.dice(i, 'read', 100000) AS read, pg_temp.dice(i, 'write', 30000) AS write,
                     pg_temp.dice(i, 'write 1h', 30000) AS write_1h, pg_temp.dice(i, 'reasoning', 5000) AS reasoning) AS d;

CREATE TEMP TABLE expected AS
SELECT c.called_at, c.call_id, c.cost, c.price_id,
       p.price_id AS expected_price_id,
       ( (c.input_tokens - coalesce(c.cache_read_tokens, 0) - coalesce(c.cache_write_tokens, 0) - coalesce(c.cache_write_1h_tokens, 0)) * r.input
       + coalesce(c.cache_read_tokens, 0) * coalesce(r.read, r.input)
       + coalesce(c.cache_write_tokens, 0) * coalesce(r.write, r.input)
       + coalesce(c.cache_write_1h_tokens, 0) * coalesce(r.write_1h, r.input)
       + (c.output_tokens - coalesce(c.reasoning_tokens, 0)) * r.output
       + coalesce(c.reasoning_tokens, 0) * coalesce(r.reasoning, r.output)) * 0.000001 AS expected_cost
FROM cost_ledger.call c
JOIN cost_ledger_internal.rate_card rc ON rc.provider = c.provider AND rc.model = c.model
JOIN cost_ledger_internal.price p ON p.card_id = rc.card_id AND p.valid_from <= c.called_at AND (p.valid_to IS NULL OR c.called_at < p.valid_to)
JOIN LATERAL (SELECT max(unit_price) FILTER (WHERE meter = 'input_tokens') AS input,
                     max(unit_price) FILTER (WHERE meter = 'cache_read_tokens') AS read,
                     max(unit_price) FILTER (WHERE meter = 'cache_write_tokens') AS write,
                     max(unit_price) FILTER (WHERE meter = 'cache_write_1h_tokens') AS write_1h,
                     max(unit_price) FILTER (WHERE meter = 'output_tokens') AS output,
                     max(unit_price) FILTER (WHERE meter = 'reasoning_tokens') AS reasoning
              FROM cost_ledger_internal.price_line l WHERE l.price_id = p.price_id) r ON true;

SELECT count(*) AS calls, count(DISTINCT expected_price_id) AS versions_used,
       count(*) FILTER (WHERE cost IS DISTINCT FROM expected_cost) AS wrong_cost,
       count(*) FILTER (WHERE price_id IS DISTINCT FROM expected_price_id) AS wrong_version,
       sum(cost) = sum(expected_cost) AS sums_are_equal,
       max(scale(cost)) > 20 AS deep_decimals
FROM expected;

-- the function says what the trigger did, and its explanation adds up to it
SELECT count(*) AS calls,
       count(*) FILTER (WHERE f.cost IS DISTINCT FROM c.cost) AS differ_from_cost_at,
       count(*) FILTER (WHERE e.amount IS DISTINCT FROM c.cost) AS differ_from_explanation
FROM (SELECT *, jsonb_strip_nulls(jsonb_build_object('input_tokens', input_tokens, 'cache_read_tokens', cache_read_tokens, 'cache_write_tokens', cache_write_tokens,
                        'cache_write_1h_tokens', cache_write_1h_tokens, 'output_tokens', output_tokens, 'reasoning_tokens', reasoning_tokens)) AS usage
      FROM cost_ledger.call WHERE call_id <= :rows / 5 OR :rows > 100000) c,
     LATERAL (SELECT cost_ledger.cost_at(c.called_at, c.provider, c.model, c.usage) AS cost) f,
     LATERAL (SELECT sum(amount) AS amount FROM cost_ledger.explain_cost(c.called_at, c.provider, c.model, c.usage)) e;

-- one call or two with its parts, no tier between: the same cost; zeros add
-- nothing; a count of 10^12 at a rate of 23 decimals is exact
WITH half AS (
    SELECT call_id, called_at, provider, model, input_tokens / 2 AS i1, cache_read_tokens / 2 AS r1, output_tokens / 3 AS o1,
           input_tokens AS i, cache_read_tokens AS r, output_tokens AS o
    FROM cost_ledger.call WHERE call_id <= 5000
)
SELECT count(*) AS calls,
       count(*) FILTER (WHERE c.whole IS DISTINCT FROM c.first + c.second) AS split_differs,
       count(*) FILTER (WHERE c.whole IS DISTINCT FROM c.with_zeros) AS zeros_count
FROM half h, LATERAL (SELECT
    cost_ledger.cost_at(called_at, provider, model, jsonb_build_object('input_tokens', i, 'cache_read_tokens', r, 'output_tokens', o)) AS whole,
    cost_ledger.cost_at(called_at, provider, model, jsonb_build_object('output_tokens', o1, 'cache_read_tokens', r1, 'input_tokens', i1)) AS first,
    cost_ledger.cost_at(called_at, provider, model, jsonb_build_object('input_tokens', i - i1, 'cache_read_tokens', r - r1, 'output_tokens', o - o1)) AS second,
    cost_ledger.cost_at(called_at, provider, model, jsonb_build_object('input_tokens', i, 'cache_read_tokens', r, 'output_tokens', o,
        'cache_write_tokens', 0, 'cache_write_1h_tokens', 0, 'reasoning_tokens', 0, 'input_audio_tokens', 0, 'images', 0)) AS with_zeros) AS c;
SELECT cost_ledger.set_price('p', 'fine', '{"input_tokens": {"price": 0.00000428599999999999123, "per": 1}}', '2024-01-01') > 0 AS set;
SELECT cost_ledger.cost_at('2025-01-01', 'p', 'fine', '{"input_tokens": 1000000000000}') = 1000000000000 * 0.00000428599999999999123 AS exact;

-- a new price changes no row
SELECT count(cost_ledger.set_price('p' || m % 7, 'm' || m, '{"input_tokens": 99}', '2024-06-01')) AS set FROM generate_series(1, 200) AS m;
SELECT count(*) AS changed FROM expected e JOIN cost_ledger.call c USING (called_at, call_id) WHERE c.cost <> e.cost OR c.price_id <> e.price_id;

SELECT cost_ledger.drop_ledger(i_mean_it => true);
