"""The bundle of targets that a graph is."""

load(":graph_command.bzl", "databuild_command")
load(":graph_rule.bzl", _databuild_graph = "databuild_graph")

visibility(["//rules/..."])

# The command of each further target, by what follows its name's last dot.
_COMMANDS = {
    "plan": "plan",
    "service": "serve",
}

def databuild_graph(name, jobs, lookup = None, default_partitions = [], resources = {}, max_running_jobs = 0, max_partitions = 0, **kwargs):
    """Declares a graph: jobs that build on each other's partitions, and the programs that build them.

    `bazel run //examples:build_graph -- PARTITION...` builds partitions, and `bazel run //examples:build_graph.plan -- PARTITION...` says what
    would be built, and why. `bazel run //examples:build_graph.service` serves the graph over HTTP and gRPC.

    ```starlark
    databuild_graph(
        name = "build_graph",
        default_partitions = ["daily_flights/date=2013-01-01..2013-01-31"],
        jobs = [
            ":daily_flights",
            ":daily_weather",
        ],
        resources = {"memory_gb": "8"},
    )
    ```

    Args:
        name: The name of the target that builds. `name.plan` plans, `name.service` serves; they use the runfiles of `name`.
        jobs: The jobs, each a `databuild_job`. No two of them may produce the same refs.
        lookup: A program that says which job produces a ref, in place of the jobs' patterns: it is given refs, and prints
            JSON, ref to job label. Like the `binary` of a job, it is an executable target or file.
        default_partitions: What is built when nothing is asked for: refs, or ranges of refs.
        resources: How much of each named resource all job runs together may use at once, in all builds that share an
            event log: positive whole numbers. What a job takes has to be here.
        max_running_jobs: How many job runs may run at once, in all builds that share an event log; 0 for any number.
            `--jobs` says how many of one build do.
        max_partitions: How many partitions one plan may consider before it fails, so that a job which always needs one
            more partition has an end; 0 for 10,000,000.
        **kwargs: What every rule takes, such as `visibility` and `tags`.
    """
    _databuild_graph(
        name = name,
        default_partitions = default_partitions,
        jobs = jobs,
        lookup = lookup,
        max_running_jobs = max_running_jobs,
        max_partitions = max_partitions,
        resources = resources,
        **kwargs
    )
    for suffix, command in _COMMANDS.items():
        databuild_command(
            name = "{}.{}".format(name, suffix),
            command = command,
            graph = ":" + name,
            **{key: value for key, value in kwargs.items() if key != "cli"}
        )
