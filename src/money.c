/*-------------------------------------------------------------------------
 * money.c
 *	  Exact fixed-point and numeric arithmetic.  No SQL.
 *
 * Every operation here is exact or says that it is not possible: a caller
 * told "false" goes on with numeric, which always is.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "common/int.h"
#include "fmgr.h"
#include "money.h"
#include "numeric_parts.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/*
 * Takes a finite numeric apart, without zeros at its end.  False when it is
 * NaN or infinite, or does not fit: the caller then keeps to numeric.
 */
bool
cl_fixed_from_numeric(Numeric value, Fixed *result)
{
	NumericParts parts;
	int128		mantissa = 0;
	int			scale;

	/* A number of more digits than these overflows, or has too many decimals. */
	if (!open_numeric((struct varlena *) value, &parts) ||
		parts.ndigits > 20 || parts.weight > 10 || parts.weight < -10)
		return false;

	for (int i = 0; i < Max(parts.ndigits, parts.weight + 1) && parts.ndigits > 0; i++)
	{
		int			digit = i < parts.ndigits ? numeric_digit(&parts, i) : 0;

		if (__builtin_mul_overflow(mantissa, (int128) 10000, &mantissa) ||
			__builtin_add_overflow(mantissa, (int128) digit, &mantissa))
			return false;
	}
	scale = Max(parts.ndigits - 1 - parts.weight, 0) * 4;
	if (parts.ndigits == 0)
		scale = 0;
	while (scale > 0 && mantissa % 10 == 0)
	{
		mantissa /= 10;
		scale--;
	}
	if (scale > FIXED_MAX_SCALE)
		return false;
	result->mantissa = parts.negative ? -mantissa : mantissa;
	result->scale = scale;
	return true;
}

/*
 * Gives the value more decimals; false when it no longer fits.
 */
bool
cl_fixed_rescale(Fixed *value, int scale)
{
	int128		mantissa = value->mantissa;

	Assert(scale >= value->scale);
	for (int i = value->scale; i < scale; i++)
	{
		if (__builtin_mul_overflow(mantissa, (int128) 10, &mantissa))
			return false;
	}
	value->mantissa = mantissa;
	value->scale = scale;
	return true;
}

/*
 * The numeric of the same value, without trailing zeros: 0.0129, whatever
 * scale it was computed at.
 */
Numeric
cl_fixed_to_numeric(Fixed value)
{
	char		text[64];
	char	   *c = text + sizeof(text);
	bool		negative = value.mantissa < 0;
	unsigned __int128 magnitude;
	int			digits = 0;

	if (value.mantissa == 0)
		value.scale = 0;
	while (value.scale >= 4 && value.mantissa % 10000 == 0)
	{
		value.mantissa /= 10000;
		value.scale -= 4;
	}
	if (value.mantissa >= PG_INT64_MIN && value.mantissa <= PG_INT64_MAX)
	{
		int64		mantissa = (int64) value.mantissa;
		int			scale = value.scale;

		while (scale > 0 && mantissa % 10 == 0)
		{
			mantissa /= 10;
			scale--;
		}
		return int64_div_fast_to_numeric(mantissa, scale);
	}

	magnitude = negative ? -(unsigned __int128) value.mantissa :
		(unsigned __int128) value.mantissa;
	*--c = '\0';
	while (magnitude != 0 || digits <= value.scale)
	{
		*--c = '0' + (int) (magnitude % 10);
		magnitude /= 10;
		if (++digits == value.scale)
			*--c = '.';
	}
	if (negative)
		*--c = '-';
	return cl_numeric_trim(DatumGetNumeric(DirectFunctionCall3(numeric_in,
															   CStringGetDatum(c),
															   ObjectIdGetDatum(InvalidOid),
															   Int32GetDatum(-1))));
}

/*
 * The value as a bigint; false unless it is one exactly.
 */
bool
cl_numeric_to_int64(Numeric value, int64 *result)
{
	NumericParts parts;
	int64		sum = 0;

	/* Its digits end before the decimal point, or it is no whole number. */
	if (!open_numeric((struct varlena *) value, &parts) ||
		(parts.ndigits > 0 && parts.weight < parts.ndigits - 1))
		return false;
	for (int i = 0; parts.ndigits > 0 && i <= parts.weight; i++)
	{
		if (pg_mul_s64_overflow(sum, 10000, &sum) ||
			pg_sub_s64_overflow(sum, i < parts.ndigits ? numeric_digit(&parts, i) : 0, &sum))
			return false;
	}

	/* Summed up negative, which holds one value more. */
	if (!parts.negative && sum == PG_INT64_MIN)
		return false;
	*result = parts.negative ? sum : -sum;
	return true;
}

Numeric
cl_numeric_from_int64(int64 value)
{
	return DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(value)));
}

int
cl_numeric_compare(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

Numeric
cl_numeric_add(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add,
											   NumericGetDatum(a),
											   NumericGetDatum(b)));
}

Numeric
cl_numeric_sub(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub,
											   NumericGetDatum(a),
											   NumericGetDatum(b)));
}

Numeric
cl_numeric_mul(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_mul,
											   NumericGetDatum(a),
											   NumericGetDatum(b)));
}

/*
 * a / 10^digits, exactly: by a multiplication, since numeric division rounds.
 */
Numeric
cl_numeric_div_pow10(Numeric a, int digits)
{
	return cl_numeric_mul(a, int64_div_fast_to_numeric(1, digits));
}

Numeric
cl_numeric_trim(Numeric value)
{
	return DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale,
											   NumericGetDatum(value)));
}

bool
cl_numeric_is_zero(Numeric value)
{
	NumericParts parts;

	return open_numeric((struct varlena *) value, &parts) && parts.ndigits == 0;
}

bool
cl_numeric_is_negative(Numeric value)
{
	NumericParts parts;

	return open_numeric((struct varlena *) value, &parts) &&
		parts.negative && parts.ndigits > 0;
}
