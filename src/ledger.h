/*-------------------------------------------------------------------------
 * ledger.h
 *	  The way to the ledger's tables.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_LEDGER_H
#define COST_LEDGER_LEDGER_H

#include "executor/spi.h"

/*
 * What people use stands in the one, the rest in the other.  The script makes
 * both; the ledger's tables live in them too.
 */
#define CL_SCHEMA "cost_ledger"
#define CL_INTERNAL_SCHEMA "cost_ledger_internal"

/* What a function that acts with the owner's rights has to give back. */
typedef struct CallerIdentity
{
	Oid			user;
	int			security;
} CallerIdentity;

extern Oid	cl_ledger_relation(const char *name);
extern Oid	cl_owner_of(Oid relation);
extern CallerIdentity cl_become_owner(Oid relation);
extern void cl_become_caller(CallerIdentity caller);
pg_noreturn extern void cl_refuse_other_version(void);
extern void cl_prepare_once(SPIPlanPtr *plan, const char *query, int nargs, Oid *types);
extern Datum cl_announce_change(FunctionCallInfo fcinfo, const char *name);

#endif							/* COST_LEDGER_LEDGER_H */
