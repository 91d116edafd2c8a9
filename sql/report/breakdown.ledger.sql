-- The bill in one breakdown: each cent in exactly one component.
--
-- A call that is no turn is overhead as a whole, by what its operation says; a turn of
-- a sub-agent is the sub-agent's as a whole; what is left are the turns of the work
-- itself, and their cost goes by what was paid for.  So whatever is asked first takes
-- the whole call, and no part of a call is asked for twice.

CREATE VIEW cost_ledger.cost_breakdown_by_month WITH (security_barrier = true) AS
SELECT b.month,
       cost_ledger_internal.day_start(b.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((b.month + interval '1 month')::date, s.time_zone) AS ends_at,
       b.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(b.feature, '(unallocated)') AS feature,
       b.feature IS NOT NULL AS is_allocated,
       b.component, b.calls, b.unpriced_calls, b.cost,
       round(b.cost / nullif(sum(b.cost) OVER (PARTITION BY b.month, b.feature), 0), 6) AS feature_share,
       round(b.cost / nullif(sum(b.cost) OVER (PARTITION BY b.month), 0), 6) AS share,
       s.currency,
       jsonb_build_array(b.month, b.feature, b.component)::text AS row_key
FROM (
    SELECT p.month, p.feature, c.component,
           sum(c.calls)::bigint AS calls, sum(c.unpriced_calls)::bigint AS unpriced_calls, trim_scale(sum(c.cost)) AS cost
    FROM (
        SELECT g.month, g.feature, g.component, g.calls, g.unpriced_calls, g.cost,
               g.cache_cost, g.output_cost, g.other_cost, g.adjustment_cost,
               -- Reasoning that has no rate of its own costs what output does; a quotient
               -- ends at 1e-12, and output has the rest.
               g.reasoning_cost + CASE WHEN g.reasoning_cost = 0 AND g.reasoning_tokens > 0 AND g.reasoning_tokens <= g.output_tokens
                                       THEN round(g.output_cost * g.reasoning_tokens / g.output_tokens, 12) ELSE 0 END AS reasoning_cost,
               g.output_cost + g.reasoning_cost AS all_output_cost
        FROM (
            SELECT u.month, u.feature, u.component,
                   sum(u.sign * u.calls) AS calls, sum(u.sign * u.unpriced_calls) AS unpriced_calls,
                   sum(u.sign * u.output_tokens) AS output_tokens, sum(u.sign * u.reasoning_tokens) AS reasoning_tokens,
                   sum(u.sign * u.cost) AS cost,
                   coalesce(sum(u.sign * u.cache_read_cost), 0) + coalesce(sum(u.sign * u.cache_write_cost), 0) AS cache_cost,
                   coalesce(sum(u.sign * u.output_cost), 0) AS output_cost, coalesce(sum(u.sign * u.reasoning_cost), 0) AS reasoning_cost,
                   coalesce(sum(u.sign * u.other_cost), 0) AS other_cost, coalesce(sum(u.sign * u.adjustment_cost), 0) AS adjustment_cost
            FROM (
                SELECT 1 AS sign, m.month, m.feature, m.provider, m.model, m.service_class, cost_ledger_internal.call_component(m.operation) AS component,
                       m.calls, m.unpriced_calls, m.output_tokens, m.reasoning_tokens, m.cost,
                       m.cache_read_cost, m.cache_write_cost, m.output_cost, m.reasoning_cost, m.other_cost, m.adjustment_cost
                FROM cost_ledger_internal.live_cube_month m
                UNION ALL
                -- What sub-agents have, the work itself has no longer.
                SELECT n.sign, r.month, r.feature, r.provider, r.model, r.service_class, n.component,
                       r.calls, r.unpriced_calls, r.output_tokens, r.reasoning_tokens, r.cost,
                       r.cache_read_cost, r.cache_write_cost, r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost
                FROM cost_ledger_internal.live_subrun_month r
                CROSS JOIN (VALUES (1, 'sub_agents'), (-1, NULL)) AS n (sign, component)
                WHERE cost_ledger_internal.call_component(r.operation) IS NULL) u
            GROUP BY u.month, u.feature, u.provider, u.model, u.service_class, u.component) g) p
    CROSS JOIN LATERAL (
        SELECT p.component, p.calls, p.unpriced_calls, p.cost WHERE p.component IS NOT NULL
        UNION ALL
        SELECT v.component, v.calls, v.unpriced_calls, v.cost
        FROM (VALUES ('input', p.calls, p.unpriced_calls, p.cost - p.cache_cost - p.all_output_cost - p.other_cost - p.adjustment_cost),
                     ('cache', p.calls, 0, p.cache_cost),
                     ('output', p.calls, 0, p.all_output_cost - p.reasoning_cost),
                     ('reasoning', p.calls, 0, p.reasoning_cost),
                     ('tools', p.calls, 0, p.other_cost),
                     ('adjustments', p.calls, 0, p.adjustment_cost)) AS v (component, calls, unpriced_calls, cost)
        WHERE p.component IS NULL AND (v.component = 'input' AND (p.calls <> 0 OR p.cost <> 0) OR v.cost <> 0)) c
    GROUP BY p.month, p.feature, c.component) b
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_breakdown_by_month IS 'What is the bill made of? One row for each month, feature and component, each cent in exactly one, so all rows together are the cost of the ledger. A call belongs to the first that applies. By its operation: retries, fallbacks, evals (eval, judge), embeddings, rerank, moderation, background, routing. A turn that says parent_run_id, or of operation subagent: sub_agents. Of all other turns the cost goes by what was paid for: input, cache (read from and written to the prompt cache), output, reasoning, tools (what is not billed by token: web searches, code sessions, images, seconds, requests), adjustments (corrections and re-ratings).';
COMMENT ON COLUMN cost_ledger.cost_breakdown_by_month.feature IS 'Product feature; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cost_breakdown_by_month.component IS 'input, cache, output, reasoning, tools, adjustments, sub_agents, retries, fallbacks, evals, embeddings, rerank, moderation, background or routing. A component that cost nothing and had no calls has no row.';
COMMENT ON COLUMN cost_ledger.cost_breakdown_by_month.calls IS 'Calls of the component. Those of input, cache, output, reasoning, tools and adjustments are the same calls, as far as models and service classes have the component: do not add these up.';
COMMENT ON COLUMN cost_ledger.cost_breakdown_by_month.unpriced_calls IS 'Calls without a full price, as in unpriced_call: what they cost beyond that is missing in cost. Those of the work itself are in the row input.';
COMMENT ON COLUMN cost_ledger.cost_breakdown_by_month.cost IS 'Cost of the component in the ledger''s currency; NULL where nothing has a price. Of reasoning without a rate of its own: output of the same model and service class, in proportion to reasoning_tokens, to 12 decimals; output has the rest.';
COMMENT ON COLUMN cost_ledger.cost_breakdown_by_month.feature_share IS 'cost as a fraction of what the feature cost in the month; NULL where that is 0 or unknown.';
COMMENT ON COLUMN cost_ledger.cost_breakdown_by_month.share IS 'cost as a fraction of what the month cost; NULL where that is 0 or unknown.';
