/*-------------------------------------------------------------------------
 * price_cache.c
 *	  Per-backend answer to "what did this model cost at that moment?"
 *
 * One entry per (provider, model, region, service class, customer) asked for,
 * filled on first use by effective_prices(), which puts together all cards,
 * versions, multipliers and exchange rates that apply, for all times.  What is
 * left for each call is a binary search by time and arithmetic.  An entry
 * without slices remembers that there is no price.
 *
 * A change of a price makes every entry suspect, since the message does not say
 * whose price it is.  A suspect entry is checked when it is next used: a
 * fingerprint of the rows it was made of tells whether it still holds, at a
 * small part of what loading costs.  So the price of one model costs a backend
 * the reload of one entry.  Changes of what may concern any model (multipliers,
 * exchange rates, aliases) are rare, and drop all entries.
 *
 * Entries are read under a snapshot taken for that read, not the query's: a
 * REPEATABLE READ transaction would otherwise fill the cache with an old price
 * that stays after its end, since no further message comes.  So a call is
 * priced from the latest committed price list, in the middle of a long
 * statement too.
 *
 * A returned slice stays valid until the next lookup.  The invalidation
 * callback only counts or sets a flag; it may run inside any lock acquisition.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger.h"
#include "miscadmin.h"
#include "price_cache.h"
#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/datetime.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The parts of a key. */
#define KEY_PARTS 5
#define PROVIDER_PART 0
#define MODEL_PART 1
#define REGION_PART 2
#define CLASS_PART 3
#define CUSTOMER_PART 4

/*
 * The parts one after the other, so that one comparison does; where each ends
 * tells them apart.
 */
typedef struct EntryKey
{
	int			end[KEY_PARTS];
	const char *bytes;
} EntryKey;

/* The columns of find_rate_cards(), from 0. */
typedef enum FoundColumn
{
	FOUND_PROVIDER,
	FOUND_MODEL,
	FOUND_RULE,
	FOUND_CUSTOMERS,
	FOUND_VAIN_KEYS,
	FOUND_VAIN_PROVIDER,
	FOUND_VAIN_MODEL
} FoundColumn;

#define NUM_FOUND_COLUMNS ((int) FOUND_VAIN_MODEL + 1)

/* Why there is no price in a span of time. */
typedef struct UnpricedSpan
{
	TimestampTz from;
	TimestampTz to;
	Unpriced	why;
} UnpricedSpan;

typedef struct CacheEntry
{
	EntryKey	key;			/* must be first */
	MemoryContext memory;		/* of all it points to */
	uint64		generation;		/* of the prices when last found to hold */
	Datum		found[NUM_FOUND_COLUMNS];	/* where its prices are */
	char		is_null[NUM_FOUND_COLUMNS];
	uint64		fingerprint;	/* of the rows it was made of */
	bool		has_customers;	/* some customer has prices of its own */
	int			nslices;
	TimestampTz *starts;		/* from of each slice, close together */
	PriceSlice *slices;			/* by from */
	MemoryContext why_memory;	/* of what follows; NULL while nobody asked */
	uint64		why_generation;
	int			nwhys;
	UnpricedSpan *whys;			/* in the order in which they were asked for */
} CacheEntry;

/*
 * Distinct names, and how long they are, are the client's to choose, so the
 * cache is bounded; a backend that meets more starts over.  Some ten thousand
 * entries fit, which take seconds to load: who uses so many has other troubles.
 */
#define MAX_CACHE_SIZE ((Size) 32 * 1024 * 1024)

/*
 * What a price is made of.  The rows of the first ones that concern an entry
 * are in its fingerprint; a change of any of the others ends the cache.
 */
static const char *const price_tables[] = {
	"rate_card", "price", "price_line", "price_multiplier", "exchange_rate",
	"model_alias"
};

#define NUM_PRICE_TABLES ((int) lengthof(price_tables))
#define NUM_FINGERPRINT_TABLES 3

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static bool cache_is_valid = false;
static Size entries_size = 0;	/* memory of all entries */
static uint64 generation = 0;	/* counts the changes that make entries suspect */
static Oid	price_table_oids[NUM_PRICE_TABLES];	/* set when the cache starts */

/* For people and tests who ask whether the cache works. */
static int64 cache_hits = 0;
static int64 cache_loads = 0;
static int64 cache_checks = 0;
static int64 cache_invalidations = 0;

