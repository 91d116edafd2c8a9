-- Who may do what.  The rights of every kind of role on every object, by hand: an
-- object without a row here, or a right that is not in its row, is a surprise.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT cost_ledger.create_ledger();

CREATE ROLE regress_nobody;
CREATE ROLE regress_writer;
CREATE ROLE regress_tenant;
CREATE ROLE regress_gateway;
CREATE ROLE regress_reader;
CREATE ROLE regress_team;
CREATE ROLE regress_customer;
CREATE ROLE regress_operator;
CREATE ROLE regress_admin;
SELECT cost_ledger.grant_writer('regress_writer'),
       cost_ledger.grant_writer('regress_tenant', key_space => 'tenant', with_returning => false),
       cost_ledger.grant_gateway('regress_gateway'),
       cost_ledger.grant_reader('regress_reader'),
       cost_ledger.grant_team_reader('regress_team', 'search'),
       cost_ledger.grant_customer_reader('regress_customer', 'acme'),
       cost_ledger.grant_operator('regress_operator'),
       cost_ledger.grant_admin('regress_admin') \g /dev/null

-- Letters as in an access privilege: r SELECT, a INSERT, w UPDATE, d DELETE, D
-- TRUNCATE, x REFERENCES, t TRIGGER, U USAGE, C CREATE, X EXECUTE, s any on a
-- sequence; c is SELECT of call_id, called_at, cost and pricing only, - nothing.
CREATE TEMP TABLE expected AS
SELECT object, regexp_split_to_array(rights, ' +') AS rights
FROM (VALUES
    --                           nobody  writer  tenant  gateway reader  team  customer operator admin
    ('cost_ledger',              '-       U       U       U       U       U       U       U       U'),
    ('cost_ledger_internal',     '-       -       -       -       -       -       -       -       -'),
    -- calls
    ('call',                     '-       ac      a       ac      r       -       -       -       r'),
    ('call_detail',              '-       -       -       -       r       r       r       -       r'),
    ('unpriced_call',            '-       -       -       -       r       r       r       -       r'),
    ('correct_call()',           '-       -       -       -       -       -       -       -       X'),
    ('reattribute()',            '-       -       -       -       -       -       -       -       X'),
    ('void_call()',              '-       -       -       -       -       -       -       -       X'),
    ('explain_call()',           '-       -       -       -       X       X       X       -       X'),
    ('restatement',              '-       -       -       -       r       -       -       -       r'),
    ('restatement_batch',        '-       -       -       -       r       -       -       -       r'),
    ('find_calls()',             '-       -       -       -       X       X       X       -       X'),
    ('index_calls()',            '-       -       -       -       -       -       -       -       -'),
    ('create_partitions()',      '-       -       -       -       -       -       -       -       -'),
    ('partition_status',         '-       -       -       -       r       -       -       -       r'),
    ('waiting_call_by_month',    '-       -       -       -       r       -       -       -       r'),
    ('partition_digest()',       '-       -       -       -       -       -       -       -       -'),
    ('retention',                '-       -       -       -       r       -       -       -       r'),
    ('retention_log',            '-       -       -       -       r       -       -       -       r'),
    ('retention_check',          '-       -       -       -       r       -       -       -       r'),
    ('set_retention()',          '-       -       -       -       -       -       -       -       -'),
    ('apply_retention()',        '-       -       -       -       -       -       -       -       -'),
    ('rerate()',                 '-       -       -       -       -       -       -       -       X'),
    ('rerate_batch',             '-       -       -       -       r       -       -       -       r'),
    ('rerate_batch_summary',     '-       -       -       -       r       r       r       -       r'),
    ('billed_meters()',          '-       -       -       -       X       -       -       -       X'),
    ('what_if()',                '-       -       -       -       X       -       -       -       X'),
    -- prices
    ('price_list',               '-       -       -       -       r       r       r       -       ra'),
    ('price_multiplier',         '-       -       -       -       r       -       -       -       rawd'),
    ('exchange_rate',            '-       -       -       -       r       -       -       -       rawd'),
    ('model_alias',              '-       -       -       -       r       -       -       -       rawd'),
    ('held_price',               '-       -       -       -       r       -       -       -       r'),
    ('cost_at()',                '-       -       -       -       X       X       X       -       X'),
    ('explain_cost()',           '-       -       -       -       X       X       X       -       X'),
    ('resolve_model()',          '-       -       -       -       X       X       X       -       X'),
    ('export_prices()',          '-       -       -       -       X       -       -       -       X'),
    ('recorded_call()',          '-       X       X       X       X       X       X       -       X'),
    ('set_price()',              '-       -       -       -       -       -       -       -       X'),
    ('set_multiplier()',         '-       -       -       -       -       -       -       -       X'),
    ('load_seed_prices()',       '-       -       -       -       -       -       -       -       X'),
    ('import_prices()',          '-       -       -       -       -       -       -       -       X'),
    ('accept_held_price()',      '-       -       -       -       -       -       -       -       X'),
    ('reject_held_price()',      '-       -       -       -       -       -       -       -       X'),
    -- budgets and alerts
    ('budget',                   '-       -       -       -       r       r       r       -       rwd'),
    ('budget_version',           '-       -       -       -       r       r       r       -       r'),
    ('budget_status',            '-       -       -       -       r       r       r       -       r'),
    ('budget_velocity()',        '-       -       -       -       X       X       X       -       X'),
    ('spend_rate()',             '-       -       -       -       X       X       X       -       X'),
    ('project_spend()',          '-       -       -       -       X       X       X       -       X'),
    ('set_budget()',             '-       -       -       -       -       -       -       -       X'),
    ('raise_budget()',           '-       -       -       -       -       -       -       -       X'),
    ('suggest_budgets()',        '-       -       -       -       -       -       -       -       X'),
    ('check_budgets()',          '-       -       -       -       -       -       -       -       -'),
    ('check_balances()',         '-       -       -       -       -       -       -       -       -'),
    ('reserve()',                '-       -       -       X       -       -       -       -       -'),
    ('reserve_json()',           '-       -       -       X       -       -       -       -       -'),
    ('release()',                '-       -       -       X       -       -       -       -       X'),
    ('hold',                     '-       -       -       -       r       r       r       -       r'),
    ('open_hold',                '-       -       -       -       r       r       r       -       r'),
    ('budget_refusal',           '-       -       -       -       r       r       r       -       r'),
    ('pause',                    '-       -       -       -       r       r       r       -       r'),
    ('pause()',                  '-       -       -       -       -       -       -       X       X'),
    ('resume()',                 '-       -       -       -       -       -       -       X       X'),
    ('alert',                    '-       -       -       -       r       r       r       -       r'),
    ('unacknowledged_alert',     '-       -       -       -       r       r       r       -       r'),
    ('acknowledge()',            '-       -       -       -       -       -       -       X       X'),
    ('alert_rule',               '-       -       -       -       r       -       -       -       rawd'),
    ('report_threshold',         '-       -       -       -       r       r       r       -       r'),
    ('check_rules()',            '-       -       -       -       -       -       -       -       -'),
    ('notify_alerts()',          '-       -       -       -       -       -       -       -       -'),
    -- reports
    ('cache_hit_by_feature',     '-       -       -       -       r       r       r       -       r'),
    ('cache_saving_by_month',    '-       -       -       -       r       r       r       -       r'),
    ('chargeback_by_month',      '-       -       -       -       r       r       r       -       r'),
    ('cost_breakdown_by_month',  '-       -       -       -       r       r       r       -       r'),
    ('cost_by_customer',         '-       -       -       -       r       r       r       -       r'),
    ('cost_by_day',              '-       -       -       -       r       r       r       -       r'),
    ('cost_by_hour',             '-       -       -       -       r       r       r       -       r'),
    ('cost_by_input_part',       '-       -       -       -       r       r       r       -       r'),
    ('cost_by_label',            '-       -       -       -       r       r       r       -       r'),
    ('cost_by_model',            '-       -       -       -       r       r       r       -       r'),
    ('cost_by_month',            '-       -       -       -       r       r       r       -       r'),
    ('cost_by_operation',        '-       -       -       -       r       r       r       -       r'),
    ('cost_by_task_type',        '-       -       -       -       r       r       r       -       r'),
    ('cost_chart_by_day',        '-       -       -       -       r       r       r       -       r'),
    ('cost_chart_by_hour',       '-       -       -       -       r       r       r       -       r'),
    ('cost_per_run_by_day',      '-       -       -       -       r       r       r       -       r'),
    ('cost_per_user_by_month',   '-       -       -       -       r       r       r       -       r'),
    ('efficiency_by_month',      '-       -       -       -       r       r       r       -       r'),
    ('request_chain',            '-       -       -       -       r       r       r       -       r'),
    ('task_efficiency_by_month', '-       -       -       -       r       r       r       -       r'),
    ('tier_mix_by_month',        '-       -       -       -       r       r       r       -       r'),
    ('margin_by_customer',       '-       -       -       -       r       r       r       -       r'),
    ('margin_by_feature',        '-       -       -       -       r       r       r       -       r'),
    ('model_tier',               '-       -       -       -       r       -       -       -       r'),
    ('set_model_tier()',         '-       -       -       -       -       -       -       -       X'),
    ('most_expensive_run',       '-       -       -       -       r       r       r       -       r'),
    ('reported_cost_difference', '-       -       -       -       r       r       r       -       r'),
    ('run',                      '-       -       -       -       r       r       r       -       r'),
    ('run_tree',                 '-       -       -       -       r       r       r       -       r'),
    ('run_tree_level',           '-       -       -       -       r       r       r       -       r'),
    ('week_over_week',           '-       -       -       -       r       r       r       -       r'),
    ('session',                  '-       -       -       -       r       r       r       -       r'),
    ('cost_per_session_by_day',  '-       -       -       -       r       r       r       -       r'),
    ('cost_by_user',             '-       -       -       -       r       r       r       -       r'),
    ('cost_by_user_feature',     '-       -       -       -       r       r       r       -       r'),
    ('cost_per_user_by_plan',    '-       -       -       -       r       r       r       -       r'),
    ('plan_price',               '-       -       -       -       r       -       -       -       r'),
    ('spend_now',                '-       -       -       -       r       r       r       -       r'),
    ('daily_summary',            '-       -       -       -       r       r       r       -       r'),
    ('revenue',                  '-       -       -       -       r       -       -       -       rawd'),
    ('invoice_line',             '-       -       -       -       r       -       -       -       rawd'),
    ('invoice_reconciliation',   '-       -       -       -       r       -       -       -       r'),
    ('estimate',                 '-       -       -       -       r       -       -       -       rd'),
    ('estimate_result',          '-       -       -       -       r       -       -       -       r'),
    ('estimate_vs_actual',       '-       -       -       -       r       -       -       -       r'),
    ('estimate_feature_cost()',  '-       -       -       -       -       -       -       -       X'),
    ('set_plan_price()',         '-       -       -       -       -       -       -       -       X'),
    ('drill()',                  '-       -       -       -       X       X       X       -       X'),
    ('batch_saving()',           '-       -       -       -       X       X       X       -       X'),
    ('cost_histogram()',         '-       -       -       -       X       X       X       -       X'),
    ('self_hosting_crossover()', '-       -       -       -       X       X       X       -       X'),
    ('tier_down()',              '-       -       -       -       X       X       X       -       X'),
    ('explain_spend()',          '-       -       -       -       X       X       X       -       X'),
    ('compare_spend()',          '-       -       -       -       X       X       X       -       X'),
    ('before_after()',           '-       -       -       -       X       X       X       -       X'),
    ('annotation',               '-       n       n       n       r       r       r       -       rawd'),
    ('annotation_list',          '-       -       -       -       r       r       r       -       r'),
    ('dashboard()',              '-       -       -       -       X       X       X       -       X'),
    ('feature_cost_sample()',    '-       -       -       -       X       -       -       -       X'),
    -- the ledger, its rollups and jobs
    ('ledger',                   '-       -       -       -       r       -       -       -       r'),
    ('create_ledger()',          '-       -       -       -       -       -       -       -       -'),
    ('drop_ledger()',            '-       -       -       -       -       -       -       -       -'),
    ('post_restore()',           '-       -       -       -       -       -       -       -       -'),
    ('ledger_problem',           '-       -       -       -       r       -       -       -       r'),
    ('help()',                   'X       X       X       X       X       X       X       X       X'),
    ('version()',                'X       X       X       X       X       X       X       X       X'),
    ('rollup_status',            '-       -       -       -       r       -       -       -       r'),
    ('quarantined_call',         '-       -       -       -       r       -       -       -       r'),
    ('release_quarantine()',     '-       -       -       -       -       -       -       -       -'),
    ('refresh()',                '-       -       -       -       -       -       -       -       -'),
    ('check_rollups()',          '-       -       -       -       -       -       -       -       -'),
    ('rebuild_rollups()',        '-       -       -       -       -       -       -       -       -'),
    ('job_status',               '-       -       -       -       r       -       -       -       r'),
    ('run_jobs()',               '-       -       -       -       -       -       -       -       -'),
    ('set_job_time_limit()',     '-       -       -       -       -       -       -       -       -'),
    ('schedule_jobs()',          '-       -       -       -       -       -       -       -       -'),
    ('unschedule_jobs()',        '-       -       -       -       -       -       -       -       -'),
    -- grants
    ('grants',                   '-       -       -       -       r       -       -       -       r'),
    ('grant_writer()',           '-       -       -       -       -       -       -       -       X'),
    ('grant_gateway()',          '-       -       -       -       -       -       -       -       X'),
    ('grant_reader()',           '-       -       -       -       -       -       -       -       X'),
    ('grant_team_reader()',      '-       -       -       -       -       -       -       -       X'),
    ('grant_customer_reader()',  '-       -       -       -       -       -       -       -       X'),
    ('grant_operator()',         '-       -       -       -       -       -       -       -       X'),
    ('grant_admin()',            '-       -       -       -       -       -       -       -       -'),
    ('revoke_writer()',          '-       -       -       -       -       -       -       -       X'),
    ('revoke_gateway()',         '-       -       -       -       -       -       -       -       X'),
    ('revoke_reader()',          '-       -       -       -       -       -       -       -       X'),
    ('revoke_team_reader()',     '-       -       -       -       -       -       -       -       X'),
    ('revoke_customer_reader()', '-       -       -       -       -       -       -       -       X'),
    ('revoke_operator()',        '-       -       -       -       -       -       -       -       X'),
    ('revoke_admin()',           '-       -       -       -       -       -       -       -       -'),
    -- usage and the type summary: for everybody who may use the schema at all
    ('normalize_usage()',        'X       X       X       X       X       X       X       X       X'),
    ('usage_status()',           'X       X       X       X       X       X       X       X       X'),
    ('summarize()',              'X       X       X       X       X       X       X       X       X'),
    ('merge()',                  'X       X       X       X       X       X       X       X       X'),
    ('p50()',                    'X       X       X       X       X       X       X       X       X'),
    ('p95()',                    'X       X       X       X       X       X       X       X       X'),
    ('p99()',                    'X       X       X       X       X       X       X       X       X'),
    ('quantile()',               'X       X       X       X       X       X       X       X       X'),
    ('quantiles()',              'X       X       X       X       X       X       X       X       X'),
    ('mean()',                   'X       X       X       X       X       X       X       X       X'),
    ('total()',                  'X       X       X       X       X       X       X       X       X'),
    ('num_values()',             'X       X       X       X       X       X       X       X       X'),
    ('minimum()',                'X       X       X       X       X       X       X       X       X'),
    ('maximum()',                'X       X       X       X       X       X       X       X       X'),
    ('rank()',                   'X       X       X       X       X       X       X       X       X'),
    ('coarsen()',                'X       X       X       X       X       X       X       X       X'),
    ('summary_info()',           'X       X       X       X       X       X       X       X       X'),
    ('histogram()',              'X       X       X       X       X       X       X       X       X'),
    -- sequences: numbers are the ledger's
    ('annotation_annotation_id_seq', '-       -       -       -       -       -       -       -       -'),
    ('alert_alert_id_seq',       '-       -       -       -       -       -       -       -       -'),
    ('alert_rule_rule_id_seq',   '-       -       -       -       -       -       -       -       -'),
    ('budget_budget_id_seq',     '-       -       -       -       -       -       -       -       -'),
    ('call_call_id_seq',         '-       -       -       -       -       -       -       -       -'),
    ('estimate_estimate_id_seq', '-       -       -       -       -       -       -       -       -'),
    ('held_price_held_id_seq',   '-       -       -       -       -       -       -       -       -'),
    ('invoice_line_line_id_seq', '-       -       -       -       -       -       -       -       -'),
    ('model_tier_model_tier_id_seq', '-       -       -       -       -       -       -       -       -'),
    ('pause_pause_id_seq',       '-       -       -       -       -       -       -       -       -'),
    ('rerate_batch_batch_id_seq','-       -       -       -       -       -       -       -       -'),
    ('restatement_batch_batch_id_seq','-       -       -       -       -       -       -       -       -'),
    ('retention_log_log_id_seq', '-       -       -       -       -       -       -       -       -'),
    ('revenue_revenue_id_seq',   '-       -       -       -       -       -       -       -       -')
    ) AS v (object, rights);

