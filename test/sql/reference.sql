-- help() and docs/reference.md know everything that is public, and say what the
-- catalog says.
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();

-- Everything in the schema, asked of the catalog in another way: what depends on it.
CREATE TEMP TABLE public_object AS
    SELECT d.classid, d.objid, d.object_name, d.identity
    FROM (SELECT DISTINCT d.classid, d.objid, i.identity, i.name AS object_name, i.type
          FROM pg_depend d
          CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) i
          WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = 'cost_ledger'::regnamespace
            AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass)) d
    WHERE d.type NOT IN ('index', 'sequence', 'partitioned index')
      -- Types of rows and of arrays come with their own.
      AND NOT (d.classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t WHERE t.oid = d.objid AND (t.typcategory = 'A' OR t.typrelid <> 0)));
SELECT count(*) > 100 AS many, (SELECT count(*) FROM cost_ledger.help()) = count(*) AS all_told FROM public_object;
SELECT kind, name FROM cost_ledger.help() WHERE noun IS NULL OR summary IS NULL ORDER BY 1, 2;

-- All of it has a comment, columns too.
SELECT o.identity AS without_comment FROM public_object o
WHERE obj_description(o.objid, (SELECT c.relname FROM pg_class c WHERE c.oid = o.classid)) IS NULL ORDER BY 1;
SELECT o.identity, a.attname AS column_without_comment
FROM public_object o JOIN pg_attribute a ON o.classid = 'pg_class'::regclass AND a.attrelid = o.objid AND a.attnum > 0 AND NOT a.attisdropped
WHERE col_description(a.attrelid, a.attnum) IS NULL ORDER BY 1, 2;

-- By noun, by name, and not by what there is not.
SELECT noun, count(*) > 0 AS some FROM cost_ledger.help() GROUP BY noun ORDER BY min(noun);
SELECT kind, name, summary FROM cost_ledger.help('budget') WHERE kind <> 'function';
SELECT count(*) > 3 AS some, bool_and(noun = 'price') AS of_price FROM cost_ledger.help('price');
SELECT * FROM cost_ledger.help('merge');
SELECT noun, name, summary FROM cost_ledger.help('version') UNION ALL SELECT noun, name, summary FROM cost_ledger.help('unpriced_call');
SELECT * FROM cost_ledger.help('invoices');
-- Who may use the schema may ask; before there is a ledger too.
CREATE ROLE regress_reference;
GRANT USAGE ON SCHEMA cost_ledger TO regress_reference;
SET ROLE regress_reference;
SELECT count(*) > 100 AS many FROM cost_ledger.help();
RESET ROLE;
DROP OWNED BY regress_reference;
DROP ROLE regress_reference;

-- The reference is what the generator says now: "make reference" writes it.
\getenv tests PG_ABS_SRCDIR
\getenv build PG_ABS_BUILDDIR
\set generator :tests '/../script/reference.sql'
\set reference :tests '/../docs/reference.md'
\set generated :build '/results/reference.md'
\set ECHO none
\pset format unaligned
\pset tuples_only on
SET quote_all_identifiers = on;
\o :generated
\i :generator
\o
\pset tuples_only off
\pset format aligned
\set ECHO all
\set differences `diff :'reference' :'generated' 2>&1 | grep -c .`
\echo :differences
\set text `cat :'generated'`
SELECT o.identity AS not_in_reference FROM public_object o
WHERE position('### `' || CASE WHEN o.classid = 'pg_operator'::regclass THEN (SELECT format('%s %s %s', t.typname, p.oprname, t.typname) FROM pg_operator p JOIN pg_type t ON t.oid = p.oprleft WHERE p.oid = o.objid)
                          WHEN o.classid = 'pg_proc'::regclass THEN (SELECT p.proname || '()' FROM pg_proc p WHERE p.oid = o.objid)
                          ELSE o.object_name END || '`' IN :'text') = 0
ORDER BY 1;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT noun, kind, name FROM cost_ledger.help('drop_ledger');
