/*-------------------------------------------------------------------------
 * display_width.c
 *	  Text cut or padded to columns of a terminal.
 *
 * By the widths that psql lines its tables up by: a letter of Chinese takes two
 * columns, a combining mark none.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cl_fit);

static const char cut_mark[] = "..";

/*
 * Appends as much of a text as goes into so many columns, and says how many it
 * took.  What a terminal would not show, a line break say, becomes a blank.
 */
static int
append_columns(StringInfo out, const char *s, int len, int most)
{
	int			width = 0;

	for (const char *end = s + len; s < end;)
	{
		int			bytes = Min(pg_mblen(s), (int) (end - s));
		int			columns = pg_dsplen(s);

		if (width + (columns < 0 ? 1 : columns) > most)
			break;
		if (columns < 0)
			appendStringInfoChar(out, ' ');
		else
			appendBinaryStringInfo(out, s, bytes);
		width += columns < 0 ? 1 : columns;
		s += bytes;
	}
	return width;
}

/*
 * fit(value text, width integer) → text
 */
Datum
cl_fit(PG_FUNCTION_ARGS)
{
	char	   *value = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			most = PG_GETARG_INT32(1);
	int			mark = (int) strlen(cut_mark);
	StringInfoData whole;
	StringInfoData cut;
	int			width;

	initStringInfo(&whole);
	width = append_columns(&whole, value, (int) strlen(value), PG_INT32_MAX);
	if (width > most)
	{
		initStringInfo(&cut);
		width = append_columns(&cut, whole.data, whole.len, Max(most - mark, 0)) + mark;
		appendStringInfoString(&cut, cut_mark);
		whole = cut;
	}
	if (width < most)
		appendStringInfoSpaces(&whole, most - width);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(whole.data, whole.len));
}
