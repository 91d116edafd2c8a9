/*-------------------------------------------------------------------------
 * bounds.h
 *	  How large what comes in may be.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_BOUNDS_H
#define COST_LEDGER_BOUNDS_H

#include "utils/numeric.h"

/* Counts of a call. */
#define MAX_QUANTITY	INT64CONST(1000000000000)

/* Bytes that are kept of an id and of any other label. */
#define MAX_ID_LEN		512
#define MAX_LABEL_LEN	1024

/* Bytes that are taken of a text that is no label, and of a JSON value. */
#define MAX_TEXT_LEN	8192
#define MAX_JSON_LEN	(1024 * 1024)

extern Datum cl_shorten_datum(Datum value, int limit);
extern bool cl_is_longer(Datum value, int limit);
extern void cl_check_length(Datum value, int limit, const char *name);
extern bool cl_is_money(Numeric value);
extern bool cl_is_cost(Numeric value);
extern Numeric cl_round_money(Numeric value);

#endif							/* COST_LEDGER_BOUNDS_H */
