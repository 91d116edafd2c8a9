-- dashboard(): the numbers of the views, in 78 columns, of whoever asks.
SET TIME ZONE 'UTC';
SET client_min_messages = warning;
\pset tuples_only on
\pset format unaligned

-- Text in columns of a terminal: letters of Chinese take two, combining marks none.
SELECT '[' || cost_ledger_internal.fit(v.value, 8) || ']'
FROM (VALUES ('short'), ('just eig'), ('longer than eight'), ('研究團隊'), ('研究團隊的名字'), ('a研究團隊的名字'), (E'e\u0301te\u0301'), (E'two\nlines'), (E'\u0007'), ('')) AS v (value);
SELECT '[' || cost_ledger_internal.fit('研究', w) || ']' FROM generate_series(0, 5) AS w;
SELECT v.value, cost_ledger_internal.short_number(v.value), cost_ledger_internal.short_number(v.value, true)
FROM unnest('{0,1e-9,0.00000123,0.0433,0.0999,0.994,0.996,1,12.345,999.999,9999.99,9999.999,10000,1234567.5,9999999999.4,1e10,1e30,-0.5,-12345.6,NULL}'::numeric[]) AS v (value);
SELECT v.value, cost_ledger_internal.signed_percent(v.value) FROM unnest('{0,0.042,-0.5,9.9994,9.9996,123456,NULL}'::numeric[]) AS v (value);

-- Without a ledger, and with an empty one.
\set SHOW_CONTEXT never
SELECT cost_ledger.dashboard();
SELECT cost_ledger.create_ledger('Asia/Kolkata', 'INR');
CREATE ROLE regress_dashboard_all;
CREATE ROLE regress_dashboard_team;
CREATE ROLE regress_dashboard_nobody;
SELECT cost_ledger.grant_reader('regress_dashboard_all'), cost_ledger.grant_team_reader('regress_dashboard_team', '研究團隊的名字很長');
-- What changes with the clock is masked.
CREATE FUNCTION pg_temp.shown() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(regexp_replace(regexp_replace(d, '\d{4}-\d\d-\d\d \d\d:\d\d UTC', 'YYYY-MM-DD HH:MM UTC'), ' \d\d-\d\d \d\d:\d\d ', ' MM-DD HH:MM '),
                          '(forecast [^ ]+|too early for a forecast)$', 'forecast') FROM cost_ledger.dashboard() d
$$;
SELECT * FROM pg_temp.shown();
SET ROLE regress_dashboard_team;
SELECT * FROM pg_temp.shown();
SET ROLE regress_dashboard_nobody;
SELECT cost_ledger.dashboard();
RESET ROLE;

-- One call, which is in no run.
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1}', '2020-01-01') > 0;
SELECT cost_ledger.set_price('p', 'dear', '{"input_tokens": 1000000000}', '2020-01-01') > 0;
INSERT INTO cost_ledger.call (provider, model, input_tokens, team) VALUES ('p', 'm', 43300, 'a');
SELECT * FROM pg_temp.shown();

-- Runs with names in other scripts, long ones, and such as a terminal does not show.
INSERT INTO cost_ledger.call (provider, model, input_tokens, team, task_type, run_id, user_id)
SELECT 'p', m.model, m.tokens, m.team, m.task, m.run, m.run
FROM (VALUES ('m', 1000, 'a', 'scan', 'run-1'), ('m', 2000, '研究團隊的名字很長', '競爭對手掃描與市場報告', '運行-二〇二六年十一月二十七日'), ('m', 3000, E'e\u0301quipe', E'two\nlines', E'tab\there'),
             ('m', 4000, NULL, NULL, repeat('x', 300)), ('none', 5, 'a', 'scan', 'unpriced'), ('m', 5000, 'فريق البحث', 'تقرير السوق', 'تشغيل-١'), ('m', 0, 'a', 'scan', 'nothing'))
     AS m (model, tokens, team, task, run);
