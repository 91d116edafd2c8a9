-- Price lists of others: read into rate cards, multipliers and aliases, compared
-- with the prices in force, and set.
--
-- Each format has a file with a function that turns a document into items, and
-- nothing here knows of formats.  Numbers are jsonb's own numeric from the
-- document to the price line: none ever is a float.

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
             THEN CASE WHEN is_graduated THEN 'beyond ' WHEN is_inclusive THEN 'from ' ELSE 'over ' END || over_tokens::text END,
        CASE WHEN window_start IS NOT NULL THEN to_char(window_start, 'HH24:MI:SS') || '–' || to_char(window_end, 'HH24:MI:SS') END,
        CASE WHEN window_days IS NOT NULL THEN 'days ' || array_to_string(window_days, ',') END,
        window_zone)
$$;

COMMENT ON FUNCTION cost_ledger_internal.rate_condition(bigint, boolean, boolean, time, time, smallint[], text) IS
    'When a rate line applies, in words that tell apart the lines of a meter; empty for one that always does.';

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

COMMENT ON FUNCTION cost_ledger_internal.import_items(jsonb, text) IS
    'What a price list says, in items that are the same for every format: raw (an entry as it came), price (value is a rates object), multiplier (name, value is the factor), alias (name is how to match, value the pattern) and unknown (name is the key).';

CREATE TYPE cost_ledger_internal.import_item AS (
    entry text, kind text, provider text, model text, region text, service_class text, customer text, currency text,
    valid_from timestamptz, valid_to timestamptz, name text, value jsonb, note text,
    prices bigint, next_from timestamptz, is_twice boolean
);

COMMENT ON TYPE cost_ledger_internal.import_item IS
    'An item of a document, as import_items() gives it, and what it is among the others: how many prices there are, from when the next of its card holds, and whether the document says it twice.';

CREATE FUNCTION cost_ledger_internal.items_among_others(doc jsonb, format text) RETURNS SETOF cost_ledger_internal.import_item
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT i.entry, i.kind, i.provider, i.model, i.region, i.service_class, i.customer, i.currency, i.valid_from, i.valid_to, i.name, i.value, i.note,
           count(*) FILTER (WHERE i.kind = 'price') OVER (), lead(i.valid_from) OVER card,
           i.kind = 'price' AND row_number() OVER (PARTITION BY i.kind, i.provider, i.model, i.region, i.service_class, i.customer, i.valid_from) > 1
    FROM (SELECT u.*, row_number() OVER () AS n FROM cost_ledger_internal.import_items(doc, format) u) AS i
    WINDOW card AS (PARTITION BY i.kind, i.provider, i.model, i.region, i.service_class, i.customer ORDER BY i.valid_from NULLS FIRST)
    ORDER BY i.n;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.items_among_others(jsonb, text) IS
    'The items of a document in its order, each with what it is among the others.';

CREATE TYPE cost_ledger_internal.import_run AS (
    format text, document text, at timestamptz, is_dated boolean, is_dry boolean, hold_factor numeric, last_price bigint
);

COMMENT ON TYPE cost_ledger_internal.import_run IS
    'What import_prices() was called with: undated prices hold from "at", is_dated says that the caller gave it; last_price is the highest price_id there was before.';

CREATE TYPE cost_ledger_internal.import_change AS (
    provider text, model text, region text, service_class text, customer text, meter text, condition text, outcome text,
    old_price numeric, new_price numeric, per bigint, currency text, applies_from timestamptz, note text
);

COMMENT ON TYPE cost_ledger_internal.import_change IS
    'A row of what import_prices() returns.';

CREATE TYPE cost_ledger_internal.rate_change AS (
    meter text, condition text, old_price numeric, new_price numeric, per bigint, jump text
);

COMMENT ON TYPE cost_ledger_internal.rate_change IS
    'A rate that a price would change; jump says so in words where it changes by more than may go unseen.';

