--
-- No careless statement takes the ledger along, whoever runs it and however it
-- comes about; a deliberate one by its owner or a superuser does, and what is
-- not ours goes on.
--
SET client_min_messages = warning;
SELECT cost_ledger.create_ledger();
SELECT * FROM cost_ledger.create_partitions('2026-03-01', '2026-03-31');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-03-03', 'openai', 'm', 1);

-- Refused, with what to do instead; the first in a session is what loads the
-- library, so each has its own.
\c -
DROP SCHEMA cost_ledger CASCADE;
\set VERBOSITY sqlstate
\c -
DROP SCHEMA public, cost_ledger_internal CASCADE;
\c -
DROP EXTENSION cost_ledger;
\c -
DROP EXTENSION cost_ledger CASCADE;
\c -
DROP TABLE cost_ledger.call CASCADE;
\c -
SET search_path = cost_ledger_internal;
SET client_min_messages = warning;
DROP TABLE call_p2026_03;
DROP TABLE rollup_day CASCADE;
\c -
ALTER TABLE cost_ledger.call DETACH PARTITION cost_ledger_internal.call_p2026_03;
\c -
ALTER TABLE cost_ledger.call DETACH PARTITION cost_ledger_internal.call_p2026_03 CONCURRENTLY;
\c -
SET client_min_messages = warning;
ALTER TABLE cost_ledger.call DROP COLUMN model CASCADE;
\c -
SET client_min_messages = warning;
ALTER TABLE cost_ledger_internal.event_key DROP COLUMN call_id CASCADE;
\c -
ALTER TABLE cost_ledger_internal.call_p2026_03 SET UNLOGGED;
\c -
DROP VIEW cost_ledger.chargeback_by_month;
\c -
SET client_min_messages = warning;
DROP VIEW cost_ledger_internal.seen_call CASCADE;
TRUNCATE cost_ledger_internal.event_key;
TRUNCATE cost_ledger_internal.rollup_month;
TRUNCATE cost_ledger.budget CASCADE;
-- What nothing keeps from being emptied: lists of people's.
SELECT c.oid::regclass AS may_be_emptied
FROM pg_class c
WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 32 <> 0) ORDER BY c.relname;
\c -
DROP SEQUENCE cost_ledger.call_call_id_seq;
\c -
DROP TRIGGER append_only ON cost_ledger.call;
\c -
ALTER TABLE cost_ledger.call DROP CONSTRAINT call_pkey;
\c -
SET client_min_messages = warning;
DO $$ BEGIN DROP EXTENSION cost_ledger CASCADE; END $$;
\c -
SET client_min_messages = warning;

-- In a function, and several at a time.
CREATE FUNCTION public.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done: ' || statement;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ': ' || statement;
END
$$;
CREATE TABLE public.careless (statement text);
INSERT INTO public.careless VALUES
    ('DROP EXTENSION cost_ledger CASCADE'),
    ('DROP TABLE cost_ledger.invoice_line, cost_ledger_internal.event_key CASCADE'),
    ('DROP TABLE public.bystander, cost_ledger.revenue CASCADE'),
    ('DROP TABLE cost_ledger.ledger CASCADE'),
    ('DROP TABLE cost_ledger.budget CASCADE'),
    ('DROP VIEW cost_ledger.call_detail CASCADE'),
    ('ALTER TABLE cost_ledger.revenue DROP COLUMN note'),
    ('DROP TABLE cost_ledger_internal.call_p2026_03'),
    ('DROP TABLE cost_ledger_internal.call_default CASCADE'),
    ('DROP TABLE cost_ledger_internal.rollup_state CASCADE'),
    ('ALTER TABLE cost_ledger.call DETACH PARTITION cost_ledger_internal.call_default'),
    ('ALTER TABLE cost_ledger.call DROP COLUMN pricing CASCADE');
CREATE TABLE public.bystander (a integer);
GRANT SELECT ON public.careless TO PUBLIC;
SELECT public.try(c.statement) FROM public.careless c;

