-- Queries in the dialect of PostgreSQL.

-- name: keys
json_array_elements_text(:keys)

-- name: among
= ANY (ARRAY(SELECT {keys}))

-- name: now
coalesce(CAST(:now AS float8), CAST(extract(epoch FROM clock_timestamp()) AS float8))

-- name: position_in
strpos

-- name: run_key
r.job_run_id

-- name: uses_of_inputs
-- The inner limit keeps an input with very many uses from being read to its end for each page.
SELECT u.input, u.job_run_id, u.output, u.version, u.query
FROM {keys} WITH ORDINALITY AS k (value, number) CROSS JOIN LATERAL (
  SELECT * FROM partition_uses WHERE input = k.value ORDER BY job_run_id, output LIMIT :limit
) AS u ORDER BY k.number, u.job_run_id, u.output LIMIT :limit

-- name: outputs_of_runs
SELECT p.job_run_id, p.ref
FROM {keys} WITH ORDINALITY AS k (value, number) CROSS JOIN LATERAL (
  SELECT job_run_id, ref FROM partitions WHERE job_run_id = k.value AND job_run_id <> '' ORDER BY ref LIMIT :limit
) AS p ORDER BY k.number, p.ref LIMIT :limit

-- name: runs_by_keys
{keys} AS k JOIN job_runs AS r ON r.job_run_id = k.value

-- name: partitions_by_keys
{keys} AS k JOIN partitions AS p ON p.ref = k.value

-- name: inputs_of_run
LATERAL json_array_elements(CAST(r.inputs AS json)) AS i

-- name: inputs_of_output
LATERAL json_array_elements(CAST(nullif(p.adoption, '') AS json) -> 4 -> 3) AS i

-- name: input_ref
(i.value ->> 0)

-- name: input_version
(i.value ->> 1)

-- name: input_query
CAST(i.value ->> 2 AS boolean)

-- name: remove_uses_of_runs
-- Runs after partitions have changed: a job run without partitions is replaced. OFFSET 0 has the rows looked up by key:
-- without statistics of the table, the planner would scan it. Rows never move, since they are never updated.
DELETE FROM partition_uses WHERE ctid = ANY (ARRAY(
  SELECT u.row FROM {runs_by_keys} CROSS JOIN {inputs_of_run} CROSS JOIN LATERAL (
    SELECT ctid AS row FROM partition_uses
    WHERE input = {input_ref} AND job_run_id = r.job_run_id AND output = '' OFFSET 0
  ) AS u WHERE NOT EXISTS ({partitions_of_run})
))

-- name: lock_runs
-- Of two transactions that replace the last partitions of a run, the second one sees that none are left.
SELECT FROM job_runs WHERE job_run_id {among} ORDER BY job_run_id FOR UPDATE

-- name: size
SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS bigint) FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind = 'r'

-- name: take_tokens
SELECT nextval('tokens') FROM generate_series(1, :number)

-- name: lock_resources
-- Held to the end of the transaction. It is the last lock that a transaction takes, so its holder does not wait.
SELECT pg_advisory_xact_lock(:space, :key)

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

-- name: ended_builds
SELECT json_array_elements_text(:ended)

-- name: lock_partitions_shared
-- After this, every transaction that changes these partitions has committed or waits. So the snapshot includes all
-- events of these partitions up to the last position that has been taken.
SELECT ref FROM partitions WHERE ref {among} ORDER BY ref FOR SHARE

-- name: snapshot_partitions
INSERT INTO partition_snapshots ({stored_columns}, position)
SELECT {stored_columns}, (SELECT last_value FROM events_position_seq) FROM partitions
WHERE ref {among} AND status <> '' ORDER BY ref
ON CONFLICT (ref) DO UPDATE SET ({columns_of_version_3}, position, location, removal) = ROW (excluded.*)

-- name: remove_events
DELETE FROM events
WHERE position = ANY (ARRAY(SELECT position FROM events WHERE build_request_id {among} LIMIT :limit))

-- name: remove_partitions
DELETE FROM build_partitions AS b USING json_array_elements(:keys) AS gone
WHERE b.build_request_id = gone ->> 0 AND b.ref = gone ->> 1

