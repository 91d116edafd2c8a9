-- One call in a transaction of its own; @TABLE@ is filled in by run.  A warm
-- session notes what it has had of the processor, and again at its end.
\set n :n + 1
\set second random(0, 5270399)
\set team random(1, 12)
\set customer random(1, 300)
\set user random(1, 10000)
\set input random(200, 20000)
\set cached random(0, 200)
\set output random(20, 1500)
INSERT INTO @TABLE@ (called_at, provider, model, input_tokens, cache_read_tokens, output_tokens, duration_ms,
    team, feature, customer, task_type, environment, user_id, session_id, run_id, operation, status)
VALUES (timestamptz '2026-09-01 00:00:00+00' + :second * interval '1 second', 'anthropic', 'claude-sonnet-4-5', :input, :cached, :output, 1800,
    'team-' || :team::integer, 'feature-' || :team::integer, 'customer-' || :customer::integer, 'answer', 'production', 'user-' || :user::integer,
    gen_random_uuid()::text, gen_random_uuid()::text, 'primary', 'success');
\if :n = 500 or :n = :transactions
INSERT INTO processor_time SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint;
\endif
