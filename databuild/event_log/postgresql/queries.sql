-- Queries in the dialect of PostgreSQL.

-- name: keys
json_array_elements_text(:keys)

-- name: among
= ANY (ARRAY(SELECT {keys}))

-- name: now
coalesce(CAST(:now AS float8), CAST(extract(epoch FROM clock_timestamp()) AS float8))

-- name: position_in
strpos

-- name: size
SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS bigint) FROM pg_class
WHERE relnamespace = to_regnamespace(current_schema()) AND relkind = 'r'

-- name: take_tokens
SELECT nextval('tokens') FROM generate_series(1, :number)

-- name: lock_resources
-- Held to the end of the transaction, and taken after all other locks: its holder waits for nobody.
SELECT pg_advisory_xact_lock(:kind, :resources)

-- name: share
INSERT INTO sharers (build_request_id, turn, waiting_for, waiting_until)
VALUES (:build_request_id, :turn, :waiting_for, {now} + :seconds)
ON CONFLICT (build_request_id) DO UPDATE
SET turn = excluded.turn, waiting_for = excluded.waiting_for, waiting_until = excluded.waiting_until

-- name: end_claims
DELETE FROM claims WHERE build_request_id {among}

-- name: end_leases
DELETE FROM leases WHERE build_request_id {among}

-- name: end_sharing
DELETE FROM sharers WHERE build_request_id {among}

-- name: end_holdings
DELETE FROM holdings WHERE build_request_id {among}

-- name: renew_lease
INSERT INTO leases (build_request_id, expires, holder, submitter)
VALUES (:build_request_id, {now} + :seconds, :holder, :submitter)
ON CONFLICT (build_request_id) DO UPDATE
SET expires = excluded.expires, holder = excluded.holder, submitter = excluded.submitter
