--
-- What providers say calls cost, beside what the ledger says.
--
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
-- five and a half hours ahead: invoices go by UTC days all the same
SELECT cost_ledger.create_ledger(time_zone => 'Asia/Kolkata');
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 10, "cache_read_tokens": 1, "output_tokens": 40}', '2026-01-01') > 0 AS set,
       cost_ledger.set_price('p', 'n', '{"input_tokens": 2, "requests": {"price": 0.5, "per": 1}}', '2026-01-01') > 0 AS set;

--
-- Reported with the call.
--
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens, reported_cost, event_key) VALUES
    ('2026-01-05', 'p', 'm', 1000000, 0, 10, 'same'), ('2026-01-06', 'p', 'm', 1000000, 500000, 33, 'more'), ('2026-01-07', 'p', 'm', 1000000, 0, NULL, 'silent'),
    ('2026-01-08', 'p', 'none', 1000, 0, 0.5, 'unpriced'), ('2026-01-31 20:00', 'p', 'n', 1000000, NULL, 2, 'less');
-- 10 and 30 against 10 and 33; a call of which we know nothing; 2.5 against 2, in February there
SELECT * FROM cost_ledger.reported_cost_difference ORDER BY month, model;
-- corrections count: the call that reported 33 had 575000 tokens of output
SELECT cost_ledger.correct_call('more', '{"input_tokens": 1000000, "output_tokens": 575000}', 'recount') > 0 AS corrected;
SELECT * FROM cost_ledger.reported_cost_difference WHERE model = 'm';

--
-- Invoices by day.  1 March: 0.6 × 10 + 0.4 × 1 + 0.1 × 40 (of which 0.03 is
-- reasoning, billed as output) twice, in two calls at both ends of the UTC day.
--
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, cache_read_tokens, output_tokens, reasoning_tokens, served_from, event_key) VALUES
    ('2026-03-01 00:00:00',        'p', 'm',            1000000, 400000, 100000, 30000, 'model', 'a'),
    ('2026-03-01 23:59:59.999999', 'p', 'm-2026-01-01', 1000000, 400000, 100000, 30000, 'model', 'b'),
    ('2026-03-02 00:00:00',        'p', 'n',            1000000, NULL,   NULL,   NULL,  'model', 'c'),
    ('2026-03-02 12:00:00',        'p', 'n',            1000000, NULL,   NULL,   NULL,  'response_cache', 'd'),
    ('2026-03-03 12:00:00',        'p', 'm',            1000,    NULL,   NULL,   NULL,  'model', 'e'),
    ('2026-03-04 12:00:00',        'p', 'secret',       1000,    NULL,   10,     NULL,  'model', 'f'),
    ('2026-03-05 12:00:00',        'p', 'm',            5000,    NULL,   NULL,   NULL,  'model', 'g'),
    ('2026-03-01 12:00:00',        'q', 'm',            5000,    NULL,   NULL,   NULL,  'model', 'h');
SELECT count(*) FROM cost_ledger.invoice_reconciliation;
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, quantity, amount, currency, tolerance) VALUES
    ('I-1', 'p', '2026-03-01', '2026-03-01', 'm', 'input_tokens',        1200000, 12.00, NULL,  0.01),
    ('I-1', 'p', '2026-03-01', '2026-03-01', 'm', 'cache_read_tokens',    800000,  0.79, 'USD', 0.01),     -- rounded down: within a cent
    ('I-1', 'p', '2026-03-01', '2026-03-01', 'm', 'output_tokens',        200000,  8.02, NULL,  0.01),     -- two cents too much
    ('I-1', 'p', '2026-03-02', '2026-03-02', 'n', 'input_tokens',           NULL,  5.00, NULL,  0.01),     -- no quantity, two lines: a charge and a credit
    ('I-1', 'p', '2026-03-02', '2026-03-02', 'n', 'input_tokens',           NULL, -3.00, NULL,  0),
    ('I-1', 'p', '2026-03-02', '2026-03-02', 'n', 'requests',                  2,  1.00, NULL,  0.01),     -- one too many
    ('I-1', 'p', '2026-03-02', '2026-03-02', 'n', 'web_search_requests',       7,  0.07, NULL,  0.01),     -- we know of none
    ('I-1', 'p', '2026-03-04', '2026-03-04', 'secret', 'input_tokens',      1000,  0.01, NULL,  0.01),
    ('I-1', 'p', '2026-03-04', '2026-03-04', 'm', 'input_tokens',             10,  0.10, 'EUR', 0.01);
