-- One click deeper: from a day to its hours, from an hour to who made it dear, from a
-- user to the runs, from a run to the calls.  Every level has the same columns, and
-- every row the arguments of the next.
--
-- What is read for each is what explain_spend() reads (spend.sql): whole days and
-- hours from the cube, whole months and days of users from theirs, the rest from the
-- calls.

CREATE FUNCTION cost_ledger_internal.drill_rollups(level text, filter jsonb, sees_all boolean) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN level = 'day' THEN array_remove(cost_ledger_internal.cube_rollups(filter), 'month')
        WHEN level = 'hour' THEN array_remove(array_remove(cost_ledger_internal.cube_rollups(filter), 'month'), 'day')
        WHEN level = 'user' AND sees_all AND filter - 'user_id' = '{}' THEN '{user_month,user_day}'
        ELSE '{}' END::text[]
$$;

COMMENT ON FUNCTION cost_ledger_internal.drill_rollups(text, jsonb, boolean) IS
    'The rollups that drill() may read for whole buckets, as in spend_pieces(): of the cube as fine as the level, or of users; of anything else it reads the calls.';

CREATE FUNCTION cost_ledger_internal.tell_of_dropped_calls(filter jsonb, range_start timestamptz, range_end timestamptz, rollups text[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    calls_from constant timestamptz := (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s);
BEGIN
    IF calls_from > '-infinity'
       AND EXISTS (SELECT FROM cost_ledger_internal.spend_pieces(range_start, range_end, rollups) p
                   WHERE p.source = 'call' AND lower(cost_ledger_internal.call_span(filter, p.starts_at, p.ends_at)) < calls_from) THEN
        RAISE NOTICE 'calls made before % were dropped by retention, and are not among these', calls_from;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.tell_of_dropped_calls(jsonb, timestamptz, timestamptz, text[]) IS
    'A notice where retention has dropped calls that a range of time has to be read from.';

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
    -- What a row of the answer is of, its name and its bounds.
    subject constant text := CASE level
        WHEN 'day' THEN 't.day' WHEN 'hour' THEN 't.hour' WHEN 'user' THEN 'c.user_id COLLATE "C"' WHEN 'run' THEN 'c.run_id' WHEN 'call' THEN 'coalesce(c.corrects, c.call_id)' END;
    name constant text := CASE level
        WHEN 'day' THEN 'to_char(g.subject::timestamp, ''YYYY-MM-DD'')' WHEN 'hour' THEN 'to_char(g.subject AT TIME ZONE $6, ''YYYY-MM-DD HH24:00'')' ELSE 'g.subject::text' END;
    bounds constant text := CASE level
        WHEN 'day' THEN 'greatest(cost_ledger_internal.day_start(g.subject, $6), $4), least(cost_ledger_internal.day_start(g.subject + 1, $6), $5)'
        WHEN 'hour' THEN 'greatest(g.subject, $4), least(cost_ledger_internal.hour_end(g.subject, $6), $5)' WHEN 'call' THEN 'g.called_at, g.ended_at' ELSE '$4, $5' END;
    checked jsonb;
    rollups text[];
    begin_at timestamptz;
BEGIN
    IF subject IS NULL THEN
        RAISE EXCEPTION 'there is no level "%"', level
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The levels are day, hour, user, run and call: SELECT * FROM cost_ledger.drill(''day''), and then of each row the next_level, with its next_filter, starts_at and ends_at.';
    END IF;
    PERFORM cost_ledger_internal.check_range(range_start, range_end);
    checked := cost_ledger_internal.check_filter(filter, 'calls', cost_ledger_internal.call_labels());
    rollups := cost_ledger_internal.drill_rollups(level, checked, sees_all);
    -- Nothing is earlier than the first day.
    begin_at := greatest(range_start, (SELECT cost_ledger_internal.day_start(min(d.day), known.time_zone) FROM cost_ledger_internal.live_total_day d WHERE d.label = 'all'));
    PERFORM cost_ledger_internal.tell_of_dropped_calls(checked, begin_at, range_end, rollups);
    RETURN QUERY EXECUTE format($query$
        SELECT coalesce(n.name, '(unallocated)'), n.name IS NOT NULL, n.starts_at, n.ends_at,
               g.calls, g.unpriced_calls, g.input_tokens, g.output_tokens, g.cost,
               round(g.cost / nullif(sum(g.cost) OVER (), 0), 6), $7,
               $8, CASE WHEN $8 IS NULL THEN NULL ELSE $9 || CASE WHEN $10 IS NULL THEN '{}' ELSE jsonb_build_object($10, replace(n.name, '*', $11)) END END
        FROM (SELECT c.subject, sum(c.calls)::bigint AS calls, sum(c.unpriced_calls)::bigint AS unpriced_calls,
                     sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens, sum(c.cost) AS cost%s
              FROM (%s) c GROUP BY c.subject) g
        CROSS JOIN LATERAL (SELECT %s, %s) n (name, starts_at, ends_at)
        ORDER BY %s
        $query$,
        CASE level WHEN 'call' THEN ', min(c.called_at) AS called_at, max(c.ended_at) AS ended_at' END,
        cost_ledger_internal.spend_query(
            subject || ' AS subject' || CASE level
                WHEN 'call' THEN ', c.called_at, c.called_at + greatest(least(coalesce(c.duration_ms, 0), 2592000000), 0) * interval ''1 millisecond'' AS ended_at' ELSE '' END,
            '{calls,unpriced_calls,input_tokens,output_tokens,cost}', checked, begin_at, range_end, rollups),
        name, bounds, CASE WHEN level IN ('user', 'run') THEN 'g.cost DESC NULLS LAST, n.name' WHEN level = 'call' THEN 'n.starts_at, g.subject' ELSE 'n.starts_at' END)
        USING sees_all, teams, customers, range_start, range_end, known.time_zone, known.currency,
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
    'One click deeper: what the calls that pass a filter cost in a range of time (end exclusive), by day, hour (of the reporting zone), user, run or call. Every level has the same columns, and the next is drill(next_level, next_filter, starts_at, ends_at) of a row: day, hour, user, run, call. value is the day, the hour by the clock of the reporting zone, the user, the run or the call_id; calls without a user or run are (unallocated), and is_allocated is false. Days, hours and calls come in the order of time, users and runs the dearest first. cost is exact, in currency; share is a fraction of the cost of all rows; a call has its corrections in it. Whole days and hours of the labels of the cube come from that, whole months and days of users from theirs, what is left at the ends of a range from the calls; anything else from the calls, as find_calls() finds them. Calls in quarantine are not in it, as in other sums; a notice where retention has dropped calls that it would read. Only calls that the role may see. 22023 for another level, or what is no filter.';
