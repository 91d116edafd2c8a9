-- What cost us that: what each label says, the largest first, each with the filter to
-- go on with; of what is in the rollups and what is not, for who sees all and for
-- who does not.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger('Europe/Berlin') \g /dev/null
SELECT cost_ledger.create_partitions('2026-01-01', '2026-06-01') \g /dev/null
-- However long ago the times below are.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1, "output_tokens": 2}', '2026-01-01'), cost_ledger.set_price('p', 'big', '{"input_tokens": 10}', '2026-01-01') \g /dev/null

-- 1,200 in a week: a customer's 400, evals 300, a flaky tool's retries 200.
INSERT INTO cost_ledger.call (called_at, provider, model, customer, feature, team, operation, tool, input_tokens)
    SELECT timestamptz '2026-03-09 08:00Z' + i * interval '1 hour', 'p', k.model, k.customer, k.feature, k.team, k.operation, k.tool, k.input_tokens
    FROM (VALUES ('m', 'X', 'chat', 't1', 'primary', NULL, 4000000), ('m', NULL, 'ci', 't2', 'eval', NULL, 3000000), ('m', 'a', 'search', 't1', 'retry', 'web_search', 1000000),
                 ('m', 'b', 'search', 't1', 'Retry', 'web_search', 1000000), ('big', 'a', 'search', 't1', 'fallback', NULL, 100000), ('m', 'b', 'search', 't1', NULL, 'web_search', 2000000))
         AS k (model, customer, feature, team, operation, tool, input_tokens), generate_series(1, 100) AS i;
-- And 300 in the week before.
INSERT INTO cost_ledger.call (called_at, provider, model, customer, feature, team, operation, tool, input_tokens)
    SELECT timestamptz '2026-03-02 08:00Z' + i * interval '1 hour', 'p', 'm', k.customer, k.feature, 't1', NULL, k.tool, k.input_tokens
    FROM (VALUES ('X', 'chat', NULL, 1000000), ('b', 'search', 'web_search', 1000000), ('gone', 'search', NULL, 1000000)) AS k (customer, feature, tool, input_tokens), generate_series(1, 100) AS i;
SELECT subject, calls, cost, share, previous_cost, change, change_ratio, next_filter
FROM cost_ledger.explain_spend('2026-03-08 23:00Z', '2026-03-15 23:00Z', labels => '{customer,operation,tool of retry,model of fallback}');
SELECT level, subject, label, value, is_allocated AS said, is_usual AS usual, calls, cost FROM cost_ledger.explain_spend('2026-03-08 23:00Z', '2026-03-15 23:00Z', '{"team": "t1"}');
SELECT level, subject, cost, next_filter FROM cost_ledger.explain_spend('2026-03-08 23:00Z', '2026-03-15 23:00Z', depth => 2) WHERE NOT is_usual AND (level < 2 OR next_filter ? 'customer');
-- Days of the reporting zone follow days, months months, and everything else what is as long.
SELECT cost_ledger_internal.previous_start(s::timestamptz, e::timestamptz) AS previous, s AS starts, e AS ends
FROM (VALUES ('2026-03-28 23:00Z', '2026-03-29 22:00Z'), ('2026-02-28 23:00Z', '2026-03-31 22:00Z'), ('2025-12-31 23:00Z', '2026-02-28 23:00Z'), ('2026-03-30 22:00Z', '2026-04-01 22:00Z'),
             ('2026-03-29 10:00Z', '2026-03-29 12:30Z'), ('-infinity', '2026-01-01Z'), ('2026-01-01Z', 'infinity')) AS r (s, e);

--
-- Whatever calls say, and whenever they were made.
--
INSERT INTO cost_ledger.call (called_at, provider, model, service_class, input_tokens, output_tokens, team, feature, customer, flow, task_type, environment, operation, status, served_from,
                              agent, step, tool, api_key, cohort, user_id, event_key, tags)
    SELECT timestamptz '2026-03-28 20:00Z' + n * interval '47 minutes 11 seconds', CASE WHEN n % 5 = 0 THEN 'q' ELSE 'p' END, (ARRAY['m', 'big', 'unknown'])[1 + n % 3],
           CASE WHEN n % 11 = 0 THEN 'batch' END, n * 1001, n * 17,
           (ARRAY['a', 'b', NULL, '(unallocated)'])[1 + n % 4], (ARRAY['f*', 'f1', E'f\\*', NULL])[1 + n / 2 % 4], (ARRAY['c1', 'c2', NULL])[1 + n / 3 % 3],
           (ARRAY['w', NULL])[1 + n % 2], (ARRAY['t1', 't2', NULL])[1 + n % 3], (ARRAY['production', 'ci', NULL])[1 + n % 3],
           (ARRAY['primary', 'RETRY', 'fallback', 'judge', 'retry', NULL])[1 + n / 2 % 6], (ARRAY['success', 'error', '200', NULL])[1 + n / 3 % 4],
           CASE WHEN n % 13 = 0 THEN 'response_cache' ELSE 'model' END,
           (ARRAY['g1', 'g2', NULL])[1 + n % 3], (ARRAY['s1', NULL])[1 + n % 2], (ARRAY['grep', '*', NULL])[1 + n / 2 % 3], (ARRAY['k1', 'k2', NULL])[1 + n % 3], (ARRAY[repeat('h', 1100), NULL])[1 + n / 3 % 2],
           'u' || n % 7, 'e' || n, jsonb_build_object('tier', 'g' || n % 2)
    FROM generate_series(1, 120) AS n;
