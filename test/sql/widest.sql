--
-- The widest values of every column: what is beyond them is refused, with the
-- column; what is within, alone or summed, every report, function and job
-- digests, before refresh() and after.
--
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
SELECT cost_ledger.create_ledger();
SET search_path = pg_catalog;

--
-- The door.
--
\set VERBOSITY default
INSERT INTO cost_ledger.call (provider, model, reported_cost) VALUES ('p', 'm', 1000000000000);
INSERT INTO cost_ledger.call (provider, model, trace_url) VALUES ('p', 'm', repeat('x', 8193));
INSERT INTO cost_ledger.call (provider, model, tags) VALUES ('p', 'm', jsonb_build_object('x', repeat('x', 1048576)));
INSERT INTO cost_ledger.call (provider, model, input_parts) VALUES ('p', 'm', '{"a": 999999999999, "b": 2}');
\set VERBOSITY terse
INSERT INTO cost_ledger.call (provider, model, reported_cost) VALUES ('p', 'm', '6e131071');
INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('p', 'm', 1000000000001);
INSERT INTO cost_ledger.call (provider, model, input_tokens, output_tokens) VALUES ('p', 'm', 1, 9223372036854775807);
INSERT INTO cost_ledger.call (provider, model, other_usage) VALUES ('p', 'm', '{"seconds": 1000000000000.1}');
INSERT INTO cost_ledger.call (provider, model, other_usage) VALUES ('p', 'm', jsonb_build_object('seconds', ('9e131071')::numeric));
INSERT INTO cost_ledger.call (provider, model, tool_calls) VALUES ('p', 'm', '{"grep": 1000000000001}');
INSERT INTO cost_ledger.call (provider, model, tool_calls) VALUES ('p', 'm', jsonb_build_object('grep', ('9e131071')::numeric));
INSERT INTO cost_ledger.call (provider, model, other_usage) VALUES ('p', 'm', jsonb_build_object(repeat('x', 1048576), 1));
-- a whole response is no reason to lose a call: of one with pictures in it the usage object is kept, of one that is too long the counts
INSERT INTO cost_ledger.call (provider, model, raw_usage) VALUES
    ('openai', 'm', jsonb_build_object('data', jsonb_build_array(jsonb_build_object('b64_json', repeat('x', 1048576))), 'usage', '{"input_tokens": 10, "input_tokens_details": {"image_tokens": 4, "text_tokens": 6}, "output_tokens": 5, "total_tokens": 15}'::jsonb)),
    ('openai', 'm', jsonb_build_object('data', jsonb_build_array(jsonb_build_object('b64_json', repeat('x', 1048576))))),
    ('p', 'm', jsonb_build_object('prompt_tokens', 1, 'completion_tokens', 1, 'x', repeat('x', 1048576))),
    ('p', 'm', to_jsonb(repeat('x', 1048576)))
    RETURNING input_tokens, output_tokens, other_usage, usage_status, raw_usage;
-- the cost that a provider's object tells and that is none is left out, as any other that is none
INSERT INTO cost_ledger.call (provider, model, raw_usage) VALUES
    ('openrouter', 'm', jsonb_build_object('prompt_tokens', 1, 'completion_tokens', 1, 'cost', ('9e131071')::numeric)),
    ('openrouter', 'm', '{"prompt_tokens": 1, "completion_tokens": 1, "cost": 999999999999.5}'),
    ('openrouter', 'm', '{"prompt_tokens": 1, "completion_tokens": 1, "cost": 1.6500000000000001e-06}')
    RETURNING input_tokens, usage_status, reported_cost;
-- a call is not lost over what is left of a binary fraction
INSERT INTO cost_ledger.call (provider, model, reported_cost) VALUES ('p', 'm', 0.00000165000000000000010000000000000001) RETURNING reported_cost;
INSERT INTO cost_ledger.call (provider, model, avoided_cost, score) VALUES ('p', 'm', 0.00000165000000000000010000000000000001, -0.123456789012345678901234) RETURNING avoided_cost, score;
-- nor over a name: its beginning, and what tells it from others
INSERT INTO cost_ledger.call (provider, model, region, service_class, operation, status, team, feature, flow, customer, task_type, environment, cohort, api_key, agent, step, request_id, tool,
                              user_id, session_id, run_id, parent_run_id)
