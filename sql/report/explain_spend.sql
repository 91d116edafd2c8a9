-- What cost us that: what the calls of a range of time cost, by what each of their
-- labels says, the largest first, and each row with the filter to go on with.
--
-- Each label by itself is the whole, so its values add up to the row that they are
-- below, and no call is in one of them twice.  A label that says the same of all
-- explains nothing, and is left out; what is usual comes last.

CREATE TYPE cost_ledger_internal.spend_share AS (
    labels          text[],
    calls           bigint,
    unpriced_calls  bigint,
    cost            numeric,
    previous_calls  bigint,
    previous_cost   numeric
);

COMMENT ON TYPE cost_ledger_internal.spend_share IS 'What calls of some labels add up to in a range of time, and in the one before. labels has a place for each label asked for: empty where calls do not say it, NULL where it is not asked of them.';

CREATE TYPE cost_ledger_internal.spend_line AS (
    level           integer,
    subject         text,
    label           text,
    value           text,
    is_allocated    boolean,
    is_usual        boolean,
    calls           bigint,
    unpriced_calls  bigint,
    cost            numeric,
    share           numeric,
    previous_calls  bigint,
    previous_cost   numeric,
    change          numeric,
    change_ratio    numeric,
    currency        text,
    next_filter     jsonb
);

COMMENT ON TYPE cost_ledger_internal.spend_line IS 'A row of explain_spend().';

CREATE FUNCTION cost_ledger_internal.labels_of_totals() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN '{tool,agent,step,api_key,cohort}'::text[];

COMMENT ON FUNCTION cost_ledger_internal.labels_of_totals() IS
    'Labels that have totals of their own and are not in the cube.';

