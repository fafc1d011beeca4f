"""The event log in one SQLite file, shared by every process that builds into it."""
