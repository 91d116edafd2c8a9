/*-------------------------------------------------------------------------
 * price_cache.c
 *	  Per-backend answer to "what did this model cost at that moment?"
 *
 * One entry per (provider, model, region, service class) asked for, loaded on
 * first use with all its versions; an entry without versions remembers that
 * there is no such card.  Any change of a price table sets a flag, and the
 * next lookup starts over: a price change costs each backend the reload of
 * the cards it uses, never of the whole list.
 *
 * Entries are read under a snapshot taken for that read, not the query's: a
 * REPEATABLE READ transaction would otherwise fill the cache with an old price
 * that stays after its end, since no further message comes.  So a call is
 * priced from the latest committed price list, in the middle of a long
 * statement too.
 *
 * A returned version stays valid until the next lookup.  The invalidation
 * callback only sets the flag; it may run inside any lock acquisition.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "price_cache.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The parts of a key, in the order of the unique index rate_card_key. */
#define KEY_PARTS 4

typedef struct CardKey
{
	const char *part[KEY_PARTS];	/* not terminated */
	int			len[KEY_PARTS];
} CardKey;

typedef struct CardEntry
{
	CardKey		key;			/* must be first */
	int			nversions;
	PriceVersion *versions;		/* by valid_from */
} CardEntry;

/*
 * Distinct names are the client's to choose, so the cache is bounded; a
 * backend that meets more starts over.
 */
#define MAX_ENTRIES 20000

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static bool cache_is_valid = false;

/* The tables whose changes end the cache's validity; set when it is loaded. */
static Oid	rate_card_oid = InvalidOid;
static Oid	price_oid = InvalidOid;
static Oid	price_line_oid = InvalidOid;

/* For people and tests who ask whether the cache works. */
static int64 cache_hits = 0;
static int64 cache_loads = 0;
static int64 cache_invalidations = 0;

static void
invalidate(Datum arg, Oid relid)
{
	/* InvalidOid means: everything. */
	if (relid == InvalidOid || relid == rate_card_oid ||
		relid == price_oid || relid == price_line_oid)
	{
		if (cache_is_valid)
			cache_invalidations++;
		cache_is_valid = false;
	}
}

void
cl_price_cache_init(void)
{
	CacheRegisterRelcacheCallback(invalidate, (Datum) 0);
}

static uint32
hash_key(const void *key, Size keysize)
{
	const CardKey *k = key;
	uint32		hash = 0;

	for (int i = 0; i < KEY_PARTS; i++)
		hash = hash_combine(hash, hash_bytes((const unsigned char *) k->part[i], k->len[i]));
	return hash;
}

static int
compare_keys(const void *a, const void *b, Size keysize)
{
	const CardKey *ka = a;
	const CardKey *kb = b;

	for (int i = 0; i < KEY_PARTS; i++)
	{
		if (ka->len[i] != kb->len[i] ||
			memcmp(ka->part[i], kb->part[i], ka->len[i]) != 0)
			return 1;
	}
	return 0;
}

/*
 * OID of a relation of the ledger, found by name each time the cache starts:
 * the ledger may have been dropped and made again.
 */
static Oid
ledger_relation(const char *name)
{
	Oid			schema = get_namespace_oid(CL_SCHEMA, true);
	Oid			relation = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no ledger in this database"),
				 errhint("Run SELECT cost_ledger.create_ledger();")));
	return relation;
}

static void
start_cache(void)
{
	HASHCTL		control = {0};

	cache = NULL;
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "cost_ledger prices",
											  ALLOCSET_DEFAULT_SIZES);
	else
		MemoryContextReset(cache_context);

	rate_card_oid = ledger_relation("rate_card");
	price_oid = ledger_relation("price");
	price_line_oid = ledger_relation("price_line");

	control.keysize = sizeof(CardKey);
	control.entrysize = sizeof(CardEntry);
	control.hash = hash_key;
	control.match = compare_keys;
	control.hcxt = cache_context;
	cache = hash_create("cost_ledger price cards", 64, &control,
						HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

static int
attribute(Relation relation, const char *name)
{
	AttrNumber	number = get_attnum(RelationGetRelid(relation), name);

	if (number == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist",
						name, RelationGetRelationName(relation)),
				 errhint("The ledger's own columns must keep their names.")));
	return number;
}

static Datum
fetch(Relation relation, HeapTuple tuple, const char *name, bool *isnull)
{
	Datum		value = heap_getattr(tuple, attribute(relation, name),
									 RelationGetDescr(relation), isnull);

	return value;
}

static int64
fetch_int64(Relation relation, HeapTuple tuple, const char *name)
{
	bool		isnull;

	return DatumGetInt64(fetch(relation, tuple, name, &isnull));
}

