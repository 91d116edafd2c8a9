/*-------------------------------------------------------------------------
 * sketch.c
 *	  The data structure behind the summary type.
 *
 * The rule that keeps it correct: what is packed is a pure function of the
 * multiset of values.  Order, grouping and the way partial results met must
 * leave no trace, so every decision here (keep the values or count buckets,
 * fixed-point or digits, which scale) looks at the multiset alone, and every
 * bucket boundary is an integer compared with integers.
 *
 * A value is a decimal number.  Nearly all are multiples of 1e-16 below 1e20,
 * and live in a 128-bit integer; the rest live as base-10000 digits and take
 * the slow road.  Groups of up to SKETCH_MAX_VALUES distinct values keep the
 * values with their multiplicities.  Larger ones keep the exact sum, minimum
 * and maximum, and a count per bucket.
 *
 * Buckets (after Masson, Rim and Lee, "DDSketch", VLDB 2019): each decade
 * from 1e-12 to 1e12 is cut in B parts of equal ratio.  Cut k of the finest
 * B, 1160, is 10^(k/1160) rounded to 8 significant digits; coarser sketches
 * use every 2nd, 5th, 10th or 20th of the same cuts, so that they can be made
 * from finer ones exactly.  The harmonic mean of a bucket's bounds is within
 * (u - l) / (u + l) of all values in it: 0.992464 % at most for B = 116.
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sketch.h"

#define likely(x)		__builtin_expect((x) != 0, 1)
#define unlikely(x)		__builtin_expect((x) != 0, 0)

typedef SketchNumber int128;
typedef unsigned __int128 uint128 __attribute__((aligned(8)));

/* Base-10000 digits, as PostgreSQL's numeric has them. */
#define NBASE			10000
#define NBASE_LOG10		4

/* The fixed-point numbers: 4 digits behind the point, at most 5 before it. */
#define FIXED_SCALE		SKETCH_FIXED_SCALE
#define FIXED_LOW		(-4)
#define FIXED_WEIGHT	4
#define FIXED_DIGITS	9

/* numeric's own limits; a sum of 2^63 values may have 5 digits more */
#define MAX_WEIGHT		32767
#define MIN_LOW			(-4096)
#define SUM_WEIGHT		(MAX_WEIGHT + 5)

/* Magnitudes below 10^MIN_DECADE count as zero; from 10^MAX_DECADE on as one. */
#define MIN_DECADE		(-12)
#define MAX_DECADE		12
#define FINEST			1160
#define SIGNIFICAND_LOW	10000000	/* 8 significant digits */

#define MAX_PENDING		16

typedef struct BigNumber
{
	int32_t		weight;			/* power of NBASE of the first digit */
	int32_t		ndigits;		/* none of them leading or trailing zeros */
	bool		negative;
	int16_t		digits[];
} BigNumber;

/* Any number, opened for reading. */
typedef struct Digits
{
	bool		negative;
	int			weight;
	int			ndigits;
	const int16_t *digits;
	int16_t		local[FIXED_DIGITS];
} Digits;

/*
 * A sum too large or too fine for 128 bits: signed limbs in base 10000, each
 * free to grow until carries are resolved.
 */
typedef struct WideSum
{
	void	   *arena;
	int32_t		low;			/* power of NBASE of limb 0 */
	int32_t		nlimbs;
	uint64_t	unresolved;		/* additions since the last carry */
	int64_t    *limbs;
} WideSum;

typedef struct Value
{
	SketchNumber number;
	uint64_t	count;
} Value;

/*
 * Counts of a contiguous range of buckets, as narrow as they allow.  The first
 * few are a log instead: the 16-bit index of each value's bucket, as they came.
 * Whoever reads counts reads those of a settled sketch, which has no logs.
 */
typedef struct Store
{
	void	   *counts;
	int16_t		first;			/* bucket of slot 0; entries of a log */
	int16_t		nslots;			/* there are no more than 27841 buckets */
	uint8_t		width;			/* log2 of the bytes of one count, or ... */
} Store;

#define WIDTH_LOG		4		/* ... this */
#define MAX_LOG			128

/* Of 128 bytes: one more, and PostgreSQL would allocate 256. */
struct Sketch
{
	SketchHead	head;			/* first: a Sketch is cast to it */
	void	   *arena;
	uint64_t	count;			/* of all that is not pending */
	Value	   *values;			/* ascending; until bucketed */
	/* the rest is used from then on */
	int128		fixed_sum;		/* the sum is this ... */
	WideSum    *wide_sum;		/* ... plus this, if it is there */
	SketchNumber minimum;
	SketchNumber maximum;
	uint64_t	zeros;
	Store	   *negative;		/* made when first needed */
	Store		positive;
};

_Static_assert(sizeof(Sketch) <= 128 || sizeof(void *) != 8,
			   "a sketch should fit in 128 bytes");

static const struct
{
	double		accuracy;
	const char *name;
	int			buckets;		/* per decade; divides FINEST */
}			accuracies[SKETCH_NUM_ACCURACIES] =
{
	{0.01, "0.01", 116},
	{0.02, "0.02", 58},
	{0.005, "0.005", 232},
	{0.002, "0.002", 580},
	{0.001, "0.001", 1160},
};

static const uint64_t pow10_64[] = {
	UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000),
	UINT64_C(10000), UINT64_C(100000), UINT64_C(1000000),
	UINT64_C(10000000), UINT64_C(100000000), UINT64_C(1000000000),
	UINT64_C(10000000000), UINT64_C(100000000000),
	UINT64_C(1000000000000), UINT64_C(10000000000000),
	UINT64_C(100000000000000), UINT64_C(1000000000000000),
	UINT64_C(10000000000000000), UINT64_C(100000000000000000),
	UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)
};

/*
 * cuts[k] is cut k of a decade, times 1e7.
 *
 * For the default accuracy and magnitudes of up to 64 bits, fast_start gives
 * the bucket of the smallest number that shares, as a double, the exponent
 * and 7 bits of the mantissa.  Such numbers are within 1/128 of each other,
 * less than the width of a bucket, so one comparison with fast_bound settles
 * it.
 */
#define FAST_BUCKETS	(16 * 116)
static bool tables_ready = false;
static uint32_t cuts[FINEST + 1];
static uint64_t fast_bound[FAST_BUCKETS + 1];
static uint16_t fast_start[64 * 128];

static void bucketed_add(Sketch *sketch, SketchNumber number, uint64_t times);

/* ----------
 * Accuracies and buckets
 * ----------
 */

static void
build_tables(void)
{
	/*
	 * 10^(1/1160) with 62 fractional bits.  The products below lose less than
	 * 1e-15; being integers, they lose the same on every machine.
	 */
	const uint64_t ratio = UINT64_C(0x40208de87cbe3dbf);
	uint64_t	power = UINT64_C(1) << 60;
	int			i = 0;

	for (int k = 0; k < FINEST; k++)
	{
		cuts[k] = (uint32_t)
			(((uint128) power * SIGNIFICAND_LOW + (UINT64_C(1) << 59)) >> 60);
		power = (uint64_t) (((uint128) power * ratio) >> 62);
	}
	cuts[FINEST] = 10 * SIGNIFICAND_LOW;

	for (int bucket = 0; bucket <= FAST_BUCKETS; bucket++)
	{
		int			decade = bucket / 116 + MIN_DECADE + FIXED_SCALE - 7;
		uint128		bound = cuts[bucket % 116 * 10];

		/* first integer not below the cut */
		if (decade >= 0)
			bound *= pow10_64[decade];
		else
			bound = (bound + pow10_64[-decade] - 1) / pow10_64[-decade];
		fast_bound[bucket] = bound > UINT64_MAX ? UINT64_MAX : (uint64_t) bound;
	}

	for (int cell = 0; cell < 64 * 128; cell++)
	{
		int			shift = cell / 128;
		uint64_t	least = (uint64_t)
			((((uint128) (128 + cell % 128)) << shift) >> 7);

		/* a number that a double cannot hold may be rounded up to it */
		least -= least >> 52;
		while (i + 1 < FAST_BUCKETS && least >= fast_bound[i + 1])
			i++;
		fast_start[cell] = (uint16_t) i;
	}
	tables_ready = true;
}

/* The code of an accuracy, or an error. */
int
cl_sketch_accuracy_code(double accuracy)
{
	for (int i = 0; i < SKETCH_NUM_ACCURACIES; i++)
	{
		if (accuracies[i].accuracy == accuracy)
			return i;
	}
	cl_sketch_error(SKETCH_BAD_ACCURACY, "accuracy %g is not supported",
					accuracy);
}

const char *
cl_sketch_accuracy_name(int accuracy)
{
	return accuracies[accuracy].name;
}

int
cl_sketch_buckets_per_decade(int accuracy)
{
	return accuracies[accuracy].buckets;
}

/* Index of the bucket of all magnitudes from 10^MAX_DECADE on. */
static inline int
end_index(int accuracy)
{
	return (MAX_DECADE - MIN_DECADE) * accuracies[accuracy].buckets;
}

/* The bucket of digits8 * 10^(decade - 7), or -1 for zero. */
static int
decimal_index(int accuracy, uint32_t digits8, int decade)
{
	int			buckets = accuracies[accuracy].buckets;
	int			step = FINEST / buckets;
	int			low = 0;
	int			high = buckets;

	if (decade < MIN_DECADE)
		return -1;
	if (decade >= MAX_DECADE)
		return end_index(accuracy);

	/* the last cut not above it; cut 0 never is */
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (digits8 >= cuts[middle * step])
			low = middle;
		else
			high = middle;
	}
	return (decade - MIN_DECADE) * buckets + low;
}

/* ----------
 * Numbers
 * ----------
 */

#define BIG_TAG		((int128) 1 << 120)

static inline bool
is_big(SketchNumber number)
{
	return (number >> 120) == 1;
}

static inline BigNumber *
big_number(SketchNumber number)
{
	return (BigNumber *) (uintptr_t) (uint64_t) number;
}

static inline SketchNumber
tag_big(BigNumber *big)
{
	return BIG_TAG | (int128) (uint64_t) (uintptr_t) big;
}

static inline uint128
magnitude_of(int128 fixed)
{
	return fixed < 0 ? -(uint128) fixed : (uint128) fixed;
}

static inline int
bit_length(uint128 n)
{
	uint64_t	high = (uint64_t) (n >> 64);
	uint64_t	low = (uint64_t) n;

	if (high != 0)
		return 128 - __builtin_clzll(high);
	return low == 0 ? 0 : 64 - __builtin_clzll(low);
}

static void
open_number(SketchNumber number, Digits *out)
{
	if (is_big(number))
	{
		const BigNumber *big = big_number(number);

		out->negative = big->negative;
		out->weight = big->weight;
		out->ndigits = big->ndigits;
		out->digits = big->digits;
	}
	else
	{
		uint128		rest = magnitude_of(number);
		int			high = FIXED_DIGITS;
		int			low = FIXED_DIGITS;

		while (rest != 0)
		{
			out->local[--high] = (int16_t) (rest % NBASE);
			rest /= NBASE;
		}
		while (low > high && out->local[low - 1] == 0)
			low--;
		out->negative = number < 0;
		out->weight = FIXED_WEIGHT - high;
		out->ndigits = low - high;
		out->digits = out->local + high;
	}
}

