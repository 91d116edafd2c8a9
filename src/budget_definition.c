/*-------------------------------------------------------------------------
 * budget_definition.c
 *	  Which budgets there are, kept by each backend.
 *
 * Changes are announced as prices are: at commit to every backend, at once to
 * the one that makes them, and again if they are rolled back.  Whoever decides
 * loads after the lock that a budget is set under, so that the lock has
 * brought the message of every change that is committed.  What is returned
 * stays until the next cl_load_budgets().
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "access/htup_details.h"
#include "bounds.h"
#include "budget_definition.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "ledger.h"
#include "period.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* What a definition is made of. */
static const char *const budget_tables[] = {
	"budget", "budget_version", "pause", "ledger"
};

#define NUM_BUDGET_TABLES ((int) lengthof(budget_tables))

static const char *const metric_names[] = {
	"cost", "tokens", "calls", "tool_calls", "turns", "concurrent_calls",
	"duration", "depth"
};
static const char *const action_names[] = {
	"allow", "warn", "throttle", "degrade", "defer", "stop"
};

static MemoryContext budget_context = NULL;
static bool budgets_are_valid = false;
static Oid	budget_table_oids[NUM_BUDGET_TABLES];
static int	num_budgets = 0;
static BudgetDefinition *budgets = NULL;	/* by match_key */
static List *key_tags = NIL;	/* labels of tags that budgets are found by */
static bool has_pauses = false;
static UnpricedPolicy unpriced_policy = UNPRICED_ALLOW;
static Numeric unpriced_estimate = NULL;
static bool asks_for_runs = false;	/* some budget asks what runs are below others */

static void
forget_budgets(Datum arg, Oid relid)
{
	for (int i = 0; i < NUM_BUDGET_TABLES; i++)
	{
		if (relid == InvalidOid || relid == budget_table_oids[i])
			budgets_are_valid = false;
	}
}

void
cl_budget_init(void)
{
	CacheRegisterRelcacheCallback(forget_budgets, (Datum) 0);
}

/* The columns of the query, from 1 as SPI counts. */
typedef enum DefinitionColumn
{
	BUDGET_ID = 1,
	MATCH_KEY,
	NAME,
	METRIC,
	PERIOD,
	PERIOD_LENGTH,
	ZONE,
	WEEK_START,
	EACH_OF,
	EACH_COLUMNS,
	INCLUDE,
	EXCEPTION_OF,
	SCOPE,
	VALID_FROM,
	VALID_TO,
	LIMIT_AMOUNT,
	AMOUNTS,
	ACTIONS,
	DEGRADE_TO
} DefinitionColumn;

/* Versions that ended a while ago are kept for a clock that is set back. */
static const char *const definition_query =
	"SELECT b.budget_id, b.match_key, b.name, b.metric, b.period,"
	" (extract(epoch FROM b.period_length) OPERATOR(pg_catalog.*) 1000000)::bigint,"
	" coalesce(b.time_zone, l.time_zone), b.week_start, b.each_of, cost_ledger_internal.each_columns(b.each_of), b.include, b.exception_of, b.scope,"
	" v.valid_from, coalesce(v.valid_to, 'infinity'), v.limit_amount,"
	" ARRAY(SELECT v.limit_amount * t.threshold FROM unnest(v.thresholds) WITH ORDINALITY AS t (threshold, n) ORDER BY t.n),"
	" v.actions, v.degrade_to "
	"FROM cost_ledger.budget b CROSS JOIN cost_ledger.ledger l "
	"LEFT JOIN cost_ledger.budget_version v ON v.budget_id = b.budget_id AND (v.valid_to IS NULL OR v.valid_to > now() - interval '1 day') "
	"WHERE b.is_active "
	"ORDER BY b.match_key, b.budget_id, v.version DESC";

static Datum
column(HeapTuple tuple, DefinitionColumn number, bool *isnull)
{
	bool		null;

	return SPI_getbinval(tuple, SPI_tuptable->tupdesc, number, isnull ? isnull : &null);
}

