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
-- The measures are written down once, in rollup_column(): refresh(),
-- check_rollups() and rebuild_rollups() are made from them.  The live_ views are
-- written out, for people to read; the tests compare them with the calls.

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

-- What rollup_state says of a row of call.  The first is parsed already, so that
-- the planner puts it where it is called; the second finds the rows by their
-- block ranges.
CREATE FUNCTION cost_ledger_internal.is_consumed(recorded_xid xid8, call_id bigint, snapshot pg_snapshot, base_call_id bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_visible_in_snapshot(recorded_xid, snapshot) OR (recorded_xid IS NULL AND call_id <= base_call_id);

COMMENT ON FUNCTION cost_ledger_internal.is_consumed(xid8, bigint, pg_snapshot, bigint) IS
    'Whether a row of call is in the rollups, by their snapshot and base_call_id, or in quarantine.';

CREATE FUNCTION cost_ledger_internal.unconsumed_condition(snapshot pg_snapshot, base_call_id bigint) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('c.recorded_xid >= %L OR c.recorded_xid = ANY (%L) OR (c.recorded_xid IS NULL AND c.call_id > %s)',
                  pg_snapshot_xmax(snapshot), ARRAY(SELECT x FROM pg_snapshot_xip(snapshot) x), base_call_id)
$$;

COMMENT ON FUNCTION cost_ledger_internal.unconsumed_condition(pg_snapshot, bigint) IS
    'The condition, in SQL, that the row c of call is not.';

CREATE FUNCTION cost_ledger_internal.run_depth(run_id text) RETURNS integer
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.run_depth(text) IS
    'How many runs a run is below the one that has no parent, as far as refresh() has seen them: 0 for that one; 1000 at most, which a circle of parents gives.';

-- Of all runs there are: how deep a run is does not depend on who asks, and says
-- nothing else of the runs above it.
CREATE FUNCTION cost_ledger_internal.run_depth_as_owner(run_id text) RETURNS integer
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    depth integer := 0;
    parent text := run_depth_as_owner.run_id;
BEGIN
    LOOP
        SELECT r.parent_run_id INTO parent FROM cost_ledger_internal.rollup_run r WHERE r.run_id = parent;
        -- A circle has no depth; this ends it.
        EXIT WHEN parent IS NULL OR depth = 1000;
        depth := depth + 1;
    END LOOP;
    RETURN depth;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.run_depth_as_owner(text) IS
    'The body of run_depth().';

CREATE FUNCTION cost_ledger_internal.rollup_column(
    OUT number integer, OUT column_name text, OUT rollups text[], OUT is_key boolean, OUT expression text, OUT merge text
) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT row_number() OVER ()::integer, v.*
    FROM (VALUES
        -- Keys.  @ZONE@ stands for the reporting zone.
        ('minute',        '{minute}'::text[],            true, 'date_trunc(''minute'', c.called_at)', NULL::text),
        ('hour',          '{hour}',                      true, 'date_trunc(''hour'', c.called_at, @ZONE@)', NULL),
        ('day',           '{day,user_day}',              true, '(c.called_at AT TIME ZONE @ZONE@)::date', NULL),
        ('day',           '{run_day}',                   true, 'c.started_on', NULL),
        ('month',         '{month,user_month}',          true, 'date_trunc(''month'', c.called_at AT TIME ZONE @ZONE@)::date', NULL),
        ('run_id',        '{run}',                       true, 'c.run_id COLLATE "C"', NULL),
        ('session_id',    '{session}',                   true, 'c.session_id COLLATE "C"', NULL),
        ('user_id',       '{user_day,user_month}',       true, 'c.user_id COLLATE "C"', NULL),
        ('team',          '{minute,hour,day,month}',     true, 'c.team', NULL),
        ('feature',       '{minute,hour,day,month}',     true, 'c.feature', NULL),
        ('customer',      '{minute,hour,day,month}',     true, 'c.customer', NULL),
        ('task_type',     '{minute,hour,day,month}',     true, 'c.task_type', NULL),
        ('environment',   '{minute,hour,day,month}',     true, 'c.environment', NULL),
        ('provider',      '{minute,hour,day,month}',     true, 'c.provider', NULL),
        ('model',         '{minute,hour,day,month}',     true, 'c.model', NULL),
        ('service_class', '{minute,hour,day,month}',     true, 'c.service_class', NULL),
        ('operation',     '{minute,hour,day,month}',     true, 'c.operation', NULL),
        ('status',        '{minute,hour,day,month}',     true, 'c.status', NULL),
        ('served_from',   '{minute,hour,day,month}',     true, 'c.served_from', NULL),
        -- Measures.
        ('parent_run_id', '{run}',                       false, 'min(c.parent_run_id COLLATE "C")', 'least'),
        ('started_at',    '{run,session}',               false, 'min(c.called_at)', 'least'),
        ('started_on',    '{run,session}',               false, '(min(c.called_at) AT TIME ZONE @ZONE@)::date', 'start'),
        -- At most 30 days each: one absurd duration must not end the report
        -- with a timestamp out of range.
        ('ended_at',      '{run,session}',               false, 'max(c.called_at + least(coalesce(c.duration_ms, 0), 2592000000) * interval ''1 millisecond'')', 'greatest'),
        ('calls',         '{minute,hour,day,month,run,session,user_day,user_month}', false, 'count(*) FILTER (WHERE c.corrects IS NULL)', '+'),
        ('turns',         '{run,session}',               false, 'count(*) FILTER (WHERE c.corrects IS NULL AND cost_ledger_internal.is_turn(c.operation))', '+'),
        ('failed_calls',  '{run,session}',               false, 'count(*) FILTER (WHERE c.corrects IS NULL AND cost_ledger_internal.is_failure(c.status))', '+'),
        ('priced_calls',  '{hour,day,month}',            false, 'count(c.cost) FILTER (WHERE c.corrects IS NULL OR c.usage_status = ''repriced'')', '+'),
        ('unpriced_calls', '{minute,hour,day,month,run,session,user_day,user_month}', false,
            'count(*) FILTER (WHERE c.corrects IS NULL AND c.pricing IN (''unpriced'', ''partial'')) - count(*) FILTER (WHERE c.usage_status IN (''repriced'', ''completed''))', '+'),
        ('corrections',   '{hour,day,month}',            false, 'count(c.corrects)', '+'),
        ('retries',       '{hour,day,month,run,session}', false, 'count(*) FILTER (WHERE c.corrects IS NULL AND lower(c.operation) = ''retry'') + coalesce(sum(c.retry_count), 0)', '+'),
        ('fallbacks',     '{run,session}',               false, 'count(*) FILTER (WHERE c.corrects IS NULL AND lower(c.operation) = ''fallback'')', '+'),
        ('tool_calls',    '{minute,hour,day,month,run,session}', false, 'coalesce(sum(c.tool_calls_count), 0)', '+'),
        ('accepted_calls', '{hour,day,month,run,session}', false, 'count(*) FILTER (WHERE c.accepted)', '+'),
        ('rejected_calls', '{hour,day,month,run,session}', false, 'count(*) FILTER (WHERE NOT c.accepted)', '+'),
        ('input_tokens',  '{minute,hour,day,month,run,session,user_day,user_month}', false, 'coalesce(sum(c.input_tokens), 0)', '+'),
        ('cache_read_tokens', '{hour,day,month,run,session}', false, 'coalesce(sum(c.cache_read_tokens), 0)', '+'),
        ('cache_write_tokens', '{hour,day,month,run,session}', false, 'coalesce(sum(c.cache_write_tokens), 0)', '+'),
        ('cache_write_1h_tokens', '{hour,day,month,run,session}', false, 'coalesce(sum(c.cache_write_1h_tokens), 0)', '+'),
        ('output_tokens', '{minute,hour,day,month,run,session,user_day,user_month}', false, 'coalesce(sum(c.output_tokens), 0)', '+'),
        ('reasoning_tokens', '{hour,day,month,run,session}', false, 'coalesce(sum(c.reasoning_tokens), 0)', '+'),
        ('runs',          '{run_day}',                   false, 'count(*)', NULL),
        ('cost',          '{minute,hour,day,month,run,session,user_day,user_month,run_day}', false, 'sum(c.cost)', 'sum'),
        ('max_cost',      '{run_day}',                   false, 'max(c.cost)', NULL),
        ('cache_read_cost', '{hour,day,month}',            false, 'sum(c.cache_read_cost)', 'sum'),
        ('cache_write_cost', '{hour,day,month}',            false, 'sum(c.cache_write_cost)', 'sum'),
        ('output_cost',   '{hour,day,month}',            false, 'sum(c.output_cost)', 'sum'),
        ('other_cost',    '{hour,day,month}',            false, 'sum(c.other_cost)', 'sum'),
        ('adjustment_cost', '{hour,day,month,run,session}', false, 'sum(c.cost) FILTER (WHERE c.corrects IS NOT NULL)', 'sum'),
        ('reported_cost', '{hour,day,month}',            false, 'sum(c.reported_cost)', 'sum'),
        ('cost_without_run', '{hour,day,month}',            false, 'sum(c.cost) FILTER (WHERE c.run_id IS NULL)', 'sum'),
        ('call_cost',     '{hour,day,month}',            false, 'cost_ledger.summarize(c.cost) FILTER (WHERE c.corrects IS NULL OR c.usage_status = ''repriced'')', 'merge'),
        ('run_cost',      '{run_day}',                   false, 'cost_ledger.summarize(c.cost)', NULL),
        ('trace_url',     '{run,session}',               false, 'min(c.trace_url COLLATE "C")', 'least'),
        ('labels',        '{run,session}',               false, '@LABELS@', 'merge_labels')
    ) AS v (column_name, rollups, is_key, expression, merge)
$$;

COMMENT ON FUNCTION cost_ledger_internal.rollup_column() IS
    'The columns of the rollups: in which they are, the expression over rows c of call (of run_day: of rollup_run), and how two parts are put together (+, sum of which NULL is nothing, least, greatest, start: that of the part that began first, merge() or merge_labels()).';

CREATE FUNCTION cost_ledger_internal.rollup_query(rollup text, condition text, source text DEFAULT 'cost_ledger.call') RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    columns text;
    keys text;
BEGIN
    SELECT string_agg(replace(replace(c.expression,
                                      '@ZONE@', quote_literal((cost_ledger_internal.ledger()).time_zone)),
                              '@LABELS@', format('cost_ledger_internal.first_call(c.called_at, coalesce(c.restates, c.call_id), c.team, c.feature, c.customer, c.task_type, c.environment, c.user_id, c.agent, %s) FILTER (WHERE c.corrects IS NULL)',
                                                 CASE WHEN rollup = 'run' THEN 'c.session_id' ELSE 'NULL' END))
                      || ' AS ' || c.column_name, ', ' ORDER BY c.number),
           string_agg(c.number_in_key::text, ', ' ORDER BY c.number) FILTER (WHERE c.is_key)
        INTO columns, keys
        FROM (SELECT r.*, row_number() OVER (ORDER BY r.number) AS number_in_key
              FROM cost_ledger_internal.rollup_column() r
              WHERE rollup = ANY (r.rollups)) c;
    IF rollup = 'run_day' THEN
        RETURN format('SELECT %s FROM (%s) c GROUP BY %s', columns, cost_ledger_internal.rollup_query('run', condition, source), keys);
    END IF;
    RETURN format('SELECT %s FROM %s c WHERE (%s)%s GROUP BY %s',
                  columns, source, condition,
                  CASE rollup
                      WHEN 'run' THEN ' AND c.run_id IS NOT NULL'
                      WHEN 'session' THEN ' AND c.session_id IS NOT NULL'
                      WHEN 'minute' THEN format(' AND c.called_at >= %L', (SELECT s.minutes_from FROM cost_ledger_internal.rollup_state s))
                      ELSE ''
                  END,
                  keys);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.rollup_query(text, text, text) IS
    'The query that makes a rollup of the rows c of call, or of a query for some of them, for which a condition holds.';

CREATE FUNCTION cost_ledger_internal.rollup_merge(rollup text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format(
               CASE c.merge
                   WHEN '+' THEN '%1$s = r.%1$s + excluded.%1$s'
                   WHEN 'sum' THEN '%1$s = coalesce(r.%1$s + excluded.%1$s, r.%1$s, excluded.%1$s)'
                   WHEN 'least' THEN '%1$s = least(r.%1$s, excluded.%1$s)'
                   -- Not the lesser day: some zones turn their clocks back over midnight.
                   WHEN 'start' THEN '%1$s = CASE WHEN excluded.started_at < r.started_at THEN excluded.%1$s ELSE r.%1$s END'
                   WHEN 'greatest' THEN '%1$s = greatest(r.%1$s, excluded.%1$s)'
                   WHEN 'merge' THEN '%1$s = cost_ledger.merge(r.%1$s, excluded.%1$s)'
                   WHEN 'merge_labels' THEN '%1$s = cost_ledger_internal.merge_labels(r.%1$s, excluded.%1$s)'
               END, c.column_name), ', ' ORDER BY c.number)
    FROM cost_ledger_internal.rollup_column() c
    WHERE rollup = ANY (c.rollups) AND NOT c.is_key
$$;

COMMENT ON FUNCTION cost_ledger_internal.rollup_merge(text) IS
    'The SET list that puts a row excluded together with the row r of a rollup.';

CREATE FUNCTION cost_ledger_internal.rollup_columns(rollup text, is_key boolean, template text DEFAULT '%s') RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format(template, c.column_name), ', ' ORDER BY c.number)
    FROM cost_ledger_internal.rollup_column() c
    WHERE rollup = ANY (c.rollups) AND c.is_key = rollup_columns.is_key
