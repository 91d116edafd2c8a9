-- What caches save: the prompt cache of providers, net of what writing to it costs,
-- and the application's own.
--
-- What has been saved is exact, as calls have it.  What more hits would save is an
-- estimate: at list prices, and without the writes that it takes.

CREATE VIEW cost_ledger.cache_saving_by_month WITH (security_barrier = true) AS
SELECT e.month, p.starts_at, p.ends_at,
       e.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(e.feature, '(unallocated)') AS feature,
       e.feature IS NOT NULL AS is_allocated,
       e.provider, e.model, t.tier AS model_tier, e.service_class,
       e.calls, e.billed_input_tokens, e.cache_read_tokens, e.cache_write_tokens,
       round(e.cache_read_tokens / nullif(e.billed_input_tokens, 0), 6) AS cache_hit_ratio,
       e.input_cost, e.cache_read_cost, e.cache_write_cost, e.prompt_cache_saving,
       -- Where nothing is missing, no price is asked for.
       CASE WHEN e.cache_read_tokens >= 0.70 * e.billed_input_tokens THEN 0
            ELSE trim_scale((0.70 * e.billed_input_tokens - e.cache_read_tokens)
                            * cost_ledger_internal.cache_read_discount(least(p.ends_at, now()), e.provider, e.model, e.service_class)) END AS further_saving_at_70,
       e.response_cache_calls, e.avoided_cost,
       s.currency,
       jsonb_build_array(e.month, e.feature, e.provider, e.model, e.service_class)::text AS row_key
FROM (
    SELECT m.month, m.feature, m.provider, m.model, m.service_class,
           coalesce(sum(m.calls) FILTER (WHERE m.served_from = 'model'), 0)::bigint AS calls,
           sum(m.billed_input_tokens) AS billed_input_tokens,
           coalesce(sum(m.cache_read_tokens) FILTER (WHERE m.served_from = 'model'), 0) AS cache_read_tokens,
           coalesce(sum(m.cache_write_tokens) FILTER (WHERE m.served_from = 'model'), 0) AS cache_write_tokens,
           sum(m.input_cost) AS input_cost, sum(m.cache_read_cost) AS cache_read_cost, sum(m.cache_write_cost) AS cache_write_cost,
           sum(m.prompt_cache_saving) AS prompt_cache_saving,
           coalesce(sum(m.calls) FILTER (WHERE m.served_from = 'response_cache'), 0)::bigint AS response_cache_calls,
           sum(m.avoided_cost) AS avoided_cost
    FROM cost_ledger.cost_by_month m
    GROUP BY m.month, m.feature, m.provider, m.model, m.service_class) e
LEFT JOIN cost_ledger_internal.tier_of_model t ON t.provider = e.provider AND t.model = e.model
CROSS JOIN cost_ledger_internal.report_setting s
CROSS JOIN LATERAL (SELECT cost_ledger_internal.day_start(e.month, s.time_zone) AS starts_at,
                           cost_ledger_internal.day_start((e.month + interval '1 month')::date, s.time_zone) AS ends_at) p;

COMMENT ON VIEW cost_ledger.cache_saving_by_month IS 'What do caches save, and what would they save? By month, feature, model and service class: the hit rate of the prompt cache, what it saved net of what writing to it costs, what a hit rate of 70 % would save besides, and what answers from the application''s own cache avoided.';
COMMENT ON COLUMN cost_ledger.cache_saving_by_month.feature IS 'Product feature; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cache_saving_by_month.calls IS 'Calls that models answered; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.cache_saving_by_month.cache_read_tokens IS 'Those of them that were read from the prompt cache.';
COMMENT ON COLUMN cost_ledger.cache_saving_by_month.cache_write_tokens IS 'Those of them that were written to the prompt cache, for 5 minutes or for 1 hour.';
COMMENT ON COLUMN cost_ledger.cache_saving_by_month.cache_hit_ratio IS 'cache_read_tokens / billed_input_tokens; NULL without input.';
COMMENT ON COLUMN cost_ledger.cache_saving_by_month.further_saving_at_70 IS 'What would be saved if 70 % of billed_input_tokens were read from the prompt cache: the tokens that are missing for that, each at the list price of plain input less that of a cache read, as of the end of the month or now; without what writing them costs, and without prices of customers and context tiers. 0 from 70 % on; NULL where the model has no price. what_if(cache_hit_ratio => 0.70) does it call by call.';
COMMENT ON COLUMN cost_ledger.cache_saving_by_month.response_cache_calls IS 'Calls answered from the application''s own cache, at no cost.';
