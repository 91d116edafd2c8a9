/*-------------------------------------------------------------------------
 * snapshot_mark.h
 *	  What tells one snapshot from another, for what is read once for each.
 *
 * What one snapshot sees does not change, so what was read under it holds as
 * long as the same is asked under the same; at the end of a transaction or
 * subtransaction nothing does.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_SNAPSHOT_MARK_H
#define COST_LEDGER_SNAPSHOT_MARK_H

#include "utils/snapmgr.h"

typedef struct SnapshotMark
{
	TransactionId xmin;
	TransactionId xmax;
	uint32		xcnt;
	int32		subxcnt;		/* on a standby, all of them */
	CommandId	curcid;
} SnapshotMark;

static inline void
cl_mark_snapshot(SnapshotMark *mark, Snapshot snapshot)
{
	mark->xmin = snapshot->xmin;
	mark->xmax = snapshot->xmax;
	mark->xcnt = snapshot->xcnt;
	mark->subxcnt = snapshot->subxcnt;
	mark->curcid = snapshot->curcid;
}

static inline bool
cl_is_same_snapshot(const SnapshotMark *mark, Snapshot snapshot)
{
	return mark->xmin == snapshot->xmin && mark->xmax == snapshot->xmax &&
		mark->xcnt == snapshot->xcnt && mark->subxcnt == snapshot->subxcnt &&
		mark->curcid == snapshot->curcid;
}

#endif							/* COST_LEDGER_SNAPSHOT_MARK_H */
