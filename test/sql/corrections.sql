--
-- Calls that move to other labels, and calls that are taken back.  Afterwards every
-- report, for every reader, is that of a ledger to which the calls had come so.
--
SET TIME ZONE 'UTC';
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- Two calls at each time, which share runs, sessions and users; some without this or
-- that; some of the last hours, of which there are minutes.
CREATE TEMP TABLE sent AS
SELECT n, CASE WHEN n <= 50 THEN 1 ELSE 2 END AS part,
       CASE WHEN n % 5 = 0 THEN date_trunc('hour', now()) - interval '5 hours' + n / 2 * interval '3 minutes'
            ELSE timestamptz '2024-03-01 05:00Z' + n / 2 * interval '11 hours' END AS called_at,
       (ARRAY['team-a', 'team-b', 'team-c', NULL])[1 + n % 4] AS team,
       (ARRAY['cust-x', 'cust-y', 'cust-z', NULL])[1 + n / 4 % 4] AS customer,
       'f' || n % 3 AS feature, 'u' || n % 5 AS user_id, 's' || n % 3 AS session_id,
       CASE WHEN n % 8 <> 7 THEN 'r' || n / 2 % 7 END AS run_id, CASE WHEN n / 2 % 7 > 0 THEN 'r' || n / 2 % 7 - 1 END AS parent_run_id,
       (ARRAY['chat', 'batch', NULL])[1 + n % 3] AS task_type, (ARRAY['primary', 'retry', 'fallback', NULL])[1 + n % 4] AS operation,
       CASE WHEN n % 9 = 0 THEN 'error' ELSE 'success' END AS status,
       CASE WHEN n % 10 = 3 THEN 'unknown' ELSE 'm' || n % 3 END AS model,
       n % 6 = 0 AS accepted, n % 3 AS retry_count, 'https://t/' || n AS trace_url,
       n * 1000 AS input_tokens, n * 100 AS cache_read_tokens, n * 10 AS output_tokens,
       CASE WHEN n % 6 = 0 THEN n * 0.001 END AS reported_cost, CASE WHEN n % 4 = 0 THEN '{"tier": "free", "beta": true}'::jsonb END AS tags
FROM generate_series(1, 100) AS n;
CREATE TEMP TABLE meant AS TABLE sent;
CREATE TEMP TABLE ranges AS VALUES (timestamptz '2024-03-01', timestamptz '2024-05-01'), (now() - interval '1 day', now() + interval '1 day');
ALTER TABLE ranges RENAME column1 TO f;
ALTER TABLE ranges RENAME column2 TO t;

CREATE FUNCTION pg_temp.fill(rows regclass, part integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF part = 1 THEN
        PERFORM cost_ledger.set_price('p', 'm' || n, '{"input_tokens": 1, "cache_read_tokens": 0.1, "output_tokens": 2}', '2024-01-01') FROM generate_series(0, 2) AS n;
        PERFORM cost_ledger.set_budget(v.name, v.scope::jsonb, v.period, 1000, metric => v.metric, each_of => v.each_of)
        FROM (VALUES ('of teams', '{}', 'total', 'cost', 'team'), ('of x', '{"customer": "cust-x"}', 'total', 'cost', NULL), ('of users', '{}', 'month', 'tokens', 'user_id'),
                     ('of a', '{"team": "team-a"}', 'month', 'calls', NULL), ('of runs', '{}', 'run', 'duration', NULL), ('turns', '{}', 'session', 'turns', NULL),
                     ('at all', '{}', 'day', 'cost', NULL)) AS v (name, scope, period, metric, each_of);
        INSERT INTO cost_ledger.revenue (earned_on, feature, customer, amount)
            SELECT '2024-03-31', 'f' || n % 3, c, n FROM unnest('{cust-x,cust-y,cust-z,NULL}'::text[]) WITH ORDINALITY AS v (c, n);
        INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, quantity, amount)
            VALUES ('I-1', 'p', '2024-03-01', '2024-03-31', 'm1', 'input_tokens', 1000000, 1);
        PERFORM cost_ledger.estimate_feature_cost('f1', 'p', 'm1', users => 10, calls_per_user_per_day => 1, cached_input_tokens => 0, fresh_input_tokens => 100,
                                                  output_tokens => 10, first_month => '2024-03-01', save => true);
    END IF;
    EXECUTE format('INSERT INTO cost_ledger.call (called_at, provider, model, team, customer, feature, user_id, session_id, run_id, parent_run_id, task_type,
                                                  operation, status, accepted, retry_count, trace_url, input_tokens, cache_read_tokens, output_tokens, reported_cost, tags, input_parts, event_key)
                    SELECT s.called_at, ''p'', s.model, s.team, s.customer, s.feature, s.user_id, s.session_id, s.run_id, s.parent_run_id, s.task_type,
                           s.operation, s.status, s.accepted, s.retry_count, s.trace_url, s.input_tokens, s.cache_read_tokens, s.output_tokens, s.reported_cost, s.tags,
                           CASE WHEN s.n %% 3 > 0 THEN jsonb_build_object(''history'', s.input_tokens / 3, ''new_input'', s.input_tokens / (1 + s.n)) END, ''e'' || s.n
                    FROM %s s WHERE s.part = $1 ORDER BY s.n', rows) USING part;
