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
 * What it is, from its header: it need not be taken out of its row for this.
 */
static uint32
header_of(Datum json)
{
	uint32		header;

	memcpy(&header, VARDATA_ANY(PG_DETOAST_DATUM_PACKED(json)), sizeof(header));
	return header;
}

/*
 * Whether it is neither object nor list.
 */
bool
cl_is_json_scalar(Datum json)
{
	return (header_of(json) & JB_FSCALAR) != 0;
}

/*
 * Whether it is an object that says nothing.
 */
bool
cl_is_empty_object(Datum json)
{
	return (header_of(json) & (JB_FOBJECT | JB_CMASK)) == JB_FOBJECT;
}

/* Beyond these a text stays a text: nobody's usage or tags are like that. */
#define MAX_SENT_DEPTH 100
#define MAX_SENT_NUMBER_LEN 1000
#define MAX_SENT_EXPONENT_LEN 4

/*
 * Whether jsonb can hold a number, for it would be an error if not.
 */
static JsonAction
note_number(void *state, char *token, JsonTokenType type)
{
	char	   *exponent;

	if (type == JSON_TOKEN_NUMBER)
	{
		exponent = token + strcspn(token, "eE");
		if (exponent - token > MAX_SENT_NUMBER_LEN ||
			strlen(exponent) > MAX_SENT_EXPONENT_LEN + 1)
			*(bool *) state = false;
	}
	JSON_ACTION_DONE;
}

/*
 * Whether lists and objects are not so deep in each other that to read them is
 * an error.
 */
static bool
is_shallow(const char *sent)
{
	int			depth = 0;
	bool		in_text = false;

	for (; *sent; sent++)
	{
		if (in_text && *sent == '\\' && sent[1])
			sent++;
		else if (*sent == '"')
			in_text = !in_text;
		else if (in_text)
			continue;
		else if ((*sent == '{' || *sent == '[') && ++depth > MAX_SENT_DEPTH)
			return false;
		else if (*sent == '}' || *sent == ']')
			depth--;
	}
	return true;
}

/*
 * No error for what is none: a call is not lost over it.
 */
static bool
is_json(const char *sent)
{
	bool		is_good = true;
	JsonSemAction actions = {.semstate = &is_good, .scalar = note_number};

	return is_shallow(sent) &&
		pg_parse_json(cl_make_json_lexer(cstring_to_text(sent)), &actions) == JSON_SUCCESS &&
		is_good;
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
