/*-------------------------------------------------------------------------
 * key_space.h
 *	  The space of the current role's event keys.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_KEY_SPACE_H
#define COST_LEDGER_KEY_SPACE_H

extern void cl_key_space_init(void);
extern text *cl_key_space(void);

#endif							/* COST_LEDGER_KEY_SPACE_H */
