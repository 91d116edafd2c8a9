--
-- Alerts of rules: raised once, resolved, raised again; a new kind is a view.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.check_rules();
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger.create_ledger();
SELECT name, kind, severity, threshold, clear_below, is_active FROM cost_ledger.alert_rule ORDER BY rule_id;
-- a new ledger has nothing to report
SELECT cost_ledger.check_rules();

-- the jobs have not run for five minutes
UPDATE cost_ledger.ledger SET created_at = now() - interval '10 minutes';
UPDATE cost_ledger_internal.job SET last_ok_at = now() - interval '290 seconds';
SELECT cost_ledger.check_rules();
UPDATE cost_ledger_internal.job SET last_ok_at = now() - interval '301 seconds', last_error = '55P03: canceled' WHERE name = 'refresh';
SELECT cost_ledger.check_rules();
SELECT a.level, a.kind, a.rule, a.subject, a.value >= 301 AS late, a.threshold, a.basis, a.resolved_at, a.scope, a.message::jsonb - 'as_of' - 'value' AS message,
       octet_length(a.message) < 1000 AS fits
FROM cost_ledger.unacknowledged_alert a;
-- once
SELECT cost_ledger.check_rules();
-- over, and again
UPDATE cost_ledger_internal.job SET last_ok_at = now();
SELECT cost_ledger.check_rules();
SELECT occurrence, resolved_at IS NOT NULL AS resolved FROM cost_ledger.alert ORDER BY alert_id;
UPDATE cost_ledger_internal.job SET last_ok_at = now() - interval '1 hour' WHERE name = 'refresh';
SELECT cost_ledger.check_rules();
SELECT occurrence, resolved_at IS NOT NULL AS resolved FROM cost_ledger.alert ORDER BY alert_id;
-- acknowledged together
SELECT cost_ledger.acknowledge(max(alert_id)) FROM cost_ledger.alert;
SELECT count(*) FROM cost_ledger.unacknowledged_alert;
-- a subject that is gone is over
DELETE FROM cost_ledger_internal.job WHERE name = 'refresh';
SELECT cost_ledger.check_rules();
SELECT count(*) FROM cost_ledger.alert WHERE resolved_at IS NULL;
INSERT INTO cost_ledger_internal.job (name, last_ok_at) VALUES ('refresh', now());

-- calls without a partition, until the job has made one
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2031-05-05', 'openai', 'm', 1), ('2031-06-05', 'openai', 'm', 1);
SELECT cost_ledger.check_rules();
SELECT subject, value, scope FROM cost_ledger.unacknowledged_alert;
SELECT * FROM cost_ledger.create_partitions('2031-05-01', '2031-06-30');
SELECT cost_ledger.check_rules();
SELECT subject, resolved_at IS NOT NULL AS resolved FROM cost_ledger.unacknowledged_alert;

-- rows that wait, and a ledger that is not at home
UPDATE cost_ledger.alert_rule SET threshold = 0, clear_below = 0 WHERE kind = 'rollup_lag';
UPDATE cost_ledger.ledger SET system_identifier = 1;
SELECT cost_ledger.check_rules();
SELECT level, kind, subject FROM cost_ledger.unacknowledged_alert ORDER BY alert_id;
SELECT cost_ledger.post_restore();
SELECT cost_ledger.check_rules();
SELECT kind, subject, resolved_at IS NOT NULL AS resolved FROM cost_ledger.unacknowledged_alert ORDER BY alert_id;

-- a kind of one's own, on a part of what its view says, with 5 percent of play
CREATE VIEW cost_ledger.signal_temperature AS
    SELECT * FROM (VALUES ('a', 95.0, '{"site": "x"}'), ('b', 200, '{"site": "y"}'), ('c', NULL, '{"site": "x"}'), ('d', 200, NULL)) AS v (subject, value, detail);
INSERT INTO cost_ledger.alert_rule (name, kind, threshold, scope) VALUES ('too hot', 'temperature', 95, '{"site": "x"}');
SELECT cost_ledger.check_rules();
CREATE OR REPLACE VIEW cost_ledger.signal_temperature AS
    SELECT * FROM (VALUES ('a', 90.25, '{"site": "x"}')) AS v (subject, value, detail);
