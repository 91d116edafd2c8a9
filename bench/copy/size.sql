-- Where the bytes of a call are.  A row has 24 bytes of header, 8 of the map of
-- what is NULL, and padding; the page has 4 for it.
\echo
\echo 'bytes a call, of each column that has any:'
SELECT string_agg(format('SELECT %L AS "column", round(sum(pg_column_size(%I))::numeric / count(*), 1) AS bytes, round(100.0 * count(%I) / count(*)) AS percent_given FROM cost_ledger.call HAVING count(%I) > 0',
                         attname, attname, attname, attname), ' UNION ALL ') || ' ORDER BY 2 DESC'
FROM pg_attribute
WHERE attrelid = 'cost_ledger.call'::regclass AND attnum > 0 AND NOT attisdropped
\gexec
\echo 'bytes a call, of the tables and indexes:'
SELECT CASE WHEN s.is_index THEN coalesce(pg_get_indexdef(p.inhparent), s.name) ELSE 'table' END AS what, round(sum(s.bytes) / (SELECT count(*) FROM cost_ledger.call), 1) AS bytes
FROM pg_partition_tree('cost_ledger.call') t,
     LATERAL (SELECT t.relid::oid AS relation, t.relid::text AS name, pg_table_size(t.relid)::numeric AS bytes, false AS is_index
              UNION ALL
              SELECT i.indexrelid, i.indexrelid::regclass::text, pg_relation_size(i.indexrelid), true
              FROM pg_index i WHERE i.indrelid = t.relid) s
     LEFT JOIN pg_inherits p ON p.inhrelid = s.relation
WHERE t.isleaf
GROUP BY ROLLUP (1)
ORDER BY 2 DESC;
