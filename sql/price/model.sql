-- Models: how the name a call carries finds its rate card, and what all cards
-- that apply to a call come to.  In PL/pgSQL, which keeps its plans for the
-- session; a function in SQL would plan these statements at every call.

CREATE FUNCTION cost_ledger_internal.model_names(provider text, model text) RETURNS TABLE (
        step integer, provider_name text, model_name text, rule text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 10
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
BEGIN
    RETURN QUERY
    -- The same provider under other names: OpenTelemetry's, and those of price
    -- lists and gateways.
    WITH providers AS (
        SELECT 0 AS n, provider AS name
        UNION ALL
        SELECT w.n::integer, w.name
        FROM (VALUES ('{aws.bedrock,aws,bedrock,bedrock_converse,amazon-bedrock}'::text[]),
                     ('{gcp.gemini,google,gemini,google-ai-studio}'),
                     ('{gcp.vertex_ai,vertex_ai,vertex,google-vertex}'),
                     ('{azure.ai.openai,azure,azure_openai,azure_ai,az.ai.openai,azure.ai.inference}'),
                     ('{x_ai,x-ai,xai}'),
                     ('{mistral_ai,mistral,mistralai}'),
                     ('{together_ai,together}'),
                     ('{fireworks_ai,fireworks}'),
                     ('{moonshot,moonshotai}'),
                     ('{perplexity,perplexity_ai}')) AS g (names),
             LATERAL unnest(g.names) WITH ORDINALITY AS w (name, n)
        WHERE provider = ANY (g.names) AND w.name <> provider
    ),
    -- Each form takes away more of what hosts add to a name.
    f AS (
        SELECT b.bare, c.bedrock,
               regexp_replace(b.bare, '(-\d{8}|-\d{4}-\d{2}-\d{2}|@\d{8}|@default|-latest)$', '') AS undated,
               regexp_replace(c.bedrock, '(-\d{8}|-\d{4}-\d{2}-\d{2}|@\d{8}|-latest)$', '') AS bedrock_undated
        FROM (SELECT regexp_replace(model, '^.*/', '') AS bare) AS b,
             -- Only a name with region or vendor before it is Bedrock's: the end
             -- of another's may be what tells two models apart.
             LATERAL (SELECT regexp_replace(b.bare,
                                 '^((us|eu|apac|ap|jp|au|ca|sa|me|global|us-gov)\.)?'
                                 || '(anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|stability|twelvelabs|writer|moonshot|minimax|google|nvidia|zai)\.'
                                 || '(.*?)(-v\d+)?(:\d+)?(:\d+k)?$', '\4') AS bedrock) AS c
    ), forms AS (
        SELECT v.n, v.name, v.rule
        FROM f, LATERAL (VALUES (1, model, 'the name itself'),
                                (2, f.bare, 'without its path'),
                                (3, f.bedrock, 'without Bedrock''s region, vendor and revision'),
                                (4, f.undated, 'without its date'),
                                (5, f.bedrock_undated, 'without Bedrock''s region, vendor, revision and date'),
                                (6, lower(model), 'in lower case'),
                                (7, lower(f.bare), 'without its path, in lower case'),
                                (8, lower(f.undated), 'without its date, in lower case')) AS v (n, name, rule)
    )
    SELECT row_number() OVER (ORDER BY u.form, u.n)::integer, u.name, u.model_name,
           concat_ws(', ', u.rule, CASE WHEN u.n > 0 THEN 'provider as ' || u.name END)
    FROM (SELECT DISTINCT ON (p.name, f.name) p.n, p.name, f.n AS form, f.name AS model_name, f.rule
          FROM providers p, forms f
          WHERE f.name <> ''
          ORDER BY p.name, f.name, f.n) AS u
    ;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.model_names(text, text) IS
    'The names under which a call''s model may have a rate card, best first, and how each comes about.';

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
    WITH tried AS (
        -- A name of its own comes before any alias, and an alias before any
        -- guess.
        SELECT n.step * 2 - 1 AS n, n.provider_name, n.model_name, n.rule
        FROM cost_ledger_internal.model_names(resolve_model.provider, resolve_model.model) n
        UNION ALL
        SELECT 2, coalesce(nullif(a.to_provider, ''), resolve_model.provider), a.to_model,
               format('alias: %s %s', a.match, a.pattern)
        FROM (SELECT *
              FROM cost_ledger.model_alias a
              WHERE a.provider IN ('', resolve_model.provider)
                AND CASE a.match
                        WHEN 'exact' THEN resolve_model.model = a.pattern
                        WHEN 'prefix' THEN starts_with(resolve_model.model, a.pattern)
                        WHEN 'suffix' THEN right(resolve_model.model, length(a.pattern)) = a.pattern
                        WHEN 'contains' THEN strpos(resolve_model.model, a.pattern) > 0
                        WHEN 'regex' THEN resolve_model.model ~ a.pattern
                    END
              ORDER BY a.priority DESC, length(a.pattern) DESC, a.provider DESC, a.match, a.pattern
              LIMIT 1) AS a
    ), found AS MATERIALIZED (
        SELECT t.*, EXISTS (SELECT FROM cost_ledger_internal.rate_card c
                            WHERE c.provider = t.provider_name AND c.model = t.model_name) AS is_known
        FROM tried t
    )
    SELECT row_number() OVER (ORDER BY f.n)::integer, f.provider_name, f.model_name, f.rule, f.is_known,
           f.is_known AND f.n = min(f.n) FILTER (WHERE f.is_known) OVER ()
    FROM found f
    ORDER BY f.n
    ;
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
    'How the model of a call finds its rate card: each name that is tried, in order, the rule that makes it, whether there is a card of that name, and the one that is used. A call''s own name is stored as it was sent.';

CREATE FUNCTION cost_ledger_internal.find_rate_cards(
    provider text, model text,
    OUT card_provider text, OUT card_model text, OUT rule text, OUT has_customers boolean,
    OUT vain_providers text[], OUT vain_models text[]
) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Most names need no rule: theirs are not worked out.
    IF EXISTS (SELECT FROM cost_ledger_internal.rate_card c
               WHERE c.provider = find_rate_cards.provider AND c.model = find_rate_cards.model) THEN
        card_provider := find_rate_cards.provider;
        card_model := find_rate_cards.model;
    ELSE
        SELECT max(r.priced_provider) FILTER (WHERE r.is_used), max(r.priced_model) FILTER (WHERE r.is_used),
               format('; as %s, %s', max(r.priced_model) FILTER (WHERE r.is_used), max(r.rule) FILTER (WHERE r.is_used)),
               array_agg(r.priced_provider ORDER BY r.step) FILTER (WHERE r.step < coalesce(r.used, r.step + 1)),
               array_agg(r.priced_model ORDER BY r.step) FILTER (WHERE r.step < coalesce(r.used, r.step + 1))
            INTO card_provider, card_model, rule, vain_providers, vain_models
            FROM (SELECT t.*, max(t.step) FILTER (WHERE t.is_used) OVER () AS used
                  FROM cost_ledger.resolve_model(find_rate_cards.provider, find_rate_cards.model) t) AS r;
    END IF;
    has_customers := EXISTS (SELECT FROM cost_ledger_internal.rate_card c
                             WHERE c.provider = card_provider AND c.model = card_model AND c.customer <> '')
        OR EXISTS (SELECT FROM cost_ledger.price_multiplier m
                   WHERE m.provider = card_provider AND m.model IN ('', card_model) AND m.customer <> '');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.find_rate_cards(text, text) IS
    'Whose rate cards a model is priced by (see resolve_model()), NULL if there are none; how that comes about, for explain_cost(), NULL for the name itself; whether some customer has prices or multipliers of its own there: if not, the price cache needs no entry for each; and the names that come before, under which there is no card.';

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
                  CASE WHEN i.rate IS NULL THEN format('; no exchange rate for %s', i.currency)
                       WHEN i.rate <> 1 THEN format('; × %s from %s', trim_scale(i.rate), i.currency) END,
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
