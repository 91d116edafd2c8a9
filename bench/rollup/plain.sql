-- What anybody would write instead of refresh(): one statement for each rollup,
-- sums and counts only, into tables with the same columns and indexes.  They
-- are spared everything else: summaries, the labels of runs and sessions and their
-- place, what to do with a row that is there, which calls are new, and finding keys
-- for labels that have none yet (rollup_key and rollup_label are filled before).
CREATE SCHEMA plain;
CREATE TABLE plain.minute (LIKE cost_ledger_internal.rollup_minute INCLUDING ALL);
CREATE TABLE plain.hour (LIKE cost_ledger_internal.rollup_hour INCLUDING ALL);
CREATE TABLE plain.day (LIKE cost_ledger_internal.rollup_day INCLUDING ALL);
CREATE TABLE plain.month (LIKE cost_ledger_internal.rollup_month INCLUDING ALL);
CREATE TABLE plain.total_day (LIKE cost_ledger_internal.rollup_total_day INCLUDING ALL);
CREATE TABLE plain.total_week (LIKE cost_ledger_internal.rollup_total_week INCLUDING ALL);
CREATE TABLE plain.total_month (LIKE cost_ledger_internal.rollup_total_month INCLUDING ALL);
CREATE TABLE plain.run (LIKE cost_ledger_internal.rollup_run INCLUDING ALL);
CREATE TABLE plain.session (LIKE cost_ledger_internal.rollup_session INCLUDING ALL);
CREATE TABLE plain.run_day (LIKE cost_ledger_internal.rollup_run_day INCLUDING ALL);
CREATE TABLE plain.user_day (LIKE cost_ledger_internal.rollup_user_day INCLUDING ALL);
CREATE TABLE plain.user_month (LIKE cost_ledger_internal.rollup_user_month INCLUDING ALL);

CREATE PROCEDURE plain.refresh() LANGUAGE plpgsql
    SET jit = off
AS $$
DECLARE
    -- The same key for the same labels, found once per group.
    key_of text := 'JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = cost_ledger_internal.labels_fingerprint('
        || (SELECT string_agg('c.' || label, ', ')
            FROM unnest('{team,feature,customer,flow,task_type,environment,provider,model,service_class,operation,status,served_from}'::text[]) AS label)
        || ')';
    labels text := 'c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, c.service_class, c.operation, c.status, c.served_from';
    tokens text := 'coalesce(sum(c.input_tokens), 0) AS input_tokens,
        coalesce(sum(c.cache_read_tokens), 0) AS cache_read_tokens,
        coalesce(sum(c.cache_write_tokens), 0) AS cache_write_tokens,
        coalesce(sum(c.cache_write_1h_tokens), 0) AS cache_write_1h_tokens,
        coalesce(sum(c.output_tokens), 0) AS output_tokens,
        coalesce(sum(c.reasoning_tokens), 0) AS reasoning_tokens';
    token_columns text := 'input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens';
    bucket record;
