-- What the report page shows, as one JSON document of one snapshot.
--
-- psql runs this for script/report, as any reader: with variables days (how far
-- back days go), title and run_link.  What the role may not see is left out, and
-- the page says so.
--
-- The page's filters choose among answers that are here: every sum and quantile
-- is the ledger's own, exact, and nothing is added up in the browser.  So each
-- block has a row for each period and scope: all calls, a team, a customer, and
-- a team's calls for a customer.  t and c are places in lists.teams and
-- lists.customers, null for all; the last place of a list may be all others
-- together, and the lists are cut so that the page stays small.

\set ON_ERROR_STOP on
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL DateStyle = 'ISO';
SET LOCAL client_min_messages = warning;
-- Compiling these takes longer than they do.
SET LOCAL jit = off;
-- Some 100,000 runs need no disk, and are not sorted to be told apart.
SET LOCAL work_mem = '64MB';
SET LOCAL enable_mergejoin = off;

SELECT has_table_privilege('cost_ledger.ledger', 'SELECT') AS sees_all,
       -- The days that have begun, from the first with calls: none of an empty ledger.
       -- Calls may be dated later, by clocks that are wrong.
       coalesce(max(d.day) FILTER (WHERE d.has_begun), '2000-01-01')::date AS today,
       coalesce(min(d.day) FILTER (WHERE d.has_begun), '2000-01-01')::date AS since,
       count(*) FILTER (WHERE d.has_begun) = 0 AS is_empty,
       coalesce(sum(d.calls) FILTER (WHERE NOT d.has_begun), 0) AS later_calls,
       -- How much of today has passed.
       coalesce(least(extract(epoch FROM now() - max(d.starts_at) FILTER (WHERE d.has_begun))
                      / extract(epoch FROM max(d.ends_at) FILTER (WHERE d.has_begun) - max(d.starts_at) FILTER (WHERE d.has_begun)), 1), 1) AS day_ratio
FROM (SELECT d.*, d.starts_at <= now() AS has_begun FROM cost_ledger.cost_chart_by_day d) d
WHERE d.label = 'total' \gset

-- Whole weeks, last month whole, and at least the days that are asked for.
SELECT date_trunc('week', least(:'today'::date - (:'days'::integer - 1), (date_trunc('month', :'today'::date) - interval '1 month')::date))::date AS first_day \gset

