--
-- Rollups: every row of call in each of them exactly once, and what shows it.
--
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
\set VERBOSITY terse
-- without a ledger
CALL cost_ledger.refresh();
SELECT cost_ledger.post_restore();
SELECT * FROM cost_ledger.check_rollups();
SELECT cost_ledger.create_ledger('Asia/Kolkata');  -- UTC+05:30
-- However long ago the times below are.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
SELECT cost_ledger.create_partitions('2026-03-01', '2026-04-30') IS NOT NULL AS made;
-- 1 per input token, 0.1 per cached one, 2 per output token.
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1000000, "cache_read_tokens": 100000, "output_tokens": 2000000}', '2025-01-01') > 0 AS is_set;

-- nothing to do
CALL cost_ledger.refresh();
SELECT rows_consumed, batches, consumed_at FROM cost_ledger_internal.rollup_state;

INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, output_tokens, team, user_id, session_id, run_id, parent_run_id,
                              operation, status, accepted, retry_count, tool_calls, duration_ms, reported_cost, trace_url, agent) VALUES
    -- 31 March, 23:59:59.999999 in Kolkata: 100, cached 50: 50 + 5 + 2 × 10 = 75
    ('2026-03-31 18:29:59.999999Z', 'acme', 'm', 100, 50, 10, 'search', 'u1', 's1', 'r1', NULL, 'primary', 'success', true, NULL, '{"grep": 2}', 1000, 70, 'https://t/2', NULL),
    -- 1 April, 00:00: 7
    ('2026-03-31 18:30:00Z', 'acme', 'm', 7, NULL, NULL, 'search', 'u1', 's1', 'r1', NULL, 'retry', 'error', false, 3, NULL, 5000, NULL, 'https://t/1', 'coder'),
    -- the same hour, 00:30 in Kolkata, of nobody: 11
    ('2026-03-31 19:00:00Z', 'acme', 'm', 11, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    -- no price
    ('2026-03-31 19:10:00Z', 'acme', 'x', 13, NULL, NULL, 'search', 'u2', 's1', 'r2', 'r1', 'primary', 'success', NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CALL cost_ledger.refresh();
SELECT rows_consumed, batches, consumed_at IS NOT NULL AS consumed FROM cost_ledger_internal.rollup_state;
-- local hours begin at half past
SELECT h.hour, k.team, k.model, k.operation, k.status, h.calls, h.priced_calls, h.unpriced_calls AS unpriced, h.retries, h.tool_calls AS tools,
       h.accepted_calls AS accepted, h.rejected_calls AS rejected, h.input_tokens, h.cache_read_tokens AS cached, h.output_tokens AS output, h.cost, h.cost_without_run AS no_run, h.reported_cost AS reported,
       cost_ledger.total(h.call_cost) AS summary
FROM cost_ledger_internal.rollup_hour h JOIN cost_ledger_internal.rollup_key k USING (key_id)
ORDER BY h.hour, k.team, k.model, k.operation;
SELECT d.day, k.team, k.model, k.operation, d.calls, d.cost FROM cost_ledger_internal.rollup_day d JOIN cost_ledger_internal.rollup_key k USING (key_id) ORDER BY d.day, k.team, k.model, k.operation;
SELECT * FROM cost_ledger_internal.rollup_user_day ORDER BY day, user_id;
SELECT * FROM cost_ledger_internal.rollup_user_month ORDER BY month, user_id;
SELECT * FROM cost_ledger_internal.rollup_user_feature_month ORDER BY month, user_id, feature;
\x
SELECT * FROM cost_ledger_internal.rollup_run ORDER BY run_id;
SELECT * FROM cost_ledger_internal.rollup_session ORDER BY session_id;
\x
SELECT day, runs, cost, max_cost, cost_ledger.num_values(run_cost) AS priced, cost_ledger.maximum(run_cost) FROM cost_ledger_internal.rollup_run_day ORDER BY day;
SELECT run_id, depth, turns, retries, tool_calls, cost FROM cost_ledger.run ORDER BY run_id;
-- minutes are kept for two days
SELECT count(*) FROM cost_ledger_internal.rollup_minute;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES (now() - interval '1 minute', 'acme', 'm', 17), (now() - interval '50 hours', 'acme', 'm', 19);
CALL cost_ledger.refresh();
SELECT calls, input_tokens, cost FROM cost_ledger_internal.rollup_minute;
UPDATE cost_ledger_internal.rollup_state SET minutes_from = minutes_from - interval '1 day';
UPDATE cost_ledger_internal.rollup_minute SET minute = minute - interval '51 hours';
CALL cost_ledger.refresh();
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-04-01', 'acme', 'm', 1);
CALL cost_ledger.refresh();
SELECT count(*) AS minutes, min(s.minutes_from) = date_trunc('hour', now() - interval '2 days') AS kept_two_days
FROM cost_ledger_internal.rollup_state s LEFT JOIN cost_ledger_internal.rollup_minute m ON true;
SELECT cost_ledger.rebuild_rollups('2026-04-01', 'infinity') AS put_right;

-- what is corrected or gets its price flows the same way
SELECT cost_ledger.correct_call(c.called_at, c.call_id, '{"input_tokens": 5}', 'two were not ours') IS NOT NULL AS corrected
FROM cost_ledger.call c WHERE c.run_id = 'r1' AND c.operation = 'retry';
SELECT cost_ledger.set_price('acme', 'x', '{"input_tokens": 3000000}', '2025-01-01') > 0 AS is_set;
SELECT call_id, change FROM cost_ledger.rerate('2026-03-01', '2026-05-01', dry_run => false, reason => 'x has a price');
SELECT run_id, calls, unpriced_calls, cost, adjustment_cost FROM cost_ledger.run ORDER BY run_id;
CALL cost_ledger.refresh();
SELECT run_id, calls, unpriced_calls, cost, adjustment_cost FROM cost_ledger_internal.rollup_run ORDER BY run_id;
SELECT d.day, d.calls, d.priced_calls, d.unpriced_calls, d.corrections, d.cost, d.adjustment_cost, cost_ledger.num_values(d.call_cost) AS values, cost_ledger.total(d.call_cost) AS first_priced
FROM cost_ledger_internal.rollup_day d JOIN cost_ledger_internal.rollup_key k USING (key_id)
WHERE k.team = 'search' ORDER BY d.day, k.model, k.operation;
SELECT count(*) FROM cost_ledger.check_rollups();

-- what a cost is made of: 40, 0.1 × 50, 1.25 × 16 and 4 at the rate of input, 2 × 10,
-- and a fee of 2 × 3
SELECT cost_ledger.set_price('acme', 'parts', '{"input_tokens": 1000000, "cache_read_tokens": 100000, "cache_write_tokens": 1250000, "output_tokens": 2000000, "searches": {"price": 3, "per": 1}}', '2025-01-01') > 0 AS is_set;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens, other_usage)
    VALUES ('2026-04-01', 'acme', 'parts', 110, 50, 16, 4, 10, 5, '{"searches": 2}'), ('2026-04-01', 'acme', 'parts', 1, NULL, NULL, NULL, NULL, NULL, NULL)
    RETURNING cost, cache_read_cost, cache_write_cost, output_cost, reasoning_cost, other_cost;
SELECT month, cost, input_cost, cache_read_cost, cache_write_cost, output_cost, other_cost, adjustment_cost FROM cost_ledger.cost_by_model WHERE model = 'parts';
CALL cost_ledger.refresh();
SELECT cost_ledger.correct_call(c.called_at, c.call_id, '{"input_tokens": 111}', 'one more') IS NOT NULL AS corrected FROM cost_ledger.call c WHERE c.model = 'parts' AND c.input_tokens = 1;
SELECT month, cost, input_cost, cache_read_cost, cache_write_cost, output_cost, other_cost, adjustment_cost FROM cost_ledger.cost_by_model WHERE model = 'parts';
CALL cost_ledger.refresh();
INSERT INTO cost_ledger.call (provider, model, input_tokens, output_cost) VALUES ('acme', 'parts', 1, 1);

-- a call that came late, before all others of its run
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, user_id, session_id, run_id, agent)
    VALUES ('2026-03-05 00:00Z', 'acme', 'm', 1000, NULL, NULL, 's0', 'r1', 'planner');