/* The number these digits make, in its one representation. */
static SketchNumber
make_number(void *arena, bool negative, int weight, int ndigits,
			const int16_t *digits)
{
	BigNumber  *big;

	while (ndigits > 0 && digits[0] == 0)
	{
		digits++;
		ndigits--;
		weight--;
	}
	while (ndigits > 0 && digits[ndigits - 1] == 0)
		ndigits--;
	if (ndigits == 0)
		return 0;

	if (weight <= FIXED_WEIGHT && weight - ndigits + 1 >= FIXED_LOW)
	{
		int128		fixed = 0;

		for (int i = 0; i < ndigits; i++)
			fixed = fixed * NBASE + digits[i];
		for (int i = weight - ndigits + 1; i > FIXED_LOW; i--)
			fixed *= NBASE;
		return negative ? -fixed : fixed;
	}

	big = cl_sketch_alloc(arena, sizeof(BigNumber) +
						  (size_t) ndigits * sizeof(int16_t));
	big->weight = weight;
	big->ndigits = ndigits;
	big->negative = negative;
	memcpy(big->digits, digits, (size_t) ndigits * sizeof(int16_t));
	return tag_big(big);
}

/* coefficient * 10^exponent, for coefficients of up to 16 digits */
static SketchNumber
scaled_number(void *arena, bool negative, uint64_t coefficient, int exponent)
{
	int			shift = ((exponent % NBASE_LOG10) + NBASE_LOG10) % NBASE_LOG10;
	int16_t		digits[5];

	coefficient *= pow10_64[shift];
	for (int i = 4; i >= 0; i--)
	{
		digits[i] = (int16_t) (coefficient % NBASE);
		coefficient /= NBASE;
	}
	return make_number(arena, negative, (exponent - shift) / NBASE_LOG10 + 4,
					   5, digits);
}

static SketchNumber
copy_number(void *arena, SketchNumber number)
{
	const BigNumber *big;

	if (likely(!is_big(number)))
		return number;
	big = big_number(number);
	return make_number(arena, big->negative, big->weight, big->ndigits,
					   big->digits);
}

static inline void
free_number(SketchNumber number)
{
	if (unlikely(is_big(number)))
		cl_sketch_free(big_number(number));
}

static int
compare_big(SketchNumber a, SketchNumber b)
{
	Digits		x;
	Digits		y;
	int			result = 0;

	open_number(a, &x);
	open_number(b, &y);
	if (x.ndigits == 0 || y.ndigits == 0 || x.negative != y.negative)
	{
		int			sign_x = x.ndigits == 0 ? 0 : x.negative ? -1 : 1;
		int			sign_y = y.ndigits == 0 ? 0 : y.negative ? -1 : 1;

		return (sign_x > sign_y) - (sign_x < sign_y);
	}

	if (x.weight != y.weight)
		result = x.weight > y.weight ? 1 : -1;
	for (int i = 0; result == 0 && (i < x.ndigits || i < y.ndigits); i++)
	{
		if (i >= x.ndigits || i >= y.ndigits)
			result = x.ndigits > y.ndigits ? 1 : -1;
		else if (x.digits[i] != y.digits[i])
			result = x.digits[i] > y.digits[i] ? 1 : -1;
	}
	return x.negative ? -result : result;
}

static inline int
compare_numbers(SketchNumber a, SketchNumber b)
{
	if (unlikely(is_big(a) || is_big(b)))
		return compare_big(a, b);
	return (a > b) - (a < b);
}

static inline bool
is_negative(SketchNumber number)
{
	return is_big(number) ? big_number(number)->negative : number < 0;
}

/* The bucket of a number's magnitude, or -1 for zero. */
static int
number_index(int accuracy, SketchNumber number)
{
	Digits		open;
	uint64_t	leading = 0;
	int			decimals;

	open_number(number, &open);
	if (open.ndigits == 0)
		return -1;

	/* three digits have at least 9 decimal ones, of which 8 decide */
	for (int i = 0; i < 3; i++)
		leading = leading * NBASE +
			(uint64_t) (i < open.ndigits ? open.digits[i] : 0);
	decimals = 1;
	while (leading >= pow10_64[decimals + 8])
		decimals++;
	return decimal_index(accuracy, (uint32_t) (leading / pow10_64[decimals]),
						 open.weight * NBASE_LOG10 + decimals - 1);
}

static int
number_key(int accuracy, SketchNumber number)
{
	int			index = number_index(accuracy, number);

	return is_negative(number) ? -(index + 1) : index + 1;
}

/* The smallest multiple of 1e-16 that is not in the bucket of zero. */
#define LEAST_FIXED		UINT64_C(10000)

/* The bucket of LEAST_FIXED <= n < 2^63 in units of 1e-16. */
static inline int
fast_index(uint64_t n)
{
	/*
	 * By way of a double: the instruction that finds the first bit waits for
	 * what its register held before, here the last number's bucket.
	 */
	double		approximate = (double) (int64_t) n;
	uint64_t	bits;
	int			index;

	memcpy(&bits, &approximate, sizeof(bits));
	index = fast_start[(bits >> 45) - (1023 << 7)];
	return index + (n >= fast_bound[index + 1]);
}

static int
fixed_index(int accuracy, uint64_t n)
{
	int			decade = 4;

	if (accuracy == SKETCH_DEFAULT_ACCURACY)
		return fast_index(n);

	while (decade < 19 && n >= pow10_64[decade + 1])
		decade++;
	return decimal_index(accuracy, decade >= 7
						 ? (uint32_t) (n / pow10_64[decade - 7])
						 : (uint32_t) (n * pow10_64[7 - decade]),
						 decade - FIXED_SCALE);
}

/* ----------
 * Sums beyond 128 bits
 * ----------
 */

/* Make room for limbs of the powers low .. high. */
static void
wide_reserve(WideSum *sum, int low, int high)
{
	int64_t    *limbs;
	int			nlimbs;

	if (sum->nlimbs > 0)
	{
		if (low >= sum->low && high < sum->low + sum->nlimbs)
			return;
		if (low > sum->low)
			low = sum->low;
		if (high < sum->low + sum->nlimbs - 1)
			high = sum->low + sum->nlimbs - 1;
	}

	nlimbs = high - low + 1;
	limbs = cl_sketch_alloc(sum->arena, (size_t) nlimbs * sizeof(int64_t));
	memset(limbs, 0, (size_t) nlimbs * sizeof(int64_t));
	if (sum->nlimbs > 0)
	{
		memcpy(limbs + (sum->low - low), sum->limbs,
			   (size_t) sum->nlimbs * sizeof(int64_t));
		cl_sketch_free(sum->limbs);
	}
	sum->limbs = limbs;
	sum->low = low;
	sum->nlimbs = nlimbs;
}

/* Resolve carries: all limbs but the last one, which has the sign, in 0..9999. */
static void
wide_resolve(WideSum *sum)
{
	int64_t		carry = 0;

	for (int i = 0; i < sum->nlimbs - 1; i++)
	{
		int64_t		limb = sum->limbs[i] + carry;

		carry = limb / NBASE;
		limb %= NBASE;
		if (limb < 0)
		{
			limb += NBASE;
			carry--;
		}
		sum->limbs[i] = limb;
	}
	sum->limbs[sum->nlimbs - 1] += carry;

	while (sum->limbs[sum->nlimbs - 1] >= NBASE ||
		   sum->limbs[sum->nlimbs - 1] < -NBASE)
	{
		int			top = sum->nlimbs - 1;
		int64_t		limb = sum->limbs[top] % NBASE;

		carry = sum->limbs[top] / NBASE;
		if (limb < 0)
		{
			limb += NBASE;
			carry--;
		}
		wide_reserve(sum, sum->low, sum->low + sum->nlimbs);
		sum->limbs[top] = limb;
		sum->limbs[top + 1] = carry;
	}
	sum->unresolved = 0;
}

/* Add the number times times, or subtract it. */
static void
wide_add(WideSum *sum, SketchNumber number, uint64_t times, bool subtract)
{
	Digits		open;
	int			low;

	open_number(number, &open);
	if (open.ndigits == 0)
		return;

	low = open.weight - open.ndigits + 1;
	wide_reserve(sum, low, open.weight + 6);
	for (int shift = 0; times > 0; shift++)
	{
		int64_t		factor = (int64_t) (times % NBASE);
		int64_t    *limbs = sum->limbs + (low - sum->low) + shift;

		times /= NBASE;
		if (open.negative != subtract)
			factor = -factor;
		for (int i = 0; i < open.ndigits; i++)
			limbs[i] += factor * open.digits[open.ndigits - 1 - i];
	}

	/* a step adds less than 2^30 to a limb, so this many cannot overflow it */
	if (++sum->unresolved > (UINT64_C(1) << 28))
		wide_resolve(sum);
	cl_sketch_check_interrupts();
}

static WideSum *
wide_create(void *arena)
{
	WideSum    *sum = cl_sketch_alloc(arena, sizeof(WideSum));

	memset(sum, 0, sizeof(WideSum));
	sum->arena = arena;
	return sum;
}

static void
wide_destroy(WideSum *sum)
{
	if (sum->nlimbs > 0)
		cl_sketch_free(sum->limbs);
	cl_sketch_free(sum);
}

/* -1, 0 or 1; resolves carries */
static int
wide_sign(WideSum *sum)
{
	if (sum->nlimbs == 0)
		return 0;
	wide_resolve(sum);
	if (sum->limbs[sum->nlimbs - 1] < 0)
		return -1;
	for (int i = 0; i < sum->nlimbs; i++)
	{
		if (sum->limbs[i] != 0)
			return 1;
	}
	return 0;
}

/* The sum as a number; resolves carries, and leaves a negative sum negated. */
static SketchNumber
wide_number(WideSum *sum, void *arena)
{
	int			sign = wide_sign(sum);
	int16_t    *digits;
	SketchNumber number;

	if (sign == 0)
		return 0;
	if (sign < 0)
	{
		for (int i = 0; i < sum->nlimbs; i++)
			sum->limbs[i] = -sum->limbs[i];
		wide_resolve(sum);
	}

	digits = cl_sketch_alloc(arena, (size_t) sum->nlimbs * sizeof(int16_t));
	for (int i = 0; i < sum->nlimbs; i++)
		digits[i] = (int16_t) sum->limbs[sum->nlimbs - 1 - i];
	number = make_number(arena, sign < 0, sum->low + sum->nlimbs - 1,
						 sum->nlimbs, digits);
	cl_sketch_free(digits);
	return number;
}

/* ----------
 * Stores of bucket counts
 * ----------
 */

static inline uint64_t
store_get(const Store *store, int slot)
{
	switch (store->width)
	{
		case 0:
			return ((const uint8_t *) store->counts)[slot];
		case 1:
			return ((const uint16_t *) store->counts)[slot];
		case 2:
			return ((const uint32_t *) store->counts)[slot];
		default:
			return ((const uint64_t *) store->counts)[slot];
	}
}

/* The first slot from this one on that has a count, or nslots. */
static inline int
next_used(const Store *store, int slot)
{
	int			step = 8 >> store->width;

	/* few values leave wide gaps */
	for (; slot + step <= store->nslots; slot += step)
	{
		uint64_t	counts;

		memcpy(&counts, (const char *) store->counts +
			   ((size_t) slot << store->width), sizeof(counts));
		if (counts != 0)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			return slot + (__builtin_ctzll(counts) >> (3 + store->width));
#else
			return slot + (__builtin_clzll(counts) >> (3 + store->width));
#endif
	}
	while (slot < store->nslots && store_get(store, slot) == 0)
		slot++;
	return slot;
}

