/*-------------------------------------------------------------------------
 * budget_gate.c
 *	  Balances of the budgets that a call belongs to: found, read, and held.
 *
 * What is held of a budget and entity stands in one row, the gate, whatever
 * period it is: a call that is on its way may come in this period or the next.
 * Who has the gates of all budgets that a call belongs to, taken in the order
 * of their key, decides; the rest waits.  Settlements take them in the same
 * order, so what has been posted is looked at after the gates are ours.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "budget_balance.h"
#include "budget_gate.h"
#include "budget_query.h"
#include "catalog/pg_type.h"
#include "money.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* ---- which budgets ---- */

/* As many lines that are over are read with a gate, rather than taken out. */
#define MAX_OVER 16

/*
 * Tokens that nobody has said are as many as the estimate buys of input.  Where
 * that is not known either, a limit of tokens that let the call by would be
 * none; one of a single request is held against the call when it comes.
 */
static Numeric
find_tokens(const Request *request, const BudgetDefinition *budget, Numeric estimate)
{
	Numeric		bought;

	if (request->input_tokens >= 0 || request->output_tokens >= 0)
		return cl_numeric_add(cl_numeric_from_int64(Max(request->input_tokens, 0)), cl_numeric_from_int64(Max(request->output_tokens, 0)));
	bought = estimate ? cl_tokens_for(request, estimate) : NULL;
	if (bought == NULL && !budget->is_request)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("budget \"%s\" counts tokens, and reserve() was told of none", budget->name),
				 errhint("Pass input_tokens and max_output_tokens; or, beside the estimate, a provider and a model that has a price.")));
	return bought ? bought : cl_numeric_from_int64(0);
}

/*
 * What the call asks of a budget.
 */
static Numeric
find_asked(const Request *request, const BudgetDefinition *budget, Numeric estimate)
{
	switch (budget->metric)
	{
		case METRIC_COST:
			return estimate ? estimate : cl_numeric_from_int64(0);
		case METRIC_TOKENS:
			return find_tokens(request, budget, estimate);
		case METRIC_TOOL_CALLS:
			return cl_numeric_from_int64(Max(request->tool_calls, 0));
		case METRIC_CALLS:
		case METRIC_CONCURRENT_CALLS:
		case METRIC_TURNS:
			return cl_numeric_from_int64(1);
		default:
			return cl_numeric_from_int64(0);
	}
}

static bool
is_candidate(List *candidates, BudgetDefinition *budget, const char *entity)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		if (candidate->budget == budget && strcmp(candidate->entity, entity) == 0)
			return true;
	}
	return false;
}

static List *
add_candidate(List *candidates, const Request *request, const BudgetLabels *labels, BudgetDefinition *budget, Numeric estimate, bool is_degraded)
{
	BudgetLimit *limit = cl_budget_limit(budget, request->at);
	const char *entity = cl_budget_entity(budget->each, budget->neach, labels);
	Candidate  *candidate;

	if (budget->has_subruns)
		entity = cl_find_root(request);
	if (limit == NULL || is_candidate(candidates, budget, entity))
		return candidates;
	/* What is no turn is not stopped for turns. */
	if (budget->metric == METRIC_TURNS && !cl_is_turn(cl_label_value(labels, "operation")))
		return candidates;
	candidate = palloc0(sizeof(Candidate));
	candidate->budget = budget;
	candidate->limit = limit;
	candidate->entity = entity;
	candidate->is_degraded = is_degraded;
	candidate->asked = find_asked(request, budget, estimate);
	cl_budget_period(budget, request->at);
	candidate->period_start = budget->period_start;
	candidate->period_end = budget->period_end;
	candidate->posted = candidate->held = candidate->expiring = cl_numeric_from_int64(0);
	return lappend(candidates, candidate);
}

List *
cl_find_candidates(List *candidates, const Request *request, const BudgetLabels *labels, Numeric estimate, bool is_degraded)
{
	ListCell   *cell;

	foreach(cell, cl_budgets_of(labels))
		candidates = add_candidate(candidates, request, labels, lfirst(cell), estimate, is_degraded);
	return candidates;
}

/*
 * Whether a budget may send the call to another model.
 */
static const char *
may_degrade_to(const Candidate *candidate)
{
	for (int i = 0; i < candidate->limit->nthresholds; i++)
	{
		if (candidate->limit->thresholds[i].action == ACTION_DEGRADE)
			return candidate->limit->degrade_to;
	}
	return NULL;
}

/*
 * The budgets of the models that the call may be sent to are candidates from
 * the beginning, so that all gates are taken in one order.
 */
List *
cl_add_degraded(List *candidates, const Request *request)
{
	int			n = list_length(candidates);

	for (int i = 0; i < n; i++)
	{
		const char *model = may_degrade_to(list_nth(candidates, i));
		BudgetLabels labels = request->wanted;

		if (model == NULL)
			continue;
		cl_set_label(&labels, "model", model);
		candidates = cl_find_candidates(candidates, request, &labels,
									 cl_degraded_estimate(request, model), true);
	}
	return candidates;
}

