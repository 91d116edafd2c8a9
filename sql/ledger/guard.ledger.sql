-- What the ledger keeps is not emptied by one statement either.  After every other
-- table has been made: this is for all that have no such trigger of their own.

DO $truncate$
DECLARE
    kept regclass;
BEGIN
    FOR kept IN
        SELECT c.oid
        FROM pg_class c
        WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
          AND c.relkind = 'r' AND NOT c.relispartition
          -- Lists that people make, and may make anew.
          AND c.relname NOT IN ('revenue', 'annotation', 'invoice_line', 'estimate', 'estimate_result', 'model_alias', 'price_list_load')
          AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 32 <> 0)
    LOOP
        EXECUTE format('CREATE TRIGGER keep_rows BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION cost_ledger_internal.refuse_truncate()', kept);
    END LOOP;
END
$truncate$;
