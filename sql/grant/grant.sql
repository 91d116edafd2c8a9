-- Grants: one call gives a role what its kind needs, and one takes it back.
-- The rights of the kinds are two tables, below; the privileges are PostgreSQL's
-- own, granted by the owner of the ledger, and pg_dump keeps them.

-- The rights of the kinds, by hand: every table and view of cost_ledger, and every
-- function that PUBLIC may not call.  all_readers: reader, team_reader,
-- customer_reader; an admin reads what a reader does; returning: a writer or
-- gateway that may use INSERT … RETURNING; {}: the owner alone.

CREATE FUNCTION cost_ledger_internal.relation_right() RETURNS TABLE (relation text, privilege text, kinds text[])
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- reports: of the calls that the reader may see
    SELECT r.report, 'SELECT', '{all_readers}'::text[]
    FROM unnest('{cache_hit_by_feature,cache_saving_by_month,chargeback_by_month,cost_breakdown_by_month,cost_by_customer,cost_by_day,cost_by_hour,cost_by_input_part,cost_by_label,
            cost_by_model,cost_by_month,cost_by_operation,cost_by_task_type,cost_by_user,cost_by_user_feature,
            cost_chart_by_day,cost_chart_by_hour,cost_per_run_by_day,cost_per_session_by_day,cost_per_user_by_month,
            cost_per_user_by_plan,daily_summary,efficiency_by_month,margin_by_customer,margin_by_feature,most_expensive_run,
            reported_cost_difference,request_chain,run,run_tree,run_tree_level,session,spend_now,task_efficiency_by_month,tier_mix_by_month,week_over_week}'::text[]) AS r (report)
    UNION ALL
    VALUES
        -- calls
        ('call',                      'INSERT',                    '{writer,gateway}'::text[]),
        ('call',                      'SELECT (call_id, called_at, cost, pricing)', '{returning}'),
        ('call',                      'SELECT',                    '{reader}'),
        ('call_detail',               'SELECT',                    '{all_readers}'),
        ('unpriced_call',             'SELECT',                    '{all_readers}'),
        ('partition_status',          'SELECT',                    '{reader}'),
        ('waiting_call_by_month',     'SELECT',                    '{reader}'),
        ('retention',                 'SELECT',                    '{reader}'),
        ('retention_log',             'SELECT',                    '{reader}'),
        ('retention_check',           'SELECT',                    '{reader}'),
        ('rerate_batch',              'SELECT',                    '{reader}'),
        ('rerate_batch_summary',      'SELECT',                    '{all_readers}'),
        ('restatement',               'SELECT',                    '{reader}'),
        ('restatement_batch',         'SELECT',                    '{reader}'),
        -- prices
        ('price_list',                'SELECT',                    '{all_readers}'),
        ('price_list',                'INSERT',                    '{admin}'),
        ('price_multiplier',          'SELECT',                    '{reader}'),
        ('price_multiplier',          'INSERT, UPDATE, DELETE',    '{admin}'),
        ('exchange_rate',             'SELECT',                    '{reader}'),
        ('exchange_rate',             'INSERT, UPDATE, DELETE',    '{admin}'),
        ('model_alias',               'SELECT',                    '{reader}'),
        ('model_alias',               'INSERT, UPDATE, DELETE',    '{admin}'),
        ('held_price',                'SELECT',                    '{reader}'),
        -- budgets and alerts
        ('budget',                    'SELECT',                    '{all_readers}'),
        ('budget',                    'UPDATE, DELETE',            '{admin}'),
        ('budget_version',            'SELECT',                    '{all_readers}'),
        ('budget_status',             'SELECT',                    '{all_readers}'),
        ('hold',                      'SELECT',                    '{all_readers}'),
        ('open_hold',                 'SELECT',                    '{all_readers}'),
        ('budget_refusal',            'SELECT',                    '{all_readers}'),
        ('pause',                     'SELECT',                    '{all_readers}'),
        ('alert',                     'SELECT',                    '{all_readers}'),
        ('unacknowledged_alert',      'SELECT',                    '{all_readers}'),
        ('alert_rule',                'SELECT',                    '{reader}'),
        ('report_threshold',          'SELECT',                    '{all_readers}'),
        ('alert_rule',                'INSERT, UPDATE, DELETE',    '{admin}'),
        -- what reports are made of, and about
        ('model_tier',                'SELECT',                    '{reader}'),
        ('plan_price',                'SELECT',                    '{reader}'),
        ('revenue',                   'SELECT',                    '{reader}'),
        ('revenue',                   'INSERT, UPDATE, DELETE',    '{admin}'),
        ('invoice_line',              'SELECT',                    '{reader}'),
        ('invoice_line',              'INSERT, UPDATE, DELETE',    '{admin}'),
        ('invoice_reconciliation',    'SELECT',                    '{reader}'),
        ('estimate',                  'SELECT',                    '{reader}'),
        ('estimate',                  'DELETE',                    '{admin}'),
        ('estimate_result',           'SELECT',                    '{reader}'),
        ('estimate_vs_actual',        'SELECT',                    '{reader}'),
        ('annotation',                'SELECT',                    '{all_readers}'),
        ('annotation',                'INSERT (happened_at, kind, title, scope, link)', '{writer,gateway}'),
        ('annotation',                'INSERT, UPDATE, DELETE',    '{admin}'),
        ('annotation_list',           'SELECT',                    '{all_readers}'),
        -- the ledger, its rollups and jobs
        ('ledger',                    'SELECT',                    '{reader}'),
        ('ledger_problem',            'SELECT',                    '{reader}'),
        ('rollup_status',             'SELECT',                    '{reader}'),
        ('quarantined_call',          'SELECT',                    '{reader}'),
        ('job_status',                'SELECT',                    '{reader}'),
        -- grants
        ('grants',                    'SELECT',                    '{reader}')
