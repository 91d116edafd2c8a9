-- What the cube's views ask of single values.

CREATE FUNCTION cost_ledger_internal.hour_end(hour timestamptz, time_zone text) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    -- A clock that is set by half an hour makes one hour shorter, and one longer.
    RETURN CASE WHEN date_trunc('hour', hour + interval '30 minutes', time_zone) <> hour THEN hour + interval '30 minutes'
                WHEN date_trunc('hour', hour + interval '60 minutes', time_zone) <> hour THEN hour + interval '60 minutes'
                ELSE hour + interval '90 minutes' END;

COMMENT ON FUNCTION cost_ledger_internal.hour_end(timestamptz, text) IS
    'The first instant after an hour of a time zone.';
