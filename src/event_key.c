/*-------------------------------------------------------------------------
 * event_key.c
 *	  An event is recorded once, whatever retries there are.
 *
 * A key is claimed in a table of its own, with a digest of what was sent.  Two
 * payloads are the same when they mean the same: each value goes into the
 * digest in one spelling, by its column's name, so that neither the number of
 * zeros behind a point nor the order of columns makes another event.
 *
 * A payload that is refused leaves nothing in the database, for its transaction
 * ends.  What outlives it is the server's log: there the error says what
 * differs, and what was sent.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "event_key.h"
#include "fmgr.h"
#include "key_space.h"
#include "ledger.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "numeric_parts.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

static void
add_bytes(StringInfo payload, const char *bytes, int len)
{
	pq_sendint32(payload, len);
	appendBinaryStringInfo(payload, bytes, len);
}

/*
 * Its digits without zeros at either end: 0.1 and 0.10 are one number.
 */
static void
add_numeric(StringInfo payload, const struct varlena *value)
{
	NumericParts parts;

	if (!open_numeric(value, &parts))
		elog(ERROR, "a payload has a number that is none");
	pq_sendbyte(payload, parts.negative);
	pq_sendint16(payload, parts.ndigits == 0 ? 0 : parts.weight);
	pq_sendint16(payload, parts.ndigits);
	for (int i = 0; i < parts.ndigits; i++)
		pq_sendint16(payload, numeric_digit(&parts, i));
}

static void
add_json_scalar(StringInfo payload, const JsonbValue *value)
{
	pq_sendbyte(payload, value->type);
	switch (value->type)
	{
		case jbvNull:
			break;
		case jbvBool:
			pq_sendbyte(payload, value->val.boolean);
			break;
		case jbvNumeric:
			add_numeric(payload, (struct varlena *) value->val.numeric);
			break;
		case jbvString:
			add_bytes(payload, value->val.string.val, value->val.string.len);
			break;
		default:
			elog(ERROR, "unexpected jsonb value of type %d", (int) value->type);
	}
}

/*
 * Equal as jsonb is equal here: names are in order there, and once.
 */
static void
add_jsonb(StringInfo payload, Jsonb *doc)
{
	JsonbIterator *it = JsonbIteratorInit(&doc->root);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		pq_sendbyte(payload, token);
		if (token == WJB_BEGIN_ARRAY)
			pq_sendbyte(payload, value.val.array.rawScalar);
		else if (token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM)
			add_json_scalar(payload, &value);
	}
}

/*
 * Adds what was sent for a column.  A column that is left out adds nothing, so
 * that one which is new changes no digest.
 */
void
cl_payload_add(StringInfo payload, const char *name, Oid type, Datum value)
{
	add_bytes(payload, name, strlen(name));
	switch (type)
	{
		case BOOLOID:
			pq_sendbyte(payload, DatumGetBool(value));
			break;
		case INT4OID:
			pq_sendint32(payload, DatumGetInt32(value));
			break;
		case INT8OID:
			pq_sendint64(payload, DatumGetInt64(value));
			break;
		case FLOAT8OID:
			/* -0 is 0. */
			pq_sendfloat8(payload, DatumGetFloat8(value) + 0.0);
			break;
		case UUIDOID:
			appendBinaryStringInfo(payload, DatumGetPointer(value), 16);
			break;
		case NUMERICOID:
			add_numeric(payload, PG_DETOAST_DATUM_PACKED(value));
			break;
		case TEXTOID:
			{
				text	   *t = DatumGetTextPP(value);

				add_bytes(payload, VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
				break;
			}
		case JSONBOID:
			add_jsonb(payload, DatumGetJsonbP(value));
			break;
		default:
			elog(ERROR, "a payload has a column of type %u", type);
	}
}

/*
 * SHA-256 of what was added.
 */
bytea *
cl_payload_digest(StringInfo payload)
{
	bytea	   *result = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	bool		good = context != NULL &&
		pg_cryptohash_init(context) >= 0 &&
		pg_cryptohash_update(context, (uint8 *) payload->data, payload->len) >= 0 &&
		pg_cryptohash_final(context, (uint8 *) VARDATA(result), PG_SHA256_DIGEST_LENGTH) >= 0;

	if (context)
		pg_cryptohash_free(context);
	if (!good)
		elog(ERROR, "could not compute a SHA-256 hash");
	SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	return result;
}

/*
 * Which call has recorded a key that is taken, and whether with this payload.
 */
static void
read_claim(Datum *arguments, Oid *types, EventKeyClaim *claim)
{
	static SPIPlanPtr plan = NULL;
	TupleDesc	descriptor;
	HeapTuple	tuple;
	bytea	   *payload = DatumGetByteaPP(arguments[2]);
	bytea	   *before;
	bool		isnull;

	cl_prepare_once(&plan,
					"SELECT k.payload, k.call_id, k.called_at FROM cost_ledger_internal.event_key k "
					"WHERE k.key_space OPERATOR(pg_catalog.=) $1 AND k.event_key OPERATOR(pg_catalog.=) $2",
					2, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up an event key");
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("event key \"%s\" was removed while it was looked up",
						TextDatumGetCString(arguments[1])),
				 errhint("Retry the transaction.")));
	descriptor = SPI_tuptable->tupdesc;
	tuple = SPI_tuptable->vals[0];
	before = DatumGetByteaPP(SPI_getbinval(tuple, descriptor, 1, &isnull));
	claim->is_same = VARSIZE_ANY_EXHDR(before) == PG_SHA256_DIGEST_LENGTH &&
		memcmp(VARDATA_ANY(before), VARDATA_ANY(payload), PG_SHA256_DIGEST_LENGTH) == 0;
	claim->call_id = DatumGetInt64(SPI_getbinval(tuple, descriptor, 2, &isnull));
	claim->called_at = DatumGetTimestampTz(SPI_getbinval(tuple, descriptor, 3, &isnull));
}

