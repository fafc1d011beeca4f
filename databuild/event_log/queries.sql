-- Queries that all SQL databases share, by name. `queries.py` describes the format. A list of keys is one parameter,
-- `:keys`, which holds JSON; `{among}`, `{now}` and other sections that differ are in the `queries.sql` of each database.

-- name: build
SELECT {build_columns} FROM builds WHERE build_request_id = :build_request_id

-- name: build_columns
build_request_id, status, graph_label, (
  SELECT requested FROM build_requests r WHERE r.build_request_id = builds.build_request_id
) AS requested, received_time, updated_time, last_sequence, total_tasks, jobs_completed, jobs_failed,
partitions_available, partitions_delegated, partitions_failed, retry_of_build_request_id, cancel_requested_by,
failure_category, failure_message, pruned_time

-- name: cancel_requests
SELECT build_request_id, cancel_requested_by FROM builds WHERE build_request_id {among} AND cancel_requested_by <> ''

-- name: first_position
SELECT position FROM events WHERE build_request_id = :build_request_id AND sequence = 1

-- name: builds_beginning
SELECT build_request_id FROM builds WHERE build_request_id >= :prefix AND build_request_id < :end
ORDER BY build_request_id DESC LIMIT :limit

-- name: place_of_build
SELECT first_position FROM builds WHERE build_request_id = :build_request_id

-- name: builds
SELECT {build_columns} FROM builds WHERE {older_builds}

-- name: builds_by_status
SELECT {build_columns} FROM builds WHERE status = :status AND {older_builds}

-- name: older_builds
-- Positions are unique, except those of builds that were pruned before version 4 of the schema.
(first_position, build_request_id) < (:position, :before)
ORDER BY first_position DESC, build_request_id DESC LIMIT :limit

-- name: build_partitions
-- An empty status stands for all.
SELECT ref, status, task_id, reason, cause, job_run_id, failure_category, failure_message FROM build_partitions
WHERE build_request_id = :build_request_id AND ref > :after AND :status IN ('', status) ORDER BY ref LIMIT :limit

-- name: job_run_columns
r.job_run_id, r.build_request_id, r.number, r.task_id, r.job_label, r.attempt, r.status, r.scheduled_time,
r.started_time, r.ended_time, r.exit_code, r.duration_seconds, r.cpu_seconds, r.peak_memory_bytes, r.failure_category,
r.failure_message, coalesce(e.executor, '') AS executor, coalesce(e.machine, '') AS machine,
coalesce(e.placed_time, 0.0) AS placed_time, coalesce(e.queued_seconds, 0.0) AS queued_seconds,
coalesce(e.log_store, '') AS log_store, e.stdout_bytes, e.stderr_bytes,
coalesce(e.worker_id, '') AS worker_id, coalesce(e.worker_request, 0) AS worker_request

-- name: with_placements
LEFT JOIN placements e ON e.job_run_id = r.job_run_id

-- name: job_run
SELECT {job_run_columns} FROM job_runs r {with_placements} WHERE r.job_run_id = :job_run_id

-- name: job_runs
-- An empty status stands for all.
SELECT {job_run_columns} FROM job_runs r {with_placements}
WHERE r.build_request_id = :build_request_id AND r.number > :after AND :status IN ('', r.status)
ORDER BY r.number LIMIT :limit

-- name: runs_of_job
SELECT {job_run_columns} FROM job_runs r {with_placements} WHERE r.job_label = :job_label AND r.started_time > 0
ORDER BY {newest_runs} LIMIT :limit

