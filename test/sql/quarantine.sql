--
-- Quarantine: one row that cannot be added up keeps nobody else's from being.
--
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
\set VERBOSITY terse
SELECT cost_ledger.create_ledger();
-- However long ago the times below are.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
SELECT cost_ledger.create_partitions('2026-03-01', '2026-04-30') IS NOT NULL AS made;
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1000000}', '2010-01-01') > 0 AS is_set;
SELECT cost_ledger.set_budget('acme', '{"provider": "acme"}', 'total', 1000) > 0 AS is_set;

-- Nothing that the door lets in fails, so something behind it is broken here:
-- no run may be called poison.
CREATE FUNCTION break_on_poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.run_id LIKE 'poison%' THEN
        RAISE EXCEPTION 'run % cannot be read', new.run_id USING ERRCODE = TG_ARGV[0];
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER break_on_poison BEFORE INSERT ON cost_ledger_internal.rollup_run
    FOR EACH ROW EXECUTE FUNCTION break_on_poison('22003');

CREATE VIEW sums AS
SELECT (SELECT count(*) FROM cost_ledger.call) AS calls,
       (SELECT sum(calls) FROM cost_ledger_internal.live_day) AS live, (SELECT sum(calls) FROM cost_ledger_internal.rollup_day) AS rolled_up,
       (SELECT trim_scale(sum(cost)) FROM cost_ledger_internal.rollup_month) AS cost, (SELECT trim_scale(sum(posted)) FROM cost_ledger_internal.budget_balance) AS posted,
       (SELECT count(*) FROM cost_ledger.check_rollups()) + (SELECT count(*) FROM cost_ledger.check_balances()) AS differences,
       s.rows_consumed, s.unconsumed_rows, s.quarantined_calls
FROM cost_ledger.rollup_status s;

INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, run_id)
SELECT '2026-03-10Z'::timestamptz + i * interval '1 hour', 'acme', 'm', i, 't' || i % 3, CASE WHEN i % 40 = 17 THEN 'poison' || i ELSE 'r' || i % 7 END
FROM generate_series(1, 100) i;
CALL cost_ledger.refresh();
SELECT called_at, provider, team, run_id, cost, pricing, sqlstate, message, quarantined_at > now() - interval '1 hour' AS lately FROM cost_ledger.quarantined_call ORDER BY called_at;
-- drill() leaves them out, at each level.
SELECT l.level, (SELECT sum(d.calls) FROM cost_ledger.drill(l.level) d) AS calls FROM unnest('{day,hour,user,run,call}'::text[]) WITH ORDINALITY AS l (level, n) ORDER BY l.n;
-- all others are in, once; what proves them agrees, and says what it leaves out
SELECT * FROM sums;
SELECT cost_ledger.rebuild_rollups();
SELECT cost_ledger.set_budget('later', '{}', 'total', 1000) > 0 AS is_set;
SELECT trim_scale(posted) AS posted FROM cost_ledger_internal.budget_balance ORDER BY budget_id;
CALL cost_ledger.refresh();
SELECT * FROM sums;
-- somebody is woken
SELECT subject, value, detail::jsonb -> 'sqlstates' AS sqlstates FROM cost_ledger_internal.signal_quarantine;
SELECT cost_ledger.check_rules() > 0 AS raised;
SELECT r.name, a.level, a.value FROM cost_ledger.alert a JOIN cost_ledger.alert_rule r USING (rule_id) WHERE a.kind = 'quarantine';
-- not brought in as long as it fails
SELECT called_at, call_id FROM cost_ledger.quarantined_call WHERE run_id = 'poison17' \gset
SELECT cost_ledger.release_quarantine(:'called_at', :call_id);
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.release_quarantine();
SELECT cost_ledger.release_quarantine(:'called_at', -1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM sums;
-- brought in once where it does not
ALTER TABLE cost_ledger_internal.rollup_run DISABLE TRIGGER break_on_poison;
SELECT cost_ledger.release_quarantine(:'called_at', :call_id);
SELECT cost_ledger.release_quarantine(:'called_at', :call_id);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM sums;
SELECT cost_ledger.release_quarantine(), cost_ledger.release_quarantine();
SELECT * FROM sums;
SELECT cost_ledger.check_rules() AS raised;
SELECT resolved_at IS NOT NULL AS resolved FROM cost_ledger.alert WHERE kind = 'quarantine';

-- what is no row's fault undoes the batch, and the next one brings it in
ALTER TABLE cost_ledger_internal.rollup_run ENABLE TRIGGER break_on_poison;
CREATE OR REPLACE TRIGGER break_on_poison BEFORE INSERT ON cost_ledger_internal.rollup_run
    FOR EACH ROW EXECUTE FUNCTION break_on_poison('53100');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id) VALUES ('2026-03-20Z', 'acme', 'm', 1, 'poison'), ('2026-03-20Z', 'acme', 'm', 1, 'r');
