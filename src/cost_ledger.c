/*-------------------------------------------------------------------------
 * cost_ledger.c
 *	  The module's entry: read _PG_init and you know the modules.  Nothing
 *	  calls what stands here but PostgreSQL.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "budget_definition.h"
#include "budget_refusal.h"
#include "budget_wait.h"
#include "fmgr.h"
#include "guard.h"
#include "key_space.h"
#include "once.h"
#include "price_cache.h"
#include "rollup.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "visible.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	cl_key_space_init();
	cl_price_cache_init();
	cl_budget_init();
	cl_wait_init();
	cl_refusal_init();
	cl_rollup_init();
	cl_visible_init();
	cl_once_init();
	cl_guard_init();

	/* Nobody may pass off a placeholder as a setting of ours. */
	MarkGUCPrefixReserved("cost_ledger");
}

PG_FUNCTION_INFO_V1(cl_version);

Datum
cl_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(COST_LEDGER_VERSION));
}