BEGIN
    PERFORM set_config('work_mem', greatest(pg_size_bytes(current_setting('work_mem')), 64 * 1024 * 1024) / 1024 || 'kB', true);

    EXECUTE 'INSERT INTO plain.minute (minute, key_id, calls, unpriced_calls, tool_calls, input_tokens, output_tokens, cost)
        SELECT c.minute, k.key_id, c.calls, c.unpriced_calls, c.tool_calls, c.input_tokens, c.output_tokens, c.cost
        FROM (SELECT date_trunc(''minute'', c.called_at) AS minute, ' || labels || ',
                     count(*) FILTER (WHERE c.corrects IS NULL) AS calls,
                     count(*) FILTER (WHERE c.pricing IN (''unpriced'', ''partial'')) AS unpriced_calls,
                     coalesce(sum(c.tool_calls_count), 0) AS tool_calls,
                     coalesce(sum(c.input_tokens), 0) AS input_tokens,
                     coalesce(sum(c.output_tokens), 0) AS output_tokens,
                     sum(c.cost) AS cost
              FROM cost_ledger.call c
              WHERE c.called_at >= ' || quote_literal((SELECT s.minutes_from FROM cost_ledger_internal.rollup_state s)) || '
              GROUP BY 1, ' || labels || ') c ' || key_of;

    FOR bucket IN VALUES ('hour', 'date_trunc(''hour'', c.called_at, ''UTC'')', ' WHERE c.called_at >= ' || quote_literal((SELECT s.hours_from FROM cost_ledger_internal.rollup_state s))),
                         ('day', '(c.called_at AT TIME ZONE ''UTC'')::date', '') LOOP
        EXECUTE 'INSERT INTO plain.' || bucket.column1 || ' (' || bucket.column1 || ', key_id, calls, priced_calls, unpriced_calls, corrections, retries, tool_calls,
                accepted_calls, rejected_calls, ' || token_columns || ', cost, adjustment_cost, reported_cost, cost_without_run)
            SELECT c.bucket, k.key_id, c.calls, c.priced_calls, c.unpriced_calls, c.corrections, c.retries, c.tool_calls,
                   c.accepted_calls, c.rejected_calls, ' || token_columns || ', c.cost, c.adjustment_cost, c.reported_cost, c.cost_without_run
            FROM (SELECT ' || bucket.column2 || ' AS bucket, ' || labels || ',
                         count(*) FILTER (WHERE c.corrects IS NULL) AS calls,
                         count(c.cost) AS priced_calls,
                         count(*) FILTER (WHERE c.pricing IN (''unpriced'', ''partial'')) AS unpriced_calls,
                         count(c.corrects) AS corrections,
                         count(*) FILTER (WHERE c.operation = ''retry'') + coalesce(sum(c.retry_count), 0) AS retries,
                         coalesce(sum(c.tool_calls_count), 0) AS tool_calls,
                         count(*) FILTER (WHERE c.accepted) AS accepted_calls,
                         count(*) FILTER (WHERE NOT c.accepted) AS rejected_calls,
                         ' || tokens || ',
                         sum(c.cost) AS cost,
                         sum(c.cost) FILTER (WHERE c.corrects IS NOT NULL) AS adjustment_cost,
                         sum(c.reported_cost) AS reported_cost,
                         sum(c.cost) FILTER (WHERE c.run_id IS NULL) AS cost_without_run
                  FROM cost_ledger.call c' || bucket.column3 || '
                  GROUP BY 1, ' || labels || ') c ' || key_of;
    END LOOP;

    EXECUTE 'INSERT INTO plain.month (month, key_id, calls, priced_calls, unpriced_calls, corrections, retries, tool_calls,
            accepted_calls, rejected_calls, ' || token_columns || ', cost, adjustment_cost, reported_cost, cost_without_run)
        SELECT date_trunc(''month'', d.day::timestamp)::date, d.key_id, sum(d.calls), sum(d.priced_calls), sum(d.unpriced_calls), sum(d.corrections),
               sum(d.retries), sum(d.tool_calls), sum(d.accepted_calls), sum(d.rejected_calls), ' || regexp_replace(token_columns, '(\w+)', 'sum(d.\1)', 'g') || ',
               sum(d.cost), sum(d.adjustment_cost), sum(d.reported_cost), sum(d.cost_without_run)
        FROM plain.day d
        GROUP BY 1, d.key_id';

    FOR bucket IN VALUES ('day', '(c.called_at AT TIME ZONE ''UTC'')::date') LOOP
        EXECUTE 'INSERT INTO plain.total_' || bucket.column1 || ' (' || bucket.column1 || ', label_id, calls, priced_calls, unpriced_calls, corrections, retries, tool_calls,
                accepted_calls, rejected_calls, ' || token_columns || ', cost, adjustment_cost, reported_cost, cost_without_run)
            SELECT c.bucket, k.label_id, c.calls, c.priced_calls, c.unpriced_calls, c.corrections, c.retries, c.tool_calls,
                   c.accepted_calls, c.rejected_calls, ' || token_columns || ', c.cost, c.adjustment_cost, c.reported_cost, c.cost_without_run
            FROM (SELECT ' || bucket.column2 || ' AS bucket,
                         CASE WHEN GROUPING(c.feature) = 0 THEN ''feature'' WHEN GROUPING(c.model) = 0 THEN ''model'' WHEN GROUPING(c.team) = 0 THEN ''team''
                              WHEN GROUPING(c.customer) = 0 THEN ''customer'' WHEN GROUPING(c.flow) = 0 THEN ''flow'' WHEN GROUPING(c.task_type) = 0 THEN ''task_type''
                              WHEN GROUPING(c.environment) = 0 THEN ''environment'' WHEN GROUPING(c.provider) = 0 THEN ''provider''
                              WHEN GROUPING(c.service_class) = 0 THEN ''service_class'' WHEN GROUPING(c.operation) = 0 THEN ''operation''
                              WHEN GROUPING(c.status) = 0 THEN ''status'' WHEN GROUPING(c.served_from) = 0 THEN ''served_from'' WHEN GROUPING(c.agent) = 0 THEN ''agent''
                              WHEN GROUPING(c.step) = 0 THEN ''step'' WHEN GROUPING(c.tool) = 0 THEN ''tool'' WHEN GROUPING(c.api_key) = 0 THEN ''api_key''
                              WHEN GROUPING(c.cohort) = 0 THEN ''cohort'' ELSE ''all'' END AS label,
                         -- Of features and models there is more than one column.
                         CASE WHEN GROUPING(c.feature) = 0 THEN c.feature WHEN GROUPING(c.model) = 0 THEN c.model
                              ELSE coalesce(c.team, c.customer, c.flow, c.task_type, c.environment, c.provider, c.service_class, c.operation, c.status,
                                            c.served_from, c.agent, c.step, c.tool, c.api_key, c.cohort) END AS value,
                         CASE WHEN GROUPING(c.model) = 0 THEN c.provider END AS provider, CASE WHEN GROUPING(c.model) = 0 THEN c.service_class END AS service_class,
                         CASE WHEN GROUPING(c.feature) = 0 THEN c.served_from END AS served_from,
                         count(*) FILTER (WHERE c.corrects IS NULL) AS calls,
                         count(c.cost) AS priced_calls,
                         count(*) FILTER (WHERE c.pricing IN (''unpriced'', ''partial'')) AS unpriced_calls,
                         count(c.corrects) AS corrections,
                         count(*) FILTER (WHERE c.operation = ''retry'') + coalesce(sum(c.retry_count), 0) AS retries,
                         coalesce(sum(c.tool_calls_count), 0) AS tool_calls,
                         count(*) FILTER (WHERE c.accepted) AS accepted_calls,
                         count(*) FILTER (WHERE NOT c.accepted) AS rejected_calls,
                         ' || tokens || ',
                         sum(c.cost) AS cost,
                         sum(c.cost) FILTER (WHERE c.corrects IS NOT NULL) AS adjustment_cost,
                         sum(c.reported_cost) AS reported_cost,
                         sum(c.cost) FILTER (WHERE c.run_id IS NULL) AS cost_without_run
                  FROM cost_ledger.call c
                  GROUP BY 1, GROUPING SETS ((), (c.team), (c.feature, c.served_from), (c.customer), (c.flow), (c.task_type), (c.environment), (c.provider),
                      (c.model, c.provider, c.service_class), (c.service_class), (c.operation), (c.status), (c.served_from),
                      (c.agent), (c.step), (c.tool), (c.api_key), (c.cohort))) c
            JOIN cost_ledger_internal.rollup_label k
              ON k.fingerprint = cost_ledger_internal.labels_fingerprint(c.label, c.value, c.provider, c.service_class, c.served_from, NULL, NULL)';
    END LOOP;

    FOR bucket IN VALUES ('week', 'd.day - (d.day - date ''1900-01-01'') % 7'), ('month', 'date_trunc(''month'', d.day::timestamp)::date') LOOP
        EXECUTE 'INSERT INTO plain.total_' || bucket.column1 || ' (' || bucket.column1 || ', label_id, calls, priced_calls, unpriced_calls, corrections, retries, tool_calls,
                accepted_calls, rejected_calls, ' || token_columns || ', cost, adjustment_cost, reported_cost, cost_without_run)
            SELECT ' || bucket.column2 || ', d.label_id, sum(d.calls), sum(d.priced_calls), sum(d.unpriced_calls), sum(d.corrections),
                   sum(d.retries), sum(d.tool_calls), sum(d.accepted_calls), sum(d.rejected_calls), ' || regexp_replace(token_columns, '(\w+)', 'sum(d.\1)', 'g') || ',
                   sum(d.cost), sum(d.adjustment_cost), sum(d.reported_cost), sum(d.cost_without_run)
            FROM plain.total_day d
            GROUP BY 1, d.label_id';
    END LOOP;

    FOR bucket IN VALUES ('run'), ('session') LOOP
        EXECUTE 'INSERT INTO plain.' || bucket.column1 || ' (' || bucket.column1 || '_id, started_at, started_on, ended_at, calls, turns, failed_calls, unpriced_calls, retries, fallbacks,
                tool_calls, accepted_calls, rejected_calls, ' || token_columns || ', cost, adjustment_cost)
            SELECT c.' || bucket.column1 || '_id, min(c.called_at), (min(c.called_at) AT TIME ZONE ''UTC'')::date, max(c.called_at),
                   count(*) FILTER (WHERE c.corrects IS NULL),
                   count(*) FILTER (WHERE c.corrects IS NULL AND coalesce(c.operation, ''primary'') IN (''primary'', ''subagent'')),
                   count(*) FILTER (WHERE c.status <> ''success''),
                   count(*) FILTER (WHERE c.pricing IN (''unpriced'', ''partial'')),
                   count(*) FILTER (WHERE c.operation = ''retry'') + coalesce(sum(c.retry_count), 0),
                   count(*) FILTER (WHERE c.operation = ''fallback''),
                   coalesce(sum(c.tool_calls_count), 0),
                   count(*) FILTER (WHERE c.accepted),
                   count(*) FILTER (WHERE NOT c.accepted),
                   ' || tokens || ',
                   sum(c.cost), sum(c.cost) FILTER (WHERE c.corrects IS NOT NULL)
            FROM cost_ledger.call c
            WHERE c.' || bucket.column1 || '_id IS NOT NULL
            GROUP BY c.' || bucket.column1 || '_id';
    END LOOP;

    INSERT INTO plain.run_day (day, runs, cost, max_cost)
    SELECT r.started_on, count(*), sum(r.cost), max(r.cost)
    FROM plain.run r
    GROUP BY r.started_on;

    INSERT INTO plain.user_day (day, user_id, calls, unpriced_calls, input_tokens, output_tokens, cost)
    SELECT (c.called_at AT TIME ZONE 'UTC')::date, c.user_id,
           count(*) FILTER (WHERE c.corrects IS NULL),
           count(*) FILTER (WHERE c.pricing IN ('unpriced', 'partial')),
           coalesce(sum(c.input_tokens), 0),
           coalesce(sum(c.output_tokens), 0),
           sum(c.cost)
    FROM cost_ledger.call c
    GROUP BY 1, c.user_id;

    INSERT INTO plain.user_month (month, user_id, calls, unpriced_calls, input_tokens, output_tokens, cost)
    SELECT date_trunc('month', d.day)::date, d.user_id, sum(d.calls), sum(d.unpriced_calls), sum(d.input_tokens), sum(d.output_tokens), sum(d.cost)
    FROM plain.user_day d
    GROUP BY 1, d.user_id;
END
$$;

-- Nothing in the rollups: refresh() may do it all again.  Keys stay.
-- All that refresh() makes, but for the keys.
CREATE PROCEDURE empty_cost_ledger(snapshot pg_snapshot) LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL cost_ledger.allow_drop = on;
    EXECUTE (SELECT 'TRUNCATE ' || string_agg(c.oid::regclass::text, ', ')
             FROM pg_class c
             WHERE c.relnamespace = 'cost_ledger_internal'::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'rollup\_%'
               AND c.relname NOT IN ('rollup_state', 'rollup_key', 'rollup_label'));
    UPDATE cost_ledger_internal.rollup_state s SET snapshot = empty_cost_ledger.snapshot, rows_consumed = 0, batches = 0;
END
$$;

CREATE PROCEDURE empty_plain(snapshot pg_snapshot) LANGUAGE sql AS $$
    TRUNCATE plain.minute, plain.hour, plain.day, plain.month, plain.total_day, plain.total_week, plain.total_month, plain.run, plain.run_day, plain.session, plain.user_day, plain.user_month;
$$;
