-- Re-rating and what-if: the same traffic at other prices.
--
-- Both start from what is booked for a call: the row itself and every row that
-- corrects it, summed.  Usage is looked at as it is known now, and cost as the
-- reports add it up, so that an adjustment brings exactly the difference.

CREATE FUNCTION cost_ledger_internal.booked_calls(
    range_start timestamptz, range_end timestamptz, filters jsonb DEFAULT '{}', marks jsonb DEFAULT '[]'
) RETURNS TABLE (
        called_at timestamptz, call_id bigint, provider text, model text, region text, service_class text, customer text,
        team text, feature text, served_from text, usage jsonb, cost numeric, prompt_cache_saving numeric, price_id bigint, pricing text,
        corrections bigint, mark integer)
    LANGUAGE plpgsql STABLE ROWS 10000
    SET search_path = pg_catalog, pg_temp
    -- Corrections that have just been booked have no statistics yet, and few
    -- rows times few rows is what the planner would take them for.
    SET enable_nestloop = off
    SET jit = off
AS $$
DECLARE
    conditions text[];
BEGIN
    PERFORM cost_ledger_internal.ledger();
    PERFORM cost_ledger_internal.check_range(range_start, range_end);
    IF jsonb_typeof(marks) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'marks are not a JSON array of filters'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write [{"model": "claude-opus-4"}, {"operation": "eval"}].';
    END IF;

    -- The first condition is that of filters; the others tell the mark.
    conditions := ARRAY[cost_ledger_internal.call_condition(filters)]
                  || ARRAY(SELECT cost_ledger_internal.call_condition(m.value) FROM jsonb_array_elements(marks) WITH ORDINALITY AS m (value, n) ORDER BY m.n);

    -- Corrections stand at the called_at of their call, so the range holds
    -- them too.
    RETURN QUERY EXECUTE format($query$
        SELECT c.called_at, c.call_id, c.provider, c.model, c.region, c.service_class, c.customer,
               c.team, c.feature, c.served_from,
               -- A call of which nothing is known but that it failed has no usage.
               nullif(jsonb_strip_nulls(jsonb_build_object(
                   'input_tokens', coalesce(c.input_tokens + coalesce(k.input_tokens, 0), k.input_tokens),
                   'cache_read_tokens', coalesce(c.cache_read_tokens + coalesce(k.cache_read_tokens, 0), k.cache_read_tokens),
                   'cache_write_tokens', coalesce(c.cache_write_tokens + coalesce(k.cache_write_tokens, 0), k.cache_write_tokens),
                   'cache_write_1h_tokens', coalesce(c.cache_write_1h_tokens + coalesce(k.cache_write_1h_tokens, 0), k.cache_write_1h_tokens),
                   'output_tokens', coalesce(c.output_tokens + coalesce(k.output_tokens, 0), k.output_tokens),
                   'reasoning_tokens', coalesce(c.reasoning_tokens + coalesce(k.reasoning_tokens, 0), k.reasoning_tokens)))
                   || coalesce(CASE WHEN k.has_other_usage THEN (
                          SELECT jsonb_object_agg(m.meter, m.quantity)
                          FROM (SELECT o.key AS meter, sum(o.value::numeric) AS quantity
                                FROM cost_ledger.call r, jsonb_each_text(r.other_usage) o
                                WHERE r.called_at = c.called_at AND (r.call_id = c.call_id OR r.corrects = c.call_id) AND r.reverses IS NULL
                                GROUP BY o.key
                                HAVING sum(o.value::numeric) <> 0 OR o.key = 'requests') m)
                      ELSE c.other_usage END, '{}'), CASE WHEN cost_ledger_internal.is_failure(c.status) THEN '{}'::jsonb END),
               coalesce(c.cost + coalesce(k.cost, 0), k.cost),
               coalesce(c.prompt_cache_saving + coalesce(k.prompt_cache_saving, 0), k.prompt_cache_saving),
               coalesce(k.price_id, c.price_id), coalesce(k.pricing, c.pricing),
               coalesce(k.corrections, 0),
               %2$s
        FROM cost_ledger.call c
        LEFT JOIN (
            SELECT x.called_at, x.corrects, count(*) AS corrections, sum(x.cost) AS cost, sum(x.prompt_cache_saving) AS prompt_cache_saving,
                   -- the last one says how it stands now
                   (array_agg(x.price_id ORDER BY x.call_id DESC))[1] AS price_id,
                   (array_agg(x.pricing ORDER BY x.call_id DESC))[1] AS pricing,
                   sum(x.input_tokens) AS input_tokens, sum(x.cache_read_tokens) AS cache_read_tokens,
                   sum(x.cache_write_tokens) AS cache_write_tokens, sum(x.cache_write_1h_tokens) AS cache_write_1h_tokens,
                   sum(x.output_tokens) AS output_tokens, sum(x.reasoning_tokens) AS reasoning_tokens,
                   bool_or(x.other_usage IS NOT NULL) AS has_other_usage
            FROM cost_ledger.call x
            WHERE x.corrects IS NOT NULL AND x.reverses IS NULL AND x.called_at >= $1 AND x.called_at < $2 AND x.call_id <> ALL ($3)
            GROUP BY x.called_at, x.corrects) k ON k.called_at = c.called_at AND k.corrects = c.call_id
        WHERE c.corrects IS NULL AND c.called_at >= $1 AND c.called_at < $2 AND c.call_id <> ALL ($3)%3$s AND %1$s
        $query$,
        conditions[1],
        coalesce('CASE ' || (SELECT string_agg(format('WHEN %s THEN %s', m.condition, m.n), ' ' ORDER BY m.n)
                             FROM unnest(conditions[2:]) WITH ORDINALITY AS m (condition, n)) || ' END',
                 'NULL::integer'),
        -- Corrections of a call stand and fall with it.
        cost_ledger_internal.standing())
        USING range_start, range_end, coalesce(cost_ledger_internal.quarantined_ids(range_start, range_end), '{}');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.booked_calls(timestamptz, timestamptz, jsonb, jsonb) IS
    'What is booked for each call of a range of time (end exclusive), its corrections and adjustments included: usage as it is known now, in the ledger''s convention (NULL of a failed call of which nothing was counted); cost and prompt_cache_saving, the sums of all its rows (NULL while nothing has a price); price_id and pricing of the last of them. filters is a filter of calls (call_condition()); marks is a list of such filters; mark is the number of the first that holds.';

