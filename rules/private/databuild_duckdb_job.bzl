"""The macro `databuild_duckdb_job`."""

load(":databuild_job.bzl", "databuild_job")
load(":duckdb_program.bzl", "duckdb_program")
load(":duckdb_views.bzl", "UNSUPPORTED", "labels_of_views")

visibility(["//rules/..."])

# Common attributes that the program has as well.
_COMMON = ["compatible_with", "tags", "target_compatible_with", "testonly", "visibility"]

def databuild_duckdb_job(
        name,
        sql,
        outputs,
        inputs = [],
        optional_inputs = [],
        query_inputs = [],
        bounds = {},
        srcs = {},
        views = {},
        columns = {},
        checks = {},
        warning_checks = {},
        data_root = "",
        threads = 1,
        memory_limit = "2GB",
        timeout = "",
        retention = "",
        retries = 0,
        retry_backoff = "1s",
        resources = {},
        worker = False,
        worker_max_requests = 0,
        worker_max_memory = "",
        **kwargs):
    """Declares a job whose program is one SELECT. DuckDB runs it, and its result is stored as a Parquet file.

    ```starlark
    databuild_duckdb_job(
        name = "carrier_report",
        srcs = {"airlines": "airlines.csv"},
        checks = {"has_carriers": "SELECT count(*) > 0 FROM result"},
        inputs = ["daily_delays/date={month.dates}"],
        outputs = ["carrier_report/month={month:month}"],
        sql = "carrier_report.sql",
    )
    ```

    Each input dataset is a view named after the first segment of its refs, here `daily_delays`. Fields of the output are variables:
    `getvariable('month')`. docs/sql_jobs.md describes SQL jobs.

    Args:
        name: Name of the target. `name.program` is the program of the job.
        sql: File with one SELECT. It is checked when Bazel builds the job.
        outputs: The partition pattern of the job, a list of one.
        inputs: As those of `databuild_job`. The job that produces an input reports the path of its file as metadata `path`: a
            Parquet, CSV or JSON file. SQL jobs do so.
        optional_inputs: As those of `databuild_job`.
        query_inputs: As those of `databuild_job`. An input that is not available has no rows.
        bounds: As those of `databuild_job`.
        srcs: Files that are part of the job, such as a small table: a file, or a target with files of one table, by the name of its
            view. The code digest covers them.
        views: First segments of refs by the name of a view, such as `{"daily": "flights/daily"}`. Other inputs are views named
            after their first segment.
        columns: Types of the columns of views, such as `{"balance": {"account": "BIGINT", "amount": "DECIMAL(18, 2)"}}`. Such a view has
            exactly these columns, also in a run without an input of it. Other views have the columns of their files and
            of the fields of their refs.
        checks: SELECTs of one value, true or false, by name. The result is the view `result`. If one is false, the job run fails and the
            result is not stored.
        warning_checks: The same with the severity warning: the result is stored.
        data_root: Directory of the result, which is `DATA_ROOT/REF/data.parquet`. Relative to the workspace. The default is the
            environment variable `DATABUILD_DATA_ROOT`, then the flag `--@databuild//rules:duckdb_data_root`, then `data`.
        threads: Number of threads of DuckDB. With more than one, the order of rows without ORDER BY, and the last digits of sums of
            floating-point numbers, differ from run to run.
        memory_limit: Maximum memory of DuckDB, such as `512MB`. It writes to temporary files what exceeds it.
        timeout: As that of `databuild_job`.
        retention: As that of `databuild_job`.
        retries: As those of `databuild_job`.
        retry_backoff: As that of `databuild_job`.
        resources: As those of `databuild_job`.
        worker: As that of `databuild_job`. It saves the start of Python and DuckDB for each partition.
        worker_max_requests: As that of `databuild_job`.
        worker_max_memory: As that of `databuild_job`.
        **kwargs: Common attributes of rules, such as `visibility` and `tags`.
    """
    duckdb_program(
        name = name + ".program",
        srcs = labels_of_views(srcs),
        checks = checks,
        # Pairs: the encoder sorts dictionaries, and the order of columns is that of SELECT *.
        columns = json.encode({view: types.items() for view, types in columns.items()}),
        data_root = data_root,
        inputs = inputs + optional_inputs + query_inputs,
        memory_limit = memory_limit,
        outputs = outputs,
        sql = sql,
        threads = threads,
        unsupported = [attribute for attribute in kwargs if attribute in UNSUPPORTED],
        views = views,
        warning_checks = warning_checks,
        **{attribute: value for attribute, value in kwargs.items() if attribute in _COMMON}
    )
    databuild_job(
        name = name,
        timeout = timeout,
        binary = ":" + name + ".program",
        bounds = bounds,
        inputs = inputs,
        optional_inputs = optional_inputs,
        outputs = outputs,
        query_inputs = query_inputs,
        resources = resources,
        retention = retention,
        retries = retries,
        retry_backoff = retry_backoff,
        worker = worker,
        worker_max_memory = worker_max_memory,
        worker_max_requests = worker_max_requests,
        **{attribute: value for attribute, value in kwargs.items() if attribute not in UNSUPPORTED}
    )
