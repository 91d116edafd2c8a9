-- Prices: what a usage costs at a moment, and how prices come and change.
--
-- What has priced a call stays as it was: a change is another version, and of one
-- that there is only the end may be moved, to an earlier time.

CREATE FUNCTION cost_ledger.cost_at(
    called_at      timestamptz,
    provider       text,
    model          text,
    usage          jsonb,
    service_class  text DEFAULT 'standard',
    region         text DEFAULT NULL,
    strict         boolean DEFAULT false,
    customer       text DEFAULT NULL
) RETURNS numeric
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_cost_at';

COMMENT ON FUNCTION cost_ledger.cost_at(timestamptz, text, text, jsonb, text, text, boolean, text) IS
    'Exact cost of a usage at the price in force at called_at, in the ledger''s currency, unrounded. A price per request is in it once, also of an empty usage. usage is in the ledger''s convention, {"input_tokens": 5800, "cache_read_tokens": 5000, "output_tokens": 600}; a provider''s object is an error (22023). NULL where nothing can be priced, or with strict => true an error (LC001), also where only a part can. customer gives that customer''s prices, to who may see its calls (else 42501).';

CREATE FUNCTION cost_ledger.explain_cost(
    called_at      timestamptz,
    provider       text,
    model          text,
    usage          jsonb,
    service_class  text DEFAULT 'standard',
    region         text DEFAULT NULL,
    customer       text DEFAULT NULL,
    OUT meter       text,
    OUT quantity    numeric,
    OUT unit_price  numeric,
    OUT per         bigint,
    OUT multiplier  numeric,
    OUT amount      numeric,
    OUT currency    text,
    OUT price_id    bigint,
    OUT valid_from  timestamptz,
    OUT valid_to    timestamptz,
    OUT rule        text
) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE ROWS 5
    AS 'MODULE_PATHNAME', 'cl_explain_cost';

COMMENT ON FUNCTION cost_ledger.explain_cost(timestamptz, text, text, jsonb, text, text, text) IS
    'How cost_at() comes to its answer, one row per meter (and per step of a graduated rate): the quantity priced there (a total''s parts taken out), its rate (unit_price for "per" units, in currency), the product of all multipliers and the exchange rate, amount = quantity × unit_price / per × multiplier in the ledger''s currency, the price version, and the rule applied: whether the rate is the meter''s own, its tier and window, whose card it stands on, and each multiplier. amount is NULL where there is no rate, or, with multiplier, no exchange rate; the sum of amount is cost_at().';

CREATE FUNCTION cost_ledger_internal.pricing_at(
    called_at timestamptz, provider text, model text, usage jsonb, service_class text, region text, customer text,
    OUT cost numeric, OUT pricing text, OUT price_id bigint, OUT prompt_cache_saving numeric
) RETURNS record
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_pricing_at';

COMMENT ON FUNCTION cost_ledger_internal.pricing_at(timestamptz, text, text, jsonb, text, text, text) IS
    'What call says of such a call: cost as of cost_at(), pricing, the price version of the most specific card in force, and what the prompt cache saved. Of no usage (NULL), unpriced.';

CREATE FUNCTION cost_ledger_internal.service_class(word text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_service_class_of';

COMMENT ON FUNCTION cost_ledger_internal.service_class(text) IS
    'The service class that is meant by a word for one: in lower case; standard for what providers call default, auto or on_demand, and for an empty word.';

CREATE FUNCTION cost_ledger_internal.price_changed() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_price_changed';

COMMENT ON FUNCTION cost_ledger_internal.price_changed() IS
    'Trigger of the price tables: invalidates the price caches of all backends at commit.';

CREATE FUNCTION cost_ledger_internal.price_cache_status(
    OUT hits bigint, OUT loads bigint, OUT invalidations bigint, OUT entries bigint, OUT checks bigint, OUT bytes bigint
) RETURNS record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_price_cache_status';

COMMENT ON FUNCTION cost_ledger_internal.price_cache_status() IS
    'This backend''s price cache: lookups answered from it, entries loaded, invalidations received, entries held, entries checked after an invalidation, memory that it takes; above 32 MB it starts over.';

CREATE FUNCTION cost_ledger_internal.keep_price_history() RETURNS trigger
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
    -- All lines of a price come at once: one that comes later would price calls
    -- anew that have their cost.
    ELSIF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM cost_ledger_internal.price_line l WHERE l.price_id = new.price_id AND NOT cost_ledger_internal.is_own_xid(l.xmin)) THEN
            RETURN new;
        END IF;
    END IF;
    RAISE EXCEPTION 'prices keep their history: % of table "%" is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation',
              HINT = CASE WHEN TG_TABLE_NAME IN ('price_multiplier', 'exchange_rate')
                          THEN 'Add a row from another time on; one a microsecond later corrects this.'
                          ELSE 'Set a new version with cost_ledger.set_price(); replace => true corrects one that starts at the same time.'
                     END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.keep_price_history() IS
    'Trigger of the price tables: of a version only valid_to may change, and only to an earlier time, and its lines come at once (23001).';

