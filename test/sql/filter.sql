-- One form of filter wherever calls are chosen: the same filters through every
-- place find the same calls, or are refused with the same error.
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
-- Call n costs 2 ^ (n - 1), so that a sum says which calls are in it.
SELECT count(cost_ledger.set_price('p', model, '{"input_tokens": 1}', '2025-01-01')) AS models FROM unnest('{gpt-5,gpt-5-mini,gpt-4o,other}'::text[]) AS model;
SELECT cost_ledger.set_price('p', 'triple', '{"input_tokens": 3}', '2025-01-01') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, provider, input_tokens, model, team, feature, accepted, tags) VALUES
    (now() - interval '1 hour', 'p',  1000000, 'gpt-5',      'a',    NULL,    true,  NULL),
    (now() - interval '1 hour', 'p',  2000000, 'gpt-5-mini', 'a',    'f',     false, '{"env": "x"}'),
    (now() - interval '1 hour', 'p',  4000000, 'gpt-4o',     'b',    'f',     NULL,  '{"env": "y", "a.b": "z"}'),
    (now() - interval '1 hour', 'p',  8000000, 'gpt-5-mini', NULL,   NULL,    NULL,  '{"env": null, "n": 7}'),
    (now() - interval '1 hour', 'p', 16000000, 'other',      'a*',   'f*',    NULL,  '{}'),
    (now() - interval '1 hour', 'p', 32000000, 'gpt-5',      'a\b',  '100%_', NULL,  NULL);
CALL cost_ledger.refresh();
-- All would be re-rated.
SELECT count(cost_ledger.set_price('p', model, '{"input_tokens": 2}', '2025-01-01', replace => true)) AS models FROM unnest('{gpt-5,gpt-5-mini,gpt-4o,other}'::text[]) AS model;
CREATE VIEW cost_ledger_internal.signal_call AS
    SELECT c.cost::text AS subject, 1 AS value, jsonb_strip_nulls(jsonb_build_object('call_id', c.call_id, 'accepted', c.accepted, 'model', c.model, 'team', c.team, 'feature', c.feature, 'tags', c.tags))::text AS detail
    FROM cost_ledger.call c;
UPDATE cost_ledger.alert_rule SET is_active = false;

