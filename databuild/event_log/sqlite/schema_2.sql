-- Version 2 of the schema: the configuration digest of each output of a batch, an index of the partitions that were
-- made from an input, and tables for values with tens of thousands of refs.
--
-- To compare a key, SQLite loads the whole entry of a b-tree. In a table WITHOUT ROWID, that entry is the row, which
-- may include megabytes of inputs. So tables with such columns have row ids: the b-tree of their keys is an index of
-- its own. These columns are the last ones, so that SQLite reads the others without them.
--
-- Rows are copied twice: ALTER TABLE would take a millisecond for each table, and every new file is migrated.

-- `number` is the sequence number of the run's first event. The digests and inputs are null until the run starts.
-- `output_digests` is JSON, like `inputs`: an object with the digests by ref. NULL if the run is no batch.
CREATE TABLE job_runs_1 AS SELECT * FROM job_runs;
DROP TABLE job_runs;
CREATE TABLE job_runs (
  job_run_id TEXT NOT NULL PRIMARY KEY,
  build_request_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  task_id INTEGER NOT NULL,
  job_label TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  status TEXT NOT NULL,
  scheduled_time REAL NOT NULL,
  started_time REAL NOT NULL DEFAULT 0,
  ended_time REAL NOT NULL DEFAULT 0,
  exit_code INTEGER,
  duration_seconds REAL NOT NULL DEFAULT 0,
  cpu_seconds REAL NOT NULL DEFAULT 0,
  peak_memory_bytes INTEGER NOT NULL DEFAULT 0,
  failure_category TEXT,
  failure_message TEXT,
  code_digest TEXT,
  configuration_digest TEXT,
  inputs TEXT,
  output_digests TEXT
);
INSERT INTO job_runs SELECT *, NULL FROM job_runs_1 ORDER BY build_request_id, number;
DROP TABLE job_runs_1;
CREATE INDEX job_runs_by_build ON job_runs (build_request_id, number);
CREATE INDEX job_runs_by_job ON job_runs (job_label, build_request_id, number);

