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

#include "bounds.h"
#include "budget_balance.h"
#include "budget_gate.h"
#include "budget_query.h"
#include "catalog/pg_type.h"
#include "money.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* ---- which budgets ---- */

/*
 * What the call asks of a budget; of a token budget, an estimate alone says
 * nothing.
 */
static Numeric
find_asked(const Request *request, BudgetMetric metric, Numeric estimate)
{
	switch (metric)
	{
		case METRIC_COST:
			return estimate ? estimate : cl_numeric_from_int64(0);
		case METRIC_TOKENS:
			return cl_numeric_add(cl_numeric_from_int64(Max(request->input_tokens, 0)), cl_numeric_from_int64(Max(request->output_tokens, 0)));
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
	const char *entity = budget->each_of ? cl_shortened(cl_label_value(labels, budget->each_of), MAX_ID_LEN) : "";
	Candidate  *candidate;

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
	candidate->asked = find_asked(request, budget->metric, estimate);
	cl_budget_period(budget, request->at);
	candidate->period_start = budget->period_start;
	candidate->period_end = budget->period_end;
	candidate->posted = candidate->held = candidate->expiring = cl_numeric_from_int64(0);
	return lappend(candidates, candidate);
}

List *
cl_find_candidates(List *candidates, const Request *request, const BudgetLabels *labels, Numeric estimate, bool is_degraded)
{
	for (int i = -1; i < labels->n; i++)
	{
		int			nfound;
		BudgetDefinition *budget = cl_find_budgets(i < 0 ? "" : labels->label[i].key, &nfound);

		for (; nfound > 0; nfound--, budget++)
		{
			if (cl_belongs(budget, labels))
				candidates = add_candidate(candidates, request, labels, budget, estimate, is_degraded);
		}
	}
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
									 request->is_priced ? cl_price_request(request, model) : request->estimate, true);
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
		if (cl_find_balance(books, budget->budget_id, candidate->entity, candidate->period_start, row))
			candidate->posted = cl_amount_of(row, BALANCE_POSTED);
		return;
	}
	scan = cl_begin_balances(books, budget->budget_id, candidate->entity, candidate->period_start);
	while (cl_next_row(scan, row))
	{
		Numeric		posted = cl_amount_of(row, BALANCE_POSTED);

		if (candidate->first_minute == DT_NOEND && !cl_numeric_is_zero(posted) && !cl_numeric_is_negative(posted))
			candidate->first_minute = cl_time_of(row, BALANCE_PERIOD_START);
		candidate->posted = cl_numeric_add(candidate->posted, posted);
	}
}

/*
 * What is held, less what has expired; and how much is about to.
 */
static void
read_held(Candidate *candidate, const Books *books, TupleTableSlot *row)
{
	if (candidate->gate == NULL)
	{
		candidate->is_known = cl_find_balance(books, candidate->budget->budget_id, candidate->entity, DT_NOBEGIN, row);
		candidate->held = candidate->is_known ? cl_amount_of(row, BALANCE_HELD) : cl_numeric_from_int64(0);
		candidate->first_at = candidate->is_known ? cl_time_of(row, BALANCE_FIRST_AT) : DT_NOEND;
		return;
	}
	candidate->is_known = true;
	candidate->held = cl_amount_of(candidate->gate, BALANCE_HELD);
	candidate->first_at = cl_time_of(candidate->gate, BALANCE_FIRST_AT);
}

static void
read_expired(Candidate *candidate, const Books *books, TupleTableSlot *row, TimestampTz at)
{
	IndexScanDesc scan;

	candidate->expiring = cl_numeric_from_int64(0);
	candidate->has_expired = false;
	scan = cl_begin_lines(books, candidate->budget->budget_id, candidate->entity, at + USECS_PER_SEC);
	while (cl_next_row(scan, row))
	{
		Numeric		amount = cl_amount_of(row, LINE_AMOUNT);

		if (cl_time_of(row, LINE_EXPIRES_AT) > at)
		{
			candidate->expiring = cl_numeric_add(candidate->expiring, amount);
			continue;
		}
		candidate->has_expired = true;
		candidate->held = cl_numeric_sub(candidate->held, amount);
	}
}

/*
 * Reads what is posted and held: of gates that are ours as it stands there, of
 * others as it is committed.
 */
void
cl_look(Books *books, List *candidates, TimestampTz at)
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
		read_held(candidate, books, balance);
		read_posted(candidate, books, balance);
		read_expired(candidate, books, line, at);
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
		cl_take_balance(books, candidate->budget->budget_id, candidate->entity, DT_NOBEGIN, candidate->gate);
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
 * Takes what has expired out of a gate, which is then read anew.
 */
static void
sweep(Books *books, const Candidate *candidate)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(candidate->budget->budget_id), CStringGetTextDatum(candidate->entity),
	TimestampTzGetDatum(GetCurrentTimestamp())};

	cl_ask(&plan, "SELECT cost_ledger_internal.sweep_holds($1, $2, '-infinity', $3)", 3, types, values, NULL);
	cl_see_books(books);
	cl_take_balance(books, candidate->budget->budget_id, candidate->entity, DT_NOBEGIN, candidate->gate);
}

void
cl_sweep_all(Books *books, List *candidates)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (cl_is_held(candidate) && candidate->has_expired)
			sweep(books, candidate);
	}
}
