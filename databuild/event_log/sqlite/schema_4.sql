-- Version 4 of the schema: the place of the logs of job runs, and their sizes.
ALTER TABLE placements ADD COLUMN log_store TEXT NOT NULL DEFAULT '';
ALTER TABLE placements ADD COLUMN stdout_bytes INTEGER;
ALTER TABLE placements ADD COLUMN stderr_bytes INTEGER;