SELECT billed_from, model, meter, invoices, quantity, invoice_quantity, quantity_difference, amount, invoice_amount, difference, status, is_matched
FROM cost_ledger.invoice_reconciliation ORDER BY billed_from, model, meter;
-- an exchange rate comes; 0.10 × 1.25
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2026-03-04', 1.25), ('EUR', '2026-03-04 00:00:01', 9);
SELECT amount, invoice_amount, difference, status FROM cost_ledger.invoice_reconciliation WHERE billed_from = '2026-03-04' AND model = 'm';
-- our side adds up to the ledger, period by period
SELECT r.amount = c.cost AS adds_up, r.amount
FROM (SELECT sum(amount) AS amount FROM cost_ledger.invoice_reconciliation WHERE provider = 'p') r,
     (SELECT sum(cost) AS cost FROM cost_ledger.call WHERE provider = 'p' AND called_at >= '2026-03-01' AND called_at < '2026-03-05') c;

-- usage that is corrected, and a price that is replaced: what is not re-rated yet is a line of its own
SELECT cost_ledger.correct_call('c', '{"input_tokens": 1000000, "requests": 2}', 'two requests') > 0 AS corrected;
SELECT meter, quantity, amount, invoice_amount, status FROM cost_ledger.invoice_reconciliation WHERE billed_from = '2026-03-02' ORDER BY meter;
SELECT cost_ledger.set_price('p', 'm', '{"input_tokens": 10, "cache_read_tokens": 1, "output_tokens": 40.1}', '2026-01-01', replace => true) > 0 AS set;
SELECT meter, amount, invoice_amount, difference, status FROM cost_ledger.invoice_reconciliation WHERE billed_from = '2026-03-01' ORDER BY meter;
SELECT sum(change) AS booked FROM cost_ledger.rerate('2026-03-01', '2026-03-02', '{"provider": "p"}', false, 'as on invoice I-1');
SELECT meter, amount, invoice_amount, difference, status FROM cost_ledger.invoice_reconciliation WHERE billed_from = '2026-03-01' ORDER BY meter;

--
-- A line of a longer period is compared with all of it; a day that it bills
-- is no difference elsewhere.
--
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, quantity, amount) VALUES
    ('I-2', 'p', '2026-03-03', '2026-03-31', 'm', 'input_tokens', 6000, 0.06);
SELECT billed_from, billed_to, model, meter, quantity, amount, invoice_amount, status
FROM cost_ledger.invoice_reconciliation WHERE billed_to > '2026-03-02' ORDER BY billed_to, billed_from, model, meter;

--
-- An invoice in another currency is compared in that: 1,000,000 tokens at 2 EUR on
-- each of two days, whatever the rate was; a card in dollars at the rate of the day.
--
INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '2026-04-01', 1.07), ('EUR', '2026-04-02', 1.13), ('EUR', '2026-04-30', 2);
SELECT cost_ledger.set_price('eu', 'e', '{"input_tokens": 2, "output_tokens": 7}', '2026-01-01', currency => 'EUR') > 0 AS set, cost_ledger.set_price('eu', 'd', '{"input_tokens": 1.07}', '2026-01-01') > 0 AS set;
INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, output_tokens) VALUES
    ('2026-04-01 12:00', 'eu', 'e', 1000000, 1000000), ('2026-04-02 12:00', 'eu', 'e', 1000000, 0), ('2026-04-01 12:00', 'eu', 'd', 3000000, NULL), ('2026-05-01 12:00', 'eu', 'e', 1000000, NULL);
SELECT called_at::date, cost FROM cost_ledger.call WHERE provider = 'eu' AND model = 'e' ORDER BY 1;
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, quantity, amount, currency) VALUES
    ('E-1', 'eu', '2026-04-01', '2026-04-30', 'e', 'input_tokens', 2000000, 4.00, 'EUR'), ('E-1', 'eu', '2026-04-01', '2026-04-30', 'e', 'output_tokens', 1000000, 7.02, 'EUR'),
    ('E-1', 'eu', '2026-04-01', '2026-04-30', 'd', 'input_tokens', 3000000, 3.00, 'EUR');