SELECT n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n FROM (VALUES (repeat('é', 600)), (repeat('é', 599) || 'e'), (repeat('x', 1024)), (repeat('"', 10000000))) AS v (n)
RETURNING octet_length(provider) AS provider, right(model, 34) AS model, ARRAY[provider, region, service_class, operation, status, team, feature, flow, customer, task_type, environment, cohort, api_key, agent, step, request_id, tool]
          = array_fill(model, '{17}') AS labels_alike, octet_length(user_id) AS user_id, ARRAY[session_id, run_id, parent_run_id] = array_fill(user_id, '{3}') AS ids_alike;
INSERT INTO cost_ledger.call (provider, model, raw_usage) VALUES ('anthropic', 'm', jsonb_build_object('input_tokens', 1, 'output_tokens', 1, 'inference_geo', repeat('x', 2000), 'service_tier', repeat('x', 2000)))
    RETURNING octet_length(region) AS region, octet_length(service_class) <= 1024 AS service_class;
-- a budget of such a name finds its calls, and a reservation the budget
SELECT cost_ledger.set_budget('long', jsonb_build_object('team', repeat('é', 600)), 'total', 1, metric => 'calls') > 0 AS is_set;
CALL cost_ledger.refresh();
SELECT posted FROM cost_ledger_internal.budget_balance;
SELECT decision FROM cost_ledger.reserve('long', jsonb_build_object('team', repeat('é', 600)));
-- what people fill in and reports add up
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES ('2026-01-01', 1000000000000);
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES ('2026-01-01', 0.000000000000000000001);
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES ('2026-01-01', 'NaN');
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, amount) VALUES ('i', 'p', '2026-01-01', '2026-01-01', 'm', 'input_tokens', -1000000000000);
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, amount, quantity) VALUES ('i', 'p', '2026-01-01', '2026-01-01', 'm', 'input_tokens', 1, '6e131071');
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, amount, tolerance) VALUES ('i', 'p', '2026-01-01', '2026-01-01', 'm', 'input_tokens', 1, '6e131071');
INSERT INTO cost_ledger.revenue (earned_on, amount) VALUES ('5874897-12-31', 1);
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, amount) VALUES ('i', 'p', '2026-01-01', '294276-12-31', 'm', 'input_tokens', 1);
INSERT INTO cost_ledger.estimate (feature, first_month, inputs) VALUES ('f', '294276-12-01', '{}');
-- a correction that nobody computed
INSERT INTO cost_ledger.call (called_at, corrects, provider, model, pricing, cost) SELECT called_at, call_id, provider, model, 'priced', '1e60' FROM cost_ledger.call LIMIT 1;

