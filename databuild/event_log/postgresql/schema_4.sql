-- Version 4 of the schema: how far exporters have read the log, and where the logs of job runs are, with their sizes.
CREATE TABLE export_cursors (
  exporter TEXT COLLATE "C" PRIMARY KEY,
  position BIGINT NOT NULL,
  holder TEXT NOT NULL,
  expires DOUBLE PRECISION NOT NULL
);
ALTER TABLE placements ADD COLUMN log_store TEXT NOT NULL DEFAULT '';
ALTER TABLE placements ADD COLUMN stdout_bytes BIGINT;
ALTER TABLE placements ADD COLUMN stderr_bytes BIGINT;
