-- The cube, open to people: what calls cost by hour, day and month and all labels
-- at once, each combination once, with every measure that can be added up.
--
-- Any GROUP BY of these is right; named reports are queries over them, or over
-- the totals of one label (cost_by_label), that a reader could write.  A label is
-- NULL where calls do not say it.  Ratios cannot be added up, so there are none.

CREATE VIEW cost_ledger.cost_by_hour WITH (security_barrier = true) AS
SELECT c.hour, c.starts_at, c.ends_at, c.ends_at <= now() AS is_complete,
       c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, t.tier AS model_tier, c.service_class, c.operation, c.status,
       c.served_from,
       c.calls, c.priced_calls, c.unpriced_calls,
       CASE WHEN cost_ledger_internal.is_failure(c.status) THEN c.calls ELSE 0 END AS failed_calls,
       c.retries,
       CASE WHEN cost_ledger_internal.is_turn(c.operation) THEN c.calls ELSE 0 END AS turns,
       c.tool_calls, c.accepted_calls, c.rejected_calls, c.scored_calls, c.corrections,
       c.input_tokens, c.cache_read_tokens, c.cache_write_tokens + c.cache_write_1h_tokens AS cache_write_tokens, c.output_tokens, c.reasoning_tokens,
       CASE WHEN c.served_from = 'model' THEN c.input_tokens ELSE 0 END AS billed_input_tokens,
       CASE WHEN c.served_from = 'model' THEN c.output_tokens ELSE 0 END AS billed_output_tokens,
       c.cost,
       c.cost - coalesce(c.cache_read_cost, 0) - coalesce(c.cache_write_cost, 0) - coalesce(c.output_cost, 0) - coalesce(c.reasoning_cost, 0) - coalesce(c.other_cost, 0)
              - coalesce(c.adjustment_cost, 0) AS input_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.cache_read_cost, 0) END AS cache_read_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.cache_write_cost, 0) END AS cache_write_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.output_cost, 0) END AS output_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.reasoning_cost, 0) END AS reasoning_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.other_cost, 0) END AS other_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.adjustment_cost, 0) END AS adjustment_cost,
       c.reported_cost, c.avoided_cost, c.prompt_cache_saving, c.cost_without_run, c.score, c.call_cost AS call_cost_summary,
       (SELECT l.currency FROM cost_ledger.ledger l) AS currency,
       jsonb_build_array(extract(epoch FROM c.hour)::bigint, c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, c.service_class,
                         c.operation, c.status, c.served_from)::text AS row_key
FROM cost_ledger_internal.live_cube_hour c
LEFT JOIN cost_ledger_internal.tier_of_model t ON t.provider = c.provider AND t.model = c.model;

COMMENT ON VIEW cost_ledger.cost_by_hour IS 'What do calls cost, by hour and all labels at once? Each combination of labels once; any GROUP BY adds up. Hours are kept for ledger.retain_hours: earlier calls are in cost_by_day and cost_by_month.';

CREATE VIEW cost_ledger.cost_by_day WITH (security_barrier = true) AS
SELECT c.day, c.starts_at, c.ends_at, c.ends_at <= now() AS is_complete,
       c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, t.tier AS model_tier, c.service_class, c.operation, c.status,
       c.served_from,
       c.calls, c.priced_calls, c.unpriced_calls,
       CASE WHEN cost_ledger_internal.is_failure(c.status) THEN c.calls ELSE 0 END AS failed_calls,
       c.retries,
       CASE WHEN cost_ledger_internal.is_turn(c.operation) THEN c.calls ELSE 0 END AS turns,
       c.tool_calls, c.accepted_calls, c.rejected_calls, c.scored_calls, c.corrections,
       c.input_tokens, c.cache_read_tokens, c.cache_write_tokens + c.cache_write_1h_tokens AS cache_write_tokens, c.output_tokens, c.reasoning_tokens,
       CASE WHEN c.served_from = 'model' THEN c.input_tokens ELSE 0 END AS billed_input_tokens,
       CASE WHEN c.served_from = 'model' THEN c.output_tokens ELSE 0 END AS billed_output_tokens,
       c.cost,
       c.cost - coalesce(c.cache_read_cost, 0) - coalesce(c.cache_write_cost, 0) - coalesce(c.output_cost, 0) - coalesce(c.reasoning_cost, 0) - coalesce(c.other_cost, 0)
              - coalesce(c.adjustment_cost, 0) AS input_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.cache_read_cost, 0) END AS cache_read_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.cache_write_cost, 0) END AS cache_write_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.output_cost, 0) END AS output_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.reasoning_cost, 0) END AS reasoning_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.other_cost, 0) END AS other_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.adjustment_cost, 0) END AS adjustment_cost,
       c.reported_cost, c.avoided_cost, c.prompt_cache_saving, c.cost_without_run, c.score, c.call_cost AS call_cost_summary,
       (SELECT l.currency FROM cost_ledger.ledger l) AS currency,
       jsonb_build_array(c.day, c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, c.service_class, c.operation, c.status, c.served_from)::text AS row_key
