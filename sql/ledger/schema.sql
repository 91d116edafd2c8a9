-- cost_ledger: what every LLM and agent call cost, who caused it, and what to
-- do about it.  This script is generated from the files of sql/; see the Makefile.

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cost_ledger" to load this file. \quit

-- Never IF NOT EXISTS: whoever made the schema first would own what we put in.
CREATE SCHEMA cost_ledger;

COMMENT ON SCHEMA cost_ledger IS
    'Ledger of LLM and agent calls: prices, calls, budgets, alerts and reports. No privileges for PUBLIC: grant USAGE to the roles that write or read it.';

CREATE SCHEMA cost_ledger_internal;

COMMENT ON SCHEMA cost_ledger_internal IS
    'What cost_ledger is made of and nobody needs to look at: partitions, rollups, balances and their functions. Names in it may change with any version.';

CREATE FUNCTION cost_ledger.version() RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_version';

COMMENT ON FUNCTION cost_ledger.version() IS
    'Version of the loaded library, e.g. 0.1.0; it should equal extversion of pg_extension.';

CREATE FUNCTION cost_ledger_internal.is_time_zone(name text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_is_time_zone';

COMMENT ON FUNCTION cost_ledger_internal.is_time_zone(text) IS
    'Whether pg_timezone_names has the name, without reading all of the view, which takes a third of a second.';
