-- Calls that no sum can take in.  The door (src/bounds.c) lets none through
-- that is known; this is for what is not known, and for rows that came another
-- way, by replication or with triggers off.

CREATE TABLE cost_ledger_internal.quarantine (
    called_at       timestamptz NOT NULL,
    call_id         bigint NOT NULL,
    sqlstate        text NOT NULL,
    message         text NOT NULL,
    quarantined_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (called_at, call_id)
);

COMMENT ON TABLE cost_ledger_internal.quarantine IS 'Rows of call that refresh() passed over, because each failed alone, twice: not in the rollups and no balance, and left out of what proves them. Changed only while rollup_state is locked.';
COMMENT ON COLUMN cost_ledger_internal.quarantine.called_at IS 'When the call was made.';
COMMENT ON COLUMN cost_ledger_internal.quarantine.call_id IS 'The call.';
COMMENT ON COLUMN cost_ledger_internal.quarantine.sqlstate IS 'SQLSTATE of the error when it was last tried.';
COMMENT ON COLUMN cost_ledger_internal.quarantine.message IS 'That error.';
COMMENT ON COLUMN cost_ledger_internal.quarantine.quarantined_at IS 'When it was passed over.';

CREATE VIEW cost_ledger.quarantined_call WITH (security_barrier = true) AS
SELECT q.called_at, q.call_id, q.quarantined_at, q.sqlstate, q.message,
       c.recorded_at, c.corrects, c.provider, c.model, r.tier AS model_tier, c.team, c.feature, c.customer, c.run_id, c.pricing, c.cost,
       s.currency,
       q.call_id::text AS row_key
FROM cost_ledger_internal.quarantine q
-- Looked up one by one: they are few, and calls many.
LEFT JOIN LATERAL (SELECT c.* FROM cost_ledger_internal.seen_call c WHERE c.called_at = q.called_at AND c.call_id = q.call_id OFFSET 0) c ON true
LEFT JOIN cost_ledger_internal.tier_of_model r ON r.provider = c.provider AND r.model = c.model
CROSS JOIN cost_ledger_internal.report_setting s
WHERE c.call_id IS NOT NULL OR (SELECT cost_ledger_internal.sees_all());

COMMENT ON VIEW cost_ledger.quarantined_call IS 'Which calls are in quarantine, and why? They are in the ledger, but in no report and no budget: no sum could take them in. release_quarantine() brings them in once one can.';
COMMENT ON COLUMN cost_ledger.quarantined_call.called_at IS 'When the call was made.';
COMMENT ON COLUMN cost_ledger.quarantined_call.call_id IS 'The call.';
COMMENT ON COLUMN cost_ledger.quarantined_call.quarantined_at IS 'When refresh() passed it over.';
COMMENT ON COLUMN cost_ledger.quarantined_call.sqlstate IS 'SQLSTATE of the error when it was last tried.';
COMMENT ON COLUMN cost_ledger.quarantined_call.message IS 'That error.';
COMMENT ON COLUMN cost_ledger.quarantined_call.recorded_at IS 'When the row was recorded.';
COMMENT ON COLUMN cost_ledger.quarantined_call.corrects IS 'The call it corrects; NULL for a call itself.';
COMMENT ON COLUMN cost_ledger.quarantined_call.provider IS 'Who bills the call.';
COMMENT ON COLUMN cost_ledger.quarantined_call.model IS 'Model name as sent.';
COMMENT ON COLUMN cost_ledger.quarantined_call.team IS 'Team that pays.';
COMMENT ON COLUMN cost_ledger.quarantined_call.feature IS 'Feature the call served.';
COMMENT ON COLUMN cost_ledger.quarantined_call.customer IS 'Customer the call served.';
COMMENT ON COLUMN cost_ledger.quarantined_call.run_id IS 'Agent run.';
COMMENT ON COLUMN cost_ledger.quarantined_call.pricing IS 'priced, free, partial or unpriced.';
COMMENT ON COLUMN cost_ledger.quarantined_call.cost IS 'Its cost, which no report has; NULL while unpriced.';

CREATE VIEW cost_ledger_internal.signal_quarantine AS
SELECT 'calls'::text AS subject,
       count(*)::numeric AS value,
       jsonb_build_object('first_quarantined_at', min(q.quarantined_at), 'sqlstates', coalesce(jsonb_agg(DISTINCT q.sqlstate), '[]'))::text AS detail
FROM cost_ledger_internal.quarantine q;

COMMENT ON VIEW cost_ledger_internal.signal_quarantine IS 'How many calls are in quarantine, for alert_rule.';
COMMENT ON COLUMN cost_ledger_internal.signal_quarantine.subject IS 'calls.';
COMMENT ON COLUMN cost_ledger_internal.signal_quarantine.value IS 'Rows of call that reports and budgets leave out.';
COMMENT ON COLUMN cost_ledger_internal.signal_quarantine.detail IS 'Since when there are any, and the SQLSTATEs, as JSON.';