END
$$;
-- Usages that were wrong, a price that was wrong, a model that gets its price.
CREATE FUNCTION pg_temp.correct(rows regclass, step integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(cost_ledger.correct_call(''e'' || s.n, ''{"input_tokens": 99000}'', ''recount'')) FROM %s s WHERE s.model <> ''unknown'' AND s.n %% 11 = $1', rows) USING step;
    PERFORM cost_ledger.set_price('p', 'm1', format('{"input_tokens": %s, "cache_read_tokens": 0.1, "output_tokens": 2}', step)::jsonb, '2024-01-01', replace => true);
    IF step > 4 THEN
        PERFORM cost_ledger.set_price('p', 'unknown', '{"input_tokens": 7}', '2024-01-01', replace => true);
    END IF;
    PERFORM cost_ledger.rerate(r.f, r.t, dry_run => false, reason => 'step ' || step) FROM ranges r ORDER BY r.f;
END
$$;

-- What a role sees: every public view but those of what was done, and of how the
-- ledger is kept; without the numbers of rows, and what changes with the time of day.
CREATE TEMP TABLE seen (state text, reader text, what text, row jsonb);
CREATE FUNCTION pg_temp.look(state text, reader text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    view text;
    found jsonb[];
    left_out constant text[] := '{call_id,recorded_at,recorded_xid,price_id,corrects,restates,hold_id,created_at,created_by,batch_id,row_key,lag_seconds,
                                  burn_rate_per_hour,forecast,forecast_low,forecast_high,forecast_method,no_forecast_reason,exhausted_at,days_left}';
BEGIN
    FOR view IN SELECT v.viewname FROM (SELECT v.viewname FROM pg_views v WHERE v.schemaname = 'cost_ledger' OFFSET 0) v
                WHERE v.viewname NOT IN ('restatement', 'rollup_status', 'job_status', 'partition_status', 'grants', 'price_list', 'spend_now')
                  AND has_table_privilege(look.reader, format('cost_ledger.%I', v.viewname), 'SELECT') LOOP
        PERFORM set_config('role', look.reader, true);
        -- How deep a run is, is known when refresh() has seen it.
        EXECUTE format('SELECT array_agg(to_jsonb(v) - $1) FROM cost_ledger.%I v', view) INTO found
            USING left_out || CASE WHEN state LIKE '%not refreshed' THEN 'depth' END;
        PERFORM set_config('role', 'none', true);
        INSERT INTO seen SELECT look.state, look.reader, view, f FROM unnest(found) AS f;
    END LOOP;
END
$$;
CREATE FUNCTION pg_temp.look_inside(state text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    rollup text;
    keyed text;
BEGIN
    -- Summaries too, to the byte.
    FOREACH rollup IN ARRAY '{minute,hour,day,month,subrun_month,input_part_month,run,session,run_tree,run_day,without_run_day,session_day,user_day,user_month,user_feature_month}'::text[] LOOP
        keyed := CASE WHEN rollup IN ('minute', 'hour', 'day', 'month', 'subrun_month', 'input_part_month') THEN ' LEFT JOIN cost_ledger_internal.rollup_key k USING (key_id)' ELSE ', (SELECT) k' END;
        EXECUTE format('INSERT INTO seen
                        SELECT %L, ''inside'', %L, to_jsonb(k) || jsonb_set(to_jsonb(r), ''{labels}'', coalesce(to_jsonb(r) -> ''labels'', ''{}'') - ''call_id'' - ''later'') - ''key_id''
                        FROM cost_ledger_internal.rollup_%s r%s', state, 'rollup_' || rollup, rollup, keyed);
    END LOOP;
    UPDATE seen SET row = row - 'key_id' WHERE reader = 'inside';
    -- When the first call was is asked of a duration, and of what has no beginning.
    INSERT INTO seen SELECT state, 'inside', 'balance', to_jsonb(s) - CASE WHEN b.metric = 'duration' OR b.period = 'total' THEN '{}' ELSE '{first_at,last_at}'::text[] END
    FROM cost_ledger_internal.budget_balance s JOIN cost_ledger.budget b USING (budget_id);
    INSERT INTO seen SELECT state, 'inside', 'what_if', to_jsonb(w) FROM ranges r, cost_ledger.what_if(r.f, r.t, '[{"from": {"model": "m0"}, "to": {"model": "m1"}}]') w;
    INSERT INTO seen SELECT state, 'inside', 'billed_meters', to_jsonb(w) FROM ranges r, cost_ledger.billed_meters(r.f, r.t) w;
    INSERT INTO seen SELECT state, 'inside', 'sample by ' || s, to_jsonb(w) FROM unnest('{user,run,session,customer,call}'::text[]) s, cost_ledger.feature_cost_sample('f1', '2024-03-01', 'infinity', s) w;
    INSERT INTO seen SELECT state, 'inside', 'check_rollups', to_jsonb(c) FROM cost_ledger.check_rollups() c;
    INSERT INTO seen SELECT state, 'inside', 'check_balances', to_jsonb(c) FROM cost_ledger.check_balances() c;
END
$$;
CREATE FUNCTION pg_temp.look_all(state text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.look(state, r) FROM unnest('{regress_all,regress_team,regress_customer,regress_both}'::text[]) r;
    SELECT pg_temp.look_inside(state) WHERE state NOT LIKE '%not refreshed';
$$;

CREATE ROLE regress_all;
CREATE ROLE regress_team;
CREATE ROLE regress_customer;
CREATE ROLE regress_both;
CREATE ROLE regress_admin;
CREATE ROLE regress_tenant;
CREATE FUNCTION pg_temp.make() RETURNS void LANGUAGE sql AS $$
    SELECT cost_ledger.create_ledger();
    SELECT cost_ledger.create_partitions('2024-03-01', '2024-04-30');
    SELECT cost_ledger.grant_reader('regress_all'), cost_ledger.grant_team_reader('regress_team', 'team-a'), cost_ledger.grant_customer_reader('regress_customer', 'cust-x'),
           cost_ledger.grant_team_reader('regress_both', 'team-b'), cost_ledger.grant_customer_reader('regress_both', 'cust-z'),
           cost_ledger.grant_admin('regress_admin'), cost_ledger.grant_writer('regress_tenant', key_space => 'tenant');
$$;

-- What should have come, in order.
UPDATE meant SET team = 'team-b' WHERE team = 'team-a' AND feature = 'f1';
UPDATE meant SET customer = 'cust-z', run_id = 'r9' WHERE run_id = 'r3';
UPDATE meant SET user_id = 'u9', session_id = 's9', feature = NULL, parent_run_id = NULL WHERE n IN (10, 11, 60, 61, 75);
UPDATE meant SET customer = 'cust-y', operation = 'eval', task_type = 'late', tags = coalesce(tags, '{}') - 'beta' || '{"tier": "gold"}' WHERE user_id = 'u2' AND customer IS NULL;
UPDATE meant SET run_id = NULL, team = NULL, user_id = NULL, session_id = NULL WHERE run_id = 'r5';
DELETE FROM meant WHERE n IN (20, 22, 55, 70, 77);
SELECT count(*) FILTER (WHERE m.n IS NULL) AS taken_back, count(*) FILTER (WHERE m IS DISTINCT FROM s AND m.n IS NOT NULL) AS moved FROM sent s LEFT JOIN meant m USING (n);

SELECT pg_temp.make();
SELECT pg_temp.fill('meant', 1);
CALL cost_ledger.refresh();
SELECT pg_temp.fill('meant', 2);
SELECT pg_temp.correct('meant', 3);
SELECT pg_temp.look_all('meant, not refreshed');
CALL cost_ledger.refresh();
SELECT pg_temp.look_all('meant');
SELECT pg_temp.correct('meant', 5);
CALL cost_ledger.refresh();
SELECT pg_temp.look_all('meant, corrected after');
SELECT cost_ledger.drop_ledger(i_mean_it => true);

-- What came: half of it is in the rollups when it is put right, half is not.
SELECT pg_temp.make();
SELECT pg_temp.fill('sent', 1);
CALL cost_ledger.refresh();
SELECT pg_temp.fill('sent', 2);
SELECT pg_temp.correct('sent', 3);
SELECT pg_temp.look_all('sent, not refreshed');
CREATE FUNCTION pg_temp.move(filters jsonb, labels jsonb, OUT to_move bigint, OUT moved bigint, OUT again bigint) LANGUAGE plpgsql AS $$
BEGIN
    to_move := (SELECT count(*) FROM cost_ledger.reattribute(filters, labels));
    moved := (SELECT count(*) FROM cost_ledger.reattribute(filters, labels, 'sent by the wrong service', dry_run => false));
    again := (SELECT count(*) FROM cost_ledger.reattribute(filters, labels, 'again', dry_run => false));
END
$$;
SELECT m.*
FROM (VALUES (1, '{"team": "team-a", "feature": "f1"}'::jsonb, '{"team": "team-b"}'::jsonb),
             (2, '{"run_id": "r3"}', '{"customer": "cust-z", "run_id": "r9"}'),
             -- to and fro
             (3, '{"team": "team-c"}', '{"team": "team-d", "user_id": "nobody", "session_id": null}')) AS v (n, filters, labels)
CROSS JOIN LATERAL pg_temp.move(v.filters, v.labels) m ORDER BY n;
SELECT count(*) AS moved_back
FROM (SELECT c.event_key, s.user_id, s.session_id FROM cost_ledger.call_detail c JOIN sent s ON c.event_key = 'e' || s.n WHERE c.team = 'team-d' AND c.corrects IS NULL) c
CROSS JOIN LATERAL cost_ledger.reattribute(c.event_key, jsonb_build_object('team', 'team-c', 'user_id', c.user_id, 'session_id', c.session_id), 'it was theirs', dry_run => false) r;
SELECT count(*) AS moved
FROM unnest('{10,11,60,61,75}'::integer[]) n
CROSS JOIN LATERAL cost_ledger.reattribute('e' || n, '{"user_id": "u9", "session_id": "s9", "feature": "", "parent_run_id": null}', 'a test user', dry_run => false);
SELECT m.*
FROM (VALUES (1, '{"user_id": "u2", "customer": null}'::jsonb, '{"customer": "cust-y", "operation": "eval", "task_type": "late", "tags.tier": "gold", "tags.beta": null}'::jsonb),
             (2, '{"run_id": "r5"}', '{"run_id": null, "team": null, "user_id": null, "session_id": null}')) AS v (n, filters, labels)
CROSS JOIN LATERAL pg_temp.move(v.filters, v.labels) m ORDER BY n;
SELECT n, cost_ledger.void_call('e' || n, 'sent twice') IS NOT NULL AS taken_back, cost_ledger.void_call('e' || n, 'again') IS NULL AS nothing_new
FROM unnest('{20,22,55,70,77}'::integer[]) n;

SELECT pg_temp.look_all('put right, not refreshed');
CALL cost_ledger.refresh();
SELECT pg_temp.look_all('put right');
SELECT cost_ledger.rebuild_rollups() AS changed;
SELECT pg_temp.look_all('put right, rebuilt');
SELECT pg_temp.correct('meant', 5);
CALL cost_ledger.refresh();
SELECT pg_temp.look_all('put right, corrected after');

-- no row: every reader sees the same in both; and it was not so before
CREATE FUNCTION pg_temp.differences(a text, b text) RETURNS TABLE (reader text, what text, difference bigint) LANGUAGE sql AS $$
    SELECT d.reader, d.what, count(*)
    FROM ((SELECT s.reader, s.what, s.row FROM seen s WHERE s.state = a EXCEPT ALL SELECT s.reader, s.what, s.row FROM seen s WHERE s.state = b)
          UNION ALL
          (SELECT s.reader, s.what, s.row FROM seen s WHERE s.state = b EXCEPT ALL SELECT s.reader, s.what, s.row FROM seen s WHERE s.state = a)) d
    GROUP BY 1, 2 ORDER BY 1, 2
$$;
SELECT v.b, d.*
FROM (VALUES ('meant, not refreshed', 'put right, not refreshed'), ('meant', 'put right'), ('meant', 'put right, rebuilt'), ('meant, corrected after', 'put right, corrected after')) AS v (a, b)
CROSS JOIN LATERAL pg_temp.differences(v.a, v.b) d;
SELECT count(DISTINCT d.what) > 15 AS many_reports_changed FROM pg_temp.differences('meant, not refreshed', 'sent, not refreshed') d;
SELECT state, count(DISTINCT what) > 17 AS is_looked_at FROM seen WHERE state LIKE 'put right%' GROUP BY 1 ORDER BY 1;

-- sums over call itself never change; counts of it do
SELECT (SELECT sum(c.cost) FROM cost_ledger.call c) = (SELECT sum(c.cost) FROM cost_ledger.call_detail c) AS same_cost,
       (SELECT sum(c.input_tokens) FROM cost_ledger.call c) = (SELECT sum(c.input_tokens) FROM cost_ledger.call_detail c) AS same_tokens,
       (SELECT count(*) FILTER (WHERE c.corrects IS NULL) - count(*) FILTER (WHERE c.reverses = c.corrects) FROM cost_ledger.call c)
           = (SELECT count(*) FROM cost_ledger.call_detail c WHERE c.corrects IS NULL) AS same_calls;
-- who did what
SELECT b.filters, b.labels, b.reason, b.calls, b.created_by = current_user AS by_me,
       count(*) = count(*) FILTER (WHERE r.outcome = CASE WHEN b.labels IS NULL THEN 'taken back' ELSE 'moved' END) AS is_told, count(*) - b.calls AS corrections
FROM cost_ledger.restatement_batch b JOIN cost_ledger.restatement r USING (batch_id)
WHERE NOT b.filters ? 'call_id'
GROUP BY b.batch_id ORDER BY b.batch_id;
SELECT count(*) AS unpaired FROM cost_ledger.restatement r
LEFT JOIN cost_ledger.call v ON v.called_at = r.called_at AND v.call_id = r.reversal_id AND v.reverses = r.call_id
LEFT JOIN cost_ledger.call n ON n.called_at = r.called_at AND n.call_id = r.restatement_id
WHERE v.call_id IS NULL OR v.cost <> -r.old_cost OR (r.restatement_id IS NULL) <> (n.call_id IS NULL) OR n.cost <> r.new_cost;

-- a replay of what was moved or taken back is none
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key) VALUES ('2024-04-01', 'p', 'm0', 1, 'once');
SELECT cost_ledger.void_call('once', 'a test') IS NOT NULL AS taken_back;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key) VALUES ('2024-04-01', 'p', 'm0', 1, 'once');
SELECT count(*) AS calls FROM cost_ledger.call_detail WHERE event_key = 'once';

-- refused
\set VERBOSITY sqlstate
SELECT cost_ledger.correct_call('once', '{"input_tokens": 2}', 'x');
SELECT * FROM cost_ledger.reattribute('once', '{"team": "a"}', 'x');
SELECT * FROM cost_ledger.reattribute('no such key', '{"team": "a"}', 'x');
SELECT cost_ledger.void_call('no such key', 'x');
SELECT cost_ledger.void_call('2024-03-01', 0, 'x');
SELECT cost_ledger.void_call('e1', '');
SELECT cost_ledger.void_call('e1', NULL);
SELECT * FROM cost_ledger.reattribute('{"team": "team-a"}'::jsonb, '{"team": "a"}', dry_run => false);
SELECT * FROM cost_ledger.reattribute('{"teem": "team-a"}'::jsonb, '{"team": "a"}');
SELECT * FROM cost_ledger.reattribute('{}'::jsonb, '{}');
SELECT * FROM cost_ledger.reattribute(NULL::jsonb, '{"team": "a"}');
SELECT * FROM cost_ledger.reattribute('null'::jsonb, '{"team": "a"}');
SELECT * FROM cost_ledger.reattribute('{}'::jsonb, NULL);
SELECT * FROM cost_ledger.reattribute('{}'::jsonb, '["team"]');
SELECT * FROM cost_ledger.reattribute('{}'::jsonb, '{"team": ["a"]}');
SELECT * FROM cost_ledger.reattribute('{}'::jsonb, '{"model": "m0"}');
SELECT * FROM cost_ledger.reattribute('{}'::jsonb, '{"cost": 0}');
SELECT * FROM cost_ledger.reattribute('{}'::jsonb, '{"team": "a"}', range_start => '2024-04-01', range_end => '2024-03-01');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM cost_ledger.reattribute('{"team": "team-a"}'::jsonb, '{"team": "a"}', 'x', dry_run => false);
ROLLBACK;
INSERT INTO cost_ledger.call (provider, model, reverses) VALUES ('p', 'm0', 1);
SET ROLE regress_tenant;
INSERT INTO cost_ledger.call (provider, model, reverses) VALUES ('p', 'm0', 1);
INSERT INTO cost_ledger.call (provider, model, restates) VALUES ('p', 'm0', 1);
SELECT cost_ledger.void_call('e1', 'x');
SELECT * FROM cost_ledger.reattribute('e1', '{"team": "a"}');
SELECT * FROM cost_ledger.explain_call('e1');
SELECT * FROM cost_ledger.restatement_batch;
RESET ROLE;
\set VERBOSITY default
SELECT * FROM cost_ledger.reattribute('{"team": "team-a"}', '{"team": "a"}');
SELECT * FROM cost_ledger.reattribute('{}'::jsonb, '{"model": "m0"}');

-- in the caller's name; and each tenant's keys are its own
SET ROLE regress_tenant;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, event_key) VALUES ('2024-04-02', 'p', 'm0', 5000000, 'of the tenant', 'e1');
SET ROLE regress_admin;
SELECT new_cost, new_labels FROM cost_ledger.reattribute('e1', '{"team": "elsewhere"}', 'x', key_space => 'tenant', dry_run => false);
SELECT team, cost FROM cost_ledger.call_detail WHERE event_key = 'e1' AND called_at >= '2024-04-01';
SELECT created_by, calls, cost FROM cost_ledger.restatement_batch ORDER BY batch_id DESC LIMIT 1;
SELECT cost_ledger.void_call('e1', 'x', key_space => 'tenant') IS NOT NULL AS taken_back;
RESET ROLE;
SELECT count(*) AS calls FROM cost_ledger.call_detail WHERE event_key = 'e1';

-- a call is found by the number it had, and corrected where it is
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, event_key) VALUES ('2024-04-03', 'p', 'm0', 1000000, 'before', 'moved')
RETURNING call_id AS moved \gset
SELECT count(*) AS moved FROM cost_ledger.reattribute('moved', '{"team": "after"}', 'x', dry_run => false);
SELECT cost_ledger.correct_call('2024-04-03', :moved, '{"input_tokens": 3000000}', 'recount') IS NOT NULL AS corrected;
SELECT team, calls, cost, adjustment_cost FROM cost_ledger.chargeback_by_month WHERE team IN ('before', 'after');
SELECT r.call_id = :moved AS same_number, r.call ->> 'team' AS team FROM cost_ledger.recorded_call('moved') r;
-- and moved with its correction, in a transaction of its own and back
BEGIN;
SELECT count(*) AS moved FROM cost_ledger.reattribute('{"team": "after"}'::jsonb, '{"team": "later"}', 'x', '2024-04-01', '2024-05-01', false);
SELECT team, calls, corrections, cost, adjustment_cost FROM cost_ledger.chargeback_by_month WHERE team IN ('before', 'after', 'later');
ROLLBACK;
SELECT team, calls, corrections, cost, adjustment_cost FROM cost_ledger.chargeback_by_month WHERE team IN ('before', 'after', 'later');
SELECT count(*) AS differences FROM cost_ledger.check_rollups();

