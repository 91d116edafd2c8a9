--
-- How readers are kept apart.  What a role was granted to see of a ledger that
-- teams and customers share is, in every report, what the owner sees of a ledger
-- with nothing else in it.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never

-- Every team has calls for every customer, and they share users, runs (in a chain
-- over all of them), sessions and features.  Some calls have no team, some no
-- customer, some no price, some a cost that was reported.
CREATE TEMP TABLE sample AS
SELECT n, CASE WHEN n <= 40 THEN 1 ELSE 2 END AS part,
       timestamptz '2026-03-01 05:00Z' + n * interval '11 hours' AS called_at,
       (ARRAY['team-a', 'team-b', 'team-c', NULL])[1 + n % 4] AS team,
       (ARRAY['cust-x', 'cust-y', 'cust-z', NULL])[1 + n / 4 % 4] AS customer,
       'f' || n % 3 AS feature, 'u' || n % 5 AS user_id, 's' || n % 2 AS session_id,
       'r' || n % 7 AS run_id, CASE WHEN n % 7 > 0 THEN 'r' || n % 7 - 1 END AS parent_run_id,
       (ARRAY['chat', 'batch', NULL])[1 + n % 3] AS task_type, (ARRAY['primary', 'retry', NULL])[1 + n % 3] AS operation,
       CASE WHEN n % 9 = 0 THEN 'error' ELSE 'success' END AS status,
       CASE WHEN n % 10 = 0 THEN 'unknown' ELSE 'm' || n % 3 END AS model,
       n * 1000 AS input_tokens, n * 100 AS cache_read_tokens, n * 10 AS output_tokens,
       CASE WHEN n % 5 < 3 THEN jsonb_build_object('history', n * 300, 'new_input', n * 100 * (n % 5)) END AS input_parts,
       CASE WHEN n % 6 = 0 THEN n * 0.001 END AS reported_cost, 'q' || n % 20 AS request_id
FROM generate_series(1, 72) AS n;