CREATE FUNCTION cost_ledger_internal.billed_meters(
    range_start timestamptz, range_end timestamptz, filters jsonb, currency text
) RETURNS TABLE (model text, meter text, quantity numeric, amount numeric, is_unpriced boolean)
    LANGUAGE plpgsql STABLE ROWS 10
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    billed_meters.filters := coalesce(nullif(billed_meters.filters, 'null'), '{}');
    billed_meters.currency := nullif(billed_meters.currency, (cost_ledger_internal.ledger()).currency);
    IF billed_meters.currency !~ '^[A-Z]{3}$' THEN
        RAISE EXCEPTION 'currency "%" is no ISO 4217 code', left(billed_meters.currency, 100)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write EUR, or leave it out for the currency of the ledger.';
    END IF;
    -- Checks the arguments, and finds nothing.
    PERFORM FROM cost_ledger_internal.booked_calls(billed_meters.range_start, billed_meters.range_end, billed_meters.filters || '{"call_id": []}');
    PERFORM cost_ledger_internal.call_condition(billed_meters.filters);
    PERFORM cost_ledger_internal.refuse_dropped(billed_meters.range_start, billed_meters.range_end, billed_meters.filters);
    RETURN QUERY
        WITH billed AS (
            SELECT b.model, e.meter, e.quantity,
                   -- As it came, unless another currency is asked for: a quotient
                   -- has more digits.
                   CASE WHEN billed_meters.currency IS NULL THEN e.amount ELSE e.amount / r.rate END AS amount,
                   CASE WHEN coalesce(e.n, 1) = 1 THEN CASE WHEN billed_meters.currency IS NULL THEN b.cost ELSE b.cost / r.rate END END AS cost
            FROM cost_ledger_internal.booked_calls(billed_meters.range_start, billed_meters.range_end, billed_meters.filters) b
            LEFT JOIN LATERAL (
                -- A part without a rate of its own is billed with what it is
                -- priced as; explain_cost() says so in its rule.
                SELECT coalesce(substring(x.rule FROM '^no rate of its own: priced as ([a-z0-9_]+)'), x.meter) AS meter,
                       x.quantity, x.amount, x.n
                FROM cost_ledger.explain_cost(b.called_at, b.provider, b.model, b.usage, b.service_class, b.region, b.customer) WITH ORDINALITY AS
                     x (meter, quantity, unit_price, per, multiplier, amount, currency, price_id, valid_from, valid_to, rule, n)) e ON true
            LEFT JOIN LATERAL (
                SELECT x.rate
                FROM cost_ledger.exchange_rate x
                WHERE x.currency = billed_meters.currency AND x.valid_from <= b.called_at
                ORDER BY x.valid_from DESC
                LIMIT 1) r ON billed_meters.currency IS NOT NULL
            WHERE b.served_from = 'model'
        ), added AS (
            SELECT b.model, b.meter, GROUPING(b.meter) = 1 AS is_rest, sum(b.quantity) AS quantity, sum(b.amount) AS amount,
                   bool_or(b.amount IS NULL AND b.quantity <> 0) AS is_unpriced,
                   coalesce(sum(b.cost), 0) - coalesce(sum(b.amount), 0) AS rest
            FROM billed b
            GROUP BY GROUPING SETS ((b.model, b.meter), (b.model))
        )
        SELECT a.model, CASE WHEN a.is_rest THEN '(not rerated)' ELSE a.meter END,
               CASE WHEN NOT a.is_rest THEN a.quantity END,
               CASE WHEN a.is_rest THEN a.rest ELSE a.amount END,
               NOT a.is_rest AND a.is_unpriced
        FROM added a
        WHERE CASE WHEN NOT a.is_rest THEN a.meter IS NOT NULL
                   -- Quotients differ in their last digit.
                   WHEN billed_meters.currency IS NOT NULL THEN round(a.rest, 9) <> 0
                   ELSE a.rest <> 0 END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.billed_meters(timestamptz, timestamptz, jsonb, text) IS
    'cost_ledger.billed_meters(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.billed_meters(
    range_start timestamptz, range_end timestamptz, filters jsonb DEFAULT '{}', currency text DEFAULT NULL
) RETURNS TABLE (model text, meter text, quantity numeric, amount numeric, is_unpriced boolean)
    LANGUAGE c STABLE ROWS 10
    AS 'MODULE_PATHNAME', 'cl_as_owner_for_reader';

