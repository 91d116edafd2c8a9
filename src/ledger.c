/*-------------------------------------------------------------------------
 * ledger.c
 *	  The way to the ledger's tables, for the modules that read or change them.
 *
 * The ledger is not the extension's: it may be missing, dropped and made again,
 * or of another version than this library.  So a table is found by its name when
 * it is needed, and what has another shape than expected is refused with the
 * way out.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "ledger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/*
 * OID of a table of the ledger, by name: the ledger may be dropped and made
 * again, so nobody keeps it for long.
 */
Oid
cl_ledger_relation(const char *name)
{
	static const char *const schemas[] = {CL_INTERNAL_SCHEMA, CL_SCHEMA};
	Oid			relation = InvalidOid;

	for (int i = 0; i < (int) lengthof(schemas) && !OidIsValid(relation); i++)
	{
		Oid			schema = get_namespace_oid(schemas[i], true);

		if (OidIsValid(schema))
			relation = get_relname_relid(name, schema);
	}
	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no ledger in this database"),
				 errhint("Run SELECT cost_ledger.create_ledger();")));
	return relation;
}

Oid
cl_owner_of(Oid relation)
{
	HeapTuple	class = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner;

	if (!HeapTupleIsValid(class))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	owner = ((Form_pg_class) GETSTRUCT(class))->relowner;
	ReleaseSysCache(class);
	return owner;
}

/*
 * An owner that got the tables otherwise than by create_ledger(owner) has
 * nothing of the extension: everything would fail, each at another name.
 */
static void
check_owner(Oid owner)
{
	char	   *owner_name;
	const char *name;

	if (cl_may_use_schema(get_namespace_oid(CL_INTERNAL_SCHEMA, false), owner))
		return;
	owner_name = GetUserNameFromId(owner, false);
	name = quote_identifier(owner_name);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the owner of the ledger, \"%s\", may not use what belongs to the extension", owner_name),
			 errhint("A superuser runs: GRANT USAGE, CREATE ON SCHEMA cost_ledger, cost_ledger_internal TO %s WITH GRANT OPTION; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA cost_ledger, cost_ledger_internal TO %s WITH GRANT OPTION;",
					 name, name)));
}

/*
 * Takes on the rights of a table's owner, as foreign keys do, until
 * cl_become_caller(): whoever may insert calls need not see prices or other
 * clients' event keys.  An error gives them back by itself.
 *
 * The caller's search_path stays in force meanwhile: whatever is run must
 * qualify every name, operators too, or the caller's own would run as owner.
 */
CallerIdentity
cl_become_owner(Oid relation)
{
	CallerIdentity caller;
	Oid			owner = cl_owner_of(relation);

	check_owner(owner);
	GetUserIdAndSecContext(&caller.user, &caller.security);
	SetUserIdAndSecContext(owner,
						   caller.security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	return caller;
}

void
cl_become_caller(CallerIdentity caller)
{
	SetUserIdAndSecContext(caller.user, caller.security);
}

/*
 * For whoever finds that the SQL it was called from, or calls, has another
 * shape than this library knows.
 */
void
cl_refuse_other_version(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the library of cost_ledger is version %s, its SQL objects are of another",
					COST_LEDGER_VERSION),
			 errhint("Run ALTER EXTENSION cost_ledger UPDATE TO '%s';", COST_LEDGER_VERSION)));
}

/*
 * Prepares a query for the life of the backend.
 */
void
cl_prepare_once(SPIPlanPtr *plan, const char *query, int nargs, Oid *types)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare(query, nargs, types);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", query,
				 SPI_result_code_string(SPI_result));
		*plan = made;
	}
}

/*
 * What a row trigger does on a table that backends keep copies of: every
 * backend hears of the change at commit, this one at once, and again if it is
 * rolled back.
 */
Datum
cl_announce_change(FunctionCallInfo fcinfo, const char *name)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cost_ledger_internal.%s() must be fired AFTER ROW", name),
				 errhint("cost_ledger.create_ledger() attaches it; do not attach it by hand.")));

	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);
}
