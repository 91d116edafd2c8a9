-- Who may call what, to begin with: nobody but the superuser who installs.
-- PUBLIC keeps what computes with its arguments only, and what views, columns
-- and casts call for whoever may use those; nobody can call that by its name
-- without USAGE on cost_ledger_internal.  The rest is given by kinds (grant.sql).
--
-- Comes last: whatever a piece makes, it makes for nobody.

REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA cost_ledger, cost_ledger_internal FROM PUBLIC;

GRANT EXECUTE ON FUNCTION
    cost_ledger.version,
    cost_ledger.help,
    cost_ledger.normalize_usage,
    cost_ledger.usage_status
    TO PUBLIC;

-- The type summary.
GRANT EXECUTE ON FUNCTION
    cost_ledger.summarize(numeric),
    cost_ledger.summarize(numeric, double precision),
    cost_ledger.summarize(double precision),
    cost_ledger.summarize(double precision, double precision),
    cost_ledger.summarize(bigint),
    cost_ledger.summarize(bigint, double precision),
    cost_ledger.merge(cost_ledger.summary),
    cost_ledger.merge(cost_ledger.summary, cost_ledger.summary),
    cost_ledger.p50(numeric),
    cost_ledger.p50(double precision),
    cost_ledger.p50(bigint),
    cost_ledger.p50(cost_ledger.summary),
    cost_ledger.p95(numeric),
    cost_ledger.p95(double precision),
    cost_ledger.p95(bigint),
    cost_ledger.p95(cost_ledger.summary),
    cost_ledger.p99(numeric),
    cost_ledger.p99(double precision),
    cost_ledger.p99(bigint),
    cost_ledger.p99(cost_ledger.summary),
    cost_ledger.quantile,
    cost_ledger.quantiles,
    cost_ledger.mean,
    cost_ledger.total,
    cost_ledger.num_values,
    cost_ledger.minimum,
    cost_ledger.maximum,
    cost_ledger.rank,
    cost_ledger.coarsen,
    cost_ledger.summary_info,
    cost_ledger.histogram,
    cost_ledger_internal.summary_in,
    cost_ledger_internal.summary_out,
    cost_ledger_internal.summary_send,
    cost_ledger_internal.summary_eq,
    cost_ledger_internal.summary_ne,
    cost_ledger_internal.summary_hash,
    cost_ledger_internal.summary_hash_extended,
    cost_ledger_internal.summary_to_bytea,
    cost_ledger_internal.summary_from_bytea
    TO PUBLIC;

-- What views and columns call.
GRANT EXECUTE ON FUNCTION
    cost_ledger_internal.caller,
    cost_ledger_internal.day_start,
    cost_ledger_internal.is_failure,
    cost_ledger_internal.is_turn,
    cost_ledger_internal.is_foreign,
    cost_ledger_internal.shorten_id,
    cost_ledger_internal.first_call,
    cost_ledger_internal.merge_labels,
    cost_ledger_internal.consumed_to,
    cost_ledger_internal.unconsumed_xids,
    cost_ledger_internal.unconsumed_base,
    cost_ledger_internal.partly_consumed,
    cost_ledger_internal.week_of,
    cost_ledger_internal.sees_all,
    cost_ledger_internal.seen_teams,
    cost_ledger_internal.seen_customers,
    cost_ledger_internal.live_call_from,
    cost_ledger_internal.key_space,
    cost_ledger_internal.recorded_call,
    cost_ledger_internal.is_own_scope,
    cost_ledger_internal.entity_scope,
    cost_ledger_internal.each_columns,
    cost_ledger_internal.run_depth,
    cost_ledger_internal.root_of_run,
    cost_ledger_internal.moved_runs,
    cost_ledger_internal.unconsumed_calls,
    cost_ledger_internal.seen_calls,
    cost_ledger_internal.partitions,
    cost_ledger_internal.is_consumed,
    cost_ledger_internal.budget_period,
    cost_ledger_internal.find_calls,
    cost_ledger_internal.unposted_spend,
    cost_ledger_internal.new_refusals,
    cost_ledger_internal.project_spend,
    cost_ledger_internal.days_left,
    cost_ledger_internal.daily_spend,
    cost_ledger_internal.spend_rate,
    cost_ledger_internal.budget_velocity,
    cost_ledger_internal.project_labels,
    cost_ledger_internal.explain_call,
    cost_ledger_internal.unpriced_reason
    TO PUBLIC;
