-- Rollups: how calls are brought into them, exactly once, and how that is
-- proved.
--
-- Each row of call carries the transaction that recorded it, and the state of
-- the rollups is a full snapshot: the rows of transactions it sees are in.  A
-- batch locks the state in one statement, takes a snapshot in the next, and
-- aggregates what the new snapshot sees and the old one does not.  Lock and
-- snapshot in one statement would count rows twice, a largest id would lose
-- those of transactions that end late, and a lone xmin would wait behind any
-- long transaction of the cluster.
--
-- What a call adds is written down twice: in C (src/consume.c), which reads new
-- calls once and adds them to everything, and in SQL, in the view call_measure,
-- from which the live_ views show what is not in yet, and check_rollups() makes
-- everything anew (check.sql).

CREATE FUNCTION cost_ledger_internal.ledger_changed() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_ledger_changed';

COMMENT ON FUNCTION cost_ledger_internal.ledger_changed() IS
    'Trigger of ledger and rollup_state: tells every session that these are others.';

CREATE FUNCTION cost_ledger_internal.is_foreign() RETURNS boolean
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_is_foreign';

COMMENT ON FUNCTION cost_ledger_internal.is_foreign() IS
    'Whether the ledger was restored, so that the numbers of transactions here mean nothing to it: it is in another cluster than the one it knows, the state of its rollups was not written by the transaction it names, or they reach beyond the next number.';

CREATE FUNCTION cost_ledger_internal.writing_xid() RETURNS xid
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_writing_xid';

COMMENT ON FUNCTION cost_ledger_internal.writing_xid() IS
    'The xmin of a row that is written now: of the subtransaction, where there is one.';

CREATE FUNCTION cost_ledger_internal.is_own_xid(xid) RETURNS boolean
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'cl_is_own_xid';

COMMENT ON FUNCTION cost_ledger_internal.is_own_xid(xid) IS
    'Whether the xmin of a row says that this transaction wrote it, in a subtransaction or not.';

CREATE FUNCTION cost_ledger_internal.sign_state() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    new.written_by := cost_ledger_internal.writing_xid();
    RETURN new;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.sign_state() IS
    'Trigger of rollup_state: says in the row who wrote it.';

CREATE FUNCTION cost_ledger_internal.tail_selectivity(internal, oid, internal, integer) RETURNS double precision
    LANGUAGE c STABLE STRICT
    AS 'MODULE_PATHNAME', 'cl_tail_selectivity';

COMMENT ON FUNCTION cost_ledger_internal.tail_selectivity(internal, oid, internal, integer) IS
    'Estimator of an operator: few rows, however big the table is.';

CREATE OPERATOR cost_ledger_internal.> (LEFTARG = xid8, RIGHTARG = xid8, FUNCTION = pg_catalog.xid8gt, RESTRICT = cost_ledger_internal.tail_selectivity);

COMMENT ON OPERATOR cost_ledger_internal.> (xid8, xid8) IS
    'That of pg_catalog, but the planner expects few rows: for the last of a big table, whose histogram is older than they are.';

CREATE OPERATOR CLASS cost_ledger_internal.xid8_minmax_ops FOR TYPE xid8 USING brin AS
    OPERATOR 1 pg_catalog.< (xid8, xid8),
    OPERATOR 2 pg_catalog.<= (xid8, xid8),
    OPERATOR 3 pg_catalog.= (xid8, xid8),
    OPERATOR 4 pg_catalog.>= (xid8, xid8),
    OPERATOR 5 cost_ledger_internal.> (xid8, xid8),
    FUNCTION 1 pg_catalog.brin_minmax_opcinfo(internal),
    FUNCTION 2 pg_catalog.brin_minmax_add_value(internal, internal, internal, internal),
    FUNCTION 3 pg_catalog.brin_minmax_consistent(internal, internal, internal),
    FUNCTION 4 pg_catalog.brin_minmax_union(internal, internal, internal);

COMMENT ON OPERATOR CLASS cost_ledger_internal.xid8_minmax_ops USING brin IS
    'Block ranges of transaction ids, which PostgreSQL has no class for.';

CREATE TYPE cost_ledger_internal.call_sums AS (
    priced_calls           bigint,
    unpriced_calls         bigint,
    corrections            bigint,
    retries                bigint,
    tool_calls             bigint,
    accepted_calls         bigint,
    rejected_calls         bigint,
    scored_calls           bigint,
    input_tokens           numeric,
    cache_read_tokens      numeric,
    cache_write_tokens     numeric,
    cache_write_1h_tokens  numeric,
    output_tokens          numeric,
    reasoning_tokens       numeric,
    cost                   numeric,
    cache_read_cost        numeric,
    cache_write_cost       numeric,
    output_cost            numeric,
    reasoning_cost         numeric,
    other_cost             numeric,
    adjustment_cost        numeric,
    reported_cost          numeric,
    cost_without_run       numeric,
    avoided_cost           numeric,
    prompt_cache_saving    numeric,
    score                  numeric
);

COMMENT ON TYPE cost_ledger_internal.call_sums IS 'What calls add up to, beside their number: columns of the cube and of totals. NULL is what no call has said.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.priced_calls IS 'Calls with a cost, those included that a re-rating gave one.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.unpriced_calls IS 'Calls without a full price (unpriced or partial), less those that got it since.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.corrections IS 'Corrections and adjustments: rows that are differences, not calls.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.retries IS 'Calls of operation retry, and retries inside calls (retry_count).';
COMMENT ON COLUMN cost_ledger_internal.call_sums.tool_calls IS 'Tool calls that the models asked for.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.accepted_calls IS 'Calls whose outcome was accepted.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.rejected_calls IS 'Calls whose outcome was not accepted.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.scored_calls IS 'Calls with a score.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.input_tokens IS 'All input tokens, cached ones included.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.cache_read_tokens IS 'Input tokens read from the prompt cache.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.cache_write_tokens IS 'Input tokens written to the prompt cache for 5 minutes.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.cache_write_1h_tokens IS 'Input tokens written to the prompt cache for 1 hour.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.output_tokens IS 'All output tokens, reasoning included.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.reasoning_tokens IS 'Output tokens spent on reasoning.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.cost IS 'Exact cost in the ledger''s currency, adjustments included; NULL while nothing has a price.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.cache_read_cost IS 'The part of cost for input tokens read from the cache, as first priced; NULL for nothing. What these four parts and adjustment_cost leave of cost is for the other input tokens.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.cache_write_cost IS 'The part of cost for input tokens written to the cache; NULL for nothing.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.output_cost IS 'The part of cost for output tokens, without those of reasoning that have a rate of their own; NULL for nothing.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.reasoning_cost IS 'The part of cost for reasoning tokens that have a rate of their own; NULL for nothing.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.other_cost IS 'The part of cost for meters that are not tokens; NULL for nothing.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.adjustment_cost IS 'The part of it that corrections and re-ratings booked; NULL where there is none.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.reported_cost IS 'What providers said the calls cost; NULL where they said nothing.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.cost_without_run IS 'The part of cost whose calls have no run_id; NULL where there is none.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.avoided_cost IS 'What answers from the response cache would have cost; NULL where that is not known of any.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.prompt_cache_saving IS 'What the prompt cache saved, adjustments included, net of what writing to it cost more; NULL where that is not known of any.';
COMMENT ON COLUMN cost_ledger_internal.call_sums.score IS 'Sum of scores; NULL where no call has one.';

