-- Sessions: what a conversation costs, and how its context grows.
--
-- The context of a turn is all the input that it was sent: the conversation so far,
-- which every turn sends again.  What the largest context does not explain of the
-- input of all turns, an earlier turn had sent already.

CREATE VIEW cost_ledger.session WITH (security_barrier = true) AS
SELECT r.session_id,
       r.started_at, r.ended_at,
       (extract(epoch FROM r.ended_at - r.started_at) * 1000)::double precision AS duration_ms,
       r.calls, r.turns, r.retries, r.fallbacks, r.failed_calls, r.unpriced_calls, r.tool_calls,
       r.accepted_calls, r.rejected_calls,
       r.input_tokens, r.cache_read_tokens, r.cache_write_tokens + r.cache_write_1h_tokens AS cache_write_tokens, r.output_tokens,
       r.turn_input_tokens AS context_tokens,
       r.min_turn_input_tokens::numeric AS min_context_tokens,
       r.max_turn_input_tokens::numeric AS max_context_tokens,
       trim_scale((r.max_turn_input_tokens - r.min_turn_input_tokens)::numeric / nullif(r.turns - 1, 0)) AS mean_context_growth,
       r.turn_input_tokens - r.max_turn_input_tokens AS carried_tokens,
       round((r.turn_input_tokens - r.max_turn_input_tokens) / nullif(r.turn_input_tokens, 0), 6) AS carried_ratio,
       r.cost, r.adjustment_cost,
       trim_scale(r.cost / nullif(r.turns, 0)) AS mean_cost_per_turn,
       r.team, r.feature, r.customer, r.task_type, r.user_id, r.agent, r.environment, r.trace_url,
       s.currency,
       r.session_id AS row_key
FROM cost_ledger_internal.live_session r
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.session IS 'What did each conversation cost, and how did its context grow? One row per session_id; calls without one are not in it.';
COMMENT ON COLUMN cost_ledger.session.session_id IS 'The conversation or session.';
COMMENT ON COLUMN cost_ledger.session.started_at IS 'called_at of its first call.';
COMMENT ON COLUMN cost_ledger.session.ended_at IS 'End of its last call: called_at plus duration_ms, where that is known; a duration counts for 30 days at most.';
COMMENT ON COLUMN cost_ledger.session.duration_ms IS 'From started_at to ended_at, in milliseconds.';
COMMENT ON COLUMN cost_ledger.session.calls IS 'Calls of the session, every attempt counted; corrections are not calls.';
COMMENT ON COLUMN cost_ledger.session.turns IS 'Turns of the conversation: all calls but those of operation retry, fallback, eval, judge and other overhead, as in run.';
COMMENT ON COLUMN cost_ledger.session.retries IS 'Retries, as in run.';
COMMENT ON COLUMN cost_ledger.session.fallbacks IS 'Calls with operation fallback.';
COMMENT ON COLUMN cost_ledger.session.failed_calls IS 'Calls that have failed, as in run.';
COMMENT ON COLUMN cost_ledger.session.unpriced_calls IS 'Calls without a full price: cost is at least what it says.';
COMMENT ON COLUMN cost_ledger.session.tool_calls IS 'Tool calls the models asked for.';
COMMENT ON COLUMN cost_ledger.session.accepted_calls IS 'Calls whose outcome was accepted.';
COMMENT ON COLUMN cost_ledger.session.rejected_calls IS 'Calls whose outcome was not accepted.';
COMMENT ON COLUMN cost_ledger.session.input_tokens IS 'All input tokens, cached ones included.';
COMMENT ON COLUMN cost_ledger.session.cache_read_tokens IS 'Input tokens read from the prompt cache: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.session.cache_write_tokens IS 'Input tokens written to the prompt cache, for 5 minutes or for 1 hour: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.session.output_tokens IS 'All output tokens, reasoning included.';
COMMENT ON COLUMN cost_ledger.session.context_tokens IS 'Input tokens of its turns, as first recorded: what their contexts add up to.';
COMMENT ON COLUMN cost_ledger.session.min_context_tokens IS 'Input tokens of the turn with the fewest, in a conversation that grows the first; NULL where no turn says them.';
COMMENT ON COLUMN cost_ledger.session.max_context_tokens IS 'Input tokens of the turn with the most, in a conversation that grows the last.';
COMMENT ON COLUMN cost_ledger.session.mean_context_growth IS '(max_context_tokens - min_context_tokens) / (turns - 1): tokens by which the context grew from turn to turn; NULL for a single turn.';
COMMENT ON COLUMN cost_ledger.session.carried_tokens IS 'context_tokens - max_context_tokens: input tokens that an earlier turn had sent already. 1000, 1500 and 2000 make 2500.';
COMMENT ON COLUMN cost_ledger.session.carried_ratio IS 'carried_tokens / context_tokens, 0 to 1; NULL without input tokens.';
COMMENT ON COLUMN cost_ledger.session.cost IS 'Cost in the ledger''s currency, exact, corrections included; NULL if no call has a price.';
COMMENT ON COLUMN cost_ledger.session.adjustment_cost IS 'The part of it that corrections and re-ratings booked; NULL where there is none.';
COMMENT ON COLUMN cost_ledger.session.mean_cost_per_turn IS 'cost / turns; NULL without turns.';
COMMENT ON COLUMN cost_ledger.session.team IS 'Team that pays. This and the other attributes of a session are those of its first call that states one.';
COMMENT ON COLUMN cost_ledger.session.feature IS 'Product feature the session served.';
COMMENT ON COLUMN cost_ledger.session.customer IS 'Customer or tenant the session served.';
COMMENT ON COLUMN cost_ledger.session.task_type IS 'Workflow or kind of task.';
COMMENT ON COLUMN cost_ledger.session.user_id IS 'End user the session served.';
COMMENT ON COLUMN cost_ledger.session.agent IS 'Agent: the one that made the first call.';
COMMENT ON COLUMN cost_ledger.session.environment IS 'production, staging, ci, …';
COMMENT ON COLUMN cost_ledger.session.trace_url IS 'Link to the trace.';

