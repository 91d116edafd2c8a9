-- How it is proved that the rollups are what the calls add up to.
--
-- Everything is made anew from the calls, by the view consumed_measure, in SQL, by
-- GROUP BY, and held against what is stored.  Nothing here makes rollups, but for
-- rebuild_rollups(), which writes down what was found.  Rows are compared as JSON,
-- NULLs left out, so that all rollups are compared alike.

CREATE FUNCTION cost_ledger_internal.checked_range(unit text, range_start timestamptz, range_end timestamptz) RETURNS tstzrange
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT tstzrange(cost_ledger_internal.period_start(unit, range_start, l.time_zone),
                     CASE WHEN isfinite(range_end) AND range_end <> cost_ledger_internal.period_start(unit, range_end, l.time_zone)
                          THEN cost_ledger_internal.day_start((date_trunc(unit, range_end AT TIME ZONE l.time_zone) + ('1 ' || unit)::interval)::date, l.time_zone)
                          ELSE range_end END)
    FROM cost_ledger.ledger l
$$;

COMMENT ON FUNCTION cost_ledger_internal.checked_range(text, timestamptz, timestamptz) IS
    'A range of time, made whole days, weeks or months of the reporting zone.';

-- PL/pgSQL, which plans anew when a partition has been dropped.
CREATE FUNCTION cost_ledger_internal.kept_times(rollup text) RETURNS tstzmultirange
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept_from timestamptz;
BEGIN
    -- Nothing whose calls are gone, dropped or vanished; nothing that has been
    -- removed from the rollup for its age.
    SELECT greatest(s.calls_from, CASE rollup WHEN 'minute' THEN s.minutes_from WHEN 'hour' THEN s.hours_from
                                              WHEN 'day' THEN cost_ledger_internal.day_start(s.days_from, l.time_zone) END)
        INTO kept_from
        FROM cost_ledger_internal.rollup_state s, cost_ledger.ledger l;
    RETURN tstzmultirange(tstzrange(kept_from, NULL))
           - coalesce((SELECT range_agg(tstzrange(v.range_start, v.range_end))
                       FROM cost_ledger_internal.vanished_month v WHERE v.range_end > kept_from), '{}');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.kept_times(text) IS
    'The times of which a rollup can be held against calls.';

CREATE FUNCTION cost_ledger_internal.expected_cube(unit text, wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(unit, CASE unit WHEN 'hour' THEN to_jsonb(e.bucket) ELSE to_jsonb((e.bucket AT TIME ZONE l.time_zone)::date) END,
                              'key_id', k.key_id),
           jsonb_strip_nulls(to_jsonb(e)) - '{bucket,team,feature,customer,flow,task_type,environment,provider,model,service_class,operation,status,served_from}'::text[]
    FROM (
        SELECT CASE unit WHEN 'hour' THEN cost_ledger_internal.hour_start(m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l))
                         ELSE date_trunc(unit, m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)) END AS bucket,
               m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status,
               m.served_from,
               sum(m.calls) AS calls, nullif(sum(m.priced_calls), 0) AS priced_calls, nullif(sum(m.unpriced_calls), 0) AS unpriced_calls,
               nullif(sum(m.corrections), 0) AS corrections, nullif(sum(m.retries), 0) AS retries, nullif(sum(m.tool_calls), 0) AS tool_calls,
               nullif(sum(m.accepted_calls), 0) AS accepted_calls, nullif(sum(m.rejected_calls), 0) AS rejected_calls,
               nullif(sum(m.scored_calls), 0) AS scored_calls, nullif(sum(m.input_tokens), 0) AS input_tokens,
               nullif(sum(m.cache_read_tokens), 0) AS cache_read_tokens, nullif(sum(m.cache_write_tokens), 0) AS cache_write_tokens,
               nullif(sum(m.cache_write_1h_tokens), 0) AS cache_write_1h_tokens, nullif(sum(m.output_tokens), 0) AS output_tokens,
               nullif(sum(m.reasoning_tokens), 0) AS reasoning_tokens, sum(m.cost) AS cost, sum(m.cache_read_cost) AS cache_read_cost,
               sum(m.cache_write_cost) AS cache_write_cost, sum(m.output_cost) AS output_cost, sum(m.reasoning_cost) AS reasoning_cost, sum(m.other_cost) AS other_cost,
               sum(m.adjustment_cost) AS adjustment_cost, sum(m.reported_cost) AS reported_cost, sum(m.cost_without_run) AS cost_without_run,
               sum(m.avoided_cost) AS avoided_cost, sum(m.prompt_cache_saving) AS prompt_cache_saving, sum(m.score) AS score,
               cost_ledger.summarize(m.call_cost)::text AS call_cost
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity')
        GROUP BY 1, m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status,
                 m.served_from) e
    CROSS JOIN cost_ledger.ledger l
    LEFT JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = cost_ledger_internal.labels_fingerprint(
        e.team, e.feature, e.customer, e.flow, e.task_type, e.environment, e.provider, e.model, e.service_class, e.operation, e.status,
        e.served_from)
    WHERE e.bucket <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_cube(text, tstzrange, tstzmultirange) IS
    'What rollup_hour, rollup_day or rollup_month should have of a range of time, where calls are kept.';

