"""Output of the command line: progress, tables and texts."""
