-- Calls: the append-only ledger.  One row per attempt; corrections are new
-- rows.  Columns of fixed width come first, so that no padding is stored.
--
-- What the trigger fills has a default, which is NULL: generated code demands
-- every column that is NOT NULL without one, and these are refused when sent.
-- (A plain NULL would not be kept as a default.)  A value would look sent.

CREATE TABLE cost_ledger.call (
    call_id                bigint NOT NULL DEFAULT nullif(0, 0),
    called_at              timestamptz NOT NULL DEFAULT now(),
    recorded_at            timestamptz NOT NULL DEFAULT nullif(timestamptz 'epoch', 'epoch'),
    recorded_xid           xid8,
    price_id               bigint,
    corrects               bigint,
    reverses               bigint,
    restates               bigint,
    input_tokens           bigint,
    cache_read_tokens      bigint,
    cache_write_tokens     bigint,
    cache_write_1h_tokens  bigint,
    output_tokens          bigint,
    reasoning_tokens       bigint,
    duration_ms            double precision,
    hold_id                uuid,
    tool_calls_count       integer,
    retry_count            integer,
    attempt                integer,
    accepted               boolean,
    cost                   numeric,
    cache_read_cost        numeric,
    cache_write_cost       numeric,
    output_cost            numeric,
    reasoning_cost         numeric,
    other_cost             numeric,
    prompt_cache_saving    numeric,
    reported_cost          numeric,
    avoided_cost           numeric,
    score                  numeric,
    pricing                text NOT NULL DEFAULT nullif('', ''),
    usage_status           text,
    served_from            text NOT NULL DEFAULT 'model',
    provider               text NOT NULL,
    model                  text NOT NULL,
    region                 text,
    service_class          text NOT NULL DEFAULT nullif('', ''),
    operation              text,
    status                 text,
    team                   text,
    feature                text,
    flow                   text,
    customer               text,
    task_type              text,
    environment            text,
    user_id                text,
    cohort                 text,
    api_key                text,
    agent                  text,
    step                   text,
    session_id             text,
    run_id                 text,
    parent_run_id          text,
    request_id             text,
    tool                   text,
    event_key              text,
    trace_url              text,
    other_usage            jsonb,
    raw_usage              jsonb,
    tool_calls             jsonb,
    input_parts            jsonb,
    tags                   jsonb,
    PRIMARY KEY (called_at, call_id)
) PARTITION BY RANGE (called_at);

-- The trigger takes numbers from it: whoever may insert needs no right on it.
CREATE SEQUENCE cost_ledger.call_call_id_seq OWNED BY cost_ledger.call.call_id;

COMMENT ON SEQUENCE cost_ledger.call_call_id_seq IS 'Numbers of calls. Gaps are of rows that were refused or rolled back, and of replays.';

