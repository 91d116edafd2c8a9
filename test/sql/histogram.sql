--
-- How costs are distributed, counted by hand.
--
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger('UTC');
SELECT cost_ledger.create_partitions('2026-03-01', '2026-04-01') \g /dev/null
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 1}', '2026-01-01') > 0 AS set;
-- No samples, no rows.
SELECT count(*) FROM cost_ledger.cost_histogram();

-- Costs 1, 2, 4, …, 1024: ten buckets of ratio 2, and the greatest is in the last.
INSERT INTO cost_ledger.call (called_at, provider, model, team, feature, user_id, input_tokens)
    SELECT '2026-03-02', 'p', 'm', 'a', 'powers', 'u' || n, 1000000 * 2 ^ n FROM generate_series(0, 10) AS n;
SELECT * FROM cost_ledger.cost_histogram('{"feature": "powers"}', per => 'call', buckets => 10);
-- Of one value, one bucket; so of a thousand buckets that are nearer than their digits.
SELECT * FROM cost_ledger.cost_histogram('{"user_id": "u3"}', per => 'user', buckets => 10);
INSERT INTO cost_ledger.call (called_at, provider, model, feature, input_tokens) VALUES ('2026-03-02', 'p', 'm', 'near', 1000000), ('2026-03-02', 'p', 'm', 'near', 1000001);
SELECT count(*) BETWEEN 1 AND 1000 AS some, sum(samples) AS samples, sum(cost) AS cost, max(cumulated_sample_share) AS whole FROM cost_ledger.cost_histogram('{"feature": "near"}', per => 'call', buckets => 1000);

-- Nothing, less than nothing, and nobody knows what.  A correction is of its call's sample.
INSERT INTO cost_ledger.call (called_at, provider, model, feature, input_tokens, event_key) VALUES
    ('2026-03-03', 'p', 'm', 'odd', 0, 'nothing'), ('2026-03-03', 'p', 'm', 'odd', 2000000, 'half'), ('2026-03-03', 'p', 'm', 'odd', 8000000, 'whole'), ('2026-03-03', 'p', 'none', 'odd', 1, NULL);
INSERT INTO cost_ledger.call (called_at, provider, model, feature, cost, pricing, corrects) SELECT called_at, provider, model, feature, -3, 'priced', call_id FROM cost_ledger.call WHERE event_key = 'half';
SELECT bucket, lower_bound, upper_bound, samples, cost, share, sample_share, cumulated_sample_share FROM cost_ledger.cost_histogram('{"feature": "odd"}', per => 'call', buckets => 2);
SELECT bucket, lower_bound, samples, cost, share FROM cost_ledger.cost_histogram('{"model": "none"}', per => 'call');

-- Tasks: a run with all that it started, wherever it is in the tree (1 + 2 + 3), one alone (5), two calls in no run (7, 11).
INSERT INTO cost_ledger.call (called_at, provider, model, team, feature, session_id, run_id, parent_run_id, input_tokens) VALUES
    ('2026-03-04', 'p', 'm', 'a', 'tasks', 's1', 'top', NULL, 1000000), ('2026-03-04', 'p', 'm', 'a', 'tasks', 's1', 'below', 'top', 2000000), ('2026-03-04', 'p', 'm', 'a', 'tasks', 's2', 'deep', 'below', 3000000),
    ('2026-03-04', 'p', 'm', 'b', 'tasks', 's2', 'alone', NULL, 5000000), ('2026-03-04', 'p', 'm', 'b', 'tasks', NULL, NULL, NULL, 7000000), ('2026-03-04', 'p', 'm', 'b', 'tasks', NULL, NULL, NULL, 11000000);
CREATE TEMP TABLE expected AS
    SELECT per, count(*) FILTER (WHERE samples > 0) AS buckets, sum(samples) AS samples, sum(cost) AS cost, array_agg(cost ORDER BY bucket) FILTER (WHERE samples > 0) AS costs
    FROM unnest('{call,run,task,session,user,customer}'::text[]) AS per, cost_ledger.cost_histogram('{"feature": "tasks"}', per => per, buckets => 1000) GROUP BY per;
SELECT * FROM expected ORDER BY per;
CALL cost_ledger.refresh();
SELECT e.* FROM expected e
WHERE e.costs <> (SELECT array_agg(h.cost ORDER BY h.bucket) FROM cost_ledger.cost_histogram('{"feature": "tasks"}', per => e.per, buckets => 1000) h WHERE h.samples > 0);
SELECT samples, calls, mean_cost, p50_cost, p90_cost, p99_cost FROM cost_ledger.feature_cost_sample('tasks', '2026-03-01', '2026-04-01', 'task');

-- A reader gets the samples that his own calls make.
CREATE ROLE regress_histogram_team;
CREATE ROLE regress_histogram_nobody;
SELECT cost_ledger.grant_team_reader('regress_histogram_team', 'a');
SET ROLE regress_histogram_team;
SELECT samples, cost FROM cost_ledger.cost_histogram('{"feature": "tasks"}', buckets => 3);
SELECT count(*) FROM cost_ledger.cost_histogram('{"feature": "tasks", "team": "b"}');
RESET ROLE;
GRANT USAGE ON SCHEMA cost_ledger TO regress_histogram_nobody;
SET ROLE regress_histogram_nobody;
SELECT * FROM cost_ledger.cost_histogram();
RESET ROLE;

-- What makes no sense.
SELECT * FROM cost_ledger.cost_histogram(buckets => 0);
SELECT * FROM cost_ledger.cost_histogram(per => 'week');
\set VERBOSITY sqlstate
SELECT * FROM cost_ledger.cost_histogram(buckets => 1001);
SELECT * FROM cost_ledger.cost_histogram(buckets => NULL);
SELECT * FROM cost_ledger.cost_histogram(per => NULL);
SELECT * FROM cost_ledger.cost_histogram('{"nobody": 1}');
SELECT * FROM cost_ledger.cost_histogram(range_start => '2026-04-01', range_end => '2026-03-01');
\set VERBOSITY default
REVOKE USAGE ON SCHEMA cost_ledger FROM regress_histogram_nobody;
SELECT cost_ledger.revoke_team_reader('regress_histogram_team', 'a');
DROP ROLE regress_histogram_team, regress_histogram_nobody;
SELECT cost_ledger.drop_ledger(i_mean_it => true);
