-- Suggestions: what budgets would have done, by what was spent.

CREATE FUNCTION cost_ledger_internal.spend_of_each(names text[], range_start timestamptz, range_end timestamptz)
    RETURNS TABLE (said text[], spent numeric)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
BEGIN
    -- By the day from the rollups, which have it also where the calls are gone.
    RETURN QUERY EXECUTE format('SELECT ARRAY[%1$s], sum(c.cost) FROM %2$s GROUP BY ARRAY[%1$s] HAVING sum(c.cost) > 0 AND array_position(ARRAY[%1$s], NULL) IS NULL',
        (SELECT string_agg(CASE WHEN n LIKE 'tags.%' THEN format('nullif(c.tags ->> %L, %L)', substr(n, 6), '') ELSE format('c.%I', n) END, ', ') FROM unnest(names) n),
        CASE WHEN names <@ cost_ledger_internal.rollup_labels()
             THEN format('cost_ledger_internal.live_day c WHERE c.day >= %L AND c.day < %L', (range_start AT TIME ZONE zone)::date, (range_end AT TIME ZONE zone)::date)
             ELSE format('cost_ledger.call c WHERE c.called_at >= %L AND c.called_at < %L', range_start, range_end) || cost_ledger_internal.standing() END);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.spend_of_each(text[], timestamptz, timestamptz) IS
    'What calls of some whole days of the reporting zone cost, by the values of labels: only what says all of them and cost something.';

CREATE FUNCTION cost_ledger_internal.suggest_budgets(each_of text, factor numeric, period text)
    RETURNS TABLE (scope text, spent numeric, limit_amount numeric, currency text, statement text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    zone constant text := (cost_ledger_internal.ledger()).time_zone;
    ledger_currency constant text := (cost_ledger_internal.ledger()).currency;
    names constant text[] := cost_ledger_internal.each_columns(cost_ledger_internal.check_each_of(suggest_budgets.each_of));
    last_full record;
BEGIN
    IF cardinality(names) = 0 OR NOT coalesce(suggest_budgets.factor BETWEEN 0.001 AND 1000, false)
       OR NOT coalesce(suggest_budgets.period IN ('day', 'week', 'month', 'quarter'), false) THEN
        RAISE EXCEPTION 'budgets are suggested for each of something, by a factor of 0.001 to 1000, and a day, week, month or quarter'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write SELECT * FROM cost_ledger.suggest_budgets(''user_id'', 3, ''month'');';
    END IF;
    SELECT p.* INTO last_full
        FROM cost_ledger_internal.budget_period(suggest_budgets.period, now(), zone) c
        CROSS JOIN LATERAL cost_ledger_internal.budget_period(suggest_budgets.period, c.period_start - interval '1 microsecond', zone) p;
    RETURN QUERY
        SELECT l.scope::text, s.spent, a.amount, ledger_currency,
               format('SELECT cost_ledger.set_budget(%L, %L, %L, %s);', n.name, l.scope, suggest_budgets.period, a.amount)
        FROM cost_ledger_internal.spend_of_each(names, last_full.period_start, last_full.period_end) s
        CROSS JOIN LATERAL (SELECT jsonb_object_agg(u.label, replace(u.value, '*', '\*')) AS scope, string_agg(u.value, ' ' ORDER BY u.n) AS said
                            FROM unnest(names, s.said) WITH ORDINALITY AS u (label, value, n)) l
        CROSS JOIN LATERAL (SELECT trim_scale(suggest_budgets.factor * s.spent) AS amount) a
        -- As long as it fits, and else with what tells it from others.
        CROSS JOIN LATERAL (SELECT regexp_replace(l.said, '[[:cntrl:]]', ' ', 'g') || ' by the ' || suggest_budgets.period AS whole) w
        CROSS JOIN LATERAL (SELECT CASE WHEN octet_length(w.whole) <= 64 THEN w.whole ELSE left(w.whole, 7) || '#' || md5(l.scope::text) END AS name) n
        ORDER BY s.spent DESC, l.scope;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.suggest_budgets(text, numeric, text) IS
    'cost_ledger.suggest_budgets(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.suggest_budgets(each_of text, factor numeric DEFAULT 3, period text DEFAULT 'month')
    RETURNS TABLE (scope text, spent numeric, limit_amount numeric, currency text, statement text)
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.suggest_budgets(text, numeric, text) IS
    'Budgets for each value of a label (or of several, {team,user_id}, or a tag, tags.tier) of factor times what it spent in the last full period: day, week, month or quarter of the reporting zone. scope is the value as a filter, spent what it cost then, limit_amount factor times that, in currency; statement sets the budget. The highest first; nothing for who spent nothing. Of labels that rollups are kept by from these, of users, runs, sessions, API keys, agents, cohorts and tags from the calls that are still there. 22023 for another label, factor or period.';
