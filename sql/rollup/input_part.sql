-- How the parts of calls' inputs come into their rollup: once, with the batch that
-- their call is in, and out of it again when that is taken back.
--
-- Every measure of a part is a sum, and what a call adds is the same whenever it is
-- asked (call_input_part), so what is taken back is subtracted.  Whoever has no parts
-- pays nothing: the pass over a batch says whether there are any.

CREATE FUNCTION cost_ledger_internal.add_input_parts(source text, condition text, sign integer) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
    SET jit = off
AS $$
BEGIN
    EXECUTE format($query$
        INSERT INTO cost_ledger_internal.rollup_input_part_month AS r (month, key_id, part, calls, priced_calls, input_tokens, cost)
        SELECT date_trunc('month', c.called_at AT TIME ZONE $1)::date, k.key_id, c.part,
               $2 * count(*), $2 * count(c.cost), $2 * sum(c.input_tokens), $2 * sum(c.cost)
        FROM %s c
        JOIN cost_ledger_internal.rollup_key k ON k.fingerprint = cost_ledger_internal.labels_fingerprint(
            c.team, c.feature, c.customer, c.flow, c.task_type, c.environment, c.provider, c.model, c.service_class, c.operation, c.status, c.served_from)
        WHERE %s
        GROUP BY 1, 2, 3
        ON CONFLICT ON CONSTRAINT rollup_input_part_month_key DO UPDATE
        SET calls = r.calls + excluded.calls, priced_calls = r.priced_calls + excluded.priced_calls, input_tokens = r.input_tokens + excluded.input_tokens,
            -- Of calls that have no price, NULL, also when those that had one are gone.
            cost = CASE WHEN r.priced_calls + excluded.priced_calls > 0 THEN coalesce(r.cost + excluded.cost, r.cost, excluded.cost) END
        $query$, source, condition)
        USING (cost_ledger_internal.ledger()).time_zone, sign;
    IF sign < 0 THEN
        DELETE FROM cost_ledger_internal.rollup_input_part_month r WHERE r.calls = 0;
    END IF;
END
$$;

COMMENT ON FUNCTION cost_ledger_internal.add_input_parts(text, text, integer) IS
    'Adds (sign 1) the rows c of call_input_part, or of a query for some of them, for which a condition holds to rollup_input_part_month, or takes them out of it (-1). Their combinations of labels have keys.';
