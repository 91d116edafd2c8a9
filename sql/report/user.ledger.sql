-- Users: what each costs, who the dear ones are, and whether that fits into what
-- they pay.
--
-- What plans cost is dated and in a currency of its own, so that the check is of the
-- price that held then.  A user is on the plan that its calls name as their cohort.

CREATE VIEW cost_ledger.cost_by_user WITH (security_barrier = true) AS
SELECT u.month,
       cost_ledger_internal.day_start(u.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((u.month + interval '1 month')::date, s.time_zone) AS ends_at,
       u.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(u.user_id, '(unallocated)') AS user_id,
       u.user_id IS NOT NULL AS is_allocated,
       u.calls, u.unpriced_calls, u.input_tokens, u.output_tokens,
       u.cost,
       CASE WHEN u.user_id IS NOT NULL THEN u.rank END AS rank,
       round(u.cost / nullif(sum(u.cost) OVER month, 0), 6) AS share,
       CASE WHEN u.user_id IS NOT NULL THEN
           round(sum(u.cost) OVER (PARTITION BY u.month, u.user_id IS NULL ORDER BY u.rank) / nullif(sum(u.cost) OVER month, 0), 6) END AS cumulated_share,
       CASE WHEN u.user_id IS NOT NULL THEN round(u.rank::numeric / count(u.user_id) OVER month, 6) END AS rank_ratio,
       s.currency,
       jsonb_build_array(u.month, u.user_id)::text AS row_key
FROM (
    SELECT m.month, m.user_id,
           sum(m.calls)::bigint AS calls, sum(m.unpriced_calls)::bigint AS unpriced_calls,
           sum(m.input_tokens) AS input_tokens, sum(m.output_tokens) AS output_tokens,
           sum(m.cost) AS cost,
           row_number() OVER (PARTITION BY m.month, m.user_id IS NULL ORDER BY sum(m.cost) DESC NULLS LAST, m.user_id) AS rank
    FROM cost_ledger_internal.live_user_month m
    GROUP BY m.month, m.user_id) u
CROSS JOIN cost_ledger_internal.report_setting s
WINDOW month AS (PARTITION BY u.month);

COMMENT ON VIEW cost_ledger.cost_by_user IS 'What did each user cost in each month, and how much of the cost are the dear ones? The dearest fifth: WHERE rank_ratio <= 0.2, the largest cumulated_share.';
COMMENT ON COLUMN cost_ledger.cost_by_user.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.cost_by_user.user_id IS 'End user; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cost_by_user.is_allocated IS 'Whether the calls have a user; false only for (unallocated).';
COMMENT ON COLUMN cost_ledger.cost_by_user.calls IS 'Calls; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.cost_by_user.unpriced_calls IS 'Calls without a full price, as in unpriced_call: what they cost beyond that is missing in cost.';
COMMENT ON COLUMN cost_ledger.cost_by_user.input_tokens IS 'All input tokens, cached ones included.';
COMMENT ON COLUMN cost_ledger.cost_by_user.output_tokens IS 'All output tokens, reasoning included.';
COMMENT ON COLUMN cost_ledger.cost_by_user.cost IS 'Cost in the ledger''s currency, exact, corrections included; NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_by_user.rank IS '1 for the most expensive user of the month; at equal cost in the order of user_id. NULL for (unallocated).';
COMMENT ON COLUMN cost_ledger.cost_by_user.share IS 'cost as a fraction of the month''s cost; NULL where that is 0 or unknown.';
COMMENT ON COLUMN cost_ledger.cost_by_user.cumulated_share IS 'What this user and all dearer ones cost, as a fraction of the month''s cost.';
COMMENT ON COLUMN cost_ledger.cost_by_user.rank_ratio IS 'rank / users of the month: 0.2 for the last of the dearest fifth.';

CREATE VIEW cost_ledger.cost_by_user_feature WITH (security_barrier = true) AS
SELECT u.month,
       cost_ledger_internal.day_start(u.month, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start((u.month + interval '1 month')::date, s.time_zone) AS ends_at,
       u.month + interval '1 month' <= now() AT TIME ZONE s.time_zone AS is_complete,
       coalesce(u.user_id, '(unallocated)') AS user_id,
       coalesce(u.feature, '(unallocated)') AS feature,
       u.user_id IS NOT NULL AND u.feature IS NOT NULL AS is_allocated,
       u.calls, u.unpriced_calls, u.input_tokens, u.output_tokens,
       u.cost,
       round(u.cost / nullif(sum(u.cost) OVER (PARTITION BY u.month, u.user_id), 0), 6) AS user_share,
       round(u.cost / nullif(sum(u.cost) OVER (PARTITION BY u.month, u.feature), 0), 6) AS feature_share,
       s.currency,
       jsonb_build_array(u.month, u.user_id, u.feature)::text AS row_key
FROM (
    SELECT m.month, m.user_id, m.feature,
           sum(m.calls)::bigint AS calls, sum(m.unpriced_calls)::bigint AS unpriced_calls,
           sum(m.input_tokens) AS input_tokens, sum(m.output_tokens) AS output_tokens,
           sum(m.cost) AS cost
    FROM cost_ledger_internal.live_user_feature_month m
    GROUP BY m.month, m.user_id, m.feature) u
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_by_user_feature IS 'What did each user cost in each feature and month?';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.user_id IS 'End user; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.feature IS 'Product feature; (unallocated) for calls without one.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.is_allocated IS 'Whether the calls have a user and a feature.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.calls IS 'Calls; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.unpriced_calls IS 'Calls without a full price, as in unpriced_call: what they cost beyond that is missing in cost.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.input_tokens IS 'All input tokens, cached ones included.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.output_tokens IS 'All output tokens, reasoning included.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.cost IS 'Cost in the ledger''s currency, exact, corrections included; NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.user_share IS 'cost as a fraction of what the user cost in the month; NULL where that is 0 or unknown.';
COMMENT ON COLUMN cost_ledger.cost_by_user_feature.feature_share IS 'cost as a fraction of what the feature cost in the month; NULL where that is 0 or unknown.';

CREATE TABLE cost_ledger.plan_price (
    plan         text COLLATE "C" CHECK (plan <> ''),
    valid_from   timestamptz NOT NULL CHECK (isfinite(valid_from)),
    -- NaN sorts above every number, so this refuses it.
    price        numeric NOT NULL CONSTRAINT plan_price_below_a_trillion CHECK (price >= 0 AND price < 1e12 AND scale(price) <= 20),
    currency     text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    note         text,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    recorded_by  text NOT NULL DEFAULT cost_ledger_internal.caller(),
    CONSTRAINT plan_price_key UNIQUE NULLS NOT DISTINCT (plan, valid_from)
);
ALTER TABLE cost_ledger.plan_price REPLICA IDENTITY FULL;

COMMENT ON TABLE cost_ledger.plan_price IS 'What a user of a plan pays in a month, from valid_from until the next row of the plan. Set by set_plan_price().';
COMMENT ON COLUMN cost_ledger.plan_price.plan IS 'The plan, as the calls of its users name their cohort; NULL for users whose calls name none.';
COMMENT ON COLUMN cost_ledger.plan_price.valid_from IS 'First instant at which the price holds.';
COMMENT ON COLUMN cost_ledger.plan_price.price IS 'What a user pays for a month, in currency.';
COMMENT ON COLUMN cost_ledger.plan_price.currency IS 'ISO 4217 code of the price; of another than the ledger''s, exchange_rate says what it is worth.';
COMMENT ON COLUMN cost_ledger.plan_price.note IS 'Where it was read.';
COMMENT ON COLUMN cost_ledger.plan_price.recorded_at IS 'When it was set.';
COMMENT ON COLUMN cost_ledger.plan_price.recorded_by IS 'The role that set it.';

-- The costs of all users of a plan go along, so that each is compared with the price
-- that their plan has, which is looked up once.
CREATE VIEW cost_ledger.cost_per_user_by_plan WITH (security_barrier = true) AS
SELECT u.month, u.starts_at, u.ends_at,
       u.ends_at <= now() AS is_complete,
       coalesce(u.plan, '(unallocated)') AS plan,
       u.plan IS NOT NULL AS is_allocated,
       v.price AS plan_amount, v.currency AS plan_currency, p.price,
       u.users, u.mean_cost, u.p95_cost, u.max_cost, u.cost,
       round(u.mean_cost / nullif(p.price, 0), 6) AS mean_cost_to_price_ratio,
       round(u.p95_cost / nullif(p.price, 0), 6) AS p95_cost_to_price_ratio,
       a.users_above_price,
       round(a.users_above_price::numeric / u.users, 6) AS users_above_price_ratio,
       u.users * p.price - u.cost AS margin,
       u.currency,
       jsonb_build_array(u.month, u.plan)::text AS row_key
FROM (
    SELECT t.month, t.plan, s.currency,
           cost_ledger_internal.day_start(t.month, s.time_zone) AS starts_at,
           cost_ledger_internal.day_start((t.month + interval '1 month')::date, s.time_zone) AS ends_at,
           count(*) AS users,
           trim_scale(avg(t.cost)) AS mean_cost, cost_ledger.p95(t.cost) AS p95_cost, max(t.cost) AS max_cost, sum(t.cost) AS cost,
           array_agg(t.cost) AS costs
    FROM (SELECT m.month, m.cohort AS plan, m.user_id, sum(m.cost) AS cost
          FROM cost_ledger_internal.live_user_feature_month m
          WHERE m.user_id IS NOT NULL
          GROUP BY m.month, m.cohort, m.user_id) t
    CROSS JOIN cost_ledger_internal.report_setting s
    GROUP BY t.month, t.plan, s.time_zone, s.currency) u
LEFT JOIN LATERAL (SELECT v.price, v.currency FROM cost_ledger.plan_price v
                   WHERE v.plan IS NOT DISTINCT FROM u.plan AND v.valid_from < least(u.ends_at, now()) ORDER BY v.valid_from DESC LIMIT 1) v ON true
CROSS JOIN LATERAL (SELECT v.price * CASE WHEN v.currency = u.currency THEN 1
                                          ELSE (SELECT e.rate FROM cost_ledger.exchange_rate e
                                                WHERE e.currency = v.currency AND e.valid_from < least(u.ends_at, now()) ORDER BY e.valid_from DESC LIMIT 1) END AS price) p
CROSS JOIN LATERAL (SELECT CASE WHEN p.price IS NOT NULL THEN (SELECT count(*) FROM unnest(u.costs) AS c (cost) WHERE c.cost > p.price) END AS users_above_price) a;

COMMENT ON VIEW cost_ledger.cost_per_user_by_plan IS 'Does what a user pays cover what he costs, also at the expensive end? One row per month and plan: a user is on the plan that his calls name as their cohort, and on each of several with what those calls cost. Users without a call in the month are not in it.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.plan IS 'The plan: the cohort of the calls; (unallocated) for users whose calls name none.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.is_allocated IS 'Whether the calls have a cohort; false only for (unallocated).';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.plan_amount IS 'What a user paid for the month, as plan_price has it at the end of the month, or now; NULL where it has nothing.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.plan_currency IS 'ISO 4217 code of plan_amount.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.price IS 'The same in the ledger''s currency; NULL where there is no exchange_rate either.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.users IS 'Users with a call in the month, those without any price included.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.mean_cost IS 'Mean cost of those users that have one.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.p95_cost IS '95th percentile of their costs: 95 of 100 users cost at most this. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.max_cost IS 'Cost of the most expensive user.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.cost IS 'Cost of the users, exact; NULL without any price.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.mean_cost_to_price_ratio IS 'mean_cost / price; NULL at a price of 0.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.p95_cost_to_price_ratio IS 'p95_cost / price: 0.8 leaves a fifth of what a dear user pays; NULL at a price of 0.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.users_above_price IS 'Users that cost more than they pay; NULL where no price is known.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.users_above_price_ratio IS 'The same as a fraction of the users.';
COMMENT ON COLUMN cost_ledger.cost_per_user_by_plan.margin IS 'users * price - cost: what these users paid beyond what they cost.';
