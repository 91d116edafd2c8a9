-- The dashboard of a terminal: the numbers to know by heart, in 80 columns.
--
-- dashboard_facts() asks the public views, with the rights of whoever calls, so that
-- a reader of a team gets the numbers of his team.  It can name nothing internal; what
-- lays the answer out is parsed when it is made, as a view is, and so can.

CREATE FUNCTION cost_ledger_internal.fit(value text, width integer) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_fit';

COMMENT ON FUNCTION cost_ledger_internal.fit(text, integer) IS
    'A text in exactly so many columns of a terminal: padded with blanks, or cut, with two dots at the end. What a terminal shows nothing for, a line break say, becomes a blank.';

CREATE FUNCTION cost_ledger_internal.short_number(value numeric, is_count boolean DEFAULT false) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN value IS NULL THEN '-'
        WHEN value = 0 THEN '0'
        WHEN abs(value) >= 1e11 OR abs(value) < 1e-6 THEN trim(to_char(value, '9.99EEEE'))
        WHEN abs(value) >= 1e8 THEN to_char(value / 1e6, 'FM99,990.0') || 'M'
        WHEN is_count OR abs(value) >= 9999.995 THEN to_char(round(value), 'FM99,999,999')
        WHEN abs(value) >= 0.995 THEN to_char(value, 'FM9,990.00')
        -- Two digits that count, wherever they are.
        ELSE to_char(round(value, 1 - floor(log(abs(value)))::integer), 'FM0.00999999') END;

COMMENT ON FUNCTION cost_ledger_internal.short_number(numeric, boolean) IS
    'A number for people: 1,234.50, 0.043, 12,345, 250.0M, 1.20e+12; - where it is unknown. Counts have no decimals.';

