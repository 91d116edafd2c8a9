/*-------------------------------------------------------------------------
 * guard.h
 *	  The hook that keeps the ledger from being dropped by accident.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_GUARD_H
#define COST_LEDGER_GUARD_H

extern void cl_guard_init(void);

#endif							/* COST_LEDGER_GUARD_H */
