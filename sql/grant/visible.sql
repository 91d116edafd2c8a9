-- What readers see.  Public views run with the rights of the ledger's owner, so
-- each table or view they begin with is cut down by these, once and in one form:
--
--     WHERE (SELECT cost_ledger_internal.sees_all())
--        OR c.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
--        OR c.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])
--
-- In a subquery they are asked once per query, not once per row.  Views call them
-- for everybody, so everybody may execute them; who has no USAGE of this schema
-- cannot call them by name, and would learn of himself only.

CREATE FUNCTION cost_ledger_internal.sees_all() RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_sees_all';

COMMENT ON FUNCTION cost_ledger_internal.sees_all() IS
    'Whether the current role sees every call: it has the rights of the ledger''s owner, of a reader or of an admin. An error (0A000) for a role under row-level security of call that was granted no team or customer.';

CREATE FUNCTION cost_ledger_internal.seen_teams() RETURNS text[]
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_seen_teams';

COMMENT ON FUNCTION cost_ledger_internal.seen_teams() IS
    'Teams whose calls the current role was granted to see, by itself or by roles whose rights it has; none for one that sees all; never NULL.';

CREATE FUNCTION cost_ledger_internal.seen_customers() RETURNS text[]
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_seen_customers';

COMMENT ON FUNCTION cost_ledger_internal.seen_customers() IS
    'Customers whose calls the current role was granted to see, by itself or by roles whose rights it has; none for one that sees all; never NULL.';

CREATE FUNCTION cost_ledger_internal.live_call_from() RETURNS timestamptz
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_live_call_from';

COMMENT ON FUNCTION cost_ledger_internal.live_call_from() IS
    'Calls from this time on are read instead of the rollups of runs, sessions and users, which have no team: none (infinity) for a role that sees all, else all (-infinity).';