\qecho {
SELECT '"meta":' || json_build_object(
    'title', :'title', 'run_link', :'run_link',
    'made_at', extract(epoch FROM now()) * 1000,
    'refresh_seconds', :'every'::integer,
    'version', cost_ledger.version(),
    'role', current_user,
    'sees_all', :'sees_all'::boolean,
    'is_empty', :'is_empty'::boolean,
    'later_calls', :'later_calls'::bigint,
    'today', :'today', 'first_day', :'first_day', 'since', :'since');

\if :sees_all
-- Dates are those of the reporting zone.
SELECT set_config('TimeZone', l.time_zone, true) FROM cost_ledger.ledger l \g /dev/null
SELECT ',"ledger":' || json_build_object('currency', l.currency, 'time_zone', l.time_zone) FROM cost_ledger.ledger l;
SELECT ',"thresholds":' || coalesce(json_agg(json_build_array(t.number, t.threshold, t.severity, t.is_active, t.rule) ORDER BY t.threshold), '[]')
FROM cost_ledger.report_threshold t;
SELECT ',"rollups":' || json_build_object('unconsumed_rows', r.unconsumed_rows, 'lag_seconds', r.lag_seconds, 'quarantined_calls', r.quarantined_calls,
                                         'needs_post_restore', r.needs_post_restore, 'last_error', r.last_error)
FROM cost_ledger.rollup_status r;
SELECT ',"problems":' || coalesce(json_agg(json_build_array(p.problem, p.subject, p.detail, p.hint)), '[]')
FROM (SELECT * FROM cost_ledger.ledger_problem LIMIT 20) p;
SELECT ',"jobs":' || coalesce(json_agg(json_build_array(j.name, j.is_stale, j.is_failing, j.last_error) ORDER BY j.name), '[]')
FROM cost_ledger.job_status j
WHERE j.is_stale OR j.is_failing;
\else
SELECT ',"ledger":' || json_build_object('currency', (SELECT d.currency FROM cost_ledger.cost_chart_by_day d WHERE d.label = 'total' LIMIT 1));
\endif

\ir cube.sql

-- Months of users, and of whom they are.
SELECT ',"users":' || coalesce(json_agg(json_build_array(u.month, u.users, round(u.mean_cost, 12), u.p95_cost, u.max_cost, u.is_complete) ORDER BY u.month), '[]')
FROM (SELECT * FROM cost_ledger.cost_per_user_by_month WHERE users > 0 AND month <= :'today' ORDER BY month DESC LIMIT 13) u;

SELECT ',"plans":' || coalesce(json_agg(json_build_array(p.month, CASE WHEN p.is_allocated THEN p.plan END, p.price, p.users, round(p.mean_cost, 12), p.p95_cost,
                                                        p.users_above_price, p.margin) ORDER BY p.month, p.price DESC NULLS LAST, p.plan), '[]')
FROM (SELECT *, row_number() OVER (PARTITION BY month ORDER BY users DESC, plan) AS n
      FROM cost_ledger.cost_per_user_by_plan WHERE month >= date_trunc('month', :'today'::date) - interval '1 month') p
WHERE p.n <= 20;

-- What it earns: the months that run or ran last, the dearest of them.
SELECT ',"margins":' || coalesce(json_agg(json_build_array(m.label, m.month, m.value, m.revenue, m.cost, m.margin, m.margin_ratio, m.is_over_ceiling, m.unpriced_calls)
                                          ORDER BY m.label, m.month, m.cost DESC NULLS LAST, m.value), '[]')
FROM (SELECT m.*, row_number() OVER (PARTITION BY m.label, m.month ORDER BY greatest(m.cost, m.revenue) DESC NULLS LAST, m.value) AS n,
             count(m.revenue) OVER () AS revenues
      FROM (SELECT 'feature' AS label, f.month, CASE WHEN f.is_allocated THEN f.feature END AS value,
                   f.revenue, f.cost, f.margin, f.margin_ratio, f.is_over_ceiling, f.unpriced_calls
            FROM cost_ledger.margin_by_feature f
            UNION ALL
            SELECT 'customer', c.month, CASE WHEN c.is_allocated THEN c.customer END,
                   c.revenue, c.cost, c.margin, c.margin_ratio, c.is_over_ceiling, c.unpriced_calls
            FROM cost_ledger.margin_by_customer c) m
      WHERE m.month >= date_trunc('month', :'today'::date) - interval '1 month' AND m.month <= :'today'::date) m
WHERE m.n <= 50 AND m.revenues > 0;

SELECT ',"now":' || coalesce(json_agg(json_build_array(n.value, n.rate_5m, n.rate_1h, n.today_cost, n.previous_cost, n.change_ratio)), '[]')
FROM cost_ledger.spend_now n
WHERE n.label = 'total';

SELECT ',"budgets":' || coalesce(json_agg(json_build_array(b.name, b.entity, b.metric, b.period, b.limit_amount, b.spent, b.used_ratio, b.level, b.forecast,
                                                          b.exhausted_at, b.currency, b.ends_at) ORDER BY b.used_ratio DESC NULLS LAST, b.name, b.entity), '[]')
FROM (SELECT b.*
      FROM (SELECT *, row_number() OVER (PARTITION BY budget_id ORDER BY used_ratio DESC NULLS LAST, entity) AS n FROM cost_ledger.budget_status) b
      WHERE b.n <= 5
      ORDER BY b.used_ratio DESC NULLS LAST, b.name, b.entity LIMIT 20) b;

SELECT ',"alerts":' || coalesce(json_agg(json_build_array(extract(epoch FROM a.created_at) * 1000, coalesce(a.budget, a.rule), coalesce(nullif(a.entity, ''), a.subject),
                                                         a.severity, a.level, a.threshold, a.kind, a.resolved_at IS NOT NULL) ORDER BY a.created_at DESC, a.alert_id DESC), '[]')
FROM (SELECT * FROM cost_ledger.unacknowledged_alert ORDER BY created_at DESC, alert_id DESC LIMIT 20) a;

-- Prices that began to hold within these days, of models that are in use.
SELECT ',"prices":' || coalesce(json_agg(json_build_array(p.provider, p.model, p.meter, p.unit_price, p.per, p.currency, p.day, p.before) ORDER BY p.day DESC, p.provider, p.model, p.meter), '[]')
FROM (
    SELECT l.provider, l.model, l.meter, l.unit_price, l.per, l.currency, l.valid_from::date AS day,
           lag(l.unit_price) OVER (PARTITION BY l.provider, l.model, l.region, l.service_class, l.customer, l.meter, l.currency ORDER BY l.valid_from) AS before,
           l.valid_from
    FROM cost_ledger.price_list l
    WHERE l.over_tokens = 0 AND l.window_start IS NULL
      AND (l.provider, l.model) IN (SELECT m.provider, m.model FROM cost_ledger.cost_by_model m WHERE m.month >= date_trunc('month', :'first_day'::date))) p
WHERE p.valid_from >= :'first_day' AND p.before <> p.unit_price;

-- What each number means, as the catalog says it.
SELECT ',"definitions":' || coalesce(json_object_agg(d.view || '.' || a.attname, col_description(a.attrelid, a.attnum)), '{}')
FROM (VALUES ('cost_per_run_by_day'), ('cost_per_user_by_month'), ('cost_per_user_by_plan'), ('cost_by_task_type'), ('week_over_week'), ('most_expensive_run'),
             ('chargeback_by_month'), ('margin_by_feature'), ('margin_by_customer'), ('budget_status'), ('spend_now'), ('cost_by_day'), ('cache_hit_by_feature'),
             ('cost_by_operation'), ('cost_by_model'), ('rollup_status'), ('unpriced_call'), ('unacknowledged_alert')) AS d (view)
JOIN pg_attribute a ON a.attrelid = ('cost_ledger.' || d.view)::regclass AND a.attnum > 0 AND NOT a.attisdropped;
\qecho }
COMMIT;
