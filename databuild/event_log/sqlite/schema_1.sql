-- Version 1 of the schema. Statuses, reasons and failure categories are names, so that reading needs no protobuf.
CREATE TABLE events (
  position INTEGER PRIMARY KEY AUTOINCREMENT, -- so that the position of a pruned event is not reused
  build_request_id TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  payload BLOB NOT NULL,
  UNIQUE (build_request_id, sequence)
);
CREATE TABLE builds (
  build_request_id TEXT PRIMARY KEY,
  status TEXT NOT NULL,
  graph_label TEXT NOT NULL,
  requested TEXT NOT NULL,
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
CREATE INDEX builds_by_status ON builds (status, build_request_id);
-- Pruned builds with rows in other tables: they produced current data, or their pruning was interrupted.
CREATE INDEX builds_pruned ON builds (build_request_id) WHERE pruned_time > 0 AND rows_left;
CREATE TABLE build_partitions (
  build_request_id TEXT NOT NULL,
  ref TEXT NOT NULL,
  status TEXT NOT NULL,
  task_id INTEGER NOT NULL,
  reason TEXT NOT NULL,
  cause TEXT NOT NULL,
  job_run_id TEXT NOT NULL,
  failure_category TEXT,
  failure_message TEXT,
  PRIMARY KEY (build_request_id, ref)
) WITHOUT ROWID;
-- The history of a partition: the builds that had a task for it.
CREATE INDEX build_partitions_by_ref ON build_partitions (ref, build_request_id) WHERE task_id > 0;
-- `number` is the sequence number of the run's first event. The digests and inputs are null until the run starts.
CREATE TABLE job_runs (
  job_run_id TEXT PRIMARY KEY,
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
  inputs TEXT
) WITHOUT ROWID;
CREATE INDEX job_runs_by_build ON job_runs (build_request_id, number);
CREATE INDEX job_runs_by_job ON job_runs (job_label, build_request_id, number);
CREATE TABLE partitions (
  ref TEXT PRIMARY KEY,
  status TEXT NOT NULL,
  build_request_id TEXT NOT NULL,
  time REAL NOT NULL,
  available INTEGER NOT NULL,
  version TEXT NOT NULL,
  job_run_id TEXT NOT NULL,
  metadata TEXT NOT NULL,
  adoption TEXT NOT NULL,
  tainted INTEGER NOT NULL DEFAULT 0,
  taint_reason TEXT NOT NULL DEFAULT '',
  failure_category TEXT,
  failure_message TEXT
) WITHOUT ROWID;
CREATE INDEX partitions_by_status ON partitions (status, ref);
-- The records of partitions when events of theirs were pruned. They include all events up to the position.
CREATE TABLE partition_snapshots (
  ref TEXT PRIMARY KEY,
  status TEXT NOT NULL,
  build_request_id TEXT NOT NULL,
  time REAL NOT NULL,
  available INTEGER NOT NULL,
  version TEXT NOT NULL,
  job_run_id TEXT NOT NULL,
  metadata TEXT NOT NULL,
  adoption TEXT NOT NULL,
  tainted INTEGER NOT NULL,
  taint_reason TEXT NOT NULL,
  failure_category TEXT,
  failure_message TEXT,
  position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE partition_counts (
  status TEXT PRIMARY KEY,
  count INTEGER NOT NULL
) WITHOUT ROWID;
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
-- The builds that claim partitions in order to produce them. Not computed from events: a claim precedes them.
CREATE TABLE claims (
  ref TEXT PRIMARY KEY,
  build_request_id TEXT NOT NULL,
  job_run_id TEXT NOT NULL,
  token INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX claims_by_build ON claims (build_request_id);
-- `submitter` is the owner of a lease that another process of a service may take over; '' for none.
CREATE TABLE leases (
  build_request_id TEXT PRIMARY KEY,
  expires REAL NOT NULL,
  holder TEXT NOT NULL,
  submitter TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
-- The resources that job runs hold, and the builds that take turns with resources; `waiting_for` is JSON.
CREATE TABLE holdings (
  job_run_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  build_request_id TEXT NOT NULL,
  amount INTEGER NOT NULL,
  PRIMARY KEY (job_run_id, resource)
) WITHOUT ROWID;
CREATE TABLE sharers (
  build_request_id TEXT PRIMARY KEY,
  turn INTEGER NOT NULL,
  waiting_for TEXT NOT NULL,
  waiting_until REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE tokens (last INTEGER NOT NULL);
INSERT INTO tokens VALUES (0);
