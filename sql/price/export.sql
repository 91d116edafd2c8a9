-- The price list as one document: export_prices() writes it, own_items() reads it.
--
-- What is written is read to the same list, so every field of a price, multiplier
-- or alias stands in both.

CREATE FUNCTION cost_ledger_internal.export_prices(
    format text, at timestamptz, source text
) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    moment CONSTANT timestamptz := coalesce(export_prices.at, now());
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF export_prices.format = 'cost_ledger' THEN
        RETURN jsonb_build_object('format', 'cost_ledger',
            'prices', (
                SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                           'provider', v.provider, 'model', v.model, 'region', nullif(v.region, ''), 'service_class', v.service_class,
                           'customer', nullif(v.customer, ''), 'currency', v.currency, 'valid_from', to_char(v.valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                           'valid_to', to_char(v.valid_to AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'source', v.source)) || jsonb_build_object('rates', v.rates)
                           ORDER BY v.provider, v.model, v.region, v.service_class, v.customer, v.valid_from), '[]')
                FROM (SELECT m.provider, m.model, m.region, m.service_class, m.customer, m.currency, m.valid_from, m.valid_to, m.source,
                             jsonb_object_agg(m.meter, CASE WHEN m.lines ->> 1 IS NULL THEN m.lines -> 0 ELSE m.lines END) AS rates
                      FROM (SELECT c.provider, c.model, c.region, c.service_class, c.customer, p.currency, p.valid_from, p.valid_to, p.source, p.price_id, l.meter,
                                   jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                                       'price', l.unit_price, 'per', l.per,
                                       'over', CASE WHEN l.over_tokens > 0 THEN l.over_tokens END, 'inclusive', nullif(l.is_inclusive, false), 'graduated', nullif(l.is_graduated, false),
                                       'from', to_char(l.window_start, 'HH24:MI:SS'), 'to', to_char(l.window_end, 'HH24:MI:SS'), 'days', to_jsonb(l.window_days), 'zone', l.window_zone))
                                       ORDER BY l.line) AS lines
                            FROM cost_ledger_internal.rate_card c
                            JOIN cost_ledger_internal.price p ON p.card_id = c.card_id
                            JOIN cost_ledger_internal.price_line l ON l.price_id = p.price_id
                            WHERE p.valid_to IS DISTINCT FROM p.valid_from
                              AND (export_prices.at IS NULL OR p.valid_from <= export_prices.at AND (p.valid_to IS NULL OR p.valid_to > export_prices.at))
                            GROUP BY c.card_id, p.price_id, l.meter) AS m
                      GROUP BY m.price_id, m.provider, m.model, m.region, m.service_class, m.customer, m.currency, m.valid_from, m.valid_to, m.source) AS v),
            'multipliers', (
                SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                           'provider', m.provider, 'model', nullif(m.model, ''), 'region', nullif(m.region, ''), 'service_class', nullif(m.service_class, ''),
                           'customer', nullif(m.customer, ''), 'name', m.name, 'factor', m.factor, 'tokens_only', m.tokens_only, 'source', m.source,
                           'valid_from', to_char(m.valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
                           ORDER BY m.provider, m.model, m.region, m.service_class, m.customer, m.name, m.valid_from), '[]')
                FROM (SELECT k.*, lead(k.valid_from) OVER (PARTITION BY k.provider, k.model, k.region, k.service_class, k.customer, k.name ORDER BY k.valid_from) AS valid_to
                      FROM cost_ledger.price_multiplier k) AS m
                WHERE export_prices.at IS NULL OR m.valid_from <= export_prices.at AND (m.valid_to IS NULL OR m.valid_to > export_prices.at)),
            'aliases', (
                SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                           'provider', nullif(a.provider, ''), 'match', a.match, 'pattern', a.pattern, 'priority', a.priority,
                           'to_provider', nullif(a.to_provider, ''), 'to_model', a.to_model))
                           ORDER BY a.provider, a.priority DESC, a.match, a.pattern), '[]')
                FROM cost_ledger.model_alias a));
    ELSIF export_prices.format IS DISTINCT FROM 'litellm' THEN
        RAISE EXCEPTION 'format "%" cannot be exported', coalesce(export_prices.format, 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Formats are cost_ledger, and litellm for what was imported from it. For CSV: COPY (TABLE cost_ledger.price_list) TO.';
    END IF;

    -- The entries as they last came, with the prices that are in force here; a
    -- price that is not loses its key.
    RETURN coalesce((
        SELECT jsonb_object_agg(x.entry, x.exported)
        FROM (SELECT e.entry, cost_ledger_internal.litellm_export(e.entry, e.raw, e.cards, moment) AS exported
              FROM (SELECT DISTINCT ON (s.entry) s.entry, s.raw,
                           ARRAY(SELECT DISTINCT p.card_id
                                 FROM cost_ledger_internal.price_source t
                                 JOIN cost_ledger_internal.price_origin o ON o.source_id = t.source_id
                                 JOIN cost_ledger_internal.price p ON p.price_id = o.price_id
                                 WHERE t.format = s.format AND t.document = s.document AND t.entry = s.entry) AS cards
                    FROM cost_ledger_internal.price_source s
                    WHERE s.format = 'litellm' AND s.document = coalesce(export_prices.source, 'litellm')
                    ORDER BY s.entry, s.source_id DESC) AS e) AS x), '{}');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.export_prices(text, timestamptz, text) IS
    'cost_ledger.export_prices(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.export_prices(
    format text DEFAULT 'cost_ledger', at timestamptz DEFAULT NULL, source text DEFAULT NULL
) RETURNS jsonb
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.export_prices(text, timestamptz, text) IS
    'The price list as one JSON document: prices, multipliers and aliases, all versions or those in force at a time; import_prices(…, ''cost_ledger'') of it gives the same list. With format litellm the document that was imported under the name source, its prices those in force at the time (by default now): what import_prices() lost would be missing in it.';

