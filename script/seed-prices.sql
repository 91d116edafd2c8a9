-- The shipped price list, made of two public catalogues: see script/seed-prices,
-- which says where the documents are, of which day, and where differences go.
--
-- Both catalogues are read by the extension's own importers, so that numbers stay
-- exact and two words for one meter are one.  What is compared is what a call would
-- cost: a meter that one of them leaves out is priced there as what it is a part of.
\set litellm `cat "$LITELLM"`
\set genai `cat "$GENAI"`
\set models `cat "$MODELS"`
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION cost_ledger;
CREATE SCHEMA seed;
SET search_path = seed, cost_ledger_internal, pg_catalog;

CREATE TABLE document AS
SELECT :'litellm'::jsonb AS litellm, :'genai'::jsonb AS genai, :'models'::jsonb AS models,
       :'litellm_date'::date AS litellm_date, :'genai_date'::date AS genai_date;

-- What prices/models.json asks for, each until the next of its model.
CREATE TABLE wanted AS
SELECT m.value ->> 'provider' AS provider, m.value ->> 'model' AS model, m.value -> 'rates' AS rates,
       coalesce(m.value -> 'settled', '{}') AS settled, m.value ->> 'source' AS source,
       (m.value ->> 'valid_from')::timestamptz AS valid_from, (m.value ->> 'valid_to')::timestamptz AS valid_to,
       lead((m.value ->> 'valid_from')::timestamptz) OVER (PARTITION BY m.value -> 'provider', m.value -> 'model' ORDER BY m.value ->> 'valid_from') AS next_from
FROM document, jsonb_array_elements(models -> 'prices') AS m;

--
-- What LiteLLM says: in an entry of that name, else in the last of its dated names.
--
CREATE FUNCTION undated(model text) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT regexp_replace(model, '-(\d{8}|\d{4}-\d\d-\d\d)$', '') $$;

CREATE TABLE litellm_item AS
SELECT i.provider, i.model, i.service_class, i.value AS rates
FROM document, import_items(litellm, 'litellm') i
WHERE i.kind = 'price' AND i.region = '' AND i.currency = 'USD';

CREATE TABLE litellm_price AS
SELECT DISTINCT ON (w.provider, w.model, i.service_class) w.provider, w.model, i.service_class, i.rates
FROM (SELECT DISTINCT provider, model FROM wanted) AS w
JOIN litellm_item i ON i.provider = w.provider AND (i.model = w.model OR undated(i.model) = w.model)
ORDER BY w.provider, w.model, i.service_class, i.model <> w.model, i.model DESC;

--
-- What genai-prices says: of the first of a provider's models whose rule holds.
--
CREATE TABLE provider_of (provider text PRIMARY KEY, genai_provider text);
INSERT INTO provider_of VALUES
    ('anthropic', 'anthropic'), ('azure', 'azure'), ('bedrock', 'aws'), ('cerebras', 'cerebras'), ('cohere', 'cohere'), ('deepseek', 'deepseek'),
    ('fireworks_ai', 'fireworks'), ('gemini', 'google'), ('groq', 'groq'), ('mistral', 'mistral'), ('moonshot', 'moonshotai'),
    ('openai', 'openai'), ('openrouter', 'openrouter'), ('together_ai', 'together'), ('vertex_ai', 'google'), ('xai', 'x-ai');

CREATE TABLE genai_price AS
WITH rules AS (
    SELECT p.value ->> 'id' AS provider, m.value ->> 'id' AS model, m.n, genai_regex(m.value -> 'match', m.value ->> 'id') AS rule
    FROM document, jsonb_array_elements(genai) AS p (value), jsonb_array_elements(p.value -> 'models') WITH ORDINALITY AS m (value, n)
), named AS (
    SELECT DISTINCT ON (w.provider, w.model) w.provider, w.model, r.provider AS genai_provider, r.model AS genai_model
    FROM (SELECT DISTINCT provider, model FROM wanted) AS w
    JOIN provider_of o ON o.provider = w.provider
    JOIN rules r ON r.provider = o.genai_provider AND w.model ~* r.rule
    ORDER BY w.provider, w.model, r.n
)
SELECT n.provider, n.model, coalesce(i.valid_from, '-infinity') AS valid_from, i.value AS rates,
       lead(i.valid_from) OVER (PARTITION BY n.provider, n.model ORDER BY i.valid_from NULLS FIRST) AS valid_to
FROM named n
CROSS JOIN document
JOIN import_items(genai, 'genai-prices') i ON i.kind = 'price' AND i.provider = n.genai_provider AND i.model = n.genai_model;

