/*-------------------------------------------------------------------------
 * job.c
 *	  What procedures that commit have to know before they begin.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/xact.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cl_require_autocommit);

/*
 * Called first thing by a procedure, in the same context as that: where this
 * one may not commit, the other may not.
 */
Datum
cl_require_autocommit(PG_FUNCTION_ARGS)
{
	bool		may_commit = fcinfo->context && IsA(fcinfo->context, CallContext) &&
		!((CallContext *) fcinfo->context)->atomic && !IsSubTransaction();
	char	   *procedure = PG_ARGISNULL(0) ? "run_jobs" : text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (!may_commit)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cost_ledger.%s() cannot run inside a transaction block", procedure),
				 errdetail("It commits, so that a backlog does not become one long transaction."),
				 errhint("Send CALL cost_ledger.%s() as a statement of its own, with autocommit: not after BEGIN, nor from a function or a block that catches errors.",
						 procedure)));
	PG_RETURN_VOID();
}
