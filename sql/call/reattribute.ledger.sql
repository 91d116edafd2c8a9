-- What was moved or taken back, row by row, for who audits the ledger.

CREATE VIEW cost_ledger.restatement WITH (security_barrier = true) AS
SELECT v.batch_id, v.called_at, v.call_id, v.reversal_id, v.restatement_id,
       CASE WHEN v.restatement_id IS NULL THEN 'taken back' ELSE 'moved' END AS outcome,
       c.provider, c.model, r.tier AS model_tier, c.corrects IS NOT NULL AS is_correction,
       c.cost AS old_cost, n.cost AS new_cost,
       b.labels::text AS labels, b.reason, b.created_at, b.created_by,
       s.currency,
       v.call_id::text AS row_key
FROM cost_ledger_internal.reversal v
JOIN cost_ledger.call c ON c.called_at = v.called_at AND c.call_id = v.call_id
LEFT JOIN cost_ledger.call n ON n.called_at = v.called_at AND n.call_id = v.restatement_id
LEFT JOIN cost_ledger.restatement_batch b ON b.batch_id = v.batch_id
LEFT JOIN cost_ledger_internal.tier_of_model r ON r.provider = c.provider AND r.model = c.model
CROSS JOIN cost_ledger_internal.report_setting s
WHERE (SELECT cost_ledger_internal.sees_all());

COMMENT ON VIEW cost_ledger.restatement IS 'Which rows were moved to other labels, or taken back, by whom and why? One row for each row of call, corrections too. For who may see all calls.';
COMMENT ON COLUMN cost_ledger.restatement.batch_id IS 'The batch: restatement_batch; NULL for what came by replication.';
COMMENT ON COLUMN cost_ledger.restatement.called_at IS 'When the call was made: that of all three rows.';
COMMENT ON COLUMN cost_ledger.restatement.call_id IS 'The row that was taken back.';
COMMENT ON COLUMN cost_ledger.restatement.reversal_id IS 'The row of call that takes it back: its call_id.';
COMMENT ON COLUMN cost_ledger.restatement.restatement_id IS 'The row of call in its place: its call_id; NULL where there is none.';
COMMENT ON COLUMN cost_ledger.restatement.outcome IS 'moved; or taken back.';
COMMENT ON COLUMN cost_ledger.restatement.provider IS 'Who bills the call.';
COMMENT ON COLUMN cost_ledger.restatement.model IS 'Model name as sent.';
COMMENT ON COLUMN cost_ledger.restatement.is_correction IS 'Whether the row is a correction of the call.';
COMMENT ON COLUMN cost_ledger.restatement.old_cost IS 'Cost of the row that was taken back, in the ledger''s currency, exact; NULL while unpriced.';
COMMENT ON COLUMN cost_ledger.restatement.new_cost IS 'Cost of the row in its place; NULL while unpriced, or where there is none.';
COMMENT ON COLUMN cost_ledger.restatement.labels IS 'The labels it was given, as JSON; NULL where it was taken back.';
COMMENT ON COLUMN cost_ledger.restatement.reason IS 'Why it was done.';
COMMENT ON COLUMN cost_ledger.restatement.created_at IS 'When it was booked.';
COMMENT ON COLUMN cost_ledger.restatement.created_by IS 'The role that booked it.';