-- Of cost_ledger_internal nobody has anything, partitions of call included, but
-- EXECUTE where a view, a column, a cast or the type itself calls the function; by
-- name nobody can.
CREATE TEMP TABLE called_by_others (name text);
INSERT INTO called_by_others VALUES
    ('caller'), ('shorten_id'), ('shorten_label'), ('first_call'), ('merge_labels'),
    ('is_foreign'), ('is_consumed'), ('consumed_to'), ('unconsumed_xids'), ('unconsumed_base'), ('live_call_from'), ('key_space'), ('recorded_call'), ('is_failure'), ('is_turn'), ('unpriced_calls'),
    ('run_depth'), ('root_of_run'), ('is_own_scope'), ('entity_scope'), ('each_columns'), ('moved_runs'), ('changed_tree_runs'), ('place_in_tree'), ('first_labels'), ('unconsumed_calls'), ('seen_rollup'), ('partly_consumed'), ('week_of'), ('partitions'), ('sees_all'), ('seen_teams'), ('seen_customers'), ('unpriced_reason'),
    ('day_start'), ('budget_period'), ('find_calls'), ('drill'), ('fit'), ('short_number'), ('counted'), ('signed_percent'), ('dashboard_facts'), ('dashboard_numbers'), ('dashboard_lists'), ('explain_spend'), ('compare_spend'), ('before_after'), ('call_component'), ('run_outcome'), ('cache_read_discount'), ('batch_saving'), ('tier_down'), ('self_hosting_crossover'), ('cost_histogram'), ('unposted_spend'), ('new_refusals'), ('project_spend'), ('days_left'), ('daily_spend'), ('spend_rate'), ('budget_velocity'), ('project_labels'), ('explain_call'),
    ('summary_in'), ('summary_out'), ('summary_send'), ('summary_eq'), ('summary_ne'),
    ('summary_hash'), ('summary_hash_extended'), ('summary_to_bytea'), ('summary_from_bytea'), ('summary_to_json'), ('summary_to_jsonb'),
    ('model_tiers'), ('labels_fingerprint'), ('hour_start'), ('hour_end');

