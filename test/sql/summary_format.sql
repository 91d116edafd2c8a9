-- The packed and text forms of summaries: golden vectors, which every release
-- must read and write, round trips, and what is refused.
\pset null '(null)'
SET search_path = cost_ledger, pg_catalog;

-- Golden vectors, made by an independent program: these bytes never change.
CREATE TEMP TABLE golden (name text, bytes bytea, made summary);
INSERT INTO golden
SELECT 'one', '\x010001048202'::bytea, summarize(0.0129);
INSERT INTO golden
SELECT 'zero', '\x0100010000', summarize(0);
INSERT INTO golden
SELECT 'values', '\x01200304afea019976cf8503010201', summarize(x)
FROM (VALUES (-1.5), (0.0129), (0.0129), (5)) AS v (x);
INSERT INTO golden
SELECT 'wide values', '\x0110030309000100020e0064', summarize(x)
FROM (VALUES (1e30), (-1e-20), (0)) AS v (x);
INSERT INTO golden
SELECT 'accuracy', '\x010402000201', summarize(x, 0.001)
FROM (VALUES (1), (2)) AS v (x);
INSERT INTO golden
SELECT '1 .. 100', '\x01086400f44e0263e21500988b84827870606060505850485048484848404840404840404000404000404000400000400000400000000000004000000000010000000000000100000001000001000100010001000101010001010101010000', summarize(x)
FROM generate_series(1, 100) AS x;
INSERT INTO golden
SELECT 'both signs', '\x01088d0101003132bd160048484848484850505058605868707881858a99e0870a64e0870a00998a8581787068586058505050484848484848', summarize(x)
FROM (SELECT i / 8.0 FROM generate_series(-20, 20) AS i
      UNION ALL SELECT 0 FROM generate_series(1, 100)) AS v (x);
INSERT INTO golden
SELECT 'wide sum', '\x0118120c0a000a0000000000000000009902000001020a000ae21500988b8482787060606050585048504848e0e10900', summarize(x)
FROM (SELECT i FROM generate_series(1, 17) AS i UNION ALL SELECT 1e21) AS v (x);
INSERT INTO golden
SELECT 'counts', '\x0108c9970100c0f71000e8070012e0f00a13e02113e01413e00d13e00b13e00813e007cb9401e00513e00513e00513e00313e00413e00313e00213e00313e00213e00213e00213e0021340e0c50100', summarize(x)
FROM (SELECT i / 20 FROM generate_series(1, 400) AS i
      UNION ALL SELECT 7 FROM generate_series(1, 10000)
      UNION ALL SELECT 7.1 FROM generate_series(1, 9000)
      UNION ALL SELECT 1000) AS v (x);
INSERT INTO golden
SELECT 'fine and negative', '\x010c1500a30327148bf101009091939596999b9fe02a00e02f00e03500e03a00e04200e04d00e05b00e06f00e0900100e0cb0100e0dc0200e0e06c00', summarize(x, 0.001)
FROM generate_series(-20, 0) AS x;
SELECT name, made::bytea = bytes AS writes, bytes::summary = made AS reads,
    made::text::summary = made AS text, length(bytes) AS bytes,
    (summary_info(made)).stored_bytes, pg_column_size(made) AS in_table
FROM golden ORDER BY length(bytes), name;
SELECT made FROM golden ORDER BY length(bytes), name LIMIT 5;

-- the text form is JSON
SELECT made::text::jsonb ->> 'max' AS max, jsonb_array_length(made::text::jsonb -> 'buckets') AS buckets
FROM golden WHERE name = '1 .. 100';
-- white space and trailing zeros are free
SELECT ' {"version":1,"accuracy" : 0.01,
    "count":3, "values":[ [ -1.50, 1 ],[007.0,2]] } '::summary;

-- binary COPY
SELECT current_setting('data_directory') || '/cost_ledger_summary.copy' AS file \gset
CREATE TEMP TABLE copied (LIKE golden);
COPY golden TO :'file' (FORMAT binary);
COPY copied FROM :'file' (FORMAT binary);
SELECT count(*) AS copied FROM copied JOIN golden USING (name, bytes, made);
-- text COPY
COPY golden TO :'file';
TRUNCATE copied;
COPY copied FROM :'file';
SELECT count(*) AS copied FROM copied JOIN golden USING (name, bytes, made);
SELECT 'rm ' || quote_literal(:'file') AS remove \gset
COPY (SELECT) TO PROGRAM :'remove';

-- what is refused, and why
CREATE FUNCTION pg_temp.refusal(bytes bytea) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    why text;
BEGIN
    RETURN 'read as ' || (bytes::cost_ledger.summary)::text;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || coalesce(why, SQLERRM);
END
$$;
CREATE FUNCTION pg_temp.refusal(input text) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    why text;
BEGIN
    RETURN 'read as ' || input::cost_ledger.summary;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || coalesce(why, SQLERRM);
END
$$;