-- name: restore_counts
INSERT INTO partition_counts (shard, status, count)
SELECT 0, status, count(*) FROM partitions GROUP BY status
UNION ALL SELECT 0, 'TAINTED', count(*) FROM partitions WHERE tainted

-- name: first_events_of_builds
-- Operations have events but no row in `builds`.
SELECT build_request_id FROM events WHERE build_request_id {among} AND sequence = 1

-- name: states_of_builds
SELECT build_request_id, status, last_sequence FROM builds WHERE build_request_id {among}

-- name: runs_of_builds
SELECT build_request_id, job_run_id, status FROM job_runs WHERE build_request_id {among}

-- name: partitions_of_builds
SELECT build_request_id, ref, status FROM build_partitions WHERE build_request_id {among}

-- name: lock_builds
SELECT build_request_id, status, last_sequence FROM builds WHERE build_request_id {among}
ORDER BY build_request_id FOR UPDATE

-- name: create_partitions
-- Only rows that exist can be locked. Rows are inserted in the order of refs, so that transactions which insert the same
-- rows wait for each other without deadlock.
INSERT INTO partitions (ref) SELECT value FROM {keys} AS new
WHERE NOT EXISTS (SELECT FROM partitions WHERE ref = value) ORDER BY value COLLATE "C" ON CONFLICT DO NOTHING

-- name: lock_partitions
SELECT ref, status, tainted, job_run_id FROM partitions WHERE ref {among} ORDER BY ref FOR UPDATE

-- name: count_partitions
INSERT INTO partition_counts (shard, status, count)
SELECT :shard, status, sum(change) FROM (
  SELECT status, 1 AS change FROM partitions WHERE ref {among}
  UNION ALL
  SELECT 'TAINTED', 1 FROM partitions WHERE ref {among} AND tainted
  UNION ALL
  SELECT key, -value::bigint FROM json_each_text(:before)
) AS changes
WHERE status <> '' GROUP BY status HAVING sum(change) <> 0 ORDER BY status
ON CONFLICT (shard, status) DO UPDATE SET count = partition_counts.count + excluded.count

-- name: new_builds
INSERT INTO builds (build_request_id, status, graph_label, received_time, updated_time, last_sequence,
  retry_of_build_request_id)
SELECT build_request_id, status, graph_label, received_time, updated_time, 0, retry_of_build_request_id
FROM json_to_recordset(:builds) AS new (build_request_id text, status text, graph_label text, received_time float8,
  updated_time float8, retry_of_build_request_id text)

-- name: place_builds
-- After the first events of new builds, whose positions are taken last in a transaction.
UPDATE builds SET first_position = e.position FROM events e
WHERE builds.build_request_id {among} AND e.build_request_id = builds.build_request_id AND e.sequence = 1

-- name: update_builds
-- Values that are absent in the JSON are kept.
UPDATE builds SET status = coalesce(new.status, builds.status), updated_time = new.updated_time,
  last_sequence = new.last_sequence, total_tasks = coalesce(new.total_tasks, builds.total_tasks),
  jobs_completed = builds.jobs_completed + coalesce(new.jobs_completed, 0),
  jobs_failed = builds.jobs_failed + coalesce(new.jobs_failed, 0),
  partitions_available = builds.partitions_available + coalesce(new.partitions_available, 0),
  partitions_delegated = builds.partitions_delegated + coalesce(new.partitions_delegated, 0),
  partitions_failed = builds.partitions_failed + coalesce(new.partitions_failed, 0),
  failure_category = coalesce(new.failure_category, builds.failure_category),
  failure_message = coalesce(new.failure_message, builds.failure_message)
FROM json_to_recordset(:builds) AS new (build_request_id text, status text, updated_time float8, last_sequence bigint,
  total_tasks bigint, jobs_completed bigint, jobs_failed bigint, partitions_available bigint,
  partitions_delegated bigint, partitions_failed bigint, failure_category text, failure_message text)
WHERE builds.build_request_id = new.build_request_id
