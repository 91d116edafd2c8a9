-- The format of LiteLLM's price list, read into items and written again.
--
-- A key has a grammar: what it prices, for which class, beyond which size.  One
-- function knows it, litellm_key(), and import and export both go by it, so an
-- entry that was read can be written with other prices in the same places.

CREATE FUNCTION cost_ledger_internal.litellm_key(
    key text, OUT meter text, OUT service_class text, OUT over_tokens bigint, OUT per bigint, OUT is_dbu boolean, OUT synonym integer
) RETURNS record
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
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
        WHEN 'input_cost_per_query' THEN 'search_units'
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

COMMENT ON FUNCTION cost_ledger_internal.litellm_key(text) IS
    'What a price key of LiteLLM means here: meter (NULL for one that is not known), service class, context tier, units that the line''s price buys, whether it is in Databricks units, and whether it is a later-named synonym.';

CREATE FUNCTION cost_ledger_internal.litellm_meter(meter text, raw jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        -- Models that make images have no other price than that of an image.
        WHEN meter = 'input_images' AND raw ->> 'mode' IN ('image_generation', 'image_edit') AND NOT raw ? 'output_cost_per_image' THEN 'output_images'
        -- What is called an image here is a token of one, says OpenAI.
        WHEN meter = 'input_images' AND raw ->> 'mode' = 'realtime' THEN 'input_image_tokens'
        -- A video's seconds are the seconds of what was made.
        WHEN meter = 'output_video_seconds' AND NOT raw ? 'output_cost_per_second' THEN 'output_seconds'
        -- The duration that is transcribed is one, whichever side has its price.
        WHEN meter IN ('input_seconds', 'output_seconds') AND raw ->> 'mode' = 'audio_transcription' AND coalesce(raw -> 'input_cost_per_second', '0') = '0'
            THEN CASE meter WHEN 'input_seconds' THEN 'output_seconds' ELSE 'input_seconds' END
        ELSE meter
    END
$$;

COMMENT ON FUNCTION cost_ledger_internal.litellm_meter(text, jsonb) IS
    'The meter that a price of LiteLLM is for, which depends on the mode of its entry: calls report what images a model has made, what tokens of images it was shown, how long a video or a recording is.';

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
                    ELSE m.meter || coalesce(f.results, '') END AS meter,
               k.service_class, k.is_dbu, CASE WHEN m.meter = 'input_image_tokens' THEN 1000000 ELSE coalesce(k.per, 1) END AS per, k.synonym,
               CASE WHEN f.range_from > 0 AND k.over_tokens = 0 THEN f.range_from ELSE k.over_tokens END AS over_tokens,
               f.range_from, f.key
        FROM found f, LATERAL cost_ledger_internal.litellm_key(f.key) k, LATERAL (SELECT cost_ledger_internal.litellm_meter(k.meter, raw) AS meter) AS m
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

COMMENT ON FUNCTION cost_ledger_internal.litellm_rates(text, jsonb) IS
    'Every price and multiplier of one entry of LiteLLM''s list: where it stands (path), and the line (meter, class, currency and rate) or multiplier (region or class, factor) that it is here; or that it is unknown.';

CREATE FUNCTION cost_ledger_internal.litellm_entries(doc jsonb) RETURNS TABLE (entry text, raw jsonb, provider text, model text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
#variable_conflict use_column
BEGIN
    IF jsonb_typeof(doc) IS DISTINCT FROM 'object'
       OR NOT EXISTS (SELECT FROM jsonb_each(CASE WHEN jsonb_typeof(doc) = 'object' THEN doc END) AS d
                      WHERE jsonb_typeof(d.value -> 'litellm_provider') = 'string') THEN
        RAISE EXCEPTION 'the document is not a LiteLLM price list'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is an object of models, each with a "litellm_provider": model_prices_and_context_window.json of LiteLLM.';
    END IF;
    RETURN QUERY
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
               CASE WHEN split_part(n.key, '/', 1) = ANY (cost_ledger_internal.provider_names(n.litellm_provider))
                    THEN coalesce(nullif(substr(n.key, strpos(n.key, '/') + 1), ''), n.key) ELSE n.key END AS bare
        FROM entries n
    )
    -- Of two entries of one name the plainer has it, the other keeps its key.
    SELECT m.key, m.value, m.provider,
           CASE WHEN row_number() OVER (PARTITION BY m.provider, m.bare ORDER BY m.key <> m.bare, m.litellm_provider <> m.provider, m.key) = 1 THEN m.bare ELSE m.key END AS model
    FROM named m
    ORDER BY m.n;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.litellm_entries(jsonb) IS
    'The entries of a LiteLLM price list, in its order, each with the provider that sends the bill and a model''s name that no other entry of that provider has.';

CREATE FUNCTION cost_ledger_internal.litellm_lines(entry text, raw jsonb) RETURNS TABLE (
        kind text, service_class text, region text, currency text, factor numeric, path text[], value jsonb, note text, rates jsonb)
    -- PL/pgSQL, whose plans are kept: this runs thousands of times.
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH x AS MATERIALIZED (
        SELECT y.* FROM cost_ledger_internal.litellm_rates(entry, raw) y
    ), prices AS (
        SELECT y.service_class, y.currency, y.meter, y.rate FROM x y WHERE y.kind = 'price'
        UNION ALL
        -- A search whose size nobody says is a medium one.
        SELECT y.service_class, y.currency, 'web_search_requests', y.rate
        FROM x y WHERE y.kind = 'price' AND y.meter = 'web_search_requests_medium'
        UNION ALL
        -- An image whose size is in the model's name has so many pixels.
        SELECT y.service_class, y.currency, 'output_images',
               y.rate || jsonb_build_object('price', trim_scale((y.rate ->> 'price')::numeric * size[1]::numeric * size[2]::numeric))
        FROM x y, regexp_match(entry, '(?:^|/)([0-9]{2,5})-x-([0-9]{2,5})/') AS size
        WHERE size IS NOT NULL AND y.kind = 'price' AND y.meter = 'input_pixels' AND y.price > 0 AND NOT EXISTS (SELECT FROM x z WHERE z.meter = 'output_images')
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
    ORDER BY l.kind, l.service_class <> 'standard', l.service_class, l.region, l.path;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.litellm_lines(text, jsonb) IS
    'What one entry of LiteLLM''s list says: a row for the rates of each service class and currency, for each multiplier, and for each key that is not known.';

CREATE FUNCTION cost_ledger_internal.litellm_items(doc jsonb) RETURNS TABLE (
        entry text, kind text, provider text, model text, region text, service_class text, customer text, currency text,
        valid_from timestamptz, valid_to timestamptz, name text, value jsonb, note text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    e record;
    r record;
    known_regions text[] := '{}';
    place text[];
BEGIN
    customer := '';
    FOR e IN SELECT x.* FROM cost_ledger_internal.litellm_entries(doc) x LOOP
        entry := e.entry;
        provider := e.provider;
        model := e.model;
        IF jsonb_typeof(e.raw) <> 'object' OR coalesce(provider, '') = '' OR model = '' THEN
            RAISE EXCEPTION 'entry "%" is no model of a provider', entry
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Each entry is an object with a "litellm_provider"; correct the document, nothing of it was imported.';
        END IF;
        kind := 'raw';
        region := '';
        service_class := 'standard';
        currency := 'USD';
        name := NULL;
        value := e.raw;
        note := NULL;
        RETURN NEXT;

        -- A region in the path of the key is the region of the call, too.
        place := regexp_match(e.model, CASE provider WHEN 'bedrock' THEN '^([a-z]{2}(?:-[a-z]+){1,2}-\d)/(.+)$' WHEN 'azure' THEN '^(eu|us)/(.+)$' END);
        FOR r IN SELECT x.* FROM cost_ledger_internal.litellm_lines(entry, e.raw) x LOOP
            kind := r.kind;
            service_class := r.service_class;
            region := r.region;
            currency := r.currency;
            model := e.model;
            note := r.note;
            CASE kind
                WHEN 'price' THEN
                    name := CASE WHEN jsonb_typeof(e.raw -> 'source') = 'string' THEN e.raw ->> 'source' END;
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

COMMENT ON FUNCTION cost_ledger_internal.litellm_items(jsonb) IS
    'A LiteLLM price list as items: for each model its entry as it came (raw), a price for each service class, multipliers, and keys it does not know.';

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

COMMENT ON FUNCTION cost_ledger_internal.litellm_export(text, jsonb, bigint[], timestamptz) IS
    'An entry of LiteLLM''s list with the prices and multipliers that its rate cards have at a time.';