static inline void
store_set(Store *store, int slot, uint64_t count)
{
	switch (store->width)
	{
		case 0:
			((uint8_t *) store->counts)[slot] = (uint8_t) count;
			break;
		case 1:
			((uint16_t *) store->counts)[slot] = (uint16_t) count;
			break;
		case 2:
			((uint32_t *) store->counts)[slot] = (uint32_t) count;
			break;
		default:
			((uint64_t *) store->counts)[slot] = count;
			break;
	}
}

static void store_reserve(Store *store, void *arena, int limit, int first,
						  int last);

/* Turn a log into counts, with room for buckets first .. last as well. */
static void
log_to_counts(Store *store, void *arena, int limit, int first, int last)
{
	uint16_t   *log = store->counts;
	int			n = store->first;

	for (int i = 0; i < n; i++)
	{
		first = log[i] < first ? log[i] : first;
		last = log[i] > last ? log[i] : last;
	}
	memset(store, 0, sizeof(Store));
	store_reserve(store, arena, limit, first, last);
	for (int i = 0; i < n; i++)
		((uint8_t *) store->counts)[log[i] - store->first]++;
	cl_sketch_free(log);
}

/* Add entries to a log, or to what is not yet one, if they have room. */
static bool
log_add(Store *store, void *arena, int index, uint64_t times)
{
	uint16_t   *log = store->counts;

	if (times > (uint64_t) (MAX_LOG - store->first))
		return false;
	while (store->first + (int) times > store->nslots)
	{
		store->nslots = (int16_t) (store->nslots == 0 ? 32 : 2 * store->nslots);
		if (log == NULL)
			log = cl_sketch_alloc(arena, (size_t) store->nslots * sizeof(uint16_t));
		else
			log = cl_sketch_realloc(log, (size_t) store->nslots * sizeof(uint16_t));
	}
	for (; times > 0; times--)
		log[store->first++] = (uint16_t) index;
	store->counts = log;
	store->width = WIDTH_LOG;
	return true;
}

/*
 * Make room for buckets first .. last of all limit ones.  Arrays are powers
 * of two, which is what allocators give anyway, and grow where they had to.
 */
static void
store_reserve(Store *store, void *arena, int limit, int first, int last)
{
	bool		downwards;
	void	   *counts;
	size_t		size = 64;
	int			nslots;

	if (unlikely(store->width == WIDTH_LOG))
	{
		log_to_counts(store, arena, limit, first, last);
		return;
	}
	downwards = store->nslots > 0 && first < store->first;
	if (store->nslots > 0)
	{
		if (first >= store->first && last < store->first + store->nslots)
			return;
		if (first > store->first)
			first = store->first;
		if (last < store->first + store->nslots - 1)
			last = store->first + store->nslots - 1;
	}

	while (size < (size_t) (last - first + 1) << store->width)
		size *= 2;
	nslots = (int) (size >> store->width);
	if (store->nslots == 0)
		first -= (nslots - (last - first + 1)) / 2;
	else if (downwards)
		first = last + 1 - nslots;
	if (first + nslots > limit)
		first = limit - nslots;
	if (first < 0)
	{
		first = 0;
		if (nslots > limit)
			nslots = limit;
	}

	counts = cl_sketch_alloc(arena, (size_t) nslots << store->width);
	memset(counts, 0, (size_t) nslots << store->width);
	if (store->nslots > 0)
	{
		memcpy((char *) counts +
			   ((size_t) (store->first - first) << store->width),
			   store->counts, (size_t) store->nslots << store->width);
		cl_sketch_free(store->counts);
	}
	store->counts = counts;
	store->first = (int16_t) first;
	store->nslots = (int16_t) nslots;
}

/* Double the width of the counts until this one fits. */
static void
store_widen(Store *store, void *arena, uint64_t count)
{
	Store		wide = *store;

	while (wide.width < 3 && count >> (8 << wide.width) != 0)
		wide.width++;
	wide.counts = cl_sketch_alloc(arena, (size_t) wide.nslots << wide.width);
	for (int i = 0; i < store->nslots; i++)
		store_set(&wide, i, store_get(store, i));
	cl_sketch_free(store->counts);
	*store = wide;
}

static void
store_add(Store *store, void *arena, int limit, int index, uint64_t times)
{
	uint64_t	count;

	if ((store->counts == NULL || store->width == WIDTH_LOG) &&
		log_add(store, arena, index, times))
		return;
	store_reserve(store, arena, limit, index, index);
	count = store_get(store, index - store->first) + times;
	if (unlikely(store->width < 3 && count >> (8 << store->width) != 0))
		store_widen(store, arena, count);
	store_set(store, index - store->first, count);
}

static Store *
negative_store(Sketch *sketch)
{
	if (sketch->negative == NULL)
	{
		sketch->negative = cl_sketch_alloc(sketch->arena, sizeof(Store));
		memset(sketch->negative, 0, sizeof(Store));
	}
	return sketch->negative;
}

static void
add_to_key(Sketch *sketch, int key, uint64_t times)
{
	int			limit = end_index(sketch->head.accuracy) + 1;

	if (key > 0)
		store_add(&sketch->positive, sketch->arena, limit, key - 1, times);
	else if (key < 0)
		store_add(negative_store(sketch), sketch->arena, limit, -key - 1,
				  times);
	else
		sketch->zeros += times;
}

/* ----------
 * Filling a sketch
 * ----------
 */

Sketch *
cl_sketch_create(void *arena, int accuracy)
{
	Sketch	   *sketch = cl_sketch_alloc(arena, sizeof(Sketch));

	if (unlikely(!tables_ready))
		build_tables();
	memset(sketch, 0, sizeof(Sketch));
	sketch->arena = arena;
	sketch->head.accuracy = (uint8_t) accuracy;
	return sketch;
}

void
cl_sketch_destroy(Sketch *sketch)
{
	if (sketch->head.pending != NULL)
		cl_sketch_free(sketch->head.pending);
	for (int i = 0; i < sketch->head.nvalues; i++)
		free_number(sketch->values[i].number);
	if (sketch->values != NULL)
		cl_sketch_free(sketch->values);
	if (sketch->head.bucketed)
	{
		free_number(sketch->minimum);
		free_number(sketch->maximum);
	}
	if (sketch->wide_sum != NULL)
		wide_destroy(sketch->wide_sum);
	if (sketch->positive.nslots > 0)
		cl_sketch_free(sketch->positive.counts);
	if (sketch->negative != NULL)
	{
		if (sketch->negative->nslots > 0)
			cl_sketch_free(sketch->negative->counts);
		cl_sketch_free(sketch->negative);
	}
	cl_sketch_free(sketch);
}

static inline void
count_values(Sketch *sketch, uint64_t times)
{
	if (unlikely(times > (uint64_t) INT64_MAX - sketch->count))
		cl_sketch_error(SKETCH_TOO_MANY,
						"a summary cannot hold more than %lld values",
						(long long) INT64_MAX);
	sketch->count += times;
}

/* The part of the sum that does not fit goes where everything fits. */
static void
spill_sum(Sketch *sketch)
{
	if (sketch->wide_sum == NULL)
		sketch->wide_sum = wide_create(sketch->arena);

	/* in two steps: the sum may be larger than a number is allowed to be */
	wide_add(sketch->wide_sum, sketch->fixed_sum / NBASE, NBASE, false);
	wide_add(sketch->wide_sum, sketch->fixed_sum % NBASE, 1, false);
	sketch->fixed_sum = 0;
}

static void
add_to_sum(Sketch *sketch, SketchNumber number, uint64_t times)
{
	int128		sum;

	if (!is_big(number) &&
		bit_length(magnitude_of(number)) +
		bit_length((uint128) times) <= 126)
	{
		if (__builtin_add_overflow(sketch->fixed_sum,
								   number * (int128) times, &sum))
		{
			spill_sum(sketch);
			sum = number * (int128) times;
		}
		sketch->fixed_sum = sum;
		return;
	}
	if (sketch->wide_sum == NULL)
		sketch->wide_sum = wide_create(sketch->arena);
	wide_add(sketch->wide_sum, number, times, false);
}

static void
widen_range(Sketch *sketch, SketchNumber low, SketchNumber high)
{
	if (compare_numbers(low, sketch->minimum) < 0)
	{
		SketchNumber old = sketch->minimum;

		sketch->minimum = copy_number(sketch->arena, low);
		free_number(old);
	}
	if (compare_numbers(high, sketch->maximum) > 0)
	{
		SketchNumber old = sketch->maximum;

		sketch->maximum = copy_number(sketch->arena, high);
		free_number(old);
	}
}

/*
 * From values to buckets.  A sketch that has seen no value yet is given the
 * range of those to come.
 */
static void
start_buckets(Sketch *sketch, SketchNumber low, SketchNumber high)
{
	Value	   *values = sketch->values;
	int			nvalues = sketch->head.nvalues;

	if (nvalues > 0)
	{
		low = values[0].number;
		high = values[nvalues - 1].number;
	}
	sketch->head.bucketed = true;
	sketch->values = NULL;
	sketch->head.nvalues = 0;
	sketch->head.max_values = 0;
	sketch->minimum = copy_number(sketch->arena, low);
	sketch->maximum = copy_number(sketch->arena, high);
	for (int i = 0; i < nvalues; i++)
	{
		bucketed_add(sketch, values[i].number, values[i].count);
		free_number(values[i].number);
	}
	if (values != NULL)
		cl_sketch_free(values);
}

/* Not counted here: see its callers. */
static void
bucketed_add(Sketch *sketch, SketchNumber number, uint64_t times)
{
	add_to_sum(sketch, number, times);
	widen_range(sketch, number, number);
	add_to_key(sketch, number_key(sketch->head.accuracy, number), times);
}

static void
add_number(Sketch *sketch, SketchNumber number, uint64_t times)
{
	int			low = 0;
	int			high = sketch->head.nvalues;

	count_values(sketch, times);
	if (sketch->head.bucketed)
	{
		bucketed_add(sketch, number, times);
		return;
	}

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (compare_numbers(sketch->values[middle].number, number) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < sketch->head.nvalues &&
		compare_numbers(sketch->values[low].number, number) == 0)
	{
		sketch->values[low].count += times;
		return;
	}
	if (sketch->head.nvalues == SKETCH_MAX_VALUES)
	{
		start_buckets(sketch, number, number);
		bucketed_add(sketch, number, times);
		return;
	}
	if (sketch->head.nvalues == sketch->head.max_values)
	{
		int			capacity = sketch->head.max_values == 0 ? 5 :
			sketch->head.max_values == 5 ? 10 : SKETCH_MAX_VALUES;
		size_t		size = (size_t) capacity * sizeof(Value);

		if (sketch->values == NULL)
			sketch->values = cl_sketch_alloc(sketch->arena, size);
		else
			sketch->values = cl_sketch_realloc(sketch->values, size);
		sketch->head.max_values = (uint8_t) capacity;
	}
	memmove(sketch->values + low + 1, sketch->values + low,
			(size_t) (sketch->head.nvalues - low) * sizeof(Value));
	sketch->values[low].number = copy_number(sketch->arena, number);
	sketch->values[low].count = times;
	sketch->head.nvalues++;
}

/* Count these buckets once each. */
#define COUNT_INDEXES(type, max) \
	for (int i = 0; i < n; i++) \
	{ \
		unsigned	slot = (unsigned) (indexes[i] - first); \
\
		if (likely(slot < nslots && ((type *) counts)[slot] != (max))) \
			((type *) counts)[slot]++; \
		else \
		{ \
			/* moves or widens the counts, so begin anew from here */ \
			store_add(store, sketch->arena, limit, indexes[i], 1); \
			indexes += i + 1; \
			n -= i + 1; \
			goto again; \
		} \
	}

