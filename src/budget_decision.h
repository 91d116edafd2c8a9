/*-------------------------------------------------------------------------
 * budget_decision.h
 *	  May this call be made?
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BUDGET_DECISION_H
#define COST_LEDGER_BUDGET_DECISION_H

extern void cl_decision_init(void);

#endif							/* COST_LEDGER_BUDGET_DECISION_H */