COMMENT ON FUNCTION cost_ledger.billed_meters(timestamptz, timestamptz, jsonb, text) IS
    'What the calls of a range of time (end exclusive) are billed for: quantity and amount per model as sent and meter, by the price list as it is now, corrections included, in the ledger''s currency, or in another: each amount / the exchange rate in force at its call''s time, which for prices in that currency is what they say. Quantities are disjoint: parts with a rate of their own are taken out of their total, others are in it. is_unpriced: some of the quantity has no rate, or no exchange rate, and amount lacks it. Where calls are booked at other prices than the list now has, the meter "(not rerated)" is the difference, so that the amounts of a model add up to its cost; rerate() brings it to 0. filters is a filter of calls: {"provider": "openai", "model": "gpt-5*", "team": ["search", "chat"], "environment": {"not": "ci"}, "customer": null, "tags": {"tier": "gold"}}. Calls served from response_cache are left out. A range in which retention has dropped calls is refused (22023), unless filters name calls.';

CREATE FUNCTION cost_ledger_internal.rerate_query(batch bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shown CONSTANT text := 'x.call_id, x.called_at, x.provider, x.model, x.cost, x.new_cost, x.difference, x.price_id, x.new_price_id, x.pricing, x.new_pricing';
    columns text;
    expressions text;
    changes text;
BEGIN
    changes := $query$
        WITH changes AS MATERIALIZED (
            SELECT b.*,
                   -- A price that is gone is no lower price: where less is known
                   -- than before, the cost stays what it was.
                   CASE WHEN b.new_pricing IN ('priced', 'free') OR b.new_pricing = 'partial' AND b.pricing IN ('unpriced', 'partial')
                        THEN trim_scale(b.new_cost - coalesce(b.cost, 0)) END AS difference,
                   nullif(trim_scale(coalesce(b.new_prompt_cache_saving, 0) - coalesce(b.prompt_cache_saving, 0)), 0) AS saving_difference
            -- OFFSET 0: priced once, not once for each mention.
            FROM (SELECT k.*, p.cost AS new_cost, p.pricing AS new_pricing, p.price_id AS new_price_id, p.prompt_cache_saving AS new_prompt_cache_saving
                  FROM cost_ledger_internal.booked_calls($1, $2, $3) k
                  CROSS JOIN LATERAL cost_ledger_internal.pricing_at(k.called_at, k.provider, k.model, k.usage, k.service_class, k.region, k.customer) p
                  WHERE k.served_from = 'model'
                  OFFSET 0) b
            WHERE b.new_cost IS DISTINCT FROM b.cost
               OR b.pricing IN ('unpriced', 'partial') AND b.pricing <> b.new_pricing
               OR coalesce(b.new_prompt_cache_saving, 0) <> coalesce(b.prompt_cache_saving, 0)
        )$query$;
    IF batch IS NULL THEN
        RETURN changes || format($query$
        SELECT %s, NULL FROM changes x ORDER BY x.called_at, x.call_id$query$, shown);
    END IF;
    -- An adjustment has the call's attribution, columns that users have
    -- added included; what is not a difference in cost is left empty.
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
           string_agg(CASE
               WHEN a.attname = 'corrects' THEN 'c.call_id'
               WHEN a.attname = 'cost' THEN 'x.difference'
               WHEN a.attname = 'prompt_cache_saving' THEN 'x.saving_difference'
               WHEN a.attname = 'price_id' THEN 'x.new_price_id'
               WHEN a.attname = 'pricing' THEN 'x.new_pricing'
               WHEN a.attname = 'usage_status' THEN 'CASE WHEN x.pricing IN (''unpriced'', ''partial'') AND x.new_pricing IN (''priced'', ''free'') THEN CASE x.pricing WHEN ''partial'' THEN ''completed'' ELSE ''repriced'' END END'
               WHEN a.attname = 'tags' THEN format('coalesce(c.tags, ''{}'') || ''{"rerate_batch": %s}''', batch)
               ELSE 'c.' || quote_ident(a.attname)
           END, ', ' ORDER BY a.attnum)
        INTO columns, expressions
        FROM pg_attribute a
        WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
          AND a.attname <> ALL (cost_ledger_internal.call_facts()
                                || '{call_id,reverses,restates,recorded_at,recorded_xid,input_tokens,cache_read_tokens,cache_write_tokens,cache_write_1h_tokens,output_tokens,reasoning_tokens,other_usage}'::text[]);
    RETURN changes || format($query$, adjustments AS (
        INSERT INTO cost_ledger.call (%s)
        SELECT %s
        FROM changes x
        JOIN cost_ledger.call c ON c.called_at = x.called_at AND c.call_id = x.call_id
        WHERE x.difference IS NOT NULL AND c.called_at >= $1 AND c.called_at < $2
        ORDER BY x.called_at, x.call_id
        RETURNING call_id, corrects, called_at
    )
    SELECT %s, a.call_id
    FROM changes x
    LEFT JOIN adjustments a ON a.corrects = x.call_id AND a.called_at = x.called_at
    ORDER BY x.called_at, x.call_id$query$, columns, expressions, shown);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.rerate_query(bigint) IS
    'The statement that finds the calls from $1 to $2 whose cost is another now, of those that the filters $3 let through, and shows what rerate() does; with a batch, it books the differences.';

CREATE FUNCTION cost_ledger_internal.rerate(
    range_start timestamptz, range_end timestamptz, filters jsonb, dry_run boolean, reason text
) RETURNS TABLE (
        call_id bigint, called_at timestamptz, provider text, model text,
        old_cost numeric, new_cost numeric, change numeric,
        old_price_id bigint, new_price_id bigint, old_pricing text, new_pricing text,
        batch_id bigint, adjustment_id bigint)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    -- Many short queries, each of which would be compiled anew.
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    batch bigint;
    first_call timestamptz;
    last_call timestamptz;
    chunk_start timestamptz;
    chunk_end timestamptz;
    found_calls bigint := 0;
    booked_calls bigint := 0;
    booked_amount numeric := 0;
    last_report timestamptz := clock_timestamp();
    query text;
BEGIN
    rerate.dry_run := coalesce(rerate.dry_run, true);
    rerate.filters := coalesce(nullif(rerate.filters, 'null'), '{}');
    -- Checks the arguments, and finds nothing.
    PERFORM FROM cost_ledger_internal.booked_calls(rerate.range_start, rerate.range_end, rerate.filters || '{"call_id": []}');
    PERFORM cost_ledger_internal.call_condition(rerate.filters);
    PERFORM cost_ledger_internal.refuse_dropped(rerate.range_start, rerate.range_end, rerate.filters);
    IF NOT rerate.dry_run THEN
        IF coalesce(rerate.reason, '') = '' THEN
            RAISE EXCEPTION 'a re-rating needs a reason'
                USING ERRCODE = 'null_value_not_allowed',
                      HINT = 'Say why the prices have changed: reason => ''invoice of March shows another rate''.';
        ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
            -- Its snapshot may be older than what another re-rating has booked.
            RAISE EXCEPTION 'a re-rating is not booked in a transaction at isolation level %', current_setting('transaction_isolation')
                USING ERRCODE = 'invalid_transaction_state',
                      HINT = 'Book it in a transaction at READ COMMITTED; a dry run can be made at any level.';
        END IF;
        -- One at a time: what the one before has booked is seen from here on.
        PERFORM cost_ledger_internal.take_lock('corrections');
        batch := nextval(pg_get_serial_sequence('cost_ledger.rerate_batch', 'batch_id'));
    END IF;

    query := cost_ledger_internal.rerate_query(batch);

    -- Day by day: memory is that of a day, and progress can be told.
    SELECT min(c.called_at), max(c.called_at) INTO first_call, last_call
        FROM cost_ledger.call c
        WHERE c.called_at >= rerate.range_start AND c.called_at < rerate.range_end;
    chunk_start := first_call;
    WHILE chunk_start <= last_call LOOP
        chunk_end := least(chunk_start + interval '24 hours', rerate.range_end);
        FOR rerate.call_id, rerate.called_at, rerate.provider, rerate.model, rerate.old_cost, rerate.new_cost, rerate.change,
            rerate.old_price_id, rerate.new_price_id, rerate.old_pricing, rerate.new_pricing, rerate.adjustment_id
        IN EXECUTE query USING chunk_start, chunk_end, rerate.filters LOOP
            found_calls := found_calls + 1;
            IF rerate.adjustment_id IS NOT NULL THEN
                rerate.batch_id := batch;
                booked_calls := booked_calls + 1;
                booked_amount := booked_amount + rerate.change;
            ELSE
                rerate.batch_id := NULL;
            END IF;
            RETURN NEXT;
        END LOOP;
        chunk_start := chunk_end;
        IF clock_timestamp() > last_report + interval '5 seconds' THEN
            RAISE INFO 're-rating: % calls differ among those before % (the last is of %)', found_calls, chunk_start, last_call;
            last_report := clock_timestamp();
        END IF;
    END LOOP;

    IF booked_calls > 0 THEN
        INSERT INTO cost_ledger.rerate_batch (batch_id, starts_at, ends_at, filters, reason, calls, amount)
            VALUES (batch, rerate.range_start, rerate.range_end, rerate.filters, rerate.reason, booked_calls, booked_amount);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.rerate(timestamptz, timestamptz, jsonb, boolean, text) IS
    'cost_ledger.rerate(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.rerate(
    range_start timestamptz, range_end timestamptz, filters jsonb DEFAULT '{}', dry_run boolean DEFAULT true, reason text DEFAULT NULL
) RETURNS TABLE (
        call_id bigint, called_at timestamptz, provider text, model text,
        old_cost numeric, new_cost numeric, change numeric,
        old_price_id bigint, new_price_id bigint, old_pricing text, new_pricing text,
        batch_id bigint, adjustment_id bigint)
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.rerate(timestamptz, timestamptz, jsonb, boolean, text) IS
    'Calls of a range of time (end exclusive) whose cost, or what the prompt cache saved of it, by the price list as it is now is not what is booked for them, corrections included: one row each, change = new_cost - old_cost in the ledger''s currency, exact. dry_run => false books each change as a row of call that corrects it (cost and prompt_cache_saving, usage does not change), at its time and with its attribution, all in one batch with a reason; again, it finds nothing. Calls that were unpriced or partial get their price this way. A call whose price is gone keeps its cost: it is listed with change NULL and nothing is booked. Calls served from response_cache cost nothing and are not looked at. filters is a filter of calls: {"provider": "openai", "model": "gpt-5*", "team": ["search", "chat"], "environment": {"not": "ci"}, "customer": null, "tags": {"tier": "gold"}}. Only for the owner of the ledger and its admins; booking in a transaction at READ COMMITTED (25000), one at a time; an interrupted one books nothing.';

