-- A company's ledger, and what its calls are made of: so many workflows (each a
-- team, a feature, a customer, a task type and an environment), each with five
-- ways of calling a model, some of them more often than others.  100 workflows are
-- about 475 combinations of labels, 1,050 are 5,000, 5,900 are 28,000.
\if :{?workflows}
\else
\set workflows 100
\endif
\if :{?customers}
\else
\set customers 97
\endif
\if :{?days}
\else
\set days 60
\endif
CREATE EXTENSION cost_ledger;
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions((:'first_day'::date), (:'last_day'::date));

SELECT cost_ledger.set_price('anthropic', 'claude-opus-4-1',
    '{"input_tokens": 15.00, "cache_read_tokens": 1.50, "cache_write_tokens": 18.75, "output_tokens": 75.00}', '2025-08-05');
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 3.00, "cache_read_tokens": 0.30, "cache_write_tokens": 3.75, "output_tokens": 15.00}', '2025-09-29');
SELECT cost_ledger.set_price('anthropic', 'claude-haiku-4-5',
    '{"input_tokens": 1.00, "cache_read_tokens": 0.10, "cache_write_tokens": 1.25, "output_tokens": 5.00}', '2025-10-15');
SELECT cost_ledger.set_price('openai', 'gpt-5', '{"input_tokens": 1.25, "cache_read_tokens": 0.125, "output_tokens": 10.00}', '2025-08-07');
SELECT cost_ledger.set_price('openai', 'gpt-5-mini', '{"input_tokens": 0.25, "cache_read_tokens": 0.025, "output_tokens": 2.00}', '2025-08-07');
SELECT cost_ledger.set_price('openai', 'gpt-5-mini', '{"input_tokens": 0.125, "cache_read_tokens": 0.0125, "output_tokens": 1.00}', '2025-08-07',
    service_class => 'batch');
-- One price changes in the middle.
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 2.00, "cache_read_tokens": 0.20, "cache_write_tokens": 2.50, "output_tokens": 10.00}', :'first_day'::date + 30);

CREATE TABLE workflow AS
SELECT w AS workflow_id,
       CASE WHEN w % 23 <> 7 THEN 'team-' || (ARRAY['search', 'support', 'billing', 'growth', 'platform', 'docs', 'sales', 'risk', 'mobile', 'data', 'legal', 'hr'])[1 + w % 12] END AS team,
       CASE WHEN w % 31 <> 11 THEN (ARRAY['chat', 'summaries', 'ticket-triage', 'code-review', 'extraction', 'translation', 'rewrites', 'search-answers', 'alerts', 'onboarding'])[1 + w % 10] || '-' || w % 3 END AS feature,
       CASE WHEN w % 5 <> 2 THEN 'customer-' || (w * 7) % :customers END AS customer,
       CASE WHEN w % 11 <> 4 THEN (ARRAY['answer', 'summarize_document', 'classify', 'plan', 'extract_fields', 'review'])[1 + w % 6] END AS task_type,
       CASE WHEN w % 17 = 3 THEN 'staging' WHEN w % 29 = 5 THEN NULL ELSE 'production' END AS environment
FROM generate_series(0, :workflows - 1) AS w;
ALTER TABLE workflow ADD PRIMARY KEY (workflow_id);
CREATE TABLE size AS SELECT :workflows AS workflows, :days AS days;

CREATE TABLE way (way_id integer PRIMARY KEY, provider text, model text, service_class text, operation text, status text);
INSERT INTO way VALUES
    (0, 'anthropic', 'claude-sonnet-4-5', NULL,    'primary',  'success'),
    (1, 'anthropic', 'claude-haiku-4-5',  NULL,    'primary',  'success'),
    (2, 'openai',    'gpt-5',             NULL,    'subagent', 'success'),
    (3, 'anthropic', 'claude-sonnet-4-5', NULL,    'retry',    'success'),
    (4, 'anthropic', 'claude-opus-4-1',   NULL,    'judge',    'success'),
    (5, 'anthropic', 'claude-sonnet-4-5', NULL,    'primary',  'error'),
    (6, 'openai',    'gpt-5-mini',        'batch', NULL,       'success');

-- Of ten calls, which way each goes: five of the ways in a workflow.
CREATE FUNCTION way_of(workflow integer, i bigint) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE (i * 104729) % 20
               WHEN 0 THEN 3 WHEN 1 THEN CASE WHEN workflow % 2 = 0 THEN 5 ELSE 6 END
               WHEN 2 THEN 2 WHEN 3 THEN 2 WHEN 4 THEN 2
               WHEN 5 THEN 1 WHEN 6 THEN 1 WHEN 7 THEN 1 WHEN 8 THEN 1 WHEN 9 THEN 1
               ELSE CASE WHEN workflow % 4 = 1 THEN CASE WHEN i % 50 = 7 THEN 4 ELSE 1 END ELSE 0 END
           END
