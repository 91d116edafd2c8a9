/*-------------------------------------------------------------------------
 * cost_ledger.h
 *	  What every module of cost_ledger needs, and nothing else.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_H
#define COST_LEDGER_H

#include "postgres.h"

#include "compat.h"
#include "errcodes.h"

/* The script creates this schema; the ledger's tables live in it too. */
#define CL_SCHEMA "cost_ledger"
/* What people use stands there; the rest here. */
#define CL_INTERNAL_SCHEMA "cost_ledger_internal"

#include "access/transam.h"
#include "executor/spi.h"

/* What a function that acts with the owner's rights has to give back. */
typedef struct CallerIdentity
{
	Oid			user;
	int			security;
} CallerIdentity;

/* cost_ledger.c */
extern Oid	cl_ledger_relation(const char *name);
extern CallerIdentity cl_become_owner(Oid relation);
extern void cl_become_caller(CallerIdentity caller);
pg_noreturn extern void cl_refuse_other_version(void);
extern void cl_prepare_once(SPIPlanPtr *plan, const char *query, int nargs, Oid *types);
extern Datum cl_announce_change(FunctionCallInfo fcinfo, const char *name);

/* price_cache.c */
extern void cl_price_cache_init(void);

/* rollup.c */
extern void cl_rollup_init(void);
extern bool cl_rollup_transaction(FullTransactionId *xid);

#endif							/* COST_LEDGER_H */
