/*-------------------------------------------------------------------------
 * errcodes.h
 *	  The SQLSTATEs that are our own.  Classes I to Z belong to the
 *	  implementation by the SQL standard; LC is ours.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_ERRCODES_H
#define COST_LEDGER_ERRCODES_H

#include "utils/elog.h"

/* No price is in force, and the caller asked for an error. */
#define ERRCODE_CL_NO_PRICE				MAKE_SQLSTATE('L', 'C', '0', '0', '1')
/* An event key came again with another payload. */
#define ERRCODE_CL_EVENT_KEY_CONFLICT	MAKE_SQLSTATE('L', 'C', '0', '0', '3')
/* A step of the jobs or a rule took longer than its time_limit. */
#define ERRCODE_CL_TIME_LIMIT			MAKE_SQLSTATE('L', 'C', '0', '0', '4')

/* A budget or pause refuses a call, and the caller asked for an error: as the
 * answer, defer or stop. */
#define ERRCODE_CL_DEFERRED				MAKE_SQLSTATE('L', 'C', '0', '0', '5')
#define ERRCODE_CL_STOPPED				MAKE_SQLSTATE('L', 'C', '0', '0', '6')

#endif							/* COST_LEDGER_ERRCODES_H */