SELECT what, pg_temp.refusal(bytes)
FROM (VALUES
    ('nothing', '\x'::bytea),
    ('only a version', '\x01'),
    ('another version', '\x0200010000'),
    ('an accuracy to come', '\x0105010000'),
    ('a flag to come', '\x0140010000'),
    ('buckets that repeat', '\x0128110000'),
    ('no values', '\x010000'),
    ('17 values', '\x0100110000'),
    ('a cut end', '\x0100010482'),
    ('a long end', '\x010001000000'),
    ('a scale of 17', '\x0100011102'),
    ('a scale too large', '\x0100010114'),
    ('zero with a scale', '\x0100010100'),
    ('an integer too long', '\x010001008200'),
    ('an integer too large', '\x01000100ffffffffffffffffffffffffffffffffffff0f'),
    ('a number beyond 1e20', '\x01000100ffffffffffffffffffffffffffffffffffff01'),
    ('values that do not ascend', '\x010002000200'),
    ('counts of one', '\x01200100020001'),
    ('a count of zero', '\x01200100020000'),
    ('counts beyond 2^63', '\x012002000201ffffffffffffffff7f01'),
    ('wide without need', '\x01100102000001'),
    ('a wide number cut', '\x011001040a0001'),
    ('a wide digit of 10000', '\x01100102142710'),
    ('a wide number with zeros', '\x011001041400010000'),
    ('a wide number without digits', '\x0110010100'),
    ('a wide number beyond numeric', '\x01100102feff070001'),
    ('a wide number below numeric', '\x01100102ff3f0001'),
    ('buckets for 16', '\x010810000000000000'),
    ('one bucket less', '\x01086400f44e0263e21500988b'),
    ('one value more', '\x01086500f44e0263e21500988b84827870606060505850485048484848404840404840404000404000404000400000400000400000000000004000000000010000000000000100000001000001000100010001000101010001010101010000'),
    ('another minimum', '\x01086400f44e0462e21500988b84827870606060505850485048484848404840404840404000404000404000400000400000400000000000004000000000010000000000000100000001000001000100010001000101010001010101010000'),
    ('another maximum', '\x01086400f44e0266e21500988b84827870606060505850485048484848404840404840404000404000404000400000400000400000000000004000000000010000000000000100000001000001000100010001000101010001010101010000'),
    ('an impossible sum', '\x01086400a29c010263e21500988b84827870606060505850485048484848404840404840404000404000404000400000400000400000000000004000000000010000000000000100000001000001000100010001000101010001010101010000'),
    ('a bucket the long way', '\x01081200260201e21510e02100'),
    ('a code to come', '\x01081200260201e21510fe'),
    ('a bucket out of range', '\x01081200260201e21510e0c22b00'),
    ('a bucket beyond all', '\x01081200260201e21510e0ffffffffffffff7f00'),
    ('a first bucket out of range', '\x01081200260201c42b1098'),
    ('as it should be', '\x01081200260201e2151098')
) AS v (what, bytes);

