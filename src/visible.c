/*-------------------------------------------------------------------------
 * visible.c
 *	  Whose calls the current role may see.
 *
 * Reports run with the rights of the ledger's owner, so what is not cut down
 * here is seen by everybody.  One answer for a query: all, or the calls of some
 * teams and customers, none for a role that was granted nothing.  A role has
 * what the roles have whose rights it inherits.
 *
 * Sums cannot obey row-level security that somebody puts on call: who is under
 * it sees what was granted by team or customer, or gets an error; never all.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "as_owner.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "ledger.h"
#include "miscadmin.h"
#include "snapshot_mark.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/timestamp.h"
#include "visible.h"

/* The answer, for a role in a snapshot: a query asks for it many times. */
static struct
{
	bool		is_known;
	Oid			role;
	SnapshotMark snapshot;
	bool		sees_all;
	ArrayType  *teams;			/* in TopMemoryContext */
	ArrayType  *customers;
}			visible;

static void
forget_at_end(XactEvent event, void *arg)
{
	visible.is_known = false;
}

static void
forget_at_subend(SubXactEvent event, SubTransactionId mySubid,
				 SubTransactionId parentSubid, void *arg)
{
	visible.is_known = false;
}

void
cl_visible_init(void)
{
	RegisterXactCallback(forget_at_end, NULL);
	RegisterSubXactCallback(forget_at_subend, NULL);
}

static void
keep_names(ArrayType **kept, ArrayBuildState *names)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ArrayType  *array = names ? DatumGetArrayTypeP(makeArrayResult(names, TopMemoryContext))
		: construct_empty_array(TEXTOID);

	if (*kept)
		pfree(*kept);
	*kept = array;
	MemoryContextSwitchTo(old);
}

/*
 * Goes through the grants of roles whose rights the role has.  Whether one is
 * for all calls.
 */
static bool
read_grants(Oid role)
{
	static SPIPlanPtr plan = NULL;
	CallerIdentity caller = cl_become_owner(cl_ledger_relation("role_grant"));
	ArrayBuildState *teams = NULL;
	ArrayBuildState *customers = NULL;
	bool		sees_all = false;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	cl_prepare_once(&plan,
					"SELECT g.role::pg_catalog.oid, g.team, g.customer "
					"FROM cost_ledger_internal.role_grant g "
					"JOIN cost_ledger_internal.granted_role h ON h.role OPERATOR(pg_catalog.=) g.role::pg_catalog.oid "
					"WHERE g.kind OPERATOR(pg_catalog.=) ANY ('{reader,admin,team_reader,customer_reader}'::pg_catalog.text[])",
					0, NULL);
	if (SPI_execute_plan(plan, NULL, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what roles were granted");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	descriptor = SPI_tuptable->tupdesc;
		bool		no_role;
		bool		no_team;
		bool		no_customer;
		Oid			granted = DatumGetObjectId(SPI_getbinval(tuple, descriptor, 1, &no_role));
		Datum		team = SPI_getbinval(tuple, descriptor, 2, &no_team);
		Datum		customer = SPI_getbinval(tuple, descriptor, 3, &no_customer);

		if (!has_privs_of_role(role, granted))
			continue;
		if (!no_team)
			teams = accumArrayResult(teams, team, false, TEXTOID, CurrentMemoryContext);
		else if (!no_customer)
			customers = accumArrayResult(customers, customer, false, TEXTOID, CurrentMemoryContext);
		else
			sees_all = true;
	}
	keep_names(&visible.teams, teams);
	keep_names(&visible.customers, customers);
	SPI_finish();
	cl_become_caller(caller);
	return sees_all;
}

/*
 * Has the answer for the current role and the query's snapshot ready.
 */
static void
find_visible(void)
{
	Snapshot	snapshot = GetActiveSnapshot();
	Oid			role = GetUserId();
	Oid			call;
	Oid			owner;
	bool		is_under_policy;

	if (visible.is_known && visible.role == role && cl_is_same_snapshot(&visible.snapshot, snapshot))
		return;
	visible.is_known = false;
	call = cl_ledger_relation("call");
	owner = cl_owner_of(call);
	if (check_enable_rls(call, owner, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("reports would lack the calls that a policy hides from the ledger's owner"),
				 errhint("ALTER TABLE cost_ledger.call NO FORCE ROW LEVEL SECURITY;")));
	is_under_policy = check_enable_rls(call, InvalidOid, true) == RLS_ENABLED;
	visible.sees_all = has_privs_of_role(role, owner);
	/* The owner has no grants to read: jobs and reserve() ask all the time. */
	if (!visible.sees_all || is_under_policy)
		visible.sees_all = read_grants(role);
	if (is_under_policy)
	{
		if (ARR_NDIM(visible.teams) == 0 && ARR_NDIM(visible.customers) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("reports cannot obey the row-level security of calls that role \"%s\" is under",
							GetUserNameFromId(role, false)),
					 errhint("Say whose calls the role sees with cost_ledger.grant_team_reader() or grant_customer_reader(): reports obey those.")));
		visible.sees_all = false;
	}
	visible.role = role;
	cl_mark_snapshot(&visible.snapshot, snapshot);
	visible.is_known = true;
}

PG_FUNCTION_INFO_V1(cl_sees_all);
PG_FUNCTION_INFO_V1(cl_seen_teams);
PG_FUNCTION_INFO_V1(cl_seen_customers);
PG_FUNCTION_INFO_V1(cl_live_call_from);

Datum
cl_sees_all(PG_FUNCTION_ARGS)
{
	find_visible();
	PG_RETURN_BOOL(visible.sees_all);
}

/*
 * None for who sees all.  Copies: another query may find another answer while
 * this one holds it.
 */
static Datum
seen_names(ArrayType *const *names)
{
	find_visible();
	if (visible.sees_all)
		return PointerGetDatum(construct_empty_array(TEXTOID));
	return datumCopy(PointerGetDatum(*names), false, -1);
}

Datum
cl_seen_teams(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(seen_names(&visible.teams));
}

Datum
cl_seen_customers(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(seen_names(&visible.customers));
}

/*
 * Who sees all has sums of the others.
 */
Datum
cl_live_call_from(PG_FUNCTION_ARGS)
{
	find_visible();
	PG_RETURN_TIMESTAMPTZ(visible.sees_all ? DT_NOEND : DT_NOBEGIN);
}

PG_FUNCTION_INFO_V1(cl_as_owner_for_reader);

/*
 * As cl_as_owner(), for functions that go through all calls: whoever may see a
 * part only gets an error, not the rest.
 */
Datum
cl_as_owner_for_reader(PG_FUNCTION_ARGS)
{
	find_visible();
	if (!visible.sees_all)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for calls of every team and customer"),
				 errhint("cost_ledger.grant_reader() lets a role read all calls.")));
	return cl_as_owner(fcinfo);
}

/*
 * Refuses the prices of a customer whose calls the current role may not see,
 * whether there is such a customer or not.
 */
void
cl_check_customer_visible(const char *customer, int len)
{
	Datum	   *names;
	int			num_names;

	find_visible();
	if (visible.sees_all)
		return;
	deconstruct_array(visible.customers, TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &num_names);
	for (int i = 0; i < num_names; i++)
	{
		text	   *name = DatumGetTextPP(names[i]);

		if ((int) VARSIZE_ANY_EXHDR(name) == len && memcmp(VARDATA_ANY(name), customer, len) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for prices of customer \"%.*s\"", len, customer),
			 errhint("Leave the customer out for prices of no customer in particular; cost_ledger.grant_customer_reader() shows a role those of one.")));
}
