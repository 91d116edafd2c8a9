-- What calls of any range of time add up to, by whatever labels: what explain_spend(),
-- compare_spend() and drill() read.
--
-- A range is taken apart: whole months, whole days and whole hours come from the
-- rollups, and what is left at its two ends from the calls, so that it is exact to
-- the instant and reads as little as can be.  Of the calls of runs, sessions and users
-- that a filter names, no more is read than the time that their rollups have.

CREATE FUNCTION cost_ledger_internal.cube_labels() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN '{team,feature,customer,flow,task_type,environment,provider,model,service_class,operation,status,served_from}'::text[];

COMMENT ON FUNCTION cost_ledger_internal.cube_labels() IS
    'The labels of the cube.';

CREATE FUNCTION cost_ledger_internal.is_of_cube(filter jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT EXISTS (SELECT FROM jsonb_object_keys(filter) k WHERE k <> ALL (cost_ledger_internal.cube_labels()))
$$;

COMMENT ON FUNCTION cost_ledger_internal.is_of_cube(jsonb) IS
    'Whether a checked filter names labels of the cube only.';

CREATE FUNCTION cost_ledger_internal.cube_rollups(filter jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN cost_ledger_internal.is_of_cube(filter) THEN '{month,day,hour}' ELSE '{}' END::text[]
$$;

COMMENT ON FUNCTION cost_ledger_internal.cube_rollups(jsonb) IS
    'The rollups from which the calls that pass a checked filter can be added up, the coarsest first; none where the cube does not have its labels.';

CREATE FUNCTION cost_ledger_internal.bucket_start(unit text, at timestamptz, time_zone text) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE unit WHEN 'hour' THEN cost_ledger_internal.hour_start(at, time_zone) ELSE cost_ledger_internal.period_start(unit, at, time_zone) END
$$;

COMMENT ON FUNCTION cost_ledger_internal.bucket_start(text, timestamptz, text) IS
    'The first instant of the hour, day or month of a time zone that an instant is in.';

CREATE FUNCTION cost_ledger_internal.bucket_ceiling(unit text, at timestamptz, time_zone text) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN b.starts_at = at THEN at
                WHEN unit = 'hour' THEN cost_ledger_internal.hour_end(b.starts_at, time_zone)
                ELSE cost_ledger_internal.day_start((date_trunc(unit, at AT TIME ZONE time_zone) + ('1 ' || unit)::interval)::date, time_zone) END
    FROM (SELECT cost_ledger_internal.bucket_start(unit, at, time_zone) AS starts_at) b
$$;

COMMENT ON FUNCTION cost_ledger_internal.bucket_ceiling(text, timestamptz, text) IS
    'The first instant of an hour, day or month of a time zone that is not before an instant.';

CREATE FUNCTION cost_ledger_internal.spend_pieces(range_start timestamptz, range_end timestamptz, rollups text[])
    RETURNS TABLE (source text, bucket text, starts_at timestamptz, ends_at timestamptz)
    LANGUAGE plpgsql STABLE ROWS 5
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    -- A rollup is named for the bucket that it has, last.
    unit constant text := regexp_replace(rollups[1], '^.*_', '');
    finer constant text[] := rollups[2:];
    kept_from constant timestamptz := (SELECT CASE rollups[1] WHEN 'day' THEN cost_ledger_internal.day_start(s.days_from, zone) WHEN 'hour' THEN s.hours_from
                                                              ELSE '-infinity' END FROM cost_ledger_internal.rollup_state s);
    first timestamptz;
    last timestamptz;
BEGIN
    IF range_start >= range_end THEN
        RETURN;
    ELSIF rollups = '{}' THEN
        RETURN QUERY SELECT 'call', 'call', range_start, range_end;
        RETURN;
    END IF;
    first := cost_ledger_internal.bucket_ceiling(unit, greatest(range_start, kept_from), zone);
    last := cost_ledger_internal.bucket_start(unit, range_end, zone);
    IF first < last THEN
        RETURN QUERY SELECT p.* FROM cost_ledger_internal.spend_pieces(range_start, first, finer) p;
        RETURN QUERY SELECT rollups[1], unit, first, last;
        RETURN QUERY SELECT p.* FROM cost_ledger_internal.spend_pieces(last, range_end, finer) p;
    ELSE
        RETURN QUERY SELECT p.* FROM cost_ledger_internal.spend_pieces(range_start, range_end, finer) p;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_pieces(timestamptz, timestamptz, text[]) IS
    'A range of time in pieces, by what each is read from: whole buckets that are kept of the first of these rollups ({month,day,hour} of the cube, {user_month,user_day}), of the others before and after them, and at last call; and what of it says the time.';

CREATE FUNCTION cost_ledger_internal.is_spend_known(range_start timestamptz, range_end timestamptz, rollups text[]) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT EXISTS (SELECT FROM cost_ledger_internal.spend_pieces(range_start, range_end, rollups) p CROSS JOIN cost_ledger_internal.rollup_state s
                       WHERE p.source = 'call' AND p.starts_at < s.calls_from)
$$;

COMMENT ON FUNCTION cost_ledger_internal.is_spend_known(timestamptz, timestamptz, text[]) IS
    'Whether retention has left what a range of time has to be read from.';

CREATE FUNCTION cost_ledger_internal.check_spend_range(range_start timestamptz, range_end timestamptz, rollups text[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET DateStyle = 'ISO'
AS $$
BEGIN
    IF NOT cost_ledger_internal.is_spend_known(range_start, range_end, rollups) THEN
        RAISE EXCEPTION 'calls made before % were dropped by retention, and what is left does not say what % to % cost',
            (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s), range_start, range_end
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Months are kept for good, days and hours for ledger.retain_days and retain_hours: ask for whole ones of the reporting zone, and by labels of cost_by_day.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_spend_range(timestamptz, timestamptz, text[]) IS
    'An error (55000) where a range of time is not known any more.';

CREATE FUNCTION cost_ledger_internal.spend_measure(source text, measure text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN measure = 'cache_write_tokens' THEN 'coalesce(c.cache_write_tokens, 0)::numeric + coalesce(c.cache_write_1h_tokens, 0)::numeric'
        WHEN source <> 'call' THEN 'c.' || measure
        -- As in call_measure.
        WHEN measure = 'calls' THEN '(c.corrects IS NULL)::integer::bigint'
        WHEN measure = 'unpriced_calls' THEN 'cost_ledger_internal.unpriced_calls(c.corrects, c.pricing, c.usage_status)'
        WHEN measure = 'corrections' THEN '(c.corrects IS NOT NULL)::integer::bigint'
        WHEN measure = 'adjustment_cost' THEN 'CASE WHEN c.corrects IS NOT NULL THEN c.cost END'
        WHEN right(measure, 7) = '_tokens' THEN format('coalesce(c.%I, 0)::numeric', measure)
        ELSE 'c.' || measure END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_measure(text, text) IS
    'What a row c of a piece adds to a measure, in SQL: of a rollup, or of call.';

CREATE FUNCTION cost_ledger_internal.spend_calls(filter jsonb, range_start timestamptz, range_end timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    span constant tstzmultirange := cost_ledger_internal.call_span(filter, range_start, range_end);
BEGIN
    IF span = tstzmultirange(tstzrange(range_start, range_end)) THEN
        RETURN 'cost_ledger.call';
    END IF;
    -- The end of a run is the time of its last call: with it.
    RETURN cost_ledger_internal.calls_within(coalesce((SELECT range_agg(tstzrange(lower(p), upper(p) + interval '1 microsecond')) FROM unnest(span) AS p), '{}'));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_calls(jsonb, timestamptz, timestamptz) IS
    'What to read for the calls of a range that pass a checked filter: call, or of that the times in which runs, sessions and users have any, and an instant more.';

CREATE FUNCTION cost_ledger_internal.spend_query(
    labels text, measures text[], filter jsonb, range_start timestamptz, range_end timestamptz, rollups text[]) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET DateStyle = 'ISO'
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    condition constant text := cost_ledger_internal.call_condition(filter);
    pieces text;
BEGIN
    SELECT string_agg(format('SELECT %s FROM %s c CROSS JOIN LATERAL (SELECT %s, %s) t (hour, day) WHERE %s AND (%s)%s', concat_ws(', ', labels, m.list),
               CASE p.source WHEN 'call' THEN cost_ledger_internal.spend_calls(filter, p.starts_at, p.ends_at) ELSE 'cost_ledger_internal.live_' || p.source END,
               CASE p.bucket WHEN 'call' THEN format('cost_ledger_internal.hour_start(c.called_at, %L)', zone) WHEN 'hour' THEN 'c.hour' ELSE 'NULL::timestamptz' END,
               CASE p.bucket WHEN 'call' THEN format('(c.called_at AT TIME ZONE %L)::date', zone) WHEN 'hour' THEN format('(c.hour AT TIME ZONE %L)::date', zone) ELSE 'c.' || p.bucket END,
               CASE p.bucket
                   WHEN 'call' THEN format('c.called_at >= %L AND c.called_at < %L%s%s', p.starts_at, p.ends_at,
                                           cost_ledger_internal.standing(), cost_ledger_internal.not_quarantined())
                   WHEN 'hour' THEN format('c.hour >= %L AND c.hour < %L', p.starts_at, p.ends_at)
                   ELSE format('c.%1$I >= %2$L AND c.%1$I < %3$L', p.bucket, (p.starts_at AT TIME ZONE zone)::date, (p.ends_at AT TIME ZONE zone)::date) END,
               condition,
               -- Sums of users are of all teams and customers.
               CASE WHEN starts_with(p.source, 'user_') THEN '' ELSE ' AND ($1 OR c.team = ANY ($2) OR c.customer = ANY ($3))' END), ' UNION ALL ' ORDER BY p.starts_at)
        INTO pieces
        -- Of no time, no rows, of the same columns.
        FROM (SELECT p.* FROM cost_ledger_internal.spend_pieces(range_start, range_end, rollups) p
              UNION ALL
              SELECT 'call', 'call', 'infinity', 'infinity' WHERE range_start >= range_end) p
        CROSS JOIN LATERAL (SELECT string_agg(cost_ledger_internal.spend_measure(p.source, n) || ' AS ' || n, ', ' ORDER BY i) AS list
                            FROM unnest(measures) WITH ORDINALITY AS u (n, i)) m;
    RETURN pieces;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_query(text, text[], jsonb, timestamptz, timestamptz, text[]) IS
    'A query for rows that add up to what the calls of a range that pass a checked filter cost: labels (SQL over c, a row of a rollup or of call, and t.hour and t.day, in which it is or begins) and measures. $1 to $3 are what the caller may see. rollups: what may be read for whole buckets, as in spend_pieces(); none where labels or filter need the calls.';

CREATE FUNCTION cost_ledger_internal.previous_start(range_start timestamptz, range_end timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Whole months follow as many months, whole days as many days, whatever the
    -- clocks did; anything else the same time.
    SELECT CASE
        WHEN NOT (isfinite(range_start) AND isfinite(range_end)) THEN NULL
        WHEN b.are_months THEN cost_ledger_internal.day_start((b.first - ((extract(year FROM b.last) - extract(year FROM b.first)) * 12
                                                                         + extract(month FROM b.last) - extract(month FROM b.first)) * interval '1 month')::date, b.time_zone)
        WHEN b.are_days THEN cost_ledger_internal.day_start(b.first - (b.last - b.first), b.time_zone)
        ELSE range_start - (range_end - range_start) END
    FROM (SELECT l.time_zone, (range_start AT TIME ZONE l.time_zone)::date AS first, (range_end AT TIME ZONE l.time_zone)::date AS last,
                 cost_ledger_internal.period_start('month', range_start, l.time_zone) = range_start
                     AND cost_ledger_internal.period_start('month', range_end, l.time_zone) = range_end AS are_months,
                 cost_ledger_internal.period_start('day', range_start, l.time_zone) = range_start
                     AND cost_ledger_internal.period_start('day', range_end, l.time_zone) = range_end AS are_days
          FROM cost_ledger.ledger l) b
$$;

COMMENT ON FUNCTION cost_ledger_internal.previous_start(timestamptz, timestamptz) IS
    'When the period before a range begins, which ends with its start: as many months or days of the reporting zone where it is of whole ones, else as long; NULL where the range has no start or end.';

CREATE TYPE cost_ledger_internal.spend_cell AS (
    team                text,
    feature             text,
    customer            text,
    flow                text,
    task_type           text,
    environment         text,
    operation           text,
    served_from         text,
    provider            text,
    model               text,
    service_class       text,
    calls               bigint,
    unpriced_calls      bigint,
    corrections         bigint,
    input_tokens        numeric,
    cache_read_tokens   numeric,
    cache_write_tokens  numeric,
    output_tokens       numeric,
    reasoning_tokens    numeric,
    cost                numeric,
    cache_read_cost     numeric,
    cache_write_cost    numeric,
    output_cost         numeric,
    reasoning_cost      numeric,
    other_cost          numeric,
    adjustment_cost     numeric
);

COMMENT ON TYPE cost_ledger_internal.spend_cell IS 'What calls of some labels add up to in a range of time. Columns as in cost_by_day; labels may be there more than once: add up what you need.';

CREATE FUNCTION cost_ledger_internal.spend_cells(
    filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean, teams text[], customers text[]
) RETURNS SETOF cost_ledger_internal.spend_cell
    LANGUAGE plpgsql STABLE ROWS 10000
    SET search_path = pg_catalog, pg_temp
    SET enable_mergejoin = on
    SET enable_nestloop = on
    SET enable_sort = on
    SET jit = off
AS $$
DECLARE
    checked constant jsonb := cost_ledger_internal.check_filter(filter, 'calls', cost_ledger_internal.call_labels());
    rollups constant text[] := cost_ledger_internal.cube_rollups(checked);
    labels constant text := 'c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.operation, c.served_from, c.provider, c.model, c.service_class';
BEGIN
    PERFORM cost_ledger_internal.check_spend_range(range_start, range_end, rollups);
    RETURN QUERY EXECUTE cost_ledger_internal.spend_query(
            labels, '{calls,unpriced_calls,corrections,input_tokens,cache_read_tokens,cache_write_tokens,output_tokens,reasoning_tokens,cost,cache_read_cost,cache_write_cost,output_cost,reasoning_cost,other_cost,adjustment_cost}',
            checked, range_start, range_end, rollups)
        USING sees_all, teams, customers;
    -- Tokens that corrections changed are theirs, not the calls': what calls were
    -- first priced for is without them.
    RETURN QUERY EXECUTE format($query$
        SELECT %s, 0::bigint, 0::bigint, 0::bigint, - coalesce(c.input_tokens, 0)::numeric, - coalesce(c.cache_read_tokens, 0)::numeric,
               - (coalesce(c.cache_write_tokens, 0) + coalesce(c.cache_write_1h_tokens, 0))::numeric, - coalesce(c.output_tokens, 0)::numeric, - coalesce(c.reasoning_tokens, 0)::numeric,
               NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric
        FROM cost_ledger.call c
        WHERE c.corrects IS NOT NULL AND num_nonnulls(c.input_tokens, c.output_tokens, c.reasoning_tokens, c.cache_read_tokens, c.cache_write_tokens, c.cache_write_1h_tokens) > 0
          AND c.called_at >= $4 AND c.called_at < $5 AND (%s) AND ($1 OR c.team = ANY ($2) OR c.customer = ANY ($3))%s%s
        $query$, labels, cost_ledger_internal.call_condition(checked), cost_ledger_internal.standing(), cost_ledger_internal.not_quarantined())
        USING sees_all, teams, customers, range_start, range_end;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_cells(jsonb, timestamptz, timestamptz, boolean, text[], text[]) IS
    'What the calls of a range that pass a filter add up to, exact to the instant, with tokens as first priced: those of corrections are taken out, as far as retention has left the corrections.';
