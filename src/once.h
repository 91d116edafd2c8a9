/*-------------------------------------------------------------------------
 * once.h
 *	  What reports ask again and again is read once.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_ONCE_H
#define COST_LEDGER_ONCE_H

extern void cl_once_init(void);

#endif							/* COST_LEDGER_ONCE_H */
