/*-------------------------------------------------------------------------
 * filter.c
 *	  Which calls are meant: what passes a filter.
 *
 * A filter is read from the one spelling that check_filter() has given it; what
 * labels say, whoever has them answers.  For calls that are rows the same is
 * said in SQL by call_condition(), and the tests run filters through both.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "catalog/pg_type.h"
#include "filter.h"
#include "fmgr.h"
#include "json_keys.h"
#include "utils/array.h"
#include "utils/builtins.h"

/*
 * A value of JSON as a text, as ->> has it; NULL for null.
 */
static char *
json_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return NULL;
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
	}
}

const char *
cl_json_label(JsonbContainer *object, const char *name)
{
	JsonbValue	buffer;
	JsonbValue *value = json_value(object, name, &buffer);

	return value ? json_text(value) : NULL;
}

/*
 * The name of the tag that a label is, or NULL.
 */
const char *
cl_tag_name(const char *label)
{
	return strncmp(label, "tags.", 5) == 0 ? label + 5 : NULL;
}

/*
 * A name as a filter writes it: with a star at its end it is a beginning, and a
 * star that is meant has a backslash before it.
 */
static void
read_value(FilterValue *value, const JsonbValue *json)
{
	char	   *text = json_text(json);
	char	   *end = text;

	value->text = text;
	value->is_beginning = false;
	for (char *at = text; at && *at; at++)
	{
		if (at[0] == '\\' && at[1] == '*')
			*end++ = *++at;
		else if (at[0] == '*' && at[1] == '\0')
			value->is_beginning = true;
		else
			*end++ = *at;
	}
	if (text)
		*end = '\0';
}

static void
read_condition(FilterCondition *condition, const JsonbValue *label, JsonbValue *wanted)
{
	JsonbValue	buffer;
	JsonbContainer *object = json_object_of(wanted);
	JsonbContainer *list;

	condition->label = pnstrdup(label->val.string.val, label->val.string.len);
	condition->is_not = object != NULL;
	if (object)
		wanted = json_value(object, "not", &buffer);
	list = json_array_of(wanted);
	condition->nvalues = list ? (int) JsonContainerSize(list) : wanted ? 1 : 0;
	condition->value = palloc(Max(condition->nvalues, 1) * sizeof(FilterValue));
	for (int i = 0; i < condition->nvalues; i++)
		read_value(condition->value + i, list ? getIthJsonbValueFromContainer(list, i) : wanted);
}