COMMENT ON TABLE cost_ledger.call IS 'The ledger: one row per call or attempt, append-only, priced as it is inserted at the price in force at called_at. Partitioned by month of the reporting zone.';
COMMENT ON COLUMN cost_ledger.call.call_id IS 'Identity of the row, given by the ledger.';
COMMENT ON COLUMN cost_ledger.call.called_at IS 'When the call was made: the instant it is priced at. Finite; now() if left out.';
COMMENT ON COLUMN cost_ledger.call.recorded_at IS 'When the row was recorded (transaction start), set by the ledger.';
COMMENT ON COLUMN cost_ledger.call.recorded_xid IS 'Top-level transaction that recorded the row, set by the ledger.';
COMMENT ON COLUMN cost_ledger.call.event_key IS 'Idempotency key of the client. The same key with the same payload (what was sent in the ledger''s own columns, however it is spelled) is recorded once, whatever called_at says; with another payload it is refused (SQLSTATE LC003). recorded_call() finds its call.';
COMMENT ON COLUMN cost_ledger.call.provider IS 'Who bills the call (gen_ai.provider.name), e.g. anthropic.';
COMMENT ON COLUMN cost_ledger.call.model IS 'Model name as sent; stored as it came.';
COMMENT ON COLUMN cost_ledger.call.region IS 'Inference region, if it matters to the price.';
COMMENT ON COLUMN cost_ledger.call.service_class IS 'standard, batch, flex, priority, …, in any case; if left out, as raw_usage reports it, else standard. Priced as standard is also what providers call default, auto or on_demand.';
COMMENT ON COLUMN cost_ledger.call.input_tokens IS 'All input tokens, cached ones included (gen_ai.usage.input_tokens).';
COMMENT ON COLUMN cost_ledger.call.cache_read_tokens IS 'Input tokens read from the provider''s prompt cache: a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.call.cache_write_tokens IS 'Input tokens written to the prompt cache for 5 minutes (the default lifetime): a subset of input_tokens.';
COMMENT ON COLUMN cost_ledger.call.cache_write_1h_tokens IS 'Input tokens written to the prompt cache for 1 hour: a subset of input_tokens, apart from cache_write_tokens.';
COMMENT ON COLUMN cost_ledger.call.output_tokens IS 'All output tokens, reasoning included (gen_ai.usage.output_tokens).';
COMMENT ON COLUMN cost_ledger.call.reasoning_tokens IS 'Output tokens spent on reasoning: a subset of output_tokens.';
COMMENT ON COLUMN cost_ledger.call.other_usage IS 'Any other meter: object of meter name to quantity, e.g. {"web_search_requests": 2}.';
COMMENT ON COLUMN cost_ledger.call.raw_usage IS 'The usage object of the provider or a library, or the response with it, as it came, instead of the token columns; the ledger fills those from it. Of one beyond 1 MB the usage object, or the counts that were read.';
COMMENT ON COLUMN cost_ledger.call.usage_status IS 'final; partial or estimated (said by the client); missing (no counts at all); unexplained (raw_usage has counts that do not add up, or a number that no rule reads; priced inside its total); unrecognized (raw_usage of unknown shape, or whose counts are none; not priced). Of a correction: repriced, where it brought the full price to a call without one; completed, where to a partial one.';
COMMENT ON COLUMN cost_ledger.call.served_from IS 'model, or response_cache: answered from the application''s own cache at no cost.';
COMMENT ON COLUMN cost_ledger.call.cost IS 'Exact cost in the ledger''s currency, unrounded; NULL while unpriced. Set by the ledger.';
COMMENT ON COLUMN cost_ledger.call.cache_read_cost IS 'The part of cost for input tokens read from the cache; NULL for nothing. Set by the ledger. What cache_read_cost, cache_write_cost, output_cost, reasoning_cost and other_cost leave of cost is for the other input tokens.';
COMMENT ON COLUMN cost_ledger.call.cache_write_cost IS 'The part of cost for input tokens written to the cache; NULL for nothing. Set by the ledger.';
COMMENT ON COLUMN cost_ledger.call.output_cost IS 'The part of cost for output tokens, those of reasoning included where they cost what output costs; NULL for nothing. Set by the ledger.';
COMMENT ON COLUMN cost_ledger.call.reasoning_cost IS 'The part of cost for reasoning tokens, where the price has a rate of their own for them (reasoning_tokens); NULL for nothing, and where they are priced as output and in output_cost. Set by the ledger.';
COMMENT ON COLUMN cost_ledger.call.other_cost IS 'The part of cost for meters that are not tokens; NULL for nothing. Set by the ledger.';
COMMENT ON COLUMN cost_ledger.call.prompt_cache_saving IS 'What the prompt cache saved: what the tokens that were read from it and written to it would have cost as plain input, at the prices that made cost (same time, tier, service class, multipliers), less cache_read_cost and cache_write_cost. Where writing costs more than it saved, negative. NULL where no cache had to do with the call, or one of the rates is not known. Of a correction, the difference. Not part of cost. Set by the ledger. Source: providers'' price lists, whose rates for cache reads and writes stand beside that for input.';
COMMENT ON COLUMN cost_ledger.call.reported_cost IS 'What the provider said it cost, kept beside cost, never instead of it.';
COMMENT ON COLUMN cost_ledger.call.avoided_cost IS 'What an answer from the response cache would have cost, in the ledger''s currency: as sent, else, of one that has its usage, that usage at the price in force at called_at. NULL where unknown, also where some meter has no rate. Never part of cost.';
COMMENT ON COLUMN cost_ledger.call.score IS 'Score of an evaluation: of this answer, or as its judge gave it. On your scale; it may be negative.';
COMMENT ON COLUMN cost_ledger.call.price_id IS 'The price version that made the cost. Set by the ledger.';
COMMENT ON COLUMN cost_ledger.call.pricing IS 'priced; free (at an explicit price of 0, or from the response cache); partial (some meter has no rate); unpriced (cost is NULL). Set by the ledger.';
COMMENT ON COLUMN cost_ledger.call.customer IS 'Customer or tenant the call served.';
COMMENT ON COLUMN cost_ledger.call.team IS 'Team that pays; NULL is reported as unallocated.';
COMMENT ON COLUMN cost_ledger.call.feature IS 'Product feature the call served.';
COMMENT ON COLUMN cost_ledger.call.flow IS 'User-visible flow the call was part of, e.g. onboarding or checkout: what the user set out to do, across features.';
COMMENT ON COLUMN cost_ledger.call.task_type IS 'Workflow or kind of task, e.g. summarize_document.';
COMMENT ON COLUMN cost_ledger.call.environment IS 'production, staging, ci, …';
COMMENT ON COLUMN cost_ledger.call.user_id IS 'End user the call served.';
COMMENT ON COLUMN cost_ledger.call.cohort IS 'User cohort or plan.';
COMMENT ON COLUMN cost_ledger.call.api_key IS 'Name of the API key used; never the secret.';
COMMENT ON COLUMN cost_ledger.call.agent IS 'Agent that made the call.';
COMMENT ON COLUMN cost_ledger.call.step IS 'Step of the agent or flow.';
COMMENT ON COLUMN cost_ledger.call.session_id IS 'Conversation or session.';
COMMENT ON COLUMN cost_ledger.call.run_id IS 'Agent run.';
COMMENT ON COLUMN cost_ledger.call.parent_run_id IS 'Run that started this run (sub-agents).';
COMMENT ON COLUMN cost_ledger.call.request_id IS 'Logical request; its attempts (retries, fallbacks) share it.';
COMMENT ON COLUMN cost_ledger.call.attempt IS 'Number of this attempt within the request, from 1.';
COMMENT ON COLUMN cost_ledger.call.operation IS 'What kind of call it is: primary, subagent or any word of yours, which are turns of a conversation or loop; or, in any case, retry, fallback, eval, judge, embedding, embeddings, rerank, moderation, background or routing, which are none.';
COMMENT ON COLUMN cost_ledger.call.tool IS 'Tool this call or retry served.';
COMMENT ON COLUMN cost_ledger.call.tool_calls IS 'Tools the model called: object of tool name to count.';
COMMENT ON COLUMN cost_ledger.call.tool_calls_count IS 'How many tool calls; the sum of tool_calls if left out.';
COMMENT ON COLUMN cost_ledger.call.retry_count IS 'Retries the client made inside this call.';
COMMENT ON COLUMN cost_ledger.call.input_parts IS 'What the input was made of: object of part (system_prompt, history, tool_results, tool_definitions, new_input, …) to tokens; at most all input, never priced.';
COMMENT ON COLUMN cost_ledger.call.status IS 'What became of it. success, ok, completed, succeeded and 2xx (200 to 299), in any case, and NULL are no failure; error, timeout, cancelled and any other word are.';
COMMENT ON COLUMN cost_ledger.call.accepted IS 'Whether the outcome was accepted; NULL if unknown.';
COMMENT ON COLUMN cost_ledger.call.duration_ms IS 'Duration of the call in milliseconds.';
COMMENT ON COLUMN cost_ledger.call.hold_id IS 'Budget hold this call settles.';
COMMENT ON COLUMN cost_ledger.call.corrects IS 'call_id of the call this row corrects: its counts and cost are differences, so that sums come out right. Rows with corrects are not calls.';
COMMENT ON COLUMN cost_ledger.call.reverses IS 'call_id of the row, of the same called_at, that this row takes back: its counts and costs are the negatives, so that sums come out right. Neither of the two counts any more, in no report. Set by reattribute() and void_call().';
COMMENT ON COLUMN cost_ledger.call.restates IS 'call_id of the row, of the same called_at, in whose place this row stands, as first recorded: the same with other labels. Set by reattribute().';
COMMENT ON COLUMN cost_ledger.call.trace_url IS 'Link to the trace.';
COMMENT ON COLUMN cost_ledger.call.tags IS 'Any other labels: flat object of name to value, no list and no object inside.';

