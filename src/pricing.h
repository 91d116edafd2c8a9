/*-------------------------------------------------------------------------
 * pricing.h
 *	  The cost of one usage at one price.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_PRICING_H
#define COST_LEDGER_PRICING_H

#include "price_cache.h"
#include "usage.h"

typedef enum Pricing
{
	PRICING_UNPRICED,			/* no cost is known */
	PRICING_PARTIAL,			/* some meter has no rate */
	PRICING_FREE,				/* every rate that applied is 0 */
	PRICING_PRICED
} Pricing;

/* What a cost is made of; the rest of it is input that no cache had to do with. */
typedef enum CostPart
{
	PART_INPUT,
	PART_CACHE_READ,
	PART_CACHE_WRITE,
	PART_OUTPUT,
	PART_REASONING,				/* at a rate of its own; else it is output */
	PART_OTHER					/* everything that is not tokens */
} CostPart;

#define NUM_COST_PARTS (PART_OTHER + 1)

/* One meter's part in a cost. */
typedef struct CostLine
{
	const char *meter;
	Numeric		quantity;		/* what is priced here: parts taken out */
	const PriceLine *line;		/* NULL: no rate */
	Numeric		amount;			/* NULL: no rate, or one of unknown worth */
	const char *rule;
} CostLine;

typedef struct CallCost
{
	Pricing		pricing;
	Numeric		amount;			/* NULL when unpriced */
	bool		is_tier_in_doubt;	/* of one pass it may have been another */
	int			nlines;			/* lines are made only when asked for */
	CostLine   *lines;

	/* In fixed point as far as that goes: cl_cost_part() adds them up. */
	int			scale;
	int128		fixed[NUM_COST_PARTS];
	Numeric		exact[NUM_COST_PARTS];

	/* Of what the prompt cache had to do with; NULL: nothing, or unknown. */
	Numeric		prompt_cache_saving;
} CallCost;

extern const char *cl_pricing_name(Pricing pricing);
extern Numeric cl_cost_part(const CallCost *cost, CostPart part);
extern void cl_price_usage(const PriceSlice *slice, const Usage *usage,
						   TimestampTz at, bool want_lines, CallCost *cost);

#endif							/* COST_LEDGER_PRICING_H */
