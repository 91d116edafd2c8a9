-- Calls of two months, two of three with cache reads.
COPY (
    SELECT timestamptz '2026-09-01 00:00:00+00' + i * interval '61 days' / :rows AS called_at,
           CASE WHEN i % 3 = 0 THEN 'openai' ELSE 'anthropic' END,
           CASE WHEN i % 3 <> 0 THEN 'claude-sonnet-4-5' WHEN i % 2 = 0 THEN 'gpt-5' ELSE 'gpt-5-mini' END,
           1000 + (i * 7919) % 20000,
           CASE WHEN i % 3 <> 0 THEN (i * 104729) % 1000 END,
           50 + (i * 31) % 1500,
           'team-' || i % 12, 'feature-' || i % 40, 'customer-' || i % 300, 'task-' || i % 9,
           'user-' || (i * 13) % 5000, md5((i / 20)::text), 'primary', 'success'
    FROM generate_series(0::bigint, :rows - 1) AS i
) TO STDOUT WITH (FORMAT csv);
