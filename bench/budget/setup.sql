-- A ledger with one price, and what reserve() rests on by itself: a guarded
-- UPDATE of a balance and the INSERT of a hold and its line, the same rows in
-- tables of the same shape.
CREATE EXTENSION cost_ledger;
SELECT cost_ledger.create_ledger();
SELECT cost_ledger.create_partitions('2026-09-01', '2026-12-31');
SELECT cost_ledger.set_price('anthropic', 'claude-sonnet-4-5',
    '{"input_tokens": 3.00, "cache_read_tokens": 0.30, "cache_write_tokens": 3.75, "output_tokens": 15.00}', '2025-09-29');
SELECT cost_ledger.set_budget('hot', '{"agent": "hot"}', 'month', 1000000000000);
SELECT cost_ledger.set_budget('three ' || label, jsonb_build_object(label, 'three'), 'month', 1000000000000) FROM unnest('{agent,environment,flow}'::text[]) label;

CREATE SCHEMA bare;
CREATE TABLE bare.balance (LIKE cost_ledger_internal.budget_balance INCLUDING ALL, amount numeric);
CREATE TABLE bare.hold (LIKE cost_ledger_internal.hold INCLUDING ALL);
CREATE TABLE bare.hold_line (LIKE cost_ledger_internal.hold_line INCLUDING ALL);
CREATE TABLE bare.call AS TABLE cost_ledger.call WITH NO DATA;
ALTER TABLE bare.call ADD call_number bigint GENERATED ALWAYS AS IDENTITY, ADD PRIMARY KEY (called_at, call_number);
INSERT INTO bare.balance (budget_id, period_start, amount) VALUES (1, '-infinity', 1000000000000);

CREATE FUNCTION bare.reserve(hold_key text, asked numeric) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
BEGIN
    UPDATE bare.balance b SET held = b.held + asked
        WHERE b.budget_id = 1 AND b.entity = '' AND b.period_start = '-infinity' AND b.posted + b.held + asked <= b.amount;
    IF FOUND THEN
        INSERT INTO bare.hold (hold_key, request, estimate, answer, expires_at)
            VALUES (reserve.hold_key, '{"labels": {"agent": "hot"}, "estimate": 0.01}', asked,
                    '{"held": 0.01, "spent": 0, "decision": "allow", "estimate": 0.01, "budget_id": 1, "resets_at": "2026-10-01T00:00:00+00:00", "limit_amount": 1000000000000}',
                    now() + interval '10 minutes')
            RETURNING hold_id INTO id;
        INSERT INTO bare.hold_line (hold_id, budget_id, entity, period_start, amount, expires_at)
            VALUES (id, 1, '', '-infinity', asked, now() + interval '10 minutes');
    END IF;
    RETURN id;
END
$$;

-- The budgets of so many teams, beside the hot one.
CREATE PROCEDURE define(teams integer) LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM cost_ledger.budget WHERE name LIKE 'team %';
    PERFORM cost_ledger.set_budget('team ' || t, jsonb_build_object('team', 'team-' || t), 'month', 1000000000000) FROM generate_series(1, teams) t;
    COMMIT;
    ANALYZE cost_ledger.budget, cost_ledger.budget_version, cost_ledger_internal.budget_balance, cost_ledger_internal.hold, cost_ledger_internal.hold_line;
END
$$;
