-- Version 2 of the schema: the configuration digest of each output of a batch, an index of the partitions that were
-- made from an input, and a table for requests of tens of thousands of refs.

-- JSON, like `inputs`: an object with the digests by ref. NULL if the run is no batch.
ALTER TABLE job_runs ADD COLUMN output_digests TEXT;

-- The requested refs of a build, as JSON: not in `builds`, whose rows change with every append.
CREATE TABLE build_requests (
  build_request_id TEXT COLLATE "C" PRIMARY KEY,
  requested TEXT NOT NULL
);
INSERT INTO build_requests SELECT build_request_id, requested FROM builds;
ALTER TABLE builds DROP COLUMN requested;

-- A row says that current data was made from an input: by a job run, which stands for all partitions whose current data
-- it produced (`output` is ''), or in another event log, from which `output` was adopted (`job_run_id` is ''). A job run
-- without current data has no rows. Only the transaction that holds the locks of the partitions changes rows of a run
-- or of an output; the last one that replaces data of a run also holds the lock of the run.
CREATE TABLE partition_uses (
  input TEXT COLLATE "C" NOT NULL,
  job_run_id TEXT COLLATE "C" NOT NULL,
  output TEXT COLLATE "C" NOT NULL,
  version TEXT NOT NULL,
  query BOOLEAN NOT NULL,
  PRIMARY KEY (input, job_run_id, output)
);
CREATE INDEX partition_uses_by_output ON partition_uses (output) WHERE output <> '';
CREATE INDEX partitions_by_run ON partitions (job_run_id, ref) WHERE job_run_id <> '';
INSERT INTO partition_uses (input, job_run_id, output, version, query)
SELECT i.value ->> 0, r.job_run_id, '', i.value ->> 1, CAST(i.value ->> 2 AS boolean)
FROM job_runs AS r CROSS JOIN LATERAL json_array_elements(CAST(r.inputs AS json)) AS i
WHERE EXISTS (SELECT FROM partitions p WHERE p.job_run_id = r.job_run_id AND p.job_run_id <> '')
ON CONFLICT DO NOTHING;
INSERT INTO partition_uses (input, job_run_id, output, version, query)
SELECT i.value ->> 0, '', p.ref, i.value ->> 1, CAST(i.value ->> 2 AS boolean)
FROM partitions AS p CROSS JOIN LATERAL json_array_elements(CAST(nullif(p.adoption, '') AS json) -> 4 -> 3) AS i
ON CONFLICT DO NOTHING;
