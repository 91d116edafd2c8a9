-- What was changed when, and what that did to costs.
\set SHOW_CONTEXT never
SET TIME ZONE 'UTC';
SELECT cost_ledger.create_ledger('Europe/Berlin') \g /dev/null
SELECT cost_ledger.create_partitions('2026-01-01', '2026-06-01') \g /dev/null
UPDATE cost_ledger.ledger SET retain_hours = '1000 years', retain_days = '1000 years';
CREATE ROLE regress_deployer;
CREATE ROLE regress_annotated;
CREATE ROLE regress_annotated_all;
SELECT cost_ledger.grant_writer('regress_deployer'), cost_ledger.grant_team_reader('regress_annotated', 'search'), cost_ledger.grant_reader('regress_annotated_all') \g /dev/null

-- Whoever writes calls says what was deployed, and nothing else.
SET ROLE regress_deployer;
INSERT INTO cost_ledger.annotation (happened_at, kind, title, scope, link) VALUES
    ('2026-03-09 10:30Z', 'prompt', 'shorter system prompt', '{"team": "search"}', 'https://example.com/1'), ('2026-03-10 12:00Z', 'deploy', 'v2', '{}', NULL),
    ('2026-03-11 12:00Z', 'model', 'chat on m2', '{"team": ["chat", "chat", "billing"], "tags": {"tier": "gold"}}', NULL);
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.annotation (kind, title, recorded_by) VALUES ('other', 'x', 'somebody else');
INSERT INTO cost_ledger.annotation (annotation_id, kind, title) VALUES (1000, 'other', 'x');
SELECT * FROM cost_ledger.annotation;
UPDATE cost_ledger.annotation SET title = 'y';
DELETE FROM cost_ledger.annotation;
SELECT * FROM cost_ledger.annotation_list;
-- What cannot be held against any calls.
INSERT INTO cost_ledger.annotation (kind, title) VALUES ('feature', 'x');
INSERT INTO cost_ledger.annotation (kind, title) VALUES ('other', '');
INSERT INTO cost_ledger.annotation (kind, title) VALUES ('other', E'two\nlines');
INSERT INTO cost_ledger.annotation (kind, title) VALUES ('other', repeat('x', 1025));
INSERT INTO cost_ledger.annotation (kind, title, happened_at) VALUES ('other', 'x', 'infinity');
INSERT INTO cost_ledger.annotation (kind, title, happened_at) VALUES ('other', 'x', '9999-01-01');
INSERT INTO cost_ledger.annotation (kind, title, scope) VALUES ('other', 'x', '{"nobody": "x"}');
INSERT INTO cost_ledger.annotation (kind, title, scope) VALUES ('other', 'x', '{"call_id": "x"}');
INSERT INTO cost_ledger.annotation (kind, title, scope) VALUES ('other', 'x', '[]');
\set VERBOSITY default
-- Nothing in particular is everything.
INSERT INTO cost_ledger.annotation (happened_at, kind, title, scope) VALUES ('2026-03-12 12:00Z', 'other', 'holidays', NULL);
RESET ROLE;

-- Prices are there by themselves: each version that follows another.
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1, "output_tokens": 2}', '2026-01-01'), cost_ledger.set_price('p', 'm', '{"input_tokens": 1.5, "output_tokens": 2, "web_search_requests": {"price": 10, "per": 1000}}', '2026-03-20'),
       cost_ledger.set_price('p', 'm', '{"input_tokens": 0.5}', '2026-01-01', customer => 'secret'), cost_ledger.set_price('p', 'm', '{"input_tokens": 0.4}', '2026-03-21', customer => 'secret'),
       cost_ledger.set_price('p', 'wrong*', '{"input_tokens": 3}', '2026-01-01'), cost_ledger.set_price('p', 'wrong*', '{"input_tokens": 4}', '2026-02-01'), cost_ledger.set_price('p', 'wrong*', '{"input_tokens": 5}', '2026-02-01', replace => true) \g /dev/null
SELECT happened_at, kind, title, scope, link, recorded_by, row_key FROM cost_ledger.annotation_list ORDER BY happened_at;
SET ROLE regress_annotated_all;
SELECT count(*) FROM cost_ledger.annotation_list;
-- Who sees some of the calls sees what concerns these alone, and prices that are not another's.
SET ROLE regress_annotated;
SELECT title FROM cost_ledger.annotation;
SELECT kind, title, row_key FROM cost_ledger.annotation_list ORDER BY happened_at;
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.before_after('2');
SELECT * FROM cost_ledger.before_after('price 4');
SELECT * FROM cost_ledger.before_after('nothing');
SELECT * FROM cost_ledger.before_after(NULL);
SELECT * FROM cost_ledger.before_after('1', '0');
SELECT * FROM cost_ledger.before_after('1', NULL);
SELECT * FROM cost_ledger.before_after('1', '-1 day');
SELECT * FROM cost_ledger.before_after('1', filter => '{"nobody": 1}');
\set VERBOSITY default
RESET ROLE;

-- Half as many tokens, and three times as many calls: volume is not in it, and every
-- call on its side of the instant.
INSERT INTO cost_ledger.call (called_at, provider, model, team, feature, input_tokens)
    SELECT timestamptz '2026-03-09 10:30Z' - i * interval '1 minute', 'p', 'm', 'search', 'f' || i % 2, 2000000 FROM generate_series(1, 10) AS i
    UNION ALL SELECT timestamptz '2026-03-09 10:30Z' + i * interval '1 hour', 'p', 'm', 'search', 'f' || i % 2, 1000000 FROM generate_series(0, 29) AS i
    UNION ALL SELECT timestamptz '2026-03-09 10:30Z' + i * interval '1 hour', 'p', 'm', 'chat', NULL, 1000000 FROM generate_series(-5, 5) AS i;
SELECT part, change, change_per_call, cost, expected_cost, cost_per_call, previous_cost_per_call, calls, previous_calls, happened_at, ends_at, is_complete
    FROM cost_ledger.before_after('1') WHERE change <> 0;
SELECT part, change, calls, previous_calls, happened_at, ends_at FROM cost_ledger.before_after('1', '2 days', '{"feature": "f1"}') WHERE part = 'tokens per call';
SELECT count(*) AS parts, sum(change) = min(cost) - min(expected_cost) AS add_up FROM cost_ledger.before_after('2', '30 hours');
SELECT part, change, change_per_call, cost, expected_cost, calls, is_complete FROM cost_ledger.before_after('price 2') WHERE part IN ('price', 'tokens per call');
SET ROLE regress_annotated;
SELECT part, change, calls FROM cost_ledger.before_after('1') WHERE change <> 0;
-- A price concerns everybody; what is compared is one's own.
SELECT DISTINCT calls, previous_calls FROM cost_ledger.before_after('price 2', '20 days');
RESET ROLE;
-- What happened just now has no time after it yet.
INSERT INTO cost_ledger.annotation (kind, title) VALUES ('deploy', 'just now');
SELECT DISTINCT b.is_complete, b.calls, b.change_per_call, b.cost_per_call FROM cost_ledger.annotation_list a CROSS JOIN LATERAL cost_ledger.before_after(a.row_key) b WHERE a.title = 'just now';

SELECT cost_ledger.drop_ledger(i_mean_it => true);
DROP OWNED BY regress_deployer, regress_annotated, regress_annotated_all;
DROP ROLE regress_deployer, regress_annotated, regress_annotated_all;
