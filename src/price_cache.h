/*-------------------------------------------------------------------------
 * price_cache.h
 *	  Prices as a backend keeps them, ready for arithmetic.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_PRICE_CACHE_H
#define COST_LEDGER_PRICE_CACHE_H

#include "datatype/timestamp.h"
#include "money.h"
#include "pgtime.h"
#include "usage.h"

/* Counted for every call, whether the client says so or not. */
#define METER_REQUESTS "requests"

/* One rate, as it applies to the calls of a cache entry. */
typedef struct PriceLine
{
	/* What a call needs comes first. */
	bool		is_conditional;
	bool		is_unknown;		/* nothing says what its currency is worth */
	bool		is_zero;
	bool		is_fixed;		/* rate is usable; else go by price */
	int128		rate;			/* price of one unit, at the slice's scale */

	/* When it applies: context tier, and window of local time. */
	int64		over_tokens;
	bool		is_inclusive;
	bool		is_graduated;
	pg_tz	   *zone;			/* NULL: at any time */
	int64		window_start;	/* microseconds of the day; -1: all of it */
	int64		window_end;
	int			window_days;	/* bit 1 for Monday … bit 7; 0: every day */

	char	   *meter;
	int64		price_id;
	TimestampTz valid_from;		/* of the price version */
	TimestampTz valid_to;		/* DT_NOEND while open */
	char	   *currency;
	char	   *rule;			/* where it comes from, for people */

	Numeric		unit_price;
	int64		per;
	int			per_digits;		/* per = 10^per_digits */
	Numeric		multiplier;		/* NULL, as price is, where it is unknown */
	Numeric		price;			/* unit_price × multiplier */
} PriceLine;

/*
 * The lines a meter is priced by, in the order in which they are tried: its own
 * of one card after the other, then those of the meters that stand in for it.
 */
typedef struct MeterPrice
{
	int			nlines;
	const PriceLine **lines;
} MeterPrice;

/* A span of time in which no price changes. */
typedef struct PriceSlice
{
	TimestampTz from;			/* inclusive */
	TimestampTz to;				/* exclusive; DT_NOEND for the last */
	int64		price_id;		/* of the most specific card with a known price */
	int			scale;			/* of every line's rate */
	int			nlines;
	PriceLine  *lines;			/* of the most specific card first */
	MeterPrice	tokens[NUM_TOKEN_METERS];
	MeterPrice	requests;		/* the fee of every call, if there is one */
	bool		has_counts;		/* something else costs, and has to be counted */
} PriceSlice;

/* Why a call has no price. */
typedef struct Unpriced
{
	const char *reason;			/* for people, without a period; NULL: it has one */
	const char *remedy;			/* a sentence, for a hint */
} Unpriced;

/* What the price of a call depends on, besides its time and usage. */
typedef struct PriceKey
{
	const char *provider;
	const char *model;
	const char *region;
	const char *service_class;
	const char *customer;
	int			provider_len;	/* texts are not terminated */
	int			model_len;
	int			region_len;
	int			class_len;
	int			customer_len;
} PriceKey;

extern void cl_price_cache_init(void);
extern const PriceSlice *cl_price_cache_lookup(const PriceKey *key, TimestampTz at);
extern const Unpriced *cl_price_cache_why(const PriceKey *key, TimestampTz at);
extern MeterPrice cl_price_find_meter(const PriceSlice *slice, const char *meter);
extern bool cl_price_line_in_window(const PriceLine *line, TimestampTz at);

#endif							/* COST_LEDGER_PRICE_CACHE_H */
