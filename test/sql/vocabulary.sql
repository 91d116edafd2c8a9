-- One word per thing, in all that people see: docs/design.md has the words.
-- Every query lists what breaks a rule, so each must be empty.
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger('America/Havana');
SET TIME ZONE 'UTC';

CREATE TEMP TABLE public_column AS
    SELECT c.oid, c.relname::text AS object,
           -- Who may not read call reads call_detail: it is the table.
           CASE WHEN c.relkind = 'v' AND c.relname <> 'call_detail' THEN 'view' ELSE 'table' END AS kind, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'cost_ledger'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
    UNION ALL
    SELECT p.oid, p.proname, CASE WHEN coalesce(u.mode, 'i') IN ('o', 't') THEN 'result' ELSE 'argument' END, u.name, format_type(u.type, NULL)
    FROM pg_proc p
    CROSS JOIN LATERAL unnest(p.proargnames, p.proargmodes, coalesce(p.proallargtypes, p.proargtypes::oid[])) AS u (name, mode, type)
    WHERE p.pronamespace = 'cost_ledger'::regnamespace AND u.name <> '';
SELECT kind, count(*) > 20 AS many FROM public_column GROUP BY kind ORDER BY kind;

-- What is said otherwise, and how.  A range of time is an argument; the bounds of
-- a row are starts_at and ends_at.
SELECT c.object, c.kind, c.name, w.instead
FROM public_column c
JOIN (VALUES ('argument|result|table|view', '(time)?zone|.*timezone', 'time_zone'),
             ('argument|result|table|view', 'limit', 'limit_amount'),
             ('argument|result|table|view', 'dimension|dimension_value', 'label, value'),
             ('argument|result|table|view', 'share_of_.*|.*_share_of_.*|percent.*', 'share, …_share, …_ratio'),
             ('result|table|view', 'total_cost|price_total|spend|costs', 'cost, spent'),
             ('result|table|view', 'num_calls|call_count|n_calls|requests', 'calls'),
             ('result|table|view', 'is_typed|is_specified|is_unallocated|has_(team|feature|customer)', 'is_allocated'),
             ('result|table|view', '(period|range|month|week|day)_(start|end|from|to)|(start|end)_(at|time|date)|start|end', 'starts_at, ends_at; month, week, day'),
             ('argument', '(period|from|to|start|end|since|until)_?(at|time|date)', 'range_start, range_end'),
             ('result|table|view', '.*(cost|price|pricing)_(before|after)|previous_(price|pricing)', 'old_…, new_…'),
             ('argument|result|table|view', 'amount_limit|budget_amount|max_amount', 'limit_amount'))
     AS w (kinds, word, instead) ON c.kind ~ ('^(' || w.kinds || ')$') AND c.name ~ ('^(' || w.word || ')$')
-- The day on which weeks begin is a setting of a budget, no bound.
WHERE (c.object, c.name) <> ('budget', 'week_start')
ORDER BY 1, 2, 3;
SELECT object, name FROM public_column WHERE quote_ident(name) <> name ORDER BY 1, 2;

-- What a name promises of the type.  Money has all the digits it has.
SELECT c.object, c.name, c.type, w.type AS promised
FROM public_column c
JOIN (VALUES ('(.*_)?(calls|turns|retries|fallbacks|runs|users|corrections)|(.*_)?rows', 'bigint'),
             ('(.*_)?(cost|saving|amount|spent|held|remaining|revenue|margin|forecast|difference)', 'numeric'),
             ('(.*_)?(share|ratio)|change', 'numeric'),
             ('(.*_)?at', 'timestamp with time zone'),
             ('(is|has|needs)_.*', 'boolean'),
             ('month|week|day', 'date'),
             ('currency|row_key|label|time_zone|entity', 'text'))
     AS w (word, type) ON c.name ~ ('^(' || w.word || ')$') AND c.type <> w.type
WHERE c.kind IN ('view', 'result')
  -- An estimate counts on a number of users that need not be whole, as a quantile is; has_rows is no number.
  AND c.name NOT IN ('estimated_users', 'has_rows') AND c.name !~ '^p[0-9]+_'
  -- Those of call are as clients send them.
  AND c.object <> 'call_detail'
ORDER BY 1, 2;
SELECT c.object, c.name, c.type FROM public_column c
WHERE c.kind = 'view' AND c.name ~ '_tokens$' AND c.type <> 'numeric'
  AND EXISTS (SELECT FROM public_column o WHERE o.oid = c.oid AND o.name = 'calls')
