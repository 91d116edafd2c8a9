/*-------------------------------------------------------------------------
 * bounds.c
 *	  How large what comes in may be.
 *
 * PostgreSQL stores numbers that it cannot add, and texts that it cannot
 * aggregate.  The ledger is append-only, so a row that gets in stays in:
 * whatever the door lets through, everything behind it has to digest, alone
 * and summed.  So what a client may send ends far below what breaks, and far
 * above what a call can be.
 *
 * A call has been paid for and is not lost over a name: a label that is too
 * long is shortened.  What else is too large is refused, with the column.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/detoast.h"
#include "bounds.h"
#include "common/md5.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "money.h"
#include "numeric_parts.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#define MD5_HASH_LEN 32

/* An amount has less than 12 digits before the point: 3 groups of 4. */
#define MONEY_GROUPS 3
#define MONEY_DECIMALS 20

/* Counts times rates times factors have less than 60. */
#define COST_GROUPS 15

/*
 * A text that is longer than limit bytes keeps its beginning and what tells it
 * from others.
 */
static text *
shorten_text(text *value, int limit)
{
	const char *error = NULL;
	StringInfoData shortened;
	char		md5[MD5_HASH_LEN + 1];
	const char *bytes = VARDATA_ANY(value);
	int			len = VARSIZE_ANY_EXHDR(value);

	if (len <= limit)
		return value;
	if (!pg_md5_hash(bytes, len, md5, &error))
		elog(ERROR, "could not compute an MD5 hash: %s", error);
	initStringInfo(&shortened);
	appendBinaryStringInfo(&shortened, bytes,
						   pg_mbcliplen(bytes, len, limit - 1 - MD5_HASH_LEN));
	appendStringInfo(&shortened, "#%s", md5);
	return cstring_to_text_with_len(shortened.data, shortened.len);
}

/*
 * The same, without a look at the bytes of a text that is short enough.
 */
Datum
cl_shorten_datum(Datum value, int limit)
{
	if (toast_raw_datum_size(value) - VARHDRSZ <= (Size) limit)
		return value;
	return PointerGetDatum(shorten_text(DatumGetTextPP(value), limit));
}

/*
 * Whether a value has more bytes than that, without a look at them.
 */
bool
cl_is_longer(Datum value, int limit)
{
	return toast_raw_datum_size(value) - VARHDRSZ > (Size) limit;
}

void
cl_check_length(Datum value, int limit, const char *name)
{
	Size		len = toast_raw_datum_size(value) - VARHDRSZ;

	if (len > (Size) limit)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("\"%s\" is too long", name),
				 errdetail("It has %zu bytes, the limit is %d.", len, limit),
				 errhint("Leave out what nobody will ask for, or keep it elsewhere and send where it is.")));
}

/*
 * Less than 10000^groups on either side of 0.  Not NaN, nor infinite.
 */
static bool
is_below(Numeric value, int groups)
{
	NumericParts parts;

	return open_numeric((struct varlena *) value, &parts) &&
		(parts.ndigits == 0 || parts.weight < groups);
}

/*
 * What somebody says was paid.
 */
bool
cl_is_money(Numeric value)
{
	return is_below(value, MONEY_GROUPS);
}

/*
 * What the ledger itself can have computed.
 */
bool
cl_is_cost(Numeric value)
{
	return is_below(value, COST_GROUPS);
}

/*
 * Decimals beyond 20 are what is left of a binary fraction: a call is not lost
 * over them.
 */
Numeric
cl_round_money(Numeric value)
{
	if (DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(value))) <= MONEY_DECIMALS)
		return value;
	return cl_numeric_trim(DatumGetNumeric(DirectFunctionCall2(numeric_round,
															   NumericGetDatum(value),
															   Int32GetDatum(MONEY_DECIMALS))));
}

PG_FUNCTION_INFO_V1(cl_shorten_id);

/*
 * shorten_id(text) → text
 */
Datum
cl_shorten_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(shorten_text(PG_GETARG_TEXT_PP(0), MAX_ID_LEN));
}

PG_FUNCTION_INFO_V1(cl_shorten_label);

/*
 * shorten_label(text) → text
 */
Datum
cl_shorten_label(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(shorten_text(PG_GETARG_TEXT_PP(0), MAX_LABEL_LEN));
}
