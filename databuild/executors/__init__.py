"""Executors: where and how job processes run."""
