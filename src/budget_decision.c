/*-------------------------------------------------------------------------
 * budget_decision.c
 *	  From what is left of every budget that a call belongs to, an answer.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "budget_decision.h"
#include "budget_query.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "money.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

const char *const cl_decision_names[] = {
	"allow", "warn", "throttle", "degrade", "defer", "stop"
};

static const char *
amount_text(Numeric amount)
{
	Datum		rounded = DirectFunctionCall2(numeric_round, NumericGetDatum(amount), Int32GetDatum(12));

	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(cl_numeric_trim(DatumGetNumeric(rounded)))));
}

static const char *
exact_text(Numeric amount)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(cl_numeric_trim(amount))));
}
static Numeric
used(const Candidate *candidate)
{
	return cl_numeric_add(candidate->posted, candidate->held);
}

/*
 * The first threshold that no call may go beyond, or NULL.
 */
static BudgetThreshold *
hard_threshold(const Candidate *candidate)
{
	for (int i = 0; i < candidate->limit->nthresholds; i++)
	{
		if (candidate->limit->thresholds[i].action >= ACTION_DEFER)
			return candidate->limit->thresholds + i;
	}
	return NULL;
}

/*
 * Where several refuse, the strongest that is reached answers.
 */
static BudgetThreshold *
refusing_threshold(const Candidate *candidate)
{
	BudgetThreshold *strongest = hard_threshold(candidate);
	Numeric		reached = used(candidate);

	for (int i = 0; i < candidate->limit->nthresholds; i++)
	{
		BudgetThreshold *threshold = candidate->limit->thresholds + i;

		if (threshold->action > strongest->action && cl_numeric_compare(reached, threshold->amount) >= 0)
			strongest = threshold;
	}
	return strongest;
}

static Numeric
seconds_since(TimestampTz start, TimestampTz at)
{
	Numeric		microseconds = cl_numeric_from_int64(Max(at - start, 0));

	return cl_numeric_div_pow10(microseconds, 6);
}

/*
 * What a budget without a sum is at: its own measure in place of posted.
 */
static void
measure(Candidate *candidate, const Request *request)
{
	if (candidate->budget->metric == METRIC_DEPTH)
		candidate->posted = cl_find_depth(request);
	else if (candidate->budget->metric == METRIC_DURATION)
		candidate->posted = TIMESTAMP_NOT_FINITE(candidate->first_at) ? cl_numeric_from_int64(0) : seconds_since(candidate->first_at, request->at);
}

/*
 * Whether the call costs nothing of what is counted: a model whose price is 0,
 * not one whose cost nobody knows.
 */
static bool
is_free(const Candidate *candidate, const Request *request)
{
	return candidate->budget->metric == METRIC_COST && request->is_priced && cl_numeric_is_zero(candidate->asked);
}

static bool
fits(const Candidate *candidate, const Request *request, Numeric held)
{
	BudgetThreshold *hard = hard_threshold(candidate);

	if (hard == NULL || is_free(candidate, request))
		return true;
	if (candidate->budget->metric == METRIC_DEPTH)
		return cl_numeric_compare(candidate->posted, hard->amount) <= 0;
	if (candidate->budget->is_request)
		return cl_numeric_compare(candidate->asked, hard->amount) <= 0;
	if (cl_numeric_is_zero(candidate->asked))
		return cl_numeric_compare(cl_numeric_add(candidate->posted, held), hard->amount) < 0;
	return cl_numeric_compare(cl_numeric_add(cl_numeric_add(candidate->posted, held), candidate->asked), hard->amount) <= 0;
}

bool
cl_fits_as_held(const Candidate *candidate, const Request *request)
{
	return fits(candidate, request, candidate->held);
}

/*
 * Without a lock: holds that are about to expire are left out, for they may
 * have by the time somebody hears the answer.
 */
bool
cl_fits_soon(const Candidate *candidate, const Request *request)
{
	return fits(candidate, request, cl_numeric_sub(candidate->held, candidate->expiring));
}

/*
 * When the first of the holds expires that are in the way.
 */
