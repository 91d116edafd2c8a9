-- What changed: the difference of what two ranges of time cost, by cause.
--
-- Price-volume-mix analysis, by substitution: begin with what the calls of the range
-- before cost, put in what is now for what was then, one cause after the other, and
-- the difference that each step makes is the part of that cause.  So the parts add
-- up to the whole difference by themselves, and none is what others left.
--
-- For each cell (labels, operation, model, component of the cost), with N of a group
-- of calls before and N' now:
--
--   cost                                    what it cost before, as first priced
--   volume            cost × W'/W           W: calls of the group that are no retry or fallback
--   retries           cost × K'/K           K: the group's calls of this kind
--   response cache    cost × M'/M           M: those of them that a model answered
--   model mix         cost × n'/n           n: those of them of this model, provider and class
--   tokens per call   cost × T'/T           T: their input or output tokens
--   prompt cache      cost × t'/t           t: their tokens of this component
--   price             cost'                 what it costs now, as first priced
--
-- A step that changes nothing is exactly nothing: equal quotients give the same
-- amount to the last digit, since each step is made of whole numbers, from the
-- beginning, with one division at its end.  What has no N, but has N' now, costs
-- from there on what it costs now.

CREATE FUNCTION cost_ledger_internal.spend_step(reached numeric, old_cost numeric, new_cost numeric, old_units numeric, new_units numeric, grain numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN old_units = new_units AND old_units <> 0 THEN old_cost
                WHEN old_units <> 0 THEN div(old_cost * new_units, old_units * grain) * grain
                WHEN new_units <> 0 THEN new_cost
                ELSE reached END;

COMMENT ON FUNCTION cost_ledger_internal.spend_step(numeric, numeric, numeric, numeric, numeric, numeric) IS
    'What old_units cost, at as many as new_units, a multiple of grain; where there were none, what the new ones cost; where there are none either, what the step before had reached.';

CREATE FUNCTION cost_ledger_internal.compare_spend(
    filter jsonb, range_start timestamptz, range_end timestamptz, previous_start timestamptz, previous_end timestamptz,
    sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (part text, change numeric, change_ratio numeric, cost numeric, previous_cost numeric, calls bigint, previous_calls bigint,
                   unpriced_calls bigint, previous_unpriced_calls bigint, currency text)
    LANGUAGE c STABLE ROWS 12
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.compare_spend(jsonb, timestamptz, timestamptz, timestamptz, timestamptz, boolean, text[], text[]) IS
    'cost_ledger.compare_spend() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.spend_kind(operation text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN lower(operation) IN ('retry', 'fallback') THEN lower(operation) ELSE 'work' END;

COMMENT ON FUNCTION cost_ledger_internal.spend_kind(text) IS
    'retry, fallback, or work: what calls of an operation are to compare_spend().';

-- Which calls of before are compared with which of now.  A group is the calls of one
-- team, feature, customer, flow, task type, environment and operation; retries and
-- fallbacks belong to all calls of the same labels, whatever their operation.  A
-- group without a partner is new, or gone, where one of its labels says what no call
-- of the other range says.  Where each is known, and only the combination is not, it
-- is one of many that come and go, and these are compared together (peer 0).
CREATE FUNCTION cost_ledger_internal.compare_cells(
    filter jsonb, range_start timestamptz, range_end timestamptz, previous_start timestamptz, previous_end timestamptz,
    sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (fate text, peer bigint, kind text, served_from text, old_work numeric, new_work numeric, old_calls numeric, new_calls numeric,
                   old_units numeric[], new_units numeric[], old_costs numeric[], new_costs numeric[],
                   old_cost numeric, new_cost numeric, adjustment numeric, old_unpriced_calls numeric, new_unpriced_calls numeric)
    LANGUAGE sql STABLE ROWS 10000
    SET search_path = pg_catalog, pg_temp
    -- How many rows there are, the planner cannot know.
    SET enable_mergejoin = off
    SET enable_nestloop = off
    SET enable_sort = off
    SET jit = off
AS $$
    WITH said AS MATERIALIZED (
        SELECT s.*, ARRAY[s.team, s.feature, s.customer, s.flow, s.task_type, s.environment] AS base, cost_ledger_internal.spend_kind(s.operation) AS kind,
               CASE cost_ledger_internal.spend_kind(s.operation) WHEN 'work' THEN coalesce(lower(s.operation), '') ELSE '' END AS work
        FROM (SELECT false AS is_now, a.* FROM cost_ledger_internal.spend_cells(filter, previous_start, previous_end, sees_all, teams, customers) a
              UNION ALL
              SELECT true, b.* FROM cost_ledger_internal.spend_cells(filter, range_start, range_end, sees_all, teams, customers) b) s
    ), called AS MATERIALIZED (
        SELECT s.base, s.kind, s.work, CASE s.kind WHEN 'work' THEN s.base || s.work ELSE s.base END AS labels,
               sum(CASE WHEN s.is_now THEN 0 ELSE s.calls END) AS old_calls, sum(CASE WHEN s.is_now THEN s.calls ELSE 0 END) AS new_calls
        FROM said s GROUP BY s.base, s.kind, s.work
    ), based AS (
        SELECT c.base, sum(c.old_calls) AS old_calls, sum(c.new_calls) AS new_calls,
               -- New and vanished kinds of work are no more or less of the work there was.
               sum(CASE WHEN c.kind = 'work' AND c.new_calls > 0 THEN c.old_calls ELSE 0 END) AS old_work,
               sum(CASE WHEN c.kind = 'work' AND c.old_calls > 0 THEN c.new_calls ELSE 0 END) AS new_work
        FROM called c GROUP BY c.base
    ), known AS MATERIALIZED (
        SELECT v.place, coalesce(v.value, '') AS value, sum(c.old_calls) > 0 AS is_old, sum(c.new_calls) > 0 AS is_now
        FROM called c CROSS JOIN LATERAL unnest(c.labels) WITH ORDINALITY AS v (value, place)
        GROUP BY v.place, v.value
    ), matched AS MATERIALIZED (
        SELECT row_number() OVER () AS peer, c.base, c.kind, c.work, c.labels,
               CASE c.kind WHEN 'work' THEN c.old_calls ELSE b.old_calls END AS old_calls, CASE c.kind WHEN 'work' THEN c.new_calls ELSE b.new_calls END AS new_calls,
               CASE c.kind WHEN 'work' THEN c.old_calls ELSE b.old_work END AS old_work, CASE c.kind WHEN 'work' THEN c.new_calls ELSE b.new_work END AS new_work
        FROM called c JOIN based b ON b.base = c.base
    ), lone AS MATERIALIZED (
        SELECT m.peer, v.place, coalesce(v.value, '') AS value
        FROM matched m CROSS JOIN LATERAL unnest(m.labels) WITH ORDINALITY AS v (value, place)
        WHERE m.old_calls = 0 OR m.new_calls = 0
    ), alone AS (
        -- Where a range has no calls at all, nothing is new or gone: there are more or
        -- fewer calls.
        SELECT o.peer, bool_or(NOT k.is_old) AND (SELECT sum(c.old_calls) FROM called c) > 0 AS is_new,
               bool_or(NOT k.is_now) AND (SELECT sum(c.new_calls) FROM called c) > 0 AS is_gone
        FROM lone o JOIN known k ON k.place = o.place AND k.value = o.value
        GROUP BY o.peer
    ), fated AS (
        SELECT m.*, CASE WHEN m.old_calls > 0 AND m.new_calls > 0 THEN 'both'
                         WHEN m.new_calls > 0 AND a.is_new THEN 'new'
                         WHEN m.old_calls > 0 AND a.is_gone THEN 'gone'
                         ELSE 'pool' END AS fate
        FROM matched m LEFT JOIN alone a ON a.peer = m.peer
    ), pooled AS (
        SELECT f.base, f.kind, f.work, f.fate, CASE f.fate WHEN 'pool' THEN 0 ELSE f.peer END AS peer,
               CASE f.fate WHEN 'pool' THEN sum(CASE WHEN f.kind = 'work' THEN f.old_work ELSE 0 END) OVER (PARTITION BY f.fate) ELSE f.old_work END AS old_work,
               CASE f.fate WHEN 'pool' THEN sum(CASE WHEN f.kind = 'work' THEN f.new_work ELSE 0 END) OVER (PARTITION BY f.fate) ELSE f.new_work END AS new_work
        FROM fated f
    ), summed AS MATERIALIZED (
        SELECT p.fate, p.peer, p.kind, p.old_work, p.new_work, s.served_from, s.provider, s.model, s.service_class, s.is_now,
               sum(s.calls) AS calls, sum(s.unpriced_calls) AS unpriced_calls, sum(s.cost) AS cost, coalesce(sum(s.adjustment_cost), 0) AS adjustment,
               sum(s.input_tokens) - sum(s.cache_read_tokens) - sum(s.cache_write_tokens) AS input_tokens,
               sum(s.cache_read_tokens) AS cache_read_tokens, sum(s.cache_write_tokens) AS cache_write_tokens, sum(s.output_tokens) AS output_tokens, sum(s.reasoning_tokens) AS reasoning_tokens,
               coalesce(sum(s.cache_read_cost), 0) AS cache_read_cost, coalesce(sum(s.cache_write_cost), 0) AS cache_write_cost,
               coalesce(sum(s.output_cost), 0) AS output_cost, coalesce(sum(s.reasoning_cost), 0) AS reasoning_cost, coalesce(sum(s.other_cost), 0) AS other_cost
        FROM pooled p JOIN said s ON s.base = p.base AND s.kind = p.kind AND s.work = p.work
        GROUP BY p.fate, p.peer, p.kind, p.old_work, p.new_work, s.served_from, s.provider, s.model, s.service_class, s.is_now
    ), half AS (
        -- What components are made of, and what they cost: three of the input, and the
        -- other meters of a call.  Output comes after them.
        SELECT s.*, ARRAY[s.input_tokens, s.cache_read_tokens, s.cache_write_tokens, s.calls] AS units,
               ARRAY[coalesce(s.cost, 0) - s.cache_read_cost - s.cache_write_cost - s.output_cost - s.reasoning_cost - s.other_cost - s.adjustment,
                     s.cache_read_cost, s.cache_write_cost, s.other_cost] AS costs
        FROM summed s
    )
    SELECT fate, peer, kind, served_from, old_work, new_work, coalesce(a.calls, 0), coalesce(b.calls, 0),
           coalesce(a.units, '{0,0,0,0}') || CASE WHEN r.is_apart THEN ARRAY[a.output_tokens - a.reasoning_tokens, a.reasoning_tokens] ELSE ARRAY[coalesce(a.output_tokens, 0)] END,
           coalesce(b.units, '{0,0,0,0}') || CASE WHEN r.is_apart THEN ARRAY[b.output_tokens - b.reasoning_tokens, b.reasoning_tokens] ELSE ARRAY[coalesce(b.output_tokens, 0)] END,
           coalesce(a.costs, '{0,0,0,0}') || CASE WHEN r.is_apart THEN ARRAY[a.output_cost, a.reasoning_cost] ELSE ARRAY[coalesce(a.output_cost + a.reasoning_cost, 0)] END,
           coalesce(b.costs, '{0,0,0,0}') || CASE WHEN r.is_apart THEN ARRAY[b.output_cost, b.reasoning_cost] ELSE ARRAY[coalesce(b.output_cost + b.reasoning_cost, 0)] END,
           a.cost, b.cost, coalesce(b.adjustment, 0) - coalesce(a.adjustment, 0), coalesce(a.unpriced_calls, 0), coalesce(b.unpriced_calls, 0)
    FROM (SELECT h.* FROM half h WHERE NOT h.is_now) a
    FULL JOIN (SELECT h.* FROM half h WHERE h.is_now) b USING (fate, peer, kind, served_from, old_work, new_work, provider, model, service_class)
    -- Reasoning that is output like any other then or now is so in both.
    CROSS JOIN LATERAL (SELECT a.reasoning_cost <> 0 AND b.reasoning_cost <> 0 AS is_apart) r
$$;

COMMENT ON FUNCTION cost_ledger_internal.compare_cells(jsonb, timestamptz, timestamptz, timestamptz, timestamptz, boolean, text[], text[]) IS
    'The cells of compare_spend(): calls of one group of peers, kind, model, provider and class, before (old) and now (new). fate: both; new and gone (of labels that say what is said in one range only); pool. units and costs by component: input (neither read from nor written to the cache), cache read, cache write, other meters, whose unit is the call, output, and reasoning where it had and has a rate of its own. Costs as first priced; adjustment is what corrections added now, less then.';

CREATE FUNCTION cost_ledger_internal.compare_parts(
    filter jsonb, range_start timestamptz, range_end timestamptz, previous_start timestamptz, previous_end timestamptz,
    sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (part text, change numeric, change_ratio numeric, cost numeric, previous_cost numeric, calls bigint, previous_calls bigint,
                   unpriced_calls bigint, previous_unpriced_calls bigint, currency text)
    LANGUAGE sql STABLE ROWS 12
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    WITH cell AS MATERIALIZED (
        SELECT c.*, sum(c.old_calls) OVER kind AS old_kind, sum(c.new_calls) OVER kind AS new_kind,
               sum(c.old_calls) OVER source AS old_source, sum(c.new_calls) OVER source AS new_source
        FROM cost_ledger_internal.compare_cells(filter, range_start, range_end, previous_start, previous_end, sees_all, teams, customers) c
        WINDOW kind AS (PARTITION BY c.peer, c.kind), source AS (PARTITION BY c.peer, c.kind, c.served_from)
    ), total AS (
        -- No calls cost nothing; calls without a price cost nobody knows what.
        SELECT CASE WHEN coalesce(sum(c.new_calls), 0) = 0 THEN coalesce(sum(c.new_cost), 0) ELSE sum(c.new_cost) END AS cost,
               CASE WHEN coalesce(sum(c.old_calls), 0) = 0 THEN coalesce(sum(c.old_cost), 0) ELSE sum(c.old_cost) END AS previous_cost,
               coalesce(sum(c.new_calls), 0) AS calls, coalesce(sum(c.old_calls), 0) AS previous_calls,
               coalesce(sum(c.new_unpriced_calls), 0) AS unpriced_calls, coalesce(sum(c.old_unpriced_calls), 0) AS previous_unpriced_calls,
               coalesce(sum(c.adjustment), 0) AS corrections
        FROM cell c
    ), grain AS (
        SELECT (1::numeric / ('1e' || greatest(max(scale(k.cost)), 12))::numeric) AS grain
        FROM cell c CROSS JOIN LATERAL unnest(c.old_costs || c.new_costs) AS k (cost)
    ), component AS (
        SELECT c.fate, c.kind, c.old_work, c.new_work, c.old_kind, c.new_kind, c.old_source, c.new_source, c.old_calls, c.new_calls, g.grain,
               k.number, k.old_units, k.new_units, k.old_cost, k.new_cost,
               CASE WHEN k.number <= 3 THEN c.old_units[1] + c.old_units[2] + c.old_units[3] ELSE k.old_units END AS old_tokens,
               CASE WHEN k.number <= 3 THEN c.new_units[1] + c.new_units[2] + c.new_units[3] ELSE k.new_units END AS new_tokens
        FROM cell c
        CROSS JOIN grain g
        CROSS JOIN LATERAL unnest(c.old_units, c.new_units, c.old_costs, c.new_costs) WITH ORDINALITY AS k (old_units, new_units, old_cost, new_cost, number)
        WHERE k.old_cost <> 0 OR k.new_cost <> 0
    ), step AS MATERIALIZED (
        SELECT c.fate, c.kind, c.number, c.old_cost, l.cost AS with_labels, v.cost AS with_volume, r.cost AS with_retries, a.cost AS with_response_cache,
               m.cost AS with_mix, t.cost AS with_tokens, p.cost AS with_prompt_cache, c.new_cost
        FROM component c
        CROSS JOIN LATERAL (SELECT CASE c.fate WHEN 'new' THEN c.new_cost WHEN 'gone' THEN 0 ELSE c.old_cost END AS cost, c.fate IN ('new', 'gone') AS is_last) l
        CROSS JOIN LATERAL (SELECT CASE WHEN l.is_last OR c.kind <> 'work' AND 0 IN (c.old_work, c.new_work) THEN l.cost
                                        ELSE cost_ledger_internal.spend_step(l.cost, c.old_cost, c.new_cost, c.old_work, c.new_work, c.grain) END AS cost) v
        CROSS JOIN LATERAL (SELECT CASE WHEN l.is_last OR c.kind = 'work' THEN v.cost
                                        ELSE cost_ledger_internal.spend_step(v.cost, c.old_cost, c.new_cost, c.old_kind, c.new_kind, c.grain) END AS cost) r
        CROSS JOIN LATERAL (SELECT CASE WHEN l.is_last THEN r.cost
                                        ELSE cost_ledger_internal.spend_step(r.cost, c.old_cost, c.new_cost, c.old_source, c.new_source, c.grain) END AS cost) a
        CROSS JOIN LATERAL (SELECT CASE WHEN l.is_last THEN a.cost
                                        ELSE cost_ledger_internal.spend_step(a.cost, c.old_cost, c.new_cost, c.old_calls, c.new_calls, c.grain) END AS cost) m
        CROSS JOIN LATERAL (SELECT CASE WHEN l.is_last OR c.number = 4 THEN m.cost
                                        ELSE cost_ledger_internal.spend_step(m.cost, c.old_cost, c.new_cost, c.old_tokens, c.new_tokens, c.grain) END AS cost) t
        CROSS JOIN LATERAL (SELECT CASE WHEN l.is_last OR c.number > 3 THEN t.cost
                                        ELSE cost_ledger_internal.spend_step(t.cost, c.old_cost, c.new_cost, c.old_units, c.new_units, c.grain) END AS cost) p
    ), parts AS (
        SELECT sum(s.with_labels - s.old_cost) FILTER (WHERE s.fate = 'new') AS new_values, sum(s.with_labels - s.old_cost) FILTER (WHERE s.fate = 'gone') AS gone_values,
               sum(s.with_volume - s.with_labels) AS volume,
               sum(s.with_retries - s.with_volume) FILTER (WHERE s.kind = 'retry') AS retries, sum(s.with_retries - s.with_volume) FILTER (WHERE s.kind = 'fallback') AS fallbacks,
               sum(s.with_response_cache - s.with_retries) AS response_cache, sum(s.with_mix - s.with_response_cache) AS model_mix,
               sum(s.with_tokens - s.with_mix) AS tokens, sum(s.with_prompt_cache - s.with_tokens) AS prompt_cache,
               sum(s.new_cost - s.with_prompt_cache) FILTER (WHERE s.number <> 4) AS price, sum(s.new_cost - s.with_prompt_cache) FILTER (WHERE s.number = 4) AS other_meters
        FROM step s
    )
    SELECT p.part, trim_scale(p.change), round(p.change / nullif(t.previous_cost, 0), 6), trim_scale(t.cost), trim_scale(t.previous_cost),
           t.calls::bigint, t.previous_calls::bigint, t.unpriced_calls::bigint, t.previous_unpriced_calls::bigint, l.currency
    FROM total t
    CROSS JOIN parts s
    CROSS JOIN cost_ledger.ledger l
    -- Where nobody knows what a range cost, nobody knows what changed.
    CROSS JOIN LATERAL (
        SELECT v.place, v.part, CASE WHEN t.cost IS NOT NULL AND t.previous_cost IS NOT NULL THEN coalesce(v.change, 0) END AS change
        FROM (VALUES (1, 'volume', s.volume), (2, 'new values', s.new_values), (3, 'vanished values', s.gone_values), (4, 'retries', s.retries), (5, 'fallbacks', s.fallbacks),
                     (6, 'response cache', s.response_cache), (7, 'model mix', s.model_mix), (8, 'tokens per call', s.tokens), (9, 'prompt cache', s.prompt_cache),
                     (10, 'price', s.price), (11, 'other meters', s.other_meters), (12, 'corrections', t.corrections)) AS v (place, part, change)) p
    ORDER BY p.place
$$;

COMMENT ON FUNCTION cost_ledger_internal.compare_parts(jsonb, timestamptz, timestamptz, timestamptz, timestamptz, boolean, text[], text[]) IS
    'The parts of compare_spend(), of two ranges that are.';

CREATE FUNCTION cost_ledger_internal.compare_spend_as_owner(
    filter jsonb, range_start timestamptz, range_end timestamptz, previous_start timestamptz, previous_end timestamptz,
    sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (part text, change numeric, change_ratio numeric, cost numeric, previous_cost numeric, calls bigint, previous_calls bigint,
                   unpriced_calls bigint, previous_unpriced_calls bigint, currency text)
    LANGUAGE plpgsql STABLE ROWS 12
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    old_start timestamptz;
    old_end timestamptz := coalesce(previous_end, range_start);
BEGIN
    PERFORM cost_ledger_internal.ledger();
    PERFORM cost_ledger_internal.check_range(range_start, range_end);
    old_start := coalesce(previous_start, cost_ledger_internal.previous_start(range_start, range_end));
    IF NOT coalesce(old_start < old_end, false) THEN
        RAISE EXCEPTION 'a range of time to compare with needs a start and a later end'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'Left out, it is the time before of equal length, which a range without a start or an end does not have; or pass previous_start and previous_end.';
    END IF;
    RETURN QUERY SELECT c.* FROM cost_ledger_internal.compare_parts(filter, range_start, range_end, old_start, old_end, sees_all, teams, customers) c;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.compare_spend_as_owner(jsonb, timestamptz, timestamptz, timestamptz, timestamptz, boolean, text[], text[]) IS
    'The body of compare_spend().';

CREATE FUNCTION cost_ledger.compare_spend(
    range_start timestamptz, range_end timestamptz, previous_start timestamptz DEFAULT NULL, previous_end timestamptz DEFAULT NULL, filter jsonb DEFAULT '{}')
    RETURNS TABLE (part text, change numeric, change_ratio numeric, cost numeric, previous_cost numeric, calls bigint, previous_calls bigint,
                   unpriced_calls bigint, previous_unpriced_calls bigint, currency text)
    LANGUAGE sql STABLE ROWS 12
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT c.*
    FROM cost_ledger_internal.compare_spend(compare_spend.filter, compare_spend.range_start, compare_spend.range_end, compare_spend.previous_start, compare_spend.previous_end,
                                            cost_ledger_internal.sees_all(), cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) c;
END;

COMMENT ON FUNCTION cost_ledger.compare_spend(timestamptz, timestamptz, timestamptz, timestamptz, jsonb) IS
    'What changed? The difference of what the calls that pass a filter cost in two ranges of time (ends exclusive), by cause: always the same twelve parts, which add up to cost - previous_cost exactly; where one cause differs, its part is all of it and each of the others is 0. The range to compare with, left out, is the time before: as many months or days where the range is of whole ones of the reporting zone, else as long. volume: more or fewer calls, at what they cost before; new values, vanished values: calls whose labels (team, feature, customer, flow, task type, environment, operation) say what none of the other range do; retries, fallbacks: more or fewer of them to a call; response cache: more or fewer answered from it; model mix: shares of models, providers and classes; tokens per call; prompt cache: the part of the input that is read from it or written to it; price: rates of the same tokens; other meters: what calls pay for what is no token; corrections: what corrections and re-ratings booked. Price-volume-mix analysis by substitution in this order; each part is in multiples of the smallest unit of the costs, 1e-12 or less. change_ratio is change / previous_cost (6 decimals). Money in currency; every change is NULL where nothing of a range has a price, and calls without a price lower the part of price: see unpriced_calls. Exact to the instant, and of the calls that the role may see. 22008 for a range that is none, 22023 for what is no filter, 55000 where retention has dropped what a range is read from.';