CREATE FUNCTION cost_ledger_internal.import_run(
    doc jsonb, format text, valid_from timestamptz, is_dry boolean, source text, hold_factor numeric
) RETURNS cost_ledger_internal.import_run
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
DECLARE
    run cost_ledger_internal.import_run;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    IF doc IS NULL THEN
        RAISE EXCEPTION 'there is no document to import'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Read it into jsonb first, e.g. in psql: \set doc `cat prices.json` and import_prices(:''doc'', …).';
    END IF;
    run.format := format;
    run.document := coalesce(source, format);
    run.at := coalesce(valid_from, now());
    run.is_dated := valid_from IS NOT NULL;
    run.is_dry := coalesce(is_dry, false);
    run.hold_factor := hold_factor;
    IF NOT isfinite(run.at) THEN
        RAISE EXCEPTION 'prices are valid from a finite time'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'Leave valid_from out for now.';
    END IF;
    IF hold_factor <= 1 OR hold_factor = 'NaN' THEN
        RAISE EXCEPTION 'hold_factor % is not more than 1', hold_factor
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'Rates that rise or fall by more than this factor are held; NULL holds none.';
    END IF;
    SELECT coalesce(max(p.price_id), 0) INTO run.last_price FROM cost_ledger_internal.price p;
    RETURN run;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.import_run(jsonb, text, timestamptz, boolean, text, numeric) IS
    'The arguments of import_prices(), checked: an error where one is missing or makes no sense.';

CREATE FUNCTION cost_ledger_internal.change_of(item cost_ledger_internal.import_item) RETURNS cost_ledger_internal.import_change
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    change cost_ledger_internal.import_change;
BEGIN
    change.provider := item.provider;
    change.model := item.model;
    change.region := item.region;
    change.service_class := item.service_class;
    change.customer := item.customer;
    change.currency := item.currency;
    change.note := item.note;
    RETURN change;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.change_of(cost_ledger_internal.import_item) IS
    'A row of import_prices() that names an item''s card, and says no change yet.';

CREATE FUNCTION cost_ledger_internal.item_card(item cost_ledger_internal.import_item) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT c.card_id
            FROM cost_ledger_internal.rate_card c
            WHERE c.provider = item.provider AND c.model = item.model AND c.region = item.region
              AND c.service_class = item.service_class AND c.customer = item.customer);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.item_card(cost_ledger_internal.import_item) IS
    'The rate card of an item; NULL while there is none.';

CREATE FUNCTION cost_ledger_internal.import_entry(
    item cost_ledger_internal.import_item, run cost_ledger_internal.import_run, OUT source_id bigint, OUT is_new boolean
) RETURNS record
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known jsonb;
BEGIN
    SELECT s.source_id, s.raw INTO source_id, known
        FROM cost_ledger_internal.price_source s
        WHERE s.format = run.format AND s.document = run.document AND s.entry = item.entry
        ORDER BY s.source_id DESC LIMIT 1;
    is_new := known IS DISTINCT FROM item.value;
    IF is_new THEN
        INSERT INTO cost_ledger_internal.price_source AS s (format, document, entry, raw)
            VALUES (run.format, run.document, item.entry, item.value)
            RETURNING s.source_id INTO source_id;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.import_entry(cost_ledger_internal.import_item, cost_ledger_internal.import_run) IS
    'The row of price_source for an entry as it came, written if the document said something else before.';

CREATE FUNCTION cost_ledger_internal.import_unknown(item cost_ledger_internal.import_item, source_id bigint) RETURNS cost_ledger_internal.import_change
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    change cost_ledger_internal.import_change := cost_ledger_internal.change_of(item);
BEGIN
    UPDATE cost_ledger_internal.price_source s SET unknown = s.unknown || item.name WHERE s.source_id = import_unknown.source_id;
    change.outcome := 'unknown';
    change.meter := item.name;
    change.new_price := CASE jsonb_typeof(item.value) WHEN 'number' THEN item.value::numeric END;
    change.note := coalesce(item.note, 'not loaded; kept in price_source: ' || left(item.value::text, 200));
    RETURN change;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.import_unknown(cost_ledger_internal.import_item, bigint) IS
    'Keeps a key that speaks of a price and is not known with its entry, and tells of it.';

CREATE FUNCTION cost_ledger_internal.import_multiplier(
    item cost_ledger_internal.import_item, run cost_ledger_internal.import_run
) RETURNS SETOF cost_ledger_internal.import_change
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    change cost_ledger_internal.import_change := cost_ledger_internal.change_of(item);
    starts CONSTANT timestamptz := coalesce(item.valid_from, run.at);
    tokens_only CONSTANT boolean := coalesce((item.value ->> 'tokens_only')::boolean, true);
    live record;