static TimestampTz
first_expiry(const Candidate *candidate, const Request *request)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(candidate->budget->budget_id), CStringGetTextDatum(candidate->entity),
	TimestampTzGetDatum(request->at)};

	if (cl_ask(&plan, "SELECT l.expires_at FROM cost_ledger_internal.hold_line l "
			"WHERE l.budget_id = $1 AND l.entity = $2 AND l.period_start = 'infinity' AND l.expires_at > $3 "
			"ORDER BY l.expires_at LIMIT 1", 3, types, values, NULL) == 0)
		return DT_NOEND;
	return cl_time_result(0, 1);
}

static TimestampTz
reset_time(const Candidate *candidate)
{
	if (candidate->budget->period_length == 0)
		return candidate->period_end;
	if (TIMESTAMP_NOT_FINITE(candidate->first_minute))
		return DT_NOEND;
	return candidate->first_minute + (candidate->period_end - candidate->period_start);
}

/*
 * When it is worth asking again: never, where it is more than a whole limit.
 */
static TimestampTz
retry_time(const Candidate *candidate, const Request *request, Numeric held)
{
	if (cl_numeric_compare(candidate->asked, hard_threshold(candidate)->amount) > 0)
		return DT_NOEND;
	if (!cl_numeric_is_zero(held) && fits(candidate, request, cl_numeric_from_int64(0)))
		return Min(first_expiry(candidate, request), reset_time(candidate));
	return reset_time(candidate);
}

/*
 * The strongest refusal answers; of equals, the one that lasts longest.  All of
 * them have to be over before it is worth asking again.
 */
static void
refuse(Answer *answer, Candidate *candidate, const Request *request)
{
	BudgetThreshold *threshold = refusing_threshold(candidate);
	const BudgetDefinition *budget = candidate->budget;
	Numeric		held = budget->is_request ? cl_numeric_from_int64(0) : candidate->held;

	TimestampTz retry_at = retry_time(candidate, request, held);
	bool		is_longest = !answer->is_refused || retry_at > answer->retry_at;

	answer->retry_at = is_longest ? retry_at : answer->retry_at;
	if (answer->is_refused && (answer->action > threshold->action || (answer->action == threshold->action && !is_longest)))
		return;
	answer->is_refused = true;
	answer->action = threshold->action;
	answer->by = candidate;
	answer->decision = cl_decision_names[threshold->action];
	answer->spent = budget->is_request && budget->metric != METRIC_DEPTH ? cl_numeric_from_int64(0) : candidate->posted;
	answer->held = held;
	answer->limit_amount = threshold->amount;
	answer->degrade_to = candidate->limit->degrade_to;
	answer->resets_at = reset_time(candidate);
	answer->reason = psprintf("budget \"%s\"%s: %s of %s spent%s, %s more asked for", budget->name,
							  budget->each_of ? psprintf(" of %s %s", budget->each_of, pnstrdup(candidate->entity, pg_mbcharcliplen(candidate->entity, strlen(candidate->entity), 100))) : "",
							  amount_text(answer->spent), exact_text(threshold->amount),
							  cl_numeric_is_zero(held) ? "" : psprintf(" and %s held", exact_text(held)),
							  exact_text(candidate->asked));
}

static BudgetAction
soft_action(const Candidate *candidate, Numeric reached)
{
	BudgetAction action = ACTION_ALLOW;

	for (int i = 0; i < candidate->limit->nthresholds; i++)
	{
		BudgetThreshold *threshold = candidate->limit->thresholds + i;

		if (cl_numeric_compare(threshold->amount, reached) > 0)
			break;
		if (threshold->action < ACTION_DEFER)
			action = Max(action, threshold->action);
	}
	return action;
}

/*
 * When the next such call may come, for what is left to last as long as the
 * period.
 */
static TimestampTz
find_pace(const Candidate *candidate, Numeric reached, TimestampTz at)
{
	int64		length = candidate->budget->period_length;
	TimestampTz end = length > 0 ? at + length : candidate->period_end;
	Numeric		left = cl_numeric_sub(candidate->limit->amount, reached);
	double		share;

	if (TIMESTAMP_NOT_FINITE(end) || cl_numeric_is_zero(candidate->asked))
		return DT_NOEND;
	if (cl_numeric_is_zero(left) || cl_numeric_is_negative(left))
		return end;
	share = DatumGetFloat8(DirectFunctionCall1(numeric_float8, DirectFunctionCall2(numeric_div, NumericGetDatum(candidate->asked), NumericGetDatum(left))));
	return at + (TimestampTz) ((end - at) * Min(share, 1.0));
}