static void
invalidate(Datum arg, Oid relid)
{
	/* InvalidOid means: everything. */
	bool		ends_cache = relid == InvalidOid;
	bool		is_price = false;

	if (!cache_is_valid)
		return;
	for (int i = 0; i < NUM_PRICE_TABLES; i++)
	{
		if (relid != price_table_oids[i])
			continue;
		if (i < NUM_FINGERPRINT_TABLES)
			is_price = true;
		else
			ends_cache = true;
	}
	if (ends_cache)
		cache_is_valid = false;
	else if (is_price)
		generation++;
	else
		return;
	cache_invalidations++;
}

void
cl_price_cache_init(void)
{
	CacheRegisterRelcacheCallback(invalidate, (Datum) 0);
}

static uint32
hash_key(const void *key, Size keysize)
{
	const EntryKey *k = key;

	return hash_bytes((const unsigned char *) k->bytes, k->end[KEY_PARTS - 1]);
}

static int
compare_keys(const void *a, const void *b, Size keysize)
{
	const EntryKey *ka = a;
	const EntryKey *kb = b;

	return memcmp(ka->end, kb->end, sizeof(ka->end)) != 0 ||
		memcmp(ka->bytes, kb->bytes, ka->end[KEY_PARTS - 1]) != 0;
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
	entries_size = 0;

	for (int i = 0; i < NUM_PRICE_TABLES; i++)
		price_table_oids[i] = cl_ledger_relation(price_tables[i]);

	control.keysize = sizeof(EntryKey);
	control.entrysize = sizeof(CacheEntry);
	control.hash = hash_key;
	control.match = compare_keys;
	control.hcxt = cache_context;
	cache = hash_create("cost_ledger prices", 64, &control,
						HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* The columns of effective_prices(), from 1 as SPI counts. */
typedef enum EffectiveColumn
{
	SLICE_FROM = 1,
	SLICE_TO,
	RANK,
	PRICE_ID,
	VALID_FROM,
	VALID_TO,
	METER,
	UNIT_PRICE,
	PER,
	MULTIPLIER,
	OVER_TOKENS,
	IS_INCLUSIVE,
	IS_GRADUATED,
	WINDOW_START,
	WINDOW_END,
	WINDOW_DAYS,
	WINDOW_ZONE,
	CURRENCY,
	RULE
} EffectiveColumn;

static Datum
column(HeapTuple tuple, int number, bool *isnull)
{
	bool		null;

	return SPI_getbinval(tuple, SPI_tuptable->tupdesc, number, isnull ? isnull : &null);
}

static TimestampTz
column_end(HeapTuple tuple, int number)
{
	bool		isnull;
	Datum		value = column(tuple, number, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(value);
}

/*
 * Makes a line of a row, everything in the current memory context.
 */
static void
read_line(HeapTuple tuple, PriceLine *line)
{
	bool		isnull;
	Datum		value;
	Fixed		fixed;

	memset(line, 0, sizeof(PriceLine));
	line->meter = TextDatumGetCString(column(tuple, METER, NULL));
	line->price_id = DatumGetInt64(column(tuple, PRICE_ID, NULL));
	line->valid_from = DatumGetTimestampTz(column(tuple, VALID_FROM, NULL));
	line->valid_to = column_end(tuple, VALID_TO);
	line->currency = TextDatumGetCString(column(tuple, CURRENCY, NULL));
	line->rule = TextDatumGetCString(column(tuple, RULE, NULL));

	line->unit_price = DatumGetNumericCopy(column(tuple, UNIT_PRICE, NULL));
	line->per = DatumGetInt64(column(tuple, PER, NULL));
	for (int64 per = line->per; per >= 10; per /= 10)
		line->per_digits++;
	value = column(tuple, MULTIPLIER, &line->is_unknown);
	if (!line->is_unknown)
	{
		line->multiplier = DatumGetNumericCopy(value);
		line->price = cl_numeric_mul(line->unit_price, line->multiplier);
		line->is_zero = cl_numeric_is_zero(line->price);
		line->is_fixed = cl_fixed_from_numeric(line->price, &fixed) &&
			fixed.scale + line->per_digits <= FIXED_MAX_SCALE;
	}

	line->over_tokens = DatumGetInt64(column(tuple, OVER_TOKENS, NULL));
	line->is_inclusive = DatumGetBool(column(tuple, IS_INCLUSIVE, NULL));
	line->is_graduated = DatumGetBool(column(tuple, IS_GRADUATED, NULL));
	line->window_start = -1;
	value = column(tuple, WINDOW_ZONE, &isnull);
	if (!isnull)
	{
		char	   *name = TextDatumGetCString(value);

		line->zone = pg_tzset(name);
		if (line->zone == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("time zone \"%s\" of a price is not known", name),
					 errhint("The server's time zone data has changed; set a new version of price " INT64_FORMAT ".",
							 line->price_id)));
		value = column(tuple, WINDOW_START, &isnull);
		if (!isnull)
		{
			line->window_start = DatumGetTimeADT(value);
			line->window_end = DatumGetTimeADT(column(tuple, WINDOW_END, NULL));
		}
		value = column(tuple, WINDOW_DAYS, &isnull);
		if (!isnull)
		{
			Datum	   *days;
			int			ndays;

			deconstruct_array(DatumGetArrayTypeP(value), INT2OID, 2, true, TYPALIGN_SHORT,
							  &days, NULL, &ndays);
			for (int i = 0; i < ndays; i++)
				line->window_days |= 1 << DatumGetInt16(days[i]);
		}
	}
	line->is_conditional = line->over_tokens > 0 || line->is_graduated || line->zone;
}

/*
 * Puts the rates of a slice on one scale.
 */
static void
scale_rates(PriceSlice *slice)
{
	for (int i = 0; i < slice->nlines; i++)
	{
		PriceLine  *line = &slice->lines[i];
		Fixed		fixed;

		if (line->is_fixed && cl_fixed_from_numeric(line->price, &fixed))
			slice->scale = Max(slice->scale, fixed.scale + line->per_digits);
	}
	for (int i = 0; i < slice->nlines; i++)
	{
		PriceLine  *line = &slice->lines[i];
		Fixed		fixed;

		if (line->is_fixed && cl_fixed_from_numeric(line->price, &fixed))
		{
			fixed.scale += line->per_digits;
			line->is_fixed = cl_fixed_rescale(&fixed, slice->scale);
			line->rate = fixed.mantissa;
		}
	}
}

/*
 * Does a line price whatever comes to it, so that none after it is tried?
 */
static bool
is_last_line(const PriceLine *line)
{
	return line->over_tokens == 0 && line->zone == NULL;
}

/*
 * Finds what a meter is priced by, the first of meters: its own lines, of the
 * most specific card first as all lines come, and after them those of the
 * meters that stand in for it.
 */
static MeterPrice
find_price(const PriceSlice *slice, const char *const *meters, int nmeters)
{
	MeterPrice	price = {0, palloc(nmeters * slice->nlines * sizeof(PriceLine *))};

	for (int m = 0; m < nmeters; m++)
	{
		for (int i = 0; i < slice->nlines; i++)
		{
			const PriceLine *line = &slice->lines[i];

			if (strcmp(line->meter, meters[m]) != 0)
				continue;
			price.lines[price.nlines++] = line;
			if (is_last_line(line))
				return price;
		}
	}
	return price;
}

/*
 * The same, in no more memory than it takes: for the cache to keep.
 */
static MeterPrice
keep_price(const PriceSlice *slice, const char *const *meters, int nmeters)
{
	MeterPrice	found = find_price(slice, meters, nmeters);
	MeterPrice	price = {found.nlines, NULL};

	if (found.nlines > 0)
	{
		price.lines = palloc(found.nlines * sizeof(PriceLine *));
		memcpy(price.lines, found.lines, found.nlines * sizeof(PriceLine *));
	}
	pfree(found.lines);
	return price;
}

/*
 * Makes a slice, whose lines are there, ready for calls.
 */
static void
finish_slice(PriceSlice *slice)
{
	static const char *const requests = METER_REQUESTS;

	slice->price_id = slice->lines[0].price_id;
	for (int i = slice->nlines - 1; i >= 0; i--)
	{
		const PriceLine *line = &slice->lines[i];

		if (!line->is_unknown)
			slice->price_id = line->price_id;
		if (!line->is_zero && strcmp(line->meter, METER_REQUESTS) != 0)
			slice->has_counts = true;
	}
	scale_rates(slice);

	slice->requests = keep_price(slice, &requests, 1);
	for (int meter = 0; meter < NUM_TOKEN_METERS; meter++)
	{
		const char *meters[1 + MAX_FALLBACKS] = {cl_token_meters[meter].name};
		int			fallbacks[MAX_FALLBACKS];
		int			n = cl_token_meter_fallbacks(meter, fallbacks);

		for (int i = 0; i < n; i++)
			meters[1 + i] = cl_token_meters[fallbacks[i]].name;
		slice->tokens[meter] = keep_price(slice, meters, 1 + n);
	}
}

/*
 * As cl_prepare_once(), with one plan for all keys: planning for each would
 * cost more than the query itself.
 */
static void
prepare_once(SPIPlanPtr *plan, const char *query, int nargs, Oid *types)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor(query, nargs, types, CURSOR_OPT_GENERIC_PLAN);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", query,
				 SPI_result_code_string(SPI_result));
		*plan = made;
	}
}