CREATE FUNCTION cost_ledger_internal.label_expression(label text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN label = 'tool of retry' THEN 'CASE WHEN lower(c.operation) = ''retry'' THEN coalesce(c.tool, '''') END'
        WHEN label = 'model of fallback' THEN 'CASE WHEN lower(c.operation) = ''fallback'' THEN c.model END'
        WHEN label = 'operation' THEN 'CASE WHEN cost_ledger_internal.is_turn(c.operation) THEN coalesce(c.operation, '''') ELSE lower(c.operation) END'
        WHEN label = 'operation as spelled' THEN 'coalesce(c.operation, '''')'
        WHEN label LIKE 'tags.%' THEN format('coalesce(c.tags ->> %L, '''')', substr(label, 6))
        ELSE format('coalesce(c.%I::text, '''')', label) END
$$;

COMMENT ON FUNCTION cost_ledger_internal.label_expression(text) IS
    'What a row c says of a label, in SQL, as in spend_share.labels.';

CREATE FUNCTION cost_ledger_internal.spend_subject(label text, value text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE label
        WHEN 'total' THEN 'total'
        WHEN 'tool of retry' THEN 'retries of tool ' || s.said
        WHEN 'model of fallback' THEN 'fallbacks to model ' || s.said
        WHEN 'operation' THEN CASE WHEN value = 'retry' THEN 'retries' WHEN value IN ('fallback', 'eval', 'judge', 'embedding') THEN value || 's' ELSE 'operation ' || s.said END
        ELSE label || ' ' || s.said END
    FROM (SELECT coalesce(nullif(value, ''), '(unallocated)') AS said) s
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_subject(text, text) IS
    'A label and its value in words.';

CREATE FUNCTION cost_ledger_internal.spend_filter(filter jsonb, label text, value text, operations text[]) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
    -- A star is a star.
    SELECT filter || CASE
        WHEN label = 'operation' AND v.value IS NOT NULL AND NOT cost_ledger_internal.is_turn(value) THEN jsonb_build_object('operation', o.spelled)
        WHEN label LIKE '% of %' THEN jsonb_build_object('operation', o.spelled, substring(label FROM '(.*) of '), v.value)
        ELSE jsonb_build_object(label, v.value) END
    FROM (SELECT replace(nullif(value, ''), '*', '\*') AS value) v
    CROSS JOIN LATERAL (
        SELECT CASE count(*) WHEN 1 THEN to_jsonb(min(o)) ELSE jsonb_agg(o ORDER BY o) END AS spelled
        FROM unnest(operations) AS o WHERE lower(o) = CASE label WHEN 'operation' THEN value ELSE substring(label FROM ' of (.*)') END) o
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_filter(jsonb, text, text, text[]) IS
    'A filter that calls of a label''s value pass, within another; operations: how calls spell theirs.';

CREATE FUNCTION cost_ledger_internal.is_usual(label text, value text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE label
        WHEN 'total' THEN false
        WHEN 'operation' THEN cost_ledger_internal.is_turn(value)
        WHEN 'status' THEN NOT cost_ledger_internal.is_failure(value)
        WHEN 'service_class' THEN value = 'standard'
        WHEN 'served_from' THEN value = 'model'
        ELSE value = '' END
$$;

COMMENT ON FUNCTION cost_ledger_internal.is_usual(text, text) IS
    'Whether a label''s value is what most calls say: nothing; an operation that is a turn, a status that is no failure, the class standard, answered by the model.';

-- Rows below one: of these calls, and below the dearest of them, to that depth.
CREATE FUNCTION cost_ledger_internal.split_spend(
    shares cost_ledger_internal.spend_share[], names text[], shown text[], named text[], filter jsonb, depth integer, last_depth integer, whole numeric, operations text[])
    RETURNS SETOF cost_ledger_internal.spend_line
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    line record;
    row cost_ledger_internal.spend_line;
BEGIN
    FOR line IN
        SELECT g.*, row_number() OVER (ORDER BY g.is_usual, g.cost DESC NULLS LAST, g.calls DESC, g.place, g.value) AS rank
        FROM (
            SELECT s.place, names[s.place] AS label, s.value, cost_ledger_internal.is_usual(names[s.place], s.value) AS is_usual,
                   sum(s.calls)::bigint AS calls, sum(s.unpriced_calls)::bigint AS unpriced_calls,
                   CASE WHEN sum(s.calls) = 0 THEN coalesce(sum(s.cost), 0) ELSE sum(s.cost) END AS cost,
                   sum(s.previous_calls)::bigint AS previous_calls,
                   CASE WHEN sum(s.previous_calls) = 0 THEN coalesce(sum(s.previous_cost), 0) ELSE sum(s.previous_cost) END AS previous_cost,
                   count(*) OVER (PARTITION BY s.place) AS num_values
            FROM (SELECT l.place, l.value, p.calls, p.unpriced_calls, p.cost, p.previous_calls, p.previous_cost
                  FROM unnest(shares) AS p CROSS JOIN LATERAL unnest(p.labels) WITH ORDINALITY AS l (value, place)
                  WHERE l.value IS NOT NULL) s
            WHERE names[s.place] = ANY (shown)
            GROUP BY s.place, s.value) g
        WHERE g.num_values > 1 OR g.label LIKE '% of %' AND g.value <> '' OR g.label = ANY (named)
        ORDER BY rank
    LOOP
        row := (split_spend.depth, cost_ledger_internal.spend_subject(line.label, line.value), line.label, coalesce(nullif(line.value, ''), '(unallocated)'), line.value <> '',
                line.is_usual, line.calls, line.unpriced_calls, trim_scale(line.cost), round(line.cost / nullif(whole, 0), 6), line.previous_calls, trim_scale(line.previous_cost),
                trim_scale(line.cost - line.previous_cost), round((line.cost - line.previous_cost) / nullif(line.previous_cost, 0), 6), NULL,
                cost_ledger_internal.spend_filter(split_spend.filter, line.label, line.value, operations));
        RETURN NEXT row;
        IF split_spend.depth < last_depth AND line.rank <= 5 AND NOT line.is_usual THEN
            RETURN QUERY SELECT d.*
                FROM cost_ledger_internal.split_spend(ARRAY(SELECT p FROM unnest(shares) AS p WHERE p.labels[line.place] = line.value), names, shown, '{}', row.next_filter,
                                                      split_spend.depth + 1, last_depth, whole, operations) d;
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.split_spend(cost_ledger_internal.spend_share[], text[], text[], text[], jsonb, integer, integer, numeric, text[]) IS
    'Rows of explain_spend() for these calls, of a depth and, below the five dearest that are not usual, of the next. names: labels of the shares, by place; shown: those that are to be shown; named: also where they say the same of all.';

CREATE FUNCTION cost_ledger_internal.num_calls_between(range_start timestamptz, range_end timestamptz) RETURNS numeric
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(sum(d.calls), 0)
    FROM cost_ledger.ledger l
    JOIN cost_ledger_internal.rollup_label k ON k.label = 'all'
    JOIN cost_ledger_internal.rollup_total_day d ON d.label_id = k.label_id
         AND d.day >= (range_start AT TIME ZONE l.time_zone)::date AND d.day <= (range_end AT TIME ZONE l.time_zone)::date
$$;

COMMENT ON FUNCTION cost_ledger_internal.num_calls_between(timestamptz, timestamptz) IS
    'Calls of the days that a range of time touches, as far as they are in the rollups: what it takes to read them.';

CREATE FUNCTION cost_ledger_internal.spend_shares(
    names text[], filter jsonb, rollups text[], range_start timestamptz, range_end timestamptz, previous_start timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS cost_ledger_internal.spend_share[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    labels constant text := (SELECT format('ARRAY[%s] AS labels', string_agg(CASE WHEN rollups <> '{}' AND n = ANY (cost_ledger_internal.labels_of_totals() || '{tool of retry}'::text[])
                                                                                  THEN 'NULL::text' ELSE cost_ledger_internal.label_expression(n) END, ', ' ORDER BY i))
                             FROM unnest(names) WITH ORDINALITY AS u (n, i));
    shares cost_ledger_internal.spend_share[];
BEGIN
    EXECUTE format($query$
        SELECT array_agg(ROW(s.labels, s.calls, s.unpriced_calls, s.cost, s.previous_calls, s.previous_cost)::cost_ledger_internal.spend_share)
        FROM (SELECT s.labels, sum(CASE WHEN s.is_now THEN s.calls ELSE 0 END)::bigint AS calls, sum(CASE WHEN s.is_now THEN s.unpriced_calls ELSE 0 END)::bigint AS unpriced_calls,
                     sum(CASE WHEN s.is_now THEN s.cost END) AS cost,
                     CASE WHEN $4 THEN sum(CASE WHEN s.is_now THEN 0 ELSE s.calls END)::bigint END AS previous_calls, sum(CASE WHEN s.is_now THEN NULL ELSE s.cost END) AS previous_cost
              FROM (SELECT true AS is_now, q.labels, q.calls, q.unpriced_calls, q.cost FROM (%s) q
                    UNION ALL
                    SELECT false, q.labels, q.calls, q.unpriced_calls, q.cost FROM (%s) q) s
              GROUP BY s.labels) s
        $query$, cost_ledger_internal.spend_query(labels, '{calls,unpriced_calls,cost}', filter, range_start, range_end, rollups),
        -- Of no time, where there is nothing before.
        cost_ledger_internal.spend_query(labels, '{calls,unpriced_calls,cost}', filter, coalesce(previous_start, 'infinity'), coalesce(range_start, '-infinity'), rollups))
        INTO shares USING sees_all, teams, customers, previous_start IS NOT NULL;
    RETURN shares;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_shares(text[], jsonb, text[], timestamptz, timestamptz, timestamptz, boolean, text[], text[]) IS
    'What calls of a range and of the one before it that pass a checked filter add up to by some labels: of rollups those of the cube, of the calls all.';

CREATE FUNCTION cost_ledger_internal.total_shares(names text[], range_start timestamptz, range_end timestamptz, previous_start timestamptz)
    RETURNS cost_ledger_internal.spend_share[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    query text;
    shares cost_ledger_internal.spend_share[];
BEGIN
    SELECT string_agg(format('SELECT %1$L::boolean AS is_now, d.label, coalesce(d.value, '''') AS value, d.calls, d.unpriced_calls, d.cost FROM cost_ledger_internal.live_total_%2$s d
                              WHERE d.label = ANY ($1) AND d.%2$s >= %3$L AND d.%2$s < %4$L',
                             r.is_now, p.source, (p.starts_at AT TIME ZONE zone)::date, (p.ends_at AT TIME ZONE zone)::date), ' UNION ALL ')
        INTO query
        FROM (VALUES (true, range_start, range_end), (false, previous_start, range_start)) AS r (is_now, starts_at, ends_at)
        CROSS JOIN LATERAL cost_ledger_internal.spend_pieces(r.starts_at, r.ends_at, '{month,day,hour}') p
        WHERE r.starts_at IS NOT NULL;
    IF query IS NOT NULL THEN
        EXECUTE format($query$
            SELECT array_agg(ROW(ARRAY(SELECT CASE n WHEN d.label THEN d.value END FROM unnest($2) WITH ORDINALITY AS u (n, i) ORDER BY i),
                                 d.calls, d.unpriced_calls, d.cost, d.previous_calls, d.previous_cost)::cost_ledger_internal.spend_share)
            FROM (SELECT d.label, d.value, sum(CASE WHEN d.is_now THEN d.calls ELSE 0 END)::bigint AS calls, sum(CASE WHEN d.is_now THEN d.unpriced_calls ELSE 0 END)::bigint AS unpriced_calls,
                         sum(CASE WHEN d.is_now THEN d.cost END) AS cost, CASE WHEN $3 THEN sum(CASE WHEN d.is_now THEN 0 ELSE d.calls END)::bigint END AS previous_calls,
                         sum(CASE WHEN d.is_now THEN NULL ELSE d.cost END) AS previous_cost
                  FROM (%s) d GROUP BY d.label, d.value) d
            $query$, query) INTO shares USING cost_ledger_internal.labels_of_totals(), names, previous_start IS NOT NULL;
    END IF;
    RETURN coalesce(shares, '{}');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.total_shares(text[], timestamptz, timestamptz, timestamptz) IS
    'The same of labels_of_totals(), each by itself, of all calls of whole days.';

