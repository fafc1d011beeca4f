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
        timeout = "",
        retries = 0,
        retry_backoff = "1s",
        resources = {},
        **kwargs):
    """Declares a job: a program that turns input partitions into output partitions.

    The program is one executable, in any language, with the subcommands `config REF...` and `exec ARGS...`. The code digest of the
    job covers the program and all of its runfiles: when one of them changes, the partitions of the job are stale.

    ```starlark
    py_binary(
        name = "daily_flights_binary",
        srcs = ["daily_flights.py"],
        main = "daily_flights.py",
    )

    databuild_job(
        name = "daily_flights",
        timeout = "10m",
        binary = ":daily_flights_binary",
        outputs = ["daily_flights/date={date:date}"],
        resources = {"memory_gb": "2"},
        retries = 2,
    )
    ```

    Args:
        name: Name of the target.
        binary: Program: an executable target, or an executable file such as `daily_flights.sh`. Job runs get the environment
            variables of the target's `env`. A target with `args` is an error, because Bazel passes them only with `bazel run`.
        outputs: Partition patterns of the refs that the job produces: refs with named fields, such as `sum/{names}` or
            `daily_flights/date={date:date}`. The type of a field is `year`, `quarter`, `month`, `week`, `date`, `hour`,
            `minute`, `int`, `str` (one path segment, the default) or `/regex/`. Optional only if the graph has a `lookup`.
        timeout: Maximum duration of one job run, such as `90s`, `10m` or `1h30m`; a plain number is in seconds. The default is no
            limit. Values in a `select` must be strings.
        retries: Maximum number of retries after a failed job run.
        retry_backoff: Delay before the first retry, in the format of `timeout`. It doubles with each further retry.
        resources: Amount of each named resource that one job run uses: positive integers, as strings. The graph declares the
            capacity.
        **kwargs: Common attributes of rules, such as `visibility` and `tags`. The tags are copied to the job catalog.
    """
    _databuild_job(
        name = name,
        binary = binary,
        outputs = outputs,
        resources = resources,
        retries = retries,
        retry_backoff = _as_text(retry_backoff),
        run_timeout = _as_text(timeout),
        **kwargs
    )
