-- Price lists of others: read into rate cards, multipliers and aliases, compared
-- with the prices in force, and set.
--
-- Each format has a function that turns a document into items, and nothing after
-- it knows of formats.  Numbers are jsonb's own numeric from the document to the
-- price line: none ever is a float.

CREATE FUNCTION cost_ledger_internal.import_number(value jsonb, entry text, what text) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(value) IS DISTINCT FROM 'number' THEN
        RAISE EXCEPTION '"%" of "%" is not a number: %', what, entry, coalesce(left(value::text, 80), 'nothing')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Correct the document; nothing of it was imported.';
    ELSIF value::numeric < 0 OR value::numeric > 1000000 THEN
        RAISE EXCEPTION '"%" of "%" is no price: %', what, entry, left(value::text, 80)
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'A price in a price list is from 0 to a million; correct the document, nothing of it was imported.';
    END IF;
    RETURN value::numeric;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.import_number(jsonb, text, text) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.import_number(jsonb, text, text) IS
    'A number of a price list, exact; an error that names it where it is none (22023) or lies outside 0 to a million (22003).';

CREATE FUNCTION cost_ledger_internal.rate_condition(
    over_tokens bigint, is_inclusive boolean, is_graduated boolean,
    window_start time, window_end time, window_days smallint[], window_zone text
) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(', ',
        CASE WHEN over_tokens > 0 OR is_inclusive OR is_graduated
             THEN CASE WHEN is_graduated THEN 'beyond ' WHEN is_inclusive THEN 'from ' ELSE 'over ' END || over_tokens END,
        CASE WHEN window_start IS NOT NULL THEN to_char(window_start, 'HH24:MI:SS') || '–' || to_char(window_end, 'HH24:MI:SS') END,
        CASE WHEN window_days IS NOT NULL THEN 'days ' || array_to_string(window_days, ',') END,
        window_zone)
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.rate_condition(bigint, boolean, boolean, time, time, smallint[], text) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.rate_condition(bigint, boolean, boolean, time, time, smallint[], text) IS
    'When a rate line applies, in words that tell apart the lines of a meter; empty for one that always does.';

--
-- genai-prices
--

CREATE FUNCTION cost_ledger_internal.genai_provider_names(doc jsonb) RETURNS TABLE (name text, provider text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known_names CONSTANT text[] := '{
        anthropic, anthropic.messages, claude,
        aws.bedrock, aws, bedrock, bedrock_converse, amazon-bedrock, amazon_bedrock, aws_bedrock,
        azure.ai.openai, azure, azure_openai, azure-openai, azure_ai, az.ai.openai, azure.ai.inference, az.ai.inference,
        gcp.gemini, google, gemini, google-ai-studio, google_genai, google-gla, gcp.gen_ai,
        gcp.vertex_ai, vertex_ai, vertex, google-vertex, google_vertexai, google_vertex, vertexai,
        x_ai, x-ai, xai, grok, mistral_ai, mistral, mistralai, together_ai, together, together-ai, togetherai,
        fireworks_ai, fireworks, fireworks-ai, moonshot, moonshotai, moonshot_ai, perplexity, perplexity_ai, perplexity-ai,
        openai, openai.chat, openai.responses, cohere, cohere_chat, deepseek, deepseek_ai, groq, cerebras, openrouter,
        voyage, voyageai, voyage_ai, zai, z-ai, zhipuai, zhipu, minimax, novita, novita_ai, ovhcloud, modal}';
    ids text[];
    rules text[];
