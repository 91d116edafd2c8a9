/*-------------------------------------------------------------------------
 * limit.c
 *	  A time limit for a part of what a statement does.
 *
 * statement_timeout counts from the client's statement, which for the jobs is
 * the whole run, and ends all of it.  Here one command is given a limit of its
 * own.  It is canceled as a query is, and the error that leaves is another
 * one, LC004: EXCEPTION WHEN OTHERS catches it, as any failure of a step.  A
 * cancel by somebody else, or by statement_timeout, passes as it is.
 *
 * Limits nest.  The one that ends first is armed; what was armed before it is
 * armed again when its command is over, well or not.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

static TimeoutId limit_timeout = MAX_TIMEOUTS;	/* not registered */
static TimestampTz limit_end = 0;	/* of the limit that is armed; 0: none */
static volatile sig_atomic_t limit_reached = false;

/* In a signal handler. */
static void
reach_limit(void)
{
	/* Somebody was first, and means all of the statement. */
	if (QueryCancelPending)
		return;
	limit_reached = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

/*
 * Puts back the limit there was before.  True if the one that ends had been
 * reached and its cancel was taken for the error there is.
 */
static bool
end_limit(TimestampTz outer_end)
{
	bool		was_taken;

	disable_timeout(limit_timeout, false);
	was_taken = limit_reached && !QueryCancelPending;
	/* Too late to stop what it was for, and not meant for what follows. */
	if (limit_reached)
		QueryCancelPending = false;
	limit_reached = false;
	limit_end = outer_end;
	if (outer_end != 0)
		enable_timeout_at(limit_timeout, outer_end);
	return was_taken;
}

static int64
run(const char *command)
{
	int64		result = 0;
	int			status;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	status = SPI_execute(command, false, 1);
	if (status != SPI_OK_SELECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("command is not a SELECT"),
				 errdetail("It ended with %s.", SPI_result_code_string(status)),
				 errhint("Have a function do the work, and pass the SELECT that calls it.")));
	if (SPI_processed > 0 && SPI_gettypeid(SPI_tuptable->tupdesc, 1) == INT8OID)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
			result = DatumGetInt64(value);
	}
	SPI_finish();
	return result;
}

PG_FUNCTION_INFO_V1(cl_run_within);
Datum
cl_run_within(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TimestampTz outer_end = limit_end;
	TimestampTz end;
	char	   *command;
	volatile int64 result = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	command = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (PG_ARGISNULL(1))
		PG_RETURN_INT64(run(command));

	end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												  TimestampTzGetDatum(GetCurrentTimestamp()),
												  PG_GETARG_DATUM(1)));
	/* What ends before it is watched already. */
	if (outer_end != 0 && outer_end <= end)
		PG_RETURN_INT64(run(command));

	if (limit_timeout == MAX_TIMEOUTS)
		limit_timeout = RegisterTimeout(USER_TIMEOUT, reach_limit);
	else
		disable_timeout(limit_timeout, false);
	/* That of the limit around this one, reached just now, is to come still. */
	if (limit_reached)
		CHECK_FOR_INTERRUPTS();
	limit_end = end;
	enable_timeout_at(limit_timeout, end);
	PG_TRY();
	{
		result = run(command);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (!end_limit(outer_end) || geterrcode() != ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		error->sqlerrcode = ERRCODE_CL_TIME_LIMIT;
		error->message = psprintf("took longer than %s",
								  DatumGetCString(DirectFunctionCall1(interval_out,
																	  PG_GETARG_DATUM(1))));
		error->hint = pstrdup("Make it faster, or give it longer: a job with cost_ledger.set_job_time_limit(), a rule in its row of cost_ledger.alert_rule.");
		ReThrowError(error);
	}
	PG_END_TRY();
	end_limit(outer_end);
	PG_RETURN_INT64(result);
}