--
-- The widest of everything, alone and together, a thousand times.
--
SELECT cost_ledger.set_price('p', 'wide', '{"input_tokens": {"price": 999999999999.99999999999999999999, "per": 1}, "output_tokens": {"price": 999999999999.99999999999999999999, "per": 1},
    "cache_read_tokens": {"price": 0.00000000000000000001, "per": 1000000000}, "seconds": {"price": 999999999999, "per": 1}, "requests": {"price": 999999999999, "per": 1}}', '2020-01-01', currency => 'EUR') > 0 AS is_set;
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2020-01-01', 999999999999.99999999999999999999);
SELECT cost_ledger.set_multiplier('p', 'dear', 999999.99999999999999999999, '2020-01-01');
CREATE TEMP TABLE label AS SELECT left(string_agg(md5(i::text), ''), 1024) AS name, left(string_agg(md5(i::text), ''), 512) AS id, repeat('"', 1024) AS quotes, repeat('🦀', 256) AS crabs FROM generate_series(1, 32) i;
CREATE TEMP TABLE wide AS
SELECT jsonb_build_object('input_tokens', 1000000000000, 'output_tokens', 1000000000000, 'cache_read_tokens', 1000000000000) AS usage,
       '{"other_usage": {"seconds": 1000000000000, "x": 999999999999.99999999999999999999}}'::jsonb AS other,
       '{"attempt": 2147483647, "retry_count": 2147483647, "tool_calls_count": 2147483647, "tool_calls": {"grep": 2147483647}, "input_parts": {"all": 1000000000000}, "accepted": true}'::jsonb AS counts,
       '{"duration_ms": 1.7e308}'::jsonb AS duration,
       '{"reported_cost": 999999999999.99999999999999999999, "avoided_cost": 999999999999.99999999999999999999, "score": -999999999999.99999999999999999999}'::jsonb AS reported,
       (SELECT jsonb_object_agg(k, l.quotes) FROM label l, unnest('{region,operation,status,team,feature,flow,customer,task_type,environment,cohort,api_key,agent,step,request_id,tool}'::text[]) k) AS quotes,
       (SELECT jsonb_object_agg(k, l.crabs) FROM label l, unnest('{region,operation,status,team,feature,flow,customer,task_type,environment,cohort,api_key,agent,step,request_id,tool}'::text[]) k) AS crabs,
       (SELECT jsonb_object_agg(k, l.name) FROM label l, unnest('{region,operation,status,team,feature,flow,customer,task_type,environment,cohort,api_key,agent,step,request_id,tool}'::text[]) k)
           || (SELECT jsonb_object_agg(k, l.id) FROM label l, unnest('{user_id,session_id,run_id,parent_run_id}'::text[]) k) || (SELECT jsonb_build_object('trace_url', repeat(l.name, 8)) FROM label l) AS names;
CREATE FUNCTION pg_temp.insert_call(sent jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO cost_ledger.call (%1$s) SELECT %1$s FROM jsonb_populate_record(NULL::cost_ledger.call, $1)', (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_object_keys(sent) k)) USING sent;
END
$$;
-- each by itself, and the other end of each
SELECT count(pg_temp.insert_call(jsonb_build_object('provider', 'p', 'model', 'wide', 'called_at', now() - interval '1 minute') || v.sent))
FROM wide w, LATERAL (VALUES (w.usage), (w.other), (w.usage || w.counts), (w.duration), (w.reported), (w.quotes), (w.crabs), (w.names),
                             (w.usage || '{"served_from": "response_cache"}'), (jsonb_build_object('called_at', '1970-01-01Z')), (jsonb_build_object('called_at', '2199-12-31 23:59:59.999999Z') || w.duration),
                             ('{"input_tokens": 0, "duration_ms": 5e-324, "reported_cost": 0.00000000000000000001, "other_usage": {"seconds": 0.000000000000000000000000000000000001}}'),
                             (jsonb_build_object('tags', jsonb_build_object('x', repeat('x', 1048000)))),
                             (jsonb_build_object('other_usage', (SELECT jsonb_object_agg('meter_' || i, 1000000000000) FROM generate_series(1, 20000) i))),
                             (jsonb_build_object('tool_calls', (SELECT jsonb_object_agg('tool_' || i, 1) FROM generate_series(1, 20000) i)))) AS v (sent);
-- all at once, in two teams and in none
SELECT count(pg_temp.insert_call(jsonb_build_object('provider', 'p', 'model', 'wide', 'called_at', now() - i * interval '1 second') || w.usage || w.other || w.counts || w.duration || w.reported
                                 || CASE WHEN i < 400 THEN w.names WHEN i < 800 THEN w.quotes || '{"run_id": "r", "session_id": "s", "user_id": "u"}' ELSE '{}' END))
FROM wide w, generate_series(1, 1000) i;
SELECT count(*), max(cost) > 1e40 AS dear, sum(cost) > 1e43 AS sum FROM cost_ledger.call WHERE model = 'wide' AND pricing IN ('priced', 'partial');
INSERT INTO cost_ledger.revenue (earned_on, feature, customer, amount) SELECT current_date, f.feature, f.feature, a.amount
FROM (SELECT name FROM label UNION ALL SELECT NULL) AS f (feature), (VALUES (999999999999.99999999999999999999), (-999999999999.99999999999999999999), (0.00000000000000000001)) AS a (amount);
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, quantity, amount, currency, tolerance)
SELECT 'i', 'p', current_date - 1, current_date, 'wide', m.meter, 999999999999999999.999999999999999999999999999999999999, a.amount, c.currency, 999999999999.99999999999999999999
FROM (VALUES ('input_tokens'), ('seconds'), ('requests')) AS m (meter), (VALUES (999999999999.99999999999999999999), (0.00000000000000000001)) AS a (amount), (VALUES ('EUR'), ('USD'), (NULL)) AS c (currency);
SELECT count(cost_ledger.set_budget(format('%s %s %s', m.metric, p.period, a.amount), s.scope, p.period, a.amount, metric => m.metric, each_of => s.each_of, period_length => CASE p.period WHEN 'rolling' THEN interval '1 day' END))
FROM (VALUES ('cost'), ('tokens'), ('calls'), ('tool_calls'), ('turns')) AS m (metric), (VALUES ('minute'), ('hour'), ('month'), ('total'), ('run'), ('rolling')) AS p (period),
     (VALUES (1e-30), (1e30)) AS a (amount), (SELECT '{}'::jsonb, 'team' UNION ALL SELECT jsonb_build_object('provider', 'p', 'team', name), NULL FROM label LIMIT 2) AS s (scope, each_of)