CREATE FUNCTION pg_temp.found(place text, filter jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    sum numeric;
    day timestamptz := now() - interval '1 day';
BEGIN
    CASE place
        WHEN 'rerate' THEN
            SELECT coalesce(sum(r.change), 0) INTO sum FROM cost_ledger.rerate(day, now(), filter) r;
        WHEN 'what_if' THEN
            SELECT coalesce(sum(w.real_cost), 0) INTO sum FROM cost_ledger.what_if(day, now(), filters => filter) w;
        WHEN 'mapping' THEN
            SELECT coalesce(sum(w.difference), 0) / 2 INTO sum
                FROM cost_ledger.what_if(day, now(), jsonb_build_array(jsonb_build_object('from', filter, 'to', '{"model": "triple"}'::jsonb))) w;
        WHEN 'billed' THEN
            SELECT coalesce(sum(b.quantity), 0) / 1000000 INTO sum FROM cost_ledger.billed_meters(day, now(), filter) b;
        WHEN 'pause' THEN
            PERFORM cost_ledger.pause(filter, 'test');
            SELECT coalesce(sum(c.cost), 0) INTO sum
                FROM cost_ledger.call c
                CROSS JOIN LATERAL cost_ledger.reserve(NULL, jsonb_build_object('model', c.model, 'team', c.team, 'feature', c.feature, 'tags', c.tags), 1, check_only => true) r
                WHERE r.decision = 'stop';
            PERFORM cost_ledger.resume(filter);
        WHEN 'rule' THEN
            INSERT INTO cost_ledger.alert_rule (name, kind, threshold, scope) VALUES (clock_timestamp()::text, 'call', 1, filter);
            PERFORM cost_ledger.check_rules();
            UPDATE cost_ledger.alert_rule SET is_active = false;
            SELECT coalesce(sum(a.subject::numeric), 0) INTO sum
                FROM cost_ledger.alert a WHERE a.rule_id = (SELECT max(r.rule_id) FROM cost_ledger.alert_rule r);
        WHEN 'budget' THEN
            PERFORM cost_ledger.set_budget('b', filter, 'total', 1000);
            SELECT s.spent INTO sum FROM cost_ledger.budget_status s WHERE s.name = 'b';
    END CASE;
    RETURN trim_scale(sum);
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
CREATE TEMP TABLE filter (n integer GENERATED ALWAYS AS IDENTITY, filter jsonb, finds integer, of_calls boolean DEFAULT false);
INSERT INTO filter (filter, finds) VALUES
    ('{}', 63), ('{"team": "a"}', 3), ('{"team": "A"}', 0), ('{"model": "gpt-5"}', 33), ('{"team": "a", "model": "gpt-5-mini"}', 2),
    ('{"team": "a\\b"}', 32), ('{"feature": "100%_"}', 32),
    ('{"model": "gpt-5*"}', 43), ('{"model": ["gpt-4o", "gpt-5-*"]}', 14), ('{"model": ["gpt-5"]}', 33),
    ('{"team": null}', 8), ('{"team": ["b", null]}', 12), ('{"team": "*"}', 55), ('{"team": ["*", null]}', 63), ('{"team": []}', 0),
    ('{"team": "a*"}', 51), ('{"team": "a\\*"}', 16), ('{"team": "a\\**"}', 16), ('{"feature": ["f", "f\\*"]}', 22), ('{"feature": "%*"}', 0), ('{"feature": "1*"}', 32),
    ('{"team": {"not": "a"}}', 60), ('{"team": {"not": ["a", null]}}', 52), ('{"model": {"not": "gpt*"}}', 16), ('{"team": {"not": null}}', 55), ('{"team": {"not": []}}', 63),
    ('{"team": {"not": "b"}, "model": "gpt*", "feature": [null, "f"]}', 11);
INSERT INTO filter (filter, finds) VALUES
    ('{"tags": {"env": "x"}}', 2), ('{"tags.env": "x"}', 2), ('{"tags": {"env": ["x", "y"]}}', 6), ('{"tags": {"env": null}}', 57),
    ('{"tags": {"env": {"not": "x"}}}', 61), ('{"tags": {"a.b": "z*"}}', 4), ('{"tags.a.b": "z", "tags": {"env": "y"}}', 4), ('{"tags": {"n": 7}}', 8),
    ('{"tags": {}}', 63), ('{"tags": null}', 33);
INSERT INTO filter (filter, finds, of_calls) VALUES
    ('{"call_id": [1, 6, "2"]}', 35, true), ('{"call_id": {"not": 1}}', 62, true), ('{"accepted": true}', 1, true), ('{"accepted": [false, null]}', 62, true);
CREATE TEMP TABLE answer AS
    SELECT f.*, p.place, pg_temp.found(p.place, f.filter) AS found,
           CASE WHEN p.place IN ('budget', 'pause') AND f.of_calls THEN '22023' ELSE f.finds::text END AS expected
    FROM filter f CROSS JOIN unnest('{rerate,what_if,mapping,billed,pause,rule,budget}'::text[]) AS p (place);
SELECT place, count(*) AS filters, count(*) FILTER (WHERE found = expected) AS as_expected, count(*) FILTER (WHERE found = '22023') AS refused FROM answer GROUP BY place ORDER BY place;
SELECT filter, place, found, expected FROM answer WHERE found <> expected ORDER BY n, place;

-- What is no filter is none anywhere.
CREATE TEMP TABLE wrong (n integer GENERATED ALWAYS AS IDENTITY, filter jsonb);
INSERT INTO wrong (filter) VALUES ('[]'), ('"team"'), ('1'), ('{"team": {"like": "a"}}'), ('{"team": {"not": "a", "or": "b"}}'), ('{"team": {"not": {"not": "a"}}}'), ('{"team": [["a"]]}'), ('{"team": [{"not": "a"}]}'),
    ('{"team": ""}'), ('{"team": ["a", ""]}'), ('{"team": "*a"}'), ('{"team": "a*b"}'), ('{"team": "a**"}'), ('{"tags": "x"}'), ('{"tags": {"": "x"}}'), ('{"tags.env": "x", "tags": {"env": "y"}}');
SELECT w.filter, p.place, pg_temp.found(p.place, w.filter) AS found
FROM wrong w CROSS JOIN unnest('{rerate,what_if,mapping,billed,pause,rule,budget}'::text[]) AS p (place)
WHERE pg_temp.found(p.place, w.filter) <> '22023'
ORDER BY w.n, p.place;
-- A signal says what it is about in labels of its own.
SELECT f.filter, string_agg(DISTINCT p.place || ' ' || pg_temp.found(p.place, f.filter), ', ') AS found
FROM (VALUES ('{"teem": "a"}'::jsonb), ('{"raw_usage": "a"}'), ('{"call_id": "one"}'), ('{"call_id": "1*"}'), ('{"accepted": "perhaps"}')) AS f (filter)
CROSS JOIN unnest('{rerate,billed,pause,rule,budget}'::text[]) AS p (place)
GROUP BY f.filter ORDER BY f.filter;
-- NULL is every call for what counts, and an error for what stops; so is that of JSON.
SELECT p.place, pg_temp.found(p.place, NULL) AS of_null, pg_temp.found(p.place, 'null') AS of_json_null
FROM unnest('{rerate,what_if,billed,rule,budget,pause}'::text[]) AS p (place) ORDER BY p.place;
SELECT pg_temp.found('mapping', 'null');

-- How it says so.
SELECT * FROM cost_ledger.rerate('2026-01-01', '2026-02-01', '{"teem": "a"}');
SELECT * FROM cost_ledger.billed_meters('2026-01-01', '2026-02-01', '{"team": "a*b"}');
SELECT * FROM cost_ledger.what_if('2026-01-01', '2026-02-01', filters => '{"call_id": "1*"}');
SELECT cost_ledger.set_budget('b', '{"team": "a*b"}', 'month', 1);
SELECT cost_ledger.pause('{"status": "success"}', 'test');
SELECT * FROM cost_ledger.what_if('2026-01-01', '2026-02-01', '[{"from": ["gpt-5"], "to": {"model": "triple"}}]');

-- Columns that users add are labels, as far as their type goes.
CREATE DOMAIN public.short_text AS text CHECK (length(value) < 5);
ALTER TABLE cost_ledger.call ADD COLUMN lane varchar(8), ADD COLUMN "odd ""name" public.short_text, ADD COLUMN words text[], ADD COLUMN place point;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, lane, "odd ""name", words, place) VALUES (now() - interval '1 hour', 'p', 'gpt-5', 64000000, 'fast', 'odd', '{a}', '(1,2)');
SELECT f.filter, pg_temp.found('billed', f.filter) AS found
FROM unnest('{"{\"lane\": \"fast\"}","{\"lane\": \"fa*\"}","{\"odd \\\"name\": [\"odd\", null]}","{\"odd \\\"name\": \"o*\"}","{\"odd \\\"name\": \"too long\"}","{\"words\": \"a\"}","{\"words\": null}","{\"place\": \"(1,2)\"}"}'::jsonb[]) WITH ORDINALITY AS f (filter, n)
ORDER BY f.n;
SELECT * FROM cost_ledger.billed_meters('2026-01-01', '2026-02-01', '{"odd \"name": "too long"}');
SELECT * FROM cost_ledger.billed_meters('2026-01-01', '2026-02-01', '{"place": "(1,2)"}');
-- Names are compared as calls keep them: ids and labels shortened, other texts whole.
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, parent_run_id, step, trace_url)
    VALUES (now() - interval '1 hour', 'p', 'gpt-5', 128000000, repeat('p', 600), repeat('s', 2000), repeat('t', 2000));
