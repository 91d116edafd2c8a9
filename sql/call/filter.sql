-- Filters: which calls are meant, said in one form wherever it is asked.
--
-- A filter is an object of label and value; all of them must hold.  It is read by
-- check_filter() and by nothing else, which answers in one spelling: tags by
-- "tags.name", values as texts, of several a sorted list.  What holds is said once
-- for a call that is a row (call_condition) and once for labels (src/filter.c);
-- the tests run the same filters through both.

CREATE FUNCTION cost_ledger_internal.shorten_id(id text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_shorten_id';

COMMENT ON FUNCTION cost_ledger_internal.shorten_id(text) IS
    'An id as the ledger keeps it: beyond 512 bytes its beginning, "#" and its MD5, 512 bytes at most.';

CREATE FUNCTION cost_ledger_internal.shorten_label(label text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_shorten_label';

COMMENT ON FUNCTION cost_ledger_internal.shorten_label(text) IS
    'A label as the ledger keeps it: beyond 1 kB its beginning, "#" and its MD5, 1,024 bytes at most.';

-- Parsed already, and plain SQL, so that reserve() pays no call for it.
CREATE FUNCTION cost_ledger_internal.kept_label(label text, value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN label IN ('run_id', 'session_id', 'user_id', 'parent_run_id') THEN cost_ledger_internal.shorten_id(value)
                ELSE cost_ledger_internal.shorten_label(value) END;

COMMENT ON FUNCTION cost_ledger_internal.kept_label(text, text) IS
    'What a call has where this value is sent as this label: an id or another label, shortened if need be.';

CREATE FUNCTION cost_ledger_internal.refuse_filter(place text, problem text, labels text[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
BEGIN
    RAISE EXCEPTION 'this is no filter of %: %', place, problem
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Write {"team": "search", "model": "gpt-5*", "feature": ["one", "other"], "environment": {"not": "ci"}, "customer": null}; a * itself is "\*".'
                     || CASE WHEN 'call_id' = ANY (labels) THEN ' The labels are columns of cost_ledger.call'
                             ELSE coalesce(' The labels are ' || array_to_string(array_remove(labels, 'tags'), ', '), '') END
                     || CASE WHEN labels IS NULL THEN '' WHEN 'tags' = ANY (labels) THEN ', and tags by name: {"tags": {"tier": "gold"}}.' ELSE '.' END;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.refuse_filter(text, text, text[]) IS
    'The error of every filter that cannot be read or taken (22023).';

CREATE FUNCTION cost_ledger_internal.filter_values(wanted jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '[]'::jsonb || CASE WHEN jsonb_typeof(wanted) = 'object' AND wanted ? 'not' AND wanted - 'not' = '{}' THEN wanted -> 'not' ELSE wanted END;

COMMENT ON FUNCTION cost_ledger_internal.filter_values(jsonb) IS
    'What a value of a filter lists, without its "not".';

CREATE FUNCTION cost_ledger_internal.is_prefix(wanted text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN wanted ~ '(^|[^\\])[*]$';

COMMENT ON FUNCTION cost_ledger_internal.is_prefix(text) IS
    'Whether a value of a filter is the beginning of a name: ends with a * that is not "\*".';

CREATE FUNCTION cost_ledger_internal.filter_text(wanted text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN replace(CASE WHEN cost_ledger_internal.is_prefix(wanted) THEN left(wanted, -1) ELSE wanted END, '\*', '*');

COMMENT ON FUNCTION cost_ledger_internal.filter_text(text) IS
    'The name, or the beginning of one, that a value of a filter means.';

CREATE FUNCTION cost_ledger_internal.filter_problem(label text, wanted jsonb, labels text[]) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
AS $$
    SELECT CASE
        WHEN NOT (CASE WHEN label LIKE 'tags.%' THEN 'tags' ELSE label END) = ANY (labels) OR label = 'tags.'
            THEN format('"%s" is no label here', label)
        WHEN label = 'tags' AND wanted <> 'null'
            THEN '"tags" is an object of names'
        -- A list in a list, an object that says something else than "not".
        WHEN EXISTS (SELECT FROM jsonb_array_elements(cost_ledger_internal.filter_values(wanted)) AS v
                     WHERE jsonb_typeof(v.value) IN ('object', 'array'))
            THEN format('"%s" is neither a value, nor a list of values, nor {"not": …} with one of these', label)
        WHEN wanted = '""' OR cost_ledger_internal.filter_values(wanted) @> '[""]'
            THEN format('"%s" is empty, which no call says: without one it is null', label)
        WHEN EXISTS (SELECT FROM jsonb_array_elements_text(cost_ledger_internal.filter_values(wanted)) AS v
                     WHERE replace(CASE WHEN cost_ledger_internal.is_prefix(v.value) THEN left(v.value, -1) ELSE v.value END, '\*', '') LIKE '%*%')
            THEN format('"%s" has a * that is not at the end', label)
    END
$$;

COMMENT ON FUNCTION cost_ledger_internal.filter_problem(text, jsonb, text[]) IS
    'What is wrong with a label and value of a filter, in words; NULL if nothing is.';

CREATE FUNCTION cost_ledger_internal.check_filter(filter jsonb, place text, labels text[] DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    entry record;
    problem text;
    listed jsonb;
    checked jsonb := '{}';
BEGIN
    IF coalesce(jsonb_typeof(filter), 'null') NOT IN ('object', 'null') THEN
        PERFORM cost_ledger_internal.refuse_filter(place, 'it is no JSON object', labels);
    END IF;
    FOR entry IN
        SELECT f.key AS label, f.value AS wanted
            FROM jsonb_each(CASE jsonb_typeof(filter) WHEN 'object' THEN filter ELSE '{}' END) AS f
            WHERE f.key <> 'tags' OR jsonb_typeof(f.value) <> 'object'
        UNION ALL
        SELECT 'tags.' || t.key, t.value
            FROM jsonb_each(CASE jsonb_typeof(filter -> 'tags') WHEN 'object' THEN filter -> 'tags' ELSE '{}' END) AS t
    LOOP
        problem := CASE WHEN checked ? entry.label THEN format('"%s" is said twice', entry.label)
                        ELSE cost_ledger_internal.filter_problem(entry.label, entry.wanted, labels) END;
        IF problem IS NOT NULL THEN
            PERFORM cost_ledger_internal.refuse_filter(place, problem, labels);
        END IF;
        -- As calls have them: long labels are kept shortened, other texts are not.
        SELECT coalesce(jsonb_agg(DISTINCT CASE WHEN cost_ledger_internal.is_prefix(v.value) THEN v.value
                                                WHEN entry.label = ANY (cost_ledger_internal.budget_columns() || '{parent_run_id,region,status,cohort,step,request_id,tool}'::text[])
                                                    THEN cost_ledger_internal.kept_label(entry.label, v.value)
                                                ELSE v.value END), '[]')
            INTO listed
            FROM jsonb_array_elements_text(cost_ledger_internal.filter_values(entry.wanted)) AS v;
        listed := CASE jsonb_array_length(listed) WHEN 1 THEN listed -> 0 ELSE listed END;
        checked := checked || jsonb_build_object(entry.label, CASE jsonb_typeof(entry.wanted) WHEN 'object' THEN jsonb_build_object('not', listed) ELSE listed END);
    END LOOP;
    RETURN checked;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_filter(jsonb, text, text[]) IS
    'A filter in its one spelling; an error (22023) if it is none, or names other labels than these ("tags" among them: tags by name; NULL: any label). NULL is {}, which every call passes.';

CREATE FUNCTION cost_ledger_internal.matches_filter(labels jsonb, filter jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_matches_filter';

COMMENT ON FUNCTION cost_ledger_internal.matches_filter(jsonb, jsonb) IS
    'Whether labels pass a filter that check_filter() has checked. A label that is not there passes null, and "not" of anything else. A model goes by its name in any case, and by its name without a date.';

CREATE FUNCTION cost_ledger_internal.is_own_scope(scope jsonb, teams text[], customers text[]) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_is_own_scope';

COMMENT ON FUNCTION cost_ledger_internal.is_own_scope(jsonb, text[], text[]) IS
    'Whether a filter lets nothing pass but calls of these teams, or of these customers: it names them, one or several, each whole. "not", null and the beginning of a name let others pass, and an empty list names nobody.';

CREATE FUNCTION cost_ledger_internal.call_labels() RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_attribute a
    WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attnum > 0 AND NOT a.attisdropped
      AND (a.atttypid NOT IN ('jsonb'::regtype, 'json'::regtype) OR a.attname = 'tags')
$$;

COMMENT ON FUNCTION cost_ledger_internal.call_labels() IS
    'Labels that a filter of calls may name: columns of call, those included that users have added, and tags by name.';

CREATE FUNCTION cost_ledger_internal.label_condition(label text, wanted jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    type regtype := (SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = 'cost_ledger.call'::regclass AND a.attname = label);
    expression text := CASE WHEN label LIKE 'tags.%' THEN format('(c.tags ->> %L)', substr(label, 6)) ELSE format('c.%I', label) END;
    names text[];
    beginnings text[];
    condition text;
BEGIN
    SELECT array_agg(cost_ledger_internal.filter_text(v.value)) FILTER (WHERE NOT cost_ledger_internal.is_prefix(v.value)),
           array_agg(cost_ledger_internal.filter_text(v.value)) FILTER (WHERE cost_ledger_internal.is_prefix(v.value)),
           CASE WHEN count(*) > count(v.value) THEN expression || ' IS NULL' ELSE 'false' END
        INTO names, beginnings, condition
        FROM jsonb_array_elements_text(cost_ledger_internal.filter_values(wanted)) AS v;
    -- What is no text, such as call_id, is compared as what it is.
    IF type IS NULL OR type = 'jsonb'::regtype THEN
        type := 'text'::regtype;
    ELSIF beginnings IS NOT NULL AND (SELECT t.typcategory FROM pg_type t WHERE t.oid = type) <> 'S' THEN
        PERFORM cost_ledger_internal.refuse_filter('calls', format('"%s" is no text, and has no beginning', label), cost_ledger_internal.call_labels());
    END IF;
    -- Whether it is null can be asked of any type.
    IF names IS NOT NULL THEN
        BEGIN
            EXECUTE format('SELECT NULL::%2$s = ANY (%1$L::%2$s[])', names, type);
        EXCEPTION
            WHEN data_exception OR check_violation THEN
                PERFORM cost_ledger_internal.refuse_filter('calls', format('"%s" has a value that is no %s', label, type), cost_ledger_internal.call_labels());
            WHEN undefined_function THEN
                PERFORM cost_ledger_internal.refuse_filter('calls', format('"%s" is of type %s, which cannot be compared', label, type), cost_ledger_internal.call_labels());
        END;
    END IF;
    condition := condition || CASE WHEN names IS NOT NULL THEN format(' OR %s = ANY (%L::%s[])', expression, names, type) ELSE '' END
                           || coalesce((SELECT string_agg(format(' OR starts_with(%s, %L)', expression, b), '') FROM unnest(beginnings) AS b), '');
    RETURN format(CASE jsonb_typeof(wanted) WHEN 'object' THEN '(%s) IS NOT TRUE' ELSE '(%s)' END, condition);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.label_condition(text, jsonb) IS
    'call_condition() of one label.';

CREATE FUNCTION cost_ledger_internal.call_condition(filter jsonb) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(string_agg(cost_ledger_internal.label_condition(f.key, f.value), ' AND ' ORDER BY f.key), 'true')
    FROM jsonb_each(cost_ledger_internal.check_filter(filter, 'calls', cost_ledger_internal.call_labels())) AS f
$$;

COMMENT ON FUNCTION cost_ledger_internal.call_condition(jsonb) IS
    'The condition, in SQL, that the row c of call passes a filter; an error (22023) if it is none of calls.';

CREATE FUNCTION cost_ledger_internal.check_range(range_start timestamptz, range_end timestamptz) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT coalesce(range_start < range_end, false) THEN
        RAISE EXCEPTION 'a range of time needs a start and a later end'
            USING ERRCODE = 'datetime_field_overflow',
                  HINT = 'Calls are taken from the start (inclusive) to the end (exclusive): ''2026-03-01'', ''2026-04-01'' is March.';
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_range(timestamptz, timestamptz) IS
    'An error (22008) if a range of time, of which calls are taken, is none.';

CREATE FUNCTION cost_ledger_internal.check_scope_as_owner() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Which calls an annotation concerns, the calls are asked for: a value must be of
    -- its label's type.
    IF TG_TABLE_NAME = 'annotation' THEN
        PERFORM cost_ledger_internal.call_condition(new.scope);
    END IF;
    new.scope := CASE TG_TABLE_NAME WHEN 'pause' THEN cost_ledger_internal.pause_scope(new.scope)
                                    WHEN 'annotation' THEN cost_ledger_internal.check_filter(new.scope, 'calls', cost_ledger_internal.call_labels())
                                    ELSE cost_ledger_internal.check_filter(new.scope, 'signals') END;
    RETURN new;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.check_scope_as_owner() IS
    'What the trigger check_scope() does.';

CREATE FUNCTION cost_ledger_internal.check_scope() RETURNS trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.check_scope() IS
    'Trigger of pause, alert_rule and annotation: checks the filter they keep.';
