"""The macro `databuild_job`."""

load(":job_rule.bzl", _databuild_job = "databuild_job")

visibility(["//rules/..."])

def _as_text(duration):
    """Returns an integer as a string; strings and selects of strings unchanged."""
    return str(duration) if type(duration) == "int" else duration

def databuild_job(
        name,
        binary,
        outputs = [],
        inputs = None,
        optional_inputs = [],
        query_inputs = [],
        args = [],
        env = {},
        bounds = {},
        batch_size = 0,
        batch_by = "",
        timeout = "",
        retention = "",
        retries = 0,
        retry_backoff = "1s",
        resources = {},
        executor = "",
        infrastructure_retries = 2,
        history = 0,
        check = False,
        worker = False,
        worker_max_requests = 0,
        worker_max_memory = "",
        **kwargs):
    """Declares a job: a program that turns input partitions into output partitions.

    The program is one executable, in any language. The code digest of the job covers the program and all of its runfiles: when one of
    them changes, the partitions of the job are stale.

    ```starlark
    databuild_job(
        name = "carrier_report",
        timeout = "10m",
        args = ["--month={month}"],
        binary = ":carrier_report_program",
        inputs = ["daily_delays/date={month.dates}"],
        outputs = ["carrier_report/month={month:month}"],
        resources = {"memory_gb": "2"},
        retries = 2,
    )
    ```

    A job that sets `inputs` (also to `[]`) or any of the attributes from `optional_inputs` to `batch_by` is declared: its program is
    started with `args` alone. Their values are templates, texts with expressions over the fields of `outputs`, such as `{date-1}` or
    `{month.dates}`. docs/expressions.md describes them. Any other job has a program with the subcommands `config REF...`, which prints
    inputs and arguments, and `exec ARGS...`.

    Args:
        name: Name of the target.
        binary: Program: an executable target, or an executable file such as `daily_flights.sh`. Job runs get the environment
            variables of the target's `env`. A target with `args` is an error, because Bazel passes them only with `bazel run`.
        outputs: Partition patterns of the refs that the job produces: refs with named fields, such as `sum/{names}` or
            `daily_flights/date={date:date}`. The type of a field is `year`, `quarter`, `month`, `week`, `date`, `hour`,
            `minute`, `int`, `str` (one path segment, the default) or `/regex/`. Optional only if the graph has a `lookup`. A run of a
            declared job produces one ref of each pattern, so all have the same fields.
        inputs: Templates of the partitions that the program reads. The graph builds them first, and an input that no job produces is an
            error. `[]` declares a job without inputs.
        optional_inputs: Templates of partitions that are inputs where a job of the graph produces them, and are left out elsewhere.
        query_inputs: Templates of partitions that are read as they are, and recorded. `{*}` at the end of one stands for any path
            segment or the rest of one: the partitions that are available when the program starts.
        args: Templates of the arguments of the program.
        env: Templates of environment variables of the program.
        bounds: First and last value of fields, such as `{"date": "2013-01-01..2013-12-31"}`; either may be left out. The job does not
            produce other values.
        batch_size: Maximum number of outputs of one run. The default is 1, or no maximum if `batch_by` is set.
        batch_by: Template. The outputs of one run have an equal value of it, as in `{date.month}`. `args` and `env` of a job with
            `batch_size` or `batch_by` may use only what is equal for all outputs of a run.
        timeout: Maximum duration of one job run, such as `90s`, `10m` or `1h30m`; a plain number is in seconds. The default is no
            limit. Values in a `select` must be strings.
        retention: Age at which `partitions clean` deletes the data of the job's partitions, such as `90d`, in the format of `timeout`.
            The default is never.
        retries: Maximum number of retries after a failed job run.
        retry_backoff: Delay before the first retry, in the format of `timeout`. It doubles with each further retry.
        resources: Amount of each named resource that one job run uses: positive integers, as strings. The graph declares the
            capacity.
        executor: `local` for a job that always runs on the machine of the orchestrator, even in builds on an engine.
        infrastructure_retries: Maximum number of retries after an engine lost a job run; they do not count as `retries`.
        history: Number of partitions with earlier dates whose numbers each run gets, for `run.check_range`; at most 1,000. See
            docs/writing_jobs.md.
        check: True if the program has the sub-command `check REF...`, which prints which of these partitions exist. It is asked about
            data without a location, or with one that DataBuild cannot check itself, such as a table. See docs/writing_jobs.md.
        worker: True to serve job runs and `config` by processes that live for many of them, on the machine of the orchestrator. The
            program has to speak the protocol of docs/workers.md, as one made with `databuild.job` does.
        worker_max_requests: Number of requests after which a worker is replaced. The default is no limit.
        worker_max_memory: Resident memory, such as `512MB` or `2GiB`, above which a worker is replaced after a request. The default
            is no limit.
        **kwargs: Common attributes of rules, such as `visibility` and `tags`. The tags are copied to the job catalog, and
            `exec_properties` are requirements on machines of engines.
    """
    declared = inputs != None or any([optional_inputs, query_inputs, args, env, bounds, batch_size, batch_by])
    _databuild_job(
        name = name,
        batch_by = batch_by,
        batch_size = batch_size,
        binary = binary,
        bounds = bounds,
        check = check,
        declared = declared,
        executor = executor,
        history = history,
        infrastructure_retries = infrastructure_retries,
        inputs = inputs or [],
        optional_inputs = optional_inputs,
        outputs = outputs,
        query_inputs = query_inputs,
        resources = resources,
        retention = _as_text(retention),
        retries = retries,
        retry_backoff = _as_text(retry_backoff),
        run_args = args,
        run_env = env,
        run_timeout = _as_text(timeout),
        worker = worker,
        worker_max_memory = worker_max_memory,
        worker_max_requests = worker_max_requests,
        **kwargs
    )
