/*-------------------------------------------------------------------------
 * summary.c
 *	  The type cost_ledger.summary: its input and output, its aggregates and
 *	  the functions that read it.
 *
 * A summary is the packed form of a sketch behind a varlena header, and its
 * aggregates' state is a Sketch in the aggregate's own context.  All that is
 * believed about bytes from anywhere was checked in sketch.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "numeric_parts.h"
#include "sketch.h"

/* Compressed or external summaries are fetched, short headers are kept. */
#define PG_GETARG_SUMMARY_PP(n) PG_GETARG_VARLENA_PP(n)

/* ----------
 * Between datums and sketches
 * ----------
 */

static Datum
sketch_to_datum(const Sketch *sketch)
{
	size_t		size;
	char	   *data = cl_sketch_pack(sketch, CurrentMemoryContext, VARHDRSZ,
									  &size);

	SET_VARSIZE(data, size);
	return PointerGetDatum(data);
}

static Sketch *
sketch_from_datum(struct varlena *summary)
{
	return cl_sketch_unpack(CurrentMemoryContext, SKETCH_BAD_STORED,
							VARDATA_ANY(summary), VARSIZE_ANY_EXHDR(summary));
}

static Datum
number_to_datum(SketchNumber number)
{
	int64_t		value;
	int			scale;

	if (cl_sketch_number_int64(number, &value, &scale))
		return NumericGetDatum(int64_div_fast_to_numeric(value, scale));
	return DirectFunctionCall3(numeric_in,
							   CStringGetDatum(cl_sketch_number_text(number,
																	 CurrentMemoryContext)),
							   ObjectIdGetDatum(InvalidOid),
							   Int32GetDatum(-1));
}

/* The parts of a numeric that can be summarized. */
static inline NumericParts
finite_parts(const struct varlena *numeric)
{
	NumericParts parts;

	if (unlikely(!open_numeric(numeric, &parts)))
		cl_sketch_error(SKETCH_NOT_FINITE, "cannot summarize %s",
						numeric_is_nan((Numeric) numeric) ? "NaN" : "infinity");
	return parts;
}

/* ----------
 * Input and output
 * ----------
 */

PG_FUNCTION_INFO_V1(cl_summary_in);
Datum
cl_summary_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(sketch_to_datum(cl_sketch_parse(CurrentMemoryContext,
													PG_GETARG_CSTRING(0))));
}

PG_FUNCTION_INFO_V1(cl_summary_out);
Datum
cl_summary_out(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));

	PG_RETURN_CSTRING(cl_sketch_print(sketch, CurrentMemoryContext));
}

/* A summary from bytes whose origin nobody can vouch for. */
static Datum
datum_from_bytes(const char *data, int size)
{
	return sketch_to_datum(cl_sketch_unpack(CurrentMemoryContext,
											SKETCH_BAD_BINARY, data,
											(size_t) size));
}

PG_FUNCTION_INFO_V1(cl_summary_recv);
Datum
cl_summary_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			size = message->len - message->cursor;

	PG_RETURN_DATUM(datum_from_bytes(pq_getmsgbytes(message, size), size));
}

/* The packed form, the same on every machine; also the cast to bytea. */
PG_FUNCTION_INFO_V1(cl_summary_send);
Datum
cl_summary_send(PG_FUNCTION_ARGS)
{
	struct varlena *summary = PG_GETARG_SUMMARY_PP(0);
	Sketch	   *sketch = sketch_from_datum(summary);

	PG_RETURN_DATUM(sketch_to_datum(sketch));
}

PG_FUNCTION_INFO_V1(cl_summary_from_bytea);
Datum
cl_summary_from_bytea(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);

	PG_RETURN_DATUM(datum_from_bytes(VARDATA_ANY(bytes),
									 (int) VARSIZE_ANY_EXHDR(bytes)));
}

/* ----------
 * Equality: the packed form is unique, so bytes decide
 * ----------
 */

PG_FUNCTION_INFO_V1(cl_summary_eq);
Datum
cl_summary_eq(PG_FUNCTION_ARGS)
{
	struct varlena *a = PG_GETARG_SUMMARY_PP(0);
	struct varlena *b = PG_GETARG_SUMMARY_PP(1);

	PG_RETURN_BOOL(VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
				   memcmp(VARDATA_ANY(a), VARDATA_ANY(b),
						  VARSIZE_ANY_EXHDR(a)) == 0);
}

