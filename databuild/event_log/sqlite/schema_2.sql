-- Version 2 of the schema: the configuration digest of each output of a batch, and an index of the partitions that were
-- made from an input.

-- JSON, like `inputs`: an object with the digests by ref. NULL if the run is no batch.
ALTER TABLE job_runs ADD COLUMN output_digests TEXT;

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