SELECT run_id, started_at, team, user_id, session_id, agent, trace_url, cost FROM cost_ledger.run WHERE run_id = 'r1';
CALL cost_ledger.refresh();
SELECT run_id, started_at, team, user_id, session_id, agent, trace_url, cost FROM cost_ledger.run WHERE run_id = 'r1';
SELECT (r.labels).* FROM cost_ledger_internal.rollup_run r WHERE run_id = 'r1';
SELECT count(*) FROM cost_ledger.check_rollups();

-- ids that are too long for an index keep what tells them apart
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, session_id, user_id, parent_run_id)
    SELECT '2026-04-02', 'acme', 'm', 1, repeat('ü', 5000) || i, repeat('s', 512), repeat('u', 513), repeat(md5('x'), 100000) FROM generate_series(1, 2) i;
SELECT octet_length(run_id), right(run_id, 33) = '#' || md5(repeat('ü', 5000) || row_number() OVER (ORDER BY call_id)) AS told_apart, session_id = repeat('s', 512) AS whole,
       user_id = repeat('u', 479) || '#' || md5(repeat('u', 513)) AS shortened, octet_length(parent_run_id)
FROM cost_ledger.call WHERE called_at = '2026-04-02' ORDER BY call_id;
CALL cost_ledger.refresh();
SELECT count(*) FROM cost_ledger_internal.rollup_run WHERE run_id LIKE 'ü%';
-- labels are not in an index
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature) VALUES ('2026-04-02', 'acme', 'm', 1, repeat('long', 100000), ''', ''''\'), ('2026-04-02', 'acme', 'm', 1, NULL, '');
CALL cost_ledger.refresh();
SELECT count(*) FROM cost_ledger.check_rollups();

-- an earlier call that comes late moves a run, and leaves its old day without one
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id) VALUES ('2026-04-07 12:00Z', 'acme', 'm', 2, 'moved'), ('2026-04-06 12:00Z', 'acme', 'm', 3, 'stays');
CALL cost_ledger.refresh();
SELECT day, runs, cost, max_cost FROM cost_ledger_internal.rollup_run_day WHERE day >= '2026-04-05' ORDER BY day;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id) VALUES ('2026-04-06 12:00Z', 'acme', 'm', 5, 'moved');
SELECT day, runs, mean_cost, p95_cost, max_cost, cost FROM cost_ledger.cost_per_run_by_day WHERE day >= '2026-04-05' AND runs > 0 ORDER BY day;
CALL cost_ledger.refresh();
SELECT day, runs, mean_cost, p95_cost, max_cost, cost FROM cost_ledger.cost_per_run_by_day WHERE day >= '2026-04-05' AND runs > 0 ORDER BY day;
SELECT day, runs, cost, max_cost FROM cost_ledger_internal.rollup_run_day WHERE day >= '2026-04-05' ORDER BY day;
SELECT count(*) FROM cost_ledger.check_rollups();

