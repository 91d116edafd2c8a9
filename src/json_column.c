/*-------------------------------------------------------------------------
 * json_column.c
 *	  What a client meant by what it sent as JSON.
 *
 * Typed clients send JSON's null for "nothing", and drivers that encode JSON
 * themselves make a string of an object that was text already.  Both are read
 * as what was meant.  A string with anything else in it stays what it is: to
 * refuse it, or to record it all the same, is up to its column.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "common/jsonapi.h"
#include "fmgr.h"
#include "json_column.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonfuncs.h"

/*
 * Whether it is neither object nor list, from its header: most are one of them,
 * and need not be taken out of their row for this.
 */
bool
cl_is_json_scalar(Datum json)
{
	uint32		header;

	memcpy(&header, VARDATA_ANY(PG_DETOAST_DATUM_PACKED(json)), sizeof(header));
	return (header & JB_FSCALAR) != 0;
}

/*
 * No error for what is none: a call is not lost over it.
 */
static bool
is_json(const char *sent)
{
	return pg_parse_json(cl_make_json_lexer(cstring_to_text(sent)), &nullSemAction) == JSON_SUCCESS;
}

/*
 * NULL where nothing was meant.
 */
Jsonb *
cl_unwrap_json(Jsonb *doc)
{
	JsonbValue	value;
	const char *sent;

	if (!JB_ROOT_IS_SCALAR(doc) || !JsonbExtractScalar(&doc->root, &value))
		return doc;
	if (value.type == jbvNull)
		return NULL;
	if (value.type != jbvString)
		return doc;
	sent = pnstrdup(value.val.string.val, value.val.string.len);
	sent += strspn(sent, " \t\n\r");
	if (*sent == '\0' || strcmp(sent, "null") == 0)
		return NULL;
	if (*sent != '{' || !is_json(sent))
		return doc;
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(sent)));
}

/*
 * Whether it is an object without lists and objects in it.
 */
bool
cl_is_flat_object(const Jsonb *doc)
{
	uint32		count = JB_ROOT_COUNT(doc);

	if (!JB_ROOT_IS_OBJECT(doc))
		return false;
	/* The names come first, then their values. */
	for (uint32 i = count; i < 2 * count; i++)
	{
		if (JBE_ISCONTAINER(doc->root.children[i]))
			return false;
	}
	return true;
}