BEGIN
    SELECT m.factor, m.tokens_only INTO live
        FROM cost_ledger.price_multiplier m
        WHERE m.provider = item.provider AND m.model = item.model AND m.region = item.region AND m.service_class = item.service_class
          AND m.customer = item.customer AND m.name = item.name AND m.valid_from <= starts
        ORDER BY m.valid_from DESC LIMIT 1;
    change.new_price := (item.value ->> 'factor')::numeric;
    IF (live.factor, live.tokens_only) IS NOT DISTINCT FROM (change.new_price, tokens_only)
       OR live.factor IS NULL AND change.new_price = 1 AND item.valid_from IS NULL THEN
        RETURN;
    END IF;
    PERFORM cost_ledger.set_multiplier(item.provider, item.name, change.new_price, starts, item.model, item.region, item.service_class,
                                       item.customer, tokens_only,
                                       CASE WHEN run.format = 'cost_ledger' THEN item.value ->> 'source' ELSE run.document END);
    change.meter := '× ' || item.name;
    change.outcome := CASE WHEN live.factor IS NULL THEN 'new' ELSE 'changed' END;
    change.old_price := live.factor;
    change.applies_from := starts;
    RETURN NEXT change;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.import_multiplier(cost_ledger_internal.import_item, cost_ledger_internal.import_run) IS
    'Sets a multiplier if it is another than the one in force, and tells of it.';

CREATE FUNCTION cost_ledger_internal.rate_changes(
    live_price bigint, live_currency text, item cost_ledger_internal.import_item, hold_factor numeric
) RETURNS SETOF cost_ledger_internal.rate_change
    -- PL/pgSQL, whose plans are kept: this runs thousands of times.
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    WITH new AS (
        SELECT r.meter, cost_ledger_internal.rate_condition(r.over_tokens, r.is_inclusive, r.is_graduated, r.window_start, r.window_end, r.window_days, r.window_zone) AS condition,
               r.unit_price, r.per
        FROM cost_ledger_internal.rate_lines(item.value) r
    ), old AS (
        SELECT l.meter, cost_ledger_internal.rate_condition(l.over_tokens, l.is_inclusive, l.is_graduated, l.window_start, l.window_end, l.window_days, l.window_zone) AS condition,
               l.unit_price, l.per
        FROM cost_ledger_internal.price_line l WHERE l.price_id = live_price
    ), changed AS (
        -- A million is a million whatever "per": compare per unit.
        SELECT meter, condition, o.unit_price AS old_price, n.unit_price AS new_price, coalesce(n.per, o.per) AS per,
               o.unit_price * (1000000000 / o.per) / 1000000000 AS old_unit, n.unit_price * (1000000000 / n.per) / 1000000000 AS new_unit
        FROM new AS n
        FULL JOIN old AS o USING (meter, condition)
        WHERE (o.unit_price, o.per, live_currency) IS DISTINCT FROM (n.unit_price, n.per, item.currency)
    )
    SELECT c.meter, c.condition, c.old_price, c.new_price, c.per,
           CASE WHEN greatest(c.old_unit, c.new_unit) > least(c.old_unit, c.new_unit) * hold_factor
                THEN format('%s%s from %s to %s per %s', c.meter, ' (' || nullif(c.condition, '') || ')', trim_scale(c.old_unit * c.per), trim_scale(c.new_price), c.per) END
    FROM changed c
    ORDER BY c.meter COLLATE "C", c.condition COLLATE "C";
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.rate_changes(bigint, text, cost_ledger_internal.import_item, numeric) IS
    'The rates in which an item differs from a price (NULL: from none), by meter and condition; the jumps are those of more than hold_factor.';

