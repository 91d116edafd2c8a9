-- Forecasts: each formula on a series whose answer is worked out by hand.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger('Asia/Kolkata');
SELECT cost_ledger.set_price('acme', 'm', '{"input_tokens": 1000000}', '2020-01-01') > 0 AS set;

-- Seasonal.  Tuesday, 24 March 2026, noon.  The four Tuesdays before it cost 8,
-- 9, 11 and 12, on average 10; every other weekday 10, Saturdays and Sundays 3.
-- To 1 April: half of today 5, Wednesday to Friday 30, the weekend 6, Monday and
-- Tuesday 20; with 100 spent, 161.  The mean of the 28 days is 8, so
-- s^2 = (16 * 2^2 + 0^2 + 1^2 + 3^2 + 4^2 + 8 * 5^2) / 27 = 290 / 27, and 7.5
-- days are left: the band is 1.2816 * sqrt(290 / 27 * 7.5) = 11.502712.
SELECT p.method, p.forecast, round(p.high - p.forecast, 6) AS up, round(p.forecast - p.low, 6) AS down, p.reason
FROM cost_ledger_internal.project_spend(100, '2026-03-24 12:00Z', '2026-03-01 00:00Z', '2026-04-01 00:00Z',
    -- from Tuesday, 24 February
    '{8,10,10,10,3,3,10, 9,10,10,10,3,3,10, 11,10,10,10,3,3,10, 12,10,10,10,3,3,10}') p;
-- a day: what is left of it
SELECT forecast FROM cost_ledger_internal.project_spend(7, '2026-03-24 18:00Z', '2026-03-24', '2026-03-25',
    '{8,10,10,10,3,3,10, 9,10,10,10,3,3,10, 11,10,10,10,3,3,10, 12,10,10,10,3,3,10}');

-- Trailing.  Six days of 7 and one of 14, on average 8; 7.5 days are left:
-- 100 + 60.  s^2 = (6 + 36) / 6 = 7: 1.2816 * sqrt(52.5) = 9.286074.
SELECT method, forecast, round(high - forecast, 6) AS up FROM cost_ledger_internal.project_spend(100, '2026-03-24 12:00Z', '2026-03-01', '2026-04-01', '{7,7,7,14,7,7,7}');
-- only the last 7 of 9 make the mean; all make the band
SELECT method, forecast FROM cost_ledger_internal.project_spend(100, '2026-03-24 12:00Z', '2026-03-01', '2026-04-01', '{999,999,7,7,7,14,7,7,7}');
-- what was spent is spent
SELECT method, forecast, low FROM cost_ledger_internal.project_spend(5, '2026-03-31 12:00Z', '2026-03-01', '2026-04-01', '{0,0,0,0,0,0,70}');

