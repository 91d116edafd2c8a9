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

PG_FUNCTION_INFO_V1(cl_name_distance);

/*
 * name_distance(name text, other text, lost integer, most integer) → integer
 */
Datum
cl_name_distance(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	text	   *other = PG_GETARG_TEXT_PP(1);
	int			lost = PG_GETARG_INT32(2);
	int			most = PG_GETARG_INT32(3);
	int			distance;

	/* What PostgreSQL's function takes. */
	if (VARSIZE_ANY_EXHDR(name) > 255 || VARSIZE_ANY_EXHDR(other) > 255)
		PG_RETURN_NULL();
	distance = varstr_levenshtein_less_equal(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name),
											 VARDATA_ANY(other), VARSIZE_ANY_EXHDR(other),
											 1, lost, lost, most, false);
	if (distance > most)
		PG_RETURN_NULL();
	PG_RETURN_INT32(distance);
}
