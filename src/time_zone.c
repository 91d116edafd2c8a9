/*-------------------------------------------------------------------------
 * time_zone.c
 *	  Whether a text is the name of a time zone.
 *
 * The answer is that of the view pg_timezone_names, which reads every file of
 * the time zone data to give it.  What SET TIME ZONE takes beyond those names
 * is none: another spelling ("europe/berlin"), and rules in the notation of
 * POSIX ("CET-1CEST"), which no name of a place would ever replace.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include <unistd.h>

#include "fmgr.h"
#include "pgtime.h"
#include "utils/builtins.h"

/* Of PostgreSQL's pgtz.h, which is not installed: a descriptor, or -1. */
extern int	pg_open_tzfile(const char *name, char *canonname);

/*
 * Is there a file of the name, in this very spelling?  A zone that is none
 * comes of a rule.
 */
static bool
has_file(const char *name)
{
	char		spelling[TZ_STRLEN_MAX + 1];
	int			file = pg_open_tzfile(name, spelling);

	if (file < 0)
		return false;
	close(file);
	return strcmp(name, spelling) == 0;
}

PG_FUNCTION_INFO_V1(cl_is_time_zone);

/*
 * is_time_zone(name text) → boolean
 */
Datum
cl_is_time_zone(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	pg_tz	   *zone = strlen(name) > TZ_STRLEN_MAX ? NULL : pg_tzset(name);

	PG_RETURN_BOOL(zone && pg_tz_acceptable(zone) && has_file(name));
}
