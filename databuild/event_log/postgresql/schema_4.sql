-- Version 4 of the schema: the places of the data of partitions, each a JSON array of its URI, its size and its version.
ALTER TABLE partitions ADD COLUMN location TEXT NOT NULL DEFAULT '';
ALTER TABLE partition_snapshots ADD COLUMN location TEXT NOT NULL DEFAULT '';
