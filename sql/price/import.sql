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