-- name: runs_of_partition
-- The id of a job run is BUILD.TASK.ATTEMPT, so the runs of a task are a range of the primary key; '/' follows '.' in
-- ASCII. In SQLite, CROSS JOIN fixes the join order. All runs are compared, by few of their columns.
SELECT {job_run_columns} FROM (
  SELECT r.job_run_id AS id FROM build_partitions b CROSS JOIN job_runs r
  WHERE b.ref = :ref AND b.task_id > 0 AND r.started_time > 0
    AND r.job_run_id > b.build_request_id || '.' || b.task_id || '.'
    AND r.job_run_id < b.build_request_id || '.' || b.task_id || '/'
  ORDER BY {newest_runs} LIMIT :limit
) AS newest CROSS JOIN job_runs r {with_placements} WHERE r.job_run_id = newest.id ORDER BY {newest_runs}

-- name: newest_runs
r.scheduled_time DESC, r.build_request_id DESC, r.number DESC

-- name: inputs_of_runs
SELECT job_run_id, inputs, output_digests FROM job_runs WHERE job_run_id {among} AND inputs IS NOT NULL

-- name: known_partitions
SELECT p.ref, p.status, p.build_request_id, p.time, p.available AND c.ref IS NULL AS available, p.version, p.job_run_id,
  r.build_request_id AS produced_by, p.metadata, p.tainted, p.taint_reason, p.failure_category, p.failure_message,
  r.job_label, r.code_digest, r.configuration_digest, c.build_request_id AS claimed_by, p.adoption,
  p.location, p.removal, {run_key} AS run_key
FROM partitions p LEFT JOIN job_runs r ON r.job_run_id = p.job_run_id LEFT JOIN claims c ON c.ref = p.ref
WHERE p.status <> ''

-- name: partitions_by_refs
{known_partitions} AND p.ref {among}

-- name: partition_states
SELECT p.ref, p.status, p.available AND c.ref IS NULL, p.version, p.tainted
FROM partitions p LEFT JOIN claims c ON c.ref = p.ref WHERE p.status <> '' AND p.ref {among}

-- name: metadata_of
SELECT p.ref, p.metadata FROM partitions p LEFT JOIN claims c ON c.ref = p.ref
WHERE p.available AND c.ref IS NULL AND p.ref {among}

-- name: reported_under
-- The newest refs in a range, in the order of the index. The limit applies to rows of any state, so that data that is
-- not available costs nothing more.
SELECT {reported_columns} FROM (
  SELECT * FROM partitions WHERE ref >= :min_ref AND ref < :end ORDER BY ref DESC LIMIT :limit
) AS p {with_run_and_claim} ORDER BY p.ref DESC

-- name: reported_of
SELECT {reported_columns} FROM partitions p {with_run_and_claim} WHERE p.ref {among}

-- name: reported_columns
p.ref, p.available AND c.ref IS NULL AS available, p.time, p.version, p.job_run_id,
coalesce(r.duration_seconds, 0.0) AS duration_seconds, p.metadata, p.location

-- name: with_run_and_claim
LEFT JOIN job_runs r ON r.job_run_id = p.job_run_id LEFT JOIN claims c ON c.ref = p.ref

-- name: metrics_of_runs
SELECT job_run_id, name, ref, value, unit FROM job_run_metrics WHERE job_run_id {among} ORDER BY job_run_id, name, ref

-- name: checks_of_runs
SELECT job_run_id, name, ref, passed, severity, message FROM job_run_checks WHERE job_run_id {among}
ORDER BY job_run_id, name, ref LIMIT :limit

-- name: schemas_of_partition
SELECT job_run_id, schema FROM job_run_schemas WHERE job_run_id {among} AND ref = :ref

-- name: stored_data
SELECT p.ref, p.version, p.location FROM partitions p LEFT JOIN claims c ON c.ref = p.ref
WHERE p.available AND c.ref IS NULL

-- name: stored_data_of
{stored_data} AND p.ref {among}

-- name: stored_data_under
{stored_data} AND p.ref >= :min_ref AND p.ref <> :after AND p.ref < :end ORDER BY p.ref LIMIT :limit

-- name: placed_data
SELECT p.ref, p.version, p.location, p.status, p.time, p.available AND c.ref IS NULL, p.removal
FROM partitions p LEFT JOIN claims c ON c.ref = p.ref WHERE p.status <> ''