-- in batches, of whole transactions
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) SELECT '2026-04-03', 'acme', 'm', i FROM generate_series(1, 5) i;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) SELECT '2026-04-03', 'acme', 'm', i FROM generate_series(1, 5) i;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) SELECT '2026-04-03', 'acme', 'm', i FROM generate_series(1, 5) i;
CALL cost_ledger.refresh(5);
SELECT sum(cost) FROM cost_ledger_internal.live_day WHERE day = '2026-04-03';
SELECT count(*) FROM cost_ledger_internal.unconsumed_call;
SELECT count(*) FROM cost_ledger.check_rollups();
CALL cost_ledger.refresh(0);
CALL cost_ledger.refresh(NULL);

-- in the middle of a transaction: what is in of it is counted once
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) SELECT '2026-04-03', 'acme', 'm', i FROM generate_series(1, 7) i;
CREATE FUNCTION pg_temp.first_part() RETURNS bigint LANGUAGE sql AS $$
    SELECT cost_ledger_internal.refresh_batch((cost_ledger_internal.refresh_ends(3))[1])
$$;
SELECT sum(cost) AS before FROM cost_ledger_internal.live_month \gset
SELECT pg_temp.first_part() AS consumed;
SELECT partial_xid = (SELECT max(recorded_xid) FROM cost_ledger.call) AS partly_in, (SELECT count(*) FROM cost_ledger_internal.unconsumed_call) AS left_over,
       (SELECT sum(cost) FROM cost_ledger_internal.live_month) - :before AS difference, (SELECT count(*) FROM cost_ledger.check_rollups()) AS differences
