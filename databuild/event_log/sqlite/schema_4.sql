-- Version 4 of the schema: how far exporters have read the log.
CREATE TABLE export_cursors (
  exporter TEXT NOT NULL PRIMARY KEY,
  position INTEGER NOT NULL,
  holder TEXT NOT NULL,
  expires REAL NOT NULL
) WITHOUT ROWID;
