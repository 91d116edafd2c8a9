-- How costs are distributed: of single calls, runs, whole tasks, sessions, users,
-- customers, each counted exactly.

CREATE FUNCTION cost_ledger_internal.sample_key(per text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    key CONSTANT text := CASE per
        WHEN 'call' THEN 'coalesce(c.corrects, c.call_id)::text'
        WHEN 'run' THEN 'c.run_id'
        WHEN 'session' THEN 'c.session_id'
        WHEN 'user' THEN 'c.user_id'
        WHEN 'customer' THEN 'c.customer'
        -- A run may be called as a call is numbered.
        WHEN 'task' THEN 'coalesce(''run '' || coalesce(t.root_run_id, c.run_id), ''call '' || coalesce(c.corrects, c.call_id))' END;
BEGIN
    IF key IS NULL THEN
        RAISE EXCEPTION 'a sample is not by "%"', per
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Sample by user, run, task, session, customer or call.';
    END IF;
    RETURN key;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.sample_key(text) IS
    'What calls c of one sample have in common, in SQL: a call with its corrections, a run, a session, a user, a customer, or a task, which is a whole run (of the run t at its top) or a call that is in none.';

CREATE FUNCTION cost_ledger_internal.task_roots(per text, condition text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Who may not see all gets the trees that these calls of his make.
    SELECT CASE WHEN per = 'task' THEN format($query$
        LEFT JOIN (
            SELECT r.run_id, r.root_run_id
            FROM cost_ledger_internal.live_run r
            WHERE $3 AND r.root_run_id IS NOT NULL AND r.run_id = ANY (ARRAY(SELECT DISTINCT c.run_id COLLATE "C" FROM cost_ledger.call c WHERE c.run_id IS NOT NULL AND %1$s))
            UNION ALL
            SELECT p.run_id COLLATE "C", p.root_run_id COLLATE "C"
            FROM (SELECT array_agg(s.run_id) AS run_ids, array_agg(s.parent_run_id) AS parents, array_agg(NULL::text) AS roots, array_agg(NULL::integer) AS depths
                  FROM (SELECT c.run_id, min(c.parent_run_id COLLATE "C") AS parent_run_id
                        FROM cost_ledger.call c WHERE NOT $3 AND c.run_id IS NOT NULL AND c.parent_run_id IS NOT NULL AND %1$s GROUP BY c.run_id) s) a
            CROSS JOIN LATERAL cost_ledger_internal.place_in_tree(a.run_ids, a.parents, a.roots, a.depths) p) t ON t.run_id = c.run_id
        $query$, condition) ELSE '' END
$$;

COMMENT ON FUNCTION cost_ledger_internal.task_roots(text, text) IS
    'A join, in SQL, of calls c for which a condition holds with the run t at the top of the whole run that they are in; of samples that are no tasks, nothing. $3 is whether the caller sees all.';

CREATE FUNCTION cost_ledger_internal.histogram_bounds(lowest numeric, highest numeric, buckets integer) RETURNS numeric[]
    LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Those between have 6 digits.  Costs that are all the same have one bucket.
    SELECT array_agg(DISTINCT b.bound)
    FROM (SELECT lowest AS bound
          UNION ALL
          SELECT trim_scale(round(i.bound, 5 - floor(log(i.bound))::integer))
          FROM (SELECT lowest * power(highest / lowest, n::numeric / buckets) AS bound FROM generate_series(1, least(buckets, 1000) - 1) AS n) i
          UNION ALL
          SELECT highest) b
    WHERE b.bound BETWEEN lowest AND highest
$$;

COMMENT ON FUNCTION cost_ledger_internal.histogram_bounds(numeric, numeric, integer) IS
    'Bounds of so many buckets (1000 at most) of equal ratio between two numbers above 0, in ascending order; fewer where the numbers are too near.';

CREATE FUNCTION cost_ledger_internal.cost_histogram(
    filter jsonb, range_start timestamptz, range_end timestamptz, per text, buckets integer, sees_all boolean, teams text[], customers text[]
) RETURNS TABLE (bucket integer, lower_bound numeric, upper_bound numeric, samples bigint, cost numeric, share numeric, sample_share numeric, cumulated_sample_share numeric, currency text)
    LANGUAGE c STABLE ROWS 20
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.cost_histogram(jsonb, timestamptz, timestamptz, text, integer, boolean, text[], text[]) IS
    'cost_ledger.cost_histogram() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.cost_histogram_as_owner(
    filter jsonb, range_start timestamptz, range_end timestamptz, per text, buckets integer, sees_all boolean, teams text[], customers text[]
) RETURNS TABLE (bucket integer, lower_bound numeric, upper_bound numeric, samples bigint, cost numeric, share numeric, sample_share numeric, cumulated_sample_share numeric, currency text)
    LANGUAGE plpgsql STABLE ROWS 20
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    known record := cost_ledger_internal.ledger();
    key CONSTANT text := cost_ledger_internal.sample_key(per);
    condition text;
BEGIN
    IF NOT coalesce(buckets BETWEEN 1 AND 1000, false) THEN
        RAISE EXCEPTION 'a histogram has no % buckets', coalesce(buckets::text, 'NULL')
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'Pass a number from 1 to 1000.';
    END IF;
    PERFORM cost_ledger_internal.check_range(range_start, range_end);
    PERFORM cost_ledger_internal.refuse_dropped(range_start, range_end, filter);
    condition := 'c.called_at >= $1 AND c.called_at < $2 AND ($3 OR c.team = ANY ($4) OR c.customer = ANY ($5)) AND '
                 || cost_ledger_internal.call_condition(filter) || cost_ledger_internal.standing() || cost_ledger_internal.not_quarantined();
    RETURN QUERY EXECUTE format($query$
        WITH sample AS MATERIALIZED (
            SELECT %1$s AS key, sum(c.cost) AS cost FROM cost_ledger.call c %2$s WHERE %3$s AND %1$s IS NOT NULL GROUP BY 1
        ), bounds AS (
            SELECT cost_ledger_internal.histogram_bounds(min(s.cost) FILTER (WHERE s.cost > 0), max(s.cost) FILTER (WHERE s.cost > 0), $6) AS bounds FROM sample s
        ), bucket AS (
            SELECT n AS bucket, b.bounds[n] AS lower_bound, coalesce(b.bounds[n + 1], b.bounds[n]) AS upper_bound
            FROM bounds b, generate_series(1, greatest(array_length(b.bounds, 1) - 1, 1)) AS n
            WHERE b.bounds IS NOT NULL
            UNION ALL
            -- What costs nothing, or less; and what nobody knows the cost of.
            SELECT 0, min(s.cost), 0 FROM sample s WHERE s.cost <= 0 HAVING count(*) > 0
            UNION ALL
            SELECT NULL, NULL, NULL FROM sample s WHERE s.cost IS NULL HAVING count(*) > 0
        ), counted AS (
            SELECT CASE WHEN s.cost > 0 THEN least(width_bucket(s.cost, b.bounds), greatest(array_length(b.bounds, 1) - 1, 1)) WHEN s.cost <= 0 THEN 0 END AS bucket,
                   count(*) AS samples, sum(s.cost) AS cost
            FROM sample s, bounds b GROUP BY 1
        )
        SELECT k.bucket, k.lower_bound, k.upper_bound, coalesce(c.samples, 0), CASE WHEN c.samples IS NULL THEN 0 ELSE c.cost END,
               round(CASE WHEN c.samples IS NULL THEN 0 ELSE c.cost END / nullif(sum(c.cost) OVER (), 0), 6),
               round(coalesce(c.samples, 0) / sum(c.samples) OVER (), 6),
               round(sum(c.samples) OVER (ORDER BY k.bucket NULLS LAST) / sum(c.samples) OVER (), 6), $7
        FROM bucket k
        LEFT JOIN counted c ON c.bucket IS NOT DISTINCT FROM k.bucket
        ORDER BY k.bucket NULLS LAST
        $query$, key, cost_ledger_internal.task_roots(per, condition), condition)
        USING range_start, range_end, sees_all, teams, customers, buckets, known.currency;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.cost_histogram_as_owner(jsonb, timestamptz, timestamptz, text, integer, boolean, text[], text[]) IS
    'The body of cost_histogram().';

CREATE FUNCTION cost_ledger.cost_histogram(
    filter jsonb DEFAULT '{}', per text DEFAULT 'task', range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity', buckets integer DEFAULT 20
) RETURNS TABLE (bucket integer, lower_bound numeric, upper_bound numeric, samples bigint, cost numeric, share numeric, sample_share numeric, cumulated_sample_share numeric, currency text)
    LANGUAGE sql STABLE ROWS 20
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.*
    FROM cost_ledger_internal.cost_histogram(cost_histogram.filter, cost_histogram.range_start, cost_histogram.range_end, cost_histogram.per, cost_histogram.buckets,
                                             cost_ledger_internal.sees_all(), cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) d;
END;

COMMENT ON FUNCTION cost_ledger.cost_histogram(jsonb, text, timestamptz, timestamptz, integer) IS
    'How the costs of samples are distributed: what the calls that pass a filter, in a range of time (end exclusive), cost per call, run, task (a run with all that it started, or a call that is in no run), session, user or customer, corrections included, each counted exactly. buckets (1 to 1000) have equal ratios from the least cost above 0 to the greatest; a sample is in the one whose lower_bound it has reached, the greatest cost in the last. Bucket 0 has samples that cost nothing or less, bucket NULL those of which nothing has a price; both are there only if they have samples. cost is their sum, exact; share is of all cost, sample_share of all samples, cumulated_sample_share of those up to this bucket: p90 is in the bucket in which it reaches 0.9. Without samples, no rows. Calls without a run, session, user or customer are left out where they are sampled by that. Only calls that the role may see. A range in which retention has dropped calls is refused (22023), unless filter names calls.';
