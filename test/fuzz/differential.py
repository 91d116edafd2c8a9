#!/usr/bin/env python3
"""Compare the type summary with a second implementation of it, in exact decimals.

What is packed here was written from docs/summary.md alone, and shares neither
code nor method with src/sketch.c: cuts come from decimal powers, buckets from
comparing decimals, doubles are rounded as fractions.  For random groups of
many distributions and sizes, in random order, it compares

  - the bytes of summarize() of numeric and of double precision, at every
    accuracy, serial and in a forced parallel plan,
  - the bytes of random trees of merge(), aggregate and function,
  - count, total, minimum and maximum,
  - quantiles, with the exact order statistics,
  - the text form, read again.

    PGHOST=... PGDATABASE=... test/fuzz/differential.py [seconds [seed]]

The database must have the extension cost_ledger; everything happens in the
schema summary_differential, which is made anew and dropped.  Needs psql and
nothing beyond Python's own library.
"""
import bisect
import random
import subprocess
import sys
import time
from collections import Counter
from decimal import Context, Decimal, ROUND_HALF_UP, getcontext, setcontext
from fractions import Fraction
from math import ceil, floor, isinf

setcontext(Context(prec=2400, Emax=999999, Emin=-999999))

ACCURACIES = [("0.01", 116), ("0.02", 58), ("0.005", 232), ("0.002", 580), ("0.001", 1160)]
FINEST = 1160
FRACTIONS = [0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1]
MAX_VALUES = 16

_precise = Context(prec=40)
CUTS = [Decimal(10) ** 7 if k == 0 else
        _precise.power(10, _precise.divide(Decimal(k), Decimal(FINEST))).scaleb(7).quantize(Decimal(1), ROUND_HALF_UP)
        for k in range(FINEST)]
