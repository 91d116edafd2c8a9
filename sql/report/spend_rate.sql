-- Rates: how fast money is spent, and whether that is usual.
--
-- What needs sums by minute of all calls, but shows those of the caller: the body
-- has the owner's rights, and is told what the caller may see.  The function people
-- call is parsed when it is made, as a view is, so that it may call what they cannot
-- name.

CREATE FUNCTION cost_ledger_internal.spend_rate(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (subject text, label text, value text, rate_5m numeric, rate_1h numeric, usual_rate numeric, times_usual numeric)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.spend_rate(timestamptz, boolean, text[], text[]) IS
    'cost_ledger.spend_rate() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.spend_rate_as_owner(at timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (subject text, label text, value text, rate_5m numeric, rate_1h numeric, usual_rate numeric, times_usual numeric)
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
        SELECT m.team, m.feature, m.customer, sum(m.cost) AS cost, sum(m.cost) FILTER (WHERE m.minute >= w.start_5m) AS cost_5m
        FROM windows w
        -- Bounds that are arguments reach the key of the minutes; of another row's, they do not.
        JOIN cost_ledger_internal.live_minute m
            ON m.minute >= date_trunc('minute', spend_rate_as_owner.at - interval '1 hour') AND m.minute <= spend_rate_as_owner.at
        WHERE sees_all OR m.team = ANY (teams) OR m.customer = ANY (customers)
        GROUP BY m.team, m.feature, m.customer
    ), zone AS (
        SELECT l.time_zone, spend_rate_as_owner.at AT TIME ZONE l.time_zone AS at, date_trunc('hour', spend_rate_as_owner.at AT TIME ZONE l.time_zone) AS hour,
               (SELECT min(d.day) FROM cost_ledger_internal.live_total_day d WHERE d.label = 'all') AS first_day
        FROM cost_ledger.ledger l
    ), days AS (
        -- The same hour of four weeks, as far as they are known; in the first
        -- week of the days before.
        SELECT n.days, (z.hour - n.days * interval '1 day') AS hour
        FROM zone z
        CROSS JOIN unnest(CASE WHEN (z.at - interval '1 hour')::date - 7 >= z.first_day THEN '{7,14,21,28}'::integer[] ELSE '{1,2,3,4,5,6}' END) AS n (days)
        WHERE (z.at - interval '1 hour')::date - n.days >= z.first_day
    ), samples AS (
        -- Costs are kept by the hour: of the two that the last hour is in, as
        -- much as it is in each.
        SELECT d.days, (d.hour - p.hours * interval '1 hour') AT TIME ZONE z.time_zone AS hour,
               abs(p.hours - extract(epoch FROM z.at - z.hour) / 3600) AS share
        FROM days d, zone z, generate_series(0, 1) AS p (hours)
    ), before AS MATERIALIZED (
        SELECT w.days, h.team, h.feature, h.customer, sum(h.cost * w.share) AS cost
        FROM samples w
        -- As values, which reach the key of the hours.
        JOIN cost_ledger_internal.live_hour h ON h.hour = w.hour AND h.hour = ANY (ARRAY(SELECT k.hour FROM samples k))
        WHERE sees_all OR h.team = ANY (teams) OR h.customer = ANY (customers)
        GROUP BY w.days, h.team, h.feature, h.customer
    ), subjects AS (
        SELECT 'all' AS label, NULL AS value, coalesce(sum(r.cost), 0) AS cost, coalesce(sum(r.cost_5m), 0) AS cost_5m FROM recent r
        UNION ALL
        SELECT l.label, l.value, coalesce(sum(r.cost), 0), coalesce(sum(r.cost_5m), 0)
        FROM recent r CROSS JOIN LATERAL (VALUES ('team', r.team), ('feature', r.feature), ('customer', r.customer)) AS l (label, value)
        WHERE l.value IS NOT NULL
        GROUP BY l.label, l.value
    ), sampled AS (
        SELECT s.label, s.value, d.days, coalesce(sum(b.cost), 0) AS cost
        FROM subjects s
        CROSS JOIN days d
        LEFT JOIN (SELECT b.days, l.label, l.value, b.cost
                   FROM before b CROSS JOIN LATERAL (VALUES ('all', NULL), ('team', b.team), ('feature', b.feature), ('customer', b.customer)) AS l (label, value)) b
            ON b.days = d.days AND b.label = s.label AND coalesce(b.value, '') = coalesce(s.value, '') AND (b.value IS NULL) = (s.value IS NULL)
        GROUP BY s.label, s.value, d.days
    ), usual AS (
        -- The median; of an even number, the mean of the two in the middle.
        SELECT c.label, c.value, (c.costs[(cardinality(c.costs) + 1) / 2] + c.costs[cardinality(c.costs) / 2 + 1]) / 2 AS usual
        FROM (SELECT c.label, c.value, array_agg(c.cost ORDER BY c.cost) AS costs FROM sampled c GROUP BY c.label, c.value) c
    )
    SELECT s.label || coalesce(' ' || s.value, ''), s.label, s.value,
           round(r.rate_5m, 12), round(r.rate_1h, 12), round(u.usual, 12), round(r.rate_1h / nullif(u.usual, 0), 6)
    FROM subjects s
    CROSS JOIN windows w
    CROSS JOIN LATERAL (
        SELECT s.cost_5m * 3600 / extract(epoch FROM spend_rate_as_owner.at - w.start_5m) AS rate_5m,
               s.cost * 3600 / extract(epoch FROM spend_rate_as_owner.at - w.start_1h) AS rate_1h) r
    LEFT JOIN usual u ON u.label = s.label AND coalesce(u.value, '') = coalesce(s.value, '') AND (u.value IS NULL) = (s.value IS NULL)
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_rate_as_owner(timestamptz, boolean, text[], text[]) IS
    'The body of spend_rate().';

CREATE FUNCTION cost_ledger.spend_rate(at timestamptz DEFAULT now())
    RETURNS TABLE (subject text, label text, value text, rate_5m numeric, rate_1h numeric, usual_rate numeric, times_usual numeric)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.*
    FROM cost_ledger_internal.spend_rate(spend_rate.at, cost_ledger_internal.sees_all(),
                                         cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) r;
END;

COMMENT ON FUNCTION cost_ledger.spend_rate(timestamptz) IS
    'How fast money is spent, in all and by each team, feature and customer that spent in the last hour: cost per hour of the last 5 minutes and of the last hour (12 decimals), what is usual, the median of the same hour of the last four weeks, of those that are known, or in the ledger''s first week of the days before, made of the hours of the clock by the part that is in each (NULL on the first day), and rate_1h / usual_rate (6 decimals; NULL where nothing is usual). Minutes are kept for two days.';
