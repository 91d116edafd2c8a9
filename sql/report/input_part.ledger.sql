-- What input is made of, and what that costs: system prompt, history, tool results,
-- tool definitions, new input, as calls say it (input_parts).
--
-- Months and totals are those of cost_by_month, parts those of their rollup: no call
-- has to be read.

CREATE VIEW cost_ledger.cost_by_input_part WITH (security_barrier = true) AS
SELECT p.month,
       cost_ledger_internal.day_start(p.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((p.month + interval '1 month')::date, s.time_zone) AS ends_at,
       p.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(p.feature, '(unallocated)') AS feature,
       coalesce(p.part, '(unallocated)') AS part,
       p.feature IS NOT NULL AND p.part IS NOT NULL AS is_allocated,
       p.calls,
       p.input_tokens,
       trim_scale(p.input_tokens / nullif(p.calls, 0)) AS mean_tokens_per_call,
       trim_scale(p.cost) AS cost,
       round(p.cost / nullif(sum(p.cost) OVER (PARTITION BY p.month, p.feature), 0), 6) AS share,
       s.currency,
       jsonb_build_array(p.month, p.feature, p.part)::text AS row_key
FROM (
    SELECT u.month, u.feature, u.part,
           sum(u.calls)::bigint AS calls, sum(u.input_tokens) AS input_tokens, sum(u.cost) AS cost
    FROM (
        SELECT t.month, t.feature, NULL::text AS part,
               t.calls::numeric AS calls, t.input_tokens, t.input_cost + t.cache_read_cost + t.cache_write_cost AS cost
        FROM cost_ledger.cost_by_month t
        WHERE t.served_from = 'model'
        UNION ALL
        -- What a part has, the rest has no longer.
        SELECT d.month, d.feature, CASE WHEN n.sign = 1 THEN d.part END,
               CASE WHEN n.sign = 1 THEN d.calls WHEN d.part IS NULL THEN -d.calls ELSE 0 END, n.sign * d.input_tokens, n.sign * d.cost
        FROM cost_ledger_internal.live_input_part_month d
        CROSS JOIN (VALUES (1), (-1)) AS n (sign)
        WHERE n.sign = -1 OR d.part IS NOT NULL) u
    GROUP BY u.month, u.feature, u.part) p
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_by_input_part IS 'What does each part of the input cost: system prompt, history, tool results, tool definitions, new input? One row for each month, feature and part that calls name in input_parts, and one, (unallocated), for the rest of the input. All rows together are what models were sent, and what that cost as first priced: input_cost, cache_read_cost and cache_write_cost of the cube.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.feature IS 'Product feature; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.part IS 'Name in input_parts, beyond 1 kB shortened as labels are; (unallocated) for input of which calls do not say what it is, with all corrections of tokens.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.is_allocated IS 'Whether feature and part are said; false where one of them is (unallocated).';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.calls IS 'Calls that name the part; of (unallocated), those that name none. Corrections are not calls.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.input_tokens IS 'Tokens of the part, cached ones included. Negative for (unallocated) where corrections have taken back more.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.mean_tokens_per_call IS 'input_tokens / calls; NULL without calls.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.cost IS 'What the calls paid for these tokens in the ledger''s currency, as first priced: each token of a call the same part of what it paid for input, fresh, read from and written to the cache; in parts of 1e-12, which add up exactly. NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.share IS 'cost as a fraction of what the input of the feature cost in the month; NULL where that is 0 or unknown.';
