--
-- No cost is lost, and none is counted twice: whatever has a cost adds up to the
-- ledger, in every state of the rollups, in two zones, for every kind of reader.
-- What there is says the catalog: a view that is not named below adds up to the
-- ledger by its column "cost", or this test fails.
--
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';

-- How the others add up to the ledger, each row an expression over the view; NULL for
-- those that show a part of it, or something else.
CREATE TEMP TABLE adds_up (view text PRIMARY KEY, expression text, why text);
INSERT INTO adds_up VALUES
    ('cost_per_run_by_day',      'coalesce(sum(cost), 0) + coalesce(sum(cost_without_run), 0)', 'calls without a run are apart'),
    ('cost_per_user_by_month',   'coalesce(sum(cost), 0) + coalesce(sum(cost_without_user), 0)', 'calls without a user are apart'),
    ('run',                      'coalesce(sum(cost), 0) + (SELECT coalesce(sum(d.cost), 0) FROM cost_ledger.call_detail d WHERE d.run_id IS NULL)', 'calls without a run are no run'),
    ('run_tree',                 'coalesce(sum(cost), 0) + (SELECT coalesce(sum(d.cost), 0) FROM cost_ledger.call_detail d WHERE d.run_id IS NULL)', 'calls without a run are in no tree'),
    ('run_tree_level',           'coalesce(sum(cost), 0) + (SELECT coalesce(sum(d.cost), 0) FROM cost_ledger.call_detail d WHERE d.run_id IS NULL)', 'calls without a run are in no tree'),
    ('session',                  'coalesce(sum(cost), 0) + (SELECT coalesce(sum(d.cost), 0) FROM cost_ledger.call_detail d WHERE d.session_id IS NULL)', 'calls without a session are no session'),
    ('cost_per_session_by_day',  'coalesce(sum(cost), 0) + (SELECT coalesce(sum(d.cost), 0) FROM cost_ledger.call_detail d WHERE d.session_id IS NULL)', 'calls without a session are no session'),
    ('cost_per_user_by_plan',    'coalesce(sum(cost), 0) + (SELECT coalesce(sum(d.cost), 0) FROM cost_ledger.call_detail d WHERE d.user_id IS NULL)', 'calls without a user are on no plan'),
    ('cost_by_input_part',       'coalesce(sum(cost), 0) + (SELECT coalesce(sum(d.output_cost), 0) + coalesce(sum(d.reasoning_cost), 0) + coalesce(sum(d.other_cost), 0) + coalesce(sum(d.adjustment_cost), 0) FROM cost_ledger.cost_by_month d)', 'output, what is no token, and adjustments are no input'),
    ('task_efficiency_by_month', 'coalesce(sum(cost), 0) + (SELECT coalesce(sum(d.cost), 0) FROM cost_ledger.call_detail d WHERE d.run_id IS NULL)', 'calls without a run are no task of it'),
    ('request_chain',            'coalesce(sum(cost), 0) + (SELECT coalesce(sum(d.cost), 0) FROM cost_ledger.call_detail d WHERE d.request_id IS NULL)', 'calls without a request are in no chain'),
    ('cache_saving_by_month',    'coalesce(sum(input_cost), 0) + coalesce(sum(cache_read_cost), 0) + coalesce(sum(cache_write_cost), 0) + (SELECT coalesce(sum(d.output_cost), 0) + coalesce(sum(d.reasoning_cost), 0) + coalesce(sum(d.other_cost), 0) + coalesce(sum(d.adjustment_cost), 0) FROM cost_ledger.cost_by_month d)', 'of input only'),
    ('spend_now',                NULL, 'calls of today, and of a week ago'),
    ('most_expensive_run',       NULL, 'ten of each week'),
    ('unpriced_call',            NULL, 'calls without a full price'),
    ('quarantined_call',         NULL, 'calls that are in no report'),
    ('waiting_call_by_month',    NULL, 'calls that wait for a partition'),
    ('partition_status',         NULL, 'of storage'),
    ('retention_check',          NULL, 'calls that were dropped'),
    ('rerate_batch_summary',     NULL, 'calls that were priced anew'),
    ('restatement',              NULL, 'calls that were moved'),
    ('reported_cost_difference', NULL, 'calls with a reported cost'),
    ('invoice_reconciliation',   NULL, 'calls of an invoice'),
    ('estimate_vs_actual',       NULL, 'what was estimated'),
    ('hold',                     NULL, 'what was held'),
    ('open_hold',                NULL, 'what is held'),
    ('budget_status',            NULL, 'what a budget counts');

