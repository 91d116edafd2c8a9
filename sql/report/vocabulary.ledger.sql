-- Columns that mean the same in every view are said once, here, unless a view
-- has said more.

DO $comments$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT a.attrelid::regclass AS view, a.attname, w.description
        FROM (VALUES ('starts_at', 'First instant of the period, in the reporting zone.'),
                     ('ends_at', 'First instant after it.'),
                     ('is_complete', 'Whether the period is over; until then its figures are not whole.'),
                     ('currency', 'ISO 4217 code of all money in the row: the ledger''s currency.'),
                     ('row_key', 'Names the row: unique in the view, and the same whenever it is read.')) AS w (name, description)
        JOIN pg_attribute a ON a.attname = w.name AND a.attnum > 0
        JOIN pg_class v ON v.oid = a.attrelid AND v.relnamespace = 'cost_ledger'::regnamespace AND v.relkind = 'v'
        WHERE col_description(a.attrelid, a.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.description);
    END LOOP;
END
$comments$;
