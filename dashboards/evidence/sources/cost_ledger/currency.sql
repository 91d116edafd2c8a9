SELECT max(c.currency) AS currency
FROM cost_ledger.cost_by_label c
WHERE c.label = 'total'