ORDER BY 1, 2;
SELECT object, name FROM public_column WHERE kind IN ('view', 'result') AND type = 'boolean' AND name !~ '^(is|has|needs)_' AND object <> 'call_detail' ORDER BY 1, 2;

-- What stands together.  price_list is a list that people load.
CREATE TEMP TABLE report AS
    SELECT c.oid, c.object, array_agg(c.name) AS columns, pg_get_viewdef(c.oid) AS definition
    FROM public_column c
    WHERE c.kind = 'view' AND c.object <> 'price_list'
    GROUP BY c.oid, c.object;
-- Plain types, which every tool reads, and a summary that goes out as JSON.
SELECT c.object, c.name, c.type AS not_for_every_tool FROM public_column c JOIN report r ON r.oid = c.oid
WHERE c.type <> ALL ('{text,integer,bigint,numeric,double precision,timestamp with time zone,date,boolean}')
  AND NOT (c.type = 'cost_ledger.summary' AND c.name ~ '_summary$') ORDER BY 1, 2;
SELECT jsonb_typeof(to_jsonb(cost_ledger.summarize(n::numeric))) AS summary_as FROM generate_series(1, 3) AS n;
SELECT c.object, c.name AS without_comment FROM public_column c JOIN report r ON r.oid = c.oid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = c.name WHERE coalesce(col_description(c.oid, a.attnum), '') = '' ORDER BY 1, 2;
SELECT object AS without_row_key FROM report WHERE NOT 'row_key' = ANY (columns) ORDER BY 1;
SELECT object AS period_without_bounds FROM report
WHERE columns && '{month,week,day,hour}' AND NOT columns @> '{starts_at,ends_at,is_complete}' ORDER BY 1;
SELECT object AS half_a_period FROM report WHERE 'starts_at' = ANY (columns) <> ('ends_at' = ANY (columns)) ORDER BY 1;
SELECT object AS money_without_currency FROM report
WHERE EXISTS (SELECT FROM unnest(columns) AS u (name) WHERE u.name ~ '(^|_)(cost|amount|spent|revenue|margin|change|difference|saving)$' OR u.name ~ '^mean_cost') AND NOT 'currency' = ANY (columns) ORDER BY 1;
SELECT object AS label_without_is_allocated FROM report WHERE definition ~ '\(unallocated\)' AND NOT 'is_allocated' = ANY (columns) ORDER BY 1;
SELECT object AS model_without_tier FROM report WHERE 'model' = ANY (columns) AND NOT 'model_tier' = ANY (columns) ORDER BY 1;
SELECT object AS value_without_label FROM report WHERE 'label' = ANY (columns) <> ('value' = ANY (columns)) AND NOT 'rule' = ANY (columns) ORDER BY 1;
SELECT r.object, m[1] AS rounded FROM report r CROSS JOIN regexp_matches(r.definition, 'round\([^\n]*\) AS (\w+)', 'g') AS m
WHERE m[1] !~ '(share|ratio|days_left)$'
  -- Parts of a cost end somewhere; together they are the cost.
  AND (r.object, m[1]) <> ('cost_by_input_part', 'cost') ORDER BY 1, 2;
-- Who calls them has to say nothing else for the same words.
SELECT object AS other_placeholder FROM report WHERE definition ~ '\((untyped|unspecified|unknown|none|other)\)' ORDER BY 1;

--
-- Keys name one row each, whatever the session, also where a label looks like the
-- placeholder; and periods are what the rows are made of.
--
SELECT cost_ledger.create_partitions('2025-10-01', '2026-03-01') \g /dev/null
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1}', '2025-01-01') > 0 AS priced,
       cost_ledger.set_budget('each', '{}', 'month', 10, each_of => 'team') > 0 AS has_budget;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, task_type, operation, user_id, run_id, session_id, request_id, reported_cost)
    SELECT at + n * interval '30 minutes', 'p', model, 1000000, team, team, team, operation, 'u' || n, 'r' || n || model || team, 's' || n, 'q' || n || model || team, 1
    FROM (VALUES (timestamptz '2025-11-02 03:30Z'), ('2026-01-31 23:30Z'), (now() - interval '8 days'), (now() - interval '1 day'), (now() - interval '121 minutes')) AS t (at)
    CROSS JOIN generate_series(1, 4) AS n
    CROSS JOIN (VALUES ('m'), ('none')) AS m (model)
    CROSS JOIN (VALUES (NULL), ('(unallocated)'), ('a","b'), ('a')) AS l (team)
    CROSS JOIN (VALUES (NULL), ('primary')) AS o (operation);
