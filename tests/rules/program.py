"""A job's program, for targets that are analysed and never run."""

raise SystemExit(1)
