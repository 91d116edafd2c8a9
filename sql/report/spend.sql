-- What calls of any range of time add up to, by whatever labels: what explain_spend()
-- and compare_spend() read.
--
-- A range is taken apart: whole months, whole days and whole hours come from the
-- cube, and what is left at its two ends from the calls, so that it is exact to the
-- instant and reads as little as can be.  What the rollups and the calls no longer
-- have is refused, not left out.

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

CREATE FUNCTION cost_ledger_internal.spend_pieces(range_start timestamptz, range_end timestamptz, unit text)
    RETURNS TABLE (source text, starts_at timestamptz, ends_at timestamptz)
    LANGUAGE plpgsql STABLE ROWS 5
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    finer constant text := CASE unit WHEN 'month' THEN 'day' WHEN 'day' THEN 'hour' WHEN 'hour' THEN 'call' END;
    kept_from constant timestamptz := (SELECT CASE unit WHEN 'day' THEN cost_ledger_internal.day_start(s.days_from, zone) WHEN 'hour' THEN s.hours_from
                                                        ELSE '-infinity' END FROM cost_ledger_internal.rollup_state s);
    first timestamptz;
    last timestamptz;
BEGIN
    IF range_start >= range_end THEN
        RETURN;
    ELSIF unit = 'call' THEN
        RETURN QUERY SELECT unit, range_start, range_end;
        RETURN;
    END IF;
    first := cost_ledger_internal.bucket_ceiling(unit, greatest(range_start, kept_from), zone);
    last := cost_ledger_internal.bucket_start(unit, range_end, zone);
    IF first < last THEN
        RETURN QUERY SELECT p.* FROM cost_ledger_internal.spend_pieces(range_start, first, finer) p;
        RETURN QUERY SELECT unit, first, last;
        RETURN QUERY SELECT p.* FROM cost_ledger_internal.spend_pieces(last, range_end, finer) p;
    ELSE
        RETURN QUERY SELECT p.* FROM cost_ledger_internal.spend_pieces(range_start, range_end, finer) p;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_pieces(timestamptz, timestamptz, text) IS
    'A range of time in pieces, by what each is read from: whole buckets of this size (month, day, hour) that are kept, and of finer ones before and after; at last call.';