static void
run_query(SPIPlanPtr plan, Datum *arguments, const char *nulls, Snapshot snapshot)
{
	if (SPI_execute_snapshot(plan, arguments, nulls, snapshot, InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read prices");
}

/*
 * A number that is another one as soon as some row has come, gone or changed
 * that the entry was made of: every version of a row has a place and a
 * transaction of its own.  (Where VACUUM FULL moves rows, the entry is loaded
 * again for nothing.)  The rows are
 *
 * - the cards that apply, with all their versions and lines;
 * - of the customers' cards any one, since they matter by being there;
 * - cards under a name that comes before the one that is used: there were none,
 *   and the first to come is used instead.  The name that is used may be another
 *   but for case, and then the very one comes before it.
 */
static uint64
fingerprint(const CacheEntry *entry, const Datum *key, Snapshot snapshot)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, TEXTARRAYOID, TEXTOID, TEXTOID
	};
	Datum		arguments[] = {
		entry->found[FOUND_PROVIDER], entry->found[FOUND_MODEL],
		key[REGION_PART], key[CLASS_PART], key[CUSTOMER_PART],
		BoolGetDatum(!entry->has_customers),
		entry->found[FOUND_VAIN_KEYS],
		entry->found[FOUND_VAIN_PROVIDER], entry->found[FOUND_VAIN_MODEL]
	};
	char		nulls[] = {
		entry->is_null[FOUND_PROVIDER], entry->is_null[FOUND_MODEL], ' ', ' ', ' ', ' ',
		entry->is_null[FOUND_VAIN_KEYS],
		entry->is_null[FOUND_VAIN_PROVIDER], entry->is_null[FOUND_VAIN_MODEL]
	};
	uint64		sum = 0;

	prepare_once(&plan,
				 "SELECT c.ctid, c.xmin, p.ctid, p.xmin, l.ctid, l.xmin "
				 "FROM cost_ledger_internal.rate_card c "
				 "LEFT JOIN cost_ledger_internal.price p ON p.card_id OPERATOR(pg_catalog.=) c.card_id "
				 "LEFT JOIN cost_ledger_internal.price_line l ON l.price_id OPERATOR(pg_catalog.=) p.price_id "
				 "WHERE c.provider OPERATOR(pg_catalog.=) $1 AND c.model OPERATOR(pg_catalog.=) $2 "
				 "AND (c.region OPERATOR(pg_catalog.=) '' OR c.region OPERATOR(pg_catalog.=) $3) "
				 "AND (c.service_class OPERATOR(pg_catalog.=) 'standard' OR c.service_class OPERATOR(pg_catalog.=) $4) "
				 "AND (c.customer OPERATOR(pg_catalog.=) '' OR c.customer OPERATOR(pg_catalog.=) $5) "
				 "UNION ALL "
				 "(SELECT c.ctid, c.xmin, NULL, NULL, NULL, NULL "
				 "FROM cost_ledger_internal.rate_card c "
				 "WHERE $6 AND c.provider OPERATOR(pg_catalog.=) $1 AND c.model OPERATOR(pg_catalog.=) $2 "
				 "AND c.customer OPERATOR(pg_catalog.<>) '' LIMIT 1) "
				 "UNION ALL "
				 "SELECT c.ctid, c.xmin, NULL, NULL, NULL, NULL "
				 "FROM cost_ledger_internal.rate_card c "
				 "WHERE pg_catalog.lower(c.provider) OPERATOR(pg_catalog.||) E'\\n' OPERATOR(pg_catalog.||) pg_catalog.lower(c.model) OPERATOR(pg_catalog.=) ANY ($7) "
				 "AND ($6 OR c.customer OPERATOR(pg_catalog.=) '' OR c.customer OPERATOR(pg_catalog.=) $5) "
				 "UNION ALL "
				 "(SELECT c.ctid, c.xmin, NULL, NULL, NULL, NULL "
				 "FROM cost_ledger_internal.rate_card c "
				 "WHERE c.provider OPERATOR(pg_catalog.=) $8 AND c.model OPERATOR(pg_catalog.=) $9 "
				 "AND ($6 OR c.customer OPERATOR(pg_catalog.=) '' OR c.customer OPERATOR(pg_catalog.=) $5) LIMIT 1)",
				 lengthof(types), types);
	run_query(plan, arguments, nulls, snapshot);

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		uint64		hash = 0;

		for (int number = 1; number <= 6; number += 2)
		{
			bool		isnull;
			Datum		place = column(SPI_tuptable->vals[i], number, &isnull);
			TransactionId writer;

			if (isnull)
				break;
			writer = DatumGetTransactionId(column(SPI_tuptable->vals[i], number + 1, NULL));
			hash = hash_bytes_extended((unsigned char *) DatumGetPointer(place),
									   sizeof(ItemPointerData), hash + writer);
		}
		sum += hash;			/* rows come in any order */
	}
	SPI_freetuptable(SPI_tuptable);
	return sum;
}

