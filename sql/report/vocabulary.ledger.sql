-- Columns that mean the same in every view are said once, here, unless a view
-- has said more.

DO $comments$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT a.attrelid::regclass AS view, a.attname, w.description
        FROM (VALUES ('starts_at', 'First instant of the period, in the reporting zone.'),
                     ('ends_at', 'First instant after it.'),
                     ('is_complete', 'Whether the period is over; until then its figures are not whole.'),
                     ('currency', 'ISO 4217 code of all money in the row: the ledger''s currency.'),
                     ('row_key', 'Names the row: unique in the view, and the same whenever it is read.'),
                     ('hour', 'First instant of the hour, local to the reporting zone; two where a clock is set back.'),
                     ('day', 'Day of the reporting zone.'),
                     ('month', 'First day of the month, in the reporting zone.'),
                     ('label', 'Which label of a call; total: of all calls. Each adds up to the whole cost, so read one at a time.'),
                     ('value', 'What the label says; (unallocated) for calls that say nothing; NULL for the total.'),
                     ('is_allocated', 'Whether the calls have the label; false only for (unallocated), NULL for a total.'),
                     ('team', 'Team that pays; NULL if calls name none.'),
                     ('feature', 'Product feature; NULL if calls name none.'),
                     ('customer', 'Customer or tenant; NULL, or (unallocated) where is_allocated is false, if calls name none.'),
                     ('flow', 'User-visible flow; NULL if calls name none.'),
                     ('task_type', 'Workflow or kind of task; NULL if calls name none.'),
                     ('environment', 'production, staging, ci, …; NULL if calls name none.'),
                     ('provider', 'Who bills the calls.'),
                     ('model', 'Model name as sent.'),
                     ('model_tier', 'Tier of the model: cheap, medium, premium or a word of your own (set_model_tier()); NULL without a rule or price.'),
                     ('service_class', 'standard, batch, flex, priority, …'),
                     ('operation', 'primary, retry, fallback, eval, …; NULL if calls name none.'),
                     ('status', 'success, error, …, as clients say; NULL if they say nothing.'),
                     ('served_from', 'model, or response_cache for answers from the application''s own cache, which cost nothing.'),
                     ('calls', 'Calls, every attempt counted; corrections are not calls.'),
                     ('priced_calls', 'Calls with a cost, those included that a re-rating gave one.'),
                     ('unpriced_calls', 'Calls without a full price, as in unpriced_call: what they cost beyond that is missing in cost.'),
                     ('failed_calls', 'Calls that have failed: with a status other than success, ok, completed, succeeded and 2xx, in any case; an unknown one is no failure.'),
                     ('retries', 'Calls with operation retry, plus the retries clients made inside calls (retry_count).'),
                     ('turns', 'Steps of the loop: all calls but those of operation retry, fallback, eval, judge, embedding, embeddings, rerank, moderation, background and routing, in any case.'),
                     ('tool_calls', 'Tool calls the models asked for.'),
                     ('accepted_calls', 'Calls whose outcome was accepted.'),
                     ('rejected_calls', 'Calls whose outcome was not accepted.'),
                     ('scored_calls', 'Calls with a score.'),
                     ('corrections', 'Rows that correct calls of the period.'),
                     ('input_tokens', 'All input tokens, cached ones included.'),
                     ('cache_read_tokens', 'Input tokens read from the prompt cache: a subset of input_tokens.'),
                     ('cache_write_tokens', 'Input tokens written to the prompt cache, for 5 minutes or for 1 hour: a subset of input_tokens.'),
                     ('output_tokens', 'All output tokens, reasoning included.'),
                     ('reasoning_tokens', 'Output tokens spent on reasoning: a subset of output_tokens.'),
                     ('billed_input_tokens', 'Input tokens that models were sent: input_tokens without those of answers from the application''s own cache.'),
                     ('billed_output_tokens', 'Output tokens that models sent: output_tokens without those of answers from the application''s own cache.'),
                     ('cost', 'Cost in the ledger''s currency, exact, corrections included; NULL without any price.'),
                     ('input_cost', 'The part of cost for input tokens that no cache had to do with, as first priced; NULL without any price.'),
                     ('cache_read_cost', 'The part of cost for input tokens read from the prompt cache, as first priced.'),
                     ('cache_write_cost', 'The part of cost for input tokens written to the prompt cache, as first priced.'),
                     ('output_cost', 'The part of cost for output tokens, as first priced: reasoning included where it costs what output costs.'),
                     ('reasoning_cost', 'The part of cost for reasoning tokens, where their price has a rate of their own, as first priced; elsewhere they are in output_cost.'),
                     ('other_cost', 'The part of cost for meters that are not tokens, as first priced.'),
                     ('adjustment_cost', 'The part of cost that corrections and re-ratings booked. It and the other parts (input, cache_read, cache_write, output, reasoning, other) add up to cost.'),
                     ('reported_cost', 'What providers said the calls cost; NULL where they said nothing.'),
                     ('avoided_cost', 'What answers from the application''s own cache would have cost; NULL where that is not known of any.'),
                     ('prompt_cache_saving', 'What the prompt cache saved: what tokens read from it and written to it would have cost as plain input, at each call''s own prices, less what they cost; corrections included. Negative where writing to it cost more than it saved; NULL where no call had to do with it. Not a part of cost.'),
                     ('cost_without_run', 'The part of cost whose calls have no run_id; NULL where there is none.'),
                     ('score', 'Sum of the scores of scored_calls; NULL where no call has one.'),
                     ('call_cost_summary', 'Summary of the cost of each call that has one, as first priced: p95(merge(call_cost_summary)) of any rows together. As json, its figures.'),
                     ('mean_cost_per_call', 'cost divided by the number of calls that have a price (per request); NULL without any.'),
                     ('mean_cost_per_accepted_call', 'cost, of all calls, divided by accepted_calls: what an accepted outcome costs; NULL without any.'),
                     ('share', 'cost as a fraction of the period''s cost; NULL where that is 0 or unknown.'),
                     ('call_share', 'calls as a fraction of the period''s calls; NULL without calls.')) AS w (name, description)
        JOIN pg_attribute a ON a.attname = w.name AND a.attnum > 0
        JOIN pg_class v ON v.oid = a.attrelid AND v.relnamespace = 'cost_ledger'::regnamespace AND v.relkind = 'v'
        WHERE col_description(a.attrelid, a.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.description);
    END LOOP;
END
$comments$;