-- The rollups look for what they have not seen.  Rows lie nearly in the order of
-- their transactions, so block ranges do, at a fraction of the space and time
-- of a btree.  Numbers rise with them, so a call is found by its number alone.
CREATE INDEX call_recorded_xid ON cost_ledger.call USING brin (recorded_xid cost_ledger_internal.xid8_minmax_ops, call_id) WITH (pages_per_range = 64);

-- What is rare among calls, and asked for by itself: corrections by what they
-- correct, and, where that is NULL, calls without a full price.  Of other calls an
-- insert asks the condition, and that is all it costs.
CREATE INDEX call_corrects ON cost_ledger.call (corrects) WHERE corrects IS NOT NULL OR pricing IN ('unpriced', 'partial');

-- So is what came with the provider's own sum, or is of one gateway, and in the
-- order of time then.
CREATE INDEX call_reported_cost ON cost_ledger.call (called_at) WHERE reported_cost IS NOT NULL;

-- Nothing is lost for want of a partition.
CREATE TABLE cost_ledger_internal.call_default PARTITION OF cost_ledger.call DEFAULT;
COMMENT ON TABLE cost_ledger_internal.call_default IS 'Calls of months without a partition; create_partitions() moves them to one.';

-- ALWAYS: a subscriber of logical replication stamps its own transaction, and
-- session_replication_role is no way around the price.
CREATE TRIGGER price_call
    BEFORE INSERT ON cost_ledger.call
    FOR EACH ROW EXECUTE FUNCTION cost_ledger_internal.price_call();
