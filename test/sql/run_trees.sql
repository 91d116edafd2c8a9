-- Whole runs: what a run costs with all the runs that it started, at every instant:
-- nothing in the rollups yet, some of it, all; runs that come late and move others,
-- circles, and calls that are taken back.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger('Europe/Berlin') \g /dev/null
SELECT cost_ledger.create_partitions('2026-03-01', '2026-05-01') \g /dev/null
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1}', '2026-01-01') \g /dev/null

-- An orchestrator, 0.30, starts ten sub-agents, 6 each: one task, 60.30.
INSERT INTO cost_ledger.call (called_at, provider, model, task_type, run_id, parent_run_id, input_tokens)
    VALUES ('2026-03-02 10:00Z', 'p', 'm', 'research', 'task', NULL, 300000);
INSERT INTO cost_ledger.call (called_at, provider, model, task_type, run_id, parent_run_id, input_tokens)
    SELECT '2026-03-02 10:01Z', 'p', 'm', 'research', 'child ' || i, 'task', 6000000 FROM generate_series(1, 10) i;
-- A task type without runs: two calls of 1 and 3.  And one whose root makes no call.
INSERT INTO cost_ledger.call (called_at, provider, model, task_type, input_tokens) VALUES ('2026-03-02 11:00Z', 'p', 'm', 'title', 1000000), ('2026-03-03 11:00Z', 'p', 'm', 'title', 3000000);
INSERT INTO cost_ledger.call (called_at, provider, model, task_type, run_id, parent_run_id, input_tokens, trace_url)
    VALUES ('2026-03-03 12:00Z', 'p', 'm', 'orphan', 'o2', 'o1', 2000000, 'trace of o2'), ('2026-03-03 12:05Z', 'p', 'm', 'orphan', 'o3', 'o2', 500000, NULL);
CREATE VIEW pg_temp.task AS
    SELECT task_type, runs, mean_cost_per_run AS mean, p95_cost_per_run AS p95, own_runs, mean_own_cost_per_run AS mean_own, p95_own_cost_per_run AS p95_own,
           tasks, mean_cost_per_task AS mean_task, p95_cost_per_task AS p95_task
    FROM cost_ledger.cost_by_task_type ORDER BY task_type;
CREATE VIEW pg_temp.tree AS
    SELECT root_run_id, started_at, runs, depth, calls, cost, own_cost, cost_by_level, task_type, trace_url FROM cost_ledger.run_tree ORDER BY root_run_id;
SELECT * FROM pg_temp.tree;
SELECT root_run_id, depth, runs, calls, cost, share FROM cost_ledger.run_tree_level ORDER BY root_run_id, depth;
SELECT * FROM pg_temp.task;
SELECT day, runs, mean_cost, p95_cost, max_cost, cost, own_runs, mean_own_cost, tasks, mean_cost_per_task, p95_cost_per_task, calls_without_run, cost_without_run
    FROM cost_ledger.cost_per_run_by_day ORDER BY day;
SELECT rank, run_id, runs, cost, own_cost, calls FROM cost_ledger.most_expensive_run ORDER BY rank;
CREATE TEMP TABLE before AS SELECT to_jsonb(t)::text AS line FROM pg_temp.tree t UNION ALL SELECT to_jsonb(t)::text FROM pg_temp.task t
    UNION ALL SELECT to_jsonb(t)::text FROM cost_ledger.cost_per_run_by_day t UNION ALL SELECT to_jsonb(t)::text FROM cost_ledger.most_expensive_run t;
CALL cost_ledger.refresh();
CREATE TEMP TABLE after AS SELECT to_jsonb(t)::text AS line FROM pg_temp.tree t UNION ALL SELECT to_jsonb(t)::text FROM pg_temp.task t
    UNION ALL SELECT to_jsonb(t)::text FROM cost_ledger.cost_per_run_by_day t UNION ALL SELECT to_jsonb(t)::text FROM cost_ledger.most_expensive_run t;
SELECT count(*) > 8 AS some FROM before;
(TABLE before EXCEPT ALL TABLE after) UNION ALL (TABLE after EXCEPT ALL TABLE before);
SELECT * FROM cost_ledger.check_rollups();