CREATE FUNCTION cost_ledger_internal.other_shares(names text[], filter jsonb, range_start timestamptz, range_end timestamptz, previous_start timestamptz, sees_all boolean)
    RETURNS cost_ledger_internal.spend_share[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    -- The days of totals, of all calls.
    are_known constant boolean := sees_all AND filter = '{}'
        AND (SELECT bool_and(NOT isfinite(b) OR b = cost_ledger_internal.period_start('day', b, zone)) FROM unnest(ARRAY[range_start, range_end, coalesce(previous_start, range_start)]) AS b);
BEGIN
    RAISE NOTICE '% not among these: to say them, many calls have to be read',
        CASE WHEN are_known THEN 'retries by tool are' ELSE 'tool, agent, step, api_key, cohort and retries by tool are' END
        USING HINT = 'Name them: labels => ' || CASE WHEN are_known THEN '''{tool of retry}''' ELSE '''{tool,agent,tool of retry}''. Of all calls of whole days, they are here without the retries.' END;
    RETURN CASE WHEN are_known THEN cost_ledger_internal.total_shares(names, range_start, range_end, previous_start) ELSE '{}' END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.other_shares(text[], jsonb, timestamptz, timestamptz, timestamptz, boolean) IS
    'What the cube does not say of labels, where there are too many calls to read, as far as their totals say it; a notice of what is left out.';

CREATE FUNCTION cost_ledger_internal.explain_labels(labels text[]) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known constant text[] := '{customer,feature,team,tool of retry,operation,model of fallback,tool,flow,task_type,agent,step,environment,model,provider,api_key,cohort,service_class,status,served_from}';
    other text := (SELECT n FROM unnest(labels) AS n
                   WHERE n IS NULL OR n <> ALL (known) AND (n <> ALL (cost_ledger_internal.call_labels()) OR n = 'tags') AND (n NOT LIKE 'tags._%') LIMIT 1);
BEGIN
    IF array_ndims(labels) > 1 OR cardinality(labels) <> (SELECT count(DISTINCT coalesce(n, '')) FROM unnest(labels) AS n) OR other IS NOT NULL OR array_position(labels, NULL) > 0 THEN
        RAISE EXCEPTION 'these are no labels to explain a cost by: %', coalesce(quote_literal(other), labels::text)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Name labels of calls, each once: {customer,feature,tags.tier}. Left out: ' || array_to_string(known, ', ') || '.';
    END IF;
    RETURN known || ARRAY(SELECT n FROM unnest(labels) AS n WHERE n <> ALL (known)) || '{operation as spelled}'::text[];
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.explain_labels(text[]) IS
    'Labels by which explain_spend() explains, of rows that cost the same the first first, and after them others that are asked for, and at last the operation with its capitals, which is not shown; an error (22023) for what is none.';

-- Reading so many calls takes about as long as reading the cube of a large company.
CREATE FUNCTION cost_ledger_internal.reads_calls(filter jsonb, labels text[], range_start timestamptz, range_end timestamptz) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT cost_ledger_internal.is_of_cube(filter)
        OR EXISTS (SELECT FROM unnest(labels) AS n WHERE n <> ALL (cost_ledger_internal.cube_labels()) AND n <> 'model of fallback')
        OR labels IS NULL AND s.calls_from <= range_start
           AND cost_ledger_internal.num_calls_between(range_start, range_end) <= 50000
    FROM cost_ledger_internal.rollup_state s
$$;

COMMENT ON FUNCTION cost_ledger_internal.reads_calls(jsonb, text[], timestamptz, timestamptz) IS
    'Whether explain_spend() reads calls, which say all labels, instead of the cube: where a checked filter or labels ask for it, or the calls are few.';

CREATE FUNCTION cost_ledger_internal.explain_spend(
    range_start timestamptz, range_end timestamptz, filter jsonb, depth integer, labels text[], sees_all boolean, teams text[], customers text[])
    RETURNS SETOF cost_ledger_internal.spend_line
    LANGUAGE c STABLE ROWS 100
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.explain_spend(timestamptz, timestamptz, jsonb, integer, text[], boolean, text[], text[]) IS
    'cost_ledger.explain_spend() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.explain_spend_as_owner(
    range_start timestamptz, range_end timestamptz, filter jsonb, depth integer, labels text[], sees_all boolean, teams text[], customers text[])
    RETURNS SETOF cost_ledger_internal.spend_line
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known constant record := cost_ledger_internal.ledger();
    checked constant jsonb := cost_ledger_internal.check_filter(filter, 'calls', cost_ledger_internal.call_labels());
    names constant text[] := cost_ledger_internal.explain_labels(labels);
    previous_start timestamptz;
    rollups text[];
    shares cost_ledger_internal.spend_share[];
    total record;
BEGIN
    PERFORM cost_ledger_internal.check_range(range_start, range_end);
    IF NOT coalesce(depth BETWEEN 0 AND 4, false) THEN
        RAISE EXCEPTION 'there is no depth %', coalesce(depth::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = '0: the total only; 1: what each label says; 2 to 4: also what is in the dearest of it.';
    END IF;
    previous_start := cost_ledger_internal.previous_start(range_start, range_end);
    rollups := CASE WHEN cost_ledger_internal.reads_calls(checked, labels, coalesce(previous_start, range_start), range_end) THEN '{}' ELSE cost_ledger_internal.cube_rollups(checked) END;
    PERFORM cost_ledger_internal.check_spend_range(range_start, range_end, rollups);
    IF NOT cost_ledger_internal.is_spend_known(previous_start, range_start, rollups) THEN
        previous_start := NULL;
    END IF;
    shares := cost_ledger_internal.spend_shares(names, checked, rollups, range_start, range_end, previous_start, sees_all, teams, customers);
    SELECT coalesce(sum(s.calls), 0)::bigint AS calls, coalesce(sum(s.unpriced_calls), 0)::bigint AS unpriced_calls,
           CASE WHEN coalesce(sum(s.calls), 0) = 0 THEN coalesce(sum(s.cost), 0) ELSE sum(s.cost) END AS cost,
           CASE WHEN previous_start IS NOT NULL THEN coalesce(sum(s.previous_calls), 0)::bigint END AS previous_calls,
           CASE WHEN previous_start IS NULL THEN NULL WHEN coalesce(sum(s.previous_calls), 0) = 0 THEN coalesce(sum(s.previous_cost), 0) ELSE sum(s.previous_cost) END AS previous_cost
        INTO total FROM unnest(shares) AS s;
    IF rollups <> '{}' AND labels IS NULL AND depth > 0 THEN
        shares := shares || cost_ledger_internal.other_shares(names, checked, range_start, range_end, previous_start, sees_all);
    END IF;
    RETURN QUERY SELECT 0, 'total', 'total', NULL::text, NULL::boolean, false, total.calls, total.unpriced_calls, trim_scale(total.cost), round(total.cost / nullif(total.cost, 0), 6),
        total.previous_calls, trim_scale(total.previous_cost), trim_scale(total.cost - total.previous_cost),
        round((total.cost - total.previous_cost) / nullif(total.previous_cost, 0), 6), known.currency, checked;
    IF depth > 0 THEN
        RETURN QUERY SELECT s.level, s.subject, s.label, s.value, s.is_allocated, s.is_usual, s.calls, s.unpriced_calls, s.cost, s.share, s.previous_calls, s.previous_cost, s.change,
                s.change_ratio, known.currency, s.next_filter
            FROM cost_ledger_internal.split_spend(shares, names, coalesce(labels, array_remove(names, 'operation as spelled')), coalesce(labels, '{}'), checked, 1, depth, total.cost,
                ARRAY(SELECT DISTINCT s.labels[cardinality(names)] FROM unnest(shares) AS s)) s;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.explain_spend_as_owner(timestamptz, timestamptz, jsonb, integer, text[], boolean, text[], text[]) IS
    'The body of explain_spend().';

CREATE FUNCTION cost_ledger.explain_spend(
    range_start timestamptz DEFAULT now() - interval '7 days', range_end timestamptz DEFAULT now(), filter jsonb DEFAULT '{}', depth integer DEFAULT 1, labels text[] DEFAULT NULL)
    RETURNS TABLE (level integer, subject text, label text, value text, is_allocated boolean, is_usual boolean, calls bigint, unpriced_calls bigint, cost numeric, share numeric,
                   previous_calls bigint, previous_cost numeric, change numeric, change_ratio numeric, currency text, next_filter jsonb)
    LANGUAGE sql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT e.*
    FROM cost_ledger_internal.explain_spend($1, $2, $3, $4, $5, cost_ledger_internal.sees_all(), cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) e;
END;

COMMENT ON FUNCTION cost_ledger.explain_spend(timestamptz, timestamptz, jsonb, integer, text[]) IS
    'What cost us that? What the calls that pass a filter cost in a range of time (end exclusive; left out, the last seven days), by what each of their labels says: the total first (level 0), then every value of every label, the largest first; what is usual comes last (is_usual: calls that do not say the label, plain work, success, class standard, answers of the model). Retries, fallbacks and evals are called so, as subject; retries of a tool (label: tool of retry) and fallbacks to a model (model of fallback) have rows of their own. A label by itself adds up to the row it is below; one that says the same of all is left out, unless labels names it. next_filter finds the calls of a row: for find_calls(), drill(), compare_spend() and this function. depth 2 to 4: below the five largest of a level that are not usual, what is in them. labels: by these only, also tags.name and other columns of call. share is a fraction of the cost of the total; previous_… and change are of the time before: as many months or days where the range is of whole ones of the reporting zone, else as long; NULL where there is none, or retention has left nothing of it. Money is exact, in currency, NULL where nothing has a price (unpriced_calls), 0 where there are no calls. Exact to the instant: months, days and hours come from the cube, the rest from the calls. tool, agent, step, api_key, cohort and tags are not in the cube: of at most 50,000 calls, or where filter or labels name them, the calls are read; else a notice says what is left out. Only calls that the role may see. 22023 for a depth, filter or labels that are none; 55000 where retention has dropped what a range is read from.';
