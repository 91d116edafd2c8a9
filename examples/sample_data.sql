-- 60 days of LLM calls of an invented company, ending now, with their prices,
-- plans, budgets and revenue: a ledger to look around in.
--
--     psql -f examples/sample_data.sql
--
-- wants a ledger without calls, and to be its owner.  Pass
-- -v until='2026-01-31 12:00+00' for an end other than now(); for the same end
-- and the same version of PostgreSQL the data are the same.
--
-- In it: teams, features, customers and users on plans; chats whose history
-- grows and is read from the prompt cache; agent runs with sub-agents; retries,
-- most of them for a tool that fails often, and fallbacks; routing, nightly
-- evals in the batch class and the scores of their judge; answers from the
-- application's own cache; a script that nobody labelled; a model that has no
-- price.  And what happens: a price falls half-way; a feature moves to a
-- cheaper model; the corpus that is embedded each night grows; a feature grew
-- last week; a prompt that changes with each call keeps the cache from
-- answering since six days; and, in the last night but one, a run did not stop.

\set ON_ERROR_STOP on
\if :{?until}
\else
SELECT now() AS until \gset
\endif

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL TIME ZONE 'UTC';

-- Calls cannot be deleted: better to refuse than to mix these with real ones.
DO $$
BEGIN
    IF EXISTS (SELECT FROM cost_ledger.call) THEN
        RAISE EXCEPTION 'this ledger has calls already'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Load the sample data into a database of its own.';
    END IF;
END
$$;

SELECT :'until'::timestamptz AS until, :'until'::timestamptz - interval '60 days' AS since,
       -- Drafts move to a cheaper model on a Monday, three full weeks ago.
       date_trunc('week', :'until'::timestamptz) - interval '21 days' AS switched_at,
       -- Since the release of this day, each chat's prompt begins with the time.
       date_trunc('day', :'until'::timestamptz) - interval '6 days' + interval '9 hours' AS uncached_since \gset

-- Prices: the shipped list, then what this company pays.
SELECT cost_ledger.load_seed_prices() \g /dev/null
SELECT cost_ledger.set_price(p.provider, p.model, p.rates, p.valid_from, service_class => p.service_class, source => 'sample data')
FROM (VALUES
    ('anthropic', 'claude-sonnet-4-5', 'standard', :'since'::timestamptz - interval '1 day',
     '{"input_tokens": 3, "cache_read_tokens": 0.30, "cache_write_tokens": 3.75, "cache_write_1h_tokens": 6, "output_tokens": 15}'::jsonb),
    ('anthropic', 'claude-haiku-4-5', 'standard', :'since'::timestamptz - interval '1 day',
     '{"input_tokens": 1, "cache_read_tokens": 0.10, "cache_write_tokens": 1.25, "cache_write_1h_tokens": 2, "output_tokens": 5}'),
    ('anthropic', 'claude-haiku-4-5', 'batch', :'since'::timestamptz - interval '1 day',
     '{"input_tokens": 0.50, "output_tokens": 2.50}'),
    ('openai', 'gpt-4o-mini', 'standard', :'since'::timestamptz - interval '1 day',
     '{"input_tokens": 0.15, "cache_read_tokens": 0.075, "output_tokens": 0.60}'),
    ('openai', 'gpt-3.5-turbo', 'standard', :'since'::timestamptz - interval '1 day',
     '{"input_tokens": 0.50, "output_tokens": 1.50}'),
    ('openai', 'text-embedding-3-small', 'standard', :'since'::timestamptz - interval '1 day',
     '{"input_tokens": 0.02}'),
    ('openai', 'gpt-4o', 'standard', :'since'::timestamptz - interval '1 day',
     '{"input_tokens": 5, "cache_read_tokens": 2.50, "output_tokens": 15}'),
    -- The price that falls half-way: each call keeps that of its own time.
    ('openai', 'gpt-4o', 'standard', date_trunc('day', :'until'::timestamptz - interval '30 days'),
     '{"input_tokens": 2.50, "cache_read_tokens": 1.25, "output_tokens": 10}')
) AS p (provider, model, service_class, valid_from, rates)
ORDER BY p.valid_from \g /dev/null