-- A call that comes late, of a child: the day of its task has it at once.
INSERT INTO cost_ledger.call (called_at, provider, model, task_type, run_id, input_tokens) VALUES ('2026-03-04 10:00Z', 'p', 'm', 'research', 'child 3', 700000);
SELECT cost, runs, calls FROM pg_temp.tree WHERE root_run_id = 'task';
SELECT day, runs, cost, own_cost FROM cost_ledger.cost_per_run_by_day WHERE runs > 0 ORDER BY day;
CALL cost_ledger.refresh();
SELECT cost, runs, calls FROM pg_temp.tree WHERE root_run_id = 'task';
-- The task turns out to be a part of another, which comes last.
INSERT INTO cost_ledger.call (called_at, provider, model, task_type, run_id, parent_run_id, input_tokens)
    VALUES ('2026-03-02 10:02Z', 'p', 'm', 'research', 'task', 'plan', 0), ('2026-03-02 09:00Z', 'p', 'm', 'plan', 'plan', NULL, 1000000);
SELECT * FROM pg_temp.tree WHERE root_run_id IN ('task', 'plan');
SELECT task_type, runs, mean, own_runs FROM pg_temp.task WHERE task_type IN ('plan', 'research');
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.tree WHERE root_run_id IN ('task', 'plan');
SELECT task_type, runs, mean, own_runs FROM pg_temp.task WHERE task_type IN ('plan', 'research');
SELECT * FROM cost_ledger.check_rollups();
-- What is taken back is out of its task; where it was the whole run, out of its level.
SELECT count(*) AS taken FROM cost_ledger.call c CROSS JOIN LATERAL cost_ledger.void_call(c.called_at, c.call_id, 'twice') v WHERE c.run_id IN ('child 1', 'o3');
SELECT root_run_id, runs, depth, calls, cost, cost_by_level FROM pg_temp.tree WHERE root_run_id IN ('plan', 'o1');
CALL cost_ledger.refresh();
SELECT root_run_id, runs, depth, calls, cost, cost_by_level FROM pg_temp.tree WHERE root_run_id IN ('plan', 'o1');
SELECT * FROM cost_ledger.check_rollups();

-- The same of random trees: circles among them, roots without calls, chains, runs
-- that move, prices that are missing.  By another way: level by level, upwards.
CREATE PROCEDURE pg_temp.record(step integer) LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, task_type, team, run_id, parent_run_id, input_tokens)
    SELECT timestamptz '2026-03-20 12:00Z' + (hashtext(step || 'at' || i) % 86400 * 5) * interval '1 second', 'p',
           CASE WHEN hashtext(step || 'm' || i) % 7 = 0 THEN 'unknown' ELSE 'm' END,
           't' || abs(hashtext('t' || i)) % 3, 'team ' || abs(hashtext('x' || i)) % 2,
           CASE WHEN i % 9 > 0 THEN 'r' || abs(hashtext(step || 'r' || i)) % 60 END,
           CASE WHEN i % 9 > 3 THEN 'r' || abs(hashtext(step || 'p' || i)) % 80 END,
           abs(hashtext('n' || i)) % 1000000
    FROM generate_series(step * 100, step * 100 + 79) i
