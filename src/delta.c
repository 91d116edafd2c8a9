/*-------------------------------------------------------------------------
 * delta.c
 *	  What a batch of calls adds to the rollups, in memory: its hash tables.
 *
 * All of a delta is in one memory context, and goes with it.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "common/hashfn.h"
#include "delta.h"
#include "numeric_parts.h"
#include "utils/memutils.h"

typedef struct Bytes
{
	const char *data;
	int			len;
} Bytes;

typedef struct BytesEntry
{
	Bytes		bytes;
	void	   *found;
	uint32		hash;
	char		status;
} BytesEntry;

#define SH_PREFIX bytes
#define SH_ELEMENT_TYPE BytesEntry
#define SH_KEY_TYPE Bytes
#define SH_KEY bytes
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key).data, (key).len)
#define SH_EQUAL(table, a, b) ((a).len == (b).len && memcmp((a).data, (b).data, (a).len) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define FIRST_SIZE 64

Table
cl_make_table(MemoryContext context)
{
	Table		table = {.hash = bytes_create(context, FIRST_SIZE, NULL), .context = context};

	return table;
}

uint32
cl_table_size(const Table *table)
{
	return table->hash->members;
}

/*
 * All that a table holds, in no order.
 */
void **
cl_table_entries(const Table *table)
{
	void	  **entries = MemoryContextAllocHuge(table->context, Max(table->hash->members, 1) * sizeof(void *));
	void	  **next = entries;
	BytesEntry *entry;
	bytes_iterator iterator;

	bytes_start_iterate(table->hash, &iterator);
	while ((entry = bytes_iterate(table->hash, &iterator)) != NULL)
		*next++ = entry->found;
	return entries;
}

/*
 * What a table holds under a key: new, all zero, of so many bytes, where it was
 * not there.  The key is copied.
 */
void *
cl_find_bytes(Table *table, const char *key, int len, Size size, bool *is_new)
{
	Bytes		bytes = {.data = key, .len = len};
	bool		found;
	BytesEntry *entry = bytes_insert(table->hash, bytes, &found);

	*is_new = !found;
	if (!found)
	{
		char	   *copy = MemoryContextAllocZero(table->context, MAXALIGN(size) + Max(len, 1));

		memcpy(copy + MAXALIGN(size), key, len);
		entry->bytes.data = copy + MAXALIGN(size);
		entry->found = copy;
	}
	return entry->found;
}

/*
 * What a table holds under a key; NULL for nothing.
 */
void *
cl_known_bytes(const Table *table, const char *key, int len)
{
	Bytes		bytes = {.data = key, .len = len};
	BytesEntry *entry = bytes_lookup(table->hash, bytes);

	return entry == NULL ? NULL : entry->found;
}

typedef struct PartKey
{
	int64		bucket;
	Subject    *subject;
} PartKey;

bool
cl_has_part(const Table *table, int64 bucket, Subject *subject)
{
	PartKey		key = {bucket, subject};

	return cl_known_bytes(table, (const char *) &key, sizeof(key)) != NULL;
}

Part *
cl_find_part(Table *table, int64 bucket, Subject *subject)
{
	PartKey		key = {bucket, subject};
	bool		is_new;
	Part	   *part = cl_find_bytes(table, (const char *) &key, sizeof(key), sizeof(Part), &is_new);

	if (is_new)
	{
		part->bucket = bucket;
		part->subject = subject;
	}
	return part;
}

/*
 * Adds up two parts of which the second is of a part of the first's calls.
 */
void
cl_add_part(Part *into, const Part *more)
{
	cl_add_measures(&into->measures, &more->measures);
	if (more->call_cost == NULL)
		return;
	if (into->call_cost == NULL)
		into->call_cost = cl_sketch_create(GetMemoryChunkContext((void *) into), SKETCH_DEFAULT_ACCURACY);
	cl_sketch_settle(more->call_cost);
	cl_sketch_merge(into->call_cost, more->call_cost);
}

/*
 * Enters the cost of a call into the summary of a part.
 */
void
cl_add_value(Part *part, MemoryContext context, Numeric value)
{
	NumericParts parts;

	if (!open_numeric((struct varlena *) value, &parts))
		return;					/* cl_money() has refused it */
	if (part->call_cost == NULL)
		part->call_cost = cl_sketch_create(context, SKETCH_DEFAULT_ACCURACY);
	cl_sketch_add_decimal(part->call_cost, parts.negative, parts.weight, parts.ndigits, parts.digits);
}
