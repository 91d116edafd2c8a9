-- Rows are looked up by index where the planner, by its statistics, would read
-- the whole table each time: counted are blocks, and the rows that sequential scans
-- returned.
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions('2026-09-01', '2026-09-30') \g /dev/null
SELECT cost_ledger.set_budget('hot', '{"agent": "hot"}', 'month', 1000000) > 0 AS is_set;

-- A refresh of many runs, when there were none yet.
VACUUM ANALYZE cost_ledger_internal.rollup_run;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id)
    SELECT '2026-09-10', 'p', 'm', 1, 'run-' || i FROM generate_series(1, 2000) i;
BEGIN;
SELECT cost_ledger_internal.refresh_batch();
SELECT pg_stat_get_xact_blocks_fetched('cost_ledger_internal.rollup_run'::regclass) < 10 * 2000 AS is_looked_up;
COMMIT;

-- Runs, each below the other, in one batch; and all of them once more, when the one
-- at the top gets a parent.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, parent_run_id)
    SELECT '2026-09-10', 'p', 'm', 1, 'link-' || i, 'link-' || i - 1 FROM generate_series(1, 3000) i;
SELECT pg_stat_force_next_flush();
SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database() \gset
BEGIN;
SELECT cost_ledger_internal.refresh_batch();
SELECT pg_stat_get_xact_blocks_fetched('cost_ledger_internal.rollup_run'::regclass) < 40 * 3000 AS is_looked_up;
COMMIT;
SELECT pg_stat_force_next_flush();
SELECT temp_bytes - :temp_bytes < 20000000 AS is_in_memory FROM pg_stat_database WHERE datname = current_database();
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, parent_run_id) VALUES
    ('2026-09-10', 'p', 'm', 1, 'link-0', 'top'), ('2026-09-10', 'p', 'm', 1, 'link-1', 'link-0');
BEGIN;
SELECT cost_ledger_internal.refresh_batch();
SELECT pg_stat_get_xact_blocks_fetched('cost_ledger_internal.rollup_run'::regclass) < 40 * 3000 AS is_looked_up;
COMMIT;
SELECT count(*) AS runs, max(depth) AS depth FROM cost_ledger_internal.rollup_run WHERE root_run_id = 'top';

-- Reservations beside many open holds, which statistics say are all of one budget.
SELECT count(*) FROM generate_series(1, 2000) i, cost_ledger.reserve('k' || i, '{"agent": "hot"}', 0.01);
ANALYZE cost_ledger_internal.hold, cost_ledger_internal.hold_line, cost_ledger.budget, cost_ledger_internal.budget_balance;
-- Which budgets there are is read again after that, once.
SELECT decision FROM cost_ledger.reserve('the first', '{"agent": "hot"}', 0.01);
BEGIN;
-- What the session has counted may not have been reported yet.
CREATE TEMP TABLE before ON COMMIT DROP AS
    SELECT t.n, c.oid, t.name, pg_stat_get_xact_tuples_returned(c.oid) AS rows
    FROM unnest('{hold,hold_line,budget_balance,budget,budget_version}'::text[]) WITH ORDINALITY AS t (name, n)
    JOIN pg_class c ON c.relname = t.name AND c.relkind = 'r' AND c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace);
SELECT decision FROM cost_ledger.reserve('one more', '{"agent": "hot"}', 0.01);
SELECT b.name, pg_stat_get_xact_tuples_returned(b.oid) - b.rows AS rows_scanned FROM before b ORDER BY b.n;
COMMIT;

-- And their settlement.
BEGIN;
CREATE TEMP TABLE before ON COMMIT DROP AS
    SELECT t.n, c.oid, t.name, pg_stat_get_xact_tuples_returned(c.oid) AS rows
    FROM unnest('{hold,hold_line,budget_balance}'::text[]) WITH ORDINALITY AS t (name, n)
    JOIN pg_class c ON c.relname = t.name AND c.relkind = 'r' AND c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace);
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, agent, hold_id)
    SELECT '2026-09-10', 'p', 'm', 1, 'hot', h.hold_id FROM cost_ledger_internal.hold h WHERE h.hold_key = 'one more';
SET CONSTRAINTS ALL IMMEDIATE;
SELECT b.name, pg_stat_get_xact_tuples_returned(b.oid) - b.rows AS rows_scanned FROM before b ORDER BY b.n;
COMMIT;
SELECT * FROM cost_ledger.check_balances();
SELECT cost_ledger.drop_ledger(i_mean_it => true);