CREATE TYPE cost_ledger_internal.call_labels AS (
    team         text,
    feature      text,
    customer     text,
    task_type    text,
    environment  text,
    user_id      text,
    agent        text,
    session_id   text,
    called_at    timestamptz,
    call_id      bigint,
    later        bytea
);

COMMENT ON TYPE cost_ledger_internal.call_labels IS 'Labels of a run or session: each as the first call (by called_at, then call_id) says it that says anything. Made by first_call().';
COMMENT ON COLUMN cost_ledger_internal.call_labels.team IS 'Team that pays.';
COMMENT ON COLUMN cost_ledger_internal.call_labels.feature IS 'Product feature.';
COMMENT ON COLUMN cost_ledger_internal.call_labels.customer IS 'Customer or tenant.';
COMMENT ON COLUMN cost_ledger_internal.call_labels.task_type IS 'Workflow or kind of task.';
COMMENT ON COLUMN cost_ledger_internal.call_labels.environment IS 'production, staging, ci, …';
COMMENT ON COLUMN cost_ledger_internal.call_labels.user_id IS 'End user.';
COMMENT ON COLUMN cost_ledger_internal.call_labels.agent IS 'Agent that made the call.';
COMMENT ON COLUMN cost_ledger_internal.call_labels.session_id IS 'Conversation or session.';
COMMENT ON COLUMN cost_ledger_internal.call_labels.called_at IS 'When the first call with a label was made.';
COMMENT ON COLUMN cost_ledger_internal.call_labels.call_id IS 'That call.';
COMMENT ON COLUMN cost_ledger_internal.call_labels.later IS 'Which labels are of later calls, and of which: for each the number of its field from 0, called_at and call_id (17 bytes, big-endian). NULL where all are of the first.';

CREATE FUNCTION cost_ledger_internal.first_call_trans(internal, timestamptz, bigint, text, text, text, text, text, text, text, text)
    RETURNS internal LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_first_call_trans';
COMMENT ON FUNCTION cost_ledger_internal.first_call_trans(internal, timestamptz, bigint, text, text, text, text, text, text, text, text) IS
    'Aggregate support: keep the earlier call';

CREATE FUNCTION cost_ledger_internal.first_call_final(internal) RETURNS cost_ledger_internal.call_labels
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_first_call_final';
COMMENT ON FUNCTION cost_ledger_internal.first_call_final(internal) IS
    'Aggregate support: the first call as a row';

CREATE AGGREGATE cost_ledger_internal.first_call(
    called_at timestamptz, call_id bigint,
    team text, feature text, customer text, task_type text, environment text, user_id text, agent text, session_id text
) (
    SFUNC = cost_ledger_internal.first_call_trans, STYPE = internal, SSPACE = 512,
    FINALFUNC = cost_ledger_internal.first_call_final, PARALLEL = SAFE
);

COMMENT ON AGGREGATE cost_ledger_internal.first_call(timestamptz, bigint, text, text, text, text, text, text, text, text) IS
    'Each label as the first call (by called_at, then call_id) says it that says anything; NULL where none does.';

CREATE FUNCTION cost_ledger_internal.merge_labels(a cost_ledger_internal.call_labels, b cost_ledger_internal.call_labels) RETURNS cost_ledger_internal.call_labels
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_merge_labels';

COMMENT ON FUNCTION cost_ledger_internal.merge_labels(cost_ledger_internal.call_labels, cost_ledger_internal.call_labels) IS
    'The labels of two parts of a run or session together, in any order; of one that is NULL, the other.';

-- Where the rollups end.  Asked for by the view unconsumed_call, so by everybody
-- who reads reports, with the owner's rights.  What has not been seen is a
-- minute's calls as a rule: too few to start workers for.
CREATE FUNCTION cost_ledger_internal.consumed_to() RETURNS xid8
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'cl_consumed_to';

COMMENT ON FUNCTION cost_ledger_internal.consumed_to() IS
    'Rows of call with a later recorded_xid than this are not in the rollups yet.';

CREATE FUNCTION cost_ledger_internal.unconsumed_xids() RETURNS xid8[]
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'cl_unconsumed_xids';

COMMENT ON FUNCTION cost_ledger_internal.unconsumed_xids() IS
    'Earlier transactions whose rows are not in the rollups either: they were open when refresh() last looked.';

CREATE FUNCTION cost_ledger_internal.unconsumed_base() RETURNS bigint
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'cl_unconsumed_base';

COMMENT ON FUNCTION cost_ledger_internal.unconsumed_base() IS
    'Rows of call without a recorded_xid, which a restored ledger makes until post_restore(), are in the rollups up to this call_id.';

CREATE FUNCTION cost_ledger_internal.partly_consumed(recorded_xid xid8) RETURNS bigint
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'cl_partly_consumed';

COMMENT ON FUNCTION cost_ledger_internal.partly_consumed(xid8) IS
    'Up to which call_id the rows of a transaction are in the rollups that has others that are not: a batch may end inside of one. Below every call_id for all other transactions.';

-- What rollup_state says of a row of call.  The first is parsed already, so that
-- the planner puts it where it is called; the second finds the rows by their
-- block ranges.
CREATE FUNCTION cost_ledger_internal.ledger_snapshot(snapshot pg_snapshot, xid_offset bigint, own xid8) RETURNS pg_snapshot
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A snapshot does not list its own transaction, which has not ended.
    SELECT format('%s:%s:%s',
                  least(pg_snapshot_xmin(snapshot), own)::text::bigint + xid_offset,
                  pg_snapshot_xmax(snapshot)::text::bigint + xid_offset,
                  (SELECT string_agg((x::text::bigint + xid_offset)::text, ',' ORDER BY x)
                   FROM (SELECT pg_snapshot_xip(snapshot) UNION SELECT own) AS o (x)
                   WHERE x < pg_snapshot_xmax(snapshot)))::pg_snapshot
$$;

COMMENT ON FUNCTION cost_ledger_internal.ledger_snapshot(pg_snapshot, bigint, xid8) IS
    'A snapshot of the cluster in the ledger''s numbering, which does not see the transaction that took it.';