static void
count_indexes(Sketch *sketch, Store *store, const int *indexes, int n)
{
	int			limit = end_index(sketch->head.accuracy) + 1;
	void	   *counts;
	int			first;
	unsigned	nslots;

	while (n > 0 && (store->counts == NULL || store->width == WIDTH_LOG))
	{
		store_add(store, sketch->arena, limit, *indexes++, 1);
		n--;
	}
again:
	counts = store->counts;
	first = store->first;
	nslots = (unsigned) store->nslots;
	switch (store->width)
	{
		case 0:
			COUNT_INDEXES(uint8_t, UINT8_MAX);
			break;
		case 1:
			COUNT_INDEXES(uint16_t, UINT16_MAX);
			break;
		case 2:
			COUNT_INDEXES(uint32_t, UINT32_MAX);
			break;
		default:
			COUNT_INDEXES(uint64_t, UINT64_MAX);
			break;
	}
}

/* Give all that is pending its place. */
static void
place_pending(Sketch *sketch)
{
	const int64_t *numbers = sketch->head.pending;
	int			n = sketch->head.npending;
	int			indexes[MAX_PENDING];
	int			nindexes = 0;
	int64_t		low;
	int64_t		high;
	int128		batch = 0;
	int128		sum;

	sketch->head.npending = 0;
	for (; n > 0 && !sketch->head.bucketed; n--)
		add_number(sketch, *numbers++, 1);
	if (n == 0)
		return;

	count_values(sketch, (uint64_t) n);

	/* nearly always, all are positive and in the range there already is */
	if (likely(sketch->head.accuracy == SKETCH_DEFAULT_ACCURACY &&
			   !is_big(sketch->minimum) && !is_big(sketch->maximum) &&
			   sketch->minimum <= INT64_MAX &&
			   sketch->maximum >= (int64_t) LEAST_FIXED))
	{
		uint64_t	range;

		low = sketch->minimum < (int64_t) LEAST_FIXED ?
			(int64_t) LEAST_FIXED : (int64_t) sketch->minimum;
		high = sketch->maximum > INT64_MAX ?
			INT64_MAX : (int64_t) sketch->maximum;
		range = (uint64_t) high - (uint64_t) low;
		for (; nindexes < n; nindexes++)
		{
			int64_t		number = numbers[nindexes];

			if (unlikely((uint64_t) number - (uint64_t) low > range))
				break;
			batch += number;
			indexes[nindexes] = fast_index((uint64_t) number);
		}
	}

	if (unlikely(nindexes < n))
	{
		nindexes = 0;
		batch = 0;
		low = INT64_MAX;
		high = INT64_MIN;
		for (int i = 0; i < n; i++)
		{
			int64_t		number = numbers[i];

			batch += number;
			low = number < low ? number : low;
			high = number > high ? number : high;
			if (likely(number >= (int64_t) LEAST_FIXED))
				indexes[nindexes++] = fixed_index(sketch->head.accuracy,
												  (uint64_t) number);
			else if (number > -(int64_t) LEAST_FIXED)
				sketch->zeros++;
			else
			{
				int			index = fixed_index(sketch->head.accuracy,
												(uint64_t) -number);

				count_indexes(sketch, negative_store(sketch), &index, 1);
			}
		}
		widen_range(sketch, low, high);
	}
	if (unlikely(__builtin_add_overflow(sketch->fixed_sum, batch, &sum)))
	{
		spill_sum(sketch);
		sum = batch;
	}
	sketch->fixed_sum = sum;
	count_indexes(sketch, &sketch->positive, indexes, nindexes);
}

/* Nothing pending, and no logs. */
void
cl_sketch_settle(Sketch *sketch)
{
	int			limit = end_index(sketch->head.accuracy) + 1;

	place_pending(sketch);
	if (sketch->positive.width == WIDTH_LOG)
		log_to_counts(&sketch->positive, sketch->arena, limit, limit - 1, 0);
	if (sketch->negative != NULL && sketch->negative->width == WIDTH_LOG)
		log_to_counts(sketch->negative, sketch->arena, limit, limit - 1, 0);
}

static void __attribute__((noinline))
add_fixed_full(Sketch *sketch, int64_t number)
{
	size_t		capacity = sketch->head.max_pending;

	if (capacity == MAX_PENDING)
		place_pending(sketch);
	else
	{
		capacity = capacity == 0 ? 4 : 2 * capacity;
		if (sketch->head.pending == NULL)
			sketch->head.pending = cl_sketch_alloc(sketch->arena,
											  capacity * sizeof(int64_t));
		else
			sketch->head.pending = cl_sketch_realloc(sketch->head.pending,
												capacity * sizeof(int64_t));
		sketch->head.max_pending = (uint8_t) capacity;
	}
	sketch->head.pending[sketch->head.npending++] = number;
}

static inline void
add_fixed(Sketch *sketch, int64_t number)
{
	if (unlikely(!cl_sketch_leave(sketch, number)))
		add_fixed_full(sketch, number);
}

/* Add number * 1e-16, for any number but INT64_MIN. */
void
cl_sketch_add_fixed(Sketch *sketch, int64_t number)
{
	add_fixed(sketch, number);
}

static inline void
add_fixed128(Sketch *sketch, int128 number)
{
	if (likely(number == (int64_t) number && number != INT64_MIN))
		add_fixed(sketch, (int64_t) number);
	else
		add_number(sketch, number, 1);
}

void
cl_sketch_add_int64(Sketch *sketch, int64_t value)
{
	add_fixed128(sketch, (int128) value * (int64_t) pow10_64[FIXED_SCALE]);
}

static void
add_decimal_slow(Sketch *sketch, bool negative, int weight, int ndigits,
				 const void *digits)
{
	int			low = weight - ndigits + 1;

	if (ndigits == 0)
		add_fixed(sketch, 0);
	else if (weight <= FIXED_WEIGHT && low >= FIXED_LOW)
	{
		const char *next = digits;
		int128		n = 0;

		for (int i = 0; i < ndigits; i++)
		{
			uint16_t	digit;

			memcpy(&digit, next, sizeof(digit));
			next += sizeof(digit);
			n = n * NBASE + digit;
		}
		for (; low > FIXED_LOW; low--)
			n *= NBASE;
		add_fixed128(sketch, negative ? -n : n);
	}
	else
	{
		size_t		size = (size_t) ndigits * sizeof(int16_t);
		int16_t    *aligned = cl_sketch_alloc(sketch->arena, size);
		SketchNumber number;

		memcpy(aligned, digits, size);
		number = make_number(sketch->arena, negative, weight, ndigits,
							 aligned);
		cl_sketch_free(aligned);
		add_number(sketch, number, 1);
		free_number(number);
	}
}

/*
 * Add a number of base-10000 digits, the first of which counts
 * NBASE^weight.  The digits need not be aligned.
 */
void
cl_sketch_add_decimal(Sketch *sketch, bool negative, int weight, int ndigits,
					  const void *digits)
{
	const char *next = digits;
	uint16_t	digit;
	uint64_t	n;

	if (likely(weight <= 0 && weight - ndigits + 1 >= FIXED_LOW &&
			   ndigits > 0))
	{
		memcpy(&digit, next, sizeof(digit));
		n = digit;
		/* from 922 on it may not fit */
		if (likely(weight < 0 || n < 900))
		{
			for (int i = ndigits - 1; i > 0; i--)
			{
				next += sizeof(digit);
				memcpy(&digit, next, sizeof(digit));
				n = n * NBASE + digit;
			}
			n *= pow10_64[NBASE_LOG10 *
						  (weight - ndigits + 1 - FIXED_LOW)];
			add_fixed(sketch, negative ? -(int64_t) n : (int64_t) n);
			return;
		}
	}
	add_decimal_slow(sketch, negative, weight, ndigits, digits);
}

/* Add mantissa * 2^exponent, for doubles no 128 bits can hold. */
static void
add_large_double(Sketch *sketch, bool negative, uint64_t mantissa,
				 int exponent)
{
	uint32_t	limbs[80] = {0};	/* least significant first */
	int16_t		digits[80];
	int			nlimbs = 0;
	SketchNumber number;

	for (; mantissa > 0; mantissa /= NBASE)
		limbs[nlimbs++] = (uint32_t) (mantissa % NBASE);
	while (exponent > 0)
	{
		int			step = exponent < 16 ? exponent : 16;
		uint32_t	carry = 0;

		for (int i = 0; i < nlimbs; i++)
		{
			carry += limbs[i] << step;
			limbs[i] = carry % NBASE;
			carry /= NBASE;
		}
		for (; carry > 0; carry /= NBASE)
			limbs[nlimbs++] = carry % NBASE;
		exponent -= step;
	}
	for (int i = 0; i < nlimbs; i++)
		digits[i] = (int16_t) limbs[nlimbs - 1 - i];
	number = make_number(sketch->arena, negative, nlimbs - 1, nlimbs, digits);
	add_number(sketch, number, 1);
	free_number(number);
}

/* Add the multiple of 1e-15 next to the value (ties go away from zero). */
void
cl_sketch_add_double(Sketch *sketch, double value)
{
	uint64_t	bits;
	uint64_t	mantissa;
	int			exponent;
	bool		negative;
	uint128		n;

	memcpy(&bits, &value, sizeof(bits));
	negative = bits >> 63 != 0;
	exponent = (int) (bits >> 52 & 0x7ff);
	mantissa = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
	if (unlikely(exponent == 0x7ff))
		cl_sketch_error(SKETCH_NOT_FINITE, "cannot summarize %s",
						isnan(value) ? "NaN" : "infinity");

	exponent -= 1075;			/* value = mantissa * 2^exponent */
	n = (uint128) mantissa * pow10_64[15];
	if (likely(exponent < 0 && exponent > -120))
	{
		/* below 2^53 * 1e15, which needs 103 bits */
		n = ((n >> (-exponent - 1)) + 1) >> 1;
		if (likely(n < INT64_MAX / 10))
		{
			add_fixed(sketch, negative ? -10 * (int64_t) n : 10 * (int64_t) n);
			return;
		}
	}
	else if (exponent < 0)
		n = 0;
	else if (exponent <= 13)
		n <<= exponent;
	else
	{
		add_large_double(sketch, negative, mantissa, exponent);
		return;
	}
	n *= 10;
	add_fixed128(sketch, negative ? -(int128) n : (int128) n);
}

/* ----------
 * Merging
 * ----------
 */

static void
check_like_accuracy(const Sketch *into, int accuracy)
{
	if (unlikely(into->head.accuracy != accuracy))
		cl_sketch_error(SKETCH_UNLIKE_ACCURACY,
						"cannot merge summaries of accuracy %s and %s",
						accuracies[into->head.accuracy].name,
						accuracies[accuracy].name);
}

static void
merge_store(Sketch *into, Store *to, const Store *from)
{
	int			limit = end_index(into->head.accuracy) + 1;

	if (from->width == WIDTH_LOG)
	{
		for (int i = 0; i < from->first; i++)
			store_add(to, into->arena, limit, ((uint16_t *) from->counts)[i], 1);
		return;
	}
	for (int i = next_used(from, 0); i < from->nslots;
		 i = next_used(from, i + 1))
		store_add(to, into->arena, limit, from->first + i, store_get(from, i));
}