SELECT cost_ledger.create_partitions(:'since', :'until') \g /dev/null

-- Each statement below draws its random numbers in a fixed order, so that the
-- seed decides all of them.
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT setseed(0.47) \g /dev/null

-- 240 people of 12 customers; a few customers have most of them.
CREATE TEMPORARY TABLE person ON COMMIT DROP AS
SELECT n AS person,
       'user-' || to_char(n, 'FM000') AS user_id,
       (ARRAY['northwind', 'contoso', 'fabrikam', 'globex', 'initech', 'umbrella',
              'hooli', 'stark', 'wayne', 'acme', 'soylent', 'tyrell'])[1 + floor(12 * random() ^ 2)::int] AS customer,
       (ARRAY['free', 'pro', 'pro', 'enterprise'])[1 + floor(4 * random())::int] AS cohort
FROM generate_series(1, 240) AS n;

-- What goes on: threads of one call or more.  In each call a thread's context
-- (its system prompt, and all that was said before) is sent again, with
-- something new; most of it comes from the prompt cache where there is one.
CREATE TEMPORARY TABLE workload ON COMMIT DROP AS
SELECT *
FROM (VALUES
    -- workload        feature             team               provider     model                    class       environment   operation     agent         tasks                                                              days  per_day weekend  system  turns    new tokens     output      gap_s
    ('chat',           'support_chat',     'support',         'anthropic', 'claude-sonnet-4-5',     'standard', 'production', 'primary',    NULL,         ARRAY['answer_question', 'troubleshoot', 'refund_request'],          60,   38,   0.55,   1500,   2,  7,   40,   260,   80,  420,   50),
    ('route',          'support_chat',     'support',         'openai',    'gpt-4o-mini',           'standard', 'production', 'routing',    NULL,         ARRAY['route_request'],                                              60,   38,   0.55,    350,   1,  1,   40,   260,    3,    9,    0),
    ('search',         'search_answers',   'search',          'anthropic', 'claude-haiku-4-5',      'standard', 'production', 'primary',    NULL,         ARRAY['answer_query'],                                               60,  150,   0.45,    900,   1,  1, 1800,  5200,   60,  260,    0),
    ('embed_query',    'search_answers',   'search',          'openai',    'text-embedding-3-small','standard', 'production', 'embedding',  NULL,         ARRAY['embed_query'],                                                60,  150,   0.45,      0,   1,  1,    8,    40,    0,    0,    0),
    ('embed_corpus',   'search_answers',   'search',          'openai',    'text-embedding-3-small','standard', 'production', 'background', NULL,         ARRAY['embed_corpus'],                                               60,   40,   1.00,      0,   1,  1,90000,190000,   0,    0,    0),
    ('draft',          'email_drafts',     'growth',          'openai',    'gpt-4o',                'standard', 'production', 'primary',    NULL,         ARRAY['draft_email', 'subject_lines'],                               60,   60,   0.10,    400,   1,  1,  200,  1200,  150,  450,    0),
    ('summary',        'document_summary', 'documents',       'openai',    'gpt-4o',                'standard', 'production', 'primary',    NULL,         ARRAY['summarize_document', 'extract_fields'],                       60,   48,   0.15,    600,   1,  1, 3000, 26000,  200,  700,    0),
    ('review',         'code_review',      'developer_tools', 'anthropic', 'claude-sonnet-4-5',     'standard', 'production', 'primary',    'reviewer',   ARRAY['review_pull_request', 'write_tests', 'refactor_module'],      60,   18,   0.20,   6000,   4, 14,  600,  3500,  150,  900,   25),
    ('research',       'deep_research',    'research',        'anthropic', 'claude-sonnet-4-5',     'standard', 'production', 'primary',    'researcher', ARRAY['market_report', 'competitor_scan'],                           60,    5,   0.60,   4000,   8, 22, 1500,  6000,  200, 1200,   40),
    ('eval',           'support_chat',     'support',         'anthropic', 'claude-haiku-4-5',      'batch',    'ci',         'eval',       NULL,         ARRAY['nightly_eval'],                                               60,   30,   1.00,   1500,   1,  1,  100,   900,   80,  420,    0),
    ('judge',          'support_chat',     'support',         'anthropic', 'claude-sonnet-4-5',     'standard', 'ci',         'judge',      NULL,         ARRAY['nightly_eval'],                                               60,   30,   1.00,    800,   1,  1,  400,  1500,   40,  160,    0),
    ('unlabelled',     NULL,               NULL,              'openai',    'gpt-3.5-turbo',         'standard', NULL,         NULL,         NULL,         ARRAY[NULL],                                                         60,   22,   1.00,    100,   1,  1,  300,  2400,   50,  300,    0),
    ('trial',          'deep_research',    'research',        'mistral',   'mistral-large-preview', 'standard', 'staging',    'primary',    NULL,         ARRAY['compare_models'],                                             12,   14,   0.30,    500,   1,  1,  800,  4000,  200,  900,    0)
) AS w (workload, feature, team, provider, model, service_class, environment, operation, agent, tasks, days, per_day, weekend,
        system_tokens, min_turns, max_turns, min_new, max_new, min_output, max_output, gap_s);

