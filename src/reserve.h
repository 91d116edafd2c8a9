/*-------------------------------------------------------------------------
 * reserve.h
 *	  May this call be made?
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_RESERVE_H
#define COST_LEDGER_RESERVE_H

extern void cl_reserve_init(void);

#endif							/* COST_LEDGER_RESERVE_H */