/*
 * Reads the lines of a version and puts their rates on one scale.
 */
static void
load_lines(Relation price_line, Snapshot snapshot, PriceVersion *version)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			allocated = 8;

	version->lines = palloc(allocated * sizeof(PriceLine));
	ScanKeyInit(&key, attribute(price_line, "price_id"),
				BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(version->price_id));
	scan = systable_beginscan(price_line, ledger_relation("price_line_pkey"), true,
							  snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		PriceLine  *line;
		Fixed		rate;
		bool		isnull;

		if (version->nlines == allocated)
		{
			allocated *= 2;
			version->lines = repalloc(version->lines, allocated * sizeof(PriceLine));
		}
		line = &version->lines[version->nlines++];
		memset(line, 0, sizeof(PriceLine));
		line->meter = TextDatumGetCString(fetch(price_line, tuple, "meter", &isnull));
		line->unit_price = DatumGetNumericCopy(fetch(price_line, tuple, "unit_price", &isnull));
		line->per = fetch_int64(price_line, tuple, "per");
		for (int64 per = line->per; per >= 10; per /= 10)
			line->per_digits++;

		line->is_fixed = cl_fixed_from_numeric(line->unit_price, &rate) &&
			rate.scale + line->per_digits <= FIXED_MAX_SCALE;
		if (line->is_fixed)
		{
			line->rate = rate.mantissa;
			/* for the moment, the scale of this line alone */
			version->scale = Max(version->scale, rate.scale + line->per_digits);
		}
	}
	systable_endscan(scan);

	for (int i = 0; i < version->nlines; i++)
	{
		PriceLine  *line = &version->lines[i];
		int			meter = cl_token_meter_by_name(line->meter, strlen(line->meter));

		if (meter >= 0)
			version->token_lines[meter] = line;
		if (line->is_fixed)
		{
			Fixed		rate;

			(void) cl_fixed_from_numeric(line->unit_price, &rate);
			rate.scale += line->per_digits;
			line->is_fixed = cl_fixed_rescale(&rate, version->scale);
			line->rate = rate.mantissa;
		}
	}
}

static int
compare_versions(const void *a, const void *b)
{
	TimestampTz from_a = ((const PriceVersion *) a)->valid_from;
	TimestampTz from_b = ((const PriceVersion *) b)->valid_from;

	return from_a < from_b ? -1 : from_a > from_b ? 1 : 0;
}

/*
 * Reads one card with all its versions and lines.
 */
static void
load_card(const CardKey *key, CardEntry *entry)
{
	static const char *const columns[KEY_PARTS] = {
		"provider", "model", "region", "service_class"
	};
	Relation	rate_card = table_open(rate_card_oid, AccessShareLock);
	Relation	price = table_open(price_oid, AccessShareLock);
	Relation	price_line = table_open(price_line_oid, AccessShareLock);
	Snapshot	snapshot;
	ScanKeyData keys[KEY_PARTS];
	SysScanDesc scan;
	HeapTuple	tuple;
	int64		card_id = 0;
	int			allocated = 4;
	bool		isnull;

	/*
	 * Taken after the locks: whatever invalidation they delivered is within
	 * it, and whatever commits later sets the flag again.
	 */
	snapshot = RegisterSnapshot(GetCatalogSnapshot(price_oid));

	for (int i = 0; i < KEY_PARTS; i++)
	{
		AttrNumber	number = attribute(rate_card, columns[i]);

		ScanKeyInit(&keys[i], number, BTEqualStrategyNumber, F_TEXTEQ,
					PointerGetDatum(cstring_to_text_with_len(key->part[i], key->len[i])));
		keys[i].sk_collation = TupleDescAttr(RelationGetDescr(rate_card), number - 1)->attcollation;
	}
	scan = systable_beginscan(rate_card, ledger_relation("rate_card_key"), true,
							  snapshot, KEY_PARTS, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		card_id = fetch_int64(rate_card, tuple, "card_id");
	systable_endscan(scan);

	if (card_id != 0)
	{
		entry->versions = palloc(allocated * sizeof(PriceVersion));
		ScanKeyInit(&keys[0], attribute(price, "card_id"),
					BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(card_id));
		scan = systable_beginscan(price, ledger_relation("price_card"), true,
								  snapshot, 1, keys);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			PriceVersion version = {0};
			Datum		valid_to;

			version.price_id = fetch_int64(price, tuple, "price_id");
			version.valid_from = DatumGetTimestampTz(fetch(price, tuple, "valid_from", &isnull));
			valid_to = fetch(price, tuple, "valid_to", &isnull);
			version.valid_to = isnull ? DT_NOEND : DatumGetTimestampTz(valid_to);
			if (version.valid_to <= version.valid_from)
				continue;		/* withdrawn */
			version.currency = TextDatumGetCString(fetch(price, tuple, "currency", &isnull));
			load_lines(price_line, snapshot, &version);

			if (entry->nversions == allocated)
			{
				allocated *= 2;
				entry->versions = repalloc(entry->versions, allocated * sizeof(PriceVersion));
			}
			entry->versions[entry->nversions++] = version;
		}
		systable_endscan(scan);
		qsort(entry->versions, entry->nversions, sizeof(PriceVersion), compare_versions);
	}

	UnregisterSnapshot(snapshot);
	table_close(price_line, AccessShareLock);
	table_close(price, AccessShareLock);
	table_close(rate_card, AccessShareLock);
}