void
cl_sketch_merge(Sketch *into, const Sketch *from)
{
	SketchNumber total;

	check_like_accuracy(into, from->head.accuracy);
	for (int i = 0; i < from->head.npending; i++)
		add_fixed(into, from->head.pending[i]);
	if (!from->head.bucketed)
	{
		for (int i = 0; i < from->head.nvalues; i++)
			add_number(into, from->values[i].number, from->values[i].count);
		return;
	}

	count_values(into, from->count);
	if (!into->head.bucketed)
		start_buckets(into, from->minimum, from->maximum);
	total = cl_sketch_total(from, into->arena);
	add_to_sum(into, total, 1);
	free_number(total);
	widen_range(into, from->minimum, from->maximum);
	into->zeros += from->zeros;
	merge_store(into, &into->positive, &from->positive);
	if (from->negative != NULL)
		merge_store(into, negative_store(into), from->negative);
	cl_sketch_check_interrupts();
}

typedef struct CoarsenContext
{
	Sketch	   *sketch;
	int			step;
} CoarsenContext;

static void
coarsen_bucket(void *context, int key, int64_t count)
{
	CoarsenContext *coarsen = context;

	if (key > 0)
		key = (key - 1) / coarsen->step + 1;
	else if (key < 0)
		key = -((-key - 1) / coarsen->step + 1);
	add_to_key(coarsen->sketch, key, (uint64_t) count);
}

/*
 * The sketch of the same values at a coarser accuracy, exactly as if they had
 * been summarized at that.
 */
Sketch *
cl_sketch_coarsen(void *arena, const Sketch *sketch, int accuracy)
{
	Sketch	   *result = cl_sketch_create(arena, accuracy);
	CoarsenContext context;
	SketchNumber total;

	context.sketch = result;
	context.step = accuracies[sketch->head.accuracy].buckets /
		accuracies[accuracy].buckets;
	if (context.step * accuracies[accuracy].buckets !=
		accuracies[sketch->head.accuracy].buckets)
		cl_sketch_error(SKETCH_NOT_COARSER,
						"a summary of accuracy %s cannot be brought to %s",
						accuracies[sketch->head.accuracy].name,
						accuracies[accuracy].name);

	if (!sketch->head.bucketed)
	{
		for (int i = 0; i < sketch->head.nvalues; i++)
			add_number(result, sketch->values[i].number,
					   sketch->values[i].count);
		return result;
	}

	result->count = sketch->count;
	start_buckets(result, sketch->minimum, sketch->maximum);
	total = cl_sketch_total(sketch, arena);
	add_to_sum(result, total, 1);
	free_number(total);
	cl_sketch_each_bucket(sketch, coarsen_bucket, &context);
	cl_sketch_settle(result);
	return result;
}

/* ----------
 * Questions
 * ----------
 */

int
cl_sketch_accuracy(const Sketch *sketch)
{
	return sketch->head.accuracy;
}

/* Are all values still there? */
bool
cl_sketch_is_exact(const Sketch *sketch)
{
	return !sketch->head.bucketed;
}

int64_t
cl_sketch_count(const Sketch *sketch)
{
	return (int64_t) sketch->count;
}

SketchNumber
cl_sketch_total(const Sketch *sketch, void *arena)
{
	Sketch		sum;
	WideSum    *wide;
	SketchNumber total;

	if (sketch->head.bucketed && sketch->wide_sum == NULL &&
		magnitude_of(sketch->fixed_sum) < (uint128) pow10_64[18] * pow10_64[18])
		return sketch->fixed_sum;

	/* sum up in a copy, so that the sketch stays as it is */
	memset(&sum, 0, sizeof(sum));
	sum.arena = arena;
	if (!sketch->head.bucketed)
	{
		for (int i = 0; i < sketch->head.nvalues; i++)
			add_to_sum(&sum, sketch->values[i].number,
					   sketch->values[i].count);
		if (sum.wide_sum == NULL &&
			magnitude_of(sum.fixed_sum) <
			(uint128) pow10_64[18] * pow10_64[18])
			return sum.fixed_sum;
	}
	else
		sum.fixed_sum = sketch->fixed_sum;
	spill_sum(&sum);
	wide = sum.wide_sum;
	if (sketch->wide_sum != NULL && sketch->wide_sum->nlimbs > 0)
	{
		const WideSum *from = sketch->wide_sum;

		wide_reserve(wide, from->low, from->low + from->nlimbs - 1);
		for (int i = 0; i < from->nlimbs; i++)
			wide->limbs[from->low - wide->low + i] += from->limbs[i];
	}
	total = wide_number(wide, arena);
	wide_destroy(wide);
	return total;
}

SketchNumber
cl_sketch_minimum(const Sketch *sketch)
{
	return sketch->head.bucketed ? sketch->minimum : sketch->values[0].number;
}

SketchNumber
cl_sketch_maximum(const Sketch *sketch)
{
	return sketch->head.bucketed ? sketch->maximum :
		sketch->values[sketch->head.nvalues - 1].number;
}

int
cl_sketch_max_key(int accuracy)
{
	return end_index(accuracy) + 1;
}

/* The lower bound of a bucket of magnitudes; the end bucket has no upper one. */
SketchNumber
cl_sketch_bucket_bound(int accuracy, int index, void *arena)
{
	int			buckets = accuracies[accuracy].buckets;

	return scaled_number(arena, false,
						 cuts[index % buckets * (FINEST / buckets)],
						 index / buckets + MIN_DECADE - 7);
}

/*
 * The one value that stands for all of a bucket: the harmonic mean of its
 * bounds, to 6 significant digits (which costs 5e-6 of the accuracy).
 */
static SketchNumber
estimate(const Sketch *sketch, int key, void *arena)
{
	int			buckets = accuracies[sketch->head.accuracy].buckets;
	int			step = FINEST / buckets;
	int			index = (key > 0 ? key : -key) - 1;
	SketchNumber number;

	if (key == 0)
		number = 0;
	else if (index == end_index(sketch->head.accuracy))
		return copy_number(arena, key > 0 ? sketch->maximum : sketch->minimum);
	else
	{
		uint64_t	lower = cuts[index % buckets * step];
		uint64_t	upper = cuts[index % buckets * step + step];
		uint64_t	mean = (2 * lower * upper + (lower + upper) * 50) /
			((lower + upper) * 100);

		number = scaled_number(arena, key < 0, mean,
							   index / buckets + MIN_DECADE - 5);
	}

	/* the true value is in this range, so this only brings it nearer */
	if (compare_numbers(number, sketch->minimum) < 0)
		return copy_number(arena, sketch->minimum);
	if (compare_numbers(number, sketch->maximum) > 0)
		return copy_number(arena, sketch->maximum);
	return number;
}

/*
 * The smallest value such that at least this fraction of all values are not
 * above it, as percentile_disc has it, or an estimate of that.
 */
SketchNumber
cl_sketch_quantile(const Sketch *sketch, void *arena, double fraction)
{
	double		position;
	uint64_t	rank;
	uint64_t	seen = 0;

	if (!(fraction >= 0 && fraction <= 1))
		cl_sketch_error(SKETCH_BAD_FRACTION, "fraction %g is not between 0 and 1",
						fraction);

	/* the very expression of percentile_disc, so that both agree on rounding */
	position = ceil(fraction * (double) (int64_t) sketch->count);
	if (position <= 1)
		rank = 1;
	else if (position >= (double) (int64_t) sketch->count)
		rank = sketch->count;
	else
		rank = (uint64_t) position;

	if (!sketch->head.bucketed)
	{
		int			i = 0;

		while ((seen += sketch->values[i].count) < rank)
			i++;
		return copy_number(arena, sketch->values[i].number);
	}

	if (rank == 1)
		return copy_number(arena, sketch->minimum);
	if (rank == sketch->count)
		return copy_number(arena, sketch->maximum);
	if (sketch->negative != NULL)
	{
		const Store *store = sketch->negative;

		for (int i = store->nslots - 1; i >= 0; i--)
		{
			if ((seen += store_get(store, i)) >= rank)
				return estimate(sketch, -(store->first + i + 1), arena);
		}
	}
	if ((seen += sketch->zeros) >= rank)
		return estimate(sketch, 0, arena);
	for (int i = 0; i < sketch->positive.nslots; i++)
	{
		if ((seen += store_get(&sketch->positive, i)) >= rank)
			return estimate(sketch, sketch->positive.first + i + 1, arena);
	}
	return copy_number(arena, sketch->maximum); /* not reached */
}

void
cl_sketch_each_bucket(const Sketch *sketch, SketchBucketCallback callback,
					  void *context)
{
	if (!sketch->head.bucketed)
	{
		for (int i = 0; i < sketch->head.nvalues;)
		{
			int			key = number_key(sketch->head.accuracy,
										 sketch->values[i].number);
			uint64_t	count = 0;

			for (; i < sketch->head.nvalues &&
				 number_key(sketch->head.accuracy,
							sketch->values[i].number) == key; i++)
				count += sketch->values[i].count;
			callback(context, key, (int64_t) count);
		}
		return;
	}

	if (sketch->negative != NULL)
	{
		const Store *store = sketch->negative;

		for (int i = store->nslots - 1; i >= 0; i--)
		{
			uint64_t	count = store_get(store, i);

			if (count > 0)
				callback(context, -(store->first + i + 1), (int64_t) count);
		}
	}
	if (sketch->zeros > 0)
		callback(context, 0, (int64_t) sketch->zeros);
	for (int i = next_used(&sketch->positive, 0); i < sketch->positive.nslots;
		 i = next_used(&sketch->positive, i + 1))
		callback(context, sketch->positive.first + i + 1,
				 (int64_t) store_get(&sketch->positive, i));
}

typedef struct CountContext
{
	int			key;
	int64_t		count;
} CountContext;

static void
count_bucket(void *context, int key, int64_t count)
{
	CountContext *counting = context;

	if (key <= counting->key)
		counting->count += count;
}

/*
 * How many values are not above this number.  Among buckets, its whole bucket
 * counts, so the answer is exact for a number within the accuracy of it.
 */
int64_t
cl_sketch_count_up_to(const Sketch *sketch, bool negative, int weight,
					  int ndigits, const void *digits)
{
	Sketch	   *single = cl_sketch_create(sketch->arena, sketch->head.accuracy);
	SketchNumber number;
	CountContext context = {0, 0};

	cl_sketch_add_decimal(single, negative, weight, ndigits, digits);
	cl_sketch_settle(single);
	number = single->values[0].number;
	if (!sketch->head.bucketed)
	{
		for (int i = 0; i < sketch->head.nvalues; i++)
		{
			if (compare_numbers(sketch->values[i].number, number) <= 0)
				context.count += (int64_t) sketch->values[i].count;
		}
	}
	else if (compare_numbers(number, sketch->maximum) >= 0)
		context.count = (int64_t) sketch->count;
	else if (compare_numbers(number, sketch->minimum) >= 0)
	{
		context.key = number_key(sketch->head.accuracy, number);
		cl_sketch_each_bucket(sketch, count_bucket, &context);
	}
	cl_sketch_destroy(single);
	return context.count;
}

/* ----------
 * Writing
 * ----------
 */

typedef struct Writer
{
	void	   *arena;
	char	   *data;
	size_t		size;
	size_t		capacity;
} Writer;

static void
writer_init(Writer *writer, void *arena, size_t headroom, size_t capacity)
{
	writer->arena = arena;
	writer->capacity = headroom + capacity;
	writer->size = headroom;
	writer->data = cl_sketch_alloc(arena, writer->capacity);
}

