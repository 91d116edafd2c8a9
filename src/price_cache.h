/*-------------------------------------------------------------------------
 * price_cache.h
 *	  Prices as a backend keeps them, ready for arithmetic.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_PRICE_CACHE_H
#define COST_LEDGER_PRICE_CACHE_H

#include "datatype/timestamp.h"
#include "money.h"
#include "usage.h"

typedef struct PriceLine
{
	char	   *meter;
	Numeric		unit_price;
	int64		per;
	int			per_digits;		/* per = 10^per_digits */
	bool		is_fixed;		/* false: rate is not usable, go by numeric */
	int128		rate;			/* price of one unit, at the version's scale */
} PriceLine;

typedef struct PriceVersion
{
	int64		price_id;
	TimestampTz valid_from;		/* inclusive */
	TimestampTz valid_to;		/* exclusive; DT_NOEND while open */
	char	   *currency;
	int			scale;			/* of every line's rate */
	int			nlines;
	PriceLine  *lines;
	PriceLine  *token_lines[NUM_TOKEN_METERS];	/* NULL: no rate of its own */
} PriceVersion;

extern const PriceVersion *cl_price_cache_lookup(const char *provider, int provider_len,
												 const char *model, int model_len,
												 const char *region, int region_len,
												 const char *service_class, int class_len,
												 TimestampTz at);
extern void cl_price_check_read_access(void);

#endif							/* COST_LEDGER_PRICE_CACHE_H */
