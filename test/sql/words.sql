--
-- Words of status and operation: which calls have failed and which are turns is
-- the same in every report, before refresh() and after, and for budgets.
--
SET TIME ZONE 'UTC';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1000000}', '2025-01-01') > 0 AS is_set;

-- a run, a session and a team for each word
INSERT INTO cost_ledger.call (provider, model, input_tokens, run_id, session_id, team, feature, status)
SELECT 'openai', 'm', 1, format('%s %s', n, s), format('%s %s', n, s), format('%s %s', n, s), 'status', s
FROM unnest('{success,Success,ok,OK,completed,COMPLETED,succeeded,Succeeded,200,204,299,2xx,2XX,error,failed,timeout,cancelled,not ok,199,300,20,2000,2x0," 200",successful,NULL,""}'::text[]) WITH ORDINALITY AS u (s, n);
INSERT INTO cost_ledger.call (provider, model, input_tokens, run_id, session_id, feature, operation)
SELECT 'openai', 'm', 1, format('%s %s', n, o), format('%s %s', n, o), 'operation', o
FROM unnest('{primary,subagent,chat,text_completion,Agent,retrying,NULL,"",retry,RETRY,fallback,Fallback,eval,judge,Judge,embedding,embeddings,rerank,moderation,background,routing}'::text[]) WITH ORDINALITY AS u (o, n);

CREATE FUNCTION pg_temp.report() RETURNS TABLE (question text, answer text) LANGUAGE sql AS $$
    SELECT 'not failed', string_agg(run_id, ', ' ORDER BY split_part(run_id, ' ', 1)::integer) FROM cost_ledger.run WHERE feature = 'status' AND failed_calls = 0
    UNION ALL SELECT 'failed', string_agg(run_id, ', ' ORDER BY split_part(run_id, ' ', 1)::integer) FROM cost_ledger.run WHERE failed_calls = 1
    UNION ALL SELECT 'no turns', string_agg(run_id, ', ' ORDER BY split_part(run_id, ' ', 1)::integer) FROM cost_ledger.run WHERE turns = 0
    UNION ALL SELECT 'turns', string_agg(run_id, ', ' ORDER BY split_part(run_id, ' ', 1)::integer) FROM cost_ledger.run WHERE feature = 'operation' AND turns = 1
    UNION ALL SELECT 'retries', string_agg(run_id, ', ' ORDER BY split_part(run_id, ' ', 1)::integer) FROM cost_ledger.run WHERE retries = 1
    UNION ALL SELECT 'fallbacks', string_agg(run_id, ', ' ORDER BY split_part(run_id, ' ', 1)::integer) FROM cost_ledger.run WHERE fallbacks = 1
    UNION ALL SELECT 'in reports of runs and sessions otherwise', count(*)::text
        FROM cost_ledger.run r JOIN cost_ledger_internal.live_session s ON s.session_id = r.run_id
        WHERE (r.failed_calls, r.turns, r.retries, r.fallbacks) IS DISTINCT FROM (s.failed_calls, s.turns, s.retries, s.fallbacks)
    UNION ALL SELECT 'in chargeback otherwise', count(*)::text
        FROM cost_ledger.chargeback_by_month c JOIN cost_ledger.run r ON r.run_id = c.team WHERE c.failed_calls <> r.failed_calls
    UNION ALL SELECT 'failed by month, model, operation', concat_ws(', ', (SELECT sum(failed_calls) FROM cost_ledger.chargeback_by_month), (SELECT sum(failed_calls) FROM cost_ledger.cost_by_model), (SELECT sum(failed_calls) FROM cost_ledger.cost_by_operation))
    UNION ALL SELECT 'retries by hour', sum(retries)::text FROM cost_ledger_internal.live_hour
$$;
SELECT * FROM pg_temp.report();
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.report();
CALL cost_ledger.refresh();
SELECT * FROM pg_temp.report() EXCEPT SELECT * FROM before;
SELECT count(*) FROM cost_ledger.check_rollups();

-- a limit of turns, of calls that came without a hold and with one
SELECT cost_ledger.set_budget('turns', '{}', 'run', 2, metric => 'turns') > 0 AS is_set;
INSERT INTO cost_ledger.call (provider, model, input_tokens, run_id, operation) SELECT 'openai', 'm', 1, 'r', o FROM unnest('{chat,Chat,JUDGE,routing}'::text[]) o;
CALL cost_ledger.refresh();
SELECT decision, spent FROM cost_ledger.reserve('k1', '{"run_id": "r", "operation": "chat"}', 0);
SELECT decision FROM cost_ledger.reserve('k2', '{"run_id": "r", "operation": "Retry"}', 0);
INSERT INTO cost_ledger.call (provider, model, input_tokens, run_id, operation, hold_id)
SELECT 'openai', 'm', 1, 'q', o, (cost_ledger.reserve('q' || o, jsonb_build_object('run_id', 'q', 'operation', o), 0)).hold_id FROM unnest('{chat,Eval,agent}'::text[]) o;
SELECT decision, spent FROM cost_ledger.reserve('k3', '{"run_id": "q"}', 0);
SELECT count(*) FROM cost_ledger.check_balances();
-- the estimate stands in for the price of a call that has not failed
SELECT count(*) AS held FROM unnest('{OK,200,error}'::text[]) s, LATERAL cost_ledger.reserve(s, '{}', 1) r;
INSERT INTO cost_ledger.call (provider, model, input_tokens, status, hold_id) SELECT 'openai', 'no price', 1, h.hold_key, h.hold_id FROM cost_ledger_internal.hold h WHERE h.hold_key IN ('OK', '200', 'error');
SELECT hold_key, provisional FROM cost_ledger_internal.hold WHERE hold_key IN ('OK', '200', 'error') ORDER BY 1;

-- words of a service class: of calls, of questions, and of who sets a price
SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 500000}', '2025-01-01', service_class => 'Batch') > 0 AS is_set;
SELECT cost_ledger.set_multiplier('openai', 'flex', 0.25, '2025-01-01', service_class => 'FLEX');
INSERT INTO cost_ledger.call (provider, model, input_tokens, service_class)
SELECT 'openai', 'm', 1, s FROM unnest('{standard,Standard,default,AUTO,on_demand,batch,BATCH,flex,Flex,on_demand_flex,gold}'::text[]) s
RETURNING service_class, cost, cost IS NOT DISTINCT FROM cost_ledger.cost_at(called_at, provider, model, '{"input_tokens": 1}', service_class) AS is_answered_so;
SELECT service_class, reason FROM cost_ledger.unpriced_call WHERE model = 'm';
SELECT DISTINCT service_class FROM cost_ledger.price_list WHERE provider = 'openai';
-- a provider before a colon
SELECT * FROM cost_ledger.resolve_model('openai', 'openai:m');
SELECT * FROM cost_ledger.resolve_model('gateway', 'openai:m');
SELECT * FROM cost_ledger.resolve_model('bedrock', 'Bedrock:us.anthropic.claude-v2:1');

SELECT cost_ledger.drop_ledger(i_mean_it => true);
