-- What a recorded call costs, and why: what made the cost when it was recorded, and
-- everything that was booked for it since.
--
-- As with spend_rate(), the body has the owner's rights and is told what the caller
-- may see; a call that he may not see is none.

CREATE FUNCTION cost_ledger_internal.explain_recorded(called_at timestamptz, call_id bigint) RETURNS TABLE (
        meter text, quantity numeric, unit_price numeric, per bigint, multiplier numeric, amount numeric, currency text,
        price_id bigint, valid_from timestamptz, valid_to timestamptz, rule text)
    LANGUAGE plpgsql STABLE ROWS 5
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    recorded record;
BEGIN
    SELECT c.*,
           jsonb_strip_nulls(jsonb_build_object(
               'input_tokens', c.input_tokens, 'cache_read_tokens', c.cache_read_tokens, 'cache_write_tokens', c.cache_write_tokens,
               'cache_write_1h_tokens', c.cache_write_1h_tokens, 'output_tokens', c.output_tokens, 'reasoning_tokens', c.reasoning_tokens))
               || coalesce(c.other_usage, '{}') AS usage
        INTO recorded
        FROM cost_ledger.call c
        WHERE c.called_at = explain_recorded.called_at AND c.call_id = explain_recorded.call_id;
    IF recorded.served_from = 'response_cache' THEN
        RETURN QUERY SELECT NULL::text, NULL::numeric, NULL::numeric, NULL::bigint, NULL::numeric, recorded.cost, NULL::text,
                            NULL::bigint, NULL::timestamptz, NULL::timestamptz, 'served from response_cache, at no cost';
        RETURN;
    END IF;
    PERFORM FROM cost_ledger_internal.pricing_at(recorded.called_at, recorded.provider, recorded.model, recorded.usage,
                                                 recorded.service_class, recorded.region, recorded.customer) p
        WHERE p.cost IS NOT DISTINCT FROM recorded.cost AND p.prompt_cache_saving IS NOT DISTINCT FROM recorded.prompt_cache_saving;
    IF FOUND THEN
        RETURN QUERY
            SELECT e.meter, e.quantity, e.unit_price, e.per, e.multiplier, e.amount, e.currency, e.price_id, e.valid_from, e.valid_to, e.rule
            FROM cost_ledger.explain_cost(recorded.called_at, recorded.provider, recorded.model, recorded.usage,
                                          recorded.service_class, recorded.region, recorded.customer) e;
        RETURN;
    END IF;
    IF recorded.cost IS NULL THEN
        RETURN QUERY SELECT NULL::text, NULL::numeric, NULL::numeric, NULL::bigint, NULL::numeric, NULL::numeric, NULL::text,
                            NULL::bigint, NULL::timestamptz, NULL::timestamptz,
                            CASE WHEN recorded.usage_status IN ('missing', 'unrecognized') THEN 'recorded without a cost: usage is ' || recorded.usage_status
                                 ELSE 'recorded without a cost: no price was in force; there is one now, which rerate() books' END;
        RETURN;
    END IF;
    -- The list has changed since: what is kept of how it was priced.
    RETURN QUERY
        SELECT p.meter, p.quantity::numeric, l.unit_price, l.per, NULL::numeric, p.amount, v.currency, recorded.price_id, v.valid_from, v.valid_to,
               format('as recorded, by price version %s: the price list says something else now', coalesce(recorded.price_id::text, '?'))
        FROM (VALUES ('input_tokens', recorded.input_tokens - coalesce(recorded.cache_read_tokens, 0) - coalesce(recorded.cache_write_tokens, 0)
                                          - coalesce(recorded.cache_write_1h_tokens, 0),
                      recorded.cost - coalesce(recorded.cache_read_cost, 0) - coalesce(recorded.cache_write_cost, 0)
                          - coalesce(recorded.output_cost, 0) - coalesce(recorded.reasoning_cost, 0) - coalesce(recorded.other_cost, 0)),
                     ('cache_read_tokens', recorded.cache_read_tokens, recorded.cache_read_cost),
                     ('cache_write_tokens', coalesce(recorded.cache_write_tokens, 0) + coalesce(recorded.cache_write_1h_tokens, 0), recorded.cache_write_cost),
                     -- Reasoning without a part of its own is in the output.
                     ('output_tokens', recorded.output_tokens - CASE WHEN recorded.reasoning_cost IS NULL THEN 0 ELSE coalesce(recorded.reasoning_tokens, 0) END,
                      recorded.output_cost),
                     ('reasoning_tokens', CASE WHEN recorded.reasoning_cost IS NOT NULL THEN recorded.reasoning_tokens END, recorded.reasoning_cost),
                     ('other', NULL, recorded.other_cost)) AS p (meter, quantity, amount)
        LEFT JOIN cost_ledger_internal.price v ON v.price_id = recorded.price_id
        -- Where the version had one rate for it, and no other.
        LEFT JOIN LATERAL (
            SELECT min(r.unit_price) AS unit_price, min(r.per) AS per
            FROM cost_ledger_internal.price_line r
            WHERE r.price_id = recorded.price_id AND r.meter = p.meter
            HAVING count(*) = 1) l ON true
        WHERE p.amount <> 0 OR p.quantity <> 0;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.explain_recorded(timestamptz, bigint) IS
    'How the cost of one row of call came about when it was recorded: as explain_cost() says while that comes to the same; else by its parts, with the price version that made it.';