CREATE TEMPORARY TABLE thread ON COMMIT DROP AS
WITH day AS (
    SELECT d AS day,
           extract(isodow FROM d) > 5 AS is_weekend,
           d >= date_trunc('week', :'until'::timestamptz) - interval '7 days' AS is_recent,
           extract(epoch FROM d - :'since'::timestamptz) / extract(epoch FROM :'until'::timestamptz - :'since'::timestamptz) AS course
    FROM generate_series(date_trunc('day', :'since'::timestamptz), date_trunc('day', :'until'::timestamptz), interval '1 day') AS d
), volume AS (
    -- Search went to more customers at the beginning of the last full week.
    -- The corpus grows by what is written, and all of it is embedded each night.
    SELECT w.workload, w.max_turns, w.min_turns, d.day,
           round(w.per_day * (0.85 + 0.3 * random())
                 * CASE WHEN d.is_weekend THEN w.weekend ELSE 1 END
                 * CASE WHEN w.workload = 'embed_corpus' THEN 0.2 + 1.6 * greatest(d.course, 0) ^ 2
                        WHEN d.is_recent AND w.feature = 'search_answers' THEN 1.4
                        ELSE 1 END)::int AS threads
    FROM workload w
    JOIN day d ON d.day >= :'until'::timestamptz - w.days * interval '1 day' - interval '1 day'
    ORDER BY w.workload, d.day
), started AS (
    -- People work around noon, nightly jobs at two.
    SELECT v.workload, n,
           v.day + CASE WHEN v.workload IN ('eval', 'judge', 'embed_corpus')
                        THEN interval '2 hours' + random() * interval '40 minutes'
                        ELSE interval '13 hours' + (random() + random() + random() - 1.5) * interval '7 hours'
                   END AS started_at,
           v.min_turns + floor((v.max_turns - v.min_turns + 1) * random())::int AS turns,
           1 + floor(240 * random() ^ 1.6)::int AS person,
           random() AS luck
    FROM volume v
    CROSS JOIN LATERAL generate_series(1, v.threads) AS n
    ORDER BY v.workload, v.day, n
)
SELECT row_number() OVER (ORDER BY s.started_at, s.workload, s.n) AS thread,
       NULL::bigint AS parent, s.workload, s.started_at, s.turns, s.person, s.luck
FROM started s;

-- Two of five agent runs start sub-agents, which are runs of their own.
INSERT INTO thread
SELECT 100000 + row_number() OVER (ORDER BY t.thread), t.thread, t.workload,
       t.started_at + (t.turns / 2) * w.gap_s * interval '1 second', 2 + floor(4 * random())::int, t.person, random()
FROM thread t
JOIN workload w USING (workload)
WHERE w.agent IS NOT NULL AND t.luck < 0.4
ORDER BY t.thread;