PG_FUNCTION_INFO_V1(cl_summary_ne);
Datum
cl_summary_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!DatumGetBool(cl_summary_eq(fcinfo)));
}

PG_FUNCTION_INFO_V1(cl_summary_hash);
Datum
cl_summary_hash(PG_FUNCTION_ARGS)
{
	struct varlena *summary = PG_GETARG_SUMMARY_PP(0);

	return hash_any((unsigned char *) VARDATA_ANY(summary),
					(int) VARSIZE_ANY_EXHDR(summary));
}

PG_FUNCTION_INFO_V1(cl_summary_hash_extended);
Datum
cl_summary_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *summary = PG_GETARG_SUMMARY_PP(0);

	return hash_any_extended((unsigned char *) VARDATA_ANY(summary),
							 (int) VARSIZE_ANY_EXHDR(summary),
							 (uint64) PG_GETARG_INT64(1));
}

/* ----------
 * Aggregates
 * ----------
 */

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate support function called outside an aggregate");
	return context;
}

/* The accuracy asked for in this argument, if the aggregate has it. */
static int
accuracy_argument(FunctionCallInfo fcinfo, int arg)
{
	if (PG_NARGS() <= arg)
		return SKETCH_DEFAULT_ACCURACY;
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("accuracy must not be null")));
	return cl_sketch_accuracy_code(PG_GETARG_FLOAT8(arg));
}

static pg_noinline Sketch *
find_or_make_state(FunctionCallInfo fcinfo)
{
	MemoryContext context = aggregate_context(fcinfo);
	int			accuracy = accuracy_argument(fcinfo, 2);
	Sketch	   *sketch;

	if (PG_ARGISNULL(0))
		return cl_sketch_create(context, accuracy);

	sketch = (Sketch *) PG_GETARG_POINTER(0);
	if (PG_NARGS() > 2 && accuracy != cl_sketch_accuracy(sketch))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("accuracy must be the same for all values of a group"),
				 errhint("Give it as a constant.")));
	return sketch;
}

/*
 * Argument 0, or a new sketch in the aggregate's context.  Callers have seen
 * that there is a value to add: a group without any has no state, and its
 * summary is NULL, as its sum would be.
 */
static inline Sketch *
sketch_state(FunctionCallInfo fcinfo)
{
	/* no other than an aggregate has a state to give */
	if (likely(PG_NARGS() == 2 && !PG_ARGISNULL(0)))
		return (Sketch *) PG_GETARG_POINTER(0);
	return find_or_make_state(fcinfo);
}

/* The state a final function was given, ready to be read. */
static const Sketch *
settled_state(FunctionCallInfo fcinfo)
{
	Sketch	   *sketch = (Sketch *) PG_GETARG_POINTER(0);

	cl_sketch_settle(sketch);
	return sketch;
}

