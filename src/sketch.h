/*-------------------------------------------------------------------------
 * sketch.h
 *	  A summary of many numbers: exact count, sum, minimum and maximum, and
 *	  quantiles within a guaranteed relative error.
 *
 * Nothing here knows PostgreSQL.  Whoever links sketch.c provides the five
 * hooks at the end of this file; docs/summary.md describes the semantics and
 * the packed format.
 *-------------------------------------------------------------------------
 */
#ifndef CL_SKETCH_H
#define CL_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A decimal number: a multiple of 1e-16 below 1e20 in magnitude, or, tagged,
 * a pointer to the digits of one that is not.  Opaque outside sketch.c.  It
 * lives as long as the arena it was made in, or, for minimum and maximum, as
 * the sketch stays unchanged.
 */
typedef __int128 SketchNumber __attribute__((aligned(8)));

typedef struct Sketch Sketch;

/*
 * What every Sketch begins with.  It is here so that callers can leave a
 * number without a call; all else is for sketch.c to read and write.
 *
 * Numbers that fit in 64 bits as multiples of 1e-16 are left pending, in no
 * order, until there is a batch of them.  An aggregate over many groups then
 * touches little memory per row, and the work of a batch overlaps in the
 * processor.
 */
typedef struct SketchHead
{
	int64_t    *pending;
	uint8_t		npending;
	uint8_t		max_pending;	/* there is room for now */

	uint8_t		accuracy;
	bool		bucketed;
	uint8_t		nvalues;
	uint8_t		max_values;		/* there is room for now */
} SketchHead;

typedef enum SketchError
{
	SKETCH_NOT_FINITE,			/* NaN or infinity among the values */
	SKETCH_BAD_FRACTION,		/* quantile outside 0..1 */
	SKETCH_BAD_ACCURACY,		/* not one of the supported accuracies */
	SKETCH_NOT_COARSER,			/* no bucket of one holds one of the other */
	SKETCH_UNLIKE_ACCURACY,		/* two accuracies cannot meet in one sketch */
	SKETCH_TOO_MANY,			/* more than 2^63 - 1 values */
	SKETCH_BAD_TEXT,			/* unreadable; by where the bytes came from */
	SKETCH_BAD_BINARY,
	SKETCH_BAD_STORED
} SketchError;

/* Groups of at most this many distinct values keep them all. */
#define SKETCH_MAX_VALUES		16

#define SKETCH_FORMAT_VERSION	1

/* Accuracies go by a small code; 0 is the default of 1 %. */
#define SKETCH_DEFAULT_ACCURACY 0
#define SKETCH_NUM_ACCURACIES	5

extern int	cl_sketch_accuracy_code(double accuracy);
extern const char *cl_sketch_accuracy_name(int accuracy);
extern int	cl_sketch_buckets_per_decade(int accuracy);

/*
 * Making and filling; everything a sketch owns is allocated in its arena.
 * After something was added or merged, a sketch must be settled before it is
 * packed, printed, made coarser or asked anything.
 */
extern Sketch *cl_sketch_create(void *arena, int accuracy);
extern void cl_sketch_destroy(Sketch *sketch);
extern void cl_sketch_add_int64(Sketch *sketch, int64_t value);
extern void cl_sketch_add_double(Sketch *sketch, double value);
extern void cl_sketch_add_decimal(Sketch *sketch, bool negative, int weight,
								  int ndigits, const void *digits);
extern void cl_sketch_add_fixed(Sketch *sketch, int64_t number);
extern void cl_sketch_settle(Sketch *sketch);
extern void cl_sketch_merge(Sketch *into, const Sketch *from);
extern Sketch *cl_sketch_coarsen(void *arena, const Sketch *sketch,
								 int accuracy);

/* The packed form, and the text form.  Reading is where everything is checked. */
extern char *cl_sketch_pack(const Sketch *sketch, void *arena,
							size_t headroom, size_t *size);
extern Sketch *cl_sketch_unpack(void *arena, SketchError blame,
								const char *data, size_t size);
extern void cl_sketch_merge_packed(Sketch *into, SketchError blame,
								   const char *data, size_t size);
extern char *cl_sketch_print(const Sketch *sketch, void *arena);
extern Sketch *cl_sketch_parse(void *arena, const char *text);

/* Questions.  All but the count need a sketch that is not empty. */
extern int	cl_sketch_accuracy(const Sketch *sketch);
extern bool cl_sketch_is_exact(const Sketch *sketch);
extern int64_t cl_sketch_count(const Sketch *sketch);
extern SketchNumber cl_sketch_total(const Sketch *sketch, void *arena);
extern SketchNumber cl_sketch_minimum(const Sketch *sketch);
extern SketchNumber cl_sketch_maximum(const Sketch *sketch);
extern SketchNumber cl_sketch_quantile(const Sketch *sketch, void *arena,
									   double fraction);
extern int64_t cl_sketch_count_up_to(const Sketch *sketch, bool negative,
									 int weight, int ndigits,
									 const void *digits);
extern char *cl_sketch_number_text(SketchNumber number, void *arena);
extern bool cl_sketch_number_int64(SketchNumber number, int64_t *value,
								   int *scale);

/*
 * Walk the non-empty buckets in ascending order of value.  A bucket is a key:
 * 0 for zero, i + 1 for positive values in bucket i, -(i + 1) for negative.
 */
typedef void (*SketchBucketCallback) (void *context, int key, int64_t count);
extern void cl_sketch_each_bucket(const Sketch *sketch,
								  SketchBucketCallback callback,
								  void *context);
extern int	cl_sketch_max_key(int accuracy);
extern SketchNumber cl_sketch_bucket_bound(int accuracy, int index,
										   void *arena);

/*
 * The road nearly every value takes: leave number * 1e-16, which may be any
 * but INT64_MIN, if there is room; cl_sketch_add_fixed() makes room.
 */
#define SKETCH_FIXED_SCALE		16

static inline bool
cl_sketch_leave(Sketch *sketch, int64_t number)
{
	SketchHead *head = (SketchHead *) sketch;

	if (__builtin_expect(head->npending == head->max_pending, 0))
		return false;
	head->pending[head->npending++] = number;
	return true;
}

/* The hooks. */
extern void *cl_sketch_alloc(void *arena, size_t size);
extern void *cl_sketch_realloc(void *chunk, size_t size);
extern void cl_sketch_free(void *chunk);
extern void cl_sketch_check_interrupts(void);
extern void cl_sketch_error(SketchError error, const char *detail,...)
			__attribute__((noreturn, format(printf, 2, 3)));

#endif							/* CL_SKETCH_H */