CREATE TEMP TABLE kind AS
SELECT role, n
FROM unnest('{regress_nobody,regress_writer,regress_tenant,regress_gateway,regress_reader,regress_team,regress_customer,regress_operator,regress_admin}'::text[])
     WITH ORDINALITY AS k (role, n);

-- What there is: a relation's letters, with those that some column has and the
-- relation as a whole does not in parentheses after them.
CREATE TEMP TABLE actual AS
WITH privileges (letter, name) AS (
    VALUES ('r', 'SELECT'), ('a', 'INSERT'), ('w', 'UPDATE'), ('d', 'DELETE'), ('D', 'TRUNCATE'), ('x', 'REFERENCES'), ('t', 'TRIGGER')
), relations AS (
    SELECT c.oid, c.relnamespace::regnamespace::text AS schema, c.relname::text AS object, c.relkind
    FROM pg_class c
    WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
)
SELECT r.schema, r.object, k.role, k.n,
       coalesce((SELECT string_agg(p.letter, '') FROM privileges p WHERE has_table_privilege(k.role, r.oid, p.name)), '')
       || coalesce((SELECT CASE WHEN string_agg(DISTINCT p.letter || a.attname, ' ') = 'rcall_id rcalled_at rcost rpricing' THEN 'c'
                                     WHEN string_agg(DISTINCT p.letter || a.attname, ' ') = 'ahappened_at akind alink ascope atitle' THEN 'n'
                                ELSE '(' || string_agg(p.letter || a.attname, ' ') || ')' END
                    FROM privileges p, pg_attribute a
                    WHERE a.attrelid = r.oid AND NOT a.attisdropped AND p.letter IN ('r', 'a', 'w', 'x')
                      AND has_column_privilege(k.role, r.oid, a.attnum, p.name) AND NOT has_table_privilege(k.role, r.oid, p.name)), '') AS rights