/*
 * The entry of a card, loaded if need be.
 */
static CardEntry *
lookup_card(const CardKey *key)
{
	CardEntry  *entry;
	CardEntry	loaded = {0};
	MemoryContext old;

	if (cache_is_valid)
	{
		entry = hash_search(cache, key, HASH_FIND, NULL);
		if (entry)
		{
			cache_hits++;
			return entry;
		}
	}

	if (!cache_is_valid || hash_get_num_entries(cache) >= MAX_ENTRIES)
	{
		cache_is_valid = false;
		start_cache();

		/*
		 * Valid from before the first read: a message that comes during one
		 * must not be forgotten by setting the flag after it.
		 */
		cache_is_valid = true;
	}

	/*
	 * Loaded aside and entered when complete, so that an error leaves no
	 * half-read card behind.
	 */
	old = MemoryContextSwitchTo(cache_context);
	load_card(key, &loaded);
	for (int i = 0; i < KEY_PARTS; i++)
	{
		char	   *copy = palloc(key->len[i] + 1);

		memcpy(copy, key->part[i], key->len[i]);
		loaded.key.part[i] = copy;
		loaded.key.len[i] = key->len[i];
	}
	entry = hash_search(cache, &loaded.key, HASH_ENTER, NULL);
	*entry = loaded;
	MemoryContextSwitchTo(old);
	cache_loads++;
	return entry;
}

/*
 * The version of a card in force at a moment, or NULL.
 */
static const PriceVersion *
version_at(const CardEntry *entry, TimestampTz at)
{
	int			low = 0;
	int			high = entry->nversions;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (entry->versions[middle].valid_from <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0 && at < entry->versions[low - 1].valid_to)
		return &entry->versions[low - 1];
	return NULL;
}

/*
 * The price in force for a call: of its region, else of any region.  NULL when
 * there is none.  The result is valid until the next lookup.
 */
const PriceVersion *
cl_price_cache_lookup(const char *provider, int provider_len,
					  const char *model, int model_len,
					  const char *region, int region_len,
					  const char *service_class, int class_len,
					  TimestampTz at)
{
	CardKey		key = {
		{provider, model, region, service_class},
		{provider_len, model_len, region_len, class_len}
	};
	const PriceVersion *version = NULL;

	/* A long COPY takes no locks, and must hear of a new price all the same. */
	AcceptInvalidationMessages();

	if (region_len > 0)
		version = version_at(lookup_card(&key), at);
	if (version == NULL)
	{
		key.part[2] = "";
		key.len[2] = 0;
		version = version_at(lookup_card(&key), at);
	}
	return version;
}

/*
 * The cache reads the price tables for whoever inserts a call.  Functions that
 * show prices to their caller ask first.
 */
void
cl_price_check_read_access(void)
{
	static const char *const tables[] = {"rate_card", "price", "price_line"};

	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		AclResult	result = pg_class_aclcheck(ledger_relation(tables[i]),
											   GetUserId(), ACL_SELECT);

		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_TABLE, tables[i]);
	}
}

PG_FUNCTION_INFO_V1(cl_price_changed);

/*
 * Row trigger on the price tables: tells every backend, at commit, that
 * prices have changed; this one at once, and again if it is rolled back.
 */
Datum
cl_price_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cost_ledger._price_changed() must be fired AFTER ROW"),
				 errhint("cost_ledger.create_ledger() attaches it; do not attach it by hand.")));

	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);
}

PG_FUNCTION_INFO_V1(cl_price_cache_status);

/*
 * _price_cache_status(OUT hits bigint, OUT loads bigint, OUT invalidations
 * bigint, OUT entries bigint)
 */
Datum
cl_price_cache_status(PG_FUNCTION_ARGS)
{
	TupleDesc	descriptor;
	Datum		values[4];
	bool		nulls[4] = {0};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(cache_hits);
	values[1] = Int64GetDatum(cache_loads);
	values[2] = Int64GetDatum(cache_invalidations);
	values[3] = Int64GetDatum(cache_is_valid ? hash_get_num_entries(cache) : 0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}