int
cl_by_key(const ListCell *a, const ListCell *b)
{
	const Candidate *ca = lfirst(a);
	const Candidate *cb = lfirst(b);

	if (ca->budget->budget_id != cb->budget->budget_id)
		return ca->budget->budget_id < cb->budget->budget_id ? -1 : 1;
	return strcmp(ca->entity, cb->entity);
}

/* ---- balances ---- */

bool
cl_has_balance(const Candidate *candidate)
{
	return !candidate->budget->is_request;
}

/*
 * Whether something of the budget is to be held.
 */
bool
cl_is_held(const Candidate *candidate)
{
	return cl_has_balance(candidate) && !cl_numeric_is_zero(candidate->asked);
}

/*
 * What has been posted in the period; of a rolling one, in every minute of it.
 */
static void
read_posted(Candidate *candidate, const Books *books, TupleTableSlot *row)
{
	const BudgetDefinition *budget = candidate->budget;
	IndexScanDesc scan;

	candidate->posted = cl_numeric_from_int64(0);
	candidate->first_minute = DT_NOEND;
	if (budget->period_length == 0)
	{
		if (!cl_find_balance(books, budget->budget_id, candidate->entity, candidate->period_start, row))
			return;
		candidate->posted = cl_amount_of(row, BALANCE_POSTED);
		candidate->first_at = Min(candidate->first_at, cl_time_of(row, BALANCE_FIRST_AT));
		return;
	}
	scan = cl_begin_balances(books, budget->budget_id, candidate->entity, candidate->period_start);
	while (cl_next_row(scan, row))
	{
		Numeric		posted = cl_amount_of(row, BALANCE_POSTED);

		if (candidate->first_minute == DT_NOEND && !cl_numeric_is_zero(posted) && !cl_numeric_is_negative(posted))
			candidate->first_minute = cl_time_of(row, BALANCE_PERIOD_START);
		candidate->posted = cl_numeric_add(candidate->posted, posted);
		candidate->first_at = Min(candidate->first_at, cl_time_of(row, BALANCE_FIRST_AT));
	}
}

/*
 * What was spent and is held below the run stands with the runs below it.
 */
static void
add_subruns(Candidate *candidate, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(candidate->budget->budget_id), CStringGetTextDatum(candidate->entity),
		TimestampTzGetDatum(candidate->period_start),
		TimestampTzGetDatum(candidate->budget->period_length > 0 ? DT_NOEND : candidate->period_start),
	TimestampTzGetDatum(at), TimestampTzGetDatum(at + USECS_PER_SEC)};
	Numeric		expired;

	cl_ask(&plan, "SELECT s.posted, s.first_at, s.first_minute, s.held, s.expired, s.expiring "
		"FROM cost_ledger_internal.subrun_spend($1, $2, $3, $4, $5, $6) AS s", 6, types, values, NULL);
	expired = cl_numeric_result(0, 5);
	candidate->posted = cl_numeric_add(candidate->posted, cl_numeric_result(0, 1));
	candidate->first_at = Min(candidate->first_at, cl_time_result(0, 2));
	candidate->first_minute = Min(candidate->first_minute, cl_time_result(0, 3));
	candidate->held = cl_numeric_add(candidate->held, cl_numeric_sub(cl_numeric_result(0, 4), expired));
	candidate->expiring = cl_numeric_add(candidate->expiring, cl_numeric_sub(cl_numeric_result(0, 6), expired));
}

/*
 * What is held, by the gate.
 */
static void
read_gate(Candidate *candidate, const Books *books, TupleTableSlot *row)
{
	if (candidate->gate != NULL)
		row = candidate->gate;
	candidate->is_known = candidate->gate != NULL ||
		cl_find_balance(books, candidate->budget->budget_id, candidate->entity, GATE, row);
	candidate->held = candidate->is_known ? cl_amount_of(row, BALANCE_HELD) : cl_numeric_from_int64(0);
	candidate->first_at = candidate->is_known ? cl_time_of(row, BALANCE_FIRST_AT) : DT_NOEND;
}

/*
 * Less what is over by a time; and how much is about to be.
 */
static void
read_lines(Candidate *candidate, const Books *books, TupleTableSlot *row, TimestampTz at, TimestampTz over_at)
{
	IndexScanDesc scan = cl_begin_lines(books, candidate->budget->budget_id, candidate->entity, at + USECS_PER_SEC);

	candidate->expiring = cl_numeric_from_int64(0);
	candidate->has_expired = false;
	candidate->nover = 0;
	while (cl_next_row(scan, row))
	{
		Numeric		amount = cl_amount_of(row, LINE_AMOUNT);
		TimestampTz expires_at = cl_time_of(row, LINE_EXPIRES_AT);

		if (expires_at > over_at)
		{
			candidate->expiring = cl_numeric_add(candidate->expiring, amount);
			continue;
		}
		candidate->held = cl_numeric_sub(candidate->held, amount);
		if (expires_at == DT_NOBEGIN)
			candidate->nover++;
		else
			candidate->has_expired = true;
	}
}

