-- Finding calls: those of a run, a session or a user without an index of their ids.
--
-- An index on an id costs every insert more than all else does.  When a run was is
-- in its rollup, and calls of a time are found by their primary key: so the calls of
-- that time are read, and those that no rollup has yet, wherever they lie.  Whoever
-- wants the index all the same has index_calls().

CREATE TYPE cost_ledger_internal.found_call AS (
    called_at          timestamptz,
    call_id            bigint,
    corrects           bigint,
    run_id             text,
    parent_run_id      text,
    session_id         text,
    user_id            text,
    request_id         text,
    attempt            integer,
    team               text,
    feature            text,
    customer           text,
    task_type          text,
    agent              text,
    step               text,
    tool               text,
    provider           text,
    model              text,
    operation          text,
    status             text,
    duration_ms        double precision,
    input_tokens       bigint,
    cache_read_tokens  bigint,
    output_tokens      bigint,
    cost               numeric,
    pricing            text,
    trace_url          text
);

COMMENT ON TYPE cost_ledger_internal.found_call IS 'A row of find_calls(); columns as in call.';

CREATE FUNCTION cost_ledger_internal.whole_names(filter jsonb, label text) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(cost_ledger_internal.filter_text(v.value))
    FROM jsonb_array_elements_text(cost_ledger_internal.filter_values(filter -> label)) AS v
    WHERE jsonb_typeof(filter -> label) <> 'object'
    HAVING bool_and(v.value IS NOT NULL AND NOT cost_ledger_internal.is_prefix(v.value))
$$;

COMMENT ON FUNCTION cost_ledger_internal.whole_names(jsonb, text) IS
    'The values of a label that a checked filter names one by one; NULL where it says anything else of it, or nothing.';

CREATE FUNCTION cost_ledger_internal.user_span(users text[], range_start timestamptz, range_end timestamptz) RETURNS tstzmultirange
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    zone text := (cost_ledger_internal.ledger()).time_zone;
    -- Nothing is earlier or later than these.
    first_month date := (SELECT min(r.month) FROM cost_ledger_internal.rollup_user_month r);
    last_month date := (SELECT max(r.month) FROM cost_ledger_internal.rollup_user_month r);
BEGIN
    IF isfinite(range_start) THEN
        first_month := greatest(first_month, date_trunc('month', range_start AT TIME ZONE zone)::date);
    END IF;
    IF isfinite(range_end) THEN
        last_month := least(last_month, date_trunc('month', range_end AT TIME ZONE zone)::date);
    END IF;
    -- Months are few, and so are the days of one: each is looked up by its key.
    RETURN (SELECT range_agg(tstzrange(cost_ledger_internal.day_start(d.day, zone), cost_ledger_internal.day_start(d.day + 1, zone)))
            FROM generate_series(first_month::timestamp, last_month::timestamp, interval '1 month') AS m (month)
            CROSS JOIN LATERAL generate_series(m.month, m.month + interval '1 month - 1 day', interval '1 day') AS s (day)
            CROSS JOIN LATERAL (SELECT s.day::date AS day) d
            WHERE EXISTS (SELECT FROM cost_ledger_internal.rollup_user_month r WHERE r.month = m.month::date AND r.user_id = ANY (users) OFFSET 0)
              AND EXISTS (SELECT FROM cost_ledger_internal.rollup_user_day r WHERE r.day = d.day AND r.user_id = ANY (users) OFFSET 0));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.user_span(text[], timestamptz, timestamptz) IS
    'The days, of the months of a range of time, in which users have calls in the rollups; NULL for none.';

CREATE FUNCTION cost_ledger_internal.call_span(filter jsonb, range_start timestamptz, range_end timestamptz) RETURNS tstzmultirange
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    wanted constant tstzmultirange := tstzmultirange(tstzrange(range_start, range_end));
    runs constant text[] := cost_ledger_internal.whole_names(filter, 'run_id');
    sessions constant text[] := cost_ledger_internal.whole_names(filter, 'session_id');
    users constant text[] := cost_ledger_internal.whole_names(filter, 'user_id');
    span tstzmultirange := wanted;
    tail tstzmultirange;
