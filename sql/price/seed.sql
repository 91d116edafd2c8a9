-- The price list that ships with cost_ledger: prices/seed.json, loaded as one.
--
-- Prices of the ledger's own win.  A model that has some, under its name or under
-- one that its calls are priced by already, is left alone whole.

CREATE FUNCTION cost_ledger_internal.seed_prices() RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $seed_prices$
    SELECT $json$
@SEED_PRICES@
$json$::jsonb
$seed_prices$;

COMMENT ON FUNCTION cost_ledger_internal.seed_prices() IS
    'The shipped price list, prices/seed.json, in the form of export_prices().';

CREATE FUNCTION cost_ledger_internal.own_priced_models() RETURNS TABLE (provider text, model text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH own AS MATERIALIZED (
        SELECT DISTINCT c.provider, c.model
        FROM cost_ledger_internal.rate_card c
        JOIN cost_ledger_internal.price p ON p.card_id = c.card_id AND p.valid_to IS DISTINCT FROM p.valid_from
        WHERE c.customer = ''
          AND NOT EXISTS (SELECT FROM cost_ledger_internal.price_origin o
                          JOIN cost_ledger_internal.price_source s ON s.source_id = o.source_id
                          WHERE o.price_id = p.price_id AND s.format = 'cost_ledger' AND s.document = 'load_seed_prices()')
    )
    SELECT m.provider, m.model
    FROM (SELECT DISTINCT l.value ->> 'provider' AS provider, l.value ->> 'model' AS model
          FROM jsonb_array_elements(cost_ledger_internal.seed_prices() -> 'prices') AS l) AS m
    WHERE EXISTS (SELECT FROM own)
      AND EXISTS (SELECT
                  FROM cost_ledger_internal.resolve_model(m.provider, m.model) r
                  JOIN own o ON o.provider = r.priced_provider AND o.model = r.priced_model
                  WHERE r.is_found)
    ORDER BY m.provider, m.model;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.own_priced_models() IS
    'Models of the shipped list for which the ledger has prices that are not the list''s, under a name by which a call of the model may be priced: set by somebody, or imported.';

CREATE FUNCTION cost_ledger_internal.set_seed_prices(left_alone text[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    list CONSTANT jsonb := cost_ledger_internal.seed_prices();
    source_id bigint;
    new_price bigint;
    loaded bigint := 0;
    p record;
BEGIN
    SELECT s.source_id INTO source_id
        FROM cost_ledger_internal.price_source s
        WHERE s.format = 'cost_ledger' AND s.document = 'load_seed_prices()' AND s.raw = list - 'prices'
        ORDER BY s.source_id DESC LIMIT 1;
    IF NOT FOUND THEN
        INSERT INTO cost_ledger_internal.price_source AS s (format, document, entry, raw)
            VALUES ('cost_ledger', 'load_seed_prices()', 'seed.json', list - 'prices')
            RETURNING s.source_id INTO source_id;
    END IF;
    FOR p IN
        SELECT i.* FROM cost_ledger_internal.own_items(list) i
        WHERE i.kind = 'price' AND format('%s/%s', i.provider, i.model) <> ALL (left_alone)
    LOOP
        SELECT x.price_id INTO new_price
            FROM cost_ledger_internal.put_price(p.provider, p.model, p.value, p.valid_from, p.valid_to, p.service_class,
                                                p.region, p.currency, p.name, true, p.customer) x;
        INSERT INTO cost_ledger_internal.price_origin (price_id, source_id) VALUES (new_price, source_id) ON CONFLICT DO NOTHING;
        loaded := loaded + (SELECT count(*) FROM cost_ledger_internal.price_line l WHERE l.price_id = new_price);
    END LOOP;
    RETURN loaded;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.set_seed_prices(text[]) IS
    'Sets every price of the shipped list but those of models that are to be left alone, named "provider/model", and returns the number of their rates.';

CREATE FUNCTION cost_ledger_internal.load_seed_prices() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ledger_currency CONSTANT text := (cost_ledger_internal.ledger()).currency;
    list_currency CONSTANT text := cost_ledger_internal.seed_prices() ->> 'currency';
    left_alone text[];
    loaded bigint;
BEGIN
    -- As for imports: one at a time; readers and set_price() are not in its way.
    LOCK TABLE cost_ledger_internal.price_source IN SHARE ROW EXCLUSIVE MODE;
    left_alone := ARRAY(SELECT format('%s/%s', m.provider, m.model) FROM cost_ledger_internal.own_priced_models() m);
    loaded := cost_ledger_internal.set_seed_prices(left_alone);
    IF left_alone <> '{}' THEN
        RAISE NOTICE 'models of the list that are left alone, since the ledger has prices of its own for them: %', cardinality(left_alone)
            USING DETAIL = array_to_string(left_alone[1:10], ', ') || CASE WHEN cardinality(left_alone) > 10 THEN format(' and %s more', cardinality(left_alone) - 10) ELSE '' END || '.',
                  HINT = 'resolve_model(provider, model) shows which of its prices a model is priced by.';
    END IF;
    IF list_currency <> ledger_currency
       AND NOT EXISTS (SELECT FROM cost_ledger.exchange_rate e WHERE e.currency = list_currency AND e.valid_from <= now()) THEN
        RAISE NOTICE 'the list is in %, and there is no exchange rate for it: its prices price nothing yet', list_currency
            USING HINT = format('INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES (%L, ''%s-01-01'', …); the rate is what one %1$s is worth in %3$s.',
                                list_currency, to_char(now(), 'YYYY'), ledger_currency);
    END IF;
    RETURN loaded;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.load_seed_prices() IS
    'cost_ledger.load_seed_prices(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.load_seed_prices() RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.load_seed_prices() IS
    'Loads the price list that ships with cost_ledger (prices/seed.json: list prices of well-known models in USD, with their past as far as it is known, context tiers, cache and batch) and returns the number of rates that it loaded. Prices of the ledger''s own win: a model that has some is left alone, and a NOTICE says which. Loading the list again changes nothing; a newer one, after an upgrade of the extension, adds what is new. In a ledger of another currency the prices need an exchange_rate, and a NOTICE says so while there is none.';