CALL cost_ledger.refresh();
\echo :LAST_ERROR_SQLSTATE
CREATE OR REPLACE TRIGGER break_on_poison BEFORE INSERT ON cost_ledger_internal.rollup_run
    FOR EACH ROW EXECUTE FUNCTION break_on_poison('XX000');
CALL cost_ledger.refresh();
\echo :LAST_ERROR_SQLSTATE
CREATE OR REPLACE TRIGGER break_on_poison BEFORE INSERT ON cost_ledger_internal.rollup_run
    FOR EACH ROW EXECUTE FUNCTION break_on_poison('40P01');
CALL cost_ledger.refresh();
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM sums;
-- nor is it theirs where none of many can be read
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id) SELECT '2026-03-21Z', 'acme', 'm', 1, 'r' || i FROM generate_series(1, 30) i;
DROP TRIGGER break_on_poison ON cost_ledger_internal.rollup_run;
CREATE TRIGGER break_on_all BEFORE INSERT ON cost_ledger_internal.rollup_run
    FOR EACH ROW EXECUTE FUNCTION break_on_poison('54000');
UPDATE cost_ledger.budget SET is_active = false;
CREATE OR REPLACE FUNCTION break_on_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = TG_ARGV[0]; END $$;
CALL cost_ledger.refresh();
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM cost_ledger.quarantined_call;
DROP TRIGGER break_on_all ON cost_ledger_internal.rollup_run;
CALL cost_ledger.refresh();
SELECT * FROM sums;

-- Rows that came past the door, as replicated ones do.  Two numbers that
-- PostgreSQL can store and cannot add, and what is no number.
SET session_replication_role = replica;
INSERT INTO cost_ledger.call (called_at, recorded_at, provider, model, service_class, pricing, cost) VALUES
    ('2026-04-01Z', now(), 'acme', 'm', 'standard', 'priced', '6e131071'), ('2026-04-01Z', now(), 'acme', 'm', 'standard', 'priced', '6e131071'),
    ('2026-04-01Z', now(), 'acme', 'm', 'standard', 'priced', 'NaN'), ('2026-04-01Z', now(), 'acme', 'm', 'standard', 'priced', 7);
RESET session_replication_role;
CALL cost_ledger.refresh();
SELECT sqlstate, left(cost::text, 5) AS cost FROM cost_ledger.quarantined_call ORDER BY call_id;
SELECT * FROM sums;
SELECT trim_scale(sum(cost)) AS cost FROM cost_ledger.chargeback_by_month;
-- nor times that reports cannot reckon with
SET session_replication_role = replica;
INSERT INTO cost_ledger.call (called_at, recorded_at, provider, model, service_class, pricing, cost)
SELECT t.at, now(), 'acme', 'm', 'standard', 'priced', 7 FROM (VALUES ('-infinity'::timestamptz), ('4713-01-01Z BC'), ('294276-12-31Z'), ('infinity')) AS t (at);
RESET session_replication_role;
CALL cost_ledger.refresh();
SELECT called_at, message FROM cost_ledger.quarantined_call WHERE cost = 7 ORDER BY called_at;
SELECT count(*) > 0 AS shown FROM cost_ledger.week_over_week;
SELECT sum(calls) AS calls FROM cost_ledger.what_if('-infinity', 'infinity');
SELECT cost_ledger.release_quarantine();
-- nor are they priced anew
SELECT count(*) AS calls, sum(old_cost) AS old_cost FROM cost_ledger.rerate('2026-04-01', '2026-05-01', '{}');
SELECT calls, real_cost FROM cost_ledger.what_if('2026-04-01', '2026-05-01', '[{"from": {}, "to": {"model": "m"}}]');

-- a batch full of bad rows ends: after a hundred, small parts that fail go in
-- whole, and the good rows among them come in later
CREATE TRIGGER break_on_some BEFORE INSERT ON cost_ledger_internal.rollup_run
    FOR EACH ROW EXECUTE FUNCTION break_on_poison('22003');
CREATE OR REPLACE FUNCTION break_on_poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.run_id LIKE 'poison%' THEN
        RAISE EXCEPTION 'run % cannot be read', new.run_id USING ERRCODE = TG_ARGV[0];
    END IF;
    RETURN new;