CREATE FUNCTION cost_ledger_internal.counted(hits numeric, noun text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN cost_ledger_internal.short_number(hits, true) || ' ' || noun || CASE hits WHEN 1 THEN '' ELSE 's' END;

COMMENT ON FUNCTION cost_ledger_internal.counted(numeric, text) IS
    'How many of what: 1 run, 12 runs.';

CREATE FUNCTION cost_ledger_internal.signed_percent(ratio numeric) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN ratio < 0 THEN '-' ELSE '+' END
        || CASE WHEN abs(ratio) >= 9.9995 THEN cost_ledger_internal.short_number(abs(ratio) * 100, true) ELSE to_char(abs(ratio) * 100, 'FM990.0') END || ' %';

COMMENT ON FUNCTION cost_ledger_internal.signed_percent(numeric) IS
    'A change as people write it: 0.042 is +4.2 %.';

CREATE FUNCTION cost_ledger_internal.dashboard_facts() RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    facts jsonb;
    this_week record;
    problems bigint;
BEGIN
    IF to_regclass('cost_ledger.ledger') IS NULL THEN
        RAISE EXCEPTION 'there is no ledger in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Run SELECT cost_ledger.create_ledger();';
    END IF;
    SELECT jsonb_build_object('currency', p.currency, 'spent', p.spent, 'forecast', p.forecast, 'month', p.starts_at)
        INTO facts FROM cost_ledger.project_spend() p;
    facts := coalesce(facts, '{}') || coalesce((
        SELECT jsonb_build_object('currency', max(m.currency), 'previous_month_cost', max(m.cost) FILTER (WHERE m.is_complete AND m.ends_at > now() - interval '32 days'),
                                  'unpriced_calls', sum(m.unpriced_calls) FILTER (WHERE NOT m.is_complete))
        FROM cost_ledger.cost_by_label m WHERE m.label = 'total' AND m.starts_at <= now() HAVING count(*) > 0), '{}');
    IF facts = '{}' THEN
        RETURN facts;
    END IF;
    facts := facts || (
        SELECT to_jsonb(r) FROM (
            SELECT coalesce(sum(d.runs), 0) AS runs, sum(d.cost) / nullif(cost_ledger.num_values(cost_ledger.merge(d.run_cost_summary)), 0) AS mean_run,
                   cost_ledger.p95(cost_ledger.merge(d.run_cost_summary))::numeric AS p95_run, max(d.max_cost) AS max_run,
                   (sum(d.cost) - max(d.max_cost)) / nullif(cost_ledger.num_values(cost_ledger.merge(d.run_cost_summary)) - 1, 0) AS mean_other_run,
                   sum(d.calls_without_run) AS calls_without_run, sum(d.cost_without_run) / nullif(sum(d.calls_without_run), 0) AS mean_call
            FROM cost_ledger.cost_per_run_by_day d WHERE d.starts_at > now() - interval '7 days' AND d.starts_at <= now()) r)
        || coalesce((SELECT jsonb_build_object('users', u.users, 'mean_user', u.mean_cost, 'p95_user', u.p95_cost)
                     FROM cost_ledger.cost_per_user_by_month u WHERE u.starts_at <= now() AND u.ends_at > now()), '{}');
    SELECT max(w.week) AS week, max(w.cost) FILTER (WHERE NOT w.is_complete) AS cost,
           max(w.change_ratio) FILTER (WHERE w.is_complete) AS change_ratio, max(w.flag) FILTER (WHERE w.is_complete) AS flag INTO this_week
        FROM (SELECT w.* FROM cost_ledger.week_over_week w WHERE w.label = 'total' AND w.starts_at <= now() ORDER BY w.week DESC NULLS LAST LIMIT 2) w;
    facts := facts || jsonb_build_object('week_cost', this_week.cost, 'change_ratio', this_week.change_ratio, 'flag', this_week.flag,
                                         'week_before_cost', (SELECT p.spent FROM cost_ledger.project_spend(NULL, 'week', now() - interval '7 days') p));
    facts := facts || jsonb_build_object(
        'budgets', (SELECT coalesce(jsonb_agg(to_jsonb(b) ORDER BY b.number), '[]')
                    FROM (SELECT row_number() OVER (ORDER BY s.used_ratio DESC NULLS LAST, s.budget_id, s.entity) AS number, count(*) OVER () AS budgets,
                                 s.name, s.entity, s.period, s.metric, s.spent + s.held AS spent, s.limit_amount, s.used_ratio, s.level
                          FROM cost_ledger.budget_status s ORDER BY 1 LIMIT 5) b),
        'tasks', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.rank), '[]')
                  FROM (SELECT t.rank, t.run_id, t.task_type, t.team, t.started_at, t.calls, t.cost
                        FROM cost_ledger.most_expensive_run t WHERE t.week = this_week.week) r),
        'alerts', (SELECT count(*) FROM cost_ledger.unacknowledged_alert));
    IF has_table_privilege('cost_ledger.ledger_problem', 'SELECT') THEN
        SELECT count(*) INTO problems FROM cost_ledger.ledger_problem;
    END IF;
    RETURN facts || jsonb_build_object('problems', problems);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.dashboard_facts() IS
    'What dashboard() shows, of the calls that the caller may see; {} where there are none.';