FROM cost_ledger_internal.live_cube_day c
LEFT JOIN cost_ledger_internal.tier_of_model t ON t.provider = c.provider AND t.model = c.model;

COMMENT ON VIEW cost_ledger.cost_by_day IS 'What do calls cost, by day and all labels at once? Each combination of labels once; any GROUP BY adds up. Days are kept for ledger.retain_days: earlier calls are in cost_by_month.';

CREATE VIEW cost_ledger.cost_by_month WITH (security_barrier = true) AS
SELECT c.month, c.starts_at, c.ends_at, c.ends_at <= now() AS is_complete,
       c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, t.tier AS model_tier, c.service_class, c.operation, c.status,
       c.served_from,
       c.calls, c.priced_calls, c.unpriced_calls,
       CASE WHEN cost_ledger_internal.is_failure(c.status) THEN c.calls ELSE 0 END AS failed_calls,
       c.retries,
       CASE WHEN cost_ledger_internal.is_turn(c.operation) THEN c.calls ELSE 0 END AS turns,
       c.tool_calls, c.accepted_calls, c.rejected_calls, c.scored_calls, c.corrections,
       c.input_tokens, c.cache_read_tokens, c.cache_write_tokens + c.cache_write_1h_tokens AS cache_write_tokens, c.output_tokens, c.reasoning_tokens,
       CASE WHEN c.served_from = 'model' THEN c.input_tokens ELSE 0 END AS billed_input_tokens,
       CASE WHEN c.served_from = 'model' THEN c.output_tokens ELSE 0 END AS billed_output_tokens,
       c.cost,
       c.cost - coalesce(c.cache_read_cost, 0) - coalesce(c.cache_write_cost, 0) - coalesce(c.output_cost, 0) - coalesce(c.reasoning_cost, 0) - coalesce(c.other_cost, 0)
              - coalesce(c.adjustment_cost, 0) AS input_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.cache_read_cost, 0) END AS cache_read_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.cache_write_cost, 0) END AS cache_write_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.output_cost, 0) END AS output_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.reasoning_cost, 0) END AS reasoning_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.other_cost, 0) END AS other_cost,
       CASE WHEN c.cost IS NOT NULL THEN coalesce(c.adjustment_cost, 0) END AS adjustment_cost,
       c.reported_cost, c.avoided_cost, c.prompt_cache_saving, c.cost_without_run, c.score, c.call_cost AS call_cost_summary,
       (SELECT l.currency FROM cost_ledger.ledger l) AS currency,
       jsonb_build_array(c.month, c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, c.service_class, c.operation, c.status, c.served_from)::text AS row_key
FROM cost_ledger_internal.live_cube_month c
LEFT JOIN cost_ledger_internal.tier_of_model t ON t.provider = c.provider AND t.model = c.model;

COMMENT ON VIEW cost_ledger.cost_by_month IS 'What do calls cost, by month and all labels at once? Each combination of labels once; any GROUP BY adds up, and all of it is the cost of the ledger.';