SELECT cost_ledger.set_budget('all', '{}', 'month', 0.1) > 0, cost_ledger.set_budget('研究團隊的預算，名字也很長', '{"team": "研究團隊的名字很長"}', 'day', 0.01) > 0,
       cost_ledger.set_budget('calls of each team', '{}', 'week', 1000, metric => 'calls', each_of => 'team') > 0;
SELECT * FROM pg_temp.shown();
-- The same, consumed.
CREATE TEMP TABLE before AS SELECT * FROM cost_ledger.dashboard() WITH ORDINALITY AS d (line, number);
CALL cost_ledger.refresh();
SELECT count(*) FROM before b FULL JOIN cost_ledger.dashboard() WITH ORDINALITY AS d (line, number) USING (number) WHERE b.line IS DISTINCT FROM d.line AND number > 1;
SET ROLE regress_dashboard_team;
SELECT * FROM pg_temp.shown();
RESET ROLE;

-- What it says is what the views say.
SELECT count(*)
FROM cost_ledger.dashboard() d, cost_ledger.cost_per_run_by_day r, cost_ledger.cost_per_user_by_month u, cost_ledger.project_spend() p,
     cost_ledger_internal.short_number(r.mean_cost) AS mean_run, cost_ledger_internal.short_number(r.p95_cost) AS p95_run,
     cost_ledger_internal.short_number(u.mean_cost) AS mean_user, cost_ledger_internal.short_number(u.p95_cost) AS p95_user,
     cost_ledger_internal.short_number(p.spent) AS so_far
WHERE d IN (format('Cost per run, 7 days     %12s  p95 %s, %s runs', mean_run, p95_run, r.runs),
            format('Cost per user, this month%12s  p95 %s, %s users', mean_user, p95_user, u.users),
            format('Month to date            %12s  forecast %s', so_far, cost_ledger_internal.short_number(p.forecast)),
            format('Month to date            %12s  too early for a forecast', so_far));
SET ROLE regress_dashboard_all;
CREATE TEMP TABLE of_reader AS SELECT * FROM cost_ledger.dashboard() WITH ORDINALITY AS d (line, number);
RESET ROLE;
SELECT count(*) FROM of_reader b FULL JOIN cost_ledger.dashboard() WITH ORDINALITY AS d (line, number) USING (number) WHERE b.line IS DISTINCT FROM d.line AND number > 1;

-- From 1e-9 to 1e9 and beyond, no line is too long; a mean that one run makes says so.
INSERT INTO cost_ledger.call (provider, model, input_tokens, run_id) VALUES ('p', 'dear', 1000000, 'dearest');
SELECT * FROM pg_temp.shown() WITH ORDINALITY AS d (line, number) WHERE number BETWEEN 3 AND 9;
SELECT count(*) AS too_long FROM cost_ledger.dashboard() d WHERE cost_ledger_internal.fit(d, 78) NOT LIKE replace(replace(replace(d, '\', '\\'), '_', '\_'), '%', '\%') || '%';

-- The week against the one before, on any day of the week.
SELECT cost_ledger.create_partitions(now() - interval '21 days', now());
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team)
SELECT date_trunc('week', now() AT TIME ZONE 'Asia/Kolkata') AT TIME ZONE 'Asia/Kolkata' - w.days * interval '1 day', 'p', 'm', w.tokens, 'b'
FROM (VALUES (21, 1000000), (14, 1000000), (7, 1200000)) AS w (days, tokens);
SELECT regexp_replace(line, ';.*', '') FROM cost_ledger.dashboard() AS line WHERE line ~ '^Week';
-- Last week had 1.2 on its first day, which has begun in this one too.
SELECT w.cost > 1e9 AND line ~ '; this week 1,000.0M, last' FROM cost_ledger.dashboard() AS line, cost_ledger.week_over_week w
WHERE line ~ '^Week' AND w.label = 'total' AND NOT w.is_complete;

DROP OWNED BY regress_dashboard_all, regress_dashboard_team, regress_dashboard_nobody;
DROP ROLE regress_dashboard_all, regress_dashboard_team, regress_dashboard_nobody;
\pset tuples_only off
\pset format aligned
SET client_min_messages = warning;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
