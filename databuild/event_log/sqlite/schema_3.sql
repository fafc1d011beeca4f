-- Version 3 of the schema: where job runs are that were handed to an engine.
CREATE TABLE placements (
  job_run_id TEXT NOT NULL PRIMARY KEY,
  build_request_id TEXT NOT NULL,
  executor TEXT NOT NULL,
  machine TEXT NOT NULL,
  placed_time REAL NOT NULL,
  queued_seconds REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX placements_by_build ON placements (build_request_id);
