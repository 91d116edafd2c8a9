-- The same calls, each with its provider's usage object as it came.
COPY (
    SELECT timestamptz '2026-09-01 00:00:00+00' + i * interval '61 days' / :rows AS called_at,
           CASE WHEN i % 3 = 0 THEN 'openai' ELSE 'anthropic' END,
           CASE WHEN i % 3 <> 0 THEN 'claude-sonnet-4-5' WHEN i % 2 = 0 THEN 'gpt-5' ELSE 'gpt-5-mini' END,
           CASE WHEN i % 3 <> 0
                THEN format('{"input_tokens": %s, "cache_read_input_tokens": %s, "cache_creation_input_tokens": 0, "output_tokens": %s, "service_tier": "standard"}',
                            1000 + (i * 7919) % 20000, (i * 104729) % 1000, 50 + (i * 31) % 1500)
                ELSE format('{"prompt_tokens": %s, "completion_tokens": %s, "total_tokens": %s, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}',
                            1000 + (i * 7919) % 20000, 50 + (i * 31) % 1500, 1050 + (i * 7919) % 20000 + (i * 31) % 1500)
           END,
           'team-' || i % 12, 'feature-' || i % 40, 'customer-' || i % 300, 'task-' || i % 9,
           'user-' || (i * 13) % 5000, md5((i / 20)::text), 'primary', 'success'
    FROM generate_series(0::bigint, :rows - 1) AS i
) TO STDOUT WITH (FORMAT csv);
