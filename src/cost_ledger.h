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

/* price_cache.c */
extern void cl_price_cache_init(void);

#endif							/* COST_LEDGER_H */
