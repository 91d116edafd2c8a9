-- Forecasts: where a budget's period will end, and how sure that is.
--
-- They tell people, and stop nobody: reserve() goes by what was spent and is held.

CREATE FUNCTION cost_ledger_internal.days_left(at timestamptz, period_end timestamptz, time_zone text) RETURNS numeric[]
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    -- Counted, not made: a period may have any length.
    SELECT array_agg((w.n + 7 - CASE o WHEN 0 THEN 7 ELSE o END) / 7
                     + CASE WHEN o = 0 THEN extract(epoch FROM least(w.today_end, period_end) - at) / extract(epoch FROM w.today_end - w.today_start) ELSE 0 END
                     + CASE WHEN o = (w.n + 1) % 7 AND w.last_start > at THEN extract(epoch FROM period_end - w.last_start) / extract(epoch FROM w.last_end - w.last_start) ELSE 0 END
                     ORDER BY o)
    -- Asked for again: a planner may subtract before it knows.
    FROM (SELECT greatest(CASE WHEN isfinite(d.last) AND isfinite(d.today) THEN d.last - d.today END - 1, 0) AS n,
                 cost_ledger_internal.day_start(d.today, time_zone) AS today_start, cost_ledger_internal.day_start(d.today + 1, time_zone) AS today_end,
                 cost_ledger_internal.day_start(d.last, time_zone) AS last_start, cost_ledger_internal.day_start(d.last + 1, time_zone) AS last_end
          FROM (SELECT (at AT TIME ZONE time_zone)::date AS today, (period_end AT TIME ZONE time_zone)::date AS last
                WHERE at < period_end AND isfinite(at) AND isfinite(period_end)) d
          OFFSET 0) w
    CROSS JOIN generate_series(0, 6) AS o;
END;

COMMENT ON FUNCTION cost_ledger_internal.days_left(timestamptz, timestamptz, text) IS
    'How many days of each day of the week, that of at first, are left of a period, with the parts of the first and the last: seven numbers; NULL where it has no end, or is over.';

-- One statement that the planner takes into the query that asks: there may be a
-- million entities.  What is worked out once is fenced off by OFFSET 0.
CREATE FUNCTION cost_ledger_internal.project_spend(
    spent         numeric,
    at            timestamptz,
    period_start  timestamptz,
    period_end    timestamptz,
    daily         numeric[] DEFAULT NULL,
    time_zone     text DEFAULT 'UTC',
    days_left     numeric[] DEFAULT NULL
) RETURNS TABLE (method text, forecast numeric, low numeric, high numeric, reason text)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN f.forecast IS NOT NULL THEN f.method END,
           f.forecast,
           -- Where credits are expected it may be less than was spent.
           CASE WHEN f.band IS NOT NULL THEN trim_scale(greatest(f.forecast - f.band, least(spent, f.forecast))) END,
           trim_scale(f.forecast + f.band),
           CASE WHEN f.forecast IS NOT NULL THEN NULL
                WHEN spent IS NULL OR NOT isfinite(period_start) OR NOT isfinite(period_end) THEN 'the period has no end'
                WHEN at >= period_end THEN 'the period is over'
                ELSE 'less than 10 percent of the period is over, and no 7 whole days before it are known' END
    FROM (SELECT CASE WHEN p.by_rate > p.by_history OR p.by_history IS NULL THEN 'run_rate' WHEN cardinality(daily) >= 28 THEN 'seasonal' ELSE 'trailing' END AS method,
                 trim_scale(greatest(p.by_history, p.by_rate)) AS forecast,
                 CASE WHEN p.by_history IS NOT NULL
                      THEN 1.2816 * (SELECT stddev_samp(x) FROM unnest(daily) AS x) * sqrt(greatest(extract(epoch FROM period_end - at), 0) / 86400) END AS band
          FROM (SELECT CASE
                           -- What has no end, or is over, has no forecast.
                           WHEN (at < period_end AND isfinite(period_start) AND isfinite(period_end)) IS NOT TRUE THEN NULL
                           -- Each day that is left, or its part, at the mean of its day of the
                           -- week: of day 0, today, that is 7, 14, 21 and 28 days ago.
                           WHEN cardinality(daily) >= 28 THEN
                               spent + (SELECT sum(l.days * (daily[cardinality(daily) - 7 + l.n] + daily[cardinality(daily) - 14 + l.n]
                                                             + daily[cardinality(daily) - 21 + l.n] + daily[cardinality(daily) - 28 + l.n]) / 4)
                                        FROM unnest(coalesce(days_left, cost_ledger_internal.days_left(at, period_end, time_zone))) WITH ORDINALITY AS l (days, n))
                           WHEN cardinality(daily) >= 7 THEN
                               spent + (SELECT sum(x) / 7 FROM unnest(daily[cardinality(daily) - 6:]) AS x) * extract(epoch FROM period_end - at) / 86400
                       END AS by_history,
                       -- History does not know of what is going on now; when the period has just
                       -- begun, one call would say too much.
                       CASE WHEN at < period_end AND isfinite(period_start) AND isfinite(period_end) AND (at - period_start) * 10 >= period_end - period_start
                            THEN spent * extract(epoch FROM period_end - period_start) / extract(epoch FROM at - period_start) END AS by_rate
                OFFSET 0) p
          OFFSET 0) f;