CREATE FUNCTION cost_ledger_internal.hold_price(
    item cost_ledger_internal.import_item, run cost_ledger_internal.import_run, source_id bigint, starts timestamptz, jumps text
) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    held record;
BEGIN
    SELECT h.held_id, h.decision INTO held
        FROM cost_ledger.held_price h
        WHERE h.provider = item.provider AND h.model = item.model AND h.region = item.region AND h.service_class = item.service_class
          AND h.customer = item.customer AND h.rates = item.value AND h.currency = item.currency
          AND (h.decision IS NULL OR h.decision = 'rejected') AND jumps IS NOT NULL
        ORDER BY h.held_id DESC LIMIT 1;
    -- The document says something else now than what waits.
    UPDATE cost_ledger.held_price h SET decision = 'superseded', decided_at = now(), decided_by = cost_ledger_internal.caller()
        WHERE h.provider = item.provider AND h.model = item.model AND h.region = item.region AND h.service_class = item.service_class
          AND h.customer = item.customer AND h.source = run.document AND h.decision IS NULL AND h.held_id IS DISTINCT FROM held.held_id;
    IF jumps IS NULL THEN
        RETURN NULL;
    ELSIF held.held_id IS NOT NULL THEN
        RETURN format(CASE held.decision WHEN 'rejected' THEN 'rejected as held_price %s' ELSE 'held_price %s' END, held.held_id);
    END IF;
    INSERT INTO cost_ledger.held_price AS h (provider, model, region, service_class, customer, currency, valid_from, valid_to, rates, reason, source, source_id)
        VALUES (item.provider, item.model, item.region, item.service_class, item.customer, item.currency, starts, item.valid_to, item.value,
                jumps, run.document, hold_price.source_id)
        RETURNING h.held_id, h.decision INTO held;
    -- The number of a row that a dry run takes back would mislead.
    RETURN CASE WHEN run.is_dry THEN 'to be held for review' ELSE format('held_price %s', held.held_id) END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.hold_price(cost_ledger_internal.import_item, cost_ledger_internal.import_run, bigint, timestamptz, text) IS
    'Puts a price with jumps into held_price, once, and returns what to say of it; NULL for one without. Whatever else the document had held of its card is superseded.';

CREATE FUNCTION cost_ledger_internal.import_start(
    item cost_ledger_internal.import_item, run cost_ledger_internal.import_run, card bigint
) RETURNS timestamptz
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Before the first model of any list.
    beginning CONSTANT timestamptz := '2020-01-01 00:00+00';
BEGIN
    IF run.format = 'cost_ledger' THEN
        RETURN coalesce(item.valid_from, run.at);
    -- Dated documents tell the history of a card that is new here; of one that
    -- has prices nothing changes before "at".
    ELSIF run.format = 'genai-prices' AND NOT run.is_dated
          AND NOT EXISTS (SELECT FROM cost_ledger_internal.price p
                          WHERE p.card_id = card AND p.price_id <= run.last_price AND p.valid_to IS DISTINCT FROM p.valid_from) THEN
        RETURN coalesce(item.valid_from, beginning);
    END IF;
    RETURN greatest(item.valid_from, run.at);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.import_start(cost_ledger_internal.import_item, cost_ledger_internal.import_run, bigint) IS
    'From when an imported price holds on its card.';

CREATE FUNCTION cost_ledger_internal.import_price(
    item cost_ledger_internal.import_item, run cost_ledger_internal.import_run, source_id bigint
) RETURNS SETOF cost_ledger_internal.import_change
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    change cost_ledger_internal.import_change := cost_ledger_internal.change_of(item);
    card CONSTANT bigint := cost_ledger_internal.item_card(item);
    starts CONSTANT timestamptz := cost_ledger_internal.import_start(item, run, card);
    live record;
    rates cost_ledger_internal.rate_change[];
    rate cost_ledger_internal.rate_change;
    is_same boolean;
    jumps text;
    new_price bigint;
