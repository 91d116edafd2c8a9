--
-- The ledger's own life: made once, of the caller's objects, and removed only
-- on purpose.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.version() = (SELECT extversion FROM pg_extension WHERE extname = 'cost_ledger') AS library_is_script;

-- without a ledger, everything says so
SELECT cost_ledger.set_price('anthropic', 'm', '{"input_tokens": 3}', '2026-01-01');
SELECT cost_ledger.cost_at('2026-01-01', 'anthropic', 'm', '{"input_tokens": 3}');
SELECT cost_ledger.drop_ledger(i_mean_it => true);

-- bad settings
SELECT cost_ledger.create_ledger(time_zone => 'Mars/Olympus');
SELECT cost_ledger.create_ledger(time_zone => NULL);
SELECT cost_ledger.create_ledger(currency => 'dollars');
SELECT cost_ledger.create_ledger(currency => NULL);

SELECT cost_ledger.create_ledger(time_zone => 'Asia/Kolkata', currency => 'EUR');
SELECT version = cost_ledger.version() AS version_is_ours, time_zone, currency FROM cost_ledger.ledger;
SELECT cost_ledger.create_ledger();
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.ledger (singleton, version, time_zone, currency, system_identifier) VALUES (false, 'x', 'UTC', 'USD', 0);
\set VERBOSITY default

-- rollups and partitions of one zone, costs of one currency
UPDATE cost_ledger.ledger SET time_zone = 'UTC';
UPDATE cost_ledger.ledger SET currency = 'USD';
UPDATE cost_ledger.ledger SET time_zone = time_zone, xid_offset = 0;

-- ordinary objects: not one relation belongs to the extension
SELECT count(*) > 10 AS relations,
       count(*) FILTER (WHERE EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')) AS members
FROM pg_class c WHERE relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND relkind IN ('r', 'p', 'v');

-- what must not happen by accident
\set VERBOSITY sqlstate
DROP EXTENSION cost_ledger;
\set VERBOSITY default
SELECT cost_ledger.drop_ledger();

-- every object is explained
SELECT 'table or view' AS kind, c.oid::regclass::text AS without_comment
FROM pg_class c
WHERE relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND relkind IN ('r', 'p', 'v') AND obj_description(c.oid, 'pg_class') IS NULL
UNION ALL
SELECT 'column', a.attrelid::regclass || '.' || a.attname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND relkind IN ('r', 'p', 'v') AND NOT relispartition
  AND attnum > 0 AND NOT attisdropped AND col_description(a.attrelid, a.attnum) IS NULL
UNION ALL
SELECT 'function', p.oid::regprocedure::text
FROM pg_proc p WHERE pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND obj_description(p.oid, 'pg_proc') IS NULL
UNION ALL
SELECT 'type', t.oid::regtype::text
FROM pg_type t JOIN pg_depend d ON d.objid = t.oid AND d.deptype = 'e'
WHERE typnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND typelem = 0 AND obj_description(t.oid, 'pg_type') IS NULL
ORDER BY 1, 2;

-- a publication of all tables keeps nobody from changing a row
SELECT c.oid::regclass AS without_identity
FROM pg_class c
WHERE relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND relkind IN ('r', 'p') AND relreplident <> 'f'
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
ORDER BY 1;

-- every SQL function has its search_path, or was parsed when it was made; procedures
-- that commit excepted
SELECT p.oid::regprocedure AS without_search_path
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND lanname IN ('sql', 'plpgsql') AND prokind <> 'p' AND prosqlbody IS NULL
  AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)
ORDER BY 1;

-- nothing is SECURITY DEFINER, and private functions are private
SELECT p.oid::regprocedure AS too_powerful
FROM pg_proc p
WHERE pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
  AND (prosecdef OR (proname LIKE '\_%' AND has_function_privilege('public', p.oid, 'EXECUTE')))
ORDER BY 1;

-- public views run as the ledger's owner, and nothing of a query looks behind
-- them; internal ones are read through those
SELECT c.oid::regclass AS not_behind_a_barrier
FROM pg_class c
WHERE relkind = 'v'
  AND CASE relnamespace
        WHEN 'cost_ledger'::regnamespace
            THEN reloptions IS DISTINCT FROM '{security_barrier=true}'
                 OR relowner <> (SELECT o.relowner FROM pg_class o WHERE o.oid = 'cost_ledger.call'::regclass)
        WHEN 'cost_ledger_internal'::regnamespace
            THEN reloptions IS NOT NULL END
