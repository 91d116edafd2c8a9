/*-------------------------------------------------------------------------
 * guard.c
 *	  No careless statement takes the ledger along.
 *
 * Refused is to drop a table, sequence or view of the ledger, a key, trigger or
 * column of one (but what users have added to call), or the extension while there
 * is a ledger; to detach a partition of call; and to empty a table that is no list
 * of people's.  A hook sees drops however they come about: by CASCADE, by DROP
 * OWNED, many in one statement, in a function.  To make a table unlogged is
 * refused where it is the statement itself.
 *
 * DROP EXTENSION removes an event trigger of ours before sql_drop would fire it,
 * and one in C would stop everybody's DDL where the library is missing.  So the
 * event trigger is PL/pgSQL, fires before such statements, and calls
 * refuse_drop() only to have the library loaded, and with it the hook.  Who
 * disables the event trigger disables the hook.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "call_trigger.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "guard.h"
#include "ledger.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define CL_EXTENSION "cost_ledger"
#define GUARD_TRIGGER "cost_ledger_guard"
#define SIGNAL_PREFIX "signal_"

/* Whoever drops the ledger, or restores another over it, says so by this. */
static bool allow_drop = false;

static object_access_hook_type previous_hook = NULL;

/*
 * The table call, or InvalidOid where there is no ledger.
 */
static Oid
call_table(void)
{
	Oid			schema = get_namespace_oid(CL_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid("call", schema) : InvalidOid;
}

static bool
is_disabled(void)
{
	HeapTuple	trigger = SearchSysCache1(EVENTTRIGGERNAME, CStringGetDatum(GUARD_TRIGGER));
	bool		result;

	/* DROP EXTENSION has removed it before it comes to the extension. */
	if (!HeapTupleIsValid(trigger))
		return false;
	result = ((Form_pg_event_trigger) GETSTRUCT(trigger))->evtenabled == TRIGGER_DISABLED;
	ReleaseSysCache(trigger);
	return result;
}

/*
 * Anybody can change the setting; it counts for whoever may drop the ledger.
 */
static bool
is_allowed(Oid call)
{
	return allow_drop && has_privs_of_role(GetUserId(), cl_owner_of(call));
}

/*
 * Refuses, unless there is no ledger or the guard is off.
 */
static void
refuse(const char *what, const char *name)
{
	Oid			call = call_table();

	if (!OidIsValid(call) || is_disabled() || is_allowed(call))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_RESTRICT_VIOLATION),
			 errmsg("%s \"%s\" belongs to the ledger of this database", what, name),
			 errhint("SELECT cost_ledger.drop_ledger(i_mean_it => true) removes the ledger with all its data; cost_ledger.set_retention() and apply_retention() drop old months of calls. For the owner and superusers, SET cost_ledger.allow_drop = on lets the statement through.")));
}

/*
 * Whatever stands in our schemas is the ledger's, and partitions wherever
 * somebody put them.
 */
static bool
is_of_ledger(Oid relation)
{
	Oid			schema = get_rel_namespace(relation);

	if (!OidIsValid(schema))
		return false;
	return schema == get_namespace_oid(CL_SCHEMA, true) ||
		schema == get_namespace_oid(CL_INTERNAL_SCHEMA, true) ||
		(get_rel_relispartition(relation) && get_partition_parent(relation, true) == call_table());
}

static void
refuse_relation(Oid relation)
{
	const char *what;

	switch (get_rel_relkind(relation))
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			what = "table";
			break;
		case RELKIND_SEQUENCE:
			what = "sequence";
			break;
		case RELKIND_VIEW:
			/* What users' alert rules watch stands beside what they ask. */
			if (strncmp(get_rel_name(relation), SIGNAL_PREFIX, strlen(SIGNAL_PREFIX)) == 0 &&
				get_rel_namespace(relation) == get_namespace_oid(CL_SCHEMA, true))
				return;
			what = "view";
			break;
		default:
			return;
	}
	if (is_of_ledger(relation))
		refuse(what, get_rel_name(relation));
}

/*
 * Users add columns to call, and to no other table.  A partition's go with it.
 */
static void
refuse_column(Oid relation, int number)
{
	char	   *name = get_attname(relation, number, true);

	if (name != NULL && is_of_ledger(relation) && !get_rel_relispartition(relation) &&
		(relation != call_table() || cl_is_call_column(name)))
		refuse("column", name);
}

/*
 * The triggers are the ledger's rules.  Those that users have made are theirs.
 */