CREATE FUNCTION pg_temp.fill(part integer, condition text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF part = 1 THEN
        PERFORM cost_ledger.set_price('p', 'm' || n, '{"input_tokens": 1, "cache_read_tokens": 0.1, "output_tokens": 2}', '2026-01-01') FROM generate_series(0, 2) AS n;
        INSERT INTO cost_ledger.revenue (earned_on, feature, customer, amount)
            SELECT '2026-03-31', 'f' || n % 3, c, n FROM unnest('{cust-x,cust-y,cust-z,NULL}'::text[]) WITH ORDINALITY AS v (c, n);
    END IF;
    EXECUTE format('INSERT INTO cost_ledger.call (called_at, provider, model, team, customer, feature, user_id, session_id, run_id, parent_run_id, task_type,
                                                  operation, status, input_tokens, cache_read_tokens, output_tokens, input_parts, reported_cost, request_id, event_key)
                    SELECT s.called_at, ''p'', s.model, s.team, s.customer, s.feature, s.user_id, s.session_id, s.run_id, s.parent_run_id, s.task_type,
                           s.operation, s.status, s.input_tokens, s.cache_read_tokens, s.output_tokens, s.input_parts, s.reported_cost, s.request_id, ''e'' || s.n
                    FROM sample s WHERE s.part = $1 AND (%s) ORDER BY s.n', condition) USING part;
    IF part = 2 THEN
        -- Corrections, and a price that was wrong.
        EXECUTE format('SELECT cost_ledger.correct_call(''e'' || s.n, ''{"input_tokens": 99000}'', ''recount'') FROM sample s WHERE s.n IN (3, 4, 5, 6, 51, 52, 53, 54) AND (%s)', condition);
        PERFORM cost_ledger.set_price('p', 'm1', '{"input_tokens": 3, "cache_read_tokens": 0.1, "output_tokens": 2}', '2026-01-01', replace => true);
        PERFORM cost_ledger.rerate('2026-03-01', '2026-05-01', '{"model": "m1"}', dry_run => false, reason => 'three');
    END IF;
END
$$;

-- What a role sees of each report, without what numbers of the ledger itself are
-- in it.  The chain of runs is longer than what one team sees of it.
CREATE TEMP TABLE seen (state text, reader text, view text, row jsonb);
CREATE FUNCTION pg_temp.look(state text, reader text, as_role text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    view text;
    found jsonb[];
BEGIN
    FOREACH view IN ARRAY '{call_detail,unpriced_call,run,run_tree,run_tree_level,most_expensive_run,cost_per_run_by_day,cost_per_user_by_month,cost_by_task_type,cost_by_model,
                            cost_by_operation,cache_hit_by_feature,week_over_week,chargeback_by_month,margin_by_feature,reported_cost_difference,rerate_batch_summary,
                            cost_by_hour,cost_by_day,cost_by_month,cost_by_label,cost_by_input_part,cost_breakdown_by_month,efficiency_by_month,tier_mix_by_month,task_efficiency_by_month,request_chain,cache_saving_by_month,cost_by_customer,margin_by_customer,cost_chart_by_day,cost_chart_by_hour}'::text[] LOOP
        PERFORM set_config('role', as_role, true);
        EXECUTE format('SELECT array_agg(to_jsonb(v) - ''{call_id,recorded_at,recorded_xid,price_id,corrects,created_at,depth,root_run_id,tags,row_key}''::text[]) FROM cost_ledger.%I v WHERE %s', view,
                       CASE WHEN view LIKE 'cost\_chart\_%' THEN 'v.calls > 0' WHEN view = 'week_over_week' THEN 'v.calls > 0 OR v.cost <> 0 OR v.previous_cost <> 0' ELSE 'true' END) INTO found;
        -- Of some labels there are no days and weeks by team and customer.
        IF view IN ('week_over_week', 'cost_chart_by_day') THEN
            found := ARRAY(SELECT f FROM unnest(found) AS f WHERE f ->> 'label' <> ALL ('{agent,step,tool,api_key,cohort}'));
        END IF;
        PERFORM set_config('role', 'none', true);
        INSERT INTO seen SELECT look.state, look.reader, look.view, f FROM (SELECT view) AS look (view), unnest(found) AS f;
    END LOOP;
END
$$;

-- Each reader, and what it should see
CREATE TEMP TABLE reader (name text, condition text);
INSERT INTO reader VALUES
    ('regress_team', $$team = 'team-a'$$),
    ('regress_customer', $$customer = 'cust-x'$$),
    ('regress_two_teams', $$team IN ('team-a', 'team-b')$$),
    ('regress_team_and_customer', $$team = 'team-b' OR customer = 'cust-z'$$),
    ('regress_member', $$team = 'team-a'$$),
    ('regress_everything', 'true'),
    ('regress_nothing', 'false');
CREATE ROLE regress_team;
CREATE ROLE regress_customer;
CREATE ROLE regress_two_teams;
CREATE ROLE regress_team_and_customer;
CREATE ROLE regress_member IN ROLE regress_team;
CREATE ROLE regress_everything;
CREATE ROLE regress_nothing;
SELECT cost_ledger.create_ledger();
-- However long ago the times below are.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
CALL cost_ledger.refresh();
SELECT cost_ledger.grant_team_reader('regress_team', 'team-a'), cost_ledger.grant_customer_reader('regress_customer', 'cust-x'),
       cost_ledger.grant_team_reader('regress_two_teams', 'team-a'), cost_ledger.grant_team_reader('regress_two_teams', 'team-b'),
       cost_ledger.grant_team_reader('regress_team_and_customer', 'team-b'), cost_ledger.grant_customer_reader('regress_team_and_customer', 'cust-z'),
       cost_ledger.grant_reader('regress_everything');
-- rights that somebody gave by hand show nothing
GRANT USAGE ON SCHEMA cost_ledger TO regress_nothing;
GRANT SELECT ON ALL TABLES IN SCHEMA cost_ledger TO regress_nothing;
REVOKE SELECT ON cost_ledger.call FROM regress_nothing;
GRANT EXECUTE ON FUNCTION cost_ledger.spend_rate, cost_ledger.budget_velocity, cost_ledger.cost_at, cost_ledger.what_if TO regress_nothing;

-- before refresh() has seen anything, when it has seen a part of it, and all
SELECT pg_temp.fill(1, 'true');
SELECT count(pg_temp.look('nothing refreshed', name, name)) FROM reader;
CALL cost_ledger.refresh();
SELECT pg_temp.fill(2, 'true');
SELECT count(pg_temp.look('half refreshed', name, name)) FROM reader;
CALL cost_ledger.refresh();
SELECT count(pg_temp.look('all refreshed', name, name)) FROM reader;
SELECT count(*) AS unconsumed FROM cost_ledger_internal.unconsumed_call;

--
-- What else is in a ledger: budgets, what they hold, alerts, prices of customers
--
SELECT v.v, r.decision
FROM (VALUES ('team', 'team-a'), ('team', 'team-b'), ('customer', 'cust-x'), ('feature', 'f1')) AS v (k, v)
CROSS JOIN LATERAL cost_ledger.reserve('hold of ' || v.v, jsonb_build_object(v.k, v.v), 0.0001) r;
SELECT count(cost_ledger.set_budget(name, scope::jsonb, 'month', 0.001, each_of => each_of)) AS budgets
FROM (VALUES ('of a', '{"team": "team-a"}', NULL), ('of b', '{"team": "team-b"}', NULL), ('of all', '{}', NULL), ('of each team', '{}', 'team'),
             ('of x', '{"customer": "cust-x"}', NULL), ('of x with b', '{"team": "team-b", "customer": "cust-x"}', NULL), ('of each user', '{}', 'user_id'),
             -- filters: theirs is what names nobody else
             ('of a and b', '{"team": ["team-a", "team-b"]}', NULL), ('of a, listed', '{"team": ["team-a"], "model": "m*"}', NULL), ('of some', '{"team": "team-*"}', NULL),
             ('of not b', '{"team": {"not": "team-b"}}', NULL), ('of a or none', '{"team": ["team-a", null]}', NULL), ('of no team', '{"team": []}', NULL),
             ('of each of some', '{"team": "team-*"}', '{team,customer}')) AS b (name, scope, each_of);
INSERT INTO cost_ledger.call (provider, model, team, customer, feature, user_id, input_tokens)
SELECT 'p', 'm0', t, c, 'now', 'u', 1000000 FROM unnest('{team-a,team-b}'::text[]) AS t, unnest('{cust-x,cust-y}'::text[]) AS c;
CALL cost_ledger.run_jobs();
SELECT cost_ledger.set_price('p', 'm0', '{"input_tokens": 0.5}', '2026-01-01', customer => c) > 0 AS of_customer FROM unnest('{cust-x,cust-y}'::text[]) AS c;
SELECT count(cost_ledger.pause(scope::jsonb, 'a test')) AS pauses
FROM (VALUES ('{}'), ('{"team": "team-a"}'), ('{"team": "team-b"}'), ('{"team": ["team-a", "team-b"]}'), ('{"team": "team-*"}'), ('{"team": {"not": "team-b"}}'), ('{"customer": "cust-x"}'),
             ('{"team": [], "feature": "of nobody"}')) AS p (scope);

SET ROLE regress_team;
-- the tables themselves
SELECT b.name, v.limit_amount FROM cost_ledger.budget b JOIN cost_ledger.budget_version v USING (budget_id) ORDER BY 1;
SELECT count(*) = (SELECT count(*) FROM cost_ledger.budget) AS only_theirs FROM cost_ledger.budget_version;
SELECT scope FROM cost_ledger.pause ORDER BY pause_id;
SELECT DISTINCT scope FROM cost_ledger.alert WHERE rule_id IS NULL ORDER BY 1;
SELECT name, entity, spent FROM cost_ledger.budget_status ORDER BY 1, 2;
SELECT DISTINCT budget, entity, scope FROM cost_ledger.unacknowledged_alert ORDER BY 1, 2;
SELECT hold_key FROM cost_ledger.open_hold;
SELECT DISTINCT customer FROM cost_ledger.price_list;
SELECT subject, rate_1h > 0 AS is_spent FROM cost_ledger.spend_rate(now() + interval '1 second') ORDER BY 1;
SELECT name, entity FROM cost_ledger.budget_velocity() ORDER BY 1, 2;
SELECT cost_ledger.cost_at('2026-03-01', 'p', 'm0', '{"input_tokens": 1000000}') AS cost;
-- there is such a customer, and there is none
SELECT cost_ledger.cost_at('2026-03-01', 'p', 'm0', '{"input_tokens": 1000000}', customer => 'cust-x') AS cost;
SELECT amount FROM cost_ledger.explain_cost('2026-03-01', 'p', 'm0', '{"input_tokens": 1000000}', customer => 'cust-0');
SET ROLE regress_customer;
SELECT name, entity, spent FROM cost_ledger.budget_status ORDER BY 1, 2;
SELECT DISTINCT budget, entity, scope FROM cost_ledger.unacknowledged_alert ORDER BY 1, 2;
SELECT hold_key FROM cost_ledger.open_hold;
SELECT DISTINCT customer FROM cost_ledger.price_list ORDER BY 1;
SELECT cost_ledger.cost_at('2026-03-01', 'p', 'm0', '{"input_tokens": 1000000}', customer => 'cust-x') AS cost;
SELECT cost_ledger.cost_at('2026-03-01', 'p', 'm0', '{"input_tokens": 1000000}', customer => 'cust-y') AS cost;
SELECT name, entity FROM cost_ledger.budget_velocity() ORDER BY 1, 2;
-- the rate of all is that of what they see: half of the calls just now
SELECT subject, round(rate_1h, 9) = round((SELECT sum(c.cost) FROM cost_ledger.call_detail c WHERE c.feature = 'now') * 3600 / 3601, 9) AS of_own
FROM cost_ledger.spend_rate(date_trunc('minute', now()) + interval '61 seconds') WHERE subject = 'all';
SET ROLE regress_two_teams;
SELECT name, entity FROM cost_ledger.budget_status ORDER BY 1, 2;
SELECT scope FROM cost_ledger.pause ORDER BY pause_id;
SET ROLE regress_nothing;
SELECT (SELECT count(*) FROM cost_ledger.budget_status) AS budgets, (SELECT count(*) FROM cost_ledger.unacknowledged_alert) AS alerts,
       (SELECT count(*) FROM cost_ledger.open_hold) AS holds, (SELECT count(*) FROM cost_ledger.budget_velocity()) AS velocities;
SELECT subject, rate_1h FROM cost_ledger.spend_rate();
SELECT cost_ledger.cost_at('2026-03-01', 'p', 'm0', '{"input_tokens": 1000000}', customer => 'cust-x') AS cost;
SELECT count(*) FROM cost_ledger.what_if('2026-03-01', '2026-05-01');
-- functions that go through all calls are for who may read all
SET ROLE regress_team;
SELECT priced_model FROM cost_ledger.resolve_model('p', 'M0') WHERE is_used;
SELECT count(*) FROM cost_ledger.what_if('2026-03-01', '2026-05-01');
SELECT count(*) FROM cost_ledger.billed_meters('2026-03-01', '2026-05-01');
SELECT count(*) FROM cost_ledger.feature_cost_sample('f1', '2026-03-01', '2026-05-01');
SELECT count(*) FROM cost_ledger.rerate('2026-03-01', '2026-05-01');
SET ROLE regress_everything;
SELECT (SELECT sum(calls) FROM cost_ledger.what_if('2026-03-01', '2026-05-01')) AS calls,
       (SELECT count(*) > 0 FROM cost_ledger.billed_meters('2026-03-01', '2026-05-01')) AS meters,
       (SELECT calls FROM cost_ledger.feature_cost_sample('f1', '2026-03-01', '2026-05-01')) AS of_feature;
RESET ROLE;
SELECT (SELECT count(*) FROM cost_ledger.budget_status) AS budgets, (SELECT count(*) FROM cost_ledger.open_hold) AS holds;

-- every view, to who reads everything, is what it is to the owner; to who was
-- granted a team it is there or forbidden, and names no other
CREATE FUNCTION pg_temp.ask(as_role text, OUT view text, OUT answer text, OUT names_others boolean) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    FOR view IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'cost_ledger'::regnamespace AND c.relkind = 'v' ORDER BY 1 LOOP
        names_others := NULL;
        PERFORM set_config('role', as_role, true);
        BEGIN
            EXECUTE format('SELECT coalesce(md5(string_agg(v::text, '','' ORDER BY v::text)), ''''), coalesce(bool_or(v::text ~ ''team-[bc]''), false)
                            FROM cost_ledger.%I v', view) INTO answer, names_others;
        EXCEPTION WHEN OTHERS THEN
            answer := SQLSTATE;
        END;
        PERFORM set_config('role', 'none', true);
        RETURN NEXT;
    END LOOP;
END
$$;
BEGIN;
-- (autovacuum may change what partition_status says meanwhile)
SELECT view, r.answer AS to_reader FROM pg_temp.ask('none') o JOIN pg_temp.ask('regress_everything') r USING (view)
WHERE o.answer <> r.answer AND (view <> 'partition_status' OR length(r.answer) = 5);
SELECT view, answer FROM pg_temp.ask('regress_team') WHERE length(answer) = 5 AND answer <> '42501' OR names_others;
SELECT count(*) FILTER (WHERE names_others) > 9 AS the_owner_sees_others FROM pg_temp.ask('none');
COMMIT;

-- a function that views call finds what it calls itself also for who has no right
-- to name it; plans that somebody else has made in a session hide that here
SELECT p.oid::regprocedure AS names_what_readers_cannot
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND l.lanname IN ('sql', 'plpgsql')
  AND p.prosqlbody IS NULL AND p.prosrc LIKE '%cost\_ledger\_internal%'
  AND (has_function_privilege('regress_everything', p.oid, 'EXECUTE') OR has_function_privilege('regress_team', p.oid, 'EXECUTE'));

--
-- Nothing of a query is run on rows that its role may not see
--
SET ROLE regress_team;
CREATE FUNCTION pg_temp.tell(team text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    IF team <> 'team-a' THEN
        RAISE EXCEPTION 'there is %', team;
    END IF;
    RETURN true;
END
$$;
SELECT count(*) > 0 AS calls FROM cost_ledger.call_detail WHERE pg_temp.tell(team);
SELECT count(*) > 0 AS runs FROM cost_ledger.run WHERE pg_temp.tell(team);
SELECT count(*) > 0 AS months FROM cost_ledger.chargeback_by_month WHERE pg_temp.tell(team);
SELECT count(*) > 0 AS unpriced FROM cost_ledger.unpriced_call WHERE pg_temp.tell(team);
SELECT count(*) > 0 AS budgets FROM cost_ledger.budget_status WHERE pg_temp.tell(scope::jsonb ->> 'team');
SELECT count(*) > 0 AS alerts FROM cost_ledger.unacknowledged_alert WHERE pg_temp.tell(scope::jsonb ->> 'team');
SELECT 1 / (team = 'team-a')::integer AS fails_on_others FROM cost_ledger.chargeback_by_month;
-- a plan says what is looked for, not what there is
CREATE FUNCTION pg_temp.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, VERBOSE, FORMAT JSON) ' || query INTO plan;
    RETURN plan::text;
END
$$;
SELECT pg_temp.plan('SELECT * FROM cost_ledger.call_detail') ~ 'team-[bc]' AS names_others;
-- a join, a subquery or a role that is taken for a moment changes nothing
SELECT count(*) FROM cost_ledger.chargeback_by_month c JOIN cost_ledger.run r ON r.team = c.team WHERE c.team <> 'team-a';
SELECT count(*) FROM (SELECT * FROM cost_ledger.call_detail OFFSET 0) c WHERE c.team <> 'team-a';
-- tables, what is internal, and what is behind the views by another way
\set VERBOSITY sqlstate
SELECT count(*) FROM cost_ledger.call;
SELECT count(*) FROM cost_ledger.revenue;
SELECT count(*) FROM cost_ledger_internal.rollup_month;
SELECT count(*) FROM cost_ledger_internal.unposted_spend();
SELECT count(*) FROM cost_ledger_internal.spend_rate(now(), true, '{}', '{}');
\set VERBOSITY default
-- how deep a run is is no secret, nor what its parent is called
SELECT run_id, parent_run_id, depth FROM cost_ledger.run WHERE run_id = 'r6';

-- the answer is that of the role that asks, also in one transaction and of one plan
RESET ROLE;
BEGIN;
PREPARE months AS SELECT count(DISTINCT team) AS teams FROM cost_ledger.chargeback_by_month;
SET plan_cache_mode = force_generic_plan;
EXECUTE months;
SET ROLE regress_team;
EXECUTE months;
SET ROLE regress_nothing;
EXECUTE months;
SET ROLE regress_two_teams;
EXECUTE months;
RESET ROLE;
-- what is taken away is gone at once
SELECT cost_ledger.revoke_team_reader('regress_two_teams', 'team-b');
SET ROLE regress_two_teams;
EXECUTE months;
ROLLBACK;
DEALLOCATE months;

-- rights come with membership, if they are inherited
CREATE ROLE regress_heir NOINHERIT IN ROLE regress_everything;
GRANT USAGE ON SCHEMA cost_ledger TO regress_heir;
GRANT SELECT ON cost_ledger.chargeback_by_month TO regress_heir;
SET ROLE regress_heir;
SELECT count(*) FROM cost_ledger.chargeback_by_month;
RESET ROLE;
-- a role that is gone has left nobody its rights
CREATE ROLE regress_gone;
SELECT cost_ledger.grant_reader('regress_gone');
DROP OWNED BY regress_gone;
DROP ROLE regress_gone;
SET ROLE regress_heir;
SELECT count(*) FROM cost_ledger.chargeback_by_month;
RESET ROLE;

--
-- Row-level security that somebody puts on call: sums cannot obey it
--
ALTER TABLE cost_ledger.call ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON cost_ledger.call FOR SELECT USING (team = 'team-a');
SET ROLE regress_everything;
SELECT count(DISTINCT team) AS teams FROM cost_ledger.call;
SELECT count(*) FROM cost_ledger.chargeback_by_month;
\set VERBOSITY sqlstate
SELECT count(*) FROM cost_ledger.run;
SELECT count(*) FROM cost_ledger.call_detail;
SELECT count(*) FROM cost_ledger.budget_status;
SELECT count(*) FROM cost_ledger.spend_rate();
SELECT count(*) FROM cost_ledger.estimate_vs_actual;
SELECT count(*) FROM cost_ledger.what_if('2026-03-01', '2026-05-01');
\set VERBOSITY default
-- as the hint says
RESET ROLE;
SELECT cost_ledger.grant_team_reader('regress_everything', 'team-b');
SET ROLE regress_everything;
SELECT DISTINCT team FROM cost_ledger.chargeback_by_month;
-- who is under none is not concerned
SET ROLE regress_customer;
SELECT count(DISTINCT customer) AS customers FROM cost_ledger.call_detail;
RESET ROLE;
SELECT count(DISTINCT team) AS teams FROM cost_ledger.chargeback_by_month;
SELECT cost_ledger.drop_ledger(i_mean_it => true);

--
-- The same of ledgers that hold only what each of them may see, as their owner
-- sees it
--
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM reader LOOP
        PERFORM cost_ledger.create_ledger();
        UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
        -- As the first refresh() would, which has no place in here.
        UPDATE cost_ledger_internal.rollup_state SET hours_from = '-infinity', days_from = '-infinity';
        PERFORM pg_temp.fill(1, r.condition);
        -- Revenue of others is not in it.
        IF r.condition <> 'true' THEN
            DELETE FROM cost_ledger.revenue WHERE customer IS NULL OR customer <> ALL (CASE r.name WHEN 'regress_customer' THEN '{cust-x}' WHEN 'regress_team_and_customer' THEN '{cust-z}' ELSE '{}' END::text[]);
        END IF;
        PERFORM pg_temp.look('first part', r.name, 'none');
        PERFORM pg_temp.fill(2, r.condition);
        PERFORM pg_temp.look('both parts', r.name, 'none');
        PERFORM cost_ledger.drop_ledger(i_mean_it => true);
    END LOOP;
END
$$;
SELECT s.reader, count(DISTINCT s.view) AS reports, count(*) > 100 AS has_rows FROM seen s WHERE s.state = 'both parts' GROUP BY s.reader ORDER BY s.reader;
SELECT r.name, p.seen, p.expected, v.view,
       (SELECT count(*) FROM (SELECT row FROM seen s WHERE s.reader = r.name AND s.view = v.view AND s.state = p.seen
                              EXCEPT ALL SELECT row FROM seen s WHERE s.reader = r.name AND s.view = v.view AND s.state = p.expected) d) AS too_much,
       (SELECT count(*) FROM (SELECT row FROM seen s WHERE s.reader = r.name AND s.view = v.view AND s.state = p.expected
                              EXCEPT ALL SELECT row FROM seen s WHERE s.reader = r.name AND s.view = v.view AND s.state = p.seen) d) AS missing
INTO TEMP difference
FROM reader r
CROSS JOIN (VALUES ('nothing refreshed', 'first part'), ('half refreshed', 'both parts'), ('all refreshed', 'both parts')) AS p (seen, expected)
CROSS JOIN (SELECT DISTINCT s.view FROM seen s) v;
SELECT count(*) AS compared, count(*) FILTER (WHERE too_much > 0 OR missing > 0) AS differ FROM difference;
SELECT * FROM difference WHERE too_much > 0 OR missing > 0 ORDER BY 1, 2, 4;

DROP OWNED BY regress_team, regress_customer, regress_two_teams, regress_team_and_customer, regress_everything, regress_nothing, regress_heir;
DROP ROLE regress_member, regress_team, regress_customer, regress_two_teams, regress_team_and_customer, regress_heir, regress_everything, regress_nothing;
