/*-------------------------------------------------------------------------
 * budget_labels.c
 *	  Labels of a call, as budgets ask for them: their values, the keys that
 *	  budgets are found by, and the entity that a call is of.
 *
 * An entity is the value of one label as it is, or the JSON array of several.
 * Both are kept short enough for an index.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "bounds.h"
#include "budget_labels.h"
#include "catalog/pg_type.h"
#include "filter.h"
#include "fmgr.h"
#include "json_keys.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"

/* Bytes of an entity that is an array, and of each value where it has more. */
#define MAX_ENTITY_LEN	2000
#define MAX_PART_LEN	100

/*
 * As the ledger keeps it: the end gives way to an MD5.
 */
const char *
cl_shortened(const char *value, int limit)
{
	if (strlen(value) <= (size_t) limit)
		return value;
	return TextDatumGetCString(cl_shorten_datum(CStringGetTextDatum(value), limit));
}

/*
 * A model is looked up by its name in lower case.
 */
const char *
cl_label_key(const char *name, const char *value)
{
	if (strcmp(name, "model") == 0)
		value = cl_model_name(value);
	return psprintf("%s=%s", name, cl_shortened(value, MAX_ID_LEN));
}

/*
 * What the model of a call is looked up by besides its name, or NULL.
 */
const char *
cl_undated_key(const char *model)
{
	char	   *undated = cl_undated_model(model);

	return strlen(undated) == strlen(model) ? NULL : cl_label_key("model", undated);
}

/*
 * As kept_label() has it.
 */
static const char *
kept_value(const char *name, const char *value)
{
	bool		is_id = strcmp(name, "run_id") == 0 || strcmp(name, "session_id") == 0 ||
		strcmp(name, "user_id") == 0 || strcmp(name, "parent_run_id") == 0;

	return cl_shortened(value, is_id ? MAX_ID_LEN : MAX_LABEL_LEN);
}

/*
 * Sets a label; none and the empty one are not there.
 */
void
cl_set_label(BudgetLabels *labels, const char *name, const char *value)
{
	int			i = 0;

	if (value == NULL || value[0] == '\0')
		return;
	while (i < labels->n && strcmp(labels->label[i].name, name) != 0)
		i++;
	if (i == labels->n)
		labels->n++;
	labels->label[i].name = name;
	labels->label[i].value = kept_value(name, value);
	labels->label[i].key = cl_label_key(name, labels->label[i].value);
}

/*
 * The value of a label, or NULL.
 */
const char *
cl_label_value(const BudgetLabels *labels, const char *name)
{
	const char *tag;

	for (int i = 0; i < labels->n; i++)
	{
		if (strcmp(labels->label[i].name, name) == 0)
			return labels->label[i].value;
	}
	if (labels->tags == NULL)
		return NULL;
	tag = cl_tag_name(name);
	if (tag != NULL)
		return cl_json_label(&labels->tags->root, tag);
	/* Whether there are any. */
	return strcmp(name, "tags") == 0 ? "{}" : NULL;
}

const char *
cl_said_of_call(const void *labels, const char *name)
{
	return cl_label_value(labels, name);
}

static char *
array_of(const char *const *values, int nvalues, int limit)
{
	StringInfoData array;

	initStringInfo(&array);
	for (int i = 0; i < nvalues; i++)
	{
		appendStringInfoString(&array, i == 0 ? "[" : ", ");
		escape_json(&array, cl_shortened(values[i], limit));
	}
	appendStringInfoChar(&array, ']');
	return array.data;
}

/*
 * The entity of values; NULL where one of them is missing.
 */
static const char *
entity_of(const char *const *values, int nvalues)
{
	char	   *array;

	for (int i = 0; i < nvalues; i++)
	{
		if (values[i] == NULL || values[i][0] == '\0')
			return NULL;
	}
	if (nvalues == 0)
		return "";
	if (nvalues == 1)
		return cl_shortened(values[0], MAX_ID_LEN);
	array = array_of(values, nvalues, MAX_ID_LEN);
	return strlen(array) <= MAX_ENTITY_LEN ? array : array_of(values, nvalues, MAX_PART_LEN);
}

const char *
cl_budget_entity(char *const *names, int nnames, const BudgetLabels *labels)
{
	const char **values = palloc(Max(nnames, 1) * sizeof(char *));

	for (int i = 0; i < nnames; i++)
		values[i] = cl_label_value(labels, names[i]);
	return entity_of(values, nnames);
}

PG_FUNCTION_INFO_V1(cl_entity_of_labels);

/*
 * entity_of(each_of text[], labels jsonb) → text
 */
Datum
cl_entity_of_labels(PG_FUNCTION_ARGS)
{
	Datum	   *names;
	int			nnames;
	const char **values;
	const char *entity;

	if (!JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(1)))
		PG_RETURN_NULL();
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &nnames);
	values = palloc(Max(nnames, 1) * sizeof(char *));
	for (int i = 0; i < nnames; i++)
		values[i] = cl_said_in_json(PG_GETARG_JSONB_P(1), TextDatumGetCString(names[i]));
	entity = entity_of(values, nnames);
	if (entity == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(entity));
}

static ArrayBuildState *
add_key(ArrayBuildState *keys, const char *key)
{
	return accumArrayResult(keys, CStringGetTextDatum(key), false, TEXTOID, CurrentMemoryContext);
}

static ArrayBuildState *
add_keys(ArrayBuildState *keys, JsonbContainer *object, const char *before)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&it, &name, true)) != WJB_DONE)
	{
		const char *said;

		if (token != WJB_KEY)
			continue;
		JsonbIteratorNext(&it, &value, true);
		said = value.type == jbvBinary ? NULL : cl_json_label(object, pnstrdup(name.val.string.val, name.val.string.len));
		if (said != NULL)
			keys = add_key(keys, cl_label_key(psprintf("%s%.*s", before, name.val.string.len, name.val.string.val), said));
	}
	return keys;
}

PG_FUNCTION_INFO_V1(cl_budget_keys);

/*
 * budget_keys(labels jsonb) → text[]
 */
Datum
cl_budget_keys(PG_FUNCTION_ARGS)
{
	Jsonb	   *labels = PG_GETARG_JSONB_P(0);
	JsonbValue	buffer;
	JsonbContainer *tags;
	ArrayBuildState *keys = add_key(NULL, "");
	const char *model;
	const char *undated;

	if (!JB_ROOT_IS_OBJECT(labels))
		PG_RETURN_DATUM(makeArrayResult(keys, CurrentMemoryContext));
	tags = json_object_of(json_value(&labels->root, "tags", &buffer));
	model = cl_json_label(&labels->root, "model");
	undated = model ? cl_undated_key(model) : NULL;
	keys = add_keys(keys, &labels->root, "");
	if (undated != NULL)
		keys = add_key(keys, undated);
	if (tags != NULL)
		keys = add_keys(keys, tags, "tags.");
	PG_RETURN_DATUM(makeArrayResult(keys, CurrentMemoryContext));
}