-- The run that did not stop: from ten past two in the last night but one.
INSERT INTO thread
VALUES (200000, NULL, 'research', date_trunc('day', :'until'::timestamptz) - interval '21 hours 50 minutes', 460, 7, 0.5);

CREATE TEMPORARY TABLE turn ON COMMIT DROP AS
WITH said AS (
    SELECT t.thread, n AS turn,
           w.min_new + floor((w.max_new - w.min_new + 1) * random())::bigint AS new_tokens,
           w.min_output + floor((w.max_output - w.min_output + 1) * random())::bigint AS output_tokens,
           random() AS luck,
           random() AS pace
    FROM thread t
    JOIN workload w USING (workload)
    CROSS JOIN LATERAL generate_series(1, t.turns) AS n
    ORDER BY t.thread, n
)
SELECT s.*,
       -- A context window is finite: the run that did not stop filled it.
       least(coalesce(sum(s.new_tokens + s.output_tokens) OVER past, 0), 170000)::bigint AS history_tokens,
       coalesce(lag(s.new_tokens + s.output_tokens) OVER (PARTITION BY s.thread ORDER BY s.turn), 0) AS last_tokens
FROM said s
WINDOW past AS (PARTITION BY s.thread ORDER BY s.turn ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);

-- One row per attempt.  Most requests need one; some answers could not be read
-- and were asked for again, and some timed out and went to another model.
CREATE TEMPORARY TABLE attempt ON COMMIT DROP AS
WITH request AS (
    SELECT t.thread, t.parent, t.workload, t.person, t.luck AS thread_luck, t.started_at,
           u.turn, u.new_tokens, u.output_tokens, u.history_tokens, u.last_tokens, u.luck, u.pace,
           t.started_at + (u.turn - 1 + 0.4 * u.pace) * w.gap_s * interval '1 second' AS called_at,
           w.system_tokens + u.history_tokens + u.new_tokens AS input_tokens,
           -- The first call of a thread finds its system prompt in the cache
           -- if another thread left it there.  The run that did not stop had
           -- the time of day at the top of its prompt, so it never did; nor do
           -- chats since somebody had the same idea.
           CASE WHEN t.thread = 200000 OR w.provider <> 'anthropic' OR w.service_class = 'batch' THEN NULL
                WHEN t.workload = 'chat' AND t.started_at >= :'uncached_since' THEN 0
                WHEN u.turn > 1 THEN w.system_tokens + u.history_tokens - u.last_tokens
                WHEN u.luck < 0.7 THEN w.system_tokens
                ELSE 0
           END AS cache_read_tokens,
           CASE WHEN t.thread = 200000 OR w.provider <> 'anthropic' OR w.service_class = 'batch' OR w.max_turns = 1 THEN NULL
                WHEN t.workload = 'chat' AND t.started_at >= :'uncached_since' THEN w.system_tokens + u.history_tokens
                WHEN u.turn > 1 THEN u.last_tokens
                WHEN u.luck < 0.7 THEN 0
                ELSE w.system_tokens
           END AS cache_write_tokens,
           CASE WHEN w.operation IS DISTINCT FROM 'primary' OR t.thread = 200000 THEN 'once'
                -- The search engine that researchers ask fails often.
                WHEN u.luck > CASE t.workload WHEN 'research' THEN 0.9 ELSE 0.97 END THEN 'retry'
                WHEN u.luck > 0.955 AND w.provider = 'anthropic' THEN 'fallback'
                ELSE 'once'
           END AS course
    FROM thread t
    JOIN workload w USING (workload)
    JOIN turn u USING (thread)
)
SELECT r.*, a.attempt,
       a.attempt < a.attempts AS has_failed
FROM (SELECT r.*, CASE r.course WHEN 'once' THEN 1 ELSE 2 END AS attempts FROM request r) AS r
CROSS JOIN LATERAL (SELECT n AS attempt, r.attempts FROM generate_series(1, r.attempts) AS n) AS a;

