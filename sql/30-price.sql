-- Prices: what a usage costs at a moment, and how prices come and change.

CREATE FUNCTION cost_ledger.cost_at(
    called_at      timestamptz,
    provider       text,
    model          text,
    usage          jsonb,
    service_class  text DEFAULT 'standard',
    region         text DEFAULT NULL,
    strict         boolean DEFAULT false
) RETURNS numeric
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_cost_at';

COMMENT ON FUNCTION cost_ledger.cost_at(timestamptz, text, text, jsonb, text, text, boolean) IS
    'Exact cost of a usage at the price in force at called_at, in the price''s currency, unrounded. usage is in the ledger''s convention, {"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}; a provider''s object is an error (22023). NULL where nothing can be priced, or with strict => true an error (LC001), also where only a part can. Needs SELECT on the price tables.';

CREATE FUNCTION cost_ledger.explain_cost(
    called_at      timestamptz,
    provider       text,
    model          text,
    usage          jsonb,
    service_class  text DEFAULT 'standard',
    region         text DEFAULT NULL,
    OUT meter       text,
    OUT quantity    numeric,
    OUT unit_price  numeric,
    OUT per         bigint,
    OUT amount      numeric,
    OUT currency    text,
    OUT price_id    bigint,
    OUT valid_from  timestamptz,
    OUT valid_to    timestamptz,
    OUT rule        text
) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE ROWS 5
    AS 'MODULE_PATHNAME', 'cl_explain_cost';

COMMENT ON FUNCTION cost_ledger.explain_cost(timestamptz, text, text, jsonb, text, text) IS
    'How cost_at() comes to its answer, one row per meter: the quantity priced there (a total''s subsets taken out), its rate (unit_price for "per" units), amount = quantity × unit_price / per, the price version and the rule applied. amount is NULL where there is no rate; the sum of amount is cost_at().';

CREATE FUNCTION cost_ledger._price_changed() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_price_changed';
REVOKE EXECUTE ON FUNCTION cost_ledger._price_changed() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._price_changed() IS
    'Trigger of the price tables: invalidates the price caches of all backends at commit.';

CREATE FUNCTION cost_ledger._price_cache_status(
    OUT hits bigint, OUT loads bigint, OUT invalidations bigint, OUT entries bigint
) RETURNS record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_price_cache_status';
REVOKE EXECUTE ON FUNCTION cost_ledger._price_cache_status() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._price_cache_status() IS
    'Counters of this backend''s price cache: lookups answered from it, rate cards loaded, invalidations received, cards held.';

CREATE FUNCTION cost_ledger._keep_price_history() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The end of a version may come earlier; everything else has priced calls.
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'price' THEN
        IF (to_jsonb(new) - 'valid_to') = (to_jsonb(old) - 'valid_to')
           AND new.valid_to IS NOT NULL
           AND (old.valid_to IS NULL OR new.valid_to <= old.valid_to) THEN
            RETURN new;
        END IF;
    END IF;
    RAISE EXCEPTION 'prices keep their history: % of table "%" is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation',
              HINT = 'Set a new version with cost_ledger.set_price(); replace => true corrects one that starts at the same time.';
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger._keep_price_history() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._keep_price_history() IS
    'Trigger of the price tables: of a version only valid_to may change, and only to an earlier time (23001).';