FROM relations r, kind k
WHERE r.relkind <> 'S'
UNION ALL
SELECT r.schema, r.object, k.role, k.n, CASE WHEN has_sequence_privilege(k.role, r.oid, 'USAGE, SELECT, UPDATE') THEN 's' ELSE '' END
FROM relations r, kind k
WHERE r.relkind = 'S'
UNION ALL
SELECT p.pronamespace::regnamespace::text, p.proname || '()', k.role, k.n, CASE WHEN has_function_privilege(k.role, p.oid, 'EXECUTE') THEN 'X' ELSE '' END
FROM pg_proc p, kind k
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
UNION ALL
SELECT s.nspname::text, s.nspname::text, k.role, k.n,
       CASE WHEN has_schema_privilege(k.role, s.oid, 'USAGE') THEN 'U' ELSE '' END || CASE WHEN has_schema_privilege(k.role, s.oid, 'CREATE') THEN 'C' ELSE '' END
FROM pg_namespace s, kind k
WHERE s.nspname IN ('cost_ledger', 'cost_ledger_internal');

-- The surprises of what people use …
SELECT a.object, a.role, coalesce(e.rights[a.n], 'no row in this test') AS expected, a.rights AS actual
FROM actual a
LEFT JOIN expected e ON e.object = a.object
WHERE (a.schema = 'cost_ledger' OR a.object = a.schema) AND a.rights IS DISTINCT FROM replace(e.rights[a.n], '-', '')
ORDER BY a.object, a.n;
SELECT e.object AS not_there FROM expected e WHERE NOT EXISTS (SELECT FROM actual a WHERE a.object = e.object);
-- … and of the rest.
SELECT a.object, string_agg(a.role || ' ' || a.rights, ', ' ORDER BY a.n) AS actual
FROM actual a
WHERE a.schema = 'cost_ledger_internal' AND a.object <> a.schema
  AND a.rights <> CASE WHEN a.object IN (SELECT name || '()' FROM called_by_others) THEN 'X' ELSE '' END