/* The next bytes may then be written without a further check. */
static inline char *
writer_reserve(Writer *writer, size_t bytes)
{
	if (unlikely(writer->capacity - writer->size < bytes))
	{
		writer->capacity = writer->capacity * 2 + bytes;
		writer->data = cl_sketch_realloc(writer->data, writer->capacity);
	}
	return writer->data + writer->size;
}

static void
write_bytes(Writer *writer, const char *bytes, size_t size)
{
	memcpy(writer_reserve(writer, size), bytes, size);
	writer->size += size;
}

static void
write_byte(Writer *writer, unsigned byte)
{
	*writer_reserve(writer, 1) = (char) byte;
	writer->size++;
}

/* 7 bits a byte, low ones first; the high bit says that more follow */
static void
write_varint(Writer *writer, uint128 n)
{
	char	   *out = writer_reserve(writer, 19);

	while (n >= 0x80)
	{
		*out++ = (char) ((n & 0x7f) | 0x80);
		n >>= 7;
	}
	*out++ = (char) n;
	writer->size = (size_t) (out - writer->data);
}

/* sign in the lowest bit, so that small numbers of both signs are short */
static void
write_signed(Writer *writer, int128 n)
{
	write_varint(writer, n < 0 ? (-(uint128) n << 1) - 1 : (uint128) n << 1);
}

static void
write_wide(Writer *writer, SketchNumber number)
{
	Digits		open;

	open_number(number, &open);
	write_varint(writer, (uint128) (open.ndigits * 2 + open.negative));
	if (open.ndigits == 0)
		return;
	write_signed(writer, open.weight);
	for (int i = 0; i < open.ndigits; i++)
	{
		write_byte(writer, (unsigned) open.digits[i] >> 8);
		write_byte(writer, (unsigned) open.digits[i] & 0xff);
	}
}

/* The fewest decimals this number can be written with. */
static int
least_scale(SketchNumber fixed)
{
	uint64_t	rest = (uint64_t) (magnitude_of(fixed) %
								   pow10_64[FIXED_SCALE]);
	int			scale = FIXED_SCALE;

	if (rest == 0)
		return 0;
	if (rest % 100000000 == 0)
	{
		rest /= 100000000;
		scale -= 8;
	}
	if (rest % 10000 == 0)
	{
		rest /= 10000;
		scale -= 4;
	}
	if (rest % 100 == 0)
	{
		rest /= 100;
		scale -= 2;
	}
	if (rest % 10 == 0)
		scale -= 1;
	return scale;
}

static inline int
greater(int a, int b)
{
	return a > b ? a : b;
}

/*
 * The first byte is the format version, the second describes the rest.  The
 * format is in docs/summary.md; there is one way only to write each sketch.
 */
#define PACKED_ACCURACY		0x07
#define PACKED_BUCKETS		0x08	/* not values */
#define PACKED_WIDE			0x10	/* numbers as digits, not as integers */
#define PACKED_REPEATS		0x20	/* values are followed by their counts */

/* Codes for a bucket's distance from the last one, less one, and its count. */
#define CODE_NEXT			0x00	/* 6 bits: next bucket, count 1 .. 64 */
#define CODE_NEAR			0x40	/* 3 bits: gap 1 .. 8; 3 bits: count 1 .. 8 */
#define CODE_FAR			0x80	/* 5 bits: gap 9 .. 40, count 1 */
#define CODE_NEXT_13		0xa0	/* 13 bits: next bucket, count from 65 */
#define CODE_NEXT_21		0xc0	/* 21 bits: next bucket, count from 8257 */
#define CODE_ANY			0xe0	/* gap and count - 1 follow */

#define NEXT_MAX			64
#define NEXT_13_MAX			(NEXT_MAX + (1 << 13))
#define NEXT_21_MAX			(NEXT_13_MAX + (1 << 21))

typedef struct BucketWriter
{
	Writer	   *writer;
	bool		started;
	int			key;
} BucketWriter;

static void
write_bucket(void *context, int key, int64_t count)
{
	BucketWriter *buckets = context;
	Writer	   *writer = buckets->writer;
	int			gap = key - buckets->key - 1;

	if (!buckets->started)
	{
		write_signed(writer, key);
		write_varint(writer, (uint128) (count - 1));
		buckets->started = true;
	}
	else if (gap == 0 && count <= NEXT_MAX)
		write_byte(writer, CODE_NEXT | (unsigned) (count - 1));
	else if (gap == 0 && count <= NEXT_13_MAX)
	{
		unsigned	bits = (unsigned) (count - NEXT_MAX - 1);

		write_byte(writer, CODE_NEXT_13 | bits >> 8);
		write_byte(writer, bits & 0xff);
	}
	else if (gap == 0 && count <= NEXT_21_MAX)
	{
		unsigned	bits = (unsigned) (count - NEXT_13_MAX - 1);

		write_byte(writer, CODE_NEXT_21 | bits >> 16);
		write_byte(writer, bits >> 8 & 0xff);
		write_byte(writer, bits & 0xff);
	}
	else if (gap >= 1 && gap <= 8 && count <= 8)
		write_byte(writer, CODE_NEAR | (unsigned) (gap - 1) << 3 |
				   (unsigned) (count - 1));
	else if (gap >= 9 && gap <= 40 && count == 1)
		write_byte(writer, CODE_FAR | (unsigned) (gap - 9));
	else
	{
		write_byte(writer, CODE_ANY);
		write_varint(writer, (uint128) gap);
		write_varint(writer, (uint128) (count - 1));
	}
	buckets->key = key;
}

/* The packed sketch behind headroom bytes; their number is added to size. */
char *
cl_sketch_pack(const Sketch *sketch, void *arena, size_t headroom,
			   size_t *size)
{
	Writer		writer;
	unsigned	flags = sketch->head.accuracy;

	writer_init(&writer, arena, headroom, sketch->head.bucketed ? 1000 : 100);
	write_byte(&writer, SKETCH_FORMAT_VERSION);
	if (!sketch->head.bucketed)
	{
		const Value *values = sketch->values;
		int			scale = 0;

		for (int i = 0; i < sketch->head.nvalues; i++)
		{
			if (is_big(values[i].number))
				flags |= PACKED_WIDE;
			else
				scale = greater(scale, least_scale(values[i].number));
			if (values[i].count > 1)
				flags |= PACKED_REPEATS;
		}
		write_byte(&writer, flags);
		write_byte(&writer, sketch->head.nvalues);
		if ((flags & PACKED_WIDE) == 0 && sketch->head.nvalues > 0)
		{
			int128		unit = (int128) pow10_64[FIXED_SCALE - scale];

			write_byte(&writer, (unsigned) scale);
			write_signed(&writer, values[0].number / unit);
			for (int i = 1; i < sketch->head.nvalues; i++)
				write_varint(&writer, (uint128)
							 ((values[i].number - values[i - 1].number) / unit));
		}
		for (int i = 0; i < sketch->head.nvalues; i++)
		{
			if (flags & PACKED_WIDE)
				write_wide(&writer, values[i].number);
		}
		for (int i = 0; i < sketch->head.nvalues; i++)
		{
			if (flags & PACKED_REPEATS)
				write_varint(&writer, values[i].count);
		}
	}
	else
	{
		SketchNumber total = cl_sketch_total(sketch, arena);
		BucketWriter buckets = {&writer, false, 0};

		flags |= PACKED_BUCKETS;
		if (is_big(total) || is_big(sketch->minimum) ||
			is_big(sketch->maximum))
		{
			write_byte(&writer, flags | PACKED_WIDE);
			write_varint(&writer, sketch->count);
			write_wide(&writer, total);
			write_wide(&writer, sketch->minimum);
			write_wide(&writer, sketch->maximum);
		}
		else
		{
			int			scale = greater(least_scale(total),
										greater(least_scale(sketch->minimum),
												least_scale(sketch->maximum)));
			int128		unit = (int128) pow10_64[FIXED_SCALE - scale];

			write_byte(&writer, flags);
			write_varint(&writer, sketch->count);
			write_byte(&writer, (unsigned) scale);
			write_signed(&writer, total / unit);
			write_signed(&writer, sketch->minimum / unit);
			write_varint(&writer, (uint128)
						 ((sketch->maximum - sketch->minimum) / unit));
		}
		free_number(total);
		cl_sketch_each_bucket(sketch, write_bucket, &buckets);
	}
	*size = writer.size;
	return writer.data;
}

static void
print_number(Writer *writer, SketchNumber number)
{
	Digits		open;
	char		four[8];
	int			low;

	open_number(number, &open);
	if (open.negative)
		write_byte(writer, '-');
	if (open.ndigits == 0 || open.weight < 0)
		write_byte(writer, '0');
	low = open.weight - open.ndigits + 1;
	for (int power = open.ndigits > 0 ? greater(open.weight, -1) : -1;
		 power >= 0 || (open.ndigits > 0 && power >= low); power--)
	{
		int			i = open.weight - power;
		int			digit = i >= 0 && i < open.ndigits ? open.digits[i] : 0;
		int			length = 4;

		if (power == -1)
			write_byte(writer, '.');
		if (power == open.weight && power >= 0)
			length = snprintf(four, sizeof(four), "%d", digit);
		else
			snprintf(four, sizeof(four), "%04d", digit);
		if (power == low && power < 0)
		{
			while (four[length - 1] == '0')
				length--;
		}
		write_bytes(writer, four, (size_t) length);
	}
}

/* A number as numeric prints it, without trailing zeros. */
char *
cl_sketch_number_text(SketchNumber number, void *arena)
{
	Writer		writer;

	writer_init(&writer, arena, 0, 48);
	print_number(&writer, number);
	write_byte(&writer, '\0');
	return writer.data;
}

/* The number as value / 10^scale, if 64 bits can hold that. */
bool
cl_sketch_number_int64(SketchNumber number, int64_t *value, int *scale)
{
	if (is_big(number))
		return false;
	*scale = least_scale(number);
	number /= (int64_t) pow10_64[FIXED_SCALE - *scale];
	*value = (int64_t) number;
	return number == *value;
}

static void
write_text(Writer *writer, const char *text)
{
	write_bytes(writer, text, strlen(text));
}

static void
print_int64(Writer *writer, int64_t n)
{
	char		text[24];

	snprintf(text, sizeof(text), "%lld", (long long) n);
	write_text(writer, text);
}

static void
print_bucket(void *context, int key, int64_t count)
{
	BucketWriter *buckets = context;

	write_text(buckets->writer, buckets->started ? ", [" : "[");
	print_int64(buckets->writer, key);
	write_text(buckets->writer, ", ");
	print_int64(buckets->writer, count);
	write_text(buckets->writer, "]");
	buckets->started = true;
}

char *
cl_sketch_print(const Sketch *sketch, void *arena)
{
	Writer		writer;

	writer_init(&writer, arena, 0, 500);
	write_text(&writer, "{\"version\": 1, \"accuracy\": ");
	write_text(&writer, accuracies[sketch->head.accuracy].name);
	write_text(&writer, ", \"count\": ");
	print_int64(&writer, (int64_t) sketch->count);
	if (!sketch->head.bucketed)
	{
		write_text(&writer, ", \"values\": [");
		for (int i = 0; i < sketch->head.nvalues; i++)
		{
			write_text(&writer, i == 0 ? "[" : ", [");
			print_number(&writer, sketch->values[i].number);
			write_text(&writer, ", ");
			print_int64(&writer, (int64_t) sketch->values[i].count);
			write_text(&writer, "]");
		}
	}
	else
	{
		SketchNumber total = cl_sketch_total(sketch, arena);
		BucketWriter buckets = {&writer, false, 0};

		write_text(&writer, ", \"sum\": ");
		print_number(&writer, total);
		free_number(total);
		write_text(&writer, ", \"min\": ");
		print_number(&writer, sketch->minimum);
		write_text(&writer, ", \"max\": ");
		print_number(&writer, sketch->maximum);
		write_text(&writer, ", \"buckets\": [");
		cl_sketch_each_bucket(sketch, print_bucket, &buckets);
	}
	write_text(&writer, "]}");
	write_byte(&writer, '\0');
	return writer.data;
}