-- A customer with prices of its own pays those, as it would have; others what is booked.
SELECT cost_ledger.set_price('p', 'm0', '{"input_tokens": 0.5}', '2024-01-01', customer => 'cheap') > 0 AS of_customer;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens, customer, raw_usage, event_key) VALUES
    ('2024-04-04', 'p', 'm0', 4000000, NULL, 'dear', NULL, 'dear'), ('2024-04-04', 'p', 'm0', NULL, NULL, 'dear', '{"prompt_tokens": 2000000, "completion_tokens": 0}', 'dear too');
SELECT cost_ledger.correct_call('dear', '{"input_tokens": 6000000}', 'recount') IS NOT NULL AS corrected;
SELECT old_cost, new_cost, change FROM cost_ledger.reattribute('{"customer": "dear"}'::jsonb, '{"customer": "other"}') ORDER BY 1;
SELECT old_cost, new_cost, change FROM cost_ledger.reattribute('{"customer": "dear"}'::jsonb, '{"customer": "cheap"}', 'x', dry_run => false) ORDER BY 1;
SELECT customer, input_tokens, cost, pricing, usage_status, raw_usage IS NOT NULL AS has_raw_usage FROM cost_ledger.call_detail WHERE called_at = '2024-04-04' ORDER BY call_id;
SELECT count(*) AS to_rerate FROM cost_ledger.rerate('2024-04-04', '2024-04-05');