-- By an owner who is no superuser, and by the owner of the database.
SELECT cost_ledger.drop_ledger(i_mean_it => true);
CREATE ROLE regress_guard_owner;
CREATE ROLE regress_guard_database;
CREATE ROLE regress_guard_other;
GRANT USAGE, CREATE ON SCHEMA cost_ledger, cost_ledger_internal TO regress_guard_owner;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA cost_ledger, cost_ledger_internal TO regress_guard_owner;
GRANT CREATE ON SCHEMA public TO regress_guard_other;
SELECT current_database() AS database, current_user AS installer \gset
ALTER DATABASE :"database" OWNER TO regress_guard_database;
SET ROLE regress_guard_owner;
SELECT cost_ledger.create_ledger();
SELECT * FROM cost_ledger.create_partitions('2026-03-01', '2026-03-31');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-03-03', 'openai', 'm', 1);
SELECT public.try(c.statement) FROM public.careless c;
-- It warns of each grant that it cannot revoke.
SET client_min_messages = error;
DROP OWNED BY regress_guard_owner;
DROP OWNED BY regress_guard_owner CASCADE;
RESET ROLE;
DROP OWNED BY regress_guard_owner CASCADE;
SET ROLE regress_guard_database;
SELECT public.try(c.statement) FROM public.careless c;
DROP SCHEMA cost_ledger CASCADE;
-- What migration tools do to begin anew leaves the ledger alone.
BEGIN;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
RESET ROLE;
SELECT count(*) AS calls FROM cost_ledger.call;
ROLLBACK;

-- To reassign drops nothing.
REASSIGN OWNED BY regress_guard_owner TO regress_guard_other;
REASSIGN OWNED BY regress_guard_other TO regress_guard_owner;

-- The setting counts for the owner and superusers only.
SET cost_ledger.allow_drop = on;
SET ROLE regress_guard_other;
DROP EXTENSION cost_ledger CASCADE;
DROP TABLE cost_ledger.call CASCADE;
RESET ROLE;
BEGIN;
ALTER TABLE cost_ledger.call DETACH PARTITION cost_ledger_internal.call_p2026_03;
DROP TABLE cost_ledger_internal.call_p2026_03;
SET ROLE regress_guard_owner;
DROP OWNED BY regress_guard_owner CASCADE;
RESET ROLE;
SELECT to_regclass('cost_ledger.call') AS call;
ROLLBACK;
BEGIN;
DROP EXTENSION cost_ledger CASCADE;
ROLLBACK;
RESET cost_ledger.allow_drop;

-- So does the event trigger that is disabled.
ALTER EVENT TRIGGER cost_ledger_guard DISABLE;
SELECT problem, subject, detail, hint FROM cost_ledger.ledger_problem;
BEGIN;
DROP TABLE cost_ledger_internal.call_p2026_03;
ROLLBACK;
ALTER EVENT TRIGGER cost_ledger_guard ENABLE;
SELECT * FROM cost_ledger.ledger_problem;
DROP TABLE cost_ledger_internal.call_p2026_03;

-- Tables that PostgreSQL rewrites, and columns that users add and take away, are
-- none of its business; nor is what is not the ledger's.
VACUUM (FULL, FREEZE) cost_ledger_internal.rollup_state, cost_ledger_internal.call_p2026_03;
SELECT needs_post_restore FROM cost_ledger.rollup_status;
ALTER TABLE cost_ledger.call ADD COLUMN cost_center text DEFAULT random()::text;
ALTER TABLE cost_ledger.call ADD CONSTRAINT mine CHECK (cost_center <> '');
ALTER TABLE cost_ledger.call ALTER cost_center TYPE varchar;
ALTER TABLE cost_ledger.call DROP CONSTRAINT mine;
CREATE TRIGGER mine BEFORE INSERT ON cost_ledger.call FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
DROP TRIGGER mine ON cost_ledger.call;
ALTER TABLE cost_ledger.call DROP COLUMN cost_center;
CREATE SCHEMA regress_guard_schema CREATE TABLE t (a integer) CREATE TABLE u (a integer);
ALTER TABLE regress_guard_schema.t ADD b integer, DROP a;
DROP TABLE regress_guard_schema.t;
DROP SCHEMA regress_guard_schema CASCADE;
CREATE TEMP TABLE t (a integer);
DROP TABLE t;

-- Where the library is missing, nobody's statements stop.
UPDATE pg_proc SET probin = '$libdir/no such library' WHERE probin = '$libdir/cost_ledger';
\c -
CREATE TABLE public.t (a integer);
ALTER TABLE public.t DROP a;
DROP TABLE public.t;
SELECT cost_ledger.version();
UPDATE pg_proc SET probin = '$libdir/cost_ledger' WHERE probin = '$libdir/no such library';

\c -
ALTER DATABASE :"database" OWNER TO :"installer";
SELECT cost_ledger.drop_ledger(i_mean_it => true);
-- Without a ledger there is nothing to lose.
BEGIN;
DROP SCHEMA cost_ledger_internal CASCADE;
ROLLBACK;
BEGIN;
DROP EXTENSION cost_ledger;
ROLLBACK;
DROP OWNED BY regress_guard_owner, regress_guard_database, regress_guard_other;
DROP ROLE regress_guard_owner, regress_guard_database, regress_guard_other;
DROP FUNCTION public.try(text);
DROP TABLE public.careless, public.bystander;
