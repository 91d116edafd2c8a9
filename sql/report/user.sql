-- What plans cost: dated, in any currency.

CREATE FUNCTION cost_ledger_internal.set_plan_price(plan text, price numeric, valid_from timestamptz, currency text, note text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stated_currency text := coalesce(currency, (cost_ledger_internal.ledger()).currency);
BEGIN
    IF price IS NULL OR valid_from IS NULL THEN
        RAISE EXCEPTION 'a plan needs a price, and a time from which it holds'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'SELECT cost_ledger.set_plan_price(''pro'', 999, ''2026-01-01'', ''INR'');';
    END IF;
    IF NOT (price >= 0 AND price < 1e12 AND scale(price) <= 20) THEN
        RAISE EXCEPTION '% is no price of a plan', price
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'It is what a user pays for a month, from 0 to below a trillion; 0 is a plan that is free.';
    ELSIF NOT isfinite(valid_from) THEN
        RAISE EXCEPTION 'a price of a plan is valid from a finite time'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'It holds until the next price of the plan.';
    END IF;
    IF stated_currency !~ '^[A-Z]{3}$' THEN
        RAISE EXCEPTION '"%" is no ISO 4217 code', stated_currency
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write three capital letters: INR, EUR, USD.';
    END IF;
    IF stated_currency <> (cost_ledger_internal.ledger()).currency
       AND NOT EXISTS (SELECT FROM cost_ledger.exchange_rate e WHERE e.currency = stated_currency AND e.valid_from <= now()) THEN
        RAISE NOTICE 'there is no exchange rate for % yet: until there is, nothing is compared with the price', stated_currency;
    END IF;
    INSERT INTO cost_ledger.plan_price AS p (plan, valid_from, price, currency, note)
        -- As calls have it, which shortens what is long.
        VALUES (cost_ledger_internal.shorten_label(nullif(set_plan_price.plan, '')), set_plan_price.valid_from, set_plan_price.price, stated_currency, set_plan_price.note)
        ON CONFLICT ON CONSTRAINT plan_price_key DO UPDATE
            SET price = excluded.price, currency = excluded.currency, note = excluded.note, recorded_at = excluded.recorded_at, recorded_by = excluded.recorded_by;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.set_plan_price(text, numeric, timestamptz, text, text) IS
    'cost_ledger.set_plan_price(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.set_plan_price(
    plan        text,
    price       numeric,
    valid_from  timestamptz DEFAULT now(),
    currency    text DEFAULT NULL,
    note        text DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.set_plan_price(text, numeric, timestamptz, text, text) IS
    'What a user of a plan pays in a month from valid_from on, until the next price of the plan, in currency (left out: the ledger''s). The plan is what calls name as their cohort; NULL: of users whose calls name none. cost_per_user_by_plan holds the cost of the users against it. The same valid_from again replaces the price. 22023 for a currency that is no ISO 4217 code, 22004 without a price, 22003 for one below 0 or of a trillion and more. Only for the owner of the ledger and its admins.';