/* What a transition returns where there is nothing to add. */
static pg_noinline Datum
unchanged_state(FunctionCallInfo fcinfo)
{
	(void) aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

static inline int64
digit_at(const char *digits, int i)
{
	uint16		digit;

	memcpy(&digit, digits + i * sizeof(digit), sizeof(digit));
	return digit;
}

/*
 * The numeric as a multiple of 1e-16, if it is what amounts of money stored in
 * a table nearly always are: behind a short header, not negative, below 900,
 * of one to three base-10000 digits.  Otherwise, -1.
 */
static inline int64
common_numeric(const struct varlena *numeric)
{
	static const int64 factors[] = {
		1, 10000, INT64CONST(100000000), INT64CONST(1000000000000),
		INT64CONST(10000000000000000)
	};
	const char *digits = VARDATA_SHORT(numeric) + sizeof(uint16);
	unsigned	header;
	unsigned	shift;
	int			ndigits;
	int64		number;

	/* the size is 0 for what is stored elsewhere */
	if (!VARATT_IS_1B(numeric))
		return -1;
	if (VARSIZE_SHORT(numeric) == VARHDRSZ_SHORT + 3 * sizeof(uint16))
	{
		number = digit_at(digits, 0) * 10000 + digit_at(digits, 1);
		ndigits = 2;
	}
	else if (VARSIZE_SHORT(numeric) == VARHDRSZ_SHORT + 2 * sizeof(uint16))
	{
		number = digit_at(digits, 0);
		ndigits = 1;
	}
	else if (VARSIZE_SHORT(numeric) == VARHDRSZ_SHORT + 4 * sizeof(uint16))
	{
		number = (digit_at(digits, 0) * 10000 + digit_at(digits, 1)) * 10000 +
			digit_at(digits, 2);
		ndigits = 3;
	}
	else
		return -1;

	header = (unsigned) digit_at(VARDATA_SHORT(numeric), 0);
	if ((header & (NUMERIC_HEADER_SIGN | NUMERIC_SHORT_NEGATIVE)) != NUMERIC_HEADER_SHORT)
		return -1;

	/* below 1, or of weight 0: from 922 on it may not fit */
	if ((header & NUMERIC_SHORT_WEIGHT_SIGN) == 0 &&
		((header & NUMERIC_SHORT_WEIGHT) != 0 || digit_at(digits, 0) >= 900))
		return -1;

	/* the weight of the last digit, counted from that of 1e-16 */
	shift = (header + 5 - ndigits) &
		(NUMERIC_SHORT_WEIGHT_SIGN | NUMERIC_SHORT_WEIGHT);
	if (shift >= lengthof(factors))
		return -1;
	return number * factors[shift];
}

/* Leave a number for which there is no room yet. */
static pg_noinline Datum
add_to_full_state(Sketch *sketch, int64 number)
{
	cl_sketch_add_fixed(sketch, number);
	PG_RETURN_POINTER(sketch);
}

static pg_noinline Datum
add_any_numeric(FunctionCallInfo fcinfo)
{
	Sketch	   *sketch;
	NumericParts parts;

	if (PG_ARGISNULL(1))		/* a missing measurement is not a zero */
		return unchanged_state(fcinfo);
	sketch = sketch_state(fcinfo);
	parts = finite_parts(PG_GETARG_VARLENA_PP(1));
	cl_sketch_add_decimal(sketch, parts.negative, parts.weight, parts.ndigits,
						  parts.digits);
	PG_RETURN_POINTER(sketch);
}

/*
 * Most of what this function calls it calls as its last act, so that it need
 * not set up a stack frame for every row.
 */
PG_FUNCTION_INFO_V1(cl_summary_add_numeric);
Datum
cl_summary_add_numeric(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch;
	int64		number;

	if (unlikely(PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_NARGS() != 2))
		return add_any_numeric(fcinfo);
	number = common_numeric((struct varlena *) PG_GETARG_POINTER(1));
	if (unlikely(number == -1))
		return add_any_numeric(fcinfo);
	sketch = (Sketch *) PG_GETARG_POINTER(0);
	if (unlikely(!cl_sketch_leave(sketch, number)))
		return add_to_full_state(sketch, number);
	PG_RETURN_POINTER(sketch);
}

PG_FUNCTION_INFO_V1(cl_summary_add_float8);
Datum
cl_summary_add_float8(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	sketch = sketch_state(fcinfo);
	cl_sketch_add_double(sketch, PG_GETARG_FLOAT8(1));
	PG_RETURN_POINTER(sketch);
}

PG_FUNCTION_INFO_V1(cl_summary_add_int8);
Datum
cl_summary_add_int8(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	sketch = sketch_state(fcinfo);
	cl_sketch_add_int64(sketch, PG_GETARG_INT64(1));
	PG_RETURN_POINTER(sketch);
}

PG_FUNCTION_INFO_V1(cl_summary_add_summary);
Datum
cl_summary_add_summary(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	struct varlena *summary;
	Sketch	   *sketch;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	summary = PG_GETARG_SUMMARY_PP(1);
	if (PG_ARGISNULL(0))
		sketch = cl_sketch_unpack(context, SKETCH_BAD_STORED,
								  VARDATA_ANY(summary),
								  VARSIZE_ANY_EXHDR(summary));
	else
	{
		sketch = (Sketch *) PG_GETARG_POINTER(0);
		cl_sketch_merge_packed(sketch, SKETCH_BAD_STORED,
							   VARDATA_ANY(summary),
							   VARSIZE_ANY_EXHDR(summary));
	}
	PG_RETURN_POINTER(sketch);
}

PG_FUNCTION_INFO_V1(cl_summary_combine);
Datum
cl_summary_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	const Sketch *from;
	Sketch	   *into;

	if (PG_ARGISNULL(1))
		return unchanged_state(fcinfo);
	from = (const Sketch *) PG_GETARG_POINTER(1);
	if (PG_ARGISNULL(0))
		into = cl_sketch_create(context, cl_sketch_accuracy(from));
	else
		into = (Sketch *) PG_GETARG_POINTER(0);
	cl_sketch_merge(into, from);
	PG_RETURN_POINTER(into);
}

