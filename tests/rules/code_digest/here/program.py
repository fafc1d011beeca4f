"""A job's program, which is hashed and never run."""

raise SystemExit(1)