-- Calls without a full price are counted right, and priced as far as they can be.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, other_usage, event_key) VALUES
    ('2024-04-05', 'p', 'nobody knows', 10, NULL, 'unpriced'), ('2024-04-05', 'p', 'm0', 1000000, '{"pages": 2}', 'partial');
SELECT cost_ledger.correct_call('unpriced', '{"input_tokens": 20}', 'recount') IS NOT NULL AS corrected, cost_ledger.correct_call('unpriced', '{"input_tokens": 20}', 'again') IS NULL AS nothing_new;
SELECT cost_ledger.correct_call('partial', '{"input_tokens": 2000000, "pages": 3}', 'recount') IS NOT NULL AS corrected,
       cost_ledger.correct_call('partial', '{"input_tokens": 2000000, "pages": 3}', 'again') IS NULL AS nothing_new;
SELECT model, sum(input_tokens) AS input_tokens, sum((other_usage ->> 'pages')::numeric) AS pages, sum(cost) AS cost, array_agg(pricing ORDER BY call_id) AS pricing
FROM cost_ledger.call_detail WHERE called_at = '2024-04-05' GROUP BY 1 ORDER BY 1;
SELECT model, unpriced_calls, cost FROM cost_ledger.cost_by_model WHERE model = 'nobody knows';
SELECT cost_ledger.correct_call('partial', '{"input_tokens": 2000000}', 'no pages at all') IS NOT NULL AS corrected;
SELECT cost_ledger.set_price('p', 'nobody knows', '{"input_tokens": 1000000}', '2024-01-01') > 0 AS priced;
SELECT count(*) AS booked, sum(change) AS change FROM cost_ledger.rerate('2024-04-05', '2024-04-06', dry_run => false, reason => 'known now');
SELECT count(*) AS unpriced FROM cost_ledger.unpriced_call WHERE called_at = '2024-04-05';
CALL cost_ledger.refresh();
SELECT count(*) AS differences FROM cost_ledger.check_rollups();