ALTER TABLE cost_ledger.call ENABLE ALWAYS TRIGGER price_call;

CREATE TRIGGER append_only
    BEFORE UPDATE OR DELETE ON cost_ledger.call
    FOR EACH ROW EXECUTE FUNCTION cost_ledger_internal.refuse_change();
ALTER TABLE cost_ledger.call ENABLE ALWAYS TRIGGER append_only;

-- Statement triggers are not inherited: create_partitions() gives each
-- partition its own.
CREATE TRIGGER append_only_truncate
    BEFORE TRUNCATE ON cost_ledger.call
    FOR EACH STATEMENT EXECUTE FUNCTION cost_ledger_internal.refuse_change();
ALTER TABLE cost_ledger.call ENABLE ALWAYS TRIGGER append_only_truncate;
CREATE TRIGGER append_only_truncate
    BEFORE TRUNCATE ON cost_ledger_internal.call_default
    FOR EACH STATEMENT EXECUTE FUNCTION cost_ledger_internal.refuse_change();
ALTER TABLE cost_ledger_internal.call_default ENABLE ALWAYS TRIGGER append_only_truncate;

-- Idempotency has a table of its own: a unique index on a table partitioned
-- by time would have to include the time, and a retry with a new timestamp
-- would then count twice.  How long a key may be, the trigger knows: a CHECK
-- would be parsed anew for each of them.
CREATE TABLE cost_ledger_internal.event_key (
    key_space  text COLLATE "C" NOT NULL,
    event_key  text COLLATE "C" NOT NULL,
    payload    bytea NOT NULL,
    call_id    bigint NOT NULL,
    called_at  timestamptz NOT NULL,
    PRIMARY KEY (key_space, event_key)
);

COMMENT ON TABLE cost_ledger_internal.event_key IS 'Event keys seen, each with the call it recorded. Written by the ledger.';
COMMENT ON COLUMN cost_ledger_internal.event_key.key_space IS 'The space of the role that sent it (grant_writer()); empty for the shared one.';
COMMENT ON COLUMN cost_ledger_internal.event_key.event_key IS 'The client''s key.';
COMMENT ON COLUMN cost_ledger_internal.event_key.payload IS 'SHA-256 of what the client sent in the ledger''s own columns, in one spelling, called_at left out.';
COMMENT ON COLUMN cost_ledger_internal.event_key.call_id IS 'The call that was recorded.';
COMMENT ON COLUMN cost_ledger_internal.event_key.called_at IS 'Its called_at: with call_id, the call''s primary key.';

-- What the current role may see of call (sql/grant/visible.sql): reports that need
-- the calls themselves begin with it.
CREATE VIEW cost_ledger_internal.seen_call AS
SELECT c.*
FROM cost_ledger.call c
WHERE c.reverses IS NULL
  AND NOT EXISTS (SELECT FROM cost_ledger_internal.reversal v WHERE v.called_at = c.called_at AND v.call_id = c.call_id)
  AND ((SELECT cost_ledger_internal.sees_all())
       OR c.team = ANY ((SELECT cost_ledger_internal.seen_teams())::text[])
       OR c.customer = ANY ((SELECT cost_ledger_internal.seen_customers())::text[]));

COMMENT ON VIEW cost_ledger_internal.seen_call IS 'The calls and corrections that stand, as far as the current role may see them. Columns as in call.';

CREATE VIEW cost_ledger.call_detail WITH (security_barrier = true) AS
SELECT c.*, r.tier AS model_tier, s.currency, c.call_id::text AS row_key
FROM cost_ledger_internal.seen_call c
LEFT JOIN cost_ledger_internal.tier_of_model r ON r.provider = c.provider AND r.model = c.model
CROSS JOIN cost_ledger_internal.report_setting s;

COMMENT ON VIEW cost_ledger.call_detail IS 'Which calls are there, and which corrections? Every row of call that stands, of those that its reader may see: all, or those of the teams and customers granted. What reattribute() or void_call() has taken back is left out, and so is what took it back: those are in call itself, and in restatement.';

