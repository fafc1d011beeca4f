-- Version 1 of the schema. Statuses, reasons and failure categories are names, so that reading needs no protobuf. Keys
-- are ordered by code points (COLLATE "C"), as in every other event log, whatever the collation of the database.

-- Identifies the schema as one of DataBuild.
CREATE TABLE databuild_log (schema_version INTEGER NOT NULL);
INSERT INTO databuild_log VALUES (1);
CREATE TABLE events (
  position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  build_request_id TEXT COLLATE "C" NOT NULL,
  sequence BIGINT NOT NULL,
  payload BYTEA NOT NULL,
  UNIQUE (build_request_id, sequence)
);
-- A low fillfactor for tables whose rows change often: the next version of a row fits on the same page, and no index
-- changes (heap-only tuples).
CREATE TABLE builds (
  build_request_id TEXT COLLATE "C" PRIMARY KEY,
  status TEXT COLLATE "C" NOT NULL,
  graph_label TEXT NOT NULL,
  requested TEXT NOT NULL,
  received_time DOUBLE PRECISION NOT NULL,
  updated_time DOUBLE PRECISION NOT NULL,
  last_sequence BIGINT NOT NULL,
  total_tasks BIGINT NOT NULL DEFAULT 0,
  jobs_completed BIGINT NOT NULL DEFAULT 0,
  jobs_failed BIGINT NOT NULL DEFAULT 0,
  partitions_available BIGINT NOT NULL DEFAULT 0,
  partitions_delegated BIGINT NOT NULL DEFAULT 0,
  partitions_failed BIGINT NOT NULL DEFAULT 0,
  retry_of_build_request_id TEXT NOT NULL,
  cancel_requested_by TEXT NOT NULL DEFAULT '',
  failure_category TEXT,
  failure_message TEXT,
  pruned_time DOUBLE PRECISION NOT NULL DEFAULT 0,
  rows_left BOOLEAN NOT NULL DEFAULT TRUE
) WITH (fillfactor = 50);
CREATE INDEX builds_by_status ON builds (status, build_request_id);
-- Pruned builds with rows in other tables: they produced current data, or their pruning was interrupted.
CREATE INDEX builds_pruned ON builds (build_request_id) WHERE pruned_time > 0 AND rows_left;
CREATE TABLE build_partitions (
  build_request_id TEXT COLLATE "C" NOT NULL,
  ref TEXT COLLATE "C" NOT NULL,
  status TEXT NOT NULL,
  task_id BIGINT NOT NULL,
  reason TEXT NOT NULL,
  cause TEXT NOT NULL,
  job_run_id TEXT NOT NULL,
  failure_category TEXT,
  failure_message TEXT,
  PRIMARY KEY (build_request_id, ref)
) WITH (fillfactor = 70);
-- The history of a partition: the builds that had a task for it.
CREATE INDEX build_partitions_by_ref ON build_partitions (ref, build_request_id) WHERE task_id > 0;
-- `number` is the sequence number of the run's first event. The digests and inputs are null until the run starts.
CREATE TABLE job_runs (
  job_run_id TEXT COLLATE "C" PRIMARY KEY,
  build_request_id TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  task_id BIGINT NOT NULL,
  job_label TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  status TEXT NOT NULL,
  scheduled_time DOUBLE PRECISION NOT NULL,
  started_time DOUBLE PRECISION NOT NULL DEFAULT 0,
  ended_time DOUBLE PRECISION NOT NULL DEFAULT 0,
  exit_code BIGINT,
  duration_seconds DOUBLE PRECISION NOT NULL DEFAULT 0,
  cpu_seconds DOUBLE PRECISION NOT NULL DEFAULT 0,
  peak_memory_bytes BIGINT NOT NULL DEFAULT 0,
  failure_category TEXT,
  failure_message TEXT,
  code_digest TEXT,
  configuration_digest TEXT,
  inputs TEXT
) WITH (fillfactor = 70);
CREATE INDEX job_runs_by_build ON job_runs (build_request_id, number);
CREATE INDEX job_runs_by_job ON job_runs (job_label, build_request_id, number);
-- A row with the status '' has no data: it was created only to be locked.
CREATE TABLE partitions (
  ref TEXT COLLATE "C" PRIMARY KEY,
  status TEXT COLLATE "C" NOT NULL DEFAULT '',
  build_request_id TEXT COLLATE "C" NOT NULL DEFAULT '',
  time DOUBLE PRECISION NOT NULL DEFAULT 0,
  available BOOLEAN NOT NULL DEFAULT FALSE,
  version TEXT NOT NULL DEFAULT '',
  job_run_id TEXT COLLATE "C" NOT NULL DEFAULT '',
  metadata TEXT NOT NULL DEFAULT '',
  adoption TEXT NOT NULL DEFAULT '',
  tainted BOOLEAN NOT NULL DEFAULT FALSE,
  taint_reason TEXT NOT NULL DEFAULT '',
  failure_category TEXT,
  failure_message TEXT
) WITH (fillfactor = 70);
CREATE INDEX partitions_by_status ON partitions (status, ref);
CREATE INDEX partitions_tainted ON partitions (ref) WHERE tainted;
-- The records of partitions when events of theirs were pruned. They include all events up to the position.
CREATE TABLE partition_snapshots (
  ref TEXT COLLATE "C" PRIMARY KEY,
  status TEXT COLLATE "C" NOT NULL,
  build_request_id TEXT COLLATE "C" NOT NULL,
  time DOUBLE PRECISION NOT NULL,
  available BOOLEAN NOT NULL,
  version TEXT NOT NULL,
  job_run_id TEXT COLLATE "C" NOT NULL,
  metadata TEXT NOT NULL,
  adoption TEXT NOT NULL,
  tainted BOOLEAN NOT NULL,
  taint_reason TEXT NOT NULL,
  failure_category TEXT,
  failure_message TEXT,
  position BIGINT NOT NULL
);
-- The number of partitions of a status is the sum over the shards. Each writer adds to its own shard, so that builds
-- which count the same statuses do not wait for each other.
CREATE TABLE partition_counts (
  shard INTEGER NOT NULL,
  status TEXT COLLATE "C" NOT NULL,
  count BIGINT NOT NULL,
  PRIMARY KEY (shard, status)
) WITH (fillfactor = 50);
-- The builds that claim partitions in order to produce them. Not computed from events: a claim precedes them. A
-- transaction that claims holds the locks of the partitions and of the claiming builds.
CREATE TABLE claims (
  ref TEXT COLLATE "C" PRIMARY KEY,
  build_request_id TEXT COLLATE "C" NOT NULL,
  job_run_id TEXT COLLATE "C" NOT NULL,
  token BIGINT NOT NULL
);
CREATE INDEX claims_by_build ON claims (build_request_id);
-- `submitter` is the owner of a lease that another process of a service may take over; '' for none.
CREATE TABLE leases (
  build_request_id TEXT COLLATE "C" PRIMARY KEY,
  expires DOUBLE PRECISION NOT NULL,
  holder TEXT NOT NULL,
  submitter TEXT NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
-- The resources that job runs hold, and the builds that take turns with resources; `waiting_for` is JSON. A transaction
-- that takes resources holds an advisory lock.
CREATE TABLE holdings (
  job_run_id TEXT COLLATE "C" NOT NULL,
  resource TEXT COLLATE "C" NOT NULL,
  build_request_id TEXT COLLATE "C" NOT NULL,
  amount BIGINT NOT NULL,
  PRIMARY KEY (job_run_id, resource)
);
CREATE TABLE sharers (
  build_request_id TEXT COLLATE "C" PRIMARY KEY,
  turn BIGINT NOT NULL,
  waiting_for TEXT NOT NULL,
  waiting_until DOUBLE PRECISION NOT NULL
);
CREATE SEQUENCE tokens;