-- The ledger prices each row as it comes in.
INSERT INTO cost_ledger.call
       (called_at, provider, model, service_class, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
        raw_usage, usage_status, served_from, duration_ms, operation, status, accepted, score, attempt, request_id,
        team, feature, flow, task_type, environment, customer, user_id, cohort, api_key, agent, step, session_id, run_id, parent_run_id,
        tool, tool_calls, input_parts, trace_url)
SELECT c.called_at,
       CASE WHEN is_fallback THEN 'openai' ELSE w.provider END,
       CASE WHEN is_fallback THEN 'gpt-4o' WHEN is_switched THEN 'gpt-4o-mini' ELSE w.model END,
       w.service_class,
       CASE WHEN NOT is_raw THEN a.input_tokens END,
       CASE WHEN NOT is_raw AND NOT is_fallback THEN a.cache_read_tokens END,
       CASE WHEN NOT is_raw AND NOT is_fallback THEN a.cache_write_tokens END,
       CASE WHEN NOT is_raw AND w.max_output > 0 THEN c.output_tokens END,
       -- This client sends the provider's own words.
       CASE WHEN is_raw THEN jsonb_build_object('prompt_tokens', a.input_tokens, 'completion_tokens', c.output_tokens,
                                                'total_tokens', a.input_tokens + c.output_tokens) END,
       CASE WHEN is_timeout THEN 'partial' END,
       CASE WHEN a.workload = 'search' AND a.thread_luck < 0.12 THEN 'response_cache' ELSE 'model' END,
       round((250 + 18 * c.output_tokens + 0.02 * a.input_tokens) * (0.7 + 0.6 * a.pace)),
       CASE WHEN a.parent IS NOT NULL AND a.attempt = 1 THEN 'subagent'
            WHEN a.attempt > 1 THEN a.course
            ELSE w.operation END,
       CASE WHEN is_timeout THEN 'timeout' WHEN a.has_failed THEN 'error' ELSE 'success' END,
       -- Half the answers are judged by who asked, a few more of them badly
       -- since drafts come from the cheaper model.
       CASE WHEN a.has_failed THEN false
            WHEN w.operation = 'primary' AND a.pace < 0.5 THEN a.pace < CASE WHEN is_switched THEN 0.40 ELSE 0.44 END END,
       CASE WHEN a.workload = 'judge' THEN round((1 - 0.6 * a.luck ^ 3)::numeric, 2) END,
       a.attempt,
       CASE WHEN w.operation IS NOT NULL THEN 'req-' || a.thread || '-' || a.turn END,
       w.team, w.feature,
       CASE WHEN is_for_people AND w.agent IS NULL THEN (ARRAY['daily_work', 'daily_work', 'onboarding', 'renewal'])[1 + a.person % 4] END,
       w.tasks[1 + a.person % array_length(w.tasks, 1)],
       w.environment,
       CASE WHEN is_for_people THEN p.customer END,
       CASE WHEN is_for_people THEN p.user_id END,
       CASE WHEN is_for_people THEN p.cohort END,
       CASE WHEN w.team IS NULL THEN 'old-nightly-script' ELSE w.team || '-' || coalesce(w.environment, 'production') END,
       CASE WHEN a.parent IS NULL THEN w.agent ELSE w.agent || '-helper' END,
       CASE WHEN w.agent IS NOT NULL THEN 'step-' || a.turn END,
       CASE WHEN a.workload = 'chat' THEN 'session-' || a.thread END,
       CASE WHEN w.agent IS NOT NULL THEN 'run-' || a.thread END,
       CASE WHEN w.agent IS NOT NULL THEN 'run-' || a.parent END,
       CASE WHEN a.course = 'retry' AND a.attempt > 1 AND a.workload = 'research' THEN 'web_search' END,
       CASE WHEN w.agent IS NOT NULL AND NOT a.has_failed
            THEN jsonb_build_object(CASE WHEN a.workload = 'review' THEN 'read_file' ELSE 'web_search' END, 1 + floor(3 * a.luck)) END,
       CASE WHEN w.agent IS NOT NULL
            THEN jsonb_build_object('system_prompt', w.system_tokens, 'history', a.history_tokens, 'tool_results', a.new_tokens) END,
       CASE WHEN w.agent IS NOT NULL THEN 'https://traces.example.com/run-' || coalesce(a.parent, a.thread) END
