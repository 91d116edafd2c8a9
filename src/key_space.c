/*-------------------------------------------------------------------------
 * key_space.c
 *	  In which space the event keys of a role are.
 *
 * Senders who do not know each other may choose the same key.  grant_writer()
 * gives a role a space of its own; whoever has none, and the owner of the
 * ledger, shares the empty one.
 *
 * The answer is kept for one role, until the grants, the members of roles or
 * the roles themselves change.  It is read under the latest snapshot: an older
 * one would leave an answer that no further message corrects.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "key_space.h"
#include "ledger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static Oid	grants_oid = InvalidOid;
static Oid	known_role = InvalidOid;	/* whose space is known */
static text *known_space = NULL;

static void
forget_grants(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == grants_oid)
		known_role = InvalidOid;
}

static void
forget_roles(Datum arg, int cacheid, uint32 hashvalue)
{
	known_role = InvalidOid;
}

void
cl_key_space_init(void)
{
	CacheRegisterRelcacheCallback(forget_grants, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, forget_roles, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, forget_roles, (Datum) 0);
}

/*
 * A role's own grant comes before those it inherits, a space before the shared
 * one.
 */
static text *
read_space(Oid role)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {OIDOID};
	Datum		arguments[] = {ObjectIdGetDatum(role)};
	Snapshot	snapshot;
	bool		isnull;
	text	   *space;
	MemoryContext caller_context = CurrentMemoryContext;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	cl_prepare_once(&plan,
					"SELECT g.key_space FROM cost_ledger_internal.role_grant g "
					"WHERE g.key_space IS NOT NULL AND pg_catalog.pg_has_role($1, g.role::pg_catalog.oid, 'USAGE') "
					"ORDER BY g.role OPERATOR(pg_catalog.<>) $1, g.key_space OPERATOR(pg_catalog.=) '', g.key_space",
					1, types);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (SPI_execute_snapshot(plan, arguments, NULL, snapshot, InvalidSnapshot, true, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the grants");
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(caller_context);
	if (SPI_processed == 0)
		space = cstring_to_text("");
	else
		space = DatumGetTextPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return space;
}

/*
 * The space of the current role's event keys, until the next call.
 */
text *
cl_key_space(void)
{
	Oid			role = GetUserId();
	CallerIdentity caller;
	text	   *space;

	if (role == known_role)
		return known_space;
	grants_oid = cl_ledger_relation("role_grant");
	/* Before the read: a message that comes during it must not be lost. */
	known_role = role;
	PG_TRY();
	{
		caller = cl_become_owner(grants_oid);
		space = has_privs_of_role(role, GetUserId()) ? cstring_to_text("") : read_space(role);
		cl_become_caller(caller);
		if (known_space)
			pfree(known_space);
		known_space = NULL;
		known_space = (text *) MemoryContextAlloc(TopMemoryContext, VARSIZE(space));
		memcpy(known_space, space, VARSIZE(space));
	}
	PG_CATCH();
	{
		known_role = InvalidOid;
		PG_RE_THROW();
	}
	PG_END_TRY();
	return known_space;
}

PG_FUNCTION_INFO_V1(cl_key_space_name);

/*
 * key_space() → text
 */
Datum
cl_key_space_name(PG_FUNCTION_ARGS)
{
	text	   *space = cl_key_space();
	text	   *result = palloc(VARSIZE(space));

	memcpy(result, space, VARSIZE(space));
	PG_RETURN_TEXT_P(result);
}

PG_FUNCTION_INFO_V1(cl_grant_changed);

/*
 * Row trigger on role_grant: tells every backend at commit.
 */
Datum
cl_grant_changed(PG_FUNCTION_ARGS)
{
	return cl_announce_change(fcinfo, "grant_changed");
}
