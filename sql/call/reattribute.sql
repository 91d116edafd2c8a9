-- Calls that move to other labels, and calls that are taken back.
--
-- A call and its corrections are taken back by rows with the negatives, and stand
-- anew, row for row, with the labels they should have come with.  So what every
-- reader sees afterwards is what he would have seen of a ledger to which the call
-- had come so; and sums over call itself stay what they were.

CREATE FUNCTION cost_ledger_internal.movable_labels() RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Whose it is and what for.  Not what was called and what became of it; of that
    -- the cost is made.
    SELECT '{team,feature,flow,customer,task_type,environment,user_id,cohort,api_key,agent,step,session_id,run_id,parent_run_id,request_id,operation,tool,trace_url}'::text[]
           -- The view has the columns that the ledger was made with.
           || ARRAY(SELECT a.attname::text
                    FROM pg_attribute a
                    JOIN pg_type t ON t.oid = a.atttypid
                    WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND t.typcategory = 'S'
                      AND NOT EXISTS (SELECT FROM pg_attribute v
                                      WHERE v.attrelid = 'cost_ledger_internal.seen_call'::regclass AND v.attname = a.attname)
                    ORDER BY a.attnum)
$$;

COMMENT ON FUNCTION cost_ledger_internal.movable_labels() IS
    'Labels that reattribute() may change: those that say whose a call is and what for, and columns of text that users have added; tags besides, by name.';

