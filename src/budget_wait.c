/*-------------------------------------------------------------------------
 * budget_wait.c
 *	  How long who decides or settles waits for others who do.
 *
 * A step takes its locks in one order, so steps alone never wait in a circle.
 * Transactions of several steps may.  A decision waits briefly anyway: no longer
 * than cost_ledger.decision_lock_timeout, and then has an error that says so.
 * So does everybody who might have something that others wait for, from an
 * earlier step, and half as long: who has nothing is not to suffer for it.  Who
 * settles, and has ended no hold before, waits patiently.  So in any circle
 * there is somebody who gives up, and it is not the one who records a call.
 * Nobody asks whether there is a circle, as deadlock_timeout would have it: who
 * asks first is its victim.
 *
 * Both last as long as the settings of the function that is running, one with a
 * SET clause or a level of settings of its own.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include <limits.h>

#include "budget_wait.h"
#include "fmgr.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"

static int	decision_lock_timeout = 2000;

/* What this transaction has from earlier steps. */
static bool is_noted = false;
static bool has_gates = false;
static bool has_ended_holds = false;

void
cl_wait_init(void)
{
	DefineCustomIntVariable("cost_ledger.decision_lock_timeout",
							"How long reserve() waits for a balance that another transaction has.",
							"Longer waits hide a transaction that stays open around a call of a model. 0 waits for ever.",
							&decision_lock_timeout, 2000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

/*
 * With our own rights: deadlock_timeout is not for everybody to set.
 */
static void
set_timeout(const char *name, int milliseconds)
{
	char		value[16];

	snprintf(value, sizeof(value), "%d", milliseconds);
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * The shorter of the session's own lock_timeout and ours.  Who waits for ever
 * is told of a circle, as anywhere.
 */
void
cl_wait_briefly(void)
{
	int			ours = has_gates || has_ended_holds ? (decision_lock_timeout + 1) / 2 : decision_lock_timeout;
	int			limit = LockTimeout;

	if (ours > 0 && (limit == 0 || ours < limit))
	{
		limit = ours;
		set_timeout("lock_timeout", limit);
	}
	if (limit > 0 && DeadlockTimeout <= limit)
		set_timeout("deadlock_timeout", limit < INT_MAX ? limit + 1 : limit);
}

void
cl_wait_patiently(void)
{
	set_timeout("deadlock_timeout", INT_MAX);
}

static void
forget_notes(void *arg)
{
	is_noted = has_gates = has_ended_holds = false;
}

/*
 * What is noted stays until the transaction ends, a savepoint that is gone
 * included.
 */
static void
note(bool *what)
{
	MemoryContextCallback *callback;

	*what = true;
	if (is_noted)
		return;
	callback = MemoryContextAllocZero(TopTransactionContext, sizeof(MemoryContextCallback));
	callback->func = forget_notes;
	MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	is_noted = true;
}

void
cl_note_gates(void)
{
	note(&has_gates);
}

void
cl_note_ended_holds(void)
{
	note(&has_ended_holds);
}

bool
cl_has_ended_holds(void)
{
	return has_ended_holds;
}

/*
 * In a PG_CATCH(): of a wait that is over, what to do is not what the lock
 * manager says.
 */
void
cl_explain_wait(MemoryContext caller, const char *message)
{
	ErrorData  *error;

	if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
		PG_RE_THROW();
	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	FlushErrorState();
	error->message = pstrdup(message);
	error->hint = pstrdup("Commit the transaction of reserve() before the call of the model, and record one call in a transaction; who has reserved or settled waits for cost_ledger.decision_lock_timeout.");
	ReThrowError(error);
}

PG_FUNCTION_INFO_V1(cl_ends_holds);

/*
 * ends_holds() → void, of the function that calls it
 */
Datum
cl_ends_holds(PG_FUNCTION_ARGS)
{
	cl_wait_briefly();
	cl_note_ended_holds();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(cl_waits_patiently);

/*
 * waits_patiently() → void, of the function that calls it
 */
Datum
cl_waits_patiently(PG_FUNCTION_ARGS)
{
	cl_wait_patiently();
	PG_RETURN_VOID();
}