CREATE FUNCTION cost_ledger_internal.what_if_rules(
    mapping jsonb, OUT marks jsonb, OUT providers text[], OUT models text[], OUT classes text[], OUT regions text[], OUT customers text[]
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rule jsonb;
BEGIN
    marks := '[]';
    IF jsonb_typeof(coalesce(mapping, '[]')) <> 'array' THEN
        RAISE EXCEPTION 'the mapping is not a JSON array of rules'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write [{"from": {"model": "claude-opus-4"}, "to": {"model": "claude-sonnet-4-5"}}].';
    END IF;
    FOR rule IN SELECT m.value FROM jsonb_array_elements(coalesce(mapping, '[]')) AS m LOOP
        IF jsonb_typeof(rule) <> 'object' OR rule - '{from,to}'::text[] <> '{}'
           OR jsonb_typeof(rule -> 'to') IS DISTINCT FROM 'object' OR rule -> 'to' = '{}'
           OR (rule -> 'to') - '{provider,model,service_class,region,customer}'::text[] <> '{}'
           OR jsonb_path_exists(rule, '$.to.* ? (@.type() != "string")') THEN
            RAISE EXCEPTION 'a rule of the mapping is not "from" some calls "to" a model, class or region'
                USING ERRCODE = 'invalid_parameter_value',
                      DETAIL = format('The rule is %s.', left(rule::text, 200)),
                      HINT = 'Write {"from": {"operation": "eval"}, "to": {"service_class": "batch"}}; "to" has texts as provider, model, service_class, region, customer.';
        END IF;
        marks := marks || jsonb_build_array(coalesce(rule -> 'from', '{}'));
        providers := providers || (rule #>> '{to,provider}');
        models := models || (rule #>> '{to,model}');
        classes := classes || (rule #>> '{to,service_class}');
        regions := regions || (rule #>> '{to,region}');
        customers := customers || (rule #>> '{to,customer}');
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.what_if_rules(jsonb) IS
    'The rules of a mapping of what_if(), in order: the filters that say whose they are, and what each puts in the place of what was (NULL: nothing).';

CREATE FUNCTION cost_ledger_internal.what_if(
    range_start timestamptz, range_end timestamptz, mapping jsonb, cache_hit_ratio numeric,
    filters jsonb, priced_at timestamptz
) RETURNS TABLE (
        team text, feature text, is_allocated boolean, calls bigint, real_cost numeric, what_if_cost numeric, difference numeric, ratio numeric, unpriced_calls bigint)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    marks jsonb;
    providers text[];
    models text[];
    classes text[];
    regions text[];
    customers text[];
    first_call timestamptz;
    last_call timestamptz;
BEGIN
    SELECT r.* INTO marks, providers, models, classes, regions, customers FROM cost_ledger_internal.what_if_rules(what_if.mapping) r;
    IF NOT coalesce(what_if.cache_hit_ratio BETWEEN 0 AND 1, true) THEN
        RAISE EXCEPTION 'cache-hit ratio % is not a share from 0 to 1', what_if.cache_hit_ratio
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = '0.85 means that 85 percent of all input tokens are read from the cache; NULL leaves them as they were.';
    END IF;
    IF NOT coalesce(isfinite(what_if.priced_at), true) THEN
        RAISE EXCEPTION 'time of the prices must be finite'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'Leave priced_at out for the prices of each call''s own time.';
    END IF;
    what_if.filters := coalesce(nullif(what_if.filters, 'null'), '{}');
    PERFORM FROM cost_ledger_internal.booked_calls(what_if.range_start, what_if.range_end, what_if.filters || '{"call_id": []}', marks);
    PERFORM cost_ledger_internal.call_condition(what_if.filters);
    PERFORM cost_ledger_internal.refuse_dropped(what_if.range_start, what_if.range_end, what_if.filters);

    -- A call in quarantine may be of any time, and no day is infinitely far away.
    SELECT min(c.called_at), max(c.called_at) INTO first_call, last_call
        FROM cost_ledger.call c
        WHERE c.called_at >= greatest(what_if.range_start, '1970-01-01Z') AND c.called_at < least(what_if.range_end, '2200-01-01Z');
    RETURN QUERY
        SELECT coalesce(t.team, '(unallocated)'), coalesce(t.feature, '(unallocated)'), t.team IS NOT NULL AND t.feature IS NOT NULL,
               t.calls, t.real_cost, t.what_if_cost, t.what_if_cost - t.real_cost,
               round(t.what_if_cost / nullif(t.real_cost, 0), 6), t.unpriced_calls
        FROM (
            SELECT k.team, k.feature, count(*) AS calls,
                   -- Like with like: both sums are of the calls that have both.
                   sum(k.cost) FILTER (WHERE k.is_known) AS real_cost,
                   sum(k.what_if_cost) FILTER (WHERE k.is_known) AS what_if_cost,
                   count(*) FILTER (WHERE NOT k.is_known) AS unpriced_calls
            FROM (
                SELECT b.team, b.feature, b.cost,
                       CASE WHEN n.is_other THEN e.cost ELSE b.cost END AS what_if_cost,
                       b.cost IS NOT NULL AND b.pricing IN ('priced', 'free') AND (NOT n.is_other OR e.pricing IN ('priced', 'free')) AS is_known
                -- Day by day, which is what is kept in memory.
                FROM generate_series(first_call, last_call, interval '24 hours') AS d (day_start)
                CROSS JOIN LATERAL cost_ledger_internal.booked_calls(d.day_start, least(d.day_start + interval '24 hours', what_if.range_end),
                                                            what_if.filters, marks) b
                CROSS JOIN LATERAL (
                    SELECT b.served_from = 'model'
                               AND (b.mark IS NOT NULL OR what_if.cache_hit_ratio IS NOT NULL OR what_if.priced_at IS NOT NULL) AS is_other,
                           coalesce((b.usage ->> 'input_tokens')::bigint, 0) AS input,
                           coalesce((b.usage ->> 'cache_write_tokens')::bigint, 0) AS write,
                           coalesce((b.usage ->> 'cache_write_1h_tokens')::bigint, 0) AS write_1h,
                           coalesce((b.usage ->> 'input_audio_tokens')::bigint, 0) + coalesce((b.usage ->> 'input_image_tokens')::bigint, 0)
                               + coalesce((b.usage ->> 'input_video_tokens')::bigint, 0) AS other_modality) n
                CROSS JOIN LATERAL (
                    -- Writes stay as far as the reads leave room, counted so
                    -- that the parts fit whatever the input is made of.
                    SELECT CASE WHEN what_if.cache_hit_ratio IS NULL OR n.input = 0 THEN b.usage
                                ELSE b.usage - '{cache_read_audio_tokens,cache_read_image_tokens,cache_read_video_tokens,cache_write_audio_tokens}'::text[]
                                     || jsonb_build_object(
                                         'cache_read_tokens', r.read,
                                         'cache_write_tokens', least(n.write, r.room),
                                         'cache_write_1h_tokens', least(n.write_1h, r.room - least(n.write, r.room)))
                           END AS usage
                    FROM (SELECT round(n.input * what_if.cache_hit_ratio) AS read,
                                 n.input - greatest(round(n.input * what_if.cache_hit_ratio), n.other_modality) AS room) r) u
                LEFT JOIN LATERAL cost_ledger_internal.pricing_at(
                        coalesce(what_if.priced_at, b.called_at), coalesce(providers[b.mark], b.provider), coalesce(models[b.mark], b.model),
                        u.usage, coalesce(classes[b.mark], b.service_class), coalesce(regions[b.mark], b.region),
                        coalesce(customers[b.mark], b.customer)) e ON n.is_other) k
            GROUP BY k.team, k.feature) t
        ORDER BY t.team, t.feature;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.what_if(timestamptz, timestamptz, jsonb, numeric, jsonb, timestamptz) IS
    'cost_ledger.what_if(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.what_if(
    range_start timestamptz, range_end timestamptz, mapping jsonb DEFAULT '[]', cache_hit_ratio numeric DEFAULT NULL,
    filters jsonb DEFAULT '{}', priced_at timestamptz DEFAULT NULL
) RETURNS TABLE (
        team text, feature text, is_allocated boolean, calls bigint, real_cost numeric, what_if_cost numeric, difference numeric, ratio numeric, unpriced_calls bigint)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner_for_reader';

COMMENT ON FUNCTION cost_ledger.what_if(timestamptz, timestamptz, jsonb, numeric, jsonb, timestamptz) IS
    'What the calls of a range of time (end exclusive) would have cost on other models, classes or regions, or with another share of input tokens read from the cache, per team and feature beside what they cost. mapping is a list of rules of which the first that holds counts: [{"from": {"model": "claude-opus-4"}, "to": {"provider": "anthropic", "model": "claude-sonnet-4-5"}}, {"from": {"operation": "eval"}, "to": {"service_class": "batch"}}]; "from" is a filter as filters is, what "to" leaves out stays. Calls without a rule keep their cost. cache_hit_ratio is cache reads per input token; cache writes stay as far as reads leave room. Prices are those of each call''s own time, or of priced_at. real_cost and what_if_cost, in the ledger''s currency, are of the calls whose full cost both ways is known; the others are counted in unpriced_calls. ratio = what_if_cost / real_cost; is_allocated is false where team or feature is (unallocated). A range in which retention has dropped calls is refused (22023), unless filters name calls.';