SELECT billed_to, model, meter, round(amount, 12) AS amount, invoice_amount, round(difference, 12) AS difference, currency, status FROM cost_ledger.invoice_reconciliation WHERE provider = 'eu' ORDER BY model, meter;
SELECT model, meter, quantity, round(amount, 12) AS amount, is_unpriced FROM cost_ledger.billed_meters('2026-04-01', '2026-05-01', '{"provider": "eu"}', 'EUR') ORDER BY model, meter;
SELECT model, meter, amount FROM cost_ledger.billed_meters('2026-04-01', '2026-05-01', '{"provider": "eu"}', 'USD') ORDER BY model, meter;
-- what is not re-rated, in that currency too
SELECT cost_ledger.set_price('eu', 'e', '{"input_tokens": 3, "output_tokens": 7}', '2026-01-01', currency => 'EUR', replace => true) > 0 AS set;
SELECT model, meter, round(amount, 12) AS amount FROM cost_ledger.billed_meters('2026-04-01', '2026-05-01', '{"provider": "eu", "model": "e"}', 'EUR') ORDER BY model, meter;
SELECT cost_ledger.set_price('eu', 'e', '{"input_tokens": 2, "output_tokens": 7}', '2026-01-01', currency => 'EUR', replace => true) > 0 AS set;
-- by day, a day that is not on it in the same currency
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, quantity, amount, currency) VALUES
    ('E-2', 'eu', '2026-04-30', '2026-04-30', 'd', 'input_tokens', NULL, 1, 'EUR'), ('E-2', 'eu', '2026-05-02', '2026-05-02', 'e', 'input_tokens', NULL, 1, 'EUR');
SELECT billed_from, model, meter, round(amount, 12) AS amount, invoice_amount, round(difference, 12) AS difference, currency, status
FROM cost_ledger.invoice_reconciliation WHERE provider = 'eu' AND billed_from = billed_to ORDER BY billed_from, model;
-- a currency without a rate; one period in two
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, quantity, amount, currency) VALUES
    ('C-1', 'p', '2026-03-05', '2026-03-05', 'm', 'input_tokens', 5000, 0.05, 'CHF'), ('E-3', 'q', '2026-03-01', '2026-03-01', 'm', 'input_tokens', 5000, 0.05, 'GBP'),
    ('E-4', 'eu', '2026-04-01', '2026-05-30', 'e', 'input_tokens', 3000000, 2, 'EUR'), ('E-4', 'eu', '2026-04-01', '2026-05-30', 'e', 'input_tokens', 0, 4.4, 'USD');
SELECT provider, billed_from, billed_to, model, meter, round(amount, 12) AS amount, invoice_amount, round(difference, 12) AS difference, currency, status
FROM cost_ledger.invoice_reconciliation WHERE invoices IN ('C-1', 'E-3', 'E-4') ORDER BY provider, billed_from, model, meter;
SELECT * FROM cost_ledger.billed_meters('2026-04-01', '2026-05-01', '{}', 'euro');
DELETE FROM cost_ledger.invoice_line WHERE invoice IN ('C-1', 'E-2', 'E-3', 'E-4');

-- what is no line
\set VERBOSITY sqlstate
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, amount) VALUES ('I', 'p', '2026-03-02', '2026-03-01', 'm', 'input_tokens', 1);
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, amount) VALUES ('I', 'p', '2026-03-02', '2026-03-02', 'm', 'Input tokens', 1);
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, amount) VALUES ('I', 'p', '2026-03-02', '2026-03-02', 'm', 'input_tokens', 'NaN');
INSERT INTO cost_ledger.invoice_line (invoice, provider, billed_from, billed_to, model, meter, amount) VALUES ('I', 'p', '2026-03-02', 'infinity', 'm', 'input_tokens', 1);
\set VERBOSITY default

SELECT cost_ledger.drop_ledger(i_mean_it => true);
