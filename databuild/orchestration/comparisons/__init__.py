"""Comparisons of partitions with earlier ones, by what their jobs reported."""
