-- Five versions of a price for each of some models.
SELECT count(cost_ledger.set_price('p', 'model-' || m,
    jsonb_build_object('input_tokens', 1 + m % 17 + v * 0.25, 'cache_read_tokens', 0.1 + (m % 17) * 0.1, 'output_tokens', 4 + m % 60 + v),
    timestamptz '2025-01-01' + v * interval '120 days'))
FROM generate_series(:more_than + 1, :models) AS m, generate_series(0, 4) AS v;
VACUUM ANALYZE;
