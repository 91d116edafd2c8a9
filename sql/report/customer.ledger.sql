-- Customers: what each costs, and what it earns.  The first is cost_by_label of
-- one label; in the second, both sides are in one grouping, so that neither loses
-- a row to the other.

CREATE VIEW cost_ledger.cost_by_customer WITH (security_barrier = true) AS
SELECT t.month, t.starts_at, t.ends_at, t.is_complete,
       t.value AS customer, t.is_allocated,
       t.calls, t.failed_calls, t.unpriced_calls, t.corrections, t.retries, t.tool_calls, t.accepted_calls, t.rejected_calls,
       t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
       t.cost, t.input_cost, t.cache_read_cost, t.cache_write_cost, t.output_cost, t.reasoning_cost, t.other_cost, t.adjustment_cost, t.avoided_cost, t.prompt_cache_saving,
       t.mean_cost_per_call, t.mean_cost_per_accepted_call, t.share,
       t.currency,
       jsonb_build_array(t.month, CASE WHEN t.is_allocated THEN t.value END)::text AS row_key
FROM cost_ledger.cost_by_label t
WHERE t.label = 'customer';

COMMENT ON VIEW cost_ledger.cost_by_customer IS 'What does each customer cost, in total, per request and per accepted outcome? All rows of a month together are the whole cost of the month: calls without a customer are a row of their own.';

CREATE VIEW cost_ledger.margin_by_customer WITH (security_barrier = true) AS
SELECT m.month,
       cost_ledger_internal.day_start(m.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((m.month + interval '1 month')::date, s.time_zone) AS ends_at,
       m.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(m.customer, '(unallocated)') AS customer,
       m.customer IS NOT NULL AS is_allocated,
       m.calls, m.unpriced_calls, m.accepted_calls,
       m.revenue, m.cost,
       m.revenue - m.cost AS margin,
       CASE WHEN m.revenue > 0 THEN round((m.revenue - m.cost) / m.revenue, 6) END AS margin_ratio,
       CASE WHEN m.revenue > 0 THEN round(m.cost / m.revenue, 6) END AS cost_to_revenue_ratio,
       -- Multiplied, not divided: exact at the limit.
       CASE WHEN m.revenue < 0 THEN m.cost > 0 ELSE m.cost > m.revenue * 0.30 END AS is_over_ceiling,
       trim_scale(m.cost / nullif(m.priced_calls, 0)) AS mean_cost_per_call,
       trim_scale(m.cost / nullif(m.accepted_calls, 0)) AS mean_cost_per_accepted_call,
       s.currency,
       jsonb_build_array(m.month, m.customer)::text AS row_key
FROM (
    SELECT u.month, u.customer,
           coalesce(sum(u.calls), 0)::bigint AS calls,
           coalesce(sum(u.priced_calls), 0)::bigint AS priced_calls,
           coalesce(sum(u.unpriced_calls), 0)::bigint AS unpriced_calls,
           coalesce(sum(u.accepted_calls), 0)::bigint AS accepted_calls,
           sum(u.revenue) AS revenue,
           -- No calls cost nothing; calls without a price cost nobody knows what.
           CASE WHEN count(u.calls) = 0 THEN 0 ELSE sum(u.cost) END AS cost
    FROM (
        SELECT t.month, CASE WHEN t.is_allocated THEN t.value END AS customer, t.calls, t.priced_calls, t.unpriced_calls, t.accepted_calls, t.cost,
               NULL::numeric AS revenue
        FROM cost_ledger.cost_by_label t
        WHERE t.label = 'customer'
        UNION ALL
        SELECT date_trunc('month', r.earned_on::timestamp)::date, r.customer, NULL, NULL, NULL, NULL, NULL, r.amount
        FROM cost_ledger.revenue r
        -- Who sees the calls of a customer sees what it pays.
        WHERE (SELECT cost_ledger_internal.sees_all())
           OR r.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])) u
    GROUP BY u.month, u.customer) m
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.margin_by_customer IS 'Does each customer pay more than its calls cost? Customers with cost and no revenue are in it, and the other way round.';
COMMENT ON COLUMN cost_ledger.margin_by_customer.customer IS 'Customer or tenant; (unallocated) for calls and revenue without one.';
COMMENT ON COLUMN cost_ledger.margin_by_customer.revenue IS 'Sum of revenue.amount, in the ledger''s currency; NULL if nothing is recorded, which is not 0.';
COMMENT ON COLUMN cost_ledger.margin_by_customer.cost IS 'Cost in the ledger''s currency, exact, corrections included; 0 without calls, NULL if no call has a price.';
COMMENT ON COLUMN cost_ledger.margin_by_customer.margin IS 'revenue - cost; NULL if either is not known.';
COMMENT ON COLUMN cost_ledger.margin_by_customer.margin_ratio IS 'margin / revenue; NULL unless revenue is above 0.';
COMMENT ON COLUMN cost_ledger.margin_by_customer.cost_to_revenue_ratio IS 'cost / revenue; NULL unless revenue is above 0.';
COMMENT ON COLUMN cost_ledger.margin_by_customer.is_over_ceiling IS 'Whether cost is more than 30 % of revenue; at a revenue of 0 or less any cost is. NULL if either is not known.';
COMMENT ON COLUMN cost_ledger.margin_by_customer.unpriced_calls IS 'Calls without a full price: what they cost beyond that is missing in cost, and the margin is that much too high.';
