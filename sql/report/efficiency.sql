-- What the same calls would have cost by batch, on a model of the tier below, or on
-- machines of one's own.
--
-- Tokens are priced again call by call, at each call's own time, with its customer's
-- prices and the tier of its context: exact, and of what was really sent.  Both sums
-- are of the calls that have both costs; the others are counted.

CREATE FUNCTION cost_ledger_internal.cache_read_discount_as_owner(priced_at timestamptz, provider text, model text, service_class text) RETURNS numeric
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Of a thousand, which no context tier begins below.
    SELECT (cost_ledger.cost_at(priced_at, provider, model, '{"input_tokens": 1000}', service_class)
            - cost_ledger.cost_at(priced_at, provider, model, '{"input_tokens": 1000, "cache_read_tokens": 1000}', service_class)) / 1000
$$;

COMMENT ON FUNCTION cost_ledger_internal.cache_read_discount_as_owner(timestamptz, text, text, text) IS
    'The body of cache_read_discount().';

CREATE FUNCTION cost_ledger_internal.cache_read_discount(priced_at timestamptz, provider text, model text, service_class text) RETURNS numeric
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.cache_read_discount(timestamptz, text, text, text) IS
    'What an input token costs less when it is read from the prompt cache, by the list price in force; 0 where the model has no rate for that, NULL where it has no price.';

CREATE FUNCTION cost_ledger_internal.priced_again(
    filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean, teams text[], customers text[],
    to_class text, from_models jsonb DEFAULT NULL
) RETURNS TABLE (feature text, provider text, model text, calls bigint, unpriced_calls bigint, all_cost numeric, cost numeric, new_cost numeric)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    zone CONSTANT text := (cost_ledger_internal.ledger()).time_zone;
BEGIN
    PERFORM FROM cost_ledger_internal.booked_calls(priced_again.range_start, priced_again.range_end, priced_again.filter || '{"call_id": []}');
    PERFORM cost_ledger_internal.refuse_dropped(priced_again.range_start, priced_again.range_end, priced_again.filter);
    RETURN QUERY
        SELECT k.feature, k.provider, k.model, count(*), count(*) FILTER (WHERE k.is_known IS NOT TRUE),
               sum(k.cost), sum(k.cost) FILTER (WHERE k.is_known), sum(k.new_cost) FILTER (WHERE k.is_known)
        FROM (
            SELECT b.feature, b.provider, b.model, b.cost, e.cost AS new_cost,
                   b.pricing IN ('priced', 'free') AND e.pricing IN ('priced', 'free')
                       -- What has no price for the class has that of standard.
                       AND (priced_again.to_class IS NULL OR e.cost IS DISTINCT FROM o.cost) AS is_known
            -- Day by day, which is what is kept in memory, of the days that have calls.
            FROM (SELECT DISTINCT t.day FROM cost_ledger_internal.live_total_day t WHERE t.label = 'all') d
            CROSS JOIN LATERAL (SELECT greatest(cost_ledger_internal.day_start(d.day, zone), priced_again.range_start) AS starts_at,
                                       least(cost_ledger_internal.day_start(d.day + 1, zone), priced_again.range_end) AS ends_at) p
            CROSS JOIN LATERAL (SELECT k.* FROM cost_ledger_internal.booked_calls(p.starts_at, p.ends_at, priced_again.filter) k WHERE p.starts_at < p.ends_at) b
            LEFT JOIN jsonb_to_recordset(priced_again.from_models) AS t (provider text, model text, to_provider text, to_model text)
                ON t.provider = b.provider AND t.model = b.model
            LEFT JOIN LATERAL cost_ledger_internal.pricing_at(
                b.called_at, coalesce(t.to_provider, b.provider), CASE WHEN priced_again.from_models IS NULL THEN b.model ELSE t.to_model END,
                b.usage, coalesce(priced_again.to_class, b.service_class), b.region, b.customer) e ON priced_again.from_models IS NULL OR t.to_model IS NOT NULL
            LEFT JOIN LATERAL cost_ledger_internal.pricing_at(b.called_at, b.provider, b.model, b.usage, b.service_class, b.region, b.customer) o
                ON priced_again.to_class IS NOT NULL
            WHERE b.served_from = 'model' AND (priced_again.to_class IS NULL OR cost_ledger_internal.service_class(b.service_class) = 'standard')
              AND (priced_again.sees_all OR b.team = ANY (priced_again.teams) OR b.customer = ANY (priced_again.customers))) k
        GROUP BY k.feature, k.provider, k.model;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.priced_again(jsonb, timestamptz, timestamptz, boolean, text[], text[], text, jsonb) IS
    'What calls cost, and what they would have cost of another service class, or on other models: from_models is a list of {provider, model, to_provider, to_model}, and NULL leaves models as they are. By feature and model, of calls whose full cost both ways is known (unpriced_calls: the others), and that the caller may see. With to_class, of calls of class standard alone; those whose model has no other price for that class are not known either.';