-- Columns that users have added are given what their types make of it, once; what they cannot hold is said before anything is booked.
ALTER TABLE cost_ledger.call ADD COLUMN plan char(5), ADD COLUMN nick varchar(4), ADD COLUMN short name;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key) VALUES ('2024-04-07', 'p', 'm0', 1000000, 'typed');
SELECT count(*) AS moved FROM cost_ledger.reattribute('typed', '{"plan": "ab", "nick": "abcd", "short": "s"}', 'x', dry_run => false);
SELECT count(*) AS moved FROM cost_ledger.reattribute('typed', '{"plan": "ab", "nick": "abcd", "short": "s"}', 'x', dry_run => false);
SELECT plan, nick, short FROM cost_ledger.call WHERE called_at = '2024-04-07' AND corrects IS NULL ORDER BY call_id DESC LIMIT 1;
SELECT * FROM cost_ledger.reattribute('typed', '{"plan": "abcdef"}');
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.reattribute('typed', '{"nick": "abcde"}');
SELECT * FROM cost_ledger.reattribute('typed', jsonb_build_object('short', repeat('x', 100)));
\set VERBOSITY default
ALTER TABLE cost_ledger.call DROP COLUMN plan, DROP COLUMN nick, DROP COLUMN short;

-- A usage that is left out is none: nothing is taken away.
\set VERBOSITY sqlstate
SELECT cost_ledger.correct_call('typed', NULL, 'x');
SELECT cost_ledger.correct_call('typed', '{}', 'x');
SELECT cost_ledger.correct_call('unpriced', '{}', 'x');
\set VERBOSITY default

