-- Queries in the dialect of PostgreSQL.

-- name: among
= ANY (ARRAY(SELECT json_array_elements_text(:keys)))

-- name: now
coalesce(CAST(:now AS float8), CAST(extract(epoch FROM clock_timestamp()) AS float8))

-- name: position_in
strpos

-- name: size
SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS bigint) FROM pg_class
WHERE relnamespace = to_regnamespace(current_schema()) AND relkind = 'r'