CREATE FUNCTION cost_ledger_internal.batch_saving(
    filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean, teams text[], customers text[]
) RETURNS TABLE (feature text, is_allocated boolean, provider text, model text, calls bigint, cost numeric, batch_calls bigint, standard_cost numeric, batch_cost numeric, saving numeric, currency text)
    LANGUAGE c STABLE ROWS 100
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.batch_saving(jsonb, timestamptz, timestamptz, boolean, text[], text[]) IS
    'cost_ledger.batch_saving() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.batch_saving_as_owner(
    filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean, teams text[], customers text[]
) RETURNS TABLE (feature text, is_allocated boolean, provider text, model text, calls bigint, cost numeric, batch_calls bigint, standard_cost numeric, batch_cost numeric, saving numeric, currency text)
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known record := cost_ledger_internal.ledger();
BEGIN
    PERFORM cost_ledger_internal.call_condition(batch_saving_as_owner.filter);
    RETURN QUERY
        SELECT coalesce(r.feature, '(unallocated)'), r.feature IS NOT NULL, r.provider, r.model, r.calls, r.all_cost,
               r.calls - r.unpriced_calls, r.cost, r.new_cost, r.cost - r.new_cost, known.currency
        FROM cost_ledger_internal.priced_again(coalesce(nullif(batch_saving_as_owner.filter, 'null'), '{}'),
            batch_saving_as_owner.range_start, batch_saving_as_owner.range_end, batch_saving_as_owner.sees_all, batch_saving_as_owner.teams,
            batch_saving_as_owner.customers, 'batch') r
        ORDER BY 10 DESC NULLS LAST, r.all_cost DESC NULLS LAST, r.feature, r.provider, r.model;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.batch_saving_as_owner(jsonb, timestamptz, timestamptz, boolean, text[], text[]) IS
    'The body of batch_saving().';

CREATE FUNCTION cost_ledger.batch_saving(
    filter jsonb DEFAULT '{"operation": ["eval", "judge", "background", "embedding", "embeddings"]}',
    range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity'
) RETURNS TABLE (feature text, is_allocated boolean, provider text, model text, calls bigint, cost numeric, batch_calls bigint, standard_cost numeric, batch_cost numeric, saving numeric, currency text)
    LANGUAGE sql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.*
    FROM cost_ledger_internal.batch_saving(batch_saving.filter, batch_saving.range_start, batch_saving.range_end, cost_ledger_internal.sees_all(),
                                           cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) d;
END;

COMMENT ON FUNCTION cost_ledger.batch_saving(jsonb, timestamptz, timestamptz) IS
    'What calls of service class standard (or default, auto, …, which are priced as that) in a range of time (end exclusive) would have saved by batch: by feature and model, the largest saving first. filter is your rule of what can wait, a filter of calls; by default evals, judges, background work and embeddings. calls and cost are of all of them, corrections included. batch_calls are those whose model had a price for batch at their time, and whose cost is known in full: standard_cost is what they cost, batch_cost what the same tokens cost at that price, exact, saving = standard_cost - batch_cost. is_allocated is false where the feature is (unallocated). Only calls that the role may see. A range in which retention has dropped calls is refused (22023), unless filter names calls.';