--
-- What the two say of each meter: its own rate, else that of what it is a part of.
--
CREATE FUNCTION lines(rates jsonb, meter text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- from the most specific to the total
    chain CONSTANT text[] := CASE
        WHEN meter = 'cache_write_1h_tokens' THEN ARRAY[meter, 'cache_write_tokens', 'input_tokens']
        WHEN meter ~ '^cache_read_(audio|image|video)_tokens$' THEN ARRAY[meter, 'cache_read_tokens', replace(meter, 'cache_read', 'input'), 'input_tokens']
        WHEN meter ~ '^cache_write_(audio|image|video)_tokens$' THEN ARRAY[meter, 'cache_write_tokens', replace(meter, 'cache_write', 'input'), 'input_tokens']
        WHEN meter ~ '^(cache_|input_.*_|citation_)tokens$|^cache_.*_tokens$' THEN ARRAY[meter, 'input_tokens']
        WHEN meter ~ '^(reasoning|output_.*)_tokens$' THEN ARRAY[meter, 'output_tokens']
        ELSE ARRAY[meter] END;
    found text;
BEGIN
    SELECT c.name INTO found FROM unnest(chain) WITH ORDINALITY AS c (name, n) WHERE rates ? c.name ORDER BY c.n LIMIT 1;
    RETURN (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('price', trim_scale(r.unit_price / r.per), 'over', nullif(r.over_tokens, 0),
                                                                  'from', r.window_start, 'to', r.window_end, 'days', r.window_days, 'zone', r.window_zone))
                             ORDER BY r.over_tokens, r.window_start)
            FROM rate_lines(jsonb_build_object(found, rates -> found)) r
            WHERE found IS NOT NULL);
END
$$;

CREATE TABLE compared AS
SELECT w.provider, w.model, w.valid_from, m.meter, w.settled ? m.meter AS is_settled,
       lines(l.rates, m.meter) AS litellm, lines(g.rates, m.meter) AS genai, l.rates ? m.meter AND g.rates ? m.meter AS is_in_both
FROM wanted w
CROSS JOIN document d
JOIN litellm_price l ON l.provider = w.provider AND l.model = w.model AND l.service_class = 'standard'
JOIN genai_price g ON g.provider = w.provider AND g.model = w.model AND g.valid_from <= d.genai_date AND (g.valid_to IS NULL OR g.valid_to > d.genai_date)
CROSS JOIN LATERAL (SELECT jsonb_object_keys(l.rates || g.rates) AS meter) AS m
WHERE w.rates IS NULL
  -- Searches that cost the same whatever their size are one meter.
  AND NOT (m.meter ~ '^web_search_requests_' AND lines(l.rates, m.meter) = lines(l.rates, 'web_search_requests'));

-- Nothing, and a rate of 0, come to the same.  A meter that they see differently is
-- left out; of a token or the call itself, where another rate would stand in for it,
-- the whole model is.
CREATE TABLE differing AS
SELECT c.provider, c.model, c.valid_from, c.meter, c.litellm, c.genai, c.meter ~ '(_tokens|^requests)$' AS is_decisive
FROM compared c
WHERE NOT c.is_settled
  AND coalesce(nullif(jsonb_path_query_array(c.litellm, '$[*] ? (@.price > 0)'), '[]'), 'null') <> coalesce(nullif(jsonb_path_query_array(c.genai, '$[*] ? (@.price > 0)'), '[]'), 'null');

-- Of a meter that was settled, one of them may say the same; else a page does.
CREATE TABLE settled_by AS
SELECT c.provider, c.model, c.valid_from, c.meter,
       CASE WHEN s.lines IS NOT DISTINCT FROM c.litellm THEN 'LiteLLM alone' WHEN s.lines IS NOT DISTINCT FROM c.genai THEN 'genai-prices alone' ELSE w.source END AS source
FROM wanted w
JOIN (SELECT provider, model, valid_from, meter, litellm, genai FROM compared
      UNION
      -- a meter that neither has
      SELECT w.provider, w.model, w.valid_from, k, NULL, NULL FROM wanted w, jsonb_object_keys(w.settled) k
      WHERE NOT EXISTS (SELECT FROM compared c WHERE (c.provider, c.model, c.valid_from, c.meter) = (w.provider, w.model, w.valid_from, k))) AS c
  ON (c.provider, c.model, c.valid_from) = (w.provider, w.model, w.valid_from) AND w.settled ? c.meter
CROSS JOIN LATERAL (SELECT CASE WHEN w.settled -> c.meter <> 'null' THEN lines(w.settled, c.meter)
                                ELSE (SELECT lines(l.rates - c.meter, c.meter) FROM litellm_price l
                                      WHERE l.provider = w.provider AND l.model = w.model AND l.service_class = 'standard') END AS lines) AS s
