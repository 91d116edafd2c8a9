/*-------------------------------------------------------------------------
 * price_cache.c
 *	  Per-backend answer to "what did this model cost at that moment?"
 *
 * One entry per (provider, model, region, service class, customer) asked for,
 * filled on first use by _effective_prices(), which puts together all cards,
 * versions, multipliers and exchange rates that apply, for all times.  What is
 * left for each call is a binary search by time and arithmetic.  An entry
 * without slices remembers that there is no price.
 *
 * Any change of a price table sets a flag, and the next lookup starts over: a
 * price change costs each backend the reload of the entries it uses, never of
 * the whole list.
 *
 * Entries are read under a snapshot taken for that read, not the query's: a
 * REPEATABLE READ transaction would otherwise fill the cache with an old price
 * that stays after its end, since no further message comes.  So a call is
 * priced from the latest committed price list, in the middle of a long
 * statement too.
 *
 * A returned slice stays valid until the next lookup.  The invalidation
 * callback only sets the flag; it may run inside any lock acquisition.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "price_cache.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The parts of a key. */
#define KEY_PARTS 5
#define CUSTOMER_PART 4

typedef struct EntryKey
{
	const char *part[KEY_PARTS];	/* not terminated */
	int			len[KEY_PARTS];
} EntryKey;

typedef struct CacheEntry
{
	EntryKey	key;			/* must be first */
	bool		has_customers;	/* some customer has prices of its own */
	int			nslices;
	PriceSlice *slices;			/* by from */
} CacheEntry;

/*
 * Distinct names are the client's to choose, so the cache is bounded; a
 * backend that meets more starts over.
 */
#define MAX_ENTRIES 20000

/* What a price is made of: a change of any of these ends the cache. */
static const char *const price_tables[] = {
	"rate_card", "price", "price_line", "price_multiplier", "exchange_rate",
	"model_alias"
};

#define NUM_PRICE_TABLES ((int) lengthof(price_tables))

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static bool cache_is_valid = false;
static Oid	price_table_oids[NUM_PRICE_TABLES];	/* set when the cache starts */

/* For people and tests who ask whether the cache works. */
static int64 cache_hits = 0;
static int64 cache_loads = 0;
static int64 cache_invalidations = 0;