CREATE FUNCTION pg_temp.fill(part integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_day constant timestamptz := '2026-03-07 03:00Z';
BEGIN
    IF part = 1 THEN
        PERFORM cost_ledger.create_partitions('2026-02-01', '2026-12-01');
        -- Priced, reasoning by itself, free, with an input price only (the output is priced by nothing), with what is no token.
        PERFORM cost_ledger.set_price('p', 'm', '{"input_tokens": 1.1, "cache_read_tokens": 0.1, "cache_write_tokens": 1.3, "output_tokens": 7, "reasoning_tokens": 2.3}', '2025-01-01');
        PERFORM cost_ledger.set_price('p', 'free', '{"input_tokens": 0, "output_tokens": 0}', '2025-01-01');
        PERFORM cost_ledger.set_price('p', 'part', '{"input_tokens": 2}', '2025-01-01');
        PERFORM cost_ledger.set_price('q', 'm', '{"input_tokens": 0.7, "output_tokens": 3, "requests": {"price": 0.01, "per": 1}}', '2025-01-01');
        INSERT INTO cost_ledger.revenue (earned_on, feature, customer, amount) VALUES ('2026-03-31', 'f1', 'c1', 10), ('2026-03-31', NULL, NULL, 5), ('2020-01-01', 'old', 'old', 1);
    END IF;
    -- Every label is said, empty, or not there; names look like placeholders; runs are
    -- below each other, in a chain and in circles; times are on both sides of clocks
    -- that are set, of months, and of midnights.
    INSERT INTO cost_ledger.call (called_at, provider, model, service_class, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, team, feature, customer,
                                  flow, task_type, environment, operation, status, served_from, agent, step, tool, api_key, cohort, user_id, session_id, run_id, parent_run_id,
                                  retry_count, accepted, score, reported_cost, duration_ms, input_parts, request_id, attempt, event_key)
    SELECT CASE n % 8 WHEN 0 THEN timestamptz '2026-10-25 00:30Z' + n * interval '1 minute'      -- Berlin's clock goes back
                      WHEN 1 THEN timestamptz '2026-04-04 14:10Z' + n * interval '1 minute'      -- Lord Howe's, by half an hour
                      WHEN 2 THEN timestamptz '2026-03-29 00:30Z' + n * interval '1 minute'      -- Berlin's goes forward
                      WHEN 3 THEN timestamptz '2026-03-31 21:59:59.999999Z' + n % 2 * interval '1 microsecond'
                      ELSE first_day + n * interval '7 hours 13 minutes' END,
           CASE WHEN n % 5 = 0 THEN 'q' ELSE 'p' END,
           CASE WHEN n % 5 = 0 THEN 'm' ELSE (ARRAY['m', 'm', 'm', 'free', 'part', 'unknown'])[1 + n % 6] END,
           CASE WHEN n % 11 = 0 THEN 'batch' ELSE 'standard' END,
           n * 1001, n * 101, n * 11, n * 17, n * 3,
           (ARRAY['a', 'b', NULL, '', '(unallocated)'])[1 + n % 5], (ARRAY['f1', 'f2', NULL, ''])[1 + n / 2 % 4], (ARRAY['c1', 'c2', NULL])[1 + n / 3 % 3],
           (ARRAY['w', NULL])[1 + n % 2], (ARRAY['t1', 't2', NULL])[1 + n % 3], (ARRAY['production', 'ci', NULL])[1 + n % 3],
           (ARRAY['primary', 'RETRY', 'fallback', 'judge', NULL])[1 + n / 2 % 5], (ARRAY['success', 'error', '200', NULL])[1 + n / 3 % 4],
           CASE WHEN n % 13 = 0 THEN 'response_cache' ELSE 'model' END,
           (ARRAY['g1', 'g2', NULL])[1 + n % 3], (ARRAY['s1', NULL])[1 + n % 2], (ARRAY['grep', NULL])[1 + n / 2 % 2], (ARRAY['k1', 'k2', NULL])[1 + n % 3], (ARRAY['h', NULL])[1 + n / 3 % 2],
           'u' || nullif(n % 7, 0), 'x' || nullif(n % 4, 0),
           -- A chain, two that start each other, one that starts itself, and none.
           CASE n % 9 WHEN 0 THEN NULL ELSE 'r' || n % 9 END,
           CASE n % 9 WHEN 1 THEN NULL WHEN 2 THEN 'r1' WHEN 3 THEN 'r2' WHEN 4 THEN 'r5' WHEN 5 THEN 'r4' WHEN 6 THEN 'r6' WHEN 7 THEN 'gone' END,
           n % 3, (ARRAY[true, false, NULL])[1 + n % 3], CASE WHEN n % 4 = 0 THEN n * 0.1 END, CASE WHEN n % 6 = 0 THEN n * 0.01 END, n * 100,
           -- All of the input, a part of it, none, or nothing said.
           CASE n % 5 WHEN 0 THEN jsonb_build_object('history', n * 700, 'new_input', n * 300, '(unallocated)', n) WHEN 1 THEN jsonb_build_object('history', n * 331, '', n * 7)
                      WHEN 2 THEN '{}' WHEN 3 THEN jsonb_build_object('history', 0) END, 'q' || nullif(n / 3 % 9, 0), nullif(n % 4, 0), 'e' || n
    FROM generate_series((part - 1) * 60 + 1, part * 60) AS n;
    IF part = 3 THEN
        -- Late, corrected, taken back, moved and priced anew; a credit beyond the cost.
        INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, customer, run_id) VALUES ('2026-02-28 23:59:59Z', 'p', 'm', 123456, 'a', NULL, 'r1'), ('2026-03-08 06:59Z', 'p', 'm', 1, NULL, 'c1', NULL);
        PERFORM cost_ledger.correct_call('e' || n, jsonb_build_object('input_tokens', n * 10), 'recount') FROM generate_series(3, 150, 7) AS n;
        PERFORM cost_ledger.correct_call('e' || n, '{"input_tokens": 0, "cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0}', 'a credit') FROM generate_series(1, 150, 31) AS n;
        PERFORM cost_ledger.void_call('e' || n, 'never made') FROM generate_series(2, 150, 37) AS n;
        PERFORM cost_ledger.reattribute('{"team": "b", "feature": "f1"}'::jsonb, '{"team": "a", "agent": "g9", "customer": "c2"}', 'moved', dry_run => false);
        PERFORM cost_ledger.set_price('p', 'm', '{"input_tokens": 1.7, "cache_read_tokens": 0.1, "cache_write_tokens": 1.3, "output_tokens": 7, "reasoning_tokens": 2.9}', '2025-01-01', replace => true);
        PERFORM cost_ledger.rerate('2026-03-01', '2026-04-01', '{"model": "m"}', dry_run => false, reason => 'dearer');
    END IF;