CREATE FUNCTION cost_ledger_internal.cut_snapshot(snapshot pg_snapshot, cut xid8) RETURNS pg_snapshot
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN cut >= pg_snapshot_xmax(snapshot) THEN snapshot
           ELSE format('%s:%s:%s', least(pg_snapshot_xmin(snapshot), cut), cut,
                       (SELECT string_agg(x::text, ',' ORDER BY x) FROM pg_snapshot_xip(snapshot) x WHERE x < cut))::pg_snapshot
           END
$$;

COMMENT ON FUNCTION cost_ledger_internal.cut_snapshot(pg_snapshot, xid8) IS
    'The snapshot that sees what another sees of the transactions before one.';

CREATE FUNCTION cost_ledger_internal.is_consumed(
    recorded_xid xid8, call_id bigint, snapshot pg_snapshot, base_call_id bigint, partial_xid xid8, partial_call_id bigint
) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_visible_in_snapshot(recorded_xid, snapshot)
        OR (recorded_xid IS NULL AND call_id <= base_call_id)
        OR (recorded_xid = partial_xid AND call_id <= partial_call_id);

COMMENT ON FUNCTION cost_ledger_internal.is_consumed(xid8, bigint, pg_snapshot, bigint, xid8, bigint) IS
    'Whether a row of call is in the rollups, by what rollup_state says, or in quarantine. NULL, or false: it is not.';

CREATE FUNCTION cost_ledger_internal.consumed_condition() RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('cost_ledger_internal.is_consumed(c.recorded_xid, c.call_id, %L, %s, %L, %L)',
                  s.snapshot, s.base_call_id, s.partial_xid, s.partial_call_id)
    FROM cost_ledger_internal.rollup_state s
$$;

COMMENT ON FUNCTION cost_ledger_internal.consumed_condition() IS
    'The condition, in SQL, that the row c of call is.';

CREATE FUNCTION cost_ledger_internal.unconsumed_condition(snapshot pg_snapshot, base_call_id bigint, partial_xid xid8, partial_call_id bigint) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('(c.recorded_xid >= %L OR c.recorded_xid = ANY (%L) OR (c.recorded_xid IS NULL AND c.call_id > %s))',
                  pg_snapshot_xmax(snapshot), ARRAY(SELECT x FROM pg_snapshot_xip(snapshot) x), base_call_id)
           || CASE WHEN partial_xid IS NULL THEN ''
                ELSE format(' AND (c.recorded_xid = %L AND c.call_id <= %s) IS NOT TRUE', partial_xid, partial_call_id) END
$$;

COMMENT ON FUNCTION cost_ledger_internal.unconsumed_condition(pg_snapshot, bigint, xid8, bigint) IS
    'The condition that it is not, by what the state says.';

CREATE FUNCTION cost_ledger_internal.labels_fingerprint(VARIADIC labels text[]) RETURNS uuid
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_labels_fingerprint';

COMMENT ON FUNCTION cost_ledger_internal.labels_fingerprint(text[]) IS
    'What tells a combination of labels from others: the MD5 of each label''s length (4 bytes, big-endian; all ones for NULL) and bytes.';

CREATE FUNCTION cost_ledger_internal.week_of(day date) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- Days after a Monday, modulo 7: of dates before it too.
    RETURN day - ((day - date '1900-01-01') % 7 + 7) % 7;

COMMENT ON FUNCTION cost_ledger_internal.week_of(date) IS
    'The Monday of a day''s ISO week.';

CREATE FUNCTION cost_ledger_internal.hour_start(at timestamptz, time_zone text) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- A clock that is set by half an hour is so in the midst of an hour: what is read
    -- as its beginning lies in the one before.
    RETURN date_trunc('hour', at, time_zone)
           + CASE WHEN date_trunc('hour', date_trunc('hour', at, time_zone), time_zone) = date_trunc('hour', at, time_zone) THEN interval '0'
                  ELSE interval '30 minutes' END;

COMMENT ON FUNCTION cost_ledger_internal.hour_start(timestamptz, text) IS
    'The first instant of the hour of a time zone that an instant is in.';

CREATE FUNCTION cost_ledger_internal.hour_end(hour timestamptz, time_zone text) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- One that is cut short, a usual one, and one that is prolonged.
    RETURN CASE hour WHEN cost_ledger_internal.hour_start(hour + interval '30 minutes', time_zone)
                     THEN CASE hour WHEN cost_ledger_internal.hour_start(hour + interval '60 minutes', time_zone)
                                    THEN hour + interval '90 minutes' ELSE hour + interval '60 minutes' END
                     ELSE hour + interval '30 minutes' END;

COMMENT ON FUNCTION cost_ledger_internal.hour_end(timestamptz, text) IS
    'The first instant after an hour of a time zone, of which its first is given.';

CREATE FUNCTION cost_ledger_internal.kept_buckets(OUT minutes_from timestamptz, OUT hours_from timestamptz, OUT days_from date)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT date_trunc('hour', now() - interval '2 days'),
           cost_ledger_internal.day_start((now() AT TIME ZONE l.time_zone - l.retain_hours)::date, l.time_zone),
           (now() AT TIME ZONE l.time_zone - l.retain_days)::date
    FROM cost_ledger.ledger l
$$;

COMMENT ON FUNCTION cost_ledger_internal.kept_buckets() IS
    'Since when minutes, hours and days of the cube are kept, as of now.';

CREATE FUNCTION cost_ledger_internal.drop_old_buckets() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept record;
BEGIN
    SELECT k.* INTO kept
        FROM cost_ledger_internal.kept_buckets() k, cost_ledger_internal.rollup_state s
        WHERE k.minutes_from > s.minutes_from OR k.hours_from > s.hours_from OR k.days_from > s.days_from
           -- As long as nothing is in, nothing is lost.
           OR (s.rows_consumed = 0 AND (k.hours_from, k.days_from) <> (s.hours_from, s.days_from));
    -- Once an hour.
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM cost_ledger_internal.rollup_minute r WHERE r.minute < kept.minutes_from;
    DELETE FROM cost_ledger_internal.rollup_hour r WHERE r.hour < kept.hours_from;
    DELETE FROM cost_ledger_internal.rollup_day r WHERE r.day < kept.days_from;
    UPDATE cost_ledger_internal.rollup_state s
        SET minutes_from = greatest(s.minutes_from, kept.minutes_from),
            hours_from = CASE WHEN s.rows_consumed = 0 THEN kept.hours_from ELSE greatest(s.hours_from, kept.hours_from) END,
            days_from = CASE WHEN s.rows_consumed = 0 THEN kept.days_from ELSE greatest(s.days_from, kept.days_from) END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.drop_old_buckets() IS
    'Removes what is too old for the rollups by minute, hour and day. The caller has locked rollup_state.';

