"""Declared jobs: expressions over the fields of partition patterns, and the configurations that they yield."""
