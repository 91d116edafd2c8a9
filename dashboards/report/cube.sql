-- Sums and quantiles of every period and scope, read once from the cube and once
-- from the runs; part of report.sql.

-- Runs of all together have a rollup.  What teams and customers have of them is read
-- run by run: of as many days as have 100,000 together, and a week in any case.
SELECT coalesce(json_agg(json_build_array(d.day, NULL, NULL, d.runs, round(d.mean_cost, 12), d.p95_cost, d.max_cost) ORDER BY d.day), '[]') AS run_days,
       CASE WHEN max(d.runs_since) > 100000 THEN greatest(least(max(d.day) FILTER (WHERE d.runs_since > 100000) + 1, :'today'::date - 6), :'first_day') ELSE :'first_day' END AS runs_from
FROM (SELECT d.*, sum(d.runs) OVER (ORDER BY d.day DESC) AS runs_since
      FROM cost_ledger.cost_per_run_by_day d
      WHERE d.runs > 0 AND d.day BETWEEN :'first_day' AND :'today') d \gset

WITH period (p, name, first_day, last_day) AS MATERIALIZED (
    -- The last two are no choice: whole days, compared with each other.
    SELECT v.p, v.name, v.first_day, v.last_day
    FROM (VALUES
        (0, 'days7', :'today'::date - 6, :'today'::date),
        (1, 'days30', :'today'::date - 29, :'today'::date),
        (2, 'month', date_trunc('month', :'today'::date)::date, :'today'::date),
        (3, 'last_month', (date_trunc('month', :'today'::date) - interval '1 month')::date, date_trunc('month', :'today'::date)::date - 1),
        (4, 'all', :'first_day'::date, :'today'::date),
        (5, 'recent', :'today'::date - 7, :'today'::date - 1),
        (6, 'before', :'today'::date - 14, :'today'::date - 8)) AS v (p, name, first_day, last_day)
), calendar AS MATERIALIZED (
    -- Days of the same periods are a bucket, a bit for each period: whatever is asked
    -- of periods is made of buckets, which are few.  An array, to look days up in.
    SELECT array_agg(g.bucket ORDER BY g.day) AS buckets
    FROM (SELECT g.day, bit_or(1 << p.p) AS bucket
          FROM generate_series(:'first_day'::timestamp, :'today'::timestamp, '1 day') AS g (day)
          JOIN period p ON g.day BETWEEN p.first_day AND p.last_day
          GROUP BY g.day) g
), cube AS MATERIALIZED (
    SELECT b.day, (SELECT k.buckets FROM calendar k)[b.day - :'first_day'::date + 1] AS bucket,
           b.team, b.customer, b.feature, b.task_type, b.operation, b.provider, b.model,
           b.calls, b.priced_calls, b.unpriced_calls, b.failed_calls, b.accepted_calls, b.billed_input_tokens AS input_tokens,
           CASE WHEN b.served_from = 'model' THEN b.cache_read_tokens END AS cache_read_tokens, b.cost, b.avoided_cost, b.prompt_cache_saving
    FROM cost_ledger.cost_by_day b
    WHERE b.day BETWEEN :'first_day' AND :'today'
), sums AS MATERIALIZED (
    -- Labels that calls do not say are NULL, which compares with nothing: here they
    -- are empty, as no label is.
    SELECT b.bucket, coalesce(b.team, '') AS team, coalesce(b.customer, '') AS customer, coalesce(b.feature, '') AS feature,
           coalesce(b.task_type, '') AS task_type, coalesce(b.operation, '') AS operation, b.provider || ' / ' || b.model AS model,
           sum(b.calls)::bigint AS calls, sum(b.priced_calls)::bigint AS priced_calls, sum(b.unpriced_calls)::bigint AS unpriced_calls,
           sum(b.failed_calls)::bigint AS failed_calls, sum(b.accepted_calls)::bigint AS accepted_calls,
           sum(b.input_tokens) AS input_tokens, sum(b.cache_read_tokens) AS cache_read_tokens,
           sum(b.cost) AS cost, sum(b.avoided_cost) AS avoided_cost, sum(b.prompt_cache_saving) AS prompt_cache_saving
    FROM cube b
    GROUP BY b.bucket, b.team, b.customer, b.feature, b.task_type, b.operation, b.provider, b.model
), ranked AS MATERIALIZED (
    SELECT v.label, v.value, row_number() OVER by_cost AS n, count(*) OVER (PARTITION BY v.label) AS of
    FROM (
        SELECT CASE 0 WHEN grouping(s.team) THEN 't' WHEN grouping(s.customer) THEN 'c' WHEN grouping(s.feature) THEN 'feature'
                      WHEN grouping(s.task_type) THEN 'task_type' WHEN grouping(s.operation) THEN 'operation' ELSE 'model' END AS label,
               coalesce(s.team, s.customer, s.feature, s.task_type, s.operation, s.model) AS value,
               sum(s.cost) AS cost, sum(s.calls) AS calls
        FROM sums s
        GROUP BY GROUPING SETS ((s.team), (s.customer), (s.feature), (s.task_type), (s.operation), (s.model))) v
    WINDOW by_cost AS (PARTITION BY v.label ORDER BY v.cost DESC NULLS LAST, v.calls DESC, v.value)
), cut AS MATERIALIZED (
    -- Of teams 20 and the rest; of customers as many as make 120 scopes with them.
    SELECT r.label, r.value, r.of, least(r.n, k.most + 1) - 1 AS place, r.n > k.most AS is_rest, k.most
    FROM ranked r
    CROSS JOIN (SELECT least(coalesce(max(r.of) FILTER (WHERE r.label = 't'), 0), 21) AS teams,
                       least(coalesce(max(r.of) FILTER (WHERE r.label = 'c'), 0), 21) AS customers
                FROM ranked r) n
    CROSS JOIN LATERAL (SELECT CASE r.label WHEN 't' THEN 20 WHEN 'c' THEN greatest(least(20, 120 / nullif(n.teams, 0)), 5)
                                    ELSE CASE WHEN n.teams * n.customers > 60 THEN 12 ELSE 20 END END AS most) k
), place AS MATERIALIZED (
    -- To look places up in: the planner knows nothing of how many there are.
    SELECT c.label, jsonb_object_agg(c.value, c.place) AS of FROM cut c GROUP BY c.label
), cell AS MATERIALIZED (
    SELECT s.bucket, s.t, s.c, s.feature_place AS feature, s.task_type_place AS task_type, s.operation_place AS operation, s.model_place AS model,
           sum(s.calls)::bigint AS calls, sum(s.priced_calls)::bigint AS priced_calls, sum(s.unpriced_calls)::bigint AS unpriced_calls,
           sum(s.failed_calls)::bigint AS failed_calls, sum(s.accepted_calls)::bigint AS accepted_calls,
           sum(s.input_tokens) AS input_tokens, sum(s.cache_read_tokens) AS cache_read_tokens,
           sum(s.cost) AS cost, sum(s.avoided_cost) AS avoided_cost, sum(s.prompt_cache_saving) AS prompt_cache_saving
    FROM (
        SELECT s.*,
               ((SELECT p.of FROM place p WHERE p.label = 't') ->> s.team)::integer AS t,
               ((SELECT p.of FROM place p WHERE p.label = 'c') ->> s.customer)::integer AS c,
               ((SELECT p.of FROM place p WHERE p.label = 'feature') ->> s.feature)::integer AS feature_place,
               ((SELECT p.of FROM place p WHERE p.label = 'task_type') ->> s.task_type)::integer AS task_type_place,
               ((SELECT p.of FROM place p WHERE p.label = 'operation') ->> s.operation)::integer AS operation_place,
               ((SELECT p.of FROM place p WHERE p.label = 'model') ->> s.model)::integer AS model_place
        FROM sums s) s
    GROUP BY s.bucket, s.t, s.c, s.feature_place, s.task_type_place, s.operation_place, s.model_place
), period_cell AS MATERIALIZED (
    SELECT p.p, e.t, e.c, e.feature, e.task_type, e.operation, e.model,
           sum(e.calls)::bigint AS calls, sum(e.priced_calls)::bigint AS priced_calls, sum(e.unpriced_calls)::bigint AS unpriced_calls,
           sum(e.failed_calls)::bigint AS failed_calls, sum(e.accepted_calls)::bigint AS accepted_calls,
           sum(e.input_tokens) AS input_tokens, sum(e.cache_read_tokens) AS cache_read_tokens,
           sum(e.cost) AS cost, sum(e.avoided_cost) AS avoided_cost, sum(e.prompt_cache_saving) AS prompt_cache_saving
    FROM cell e
    JOIN period p ON (e.bucket >> p.p) & 1 = 1
    GROUP BY p.p, e.t, e.c, e.feature, e.task_type, e.operation, e.model
), scope_day AS MATERIALIZED (
    -- Of single days no more than what they cost is asked for.
    SELECT s.day, ((SELECT p.of FROM place p WHERE p.label = 't') ->> s.team)::integer AS t,
           ((SELECT p.of FROM place p WHERE p.label = 'c') ->> s.customer)::integer AS c, s.cost
    FROM (SELECT b.day, coalesce(b.team, '') AS team, coalesce(b.customer, '') AS customer, sum(b.cost) AS cost
          FROM cube b
          GROUP BY b.day, b.team, b.customer) s
), runs AS MATERIALIZED (
    SELECT r.started_on AS day, (SELECT k.buckets FROM calendar k)[r.started_on - :'first_day'::date + 1] & 31 AS bucket,
           coalesce(r.team, '') AS team, coalesce(r.customer, '') AS customer, coalesce(r.task_type, '') AS task_type,
           r.root_run_id, r.started_at, r.cost, r.own_cost, r.calls, r.runs, r.feature, r.trace_url
    FROM cost_ledger.run_tree r
    WHERE r.started_on BETWEEN :'runs_from' AND :'today'
), run_group AS MATERIALIZED (
    -- A summary knows how many values it has, and their sum, least and greatest, exactly.
    SELECT r.day, r.bucket, r.team, r.customer, r.task_type, count(*) AS runs, cost_ledger.summarize(r.cost) AS run_cost
    FROM runs r
    GROUP BY r.day, r.bucket, r.team, r.customer, r.task_type
), run_cell AS MATERIALIZED (
    SELECT r.day, r.bucket, r.t, r.c, r.task_type, sum(r.runs)::bigint AS runs, cost_ledger.merge(r.run_cost) AS run_cost
    FROM (
        -- Of a run whose calls are older, or will be, the labels may not be among them.
        SELECT r.day, r.bucket, coalesce(((SELECT p.of FROM place p WHERE p.label = 't') ->> r.team)::integer, 20) AS t,
               coalesce(((SELECT p.of FROM place p WHERE p.label = 'c') ->> r.customer)::integer, 20) AS c,
               coalesce(((SELECT p.of FROM place p WHERE p.label = 'task_type') ->> r.task_type)::integer, 20) AS task_type,
               r.runs, r.run_cost
        FROM run_group r) r
    GROUP BY r.day, r.bucket, r.t, r.c, r.task_type
), run_period AS MATERIALIZED (
    SELECT p.p, b.t, b.c, b.task_type, sum(b.runs)::bigint AS runs, cost_ledger.merge(b.run_cost) AS run_cost
    FROM (SELECT e.bucket, e.t, e.c, e.task_type, sum(e.runs)::bigint AS runs, cost_ledger.merge(e.run_cost) AS run_cost
          FROM run_cell e
          GROUP BY e.bucket, e.t, e.c, e.task_type) b
    JOIN period p ON (b.bucket >> p.p) & 1 = 1
    GROUP BY p.p, b.t, b.c, b.task_type
), dear_from AS MATERIALIZED (
    -- What the ten dearest cost at least of a bucket, team and customer: less than the
    -- quantile that 12 are above, by more than its error.
    SELECT q.bucket, q.team, q.customer, CASE WHEN q.runs > 12 AND q.cost > 0 THEN q.cost * 0.97 ELSE '-Infinity' END AS cost
    FROM (SELECT g.bucket, g.team, g.customer, n.runs, cost_ledger.quantile(g.run_cost, greatest(1 - 12.0 / n.runs, 0)::double precision)::numeric AS cost
          FROM (SELECT r.bucket, r.team, r.customer, cost_ledger.merge(r.run_cost) AS run_cost
                FROM run_group r
                GROUP BY r.bucket, r.team, r.customer) g
          CROSS JOIN LATERAL (SELECT cost_ledger.num_values(g.run_cost) AS runs) n
          WHERE n.runs > 0) q
), dear AS MATERIALIZED (
    -- The ten dearest of any periods and scope are among the ten dearest of its buckets
    -- and cells.
    SELECT d.*
    FROM (SELECT r.*, row_number() OVER (PARTITION BY r.bucket, r.t, r.c ORDER BY r.cost DESC, r.started_at, r.root_run_id) AS n
          FROM (SELECT r.*, coalesce(((SELECT p.of FROM place p WHERE p.label = 't') ->> r.team)::integer, 20) AS t,
                       coalesce(((SELECT p.of FROM place p WHERE p.label = 'c') ->> r.customer)::integer, 20) AS c
                FROM runs r
                JOIN dear_from f ON f.bucket = r.bucket AND f.team = r.team AND f.customer = r.customer AND r.cost >= f.cost) r) d
    WHERE d.n <= 10
), dearest AS (
    SELECT DISTINCT ON (r.root_run_id) r.*
    FROM (SELECT d.*,
                 row_number() OVER (PARTITION BY p.p ORDER BY d.cost DESC, d.started_at, d.root_run_id) AS of_all,
                 row_number() OVER (PARTITION BY p.p, d.t ORDER BY d.cost DESC, d.started_at, d.root_run_id) AS of_team,
                 row_number() OVER (PARTITION BY p.p, d.c ORDER BY d.cost DESC, d.started_at, d.root_run_id) AS of_customer,
                 row_number() OVER (PARTITION BY p.p, d.t, d.c ORDER BY d.cost DESC, d.started_at, d.root_run_id) AS of_cell
          FROM dear d
          JOIN period p ON (d.bucket >> p.p) & 1 = 1) r
    WHERE least(r.of_all, r.of_team, r.of_customer) <= 10 OR r.of_cell <= 3
    ORDER BY r.root_run_id
), totals AS (
    SELECT json_agg(json_build_array(g.p, g.t, g.c, g.calls, g.cost, g.unpriced_calls, g.failed_calls, g.accepted_calls, g.input_tokens, g.cache_read_tokens, g.avoided_cost, g.prompt_cache_saving)) AS rows
    FROM (SELECT e.p, e.t, e.c, sum(e.calls) AS calls, sum(e.cost) AS cost, sum(e.unpriced_calls) AS unpriced_calls, sum(e.failed_calls) AS failed_calls,
                 sum(e.accepted_calls) AS accepted_calls, sum(e.input_tokens) AS input_tokens, sum(e.cache_read_tokens) AS cache_read_tokens, sum(e.avoided_cost) AS avoided_cost,
                 sum(e.prompt_cache_saving) AS prompt_cache_saving
          FROM period_cell e
          GROUP BY e.p, GROUPING SETS ((), (e.t), (e.c), (e.t, e.c))) g
), parts AS (
    -- Caches are of features.
    SELECT json_object_agg(g.label, g.rows) AS rows
    FROM (SELECT g.label, json_agg(CASE WHEN g.label = 'feature'
                                             THEN json_build_array(g.p, g.t, g.c, g.place, g.calls, g.cost, g.unpriced_calls, g.input_tokens, g.cache_read_tokens, g.priced_calls, g.prompt_cache_saving)
                                             ELSE json_build_array(g.p, g.t, g.c, g.place, g.calls, g.cost, g.unpriced_calls, NULL, NULL, g.priced_calls) END) AS rows
          FROM (SELECT e.p, e.t, e.c, CASE WHEN grouping(e.feature) = 0 THEN 'feature' WHEN grouping(e.task_type) = 0 THEN 'task_type'
                                           WHEN grouping(e.operation) = 0 THEN 'operation' ELSE 'model' END AS label,
                       coalesce(e.feature, e.task_type, e.operation, e.model) AS place,
                       sum(e.calls) AS calls, sum(e.cost) AS cost, sum(e.unpriced_calls) AS unpriced_calls, sum(e.input_tokens) AS input_tokens,
                       sum(e.cache_read_tokens) AS cache_read_tokens, sum(e.priced_calls) AS priced_calls,
                       sum(e.prompt_cache_saving) AS prompt_cache_saving
                FROM period_cell e
                GROUP BY e.p, GROUPING SETS ((), (e.t), (e.c), (e.t, e.c)), GROUPING SETS ((e.feature), (e.task_type), (e.operation), (e.model))) g
          GROUP BY g.label) g
), weeks AS (
    -- same_cost: what the week had cost when as much of it had passed as has now.
    SELECT json_agg(json_build_array(g.week, g.t, g.c, g.cost, round(g.same_cost, 12)) ORDER BY g.week) AS rows
    FROM (SELECT date_trunc('week', e.day)::date AS week, e.t, e.c, sum(e.cost) AS cost,
                 sum(e.cost * CASE WHEN e.weekday < extract(isodow FROM :'today'::date) THEN 1 WHEN e.weekday = extract(isodow FROM :'today'::date) THEN :day_ratio END) AS same_cost
          FROM (SELECT e.*, extract(isodow FROM e.day) AS weekday FROM scope_day e) e
          GROUP BY date_trunc('week', e.day), GROUPING SETS ((), (e.t), (e.c), (e.t, e.c))) g
), last_month AS (
    SELECT json_agg(json_build_array(g.t, g.c, round(g.same_cost, 12))) AS rows
    FROM (SELECT e.t, e.c, sum(e.cost * CASE WHEN e.day < k.day THEN 1 ELSE :day_ratio END) AS same_cost
          FROM scope_day e
          JOIN (SELECT :'today'::date - interval '1 month' AS day) k ON e.day >= date_trunc('month', k.day) AND e.day <= k.day
          GROUP BY GROUPING SETS ((), (e.t), (e.c), (e.t, e.c))) g
), run_days AS (
    SELECT json_agg(json_build_array(g.day, g.t, g.c, g.runs, round(cost_ledger.total(g.run_cost) / nullif(cost_ledger.num_values(g.run_cost), 0), 12), cost_ledger.p95(g.run_cost),
                                     cost_ledger.maximum(g.run_cost)) ORDER BY g.day) AS rows
    FROM (SELECT e.day, e.t, e.c, sum(e.runs) AS runs, cost_ledger.merge(e.run_cost) AS run_cost
          FROM run_cell e
          GROUP BY e.day, GROUPING SETS ((e.t), (e.c), (e.t, e.c))) g
), run_totals AS (
    SELECT json_agg(json_build_array(g.p, g.t, g.c, g.runs, g.priced_runs, g.cost, round(g.cost / nullif(g.priced_runs, 0), 12), g.p95_cost, g.max_cost,
                                     round((g.cost - g.max_cost) / nullif(g.priced_runs - 1, 0), 12))) AS rows
    FROM (SELECT g.p, g.t, g.c, g.runs, coalesce(cost_ledger.num_values(g.run_cost), 0) AS priced_runs, cost_ledger.total(g.run_cost) AS cost,
                 cost_ledger.p95(g.run_cost) AS p95_cost, cost_ledger.maximum(g.run_cost) AS max_cost
          FROM (SELECT e.p, e.t, e.c, sum(e.runs) AS runs, cost_ledger.merge(e.run_cost) AS run_cost
                FROM run_period e
                WHERE e.p = 0
                GROUP BY e.p, GROUPING SETS ((), (e.t), (e.c), (e.t, e.c))) g) g
), run_tasks AS (
    SELECT json_agg(json_build_array(g.p, g.t, g.c, g.task_type, g.runs, round(cost_ledger.total(g.run_cost) / nullif(cost_ledger.num_values(g.run_cost), 0), 12),
                                     cost_ledger.p95(g.run_cost))) AS rows
    FROM (SELECT e.p, e.t, e.c, e.task_type, sum(e.runs) AS runs, cost_ledger.merge(e.run_cost) AS run_cost
          FROM run_period e
          GROUP BY e.p, GROUPING SETS ((), (e.t), (e.c), (e.t, e.c)), e.task_type) g
), run_list AS (
    SELECT json_agg(json_build_array(r.root_run_id, r.t, r.c, extract(epoch FROM r.started_at)::bigint, r.cost, r.own_cost, r.calls, r.runs,
                                     nullif(r.task_type, ''), nullif(r.team, ''), r.feature, nullif(r.customer, ''), r.trace_url, p.ps)
                    ORDER BY r.cost DESC, r.started_at, r.root_run_id) AS rows
    FROM dearest r
    CROSS JOIN LATERAL (SELECT json_agg(p.p ORDER BY p.p) AS ps FROM period p WHERE (r.bucket >> p.p) & 1 = 1) p
), lists AS (
    SELECT json_object_agg(CASE l.label WHEN 't' THEN 'team' WHEN 'c' THEN 'customer' ELSE l.label END, l.names) AS rows
    FROM (SELECT l.label, json_agg(CASE WHEN l.is_rest THEN json_build_object('rest', l.of - l.most) WHEN l.value = '' THEN 'null'::json ELSE to_json(l.value) END ORDER BY l.place) AS names
          FROM (SELECT DISTINCT c.label, c.place, c.is_rest, c.of, c.most, CASE WHEN NOT c.is_rest THEN c.value END AS value FROM cut c) l
          GROUP BY l.label) l
), unpriced AS (
    SELECT json_agg(json_build_array(u.provider, u.model, u.calls, u.day) ORDER BY u.calls DESC, u.provider, u.model) AS rows
    FROM (SELECT b.provider, b.model, sum(b.unpriced_calls) AS calls, min(b.day) AS day
          FROM cube b
          WHERE b.unpriced_calls > 0
          GROUP BY b.provider, b.model
          ORDER BY calls DESC LIMIT 10) u
), forecasts AS (
    SELECT json_agg(json_build_array(f.t, f.c, f.spent, f.forecast, f.forecast_low, f.forecast_high, f.no_forecast_reason)) AS rows
    FROM (
        SELECT NULL::bigint AS t, NULL::bigint AS c, s.spent, s.forecast, s.forecast_low, s.forecast_high, s.no_forecast_reason FROM cost_ledger.project_spend() s
        UNION ALL
        SELECT c.place, NULL, s.spent, s.forecast, s.forecast_low, s.forecast_high, s.no_forecast_reason
        FROM cost_ledger.project_spend('team') s JOIN cut c ON c.label = 't' AND NOT c.is_rest AND c.value = coalesce(s.value, '')
        UNION ALL
        SELECT NULL, c.place, s.spent, s.forecast, s.forecast_low, s.forecast_high, s.no_forecast_reason
        FROM cost_ledger.project_spend('customer') s JOIN cut c ON c.label = 'c' AND NOT c.is_rest AND c.value = coalesce(s.value, '')) f
)
SELECT format(E',"runs_from":%s\n,"periods":%s\n,"lists":%s\n,"totals":%s\n,"parts":%s\n,"weeks":%s\n,"last_month":%s\n,"run_days":%s\n,"run_totals":%s\n,"run_tasks":%s\n,"dearest":%s\n,"unpriced":%s\n,"forecasts":%s',
              to_json(:'runs_from'::date),
              (SELECT json_agg(json_build_array(p.name, p.first_day, p.last_day) ORDER BY p.p) FROM period p),
              coalesce(lists.rows, '{}'), coalesce(totals.rows, '[]'), coalesce(parts.rows, '{}'), coalesce(weeks.rows, '[]'), coalesce(last_month.rows, '[]'),
              (SELECT coalesce(json_agg(d), '[]') FROM (SELECT json_array_elements(:'run_days'::json) AS d UNION ALL SELECT json_array_elements(run_days.rows)) d), coalesce(run_totals.rows, '[]'), coalesce(run_tasks.rows, '[]'), coalesce(run_list.rows, '[]'),
              coalesce(unpriced.rows, '[]'), coalesce(forecasts.rows, '[]'))
FROM lists, totals, parts, weeks, last_month, run_days, run_totals, run_tasks, run_list, unpriced, forecasts;
