--
-- Clocks that change: windows of local time over a spring gap and an autumn
-- fold, prices that begin there, and ledgers in zones that skipped time.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();

-- night, from 02:00 to 03:00 local: 7; else 1
SELECT cost_ledger.set_price('p', 'berlin', '{"input_tokens": [1, {"price": 7, "from": "02:00", "to": "03:00", "zone": "Europe/Berlin"}]}', '2020-01-01') > 0 AS berlin,
       cost_ledger.set_price('p', 'new_york', '{"input_tokens": [1, {"price": 7, "from": "01:00", "to": "02:00", "zone": "America/New_York"}]}', '2020-01-01') > 0 AS new_york,
       cost_ledger.set_price('p', 'sundays', '{"input_tokens": [1, {"price": 7, "days": [7], "zone": "America/New_York"}]}', '2020-01-01') > 0 AS sundays,
       cost_ledger.set_price('p', 'apia', '{"input_tokens": [1, {"price": 7, "days": [5], "zone": "Pacific/Apia"}]}', '2005-01-01') > 0 AS apia,
       cost_ledger.set_price('p', 'late', '{"input_tokens": [1, {"price": 7, "from": "23:30", "to": "01:30", "days": [6], "zone": "Europe/Berlin"}]}', '2020-01-01') > 0 AS late;
CREATE FUNCTION pg_temp.cost(at timestamptz, model text) RETURNS numeric LANGUAGE sql
AS $$ SELECT cost_ledger.cost_at(at, 'p', model, '{"input_tokens": 1000000}') $$;

-- Berlin, 2026-03-29: 02:00 does not come, 01:59:59 is followed by 03:00 at
-- 01:00 UTC, so the window holds no instant; the day before it does
SELECT at, pg_temp.cost(at, 'berlin') AS cost
FROM (VALUES (timestamptz '2026-03-28 00:59:59.999999Z'), ('2026-03-28 01:00Z'), ('2026-03-28 01:59:59.999999Z'), ('2026-03-28 02:00Z'),
             ('2026-03-29 00:59:59.999999Z'), ('2026-03-29 01:00Z'), ('2026-03-29 01:30Z'), ('2026-03-30 00:00Z'), ('2026-03-30 01:00Z')) AS v (at);
-- 2026-10-25: the hour from 02:00 comes twice, 00:00 to 02:00 UTC, and is in the window twice
SELECT at, pg_temp.cost(at, 'berlin') AS cost
FROM (VALUES (timestamptz '2026-10-24 23:59:59.999999Z'), ('2026-10-25 00:00Z'), ('2026-10-25 01:00Z'), ('2026-10-25 01:59:59.999999Z'), ('2026-10-25 02:00Z')) AS v (at);
-- New York, 2026-11-01: 01:00 to 02:00 comes twice, 05:00 to 07:00 UTC; 2026-03-08 has 01:00 but not 02:00
SELECT at, pg_temp.cost(at, 'new_york') AS cost
FROM (VALUES (timestamptz '2026-11-01 04:59:59.999999Z'), ('2026-11-01 05:00Z'), ('2026-11-01 06:59:59.999999Z'), ('2026-11-01 07:00Z'),
             ('2026-03-08 05:59:59.999999Z'), ('2026-03-08 06:00Z'), ('2026-03-08 06:59:59.999999Z'), ('2026-03-08 07:00Z')) AS v (at);
-- Sundays there: of 23 hours in spring, 05:00 to 04:00 UTC, and of 25 in autumn, 04:00 to 05:00 UTC
SELECT at, pg_temp.cost(at, 'sundays') AS cost
FROM (VALUES (timestamptz '2026-03-08 04:59:59Z'), ('2026-03-08 05:00Z'), ('2026-03-09 03:59:59Z'), ('2026-03-09 04:00Z'),
             ('2026-11-01 03:59:59Z'), ('2026-11-01 04:00Z'), ('2026-11-02 04:59:59Z'), ('2026-11-02 05:00Z')) AS v (at);
-- a window over midnight belongs to the local day at the call's time: Saturday's has its first half hours and its last
SELECT at, pg_temp.cost(at, 'late') AS cost
FROM (VALUES (timestamptz '2026-10-23 22:00Z'), ('2026-10-23 23:29:59Z'), ('2026-10-23 23:30Z'), ('2026-10-24 21:29:59Z'), ('2026-10-24 21:30Z'), ('2026-10-24 22:00Z')) AS v (at);
-- Apia went from Thursday, 2011-12-29 to Saturday, 31 at 10:00 UTC: there was no such Friday
SELECT at, pg_temp.cost(at, 'apia') AS cost
FROM (VALUES (timestamptz '2011-12-23 10:00Z'), ('2011-12-24 09:59:59Z'), ('2011-12-30 09:59:59.999999Z'), ('2011-12-30 10:00Z'), ('2012-01-05 09:59:59Z'), ('2012-01-05 10:00Z')) AS v (at);
-- every minute of the year: a window holds what local time says, and no other
SELECT count(*) FILTER (WHERE pg_temp.cost(at, 'berlin') = 7) AS minutes, 363 * 60 + 120 AS expected,
       count(*) FILTER (WHERE (pg_temp.cost(at, 'berlin') = 7) <> (extract(hour FROM at AT TIME ZONE 'Europe/Berlin') = 2)) AS wrong