CUTS_OF = [CUTS[::FINEST // buckets] for _, buckets in ACCURACIES]


# The packed form, from its description.

def bucket_key(x, accuracy):
    buckets = ACCURACIES[accuracy][1]
    magnitude = abs(x)
    if magnitude < Decimal("1e-12"):
        return 0
    decade = magnitude.adjusted()
    if decade >= 12:
        index = 24 * buckets
    else:
        significand = magnitude.scaleb(7 - decade)
        index = (decade + 12) * buckets + bisect.bisect_right(CUTS_OF[accuracy], significand) - 1
    return index + 1 if x > 0 else -(index + 1)


def varint(n):
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def signed(n):
    return varint(2 * n if n >= 0 else -2 * n - 1)


def decimals(x):
    return max(0, -x.normalize().as_tuple().exponent) if x else 0


def is_wide(x):
    return abs(x) >= Decimal("1e20") or decimals(x) > 16


def wide(x):
    if x == 0:
        return b"\0"
    sign, digits, exponent = x.normalize().as_tuple()
    digits = list(digits)
    while exponent % 4:
        digits.append(0)
        exponent -= 1
    while len(digits) % 4:
        digits.insert(0, 0)
    groups = [int("".join(map(str, digits[i:i + 4]))) for i in range(0, len(digits), 4)]
    weight = exponent // 4 + len(groups) - 1
    while groups[-1] == 0:
        groups.pop()
    while groups[0] == 0:
        groups.pop(0)
        weight -= 1
    return varint(len(groups) * 2 + sign) + signed(weight) + b"".join(g.to_bytes(2, "big") for g in groups)


def pack_bucket(gap, n):
    if gap == 0 and n <= 64:
        return bytes([n - 1])
    if gap == 0 and n <= 64 + 8192:
        return (0xa000 | n - 65).to_bytes(2, "big")
    if gap == 0 and n <= 64 + 8192 + (1 << 21):
        return (0xc00000 | n - 8257).to_bytes(3, "big")
    if 1 <= gap <= 8 and n <= 8:
        return bytes([0x40 | (gap - 1) << 3 | n - 1])
    if 9 <= gap <= 40 and n == 1:
        return bytes([0x80 | gap - 9])
    return b"\xe0" + varint(gap) + varint(n - 1)


def pack(values, accuracy):
    counts = Counter(values)
    ascending = sorted(counts)
    if len(ascending) <= MAX_VALUES:
        any_wide = any(map(is_wide, ascending))
        repeats = any(n > 1 for n in counts.values())
        out = bytes([1, accuracy | (16 if any_wide else 0) | (32 if repeats else 0), len(ascending)])
        if any_wide:
            out += b"".join(map(wide, ascending))
        else:
            scale = max(map(decimals, ascending))
            whole = [int(x.scaleb(scale)) for x in ascending]
            out += bytes([scale]) + signed(whole[0])
            out += b"".join(varint(b - a) for a, b in zip(whole, whole[1:]))
        if repeats:
            out += b"".join(varint(counts[x]) for x in ascending)
        return out

    total, low, high = sum(values), ascending[0], ascending[-1]
    any_wide = any(map(is_wide, (total, low, high)))
    out = bytes([1, accuracy | 8 | (16 if any_wide else 0)]) + varint(len(values))
    if any_wide:
        out += wide(total) + wide(low) + wide(high)
    else:
        scale = max(map(decimals, (total, low, high)))
        out += bytes([scale]) + signed(int(total.scaleb(scale))) + signed(int(low.scaleb(scale)))
        out += varint(int((high - low).scaleb(scale)))
    buckets = Counter()
    for x, n in counts.items():
        buckets[bucket_key(x, accuracy)] += n
    previous = None
    for key in sorted(buckets):
        if previous is None:
            out += signed(key) + varint(buckets[key] - 1)
        else:
            out += pack_bucket(key - previous - 1, buckets[key])
        previous = key
    return out


def rounded(f):
    """What a double counts as: the nearest multiple of 1e-15, ties away from zero."""
    exact = Fraction(f) * 10 ** 15
    n = floor(abs(exact) + Fraction(1, 2))
    return Decimal(n if exact >= 0 else -n).scaleb(-15)


# Distributions, named for what they may find.

R = random.Random()


def money(low=2, high=10):
    return Decimal(str(round(R.lognormvariate(-4, 1.6), R.randint(low, high))))


def pareto():
    return Decimal(str(round(R.paretovariate(1.1) / 1000, R.choice([4, 8, 12]))))


def near_cut():
    x = R.choice(CUTS).scaleb(R.randint(-14, 13) - 7)
    x += R.choice([0, 1, -1]) * Decimal(1).scaleb(R.choice([x.adjusted() - 7, x.adjusted() - 20, -16, -15]))
    return x * R.choice([1, 1, -1])


EDGES = [Decimal(x) for x in (
    "0", "1e-12", "9.99999999999999999e-13", "-1e-12", "1e12", "999999999999.9999999999999999999", "-1e12",
    "922.3372036854775807", "922.3372036854775808", "-922.3372036854775808", "899.9999999999999999", "900",
    "99999999999999999999.9999999999999999", "1e20", "-1e20", "1e-16", "1e-17", "1844.6744073709551615")]

DISTRIBUTIONS = {
    "log-normal money": money,
    "pareto": pareto,
    "bimodal": lambda: money() if R.random() < 0.9 else 10 + money(),
    "constant": lambda: Decimal("0.0125"),
    "all zero": lambda: Decimal(0),
    "mostly zero": lambda: Decimal(0) if R.random() < 0.8 else money(),
    "negative credits": lambda: -money(),
    "both signs": lambda: R.choice([1, -1]) * money(),
    "integers": lambda: Decimal(R.randint(-50, 50)),
    "few values": lambda: Decimal(R.choice([3, 5, 8])) / 8,
    "about sixteen values": lambda: Decimal(R.randint(1, R.choice([15, 16, 17]))),
    "denormals": lambda: Decimal(R.randint(1, 9999)).scaleb(R.randint(-320, -300)),
    "1e-12 and 1e12": lambda: Decimal(R.randint(1, 10 ** 9)).scaleb(R.choice([-22, -21, -20, -13, 2, 3, 4])),
    "whole range": lambda: Decimal(R.randint(1, 10 ** 17)).scaleb(R.randint(-29, -5)),
    "any numeric": lambda: Decimal(R.randint(-10 ** R.randint(1, 40), 10 ** R.randint(1, 40))).scaleb(-R.randint(0, 50)),
    "huge": lambda: R.choice([1, -1]) * Decimal(R.randint(1, 9999)).scaleb(R.choice([1000, 300, -300, -1000])),
    "next to cuts": near_cut,
    "edges": lambda: R.choice(EDGES),
    "powers of ten": lambda: Decimal(10) ** R.randint(-40, 40),
}
DISTRIBUTIONS["mixture"] = lambda: R.choice(
    [money, pareto, near_cut, DISTRIBUTIONS["all zero"], DISTRIBUTIONS["negative credits"], DISTRIBUTIONS["edges"]])()
SIZES = [1, 2, 5, 10, 15, 16, 17, 18, 20, 33, 100, 150, 300, 1000]


def some_double(x):
    kind = R.random()
    if kind < 0.1:
        return R.choice([-1, 1]) * R.random() * 10.0 ** R.randint(-20, R.choice([5, 25, 300]))
    if kind < 0.2:
        return R.randint(-1000, 1000) * 2.0 ** -16      # ties
    if kind < 0.25:
        return R.choice([5e-324, 2.2250738585072014e-308, -1e-310, 1.7976931348623157e308])
    f = float(x)
    return 0.0 if isinf(f) else f


class Group:
    def __init__(self):
        self.distribution = R.choice(list(DISTRIBUTIONS))
        self.accuracy = R.randrange(len(ACCURACIES))
        size = R.choice(SIZES)
        if self.distribution == "huge":
            size = min(size, 40)
        # + 0 turns -0 into 0
        self.values = [DISTRIBUTIONS[self.distribution]() + 0 for _ in range(size)]
        order = R.randrange(3)
        if order > 0:
            self.values.sort(reverse=order == 2)
        self.doubles = [some_double(x) for x in self.values]

    def what(self):
        return "%d values, %s, accuracy %s: %s" % (
            len(self.values), self.distribution, ACCURACIES[self.accuracy][0],
            " ".join(map(str, self.values[:40]))[:2000])


QUERY = """
SET search_path = cost_ledger, pg_catalog;
SELECT 'default', g, encode(summarize(x)::bytea, 'hex') FROM summary_differential.input GROUP BY g;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
SELECT 'default', g, encode(summarize(x)::bytea, 'hex') FROM summary_differential.input GROUP BY g;
SELECT 'accurate', g, encode(summarize(x, a)::bytea, 'hex') FROM summary_differential.input GROUP BY g;
SELECT 'double', g, encode(summarize(f)::bytea, 'hex') FROM summary_differential.input GROUP BY g;
CREATE TABLE summary_differential.leaf AS
    SELECT g, leaf, twig, summarize(x, a) AS s FROM summary_differential.input GROUP BY g, leaf, twig;
SELECT 'accurate', g, encode(merge(s)::bytea, 'hex')
FROM (SELECT g, merge(s) AS s
      FROM (SELECT g, twig, merge(s ORDER BY leaf) AS s FROM summary_differential.leaf GROUP BY g, twig) AS v
      GROUP BY g, twig & 1) AS w
GROUP BY g;
SET max_parallel_workers_per_gather = 0;
SELECT 'accurate', g, encode(merge(merge(a, b), c)::bytea, 'hex')
FROM (SELECT g, merge(s) FILTER (WHERE twig = 0) AS a, merge(s) FILTER (WHERE twig = 1) AS b,
          merge(s) FILTER (WHERE twig > 1) AS c
      FROM summary_differential.leaf GROUP BY g) AS v;
SELECT 'text', g, s::text::summary = s AND s::bytea::summary = s
FROM (SELECT g, merge(s) AS s FROM summary_differential.leaf GROUP BY g) AS v;
SELECT 'statistics', g, num_values(s), total(s), minimum(s), maximum(s)
FROM (SELECT g, merge(s) AS s FROM summary_differential.leaf GROUP BY g) AS v;
SELECT 'quantiles', g, array_to_string(quantiles(s, '{%s}'), ' ')
FROM (SELECT g, merge(s) AS s FROM summary_differential.leaf GROUP BY g) AS v;
DROP TABLE summary_differential.input, summary_differential.leaf;
""" % ",".join(map(str, FRACTIONS))


def psql(script):
    done = subprocess.run(["psql", "-XAtq", "-F|", "-v", "ON_ERROR_STOP=1"], input=script, text=True,
                          stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit("psql failed")
    return done.stdout


def check_quantiles(group, estimates):
    ascending = sorted(group.values)
    exact = len(set(ascending)) <= MAX_VALUES
    accuracy = Decimal(ACCURACIES[group.accuracy][0])
    for fraction, estimate in zip(FRACTIONS, map(Decimal, estimates)):
        truth = ascending[max(1, ceil(fraction * len(ascending))) - 1]
        if exact or fraction in (0, 1):
            right = estimate == truth
        elif abs(truth) < Decimal("1e-12"):
            right = abs(estimate) < Decimal("1e-12")
        elif abs(truth) >= Decimal("1e12"):
            right = estimate == (ascending[-1] if truth > 0 else ascending[0])
        else:
            right = abs(estimate - truth) <= accuracy * abs(truth)
        if not right:
            return "quantile %s is %s, not %s" % (fraction, estimate, truth)
    return None


def batch(number):
    groups = [Group() for _ in range(number)]
    lines = ["CREATE TABLE summary_differential.input"
             " (g integer, leaf integer, twig integer, a double precision, x numeric, f double precision);",
             "COPY summary_differential.input FROM stdin;"]
    # groups side by side, as hashed aggregates meet them
    rows = [(g, i) for g, group in enumerate(groups) for i in range(len(group.values))]
    if R.random() < 0.5:
        rows.sort(key=lambda row: row[1])
    for g, i in rows:
        group = groups[g]
        leaf = R.randint(0, R.choice([1, 3, 10]))
        lines.append("%d\t%d\t%d\t%s\t%s\t%r" % (g, leaf, leaf % R.choice([1, 2, 4]), ACCURACIES[group.accuracy][0],
                                               format(group.values[i], "f"), group.doubles[i]))
    lines.append("\\.")

    expected = {}
    for g, group in enumerate(groups):
        expected["default", g] = pack(group.values, 0).hex()
        expected["accurate", g] = pack(group.values, group.accuracy).hex()
        expected["double", g] = pack([rounded(f) for f in group.doubles], 0).hex()
        expected["text", g] = "t"

    compared = 0
    for line in psql("\n".join(lines) + QUERY).splitlines():
        what, g, *answer = line.split("|")
        group = groups[int(g)]
        wrong = None
        if what == "statistics":
            truth = [len(group.values), sum(group.values), min(group.values), max(group.values)]
            if list(map(Decimal, answer)) != truth:
                wrong = "statistics are %s, not %s" % (answer, truth)
        elif what == "quantiles":
            wrong = check_quantiles(group, answer[0].split())
        elif answer[0] != expected[what, int(g)]:
            wrong = "%s is\n%s, not\n%s" % (what, answer[0], expected[what, int(g)])
        if wrong:
            sys.exit("WRONG: %s\n%s" % (wrong[:4000], group.what()))
        compared += 1
    if compared != 9 * number:
        sys.exit("WRONG: %d answers instead of %d" % (compared, 9 * number))
    return sum(len(group.values) for group in groups)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10 ** 9)
    R.seed(seed)
    print("seed %d" % seed, flush=True)
    psql("SET client_min_messages = warning; DROP SCHEMA IF EXISTS summary_differential CASCADE;"
         "CREATE SCHEMA summary_differential;")
    start = time.time()
    groups = values = 0
    while True:
        values += batch(100)
        groups += 100
        if time.time() - start >= seconds:
            break
    psql("DROP SCHEMA summary_differential;")
    print("%d groups of %d values, no difference, %.0f s" % (groups, values, time.time() - start))


if __name__ == "__main__":
    main()