SELECT label, pg_temp.found('billed', jsonb_build_object(label, value)) AS found
FROM (VALUES ('parent_run_id', repeat('p', 600)), ('step', repeat('s', 2000)), ('trace_url', repeat('t', 2000))) AS l (label, value);

-- One spelling, so that what was paused in other words is resumed.
SELECT cost_ledger_internal.check_filter(f, 'calls', '{team,model,run_id,tags}')
FROM unnest(ARRAY['{"team": ["b", "a", null, "b"], "model": ["m"]}', '{"tags": {"b": {"not": [2]}, "a": true}}', NULL, '{"team": {"not": ["x"]}}']::jsonb[]) AS f;
SELECT length(cost_ledger_internal.check_filter(jsonb_build_object('run_id', repeat('x', 1000)), 'calls', '{run_id}') ->> 'run_id') AS shortened;
SELECT cost_ledger.pause('{"model": ["b", "a"], "team": ["t"]}', 'test') > 0 AS paused, cost_ledger.resume('{"team": "t", "model": ["a", "b", "a"]}') AS resumed;
-- A name that is too long is shortened wherever it is said.
SELECT cost_ledger.pause(jsonb_build_object('model', repeat('m', 2000)), 'test') > 0 AS paused;
SELECT a.decision AS by_argument, l.decision AS by_label
FROM cost_ledger.reserve(NULL, '{}', 1, 'p', repeat('m', 2000), check_only => true) a,
     cost_ledger.reserve(NULL, jsonb_build_object('model', repeat('m', 2000)), 1, check_only => true) l;
-- Nor does another way into the table take what is none.
INSERT INTO cost_ledger.pause (scope, reason) VALUES ('{"team": {"like": "a"}}', 'test');
SELECT cost_ledger.drop_ledger(i_mean_it => true);
