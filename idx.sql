\timing on
CREATE INDEX call_exception ON cost_ledger.call (corrects) WHERE corrects IS NOT NULL OR pricing IN ('unpriced', 'partial');
CREATE INDEX call_reported_cost ON cost_ledger.call USING brin (reported_cost) WITH (pages_per_range = 64) WHERE reported_cost IS NOT NULL;