CREATE FUNCTION cost_ledger_internal.typed_label(label text, INOUT value text, OUT problem text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sent constant text := value;
    type text;
BEGIN
    -- The ledger's own are text.
    SELECT format_type(a.atttypid, a.atttypmod) INTO type
        FROM pg_attribute a
        WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attname = label AND a.atttypid <> 'text'::regtype AND NOT a.attisdropped;
    IF FOUND AND sent IS NOT NULL THEN
        EXECUTE format('SELECT to_jsonb(%L::%s) #>> ''{}''', sent, type) INTO value;
        IF rtrim(value) <> rtrim(sent) THEN
            problem := format('"%s" is of type %s, which is too short', label, type);
        END IF;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.typed_label(text, text) IS
    'What a column of call says when it is given a value: one of character(5) adds blanks. A problem where it cannot hold it.';

CREATE FUNCTION cost_ledger_internal.check_labels(labels jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    label record;
    problem text;
    typed record;
    checked jsonb := '{}';
BEGIN
    IF jsonb_typeof(labels) IS DISTINCT FROM 'object' OR labels = '{}' THEN
        problem := 'they are no JSON object with a label in it';
    END IF;
    FOR label IN SELECT l.key, l.value FROM jsonb_each(CASE WHEN problem IS NULL THEN labels ELSE '{}' END) l LOOP
        problem := CASE
            WHEN jsonb_typeof(label.value) IN ('object', 'array') THEN format('"%s" is neither a text nor null', label.key)
            WHEN label.key LIKE 'tags._%' THEN NULL
            WHEN label.key <> ALL (cost_ledger_internal.movable_labels()) THEN format('"%s" is no label that a call can be given afterwards', label.key)
            WHEN label.key = 'trace_url' AND octet_length(label.value #>> '{}') > 8192 THEN '"trace_url" has more than 8 kB'
        END;
        EXIT WHEN problem IS NOT NULL;
        typed := cost_ledger_internal.typed_label(label.key, nullif(label.value #>> '{}', ''));
        problem := typed.problem;
        EXIT WHEN problem IS NOT NULL;
        -- As calls have them.
        checked := checked || jsonb_build_object(label.key, CASE
            WHEN label.key LIKE 'tags._%' THEN label.value
            WHEN label.key = 'trace_url' THEN to_jsonb(typed.value)
            ELSE to_jsonb(cost_ledger_internal.kept_label(label.key, typed.value)) END);
    END LOOP;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'the new labels cannot be given to calls: %', problem
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('Write {"team": "search", "feature": null}: a value, or null for none. Labels: %s, and tags by name: "tags.tier". A wrong model, class or usage is a matter of correct_call() or void_call().',
                                array_to_string(cost_ledger_internal.movable_labels(), ', '));
    END IF;
    RETURN checked;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_labels(jsonb) IS
    'Labels to give to calls, as the ledger keeps them, '''' as null; an error (22023) if they are none.';

CREATE FUNCTION cost_ledger_internal.said_label(label text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN label LIKE 'tags._%' THEN format('(c.tags -> %L)', substr(label, 6)) ELSE format('to_jsonb(c.%I)', label) END
$$;

COMMENT ON FUNCTION cost_ledger_internal.said_label(text) IS
    'The expression for what the row c of call says of a label, as jsonb; NULL where it says nothing.';

CREATE FUNCTION cost_ledger_internal.calls_to_move(
    range_start timestamptz, range_end timestamptz, filters jsonb, labels jsonb
) RETURNS TABLE (
        call_id bigint, called_at timestamptz, provider text, model text,
        old_labels jsonb, new_labels jsonb, old_cost numeric, new_cost numeric, corrections bigint, is_repriced boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_nestloop = off
    SET jit = off
AS $$
BEGIN
    -- A customer may have prices of its own: then the call costs what it would
    -- have cost with them.  Where it has none, what is booked moves as it is.
    RETURN QUERY EXECUTE format($query$
        SELECT b.call_id, b.called_at, b.provider, b.model, m.old_labels, m.new_labels, b.cost,
               CASE WHEN p.is_repriced THEN cost_ledger.cost_at(b.called_at, b.provider, b.model, b.usage, b.service_class, b.region, customer => $5)
                    ELSE b.cost END,
               b.corrections, p.is_repriced
        FROM cost_ledger_internal.booked_calls($1, $2, $3) b
        JOIN cost_ledger.call c ON c.called_at = b.called_at AND c.call_id = b.call_id AND c.called_at >= $1 AND c.called_at < $2
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(l.label, l.was) AS old_labels, jsonb_object_agg(l.label, l.becomes) AS new_labels
            FROM (VALUES %s) AS l (label, was, becomes)
            WHERE l.was IS DISTINCT FROM l.becomes) m
        CROSS JOIN LATERAL (
            SELECT CASE WHEN $4 AND b.served_from = 'model' AND m.new_labels ? 'customer'
                        THEN (SELECT ROW(w.cost, w.prompt_cache_saving)
                              FROM cost_ledger_internal.pricing_at(b.called_at, b.provider, b.model, b.usage, b.service_class, b.region, b.customer) w)
                             IS DISTINCT FROM
                             (SELECT ROW(w.cost, w.prompt_cache_saving)
                              FROM cost_ledger_internal.pricing_at(b.called_at, b.provider, b.model, b.usage, b.service_class, b.region, $5) w)
                        ELSE false END AS is_repriced OFFSET 0) p
        WHERE m.new_labels IS NOT NULL
        ORDER BY b.called_at, b.call_id
        $query$,
        (SELECT string_agg(format('(%L, %s, nullif(%L::jsonb, ''null''))', l.key, cost_ledger_internal.said_label(l.key), l.value), ', ')
         FROM jsonb_each(labels) l))
        USING range_start, range_end, filters, labels ? 'customer', labels ->> 'customer';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.calls_to_move(timestamptz, timestamptz, jsonb, jsonb) IS
    'The calls of a range of time that pass a filter and do not have these labels yet: which labels they have and would have, and what they cost and would cost, corrections included.';

CREATE FUNCTION cost_ledger_internal.restated_columns(labels jsonb, OUT names text, OUT reversed text, OUT restated text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    measures constant text[] := '{input_tokens,cache_read_tokens,cache_write_tokens,cache_write_1h_tokens,output_tokens,reasoning_tokens,tool_calls_count,retry_count,
                                  cost,cache_read_cost,cache_write_cost,output_cost,reasoning_cost,other_cost,prompt_cache_saving,reported_cost,avoided_cost}';
    priced constant text[] := '{cost,cache_read_cost,cache_write_cost,output_cost,reasoning_cost,other_cost,prompt_cache_saving,price_id,pricing}';
    tags text := 'c.tags';
    tag record;
BEGIN
    FOR tag IN SELECT substr(l.key, 6) AS name, l.value FROM jsonb_each(labels) l WHERE l.key LIKE 'tags._%' LOOP
        tags := CASE tag.value WHEN 'null' THEN format('(%s - %L)', tags, tag.name)
                ELSE format('(coalesce(%s, ''{}'') || %L::jsonb)', tags, jsonb_build_object(tag.name, tag.value)) END;
    END LOOP;
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
           string_agg(CASE
               WHEN a.attname = 'call_id' THEN 'v.reversal_id'
               WHEN a.attname = 'corrects' THEN 'coalesce(c.corrects, c.call_id)'
               WHEN a.attname = 'reverses' THEN 'c.call_id'
               WHEN a.attname = 'restates' THEN 'NULL'
               WHEN a.attname = 'other_usage' THEN '(SELECT jsonb_object_agg(o.key, -o.value::numeric) FROM jsonb_each_text(c.other_usage) o)'
               WHEN a.attname = 'tags' THEN 'coalesce(c.tags, ''{}'') || jsonb_build_object(''restatement_batch'', v.batch_id)'
               WHEN a.attname = ANY (measures) THEN '-c.' || a.attname
               WHEN a.attname = ANY (cost_ledger_internal.call_facts() || 'usage_status'::text) THEN 'NULL'
               ELSE 'c.' || quote_ident(a.attname) END, ', ' ORDER BY a.attnum),
           string_agg(CASE
               WHEN a.attname = 'call_id' THEN 'v.restatement_id'
               WHEN a.attname = 'corrects' THEN '(SELECT o.restatement_id FROM cost_ledger_internal.reversal o WHERE o.called_at = v.called_at AND o.call_id = c.corrects)'
               WHEN a.attname = 'restates' THEN 'coalesce(c.restates, c.call_id)'
               WHEN a.attname = 'tags' THEN CASE tags WHEN 'c.tags' THEN tags ELSE format('nullif(%s, ''{}'')', tags) END
               WHEN labels ? a.attname THEN quote_nullable(labels ->> a.attname)
               -- Without a cost it is priced on its way in.
               WHEN a.attname = ANY (priced) THEN format('CASE WHEN c.call_id <> ALL ($2) THEN c.%s END', a.attname)
               ELSE 'c.' || quote_ident(a.attname) END, ', ' ORDER BY a.attnum)
        INTO names, reversed, restated
        FROM pg_attribute a
        WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
          AND a.attname NOT IN ('recorded_at', 'recorded_xid');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.restated_columns(jsonb) IS
    'The columns of call, and for each the expression over its row c, with its row v of reversal, for the row that takes it back and for the one in its place, which has these labels. $2 are the calls that are priced anew.';

CREATE FUNCTION cost_ledger_internal.rows_of_calls(times timestamptz[], call_ids bigint[]) RETURNS TABLE (called_at timestamptz, of_call bigint, call_id bigint)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    -- Many calls may be of one time: never each of it with each.
    SET enable_nestloop = off
    SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT u.called_at, u.call_id, u.call_id FROM unnest(times, rows_of_calls.call_ids) AS u (called_at, call_id);
    RETURN QUERY
        SELECT c.called_at, c.corrects, c.call_id
        FROM unnest(times, rows_of_calls.call_ids) AS u (called_at, call_id)
        JOIN cost_ledger.call c ON c.called_at = u.called_at AND c.corrects = u.call_id
        WHERE c.reverses IS NULL
          AND c.called_at >= (SELECT min(t) FROM unnest(times) t) AND c.called_at <= (SELECT max(t) FROM unnest(times) t);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.rows_of_calls(timestamptz[], bigint[]) IS
    'The rows of calls: each itself, and its corrections.';

CREATE FUNCTION cost_ledger_internal.begin_restating(reason text, what text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF coalesce(begin_restating.reason, '') = '' THEN
        RAISE EXCEPTION '% needs a reason', what
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Say why: reason => ''sent by the wrong service''.';
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION '% is booked at READ COMMITTED only', what
            USING ERRCODE = 'invalid_transaction_state',
                  HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED; a dry run can be made at any level.';
    END IF;
    PERFORM cost_ledger_internal.take_lock('corrections');
    -- Whether a row is in the rollups must not change from here on.
    IF (cost_ledger_internal.lock_rollups()).is_foreign THEN
        PERFORM cost_ledger_internal.refuse_foreign();
    END IF;
    -- Calls of this transaction may have holds that are settled at its end.  Each
    -- partition has the constraint for itself, in its own schema.
    SET CONSTRAINTS cost_ledger.settle_calls, cost_ledger_internal.settle_calls IMMEDIATE;
    SET CONSTRAINTS cost_ledger.settle_calls, cost_ledger_internal.settle_calls DEFERRED;
    RETURN nextval(pg_get_serial_sequence('cost_ledger.restatement_batch', 'batch_id'));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.begin_restating(text, text) IS
    'Checks the reason, takes the locks for moving calls or taking them back, and gives the number of the batch.';

CREATE FUNCTION cost_ledger_internal.restate(called_at timestamptz[], call_ids bigint[], batch bigint, labels jsonb, repriced bigint[] DEFAULT '{}') RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    columns record;
    first_called_at constant timestamptz := (SELECT min(t) FROM unnest(restate.called_at) t);
    last_called_at constant timestamptz := (SELECT max(t) FROM unnest(restate.called_at) t);
BEGIN
    IF first_called_at < (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s) THEN
        RAISE EXCEPTION 'calls of % cannot be moved or taken back: others of their time were dropped by retention', first_called_at
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'What is in the rollups of that time stays as it is; book a difference as a call of today, with what it is for in tags.';
    END IF;
    PERFORM FROM cost_ledger_internal.vanished_month v WHERE v.range_start <= last_called_at AND v.range_end > first_called_at;
    IF FOUND THEN
        RAISE EXCEPTION 'calls cannot be moved or taken back while others of their month have vanished'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'SELECT * FROM cost_ledger.ledger_problem; says which month, and what to do.';
    END IF;
    -- Each row of a call: itself, then its corrections as they came.
    INSERT INTO cost_ledger_internal.reversal (called_at, call_id, reversal_id, restatement_id, batch_id)
        SELECT r.called_at, r.call_id, nextval('cost_ledger.call_call_id_seq'),
               CASE WHEN restate.labels IS NOT NULL AND r.is_restated THEN nextval('cost_ledger.call_call_id_seq') END, restate.batch
        FROM (SELECT s.called_at, s.call_id, s.call_id = s.of_call OR s.of_call <> ALL (restate.repriced) AS is_restated
              FROM cost_ledger_internal.rows_of_calls(restate.called_at, restate.call_ids) s
              ORDER BY s.called_at, s.of_call, s.call_id) r;
    PERFORM FROM cost_ledger_internal.quarantine q JOIN cost_ledger_internal.reversal v ON v.called_at = q.called_at AND v.call_id = q.call_id WHERE v.batch_id = restate.batch;
    IF FOUND THEN
        RAISE EXCEPTION 'a call in quarantine cannot be moved or taken back'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'SELECT cost_ledger.release_quarantine(); brings in what can be; the others are in no report.';
    END IF;
    columns := cost_ledger_internal.restated_columns(coalesce(restate.labels, '{}'));
    EXECUTE format('INSERT INTO cost_ledger.call (%s) SELECT %s FROM cost_ledger_internal.reversal v
                    JOIN cost_ledger.call c ON c.called_at = v.called_at AND c.call_id = v.call_id
                    WHERE v.batch_id = $1 ORDER BY v.reversal_id', columns.names, columns.reversed)
        USING restate.batch;
    EXECUTE format('INSERT INTO cost_ledger.call (%s) SELECT %s FROM cost_ledger_internal.reversal v
                    JOIN cost_ledger.call c ON c.called_at = v.called_at AND c.call_id = v.call_id
                    WHERE v.batch_id = $1 AND v.restatement_id IS NOT NULL ORDER BY v.restatement_id', columns.names, columns.restated)
        USING restate.batch, restate.repriced;

    -- Holds before balances, as everywhere.
    PERFORM FROM cost_ledger_internal.hold h
        WHERE h.hold_id IN (SELECT c.hold_id FROM cost_ledger_internal.reversal v
                            JOIN cost_ledger.call c ON c.called_at = v.called_at AND c.call_id = v.call_id WHERE v.batch_id = restate.batch)
        ORDER BY h.hold_id FOR UPDATE;
    PERFORM cost_ledger_internal.apply_reversals();
    -- The row in its place settles the hold, at once as the other did.
    UPDATE cost_ledger_internal.hold h SET call_id = v.restatement_id
        FROM cost_ledger_internal.reversal v
        JOIN cost_ledger.call c ON c.called_at = v.called_at AND c.call_id = v.call_id
        WHERE v.batch_id = restate.batch AND v.restatement_id IS NOT NULL AND h.hold_id = c.hold_id AND h.call_id = c.call_id;
    IF restate.labels IS NOT NULL THEN
        PERFORM cost_ledger_internal.post_balances(format('c.hold_id IS NOT NULL AND c.corrects IS NULL AND (c.called_at, c.call_id) IN
            (SELECT v.called_at, v.restatement_id FROM cost_ledger_internal.reversal v WHERE v.batch_id = %s) AND c.called_at BETWEEN %L AND %L',
            restate.batch, first_called_at, last_called_at));
    END IF;
    -- Who asks next would plan as if there were nothing in it.
    IF cardinality(restate.call_ids) > 1000 THEN
        ANALYZE cost_ledger_internal.reversal;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.restate(timestamptz[], bigint[], bigint, jsonb, bigint[]) IS
    'Takes calls back, with their corrections, and, where there are labels, puts rows with these in their place. Of calls that are priced anew, corrections are left out. The caller has begun with begin_restating().';

CREATE FUNCTION cost_ledger_internal.reattribute(
    filters jsonb, labels jsonb, reason text, range_start timestamptz, range_end timestamptz, dry_run boolean
) RETURNS TABLE (
        call_id bigint, called_at timestamptz, provider text, model text, old_labels jsonb, new_labels jsonb,
        old_cost numeric, new_cost numeric, change numeric, batch_id bigint, restatement_id bigint)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    batch bigint;
    new_labels jsonb := cost_ledger_internal.check_labels(reattribute.labels);
    moved jsonb;
    chosen record;
    corrected record;
BEGIN
    -- What a client could not name would be every call.
    IF coalesce(reattribute.filters, 'null') = 'null' THEN
        RAISE EXCEPTION 'no filter says which calls move'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Pass one, e.g. {"team": "search"}; {} is all calls of the range.';
    END IF;
    reattribute.dry_run := coalesce(reattribute.dry_run, true);
    PERFORM FROM cost_ledger_internal.booked_calls(reattribute.range_start, reattribute.range_end, reattribute.filters || '{"call_id": []}');
    PERFORM cost_ledger_internal.call_condition(reattribute.filters);
    PERFORM cost_ledger_internal.refuse_dropped(reattribute.range_start, reattribute.range_end, reattribute.filters);
    IF reattribute.dry_run THEN
        RETURN QUERY
            SELECT m.call_id, m.called_at, m.provider, m.model, m.old_labels, m.new_labels, m.old_cost, m.new_cost, trim_scale(m.new_cost - m.old_cost), NULL::bigint, NULL::bigint
            FROM cost_ledger_internal.calls_to_move(reattribute.range_start, reattribute.range_end, reattribute.filters, new_labels) m;
        RETURN;
    END IF;
    batch := cost_ledger_internal.begin_restating(reattribute.reason, 'a reattribution');
    SELECT count(*) AS calls, sum(m.old_cost) AS cost, array_agg(m.called_at) AS called_at, array_agg(m.call_id) AS call_ids,
           array_agg(m.old_labels) AS old_labels, array_agg(m.new_labels) AS new_labels,
           array_agg(m.provider) AS providers, array_agg(m.model) AS models, array_agg(m.old_cost) AS old_costs, array_agg(m.new_cost) AS new_costs,
           coalesce(array_agg(m.call_id) FILTER (WHERE m.is_repriced), '{}') AS repriced
        INTO chosen
        FROM cost_ledger_internal.calls_to_move(reattribute.range_start, reattribute.range_end, reattribute.filters, new_labels) m;
    IF chosen.calls = 0 THEN
        RETURN;
    END IF;
    INSERT INTO cost_ledger.restatement_batch (batch_id, starts_at, ends_at, filters, labels, reason, calls, cost)
        VALUES (batch, reattribute.range_start, reattribute.range_end, reattribute.filters, new_labels, reattribute.reason, chosen.calls, chosen.cost);
    -- What was corrected is corrected again, at the new customer's prices.
    FOR corrected IN
        SELECT b.called_at, b.call_id, b.usage
        FROM unnest(chosen.called_at, chosen.call_ids) AS u (called_at, call_id)
        CROSS JOIN LATERAL cost_ledger_internal.booked_calls(u.called_at, u.called_at + interval '1 microsecond', jsonb_build_object('call_id', u.call_id)) b
        WHERE u.call_id = ANY (chosen.repriced) AND b.corrections > 0
    LOOP
        moved := coalesce(moved, '[]') || jsonb_build_object('called_at', corrected.called_at, 'call_id', corrected.call_id, 'usage', corrected.usage);
    END LOOP;
    PERFORM cost_ledger_internal.restate(chosen.called_at, chosen.call_ids, batch, new_labels, chosen.repriced);
    PERFORM cost_ledger_internal.correct_call((m ->> 'called_at')::timestamptz, (m ->> 'call_id')::bigint, m -> 'usage', reattribute.reason)
        FROM jsonb_array_elements(moved) m;
    RETURN QUERY
        SELECT u.call_id, u.called_at, u.provider, u.model, u.old_labels, u.new_labels, u.old_cost, u.new_cost, trim_scale(u.new_cost - u.old_cost), batch, v.restatement_id
        FROM unnest(chosen.call_ids, chosen.called_at, chosen.providers, chosen.models, chosen.old_labels, chosen.new_labels, chosen.old_costs, chosen.new_costs)
            AS u (call_id, called_at, provider, model, old_labels, new_labels, old_cost, new_cost)
        JOIN cost_ledger_internal.reversal v ON v.called_at = u.called_at AND v.call_id = u.call_id
        ORDER BY u.called_at, u.call_id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.reattribute(jsonb, jsonb, text, timestamptz, timestamptz, boolean) IS
    'cost_ledger.reattribute(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.reattribute(
    filters jsonb, labels jsonb, reason text DEFAULT NULL,
    range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity', dry_run boolean DEFAULT true
) RETURNS TABLE (
        call_id bigint, called_at timestamptz, provider text, model text, old_labels jsonb, new_labels jsonb,
        old_cost numeric, new_cost numeric, change numeric, batch_id bigint, restatement_id bigint)
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.reattribute(jsonb, jsonb, text, timestamptz, timestamptz, boolean) IS
    'Moves calls to another team, feature, customer, user, run or other label: those of a range of time (end exclusive) that pass a filter, {"team": "search", "run_id": ["r1", "r2"]}, and do not have the labels yet, {"team": "ranking", "feature": null}, one row each. It is a dry run; dry_run => false books it, with a reason, as one batch (restatement_batch): for each row of a call, its corrections too, a row that takes it back and a row in its place. Afterwards every report says what it would say had the calls come with these labels, at once and of all time; doing it again finds nothing. What is booked moves as it is; a customer with prices of its own pays those (change). Where retention has dropped calls of the range, it is refused (22023). Only for the owner of the ledger and its admins, at READ COMMITTED (25000), one at a time; refresh() waits meanwhile, writers do not.';

CREATE FUNCTION cost_ledger_internal.reattribute(
    event_key text, labels jsonb, reason text, key_space text, dry_run boolean
) RETURNS TABLE (
        call_id bigint, called_at timestamptz, provider text, model text, old_labels jsonb, new_labels jsonb,
        old_cost numeric, new_cost numeric, change numeric, batch_id bigint, restatement_id bigint)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
#variable_conflict use_column
DECLARE
    known record;
BEGIN
    PERFORM cost_ledger_internal.check_labels(reattribute.labels);
    -- Another session may be moving it: then it is looked for where it is afterwards.
    IF NOT coalesce(reattribute.dry_run, true) AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM cost_ledger_internal.take_lock('corrections');
    END IF;
    known := cost_ledger_internal.known_call(reattribute.event_key, reattribute.key_space);
    known.call_id := cost_ledger_internal.find_call(known.called_at, known.call_id);
    RETURN QUERY
        SELECT r.* FROM cost_ledger_internal.reattribute(jsonb_build_object('call_id', known.call_id), reattribute.labels, reattribute.reason,
                                                         known.called_at, known.called_at + interval '1 microsecond', reattribute.dry_run) r;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.reattribute(text, jsonb, text, text, boolean) IS
    'cost_ledger.reattribute(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.reattribute(
    event_key text, labels jsonb, reason text DEFAULT NULL, key_space text DEFAULT '', dry_run boolean DEFAULT true
) RETURNS TABLE (
        call_id bigint, called_at timestamptz, provider text, model text, old_labels jsonb, new_labels jsonb,
        old_cost numeric, new_cost numeric, change numeric, batch_id bigint, restatement_id bigint)
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.reattribute(text, jsonb, text, text, boolean) IS
    'Moves the call that was recorded under an event key, in the key_space of the role that sent it, to other labels; see reattribute(jsonb, jsonb, text, timestamptz, timestamptz, boolean).';

CREATE FUNCTION cost_ledger_internal.void_call(called_at timestamptz, call_id bigint, reason text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
#variable_conflict use_column
DECLARE
    batch bigint := cost_ledger_internal.begin_restating(void_call.reason, 'a call that is taken back');
    booked record;
    reversal bigint;
BEGIN
    void_call.call_id := cost_ledger_internal.last_call_id(void_call.called_at, void_call.call_id);
    PERFORM FROM cost_ledger_internal.reversal v WHERE v.called_at = void_call.called_at AND v.call_id = void_call.call_id;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    void_call.call_id := cost_ledger_internal.find_call(void_call.called_at, void_call.call_id);
    SELECT b.cost INTO booked
        FROM cost_ledger_internal.booked_calls(void_call.called_at, void_call.called_at + interval '1 microsecond', jsonb_build_object('call_id', void_call.call_id)) b;
    INSERT INTO cost_ledger.restatement_batch (batch_id, starts_at, ends_at, filters, reason, calls, cost)
        VALUES (batch, void_call.called_at, void_call.called_at + interval '1 microsecond', jsonb_build_object('call_id', void_call.call_id), void_call.reason, 1, booked.cost);
    PERFORM cost_ledger_internal.restate(ARRAY[void_call.called_at], ARRAY[void_call.call_id], batch, NULL);
    SELECT v.reversal_id INTO reversal
        FROM cost_ledger_internal.reversal v
        WHERE v.called_at = void_call.called_at AND v.call_id = void_call.call_id;
    RETURN reversal;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.void_call(timestamptz, bigint, text) IS
    'cost_ledger.void_call(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.void_call(called_at timestamptz, call_id bigint, reason text) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.void_call(timestamptz, bigint, text) IS
    'Takes a call back that was none, a duplicate: with its corrections it is in no report and no budget any more, as if it had never come. Books a row that takes it back, with who did it and why in restatement_batch, and returns its call_id; NULL where it was taken back before. Its event key stays used. Where retention has dropped calls of its time, it is refused. Only for the owner of the ledger and its admins, at READ COMMITTED (25000).';

CREATE FUNCTION cost_ledger_internal.void_call(event_key text, reason text, key_space text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known record;
BEGIN
    known := cost_ledger_internal.known_call(void_call.event_key, void_call.key_space);
    RETURN cost_ledger_internal.void_call(known.called_at, known.call_id, reason);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.void_call(text, text, text) IS
    'cost_ledger.void_call(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.void_call(event_key text, reason text, key_space text DEFAULT '') RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.void_call(text, text, text) IS
    'Takes back the call that was recorded under an event key, in the key_space of the role that sent it; see void_call(timestamptz, bigint, text).';
