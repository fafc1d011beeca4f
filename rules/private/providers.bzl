"""What the rules tell each other."""

visibility(["//rules/..."])

DataBuildJobInfo = provider(
    doc = "One job, as its rule declared it.",
    fields = {
        "code_digest": "File: the hash over the binary and all of its runfiles, in hexadecimal.",
        "environment": "dict of string to string: the variables that the program's own `env` sets.",
        "executable": "File: the job's executable.",
        "label": "string: the job's label, such as `//examples:daily_flights`.",
        "outputs": "list of strings: the partition patterns of the refs that it produces.",
        "resources": "dict of string to int: how much of each named resource one job run takes.",
        "retries": "int: how many more times to try after a failed job run.",
        "retry_backoff_seconds": "int: how long to wait before the first retry.",
        "tags": "list of strings: free words for people and filters.",
        "timeout_seconds": "int: how long one job run may take; 0 means as long as it likes.",
    },
)

DataBuildGraphInfo = provider(
    doc = "One graph: its job catalog, and the command line that works on it.",
    fields = {
        "catalog": "File: the job catalog, a `databuild.v1.JobCatalog` as protobuf JSON.",
        "cli": "File: the executable of the command line.",
        "jobs": "list of strings: the labels of the jobs, sorted.",
        "label": "string: the graph's label, such as `//examples:build_graph`.",
        "runfiles": "runfiles: all that the command line and the jobs need.",
    },
)
