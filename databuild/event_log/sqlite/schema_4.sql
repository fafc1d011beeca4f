-- Version 4 of the schema: how far exporters have read the log, the worker that served a job run, and the number of its
-- request.
CREATE TABLE export_cursors (
  exporter TEXT NOT NULL PRIMARY KEY,
  position INTEGER NOT NULL,
  holder TEXT NOT NULL,
  expires REAL NOT NULL
) WITHOUT ROWID;
ALTER TABLE placements ADD COLUMN worker_id TEXT NOT NULL DEFAULT '';
ALTER TABLE placements ADD COLUMN worker_request INTEGER NOT NULL DEFAULT 0;