FROM cost_ledger_internal.rollup_state;
-- a budget counts what is in, and then the rest
SELECT cost_ledger.set_budget('partly', '{}', 'total', 1000000) > 0 AS is_set;
SELECT count(*) AS differences FROM cost_ledger.check_balances();
SELECT cost_ledger_internal.check_partition('cost_ledger_internal.call_p2026_04');
CALL cost_ledger.refresh(2);
SELECT partial_xid, (SELECT count(*) FROM cost_ledger_internal.unconsumed_call) AS left_over, (SELECT sum(cost) FROM cost_ledger_internal.live_month) - :before AS difference,
       (SELECT count(*) FROM cost_ledger.check_rollups()) + (SELECT count(*) FROM cost_ledger.check_balances()) AS differences
FROM cost_ledger_internal.rollup_state;
DELETE FROM cost_ledger.budget WHERE name = 'partly';

-- where a run is among runs: a parent that comes late moves all below it, and a
-- circle ends at its smallest run, before refresh() and after
CREATE VIEW pg_temp.tree AS SELECT run_id, parent_run_id, root_run_id, depth, is_circular FROM cost_ledger.run WHERE run_id LIKE 't-%' ORDER BY run_id;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, parent_run_id)
    VALUES ('2026-04-02', 'acme', 'm', 1, 't-3', 't-2'), ('2026-04-02', 'acme', 'm', 1, 't-4', 't-3'), ('2026-04-02', 'acme', 'm', 1, 't-2', NULL);
SELECT * FROM pg_temp.tree;
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.tree;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, parent_run_id) VALUES ('2026-04-02', 'acme', 'm', 1, 't-2', 't-1');
SELECT * FROM pg_temp.tree;
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.tree;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, parent_run_id) VALUES ('2026-04-02', 'acme', 'm', 1, 't-1', 't-3'), ('2026-04-02', 'acme', 'm', 1, 't-5', 't-4');
SELECT * FROM pg_temp.tree;
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.tree;
SELECT run_id, nullif(root_run_id, run_id) AS root_run_id, depth FROM cost_ledger_internal.rollup_run WHERE run_id LIKE 't-%' EXCEPT ALL SELECT run_id, nullif(root_run_id, run_id), depth FROM pg_temp.tree;
SELECT count(*) FROM cost_ledger.check_rollups();
UPDATE cost_ledger_internal.rollup_run SET depth = depth + 1 WHERE run_id = 't-4';
SELECT rollup, key, (stored -> 'depth')::integer - (expected -> 'depth')::integer AS too_deep FROM cost_ledger.check_rollups();
SELECT cost_ledger.rebuild_rollups();
-- a thousand runs, each started by the one before, the last by the first
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, parent_run_id)
    SELECT '2026-04-02', 'acme', 'm', 1, 'u-' || i, 'u-' || (i + 1) % 1000 FROM generate_series(0, 999) i;
CALL cost_ledger.refresh();
SELECT count(*) AS runs, count(*) FILTER (WHERE is_circular) AS circular, max(depth), count(DISTINCT root_run_id) AS roots FROM cost_ledger.run WHERE run_id LIKE 'u-%';
DROP VIEW pg_temp.tree;