CREATE FUNCTION cost_ledger_internal.is_spend_known(range_start timestamptz, range_end timestamptz, unit text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT EXISTS (SELECT FROM cost_ledger_internal.spend_pieces(range_start, range_end, unit) p CROSS JOIN cost_ledger_internal.rollup_state s
                       WHERE p.source = 'call' AND p.starts_at < s.calls_from)
$$;

COMMENT ON FUNCTION cost_ledger_internal.is_spend_known(timestamptz, timestamptz, text) IS
    'Whether retention has left what a range of time has to be read from.';

CREATE FUNCTION cost_ledger_internal.check_spend_range(range_start timestamptz, range_end timestamptz, unit text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT cost_ledger_internal.is_spend_known(range_start, range_end, unit) THEN
        RAISE EXCEPTION 'calls made before % were dropped by retention, and what is left does not say what % to % cost',
            (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s), range_start, range_end
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Months are kept for good, days and hours for ledger.retain_days and retain_hours: ask for whole ones of the reporting zone, and by labels of cost_by_day.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_spend_range(timestamptz, timestamptz, text) IS
    'An error (55000) where a range of time is not known any more.';

CREATE FUNCTION cost_ledger_internal.spend_measures(source text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A call's as in call_measure.
    SELECT CASE source WHEN 'call' THEN
        '(c.corrects IS NULL)::integer::bigint AS calls,
         ((c.corrects IS NULL AND c.pricing IN (''unpriced'', ''partial''))::integer - coalesce(c.usage_status IN (''repriced'', ''completed''), false)::integer)::bigint AS unpriced_calls,
         (c.corrects IS NOT NULL)::integer::bigint AS corrections,
         coalesce(c.input_tokens, 0)::numeric AS input_tokens, coalesce(c.cache_read_tokens, 0)::numeric AS cache_read_tokens,
         (coalesce(c.cache_write_tokens, 0) + coalesce(c.cache_write_1h_tokens, 0))::numeric AS cache_write_tokens, coalesce(c.output_tokens, 0)::numeric AS output_tokens,
         coalesce(c.reasoning_tokens, 0)::numeric AS reasoning_tokens,
         c.cost, c.cache_read_cost, c.cache_write_cost, c.output_cost, c.reasoning_cost, c.other_cost, CASE WHEN c.corrects IS NOT NULL THEN c.cost END AS adjustment_cost'
    ELSE
        'c.calls, c.unpriced_calls, c.corrections,
         c.input_tokens, c.cache_read_tokens, c.cache_write_tokens + c.cache_write_1h_tokens, c.output_tokens, c.reasoning_tokens,
         c.cost, c.cache_read_cost, c.cache_write_cost, c.output_cost, c.reasoning_cost, c.other_cost, c.adjustment_cost'
    END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_measures(text) IS
    'What a row c of a piece adds, in SQL: of the cube, or of call.';

CREATE FUNCTION cost_ledger_internal.spend_query(labels text, condition text, range_start timestamptz, range_end timestamptz, unit text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET DateStyle = 'ISO'
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    query text;
BEGIN
    PERFORM cost_ledger_internal.check_spend_range(range_start, range_end, unit);
    SELECT string_agg(format('SELECT %s, %s FROM %s c WHERE %s AND (%s) AND ($1 OR c.team = ANY ($2) OR c.customer = ANY ($3))',
               labels, cost_ledger_internal.spend_measures(p.source),
               CASE p.source WHEN 'call' THEN 'cost_ledger.call' ELSE 'cost_ledger_internal.live_' || p.source END,
               CASE p.source
                   WHEN 'call' THEN format('c.called_at >= %L AND c.called_at < %L%s%s', p.starts_at, p.ends_at,
                                           cost_ledger_internal.standing(), cost_ledger_internal.not_quarantined())
                   WHEN 'hour' THEN format('c.hour >= %L AND c.hour < %L', p.starts_at, p.ends_at)
                   ELSE format('c.%1$I >= %2$L AND c.%1$I < %3$L', p.source, (p.starts_at AT TIME ZONE zone)::date, (p.ends_at AT TIME ZONE zone)::date) END,
               condition), ' UNION ALL ' ORDER BY p.starts_at)
        INTO query
        FROM cost_ledger_internal.spend_pieces(range_start, range_end, unit) p;
    -- Of no time, no rows, of the same columns.
    RETURN coalesce(query, format('SELECT %s, %s FROM %s c WHERE false', labels, cost_ledger_internal.spend_measures(unit),
                                  CASE unit WHEN 'call' THEN 'cost_ledger.call' ELSE 'cost_ledger_internal.live_month' END));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_query(text, text, timestamptz, timestamptz, text) IS
    'A query for rows that add up to what the calls of a range that pass a condition cost, with these labels of each (SQL over c); $1 to $3 are what the caller may see. unit: month, where labels and condition are of the cube; call, where not.';

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
    labels constant text := 'c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.operation, c.served_from, c.provider, c.model, c.service_class';
    condition constant text := cost_ledger_internal.call_condition(filter);
BEGIN
    RETURN QUERY EXECUTE cost_ledger_internal.spend_query(labels, condition, range_start, range_end,
                                                          CASE WHEN cost_ledger_internal.is_of_cube(checked) THEN 'month' ELSE 'call' END)
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
        $query$, labels, condition, cost_ledger_internal.standing(), cost_ledger_internal.not_quarantined())
        USING sees_all, teams, customers, range_start, range_end;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_cells(jsonb, timestamptz, timestamptz, boolean, text[], text[]) IS
    'What the calls of a range that pass a filter add up to, exact to the instant, with tokens as first priced: those of corrections are taken out, as far as retention has left the corrections.';
