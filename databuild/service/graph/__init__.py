"""The service of one graph: its parts, their maintenance and their metrics."""
