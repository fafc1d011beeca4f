"""Providers of jobs and graphs."""

visibility(["//rules/..."])

DataBuildJobInfo = provider(
    doc = "A job.",
    fields = {
        "check": "bool: True if the program has the sub-command `check`.",
        "code_digest": "File: the code digest, a hash of the binary and all of its runfiles, in hexadecimal.",
        "code_files": "File: list of the runfiles of the program.",
        "declaration": "struct with `inputs`, `optional_inputs`, `query_inputs` and `args` (lists of templates), `env` and `bounds` " +
                       "(dicts of string to string), `batch_size` and `batch_by`; None for a job that has `config`.",
        "environment": "dict of string to string: environment variables of the program's `env`.",
        "exec_properties": "dict of string to string: requirements on machines of engines, in their words.",
        "executable": "File: executable of the job.",
        "executor": "string: `local` for a job that always runs on the machine of the orchestrator; else empty.",
        "history": "int: number of earlier partitions whose numbers the description of a task has.",
        "infrastructure_retries": "int: maximum number of retries after an engine lost a job run.",
        "label": "string: label of the job, such as `//examples:daily_flights`.",
        "outputs": "list of strings: partition patterns of the refs that the job produces.",
        "resources": "dict of string to int: amount of each named resource that one job run uses.",
        "retention_seconds": "int: age in seconds at which data is deleted; 0 means never.",
        "retries": "int: maximum number of retries after a failed job run.",
        "retry_backoff_seconds": "int: delay before the first retry in seconds.",
        "tags": "list of strings: tags, for people and filters.",
        "timeout_seconds": "int: maximum duration of one job run in seconds; 0 means no limit.",
        "worker": "struct with `max_requests` and `max_memory_bytes` (ints; 0 means no limit); None if each job run is a process.",
    },
)

DataBuildGraphInfo = provider(
    doc = "A graph with its job catalog and its command line.",
    fields = {
        "catalog": "File: job catalog, a `databuild.v1.JobCatalog` as protobuf JSON.",
        "cli": "File: executable of the command line.",
        "jobs": "list of strings: labels of the jobs, sorted.",
        "label": "string: label of the graph, such as `//examples:build_graph`.",
        "runfiles": "runfiles: files that the command line and the jobs need.",
    },
)
