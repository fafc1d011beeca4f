"""Queries about partitions, and changes of their records."""