CREATE FUNCTION cost_ledger_internal.check_exchange_rate() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF new.currency !~ '^[A-Z]{3}$' THEN
        RAISE EXCEPTION 'currency "%" is not an ISO 4217 code', new.currency
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use three capital letters, e.g. USD.';
    ELSIF new.currency = (SELECT l.currency FROM cost_ledger.ledger l) THEN
        RAISE EXCEPTION '% is the currency of the ledger', new.currency
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('A rate says how many %s one unit of another currency is worth; one %1$s is one.', new.currency);
    ELSIF new.rate <= 0 OR new.rate >= 1e12 OR scale(new.rate) > 100 THEN
        RAISE EXCEPTION 'an exchange rate is a number above 0 and below 10^12'
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'A rate is how many units of the ledger''s currency one of this is worth, with at most 100 decimals.';
    ELSIF NOT isfinite(new.valid_from) THEN
        RAISE EXCEPTION 'an exchange rate is valid from a finite time'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'It holds until the next of its currency.';
    END IF;
    RETURN new;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_exchange_rate() IS
    'Trigger of exchange_rate: says what is wrong with a rate.';

CREATE FUNCTION cost_ledger_internal.check_rate(meter text, rate jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
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
        RETURN jsonb_build_object('price', rate);
    ELSIF jsonb_typeof(rate) IS DISTINCT FROM 'object' OR jsonb_typeof(rate -> 'price') IS DISTINCT FROM 'number'
          OR coalesce(jsonb_typeof(rate -> 'per'), 'number') <> 'number'
          OR coalesce(jsonb_typeof(rate -> 'over'), 'number') <> 'number'
          OR coalesce(jsonb_typeof(rate -> 'inclusive'), 'boolean') <> 'boolean'
          OR coalesce(jsonb_typeof(rate -> 'graduated'), 'boolean') <> 'boolean'
          OR coalesce(jsonb_typeof(rate -> 'from'), 'string') <> 'string'
          OR coalesce(jsonb_typeof(rate -> 'to'), 'string') <> 'string'
          OR coalesce(jsonb_typeof(rate -> 'days'), 'array') <> 'array'
          OR coalesce(jsonb_typeof(rate -> 'zone'), 'string') <> 'string'
          OR rate - '{price,per,over,inclusive,graduated,from,to,days,zone}'::text[] <> '{}' THEN
        RAISE EXCEPTION 'rate of meter "%" is not a number', meter
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('Write {"%s": 3.00} for money per million tokens, or {"%1$s": {"price": 10, "per": 1000}}; a tier has "over", a window "from", "to", "days", "zone".', meter);
    END IF;
    RETURN rate;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_rate(text, jsonb) IS
    'One rate of a meter as an object with a price; an error (22023) for a meter that is no usage word, or a rate that does not say what it buys.';

CREATE FUNCTION cost_ledger_internal.rate_window(
    meter text, rate jsonb, OUT window_start time, OUT window_end time, OUT window_days smallint[], OUT window_zone text
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    text_value text;
BEGIN
    IF NOT rate ?| '{from,to,days,zone}' THEN
        RETURN;
    END IF;
    FOREACH text_value IN ARRAY ARRAY[rate ->> 'from', rate ->> 'to'] LOOP
        IF text_value !~ '^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$' THEN
            RAISE EXCEPTION 'window of meter "%" has "%", which is not a time of day', meter, text_value
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Write "from": "16:30", "to": "00:30".';
        END IF;
    END LOOP;
    window_start := (rate ->> 'from')::time;
    window_end := (rate ->> 'to')::time;
    window_zone := coalesce(rate ->> 'zone', 'UTC');
    IF (window_start IS NULL) <> (window_end IS NULL) OR (window_start IS NULL AND NOT rate ? 'days') THEN
        RAISE EXCEPTION 'window of meter "%" is not complete', meter
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'A window has "from" and "to", or "days", or all three.';
    END IF;
    IF NOT cost_ledger_internal.is_time_zone(window_zone) THEN
        RAISE EXCEPTION 'time zone "%" is not known', window_zone
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use a name of pg_timezone_names, e.g. UTC or Asia/Shanghai.';
    END IF;
    IF rate ? 'days' THEN
        IF rate -> 'days' = '[]' OR NOT rate -> 'days' <@ '[1, 2, 3, 4, 5, 6, 7]' THEN
            RAISE EXCEPTION 'window of meter "%" has days that are not days of the week', meter
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Write "days": [1, 2, 3, 4, 5] for Monday to Friday.';
        END IF;
        window_days := ARRAY(SELECT DISTINCT d::smallint FROM jsonb_array_elements_text(rate -> 'days') AS d ORDER BY 1);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.rate_window(text, jsonb) IS
    'The window of time in which a rate applies, NULL for one that always does; an error (22023) for a window that cannot be read.';

CREATE FUNCTION cost_ledger_internal.rate_lines(rates jsonb) RETURNS TABLE (
        meter text, unit_price numeric, per bigint, over_tokens bigint, is_inclusive boolean, is_graduated boolean,
        window_start time, window_end time, window_days smallint[], window_zone text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rate jsonb;
    value numeric;
    condition text;
    conditions text[] := '{}';
BEGIN
    IF jsonb_typeof(rates) IS DISTINCT FROM 'object' OR rates = '{}' THEN
        RAISE EXCEPTION 'rates are not a JSON object of meter and price'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write {"input_tokens": 3.00, "output_tokens": 15.00}, in money per million tokens.';
    END IF;
    FOR meter, rate IN
        -- A meter has one rate, or an array of them: by context tier, by window of time.
        SELECT e.key, r.value
        FROM jsonb_each(rates) AS e,
             LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(e.value) = 'array' AND e.value <> '[]' THEN e.value
                                               ELSE jsonb_build_array(e.value) END) WITH ORDINALITY AS r (value, n)
        ORDER BY e.key COLLATE "C", r.n
    LOOP
        rate := cost_ledger_internal.check_rate(meter, rate);
        unit_price := (rate ->> 'price')::numeric;
        IF unit_price < 0 THEN
            RAISE EXCEPTION 'rate of meter "%" is negative', meter
                USING ERRCODE = 'numeric_value_out_of_range',
                      HINT = 'A rate is 0 (free) or more.';
        ELSIF unit_price >= 1000000000000 OR scale(unit_price) > 100 THEN
            -- Not spelled out: it may have a hundred thousand digits.
            RAISE EXCEPTION 'rate of meter "%" is not one that anybody charges', meter
                USING ERRCODE = 'numeric_value_out_of_range',
                      HINT = 'A rate is below 10^12 and has at most 100 decimals; write {"price": 3.00, "per": 1000000} for money per million units.';
        END IF;
        value := coalesce((rate ->> 'per')::numeric, CASE WHEN right(meter, 7) = '_tokens' THEN 1000000 END);
        IF value IS NULL OR value NOT IN (1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000) THEN
            RAISE EXCEPTION 'rate of meter "%" is per %, which is not a power of ten up to a billion', meter, coalesce(value::text, 'unknown')
                USING ERRCODE = 'numeric_value_out_of_range',
                      HINT = 'Only then is quantity × price / per exact; choose another unit for the meter.';
        END IF;
        per := value::bigint;

        value := coalesce((rate ->> 'over')::numeric, 0);
        IF value < 0 OR value <> trunc(value) OR value > 9007199254740992 THEN
            RAISE EXCEPTION 'tier of meter "%" begins at %, which is not a count', meter, value
                USING ERRCODE = 'numeric_value_out_of_range',
                      HINT = '"over" is a whole number of tokens, e.g. 200000.';
        END IF;
        over_tokens := value::bigint;
        is_inclusive := coalesce((rate ->> 'inclusive')::boolean, false);
        is_graduated := coalesce((rate ->> 'graduated')::boolean, false);

        SELECT w.* INTO window_start, window_end, window_days, window_zone FROM cost_ledger_internal.rate_window(meter, rate) w;

        -- Which of two would apply to a call?
        condition := jsonb_build_array(meter, over_tokens, window_start, window_end, window_days, window_zone);
        IF condition = ANY (conditions) THEN
            RAISE EXCEPTION 'meter "%" has two rates for the same calls', meter
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = format('Of several rates of a meter each has a tier ("over") or window of time of its own: {"%s": [3.00, {"price": 6.00, "over": 200000}]}.', meter);
        END IF;
        conditions := conditions || condition;
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.rate_lines(jsonb) IS
    'The lines of a rates object, checked: see set_price().';

CREATE FUNCTION cost_ledger_internal.has_rates(price_id bigint, rates jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        WITH new_lines AS (
            SELECT r.meter, r.unit_price, r.per, r.over_tokens, r.is_inclusive, r.is_graduated,
                   r.window_start, r.window_end, r.window_days, r.window_zone,
                   -- Of windows that overlap, the first counts.
                   CASE WHEN r.window_zone IS NOT NULL
                        THEN row_number() OVER (PARTITION BY r.meter, r.window_zone IS NULL ORDER BY r.n) END AS n
            FROM cost_ledger_internal.rate_lines(has_rates.rates) WITH ORDINALITY AS r (meter, unit_price, per, over_tokens, is_inclusive, is_graduated,
                                                                                             window_start, window_end, window_days, window_zone, n)
        ), old_lines AS (
            SELECT l.meter, l.unit_price, l.per, l.over_tokens, l.is_inclusive, l.is_graduated,
                   l.window_start, l.window_end, l.window_days, l.window_zone,
                   CASE WHEN l.window_zone IS NOT NULL
                        THEN row_number() OVER (PARTITION BY l.meter, l.window_zone IS NULL ORDER BY l.line) END AS n
            FROM cost_ledger_internal.price_line l WHERE l.price_id = has_rates.price_id
        )
        SELECT NOT EXISTS (TABLE new_lines EXCEPT TABLE old_lines) AND NOT EXISTS (TABLE old_lines EXCEPT TABLE new_lines));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.has_rates(bigint, jsonb) IS
    'Whether the lines of a price are those of a rates object, the order of its windows included.';

CREATE FUNCTION cost_ledger_internal.take_card(provider text, model text, region text, service_class text, customer text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    card bigint;
BEGIN
    INSERT INTO cost_ledger_internal.rate_card (provider, model, region, service_class, customer)
        VALUES (take_card.provider, take_card.model, take_card.region, take_card.service_class, take_card.customer)
        ON CONFLICT ON CONSTRAINT rate_card_key DO NOTHING;
    SELECT c.card_id INTO card FROM cost_ledger_internal.rate_card c
        WHERE c.provider = take_card.provider AND c.model = take_card.model AND c.region = take_card.region
          AND c.service_class = take_card.service_class AND c.customer = take_card.customer
        FOR NO KEY UPDATE;
    RETURN card;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.take_card(text, text, text, text, text) IS
    'The rate card, made if need be, and locked to the end of the transaction: one change of a card at a time.';

CREATE FUNCTION cost_ledger_internal.put_price(
    provider       text,
    model          text,
    rates          jsonb,
    valid_from     timestamptz,
    valid_to       timestamptz,
    service_class  text,
    region         text,
    currency       text,
    source         text,
    replace        boolean,
    customer       text,
    OUT price_id     bigint,
    OUT old_price_id bigint,
    OUT is_new       boolean
) RETURNS record
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    card bigint;
    next_from timestamptz;
    current record;
BEGIN
    IF put_price.provider IS NULL OR put_price.provider = '' OR put_price.model IS NULL OR put_price.model = '' THEN
        RAISE EXCEPTION 'a price needs a provider and a model'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Use the names that the calls carry.';
    END IF;
    IF put_price.valid_from IS NULL OR NOT isfinite(put_price.valid_from)
       OR NOT coalesce(isfinite(put_price.valid_to), true)
       OR put_price.valid_to <= put_price.valid_from THEN
        RAISE EXCEPTION 'a price is valid from a finite time to a later one'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'Leave valid_to out for a price without an end.';
    END IF;
    put_price.currency := coalesce(put_price.currency, (cost_ledger_internal.ledger()).currency);
    put_price.region := coalesce(put_price.region, '');
    put_price.customer := coalesce(put_price.customer, '');
    put_price.service_class := cost_ledger_internal.service_class(coalesce(put_price.service_class, ''));
    IF put_price.currency !~ '^[A-Z]{3}$' THEN
        RAISE EXCEPTION 'currency "%" is not an ISO 4217 code', put_price.currency
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use three capital letters, e.g. USD.';
    END IF;
    -- The rates, checked before anything is written.
    PERFORM cost_ledger_internal.rate_lines(put_price.rates);

    card := cost_ledger_internal.take_card(put_price.provider, put_price.model, put_price.region, put_price.service_class, put_price.customer);

    -- The version that is in force at valid_from ends there.
    SELECT p.price_id, p.valid_from, p.valid_to, p.currency INTO current FROM cost_ledger_internal.price p
        WHERE p.card_id = card AND p.valid_to IS DISTINCT FROM p.valid_from
          AND p.valid_from <= put_price.valid_from
          AND (p.valid_to IS NULL OR p.valid_to > put_price.valid_from);
    SELECT min(p.valid_from) INTO next_from FROM cost_ledger_internal.price p
        WHERE p.card_id = card AND p.valid_to IS DISTINCT FROM p.valid_from
          AND p.valid_from > put_price.valid_from;
    IF current.valid_from = put_price.valid_from THEN
        -- Said again: nothing to do.  Said differently: only on purpose.
        IF cost_ledger_internal.has_rates(current.price_id, put_price.rates) AND current.currency = put_price.currency
           AND current.valid_to IS NOT DISTINCT FROM least(put_price.valid_to, next_from) THEN
            put_price.price_id := current.price_id;
            is_new := false;
            RETURN;
        ELSIF NOT coalesce(put_price.replace, false) THEN
            RAISE EXCEPTION 'model "%" of "%" already has another price from %', put_price.model, put_price.provider, put_price.valid_from
                USING ERRCODE = 'unique_violation',
                      HINT = 'Pass replace => true to correct it; calls already priced keep their cost and its price_id.';
        END IF;
    END IF;
    IF current.price_id IS NOT NULL THEN
        UPDATE cost_ledger_internal.price SET valid_to = put_price.valid_from WHERE price_id = current.price_id;
        old_price_id := current.price_id;
    END IF;

    INSERT INTO cost_ledger_internal.price (card_id, valid_from, valid_to, currency, source)
        VALUES (card, put_price.valid_from, least(put_price.valid_to, next_from), put_price.currency, put_price.source)
        RETURNING price_id INTO put_price.price_id;
    is_new := true;
    INSERT INTO cost_ledger_internal.price_line (price_id, line, meter, unit_price, per, over_tokens, is_inclusive, is_graduated,
                                        window_start, window_end, window_days, window_zone)
        SELECT put_price.price_id, row_number() OVER (), r.meter, r.unit_price, r.per, r.over_tokens, r.is_inclusive, r.is_graduated,
               r.window_start, r.window_end, r.window_days, r.window_zone
        FROM cost_ledger_internal.rate_lines(put_price.rates) r;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.put_price(text, text, jsonb, timestamptz, timestamptz, text, text, text, text, boolean, text) IS
    'Sets a price as set_price() does, without a word about it: for what sets many. old_price_id is the version that ends where this one begins; NULL where there is none. is_new is false where the price was there already.';

CREATE FUNCTION cost_ledger_internal.known_meters() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '{input_tokens,cache_read_tokens,cache_write_tokens,cache_write_1h_tokens,output_tokens,reasoning_tokens,
             input_audio_tokens,input_image_tokens,input_video_tokens,cache_read_audio_tokens,cache_read_image_tokens,cache_read_video_tokens,
             cache_write_audio_tokens,output_audio_tokens,output_image_tokens,output_video_tokens,citation_tokens,
             computer_use_input_tokens,computer_use_output_tokens,requests,
             web_search_requests,web_search_requests_low,web_search_requests_medium,web_search_requests_high,web_fetch_requests,
             google_maps_grounding_requests,file_search_calls,file_search_gb_days,vector_store_gb_days,code_execution_requests,code_interpreter_sessions,
             search_units,classifications,input_queries,pages,annotation_pages,credits,seconds,
             input_images,input_pixels,input_seconds,input_characters,input_audio_seconds,input_video_seconds,
             output_images,output_pixels,output_seconds,output_characters,output_audio_seconds,output_video_seconds}'::text[];

COMMENT ON FUNCTION cost_ledger_internal.known_meters() IS
    'The meters that providers'' usage objects and price lists have here; a price may have others.';

CREATE FUNCTION cost_ledger_internal.name_distance(name text, other text, lost integer, most integer) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_name_distance';

COMMENT ON FUNCTION cost_ledger_internal.name_distance(text, text, integer, integer) IS
    'How far one name is from another (Levenshtein, as PostgreSQL guesses at columns): 1 for each character that the other has more, lost for each that it has less or otherwise; NULL beyond the most that is asked for, and for names of more than 255 bytes.';

CREATE FUNCTION cost_ledger_internal.price_slips(new_prices bigint[], old_prices bigint[]) RETURNS TABLE (slip text, what text, rates text)
    LANGUAGE plpgsql STABLE
    SET standard_conforming_strings = on
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT 'below 0.001 per million', format('%s of "%s" at %s per %s', l.meter, c.model, trim_scale(l.unit_price), l.per),
           format('"%s": {"price": %s, "per": 1}', l.meter, trim_scale(l.unit_price))
    FROM cost_ledger_internal.price_line l
    JOIN cost_ledger_internal.price p ON p.price_id = l.price_id
    JOIN cost_ledger_internal.rate_card c ON c.card_id = p.card_id
    WHERE l.price_id = ANY (new_prices) AND right(l.meter, 7) = '_tokens'
      AND l.unit_price > 0 AND l.unit_price * 1000000000 < l.per
    ORDER BY l.price_id, l.line;

    RETURN QUERY
    SELECT 'new meter', format('%s of "%s"', l.meter, c.model) || coalesce(' (' || near.name || '?)', ''), ''
    FROM (SELECT x.meter, min(x.price_id) AS price_id
          FROM cost_ledger_internal.price_line x
          WHERE x.price_id = ANY (new_prices)
          GROUP BY x.meter) l
    JOIN cost_ledger_internal.price p ON p.price_id = l.price_id
    JOIN cost_ledger_internal.rate_card c ON c.card_id = p.card_id
    LEFT JOIN LATERAL (
        SELECT k.name
        FROM unnest(cost_ledger_internal.known_meters()) AS k (name)
        CROSS JOIN LATERAL (SELECT cost_ledger_internal.name_distance(k.name, l.meter, 1, floor(length(l.meter) * 0.3)::integer) AS distance) AS d
        WHERE d.distance IS NOT NULL
        ORDER BY d.distance, left(k.name, 1) <> left(l.meter, 1), k.name
        LIMIT 1) near ON true
    -- Sizes and resolutions change with every model.
    WHERE l.meter <> ALL (cost_ledger_internal.known_meters())
      AND regexp_replace(l.meter, '_[0-9].*$', '') <> ALL (cost_ledger_internal.known_meters())
      AND NOT EXISTS (SELECT FROM cost_ledger_internal.price_line o WHERE o.meter = l.meter AND o.price_id <> ALL (new_prices))
    ORDER BY l.price_id, l.meter;

    RETURN QUERY
    SELECT 'dropped', format('%s of "%s"', concat(o.meter, CASE WHEN o.over_tokens > 0 THEN format(' over %s', o.over_tokens) END, CASE WHEN o.window_zone IS NOT NULL THEN ' in its window of time' END), c.model),
           format('"%s": {"price": %s, "per": %s%s}', o.meter, trim_scale(o.unit_price), o.per,
                  concat(CASE WHEN o.over_tokens > 0 THEN format(', "over": %s', o.over_tokens) END,
                         CASE WHEN o.window_zone IS NOT NULL THEN ', …' END))
    FROM (SELECT l.*, pair.new_price
          FROM unnest(new_prices, old_prices) AS pair (new_price, old_price)
          JOIN cost_ledger_internal.price_line l ON l.price_id = pair.old_price
          WHERE pair.old_price <> ALL (new_prices)) o
    JOIN cost_ledger_internal.price p ON p.price_id = o.new_price
    JOIN cost_ledger_internal.rate_card c ON c.card_id = p.card_id
    -- Another threshold or window is a change; none any more is a loss.
    WHERE NOT EXISTS (SELECT FROM cost_ledger_internal.price_line n
                      WHERE n.price_id = o.new_price AND n.meter = o.meter
                        AND (n.over_tokens > 0) = (o.over_tokens > 0) AND (n.window_zone IS NULL) = (o.window_zone IS NULL))
    ORDER BY o.new_price, o.line;

    -- Of a name that has a card no other is looked for: whoever has no price here
    -- has none, and what these prices lack stays so.
    RETURN QUERY
    SELECT 'of a name alone', format('"%s" of "%s", priced as "%s" of "%s" otherwise', c.model, c.provider, other.model, other.provider), ''
    FROM cost_ledger_internal.price p
    JOIN cost_ledger_internal.rate_card c ON c.card_id = p.card_id
    CROSS JOIN LATERAL (
        SELECT o.provider, o.model
        FROM cost_ledger_internal.names_to_try(c.provider, c.model) WITH ORDINALITY AS t (provider_name, model_name, rule, key, n)
        JOIN cost_ledger_internal.rate_card o ON lower(o.provider) || E'\n' || lower(o.model) = t.key
        WHERE (o.provider, o.model) <> (c.provider, c.model) AND (o.customer, o.service_class, o.region) = ('', 'standard', '')
        ORDER BY t.n
        LIMIT 1) other
    WHERE p.price_id = ANY (new_prices) AND (c.customer, c.service_class, c.region) <> ('', 'standard', '')
      AND NOT EXISTS (SELECT FROM cost_ledger_internal.rate_card o
                      WHERE o.provider = c.provider AND o.model = c.model AND (o.customer, o.service_class, o.region) = ('', 'standard', ''))
    ORDER BY p.price_id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.price_slips(bigint[], bigint[]) IS
    'What looks like a slip in prices that have just been set, each beside the version it follows (NULL: none): rates of tokens below 0.001 per million, meters that no other price has, rates that the version before had, prices for some calls of a name by which the others find another card. rates is what would mend it, for a hint.';

CREATE FUNCTION cost_ledger_internal.tell_slips(new_prices bigint[], old_prices bigint[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
    shown CONSTANT integer := 5;
BEGIN
    FOR found IN
        SELECT s.slip, string_agg(s.what, ', ' ORDER BY s.n) FILTER (WHERE s.n <= shown)
                       || CASE WHEN count(*) > shown THEN format(' and %s more', count(*) - shown) ELSE '' END AS what,
               string_agg(s.rates, ', ' ORDER BY s.n) FILTER (WHERE s.n <= shown) AS rates, min(s.rates) FILTER (WHERE s.n = 1) AS first_rate
        FROM (SELECT x.*, row_number() OVER (PARTITION BY x.slip) AS n
              FROM cost_ledger_internal.price_slips(new_prices, old_prices) x) s
        GROUP BY s.slip
        ORDER BY s.slip
    LOOP
        CASE found.slip
            WHEN 'below 0.001 per million' THEN
                RAISE NOTICE 'is this per token? %', found.what
                    USING HINT = format('Rates of tokens are money per million. One per token is written {%s}; set it again with replace => true.', found.first_rate);
            WHEN 'new meter' THEN
                RAISE NOTICE 'no other price has the meter %', found.what
                    USING HINT = 'Calls are priced by the very words of their usage: if it is misspelt, set the price again with replace => true.';
            WHEN 'dropped' THEN
                RAISE NOTICE 'the version before has rates that this one has not: %', found.what
                    USING HINT = format('A version has all the rates of its card. Where they still hold, set it again with replace => true, and with %s.', found.rates);
            WHEN 'of a name alone' THEN
                RAISE NOTICE 'these are the only prices of a name: %', found.what
                    USING HINT = 'A call that finds prices under one name is looked for under no other: what these lack, it has no rate for. Set them for the name that it is priced as otherwise, or set the common price for this name as well.';
        END CASE;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.tell_slips(bigint[], bigint[]) IS
    'A NOTICE, with what to do, for each kind of price_slips(), however many there are.';

CREATE FUNCTION cost_ledger_internal.set_price(
    provider       text,
    model          text,
    rates          jsonb,
    valid_from     timestamptz,
    valid_to       timestamptz,
    service_class  text,
    region         text,
    currency       text,
    source         text,
    replace        boolean,
    customer       text
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    put record;
BEGIN
    SELECT p.* INTO put
        FROM cost_ledger_internal.put_price(provider, model, rates, valid_from, valid_to, service_class, region, currency, source, replace, customer) p;
    IF put.is_new THEN
        PERFORM cost_ledger_internal.tell_slips(ARRAY[put.price_id], ARRAY[put.old_price_id]);
    END IF;
    RETURN put.price_id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.set_price(text, text, jsonb, timestamptz, timestamptz, text, text, text, text, boolean, text) IS
    'cost_ledger.set_price(), with the rights of the ledger''s owner.';

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
    replace        boolean DEFAULT false,
    customer       text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.set_price(text, text, jsonb, timestamptz, timestamptz, text, text, text, text, boolean, text) IS
    'Sets a price from valid_from on and returns its price_id. rates is an object of meter and price, {"input_tokens": 3.00, "output_tokens": 15.00}: per million for meters that end in _tokens, otherwise {"web_search_requests": {"price": 10, "per": 1000}}; 0 is free on purpose, a meter left out has no rate. A meter may have an array of rates: context tiers, {"price": 6.00, "over": 200000} (more input tokens than that in the call; "inclusive" from that many on; "graduated" for the units beyond only), and windows of time, {"price": 1.35, "from": "16:30", "to": "00:30", "days": [1, 2, 3, 4, 5], "zone": "UTC"}. A later version closes the earlier one; a back-dated one runs until the next begins; a future one waits for its date. The same price again changes nothing; another one from the same instant is an error (23505) unless replace => true. A NOTICE tells of what is probably a slip: a rate of tokens below 0.001 per million, a meter that no other price has, rates that the version before had, a price of one customer, class or region for a name that is priced by another otherwise. Rows already priced never change.';

CREATE FUNCTION cost_ledger_internal.set_multiplier(
    provider       text,
    name           text,
    factor         numeric,
    valid_from     timestamptz,
    model          text,
    region         text,
    service_class  text,
    customer       text,
    tokens_only    boolean,
    source         text
) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known record;
BEGIN
    IF coalesce(set_multiplier.provider, '') = '' OR coalesce(set_multiplier.name, '') = '' THEN
        RAISE EXCEPTION 'a multiplier needs a provider and a name'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Name what it is, e.g. discount, markup or uplift; another factor under the same name follows the earlier one.';
    END IF;
    IF set_multiplier.factor IS NULL OR set_multiplier.factor < 0 OR set_multiplier.factor >= 'Infinity' THEN
        RAISE EXCEPTION 'factor % is not a number of at least 0', coalesce(set_multiplier.factor::text, 'NULL')
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = '0.9 is a discount of 10 percent, 1.1 an uplift, 1 ends a multiplier.';
    ELSIF set_multiplier.factor >= 1000000 OR scale(set_multiplier.factor) > 100 THEN
        RAISE EXCEPTION 'the factor is not one that anybody multiplies a price by'
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'A factor is below 10^6 and has at most 100 decimals; 0.9 is a discount of 10 percent, 1.1 an uplift.';
    END IF;
    IF set_multiplier.valid_from IS NULL OR NOT isfinite(set_multiplier.valid_from) THEN
        RAISE EXCEPTION 'a multiplier is valid from a finite time'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'It holds until the next of its name; set a factor of 1 to end it.';
    END IF;
    set_multiplier.model := coalesce(set_multiplier.model, '');
    set_multiplier.region := coalesce(set_multiplier.region, '');
    set_multiplier.service_class := coalesce(cost_ledger_internal.service_class(nullif(set_multiplier.service_class, '')), '');
    set_multiplier.customer := coalesce(set_multiplier.customer, '');
    set_multiplier.tokens_only := coalesce(set_multiplier.tokens_only, true);

    INSERT INTO cost_ledger.price_multiplier (provider, model, region, service_class, customer, name, valid_from, factor, tokens_only, source)
        VALUES (set_multiplier.provider, set_multiplier.model, set_multiplier.region, set_multiplier.service_class, set_multiplier.customer,
                set_multiplier.name, set_multiplier.valid_from, set_multiplier.factor, set_multiplier.tokens_only, set_multiplier.source)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT m.factor, m.tokens_only INTO known FROM cost_ledger.price_multiplier m
            WHERE m.provider = set_multiplier.provider AND m.model = set_multiplier.model AND m.region = set_multiplier.region
              AND m.service_class = set_multiplier.service_class AND m.customer = set_multiplier.customer
              AND m.name = set_multiplier.name AND m.valid_from = set_multiplier.valid_from;
        IF (known.factor, known.tokens_only) IS DISTINCT FROM (set_multiplier.factor, set_multiplier.tokens_only) THEN
            RAISE EXCEPTION 'multiplier "%" of "%" already has another factor from %', set_multiplier.name, set_multiplier.provider, set_multiplier.valid_from
                USING ERRCODE = 'unique_violation',
                      HINT = 'Let the new factor begin at another time, or give it another name.';
        END IF;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.set_multiplier(text, text, numeric, timestamptz, text, text, text, text, boolean, text) IS
    'cost_ledger.set_multiplier(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.set_multiplier(
    provider       text,
    name           text,
    factor         numeric,
    valid_from     timestamptz,
    model          text DEFAULT NULL,
    region         text DEFAULT NULL,
    service_class  text DEFAULT NULL,
    customer       text DEFAULT NULL,
    tokens_only    boolean DEFAULT true,
    source         text DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.set_multiplier(text, text, numeric, timestamptz, text, text, text, text, boolean, text) IS
    'From valid_from until the next factor of the same name, multiplies a provider''s rates: of one model or all, for calls of a region, service class or customer or all; tokens_only leaves fees alone. A service class with a multiplier and no prices of its own is priced at standard times the factor. The same again changes nothing.';

CREATE FUNCTION cost_ledger_internal.stage_price_list_as_owner() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO cost_ledger_internal.price_list_load SELECT pg_current_xact_id(), new.*;
    RETURN new;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.stage_price_list_as_owner() IS
    'What the trigger stage_price_list() does.';

CREATE FUNCTION cost_ledger_internal.stage_price_list() RETURNS trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.stage_price_list() IS
    'Trigger of price_list: keeps a row until the statement has brought the whole price.';

CREATE FUNCTION cost_ledger_internal.load_price_list_as_owner() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p record;
    put record;
    new_prices bigint[];
    old_prices bigint[];
BEGIN
    FOR p IN
        SELECT m.provider, m.model, m.region, m.service_class, m.customer, m.currency, m.valid_from, m.valid_to, m.source,
               jsonb_object_agg(m.meter, m.lines) AS rates
        FROM (SELECT l.provider, l.model, l.region, l.service_class, l.customer, l.currency, l.valid_from, l.valid_to, l.source,
                     coalesce(l.meter, '') AS meter,
                     jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                         'price', l.unit_price, 'per', coalesce(l.per, 1000000),
                         'over', nullif(l.over_tokens, 0), 'inclusive', nullif(l.is_inclusive, false), 'graduated', nullif(l.is_graduated, false),
                         'from', nullif(l.window_start, ''), 'to', nullif(l.window_end, ''),
                         'days', to_jsonb(string_to_array(nullif(l.window_days, ''), ',')::integer[]), 'zone', nullif(l.window_zone, ''))) ORDER BY l.ctid) AS lines
              FROM cost_ledger_internal.price_list_load l
              WHERE l.loaded_by = pg_current_xact_id()
              GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) AS m
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ORDER BY m.valid_from, m.provider, m.model
    LOOP
        SELECT x.* INTO put
            FROM cost_ledger_internal.put_price(p.provider, p.model, p.rates, p.valid_from, p.valid_to, p.service_class,
                                                p.region, nullif(p.currency, ''), p.source, false, p.customer) x;
        IF put.is_new THEN
            new_prices := new_prices || put.price_id;
            old_prices := old_prices || put.old_price_id;
        END IF;
    END LOOP;
    PERFORM cost_ledger_internal.tell_slips(new_prices, old_prices);
    DELETE FROM cost_ledger_internal.price_list_load l WHERE l.loaded_by = pg_current_xact_id();
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.load_price_list_as_owner() IS
    'What the trigger load_price_list() does.';

CREATE FUNCTION cost_ledger_internal.load_price_list() RETURNS trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.load_price_list() IS
    'Trigger of price_list: sets every price that the statement has brought.';