-- A client may have tags that are called as the ledger's own: they mark no correction as one of a re-rating.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, event_key, tags) SELECT '2024-04-07', 'p', 'm0', 1000000, 'tagged ' || n, jsonb_build_object('rerate_batch', t)
FROM (SELECT 1, max(batch_id)::text::jsonb FROM cost_ledger.rerate_batch UNION ALL VALUES (2, jsonb '1e30'), (3, '"x"')) AS v (n, t);
CREATE TEMP TABLE batches AS TABLE cost_ledger.rerate_batch_summary;
SELECT count(cost_ledger.correct_call('tagged ' || n, '{"input_tokens": 2000000}', 'recount')) AS corrected FROM generate_series(1, 3) n;
SELECT count(*) AS changed FROM (TABLE cost_ledger.rerate_batch_summary EXCEPT ALL TABLE batches) d;
SELECT entry, trim_scale(amount) AS amount, rule FROM cost_ledger.explain_call('tagged 1') WHERE entry <> 'recorded';

-- What is in quarantine cannot move.
BEGIN;
INSERT INTO cost_ledger_internal.quarantine (called_at, call_id, sqlstate, message) SELECT called_at, call_id, '22003', 'a test' FROM cost_ledger.call_detail WHERE event_key = 'moved';
SELECT cost_ledger.void_call('moved', 'x');
ROLLBACK;

