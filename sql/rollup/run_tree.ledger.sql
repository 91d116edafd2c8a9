-- Whole runs: what a run costs with all the runs that it started.
--
-- A run that started none, and was started by none, is whole by itself, as it is in
-- rollup_run.  Only the others are here, so a ledger without sub-agents pays
-- nothing for this table.

CREATE TABLE cost_ledger_internal.rollup_run_tree (
    root_run_id            text COLLATE "C" PRIMARY KEY,
    started_at             timestamptz NOT NULL,
    started_on             date NOT NULL,
    ended_at               timestamptz NOT NULL,
    runs                   bigint NOT NULL,
    depth                  integer NOT NULL,
    calls                  bigint NOT NULL,
    turns                  bigint NOT NULL,
    failed_calls           bigint NOT NULL,
    unpriced_calls         bigint NOT NULL,
    retries                bigint NOT NULL,
    fallbacks              bigint NOT NULL,
    tool_calls             bigint NOT NULL,
    accepted_calls         bigint NOT NULL,
    rejected_calls         bigint NOT NULL,
    input_tokens           numeric NOT NULL,
    cache_read_tokens      numeric NOT NULL,
    cache_write_tokens     numeric NOT NULL,
    output_tokens          numeric NOT NULL,
    cost                   numeric,
    own_cost               numeric,
    adjustment_cost        numeric,
    level_runs             bigint[] NOT NULL,
    level_calls            bigint[] NOT NULL,
    level_cost             numeric[] NOT NULL,
    labels                 cost_ledger_internal.call_labels,
    trace_url              text
) WITH (fillfactor = 80);

COMMENT ON TABLE cost_ledger_internal.rollup_run_tree IS 'What runs add up to with all the runs below them. Runs that are alone are not in it.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.root_run_id IS 'The run at the top, whether it has calls or not.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.started_at IS 'When it began: called_at of its first call; where it has none, of the first call below it.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.started_on IS 'Day of the reporting zone on which it began.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.ended_at IS 'When the last call of all ended: called_at and duration_ms, of which at most 30 days count.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.runs IS 'Runs that have calls, the one at the top included.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.depth IS 'How many runs the deepest is below the one at the top.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.calls IS 'Calls; corrections are not calls.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.turns IS 'Steps of the conversation or loop: calls whose operation is_turn().';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.failed_calls IS 'Calls whose status is_failure().';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.unpriced_calls IS 'Calls without a full price (unpriced or partial), less those that got it since.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.retries IS 'Calls of operation retry, and retries inside calls (retry_count).';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.fallbacks IS 'Calls of operation fallback.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.tool_calls IS 'Tool calls that the models asked for.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.accepted_calls IS 'Calls whose outcome was accepted.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.rejected_calls IS 'Calls whose outcome was not accepted.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.input_tokens IS 'All input tokens, cached ones included.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.cache_read_tokens IS 'Input tokens read from the prompt cache.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.cache_write_tokens IS 'Input tokens written to the prompt cache, for 5 minutes or for 1 hour.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.output_tokens IS 'All output tokens, reasoning included.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.cost IS 'Exact cost in the ledger''s currency, adjustments included; NULL while nothing has a price.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.own_cost IS 'The part of it of the run at the top; NULL where nothing of that has a price.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.adjustment_cost IS 'The part of it that corrections and re-ratings booked; NULL where there is none.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.level_runs IS 'Runs by depth, from 0.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.level_calls IS 'Their calls.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.level_cost IS 'Their cost; NULL where nothing has a price.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.labels IS 'Team, feature, customer, task type, environment, user, agent and session: each as the first call of all says it that says anything.';
COMMENT ON COLUMN cost_ledger_internal.rollup_run_tree.trace_url IS 'Link to the trace of the run at the top; where that has none, of the others the first in byte order.';

CREATE INDEX rollup_run_tree_started_on ON cost_ledger_internal.rollup_run_tree (started_on);
CREATE INDEX rollup_run_tree_week_cost ON cost_ledger_internal.rollup_run_tree (cost_ledger_internal.week_of(started_on), cost DESC) WHERE cost IS NOT NULL;
