/*-------------------------------------------------------------------------
 * json_column.h
 *	  What a client meant by what it sent as JSON.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_JSON_COLUMN_H
#define COST_LEDGER_JSON_COLUMN_H

#include "utils/jsonb.h"

extern bool cl_is_json_scalar(Datum json);
extern bool cl_is_empty_object(Datum json);
extern Jsonb *cl_unwrap_json(Jsonb *doc);
extern bool cl_is_flat_object(const Jsonb *doc);

#endif							/* COST_LEDGER_JSON_COLUMN_H */