CREATE FUNCTION cost_ledger_internal.explain_call(call_id bigint, event_key text, key_space text, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (entry text, entry_id bigint, recorded_at timestamptz, meter text, quantity numeric, unit_price numeric, per bigint, multiplier numeric, amount numeric,
                   prompt_cache_saving numeric, currency text, price_id bigint, valid_from timestamptz, valid_to timestamptz, rule text)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.explain_call(bigint, text, text, boolean, text[], text[]) IS
    'cost_ledger.explain_call() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.explain_call_as_owner(call_id bigint, event_key text, key_space text, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (entry text, entry_id bigint, recorded_at timestamptz, meter text, quantity numeric, unit_price numeric, per bigint, multiplier numeric, amount numeric,
                   prompt_cache_saving numeric, currency text, price_id bigint, valid_from timestamptz, valid_to timestamptz, rule text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    asked record;
    shown record;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF explain_call_as_owner.event_key IS NOT NULL THEN
        SELECT k.called_at, k.call_id INTO asked
            FROM cost_ledger_internal.event_key k
            WHERE k.key_space = coalesce(explain_call_as_owner.key_space, '') AND k.event_key = explain_call_as_owner.event_key;
    ELSE
        -- Of a row that is booked about a call, the call.
        SELECT c.called_at, coalesce(c.corrects, c.call_id) AS call_id INTO asked
            FROM cost_ledger.call c WHERE c.call_id = explain_call_as_owner.call_id;
    END IF;
    -- One that was taken back is shown as it was.
    SELECT c.called_at, c.call_id, c.team, c.customer, c.restates, v.reversal_id, v.batch_id INTO shown
        FROM cost_ledger.call c
        LEFT JOIN cost_ledger_internal.reversal v ON v.called_at = c.called_at AND v.call_id = c.call_id
        WHERE c.called_at = asked.called_at AND c.call_id = cost_ledger_internal.last_call_id(asked.called_at, asked.call_id);
    IF shown.call_id IS NULL OR NOT coalesce(sees_all OR shown.team = ANY (teams) OR shown.customer = ANY (customers), false) THEN
        RAISE EXCEPTION 'there is no such call'
            USING ERRCODE = 'no_data_found',
                  HINT = 'Pass the call_id of a call, as call_detail has it, or the event key that it was recorded with, and its key_space; months that retention has dropped have none.';
    END IF;
    RETURN QUERY
        SELECT 'recorded', c.call_id, o.recorded_at, e.meter, e.quantity, e.unit_price, e.per, e.multiplier, e.amount,
               -- Of the call, not of a meter.
               CASE WHEN e.n = 1 THEN c.prompt_cache_saving END,
               e.currency, e.price_id, e.valid_from, e.valid_to, e.rule
        FROM cost_ledger.call c
        -- A row that was moved came when the first of it did.
        JOIN cost_ledger.call o ON o.called_at = c.called_at AND o.call_id = coalesce(c.restates, c.call_id)
        CROSS JOIN LATERAL cost_ledger_internal.explain_recorded(c.called_at, c.call_id) WITH ORDINALITY AS
            e (meter, quantity, unit_price, per, multiplier, amount, currency, price_id, valid_from, valid_to, rule, n)
        WHERE c.called_at = shown.called_at AND c.call_id = shown.call_id;
    RETURN QUERY
        SELECT o.entry, o.call_id, o.recorded_at, NULL::text, NULL::numeric, NULL::numeric, NULL::bigint, NULL::numeric, o.amount,
               o.prompt_cache_saving, NULL::text, o.price_id,
               NULL::timestamptz, NULL::timestamptz, o.rule
        FROM (
            SELECT CASE WHEN c.tags ? 'rerate_batch' THEN 'rerated' ELSE 'corrected' END AS entry, c.call_id, f.recorded_at, c.cost AS amount, c.prompt_cache_saving, c.price_id,
                   coalesce((SELECT b.reason FROM cost_ledger.rerate_batch b WHERE b.batch_id::text = c.tags ->> 'rerate_batch'), c.tags ->> 'correction_reason') AS rule
            FROM cost_ledger.call c
            JOIN cost_ledger.call f ON f.called_at = c.called_at AND f.call_id = coalesce(c.restates, c.call_id)
            WHERE c.called_at = shown.called_at AND c.corrects = shown.call_id AND c.reverses IS NULL
            UNION ALL
            -- Where it was before is not told to who sees only where it is.
            SELECT 'moved', v.restatement_id, b.created_at, NULL, NULL, NULL,
                   CASE WHEN sees_all THEN format('to %s, by %s: %s', b.labels, b.created_by, b.reason) END
            FROM cost_ledger_internal.reversal v
            JOIN cost_ledger.call c ON c.called_at = v.called_at AND c.call_id = v.call_id
            LEFT JOIN cost_ledger.restatement_batch b ON b.batch_id = v.batch_id
            WHERE v.called_at = shown.called_at AND v.restatement_id IS NOT NULL AND coalesce(c.restates, c.call_id) = shown.restates
            UNION ALL
            SELECT 'taken back', shown.reversal_id, b.created_at,
                   -t.cost, -t.prompt_cache_saving, NULL, format('by %s: %s', b.created_by, b.reason)
            FROM (SELECT sum(c.cost) AS cost, sum(c.prompt_cache_saving) AS prompt_cache_saving
                  FROM cost_ledger.call c
                  WHERE c.called_at = shown.called_at AND (c.call_id = shown.call_id OR c.corrects = shown.call_id) AND c.reverses IS NULL) t
            LEFT JOIN cost_ledger.restatement_batch b ON b.batch_id = shown.batch_id
            WHERE shown.reversal_id IS NOT NULL) o
        ORDER BY o.recorded_at, o.call_id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.explain_call_as_owner(bigint, text, text, boolean, text[], text[]) IS
    'The body of explain_call().';

CREATE FUNCTION cost_ledger.explain_call(call_id bigint)
    RETURNS TABLE (entry text, entry_id bigint, recorded_at timestamptz, meter text, quantity numeric, unit_price numeric, per bigint, multiplier numeric, amount numeric,
                   prompt_cache_saving numeric, currency text, price_id bigint, valid_from timestamptz, valid_to timestamptz, rule text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT e.*
    FROM cost_ledger_internal.explain_call(explain_call.call_id, NULL, NULL, cost_ledger_internal.sees_all(),
                                           cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) e;
END;

COMMENT ON FUNCTION cost_ledger.explain_call(bigint) IS
    'What a recorded call costs, and why. entry_id is the row of call. Rows with entry "recorded" are what made the cost when it came, a row per meter, as explain_cost() has them; where the price list says something else now, by parts (input, cache, output, reasoning at a rate of its own, other), with the price version that made it. Then, a row each, what was booked since: corrected and rerated, with the difference and the reason, moved, taken back. The sum of amount is what the call costs now, in the ledger''s currency; NULL amounts are of what has no rate. prompt_cache_saving is what the prompt cache saved (see call), of the call as it came in the first row, and of what was booked since the difference: its sum is what it saved as the call stands now. For who may see the call; of others there is none (P0002).';

CREATE FUNCTION cost_ledger.explain_call(event_key text, key_space text DEFAULT NULL)
    RETURNS TABLE (entry text, entry_id bigint, recorded_at timestamptz, meter text, quantity numeric, unit_price numeric, per bigint, multiplier numeric, amount numeric,
                   prompt_cache_saving numeric, currency text, price_id bigint, valid_from timestamptz, valid_to timestamptz, rule text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT e.*
    FROM cost_ledger_internal.explain_call(NULL, coalesce(explain_call.event_key, ''), coalesce(explain_call.key_space, cost_ledger_internal.key_space()), cost_ledger_internal.sees_all(),
                                           cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) e;
END;

COMMENT ON FUNCTION cost_ledger.explain_call(text, text) IS
    'What the call that was recorded under an event key costs, and why, in the key_space of the role that sent it, left out the caller''s own; see explain_call(bigint).';