/* ----------
 * Reading, and the checks that go with it
 * ----------
 */

typedef struct Reader
{
	void	   *arena;
	SketchError blame;			/* what an error is reported as */
	const unsigned char *next;
	const unsigned char *end;
} Reader;

static void __attribute__((noreturn))
unreadable(const Reader *reader, const char *why)
{
	cl_sketch_error(reader->blame, "%s", why);
}

/* What a bucketed sketch says about itself, apart from its buckets. */
typedef struct Claims
{
	uint64_t	count;
	SketchNumber total;
	SketchNumber minimum;
	SketchNumber maximum;
} Claims;

/* Is the total at least (or at most) count times the bound? */
static bool
total_within(const Reader *reader, const Claims *claims, SketchNumber bound,
			 bool at_least)
{
	int			sign;

	if (!is_big(claims->total) && !is_big(bound) &&
		bit_length(magnitude_of(bound)) +
		bit_length((uint128) claims->count) <= 126)
	{
		int128		product = bound * (int128) claims->count;

		sign = (claims->total > product) - (claims->total < product);
	}
	else
	{
		WideSum    *wide = wide_create(reader->arena);

		wide_add(wide, claims->total, 1, false);
		wide_add(wide, bound, claims->count, true);
		sign = wide_sign(wide);
		wide_destroy(wide);
	}
	return at_least ? sign >= 0 : sign <= 0;
}

/* Everything a bucketed sketch must satisfy, wherever it was read from. */
static void
check_claims(const Reader *reader, int accuracy, const Claims *claims,
			 uint64_t counted, int first_key, int last_key)
{
	if (counted != claims->count)
		unreadable(reader, "the bucket counts do not add up to the count");
	if (claims->count <= SKETCH_MAX_VALUES)
		unreadable(reader, "there are buckets for too few values");
	if (compare_numbers(claims->minimum, claims->maximum) >= 0)
		unreadable(reader, "the minimum is not below the maximum");
	if (number_key(accuracy, claims->minimum) != first_key ||
		number_key(accuracy, claims->maximum) != last_key)
		unreadable(reader, "minimum or maximum are not in the outermost buckets");
	if (!total_within(reader, claims, claims->minimum, true) ||
		!total_within(reader, claims, claims->maximum, false))
		unreadable(reader, "the sum is not possible between minimum and maximum");
}

/* Digits as numeric may have them, at most this large? */
static bool
digits_in_range(int max_weight, int weight, int ndigits, int last_digit)
{
	int			low = weight - ndigits + 1;

	return weight <= max_weight &&
		(low > MIN_LOW || (low == MIN_LOW && last_digit % 10 == 0));
}

static unsigned
read_byte(Reader *reader)
{
	if (unlikely(reader->next >= reader->end))
		unreadable(reader, "it ends too early");
	return *reader->next++;
}