SELECT cost_ledger.check_rules();
SELECT subject, value, resolved_at IS NOT NULL AS resolved FROM cost_ledger.unacknowledged_alert WHERE kind = 'temperature';
CREATE OR REPLACE VIEW cost_ledger.signal_temperature AS
    SELECT * FROM (VALUES ('a', 90.24, '{"site": "x"}')) AS v (subject, value, detail);
SELECT cost_ledger.check_rules();
SELECT subject, value, resolved_at IS NOT NULL AS resolved FROM cost_ledger.unacknowledged_alert WHERE kind = 'temperature';
-- one that cannot be evaluated silences no other
DROP VIEW cost_ledger.signal_temperature;
UPDATE cost_ledger_internal.job SET last_ok_at = now() - interval '1 hour' WHERE name = 'check_budgets';
SELECT cost_ledger.check_rules();
SELECT name, last_error FROM cost_ledger.alert_rule WHERE last_error IS NOT NULL;
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind = 'temperature';
SELECT cost_ledger.check_rules();

-- nor is one read that is of another role, whose functions would have our rights
CREATE ROLE regress_signal_maker;
GRANT USAGE, CREATE ON SCHEMA cost_ledger TO regress_signal_maker;
SET ROLE regress_signal_maker;
CREATE FUNCTION cost_ledger.regress_whoami() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'run as %', current_user; RETURN 'x'; END $$;
CREATE VIEW cost_ledger.signal_temperature AS SELECT cost_ledger.regress_whoami() AS subject, 200 AS value, '{"site": "x"}' AS detail;
CREATE VIEW cost_ledger.signal_stale_job AS SELECT cost_ledger.regress_whoami() AS subject, 1e9 AS value, NULL AS detail;
RESET ROLE;
UPDATE cost_ledger.alert_rule SET is_active = true WHERE kind = 'temperature';
SELECT cost_ledger_internal.check_rule(rule_id) FROM cost_ledger.alert_rule WHERE kind = 'stale_job';
DO $$ BEGIN PERFORM cost_ledger_internal.check_rule(rule_id) FROM cost_ledger.alert_rule WHERE kind = 'temperature';
EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE '%', replace(SQLERRM, current_user, 'ME'); END $$;
SELECT count(*) FROM cost_ledger.alert WHERE subject = 'x';
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind = 'temperature';
DROP VIEW cost_ledger.signal_temperature, cost_ledger.signal_stale_job;
DROP FUNCTION cost_ledger.regress_whoami();
REVOKE USAGE, CREATE ON SCHEMA cost_ledger FROM regress_signal_maker;
DROP ROLE regress_signal_maker;

-- subjects come from callers: too long for an index, twice the same, none
UPDATE cost_ledger_internal.job SET last_ok_at = now();
CREATE VIEW cost_ledger.signal_odd AS
    SELECT * FROM (VALUES (NULL, 5, NULL), ('twice', 1, NULL), ('twice', 7, '{"which": "high"}'), ('fine', 6, NULL)) AS v (subject, value, detail)
    UNION ALL SELECT string_agg(md5(n::text), ''), 8, NULL FROM generate_series(1, 1000) AS n;
INSERT INTO cost_ledger.alert_rule (name, kind, threshold) VALUES ('odd', 'odd', 5);
SELECT cost_ledger.check_rules();
SELECT octet_length(subject), right(left(subject, 20), 8) AS subject, value, scope, octet_length(message) < 1000 AS fits FROM cost_ledger.unacknowledged_alert WHERE kind = 'odd' ORDER BY value;
SELECT cost_ledger.check_rules();
SELECT count(*), count(resolved_at) AS resolved FROM cost_ledger.alert WHERE kind = 'odd';
-- no value any more, or not in the rule's scope: over
CREATE OR REPLACE VIEW cost_ledger.signal_odd AS
    SELECT * FROM (VALUES ('twice', 7, '{"which": "high"}'), ('fine', NULL, NULL)) AS v (subject, value, detail);
SELECT cost_ledger.check_rules();
SELECT count(*), count(resolved_at) AS resolved FROM cost_ledger.alert WHERE kind = 'odd';
UPDATE cost_ledger.alert_rule SET scope = '{"which": "low"}' WHERE kind = 'odd';
SELECT cost_ledger.check_rules();
SELECT count(*), count(resolved_at) AS resolved FROM cost_ledger.alert WHERE kind = 'odd';
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind = 'odd';