WHERE w.rates IS NULL;

--
-- The list.
--
CREATE FUNCTION short(rates jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_object_agg(m.meter, CASE WHEN m.lines ->> 1 IS NULL THEN m.lines -> 0 ELSE m.lines END)
    FROM (SELECT r.meter,
                 jsonb_agg(CASE WHEN r.per = 1000000 AND r.over_tokens = 0 AND r.window_zone IS NULL THEN to_jsonb(trim_scale(r.unit_price))
                                ELSE jsonb_strip_nulls(jsonb_build_object('price', trim_scale(r.unit_price), 'per', nullif(r.per, 1000000), 'over', nullif(r.over_tokens, 0),
                                                                          'from', r.window_start, 'to', r.window_end, 'days', r.window_days, 'zone', r.window_zone)) END
                           ORDER BY r.over_tokens, r.window_start) AS lines
          FROM rate_lines(rates) r GROUP BY r.meter) AS m
$$;

CREATE TABLE version AS
-- taken from a page, by hand
SELECT w.provider, w.model, w.valid_from, coalesce(w.valid_to, w.next_from) AS ends, w.valid_to, w.rates, w.source
FROM wanted w
WHERE w.rates IS NOT NULL
UNION ALL
-- both agree, today; where a change is announced, nobody knows yet whether it came
SELECT w.provider, w.model, greatest(w.valid_from, g.valid_from), least(w.next_from, g.valid_to),
       CASE WHEN g.valid_to < w.next_from OR w.next_from IS NULL THEN g.valid_to END,
       (SELECT coalesce(jsonb_object_agg(c.meter, g.rates -> c.meter), '{}') FROM compared c
        WHERE c.provider = w.provider AND c.model = w.model AND c.valid_from = w.valid_from AND c.is_in_both AND NOT c.is_settled
          AND NOT EXISTS (SELECT FROM differing x WHERE (x.provider, x.model, x.valid_from, x.meter) = (c.provider, c.model, c.valid_from, c.meter)))
       || jsonb_strip_nulls(w.settled),
       (SELECT format('LiteLLM of %s and genai-prices of %s; %s', d.litellm_date, d.genai_date, string_agg(format('%s: %s', b.meters, b.source), '; ' ORDER BY b.meters))
        FROM (SELECT string_agg(t.meter, ', ' ORDER BY t.meter) AS meters, t.source FROM settled_by t
              WHERE (t.provider, t.model, t.valid_from) = (w.provider, w.model, w.valid_from) GROUP BY t.source) AS b
        HAVING count(*) > 0)
FROM wanted w
CROSS JOIN document d
JOIN genai_price g ON g.provider = w.provider AND g.model = w.model AND g.valid_from <= d.genai_date AND (g.valid_to IS NULL OR g.valid_to > d.genai_date)
WHERE w.rates IS NULL
  AND EXISTS (SELECT FROM compared c WHERE (c.provider, c.model, c.valid_from) = (w.provider, w.model, w.valid_from))
  AND NOT EXISTS (SELECT FROM differing x WHERE (x.provider, x.model, x.valid_from) = (w.provider, w.model, w.valid_from) AND x.is_decisive)
UNION ALL
-- what went before, in genai-prices
SELECT w.provider, w.model, greatest(w.valid_from, g.valid_from), g.valid_to, NULL,
       -- Writes for an hour at the price of others are the importer's doing.
       CASE WHEN lines(g.rates, 'cache_write_1h_tokens') = lines(g.rates, 'cache_write_tokens') THEN g.rates - 'cache_write_1h_tokens' ELSE g.rates END,
       'genai-prices of ' || d.genai_date
FROM wanted w
CROSS JOIN document d
JOIN genai_price g ON g.provider = w.provider AND g.model = w.model AND g.valid_to <= d.genai_date AND g.valid_to > w.valid_from
WHERE w.rates IS NULL
  AND NOT EXISTS (SELECT FROM differing x WHERE (x.provider, x.model, x.valid_from) = (w.provider, w.model, w.valid_from) AND x.is_decisive);

-- A class that costs a share of standard; where LiteLLM has prices of it, they agree.
CREATE TABLE class AS
SELECT c.value ->> 'provider' AS provider, c.value ->> 'service_class' AS service_class, (c.value ->> 'factor')::numeric AS factor,
       c.value ->> 'meters' AS meters, coalesce(c.value ->> 'models', '') AS models, (c.value ->> 'valid_from')::timestamptz AS valid_from, c.value ->> 'source' AS source
FROM document, jsonb_array_elements(models -> 'classes') AS c;

CREATE FUNCTION share(rates jsonb, factor numeric, meters text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_object_agg(m.meter, m.lines)
    FROM (SELECT r.meter, jsonb_agg(jsonb_strip_nulls(jsonb_build_object('price', r.unit_price * factor, 'over', nullif(r.over_tokens, 0))) ORDER BY r.over_tokens) AS lines
          FROM rate_lines(rates) r WHERE r.meter ~ meters GROUP BY r.meter) AS m
$$;

CREATE TABLE shared AS
SELECT v.provider, v.model, c.service_class, greatest(v.valid_from, c.valid_from) AS valid_from, v.valid_to, share(v.rates, c.factor, c.meters) AS rates,
       format('%s × standard: %s', c.factor, c.source) AS source, l.rates AS litellm,
       l.rates IS NULL OR v.ends IS NOT NULL
       OR NOT EXISTS (SELECT FROM jsonb_object_keys(l.rates) m WHERE m ~ '^(input|output)_tokens$' AND lines(l.rates, m) -> 0 <> lines(share(v.rates, c.factor, c.meters), m) -> 0) AS is_agreed
FROM class c
JOIN version v ON v.provider = c.provider AND v.model ~ c.models AND (v.ends IS NULL OR v.ends > c.valid_from)
LEFT JOIN litellm_price l ON l.provider = v.provider AND l.model = v.model AND l.service_class = c.service_class;

\o :differences
SELECT concat_ws(E'\t', d.provider, d.model, d.meter, d.litellm, d.genai, CASE WHEN d.is_decisive THEN 'model left out' ELSE 'meter left out' END)
FROM differing d
UNION ALL
SELECT concat_ws(E'\t', w.provider, w.model, '', '', '',
                 CASE WHEN NOT EXISTS (SELECT FROM litellm_price l WHERE l.provider = w.provider AND l.model = w.model) THEN 'not in LiteLLM''s list: model left out'
                      ELSE 'not in genai-prices: model left out' END)
FROM wanted w
WHERE w.rates IS NULL AND NOT EXISTS (SELECT FROM compared c WHERE (c.provider, c.model, c.valid_from) = (w.provider, w.model, w.valid_from))
UNION ALL
SELECT concat_ws(E'\t', b.provider, b.model, b.meter, '', '', 'settled without a source')
FROM settled_by b
WHERE b.source IS NULL
UNION ALL
SELECT concat_ws(E'\t', s.provider, s.model, s.service_class, s.litellm, short(s.rates), 'class left out')
FROM shared s
WHERE NOT s.is_agreed
UNION ALL
-- Calls under a dated name would be priced as the name without its date.
SELECT concat_ws(E'\t', i.provider, i.model, m.meter, lines(i.rates, m.meter), lines(v.rates, m.meter), 'a dated name with another price in LiteLLM''s list')
FROM litellm_item i
JOIN version v ON v.provider = i.provider AND v.model = undated(i.model) AND v.ends IS NULL
CROSS JOIN LATERAL (VALUES ('input_tokens'), ('output_tokens')) AS m (meter)
WHERE i.service_class = 'standard' AND undated(i.model) <> i.model AND lines(i.rates, m.meter) <> lines(v.rates, m.meter)
  AND NOT EXISTS (SELECT FROM wanted w WHERE w.provider = i.provider AND w.model = i.model)
ORDER BY 1;
\o

WITH price AS (
    SELECT v.provider, v.model, 'standard' AS service_class, v.valid_from, v.valid_to, v.rates, v.source FROM version v
    UNION ALL
    SELECT s.provider, s.model, s.service_class, s.valid_from, s.valid_to, s.rates, s.source FROM shared s WHERE s.is_agreed
)
SELECT format(E'{"format": "cost_ledger",\n"source": %s,\n"currency": "USD",\n"prices": [\n', to_json(format('LiteLLM of %s and genai-prices of %s', d.litellm_date, d.genai_date)))
       || string_agg(format('{%s}', concat_ws(', ',
              '"provider": ' || to_json(p.provider), '"model": ' || to_json(p.model), '"service_class": ' || to_json(nullif(p.service_class, 'standard')),
              '"valid_from": ' || to_json(to_char(p.valid_from, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), '"valid_to": ' || to_json(to_char(p.valid_to, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
              '"rates": ' || short(p.rates)::text, '"source": ' || to_json(p.source))), E',\n' ORDER BY p.provider COLLATE "C", p.model COLLATE "C", p.service_class <> 'standard', p.valid_from)
       || E'\n]}'
FROM price p, document d
GROUP BY d.litellm_date, d.genai_date;
