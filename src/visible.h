/*-------------------------------------------------------------------------
 * visible.h
 *	  Whose calls the current role may see.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_VISIBLE_H
#define COST_LEDGER_VISIBLE_H

extern void cl_visible_init(void);
extern void cl_check_customer_visible(const char *customer, int len);

#endif							/* COST_LEDGER_VISIBLE_H */
