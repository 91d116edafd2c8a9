-- What there is, by noun: the catalog's comments, told to who asks.  The list of
-- nouns comes from the folder that each object is made in; see the Makefile.

CREATE FUNCTION cost_ledger.help(about text DEFAULT NULL)
    RETURNS TABLE (noun text, kind text, name text, summary text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH home (object, noun) AS (VALUES
@NOUNS@
        ), object AS (
            SELECT c.relname AS object, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END AS kind, c.relname::text AS name,
                   obj_description(c.oid, 'pg_class') AS comment
            FROM pg_class c
            WHERE c.relnamespace = 'cost_ledger'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
            UNION ALL
            SELECT p.proname, CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
                   format('%s(%s)', p.proname, a.arguments), obj_description(p.oid, 'pg_proc')
            FROM pg_proc p
            -- By name, as they are written in a call; by type where they have none.
            CROSS JOIN LATERAL (SELECT string_agg(coalesce(nullif(p.proargnames[t.n], ''), format_type(t.type, NULL)), ', ' ORDER BY t.n) AS arguments
                                FROM unnest(p.proargtypes) WITH ORDINALITY AS t (type, n)) a
            WHERE p.pronamespace = 'cost_ledger'::regnamespace
            UNION ALL
            SELECT t.typname, 'type', t.typname, obj_description(t.oid, 'pg_type')
            FROM pg_type t
            WHERE t.typnamespace = 'cost_ledger'::regnamespace AND t.typtype IN ('b', 'd', 'e', 'r') AND t.typcategory <> 'A'
            UNION ALL
            -- An operator is at home where its type is.
            SELECT t.typname, 'operator', format('%s %s %s', t.typname, o.oprname, r.typname), obj_description(o.oid, 'pg_operator')
            FROM pg_operator o
            JOIN pg_type t ON t.oid = o.oprleft
            JOIN pg_type r ON r.oid = o.oprright
            WHERE o.oprnamespace = 'cost_ledger'::regnamespace
        )
        SELECT h.noun, o.kind, o.name, coalesce(substring(o.comment FROM '^(.*?(?<!e\.g|i\.e)[.?])(?: |$)'), o.comment)
        FROM object o
        LEFT JOIN home h ON h.object = o.object
        WHERE help.about IS NULL OR help.about IN (h.noun, o.object)
        ORDER BY array_position('{ledger,usage,price,call,summary,rollup,budget,alert,report,job,grant}', h.noun),
                 array_position('{table,view,type,operator,aggregate,function,procedure}', o.kind), o.name COLLATE "C";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'cost_ledger has nothing called "%"', help.about
            USING ERRCODE = 'undefined_object',
                  HINT = 'Ask for a noun (ledger, usage, price, call, summary, rollup, budget, alert, report, job, grant) or the name of an object, or SELECT * FROM cost_ledger.help();';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger.help(text) IS
    'Tables, views, functions and types that people use, by noun, each with the first sentence of its comment. about is a noun, help(''budget''), or the name of an object; left out, everything. docs/reference.md says the rest.';
