/*-------------------------------------------------------------------------
 * call_trigger.h
 *	  What others have to know of the columns of a call.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_CALL_TRIGGER_H
#define COST_LEDGER_CALL_TRIGGER_H

extern bool cl_is_call_column(const char *name);

#endif							/* COST_LEDGER_CALL_TRIGGER_H */
