-- The ledger itself: one row, so that one statement can read its settings.

CREATE TABLE cost_ledger.ledger (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version     text NOT NULL,
    time_zone   text NOT NULL,
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    created_at  timestamptz NOT NULL DEFAULT now(),
    system_identifier  bigint NOT NULL,
    xid_offset         bigint NOT NULL DEFAULT 0,
    notify_payload     text NOT NULL DEFAULT 'full' CHECK (notify_payload IN ('full', 'id')),
    unpriced_policy    text NOT NULL DEFAULT 'allow' CHECK (unpriced_policy IN ('allow', 'hold', 'stop')),
    unpriced_estimate  numeric CHECK (unpriced_estimate >= 0 AND unpriced_estimate <= 1e30 AND scale(unpriced_estimate) <= 100),
    -- Rates of spending are compared with the four weeks before.
    retain_hours       interval NOT NULL DEFAULT '35 days' CHECK (retain_hours BETWEEN interval '29 days' AND interval '1000 years'),
    retain_days        interval NOT NULL DEFAULT '13 months' CHECK (retain_days BETWEEN interval '1 month' AND interval '1000 years'),
    CONSTRAINT policy_hold_needs_unpriced_estimate CHECK (unpriced_policy <> 'hold' OR unpriced_estimate IS NOT NULL)
);

CREATE TRIGGER keep_settings
    BEFORE UPDATE ON cost_ledger.ledger
    FOR EACH ROW WHEN ((NEW.time_zone, NEW.currency) IS DISTINCT FROM (OLD.time_zone, OLD.currency))
    EXECUTE FUNCTION cost_ledger_internal.keep_settings();

CREATE TRIGGER ledger_changed
    AFTER UPDATE OR DELETE ON cost_ledger.ledger
    FOR EACH ROW EXECUTE FUNCTION cost_ledger_internal.ledger_changed();
ALTER TABLE cost_ledger.ledger ENABLE ALWAYS TRIGGER ledger_changed;

COMMENT ON TABLE cost_ledger.ledger IS 'Settings of this ledger: exactly one row.';
COMMENT ON COLUMN cost_ledger.ledger.singleton IS 'Always true: there is one ledger per database.';
COMMENT ON COLUMN cost_ledger.ledger.version IS 'Version of cost_ledger whose create_ledger() or upgrade made these tables.';
COMMENT ON COLUMN cost_ledger.ledger.time_zone IS 'Reporting zone: days, weeks and months of every report are local to it. For good.';
COMMENT ON COLUMN cost_ledger.ledger.currency IS 'ISO 4217 code of every cost in this ledger. For good.';
COMMENT ON COLUMN cost_ledger.ledger.created_at IS 'When the ledger was made.';
COMMENT ON COLUMN cost_ledger.ledger.system_identifier IS 'The cluster whose transactions the ledger counts (pg_control_system()). In another one, as wherever it is restored, the ledger records calls but counts none as consumed until post_restore().';
COMMENT ON COLUMN cost_ledger.ledger.xid_offset IS 'What is added to the cluster''s transaction ids to make call.recorded_xid: it grows with each post_restore(), so that numbers never repeat.';
COMMENT ON COLUMN cost_ledger.ledger.notify_payload IS 'What channel cost_ledger_alert gets of an alert: full, or id, which leaves out all but v, id, kind and level. Every session that listens gets it, whatever it may read; the owner sets it with UPDATE.';

COMMENT ON COLUMN cost_ledger.ledger.unpriced_policy IS 'What reserve() does about a call of a model that has no price, where no estimate is given: allow, which holds nothing of budgets of cost and says so in pricing; hold, which holds unpriced_estimate; or stop. The owner sets it with UPDATE.';
COMMENT ON COLUMN cost_ledger.ledger.unpriced_estimate IS 'What such a call is expected to cost, in the ledger''s currency, for the policy hold.';
COMMENT ON COLUMN cost_ledger.ledger.retain_hours IS 'How long sums of calls by hour and all labels are kept (rollup_hour); sums of each label by day are kept for good. 29 days at least; the owner sets it with UPDATE.';
COMMENT ON COLUMN cost_ledger.ledger.retain_days IS 'How long sums of calls by day and all labels are kept (rollup_day); those by month for good. A month at least; the owner sets it with UPDATE.';

-- A row without a table, so that nobody who plans a report takes it for many.
CREATE VIEW cost_ledger_internal.report_setting AS
SELECT (SELECT l.time_zone FROM cost_ledger.ledger l) AS time_zone,
       (SELECT l.currency FROM cost_ledger.ledger l) AS currency;

COMMENT ON VIEW cost_ledger_internal.report_setting IS 'What every report needs of the ledger: one row.';
COMMENT ON COLUMN cost_ledger_internal.report_setting.time_zone IS 'Reporting zone: days, weeks and months are local to it.';
COMMENT ON COLUMN cost_ledger_internal.report_setting.currency IS 'ISO 4217 code of every cost.';
