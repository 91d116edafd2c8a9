/*-------------------------------------------------------------------------
 * as_owner.c
 *	  Functions that act with the rights of the ledger's owner.
 *
 * Whoever may call one of them need not see what it reads or write what it
 * writes.  It is declared as cl_as_owner(), whatever its arguments and result,
 * and stands for a function of the same arguments in cost_ledger_internal:
 *
 *		cost_ledger.NAME()				for cost_ledger_internal.NAME()
 *		cost_ledger_internal.NAME()		for cost_ledger_internal.NAME_as_owner()
 *
 * The second is for what views, triggers and constraints call by themselves.
 * What may be called is asked of EXECUTE on the declared function, and of
 * nothing else; the one it stands for is granted to nobody.
 *
 * SECURITY DEFINER would not do: a function of the extension belongs to the
 * superuser who installed it, who need not own the ledger.
 *
 * The function called must SET search_path: the caller's own is in force here.
 * Neither of the two is STRICT.  In it current_user is the owner; caller() is
 * who called.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "as_owner.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "ledger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* Who called the outermost of the functions that are running; none outside. */
static Oid	outermost_caller = InvalidOid;

static Oid
find_target(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			internal = get_namespace_oid(CL_INTERNAL_SCHEMA, false);
	Form_pg_proc declared;
	char	   *name;
	Oid			target;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	declared = (Form_pg_proc) GETSTRUCT(tuple);
	name = psprintf("%s%s", NameStr(declared->proname),
					declared->pronamespace == internal ? "_as_owner" : "");
	target = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
							 PointerGetDatum(&declared->proargtypes), ObjectIdGetDatum(internal));
	if (!OidIsValid(target))
		cl_refuse_other_version();
	pfree(name);
	ReleaseSysCache(tuple);
	return target;
}

/*
 * Kept with the call's FmgrInfo, which may outlive an ALTER EXTENSION.
 */
static FmgrInfo *
get_target(FmgrInfo *declared)
{
	Oid			oid = find_target(declared->fn_oid);
	FmgrInfo   *target = declared->fn_extra;

	if (target == NULL)
		target = declared->fn_extra = MemoryContextAllocZero(declared->fn_mcxt, sizeof(FmgrInfo));
	if (target->fn_oid != oid)
		fmgr_info_cxt(oid, target, declared->fn_mcxt);
	target->fn_expr = declared->fn_expr;
	return target;
}

PG_FUNCTION_INFO_V1(cl_as_owner);

/*
 * As fmgr_security_definer() does it: the call's own fcinfo goes on to the
 * other function, so that sets, rows and triggers work as they do there.  An
 * error gives the rights back with its transaction or subtransaction.
 */
Datum
cl_as_owner(PG_FUNCTION_ARGS)
{
	Oid			ledger = cl_ledger_relation("ledger");
	FmgrInfo   *declared = fcinfo->flinfo;
	Oid			outer_caller = outermost_caller;
	CallerIdentity caller;
	Datum		result;

	fcinfo->flinfo = get_target(declared);
	caller = cl_become_owner(ledger);
	PG_TRY();
	{
		if (!OidIsValid(outermost_caller))
			outermost_caller = caller.user;
		result = FunctionCallInvoke(fcinfo);
	}
	PG_FINALLY();
	{
		outermost_caller = outer_caller;
		fcinfo->flinfo = declared;
	}
	PG_END_TRY();
	cl_become_caller(caller);
	return result;
}

PG_FUNCTION_INFO_V1(cl_caller);

/*
 * caller() → text
 */
Datum
cl_caller(PG_FUNCTION_ARGS)
{
	Oid			role = OidIsValid(outermost_caller) ? outermost_caller : GetUserId();

	PG_RETURN_TEXT_P(cstring_to_text(GetUserNameFromId(role, false)));
}