$$;

COMMENT ON FUNCTION cost_ledger_internal.relation_right() IS
    'Which kinds of grant have which privilege on tables and views.';

CREATE FUNCTION cost_ledger_internal.function_right() RETURNS TABLE (function text, kinds text[])
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    VALUES
        -- calls
        ('correct_call',             '{admin}'::text[]),
        ('reattribute',              '{admin}'),
        ('void_call',                '{admin}'),
        ('explain_call',             '{all_readers}'),
        ('recorded_call',            '{writer,gateway,all_readers}'),
        ('find_calls',               '{all_readers}'),
        ('index_calls',              '{}'),
        ('create_partitions',        '{}'),
        ('partition_digest',         '{}'),
        ('set_retention',            '{}'),
        ('apply_retention',          '{}'),
        ('rerate',                   '{admin}'),
        ('billed_meters',            '{reader}'),
        ('what_if',                  '{reader}'),
        -- prices
        ('cost_at',                  '{all_readers}'),
        ('explain_cost',             '{all_readers}'),
        ('resolve_model',            '{all_readers}'),
        ('export_prices',            '{reader}'),
        ('set_price',                '{admin}'),
        ('set_multiplier',           '{admin}'),
        ('load_seed_prices',         '{admin}'),
        ('import_prices',            '{admin}'),
        ('accept_held_price',        '{admin}'),
        ('reject_held_price',        '{admin}'),
        -- budgets and alerts
        ('budget_velocity',          '{all_readers}'),
        ('spend_rate',               '{all_readers}'),
        ('project_spend',            '{all_readers}'),
        ('set_budget',               '{admin}'),
        ('raise_budget',             '{admin}'),
        ('suggest_budgets',          '{admin}'),
        ('check_budgets',            '{}'),
        ('check_balances',           '{}'),
        ('reserve',                  '{gateway}'),
        ('reserve_json',             '{gateway}'),
        ('release',                  '{gateway,admin}'),
        ('pause',                    '{operator,admin}'),
        ('resume',                   '{operator,admin}'),
        ('acknowledge',              '{operator,admin}'),
        ('check_rules',              '{}'),
        ('notify_alerts',            '{}'),
        -- reports
        ('estimate_feature_cost',    '{admin}'),
        ('set_plan_price',           '{admin}'),
        ('drill',                    '{all_readers}'),
        ('batch_saving',             '{all_readers}'),
        ('cost_histogram',           '{all_readers}'),
        ('self_hosting_crossover',   '{all_readers}'),
        ('tier_down',                '{all_readers}'),
        ('explain_spend',            '{all_readers}'),
        ('compare_spend',            '{all_readers}'),
        ('before_after',             '{all_readers}'),
        ('dashboard',                '{all_readers}'),
        ('feature_cost_sample',      '{reader}'),
        ('set_model_tier',           '{admin}'),
        -- the ledger, its rollups and jobs
        ('create_ledger',            '{}'),
        ('drop_ledger',              '{}'),
        ('post_restore',             '{}'),
        ('refresh',                  '{}'),
        ('release_quarantine',       '{}'),
        ('check_rollups',            '{}'),
        ('rebuild_rollups',          '{}'),
        ('run_jobs',                 '{}'),
        ('set_job_time_limit',       '{}'),
        ('schedule_jobs',            '{}'),
        ('unschedule_jobs',          '{}'),
        -- grants
        ('grant_writer',             '{admin}'),
        ('grant_gateway',            '{admin}'),
        ('grant_reader',             '{admin}'),
        ('grant_team_reader',        '{admin}'),
        ('grant_customer_reader',    '{admin}'),
        ('grant_operator',           '{admin}'),
        ('grant_admin',              '{}'),
        ('revoke_writer',            '{admin}'),
        ('revoke_gateway',           '{admin}'),
        ('revoke_reader',            '{admin}'),
        ('revoke_team_reader',       '{admin}'),
        ('revoke_customer_reader',   '{admin}'),
        ('revoke_operator',          '{admin}'),
        ('revoke_admin',             '{}')
