/*-------------------------------------------------------------------------
 * json_build.h
 *	  Makes a JSON object, key by key; what is NULL is left out.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_JSON_BUILD_H
#define COST_LEDGER_JSON_BUILD_H

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

static inline void
json_put_key(JsonbParseState **state, const char *key)
{
	JsonbValue	name = {.type = jbvString};

	name.val.string.val = unconstify(char *, key);
	name.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &name);
}

static inline void
json_put_text(JsonbParseState **state, const char *key, const char *text)
{
	JsonbValue	value = {.type = jbvString};

	if (text == NULL)
		return;
	json_put_key(state, key);
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	pushJsonbValue(state, WJB_VALUE, &value);
}

static inline void
json_put_numeric(JsonbParseState **state, const char *key, Numeric amount)
{
	JsonbValue	value = {.type = jbvNumeric};

	if (amount == NULL)
		return;
	json_put_key(state, key);
	value.val.numeric = amount;
	pushJsonbValue(state, WJB_VALUE, &value);
}

static inline void
json_put_time(JsonbParseState **state, const char *key, TimestampTz time)
{
	char		text[MAXDATELEN + 1];

	if (TIMESTAMP_NOT_FINITE(time))
		return;
	JsonEncodeDateTime(text, TimestampTzGetDatum(time), TIMESTAMPTZOID, NULL);
	json_put_text(state, key, pstrdup(text));
}

static inline Datum
json_done(JsonbParseState **state)
{
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(state, WJB_END_OBJECT, NULL)));
}

#endif							/* COST_LEDGER_JSON_BUILD_H */