CREATE FUNCTION cost_ledger.set_price(
    provider       text,
    model          text,
    rates          jsonb,
    valid_from     timestamptz,
    valid_to       timestamptz DEFAULT NULL,
    service_class  text DEFAULT 'standard',
    region         text DEFAULT NULL,
    currency       text DEFAULT NULL,
    source         text DEFAULT NULL,
    replace        boolean DEFAULT false
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    ledger_currency text;
    card bigint;
    next_from timestamptz;
    current record;
    new_id bigint;
    meter text;
    rate jsonb;
    line_price numeric;
    line_per numeric;
    meters text[] := '{}';
    prices numeric[] := '{}';
    pers bigint[] := '{}';
BEGIN
    IF set_price.provider IS NULL OR set_price.provider = '' OR set_price.model IS NULL OR set_price.model = '' THEN
        RAISE EXCEPTION 'a price needs a provider and a model'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Use the names that the calls carry.';
    END IF;
    IF set_price.valid_from IS NULL OR NOT isfinite(set_price.valid_from)
       OR NOT coalesce(isfinite(set_price.valid_to), true)
       OR set_price.valid_to <= set_price.valid_from THEN
        RAISE EXCEPTION 'a price is valid from a finite time to a later one'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'Leave valid_to out for a price without an end.';
    END IF;
    ledger_currency := (cost_ledger._ledger()).currency;
    set_price.currency := coalesce(set_price.currency, ledger_currency);
    IF set_price.currency <> ledger_currency THEN
        RAISE EXCEPTION 'price in %, but this ledger is in %', set_price.currency, ledger_currency
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Convert the rates to the ledger''s currency.';
    END IF;

    -- The rates, checked before anything is written.
    IF jsonb_typeof(set_price.rates) IS DISTINCT FROM 'object' OR set_price.rates = '{}' THEN
        RAISE EXCEPTION 'rates are not a JSON object of meter and price'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write {"input_tokens": 3.00, "output_tokens": 15.00}, in money per million tokens.';
    END IF;
    FOR meter, rate IN SELECT e.key, e.value FROM jsonb_each(set_price.rates) e ORDER BY e.key COLLATE "C" LOOP
        IF meter !~ '^[a-z][a-z0-9_]{0,62}$' THEN
            RAISE EXCEPTION 'meter "%" is not a usage word', meter
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Use lower-case words as in the usage columns: input_tokens, cache_read_tokens, output_tokens, web_search_requests, …';
        ELSIF meter IN ('prompt_tokens', 'completion_tokens', 'cached_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens') THEN
            RAISE EXCEPTION '"%" is a provider''s word, not a usage meter', meter
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'The usage words are input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens.';
        ELSIF jsonb_typeof(rate) = 'number' THEN
            IF right(meter, 7) <> '_tokens' THEN
                RAISE EXCEPTION 'rate of meter "%" does not say how many units it buys', meter
                    USING ERRCODE = 'invalid_parameter_value',
                          HINT = format('Write {"%s": {"price": 10, "per": 1000}}; only meters that end in _tokens are per million by themselves.', meter);
            END IF;
            line_price := rate::text::numeric;
            line_per := 1000000;
        ELSIF jsonb_typeof(rate) = 'object' AND jsonb_typeof(rate -> 'price') = 'number'
              AND coalesce(jsonb_typeof(rate -> 'per'), 'number') = 'number'
              AND rate - 'price' - 'per' = '{}' THEN
            line_price := (rate ->> 'price')::numeric;
            line_per := coalesce((rate ->> 'per')::numeric, CASE WHEN right(meter, 7) = '_tokens' THEN 1000000 END);
        ELSE
            RAISE EXCEPTION 'rate of meter "%" is not a number', meter
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = format('Write {"%s": 3.00} for money per million tokens, or {"%s": {"price": 10, "per": 1000}}.', meter, meter);
        END IF;
        IF line_price < 0 THEN
            RAISE EXCEPTION 'rate of meter "%" is negative', meter
                USING ERRCODE = 'numeric_value_out_of_range',
                      HINT = 'A rate is 0 (free) or more.';
        END IF;
        IF line_per IS NULL OR line_per NOT IN (1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000) THEN
            RAISE EXCEPTION 'rate of meter "%" is per %, which is not a power of ten up to a billion', meter, coalesce(line_per::text, 'unknown')
                USING ERRCODE = 'numeric_value_out_of_range',
                      HINT = 'Only then is quantity × price / per exact; choose another unit for the meter.';
        END IF;
        meters := meters || meter;
        prices := prices || line_price;
        pers := pers || line_per::bigint;
    END LOOP;

    INSERT INTO cost_ledger.rate_card (provider, model, region, service_class)
        VALUES (set_price.provider, set_price.model, coalesce(set_price.region, ''), coalesce(set_price.service_class, 'standard'))
        ON CONFLICT ON CONSTRAINT rate_card_key DO NOTHING;
    -- One change of a card at a time.
    SELECT c.card_id INTO card FROM cost_ledger.rate_card c
        WHERE c.provider = set_price.provider AND c.model = set_price.model
          AND c.region = coalesce(set_price.region, '') AND c.service_class = coalesce(set_price.service_class, 'standard')
        FOR NO KEY UPDATE;

    -- The version that is in force at valid_from ends there.
    SELECT p.price_id, p.valid_from, p.valid_to INTO current FROM cost_ledger.price p
        WHERE p.card_id = card AND p.valid_to IS DISTINCT FROM p.valid_from
          AND p.valid_from <= set_price.valid_from
          AND (p.valid_to IS NULL OR p.valid_to > set_price.valid_from);
    SELECT min(p.valid_from) INTO next_from FROM cost_ledger.price p
        WHERE p.card_id = card AND p.valid_to IS DISTINCT FROM p.valid_from
          AND p.valid_from > set_price.valid_from;
    IF current.valid_from = set_price.valid_from THEN
        -- Said again: nothing to do.  Said differently: only on purpose.
        IF NOT EXISTS (
               SELECT FROM unnest(meters, prices, pers) AS n (meter, unit_price, per)
               FULL JOIN (SELECT * FROM cost_ledger.price_line WHERE price_id = current.price_id) o USING (meter)
               WHERE n.unit_price IS DISTINCT FROM o.unit_price OR n.per IS DISTINCT FROM o.per)
           AND current.valid_to IS NOT DISTINCT FROM least(set_price.valid_to, next_from) THEN
            RETURN current.price_id;
        ELSIF NOT coalesce(set_price.replace, false) THEN
            RAISE EXCEPTION 'model "%" of "%" already has another price from %', set_price.model, set_price.provider, set_price.valid_from
                USING ERRCODE = 'unique_violation',
                      HINT = 'Pass replace => true to correct it; calls already priced keep their cost and its price_id.';
        END IF;
    END IF;
    IF current.price_id IS NOT NULL THEN
        UPDATE cost_ledger.price SET valid_to = set_price.valid_from WHERE price_id = current.price_id;
    END IF;

    INSERT INTO cost_ledger.price (card_id, valid_from, valid_to, currency, source)
        VALUES (card, set_price.valid_from, least(set_price.valid_to, next_from), set_price.currency, set_price.source)
        RETURNING price_id INTO new_id;
    INSERT INTO cost_ledger.price_line (price_id, meter, unit_price, per)
        SELECT new_id, n.meter, n.unit_price, n.per FROM unnest(meters, prices, pers) AS n (meter, unit_price, per);
    RETURN new_id;
END
$$;

COMMENT ON FUNCTION cost_ledger.set_price(text, text, jsonb, timestamptz, timestamptz, text, text, text, text, boolean) IS
    'Sets a price from valid_from on and returns its price_id. rates is an object of meter and price, {"input_tokens": 3.00, "output_tokens": 15.00}: per million for meters that end in _tokens, otherwise {"web_search_requests": {"price": 10, "per": 1000}}; 0 is free on purpose, a meter left out has no rate. A later version closes the earlier one; a back-dated one runs until the next begins; a future one waits for its date. The same price again changes nothing; another one from the same instant is an error (23505) unless replace => true. Rows already priced never change.';

CREATE FUNCTION cost_ledger._stage_price_list() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO cost_ledger.price_list_load
        VALUES (pg_current_xact_id(), new.provider, new.model, new.region, new.service_class, new.meter,
                new.unit_price, new.per, new.currency, new.valid_from, new.valid_to, new.source);
    RETURN new;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger._stage_price_list() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._stage_price_list() IS
    'Trigger of price_list: keeps a row until the statement has brought the whole price.';

CREATE FUNCTION cost_ledger._load_price_list() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p record;
BEGIN
    FOR p IN
        SELECT l.provider, l.model, l.region, l.service_class, l.currency, l.valid_from, l.valid_to, l.source,
               jsonb_object_agg(coalesce(l.meter, ''), jsonb_build_object('price', l.unit_price, 'per', coalesce(l.per, 1000000))) AS rates
        FROM cost_ledger.price_list_load l
        WHERE l.loaded_by = pg_current_xact_id()
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
        ORDER BY l.valid_from, l.provider, l.model
    LOOP
        PERFORM cost_ledger.set_price(p.provider, p.model, p.rates, p.valid_from, p.valid_to,
                                      coalesce(nullif(p.service_class, ''), 'standard'), p.region, nullif(p.currency, ''), p.source);
    END LOOP;
    DELETE FROM cost_ledger.price_list_load l WHERE l.loaded_by = pg_current_xact_id();
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION cost_ledger._load_price_list() FROM PUBLIC;

COMMENT ON FUNCTION cost_ledger._load_price_list() IS
    'Trigger of price_list: sets every price that the statement has brought.';

CREATE FUNCTION cost_ledger.load_seed_prices() RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $load_seed_prices$
DECLARE
    loaded bigint;
BEGIN
    -- The shipped file has neither quotes nor commas inside a field.
    INSERT INTO cost_ledger.price_list
            (provider, model, region, service_class, meter, unit_price, per, currency, valid_from, valid_to, source)
        SELECT f[1], f[2], f[3], f[4], f[5], f[6]::numeric, f[7]::bigint, f[8], f[9]::timestamptz, nullif(f[10], '')::timestamptz, f[11]
        FROM (SELECT string_to_array(line, ',') AS f
              FROM regexp_split_to_table(btrim($csv$
@SEED_PRICES@
$csv$, E'\n'), E'\n') WITH ORDINALITY AS l (line, number)
              WHERE number > 1) AS fields;
    GET DIAGNOSTICS loaded = ROW_COUNT;
    RETURN loaded;
END
$load_seed_prices$;

COMMENT ON FUNCTION cost_ledger.load_seed_prices() IS
    'Loads the price list that ships with cost_ledger (prices/seed.csv: list prices of well-known models, with the date from which each is known) and returns the number of rates in it. Loading it again changes nothing.';
