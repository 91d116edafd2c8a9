-- What calls say of their input (input_parts), and what they paid for it: what a call
-- adds, and what all calls of a month and of some labels add up to, so that reports
-- read no calls for it.
--
-- Nobody says which parts a prompt cache has answered, so each token of a call's
-- input costs what all of them did on average.  What is divided adds up: a part ends
-- where the next begins, rounded there, and the last ends with the cost itself.

CREATE TABLE cost_ledger_internal.rollup_input_part_month (
    month         date NOT NULL,
    key_id        integer NOT NULL,
    part          text COLLATE "C",
    calls         bigint NOT NULL,
    priced_calls  bigint NOT NULL,
    input_tokens  numeric NOT NULL,
    cost          numeric,
    CONSTRAINT rollup_input_part_month_key UNIQUE NULLS NOT DISTINCT (month, key_id, part)
);
ALTER TABLE cost_ledger_internal.rollup_input_part_month REPLICA IDENTITY FULL;

COMMENT ON TABLE cost_ledger_internal.rollup_input_part_month IS 'What the parts of the input of calls add up to by month of the reporting zone and labels.';
COMMENT ON COLUMN cost_ledger_internal.rollup_input_part_month.month IS 'First day of the month, in the reporting zone.';
COMMENT ON COLUMN cost_ledger_internal.rollup_input_part_month.key_id IS 'The combination of labels, in rollup_key.';
COMMENT ON COLUMN cost_ledger_internal.rollup_input_part_month.part IS 'Name in input_parts, beyond 1 kB shortened as labels are; NULL for the calls that name any, without tokens.';
COMMENT ON COLUMN cost_ledger_internal.rollup_input_part_month.calls IS 'Calls that name the part.';
COMMENT ON COLUMN cost_ledger_internal.rollup_input_part_month.priced_calls IS 'Those of them that have a cost, as first priced.';
COMMENT ON COLUMN cost_ledger_internal.rollup_input_part_month.input_tokens IS 'Tokens of the part, cached ones included.';
COMMENT ON COLUMN cost_ledger_internal.rollup_input_part_month.cost IS 'What calls paid for these tokens in the ledger''s currency, as first priced; NULL without priced_calls.';

CREATE VIEW cost_ledger_internal.call_input_part AS
SELECT c.called_at, c.call_id, c.recorded_xid, c.reverses,
       c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, c.service_class, c.operation, c.status, c.served_from,
       e.part, e.upto - e.before AS input_tokens,
       round(p.cost * e.upto / c.input_tokens, p.digits) - round(p.cost * e.before / c.input_tokens, p.digits) AS cost
FROM cost_ledger.call c
CROSS JOIN LATERAL (
    SELECT c.cost - coalesce(c.output_cost, 0) - coalesce(c.reasoning_cost, 0) - coalesce(c.other_cost, 0) AS cost,
           greatest(scale(c.cost), scale(c.output_cost), scale(c.reasoning_cost), scale(c.other_cost), 12) AS digits) p
CROSS JOIN LATERAL (
    -- The first counts the call.
    SELECT NULL::text AS part, 0::numeric AS before, 0::numeric AS upto
    UNION ALL
    SELECT cost_ledger_internal.shorten_label(j.key), sum(t.tokens) OVER keys - t.tokens, sum(t.tokens) OVER keys
    FROM jsonb_each(CASE jsonb_typeof(c.input_parts) WHEN 'object' THEN c.input_parts END) j
    CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(j.value) WHEN 'number' THEN trim_scale(j.value::numeric) END AS tokens) t
    -- Rows that came by replication, or with triggers off, may say anything.
    WHERE t.tokens BETWEEN 0 AND c.input_tokens
    WINDOW keys AS (ORDER BY j.key COLLATE "C")) e
WHERE jsonb_typeof(c.input_parts) = 'object' AND c.input_parts <> '{}' AND c.input_tokens > 0 AND c.corrects IS NULL AND c.served_from = 'model';

