/*-------------------------------------------------------------------------
 * measure.h
 *	  What calls add up to.
 *
 * The measures of all rollups stand in two lists: counts, which fit in 64 bits,
 * and amounts.  Which of them a rollup keeps its table says: a measure goes into
 * the column of its name.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_MEASURE_H
#define COST_LEDGER_MEASURE_H

#include "utils/numeric.h"

typedef enum Count
{
	CALLS,
	PRICED_CALLS,
	UNPRICED_CALLS,
	CORRECTIONS,
	RETRIES,
	FALLBACKS,
	TURNS,
	TURN_INPUT_TOKENS,
	FAILED_CALLS,
	TOOL_CALLS,
	ACCEPTED_CALLS,
	REJECTED_CALLS,
	SCORED_CALLS,
	INPUT_TOKENS,
	CACHE_READ_TOKENS,
	CACHE_WRITE_TOKENS,
	CACHE_WRITE_1H_TOKENS,
	OUTPUT_TOKENS,
	REASONING_TOKENS,
	NUM_COUNTS
} Count;

typedef enum Amount
{
	COST,
	CACHE_READ_COST,
	CACHE_WRITE_COST,
	OUTPUT_COST,
	REASONING_COST,
	OTHER_COST,
	ADJUSTMENT_COST,
	REPORTED_COST,
	COST_WITHOUT_RUN,
	AVOIDED_COST,
	PROMPT_CACHE_SAVING,
	SCORE,
	NUM_AMOUNTS
} Amount;

extern const char *const cl_count_names[NUM_COUNTS];
extern const char *const cl_amount_names[NUM_AMOUNTS];

/* A multiple of 1e-20, where it is one and fits; else a numeric. */
typedef __int128 FixedAmount __attribute__((aligned(8)));

typedef struct Money
{
	FixedAmount fixed;
	Numeric		other;			/* what is not in fixed; NULL for nothing */
} Money;

/* Sums; an amount that nothing was added to is not known. */
typedef struct Measures
{
	int64		counts[NUM_COUNTS];
	uint32		known;			/* a bit for each amount */
	FixedAmount fixed[NUM_AMOUNTS];
	Numeric    *others;			/* of each amount; NULL for nothing */
} Measures;

extern Money cl_money(Numeric value);
extern void cl_add_amount(Measures *sums, Amount amount, Money value);
extern void cl_add_measures(Measures *sums, const Measures *more);
extern void cl_negate_measures(Measures *sums);
extern Datum cl_amount_datum(const Measures *sums, Amount amount);

static inline bool
cl_amount_is_known(const Measures *sums, Amount amount)
{
	return (sums->known & (1u << amount)) != 0;
}

#endif							/* COST_LEDGER_MEASURE_H */