CREATE FUNCTION cost_ledger_internal.expected_minute(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('minute', e.minute, 'key_id', k.key_id),
           jsonb_strip_nulls(to_jsonb(e)) - '{minute,team,feature,customer,flow,task_type,environment,provider,model,service_class,operation,status,served_from}'::text[]
    FROM (
        SELECT date_trunc('minute', m.called_at, 'UTC') AS minute,
               m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status,
               m.served_from,
               sum(m.calls) AS calls, nullif(sum(m.unpriced_calls), 0) AS unpriced_calls, nullif(sum(m.tool_calls), 0) AS tool_calls,
               nullif(sum(m.input_tokens), 0) AS input_tokens, nullif(sum(m.output_tokens), 0) AS output_tokens, sum(m.cost) AS cost
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.called_at >= greatest(lower(wanted), lower(kept)) AND m.called_at < coalesce(upper(wanted), 'infinity')
        GROUP BY 1, m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status,
                 m.served_from) e
    LEFT JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = cost_ledger_internal.labels_fingerprint(
        e.team, e.feature, e.customer, e.flow, e.task_type, e.environment, e.provider, e.model, e.service_class, e.operation, e.status,
        e.served_from)
    WHERE e.minute <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_minute(tstzrange, tstzmultirange) IS
    'What rollup_minute should have of a range of time, where calls are kept.';

CREATE FUNCTION cost_ledger_internal.expected_subrun_month(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('month', (e.month AT TIME ZONE l.time_zone)::date, 'key_id', e.key_id), jsonb_strip_nulls(to_jsonb(e)) - '{month,key_id}'::text[]
    FROM (
        SELECT date_trunc('month', m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS month, k.key_id,
               sum(m.calls) AS calls, nullif(sum(m.unpriced_calls), 0) AS unpriced_calls,
               nullif(sum(m.output_tokens), 0) AS output_tokens, nullif(sum(m.reasoning_tokens), 0) AS reasoning_tokens,
               sum(m.cost) AS cost, sum(m.cache_read_cost) AS cache_read_cost, sum(m.cache_write_cost) AS cache_write_cost,
               sum(m.output_cost) AS output_cost, sum(m.reasoning_cost) AS reasoning_cost, sum(m.other_cost) AS other_cost,
               sum(m.adjustment_cost) AS adjustment_cost
        FROM cost_ledger_internal.consumed_measure m
        LEFT JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = cost_ledger_internal.labels_fingerprint(
            m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status, m.served_from)
        WHERE m.parent_run_id IS NOT NULL AND m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity')
        GROUP BY 1, k.key_id) e
    CROSS JOIN cost_ledger.ledger l
    WHERE e.month <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_subrun_month(tstzrange, tstzmultirange) IS
    'What rollup_subrun_month should have of a range of time, where calls are kept.';

CREATE FUNCTION cost_ledger_internal.expected_input_part_month(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    -- The parts of each call are sorted: what that costs where it is off would hide
    -- from the planner what all else costs.
    SET enable_sort = on
AS $$
    SELECT jsonb_build_object('month', (e.month AT TIME ZONE l.time_zone)::date, 'key_id', k.key_id, 'part', e.part), jsonb_strip_nulls(to_jsonb(e)) - '{month,fingerprint,part}'::text[]
    FROM (
        SELECT date_trunc('month', p.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS month,
               cost_ledger_internal.labels_fingerprint(
                   p.team, p.feature, p.customer, p.flow, p.task_type, p.environment, p.provider, p.model, p.service_class, p.operation, p.status, p.served_from) AS fingerprint,
               p.part, count(*) AS calls, count(p.cost) AS priced_calls, sum(p.input_tokens) AS input_tokens, sum(p.cost) AS cost
        FROM cost_ledger_internal.consumed_input_part p
        WHERE p.called_at >= lower(wanted) AND p.called_at < coalesce(upper(wanted), 'infinity')
        GROUP BY 1, 2, p.part) e
    CROSS JOIN cost_ledger.ledger l
    LEFT JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = e.fingerprint
    WHERE e.month <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_input_part_month(tstzrange, tstzmultirange) IS
    'What rollup_input_part_month should have of a range of time, where calls are kept.';

CREATE FUNCTION cost_ledger_internal.expected_total(unit text, wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(unit, (e.bucket AT TIME ZONE l.time_zone)::date, 'label_id', k.label_id),
           jsonb_strip_nulls(to_jsonb(e)) - '{bucket,label,value,provider,service_class,served_from,team,customer}'::text[]
    FROM (
        SELECT date_trunc(unit, m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS bucket,
               CASE WHEN GROUPING(m.feature) = 0 THEN 'feature'
                    WHEN GROUPING(m.model) = 0 THEN 'model'
                    WHEN GROUPING(m.team) = 0 THEN 'team'
                    WHEN GROUPING(m.customer) = 0 THEN 'customer'
                    WHEN GROUPING(m.flow) = 0 THEN 'flow'
                    WHEN GROUPING(m.task_type) = 0 THEN 'task_type'
                    WHEN GROUPING(m.environment) = 0 THEN 'environment'
                    WHEN GROUPING(m.provider) = 0 THEN 'provider'
                    WHEN GROUPING(m.service_class) = 0 THEN 'service_class'
                    WHEN GROUPING(m.operation) = 0 THEN 'operation'
                    WHEN GROUPING(m.status) = 0 THEN 'status'
                    WHEN GROUPING(m.served_from) = 0 THEN 'served_from'
                    WHEN GROUPING(m.agent) = 0 THEN 'agent'
                    WHEN GROUPING(m.step) = 0 THEN 'step'
                    WHEN GROUPING(m.tool) = 0 THEN 'tool'
                    WHEN GROUPING(m.api_key) = 0 THEN 'api_key'
                    WHEN GROUPING(m.cohort) = 0 THEN 'cohort'
                    ELSE 'all' END AS label,
               -- Of one set at most one of them is grouped by, but for those beside it.
               CASE WHEN GROUPING(m.feature) = 0 THEN m.feature WHEN GROUPING(m.model) = 0 THEN m.model WHEN GROUPING(m.team) = 0 THEN m.team WHEN GROUPING(m.customer) = 0 THEN m.customer WHEN GROUPING(m.flow) = 0 THEN m.flow WHEN GROUPING(m.task_type) = 0 THEN m.task_type WHEN GROUPING(m.environment) = 0 THEN m.environment WHEN GROUPING(m.provider) = 0 THEN m.provider WHEN GROUPING(m.service_class) = 0 THEN m.service_class WHEN GROUPING(m.operation) = 0 THEN m.operation WHEN GROUPING(m.status) = 0 THEN m.status WHEN GROUPING(m.served_from) = 0 THEN m.served_from WHEN GROUPING(m.agent) = 0 THEN m.agent WHEN GROUPING(m.step) = 0 THEN m.step WHEN GROUPING(m.tool) = 0 THEN m.tool WHEN GROUPING(m.api_key) = 0 THEN m.api_key WHEN GROUPING(m.cohort) = 0 THEN m.cohort END AS value,
               CASE WHEN GROUPING(m.model) = 0 THEN m.provider END AS provider, CASE WHEN GROUPING(m.model) = 0 THEN m.service_class END AS service_class,
               CASE WHEN GROUPING(m.feature) = 0 THEN m.served_from END AS served_from, NULL AS team, NULL AS customer,
               sum(m.calls) AS calls, nullif(sum(m.priced_calls), 0) AS priced_calls, nullif(sum(m.unpriced_calls), 0) AS unpriced_calls,
               nullif(sum(m.corrections), 0) AS corrections, nullif(sum(m.retries), 0) AS retries, nullif(sum(m.failed_calls), 0) AS failed_calls,
               nullif(sum(m.tool_calls), 0) AS tool_calls, nullif(sum(m.accepted_calls), 0) AS accepted_calls,
               nullif(sum(m.rejected_calls), 0) AS rejected_calls, nullif(sum(m.scored_calls), 0) AS scored_calls,
               nullif(sum(m.input_tokens), 0) AS input_tokens, nullif(sum(m.cache_read_tokens), 0) AS cache_read_tokens,
               nullif(sum(m.cache_write_tokens), 0) AS cache_write_tokens, nullif(sum(m.cache_write_1h_tokens), 0) AS cache_write_1h_tokens,
               nullif(sum(m.output_tokens), 0) AS output_tokens, nullif(sum(m.reasoning_tokens), 0) AS reasoning_tokens, sum(m.cost) AS cost,
               sum(m.cache_read_cost) AS cache_read_cost, sum(m.cache_write_cost) AS cache_write_cost, sum(m.output_cost) AS output_cost, sum(m.reasoning_cost) AS reasoning_cost,
               sum(m.other_cost) AS other_cost, sum(m.adjustment_cost) AS adjustment_cost, sum(m.reported_cost) AS reported_cost,
               sum(m.cost_without_run) AS cost_without_run, sum(m.avoided_cost) AS avoided_cost, sum(m.prompt_cache_saving) AS prompt_cache_saving, sum(m.score) AS score
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity')
        GROUP BY 1, GROUPING SETS ((), (m.team), (m.feature, m.served_from), (m.customer), (m.flow), (m.task_type), (m.environment), (m.provider),
                               (m.model, m.provider, m.service_class), (m.service_class), (m.operation), (m.status), (m.served_from), (m.agent), (m.step), (m.tool),
                               (m.api_key), (m.cohort))) e
    CROSS JOIN cost_ledger.ledger l
    LEFT JOIN cost_ledger_internal.rollup_label k ON k.fingerprint = cost_ledger_internal.labels_fingerprint(
        e.label, e.value, e.provider, e.service_class, e.served_from, e.team, e.customer)
    WHERE e.bucket <@ kept AND (unit <> 'week' OR e.bucket + interval '6 days 23 hours' <@ kept)
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_total(text, tstzrange, tstzmultirange) IS
    'What rollup_total_day, rollup_total_week or rollup_total_month should have of a range of time, where calls are kept, but for labels of payers.';

CREATE FUNCTION cost_ledger_internal.expected_payer_total(unit text, wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(unit, (e.bucket AT TIME ZONE l.time_zone)::date, 'label_id', k.label_id),
           jsonb_strip_nulls(to_jsonb(e)) - '{bucket,label,value,provider,service_class,served_from,team,customer}'::text[]
    FROM (
        SELECT date_trunc(unit, m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS bucket,
               CASE WHEN GROUPING(m.agent) = 0 THEN 'agent of payer' WHEN GROUPING(m.step) = 0 THEN 'step of payer' WHEN GROUPING(m.tool) = 0 THEN 'tool of payer' WHEN GROUPING(m.api_key) = 0 THEN 'api_key of payer' WHEN GROUPING(m.cohort) = 0 THEN 'cohort of payer' END AS label,
               -- Of one set at most one of them is grouped by, but for those beside it.
               CASE WHEN GROUPING(m.agent) = 0 THEN m.agent WHEN GROUPING(m.step) = 0 THEN m.step WHEN GROUPING(m.tool) = 0 THEN m.tool WHEN GROUPING(m.api_key) = 0 THEN m.api_key WHEN GROUPING(m.cohort) = 0 THEN m.cohort END AS value,
               NULL AS provider, NULL AS service_class, NULL AS served_from, m.team, m.customer,
               sum(m.calls) AS calls, nullif(sum(m.priced_calls), 0) AS priced_calls, nullif(sum(m.unpriced_calls), 0) AS unpriced_calls,
               nullif(sum(m.corrections), 0) AS corrections, nullif(sum(m.retries), 0) AS retries, nullif(sum(m.failed_calls), 0) AS failed_calls,
               nullif(sum(m.tool_calls), 0) AS tool_calls, nullif(sum(m.accepted_calls), 0) AS accepted_calls,
               nullif(sum(m.rejected_calls), 0) AS rejected_calls, nullif(sum(m.scored_calls), 0) AS scored_calls,
               nullif(sum(m.input_tokens), 0) AS input_tokens, nullif(sum(m.cache_read_tokens), 0) AS cache_read_tokens,
               nullif(sum(m.cache_write_tokens), 0) AS cache_write_tokens, nullif(sum(m.cache_write_1h_tokens), 0) AS cache_write_1h_tokens,
               nullif(sum(m.output_tokens), 0) AS output_tokens, nullif(sum(m.reasoning_tokens), 0) AS reasoning_tokens, sum(m.cost) AS cost,
               sum(m.cache_read_cost) AS cache_read_cost, sum(m.cache_write_cost) AS cache_write_cost, sum(m.output_cost) AS output_cost, sum(m.reasoning_cost) AS reasoning_cost,
               sum(m.other_cost) AS other_cost, sum(m.adjustment_cost) AS adjustment_cost, sum(m.reported_cost) AS reported_cost,
               sum(m.cost_without_run) AS cost_without_run, sum(m.avoided_cost) AS avoided_cost, sum(m.prompt_cache_saving) AS prompt_cache_saving, sum(m.score) AS score
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity')
        GROUP BY 1, GROUPING SETS ((m.agent, m.team, m.customer), (m.step, m.team, m.customer), (m.tool, m.team, m.customer), (m.api_key, m.team, m.customer),
                               (m.cohort, m.team, m.customer))) e
    CROSS JOIN cost_ledger.ledger l
    LEFT JOIN cost_ledger_internal.rollup_label k ON k.fingerprint = cost_ledger_internal.labels_fingerprint(
        e.label, e.value, e.provider, e.service_class, e.served_from, e.team, e.customer)
    WHERE e.bucket <@ kept AND (unit <> 'week' OR e.bucket + interval '6 days 23 hours' <@ kept)
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_payer_total(text, tstzrange, tstzmultirange) IS
    'What rollup_total_month should have of labels of payers.';

CREATE FUNCTION cost_ledger_internal.expected_user_day(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('day', (e.day AT TIME ZONE l.time_zone)::date, 'user_id', e.user_id),
           jsonb_strip_nulls(to_jsonb(e)) - '{day,user_id}'::text[]
    FROM (
        SELECT date_trunc('day', m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS day, m.user_id,
               sum(m.calls) AS calls, nullif(sum(m.unpriced_calls), 0) AS unpriced_calls, nullif(sum(m.input_tokens), 0) AS input_tokens,
               nullif(sum(m.output_tokens), 0) AS output_tokens, sum(m.cost) AS cost
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity')
        GROUP BY 1, m.user_id) e
    CROSS JOIN cost_ledger.ledger l
    WHERE e.day <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_user_day(tstzrange, tstzmultirange) IS
    'What rollup_user_day should have of a range of time, where calls are kept.';

CREATE FUNCTION cost_ledger_internal.expected_user_month(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('month', (e.month AT TIME ZONE l.time_zone)::date, 'user_id', e.user_id),
           jsonb_strip_nulls(to_jsonb(e)) - '{month,user_id}'::text[]
    FROM (
        SELECT date_trunc('month', m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS month, m.user_id,
               sum(m.calls) AS calls, nullif(sum(m.unpriced_calls), 0) AS unpriced_calls, nullif(sum(m.input_tokens), 0) AS input_tokens,
               nullif(sum(m.output_tokens), 0) AS output_tokens, sum(m.cost) AS cost
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity')
        GROUP BY 1, m.user_id) e
    CROSS JOIN cost_ledger.ledger l
    WHERE e.month <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_user_month(tstzrange, tstzmultirange) IS
    'What rollup_user_month should have of a range of time, where calls are kept.';

CREATE FUNCTION cost_ledger_internal.expected_user_feature_month(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('month', (e.month AT TIME ZONE l.time_zone)::date, 'user_id', e.user_id, 'feature', e.feature, 'cohort', e.cohort),
           jsonb_strip_nulls(to_jsonb(e)) - '{month,user_id,feature,cohort}'::text[]
    FROM (
        SELECT date_trunc('month', m.called_at, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS month, m.user_id, m.feature, m.cohort,
               sum(m.calls) AS calls, nullif(sum(m.unpriced_calls), 0) AS unpriced_calls, nullif(sum(m.input_tokens), 0) AS input_tokens,
               nullif(sum(m.output_tokens), 0) AS output_tokens, sum(m.cost) AS cost
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity')
        GROUP BY 1, m.user_id, m.feature, m.cohort) e
    CROSS JOIN cost_ledger.ledger l
    WHERE e.month <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_user_feature_month(tstzrange, tstzmultirange) IS
    'What rollup_user_feature_month should have of a range of time, where calls are kept.';

CREATE FUNCTION cost_ledger_internal.checked_runs(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (id text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Those that have a call in the range, or should; not those of which calls
    -- may be gone.
    SELECT w.id
    FROM (SELECT m.run_id AS id FROM cost_ledger.call m
          WHERE m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity') AND m.run_id IS NOT NULL
          UNION
          SELECT r.run_id FROM cost_ledger_internal.rollup_run r
          WHERE r.started_at >= lower(wanted) AND r.started_at < coalesce(upper(wanted), 'infinity')) w
    LEFT JOIN cost_ledger_internal.rollup_run r ON r.run_id = w.id
    WHERE r.run_id IS NULL OR tstzrange(r.started_at, greatest(r.ended_at, r.started_at), '[]') <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.checked_runs(tstzrange, tstzmultirange) IS
    'The runs that a range of time concerns, and all of whose calls can still be there.';

CREATE FUNCTION cost_ledger_internal.checked_sessions(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (id text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Those that have a call in the range, or should; not those of which calls
    -- may be gone.
    SELECT w.id
    FROM (SELECT m.session_id AS id FROM cost_ledger.call m
          WHERE m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity') AND m.session_id IS NOT NULL
          UNION
          SELECT r.session_id FROM cost_ledger_internal.rollup_session r
          WHERE r.started_at >= lower(wanted) AND r.started_at < coalesce(upper(wanted), 'infinity')) w
    LEFT JOIN cost_ledger_internal.rollup_session r ON r.session_id = w.id
    WHERE r.session_id IS NULL OR tstzrange(r.started_at, greatest(r.ended_at, r.started_at), '[]') <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.checked_sessions(tstzrange, tstzmultirange) IS
    'The sessions that a range of time concerns, and all of whose calls can still be there.';

CREATE FUNCTION cost_ledger_internal.circular_runs() RETURNS TABLE (run_id text, head text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Up from each run that says it is the head of a circle.
    WITH RECURSIVE walk (head, run_id) AS (
        SELECT r.run_id, r.parent_run_id
        FROM cost_ledger_internal.rollup_run r
        WHERE r.is_circular AND coalesce(r.root_run_id, r.run_id) = r.run_id AND r.parent_run_id IS NOT NULL
        UNION
        SELECT w.head, p.parent_run_id
        FROM walk w
        JOIN cost_ledger_internal.rollup_run p ON p.run_id = w.run_id
        WHERE w.run_id <> w.head AND p.parent_run_id IS NOT NULL
    )
    SELECT w.run_id, w.head
    FROM walk w
    JOIN (SELECT h.head FROM walk h GROUP BY h.head HAVING bool_or(h.run_id = h.head) AND min(h.run_id) = h.head) t ON t.head = w.head
$$;

COMMENT ON FUNCTION cost_ledger_internal.circular_runs() IS
    'The runs of circles of parents that rollup_run knows, each with the smallest of its circle.';

CREATE FUNCTION cost_ledger_internal.expected_run(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A run is one below its parent, but for the head of a circle: if that is true
    -- of all, all are where they belong.
    SELECT jsonb_build_object('run_id', e.run_id),
           jsonb_strip_nulls(to_jsonb(e) || jsonb_build_object(
               'root_run_id', CASE WHEN e.parent_run_id IS NOT NULL AND c.head IS DISTINCT FROM e.run_id THEN coalesce(p.root_run_id, e.parent_run_id)
                                   WHEN EXISTS (SELECT FROM cost_ledger_internal.rollup_run o WHERE o.parent_run_id = e.run_id AND o.run_id <> e.run_id) THEN e.run_id END,
               'depth', CASE WHEN e.parent_run_id IS NULL OR c.head = e.run_id THEN 0 ELSE coalesce(p.depth, 0) + 1 END,
               'is_circular', c.head IS NOT NULL)) - 'run_id'
    FROM (
        SELECT m.run_id COLLATE "C" AS run_id, min(m.parent_run_id COLLATE "C") AS parent_run_id, min(m.called_at) AS started_at,
               (min(m.called_at) AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS started_on, max(m.ended_at) AS ended_at,
               sum(m.calls) AS calls, nullif(sum(m.turns), 0) AS turns, nullif(sum(m.failed_calls), 0) AS failed_calls,
               nullif(sum(m.unpriced_calls), 0) AS unpriced_calls, nullif(sum(m.retries), 0) AS retries, nullif(sum(m.fallbacks), 0) AS fallbacks,
               nullif(sum(m.tool_calls), 0) AS tool_calls, nullif(sum(m.accepted_calls), 0) AS accepted_calls,
               nullif(sum(m.rejected_calls), 0) AS rejected_calls, nullif(sum(m.scored_calls), 0) AS scored_calls,
               nullif(sum(m.input_tokens), 0) AS input_tokens, nullif(sum(m.cache_read_tokens), 0) AS cache_read_tokens,
               nullif(sum(m.cache_write_tokens), 0) AS cache_write_tokens, nullif(sum(m.cache_write_1h_tokens), 0) AS cache_write_1h_tokens,
               nullif(sum(m.output_tokens), 0) AS output_tokens, nullif(sum(m.reasoning_tokens), 0) AS reasoning_tokens, sum(m.cost) AS cost,
               sum(m.adjustment_cost) AS adjustment_cost, sum(m.avoided_cost) AS avoided_cost, sum(m.score) AS score,
               min(m.trace_url COLLATE "C") AS trace_url,
               cost_ledger_internal.first_call(m.called_at, m.first_id, m.team, m.feature, m.customer, m.task_type, m.environment, m.user_id, m.agent, m.session_id)
                   FILTER (WHERE m.is_call) AS labels
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.run_id IN (SELECT w.id FROM cost_ledger_internal.checked_runs(wanted, kept) w)
        GROUP BY 1) e
    LEFT JOIN cost_ledger_internal.rollup_run p ON p.run_id = e.parent_run_id
    LEFT JOIN cost_ledger_internal.circular_runs() c ON c.run_id = e.run_id
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_run(tstzrange, tstzmultirange) IS
    'What rollup_run should have of the runs that a range of time concerns.';

CREATE FUNCTION cost_ledger_internal.expected_session(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('session_id', e.session_id),
           jsonb_strip_nulls(to_jsonb(e)) - 'session_id'
    FROM (
        SELECT m.session_id COLLATE "C" AS session_id, min(m.called_at) AS started_at,
               (min(m.called_at) AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date AS started_on, max(m.ended_at) AS ended_at,
               sum(m.calls) AS calls, nullif(sum(m.turns), 0) AS turns, nullif(sum(m.failed_calls), 0) AS failed_calls,
               nullif(sum(m.unpriced_calls), 0) AS unpriced_calls, nullif(sum(m.retries), 0) AS retries, nullif(sum(m.fallbacks), 0) AS fallbacks,
               nullif(sum(m.tool_calls), 0) AS tool_calls, nullif(sum(m.accepted_calls), 0) AS accepted_calls,
               nullif(sum(m.rejected_calls), 0) AS rejected_calls, nullif(sum(m.scored_calls), 0) AS scored_calls,
               nullif(sum(m.input_tokens), 0) AS input_tokens, nullif(sum(m.cache_read_tokens), 0) AS cache_read_tokens,
               nullif(sum(m.cache_write_tokens), 0) AS cache_write_tokens, nullif(sum(m.cache_write_1h_tokens), 0) AS cache_write_1h_tokens,
               nullif(sum(m.output_tokens), 0) AS output_tokens, nullif(sum(m.reasoning_tokens), 0) AS reasoning_tokens,
               nullif(sum(m.turn_input_tokens), 0) AS turn_input_tokens,
               min(m.turn_input_tokens) AS min_turn_input_tokens, max(m.turn_input_tokens) AS max_turn_input_tokens, sum(m.cost) AS cost,
               sum(m.adjustment_cost) AS adjustment_cost, sum(m.avoided_cost) AS avoided_cost, sum(m.score) AS score,
               min(m.trace_url COLLATE "C") AS trace_url,
               cost_ledger_internal.first_call(m.called_at, m.first_id, m.team, m.feature, m.customer, m.task_type, m.environment, m.user_id, m.agent, NULL)
                   FILTER (WHERE m.is_call) AS labels
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.session_id IN (SELECT w.id FROM cost_ledger_internal.checked_sessions(wanted, kept) w)
        GROUP BY 1) e
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_session(tstzrange, tstzmultirange) IS
    'What rollup_session should have of the sessions that a range of time concerns.';

CREATE FUNCTION cost_ledger_internal.expected_run_tree(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Of the runs as they are stored, which are checked themselves: all of them,
    -- since a tree has no time of its own.
    WITH member AS MATERIALIZED (
        SELECT coalesce(r.root_run_id, r.run_id) AS tree_id, r.depth AS level, r.* FROM cost_ledger_internal.rollup_run r
    ), level AS (
        SELECT v.tree_id,
               -- A run at the top that has no calls is a level all the same.
               CASE min(v.level) WHEN 0 THEN '{}' ELSE '{0}'::bigint[] END || array_agg(v.runs ORDER BY v.level) AS level_runs,
               CASE min(v.level) WHEN 0 THEN '{}' ELSE '{0}'::bigint[] END || array_agg(v.calls ORDER BY v.level) AS level_calls,
               CASE min(v.level) WHEN 0 THEN '{}' ELSE '{NULL}'::numeric[] END || array_agg(v.cost ORDER BY v.level) AS level_cost
        FROM (SELECT r.tree_id, r.level, count(*) AS runs, sum(r.calls)::bigint AS calls, sum(r.cost) AS cost FROM member r GROUP BY r.tree_id, r.level) v
        GROUP BY v.tree_id
    )
    SELECT jsonb_build_object('root_run_id', t.root_run_id),
           jsonb_strip_nulls(to_jsonb(t) || to_jsonb(l) || jsonb_build_object('started_on', (t.started_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date))
               - '{root_run_id,tree_id}'::text[]
    FROM (
        SELECT r.tree_id AS root_run_id,
               coalesce(min(r.started_at) FILTER (WHERE r.level = 0), min(r.started_at)) AS started_at, max(r.ended_at) AS ended_at, count(*) AS runs,
               max(r.level) AS depth, coalesce(sum(r.calls), 0)::bigint AS calls, coalesce(sum(r.turns), 0)::bigint AS turns,
               coalesce(sum(r.failed_calls), 0)::bigint AS failed_calls, coalesce(sum(r.unpriced_calls), 0)::bigint AS unpriced_calls,
               coalesce(sum(r.retries), 0)::bigint AS retries, coalesce(sum(r.fallbacks), 0)::bigint AS fallbacks,
               coalesce(sum(r.tool_calls), 0)::bigint AS tool_calls, coalesce(sum(r.accepted_calls), 0)::bigint AS accepted_calls,
               coalesce(sum(r.rejected_calls), 0)::bigint AS rejected_calls, coalesce(sum(r.input_tokens), 0) AS input_tokens,
               coalesce(sum(r.cache_read_tokens), 0) AS cache_read_tokens,
               coalesce(sum(r.cache_write_tokens), 0) + coalesce(sum(r.cache_write_1h_tokens), 0) AS cache_write_tokens,
               coalesce(sum(r.output_tokens), 0) AS output_tokens, sum(r.cost) AS cost, sum(r.cost) FILTER (WHERE r.level = 0) AS own_cost,
               sum(r.adjustment_cost) AS adjustment_cost, cost_ledger_internal.first_labels(r.labels) AS labels,
               coalesce(min(r.trace_url COLLATE "C") FILTER (WHERE r.level = 0), min(r.trace_url COLLATE "C")) AS trace_url
        FROM member r
        GROUP BY r.tree_id
        HAVING count(*) > 1 OR min(r.level) > 0) t
    JOIN level l ON l.tree_id = t.root_run_id
    WHERE t.started_at < coalesce(upper(wanted), 'infinity') AND t.started_at >= lower(wanted)
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_run_tree(tstzrange, tstzmultirange) IS
    'What rollup_run_tree should have of the whole runs that began in a range of time.';

CREATE FUNCTION cost_ledger_internal.expected_without_run_day(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('day', e.day, 'task_type', e.task_type), jsonb_strip_nulls(to_jsonb(e)) - '{day,task_type}'::text[]
    FROM (
        SELECT (m.called_at AT TIME ZONE l.time_zone)::date AS day, m.task_type, sum(m.calls) AS calls, nullif(sum(m.priced_calls), 0) AS priced_calls,
               sum(m.cost) AS cost, cost_ledger.summarize(m.call_cost)::text AS call_cost
        FROM cost_ledger_internal.consumed_measure m
        CROSS JOIN cost_ledger.ledger l
        WHERE m.called_at >= lower(wanted) AND m.called_at < coalesce(upper(wanted), 'infinity') AND m.run_id IS NULL
        GROUP BY 1, 2) e
    CROSS JOIN cost_ledger.ledger l
    WHERE e.day::timestamp AT TIME ZONE l.time_zone <@ kept
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_without_run_day(tstzrange, tstzmultirange) IS
    'What rollup_without_run_day should have of a range of time, where calls are kept.';

CREATE FUNCTION cost_ledger_internal.expected_session_day(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Of the sessions as they are stored, which are checked themselves.
    SELECT jsonb_build_object('day', e.day), jsonb_strip_nulls(to_jsonb(e)) - 'day'
    FROM (
        SELECT s.started_on AS day, count(*) AS sessions, sum(s.cost) AS cost, max(s.cost) AS max_cost,
               cost_ledger.summarize(coalesce(s.turns, 0))::text AS session_turns,
               cost_ledger.summarize(coalesce(s.input_tokens, 0) + coalesce(s.output_tokens, 0))::text AS session_tokens,
               cost_ledger.summarize(s.cost)::text AS session_cost
        FROM cost_ledger_internal.rollup_session s
        WHERE s.started_on >= (lower(wanted) AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date
          AND s.started_on < coalesce((upper(wanted) AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date, 'infinity')
        GROUP BY 1) e
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_session_day(tstzrange, tstzmultirange) IS
    'What rollup_session_day should have of a range of time.';

CREATE FUNCTION cost_ledger_internal.expected_run_day(wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Of the runs as they are stored, which are checked themselves.
    SELECT jsonb_build_object('day', e.day, 'task_type', e.task_type), jsonb_strip_nulls(to_jsonb(e)) - '{day,task_type}'::text[]
    FROM (
        SELECT u.day, u.task_type,
               count(u.whole) AS runs, sum(u.cost) FILTER (WHERE u.whole) AS cost, max(u.cost) FILTER (WHERE u.whole) AS max_cost,
               (cost_ledger.summarize(u.cost) FILTER (WHERE u.whole))::text AS run_cost,
               count(u.own) AS own_runs, sum(u.cost) FILTER (WHERE u.own) AS own_cost, max(u.cost) FILTER (WHERE u.own) AS max_own_cost,
               (cost_ledger.summarize(u.cost) FILTER (WHERE u.own))::text AS own_run_cost,
               count(*) FILTER (WHERE u.whole AND u.outcome IN ('success', 'accepted')) AS successful_runs,
               count(*) FILTER (WHERE u.whole AND u.outcome = 'accepted') AS accepted_runs,
               count(*) FILTER (WHERE u.whole AND u.outcome = 'rejected') AS rejected_runs
        FROM (
            SELECT r.started_on AS day, (r.labels).task_type, r.cost, true AS own, NULL::boolean AS whole, NULL::text AS outcome FROM cost_ledger_internal.rollup_run r
            UNION ALL
            SELECT r.started_on, (r.labels).task_type, r.cost, NULL, true, cost_ledger_internal.run_outcome(r.calls, r.failed_calls, r.accepted_calls, r.rejected_calls)
            FROM cost_ledger_internal.rollup_run r
            WHERE r.root_run_id IS NULL AND r.run_id NOT IN (SELECT t.root_run_id FROM cost_ledger_internal.rollup_run_tree t)
            UNION ALL
            SELECT t.started_on, (t.labels).task_type, t.cost, NULL, true, cost_ledger_internal.run_outcome(t.calls, t.failed_calls, t.accepted_calls, t.rejected_calls)
            FROM cost_ledger_internal.rollup_run_tree t) u
        WHERE u.day >= (lower(wanted) AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date
          AND u.day < coalesce((upper(wanted) AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date, 'infinity')
        GROUP BY 1, 2) e
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_run_day(tstzrange, tstzmultirange) IS
    'What rollup_run_day should have of a range of time.';

CREATE FUNCTION cost_ledger_internal.expected_rows(rollup text, wanted tstzrange, kept tstzmultirange) RETURNS TABLE (key jsonb, measures jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CASE rollup
        WHEN 'minute' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_minute(wanted, kept) e;
        WHEN 'hour', 'day', 'month' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_cube(rollup, wanted, kept) e;
        WHEN 'total_day' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_total('day', wanted, kept) e;
        WHEN 'total_week' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_total('week', wanted, kept) e;
        WHEN 'total_month' THEN
            RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_total('month', wanted, kept) e;
            RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_payer_total('month', wanted, kept) e;
        WHEN 'user_day' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_user_day(wanted, kept) e;
        WHEN 'user_month' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_user_month(wanted, kept) e;
        WHEN 'user_feature_month' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_user_feature_month(wanted, kept) e;
        WHEN 'run' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_run(wanted, kept) e;
        WHEN 'session' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_session(wanted, kept) e;
        WHEN 'run_tree' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_run_tree(wanted, kept) e;
        WHEN 'input_part_month' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_input_part_month(wanted, kept) e;
        WHEN 'subrun_month' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_subrun_month(wanted, kept) e;
        WHEN 'without_run_day' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_without_run_day(wanted, kept) e;
        WHEN 'session_day' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_session_day(wanted, kept) e;
        WHEN 'run_day' THEN RETURN QUERY SELECT e.* FROM cost_ledger_internal.expected_run_day(wanted, kept) e;
    END CASE;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.expected_rows(text, tstzrange, tstzmultirange) IS
    'What a rollup should have of a range of time: keys, and what belongs to them.';

CREATE FUNCTION cost_ledger_internal.stored_rows(rollup text, wanted tstzrange, kept tstzmultirange) RETURNS TABLE (line jsonb, place tid)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Summaries as the text that is read back; as JSON they are figures.
    WITH zone AS (SELECT l.time_zone FROM cost_ledger.ledger l)
    SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_minute r WHERE rollup = 'minute' AND r.minute <@ wanted AND r.minute <@ kept
    UNION ALL SELECT to_jsonb(r) || jsonb_build_object('call_cost', r.call_cost::text), r.ctid FROM cost_ledger_internal.rollup_hour r WHERE rollup = 'hour' AND r.hour <@ wanted AND r.hour <@ kept
    UNION ALL SELECT to_jsonb(r) || jsonb_build_object('call_cost', r.call_cost::text), r.ctid FROM cost_ledger_internal.rollup_day r, zone WHERE rollup = 'day' AND r.day::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.day::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r) || jsonb_build_object('call_cost', r.call_cost::text), r.ctid FROM cost_ledger_internal.rollup_month r, zone WHERE rollup = 'month' AND r.month::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.month::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_subrun_month r, zone WHERE rollup = 'subrun_month' AND r.month::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.month::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_input_part_month r, zone WHERE rollup = 'input_part_month' AND r.month::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.month::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_total_day r, zone WHERE rollup = 'total_day' AND r.day::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.day::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_total_week r, zone WHERE rollup = 'total_week' AND r.week::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.week::timestamp AT TIME ZONE zone.time_zone <@ kept AND (r.week + 6)::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_total_month r, zone WHERE rollup = 'total_month' AND r.month::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.month::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_user_day r, zone WHERE rollup = 'user_day' AND r.day::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.day::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_user_month r, zone WHERE rollup = 'user_month' AND r.month::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.month::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_user_feature_month r, zone WHERE rollup = 'user_feature_month' AND r.month::timestamp AT TIME ZONE zone.time_zone <@ wanted
        AND r.month::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r) || jsonb_build_object('call_cost', r.call_cost::text), r.ctid FROM cost_ledger_internal.rollup_without_run_day r, zone WHERE rollup = 'without_run_day'
        AND r.day::timestamp AT TIME ZONE zone.time_zone <@ wanted AND r.day::timestamp AT TIME ZONE zone.time_zone <@ kept
    UNION ALL SELECT to_jsonb(r) || jsonb_build_object('run_cost', r.run_cost::text, 'own_run_cost', r.own_run_cost::text), r.ctid FROM cost_ledger_internal.rollup_run_day r, zone WHERE rollup = 'run_day' AND r.day::timestamp AT TIME ZONE zone.time_zone <@ wanted
    UNION ALL SELECT to_jsonb(r) || jsonb_build_object('session_turns', r.session_turns::text, 'session_tokens', r.session_tokens::text, 'session_cost', r.session_cost::text), r.ctid
        FROM cost_ledger_internal.rollup_session_day r, zone WHERE rollup = 'session_day' AND r.day::timestamp AT TIME ZONE zone.time_zone <@ wanted
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_run_tree r WHERE rollup = 'run_tree' AND r.started_at <@ wanted
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_run r
        WHERE rollup = 'run' AND r.run_id IN (SELECT w.id FROM cost_ledger_internal.checked_runs(wanted, kept) w)
    UNION ALL SELECT to_jsonb(r), r.ctid FROM cost_ledger_internal.rollup_session r
        WHERE rollup = 'session' AND r.session_id IN (SELECT w.id FROM cost_ledger_internal.checked_sessions(wanted, kept) w)
$$;

COMMENT ON FUNCTION cost_ledger_internal.stored_rows(text, tstzrange, tstzmultirange) IS
    'What a rollup has of a range of time, where calls are kept: its rows, and where they are.';

CREATE FUNCTION cost_ledger_internal.differing_rows(rollup text, range_start timestamptz, range_end timestamptz)
    RETURNS TABLE (key jsonb, stored jsonb, expected jsonb, place tid)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
    -- The planner knows little of how many groups there will be, and sorting by
    -- a dozen texts costs more than all the sums.
    SET enable_sort = off
AS $$
DECLARE
    wanted tstzrange := cost_ledger_internal.checked_range(
        CASE WHEN rollup LIKE '%month' THEN 'month' WHEN rollup LIKE '%week' THEN 'week' ELSE 'day' END, range_start, range_end);
    kept tstzmultirange := cost_ledger_internal.kept_times(rollup);
    keys text[] := CASE WHEN rollup LIKE 'total%' THEN ARRAY[substr(rollup, 7), 'label_id']
                        WHEN rollup = 'subrun_month' THEN '{month,key_id}'
                        WHEN rollup = 'input_part_month' THEN '{month,key_id,part}'
                        WHEN rollup = 'user_day' THEN '{day,user_id}'
                        WHEN rollup = 'user_month' THEN '{month,user_id}'
                        WHEN rollup = 'user_feature_month' THEN '{month,user_id,feature,cohort}'
                        WHEN rollup IN ('run_day', 'without_run_day') THEN '{day,task_type}'
                        WHEN rollup = 'session_day' THEN '{day}'
                        WHEN rollup = 'run_tree' THEN '{root_run_id}'
                        WHEN rollup IN ('run', 'session') THEN ARRAY[rollup || '_id']
                        ELSE ARRAY[rollup, 'key_id'] END;
BEGIN
    RETURN QUERY
        SELECT coalesce(s.key, e.key), s.measures, e.measures, s.place
        FROM (SELECT (SELECT jsonb_object_agg(k, r.line -> k) FROM unnest(keys) k) AS key, jsonb_strip_nulls(r.line) - keys AS measures, r.place
              FROM cost_ledger_internal.stored_rows(rollup, wanted, kept) r) s
        FULL JOIN cost_ledger_internal.expected_rows(rollup, wanted, kept) e ON e.key = s.key
        WHERE s.measures IS DISTINCT FROM e.measures;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.differing_rows(text, timestamptz, timestamptz) IS
    'Where a rollup is not what it should be: the key, what is stored and where, and what should be.';

CREATE FUNCTION cost_ledger_internal.checked_rollups() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    -- Whole runs are made of runs, days of runs of both, days of sessions of these.
    RETURN '{minute,hour,day,month,subrun_month,input_part_month,total_day,total_week,total_month,run,session,user_day,user_month,user_feature_month,without_run_day,run_tree,run_day,session_day}'::text[];

COMMENT ON FUNCTION cost_ledger_internal.checked_rollups() IS
    'The rollups, in the order in which they are checked.';

CREATE FUNCTION cost_ledger_internal.kept_range(INOUT range_start timestamptz, INOUT range_end timestamptz) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text := (cost_ledger_internal.ledger()).time_zone;
BEGIN
    IF range_start IS NULL OR range_end IS NULL OR range_start > range_end THEN
        RAISE EXCEPTION 'a range of time needs a start and a later end'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave both out for everything.';
    END IF;
    -- Whole days of the reporting zone, and nothing whose calls are gone.
    range_start := greatest(cost_ledger_internal.period_start('day', range_start, zone),
                            (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s));
    IF isfinite(range_end) AND range_end <> cost_ledger_internal.period_start('day', range_end, zone) THEN
        range_end := cost_ledger_internal.day_start((range_end AT TIME ZONE zone)::date + 1, zone);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.kept_range(timestamptz, timestamptz) IS
    'A range of time, made whole days of the reporting zone, and of what retention has left.';

CREATE FUNCTION cost_ledger.check_rollups(
    range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity'
) RETURNS TABLE (rollup text, key jsonb, stored jsonb, expected jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger_internal.raise_work_mem();
    SELECT * INTO range_start, range_end FROM cost_ledger_internal.kept_range(range_start, range_end);
    PERFORM cost_ledger_internal.tell_of_quarantine();
    FOREACH rollup IN ARRAY cost_ledger_internal.checked_rollups() LOOP
        RETURN QUERY
            SELECT check_rollups.rollup,
                   d.key || coalesce((SELECT jsonb_strip_nulls(to_jsonb(k)) - 'fingerprint' FROM cost_ledger_internal.rollup_key k
                                      WHERE k.key_id = (d.key ->> 'key_id')::integer), '{}')
                         || coalesce((SELECT jsonb_strip_nulls(to_jsonb(k)) - 'fingerprint' FROM cost_ledger_internal.rollup_label k
                                      WHERE k.label_id = (d.key ->> 'label_id')::integer), '{}'),
                   d.stored, d.expected
            FROM cost_ledger_internal.differing_rows(check_rollups.rollup, check_rollups.range_start, check_rollups.range_end) d
            ORDER BY d.key;
    END LOOP;
    RETURN QUERY
        SELECT 'call', jsonb_build_object('month', v.month), jsonb_build_object('rows', v.rows, 'cost', v.cost), NULL::jsonb
        FROM cost_ledger_internal.vanished_month v
        WHERE NOT v.is_logged AND v.range_start < check_rollups.range_end AND v.range_end > check_rollups.range_start;
END
$$;

COMMENT ON FUNCTION cost_ledger.check_rollups(timestamptz, timestamptz) IS
    'Makes every rollup anew from the rows of call that are in it, in one snapshot, and returns what differs: the rollup, the key, what is stored and what should be (NULL: no row), without what is NULL. No rows: all is well. A month whose calls have vanished, dropped by something else than retention, is one row, of rollup "call". Calls in quarantine are left out, with a notice. Over a range of time, whole days of the reporting zone; by default over everything, which reads the whole ledger a dozen times.';

CREATE FUNCTION cost_ledger_internal.put_right(rollup text, range_start timestamptz, range_end timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed bigint;
    places tid[];
    lines jsonb[];
BEGIN
    SELECT count(*), array_agg(d.place) FILTER (WHERE d.place IS NOT NULL), array_agg(d.key || d.expected) FILTER (WHERE d.expected IS NOT NULL)
        INTO changed, places, lines
        FROM cost_ledger_internal.differing_rows(rollup, range_start, range_end) d;
    IF changed = 0 THEN
        RETURN 0;
    END IF;
    EXECUTE format('DELETE FROM cost_ledger_internal.rollup_%s WHERE ctid = ANY ($1)', rollup) USING places;
    EXECUTE format('INSERT INTO cost_ledger_internal.rollup_%1$s
                    SELECT r.* FROM unnest($1) l, jsonb_populate_record(NULL::cost_ledger_internal.rollup_%1$s, l) r', rollup) USING lines;
    RAISE NOTICE 'rollup_%: % rows put right', rollup, changed;
    RETURN changed;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.put_right(text, timestamptz, timestamptz) IS
    'Makes a rollup what it should be over a range of time, and returns how many rows that changed.';

CREATE FUNCTION cost_ledger_internal.make_keys(range_start timestamptz, range_end timestamptz) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
BEGIN
    INSERT INTO cost_ledger_internal.rollup_key (team, feature, customer, flow, task_type, environment, provider, model, service_class, operation, status, served_from)
        SELECT DISTINCT m.team, m.feature, m.customer, m.flow, m.task_type, m.environment, m.provider, m.model, m.service_class, m.operation, m.status,
               m.served_from
        FROM cost_ledger_internal.consumed_measure m
        WHERE m.called_at >= range_start AND m.called_at < range_end
        ON CONFLICT (fingerprint) DO NOTHING;
    INSERT INTO cost_ledger_internal.rollup_label (label, value, provider, service_class, served_from, team, customer)
        SELECT DISTINCT l.*
        FROM cost_ledger_internal.consumed_measure m
        CROSS JOIN LATERAL (VALUES
            ('all', NULL, NULL, NULL, NULL, NULL, NULL),
            ('feature', m.feature, NULL, NULL, m.served_from, NULL, NULL),
            ('model', m.model, m.provider, m.service_class, NULL, NULL, NULL),
            ('team', m.team, NULL, NULL, NULL, NULL, NULL),
            ('customer', m.customer, NULL, NULL, NULL, NULL, NULL),
            ('flow', m.flow, NULL, NULL, NULL, NULL, NULL),
            ('task_type', m.task_type, NULL, NULL, NULL, NULL, NULL),
            ('environment', m.environment, NULL, NULL, NULL, NULL, NULL),
            ('provider', m.provider, NULL, NULL, NULL, NULL, NULL),
            ('service_class', m.service_class, NULL, NULL, NULL, NULL, NULL),
            ('operation', m.operation, NULL, NULL, NULL, NULL, NULL),
            ('status', m.status, NULL, NULL, NULL, NULL, NULL),
            ('served_from', m.served_from, NULL, NULL, NULL, NULL, NULL),
            ('agent', m.agent, NULL, NULL, NULL, NULL, NULL),
            ('step', m.step, NULL, NULL, NULL, NULL, NULL),
            ('tool', m.tool, NULL, NULL, NULL, NULL, NULL),
            ('api_key', m.api_key, NULL, NULL, NULL, NULL, NULL),
            ('cohort', m.cohort, NULL, NULL, NULL, NULL, NULL),
            ('agent of payer', m.agent, NULL, NULL, NULL, m.team, m.customer),
            ('step of payer', m.step, NULL, NULL, NULL, m.team, m.customer),
            ('tool of payer', m.tool, NULL, NULL, NULL, m.team, m.customer),
            ('api_key of payer', m.api_key, NULL, NULL, NULL, m.team, m.customer),
            ('cohort of payer', m.cohort, NULL, NULL, NULL, m.team, m.customer)) AS l (label, value, provider, service_class, served_from, team, customer)
        WHERE m.called_at >= range_start AND m.called_at < range_end
        ON CONFLICT (fingerprint) DO NOTHING;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.make_keys(timestamptz, timestamptz) IS
    'Gives the labels of a range of time the keys they have not.';

CREATE FUNCTION cost_ledger.rebuild_rollups(
    range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity'
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rollup text;
    total bigint := 0;
BEGIN
    PERFORM cost_ledger_internal.raise_work_mem();
    PERFORM cost_ledger_internal.lock_rollups();
    PERFORM cost_ledger_internal.tell_of_quarantine();
    SELECT * INTO range_start, range_end FROM cost_ledger_internal.kept_range(range_start, range_end);
    -- Weeks and months are made anew as a whole.
    PERFORM cost_ledger_internal.make_keys(range_start - interval '1 month', range_end + interval '1 month');
    FOREACH rollup IN ARRAY cost_ledger_internal.checked_rollups() LOOP
        total := total + cost_ledger_internal.put_right(rollup, range_start, range_end);
        -- Where runs are among runs is known when all are there.
        IF rollup = 'run' THEN
            PERFORM cost_ledger_internal.root_runs(ARRAY(SELECT r.run_id FROM cost_ledger_internal.rollup_run r WHERE r.parent_run_id IS NOT NULL));
            PERFORM cost_ledger_internal.mark_tops(ARRAY(SELECT coalesce(r.parent_run_id, r.root_run_id) FROM cost_ledger_internal.rollup_run r
                                                         WHERE r.root_run_id IS NOT NULL));
        END IF;
    END LOOP;
    RETURN total;
END
$$;

COMMENT ON FUNCTION cost_ledger.rebuild_rollups(timestamptz, timestamptz) IS
    'Puts right what check_rollups() would report of a range of time, from the rows of call, and returns how many rows of rollups that changed: 0 when all was well. What the rollups have of a month whose calls have vanished stays: nothing else is left of it. Calls in quarantine stay out, with a notice. refresh() waits meanwhile; inserts and reports do not.';