-- name: placed_data_of
{placed_data} AND p.ref {among}

-- name: placed_data_under
{placed_data} AND p.ref >= :min_ref AND p.ref <> :after AND p.ref < :end ORDER BY p.ref LIMIT :limit

-- name: partition_page
-- One lower bound only: of two, SQLite may use the lower one to start the scan.
AND p.ref >= :min_ref AND p.ref <> :after AND p.ref < :end AND {position_in}(p.ref, :contains) > 0
ORDER BY p.ref LIMIT :limit

-- name: partitions
{known_partitions} {partition_page}

-- name: partitions_by_status
{known_partitions} AND p.status = :status {partition_page}

-- name: partitions_tainted
{known_partitions} AND p.tainted {partition_page}

-- name: uses_of_input
SELECT input, job_run_id, output, version, query FROM partition_uses
WHERE input = :input AND (job_run_id, output) > (:job_run_id, :output) ORDER BY job_run_id, output LIMIT :limit

-- name: outputs_of_run
SELECT job_run_id, ref FROM partitions
WHERE job_run_id = :job_run_id AND job_run_id <> '' AND ref > :after ORDER BY ref LIMIT :limit

-- name: partition_counts
SELECT status, CAST(sum(count) AS bigint) AS count FROM partition_counts GROUP BY status HAVING sum(count) > 0
ORDER BY status

-- name: counts_under
-- By status, then the tainted ones among them. The first reads an index only. SQLite has no index of tainted partitions,
-- so the outer loop of the second yields no row if nothing is tainted; CROSS JOIN fixes the join order.
SELECT status, FALSE, (
  SELECT count(*) FROM partitions p WHERE p.status = statuses.status AND p.ref >= :prefix AND p.ref < :end
) FROM (SELECT DISTINCT status FROM partition_counts WHERE status NOT IN ('', 'TAINTED')) AS statuses
UNION ALL
SELECT p.status, TRUE, count(*)
FROM (SELECT sum(count) AS total FROM partition_counts WHERE status = 'TAINTED') AS tainted CROSS JOIN partitions p
WHERE tainted.total > 0 AND p.tainted AND p.ref >= :prefix AND p.ref < :end GROUP BY p.status

-- name: statuses_under
SELECT ref, CASE WHEN tainted THEN 'TAINTED' ELSE status END FROM partitions
WHERE status <> '' AND ref >= :min_ref AND ref <> :after AND ref < :end ORDER BY ref LIMIT :limit

-- name: claimed
SELECT ref, build_request_id FROM claims WHERE ref {among}

-- name: claims_of_build
SELECT ref, job_run_id FROM claims WHERE build_request_id = :build_request_id

-- name: unleased_builds
SELECT b.build_request_id FROM builds b WHERE b.status {among}
  AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.build_request_id = b.build_request_id) ORDER BY b.build_request_id

-- name: holders
SELECT DISTINCT holder, expires < {now} AS expired FROM leases

-- name: leases_of_holders
SELECT build_request_id, expires, holder, submitter, expires < {now} AS expired FROM leases WHERE holder {among}
ORDER BY build_request_id

-- name: resource_use
SELECT resource, build_request_id, CAST(sum(amount) AS bigint), '[]' FROM holdings GROUP BY 1, 2
UNION ALL SELECT '', build_request_id, 0, waiting_for FROM sharers WHERE waiting_until > {now}

-- name: events
SELECT payload FROM events WHERE build_request_id = :build_request_id AND sequence > :after
ORDER BY sequence LIMIT :limit

-- name: all_events
SELECT position, payload FROM events WHERE position > :after ORDER BY position LIMIT :limit

-- name: sizes
SELECT count(*), count(*) FILTER (WHERE pruned_time > 0), (SELECT count(*) FROM events) FROM builds

