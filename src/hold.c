/*-------------------------------------------------------------------------
 * hold.c
 *	  Which calls of this transaction settle a hold.
 *
 * Balances of budgets are rows that everybody wants.  A transaction touches
 * them once, at its end, for all the calls it has recorded with a hold: one
 * trigger notes each row as it is stored, and the first of the deferred
 * triggers that fires settles them all, in the order of the balances.  The
 * others find nothing left to do.
 *
 * What is noted is the row itself, so nobody looks at the calls a second time,
 * in however many partitions they are.  Rows that are rolled back to a
 * savepoint leave the list; a settlement that is, after SET CONSTRAINTS, is due
 * again, as its trigger is.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "bounds.h"
#include "budget_settle.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger.h"
#include "money.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

static int	num_settlements = 0;
static int	max_settlements = 0;
static SettledCall *settlements = NULL;

/*
 * The first num_done of the list are settled, in parts: each by a
 * subtransaction, up to an end.  The list of parts is as short as SET
 * CONSTRAINTS is rare.
 */
typedef struct SettledPart
{
	SubTransactionId by;
	int			start;
	struct SettledPart *before;
} SettledPart;

static int	num_done = 0;
static SettledPart *last_part = NULL;

/* The list lives as long as the transaction, however that ends. */
static void
forget_settlements(void *arg)
{
	num_settlements = max_settlements = num_done = 0;
	settlements = NULL;
	last_part = NULL;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (SettledPart *part = last_part; part && part->by == mine; part = part->before)
			part->by = parent;
		for (int i = num_settlements - 1; i >= 0 && settlements[i].by == mine; i--)
			settlements[i].by = parent;
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (last_part && last_part->by == mine)
		{
			num_done = last_part->start;
			last_part = last_part->before;
		}
		while (num_settlements > 0 && settlements[num_settlements - 1].by == mine)
			num_settlements--;
		num_done = Min(num_done, num_settlements);
	}
}

/*
 * Room for one more, in the memory of the transaction.
 */
static SettledCall *
add_settlement(void)
{
	static bool is_registered = false;

	if (settlements == NULL)
	{
		MemoryContextCallback *callback = MemoryContextAllocZero(TopTransactionContext, sizeof(MemoryContextCallback));

		callback->func = forget_settlements;
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
		if (!is_registered)
			RegisterSubXactCallback(end_subtransaction, NULL);
		is_registered = true;
		max_settlements = 16;
		settlements = MemoryContextAlloc(TopTransactionContext, max_settlements * sizeof(SettledCall));
	}
	else if (num_settlements == max_settlements)
	{
		settlements = repalloc_huge(settlements, 2 * (Size) max_settlements * sizeof(SettledCall));
		max_settlements *= 2;
	}
	memset(settlements + num_settlements, 0, sizeof(SettledCall));
	return settlements + num_settlements;
}

/* What is read of a row, in this order; labels last, of these tags. */
static const char *const noted_columns[] = {
	"call_id", "called_at", "hold_id", "cost", "pricing", "usage_status",
	"status", "input_tokens", "output_tokens", "tool_calls_count",
	"served_from", "run_id", "session_id", "user_id", "api_key", "customer",
	"agent", "flow", "feature", "team", "task_type", "model", "provider",
	"operation", "service_class", "environment", "cohort", "tags"
};

typedef enum NotedColumn
{
	NOTED_CALL_ID,
	NOTED_CALLED_AT,
	NOTED_HOLD_ID,
	NOTED_COST,
	NOTED_PRICING,
	NOTED_USAGE_STATUS,
	NOTED_STATUS,
	NOTED_INPUT_TOKENS,
	NOTED_OUTPUT_TOKENS,
	NOTED_TOOL_CALLS,
	NOTED_SERVED_FROM,
	NOTED_FIRST_LABEL
} NotedColumn;

#define NUM_NOTED_COLUMNS ((int) lengthof(noted_columns))

/*
 * Where the columns are, found once for a statement and partition; mostly
 * where they were in the one before.
 */
static AttrNumber *
find_columns(FmgrInfo *function, TupleDesc descriptor)
{
	static AttrNumber before[NUM_NOTED_COLUMNS];
	AttrNumber *numbers = function->fn_extra;

	if (numbers != NULL)
		return numbers;
	numbers = MemoryContextAlloc(function->fn_mcxt, NUM_NOTED_COLUMNS * sizeof(AttrNumber));
	for (int i = 0; i < NUM_NOTED_COLUMNS; i++)
	{
		if (before[i] < 1 || before[i] > descriptor->natts ||
			strcmp(NameStr(TupleDescAttr(descriptor, before[i] - 1)->attname), noted_columns[i]) != 0)
			before[i] = SPI_fnumber(descriptor, noted_columns[i]);
		if (before[i] <= 0)
			cl_refuse_other_version();
		numbers[i] = before[i];
	}
	function->fn_extra = numbers;
	return numbers;
}

