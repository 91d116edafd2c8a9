/*-------------------------------------------------------------------------
 * rollup.h
 *	  The number the ledger gives a transaction, and the labels of a first call.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_ROLLUP_H
#define COST_LEDGER_ROLLUP_H

#include "access/transam.h"
#include "access/tupdesc.h"
#include "utils/timestamp.h"

/* team, feature, customer, task type, environment, user, agent, session */
#define NUM_LABELS 8

/* One label: whose it is. */
typedef struct Label
{
	Datum		value;			/* text; 0 while no call has said it */
	TimestampTz called_at;
	int64		call_id;
} Label;

typedef struct CallLabels
{
	Label		labels[NUM_LABELS];
} CallLabels;

extern void cl_rollup_init(void);
extern bool cl_rollup_transaction(FullTransactionId *xid);
extern bool cl_is_earlier(TimestampTz called_at, int64 call_id, const Label *label);
extern Datum cl_labels_datum(const CallLabels *labels, TupleDesc descriptor, bool *isnull);

#endif							/* COST_LEDGER_ROLLUP_H */
