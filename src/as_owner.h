/*-------------------------------------------------------------------------
 * as_owner.h
 *	  Functions that act with the rights of the ledger's owner.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_AS_OWNER_H
#define COST_LEDGER_AS_OWNER_H

#include "fmgr.h"

extern PGDLLEXPORT Datum cl_as_owner(PG_FUNCTION_ARGS);

#endif							/* COST_LEDGER_AS_OWNER_H */
