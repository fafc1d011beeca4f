"""The event log: where the facts of builds are kept, and what they add up to."""
