--
-- Readers who see only their team: row-level security of the tables holds in
-- every view and in every function that reads for its caller.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions('2026-03-01', '2026-03-31');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1, "output_tokens": 2}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'small', '{"input_tokens": 0.1, "output_tokens": 0.2}', '2026-01-01') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, provider, model, team, feature, customer, user_id, run_id, task_type, operation, input_tokens, output_tokens, event_key)
SELECT '2026-03-01 12:00Z'::timestamptz + n * interval '1 day', 'p', 'm', t.team, 'f', 'c-' || t.team, 'u-' || t.team, 'r-' || t.team, 'task', 'primary', 1000000 * t.millions, 0, t.team || n
FROM generate_series(1, 3) AS n, (VALUES ('ours', 1), ('theirs', 10)) AS t (team, millions);
SELECT cost_ledger.correct_call('ours1', '{"input_tokens": 2000000}', 'recount') > 0 AS ours,
       cost_ledger.correct_call('theirs1', '{"input_tokens": 20000000}', 'recount') > 0 AS theirs;
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens) VALUES ('2026-03-09', 'p', 'unknown', 'theirs', 1);

CREATE ROLE regress_team_reader;
GRANT USAGE ON SCHEMA cost_ledger, cost_ledger_internal TO regress_team_reader;
-- everything but the partitions: a grant on one goes round the policy of its parent
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition LOOP
        EXECUTE format('GRANT SELECT ON %s TO regress_team_reader', name);
    END LOOP;
END
$$;
ALTER TABLE cost_ledger.call ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_team ON cost_ledger.call FOR SELECT TO regress_team_reader USING (team = 'ours');

SET ROLE regress_team_reader;
-- 2 + 1 + 1
SELECT team, count(*) AS rows, sum(cost) FROM cost_ledger.call GROUP BY team;
SELECT count(*) AS calls, sum(cost) FROM cost_ledger_internal.booked_calls('2026-03-01', '2026-04-01');
SELECT team, calls, real_cost, what_if_cost FROM cost_ledger.what_if('2026-03-01', '2026-04-01', '[{"from": {"model": "m"}, "to": {"model": "small"}}]');
-- no filter gets around it
SELECT count(*) AS calls FROM cost_ledger_internal.booked_calls('2026-03-01', '2026-04-01', '{"team": ["theirs", null]}');
SELECT meter, quantity, amount FROM cost_ledger.billed_meters('2026-03-01', '2026-04-01');
RESET ROLE;
-- a price changes: each sees what is different of their own
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 3, "output_tokens": 2}', '2026-01-01', replace => true) > 0 AS set;
SET ROLE regress_team_reader;
SELECT count(*) AS calls, sum(change) FROM cost_ledger.rerate('2026-03-01', '2026-04-01');
SELECT count(*) FROM cost_ledger.rerate('2026-03-01', '2026-04-01', dry_run => false, reason => 'ours');
RESET ROLE;
SELECT count(*) AS calls, sum(change) FROM cost_ledger.rerate('2026-03-01', '2026-04-01');

-- every view: asked by the reader, nothing in it is of the other team
CREATE FUNCTION pg_temp.leaks(OUT view text, OUT rows bigint, OUT leaked bigint) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    FOR view IN SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind = 'v' ORDER BY 1 LOOP
        BEGIN
            EXECUTE format('SELECT count(*), count(*) FILTER (WHERE to_jsonb(v)::text ~ ''theirs'') FROM %s v', view) INTO rows, leaked;
        EXCEPTION WHEN insufficient_privilege THEN
            -- what looks at a partition by itself is for the owner
            rows := NULL;
            leaked := NULL;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION pg_temp.leaks() TO regress_team_reader;
SELECT count(*) FILTER (WHERE leaked > 0) > 5 AS the_owner_sees_both FROM pg_temp.leaks();
SET ROLE regress_team_reader;
SELECT view, rows, leaked FROM pg_temp.leaks() WHERE leaked > 0;
SELECT count(*) FILTER (WHERE rows > 0) > 5 AS sees_own, count(*) FILTER (WHERE rows IS NULL) < 5 AS may_read_most FROM pg_temp.leaks();
SELECT month, team, calls, cost FROM cost_ledger.chargeback_by_month;
SELECT count(*) FROM cost_ledger.unpriced_call;

