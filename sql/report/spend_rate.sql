-- Rates: how fast money is spent, and whether that is usual.
--
-- What needs sums by minute of all calls, but shows those of the caller: the body
-- has the owner's rights, and is told what the caller may see.  The function people
-- call is parsed when it is made, as a view is, so that it may call what they cannot
-- name.

CREATE FUNCTION cost_ledger_internal.spend_rate(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (subject text, team text, rate_5m numeric, rate_1h numeric, usual_rate numeric, times_usual numeric)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.spend_rate(timestamptz, boolean, text[], text[]) IS
    'cost_ledger.spend_rate() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.spend_rate_as_owner(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (subject text, team text, rate_5m numeric, rate_1h numeric, usual_rate numeric, times_usual numeric)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    -- The windows begin with a whole minute; what is divided by is the time
    -- from there.
    WITH windows AS (
        SELECT date_trunc('minute', spend_rate_as_owner.at - interval '5 minutes') AS start_5m,
               date_trunc('minute', spend_rate_as_owner.at - interval '1 hour') AS start_1h
    ), recent AS MATERIALIZED (
        SELECT m.team, sum(m.cost) AS cost, sum(m.cost) FILTER (WHERE m.minute >= w.start_5m) AS cost_5m
        FROM windows w
        -- Bounds that are arguments reach the key of the minutes; of another row's, they do not.
        JOIN cost_ledger_internal.live_minute m
            ON m.minute >= date_trunc('minute', spend_rate_as_owner.at - interval '1 hour') AND m.minute <= spend_rate_as_owner.at
        WHERE sees_all OR m.team = ANY (teams) OR m.customer = ANY (customers)
        GROUP BY m.team
    ), weeks AS (
        -- Costs are kept by the hour: of the two that the last hour is in, as
        -- much as it is in each.
        SELECT n.weeks, (c.hour - p.hours * interval '1 hour' - n.weeks * interval '7 days') AT TIME ZONE c.time_zone AS hour,
               abs(p.hours - extract(epoch FROM c.at - c.hour) / 3600) AS share
        FROM (SELECT l.time_zone, spend_rate_as_owner.at AT TIME ZONE l.time_zone AS at, date_trunc('hour', spend_rate_as_owner.at AT TIME ZONE l.time_zone) AS hour
              FROM cost_ledger.ledger l) c, generate_series(1, 4) AS n (weeks), generate_series(0, 1) AS p (hours)
    ), before AS MATERIALIZED (
        SELECT w.weeks, h.team, sum(h.cost * w.share) AS cost
        FROM weeks w
        -- As values, which reach the key of the hours.
        JOIN cost_ledger_internal.live_hour h ON h.hour = w.hour AND h.hour = ANY (ARRAY(SELECT k.hour FROM weeks k))
        WHERE sees_all OR h.team = ANY (teams) OR h.customer = ANY (customers)
        GROUP BY w.weeks, h.team
    ), subjects AS (
        SELECT 'all' AS subject, NULL AS team, coalesce(sum(r.cost), 0) AS cost, coalesce(sum(r.cost_5m), 0) AS cost_5m FROM recent r
        UNION ALL
        SELECT 'team ' || r.team, r.team, coalesce(r.cost, 0), coalesce(r.cost_5m, 0) FROM recent r WHERE r.team IS NOT NULL
    )
    SELECT s.subject, s.team, round(r.rate_5m, 12), round(r.rate_1h, 12), round(u.usual, 12), round(r.rate_1h / nullif(u.usual, 0), 6)
    FROM subjects s
    CROSS JOIN windows w
    CROSS JOIN LATERAL (
        SELECT s.cost_5m * 3600 / extract(epoch FROM spend_rate_as_owner.at - w.start_5m) AS rate_5m,
               s.cost * 3600 / extract(epoch FROM spend_rate_as_owner.at - w.start_1h) AS rate_1h) r
    -- The median of four is the mean of the two in the middle.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN count(*) FILTER (WHERE c.weeks = 4 AND c.is_known) = 1 THEN (sum(c.cost) - min(c.cost) - max(c.cost)) / 2 END AS usual
        FROM (SELECT k.weeks, coalesce(sum(b.cost), 0) AS cost,
                     EXISTS (SELECT FROM cost_ledger_internal.live_total_day d WHERE d.label = 'all' AND d.day <= (k.hour AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date) AS is_known
              FROM (SELECT w.weeks, min(w.hour) AS hour FROM weeks w GROUP BY w.weeks) k
              LEFT JOIN before b ON b.weeks = k.weeks AND (s.team IS NULL OR b.team = s.team)
              GROUP BY k.weeks, k.hour) c) u
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_rate_as_owner(timestamptz, boolean, text[], text[]) IS
    'The body of spend_rate().';

CREATE FUNCTION cost_ledger.spend_rate(at timestamptz DEFAULT now())
    RETURNS TABLE (subject text, team text, rate_5m numeric, rate_1h numeric, usual_rate numeric, times_usual numeric)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.*
    FROM cost_ledger_internal.spend_rate(spend_rate.at, cost_ledger_internal.sees_all(),
                                         cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) r;
END;

COMMENT ON FUNCTION cost_ledger.spend_rate(timestamptz) IS
    'How fast money is spent, in all and by each team that spent in the last hour: cost per hour of the last 5 minutes and of the last hour (12 decimals), what is usual, the median of the same hour of the last four weeks, made of the hours of the clock by the part that is in each (NULL while the ledger is younger), and rate_1h / usual_rate (6 decimals; NULL where nothing is usual). Minutes are kept for two days.';