GROUP BY a.object;
SELECT name AS not_there FROM called_by_others WHERE NOT EXISTS (SELECT FROM actual a WHERE a.object = name || '()');
-- what a view, or a function that is parsed already, calls can be called by who may
-- read or call that
SELECT coalesce(r.ev_class::regclass::text, f.oid::regprocedure::text) AS caller, p.oid::regprocedure AS called, k.role
FROM pg_depend d
JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
LEFT JOIN pg_proc f ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND f.prosqlbody IS NOT NULL
CROSS JOIN kind k
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
  AND (has_table_privilege(k.role, r.ev_class, 'SELECT') OR has_function_privilege(k.role, f.oid, 'EXECUTE'))
  AND NOT has_function_privilege(k.role, p.oid, 'EXECUTE');
-- the tables that grants are made from name everything there is, and nothing else
SELECT coalesce(r.name, a.object) AS not_in_both
FROM (SELECT relation AS name FROM cost_ledger_internal.relation_right() UNION SELECT function || '()' FROM cost_ledger_internal.function_right()) r
FULL JOIN (SELECT DISTINCT object FROM actual WHERE schema = 'cost_ledger' AND object <> schema AND object !~ '_seq$'
           AND object NOT IN (SELECT object FROM actual WHERE schema = 'cost_ledger' AND role = 'regress_nobody' AND rights <> '')) a ON a.object = r.name
WHERE r.name IS NULL OR a.object IS NULL;
SELECT count(DISTINCT object) FILTER (WHERE schema = 'cost_ledger') AS objects, count(*) FILTER (WHERE schema = 'cost_ledger') AS rights, count(*) > 3500 AS with_internal FROM actual;

-- A function that acts as the owner is declared as the one it stands for is.
SELECT p.oid::regprocedure AS declared_otherwise
FROM pg_proc p
LEFT JOIN pg_proc t ON t.pronamespace = 'cost_ledger_internal'::regnamespace AND t.proargtypes = p.proargtypes
     AND t.proname = p.proname || CASE WHEN p.pronamespace = 'cost_ledger_internal'::regnamespace THEN '_as_owner' ELSE '' END
WHERE p.prosrc = 'cl_as_owner'
  AND ((t.prorettype, t.proretset, t.provolatile, t.proisstrict) IS DISTINCT FROM (p.prorettype, p.proretset, p.provolatile, false)
       OR (t.proargnames, t.proargmodes, t.proallargtypes) IS DISTINCT FROM (p.proargnames, p.proargmodes, p.proallargtypes)
       OR NOT EXISTS (SELECT FROM unnest(t.proconfig) c WHERE c LIKE 'search_path=pg_catalog, pg_temp%'));

-- Every kind does what it is for, and writes its own name.
SET ROLE regress_admin;
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2026-01-01') AS price_id;
INSERT INTO cost_ledger.price_list (provider, model, meter, unit_price, valid_from) VALUES ('openai', 'n', 'input_tokens', 2, '2026-01-01');
INSERT INTO cost_ledger.revenue (earned_on, feature, amount) VALUES ('2026-11-01', 'answers', 5);
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2026-01-01', 1.1);
SELECT cost_ledger.set_budget('b', '{"team": "search"}', 'month', 10, actions => '{warn,warn,stop}') AS budget_id;
UPDATE cost_ledger.budget SET is_active = false;
UPDATE cost_ledger.budget SET is_active = true;
SELECT set_by FROM cost_ledger.budget_version;
SELECT cost_ledger.grant_reader('regress_operator');
SELECT granted_by FROM cost_ledger.grants WHERE role = 'regress_operator' ORDER BY kind;
SELECT cost_ledger.revoke_reader('regress_operator');
SELECT cost_ledger.grant_admin('regress_operator');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT cost_ledger.post_restore();
CALL cost_ledger.refresh();
RESET ROLE;
SELECT DISTINCT recorded_by FROM (SELECT recorded_by FROM cost_ledger_internal.price UNION ALL SELECT recorded_by FROM cost_ledger.revenue UNION ALL
                                  SELECT recorded_by FROM cost_ledger.exchange_rate) x;

SET ROLE regress_writer;
INSERT INTO cost_ledger.call (provider, model, team, customer, input_tokens, event_key) VALUES ('openai', 'm', 'search', 'acme', 1000000, 'k')
    RETURNING call_id IS NOT NULL AS numbered, called_at IS NOT NULL AS dated, cost, pricing;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1) RETURNING team;
SELECT cost_ledger.reserve('r', '{}', 1);
SELECT cost_ledger_internal.caller();
SELECT * FROM cost_ledger_internal.call_default;
SET ROLE regress_tenant;
INSERT INTO cost_ledger.call (provider, model, team, customer, input_tokens) VALUES ('openai', 'm', 'other', 'emca', 3000000);
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1) RETURNING cost;

SET ROLE regress_gateway;
SELECT decision, hold_id FROM cost_ledger.reserve('h1', '{"team": "search"}', 1) \gset
INSERT INTO cost_ledger.call (provider, model, team, input_tokens, hold_id) VALUES ('openai', 'm', 'search', 2000000, :'hold_id') RETURNING cost;
SELECT decision, spent, held FROM cost_ledger.reserve('h2', '{"team": "search"}', 1);
SELECT cost_ledger.release('h2'), cost_ledger.release('h2');
SELECT decision FROM cost_ledger.reserve('h3', '{"team": "search"}', 9);
UPDATE cost_ledger_internal.budget_balance SET posted = -1000000;
SELECT cost_ledger.pause('{}', 'mine');