static uint128
read_varint(Reader *reader)
{
	uint128		n = 0;
	unsigned	byte = read_byte(reader);

	if (likely(byte < 0x80))
		return byte;
	n = byte & 0x7f;
	for (int shift = 7;; shift += 7)
	{
		byte = read_byte(reader);
		if (shift == 126 && byte > 0x03)
			unreadable(reader, "an integer is too large");
		n |= (uint128) (byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	if (byte == 0)
		unreadable(reader, "an integer is longer than it needs to be");
	return n;
}

static int128
read_signed(Reader *reader)
{
	uint128		n = read_varint(reader);

	return (n & 1) ? -(int128) (n >> 1) - 1 : (int128) (n >> 1);
}

static uint64_t
read_count(Reader *reader, uint64_t least)
{
	uint128		n = read_varint(reader);

	if (n < least || n > INT64_MAX)
		unreadable(reader, "a count is out of range");
	return (uint64_t) n;
}

static int
read_small(Reader *reader, int max)
{
	uint128		n = read_varint(reader);

	if (n > (unsigned) max)
		unreadable(reader, "an integer is out of range");
	return (int) n;
}

static SketchNumber
read_wide(Reader *reader, int max_weight)
{
	int			head = read_small(reader, 2 * (SUM_WEIGHT - MIN_LOW + 1) + 1);
	int			ndigits = head / 2;
	int128		weight;
	int16_t    *digits;
	SketchNumber number;

	if (head == 0)
		return 0;
	weight = read_signed(reader);
	if (ndigits == 0 || weight > SUM_WEIGHT || weight < MIN_LOW ||
		reader->end - reader->next < 2 * ndigits)
		unreadable(reader, "a number is out of range");

	digits = cl_sketch_alloc(reader->arena, (size_t) ndigits * sizeof(int16_t));
	for (int i = 0; i < ndigits; i++)
	{
		unsigned	digit = read_byte(reader) << 8;

		digit |= read_byte(reader);
		if (digit >= NBASE)
			unreadable(reader, "a digit is out of range");
		digits[i] = (int16_t) digit;
	}
	if (digits[0] == 0 || digits[ndigits - 1] == 0)
		unreadable(reader, "a number is longer than it needs to be");
	if (!digits_in_range(max_weight, (int) weight, ndigits,
						 digits[ndigits - 1]))
		unreadable(reader, "a number is out of range");
	number = make_number(reader->arena, head & 1, (int) weight, ndigits,
						 digits);
	cl_sketch_free(digits);
	return number;
}

/* Turn a multiple of 10^-scale into a number. */
static SketchNumber
scale_up(const Reader *reader, int128 n, int scale)
{
	if (magnitude_of(n) >=
		(uint128) pow10_64[18] * pow10_64[18] / pow10_64[FIXED_SCALE - scale])
		unreadable(reader, "a number is out of range");
	return n * (int64_t) pow10_64[FIXED_SCALE - scale];
}

static void
read_header(Reader *reader, unsigned *flags)
{
	if (read_byte(reader) != SKETCH_FORMAT_VERSION)
		unreadable(reader, "the format version is not known");
	*flags = read_byte(reader);
	if ((*flags & PACKED_ACCURACY) >= SKETCH_NUM_ACCURACIES ||
		(*flags & ~(unsigned) (PACKED_ACCURACY | PACKED_BUCKETS |
							   PACKED_WIDE | PACKED_REPEATS)) != 0 ||
		((*flags & PACKED_BUCKETS) && (*flags & PACKED_REPEATS)))
		unreadable(reader, "the flags are not known");
}

static void
read_values(Reader *reader, Sketch *into, unsigned flags)
{
	SketchNumber numbers[SKETCH_MAX_VALUES];
	int			nvalues = (int) read_byte(reader);
	uint64_t	counted = 0;
	bool		repeats = false;

	if (nvalues == 0 || nvalues > SKETCH_MAX_VALUES)
		unreadable(reader, "the number of values is out of range");
	if (flags & PACKED_WIDE)
	{
		bool		wide = false;

		for (int i = 0; i < nvalues; i++)
		{
			numbers[i] = read_wide(reader, MAX_WEIGHT);
			wide |= is_big(numbers[i]);
			if (i > 0 && compare_numbers(numbers[i], numbers[i - 1]) <= 0)
				unreadable(reader, "the values are not ascending");
		}
		if (!wide)
			unreadable(reader, "a number is longer than it needs to be");
	}
	else
	{
		int			scale = (int) read_byte(reader);
		int			least = 0;
		int128		n = 0;

		if (scale > FIXED_SCALE)
			unreadable(reader, "the scale is out of range");
		for (int i = 0; i < nvalues; i++)
		{
			if (i == 0)
				n = read_signed(reader);
			else
			{
				uint128		step = read_varint(reader);

				if (step == 0 || step >> 122 != 0)
					unreadable(reader, "the values are not ascending");
				n += (int128) step;
			}
			numbers[i] = scale_up(reader, n, scale);
			least = greater(least, least_scale(numbers[i]));
		}
		if (least != scale)
			unreadable(reader, "the scale is larger than it needs to be");
	}

	for (int i = 0; i < nvalues; i++)
	{
		uint64_t	count = 1;

		if (flags & PACKED_REPEATS)
		{
			count = read_count(reader, 1);
			repeats |= count > 1;
		}
		if (count > (uint64_t) INT64_MAX - counted)
			unreadable(reader, "a count is out of range");
		counted += count;
		add_number(into, numbers[i], count);
		free_number(numbers[i]);
	}
	if ((flags & PACKED_REPEATS) && !repeats)
		unreadable(reader, "counts are given where they need not be");
}

static void
read_claims(Reader *reader, Claims *claims, unsigned flags)
{
	claims->count = read_count(reader, SKETCH_MAX_VALUES + 1);
	if (flags & PACKED_WIDE)
	{
		claims->total = read_wide(reader, SUM_WEIGHT);
		claims->minimum = read_wide(reader, MAX_WEIGHT);
		claims->maximum = read_wide(reader, MAX_WEIGHT);
		if (!is_big(claims->total) && !is_big(claims->minimum) &&
			!is_big(claims->maximum))
			unreadable(reader, "a number is longer than it needs to be");
	}
	else
	{
		int			scale = (int) read_byte(reader);
		int128		minimum;
		uint128		range;

		if (scale > FIXED_SCALE)
			unreadable(reader, "the scale is out of range");
		claims->total = scale_up(reader, read_signed(reader), scale);
		minimum = read_signed(reader);
		claims->minimum = scale_up(reader, minimum, scale);
		range = read_varint(reader);
		if (range >> 122 != 0)
			unreadable(reader, "a number is out of range");
		claims->maximum = scale_up(reader, minimum + (int128) range, scale);
		if (greater(least_scale(claims->total),
					greater(least_scale(claims->minimum),
							least_scale(claims->maximum))) != scale)
			unreadable(reader, "the scale is larger than it needs to be");
	}
}

static void
read_buckets(Reader *reader, Sketch *into, unsigned flags)
{
	Claims		claims;
	int			max_key = cl_sketch_max_key(into->head.accuracy);
	uint64_t	counted = 0;
	int128		key;
	int			first_key;
	uint64_t	count;

	read_claims(reader, &claims, flags);
	count_values(into, claims.count);
	if (!into->head.bucketed)
		start_buckets(into, claims.minimum, claims.maximum);
	add_to_sum(into, claims.total, 1);
	widen_range(into, claims.minimum, claims.maximum);

	key = read_signed(reader);
	if (key < -max_key || key > max_key)
		unreadable(reader, "a bucket is out of range");
	first_key = (int) key;
	count = read_count(reader, 0) + 1;

	/* when all are positive, their range is known; checked further below */
	if (first_key > 0)
	{
		int			last_key = number_key(into->head.accuracy, claims.maximum);

		if (last_key >= first_key)
			store_reserve(&into->positive, into->arena, max_key, first_key - 1,
						  last_key - 1);
	}
	for (;;)
	{
		unsigned	code;
		int			gap = 0;

		if (count > claims.count - counted)
			unreadable(reader, "the bucket counts do not add up to the count");
		counted += count;
		add_to_key(into, (int) key, count);
		if (reader->next == reader->end)
			break;

		code = *reader->next++;
		if (code < CODE_NEAR)
			count = code + 1;
		else if (code < CODE_FAR)
		{
			gap = (int) (code >> 3 & 7) + 1;
			count = (code & 7) + 1;
		}
		else if (code < CODE_NEXT_13)
		{
			gap = (int) (code & 0x1f) + 9;
			count = 1;
		}
		else if (code < CODE_NEXT_21)
			count = ((code & 0x1f) << 8 | read_byte(reader)) + NEXT_MAX + 1;
		else if (code < CODE_ANY)
		{
			count = (code & 0x1f) << 16;
			count |= read_byte(reader) << 8;
			count |= read_byte(reader);
			count += NEXT_13_MAX + 1;
		}
		else if (code == CODE_ANY)
		{
			gap = read_small(reader, 2 * max_key);
			count = read_count(reader, 0) + 1;
			if ((gap == 0 && count <= NEXT_21_MAX) ||
				(gap >= 1 && gap <= 8 && count <= 8) ||
				(gap >= 9 && gap <= 40 && count == 1))
				unreadable(reader, "a bucket is longer than it needs to be");
		}
		else
			unreadable(reader, "a bucket code is not known");
		key += gap + 1;
		if (key > max_key)
			unreadable(reader, "a bucket is out of range");
	}

	check_claims(reader, into->head.accuracy, &claims, counted, first_key,
				 (int) key);
	free_number(claims.total);
	free_number(claims.minimum);
	free_number(claims.maximum);
}

static void
reader_init(Reader *reader, void *arena, SketchError blame, const char *data,
			size_t size)
{
	reader->arena = arena;
	reader->blame = blame;
	reader->next = (const unsigned char *) data;
	reader->end = reader->next + size;
}

/*
 * Merge a packed sketch.  This is the one place where packed bytes are
 * believed, and only after everything about them has been checked; on error
 * the sketch they were to join is spoilt.
 */
static void
read_packed(Reader *reader, Sketch *into, unsigned flags)
{
	if (flags & PACKED_BUCKETS)
		read_buckets(reader, into, flags);
	else
		read_values(reader, into, flags);
	if (reader->next != reader->end)
		unreadable(reader, "it does not end where it should");
	cl_sketch_check_interrupts();
}

void
cl_sketch_merge_packed(Sketch *into, SketchError blame, const char *data,
					   size_t size)
{
	Reader		reader;
	unsigned	flags;

	reader_init(&reader, into->arena, blame, data, size);
	read_header(&reader, &flags);
	check_like_accuracy(into, (int) (flags & PACKED_ACCURACY));
	read_packed(&reader, into, flags);
}

Sketch *
cl_sketch_unpack(void *arena, SketchError blame, const char *data,
				 size_t size)
{
	Sketch	   *sketch;
	Reader		reader;
	unsigned	flags;

	reader_init(&reader, arena, blame, data, size);
	read_header(&reader, &flags);
	sketch = cl_sketch_create(arena, (int) (flags & PACKED_ACCURACY));
	read_packed(&reader, sketch, flags);
	cl_sketch_settle(sketch);
	return sketch;
}

/* ----------
 * Reading the text form: JSON of one shape, with its keys in one order
 * ----------
 */

static void
skip_space(Reader *reader)
{
	while (*reader->next == ' ' || *reader->next == '\t' ||
		   *reader->next == '\n' || *reader->next == '\r')
		reader->next++;
}

static bool
accept(Reader *reader, const char *token)
{
	size_t		length = strlen(token);

	skip_space(reader);
	if (strncmp((const char *) reader->next, token, length) != 0)
		return false;
	reader->next += length;
	return true;
}

static void
expect(Reader *reader, const char *token)
{
	if (!accept(reader, token))
		cl_sketch_error(reader->blame, "it has no %s where one is expected",
						token);
}

static inline bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static int64_t
parse_int64(Reader *reader, int64_t least, int64_t most)
{
	bool		negative;
	int128		n = 0;

	skip_space(reader);
	negative = *reader->next == '-';
	reader->next += negative;
	if (!is_digit(*reader->next))
		unreadable(reader, "an integer is missing");
	for (; is_digit(*reader->next); reader->next++)
	{
		n = n * 10 + (*reader->next - '0');
		if (n > INT64_MAX)
			unreadable(reader, "an integer is too large");
	}
	if (negative)
		n = -n;
	if (n < least || n > most)
		unreadable(reader, "an integer is out of range");
	return (int64_t) n;
}

/* A decimal number, of any length numeric can have, in plain notation. */
static SketchNumber
parse_number(Reader *reader, int max_weight)
{
	const unsigned char *start;
	const unsigned char *point;
	bool		negative;
	int			before;
	int			behind = 0;
	int			ndigits;
	int			last;
	int16_t    *digits;
	SketchNumber number;

	skip_space(reader);
	negative = *reader->next == '-';
	reader->next += negative;
	if (!is_digit(*reader->next))
		unreadable(reader, "a number is missing");
	while (reader->next[0] == '0' && is_digit(reader->next[1]))
		reader->next++;
	start = reader->next;
	while (is_digit(*reader->next) &&
		   reader->next - start <= (SUM_WEIGHT + 1) * NBASE_LOG10)
		reader->next++;
	point = reader->next;
	before = (int) (point - start);
	if (*point == '.')
	{
		reader->next++;
		while (is_digit(*reader->next) &&
			   reader->next - point <= -MIN_LOW * NBASE_LOG10)
			reader->next++;
		behind = (int) (reader->next - point) - 1;
		if (behind == 0)
			unreadable(reader, "a number is missing");
	}
	if (is_digit(*reader->next))
		unreadable(reader, "a number is out of range");

	ndigits = (before + 3) / 4 + (behind + 3) / 4;
	digits = cl_sketch_alloc(reader->arena, (size_t) ndigits * sizeof(int16_t));
	memset(digits, 0, (size_t) ndigits * sizeof(int16_t));
	for (int i = 0; i < before; i++)
	{
		int16_t    *digit = &digits[(i + (4 - before % 4) % 4) / 4];

		*digit = (int16_t) (*digit * 10 + (start[i] - '0'));
	}
	for (int i = 0; i < (behind + 3) / 4 * 4; i++)
	{
		int16_t    *digit = &digits[(before + 3) / 4 + i / 4];

		*digit = (int16_t) (*digit * 10 +
							(i < behind ? point[1 + i] - '0' : 0));
	}

	last = ndigits;
	while (last > 0 && digits[last - 1] == 0)
		last--;
	if (last > 0 &&
		!digits_in_range(SUM_WEIGHT, (before + 3) / 4 - 1, last,
						 digits[last - 1]))
		unreadable(reader, "a number is out of range");
	number = make_number(reader->arena, negative, (before + 3) / 4 - 1, last,
						 digits);
	cl_sketch_free(digits);
	if (is_big(number) && big_number(number)->weight > max_weight)
		unreadable(reader, "a number is out of range");
	return number;
}

static void
parse_values(Reader *reader, Sketch *sketch)
{
	bool		first = true;

	do
	{
		SketchNumber number;
		uint64_t	count;

		expect(reader, "[");
		number = parse_number(reader, MAX_WEIGHT);
		expect(reader, ",");
		count = (uint64_t) parse_int64(reader, 1,
									   INT64_MAX - (int64_t) sketch->count);
		expect(reader, "]");
		if (!first && compare_numbers(number, cl_sketch_maximum(sketch)) <= 0)
			unreadable(reader, "the values are not ascending");
		if (sketch->head.nvalues == SKETCH_MAX_VALUES)
			unreadable(reader, "there are too many values");
		add_number(sketch, number, count);
		free_number(number);
		first = false;
	} while (accept(reader, ","));
}

static void
parse_buckets(Reader *reader, Sketch *sketch, const Claims *claims)
{
	int			max_key = cl_sketch_max_key(sketch->head.accuracy);
	int			first_key = 0;
	int			key = -max_key - 1;

	do
	{
		uint64_t	count;

		expect(reader, "[");
		key = (int) parse_int64(reader, key + 1, max_key);
		expect(reader, ",");
		count = (uint64_t) parse_int64(reader, 1,
									   INT64_MAX - (int64_t) sketch->count);
		expect(reader, "]");
		if (sketch->count == 0)
			first_key = key;
		count_values(sketch, count);
		add_to_key(sketch, key, count);
		cl_sketch_check_interrupts();
	} while (accept(reader, ","));
	check_claims(reader, sketch->head.accuracy, claims, sketch->count, first_key,
				 key);
}

/* The sketch cl_sketch_print() wrote; white space between tokens is free. */
Sketch *
cl_sketch_parse(void *arena, const char *text)
{
	Reader		reader;
	Sketch	   *sketch;
	int			accuracy = 0;
	uint64_t	count;

	reader_init(&reader, arena, SKETCH_BAD_TEXT, text, strlen(text));
	expect(&reader, "{");
	expect(&reader, "\"version\"");
	expect(&reader, ":");
	if (parse_int64(&reader, 0, INT64_MAX) != SKETCH_FORMAT_VERSION)
		unreadable(&reader, "the format version is not known");
	expect(&reader, ",");
	expect(&reader, "\"accuracy\"");
	expect(&reader, ":");
	skip_space(&reader);
	while (accuracy < SKETCH_NUM_ACCURACIES)
	{
		/* one name may begin like another, so look at what follows, too */
		const char *name = accuracies[accuracy].name;

		if (strncmp((const char *) reader.next, name, strlen(name)) == 0 &&
			!is_digit(reader.next[strlen(name)]))
			break;
		accuracy++;
	}
	if (accuracy == SKETCH_NUM_ACCURACIES)
		unreadable(&reader, "the accuracy is not supported");
	expect(&reader, accuracies[accuracy].name);
	expect(&reader, ",");
	sketch = cl_sketch_create(arena, accuracy);
	expect(&reader, "\"count\"");
	expect(&reader, ":");
	count = (uint64_t) parse_int64(&reader, 1, INT64_MAX);
	expect(&reader, ",");

	if (accept(&reader, "\"values\""))
	{
		expect(&reader, ":");
		expect(&reader, "[");
		parse_values(&reader, sketch);
		if (sketch->count != count)
			unreadable(&reader, "the counts do not add up to the count");
	}
	else
	{
		Claims		claims;

		claims.count = count;
		expect(&reader, "\"sum\"");
		expect(&reader, ":");
		claims.total = parse_number(&reader, SUM_WEIGHT);
		expect(&reader, ",");
		expect(&reader, "\"min\"");
		expect(&reader, ":");
		claims.minimum = parse_number(&reader, MAX_WEIGHT);
		expect(&reader, ",");
		expect(&reader, "\"max\"");
		expect(&reader, ":");
		claims.maximum = parse_number(&reader, MAX_WEIGHT);
		expect(&reader, ",");
		expect(&reader, "\"buckets\"");
		expect(&reader, ":");
		expect(&reader, "[");
		start_buckets(sketch, claims.minimum, claims.maximum);
		add_to_sum(sketch, claims.total, 1);
		parse_buckets(&reader, sketch, &claims);
	}
	expect(&reader, "]");
	expect(&reader, "}");
	skip_space(&reader);
	if (reader.next != reader.end)
		unreadable(&reader, "something follows its end");
	cl_sketch_settle(sketch);
	return sketch;
}
