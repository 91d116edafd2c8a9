-- Refusals: what reserve() has turned away, and calls above a limit of a single
-- request that nobody was asked about.
--
-- Who refuses appends a row and waits for nobody; the check of the budgets adds
-- the rows up.  Both together are what has been refused.

CREATE TABLE cost_ledger_internal.refusal (
    budget_id   bigint NOT NULL,
    entity      text COLLATE "C" NOT NULL,
    refused_at  timestamptz NOT NULL,
    asked       numeric NOT NULL,
    spent       numeric NOT NULL,
    action      text NOT NULL,
    call_id     bigint
);
-- Rows have no key, and may be published.
ALTER TABLE cost_ledger_internal.refusal REPLICA IDENTITY FULL;

COMMENT ON TABLE cost_ledger_internal.refusal IS 'Refusals that are not in budget_refusal yet. Written by the ledger.';
COMMENT ON COLUMN cost_ledger_internal.refusal.budget_id IS 'The budget that refused.';
COMMENT ON COLUMN cost_ledger_internal.refusal.entity IS 'Entity of the balance.';
COMMENT ON COLUMN cost_ledger_internal.refusal.refused_at IS 'When; of a call that was made all the same, its called_at.';
COMMENT ON COLUMN cost_ledger_internal.refusal.asked IS 'How much was asked for, or the call used, in the unit of the budget''s metric.';
COMMENT ON COLUMN cost_ledger_internal.refusal.spent IS 'What had been spent.';
COMMENT ON COLUMN cost_ledger_internal.refusal.action IS 'defer or stop.';
COMMENT ON COLUMN cost_ledger_internal.refusal.call_id IS 'The call above the limit of a request that was made all the same; NULL: none was made.';

CREATE TABLE cost_ledger_internal.budget_refusal (
    budget_id     bigint NOT NULL REFERENCES cost_ledger.budget ON DELETE CASCADE,
    entity        text COLLATE "C" NOT NULL,
    period_start  timestamptz NOT NULL,
    period_end    timestamptz NOT NULL,
    refusals      bigint NOT NULL,
    calls         bigint NOT NULL,
    asked         numeric NOT NULL,
    first_at      timestamptz NOT NULL,
    last_at       timestamptz NOT NULL,
    PRIMARY KEY (budget_id, entity, period_start)
);

COMMENT ON TABLE cost_ledger_internal.budget_refusal IS 'What was refused of each budget, by entity and period. Written by check_budgets().';
COMMENT ON COLUMN cost_ledger_internal.budget_refusal.budget_id IS 'The budget.';
COMMENT ON COLUMN cost_ledger_internal.budget_refusal.entity IS 'Entity of the balance.';
COMMENT ON COLUMN cost_ledger_internal.budget_refusal.period_start IS 'First instant of the period; of a limit of requests or of calls at once, the day.';
COMMENT ON COLUMN cost_ledger_internal.budget_refusal.period_end IS 'First instant after it.';
COMMENT ON COLUMN cost_ledger_internal.budget_refusal.refusals IS 'How many times reserve() refused.';
COMMENT ON COLUMN cost_ledger_internal.budget_refusal.calls IS 'How many calls above the limit of a request were made all the same.';
COMMENT ON COLUMN cost_ledger_internal.budget_refusal.asked IS 'What was asked for in all.';
COMMENT ON COLUMN cost_ledger_internal.budget_refusal.first_at IS 'When the first was.';
COMMENT ON COLUMN cost_ledger_internal.budget_refusal.last_at IS 'When the last was.';

