/*-------------------------------------------------------------------------
 * budget_query.c
 *	  How budgets ask the executor: statements that are planned once, arrays of
 *	  keys, and what comes back.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "budget_query.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/*
 * Every step is a look-up by index, whatever the statistics say; and the names
 * are ours, whatever the path of who calls.
 */
static void
set_up(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"}, {"jit", "off"}, {"enable_seqscan", "off"},
		{"enable_bitmapscan", "off"}, {"enable_hashjoin", "off"}, {"enable_mergejoin", "off"}
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Runs a statement that is planned once for all.
 */
uint64
cl_ask(SPIPlanPtr *plan, const char *query, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			outer = NewGUCNestLevel();
	int			result;

	set_up();
	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor(query, nargs, types, CURSOR_OPT_GENERIC_PLAN);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
		*plan = made;
	}
	result = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not ask for budgets: %s", SPI_result_code_string(result));
	AtEOXact_GUC(true, outer);
	return SPI_processed;
}

Datum
cl_result(int row, int column, bool *isnull)
{
	bool		null;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull ? isnull : &null);
}

Numeric
cl_numeric_result(int row, int column)
{
	bool		isnull;
	Datum		value = cl_result(row, column, &isnull);

	return isnull ? NULL : DatumGetNumericCopy(value);
}

TimestampTz
cl_time_result(int row, int column)
{
	bool		isnull;
	Datum		value = cl_result(row, column, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(value);
}

char *
cl_text_result(int row, int column)
{
	bool		isnull;
	Datum		value = cl_result(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * nulls may be NULL: none.
 */
Datum
cl_array_of(Datum *values, bool *nulls, int n, Oid type)
{
	int			lower = 1;
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower, type, length, by_value, align));
}
