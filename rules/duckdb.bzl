"""SQL jobs. A graph that loads this file needs DuckDB; other graphs do not."""

load("//rules/private:databuild_duckdb_job.bzl", _databuild_duckdb_job = "databuild_duckdb_job")
load("//rules/private:databuild_duckdb_test.bzl", _databuild_duckdb_test = "databuild_duckdb_test")

visibility("public")

databuild_duckdb_job = _databuild_duckdb_job
databuild_duckdb_test = _databuild_duckdb_test