PG_FUNCTION_INFO_V1(cl_summary_serialize);
Datum
cl_summary_serialize(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	PG_RETURN_DATUM(sketch_to_datum(settled_state(fcinfo)));
}

PG_FUNCTION_INFO_V1(cl_summary_deserialize);
Datum
cl_summary_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);

	/* short-lived: combining copies what it keeps */
	(void) aggregate_context(fcinfo);
	PG_RETURN_POINTER(cl_sketch_unpack(CurrentMemoryContext,
									   SKETCH_BAD_BINARY, VARDATA_ANY(bytes),
									   VARSIZE_ANY_EXHDR(bytes)));
}

PG_FUNCTION_INFO_V1(cl_summary_final);
Datum
cl_summary_final(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(sketch_to_datum(settled_state(fcinfo)));
}

static Datum
quantile_final(FunctionCallInfo fcinfo, double fraction)
{
	(void) aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return number_to_datum(cl_sketch_quantile(settled_state(fcinfo),
											  CurrentMemoryContext, fraction));
}

PG_FUNCTION_INFO_V1(cl_summary_final_p50);
Datum
cl_summary_final_p50(PG_FUNCTION_ARGS)
{
	return quantile_final(fcinfo, 0.50);
}

PG_FUNCTION_INFO_V1(cl_summary_final_p95);
Datum
cl_summary_final_p95(PG_FUNCTION_ARGS)
{
	return quantile_final(fcinfo, 0.95);
}

PG_FUNCTION_INFO_V1(cl_summary_final_p99);
Datum
cl_summary_final_p99(PG_FUNCTION_ARGS)
{
	return quantile_final(fcinfo, 0.99);
}

/* ----------
 * Readers
 * ----------
 */

static Datum
quantile_of_argument(FunctionCallInfo fcinfo, double fraction)
{
	Sketch	   *sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));

	return number_to_datum(cl_sketch_quantile(sketch, CurrentMemoryContext,
											  fraction));
}

PG_FUNCTION_INFO_V1(cl_quantile);
Datum
cl_quantile(PG_FUNCTION_ARGS)
{
	return quantile_of_argument(fcinfo, PG_GETARG_FLOAT8(1));
}

PG_FUNCTION_INFO_V1(cl_p50);
Datum
cl_p50(PG_FUNCTION_ARGS)
{
	return quantile_of_argument(fcinfo, 0.50);
}

PG_FUNCTION_INFO_V1(cl_p95);
Datum
cl_p95(PG_FUNCTION_ARGS)
{
	return quantile_of_argument(fcinfo, 0.95);
}

PG_FUNCTION_INFO_V1(cl_p99);
Datum
cl_p99(PG_FUNCTION_ARGS)
{
	return quantile_of_argument(fcinfo, 0.99);
}

