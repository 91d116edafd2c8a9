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
 * Keys of the candidates for which a condition holds, as two arrays; how many.
 */
static int
collect_keys(List *candidates, bool (*holds) (const Candidate *), Datum *ids, Datum *entities)
{
	Datum	   *id = palloc((list_length(candidates) + 1) * sizeof(Datum));
	Datum	   *entity = palloc((list_length(candidates) + 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (!holds(candidate))
			continue;
		id[n] = Int64GetDatum(candidate->budget->budget_id);
		entity[n++] = CStringGetTextDatum(candidate->entity);
	}
	*ids = cl_array_of(id, NULL, n, INT8OID);
	*entities = cl_array_of(entity, NULL, n, TEXTOID);
	return n;
}

static const char *const look_query =
	"SELECT s.budget_id, s.held, s.first_at, p.posted, p.first_minute, x.expired, x.expiring "
	"FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS k (budget_id, entity, first_start, last_start, n) "
	"LEFT JOIN LATERAL (SELECT s.* FROM cost_ledger_internal.budget_balance s "
	" WHERE s.budget_id = k.budget_id AND s.entity = k.entity AND s.period_start = '-infinity' LIMIT 1) s ON true "
	"CROSS JOIN LATERAL (SELECT coalesce(sum(m.posted), 0) AS posted, min(m.period_start) FILTER (WHERE m.posted > 0) AS first_minute "
	" FROM cost_ledger_internal.budget_balance m "
	" WHERE m.budget_id = k.budget_id AND m.entity = k.entity AND m.period_start >= k.first_start AND m.period_start <= k.last_start) p "
	"CROSS JOIN LATERAL (SELECT coalesce(sum(i.amount) FILTER (WHERE i.expires_at <= $5), 0) AS expired, coalesce(sum(i.amount), 0) AS expiring "
	" FROM cost_ledger_internal.hold_line i "
	" WHERE i.budget_id = k.budget_id AND i.entity = k.entity AND i.period_start = '-infinity' AND i.expires_at <= $6) x "
	"ORDER BY k.n";

static void
read_balance(Candidate *candidate, int row)
{
	Numeric		expired = cl_numeric_result(row, 6);
	Numeric		held = cl_numeric_result(row, 2);
	bool		isnull;

	cl_result(row, 1, &isnull);
	candidate->is_known = !isnull;
	candidate->first_at = cl_time_result(row, 3);
	candidate->posted = cl_numeric_result(row, 4);
	candidate->first_minute = cl_time_result(row, 5);
	candidate->has_expired = !cl_numeric_is_zero(expired);
	candidate->expiring = cl_numeric_sub(cl_numeric_result(row, 7), expired);
	candidate->held = isnull ? cl_numeric_from_int64(0) : cl_numeric_sub(held, expired);
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
 * Reads what is posted and held, under a snapshot of now.
 */
void
cl_look(List *candidates, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[6];
	Datum	   *starts = palloc((list_length(candidates) + 1) * sizeof(Datum));
	Datum	   *ends = palloc((list_length(candidates) + 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);

		if (!cl_has_balance(candidate))
			continue;
		starts[n] = TimestampTzGetDatum(candidate->period_start);
		ends[n++] = TimestampTzGetDatum(candidate->budget->period_length > 0 ? DT_NOEND : candidate->period_start);
	}
	if (n == 0)
		return;
	collect_keys(candidates, cl_has_balance, &values[0], &values[1]);
	values[2] = cl_array_of(starts, NULL, n, TIMESTAMPTZOID);
	values[3] = cl_array_of(ends, NULL, n, TIMESTAMPTZOID);
	values[4] = TimestampTzGetDatum(at);
	values[5] = TimestampTzGetDatum(at + USECS_PER_SEC);
	cl_ask(&plan, look_query, 6, types, values, NULL);
	n = 0;
	foreach(cell, candidates)
	{
		if (cl_has_balance(lfirst(cell)))
			read_balance(lfirst(cell), n++);
	}
	SPI_freetuptable(SPI_tuptable);
	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (candidate->budget->has_subruns && cl_has_balance(candidate))
			add_subruns(lfirst(cell), at);
	}
}

static bool
is_missing(const Candidate *candidate)
{
	return cl_has_balance(candidate) && !candidate->is_known &&
		(cl_is_held(candidate) || candidate->budget->metric == METRIC_DURATION);
}

/*
 * Makes gates that are not there.  All that will be held are taken on the way,
 * in the order of the key: a row that is there is locked and left as it is.
 */
void
cl_make_gates(List *candidates, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID};
	Datum		values[3];
	Datum		ids;
	Datum		entities;

	if (collect_keys(candidates, is_missing, &ids, &entities) == 0)
		return;
	collect_keys(candidates, cl_has_balance, &values[0], &values[1]);
	values[2] = TimestampTzGetDatum(at);
	/* The time of a duration runs from the first call that was asked for. */
	cl_ask(&plan, "INSERT INTO cost_ledger_internal.budget_balance AS s (budget_id, entity, period_start, first_at, last_at) "
		"SELECT k.budget_id, k.entity, '-infinity', CASE WHEN b.metric = 'duration' THEN $3 END, CASE WHEN b.metric = 'duration' THEN $3 END "
		"FROM unnest($1, $2) AS k (budget_id, entity) JOIN cost_ledger.budget b USING (budget_id) "
		"ORDER BY k.budget_id, k.entity COLLATE \"C\" "
		"ON CONFLICT (budget_id, entity, period_start) DO UPDATE SET held = s.held WHERE false", 3, types, values, NULL);
}

/*
 * Takes the gates, in the order of their key.  False where one of them, which
 * was there, is not: a transaction that made it was rolled back.
 */
bool
cl_take_gates(List *candidates)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID};
	Datum		values[2];
	int			n = collect_keys(candidates, cl_is_held, &values[0], &values[1]);

	return n == 0 ||
		cl_ask(&plan, "SELECT FROM unnest($1, $2) AS k (budget_id, entity) "
			"JOIN cost_ledger_internal.budget_balance s ON s.budget_id = k.budget_id AND s.entity = k.entity AND s.period_start = '-infinity' "
			"ORDER BY s.budget_id, s.entity, s.period_start FOR NO KEY UPDATE OF s", 2, types, values, NULL) == (uint64) n;
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

static void
sweep(const Candidate *candidate)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(candidate->budget->budget_id), CStringGetTextDatum(candidate->entity),
	TimestampTzGetDatum(GetCurrentTimestamp())};

	cl_ask(&plan, "SELECT cost_ledger_internal.sweep_holds($1, $2, '-infinity', $3)", 3, types, values, NULL);
}

void
cl_sweep_all(List *candidates)
{
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (cl_is_held(candidate) && candidate->has_expired)
			sweep(candidate);
	}
}