END
$$;

-- What is wrong: each view against the sum of the calls that the reader may see; of
-- labels each by itself; and keys that are there twice.
CREATE TEMP TABLE wrong (zone text, state text, reader text, view text, label text, what text, difference numeric);
GRANT INSERT ON wrong TO PUBLIC;
CREATE TEMP TABLE looked (zone text, state text, reader text, view text);
CREATE FUNCTION pg_temp.look(zone text, state text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r record;
    v record;
    found record;
BEGIN
    FOR r IN SELECT k.* FROM (VALUES ('none', 'true'), ('regress_conserved_team', $c$team = 'a'$c$), ('regress_conserved_both', $c$team = 'b' OR customer = 'c2'$c$)) AS k (name, condition)
             -- One of the two in each zone.
             WHERE k.name <> CASE look.zone WHEN 'Europe/Berlin' THEN 'regress_conserved_team' ELSE 'regress_conserved_both' END LOOP
        FOR v IN
            SELECT c.relname, coalesce(a.expression, 'coalesce(sum(cost), 0)') AS expression, 'label' = ANY (k.columns) AS has_labels,
                   CASE WHEN 'prompt_cache_saving' = ANY (k.columns) THEN 'coalesce(sum(prompt_cache_saving), 0)' END AS saving
            FROM pg_class c
            CROSS JOIN LATERAL (SELECT array_agg(a.attname::text) AS columns FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) k
            LEFT JOIN adds_up a ON a.view = c.relname
            WHERE c.relnamespace = 'cost_ledger'::regnamespace AND c.relkind = 'v' AND (a.view IS NULL OR a.expression IS NOT NULL)
              AND EXISTS (SELECT FROM unnest(k.columns) AS n (name) WHERE n.name ~ '(^|_)cost$')
              AND (r.name = 'none' OR has_table_privilege(r.name, c.oid, 'SELECT'))
        LOOP
            PERFORM set_config('role', r.name, true);
            FOR found IN EXECUTE format(
                'WITH total AS (SELECT coalesce(sum(d.cost), 0) AS cost, coalesce(sum(d.prompt_cache_saving), 0) AS saving FROM cost_ledger.call_detail d),
                      said AS (SELECT %s AS label, %s AS cost, %s AS saving, count(*) - count(DISTINCT v.row_key) AS repeated FROM cost_ledger.%I v GROUP BY 1)
                 SELECT s.label, ''cost'' AS what, s.cost - t.cost AS difference FROM said s CROSS JOIN total t WHERE s.cost <> t.cost
                 UNION ALL SELECT s.label, ''saving'', s.saving - t.saving FROM said s CROSS JOIN total t WHERE s.saving <> t.saving
                 UNION ALL SELECT s.label, ''keys'', s.repeated FROM said s WHERE s.repeated > 0
                 UNION ALL SELECT NULL, ''no row'', t.cost FROM total t WHERE NOT EXISTS (SELECT FROM said)',
                CASE WHEN v.has_labels THEN 'v.label' ELSE '''''::text' END, v.expression, coalesce(v.saving, 'NULL::numeric'), v.relname) LOOP
                INSERT INTO pg_temp.wrong VALUES (look.zone, look.state, r.name, v.relname, found.label, found.what, found.difference);
            END LOOP;
            PERFORM set_config('role', 'none', true);
            INSERT INTO looked VALUES (look.zone, look.state, r.name, v.relname);
        END LOOP;
        -- One click deeper, all is still there.
        PERFORM set_config('role', r.name, true);
        INSERT INTO pg_temp.wrong
        SELECT look.zone, look.state, r.name, 'drill()', n.level, 'cost', d.cost - t.cost
        FROM unnest('{day,hour,user,run,call}'::text[]) AS n (level)
        CROSS JOIN LATERAL (SELECT coalesce(sum(d.cost), 0) AS cost FROM cost_ledger.drill(n.level) d) d
        CROSS JOIN (SELECT coalesce(sum(d.cost), 0) AS cost FROM cost_ledger.call_detail d) t
        WHERE d.cost <> t.cost;
        -- Also of a range that begins and ends with a call: each row of its calls.
        INSERT INTO pg_temp.wrong
        SELECT look.zone, look.state, r.name, 'drill() from call to call', n.level || ' ' || x.value, 'cost', sum(x.cost)
        FROM (SELECT percentile_disc(0.1) WITHIN GROUP (ORDER BY c.called_at) AS range_start, percentile_disc(0.7) WITHIN GROUP (ORDER BY c.called_at) + interval '1 microsecond' AS range_end FROM cost_ledger.call_detail c) w
        CROSS JOIN (VALUES ('day', 'YYYY-MM-DD'), ('hour', 'YYYY-MM-DD HH24:00'), ('user', NULL), ('run', NULL)) AS n (level, form)
        CROSS JOIN LATERAL (
            SELECT d.value, d.calls::numeric, coalesce(d.cost, 0) AS cost, d.input_tokens, CASE WHEN d.starts_at < w.range_start OR d.ends_at > w.range_end THEN 1 ELSE 0 END AS beyond
            FROM cost_ledger.drill(n.level, '{}', w.range_start, w.range_end) d
            UNION ALL
            SELECT CASE n.level WHEN 'user' THEN coalesce(c.user_id, '(unallocated)') WHEN 'run' THEN coalesce(c.run_id, '(unallocated)') ELSE to_char(c.called_at AT TIME ZONE look.zone, n.form) END,
                   -(c.corrects IS NULL)::integer, -coalesce(c.cost, 0), -coalesce(c.input_tokens, 0), 0
            FROM cost_ledger.call_detail c WHERE c.called_at >= w.range_start AND c.called_at < w.range_end) x
        GROUP BY n.level, x.value
        HAVING sum(x.calls) <> 0 OR sum(x.cost) <> 0 OR sum(x.input_tokens) <> 0 OR sum(x.beyond) > 0;
        PERFORM set_config('role', 'none', true);
        -- What the reader sees of single calls is what it was granted.
        PERFORM set_config('role', r.name, true);
        EXECUTE 'SELECT coalesce(sum(d.cost), 0) AS cost FROM cost_ledger.call_detail d' INTO found;
        PERFORM set_config('role', 'none', true);
        INSERT INTO wrong SELECT look.zone, look.state, r.name, 'call_detail', NULL, 'seen', d.difference
        FROM (SELECT found.cost - coalesce(sum(c.cost), 0) AS difference FROM cost_ledger.call c WHERE CASE r.name WHEN 'none' THEN true WHEN 'regress_conserved_team' THEN c.team = 'a' ELSE c.team = 'b' OR c.customer = 'c2' END) d
        WHERE d.difference <> 0;
    END LOOP;
END
$$;

-- Every measure of the cube and of the labels, against what each row of call adds.
CREATE FUNCTION pg_temp.measures(zone text, state text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    view text;
    names text[];
BEGIN
    FOREACH view IN ARRAY '{cost_by_hour,cost_by_day,cost_by_month,cost_by_label}'::text[] LOOP
        SELECT array_agg(a.attname ORDER BY a.attnum) INTO names
        FROM pg_attribute a
        WHERE a.attrelid = ('cost_ledger.' || view)::regclass AND a.attnum > 0 AND a.atttypid IN ('bigint'::regtype, 'numeric'::regtype)
          AND a.attname ~ '(calls|retries|turns|corrections|tokens|cost|saving|score)$' AND a.attname !~ '^(mean_|billed_|input_cost)';
        EXECUTE format(
            'INSERT INTO wrong
             SELECT $1, $2, ''none'', $3, v.label, m.name, m.said - m.total
             FROM (SELECT %s AS label, ARRAY[%s] AS said FROM cost_ledger.%I GROUP BY 1) v
             CROSS JOIN (SELECT ARRAY[%s] AS total FROM cost_ledger_internal.call_measure
                         WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.reversal r WHERE r.called_at = call_measure.called_at AND r.call_id = call_measure.call_id)) t
             CROSS JOIN LATERAL unnest($4, v.said, t.total) AS m (name, said, total)
             WHERE m.said <> m.total',
            CASE view WHEN 'cost_by_label' THEN 'label' ELSE '''''::text' END,
            (SELECT string_agg(format('coalesce(sum(%I), 0)', n), ', ' ORDER BY i) FROM unnest(names) WITH ORDINALITY AS u (n, i)), view,
            (SELECT string_agg(format('coalesce(sum(%s), 0)', CASE n WHEN 'cache_write_tokens' THEN 'cache_write_tokens + cache_write_1h_tokens' ELSE n END), ', ' ORDER BY i)
             FROM unnest(names) WITH ORDINALITY AS u (n, i)))
        USING zone, state, view, names;
    END LOOP;
    -- Parts are a whole; the summaries have the calls that have a price.
    INSERT INTO wrong
    SELECT measures.zone, measures.state, 'none', v.view, NULL, v.what, v.difference
    FROM (SELECT 'cost_by_day' AS view, 'parts' AS what, sum(cost - input_cost - cache_read_cost - cache_write_cost - output_cost - reasoning_cost - other_cost - adjustment_cost) AS difference FROM cost_ledger.cost_by_day
          UNION ALL
          SELECT 'cost_by_hour', 'summary', cost_ledger.num_values(cost_ledger.merge(call_cost_summary)) - sum(priced_calls) FROM cost_ledger.cost_by_hour
          UNION ALL
          SELECT 'cost_by_day', 'summary', cost_ledger.num_values(cost_ledger.merge(call_cost_summary)) - sum(priced_calls) FROM cost_ledger.cost_by_day
          UNION ALL
          SELECT 'cost_by_month', 'summary', cost_ledger.num_values(cost_ledger.merge(call_cost_summary)) - sum(priced_calls) FROM cost_ledger.cost_by_month) v
    WHERE v.difference IS DISTINCT FROM 0;
    -- No hour and no day is missing, and none is there twice.
    INSERT INTO wrong
    SELECT measures.zone, measures.state, 'none', v.view, v.label, 'gap', v.gaps
    FROM (SELECT 'cost_chart_by_day' AS view, label, count(*) AS gaps
          FROM (SELECT c.label, c.starts_at, lag(c.ends_at) OVER (PARTITION BY c.label, c.value, c.is_allocated ORDER BY c.day) AS before FROM cost_ledger.cost_chart_by_day c) d
          WHERE before <> starts_at GROUP BY label
          UNION ALL
          SELECT 'cost_chart_by_hour', NULL, count(*)
          FROM (SELECT c.starts_at, lag(c.ends_at) OVER (ORDER BY c.hour) AS before FROM cost_ledger.cost_chart_by_hour c) h
          WHERE before <> starts_at
          UNION ALL
          SELECT 'cost_chart_by_day', 'from and to', count(*)
          FROM (SELECT min(c.day) = min(c.day) FILTER (WHERE c.calls > 0) AND bool_or(now() >= c.starts_at AND now() < c.ends_at) AS is_right
                FROM cost_ledger.cost_chart_by_day c GROUP BY c.label, c.value, c.is_allocated) e WHERE NOT is_right) v
    WHERE v.gaps > 0;
END
$$;

CREATE ROLE regress_conserved_team;
CREATE ROLE regress_conserved_both;
CREATE FUNCTION pg_temp.begin_in(zone text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cost_ledger.create_ledger(zone);
    -- However long ago the times are.
    UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
    PERFORM cost_ledger.grant_team_reader('regress_conserved_team', 'a'), cost_ledger.grant_team_reader('regress_conserved_both', 'b'), cost_ledger.grant_customer_reader('regress_conserved_both', 'c2');
END
$$;

SELECT pg_temp.begin_in('Europe/Berlin');
CALL cost_ledger.refresh();
SELECT pg_temp.fill(1);
SELECT pg_temp.look('Europe/Berlin', 'nothing is consumed'), pg_temp.measures('Europe/Berlin', 'nothing is consumed');
CALL cost_ledger.refresh();
SELECT pg_temp.fill(2);
SELECT pg_temp.look('Europe/Berlin', 'half is consumed'), pg_temp.measures('Europe/Berlin', 'half is consumed');
CALL cost_ledger.refresh();
SELECT pg_temp.look('Europe/Berlin', 'all is consumed'), pg_temp.measures('Europe/Berlin', 'all is consumed');
SELECT pg_temp.fill(3);
SELECT pg_temp.look('Europe/Berlin', 'late rows and corrections'), pg_temp.measures('Europe/Berlin', 'late rows and corrections');
SELECT cost_ledger.drop_ledger(i_mean_it => true);

-- A clock that is set by half an hour.
SELECT pg_temp.begin_in('Australia/Lord_Howe');
CALL cost_ledger.refresh();
SELECT pg_temp.fill(1);
SELECT pg_temp.look('Australia/Lord_Howe', 'nothing is consumed'), pg_temp.measures('Australia/Lord_Howe', 'nothing is consumed');
CALL cost_ledger.refresh();
SELECT pg_temp.fill(2);
SELECT pg_temp.look('Australia/Lord_Howe', 'half is consumed'), pg_temp.measures('Australia/Lord_Howe', 'half is consumed');
CALL cost_ledger.refresh();
SELECT pg_temp.look('Australia/Lord_Howe', 'all is consumed'), pg_temp.measures('Australia/Lord_Howe', 'all is consumed');
SELECT pg_temp.fill(3);
SELECT pg_temp.look('Australia/Lord_Howe', 'late rows and corrections'), pg_temp.measures('Australia/Lord_Howe', 'late rows and corrections');
CALL cost_ledger.refresh();
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT hour, starts_at, ends_at, ends_at - starts_at AS lasts FROM cost_ledger.cost_chart_by_hour WHERE ends_at - starts_at <> '1 hour' ORDER BY hour;

SELECT zone, count(DISTINCT state) AS states, count(DISTINCT reader) AS readers, count(DISTINCT view) >= 15 AS many FROM looked GROUP BY zone ORDER BY zone;
SELECT * FROM wrong ORDER BY zone, state, reader, view, label, what LIMIT 50;
-- A new view that loses calls, or says one twice, is found.
CREATE VIEW cost_ledger.loses AS SELECT c.cost, c.call_id::text AS row_key FROM cost_ledger.call c WHERE c.team <> '';
CREATE VIEW cost_ledger.says_twice AS SELECT c.cost, n.label, 'x' AS row_key FROM cost_ledger.call c CROSS JOIN (VALUES ('total'), ('team'), ('team')) AS n (label);
SELECT pg_temp.look('Australia/Lord_Howe', 'with new views') \g /dev/null
SELECT view, label, what, abs(difference) > 0 AS differs FROM wrong WHERE state = 'with new views' ORDER BY 1, 2, 3;
-- Exceptions of what is there no longer.
SELECT a.view AS not_there FROM adds_up a WHERE to_regclass('cost_ledger.' || a.view) IS NULL ORDER BY 1;
-- A value is one row of its label, so that a chart has one bar for it; of models, one by provider and service class.
SELECT label, value, count(*) FROM cost_ledger.cost_by_label GROUP BY month, label, value, is_allocated, provider, service_class HAVING count(*) > 1;
-- Every label has been looked at, and they differ.
SELECT label, count(DISTINCT value) AS values FROM cost_ledger.cost_by_label GROUP BY label ORDER BY label;

SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP OWNED BY regress_conserved_team, regress_conserved_both;
DROP ROLE regress_conserved_team, regress_conserved_both;