WHERE s.each_of IS NULL OR p.period <> 'run';
SELECT count(r.decision) FROM wide w, label l, generate_series(1, 3) i,
    LATERAL cost_ledger.reserve('k' || i, jsonb_build_object('team', l.name, 'run_id', l.id, 'customer', l.quotes), estimate => CASE i WHEN 1 THEN 1e30 WHEN 2 THEN 1e-100 END, provider => 'p', model => 'wide', input_tokens => 1000000000000, max_output_tokens => 1000000000000) r;
SELECT count(*) FROM cost_ledger.estimate_feature_cost((SELECT name FROM label), 'p', 'wide', 1e9, 100, 1e6, 1e6, 1e6, revenue_per_user => 1e6, save => true);

-- every view whole, every function that has an answer without arguments, and the rest by hand
CREATE TABLE public.failure (what text, error text);
CREATE PROCEDURE pg_temp.ask_everything() LANGUAGE plpgsql AS $$
DECLARE
    question text;
    asked bigint := 0;
BEGIN
    FOR question IN
        SELECT format('SELECT count(x::text) FROM %s x', c.oid::regclass)
        FROM pg_class c
        WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
        UNION ALL
        SELECT format('SELECT count(x::text) FROM %s() x', p.oid::regproc)
        FROM pg_proc p
        WHERE p.pronamespace = 'cost_ledger'::regnamespace AND p.prokind = 'f' AND p.pronargs = p.pronargdefaults AND p.provolatile = 's'
        UNION ALL
        SELECT q FROM unnest(ARRAY[
            'SELECT count(x::text) FROM cost_ledger.what_if(now() - interval ''1 day'', now() + interval ''1 day'', ''[{"from": {"provider": "p"}, "to": {"provider": "p", "model": "wide"}}]'') x',
            'SELECT count(x::text) FROM cost_ledger.rerate(now() - interval ''1 day'', now() + interval ''1 day'', ''{}'') x',
            'SELECT count(x::text) FROM cost_ledger.billed_meters(now() - interval ''1 day'', now() + interval ''1 day'') x',
            'SELECT count(x::text) FROM label l, unnest(''{user,run,session,customer,call}''::text[]) s, cost_ledger.feature_cost_sample(l.name, now() - interval ''1 day'', now() + interval ''1 day'', s) x',
            'SELECT count(x::text) FROM wide w, cost_ledger.explain_cost(now(), ''p'', ''wide'', w.usage || (w.other -> ''other_usage'')) x',
            'SELECT sum(cost_ledger.cost_at(now(), ''p'', ''wide'', w.usage || (w.other -> ''other_usage''))) FROM wide w',
            'SELECT cost_ledger.quantile(cost_ledger.summarize(cost), 0.95) + cost_ledger.mean(cost_ledger.summarize(cost)) FROM cost_ledger.call',
            'SELECT count(x::text) FROM (SELECT cost_ledger.summarize(cost) AS s FROM cost_ledger.call) c, cost_ledger.histogram(c.s) x',
            'SELECT count(cost_ledger.partition_digest(p.relation)) FROM cost_ledger_internal.partitions() p WHERE p.relation IS NOT NULL',
            'SELECT cost_ledger.check_budgets()',
            'SELECT cost_ledger.check_rules()']) q
    LOOP
        BEGIN
            EXECUTE question;
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO public.failure VALUES (question, SQLSTATE || ': ' || SQLERRM);
        END;
        asked := asked + 1;
    END LOOP;
    INSERT INTO public.failure SELECT 'rule ' || r.name, r.last_error FROM cost_ledger.alert_rule r WHERE r.last_error IS NOT NULL;
    RAISE NOTICE 'asked more than 100: %', asked > 100;
