"""The macro `databuild_graph`."""

load(":extensions.bzl", "extension_targets")
load(":graph_command.bzl", "databuild_command")
load(":graph_rule.bzl", _databuild_graph = "databuild_graph")

visibility(["//rules/..."])

# Commands of the additional targets, by the suffix of the target name.
_COMMANDS = {
    "plan": "plan",
    "service": "serve",
}

def databuild_graph(name, jobs, lookup = None, default_partitions = [], resources = {}, max_running_jobs = 0, max_partitions = 0, executor = "", executors = [], log_store = "", storage = [], previews = False, notify = [], notify_on = [], exporters = [], bes_results_url = "", **kwargs):
    """Declares a graph: jobs that use each other's partitions, and the targets that build them.

    `bazel run //examples:build_graph -- PARTITION...` builds partitions. `bazel run //examples:build_graph.plan -- PARTITION...` shows what would be
    built and why. `bazel run //examples:build_graph.service` serves the graph over HTTP and gRPC.

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
        name: Name of the target that builds. `name.plan` plans and `name.service` serves; both use the runfiles of `name`.
        jobs: Jobs, each a `databuild_job`. No two of them may produce the same refs.
        lookup: Program that maps refs to jobs, instead of the partition patterns of the jobs. Its arguments are refs; it prints a
            JSON object from ref to job label. An executable target or file, like the `binary` of a job.
        default_partitions: Partitions to build when the command names none: refs or ranges of refs.
        resources: Capacity of each named resource, shared by all job runs in all builds that share an event log. Values are
            positive integers, as strings. Every resource that a job uses must be listed.
        max_running_jobs: Maximum number of job runs at the same time, in all builds that share an event log; 0 for no limit.
            The flag `--jobs` limits one build.
        max_partitions: Maximum number of partitions that one plan considers before it fails. It stops a job whose partitions
            depend on each other without end. 0 means 10,000,000.
        executor: Address of the engine that runs the jobs unless a build says otherwise, such as `dask://scheduler:8786` or
            `reapi://host:8980/instance`. The default is the machine of the orchestrator. See docs/executors.md.
        executors: Engines that builds may choose with `--executor`: `dask`, `reapi`. The one of `executor` need not be listed.
        log_store: Place of the logs of jobs unless a build says otherwise, such as `s3://bucket/logs` or `/mnt/shared/logs`. The default is
            the state directory. See docs/operating.md.
        storage: Kinds of object stores that builds may use: `abfs` (Azure, also for `az://`), `gs`, `s3`. The one of `log_store` need not be
            listed.
        previews: True for previews of Parquet, CSV and JSON lines in the dashboard. The service then has DuckDB. See docs/dashboard.md.
        notify: URLs that get notifications of builds, unless a build or service has `--notify`. See docs/integrations.md.
        notify_on: Occasions of notifications: `end` of a build, `failure`, `first_failure` after a success, `check` that did not pass, `wait` of a build that makes no progress.
            The default is `failure` and `check`.
        exporters: Exporters of the events of builds, unless a build or service has `--exporter`: `otlp:`, which sends traces, metrics and
            logs to OpenTelemetry if the environment says where, `openlineage:`, which sends runs and datasets to OpenLineage if the
            environment says where, or `bes:grpc://HOST:PORT`, which shows builds in the user interface of a Build Event Service. See
            docs/integrations.md.
        bes_results_url: URL of the user interface of the Build Event Service in `exporters`, to which the id of an invocation is appended. Builds
            print the address of their page first and last, unless they have `--bes_results_url`.
        **kwargs: Common attributes of rules, such as `visibility` and `tags`. `exec_properties` are requirements on machines of engines for
            jobs that do not set them.
    """
    _databuild_graph(
        name = name,
        default_partitions = default_partitions,
        executor = executor,
        executors = executors,
        exporters = exporters,
        bes_results_url = bes_results_url,
        extensions = extension_targets(executor, executors, log_store, storage, previews, exporters),
        jobs = jobs,
        log_store = log_store,
        lookup = lookup,
        max_running_jobs = max_running_jobs,
        notify = notify,
        notify_on = notify_on,
        max_partitions = max_partitions,
        resources = resources,
        storage = storage,
        **kwargs
    )
    for suffix, command in _COMMANDS.items():
        databuild_command(
            name = "{}.{}".format(name, suffix),
            command = command,
            graph = ":" + name,
            **{key: value for key, value in kwargs.items() if key != "cli"}
        )