END;

COMMENT ON FUNCTION cost_ledger_internal.project_spend(numeric, timestamptz, timestamptz, timestamptz, numeric[], text, numeric[]) IS
    'What will have been spent when a period ends, of what was spent in it so far. daily is the spend of each of the last whole days before at, the latest last. With 28 of them seasonal: spent + for each day that is left, or its part, the mean of that day of the week over 4 weeks; with 7 trailing: spent + time left × mean of the last 7 days. After 10 percent of the period also run_rate: spent × length / elapsed; the higher of both counts. low and high are the band in which 8 of 10 fall if days are independent and normal: forecast ± 1.2816 × s × √(days left), s the sample standard deviation of daily, low not below spent, unless the forecast is; NULL without 7 days. forecast is NULL with a reason where there is too little to go by. days_left is that of days_left(), for who has many of one period; NULL: of time_zone.';

CREATE FUNCTION cost_ledger_internal.daily_spend(at timestamptz DEFAULT now())
    RETURNS TABLE (budget_id bigint, entity text, daily numeric[])
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.daily_spend(timestamptz) IS
    'What was spent on each of the last whole days of the reporting zone, 28 at most, the latest last, by active budget of a day, week, month or quarter and its entities, in the unit of the budget. The first day is at the earliest that of the ledger''s first call. Days are kept by team, feature, customer, flow, task type, environment, provider, model, service class and operation; budgets of users, runs, sessions, agents or API keys, and of turns, are not here.';

