/*-------------------------------------------------------------------------
 * rollup.h
 *	  The number the ledger gives a transaction.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_ROLLUP_H
#define COST_LEDGER_ROLLUP_H

#include "access/transam.h"

extern void cl_rollup_init(void);
extern bool cl_rollup_transaction(FullTransactionId *xid);

#endif							/* COST_LEDGER_ROLLUP_H */