-- name: bytes_of_events
SELECT CAST(coalesce(sum(length(payload)), 0) AS bigint) FROM events WHERE build_request_id {among}

-- name: rows_of_partitions
(SELECT * FROM partitions WHERE status <> '') AS known

-- name: rows_of_partition_counts
({partition_counts}) AS counts

-- name: lease_holders
SELECT build_request_id, holder FROM leases WHERE build_request_id {among}

-- name: remove_lease
DELETE FROM leases WHERE build_request_id = :build_request_id AND holder = :holder
  AND NOT EXISTS (SELECT 1 FROM builds b WHERE b.build_request_id = leases.build_request_id)

-- name: claim_candidates
SELECT wanted.value, c.build_request_id, p.version FROM {keys} AS wanted
LEFT JOIN claims c ON c.ref = wanted.value LEFT JOIN partitions p ON p.ref = wanted.value AND p.available

-- name: resources_used
SELECT resource, CAST(sum(amount) AS bigint) FROM holdings GROUP BY resource

-- name: sharers
SELECT build_request_id, turn, waiting_for, waiting_until > {now} FROM sharers

-- name: adoption_conflicts
SELECT wanted.value, coalesce(c.build_request_id, '') FROM {keys} AS wanted
LEFT JOIN partitions p ON p.ref = wanted.value AND p.available LEFT JOIN claims c ON c.ref = wanted.value
WHERE p.ref IS NOT NULL OR c.ref IS NOT NULL ORDER BY wanted.value

-- name: new_uses_of_runs
-- Runs before partitions change: a job run that has partitions already is in the index.
{insert_uses} {use_of_run} FROM {runs_by_keys} CROSS JOIN {inputs_of_run}
WHERE NOT EXISTS ({partitions_of_run}) {first_use_counts}

-- name: fill_uses_of_runs
{insert_uses} {use_of_run} FROM job_runs AS r CROSS JOIN {inputs_of_run}
WHERE EXISTS ({partitions_of_run}) {first_use_counts}

-- name: remove_uses_of_outputs
DELETE FROM partition_uses WHERE output {among} AND output <> ''

-- name: new_uses_of_outputs
{insert_uses} {use_of_output} FROM {partitions_by_keys} CROSS JOIN {inputs_of_output} WHERE TRUE {first_use_counts}

-- name: fill_uses_of_outputs
{insert_uses} {use_of_output} FROM partitions AS p CROSS JOIN {inputs_of_output} WHERE TRUE {first_use_counts}

-- name: clear_uses
DELETE FROM partition_uses

-- name: insert_uses
INSERT INTO partition_uses (input, job_run_id, output, version, query)

-- name: use_of_run
SELECT {input_ref} AS input, r.job_run_id, '' AS output, {input_version} AS version, {input_query} AS query

-- name: use_of_output
SELECT {input_ref}, '', p.ref, {input_version}, {input_query}

-- name: first_use_counts
-- A manifest may have an input twice.
ON CONFLICT DO NOTHING

-- name: partitions_of_run
-- The last condition is that of the partial index.
SELECT 1 FROM partitions AS p WHERE p.job_run_id = r.job_run_id AND p.job_run_id <> ''

-- name: prunable_partitions
SELECT b.ref, coalesce(b.job_run_id <> '' AND p.job_run_id = b.job_run_id, FALSE)
FROM build_partitions b LEFT JOIN partitions p ON p.ref = b.ref
WHERE b.build_request_id = :build_request_id AND b.ref > :after ORDER BY b.ref LIMIT :limit

-- name: unreferenced_runs
SELECT number, job_run_id FROM job_runs WHERE build_request_id = :build_request_id AND number > :after
  AND job_run_id NOT IN (SELECT job_run_id FROM build_partitions WHERE build_request_id = :build_request_id)
ORDER BY number LIMIT :limit

-- name: unfinished_prunings
SELECT build_request_id FROM builds WHERE pruned_time > 0 AND rows_left AND build_request_id > :after
ORDER BY build_request_id LIMIT :limit