SELECT count(cost_ledger.correct_call('e' || n, jsonb_build_object('input_tokens', n * 10), 'recount')) AS corrected FROM generate_series(3, 120, 7) AS n WHERE n % 3 < 2 AND n % 13 > 0 AND n % 5 > 0;
SELECT count(cost_ledger.void_call('e' || n, 'never made')) AS voided FROM generate_series(2, 120, 37) AS n;
CREATE ROLE regress_explain_team;
SELECT cost_ledger.grant_team_reader('regress_explain_team', 'a'), cost_ledger.grant_customer_reader('regress_explain_team', 'c2') \g /dev/null
CREATE TEMP TABLE looked (state text, role text, num_rows bigint);
GRANT ALL ON looked TO regress_explain_team;

-- Each row is what its filter finds and what explains itself again; each label is the
-- whole of what it is below; and the cube says what the calls say.
CREATE FUNCTION pg_temp.look(state text, a_role text, range_start timestamptz, range_end timestamptz) RETURNS TABLE (wrong text, subject text, found numeric, said numeric) LANGUAGE plpgsql AS $$
DECLARE
    cube text[] := '{customer,feature,team,operation,model of fallback,flow,task_type,environment,model,provider,service_class,status,served_from}';
BEGIN
    PERFORM set_config('role', a_role, true);
    CREATE TEMP TABLE line ON COMMIT DROP AS SELECT e.*, row_number() OVER () AS place FROM cost_ledger.explain_spend(range_start, range_end, depth => 2) e;
    CREATE TEMP TABLE line_of_cube ON COMMIT DROP AS SELECT e.* FROM cost_ledger.explain_spend(range_start, range_end, labels => cube) e;
    INSERT INTO looked SELECT state, a_role, count(*) FROM line;
    RETURN QUERY SELECT 'filter', l.subject || l.next_filter, f.cost, l.cost FROM line l
        CROSS JOIN LATERAL (SELECT coalesce(sum(c.cost), CASE WHEN count(*) FILTER (WHERE c.corrects IS NULL) = 0 THEN 0 END) AS cost, count(*) FILTER (WHERE c.corrects IS NULL) AS calls
                            FROM cost_ledger.call_detail d JOIN cost_ledger.find_calls(l.next_filter, range_start, range_end) c ON c.call_id = d.call_id AND c.called_at = d.called_at
                            WHERE d.reverses IS NULL AND NOT EXISTS (SELECT FROM cost_ledger.call_detail v WHERE v.reverses = d.call_id)) f
        WHERE l.level < 2 AND l.place % 3 = 0 AND (f.cost IS DISTINCT FROM l.cost OR f.calls <> l.calls);
    RETURN QUERY SELECT 'again', l.subject, e.cost, l.cost FROM line l CROSS JOIN LATERAL (SELECT e.* FROM cost_ledger.explain_spend(range_start, range_end, l.next_filter, depth => 0) e) e
        WHERE l.level = 1 AND l.place % 8 = 1 AND ((e.cost, e.previous_cost) IS DISTINCT FROM (l.cost, l.previous_cost) OR (e.calls, e.previous_calls, e.unpriced_calls) <> (l.calls, l.previous_calls, l.unpriced_calls));
    RETURN QUERY SELECT 'label', l.label, sum(l.cost), t.cost FROM line l JOIN line t ON t.level = 0 WHERE l.level = 1 AND l.label NOT LIKE '% of %'
        GROUP BY l.label, t.cost, t.calls, t.change HAVING sum(l.cost) IS DISTINCT FROM t.cost OR sum(l.calls) <> t.calls OR bool_and(l.change IS NOT NULL) AND sum(l.change) IS DISTINCT FROM t.change;
    RETURN QUERY SELECT 'below', p.subject || l.label, sum(l.cost), p.cost
        FROM line p JOIN line l ON l.level = 2 AND l.place > p.place AND l.place < coalesce((SELECT min(n.place) FROM line n WHERE n.level < 2 AND n.place > p.place), 100000)
        WHERE p.level = 1 AND l.label NOT LIKE '% of %' GROUP BY p.place, p.subject, l.label, p.cost, p.calls HAVING sum(l.cost) IS DISTINCT FROM p.cost OR sum(l.calls) <> p.calls;
    RETURN QUERY SELECT 'cube', coalesce(c.subject, l.subject), c.cost, l.cost
        FROM (SELECT l.* FROM line_of_cube l WHERE l.label IN (SELECT k.label FROM line k WHERE k.level < 2)) c
        FULL JOIN (SELECT l.* FROM line l WHERE l.level < 2 AND l.label = ANY (cube || '{total}'::text[])) l ON l.next_filter = c.next_filter AND l.label = c.label
        WHERE (c.cost, c.calls, c.unpriced_calls, c.previous_cost, c.change) IS DISTINCT FROM (l.cost, l.calls, l.unpriced_calls, l.previous_cost, l.change);
    RETURN QUERY SELECT 'order', l.subject, l.cost, NULL::numeric FROM (SELECT l.*, lag(l.cost) OVER (ORDER BY l.place) AS before FROM line l WHERE l.level < 2 AND NOT l.is_usual) l WHERE l.before < l.cost;
    PERFORM set_config('role', 'none', true);