static void
invalidate(Datum arg, Oid relid)
{
	/* InvalidOid means: everything. */
	bool		concerns_us = relid == InvalidOid;

	for (int i = 0; i < NUM_PRICE_TABLES; i++)
		concerns_us |= relid == price_table_oids[i];
	if (concerns_us && cache_is_valid)
	{
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
	const EntryKey *k = key;
	uint32		hash = 0;

	for (int i = 0; i < KEY_PARTS; i++)
	{
		if (k->len[i] > 0)
			hash = hash_combine(hash, hash_bytes((const unsigned char *) k->part[i], k->len[i]));
	}
	return hash;
}

static int
compare_keys(const void *a, const void *b, Size keysize)
{
	const EntryKey *ka = a;
	const EntryKey *kb = b;

	for (int i = 0; i < KEY_PARTS; i++)
	{
		if (ka->len[i] != kb->len[i] ||
			memcmp(ka->part[i], kb->part[i], ka->len[i]) != 0)
			return 1;
	}
	return 0;
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

/* The columns of _effective_prices(), from 1 as SPI counts. */
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
column(HeapTuple tuple, EffectiveColumn number, bool *isnull)
{
	bool		null;

	return SPI_getbinval(tuple, SPI_tuptable->tupdesc, number, isnull ? isnull : &null);
}

static TimestampTz
column_end(HeapTuple tuple, EffectiveColumn number)
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
	line->rank = DatumGetInt32(column(tuple, RANK, NULL));
	line->price_id = DatumGetInt64(column(tuple, PRICE_ID, NULL));
	line->valid_from = DatumGetTimestampTz(column(tuple, VALID_FROM, NULL));
	line->valid_to = column_end(tuple, VALID_TO);
	line->currency = TextDatumGetCString(column(tuple, CURRENCY, NULL));
	line->rule = TextDatumGetCString(column(tuple, RULE, NULL));

	line->unit_price = DatumGetNumericCopy(column(tuple, UNIT_PRICE, NULL));
	line->per = DatumGetInt64(column(tuple, PER, NULL));
	for (int64 per = line->per; per >= 10; per /= 10)
		line->per_digits++;
	line->multiplier = DatumGetNumericCopy(column(tuple, MULTIPLIER, NULL));
	line->price = cl_numeric_mul(line->unit_price, line->multiplier);
	line->is_zero = cl_numeric_is_zero(line->price);
	line->is_fixed = cl_fixed_from_numeric(line->price, &fixed) &&
		fixed.scale + line->per_digits <= FIXED_MAX_SCALE;

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
 * Puts the rates of a slice on one scale, and finds what each token meter is
 * priced by: at the most specific card that has a rate for it or for a meter
 * that stands in for it.
 */
static void
finish_slice(PriceSlice *slice)
{
	slice->price_id = slice->lines[0].price_id;

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

	slice->requests = cl_price_find_meter(slice, METER_REQUESTS);
	for (int meter = 0; meter < NUM_TOKEN_METERS; meter++)
	{
		MeterPrice *price = &slice->tokens[meter];
		int			tried[1 + MAX_FALLBACKS];
		int			ntried;

		tried[0] = meter;
		ntried = 1 + cl_token_meter_fallbacks(meter, tried + 1);
		for (int rank = 0; rank < 8 && price->nlines == 0; rank++)
		{
			for (int t = 0; t < ntried && price->nlines == 0; t++)
			{
				for (int i = 0; i < slice->nlines; i++)
				{
					const PriceLine *line = &slice->lines[i];

					if (line->rank != rank ||
						strcmp(line->meter, cl_token_meters[tried[t]].name) != 0)
						continue;
					if (price->nlines++ == 0)
						price->lines = line;
					price->meter = tried[t];
				}
			}
		}
	}
}

static void
read_prices(SPIPlanPtr plan, Datum *arguments, Snapshot snapshot)
{
	if (SPI_execute_snapshot(plan, arguments, NULL, snapshot, InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read prices");
}

/*
 * Fills an entry, in the current memory context.
 */
static void
load_entry(const EntryKey *key, CacheEntry *entry)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr customers_plan = NULL;
	MemoryContext target = CurrentMemoryContext;
	Oid			types[KEY_PARTS] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		arguments[KEY_PARTS];
	Snapshot	snapshot;
	CallerIdentity caller = cl_become_owner(price_table_oids[0]);
	uint64		nrows;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	for (int i = 0; i < KEY_PARTS; i++)
		arguments[i] = PointerGetDatum(cstring_to_text_with_len(key->part[i], key->len[i]));
	cl_prepare_once(&customers_plan,
				 "SELECT cost_ledger._has_customer_prices($1, $2)", 2, types);
	cl_prepare_once(&plan,
				 "SELECT * FROM cost_ledger._effective_prices($1, $2, $3, $4, $5)",
				 KEY_PARTS, types);

	snapshot = RegisterSnapshot(GetCatalogSnapshot(price_table_oids[0]));
	read_prices(customers_plan, arguments, snapshot);
	entry->has_customers = DatumGetBool(column(SPI_tuptable->vals[0], 1, NULL));
	read_prices(plan, arguments, snapshot);
	if (SPI_tuptable->tupdesc->natts != RULE)
		cl_refuse_other_version();
	UnregisterSnapshot(snapshot);
	nrows = SPI_processed;

	MemoryContextSwitchTo(target);
	for (uint64 i = 0; i < nrows;)
	{
		TimestampTz from = DatumGetTimestampTz(column(SPI_tuptable->vals[i], SLICE_FROM, NULL));
		PriceSlice *slice;
		uint64		end = i;

		CHECK_FOR_INTERRUPTS();
		while (end < nrows &&
			   DatumGetTimestampTz(column(SPI_tuptable->vals[end], SLICE_FROM, NULL)) == from)
			end++;

		if (entry->slices == NULL)
			entry->slices = palloc(sizeof(PriceSlice));
		else
			entry->slices = repalloc_huge(entry->slices, (entry->nslices + 1) * sizeof(PriceSlice));
		slice = &entry->slices[entry->nslices++];
		memset(slice, 0, sizeof(PriceSlice));
		slice->from = from;
		slice->to = column_end(SPI_tuptable->vals[i], SLICE_TO);
		slice->lines = palloc((end - i) * sizeof(PriceLine));
		for (; i < end; i++)
			read_line(SPI_tuptable->vals[i], &slice->lines[slice->nlines++]);
		finish_slice(slice);
	}

	SPI_finish();
	cl_become_caller(caller);
}

/*
 * The entry of a key, loaded if need be.
 */
static CacheEntry *
lookup_entry(const EntryKey *key)
{
	CacheEntry *entry;
	CacheEntry	loaded = {0};
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
	 * half-read entry behind.
	 */
	old = MemoryContextSwitchTo(cache_context);
	load_entry(key, &loaded);
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
 * What is in force for a call at a moment, or NULL.  The result is valid until
 * the next lookup.
 */
const PriceSlice *
cl_price_cache_lookup(const PriceKey *key, TimestampTz at)
{
	EntryKey	entry_key = {
		{key->provider, key->model, key->region, key->service_class, key->customer},
		{key->provider_len, key->model_len, key->region_len, key->class_len, key->customer_len}
	};
	const CacheEntry *entry;
	int			low = 0;
	int			high;

	/* A long COPY takes no locks, and must hear of a new price all the same. */
	AcceptInvalidationMessages();

	/* Few customers have prices of their own; the others share an entry. */
	if (key->customer_len > 0)
	{
		entry_key.part[CUSTOMER_PART] = "";
		entry_key.len[CUSTOMER_PART] = 0;
	}
	entry = lookup_entry(&entry_key);
	if (key->customer_len > 0 && entry->has_customers)
	{
		entry_key.part[CUSTOMER_PART] = key->customer;
		entry_key.len[CUSTOMER_PART] = key->customer_len;
		entry = lookup_entry(&entry_key);
	}
	high = entry->nslices;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (entry->slices[middle].from <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0 && at < entry->slices[low - 1].to)
		return &entry->slices[low - 1];
	return NULL;
}

/*
 * What a meter that is no token meter is priced by.
 */
MeterPrice
cl_price_find_meter(const PriceSlice *slice, const char *meter)
{
	MeterPrice	price = {0, NULL, -1};

	/* Lines come by rank, so the first found is of the most specific card. */
	for (int i = 0; i < slice->nlines; i++)
	{
		const PriceLine *line = &slice->lines[i];

		if (strcmp(line->meter, meter) != 0)
			continue;
		if (price.nlines == 0)
			price.lines = line;
		else if (line->rank != price.lines->rank)
			break;
		price.nlines++;
	}
	return price;
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

/*
 * The cache reads the price tables for whoever inserts a call.  Functions that
 * show prices to their caller ask first.
 */
void
cl_price_check_read_access(void)
{
	for (int i = 0; i < NUM_PRICE_TABLES; i++)
	{
		AclResult	result = pg_class_aclcheck(cl_ledger_relation(price_tables[i]),
											   GetUserId(), ACL_SELECT);

		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_TABLE, price_tables[i]);
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
