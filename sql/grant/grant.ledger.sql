-- Grants: which role may see and do what.  The privileges themselves are
-- PostgreSQL's; this is what they were given for, and what no privilege can say:
-- whose calls a reader sees, and in which space a writer's event keys are.

CREATE TABLE cost_ledger_internal.role_grant (
    role           regrole NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('writer', 'gateway', 'reader', 'team_reader', 'customer_reader', 'operator', 'admin')),
    team           text CHECK (team <> ''),
    customer       text CHECK (customer <> ''),
    key_space      text COLLATE "C" CHECK (octet_length(key_space) <= 64),
    has_returning  boolean,
    granted_at     timestamptz NOT NULL DEFAULT now(),
    granted_by     text NOT NULL DEFAULT cost_ledger_internal.caller(),
    CONSTRAINT role_grant_once UNIQUE NULLS NOT DISTINCT (role, kind, team, customer),
    CHECK ((kind = 'team_reader') = (team IS NOT NULL)),
    CHECK ((kind = 'customer_reader') = (customer IS NOT NULL)),
    CHECK ((kind IN ('writer', 'gateway')) = (key_space IS NOT NULL)),
    CHECK ((kind IN ('writer', 'gateway')) = (has_returning IS NOT NULL))
);
-- Rows have no key that is never NULL, and may be published.
ALTER TABLE cost_ledger_internal.role_grant REPLICA IDENTITY FULL;

COMMENT ON TABLE cost_ledger_internal.role_grant IS 'What roles have been granted. Written by the grant_ and revoke_ functions.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.role IS 'The role; its members inherit.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.kind IS 'writer, gateway, reader, team_reader, customer_reader, operator or admin.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.team IS 'Of a team_reader: the team whose calls it sees.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.customer IS 'Of a customer_reader: the customer whose calls it sees.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.key_space IS 'Of a writer or gateway: the space of its event keys; empty for the one of all.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.has_returning IS 'Of a writer or gateway: whether it may use INSERT … RETURNING, and so read four columns of every call.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.granted_at IS 'When it was granted.';
COMMENT ON COLUMN cost_ledger_internal.role_grant.granted_by IS 'The role that granted it.';

-- Backends keep the space of the role that writes.
CREATE TRIGGER grant_changed
    AFTER INSERT OR UPDATE OR DELETE ON cost_ledger_internal.role_grant
    FOR EACH ROW EXECUTE FUNCTION cost_ledger_internal.grant_changed();
ALTER TABLE cost_ledger_internal.role_grant ENABLE ALWAYS TRIGGER grant_changed;

-- DROP OWNED BY and REVOKE take privileges away and know nothing of this table:
-- the grants of a role that has none any more count for nothing.
CREATE VIEW cost_ledger_internal.granted_role AS
SELECT DISTINCT a.grantee AS role
FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
WHERE n.nspname = 'cost_ledger';

COMMENT ON VIEW cost_ledger_internal.granted_role IS 'Roles that have USAGE on the schema cost_ledger, which comes with every kind.';
COMMENT ON COLUMN cost_ledger_internal.granted_role.role IS 'OID of the role; 0 for PUBLIC.';

CREATE VIEW cost_ledger.grants WITH (security_barrier = true) AS
SELECT r.rolname::text AS role, g.kind, g.team, g.customer, g.key_space, g.has_returning, g.granted_at, g.granted_by,
       jsonb_build_array(r.rolname, g.kind, g.team, g.customer, g.key_space)::text AS row_key
FROM cost_ledger_internal.role_grant g
JOIN cost_ledger_internal.granted_role h ON h.role = g.role
JOIN pg_catalog.pg_roles r ON r.oid = g.role;

COMMENT ON VIEW cost_ledger.grants IS 'Who has been granted what by the grant_ functions; privileges given by hand are not in it.';
COMMENT ON COLUMN cost_ledger.grants.role IS 'The role; its members inherit.';
COMMENT ON COLUMN cost_ledger.grants.kind IS 'writer, gateway, reader, team_reader, customer_reader, operator or admin.';
COMMENT ON COLUMN cost_ledger.grants.team IS 'Of a team_reader: the team whose calls it sees.';
COMMENT ON COLUMN cost_ledger.grants.customer IS 'Of a customer_reader: the customer whose calls it sees.';
COMMENT ON COLUMN cost_ledger.grants.key_space IS 'Of a writer or gateway: the space of its event keys; empty for the shared one.';
COMMENT ON COLUMN cost_ledger.grants.has_returning IS 'Of a writer or gateway: whether it may use INSERT … RETURNING, and so read four columns of every call.';
COMMENT ON COLUMN cost_ledger.grants.granted_at IS 'When it was granted.';
COMMENT ON COLUMN cost_ledger.grants.granted_by IS 'The role that granted it.';