-- one that takes too long silences no other
CREATE VIEW cost_ledger.signal_slow AS SELECT 'x' AS subject, 1 AS value, NULL AS detail FROM pg_sleep(600);
INSERT INTO cost_ledger.alert_rule (name, kind, threshold, time_limit) VALUES ('slow', 'slow', 1, '1 second');
CREATE VIEW cost_ledger.signal_after AS SELECT 'x' AS subject, 1 AS value, NULL AS detail;
INSERT INTO cost_ledger.alert_rule (name, kind, threshold) VALUES ('after', 'after', 1);
SELECT cost_ledger.check_rules();
SELECT name, last_error FROM cost_ledger.alert_rule WHERE kind IN ('slow', 'after') ORDER BY name;
-- somebody's cancel is meant for all
UPDATE cost_ledger.alert_rule SET time_limit = '1 hour' WHERE kind = 'slow';
SET statement_timeout = '1s';
SELECT cost_ledger.check_rules();
\echo :LAST_ERROR_SQLSTATE
UPDATE cost_ledger.alert_rule SET time_limit = NULL WHERE kind = 'slow';
SELECT cost_ledger.check_rules();
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind = 'slow';
-- within a limit there is: the one that ends first counts, and the other goes on
SELECT cost_ledger_internal.run_within($$SELECT cost_ledger_internal.run_within('SELECT 7::bigint FROM pg_sleep(600)', '1 hour')$$, '1 second');
\echo :LAST_ERROR_SQLSTATE
SELECT cost_ledger_internal.run_within($$SELECT cost_ledger_internal.run_within('SELECT 7::bigint FROM pg_sleep(600)', '1 second')$$, '1 hour');
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION pg_temp.twice() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cost_ledger_internal.run_within('SELECT pg_sleep(600)', '0.1 seconds');
EXCEPTION WHEN SQLSTATE 'LC004' THEN
    RAISE NOTICE '%', SQLERRM;
    RETURN cost_ledger_internal.run_within('SELECT 7::bigint FROM pg_sleep(600)', '1 hour');
END
$$;
SELECT cost_ledger_internal.run_within('SELECT pg_temp.twice()', '1 second');
\echo :LAST_ERROR_SQLSTATE
-- what it ran, an error of its own, no limit, and nothing that comes later
SELECT cost_ledger_internal.run_within('SELECT 7::bigint', '1 second') AS seven, cost_ledger_internal.run_within('SELECT 7::bigint', NULL) AS no_limit,
       cost_ledger_internal.run_within('SELECT NULL::bigint', '1 second') AS zero, cost_ledger_internal.run_within(NULL, '1 second') AS none;
SELECT cost_ledger_internal.run_within('SELECT 1 / 0', '1 second');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_sleep(1.1);

-- a rule is checked, and its alerts are kept
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.alert_rule (name, kind, threshold) VALUES ('', 'x', 1);
INSERT INTO cost_ledger.alert_rule (name, kind, threshold) VALUES ('x', 'x; DROP', 1);
INSERT INTO cost_ledger.alert_rule (name, kind, threshold) VALUES ('x', 'x', 'NaN');
INSERT INTO cost_ledger.alert_rule (name, kind, threshold, clear_below) VALUES ('x', 'x', 1, 2);
INSERT INTO cost_ledger.alert_rule (name, kind, threshold, severity) VALUES ('x', 'x', 1, 'shout');
INSERT INTO cost_ledger.alert_rule (name, kind, threshold, scope) VALUES ('x', 'x', 1, '[]');
INSERT INTO cost_ledger.alert_rule (name, kind, threshold, time_limit) VALUES ('x', 'x', 1, '0');
DELETE FROM cost_ledger.alert_rule WHERE kind = 'stale_job';
DELETE FROM cost_ledger.alert;
UPDATE cost_ledger.alert SET resolved_at = NULL;
UPDATE cost_ledger.alert SET value = 0;
INSERT INTO cost_ledger.alert (kind, basis, threshold, level, scope, payload) VALUES ('x', 'x', 1, 'page', '{}', '{}');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
