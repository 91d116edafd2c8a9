-- Estimates: what a feature will cost, before it is built or before it grows.
--
-- Costs are exact as everywhere; percentiles are estimates by nature, computed
-- in double precision and given with 6 decimals.

CREATE FUNCTION cost_ledger_internal.normal_quantile(p double precision) RETURNS double precision
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    q double precision;
    r double precision;
BEGIN
    -- NaN is above everything.
    IF NOT (p > 0 AND p < 1) THEN
        RAISE EXCEPTION '% is not a probability between 0 and 1', p
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'Both ends are excluded; 0.99 is the 99th percentile.';
    END IF;
    IF p < 0.02425 OR p > 1 - 0.02425 THEN
        q := sqrt(-2 * ln(least(p, 1 - p)));
        r := (((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838e+00) * q - 2.549732539343734e+00) * q
               + 4.374664141464968e+00) * q + 2.938163982698783e+00)
             / ((((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e+00) * q + 3.754408661907416e+00) * q + 1);
        RETURN CASE WHEN p < 0.5 THEN r ELSE -r END;
    END IF;
    q := p - 0.5;
    r := q * q;
    RETURN (((((-3.969683028665376e+01 * r + 2.209460984245205e+02) * r - 2.759285104469687e+02) * r + 1.383577518672690e+02) * r
             - 3.066479806614716e+01) * r + 2.506628277459239e+00) * q
           / (((((-5.447609879822406e+01 * r + 1.615858368580409e+02) * r - 1.556989798598866e+02) * r + 6.680131188771972e+01) * r
               - 1.328068155288572e+01) * r + 1);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.normal_quantile(double precision) IS
    'Inverse of the cumulative distribution function of the standard normal distribution, by P. J. Acklam''s rational approximations (2003): relative error below 1.15e-9 over the whole range. 0 < p < 1, else an error (22003).';

CREATE FUNCTION cost_ledger_internal.check_estimate(
    feature text, provider text, model text, arguments json, scenarios jsonb
) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    argument record;
BEGIN
    IF coalesce(feature, '') = '' OR coalesce(provider, '') = '' OR coalesce(model, '') = '' THEN
        RAISE EXCEPTION 'an estimate needs a feature, a provider and a model'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Use the names that its calls carry or will carry.';
    END IF;
    FOR argument IN
        SELECT a.key AS name, a.value::numeric AS value,
               CASE a.key WHEN 'engagement_rate' THEN 1 WHEN 'error_rate' THEN 1 WHEN 'days_per_month' THEN 31 WHEN 'sigma' THEN 10 END AS highest
        FROM json_each_text(arguments) AS a
    LOOP
        -- NaN is above infinity.
        IF argument.value IS NULL OR argument.value < 0 OR argument.value >= 'Infinity' OR argument.value > argument.highest THEN
            RAISE EXCEPTION 'argument "%" of an estimate is %', argument.name, coalesce(argument.value::text, 'NULL')
                USING ERRCODE = 'numeric_value_out_of_range',
                      HINT = format('Pass a number from 0%s.', coalesce(' to ' || argument.highest::text, ' on'));
        END IF;
    END LOOP;
    IF jsonb_typeof(scenarios) IS DISTINCT FROM 'object' OR scenarios = '{}'
       OR jsonb_path_exists(scenarios, '$.* ? (@.type() != "object")')
       OR jsonb_path_exists(scenarios, '$.*.* ? (@.type() != "number" || @ < 0)')
       OR EXISTS (SELECT FROM jsonb_each(scenarios) AS s WHERE s.key = '' OR s.value - '{users,calls,cached_input,fresh_input,output,errors}'::text[] <> '{}') THEN
        RAISE EXCEPTION 'scenarios are not an object of scenarios with their multipliers'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write {"base": {}, "bull": {"users": 2, "calls": 1.5}}; what is multiplied is users, calls, cached_input, fresh_input, output, errors.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_estimate(text, text, text, json, jsonb) IS
    'An error that names the argument of estimate_feature_cost() that makes no sense, the first in their order.';

CREATE FUNCTION cost_ledger_internal.user_factors(
    feature text, sigma double precision, sample_by text, sample_start timestamptz, sample_end timestamptz
) RETURNS numeric[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sampled record;
BEGIN
    IF sample_by IS NULL THEN
        -- Log-normal with this mean: its logarithm has mean ln(mean) - sigma² / 2.
        RETURN (SELECT array_agg(exp(sigma * cost_ledger_internal.normal_quantile(p.p) - sigma * sigma / 2)::numeric ORDER BY p.p)
                FROM unnest('{0.50,0.90,0.99}'::double precision[]) AS p (p));
    END IF;
    SELECT * INTO sampled FROM cost_ledger.feature_cost_sample(feature, sample_start, sample_end, sample_by);
    IF coalesce(sampled.mean_cost, 0) <= 0 THEN
        RAISE EXCEPTION 'feature "%" has no cost by % from % to %', feature, sample_by, sample_start, sample_end
            USING ERRCODE = 'no_data_found',
                  HINT = 'Sample a time in which it had priced calls with that attribute, or leave sample_by out for a log-normal distribution.';
    END IF;
    RETURN ARRAY[sampled.p50_cost / sampled.mean_cost, sampled.p90_cost / sampled.mean_cost, sampled.p99_cost / sampled.mean_cost];
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.user_factors(text, double precision, text, timestamptz, timestamptz) IS
    'How far a user at the 50th, 90th and 99th percentile is from the mean user.';

CREATE FUNCTION cost_ledger_internal.cost_of_mean(
    priced_at timestamptz, provider text, model text, cached_input numeric, fresh_input numeric, output numeric,
    other_usage jsonb, service_class text, region text, customer text
) RETURNS numeric
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Together not a token more than their sum asks for, which may be where a
    -- tier begins; and none of a kind only where its mean is 0.
    cached CONSTANT numeric := ceil(cached_input);
    fresh CONSTANT numeric := greatest(ceil(cached_input + fresh_input) - cached, ceil(least(fresh_input, 1)));
    usage CONSTANT jsonb := jsonb_build_object('input_tokens', cached + fresh, 'cache_read_tokens', cached, 'output_tokens', ceil(output))
                            || coalesce(other_usage, '{}');
    excess numeric;
BEGIN
    -- What is counted too much costs the rate of its last token.  per is a power
    -- of ten, so nothing is rounded.
    SELECT sum(coalesce(m.excess, 0) * x.unit_price * (1::numeric / x.per) * x.multiplier) INTO excess
        FROM (SELECT DISTINCT ON (e.meter) e.meter, e.unit_price, e.per, e.multiplier
              FROM cost_ledger.explain_cost(priced_at, provider, model, usage, service_class, region, customer) WITH ORDINALITY AS
                   e (meter, quantity, unit_price, per, multiplier, amount, currency, price_id, valid_from, valid_to, rule, step)
              -- The last units come first.
              ORDER BY e.meter, e.step) x
        JOIN (VALUES ('input_tokens', fresh - fresh_input), ('cache_read_tokens', cached - cached_input), ('output_tokens', ceil(output) - output)) AS m (meter, excess)
            ON m.meter = x.meter;
    RETURN trim_scale(cost_ledger.cost_at(priced_at, provider, model, usage, service_class, region, strict => true, customer => customer) - coalesce(excess, 0));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.cost_of_mean(timestamptz, text, text, numeric, numeric, numeric, jsonb, text, text, text) IS
    'What a call of mean counts costs: cost_at() of the next whole counts (LC001 where that is not known in full), less what the rates make of the fractions that were added.';

CREATE FUNCTION cost_ledger_internal.estimate_scenario(
    inputs jsonb, factors numeric[], times jsonb,
    OUT estimated_users numeric, OUT calls_per_month numeric, OUT cost_per_call numeric,
    OUT daily_cost numeric, OUT monthly_cost numeric, OUT tail_monthly_cost numeric, OUT buffered_monthly_cost numeric,
    OUT cost_per_user numeric, OUT cost_to_revenue_ratio numeric, OUT is_over_ceiling boolean,
    OUT p50_user_cost numeric, OUT p90_user_cost numeric, OUT p99_user_cost numeric,
    OUT p50_monthly_cost numeric, OUT p90_monthly_cost numeric, OUT p99_monthly_cost numeric, OUT retried_monthly_cost numeric
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    i record;
    t record;
    calls_per_user numeric;     -- in a month in which it is used every day
BEGIN
    SELECT * INTO i
        FROM jsonb_to_record(inputs) AS x (
            provider text, model text, service_class text, region text, customer text, priced_at timestamptz, other_usage jsonb,
            users numeric, calls_per_user_per_day numeric, engagement_rate numeric, days_per_month numeric,
            cached_input_tokens numeric, fresh_input_tokens numeric, output_tokens numeric,
            revenue_per_user numeric, tail_factor numeric, buffer_factor numeric, ceiling numeric, error_rate numeric, retries_per_error numeric);
    SELECT coalesce(x.users, 1) AS users, coalesce(x.calls, 1) AS calls, coalesce(x.cached_input, 1) AS cached_input,
           coalesce(x.fresh_input, 1) AS fresh_input, coalesce(x.output, 1) AS output,
           coalesce(x.errors, 1) AS errors
        INTO t
        FROM jsonb_to_record(times) AS x (users numeric, calls numeric, cached_input numeric, fresh_input numeric, output numeric, errors numeric);
    -- Priced anew in each scenario: more input may be another tier.
    cost_per_call := cost_ledger_internal.cost_of_mean(
        i.priced_at, i.provider, i.model, i.cached_input_tokens * t.cached_input, i.fresh_input_tokens * t.fresh_input, i.output_tokens * t.output,
        i.other_usage, i.service_class, i.region, i.customer);
    calls_per_user := i.calls_per_user_per_day * t.calls * i.days_per_month;
    estimated_users := trim_scale(i.users * t.users);
    cost_per_user := trim_scale(cost_per_call * calls_per_user * i.engagement_rate);
    calls_per_month := trim_scale(estimated_users * calls_per_user * i.engagement_rate);
    daily_cost := trim_scale(cost_per_call * i.calls_per_user_per_day * t.calls * estimated_users * i.engagement_rate);
    monthly_cost := trim_scale(cost_per_user * estimated_users);
    tail_monthly_cost := trim_scale(monthly_cost * i.tail_factor);
    buffered_monthly_cost := trim_scale(monthly_cost * i.buffer_factor);
    -- Of calls no more than all can fail.
    retried_monthly_cost := trim_scale(monthly_cost * (1 + least(i.error_rate * t.errors, 1) * i.retries_per_error));
    cost_to_revenue_ratio := round(cost_per_user / nullif(i.revenue_per_user, 0), 6);
    is_over_ceiling := cost_per_user > i.revenue_per_user * i.ceiling;
    p50_user_cost := round(cost_per_call * calls_per_user * factors[1], 6);
    p90_user_cost := round(cost_per_call * calls_per_user * factors[2], 6);
    p99_user_cost := round(cost_per_call * calls_per_user * factors[3], 6);
    p50_monthly_cost := round(monthly_cost * factors[1], 6);
    p90_monthly_cost := round(monthly_cost * factors[2], 6);
    p99_monthly_cost := round(monthly_cost * factors[3], 6);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.estimate_scenario(jsonb, numeric[], jsonb) IS
    'One scenario of estimate_feature_cost(): its inputs, each times what the scenario says, priced.';

CREATE FUNCTION cost_ledger_internal.feature_cost_sample(
    feature text, range_start timestamptz, range_end timestamptz, sample_by text,
    OUT samples bigint, OUT calls bigint, OUT calls_per_sample numeric, OUT cost numeric, OUT mean_cost numeric, OUT cost_per_call numeric,
    OUT input_tokens_per_call numeric, OUT cache_read_tokens_per_call numeric, OUT output_tokens_per_call numeric,
    OUT p50_cost numeric, OUT p90_cost numeric, OUT p95_cost numeric, OUT p99_cost numeric, OUT unpriced_calls bigint,
    OUT failed_calls bigint, OUT retries bigint
) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    sampled CONSTANT text := cost_ledger_internal.sample_key(sample_by);
    condition CONSTANT text := 'c.feature = $1 AND c.called_at >= $2 AND c.called_at < $4' || cost_ledger_internal.standing() || cost_ledger_internal.not_quarantined();
BEGIN
    PERFORM cost_ledger_internal.ledger();
    PERFORM cost_ledger_internal.check_range(range_start, range_end);
    PERFORM cost_ledger_internal.refuse_dropped(range_start, range_end, NULL);
    -- Corrections belong to the sample of the call they correct.
    EXECUTE format($query$
        SELECT count(*), sum(s.calls)::bigint,
               round(sum(s.calls) / nullif(count(*), 0), 6),
               sum(s.cost), trim_scale(avg(s.cost)), trim_scale(sum(s.cost) / nullif(sum(s.calls) - sum(s.unpriced_calls), 0)),
               round(sum(s.input_tokens) / nullif(sum(s.calls), 0), 6), round(sum(s.cache_read_tokens) / nullif(sum(s.calls), 0), 6),
               round(sum(s.output_tokens) / nullif(sum(s.calls), 0), 6),
               cost_ledger.quantile(cost_ledger.summarize(s.cost), 0.50), cost_ledger.quantile(cost_ledger.summarize(s.cost), 0.90),
               cost_ledger.quantile(cost_ledger.summarize(s.cost), 0.95), cost_ledger.quantile(cost_ledger.summarize(s.cost), 0.99),
               coalesce(sum(s.unpriced_calls), 0)::bigint, coalesce(sum(s.failed_calls), 0)::bigint, coalesce(sum(s.retries), 0)::bigint
        FROM (SELECT count(*) FILTER (WHERE c.corrects IS NULL) AS calls,
                     sum(c.cost) AS cost, sum(c.input_tokens) AS input_tokens, sum(c.cache_read_tokens) AS cache_read_tokens, sum(c.output_tokens) AS output_tokens,
                     count(*) FILTER (WHERE c.corrects IS NULL AND c.cost IS NULL) AS unpriced_calls,
                     count(*) FILTER (WHERE c.corrects IS NULL AND cost_ledger_internal.is_failure(c.status)) AS failed_calls,
                     count(*) FILTER (WHERE c.corrects IS NULL AND lower(c.operation) = 'retry') + coalesce(sum(c.retry_count), 0) AS retries
              FROM cost_ledger.call c %2$s
              WHERE %3$s AND %1$s IS NOT NULL
              GROUP BY %1$s) s
        $query$, sampled, cost_ledger_internal.task_roots(sample_by, condition), condition)
        INTO samples, calls, calls_per_sample, cost, mean_cost, cost_per_call, input_tokens_per_call, cache_read_tokens_per_call, output_tokens_per_call,
             p50_cost, p90_cost, p95_cost, p99_cost, unpriced_calls, failed_calls, retries
        USING feature, range_start, true, range_end;
    calls := coalesce(calls, 0);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.feature_cost_sample(text, timestamptz, timestamptz, text) IS
    'cost_ledger.feature_cost_sample(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.feature_cost_sample(
    feature text, range_start timestamptz, range_end timestamptz, sample_by text DEFAULT 'user',
    OUT samples bigint, OUT calls bigint, OUT calls_per_sample numeric, OUT cost numeric, OUT mean_cost numeric, OUT cost_per_call numeric,
    OUT input_tokens_per_call numeric, OUT cache_read_tokens_per_call numeric, OUT output_tokens_per_call numeric,
    OUT p50_cost numeric, OUT p90_cost numeric, OUT p95_cost numeric, OUT p99_cost numeric, OUT unpriced_calls bigint,
    OUT failed_calls bigint, OUT retries bigint
) RETURNS record
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner_for_reader';

COMMENT ON FUNCTION cost_ledger.feature_cost_sample(text, timestamptz, timestamptz, text) IS
    'What a feature has cost per user (or run, task, session, customer, call; a task is a run with all that it started, or a call that is in no run) in a range of time (end exclusive), corrections included: how many samples and calls there are, sums, means (of tokens with 6 decimals) and percentiles of cost per sample from a summary (exact for small samples, else within its relative error). Calls without a user_id (run_id, …) are left out; calls without a price are counted, and in none of the costs. failed_calls / calls and retries / failed_calls are what an estimate''s error_rate and retries_per_error have been. A range in which retention has dropped calls is refused (22023).';

CREATE FUNCTION cost_ledger_internal.estimate_feature_cost(
    feature                 text,
    provider                text,
    model                   text,
    users                   numeric,
    calls_per_user_per_day  numeric,
    cached_input_tokens     numeric,
    fresh_input_tokens      numeric,
    output_tokens           numeric,
    engagement_rate         numeric,
    days_per_month          numeric,
    revenue_per_user        numeric,
    other_usage             jsonb,
    service_class           text,
    region                  text,
    customer                text,
    priced_at               timestamptz,
    sigma                   double precision,
    sample_by               text,
    sample_start            timestamptz,
    sample_end              timestamptz,
    scenarios               jsonb,
    tail_factor             numeric,
    buffer_factor           numeric,
    ceiling                 numeric,
    save                    boolean,
    first_month             date,
    note                    text,
    error_rate              numeric,
    retries_per_error       numeric
) RETURNS TABLE (
        estimate_id bigint, scenario text, estimated_users numeric, calls_per_month numeric, cost_per_call numeric,
        daily_cost numeric, monthly_cost numeric, tail_monthly_cost numeric, buffered_monthly_cost numeric,
        cost_per_user numeric, cost_to_revenue_ratio numeric, is_over_ceiling boolean,
        p50_user_cost numeric, p90_user_cost numeric, p99_user_cost numeric,
        p50_monthly_cost numeric, p90_monthly_cost numeric, p99_monthly_cost numeric, retried_monthly_cost numeric)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    inputs CONSTANT jsonb := jsonb_build_object(
        'provider', provider, 'model', model, 'users', users, 'calls_per_user_per_day', calls_per_user_per_day,
        'cached_input_tokens', cached_input_tokens, 'fresh_input_tokens', fresh_input_tokens, 'output_tokens', output_tokens,
        'engagement_rate', engagement_rate, 'days_per_month', days_per_month, 'revenue_per_user', revenue_per_user,
        'other_usage', other_usage, 'service_class', service_class, 'region', region, 'customer', customer, 'priced_at', priced_at,
        'sigma', CASE WHEN sample_by IS NULL THEN sigma END,
        'sample_by', sample_by, 'sample_start', sample_start, 'sample_end', sample_end,
        'scenarios', scenarios, 'tail_factor', tail_factor, 'buffer_factor', buffer_factor, 'ceiling', ceiling,
        'error_rate', error_rate, 'retries_per_error', retries_per_error);
    factors numeric[];
    month date;
BEGIN
    -- Everything is checked before anything is written.
    PERFORM cost_ledger_internal.check_estimate(
        feature, provider, model,
        json_build_object('users', users, 'calls_per_user_per_day', calls_per_user_per_day,
                          'cached_input_tokens', cached_input_tokens, 'fresh_input_tokens', fresh_input_tokens, 'output_tokens', output_tokens,
                          'engagement_rate', engagement_rate, 'days_per_month', days_per_month, 'revenue_per_user', coalesce(revenue_per_user, 0),
                          'tail_factor', tail_factor, 'buffer_factor', buffer_factor, 'ceiling', ceiling, 'sigma', sigma::numeric,
                          'error_rate', error_rate, 'retries_per_error', retries_per_error),
        scenarios);
    factors := cost_ledger_internal.user_factors(feature, sigma, sample_by, sample_start, sample_end);

    IF save THEN
        month := date_trunc('month', coalesce(first_month::timestamp, now() AT TIME ZONE (cost_ledger_internal.ledger()).time_zone))::date;
        INSERT INTO cost_ledger.estimate (feature, first_month, note, inputs)
            VALUES (estimate_feature_cost.feature, month, estimate_feature_cost.note, inputs)
            RETURNING estimate_id INTO estimate_feature_cost.estimate_id;
    END IF;
    FOR scenario, estimated_users, calls_per_month, cost_per_call, daily_cost, monthly_cost, tail_monthly_cost, buffered_monthly_cost,
        cost_per_user, cost_to_revenue_ratio, is_over_ceiling, p50_user_cost, p90_user_cost, p99_user_cost, p50_monthly_cost, p90_monthly_cost, p99_monthly_cost,
        retried_monthly_cost
    IN
        SELECT s.key, e.* FROM jsonb_each(scenarios) AS s, LATERAL cost_ledger_internal.estimate_scenario(inputs, factors, s.value) e
    LOOP
        IF save THEN
            INSERT INTO cost_ledger.estimate_result
                VALUES (estimate_feature_cost.estimate_id, estimate_feature_cost.scenario, estimated_users, calls_per_month, cost_per_call,
                        daily_cost, monthly_cost, tail_monthly_cost, buffered_monthly_cost, cost_per_user, cost_to_revenue_ratio, is_over_ceiling,
                        p50_user_cost, p90_user_cost, p99_user_cost, p50_monthly_cost, p90_monthly_cost, p99_monthly_cost, retried_monthly_cost);
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.estimate_feature_cost(text, text, text, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, jsonb, text, text, text, timestamptz, double precision, text, timestamptz, timestamptz, jsonb, numeric, numeric, numeric, boolean, date, text, numeric, numeric) IS
    'cost_ledger.estimate_feature_cost(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.estimate_feature_cost(
    feature                 text,
    provider                text,
    model                   text,
    users                   numeric,
    calls_per_user_per_day  numeric,
    cached_input_tokens     numeric,
    fresh_input_tokens      numeric,
    output_tokens           numeric,
    engagement_rate         numeric DEFAULT 1,
    days_per_month          numeric DEFAULT 30,
    revenue_per_user        numeric DEFAULT NULL,
    other_usage             jsonb DEFAULT NULL,
    service_class           text DEFAULT 'standard',
    region                  text DEFAULT NULL,
    customer                text DEFAULT NULL,
    priced_at               timestamptz DEFAULT now(),
    sigma                   double precision DEFAULT 1.1,
    sample_by               text DEFAULT NULL,
    sample_start            timestamptz DEFAULT NULL,
    sample_end              timestamptz DEFAULT NULL,
    scenarios               jsonb DEFAULT '{"base": {}, "bull": {"users": 2, "calls": 1.5}, "stress": {"users": 3, "calls": 1.5, "fresh_input": 4, "output": 2}}',
    tail_factor             numeric DEFAULT 1.25,
    buffer_factor           numeric DEFAULT 2.5,
    ceiling                 numeric DEFAULT 0.30,
    save                    boolean DEFAULT false,
    first_month             date DEFAULT NULL,
    note                    text DEFAULT NULL,
    error_rate              numeric DEFAULT 0,
    retries_per_error       numeric DEFAULT 1
) RETURNS TABLE (
        estimate_id bigint, scenario text, estimated_users numeric, calls_per_month numeric, cost_per_call numeric,
        daily_cost numeric, monthly_cost numeric, tail_monthly_cost numeric, buffered_monthly_cost numeric,
        cost_per_user numeric, cost_to_revenue_ratio numeric, is_over_ceiling boolean,
        p50_user_cost numeric, p90_user_cost numeric, p99_user_cost numeric,
        p50_monthly_cost numeric, p90_monthly_cost numeric, p99_monthly_cost numeric, retried_monthly_cost numeric)
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.estimate_feature_cost(text, text, text, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, jsonb, text, text, text, timestamptz, double precision, text, timestamptz, timestamptz, jsonb, numeric, numeric, numeric, boolean, date, text, numeric, numeric) IS
    'What a feature will cost, one row per scenario, in the ledger''s currency. A mean call has cached and fresh input tokens and output tokens, which need not be whole numbers (other meters in other_usage), and costs what cost_at() says at priced_at, in proportion to fractions of a token (LC001 where that is not known in full); cost_per_user = cost_per_call × calls_per_user_per_day × days_per_month × engagement_rate (share of users who use it on a day); monthly_cost = cost_per_user × users, exact. tail_monthly_cost (× 1.25: the tail of large calls), buffered_monthly_cost (× 2.5: retries, orchestration, embeddings, growing context) and retried_monthly_cost stand apart. The last is with the retries alone, as they are known: error_rate is the share of calls that fail, retries_per_error how often each of these is tried again, every time at the cost of a call: monthly_cost × (1 + error_rate × retries_per_error). is_over_ceiling: cost_per_user is more than ceiling (0.30) of revenue_per_user, per month. Users differ: pNN_user_cost is of an engaged user at that percentile of activity, pNN_monthly_cost the month if the mean user were like that one. Activity is log-normal: at percentile p, mean × exp(sigma × normal_quantile(p) - sigma² / 2); sigma = ln(p95 / median) / 1.645, and 1.1 makes the 95th percentile 6.1 medians. With sample_by (user, run, …), percentiles are those of feature_cost_sample() from sample_start to sample_end, over its mean. scenarios is an object of multipliers of users, calls, cached_input, fresh_input, output and errors (of error_rate, which ends at 1); by default base (none), bull (users 2, calls 1.5) and stress (users 3, calls 1.5, fresh_input 4, output 2). save => true keeps it from first_month (the current one) on, for estimate_vs_actual.';
