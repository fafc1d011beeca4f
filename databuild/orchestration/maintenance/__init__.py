"""Changes of the event log that are no builds: taint, adoption, pruning and retention."""
