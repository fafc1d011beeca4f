-- Version 4 of the schema: how far exporters have read the log, and where the logs of job runs are, with their sizes.
CREATE TABLE export_cursors (
  exporter TEXT NOT NULL PRIMARY KEY,
  position INTEGER NOT NULL,
  holder TEXT NOT NULL,
  expires REAL NOT NULL
) WITHOUT ROWID;
ALTER TABLE placements ADD COLUMN log_store TEXT NOT NULL DEFAULT '';
ALTER TABLE placements ADD COLUMN stdout_bytes INTEGER;
ALTER TABLE placements ADD COLUMN stderr_bytes INTEGER;
