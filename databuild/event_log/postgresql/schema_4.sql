-- Version 4 of the schema: how far exporters have read the log.
CREATE TABLE export_cursors (
  exporter TEXT COLLATE "C" PRIMARY KEY,
  position BIGINT NOT NULL,
  holder TEXT NOT NULL,
  expires DOUBLE PRECISION NOT NULL
);
