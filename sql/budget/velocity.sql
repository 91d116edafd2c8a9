-- Velocity: how many times faster than its pace a budget is being used.
-- As spend_rate(), it reads the sums by minute of all calls with the owner's
-- rights, and is told what the caller may see.

CREATE FUNCTION cost_ledger_internal.budget_velocity(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (budget_id bigint, name text, entity text, pace numeric, rate_5m numeric, rate_1h numeric, velocity numeric, exhausted_at timestamptz)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.budget_velocity(timestamptz, boolean, text[], text[]) IS
    'cost_ledger.budget_velocity() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.budget_velocity_as_owner(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (budget_id bigint, name text, entity text, pace numeric, rate_5m numeric, rate_1h numeric, velocity numeric, exhausted_at timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    -- Of what is put together here nobody has statistics: the planner expects a
    -- few budgets, and would go through all of them for each.
    SET enable_nestloop = off
AS $$
    WITH windows AS (
        SELECT date_trunc('minute', budget_velocity_as_owner.at - interval '5 minutes') AS start_5m,
               date_trunc('minute', budget_velocity_as_owner.at - interval '1 hour') AS start_1h
    ), recent AS MATERIALIZED (
        SELECT jsonb_strip_nulls(jsonb_build_object('team', m.team, 'feature', m.feature, 'customer', m.customer, 'task_type', m.task_type,
                                                    'environment', m.environment, 'provider', m.provider, 'model', m.model,
                                                    'service_class', m.service_class, 'operation', m.operation)) AS labels,
               sum(m.cost) AS cost, sum(m.cost) FILTER (WHERE m.minute >= w.start_5m) AS cost_5m
        FROM windows w
        JOIN cost_ledger_internal.live_minute m
            ON m.minute >= date_trunc('minute', budget_velocity_as_owner.at - interval '1 hour') AND m.minute <= budget_velocity_as_owner.at
        GROUP BY 1
    ), wanted AS MATERIALIZED (
        SELECT b.*, b.budget_id IN (SELECT x.exception_of FROM cost_ledger.budget x WHERE x.exception_of IS NOT NULL AND x.is_active) AS has_exceptions,
               v.limit_amount, p.period_start, v.limit_amount * 3600 / extract(epoch FROM p.period_end - p.period_start) AS pace
        FROM cost_ledger.budget b
        CROSS JOIN LATERAL (
            SELECT v.limit_amount FROM cost_ledger.budget_version v
            WHERE v.budget_id = b.budget_id AND v.valid_from <= now() AND (v.valid_to IS NULL OR v.valid_to > now())
            ORDER BY v.version DESC LIMIT 1) v
        -- Most budgets share a period: it is worked out once for each kind.
        JOIN (SELECT k.*, c.period_start, c.period_end
              FROM (SELECT DISTINCT b.period, coalesce(b.time_zone, l.time_zone) AS zone, b.week_start
                    FROM cost_ledger.budget b CROSS JOIN cost_ledger.ledger l WHERE b.period IN ('hour', 'day', 'week', 'month', 'quarter')) k
              CROSS JOIN LATERAL cost_ledger_internal.budget_period(k.period, budget_velocity_as_owner.at, k.zone, k.week_start) c) p
            ON p.period = b.period AND p.zone = coalesce(b.time_zone, (SELECT l.time_zone FROM cost_ledger.ledger l)) AND p.week_start = b.week_start
        WHERE b.is_active AND b.metric = 'cost'
          -- Minutes are kept by these labels only.
          AND b.scope - '{team,feature,customer,task_type,environment,provider,model,service_class,operation}'::text[] = '{}'
          AND cost_ledger_internal.each_columns(b.each_of) <@ '{team,feature,customer,task_type,environment,provider,model,service_class,operation}'
    ), spend AS MATERIALIZED (
        -- As a call finds its budgets: by the most selective pair of their scope.
        SELECT b.budget_id, n.entity COLLATE "C" AS entity,
               coalesce(sum(r.cost_5m), 0) AS cost_5m, coalesce(sum(r.cost), 0) AS cost
        FROM recent r
        CROSS JOIN LATERAL unnest(cost_ledger_internal.budget_keys(r.labels)) AS k (key)
        JOIN wanted b ON b.match_key = k.key AND cost_ledger_internal.matches_filter(r.labels, b.scope)
        CROSS JOIN LATERAL (SELECT cost_ledger_internal.entity_of(cost_ledger_internal.each_columns(b.each_of), r.labels) AS entity) n
        WHERE n.entity IS NOT NULL AND NOT (b.has_exceptions AND cost_ledger_internal.is_excepted(b.budget_id, r.labels))
        GROUP BY 1, 2
    ), used AS (
        -- A budget of one limit is there also while nothing is spent.
        SELECT b.budget_id, coalesce(s.entity, '') AS entity, coalesce(s.cost_5m, 0) AS cost_5m, coalesce(s.cost, 0) AS cost
        FROM wanted b
        LEFT JOIN spend s ON s.budget_id = b.budget_id
        WHERE b.each_of IS NULL OR s.budget_id IS NOT NULL
    )
    SELECT b.budget_id, b.name, u.entity, round(b.pace, 12), round(r.rate_5m, 12), round(r.rate_1h, 12), round(least(r.rate_5m, r.rate_1h) / b.pace, 6),
           CASE WHEN a.spent >= b.limit_amount THEN budget_velocity_as_owner.at
                WHEN r.rate_1h > 0 AND (b.limit_amount - a.spent) / r.rate_1h < 876000
                THEN budget_velocity_as_owner.at + ((b.limit_amount - a.spent) / r.rate_1h)::double precision * interval '1 hour' END
    FROM wanted b
    JOIN used u ON u.budget_id = b.budget_id
    CROSS JOIN windows w
    CROSS JOIN LATERAL (
        SELECT u.cost_5m * 3600 / extract(epoch FROM budget_velocity_as_owner.at - w.start_5m) AS rate_5m,
               u.cost * 3600 / extract(epoch FROM budget_velocity_as_owner.at - w.start_1h) AS rate_1h) r
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(s.posted), 0) AS spent FROM cost_ledger_internal.budget_balance s
        WHERE s.budget_id = b.budget_id AND s.entity = u.entity AND s.period_start = b.period_start) a
    WHERE sees_all OR cost_ledger_internal.is_own_scope(cost_ledger_internal.entity_scope(b.scope, b.each_of, u.entity), teams, customers)
$$;

COMMENT ON FUNCTION cost_ledger_internal.budget_velocity_as_owner(timestamptz, boolean, text[], text[]) IS
    'The body of budget_velocity().';

CREATE FUNCTION cost_ledger.budget_velocity(at timestamptz DEFAULT now())
    RETURNS TABLE (budget_id bigint, name text, entity text, pace numeric, rate_5m numeric, rate_1h numeric, velocity numeric, exhausted_at timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.*
    FROM cost_ledger_internal.budget_velocity(budget_velocity.at, cost_ledger_internal.sees_all(),
                                         cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) r;
END;

COMMENT ON FUNCTION cost_ledger.budget_velocity(timestamptz) IS
    'How fast each active cost budget of an hour, day, week, month or quarter is being used, and each entity of it that spent in the last hour: its pace (limit_amount / length of the period), the rates of the last 5 minutes and the last hour, all per hour (12 decimals), velocity, the lower rate as a multiple of the pace (6 decimals), so that one burst or one quiet minute is none, and when the limit is used up at the rate of the last hour. Not for users, runs, sessions, agents or API keys, by which minutes are not kept: a budget of a minute or a rolling window is for them.';
