-- Locks: see take_lock().

CREATE TABLE cost_ledger_internal.lock (
    name  text PRIMARY KEY
);

COMMENT ON TABLE cost_ledger_internal.lock IS 'What is done by one at a time. Its rows are locked, never changed.';
COMMENT ON COLUMN cost_ledger_internal.lock.name IS 'run_jobs: a step of the jobs; budgets: setting a budget; check_budgets: evaluating the budgets; check_rules: evaluating the rules; partitions: making, filling and dropping partitions of call; corrections: correct_call(), rerate(), reattribute() and void_call().';

INSERT INTO cost_ledger_internal.lock VALUES ('run_jobs'), ('budgets'), ('check_budgets'), ('check_rules'), ('partitions'), ('corrections');