static void
refuse_trigger(Oid trigger)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(trigger));
	scan = systable_beginscan(catalog, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (!form->tgisinternal && is_of_ledger(form->tgrelid) &&
			get_func_namespace(form->tgfoid) == get_namespace_oid(CL_INTERNAL_SCHEMA, true))
			refuse("trigger", NameStr(form->tgname));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * A table without its key takes every row a second time.
 */
static void
refuse_constraint(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if ((form->contype == CONSTRAINT_PRIMARY || form->contype == CONSTRAINT_UNIQUE ||
		 form->contype == CONSTRAINT_EXCLUSION || form->contype == CONSTRAINT_FOREIGN) &&
		is_of_ledger(form->conrelid))
		refuse("constraint", NameStr(form->conname));
	ReleaseSysCache(tuple);
}

static void
refuse_drop(Oid class, Oid object, int column)
{
	switch (class)
	{
		case RelationRelationId:
			if (column == 0)
				refuse_relation(object);
			else
				refuse_column(object, column);
			break;
		case TriggerRelationId:
			refuse_trigger(object);
			break;
		case ConstraintRelationId:
			refuse_constraint(object);
			break;
		case ExtensionRelationId:
			if (object == get_extension_oid(CL_EXTENSION, true))
				refuse("extension", CL_EXTENSION);
			break;
	}
}

/*
 * Called for a child that comes and for one that goes, with pg_inherits still
 * to be seen as it was.
 */
static void
refuse_detach(Oid child, Oid parent)
{
	if (OidIsValid(parent) && parent == call_table() && has_superclass(child))
		refuse("partition", get_rel_name(child));
}

static void
guard(ObjectAccessType access, Oid class, Oid object, int column, void *argument)
{
	if (previous_hook)
		previous_hook(access, class, object, column, argument);

	/* PostgreSQL's own drops are of what it made: a table it has rewritten. */
	if (access == OAT_DROP && !(((ObjectAccessDrop *) argument)->dropflags & PERFORM_DELETION_INTERNAL))
		refuse_drop(class, object, column);
	else if (access == OAT_POST_ALTER && class == InheritsRelationId)
		refuse_detach(object, ((ObjectAccessPostAlter *) argument)->auxiliary_id);
}

/*
 * What PostgreSQL would refuse by itself, and advise to do by CASCADE.
 */
static void
refuse_object(ObjectType type, Node *name)
{
	if (type == OBJECT_EXTENSION && strcmp(strVal(name), CL_EXTENSION) == 0)
		refuse("extension", CL_EXTENSION);
	else if (type == OBJECT_SCHEMA &&
			 (strcmp(strVal(name), CL_SCHEMA) == 0 || strcmp(strVal(name), CL_INTERNAL_SCHEMA) == 0))
		refuse("schema", strVal(name));
	else if (type == OBJECT_TABLE || type == OBJECT_SEQUENCE || type == OBJECT_VIEW)
	{
		Oid			relation = RangeVarGetRelid(makeRangeVarFromNameList((List *) name), NoLock, true);

		if (OidIsValid(relation))
			refuse_relation(relation);
	}
}

static void
refuse_objects(DropStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->objects)
		refuse_object(statement->removeType, (Node *) lfirst(cell));
}

/*
 * An unlogged table is empty after a crash.
 */
static void
refuse_unlogged(AlterTableStmt *statement)
{
	Oid			relation = RangeVarGetRelid(statement->relation, NoLock, true);
	ListCell   *cell;

	foreach(cell, statement->cmds)
	{
		if (lfirst_node(AlterTableCmd, cell)->subtype == AT_SetUnLogged && OidIsValid(relation))
			refuse_relation(relation);
	}
}

static void
refuse_statement(Node *statement)
{
	if (statement == NULL)
		return;
	if (IsA(statement, DropStmt))
		refuse_objects((DropStmt *) statement);
	else if (IsA(statement, AlterTableStmt))
		refuse_unlogged((AlterTableStmt *) statement);
}

PG_FUNCTION_INFO_V1(cl_refuse_drop);

/*
 * refuse_drop() → void, before a statement that may drop something.  To be
 * called at all is what matters.
 */
Datum
cl_refuse_drop(PG_FUNCTION_ARGS)
{
	ListCell   *cell;

	if (ActivePortal != NULL)
	{
		foreach(cell, ActivePortal->stmts)
			refuse_statement(lfirst_node(PlannedStmt, cell)->utilityStmt);
	}
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cl_refuse_truncate);

/*
 * Trigger of tables that nobody empties: no event trigger is fired by TRUNCATE.
 */
Datum
cl_refuse_truncate(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BY_TRUNCATE(((TriggerData *) fcinfo->context)->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cost_ledger_internal.refuse_truncate() must be fired BEFORE TRUNCATE"),
				 errhint("cost_ledger.create_ledger() attaches it; do not attach it by hand.")));
	refuse_relation(RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation));
	return PointerGetDatum(NULL);
}

void
cl_guard_init(void)
{
	DefineCustomBoolVariable("cost_ledger.allow_drop",
							 "Lets a statement drop what belongs to the ledger.",
							 "Only one of the ledger's owner, or of a superuser.",
							 &allow_drop, false, PGC_USERSET, 0, NULL, NULL, NULL);
	previous_hook = object_access_hook;
	object_access_hook = guard;
}
