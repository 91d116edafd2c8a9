--
-- What befell the ledger itself is seen: calls that somebody dropped, triggers
-- that were turned off, a state that was restored, rows that were hidden.
--
SET client_min_messages = warning;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
-- However long ago the times below are.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
SELECT count(*) FROM cost_ledger.create_partitions('2026-01-01', '2026-04-30');
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind NOT IN ('ledger_problem', 'needs_post_restore');
-- A run over three months, and one in each; calls in a month without partition.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, user_id, run_id, session_id)
    SELECT m + i * interval '1 day', 'openai', 'm', 1000, 't' || i % 2, 'u' || i, CASE WHEN i = 3 THEN 'long' ELSE 'r' || i || to_char(m, 'MM') END, 's' || i || to_char(m, 'MM')
    FROM unnest('{2026-01-01,2026-02-01,2026-03-01,1999-01-01}'::timestamptz[]) AS m, generate_series(0, 5) AS i;
CALL cost_ledger.refresh();
SELECT * FROM cost_ledger.ledger_problem;

--
-- A month that vanished.
--
SET cost_ledger.allow_drop = on;
DROP TABLE cost_ledger_internal.call_p2026_02;
RESET cost_ledger.allow_drop;
SELECT * FROM cost_ledger.ledger_problem;
SELECT * FROM cost_ledger.check_rollups();
SELECT count(*) FROM cost_ledger.check_rollups('2026-01-01', '2026-02-01');
SELECT cost_ledger.check_rules();
SELECT rule, level, subject, value FROM cost_ledger.unacknowledged_alert;
-- its sums stay, and what is wrong elsewhere is put right
UPDATE cost_ledger_internal.rollup_day SET calls = calls + 7 WHERE day = '2026-01-02';
DELETE FROM cost_ledger_internal.rollup_run WHERE run_id LIKE 'r1%';
SELECT rollup, count(*) FROM cost_ledger.check_rollups() GROUP BY 1 ORDER BY 1;
SET client_min_messages = notice;
SELECT cost_ledger.rebuild_rollups();
SET client_min_messages = warning;
SELECT rollup FROM cost_ledger.check_rollups();
SELECT month, calls, cost FROM cost_ledger.chargeback_by_month WHERE team = 't0' ORDER BY 1;
-- late calls of it do not hide it, while they wait, and when they are in
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-02-11', 'openai', 'm', 1000);
CALL cost_ledger.refresh();
SELECT problem, subject FROM cost_ledger.ledger_problem;
SELECT rollup FROM cost_ledger.check_rollups();
-- a partition that is empty does not either
SET cost_ledger.allow_drop = on;
DROP TABLE cost_ledger_internal.call_p2026_03;
SELECT * FROM cost_ledger.create_partitions('2026-03-01', '2026-03-31');
RESET cost_ledger.allow_drop;
SELECT problem, subject, detail FROM cost_ledger.ledger_problem ORDER BY subject;
-- what retention drops has not vanished
SELECT cost_ledger.set_retention(retain_calls => '1 month');
SELECT * FROM cost_ledger.apply_retention();
SELECT hint AS say_so FROM cost_ledger.ledger_problem WHERE subject = '2026-02' \gset
SELECT substr(:'say_so', strpos(:'say_so', 'INSERT')) AS say_so \gset
:say_so
SELECT replace(:'say_so', '2026-02', '2026-03') AS say_so \gset
:say_so
SELECT problem, subject FROM cost_ledger.ledger_problem;
SELECT * FROM cost_ledger.check_rollups();
SELECT cost_ledger.rebuild_rollups();
SELECT * FROM cost_ledger.apply_retention();
SELECT starts_at, dropped_rows, later_rows, rollup_rows, is_equal FROM cost_ledger.retention_check ORDER BY 1;

