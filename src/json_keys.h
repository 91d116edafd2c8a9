/*-------------------------------------------------------------------------
 * json_keys.h
 *	  Looks into a JSON document by its keys, without a copy.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_JSON_KEYS_H
#define COST_LEDGER_JSON_KEYS_H

#include "miscadmin.h"
#include "utils/jsonb.h"

/*
 * The value of a key, in the caller's buffer, or NULL.
 */
static inline JsonbValue *
json_value(JsonbContainer *object, const char *key, JsonbValue *buffer)
{
	return getKeyJsonValueFromContainer(object, key, strlen(key), buffer);
}

static inline bool
has_json_key(JsonbContainer *object, const char *key)
{
	JsonbValue	buffer;

	return json_value(object, key, &buffer) != NULL;
}

/*
 * The object that a value is, or NULL.
 */
static inline JsonbContainer *
json_object_of(const JsonbValue *value)
{
	if (value == NULL || value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		return NULL;
	return value->val.binary.data;
}

static inline JsonbContainer *
json_array_of(const JsonbValue *value)
{
	if (value == NULL || value->type != jbvBinary ||
		!JsonContainerIsArray(value->val.binary.data))
		return NULL;
	return value->val.binary.data;
}

/*
 * The next element of a list, in the caller's buffer; false after the last.
 */
static inline bool
json_next_element(JsonbIterator **it, JsonbValue *element)
{
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(it, element, true)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_ELEM)
			return true;
	}
	return false;
}

static inline JsonbContainer *
json_child(JsonbContainer *object, const char *key)
{
	JsonbValue	buffer;

	return json_object_of(json_value(object, key, &buffer));
}

/*
 * Whether a value is a word, in capitals or not.
 */
static inline bool
json_is_word(const JsonbValue *value, const char *word)
{
	return value != NULL && value->type == jbvString &&
		(int) strlen(word) == value->val.string.len &&
		pg_strncasecmp(word, value->val.string.val, value->val.string.len) == 0;
}

#endif							/* COST_LEDGER_JSON_KEYS_H */