BEGIN
    IF item.is_twice THEN
        RAISE EXCEPTION 'the document has two prices of model "%" of "%" for the same time', item.model, item.provider
            USING ERRCODE = 'unique_violation',
                  HINT = 'Take one of them out; nothing was imported.';
    END IF;
    IF run.format <> 'cost_ledger' AND item.next_from <= starts THEN
        RETURN;
    END IF;
    SELECT p.price_id, p.valid_from, p.valid_to, p.currency,
           (SELECT min(n.valid_from) FROM cost_ledger_internal.price n WHERE n.card_id = card AND n.valid_to IS DISTINCT FROM n.valid_from AND n.valid_from > starts) AS next_from
        INTO live
        FROM cost_ledger_internal.price p
        WHERE p.card_id = card AND p.valid_to IS DISTINCT FROM p.valid_from
          AND p.valid_from <= starts AND (p.valid_to IS NULL OR p.valid_to > starts);
    rates := ARRAY(SELECT r FROM cost_ledger_internal.rate_changes(live.price_id, live.currency, item, run.hold_factor) r);
    is_same := rates = '{}' AND (run.format <> 'cost_ledger' OR live.valid_to IS NOT DISTINCT FROM least(item.valid_to, item.next_from, live.next_from));
    -- What this import has set itself is nothing to compare with.
    IF NOT is_same AND live.price_id <= run.last_price THEN
        jumps := (SELECT string_agg(r.jump, '; ' ORDER BY r.n)
                  FROM unnest(rates) WITH ORDINALITY AS r (meter, condition, old_price, new_price, per, jump, n));
    END IF;
    change.note := coalesce(cost_ledger_internal.hold_price(item, run, source_id, starts, jumps), change.note);
    IF is_same THEN
        RETURN;
    END IF;
    IF jumps IS NULL THEN
        -- The differences say what came and went.
        SELECT p.price_id INTO new_price
            FROM cost_ledger_internal.put_price(item.provider, item.model, item.value, starts, item.valid_to, item.service_class, item.region, item.currency,
                                                CASE WHEN run.format = 'cost_ledger' THEN item.name ELSE coalesce(item.name, run.document) END, true, item.customer) p;
        INSERT INTO cost_ledger_internal.price_origin (price_id, source_id) VALUES (new_price, import_price.source_id) ON CONFLICT DO NOTHING;
    END IF;

    change.applies_from := starts;
    FOREACH rate IN ARRAY rates LOOP
        change.meter := rate.meter;
        change.condition := nullif(rate.condition, '');
        change.old_price := rate.old_price;
        change.new_price := rate.new_price;
        change.per := rate.per;
        change.outcome := CASE WHEN jumps IS NOT NULL THEN 'held' WHEN rate.old_price IS NULL THEN 'new' WHEN rate.new_price IS NULL THEN 'gone' ELSE 'changed' END;
        RETURN NEXT change;
    END LOOP;
    IF rates = '{}' THEN
        change.outcome := 'changed';
        change.note := format('in force until %s instead of %s', coalesce(item.valid_to::text, 'further notice'), coalesce(live.valid_to::text, 'further notice'));
        RETURN NEXT change;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.import_price(cost_ledger_internal.import_item, cost_ledger_internal.import_run, bigint) IS
    'Sets a price if it is another than the one in force, or holds it for review, and tells of each rate that changes.';

CREATE FUNCTION cost_ledger_internal.import_gone(
    run cost_ledger_internal.import_run, seen_cards bigint[], is_closed boolean
) RETURNS SETOF cost_ledger_internal.import_change
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone bigint[] := ARRAY(
        SELECT p.price_id
        FROM cost_ledger_internal.price p
        JOIN cost_ledger_internal.price_origin o ON o.price_id = p.price_id
        JOIN cost_ledger_internal.price_source s ON s.source_id = o.source_id
        WHERE s.format = run.format AND s.document = run.document
          AND p.valid_from <= run.at AND p.valid_to IS NULL
          AND NOT p.card_id = ANY (seen_cards));
BEGIN
    RETURN QUERY
    SELECT c.provider, c.model, c.region, c.service_class, c.customer, l.meter,
           nullif(cost_ledger_internal.rate_condition(l.over_tokens, l.is_inclusive, l.is_graduated, l.window_start, l.window_end, l.window_days, l.window_zone), ''),
           'gone', l.unit_price, NULL::numeric, l.per, p.currency, run.at,
           CASE WHEN is_closed THEN 'not in the document any more: its price ends' ELSE 'not in the document any more: its price stays' END
    FROM cost_ledger_internal.price p
    JOIN cost_ledger_internal.rate_card c ON c.card_id = p.card_id
    JOIN cost_ledger_internal.price_line l ON l.price_id = p.price_id
    WHERE p.price_id = ANY (gone)
    ORDER BY c.provider, c.model, c.region, c.service_class, c.customer, l.line;
    IF is_closed THEN
        UPDATE cost_ledger_internal.price p SET valid_to = run.at WHERE p.price_id = ANY (gone);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.import_gone(cost_ledger_internal.import_run, bigint[], boolean) IS
    'Tells of models that an earlier state of the document had, and ends their prices if that is wanted.';

CREATE FUNCTION cost_ledger_internal.import_aliases(
    run cost_ledger_internal.import_run, items cost_ledger_internal.import_item[]
) RETURNS SETOF cost_ledger_internal.import_change
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    change cost_ledger_internal.import_change;
    d record;