$$;

-- Calls number lo to hi - 1 of total, spread evenly over the days.  A hundred
-- runs of about ten calls go on at once, and what a run's sub-agent calls is a run
-- of its own; five runs are a session, of one of 10,000 users; one call of twenty
-- belongs to no run.  One of five says what its input is made of.
CREATE PROCEDURE make_calls(lo bigint, hi bigint, total bigint, first_day date) LANGUAGE sql AS $$
    INSERT INTO cost_ledger.call (called_at, provider, model, service_class,
        input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, duration_ms,
        tool_calls_count, retry_count, accepted,
        team, feature, customer, task_type, environment, user_id, cohort, api_key, agent, step, tool, session_id, run_id, parent_run_id, operation, status, input_parts)
    SELECT first_day::timestamp AT TIME ZONE 'UTC' + (i::double precision / total) * (SELECT s.days FROM size s) * interval '1 day',
           y.provider, y.model, y.service_class,
           n.input_tokens,
           CASE WHEN i % 3 <> 0 THEN n.input_tokens * (i % 8) / 10 END,
           CASE WHEN i % 3 <> 0 AND i % 7 = 1 AND y.provider = 'anthropic' THEN n.input_tokens / 10 END,
           20 + (i * 31) % 700 + CASE WHEN i % 13 = 0 THEN 900 ELSE 0 END,
           CASE WHEN y.provider = 'openai' THEN (i * 31) % 20 END,
           300 + (i * 6007) % 9000,
           CASE WHEN i % 4 = 0 THEN i % 3 END,
           CASE WHEN i % 97 = 0 THEN 1 END,
           CASE WHEN i % 10 = 3 THEN i % 7 <> 0 END,
           w.team, w.feature, w.customer, w.task_type, w.environment,
           'user-' || n.session * 7919 % 10000,
           CASE WHEN w.customer IS NOT NULL THEN (ARRAY['free', 'pro', 'enterprise'])[1 + length(w.customer) % 3] END,
           'key-' || coalesce(w.team, 'shared') || '-' || coalesce(w.environment, 'any'),
           CASE WHEN y.operation = 'subagent' THEN 'researcher' END,
           CASE WHEN i % 3 = 0 THEN 'step-' || i % 5 END,
           CASE WHEN i % 7 = 0 THEN (ARRAY['search', 'fetch', 'sql', 'python'])[1 + i % 4] END,
           md5('s' || n.session)::uuid::text,
           CASE WHEN n.has_run THEN md5(CASE WHEN y.operation = 'subagent' THEN 'a' ELSE 'r' END || n.run)::uuid::text END,
           CASE WHEN n.has_run AND y.operation = 'subagent' THEN md5('r' || n.run)::uuid::text END,
           y.operation, y.status,
           CASE WHEN i % 5 = 0 THEN jsonb_build_object('system_prompt', 100, 'history', n.input_tokens / 2) END
    FROM generate_series(lo, hi - 1) AS i
    CROSS JOIN LATERAL (SELECT i / 1000 * 100 + i * 37 % 100 AS run, (i / 1000 * 100 + i * 37 % 100) / 5 AS session,
                               (i * 7919) % 1000003 % 20 <> 0 AS has_run,
                               200 + (i * 7919) % 3000 + CASE WHEN i % 11 = 0 THEN (i * 13) % 40000 ELSE 0 END AS input_tokens) n
    -- Some workflows are busier than others.
    JOIN workflow w ON w.workflow_id = (abs(hashint8(n.session)::bigint) % 10000) * (abs(hashint8(n.session)::bigint) % 10000) * (SELECT s.workflows FROM size s) / 100000000
    JOIN way y ON y.way_id = way_of(w.workflow_id, i + i / 100)
$$;

-- As many transactions as there are lots of 10,000.
CREATE PROCEDURE load_calls(lo bigint, hi bigint, total bigint, first_day date) LANGUAGE plpgsql AS $$
BEGIN
    WHILE lo < hi LOOP
        CALL make_calls(lo, least(lo + 10000, hi), total, first_day);
        COMMIT;
        lo := lo + 10000;
    END LOOP;
END
$$;

INSERT INTO cost_ledger.revenue (earned_on, feature, amount)
SELECT d, w.feature, 1000 + w.workflow_id
FROM workflow w, generate_series(:'first_day'::date, :'last_day', interval '15 days') AS d
WHERE w.feature IS NOT NULL;
