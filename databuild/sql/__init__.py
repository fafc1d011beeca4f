"""Jobs that are one SELECT, which DuckDB runs: the programs behind `databuild_duckdb_job` and its test rule.

It knows the interface of jobs (databuild.job), and nothing of graphs and builds.
"""