FROM generate_series(timestamptz '2026-01-01Z', '2026-12-31 23:59Z', interval '1 minute') AS at;

--
-- A price begins at an instant, however it is said: 02:30 in the gap is 03:30,
-- in the fold the first of the two, with an offset the one that is meant.
--
SET TIME ZONE 'Europe/Berlin';
SELECT cost_ledger.set_price('p', 'gap', '{"input_tokens": 1}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'gap', '{"input_tokens": 2}', '2026-03-29 02:30') > 0 AS in_the_gap,
       cost_ledger.set_price('p', 'gap', '{"input_tokens": 3}', '2026-10-25 02:30+02') > 0 AS in_the_fold,
       cost_ledger.set_price('p', 'gap', '{"input_tokens": 4}', '2026-10-25 02:30+01') > 0 AS an_hour_later;
-- the same instant in other words is the same price
SELECT cost_ledger.set_price('p', 'gap', '{"input_tokens": 2}', '2026-03-29 03:30') = cost_ledger.set_price('p', 'gap', '{"input_tokens": 2}', '2026-03-29 01:30Z') AS same;
SELECT cost_ledger.set_price('p', 'gap', '{"input_tokens": 5}', '2026-03-29 01:30Z');
SET TIME ZONE 'UTC';
SELECT at, pg_temp.cost(at, 'gap') AS cost
FROM (VALUES (timestamptz '2026-03-29 01:29:59.999999Z'), ('2026-03-29 01:30Z'), ('2026-10-25 00:29:59.999999Z'), ('2026-10-25 00:30Z'), ('2026-10-25 01:29:59.999999Z'), ('2026-10-25 01:30Z')) AS v (at);
SELECT cost_ledger.drop_ledger(i_mean_it => true);

--
-- Ledgers in zones of odd days.  Partitions are of local months: they meet
-- without a gap, none is empty, and each call is in the month its day is of.
--
CREATE FUNCTION pg_temp.partitions() RETURNS TABLE (name text, bounds text) LANGUAGE sql
AS $$ SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = to_regclass('cost_ledger.call') AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' $$;
-- Monrovia was 44 minutes and 30 seconds behind until 1972-01-07
SELECT cost_ledger.create_ledger('Africa/Monrovia');
SELECT cost_ledger.create_partitions('1971-12-15Z', '1972-02-15Z');
SELECT name, bounds FROM pg_temp.partitions() WHERE name < 'call_p1973' ORDER BY name;
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1}', '1970-01-01Z') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens)
SELECT at, 'p', 'm', to_char(at AT TIME ZONE 'Africa/Monrovia', 'YYYY-MM'), 1000000
FROM generate_series(timestamptz '1971-12-31 00:00:30Z', '1972-02-01 12:00Z', interval '10 minutes') AS at;
-- 00:44:30 UTC is midnight in January, 00:00 in February: 31 days less 44:30, of 6 an hour
SELECT tableoid::regclass AS partition, team, count(*) AS calls, min(called_at), max(called_at) FROM cost_ledger.call GROUP BY 1, 2 ORDER BY 2;
SELECT month, team, calls, cost FROM cost_ledger.chargeback_by_month ORDER BY month, team;
SELECT cost_ledger.drop_ledger(i_mean_it => true);

-- Apia has no 2011-12-30: its December ends as any other
SELECT cost_ledger.create_ledger('Pacific/Apia');
SELECT cost_ledger.create_partitions('2011-12-15Z', '2012-01-15Z');
SELECT name, bounds FROM pg_temp.partitions() WHERE name < 'call_p2013' ORDER BY name;
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1}', '1970-01-01Z') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, provider, model, team, input_tokens)
SELECT at, 'p', 'm', to_char(at AT TIME ZONE 'Pacific/Apia', 'YYYY-MM-DD'), 1000000
FROM generate_series(timestamptz '2011-12-29 10:00Z', '2012-01-01 09:59Z', interval '1 hour') AS at;
-- each day of 24 hours, the 30th none, the next month from 10:00 UTC of the 31st
SELECT tableoid::regclass AS partition, team, count(*) AS calls, min(called_at), max(called_at) FROM cost_ledger.call GROUP BY 1, 2 ORDER BY 2;
SELECT month, team, calls, cost FROM cost_ledger.chargeback_by_month ORDER BY month, team;
-- what is re-rated is what is of these days, though one of them is missing
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 2}', '1970-01-01Z', replace => true) > 0 AS set;
SET TIME ZONE 'Pacific/Apia';
SELECT count(*), min(called_at), max(called_at) FROM cost_ledger.rerate('2011-12-29', '2012-01-01');
SET TIME ZONE 'UTC';