SET ROLE regress_operator;
SELECT cost_ledger.pause('{"team": "search"}', 'runs away') AS pause_id;
SELECT cost_ledger.resume('{"team": "search"}');
UPDATE cost_ledger.pause SET resumed_at = now(), resumed_by = 'ada';
SELECT cost_ledger.acknowledge(1, 'ada');
SELECT cost_ledger.reserve('r', '{}', 1);
RESET ROLE;
SELECT paused_by, resumed_by FROM cost_ledger.pause;
CALL cost_ledger.refresh();
INSERT INTO cost_ledger.call (provider, model, team, input_tokens) VALUES ('openai', 'm', 'search', 7000000);
CALL cost_ledger.refresh();
SELECT cost_ledger.check_budgets();
SET ROLE regress_operator;
SELECT cost_ledger.acknowledge(3);
RESET ROLE;
SELECT DISTINCT acknowledged_by FROM cost_ledger.alert;

SET ROLE regress_reader;
SELECT count(*), sum(cost) FROM cost_ledger.call;
SELECT team, calls, cost FROM cost_ledger.chargeback_by_month ORDER BY team;
SELECT cost_ledger.cost_at('2026-11-01', 'openai', 'm', '{"input_tokens": 1000000}');
SELECT subject FROM cost_ledger.spend_rate() ORDER BY 1;
SELECT name FROM cost_ledger.budget_velocity();
SELECT sum(calls) AS calls FROM cost_ledger.what_if(now() - interval '1 day', now());
SELECT model, quantity FROM cost_ledger.billed_meters(now() - interval '1 day', now());
SELECT samples FROM cost_ledger.feature_cost_sample('none', now() - interval '1 day', now());
SELECT count(*) FROM cost_ledger.resolve_model('openai', 'm') r WHERE r.is_used;
SELECT jsonb_array_length(cost_ledger.export_prices() -> 'prices') AS prices;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1);
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 0}', '2026-02-01');
RESET ROLE;

-- Whatever a kind may read, it can.
CREATE FUNCTION pg_temp.cannot_read() RETURNS TABLE (role text, relation regclass, error text) LANGUAGE plpgsql AS $$
BEGIN
    FOR role, relation IN
        SELECT k.role, c.oid FROM kind k, pg_class c
        WHERE c.relnamespace = 'cost_ledger'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND has_table_privilege(k.role, c.oid, 'SELECT')
    LOOP
        BEGIN
            PERFORM set_config('role', role, true);
            EXECUTE format('SELECT count(*) FROM (SELECT * FROM %s OFFSET 0) x', relation);
        EXCEPTION WHEN OTHERS THEN
            error := SQLERRM;
            RETURN NEXT;
        END;
        PERFORM set_config('role', 'none', true);
    END LOOP;
END
$$;
SELECT * FROM pg_temp.cannot_read();

-- A function that fails inside gives the rights back.
SET ROLE regress_operator;
DO $$
BEGIN
    PERFORM cost_ledger.pause('{}', '');
EXCEPTION WHEN invalid_parameter_value THEN
    RAISE WARNING '% is itself again', current_user;
END
$$;
SELECT current_user;
RESET ROLE;

-- Event keys: the same key in two spaces is two events; in one, whose it is is told
-- to who may read it.
SET ROLE regress_tenant;
INSERT INTO cost_ledger.call (provider, model, team, input_tokens, event_key) VALUES ('openai', 'm', 'other', 5, 'k');
SET ROLE regress_gateway;
INSERT INTO cost_ledger.call (provider, model, team, input_tokens, event_key) VALUES ('openai', 'm', 'other', 6, 'k');
RESET ROLE;
\set VERBOSITY terse
INSERT INTO cost_ledger.call (provider, model, team, input_tokens, event_key) VALUES ('openai', 'm', 'other', 7, 'k');
\set VERBOSITY default
DO $$
DECLARE
    detail text;
BEGIN
    INSERT INTO cost_ledger.call (provider, model, team, input_tokens, event_key) VALUES ('openai', 'm', 'other', 7, 'k');
EXCEPTION WHEN SQLSTATE 'LC003' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE WARNING 'the owner is told: %', detail LIKE 'It belongs to call %';
END
$$;
SELECT key_space, event_key FROM cost_ledger_internal.event_key ORDER BY 1;
-- what a key has recorded is shown as far as its call may be seen, or was sent by the caller
CREATE FUNCTION pg_temp.found(key_space text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', current_user || ':', coalesce((SELECT concat_ws(' ', coalesce(r.call ->> 'input_tokens', 'no call'), 'pricing ' || r.pricing)
                                                          FROM cost_ledger.recorded_call('k', key_space) r), 'nothing'))
