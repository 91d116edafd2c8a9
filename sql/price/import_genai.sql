-- The format of genai-prices, read into items.
--
-- What it says in words of its own is either translated, whole, or refused: a
-- rule or constraint that is only half understood would price calls wrongly.
-- Keys that are not known come back as such; they cost nobody anything.

CREATE FUNCTION cost_ledger_internal.genai_provider_names(doc jsonb) RETURNS TABLE (name text, provider text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    -- A provider that goes by one of the document's ids is found by that; of the
    -- others the document's rules are asked, and the first that holds counts.
    RETURN QUERY
    WITH documented AS (
        SELECT e.n, e.value ->> 'id' AS id,
               CASE WHEN jsonb_typeof(e.value -> 'provider_match') = 'object'
                    THEN cost_ledger_internal.genai_regex(e.value -> 'provider_match', e.value ->> 'id') END AS rule
        FROM jsonb_array_elements(doc) WITH ORDINALITY AS e (value, n)
    )
    SELECT DISTINCT ON (g.names[1]) g.names[1], d.id
    FROM (SELECT string_to_array(u.names, ' ') FROM unnest(cost_ledger_internal.provider_groups()) AS u (names)) AS g (names),
         documented d
    WHERE EXISTS (SELECT FROM unnest(g.names) AS n WHERE n ~ d.rule)
      AND NOT EXISTS (SELECT FROM documented o WHERE o.id = ANY (cost_ledger_internal.provider_names(g.names[1])))
    ORDER BY g.names[1], d.n;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.genai_provider_names(jsonb) IS
    'Providers that go by none of the ids of a genai-prices document, but by a name for which one of its provider_match rules holds: the first of the names of each (see provider_groups()), and the id that the rule gives it.';

CREATE FUNCTION cost_ledger_internal.genai_regex(rule jsonb, entry text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    word text;
    argument jsonb;
    literal text;
    parts text[];
BEGIN
    SELECT e.key, e.value INTO word, argument FROM jsonb_each(CASE WHEN jsonb_typeof(rule) = 'object' THEN rule END) AS e;
    literal := regexp_replace(rule ->> word, '([\\.*+?()\[\]{}|^$])', '\\\1', 'g');
    IF word IN ('or', 'and') AND jsonb_typeof(argument) = 'array' AND argument <> '[]' THEN
        parts := ARRAY(SELECT cost_ledger_internal.genai_regex(a.value, entry) FROM jsonb_array_elements(argument) AS a);
        RETURN CASE word WHEN 'or' THEN '(?:' || array_to_string(parts, '|') || ')'
                         ELSE '^(?=.*' || array_to_string(parts, ')(?=.*') || ')' END;
    ELSIF jsonb_typeof(argument) = 'string' AND literal <> '' THEN
        CASE word
            WHEN 'equals' THEN RETURN '(?:^' || literal || '$)';
            WHEN 'starts_with' THEN RETURN '(?:^' || literal || ')';
            WHEN 'ends_with' THEN RETURN '(?:' || literal || '$)';
            WHEN 'contains' THEN RETURN '(?:' || literal || ')';
            WHEN 'regex' THEN RETURN '(?:' || (rule ->> word) || ')';
            ELSE NULL;
        END CASE;
    END IF;
    RAISE EXCEPTION 'match rule of "%" is not known: %', entry, coalesce(left(rule::text, 200), 'nothing')
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'A rule is one of equals, starts_with, ends_with, contains, regex, or, and.';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.genai_regex(jsonb, text) IS
    'A match rule of genai-prices as one regular expression.';

CREATE FUNCTION cost_ledger_internal.genai_match(rule jsonb, entry text) RETURNS TABLE (match text, pattern text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part jsonb;
BEGIN
    IF jsonb_typeof(rule -> 'or') = 'array' THEN
        FOR part IN SELECT a.value FROM jsonb_array_elements(rule -> 'or') AS a LOOP
            RETURN QUERY SELECT * FROM cost_ledger_internal.genai_match(part, entry);
        END LOOP;
        RETURN;
    END IF;
    -- Refuses what is no rule.
    pattern := cost_ledger_internal.genai_regex(rule, entry);
    SELECT CASE e.key WHEN 'equals' THEN 'exact' WHEN 'starts_with' THEN 'prefix' WHEN 'ends_with' THEN 'suffix'
                      WHEN 'contains' THEN 'contains' ELSE 'regex' END,
           CASE WHEN e.key IN ('equals', 'starts_with', 'ends_with', 'contains', 'regex') THEN rule ->> e.key ELSE pattern END
        INTO match, pattern
        FROM jsonb_each(rule) AS e;
    IF match = 'regex' THEN
        BEGIN
            PERFORM '' ~ pattern;
        EXCEPTION WHEN invalid_regular_expression THEN
            RAISE EXCEPTION 'match rule of "%" is not a regular expression here: %', entry, pattern
                USING ERRCODE = 'invalid_parameter_value',
                      DETAIL = SQLERRM,
                      HINT = 'Rewrite it in the syntax of PostgreSQL, which is Python''s but for named groups.';
        END;
    END IF;
    RETURN NEXT;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.genai_match(jsonb, text) IS
    'A match rule of genai-prices as rows of model_alias: one for each way in which it can hold; "and" becomes one regular expression.';

CREATE FUNCTION cost_ledger_internal.genai_rates(prices jsonb, condition jsonb, entry text) RETURNS TABLE (meter text, line jsonb, known boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    word text;
    price jsonb;
    per bigint;
    tier jsonb;
BEGIN
    IF jsonb_typeof(prices) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'prices of "%" are not an object', entry
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write {"input_mtok": 3, "output_mtok": 15}, in dollars per million.';
    END IF;
    FOR word, price IN SELECT e.key, e.value FROM jsonb_each(prices) AS e LOOP
        CONTINUE WHEN price = 'null';
        per := CASE WHEN right(word, 7) = '_kcount' THEN 1000 ELSE 1000000 END;
        meter := CASE word
            WHEN 'input_mtok' THEN 'input_tokens'
            WHEN 'cache_read_mtok' THEN 'cache_read_tokens'
            WHEN 'cache_write_mtok' THEN 'cache_write_tokens'
            WHEN 'cache_write_1h_mtok' THEN 'cache_write_1h_tokens'
            WHEN 'output_mtok' THEN 'output_tokens'
            WHEN 'output_reasoning_mtok' THEN 'reasoning_tokens'
            WHEN 'output_citation_mtok' THEN 'citation_tokens'
            WHEN 'input_audio_mtok' THEN 'input_audio_tokens'
            WHEN 'input_image_mtok' THEN 'input_image_tokens'
            WHEN 'input_video_mtok' THEN 'input_video_tokens'
            WHEN 'cache_audio_read_mtok' THEN 'cache_read_audio_tokens'
            WHEN 'cache_image_read_mtok' THEN 'cache_read_image_tokens'
            WHEN 'cache_video_read_mtok' THEN 'cache_read_video_tokens'
            WHEN 'cache_audio_write_mtok' THEN 'cache_write_audio_tokens'
            WHEN 'output_audio_mtok' THEN 'output_audio_tokens'
            WHEN 'output_image_mtok' THEN 'output_image_tokens'
            WHEN 'output_video_mtok' THEN 'output_video_tokens'
            WHEN 'requests_kcount' THEN 'requests'
            WHEN 'web_searches_kcount' THEN 'web_search_requests'
        END;
        known := meter IS NOT NULL;
        meter := coalesce(meter, word);
        IF NOT known THEN
            line := price;
            RETURN NEXT;
        ELSIF jsonb_typeof(price) = 'object' THEN
            line := condition || jsonb_build_object('price', cost_ledger_internal.import_number(price -> 'base', entry, word), 'per', per);
            RETURN NEXT;
            IF jsonb_typeof(price -> 'tiers') IS DISTINCT FROM 'array' THEN
                RAISE EXCEPTION '"%" of "%" has no tiers', word, entry
                    USING ERRCODE = 'invalid_parameter_value',
                          HINT = 'A price is a number, or {"base": 3, "tiers": [{"start": 200000, "price": 6}]}.';
            END IF;
            -- genai-prices takes a tier for calls of more input tokens than its start.
            FOR tier IN SELECT t.value FROM jsonb_array_elements(price -> 'tiers') AS t LOOP
                IF jsonb_typeof(tier -> 'start') IS DISTINCT FROM 'number' THEN
                    RAISE EXCEPTION 'a tier of "%" of "%" has no start', word, entry
                        USING ERRCODE = 'invalid_parameter_value',
                              HINT = 'A tier is {"start": 200000, "price": 6}.';
                END IF;
                line := condition || jsonb_build_object('price', cost_ledger_internal.import_number(tier -> 'price', entry, word),
                                                        'per', per, 'over', tier -> 'start');
                RETURN NEXT;
            END LOOP;
        ELSE
            line := condition || jsonb_build_object('price', cost_ledger_internal.import_number(price, entry, word), 'per', per);
            RETURN NEXT;
        END IF;
    END LOOP;
    -- To genai-prices a write for an hour is a write, where it has no price of
    -- its own; here it would be priced as input.
    IF NOT prices ? 'cache_write_1h_mtok' AND prices ? 'cache_write_mtok' THEN
        RETURN QUERY SELECT 'cache_write_1h_tokens', r.line, true
                     FROM cost_ledger_internal.genai_rates(jsonb_build_object('cache_write_1h_mtok', prices -> 'cache_write_mtok'), condition, entry) r;
    END IF;
    -- The fee of a request has its search in it, of whatever size.
    IF prices ? 'requests_kcount' AND NOT prices ? 'web_searches_kcount' THEN
        RETURN QUERY SELECT 'web_search_requests' || s.size, condition || '{"price": 0, "per": 1}', true
                     FROM unnest('{"", _low, _medium, _high}'::text[]) AS s (size);
    END IF;
    -- A model listed without prices is a free one to genai-prices.
    IF condition = '{}' AND prices = '{}' THEN
        RETURN QUERY VALUES ('input_tokens', '{"price": 0, "per": 1000000}'::jsonb, true),
                            ('output_tokens', '{"price": 0, "per": 1000000}'::jsonb, true);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.genai_rates(jsonb, jsonb, text) IS
    'A prices object of genai-prices as lines of meters, each with the given condition (a window of time, or none); keys it does not know come back as they are, known = false.';

CREATE FUNCTION cost_ledger_internal.genai_conditions(
    prices jsonb, entry text, OUT conditions jsonb, OUT starts timestamptz[]
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    bad jsonb;
BEGIN
    conditions := CASE jsonb_typeof(prices) WHEN 'array' THEN prices ELSE jsonb_build_array(jsonb_build_object('prices', prices)) END;
    SELECT b.value INTO bad FROM jsonb_array_elements(conditions) AS b
    WHERE CASE WHEN coalesce(b.value -> 'constraint', 'null') = 'null' THEN false
               WHEN jsonb_typeof(b.value -> 'constraint') <> 'object' THEN true
               WHEN b.value -> 'constraint' ? 'start_date'
               THEN (b.value -> 'constraint') - 'start_date' <> '{}' OR coalesce(b.value #>> '{constraint,start_date}', '') !~ '^\d{4}-\d\d-\d\d$'
               ELSE (b.value -> 'constraint') - '{start_time,end_time}'::text[] <> '{}'
                    OR coalesce(b.value #>> '{constraint,start_time}', '') !~ '^\d\d:\d\d(:\d\d)?(Z|[+-]00:00)?$'
                    OR coalesce(b.value #>> '{constraint,end_time}', '') !~ '^\d\d:\d\d(:\d\d)?(Z|[+-]00:00)?$'
          END;
    IF NOT FOUND THEN
        BEGIN
            starts := ARRAY(SELECT DISTINCT ((b.value #>> '{constraint,start_date}')::date)::timestamp AT TIME ZONE 'UTC'
                            FROM jsonb_array_elements(conditions) AS b
                            WHERE b.value -> 'constraint' ? 'start_date' ORDER BY 1);
        EXCEPTION WHEN data_exception THEN
            bad := conditions;
        END;
    END IF;
    IF bad IS NOT NULL OR conditions = '[]' THEN
        RAISE EXCEPTION 'a price of "%" has a constraint that is not known: %', entry, coalesce(bad ->> 'constraint', bad::text, 'no prices')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'A constraint is {"start_date": "2026-03-13"}, or {"start_time": "00:30:00Z", "end_time": "16:30:00Z"}, in UTC.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.genai_conditions(jsonb, text) IS
    'The prices of a model as an array, each with its constraint or none, and the dates at which one begins; an error for a constraint that is not known.';

CREATE FUNCTION cost_ledger_internal.genai_price(
    conditions jsonb, at timestamptz, entry text, OUT rates jsonb, OUT note text
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Of several prices the last whose constraint holds counts, and the first
    -- where none does.
    base CONSTANT integer := (
        SELECT coalesce(max(b.n) FILTER (WHERE NOT coalesce(b.value -> 'constraint' ? 'start_time', false)
                                           AND coalesce(((b.value #>> '{constraint,start_date}')::date)::timestamp AT TIME ZONE 'UTC' <= at,
                                                        NOT coalesce(b.value -> 'constraint' ? 'start_date', false))), 1)
        FROM jsonb_array_elements(conditions) WITH ORDINALITY AS b (value, n));
    c jsonb;
    condition jsonb;
BEGIN
    note := CASE WHEN conditions -> (base - 1) -> 'prices' = '{}' THEN 'listed without prices: free' END;
    rates := '{}';
    FOR c, condition IN
        SELECT b.value, CASE WHEN b.n = base THEN '{}'
                             ELSE jsonb_build_object('from', substring(b.value #>> '{constraint,start_time}' FROM '^[0-9:]+'),
                                                     'to', substring(b.value #>> '{constraint,end_time}' FROM '^[0-9:]+'), 'zone', 'UTC') END
        FROM jsonb_array_elements(conditions) WITH ORDINALITY AS b (value, n)
        WHERE b.n = base OR b.n > base AND b.value -> 'constraint' ? 'start_time'
        ORDER BY b.n
    LOOP
        SELECT coalesce(jsonb_object_agg(r.meter, coalesce(rates -> r.meter, '[]') || r.lines), '{}') || (rates - coalesce(array_agg(r.meter), '{}'))
            INTO rates
            FROM (SELECT l.meter, jsonb_agg(l.line) AS lines
                  FROM cost_ledger_internal.genai_rates(c -> 'prices', condition, entry) l
                  WHERE l.known GROUP BY l.meter) AS r;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.genai_price(jsonb, timestamptz, text) IS
    'The rates of a model from a date on (NULL: before all dates): the price that holds then, and the windows of time that come after it.';

CREATE FUNCTION cost_ledger_internal.genai_aliases(doc jsonb) RETURNS TABLE (entry text, provider text, model text, name text, value jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    -- The first model in the file whose rule holds is the one: earlier ones have
    -- a higher priority, and all a lower one than rows that people write.  Models
    -- of the providers it falls back to come after its own.
    RETURN QUERY
    WITH providers AS (
        SELECT e.n, e.value ->> 'id' AS id, e.value AS p
        FROM jsonb_array_elements(doc) WITH ORDINALITY AS e (value, n)
    ), names AS (
        SELECT id AS name, id AS provider FROM providers
        UNION ALL
        SELECT n.name, n.provider FROM cost_ledger_internal.genai_provider_names(doc) n
    ), reach AS (
        SELECT id AS provider, 0::bigint AS rank, id AS of FROM providers
        UNION ALL
        SELECT p.id, f.n, f.name
        FROM providers p,
             LATERAL jsonb_array_elements_text(CASE WHEN jsonb_typeof(p.p -> 'fallback_model_providers') = 'array'
                                                    THEN p.p -> 'fallback_model_providers' ELSE '[]' END) WITH ORDINALITY AS f (name, n)
    ), models AS (
        SELECT p.id AS provider, m.n, m.value ->> 'id' AS id, m.value -> 'match' AS match
        FROM providers p, LATERAL jsonb_array_elements(p.p -> 'models') WITH ORDINALITY AS m (value, n)
    ), rules AS (
        SELECT m.provider, m.n, m.id, r.match, r.pattern
        FROM models m, LATERAL cost_ledger_internal.genai_match(m.match, m.provider || ' ' || m.id) r
        WHERE m.match IS NOT NULL AND m.match <> 'null'
    ), ranked AS (
        SELECT n.provider AS of, n.name AS provider, r.of AS to_provider, u.id AS to_model, u.match, u.pattern,
               -dense_rank() OVER (PARTITION BY n.name ORDER BY r.rank, u.n) AS priority
        FROM names n
        JOIN reach r ON r.provider = n.provider
        JOIN (SELECT * FROM rules
              UNION ALL
              -- A model's own id needs no alias under its own provider.
              SELECT m.provider, m.n, m.id, 'exact', m.id FROM models m) AS u ON u.provider = r.of
        WHERE u.id <> u.pattern OR u.match <> 'exact' OR n.name <> r.of
    )
    SELECT DISTINCT ON (k.provider, k.match, k.pattern)
           'provider ' || k.of, k.provider, k.to_model, k.match,
           jsonb_build_object('pattern', k.pattern, 'priority', k.priority, 'to_provider', CASE WHEN k.to_provider <> k.provider THEN k.to_provider ELSE '' END)
    FROM ranked k
    ORDER BY k.provider, k.match, k.pattern, k.priority DESC;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.genai_aliases(jsonb) IS
    'The aliases by which models of a genai-prices document are found: name is how to match, model the rate card''s.';

CREATE FUNCTION cost_ledger_internal.genai_items(doc jsonb) RETURNS TABLE (
        entry text, kind text, provider text, model text, region text, service_class text, customer text, currency text,
        valid_from timestamptz, valid_to timestamptz, name text, value jsonb, note text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p jsonb;
    m jsonb;
    prices record;
BEGIN
    IF jsonb_typeof(doc) IS DISTINCT FROM 'array'
       OR EXISTS (SELECT FROM jsonb_array_elements(CASE WHEN jsonb_typeof(doc) = 'array' THEN doc END) AS e
                  WHERE jsonb_typeof(e.value) <> 'object' OR jsonb_typeof(e.value -> 'id') IS DISTINCT FROM 'string'
                     OR jsonb_typeof(e.value -> 'models') IS DISTINCT FROM 'array') THEN
        RAISE EXCEPTION 'the document is not a genai-prices price list'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is an array of providers, each with an "id" and "models"; its format is the data.json of genai-prices.';
    END IF;
    region := '';
    service_class := 'standard';
    customer := '';
    currency := 'USD';

    FOR p, m IN
        SELECT e.value, f.value
        FROM jsonb_array_elements(doc) WITH ORDINALITY AS e (value, n),
             LATERAL jsonb_array_elements(e.value -> 'models') WITH ORDINALITY AS f (value, n)
        ORDER BY e.n, f.n
    LOOP
        provider := p ->> 'id';
        model := m ->> 'id';
        entry := concat_ws(' ', provider, model);
        IF coalesce(model, '') = '' OR provider = '' THEN
            RAISE EXCEPTION 'a model of "%" has no id', provider
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'The document is not complete; nothing of it was imported.';
        END IF;
        kind := 'raw';
        valid_from := NULL;
        name := NULL;
        value := m;
        note := NULL;
        RETURN NEXT;

        prices := cost_ledger_internal.genai_conditions(m -> 'prices', entry);
        kind := 'price';
        FOREACH valid_from IN ARRAY '{NULL}'::timestamptz[] || prices.starts LOOP
            SELECT g.rates, g.note INTO value, note FROM cost_ledger_internal.genai_price(prices.conditions, valid_from, entry) g;
            IF value <> '{}' THEN
                RETURN NEXT;
            END IF;
        END LOOP;

        kind := 'unknown';
        valid_from := NULL;
        note := NULL;
        FOR name, value IN
            SELECT DISTINCT r.meter, r.line
            FROM jsonb_array_elements(prices.conditions) AS b, cost_ledger_internal.genai_rates(b.value -> 'prices', '{}', entry) r
            WHERE NOT r.known
        LOOP
            RETURN NEXT;
        END LOOP;
    END LOOP;

    kind := 'alias';
    valid_from := NULL;
    note := NULL;
    FOR entry, provider, model, name, value IN SELECT a.* FROM cost_ledger_internal.genai_aliases(doc) a LOOP
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.genai_items(jsonb) IS
    'A genai-prices document as items: for each model its entry as it came (raw) and its prices, dated ones at their dates, the first at no date; keys it does not know; and the aliases by which models are found (name is how to match, model the rate card''s).';
