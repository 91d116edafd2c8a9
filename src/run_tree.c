/*-------------------------------------------------------------------------
 * run_tree.c
 *	  Where runs are below the runs that started them.
 *
 * Each run has one parent, so whoever goes up from a run comes to a run whose
 * place is known, or to one that he has passed: a circle.  That ends at its
 * smallest run_id, and every run is gone through once.
 *-------------------------------------------------------------------------
 */
#include "cost_ledger.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger.h"
#include "miscadmin.h"
#include "utils/array.h"

typedef enum PlaceState
{
	UNKNOWN,
	ON_THE_WAY,					/* up from the run that is looked at */
	KNOWN
} PlaceState;

typedef struct Run
{
	Datum		run_id;
	Datum		parent_run_id;
	int			parent;			/* among the runs; -1: it is none of them */
	PlaceState	state;
	Datum		root_run_id;	/* 0 for itself */
	int32		depth;
	bool		is_circular;
} Run;

static int
compare_ids(Datum a, Datum b)
{
	struct varlena *x = (struct varlena *) DatumGetPointer(a);
	struct varlena *y = (struct varlena *) DatumGetPointer(b);
	int			len_x = (int) VARSIZE_ANY_EXHDR(x);
	int			len_y = (int) VARSIZE_ANY_EXHDR(y);
	int			order = memcmp(VARDATA_ANY(x), VARDATA_ANY(y), Min(len_x, len_y));

	return order != 0 ? order : len_x - len_y;
}

static int
compare_runs(const void *a, const void *b)
{
	return compare_ids(((const Run *) a)->run_id, ((const Run *) b)->run_id);
}

static void
place_below(Run *run, Datum root, int32 depth)
{
	run->root_run_id = root;
	run->depth = depth;
	run->state = KNOWN;
}

static void
place_below_run(Run *run, const Run *parent)
{
	place_below(run, parent->root_run_id != 0 ? parent->root_run_id : parent->run_id, parent->depth + 1);
}

/*
 * Ends the circle that a run is in.
 */
static void
place_circle(Run *runs, int member)
{
	int			head = member;
	int			length = 1;

	for (int i = runs[member].parent; i != member; i = runs[i].parent)
	{
		if (compare_ids(runs[i].run_id, runs[head].run_id) < 0)
			head = i;
		length++;
	}
	place_below(&runs[head], (Datum) 0, 0);
	runs[head].is_circular = true;
	for (int i = runs[head].parent; i != head; i = runs[i].parent)
	{
		place_below(&runs[i], runs[head].run_id, --length);
		runs[i].is_circular = true;
	}
}

/*
 * Gives a run, and all above it, their places.  way has room for all.
 */
static void
place_run(Run *runs, int *way, int start)
{
	int			num_passed = 0;
	int			at;

	for (at = start; runs[at].state == UNKNOWN; at = runs[at].parent)
	{
		runs[at].state = ON_THE_WAY;
		way[num_passed++] = at;
	}
	if (runs[at].state == ON_THE_WAY)
		place_circle(runs, at);
	while (num_passed > 0)
	{
		Run		   *run = &runs[way[--num_passed]];

		if (run->state != KNOWN)
			place_below_run(run, &runs[run->parent]);
	}
}

static int
find_run(const Run *runs, int num_runs, Datum run_id)
{
	Run			key = {.run_id = run_id};
	const Run  *found = bsearch(&key, runs, num_runs, sizeof(Run), compare_runs);

	return found == NULL ? -1 : (int) (found - runs);
}

static void
read_texts(ArrayType *array, int num_texts, Datum **texts, bool **nulls)
{
	int			num_values;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, texts, nulls, &num_values);
	if (num_values != num_texts)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("runs, parents, roots and depths are not equally many")));
}

/*
 * Runs, in the order of their ids; of each whose parent is none of them, its place.
 */
static Run *
read_runs(FunctionCallInfo fcinfo, int num_runs)
{
	Run		   *runs = palloc0(Max(num_runs, 1) * sizeof(Run));
	Datum	   *ids,
			   *parents,
			   *roots,
			   *depths;
	bool	   *no_id,
			   *no_parent,
			   *no_root,
			   *no_depth;
	int			num_depths;

	read_texts(PG_GETARG_ARRAYTYPE_P(0), num_runs, &ids, &no_id);
	read_texts(PG_GETARG_ARRAYTYPE_P(1), num_runs, &parents, &no_parent);
	read_texts(PG_GETARG_ARRAYTYPE_P(2), num_runs, &roots, &no_root);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), INT4OID, sizeof(int32), true, TYPALIGN_INT, &depths, &no_depth, &num_depths);
	for (int i = 0; i < num_runs; i++)
	{
		if (no_id[i] || no_parent[i] || i >= num_depths)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a run or its parent is missing")));
		runs[i].run_id = ids[i];
		runs[i].parent_run_id = parents[i];
		runs[i].root_run_id = no_root[i] ? parents[i] : roots[i];
		runs[i].depth = no_depth[i] ? 1 : DatumGetInt32(depths[i]) + 1;
	}
	qsort(runs, num_runs, sizeof(Run), compare_runs);
	for (int i = 0; i < num_runs; i++)
	{
		runs[i].parent = find_run(runs, num_runs, runs[i].parent_run_id);
		if (runs[i].parent < 0)
			runs[i].state = KNOWN;
	}
	return runs;
}

PG_FUNCTION_INFO_V1(cl_place_in_tree);

/*
 * place_in_tree(run_ids text[], parent_run_ids text[], parent_root_run_ids text[], parent_depths integer[])
 * → rows (run_id text, root_run_id text, depth integer, is_circular boolean)
 */
Datum
cl_place_in_tree(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ArrayType  *ids = PG_GETARG_ARRAYTYPE_P(0);
	int			num_runs = ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids));
	Run		   *runs = read_runs(fcinfo, num_runs);
	int		   *way = palloc(Max(num_runs, 1) * sizeof(int));

	InitMaterializedSRF(fcinfo, 0);
	if (result->setDesc->natts != 4)
		cl_refuse_other_version();
	for (int i = 0; i < num_runs; i++)
	{
		Datum		values[4];
		bool		nulls[4] = {0};

		CHECK_FOR_INTERRUPTS();
		if (runs[i].state == UNKNOWN)
			place_run(runs, way, i);
		values[0] = runs[i].run_id;
		values[1] = runs[i].root_run_id;
		nulls[1] = runs[i].root_run_id == 0;
		values[2] = Int32GetDatum(runs[i].depth);
		values[3] = BoolGetDatum(runs[i].is_circular);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