$$;
CREATE FUNCTION pg_temp.found_by(role text) RETURNS TABLE (own text, of_tenant text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    own := pg_temp.found();
    of_tenant := pg_temp.found('tenant');
    RESET ROLE;
    RETURN NEXT;
END
$$;
SELECT f.* FROM unnest('{regress_writer,regress_tenant,regress_gateway,regress_reader,regress_team,regress_customer,regress_admin}'::text[]) WITH ORDINALITY r (role, n), pg_temp.found_by(r.role) f ORDER BY r.n;
-- a tenant is told of a conflict what it has sent itself
SET ROLE regress_tenant;
DO $$
DECLARE
    detail text;
BEGIN
    INSERT INTO cost_ledger.call (provider, model, team, input_tokens, event_key) VALUES ('openai', 'm', 'other', 7, 'k');
EXCEPTION WHEN SQLSTATE 'LC003' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE WARNING 'it is told: %', substr(detail, position('. ' IN detail) + 2);
END
$$;
RESET ROLE;
SELECT cost_ledger.correct_call('k', '{"input_tokens": 6}', 'miscounted', key_space => 'tenant') IS NOT NULL AS corrected;
SELECT team, input_tokens FROM cost_ledger.call WHERE corrects IS NOT NULL;
SELECT cost_ledger.correct_call('k', '{"input_tokens": 6}', 'miscounted', key_space => 'other');
-- a change of the grant, or of who is a member, is heard of by those who have written
CREATE ROLE regress_member IN ROLE regress_tenant;
SET ROLE regress_member;
INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'm', 8, 'member');
RESET ROLE;
SELECT cost_ledger.grant_writer('regress_tenant', key_space => 'moved');
SET ROLE regress_member;
INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'm', 8, 'member');
RESET ROLE;
REVOKE regress_tenant FROM regress_member;
GRANT regress_writer TO regress_member;
SET ROLE regress_member;
INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'm', 8, 'member');
RESET ROLE;
SELECT key_space FROM cost_ledger_internal.event_key WHERE event_key = 'member' ORDER BY 1;
-- said again, a grant keeps its space; another kind shares it
SELECT cost_ledger.grant_writer('regress_tenant', with_returning => false), cost_ledger.grant_gateway('regress_tenant', with_returning => false);
SELECT kind, key_space, has_returning FROM cost_ledger.grants WHERE role = 'regress_tenant' ORDER BY kind;

-- Taken back, but what another grant needs.
SELECT cost_ledger.grant_reader('regress_writer');
SELECT cost_ledger.revoke_reader('regress_writer'), cost_ledger.revoke_reader('regress_writer') AS again;
SELECT has_table_privilege('regress_writer', 'cost_ledger.call', 'INSERT') AS insert, has_table_privilege('regress_writer', 'cost_ledger.call', 'SELECT') AS read,
       has_column_privilege('regress_writer', 'cost_ledger.call', 'cost', 'SELECT') AS returning,
       has_schema_privilege('regress_writer', 'cost_ledger', 'USAGE') AS usage;
SELECT cost_ledger.grant_writer('regress_writer', with_returning => false);
SELECT has_column_privilege('regress_writer', 'cost_ledger.call', 'cost', 'SELECT') AS returning;
SELECT cost_ledger.grant_team_reader('regress_team', 'chat');
SELECT cost_ledger.revoke_team_reader('regress_team', 'search');
SELECT team, has_table_privilege('regress_team', 'cost_ledger.run', 'SELECT') FROM cost_ledger.grants WHERE role = 'regress_team';
SELECT cost_ledger.revoke_writer('regress_writer'), cost_ledger.revoke_writer('regress_tenant'), cost_ledger.revoke_gateway('regress_tenant'),
       cost_ledger.revoke_gateway('regress_gateway'), cost_ledger.revoke_reader('regress_reader'), cost_ledger.revoke_team_reader('regress_team'),
       cost_ledger.revoke_customer_reader('regress_customer', 'acme'), cost_ledger.revoke_operator('regress_operator');
-- nothing holds the roles any more
DROP ROLE regress_writer, regress_tenant, regress_gateway, regress_reader, regress_team, regress_customer, regress_operator, regress_member;

-- What cannot be granted.
SELECT cost_ledger.grant_reader('regress_nobody_knows');
SELECT cost_ledger.grant_team_reader('regress_nobody', '');
SELECT cost_ledger.grant_customer_reader('regress_nobody', NULL);
SELECT cost_ledger.grant_writer('regress_nobody', key_space => repeat('x', 65));

-- A name with capitals and signs, and a role that is gone.
CREATE ROLE "regress-Ada.example";
SELECT cost_ledger.grant_reader('regress-Ada.example');
DROP OWNED BY "regress-Ada.example";
DROP ROLE "regress-Ada.example";
SELECT role FROM cost_ledger.grants;
INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'm', 9, 'gone');
SELECT count(*) FROM cost_ledger_internal.role_grant g WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = g.role);
CALL cost_ledger.run_jobs();
SELECT count(*) FROM cost_ledger_internal.role_grant g WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = g.role);
SELECT cost_ledger.grant_reader('regress_nobody');
SELECT role FROM cost_ledger_internal.role_grant ORDER BY kind;

-- Privileges that were taken away otherwise count for nothing, also where a group
-- still lets the role in, and do not come back with the next grant.
CREATE ROLE regress_leaver;
CREATE ROLE regress_group;
SELECT cost_ledger.grant_reader('regress_leaver'), cost_ledger.grant_team_reader('regress_group', 'other');
GRANT regress_group TO regress_leaver;
SET ROLE regress_leaver;
SELECT DISTINCT team FROM cost_ledger.call_detail ORDER BY 1;
RESET ROLE;
DROP OWNED BY regress_leaver;
SET ROLE regress_leaver;
SELECT DISTINCT team FROM cost_ledger.call_detail ORDER BY 1;
RESET ROLE;
SELECT role, kind FROM cost_ledger.grants WHERE role = 'regress_leaver';
SELECT cost_ledger.grant_operator('regress_leaver');
SELECT role, kind FROM cost_ledger.grants WHERE role = 'regress_leaver';
SET ROLE regress_leaver;
SELECT DISTINCT team FROM cost_ledger.call_detail ORDER BY 1;
RESET ROLE;
-- A name that calls keep shortened.
INSERT INTO cost_ledger.call (provider, model, team, input_tokens) VALUES ('openai', 'm', repeat('long ', 2000), 1);
SELECT cost_ledger.grant_team_reader('regress_leaver', repeat('long ', 2000));
SET ROLE regress_leaver;
SELECT left(team, 10) AS team FROM cost_ledger.call_detail WHERE team LIKE 'long %';
RESET ROLE;
SELECT cost_ledger.revoke_team_reader('regress_leaver', repeat('long ', 2000));
DROP OWNED BY regress_leaver, regress_group;
DROP ROLE regress_leaver, regress_group;

