-- Who acts.  Functions that act with the rights of the ledger's owner are
-- declared as cl_as_owner (src/as_owner.c): in them current_user is the owner.

CREATE FUNCTION cost_ledger_internal.caller() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'cl_caller';

COMMENT ON FUNCTION cost_ledger_internal.caller() IS
    'The role that acts: the one that called the outermost function that runs with the rights of the ledger''s owner, else current_user. What is written says by whom with it.';
