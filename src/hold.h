/*-------------------------------------------------------------------------
 * hold.h
 *	  Calls that settle a hold, noted until the end of the transaction.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_HOLD_H
#define COST_LEDGER_HOLD_H

#include "datatype/timestamp.h"

extern void cl_note_settlement(TimestampTz called_at, int64 call_id);

#endif							/* COST_LEDGER_HOLD_H */