-- one wrong row in each rollup is found, and put right
BEGIN;
SELECT k.key_id AS searches FROM cost_ledger_internal.rollup_key k WHERE k.team = 'search' AND k.model = 'm' AND k.operation = 'primary' \gset
UPDATE cost_ledger_internal.rollup_hour SET cost = cost + 0.000000000001 WHERE key_id = :searches;
UPDATE cost_ledger_internal.rollup_day SET call_cost = cost_ledger.merge(call_cost, (SELECT cost_ledger.summarize(0.000000000000001::numeric))) WHERE ctid = (SELECT min(ctid) FROM cost_ledger_internal.rollup_day WHERE cost > 0);
DELETE FROM cost_ledger_internal.rollup_run WHERE run_id = 'r2';
UPDATE cost_ledger_internal.rollup_session SET labels = NULL WHERE session_id = 's1';
INSERT INTO cost_ledger_internal.rollup_user_day (day, user_id, calls) VALUES ('2026-01-01', NULL, 1);
INSERT INTO cost_ledger_internal.rollup_user_month (month, user_id, calls) VALUES ('2026-01-01', NULL, 1);
UPDATE cost_ledger_internal.rollup_month SET cost = cost - 0.000000000001 WHERE key_id = :searches AND month = (SELECT min(month) FROM cost_ledger_internal.rollup_month WHERE key_id = :searches);
UPDATE cost_ledger_internal.rollup_run_day SET max_cost = max_cost + 1 WHERE day = (SELECT min(day) FROM cost_ledger_internal.rollup_run_day WHERE cost > 0);
INSERT INTO cost_ledger_internal.rollup_minute (minute, key_id, calls) VALUES (date_trunc('minute', now()), :searches, 1);
SELECT rollup, stored IS NOT NULL AS stored, expected IS NOT NULL AS expected, (stored ->> 'cost')::numeric - (expected ->> 'cost')::numeric AS too_much,
       key ->> 'run_id' AS run, key ->> 'session_id' AS session, CASE WHEN rollup <> 'day' THEN key ->> 'team' END AS team
FROM cost_ledger.check_rollups() ORDER BY rollup;
SELECT rollup FROM cost_ledger.check_rollups('2026-01-01', '2026-01-02') ORDER BY rollup;
SELECT cost_ledger.rebuild_rollups('2026-01-01', '2026-01-01 00:00:01');
SELECT cost_ledger.rebuild_rollups();
SELECT count(*) FROM cost_ledger.check_rollups();
-- from nothing
DELETE FROM cost_ledger_internal.rollup_hour; DELETE FROM cost_ledger_internal.rollup_day; DELETE FROM cost_ledger_internal.rollup_month; DELETE FROM cost_ledger_internal.rollup_subrun_month; DELETE FROM cost_ledger_internal.rollup_input_part_month; DELETE FROM cost_ledger_internal.rollup_run;
DELETE FROM cost_ledger_internal.rollup_session; DELETE FROM cost_ledger_internal.rollup_user_day; DELETE FROM cost_ledger_internal.rollup_user_month; DELETE FROM cost_ledger_internal.rollup_user_feature_month; DELETE FROM cost_ledger_internal.rollup_run_day; DELETE FROM cost_ledger_internal.rollup_key;
SELECT cost_ledger.rebuild_rollups() > 10 AS put_right;
SELECT count(*) FROM cost_ledger.check_rollups();
SELECT (SELECT sum(cost) FROM cost_ledger.call) - (SELECT sum(cost) FROM cost_ledger_internal.live_hour) AS difference;
ROLLBACK;
SELECT count(*) FROM cost_ledger.check_rollups();
-- labels under the wrong key
BEGIN;
UPDATE cost_ledger_internal.rollup_key SET team = 'others' WHERE key_id = :searches;
SELECT rollup, key ->> 'team' AS team, stored IS NOT NULL AS stored, expected IS NOT NULL AS expected FROM cost_ledger.check_rollups() GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
SELECT cost_ledger.rebuild_rollups() > 0 AS put_right;
SELECT count(*) FROM cost_ledger.check_rollups();
SELECT (SELECT sum(cost) FROM cost_ledger.call WHERE team = 'search') - (SELECT sum(cost) FROM cost_ledger_internal.live_day WHERE team = 'search') AS difference;
ROLLBACK;
SELECT * FROM cost_ledger.check_rollups('2026-02-01', '2026-01-01');
SELECT cost_ledger.rebuild_rollups(NULL);

