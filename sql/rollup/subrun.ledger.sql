-- What calls of sub-agents add up to: those that say who started their run
-- (parent_run_id).  The cube does not tell them from others; this is the part of
-- rollup_month that they are, so a ledger without sub-agents pays nothing for it.

CREATE TABLE cost_ledger_internal.rollup_subrun_month (
    month                  date NOT NULL,
    key_id                 integer NOT NULL,
    calls                  bigint NOT NULL DEFAULT 0,
    unpriced_calls         bigint,
    output_tokens          numeric,
    reasoning_tokens       numeric,
    cost                   numeric,
    cache_read_cost        numeric,
    cache_write_cost       numeric,
    output_cost            numeric,
    reasoning_cost         numeric,
    other_cost             numeric,
    adjustment_cost        numeric,
    PRIMARY KEY (month, key_id)
);

COMMENT ON TABLE cost_ledger_internal.rollup_subrun_month IS 'What calls with a parent_run_id add up to by month of the reporting zone and labels.';

CREATE VIEW cost_ledger_internal.live_subrun_month AS
SELECT r.month, k.team, k.feature, k.customer, k.provider, k.model, k.service_class, k.operation,
       r.calls, coalesce(r.unpriced_calls, 0) AS unpriced_calls, coalesce(r.output_tokens, 0) AS output_tokens, coalesce(r.reasoning_tokens, 0) AS reasoning_tokens,
       r.cost, r.cache_read_cost, r.cache_write_cost, r.output_cost, r.reasoning_cost, r.other_cost, r.adjustment_cost,
       'local'::text AS node
FROM cost_ledger_internal.rollup_subrun_month r
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE (SELECT cost_ledger_internal.sees_all())
   OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])
UNION ALL
SELECT date_trunc('month', m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date,
       m.team, m.feature, m.customer, m.provider, m.model, m.service_class, m.operation,
       m.calls, m.unpriced_calls, m.output_tokens, m.reasoning_tokens,
       m.cost, m.cache_read_cost, m.cache_write_cost, m.output_cost, m.reasoning_cost, m.other_cost, m.adjustment_cost,
       'local'::text
FROM cost_ledger_internal.live_call m
WHERE m.parent_run_id IS NOT NULL;

COMMENT ON VIEW cost_ledger_internal.live_subrun_month IS 'What calls with a parent_run_id add up to by month and labels, those included that are not in rollup_subrun_month yet, as far as the current role may see them. A month and its labels may be there more than once: add up what you need. Columns as in rollup_subrun_month and rollup_key.';

-- Their columns are those of the cube, and so are their comments.
DO $comments$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT s.attrelid::regclass AS relation, s.attname, col_description(t.attrelid, t.attnum) AS description
        FROM pg_attribute s
        JOIN pg_attribute t ON t.attrelid IN ('cost_ledger_internal.live_month'::regclass, 'cost_ledger_internal.rollup_month'::regclass) AND t.attname = s.attname
        WHERE s.attrelid IN ('cost_ledger_internal.rollup_subrun_month'::regclass, 'cost_ledger_internal.live_subrun_month'::regclass) AND s.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.relation, c.attname, c.description);
    END LOOP;
END
$comments$;
