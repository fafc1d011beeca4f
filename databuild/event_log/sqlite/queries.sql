-- Queries in the dialect of SQLite.

-- name: keys
json_each(:keys)

-- name: among
IN (SELECT value FROM {keys})

-- name: now
:now

-- name: position_in
instr

-- name: newest_position
SELECT max(position) FROM events

-- name: run_key
-- A lookup by row id takes half the time of one by `job_run_id`. A row id that is read may be that of another run later.
r.rowid

-- name: inputs_of_runs
-- Looks up runs in the order of the keys; `{among}` would sort thousands of keys first.
SELECT r.job_run_id, r.inputs, r.output_digests FROM json_each(:keys) j CROSS JOIN job_runs r ON r.rowid = j.value
WHERE r.inputs IS NOT NULL

-- name: uses_of_inputs
-- CROSS JOIN fixes the join order, so the rows are in the order of the keys and, for each, of the primary key.
SELECT u.input, u.job_run_id, u.output, u.version, u.query
FROM json_each(:keys) k CROSS JOIN partition_uses u ON u.input = k.value LIMIT :limit

-- name: outputs_of_runs
-- In the order of the keys, as above.
SELECT p.job_run_id, p.ref FROM json_each(:keys) k CROSS JOIN partitions p
ON p.job_run_id = k.value AND p.job_run_id <> '' LIMIT :limit

-- name: runs_by_keys
json_each(:keys) AS k CROSS JOIN job_runs AS r ON r.job_run_id = k.value

-- name: partitions_by_keys
json_each(:keys) AS k CROSS JOIN partitions AS p ON p.ref = k.value

-- name: inputs_of_run
json_each(r.inputs) AS i

-- name: inputs_of_output
json_each(nullif(p.adoption, ''), '$[4][3]') AS i

-- name: input_ref
json_extract(i.value, '$[0]')

-- name: input_version
json_extract(i.value, '$[1]')

-- name: input_query
json_extract(i.value, '$[2]')

-- name: remove_uses_of_runs
-- Runs after partitions have changed: a job run without partitions is replaced.
DELETE FROM partition_uses WHERE (input, job_run_id, output) IN (
  SELECT {input_ref}, r.job_run_id, '' FROM {runs_by_keys} CROSS JOIN {inputs_of_run}
  WHERE NOT EXISTS ({partitions_of_run})
)

-- name: replaced_runs
SELECT DISTINCT p.job_run_id FROM json_each(:keys) k CROSS JOIN partitions p ON p.ref = k.value WHERE p.job_run_id <> ''

-- name: build_state
SELECT status, last_sequence FROM builds WHERE build_request_id = :build_request_id

-- name: take_tokens
UPDATE tokens SET last = last + :number RETURNING last

-- name: release_resources
DELETE FROM holdings WHERE job_run_id {among}

-- name: release
DELETE FROM claims WHERE ref {among} AND build_request_id = :build_request_id

-- name: release_runs
DELETE FROM claims WHERE build_request_id = :build_request_id AND job_run_id {among}

-- name: end_claims
DELETE FROM claims WHERE build_request_id = :build_request_id

-- name: end_lease
DELETE FROM leases WHERE build_request_id = :build_request_id

-- name: end_sharing
DELETE FROM sharers WHERE build_request_id = :build_request_id

-- name: end_holdings
DELETE FROM holdings WHERE build_request_id = :build_request_id

-- name: renew_lease
INSERT OR REPLACE INTO leases (build_request_id, expires, holder, submitter)
VALUES (:build_request_id, :expires, :holder, :owner)

-- name: ended_builds
SELECT value FROM json_each(:ended)

-- name: snapshot_partitions
INSERT OR REPLACE INTO partition_snapshots ({stored_columns}, position)
SELECT {stored_columns}, (SELECT seq FROM sqlite_sequence WHERE name = 'events') FROM partitions WHERE ref {among}

-- name: remove_events
DELETE FROM events WHERE position IN (SELECT position FROM events WHERE build_request_id {among} LIMIT :limit)

-- name: remove_partitions
DELETE FROM build_partitions WHERE (build_request_id, ref) IN (
  SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM {keys}
)