/*
 * Claims a key for a call in the space of the role that inserts it.  Waits for
 * another transaction that has claimed the key and not ended.
 */
EventKeyClaim
cl_claim_event_key(Datum key, bytea *payload, int64 call_id, TimestampTz called_at)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID, BYTEAOID, INT8OID, TIMESTAMPTZOID};
	Datum		arguments[] = {
		PointerGetDatum(cl_key_space()), key, PointerGetDatum(payload),
		Int64GetDatum(call_id), TimestampTzGetDatum(called_at)
	};
	EventKeyClaim claim = {false};
	CallerIdentity caller = cl_become_owner(cl_ledger_relation("event_key"));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	cl_prepare_once(&plan,
					"INSERT INTO cost_ledger_internal.event_key (key_space, event_key, payload, call_id, called_at) "
					"VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key_space, event_key) DO NOTHING",
					5, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not claim an event key");
	claim.is_claimed = SPI_processed == 1;
	if (!claim.is_claimed)
		read_claim(arguments, types, &claim);
	SPI_finish();
	cl_become_caller(caller);
	return claim;
}

/*
 * Whose call has used a key is told to those who may read every call, or have
 * sent it: whose keys are in a space of their own.
 */
static bool
may_be_told(void)
{
	Oid			call = cl_ledger_relation("call");

	return VARSIZE_ANY_EXHDR(cl_key_space()) > 0 ||
		(pg_class_aclcheck(call, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		 check_enable_rls(call, GetUserId(), true) != RLS_ENABLED);
}

/*
 * What the recorded call and the refused row, as it was sent, differ in, and
 * the row itself, as texts of bounded length.
 */
static void
describe_conflict(const EventKeyClaim *claim, Datum refused, Oid type, Datum columns,
				  char **difference, char **payload)
{
	Oid			types[] = {type, INT8OID, TIMESTAMPTZOID, TEXTARRAYOID};
	Datum		arguments[] = {
		refused, Int64GetDatum(claim->call_id), TimestampTzGetDatum(claim->called_at), columns
	};
	MemoryContext context = CurrentMemoryContext;
	CallerIdentity caller = cl_become_owner(cl_ledger_relation("call"));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the executor");
	if (SPI_execute_with_args("SELECT c.difference, c.payload FROM cost_ledger_internal.event_conflict("
							  "pg_catalog.to_jsonb($1), $2, $3, $4) c",
							  4, types, arguments, NULL, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not describe the conflict of an event key");
	MemoryContextSwitchTo(context);
	*difference = pstrdup(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	*payload = pstrdup(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
	SPI_finish();
	cl_become_caller(caller);
}

/*
 * refused is the row as a composite value of this type; columns names what is a
 * part of its payload.
 */
void
cl_refuse_other_event(Datum key, const EventKeyClaim *claim, Datum refused,
					  Oid type, Datum columns)
{
	char	   *space = text_to_cstring(cl_key_space());
	char	   *difference;
	char	   *payload;

	describe_conflict(claim, refused, type, columns, &difference, &payload);
	ereport(ERROR,
			(errcode(ERRCODE_CL_EVENT_KEY_CONFLICT),
			 errmsg("event key \"%s\" has already recorded another call", TextDatumGetCString(key)),
			 may_be_told() ? errdetail("It belongs to call " INT64_FORMAT " of %s. %s", claim->call_id,
									   timestamptz_to_str(claim->called_at), difference) : 0,
			 errdetail_log("It belongs to call " INT64_FORMAT " of %s, key space \"%s\". %s Refused: %s", claim->call_id,
						   timestamptz_to_str(claim->called_at), space, difference, payload),
			 errhint("Send a retry with the same payload and a new event with a new key; cost_ledger.recorded_call() shows what was recorded, cost_ledger.correct_call() corrects it.")));
}
