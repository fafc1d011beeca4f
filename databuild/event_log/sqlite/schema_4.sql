-- Version 4 of the schema: how far exporters have read the log, the places of data and of logs, workers, removals, and
-- what job runs report.
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
