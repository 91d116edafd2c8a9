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
static bool has_pauses = false;
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
	INCLUDE,
	SCOPE_NAMES,
	SCOPE_VALUES,
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
	" coalesce(b.time_zone, l.time_zone), b.week_start, b.each_of, b.include,"
	" ARRAY(SELECT e.key FROM jsonb_each_text(b.scope) AS e), ARRAY(SELECT e.value FROM jsonb_each_text(b.scope) AS e),"
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

static void
read_scope(HeapTuple tuple, BudgetDefinition *budget)
{
	Datum	   *names = array_column(tuple, SCOPE_NAMES, TEXTOID, &budget->nscope);
	Datum	   *values = array_column(tuple, SCOPE_VALUES, TEXTOID, &budget->nscope);

	budget->scope = palloc(budget->nscope * sizeof(BudgetLabel));
	for (int i = 0; i < budget->nscope; i++)
	{
		budget->scope[i].name = TextDatumGetCString(names[i]);
		budget->scope[i].value = TextDatumGetCString(values[i]);
		budget->scope[i].key = NULL;
	}
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
	budget->each_of = text_column(tuple, EACH_OF);
	budget->has_subruns = text_column(tuple, INCLUDE) != NULL;
	budget->is_request = strcmp(budget->period, "request") == 0;
	if (budget->has_subruns || budget->metric == METRIC_DEPTH)
		asks_for_runs = true;
	read_scope(tuple, budget);
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

static void
start_over(void)
{
	budgets = NULL;
	num_budgets = 0;
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
	static SPIPlanPtr pauses_plan = NULL;
	MemoryContext caller_context;

	if (budgets_are_valid && budgets != NULL)
		return;
	start_over();
	/* A message that comes while we read is not lost. */
	budgets_are_valid = true;
	cl_prepare_once(&pauses_plan, "SELECT FROM cost_ledger.pause p WHERE p.resumed_at IS NULL AND (p.until IS NULL OR p.until > now() - interval '1 day') LIMIT 1", 0, NULL);
	if (SPI_execute_plan(pauses_plan, NULL, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pauses");
	has_pauses = SPI_processed > 0;
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

bool
cl_asks_for_runs(void)
{
	return asks_for_runs;
}

/*
 * The first of the budgets with a key, and how many follow each other.
 */
BudgetDefinition *
cl_find_budgets(const char *match_key, int *nfound)
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
	return NULL;
}

/*
 * The value of a label, or NULL.
 */
const char *
cl_label_value(const BudgetLabels *labels, const char *name)
{
	for (int i = 0; i < labels->n; i++)
	{
		if (strcmp(labels->label[i].name, name) == 0)
			return labels->label[i].value;
	}
	return NULL;
}

/*
 * As the ledger keeps it: the end gives way to an MD5.
 */
const char *
cl_shortened(const char *value, int limit)
{
	if (strlen(value) <= (size_t) limit)
		return value;
	return TextDatumGetCString(cl_shorten_datum(CStringGetTextDatum(value), limit));
}

/*
 * As kept_label() has it.
 */
static const char *
kept_value(const char *name, const char *value)
{
	bool		is_id = strcmp(name, "run_id") == 0 || strcmp(name, "session_id") == 0 ||
		strcmp(name, "user_id") == 0 || strcmp(name, "parent_run_id") == 0;

	return cl_shortened(value, is_id ? MAX_ID_LEN : MAX_LABEL_LEN);
}

/*
 * Sets a label; none and the empty one are not there.
 */
void
cl_set_label(BudgetLabels *labels, const char *name, const char *value)
{
	int			i = 0;

	if (value == NULL || value[0] == '\0')
		return;
	while (i < labels->n && strcmp(labels->label[i].name, name) != 0)
		i++;
	if (i == labels->n)
		labels->n++;
	labels->label[i].name = name;
	labels->label[i].value = kept_value(name, value);
	labels->label[i].key = psprintf("%s=%s", name, cl_shortened(labels->label[i].value, MAX_ID_LEN));
}

/*
 * Whether a call with these labels counts for a budget.
 */
bool
cl_belongs(const BudgetDefinition *budget, const BudgetLabels *labels)
{
	for (int i = 0; i < budget->nscope; i++)
	{
		const char *value = cl_label_value(labels, budget->scope[i].name);

		if (value == NULL || strcmp(value, budget->scope[i].value) != 0)
			return false;
	}
	return budget->each_of == NULL || cl_label_value(labels, budget->each_of) != NULL;
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