/*
 * Fills in where the prices of an entry are.
 */
static void
find_rate_cards(CacheEntry *entry, Datum *key, Snapshot snapshot)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		arguments[] = {key[PROVIDER_PART], key[MODEL_PART], key[CUSTOMER_PART]};
	TupleDesc	descriptor;
	MemoryContext old;

	prepare_once(&plan, "SELECT * FROM cost_ledger_internal.find_rate_cards($1, $2, $3)",
				 lengthof(types), types);
	run_query(plan, arguments, NULL, snapshot);
	descriptor = SPI_tuptable->tupdesc;
	if (descriptor->natts != NUM_FOUND_COLUMNS)
		cl_refuse_other_version();

	old = MemoryContextSwitchTo(entry->memory);
	for (int i = 0; i < NUM_FOUND_COLUMNS; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		bool		isnull;
		Datum		value = column(SPI_tuptable->vals[0], i + 1, &isnull);

		entry->is_null[i] = isnull ? 'n' : ' ';
		entry->found[i] = isnull ? (Datum) 0 :
			datumCopy(value, attribute->attbyval, attribute->attlen);
	}
	MemoryContextSwitchTo(old);
	entry->has_customers = DatumGetBool(entry->found[FOUND_CUSTOMERS]);
}

/*
 * Makes the slices of an entry of the rows of effective_prices(), in the
 * current memory context.
 */