$$;

COMMENT ON FUNCTION cost_ledger_internal.function_right() IS
    'Which kinds of grant may call which functions, all of a name.';

CREATE FUNCTION cost_ledger_internal.rights_of(kinds text[]) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH every AS (
        SELECT rights_of.kinds || CASE WHEN 'admin' = ANY (rights_of.kinds) THEN '{reader}'::text[] END
               || CASE WHEN rights_of.kinds && '{reader,team_reader,customer_reader,admin}' THEN '{all_readers}'::text[] END AS kinds
    )
    SELECT 'USAGE ON SCHEMA cost_ledger' WHERE rights_of.kinds IS NOT NULL
    UNION ALL
    SELECT format('%s ON TABLE cost_ledger.%I', r.privilege, r.relation)
    FROM every e JOIN cost_ledger_internal.relation_right() r ON r.kinds && e.kinds
    UNION ALL
    SELECT format('EXECUTE ON ROUTINE %s', p.oid::regprocedure)
    FROM every e
    JOIN cost_ledger_internal.function_right() r ON r.kinds && e.kinds
    JOIN pg_proc p ON p.pronamespace = 'cost_ledger'::regnamespace AND p.proname = r.function
$$;

COMMENT ON FUNCTION cost_ledger_internal.rights_of(text[]) IS
    'The privileges of some kinds together, as GRANT and REVOKE write them; none of NULL.';

CREATE FUNCTION cost_ledger_internal.kinds_of(role regrole) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(k.kind)
    FROM cost_ledger_internal.role_grant g
    CROSS JOIN LATERAL unnest(ARRAY[g.kind, CASE WHEN g.has_returning THEN 'returning' END]) AS k (kind)
    WHERE g.role = kinds_of.role AND k.kind IS NOT NULL
$$;

COMMENT ON FUNCTION cost_ledger_internal.kinds_of(regrole) IS
    'What a role has been granted by itself, for rights_of(); NULL for nothing.';

CREATE FUNCTION cost_ledger_internal.forget_roles() RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM cost_ledger_internal.role_grant g WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = g.role)
$$;

