-- What input is made of, and what that costs: system prompt, history, tool results,
-- tool definitions, new input, as calls say it (input_parts).
--
-- Nobody says which parts a prompt cache has answered, so each token of a call's
-- input costs what all of them did on average.  What is divided adds up: a part ends
-- where the next begins, rounded there, and the last ends with the cost itself.
--
-- Months and totals are those of cost_by_month, so that no call has to be read for
-- what it does not say; calls are read by the months that are asked for.

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
        FROM (
            SELECT m.month, c.feature, e.part,
                   count(*) AS calls, sum(e.upto - e.before) AS input_tokens,
                   sum(round(c.cost * e.upto / c.input_tokens, c.digits) - round(c.cost * e.before / c.input_tokens, c.digits)) AS cost
            FROM (SELECT DISTINCT d.month FROM cost_ledger_internal.live_total_month d WHERE d.label = 'all') m
            CROSS JOIN LATERAL (
                SELECT i.feature, i.input_tokens, i.input_parts, i.cost - coalesce(i.output_cost, 0) - coalesce(i.reasoning_cost, 0) - coalesce(i.other_cost, 0) AS cost,
                       greatest(scale(i.cost), scale(i.output_cost), scale(i.reasoning_cost), scale(i.other_cost), 12) AS digits
                FROM cost_ledger_internal.seen_call i
                WHERE i.called_at >= cost_ledger_internal.day_start(m.month, (SELECT l.time_zone FROM cost_ledger.ledger l))
                  AND i.called_at < cost_ledger_internal.day_start((m.month + interval '1 month')::date, (SELECT l.time_zone FROM cost_ledger.ledger l))
                  AND i.input_parts IS NOT NULL AND i.input_tokens > 0 AND i.corrects IS NULL AND i.served_from = 'model') c
            CROSS JOIN LATERAL (
                -- The first counts the call.
                SELECT NULL::text AS part, 0::numeric AS before, 0::numeric AS upto
                UNION ALL
                SELECT j.key, sum(j.value::numeric) OVER keys - j.value::numeric, sum(j.value::numeric) OVER keys
                FROM jsonb_each_text(c.input_parts) j
                WINDOW keys AS (ORDER BY j.key COLLATE "C")) e
            GROUP BY m.month, c.feature, e.part) d
        CROSS JOIN (VALUES (1), (-1)) AS n (sign)
        WHERE n.sign = -1 OR d.part IS NOT NULL) u
    GROUP BY u.month, u.feature, u.part) p
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_by_input_part IS 'What does each part of the input cost: system prompt, history, tool results, tool definitions, new input? One row for each month, feature and part that calls name in input_parts, and one, (unallocated), for the rest of the input. All rows together are what models were sent, and what that cost as first priced: input_cost, cache_read_cost and cache_write_cost of the cube.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.feature IS 'Product feature; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.part IS 'Name in input_parts; (unallocated) for input of which calls do not say what it is, with all corrections of tokens, and all input of months that retention has dropped.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.is_allocated IS 'Whether feature and part are said; false where one of them is (unallocated).';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.calls IS 'Calls that name the part; of (unallocated), those that name none. Corrections are not calls.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.input_tokens IS 'Tokens of the part, cached ones included. Negative for (unallocated) where corrections have taken back more.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.mean_tokens_per_call IS 'input_tokens / calls; NULL without calls.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.cost IS 'What the calls paid for these tokens in the ledger''s currency, as first priced: each token of a call the same part of what it paid for input, fresh, read from and written to the cache; in parts of 1e-12, which add up exactly. NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_by_input_part.share IS 'cost as a fraction of what the input of the feature cost in the month; NULL where that is 0 or unknown.';
