-- Version 3 of the schema: where job runs are that were handed to an engine.
CREATE TABLE placements (
  job_run_id TEXT COLLATE "C" PRIMARY KEY,
  build_request_id TEXT COLLATE "C" NOT NULL,
  executor TEXT NOT NULL,
  machine TEXT NOT NULL,
  placed_time DOUBLE PRECISION NOT NULL,
  queued_seconds DOUBLE PRECISION NOT NULL
);
CREATE INDEX placements_by_build ON placements (build_request_id);
