-- Grants: which role may see and do what.  The privileges themselves are
-- PostgreSQL's; this is what they were given for, and what no privilege can say:
-- whose calls a reader sees, and in which space a writer's event keys are.

CREATE TABLE cost_ledger_internal.role_grant (
    role        regrole NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('writer', 'gateway', 'reader', 'team_reader', 'customer_reader', 'operator', 'admin')),
    team        text CHECK (team <> ''),
    customer    text CHECK (customer <> ''),
    key_space   text COLLATE "C" CHECK (octet_length(key_space) <= 64),
    granted_at  timestamptz NOT NULL DEFAULT now(),
    granted_by  text NOT NULL DEFAULT cost_ledger_internal.caller(),
    CONSTRAINT role_grant_once UNIQUE NULLS NOT DISTINCT (role, kind, team, customer),
    CHECK ((kind = 'team_reader') = (team IS NOT NULL)),
    CHECK ((kind = 'customer_reader') = (customer IS NOT NULL)),
    CHECK ((kind IN ('writer', 'gateway')) = (key_space IS NOT NULL))
);

COMMENT ON TABLE cost_ledger_internal.role_grant IS 'What roles have been granted. Written by the grant_ and revoke_ functions.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.role IS 'The role; its members inherit.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.kind IS 'writer, gateway, reader, team_reader, customer_reader, operator or admin.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.team IS 'Of a team_reader: the team whose calls it sees.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.customer IS 'Of a customer_reader: the customer whose calls it sees.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.key_space IS 'Of a writer or gateway: the space of its event keys; empty for the one of all.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.granted_at IS 'When it was granted.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.granted_by IS 'The role that granted it.';
