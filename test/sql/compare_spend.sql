-- What changed: the parts of a difference add up to it, and where one cause differs,
-- its part is the whole and each of the others exactly 0.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger('Europe/Berlin') \g /dev/null
SELECT cost_ledger.create_partitions('2026-01-01', '2026-06-01') \g /dev/null
-- However long ago the times below are.
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';

--
-- Random ledgers, each a team: some kinds of calls, so many of each before and now.
-- One cause at a time, then several at once.
--
CREATE TEMP TABLE kind_of_call (
    team text, cause text, customer text, feature text, operation text, model text, served_from text DEFAULT 'model', variant integer,
    n integer, new_n integer, input bigint, new_input bigint, cached bigint, new_cached bigint, written bigint, new_written bigint, output bigint, new_output bigint, searches integer, new_searches integer);
CREATE FUNCTION pg_temp.pick(smallest integer, largest integer) RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT smallest + floor(random() * (largest - smallest + 1))::integer';

CREATE FUNCTION pg_temp.change(a_team text, a_cause text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CASE a_cause
        WHEN 'volume' THEN
            WITH f AS MATERIALIZED (SELECT c.customer, pg_temp.pick(2, 4) AS factor FROM (SELECT DISTINCT customer FROM kind_of_call WHERE team = a_team) c)
            UPDATE kind_of_call k SET new_n = k.new_n * f.factor FROM f WHERE k.team = a_team AND k.customer IS NOT DISTINCT FROM f.customer;
        WHEN 'tokens per call' THEN
            UPDATE kind_of_call SET new_input = new_input * 2, new_cached = new_cached * 2, new_written = new_written * 2, new_output = new_output * pg_temp.pick(2, 5) WHERE team = a_team;
        WHEN 'prompt cache' THEN
            UPDATE kind_of_call SET new_cached = new_cached + (new_input - new_cached - new_written) / 3, new_written = new_written / 2 WHERE team = a_team;
        WHEN 'model mix' THEN
            -- As many calls, more of them of one model; of one that was not there, too.
            UPDATE kind_of_call SET new_n = new_n + CASE WHEN model LIKE '%a' THEN 1 ELSE -1 END WHERE team = a_team AND model NOT LIKE '%c';
            UPDATE kind_of_call SET new_n = new_n + CASE WHEN model LIKE '%c' THEN 1 ELSE -1 END WHERE team = a_team AND model NOT LIKE '%b' AND operation IS NULL;
        WHEN 'response cache' THEN
            -- Half of the calls of each kind.
            UPDATE kind_of_call SET n = n * 2, new_n = new_n * 2 WHERE team = a_team;
            INSERT INTO kind_of_call SELECT team, cause, customer, feature, operation, model, 'response_cache', variant, 0, new_n / 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM kind_of_call WHERE team = a_team;
            UPDATE kind_of_call SET new_n = new_n / 2 WHERE team = a_team AND served_from = 'model';
        WHEN 'retries' THEN
            UPDATE kind_of_call SET n = CASE customer WHEN 'c1' THEN 0 ELSE n END, new_n = CASE customer WHEN 'c2' THEN 0 ELSE new_n * 3 END WHERE team = a_team AND operation = 'retry';
        WHEN 'fallbacks' THEN
            UPDATE kind_of_call SET new_n = new_n * 2 WHERE team = a_team AND operation = 'Fallback';
        WHEN 'new values' THEN
            UPDATE kind_of_call SET n = 0 WHERE team = a_team AND (customer = 'c3' OR operation = 'eval');
        WHEN 'vanished values' THEN
            UPDATE kind_of_call SET new_n = 0 WHERE team = a_team AND customer IS NULL;
        WHEN 'other meters' THEN
            UPDATE kind_of_call SET new_searches = new_searches + variant WHERE team = a_team AND served_from = 'model';
        ELSE NULL;  -- prices and corrections are below
    END CASE;
END
$$;

CREATE FUNCTION pg_temp.make(a_team text, causes text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c text;
    rate numeric;
BEGIN
    INSERT INTO kind_of_call
    SELECT a_team, array_to_string(causes, ', '), u.customer, CASE WHEN u.customer = 'c1' THEN 'f1' END, o.operation, a_team || m.model, 'model', v, s.n, s.n,
           s.input, s.input, s.cached, s.cached, s.written, s.written, s.output, s.output, s.searches, s.searches
    FROM (VALUES ('c1'), ('c2'), ('c3'), (NULL)) AS u (customer)
    CROSS JOIN (VALUES (NULL), ('eval'), ('retry'), ('Fallback')) AS o (operation)
    CROSS JOIN (VALUES ('a'), ('b'), ('c')) AS m (model)
    CROSS JOIN generate_series(1, 2) AS v
    -- As often, for what changes the number of calls has two of each.
    CROSS JOIN LATERAL (SELECT 2 + length(coalesce(u.customer, '') || coalesce(o.operation, '') || m.model) % 2 AS n, pg_temp.pick(1000, 99999) + v AS input, pg_temp.pick(0, 400) AS cached,
                               pg_temp.pick(0, 400) AS written, pg_temp.pick(1, 9999) AS output, pg_temp.pick(0, 3) AS searches) s
    WHERE m.model <> 'c' OR 'model mix' <> ALL (causes) OR o.operation IS NULL;
    -- Not there before.
    IF 'model mix' = ANY (causes) THEN
        UPDATE kind_of_call SET n = 0, new_n = 0 WHERE team = a_team AND model LIKE '%c';
    END IF;
    FOREACH c IN ARRAY causes LOOP
        PERFORM pg_temp.change(a_team, c);
    END LOOP;
    FOREACH c IN ARRAY '{a,b,c}'::text[] LOOP
        rate := pg_temp.pick(1, 30000) / 1000.0;
        PERFORM cost_ledger.set_price('p', a_team || c, CASE c WHEN 'b' THEN '{}' ELSE jsonb_build_object('reasoning_tokens', rate * 7) END || jsonb_build_object('input_tokens', rate, 'cache_read_tokens', rate / 10, 'cache_write_tokens', rate * 1.25, 'output_tokens', rate * 5,
                                                                          'web_search_requests', jsonb_build_object('price', rate, 'per', 1000)), '2026-01-01');
        IF 'price' = ANY (causes) THEN
            PERFORM cost_ledger.set_price('p', a_team || c, jsonb_build_object('reasoning_tokens', rate * 8) || jsonb_build_object('input_tokens', rate * 0.9, 'cache_read_tokens', rate / 7.0, 'cache_write_tokens', rate * 1.5, 'output_tokens', rate * 6,
                                                                              'web_search_requests', jsonb_build_object('price', rate, 'per', 1000)), '2026-03-05');
        END IF;
    END LOOP;
    INSERT INTO cost_ledger.call (called_at, provider, model, team, customer, feature, operation, served_from, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, other_usage, event_key)
    SELECT CASE WHEN w.is_now THEN timestamptz '2026-03-09 10:20:30Z' ELSE '2026-03-03 11:40:50Z' END + i * interval '4 minutes', 'p', k.model, k.team, k.customer, k.feature, k.operation, k.served_from,
           CASE WHEN w.is_now THEN k.new_input ELSE k.input END, CASE WHEN w.is_now THEN k.new_cached ELSE k.cached END, CASE WHEN w.is_now THEN k.new_written ELSE k.written END,
           CASE WHEN w.is_now THEN k.new_output ELSE k.output END, CASE WHEN w.is_now THEN k.new_output ELSE k.output END / 4,
           jsonb_build_object('web_search_requests', CASE WHEN w.is_now THEN k.new_searches ELSE k.searches END), k.team || w.is_now || row_number() OVER ()
    FROM kind_of_call k CROSS JOIN (VALUES (false), (true)) AS w (is_now) CROSS JOIN LATERAL generate_series(1, CASE WHEN w.is_now THEN k.new_n ELSE k.n END) AS i
    WHERE k.team = a_team;
    IF 'corrections' = ANY (causes) THEN
        PERFORM cost_ledger.correct_call(a_team || 'true' || n, '{"input_tokens": 7, "output_tokens": 1}', 'recount')
        FROM generate_series(1, 400, 9) AS n WHERE EXISTS (SELECT FROM cost_ledger.call c WHERE c.event_key = a_team || 'true' || n AND c.served_from = 'model');
    END IF;
END
$$;
SELECT setseed(0.4711) \g /dev/null
CREATE TEMP TABLE cause AS SELECT * FROM unnest('{volume,new values,vanished values,retries,fallbacks,response cache,model mix,tokens per call,prompt cache,price,other meters,corrections}'::text[])
    WITH ORDINALITY AS c (cause, place);
SELECT count(pg_temp.make(format('one %s %s', place, i), ARRAY[cause])) AS ledgers_of_one_cause FROM cause, generate_series(1, 1) AS i;
SELECT count(pg_temp.make(format('many %s', i), ARRAY(SELECT cause FROM cause WHERE random() < 0.5 ORDER BY cause = 'response cache' DESC, place))) AS ledgers_of_many FROM generate_series(1, 5) AS i;
SELECT count(*) > 5000 AS many FROM cost_ledger.call;

CREATE TEMP VIEW compared AS
    SELECT k.team, k.cause, c.*, sum(c.change) OVER (PARTITION BY k.team) AS parts, c.cost - c.previous_cost AS difference
    FROM (SELECT DISTINCT team, cause FROM kind_of_call) k
    CROSS JOIN LATERAL cost_ledger.compare_spend('2026-03-08 23:00Z', '2026-03-10 11:13:14Z', '2026-03-02 23:00Z', '2026-03-04 12:13:14Z', jsonb_build_object('team', k.team)) c;
-- The same of what is in the rollups and what is not.
CREATE TEMP TABLE compared_before AS SELECT * FROM compared WHERE team IN ('one 10 1', 'one 12 1', 'many 1');
CALL cost_ledger.refresh();
CREATE TEMP TABLE compared_once AS SELECT * FROM compared;
SELECT * FROM compared_before EXCEPT SELECT * FROM compared_once;
-- What is wrong: parts that do not add up, and of one cause, anything else than the whole in its part.
SELECT team, cause, part, change, parts, difference FROM compared_once WHERE parts IS DISTINCT FROM difference;
SELECT team, cause, part, change, difference FROM compared_once WHERE team LIKE 'one %' AND change IS DISTINCT FROM CASE part WHEN cause THEN difference ELSE 0 END ORDER BY 1, 3;
SELECT count(DISTINCT team) AS ledgers, count(DISTINCT cause) FILTER (WHERE team LIKE 'one %') AS causes, bool_and(difference <> 0) AS differ FROM compared_once;
SELECT min(nonzero) > 2 AS several FROM (SELECT count(*) FILTER (WHERE change <> 0) AS nonzero FROM compared_once WHERE team LIKE 'many %' GROUP BY team) m;

-- A combination of labels that are known, and only not together, is neither new nor
-- gone: such ones are compared with each other.
INSERT INTO cost_ledger.call (called_at, provider, model, team, customer, feature, input_tokens)
    SELECT w.at + i * interval '1 minute', 'p', 'many 1a', 'pool', k.customer, k.feature, 1000
    FROM (VALUES (timestamptz '2026-04-01 10:00Z', 'x', 'f', 2), ('2026-04-01 10:00Z', 'y', 'g', 2), ('2026-04-01 10:00Z', 'y', 'f', 1),
                 ('2026-04-02 10:00Z', 'x', 'f', 2), ('2026-04-02 10:00Z', 'x', 'g', 4), ('2026-04-02 10:00Z', 'y', 'f', 1)) AS k (at, customer, feature, n)
    CROSS JOIN LATERAL (SELECT k.at) AS w (at) CROSS JOIN LATERAL generate_series(1, k.n) AS i;
SELECT part, change_ratio, calls, previous_calls FROM cost_ledger.compare_spend('2026-04-01 22:00Z', '2026-04-02 22:00Z', filter => '{"team": "pool"}') WHERE change <> 0;
-- Nothing on one side, or on both; only calls of one operation; corrections of what is not in the range's calls.
SELECT part, change, change_ratio, cost, previous_cost FROM cost_ledger.compare_spend('2026-04-02 22:00Z', '2026-04-03 22:00Z', filter => '{"team": "pool"}') WHERE change <> 0;
SELECT part, change, change_ratio, cost, previous_cost FROM cost_ledger.compare_spend('2026-03-31 22:00Z', '2026-04-01 22:00Z', filter => '{"team": "pool"}') WHERE change <> 0;
SELECT count(*), sum(change), bool_and(change_ratio IS NULL) FROM cost_ledger.compare_spend('2026-05-01', '2026-05-02');
SELECT part, change = difference AS is_all FROM (SELECT c.*, c.cost - c.previous_cost AS difference
    FROM cost_ledger.compare_spend('2026-03-08 23:00Z', '2026-03-10 11:13:14Z', '2026-03-02 23:00Z', '2026-03-04 12:13:14Z', '{"team": "one 4 1", "operation": "retry"}') c) c WHERE change <> 0;
-- Of labels that are not in the cube, of calls; and of months, days, hours and minutes alike.
SELECT count(*) AS differ FROM cost_ledger.compare_spend('2026-03-08 23:00Z', '2026-03-10 11:13:14Z', '2026-03-02 23:00Z', '2026-03-04 12:13:14Z', '{"team": "many 2", "user_id": null}') a
    JOIN cost_ledger.compare_spend('2026-03-08 23:00Z', '2026-03-10 23:00Z', '2026-03-02 23:00Z', '2026-03-04 23:00Z', '{"team": "many 2"}') b USING (part) WHERE a.change IS DISTINCT FROM b.change;
SELECT sum(c.change) = s.cost - s.previous_cost AS adds_up, c.cost = s.cost AS is_cost, c.previous_cost = s.previous_cost AS is_previous
    FROM cost_ledger.compare_spend('2026-03-09 10:21:00Z', '2026-03-31 22:00Z', '2026-02-28 23:00Z', '2026-03-09 10:21:00Z') c
    CROSS JOIN (SELECT sum(cost) FILTER (WHERE called_at >= '2026-03-09 10:21:00Z') AS cost, sum(cost) FILTER (WHERE called_at < '2026-03-09 10:21:00Z') AS previous_cost
                FROM cost_ledger.call WHERE called_at < '2026-03-31 22:00Z') s GROUP BY s.cost, s.previous_cost, c.cost, c.previous_cost;
-- Who sees some of the calls compares these.
CREATE ROLE regress_compare;
SELECT cost_ledger.grant_team_reader('regress_compare', 'many 3') \g /dev/null
CREATE TEMP TABLE of_team AS SELECT * FROM cost_ledger.compare_spend('2026-03-08 23:00Z', '2026-03-10 11:13:14Z', '2026-03-02 23:00Z', '2026-03-04 12:13:14Z', '{"team": "many 3"}');
GRANT SELECT ON of_team TO regress_compare;
SET ROLE regress_compare;
SELECT count(*) AS differ FROM cost_ledger.compare_spend('2026-03-08 23:00Z', '2026-03-10 11:13:14Z', '2026-03-02 23:00Z', '2026-03-04 12:13:14Z') c JOIN of_team t USING (part) WHERE t.* IS DISTINCT FROM c.*;
SELECT DISTINCT cost, previous_cost, calls FROM cost_ledger.compare_spend('2026-03-08 23:00Z', '2026-03-10 11:13:14Z', filter => '{"team": "many 4"}');
RESET ROLE;

\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.compare_spend('2026-03-02', '2026-03-01');
SELECT * FROM cost_ledger.compare_spend('2026-03-01', '2026-03-02', '2026-02-02', '2026-02-01');
SELECT * FROM cost_ledger.compare_spend('-infinity', '2026-03-02');
SELECT * FROM cost_ledger.compare_spend('2026-03-01', '2026-03-02', filter => '[]');
\set VERBOSITY default

SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP OWNED BY regress_compare;
DROP ROLE regress_compare;