-- a period is the same in every session: of 24 hours where the session's day has
-- 23, of whole minutes where its zone had seconds
CREATE FUNCTION pg_temp.periods(zone text) RETURNS TABLE (period text, period_start text, period_end text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    RETURN QUERY
        SELECT x.period, (p.period_start AT TIME ZONE 'UTC')::text, (p.period_end AT TIME ZONE 'UTC')::text
        FROM (VALUES ('minute'), ('hour'), ('day'), ('week'), ('month'), ('quarter'), ('rolling')) AS x (period),
             (VALUES ('2026-03-08 12:00:40Z'::timestamptz), ('1971-06-01 12:00:40Z')) AS a (at),
             cost_ledger_internal.budget_period(x.period, a.at, 'UTC', 1, CASE x.period WHEN 'rolling' THEN interval '1 day' END) AS p;
END
$$;
SELECT z.zone, p.* FROM (VALUES ('America/New_York'), ('Africa/Monrovia')) AS z (zone), pg_temp.periods(z.zone) AS p
EXCEPT
SELECT z.zone, p.* FROM (VALUES ('America/New_York'), ('Africa/Monrovia')) AS z (zone), pg_temp.periods('UTC') AS p;

-- what is IMMUTABLE calls nothing that is not, outside of literals and comments,
-- but for what is so for texts, numbers, JSON and times of day
SELECT p.oid::regproc AS function, c.name AS calls
FROM pg_proc p
JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
CROSS JOIN LATERAL (SELECT DISTINCT m[1] AS name FROM regexp_matches(regexp_replace(p.prosrc, '--[^\n]*|''[^'']*''', '', 'g'), '\m([a-z0-9_]+)\s*\(', 'g') AS m) c
WHERE p.pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND p.provolatile = 'i'
  AND EXISTS (SELECT FROM pg_proc o
              WHERE o.proname = c.name AND o.provolatile <> 'i'
                AND o.pronamespace IN ('pg_catalog'::regnamespace, 'cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace))
  AND c.name <> ALL ('{format,concat_ws,array_to_string,jsonb_build_object,jsonb_build_array,jsonb_agg,length}')
ORDER BY p.oid::regproc::text, c.name;
SELECT cost_ledger.drop_ledger(i_mean_it => true);

--
-- Havana's 1 November 2020 has two midnights, an hour apart: the day, the month
-- and the partition begin at the first.
--
SELECT cost_ledger.create_ledger('America/Havana');
SELECT cost_ledger.create_partitions('2020-10-15', '2020-11-15');
SELECT partition, range_start, range_end FROM cost_ledger_internal.partitions() WHERE partition IN ('call_p2020_10', 'call_p2020_11');
INSERT INTO cost_ledger.call (called_at, provider, model, run_id, session_id, user_id, input_tokens)
SELECT timestamptz '2020-11-01 03:30Z' + n * interval '30 minutes', 'p', 'm', 'r' || n % 3, 's', 'u', 10 FROM generate_series(0, 6) AS n;
CALL cost_ledger.refresh();
-- a healthy ledger is healthy hour by hour
SELECT count(*) AS differences
FROM generate_series(timestamptz '2020-10-31 03:30Z', '2020-11-02 06:00Z', '1 hour') AS t (hour)
CROSS JOIN LATERAL cost_ledger.check_rollups(t.hour, t.hour + interval '1 hour');
-- a call between the two midnights is taken back from every sum
SELECT c.called_at, cost_ledger.void_call(c.called_at, c.call_id, 'a duplicate') IS NOT NULL AS taken_back FROM cost_ledger.call c WHERE c.called_at = '2020-11-01 04:30Z';
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT sum(calls) AS calls FROM cost_ledger_internal.live_month;
-- days that are kept from that day on are kept from its first midnight on
BEGIN;
UPDATE cost_ledger_internal.rollup_state SET days_from = '2020-11-01';
SELECT lower(cost_ledger_internal.kept_times('day')) AT TIME ZONE 'UTC' AS kept_from;
ROLLBACK;
-- … and October's go without November's
SELECT cost_ledger.set_retention(retain_calls => '1 month');
SELECT partition, outcome FROM cost_ledger.apply_retention(as_of => '2020-12-01 00:00-05');
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT count(*) AS unequal FROM cost_ledger.retention_check WHERE NOT is_equal;
SELECT count(*) AS vanished FROM cost_ledger_internal.vanished_month WHERE NOT is_logged;
-- a day begins at the first of two midnights, and where there is none, when the clock
-- is set; asked of one zone after the other, of days that have no beginning, and of no zone
SELECT d.zone, d.day, cost_ledger_internal.day_start(d.day, d.zone) AS starts_at
FROM (VALUES (1, 'America/Havana', date '2020-11-01'), (2, 'America/Havana', '2020-11-02'), (3, 'Asia/Kolkata', '2026-11-02'), (4, 'America/Havana', '2020-11-01'),
             (5, 'America/Sao_Paulo', '2018-11-04'), (6, 'Pacific/Apia', '2011-12-30'), (7, 'Pacific/Apia', '2011-12-31'),
             (8, 'UTC', 'infinity'), (9, 'UTC', '-infinity'), (10, 'UTC', NULL)) AS d (number, zone, day)
ORDER BY d.number;
SELECT cost_ledger_internal.day_start('2026-11-01', 'Nowhere');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