BEGIN
    IF num_nonnulls(runs, sessions, users) = 0 THEN
        RETURN wanted;
    END IF;
    IF runs IS NOT NULL THEN
        span := span * coalesce((SELECT range_agg(tstzrange(r.started_at, r.ended_at, '[]')) FROM cost_ledger_internal.rollup_run r WHERE r.run_id = ANY (runs)), '{}');
    END IF;
    IF sessions IS NOT NULL THEN
        span := span * coalesce((SELECT range_agg(tstzrange(r.started_at, r.ended_at, '[]')) FROM cost_ledger_internal.rollup_session r WHERE r.session_id = ANY (sessions)), '{}');
    END IF;
    IF users IS NOT NULL THEN
        span := span * coalesce(cost_ledger_internal.user_span(users, range_start, range_end), '{}');
    END IF;
    -- What no rollup has: each call for itself.
    SELECT range_agg(tstzrange(c.called_at, c.called_at, '[]')) INTO tail
        FROM (SELECT u.called_at FROM cost_ledger_internal.unconsumed_call u
              WHERE (runs IS NULL OR u.run_id = ANY (runs)) AND (sessions IS NULL OR u.session_id = ANY (sessions)) AND (users IS NULL OR u.user_id = ANY (users))
              UNION ALL
              SELECT q.called_at FROM cost_ledger_internal.quarantine q) c;
    RETURN (span + coalesce(tail, '{}')) * wanted;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.call_span(jsonb, timestamptz, timestamptz) IS
    'Times within a range outside of which no call passes a checked filter: those that the rollups have of the runs, sessions and users it names, and those of calls that are not in the rollups.';

CREATE FUNCTION cost_ledger_internal.find_calls(
    filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean, teams text[], customers text[]
) RETURNS SETOF cost_ledger_internal.found_call
    LANGUAGE c STABLE ROWS 100
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.find_calls(jsonb, timestamptz, timestamptz, boolean, text[], text[]) IS
    'cost_ledger.find_calls() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.find_calls_as_owner(
    filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean, teams text[], customers text[]
) RETURNS SETOF cost_ledger_internal.found_call
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    condition text;
    calls_from timestamptz;
    span tstzmultirange;
    part tstzrange;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    PERFORM cost_ledger_internal.check_range(range_start, range_end);
    condition := cost_ledger_internal.call_condition(filter);
    span := cost_ledger_internal.call_span(cost_ledger_internal.check_filter(filter, 'calls', cost_ledger_internal.call_labels()), range_start, range_end);
    SELECT s.calls_from INTO calls_from FROM cost_ledger_internal.rollup_state s;
    IF lower(span) < calls_from THEN
        RAISE NOTICE 'calls made before % were dropped by retention, and are not among these', calls_from;
    END IF;
    -- One part after the other: what its bounds leave is all that is planned, read
    -- and kept.
    FOR part IN SELECT p FROM unnest(span) AS p ORDER BY p LOOP
        RETURN QUERY EXECUTE format($query$
            SELECT c.called_at, c.call_id, c.corrects, c.run_id, c.parent_run_id, c.session_id, c.user_id, c.request_id, c.attempt,
                   c.team, c.feature, c.customer, c.task_type, c.agent, c.step, c.tool, c.provider, c.model, c.operation, c.status, c.duration_ms,
                   c.input_tokens, c.cache_read_tokens, c.output_tokens, c.cost, c.pricing, c.trace_url
            FROM cost_ledger_internal.seen_call c
            WHERE c.called_at >= $1 AND c.called_at %s $2 AND %s AND ($3 OR c.team = ANY ($4) OR c.customer = ANY ($5))
            ORDER BY c.called_at, c.call_id
            $query$, CASE WHEN upper_inc(part) THEN '<=' ELSE '<' END, condition)
            USING lower(part), upper(part), sees_all, teams, customers;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.find_calls_as_owner(jsonb, timestamptz, timestamptz, boolean, text[], text[]) IS
    'The body of find_calls().';