-- of what is not in the rollups yet the planner expects little, however much the
-- statistics say: it would compile the reports for it
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) SELECT '2026-04-07', 'acme', 'm', n FROM generate_series(1, 3000) n;
ANALYZE cost_ledger.call;
CREATE FUNCTION pg_temp.expected_rows(query text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END
$$;
SELECT count(*) >= 3000 AS many, pg_temp.expected_rows('SELECT * FROM cost_ledger_internal.unconsumed_call') BETWEEN 10 AND 300 AS few_expected FROM cost_ledger_internal.unconsumed_call;
CALL cost_ledger.refresh();

-- where it cannot work
\set VERBOSITY default
BEGIN;
CALL cost_ledger.refresh();
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
CALL cost_ledger.refresh();
SELECT cost_ledger.rebuild_rollups();
RESET default_transaction_isolation;
SELECT cost_ledger.post_restore();

-- in another cluster: calls go on, reports count them, and jobs wait
SELECT sum(cost) AS before FROM cost_ledger_internal.live_day \gset
UPDATE cost_ledger.ledger SET system_identifier = 1;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-04-04', 'acme', 'm', 1000), ('2026-04-04', 'acme', 'm', 2000);
SELECT recorded_xid FROM cost_ledger.call WHERE called_at = '2026-04-04';
SELECT sum(cost) - :before AS more FROM cost_ledger_internal.live_day;
CALL cost_ledger.refresh();
SELECT unconsumed_rows, needs_post_restore FROM cost_ledger.rollup_status;
BEGIN;
SELECT cost_ledger.post_restore();
-- in one transaction with it
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-04-05', 'acme', 'm', 4000);
COMMIT;
SELECT (SELECT max(recorded_xid) FROM cost_ledger.call WHERE called_at = '2026-04-05') > (SELECT max(recorded_xid) FROM cost_ledger.call WHERE called_at < '2026-04-05') AS numbers_go_on;
SELECT sum(cost) - :before AS more FROM cost_ledger_internal.live_day;
CALL cost_ledger.refresh();
SELECT sum(cost) - :before AS more FROM cost_ledger_internal.rollup_day;
SELECT unconsumed_rows, oldest_recorded_at, lag_seconds, needs_post_restore, is_failing FROM cost_ledger.rollup_status;
SELECT count(*) FROM cost_ledger.check_rollups();
-- and once more
UPDATE cost_ledger.ledger SET system_identifier = 2;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-04-06', 'acme', 'm', 8000);
SELECT cost_ledger.post_restore();
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-04-06', 'acme', 'm', 16000);
SELECT sum(cost) - :before AS more FROM cost_ledger_internal.live_day;
CALL cost_ledger.refresh();
SELECT sum(cost) - :before AS more FROM cost_ledger_internal.rollup_day;
SELECT count(*) FROM cost_ledger.check_rollups();

-- what is read once for a snapshot is read anew for the next one: after a statement
-- of one's own, and after a subtransaction that never was
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT (SELECT count(*) FROM cost_ledger_internal.unconsumed_calls()) AS calls, (SELECT sum(cost) FROM cost_ledger_internal.live_day) - :before AS more,
       (SELECT count(*) FROM cost_ledger.run WHERE run_id LIKE 'once%') AS runs;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id) VALUES ('2026-04-06', 'acme', 'm', 100, 'once');
SELECT (SELECT count(*) FROM cost_ledger_internal.unconsumed_calls()) AS calls, (SELECT sum(cost) FROM cost_ledger_internal.live_day) - :before AS more,
       (SELECT count(*) FROM cost_ledger.run WHERE run_id LIKE 'once%') AS runs;
