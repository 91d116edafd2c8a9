-- A loop that spends $3,450 an hour for eleven hours: 100 calls of $0.575 a
-- minute.  Who stops it, at which call, and who hears of it, in which minute.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
UPDATE cost_ledger.alert_rule SET is_active = false;
INSERT INTO cost_ledger.alert_rule (name, kind, severity, threshold, scope) VALUES ('$500 an hour', 'spend_rate', 'page', 500, '{"subject": "all"}');

-- Nobody asks reserve().  The loop begins at a full hour eleven to twelve hours
-- ago, and is replayed minute by minute.
SELECT date_trunc('hour', now()) - interval '11 hours' AS loop_start, 660 + extract(minute FROM now()) AS last_minute \gset
CREATE FUNCTION pg_temp.minutes(first integer, last integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, agent, session_id, run_id)
    SELECT current_setting('runaway.start')::timestamptz + (m - 1) * interval '1 minute' + n * interval '0.6 seconds', 'acme', 'm', 575000, 'code-review', 's', 'r'
    FROM generate_series($1, $2) m, generate_series(0, 99) n
$$;
SET runaway.start = :'loop_start';
CREATE TEMP TABLE heard (minute integer, spent numeric, rate_5m numeric, rate_1h numeric, hour_level text);
DO $$
BEGIN
    PERFORM cost_ledger.set_budget('breaker', '{}', 'rolling', 500, period_length => '1 hour');
    FOR minute IN 1..12 LOOP
        PERFORM pg_temp.minutes(minute, minute);
        COMMIT;
        PERFORM cost_ledger_internal.refresh_batch();
        -- The job comes at the end of the minute.
        INSERT INTO heard
            SELECT minute, (SELECT sum(cost) FROM cost_ledger_internal.live_hour), s.rate_5m, s.rate_1h,
                   (SELECT cost_ledger_internal.check_budgets(current_setting('runaway.start')::timestamptz + minute * interval '1 minute'))::text
            FROM cost_ledger.spend_rate(current_setting('runaway.start')::timestamptz + minute * interval '1 minute') s
            WHERE s.subject = 'all';
        COMMIT;
    END LOOP;
END
$$;
-- In minute 1: 57.50 in the last 5 minutes is 690 an hour.  The budget of $500
-- an hour has its thresholds 350, 450 and 500 crossed in minutes 7 (402.50), 8
-- (460) and 9 (517.50).
SELECT minute, spent, rate_5m, rate_1h, hour_level AS alerts, rate_5m >= 500 AS pages FROM heard ORDER BY minute;
SELECT min(minute) AS pages_in_minute, min(spent) AS spent FROM heard WHERE rate_5m >= 500;
SELECT b.name, a.threshold, a.level, a.spent FROM cost_ledger.alert a JOIN cost_ledger.budget b USING (budget_id) ORDER BY a.alert_id;

-- Up to now.  Eleven hours are 66,000 calls and $37,950; one page, however often
-- the job comes.
SELECT FROM pg_temp.minutes(13, :last_minute);
CALL cost_ledger.refresh();
SELECT sum(calls) AS calls, sum(cost) AS cost FROM cost_ledger_internal.live_minute WHERE minute < timestamptz :'loop_start' + interval '11 hours';
SELECT cost_ledger.check_rules();
SELECT cost_ledger.check_rules();
SELECT level, rule, subject, value > 500 AS above FROM cost_ledger.unacknowledged_alert WHERE rule IS NOT NULL;
SELECT cost_ledger.drop_ledger(i_mean_it => true);

-- Everybody asks reserve(), which says at which call the loop ends: with $5 a
-- session at the 9th (8 cost 4.60), with 50 turns a session at the 51st, with
-- $100 a run at the 174th (173 cost 99.475), with $500 an hour at the 870th (869
-- cost 499.675), 8 minutes and 41 seconds after it began.
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1}', '2020-01-01') > 0 AS set;
CREATE TEMP TABLE stopped (control text, at_call integer, by_budget text, reason text, spent numeric);
DO $$
DECLARE
    control record;
    answer record;
    n integer;
BEGIN
    FOR control IN
        SELECT * FROM (VALUES
            ('5 a session', 'session', 5, 'cost', NULL::interval),
            ('50 turns', 'session', 50, 'turns', NULL),
            ('100 a run', 'run', 100, 'cost', NULL),
            ('500 an hour', 'rolling', 500, 'cost', '1 hour')) AS c (name, period, amount, metric, length)
    LOOP
        PERFORM cost_ledger.set_budget(control.name, jsonb_build_object('agent', control.name), control.period, control.amount, metric => control.metric, period_length => control.length);
        COMMIT;
        n := 0;
        LOOP
            n := n + 1;
            SELECT * INTO answer FROM cost_ledger.reserve(control.name || n, jsonb_build_object('agent', control.name, 'session_id', 's ' || control.name, 'run_id', 'r ' || control.name), 0.575);
            EXIT WHEN answer.decision = 'stop' OR n > 1000;
            INSERT INTO cost_ledger.call (provider, model, input_tokens, agent, session_id, run_id, hold_id)
                VALUES ('acme', 'm', 575000, control.name, 's ' || control.name, 'r ' || control.name, answer.hold_id);
            COMMIT;
        END LOOP;
        INSERT INTO stopped
            SELECT control.name, n, b.name, answer.reason, (SELECT sum(cost) FROM cost_ledger.call WHERE run_id = 'r ' || control.name)
            FROM cost_ledger.budget b WHERE b.budget_id = answer.budget_id;
        UPDATE cost_ledger.budget SET is_active = false;
        COMMIT;
    END LOOP;
END
$$;
SELECT control, at_call, by_budget, spent FROM stopped ORDER BY at_call;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
