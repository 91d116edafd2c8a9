-- One click deeper: from a day to its hours, from an hour to who made it dear, from a
-- user to the runs, from a run to the calls.  Every level has the same columns, and
-- every row the arguments of the next.
--
-- Days and hours of whole buckets come from the cube, days of users from theirs;
-- anything else from the calls, of which no more is read than the time that the
-- rollups have of the runs, sessions and users that the filter names.

CREATE FUNCTION cost_ledger_internal.drill_labels() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN '{team,feature,customer,flow,task_type,environment,provider,model,service_class,operation,status,served_from}'::text[];

COMMENT ON FUNCTION cost_ledger_internal.drill_labels() IS
    'The labels of the cube.';

CREATE FUNCTION cost_ledger_internal.is_of_cube(filter jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT EXISTS (SELECT FROM jsonb_object_keys(filter) k WHERE k <> ALL (cost_ledger_internal.drill_labels()))
$$;

COMMENT ON FUNCTION cost_ledger_internal.is_of_cube(jsonb) IS
    'Whether a checked filter names labels of the cube only.';

CREATE FUNCTION cost_ledger_internal.drill_source(level text, filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN level = 'day' AND cost_ledger_internal.is_of_cube(filter) AND days.are_whole AND (calls.begin_at AT TIME ZONE l.time_zone)::date >= s.days_from THEN 'day'
        WHEN level IN ('hour', 'day') AND cost_ledger_internal.is_of_cube(filter) AND hours.are_whole AND calls.begin_at >= s.hours_from THEN 'hour'
        WHEN level = 'user' AND sees_all AND filter - 'user_id' = '{}' AND days.are_whole THEN 'user'
        ELSE 'call' END
    FROM cost_ledger_internal.rollup_state s
    CROSS JOIN cost_ledger.ledger l
    -- Nothing is earlier than the first day.
    CROSS JOIN LATERAL (SELECT greatest(range_start, (SELECT cost_ledger_internal.day_start(min(d.day), l.time_zone)
                                                      FROM cost_ledger_internal.live_total_day d WHERE d.label = 'all')) AS begin_at) calls
    CROSS JOIN LATERAL (SELECT bool_and(NOT isfinite(b) OR b = cost_ledger_internal.hour_start(b, l.time_zone)) AS are_whole
                        FROM unnest(ARRAY[range_start, range_end]) AS b) hours
    CROSS JOIN LATERAL (SELECT bool_and(NOT isfinite(b) OR b = cost_ledger_internal.day_start((b AT TIME ZONE l.time_zone)::date, l.time_zone)) AS are_whole
                        FROM unnest(ARRAY[range_start, range_end]) AS b) days
$$;

COMMENT ON FUNCTION cost_ledger_internal.drill_source(text, jsonb, timestamptz, timestamptz, boolean) IS
    'What drill() reads: hour or day of the cube, days of users, or calls.';

CREATE FUNCTION cost_ledger_internal.drill_rows(source text, condition text, span tstzmultirange) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET DateStyle = 'ISO'
AS $$
    -- Rows c, with what they add up to; $1 to $6 are the range, the zone, and what
    -- the caller may see.
    SELECT CASE source
        WHEN 'hour' THEN
            'SELECT c.hour AS at, NULL::text AS user_id, NULL::text AS run_id, NULL::bigint AS call_id, NULL::timestamptz AS ended_at,
                    c.calls, c.unpriced_calls, c.input_tokens, c.output_tokens, c.cost
             FROM cost_ledger_internal.live_hour c WHERE c.hour >= $1 AND c.hour < $2 AND ' || condition
        WHEN 'day' THEN
            'SELECT cost_ledger_internal.day_start(c.day, $3) AS at, NULL::text AS user_id, NULL::text AS run_id, NULL::bigint AS call_id,
                    NULL::timestamptz AS ended_at, c.calls, c.unpriced_calls, c.input_tokens, c.output_tokens, c.cost
             FROM cost_ledger_internal.live_day c
             WHERE (NOT isfinite($1) OR c.day >= ($1 AT TIME ZONE $3)::date) AND (NOT isfinite($2) OR c.day < ($2 AT TIME ZONE $3)::date) AND ' || condition
        WHEN 'user' THEN
            'SELECT NULL::timestamptz AS at, c.user_id, NULL::text AS run_id, NULL::bigint AS call_id, NULL::timestamptz AS ended_at,
                    c.calls, c.unpriced_calls, c.input_tokens, c.output_tokens, c.cost
             FROM cost_ledger_internal.live_user_day c
             WHERE (NOT isfinite($1) OR c.day >= ($1 AT TIME ZONE $3)::date) AND (NOT isfinite($2) OR c.day < ($2 AT TIME ZONE $3)::date) AND ' || condition
        ELSE
            'SELECT c.called_at AS at, c.user_id, c.run_id, coalesce(c.corrects, c.call_id) AS call_id,
                    c.called_at + greatest(least(coalesce(c.duration_ms, 0), 2592000000), 0) * interval ''1 millisecond'' AS ended_at,
                    (c.corrects IS NULL)::integer AS calls,
                    (c.corrects IS NULL AND c.pricing IN (''unpriced'', ''partial''))::integer - coalesce(c.usage_status IN (''repriced'', ''completed''), false)::integer AS unpriced_calls,
                    coalesce(c.input_tokens, 0)::numeric AS input_tokens, coalesce(c.output_tokens, 0)::numeric AS output_tokens, c.cost
             FROM ' || cost_ledger_internal.calls_within(span) || ' c
             WHERE c.called_at >= $1 AND c.called_at < $2 AND ' || condition || cost_ledger_internal.standing() END
        || CASE WHEN source = 'user' THEN '' ELSE ' AND ($4 OR c.team = ANY ($5) OR c.customer = ANY ($6))' END
$$;

COMMENT ON FUNCTION cost_ledger_internal.drill_rows(text, text, tstzmultirange) IS
    'A query for the rows that drill() adds up.';

CREATE FUNCTION cost_ledger_internal.drill_span(filter jsonb, range_start timestamptz, range_end timestamptz) RETURNS tstzmultirange
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    span tstzmultirange := cost_ledger_internal.call_span(filter, range_start, range_end);
    calls_from timestamptz := (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s);
BEGIN
    IF lower(span) < calls_from AND calls_from > '-infinity' THEN
        RAISE NOTICE 'calls made before % were dropped by retention, and are not among these', calls_from;
    END IF;
    -- The end of a run is the time of its last call: with it.
    RETURN coalesce((SELECT range_agg(tstzrange(lower(p), upper(p) + interval '1 microsecond')) FROM unnest(span) AS p), '{}');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.drill_span(jsonb, timestamptz, timestamptz) IS
    'The times of a range of which drill() has to read calls; a notice where retention has dropped some of them.';

CREATE FUNCTION cost_ledger_internal.drill(
    level text, filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (value text, is_allocated boolean, starts_at timestamptz, ends_at timestamptz,
                   calls bigint, unpriced_calls bigint, input_tokens numeric, output_tokens numeric, cost numeric, share numeric, currency text,
                   next_level text, next_filter jsonb)
    LANGUAGE c STABLE ROWS 100
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.drill(text, jsonb, timestamptz, timestamptz, boolean, text[], text[]) IS
    'cost_ledger.drill() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.drill_as_owner(
    level text, filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (value text, is_allocated boolean, starts_at timestamptz, ends_at timestamptz,
                   calls bigint, unpriced_calls bigint, input_tokens numeric, output_tokens numeric, cost numeric, share numeric, currency text,
                   next_level text, next_filter jsonb)
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
    SET jit = off
AS $$
DECLARE
    known record := cost_ledger_internal.ledger();
    -- What a row is of, and its bounds.
    keys constant text := CASE level
        WHEN 'day' THEN 'to_char(c.at AT TIME ZONE $3, ''YYYY-MM-DD'')'
        WHEN 'hour' THEN 'to_char(c.at AT TIME ZONE $3, ''YYYY-MM-DD HH24:00'')'
        WHEN 'user' THEN 'c.user_id' WHEN 'run' THEN 'c.run_id' WHEN 'call' THEN 'c.call_id::text' END;
    first constant text := CASE level
        WHEN 'day' THEN 'greatest(min(cost_ledger_internal.day_start((c.at AT TIME ZONE $3)::date, $3)), $1)'
        WHEN 'hour' THEN 'greatest(min(cost_ledger_internal.hour_start(c.at, $3)), $1)' WHEN 'call' THEN 'min(c.at)' ELSE '$1' END;
    last constant text := CASE level
        WHEN 'day' THEN 'least(min(cost_ledger_internal.day_start((c.at AT TIME ZONE $3)::date + 1, $3)), $2)'
        WHEN 'hour' THEN 'least(cost_ledger_internal.hour_end(min(cost_ledger_internal.hour_start(c.at, $3)), $3), $2)' WHEN 'call' THEN 'max(c.ended_at)' ELSE '$2' END;
    checked jsonb;
    source text;
BEGIN
    IF keys IS NULL THEN
        RAISE EXCEPTION 'there is no level "%"', level
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The levels are day, hour, user, run and call: SELECT * FROM cost_ledger.drill(''day''), and then of each row the next_level, with its next_filter, starts_at and ends_at.';
    END IF;
    PERFORM cost_ledger_internal.check_range(range_start, range_end);
    checked := cost_ledger_internal.check_filter(filter, 'calls', cost_ledger_internal.call_labels());
    source := cost_ledger_internal.drill_source(level, checked, range_start, range_end, sees_all);
    RETURN QUERY EXECUTE format($query$
        SELECT coalesce(g.key, '(unallocated)'), g.key IS NOT NULL, g.starts_at, g.ends_at,
               g.calls, g.unpriced_calls, g.input_tokens, g.output_tokens, g.cost,
               round(g.cost / nullif(sum(g.cost) OVER (), 0), 6), $7,
               $8, CASE WHEN $8 IS NULL THEN NULL ELSE $9 || CASE WHEN $10 IS NULL THEN '{}' ELSE jsonb_build_object($10, replace(g.key, '*', $11)) END END
        FROM (SELECT %s AS key, %s AS starts_at, %s AS ends_at,
                     sum(c.calls)::bigint AS calls, sum(c.unpriced_calls)::bigint AS unpriced_calls,
                     sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens, sum(c.cost) AS cost
              FROM (%s) c GROUP BY 1%s) g
        ORDER BY %s
        $query$, keys, first, last,
        cost_ledger_internal.drill_rows(source, cost_ledger_internal.call_condition(filter),
                                        CASE source WHEN 'call' THEN cost_ledger_internal.drill_span(checked, range_start, range_end) END),
        -- An hour that the clock shows twice is two.
        CASE level WHEN 'hour' THEN ', cost_ledger_internal.hour_start(c.at, $3)' ELSE '' END,
        CASE WHEN level IN ('user', 'run') THEN 'g.cost DESC NULLS LAST, g.key' ELSE 'g.starts_at, length(g.key), g.key' END)
        USING range_start, range_end, known.time_zone, sees_all, teams, customers, known.currency,
              CASE level WHEN 'day' THEN 'hour' WHEN 'hour' THEN 'user' WHEN 'user' THEN 'run' WHEN 'run' THEN 'call' END,
              coalesce(filter, '{}'), CASE level WHEN 'user' THEN 'user_id' WHEN 'run' THEN 'run_id' END,
              -- A star is a star.
              '\*'::text;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.drill_as_owner(text, jsonb, timestamptz, timestamptz, boolean, text[], text[]) IS
    'The body of drill().';

CREATE FUNCTION cost_ledger.drill(level text, filter jsonb DEFAULT '{}', range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity')
    RETURNS TABLE (value text, is_allocated boolean, starts_at timestamptz, ends_at timestamptz,
                   calls bigint, unpriced_calls bigint, input_tokens numeric, output_tokens numeric, cost numeric, share numeric, currency text,
                   next_level text, next_filter jsonb)
    LANGUAGE sql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.*
    FROM cost_ledger_internal.drill(drill.level, drill.filter, drill.range_start, drill.range_end, cost_ledger_internal.sees_all(),
                                    cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) d;
END;

COMMENT ON FUNCTION cost_ledger.drill(text, jsonb, timestamptz, timestamptz) IS
    'One click deeper: what the calls that pass a filter cost in a range of time (end exclusive), by day, hour (of the reporting zone), user, run or call. Every level has the same columns, and the next is drill(next_level, next_filter, starts_at, ends_at) of a row: day, hour, user, run, call. value is the day, the hour by the clock of the reporting zone, the user, the run or the call_id; calls without a user or run are (unallocated), and is_allocated is false. Days, hours and calls come in the order of time, users and runs the dearest first. cost is exact, in currency; share is a fraction of the cost of all rows; a call has its corrections in it. Days and hours of the labels of the cube come from that, days of users from theirs; anything else from the calls, as find_calls() finds them. Only calls that the role may see. 22023 for another level, or what is no filter.';