COMMENT ON FUNCTION cost_ledger_internal.forget_roles() IS
    'Forgets what roles were granted that are gone: another may get the number, or has it where a dump is restored.';

CREATE FUNCTION cost_ledger_internal.find_role(role text) RETURNS regrole
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known oid;
BEGIN
    SELECT r.oid INTO known FROM pg_roles r WHERE r.rolname = find_role.role;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" does not exist', coalesce(find_role.role, 'NULL')
            USING ERRCODE = 'undefined_object',
                  HINT = 'Pass the name of a role as CREATE ROLE was given it, without quotes around it.';
    END IF;
    RETURN known;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.find_role(text) IS
    'The role of a name; an error (42704) if there is none.';

CREATE FUNCTION cost_ledger_internal.role_to_grant(role text) RETURNS regrole
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known regrole := cost_ledger_internal.find_role(role_to_grant.role);
BEGIN
    -- To revoke anything from the owner would take it from whatever acts as it.
    IF known = cost_ledger_internal.find_role(current_user) THEN
        RAISE EXCEPTION 'role "%" owns the ledger and may do everything: it is granted nothing', role_to_grant.role
            USING ERRCODE = 'invalid_grant_operation',
                  HINT = 'Make a role of its own for whoever is to do less, and grant that.';
    END IF;
    -- GRANT by somebody without the right to is no error, but a warning.
    IF NOT has_schema_privilege('cost_ledger', 'USAGE WITH GRANT OPTION')
       OR EXISTS (SELECT FROM pg_proc p
                  WHERE p.pronamespace = 'cost_ledger'::regnamespace AND NOT has_function_privilege(p.oid, 'EXECUTE WITH GRANT OPTION')) THEN
        RAISE EXCEPTION 'the owner of the ledger, "%", may not grant what belongs to the extension', current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('A superuser runs: GRANT USAGE, CREATE ON SCHEMA cost_ledger, cost_ledger_internal TO %1$I WITH GRANT OPTION; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA cost_ledger, cost_ledger_internal TO %1$I WITH GRANT OPTION;', current_user);
    END IF;
    -- Two who grant at once come after each other: they change the same rows of
    -- the catalog.
    LOCK TABLE cost_ledger_internal.role_grant IN SHARE ROW EXCLUSIVE MODE;
    PERFORM cost_ledger_internal.forget_roles();
    -- What DROP OWNED took does not come back with the next grant.
    DELETE FROM cost_ledger_internal.role_grant g
        WHERE g.role = known AND NOT EXISTS (SELECT FROM cost_ledger_internal.granted_role h WHERE h.role = known);
    RETURN known;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.role_to_grant(text) IS
    'The role of a name (42704 if there is none, 0LP01 if it is the owner of the ledger), after a look at whether the owner may grant at all (42501).';

