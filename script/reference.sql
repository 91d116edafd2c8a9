-- The reference as Markdown, in lines.  Independent of the session: defaults of
-- arguments are shown in its styles, types and names quoted as it likes.
SET search_path = pg_catalog;
SET IntervalStyle = postgres;
SET DateStyle = ISO;
SET TIME ZONE 'UTC';
SET quote_all_identifiers = off;
SET standard_conforming_strings = on;

WITH noun (n, noun, meaning) AS (VALUES
    (1, 'ledger', 'The whole: made, owned, dropped, restored; its settings.'),
    (2, 'usage', 'What a call consumed, as counts.'),
    (3, 'price', 'Rate cards in versions, and how a call finds its price.'),
    (4, 'call', 'The append-only record: each row carries its cost.'),
    (5, 'summary', 'The type: exact count, sum, minimum and maximum, and quantiles.'),
    (6, 'rollup', 'Sums per time and labels, which reports read.'),
    (7, 'budget', 'Limits over a scope and period, and what is held of them.'),
    (8, 'alert', 'What somebody should hear of: a row first, then a bell.'),
    (9, 'report', 'What people and BI tools read.'),
    (10, 'job', 'What has to be done every minute.'),
    (11, 'grant', 'What a role may see and do.')
), home AS (
    SELECT DISTINCT h.noun, h.kind, split_part(h.name, '(', 1) AS object FROM cost_ledger.help() h
), entry (object, kind, k, signature, comment, details) AS (
    SELECT c.relname::text, o.kind, o.k, format('`%s`', c.relname), obj_description(c.oid, 'pg_class'),
           (SELECT E'| column | type | |\n|---|---|---|\n'
                   || string_agg(format('| `%s` | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod),
                                        regexp_replace(coalesce(col_description(c.oid, a.attnum), ''), '([<*|])', '\\\1', 'g')), E'\n' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
    FROM pg_class c
    CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END AS kind, CASE c.relkind WHEN 'v' THEN 2 ELSE 1 END AS k) o
    WHERE c.relnamespace = 'cost_ledger'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
    UNION ALL
    SELECT p.proname, o.kind, o.k, format('`%s()`', p.proname), obj_description(p.oid, 'pg_proc'),
           format(E'```sql\n%s(%s)%s\n```', p.proname, pg_get_function_arguments(p.oid), ' → ' || pg_get_function_result(p.oid))
    FROM pg_proc p
    CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
                               CASE p.prokind WHEN 'p' THEN 6 WHEN 'a' THEN 4 ELSE 5 END AS k) o
    WHERE p.pronamespace = 'cost_ledger'::regnamespace
    UNION ALL
    SELECT t.typname, 'type', 3, format('`%s`', t.typname), obj_description(t.oid, 'pg_type'), NULL
    FROM pg_type t
    WHERE t.typnamespace = 'cost_ledger'::regnamespace AND t.typtype IN ('b', 'd', 'e', 'r') AND t.typcategory <> 'A'
    UNION ALL
    SELECT n.name, 'operator', 3, format('`%s`', n.name), obj_description(o.oid, 'pg_operator'), NULL
    FROM pg_operator o
    CROSS JOIN LATERAL (SELECT format('%s %s %s', t.typname, o.oprname, r.typname) AS name
                        FROM pg_type t, pg_type r WHERE t.oid = o.oprleft AND r.oid = o.oprright) n
    WHERE o.oprnamespace = 'cost_ledger'::regnamespace
), heading AS (
    -- Functions of one name are told together, each with its arguments.
    SELECT h.noun, e.k, e.object, format(E'### %s\n\n*%s.*', e.signature, e.kind)
           || string_agg(E'\n\n' || CASE WHEN e.k > 3 THEN coalesce(e.details || E'\n\n', '') || e.comment
                                         ELSE e.comment || coalesce(E'\n\n' || e.details, '') END, '' ORDER BY e.details COLLATE "C") AS text
    FROM (SELECT e.object, e.kind, e.k, e.signature, e.details, regexp_replace(e.comment, '([<*])', '\\\1', 'g') AS comment FROM entry e) e
    JOIN home h ON h.object = e.object AND h.kind = e.kind
    GROUP BY h.noun, e.k, e.kind, e.object, e.signature
)
SELECT E'# Reference\n\nEverything in schema `cost_ledger`, by noun: what people fill, ask and call. `make reference` writes this file from the comments in the\ncatalog; `SELECT * FROM cost_ledger.help()` is its table of contents. The words that all of it uses are in [design](design.md#one-word-for-one-thing).'
       || string_agg(format(E'\n\n## %s%s\n\n%s', upper(left(n.noun, 1)), substr(n.noun, 2), n.meaning) || coalesce(h.texts, ''), '' ORDER BY n.n)
FROM noun n
LEFT JOIN (SELECT h.noun, string_agg(E'\n\n' || h.text, '' ORDER BY h.k, h.object COLLATE "C") AS texts FROM heading h GROUP BY h.noun) h USING (noun);

RESET search_path;
RESET IntervalStyle;
RESET DateStyle;
RESET timezone;
RESET quote_all_identifiers;
RESET standard_conforming_strings;
