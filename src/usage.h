/*-------------------------------------------------------------------------
 * usage.h
 *	  What a call consumed, in the ledger's convention: a specific count is
 *	  a subset of the general one, and every token is priced once.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_USAGE_H
#define COST_LEDGER_USAGE_H

#include "bounds.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/*
 * The token meters: cache state and modality are two ways of dividing the same
 * input, so a count may be a part of two others.  The first ones are columns
 * of call; the rest are keys of other_usage.  A meter follows those it is a
 * part of; audio, image and video follow each other.
 */
typedef enum TokenMeter
{
	METER_INPUT,
	METER_CACHE_READ,
	METER_CACHE_WRITE,
	METER_CACHE_WRITE_1H,
	METER_OUTPUT,
	METER_REASONING,
	METER_INPUT_AUDIO,
	METER_INPUT_IMAGE,
	METER_INPUT_VIDEO,
	METER_CACHE_READ_AUDIO,
	METER_CACHE_READ_IMAGE,
	METER_CACHE_READ_VIDEO,
	METER_CACHE_WRITE_AUDIO,
	METER_OUTPUT_AUDIO,
	METER_OUTPUT_IMAGE,
	METER_OUTPUT_VIDEO
} TokenMeter;

#define NUM_TOKEN_METERS	(METER_OUTPUT_VIDEO + 1)
#define NUM_TOKEN_COLUMNS	(METER_REASONING + 1)

/* Longest list of meters whose rate stands in for a missing one. */
#define MAX_FALLBACKS 3

typedef struct TokenMeterInfo
{
	const char *name;
	int			len;
	/* The total it is a part of, or -1; and where it lies in two, the parts. */
	int			total;
	int			cache_part;
	int			modality_part;
} TokenMeterInfo;

extern const TokenMeterInfo cl_token_meters[NUM_TOKEN_METERS];

typedef struct OtherMeter
{
	const char *name;
	Numeric		quantity;
} OtherMeter;

typedef struct Usage
{
	int64		tokens[NUM_TOKEN_METERS];
	bool		given[NUM_TOKEN_METERS];	/* false: not reported, which is not 0 */
	int64		rest[NUM_TOKEN_METERS]; /* beyond its parts: each token is in one */
	int			nmeters;		/* those from here on are neither given nor left */
	int			nother;
	OtherMeter *other;
	int64		least_pass;		/* input of the smallest of several passes; 0: of one */
	const char *status;			/* "unexplained" where the counts do not add up */
	/* As the provider reported them, or NULL: */
	const char *service_class;	/* other than standard */
	char	   *region;
	Numeric		reported_cost;	/* what the account pays, in dollars */
} Usage;

extern int	cl_token_meter_by_name(const char *name, int len);
extern int	cl_token_meter_fallbacks(int meter, int fallbacks[MAX_FALLBACKS]);
extern bool cl_is_provider_word(const char *name);
extern bool cl_is_quantity(Numeric quantity);
extern bool cl_usage_is_empty(const Usage *usage);
extern bool cl_usage_divide(Usage *usage, int *bad);
extern void cl_usage_check(Usage *usage);
extern void cl_usage_add_meter(Usage *usage, const char *name, Numeric quantity);
extern void cl_usage_add_other(Usage *usage, Jsonb *other);
extern void cl_usage_from_jsonb(Jsonb *doc, Usage *usage);
extern Jsonb *cl_usage_to_jsonb(const Usage *usage, bool other_only);

#endif							/* COST_LEDGER_USAGE_H */
