/*-------------------------------------------------------------------------
 * sketch_hooks.c
 *	  What sketch.c takes from whoever links it, as PostgreSQL gives it:
 *	  memory of a context, interrupts, errors.
 *
 * sketch.c knows no PostgreSQL and speaks of errors by kind.  SQLSTATE and hint
 * of each kind stand here and nowhere else.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "sketch.h"

void *
cl_sketch_alloc(void *arena, size_t size)
{
	return MemoryContextAlloc((MemoryContext) arena, size);
}

void *
cl_sketch_realloc(void *chunk, size_t size)
{
	return repalloc(chunk, size);
}

void
cl_sketch_free(void *chunk)
{
	pfree(chunk);
}

void
cl_sketch_check_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

void
cl_sketch_error(SketchError error, const char *detail,...)
{
	char		text[200];
	va_list		args;

	va_start(args, detail);
	vsnprintf(text, sizeof(text), detail, args);
	va_end(args);

	switch (error)
	{
		case SKETCH_NOT_FINITE:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s", text),
					 errhint("Leave such values out with a FILTER clause, or make them NULL.")));
			break;
		case SKETCH_BAD_FRACTION:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s", text),
					 errhint("The 95th percentile is the quantile 0.95.")));
			break;
		case SKETCH_BAD_ACCURACY:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s", text),
					 errhint("Accuracies are 0.02, 0.01, 0.005, 0.002 and 0.001.")));
			break;
		case SKETCH_NOT_COARSER:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s", text),
					 errhint("Summaries can only become coarser, and 0.002 cannot become 0.005.")));
			break;
		case SKETCH_UNLIKE_ACCURACY:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s", text),
					 errhint("Bring the finer ones to the coarser accuracy with coarsen(summary, accuracy) first.")));
			break;
		case SKETCH_TOO_MANY:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s", text)));
			break;
		case SKETCH_BAD_TEXT:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type summary"),
					 errdetail("Read as a summary, %s.", text),
					 errhint("Summaries are made by summarize(); their text form is for copying them.")));
			break;
		case SKETCH_BAD_BINARY:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid binary representation of a summary"),
					 errdetail("Read as a summary, %s.", text)));
			break;
		case SKETCH_BAD_STORED:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("stored summary is corrupted"),
					 errdetail("Read as a summary, %s.", text),
					 errhint("Make it again from the values it was made of.")));
			break;
	}
	elog(ERROR, "unknown sketch error %d", (int) error);
}
