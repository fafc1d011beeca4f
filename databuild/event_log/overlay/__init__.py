"""The event log of an environment: a log of its own over that of the base, which it only reads."""