$$;
CREATE FUNCTION pg_temp.differences() RETURNS bigint LANGUAGE sql AS $$
    WITH RECURSIVE own AS (
        SELECT run_id COLLATE "C" AS run_id, min(parent_run_id COLLATE "C") AS parent_run_id, count(*) AS calls, sum(cost) AS cost FROM cost_ledger.call_detail WHERE run_id IS NOT NULL GROUP BY 1
    ), up AS (
        SELECT o.run_id, o.run_id AS above, ARRAY[o.run_id] AS way FROM own o
        UNION ALL
        SELECT u.run_id, o.parent_run_id, u.way || o.parent_run_id FROM up u JOIN own o ON o.run_id = u.above WHERE o.parent_run_id IS NOT NULL AND o.parent_run_id <> ALL (u.way)
    ), root AS (
        -- The last on the way up; in a circle, its smallest.
        SELECT DISTINCT ON (u.run_id) u.run_id,
               CASE WHEN o.parent_run_id IS NULL THEN u.above
                    ELSE (SELECT min(w) FROM unnest(u.way[array_position(u.way, o.parent_run_id):]) w) END AS root_run_id
        FROM up u LEFT JOIN own o ON o.run_id = u.above ORDER BY u.run_id, cardinality(u.way) DESC
    ), expected AS (
        SELECT r.root_run_id, count(*) AS runs, sum(o.calls) AS calls, sum(o.cost) AS cost FROM root r JOIN own o USING (run_id) GROUP BY 1
    ), said AS (
        SELECT root_run_id, runs, calls::numeric, cost FROM cost_ledger.run_tree
    ), levels AS (
        SELECT root_run_id, sum(runs)::bigint AS runs, sum(calls) AS calls, sum(cost) AS cost FROM cost_ledger.run_tree_level GROUP BY 1
    )
    SELECT (SELECT count(*) FROM ((TABLE said EXCEPT ALL TABLE expected) UNION ALL (TABLE expected EXCEPT ALL TABLE said)) d)
         + (SELECT count(*) FROM ((TABLE levels EXCEPT ALL TABLE expected) UNION ALL (TABLE expected EXCEPT ALL TABLE levels)) d)
         + (SELECT count(*) FROM (SELECT sum(coalesce(cost, 0) + coalesce(cost_without_run, 0)) AS days, sum(coalesce(own_cost, 0) + coalesce(cost_without_run, 0)) AS own FROM cost_ledger.cost_per_run_by_day) d
            WHERE ROW(d.days, d.own) IS DISTINCT FROM (SELECT ROW(sum(c.cost), sum(c.cost)) FROM cost_ledger.call_detail c))
         + (SELECT count(*) FROM (SELECT sum(runs)::bigint AS runs, sum(own_runs)::bigint AS own_runs FROM cost_ledger.cost_per_run_by_day) d
            WHERE (d.runs, d.own_runs) IS DISTINCT FROM (SELECT ROW((SELECT count(*) FROM expected), (SELECT count(*) FROM own))))
         + (SELECT count(*) FROM (SELECT max(cost) AS cost FROM cost_ledger.most_expensive_run) d WHERE d.cost IS DISTINCT FROM (SELECT max(cost) FROM expected))
$$;
CALL pg_temp.record(1);
SELECT pg_temp.differences();
CALL cost_ledger.refresh();
SELECT pg_temp.differences(), (SELECT count(*) FROM cost_ledger.check_rollups()) AS wrong;
CALL pg_temp.record(2);
SELECT pg_temp.differences();
CALL cost_ledger.refresh(50);
SELECT pg_temp.differences(), (SELECT count(*) FROM cost_ledger.check_rollups()) AS wrong;
CALL pg_temp.record(3);
SELECT pg_temp.differences(), (SELECT count(*) FROM cost_ledger.run WHERE is_circular) > 0 AS has_circles, (SELECT max(depth) FROM cost_ledger.run_tree) > 2 AS is_deep;
SELECT count(*) > 0 AS moved FROM cost_ledger.reattribute('{"run_id": ["r1", "r2", "r3", "r4", "r5"], "task_type": "t1"}'::jsonb, '{"run_id": "r59", "parent_run_id": null}', 'mistaken', dry_run => false);
SELECT pg_temp.differences();
CALL cost_ledger.refresh();
SELECT pg_temp.differences(), (SELECT count(*) FROM cost_ledger.check_rollups()) AS wrong;
-- A row that is wrong is found, and put right.
UPDATE cost_ledger_internal.rollup_run_tree SET cost = cost + 1 WHERE root_run_id = 'plan';
DELETE FROM cost_ledger_internal.rollup_without_run_day WHERE task_type = 'title';
SELECT rollup, key FROM cost_ledger.check_rollups() ORDER BY 1, 2;
SELECT cost_ledger.rebuild_rollups();
SELECT pg_temp.differences();

-- A reader of one team sees the trees that its calls make.
CREATE ROLE regress_run_trees;
SELECT cost_ledger.grant_team_reader('regress_run_trees', 'team 1') \g /dev/null
GRANT EXECUTE ON FUNCTION pg_temp.differences TO regress_run_trees;
SET ROLE regress_run_trees;
SELECT pg_temp.differences(), (SELECT count(*) FROM cost_ledger.run_tree) > 5 AS some;
RESET ROLE;
CALL pg_temp.record(4);
SET ROLE regress_run_trees;
SELECT pg_temp.differences();
RESET ROLE;
SELECT cost_ledger.revoke_team_reader('regress_run_trees') \g /dev/null
DROP FUNCTION pg_temp.differences;
DROP ROLE regress_run_trees;
DROP VIEW pg_temp.task, pg_temp.tree;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