-- a writer under a policy is priced as anybody is, and reads no price
RESET ROLE;
CREATE ROLE regress_team_writer;
GRANT USAGE ON SCHEMA cost_ledger, cost_ledger_internal TO regress_team_writer;
GRANT INSERT ON cost_ledger.call TO regress_team_writer;
CREATE POLICY own_calls ON cost_ledger.call FOR INSERT TO regress_team_writer WITH CHECK (team = 'ours');
SET ROLE regress_team_writer;
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens) VALUES ('2026-03-20', 'p', 'm', 'ours', 1000000);
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens) VALUES ('2026-03-20', 'p', 'm', 'theirs', 1000000);
SELECT cost_ledger.cost_at('2026-03-20', 'p', 'm', '{"input_tokens": 1}');
RESET ROLE;
SELECT team, cost FROM cost_ledger.call WHERE called_at = '2026-03-20';

--
-- Rollups know no single calls: who is under a policy of call sees none of
-- them, and gets the same reports from the calls.
--
CALL cost_ledger.refresh();
-- some calls are in the rollups, one is not yet
INSERT INTO cost_ledger.call (called_at, provider, model, team, run_id, user_id, input_tokens) VALUES
    ('2026-03-22', 'p', 'm', 'ours', 'r-ours', 'u-ours', 1000000), ('2026-03-22', 'p', 'm', 'theirs', 'r-theirs', 'u-theirs', 1000000);
SET ROLE regress_team_reader;
SELECT view, rows, leaked FROM pg_temp.leaks() WHERE leaked > 0;
SELECT (SELECT count(*) FROM cost_ledger_internal.rollup_key) + (SELECT count(*) FROM cost_ledger_internal.rollup_minute) + (SELECT count(*) FROM cost_ledger_internal.rollup_hour)
     + (SELECT count(*) FROM cost_ledger_internal.rollup_day) + (SELECT count(*) FROM cost_ledger_internal.rollup_run) + (SELECT count(*) FROM cost_ledger_internal.rollup_session)
     + (SELECT count(*) FROM cost_ledger_internal.rollup_user_day) + (SELECT count(*) FROM cost_ledger_internal.rollup_user_month) + (SELECT count(*) FROM cost_ledger_internal.rollup_run_day) AS rollups;
-- what is seen is all of the team: 4 of before, 3 of the writer's, and 3
SELECT month, team, calls, cost FROM cost_ledger.chargeback_by_month;
SELECT sum(cost) AS of_the_calls FROM cost_ledger.call;
SELECT run_id, calls, cost FROM cost_ledger.run_cost ORDER BY run_id;
SELECT sum(cost) AS by_user FROM cost_ledger_internal.live_user_day;
RESET ROLE;
-- nor does a policy that somebody adds to a rollup count anything twice
CREATE POLICY own_team ON cost_ledger_internal.rollup_key FOR SELECT TO regress_team_reader USING (team = 'ours');
CREATE POLICY own_team ON cost_ledger_internal.rollup_day FOR SELECT TO regress_team_reader USING (true);
CREATE POLICY own_team ON cost_ledger_internal.rollup_run FOR SELECT TO regress_team_reader USING ((labels).team = 'ours');
SET ROLE regress_team_reader;
SELECT month, team, calls, cost FROM cost_ledger.chargeback_by_month;
SELECT run_id, calls, cost FROM cost_ledger.run_cost ORDER BY run_id;
-- a reader under no policy reads rollups
RESET ROLE;
CREATE ROLE regress_reader;
GRANT USAGE ON SCHEMA cost_ledger, cost_ledger_internal TO regress_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA cost_ledger, cost_ledger_internal TO regress_reader;
CREATE POLICY everything ON cost_ledger.call FOR SELECT TO regress_reader USING (true);
SET ROLE regress_reader;
SELECT (SELECT count(*) FROM cost_ledger_internal.rollup_day) AS rollups_under_a_policy, (SELECT sum(cost) FROM cost_ledger_internal.live_day) - (SELECT sum(cost) FROM cost_ledger.call) AS difference;
RESET ROLE;
ALTER ROLE regress_reader BYPASSRLS;
SET ROLE regress_reader;
SELECT (SELECT count(*) FROM cost_ledger_internal.rollup_day) > 0 AS rollups_without, (SELECT sum(cost) FROM cost_ledger_internal.live_day) - (SELECT sum(cost) FROM cost_ledger.call) AS difference;
RESET ROLE;
SELECT team, cost FROM cost_ledger.chargeback_by_month ORDER BY team;

DROP OWNED BY regress_team_reader, regress_team_writer, regress_reader;
DROP ROLE regress_team_reader, regress_team_writer, regress_reader;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