CREATE FUNCTION cost_ledger_internal.lower_models(providers text[], pick text) RETURNS TABLE (provider text, tier text, lower_tier text, lower_provider text, lower_model text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH candidate AS MATERIALIZED (
            SELECT p.provider, n.provider AS to_provider, n.model, cost_ledger_internal.tier_of(n.provider, n.model) AS tier,
                   cost_ledger.cost_at(now(), n.provider, n.model, '{"output_tokens": 1000000}') AS price
            FROM unnest(providers) AS p (provider)
            -- Of the price list, which every reader may see; not of what others call.
            JOIN LATERAL (
                SELECT c.provider::text AS provider, c.model::text AS model FROM cost_ledger_internal.rate_card c
                WHERE c.customer = '' AND c.region = '' AND c.service_class = 'standard' AND lower(c.provider) = ANY (cost_ledger_internal.provider_names(p.provider))) n ON true
        ), known AS (
            -- What answers in words has a price for them.
            SELECT c.*, array_position('{cheap,medium,premium}', c.tier) AS height FROM candidate c WHERE c.price IS NOT NULL
        )
        SELECT DISTINCT ON (t.provider, t.height)
               t.provider, t.tier, l.tier, l.to_provider, l.model
        FROM (SELECT p.provider, h.tier, h.height FROM unnest(providers) AS p (provider), unnest('{cheap,medium,premium}'::text[]) WITH ORDINALITY AS h (tier, height)) t
        LEFT JOIN (
            SELECT k.*, row_number() OVER w AS place, count(*) OVER (PARTITION BY k.provider, k.height) AS places
            FROM known k WHERE k.height IS NOT NULL
            WINDOW w AS (PARTITION BY k.provider, k.height ORDER BY k.price, k.model)) l
            ON l.provider = t.provider AND l.height < t.height AND l.place = CASE pick WHEN 'cheapest' THEN 1 ELSE (l.places + 1) / 2 END
        ORDER BY t.provider, t.height, l.height DESC NULLS LAST;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.lower_models(text[], text) IS
    'For providers and each tier, the model of the next tier below that the provider has: of its models with a price for output now, the cheapest, or that in the middle of their order by this price. NULL where there is none.';

CREATE FUNCTION cost_ledger_internal.call_quality(filter jsonb, range_start timestamptz, range_end timestamptz, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (feature text, provider text, model text, calls bigint, acceptance_ratio numeric, mean_score numeric)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    RETURN QUERY EXECUTE format($query$
        SELECT c.feature, c.provider, c.model, count(*),
               round(count(*) FILTER (WHERE c.accepted)::numeric / nullif(count(c.accepted), 0), 6), trim_scale(avg(c.score))
        FROM cost_ledger.call c
        WHERE c.corrects IS NULL AND c.served_from = 'model' AND c.called_at >= $1 AND c.called_at < $2
          AND ($3 OR c.team = ANY ($4) OR c.customer = ANY ($5)) AND %s%s
        GROUP BY c.feature, c.provider, c.model
        $query$, cost_ledger_internal.call_condition(filter), cost_ledger_internal.standing() || cost_ledger_internal.not_quarantined())
        USING range_start, range_end, sees_all, teams, customers;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.call_quality(jsonb, timestamptz, timestamptz, boolean, text[], text[]) IS
    'How calls of a range of time turned out, by feature and model: which share was accepted of those of which that is known, and the mean of their scores; NULL where nothing is.';

CREATE FUNCTION cost_ledger_internal.tier_down(
    filter jsonb, range_start timestamptz, range_end timestamptz, pick text, to_model text, sees_all boolean, teams text[], customers text[]
) RETURNS TABLE (feature text, is_allocated boolean, provider text, model text, model_tier text, calls bigint, cost numeric, acceptance_ratio numeric, mean_score numeric,
                 lower_tier text, lower_provider text, lower_model text, comparable_calls bigint, comparable_cost numeric, lower_cost numeric, difference numeric, ratio numeric,
                 lower_calls bigint, lower_acceptance_ratio numeric, lower_mean_score numeric, currency text)
    LANGUAGE c STABLE ROWS 100
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.tier_down(jsonb, timestamptz, timestamptz, text, text, boolean, text[], text[]) IS
    'cost_ledger.tier_down() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.tier_down_as_owner(
    filter jsonb, range_start timestamptz, range_end timestamptz, pick text, to_model text, sees_all boolean, teams text[], customers text[]
) RETURNS TABLE (feature text, is_allocated boolean, provider text, model text, model_tier text, calls bigint, cost numeric, acceptance_ratio numeric, mean_score numeric,
                 lower_tier text, lower_provider text, lower_model text, comparable_calls bigint, comparable_cost numeric, lower_cost numeric, difference numeric, ratio numeric,
                 lower_calls bigint, lower_acceptance_ratio numeric, lower_mean_score numeric, currency text)
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    known record := cost_ledger_internal.ledger();
    wanted CONSTANT jsonb := coalesce(nullif(tier_down_as_owner.filter, 'null'), '{}');
    from_models jsonb;
BEGIN
    IF tier_down_as_owner.pick IS NULL OR tier_down_as_owner.pick NOT IN ('median', 'cheapest') THEN
        RAISE EXCEPTION 'a model of the tier below is not picked by "%"', tier_down_as_owner.pick
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass median or cheapest, or name a model: to_model => ''claude-haiku-4-5''.';
    END IF;
    PERFORM cost_ledger_internal.check_range(tier_down_as_owner.range_start, tier_down_as_owner.range_end);
    SELECT jsonb_agg(jsonb_build_object('provider', m.provider, 'model', m.model, 'tier', m.tier, 'lower_tier', m.lower_tier,
                                        'to_provider', m.to_provider, 'to_model', m.to_model))
        INTO from_models
        FROM (
            SELECT k.provider, k.model, k.tier,
                   CASE WHEN tier_down_as_owner.to_model IS NULL THEN l.lower_tier ELSE cost_ledger_internal.tier_of(k.provider, tier_down_as_owner.to_model) END AS lower_tier,
                   CASE WHEN tier_down_as_owner.to_model IS NULL THEN l.lower_provider ELSE k.provider END AS to_provider,
                   coalesce(tier_down_as_owner.to_model, l.lower_model) AS to_model
            FROM cost_ledger_internal.tier_of_model k
            LEFT JOIN cost_ledger_internal.lower_models(ARRAY(SELECT DISTINCT t.provider FROM cost_ledger_internal.tier_of_model t), tier_down_as_owner.pick) l
                ON tier_down_as_owner.to_model IS NULL AND l.provider = k.provider AND l.tier = k.tier) m;
    RETURN QUERY
        WITH quality AS MATERIALIZED (
            SELECT q.* FROM cost_ledger_internal.call_quality(wanted, tier_down_as_owner.range_start, tier_down_as_owner.range_end,
                                                              tier_down_as_owner.sees_all, tier_down_as_owner.teams, tier_down_as_owner.customers) q
        )
        SELECT coalesce(r.feature, '(unallocated)'), r.feature IS NOT NULL, r.provider, r.model, t.tier,
               r.calls, r.all_cost, q.acceptance_ratio, q.mean_score,
               t.lower_tier, t.to_provider, t.to_model, r.calls - r.unpriced_calls, r.cost, r.new_cost, r.new_cost - r.cost, round(r.new_cost / nullif(r.cost, 0), 6),
               CASE WHEN t.to_model IS NOT NULL THEN coalesce(w.calls, 0) END, w.acceptance_ratio, w.mean_score, known.currency
        FROM cost_ledger_internal.priced_again(wanted, tier_down_as_owner.range_start, tier_down_as_owner.range_end, tier_down_as_owner.sees_all,
                                               tier_down_as_owner.teams, tier_down_as_owner.customers, NULL, coalesce(from_models, '[]')) r
        LEFT JOIN jsonb_to_recordset(from_models) AS t (provider text, model text, tier text, lower_tier text, to_provider text, to_model text)
            ON t.provider = r.provider AND t.model = r.model
        LEFT JOIN quality q ON q.feature IS NOT DISTINCT FROM r.feature AND q.provider = r.provider AND q.model = r.model
        LEFT JOIN quality w ON w.feature IS NOT DISTINCT FROM r.feature AND w.provider = t.to_provider AND w.model = t.to_model
        ORDER BY 16, r.all_cost DESC NULLS LAST, r.feature, r.provider, r.model;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.tier_down_as_owner(jsonb, timestamptz, timestamptz, text, text, boolean, text[], text[]) IS
    'The body of tier_down().';

CREATE FUNCTION cost_ledger.tier_down(
    filter jsonb DEFAULT '{}', range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity', pick text DEFAULT 'median', to_model text DEFAULT NULL
) RETURNS TABLE (feature text, is_allocated boolean, provider text, model text, model_tier text, calls bigint, cost numeric, acceptance_ratio numeric, mean_score numeric,
                 lower_tier text, lower_provider text, lower_model text, comparable_calls bigint, comparable_cost numeric, lower_cost numeric, difference numeric, ratio numeric,
                 lower_calls bigint, lower_acceptance_ratio numeric, lower_mean_score numeric, currency text)
    LANGUAGE sql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.*
    FROM cost_ledger_internal.tier_down(tier_down.filter, tier_down.range_start, tier_down.range_end, tier_down.pick, tier_down.to_model,
                                        cost_ledger_internal.sees_all(), cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) d;
END;

COMMENT ON FUNCTION cost_ledger.tier_down(jsonb, timestamptz, timestamptz, text, text) IS
    'What the calls that pass a filter, in a range of time (end exclusive), would have cost one tier down, with the quality that both models had: by feature and model, what saves most first. The same tokens are priced again, call by call and at each call''s own time, exact; whether a smaller model would have needed as many nobody knows. lower_model is of the same provider and of the next tier below that it has in the price list (premium, medium, cheap; a tier of your own has none below): of its models with a price for output now, pick => ''median'' (of two, the cheaper) or ''cheapest'' by that price; or to_model for all. calls and cost are of all of them, corrections included; comparable_calls are those whose full cost is known both ways, comparable_cost what they cost and lower_cost what they would have; difference = lower_cost - comparable_cost, ratio = lower_cost / comparable_cost: 0.125 is eight times cheaper. acceptance_ratio and mean_score are of the calls of the model; lower_… of the calls that the feature made with lower_model in the same range, NULL where none says. Only calls that the role may see. A range in which retention has dropped calls is refused (22023), unless filter names calls.';

CREATE FUNCTION cost_ledger_internal.self_hosting_crossover(
    monthly_amount numeric, capacity_tokens numeric, filter jsonb, month date, amount_per_mtok numeric, sees_all boolean, teams text[], customers text[]
) RETURNS TABLE (first_day date, is_complete boolean, calls bigint, unpriced_calls bigint, billed_tokens numeric, cost numeric, mean_cost_per_mtok numeric,
                 servers numeric, hosted_amount numeric, difference numeric, break_even_tokens numeric, is_above_break_even boolean, currency text)
    LANGUAGE c STABLE ROWS 1
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.self_hosting_crossover(numeric, numeric, jsonb, date, numeric, boolean, text[], text[]) IS
    'cost_ledger.self_hosting_crossover() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.self_hosting_crossover_as_owner(
    monthly_amount numeric, capacity_tokens numeric, filter jsonb, month date, amount_per_mtok numeric, sees_all boolean, teams text[], customers text[]
) RETURNS TABLE (first_day date, is_complete boolean, calls bigint, unpriced_calls bigint, billed_tokens numeric, cost numeric, mean_cost_per_mtok numeric,
                 servers numeric, hosted_amount numeric, difference numeric, break_even_tokens numeric, is_above_break_even boolean, currency text)
    LANGUAGE plpgsql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    known record := cost_ledger_internal.ledger();
    saved numeric;      -- by a million tokens that are served at home
