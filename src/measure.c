/*-------------------------------------------------------------------------
 * measure.c
 *	  What calls add up to: sums that are exact.
 *
 * Nearly every amount is a multiple of 1e-20 below 1e16, which 128 bits hold a
 * hundred of; what is not is added up beside, as numeric.  Whatever is added
 * lives as long as the memory context that was current then.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "bounds.h"
#include "common/int.h"
#include "measure.h"
#include "money.h"
#include "numeric_parts.h"
#include "utils/fmgrprotos.h"

#define FIXED_SCALE		20		/* decimals */
#define FIXED_GROUPS	4		/* of four digits, before the point */

const char *const cl_count_names[NUM_COUNTS] = {
	[CALLS] = "calls",
	[PRICED_CALLS] = "priced_calls",
	[UNPRICED_CALLS] = "unpriced_calls",
	[CORRECTIONS] = "corrections",
	[RETRIES] = "retries",
	[FALLBACKS] = "fallbacks",
	[TURNS] = "turns",
	[TURN_INPUT_TOKENS] = "turn_input_tokens",
	[FAILED_CALLS] = "failed_calls",
	[TOOL_CALLS] = "tool_calls",
	[ACCEPTED_CALLS] = "accepted_calls",
	[REJECTED_CALLS] = "rejected_calls",
	[SCORED_CALLS] = "scored_calls",
	[INPUT_TOKENS] = "input_tokens",
	[CACHE_READ_TOKENS] = "cache_read_tokens",
	[CACHE_WRITE_TOKENS] = "cache_write_tokens",
	[CACHE_WRITE_1H_TOKENS] = "cache_write_1h_tokens",
	[OUTPUT_TOKENS] = "output_tokens",
	[REASONING_TOKENS] = "reasoning_tokens",
};

const char *const cl_amount_names[NUM_AMOUNTS] = {
	[COST] = "cost",
	[CACHE_READ_COST] = "cache_read_cost",
	[CACHE_WRITE_COST] = "cache_write_cost",
	[OUTPUT_COST] = "output_cost",
	[REASONING_COST] = "reasoning_cost",
	[OTHER_COST] = "other_cost",
	[ADJUSTMENT_COST] = "adjustment_cost",
	[REPORTED_COST] = "reported_cost",
	[COST_WITHOUT_RUN] = "cost_without_run",
	[AVOIDED_COST] = "avoided_cost",
	[PROMPT_CACHE_SAVING] = "prompt_cache_saving",
	[SCORE] = "score",
};

/*
 * The value as a multiple of 1e-20; false where it is none, or too large.
 */
static bool
to_fixed(Numeric value, FixedAmount *fixed)
{
	static const int64 powers[] = {
		1, 10000, INT64CONST(100000000), INT64CONST(1000000000000), INT64CONST(10000000000000000)
	};
	NumericParts parts;
	int128		sum = 0;
	int			left;			/* groups of zeros to append */

	if (!open_numeric((struct varlena *) value, &parts))
		return false;
	*fixed = 0;
	if (parts.ndigits == 0)
		return true;
	left = parts.weight - (parts.ndigits - 1) + FIXED_SCALE / 4;
	if (left < 0 || parts.weight >= FIXED_GROUPS)
		return false;
	for (int i = 0; i < parts.ndigits; i++)
		sum = sum * 10000 + numeric_digit(&parts, i);
	for (; left > 0; left -= Min(left, 4))
		sum *= powers[Min(left, 4)];
	*fixed = parts.negative ? -sum : sum;
	return true;
}

/*
 * What a row says, ready to be added up.  What no report could show is refused.
 */
Money
cl_money(Numeric value)
{
	Money		money = {0};

	if (to_fixed(value, &money.fixed))
		return money;
	if (!cl_is_cost(value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a cost is more than reports can show"),
				 errhint("A row with such a cost came by replication, or with the triggers of call switched off.")));
	money.other = value;
	return money;
}

static void
add_other(Measures *sums, Amount amount, Numeric value)
{
	Numeric    *other;

	if (sums->others == NULL)
		sums->others = palloc0(NUM_AMOUNTS * sizeof(Numeric));
	other = &sums->others[amount];
	/* numeric_add() returns a new one in any case */
	*other = cl_numeric_add(*other ? *other : int64_to_numeric(0), value);
}

static void
add_fixed(Measures *sums, Amount amount, int128 value)
{
	int128		sum;

	if (unlikely(__builtin_add_overflow((int128) sums->fixed[amount], value, &sum)))
	{
		Fixed		fixed = {.mantissa = value, .scale = FIXED_SCALE};

		add_other(sums, amount, cl_fixed_to_numeric(fixed));
	}
	else
		sums->fixed[amount] = sum;
}

void
cl_add_amount(Measures *sums, Amount amount, Money value)
{
	sums->known |= 1u << amount;
	add_fixed(sums, amount, value.fixed);
	if (unlikely(value.other != NULL))
		add_other(sums, amount, value.other);
}

void
cl_add_measures(Measures *sums, const Measures *more)
{
	for (int i = 0; i < NUM_COUNTS; i++)
	{
		if (unlikely(pg_add_s64_overflow(sums->counts[i], more->counts[i], &sums->counts[i])))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"%s\" adds up to more than a rollup can hold", cl_count_names[i])));
	}
	if (more->known == 0)
		return;
	sums->known |= more->known;
	for (int i = 0; i < NUM_AMOUNTS; i++)
		add_fixed(sums, i, more->fixed[i]);
	for (int i = 0; more->others != NULL && i < NUM_AMOUNTS; i++)
	{
		if (more->others[i] != NULL)
			add_other(sums, i, more->others[i]);
	}
}

/*
 * What takes sums out of others, when it is added to them.
 */
void
cl_negate_measures(Measures *sums)
{
	for (int i = 0; i < NUM_COUNTS; i++)
		sums->counts[i] = -sums->counts[i];
	for (int i = 0; i < NUM_AMOUNTS; i++)
		sums->fixed[i] = -sums->fixed[i];
	for (int i = 0; sums->others != NULL && i < NUM_AMOUNTS; i++)
	{
		if (sums->others[i] != NULL)
			sums->others[i] = DatumGetNumeric(DirectFunctionCall1(numeric_uminus, NumericGetDatum(sums->others[i])));
	}
}

/*
 * A sum that is known, as numeric.
 */
Datum
cl_amount_datum(const Measures *sums, Amount amount)
{
	Fixed		fixed = {.mantissa = sums->fixed[amount], .scale = FIXED_SCALE};
	Numeric		value = cl_fixed_to_numeric(fixed);

	if (sums->others != NULL && sums->others[amount] != NULL)
		value = cl_numeric_add(value, sums->others[amount]);
	return NumericGetDatum(value);
}