END
$$;
-- A month, days around a change of the clocks, and neither hours nor minutes.
BEGIN;
SELECT * FROM pg_temp.look('not consumed', 'none', '2026-02-28 23:00Z', '2026-03-31 22:00Z');
COMMIT; BEGIN;
SELECT * FROM pg_temp.look('not consumed', 'regress_explain_team', '2026-03-28 23:00Z', '2026-03-30 22:00Z');
COMMIT;
CALL cost_ledger.refresh();
BEGIN;
SELECT * FROM pg_temp.look('consumed', 'none', '2026-03-28 22:13:17Z', '2026-03-31 04:05:06.789Z');
COMMIT; BEGIN;
SELECT * FROM pg_temp.look('consumed', 'regress_explain_team', '2026-02-28 23:00Z', '2026-04-02 01:30:00Z');
COMMIT; BEGIN;
SELECT * FROM pg_temp.look('consumed', 'none', '-infinity', 'infinity');
COMMIT;
SELECT state, role, num_rows > 30 AS many FROM looked;
-- One reads what it sees: of others neither cost nor the words for it.
SET ROLE regress_explain_team;
SELECT label, value, calls FROM cost_ledger.explain_spend('2026-03-28 23:00Z', '2026-04-02 22:00Z') WHERE label IN ('team', 'customer');
SELECT subject, calls, cost FROM cost_ledger.explain_spend('2026-03-08 23:00Z', '2026-03-15 23:00Z');
RESET ROLE;
-- Any label, and tags.
SELECT subject, calls, next_filter FROM cost_ledger.explain_spend('2026-03-28 23:00Z', '2026-04-02 22:00Z', '{"tags": {"tier": "g1"}}', labels => '{tags.tier,user_id}') WHERE value IS DISTINCT FROM 'u1';

-- More calls than are read for it: the totals say what the cube does not, and a notice what is not said.
BEGIN;
UPDATE cost_ledger_internal.rollup_total_day SET calls = calls + 1000000 WHERE label_id = (SELECT label_id FROM cost_ledger_internal.rollup_label WHERE label = 'all');
SELECT subject, calls, cost, previous_cost FROM cost_ledger.explain_spend('2026-03-08 23:00Z', '2026-03-15 23:00Z') WHERE label IN ('total', 'tool', 'operation', 'tool of retry');
SELECT subject, calls, cost, previous_cost FROM cost_ledger.explain_spend('2026-03-08 23:00Z', '2026-03-15 23:30Z', '{"customer": "b"}') WHERE label IN ('total', 'tool', 'operation', 'tool of retry');
SELECT subject, calls, cost, previous_cost FROM cost_ledger.explain_spend('2026-03-08 23:00Z', '2026-03-15 23:00Z', '{"customer": "b"}', labels => '{tool of retry}');
ROLLBACK;

