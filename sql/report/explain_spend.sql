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
        WHEN 'operation' THEN CASE WHEN value = '' THEN 'operation ' || s.said
                                   WHEN lower(value) = 'retry' THEN 'retries'
                                   WHEN lower(value) IN ('fallback', 'eval', 'judge', 'embedding') THEN lower(value) || 's'
                                   ELSE 'operation ' || s.said END
        ELSE label || ' ' || s.said END
    FROM (SELECT coalesce(nullif(value, ''), '(unallocated)') AS said) s
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_subject(text, text) IS
    'A label and its value in words.';

CREATE FUNCTION cost_ledger_internal.spend_filter(filter jsonb, label text, value text, operations text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
    -- A star is a star.
    SELECT CASE
        WHEN label = 'total' THEN filter
        WHEN label IN ('tool of retry', 'model of fallback') THEN
            filter || jsonb_build_object('operation', (SELECT CASE count(*) WHEN 1 THEN to_jsonb(min(o)) ELSE jsonb_agg(o ORDER BY o) END
                                                       FROM unnest(operations) AS o WHERE lower(o) = substring(label FROM ' of (.*)')),
                                         substring(label FROM '(.*) of '), v.value)
        ELSE filter || jsonb_build_object(label, v.value) END
    FROM (SELECT replace(nullif(value, ''), '*', '\*') AS value) v
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
                   count(*) OVER (PARTITION BY s.place) AS values
            FROM (SELECT l.place, l.value, p.calls, p.unpriced_calls, p.cost, p.previous_calls, p.previous_cost
                  FROM unnest(shares) AS p CROSS JOIN LATERAL unnest(p.labels) WITH ORDINALITY AS l (value, place)
                  WHERE l.value IS NOT NULL) s
            WHERE names[s.place] = ANY (shown)
            GROUP BY s.place, s.value) g
        WHERE g.values > 1 OR g.label LIKE '% of %' AND g.value <> '' OR g.label = ANY (named)
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
    JOIN cost_ledger_internal.live_total_day d ON d.label = 'all'
         AND (NOT isfinite(range_start) OR d.day >= (range_start AT TIME ZONE l.time_zone)::date) AND (NOT isfinite(range_end) OR d.day <= (range_end AT TIME ZONE l.time_zone)::date)
$$;

COMMENT ON FUNCTION cost_ledger_internal.num_calls_between(timestamptz, timestamptz) IS
    'Calls of the days that a range of time touches: what it takes to read them.';

CREATE FUNCTION cost_ledger_internal.spend_shares(
    names text[], condition text, unit text, range_start timestamptz, range_end timestamptz, previous_start timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS cost_ledger_internal.spend_share[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    labels constant text := (SELECT format('ARRAY[%s] AS labels', string_agg(CASE WHEN unit = 'month' AND n = ANY (cost_ledger_internal.labels_of_totals() || '{tool of retry}'::text[])
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
        $query$, cost_ledger_internal.spend_query(labels, condition, range_start, range_end, unit),
        -- Of no time, where there is nothing before.
        cost_ledger_internal.spend_query(labels, condition, coalesce(previous_start, 'infinity'), coalesce(range_start, '-infinity'), unit))
        INTO shares USING sees_all, teams, customers, previous_start IS NOT NULL;
    RETURN shares;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_shares(text[], text, text, timestamptz, timestamptz, timestamptz, boolean, text[], text[]) IS
    'What calls of a range and of the one before it add up to by some labels. unit: month, of labels of the cube; call, of all.';

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
    of_cube constant text[] := '{customer,feature,team,operation,flow,task_type,environment,model,provider,service_class,status,served_from,model of fallback}';
    of_calls constant text[] := '{tool of retry}'::text[] || cost_ledger_internal.labels_of_totals();
    names text[] := of_cube || of_calls;
    previous_start timestamptz;
    unit text := 'month';
    shares cost_ledger_internal.spend_share[];
    total record;
BEGIN
    PERFORM cost_ledger_internal.check_range(range_start, range_end);
    previous_start := cost_ledger_internal.previous_start(range_start, range_end);
    names := names || ARRAY(SELECT n FROM unnest(labels) AS n WHERE n <> ALL (names));
    IF NOT cost_ledger_internal.is_of_cube(checked) OR NOT coalesce(labels, '{}') <@ of_cube
       OR labels IS NULL AND cost_ledger_internal.num_calls_between(coalesce(previous_start, range_start), range_end) <= 100000 THEN
        unit := 'call';
    END IF;
    shares := cost_ledger_internal.spend_shares(names, cost_ledger_internal.call_condition(filter), unit, range_start, range_end, previous_start, sees_all, teams, customers);
    SELECT coalesce(sum(s.calls), 0)::bigint AS calls, coalesce(sum(s.unpriced_calls), 0)::bigint AS unpriced_calls,
           CASE WHEN coalesce(sum(s.calls), 0) = 0 THEN coalesce(sum(s.cost), 0) ELSE sum(s.cost) END AS cost,
           CASE WHEN previous_start IS NOT NULL THEN coalesce(sum(s.previous_calls), 0)::bigint END AS previous_calls,
           CASE WHEN previous_start IS NOT NULL THEN CASE WHEN coalesce(sum(s.previous_calls), 0) = 0 THEN coalesce(sum(s.previous_cost), 0) ELSE sum(s.previous_cost) END END AS previous_cost
        INTO total FROM unnest(shares) AS s;
    RETURN QUERY SELECT 0, 'total', 'total', NULL::text, NULL::boolean, false, total.calls, total.unpriced_calls, trim_scale(total.cost), round(total.cost / nullif(total.cost, 0), 6),
        total.previous_calls, trim_scale(total.previous_cost), trim_scale(total.cost - total.previous_cost),
        round((total.cost - total.previous_cost) / nullif(total.previous_cost, 0), 6), known.currency, checked;
    RETURN QUERY SELECT s.level, s.subject, s.label, s.value, s.is_allocated, s.is_usual, s.calls, s.unpriced_calls, s.cost, s.share, s.previous_calls, s.previous_cost, s.change,
            s.change_ratio, known.currency, s.next_filter
        FROM cost_ledger_internal.split_spend(shares, names, coalesce(labels, names), coalesce(labels, '{}'), checked, 1, depth, total.cost,
            ARRAY(SELECT DISTINCT s.labels[array_position(names, 'operation')] FROM unnest(shares) AS s)) s;
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
    'What cost us that?';
