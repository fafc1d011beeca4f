"""What a BUILD file declares a job with."""

load(":job_rule.bzl", _databuild_job = "databuild_job")

visibility(["//rules/..."])

def _as_text(duration):
    """A number of seconds as the text that it stands for; a text, or a select of texts, as it is."""
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

    The program is one executable, in any language, with the sub-commands `config REF...` and `exec ARGS...`. The job's code digest
    covers the program and all of its runfiles: when one of them changes, what the job produced is stale.

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
        name: The name of the target.
        binary: The program: an executable target, or an executable file such as `daily_flights.sh`. Job runs get the variables
            of the target's `env`. A target with `args` is refused, since Bazel passes these only with `bazel run`.
        outputs: The partition patterns of the refs that the job produces: refs with named fields, such as `sum/{names}` or
            `daily_flights/date={date:date}`. A field's type is `date`, `month`, `hour`, `int`, `str` (one path segment, the
            default) or `/regex/`. May be left out only where the graph has a `lookup`.
        timeout: How long one job run may take, such as `90s`, `10m` or `1h30m`; a number alone is in seconds. By default as long
            as it likes. The values of a `select` are strings.
        retries: How many more times to try after a failed job run.
        retry_backoff: How long to wait before the first retry, written like `timeout`; the wait doubles with each further one.
        resources: How much of each named resource one job run takes while it runs: positive whole numbers, as strings. The graph says
            how much of it there is.
        **kwargs: What every rule takes, such as `visibility` and `tags`. The tags are in the job catalog, too.
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