END
$$;
SET client_min_messages = notice;
CALL pg_temp.ask_everything();
CALL cost_ledger.refresh();
CALL pg_temp.ask_everything();
CALL cost_ledger.run_jobs();
SELECT * FROM public.failure;
SELECT name, last_error FROM cost_ledger.job_status WHERE is_failing;
SELECT unconsumed_rows, quarantined_calls FROM cost_ledger.rollup_status;
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT count(*) AS differences FROM cost_ledger.check_balances();
SELECT cost_ledger.rebuild_rollups();
-- corrections and re-ratings of it stay in range too
SELECT count(cost_ledger.correct_call(c.called_at, c.call_id, '{"input_tokens": 0}', 'was nothing')) FROM (SELECT * FROM cost_ledger.call WHERE model = 'wide' AND pricing = 'priced' ORDER BY call_id LIMIT 3) c;
SELECT count(cost_ledger.correct_call(c.called_at, c.call_id, w.usage || '{"seconds": 1000000000000}', 'was much')) FROM wide w, (SELECT * FROM cost_ledger.call WHERE model = 'wide' AND corrects IS NULL ORDER BY call_id LIMIT 3) c;
SELECT cost_ledger.set_price('p', 'wide', '{"input_tokens": {"price": 999999999999.99999999999999999999, "per": 1}, "output_tokens": 1, "x": {"price": 999999999999, "per": 1}}', '2021-01-01', currency => 'EUR') > 0 AS is_set;
SELECT count(*) > 0 AS rerated FROM cost_ledger.rerate(now() - interval '1 day', now() + interval '1 day', '{}', true, 'dearer');
-- and what is moved or taken back
SELECT count(*) > 0 AS moved FROM cost_ledger.reattribute('{}'::jsonb, jsonb_build_object('team', repeat('t', 2000), 'run_id', repeat('r', 2000), 'trace_url', repeat('u', 8192)), 'wide', dry_run => false);
SELECT count(cost_ledger.void_call(c.called_at, c.call_id, repeat('why', 2000))) FROM (SELECT * FROM cost_ledger.call WHERE corrects IS NULL ORDER BY call_id LIMIT 3) c;
SELECT count(e::text) > 0 AS explained FROM cost_ledger.call_detail c CROSS JOIN LATERAL cost_ledger.explain_call(c.call_id) e;
CALL cost_ledger.refresh();
CALL pg_temp.ask_everything();
SELECT * FROM public.failure;
SELECT unconsumed_rows, quarantined_calls FROM cost_ledger.rollup_status;
SELECT count(*) AS differences FROM cost_ledger.check_rollups();
SELECT cost_ledger.drop_ledger(i_mean_it => true);
