-- Models: how the name a call carries finds its rate card, and what all cards
-- that apply to a call come to.  In PL/pgSQL, which keeps its plans for the
-- session; a function in SQL would plan these statements at every call.
--
-- A name is looked for whole before anything is taken away from it, since what
-- is taken away may be all that tells two cards apart; then less of its path at
-- a time, and at each step what it may be called otherwise.  Upper and lower
-- case are the same, but where two cards differ in nothing else.

CREATE FUNCTION cost_ledger_internal.provider_groups() RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN '{
        openai openai.chat openai.responses openai.completion openai.embedding,
        anthropic anthropic.messages claude,
        aws.bedrock aws bedrock bedrock_converse amazon-bedrock amazon_bedrock amazon.bedrock aws_bedrock aws-bedrock,
        gcp.gemini google gemini google-ai-studio gcp.gen_ai google_genai google-genai google-gla google.generative-ai google_generative_ai,
        gcp.vertex_ai vertex_ai vertex google-vertex google_vertexai google_vertex google.vertex vertexai vertex-ai,
        azure.ai.openai azure azure_openai azure-openai az.ai.openai azure_text,
        azure.ai.inference azure_ai az.ai.inference azure-ai,
        azure.ai.openai azure azure_openai azure-openai az.ai.openai azure_text azure.ai.inference azure_ai az.ai.inference azure-ai,
        x_ai x-ai xai grok,
        mistral_ai mistral mistralai mistral-ai,
        cohere cohere_chat,
        together_ai together together-ai togetherai together.ai,
        fireworks_ai fireworks fireworks-ai fireworks.ai,
        moonshot_ai moonshot moonshotai moonshot-ai,
        perplexity perplexity_ai perplexity-ai,
        deepseek deepseek_ai deepseek-ai,
        voyage voyageai voyage_ai voyage-ai,
        ibm.watsonx.ai watsonx watsonx_ai ibm,
        amazon_nova amazon-nova,
        zai z-ai z_ai z.ai,
        zhipuai zhipu zhipu_ai zhipu-ai,
        novita novita_ai novita-ai,
        nebius nebius_ai nebius-ai,
        nvidia_nim nvidia-nim nvidia,
        jina_ai jina jina-ai jinaai,
        lambda_ai lambda lambda-ai,
        dashscope alibaba alibaba_cloud,
        vercel_ai_gateway vercel-ai-gateway vercel,
        github_copilot github-copilot,
        friendliai friendli,
        stability stability_ai stability-ai stabilityai,
        black_forest_labs black-forest-labs,
        ovhcloud ovh}';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.provider_groups() IS
    'Names of who sends one bill, each group with blanks between them: in the words of OpenTelemetry (first, where it has one), LiteLLM, genai-prices, Vercel''s AI SDK, Pydantic AI and LangChain. Azure is in three: its two halves, and both.';

