-- Tiers: what kind of model a model is, in words: cheap, medium, premium, or a
-- house's own.  A rule (model_tier) says it; where none does, its price.

CREATE FUNCTION cost_ledger_internal.price_tier(provider text, model text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN p.price <= 5 * d.rate THEN 'cheap' WHEN p.price <= 15 * d.rate THEN 'medium' WHEN p.price > 15 * d.rate THEN 'premium' END
    FROM (SELECT coalesce(cost_ledger.cost_at(now(), price_tier.provider, price_tier.model, '{"output_tokens": 1000000}'),
                          cost_ledger.cost_at(now(), price_tier.provider, price_tier.model, '{"input_tokens": 1000000}')) AS price) p
    -- What a dollar is worth in the ledger's currency.
    CROSS JOIN (SELECT CASE WHEN l.currency = 'USD' THEN 1
                            ELSE (SELECT e.rate FROM cost_ledger.exchange_rate e
                                  WHERE e.currency = 'USD' AND e.valid_from <= now() ORDER BY e.valid_from DESC LIMIT 1) END AS rate
                FROM cost_ledger.ledger l) d
$$;

COMMENT ON FUNCTION cost_ledger_internal.price_tier(text, text) IS
    'The tier of a model by what a million of its output tokens (of input tokens, if it has no price for those) costs now: cheap up to 5 USD, medium up to 15 USD, premium above; NULL without a price, or an exchange rate.';

CREATE FUNCTION cost_ledger_internal.tier_of(provider text, model text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT t.tier FROM cost_ledger.model_tier t
                     WHERE cost_ledger_internal.matches_filter(jsonb_build_object('provider', tier_of.provider, 'model', tier_of.model), t.filter)
                     -- A name that is written out says more than a beginning.
                     ORDER BY length(replace(t.filter::text, '*', '')) DESC, t.filter::text LIKE '%*%', t.model_tier_id DESC
                     LIMIT 1),
                    cost_ledger_internal.price_tier(tier_of.provider, tier_of.model))
$$;

COMMENT ON FUNCTION cost_ledger_internal.tier_of(text, text) IS
    'The tier of a model: by the rule of model_tier that counts, or else by its price; NULL without either.';

CREATE FUNCTION cost_ledger_internal.model_tiers_as_owner() RETURNS TABLE (provider text, model text, tier text)
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT m.provider, m.model,
               cost_ledger_internal.tier_of(m.provider, m.model)
        FROM (SELECT k.provider, k.value AS model FROM cost_ledger_internal.rollup_label k WHERE k.label = 'model'
              UNION
              SELECT c.provider, c.model FROM cost_ledger_internal.unconsumed_calls() c) m;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.model_tiers_as_owner() IS
    'The body of model_tiers().';

CREATE FUNCTION cost_ledger_internal.model_tiers() RETURNS TABLE (provider text, model text, tier text)
    LANGUAGE c STABLE ROWS 100
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.model_tiers() IS
    'The tier of each model that calls have, whoever asks: views show those of the calls that their reader may see.';

CREATE FUNCTION cost_ledger_internal.set_model_tier(filter jsonb, tier text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    checked CONSTANT jsonb := cost_ledger_internal.check_filter(set_model_tier.filter, 'models', '{provider,model}');
BEGIN
    IF set_model_tier.tier = '' THEN
        RAISE EXCEPTION 'a tier has a name'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass cheap, medium, premium or a word of your own; NULL takes the rule away.';
    END IF;
    DELETE FROM cost_ledger.model_tier t WHERE t.filter = checked;
    IF set_model_tier.tier IS NOT NULL THEN
        INSERT INTO cost_ledger.model_tier (filter, tier) VALUES (checked, set_model_tier.tier);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.set_model_tier(jsonb, text) IS
    'cost_ledger.set_model_tier(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.set_model_tier(filter jsonb, tier text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.set_model_tier(jsonb, text) IS
    'Says which tier the models of a filter are of: {"model": "gpt-5*"}, {"provider": "openai", "model": ["o3", "o4"]}; in place of what the same filter said before, and NULL for nothing. Of several filters that a model passes, the one with the longest text counts, then the last. A filter of other labels is an error (22023). Reports show it at once, also of calls that were made before.';
