-- Problems of the ledger itself: what no statement of ours does, and nothing
-- else would notice.

-- A table's trigger may be gone, or off, or no longer ALWAYS, which replication
-- and session_replication_role go round.
CREATE VIEW cost_ledger_internal.broken_trigger AS
WITH always (relation, name) AS (
    SELECT p.relation, t.name
    FROM (SELECT to_regclass('cost_ledger.call') AS relation UNION ALL SELECT p.relation FROM cost_ledger_internal.partitions() p) p,
         (VALUES ('price_call'), ('append_only'), ('append_only_truncate')) AS t (name)
    UNION ALL
    -- Not to_regclass(), which asks a reader for USAGE of our schema.
    SELECT (SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE format('%s.%s', n.nspname, c.relname) = t.relation), t.name
    FROM (VALUES ('cost_ledger.ledger', 'ledger_changed'),
                 ('cost_ledger.price_multiplier', 'price_cache_price_multiplier'),
                 ('cost_ledger.exchange_rate', 'price_cache_exchange_rate'),
                 ('cost_ledger.model_alias', 'price_cache_model_alias'),
                 ('cost_ledger_internal.rate_card', 'price_cache_rate_card'),
                 ('cost_ledger_internal.price', 'price_cache_price'),
                 ('cost_ledger_internal.price_line', 'price_cache_price_line'),
                 ('cost_ledger_internal.rollup_state', 'sign_state'),
                 ('cost_ledger_internal.rollup_state', 'state_replaced')) AS t (relation, name)
)
-- Not regclass, whose text is another in another path.
SELECT n.nspname || '.' || c.relname AS relation, b.name::text AS name, b.enabled, b.is_always
FROM (SELECT a.relation, a.name, coalesce(t.tgenabled::text, '') AS enabled, true AS is_always
      FROM always a
      LEFT JOIN pg_trigger t ON t.tgrelid = a.relation AND t.tgname = a.name
      WHERE t.tgenabled IS DISTINCT FROM 'A'
      UNION ALL
      SELECT t.tgrelid, t.tgname, t.tgenabled::text, false
      FROM pg_trigger t
      JOIN pg_class c ON c.oid = t.tgrelid
      JOIN pg_proc f ON f.oid = t.tgfoid
      WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
        AND f.pronamespace = 'cost_ledger_internal'::regnamespace
        AND t.tgenabled IN ('D', 'R')
        AND (t.tgrelid, t.tgname) NOT IN (SELECT a.relation, a.name FROM always a)) b
LEFT JOIN pg_class c ON c.oid = b.relation
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace;

COMMENT ON VIEW cost_ledger_internal.broken_trigger IS 'Triggers of the ledger that do not do their work.';
COMMENT ON COLUMN cost_ledger_internal.broken_trigger.relation IS 'The table.';
COMMENT ON COLUMN cost_ledger_internal.broken_trigger.name IS 'The trigger.';
COMMENT ON COLUMN cost_ledger_internal.broken_trigger.enabled IS 'How it stands: D, disabled; R, only under session_replication_role = replica; O, not under that, though it should be; empty where it is gone.';
COMMENT ON COLUMN cost_ledger_internal.broken_trigger.is_always IS 'Whether it has to be ENABLE ALWAYS.';

CREATE VIEW cost_ledger.ledger_problem WITH (security_barrier = true) AS
SELECT p.problem, p.subject, p.detail, p.hint, p.problem || ':' || p.subject AS row_key
FROM (
    SELECT 'trigger' AS problem,
           format('%s of %s', t.name, t.relation) AS subject,
           CASE t.enabled WHEN 'O' THEN 'does not fire under session_replication_role = replica'
                          WHEN '' THEN 'is gone' ELSE 'is disabled' END AS detail,
           CASE WHEN t.enabled = '' AND t.name = 'append_only_truncate'
                THEN format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %1$s FOR EACH STATEMENT EXECUTE FUNCTION cost_ledger_internal.refuse_change(); ALTER TABLE %1$s ENABLE ALWAYS TRIGGER append_only_truncate;',
                            t.relation)
                WHEN t.enabled = '' THEN 'Restore the ledger from a backup.'
                ELSE format('ALTER TABLE %s ENABLE %sTRIGGER %I;', t.relation, CASE WHEN t.is_always THEN 'ALWAYS ' END, t.name) END AS hint
    FROM cost_ledger_internal.broken_trigger t
    UNION ALL
    SELECT 'guard', 'cost_ledger_guard',
           CASE WHEN e.evtname IS NULL THEN 'is gone' ELSE 'is disabled' END,
           CASE WHEN e.evtname IS NULL THEN 'DROP and DETACH may take the ledger along. Dump it, and restore it into another database.'
                ELSE 'ALTER EVENT TRIGGER cost_ledger_guard ENABLE;' END
    FROM (VALUES ('cost_ledger_guard')) AS g (name)
    LEFT JOIN pg_event_trigger e ON e.evtname = g.name
    WHERE coalesce(e.evtenabled NOT IN ('O', 'A'), true)
    UNION ALL
    SELECT 'vanished_month', to_char(v.month, 'YYYY-MM'),
           format('%s calls and corrections of %s are in the rollups only', v.rows, coalesce(v.cost::text, 'no cost')),
           format('Restore its partition from a backup and attach it. If it is gone for good, say so: INSERT INTO cost_ledger.retention_log (partition, starts_at, ends_at, rows, cost, digest, checked_at) SELECT ''lost'', range_start, range_end, rows, cost, '''', now() FROM cost_ledger_internal.vanished_month WHERE to_char(month, ''YYYY-MM'') = %L;',
                  to_char(v.month, 'YYYY-MM'))
    FROM cost_ledger_internal.vanished_month v
    WHERE NOT v.is_logged) p;

COMMENT ON VIEW cost_ledger.ledger_problem IS 'What is wrong with the ledger itself? No rows: nothing. A row per trigger that does not do its work, for the guard if it is off, and per month whose calls are gone without retention having dropped them.';
COMMENT ON COLUMN cost_ledger.ledger_problem.problem IS 'trigger, guard or vanished_month.';
COMMENT ON COLUMN cost_ledger.ledger_problem.subject IS 'Which one.';
COMMENT ON COLUMN cost_ledger.ledger_problem.detail IS 'What is wrong with it.';
COMMENT ON COLUMN cost_ledger.ledger_problem.hint IS 'What to do about it.';

CREATE VIEW cost_ledger_internal.signal_ledger_problem AS
SELECT p.problem || ': ' || p.subject AS subject,
       1::numeric AS value,
       jsonb_build_object('problem', p.problem, 'subject', p.subject, 'detail', p.detail, 'hint', p.hint)::text AS detail
FROM cost_ledger.ledger_problem p;

COMMENT ON VIEW cost_ledger_internal.signal_ledger_problem IS 'What is wrong with the ledger itself, for alert_rule.';
COMMENT ON COLUMN cost_ledger_internal.signal_ledger_problem.subject IS 'Kind of problem and what has it.';
COMMENT ON COLUMN cost_ledger_internal.signal_ledger_problem.value IS '1.';
COMMENT ON COLUMN cost_ledger_internal.signal_ledger_problem.detail IS 'The row of ledger_problem, as JSON.';
