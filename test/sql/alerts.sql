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
UPDATE cost_ledger.job SET last_ok_at = now() - interval '290 seconds';
SELECT cost_ledger.check_rules();
UPDATE cost_ledger.job SET last_ok_at = now() - interval '301 seconds', last_error = '55P03: canceled' WHERE name = 'refresh';
SELECT cost_ledger.check_rules();
SELECT a.level, a.kind, a.rule, a.subject, a.value >= 301 AS late, a.threshold, a.basis, a.resolved_at, a.scope, a.message::jsonb - 'as_of' - 'value' AS message,
       octet_length(a.message) < 1000 AS fits
FROM cost_ledger.unacknowledged_alert a;
-- once
SELECT cost_ledger.check_rules();
-- over, and again
UPDATE cost_ledger.job SET last_ok_at = now();
SELECT cost_ledger.check_rules();
SELECT occurrence, resolved_at IS NOT NULL AS resolved FROM cost_ledger.alert ORDER BY alert_id;
UPDATE cost_ledger.job SET last_ok_at = now() - interval '1 hour' WHERE name = 'refresh';
SELECT cost_ledger.check_rules();
SELECT occurrence, resolved_at IS NOT NULL AS resolved FROM cost_ledger.alert ORDER BY alert_id;
-- acknowledged together
SELECT cost_ledger.acknowledge(max(alert_id), 'me') FROM cost_ledger.alert;
SELECT count(*) FROM cost_ledger.unacknowledged_alert;
-- a subject that is gone is over
DELETE FROM cost_ledger.job WHERE name = 'refresh';
SELECT cost_ledger.check_rules();
SELECT count(*) FROM cost_ledger.alert WHERE resolved_at IS NULL;
INSERT INTO cost_ledger.job (name, last_ok_at) VALUES ('refresh', now());

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
UPDATE cost_ledger.job SET last_ok_at = now() - interval '1 hour' WHERE name = 'check_budgets';
SELECT cost_ledger.check_rules();
SELECT name, last_error FROM cost_ledger.alert_rule WHERE last_error IS NOT NULL;
UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind = 'temperature';
SELECT cost_ledger.check_rules();

-- a rule is checked, and its alerts are kept
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.alert_rule (name, kind, threshold) VALUES ('', 'x', 1);
INSERT INTO cost_ledger.alert_rule (name, kind, threshold) VALUES ('x', 'x; DROP', 1);
INSERT INTO cost_ledger.alert_rule (name, kind, threshold) VALUES ('x', 'x', 'NaN');
INSERT INTO cost_ledger.alert_rule (name, kind, threshold, clear_below) VALUES ('x', 'x', 1, 2);
INSERT INTO cost_ledger.alert_rule (name, kind, threshold, severity) VALUES ('x', 'x', 1, 'shout');
INSERT INTO cost_ledger.alert_rule (name, kind, threshold, scope) VALUES ('x', 'x', 1, '[]');
DELETE FROM cost_ledger.alert_rule WHERE kind = 'stale_job';
DELETE FROM cost_ledger.alert;
UPDATE cost_ledger.alert SET resolved_at = NULL;
UPDATE cost_ledger.alert SET value = 0;
INSERT INTO cost_ledger.alert (kind, basis, threshold, level, scope, payload) VALUES ('x', 'x', 1, 'page', '{}', '{}');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