BEGIN
    SELECT coalesce(array_agg(e.value ->> 'id' ORDER BY e.n), '{}'),
           array_agg(cost_ledger_internal.genai_regex(e.value -> 'provider_match', e.value ->> 'id') ORDER BY e.n)
        INTO ids, rules
        FROM jsonb_array_elements(doc) WITH ORDINALITY AS e (value, n)
        WHERE jsonb_typeof(e.value -> 'provider_match') = 'object';
    FOREACH name IN ARRAY known_names LOOP
        provider := NULL;
        -- Its own id comes first, then what is the same provider here (azure
        -- under OpenTelemetry's name has "openai" in it), then the document's
        -- rule, the first that holds.
        SELECT e.value ->> 'id' INTO provider
        FROM cost_ledger_internal.model_names(name, '-') n, jsonb_array_elements(doc) AS e
        WHERE n.model_name = '-' AND e.value ->> 'id' = n.provider_name
        ORDER BY n.step
        LIMIT 1;
        IF provider IS NULL THEN
            FOR i IN 1 .. cardinality(ids) LOOP
                IF name ~ rules[i] THEN
                    provider := ids[i];
                    EXIT;
                END IF;
            END LOOP;
        END IF;
        IF provider <> name THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.genai_provider_names(jsonb) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.genai_provider_names(jsonb) IS
    'Other names, of those that OpenTelemetry, gateways and libraries use, under which calls of a genai-prices provider come: by the same-provider names of this ledger, then by the document''s provider_match rules.';

CREATE FUNCTION cost_ledger_internal.genai_regex(rule jsonb, entry text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
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
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.genai_regex(jsonb, text) FROM PUBLIC;

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
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.genai_match(jsonb, text) FROM PUBLIC;

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
    -- A model listed without prices is a free one to genai-prices.
    IF condition = '{}' AND prices = '{}' THEN
        RETURN QUERY VALUES ('input_tokens', '{"price": 0, "per": 1000000}'::jsonb, true),
                            ('output_tokens', '{"price": 0, "per": 1000000}'::jsonb, true);
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.genai_rates(jsonb, jsonb, text) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.genai_rates(jsonb, jsonb, text) IS
    'A prices object of genai-prices as lines of meters, each with the given condition (a window of time, or none); keys it does not know come back as they are, known = false.';

CREATE FUNCTION cost_ledger_internal.genai_items(doc jsonb) RETURNS TABLE (
        entry text, kind text, provider text, model text, region text, service_class text, customer text, currency text,
        valid_from timestamptz, valid_to timestamptz, name text, value jsonb, note text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p jsonb;
    m jsonb;
    c jsonb;
    conditions jsonb;
    starts timestamptz[];
    at timestamptz;
    base integer;
    condition jsonb;
    bad jsonb;
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

    FOR p IN SELECT e.value FROM jsonb_array_elements(doc) WITH ORDINALITY AS e (value, n) ORDER BY e.n LOOP
        provider := p ->> 'id';
        FOR m IN SELECT e.value FROM jsonb_array_elements(p -> 'models') WITH ORDINALITY AS e (value, n) ORDER BY e.n LOOP
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

            -- Of several prices the last whose constraint holds counts, and the
            -- first where none does.
            conditions := CASE jsonb_typeof(m -> 'prices') WHEN 'array' THEN m -> 'prices'
                               ELSE jsonb_build_array(jsonb_build_object('prices', m -> 'prices')) END;
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
            FOREACH at IN ARRAY '{NULL}'::timestamptz[] || starts LOOP
                SELECT coalesce(max(b.n) FILTER (WHERE NOT coalesce(b.value -> 'constraint' ? 'start_time', false)
                                                   AND coalesce(((b.value #>> '{constraint,start_date}')::date)::timestamp AT TIME ZONE 'UTC' <= at,
                                                                NOT coalesce(b.value -> 'constraint' ? 'start_date', false))), 1)
                    INTO base
                    FROM jsonb_array_elements(conditions) WITH ORDINALITY AS b (value, n);
                kind := 'price';
                valid_from := at;
                name := NULL;
                note := CASE WHEN conditions -> (base - 1) -> 'prices' = '{}' THEN 'listed without prices: free' END;
                value := '{}';
                FOR c, condition IN
                    SELECT b.value, CASE WHEN b.n = base THEN '{}'
                                         ELSE jsonb_build_object('from', substring(b.value #>> '{constraint,start_time}' FROM '^[0-9:]+'),
                                                                 'to', substring(b.value #>> '{constraint,end_time}' FROM '^[0-9:]+'), 'zone', 'UTC') END
                    FROM jsonb_array_elements(conditions) WITH ORDINALITY AS b (value, n)
                    WHERE b.n = base OR b.n > base AND b.value -> 'constraint' ? 'start_time'
                    ORDER BY b.n
                LOOP
                    SELECT coalesce(jsonb_object_agg(r.meter, coalesce(value -> r.meter, '[]') || r.lines), '{}') || (value - coalesce(array_agg(r.meter), '{}'))
                        INTO value
                        FROM (SELECT l.meter, jsonb_agg(l.line) AS lines
                              FROM cost_ledger_internal.genai_rates(c -> 'prices', condition, entry) l
                              WHERE l.known GROUP BY l.meter) AS r;
                END LOOP;
                IF value <> '{}' THEN
                    RETURN NEXT;
                END IF;
            END LOOP;
            kind := 'unknown';
            valid_from := NULL;
            note := NULL;
            FOR name, value IN
                SELECT DISTINCT r.meter, r.line
                FROM jsonb_array_elements(conditions) AS b, cost_ledger_internal.genai_rates(b.value -> 'prices', '{}', entry) r
                WHERE NOT r.known
            LOOP
                RETURN NEXT;
            END LOOP;
        END LOOP;
    END LOOP;

    -- The first model in the file whose rule holds is the one: earlier ones have
    -- a higher priority, and all a lower one than rows that people write.  Models
    -- of the providers it falls back to come after its own.
    kind := 'alias';
    valid_from := NULL;
    note := NULL;
    FOR entry, provider, model, name, value IN
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
        ORDER BY k.provider, k.match, k.pattern, k.priority DESC
    LOOP
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.genai_items(jsonb) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.genai_items(jsonb) IS
    'A genai-prices document as items: for each model its entry as it came (raw) and its prices, dated ones at their dates, the first at no date; keys it does not know; and the aliases by which models are found (name is how to match, model the rate card''s).';

--
-- LiteLLM
--

CREATE FUNCTION cost_ledger_internal.litellm_key(
    key text, OUT meter text, OUT service_class text, OUT over_tokens bigint, OUT per bigint, OUT is_dbu boolean, OUT synonym integer
) RETURNS record
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- The key, less what its grammar takes off: class, threshold, duration.
    rest text := key;
    hour boolean;
    suffix text := '';
    m text[];
BEGIN
    synonym := 0;
    is_dbu := false;
    over_tokens := 0;
    m := regexp_match(rest, '_(batches|flex|priority|ultrafast)$');
    service_class := CASE m[1] WHEN 'batches' THEN 'batch' ELSE coalesce(m[1], 'standard') END;
    rest := regexp_replace(rest, '_(batches|flex|priority|ultrafast)$', '');
    m := regexp_match(rest, '_above_(\d{1,9})k_tokens$');
    IF m IS NOT NULL THEN
        over_tokens := m[1]::bigint * 1000;
        rest := regexp_replace(rest, '_above_\d+k_tokens$', '');
    END IF;
    m := regexp_match(rest, '_above_(\d{1,9})s_interval$');
    IF m IS NOT NULL THEN
        suffix := '_above_' || m[1] || 's';
        rest := regexp_replace(rest, '_above_\d+s_interval$', '');
    END IF;
    hour := rest LIKE '%\_above\_1hr';
    rest := regexp_replace(rest, '_above_1hr$', '');
    -- What sizes and resolutions there are changes with every model.
    m := regexp_match(rest, '^(output_cost_per_(?:image|second))_([0-9][0-9A-Za-z.]*)$');
    IF m IS NOT NULL THEN
        suffix := '_' || replace(lower(m[2]), '.', '_') || suffix;
        rest := m[1];
    END IF;

    meter := CASE rest
        WHEN 'input_cost_per_token' THEN 'input_tokens'
        WHEN 'output_cost_per_token' THEN 'output_tokens'
        WHEN 'input_cost_per_token_cache_hit' THEN 'cache_read_tokens'
        WHEN 'output_cost_per_reasoning_token' THEN 'reasoning_tokens'
        WHEN 'citation_cost_per_token' THEN 'citation_tokens'
        WHEN 'cache_read_input_token_cost' THEN 'cache_read_tokens'
        WHEN 'cache_creation_input_token_cost' THEN CASE WHEN hour THEN 'cache_write_1h_tokens' ELSE 'cache_write_tokens' END
        WHEN 'input_dbu_cost_per_token' THEN 'input_tokens'
        WHEN 'output_dbu_cost_per_token' THEN 'output_tokens'
        WHEN 'output_db_cost_per_token' THEN 'output_tokens'
        WHEN 'input_cost_per_request' THEN 'requests'
        WHEN 'input_cost_per_query' THEN 'input_queries'
        WHEN 'ocr_cost_per_page' THEN 'pages'
        WHEN 'annotation_cost_per_page' THEN 'annotation_pages'
        WHEN 'ocr_cost_per_credit' THEN 'credits'
        WHEN 'code_interpreter_cost_per_session' THEN 'code_interpreter_sessions'
        WHEN 'google_maps_grounding_cost_per_query' THEN 'google_maps_grounding_requests'
        WHEN 'file_search_cost_per_1k_calls' THEN 'file_search_calls'
        WHEN 'file_search_cost_per_gb_per_day' THEN 'file_search_gb_days'
        WHEN 'vector_store_cost_per_gb_per_day' THEN 'vector_store_gb_days'
        WHEN 'computer_use_input_cost_per_1k_tokens' THEN 'computer_use_input_tokens'
        WHEN 'computer_use_output_cost_per_1k_tokens' THEN 'computer_use_output_tokens'
    END;
    IF meter IS NULL THEN
        m := regexp_match(rest, '^(input|output)_cost_per_(audio|image|video)_token$');
        meter := m[1] || '_' || m[2] || '_tokens';
    END IF;
    IF meter IS NULL THEN
        m := regexp_match(rest, '^cache_(read|creation)_input_(audio|image|video)_token_cost$');
        meter := CASE m[1] WHEN 'read' THEN 'cache_read_' WHEN 'creation' THEN 'cache_write_' END || m[2] || '_tokens';
    END IF;
    IF meter IS NULL THEN
        m := regexp_match(rest, '^(input|output)_cost_per_(image|pixel|second|character)$');
        meter := m[1] || '_' || m[2] || 's';
    END IF;
    IF meter IS NULL THEN
        m := regexp_match(rest, '^(input|output)_cost_per_(audio|video)_per_second$');
        meter := m[1] || '_' || m[2] || '_seconds';
    END IF;

    is_dbu := rest ~ '^(input|output)_dbu?_cost_per_token$';
    synonym := CASE WHEN rest IN ('input_cost_per_token_cache_hit', 'output_db_cost_per_token') THEN 1 ELSE 0 END;
    per := CASE WHEN rest ~ '_per_1k_' THEN 1000 WHEN right(meter, 7) = '_tokens' THEN 1000000 ELSE 1 END;
    IF hour AND meter IS DISTINCT FROM 'cache_write_1h_tokens' OR length(meter || suffix) > 63 THEN
        meter := NULL;
    END IF;
    meter := meter || suffix;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.litellm_key(text) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.litellm_key(text) IS
    'What a price key of LiteLLM means here: meter (NULL for one that is not known), service class, context tier, units that the line''s price buys, whether it is in Databricks units, and whether it is a later-named synonym.';

CREATE FUNCTION cost_ledger_internal.litellm_rates(entry text, raw jsonb) RETURNS TABLE (
        path text[], kind text, meter text, service_class text, region text, currency text, rate jsonb, price numeric, factor numeric, value jsonb, note text)
    -- PL/pgSQL, whose plans are kept: this runs thousands of times.
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH found AS (
        -- every price of the entry, where it stands, and what sets it apart
        SELECT ARRAY[e.key] AS path, e.key, e.value, 0::numeric AS range_from, NULL::text AS results
        FROM jsonb_each(raw) AS e
        WHERE e.key ~ '(cost|price|pricing|multiplier|uplift)'
          AND e.value <> 'null'
          AND NOT (e.key = 'tiered_pricing' AND jsonb_typeof(e.value) = 'array')
          AND NOT (e.key = 'search_context_cost_per_query' AND jsonb_typeof(e.value) = 'object')
        UNION ALL
        SELECT ARRAY['tiered_pricing', (t.n - 1)::text, e.key], e.key, e.value,
               CASE WHEN jsonb_typeof(t.value #> '{range,0}') = 'number' THEN trim_scale((t.value #>> '{range,0}')::numeric) END,
               CASE WHEN jsonb_typeof(t.value #> '{max_results_range,0}') = 'number' AND jsonb_typeof(t.value #> '{max_results_range,1}') = 'number'
                    THEN format('_%s_to_%s_results', t.value #>> '{max_results_range,0}', t.value #>> '{max_results_range,1}') END
        FROM jsonb_array_elements(CASE WHEN jsonb_typeof(raw -> 'tiered_pricing') = 'array' THEN raw -> 'tiered_pricing' END) WITH ORDINALITY AS t (value, n),
             LATERAL jsonb_each(CASE WHEN jsonb_typeof(t.value) = 'object' THEN t.value END) AS e
        WHERE e.key NOT IN ('range', 'max_results_range') AND e.value <> 'null'
        UNION ALL
        SELECT ARRAY['search_context_cost_per_query', e.key], e.key, e.value, 0, NULL
        FROM jsonb_each(CASE WHEN jsonb_typeof(raw -> 'search_context_cost_per_query') = 'object' THEN raw -> 'search_context_cost_per_query' END) AS e
        WHERE e.value <> 'null'
        UNION ALL
        SELECT ARRAY['provider_specific_entry', e.key], e.key, e.value, 0, NULL
        FROM jsonb_each(CASE WHEN jsonb_typeof(raw -> 'provider_specific_entry') = 'object' THEN raw -> 'provider_specific_entry' END) AS e
        WHERE jsonb_typeof(e.value) = 'number'
    ), read AS (
        SELECT f.path, f.value,
               CASE WHEN f.path[1] = 'provider_specific_entry' OR f.key ~ '^regional_processing_uplift_multiplier_[a-z]+$' THEN 'multiplier' ELSE 'price' END AS kind,
               CASE WHEN f.key ~ '^search_context_size_[a-z]+$' AND f.path[1] = 'search_context_cost_per_query' THEN 'web_search_requests' || substr(f.key, 20)
                    ELSE k.meter || coalesce(f.results, '') END AS meter,
               k.service_class, k.is_dbu, coalesce(k.per, 1) AS per, k.synonym,
               CASE WHEN f.range_from > 0 AND k.over_tokens = 0 THEN f.range_from ELSE k.over_tokens END AS over_tokens,
               f.range_from, f.key
        FROM found f, LATERAL cost_ledger_internal.litellm_key(f.key) k
    ), checked AS (
        SELECT r.*, CASE WHEN jsonb_typeof(r.value) = 'number' THEN cost_ledger_internal.import_number(r.value, entry, array_to_string(r.path, '.')) END AS number,
               -- One line is enough for two names of the same.
               CASE WHEN r.kind = 'price' AND r.meter IS NOT NULL THEN first_value(r.value) OVER (PARTITION BY r.kind, r.meter, r.service_class, r.is_dbu, r.over_tokens ORDER BY r.synonym, r.path) END AS first
        FROM read r
    )
    SELECT c.path,
           CASE WHEN c.number IS NULL OR c.kind = 'price' AND (c.meter IS NULL OR c.range_from IS NULL AND c.meter !~ '_results$' OR c.value <> c.first) THEN 'unknown' ELSE c.kind END,
           c.meter,
           CASE WHEN c.kind = 'multiplier' THEN CASE WHEN c.key = 'fast' THEN 'fast' ELSE '' END WHEN c.is_dbu THEN 'dbu' ELSE c.service_class END,
           CASE WHEN c.kind = 'multiplier' AND c.key <> 'fast' THEN regexp_replace(c.key, '^.*_', '') ELSE '' END,
           CASE WHEN c.is_dbu THEN 'DBU' ELSE 'USD' END,
           jsonb_strip_nulls(jsonb_build_object(
               'price', trim_scale(c.number * CASE WHEN c.per = 1000000 THEN 1000000 ELSE 1 END), 'per', c.per,
               'over', nullif(c.over_tokens, 0),
               -- All compare with "more than", xAI with "at least".
               'inclusive', CASE WHEN c.over_tokens > 0 AND raw ->> 'litellm_provider' = 'xai' THEN true END)),
           trim_scale(c.number * CASE WHEN c.per = 1000000 THEN 1000000 ELSE 1 END),
           CASE WHEN c.kind = 'multiplier' THEN c.number END,
           c.value,
           CASE WHEN c.kind = 'price' AND c.meter IS NOT NULL AND c.number IS NOT NULL AND c.value <> c.first THEN 'differs from another price of the same' END
    FROM checked c
    ORDER BY c.path;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.litellm_rates(text, jsonb) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.litellm_rates(text, jsonb) IS
    'Every price and multiplier of one entry of LiteLLM''s list: where it stands (path), and the line (meter, class, currency and rate) or multiplier (region or class, factor) that it is here; or that it is unknown.';

CREATE FUNCTION cost_ledger_internal.litellm_items(doc jsonb) RETURNS TABLE (
        entry text, kind text, provider text, model text, region text, service_class text, customer text, currency text,
        valid_from timestamptz, valid_to timestamptz, name text, value jsonb, note text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    e record;
    r record;
    known_regions text[] := '{}';
    place text[];
BEGIN
    IF jsonb_typeof(doc) IS DISTINCT FROM 'object'
       OR NOT EXISTS (SELECT FROM jsonb_each(CASE WHEN jsonb_typeof(doc) = 'object' THEN doc END) AS d
                      WHERE jsonb_typeof(d.value -> 'litellm_provider') = 'string') THEN
        RAISE EXCEPTION 'the document is not a LiteLLM price list'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is an object of models, each with a "litellm_provider": model_prices_and_context_window.json of LiteLLM.';
    END IF;
    customer := '';
    FOR e IN
        WITH entries AS (
            SELECT d.key, d.value, d.n,
                   d.value ->> 'litellm_provider' AS litellm_provider,
                   -- LiteLLM has several providers for one that sends one bill.
                   CASE d.value ->> 'litellm_provider'
                       WHEN 'bedrock_converse' THEN 'bedrock'
                       WHEN 'cohere_chat' THEN 'cohere'
                       WHEN 'azure_text' THEN 'azure'
                       ELSE regexp_replace(regexp_replace(d.value ->> 'litellm_provider', '^(vertex_ai|fireworks_ai)-.*$', '\1'), '^text-completion-', '')
                   END AS provider
            FROM jsonb_each(doc) WITH ORDINALITY AS d (key, value, n)
            WHERE d.key NOT IN ('sample_spec', 'fallback_generalizations')
        ), named AS (
            SELECT n.*,
                   CASE WHEN starts_with(n.key, n.litellm_provider || '/') THEN substr(n.key, length(n.litellm_provider) + 2)
                        WHEN starts_with(n.key, n.provider || '/') THEN substr(n.key, length(n.provider) + 2)
                        ELSE n.key END AS bare
            FROM entries n
        )
        -- Of two entries of one name the plainer has it, the other keeps its key.
        SELECT m.key, m.value, m.provider, m.litellm_provider,
               CASE WHEN row_number() OVER (PARTITION BY m.provider, m.bare ORDER BY m.key <> m.bare, m.litellm_provider <> m.provider, m.key) = 1 THEN m.bare ELSE m.key END AS model
        FROM named m
        ORDER BY m.n
    LOOP
        entry := e.key;
        provider := e.provider;
        model := e.model;
        IF jsonb_typeof(e.value) <> 'object' OR coalesce(provider, '') = '' OR model = '' THEN
            RAISE EXCEPTION 'entry "%" is no model of a provider', entry
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Each entry is an object with a "litellm_provider"; correct the document, nothing of it was imported.';
        END IF;
        kind := 'raw';
        region := '';
        service_class := 'standard';
        currency := 'USD';
        name := NULL;
        value := e.value;
        note := NULL;
        RETURN NEXT;

        -- A region in the path of the key is the region of the call, too.
        place := regexp_match(e.model, CASE provider WHEN 'bedrock' THEN '^([a-z]{2}(?:-[a-z]+){1,2}-\d)/(.+)$' WHEN 'azure' THEN '^(eu|us)/(.+)$' END);
        FOR r IN
            WITH x AS MATERIALIZED (
                SELECT y.* FROM cost_ledger_internal.litellm_rates(entry, e.value) y
            ), prices AS (
                SELECT y.service_class, y.currency, y.meter, y.rate FROM x y WHERE y.kind = 'price'
                UNION ALL
                -- A search whose size nobody says is a medium one.
                SELECT y.service_class, y.currency, 'web_search_requests', y.rate
                FROM x y WHERE y.kind = 'price' AND y.meter = 'web_search_requests_medium'
            )
            SELECT l.kind, l.service_class, l.region, l.currency, l.factor, l.path, l.value, l.note, l.rates
            FROM (SELECT x.kind, x.service_class, x.region, x.currency, x.factor, x.path, x.value, x.note, NULL::jsonb AS rates
                  FROM x
                  WHERE x.kind <> 'price'
                  UNION ALL
                  SELECT 'price', m.service_class, '', m.currency, NULL, NULL, NULL, NULL, jsonb_object_agg(m.meter, m.lines)
                  FROM (SELECT p.service_class, p.currency, p.meter, jsonb_agg(DISTINCT p.rate) AS lines
                        FROM prices p GROUP BY p.service_class, p.currency, p.meter) AS m
                  GROUP BY m.service_class, m.currency) AS l
            -- standard first: of a class that is not priced whole, it is the rest
            ORDER BY l.kind, l.service_class <> 'standard', l.service_class, l.region, l.path
        LOOP
            kind := r.kind;
            service_class := r.service_class;
            region := r.region;
            currency := r.currency;
            model := e.model;
            note := r.note;
            CASE kind
                WHEN 'price' THEN
                    name := CASE WHEN jsonb_typeof(e.value -> 'source') = 'string' THEN e.value ->> 'source' END;
                    value := r.rates;
                WHEN 'multiplier' THEN
                    name := CASE WHEN r.path[1] = 'provider_specific_entry' THEN r.path[2] ELSE 'regional_processing_uplift' END;
                    value := jsonb_build_object('factor', r.factor);
                ELSE
                    name := array_to_string(r.path, '.');
                    value := r.value;
            END CASE;
            RETURN NEXT;
            IF kind = 'price' AND place IS NOT NULL AND concat_ws(' ', provider, place[1], place[2], service_class) <> ALL (known_regions) THEN
                known_regions := known_regions || concat_ws(' ', provider, place[1], place[2], service_class);
                region := place[1];
                model := place[2];
                RETURN NEXT;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.litellm_items(jsonb) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.litellm_items(jsonb) IS
    'A LiteLLM price list as items: for each model its entry as it came (raw), a price for each service class, multipliers, and keys it does not know.';

--
-- Our own
--

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
                  WHERE d.key NOT IN ('prices', 'multipliers', 'aliases') OR jsonb_typeof(d.value) <> 'array') THEN
        RAISE EXCEPTION 'the document is not a cost_ledger price list'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is an array of prices, or {"prices": […], "multipliers": […], "aliases": […]}: what cost_ledger.export_prices() gives.';
    END IF;

    FOREACH part IN ARRAY '{prices,multipliers,aliases}'::text[] LOOP
        FOR e IN SELECT d.value FROM jsonb_array_elements(coalesce(doc -> part, '[]')) WITH ORDINALITY AS d (value, n) ORDER BY d.n LOOP
            entry := left(e::text, 100);
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
                RAISE EXCEPTION 'one of the % is not complete, or has a field that is not known: %', part, entry
                    USING ERRCODE = 'invalid_parameter_value',
                          HINT = CASE part
                                     WHEN 'prices' THEN 'Write {"provider": "openai", "model": "gpt-4o", "valid_from": "2024-10-02T00:00:00Z", "rates": {"input_tokens": 2.50, "output_tokens": 10.00}}; region, service_class, customer, currency, valid_to and source may be added.'
                                     WHEN 'multipliers' THEN 'Write {"provider": "openai", "name": "discount", "factor": 0.9, "valid_from": "2026-01-01T00:00:00Z"}; model, region, service_class, customer, tokens_only and source may be added.'
                                     ELSE 'Write {"match": "prefix", "pattern": "house/", "to_model": "gpt-4o"}; provider, priority and to_provider may be added.'
                                 END;
            END IF;
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
                service_class := coalesce(e ->> 'service_class', 'standard');
                currency := coalesce(e ->> 'currency', (cost_ledger_internal.ledger()).currency);
                entry := concat_ws(' ', provider, model, nullif(region, ''), service_class, nullif(customer, ''), e ->> 'valid_from');
                kind := 'raw';
                name := NULL;
                value := e;
                RETURN NEXT;
                kind := 'price';
                name := e ->> 'source';
                value := e -> 'rates';
            WHEN 'multipliers' THEN
                kind := 'multiplier';
                model := coalesce(e ->> 'model', '');
                service_class := coalesce(e ->> 'service_class', '');
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
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.own_items(jsonb) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.own_items(jsonb) IS
    'A price list of export_prices() as items.';

CREATE FUNCTION cost_ledger.export_prices(
    format text DEFAULT 'cost_ledger', at timestamptz DEFAULT NULL, source text DEFAULT NULL
) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    result jsonb;
    moment CONSTANT timestamptz := coalesce(export_prices.at, now());
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF export_prices.format = 'cost_ledger' THEN
        SELECT jsonb_build_object('format', 'cost_ledger',
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
                FROM cost_ledger.model_alias a))
            INTO result;
        RETURN result;
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

COMMENT ON FUNCTION cost_ledger.export_prices(text, timestamptz, text) IS
    'The price list as one JSON document: prices, multipliers and aliases, all versions or those in force at a time; import_prices(…, ''cost_ledger'') of it gives the same list. With format litellm the document that was imported under the name source, its prices those in force at the time (by default now): what import_prices() lost would be missing in it.';

CREATE FUNCTION cost_ledger_internal.litellm_export(entry text, raw jsonb, cards bigint[], at timestamptz) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    r record;
    result jsonb := raw;
BEGIN
    FOR r IN
        SELECT x.path, CASE x.kind WHEN 'price' THEN p.price ELSE m.factor END AS number
        FROM cost_ledger_internal.litellm_rates(entry, raw) x
        LEFT JOIN LATERAL (
            -- LiteLLM's unit is one; a line's is a power of ten, so digits move.
            SELECT CASE WHEN l.per = 1000000 THEN l.unit_price * 0.000001 ELSE l.unit_price END AS price
            FROM cost_ledger_internal.rate_card c
            JOIN cost_ledger_internal.price v ON v.card_id = c.card_id AND v.valid_from <= at AND (v.valid_to IS NULL OR v.valid_to > at)
            JOIN cost_ledger_internal.price_line l ON l.price_id = v.price_id
            WHERE x.kind = 'price' AND c.card_id = ANY (cards) AND c.region = '' AND c.customer = ''
              AND c.service_class = x.service_class AND v.currency = x.currency
              AND l.meter = x.meter AND l.per = (x.rate ->> 'per')::bigint AND l.over_tokens = coalesce((x.rate ->> 'over')::numeric, 0)
              AND l.is_inclusive = coalesce((x.rate ->> 'inclusive')::boolean, false) AND NOT l.is_graduated AND l.window_zone IS NULL) AS p ON true
        LEFT JOIN LATERAL (
            SELECT k.factor
            FROM cost_ledger_internal.rate_card c
            JOIN cost_ledger.price_multiplier k ON k.provider = c.provider AND k.model = c.model
            WHERE x.kind = 'multiplier' AND c.card_id = ANY (cards) AND c.region = '' AND c.customer = '' AND c.service_class = 'standard'
              AND k.region = x.region AND k.service_class = x.service_class AND k.customer = '' AND k.valid_from <= at
              AND k.name = CASE WHEN x.path[1] = 'provider_specific_entry' THEN x.path[2] ELSE 'regional_processing_uplift' END
            ORDER BY k.valid_from DESC LIMIT 1) AS m ON true
        WHERE x.kind IN ('price', 'multiplier')
        ORDER BY x.path DESC
    LOOP
        result := CASE WHEN r.number IS NULL THEN result #- r.path ELSE jsonb_set(result, r.path, to_jsonb(trim_scale(r.number))) END;
    END LOOP;
    RETURN result;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.litellm_export(text, jsonb, bigint[], timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.litellm_export(text, jsonb, bigint[], timestamptz) IS
    'An entry of LiteLLM''s list with the prices and multipliers that its rate cards have at a time.';

--
-- All formats
--

CREATE FUNCTION cost_ledger_internal.import_items(doc jsonb, format text) RETURNS TABLE (
        entry text, kind text, provider text, model text, region text, service_class text, customer text, currency text,
        valid_from timestamptz, valid_to timestamptz, name text, value jsonb, note text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CASE format
        WHEN 'genai-prices' THEN
            RETURN QUERY SELECT * FROM cost_ledger_internal.genai_items(doc);
        WHEN 'litellm' THEN
            RETURN QUERY SELECT * FROM cost_ledger_internal.litellm_items(doc);
        WHEN 'cost_ledger' THEN
            RETURN QUERY SELECT * FROM cost_ledger_internal.own_items(doc);
        ELSE
            RAISE EXCEPTION 'format "%" of a price list is not known', coalesce(format, 'NULL')
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Formats are litellm, genai-prices and cost_ledger.';
    END CASE;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.import_items(jsonb, text) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.import_items(jsonb, text) IS
    'What a price list says, in items that are the same for every format: raw (an entry as it came), price (value is a rates object), multiplier (name, value is the factor), alias (name is how to match, value the pattern) and unknown (name is the key).';

CREATE FUNCTION cost_ledger.import_prices(
    doc          jsonb,
    format       text DEFAULT 'litellm',
    valid_from   timestamptz DEFAULT NULL,
    dry_run      boolean DEFAULT false,
    source       text DEFAULT NULL,
    hold_factor  numeric DEFAULT 10,
    close_gone   boolean DEFAULT false,
    OUT provider       text,
    OUT model          text,
    OUT region         text,
    OUT service_class  text,
    OUT customer       text,
    OUT meter          text,
    OUT condition      text,
    OUT change         text,
    OUT old_price      numeric,
    OUT new_price      numeric,
    OUT per            bigint,
    OUT currency       text,
    OUT applies_from   timestamptz,
    OUT note           text
) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    -- Queries over documents look big to the planner, and none is.
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    -- Before the first model of any list.
    beginning CONSTANT timestamptz := '2020-01-01 00:00+00';
    document CONSTANT text := coalesce(import_prices.source, import_prices.format);
    dry CONSTANT boolean := coalesce(import_prices.dry_run, false);
    at timestamptz := coalesce(import_prices.valid_from, now());
    last_price bigint;
    item record;
    live record;
    d record;
    starts timestamptz;
    entry_name text;
    entry_source bigint;
    entry_raw jsonb;
    entry_is_new boolean;
    card bigint;
    is_known boolean;
    is_same boolean;
    rows_of_card record;
    suspicion text;
    held bigint;
    held_decision text;
    new_id bigint;
    seen_cards bigint[] := '{}';
    new_aliases jsonb[] := '{}';
    n_prices integer := 0;
    total integer := 0;
    err_state text;
    err_message text;
    err_detail text;
    err_hint text;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF import_prices.doc IS NULL THEN
        RAISE EXCEPTION 'there is no document to import'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Read it into jsonb first, e.g. in psql: \set doc `cat prices.json` and import_prices(:''doc'', …).';
    END IF;
    IF NOT isfinite(at) THEN
        RAISE EXCEPTION 'prices are valid from a finite time'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'Leave valid_from out for now.';
    END IF;
    IF import_prices.hold_factor <= 1 OR import_prices.hold_factor = 'NaN' THEN
        RAISE EXCEPTION 'hold_factor % is not more than 1', import_prices.hold_factor
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'Rates that rise or fall by more than this factor are held; NULL holds none.';
    END IF;
    SELECT coalesce(max(p.price_id), 0) INTO last_price FROM cost_ledger_internal.price p;

    -- In a block of its own: what a dry run has done is undone, while the rows
    -- that tell of it stay.
    BEGIN
        -- One import at a time; readers and set_price() are not in its way.
        LOCK TABLE cost_ledger_internal.price_source IN SHARE ROW EXCLUSIVE MODE;

        FOR item IN
            SELECT i.*, count(*) FILTER (WHERE i.kind = 'price') OVER () AS prices,
                   lead(i.valid_from) OVER card AS next_from,
                   i.kind = 'price' AND row_number() OVER (PARTITION BY i.kind, i.provider, i.model, i.region, i.service_class, i.customer, i.valid_from) > 1 AS is_twice
            FROM (SELECT u.*, row_number() OVER () AS n FROM cost_ledger_internal.import_items(import_prices.doc, import_prices.format) u) AS i
            WINDOW card AS (PARTITION BY i.kind, i.provider, i.model, i.region, i.service_class, i.customer ORDER BY i.valid_from NULLS FIRST)
            ORDER BY i.n
        LOOP
            entry_name := item.entry;
            provider := item.provider;
            model := item.model;
            region := item.region;
            service_class := item.service_class;
            customer := item.customer;
            meter := NULL;
            condition := NULL;
            old_price := NULL;
            new_price := NULL;
            per := NULL;
            currency := item.currency;
            applies_from := NULL;
            note := item.note;

            CASE item.kind
            WHEN 'raw' THEN
                SELECT s.source_id, s.raw INTO entry_source, entry_raw
                    FROM cost_ledger_internal.price_source s
                    WHERE s.format = import_prices.format AND s.document = document AND s.entry = item.entry
                    ORDER BY s.source_id DESC LIMIT 1;
                entry_is_new := entry_raw IS DISTINCT FROM item.value;
                IF entry_is_new THEN
                    INSERT INTO cost_ledger_internal.price_source (format, document, entry, raw)
                        VALUES (import_prices.format, document, item.entry, item.value)
                        RETURNING source_id INTO entry_source;
                END IF;

            WHEN 'unknown' THEN
                IF entry_is_new THEN
                    UPDATE cost_ledger_internal.price_source s SET unknown = s.unknown || item.name WHERE s.source_id = entry_source;
                    meter := item.name;
                    change := 'unknown';
                    new_price := CASE jsonb_typeof(item.value) WHEN 'number' THEN item.value::numeric END;
                    note := coalesce(item.note, 'not loaded; kept in price_source: ' || left(item.value::text, 200));
                    RETURN NEXT;
                END IF;

            WHEN 'alias' THEN
                new_aliases := new_aliases || jsonb_build_object('provider', item.provider, 'match', item.name, 'to_model', item.model,
                    'pattern', item.value -> 'pattern', 'priority', item.value -> 'priority', 'to_provider', item.value -> 'to_provider');

            WHEN 'multiplier' THEN
                starts := coalesce(item.valid_from, at);
                SELECT m.factor, m.tokens_only INTO live
                    FROM cost_ledger.price_multiplier m
                    WHERE m.provider = item.provider AND m.model = item.model AND m.region = item.region AND m.service_class = item.service_class
                      AND m.customer = item.customer AND m.name = item.name AND m.valid_from <= starts
                    ORDER BY m.valid_from DESC LIMIT 1;
                new_price := (item.value ->> 'factor')::numeric;
                IF (live.factor, live.tokens_only) IS DISTINCT FROM (new_price, coalesce((item.value ->> 'tokens_only')::boolean, true))
                   AND NOT (live.factor IS NULL AND new_price = 1 AND item.valid_from IS NULL) THEN
                    PERFORM cost_ledger.set_multiplier(item.provider, item.name, new_price, starts, item.model, item.region, item.service_class,
                                                       item.customer, coalesce((item.value ->> 'tokens_only')::boolean, true),
                                                       CASE WHEN import_prices.format = 'cost_ledger' THEN item.value ->> 'source' ELSE document END);
                    meter := '× ' || item.name;
                    change := CASE WHEN live.factor IS NULL THEN 'new' ELSE 'changed' END;
                    old_price := live.factor;
                    applies_from := starts;
                    RETURN NEXT;
                END IF;

            WHEN 'price' THEN
                n_prices := n_prices + 1;
                IF n_prices % 500 = 0 THEN
                    RAISE INFO 'compared % of % prices', n_prices, item.prices;
                END IF;
                IF item.is_twice THEN
                    RAISE EXCEPTION 'the document has two prices of model "%" of "%" for the same time', item.model, item.provider
                        USING ERRCODE = 'unique_violation',
                              HINT = 'Take one of them out; nothing was imported.';
                END IF;
                SELECT c.card_id, EXISTS (SELECT FROM cost_ledger_internal.price p WHERE p.card_id = c.card_id AND p.price_id <= last_price
                                                                            AND p.valid_to IS DISTINCT FROM p.valid_from)
                    INTO card, is_known
                    FROM cost_ledger_internal.rate_card c
                    WHERE c.provider = item.provider AND c.model = item.model AND c.region = item.region
                      AND c.service_class = item.service_class AND c.customer = item.customer;
                is_known := coalesce(is_known, false);
                IF card IS NOT NULL THEN
                    seen_cards := seen_cards || card;
                END IF;

                -- Dated documents tell the history of a card that is new here;
                -- of one that has prices nothing changes before "at".
                starts := CASE WHEN import_prices.format = 'cost_ledger' THEN coalesce(item.valid_from, at)
                               WHEN import_prices.format = 'genai-prices' AND import_prices.valid_from IS NULL AND NOT is_known THEN coalesce(item.valid_from, beginning)
                               ELSE greatest(item.valid_from, at) END;
                CONTINUE WHEN import_prices.format <> 'cost_ledger' AND item.next_from <= starts;

                SELECT p.price_id, p.valid_from, p.valid_to, p.currency,
                       (SELECT min(n.valid_from) FROM cost_ledger_internal.price n WHERE n.card_id = card AND n.valid_to IS DISTINCT FROM n.valid_from AND n.valid_from > starts) AS next_from
                    INTO live
                    FROM cost_ledger_internal.price p
                    WHERE p.card_id = card AND p.valid_to IS DISTINCT FROM p.valid_from
                      AND p.valid_from <= starts AND (p.valid_to IS NULL OR p.valid_to > starts);
                applies_from := starts;
                suspicion := NULL;
                held := NULL;

                SELECT count(*) AS n,
                       -- A million is a million whatever "per": compare per unit.
                       string_agg(format('%s%s from %s to %s per %s', x.meter, ' (' || nullif(x.condition, '') || ')', trim_scale(x.old_unit * x.per), trim_scale(x.new_price), x.per),
                                  '; ' ORDER BY x.meter COLLATE "C", x.condition COLLATE "C")
                           FILTER (WHERE greatest(x.old_unit, x.new_unit) > least(x.old_unit, x.new_unit) * import_prices.hold_factor) AS jumps,
                       jsonb_agg(to_jsonb(x) ORDER BY x.meter COLLATE "C", x.condition COLLATE "C") AS list
                    INTO rows_of_card
                    FROM (SELECT meter, condition, o.unit_price AS old_price, n.unit_price AS new_price, coalesce(n.per, o.per) AS per,
                                 o.unit_price * (1000000000 / o.per) / 1000000000 AS old_unit, n.unit_price * (1000000000 / n.per) / 1000000000 AS new_unit
                          FROM (SELECT r.meter, cost_ledger_internal.rate_condition(r.over_tokens, r.is_inclusive, r.is_graduated, r.window_start, r.window_end, r.window_days, r.window_zone) AS condition,
                                       r.unit_price, r.per
                                FROM cost_ledger_internal.rate_lines(item.value) r) AS n
                          FULL JOIN (SELECT l.meter, cost_ledger_internal.rate_condition(l.over_tokens, l.is_inclusive, l.is_graduated, l.window_start, l.window_end, l.window_days, l.window_zone) AS condition,
                                            l.unit_price, l.per
                                     FROM cost_ledger_internal.price_line l WHERE l.price_id = live.price_id) AS o USING (meter, condition)
                          WHERE (o.unit_price, o.per, live.currency) IS DISTINCT FROM (n.unit_price, n.per, item.currency)) AS x;

                is_same := rows_of_card.n = 0
                           AND (import_prices.format <> 'cost_ledger' OR live.valid_to IS NOT DISTINCT FROM least(item.valid_to, item.next_from, live.next_from));
                IF NOT is_same AND rows_of_card.jumps IS NOT NULL AND live.price_id <= last_price THEN
                    suspicion := rows_of_card.jumps;
                    SELECT h.held_id, h.decision INTO held, held_decision
                        FROM cost_ledger.held_price h
                        WHERE h.provider = item.provider AND h.model = item.model AND h.region = item.region AND h.service_class = item.service_class
                          AND h.customer = item.customer AND h.rates = item.value AND h.currency = item.currency
                          AND (h.decision IS NULL OR h.decision = 'rejected')
                        ORDER BY h.held_id DESC LIMIT 1;
                END IF;
                -- The document says something else now than what waits.
                UPDATE cost_ledger.held_price h SET decision = 'superseded', decided_at = now(), decided_by = current_user
                    WHERE h.provider = item.provider AND h.model = item.model AND h.region = item.region AND h.service_class = item.service_class
                      AND h.customer = item.customer AND h.source = document AND h.decision IS NULL AND h.held_id IS DISTINCT FROM held;
                CONTINUE WHEN is_same;

                IF suspicion IS NULL THEN
                    new_id := cost_ledger.set_price(item.provider, item.model, item.value, starts, item.valid_to, item.service_class, item.region, item.currency,
                                                    CASE WHEN import_prices.format = 'cost_ledger' THEN item.name ELSE coalesce(item.name, document) END, true, item.customer);
                    INSERT INTO cost_ledger_internal.price_origin (price_id, source_id) VALUES (new_id, entry_source) ON CONFLICT DO NOTHING;
                    IF card IS NULL THEN
                        SELECT p.card_id INTO card FROM cost_ledger_internal.price p WHERE p.price_id = new_id;
                        seen_cards := seen_cards || card;
                    END IF;
                ELSIF held IS NULL THEN
                    INSERT INTO cost_ledger.held_price (provider, model, region, service_class, customer, currency, valid_from, valid_to, rates, reason, source, source_id)
                        VALUES (item.provider, item.model, item.region, item.service_class, item.customer, item.currency, starts, item.valid_to, item.value,
                                suspicion, document, entry_source)
                        RETURNING held_id INTO held;
                    -- The number of a row that a dry run takes back would mislead.
                    note := CASE WHEN dry THEN 'to be held for review' ELSE format('held_price %s', held) END;
                ELSE
                    note := format(CASE held_decision WHEN 'rejected' THEN 'rejected as held_price %s' ELSE 'held_price %s' END, held);
                END IF;

                FOR d IN SELECT * FROM jsonb_to_recordset(rows_of_card.list) AS x (meter text, condition text, old_price numeric, new_price numeric, per bigint) LOOP
                    meter := d.meter;
                    condition := nullif(d.condition, '');
                    old_price := d.old_price;
                    new_price := d.new_price;
                    per := d.per;
                    change := CASE WHEN suspicion IS NOT NULL THEN 'held' WHEN d.old_price IS NULL THEN 'new' WHEN d.new_price IS NULL THEN 'gone' ELSE 'changed' END;
                    RETURN NEXT;
                END LOOP;
                IF rows_of_card.n = 0 THEN
                    change := 'changed';
                    note := format('in force until %s instead of %s', coalesce(item.valid_to::text, 'further notice'), coalesce(live.valid_to::text, 'further notice'));
                    RETURN NEXT;
                END IF;
            END CASE;
        END LOOP;
        entry_name := NULL;

        -- Models that an earlier state of the document had.
        FOR d IN
            SELECT c.provider, c.model, c.region, c.service_class, c.customer, p.price_id, p.valid_from, p.currency
            FROM cost_ledger_internal.price p
            JOIN cost_ledger_internal.rate_card c ON c.card_id = p.card_id
            JOIN cost_ledger_internal.price_origin o ON o.price_id = p.price_id
            JOIN cost_ledger_internal.price_source s ON s.source_id = o.source_id
            WHERE s.format = import_prices.format AND s.document = document
              AND p.valid_from <= at AND p.valid_to IS NULL
              AND NOT p.card_id = ANY (seen_cards)
            ORDER BY c.provider, c.model, c.region, c.service_class, c.customer
        LOOP
            provider := d.provider;
            model := d.model;
            region := d.region;
            service_class := d.service_class;
            customer := d.customer;
            currency := d.currency;
            change := 'gone';
            new_price := NULL;
            applies_from := at;
            note := CASE WHEN import_prices.close_gone THEN 'not in the document any more: its price ends' ELSE 'not in the document any more: its price stays' END;
            FOR meter, condition, old_price, per IN
                SELECT l.meter, nullif(cost_ledger_internal.rate_condition(l.over_tokens, l.is_inclusive, l.is_graduated, l.window_start, l.window_end, l.window_days, l.window_zone), ''),
                       l.unit_price, l.per
                FROM cost_ledger_internal.price_line l WHERE l.price_id = d.price_id ORDER BY l.line
            LOOP
                RETURN NEXT;
            END LOOP;
            IF import_prices.close_gone THEN
                UPDATE cost_ledger_internal.price p SET valid_to = at WHERE p.price_id = d.price_id;
            END IF;
        END LOOP;

        -- Aliases: those of people (priority 0 and above) are left alone.
        FOR d IN
            WITH wanted AS (
                SELECT a.provider, a.match, a.pattern, a.priority, a.to_provider, a.to_model
                FROM unnest(new_aliases) AS u (j), jsonb_to_record(u.j) AS a (provider text, match text, pattern text, priority integer, to_provider text, to_model text)
            ), changes AS (
                SELECT w.*, k.to_model AS old_model, k.priority AS old_priority
                FROM wanted w
                LEFT JOIN cost_ledger.model_alias k ON k.provider = w.provider AND k.match = w.match AND k.pattern = w.pattern
                WHERE (k.priority, k.to_provider, k.to_model) IS DISTINCT FROM (w.priority, w.to_provider, w.to_model)
                  AND (k.priority IS NULL OR k.priority < 0 OR import_prices.format = 'cost_ledger')
            ), written AS (
                INSERT INTO cost_ledger.model_alias (provider, match, pattern, priority, to_provider, to_model)
                    SELECT c.provider, c.match, c.pattern, c.priority, c.to_provider, c.to_model FROM changes c
                    ON CONFLICT (provider, match, pattern) DO UPDATE
                        SET priority = EXCLUDED.priority, to_provider = EXCLUDED.to_provider, to_model = EXCLUDED.to_model
            )
            SELECT c.provider, count(*) FILTER (WHERE c.old_model IS NULL) AS added, count(*) FILTER (WHERE c.old_model IS NOT NULL) AS changed
            FROM changes c GROUP BY c.provider ORDER BY c.provider
        LOOP
            provider := d.provider;
            model := NULL;
            region := NULL;
            service_class := NULL;
            customer := NULL;
            meter := NULL;
            condition := NULL;
            currency := NULL;
            old_price := NULL;
            new_price := NULL;
            per := NULL;
            applies_from := NULL;
            change := 'alias';
            note := format('model_alias: %s new, %s changed', d.added, d.changed);
            RETURN NEXT;
        END LOOP;

        IF dry THEN
            RAISE EXCEPTION USING ERRCODE = 'LC099', MESSAGE = 'dry run';
        END IF;
    EXCEPTION
        WHEN SQLSTATE 'LC099' THEN
            NULL;
        WHEN OTHERS THEN
            -- Prices know neither the document nor their place in it.
            IF entry_name IS NULL THEN
                RAISE;
            END IF;
            GET STACKED DIAGNOSTICS err_state = RETURNED_SQLSTATE, err_message = MESSAGE_TEXT, err_detail = PG_EXCEPTION_DETAIL, err_hint = PG_EXCEPTION_HINT;
            RAISE EXCEPTION USING ERRCODE = err_state, MESSAGE = err_message,
                DETAIL = concat_ws(' ', nullif(err_detail, ''), format('Entry "%s" of the document.', entry_name)),
                HINT = coalesce(nullif(err_hint, ''), 'Correct the document; nothing of it was imported.');
    END;
END
$$;

COMMENT ON FUNCTION cost_ledger.import_prices(jsonb, text, timestamptz, boolean, text, numeric, boolean) IS
    'Imports a price list of format litellm, genai-prices or cost_ledger (what export_prices() gives) and returns what that changed, a row per rate: change is new, changed, gone (not in the document any more; its price stays unless close_gone), held (not set but waiting in held_price: some rate of a live price would rise or fall by more than hold_factor, or to or from 0; NULL holds nothing), unknown (a key that speaks of a price and is not known; kept in price_source) or alias. Prices per "per" units; what has not changed is not listed. The prices hold from valid_from, by default now; where the document has dates of its own, from these, and a first import of genai-prices from 2020 on. dry_run shows the same rows and writes nothing. source names the document in price_source.';

CREATE FUNCTION cost_ledger_internal.held_price(held_id bigint) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    h jsonb;
BEGIN
    -- Decided once, whoever comes first.
    SELECT to_jsonb(p) INTO h FROM cost_ledger.held_price p WHERE p.held_id = held_price.held_id FOR UPDATE;
    IF h IS NULL THEN
        RAISE EXCEPTION 'there is no held price %', coalesce(held_id::text, 'NULL')
            USING ERRCODE = 'no_data_found',
                  HINT = 'Those that wait: SELECT * FROM cost_ledger.held_price WHERE decision IS NULL;';
    ELSIF h ->> 'decision' IS NOT NULL THEN
        RAISE EXCEPTION 'held price % is already %', held_id, h ->> 'decision'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'A price of your own is set with cost_ledger.set_price().';
    END IF;
    RETURN h;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger_internal.held_price(bigint) FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger_internal.held_price(bigint) IS
    'A held price that waits for a decision, locked; an error where there is none (P0002) or it is decided (55000).';

CREATE FUNCTION cost_ledger.accept_held_price(held_id bigint, comment text DEFAULT NULL, valid_from timestamptz DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    h CONSTANT jsonb := cost_ledger_internal.held_price(held_id);
    new_id bigint;
BEGIN
    new_id := cost_ledger.set_price(h ->> 'provider', h ->> 'model', h -> 'rates', coalesce(accept_held_price.valid_from, (h ->> 'valid_from')::timestamptz),
                                    (h ->> 'valid_to')::timestamptz, h ->> 'service_class', h ->> 'region', h ->> 'currency', h ->> 'source', true, h ->> 'customer');
    IF h ->> 'source_id' IS NOT NULL THEN
        INSERT INTO cost_ledger_internal.price_origin (price_id, source_id) VALUES (new_id, (h ->> 'source_id')::bigint) ON CONFLICT DO NOTHING;
    END IF;
    UPDATE cost_ledger.held_price p
        SET decision = 'accepted', decided_at = now(), decided_by = current_user, comment = accept_held_price.comment, price_id = new_id
        WHERE p.held_id = accept_held_price.held_id;
    RETURN new_id;
END
$$;

COMMENT ON FUNCTION cost_ledger.accept_held_price(bigint, text, timestamptz) IS
    'Sets a held price, from the time its document gave or from valid_from, and returns its price_id. An error where it is already decided (55000).';

CREATE FUNCTION cost_ledger.reject_held_price(held_id bigint, comment text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger_internal.held_price(held_id);
    UPDATE cost_ledger.held_price p
        SET decision = 'rejected', decided_at = now(), decided_by = current_user, comment = reject_held_price.comment
        WHERE p.held_id = reject_held_price.held_id;
END
$$;

COMMENT ON FUNCTION cost_ledger.reject_held_price(bigint, text) IS
    'Turns a held price down: it never goes live, and importing the same rates again does not hold them again. An error where it is already decided (55000).';
