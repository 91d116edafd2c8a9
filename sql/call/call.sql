-- Calls: how one gets into the ledger, stays as it is, and is corrected by
-- another.

CREATE FUNCTION cost_ledger_internal.price_call() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_price_call';

COMMENT ON FUNCTION cost_ledger_internal.price_call() IS
    'Trigger of call: checks a row, prices it at its own time and stamps it.';

CREATE FUNCTION cost_ledger_internal.refuse_change() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_refuse_change';

COMMENT ON FUNCTION cost_ledger_internal.refuse_change() IS
    'Trigger of append-only tables: refuses UPDATE, DELETE and TRUNCATE (23001).';

-- The server's log is all that outlives the transaction of a refused row, and
-- no place for a megabyte of usage.
CREATE FUNCTION cost_ledger_internal.event_conflict(
    refused jsonb, call_id bigint, called_at timestamptz, columns text[], OUT difference text, OUT payload text
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    recorded jsonb := (SELECT to_jsonb(c) FROM cost_ledger.call c
                       WHERE c.called_at = event_conflict.called_at AND c.call_id = event_conflict.call_id);
    sent jsonb := (SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(refused - 'call_id') e WHERE e.value <> 'null');
BEGIN
    payload := CASE WHEN length(sent::text) > 8000 THEN left(sent::text, 8000) || '…' ELSE sent::text END;
    IF recorded IS NULL THEN
        difference := 'That call was dropped by retention, or is not visible in this transaction.';
        RETURN;
    END IF;
    -- What was left out is no difference where the ledger has filled it.
    SELECT left(string_agg(format('%s was %s and is %s', d.name, coalesce(left(d.was::text, 200), 'left out'), coalesce(left(d.now::text, 200), 'left out')),
                           '; ' ORDER BY d.position), 4000) || '.'
        INTO difference
        FROM (SELECT c.name, c.position, nullif(recorded -> c.name, 'null') AS was, sent -> c.name AS now
              FROM unnest(columns) WITH ORDINALITY AS c (name, position)) d
        WHERE d.was IS DISTINCT FROM d.now
          -- An object without anything in it is none, but for usage as it was sent.
          AND (d.name = 'raw_usage' OR nullif(d.was, '{}') IS DISTINCT FROM nullif(d.now, '{}'))
          AND (d.now IS NOT NULL
               OR NOT CASE d.name
                          WHEN 'avoided_cost' THEN true
                          WHEN 'usage_status' THEN d.was ?| '{missing,unexplained,unrecognized}'
                          WHEN 'service_class' THEN d.was ? 'standard' OR recorded -> 'raw_usage' <> 'null'
                          ELSE recorded -> 'raw_usage' <> 'null' AND (right(d.name, 7) = '_tokens' OR d.name IN ('other_usage', 'region', 'reported_cost'))
                      END);
    difference := coalesce(difference, 'They differ in a word that the ledger fills in where it is left out.');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.event_conflict(jsonb, bigint, timestamptz, text[]) IS
    'What a refused row, as it was sent, has otherwise than the call that was recorded under its event key, in the columns of its payload: 4,000 characters at most; and the row itself, 8,000 at most.';

CREATE FUNCTION cost_ledger_internal.key_space() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'cl_key_space_name';

COMMENT ON FUNCTION cost_ledger_internal.key_space() IS
    'The space that event keys of the current role are in; empty for the shared one.';

-- What the words of a call mean, written down once.  Parsed already, and plain SQL,
-- so that the planner puts them where they are asked.
CREATE FUNCTION cost_ledger_internal.is_failure(status text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- The word that nearly every call has is known without the others.
    RETURN coalesce(status <> 'success' AND lower(status) <> ALL ('{success,ok,completed,succeeded}') AND lower(status) !~ '^2(\d\d|xx)$', false);

COMMENT ON FUNCTION cost_ledger_internal.is_failure(text) IS
    'Whether a call of this status has failed: it is known, and none of success, ok, completed, succeeded and 2xx (200 to 299), in any case.';

CREATE FUNCTION cost_ledger_internal.unpriced_calls(corrects bigint, pricing text, usage_status text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (corrects IS NULL AND pricing IN ('unpriced', 'partial'))::integer - coalesce(usage_status IN ('repriced', 'completed'), false)::integer;

COMMENT ON FUNCTION cost_ledger_internal.unpriced_calls(bigint, text, text) IS
    'What a row of call adds to the calls without a full price: 1 for one that was recorded so, -1 for a correction that gave it one since, otherwise 0.';

CREATE FUNCTION cost_ledger_internal.is_turn(operation text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(lower(operation) <> ALL ('{retry,fallback,eval,judge,embedding,embeddings,rerank,moderation,background,routing}'), true);

COMMENT ON FUNCTION cost_ledger_internal.is_turn(text) IS
    'Whether a call of this operation is a step of a conversation or loop: it is none of retry, fallback, eval, judge, embedding, embeddings, rerank, moderation, background and routing, in any case.';

CREATE FUNCTION cost_ledger_internal.call_facts() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT '{event_key,raw_usage,reported_cost,avoided_cost,score,cache_read_cost,cache_write_cost,output_cost,reasoning_cost,other_cost,hold_id,duration_ms,
             retry_count,tool_calls,tool_calls_count,input_parts,accepted}'::text[]
$$;

COMMENT ON FUNCTION cost_ledger_internal.call_facts() IS
    'Columns of call that tell of the call itself: a correction, which has its attribution and differences in usage and cost, leaves them empty.';

CREATE FUNCTION cost_ledger_internal.correction_of(
    called_at timestamptz, call_id bigint, usage jsonb, cost numeric, prompt_cache_saving numeric, OUT difference jsonb, OUT is_same boolean
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    -- What is recorded so far, the call and its earlier corrections, is taken
    -- from what should have been.
    WITH recorded AS (
        SELECT sum(c.cost) AS cost, coalesce(sum(c.prompt_cache_saving), 0) AS prompt_cache_saving,
               sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens,
               sum(c.cache_read_tokens) AS cache_read_tokens, sum(c.cache_write_tokens) AS cache_write_tokens,
               sum(c.cache_write_1h_tokens) AS cache_write_1h_tokens, sum(c.reasoning_tokens) AS reasoning_tokens
        FROM cost_ledger.call c
        WHERE c.called_at = correction_of.called_at AND (c.call_id = correction_of.call_id OR c.corrects = correction_of.call_id)
    ), meters AS (
        SELECT m.key AS meter, coalesce((correction_of.usage ->> m.key)::numeric, 0) - coalesce(m.value::numeric, 0) AS quantity
        FROM recorded r, jsonb_each_text(to_jsonb(r) - '{cost,prompt_cache_saving}'::text[]) m
    ), others AS (
        SELECT meter, sum(quantity) AS quantity
        FROM (SELECT o.key AS meter, -o.value::numeric AS quantity
              FROM cost_ledger.call c, jsonb_each_text(c.other_usage) o
              WHERE c.called_at = correction_of.called_at AND (c.call_id = correction_of.call_id OR c.corrects = correction_of.call_id)
              UNION ALL
              SELECT u.key, u.value::numeric
              FROM jsonb_each_text(correction_of.usage) u
              WHERE u.key NOT IN (SELECT meter FROM meters)) x
        GROUP BY meter
        -- "requests" counts for one unless it is said, so that a 0 says something.
        HAVING sum(quantity) <> 0 OR meter = 'requests'
    )
    SELECT jsonb_object_agg(m.meter, m.quantity)
               || jsonb_build_object(
                   'cost', trim_scale(correction_of.cost - coalesce(min(r.cost), 0)),
                   'prompt_cache_saving', nullif(trim_scale(coalesce(correction_of.prompt_cache_saving, 0) - min(r.prompt_cache_saving)), 0),
                   'other_usage', (SELECT jsonb_object_agg(o.meter, o.quantity) FROM others o)),
           bool_and(m.quantity = 0) AND NOT EXISTS (SELECT FROM others o WHERE o.quantity <> 0) AND correction_of.cost IS NOT DISTINCT FROM min(r.cost)
               AND coalesce(correction_of.prompt_cache_saving, 0) = min(r.prompt_cache_saving)
        INTO difference, is_same
        FROM meters m, recorded r;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.correction_of(timestamptz, bigint, jsonb, numeric, numeric) IS
    'What is missing from a call and its corrections so far to the usage, cost and saving by the prompt cache it should have: the differences, as columns of call; is_same where there is none.';

CREATE FUNCTION cost_ledger_internal.last_call_id(called_at timestamptz, call_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    next_id bigint;
BEGIN
    LOOP
        SELECT v.restatement_id INTO next_id
            FROM cost_ledger_internal.reversal v
            WHERE v.called_at = last_call_id.called_at AND v.call_id = last_call_id.call_id;
        EXIT WHEN next_id IS NULL;
        last_call_id.call_id := next_id;
    END LOOP;
    RETURN last_call_id.call_id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.last_call_id(timestamptz, bigint) IS
    'The last row that stood for a call: itself, or the one that reattribute() has put in its place, whether it was taken back since or not.';

CREATE FUNCTION cost_ledger_internal.standing_call_id(called_at timestamptz, call_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    standing_call_id.call_id := cost_ledger_internal.last_call_id(standing_call_id.called_at, standing_call_id.call_id);
    PERFORM FROM cost_ledger_internal.reversal v
        WHERE v.called_at = standing_call_id.called_at AND v.call_id = standing_call_id.call_id;
    RETURN CASE WHEN NOT FOUND THEN standing_call_id.call_id END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.standing_call_id(timestamptz, bigint) IS
    'The row that stands for a call now: itself, or the one that reattribute() has put in its place; NULL where it was taken back.';

CREATE FUNCTION cost_ledger_internal.known_call(event_key text, key_space text, OUT called_at timestamptz, OUT call_id bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    SELECT k.called_at, k.call_id INTO called_at, call_id
        FROM cost_ledger_internal.event_key k
        WHERE k.key_space = coalesce(known_call.key_space, '') AND k.event_key = known_call.event_key;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no call with event key "%"', known_call.event_key
            USING ERRCODE = 'no_data_found',
                  HINT = CASE WHEN known_call.event_key LIKE '{%' THEN 'A filter is told from an event key by its name or type: filters => ''{"team": "a"}''.'
                              ELSE 'Pass the event key that the call was recorded with, and the key_space of who sent it (cost_ledger.grants), or its called_at and call_id.' END;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.known_call(text, text) IS
    'The call that was recorded under an event key; an error (P0002) if there is none.';

CREATE FUNCTION cost_ledger_internal.find_call(called_at timestamptz, INOUT call_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    asked constant bigint := find_call.call_id;
BEGIN
    -- Corrections of a call stand beside it, at the same called_at.
    PERFORM FROM cost_ledger.call c
        WHERE c.called_at = find_call.called_at AND c.call_id = asked AND c.corrects IS NULL;
    IF NOT FOUND THEN
        PERFORM cost_ledger_internal.refuse_dropped(find_call.called_at);
        RAISE EXCEPTION 'there is no call % at %', asked, find_call.called_at
            USING ERRCODE = 'no_data_found',
                  HINT = 'Pass called_at and call_id of a call; a correction itself cannot be corrected.';
    END IF;
    find_call.call_id := cost_ledger_internal.standing_call_id(find_call.called_at, asked);
    IF find_call.call_id IS NULL THEN
        RAISE EXCEPTION 'call % at % was taken back', asked, find_call.called_at
            USING ERRCODE = 'no_data_found',
                  HINT = 'SELECT * FROM cost_ledger.restatement; says by whom and why. If it was a call after all, record it anew under another event key.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.find_call(timestamptz, bigint) IS
    'The row that stands for a call, which may be named as it was before it was moved; an error (P0002) if there is none.';

CREATE FUNCTION cost_ledger_internal.corrected_cost(
    called_at timestamptz, call_id bigint, usage jsonb, OUT cost numeric, OUT price_id bigint, OUT pricing text, OUT prompt_cache_saving numeric
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    original record;
BEGIN
    SELECT c.provider, c.model, c.service_class, c.region, c.customer, c.served_from, b.cost, b.pricing, b.prompt_cache_saving INTO original
        FROM cost_ledger.call c
        CROSS JOIN LATERAL (
            SELECT sum(r.cost) AS cost, sum(r.prompt_cache_saving) AS prompt_cache_saving, (array_agg(r.pricing ORDER BY r.call_id DESC))[1] AS pricing
            FROM cost_ledger.call r
            WHERE r.called_at = c.called_at AND (r.call_id = c.call_id OR r.corrects = c.call_id)) b
        WHERE c.called_at = corrected_cost.called_at AND c.call_id = corrected_cost.call_id;
    IF original.served_from = 'response_cache' THEN
        cost := 0;
        pricing := 'free';
        RETURN;
    END IF;
    -- A full price does not become less than that; a call that has none is
    -- counted right all the same, and priced as far as it can be.
    cost := cost_ledger.cost_at(corrected_cost.called_at, original.provider, original.model, usage, original.service_class, original.region,
                                strict => original.pricing NOT IN ('unpriced', 'partial'), customer => original.customer);
    SELECT p.price_id, p.pricing, p.prompt_cache_saving INTO price_id, pricing, prompt_cache_saving
        FROM cost_ledger_internal.pricing_at(corrected_cost.called_at, original.provider, original.model, usage,
                                             original.service_class, original.region, original.customer) p;
    -- A price that is gone lowers no cost.
    IF cost IS NULL AND original.cost IS NOT NULL THEN
        cost := original.cost;
        pricing := original.pricing;
        prompt_cache_saving := original.prompt_cache_saving;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.corrected_cost(timestamptz, bigint, jsonb) IS
    'What a call costs with another usage, by the price list as it is now for its time, with the price, how far it is priced and what the prompt cache saved; an error (LC001) where less would be known than is.';

CREATE FUNCTION cost_ledger_internal.correct_call(called_at timestamptz, call_id bigint, usage jsonb, reason text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
#variable_conflict use_column
DECLARE
    corrected_cost numeric;
    corrected_price bigint;
    corrected_pricing text;
    corrected_saving numeric;
    columns text;
    difference jsonb;
    is_same boolean;
    correction bigint;
BEGIN
    IF coalesce(correct_call.reason, '') = '' THEN
        RAISE EXCEPTION 'a correction needs a reason'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Say why the recorded usage was wrong.';
    END IF;
    -- Not what a call that consumed nothing would have: that is 0, said.
    IF coalesce(usage, '{}') = '{}' THEN
        RAISE EXCEPTION 'a correction needs the usage that the call should have had'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Write {"input_tokens": 5800, "output_tokens": 600}; {"input_tokens": 0, "output_tokens": 0} where nothing was consumed; a call that was none is taken back by cost_ledger.void_call().';
    END IF;
    -- An older snapshot would not see what another session has just booked.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'corrections are booked at READ COMMITTED only'
            USING ERRCODE = 'invalid_transaction_state',
                  HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED;';
    END IF;
    -- One at a time, and not while rerate() books: each takes what is recorded
    -- so far from what should be.
    PERFORM cost_ledger_internal.take_lock('corrections');
    correct_call.call_id := cost_ledger_internal.find_call(correct_call.called_at, correct_call.call_id);
    SELECT k.cost, k.price_id, k.pricing, k.prompt_cache_saving INTO corrected_cost, corrected_price, corrected_pricing, corrected_saving
        FROM cost_ledger_internal.corrected_cost(correct_call.called_at, correct_call.call_id, usage) k;
    SELECT d.difference, d.is_same INTO difference, is_same
        FROM cost_ledger_internal.correction_of(correct_call.called_at, correct_call.call_id, usage, corrected_cost, corrected_saving) d;
    IF is_same THEN
        RETURN NULL;
    END IF;

    -- Attribution is the call's own, in columns that users have added too; what
    -- is not a difference is left empty.  A tag of a client's that is called as
    -- the one by which rerate() marks its corrections does not mark this one.
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
        FROM pg_attribute a
        WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attgenerated = '' AND a.attname <> 'call_id';
    EXECUTE format('INSERT INTO cost_ledger.call (%1$s)
                    SELECT %1$s
                    FROM (SELECT (jsonb_populate_record(c, $3 || jsonb_build_object(''tags'', coalesce(c.tags, ''{}'') - ''rerate_batch'' || $4))).*
                          FROM cost_ledger.call c
                          WHERE c.called_at = $1 AND c.call_id = $2) AS corrected
                    RETURNING call_id', columns)
        INTO correction
        USING correct_call.called_at, correct_call.call_id,
              difference || (SELECT jsonb_object_agg(f, NULL::text) FROM unnest(cost_ledger_internal.call_facts()) AS f) || jsonb_build_object(
                  'corrects', correct_call.call_id, 'price_id', corrected_price, 'pricing', corrected_pricing,
                  'restates', NULL,
                  'usage_status', (SELECT CASE c.pricing WHEN 'partial' THEN 'completed' ELSE 'repriced' END FROM cost_ledger.call c
                                   WHERE c.called_at = correct_call.called_at AND c.call_id = correct_call.call_id
                                     AND c.pricing IN ('unpriced', 'partial') AND corrected_pricing IN ('priced', 'free')
                                     AND NOT EXISTS (SELECT FROM cost_ledger.call r
                                                     WHERE r.called_at = c.called_at AND r.corrects = c.call_id AND r.usage_status IN ('repriced', 'completed')))),
              jsonb_build_object('correction_reason', reason);
    RETURN correction;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.correct_call(timestamptz, bigint, jsonb, text) IS
    'cost_ledger.correct_call(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.correct_call(called_at timestamptz, call_id bigint, usage jsonb, reason text) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.correct_call(timestamptz, bigint, jsonb, text) IS
    'Corrects the usage of a recorded call: usage, in the ledger''s convention, is what it should have been. Books a new row with the differences in counts and cost, linked by corrects, with the reason in tags, and returns its call_id; NULL when nothing differs, so doing it twice books nothing. The cost is that of the price list as it is now for called_at. Where the list does not know a price for all of it, that is an error (LC001) for a call that has its full price; one that is unpriced or partial is counted right and priced as far as it can be. A call that was moved may be named as it was before. A call served from response_cache stays at 0. Only for the owner of the ledger and its admins, at READ COMMITTED (25000).';

CREATE FUNCTION cost_ledger_internal.correct_call(event_key text, usage jsonb, reason text, key_space text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known record;
BEGIN
    known := cost_ledger_internal.known_call(correct_call.event_key, correct_call.key_space);
    RETURN cost_ledger.correct_call(known.called_at, known.call_id, usage, reason);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.correct_call(text, jsonb, text, text) IS
    'cost_ledger.correct_call(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.correct_call(event_key text, usage jsonb, reason text, key_space text DEFAULT '') RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.correct_call(text, jsonb, text, text) IS
    'Corrects the usage of the call that was recorded under an event key, in the key_space of the role that sent it; see correct_call(timestamptz, bigint, jsonb, text).';

-- By the key to the call's primary key, and so to one partition.  Whose call it
-- is decides its sender's space, or what the caller may see of calls anyway.
CREATE FUNCTION cost_ledger_internal.recorded_call_as_owner(
    event_key text, key_space text, sees_all boolean, teams text[], customers text[], sees_returned boolean
) RETURNS TABLE (call_id bigint, called_at timestamptz, cost numeric, pricing text, is_dropped boolean, call jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
#variable_conflict use_column
DECLARE
    known record;
    recorded record;
    is_seen boolean;
BEGIN
    SELECT k.call_id, k.called_at INTO known
        FROM cost_ledger_internal.event_key k
        WHERE k.key_space = recorded_call_as_owner.key_space AND k.event_key = recorded_call_as_owner.event_key;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Where it was moved, as it is now; where it was taken back, as it came.
    known.call_id := coalesce(cost_ledger_internal.standing_call_id(known.called_at, known.call_id), known.call_id);
    SELECT c.* INTO recorded FROM cost_ledger.call c WHERE c.called_at = known.called_at AND c.call_id = known.call_id;
    is_seen := recorded_call_as_owner.sees_all OR coalesce(recorded.team = ANY (teams), false) OR coalesce(recorded.customer = ANY (customers), false);
    IF is_seen OR sees_returned THEN
        RETURN QUERY SELECT known.call_id, known.called_at, recorded.cost, recorded.pricing, recorded.call_id IS NULL,
                            CASE WHEN is_seen AND recorded.call_id IS NOT NULL
                                 THEN (SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(to_jsonb(recorded)) e WHERE e.value <> 'null') END;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.recorded_call_as_owner(text, text, boolean, text[], text[], boolean) IS
    'The body of recorded_call().';

CREATE FUNCTION cost_ledger_internal.recorded_call(
    event_key text, key_space text, sees_all boolean, teams text[], customers text[], sees_returned boolean
) RETURNS TABLE (call_id bigint, called_at timestamptz, cost numeric, pricing text, is_dropped boolean, call jsonb)
    LANGUAGE c STABLE ROWS 1
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.recorded_call(text, text, boolean, text[], text[], boolean) IS
    'cost_ledger.recorded_call() for who sees all, or only these teams and customers, or no more than INSERT … RETURNING gives back.';

CREATE FUNCTION cost_ledger.recorded_call(event_key text, key_space text DEFAULT NULL)
    RETURNS TABLE (call_id bigint, called_at timestamptz, cost numeric, pricing text, is_dropped boolean, call jsonb)
    LANGUAGE sql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.*
    FROM (SELECT cost_ledger_internal.key_space() AS own, coalesce(recorded_call.key_space, cost_ledger_internal.key_space()) AS space) k
    -- What was sent into a space of one's own is one's own.
    CROSS JOIN LATERAL cost_ledger_internal.recorded_call(
        recorded_call.event_key, k.space,
        CASE WHEN k.space = k.own AND k.own <> '' THEN true ELSE cost_ledger_internal.sees_all() END,
        CASE WHEN k.space = k.own AND k.own <> '' THEN '{}' ELSE cost_ledger_internal.seen_teams() END,
        CASE WHEN k.space = k.own AND k.own <> '' THEN '{}' ELSE cost_ledger_internal.seen_customers() END,
        k.space = k.own AND has_column_privilege('cost_ledger.call', 'call_id', 'SELECT') AND has_column_privilege('cost_ledger.call', 'called_at', 'SELECT')
            AND has_column_privilege('cost_ledger.call', 'cost', 'SELECT') AND has_column_privilege('cost_ledger.call', 'pricing', 'SELECT')) r;
END;

COMMENT ON FUNCTION cost_ledger.recorded_call(text, text) IS
    'The call that an event key has recorded, found by its key: one row, none where the key is new. key_space is that of the role that sent it, left out the caller''s own. call has every column of the call that is not NULL, by name; jsonb_populate_record(NULL::cost_ledger.call, call) makes a row of it again. A call that was moved is told as it is now. is_dropped: retention has dropped the call, and call_id and called_at are all that is left. Who has a key space of its own sees what was sent into it; who reads all calls, those of any space; a reader of a team or customer, its calls; a writer of the shared space, what INSERT … RETURNING gives it, without call. Nobody sees anything else: then there is no row.';