BEGIN
    -- NaN is above infinity.
    IF NOT coalesce(monthly_amount > 0 AND monthly_amount < 'Infinity' AND capacity_tokens > 0 AND capacity_tokens < 'Infinity'
                    AND amount_per_mtok >= 0 AND amount_per_mtok < 'Infinity', false) THEN
        RAISE EXCEPTION 'a server has an amount per month and a capacity above 0, and an amount per million tokens from 0 on'
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'self_hosting_crossover(20000, 5e9): a server of 20,000 a month that serves 5 billion tokens in it.';
    END IF;
    PERFORM cost_ledger_internal.check_filter(filter, 'reports', cost_ledger_internal.cube_labels());
    first_day := date_trunc('month', coalesce(month::timestamp, (now() AT TIME ZONE known.time_zone) - interval '1 month'))::date;
    currency := known.currency;
    EXECUTE format($query$
        SELECT coalesce(sum(c.calls), 0)::bigint, coalesce(sum(c.unpriced_calls), 0)::bigint, coalesce(sum(c.billed_input_tokens + c.billed_output_tokens), 0), sum(c.cost),
               sum(c.cost) * 1000000 / nullif(sum(c.billed_input_tokens + c.billed_output_tokens) FILTER (WHERE c.cost IS NOT NULL), 0)
        FROM cost_ledger.cost_by_month c
        WHERE c.month = $1 AND c.served_from = 'model' AND ($2 OR c.team = ANY ($3) OR c.customer = ANY ($4)) AND %s
        $query$, cost_ledger_internal.call_condition(filter))
        INTO calls, unpriced_calls, billed_tokens, cost, mean_cost_per_mtok
        USING first_day, sees_all, teams, customers;
    is_complete := first_day + interval '1 month' <= now() AT TIME ZONE known.time_zone;
    mean_cost_per_mtok := trim_scale(mean_cost_per_mtok);
    servers := ceil(billed_tokens / capacity_tokens);
    hosted_amount := trim_scale(servers * monthly_amount + billed_tokens * amount_per_mtok / 1000000);
    difference := hosted_amount - cost;
    saved := mean_cost_per_mtok - amount_per_mtok;
    -- What a full server cannot earn, two cannot either.
    IF saved * capacity_tokens >= monthly_amount * 1000000 THEN
        break_even_tokens := ceil(monthly_amount * 1000000 / saved);
    END IF;
    is_above_break_even := CASE WHEN mean_cost_per_mtok IS NOT NULL THEN coalesce(billed_tokens >= break_even_tokens, false) END;
    RETURN NEXT;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.self_hosting_crossover_as_owner(numeric, numeric, jsonb, date, numeric, boolean, text[], text[]) IS
    'The body of self_hosting_crossover().';