CREATE VIEW cost_ledger.cost_per_session_by_day WITH (security_barrier = true) AS
SELECT d.day,
       cost_ledger_internal.day_start(d.day, s.time_zone) AS starts_at,
       cost_ledger_internal.day_start(d.day + 1, s.time_zone) AS ends_at,
       d.day + 1 <= now() AT TIME ZONE s.time_zone AS is_complete,
       d.sessions,
       cost_ledger.p50(d.session_turns) AS p50_turns,
       cost_ledger.p95(d.session_turns) AS p95_turns,
       cost_ledger.p50(d.session_tokens) AS p50_tokens,
       cost_ledger.p95(d.session_tokens) AS p95_tokens,
       trim_scale(d.cost / nullif(cost_ledger.num_values(d.session_cost), 0)) AS mean_cost,
       cost_ledger.p95(d.session_cost) AS p95_cost,
       d.max_cost, d.cost,
       s.currency,
       jsonb_build_array(d.day)::text AS row_key
FROM (SELECT r.day, sum(r.sessions)::bigint AS sessions, sum(r.cost) AS cost, max(r.max_cost) AS max_cost,
             cost_ledger.merge(r.session_turns) AS session_turns, cost_ledger.merge(r.session_tokens) AS session_tokens,
             cost_ledger.merge(r.session_cost) AS session_cost
      FROM cost_ledger_internal.live_session_day r
      GROUP BY r.day) d
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.cost_per_session_by_day IS 'Are conversations growing without bound? Turns, tokens and cost of conversations, typically and at the expensive end. A session belongs to the day it started on, with all it has; calls without a session_id are not in it.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.day IS 'Day of the reporting zone. Days on which no session began are left out.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.sessions IS 'Sessions that began on the day, those without any price included.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.p50_turns IS 'Median of their turns. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.p95_turns IS '95th percentile of their turns: 95 of 100 have at most this. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.p50_tokens IS 'Median of their input and output tokens. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.p95_tokens IS '95th percentile of their input and output tokens. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.mean_cost IS 'Mean cost of those that have one.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.p95_cost IS '95th percentile of their costs. Relative error at most 1 %.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.max_cost IS 'Cost of the most expensive session.';
COMMENT ON COLUMN cost_ledger.cost_per_session_by_day.cost IS 'Cost of the sessions, exact; NULL without any price.';