COMMENT ON VIEW cost_ledger_internal.call_input_part IS 'What each row of call adds to the parts of the input as long as it is not taken back: a row of no part, which counts the call, and one of each part. Columns as in call and rollup_input_part_month.';

CREATE VIEW cost_ledger_internal.consumed_input_part AS
SELECT p.*
FROM cost_ledger_internal.call_input_part p
-- As in consumed_measure, with which it would have to be joined.
WHERE p.reverses IS NULL
  AND cost_ledger_internal.is_consumed(p.recorded_xid, p.call_id, (SELECT s.snapshot FROM cost_ledger_internal.rollup_state s),
                                       (SELECT s.base_call_id FROM cost_ledger_internal.rollup_state s),
                                       (SELECT s.partial_xid FROM cost_ledger_internal.rollup_state s),
                                       (SELECT s.partial_call_id FROM cost_ledger_internal.rollup_state s))
  AND NOT EXISTS (SELECT FROM cost_ledger_internal.reversal v WHERE v.called_at = p.called_at AND v.call_id = p.call_id)
  AND p.call_id <> ALL (ARRAY(SELECT q.call_id FROM cost_ledger_internal.quarantine q));

COMMENT ON VIEW cost_ledger_internal.consumed_input_part IS 'What rows of call have added to the parts of the input that are in the rollup, as far as call still has them. Columns as in call_input_part.';

DO $view$
BEGIN
    EXECUTE 'CREATE VIEW cost_ledger_internal.unconsumed_input_part AS '
            || replace(pg_get_viewdef('cost_ledger_internal.call_input_part'), 'cost_ledger.call c', 'cost_ledger_internal.unconsumed_calls() c');
END
$view$;

COMMENT ON VIEW cost_ledger_internal.unconsumed_input_part IS 'The same of the calls that are not in the rollups yet: those of unconsumed_call. Columns as in call_input_part.';

CREATE VIEW cost_ledger_internal.live_input_part_month AS
SELECT r.month, k.team, k.feature, k.customer, r.part, r.calls, r.input_tokens, r.cost,
       'local'::text AS node
FROM cost_ledger_internal.rollup_input_part_month r
JOIN cost_ledger_internal.rollup_key k ON k.key_id = r.key_id
WHERE (SELECT cost_ledger_internal.sees_all())
   OR k.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR k.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[])
UNION ALL
SELECT date_trunc('month', m.called_at AT TIME ZONE (SELECT l.time_zone FROM cost_ledger.ledger l))::date,
       m.team, m.feature, m.customer, m.part COLLATE "C", 1::bigint, m.input_tokens, m.cost,
       'local'::text
FROM cost_ledger_internal.unconsumed_input_part m
WHERE (SELECT cost_ledger_internal.sees_all())
   OR m.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
   OR m.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]);

COMMENT ON VIEW cost_ledger_internal.live_input_part_month IS 'What the parts of the input of calls add up to by month and labels, those included that are not in rollup_input_part_month yet, as far as the current role may see them. A month and its labels may be there more than once: add up what you need. Columns as in rollup_input_part_month and rollup_key.';

-- Their columns are those of the rollup, and so are their comments.
DO $comments$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT DISTINCT ON (v.attrelid, v.attname) v.attrelid::regclass AS view, v.attname, col_description(t.attrelid, t.attnum) AS description
        FROM pg_attribute v
        CROSS JOIN unnest('{cost_ledger_internal.rollup_input_part_month,cost_ledger_internal.live_month,cost_ledger.call}'::regclass[]) WITH ORDINALITY AS s (relation, number)
        JOIN pg_attribute t ON t.attrelid = s.relation AND t.attname = v.attname
        WHERE v.attrelid = ANY ('{cost_ledger_internal.call_input_part,cost_ledger_internal.consumed_input_part,cost_ledger_internal.unconsumed_input_part,cost_ledger_internal.live_input_part_month}'::regclass[]) AND v.attnum > 0
        ORDER BY v.attrelid, v.attname, s.number
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.description);
    END LOOP;
END
$comments$;
