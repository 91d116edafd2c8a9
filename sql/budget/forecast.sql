-- Forecasts: where a budget's period will end, and how sure that is.
--
-- They tell people, and stop nobody: reserve() goes by what was spent and is held.

CREATE FUNCTION cost_ledger_internal.project_spend(
    spent         numeric,
    at            timestamptz,
    period_start  timestamptz,
    period_end    timestamptz,
    daily         numeric[] DEFAULT NULL,
    time_zone     text DEFAULT 'UTC',
    OUT method    text,
    OUT forecast  numeric,
    OUT low       numeric,
    OUT high      numeric,
    OUT reason    text
) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known integer := coalesce(cardinality(daily), 0);
    seconds_left numeric;
    by_history numeric;
    by_rate numeric;
    band numeric;
BEGIN
    IF spent IS NULL OR NOT isfinite(period_start) OR NOT isfinite(period_end) THEN
        reason := 'the period has no end';
        RETURN;
    ELSIF at >= period_end THEN
        reason := 'the period is over';
        RETURN;
    END IF;
    seconds_left := extract(epoch FROM period_end - at);
    IF known >= 28 THEN
        method := 'seasonal';
        -- Each day that is left, or its part, at the mean of its day of the
        -- week: of day 0, today, that is 7, 14, 21 and 28 days ago.
        SELECT spent + coalesce(sum((daily[known - 6 + k % 7] + daily[known - 13 + k % 7] + daily[known - 20 + k % 7] + daily[known - 27 + k % 7]) / 4
                                    * extract(epoch FROM least(d.day_end, period_end) - greatest(d.day_start, at))
                                    / extract(epoch FROM d.day_end - d.day_start)), 0)
            INTO by_history
            FROM generate_series(0, (period_end AT TIME ZONE time_zone)::date - (at AT TIME ZONE time_zone)::date) AS k
            CROSS JOIN LATERAL (SELECT (at AT TIME ZONE time_zone)::date + k AS day) AS l
            CROSS JOIN LATERAL (SELECT l.day::timestamp AT TIME ZONE time_zone AS day_start, (l.day + 1)::timestamp AT TIME ZONE time_zone AS day_end) AS d
            WHERE d.day_start < period_end AND d.day_end > at;
    ELSIF known >= 7 THEN
        method := 'trailing';
        by_history := spent + (SELECT sum(x) / 7 FROM unnest(daily[known - 6:known]) AS x) * seconds_left / 86400;
    END IF;
    -- History does not know of what is going on now; when the period has just
    -- begun, one call would say too much.
    IF (at - period_start) * 10 >= period_end - period_start THEN
        by_rate := spent * extract(epoch FROM period_end - period_start) / extract(epoch FROM at - period_start);
    END IF;
    IF by_rate > by_history OR by_history IS NULL THEN
        method := CASE WHEN by_rate IS NOT NULL THEN 'run_rate' END;
    END IF;
    forecast := trim_scale(greatest(by_history, by_rate));
    IF forecast IS NULL THEN
        reason := 'less than 10 percent of the period is over, and no 7 whole days before it are known';
    ELSIF known >= 7 THEN
        band := 1.2816 * (SELECT stddev_samp(x) FROM unnest(daily) AS x) * sqrt(seconds_left / 86400);
        -- Where credits are expected it may be less than was spent.
        low := trim_scale(greatest(forecast - band, least(spent, forecast)));
        high := trim_scale(forecast + band);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.project_spend(numeric, timestamptz, timestamptz, timestamptz, numeric[], text) IS
    'What will have been spent when a period ends, of what was spent in it so far. daily is the spend of each of the last whole days before at, the latest last. With 28 of them seasonal: spent + for each day that is left, or its part, the mean of that day of the week over 4 weeks; with 7 trailing: spent + time left × mean of the last 7 days. After 10 percent of the period also run_rate: spent × length / elapsed; the higher of both counts. low and high are the band in which 8 of 10 fall if days are independent and normal: forecast ± 1.2816 × s × √(days left), s the sample standard deviation of daily, low not below spent, unless the forecast is; NULL without 7 days. forecast is NULL with a reason where there is too little to go by.';

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
    -- Only what some budget asks for keeps groups apart.
    RETURN QUERY EXECUTE format($query$
        WITH wanted AS MATERIALIZED (
            SELECT b.*, b.budget_id IN (SELECT x.exception_of FROM cost_ledger.budget x WHERE x.exception_of IS NOT NULL AND x.is_active) AS has_exceptions
            FROM cost_ledger.budget b
            WHERE %3$s
        ), spend AS MATERIALIZED (
            SELECT f.*, jsonb_strip_nulls(jsonb_build_object(%2$s)) AS labels
            FROM (SELECT %1$s r.day, coalesce(sum(r.cost), 0) AS cost, sum(r.input_tokens + r.output_tokens) AS tokens,
                         sum(r.calls) AS calls, sum(r.tool_calls) AS tool_calls
                  FROM cost_ledger_internal.live_day r
                  WHERE r.day >= $2 - $3 AND r.day < $2
                  GROUP BY %1$s r.day) f
        ), found AS (
            SELECT b.budget_id, n.entity COLLATE "C" AS entity, f.day,
                   sum(CASE b.metric WHEN 'cost' THEN f.cost WHEN 'tokens' THEN f.tokens WHEN 'calls' THEN f.calls ELSE f.tool_calls END) AS spent
            FROM spend f
            CROSS JOIN LATERAL unnest(cost_ledger_internal.budget_keys(f.labels)) AS k (key)
            JOIN wanted b ON b.match_key = k.key AND cost_ledger_internal.matches_filter(f.labels, b.scope)
            CROSS JOIN LATERAL (SELECT cost_ledger_internal.entity_of(cost_ledger_internal.each_columns(b.each_of), f.labels) AS entity) n
            WHERE n.entity IS NOT NULL AND NOT (b.has_exceptions AND cost_ledger_internal.is_excepted(b.budget_id, f.labels))
            GROUP BY 1, 2, 3
        )
        SELECT e.budget_id, e.entity, array_agg(coalesce(f.spent, 0) ORDER BY d.day)
        FROM (SELECT f.budget_id, f.entity FROM found f
              UNION
              SELECT b.budget_id, '' FROM wanted b WHERE b.each_of IS NULL) e
        CROSS JOIN (SELECT $2 - n AS day FROM generate_series(1, $3) AS n) d
        LEFT JOIN found f ON f.budget_id = e.budget_id AND f.entity = e.entity AND f.day = d.day
        GROUP BY e.budget_id, e.entity
        $query$,
        (SELECT string_agg(format('r.%I, ', c), '') FROM unnest(columns) c),
        (SELECT string_agg(format('%L, f.%I', c, c), ', ') FROM unnest(columns) c),
        wanted)
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
            FROM cost_ledger_internal.live_day d
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
        CROSS JOIN LATERAL cost_ledger_internal.project_spend(s.spent, $10, $2, $3, d.daily, $4) p
        $query$, CASE WHEN project_labels_as_owner.label IS NULL THEN 'NULL::text' ELSE format('d.%I', project_labels_as_owner.label) END)
        USING today, bounds.period_start, bounds.period_end, ledger.time_zone, days, sees_all, teams, customers, ledger.currency, project_labels_as_owner.at;
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