CREATE FUNCTION cost_ledger.find_calls(filter jsonb, range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity')
    RETURNS TABLE (
        called_at timestamptz, call_id bigint, corrects bigint, run_id text, parent_run_id text, session_id text, user_id text, request_id text, attempt integer,
        team text, feature text, customer text, task_type text, agent text, step text, tool text, provider text, model text, operation text, status text,
        duration_ms double precision, input_tokens bigint, cache_read_tokens bigint, output_tokens bigint, cost numeric, pricing text, trace_url text)
    LANGUAGE sql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT f.*
    FROM cost_ledger_internal.find_calls(find_calls.filter, find_calls.range_start, find_calls.range_end, cost_ledger_internal.sees_all(),
                                         cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) f;
END;

COMMENT ON FUNCTION cost_ledger.find_calls(jsonb, timestamptz, timestamptz) IS
    'The calls that pass a filter, with their corrections, of a range of time (end exclusive), in the order in which they were made: find_calls(''{"run_id": "…"}'') is the calls of a run. Of runs, sessions and users that the filter names, no more is read than the time in which they had calls; of anything else, all calls of the range. Calls that refresh() has not seen yet are there too, and only those that the role may see. Columns as in call; cost in the ledger''s currency. More of them: JOIN cost_ledger.call_detail USING (called_at, call_id). A notice where retention has dropped calls of that time.';

CREATE FUNCTION cost_ledger_internal.start_index(label text) RETURNS regclass[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF label IS NULL OR NOT EXISTS (SELECT FROM pg_attribute a
                                    WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attname = label AND a.attnum > 0 AND NOT a.attisdropped
                                      AND length(label) <= 40) THEN
        RAISE EXCEPTION 'call has no column "%"', label
            USING ERRCODE = 'undefined_column',
                  HINT = 'Name columns that calls are looked up by: {run_id,session_id,user_id,request_id}.';
    END IF;
    -- Made of those of the partitions, and complete when all of them are.
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON ONLY cost_ledger.call (%I, called_at) WHERE %2$I IS NOT NULL', 'call_by_' || label, label);
    RETURN ARRAY(SELECT p.relation FROM cost_ledger_internal.partitions() p ORDER BY p.is_default, p.range_start);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.start_index(text) IS
    'Begins an index of index_calls(), as yet without the partitions, and returns these.';

CREATE FUNCTION cost_ledger_internal.index_partition(label text, relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = warning
AS $$
DECLARE
    name text := (SELECT c.relname FROM pg_class c WHERE c.oid = index_partition.relation) || '_by_' || label;
BEGIN
    -- A partition made since has one already, of another name.
    IF NOT EXISTS (SELECT FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid
                   WHERE h.inhparent = ('cost_ledger.' || quote_ident('call_by_' || label))::regclass AND i.indrelid = index_partition.relation) THEN
        EXECUTE format('CREATE INDEX %I ON %s (%I, called_at) WHERE %3$I IS NOT NULL', name, relation, label);
        EXECUTE format('ALTER INDEX cost_ledger.%I ATTACH PARTITION cost_ledger_internal.%I', 'call_by_' || label, name);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.index_partition(text, regclass) IS
    'The part of an index of index_calls() that a partition has. Who writes to that partition waits meanwhile.';

-- Commits, and so resolves names by its caller's search_path.
CREATE PROCEDURE cost_ledger.index_calls(columns text[])
    LANGUAGE plpgsql
AS $$
DECLARE
    label pg_catalog.text;
    relation pg_catalog.regclass;
BEGIN
    CALL cost_ledger_internal.require_autocommit('index_calls');
    FOREACH label IN ARRAY columns LOOP
        FOREACH relation IN ARRAY cost_ledger_internal.start_index(label) LOOP
            COMMIT;
            PERFORM cost_ledger_internal.index_partition(label, relation);
        END LOOP;
        COMMIT;
    END LOOP;
END
$$;

COMMENT ON PROCEDURE cost_ledger.index_calls(text[]) IS
    'Indexes on columns of call, {run_id,session_id}, each as call_by_run_id with called_at: for who looks calls up by them in statements of his own; find_calls() does without. Partition by partition, so that writers wait for that of their month only; again, it makes what is missing. Each costs COPY 1.4 times what it took, and 90 bytes a call with an id of 32 characters (docs/performance.md): DROP INDEX cost_ledger.call_by_run_id takes one away. Only for the owner of the ledger, not inside a transaction block (25001).';
