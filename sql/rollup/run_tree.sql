-- Whole runs: what a run costs with all the runs that it started.
--
-- Sums of a tree are made anew of its runs whenever one of them changes, comes or
-- goes: a tree is small, and what left it is not told.

CREATE AGGREGATE cost_ledger_internal.first_labels(cost_ledger_internal.call_labels) (
    SFUNC = cost_ledger_internal.merge_labels, STYPE = cost_ledger_internal.call_labels,
    COMBINEFUNC = cost_ledger_internal.merge_labels, PARALLEL = SAFE
);

COMMENT ON AGGREGATE cost_ledger_internal.first_labels(cost_ledger_internal.call_labels) IS
    'The labels of several runs together: each as the first call says it that says anything; NULL where none does.';

CREATE FUNCTION cost_ledger_internal.runs_below(roots text[]) RETURNS TABLE (run_id text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
    SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH RECURSIVE family (run_id) AS (
            SELECT u.run_id COLLATE "C" FROM unnest(roots) AS u (run_id)
            UNION
            SELECT c.run_id
            FROM family f
            -- OFFSET 0: looked up, level by level, however many the planner expects.
            CROSS JOIN LATERAL (SELECT r.run_id FROM cost_ledger_internal.rollup_run r WHERE r.parent_run_id = f.run_id OFFSET 0) c
        )
        SELECT f.run_id FROM family f;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.runs_below(text[]) IS
    'These runs, whether they have calls or not, and all runs below them that are in the rollups.';

CREATE FUNCTION cost_ledger_internal.trees_of(run_ids text[]) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
    SET jit = off
AS $$
BEGIN
    RETURN ARRAY(SELECT DISTINCT o.root_run_id
                 FROM unnest(run_ids) AS u (run_id)
                 -- One that was above others before it had calls says nothing of it yet.
                 CROSS JOIN LATERAL (SELECT coalesce(r.root_run_id, (SELECT t.root_run_id FROM cost_ledger_internal.rollup_run_tree t
                                                                     WHERE t.root_run_id = r.run_id)) AS root_run_id
                                     FROM cost_ledger_internal.rollup_run r
                                     WHERE r.run_id = u.run_id OFFSET 0) o
                 WHERE o.root_run_id IS NOT NULL);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.trees_of(text[]) IS
    'The runs at the top of these, of those that are not alone.';

CREATE FUNCTION cost_ledger_internal.mark_tops(run_ids text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
    SET jit = off
AS $$
BEGIN
    UPDATE cost_ledger_internal.rollup_run r
        SET root_run_id = w.root_run_id
        FROM (SELECT o.run_id, CASE WHEN EXISTS (SELECT FROM cost_ledger_internal.rollup_run c WHERE c.parent_run_id = o.run_id AND c.run_id <> o.run_id)
                                    THEN o.run_id END AS root_run_id
              FROM (SELECT DISTINCT u.run_id COLLATE "C" AS run_id FROM unnest(run_ids) AS u (run_id)) u
              -- OFFSET 0: looked up one by one, however many the planner expects.
              CROSS JOIN LATERAL (SELECT r.run_id FROM cost_ledger_internal.rollup_run r
                                  WHERE r.run_id = u.run_id AND coalesce(r.root_run_id, r.run_id) = r.run_id OFFSET 0) o) w
        WHERE r.run_id = w.run_id AND r.root_run_id IS DISTINCT FROM w.root_run_id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.mark_tops(text[]) IS
    'Says of runs that no other started whether they are alone: one that is above others is its own root.';

CREATE FUNCTION cost_ledger_internal.make_run_trees(roots text[]) RETURNS date[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
    SET jit = off
AS $$
DECLARE
    days date[];
    made date[];
    to_mark text[];
BEGIN
    WITH gone AS (
        DELETE FROM cost_ledger_internal.rollup_run_tree t
        USING (SELECT DISTINCT u.run_id COLLATE "C" AS run_id FROM unnest(roots) AS u (run_id)) u
        WHERE t.root_run_id = u.run_id
        RETURNING t.started_on)
    SELECT array_agg(DISTINCT g.started_on) INTO days FROM gone g;
    WITH level AS (
        SELECT coalesce(r.root_run_id, r.run_id) AS tree_id, r.depth AS level, count(*) AS runs,
               min(r.started_at) AS started_at, max(r.ended_at) AS ended_at, sum(r.calls)::bigint AS calls, sum(r.turns)::bigint AS turns,
               sum(r.failed_calls)::bigint AS failed_calls, sum(r.unpriced_calls)::bigint AS unpriced_calls, sum(r.retries)::bigint AS retries,
               sum(r.fallbacks)::bigint AS fallbacks, sum(r.tool_calls)::bigint AS tool_calls, sum(r.accepted_calls)::bigint AS accepted_calls,
               sum(r.rejected_calls)::bigint AS rejected_calls, sum(r.input_tokens) AS input_tokens, sum(r.cache_read_tokens) AS cache_read_tokens,
               sum(r.cache_write_tokens) AS cache_write_tokens, sum(r.cache_write_1h_tokens) AS cache_write_1h_tokens,
               sum(r.output_tokens) AS output_tokens, sum(r.cost) AS cost, sum(r.adjustment_cost) AS adjustment_cost,
               cost_ledger_internal.first_labels(r.labels) AS labels, min(r.trace_url COLLATE "C") AS trace_url,
               bool_and(r.root_run_id IS NOT NULL) AS is_marked
        FROM cost_ledger_internal.runs_below(roots) f
        CROSS JOIN LATERAL (SELECT r.* FROM cost_ledger_internal.rollup_run r WHERE r.run_id = f.run_id COLLATE "C" OFFSET 0) r
        GROUP BY 1, 2
    ), tree AS (
        SELECT v.tree_id AS root_run_id,
               coalesce(min(v.started_at) FILTER (WHERE v.level = 0), min(v.started_at)) AS started_at, max(v.ended_at) AS ended_at,
               sum(v.runs)::bigint AS runs, max(v.level) AS depth, sum(v.calls)::bigint AS calls, coalesce(sum(v.turns), 0)::bigint AS turns,
               coalesce(sum(v.failed_calls), 0)::bigint AS failed_calls, coalesce(sum(v.unpriced_calls), 0)::bigint AS unpriced_calls,
               coalesce(sum(v.retries), 0)::bigint AS retries, coalesce(sum(v.fallbacks), 0)::bigint AS fallbacks,
               coalesce(sum(v.tool_calls), 0)::bigint AS tool_calls, coalesce(sum(v.accepted_calls), 0)::bigint AS accepted_calls,
               coalesce(sum(v.rejected_calls), 0)::bigint AS rejected_calls, coalesce(sum(v.input_tokens), 0) AS input_tokens,
               coalesce(sum(v.cache_read_tokens), 0) AS cache_read_tokens,
               coalesce(sum(v.cache_write_tokens), 0) + coalesce(sum(v.cache_write_1h_tokens), 0) AS cache_write_tokens,
               coalesce(sum(v.output_tokens), 0) AS output_tokens, sum(v.cost) AS cost, sum(v.cost) FILTER (WHERE v.level = 0) AS own_cost,
               sum(v.adjustment_cost) AS adjustment_cost, cost_ledger_internal.first_labels(v.labels) AS labels,
               coalesce(min(v.trace_url) FILTER (WHERE v.level = 0), min(v.trace_url)) AS trace_url,
               bool_and(v.is_marked) AS is_marked,
               -- A run at the top that has no calls is a level all the same.
               CASE min(v.level) WHEN 0 THEN '{}' ELSE '{0}'::bigint[] END || array_agg(v.runs) AS level_runs,
               CASE min(v.level) WHEN 0 THEN '{}' ELSE '{0}'::bigint[] END || array_agg(v.calls) AS level_calls,
               CASE min(v.level) WHEN 0 THEN '{}' ELSE '{NULL}'::numeric[] END || array_agg(v.cost) AS level_cost
        FROM (SELECT v.* FROM level v ORDER BY v.tree_id, v.level) v
        GROUP BY v.tree_id
        HAVING count(*) > 1 OR min(v.level) > 0
    ), made AS (
        INSERT INTO cost_ledger_internal.rollup_run_tree (
            root_run_id, started_at, started_on, ended_at, runs, depth, calls, turns, failed_calls, unpriced_calls, retries, fallbacks, tool_calls,
            accepted_calls, rejected_calls, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost, own_cost, adjustment_cost,
            level_runs, level_calls, level_cost, labels, trace_url)
        SELECT t.root_run_id, t.started_at, (t.started_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date, t.ended_at, t.runs,
               t.depth, t.calls, t.turns, t.failed_calls, t.unpriced_calls, t.retries, t.fallbacks, t.tool_calls, t.accepted_calls, t.rejected_calls,
               t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens, t.cost, t.own_cost, t.adjustment_cost, t.level_runs,
               t.level_calls, t.level_cost, t.labels, t.trace_url
        FROM tree t
        ORDER BY t.root_run_id
        RETURNING started_on
    )
    SELECT array_agg(DISTINCT m.started_on), ARRAY(SELECT t.root_run_id FROM tree t WHERE NOT t.is_marked UNION ALL
                                                   (SELECT u.run_id FROM unnest(roots) AS u (run_id) EXCEPT SELECT t.root_run_id FROM tree t))
        INTO made, to_mark
        FROM made m;
    IF to_mark <> '{}' THEN
        PERFORM cost_ledger_internal.mark_tops(to_mark);
    END IF;
    RETURN days || made;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.make_run_trees(text[]) IS
    'Makes the rows of rollup_run_tree anew of some runs at the top of others, as rollup_run has them, and of those that were it; returns the days on which they began, before and after.';

CREATE FUNCTION cost_ledger_internal.place_trees(run_ids text[], child_runs text[], old_roots text[] DEFAULT NULL) RETURNS date[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    roots text[];
BEGIN
    IF child_runs IS NULL AND NOT EXISTS (SELECT FROM cost_ledger_internal.rollup_run_tree) THEN
        RETURN NULL;
    END IF;
    -- First, since it says what is below what.
    roots := cost_ledger_internal.root_runs(child_runs);
    RETURN cost_ledger_internal.make_run_trees(roots || old_roots || cost_ledger_internal.trees_of(run_ids));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.place_trees(text[], text[], text[]) IS
    'Puts runs that have a parent where they belong among runs, and makes the trees anew that these (child_runs) and some others (run_ids) are in, and those with some run at the top; returns the days on which those began, before and after.';

CREATE FUNCTION cost_ledger_internal.changed_tree_runs() RETURNS TABLE (run_id text, root_run_id text)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner_once';

COMMENT ON FUNCTION cost_ledger_internal.changed_tree_runs() IS
    'The runs of all trees of which a run has calls that are not in the rollups yet, or moves for such calls, before and after; each with the run at its top as the rollups have it, itself for one that is at the top or not in them.';

CREATE FUNCTION cost_ledger_internal.changed_tree_runs_as_owner() RETURNS TABLE (run_id text, root_run_id text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    changed text[];
    roots text[];
BEGIN
    WITH moved AS MATERIALIZED (
        SELECT p.run_id COLLATE "C" AS run_id, p.root_run_id FROM cost_ledger_internal.moved_runs() p
    ), change AS MATERIALIZED (
        SELECT c.run_id COLLATE "C" AS run_id FROM cost_ledger_internal.unconsumed_calls() c WHERE c.run_id IS NOT NULL
        UNION
        SELECT m.run_id FROM moved m
    ), root AS (
        SELECT coalesce(r.root_run_id, c.run_id) AS run_id
        FROM change c
        LEFT JOIN LATERAL (SELECT r.root_run_id FROM cost_ledger_internal.rollup_run r WHERE r.run_id = c.run_id OFFSET 0) r ON true
        UNION
        SELECT coalesce(m.root_run_id, m.run_id) FROM moved m
    )
    SELECT ARRAY(SELECT c.run_id FROM change c), ARRAY(SELECT r.run_id FROM root r) INTO changed, roots;
    IF cardinality(changed) = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT f.run_id, coalesce(r.root_run_id, f.run_id)
        FROM (SELECT b.run_id COLLATE "C" AS run_id FROM cost_ledger_internal.runs_below(roots) b
              UNION
              SELECT u.run_id FROM unnest(changed) AS u (run_id)) f
        LEFT JOIN LATERAL (SELECT r.root_run_id FROM cost_ledger_internal.rollup_run r WHERE r.run_id = f.run_id OFFSET 0) r ON true;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.changed_tree_runs_as_owner() IS
    'The body of changed_tree_runs().';
