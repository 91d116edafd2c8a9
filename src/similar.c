/*-------------------------------------------------------------------------
 * similar.c
 *	  How alike two names are, to ask "did you mean …?"
 *
 * By the function that PostgreSQL itself asks with, of a column that does not
 * exist.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(cl_edit_distance);

/*
 * edit_distance(a text, b text) → integer
 */
Datum
cl_edit_distance(PG_FUNCTION_ARGS)
{
	text	   *a = PG_GETARG_TEXT_PP(0);
	text	   *b = PG_GETARG_TEXT_PP(1);

	PG_RETURN_INT32(varstr_levenshtein(VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a),
									   VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b),
									   1, 1, 1, false));
}
