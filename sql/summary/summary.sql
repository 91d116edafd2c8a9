-- The type cost_ledger.summary: what many values have in common, small enough
-- to store per team, hour and feature.  Exact count, total, minimum and
-- maximum, and quantiles within a guaranteed relative error.  docs/summary.md
-- tells what it promises; src/summary.c and src/sketch.c keep the promise.

CREATE TYPE cost_ledger.summary;

CREATE FUNCTION cost_ledger_internal.summary_in(cstring)
    RETURNS cost_ledger.summary
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_in';
COMMENT ON FUNCTION cost_ledger_internal.summary_in(cstring) IS
    'Input: the text form of a summary';

CREATE FUNCTION cost_ledger_internal.summary_out(cost_ledger.summary)
    RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_out';
COMMENT ON FUNCTION cost_ledger_internal.summary_out(cost_ledger.summary) IS
    'Output: the text form of a summary, JSON of a fixed shape';

CREATE FUNCTION cost_ledger_internal.summary_recv(internal)
    RETURNS cost_ledger.summary
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_recv';
COMMENT ON FUNCTION cost_ledger_internal.summary_recv(internal) IS
    'Binary input: the packed form of a summary, checked';

CREATE FUNCTION cost_ledger_internal.summary_send(cost_ledger.summary)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_send';
COMMENT ON FUNCTION cost_ledger_internal.summary_send(cost_ledger.summary) IS
    'Binary output: the packed form of a summary, the same on every machine';