CREATE FUNCTION cost_ledger_internal.run_depth(run_id text) RETURNS integer
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.run_depth(text) IS
    'How many runs a run is below the one that has no parent, as far as refresh() has seen them: 0 for that one, and for a run it has not seen.';

-- Of all runs there are: how deep a run is does not depend on who asks, and says
-- nothing else of the runs above it.
CREATE FUNCTION cost_ledger_internal.run_depth_as_owner(run_id text) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
AS $$
    SELECT coalesce((SELECT r.depth FROM cost_ledger_internal.rollup_run r WHERE r.run_id = run_depth_as_owner.run_id), 0)
$$;

COMMENT ON FUNCTION cost_ledger_internal.run_depth_as_owner(text) IS
    'The body of run_depth().';

CREATE FUNCTION cost_ledger_internal.place_in_tree(run_ids text[], parent_run_ids text[], parent_root_run_ids text[], parent_depths integer[])
    RETURNS TABLE (run_id text, root_run_id text, depth integer, is_circular boolean)
    LANGUAGE c IMMUTABLE STRICT
    AS 'MODULE_PATHNAME', 'cl_place_in_tree';

COMMENT ON FUNCTION cost_ledger_internal.place_in_tree(text[], text[], text[], integer[]) IS
    'Where runs are below the runs that started them. Of a parent that is none of them its own root and depth are given; NULL where it has none. A circle of parents ends at the smallest run_id of it, which is the root of all the others.';

