/*-------------------------------------------------------------------------
 * usage_read.h
 *	  Usage objects of providers and libraries, read into the ledger's
 *	  convention.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_USAGE_READ_H
#define COST_LEDGER_USAGE_READ_H

#include "usage.h"

extern bool cl_usage_normalize(Jsonb *raw, const char *format_name,
							   const char *provider, int provider_len,
							   Usage *usage);
extern Jsonb *cl_usage_core(Jsonb *raw, const char *provider, int provider_len,
							const Usage *usage);
extern const char *cl_service_class(const char *word, int *len);

#endif							/* COST_LEDGER_USAGE_READ_H */