CREATE VIEW cost_ledger.budget_refusal WITH (security_barrier = true) AS
SELECT b.budget_id, b.name, b.metric, s.scope::text AS scope, b.each_of, r.entity, b.period,
       r.period_start AS starts_at, r.period_end AS ends_at, r.period_end <= now() AS is_complete,
       CASE WHEN b.metric = 'cost' THEN (SELECT l.currency FROM cost_ledger.ledger l) END AS currency,
       sum(r.refusals)::bigint AS refusals, sum(r.calls)::bigint AS exceeding_calls, sum(r.asked) AS asked,
       min(r.first_at) AS first_refused_at, max(r.last_at) AS last_refused_at,
       jsonb_build_array(b.budget_id, r.entity, extract(epoch FROM r.period_start))::text AS row_key
FROM (SELECT f.budget_id, f.entity, f.period_start, f.period_end, f.refusals, f.calls, f.asked, f.first_at, f.last_at
      FROM cost_ledger_internal.budget_refusal f
      UNION ALL
      SELECT n.budget_id, n.entity, n.period_start, n.period_end, n.refusals, n.calls, n.asked, n.first_at, n.last_at
      FROM cost_ledger_internal.new_refusals() n) r
JOIN cost_ledger.budget b ON b.budget_id = r.budget_id
CROSS JOIN LATERAL (
    SELECT cost_ledger_internal.entity_scope(b.scope, b.each_of, r.entity) AS scope) s
-- A scope that names other teams or customers too is not of the reader's own.
WHERE (SELECT cost_ledger_internal.sees_all())
   OR cost_ledger_internal.is_own_scope(s.scope, (SELECT cost_ledger_internal.seen_teams()), (SELECT cost_ledger_internal.seen_customers()))
GROUP BY b.budget_id, s.scope, r.entity, r.period_start, r.period_end;

COMMENT ON VIEW cost_ledger.budget_refusal IS 'What did budgets refuse? A row per budget, entity and period in which reserve() has refused a call, or one above the limit of a request was made without asking. Retries of a client count each. A check (check_only) and a pause refuse nothing here.';
COMMENT ON COLUMN cost_ledger.budget_refusal.budget_id IS 'The budget.';
COMMENT ON COLUMN cost_ledger.budget_refusal.name IS 'What people call it.';
COMMENT ON COLUMN cost_ledger.budget_refusal.metric IS 'What it counts, see budget.metric; the unit of asked.';
COMMENT ON COLUMN cost_ledger.budget_refusal.scope IS 'Calls it limits, with the entity, as JSON.';
COMMENT ON COLUMN cost_ledger.budget_refusal.each_of IS 'Column each value of which has the limit for itself; NULL for one limit.';
COMMENT ON COLUMN cost_ledger.budget_refusal.entity IS 'That value; empty for a budget of one limit.';
COMMENT ON COLUMN cost_ledger.budget_refusal.period IS 'minute, hour, day, week, month, quarter, total, request or rolling.';
COMMENT ON COLUMN cost_ledger.budget_refusal.starts_at IS 'First instant of the period; -infinity for total. Of a limit of requests or of calls at once, the day in the budget''s zone; of a rolling one, the last multiple of its length.';
COMMENT ON COLUMN cost_ledger.budget_refusal.ends_at IS 'First instant after it; infinity for total.';
COMMENT ON COLUMN cost_ledger.budget_refusal.is_complete IS 'Whether the period is over.';
COMMENT ON COLUMN cost_ledger.budget_refusal.currency IS 'ISO 4217 code of the amounts of a cost; NULL for other metrics.';
COMMENT ON COLUMN cost_ledger.budget_refusal.refusals IS 'How many times reserve() answered defer or stop by this budget.';
COMMENT ON COLUMN cost_ledger.budget_refusal.exceeding_calls IS 'How many calls above the limit of a request were made all the same.';
COMMENT ON COLUMN cost_ledger.budget_refusal.asked IS 'What was asked for in all, or used by these calls, unrounded; retries count each.';
COMMENT ON COLUMN cost_ledger.budget_refusal.first_refused_at IS 'When the first was refused, or made.';
COMMENT ON COLUMN cost_ledger.budget_refusal.last_refused_at IS 'When the last was.';
