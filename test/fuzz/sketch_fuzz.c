/*-------------------------------------------------------------------------
 * sketch_fuzz.c
 *	  libFuzzer target for src/sketch.c, which it links alone.
 *
 * The first byte of an input chooses what the rest is: packed bytes, text, or
 * values to summarize in two orders and groupings.  Whatever is accepted must
 * come out again as it went in, and equal multisets must have equal bytes.
 *
 * test/fuzz/run builds it and lets it run.  With SKETCH_REPLAY it has a main()
 * that takes inputs from files, for valgrind.
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sketch.h"

/* ----------
 * Hooks: everything allocated is in a list, and freed after each input
 * ----------
 */

typedef struct Chunk
{
	struct Chunk *next;
	struct Chunk *previous;
} Chunk;

static Chunk all = {&all, &all};
static size_t allocated;
static jmp_buf on_error;
static volatile SketchError last_error;
static volatile bool accepted;	/* from then on nothing may fail */

static void
link_chunk(Chunk *chunk)
{
	chunk->next = all.next;
	chunk->previous = &all;
	all.next->previous = chunk;
	all.next = chunk;
}

static void
unlink_chunk(Chunk *chunk)
{
	chunk->next->previous = chunk->previous;
	chunk->previous->next = chunk->next;
}

void *
cl_sketch_alloc(void *arena, size_t size)
{
	Chunk	   *chunk = malloc(sizeof(Chunk) + size);

	(void) arena;
	/* no input of a few kB may ask for more than this */
	allocated += size;
	if (chunk == NULL || allocated > (size_t) 256 << 20)
		abort();
#ifndef SKETCH_REPLAY
	/* nothing may rely on fresh memory; valgrind sees that by itself */
	memset(chunk + 1, 0xa5, size);
#endif
	link_chunk(chunk);
	return chunk + 1;
}

void *
cl_sketch_realloc(void *old, size_t size)
{
	Chunk	   *chunk = (Chunk *) old - 1;

	unlink_chunk(chunk);
	allocated += size;
	chunk = realloc(chunk, sizeof(Chunk) + size);
	if (chunk == NULL)
		abort();
	link_chunk(chunk);
	return chunk + 1;
}

void
cl_sketch_free(void *old)
{
	Chunk	   *chunk = (Chunk *) old - 1;

	unlink_chunk(chunk);
	free(chunk);
}

void
cl_sketch_check_interrupts(void)
{
}

void
cl_sketch_error(SketchError error, const char *detail,...)
{
	(void) detail;
	last_error = error;
	longjmp(on_error, 1);
}

static void
free_all(void)
{
	while (all.next != &all)
		cl_sketch_free(all.next + 1);
	allocated = 0;
}

/* ----------
 * What must hold
 * ----------
 */

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
same(const Sketch *a, const Sketch *b)
{
	size_t		size_a;
	size_t		size_b;
	char	   *packed_a = cl_sketch_pack(a, NULL, 0, &size_a);
	char	   *packed_b = cl_sketch_pack(b, NULL, 0, &size_b);

	must(size_a == size_b && memcmp(packed_a, packed_b, size_a) == 0);
}

static void
sum_counts(void *context, int key, int64_t count)
{
	int64_t    *state = context;

	must(key > state[1] && count > 0);
	state[0] += count;
	state[1] = key;
}

/* Ask a valid sketch everything, and see it survive both its forms. */
static void
examine(const Sketch *sketch)
{
	size_t		size;
	char	   *packed = cl_sketch_pack(sketch, NULL, 4, &size);
	int64_t		state[2] = {0, INT32_MIN};

	same(sketch, cl_sketch_unpack(NULL, SKETCH_BAD_STORED, packed + 4,
								  size - 4));
	same(sketch, cl_sketch_parse(NULL, cl_sketch_print(sketch, NULL)));
	cl_sketch_each_bucket(sketch, sum_counts, state);
	must(state[0] == cl_sketch_count(sketch));
	for (double fraction = 0; fraction <= 1; fraction += 0.125)
		(void) cl_sketch_number_text(cl_sketch_quantile(sketch, NULL,
														fraction), NULL);
	(void) cl_sketch_number_text(cl_sketch_total(sketch, NULL), NULL);

	if (cl_sketch_accuracy(sketch) == 0)
		examine(cl_sketch_coarsen(NULL, sketch, 1));
	if (cl_sketch_count(sketch) < INT64_MAX / 2)
	{
		Sketch	   *twice = cl_sketch_unpack(NULL, SKETCH_BAD_STORED,
											 packed + 4, size - 4);
		Sketch	   *again = cl_sketch_create(NULL, cl_sketch_accuracy(sketch));

		cl_sketch_merge(twice, sketch);
		cl_sketch_merge_packed(again, SKETCH_BAD_STORED, packed + 4, size - 4);
		cl_sketch_merge_packed(again, SKETCH_BAD_STORED, packed + 4, size - 4);
		cl_sketch_settle(twice);
		cl_sketch_settle(again);
		same(twice, again);
	}
}

