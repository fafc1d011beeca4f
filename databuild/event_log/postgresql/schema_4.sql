-- Version 4 of the schema: the worker that served a job run, and the number of its request.
ALTER TABLE placements ADD COLUMN worker_id TEXT NOT NULL DEFAULT '';
ALTER TABLE placements ADD COLUMN worker_request BIGINT NOT NULL DEFAULT 0;