SAVEPOINT never;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, parent_run_id) VALUES ('2026-04-06', 'acme', 'm', 1000, 'once below', 'once');
SELECT (SELECT count(*) FROM cost_ledger_internal.unconsumed_calls()) AS calls, (SELECT sum(cost) FROM cost_ledger_internal.live_day) - :before AS more,
       (SELECT string_agg(run_id || ' ' || depth, ', ' ORDER BY run_id) FROM cost_ledger.run WHERE run_id LIKE 'once%') AS runs;
ROLLBACK TO never;
SELECT (SELECT count(*) FROM cost_ledger_internal.unconsumed_calls()) AS calls, (SELECT sum(cost) FROM cost_ledger_internal.live_day) - :before AS more,
       (SELECT string_agg(run_id || ' ' || depth, ', ' ORDER BY run_id) FROM cost_ledger.run WHERE run_id LIKE 'once%') AS runs;
ROLLBACK;
-- nor does a statement that writes read what it read before: each row sees those
-- before it, whatever asks for them, in the same snapshot
CREATE FUNCTION pg_temp.calls_so_far(OUT calls bigint, OUT runs bigint) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    calls := (SELECT count(*) FROM cost_ledger_internal.unconsumed_calls());
    runs := (SELECT count(*) FROM cost_ledger.run WHERE run_id LIKE 'once%');
END
$$;
BEGIN;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id) SELECT '2026-04-06', 'acme', 'm', n, 'once ' || n FROM generate_series(1, 3) AS n
    RETURNING input_tokens AS n, pg_temp.calls_so_far();
CREATE FUNCTION pg_temp.tell_calls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% comes after %', new.input_tokens, pg_temp.calls_so_far();
    RETURN new;
END
$$;
CREATE TRIGGER tell_calls BEFORE INSERT ON cost_ledger.call FOR EACH ROW EXECUTE FUNCTION pg_temp.tell_calls();
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id) SELECT '2026-04-06', 'acme', 'm', n, 'once ' || n FROM generate_series(4, 6) AS n;
ROLLBACK;

-- who may read reports needs nothing else
CREATE ROLE cost_ledger_test_reader;
SELECT cost_ledger.grant_reader('cost_ledger_test_reader');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, parent_run_id) VALUES ('2026-04-06', 'acme', 'm', 1, 'r9', 'r2');
SET ROLE cost_ledger_test_reader;
SELECT unconsumed_rows FROM cost_ledger.rollup_status;
SELECT sum(cost) - :before AS more FROM cost_ledger.chargeback_by_month;
SELECT depth FROM cost_ledger.run WHERE run_id = 'r2';
SELECT cost_ledger.rebuild_rollups();
CALL cost_ledger.refresh();
RESET ROLE;
DROP OWNED BY cost_ledger_test_reader;
DROP ROLE cost_ledger_test_reader;

-- labels made by hand must be whole
SELECT cost_ledger_internal.merge_labels(ROW('a', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-02', 1, NULL)::cost_ledger_internal.call_labels,
                         ROW('b', 'f', NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-01', 9, NULL)::cost_ledger_internal.call_labels);
SELECT cost_ledger_internal.merge_labels(ROW('a', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-02', 1, '\x00'), ROW('b', 'f', NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-01', 9, NULL));
SELECT cost_ledger_internal.merge_labels(ROW('a', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-02', 1, '\x0800000000000000000000000000000000'), ROW('b', 'f', NULL, NULL, NULL, NULL, NULL, NULL, '2026-01-01', 9, NULL));

-- more than work_mem holds is read each time
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id) SELECT '2026-04-06', 'acme', 'm', 1, 'once ' || n FROM generate_series(1, 1000) AS n;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL work_mem = '64kB';
SELECT count(*) AS calls, count(DISTINCT c.run_id) AS runs FROM cost_ledger_internal.unconsumed_calls() c;
SELECT count(*) AS calls, count(DISTINCT c.run_id) AS runs FROM cost_ledger_internal.unconsumed_calls() c, generate_series(1, 2);
COMMIT;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
