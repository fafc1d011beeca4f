-- Version 4 of the schema: how far exporters have read the log, the places of data and of logs, workers, removals, what
-- job runs report, and the order of builds.
CREATE TABLE export_cursors (
  exporter TEXT NOT NULL PRIMARY KEY,
  position INTEGER NOT NULL,
  holder TEXT NOT NULL,
  expires REAL NOT NULL,
  state TEXT NOT NULL
) WITHOUT ROWID;

-- The places of the data of partitions, each a JSON array of its URI, its size and its version.
ALTER TABLE partitions ADD COLUMN location TEXT NOT NULL DEFAULT '';
ALTER TABLE partition_snapshots ADD COLUMN location TEXT NOT NULL DEFAULT '';

-- Where the logs of job runs are, with their sizes.
ALTER TABLE placements ADD COLUMN log_store TEXT NOT NULL DEFAULT '';
ALTER TABLE placements ADD COLUMN stdout_bytes INTEGER;
ALTER TABLE placements ADD COLUMN stderr_bytes INTEGER;

-- The worker that served a job run, and the number of its request.
ALTER TABLE placements ADD COLUMN worker_id TEXT NOT NULL DEFAULT '';
ALTER TABLE placements ADD COLUMN worker_request INTEGER NOT NULL DEFAULT 0;

-- The removals of the data of partitions, each a JSON array of the values of a RemovalRecord.
ALTER TABLE partitions ADD COLUMN removal TEXT NOT NULL DEFAULT '';
ALTER TABLE partition_snapshots ADD COLUMN removal TEXT NOT NULL DEFAULT '';

-- The metrics, the checks and the schemas that job runs have reported; `ref` is '' if a report is about the whole run.
CREATE TABLE job_run_metrics (
  job_run_id TEXT NOT NULL,
  name TEXT NOT NULL,
  ref TEXT NOT NULL,
  build_request_id TEXT NOT NULL,
  value REAL NOT NULL,
  unit TEXT NOT NULL,
  PRIMARY KEY (job_run_id, name, ref)
) WITHOUT ROWID;
CREATE TABLE job_run_checks (
  job_run_id TEXT NOT NULL,
  name TEXT NOT NULL,
  ref TEXT NOT NULL,
  build_request_id TEXT NOT NULL,
  passed INTEGER NOT NULL,
  severity TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (job_run_id, name, ref)
);
CREATE TABLE job_run_schemas (
  job_run_id TEXT NOT NULL,
  ref TEXT NOT NULL,
  build_request_id TEXT NOT NULL,
  schema TEXT NOT NULL,
  PRIMARY KEY (job_run_id, ref)
);

-- The position of the first event of a build, which is its place in the order of builds. Pruned builds have lost their
-- events: they are put, by their times, below the next build that has its first event.
ALTER TABLE builds ADD COLUMN first_position INTEGER NOT NULL DEFAULT 0;
WITH firsts AS (
  SELECT b.build_request_id, b.received_time, e.position
  FROM builds b LEFT JOIN events e ON e.build_request_id = b.build_request_id AND e.sequence = 1
), bounded AS (
  SELECT *, coalesce(
    min(position) OVER (
      ORDER BY received_time, build_request_id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    ),
    (SELECT seq + 1 FROM sqlite_sequence WHERE name = 'events')
  ) AS bound FROM firsts
), placed AS (
  SELECT build_request_id, coalesce(position, bound - row_number() OVER (
    PARTITION BY bound, position IS NULL ORDER BY received_time DESC, build_request_id DESC
  )) AS first_position FROM bounded
)
UPDATE builds SET first_position = placed.first_position FROM placed
WHERE builds.build_request_id = placed.build_request_id;
DROP INDEX builds_by_status;
CREATE INDEX builds_by_status ON builds (status, first_position, build_request_id);
CREATE INDEX builds_by_position ON builds (first_position, build_request_id);

-- The runs of a job are ordered by time.
DROP INDEX job_runs_by_job;
CREATE INDEX job_runs_by_job ON job_runs (job_label, scheduled_time, build_request_id, number);
