/*-------------------------------------------------------------------------
 * numeric_parts.h
 *	  A look into a numeric, whose layout is numeric.c's own but has to stay
 *	  as it is on disk: a 16-bit header, in the long form followed by the
 *	  weight, and base-10000 digits without zeros at either end.
 *
 * Nothing in it is aligned once its varlena header is short, so everything is
 * copied out.
 *-------------------------------------------------------------------------
 */
#ifndef COST_LEDGER_NUMERIC_PARTS_H
#define COST_LEDGER_NUMERIC_PARTS_H

typedef struct NumericParts
{
	bool		negative;
	int			weight;			/* of the first digit, in powers of 10000 */
	int			ndigits;		/* 0 for zero */
	const char *digits;			/* int16 each, not aligned */
} NumericParts;

#define NUMERIC_HEADER_SIGN		0xC000
#define NUMERIC_HEADER_NEGATIVE	0x4000
#define NUMERIC_HEADER_SHORT	0x8000
#define NUMERIC_HEADER_SPECIAL	0xC000
#define NUMERIC_SHORT_NEGATIVE	0x2000
#define NUMERIC_SHORT_WEIGHT	0x003F
#define NUMERIC_SHORT_WEIGHT_SIGN	0x0040

/*
 * False for NaN and infinity, which have no parts.
 */
static inline bool
open_numeric(const struct varlena *numeric, NumericParts *parts)
{
	const char *data = VARDATA_ANY(numeric);
	int			size = (int) VARSIZE_ANY_EXHDR(numeric);
	uint16		header;

	memcpy(&header, data, sizeof(header));
	data += sizeof(header);
	size -= (int) sizeof(header);
	if (likely((header & NUMERIC_HEADER_SIGN) == NUMERIC_HEADER_SHORT))
	{
		parts->negative = (header & NUMERIC_SHORT_NEGATIVE) != 0;
		parts->weight = (int) (header & NUMERIC_SHORT_WEIGHT);
		if (header & NUMERIC_SHORT_WEIGHT_SIGN)
			parts->weight -= NUMERIC_SHORT_WEIGHT + 1;
	}
	else if ((header & NUMERIC_HEADER_SIGN) == NUMERIC_HEADER_SPECIAL)
		return false;
	else
	{
		int16		weight;

		memcpy(&weight, data, sizeof(weight));
		data += sizeof(weight);
		size -= (int) sizeof(weight);
		parts->negative = (header & NUMERIC_HEADER_SIGN) == NUMERIC_HEADER_NEGATIVE;
		parts->weight = weight;
	}
	parts->digits = data;
	parts->ndigits = size / (int) sizeof(int16);
	return true;
}

static inline int
numeric_digit(const NumericParts *parts, int i)
{
	int16		digit;

	memcpy(&digit, parts->digits + i * sizeof(int16), sizeof(digit));
	return digit;
}

#endif							/* COST_LEDGER_NUMERIC_PARTS_H */