-- Run rate.  A quarter of the 40 days is over: 4 * 30.
SELECT * FROM cost_ledger_internal.project_spend(30, '2026-01-11', '2026-01-01', '2026-02-10');
SELECT method, forecast FROM cost_ledger_internal.project_spend(30, '2026-01-11', '2026-01-01', '2026-02-10', '{1,2,3,4,5,6}');
-- 10 percent is enough, a microsecond less is not
SELECT forecast, reason FROM cost_ledger_internal.project_spend(30, '2026-01-05', '2026-01-01', '2026-02-10');
SELECT forecast, reason FROM cost_ledger_internal.project_spend(30, '2026-01-04 23:59:59.999999Z', '2026-01-01', '2026-02-10');
SELECT forecast, reason FROM cost_ledger_internal.project_spend(30, '2026-01-05', '-infinity', 'infinity', '{1,2,3,4,5,6,7}');
SELECT forecast, reason FROM cost_ledger_internal.project_spend(NULL, '2026-01-05', '2026-01-01', '2026-02-10');
-- what is over is no forecast
SELECT * FROM cost_ledger_internal.project_spend(30, '2026-02-10', '2026-01-01', '2026-02-10', '{7,7,7,7,7,7,7}');
SELECT * FROM cost_ledger_internal.project_spend(30, '2026-03-10', '2026-01-01', '2026-02-10');
-- The rate of the period itself counts where it is higher, or nothing is known:
-- 85 of a day by 18:00 are 85 * 24 / 18 = 113.333333, whatever the days before
-- were; 200 by noon of 24 March 200 * 31 / 23.5 = 263.829787, and the band stays.
SELECT method, round(forecast, 6) AS forecast FROM cost_ledger_internal.project_spend(85, '2026-03-24 18:00Z', '2026-03-24', '2026-03-25', '{10,10,10,10,10,10,10}');
SELECT method, forecast FROM cost_ledger_internal.project_spend(75, '2026-03-24 18:00Z', '2026-03-24', '2026-03-25', array_fill(10::numeric, '{28}'));
SELECT method, round(forecast, 6) AS forecast, round(high - forecast, 6) AS up FROM cost_ledger_internal.project_spend(200, '2026-03-24 12:00Z', '2026-03-01', '2026-04-01', '{7,7,7,14,7,7,7}');
SELECT method, forecast FROM cost_ledger_internal.project_spend(70, '2026-04-21', '2026-04-01', '2026-05-01', array_fill(1::numeric, '{28}'));
-- credits of 1 a day, for 2 days: 10 - 2, and the band, of width 0, is around it
SELECT method, forecast, low, high FROM cost_ledger_internal.project_spend(10, '2026-02-08', '2026-02-07 22:00Z', '2026-02-10', '{-1,-1,-1,-1,-1,-1,-1}');

-- Berlin's clocks go forward on 29 March 2026: from noon of the 28th to its end
-- 12 of 24 hours, then a day of 23 hours, which is a day: 12 + 24.  By the
-- clock 35 hours are left: 35.
SELECT forecast FROM cost_ledger_internal.project_spend(0, '2026-03-28 12:00+01', '2026-03-01 00:00+01', '2026-03-30 00:00+02', array_fill(24::numeric, '{28}'), 'Europe/Berlin');
SELECT forecast FROM cost_ledger_internal.project_spend(0, '2026-03-28 12:00+01', '2026-03-01 00:00+01', '2026-03-30 00:00+02', array_fill(24::numeric, '{7}'), 'Europe/Berlin');

-- Havana's clocks go back to midnight on 3 November 2024, which comes twice: the day
-- begins at the first one, 04:00Z, and has 25 hours, of which 24.5 are left half an
-- hour later.
SELECT trim_scale(d.days_left[1]) AS today, trim_scale(d.days_left[2]) AS tomorrow, trim_scale(d.days_left[3]) AS then
FROM (SELECT cost_ledger_internal.days_left('2024-11-03 04:30Z', '2024-11-05 05:00Z', 'America/Havana') AS days_left) d;
SELECT cost_ledger_internal.days_left(now(), 'infinity', 'UTC') IS NULL AS no_end;

-- What was spent by day.  Days are those of Kolkata: 18:30Z is the next day.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, user_id)
VALUES ('2026-03-01 00:00Z', 'acme', 'm', 1, 'a', NULL, 'u'), ('2026-03-20 18:29Z', 'acme', 'm', 2, 'a', 'f', 'u'),
       ('2026-03-20 18:30Z', 'acme', 'm', 4, 'a', NULL, 'u'), ('2026-03-23 12:00Z', 'acme', 'm', 8, 'b', 'f', 'u'),
       ('2026-03-23 18:30Z', 'acme', 'm', 16, 'a', NULL, 'u');
CALL cost_ledger.refresh();
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team) VALUES ('2026-03-22 12:00Z', 'acme', 'm', 32, 'a');
SELECT cost_ledger.set_budget('all', '{}', 'month', 100) + cost_ledger.set_budget('team a', '{"team": "a"}', 'week', 100)
     + cost_ledger.set_budget('features', '{}', 'quarter', 100, each_of => 'feature') + cost_ledger.set_budget('tokens', '{"team": "b"}', 'day', 100, metric => 'tokens')
     + cost_ledger.set_budget('nobody', '{"team": "z"}', 'month', 100) + cost_ledger.set_budget('users', '{}', 'month', 100, each_of => 'user_id')
     + cost_ledger.set_budget('hours', '{}', 'hour', 100) > 0 AS set;