static void
read_slices(CacheEntry *entry, SPITupleTable *rows)
{
	uint64		nrows = rows->numvals;

	for (uint64 i = 0; i < nrows;)
	{
		TimestampTz from = DatumGetTimestampTz(column(rows->vals[i], SLICE_FROM, NULL));
		PriceSlice *slice;
		uint64		end = i;

		CHECK_FOR_INTERRUPTS();
		while (end < nrows &&
			   DatumGetTimestampTz(column(rows->vals[end], SLICE_FROM, NULL)) == from)
			end++;

		if (entry->slices == NULL)
			entry->slices = palloc(sizeof(PriceSlice));
		else
			entry->slices = repalloc_huge(entry->slices, (entry->nslices + 1) * sizeof(PriceSlice));
		slice = &entry->slices[entry->nslices++];
		memset(slice, 0, sizeof(PriceSlice));
		slice->from = from;
		slice->to = column_end(rows->vals[i], SLICE_TO);
		slice->lines = palloc((end - i) * sizeof(PriceLine));
		for (; i < end; i++)
			read_line(rows->vals[i], &slice->lines[slice->nlines++]);
		finish_slice(slice);
	}

	entry->starts = palloc(Max(entry->nslices, 1) * sizeof(TimestampTz));
	for (int i = 0; i < entry->nslices; i++)
		entry->starts[i] = entry->slices[i].from;
}

