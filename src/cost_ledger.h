/*-------------------------------------------------------------------------
 * cost_ledger.h
 *	  What every module of cost_ledger needs, and nothing else.  It declares no
 *	  function: each module's header declares its own.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_H
#define COST_LEDGER_H

#include "postgres.h"

#include "compat.h"
#include "errcodes.h"

#endif							/* COST_LEDGER_H */