/*
 * Reads what is posted and held, by one snapshot of now; of gates that are ours,
 * as it stands there.  A hold that has ended counts for nothing, and what was
 * posted for it is in the same snapshot.  One that has expired may be being
 * settled: once gates have been swept, only what was taken out of them is over.
 */
void
cl_look(Books *books, List *candidates, TimestampTz at, bool are_swept)
{
	TupleTableSlot *balance = cl_make_row(&books->balances);
	TupleTableSlot *line = cl_make_row(&books->lines);
	ListCell   *cell;

	cl_see_books(books);
	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		if (!cl_has_balance(candidate))
			continue;
		read_gate(candidate, books, balance);
		read_posted(candidate, books, balance);
		read_lines(candidate, books, line, at, are_swept && cl_is_held(candidate) ? DT_NOBEGIN : at);
		if (candidate->budget->has_subruns)
			add_subruns(candidate, at);
	}
}

/*
 * The time of a duration runs from the first call that was asked for.
 */
static void
start_clock(Books *books, TupleTableSlot *gate, TimestampTz at)
{
	const int	columns[] = {BALANCE_FIRST_AT, BALANCE_LAST_AT};
	const Datum values[] = {TimestampTzGetDatum(at), TimestampTzGetDatum(at)};

	if (cl_time_of(gate, BALANCE_FIRST_AT) != DT_NOEND)
		return;
	cl_update_row(&books->balances, gate, columns, values, NULL, 2);
	cl_see_books(books);
}

/*
 * Takes the gates of all that will be held, in the order of their key.  Who
 * waits has those before, and nobody waits for one of these who has one after.
 */
void
cl_take_gates(Books *books, List *candidates, TimestampTz at)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);
		bool		is_clock = candidate->budget->metric == METRIC_DURATION;

		if (!cl_is_held(candidate) && !(is_clock && cl_has_balance(candidate) && candidate->first_at == DT_NOEND))
			continue;
		candidate->gate = cl_make_row(&books->balances);
		cl_take_balance(books, candidate->budget->budget_id, candidate->entity, GATE, candidate->gate);
		if (is_clock)
			start_clock(books, candidate->gate, at);
	}
}

/*
 * Limits and periods are those of when the gates are ours.
 */
void
cl_renew(List *candidates, TimestampTz at)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);
		BudgetLimit *limit = cl_budget_limit(candidate->budget, at);

		if (limit != NULL)
			candidate->limit = limit;
		cl_budget_period(candidate->budget, at);
		candidate->period_start = candidate->budget->period_start;
		candidate->period_end = candidate->budget->period_end;
	}
}

/*
 * Takes a line that is over, if nobody has it: who has is settling or extending
 * it, and it counts until that is done.
 */
static Numeric
take_over(Books *books, TupleTableSlot *line, TimestampTz at)
{
	if (!cl_try_lock_row(&books->lines, line, LockTupleExclusive) || cl_time_of(line, LINE_EXPIRES_AT) > at)
		return cl_numeric_from_int64(0);
	cl_delete_row(&books->lines, line);
	return cl_amount_of(line, LINE_AMOUNT);
}

/*
 * Takes what is over out of a gate that is ours.
 */
static void
sweep(Books *books, const Candidate *candidate)
{
	const int	column = BALANCE_HELD;
	TupleTableSlot *line = cl_make_row(&books->lines);
	TimestampTz at = GetCurrentTimestamp();
	Numeric		over = cl_numeric_from_int64(0);
	IndexScanDesc scan;
	Datum		held;

	scan = cl_begin_lines(books, candidate->budget->budget_id, candidate->entity, at);
	while (cl_next_row(scan, line))
		over = cl_numeric_add(over, take_over(books, line, at));
	held = NumericGetDatum(cl_numeric_sub(cl_amount_of(candidate->gate, BALANCE_HELD), over));
	cl_update_row(&books->balances, candidate->gate, &column, &held, NULL, 1);
	cl_see_books(books);
}

/*
 * Takes out of the gates what has expired; whether there was any.
 */
bool
cl_sweep_expired(Books *books, List *candidates)
{
	bool		has_swept = false;
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (!cl_is_held(candidate) || !candidate->has_expired)
			continue;
		sweep(books, candidate);
		has_swept = true;
	}
	return has_swept;
}

/*
 * Holds that have ended while somebody had the gate stay there until it is
 * worth the while.
 */
void
cl_sweep_over(Books *books, List *candidates)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (cl_is_held(candidate) && candidate->nover >= MAX_OVER)
			sweep(books, candidate);
	}
}