--
-- Nothing, no price, nothing but credits.
--
SELECT * FROM cost_ledger.explain_spend('2026-01-01Z', '2026-01-02Z');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, customer) VALUES ('2026-05-04 10:00Z', 'p', 'unknown', 5, 'x', 'n1'), ('2026-05-04 10:10Z', 'p', 'unknown', 5, 'x', 'n2'),
    ('2026-05-05 10:00Z', 'p', 'unknown', 5, 'x', 'n1'), ('2026-05-05 10:00Z', 'p', 'm', 5000000, 'x', 'n2');
SELECT subject, calls, unpriced_calls, cost, share, previous_calls, previous_cost, change, change_ratio FROM cost_ledger.explain_spend('2026-05-03 22:00Z', '2026-05-04 22:00Z');
SELECT subject, calls, unpriced_calls, cost, share, previous_calls, previous_cost, change, change_ratio FROM cost_ledger.explain_spend('2026-05-04 22:00Z', '2026-05-05 22:00Z');
SELECT part, change, cost, previous_cost, calls, previous_calls, unpriced_calls, previous_unpriced_calls FROM cost_ledger.compare_spend('2026-05-04 22:00Z', '2026-05-05 22:00Z') WHERE part IN ('volume', 'price');
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, event_key) VALUES ('2026-05-10 10:00Z', 'p', 'm', 5000000, 'y', 'credited');
SELECT cost_ledger.correct_call('credited', '{"input_tokens": 2000000}', 'a credit') \g /dev/null
SELECT subject, calls, cost, share, previous_cost, change FROM cost_ledger.explain_spend('2026-05-09 22:00Z', '2026-05-10 22:00Z', '{"team": "y"}');
SELECT part, change FROM cost_ledger.compare_spend('2026-05-09 22:00Z', '2026-05-10 22:00Z', filter => '{"team": "y"}') WHERE change <> 0;

-- A star that a user has in his name is a star, one click deeper too.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, user_id) VALUES ('2026-05-20 10:00Z', 'p', 'm', 1, 'star*'), ('2026-05-20 10:00Z', 'p', 'm', 2, 'star*s');
SELECT u.value, u.next_filter, r.calls, r.input_tokens FROM cost_ledger.drill('user', '{}', '2026-05-20', '2026-05-21') u, cost_ledger.drill(u.next_level, u.next_filter, u.starts_at, u.ends_at) r ORDER BY 1;

--
-- What is no longer known is refused: of a range; of the one before it is left open.
--
BEGIN;
UPDATE cost_ledger_internal.rollup_state SET calls_from = '2026-03-31 22:00Z', hours_from = '2026-03-31 22:00Z', days_from = '2026-03-10';
SELECT calls, cost, previous_calls FROM cost_ledger.explain_spend('2026-02-28 23:00Z', '2026-03-31 22:00Z', depth => 0);
SELECT calls, cost, previous_calls, previous_cost, change FROM cost_ledger.explain_spend('2026-03-10 23:00Z', '2026-03-13 23:00Z', depth => 0);
SAVEPOINT a;
SELECT calls, cost FROM cost_ledger.explain_spend('2026-03-09 23:00Z', '2026-03-11 12:00Z', depth => 0);
ROLLBACK TO a;
SELECT calls, cost FROM cost_ledger.explain_spend('2026-02-28 23:00Z', '2026-03-31 22:00Z', '{"user_id": "u1"}', depth => 0);
ROLLBACK TO a;
SELECT * FROM cost_ledger.compare_spend('2026-03-10 23:00Z', '2026-03-13 23:00Z');
ROLLBACK;

\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.explain_spend('2026-03-02', '2026-03-01');
SELECT * FROM cost_ledger.explain_spend(NULL, '2026-03-01');
SELECT * FROM cost_ledger.explain_spend('2026-03-01', '2026-03-02', '{"nobody": "x"}');
SELECT * FROM cost_ledger.explain_spend('2026-03-01', '2026-03-02', depth => 5);
SELECT * FROM cost_ledger.explain_spend('2026-03-01', '2026-03-02', depth => NULL);
SELECT * FROM cost_ledger.explain_spend('2026-03-01', '2026-03-02', labels => '{nobody}');
SELECT * FROM cost_ledger.explain_spend('2026-03-01', '2026-03-02', labels => '{customer,NULL}');
SELECT * FROM cost_ledger.explain_spend('2026-03-01', '2026-03-02', labels => '{customer,customer}');
SELECT * FROM cost_ledger.explain_spend('2026-03-01', '2026-03-02', labels => '{tags}');
SELECT * FROM cost_ledger.explain_spend('2026-03-01', '2026-03-02', labels => '{raw_usage}');
\set VERBOSITY default

SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP OWNED BY regress_explain_team;
DROP ROLE regress_explain_team;
