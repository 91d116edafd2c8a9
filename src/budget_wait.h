/*-------------------------------------------------------------------------
 * budget_wait.h
 *	  How long who decides or settles waits for others who do.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_WAIT_H
#define COST_LEDGER_BUDGET_WAIT_H

extern void cl_wait_init(void);
extern void cl_wait_briefly(void);
extern void cl_wait_patiently(void);
extern void cl_note_gates(void);
extern void cl_note_ended_holds(void);
extern bool cl_has_ended_holds(void);
extern void cl_explain_wait(MemoryContext caller, const char *message);

#endif							/* COST_LEDGER_BUDGET_WAIT_H */