/*
 * The strongest thing that is asked for decides; of equals, the budget that is
 * nearest to its end is named.
 */
static void
grant(Answer *answer, Candidate *candidate, TimestampTz at)
{
	BudgetThreshold *hard = hard_threshold(candidate);
	Numeric		held = cl_numeric_add(candidate->budget->is_request ? cl_numeric_from_int64(0) : candidate->held, candidate->asked);
	Numeric		reached = cl_numeric_add(candidate->posted, held);
	BudgetAction action = soft_action(candidate, reached);
	Numeric		ratio = DatumGetNumeric(DirectFunctionCall2(numeric_div, NumericGetDatum(reached), NumericGetDatum(candidate->limit->amount)));

	if (answer->by != NULL &&
		(action < answer->action || (action == answer->action && cl_numeric_compare(ratio, answer->ratio) <= 0)))
		return;
	answer->action = action;
	answer->ratio = ratio;
	answer->by = candidate;
	answer->decision = cl_decision_names[action];
	answer->spent = candidate->posted;
	answer->held = candidate->budget->is_request ? cl_numeric_from_int64(0) : held;
	answer->limit_amount = hard ? hard->amount : candidate->limit->amount;
	answer->degrade_to = action == ACTION_DEGRADE ? candidate->limit->degrade_to : NULL;
	answer->resets_at = candidate->budget->period_length == 0 ? candidate->period_end : DT_NOEND;
	answer->retry_at = action == ACTION_THROTTLE ? find_pace(candidate, reached, at) : DT_NOEND;
	answer->reason = action == ACTION_ALLOW ? NULL :
		psprintf("budget \"%s\": %s of %s spent or held", candidate->budget->name,
				 amount_text(cl_numeric_add(answer->spent, answer->held)), exact_text(answer->limit_amount));
}

void
cl_measure_all(List *candidates, const Request *request)
{
	ListCell   *cell;

	foreach(cell, candidates)
		measure(lfirst(cell), request);
}

static bool
counts(const Candidate *candidate, const Answer *answer, bool for_degraded)
{
	if (candidate->is_degraded != for_degraded)
		return false;
	if (!for_degraded)
		return true;
	return answer->action == ACTION_DEGRADE && !answer->is_refused;
}

/*
 * Whether a candidate is of the call, or of the model it is sent to.
 */
bool
cl_is_concerned(const Candidate *candidate, const Request *request, const char *degrade_to)
{
	BudgetLabels labels = request->wanted;

	if (!candidate->is_degraded)
		return true;
	if (degrade_to == NULL)
		return false;
	cl_set_label(&labels, "model", degrade_to);
	return list_member_ptr(cl_budgets_of(&labels), candidate->budget) &&
		(candidate->budget->has_subruns ||
		 strcmp(cl_budget_entity(candidate->budget->each, candidate->budget->neach, &labels), candidate->entity) == 0);
}

/*
 * Asks every candidate: first those of the call, then those of the model it is
 * sent to, which may refuse, and degrade no further.
 */
void
cl_decide(Answer *answer, List *candidates, const Request *request, bool (*has_room) (const Candidate *, const Request *))
{
	memset(answer, 0, sizeof(Answer));
	answer->decision = cl_decision_names[ACTION_ALLOW];
	answer->resets_at = answer->retry_at = DT_NOEND;
	for (int pass = 0; pass < 2; pass++)
	{
		const char *degrade_to = answer->degrade_to;
		ListCell   *cell;

		foreach(cell, candidates)
		{
			Candidate  *candidate = lfirst(cell);

			if (!counts(candidate, answer, pass == 1) || !cl_is_concerned(candidate, request, degrade_to))
				continue;
			candidate->budget->is_open = has_room(candidate, request) && candidate->is_known;
			if (!has_room(candidate, request))
				refuse(answer, candidate, request);
			else if (!answer->is_refused && pass == 0 && !is_free(candidate, request))
				grant(answer, candidate, request->at);
		}
		if (answer->is_refused)
			return;
	}
}