static bool
is_word(TupleTableSlot *slot, AttrNumber number, const char *word)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, number, &isnull);

	return !isnull && VARSIZE_ANY_EXHDR(DatumGetTextPP(value)) == strlen(word) &&
		memcmp(VARDATA_ANY(DatumGetTextPP(value)), word, strlen(word)) == 0;
}

static int64
read_count(TupleTableSlot *slot, AttrNumber number)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, number, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static char *
read_text(TupleTableSlot *slot, AttrNumber number)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, number, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static void
note_labels(SettledCall *call, TupleTableSlot *slot, const AttrNumber *numbers)
{
	BudgetLabels labels = {0};
	Size		size;

	bool		isnull;
	Datum		tags = slot_getattr(slot, numbers[NUM_NOTED_COLUMNS - 1], &isnull);

	for (int i = NOTED_FIRST_LABEL; i < NUM_NOTED_COLUMNS - 1; i++)
		cl_set_label(&labels, noted_columns[i], read_text(slot, numbers[i]));
	labels.tags = isnull ? NULL : DatumGetJsonbPCopy(tags);
	size = offsetof(BudgetLabels, label) + labels.n * sizeof(BudgetLabel);
	call->labels = memcpy(palloc(size), &labels, size);
	call->is_turn = cl_is_turn(cl_label_value(&labels, "operation"));
}

static void
note_amounts(SettledCall *call, TupleTableSlot *slot, const AttrNumber *numbers)
{
	bool		isnull;
	Datum		cost = slot_getattr(slot, numbers[NOTED_COST], &isnull);
	bool		is_partial = is_word(slot, numbers[NOTED_PRICING], "partial");
	bool		is_unpriced = is_word(slot, numbers[NOTED_PRICING], "unpriced");
	int64		tokens = 0;
	bool		has_none;
	Datum		value;

	/* Of an answer from the application's own cache no provider knows. */
	if (is_word(slot, numbers[NOTED_SERVED_FROM], "model"))
		tokens = read_count(slot, numbers[NOTED_INPUT_TOKENS]) + read_count(slot, numbers[NOTED_OUTPUT_TOKENS]);
	value = slot_getattr(slot, numbers[NOTED_TOOL_CALLS], &has_none);
	call->tool_calls = has_none ? 0 : DatumGetInt32(value);
	call->cost = isnull ? NULL : DatumGetNumericCopy(cost);
	call->tokens = DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(tokens)));
	call->needs_price = is_partial || is_unpriced;
	/* A fee is no more than a part of what a success has. */
	call->is_unknown = is_unpriced ||
		(is_partial && (is_word(slot, numbers[NOTED_USAGE_STATUS], "missing") ||
						is_word(slot, numbers[NOTED_USAGE_STATUS], "unrecognized")));
	call->status = read_text(slot, numbers[NOTED_STATUS]);
}

static void
require_trigger(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(((TriggerData *) fcinfo->context)->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cost_ledger_internal.%s() is a trigger of cost_ledger.call", name),
				 errhint("cost_ledger.create_ledger() attaches it; do not attach or call it by hand.")));
}

PG_FUNCTION_INFO_V1(cl_note_call);

/*
 * TRIGGER AFTER INSERT FOR EACH ROW ON cost_ledger.call, of calls with a hold
 */
Datum
cl_note_call(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	MemoryContext old;
	AttrNumber *numbers;
	SettledCall *call;

	require_trigger(fcinfo, "note_call");
	numbers = find_columns(fcinfo->flinfo, RelationGetDescr(trigger->tg_relation));
	call = add_settlement();
	old = MemoryContextSwitchTo(TopTransactionContext);
	call->by = GetCurrentSubTransactionId();
	call->call_id = read_count(trigger->tg_trigslot, numbers[NOTED_CALL_ID]);
	call->called_at = read_count(trigger->tg_trigslot, numbers[NOTED_CALLED_AT]);
	call->hold_id = *DatumGetUUIDP(slot_getattr(trigger->tg_trigslot, numbers[NOTED_HOLD_ID], &(bool) {false}));
	note_amounts(call, trigger->tg_trigslot, numbers);
	note_labels(call, trigger->tg_trigslot, numbers);
	MemoryContextSwitchTo(old);
	num_settlements++;
	return PointerGetDatum(NULL);
}

PG_FUNCTION_INFO_V1(cl_settle_calls);

/*
 * CONSTRAINT TRIGGER AFTER INSERT FOR EACH ROW ON cost_ledger.call, deferred
 */
Datum
cl_settle_calls(PG_FUNCTION_ARGS)
{
	CallerIdentity caller;
	SettledPart *part;
	int			start = num_done;

	require_trigger(fcinfo, "settle_calls");
	if (num_done == num_settlements)
		return PointerGetDatum(NULL);
	part = MemoryContextAlloc(TopTransactionContext, sizeof(SettledPart));
	part->by = GetCurrentSubTransactionId();
	part->start = num_done;
	part->before = last_part;
	last_part = part;
	num_done = num_settlements;

	caller = cl_become_owner(cl_ledger_relation("hold"));
	cl_settle_holds(settlements + start, num_settlements - start);
	cl_become_caller(caller);
	return PointerGetDatum(NULL);
}
