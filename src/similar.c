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

PG_FUNCTION_INFO_V1(cl_name_distance);

/*
 * name_distance(name, other, most): names grow by versions and dates, so what the
 * other has more counts half
 */
Datum
cl_name_distance(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	text	   *other = PG_GETARG_TEXT_PP(1);
	int			most = PG_GETARG_INT32(2);
	int			distance;

	/* What PostgreSQL's function takes. */
	if (VARSIZE_ANY_EXHDR(name) > 255 || VARSIZE_ANY_EXHDR(other) > 255)
		PG_RETURN_NULL();
	distance = varstr_levenshtein_less_equal(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name),
											 VARDATA_ANY(other), VARSIZE_ANY_EXHDR(other),
											 1, 2, 2, most, false);
	if (distance > most)
		PG_RETURN_NULL();
	PG_RETURN_INT32(distance);
}