/* An array of quantiles, of the shape of the array of fractions. */
PG_FUNCTION_INFO_V1(cl_quantiles);
Datum
cl_quantiles(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));
	ArrayType  *fractions = PG_GETARG_ARRAYTYPE_P(1);
	Datum	   *values;
	bool	   *nulls;
	int			nvalues;

	if (ARR_NDIM(fractions) == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(NUMERICOID));

	deconstruct_array(fractions, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &values, &nulls, &nvalues);
	for (int i = 0; i < nvalues; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!nulls[i])
			values[i] = number_to_datum(cl_sketch_quantile(sketch,
														   CurrentMemoryContext,
														   DatumGetFloat8(values[i])));
	}
	PG_RETURN_ARRAYTYPE_P(construct_md_array(values, nulls,
											 ARR_NDIM(fractions),
											 ARR_DIMS(fractions),
											 ARR_LBOUND(fractions),
											 NUMERICOID, -1, false,
											 TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(cl_num_values);
Datum
cl_num_values(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(cl_sketch_count(sketch_from_datum(PG_GETARG_SUMMARY_PP(0))));
}

PG_FUNCTION_INFO_V1(cl_total);
Datum
cl_total(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));

	return number_to_datum(cl_sketch_total(sketch, CurrentMemoryContext));
}

PG_FUNCTION_INFO_V1(cl_mean);
Datum
cl_mean(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));
	Datum		total = number_to_datum(cl_sketch_total(sketch,
														CurrentMemoryContext));

	return DirectFunctionCall2(numeric_div, total,
							   NumericGetDatum(int64_to_numeric(cl_sketch_count(sketch))));
}

PG_FUNCTION_INFO_V1(cl_minimum);
Datum
cl_minimum(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));

	return number_to_datum(cl_sketch_minimum(sketch));
}

PG_FUNCTION_INFO_V1(cl_maximum);
Datum
cl_maximum(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));

	return number_to_datum(cl_sketch_maximum(sketch));
}

/* The share of values up to a number: the fraction quantile() would turn into it. */
PG_FUNCTION_INFO_V1(cl_rank);
Datum
cl_rank(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));
	NumericParts parts;
	int64		count;

	parts = finite_parts(PG_GETARG_VARLENA_PP(1));
	count = cl_sketch_count_up_to(sketch, parts.negative, parts.weight,
								  parts.ndigits, parts.digits);
	PG_RETURN_FLOAT8((double) count / (double) cl_sketch_count(sketch));
}

PG_FUNCTION_INFO_V1(cl_coarsen);
Datum
cl_coarsen(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));
	int			accuracy = cl_sketch_accuracy_code(PG_GETARG_FLOAT8(1));

	PG_RETURN_DATUM(sketch_to_datum(cl_sketch_coarsen(CurrentMemoryContext,
													  sketch, accuracy)));
}

/* Two summaries into one, NULL being the summary of nothing. */
PG_FUNCTION_INFO_V1(cl_summary_merge_two);
Datum
cl_summary_merge_two(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch = NULL;

	for (int i = 0; i < 2; i++)
	{
		struct varlena *summary;

		if (PG_ARGISNULL(i))
			continue;
		summary = PG_GETARG_SUMMARY_PP(i);
		if (sketch == NULL)
			sketch = sketch_from_datum(summary);
		else
			cl_sketch_merge_packed(sketch, SKETCH_BAD_STORED,
								   VARDATA_ANY(summary),
								   VARSIZE_ANY_EXHDR(summary));
	}
	if (sketch == NULL)
		PG_RETURN_NULL();
	cl_sketch_settle(sketch);
	PG_RETURN_DATUM(sketch_to_datum(sketch));
}

static void
count_one_bucket(void *context, int key pg_attribute_unused(),
				 int64_t count pg_attribute_unused())
{
	++*(int *) context;
}

PG_FUNCTION_INFO_V1(cl_summary_info);
Datum
cl_summary_info(PG_FUNCTION_ARGS)
{
	struct varlena *summary = PG_GETARG_SUMMARY_PP(0);
	Sketch	   *sketch = sketch_from_datum(summary);
	size_t		size = VARSIZE_ANY_EXHDR(summary);
	TupleDesc	descriptor;
	Datum		values[9];
	bool		nulls[9] = {false};
	int			buckets = 0;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	descriptor = BlessTupleDesc(descriptor);
	if (descriptor->natts != (int) lengthof(values))
		elog(ERROR, "return type must have %d columns", (int) lengthof(values));

	cl_sketch_each_bucket(sketch, count_one_bucket, &buckets);
	values[0] = Int32GetDatum(SKETCH_FORMAT_VERSION);
	values[1] = DirectFunctionCall3(numeric_in,
									CStringGetDatum(cl_sketch_accuracy_name(cl_sketch_accuracy(sketch))),
									ObjectIdGetDatum(InvalidOid),
									Int32GetDatum(-1));
	values[2] = BoolGetDatum(cl_sketch_is_exact(sketch));
	values[3] = Int64GetDatum(cl_sketch_count(sketch));
	values[4] = number_to_datum(cl_sketch_total(sketch, CurrentMemoryContext));
	values[5] = number_to_datum(cl_sketch_minimum(sketch));
	values[6] = number_to_datum(cl_sketch_maximum(sketch));
	values[7] = Int32GetDatum(buckets);
	/* what a table stores: short values have a header of one byte */
	values[8] = Int32GetDatum((int32) (size + (size + VARHDRSZ_SHORT <= VARATT_SHORT_MAX ?
											   VARHDRSZ_SHORT : VARHDRSZ)));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(descriptor, values,
													  nulls)));
}