-- What was moved and taken back is taken back already, whichever number it is named by.
BEGIN;
SELECT cost_ledger.void_call('moved', 'x') IS NOT NULL AS taken_back;
SELECT cost_ledger.void_call(k.called_at, k.call_id, 'again') IS NULL AS nothing_new FROM cost_ledger_internal.event_key k WHERE k.event_key = 'moved';
ROLLBACK;

--
-- explain_call(): what made the cost, and what was booked since
--
SELECT entry, meter, trim_scale(quantity) AS quantity, trim_scale(unit_price) AS unit_price, per, trim_scale(amount) AS amount, replace(rule, current_user, 'me') AS rule FROM cost_ledger.explain_call('moved');
SELECT entry, meter, trim_scale(quantity) AS quantity, trim_scale(unit_price) AS unit_price, trim_scale(amount) AS amount, rule FROM cost_ledger.explain_call('unpriced');
SELECT entry, trim_scale(amount) AS amount FROM cost_ledger.explain_call('once');
-- the version that made it, when the list has another price since
SELECT cost_ledger.set_price('p', 'm0', '{"input_tokens": 9, "cache_read_tokens": 0.1, "output_tokens": 2}', '2024-01-01', replace => true) > 0 AS replaced;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, served_from, event_key) VALUES ('2024-04-06', 'p', 'm0', 10, 'response_cache', 'cached');
SELECT entry, meter, trim_scale(quantity) AS quantity, trim_scale(unit_price) AS unit_price, trim_scale(amount) AS amount, regexp_replace(rule, 'version \d+|, by .*', '') AS rule FROM cost_ledger.explain_call('e12');
SELECT entry, meter, amount, rule FROM cost_ledger.explain_call('cached');
-- of each call, and by any row's number, it adds up to what is booked
SELECT count(*) AS calls, count(*) FILTER (WHERE (SELECT sum(e.amount) FROM cost_ledger.explain_call(c.call_id) e) IS DISTINCT FROM b.cost) AS wrong,
       count(*) FILTER (WHERE (SELECT array_agg(e) FROM cost_ledger.explain_call(c.call_id) e) IS DISTINCT FROM (SELECT array_agg(e) FROM cost_ledger.explain_call(c.event_key) e)
                          AND c.called_at <> '2024-04-02') AS other_by_key
FROM cost_ledger.call_detail c
CROSS JOIN LATERAL (SELECT sum(k.cost) AS cost FROM cost_ledger.call_detail k WHERE k.called_at = c.called_at AND (k.call_id = c.call_id OR k.corrects = c.call_id)) b
WHERE c.corrects IS NULL;
SELECT count(*) AS rows, count(*) FILTER (WHERE (SELECT array_agg(e)::text FROM cost_ledger.explain_call(r.call_id) e) = ALL (ARRAY[
           (SELECT array_agg(e)::text FROM cost_ledger.explain_call(r.reversal_id) e),
           (SELECT array_agg(e)::text FROM cost_ledger.explain_call(coalesce(r.restatement_id, r.call_id)) e)])) AS same_by_every_number
FROM cost_ledger.restatement r WHERE r.called_at < '2024-03-05';
-- readers of a part: of their calls, without where it was before
SET ROLE regress_both;
SELECT count(*) AS calls, count((SELECT sum(e.amount) FROM cost_ledger.explain_call(c.call_id) e)) AS explained FROM cost_ledger.call_detail c WHERE c.corrects IS NULL AND c.pricing = 'priced';
SELECT count(*) > 0 AS some, count(e.rule) AS told FROM cost_ledger.call_detail c CROSS JOIN LATERAL cost_ledger.explain_call(c.call_id) e WHERE e.entry = 'moved';
SET ROLE regress_team;
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.explain_call('moved');
SELECT * FROM cost_ledger.explain_call(:moved);
SELECT * FROM cost_ledger.explain_call(0);
SELECT * FROM cost_ledger.explain_call(NULL::bigint);
SELECT * FROM cost_ledger.explain_call(NULL::text);
SELECT * FROM cost_ledger.restatement;
\set VERBOSITY default
RESET ROLE;