--
-- Triggers.
--
ALTER TABLE cost_ledger.call DISABLE TRIGGER append_only;
ALTER TABLE cost_ledger.call ENABLE TRIGGER price_call;
ALTER TABLE cost_ledger_internal.price DISABLE TRIGGER price_history;
SET cost_ledger.allow_drop = on;
DROP TRIGGER price_cache_exchange_rate ON cost_ledger.exchange_rate;
RESET cost_ledger.allow_drop;
SELECT subject, detail, hint FROM cost_ledger.ledger_problem WHERE problem = 'trigger' AND subject !~ 'call_p' ORDER BY 1;
-- the same ones, of the same names, in every session
CREATE TEMP TABLE said AS SELECT * FROM cost_ledger.ledger_problem;
SET search_path = cost_ledger, cost_ledger_internal;
SET quote_all_identifiers = on;
SELECT subject, row_key FROM cost_ledger.ledger_problem EXCEPT SELECT subject, row_key FROM pg_temp.said;
RESET quote_all_identifiers;
RESET search_path;
SELECT cost_ledger.check_rules() > 0 AS alerted;
SELECT DISTINCT rule, level FROM cost_ledger.unacknowledged_alert;
SELECT cost_ledger.drop_ledger(i_mean_it => true);

--
-- A policy that hides calls, of which the owner is no exception, stops what
-- would count or prove by them.
--
CREATE ROLE regress_problem_owner;
GRANT USAGE, CREATE ON SCHEMA cost_ledger, cost_ledger_internal TO regress_problem_owner;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA cost_ledger, cost_ledger_internal TO regress_problem_owner;
SET ROLE regress_problem_owner;
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 3}', '2020-01-01') > 0 AS set;
INSERT INTO cost_ledger.call (event_key, provider, model, team, input_tokens) VALUES ('a', 'openai', 'm', 'a', 1000000), ('b', 'openai', 'm', 'b', 1000000);
ALTER TABLE cost_ledger.call ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY one_team ON cost_ledger.call USING (team = 'a') WITH CHECK (true);
-- sums of views, which are the owner's, would lack the rest
SELECT count(*) FROM cost_ledger.chargeback_by_month;
RESET ROLE;
SELECT count(*) FROM cost_ledger.call_detail;
SET ROLE regress_problem_owner;
CALL cost_ledger.refresh();
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.check_rollups();
SELECT cost_ledger.rebuild_rollups();
SELECT cost_ledger.partition_digest('cost_ledger.call');
SELECT cost_ledger.correct_call('a', '{"input_tokens": 1}', 'a test');
SELECT cost_ledger.rerate('-infinity', 'infinity', dry_run => false, reason => 'a test');
SELECT cost_ledger.set_budget('b', '{}', 'month', 10);
SELECT * FROM cost_ledger.check_balances();
\set VERBOSITY default
ALTER TABLE cost_ledger.call NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
CALL cost_ledger.refresh();
SELECT sum(calls) AS calls, sum(cost) AS cost FROM cost_ledger.chargeback_by_month;
SELECT rows_consumed, unconsumed_rows FROM cost_ledger.rollup_status;
SELECT count(*) AS differences FROM cost_ledger.check_rollups();

--
-- A state that was restored, in the cluster where it was made: its row was not
-- written by whom it names, or it knows transactions that are to come.
--
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1);
RESET ROLE;
SELECT recorded_xid IS NOT NULL AS has_number FROM cost_ledger.call ORDER BY call_id DESC LIMIT 1;
CREATE TABLE public.state AS TABLE cost_ledger_internal.rollup_state;
BEGIN;
DELETE FROM cost_ledger_internal.rollup_state;
INSERT INTO cost_ledger_internal.rollup_state TABLE public.state;
COMMIT;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1) RETURNING recorded_xid IS NOT NULL AS has_number;
SELECT needs_post_restore, unconsumed_rows FROM cost_ledger.rollup_status;
CALL cost_ledger.refresh();
UPDATE cost_ledger.alert_rule SET is_active = kind = 'needs_post_restore';
SELECT cost_ledger.check_rules();
SELECT cost_ledger.post_restore();
SELECT needs_post_restore, unconsumed_rows FROM cost_ledger.rollup_status;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1) RETURNING recorded_xid IS NOT NULL AS has_number;
UPDATE cost_ledger_internal.rollup_state SET snapshot = format('%1$s:%1$s:', pg_snapshot_xmax(snapshot)::text::bigint + 1000000)::pg_snapshot;
\c -
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1) RETURNING recorded_xid IS NOT NULL AS has_number;
SELECT needs_post_restore FROM cost_ledger.rollup_status;
-- without any state calls are recorded all the same
DELETE FROM cost_ledger_internal.rollup_state;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1) RETURNING recorded_xid IS NOT NULL AS has_number;
DROP TABLE public.state;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP OWNED BY regress_problem_owner;
DROP ROLE regress_problem_owner;
