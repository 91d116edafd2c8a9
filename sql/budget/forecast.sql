-- Forecasts: where a budget's period will end, and how sure that is.
--
-- They tell people, and stop nobody: reserve() goes by what was spent and is held.

CREATE FUNCTION cost_ledger_internal.project_rate(spent numeric, at timestamptz, period_start timestamptz, period_end timestamptz) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN isfinite(period_start) AND isfinite(period_end) AND at < period_end
                     AND (at - period_start) * 10 >= period_end - period_start
                THEN spent * extract(epoch FROM period_end - period_start) / extract(epoch FROM at - period_start) END
$$;

COMMENT ON FUNCTION cost_ledger_internal.project_rate(numeric, timestamptz, timestamptz, timestamptz) IS
    'What will have been spent when a period ends if it goes on as it has: spent × length / elapsed. NULL before 10 percent of the period, when one call would say too much, and where there is no end.';

CREATE FUNCTION cost_ledger_internal.seasonal_spend(at timestamptz, period_end timestamptz, daily numeric[], time_zone text) RETURNS numeric
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Of day 0, today, the same day of the week was 7, 14, 21 and 28 days ago.
    SELECT coalesce(sum((daily[n - 6 + k % 7] + daily[n - 13 + k % 7] + daily[n - 20 + k % 7] + daily[n - 27 + k % 7]) / 4
                        * extract(epoch FROM least(d.day_end, period_end) - greatest(d.day_start, at))
                        / extract(epoch FROM d.day_end - d.day_start)), 0)
    FROM cardinality(daily) AS n
    CROSS JOIN generate_series(0, (period_end AT TIME ZONE time_zone)::date - (at AT TIME ZONE time_zone)::date) AS k
    CROSS JOIN LATERAL (SELECT (at AT TIME ZONE time_zone)::date + k AS day) AS l
    CROSS JOIN LATERAL (SELECT l.day::timestamp AT TIME ZONE time_zone AS day_start, (l.day + 1)::timestamp AT TIME ZONE time_zone AS day_end) AS d
    WHERE d.day_start < period_end AND d.day_end > at
$$;

COMMENT ON FUNCTION cost_ledger_internal.seasonal_spend(timestamptz, timestamptz, numeric[], text) IS
    'What will be spent until then if each day that is left, or its part, costs the mean of its day of the week over the last 4 weeks.';

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
    by_rate numeric := cost_ledger_internal.project_rate(spent, at, period_start, period_end);
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
        by_history := spent + cost_ledger_internal.seasonal_spend(at, period_end, daily, time_zone);
    ELSIF known >= 7 THEN
        method := 'trailing';
        by_history := spent + (SELECT sum(x) / 7 FROM unnest(daily[known - 6:known]) AS x) * seconds_left / 86400;
    END IF;
    -- History does not know of what is going on now.
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
        AND b.scope - $1 = '{}' AND (b.each_of IS NULL OR b.each_of = ANY ($1))$condition$;
    columns text[];
    today date := (daily_spend_as_owner.at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date;
    days integer;
BEGIN
    EXECUTE format('SELECT coalesce(array_agg(DISTINCT u.name) FILTER (WHERE u.name <> ''''), ''{}'')
                    FROM cost_ledger.budget b
                    CROSS JOIN LATERAL (SELECT jsonb_object_keys(b.scope) UNION ALL SELECT coalesce(b.each_of, '''')) AS u (name)
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
        WITH spend AS MATERIALIZED (
            SELECT f.*, jsonb_strip_nulls(jsonb_build_object(%3$s)) AS labels
            FROM (SELECT %1$s r.day, coalesce(sum(r.cost), 0) AS cost, sum(r.input_tokens + r.output_tokens) AS tokens,
                         sum(r.calls) AS calls, sum(r.tool_calls) AS tool_calls
                  FROM cost_ledger_internal.live_day r
                  WHERE r.day >= $2 - $3 AND r.day < $2
                  GROUP BY %1$s r.day) f
        ), found AS (
            SELECT b.budget_id, coalesce(cost_ledger_internal.shorten_id(f.labels ->> b.each_of), '') COLLATE "C" AS entity, f.day,
                   sum(CASE b.metric WHEN 'cost' THEN f.cost WHEN 'tokens' THEN f.tokens WHEN 'calls' THEN f.calls ELSE f.tool_calls END) AS spent
            FROM spend f
            CROSS JOIN LATERAL unnest(ARRAY['' %2$s]) AS k (key)
            JOIN cost_ledger.budget b ON b.match_key = k.key AND f.labels @> b.scope AND (b.each_of IS NULL OR f.labels ? b.each_of)
            WHERE %4$s
            GROUP BY 1, 2, 3
        )
        SELECT e.budget_id, e.entity, array_agg(coalesce(f.spent, 0) ORDER BY d.day)
        FROM (SELECT f.budget_id, f.entity FROM found f
              UNION
              SELECT b.budget_id, '' FROM cost_ledger.budget b WHERE b.each_of IS NULL AND %4$s) e
        CROSS JOIN (SELECT $2 - n AS day FROM generate_series(1, $3) AS n) d
        LEFT JOIN found f ON f.budget_id = e.budget_id AND f.entity = e.entity AND f.day = d.day
        GROUP BY e.budget_id, e.entity
        $query$,
        (SELECT string_agg(format('r.%I, ', c), '') FROM unnest(columns) c),
        (SELECT string_agg(format(', %L || cost_ledger_internal.shorten_id(f.%I)', c || '=', c), '') FROM unnest(columns) c),
        (SELECT string_agg(format('%L, f.%I', c, c), ', ') FROM unnest(columns) c),
        wanted)
        USING known_columns, today, days;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.daily_spend_as_owner(timestamptz) IS
    'The body of daily_spend().';