/*
 * What reading the price tables needs, and its end.
 */
typedef struct PriceReader
{
	CallerIdentity caller;
	Snapshot	snapshot;
	Datum		key[KEY_PARTS]; /* text */
} PriceReader;

static void
begin_reading(PriceReader *reader, const EntryKey *key)
{
	reader->caller = cl_become_owner(price_table_oids[0]);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	for (int i = 0, start = 0; i < KEY_PARTS; start = key->end[i++])
		reader->key[i] = PointerGetDatum(cstring_to_text_with_len(key->bytes + start,
																  key->end[i] - start));
	reader->snapshot = RegisterSnapshot(GetCatalogSnapshot(price_table_oids[0]));
}

static void
end_reading(PriceReader *reader)
{
	UnregisterSnapshot(reader->snapshot);
	SPI_finish();
	cl_become_caller(reader->caller);
}

/*
 * Is a suspect entry what loading it would make of it now?
 */
static bool
still_holds(CacheEntry *entry)
{
	PriceReader reader;
	uint64		checked_generation = generation;	/* before reading, see below */
	bool		holds;

	begin_reading(&reader, &entry->key);
	holds = fingerprint(entry, reader.key, reader.snapshot) == entry->fingerprint;
	end_reading(&reader);
	if (holds)
		entry->generation = checked_generation;
	cache_checks++;
	return holds;
}

/*
 * Loads the entry of a key, in a memory context of its own that is the caller's
 * to keep.
 */
static CacheEntry
load_entry(const EntryKey *key)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	CacheEntry	entry = {0};
	PriceReader reader;
	bool		has_cards;
	MemoryContext old;

	/* Goes with the statement, should an error come between here and the end. */
	entry.memory = AllocSetContextCreate(CurrentMemoryContext, "cost_ledger price",
										 ALLOCSET_SMALL_SIZES);

	/*
	 * A message that comes while reading must not be forgotten: what is read
	 * is of this generation at least.
	 */
	entry.generation = generation;

	begin_reading(&reader, key);
	find_rate_cards(&entry, reader.key, reader.snapshot);
	has_cards = entry.is_null[FOUND_PROVIDER] == ' ';
	entry.fingerprint = fingerprint(&entry, reader.key, reader.snapshot);
	if (has_cards)
	{
		Datum		arguments[] = {
			entry.found[FOUND_PROVIDER], entry.found[FOUND_MODEL],
			reader.key[REGION_PART], reader.key[CLASS_PART], reader.key[CUSTOMER_PART],
			entry.found[FOUND_RULE]
		};
		char		nulls[] = {' ', ' ', ' ', ' ', ' ', entry.is_null[FOUND_RULE]};

		prepare_once(&plan,
					 "SELECT * FROM cost_ledger_internal.effective_prices($1, $2, $3, $4, $5, $6)",
					 lengthof(types), types);
		run_query(plan, arguments, nulls, reader.snapshot);
		if (SPI_tuptable->tupdesc->natts != RULE)
			cl_refuse_other_version();
	}

	/* SPI leaves its own context current. */
	old = MemoryContextSwitchTo(entry.memory);
	if (has_cards)
		read_slices(&entry, SPI_tuptable);
	entry.key = *key;
	entry.key.bytes = memcpy(palloc(key->end[KEY_PARTS - 1] + 1), key->bytes,
							 key->end[KEY_PARTS - 1]);
	MemoryContextSwitchTo(old);
	end_reading(&reader);
	cache_loads++;
	return entry;
}

/*
 * What the entries take, and the table that finds them.
 */
static Size
cache_size(void)
{
	return entries_size + MemoryContextMemAllocated(cache_context, false);
}

/*
 * The entry of a key, checked or loaded if need be.
 */