BEGIN
    change.outcome := 'alias';
    FOR d IN
        WITH wanted AS (
            SELECT i.provider, i.name AS match, i.value ->> 'pattern' AS pattern, (i.value ->> 'priority')::integer AS priority,
                   i.value ->> 'to_provider' AS to_provider, i.model AS to_model
            FROM unnest(items) AS i
        ), changes AS (
            SELECT w.*, k.to_model AS old_model, k.priority AS old_priority
            FROM wanted w
            LEFT JOIN cost_ledger.model_alias k ON k.provider = w.provider AND k.match = w.match AND k.pattern = w.pattern
            WHERE (k.priority, k.to_provider, k.to_model) IS DISTINCT FROM (w.priority, w.to_provider, w.to_model)
              -- Those of people (priority 0 and above) are left alone.
              AND (k.priority IS NULL OR k.priority < 0 OR run.format = 'cost_ledger')
        ), written AS (
            INSERT INTO cost_ledger.model_alias (provider, match, pattern, priority, to_provider, to_model)
                SELECT c.provider, c.match, c.pattern, c.priority, c.to_provider, c.to_model FROM changes c
                ON CONFLICT (provider, match, pattern) DO UPDATE
                    SET priority = EXCLUDED.priority, to_provider = EXCLUDED.to_provider, to_model = EXCLUDED.to_model
        )
        SELECT c.provider, count(*) FILTER (WHERE c.old_model IS NULL) AS added, count(*) FILTER (WHERE c.old_model IS NOT NULL) AS changed
        FROM changes c GROUP BY c.provider ORDER BY c.provider
    LOOP
        change.provider := d.provider;
        change.note := format('model_alias: %s new, %s changed', d.added, d.changed);
        RETURN NEXT change;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.import_aliases(cost_ledger_internal.import_run, cost_ledger_internal.import_item[]) IS
    'Writes the aliases of a document that are new or changed, and tells how many for each provider.';

CREATE FUNCTION cost_ledger_internal.import_prices(
    doc          jsonb,
    format       text,
    valid_from   timestamptz,
    dry_run      boolean,
    source       text,
    hold_factor  numeric,
    close_gone   boolean,
    OUT provider       text,
    OUT model          text,
    OUT region         text,
    OUT service_class  text,
    OUT customer       text,
    OUT meter          text,
    OUT condition      text,
    OUT outcome        text,
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
    run CONSTANT cost_ledger_internal.import_run :=
        cost_ledger_internal.import_run(doc, import_prices.format, import_prices.valid_from, dry_run, source, hold_factor);
    item cost_ledger_internal.import_item;
    entry record;
    seen_cards bigint[] := '{}';
    aliases cost_ledger_internal.import_item[] := '{}';
    n_prices integer := 0;
    detail text;
    hint text;
BEGIN
    -- In a block of its own: what a dry run has done is undone, while the rows
    -- that tell of it stay.
    BEGIN
        -- One import at a time; readers and set_price() are not in its way.
        LOCK TABLE cost_ledger_internal.price_source IN SHARE ROW EXCLUSIVE MODE;

        FOR item IN SELECT i.* FROM cost_ledger_internal.items_among_others(doc, run.format) i LOOP
            CASE item.kind
            WHEN 'raw' THEN
                entry := cost_ledger_internal.import_entry(item, run);
            WHEN 'unknown' THEN
                IF entry.is_new THEN
                    RETURN QUERY SELECT u.* FROM cost_ledger_internal.import_unknown(item, entry.source_id) u;
                END IF;
            WHEN 'alias' THEN
                aliases := aliases || item;
            WHEN 'multiplier' THEN
                RETURN QUERY SELECT m.* FROM cost_ledger_internal.import_multiplier(item, run) m;
            WHEN 'price' THEN
                n_prices := n_prices + 1;
                IF n_prices % 500 = 0 THEN
                    RAISE INFO 'compared % of % prices', n_prices, item.prices;
                END IF;
                RETURN QUERY SELECT p.* FROM cost_ledger_internal.import_price(item, run, entry.source_id) p;
                seen_cards := seen_cards || cost_ledger_internal.item_card(item);
            END CASE;
        END LOOP;
        item := NULL;
        RETURN QUERY SELECT g.* FROM cost_ledger_internal.import_gone(run, array_remove(seen_cards, NULL), close_gone) g;
        RETURN QUERY SELECT a.* FROM cost_ledger_internal.import_aliases(run, aliases) a;

        IF run.is_dry THEN
            RAISE EXCEPTION USING ERRCODE = 'LC099', MESSAGE = 'dry run';
        END IF;
        ANALYZE cost_ledger_internal.rate_card, cost_ledger_internal.price, cost_ledger_internal.price_line, cost_ledger.model_alias; -- or names are looked for as if these were empty
    EXCEPTION
        WHEN SQLSTATE 'LC099' THEN
            NULL;
        WHEN OTHERS THEN
            -- Prices know neither the document nor their place in it.
            IF item.entry IS NULL THEN
                RAISE;
            END IF;
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM,
                DETAIL = concat_ws(' ', nullif(detail, ''), format('Entry "%s" of the document.', item.entry)),
                HINT = coalesce(nullif(hint, ''), 'Correct the document; nothing of it was imported.');
    END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.import_prices(jsonb, text, timestamptz, boolean, text, numeric, boolean) IS
    'cost_ledger.import_prices(), with the rights of the ledger''s owner.';

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
    OUT outcome        text,
    OUT old_price      numeric,
    OUT new_price      numeric,
    OUT per            bigint,
    OUT currency       text,
    OUT applies_from   timestamptz,
    OUT note           text
) RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.import_prices(jsonb, text, timestamptz, boolean, text, numeric, boolean) IS
    'Imports a price list of format litellm, genai-prices or cost_ledger (what export_prices() gives) and returns what that changed, a row per rate: outcome is new, changed, gone (not in the document any more; its price stays unless close_gone), held (not set but waiting in held_price: some rate of a live price would rise or fall by more than hold_factor, or to or from 0; NULL holds nothing), unknown (a key that speaks of a price and is not known; kept in price_source) or alias. Prices per "per" units; what has not changed is not listed. The prices hold from valid_from, by default now; where the document has dates of its own, from these, and a first import of genai-prices from 2020 on. dry_run shows the same rows and writes nothing. source names the document in price_source.';

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

