/*-------------------------------------------------------------------------
 * money.h
 *	  Exact amounts: decimal fixed point in 128 bits where it fits, numeric
 *	  where it does not, float8 nowhere.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_MONEY_H
#define COST_LEDGER_MONEY_H

#include "utils/numeric.h"

/* value = mantissa × 10^-scale */
typedef struct Fixed
{
	int128		mantissa;
	int			scale;
} Fixed;

/* Scales beyond this are left to numeric. */
#define FIXED_MAX_SCALE 36

extern bool cl_fixed_from_numeric(Numeric value, Fixed *result);
extern bool cl_fixed_rescale(Fixed *value, int scale);
extern Numeric cl_fixed_to_numeric(Fixed value);
extern bool cl_numeric_to_int64(Numeric value, int64 *result);

extern Numeric cl_numeric_from_int64(int64 value);
extern int	cl_numeric_compare(Numeric a, Numeric b);
extern Numeric cl_numeric_add(Numeric a, Numeric b);
extern Numeric cl_numeric_sub(Numeric a, Numeric b);
extern Numeric cl_numeric_mul(Numeric a, Numeric b);
extern Numeric cl_numeric_div_pow10(Numeric a, int digits);
extern Numeric cl_numeric_trim(Numeric value);
extern bool cl_numeric_is_zero(Numeric value);
extern bool cl_numeric_is_negative(Numeric value);

#endif							/* COST_LEDGER_MONEY_H */
