"""The macro `databuild_duckdb_test`."""

load(":duckdb_test_rule.bzl", _databuild_duckdb_test = "databuild_duckdb_test")
load(":duckdb_views.bzl", "labels_of_views")

visibility(["//rules/..."])

def databuild_duckdb_test(
        name,
        job,
        output,
        expected,
        inputs = {},
        ordered = False,
        types = {},
        failing_checks = [],
        **kwargs):
    """Tests a SQL job: runs its query over small files, and compares the result with a CSV file.

    ```starlark
    databuild_duckdb_test(
        name = "carrier_report_test",
        size = "small",
        expected = "cases/expected.csv",
        inputs = {"daily_delays": "cases/delays.csv"},
        job = ":carrier_report",
        output = "carrier_report/month=2013-01",
    )
    ```

    `bazel run //examples:carrier_report_test -- --update` writes the result to the file of the expected one.

    Args:
        name: Name of the target.
        job: Job to test, a `databuild_duckdb_job`.
        output: Ref that the job produces in this case. Its fields are the variables of the query.
        expected: Expected result: a CSV file with a header. An empty value is NULL, and two quotes are an empty text.
        inputs: Files of views, by the name of the view: CSV files with a header, JSON or Parquet files. Columns for the fields of
            refs must be in the files. A view without a file is empty if `columns` of the job has it. The views of `srcs`
            of the job have its files.
        ordered: True to compare the order of rows as well.
        types: Expected types of columns of the result, by name, such as `{"flights": "BIGINT"}`.
        failing_checks: Checks of the job that fail in this case. All others must pass.
        **kwargs: Common attributes of tests, such as `size` and `tags`.
    """
    _databuild_duckdb_test(
        name = name,
        expected = expected,
        failing_checks = failing_checks,
        inputs = labels_of_views(inputs),
        job = job,
        ordered = ordered,
        output = output,
        types = types,
        **kwargs
    )