-- What channel cost_ledger_alert gets is the owner's choice.
SELECT cost_ledger_internal.alert_message('{"v": 1, "id": 7, "kind": "actual", "level": "warn", "budget": "b", "spent": "9"}');
UPDATE cost_ledger.ledger SET notify_payload = 'id';
SELECT cost_ledger_internal.alert_message('{"v": 1, "id": 7, "kind": "actual", "level": "warn", "budget": "b", "spent": "9"}');
\set VERBOSITY sqlstate
UPDATE cost_ledger.ledger SET notify_payload = 'all';
\set VERBOSITY default

-- What was granted ends with the ledger.
CREATE TEMP TABLE granted_before AS SELECT role::text FROM cost_ledger.grants;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
SELECT g.role, p.oid::regprocedure AS outlives
FROM granted_before g
JOIN pg_proc p ON p.pronamespace = 'cost_ledger'::regnamespace
CROSS JOIN LATERAL aclexplode(p.proacl) a
WHERE a.grantee = g.role::regrole;
SELECT role FROM granted_before WHERE has_schema_privilege(role, 'cost_ledger', 'USAGE');

-- Without a ledger everybody is told so.
GRANT USAGE ON SCHEMA cost_ledger TO regress_nobody, regress_admin;
GRANT EXECUTE ON FUNCTION cost_ledger.reserve TO regress_nobody;
SET ROLE regress_nobody;
SELECT cost_ledger.reserve('r', '{}', 1);
RESET ROLE;
SELECT cost_ledger.grant_reader('regress_nobody');

-- The owner need not be a superuser.
CREATE ROLE regress_owner;
SET ROLE regress_admin;
SELECT cost_ledger.create_ledger();
RESET ROLE;
GRANT EXECUTE ON FUNCTION cost_ledger.create_ledger TO regress_nobody;
SET ROLE regress_nobody;
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_ledger(owner => 'regress_nobody');
RESET ROLE;
SELECT cost_ledger.create_ledger(owner => 'regress_nobody_knows');
SELECT cost_ledger.create_ledger(owner => 'regress_owner');
SELECT current_user <> 'regress_owner' AS is_itself_again;
SELECT DISTINCT c.relowner::regrole FROM pg_class c WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v');
SELECT cost_ledger.grant_admin('regress_admin');
SET ROLE regress_admin;
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2026-01-01') IS NOT NULL AS priced;
SELECT cost_ledger.grant_writer('regress_nobody');
SET ROLE regress_nobody;
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('openai', 'm', 1000000) RETURNING cost;
SET ROLE regress_owner;
CALL cost_ledger.refresh();
SELECT calls, cost FROM cost_ledger.chargeback_by_month;
SELECT role, kind, granted_by FROM cost_ledger.grants ORDER BY kind;
-- nobody takes from the owner what whatever acts as it needs
SET ROLE regress_admin;
SELECT cost_ledger.grant_reader('regress_owner');
SELECT cost_ledger.revoke_reader('regress_owner');
SET ROLE regress_owner;
SELECT calls, cost FROM cost_ledger.chargeback_by_month;
SELECT cost_ledger.revoke_writer('regress_nobody'), cost_ledger.revoke_admin('regress_admin');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
RESET ROLE;
-- one who was given less is told what is missing
REVOKE GRANT OPTION FOR EXECUTE ON FUNCTION cost_ledger.reserve FROM regress_owner;
SET ROLE regress_owner;
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.grant_gateway('regress_nobody');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
RESET ROLE;
-- Who owned the ledger before is nobody in the next one, nor is whom he let in.
GRANT USAGE, CREATE ON SCHEMA cost_ledger, cost_ledger_internal TO regress_owner WITH GRANT OPTION;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA cost_ledger, cost_ledger_internal TO regress_owner WITH GRANT OPTION;
SET ROLE regress_owner;
GRANT USAGE ON SCHEMA cost_ledger TO regress_admin;
GRANT EXECUTE ON FUNCTION cost_ledger.grant_admin TO regress_admin;
RESET ROLE;
SELECT cost_ledger.create_ledger();
SET ROLE regress_owner;
SELECT cost_ledger.grant_admin('regress_owner');
SET ROLE regress_admin;
SELECT cost_ledger.grant_admin('regress_admin');
RESET ROLE;
SELECT count(*) AS left_over FROM pg_proc p, aclexplode(p.proacl) a
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND a.grantee IN ('regress_owner'::regrole, 'regress_admin'::regrole);
SELECT cost_ledger.drop_ledger(i_mean_it => true);
-- An owner that was given the tables, but not what it needs of the extension.
SELECT cost_ledger.create_ledger(owner => 'regress_owner');
CREATE ROLE "regress Heir";
REASSIGN OWNED BY regress_owner TO "regress Heir";
SELECT cost_ledger.reserve('r', '{}', 1);
INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'm', 1, 'k');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
GRANT USAGE, CREATE ON SCHEMA cost_ledger, cost_ledger_internal TO "regress Heir" WITH GRANT OPTION;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA cost_ledger, cost_ledger_internal TO "regress Heir" WITH GRANT OPTION;
SELECT decision FROM cost_ledger.reserve('r', '{}', 1);
SELECT cost_ledger.grant_reader('regress_nobody');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP OWNED BY "regress Heir";
DROP ROLE "regress Heir";
DROP OWNED BY regress_owner, regress_admin, regress_nobody;
DROP ROLE regress_owner, regress_admin, regress_nobody;