END
$$;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id)
SELECT '2026-04-10Z'::timestamptz + i * interval '1 second', 'acme', 'm', 1, CASE WHEN i < 110 OR i % 200 = 0 THEN 'poison' ELSE 'r' END FROM generate_series(1, 2000) i;
CALL cost_ledger.refresh();
SELECT count(*) FILTER (WHERE run_id = 'poison') AS bad, count(*) FILTER (WHERE run_id = 'r') BETWEEN 1 AND 20 AS few_good FROM cost_ledger.quarantined_call;
SET client_min_messages = error;
SELECT cost_ledger.release_quarantine() > 0 AS released;
RESET client_min_messages;
SELECT DISTINCT run_id FROM cost_ledger.quarantined_call;
DROP TRIGGER break_on_some ON cost_ledger_internal.rollup_run;
SELECT cost_ledger.release_quarantine();
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
-- retention: the month goes, and the calls in quarantine with it; the log names
-- them, and what it says of the rest is what the rollups say
SELECT cost_ledger.set_retention('1 month');
CREATE TEMP TABLE copy AS SELECT c.* FROM cost_ledger.call c WHERE called_at >= '2026-04-01Z' AND called_at < '2026-05-01Z';
SELECT cost_ledger.partition_digest('copy') AS digest \gset
SELECT partition, outcome FROM cost_ledger.apply_retention() WHERE partition IN ('call_p2026_03', 'call_p2026_04');
SELECT partition, rows, cost, cardinality(quarantined) AS quarantined, digest = :'digest' AS same_digest FROM cost_ledger.retention_log WHERE rows > 0 ORDER BY starts_at;
DELETE FROM copy USING cost_ledger.retention_log l WHERE call_id = ANY (l.quarantined);
SELECT cost_ledger.partition_digest('copy') = :'digest' AS same_digest;
SELECT is_equal FROM cost_ledger.retention_check WHERE dropped_rows > 0 ORDER BY starts_at;
SELECT count(*) AS quarantined FROM cost_ledger.quarantined_call;
-- a call that is brought in between check and drop makes the check stale
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-05-02Z', 'acme', 'm', 1);
SELECT cost_ledger.create_partitions('2026-05-01', '2026-05-02');
CALL cost_ledger.refresh();
SET session_replication_role = replica;
INSERT INTO cost_ledger.call (called_at, recorded_at, provider, model, service_class, pricing, cost) VALUES ('2026-05-02Z', now(), 'acme', 'm', 'standard', 'priced', '1e70');
RESET session_replication_role;
CALL cost_ledger.refresh();
SELECT cost_ledger_internal.check_partition('cost_ledger_internal.call_p2026_05');
DELETE FROM cost_ledger_internal.quarantine;
SELECT cost_ledger_internal.drop_partition('cost_ledger_internal.call_p2026_05');
-- after a failure, the time limit's too, the jobs take a backlog in smaller parts
DO $$ BEGIN FOR i IN 1 .. 4 LOOP INSERT INTO cost_ledger.call (provider, model) SELECT 'acme', 'm' FROM generate_series(1, 20000); COMMIT; END LOOP; END $$;
SELECT cardinality(cost_ledger_internal.plan_job('refresh')) AS parts;
UPDATE cost_ledger_internal.job SET last_error_at = now(), last_ok_at = NULL WHERE name = 'refresh';
SELECT cardinality(cost_ledger_internal.plan_job('refresh')) > 1 AS more_parts;
DROP VIEW sums;
SELECT cost_ledger.drop_ledger(i_mean_it => true);

-- A duration that is none, as replication may bring it, is no reason to leave a
-- call out, nor does it break a report.
SELECT cost_ledger.create_ledger();
SET session_replication_role = replica;
INSERT INTO cost_ledger.call (called_at, recorded_at, provider, model, service_class, pricing, cost, run_id, duration_ms)
SELECT '2026-04-02Z', now(), 'acme', 'm', 'standard', 'priced', 1, 'lasted ' || d, d FROM unnest('{-Infinity,-1e300,-1,1e300,Infinity,NaN}'::double precision[]) AS d;
RESET session_replication_role;
SELECT run_id, ended_at - started_at AS lasted FROM cost_ledger.run WHERE run_id LIKE 'lasted%' ORDER BY run_id;
CALL cost_ledger.refresh();
SELECT run_id, ended_at - started_at AS lasted FROM cost_ledger.run WHERE run_id LIKE 'lasted%' ORDER BY run_id;
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT count(*) AS moved FROM cost_ledger.reattribute('{"run_id": ["lasted -Infinity", "lasted -1e+300", "lasted NaN"]}'::jsonb, '{"team": "t1"}', 'x', '2026-04-01', '2026-04-03', false);
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT cost_ledger.drop_ledger(i_mean_it => true);