static CacheEntry *
lookup_entry(const EntryKey *key)
{
	CacheEntry *entry = NULL;
	CacheEntry	loaded;
	bool		is_known;

	if (cache_is_valid)
		entry = hash_search(cache, key, HASH_FIND, NULL);
	if (entry && (entry->generation == generation || still_holds(entry)))
	{
		cache_hits++;
		return entry;
	}

	if (!cache_is_valid || (entry == NULL && cache_size() >= MAX_CACHE_SIZE))
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
	 * half-read entry behind.
	 */
	loaded = load_entry(key);
	entry = hash_search(cache, &loaded.key, HASH_ENTER, &is_known);
	MemoryContextSetParent(loaded.memory, cache_context);
	entries_size += MemoryContextMemAllocated(loaded.memory, true);
	if (is_known)
	{
		entries_size -= MemoryContextMemAllocated(entry->memory, true);
		MemoryContextDelete(entry->memory);
	}
	*entry = loaded;
	return entry;
}

/*
 * The entry that a call is priced by.
 */
static CacheEntry *
find_entry(const PriceKey *key)
{
	const char *parts[KEY_PARTS] = {
		key->provider, key->model, key->region, key->service_class, key->customer
	};
	int			lens[KEY_PARTS] = {
		key->provider_len, key->model_len, key->region_len, key->class_len, key->customer_len
	};
	char		buffer[256];
	char	   *bytes = buffer;
	EntryKey	entry_key;
	CacheEntry *entry;
	int			size = 0;

	/* A long COPY takes no locks, and must hear of a new price all the same. */
	AcceptInvalidationMessages();

	for (int i = 0; i < KEY_PARTS; i++)
		entry_key.end[i] = size += lens[i];
	if (size > (int) sizeof(buffer))
		bytes = palloc(size);
	for (int i = 0; i < KEY_PARTS; i++)
		memcpy(bytes + entry_key.end[i] - lens[i], parts[i], lens[i]);
	entry_key.bytes = bytes;

	/* Few customers have prices of their own; the others share an entry. */
	entry_key.end[CUSTOMER_PART] -= key->customer_len;
	entry = lookup_entry(&entry_key);
	if (key->customer_len > 0 && entry->has_customers)
	{
		entry_key.end[CUSTOMER_PART] += key->customer_len;
		entry = lookup_entry(&entry_key);
	}
	return entry;
}

/*
 * What is in force for a call at a moment, or NULL.  The result is valid until
 * the next lookup.
 */