CREATE FUNCTION cost_ledger_internal.provider_names(provider text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    -- LiteLLM has some of them in parts, by kind of model.
    plain CONSTANT text := regexp_replace(regexp_replace(lower(provider COLLATE "C"), '^(vertex_ai|fireworks_ai)-.*$', '\1'), '^text-completion-', '');
    names text[] := ARRAY[provider, plain];
    g text;
BEGIN
    FOREACH g IN ARRAY cost_ledger_internal.provider_groups() LOOP
        IF strpos(' ' || g || ' ', ' ' || plain || ' ') > 0 THEN
            names := names || string_to_array(g, ' ');
        END IF;
    END LOOP;
    RETURN names;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.provider_names(text) IS
    'The names under which a provider''s rate cards may be, best first: its own, then those that others have for who sends the same bill. Some come twice.';

CREATE FUNCTION cost_ledger_internal.provider_prefix(provider text, model text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Hosts that make no models: before a path, none of these says whose model
    -- it is, so it says who bills for it.
    hosts CONSTANT text[] := '{azure,azure_ai,bedrock,bedrock_converse,vertex_ai,gemini,openrouter,groq,together_ai,fireworks_ai,cerebras,deepinfra,databricks,sagemaker,
        replicate,watsonx,oci,snowflake,cloudflare,novita,nebius,sambanova,hyperbolic,nscale,ovhcloud,vercel_ai_gateway}';
    -- Most write a path; Pydantic AI writes openai:gpt-5.
    prefix CONSTANT text := substring(model FROM '^([^/:]+)[/:]');
    name CONSTANT text := lower(prefix COLLATE "C");
BEGIN
    IF prefix IS NOT NULL AND (name = ANY (hosts) OR name = ANY (cost_ledger_internal.provider_names(provider))) THEN
        RETURN prefix;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.provider_prefix(text, text) IS
    'The first part of a model''s path, or what stands before its first colon, where it says who bills: a name of the provider, or of a host that makes no models; NULL where it does not.';

CREATE FUNCTION cost_ledger_internal.other_names(name text) RETURNS TABLE (form integer, other text, rule text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 5
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    dates CONSTANT text := '(-\d{8}|-\d{4}-\d{2}-\d{2}|@\d{8}|@default|-latest)(:[a-z]+)?$';
    tuned CONSTANT text := CASE WHEN strpos(lower(name), 'ft:') > 0 THEN substring(name FROM '^(?:.*/)?[Ff][Tt]:[^:/]+(?=:)') END;
    undated CONSTANT text := regexp_replace(coalesce(tuned, name), dates, '\2');
    -- Only a name with region or vendor before it is Bedrock's: the end of
    -- another's may be what tells two models apart.
    bedrock CONSTANT text[] := CASE WHEN strpos(name, '.') > 0 THEN regexp_match(name,
        '^(?:(?:us|eu|apac|ap|jp|au|ca|sa|me|global|us-gov)\.)?'
        || '((?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|stability|twelvelabs|writer|moonshot|moonshotai|minimax|google|nvidia|zai|luma)\.)'
        || '(.*?)((?:-v\d+)?(?::\d+)?(?::\d+k)?)$') END;
BEGIN
    RETURN QUERY VALUES (0, name, NULL), (2, tuned, 'without owner and suffix');
    IF bedrock IS NOT NULL THEN
        RETURN QUERY VALUES (3, array_to_string(bedrock, ''), 'without Bedrock''s region'),
                            (4, bedrock[1] || bedrock[2], 'without Bedrock''s region and revision'),
                            (5, bedrock[2], 'without Bedrock''s region, vendor and revision'),
                            (7, regexp_replace(bedrock[1] || bedrock[2], dates, ''), 'without Bedrock''s region, revision and date'),
                            (8, regexp_replace(bedrock[2], dates, ''), 'without Bedrock''s region, vendor, revision and date');
    END IF;
    RETURN QUERY VALUES (6, undated, 'without its date'),
                        (9, CASE WHEN right(name, 4) ~ '^[-@]0\d\d$' THEN left(name, -4) END, 'without its version');
    -- OpenRouter's dated names say it the other way round.
    IF strpos(undated, 'claude-') > 0 THEN
        RETURN QUERY VALUES (10, regexp_replace(undated, '(^|/)claude-(\d+(?:\.\d+)?)-(opus|sonnet|haiku)', '\1claude-\3-\2'), 'without its date, the family before its version');
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.other_names(text) IS
    'What a model may be called but by its name, and how each comes about, in the order of form: without owner and suffix of a fine-tuned model, Bedrock''s region, vendor and revision, its date, its version. The name itself is form 0; 1 is for aliases. NULL where there is none.';

CREATE FUNCTION cost_ledger_internal.model_names(model text, prefix text) RETURNS TABLE (
        depth integer, form integer, cut integer, name text, rule text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 10
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rest text := model;
    path text := NULL;
    next integer := coalesce(length(prefix) + 1, strpos(model, '/'));
BEGIN
    -- No card has a longer name, and no path that makes sense has more parts.
    IF octet_length(model) > 1024 THEN
        RETURN;
    END IF;
    cut := 0;
    LOOP
        -- A provider's own prefix is no part of the name.
        depth := cut - CASE WHEN cut > 0 AND prefix IS NOT NULL THEN 1 ELSE 0 END;
        RETURN QUERY
        SELECT model_names.depth, o.form, model_names.cut, o.other,
               CASE WHEN path IS NULL AND o.form = 0 THEN 'the name itself' ELSE concat_ws(', ', path, o.rule) END
        FROM cost_ledger_internal.other_names(rest) o
        WHERE o.other <> '';
        EXIT WHEN cut = 6 OR next = 0;
        cut := cut + 1;
        rest := CASE WHEN cut < 6 THEN substr(rest, next + 1) ELSE substring(rest FROM '[^/]*$') END;
        next := strpos(rest, '/');
        path := format('without "%s"', left(model, length(model) - length(rest)));
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.model_names(text, text) IS
    'The names by which a model may have a rate card, and how each comes about: first those of depth 0, the name as sent and that without its provider''s prefix, then with ever less of its path; of one depth by form, from the name itself (0; 1 is for aliases) to what takes most away.';

CREATE FUNCTION cost_ledger_internal.model_aliases(providers text[], name text) RETURNS TABLE (to_provider text, to_model text, rule text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
    SET search_path = pg_catalog, pg_temp
    -- Planning for each name would cost more than the query.
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    folded CONSTANT text := lower(name COLLATE "C");
BEGIN
    -- Exact ones, of which a catalogue has thousands, by their index.
    RETURN QUERY
    SELECT a.to_provider::text, a.to_model::text, format('alias: %s %s', a.match, a.pattern)
    FROM (SELECT x.* FROM cost_ledger.model_alias x
          WHERE lower(x.provider) = ANY (providers) AND x.match = 'exact' AND x.pattern IN (name, folded)
          UNION ALL
          SELECT x.* FROM cost_ledger.model_alias x
          WHERE lower(x.provider) = ANY (providers) AND x.match IN ('prefix', 'suffix', 'contains', 'regex')
            AND CASE x.match
                    WHEN 'prefix' THEN starts_with(folded, x.pattern) OR name <> folded AND starts_with(name, x.pattern)
                    WHEN 'suffix' THEN right(folded, length(x.pattern)) = x.pattern OR right(name, length(x.pattern)) = x.pattern
                    WHEN 'contains' THEN strpos(folded, x.pattern) > 0 OR name <> folded AND strpos(name, x.pattern) > 0
                    WHEN 'regex' THEN folded ~ x.pattern OR name <> folded AND name ~ x.pattern
                END) AS a
    ORDER BY a.priority DESC, length(a.pattern) DESC, array_position(providers, lower(a.provider)), a.match, a.pattern
    LIMIT 1;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.model_aliases(text[], text) IS
    'The alias of a name, as it is or in lower case, among those of the given providers (in lower case, best first, the empty string for any): of the highest priority, then of the longest pattern.';

CREATE FUNCTION cost_ledger_internal.names_to_try(provider text, model text) RETURNS TABLE (
        provider_name text, model_name text, rule text, key text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100
    -- Planning for each name would cost more than the query.
    SET plan_cache_mode = force_generic_plan
    SET standard_conforming_strings = on
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text[] := cost_ledger_internal.provider_names(provider);
    prefix CONSTANT text := cost_ledger_internal.provider_prefix(provider, model);
BEGIN
    -- A prefix that says who bills says it more exactly than the provider.
    IF prefix IS NOT NULL THEN
        names := cost_ledger_internal.provider_names(prefix) || CASE WHEN lower(prefix COLLATE "C") = ANY (names) THEN ARRAY[provider] ELSE names END;
    END IF;
    RETURN QUERY
    WITH called AS MATERIALIZED (
        SELECT m.* FROM cost_ledger_internal.model_names(names_to_try.model, prefix) m
    )
    SELECT t.provider_name, t.model_name,
           concat_ws(', ', t.rule, CASE WHEN t.form <> 1 AND lower(t.provider_name COLLATE "C") <> lower(names_to_try.provider COLLATE "C") THEN 'provider as ' || t.provider_name END),
           lower(t.provider_name COLLATE "C") || E'\n' || lower(t.model_name COLLATE "C")
    FROM (SELECT m.depth, m.form, m.cut, p.n, p.name AS provider_name, m.name AS model_name, m.rule
          FROM called m, unnest(names) WITH ORDINALITY AS p (name, n)
          UNION ALL
          SELECT m.depth, 1, m.cut, p.n, p.name, a.to_model, concat_ws(', ', CASE WHEN m.cut > 0 THEN m.rule END, a.rule)
          FROM called m, cost_ledger_internal.model_aliases(names || ARRAY[lower(names_to_try.provider COLLATE "C"), ''], m.name) a,
               unnest(CASE a.to_provider WHEN '' THEN names ELSE ARRAY[a.to_provider] END) WITH ORDINALITY AS p (name, n)
          WHERE m.form = 0) AS t
    ORDER BY t.depth, t.form, t.cut, t.n;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.names_to_try(text, text) IS
    'Every name by which a model may have a rate card, best first, some more than once, and the rule that makes it. key is the name as cards are looked up by it, whatever the case.';

CREATE FUNCTION cost_ledger_internal.card_of_name(
    key text, provider_name text, model_name text, customer text, OUT provider text, OUT model text
) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET standard_conforming_strings = on
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    SELECT c.provider, c.model
        INTO provider, model
        FROM cost_ledger_internal.rate_card c
        WHERE lower(c.provider) || E'\n' || lower(c.model) = card_of_name.key AND c.customer IN ('', card_of_name.customer)
        ORDER BY c.provider <> provider_name, c.model <> model_name, c.provider, c.model
        LIMIT 1;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.card_of_name(text, text, text, text) IS
    'Provider and model of the rate card, of any customer''s or this one''s, that has a name, or has it but for case; NULL if there is none.';

CREATE FUNCTION cost_ledger_internal.resolve_model(
    provider text, model text,
    OUT step integer, OUT priced_provider text, OUT priced_model text, OUT rule text, OUT is_found boolean, OUT is_used boolean
) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH tried AS MATERIALIZED (
        SELECT DISTINCT ON (t.key) t.*
        FROM cost_ledger_internal.names_to_try(resolve_model.provider, resolve_model.model) WITH ORDINALITY AS t (provider_name, model_name, rule, key, n)
        ORDER BY t.key, t.n
    ), found AS MATERIALIZED (
        SELECT t.*, c.provider AS card_provider, c.model AS card_model
        FROM tried t
        LEFT JOIN LATERAL cost_ledger_internal.card_of_name(t.key, t.provider_name, t.model_name, '') c ON true
        -- Of the provider's other names those that have cards at all.
        WHERE lower(t.provider_name COLLATE "C") = lower(resolve_model.provider COLLATE "C")
           OR EXISTS (SELECT FROM cost_ledger_internal.rate_card o WHERE lower(o.provider) = lower(t.provider_name COLLATE "C"))
    )
    SELECT row_number() OVER (ORDER BY m.n)::integer, coalesce(m.card_provider, m.provider_name), coalesce(m.card_model, m.model_name),
           concat_ws(', ', m.rule, CASE WHEN (m.card_provider, m.card_model) <> (m.provider_name, m.model_name) THEN 'upper and lower case aside' END),
           m.card_model IS NOT NULL, m.card_model IS NOT NULL AND m.n = min(m.n) FILTER (WHERE m.card_model IS NOT NULL) OVER ()
    FROM found m
    ORDER BY m.n;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.resolve_model(text, text) IS
    'cost_ledger.resolve_model(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.resolve_model(
    provider text, model text,
    OUT step integer, OUT priced_provider text, OUT priced_model text, OUT rule text, OUT is_found boolean, OUT is_used boolean
) RETURNS SETOF record
    LANGUAGE c STABLE ROWS 10
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.resolve_model(text, text) IS
    'How the model of a call finds its rate card: each name that is tried, in order, the rule that makes it, whether there is a card of that name, and the one that is used. Of the other names of a provider those are tried that have cards at all. A call''s own name is stored as it was sent.';

CREATE FUNCTION cost_ledger_internal.find_rate_cards(
    provider text, model text, customer text,
    OUT card_provider text, OUT card_model text, OUT rule text, OUT has_customers boolean,
    OUT vain_keys text[], OUT vain_provider text, OUT vain_model text
) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET plan_cache_mode = force_generic_plan
    SET standard_conforming_strings = on
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    providers text[];
    models text[];
    rules text[];
    keys text[];
    used integer;
BEGIN
    -- Most names need no rule: theirs are not worked out.
    IF EXISTS (SELECT FROM cost_ledger_internal.rate_card c
               WHERE c.provider = find_rate_cards.provider AND c.model = find_rate_cards.model AND c.customer IN ('', find_rate_cards.customer)) THEN
        card_provider := find_rate_cards.provider;
        card_model := find_rate_cards.model;
    ELSE
        SELECT array_agg(t.provider_name), array_agg(t.model_name), array_agg(t.rule), array_agg(t.key)
            INTO providers, models, rules, keys
            FROM cost_ledger_internal.names_to_try(find_rate_cards.provider, find_rate_cards.model) t;
        used := (SELECT min(array_position(keys, lower(c.provider) || E'\n' || lower(c.model)))
                 FROM cost_ledger_internal.rate_card c
                 WHERE lower(c.provider) || E'\n' || lower(c.model) = ANY (keys) AND c.customer IN ('', find_rate_cards.customer));
        vain_keys := keys[:coalesce(used - 1, cardinality(keys))];
        IF used IS NOT NULL THEN
            SELECT c.provider, c.model INTO card_provider, card_model
                FROM cost_ledger_internal.card_of_name(keys[used], providers[used], models[used], find_rate_cards.customer) c;
            rule := concat_ws(', ', '; as ' || card_model, rules[used]);
            IF (providers[used], models[used]) <> (card_provider, card_model) THEN
                rule := rule || ', upper and lower case aside';
                vain_provider := providers[used];
                vain_model := models[used];
            END IF;
        END IF;
    END IF;
    has_customers := EXISTS (SELECT FROM cost_ledger_internal.rate_card c
                             WHERE c.provider = card_provider AND c.model = card_model AND c.customer <> '')
        OR EXISTS (SELECT FROM cost_ledger_internal.rate_card c
                   WHERE lower(c.provider) || E'\n' || lower(c.model) = ANY (vain_keys) AND c.customer <> '')
        OR EXISTS (SELECT FROM cost_ledger_internal.rate_card c
                   WHERE c.provider = vain_provider AND c.model = vain_model AND c.customer <> '')
        OR EXISTS (SELECT FROM cost_ledger.price_multiplier m
                   WHERE m.provider = card_provider AND m.model IN ('', card_model) AND m.customer <> '');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.find_rate_cards(text, text, text) IS
    'Whose rate cards a model is priced by for a customer (see resolve_model()), NULL if there are none; how that comes about, for explain_cost(), NULL for the name itself; whether some customer has prices or multipliers of its own there: if not, the price cache needs no entry for each; and what is not there but would come before: cards of names, as keys, and of the very name where the card has it but for case.';

CREATE AGGREGATE cost_ledger_internal.product(numeric) (
    SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1', PARALLEL = SAFE
);

COMMENT ON AGGREGATE cost_ledger_internal.product(numeric) IS 'The exact product of numbers; 1 of none.';

CREATE FUNCTION cost_ledger_internal.versions_of(
    for_provider text, for_model text, for_region text, for_class text, for_customer text
) RETURNS TABLE (
        region text, service_class text, customer text, rank integer, price_id bigint, currency text, valid_from timestamptz, valid_to timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 5
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH cards AS (
        -- Customer before class before region: the order in which rates are
        -- looked for.
        SELECT c.card_id, c.region, c.service_class, c.customer,
               CASE WHEN c.customer = for_customer THEN 0 ELSE 4 END
               + CASE WHEN c.service_class = for_class THEN 0 ELSE 2 END
               + CASE WHEN c.region = for_region THEN 0 ELSE 1 END AS rank
        FROM cost_ledger_internal.rate_card c
        WHERE c.provider = for_provider AND c.model = for_model
          AND c.customer IN ('', for_customer)
          AND c.service_class IN ('standard', for_class)
          AND c.region IN ('', for_region)
    )
    SELECT c.region, c.service_class, c.customer, c.rank, p.price_id, p.currency, p.valid_from, p.valid_to
    FROM cards c
    JOIN cost_ledger_internal.price p ON p.card_id = c.card_id
    WHERE p.valid_to IS DISTINCT FROM p.valid_from;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.versions_of(text, text, text, text, text) IS
    'The versions of every rate card that calls of a region, class and customer may be priced by; of two the one of lower rank comes first.';

CREATE FUNCTION cost_ledger_internal.multipliers_of(
    for_provider text, for_model text, for_region text, for_class text, for_customer text
) RETURNS TABLE (
        region text, service_class text, customer text, name text, factor numeric, tokens_only boolean, valid_from timestamptz, valid_to timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 5
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT m.region, m.service_class, m.customer, m.name, m.factor, m.tokens_only, m.valid_from,
           lead(m.valid_from) OVER (PARTITION BY m.model, m.region, m.service_class, m.customer, m.name ORDER BY m.valid_from) AS valid_to
    FROM cost_ledger.price_multiplier m
    WHERE m.provider = for_provider AND m.model IN ('', for_model)
      AND m.region IN ('', for_region)
      AND m.service_class IN ('', for_class)
      AND m.customer IN ('', for_customer);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.multipliers_of(text, text, text, text, text) IS
    'What multiplies the rates of such calls, and until when.';

CREATE FUNCTION cost_ledger_internal.effective_prices(
    provider text, model text, region text, service_class text, customer text, name_rule text
) RETURNS TABLE (
        slice_from timestamptz, slice_to timestamptz, rank integer, price_id bigint, valid_from timestamptz, valid_to timestamptz,
        meter text, unit_price numeric, per bigint, multiplier numeric, over_tokens bigint, is_inclusive boolean, is_graduated boolean,
        window_start time, window_end time, window_days smallint[], window_zone text, currency text, rule text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH versions AS (
        SELECT v.* FROM cost_ledger_internal.versions_of(effective_prices.provider, effective_prices.model, effective_prices.region,
                                                    effective_prices.service_class, effective_prices.customer) v
    ), multipliers AS (
        SELECT m.* FROM cost_ledger_internal.multipliers_of(effective_prices.provider, effective_prices.model, effective_prices.region,
                                                       effective_prices.service_class, effective_prices.customer) m
    ), exchange AS (
        SELECT e.currency, e.rate, e.valid_from,
               lead(e.valid_from) OVER (PARTITION BY e.currency ORDER BY e.valid_from) AS valid_to
        FROM cost_ledger.exchange_rate e
        WHERE e.currency IN (SELECT v.currency FROM versions v)
          AND e.currency <> (SELECT l.currency FROM cost_ledger.ledger l)
        UNION ALL
        SELECT l.currency, 1, '-infinity', NULL FROM cost_ledger.ledger l
    ), bounds AS (
        SELECT v.valid_from AS bound FROM versions v
        UNION SELECT v.valid_to FROM versions v
        UNION SELECT m.valid_from FROM multipliers m
        UNION SELECT e.valid_from FROM exchange e
    ), slices AS (
        SELECT b.bound AS slice_from, lead(b.bound) OVER (ORDER BY b.bound) AS slice_to
        FROM bounds b
        WHERE isfinite(b.bound)
    ), in_force AS (
        SELECT s.slice_from, s.slice_to, v.*, e.rate,
               bool_or(v.customer <> '') OVER (PARTITION BY s.slice_from) AS has_customer,
               bool_or(v.region <> '') OVER (PARTITION BY s.slice_from) AS has_region
        FROM slices s
        JOIN versions v ON v.valid_from <= s.slice_from AND (v.valid_to IS NULL OR s.slice_from < v.valid_to)
        -- A price that no exchange rate makes known is there all the same: that
        -- of a less specific card is another one.
        LEFT JOIN exchange e ON e.currency = v.currency AND e.valid_from <= s.slice_from AND (e.valid_to IS NULL OR s.slice_from < e.valid_to)
        -- Standard rates stand in for a class only where the class is known to
        -- have a price: rates of its own, or a share of standard.
        WHERE v.service_class = effective_prices.service_class
           OR EXISTS (SELECT FROM versions o
                      WHERE o.service_class = effective_prices.service_class
                        AND o.valid_from <= s.slice_from AND (o.valid_to IS NULL OR s.slice_from < o.valid_to))
           OR EXISTS (SELECT FROM multipliers o
                      WHERE o.service_class = effective_prices.service_class
                        AND o.valid_from <= s.slice_from AND (o.valid_to IS NULL OR s.slice_from < o.valid_to))
    )
    SELECT i.slice_from, i.slice_to, i.rank, i.price_id, i.valid_from, i.valid_to,
           l.meter, l.unit_price, l.per, i.rate * f.factor, l.over_tokens, l.is_inclusive, l.is_graduated,
           l.window_start, l.window_end, l.window_days, l.window_zone, i.currency,
           -- Whose the card is, where the call could have had another.
           concat(CASE WHEN i.customer <> '' THEN '; of customer ' || i.customer WHEN i.has_customer THEN '; of any customer' END,
                  CASE WHEN effective_prices.service_class <> 'standard' THEN '; of class ' || i.service_class END,
                  CASE WHEN i.region <> '' THEN '; of region ' || i.region WHEN i.has_region THEN '; of any region' END,
                  effective_prices.name_rule,
                  CASE WHEN i.rate <> 1 THEN format('; × %s from %s', trim_scale(i.rate), i.currency) END,
                  f.rule)
    FROM in_force i
    JOIN cost_ledger_internal.price_line l ON l.price_id = i.price_id
    CROSS JOIN LATERAL (
        -- A rate on a card of a region, class or customer already has in it
        -- what a multiplier of that region, class or customer would do; one
        -- that stands on a less specific card has not.
        SELECT cost_ledger_internal.product(m.factor) AS factor,
               string_agg(format('; × %s %s', trim_scale(m.factor), m.name), '' ORDER BY m.name) FILTER (WHERE m.factor <> 1) AS rule
        FROM multipliers m
        WHERE m.valid_from <= i.slice_from AND (m.valid_to IS NULL OR i.slice_from < m.valid_to)
          AND (m.region = '' OR i.region = '')
          AND (m.service_class = '' OR m.service_class = 'standard' OR m.service_class <> i.service_class)
          AND (m.customer = '' OR i.customer = '')
          AND (NOT m.tokens_only OR right(l.meter, 7) = '_tokens')) AS f
    ORDER BY i.slice_from, i.rank, l.meter COLLATE "C",
             -- Of the lines of a meter the first whose condition holds counts:
             -- windows of time before the rest of the day, higher tiers before
             -- lower ones.
             l.window_zone IS NULL, l.over_tokens DESC, l.line
    ;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.effective_prices(text, text, text, text, text, text) IS
    'What calls that use the rate cards of a provider and model (see find_rate_cards()) are priced at in a region and class and for a customer, for all times: slices of time within which nothing changes, in each the rate lines of all cards that apply, with everything they are multiplied by (NULL where there is no exchange rate for their currency); of two lines of a meter the one that comes first is tried first. The price cache of each backend is filled from it. No region and no customer are the empty string. name_rule goes into the rule.';

CREATE FUNCTION cost_ledger_internal.nearest_names(provider text, model text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    prefix CONSTANT text := cost_ledger_internal.provider_prefix(provider, model);
    providers CONSTANT text[] := ARRAY(SELECT lower(p COLLATE "C") FROM unnest(cost_ledger_internal.provider_names(prefix) || cost_ledger_internal.provider_names(provider)) AS p);
    name CONSTANT text := lower(CASE WHEN prefix IS NULL THEN model ELSE substr(model, length(prefix) + 2) END COLLATE "C");
    last CONSTANT text := substring(name FROM '[^/]*$');
BEGIN
    RETURN (
        SELECT string_agg(n.name, ', ' ORDER BY n.distance, n.name)
        FROM (SELECT CASE WHEN k.is_own THEN k.model ELSE k.provider || '/' || k.model END AS name, d.distance
              FROM (SELECT DISTINCT c.provider, c.model, lower(c.provider) = ANY (providers) AS is_own
                    -- Looked through one by one, so not for ever.
                    FROM (SELECT r.provider, r.model FROM cost_ledger_internal.rate_card r WHERE r.customer = '' LIMIT 20000) AS c) AS k,
                   -- Names grow by versions and dates, so what another has more counts half.
                   LATERAL (SELECT CASE WHEN k.is_own THEN cost_ledger_internal.name_distance(name, lower(k.model), 2, length(name))
                                        -- Of others only what has the very name.
                                        WHEN lower(k.model) IN (name, last) THEN 0 END AS distance) AS d
              WHERE d.distance IS NOT NULL
              ORDER BY d.distance, k.provider, k.model
              LIMIT 3) AS n);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.nearest_names(text, text) IS
    'Up to three names that have prices and that a name without any may have meant: of its provider those that are not too far from it, and of others the same; NULL where there is none.';

CREATE FUNCTION cost_ledger_internal.unpriced_card(
    card_provider text, card_model text, region text, service_class text, customer text, OUT reason text, OUT remedy text
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    regions CONSTANT text[] := ARRAY(
        SELECT DISTINCT c.region::text
        FROM cost_ledger_internal.rate_card c
        WHERE c.provider = card_provider AND c.model = card_model AND c.customer IN ('', unpriced_card.customer)
        ORDER BY 1);
    classes CONSTANT text[] := ARRAY(
        SELECT c.service_class::text
        FROM cost_ledger_internal.rate_card c
        WHERE c.provider = card_provider AND c.model = card_model AND c.customer IN ('', unpriced_card.customer) AND c.region IN ('', unpriced_card.region)
        UNION
        SELECT m.service_class::text
        FROM cost_ledger.price_multiplier m
        WHERE m.provider = card_provider AND m.model IN ('', card_model) AND m.customer IN ('', unpriced_card.customer) AND m.region IN ('', unpriced_card.region)
          AND m.service_class <> ''
        ORDER BY 1);
BEGIN
    IF NOT regions && ARRAY['', unpriced_card.region] THEN
        reason := format('no such region: %s; there are prices for: %s', coalesce(nullif(unpriced_card.region, ''), 'none given'), array_to_string(regions[:10], ', '));
        remedy := 'Send the region with the call, or set a price for any with cost_ledger.set_price().';
    ELSIF unpriced_card.service_class <> ALL (classes) THEN
        reason := format('no such class: %s; there are prices for: %s', unpriced_card.service_class, array_to_string(classes[:10], ', '));
        remedy := 'Set one with cost_ledger.set_price(…, service_class => …), or its share of standard with cost_ledger.set_multiplier().';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.unpriced_card(text, text, text, text, text) IS
    'Whether a model that has rate cards has none, ever, for a region or class, and what there is instead; reason is NULL where it has.';

CREATE FUNCTION cost_ledger_internal.unpriced_time(
    at timestamptz, card_provider text, card_model text, region text, service_class text, customer text, OUT reason text, OUT remedy text
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    -- As errors say it.
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    gap record;
BEGIN
    -- Of a class that has rates of its own, or a share of standard, these have
    -- to be in force; and some card.
    WITH versions AS (
        SELECT v.service_class, v.valid_from, v.valid_to
        FROM cost_ledger_internal.versions_of(card_provider, card_model, unpriced_time.region, unpriced_time.service_class, unpriced_time.customer) v
    ), spans AS (
        SELECT v.valid_from, v.valid_to, true AS is_class FROM versions v WHERE v.service_class = unpriced_time.service_class
        UNION ALL
        SELECT m.valid_from, m.valid_to, true
        FROM cost_ledger_internal.multipliers_of(card_provider, card_model, unpriced_time.region, unpriced_time.service_class, unpriced_time.customer) m
        WHERE m.service_class = unpriced_time.service_class
        UNION ALL
        SELECT v.valid_from, v.valid_to, false FROM versions v
    )
    SELECT k.is_class, max(s.valid_to) FILTER (WHERE s.valid_to <= at) AS ended, min(s.valid_from) FILTER (WHERE s.valid_from > at) AS begins
        INTO gap
        FROM (VALUES (true), (false)) AS k (is_class)
        LEFT JOIN spans s ON s.is_class = k.is_class
        GROUP BY k.is_class
        HAVING NOT coalesce(bool_or(s.valid_from <= at AND (s.valid_to IS NULL OR s.valid_to > at)), false)
        ORDER BY k.is_class DESC LIMIT 1;
    IF FOUND THEN
        reason := format('no version at that time%s: %s', CASE WHEN gap.is_class AND unpriced_time.service_class <> 'standard' THEN ' of class ' || unpriced_time.service_class END,
                         coalesce(nullif(concat_ws(', ', 'the last ended at ' || gap.ended::text,
                                                         CASE WHEN gap.ended IS NULL THEN 'the first' ELSE 'the next' END || ' begins at ' || gap.begins::text), ''),
                                  'all are withdrawn'));
        remedy := 'Set one that holds then with cost_ledger.set_price(): a back-dated one runs until the next begins.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.unpriced_time(timestamptz, text, text, text, text, text) IS
    'Whether no version of a model''s prices for a region and class is in force at a time, and when the next ones begin; reason is NULL where one is.';

CREATE FUNCTION cost_ledger_internal.why_unpriced(
    at timestamptz, provider text, model text, region text, service_class text, customer text, card_provider text, card_model text,
    OUT reason text, OUT remedy text, OUT holds_from timestamptz, OUT holds_to timestamptz
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF card_model IS NULL THEN
        reason := concat('no such name', '; nearest: ' || cost_ledger_internal.nearest_names(provider, model));
        remedy := 'Set a price with cost_ledger.set_price(), or lead the name to one that there is with a row of cost_ledger.model_alias.';
        RETURN;
    END IF;
    SELECT c.reason, c.remedy INTO reason, remedy
        FROM cost_ledger_internal.unpriced_card(card_provider, card_model, why_unpriced.region, why_unpriced.service_class, why_unpriced.customer) c;
    IF reason IS NULL THEN
        SELECT t.reason, t.remedy INTO reason, remedy
            FROM cost_ledger_internal.unpriced_time(at, card_provider, card_model, why_unpriced.region, why_unpriced.service_class, why_unpriced.customer) t;
    END IF;
    SELECT max(b.bound) FILTER (WHERE b.bound <= at), min(b.bound) FILTER (WHERE b.bound > at)
        INTO holds_from, holds_to
        FROM (SELECT unnest(ARRAY[v.valid_from, v.valid_to])
              FROM cost_ledger_internal.versions_of(card_provider, card_model, why_unpriced.region, why_unpriced.service_class, why_unpriced.customer) v
              UNION ALL
              SELECT m.valid_from
              FROM cost_ledger_internal.multipliers_of(card_provider, card_model, why_unpriced.region, why_unpriced.service_class, why_unpriced.customer) m) AS b (bound);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.why_unpriced(timestamptz, text, text, text, text, text, text, text) IS
    'Why a call of a model, whose rate cards are those of card_provider and card_model (NULL: it has none; see find_rate_cards()), has no price at a time: no such name, with the nearest; no such region or class, with those there are; or no version at that time, with the next ones. remedy is a sentence for a hint. The same holds from holds_from (NULL: always) to holds_to. reason is NULL where there is a price.';

CREATE FUNCTION cost_ledger_internal.unpriced_reason(
    called_at timestamptz, provider text, model text, usage jsonb, service_class text, region text, customer text
) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_unpriced_reason';

COMMENT ON FUNCTION cost_ledger_internal.unpriced_reason(timestamptz, text, text, jsonb, text, text, text) IS
    'Why a call has no full price, by the prices that there are now: see why_unpriced(); or which of its meters have no rate, or that their currency has no exchange rate. Each answer is worked out once for all calls of a backend that it holds for.';
