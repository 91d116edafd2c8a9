-- The ledger itself: one row, so that one statement can read its settings.

CREATE TABLE cost_ledger.ledger (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version     text NOT NULL,
    time_zone   text NOT NULL,
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    created_at  timestamptz NOT NULL DEFAULT now(),
    system_identifier  bigint NOT NULL,
    xid_offset         bigint NOT NULL DEFAULT 0
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