Filter *
cl_read_filter(Jsonb *json)
{
	Filter	   *filter = palloc0(sizeof(Filter));
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	label;
	JsonbValue	wanted;

	filter->condition = palloc(Max(JB_ROOT_COUNT(json), 1) * sizeof(FilterCondition));
	while ((token = JsonbIteratorNext(&it, &label, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		JsonbIteratorNext(&it, &wanted, true);
		read_condition(filter->condition + filter->nconditions++, &label, &wanted);
	}
	return filter;
}

/*
 * A model's name in lower case.
 */
char *
cl_model_name(const char *model)
{
	char	   *name = pstrdup(model);

	for (char *at = name; *at; at++)
		*at = pg_ascii_tolower((unsigned char) *at);
	return name;
}

/*
 * The length of what stands for a date at the end of a name, or 0.
 */
static int
date_length(const char *name, int len)
{
	static const char *const forms[] = {"-########", "-####-##-##", "@########", "@default", "-latest"};

	for (int i = 0; i < (int) lengthof(forms); i++)
	{
		int			form_len = strlen(forms[i]);
		bool		is_form = len > form_len;

		for (int n = 0; n < form_len && is_form; n++)
		{
			char		at = name[len - form_len + n];

			is_form = forms[i][n] == '#' ? at >= '0' && at <= '9' : at == forms[i][n];
		}
		if (is_form)
			return form_len;
	}
	return 0;
}

/*
 * A model's name in lower case, and without its date: that of its rate card,
 * where there is none of the dated name.
 */
char *
cl_undated_model(const char *model)
{
	char	   *name = cl_model_name(model);
	char	   *end = strrchr(name, ':');
	int			len;
	int			date_len;

	/* A variant comes after the date. */
	if (end == NULL || end[1] == '\0' || strspn(end + 1, "abcdefghijklmnopqrstuvwxyz") != strlen(end + 1))
		end = name + strlen(name);
	len = end - name;
	date_len = date_length(name, len);
	memmove(end - date_len, end, strlen(end) + 1);
	return name;
}

static bool
is_said(const FilterValue *value, const char *said)
{
	if (value->text == NULL || said == NULL)
		return value->text == NULL && said == NULL;
	if (value->is_beginning)
		return strncmp(said, value->text, strlen(value->text)) == 0;
	return strcmp(said, value->text) == 0;
}

/*
 * A model goes by its name in any case, and by its name without a date.
 */
static bool
is_model(const FilterValue *value, const char *model)
{
	FilterValue wanted = *value;

	if (value->text == NULL || model == NULL)
		return is_said(value, model);
	wanted.text = cl_model_name(value->text);
	return is_said(&wanted, cl_model_name(model)) || is_said(&wanted, cl_undated_model(model));
}

bool
cl_passes_filter(const Filter *filter, LabelSaid said, const void *labels)
{
	for (int i = 0; i < filter->nconditions; i++)
	{
		const FilterCondition *condition = filter->condition + i;
		const char *value = said(labels, condition->label);
		bool		is_of_model = strcmp(condition->label, "model") == 0;
		bool		is_one = false;

		for (int n = 0; n < condition->nvalues && !is_one; n++)
			is_one = is_of_model ? is_model(condition->value + n, value) : is_said(condition->value + n, value);
		if (is_one == condition->is_not)
			return false;
	}
	return true;
}

/*
 * What labels that are JSON say: tags are an object among them.
 */
const char *
cl_said_in_json(const void *labels, const char *label)
{
	Jsonb	   *json = unconstify(Jsonb *, (const Jsonb *) labels);
	const char *tag = cl_tag_name(label);
	JsonbValue	buffer;
	JsonbContainer *tags;

	if (tag == NULL)
		return cl_json_label(&json->root, label);
	tags = json_object_of(json_value(&json->root, "tags", &buffer));
	return tags ? cl_json_label(tags, tag) : NULL;
}

PG_FUNCTION_INFO_V1(cl_matches_filter);

/*
 * matches_filter(labels jsonb, filter jsonb) → boolean
 */
Datum
cl_matches_filter(PG_FUNCTION_ARGS)
{
	Jsonb	   *labels = PG_GETARG_JSONB_P(0);
	Jsonb	   *filter = PG_GETARG_JSONB_P(1);

	if (!JB_ROOT_IS_OBJECT(labels) || !JB_ROOT_IS_OBJECT(filter))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(cl_passes_filter(cl_read_filter(filter), cl_said_in_json, labels));
}

static bool
is_among(const char *name, Datum *names, int nnames)
{
	for (int i = 0; i < nnames; i++)
	{
		if (strcmp(name, TextDatumGetCString(names[i])) == 0)
			return true;
	}
	return false;
}

/*
 * Whether a filter lets nothing pass but what says one of these names: they are
 * listed, there is one at least, and none of them is a beginning.
 */
static bool
names_only(const Filter *filter, const char *label, ArrayType *array)
{
	Datum	   *names;
	int			nnames;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &nnames);
	for (int i = 0; i < filter->nconditions; i++)
	{
		const FilterCondition *condition = filter->condition + i;
		bool		are_theirs = !condition->is_not && condition->nvalues > 0;

		if (strcmp(condition->label, label) != 0)
			continue;
		for (int n = 0; n < condition->nvalues && are_theirs; n++)
			are_theirs = condition->value[n].text != NULL && !condition->value[n].is_beginning &&
				is_among(condition->value[n].text, names, nnames);
		return are_theirs;
	}
	return false;
}

PG_FUNCTION_INFO_V1(cl_is_own_scope);

/*
 * is_own_scope(scope jsonb, teams text[], customers text[]) → boolean
 */
Datum
cl_is_own_scope(PG_FUNCTION_ARGS)
{
	Jsonb	   *scope = PG_GETARG_JSONB_P(0);
	Filter	   *filter;

	if (!JB_ROOT_IS_OBJECT(scope))
		PG_RETURN_BOOL(false);
	filter = cl_read_filter(scope);
	PG_RETURN_BOOL(names_only(filter, "team", PG_GETARG_ARRAYTYPE_P(1)) ||
				   names_only(filter, "customer", PG_GETARG_ARRAYTYPE_P(2)));
}