CREATE FUNCTION cost_ledger_internal.give_rights(role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    privilege text;
BEGIN
    FOR privilege IN SELECT r FROM cost_ledger_internal.rights_of(cost_ledger_internal.kinds_of(give_rights.role)) r LOOP
        EXECUTE format('GRANT %s TO %s', privilege, give_rights.role);
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.give_rights(regrole) IS
    'Gives a role the rights of everything it has been granted.';

CREATE FUNCTION cost_ledger_internal.revoke_rights(role regrole, kinds text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    privilege text;
BEGIN
    FOR privilege IN SELECT r FROM cost_ledger_internal.rights_of(revoke_rights.kinds) r LOOP
        EXECUTE format('REVOKE %s FROM %s', privilege, revoke_rights.role);
    END LOOP;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_rights(regrole, text[]) IS
    'Takes the rights of some kinds from a role; who calls it gives back what another kind needs.';

CREATE FUNCTION cost_ledger_internal.grant_kind(
    role text, kind text, team text DEFAULT NULL, customer text DEFAULT NULL, key_space text DEFAULT NULL, has_returning boolean DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    grantee regrole := cost_ledger_internal.role_to_grant(grant_kind.role);
BEGIN
    IF grant_kind.kind = 'team_reader' AND coalesce(grant_kind.team, '') = ''
       OR grant_kind.kind = 'customer_reader' AND coalesce(grant_kind.customer, '') = '' THEN
        RAISE EXCEPTION 'a % reads the calls of one', replace(grant_kind.kind, '_', ' ')
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Name it as the calls do; call the function again for each of several.';
    END IF;
    -- As calls have them.
    grant_kind.team := cost_ledger_internal.shorten_label(grant_kind.team);
    grant_kind.customer := cost_ledger_internal.shorten_label(grant_kind.customer);
    IF octet_length(grant_kind.key_space) > 64 THEN
        RAISE EXCEPTION 'key space "%" is longer than 64 bytes', left(grant_kind.key_space, 100)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'A space is a short name of who sends, e.g. of the tenant.';
    END IF;
    IF grant_kind.kind IN ('writer', 'gateway') THEN
        -- A role has one space, whatever it is granted.
        grant_kind.key_space := coalesce(grant_kind.key_space,
            (SELECT max(g.key_space) FROM cost_ledger_internal.role_grant g WHERE g.role = grantee AND g.kind IN ('writer', 'gateway')), '');
        UPDATE cost_ledger_internal.role_grant g SET key_space = grant_kind.key_space
            WHERE g.role = grantee AND g.kind IN ('writer', 'gateway') AND g.key_space <> grant_kind.key_space;
        IF NOT grant_kind.has_returning THEN
            PERFORM cost_ledger_internal.revoke_rights(grantee, '{returning}');
        END IF;
    END IF;
    INSERT INTO cost_ledger_internal.role_grant (role, kind, team, customer, key_space, has_returning)
        VALUES (grantee, grant_kind.kind, grant_kind.team, grant_kind.customer, grant_kind.key_space, grant_kind.has_returning)
        ON CONFLICT ON CONSTRAINT role_grant_once DO UPDATE SET has_returning = excluded.has_returning;
    PERFORM cost_ledger_internal.give_rights(grantee);
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.grant_kind(text, text, text, text, text, boolean) IS
    'Grants a kind to a role, and notes it; again, it changes nothing but what is said differently.';

CREATE FUNCTION cost_ledger_internal.revoke_kind(role text, kind text, team text DEFAULT NULL, customer text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    grantee regrole := cost_ledger_internal.role_to_grant(revoke_kind.role);
BEGIN
    DELETE FROM cost_ledger_internal.role_grant g
        WHERE g.role = grantee AND g.kind = revoke_kind.kind
          AND (revoke_kind.team IS NULL OR g.team = cost_ledger_internal.shorten_label(revoke_kind.team))
          AND (revoke_kind.customer IS NULL OR g.customer = cost_ledger_internal.shorten_label(revoke_kind.customer));
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM cost_ledger_internal.revoke_rights(grantee, ARRAY[revoke_kind.kind, 'returning']);
    -- What overlaps is still needed.
    PERFORM cost_ledger_internal.give_rights(grantee);
    RETURN true;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_kind(text, text, text, text) IS
    'Takes a kind from a role, of one team or customer or of all, but what its other kinds need; false where it was not granted.';

CREATE FUNCTION cost_ledger_internal.revoke_all() RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger_internal.revoke_all() IS
    'Takes from all roles what they were granted; for drop_ledger(): functions outlive the ledger, and EXECUTE on them would reach into the next one.';

CREATE FUNCTION cost_ledger_internal.revoke_all_as_owner() RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Who grants meanwhile finds no ledger.
    LOCK TABLE cost_ledger_internal.role_grant IN ACCESS EXCLUSIVE MODE;
    SELECT cost_ledger_internal.revoke_rights(g.role, cost_ledger_internal.kinds_of(g.role))
    FROM (SELECT DISTINCT r.role FROM cost_ledger_internal.role_grant r
          JOIN cost_ledger_internal.granted_role h ON h.role = r.role
          WHERE r.role <> cost_ledger_internal.find_role(current_user)) g
$$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_all_as_owner() IS
    'The body of revoke_all().';

CREATE FUNCTION cost_ledger_internal.grant_changed() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'cl_grant_changed';

COMMENT ON FUNCTION cost_ledger_internal.grant_changed() IS
    'Trigger of role_grant: has all backends ask anew, from the commit on, in which space the event keys of their role are.';

-- What people call, a pair for each kind.

CREATE FUNCTION cost_ledger_internal.grant_writer(role text, key_space text, with_returning boolean) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.grant_kind($1, 'writer', key_space => $2, has_returning => coalesce($3, true)) $$;

COMMENT ON FUNCTION cost_ledger_internal.grant_writer(text, text, boolean) IS
    'cost_ledger.grant_writer(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.grant_writer(role text, key_space text DEFAULT NULL, with_returning boolean DEFAULT true) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.grant_writer(text, text, boolean) IS
    'Lets a role record calls: INSERT on cost_ledger.call, whose prices, budgets and event keys it need not see. key_space sets its event keys apart from those of others (up to 64 bytes; left out, it stays what it is, at first the empty one, which is shared). with_returning lets it use INSERT … RETURNING call_id, called_at, cost, pricing: such a role can read these four columns of every call, though no label; pass false for a tenant that must not. Members of the role inherit. Again, it changes nothing.';

CREATE FUNCTION cost_ledger_internal.grant_gateway(role text, key_space text, with_returning boolean) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.grant_kind($1, 'gateway', key_space => $2, has_returning => coalesce($3, true)) $$;

COMMENT ON FUNCTION cost_ledger_internal.grant_gateway(text, text, boolean) IS
    'cost_ledger.grant_gateway(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.grant_gateway(role text, key_space text DEFAULT NULL, with_returning boolean DEFAULT true) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.grant_gateway(text, text, boolean) IS
    'Lets a role record calls as grant_writer() does, and reserve() and release() budgets. Members of the role inherit. Again, it changes nothing.';

CREATE FUNCTION cost_ledger_internal.grant_reader(role text) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.grant_kind($1, 'reader') $$;

COMMENT ON FUNCTION cost_ledger_internal.grant_reader(text) IS
    'cost_ledger.grant_reader(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.grant_reader(role text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.grant_reader(text) IS
    'Lets a role read everything: the public tables, the views and every call; it writes nothing. Members of the role inherit. Again, it changes nothing.';

CREATE FUNCTION cost_ledger_internal.grant_team_reader(role text, team text) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.grant_kind($1, 'team_reader', team => $2) $$;

COMMENT ON FUNCTION cost_ledger_internal.grant_team_reader(text, text) IS
    'cost_ledger.grant_team_reader(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.grant_team_reader(role text, team text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.grant_team_reader(text, text) IS
    'Lets a role read the reports of one team: of every view what that team''s calls come to, and its calls in call_detail. Granted several, a role sees them together, with those of customers too. Members of the role inherit. Again, it changes nothing.';

CREATE FUNCTION cost_ledger_internal.grant_customer_reader(role text, customer text) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.grant_kind($1, 'customer_reader', customer => $2) $$;

COMMENT ON FUNCTION cost_ledger_internal.grant_customer_reader(text, text) IS
    'cost_ledger.grant_customer_reader(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.grant_customer_reader(role text, customer text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.grant_customer_reader(text, text) IS
    'Lets a role read the reports of one customer, as grant_team_reader() does those of a team. Members of the role inherit. Again, it changes nothing.';

CREATE FUNCTION cost_ledger_internal.grant_operator(role text) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.grant_kind($1, 'operator') $$;

COMMENT ON FUNCTION cost_ledger_internal.grant_operator(text) IS
    'cost_ledger.grant_operator(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.grant_operator(role text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.grant_operator(text) IS
    'Lets a role pause() and resume() calls and acknowledge() alerts, in its own name; to read them, it needs another grant. Members of the role inherit. Again, it changes nothing.';

CREATE FUNCTION cost_ledger_internal.grant_admin(role text) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.grant_kind($1, 'admin') $$;

COMMENT ON FUNCTION cost_ledger_internal.grant_admin(text) IS
    'cost_ledger.grant_admin(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.grant_admin(role text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.grant_admin(text) IS
    'Lets a role set prices and budgets, book corrections, fill the tables that people fill, read everything, do what an operator does, and grant every kind but this. Only for the owner of the ledger (and superusers), who alone may drop, restore or schedule it. Members of the role inherit. Again, it changes nothing.';

CREATE FUNCTION cost_ledger_internal.revoke_writer(role text) RETURNS boolean
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.revoke_kind($1, 'writer') $$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_writer(text) IS
    'cost_ledger.revoke_writer(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.revoke_writer(role text) RETURNS boolean
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.revoke_writer(text) IS
    'Takes from a role what grant_writer() gave it, but what another grant of it needs. False if it had no such grant.';

CREATE FUNCTION cost_ledger_internal.revoke_gateway(role text) RETURNS boolean
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.revoke_kind($1, 'gateway') $$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_gateway(text) IS
    'cost_ledger.revoke_gateway(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.revoke_gateway(role text) RETURNS boolean
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.revoke_gateway(text) IS
    'Takes from a role what grant_gateway() gave it, but what another grant of it needs. False if it had no such grant.';

CREATE FUNCTION cost_ledger_internal.revoke_reader(role text) RETURNS boolean
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.revoke_kind($1, 'reader') $$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_reader(text) IS
    'cost_ledger.revoke_reader(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.revoke_reader(role text) RETURNS boolean
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.revoke_reader(text) IS
    'Takes from a role what grant_reader() gave it, but what another grant of it needs. False if it had no such grant.';

CREATE FUNCTION cost_ledger_internal.revoke_team_reader(role text, team text) RETURNS boolean
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.revoke_kind($1, 'team_reader', team => $2) $$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_team_reader(text, text) IS
    'cost_ledger.revoke_team_reader(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.revoke_team_reader(role text, team text DEFAULT NULL) RETURNS boolean
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.revoke_team_reader(text, text) IS
    'Takes from a role what grant_team_reader() gave it: of one team, or left out, of all, but what another grant of it needs. False if it had no such grant.';

CREATE FUNCTION cost_ledger_internal.revoke_customer_reader(role text, customer text) RETURNS boolean
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.revoke_kind($1, 'customer_reader', customer => $2) $$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_customer_reader(text, text) IS
    'cost_ledger.revoke_customer_reader(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.revoke_customer_reader(role text, customer text DEFAULT NULL) RETURNS boolean
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.revoke_customer_reader(text, text) IS
    'Takes from a role what grant_customer_reader() gave it: of one customer, or left out, of all, but what another grant of it needs. False if it had no such grant.';

CREATE FUNCTION cost_ledger_internal.revoke_operator(role text) RETURNS boolean
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.revoke_kind($1, 'operator') $$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_operator(text) IS
    'cost_ledger.revoke_operator(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.revoke_operator(role text) RETURNS boolean
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.revoke_operator(text) IS
    'Takes from a role what grant_operator() gave it, but what another grant of it needs. False if it had no such grant.';

CREATE FUNCTION cost_ledger_internal.revoke_admin(role text) RETURNS boolean
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT cost_ledger_internal.revoke_kind($1, 'admin') $$;

COMMENT ON FUNCTION cost_ledger_internal.revoke_admin(text) IS
    'cost_ledger.revoke_admin(), with the rights of the ledger''s owner.';

CREATE FUNCTION cost_ledger.revoke_admin(role text) RETURNS boolean
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'cl_as_owner';

COMMENT ON FUNCTION cost_ledger.revoke_admin(text) IS
    'Takes from a role what grant_admin() gave it, but what another grant of it needs. False if it had no such grant.';