-- The requested refs of a build, as JSON: not in `builds`, whose rows change with every append.
CREATE TABLE build_requests (
  build_request_id TEXT NOT NULL PRIMARY KEY,
  requested TEXT NOT NULL
);
INSERT INTO build_requests SELECT build_request_id, requested FROM builds ORDER BY build_request_id;
CREATE TABLE builds_1 AS SELECT * FROM builds;
DROP TABLE builds;
CREATE TABLE builds (
  build_request_id TEXT PRIMARY KEY,
  status TEXT NOT NULL,
  graph_label TEXT NOT NULL,
  received_time REAL NOT NULL,
  updated_time REAL NOT NULL,
  last_sequence INTEGER NOT NULL,
  total_tasks INTEGER NOT NULL,
  jobs_completed INTEGER NOT NULL,
  jobs_failed INTEGER NOT NULL,
  partitions_available INTEGER NOT NULL,
  partitions_delegated INTEGER NOT NULL,
  partitions_failed INTEGER NOT NULL,
  retry_of_build_request_id TEXT NOT NULL,
  cancel_requested_by TEXT NOT NULL DEFAULT '',
  failure_category TEXT,
  failure_message TEXT,
  pruned_time REAL NOT NULL DEFAULT 0,
  rows_left INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
INSERT INTO builds SELECT build_request_id, status, graph_label, received_time, updated_time, last_sequence,
  total_tasks, jobs_completed, jobs_failed, partitions_available, partitions_delegated, partitions_failed,
  retry_of_build_request_id, cancel_requested_by, failure_category, failure_message, pruned_time, rows_left
FROM builds_1;
DROP TABLE builds_1;
CREATE INDEX builds_by_status ON builds (status, build_request_id);
-- Pruned builds with rows in other tables: they produced current data, or their pruning was interrupted.
CREATE INDEX builds_pruned ON builds (build_request_id) WHERE pruned_time > 0 AND rows_left;

CREATE TABLE partitions_1 AS SELECT * FROM partitions;
DROP TABLE partitions;
CREATE TABLE partitions (
  ref TEXT NOT NULL PRIMARY KEY,
  status TEXT NOT NULL,
  build_request_id TEXT NOT NULL,
  time REAL NOT NULL,
  available INTEGER NOT NULL,
  version TEXT NOT NULL,
  job_run_id TEXT NOT NULL,
  tainted INTEGER NOT NULL DEFAULT 0,
  taint_reason TEXT NOT NULL DEFAULT '',
  failure_category TEXT,
  failure_message TEXT,
  metadata TEXT NOT NULL,
  adoption TEXT NOT NULL
);
INSERT INTO partitions SELECT ref, status, build_request_id, time, available, version, job_run_id, tainted,
  taint_reason, failure_category, failure_message, metadata, adoption FROM partitions_1 ORDER BY ref;
DROP TABLE partitions_1;
CREATE INDEX partitions_by_status ON partitions (status, ref);
CREATE INDEX partitions_by_run ON partitions (job_run_id, ref) WHERE job_run_id <> '';
CREATE TRIGGER partition_counted AFTER INSERT ON partitions BEGIN
  INSERT INTO partition_counts VALUES (new.status, 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER tainted_partition_counted AFTER INSERT ON partitions WHEN new.tainted BEGIN
  INSERT INTO partition_counts VALUES ('TAINTED', 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER partition_recounted AFTER UPDATE OF status ON partitions WHEN old.status <> new.status BEGIN
  UPDATE partition_counts SET count = count - 1 WHERE status = old.status;
  INSERT INTO partition_counts VALUES (new.status, 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER partition_tainted AFTER UPDATE OF tainted ON partitions WHEN old.tainted <> new.tainted BEGIN
  INSERT INTO partition_counts VALUES ('TAINTED', new.tainted - old.tainted)
    ON CONFLICT DO UPDATE SET count = count + new.tainted - old.tainted;
END;

-- The records of partitions when events of theirs were pruned. They include all events up to the position.
CREATE TABLE partition_snapshots_1 AS SELECT * FROM partition_snapshots;
DROP TABLE partition_snapshots;
CREATE TABLE partition_snapshots (
  ref TEXT NOT NULL PRIMARY KEY,
  status TEXT NOT NULL,
  build_request_id TEXT NOT NULL,
  time REAL NOT NULL,
  available INTEGER NOT NULL,
  version TEXT NOT NULL,
  job_run_id TEXT NOT NULL,
  tainted INTEGER NOT NULL,
  taint_reason TEXT NOT NULL,
  failure_category TEXT,
  failure_message TEXT,
  position INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  adoption TEXT NOT NULL
);
INSERT INTO partition_snapshots SELECT ref, status, build_request_id, time, available, version, job_run_id, tainted,
  taint_reason, failure_category, failure_message, position, metadata, adoption FROM partition_snapshots_1 ORDER BY ref;
DROP TABLE partition_snapshots_1;

-- A row says that current data was made from an input: by a job run, which stands for all partitions whose current data
-- it produced (`output` is ''), or in another event log, from which `output` was adopted (`job_run_id` is ''). A job run
-- without current data has no rows.
CREATE TABLE partition_uses (
  input TEXT NOT NULL,
  job_run_id TEXT NOT NULL,
  output TEXT NOT NULL,
  version TEXT NOT NULL,
  query INTEGER NOT NULL,
  PRIMARY KEY (input, job_run_id, output)
) WITHOUT ROWID;
CREATE INDEX partition_uses_by_output ON partition_uses (output) WHERE output <> '';
INSERT OR IGNORE INTO partition_uses (input, job_run_id, output, version, query)
SELECT json_extract(i.value, '$[0]'), r.job_run_id, '', json_extract(i.value, '$[1]'), json_extract(i.value, '$[2]')
FROM job_runs r CROSS JOIN json_each(r.inputs) i
WHERE EXISTS (SELECT 1 FROM partitions p WHERE p.job_run_id = r.job_run_id AND p.job_run_id <> '');
INSERT OR IGNORE INTO partition_uses (input, job_run_id, output, version, query)
SELECT json_extract(i.value, '$[0]'), '', p.ref, json_extract(i.value, '$[1]'), json_extract(i.value, '$[2]')
FROM partitions p CROSS JOIN json_each(nullif(p.adoption, ''), '$[4][3]') i;