-- name: mark_pruned
UPDATE builds SET pruned_time = :time WHERE build_request_id {among} AND pruned_time = 0 AND status IN ({ended_builds})

-- name: pruned_builds
SELECT build_request_id FROM builds WHERE build_request_id {among} AND pruned_time > 0

-- name: remove_runs
DELETE FROM job_runs WHERE job_run_id {among}

-- name: remove_placements
DELETE FROM placements WHERE job_run_id {among}

-- name: remove_metrics
DELETE FROM job_run_metrics WHERE job_run_id {among}

-- name: remove_checks
DELETE FROM job_run_checks WHERE job_run_id {among}

-- name: remove_schemas
DELETE FROM job_run_schemas WHERE job_run_id {among}

-- name: update_rows_left
UPDATE builds SET rows_left = EXISTS (
  SELECT 1 FROM build_partitions b WHERE b.build_request_id = builds.build_request_id
) WHERE build_request_id {among}

-- name: stored_columns
{columns_of_version_3}, location, removal

-- name: columns_of_version_3
ref, status, build_request_id, time, available, version, job_run_id, metadata, adoption, tainted, taint_reason,
failure_category, failure_message

-- name: clear_builds
-- Keep pruned builds: their events are gone, so their rows cannot be recomputed.
DELETE FROM builds WHERE pruned_time = 0

-- name: clear_build_requests
DELETE FROM build_requests WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)

-- name: clear_build_partitions
DELETE FROM build_partitions WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)

-- name: clear_job_runs
DELETE FROM job_runs WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)

-- name: clear_placements
DELETE FROM placements WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)

-- name: clear_metrics
DELETE FROM job_run_metrics WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)

-- name: clear_checks
DELETE FROM job_run_checks WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)

-- name: clear_schemas
DELETE FROM job_run_schemas WHERE build_request_id NOT IN (SELECT build_request_id FROM builds)

-- name: clear_partitions
DELETE FROM partitions

-- name: clear_counts
DELETE FROM partition_counts

-- name: restore_partitions
INSERT INTO partitions ({stored_columns}) SELECT {stored_columns} FROM partition_snapshots

-- name: unpruned_events
-- A build whose pruning was interrupted may have events left; snapshots already include them.
SELECT position, payload FROM events AS e WHERE position > :after AND NOT EXISTS (
  SELECT 1 FROM builds b WHERE b.build_request_id = e.build_request_id AND b.pruned_time > 0
) ORDER BY position LIMIT :limit

-- name: snapshot_positions
SELECT ref, position FROM partition_snapshots WHERE ref {among}

-- name: take_cursor
-- Inserts the cursor at the end of the log if it is new, and updates it if nobody else holds it.
INSERT INTO export_cursors (exporter, position, holder, expires, state)
VALUES (:exporter, (SELECT coalesce(max(position), 0) FROM events), :holder, {now} + :seconds, '')
ON CONFLICT (exporter) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
WHERE export_cursors.holder IN ('', excluded.holder) OR export_cursors.expires <= {now}
RETURNING position, state

-- name: advance_cursor
UPDATE export_cursors SET position = :position, state = :state, expires = {now} + :seconds
WHERE exporter = :exporter AND holder = :holder AND position = :before RETURNING position

-- name: move_cursor
-- The holder notices, since its position is another one than before.
INSERT INTO export_cursors (exporter, position, holder, expires, state) VALUES (:exporter, :position, '', 0, '')
ON CONFLICT (exporter) DO UPDATE SET position = excluded.position RETURNING position

-- name: release_cursor
UPDATE export_cursors SET holder = '', expires = 0 WHERE exporter = :exporter AND holder = :holder RETURNING position

-- name: export_cursors
SELECT exporter, position, CASE WHEN expires > {now} THEN holder ELSE '' END AS holder FROM export_cursors
ORDER BY exporter