CREATE FUNCTION cost_ledger_internal.dashboard_numbers(facts jsonb) RETURNS TABLE (name text, value text, remark text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE WHEN f.runs > 0 THEN 'Cost per run, 7 days' ELSE 'Cost per call, 7 days' END,
           cost_ledger_internal.short_number(CASE WHEN f.runs > 0 THEN f.mean_run ELSE f.mean_call END),
           CASE WHEN f.runs > 0
                THEN 'p95 ' || cost_ledger_internal.short_number(f.p95_run) || ', '
                     -- A mean that one run makes says so.
                     || CASE WHEN f.mean_run > 2 * f.mean_other_run THEN cost_ledger_internal.short_number(f.mean_other_run) || ' without the dearest'
                             ELSE cost_ledger_internal.counted(f.runs, 'run') END
                ELSE cost_ledger_internal.counted(coalesce(f.calls_without_run, 0), 'call') || ' without a run_id' END
    FROM jsonb_to_record(dashboard_numbers.facts) AS f (runs numeric, mean_run numeric, p95_run numeric, mean_other_run numeric, calls_without_run numeric, mean_call numeric)
    UNION ALL
    SELECT 'Cost per user, this month', cost_ledger_internal.short_number(f.mean_user),
           CASE WHEN f.users > 0 THEN 'p95 ' || cost_ledger_internal.short_number(f.p95_user) || ', ' || cost_ledger_internal.counted(f.users, 'user')
                ELSE 'no call of this month has a user_id' END
    FROM jsonb_to_record(dashboard_numbers.facts) AS f (users numeric, mean_user numeric, p95_user numeric)
    UNION ALL
    SELECT 'Month to date', cost_ledger_internal.short_number(coalesce(f.spent, 0)),
           concat_ws(', ', CASE WHEN f.forecast IS NULL THEN 'too early for a forecast' ELSE 'forecast ' || cost_ledger_internal.short_number(f.forecast) END,
                     cost_ledger_internal.signed_percent((f.forecast - f.previous_month_cost) / nullif(f.previous_month_cost, 0)) || ' on last month')
    FROM jsonb_to_record(dashboard_numbers.facts) AS f (spent numeric, forecast numeric, previous_month_cost numeric)
    UNION ALL
    SELECT 'Week over week', coalesce(cost_ledger_internal.signed_percent(f.change_ratio), '-'),
           concat_ws('; ', f.flag, 'this week ' || cost_ledger_internal.short_number(coalesce(f.week_cost, 0))
                                   || CASE WHEN f.week_before_cost IS NOT NULL THEN ', last by tonight ' || cost_ledger_internal.short_number(f.week_before_cost) ELSE '' END)
    FROM jsonb_to_record(dashboard_numbers.facts) AS f (change_ratio numeric, flag text, week_cost numeric, week_before_cost numeric);
END;

COMMENT ON FUNCTION cost_ledger_internal.dashboard_numbers(jsonb) IS
    'The four numbers of dashboard(), in words.';

CREATE FUNCTION cost_ledger_internal.dashboard_lists(facts jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT l.line
    FROM (SELECT 1 AS part, 0::bigint AS number, cost_ledger_internal.fit('Budgets', 44) || format('%8s%26s', 'used', 'of limit') AS line
          UNION ALL
          SELECT 1, b.number,
                 cost_ledger_internal.fit(b.name || coalesce(' ' || nullif(b.entity, ''), '') || ', ' || b.period, 29)
                 || ' [' || rpad(repeat('#', greatest(least(round(b.used_ratio * 12), 12), 0)::integer), 12, '.') || ']'
                 || format('%8s', CASE WHEN b.used_ratio < 100 THEN to_char(b.used_ratio * 100, 'FM9990.0') ELSE '>9999' END || ' %')
                 || format('%26s', cost_ledger_internal.short_number(b.spent, b.metric <> 'cost') || ' of ' || cost_ledger_internal.short_number(b.limit_amount, b.metric <> 'cost')
                                   || CASE WHEN b.metric = 'cost' THEN '' ELSE ' ' || b.metric END)
          FROM jsonb_to_recordset(dashboard_lists.facts -> 'budgets')
               AS b (number bigint, name text, entity text, period text, metric text, spent numeric, limit_amount numeric, used_ratio numeric)
          UNION ALL
          SELECT 1, 6, format('%s more: SELECT * FROM cost_ledger.budget_status ORDER BY used_ratio DESC;', (dashboard_lists.facts #>> '{budgets,0,budgets}')::bigint - 5)
          WHERE (dashboard_lists.facts #>> '{budgets,0,budgets}')::bigint > 5
          UNION ALL
          SELECT 1, 6, 'none: SELECT cost_ledger.set_budget(''all'', ''{}'', ''month'', 1000);'
          WHERE dashboard_lists.facts -> 'budgets' = '[]'
          UNION ALL
          SELECT 1, 7, ''
          UNION ALL
          SELECT 2, 0, cost_ledger_internal.fit('Ten dearest tasks, this week', 36) || ' ' || cost_ledger_internal.fit('team', 11)
                       || cost_ledger_internal.fit('began', 11) || format('%8s%11s', 'calls', 'cost')
          UNION ALL
          SELECT 2, t.rank,
                 cost_ledger_internal.fit(t.run_id, 20) || ' ' || cost_ledger_internal.fit(coalesce(t.task_type, '-'), 15) || ' '
                 || cost_ledger_internal.fit(coalesce(t.team, '-'), 10) || ' ' || to_char(t.started_at, 'MM-DD HH24:MI')
                 || format('%8s%11s', cost_ledger_internal.short_number(t.calls, true), cost_ledger_internal.short_number(t.cost))
          FROM jsonb_to_recordset(dashboard_lists.facts -> 'tasks')
               AS t (rank bigint, run_id text, task_type text, team text, started_at timestamptz, calls numeric, cost numeric)
          UNION ALL
          SELECT 2, 11, 'none yet: a call belongs to a task by its run_id'
          WHERE dashboard_lists.facts -> 'tasks' = '[]') l
    ORDER BY l.part, l.number;
END;

COMMENT ON FUNCTION cost_ledger_internal.dashboard_lists(jsonb) IS
    'Budgets and tasks of dashboard(), lines of 78 columns.';

CREATE FUNCTION cost_ledger.dashboard() RETURNS SETOF text
    LANGUAGE sql STABLE ROWS 30
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH known AS MATERIALIZED (
        SELECT cost_ledger_internal.dashboard_facts() AS facts
    )
    SELECT rtrim(cost_ledger_internal.fit(l.line, 78))
    FROM known k
    CROSS JOIN LATERAL (
        SELECT 1 AS part, 1::bigint AS number,
               cost_ledger_internal.fit('Cost of LLM calls' || coalesce(' in ' || (k.facts ->> 'currency'), '')
                                        || CASE WHEN cost_ledger_internal.sees_all() THEN '' ELSE ', those that you may see' END, 54)
               || lpad(to_char(now(), 'YYYY-MM-DD HH24:MI TZ'), 24) AS line
        UNION ALL
        SELECT 1, 2, ''
        UNION ALL
        SELECT 2, n.number, e.line
        FROM unnest(CASE WHEN cost_ledger_internal.sees_all() THEN
                        ARRAY['There are no calls yet. Record one:',
                              '  SELECT cost_ledger.load_seed_prices();',
                              '  INSERT INTO cost_ledger.call (provider, model, input_tokens, output_tokens)',
                              '  VALUES (''openai'', ''gpt-4o-mini'', 1200, 300);',
                              'or look around in sample data: psql -f examples/sample_data.sql']
                    ELSE ARRAY['There are no calls yet of what you were granted.'] END)
             WITH ORDINALITY AS e (line, number)
        CROSS JOIN LATERAL (SELECT e.number) n
        WHERE k.facts = '{}'
        UNION ALL
        SELECT 3, n.number, cost_ledger_internal.fit(n.name, 25) || format('%12s  ', n.value) || cost_ledger_internal.fit(n.remark, 39)
        FROM ROWS FROM (cost_ledger_internal.dashboard_numbers(k.facts)) WITH ORDINALITY AS n (name, value, remark, number)
        WHERE k.facts <> '{}'
        UNION ALL
        SELECT 4, 0, '' WHERE k.facts <> '{}'
        UNION ALL
        SELECT 4, n.number, n.line
        FROM ROWS FROM (cost_ledger_internal.dashboard_lists(k.facts)) WITH ORDINALITY AS n (line, number)
        WHERE k.facts <> '{}'
        UNION ALL
        SELECT 5, 0, ''
        WHERE (k.facts ->> 'unpriced_calls')::bigint > 0 OR (k.facts ->> 'alerts')::bigint > 0 OR (k.facts ->> 'problems')::bigint > 0
        UNION ALL
        SELECT 5, h.number, format('%s %s: see cost_ledger.%s', h.hits, CASE h.hits WHEN 1 THEN h.one ELSE h.many END, h.source)
        FROM (VALUES (1, (k.facts ->> 'unpriced_calls')::bigint, 'call of this month has no full price', 'calls of this month have no full price', 'unpriced_call'),
                     (2, (k.facts ->> 'alerts')::bigint, 'alert waits for somebody', 'alerts wait for somebody', 'unacknowledged_alert'),
                     (3, (k.facts ->> 'problems')::bigint, 'problem of the ledger', 'problems of the ledger', 'ledger_problem')) AS h (number, hits, one, many, source)
        WHERE h.hits > 0) l
    ORDER BY l.part, l.number;
END;

COMMENT ON FUNCTION cost_ledger.dashboard() IS
    'The numbers to know by heart, for a terminal of 80 columns: a line each. Cost per run of the last 7 days and per user of this month, each the mean with its 95th percentile; the month to date with its forecast; the last whole week against the one before, and this week so far beside what the last had cost at the end of the same day. The five budgets that are used most, the ten dearest tasks (whole runs) of this week, and what wants to be looked at. Of the calls that the role may see; times are of the session''s zone, days, weeks and months of the reporting zone. 55000 where there is no ledger.';
