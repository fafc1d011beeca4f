-- Version 4 of the schema: how far exporters have read the log, the worker that served a job run, and the number of its
-- request.
CREATE TABLE export_cursors (
  exporter TEXT COLLATE "C" PRIMARY KEY,
  position BIGINT NOT NULL,
  holder TEXT NOT NULL,
  expires DOUBLE PRECISION NOT NULL
);
ALTER TABLE placements ADD COLUMN worker_id TEXT NOT NULL DEFAULT '';
ALTER TABLE placements ADD COLUMN worker_request BIGINT NOT NULL DEFAULT 0;
