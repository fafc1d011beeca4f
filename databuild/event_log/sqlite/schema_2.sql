-- Version 2 of the schema: the configuration digest of each output of a batch, an index of the partitions that were made
-- from an input, and tables for job runs and requests with very many refs.

-- A table with ids of rows (no WITHOUT ROWID), unlike in version 1: to compare a key, SQLite loads the whole entry of a
-- b-tree, which would include megabytes of inputs. Here the b-tree of keys is an index of its own.
-- `number` is the sequence number of the run's first event. The digests and inputs are null until the run starts. `inputs`
-- and `output_digests` are JSON; the latter is an object with the configuration digests by ref, and NULL if the run is no
-- batch. They are the last columns, so that the others are read without them.
CREATE TABLE job_runs_2 (
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
INSERT INTO job_runs_2 SELECT *, NULL FROM job_runs ORDER BY build_request_id, number;
DROP TABLE job_runs;
ALTER TABLE job_runs_2 RENAME TO job_runs;
CREATE INDEX job_runs_by_build ON job_runs (build_request_id, number);
CREATE INDEX job_runs_by_job ON job_runs (job_label, build_request_id, number);

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
CREATE INDEX partitions_by_run ON partitions (job_run_id, ref) WHERE job_run_id <> '';
INSERT OR IGNORE INTO partition_uses (input, job_run_id, output, version, query)
SELECT json_extract(i.value, '$[0]'), r.job_run_id, '', json_extract(i.value, '$[1]'), json_extract(i.value, '$[2]')
FROM job_runs r CROSS JOIN json_each(r.inputs) i
WHERE EXISTS (SELECT 1 FROM partitions p WHERE p.job_run_id = r.job_run_id AND p.job_run_id <> '');
INSERT OR IGNORE INTO partition_uses (input, job_run_id, output, version, query)
SELECT json_extract(i.value, '$[0]'), '', p.ref, json_extract(i.value, '$[1]'), json_extract(i.value, '$[2]')
FROM partitions p CROSS JOIN json_each(nullif(p.adoption, ''), '$[4][3]') i;