static void
add_value(Sketch *sketch, const uint8_t *value)
{
	if (value[0] % 3 == 0)
	{
		double		number;

		memcpy(&number, value + 1, sizeof(number));
		if (isfinite(number))
			cl_sketch_add_double(sketch, number);
	}
	else if (value[0] % 3 == 1)
	{
		int64_t		number;

		memcpy(&number, value + 1, sizeof(number));
		cl_sketch_add_int64(sketch, number >> (value[0] / 4));
	}
	else
	{
		int16_t		digits[3];

		memcpy(digits, value + 3, sizeof(digits));
		for (int i = 0; i < 3; i++)
			digits[i] = (int16_t) ((uint16_t) digits[i] % 10000);
		cl_sketch_add_decimal(sketch, value[0] & 64,
							  value[1] & 128 ? (int) value[1] * 4 - 200 :
							  (int) value[1] % 16 - 8,
							  value[2] % 4, digits);
	}
}

static void
summarize_both_ways(const uint8_t *data, size_t size)
{
	int			accuracy = data[0] % SKETCH_NUM_ACCURACIES;
	size_t		n = (size - 1) / 9;
	Sketch	   *forwards = cl_sketch_create(NULL, accuracy);
	Sketch	   *parts[3];
	Sketch	   *together = cl_sketch_create(NULL, accuracy);

	data++;
	for (int i = 0; i < 3; i++)
		parts[i] = cl_sketch_create(NULL, accuracy);
	for (size_t i = 0; i < n; i++)
	{
		add_value(forwards, data + 9 * i);
		add_value(parts[data[9 * i] / 16 % 3], data + 9 * (n - 1 - i));
	}
	cl_sketch_settle(forwards);
	if (cl_sketch_count(forwards) == 0)
		return;
	/* the first one with values still pending */
	for (int i = 2; i >= 0; i--)
	{
		if (i > 0)
			cl_sketch_settle(parts[i]);
		cl_sketch_merge(together, parts[i]);
	}
	cl_sketch_settle(together);
	same(forwards, together);
	examine(forwards);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	accepted = false;
	if (setjmp(on_error) == 0)
	{
		if (data[0] % 3 == 0)
		{
			Sketch	   *sketch = cl_sketch_unpack(NULL, SKETCH_BAD_BINARY,
												  (const char *) data + 1,
												  size - 1);
			size_t		packed_size;
			char	   *packed;

			accepted = true;
			packed = cl_sketch_pack(sketch, NULL, 0, &packed_size);
			must(packed_size == size - 1 &&
				 memcmp(packed, data + 1, size - 1) == 0);
			examine(sketch);
		}
		else if (data[0] % 3 == 1)
		{
			char	   *text = cl_sketch_alloc(NULL, size);
			Sketch	   *sketch;

			memcpy(text, data + 1, size - 1);
			text[size - 1] = '\0';
			sketch = cl_sketch_parse(NULL, text);
			accepted = true;
			examine(sketch);
		}
		else
		{
			accepted = true;
			summarize_both_ways(data + 1, size - 1);
		}
	}
	else
		must(!accepted && (last_error == SKETCH_BAD_BINARY ||
						   last_error == SKETCH_BAD_TEXT));
	free_all();
	return 0;
}

#ifdef SKETCH_REPLAY
int
main(int argc, char **argv)
{
	static uint8_t buffer[1 << 16];

	for (int i = 1; i < argc; i++)
	{
		FILE	   *file = fopen(argv[i], "rb");
		uint8_t    *data;
		size_t		size;

		if (file == NULL)
		{
			perror(argv[i]);
			return 1;
		}
		size = fread(buffer, 1, sizeof(buffer), file);
		fclose(file);
		/* of its very size, so that reading beyond it is seen */
		data = malloc(size);
		memcpy(data, buffer, size);
		LLVMFuzzerTestOneInput(data, size);
		free(data);
	}
	printf("%d inputs\n", argc - 1);
	return 0;
}
#endif