/* ----------
 * The histogram: the sketch's own buckets, or several of them together
 * ----------
 */

typedef struct HistogramContext
{
	const Sketch *sketch;
	ReturnSetInfo *result;
	int			step;			/* buckets of the sketch per bar */
	int			key;			/* of the current bar ... */
	int64		count;			/* ... which is empty if this is 0 */
} HistogramContext;

static Datum
bound_datum(const Sketch *sketch, int index, bool negative)
{
	Datum		bound = number_to_datum(cl_sketch_bucket_bound(cl_sketch_accuracy(sketch),
															   index,
															   CurrentMemoryContext));

	return negative ? DirectFunctionCall1(numeric_uminus, bound) : bound;
}

static void
emit_bar(HistogramContext *histogram)
{
	const Sketch *sketch = histogram->sketch;
	int			end = cl_sketch_max_key(cl_sketch_accuracy(sketch)) - 1;
	int			near = (abs(histogram->key) - 1) * histogram->step;
	int			far = near + histogram->step;
	bool		negative = histogram->key < 0;
	Datum		inner;
	Datum		outer;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (histogram->count == 0)
		return;
	if (histogram->key == 0)
		inner = outer = number_to_datum(0);
	else
	{
		inner = bound_datum(sketch, near, negative);
		if (near >= end)
			outer = number_to_datum(negative ? cl_sketch_minimum(sketch) :
									cl_sketch_maximum(sketch));
		else
			outer = bound_datum(sketch, far, negative);
	}
	values[0] = negative ? outer : inner;
	values[1] = negative ? inner : outer;
	values[2] = Int64GetDatum(histogram->count);
	tuplestore_putvalues(histogram->result->setResult,
						 histogram->result->setDesc, values, nulls);
	CHECK_FOR_INTERRUPTS();
}

static void
histogram_bucket(void *context, int key, int64_t count)
{
	HistogramContext *histogram = context;

	if (key > 0)
		key = (key - 1) / histogram->step + 1;
	else if (key < 0)
		key = -((-key - 1) / histogram->step + 1);
	if (key != histogram->key)
	{
		emit_bar(histogram);
		histogram->key = key;
		histogram->count = 0;
	}
	histogram->count += count;
}

PG_FUNCTION_INFO_V1(cl_histogram);
Datum
cl_histogram(PG_FUNCTION_ARGS)
{
	Sketch	   *sketch;
	int32		bars;
	int			buckets;
	HistogramContext histogram;

	InitMaterializedSRF(fcinfo, 0);
	sketch = sketch_from_datum(PG_GETARG_SUMMARY_PP(0));
	bars = PG_GETARG_INT32(1);
	buckets = cl_sketch_buckets_per_decade(cl_sketch_accuracy(sketch));
	if (bars < 1 || buckets % bars != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a summary of accuracy %s has no histogram of %d bars per decade",
						cl_sketch_accuracy_name(cl_sketch_accuracy(sketch)),
						bars),
				 errhint("The number must divide %d.", buckets)));

	histogram.sketch = sketch;
	histogram.result = (ReturnSetInfo *) fcinfo->resultinfo;
	histogram.step = buckets / bars;
	histogram.key = 0;
	histogram.count = 0;
	cl_sketch_each_bucket(sketch, histogram_bucket, &histogram);
	emit_bar(&histogram);
	PG_RETURN_NULL();
}