-- Their columns are those of call, and so are their comments.
DO $comments$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT v.attrelid::regclass AS view, v.attname, col_description(t.attrelid, t.attnum) AS description
        FROM pg_attribute v
        JOIN pg_attribute t ON t.attrelid = 'cost_ledger.call'::regclass AND t.attname = v.attname
        WHERE v.attrelid IN ('cost_ledger_internal.seen_call'::regclass, 'cost_ledger.call_detail'::regclass) AND v.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.description);
    END LOOP;
END
$comments$;

-- What could not be priced, and why; nothing in it is counted as $0.
CREATE VIEW cost_ledger.unpriced_call WITH (security_barrier = true) AS
SELECT c.called_at, c.call_id, c.pricing, c.usage_status,
       c.provider, c.model, r.tier AS model_tier, c.region, c.service_class,
       c.team, c.feature, c.customer, c.run_id, c.trace_url,
       c.input_tokens, c.output_tokens,
       c.cost,
       u.reason,
       s.currency,
       c.call_id::text AS row_key
FROM cost_ledger_internal.seen_call c
LEFT JOIN cost_ledger_internal.tier_of_model r ON r.provider = c.provider AND r.model = c.model
CROSS JOIN cost_ledger_internal.report_setting s
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN c.usage_status IN ('missing', 'unrecognized')
            THEN 'usage is ' || c.usage_status
        ELSE cost_ledger_internal.unpriced_reason(
            c.called_at, c.provider, c.model,
            jsonb_strip_nulls(jsonb_build_object(
                'input_tokens', c.input_tokens, 'cache_read_tokens', c.cache_read_tokens, 'cache_write_tokens', c.cache_write_tokens,
                'cache_write_1h_tokens', c.cache_write_1h_tokens, 'output_tokens', c.output_tokens, 'reasoning_tokens', c.reasoning_tokens))
            || coalesce(c.other_usage, '{}'),
            c.service_class, c.region, c.customer)
    END AS reason) u
WHERE c.pricing IN ('unpriced', 'partial')
  AND c.corrects IS NULL
  -- A correction or re-rating may have brought the full price since.
  AND NOT EXISTS (SELECT
                  FROM cost_ledger.call a
                  WHERE a.corrects IS NOT NULL AND a.called_at = c.called_at AND a.corrects = c.call_id AND a.pricing IN ('priced', 'free'));

COMMENT ON VIEW cost_ledger.unpriced_call IS 'Calls without a full price: unpriced ones have no cost, partial ones lack the cost of a meter. reason says why; once there is a price, rerate() books it, and the call is no longer listed.';
COMMENT ON COLUMN cost_ledger.unpriced_call.called_at IS 'When the call was made.';
COMMENT ON COLUMN cost_ledger.unpriced_call.call_id IS 'The call.';
COMMENT ON COLUMN cost_ledger.unpriced_call.pricing IS 'unpriced or partial.';
COMMENT ON COLUMN cost_ledger.unpriced_call.usage_status IS 'What is known of the usage; see call.usage_status.';
COMMENT ON COLUMN cost_ledger.unpriced_call.provider IS 'Who bills the call.';
COMMENT ON COLUMN cost_ledger.unpriced_call.model IS 'Model name as sent.';
COMMENT ON COLUMN cost_ledger.unpriced_call.region IS 'Inference region as sent.';
COMMENT ON COLUMN cost_ledger.unpriced_call.service_class IS 'Service class.';
COMMENT ON COLUMN cost_ledger.unpriced_call.team IS 'Team that pays.';
COMMENT ON COLUMN cost_ledger.unpriced_call.feature IS 'Feature the call served.';
COMMENT ON COLUMN cost_ledger.unpriced_call.customer IS 'Customer the call served.';
COMMENT ON COLUMN cost_ledger.unpriced_call.run_id IS 'Agent run.';
COMMENT ON COLUMN cost_ledger.unpriced_call.trace_url IS 'Link to the trace.';
COMMENT ON COLUMN cost_ledger.unpriced_call.input_tokens IS 'All input tokens.';
COMMENT ON COLUMN cost_ledger.unpriced_call.output_tokens IS 'All output tokens.';
COMMENT ON COLUMN cost_ledger.unpriced_call.cost IS 'Cost of the meters that have a rate; NULL for an unpriced call.';
COMMENT ON COLUMN cost_ledger.unpriced_call.reason IS 'Why it has no full price, by the prices that there are now: no such name, with the nearest there are; no version at that time; no such class or region; no exchange rate, and how to set it; no rate for a meter, and which; or that there is a price by now, which rerate() books.';