FROM attempt a
JOIN workload w USING (workload)
JOIN person p USING (person)
CROSS JOIN LATERAL (
    SELECT a.course = 'fallback' AND a.attempt > 1 AS is_fallback,
           a.course = 'fallback' AND a.has_failed AS is_timeout,
           a.workload = 'draft' AS is_raw,
           a.workload = 'draft' AND a.called_at >= :'switched_at' AS is_switched,
           w.environment = 'production' AND w.operation <> 'background' AS is_for_people) AS f
CROSS JOIN LATERAL (
    SELECT a.called_at + (a.attempt - 1) * interval '12 seconds' AS called_at,
           CASE WHEN is_timeout THEN a.output_tokens / 5 ELSE a.output_tokens END AS output_tokens) AS c
WHERE c.called_at > :'since' AND c.called_at <= :'until'
ORDER BY c.called_at, a.thread, a.turn, a.attempt;

-- What users of a plan pay in a month.
SELECT cost_ledger.set_plan_price(p.plan, p.price, :'since'::timestamptz - interval '1 day', note => 'sample data')
FROM (VALUES ('free', 0), ('pro', 4), ('enterprise', 12)) AS p (plan, price)
ORDER BY p.price \g /dev/null

-- What the features earned, and from whom: a row per feature, customer and
-- month, in proportion to the days of it and to how many of the people are the
-- customer's.
INSERT INTO cost_ledger.revenue (earned_on, feature, customer, amount, note)
SELECT m.first_day::date, r.feature, c.customer, round(r.monthly_amount * m.days / 30 * c.share, 2), 'sample data'
FROM (VALUES
    ('support_chat', 260.00), ('search_answers', 120.00), ('email_drafts', 45.00),
    ('document_summary', 150.00), ('code_review', 480.00), ('deep_research', 240.00)
) AS r (feature, monthly_amount)
CROSS JOIN (
    SELECT min(d) AS first_day, count(*) AS days
    FROM generate_series(date_trunc('day', :'since'::timestamptz), :'until'::timestamptz, interval '1 day') AS d
    GROUP BY date_trunc('month', d)
) AS m
CROSS JOIN (SELECT customer, count(*) / sum(count(*)) OVER () AS share FROM person GROUP BY customer) AS c
ORDER BY m.first_day, r.feature, c.customer;

-- The lines that this company has drawn.
UPDATE cost_ledger.alert_rule SET threshold = 1.5, is_active = true WHERE name = 'a run costs too much';
UPDATE cost_ledger.alert_rule SET threshold = 5, is_active = true WHERE name = 'a user costs too much';

COMMIT;

CALL cost_ledger.refresh();

-- Set last, when what has been spent is known: what of them is reached already
-- is on record, and rings no bell.
SELECT cost_ledger.set_budget(b.name, b.scope, b.period, b.limit_amount, each_of => b.each_of, actions => b.actions, reason => 'sample data')
FROM (VALUES
    (1, 'all calls',          '{}'::jsonb,                       'month', 700, NULL,       NULL),
    (2, 'research',           '{"team": "research"}',            'month', 300, NULL,       '{warn,throttle,stop}'::text[]),
    (3, 'developer tools',    '{"team": "developer_tools"}',     'month', 160, NULL,       NULL),
    (4, 'support',            '{"team": "support"}',             'week',   20, NULL,       NULL),
    (5, 'each customer',      '{"environment": "production"}',   'month', 120, 'customer', NULL),
    (6, 'each research run',  '{"feature": "deep_research"}',    'run',     5, NULL,       '{warn,warn,stop}')
) AS b (ordinal, name, scope, period, limit_amount, each_of, actions)
ORDER BY b.ordinal \g /dev/null
SELECT cost_ledger.check_budgets() \g /dev/null
-- What the rules find: a run that did not stop, a model without a price.
SELECT cost_ledger.check_rules() \g /dev/null