CREATE FUNCTION cost_ledger_internal.place_runs(run_ids text[], parent_run_ids text[])
    RETURNS TABLE (run_id text, root_run_id text, depth integer, is_circular boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
    SET jit = off
AS $$
DECLARE
    moved record;
BEGIN
    IF coalesce(cardinality(run_ids), 0) = 0 THEN
        RETURN;
    END IF;
    -- Whoever is below one of them moves with it.
    WITH RECURSIVE given AS MATERIALIZED (
        SELECT g.run_id COLLATE "C" AS run_id, g.parent_run_id COLLATE "C" AS parent_run_id
        FROM unnest(run_ids, parent_run_ids) AS g (run_id, parent_run_id)
    ), family (run_id, parent_run_id) AS (
        SELECT g.run_id, g.parent_run_id FROM given g
        UNION
        SELECT c.run_id, c.parent_run_id
        FROM family f
        -- OFFSET 0: looked up, level by level, however many the planner expects.
        CROSS JOIN LATERAL (SELECT r.run_id, r.parent_run_id FROM cost_ledger_internal.rollup_run r WHERE r.parent_run_id = f.run_id OFFSET 0) c
        WHERE NOT EXISTS (SELECT FROM given g WHERE g.run_id = c.run_id)
    )
    SELECT array_agg(f.run_id) AS run_ids, array_agg(f.parent_run_id) AS parents,
           array_agg(p.root_run_id) AS roots, array_agg(p.depth) AS depths
        INTO moved
        FROM family f
        LEFT JOIN LATERAL (SELECT r.root_run_id, r.depth
                           FROM cost_ledger_internal.rollup_run r WHERE r.run_id = f.parent_run_id OFFSET 0) p ON true;
    RETURN QUERY SELECT p.* FROM cost_ledger_internal.place_in_tree(moved.run_ids, moved.parents, moved.roots, moved.depths) p;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.place_runs(text[], text[]) IS
    'Where runs, given with their parents, and the runs below them that are in the rollups, are among runs.';

CREATE FUNCTION cost_ledger_internal.root_runs(run_ids text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
    SET jit = off
AS $$
DECLARE
    children record;
    roots text[];
BEGIN
    -- First, so that no plan sorts or hashes all of them with each.
    SELECT array_agg(o.run_id) AS run_ids, array_agg(o.parent_run_id) AS parents INTO children
        FROM unnest(run_ids) AS u (run_id)
        CROSS JOIN LATERAL (SELECT o.run_id, o.parent_run_id
                            FROM cost_ledger_internal.rollup_run o
                            WHERE o.run_id = u.run_id AND o.parent_run_id IS NOT NULL OFFSET 0) o;
    WITH placed AS MATERIALIZED (
        SELECT p.run_id COLLATE "C" AS run_id, p.root_run_id COLLATE "C" AS root_run_id, p.depth, p.is_circular
        FROM cost_ledger_internal.place_runs(children.run_ids, children.parents) p
    ), moved AS (
        UPDATE cost_ledger_internal.rollup_run r
            -- Whether it is above others mark_tops() says.
            SET root_run_id = coalesce(p.root_run_id, CASE WHEN r.root_run_id = r.run_id THEN r.run_id END), depth = p.depth, is_circular = p.is_circular
            FROM placed p
            CROSS JOIN LATERAL (SELECT o.ctid AS place, o.root_run_id
                                FROM cost_ledger_internal.rollup_run o
                                WHERE o.run_id = p.run_id
                                  AND (nullif(o.root_run_id, o.run_id), o.depth, o.is_circular) IS DISTINCT FROM (p.root_run_id, p.depth, p.is_circular)
                                OFFSET 0) o
            WHERE r.ctid = o.place
            RETURNING coalesce(o.root_run_id, r.run_id) AS root_run_id
    )
    SELECT array_agg(u.run_id) INTO roots
        FROM (SELECT coalesce(p.root_run_id, p.run_id) AS run_id FROM placed p UNION SELECT m.root_run_id FROM moved m) u;
    RETURN roots;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.root_runs(text[]) IS
    'Puts runs of rollup_run that have a parent, and the runs below them, where they belong among runs, and returns the runs at the top of them, before and after.';

CREATE FUNCTION cost_ledger_internal.moved_runs()
    RETURNS TABLE (run_id text, root_run_id text, depth integer, is_circular boolean)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner_once';

COMMENT ON FUNCTION cost_ledger_internal.moved_runs() IS
    'Where runs are among runs that calls which are not in the rollups yet put below another one, and the runs below those: of all runs, whoever asks.';

-- PL/pgSQL plans it once in a session.
CREATE FUNCTION cost_ledger_internal.moved_runs_as_owner()
    RETURNS TABLE (run_id text, root_run_id text, depth integer, is_circular boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
    SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT p.*
        FROM (SELECT array_agg(t.run_id) AS run_ids, array_agg(least(t.parent_run_id, r.parent_run_id)) AS parents
              FROM (SELECT c.run_id COLLATE "C" AS run_id, min(c.parent_run_id COLLATE "C") AS parent_run_id
                    FROM cost_ledger_internal.unconsumed_calls() c
                    WHERE c.run_id IS NOT NULL AND c.parent_run_id IS NOT NULL
                    GROUP BY 1) t
              LEFT JOIN LATERAL (SELECT o.parent_run_id FROM cost_ledger_internal.rollup_run o WHERE o.run_id = t.run_id OFFSET 0) r ON true
              WHERE coalesce(t.parent_run_id < r.parent_run_id, true)) m
        CROSS JOIN LATERAL cost_ledger_internal.place_runs(m.run_ids, m.parents) p;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.moved_runs_as_owner() IS
    'The body of moved_runs().';

-- Functions, so that whoever plans a report plans, and compiles, nothing of the
-- partitions of call, and expects as little of them as there is: block ranges are
-- costed at what they would cost if every row were on a page of its own, and of
-- each month at one of them at least.
CREATE TYPE cost_ledger_internal.measured_call AS (
    called_at timestamptz, call_id bigint, recorded_xid xid8, corrects bigint, reverses bigint, restates bigint, input_tokens bigint,
    cache_read_tokens bigint, cache_write_tokens bigint, cache_write_1h_tokens bigint, output_tokens bigint, reasoning_tokens bigint,
    duration_ms double precision, tool_calls_count integer, retry_count integer, accepted boolean, cost numeric, cache_read_cost numeric,
    cache_write_cost numeric, output_cost numeric, reasoning_cost numeric, other_cost numeric, reported_cost numeric, avoided_cost numeric, prompt_cache_saving numeric, score numeric, pricing text,
    usage_status text, served_from text, provider text, model text, service_class text, operation text, status text, team text, feature text,
    flow text, customer text, task_type text, environment text, user_id text, cohort text, api_key text, agent text, step text, session_id text,
    run_id text, parent_run_id text, tool text, trace_url text, input_parts jsonb);

COMMENT ON TYPE cost_ledger_internal.measured_call IS 'What rollups ask of a row of call. Columns as in call.';

CREATE FUNCTION cost_ledger_internal.unconsumed_calls() RETURNS SETOF cost_ledger_internal.measured_call
    LANGUAGE c STABLE ROWS 100
    AS 'MODULE_PATHNAME', 'cl_as_owner_once';

COMMENT ON FUNCTION cost_ledger_internal.unconsumed_calls() IS
    'The rows of call that are not in the rollups yet, without what was taken back, whoever asks: views leave out what their reader may not see.';

CREATE FUNCTION cost_ledger_internal.unconsumed_calls_as_owner() RETURNS SETOF cost_ledger_internal.measured_call
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    RETURN QUERY
        SELECT c.called_at, c.call_id, c.recorded_xid, c.corrects, c.reverses, c.restates, c.input_tokens, c.cache_read_tokens, c.cache_write_tokens, c.cache_write_1h_tokens,
               c.output_tokens, c.reasoning_tokens, c.duration_ms, c.tool_calls_count, c.retry_count, c.accepted, c.cost, c.cache_read_cost,
               c.cache_write_cost, c.output_cost, c.reasoning_cost, c.other_cost, c.reported_cost, c.avoided_cost, c.prompt_cache_saving, c.score, c.pricing, c.usage_status, c.served_from,
               c.provider, c.model, c.service_class, c.operation, c.status, c.team, c.feature, c.flow, c.customer, c.task_type, c.environment, c.user_id,
               c.cohort, c.api_key, c.agent, c.step, c.session_id, c.run_id, c.parent_run_id, c.tool, c.trace_url, c.input_parts
        FROM cost_ledger.call c
        WHERE (c.recorded_xid OPERATOR(cost_ledger_internal.>) cost_ledger_internal.consumed_to()
               OR c.recorded_xid = ANY (cost_ledger_internal.unconsumed_xids())
               OR (c.recorded_xid IS NULL AND c.call_id > cost_ledger_internal.unconsumed_base()))
          AND c.call_id > cost_ledger_internal.partly_consumed(c.recorded_xid)
          AND c.reverses IS NULL
          AND NOT EXISTS (SELECT FROM cost_ledger_internal.reversal v WHERE v.called_at = c.called_at AND v.call_id = c.call_id);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.unconsumed_calls_as_owner() IS
    'The body of unconsumed_calls().';

CREATE FUNCTION cost_ledger_internal.seen_condition(teams text[], customers text[]) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN format('(c.team = ANY (%L::text[]) OR c.customer = ANY (%L::text[]))', teams, customers)
        || cost_ledger_internal.standing() || cost_ledger_internal.not_quarantined();
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.seen_condition(text[], text[]) IS
    'A condition on rows c of call: of these teams and customers, without what was taken back or is in quarantine.';

CREATE FUNCTION cost_ledger_internal.seen_rollup(rollup text, teams text[], customers text[]) RETURNS SETOF record
    LANGUAGE c STABLE ROWS 1000
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.seen_rollup(text, text[], text[]) IS
    'The rows that rollup_run, rollup_session, rollup_user_day, rollup_user_month, rollup_user_feature_month or rollup_without_run_day would have of the calls of some teams and customers, those included that are not in the rollups yet, without what was taken back or is in quarantine, whoever asks: the view that does names those that its reader may see, and the columns. A count that is 0 is NULL.';

CREATE FUNCTION cost_ledger_internal.seen_rollup_as_owner(rollup text, teams text[], customers text[]) RETURNS SETOF record
    LANGUAGE c STABLE ROWS 1000
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
    AS 'MODULE_PATHNAME', 'cl_seen_rollup';

COMMENT ON FUNCTION cost_ledger_internal.seen_rollup_as_owner(text, text[], text[]) IS
    'The body of seen_rollup().';

CREATE FUNCTION cost_ledger_internal.run_outcome(calls bigint, failed_calls bigint, accepted_calls bigint, rejected_calls bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN accepted_calls > 0 THEN 'accepted' WHEN rejected_calls > 0 THEN 'rejected' WHEN coalesce(failed_calls, 0) < calls THEN 'success' ELSE 'failed' END;

COMMENT ON FUNCTION cost_ledger_internal.run_outcome(bigint, bigint, bigint, bigint) IS
    'What became of a whole run: accepted, where some call of it was; rejected, where one was and none accepted; success, where some call has not failed; else failed.';

CREATE FUNCTION cost_ledger_internal.make_run_days(days date[]) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
    SET jit = off
AS $$
BEGIN
    DELETE FROM cost_ledger_internal.rollup_run_day d WHERE d.day = ANY (days);
    INSERT INTO cost_ledger_internal.rollup_run_day (day, task_type, runs, cost, max_cost, run_cost, own_runs, own_cost, max_own_cost, own_run_cost,
                                                      successful_runs, accepted_runs, rejected_runs)
        SELECT p.day, p.task_type,
               coalesce(sum(p.runs) FILTER (WHERE p.is_whole), 0), sum(p.cost) FILTER (WHERE p.is_whole), max(p.max_cost) FILTER (WHERE p.is_whole),
               cost_ledger.merge(p.run_cost) FILTER (WHERE p.is_whole),
               coalesce(sum(p.runs) FILTER (WHERE p.is_own), 0), sum(p.cost) FILTER (WHERE p.is_own), max(p.max_cost) FILTER (WHERE p.is_own),
               cost_ledger.merge(p.run_cost) FILTER (WHERE p.is_own),
               coalesce(sum(p.successful_runs), 0), coalesce(sum(p.accepted_runs), 0), coalesce(sum(p.rejected_runs), 0)
        -- A run that is alone is both, and added up once.
        FROM (SELECT u.day, u.task_type, u.is_own, u.is_whole, count(*) AS runs, sum(u.cost) AS cost, max(u.cost) AS max_cost,
                     cost_ledger.summarize(u.cost) AS run_cost,
                     count(*) FILTER (WHERE u.outcome IN ('success', 'accepted')) AS successful_runs, count(*) FILTER (WHERE u.outcome = 'accepted') AS accepted_runs,
                     count(*) FILTER (WHERE u.outcome = 'rejected') AS rejected_runs
              FROM (SELECT r.started_on AS day, (r.labels).task_type, r.cost, true AS is_own, r.root_run_id IS NULL AS is_whole,
                           CASE WHEN r.root_run_id IS NULL THEN cost_ledger_internal.run_outcome(r.calls, r.failed_calls, r.accepted_calls, r.rejected_calls) END AS outcome
                    FROM cost_ledger_internal.rollup_run r
                    WHERE r.started_on = ANY (days)
                    UNION ALL
                    SELECT t.started_on, (t.labels).task_type, t.cost, false, true,
                           cost_ledger_internal.run_outcome(t.calls, t.failed_calls, t.accepted_calls, t.rejected_calls)
                    FROM cost_ledger_internal.rollup_run_tree t
                    WHERE t.started_on = ANY (days)) u
              GROUP BY u.day, u.task_type, u.is_own, u.is_whole) p
        GROUP BY p.day, p.task_type;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.make_run_days(date[]) IS
    'Makes the rows of rollup_run_day anew of the runs, whole and each by itself, that began on some days.';

CREATE FUNCTION cost_ledger_internal.make_session_days(days date[]) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
BEGIN
    DELETE FROM cost_ledger_internal.rollup_session_day d WHERE d.day = ANY (days);
    INSERT INTO cost_ledger_internal.rollup_session_day (day, sessions, cost, max_cost, session_turns, session_tokens, session_cost)
        SELECT s.started_on, count(*), sum(s.cost), max(s.cost), cost_ledger.summarize(coalesce(s.turns, 0)),
               cost_ledger.summarize(coalesce(s.input_tokens, 0) + coalesce(s.output_tokens, 0)), cost_ledger.summarize(s.cost)
        FROM cost_ledger_internal.rollup_session s
        WHERE s.started_on = ANY (days)
        GROUP BY s.started_on;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.make_session_days(date[]) IS
    'Makes the rows of rollup_session_day anew of the sessions that began on some days.';

CREATE FUNCTION cost_ledger_internal.make_days(run_days date[], session_days date[]) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF run_days IS NOT NULL THEN
        PERFORM cost_ledger_internal.make_run_days(ARRAY(SELECT DISTINCT d FROM unnest(run_days) d));
    END IF;
    IF session_days IS NOT NULL THEN
        PERFORM cost_ledger_internal.make_session_days(ARRAY(SELECT DISTINCT d FROM unnest(session_days) d));
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.make_days(date[], date[]) IS
    'Makes the days anew on which runs and sessions began; NULL for none.';

CREATE FUNCTION cost_ledger_internal.add_calls(
    condition text, OUT calls bigint, OUT run_days date[], OUT session_days date[], OUT other_runs text[], OUT child_runs text[],
    OUT has_input_parts boolean)
    LANGUAGE c VOLATILE STRICT
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    -- Compiling would be most of the work of a small batch.
    SET jit = off
    AS 'MODULE_PATHNAME', 'cl_add_calls';

COMMENT ON FUNCTION cost_ledger_internal.add_calls(text) IS
    'Adds the rows c of call for which a condition holds to every rollup but those of days of runs and sessions, of whole runs and of parts of the input, reading them once, and returns how many they are, the days on which their runs and sessions began, before and after, these runs: those of which they say a parent (child_runs) and the others; and whether one of them says what its input is made of.';

CREATE FUNCTION cost_ledger_internal.consume(condition text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    added record;
BEGIN
    SELECT a.* INTO added FROM cost_ledger_internal.add_calls(condition) a;
    IF added.calls = 0 THEN
        RETURN 0;
    END IF;
    PERFORM cost_ledger_internal.make_days(added.run_days || cost_ledger_internal.place_trees(added.other_runs, added.child_runs), added.session_days);
    IF added.has_input_parts THEN
        PERFORM cost_ledger_internal.add_input_parts('cost_ledger_internal.call_input_part', condition, 1);
    END IF;
    -- Last, so that balances, which reserve() wants, are locked briefly.
    PERFORM cost_ledger_internal.post_spend(condition);
    RETURN added.calls;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.consume(text) IS
    'Brings the rows c of call for which a condition holds into every rollup and, without a hold, into the balances of budgets, and returns how many. The caller has locked rollup_state and answers for each row being brought in once.';

CREATE FUNCTION cost_ledger_internal.raise_work_mem() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('work_mem', format('%skB', greatest(pg_size_bytes(current_setting('work_mem')), 64 * 1024 * 1024) / 1024), true);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.raise_work_mem() IS
    'At least 64 MB of work_mem until the transaction ends, for many small groups in hash tables, which spill beyond it.';

CREATE FUNCTION cost_ledger_internal.lock_rollups(
    OUT snapshot pg_snapshot, OUT base_call_id bigint, OUT partial_xid xid8, OUT partial_call_id bigint, OUT xid_offset bigint, OUT is_foreign boolean)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'this server is a standby: its rollups are those of the primary'
            USING ERRCODE = 'read_only_sql_transaction',
                  HINT = 'Reports work here; run refresh() and the jobs on the primary.';
    END IF;
    -- With an older snapshot the rows would be judged by one moment and read
    -- at another.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'rollups are refreshed at READ COMMITTED only'
            USING ERRCODE = 'invalid_transaction_state',
                  HINT = 'SET default_transaction_isolation = ''read committed''; or BEGIN ISOLATION LEVEL READ COMMITTED;';
    END IF;
    SELECT s.snapshot, s.base_call_id, s.partial_xid, s.partial_call_id INTO STRICT snapshot, base_call_id, partial_xid, partial_call_id
        FROM cost_ledger_internal.rollup_state s FOR UPDATE;
    SELECT l.xid_offset INTO STRICT xid_offset FROM cost_ledger.ledger l;
    is_foreign := cost_ledger_internal.is_foreign();
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.lock_rollups() IS
    'Locks the state of the rollups to the end of the transaction and returns it. Waits for who else holds it. The snapshot to consume up to must be taken after this, in another statement.';

CREATE FUNCTION cost_ledger_internal.refuse_foreign() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'the ledger was restored, and its rollups do not know the transactions here'
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'Run SELECT cost_ledger.post_restore(); once. Calls go on being recorded, and reports count them, in the meantime.';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.refuse_foreign() IS
    'The error of a job in a restored ledger before post_restore() (55000).';

CREATE TYPE cost_ledger_internal.batch_end AS (recorded_xid xid8, call_id bigint);

COMMENT ON TYPE cost_ledger_internal.batch_end IS 'Where a batch of refresh() ends: it has all transactions before one, and of that one the rows up to a call.';
COMMENT ON COLUMN cost_ledger_internal.batch_end.recorded_xid IS 'The first transaction that is not in it as a whole.';
COMMENT ON COLUMN cost_ledger_internal.batch_end.call_id IS 'Its last row that is; NULL: none is.';

CREATE FUNCTION cost_ledger_internal.refresh_ends(batch_rows bigint) RETURNS cost_ledger_internal.batch_end[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
DECLARE
    state record;
    unconsumed text;
    rows bigint;
    last_xid xid8;
    ends cost_ledger_internal.batch_end[];
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF coalesce(batch_rows, 0) < 1 THEN
        RAISE EXCEPTION 'a batch has at least one row'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave batch_rows out for batches of a million rows.';
    END IF;
    SELECT s.* INTO STRICT state FROM cost_ledger_internal.rollup_state s;
    unconsumed := cost_ledger_internal.unconsumed_condition(state.snapshot, state.base_call_id, state.partial_xid, state.partial_call_id);
    EXECUTE format('SELECT count(*) FROM (SELECT FROM cost_ledger.call c WHERE %s LIMIT %s) c', unconsumed, batch_rows + 1)
        INTO rows;
    IF rows <= batch_rows THEN
        RETURN ARRAY[NULL::cost_ledger_internal.batch_end];
    END IF;
    -- However much is recorded meanwhile, the last batch ends here.
    last_xid := (SELECT (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + l.xid_offset)::text::xid8 FROM cost_ledger.ledger l);
    -- What came in since of transactions before the one that is partly in comes
    -- with the first batch: two cannot be partly in.
    EXECUTE format('SELECT array_agg(ROW(t.recorded_xid, t.call_id)::cost_ledger_internal.batch_end ORDER BY t.number)
                    FROM (SELECT c.recorded_xid, c.call_id, row_number() OVER (ORDER BY c.recorded_xid, c.call_id) AS number, count(*) OVER () AS rows
                          FROM cost_ledger.call c
                          WHERE %s AND c.recorded_xid >= %L AND c.recorded_xid < %L) t
                    WHERE t.number %% %s = 0 AND t.number < t.rows',
                   unconsumed, coalesce(state.partial_xid, '0'), last_xid, batch_rows)
        INTO ends;
    RETURN ends || ROW(last_xid, NULL)::cost_ledger_internal.batch_end;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.refresh_ends(bigint) IS
    'Where the batches of a backlog end, each of so many rows, whichever transactions they are of. One NULL when all fits into one.';

CREATE FUNCTION cost_ledger_internal.advance_snapshot(snapshot pg_snapshot, target pg_snapshot, first_xid xid8) RETURNS pg_snapshot
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN first_xid >= pg_snapshot_xmax(snapshot) THEN cost_ledger_internal.cut_snapshot(target, first_xid)
           ELSE format('%s:%s:%s', least(pg_snapshot_xmin(snapshot), min(x)), pg_snapshot_xmax(snapshot), string_agg(x::text, ',' ORDER BY x))::pg_snapshot
           END
    FROM pg_snapshot_xip(snapshot) x
    WHERE x >= first_xid OR NOT pg_visible_in_snapshot(x, target)
$$;

COMMENT ON FUNCTION cost_ledger_internal.advance_snapshot(pg_snapshot, pg_snapshot, xid8) IS
    'The snapshot that sees what one does, and of the transactions before first_xid what another, later one does.';

CREATE FUNCTION cost_ledger_internal.batch_condition(state record, next pg_snapshot, batch_end cost_ledger_internal.batch_end) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    resolved xid8[] := ARRAY(SELECT x FROM pg_snapshot_xip(state.snapshot) x WHERE pg_visible_in_snapshot(x, next));
    still_open xid8[] := ARRAY(SELECT x FROM pg_snapshot_xip(next) x WHERE x >= pg_snapshot_xmax(state.snapshot));
    condition text := '';
BEGIN
    IF pg_snapshot_xmax(next) > pg_snapshot_xmax(state.snapshot) THEN
        condition := format(' OR (c.recorded_xid >= %L AND c.recorded_xid < %L', pg_snapshot_xmax(state.snapshot), pg_snapshot_xmax(next))
                     || CASE WHEN still_open <> '{}' THEN format(' AND c.recorded_xid <> ALL (%L)', still_open) ELSE '' END || ')';
    END IF;
    IF resolved <> '{}' THEN
        condition := condition || format(' OR c.recorded_xid = ANY (%L)', resolved);
    END IF;
    IF batch_end.call_id IS NOT NULL THEN
        condition := condition || format(' OR (c.recorded_xid = %L AND c.call_id <= %s)', batch_end.recorded_xid, batch_end.call_id);
    END IF;
    IF condition = '' THEN
        RETURN NULL;
    END IF;
    RETURN '(' || substr(condition, 5) || ')'
           || CASE WHEN state.partial_xid IS NULL THEN ''
                ELSE format(' AND (c.recorded_xid = %L AND c.call_id <= %s) IS NOT TRUE', state.partial_xid, state.partial_call_id) END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.batch_condition(record, pg_snapshot, cost_ledger_internal.batch_end) IS
    'The rows c of call that the next snapshot, with the part of a transaction at the end of the batch, has in the rollups and the state has not; NULL for none.';

CREATE FUNCTION cost_ledger_internal.refresh_batch(batch_end cost_ledger_internal.batch_end DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    state record;
    next pg_snapshot;
    condition text;
    batch record;
    has_rows boolean;
BEGIN
    -- Lock, then snapshot, then read: three statements.
    SELECT * INTO state FROM cost_ledger_internal.lock_rollups();
    IF state.is_foreign THEN
        PERFORM cost_ledger_internal.refuse_foreign();
    END IF;
    next := cost_ledger_internal.ledger_snapshot(pg_current_snapshot(), state.xid_offset, pg_current_xact_id());
    IF batch_end.recorded_xid IS NOT NULL THEN
        IF state.partial_xid > batch_end.recorded_xid
           OR (state.partial_xid = batch_end.recorded_xid AND coalesce(state.partial_call_id >= batch_end.call_id, true))
           OR pg_visible_in_snapshot(batch_end.recorded_xid, state.snapshot) THEN
            RETURN 0;  -- somebody else has been here
        END IF;
        next := cost_ledger_internal.advance_snapshot(state.snapshot, next, batch_end.recorded_xid);
    END IF;
    condition := cost_ledger_internal.batch_condition(state, next, batch_end);
    IF condition IS NULL THEN
        RETURN 0;
    END IF;

    batch := cost_ledger_internal.consume_batch(condition);
    has_rows := batch.consumed + batch.quarantined > 0;
    IF NOT has_rows AND EXISTS (SELECT FROM cost_ledger_internal.reversal) THEN
        -- Rows that take back others add nothing, and have been seen all the same.
        EXECUTE format('SELECT EXISTS (SELECT FROM cost_ledger.call c WHERE %s)', condition) INTO has_rows;
    END IF;
    IF has_rows THEN
        UPDATE cost_ledger_internal.rollup_state s
            SET snapshot = next,
                partial_xid = CASE WHEN batch_end.call_id IS NOT NULL THEN batch_end.recorded_xid END,
                partial_call_id = batch_end.call_id,
                rows_consumed = s.rows_consumed + batch.consumed,
                batches = s.batches + 1,
                consumed_at = clock_timestamp();
    END IF;
    RETURN batch.consumed;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.refresh_batch(cost_ledger_internal.batch_end) IS
    'One batch of refresh(): brings in the rows of all transactions that have ended, or only of those up to its end, but for those that go into the quarantine, and returns how many.';

CREATE FUNCTION cost_ledger_internal.summarize_pages() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '100ms'
AS $$
DECLARE
    indexes regclass[];
    index regclass;
BEGIN
    BEGIN
        indexes := ARRAY(SELECT i.indexrelid
                         FROM pg_partition_tree('cost_ledger.call') p
                         JOIN pg_index i ON i.indrelid = p.relid
                         JOIN pg_class c ON c.oid = i.indexrelid
                         JOIN pg_am a ON a.oid = c.relam
                         WHERE p.isleaf AND i.indisvalid AND a.amname = 'brin');
    EXCEPTION WHEN lock_not_available THEN
        RETURN;  -- somebody has the table for himself
    END;
    FOREACH index IN ARRAY indexes LOOP
        BEGIN
            PERFORM brin_summarize_new_values(index);
        EXCEPTION WHEN lock_not_available THEN
            NULL;  -- a vacuum of the partition is at it
        END;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.summarize_pages() IS
    'Enters new pages of call into its block range indexes, which otherwise read them on every question until a vacuum.';

-- Commits, and so resolves names by its caller's search_path: every name and
-- operator says where it is, and the work is done by functions.
CREATE PROCEDURE cost_ledger.refresh(batch_rows bigint DEFAULT 1000000)
    LANGUAGE plpgsql
AS $$
DECLARE
    ends cost_ledger_internal.batch_end[];
    batch_end cost_ledger_internal.batch_end;
    consumed pg_catalog.int8;
    total pg_catalog.int8 := 0;
    batch pg_catalog.int4 := 0;
BEGIN
    CALL cost_ledger_internal.require_autocommit('refresh');
    -- The default of the session may be another level; CHAIN keeps this one.
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    ends := cost_ledger_internal.refresh_ends(batch_rows);
    COMMIT AND CHAIN;
    FOREACH batch_end IN ARRAY ends LOOP
        consumed := cost_ledger_internal.refresh_batch(batch_end);
        COMMIT AND CHAIN;
        total := total OPERATOR(pg_catalog.+) consumed;
        batch := batch OPERATOR(pg_catalog.+) 1;
        IF pg_catalog.cardinality(ends) OPERATOR(pg_catalog.>) 1 THEN
            RAISE INFO 'batch % of %: % rows, % in all', batch, pg_catalog.cardinality(ends), consumed, total;
        END IF;
    END LOOP;
    IF total OPERATOR(pg_catalog.>) 0 THEN
        PERFORM cost_ledger_internal.summarize_pages();
        COMMIT AND CHAIN;
    END IF;
END
$$;

COMMENT ON PROCEDURE cost_ledger.refresh(bigint) IS
    'Brings the rows of call that are new since the last time into the rollups, each exactly once, in transactions of batch_rows rows each, whichever transactions recorded them; says how far it is when there is more than one batch. A row that no sum can take in goes into the quarantine (quarantined_call), with a warning. The jobs call it every minute; anybody who owns the ledger may call it at any time, at once with others, not inside a transaction block (25001). It works at READ COMMITTED, whatever the session''s default; in a restored ledger only after post_restore() (55000).';

CREATE FUNCTION cost_ledger.post_restore() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    state record;
    last_call_id bigint;
    last_xid bigint;
    next_offset bigint;
    consumed bigint;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    -- Waits for the transactions that write calls, and holds off new ones: from
    -- the next on, rows carry the new numbers.
    LOCK TABLE cost_ledger.call IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO state FROM cost_ledger_internal.lock_rollups();
    IF NOT state.is_foreign THEN
        RAISE NOTICE 'the ledger knows the transactions of this cluster: there is nothing to do';
        RETURN 0;
    END IF;
    -- What the old cluster had not brought in, and what came since without a
    -- number.
    consumed := (cost_ledger_internal.consume_batch(cost_ledger_internal.unconsumed_condition(state.snapshot, state.base_call_id, state.partial_xid, state.partial_call_id))).consumed;

    -- Numbers go on above every one that was given.
    SELECT max(c.recorded_xid::text::bigint), coalesce(max(c.call_id) FILTER (WHERE c.recorded_xid IS NULL), 0)
        INTO last_xid, last_call_id
        FROM cost_ledger.call c;
    next_offset := greatest(last_xid + 1, pg_snapshot_xmax(state.snapshot)::text::bigint);
    UPDATE cost_ledger.ledger l
        SET system_identifier = (SELECT c.system_identifier FROM pg_control_system() c), xid_offset = next_offset;
    UPDATE cost_ledger_internal.rollup_state s
        SET snapshot = cost_ledger_internal.ledger_snapshot(pg_current_snapshot(), next_offset, pg_current_xact_id()),
            base_call_id = greatest(s.base_call_id, last_call_id),
            partial_xid = NULL, partial_call_id = NULL,
            rows_consumed = s.rows_consumed + consumed,
            batches = s.batches + 1,
            consumed_at = clock_timestamp();
    RETURN consumed;
END
$$;

COMMENT ON FUNCTION cost_ledger.post_restore() IS
    'Makes a ledger that was restored from a dump, or upgraded with pg_upgrade, at home in its new cluster: brings into the rollups what they did not have yet, and numbers transactions from above all earlier ones. Returns how many rows it brought in; 0 with a notice where there is nothing to do. Writers wait meanwhile. Only for the owner of the ledger.';