const PriceSlice *
cl_price_cache_lookup(const PriceKey *key, TimestampTz at)
{
	const CacheEntry *entry = find_entry(key);
	int			low = 0;
	int			high;

	high = entry->nslices;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (entry->starts[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0 && at < entry->slices[low - 1].to)
		return &entry->slices[low - 1];
	return NULL;
}

/* The columns of why_unpriced(), from 1 as SPI counts. */
typedef enum WhyColumn
{
	WHY_REASON = 1,
	WHY_REMEDY,
	WHY_FROM,
	WHY_TO
} WhyColumn;

static char *
column_text(HeapTuple tuple, int number)
{
	bool		isnull;
	Datum		value = column(tuple, number, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * Keeps an answer of why_unpriced() with the entry that it is about.
 */
static const Unpriced *
keep_why(CacheEntry *entry, HeapTuple answer, uint64 asked_generation)
{
	Size		size_before = MemoryContextMemAllocated(entry->memory, true);
	MemoryContext old;
	UnpricedSpan *span;
	bool		isnull;

	/* What was so before another price came need not be so any more. */
	if (entry->why_memory == NULL)
		entry->why_memory = AllocSetContextCreate(entry->memory, "cost_ledger price reasons",
												  ALLOCSET_SMALL_SIZES);
	if (entry->why_generation != asked_generation || entry->whys == NULL)
	{
		MemoryContextReset(entry->why_memory);
		entry->whys = NULL;
		entry->nwhys = 0;
		entry->why_generation = asked_generation;
	}

	old = MemoryContextSwitchTo(entry->why_memory);
	if (entry->whys == NULL)
		entry->whys = palloc(sizeof(UnpricedSpan));
	else
		entry->whys = repalloc(entry->whys, (entry->nwhys + 1) * sizeof(UnpricedSpan));
	span = &entry->whys[entry->nwhys];
	span->why.reason = column_text(answer, WHY_REASON);
	span->why.remedy = column_text(answer, WHY_REMEDY);
	span->from = DatumGetTimestampTz(column(answer, WHY_FROM, &isnull));
	if (isnull)
		span->from = DT_NOBEGIN;
	span->to = column_end(answer, WHY_TO);
	entry->nwhys++;
	MemoryContextSwitchTo(old);
	entries_size += MemoryContextMemAllocated(entry->memory, true) - size_before;
	return &span->why;
}

/*
 * Why a call has no price, where cl_price_cache_lookup() gives none.  The
 * result is valid until the next lookup; its reason is NULL if there is one.
 */
const Unpriced *
cl_price_cache_why(const PriceKey *key, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {
		TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID
	};
	CacheEntry *entry = find_entry(key);
	uint64		asked_generation = generation;
	const Unpriced *why;
	PriceReader reader;

	for (int i = 0; i < entry->nwhys && entry->why_generation == generation; i++)
	{
		if (entry->whys[i].from <= at && at < entry->whys[i].to)
			return &entry->whys[i].why;
	}

	begin_reading(&reader, &entry->key);
	{
		Datum		arguments[] = {
			TimestampTzGetDatum(at), reader.key[PROVIDER_PART], reader.key[MODEL_PART],
			reader.key[REGION_PART], reader.key[CLASS_PART], reader.key[CUSTOMER_PART],
			entry->found[FOUND_PROVIDER], entry->found[FOUND_MODEL]
		};
		char		nulls[] = {
			' ', ' ', ' ', ' ', ' ', ' ',
			entry->is_null[FOUND_PROVIDER], entry->is_null[FOUND_MODEL]
		};

		prepare_once(&plan,
					 "SELECT * FROM cost_ledger_internal.why_unpriced($1, $2, $3, $4, $5, $6, $7, $8)",
					 lengthof(types), types);
		run_query(plan, arguments, nulls, reader.snapshot);
	}
	if (SPI_tuptable->tupdesc->natts != WHY_TO)
		cl_refuse_other_version();
	why = keep_why(entry, SPI_tuptable->vals[0], asked_generation);
	end_reading(&reader);
	return why;
}

/*
 * What a meter that is no token meter is priced by.
 */
MeterPrice
cl_price_find_meter(const PriceSlice *slice, const char *meter)
{
	return find_price(slice, &meter, 1);
}

/*
 * Does a line's window of local time hold the moment?
 */
bool
cl_price_line_in_window(const PriceLine *line, TimestampTz at)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;
	int64		time;
	int			day;

	if (line->zone == NULL)
		return true;
	if (timestamp2tm(at, &tz, &tm, &fsec, NULL, line->zone) != 0)
		return false;
	if (line->window_days != 0)
	{
		day = j2day(date2j(tm.tm_year, tm.tm_mon, tm.tm_mday));
		if (day == 0)
			day = 7;			/* ISO: Sunday is the last */
		if ((line->window_days & (1 << day)) == 0)
			return false;
	}
	if (line->window_start < 0)
		return true;
	time = ((tm.tm_hour * MINS_PER_HOUR + tm.tm_min) * (int64) SECS_PER_MINUTE + tm.tm_sec) *
		USECS_PER_SEC + fsec;
	if (line->window_start < line->window_end)
		return time >= line->window_start && time < line->window_end;
	return time >= line->window_start || time < line->window_end;
}

PG_FUNCTION_INFO_V1(cl_price_changed);

/*
 * Row trigger on the price tables: tells every backend, at commit, that
 * prices have changed; this one at once, and again if it is rolled back.
 */
Datum
cl_price_changed(PG_FUNCTION_ARGS)
{
	return cl_announce_change(fcinfo, "price_changed");
}

PG_FUNCTION_INFO_V1(cl_price_cache_status);

/*
 * price_cache_status(OUT hits bigint, OUT loads bigint, OUT invalidations
 * bigint, OUT entries bigint, OUT checks bigint, OUT bytes bigint)
 */
Datum
cl_price_cache_status(PG_FUNCTION_ARGS)
{
	TupleDesc	descriptor;
	Datum		values[6];
	bool		nulls[6] = {0};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (descriptor->natts != (int) lengthof(values))
		cl_refuse_other_version();
	values[0] = Int64GetDatum(cache_hits);
	values[1] = Int64GetDatum(cache_loads);
	values[2] = Int64GetDatum(cache_invalidations);
	values[3] = Int64GetDatum(cache_is_valid ? hash_get_num_entries(cache) : 0);
	values[4] = Int64GetDatum(cache_checks);
	values[5] = Int64GetDatum(cache_context ? cache_size() : 0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}