ORDER BY 1;

--
-- Partitions: months of the reporting zone (+05:30).
--
SELECT cost_ledger.create_partitions('2026-03-15', '2026-04-10');
SELECT cost_ledger.create_partitions('2026-03-15', '2026-04-10');
SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'cost_ledger_internal.call_p2026_04'::regclass;
SELECT cost_ledger.create_partitions('2026-03-15', 'infinity');
SELECT cost_ledger.create_partitions('2026-03-15', NULL);
SELECT cost_ledger.create_partitions('2026-03-15', '2026-03-14');
SELECT cost_ledger.create_partitions('1000-01-01', '2026-01-01');

-- rows that came first wait in the default partition, and are moved as they are
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES
    ('2025-01-31 18:29:59+00', 'openai', 'early', 1),       -- 31 January, 23:59:59 in Kolkata
    ('2025-01-31 18:30:00+00', 'openai', 'february', 2),    -- 1 February
    ('2025-02-28 18:30:00+00', 'openai', 'late', 3);        -- 1 March
CREATE TABLE before_move AS SELECT * FROM cost_ledger.call;
SELECT tableoid::regclass, model FROM cost_ledger.call ORDER BY called_at;
SELECT cost_ledger.create_partitions('2025-02-01 00:00+05:30', '2025-02-28 00:00+05:30');
SELECT tableoid::regclass, model FROM cost_ledger.call ORDER BY called_at;
(TABLE before_move EXCEPT ALL TABLE cost_ledger.call) UNION ALL (TABLE cost_ledger.call EXCEPT ALL TABLE before_move);
DROP TABLE before_move;

-- every partition, moved ones too, has the parent's triggers, always on
SELECT count(DISTINCT c.oid) > 5 AS partitions,
       count(*) FILTER (WHERE t.tgname IN ('price_call', 'append_only', 'append_only_truncate') AND t.tgenabled = 'A')
           = 3 * count(DISTINCT c.oid) AS all_guarded
FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
WHERE c.relispartition AND c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind = 'r';

-- append-only, on the parent and on each partition
UPDATE cost_ledger.call SET team = 'x';
DELETE FROM cost_ledger.call;
TRUNCATE cost_ledger.call;
UPDATE cost_ledger_internal.call_p2025_02 SET team = 'x';
DELETE FROM cost_ledger_internal.call_p2025_02;
TRUNCATE cost_ledger_internal.call_p2025_02;
TRUNCATE cost_ledger_internal.call_default;
SET session_replication_role = replica;
DELETE FROM cost_ledger.call;
TRUNCATE cost_ledger_internal.call_p2025_02;
RESET session_replication_role;
SELECT count(*) FROM cost_ledger.call;

-- the triggers are not for anybody else
SELECT cost_ledger_internal.price_call();
CREATE TABLE other (a int);
CREATE TRIGGER t BEFORE UPDATE ON other FOR EACH ROW EXECUTE FUNCTION cost_ledger_internal.price_call();
INSERT INTO other VALUES (1);
UPDATE other SET a = 2;
CREATE TRIGGER t2 BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION cost_ledger_internal.price_changed();
INSERT INTO other VALUES (1);
DROP TRIGGER t2 ON other;
CREATE TRIGGER t3 BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION cost_ledger_internal.price_call();
INSERT INTO other VALUES (1);
DROP TABLE other;

-- the ledger goes as a whole, unless something outside needs it
CREATE VIEW public.mine AS SELECT team, sum(cost) FROM cost_ledger.call GROUP BY team;
\set VERBOSITY sqlstate
SELECT cost_ledger.drop_ledger(i_mean_it => true);
\set VERBOSITY default
DROP VIEW public.mine;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT count(*) FROM pg_class WHERE relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND relkind IN ('r', 'p', 'v', 'm', 'S');

-- and can be made again, in the same session
SELECT cost_ledger.create_ledger();
INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'm', 1, 'k') RETURNING call_id, pricing;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.create_ledger();
INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'm', 1, 'k') RETURNING call_id, pricing;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