CREATE FUNCTION cost_ledger_internal.daily_spend_as_owner(at timestamptz)
    RETURNS TABLE (budget_id bigint, entity text, daily numeric[])
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    -- What days are kept by.
    known_columns constant text[] := '{customer,feature,team,flow,task_type,model,provider,operation,service_class,environment}';
    wanted text := $condition$b.is_active AND b.metric IN ('cost', 'tokens', 'calls', 'tool_calls')
        AND b.period IN ('day', 'week', 'month', 'quarter')
        AND b.scope - $1 = '{}' AND cost_ledger_internal.each_columns(b.each_of) <@ $1
        AND NOT EXISTS (SELECT FROM cost_ledger.budget x
                        WHERE x.exception_of = b.budget_id AND x.is_active
                          AND NOT (x.scope - $1 = '{}' AND cost_ledger_internal.each_columns(x.each_of) <@ $1))$condition$;
    columns text[];
    today date := (daily_spend_as_owner.at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date;
    days integer;
BEGIN
    EXECUTE format('SELECT coalesce(array_agg(DISTINCT u.name) FILTER (WHERE u.name <> ''''), ''{}'')
                    FROM cost_ledger.budget b
                    CROSS JOIN LATERAL (SELECT jsonb_object_keys(b.scope) UNION ALL SELECT unnest(cost_ledger_internal.each_columns(b.each_of)) UNION ALL SELECT '''') AS u (name)
                    WHERE %s HAVING count(*) > 0', wanted)
        INTO columns USING known_columns;
    IF columns IS NULL THEN
        RETURN;
    END IF;
    -- Where there is an older day, nobody has to look for the oldest.
    days := CASE WHEN EXISTS (SELECT FROM cost_ledger_internal.live_total_day r WHERE r.label = 'all' AND r.day <= today - 28) THEN 28
                 ELSE today - (SELECT min(r.day) FROM cost_ledger_internal.live_total_day r WHERE r.label = 'all' AND r.day > today - 28) END;
    IF coalesce(days, 0) < 1 THEN
        RETURN;
    END IF;
    -- Only what some budget asks for keeps groups apart.  Budgets are found for
    -- each combination of labels, not for each of its days.
    RETURN QUERY EXECUTE format($query$
        WITH wanted AS MATERIALIZED (
            SELECT b.*, b.budget_id IN (SELECT x.exception_of FROM cost_ledger.budget x WHERE x.exception_of IS NOT NULL AND x.is_active) AS has_exceptions
            FROM cost_ledger.budget b
            WHERE %3$s
        ), spend AS MATERIALIZED (
            SELECT jsonb_strip_nulls(jsonb_build_object(%2$s)) AS labels, array_agg(f.day) AS days, array_agg(f.cost) AS cost,
                   array_agg(f.tokens) AS tokens, array_agg(f.calls) AS calls, array_agg(f.tool_calls) AS tool_calls
            FROM (SELECT %1$s r.day, coalesce(sum(r.cost), 0) AS cost, sum(r.input_tokens + r.output_tokens) AS tokens,
                         sum(r.calls)::numeric AS calls, sum(r.tool_calls)::numeric AS tool_calls
                  FROM cost_ledger_internal.live_day r
                  WHERE r.day >= $2 - $3 AND r.day < $2
                  GROUP BY %1$s r.day) f
            GROUP BY %4$s
        ), found AS (
            SELECT b.budget_id, n.entity COLLATE "C" AS entity, array_agg(d.day) AS days, array_agg(d.spent) AS spent
            FROM spend f
            CROSS JOIN LATERAL unnest(cost_ledger_internal.budget_keys(f.labels)) AS k (key)
            JOIN wanted b ON b.match_key = k.key AND cost_ledger_internal.matches_filter(f.labels, b.scope)
            CROSS JOIN LATERAL (SELECT cost_ledger_internal.entity_of(cost_ledger_internal.each_columns(b.each_of), f.labels) AS entity) n
            CROSS JOIN LATERAL unnest(f.days, CASE b.metric WHEN 'cost' THEN f.cost WHEN 'tokens' THEN f.tokens WHEN 'calls' THEN f.calls ELSE f.tool_calls END)
                AS d (day, spent)
            WHERE n.entity IS NOT NULL AND NOT (b.has_exceptions AND cost_ledger_internal.is_excepted(b.budget_id, f.labels))
            GROUP BY 1, 2
            UNION ALL
            SELECT b.budget_id, '', NULL, NULL FROM wanted b WHERE b.each_of IS NULL
        )
        SELECT e.budget_id, e.entity,
               ARRAY(SELECT sum(d.spent)
                     FROM (SELECT u.day, u.spent FROM unnest(e.days, e.spent) AS u (day, spent)
                           UNION ALL
                           SELECT $2 - n, 0 FROM generate_series(1, $3) AS n) d
                     GROUP BY d.day ORDER BY d.day)
        FROM (SELECT f.budget_id, f.entity, max(f.days) AS days, max(f.spent) AS spent FROM found f GROUP BY f.budget_id, f.entity) e
        $query$,
        (SELECT string_agg(format('r.%I, ', c), '') FROM unnest(columns) c),
        (SELECT string_agg(format('%L, f.%I', c, c), ', ') FROM unnest(columns) c),
        wanted,
        (SELECT coalesce(string_agg(format('f.%I', c), ', '), '()') FROM unnest(columns) c))
        USING known_columns, today, days;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.daily_spend_as_owner(timestamptz) IS
    'The body of daily_spend().';

CREATE FUNCTION cost_ledger_internal.project_labels(label text, period text, at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (value text, starts_at timestamptz, ends_at timestamptz, spent numeric, forecast numeric, forecast_low numeric, forecast_high numeric,
                   forecast_method text, no_forecast_reason text, currency text)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.project_labels(text, text, timestamptz, boolean, text[], text[]) IS
    'cost_ledger.project_spend() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.project_labels_as_owner(label text, period text, at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (value text, starts_at timestamptz, ends_at timestamptz, spent numeric, forecast numeric, forecast_low numeric, forecast_high numeric,
                   forecast_method text, no_forecast_reason text, currency text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    labels constant text[] := '{team,feature,customer,flow,task_type,environment,provider,model,service_class,operation}';
    ledger cost_ledger.ledger;
    bounds record;
    today date;
    days integer;
BEGIN
    IF NOT coalesce(project_labels_as_owner.period IN ('day', 'week', 'month', 'quarter'), false) THEN
        RAISE EXCEPTION 'there is no forecast for the period "%"', project_labels_as_owner.period
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass day, week, month or quarter.';
    ELSIF project_labels_as_owner.label <> ALL (labels) THEN
        RAISE EXCEPTION 'days are not kept by "%"', project_labels_as_owner.label
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('Pass one of %s, or NULL for the total.', array_to_string(labels, ', '));
    END IF;
    SELECT l.* INTO STRICT ledger FROM cost_ledger.ledger l;
    bounds := cost_ledger_internal.budget_period(project_labels_as_owner.period, project_labels_as_owner.at, ledger.time_zone, 1);
    today := (project_labels_as_owner.at AT TIME ZONE ledger.time_zone)::date;
    days := least(28, today - (SELECT min(r.day) FROM cost_ledger_internal.live_total_day r WHERE r.label = 'all'));
    RETURN QUERY EXECUTE format($query$
        WITH spend AS MATERIALIZED (
            SELECT %1$s AS value, d.day, sum(d.cost) AS cost
            FROM %2$s
            WHERE d.day >= least($1 - 28, ($2 AT TIME ZONE $4)::date) AND d.day <= $1 AND ($6 OR d.team = ANY ($7) OR d.customer = ANY ($8))
            GROUP BY 1, 2
        ), daily AS (
            SELECT v.value, array_agg(coalesce(s.cost, 0) ORDER BY n DESC) AS daily
            FROM (SELECT DISTINCT s.value FROM spend s) v
            CROSS JOIN generate_series(1, $5) AS n
            LEFT JOIN spend s ON s.value IS NOT DISTINCT FROM v.value AND s.day = $1 - n
            GROUP BY v.value
        ), spent AS (
            SELECT s.value, coalesce(sum(s.cost) FILTER (WHERE s.day >= ($2 AT TIME ZONE $4)::date), 0) AS spent FROM spend s GROUP BY s.value
        )
        SELECT s.value, $2, $3, s.spent, p.forecast, p.low, p.high, p.method, p.reason, $9
        FROM spent s
        LEFT JOIN daily d ON d.value IS NOT DISTINCT FROM s.value
        CROSS JOIN LATERAL cost_ledger_internal.project_spend(s.spent, $10, $2, $3, d.daily, days_left => $11) p
        $query$, CASE WHEN project_labels_as_owner.label IS NULL THEN 'NULL::text' ELSE format('d.%I', project_labels_as_owner.label) END,
        -- The total of all is kept by itself.
        CASE WHEN sees_all AND project_labels_as_owner.label IS NULL
             THEN '(SELECT t.day, NULL::text AS team, NULL::text AS customer, t.cost FROM cost_ledger_internal.live_total_day t WHERE t.label = ''all'') d'
             ELSE 'cost_ledger_internal.live_day d' END)
        USING today, bounds.period_start, bounds.period_end, ledger.time_zone, days, sees_all, teams, customers, ledger.currency, project_labels_as_owner.at,
              cost_ledger_internal.days_left(project_labels_as_owner.at, bounds.period_end, ledger.time_zone);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.project_labels_as_owner(text, text, timestamptz, boolean, text[], text[]) IS
    'The body of project_labels().';

CREATE FUNCTION cost_ledger.project_spend(label text DEFAULT NULL, period text DEFAULT 'month', at timestamptz DEFAULT now())
    RETURNS TABLE (value text, starts_at timestamptz, ends_at timestamptz, spent numeric, forecast numeric, forecast_low numeric, forecast_high numeric,
                   forecast_method text, no_forecast_reason text, currency text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.*
    FROM cost_ledger_internal.project_labels(project_spend.label, project_spend.period, project_spend.at, cost_ledger_internal.sees_all(),
                                             cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) r;
END;

COMMENT ON FUNCTION cost_ledger.project_spend(text, text, timestamptz) IS
    'What a day, week, month or quarter of the reporting zone will have cost when it ends, without a budget: by each value of a label (team, feature, customer, flow, task_type, environment, provider, model, service_class or operation; value is NULL for calls without one), or in all (NULL). spent is what it has cost so far; forecast, its band and its method are as in budget_status; 22023 for another label or period.';