CREATE FUNCTION cost_ledger_internal.check_own_item(e jsonb, part text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(e) <> 'object'
       OR EXISTS (SELECT FROM jsonb_each(CASE WHEN jsonb_typeof(e) = 'object' THEN e END) AS f
                  WHERE f.value <> 'null'
                    AND CASE WHEN f.key = 'rates' AND part = 'prices' THEN jsonb_typeof(f.value) <> 'object'
                             WHEN f.key = 'factor' AND part = 'multipliers' OR f.key = 'priority' AND part = 'aliases' THEN jsonb_typeof(f.value) <> 'number'
                             WHEN f.key = 'tokens_only' AND part = 'multipliers' THEN jsonb_typeof(f.value) <> 'boolean'
                             ELSE jsonb_typeof(f.value) <> 'string'
                                  OR NOT f.key = ANY (CASE part WHEN 'prices' THEN '{provider,model,region,service_class,customer,currency,valid_from,valid_to,source}'::text[]
                                                                WHEN 'multipliers' THEN '{provider,name,valid_from,model,region,service_class,customer,source}'
                                                                ELSE '{provider,match,pattern,to_provider,to_model}' END) END)
       OR part <> 'aliases' AND coalesce(e ->> 'provider', '') = ''
       OR part = 'prices' AND (coalesce(e ->> 'model', '') = '' OR NOT e ? 'rates')
       OR part = 'multipliers' AND (coalesce(e ->> 'name', '') = '' OR NOT e ? 'factor')
       OR part = 'aliases' AND (coalesce(e ->> 'pattern', '') = '' OR coalesce(e ->> 'to_model', '') = ''
                                OR coalesce(e ->> 'match', '') NOT IN ('exact', 'prefix', 'suffix', 'contains', 'regex')) THEN
        RAISE EXCEPTION 'one of the % is not complete, or has a field that is not known: %', part, left(e::text, 100)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = CASE part
                             WHEN 'prices' THEN 'Write {"provider": "openai", "model": "gpt-4o", "valid_from": "2024-10-02T00:00:00Z", "rates": {"input_tokens": 2.50, "output_tokens": 10.00}}; region, service_class, customer, currency, valid_to and source may be added.'
                             WHEN 'multipliers' THEN 'Write {"provider": "openai", "name": "discount", "factor": 0.9, "valid_from": "2026-01-01T00:00:00Z"}; model, region, service_class, customer, tokens_only and source may be added.'
                             ELSE 'Write {"match": "prefix", "pattern": "house/", "to_model": "gpt-4o"}; provider, priority and to_provider may be added.'
                         END;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_own_item(jsonb, text) IS
    'An error, with an example to copy, for one of the prices, multipliers or aliases (part) that is not complete or has a field that is not known.';

CREATE FUNCTION cost_ledger_internal.own_items(doc jsonb) RETURNS TABLE (
        entry text, kind text, provider text, model text, region text, service_class text, customer text, currency text,
        valid_from timestamptz, valid_to timestamptz, name text, value jsonb, note text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    e jsonb;
    part text;
BEGIN
    IF jsonb_typeof(doc) = 'array' THEN
        doc := jsonb_build_object('prices', doc);
    END IF;
    IF jsonb_typeof(doc) IS DISTINCT FROM 'object' OR NOT doc ?| '{prices,multipliers,aliases}'
       OR EXISTS (SELECT FROM jsonb_each(CASE WHEN jsonb_typeof(doc) = 'object' THEN doc - 'format' END) AS d
                  WHERE CASE WHEN d.key IN ('prices', 'multipliers', 'aliases') THEN jsonb_typeof(d.value) <> 'array'
                             -- what holds for prices that do not say it themselves
                             WHEN d.key IN ('currency', 'source') THEN jsonb_typeof(d.value) <> 'string'
                             ELSE true END) THEN
        RAISE EXCEPTION 'the document is not a cost_ledger price list'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is an array of prices, or {"prices": […], "multipliers": […], "aliases": […]}: what cost_ledger.export_prices() gives.';
    END IF;

    FOREACH part IN ARRAY '{prices,multipliers,aliases}'::text[] LOOP
        FOR e IN SELECT d.value FROM jsonb_array_elements(coalesce(doc -> part, '[]')) WITH ORDINALITY AS d (value, n) ORDER BY d.n LOOP
            entry := left(e::text, 100);
            PERFORM cost_ledger_internal.check_own_item(e, part);
            provider := coalesce(e ->> 'provider', '');
            region := coalesce(e ->> 'region', '');
            customer := coalesce(e ->> 'customer', '');
            currency := NULL;
            valid_from := NULL;
            valid_to := NULL;
            note := NULL;
            BEGIN
                valid_from := (e ->> 'valid_from')::timestamptz;
                valid_to := (e ->> 'valid_to')::timestamptz;
            EXCEPTION WHEN data_exception THEN
                RAISE EXCEPTION 'a time cannot be read: %', SQLERRM
                    USING ERRCODE = SQLSTATE,
                          DETAIL = format('Entry "%s" of the document.', entry),
                          HINT = 'Write times as 2026-01-01T00:00:00Z.';
            END;
            CASE part
            WHEN 'prices' THEN
                model := e ->> 'model';
                service_class := cost_ledger_internal.service_class(coalesce(e ->> 'service_class', ''));
                currency := coalesce(e ->> 'currency', doc ->> 'currency', (cost_ledger_internal.ledger()).currency);
                entry := concat_ws(' ', provider, model, nullif(region, ''), service_class, nullif(customer, ''), e ->> 'valid_from');
                kind := 'raw';
                name := NULL;
                value := e;
                RETURN NEXT;
                kind := 'price';
                name := coalesce(e ->> 'source', doc ->> 'source');
                value := e -> 'rates';
            WHEN 'multipliers' THEN
                kind := 'multiplier';
                model := coalesce(e ->> 'model', '');
                service_class := coalesce(cost_ledger_internal.service_class(nullif(e ->> 'service_class', '')), '');
                name := e ->> 'name';
                value := e;
            ELSE
                kind := 'alias';
                model := e ->> 'to_model';
                service_class := '';
                name := e ->> 'match';
                value := jsonb_build_object('pattern', e -> 'pattern', 'priority', coalesce(e -> 'priority', '0'), 'to_provider', coalesce(e ->> 'to_provider', ''));
            END CASE;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.own_items(jsonb) IS
    'A price list of export_prices() as items.';
