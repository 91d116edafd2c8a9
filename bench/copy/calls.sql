-- Calls of two months as a company sends them: so many workflows (each a team, a
-- feature, a customer, a task type and an environment) of so many customers, runs
-- of about ten calls that go on at once, sub-agents, 10,000 users.  The same calls
-- with their counts in columns, and with the usage object as the provider sent it.
CREATE TABLE sent AS
WITH workflow AS MATERIALIZED (
    SELECT w AS workflow_id,
           CASE WHEN w % 23 <> 7 THEN 'team-' || (ARRAY['search', 'support', 'billing', 'growth', 'platform', 'docs', 'sales', 'risk', 'mobile', 'data', 'legal', 'hr'])[1 + w % 12] END AS team,
           CASE WHEN w % 31 <> 11 THEN (ARRAY['chat', 'summaries', 'ticket-triage', 'code-review', 'extraction', 'translation', 'rewrites', 'search-answers', 'alerts', 'onboarding'])[1 + w % 10] || '-' || w % 3 END AS feature,
           CASE WHEN w % 5 <> 2 THEN 'customer-' || (w * 7) % :customers END AS customer,
           CASE WHEN w % 11 <> 4 THEN (ARRAY['answer', 'summarize_document', 'classify', 'plan', 'extract_fields', 'review'])[1 + w % 6] END AS task_type,
           CASE WHEN w % 17 = 3 THEN 'staging' WHEN w % 29 = 5 THEN NULL ELSE 'production' END AS environment
    FROM generate_series(0, :workflows - 1) AS w
), way (way_id, provider, model, service_class, operation, status) AS (
    VALUES (0, 'anthropic', 'claude-sonnet-4-5', NULL, 'primary', 'success'),
           (1, 'anthropic', 'claude-haiku-4-5', NULL, 'primary', 'success'),
           (2, 'openai', 'gpt-5', NULL, 'subagent', 'success'),
           (3, 'anthropic', 'claude-sonnet-4-5', NULL, 'retry', 'success'),
           (4, 'anthropic', 'claude-opus-4-1', NULL, 'judge', 'success'),
           (5, 'anthropic', 'claude-sonnet-4-5', NULL, 'primary', 'error'),
           (6, 'openai', 'gpt-5-mini', 'batch', NULL, 'success')
), numbered AS (
    SELECT i, r.run, r.run / 5 AS session, (i * 7919) % 1000003 % 20 <> 0 AS has_run,
           200 + (i * 7919) % 3000 + CASE WHEN i % 11 = 0 THEN (i * 13) % 40000 ELSE 0 END AS input_tokens,
           20 + (i * 31) % 700 + CASE WHEN i % 13 = 0 THEN 900 ELSE 0 END AS output_tokens,
           -- Some workflows are busier than others.
           (abs(hashint8(r.run / 5)::bigint) % 10000) * (abs(hashint8(r.run / 5)::bigint) % 10000) * :workflows / 100000000 AS workflow_id
    FROM generate_series(0::bigint, :rows - 1) AS i, LATERAL (SELECT i / 1000 * 100 + i * 37 % 100 AS run) r
)
SELECT timestamptz '2026-09-01 00:00:00+00' + n.i * interval '61 days' / :rows AS called_at,
       y.provider, y.model, y.service_class,
       n.input_tokens,
       CASE WHEN n.i % 3 <> 0 THEN n.input_tokens * (n.i % 8) / 10 END AS cache_read_tokens,
       CASE WHEN n.i % 21 = 1 AND y.provider = 'anthropic' THEN n.input_tokens / 10 END AS cache_write_tokens,
       n.output_tokens,
       CASE WHEN y.provider = 'openai' THEN (n.i * 31) % 20 END AS reasoning_tokens,
       300 + (n.i * 6007) % 9000 AS duration_ms,
       CASE WHEN n.i % 4 = 0 THEN n.i % 3 END AS tool_calls_count,
       CASE WHEN n.i % 97 = 0 THEN 1 END AS retry_count,
       CASE WHEN n.i % 10 = 3 THEN n.i % 7 <> 0 END AS accepted,
       w.team, w.feature, w.customer, w.task_type, w.environment,
       'user-' || n.session * 7919 % 10000 AS user_id,
       CASE WHEN w.customer IS NOT NULL THEN (ARRAY['free', 'pro', 'enterprise'])[1 + length(w.customer) % 3] END AS cohort,
       'key-' || coalesce(w.team, 'shared') || '-' || coalesce(w.environment, 'any') AS api_key,
       CASE WHEN y.operation = 'subagent' THEN 'researcher' END AS agent,
       CASE WHEN n.i % 3 = 0 THEN 'step-' || n.i % 5 END AS step,
       CASE WHEN n.i % 7 = 0 THEN (ARRAY['search', 'fetch', 'sql', 'python'])[1 + n.i % 4] END AS tool,
       md5('s' || n.session)::uuid::text AS session_id,
       CASE WHEN n.has_run THEN md5(CASE WHEN y.operation = 'subagent' THEN 'a' ELSE 'r' END || n.run)::uuid::text END AS run_id,
       CASE WHEN n.has_run AND y.operation = 'subagent' THEN md5('r' || n.run)::uuid::text END AS parent_run_id,
       y.operation, y.status
FROM numbered n
JOIN workflow w USING (workflow_id)
JOIN way y ON y.way_id =
    CASE (n.i * 104729) % 20
        WHEN 0 THEN 3 WHEN 1 THEN CASE WHEN w.workflow_id % 2 = 0 THEN 5 ELSE 6 END
        WHEN 2 THEN 2 WHEN 3 THEN 2 WHEN 4 THEN 2
        WHEN 5 THEN 1 WHEN 6 THEN 1 WHEN 7 THEN 1 WHEN 8 THEN 1 WHEN 9 THEN 1
        ELSE CASE WHEN w.workflow_id % 4 <> 1 THEN 0 WHEN n.i % 50 = 7 THEN 4 ELSE 1 END
    END
ORDER BY n.i;

CREATE VIEW sent_raw AS
SELECT called_at, provider, model, service_class,
       CASE provider
           WHEN 'anthropic' THEN format('{"input_tokens": %s, "cache_read_input_tokens": %s, "cache_creation_input_tokens": %s, "output_tokens": %s, "service_tier": "standard"}',
                                        input_tokens - coalesce(cache_read_tokens, 0) - coalesce(cache_write_tokens, 0), coalesce(cache_read_tokens, 0), coalesce(cache_write_tokens, 0), output_tokens)
           ELSE format('{"prompt_tokens": %s, "completion_tokens": %s, "total_tokens": %s, "prompt_tokens_details": {"cached_tokens": %s, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": %s}}',
                       input_tokens, output_tokens, input_tokens + output_tokens, coalesce(cache_read_tokens, 0), coalesce(reasoning_tokens, 0))
       END AS raw_usage,
       duration_ms, tool_calls_count, retry_count, accepted,
       team, feature, customer, task_type, environment, user_id, cohort, api_key, agent, step, tool, session_id, run_id, parent_run_id, operation, status
FROM sent;