--
-- Holds: the row in its place settles it, the estimate of a call without a price too
--
SELECT cost_ledger.set_budget(t, jsonb_build_object('team', t), 'total', 100) > 0 AS set FROM unnest('{one,two}'::text[]) t;
SELECT h.decision FROM cost_ledger.reserve('h1', '{"team": "one"}', 7) h;
SELECT h.decision FROM cost_ledger.reserve('h2', '{"team": "one"}', 5) h;
INSERT INTO cost_ledger.call (provider, model, input_tokens, team, hold_id, event_key)
SELECT 'p', m, 1000000, 'one', (SELECT o.hold_id::uuid FROM cost_ledger.open_hold o WHERE o.hold_key = h), h FROM (VALUES ('h1', 'm0'), ('h2', 'nobody yet')) AS v (h, m);
SELECT name, spent, held, unpriced_calls FROM cost_ledger.budget_status WHERE name IN ('one', 'two') ORDER BY 1;
SELECT count(*) AS moved FROM cost_ledger.reattribute('{"team": "one"}'::jsonb, '{"team": "two"}', 'x', dry_run => false);
SELECT name, spent, held, unpriced_calls FROM cost_ledger.budget_status WHERE name IN ('one', 'two') ORDER BY 1;
SELECT count(*) AS differences FROM cost_ledger.check_balances();
SELECT cost_ledger.set_price('p', 'nobody yet', '{"input_tokens": 3}', '2024-01-01') > 0 AS priced;
SELECT sum(change) AS change FROM cost_ledger.rerate(now() - interval '1 day', 'infinity', '{"model": "nobody yet"}', false, 'known now');
CALL cost_ledger.refresh();
SELECT name, spent, held, unpriced_calls FROM cost_ledger.budget_status WHERE name IN ('one', 'two') ORDER BY 1;
SELECT cost_ledger.void_call('h1', 'x') IS NOT NULL AS taken_back;
SELECT name, spent, held, unpriced_calls FROM cost_ledger.budget_status WHERE name IN ('one', 'two') ORDER BY 1;
-- recorded and moved in one transaction
BEGIN;
SELECT h.decision FROM cost_ledger.reserve('h3', '{"team": "one"}', 7) h;
INSERT INTO cost_ledger.call (provider, model, input_tokens, team, hold_id, event_key)
SELECT 'p', 'm0', 1000000, 'one', (SELECT o.hold_id::uuid FROM cost_ledger.open_hold o WHERE o.hold_key = 'h3'), 'h3';
SELECT new_cost FROM cost_ledger.reattribute('h3', '{"team": "two"}', 'x', dry_run => false);
COMMIT;
SELECT name, spent, held FROM cost_ledger.budget_status WHERE name IN ('one', 'two') ORDER BY 1;
SELECT count(*) AS differences FROM cost_ledger.check_balances();

--
-- What a row that came by replication takes back goes with the next refresh().
--
SELECT call_id AS replicated FROM cost_ledger.call_detail WHERE event_key = 'e1' AND called_at < '2024-04-01' \gset
SET session_replication_role = replica;
INSERT INTO cost_ledger.call (call_id, called_at, recorded_at, provider, model, service_class, pricing, team, customer, feature, corrects, reverses, cost, input_tokens)
SELECT 900000, called_at, now(), provider, model, service_class, pricing, team, customer, feature, call_id, call_id, -cost, -input_tokens FROM cost_ledger.call WHERE call_id = :replicated;
RESET session_replication_role;
CALL cost_ledger.refresh();
SELECT count(*) AS calls FROM cost_ledger.call_detail WHERE call_id = :replicated;
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT count(*) AS differences FROM cost_ledger.check_balances();

--
-- Retention: what is left of a dropped month stays, and the log agrees with it.
--
-- A run that began in it keeps its beginning, and gives up what is taken back.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, run_id, event_key) VALUES
    ('2024-03-31 12:00Z', 'p', 'm2', 1000000, 'long', 'long 1'), ('2024-04-10 12:00Z', 'p', 'm2', 2000000, 'long', 'long 2'), ('2024-04-11 12:00Z', 'p', 'm2', 4000000, 'long', 'long 3');
CALL cost_ledger.refresh();
SELECT cost_ledger.set_retention(retain_calls => '1 month');
SELECT partition, outcome FROM cost_ledger.apply_retention(as_of => '2024-05-15');
SELECT count(*) AS unequal FROM cost_ledger.retention_check WHERE NOT is_equal;
SELECT cost_ledger.void_call('long 2', 'x') IS NOT NULL AS taken_back;
SELECT started_at, calls, cost, (SELECT d.cost FROM cost_ledger.cost_per_run_by_day d WHERE d.day = '2024-03-31') AS cost_of_day FROM cost_ledger.run WHERE run_id = 'long';
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT count(*) AS of_dropped_calls FROM cost_ledger_internal.reversal WHERE called_at < '2024-04-01';
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.reattribute('{"team": "team-a"}'::jsonb, '{"team": "a"}');
SELECT cost_ledger.void_call('e2', 'x');
\set VERBOSITY default
SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP ROLE regress_all, regress_team, regress_customer, regress_both, regress_admin, regress_tenant;
