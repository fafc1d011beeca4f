"""The macro `databuild_duckdb_job`."""

load(":databuild_job.bzl", "databuild_job")
load(":duckdb_program.bzl", "duckdb_program")

visibility(["//rules/..."])

# Attributes of `databuild_job` that SQL jobs cannot have, with what to do instead.
_UNSUPPORTED = {
    "args": "the fields of the output are variables of the query: write getvariable('month')",
    "batch_by": "a run of a SQL job produces one partition",
    "batch_size": "a run of a SQL job produces one partition",
    "binary": "the program of a SQL job is its SQL file, `sql`",
    "env": "the fields of the output are variables of the query: write getvariable('month')",
}

_RESULT = "result"
_VIEW_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"

def _is_view_name(text):
    return text != "" and all([character in _VIEW_CHARACTERS for character in text.lower().elems()])

def _check_output(name, outputs):
    """Returns the only output. Fails if there are more, or if its refs are not paths below a directory."""
    if len(outputs) != 1:
        fail("{} has {} outputs, but a SQL job has one: a SELECT has one result".format(name, len(outputs)))
    output = outputs[0]
    for segment in output.split("{")[0].split("/")[:-1]:
        if segment in ["", ".", ".."] or segment.endswith(":"):
            fail(("outputs of {}: {} has the segment {}. The result is a file at this path below the data root, " +
                  "so write a relative path, such as 'carrier_report/month={{month:month}}'").format(name, repr(output), repr(segment)))
    return output

def _dataset_of(name, template, views):
    """Returns view and dataset of an input that no entry of `views` has; None if one has it."""
    for dataset in views.values():
        if template == dataset or template.startswith(dataset + "/"):
            return None
    segment = template.split("/")[0]
    if not _is_view_name(segment):
        fail(("the input {} of {} is a view named after its first segment, but {} cannot be the name of one. " +
              "Name it: views = {{\"NAME\": \"FIRST/SEGMENTS\"}}").format(repr(template), name, repr(segment)))
    return segment

def _datasets(name, inputs, views):
    """Returns the first segments of the refs of each view, by its name."""
    datasets = dict(views)
    for view, dataset in views.items():
        if not _is_view_name(view):
            fail("views of {}: {} must consist of letters, digits, _ and -".format(name, repr(view)))
        if not any([template == dataset or template.startswith(dataset + "/") for template in inputs]):
            fail("views of {}: no input begins with {}, the segments of the view {}".format(name, repr(dataset), repr(view)))
    for template in inputs:
        dataset = _dataset_of(name, template, views)
        if dataset:
            if dataset in views:
                fail("views of {}: {} is the view of {} and of the input {}".format(name, repr(dataset), repr(views[dataset]), repr(template)))
            datasets[dataset] = dataset
    return datasets

def _view_of_label(name, srcs, datasets):
    """Returns the names of views by label."""
    view_of_label = {}
    for view, label in srcs.items():
        if not _is_view_name(view):
            fail("srcs of {}: {} must consist of letters, digits, _ and -".format(name, repr(view)))
        if view in datasets:
            fail("srcs of {}: {} is also the view of an input; choose another name".format(name, repr(view)))
        if label in view_of_label:
            fail("srcs of {}: the views {} and {} have the same file {}".format(name, repr(view_of_label[label]), repr(view), label))
        view_of_label[label] = view
    return view_of_label

def _check_views(name, views, columns):
    """Fails if two views have one name for DuckDB, or `columns` has an unknown one."""
    view_of_name = {_RESULT: _RESULT}
    for view in views:
        other = view_of_name.get(view.lower())
        if other == _RESULT:
            fail("{} has a view {}, but in checks that is the result; name the view otherwise in `views` or `srcs`".format(name, repr(view)))
        if other:
            fail("{} has the views {} and {}, which are one name for DuckDB".format(name, repr(other), repr(view)))
        view_of_name[view.lower()] = view
    for view in columns:
        if view not in views:
            fail("columns of {}: {} is not a view; the views are: {}".format(name, repr(view), ", ".join(views) or "none"))
        if not columns[view]:
            fail("columns of {}: the view {} has none; write its columns with their types, or leave it out".format(name, repr(view)))

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
        retries = 0,
        retry_backoff = "1s",
        resources = {},
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
        retries: As those of `databuild_job`.
        retry_backoff: As that of `databuild_job`.
        resources: As those of `databuild_job`.
        **kwargs: Common attributes of rules, such as `visibility` and `tags`.
    """
    for attribute, remedy in _UNSUPPORTED.items():
        if attribute in kwargs:
            fail("{} has {}, which databuild_duckdb_job does not have: {}".format(name, attribute, remedy))
    if threads < 1:
        fail("threads of {} is {}, but must be positive".format(name, threads))
    for check in checks:
        if check in warning_checks:
            fail("{} has the check {} twice: in checks and in warning_checks".format(name, repr(check)))
    output = _check_output(name, outputs)
    datasets = _datasets(name, inputs + optional_inputs + query_inputs, views)
    view_of_label = _view_of_label(name, srcs, datasets)
    _check_views(name, datasets.keys() + srcs.keys(), columns)
    duckdb_program(
        name = name + ".program",
        srcs = view_of_label,
        checks = checks,
        # Pairs: the encoder sorts dictionaries, and the order of columns is that of SELECT *.
        columns = json.encode({view: types.items() for view, types in columns.items()}),
        data_root = data_root,
        datasets = datasets,
        memory_limit = memory_limit,
        output = output,
        sql = sql,
        threads = threads,
        warning_checks = warning_checks,
        **{key: value for key, value in kwargs.items() if key in ["compatible_with", "tags", "target_compatible_with", "testonly", "visibility"]}
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
        retries = retries,
        retry_backoff = retry_backoff,
        **kwargs
    )
