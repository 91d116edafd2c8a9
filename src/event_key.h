/*-------------------------------------------------------------------------
 * event_key.h
 *	  An event is recorded once, whatever retries there are.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_EVENT_KEY_H
#define COST_LEDGER_EVENT_KEY_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

/* What became of a key: claimed, or taken by a call with this payload or not. */
typedef struct EventKeyClaim
{
	bool		is_claimed;
	bool		is_same;
	int64		call_id;		/* of the call that has it */
	TimestampTz called_at;
} EventKeyClaim;

extern void cl_payload_add(StringInfo payload, const char *name, Oid type, Datum value);
extern bytea *cl_payload_digest(StringInfo payload);
extern EventKeyClaim cl_claim_event_key(Datum key, bytea *payload, int64 call_id,
										TimestampTz called_at);
extern void cl_refuse_other_event(Datum key, const EventKeyClaim *claim, Datum refused,
								  Oid type, Datum columns);

#endif							/* COST_LEDGER_EVENT_KEY_H */
