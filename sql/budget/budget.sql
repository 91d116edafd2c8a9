-- Budgets: what may be spent, who is told when it is, and who may go on.
--
-- A call reaches the balances of its budgets by one of two ways, never both:
-- with a hold at the commit of its transaction, without one when refresh()
-- brings it into the rollups.

CREATE FUNCTION cost_ledger_internal.budget_columns() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT '{run_id,session_id,user_id,api_key,customer,agent,flow,feature,team,task_type,model,provider,operation,service_class,environment,cohort}'::text[]
$$;

COMMENT ON FUNCTION cost_ledger_internal.budget_columns() IS
    'Columns of call that a budget can be limited to, the most selective first; tags too.';

CREATE FUNCTION cost_ledger_internal.each_columns(each_of text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN each_of IS NULL THEN '{}' WHEN left(each_of, 1) = '{' THEN each_of::text[] ELSE ARRAY[each_of] END;

COMMENT ON FUNCTION cost_ledger_internal.each_columns(text) IS
    'The labels that each_of of a budget names: none, one as it is, several as {team,user_id}.';

CREATE FUNCTION cost_ledger_internal.entity_of(each_of text[], labels jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_entity_of_labels';

COMMENT ON FUNCTION cost_ledger_internal.entity_of(text[], jsonb) IS
    'What labels say of each_of: the value of one label, shortened as ids are, the JSON array of several, empty where it names none. NULL where they do not say one of them.';

-- Parsed already: a view calls it with the rights of its reader.
CREATE FUNCTION cost_ledger_internal.entity_scope(scope jsonb, each_of text, entity text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN scope || coalesce((SELECT jsonb_object_agg(e.name, replace(e.value, '*', '\*'))
                              FROM ROWS FROM (unnest(cost_ledger_internal.each_columns(each_of)),
                                              jsonb_array_elements_text(CASE left(each_of, 1) WHEN '{' THEN entity::jsonb ELSE jsonb_build_array(entity) END)) AS e (name, value)
                              WHERE e.name IS NOT NULL), '{}');

COMMENT ON FUNCTION cost_ledger_internal.entity_scope(jsonb, text, text) IS
    'The scope of a budget with that of one of its entities.';

CREATE FUNCTION cost_ledger_internal.budget_keys(labels jsonb) RETURNS text[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_budget_keys';

COMMENT ON FUNCTION cost_ledger_internal.budget_keys(jsonb) IS
    'What the budgets of a call with these labels may have as match_key.';

CREATE FUNCTION cost_ledger_internal.is_excepted(budget_id bigint, labels jsonb) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM cost_ledger.budget x
                   WHERE x.exception_of = is_excepted.budget_id AND x.is_active
                     AND x.match_key = ANY (cost_ledger_internal.budget_keys(labels))
                     AND cost_ledger_internal.matches_filter(labels, x.scope)
                     AND cost_ledger_internal.entity_of(cost_ledger_internal.each_columns(x.each_of), labels) IS NOT NULL)
$$;

COMMENT ON FUNCTION cost_ledger_internal.is_excepted(bigint, jsonb) IS
    'Whether an exception takes the place of a budget for a call with these labels.';

CREATE FUNCTION cost_ledger_internal.budget_period_as_owner(
    period         text,
    at             timestamptz,
    time_zone      text,
    week_start     integer,
    period_length  interval,
    OUT period_start  timestamptz,
    OUT period_end    timestamptz
) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    local_start timestamp;
BEGIN
    CASE
        WHEN period IN ('total', 'request') THEN
            period_start := '-infinity';
            period_end := 'infinity';
        WHEN period IN ('minute', 'hour') THEN
            period_start := date_trunc(period, at, time_zone);
            period_end := period_start + CASE period WHEN 'hour' THEN interval '1 hour' ELSE interval '1 minute' END;
        WHEN period = 'rolling' THEN
            -- Every minute that the window touches: rather a little more than
            -- a limit exceeded.
            period_start := date_trunc('minute', at AT TIME ZONE 'UTC' - period_length) AT TIME ZONE 'UTC';
            period_end := (date_trunc('minute', at AT TIME ZONE 'UTC') + interval '1 minute') AT TIME ZONE 'UTC';
        ELSE
            local_start := at AT TIME ZONE time_zone;
            local_start := CASE WHEN period = 'week' THEN date_trunc('week', local_start - (week_start - 1) * interval '1 day')
                                                          + (week_start - 1) * interval '1 day'
                                ELSE date_trunc(period, local_start) END;
            period_start := cost_ledger_internal.day_start(local_start::date, time_zone);
            period_end := cost_ledger_internal.day_start((local_start + CASE period WHEN 'day' THEN interval '1 day'
                                                                                   WHEN 'week' THEN interval '7 days'
                                                                                   WHEN 'month' THEN interval '1 month'
                                                                                   WHEN 'quarter' THEN interval '3 months' END)::date, time_zone);
    END CASE;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.budget_period_as_owner(text, timestamptz, text, integer, interval) IS
    'The body of budget_period().';

CREATE FUNCTION cost_ledger_internal.budget_period(
    period         text,
    at             timestamptz,
    time_zone      text,
    week_start     integer DEFAULT 1,
    period_length  interval DEFAULT NULL,
    OUT period_start  timestamptz,
    OUT period_end    timestamptz
) RETURNS record
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.budget_period(text, timestamptz, text, integer, interval) IS
    'The minute, hour, day, week (from day week_start, 1 Monday … 7 Sunday), month or quarter of a time zone that an instant falls in: from period_start, inclusive, to period_end, exclusive. Every instant is in exactly one period, also where clocks change. total has no ends; rolling is the minutes that the last period_length touches. The zone of the session has no part in it.';

CREATE FUNCTION cost_ledger_internal.budget_changed() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_budget_changed';

COMMENT ON FUNCTION cost_ledger_internal.budget_changed() IS
    'Trigger of budgets, their limits and pauses: tells every session, at commit, that what it knows of them is old.';

CREATE FUNCTION cost_ledger_internal.budget_level(threshold numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN threshold IS NULL THEN 'ok'
        WHEN threshold < 0.9 THEN 'warn'
        WHEN threshold < 1 THEN 'throttle'
        ELSE 'stop'
    END
$$;

COMMENT ON FUNCTION cost_ledger_internal.budget_level(numeric) IS
    'What crossing a threshold asks for where no action is given: warn below 0.9, throttle from 0.9, stop from 1; ok when none is crossed (NULL).';

CREATE FUNCTION cost_ledger_internal.check_each_of(each_of text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text[];
    name text;
BEGIN
    BEGIN
        names := cost_ledger_internal.each_columns(each_of);
    EXCEPTION WHEN data_exception THEN
        names := ARRAY[each_of];
    END;
    FOREACH name IN ARRAY names LOOP
        IF name IS NULL OR NOT (name = ANY (cost_ledger_internal.budget_columns()) OR name LIKE 'tags._%') THEN
            RAISE EXCEPTION 'a budget is not for each "%"', left(name, 100)
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = format('Name a column of the call, or several as {team,user_id}: %s; or a tag, tags.tier.', array_to_string(cost_ledger_internal.budget_columns(), ', '));
        END IF;
    END LOOP;
    IF each_of IS NOT NULL AND (array_ndims(names) IS DISTINCT FROM 1 OR cardinality(names) NOT BETWEEN 1 AND 4 OR (SELECT count(DISTINCT n) FROM unnest(names) n) < cardinality(names)) THEN
        RAISE EXCEPTION 'a budget is for each of one to four columns, each named once'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write each_of => ''user_id'', or ''{team,user_id}''.';
    END IF;
    RETURN CASE WHEN cardinality(names) > 1 THEN names::text ELSE names[1] END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_each_of(text) IS
    'each_of of a budget in its one spelling; an error (22023) if it names no labels that budgets know.';

CREATE FUNCTION cost_ledger_internal.check_exception(exception jsonb, of_default jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- In a dump a default may come after its exceptions.
    IF of_default IS NULL THEN
        RETURN;
    END IF;
    IF of_default ->> 'each_of' IS NULL OR of_default ->> 'exception_of' IS NOT NULL OR of_default -> 'budget_id' = exception -> 'budget_id'
       OR EXISTS (SELECT FROM cost_ledger.budget x WHERE x.exception_of = (exception ->> 'budget_id')::bigint) THEN
        RAISE EXCEPTION 'budget "%" is no exception of "%"', exception ->> 'name', of_default ->> 'name'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'An exception is of a budget that is for each of something and no exception itself, and has none.';
    END IF;
    IF exception -> 'scope' = '{}'
       OR EXISTS (SELECT FROM unnest('{metric,include,period,period_length,time_zone,week_start}'::text[]) AS n
                  WHERE exception -> n IS DISTINCT FROM of_default -> n) THEN
        RAISE EXCEPTION 'budget "%" does not count as "%", whose place it takes', exception ->> 'name', of_default ->> 'name'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'An exception says in its scope what it is of, and has the metric, period, time zone and include of its default.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_exception(jsonb, jsonb) IS
    'An error (22023) if a budget cannot take the place of another.';

CREATE FUNCTION cost_ledger_internal.match_key(scope jsonb) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT s.key || '=' || cost_ledger_internal.shorten_id(CASE s.key WHEN 'model' THEN lower(t.name COLLATE "C") ELSE t.name END)
                     FROM jsonb_each(scope) AS s
                     CROSS JOIN LATERAL (SELECT cost_ledger_internal.filter_text(s.value #>> '{}') AS name) t
                     WHERE jsonb_typeof(s.value) = 'string' AND NOT cost_ledger_internal.is_prefix(s.value #>> '{}')
                     ORDER BY array_position(cost_ledger_internal.budget_columns(), s.key), s.key COLLATE "C"
                     LIMIT 1), '')
$$;

COMMENT ON FUNCTION cost_ledger_internal.match_key(jsonb) IS
    'The most selective label of a scope that must say one whole name, as label=name; empty where there is none, and every call is compared.';

CREATE FUNCTION cost_ledger_internal.check_budget_as_owner() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF new.period IS NULL OR new.period NOT IN ('request', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'total', 'rolling') THEN
        RAISE EXCEPTION 'budget period "%" is not known', new.period
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The periods are request, minute, hour, day, week, month, quarter, total, rolling, run and session.';
    END IF;
    IF new.metric IS NULL OR new.metric NOT IN ('cost', 'tokens', 'calls', 'tool_calls', 'turns', 'concurrent_calls', 'duration', 'depth') THEN
        RAISE EXCEPTION 'budget metric "%" is not known', new.metric
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The metrics are cost, tokens, calls, tool_calls, turns, concurrent_calls, duration and depth.';
    END IF;
    IF NOT (CASE new.metric
               WHEN 'concurrent_calls' THEN new.period = 'total'
               WHEN 'duration' THEN new.period = 'total'
               WHEN 'depth' THEN new.period = 'request'
               WHEN 'cost' THEN true
               WHEN 'tokens' THEN true
               ELSE new.period <> 'request'
           END) THEN
        RAISE EXCEPTION 'a budget of % has no period "%"', new.metric, new.period
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = CASE WHEN new.metric = 'depth' THEN 'Depth is a property of one request: write the period request.'
                              WHEN new.period = 'request' THEN 'One request has a cost, tokens and a depth.'
                              ELSE 'Write the period total; or run or session, for each of them.' END;
    END IF;
    IF (new.period = 'rolling') <> (new.period_length IS NOT NULL)
       OR new.period_length < interval '1 minute' OR new.period_length > interval '400 days'
       OR extract(month FROM new.period_length) + extract(year FROM new.period_length) <> 0
       OR extract(epoch FROM new.period_length) % 60 <> 0 THEN
        RAISE EXCEPTION 'budget period "%" with a period_length of %', new.period, coalesce(new.period_length::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The period rolling has a period_length of whole minutes or days, at most 400 days, and no other period has one.';
    END IF;
    new.each_of := cost_ledger_internal.check_each_of(new.each_of);
    IF new.include IS NOT NULL AND (new.include <> 'subruns' OR new.each_of IS DISTINCT FROM 'run_id') THEN
        RAISE EXCEPTION 'a budget does not include "%"', left(new.include, 100)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is subruns, of a budget of period run, or each_of run_id.';
    END IF;
    IF new.severity NOT IN ('review', 'page') THEN
        RAISE EXCEPTION 'there is no severity "%"', left(new.severity, 100)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is review or page; NULL: by threshold.';
    END IF;
    IF new.week_start IS NULL OR new.week_start NOT BETWEEN 1 AND 7 THEN
        RAISE EXCEPTION 'a week does not begin on day %', new.week_start
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The days are 1 (Monday) to 7 (Sunday).';
    END IF;
    IF new.time_zone IS NOT NULL
       AND (TG_OP = 'INSERT' OR new.time_zone IS DISTINCT FROM old.time_zone)
       AND NOT cost_ledger_internal.is_time_zone(new.time_zone) THEN
        RAISE EXCEPTION 'time zone "%" is not known', new.time_zone
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use a name of pg_timezone_names, e.g. UTC, Europe/Berlin or Asia/Kolkata; NULL is the zone of the ledger.';
    END IF;
    -- A day is 24 hours in every session, also where its zone has days of 23.
    new.period_length := make_interval(secs => extract(epoch FROM new.period_length)::double precision);
    new.scope := cost_ledger_internal.check_filter(new.scope, 'a budget', cost_ledger_internal.budget_columns() || 'tags'::text);
    new.match_key := cost_ledger_internal.match_key(new.scope);
    IF new.exception_of IS NOT NULL THEN
        PERFORM cost_ledger_internal.check_exception(to_jsonb(new), (SELECT to_jsonb(d) FROM cost_ledger.budget d WHERE d.budget_id = new.exception_of));
    END IF;
    RETURN new;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_budget_as_owner() IS
    'What the trigger check_budget() does.';

CREATE FUNCTION cost_ledger_internal.check_budget() RETURNS trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.check_budget() IS
    'Trigger of budget: checks what it counts and for whom, and by what calls find it.';

CREATE FUNCTION cost_ledger_internal.check_budget_version_as_owner() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- NaN sorts after every number.  Beyond these bounds a rate or a ratio of it
    -- would be no number any more, and one budget would spoil what is read of all.
    IF NOT coalesce(new.limit_amount BETWEEN 1e-30 AND 1e30, false) THEN
        RAISE EXCEPTION 'budget amount % is not an amount', coalesce(new.limit_amount::text, 'NULL')
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'An amount is greater than 0 and finite, of 1e-30 to 1e30; to stop watching a budget, set is_active to false.';
    END IF;
    -- CASE: what follows knows no arrays of arrays.
    IF NOT coalesce(CASE WHEN array_ndims(new.thresholds) = 1
                         THEN cardinality(new.thresholds) <= 10
                              AND array_position(new.thresholds, NULL) IS NULL
                              AND 0 < ALL (new.thresholds) AND 10 >= ALL (new.thresholds)
                              AND NOT EXISTS (SELECT FROM unnest(new.thresholds) AS t (threshold) WHERE scale(trim_scale(threshold)) > 6)
                    END, false) THEN
        RAISE EXCEPTION 'budget thresholds % are not fractions of the limit', coalesce(new.thresholds::text, 'NULL')
            USING ERRCODE = 'numeric_value_out_of_range',
                  HINT = 'Pass 1 to 10 fractions, each greater than 0 and at most 10, of at most six decimals: ARRAY[0.5, 0.8, 1.0] is 50, 80 and 100 percent, as is ''{50%,80%,100%}''.';
    END IF;
    IF new.actions IS NULL THEN
        new.actions := ARRAY(SELECT cost_ledger_internal.budget_level(t.threshold) FROM unnest(new.thresholds) WITH ORDINALITY AS t (threshold, n) ORDER BY t.n);
    END IF;
    IF array_ndims(new.actions) IS DISTINCT FROM 1 OR cardinality(new.actions) <> cardinality(new.thresholds)
       OR NOT coalesce(new.actions <@ '{warn,throttle,degrade,defer,stop}'::text[], false) THEN
        RAISE EXCEPTION 'budget actions % are not one for each threshold', new.actions
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass as many actions as thresholds, each warn, throttle, degrade, defer or stop; or none, for warn below 0.9, throttle below 1 and stop from there.';
    END IF;
    IF 'degrade' = ANY (new.actions) AND coalesce(new.degrade_to, '') = '' OR new.degrade_to = '' THEN
        RAISE EXCEPTION 'a budget that degrades needs a model to degrade to'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass degrade_to => the name of a cheaper model.';
    END IF;
    IF EXISTS (SELECT FROM unnest(new.thresholds, new.actions) AS t (threshold, action) GROUP BY t.threshold HAVING min(t.action) <> max(t.action)) THEN
        RAISE EXCEPTION 'budget thresholds % name one twice, with different actions', new.thresholds
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Each threshold asks for one thing: name it once.';
    END IF;
    SELECT array_agg(u.threshold ORDER BY u.threshold), array_agg(u.action ORDER BY u.threshold)
        INTO new.thresholds, new.actions
        FROM (SELECT DISTINCT trim_scale(t.threshold) AS threshold, t.action
              FROM unnest(new.thresholds, new.actions) AS t (threshold, action)) u;
    RETURN new;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_budget_version_as_owner() IS
    'What the trigger check_budget_version() does.';

CREATE FUNCTION cost_ledger_internal.check_budget_version() RETURNS trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.check_budget_version() IS
    'Trigger of budget_version: checks a limit, and sorts its thresholds and actions.';

CREATE FUNCTION cost_ledger_internal.brings_price(hold text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- With the first row that has a cost, also one for a part of the call.
    SELECT format('c.cost IS NOT NULL AND %1$s.call_id = c.corrects AND %1$s.provisional IS NOT NULL AND %1$s.exchanged_at IS NULL
                   AND NOT EXISTS (SELECT FROM cost_ledger.call e
                                   WHERE e.called_at = c.called_at AND e.corrects = c.corrects AND e.call_id < c.call_id AND e.cost IS NOT NULL)',
                  hold)
$$;

COMMENT ON FUNCTION cost_ledger_internal.brings_price(text) IS
    'The condition that the row c of call brings the price for which an estimate has stood in: that of the hold so called.';

-- A budget that asks for what rollups are not kept by, such as a user, gets
-- nothing of this: its label is NULL here.  What an estimate has stood in for is
-- not known of a dropped call.
CREATE FUNCTION cost_ledger_internal.dropped_spend_query(columns text[], kept_by text, dropped_from timestamptz) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format($query$
                        UNION ALL
                        SELECT r.at, %1$s coalesce(sum(r.cost), 0),
                               coalesce(sum(coalesce(r.input_tokens, 0) + coalesce(r.output_tokens, 0)) FILTER (WHERE k.served_from = 'model'), 0), sum(r.calls)::bigint,
                               coalesce(sum(r.tool_calls), 0)::bigint,
                               coalesce(sum(r.calls) FILTER (WHERE cost_ledger_internal.is_turn(k.operation)), 0)::bigint,
                               coalesce(sum(r.unpriced_calls), 0)::bigint, min(r.at), max(r.at)
                        FROM (SELECT r.*, %2$s AS at FROM cost_ledger_internal.rollup_%3$s r) r
                        JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
                        WHERE r.at >= %4$L AND r.at < %5$L
                        GROUP BY %1$s r.at$query$,
        (SELECT string_agg(CASE WHEN c.name = ANY (cost_ledger_internal.rollup_labels()) THEN format('k.%I, ', c.name) WHEN c.name = 'tags' THEN 'NULL::jsonb, ' ELSE 'NULL::text, ' END, '' ORDER BY c.n)
         FROM unnest(columns) WITH ORDINALITY AS c (name, n)),
        CASE k.kept_by WHEN 'month' THEN 'cost_ledger_internal.day_start(r.month, (SELECT l.time_zone FROM cost_ledger.ledger l))'
                       -- A rolling window has it until its last minute leaves.
                       WHEN 'day' THEN 'cost_ledger_internal.day_start(r.day + 1, (SELECT l.time_zone FROM cost_ledger.ledger l)) - interval ''1 minute'''
                       ELSE 'r.hour + interval ''59 minutes''' END,
        k.kept_by, dropped_from, s.calls_from)
    FROM cost_ledger_internal.rollup_state s
    -- By the hour as long as hours are kept.
    CROSS JOIN LATERAL (SELECT CASE WHEN dropped_spend_query.kept_by = 'hour' AND dropped_from < s.hours_from THEN 'day'
                                    ELSE dropped_spend_query.kept_by END AS kept_by) k
$$;

COMMENT ON FUNCTION cost_ledger_internal.dropped_spend_query(text[], text, timestamptz) IS
    'The part of budget_spend_query() that is from rollups by month, or by hour or day: what calls that retention has dropped added up to, by the labels that are in columns.';

CREATE FUNCTION cost_ledger_internal.rollup_labels() RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(a.attname::text)
    FROM pg_attribute a
    WHERE a.attrelid = 'cost_ledger_internal.rollup_key'::regclass AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attname = ANY (cost_ledger_internal.budget_columns())
$$;

COMMENT ON FUNCTION cost_ledger_internal.rollup_labels() IS
    'Columns that a budget can be limited to, and that rollups are kept by.';

CREATE FUNCTION cost_ledger_internal.chosen_tags(tags jsonb, names text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(t.key, t.value), '{}') FROM jsonb_each_text(tags) t WHERE t.key = ANY (names)
$$;

COMMENT ON FUNCTION cost_ledger_internal.chosen_tags(jsonb, text[]) IS
    'Some tags of a call, their values as texts.';

CREATE FUNCTION cost_ledger_internal.budget_spend_query(
    relation text, condition text, budget_condition text DEFAULT 'true', dropped_from timestamptz DEFAULT NULL
) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted record;
BEGIN
    -- Only what some budget asks for keeps groups apart.
    EXECUTE format($query$
        SELECT array_agg(DISTINCT u.name) FILTER (WHERE u.name NOT LIKE 'tags%%') AS columns,
               coalesce(bool_or(u.name LIKE 'tags%%'), false) AS has_tags, array_agg(DISTINCT substr(u.name, 6)) FILTER (WHERE u.name LIKE 'tags.%%') AS tags,
               CASE WHEN bool_or(b.period IN ('minute', 'rolling')) THEN '1 minute' ELSE '15 minutes' END AS unit,
               CASE WHEN bool_and(b.period = 'total') THEN 'month' ELSE 'hour' END AS kept_by
        FROM cost_ledger.budget b
        LEFT JOIN LATERAL (SELECT jsonb_object_keys(b.scope) UNION ALL SELECT unnest(cost_ledger_internal.each_columns(b.each_of))) AS u (name) ON true
        WHERE b.is_active
          -- What an exception is of, its default asks for too.
          AND ((%1$s) OR b.exception_of IN (SELECT b.budget_id FROM cost_ledger.budget b WHERE b.is_active AND (%1$s)))
        $query$, budget_condition)
        INTO wanted;
    wanted.columns := coalesce(wanted.columns, '{}') || CASE WHEN wanted.has_tags THEN '{tags}'::text[] ELSE '{}' END;
    RETURN format($query$
        WITH found AS MATERIALIZED (
            SELECT b.budget_id, b.period, coalesce(b.time_zone, l.time_zone) AS time_zone, b.week_start, f.bucket,
                   n.entity COLLATE "C" AS entity,
                   CASE b.metric WHEN 'cost' THEN f.cost WHEN 'tokens' THEN f.tokens WHEN 'calls' THEN f.calls
                                 WHEN 'tool_calls' THEN f.tool_calls WHEN 'turns' THEN f.turns ELSE 0 END AS posted,
                   f.unpriced_calls, f.first_at, f.last_at
            FROM (SELECT f.*, jsonb_strip_nulls(jsonb_build_object(%4$s)) AS labels
                  FROM (SELECT date_bin(%1$L, c.called_at, '2000-01-01Z') AS bucket, %2$s
                               coalesce(sum(c.cost), 0) - coalesce(sum(x.provisional), 0) + coalesce(sum(p.provisional), 0) AS cost,
                               coalesce(sum(coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0)) FILTER (WHERE c.served_from = 'model'), 0) AS tokens,
                               count(*) FILTER (WHERE c.corrects IS NULL) AS calls,
                               coalesce(sum(c.tool_calls_count), 0) AS tool_calls,
                               count(*) FILTER (WHERE c.corrects IS NULL AND cost_ledger_internal.is_turn(c.operation)) AS turns,
                               sum(cost_ledger_internal.unpriced_calls(c.corrects, c.pricing, c.usage_status))::bigint AS unpriced_calls,
                               min(c.called_at) AS first_at, max(c.called_at) AS last_at
                        FROM %5$s c
                        LEFT JOIN cost_ledger_internal.hold x ON %8$s
                        LEFT JOIN cost_ledger_internal.hold p ON c.hold_id IS NOT NULL AND p.call_id = c.call_id
                                                    AND p.provisional IS NOT NULL AND p.exchanged_at IS NULL
                        WHERE %6$s
                        GROUP BY 1%3$s%9$s) f
                  OFFSET 0) f
            CROSS JOIN LATERAL unnest(cost_ledger_internal.budget_keys(f.labels)) AS k (key)
            JOIN cost_ledger.budget b ON b.match_key = k.key AND b.is_active AND (%7$s)
                                     AND b.period <> 'request' AND b.metric NOT IN ('concurrent_calls', 'depth')
                                     AND cost_ledger_internal.matches_filter(f.labels, b.scope)%10$s
            CROSS JOIN LATERAL (SELECT cost_ledger_internal.entity_of(cost_ledger_internal.each_columns(b.each_of), f.labels) AS entity) n
            CROSS JOIN cost_ledger.ledger l
            WHERE n.entity IS NOT NULL
        )
        -- Of each bucket the period is asked for once.  Windows, not a join, of which
        -- the planner, which knows nothing of how many there are, might compare each
        -- with each.
        SELECT f.budget_id, f.entity, f.period_start,
               sum(f.posted) AS posted, sum(f.unpriced_calls)::bigint AS unpriced_calls, min(f.first_at) AS first_at, max(f.last_at) AS last_at
        FROM (SELECT f.*,
                     max(CASE WHEN f.period = 'rolling' THEN f.bucket
                              WHEN f.number = 1 THEN (cost_ledger_internal.budget_period(f.period, f.bucket, f.time_zone, f.week_start)).period_start END)
                         OVER (PARTITION BY f.period, f.time_zone, f.week_start, f.bucket) AS period_start
              FROM (SELECT f.*, row_number() OVER (PARTITION BY f.period, f.time_zone, f.week_start, f.bucket) AS number FROM found f) f) f
        GROUP BY 1, 2, 3
        $query$,
        wanted.unit,
        (SELECT string_agg(CASE c WHEN 'tags' THEN format('cost_ledger_internal.chosen_tags(c.tags::jsonb, %L) AS tags, ', coalesce(wanted.tags, '{}')) ELSE format('c.%I, ', c) END, '' ORDER BY n)
         FROM unnest(wanted.columns) WITH ORDINALITY AS u (c, n)),
        (SELECT string_agg(format(', %s', n + 1), '') FROM generate_series(1, cardinality(wanted.columns)) n),
        (SELECT string_agg(format('%L, f.%I', c, c), ', ') FROM unnest(wanted.columns) c),
        relation, condition, budget_condition, cost_ledger_internal.brings_price('x'),
        CASE WHEN dropped_from IS NOT NULL THEN cost_ledger_internal.dropped_spend_query(wanted.columns, wanted.kept_by, dropped_from) ELSE '' END,
        CASE WHEN EXISTS (SELECT FROM cost_ledger.budget x WHERE x.exception_of IS NOT NULL AND x.is_active)
             THEN ' AND NOT (b.budget_id IN (SELECT x.exception_of FROM cost_ledger.budget x WHERE x.exception_of IS NOT NULL AND x.is_active)
                                              AND cost_ledger_internal.is_excepted(b.budget_id, f.labels))' ELSE '' END);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.budget_spend_query(text, text, text, timestamptz) IS
    'The query for what rows c of call, or of a view of it, for which a condition holds add to the balances of active budgets b for which another holds; with dropped_from, also for what calls since then added that retention has dropped, as far as rollups are kept by what the budgets ask for.';

CREATE FUNCTION cost_ledger_internal.post_balances(condition text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF EXISTS (SELECT FROM cost_ledger.budget b WHERE b.is_active) THEN
        EXECUTE format('INSERT INTO cost_ledger_internal.budget_balance AS b (budget_id, entity, period_start, posted, unpriced_calls, first_at, last_at)
                        %s
                        ORDER BY 1, 2, 3
                        ON CONFLICT (budget_id, entity, period_start) DO UPDATE SET
                            posted = b.posted + excluded.posted, unpriced_calls = b.unpriced_calls + excluded.unpriced_calls,
                            first_at = least(b.first_at, excluded.first_at), last_at = greatest(b.last_at, excluded.last_at)',
                       cost_ledger_internal.budget_spend_query('cost_ledger.call', condition));
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.post_balances(text) IS
    'Adds the rows c of call for which a condition holds to the balances of their budgets, in the order of the key.';

CREATE FUNCTION cost_ledger_internal.post_spend(condition text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    exchanges boolean := EXISTS (SELECT FROM cost_ledger_internal.hold h WHERE h.provisional IS NOT NULL AND h.exchanged_at IS NULL);
    posted text := format('(%s) AND (c.hold_id IS NULL OR c.corrects IS NOT NULL)', condition);
    exchanged text := format('(%s) AND %s', condition, cost_ledger_internal.brings_price('h'));
BEGIN
    PERFORM cost_ledger_internal.waits_patiently();
    -- Holds before balances, as everywhere.
    IF exchanges THEN
        EXECUTE 'SELECT FROM cost_ledger_internal.hold h, cost_ledger.call c WHERE ' || exchanged || ' ORDER BY h.hold_id FOR UPDATE OF h';
    END IF;
    PERFORM cost_ledger_internal.post_balances(posted);
    PERFORM cost_ledger_internal.note_exceeding_calls(condition);
    IF exchanges THEN
        EXECUTE 'UPDATE cost_ledger_internal.hold h
                 SET exchanged_at = clock_timestamp(), cost = c.cost, overrun = CASE WHEN c.cost > h.estimate THEN c.cost - h.estimate END
                 FROM cost_ledger.call c WHERE ' || exchanged;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.post_spend(text) IS
    'Adds the rows c of call for which a condition holds, and that have no hold, to the balances of their budgets; for refresh(), which answers for each row coming here once. A price that comes for a call with a hold takes the place of the estimate.';

CREATE FUNCTION cost_ledger_internal.unposted_spend()
    RETURNS TABLE (budget_id bigint, entity text, period_start timestamptz, posted numeric, unpriced_calls bigint, first_at timestamptz, last_at timestamptz)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.unposted_spend() IS
    'What calls that refresh() has not seen yet will add to the balances of budgets, whoever asks: the view that does leaves out what its reader may not see.';

CREATE FUNCTION cost_ledger_internal.unposted_spend_as_owner()
    RETURNS TABLE (budget_id bigint, entity text, period_start timestamptz, posted numeric, unpriced_calls bigint, first_at timestamptz, last_at timestamptz)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF EXISTS (SELECT FROM cost_ledger.budget b WHERE b.is_active) THEN
        RETURN QUERY EXECUTE cost_ledger_internal.budget_spend_query('cost_ledger_internal.unconsumed_call', 'c.hold_id IS NULL OR c.corrects IS NOT NULL');
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.unposted_spend_as_owner() IS
    'The body of unposted_spend().';

CREATE FUNCTION cost_ledger_internal.posted_condition() RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- With a hold as soon as they are there, without one once they are in the
    -- rollups.
    SELECT format('((c.hold_id IS NOT NULL AND c.corrects IS NULL) OR (%s%s))',
                  cost_ledger_internal.consumed_condition(), cost_ledger_internal.not_quarantined())
$$;

COMMENT ON FUNCTION cost_ledger_internal.posted_condition() IS
    'The rows c of call that balances have, or had until they were taken back.';

CREATE FUNCTION cost_ledger_internal.recorded_condition(since timestamptz) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- The rollups are what is read of the time that retention has dropped.
    SELECT format('c.called_at >= %L AND ', recorded_condition.since) || cost_ledger_internal.posted_condition()
           || CASE WHEN s.calls_from > recorded_condition.since
                   THEN format(' AND (c.called_at >= %L OR %s IS NOT TRUE)', s.calls_from, cost_ledger_internal.consumed_condition()) ELSE '' END
           || cost_ledger_internal.standing()
    FROM cost_ledger_internal.rollup_state s
$$;

COMMENT ON FUNCTION cost_ledger_internal.recorded_condition(timestamptz) IS
    'The rows c of call since a time that balances have; of the time that retention has dropped, those that are not in the rollups.';

CREATE FUNCTION cost_ledger_internal.dropped_since(since timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.calls_from
    FROM cost_ledger_internal.rollup_state s
    WHERE EXISTS (SELECT FROM cost_ledger.retention_log r WHERE r.ends_at > dropped_since.since AND r.rows > 0)
$$;

COMMENT ON FUNCTION cost_ledger_internal.dropped_since(timestamptz) IS
    'Up to when retention has dropped calls that were made since a time; NULL where it has not.';

CREATE FUNCTION cost_ledger_internal.is_in_rollups(budget_id bigint, scope jsonb, each_of text, metric text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT is_in_rollups.metric IN ('cost', 'tokens', 'calls', 'tool_calls', 'turns')
           AND is_in_rollups.scope - cost_ledger_internal.rollup_labels() = '{}'
           AND cost_ledger_internal.each_columns(is_in_rollups.each_of) <@ cost_ledger_internal.rollup_labels()
           -- Nor by what an exception takes out of it.
           AND NOT EXISTS (SELECT FROM cost_ledger.budget x
                           WHERE x.exception_of = is_in_rollups.budget_id AND x.is_active
                             AND NOT (x.scope - cost_ledger_internal.rollup_labels() = '{}'
                                      AND cost_ledger_internal.each_columns(x.each_of) <@ cost_ledger_internal.rollup_labels()))
$$;

COMMENT ON FUNCTION cost_ledger_internal.is_in_rollups(bigint, jsonb, text, text) IS
    'Whether what a budget counts can be told from the rollups, where the calls are gone.';

CREATE FUNCTION cost_ledger_internal.note_gap(budget_id bigint, name text, counts_from timestamptz) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM cost_ledger_internal.budget_gap g WHERE g.budget_id = note_gap.budget_id;
    IF counts_from IS NOT NULL THEN
        INSERT INTO cost_ledger_internal.budget_gap (budget_id, counts_from) VALUES (note_gap.budget_id, note_gap.counts_from);
        RAISE NOTICE 'budget "%" counts calls made from % on', name, counts_from
            USING DETAIL = 'Earlier ones were dropped by retention, and the rollups do not say what this budget counts.',
                  HINT = 'budget_status.counts_from shows it as long as it matters.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.note_gap(bigint, text, timestamptz) IS
    'Writes down, and says, that a budget lacks what was spent before a time; NULL: it does not.';

CREATE FUNCTION cost_ledger_internal.remake_balance(budget_id bigint, entity text, period_start timestamptz) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET DateStyle = 'ISO'
AS $$
#variable_conflict use_column
DECLARE
    budget record;
    balance record;
    made record;
BEGIN
    SELECT b.* INTO budget FROM cost_ledger.budget b WHERE b.budget_id = remake_balance.budget_id;
    SELECT s.* INTO balance FROM cost_ledger_internal.budget_balance s
        WHERE s.budget_id = remake_balance.budget_id AND s.entity = remake_balance.entity AND s.period_start = remake_balance.period_start;
    -- Of calls that are gone it is all that is left.
    IF balance.first_at < (SELECT s.calls_from FROM cost_ledger_internal.rollup_state s) THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT q.* FROM (%s) q WHERE q.entity = %L AND q.period_start = %L',
                   cost_ledger_internal.budget_spend_query(
                       'cost_ledger.call',
                       cost_ledger_internal.recorded_condition(balance.first_at) || format(' AND c.called_at <= %L', balance.last_at)
                       || ' AND ' || cost_ledger_internal.call_condition(budget.scope - 'model')
                       || CASE WHEN budget.each_of = ANY (cost_ledger_internal.budget_columns())
                               THEN format(' AND cost_ledger_internal.shorten_id(c.%I) = %L', budget.each_of, remake_balance.entity) ELSE '' END,
                       format('b.budget_id = %s', remake_balance.budget_id)),
                   remake_balance.entity, remake_balance.period_start)
        INTO made;
    IF made.budget_id IS NULL THEN
        DELETE FROM cost_ledger_internal.budget_balance s
            WHERE s.budget_id = remake_balance.budget_id AND s.entity = remake_balance.entity AND s.period_start = remake_balance.period_start;
        RETURN;
    END IF;
    UPDATE cost_ledger_internal.budget_balance s SET first_at = made.first_at, last_at = made.last_at
        WHERE s.budget_id = remake_balance.budget_id AND s.entity = remake_balance.entity AND s.period_start = remake_balance.period_start;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.remake_balance(bigint, text, timestamptz) IS
    'When the first and the last call of a balance were, after some were taken out of it; without any it goes.';

CREATE FUNCTION cost_ledger_internal.unpost_spend() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    taken record;
    balance record;
BEGIN
    IF NOT EXISTS (SELECT FROM cost_ledger.budget b WHERE b.is_active) THEN
        RETURN;
    END IF;
    FOR taken IN EXECUTE cost_ledger_internal.budget_spend_query(
            '(SELECT c.* FROM cost_ledger_internal.reversal v JOIN cost_ledger.call c ON c.called_at = v.called_at AND c.call_id = v.call_id WHERE v.is_due)',
            cost_ledger_internal.posted_condition()) || ' ORDER BY 1, 2, 3' LOOP
        UPDATE cost_ledger_internal.budget_balance s
            SET posted = s.posted - taken.posted, unpriced_calls = s.unpriced_calls - taken.unpriced_calls
            WHERE s.budget_id = taken.budget_id AND s.entity = taken.entity AND s.period_start = taken.period_start
            RETURNING s.posted, s.unpriced_calls, s.first_at, s.last_at INTO balance;
        IF balance.posted = 0 AND balance.unpriced_calls = 0
           OR (taken.first_at <= balance.first_at OR taken.last_at >= balance.last_at)
              AND EXISTS (SELECT FROM cost_ledger.budget b WHERE b.budget_id = taken.budget_id AND (b.metric = 'duration' OR b.period = 'total')) THEN
            PERFORM cost_ledger_internal.remake_balance(taken.budget_id, taken.entity, taken.period_start);
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.unpost_spend() IS
    'Takes the rows of reversal that are due out of the balances that have them, in the order of the key. Where clocks of a duration begin or end with one, or nothing else is known to be left, the rest is looked at.';

CREATE FUNCTION cost_ledger_internal.note_unmatched(budget_id bigint, name text, scope jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    kept jsonb := cost_ledger_internal.kept_part(scope);
    is_matched boolean;
BEGIN
    -- Who begins with nothing means what is to come.
    IF scope = '{}' OR NOT EXISTS (SELECT FROM cost_ledger_internal.rollup_key) THEN
        RETURN;
    END IF;
    is_matched := EXISTS (SELECT FROM cost_ledger_internal.budget_balance s WHERE s.budget_id = note_unmatched.budget_id AND s.first_at IS NOT NULL)
        OR kept = scope AND EXISTS (SELECT FROM cost_ledger_internal.rollup_key k WHERE cost_ledger_internal.matches_filter(to_jsonb(k), kept));
    IF NOT is_matched THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM cost_ledger_internal.unconsumed_call u JOIN cost_ledger.call c ON c.called_at = u.called_at AND c.call_id = u.call_id WHERE %s)',
                       cost_ledger_internal.call_condition(scope)) INTO is_matched;
    END IF;
    IF NOT is_matched THEN
        -- Of what rollups are not kept by, only the calls of its periods are looked at.
        RAISE NOTICE 'no call% in the scope of budget "%" yet: %',
            CASE WHEN EXISTS (SELECT FROM cost_ledger_internal.rollup_key k WHERE cost_ledger_internal.matches_filter(to_jsonb(k), kept)) THEN ' of this or the last period is' ELSE ' is' END,
            name, left(scope::text, 200);
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.note_unmatched(bigint, text, jsonb) IS
    'Says where no call has matched the scope of a budget that is set: by what rollups are kept by, of all time; else of its periods. Nothing in a ledger that has no calls yet.';

CREATE FUNCTION cost_ledger_internal.kept_part(scope jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(s.key, s.value) FILTER (WHERE s.key = ANY (cost_ledger_internal.rollup_labels())), '{}') FROM jsonb_each(scope) s
$$;

COMMENT ON FUNCTION cost_ledger_internal.kept_part(jsonb) IS
    'The part of a scope that rollups are kept by.';

CREATE FUNCTION cost_ledger_internal.kept_from(budget_id bigint) RETURNS timestamptz
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN b.period IN ('total', 'request') THEN '-infinity'
                WHEN b.period = 'rolling' THEN c.period_start
                WHEN b.period = 'minute' THEN c.period_start - interval '10 minutes'
                ELSE (cost_ledger_internal.budget_period(b.period, c.period_start - interval '1 microsecond', z.zone, b.week_start)).period_start END
    FROM cost_ledger.budget b
    CROSS JOIN LATERAL (SELECT coalesce(b.time_zone, (SELECT l.time_zone FROM cost_ledger.ledger l)) AS zone) z
    CROSS JOIN LATERAL cost_ledger_internal.budget_period(b.period, now(), z.zone, b.week_start, b.period_length) c
    WHERE b.budget_id = kept_from.budget_id
$$;

COMMENT ON FUNCTION cost_ledger_internal.kept_from(bigint) IS
    'Where the balances of a budget begin that is set now: with the period before the current one.';

CREATE FUNCTION cost_ledger_internal.lock_balances() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '50ms'
AS $$
DECLARE
    milliseconds integer := 50;
BEGIN
    -- 10 seconds in all, by no clock, which may be set meanwhile.
    FOR attempt IN 1 .. 20 LOOP
        -- Who asks meanwhile waits behind us no longer than this: as long as those
        -- need who are at it, if there are many.
        PERFORM set_config('lock_timeout', milliseconds::text, true);
        milliseconds := least(milliseconds + milliseconds / 2, 400);
        BEGIN
            PERFORM cost_ledger_internal.lock_rollups();
            LOCK TABLE cost_ledger_internal.budget_balance IN SHARE ROW EXCLUSIVE MODE;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.2);
        END;
    END LOOP;
    RAISE EXCEPTION 'a transaction that has reserved or settled is still open'
        USING ERRCODE = 'lock_not_available',
              HINT = 'Commit the transaction of reserve() before the call of the model; then set the budget again.';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.lock_balances() IS
    'Has refresh() and settlements wait until the end of the transaction, so that none is between reading which budgets there are and writing their balances. While somebody else keeps it waiting, it lets the others by; after 10 seconds it gives up (55P03).';

CREATE FUNCTION cost_ledger_internal.hold_again(budget_id bigint) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH made AS (
        INSERT INTO cost_ledger_internal.hold_line (hold_id, budget_id, entity, period_start, amount, expires_at)
        SELECT DISTINCT ON (h.hold_id, n.entity) h.hold_id, b.budget_id, n.entity, 'infinity'::timestamptz, a.amount, h.expires_at
        FROM cost_ledger.budget b
        CROSS JOIN cost_ledger_internal.hold h
        CROSS JOIN LATERAL (
            SELECT '{"service_class": "standard"}' || (h.request -> 'labels')
                   || jsonb_strip_nulls(jsonb_build_object('provider', h.request -> 'provider', 'model', m.model)) AS labels
            FROM (SELECT h.request -> 'model' AS model UNION SELECT h.answer -> 'degrade_to' WHERE h.answer ->> 'decision' = 'degrade') m) l
        CROSS JOIN LATERAL (
            SELECT CASE WHEN b.include IS NULL THEN cost_ledger_internal.entity_of(cost_ledger_internal.each_columns(b.each_of), l.labels)
                        ELSE cost_ledger_internal.told_root(l.labels ->> 'run_id', l.labels ->> 'parent_run_id') END COLLATE "C" AS entity) n
        CROSS JOIN LATERAL (
            SELECT CASE b.metric
                WHEN 'cost' THEN h.estimate
                WHEN 'tokens' THEN coalesce((h.answer ->> 'tokens')::numeric, coalesce((h.request ->> 'input_tokens')::numeric, 0) + coalesce((h.request ->> 'max_output_tokens')::numeric, 0))
                WHEN 'tool_calls' THEN (h.request ->> 'tool_calls')::numeric
                WHEN 'calls' THEN 1
                WHEN 'concurrent_calls' THEN 1
                WHEN 'turns' THEN cost_ledger_internal.is_turn(l.labels ->> 'operation')::integer
            END AS amount) a
        WHERE b.budget_id = hold_again.budget_id AND b.period <> 'request'
          AND h.state = 'open' AND h.expires_at > clock_timestamp()
          AND cost_ledger_internal.matches_filter(l.labels, b.scope) AND n.entity IS NOT NULL
          AND NOT cost_ledger_internal.is_excepted(b.budget_id, l.labels) AND a.amount > 0
        RETURNING entity, amount
    )
    INSERT INTO cost_ledger_internal.budget_balance AS s (budget_id, entity, period_start, held)
        SELECT hold_again.budget_id, m.entity, 'infinity', sum(m.amount)
        FROM made m
        GROUP BY m.entity
        ORDER BY m.entity
        ON CONFLICT (budget_id, entity, period_start) DO UPDATE SET held = excluded.held
$$;

COMMENT ON FUNCTION cost_ledger_internal.hold_again(bigint) IS
    'What open holds have reserved of a budget that is set now, by what reserve() was told of them.';

CREATE TYPE cost_ledger_internal.past AS (
    snapshot         pg_snapshot,
    base_call_id     bigint,
    partial_xid      xid8,
    partial_call_id  bigint,
    seen             pg_snapshot,
    condition        text,
    dropped_to       timestamptz,
    restated         text
);

COMMENT ON TYPE cost_ledger_internal.past IS 'What is known of the past in one snapshot; see look_back().';

CREATE FUNCTION cost_ledger_internal.look_back(since timestamptz) RETURNS cost_ledger_internal.past
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.snapshot, s.base_call_id, s.partial_xid, s.partial_call_id,
           cost_ledger_internal.ledger_snapshot(pg_current_snapshot(), l.xid_offset, pg_current_xact_id()),
           cost_ledger_internal.recorded_condition(look_back.since),
           cost_ledger_internal.dropped_since(look_back.since),
           -- Rows of a ledger that is not at home yet cannot be told apart.
           CASE WHEN cost_ledger_internal.is_foreign() THEN gen_random_uuid()::text
                ELSE format('%s %s %s %s', l.xid_offset, s.calls_from, (SELECT count(*) FROM cost_ledger_internal.reversal),
                            (SELECT string_agg(q.call_id::text, ',' ORDER BY q.call_id) FROM cost_ledger_internal.quarantine q)) END
    FROM cost_ledger_internal.rollup_state s
    CROSS JOIN cost_ledger.ledger l
$$;

COMMENT ON FUNCTION cost_ledger_internal.look_back(timestamptz) IS
    'What is known in one snapshot of the past since a time: how far the rollups are, which transactions are seen, by which condition rows c of call are in balances, up to when retention has dropped calls, and what changes when it does so, or when rows are taken back or set aside.';

CREATE FUNCTION cost_ledger_internal.came_since(earlier cost_ledger_internal.past, later cost_ledger_internal.past) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    consumed text := cost_ledger_internal.batch_condition(earlier, later.snapshot, ROW(later.partial_xid, later.partial_call_id)::cost_ledger_internal.batch_end);
    has_corrections boolean;
BEGIN
    -- Rollups of what was dropped have more than before; a price has taken the
    -- place of an estimate that was read.
    IF consumed IS NOT NULL THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM cost_ledger.call c WHERE c.corrects IS NOT NULL AND %s)', consumed) INTO has_corrections;
    END IF;
    IF earlier.restated IS DISTINCT FROM later.restated OR has_corrections OR (consumed IS NOT NULL AND later.dropped_to IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    RETURN format('%s AND c.recorded_xid >= %L AND (c.hold_id IS NOT NULL AND c.corrects IS NULL AND NOT pg_visible_in_snapshot(c.recorded_xid, %L)%s)',
                  later.condition, pg_snapshot_xmin(CASE WHEN consumed IS NULL THEN earlier.seen ELSE earlier.snapshot END), earlier.seen,
                  ' OR ((c.hold_id IS NULL OR c.corrects IS NOT NULL) AND ' || consumed || ')');
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.came_since(cost_ledger_internal.past, cost_ledger_internal.past) IS
    'The rows c of call that are in balances by a later look_back() and were not by an earlier one; NULL where that cannot be told, or others are there no more.';

CREATE FUNCTION cost_ledger_internal.add_past(budget_id bigint, kept_as bigint, condition text, dropped_from timestamptz DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
BEGIN
    EXECUTE format('INSERT INTO cost_ledger_internal.budget_balance AS b (budget_id, entity, period_start, posted, unpriced_calls, first_at, last_at)
                    SELECT %s, q.entity, q.period_start, q.posted, q.unpriced_calls, q.first_at, q.last_at FROM (%s) q
                    ON CONFLICT (budget_id, entity, period_start) DO UPDATE SET
                        posted = b.posted + excluded.posted, unpriced_calls = b.unpriced_calls + excluded.unpriced_calls,
                        first_at = least(b.first_at, excluded.first_at), last_at = greatest(b.last_at, excluded.last_at)',
                   kept_as,
                   cost_ledger_internal.budget_spend_query(
                       'cost_ledger.call',
                       condition || coalesce((SELECT ' AND ' || cost_ledger_internal.call_condition(b.scope - 'model')
                                              FROM cost_ledger.budget b WHERE b.budget_id = add_past.budget_id), ''),
                       format('b.budget_id = %s', add_past.budget_id), dropped_from));
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.add_past(bigint, bigint, text, timestamptz) IS
    'Adds the rows c of call for which a condition holds to the balances of one budget, kept under another number until it is known what they are.';

CREATE FUNCTION cost_ledger_internal.has_past(budget_id bigint) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT b.period <> 'request' AND b.metric NOT IN ('concurrent_calls', 'depth')
    FROM cost_ledger.budget b
    WHERE b.budget_id = has_past.budget_id AND b.is_active
$$;

COMMENT ON FUNCTION cost_ledger_internal.has_past(bigint) IS
    'Whether a budget is active and counts what calls add up to; NULL where there is none.';

CREATE FUNCTION cost_ledger_internal.read_past(budget_id bigint) RETURNS cost_ledger_internal.past
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    since timestamptz := cost_ledger_internal.kept_from(read_past.budget_id);
    earlier cost_ledger_internal.past := cost_ledger_internal.look_back(since);
BEGIN
    IF cost_ledger_internal.has_past(read_past.budget_id) THEN
        PERFORM cost_ledger_internal.add_past(
            read_past.budget_id, - read_past.budget_id,
            format('%s AND (c.hold_id IS NULL OR c.corrects IS NOT NULL OR c.recorded_xid IS NULL OR pg_visible_in_snapshot(c.recorded_xid, %L))',
                   earlier.condition, earlier.seen),
            CASE WHEN earlier.dropped_to IS NOT NULL THEN since END);
    END IF;
    RETURN earlier;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.read_past(bigint) IS
    'Reads what the calls of a budget have added up to, as of now, and keeps it under the negative of its number. Others may change balances meanwhile.';

CREATE FUNCTION cost_ledger_internal.fill_budget(budget_id bigint, earlier cost_ledger_internal.past) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
DECLARE
    kept_as constant bigint := - fill_budget.budget_id;
    since timestamptz := cost_ledger_internal.kept_from(fill_budget.budget_id);
    later cost_ledger_internal.past := cost_ledger_internal.look_back(since);
    has_past boolean := cost_ledger_internal.has_past(fill_budget.budget_id);
    more text;
    dropped_from timestamptz;
BEGIN
    DELETE FROM cost_ledger_internal.hold_line l WHERE l.budget_id = fill_budget.budget_id;
    DELETE FROM cost_ledger_internal.budget_balance s WHERE s.budget_id = fill_budget.budget_id;
    IF has_past THEN
        more := cost_ledger_internal.came_since(earlier, later);
        IF more IS NULL THEN
            DELETE FROM cost_ledger_internal.budget_balance s WHERE s.budget_id = kept_as;
            more := later.condition;
            dropped_from := CASE WHEN later.dropped_to IS NOT NULL THEN since END;
        END IF;
        PERFORM cost_ledger_internal.add_past(fill_budget.budget_id, kept_as, more, dropped_from);
        UPDATE cost_ledger_internal.budget_balance s SET budget_id = fill_budget.budget_id WHERE s.budget_id = kept_as;
    END IF;
    PERFORM cost_ledger_internal.note_gap(b.budget_id, b.name,
                CASE WHEN has_past AND NOT cost_ledger_internal.is_in_rollups(b.budget_id, b.scope, b.each_of, b.metric) THEN later.dropped_to END)
        FROM cost_ledger.budget b WHERE b.budget_id = fill_budget.budget_id;
    PERFORM cost_ledger_internal.hold_again(fill_budget.budget_id);
    -- What was reached before anybody asked is recorded, and nobody is called.
    -- A new budget has no limit yet: its first version comes after it.
    PERFORM cost_ledger_internal.check_budgets(now(), fill_budget.budget_id);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.fill_budget(bigint, cost_ledger_internal.past) IS
    'Makes the balances of an active budget anew: what read_past() has kept of it, what came since, and what open holds have reserved. The caller has locked the balances.';

CREATE FUNCTION cost_ledger_internal.fill_budgets(budget_ids bigint[], deleted_budget bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    earlier cost_ledger_internal.past[];
BEGIN
    -- Nobody waits while the past is read, only while what came since is added.
    IF cardinality(budget_ids) > 0 THEN
        PERFORM cost_ledger_internal.take_lock('budgets');
        SET CONSTRAINTS cost_ledger.settle_calls, cost_ledger_internal.settle_calls IMMEDIATE;
        SET CONSTRAINTS cost_ledger.settle_calls, cost_ledger_internal.settle_calls DEFERRED;
        FOR i IN 1 .. cardinality(budget_ids) LOOP
            earlier[i] := cost_ledger_internal.read_past(budget_ids[i]);
        END LOOP;
    END IF;

    -- Neither refresh() nor a settlement may be between reading which budgets
    -- there are and writing their balances; of one that is deleted nobody may
    -- write a balance afterwards.
    PERFORM cost_ledger_internal.lock_balances();
    DELETE FROM cost_ledger_internal.hold_line l WHERE l.budget_id = deleted_budget;
    DELETE FROM cost_ledger_internal.budget_balance s WHERE s.budget_id = deleted_budget;
    FOR i IN 1 .. cardinality(budget_ids) LOOP
        PERFORM cost_ledger_internal.fill_budget(budget_ids[i], earlier[i]);
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.fill_budgets(bigint[], bigint) IS
    'Makes the balances of active budgets anew, and takes away those of one that is deleted (NULL: none).';

CREATE FUNCTION cost_ledger_internal.start_budget_as_owner() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
DECLARE
    is_other boolean := TG_OP <> 'UPDATE'
        OR (new.metric, new.scope, new.each_of, new.include, new.period, new.period_length, new.time_zone, new.week_start)
           IS DISTINCT FROM
           (old.metric, old.scope, old.each_of, old.include, old.period, old.period_length, old.time_zone, old.week_start);
BEGIN
    IF TG_OP = 'UPDATE' AND is_other THEN
        -- Alerts are once per version: what counts otherwise is another limit,
        -- unless set_budget() has just made one.
        PERFORM cost_ledger_internal.add_budget_version(new.budget_id, v.limit_amount, v.thresholds, v.actions, v.degrade_to, v.reason)
            FROM (SELECT v.* FROM cost_ledger.budget_version v
                  WHERE v.budget_id = new.budget_id AND v.valid_to IS NULL
                  ORDER BY v.version DESC LIMIT 1) v
            WHERE cost_ledger_internal.is_history(v.budget_id, v.version);
        UPDATE cost_ledger.budget x
            SET metric = new.metric, include = new.include, period = new.period, period_length = new.period_length, time_zone = new.time_zone, week_start = new.week_start
            WHERE x.exception_of = new.budget_id
              AND (x.metric, x.include, x.period, x.period_length, x.time_zone, x.week_start)
                  IS DISTINCT FROM (new.metric, new.include, new.period, new.period_length, new.time_zone, new.week_start);
    END IF;
    IF NOT is_other AND old.is_active = new.is_active AND old.exception_of IS NOT DISTINCT FROM new.exception_of THEN
        RETURN NULL;
    END IF;

    -- What an exception takes is not the default's any more, and the other way round.
    PERFORM cost_ledger_internal.fill_budgets(
        ARRAY(SELECT DISTINCT b.budget_id
              FROM cost_ledger.budget b
              WHERE b.is_active
                AND ((TG_OP <> 'DELETE' AND b.budget_id = new.budget_id AND (is_other OR NOT old.is_active))
                     OR (TG_OP <> 'INSERT' AND b.budget_id = old.exception_of)
                     OR (TG_OP <> 'DELETE' AND b.budget_id = new.exception_of))),
        CASE WHEN TG_OP = 'DELETE' THEN old.budget_id END);
    IF TG_OP <> 'DELETE' AND new.is_active AND (is_other OR NOT old.is_active) THEN
        PERFORM cost_ledger_internal.note_unmatched(new.budget_id, new.name, new.scope);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.start_budget_as_owner() IS
    'What the trigger start_budget() does.';

CREATE FUNCTION cost_ledger_internal.start_budget() RETURNS trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.start_budget() IS
    'Trigger of budget: one that is new, counts otherwise or is switched on again starts with what was spent already in the period and the one before (as rollups have it, where retention has dropped the calls; else from then on, see budget_gap), and with what open holds have reserved; thresholds reached by that are seeded. Others wait only while what came since the past was read is added.';

CREATE FUNCTION cost_ledger_internal.start_limit_as_owner() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cost_ledger_internal.check_budgets(now(), new.budget_id);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.start_limit_as_owner() IS
    'What the trigger start_limit() does.';

CREATE FUNCTION cost_ledger_internal.start_limit() RETURNS trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.start_limit() IS
    'Trigger of budget_version: seeds the first limit of a budget with the thresholds that are reached already.';

CREATE FUNCTION cost_ledger.check_balances()
    RETURNS TABLE (budget_id bigint, entity text, starts_at timestamptz, posted numeric, expected numeric, held numeric, lines numeric)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
DECLARE
    kept_from timestamptz := (SELECT min(cost_ledger_internal.kept_from(b.budget_id)) FROM cost_ledger.budget b WHERE b.is_active);
    dropped_to timestamptz := cost_ledger_internal.dropped_since(kept_from);
BEGIN
    PERFORM cost_ledger_internal.ledger();
    PERFORM cost_ledger_internal.tell_of_quarantine();
    RETURN QUERY EXECUTE format($query$
        WITH expected AS MATERIALIZED (%1$s),
        lines AS (SELECT l.budget_id, l.entity, l.period_start, sum(l.amount) AS amount FROM cost_ledger_internal.hold_line l GROUP BY 1, 2, 3),
        kept AS MATERIALIZED (
            SELECT b.budget_id, cost_ledger_internal.kept_from(b.budget_id) AS since,
                   b.period = 'total' AND cost_ledger_internal.is_in_rollups(b.budget_id, b.scope, b.each_of, b.metric) AS is_in_rollups
            FROM cost_ledger.budget b WHERE b.is_active)
        SELECT budget_id, entity, period_start, coalesce(s.posted, 0), x.posted, coalesce(s.held, 0), coalesce(l.amount, 0)
        FROM cost_ledger_internal.budget_balance s
        FULL JOIN expected e USING (budget_id, entity, period_start)
        FULL JOIN lines l USING (budget_id, entity, period_start)
        JOIN kept k USING (budget_id)
        -- Nobody can tell any more what calls that are gone have added up to.
        CROSS JOIN LATERAL (
            SELECT CASE WHEN t.is_known THEN coalesce(e.posted, 0) ELSE coalesce(s.posted, 0) END AS posted,
                   CASE WHEN t.is_known THEN coalesce(e.unpriced_calls, 0) ELSE coalesce(s.unpriced_calls, 0) END AS unpriced_calls
            FROM (SELECT period_start >= %2$L OR k.is_in_rollups AS is_known) t) x
        WHERE (period_start >= k.since OR period_start = '-infinity')
          AND (coalesce(s.posted, 0), coalesce(s.unpriced_calls, 0), coalesce(s.held, 0))
              IS DISTINCT FROM (x.posted, x.unpriced_calls, coalesce(l.amount, 0))
        ORDER BY 1, 2, 3
        $query$,
        cost_ledger_internal.budget_spend_query('cost_ledger.call', cost_ledger_internal.recorded_condition(kept_from), 'true',
                                                CASE WHEN dropped_to IS NOT NULL THEN kept_from END),
        coalesce(dropped_to, '-infinity'));
END
$$;

COMMENT ON FUNCTION cost_ledger.check_balances() IS
    'Makes the balances of active budgets anew, of the current period and the one before, from the rows of call that are in them and from the lines of open holds, in one snapshot, and returns what differs. No rows: all is well. Of a period that reaches into time that retention has dropped, only holds are compared, unless rollups have what the budget counts. Calls in quarantine are left out, with a notice.';

CREATE FUNCTION cost_ledger_internal.is_history(budget_id bigint, version integer) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Later than now() is one that was committed after this transaction began.
    SELECT v.valid_from <> now()
           OR EXISTS (SELECT FROM cost_ledger.budget_version n WHERE n.budget_id = v.budget_id AND n.version > v.version)
           OR EXISTS (SELECT FROM cost_ledger.alert a WHERE a.budget_id = v.budget_id AND a.budget_version = v.version)
    FROM cost_ledger.budget_version v
    WHERE v.budget_id = is_history.budget_id AND v.version = is_history.version
$$;

COMMENT ON FUNCTION cost_ledger_internal.is_history(bigint, integer) IS
    'Whether a limit has to stay as it is: not if this transaction has made it and nothing refers to it yet.';

CREATE FUNCTION cost_ledger_internal.add_budget_version(
    budget_id bigint, limit_amount numeric, thresholds numeric[], actions text[], degrade_to text, reason text, valid_to timestamptz DEFAULT NULL
) RETURNS integer
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    made integer;
BEGIN
    IF add_budget_version.valid_to IS NULL THEN
        UPDATE cost_ledger.budget_version v SET valid_to = greatest(now(), v.valid_from)
            WHERE v.budget_id = add_budget_version.budget_id AND (v.valid_to IS NULL OR v.valid_to > now());
    END IF;
    INSERT INTO cost_ledger.budget_version (budget_id, version, limit_amount, thresholds, actions, degrade_to, valid_to, reason)
        VALUES (add_budget_version.budget_id,
                1 + coalesce((SELECT max(v.version) FROM cost_ledger.budget_version v WHERE v.budget_id = add_budget_version.budget_id), 0),
                add_budget_version.limit_amount, add_budget_version.thresholds, add_budget_version.actions, add_budget_version.degrade_to,
                add_budget_version.valid_to, add_budget_version.reason)
        RETURNING version INTO made;
    RETURN made;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.add_budget_version(bigint, numeric, numeric[], text[], text, text, timestamptz) IS
    'Another limit for a budget: for good, which ends every other, or until valid_to.';

CREATE FUNCTION cost_ledger_internal.check_budget_name(name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Alerts carry the name in a message of less than 1 kB.
    IF name IS NULL OR octet_length(name) NOT BETWEEN 1 AND 64 OR name ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'budget name "%" is empty, longer than 64 bytes or not printable', left(name, 100)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give a short name that people know the budget by.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_budget_name(text) IS
    'An error (22023) if a budget cannot have this name.';

CREATE FUNCTION cost_ledger_internal.budget_named(name text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    id bigint := (SELECT b.budget_id FROM cost_ledger.budget b WHERE b.name = budget_named.name);
BEGIN
    IF id IS NULL AND name IS NOT NULL THEN
        RAISE EXCEPTION 'there is no budget "%"', left(name, 100)
            USING ERRCODE = 'no_data_found',
                  HINT = 'Pass the name of a budget of cost_ledger.budget.';
    END IF;
    RETURN id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.budget_named(text) IS
    'The budget_id of a name; an error (P0002) if there is none, NULL for NULL.';

CREATE FUNCTION cost_ledger_internal.set_budget(
    name           text,
    scope          jsonb,
    period         text,
    limit_amount   numeric,
    thresholds     numeric[],
    time_zone      text,
    metric         text,
    each_of        text,
    actions        text[],
    degrade_to     text,
    week_start     integer,
    period_length  interval,
    reason         text,
    severity       text,
    include        text,
    exception_of   text
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    is_new boolean;
    wanted record;
    current_version record;
    default_id bigint := cost_ledger_internal.budget_named(set_budget.exception_of);
BEGIN
    PERFORM cost_ledger_internal.ledger();
    PERFORM cost_ledger_internal.check_budget_name(set_budget.name);
    IF set_budget.period IN ('run', 'session') THEN
        IF set_budget.each_of IS NOT NULL THEN
            RAISE EXCEPTION 'period "%" is for each of them already', set_budget.period
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Leave each_of out, or write the period total.';
        END IF;
        set_budget.each_of := set_budget.period || '_id';
        set_budget.period := 'total';
    END IF;

    INSERT INTO cost_ledger.budget AS b (name, metric, scope, each_of, include, exception_of, period, period_length, time_zone, week_start, severity, match_key)
        VALUES (set_budget.name, set_budget.metric, set_budget.scope, set_budget.each_of, set_budget.include, default_id, set_budget.period,
                set_budget.period_length, set_budget.time_zone, set_budget.week_start, set_budget.severity, '')
        ON CONFLICT ON CONSTRAINT budget_name DO NOTHING
        RETURNING b.budget_id INTO id;
    is_new := FOUND;
    IF NOT is_new THEN
        SELECT b.budget_id INTO STRICT id FROM cost_ledger.budget b WHERE b.name = set_budget.name FOR NO KEY UPDATE;
    END IF;

    -- The limit first: what the budget has reached when it starts is measured by
    -- it.
    SELECT v.* INTO current_version
        FROM cost_ledger.budget_version v
        WHERE v.budget_id = id AND v.valid_to IS NULL
        ORDER BY v.version DESC LIMIT 1;
    IF NOT FOUND THEN
        PERFORM cost_ledger_internal.add_budget_version(id, set_budget.limit_amount, coalesce(set_budget.thresholds, '{0.7,0.9,1.0}'), set_budget.actions,
                                                set_budget.degrade_to, set_budget.reason);
    ELSE
        -- Put in the form that is kept, and compared with it.
        UPDATE cost_ledger.budget_version v
            SET limit_amount = set_budget.limit_amount, thresholds = coalesce(set_budget.thresholds, '{0.7,0.9,1.0}'), actions = set_budget.actions,
                degrade_to = set_budget.degrade_to
            WHERE v.budget_id = id AND v.version = current_version.version
            RETURNING v.* INTO wanted;
        IF (wanted.limit_amount, wanted.thresholds, wanted.actions, wanted.degrade_to)
           IS DISTINCT FROM (current_version.limit_amount, current_version.thresholds, current_version.actions, current_version.degrade_to)
           AND cost_ledger_internal.is_history(id, current_version.version) THEN
            UPDATE cost_ledger.budget_version v
                SET limit_amount = current_version.limit_amount, thresholds = current_version.thresholds, actions = current_version.actions,
                    degrade_to = current_version.degrade_to
                WHERE v.budget_id = id AND v.version = current_version.version;
            PERFORM cost_ledger_internal.add_budget_version(id, wanted.limit_amount, wanted.thresholds, wanted.actions, wanted.degrade_to, set_budget.reason);
        END IF;
    END IF;
    IF NOT is_new THEN
        UPDATE cost_ledger.budget b SET
            metric = set_budget.metric, scope = set_budget.scope, each_of = set_budget.each_of, include = set_budget.include, exception_of = default_id, period = set_budget.period,
            period_length = set_budget.period_length, time_zone = set_budget.time_zone, week_start = set_budget.week_start, severity = set_budget.severity, is_active = true
            WHERE b.budget_id = id;
    END IF;
    RETURN id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.set_budget(text, jsonb, text, numeric, numeric[], text, text, text, text[], text, integer, interval, text, text, text, text) IS
    'cost_ledger.set_budget(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.set_budget(
    name           text,
    scope          jsonb,
    period         text,
    limit_amount   numeric,
    thresholds     numeric[] DEFAULT '{0.7,0.9,1.0}',
    time_zone      text DEFAULT NULL,
    metric         text DEFAULT 'cost',
    each_of        text DEFAULT NULL,
    actions        text[] DEFAULT NULL,
    degrade_to     text DEFAULT NULL,
    week_start     integer DEFAULT 1,
    period_length  interval DEFAULT NULL,
    reason         text DEFAULT NULL,
    severity       text DEFAULT NULL,
    include        text DEFAULT NULL,
    exception_of   text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.set_budget(text, jsonb, text, numeric, numeric[], text, text, text, text[], text, integer, interval, text, text, text, text) IS
    'Sets a budget, new or known by its name, and returns its budget_id. scope is a filter of the calls it limits, by columns of the call and tags, {"team": "search", "model": "gpt-5*"}; {} is every call, and a NOTICE says where no call has been in it yet. period is request, minute, hour, day, week, month, quarter or total in time_zone (NULL: the ledger''s), weeks from day week_start (1 Monday … 7 Sunday); rolling, the last period_length; run or session, for each of them. limit_amount is in the unit of metric: cost (in the ledger''s currency), tokens, calls, tool_calls, turns, concurrent_calls, duration (seconds) or depth. each_of is a column of the call, or a tag, tags.tier, or several, {team,user_id}: each value has the limit for itself. Of runs, include => ''subruns'' has the runs below one count for it. exception_of is the name of a budget for each of something, of the same metric and period, whose place this one takes for the calls of its scope. thresholds are fractions of limit_amount at which an alert is raised; actions what each asks for: warn, throttle, degrade (to the model degrade_to), defer or stop. severity is review or page, how urgent its alerts are; NULL: by threshold, see budget.severity. A changed limit is a new version, which alerts anew; the same again changes nothing. A budget that is new, counts otherwise or is switched on again starts with what was spent in the period already, also by calls that retention has dropped, unless it is limited by what rollups are not kept by (user_id, run_id, session_id, api_key, agent, cohort, tags): then a NOTICE, and budget_status.counts_from, say from when on it counts; thresholds reached by that are recorded as alerts of kind seeded, without a message.';

CREATE FUNCTION cost_ledger_internal.set_budget(
    name           text,
    scope          jsonb,
    period         text,
    limit_amount   numeric,
    thresholds     text,
    time_zone      text,
    metric         text,
    each_of        text,
    actions        text[],
    degrade_to     text,
    week_start     integer,
    period_length  interval,
    reason         text,
    severity       text,
    include        text,
    exception_of   text
) RETURNS bigint
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT cost_ledger_internal.set_budget(
        set_budget.name, set_budget.scope, set_budget.period, set_budget.limit_amount,
        CASE WHEN position('%' IN set_budget.thresholds) = 0 THEN set_budget.thresholds::numeric[]
             WHEN set_budget.thresholds IS NOT NULL
             THEN ARRAY(SELECT CASE WHEN position('%' IN t.threshold) > 0 THEN trim_scale(rtrim(t.threshold, '% ')::numeric / 100) ELSE t.threshold::numeric END
                        FROM unnest(set_budget.thresholds::text[]) WITH ORDINALITY AS t (threshold, n)
                        ORDER BY t.n) END,
        set_budget.time_zone, set_budget.metric, set_budget.each_of, set_budget.actions, set_budget.degrade_to,
        set_budget.week_start, set_budget.period_length, set_budget.reason, set_budget.severity, set_budget.include, set_budget.exception_of)
$$;

COMMENT ON FUNCTION cost_ledger_internal.set_budget(text, jsonb, text, numeric, text, text, text, text, text[], text, integer, interval, text, text, text, text) IS
    'cost_ledger.set_budget() with thresholds as a text, with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.set_budget(
    name           text,
    scope          jsonb,
    period         text,
    limit_amount   numeric,
    thresholds     text,
    time_zone      text DEFAULT NULL,
    metric         text DEFAULT 'cost',
    each_of        text DEFAULT NULL,
    actions        text[] DEFAULT NULL,
    degrade_to     text DEFAULT NULL,
    week_start     integer DEFAULT 1,
    period_length  interval DEFAULT NULL,
    reason         text DEFAULT NULL,
    severity       text DEFAULT NULL,
    include        text DEFAULT NULL,
    exception_of   text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.set_budget(text, jsonb, text, numeric, text, text, text, text, text[], text, integer, interval, text, text, text, text) IS
    'The other set_budget(), with thresholds written as a text: ''{50%,80%,100%}'', or as fractions ''{0.5,0.8,1.0}''.';

CREATE FUNCTION cost_ledger_internal.raise_budget(name text, limit_amount numeric, until timestamptz, reason text) RETURNS integer
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v record;
BEGIN
    PERFORM cost_ledger_internal.ledger();
    -- Two who raise it at once come after each other.
    PERFORM FROM cost_ledger.budget b WHERE b.name = raise_budget.name FOR NO KEY UPDATE;
    SELECT v1.* INTO v
        FROM cost_ledger.budget b
        JOIN cost_ledger.budget_version v1 USING (budget_id)
        WHERE b.name = raise_budget.name AND v1.valid_to IS NULL
        ORDER BY v1.version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no budget "%"', raise_budget.name
            USING ERRCODE = 'no_data_found',
                  HINT = 'Pass the name of a budget of cost_ledger.budget.';
    END IF;
    IF NOT coalesce(raise_budget.until > now(), false) OR coalesce(raise_budget.reason, '') = '' THEN
        RAISE EXCEPTION 'a temporary limit needs an end in the future and a reason'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write until => now() + interval ''1 day'', reason => ''…''; a limit for good is set with cost_ledger.set_budget().';
    END IF;
    RETURN cost_ledger_internal.add_budget_version(v.budget_id, raise_budget.limit_amount, v.thresholds, v.actions, v.degrade_to, raise_budget.reason, raise_budget.until);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.raise_budget(text, numeric, timestamptz, text) IS
    'cost_ledger.raise_budget(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.raise_budget(name text, limit_amount numeric, until timestamptz, reason text) RETURNS integer
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.raise_budget(text, numeric, timestamptz, text) IS
    'Another limit for a budget until a time, with a reason, and returns its version; then the limit is again what it was. A set_budget() that changes the limit meanwhile ends it.';

CREATE FUNCTION cost_ledger_internal.note_call() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_note_call';

COMMENT ON FUNCTION cost_ledger_internal.note_call() IS
    'Trigger of call: notes what of a call with a hold concerns budgets, for the end of the transaction.';

CREATE FUNCTION cost_ledger_internal.settle_calls() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_settle_calls';

COMMENT ON FUNCTION cost_ledger_internal.settle_calls() IS
    'Trigger of call: the first that fires at the end of a transaction settles the holds of all its calls.';

CREATE FUNCTION cost_ledger_internal.ends_holds() RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_ends_holds';

COMMENT ON FUNCTION cost_ledger_internal.ends_holds() IS
    'Has the rest of the function that calls it wait no longer than cost_ledger.decision_lock_timeout for a lock, as will what this transaction settles later. Only in functions with a SET clause.';

CREATE FUNCTION cost_ledger_internal.waits_patiently() RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_waits_patiently';

COMMENT ON FUNCTION cost_ledger_internal.waits_patiently() IS
    'Has the rest of the function that calls it leave it to others to end a circle of waits. Only in functions with a SET clause, whose transaction has no hold yet.';

CREATE FUNCTION cost_ledger_internal.give_back(hold_ids uuid[]) RETURNS void
    LANGUAGE c VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'cl_give_back';

COMMENT ON FUNCTION cost_ledger_internal.give_back(uuid[]) IS
    'Takes what holds have reserved out of the balances, and waits for none: of a balance that somebody has, it counts for nothing from then on, and whoever has the balance next takes it out. The caller has locked the holds.';

CREATE FUNCTION cost_ledger_internal.expire_holds() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    expired uuid[];
BEGIN
    PERFORM cost_ledger_internal.ends_holds();
    -- Not while a budget is set, which reads what is held.
    LOCK TABLE cost_ledger_internal.budget_balance IN ROW EXCLUSIVE MODE;
    -- Those that are being settled are no business of ours.
    expired := ARRAY(SELECT h.hold_id FROM cost_ledger_internal.hold h
                     WHERE h.state = 'open' AND h.expires_at <= clock_timestamp()
                     ORDER BY h.hold_id
                     LIMIT 10000
                     FOR UPDATE SKIP LOCKED);
    IF cardinality(expired) > 0 THEN
        UPDATE cost_ledger_internal.hold h SET state = 'expired', ended_at = clock_timestamp() WHERE h.hold_id = ANY (expired);
        PERFORM cost_ledger_internal.give_back(expired);
    END IF;
    -- What has ended while somebody had the balance.
    PERFORM cost_ledger_internal.give_back(l.hold_ids)
        FROM (SELECT array_agg(l.hold_id) AS hold_ids
              FROM (SELECT l.hold_id FROM cost_ledger_internal.hold_line l WHERE l.expires_at = '-infinity' LIMIT 10000) l) l
        WHERE l.hold_ids IS NOT NULL;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.expire_holds() IS
    'Puts expired holds on record and their amounts back. Only tidying up: they reserve nothing from the moment they expire.';

CREATE FUNCTION cost_ledger_internal.prune_holds(as_of timestamptz DEFAULT now(), max_holds bigint DEFAULT 50000) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    holds_from timestamptz;
    pruned bigint;
BEGIN
    SELECT as_of - r.retain_holds INTO holds_from
        FROM cost_ledger.retention r
        -- There is no index for it, so it is a task of once a day.
        WHERE r.holds_pruned_at IS NULL OR r.holds_pruned_at <= as_of - interval '1 day';
    IF holds_from IS NULL THEN
        RETURN 0;
    END IF;
    WITH old AS (
        SELECT h.hold_id
        FROM cost_ledger_internal.hold h
        WHERE h.state <> 'open' AND h.ended_at < holds_from
          -- A price that comes yet takes the place of the estimate.
          AND (h.provisional IS NULL OR h.exchanged_at IS NOT NULL)
        LIMIT max_holds
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM cost_ledger_internal.hold h USING old o WHERE h.hold_id = o.hold_id RETURNING 1
    )
    SELECT count(*) INTO pruned FROM gone;
    IF pruned < max_holds THEN
        UPDATE cost_ledger.retention r SET holds_pruned_at = as_of;
    END IF;
    RETURN pruned;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.prune_holds(timestamptz, bigint) IS
    'Forgets max_holds holds that are over for as long as set_retention() says, and returns how many. Estimates that still stand in for a price are kept.';

CREATE FUNCTION cost_ledger_internal.depth_of_run(run_id text) RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    depth integer := 0;
    run text := depth_of_run.run_id;
    parent text;
BEGIN
    LOOP
        SELECT r.parent_run_id INTO parent FROM cost_ledger_internal.rollup_run r WHERE r.run_id = run;
        IF parent IS NULL THEN
            SELECT h.parent_run_id INTO parent
                FROM cost_ledger_internal.hold h
                WHERE h.run_id = run AND h.parent_run_id IS NOT NULL
                ORDER BY h.created_at LIMIT 1;
        END IF;
        -- A circle has no depth; this ends it.
        EXIT WHEN parent IS NULL OR depth = 1000;
        depth := depth + 1;
        run := parent;
    END LOOP;
    RETURN depth;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.depth_of_run(text) IS
    'As run_depth(), but by what reserve() has been told of runs too, before refresh() has seen a call of theirs.';

CREATE FUNCTION cost_ledger_internal.root_of_run(run_id text) RETURNS text
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.root_of_run(text) IS
    'The run at the top of those that started a run, by what refresh() has seen and else by what reserve() was told; itself, for a run without a parent.';

CREATE FUNCTION cost_ledger_internal.root_of_run_as_owner(run_id text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.told_root(root_of_run_as_owner.run_id, NULL) $$;

COMMENT ON FUNCTION cost_ledger_internal.root_of_run_as_owner(text) IS
    'The body of root_of_run().';

CREATE FUNCTION cost_ledger_internal.told_parent(run_id text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT h.parent_run_id
    FROM cost_ledger_internal.hold h
    WHERE h.run_id = told_parent.run_id AND h.parent_run_id IS NOT NULL
    ORDER BY h.created_at, h.hold_id LIMIT 1
$$;

COMMENT ON FUNCTION cost_ledger_internal.told_parent(text) IS
    'The run above a run, as reserve() was first told.';

CREATE FUNCTION cost_ledger_internal.told_root(run_id text, parent_run_id text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    run text := told_root.run_id;
    passed text[] := '{}';
    known record;
    above text;
BEGIN
    -- Those on the way are passed by, as far as the rollups know the top.
    LOOP
        IF run = ANY (passed) THEN
            RETURN (SELECT min(p COLLATE "C") FROM unnest(passed[array_position(passed, run):]) AS p);
        END IF;
        passed := passed || run;
        SELECT r.parent_run_id, r.root_run_id INTO known FROM cost_ledger_internal.rollup_run r WHERE r.run_id = run;
        above := CASE WHEN known.parent_run_id IS NOT NULL THEN known.root_run_id
                      ELSE coalesce(cost_ledger_internal.told_parent(run), CASE WHEN run = told_root.run_id THEN told_root.parent_run_id END) END;
        IF above IS NULL THEN
            RETURN run;
        END IF;
        run := above;
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.told_root(text, text) IS
    'As root_of_run(), of a run that is said now to be below another one. Parents that go in a circle end at the smallest run_id of it.';

CREATE FUNCTION cost_ledger_internal.subruns(run_id text) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE below (run_id) AS (
        SELECT subruns.run_id COLLATE "C"
        UNION
        SELECT c.run_id
        FROM below b
        -- OFFSET 0: looked up, level by level, however many the planner expects.
        CROSS JOIN LATERAL (
            SELECT r.run_id FROM cost_ledger_internal.rollup_run r WHERE r.parent_run_id = b.run_id
            UNION ALL
            SELECT h.run_id FROM cost_ledger_internal.hold h
            WHERE h.parent_run_id = b.run_id AND cost_ledger_internal.told_parent(h.run_id) = b.run_id
              AND NOT EXISTS (SELECT FROM cost_ledger_internal.rollup_run r WHERE r.run_id = h.run_id AND r.parent_run_id IS NOT NULL)
            OFFSET 0) c
    )
    SELECT b.run_id FROM below b WHERE b.run_id <> subruns.run_id
$$;

COMMENT ON FUNCTION cost_ledger_internal.subruns(text) IS
    'All runs below a run, as root_of_run() knows them.';

CREATE FUNCTION cost_ledger_internal.subrun_spend(
    budget_id bigint, run_id text, first_start timestamptz, last_start timestamptz, at timestamptz, soon timestamptz,
    OUT posted numeric, OUT first_at timestamptz, OUT first_minute timestamptz, OUT held numeric, OUT expired numeric, OUT expiring numeric
)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(sum(s.posted) FILTER (WHERE s.is_posted), 0), min(s.first_at) FILTER (WHERE s.is_posted),
           min(s.period_start) FILTER (WHERE s.is_posted AND s.posted > 0),
           coalesce(sum(s.held), 0), coalesce(sum(s.expired), 0), coalesce(sum(s.expiring), 0)
    FROM cost_ledger_internal.subruns(subrun_spend.run_id) AS r (run_id)
    CROSS JOIN LATERAL (
        SELECT b.*, b.period_start >= subrun_spend.first_start AND b.period_start <= subrun_spend.last_start AS is_posted, x.expired, x.expiring
        FROM cost_ledger_internal.budget_balance b
        LEFT JOIN LATERAL (
            SELECT sum(i.amount) FILTER (WHERE i.expires_at <= subrun_spend.at) AS expired, sum(i.amount) AS expiring
            FROM cost_ledger_internal.hold_line i
            WHERE i.budget_id = b.budget_id AND i.entity = b.entity AND i.period_start = b.period_start AND i.expires_at <= subrun_spend.soon) x ON b.held <> 0
        WHERE b.budget_id = subrun_spend.budget_id AND b.entity = r.run_id
          AND (b.period_start = 'infinity' OR b.period_start >= subrun_spend.first_start AND b.period_start <= subrun_spend.last_start)
        OFFSET 0) s
$$;

COMMENT ON FUNCTION cost_ledger_internal.subrun_spend(bigint, text, timestamptz, timestamptz, timestamptz, timestamptz) IS
    'What the balances of the runs below a run add up to: posted in the periods from first_start to last_start, and held, with what of it has expired at a time, and will have soon.';

CREATE FUNCTION cost_ledger_internal.reserve(
    hold_key           text,
    labels             jsonb,
    estimate           numeric,
    provider           text,
    model              text,
    input_tokens       bigint,
    max_output_tokens  bigint,
    ttl                interval,
    check_only         boolean,
    tool_calls         bigint,
    raise              boolean
) RETURNS TABLE (
        decision text, hold_id uuid, budget_id bigint, reason text, spent numeric, held numeric, limit_amount numeric,
        resets_at timestamptz, retry_after interval, degrade_to text, estimate_held numeric, is_unpriced boolean)
    LANGUAGE c VOLATILE ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'cl_reserve';

COMMENT ON FUNCTION cost_ledger_internal.reserve(text, jsonb, numeric, text, text, bigint, bigint, interval, boolean, bigint, boolean) IS
    'cost_ledger.reserve(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.reserve(
    hold_key           text,
    labels             jsonb,
    estimate           numeric DEFAULT NULL,
    provider           text DEFAULT NULL,
    model              text DEFAULT NULL,
    input_tokens       bigint DEFAULT NULL,
    max_output_tokens  bigint DEFAULT NULL,
    ttl                interval DEFAULT '10 minutes',
    check_only         boolean DEFAULT false,
    tool_calls         bigint DEFAULT NULL,
    raise              boolean DEFAULT false
) RETURNS TABLE (
        decision text, hold_id uuid, budget_id bigint, reason text, spent numeric, held numeric, limit_amount numeric,
        resets_at timestamptz, retry_after interval, degrade_to text, estimate_held numeric, is_unpriced boolean)
    LANGUAGE c VOLATILE ROWS 1
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.reserve(text, jsonb, numeric, text, text, bigint, bigint, interval, boolean, bigint, boolean) IS
    'May this call be made? Decides by every budget that the labels (columns the call will carry; '''' is none) belong to, and holds the estimate of all of them, or of none, until the call is inserted with hold_id, release(), or ttl is over. decision is allow; warn, throttle or degrade (to the model degrade_to, of whose budgets the hold is as well), granted with a level reached; defer or stop, refused, by the budget budget_id, of several that refuse alike the one that lasts longest, or by a pause. estimate is in the ledger''s currency; left out, it is what input_tokens and max_output_tokens cost now on the model, or unknown: then only a limit that is used up already refuses. Exact under any concurrency: what is spent through holds and held never exceeds a limit, nor is anything refused that fits. estimate_held is what the call is expected to cost, with that model. retry_after is when the period is over, or the first of the holds that are in the way; of throttle, how long to wait before the next such call for what is left to last to the end of the period. is_unpriced: the model has no price and no estimate was given; ledger.unpriced_policy says what is done then. A limit of tokens holds what was said, else as many as the estimate buys of the model''s input; where that is not known it is an error (22023), but for a limit of a request; of tool calls, tool_calls are held. raise makes a refusal an error: LC005 for defer, LC006 for stop, with the reason. A balance that another transaction has is waited for as long as cost_ledger.decision_lock_timeout says (55P03): commit before the call of the model. hold_key makes retries safe: the same key and arguments give the same hold, for longer if ttl is longer (LC003 for other arguments, or when the hold is over). check_only tells the decision and holds nothing. Only at READ COMMITTED (25000).';

CREATE FUNCTION cost_ledger_internal.check_reserve_json(request jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unknown text;
BEGIN
    IF jsonb_typeof(request) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'a request is not a JSON object'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write {"hold_key": "request-1", "labels": {"team": "search"}, "estimate": "0.02"}: the arguments of reserve() by name.';
    END IF;
    SELECT k.key INTO unknown
        FROM jsonb_object_keys(request) AS k (key)
        WHERE k.key <> ALL ('{hold_key,labels,estimate,provider,model,input_tokens,max_output_tokens,ttl,check_only,tool_calls}')
        ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'reserve_json() knows no key "%"', left(unknown, 100)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The keys are hold_key, labels, estimate, provider, model, input_tokens, max_output_tokens, ttl, check_only and tool_calls.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_reserve_json(jsonb) IS
    'Refuses what is no request of reserve_json(), with a hint (22023).';

CREATE FUNCTION cost_ledger_internal.reserve_json(request jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    answer record;
BEGIN
    PERFORM cost_ledger_internal.check_reserve_json(request);
    SELECT * INTO STRICT answer
        FROM cost_ledger_internal.reserve(
            request ->> 'hold_key', nullif(request -> 'labels', 'null'), (request ->> 'estimate')::numeric, request ->> 'provider', request ->> 'model',
            (request ->> 'input_tokens')::bigint, (request ->> 'max_output_tokens')::bigint,
            coalesce((request ->> 'ttl')::interval, '10 minutes'), coalesce((request ->> 'check_only')::boolean, false),
            (request ->> 'tool_calls')::bigint, false);
    RETURN jsonb_build_object(
        'is_allowed', answer.decision NOT IN ('defer', 'stop'),
        'decision', answer.decision,
        'sqlstate', CASE answer.decision WHEN 'defer' THEN 'LC005' WHEN 'stop' THEN 'LC006' END,
        'hold_id', answer.hold_id, 'budget_id', answer.budget_id, 'reason', answer.reason,
        -- Strings: JSON numbers become binary fractions in most hands.
        'spent', answer.spent::text, 'held', answer.held::text, 'limit_amount', answer.limit_amount::text,
        'resets_at', CASE WHEN isfinite(answer.resets_at) THEN cost_ledger_internal.message_time(answer.resets_at) END,
        'retry_after_seconds', ceil(extract(epoch FROM answer.retry_after)),
        'degrade_to', answer.degrade_to, 'estimate_held', answer.estimate_held::text, 'is_unpriced', answer.is_unpriced);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.reserve_json(jsonb) IS
    'cost_ledger.reserve_json(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.reserve_json(request jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.reserve_json(jsonb) IS
    'reserve() for gateways: its arguments as one JSON object, {"hold_key": "request-1", "labels": {"team": "search"}, "estimate": "0.02", …}, numbers also as strings, any other key an error (22023); and its answer as one, always with the same keys: is_allowed, decision, sqlstate (LC005 for defer, LC006 for stop, else null), hold_id, budget_id, reason, spent, held, limit_amount and estimate_held as strings, resets_at (ISO 8601), retry_after_seconds (whole, for Retry-After), degrade_to, is_unpriced.';

CREATE FUNCTION cost_ledger_internal.release(hold_key text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    id uuid;
BEGIN
    PERFORM cost_ledger_internal.ends_holds();
    -- Not while a budget is set, which reads what is held.
    LOCK TABLE cost_ledger_internal.budget_balance IN ROW EXCLUSIVE MODE;
    UPDATE cost_ledger_internal.hold h SET state = 'released', ended_at = clock_timestamp()
        WHERE h.hold_key = release.hold_key AND h.state = 'open'
        RETURNING h.hold_id INTO id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM cost_ledger_internal.give_back(ARRAY[id]);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'another transaction has had the hold of key "%" for too long', release.hold_key
        USING ERRCODE = 'lock_not_available',
              HINT = 'Who releases waits for cost_ledger.decision_lock_timeout: release again, and end each hold in a transaction of its own.';
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.release(text) IS
    'cost_ledger.release(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.release(hold_key text) RETURNS boolean
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.release(text) IS
    'Gives back what a hold has reserved, when its call is not made or has failed without cost. True if it was open; again, or for a hold that has been settled or is not known, false.';

CREATE FUNCTION cost_ledger_internal.pause_scope(scope jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A look-up that found nothing must not stop everybody.
    IF coalesce(jsonb_typeof(scope), 'null') = 'null' THEN
        RAISE EXCEPTION 'the scope of a pause is NULL'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Write {"team": "search"}, or {} for every call.';
    END IF;
    RETURN cost_ledger_internal.check_filter(scope, 'a pause', cost_ledger_internal.budget_columns() || 'tags'::text);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.pause_scope(jsonb) IS
    'The scope of a pause as it is kept: as check_filter(), but NULL, which might be meant for one and be for all, is an error (22004).';

CREATE FUNCTION cost_ledger_internal.pause(scope jsonb, reason text, until timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    id bigint;
BEGIN
    IF coalesce(pause.reason, '') = '' OR pause.until <= now() THEN
        RAISE EXCEPTION 'a pause needs a reason, and an end in the future or none'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write SELECT cost_ledger.pause(''{"agent": "crawler"}'', ''runs away'');';
    END IF;
    INSERT INTO cost_ledger.pause (scope, reason, until)
        VALUES (pause.scope, pause.reason, pause.until)
        RETURNING pause_id INTO id;
    RETURN id;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.pause(jsonb, text, timestamptz) IS
    'cost_ledger.pause(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.pause(scope jsonb, reason text, until timestamptz DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.pause(jsonb, text, timestamptz) IS
    'Has reserve() answer stop for every call of a scope, a filter by columns that budgets know, {"model": "gpt-5*"} ({} is every call, NULL an error), from the commit on, until a time or resume(). Returns the pause_id.';

CREATE FUNCTION cost_ledger_internal.resume(scope jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    wanted jsonb := cost_ledger_internal.pause_scope(resume.scope);
    ended bigint;
BEGIN
    UPDATE cost_ledger.pause p SET resumed_at = now(), resumed_by = cost_ledger_internal.caller()
        WHERE p.resumed_at IS NULL AND (p.until IS NULL OR p.until > now()) AND p.scope = wanted;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.resume(jsonb) IS
    'cost_ledger.resume(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.resume(scope jsonb) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.resume(jsonb) IS
    'Ends every pause of exactly this scope, and returns how many there were. Who did it is in the table pause.';