static char *
text_column(HeapTuple tuple, DefinitionColumn number)
{
	bool		isnull;
	Datum		value = column(tuple, number, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Datum *
array_column(HeapTuple tuple, DefinitionColumn number, Oid type, int *nelements)
{
	Datum	   *elements;

	deconstruct_array(DatumGetArrayTypeP(column(tuple, number, NULL)), type, -1, false, TYPALIGN_INT,
					  &elements, NULL, nelements);
	return elements;
}

/*
 * The place of a word in a list that a CHECK of the ledger knows too.
 */
static int
find_word(const char *word, const char *const *words, int nwords)
{
	for (int i = 0; i < nwords; i++)
	{
		if (strcmp(word, words[i]) == 0)
			return i;
	}
	cl_refuse_other_version();
}

static void
read_limit(HeapTuple tuple, BudgetLimit *limit)
{
	int			nactions;
	Datum	   *amounts = array_column(tuple, AMOUNTS, NUMERICOID, &limit->nthresholds);
	Datum	   *actions = array_column(tuple, ACTIONS, TEXTOID, &nactions);

	limit->valid_from = DatumGetTimestampTz(column(tuple, VALID_FROM, NULL));
	limit->valid_to = DatumGetTimestampTz(column(tuple, VALID_TO, NULL));
	limit->amount = DatumGetNumericCopy(column(tuple, LIMIT_AMOUNT, NULL));
	limit->degrade_to = text_column(tuple, DEGRADE_TO);
	limit->thresholds = palloc(limit->nthresholds * sizeof(BudgetThreshold));
	for (int i = 0; i < limit->nthresholds; i++)
	{
		limit->thresholds[i].amount = DatumGetNumericCopy(amounts[i]);
		limit->thresholds[i].action = find_word(TextDatumGetCString(actions[i]), action_names, lengthof(action_names));
	}
}

/*
 * A budget that is being made has none yet.
 */
static bool
has_limit(HeapTuple tuple)
{
	bool		isnull;

	(void) column(tuple, VALID_FROM, &isnull);
	return !isnull;
}

/*
 * Tags by which budgets are found: a call may have many that nobody asks for.
 */
static void
add_key_tags(const BudgetDefinition *budget)
{
	for (int i = 0; i < budget->scope->nconditions; i++)
	{
		char	   *label = budget->scope->condition[i].label;
		bool		is_key = strncmp(budget->match_key, label, strlen(label)) == 0 && budget->match_key[strlen(label)] == '=';
		ListCell   *cell;

		foreach(cell, key_tags)
			is_key = is_key && strcmp(lfirst(cell), label) != 0;
		if (is_key && cl_tag_name(label) != NULL)
			key_tags = lappend(key_tags, label);
	}
}

static void
read_each_of(HeapTuple tuple, BudgetDefinition *budget)
{
	Datum	   *names = array_column(tuple, EACH_COLUMNS, TEXTOID, &budget->neach);

	budget->each_of = text_column(tuple, EACH_OF);
	budget->each = palloc(Max(budget->neach, 1) * sizeof(char *));
	for (int i = 0; i < budget->neach; i++)
		budget->each[i] = TextDatumGetCString(names[i]);
	budget->has_subruns = text_column(tuple, INCLUDE) != NULL;
}

static void
read_budget(HeapTuple tuple, BudgetDefinition *budget, int max_limits)
{
	bool		isnull;

	memset(budget, 0, sizeof(BudgetDefinition));
	budget->budget_id = DatumGetInt64(column(tuple, BUDGET_ID, NULL));
	budget->match_key = text_column(tuple, MATCH_KEY);
	budget->name = text_column(tuple, NAME);
	budget->metric = find_word(text_column(tuple, METRIC), metric_names, lengthof(metric_names));
	budget->period = text_column(tuple, PERIOD);
	budget->period_length = DatumGetInt64(column(tuple, PERIOD_LENGTH, &isnull));
	if (isnull)
		budget->period_length = 0;
	budget->time_zone = text_column(tuple, ZONE);
	budget->week_start = DatumGetInt32(column(tuple, WEEK_START, NULL));
	read_each_of(tuple, budget);
	budget->exception_of = DatumGetInt64(column(tuple, EXCEPTION_OF, &isnull));
	if (isnull)
		budget->exception_of = 0;
	budget->is_request = strcmp(budget->period, "request") == 0;
	if (budget->has_subruns || budget->metric == METRIC_DEPTH)
		asks_for_runs = true;
	budget->scope = cl_read_filter(DatumGetJsonbP(column(tuple, SCOPE, NULL)));
	add_key_tags(budget);
	budget->limits = palloc(max_limits * sizeof(BudgetLimit));
	if (budget->is_request || strcmp(budget->period, "total") == 0)
	{
		budget->period_start = DT_NOBEGIN;
		budget->period_end = DT_NOEND;
	}
}

/*
 * The rows of a budget, one for each limit, follow each other.
 */
static void
read_budgets(uint64 nrows)
{
	BudgetDefinition *made = palloc_extended(Max(nrows, 1) * sizeof(BudgetDefinition), MCXT_ALLOC_HUGE);
	uint64		start = 0;

	while (start < nrows)
	{
		HeapTuple  *rows = SPI_tuptable->vals + start;
		BudgetDefinition *budget = made + num_budgets;
		uint64		n = 1;

		while (start + n < nrows &&
			   DatumGetInt64(column(rows[n], BUDGET_ID, NULL)) == DatumGetInt64(column(rows[0], BUDGET_ID, NULL)))
			n++;
		read_budget(rows[0], budget, n);
		while (budget->nlimits < (int) n && has_limit(rows[budget->nlimits]))
		{
			read_limit(rows[budget->nlimits], budget->limits + budget->nlimits);
			budget->nlimits++;
		}
		num_budgets++;
		start += n;
	}
	budgets = made;
}

static const char *const ledger_query =
	"SELECT EXISTS (SELECT FROM cost_ledger.pause p WHERE p.resumed_at IS NULL AND (p.until IS NULL OR p.until > now() - interval '1 day')),"
	" l.unpriced_policy, l.unpriced_estimate FROM cost_ledger.ledger l";

static void
read_ledger(HeapTuple tuple)
{
	static const char *const policies[] = {"allow", "hold", "stop"};
	bool		isnull;
	Datum		estimate = column(tuple, 3, &isnull);
	MemoryContext old;

	has_pauses = DatumGetBool(column(tuple, 1, NULL));
	unpriced_policy = find_word(text_column(tuple, 2), policies, lengthof(policies));
	old = MemoryContextSwitchTo(budget_context);
	unpriced_estimate = isnull ? NULL : DatumGetNumericCopy(estimate);
	MemoryContextSwitchTo(old);
}

static void
start_over(void)
{
	budgets = NULL;
	num_budgets = 0;
	key_tags = NIL;
	asks_for_runs = false;
	if (budget_context == NULL)
		budget_context = AllocSetContextCreate(CacheMemoryContext, "cost_ledger budgets",
											   ALLOCSET_DEFAULT_SIZES);
	else
		MemoryContextReset(budget_context);
	for (int i = 0; i < NUM_BUDGET_TABLES; i++)
		budget_table_oids[i] = cl_ledger_relation(budget_tables[i]);
}

/*
 * Brings what is kept up to date.  The caller has the owner's rights, and a
 * connection to the executor.
 */
void
cl_load_budgets(void)
{
	static SPIPlanPtr budgets_plan = NULL;
	static SPIPlanPtr ledger_plan = NULL;
	MemoryContext caller_context;

	if (budgets_are_valid && budgets != NULL)
		return;
	start_over();
	/* A message that comes while we read is not lost. */
	budgets_are_valid = true;
	cl_prepare_once(&ledger_plan, ledger_query, 0, NULL);
	if (SPI_execute_plan(ledger_plan, NULL, NULL, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read the ledger's settings");
	read_ledger(SPI_tuptable->vals[0]);
	SPI_freetuptable(SPI_tuptable);
	cl_prepare_once(&budgets_plan, definition_query, 0, NULL);
	if (SPI_execute_plan(budgets_plan, NULL, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read budgets");
	caller_context = MemoryContextSwitchTo(budget_context);
	read_budgets(SPI_processed);
	MemoryContextSwitchTo(caller_context);
	SPI_freetuptable(SPI_tuptable);
}

bool
cl_has_pauses(void)
{
	return has_pauses;
}

UnpricedPolicy
cl_unpriced_policy(Numeric *estimate)
{
	*estimate = unpriced_estimate;
	return unpriced_policy;
}

bool
cl_asks_for_runs(void)
{
	return asks_for_runs;
}

/*
 * The first of the budgets with a key, and how many follow each other.
 */
static BudgetDefinition *
find_budgets(const char *match_key, int *nfound)
{
	int			low = 0;
	int			high = num_budgets;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (strcmp(budgets[middle].match_key, match_key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*nfound = 0;
	while (low + *nfound < num_budgets && strcmp(budgets[low + *nfound].match_key, match_key) == 0)
		(*nfound)++;
	return budgets + low;
}

/*
 * The highest version that holds, or NULL.
 */
BudgetLimit *
cl_budget_limit(const BudgetDefinition *budget, TimestampTz at)
{
	for (int i = 0; i < budget->nlimits; i++)
	{
		if (budget->limits[i].valid_from <= at && at < budget->limits[i].valid_to)
			return budget->limits + i;
	}
	/* The clock has been set back to before there was one: the first. */
	if (budget->nlimits > 0 && at < budget->limits[budget->nlimits - 1].valid_from)
		return budget->limits + budget->nlimits - 1;
	return NULL;
}

/*
 * Whether the labels are those of a call that a budget is of, but for what takes
 * its place.
 */
static bool
belongs(const BudgetDefinition *budget, const BudgetLabels *labels)
{
	for (int i = 0; i < budget->neach; i++)
	{
		const char *value = cl_label_value(labels, budget->each[i]);

		if (value == NULL || value[0] == '\0')
			return false;
	}
	return cl_passes_filter(budget->scope, cl_said_of_call, labels);
}

static List *
add_budgets(List *found, const char *match_key, const BudgetLabels *labels)
{
	int			nfound;
	BudgetDefinition *budget = find_budgets(match_key, &nfound);

	for (; nfound > 0; nfound--, budget++)
	{
		if (belongs(budget, labels))
			found = lappend(found, budget);
	}
	return found;
}

/*
 * An exception takes the place of its default.
 */
static List *
drop_defaults(List *found)
{
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, found)
	{
		BudgetDefinition *budget = lfirst(cell);
		bool		has_exception = false;
		ListCell   *other;

		foreach(other, found)
			has_exception = has_exception || ((BudgetDefinition *) lfirst(other))->exception_of == budget->budget_id;
		if (!has_exception)
			kept = lappend(kept, budget);
	}
	return kept;
}

/*
 * The budgets that a call with these labels counts for.
 */
List *
cl_budgets_of(const BudgetLabels *labels)
{
	List	   *found = add_budgets(NIL, "", labels);
	const char *model = cl_label_value(labels, "model");
	const char *undated = model ? cl_undated_key(model) : NULL;
	bool		has_exceptions = false;
	ListCell   *cell;

	for (int i = 0; i < labels->n; i++)
		found = add_budgets(found, labels->label[i].key, labels);
	if (undated != NULL)
		found = add_budgets(found, undated, labels);
	foreach(cell, labels->tags ? key_tags : NIL)
	{
		const char *value = cl_label_value(labels, lfirst(cell));

		if (value != NULL)
			found = add_budgets(found, cl_label_key(lfirst(cell), value), labels);
	}
	foreach(cell, found)
		has_exceptions = has_exceptions || ((BudgetDefinition *) lfirst(cell))->exception_of != 0;
	return has_exceptions ? drop_defaults(found) : found;
}

/*
 * As is_turn() of SQL.
 */
bool
cl_is_turn(const char *operation)
{
	static const char *const others[] = {
		"retry", "fallback", "eval", "judge", "embedding", "embeddings", "rerank",
		"moderation", "background", "routing"
	};

	for (int i = 0; operation != NULL && i < (int) lengthof(others); i++)
	{
		if (pg_strcasecmp(operation, others[i]) == 0)
			return false;
	}
	return true;
}

/*
 * Every minute that the window touches, as budget_period() has it.
 */
static void
find_window(BudgetDefinition *budget, TimestampTz at)
{
	budget->period_start = cl_minute_of(at - budget->period_length);
	budget->period_end = cl_minute_of(at) + USECS_PER_MINUTE;
}

/*
 * Puts the period that an instant falls in into the definition.
 */
void
cl_budget_period(BudgetDefinition *budget, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, TEXTOID, INT4OID};
	Datum		values[4];

	if (budget->period_length > 0)
		find_window(budget, at);
	if (budget->period_start <= at && at < budget->period_end)
		return;
	values[0] = CStringGetTextDatum(budget->period);
	values[1] = TimestampTzGetDatum(at);
	values[2] = CStringGetTextDatum(budget->time_zone);
	values[3] = Int32GetDatum(budget->week_start);
	cl_prepare_once(&plan, "SELECT p.period_start, p.period_end FROM cost_ledger_internal.budget_period($1, $2, $3, $4) AS p", 4, types);
	if (SPI_execute_plan(plan, values, NULL, true, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not find the period of a budget");
	budget->period_start = DatumGetTimestampTz(column(SPI_tuptable->vals[0], 1, NULL));
	budget->period_end = DatumGetTimestampTz(column(SPI_tuptable->vals[0], 2, NULL));
	SPI_freetuptable(SPI_tuptable);
}

PG_FUNCTION_INFO_V1(cl_budget_changed);

/*
 * Row trigger on budgets, their limits and pauses: tells every backend.
 */
Datum
cl_budget_changed(PG_FUNCTION_ARGS)
{
	return cl_announce_change(fcinfo, "budget_changed");
}