CREATE TYPE cost_ledger.summary (
    INPUT = cost_ledger_internal.summary_in,
    OUTPUT = cost_ledger_internal.summary_out,
    RECEIVE = cost_ledger_internal.summary_recv,
    SEND = cost_ledger_internal.summary_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE cost_ledger.summary IS
    'Exact count, total, minimum and maximum of many numbers, and their quantiles within a guaranteed relative error (1 % unless chosen otherwise); equal multisets of values have equal bytes';

-- The packed form as bytea, for those who keep summaries elsewhere.

CREATE FUNCTION cost_ledger_internal.summary_to_bytea(cost_ledger.summary)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_send';
COMMENT ON FUNCTION cost_ledger_internal.summary_to_bytea(cost_ledger.summary) IS
    'The packed form of a summary';

CREATE FUNCTION cost_ledger_internal.summary_from_bytea(bytea)
    RETURNS cost_ledger.summary
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_from_bytea';
COMMENT ON FUNCTION cost_ledger_internal.summary_from_bytea(bytea) IS
    'The summary of a packed form, checked';

CREATE CAST (cost_ledger.summary AS bytea)
    WITH FUNCTION cost_ledger_internal.summary_to_bytea(cost_ledger.summary);
COMMENT ON CAST (cost_ledger.summary AS bytea) IS
    'The packed form of a summary';
CREATE CAST (bytea AS cost_ledger.summary)
    WITH FUNCTION cost_ledger_internal.summary_from_bytea(bytea);
COMMENT ON CAST (bytea AS cost_ledger.summary) IS
    'The summary of a packed form, checked';

-- Equality.  A summary has one packed form, so summaries are equal if their
-- bytes are.  There is no order, so no btree.

CREATE FUNCTION cost_ledger_internal.summary_eq(cost_ledger.summary, cost_ledger.summary)
    RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_eq';
COMMENT ON FUNCTION cost_ledger_internal.summary_eq(cost_ledger.summary, cost_ledger.summary) IS
    'Are the two summaries the same?';

CREATE FUNCTION cost_ledger_internal.summary_ne(cost_ledger.summary, cost_ledger.summary)
    RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_ne';
COMMENT ON FUNCTION cost_ledger_internal.summary_ne(cost_ledger.summary, cost_ledger.summary) IS
    'Do the two summaries differ?';

CREATE FUNCTION cost_ledger_internal.summary_hash(cost_ledger.summary)
    RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_hash';
COMMENT ON FUNCTION cost_ledger_internal.summary_hash(cost_ledger.summary) IS
    'Hash of a summary';

CREATE FUNCTION cost_ledger_internal.summary_hash_extended(cost_ledger.summary, bigint)
    RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_hash_extended';
COMMENT ON FUNCTION cost_ledger_internal.summary_hash_extended(cost_ledger.summary, bigint) IS
    'Hash of a summary, with a seed';

CREATE OPERATOR cost_ledger.= (
    FUNCTION = cost_ledger_internal.summary_eq,
    LEFTARG = cost_ledger.summary,
    RIGHTARG = cost_ledger.summary,
    COMMUTATOR = OPERATOR(cost_ledger.=),
    NEGATOR = OPERATOR(cost_ledger.<>),
    RESTRICT = eqsel,
    JOIN = eqjoinsel,
    HASHES
);
COMMENT ON OPERATOR cost_ledger.= (cost_ledger.summary, cost_ledger.summary) IS
    'Are the two summaries the same?';

CREATE OPERATOR cost_ledger.<> (
    FUNCTION = cost_ledger_internal.summary_ne,
    LEFTARG = cost_ledger.summary,
    RIGHTARG = cost_ledger.summary,
    COMMUTATOR = OPERATOR(cost_ledger.<>),
    NEGATOR = OPERATOR(cost_ledger.=),
    RESTRICT = neqsel,
    JOIN = neqjoinsel
);
COMMENT ON OPERATOR cost_ledger.<> (cost_ledger.summary, cost_ledger.summary) IS
    'Do the two summaries differ?';

CREATE OPERATOR CLASS cost_ledger_internal.summary_ops
    DEFAULT FOR TYPE cost_ledger.summary USING hash AS
    OPERATOR 1 cost_ledger.= ,
    FUNCTION 1 cost_ledger_internal.summary_hash(cost_ledger.summary),
    FUNCTION 2 cost_ledger_internal.summary_hash_extended(cost_ledger.summary, bigint);
COMMENT ON OPERATOR CLASS cost_ledger_internal.summary_ops USING hash IS
    'Equality of summaries, for hashing';

-- Support functions of the aggregates.

CREATE FUNCTION cost_ledger_internal.summary_add_numeric(internal, numeric)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_add_numeric';
COMMENT ON FUNCTION cost_ledger_internal.summary_add_numeric(internal, numeric) IS
    'Aggregate support: add a numeric to a summary';

CREATE FUNCTION cost_ledger_internal.summary_add_numeric(internal, numeric, double precision)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_add_numeric';
COMMENT ON FUNCTION cost_ledger_internal.summary_add_numeric(internal, numeric, double precision) IS
    'Aggregate support: add a numeric to a summary of given accuracy';

CREATE FUNCTION cost_ledger_internal.summary_add_float8(internal, double precision)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_add_float8';
COMMENT ON FUNCTION cost_ledger_internal.summary_add_float8(internal, double precision) IS
    'Aggregate support: add a double precision to a summary';

CREATE FUNCTION cost_ledger_internal.summary_add_float8(internal, double precision, double precision)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_add_float8';
COMMENT ON FUNCTION cost_ledger_internal.summary_add_float8(internal, double precision, double precision) IS
    'Aggregate support: add a double precision to a summary of given accuracy';

CREATE FUNCTION cost_ledger_internal.summary_add_int8(internal, bigint)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_add_int8';
COMMENT ON FUNCTION cost_ledger_internal.summary_add_int8(internal, bigint) IS
    'Aggregate support: add a bigint to a summary';

CREATE FUNCTION cost_ledger_internal.summary_add_int8(internal, bigint, double precision)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_add_int8';
COMMENT ON FUNCTION cost_ledger_internal.summary_add_int8(internal, bigint, double precision) IS
    'Aggregate support: add a bigint to a summary of given accuracy';

CREATE FUNCTION cost_ledger_internal.summary_add_summary(internal, cost_ledger.summary)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_add_summary';
COMMENT ON FUNCTION cost_ledger_internal.summary_add_summary(internal, cost_ledger.summary) IS
    'Aggregate support: merge a summary';

CREATE FUNCTION cost_ledger_internal.summary_combine(internal, internal)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_combine';
COMMENT ON FUNCTION cost_ledger_internal.summary_combine(internal, internal) IS
    'Aggregate support: merge a partial result';

CREATE FUNCTION cost_ledger_internal.summary_serialize(internal)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_serialize';
COMMENT ON FUNCTION cost_ledger_internal.summary_serialize(internal) IS
    'Aggregate support: pack a partial result';

CREATE FUNCTION cost_ledger_internal.summary_deserialize(bytea, internal)
    RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_deserialize';
COMMENT ON FUNCTION cost_ledger_internal.summary_deserialize(bytea, internal) IS
    'Aggregate support: unpack a partial result';

CREATE FUNCTION cost_ledger_internal.summary_final(internal)
    RETURNS cost_ledger.summary
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_final';
COMMENT ON FUNCTION cost_ledger_internal.summary_final(internal) IS
    'Aggregate support: the summary';

CREATE FUNCTION cost_ledger_internal.summary_final_p50(internal)
    RETURNS numeric
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_final_p50';
COMMENT ON FUNCTION cost_ledger_internal.summary_final_p50(internal) IS
    'Aggregate support: the quantile 0.50';

CREATE FUNCTION cost_ledger_internal.summary_final_p95(internal)
    RETURNS numeric
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_final_p95';
COMMENT ON FUNCTION cost_ledger_internal.summary_final_p95(internal) IS
    'Aggregate support: the quantile 0.95';

CREATE FUNCTION cost_ledger_internal.summary_final_p99(internal)
    RETURNS numeric
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_final_p99';
COMMENT ON FUNCTION cost_ledger_internal.summary_final_p99(internal) IS
    'Aggregate support: the quantile 0.99';

-- The aggregates.  Of no values, or none that is not NULL, all are NULL.

CREATE AGGREGATE cost_ledger.summarize(numeric) (
    SFUNC = cost_ledger_internal.summary_add_numeric,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.summarize(numeric) IS
    'The summary of the values, with a relative error of quantiles of at most 1 %';

CREATE AGGREGATE cost_ledger.summarize(double precision) (
    SFUNC = cost_ledger_internal.summary_add_float8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.summarize(double precision) IS
    'The summary of the values, each rounded to 1e-15, with a relative error of quantiles of at most 1 %';

CREATE AGGREGATE cost_ledger.summarize(bigint) (
    SFUNC = cost_ledger_internal.summary_add_int8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.summarize(bigint) IS
    'The summary of the values, with a relative error of quantiles of at most 1 %';

CREATE AGGREGATE cost_ledger.summarize(numeric, double precision) (
    SFUNC = cost_ledger_internal.summary_add_numeric,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.summarize(numeric, double precision) IS
    'The summary of the values, with the given relative error: 0.02, 0.01, 0.005, 0.002 or 0.001';

CREATE AGGREGATE cost_ledger.summarize(double precision, double precision) (
    SFUNC = cost_ledger_internal.summary_add_float8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.summarize(double precision, double precision) IS
    'The summary of the values, each rounded to 1e-15, with the given relative error: 0.02, 0.01, 0.005, 0.002 or 0.001';

CREATE AGGREGATE cost_ledger.summarize(bigint, double precision) (
    SFUNC = cost_ledger_internal.summary_add_int8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.summarize(bigint, double precision) IS
    'The summary of the values, with the given relative error: 0.02, 0.01, 0.005, 0.002 or 0.001';

CREATE AGGREGATE cost_ledger.merge(cost_ledger.summary) (
    SFUNC = cost_ledger_internal.summary_add_summary,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.merge(cost_ledger.summary) IS
    'The summary of all values of the summaries';

CREATE AGGREGATE cost_ledger.p50(numeric) (
    SFUNC = cost_ledger_internal.summary_add_numeric,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final_p50,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.p50(numeric) IS
    'The quantile 0.50 of the values, with a relative error of at most 1 %; exact for up to 16 distinct values';

CREATE AGGREGATE cost_ledger.p50(double precision) (
    SFUNC = cost_ledger_internal.summary_add_float8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final_p50,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.p50(double precision) IS
    'The quantile 0.50 of the values, each rounded to 1e-15, with a relative error of at most 1 %; exact for up to 16 distinct values';

CREATE AGGREGATE cost_ledger.p50(bigint) (
    SFUNC = cost_ledger_internal.summary_add_int8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final_p50,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.p50(bigint) IS
    'The quantile 0.50 of the values, with a relative error of at most 1 %; exact for up to 16 distinct values';

CREATE AGGREGATE cost_ledger.p95(numeric) (
    SFUNC = cost_ledger_internal.summary_add_numeric,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final_p95,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.p95(numeric) IS
    'The quantile 0.95 of the values, with a relative error of at most 1 %; exact for up to 16 distinct values';

CREATE AGGREGATE cost_ledger.p95(double precision) (
    SFUNC = cost_ledger_internal.summary_add_float8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final_p95,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.p95(double precision) IS
    'The quantile 0.95 of the values, each rounded to 1e-15, with a relative error of at most 1 %; exact for up to 16 distinct values';

CREATE AGGREGATE cost_ledger.p95(bigint) (
    SFUNC = cost_ledger_internal.summary_add_int8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final_p95,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.p95(bigint) IS
    'The quantile 0.95 of the values, with a relative error of at most 1 %; exact for up to 16 distinct values';

CREATE AGGREGATE cost_ledger.p99(numeric) (
    SFUNC = cost_ledger_internal.summary_add_numeric,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final_p99,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.p99(numeric) IS
    'The quantile 0.99 of the values, with a relative error of at most 1 %; exact for up to 16 distinct values';

CREATE AGGREGATE cost_ledger.p99(double precision) (
    SFUNC = cost_ledger_internal.summary_add_float8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final_p99,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.p99(double precision) IS
    'The quantile 0.99 of the values, each rounded to 1e-15, with a relative error of at most 1 %; exact for up to 16 distinct values';

CREATE AGGREGATE cost_ledger.p99(bigint) (
    SFUNC = cost_ledger_internal.summary_add_int8,
    STYPE = internal,
    SSPACE = 1000,
    FINALFUNC = cost_ledger_internal.summary_final_p99,
    COMBINEFUNC = cost_ledger_internal.summary_combine,
    SERIALFUNC = cost_ledger_internal.summary_serialize,
    DESERIALFUNC = cost_ledger_internal.summary_deserialize,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cost_ledger.p99(bigint) IS
    'The quantile 0.99 of the values, with a relative error of at most 1 %; exact for up to 16 distinct values';

-- The readers.

CREATE FUNCTION cost_ledger.merge(a cost_ledger.summary, b cost_ledger.summary)
    RETURNS cost_ledger.summary
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_merge_two';
COMMENT ON FUNCTION cost_ledger.merge(a cost_ledger.summary, b cost_ledger.summary) IS
    'The summary of all values of both; NULL is the summary of nothing';

CREATE FUNCTION cost_ledger.quantile(summary cost_ledger.summary, fraction double precision)
    RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_quantile';
COMMENT ON FUNCTION cost_ledger.quantile(summary cost_ledger.summary, fraction double precision) IS
    'The smallest value that at least this fraction of the values does not exceed, within the accuracy of the summary; exact for up to 16 distinct values';

CREATE FUNCTION cost_ledger.quantiles(summary cost_ledger.summary, fractions double precision[])
    RETURNS numeric[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_quantiles';
COMMENT ON FUNCTION cost_ledger.quantiles(summary cost_ledger.summary, fractions double precision[]) IS
    'The quantiles for all these fractions';

CREATE FUNCTION cost_ledger.p50(summary cost_ledger.summary)
    RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_p50';
COMMENT ON FUNCTION cost_ledger.p50(summary cost_ledger.summary) IS
    'The quantile 0.50, within the accuracy of the summary';

CREATE FUNCTION cost_ledger.p95(summary cost_ledger.summary)
    RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_p95';
COMMENT ON FUNCTION cost_ledger.p95(summary cost_ledger.summary) IS
    'The quantile 0.95, within the accuracy of the summary';

CREATE FUNCTION cost_ledger.p99(summary cost_ledger.summary)
    RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_p99';
COMMENT ON FUNCTION cost_ledger.p99(summary cost_ledger.summary) IS
    'The quantile 0.99, within the accuracy of the summary';

CREATE FUNCTION cost_ledger.mean(summary cost_ledger.summary)
    RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_mean';
COMMENT ON FUNCTION cost_ledger.mean(summary cost_ledger.summary) IS
    'The mean of the values: total divided by number';

CREATE FUNCTION cost_ledger.total(summary cost_ledger.summary)
    RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_total';
COMMENT ON FUNCTION cost_ledger.total(summary cost_ledger.summary) IS
    'The sum of the values, exact';

CREATE FUNCTION cost_ledger.num_values(summary cost_ledger.summary)
    RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_num_values';
COMMENT ON FUNCTION cost_ledger.num_values(summary cost_ledger.summary) IS
    'The number of values';

CREATE FUNCTION cost_ledger.minimum(summary cost_ledger.summary)
    RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_minimum';
COMMENT ON FUNCTION cost_ledger.minimum(summary cost_ledger.summary) IS
    'The smallest value, exact';

CREATE FUNCTION cost_ledger.maximum(summary cost_ledger.summary)
    RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_maximum';
COMMENT ON FUNCTION cost_ledger.maximum(summary cost_ledger.summary) IS
    'The largest value, exact';

CREATE FUNCTION cost_ledger.rank(summary cost_ledger.summary, value numeric)
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_rank';
COMMENT ON FUNCTION cost_ledger.rank(summary cost_ledger.summary, value numeric) IS
    'The share of the values that this value is not below, exact for some value within the accuracy of it';

CREATE FUNCTION cost_ledger.coarsen(summary cost_ledger.summary, accuracy double precision)
    RETURNS cost_ledger.summary
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_coarsen';
COMMENT ON FUNCTION cost_ledger.coarsen(summary cost_ledger.summary, accuracy double precision) IS
    'The summary of the same values at a coarser accuracy';

CREATE FUNCTION cost_ledger.summary_info(
    summary cost_ledger.summary,
    OUT format_version integer,
    OUT accuracy numeric,
    OUT is_exact boolean,
    OUT num_values bigint,
    OUT total numeric,
    OUT minimum numeric,
    OUT maximum numeric,
    OUT buckets integer,
    OUT stored_bytes integer)
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cl_summary_info';
COMMENT ON FUNCTION cost_ledger.summary_info(cost_ledger.summary) IS
    'What a summary holds: its format and accuracy, whether its quantiles are exact, its exact statistics, the number of buckets in use and the bytes it occupies';

CREATE FUNCTION cost_ledger.histogram(
    summary cost_ledger.summary,
    bars_per_decade integer DEFAULT 4)
    RETURNS TABLE (lower_bound numeric, upper_bound numeric, num_values bigint)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 30
    AS 'MODULE_PATHNAME', 'cl_histogram';
COMMENT ON FUNCTION cost_ledger.histogram(cost_ledger.summary, integer) IS
    'The number of values between bounds of equal ratio, in ascending order, without empty bars; values nearer to zero than 1e-12 are at 0';

-- So that whoever reads JSON gets figures, and not the text that goes back in.
CREATE FUNCTION cost_ledger_internal.summary_to_jsonb(summary cost_ledger.summary) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN jsonb_build_object('num_values', cost_ledger.num_values(summary), 'total', cost_ledger.total(summary),
                              'minimum', cost_ledger.minimum(summary), 'maximum', cost_ledger.maximum(summary), 'mean', cost_ledger.mean(summary),
                              'p50', cost_ledger.p50(summary), 'p95', cost_ledger.p95(summary), 'p99', cost_ledger.p99(summary));
COMMENT ON FUNCTION cost_ledger_internal.summary_to_jsonb(cost_ledger.summary) IS
    'A summary''s figures as a JSON object: num_values, total, minimum, maximum, mean, p50, p95, p99.';

CREATE FUNCTION cost_ledger_internal.summary_to_json(summary cost_ledger.summary) RETURNS json
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN cost_ledger_internal.summary_to_jsonb(summary)::json;
COMMENT ON FUNCTION cost_ledger_internal.summary_to_json(cost_ledger.summary) IS
    'summary_to_jsonb() as json.';

-- to_json() and to_jsonb() ask for the first of these.
CREATE CAST (cost_ledger.summary AS json) WITH FUNCTION cost_ledger_internal.summary_to_json(cost_ledger.summary);
CREATE CAST (cost_ledger.summary AS jsonb) WITH FUNCTION cost_ledger_internal.summary_to_jsonb(cost_ledger.summary);
COMMENT ON CAST (cost_ledger.summary AS json) IS 'Figures of a summary, as an object: num_values, total, minimum, maximum, mean, p50, p95, p99. Not to be read back.';
COMMENT ON CAST (cost_ledger.summary AS jsonb) IS 'Figures of a summary, as an object: num_values, total, minimum, maximum, mean, p50, p95, p99. Not to be read back.';