COMMENT ON FUNCTION cost_ledger_internal.held_price(bigint) IS
    'A held price that waits for a decision, locked; an error where there is none (P0002) or it is decided (55000).';

CREATE FUNCTION cost_ledger_internal.accept_held_price(held_id bigint, comment text, valid_from timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    h CONSTANT jsonb := cost_ledger_internal.held_price(held_id);
    new_id bigint;
BEGIN
    SELECT p.price_id INTO new_id
        FROM cost_ledger_internal.put_price(h ->> 'provider', h ->> 'model', h -> 'rates', coalesce(accept_held_price.valid_from, (h ->> 'valid_from')::timestamptz),
                                            (h ->> 'valid_to')::timestamptz, h ->> 'service_class', h ->> 'region', h ->> 'currency', h ->> 'source', true, h ->> 'customer') p;
    IF h ->> 'source_id' IS NOT NULL THEN
        INSERT INTO cost_ledger_internal.price_origin (price_id, source_id) VALUES (new_id, (h ->> 'source_id')::bigint) ON CONFLICT DO NOTHING;
    END IF;
    UPDATE cost_ledger.held_price p
        SET decision = 'accepted', decided_at = now(), decided_by = cost_ledger_internal.caller(), comment = accept_held_price.comment, price_id = new_id
        WHERE p.held_id = accept_held_price.held_id;
    RETURN new_id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.accept_held_price(bigint, text, timestamptz) IS
    'cost_ledger.accept_held_price(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.accept_held_price(held_id bigint, comment text DEFAULT NULL, valid_from timestamptz DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.accept_held_price(bigint, text, timestamptz) IS
    'Sets a held price, from the time its document gave or from valid_from, and returns its price_id. An error where it is already decided (55000).';

CREATE FUNCTION cost_ledger_internal.reject_held_price(held_id bigint, comment text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger_internal.held_price(held_id);
    UPDATE cost_ledger.held_price p
        SET decision = 'rejected', decided_at = now(), decided_by = cost_ledger_internal.caller(), comment = reject_held_price.comment
        WHERE p.held_id = reject_held_price.held_id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.reject_held_price(bigint, text) IS
    'cost_ledger.reject_held_price(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.reject_held_price(held_id bigint, comment text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.reject_held_price(bigint, text) IS
    'Turns a held price down: it never goes live, and importing the same rates again does not hold them again. An error where it is already decided (55000).';
