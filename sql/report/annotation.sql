-- Before and after something that was changed: what the same number of calls costs
-- since, and why.  That is compare_spend() of the time after it with the time before,
-- less its part for volume.

CREATE FUNCTION cost_ledger_internal.check_annotation() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF new.kind IS NULL OR new.kind NOT IN ('deploy', 'prompt', 'model', 'price', 'other') THEN
        RAISE EXCEPTION 'no kind of annotation is called "%"', coalesce(new.kind, 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use deploy, prompt, model, price or other.';
    ELSIF coalesce(octet_length(new.title) NOT BETWEEN 1 AND 1024 OR new.title ~ '[[:cntrl:]]', true) THEN
        RAISE EXCEPTION 'the title of an annotation is one line of 1 to 1024 bytes'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Say what was changed; more of it may stand behind link.';
    ELSIF coalesce(new.happened_at < '1970-01-01Z' OR new.happened_at >= '2200-01-01Z', true) THEN
        RAISE EXCEPTION 'an annotation is of a time from 1970 to 2199'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'Leave happened_at out for now.';
    ELSIF octet_length(new.link) NOT BETWEEN 1 AND 2048 THEN
        RAISE EXCEPTION 'the link of an annotation has 1 to 2048 bytes'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave it out where there is none.';
    END IF;
    RETURN new;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_annotation() IS
    'Trigger of annotation: says what is wrong with a row.';

CREATE FUNCTION cost_ledger_internal.before_after(annotation text, window_length interval, filter jsonb, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (part text, change numeric, change_per_call numeric, cost numeric, expected_cost numeric, cost_per_call numeric, previous_cost_per_call numeric,
                   calls bigint, previous_calls bigint, unpriced_calls bigint, previous_unpriced_calls bigint,
                   happened_at timestamptz, ends_at timestamptz, is_complete boolean, currency text)
    LANGUAGE c STABLE ROWS 11
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.before_after(text, interval, jsonb, boolean, text[], text[]) IS
    'cost_ledger.before_after() for who sees all, or only these teams and customers.';

CREATE FUNCTION cost_ledger_internal.find_annotation(annotation text, sees_all boolean, teams text[], customers text[], OUT happened_at timestamptz, OUT scope jsonb) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    -- As annotation_list, which the owner sees whole, shows it to who asks.
    SELECT a.happened_at, a.scope::jsonb INTO find_annotation.happened_at, find_annotation.scope
        FROM cost_ledger.annotation_list a
        WHERE a.row_key = find_annotation.annotation
          AND (find_annotation.sees_all OR cost_ledger_internal.is_own_scope(a.scope::jsonb, find_annotation.teams, find_annotation.customers)
               OR a.row_key LIKE 'price %' AND NOT a.scope::jsonb ? 'customer');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no annotation "%"', coalesce(find_annotation.annotation, 'NULL')
            USING ERRCODE = 'undefined_object',
                  HINT = 'Pass a row_key: SELECT row_key, happened_at, title FROM cost_ledger.annotation_list ORDER BY happened_at;';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.find_annotation(text, boolean, text[], text[]) IS
    'When what a row_key of annotation_list names happened, and to which calls; an error (42704) if the caller sees no such row.';

CREATE FUNCTION cost_ledger_internal.before_after_as_owner(annotation text, window_length interval, filter jsonb, sees_all boolean, teams text[], customers text[])
    RETURNS TABLE (part text, change numeric, change_per_call numeric, cost numeric, expected_cost numeric, cost_per_call numeric, previous_cost_per_call numeric,
                   calls bigint, previous_calls bigint, unpriced_calls bigint, previous_unpriced_calls bigint,
                   happened_at timestamptz, ends_at timestamptz, is_complete boolean, currency text)
    LANGUAGE plpgsql STABLE ROWS 11
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known constant record := cost_ledger_internal.ledger();
    labels constant text[] := cost_ledger_internal.call_labels();
    found record;
BEGIN
    IF NOT coalesce(window_length > interval '0' AND window_length <= interval '100 years', false) THEN
        RAISE EXCEPTION 'a window of % is none', coalesce(window_length::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is how long before and after is looked at: interval ''7 days''.';
    END IF;
    found := cost_ledger_internal.find_annotation(annotation, sees_all, teams, customers);
    RETURN QUERY
        SELECT p.part, p.change, trim_scale(p.change / nullif(p.calls, 0)), p.cost, p.expected_cost,
               trim_scale(p.cost / nullif(p.calls, 0)), trim_scale(p.previous_cost / nullif(p.previous_calls, 0)),
               p.calls, p.previous_calls, p.unpriced_calls, p.previous_unpriced_calls,
               found.happened_at, found.happened_at + window_length, found.happened_at + window_length <= now(), known.currency
        FROM (SELECT c.*, trim_scale(c.previous_cost + sum(CASE c.part WHEN 'volume' THEN c.change END) OVER ()) AS expected_cost
              FROM cost_ledger_internal.compare_parts(
                  -- Of what it concerns, those that are asked for.
                  cost_ledger_internal.check_filter(found.scope, 'calls', labels) || cost_ledger_internal.check_filter(filter, 'calls', labels),
                  found.happened_at, found.happened_at + window_length, found.happened_at - window_length, found.happened_at,
                  sees_all, teams, customers) WITH ORDINALITY c) p
        WHERE p.part <> 'volume'
        ORDER BY p.ordinality;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.before_after_as_owner(text, interval, jsonb, boolean, text[], text[]) IS
    'The body of before_after().';

CREATE FUNCTION cost_ledger.before_after(annotation text, window_length interval DEFAULT '7 days', filter jsonb DEFAULT '{}')
    RETURNS TABLE (part text, change numeric, change_per_call numeric, cost numeric, expected_cost numeric, cost_per_call numeric, previous_cost_per_call numeric,
                   calls bigint, previous_calls bigint, unpriced_calls bigint, previous_unpriced_calls bigint,
                   happened_at timestamptz, ends_at timestamptz, is_complete boolean, currency text)
    LANGUAGE sql STABLE ROWS 11
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT b.*
    FROM cost_ledger_internal.before_after(before_after.annotation, before_after.window_length, before_after.filter, cost_ledger_internal.sees_all(),
                                           cost_ledger_internal.seen_teams(), cost_ledger_internal.seen_customers()) b;
END;

COMMENT ON FUNCTION cost_ledger.before_after(text, interval, jsonb) IS
    'What has something that was changed done to costs? Compares the time after an annotation (the row_key of annotation_list) with as long a time before it, of the calls it concerns (its scope) that pass a filter, by the parts of compare_spend(), with volume taken out: what is compared is as many calls as were made since. change of all parts together is cost less expected_cost, which is what these calls would have cost at what calls cost before; change_per_call is change / calls, cost_per_call is cost / calls (calls without a price among them), each with as many digits as a division gives, NULL without calls. The time is [happened_at, ends_at); is_complete: whether it is over, until then its figures are not whole. Money in currency; NULL where nothing of a range has a price. Only calls and annotations that the role may see. 42704 for no such annotation, 22023 for a window or filter that is none.';
