"""Tests of SQL jobs: the program behind `databuild_duckdb_test`, and its comparison of results."""