SELECT what, pg_temp.refusal(input)
FROM (VALUES
    ('nothing', ''),
    ('no object', '1'),
    ('another version', '{"version": 2, "accuracy": 0.01, "count": 1, "values": [[1, 1]]}'),
    ('another accuracy', '{"version": 1, "accuracy": 0.03, "count": 1, "values": [[1, 1]]}'),
    ('a longer accuracy', '{"version": 1, "accuracy": 0.011, "count": 1, "values": [[1, 1]]}'),
    ('no count', '{"version": 1, "accuracy": 0.01, "values": [[1, 1]]}'),
    ('count zero', '{"version": 1, "accuracy": 0.01, "count": 0, "values": []}'),
    ('no values', '{"version": 1, "accuracy": 0.01, "count": 1, "values": []}'),
    ('another count', '{"version": 1, "accuracy": 0.01, "count": 2, "values": [[1, 1]]}'),
    ('a count of zero', '{"version": 1, "accuracy": 0.01, "count": 2, "values": [[1, 0], [2, 2]]}'),
    ('a negative count', '{"version": 1, "accuracy": 0.01, "count": 2, "values": [[1, -1]]}'),
    ('a huge count', '{"version": 1, "accuracy": 0.01, "count": 9223372036854775808, "values": [[1, 9223372036854775808]]}'),
    ('values that do not ascend', '{"version": 1, "accuracy": 0.01, "count": 2, "values": [[1, 1], [1.0, 1]]}'),
    ('NaN', '{"version": 1, "accuracy": 0.01, "count": 1, "values": [[NaN, 1]]}'),
    ('Infinity', '{"version": 1, "accuracy": 0.01, "count": 1, "values": [[Infinity, 1]]}'),
    ('no digits after the point', '{"version": 1, "accuracy": 0.01, "count": 1, "values": [[1., 1]]}'),
    ('an exponent', '{"version": 1, "accuracy": 0.01, "count": 1, "values": [[1e5, 1]]}'),
    ('a sign alone', '{"version": 1, "accuracy": 0.01, "count": 1, "values": [[-, 1]]}'),
    ('something behind', '{"version": 1, "accuracy": 0.01, "count": 1, "values": [[1, 1]]} x'),
    ('no end', '{"version": 1, "accuracy": 0.01, "count": 1, "values": [[1, 1]'),
    ('counts beyond 2^63', '{"version": 1, "accuracy": 0.01, "count": 9223372036854775807, "values": [[1, 9223372036854775807], [2, 1]]}'),
    ('17 values', '{"version": 1, "accuracy": 0.01, "count": 17, "values": [[1, 1], [2, 1], [3, 1], [4, 1], [5, 1], [6, 1], [7, 1], [8, 1], [9, 1], [10, 1], [11, 1], [12, 1], [13, 1], [14, 1], [15, 1], [16, 1], [17, 1]]}'),
    ('buckets for few', '{"version": 1, "accuracy": 0.01, "count": 2, "sum": 3, "min": 1, "max": 2, "buckets": [[1393, 1], [1427, 1]]}'),
    ('buckets and their opposite', '{"version": 1, "accuracy": 0.01, "count": 20, "sum": 30, "min": 1, "max": 2, "buckets": [[1427, 10], [1393, 10]]}'),
    ('a bucket out of range', '{"version": 1, "accuracy": 0.01, "count": 20, "sum": 30, "min": 1, "max": 2, "buckets": [[1393, 10], [2786, 10]]}'),
    ('another minimum', '{"version": 1, "accuracy": 0.01, "count": 20, "sum": 30, "min": 0.5, "max": 2, "buckets": [[1393, 10], [1427, 10]]}'),
    ('minimum is maximum', '{"version": 1, "accuracy": 0.01, "count": 20, "sum": 20, "min": 1, "max": 1, "buckets": [[1393, 20]]}'),
    ('an impossible sum', '{"version": 1, "accuracy": 0.01, "count": 20, "sum": 40.0000001, "min": 1, "max": 2, "buckets": [[1393, 10], [1427, 10]]}'),
    ('an impossible wide sum', '{"version": 1, "accuracy": 0.01, "count": 20, "sum": -1.00000000000000000000001, "min": 1, "max": 2, "buckets": [[1393, 10], [1427, 10]]}'),
    ('too few in the buckets', '{"version": 1, "accuracy": 0.01, "count": 20, "sum": 30, "min": 1, "max": 2, "buckets": [[1393, 10], [1427, 9]]}'),
    ('as it should be', '{"version": 1, "accuracy": 0.01, "count": 20, "sum": 30, "min": 1, "max": 2, "buckets": [[1393, 10], [1427, 10]]}')
) AS v (what, input);
SELECT pg_temp.refusal('{"version": 1, "accuracy": 0.01, "count": 1, "values": [[' || repeat('9', n) || ', 1]]}')
FROM (VALUES (131073), (1000000)) AS v (n);
SELECT pg_temp.refusal('{"version": 1, "accuracy": 0.01, "count": 1, "values": [[0.' || repeat('9', n) || ', 1]]}')
FROM (VALUES (16384), (1000000)) AS v (n);
SELECT maximum(('{"version": 1, "accuracy": 0.01, "count": 1, "values": [[' || repeat('9', 131072) || ', 1]]}')::summary)
    = repeat('9', 131072)::numeric AS longest;
SELECT minimum(('{"version": 1, "accuracy": 0.01, "count": 1, "values": [[0.' || repeat('9', 16383) || ', 1]]}')::summary)
    = ('0.' || repeat('9', 16383))::numeric AS finest;

-- any change of a byte gives an error, or another value in its only form
CREATE FUNCTION pg_temp.survives(bytes bytea) RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE
    s cost_ledger.summary;
BEGIN
    s := bytes::cost_ledger.summary;
    PERFORM cost_ledger.quantiles(s, ARRAY[0, 0.5, 1]), cost_ledger.mean(s), cost_ledger.summary_info(s),
        cost_ledger.merge(s, s), cost_ledger.coarsen(s, 0.02), cost_ledger.histogram(s, 1);
    RETURN s::bytea = bytes AND s::text::cost_ledger.summary::bytea = bytes;
EXCEPTION
    WHEN invalid_binary_representation THEN RETURN true;
    -- two of a count near 2^63 cannot be merged, nor some be made coarser
    WHEN program_limit_exceeded OR invalid_parameter_value THEN RETURN s::bytea = bytes;
    WHEN numeric_value_out_of_range THEN RETURN s::bytea = bytes;
END
$$;
SELECT count(*) > 10000 AS many, bool_and(pg_temp.survives(set_byte(bytes, i, (get_byte(bytes, i) + d) % 256))) AS survived
FROM golden, generate_series(0, length(bytes) - 1) AS i, generate_series(1, 255, 6) AS d;
SELECT bool_and(pg_temp.survives(substr(bytes, 1, i))) AS survived
FROM golden, generate_series(0, length(bytes)) AS i;