CREATE FUNCTION cost_ledger.self_hosting_crossover(
    monthly_amount numeric, capacity_tokens numeric, filter jsonb DEFAULT '{}', month date DEFAULT NULL, amount_per_mtok numeric DEFAULT 0
) RETURNS TABLE (first_day date, is_complete boolean, calls bigint, unpriced_calls bigint, billed_tokens numeric, cost numeric, mean_cost_per_mtok numeric,
                 servers numeric, hosted_amount numeric, difference numeric, break_even_tokens numeric, is_above_break_even boolean, currency text)
    LANGUAGE sql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.*
    FROM cost_ledger_internal.self_hosting_crossover(self_hosting_crossover.monthly_amount, self_hosting_crossover.capacity_tokens, self_hosting_crossover.filter,
                                                     self_hosting_crossover.month, self_hosting_crossover.amount_per_mtok,
                                                     cost_ledger_internal.sees_all(), cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) d;
END;

COMMENT ON FUNCTION cost_ledger.self_hosting_crossover(numeric, numeric, jsonb, date, numeric) IS
    'From how many tokens a month on are machines of your own cheaper than what calls cost? A server costs monthly_amount, in the ledger''s currency, serves capacity_tokens a month, input and output together, and amount_per_mtok besides for each million of them. filter says which calls would move there (labels of the cube); month, any day of it, whose volume it is, by default the last that is over; first_day is its first. mean_cost_per_mtok is what a million billed tokens of these calls cost, cached ones included; break_even_tokens = monthly_amount / (mean_cost_per_mtok - amount_per_mtok) is how many pay for a server, NULL where even a full one does not pay. Beside it the month''s own: billed_tokens, the servers that they need, their hosted_amount, and difference = hosted_amount - cost; with several servers it may be above 0 again, for the last is not full. NULL where nothing has a price. Only calls that the role may see.';