$$;

COMMENT ON FUNCTION cost_ledger_internal.rollup_columns(text, boolean, text) IS
    'The keys or the measures of a rollup as a list, each put into a template for format().';

CREATE FUNCTION cost_ledger_internal.label_columns(template text DEFAULT '%s', separator text DEFAULT ', ') RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format(template, c.column_name), separator ORDER BY c.number)
    FROM cost_ledger_internal.rollup_column() c
    WHERE 'hour' = ANY (c.rollups) AND c.is_key AND c.column_name <> 'hour'
$$;

COMMENT ON FUNCTION cost_ledger_internal.label_columns(text, text) IS
    'The labels of rollup_key as a list, each put into a template for format().';

CREATE FUNCTION cost_ledger_internal.stored_keys(rollup text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN rollup IN ('minute', 'hour', 'day', 'month') THEN rollup || ', key_id'
                ELSE cost_ledger_internal.rollup_columns(rollup, true) END
$$;

COMMENT ON FUNCTION cost_ledger_internal.stored_keys(text) IS
    'The key columns of a rollup''s table.';

CREATE FUNCTION cost_ledger_internal.expected_rows(rollup text, condition text, source text DEFAULT 'cost_ledger.call') RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN rollup IN ('minute', 'hour', 'day', 'month')
           THEN format('SELECT f.%s, k.key_id, %s FROM (%s) f LEFT JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = md5(%s)::uuid',
                       rollup,
                       cost_ledger_internal.rollup_columns(rollup, false, 'f.%s'),
                       cost_ledger_internal.rollup_query(rollup, condition, source),
                       cost_ledger_internal.label_columns('quote_nullable(f.%s)', ' || '','' || '))
           ELSE cost_ledger_internal.rollup_query(rollup, condition, source)
           END
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_rows(text, text, text) IS
    'The query that makes the rows of a rollup''s table of the rows c of call, or of a query for some of them, for which a condition holds; the labels'' keys must be there.';

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

CREATE FUNCTION cost_ledger_internal.put_runs(put text) RETURNS date[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    -- Runs are looked up by their key, also where the table was empty when the
    -- statement was planned.
    SET enable_seqscan = off
    SET enable_indexonlyscan = off
AS $$
DECLARE
    days date[];
BEGIN
    -- An earlier call may move a run to another day: its old day is that of the
    -- row as this statement found it.
    EXECUTE format('WITH put AS (%s RETURNING r.run_id, r.started_on)
                    SELECT array_agg(DISTINCT u.day)
                    FROM (SELECT p.started_on FROM put p
                          UNION ALL
                          SELECT o.started_on
                          FROM put p
                          CROSS JOIN LATERAL (SELECT r.started_on FROM cost_ledger_internal.rollup_run r WHERE r.run_id = p.run_id OFFSET 0) o) u (day)',
                   put)
        INTO days;
    RETURN days;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.put_runs(text) IS
    'Runs the INSERT of rows r into rollup_run, and returns the days on which its runs began, before and after.';

CREATE FUNCTION cost_ledger_internal.put_rollup(rollup text, condition text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rows text;
    put text;
BEGIN
    rows := CASE rollup WHEN 'user_day' THEN 'TABLE days' ELSE cost_ledger_internal.expected_rows(rollup, condition) END;
    put := format('INSERT INTO cost_ledger_internal.rollup_%1$s AS r (%2$s, %3$s) %4$s ON CONFLICT (%2$s) DO UPDATE SET %5$s',
                  rollup,
                  cost_ledger_internal.stored_keys(rollup), cost_ledger_internal.rollup_columns(rollup, false),
                  rows,
                  cost_ledger_internal.rollup_merge(rollup));
    IF rollup = 'user_day' THEN
        -- Months are made of the batch's days.
        put := format('WITH days AS MATERIALIZED (%s), put AS (%s)
                       INSERT INTO cost_ledger_internal.rollup_user_month AS r (month, user_id, %s)
                       SELECT date_trunc(''month'', d.day::timestamp)::date, d.user_id, %s FROM days d GROUP BY 1, 2
                       ON CONFLICT (month, user_id) DO UPDATE SET %s',
                      cost_ledger_internal.expected_rows(rollup, condition), put,
                      cost_ledger_internal.rollup_columns('user_month', false), cost_ledger_internal.rollup_columns('user_month', false, 'sum(d.%s)'),
                      cost_ledger_internal.rollup_merge('user_month'));
    END IF;
    IF rollup <> 'run' THEN
        EXECUTE put;
        RETURN;
    END IF;
    PERFORM cost_ledger_internal.remake_run_days(cost_ledger_internal.put_runs(put));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.put_rollup(text, text) IS
    'What consume() does for a rollup whose labels have their keys: minute, run (and with it run_day), session, user_day (and user_month).';

CREATE FUNCTION cost_ledger_internal.remake_run_days(days date[]) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM cost_ledger_internal.rollup_run_day d WHERE d.day = ANY (days);
    EXECUTE format('INSERT INTO cost_ledger_internal.rollup_run_day (%s, %s)
                    SELECT %s FROM cost_ledger_internal.rollup_run c WHERE c.started_on = ANY ($1) GROUP BY c.started_on',
                   cost_ledger_internal.stored_keys('run_day'), cost_ledger_internal.rollup_columns('run_day', false),
                   (SELECT string_agg(c.expression, ', ' ORDER BY c.number) FROM cost_ledger_internal.rollup_column() c WHERE 'run_day' = ANY (c.rollups)))
        USING days;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.remake_run_days(date[]) IS
    'Makes days of rollup_run_day anew from rollup_run.';

CREATE FUNCTION cost_ledger_internal.consume(condition text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    -- Compiling would be most of the work of a small batch.
    SET jit = off
    -- The planner knows little of how many groups there will be, and sorting by
    -- a dozen texts costs more than all the sums.
    SET enable_sort = off
AS $$
DECLARE
    rollup text;
    consumed bigint;
    largest numeric;
    first_hour timestamptz;
    last_hour timestamptz;
BEGIN
    PERFORM cost_ledger_internal.raise_work_mem();

    -- Hours, from them days, from those months: the labels are compared once.
    EXECUTE format($query$
        WITH fine AS MATERIALIZED (
            SELECT f.*,
                   md5(%1$s)::uuid AS fingerprint
            FROM (%2$s) f
        ), made AS (
            INSERT INTO cost_ledger_internal.rollup_key (%3$s)
            SELECT %4$s
            FROM (SELECT DISTINCT ON (f.fingerprint) f.* FROM fine f ORDER BY f.fingerprint) f
            WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.rollup_key k WHERE k.fingerprint = f.fingerprint)
            RETURNING key_id, fingerprint
        ), keyed AS MATERIALIZED (
            SELECT k.key_id, f.*
            FROM fine f
            JOIN (SELECT key_id, fingerprint FROM cost_ledger_internal.rollup_key UNION ALL TABLE made) k USING (fingerprint)
        ), hours AS (
            INSERT INTO cost_ledger_internal.rollup_hour AS r (hour, key_id, %5$s)
            SELECT f.hour, f.key_id, %6$s FROM keyed f
            ON CONFLICT (hour, key_id) DO UPDATE SET %7$s
        ), of_day AS MATERIALIZED (
            SELECT (f.hour AT TIME ZONE %9$L)::date AS day, f.key_id, %8$s FROM keyed f GROUP BY 1, 2
        ), days AS (
            INSERT INTO cost_ledger_internal.rollup_day AS r (day, key_id, %5$s)
            TABLE of_day
            ON CONFLICT (day, key_id) DO UPDATE SET %7$s
        ), months AS (
            INSERT INTO cost_ledger_internal.rollup_month AS r (month, key_id, %5$s)
            SELECT date_trunc('month', f.day::timestamp)::date, f.key_id, %8$s FROM of_day f GROUP BY 1, 2
            ON CONFLICT (month, key_id) DO UPDATE SET %7$s
        )
        SELECT coalesce(sum(f.calls + f.corrections), 0), greatest(max(abs(f.cost)), max(abs(f.reported_cost))), min(f.hour), max(f.hour) FROM fine f
        $query$,
        cost_ledger_internal.label_columns('quote_nullable(f.%s)', ' || '','' || '),
        cost_ledger_internal.rollup_query('hour', condition),
        cost_ledger_internal.label_columns(),
        cost_ledger_internal.label_columns('f.%s'),
        cost_ledger_internal.rollup_columns('hour', false),
        cost_ledger_internal.rollup_columns('hour', false, 'f.%s'),
        cost_ledger_internal.rollup_merge('hour'),
        (SELECT string_agg(format(CASE c.merge WHEN 'merge' THEN 'cost_ledger.merge(f.%1$s) AS %1$s' ELSE 'sum(f.%1$s) AS %1$s' END, c.column_name),
                           ', ' ORDER BY c.number)
         FROM cost_ledger_internal.rollup_column() c WHERE 'hour' = ANY (c.rollups) AND NOT c.is_key),
        (cost_ledger_internal.ledger()).time_zone)
        INTO consumed, largest, first_hour, last_hour;
    IF consumed = 0 THEN
        RETURN 0;
    END IF;
    -- What the door lets in stays far below; reports multiply it, and divide,
    -- and reckon with its times.
    IF largest >= 1e60 THEN
        RAISE EXCEPTION 'costs of an hour add up to more than reports can show'
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'A row with such a cost came by replication, or with the triggers of call switched off.';
    ELSIF first_hour < '1969-12-31Z' OR last_hour >= '2200-01-01Z' THEN
        RAISE EXCEPTION 'a call was made at a time that reports cannot show'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'A row with such a time came by replication, or with the triggers of call switched off.';
    END IF;

    -- Every label has its key now.
    FOREACH rollup IN ARRAY '{minute,run,session,user_day}'::text[] LOOP
        PERFORM cost_ledger_internal.put_rollup(rollup, condition);
    END LOOP;
    -- Last, so that balances, which reserve() wants, are locked briefly.
    PERFORM cost_ledger_internal.post_spend(condition);
    RETURN consumed;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.consume(text) IS
    'Brings the rows c of call for which a condition holds into every rollup and, without a hold, into the balances of budgets, and returns how many. The caller has locked rollup_state and answers for each row being brought in once.';

CREATE FUNCTION cost_ledger_internal.lock_rollups(OUT snapshot pg_snapshot, OUT base_call_id bigint, OUT xid_offset bigint, OUT is_foreign boolean)
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
    SELECT s.snapshot, s.base_call_id INTO STRICT snapshot, base_call_id
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

CREATE FUNCTION cost_ledger_internal.refresh_cuts(batch_rows bigint) RETURNS xid8[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
DECLARE
    consumed_below xid8;
    last_cut xid8;
    rows bigint;
    cuts xid8[];
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF coalesce(batch_rows, 0) < 1 THEN
        RAISE EXCEPTION 'a batch has at least one row'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave batch_rows out for batches of a million rows.';
    END IF;
    -- However much is recorded meanwhile, the last batch ends here.
    last_cut := (SELECT (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + l.xid_offset)::text::xid8 FROM cost_ledger.ledger l);
    consumed_below := (SELECT pg_snapshot_xmax(s.snapshot) FROM cost_ledger_internal.rollup_state s);
    EXECUTE format('SELECT count(*) FROM (SELECT FROM cost_ledger.call c WHERE c.recorded_xid >= %L LIMIT %s) c',
                   consumed_below, batch_rows + 1)
        INTO rows;
    IF rows <= batch_rows THEN
        RETURN ARRAY[NULL::xid8];
    END IF;
    -- A transaction is never divided: all of its rows go in at once.
    EXECUTE format('SELECT array_agg(t.recorded_xid ORDER BY t.recorded_xid) FILTER (WHERE t.batch > t.previous)
                    FROM (SELECT t.recorded_xid, t.batch, lag(t.batch, 1, t.batch) OVER (ORDER BY t.recorded_xid) AS previous
                          FROM (SELECT c.recorded_xid,
                                       (sum(count(*)) OVER (ORDER BY c.recorded_xid) - count(*))::bigint / %s AS batch
                                FROM cost_ledger.call c
                                WHERE c.recorded_xid >= %L AND c.recorded_xid < %L
                                GROUP BY c.recorded_xid) t) t',
                   batch_rows, consumed_below, last_cut)
        INTO cuts;
    RETURN cuts || last_cut;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.refresh_cuts(bigint) IS
    'Where the batches of a backlog end: at the first transaction that is not in them. One NULL when all fits into one.';

CREATE FUNCTION cost_ledger_internal.refresh_batch(cut xid8 DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    state record;
    target pg_snapshot;
    resolved xid8[];
    still_open xid8[];
    condition text;
    keep_from timestamptz := date_trunc('hour', now() - interval '2 days');
    batch record;
    has_rows boolean;
BEGIN
    -- Lock, then snapshot, then read: three statements.
    SELECT * INTO state FROM cost_ledger_internal.lock_rollups();
    IF state.is_foreign THEN
        PERFORM cost_ledger_internal.refuse_foreign();
    END IF;
    target := cost_ledger_internal.ledger_snapshot(pg_current_snapshot(), state.xid_offset, pg_current_xact_id());
    IF cut IS NOT NULL THEN
        IF cut < pg_snapshot_xmax(state.snapshot) THEN
            RETURN 0;  -- somebody else has been here
        END IF;
        target := cost_ledger_internal.cut_snapshot(target, cut);
    END IF;

    resolved := ARRAY(SELECT x FROM pg_snapshot_xip(state.snapshot) x WHERE pg_visible_in_snapshot(x, target));
    IF resolved = '{}' AND pg_snapshot_xmax(target) = pg_snapshot_xmax(state.snapshot) THEN
        RETURN 0;
    END IF;
    still_open := ARRAY(SELECT x FROM pg_snapshot_xip(target) x WHERE x >= pg_snapshot_xmax(state.snapshot));
    condition := format('c.recorded_xid >= %L AND c.recorded_xid < %L',
                        pg_snapshot_xmax(state.snapshot), pg_snapshot_xmax(target));
    IF still_open <> '{}' THEN
        condition := condition || format(' AND c.recorded_xid <> ALL (%L)', still_open);
    END IF;
    IF resolved <> '{}' THEN
        condition := condition || format(' OR c.recorded_xid = ANY (%L)', resolved);
    END IF;

    -- Once an hour, what is too old for minutes goes.
    IF keep_from > (SELECT s.minutes_from FROM cost_ledger_internal.rollup_state s) THEN
        DELETE FROM cost_ledger_internal.rollup_minute m WHERE m.minute < keep_from;
        UPDATE cost_ledger_internal.rollup_state s SET minutes_from = keep_from;
    END IF;

    batch := cost_ledger_internal.consume_batch(condition);
    has_rows := batch.consumed + batch.quarantined > 0;
    IF NOT has_rows AND EXISTS (SELECT FROM cost_ledger_internal.reversal) THEN
        -- Rows that take back others add nothing, and have been seen all the same.
        EXECUTE format('SELECT EXISTS (SELECT FROM cost_ledger.call c WHERE %s)', condition) INTO has_rows;
    END IF;
    IF has_rows THEN
        UPDATE cost_ledger_internal.rollup_state s
            SET snapshot = target,
                rows_consumed = s.rows_consumed + batch.consumed,
                batches = s.batches + 1,
                consumed_at = clock_timestamp();
    END IF;
    RETURN batch.consumed;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.refresh_batch(xid8) IS
    'One batch of refresh(): brings in the rows of all transactions that have ended, or only of those before cut, but for those that go into the quarantine, and returns how many.';

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
    cuts pg_catalog.xid8[];
    cut pg_catalog.xid8;
    consumed pg_catalog.int8;
    total pg_catalog.int8 := 0;
    batch pg_catalog.int4 := 0;
BEGIN
    CALL cost_ledger_internal.require_autocommit('refresh');
    -- The default of the session may be another level; CHAIN keeps this one.
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    cuts := cost_ledger_internal.refresh_cuts(batch_rows);
    COMMIT AND CHAIN;
    FOREACH cut IN ARRAY cuts LOOP
        consumed := cost_ledger_internal.refresh_batch(cut);
        COMMIT AND CHAIN;
        total := total OPERATOR(pg_catalog.+) consumed;
        batch := batch OPERATOR(pg_catalog.+) 1;
        IF pg_catalog.cardinality(cuts) OPERATOR(pg_catalog.>) 1 THEN
            RAISE INFO 'batch % of %: % rows, % in all', batch, pg_catalog.cardinality(cuts), consumed, total;
        END IF;
    END LOOP;
    IF total OPERATOR(pg_catalog.>) 0 THEN
        PERFORM cost_ledger_internal.summarize_pages();
        COMMIT AND CHAIN;
    END IF;
END
$$;

COMMENT ON PROCEDURE cost_ledger.refresh(bigint) IS
    'Brings the rows of call that are new since the last time into the rollups, each exactly once, in transactions of about batch_rows rows (one transaction''s rows are never divided); says how far it is when there is more than one batch. A row that no sum can take in goes into the quarantine (quarantined_call), with a warning. The jobs call it every minute; anybody who owns the ledger may call it at any time, at once with others, not inside a transaction block (25001). It works at READ COMMITTED, whatever the session''s default; in a restored ledger only after post_restore() (55000).';

CREATE FUNCTION cost_ledger_internal.stored_condition(rollup text, range_start timestamptz, range_end timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text := (cost_ledger_internal.ledger()).time_zone;
    calls_from timestamptz := (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s);
BEGIN
    RETURN CASE
        WHEN rollup IN ('minute', 'hour') THEN format('r.%1$s >= %2$L AND r.%1$s < %3$L', rollup, range_start, range_end)
        WHEN rollup IN ('day', 'user_day', 'run_day') THEN format('r.day >= %L AND r.day < %L',
                                                       (range_start AT TIME ZONE zone)::date, (range_end AT TIME ZONE zone)::date)
        WHEN rollup IN ('month', 'user_month') THEN format('r.month >= %L AND r.month < %L',
                                               date_trunc('month', range_start AT TIME ZONE zone)::date, (range_end AT TIME ZONE zone)::date)
        -- Runs and sessions that have a call in the range, or should.
        -- Not those that began before the first call that retention has left.
        ELSE format('r.%1$s_id IN (SELECT c.%1$s_id FROM cost_ledger.call c WHERE c.called_at >= %2$L AND c.called_at < %3$L
                                   UNION SELECT s.%1$s_id FROM cost_ledger_internal.rollup_%1$s s WHERE s.started_at >= %2$L AND s.started_at < %3$L)',
                    rollup, range_start, range_end)
             || CASE WHEN isfinite(calls_from)
                     THEN format(' AND NOT EXISTS (SELECT FROM cost_ledger_internal.rollup_%1$s s WHERE s.%1$s_id = r.%1$s_id AND s.started_at < %2$L)',
                                 rollup, calls_from)
                     ELSE '' END
    END || (
        -- Nor what has calls in a month that vanished, or should have them.
        SELECT coalesce(string_agg(' AND NOT (' || CASE
                   WHEN rollup IN ('minute', 'hour') THEN format('r.%1$s >= %2$L AND r.%1$s < %3$L', rollup, v.range_start, v.range_end)
                   WHEN rollup IN ('day', 'user_day') THEN format('r.day >= %L AND r.day < %L', v.month, (v.month + interval '1 month')::date)
                   WHEN rollup IN ('month', 'user_month') THEN format('r.month = %L', v.month)
                   ELSE format('r.%1$s IN (SELECT s.%2$s FROM cost_ledger_internal.rollup_%3$s s WHERE s.started_at < %5$L AND s.ended_at >= %4$L)',
                               CASE rollup WHEN 'run_day' THEN 'day' ELSE rollup || '_id' END,
                               CASE rollup WHEN 'run_day' THEN 'started_on' ELSE rollup || '_id' END,
                               CASE rollup WHEN 'run_day' THEN 'run' ELSE rollup END, v.range_start, v.range_end)
               END || ')', ''), '')
        FROM cost_ledger_internal.vanished_month v
        WHERE v.range_end > calls_from);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.stored_condition(text, timestamptz, timestamptz) IS
    'The rows r of a rollup that a range of time, of whole days, concerns.';

CREATE FUNCTION cost_ledger_internal.consumed_condition(rollup text, range_start timestamptz, range_end timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text := (cost_ledger_internal.ledger()).time_zone;
    state record;
BEGIN
    SELECT * INTO STRICT state FROM cost_ledger_internal.rollup_state;
    IF rollup = 'run_day' THEN
        RETURN cost_ledger_internal.consumed_condition('run', range_start, range_end);
    END IF;
    RETURN format('cost_ledger_internal.is_consumed(c.recorded_xid, c.call_id, %L, %s) AND ', state.snapshot, state.base_call_id)
        || CASE
            WHEN rollup IN ('run', 'session') THEN replace(cost_ledger_internal.stored_condition(rollup, range_start, range_end), 'r.' || rollup || '_id', 'c.' || rollup || '_id')
            -- Whole months.
            WHEN rollup IN ('month', 'user_month') THEN format('c.called_at >= %L AND c.called_at < %L',
                                                   date_trunc('month', range_start AT TIME ZONE zone) AT TIME ZONE zone,
                                                   CASE WHEN isfinite(range_end)
                                                        THEN (date_trunc('month', range_end AT TIME ZONE zone - interval '1 day') + interval '1 month') AT TIME ZONE zone
                                                        ELSE range_end END)
            ELSE format('c.called_at >= %L AND c.called_at < %L', range_start, range_end)
           END
        || CASE WHEN rollup IN ('run', 'session') THEN ''
           ELSE (SELECT coalesce(string_agg(format(' AND NOT (c.called_at >= %L AND c.called_at < %L)', v.range_start, v.range_end), ''), '')
                 FROM cost_ledger_internal.vanished_month v
                 WHERE v.range_end > state.calls_from) END
        || cost_ledger_internal.standing()
        || cost_ledger_internal.not_quarantined();
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.consumed_condition(text, timestamptz, timestamptz) IS
    'The rows c of call that are in the rollups, as far as a range of time, of whole days, concerns them.';

CREATE FUNCTION cost_ledger_internal.kept_range(INOUT range_start timestamptz, INOUT range_end timestamptz) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text := (cost_ledger_internal.ledger()).time_zone;
BEGIN
    IF range_start IS NULL OR range_end IS NULL OR range_start > range_end THEN
        RAISE EXCEPTION 'a range of time needs a start and a later end'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave both out for everything.';
    END IF;
    -- Whole days of the reporting zone, and nothing whose calls are gone.
    range_start := greatest(date_trunc('day', range_start AT TIME ZONE zone) AT TIME ZONE zone,
                            (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s));
    IF isfinite(range_end) AND range_end <> date_trunc('day', range_end AT TIME ZONE zone) AT TIME ZONE zone THEN
        range_end := (date_trunc('day', range_end AT TIME ZONE zone) + interval '1 day') AT TIME ZONE zone;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.kept_range(timestamptz, timestamptz) IS
    'A range of time, made whole days of the reporting zone, and of what retention has left.';

CREATE FUNCTION cost_ledger.check_rollups(
    range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity'
) RETURNS TABLE (rollup text, key jsonb, stored jsonb, expected jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    -- For the reasons that consume() has.
    SET jit = off
    SET enable_sort = off
AS $$
BEGIN
    PERFORM cost_ledger_internal.raise_work_mem();
    SELECT * INTO range_start, range_end FROM cost_ledger_internal.kept_range(range_start, range_end);
    PERFORM cost_ledger_internal.tell_of_quarantine();
    FOREACH rollup IN ARRAY '{minute,hour,day,month,run,session,user_day,user_month,run_day}'::text[] LOOP
        RETURN QUERY EXECUTE format($query$
            -- A row that is on both sides comes to 0: both differences in one
            -- pass over both.
            WITH difference AS (
                SELECT sum(r.side) > 0 AS is_stored, %3$s, %4$s
                FROM (SELECT 1 AS side, %3$s, %4$s FROM cost_ledger_internal.rollup_%1$s r WHERE %5$s
                      UNION ALL
                      SELECT -1, r.* FROM (%2$s) r WHERE %8$s) r
                GROUP BY %3$s, %4$s
                HAVING sum(r.side) <> 0
            )
            SELECT %1$L::text, d.key || coalesce((SELECT jsonb_strip_nulls(to_jsonb(k)) - 'fingerprint'
                                                  FROM cost_ledger_internal.rollup_key k
                                                  WHERE k.key_id = (d.key ->> 'key_id')::integer), '{}'),
                   (array_agg(d.measures) FILTER (WHERE d.is_stored))[1],
                   (array_agg(d.measures) FILTER (WHERE NOT d.is_stored))[1]
            FROM (SELECT d.is_stored,
                         jsonb_build_object(%6$s) AS key,
                         to_jsonb(d) - 'is_stored' - '{%7$s}'::text[] AS measures
                  FROM difference d) d
            GROUP BY d.key
            ORDER BY d.key
            $query$,
            rollup,
            cost_ledger_internal.expected_rows(rollup, cost_ledger_internal.consumed_condition(rollup, range_start, range_end)),
            cost_ledger_internal.stored_keys(rollup),
            cost_ledger_internal.rollup_columns(rollup, false),
            cost_ledger_internal.stored_condition(rollup, range_start, range_end),
            (SELECT string_agg(format('%L, d.%s', k, k), ', ') FROM unnest(string_to_array(cost_ledger_internal.stored_keys(rollup), ', ')) k),
            replace(cost_ledger_internal.stored_keys(rollup), ' ', ''),
            -- Runs with a call in the range may have begun before it.
            CASE rollup WHEN 'run_day' THEN cost_ledger_internal.stored_condition(rollup, range_start, range_end) ELSE 'true' END);
    END LOOP;
    RETURN QUERY
        SELECT 'call', jsonb_build_object('month', v.month), jsonb_build_object('rows', v.rows, 'cost', v.cost), NULL::jsonb
        FROM cost_ledger_internal.vanished_month v
        WHERE NOT v.is_logged AND v.range_start < check_rollups.range_end AND v.range_end > check_rollups.range_start;
END
$$;

COMMENT ON FUNCTION cost_ledger.check_rollups(timestamptz, timestamptz) IS
    'Makes every rollup anew from the rows of call that are in it, in one snapshot, and returns what differs: the rollup, the key, what is stored and what should be (NULL: no row). No rows: all is well. A month whose calls have vanished, dropped by something else than retention, is one row, of rollup "call". Calls in quarantine are left out, with a notice. Over a range of time, whole days of the reporting zone; by default over everything, which reads the whole ledger ten times.';

CREATE FUNCTION cost_ledger_internal.put_right(rollup text, expected text, stored_condition text, touched text DEFAULT 'SELECT') RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    changed bigint;
BEGIN
    EXECUTE format($query$
        WITH touched AS MATERIALIZED (%7$s), expected AS MATERIALIZED (%2$s), stored AS MATERIALIZED (
            SELECT r.ctid AS place, %3$s, %4$s FROM cost_ledger_internal.rollup_%1$s r WHERE %5$s
        ), put AS (
            INSERT INTO cost_ledger_internal.rollup_%1$s (%3$s, %4$s)
            TABLE expected EXCEPT ALL SELECT %3$s, %4$s FROM stored
            ON CONFLICT (%3$s) DO UPDATE SET %6$s
            RETURNING 1
        ), gone AS (
            -- In a hash table, however many the planner expects.
            DELETE FROM cost_ledger_internal.rollup_%1$s r
            WHERE r.ctid = ANY (ARRAY(SELECT s.place FROM stored s WHERE ((%8$s) IN (SELECT %8$s FROM expected e)) IS NOT TRUE))
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM put) + (SELECT count(*) FROM gone)
        $query$,
        rollup, expected,
        cost_ledger_internal.stored_keys(rollup),
        cost_ledger_internal.rollup_columns(rollup, false),
        stored_condition,
        cost_ledger_internal.rollup_columns(rollup, false, '%1$s = excluded.%1$s'),
        touched,
        -- A user_id may be NULL, and is not empty; no other key is NULL.
        (SELECT string_agg(CASE k WHEN 'user_id' THEN 'coalesce(user_id, '''')' ELSE k END, ', ')
         FROM unnest(string_to_array(cost_ledger_internal.stored_keys(rollup), ', ')) k))
        INTO changed;
    RETURN changed;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.put_right(text, text, text, text) IS
    'Makes the rows r of a rollup for which a condition holds what a query says they should be, and returns how many that changed. Both may ask another query, which is run once: touched.';

CREATE FUNCTION cost_ledger.rebuild_rollups(
    range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity'
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
    SET enable_sort = off
AS $$
DECLARE
    rollup text;
    changed bigint;
    total bigint := 0;
BEGIN
    PERFORM cost_ledger_internal.raise_work_mem();
    PERFORM cost_ledger_internal.lock_rollups();
    PERFORM cost_ledger_internal.tell_of_quarantine();
    SELECT * INTO range_start, range_end FROM cost_ledger_internal.kept_range(range_start, range_end);
    EXECUTE format('INSERT INTO cost_ledger_internal.rollup_key (%1$s)
                    SELECT DISTINCT %1$s FROM cost_ledger.call c WHERE %2$s
                    ON CONFLICT (fingerprint) DO NOTHING',
                   cost_ledger_internal.label_columns(),
                   cost_ledger_internal.consumed_condition('hour', range_start, range_end));
    FOREACH rollup IN ARRAY '{minute,hour,day,month,run,session,user_day,user_month,run_day}'::text[] LOOP
        changed := cost_ledger_internal.put_right(
            rollup,
            format('SELECT r.* FROM (%s) r WHERE %s',
                   cost_ledger_internal.expected_rows(rollup, cost_ledger_internal.consumed_condition(rollup, range_start, range_end)),
                   CASE rollup WHEN 'run_day' THEN cost_ledger_internal.stored_condition(rollup, range_start, range_end) ELSE 'true' END),
            cost_ledger_internal.stored_condition(rollup, range_start, range_end));
        IF changed > 0 THEN
            RAISE NOTICE 'rollup_%: % rows put right', rollup, changed;
        END IF;
        total := total + changed;
    END LOOP;
    RETURN total;
END
$$;

COMMENT ON FUNCTION cost_ledger.rebuild_rollups(timestamptz, timestamptz) IS
    'Puts right what check_rollups() would report of a range of time, from the rows of call, and returns how many rows of rollups that changed: 0 when all was well. What the rollups have of a month whose calls have vanished stays: nothing else is left of it. Calls in quarantine stay out, with a notice. refresh() waits meanwhile; inserts and reports do not.';

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
    consumed := (cost_ledger_internal.consume_batch(cost_ledger_internal.unconsumed_condition(state.snapshot, state.base_call_id))).consumed;

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
            rows_consumed = s.rows_consumed + consumed,
            batches = s.batches + 1,
            consumed_at = clock_timestamp();
    RETURN consumed;
END
$$;

COMMENT ON FUNCTION cost_ledger.post_restore() IS
    'Makes a ledger that was restored from a dump, or upgraded with pg_upgrade, at home in its new cluster: brings into the rollups what they did not have yet, and numbers transactions from above all earlier ones. Returns how many rows it brought in; 0 with a notice where there is nothing to do. Writers wait meanwhile. Only for the owner of the ledger.';