-- at noon of 24 March: the last days are 20 (2), 21 (4), 22 (32) and 23 (8);
-- the first is 1 March, 23 days before
SELECT b.name, d.entity, cardinality(d.daily) AS days, d.daily[1] AS first, d.daily[20:23] AS last
FROM cost_ledger_internal.daily_spend('2026-03-24 06:30Z') d JOIN cost_ledger.budget b USING (budget_id) ORDER BY b.name, d.entity;
-- 28 days at most; none before the first call
SELECT cardinality(daily), daily[1:2] AS first FROM cost_ledger_internal.daily_spend('2026-03-30 06:30Z') d JOIN cost_ledger.budget b USING (budget_id) WHERE b.name = 'all';
SELECT count(*) FROM cost_ledger_internal.daily_spend('2026-03-01 06:30Z');

-- Without a budget: of a label, or of all.  At noon of 24 March team a has spent
-- 1 + 2 + 4 + 32 + 16 of the month, and b 8.
SELECT value, starts_at, ends_at, spent, round(forecast, 6) AS forecast, forecast_method, currency
FROM cost_ledger.project_spend('team', at => '2026-03-24 06:30Z') ORDER BY 1;
SELECT value, spent, round(forecast, 6) AS forecast, forecast_method FROM cost_ledger.project_spend(at => '2026-03-24 06:30Z');
SELECT value, spent, forecast_method, no_forecast_reason FROM cost_ledger.project_spend('feature', 'day', '2026-03-24 06:30Z') ORDER BY 1;
SELECT * FROM cost_ledger.project_spend('user_id');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM cost_ledger.project_spend('team', 'minute');
\echo :LAST_ERROR_SQLSTATE

-- Burn rate and exhaustion.  25 in 10 hours are 2.5 an hour; of 100, 75 are left:
-- 30 hours, 1.25 days.  What is held is gone too: 50 are left, 20 hours.
BEGIN;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team) VALUES (now() - interval '10 hours', 'acme', 'm', 20, 'burns'), (now() - interval '1 hour', 'acme', 'm', 5, 'burns');
SELECT cost_ledger.set_budget('burns', '{"team": "burns"}', 'total', 100) > 0 AS set;
SELECT burn_rate_per_hour, exhausted_at - now() AS exhausted_in, days_left, forecast, no_forecast_reason FROM cost_ledger.budget_status WHERE name = 'burns';
SELECT decision, held FROM cost_ledger.reserve('h', '{"team": "burns"}', 25);
SELECT burn_rate_per_hour, exhausted_at - now() AS exhausted_in, days_left FROM cost_ledger.budget_status WHERE name = 'burns';
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team) VALUES (now(), 'acme', 'm', 50, 'burns');
SELECT exhausted_at - now() AS exhausted_in, remaining, level FROM cost_ledger.budget_status WHERE name = 'burns';
ROLLBACK;

-- The status has the forecast of what it has spent.
SELECT s.name, s.entity, s.forecast = p.forecast AS forecast, s.forecast_low = p.low AS low, s.forecast_high = p.high AS high, s.forecast_method, s.no_forecast_reason
FROM cost_ledger.budget_status s
JOIN cost_ledger_internal.daily_spend() d USING (budget_id, entity)
CROSS JOIN LATERAL cost_ledger_internal.project_spend(s.spent, now(), s.starts_at, s.ends_at, d.daily, 'Asia/Kolkata') p
WHERE s.name IN ('all', 'team a', 'tokens') ORDER BY s.name;

SELECT cost_ledger.drop_ledger(i_mean_it => true);