-- One waits for a partition.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2024-05-01Z', 'p', 'm', 1);
INSERT INTO cost_ledger.revenue (earned_on, feature, amount) VALUES ('2026-01-05', NULL, 1), ('2026-01-05', '(unallocated)', 2), ('2026-04-05', 'later', 2);
INSERT INTO cost_ledger.annotation (kind, title, scope) VALUES ('deploy', 'x', '{"team": "a"}');
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, amount) VALUES ('1', 'p', '2026-01-31', '2026-02-01', 'm', 'input_tokens', 3);
CALL cost_ledger.refresh();
CREATE ROLE regress_vocabulary;
SELECT cost_ledger.grant_team_reader('regress_vocabulary', 'a'), cost_ledger.grant_team_reader('regress_vocabulary', 'b') \g /dev/null
SELECT cost_ledger.check_budgets() > 0 AS has_alerts;
SELECT decision FROM cost_ledger.reserve('k', '{"team": "new"}', 1);
SELECT decision FROM cost_ledger.reserve('l', '{"team": "new"}', 1e29);
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 2}', '2025-01-01', replace => true) > 0 AS priced;
SELECT count(*) > 0 AS rerated FROM cost_ledger.rerate('2025-01-01', '2026-02-01', dry_run => false, reason => 'x');
-- a step that reports tell nothing of
SELECT count(*) > 0 AS moved FROM cost_ledger.reattribute('{"team": "a"}'::jsonb, '{"step": "s"}', 'x', dry_run => false);
CALL cost_ledger.refresh();
CREATE FUNCTION pg_temp.keys(report text) RETURNS TABLE (rows bigint, keys bigint, digest text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT count(*), count(DISTINCT row_key), md5(string_agg(row_key, %L ORDER BY row_key COLLATE "C")) FROM cost_ledger.%I', '|', report);
END
$$;
CREATE TEMP TABLE key_check AS SELECT r.object, k.* FROM report r CROSS JOIN LATERAL pg_temp.keys(r.object) k;
SELECT object, rows, keys FROM key_check WHERE rows <> keys ORDER BY 1;
-- An empty view has shown nothing.  What goes wrong has tests of its own.
SELECT object AS empty FROM key_check WHERE rows = 0 AND object NOT IN ('retention_check', 'ledger_problem', 'quarantined_call') ORDER BY 1;
SET TIME ZONE 'Asia/Tokyo';
SET DateStyle = 'German';
SELECT k.object AS other_key_elsewhere FROM key_check k CROSS JOIN LATERAL pg_temp.keys(k.object) n WHERE n.digest <> k.digest ORDER BY 1;
RESET DateStyle;
SET TIME ZONE 'UTC';
-- Havana's 2 November had two midnights: it began at the first, at 04:00.
SELECT day, starts_at, ends_at, is_complete FROM cost_ledger.cost_per_run_by_day WHERE day BETWEEN '2025-11-01' AND '2025-11-03' ORDER BY day;
SELECT DISTINCT month, starts_at, ends_at, is_complete FROM cost_ledger.chargeback_by_month WHERE month >= '2025-01-01' AND month <= '2026-01-01' ORDER BY month;
SELECT bool_and(NOT is_complete) AS runs_still FROM cost_ledger.chargeback_by_month WHERE ends_at > now();
SELECT bool_and(is_complete = (ends_at <= now())) AND count(*) > 0 AS marked, bool_and(ends_at - starts_at BETWEEN interval '167 hours' AND interval '169 hours') AS weeks FROM cost_ledger.week_over_week;
SELECT count(*) FROM cost_ledger.call c
WHERE NOT EXISTS (SELECT FROM cost_ledger.cost_by_model m
                  WHERE m.model = c.model AND m.currency = 'USD' AND c.called_at >= m.starts_at AND c.called_at < m.ends_at
                    AND m.month = date_trunc('month', c.called_at AT TIME ZONE 'America/Havana'));
-- Dropped months have rows of their own.
SELECT cost_ledger.set_retention(retain_calls => '1 month');
CALL cost_ledger.refresh();
SELECT count(*) > 2 AS some FROM cost_ledger.apply_retention() WHERE outcome = 'dropped';
SELECT rows, keys, digest AS in_utc FROM pg_temp.keys('retention_check') \gset
SET TIME ZONE 'Asia/Tokyo';
SELECT k.rows, k.keys, k.digest = :'in_utc' AS same_key_elsewhere FROM pg_temp.keys('retention_check') k;
SELECT cost_ledger.revoke_team_reader('regress_vocabulary') \g /dev/null
SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP ROLE regress_vocabulary;
