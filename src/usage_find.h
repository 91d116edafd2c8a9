/*-------------------------------------------------------------------------
 * usage_find.h
 *	  Where the usage object is in what was sent, and of which format.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_USAGE_FIND_H
#define COST_LEDGER_USAGE_FIND_H

#include "usage_rules.h"

typedef struct FoundUsage
{
	JsonbContainer *usage;		/* an object, or OTLP's list of attributes */
	JsonbContainer *response;	/* that it stands in, or NULL */
	int			format;
	bool		is_unfinished;	/* of a stream that has only begun */
} FoundUsage;

extern bool cl_provider_begins(const char *provider, int len, const char *word);
extern FoundUsage cl_find_usage(JsonbContainer *root, const char *provider, int len);

#endif							/* COST_LEDGER_USAGE_FIND_H */
