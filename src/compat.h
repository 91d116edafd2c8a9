/*-------------------------------------------------------------------------
 * compat.h
 *	  Every PG_VERSION_NUM test of cost_ledger, for PostgreSQL 15 to 18.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_COMPAT_H
#define COST_LEDGER_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "cost_ledger needs PostgreSQL 15 or later"
#endif

/* varatt.h was split off postgres.h in 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* pg_noreturn, before the declaration, replaced pg_attribute_noreturn() in 18. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* One object_aclcheck() replaced a function for each kind in 16; acl.h is the caller's. */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_namespace.h"
#define cl_may_use_schema(schema, role) \
	(object_aclcheck(NamespaceRelationId, (schema), (role), ACL_USAGE) == ACLCHECK_OK)
#else
#define cl_may_use_schema(schema, role) \
	(pg_namespace_aclcheck((schema), (role), ACL_USAGE) == ACLCHECK_OK)
#endif

/* The caller may bring the memory of a lexer since 17. */
#if PG_VERSION_NUM >= 170000
#define cl_make_json_lexer(json) makeJsonLexContext(NULL, (json), true)
#else
#define cl_make_json_lexer(json) makeJsonLexContext((json), true)
#endif

/* What is called at each part of a JSON text may stop its reading since 16. */
#if PG_VERSION_NUM >= 160000
#define JsonAction JsonParseErrorType
#define JSON_ACTION_DONE return JSON_SUCCESS
#else
#define JsonAction void
#define JSON_ACTION_DONE return
#endif

/* What the executor is told of indexes has grown: summarizing ones in 16, the
 * row itself and what EXPLAIN counts in 18. */
#if PG_VERSION_NUM >= 160000
#define CLUpdatedIndexes TU_UpdateIndexes
#define cl_needs_indexes(updated) ((updated) != TU_None)
#define cl_needs_summaries_only(updated) ((updated) == TU_Summarizing)
#define cl_insert_index_tuples ExecInsertIndexTuples
#else
#define CLUpdatedIndexes bool
#define cl_needs_indexes(updated) (updated)
#define cl_needs_summaries_only(updated) false
#define cl_insert_index_tuples(target, row, estate, update, no_error, conflict, arbiter, summaries_only) \
	ExecInsertIndexTuples(target, row, estate, update, no_error, conflict, arbiter)
#endif
#if PG_VERSION_NUM >= 180000
#define cl_index_beginscan(table, index, snapshot, nkeys) index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#define cl_check_index_constraints(target, row, estate, conflict, arbiter) \
	ExecCheckIndexConstraints(target, row, estate, conflict, &(ItemPointerData) {{0xFFFF, 0xFFFF}, 0}, arbiter)
#define cl_primary_key(table) RelationGetPrimaryKeyIndex(table, false)
#else
#define cl_index_beginscan(table, index, snapshot, nkeys) index_beginscan(table, index, snapshot, nkeys, 0)
#define cl_check_index_constraints(target, row, estate, conflict, arbiter) \
	ExecCheckIndexConstraints(target, row, estate, conflict, arbiter)
#define cl_primary_key(table) RelationGetPrimaryKeyIndex(table)
#endif

#endif							/* COST_LEDGER_COMPAT_H */
