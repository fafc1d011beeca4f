"""All flags, as a table. Both parsers, help, completion and the test of the documentation read it."""

from __future__ import annotations

from typing import Any

from databuild.model import statuses
from databuild.tuples import NamedTuple

STRING = "string"
STRINGS = "strings"
BOOL = "bool"
INT = "int"
FLOAT = "float"
ENUM = "enum"


class Flag(NamedTuple):
    """One flag of some commands. A name may have several rows, for different commands.

    Attributes:
        name: The name, with underscores.
        kind: The type of the value. A flag of the kind STRINGS may be repeated.
        default: The value if the flag is not given.
        help: One or two sentences.
        commands: The commands that have the flag.
        values: The allowed values of a flag of the kind ENUM.
        short: A letter that is short for the name; empty for none.
        value_name: The placeholder of the value in help; empty for the kind.
    """

    name: str
    kind: str
    default: Any
    help: str
    commands: tuple[str, ...]
    values: tuple[str, ...] = ()
    short: str = ""
    value_name: str = ""


# The commands that share a flag.
_READING = (
    "status",
    "builds",
    "partitions",
    "explain",
    "downstream",
    "events",
    "logs",
    "report",
    "reproduce",
    "graph",
    "prune",
    "check",
)
_WRITING = ("build", "retry", "cancel", "taint", "serve")
_WITH_SINKS = (*_WRITING, "partitions")
_WITH_STATE = (*_READING, *_WRITING, "plan", "environments", "export")
_SERVE = ("serve",)
_WITH_SERVER = (
    *_WRITING[:-1],
    "plan",
    "status",
    "builds",
    "partitions",
    "explain",
    "downstream",
    "events",
    "logs",
    "report",
    "reproduce",
    "graph",
    "prune",
    "environments",
)
_WITH_ENVIRONMENT = tuple(name for name in _WITH_STATE if name not in {"check", "environments", "serve"})
_BUILDING = ("build", "retry")
_PLANNING = ("build", "plan")
_EXECUTING = (*_BUILDING, *_SERVE)
_EXPORTING = (*_EXECUTING, "export")

FLAGS = (
    Flag("state_dir", STRING, None, "The folder of the event log and of the job logs. Default: `.databuild/<graph>` in "
         "the workspace.", _WITH_STATE, value_name="DIR"),
    Flag("event_log", STRING, None, "The event log: `sqlite:PATH`, `memory:` or `postgresql://USER@HOST/DATABASE`. "
         "Default: `events.db` in the state directory.", _WITH_STATE, value_name="URI"),
    Flag("environment", STRING, None, "The environment: its builds use what is available and fresh in the base, and "
         "make everything else apart from it. Default: the base.", _WITH_ENVIRONMENT, value_name="NAME"),
    Flag("server", STRING, None, "The service to use: `HOST:PORT` of its gRPC port, or `grpcs://HOST:PORT` for TLS. "
         "Default: `DATABUILD_SERVER` in the environment.", _WITH_SERVER, value_name="ENDPOINT"),
    Flag("tls_ca", STRING, None, "The root certificate for the certificate of the service, in PEM. Default: the public "
         "roots.", _WITH_SERVER, value_name="FILE"),
    Flag("tls_cert", STRING, None, "The client certificate to present to the service, in PEM.", _WITH_SERVER,
         value_name="FILE"),
    Flag("tls_key", STRING, None, "The key of the client certificate, in PEM.", _WITH_SERVER, value_name="FILE"),
    Flag("event_sink", STRINGS, (), "A copy of all events: `stdout:` or `jsonl:PATH`. May be repeated.",
         _WITH_SINKS, value_name="URI"),
    Flag("output", ENUM, "text", "The format of the result on standard output.",
         tuple(name for name in _WITH_STATE if name not in {"plan", "graph", "report"}), values=("text", "json")),
    Flag("output", STRING, "text", "`text` or `json` is the format of the result. Any other value is a file for the "
         "plan, as protobuf; write `./text` for a file of that name.", ("plan",), value_name="text|json|FILE"),
    Flag("jobs", INT, None, "Maximum number of job runs at once. Default: the number of processors, or on an engine as "
         "many as it runs at once.", _BUILDING, short="j"),
    Flag("jobs", INT, None, "Maximum number of job runs at once in one build, unless its request says otherwise. "
         "Default: the number of processors, or on an engine as many as it runs at once.", _SERVE, short="j"),
    Flag("keep_going", BOOL, False, "After a failure, continue with everything that does not depend on it.", _BUILDING,
         short="k"),
    Flag("stale", ENUM, "rebuild", "How to handle stale partitions.", _PLANNING, values=("rebuild", "reuse")),
    Flag("force", BOOL, False, "Build the requested partitions even if they are fresh.", ("build",)),
    Flag("force", BOOL, False, "Plan the requested partitions even if they are fresh.", ("plan",)),
    Flag("downstream", BOOL, False, "Instead of each PARTITION, build every available partition that was made from it, "
         "in any number of steps, as recorded. No job needs to produce the PARTITION.", ("build",)),
    Flag("downstream", BOOL, False, "Instead of each PARTITION, plan every available partition that was made from it, "
         "in any number of steps, as recorded. No job needs to produce the PARTITION.", ("plan",)),
    Flag("downstream", BOOL, False, "Also change every partition that was made from a REF, in any number of steps, as "
         "recorded. No job needs to produce the REF.", ("taint",)),
    Flag("verify", ENUM, "inputs", "The data to look for in its store before it is used; missing data is rebuilt. "
         "`inputs` is the data of other builds that tasks read, `requested` also the requested partitions.", _BUILDING,
         values=("none", "inputs", "requested", "all")),
    Flag("verify", ENUM, "inputs", "The data to look for in its store; missing data is planned to be rebuilt, and "
         "nothing is recorded. Give `build` the same value.", ("plan", "explain"),
         values=("none", "inputs", "requested", "all")),
    Flag("plan", STRING, None, "Run exactly the plan in this file, which `plan --output=FILE` wrote. If anything has "
         "changed since, stop and list the changes.", ("build",), value_name="FILE"),
    Flag("dry_run", BOOL, False, "Only show the plan, as `plan` does.", ("build",), short="n"),
    Flag("dry_run", BOOL, False, "Only list what would be pruned.", ("prune",), short="n"),
    Flag("older_than", STRING, None, "Prune builds that ended longer ago than this. A duration is whole numbers with "
         "the units w, d, h, m, s, such as `30d` or `1h30m`.", ("prune",), value_name="DURATION"),
    Flag("keep", INT, None, "Keep this many of the newest ended builds and prune the others. Together with "
         "`--older_than`, only builds are pruned to which both apply.", ("prune",)),
    Flag("logs_older_than", STRING, None, "Remove the job logs of builds that ended longer ago than this. The event "
         "log does not change.", ("prune",), value_name="DURATION"),
    Flag("sizes", BOOL, False, "Also count all builds and events and measure the job logs. This reads all of them.",
         ("status",)),
    Flag("executor", STRING, None, "The executor of the jobs: `local`, or the address of an engine: "
         "`reapi://HOST:PORT/INSTANCE`, `reapis://...`, `dask://HOST:PORT` or `dask+tls://...`. Default: that of the "
         "graph.", _EXECUTING, value_name="URI"),
    Flag("remote_header", STRINGS, (), "A header for all requests to the engine. May be repeated.", _EXECUTING,
         value_name="NAME=VALUE"),
    Flag("credential_helper", STRING, None, "A program that prints headers for requests to the engine, and to a Build "
         "Event Service, by the protocol of Bazel's flag of that name.", _EXPORTING, value_name="FILE"),
    Flag("tls_certificate", STRING, None, "The root certificate for their certificates, in PEM. Default: the public "
         "roots.", _EXPORTING, value_name="FILE"),
    Flag("tls_client_certificate", STRING, None, "The client certificate to present to them, in PEM.", _EXPORTING,
         value_name="FILE"),
    Flag("tls_client_key", STRING, None, "The key of that certificate, in PEM.", _EXPORTING, value_name="FILE"),
    Flag("notify", STRINGS, (), "A URL that gets notifications of builds and failed checks as CloudEvents. May be "
         "repeated. Default: those of the graph.", _EXPORTING, value_name="URL"),
    Flag("notify_on", STRINGS, (), "An occasion of notifications: `end` of a build, `failure`, `first_failure` after a "
         "success, `check` that did not pass, or `wait` of a build that makes no progress. May be repeated. Default: "
         "those of the graph, else `failure` and `check`.", _EXPORTING, value_name="OCCASION"),
    Flag("notify_template", STRING, None, "A JSON file that makes the bodies of notifications, with `${name}` for "
         "facts.", _EXPORTING, value_name="FILE"),
    Flag("notify_wait_seconds", FLOAT, 600.0, "The time without progress, and without a running job, after which "
         "`--notify_on=wait` notifies of a build.", _EXPORTING, value_name="SECONDS"),
    Flag("exporter", STRINGS, (), "An exporter of events: `otlp:` for OpenTelemetry, which the standard `OTEL_*` "
         "variables configure, `openlineage:` for OpenLineage, which the standard `OPENLINEAGE_*` variables configure, "
         "or `bes:grpc://HOST:PORT` for a Build Event Service, `bes:grpcs://` with TLS. May be repeated. Default: "
         "those of the graph that have an address.", _EXPORTING, value_name="URI"),
    Flag("bes_header", STRINGS, (), "A header for all requests to a Build Event Service. May be repeated.", _EXPORTING,
         value_name="NAME=VALUE"),
    Flag("bes_results_url", STRING, None, "The beginning of the addresses of builds in the user interface of the Build "
         "Event Service. The address of the build is printed first and last. Default: that of the graph.", _BUILDING,
         value_name="URL"),
    Flag("exporter_seconds", FLOAT, 10.0, "The time after a build, or at the end of a service, to send what is left of "
         "events and notifications. The next build or service sends the rest.", _EXECUTING, value_name="SECONDS"),
    Flag("exporter_seconds", FLOAT, 10.0, "The time without progress after which it gives up.", ("export",),
         value_name="SECONDS"),
    Flag("exporter_failure", ENUM, "warn", "How to handle events and notifications that could not be sent in time, or "
         "that were refused: warn, or end with exit code 3.", _BUILDING, values=("warn", "fail")),
    Flag("since", STRING, None, "Send again from there: a build, a time such as `2013-01-01T08:00:00Z`, or a duration "
         "such as `2h`. Default: send what was not sent yet.", ("export",), value_name="TIME|BUILD"),
    Flag("log_store", STRING, None, "The place of the logs of jobs: a folder that machines share, or "
         "`s3://BUCKET/PATH`, `gs://...` or `az://...`. Default: that of the graph, else the state directory.",
         _EXECUTING, value_name="URI"),
    Flag("log_store", STRING, None, "Also prune the logs in this place, where builds of this event log put them. "
         "Default: that of the graph.", ("prune",), value_name="URI"),
    Flag("build_request_id", STRING, None, "The id of the new build. Default: a new id, which begins with the time.",
         _BUILDING, value_name="ID"),
    Flag("grace_period", FLOAT, 10.0, "The time between SIGTERM and SIGKILL for job processes that have to stop.",
         (*_BUILDING, *_SERVE), value_name="SECONDS"),
    Flag("worker_idle_seconds", FLOAT, 60.0, "The time after which an idle worker process of a job ends.", _SERVE,
         value_name="SECONDS"),
    Flag("failed_jobs_only", BOOL, False, "Request only the partitions that failed jobs should have produced.",
         ("retry",)),
    Flag("status", ENUM, None, "Only builds with this status.", ("builds",), values=statuses.BUILD.names),
    Flag("status", ENUM, None, "Only partitions with this status.", ("partitions",),
         values=(*statuses.PARTITION.names, statuses.TAINTED)),
    Flag("limit", INT, 20, "Maximum number of lines.", ("builds",)),
    Flag("limit", INT, 100, "Maximum number of lines.", ("partitions",)),
    Flag("limit", INT, 1000, "Maximum number of partitions in each section; a service lists at most 1,000 declared "
         "ones.", ("downstream",)),
    Flag("direct", BOOL, False, "Only partitions of one step.", ("downstream",)),
    Flag("limit", INT, 20, "Maximum number of partitions to list; counts include all.", ("plan", "build")),
    Flag("before", STRING, None, "Only builds before this one.", ("builds",), value_name="BUILD"),
    Flag("after", STRING, "", "Only refs after this one.", ("partitions",), value_name="REF"),
    Flag("all", BOOL, False, "Print the events of all builds, in the order of the event log.", ("events",)),
    Flag("after", INT, 0, "Only events after this sequence number or, with `--all`, after this position.", ("events",),
         value_name="NUMBER"),
    Flag("follow", BOOL, False, "Continue until the build ends; with `events --all`, until interrupted.",
         ("events", "logs"), short="f"),
    Flag("format", ENUM, "mermaid", "The format: text for Mermaid or Graphviz, or an SVG picture.", ("graph",),
         values=("mermaid", "dot", "svg")),
    Flag("format", ENUM, "markdown", "The format of the report.", ("report",),
         values=("markdown", "junit", "html", "json")),
    Flag("report", STRINGS, (), "Write a report to this file when the build has ended, however it ended: `.md`, "
         "`.html`, `.json` or `.xml` for JUnit. May be repeated.", _BUILDING, value_name="FILE"),
    Flag("junit_xml", STRING, None, "Write a report as JUnit's XML to this file when the build has ended.", _BUILDING,
         value_name="FILE"),
    Flag("run", BOOL, False, "Also run it again in a scratch folder, and compare exit code and content. Works on this "
         "machine only, and records nothing.", ("reproduce",)),
    Flag("scratch_dir", STRING, None, "The scratch folder, which must be empty or not exist. It is kept. Default: a "
         "new one among the temporary files.", ("reproduce",), value_name="DIR"),
    Flag("reason", STRING, "", "Why the taint is set or removed. Recorded.", ("taint",), value_name="TEXT"),
    Flag("reason", STRING, "", "Why the data is adopted, and where it comes from, or why it is removed. Recorded, and "
         "required by `adopt REF...`, `forget` and `delete`.", ("partitions",), value_name="TEXT"),
    Flag("from", STRING, None, "The state directory to adopt from, with versions, metadata and inputs, so that nothing "
         "is built again.", ("partitions",), value_name="STATE_DIR"),
    Flag("author", STRING, "", "The person who adopts or removes. Recorded. Default: the user at the command line. A "
         "service with tokens records the name of the token instead.", ("partitions",), value_name="NAME"),
    Flag("force", BOOL, False, "For `adopt`: also partitions that are available or claimed by a build; removes their "
         "taints. For `delete`: also data whose version in its store is not the recorded one, or is not recorded.",
         ("partitions",)),
    Flag("content", BOOL, False, "For `verify`: compare the content of data whose version is a digest that "
         "`databuild.job` has computed.", ("partitions",)),
    Flag("changed", ENUM, "report", "For `verify`: how to handle changed data. `rebuild` taints it, and `adopt` uses "
         "it as it is now.", ("partitions",), values=("report", "rebuild", "adopt")),
    Flag("confirm_losses", BOOL, False, "For `verify`: record data as missing although a whole folder with many "
         "partitions is gone, as if its disk were not mounted, or a job finds none of its partitions.",
         ("partitions",)),
    Flag("reason", STRING, "", "For `promote`: why the data is promoted. Recorded.", ("environments",),
         value_name="TEXT"),
    Flag("author", STRING, "", "For `promote`: the person who promotes. Recorded. Default: the user at the command "
         "line.", ("environments",), value_name="NAME"),
    Flag("delete_data", BOOL, False, "For `remove`: also delete the files that were made in the environment, except "
         "those that the base or another environment uses.", ("environments",)),
    Flag("dry_run", BOOL, False, "For `verify`: record nothing. For `delete` and `clean`: only list what would be "
         "deleted.", ("partitions",), short="n"),
    Flag("yes", BOOL, False, "For `delete`: do not ask.", ("partitions",), short="y"),
    Flag("delete_inputs", BOOL, False, "For `clean`: also delete data from which available partitions were made.",
         ("partitions",)),
    Flag("untaint", BOOL, False, "Remove the taint.", ("taint",)),
    Flag("host", STRING, "127.0.0.1", "The address to listen on.", _SERVE, value_name="ADDRESS"),
    Flag("port", INT, 7420, "The HTTP port; 0 for any free port.", _SERVE),
    Flag("grpc_port", INT, 7421, "The gRPC port; 0 for any free port.", _SERVE),
    Flag("max_builds", INT, 4, "Maximum number of builds at once; further builds wait in a queue.", _SERVE),
    Flag("token_file", STRING, None, "The file of accepted tokens, one `NAME read|write TOKEN` per line. Default: the "
         "text of `DATABUILD_TOKENS` in the environment.", _SERVE, value_name="FILE"),
    Flag("tls_cert", STRING, None, "The certificate of the service, in PEM.", _SERVE, value_name="FILE"),
    Flag("tls_key", STRING, None, "The key of that certificate, in PEM.", _SERVE, value_name="FILE"),
    Flag("tls_client_ca", STRING, None, "The root certificate for client certificates, in PEM. Without it, clients "
         "need no certificate.", _SERVE, value_name="FILE"),
    Flag("insecure_listen", BOOL, False, "Listen beyond loopback without tokens or client certificates. Everybody who "
         "reaches the machine may then build, cancel and read everything.", _SERVE),
    Flag("allowed_host", STRINGS, (), "A further host name under which the service may be reached over HTTP. May be "
         "repeated.", _SERVE, value_name="NAME"),
    Flag("previews", BOOL, True, "Show the first rows of data, texts and pictures at the locations that jobs reported. "
         "`--nopreviews` shows none.", _SERVE),
    Flag("drain_seconds", FLOAT, 30.0, "The time that running builds get to end when the service stops.", _SERVE,
         value_name="SECONDS"),
    Flag("on_shutdown", ENUM, "cancel", "How to handle builds that have not ended by then: cancel them, or leave them "
         "for the next service or build to end as dead.", _SERVE, values=("cancel", "leave")),
    Flag("flagfile", STRING, None, "A file of flags, one per line.", _SERVE, value_name="FILE"),
)  # fmt: skip


def min_value(flag: Flag) -> int:
    """Returns the minimum value of a flag of the kind INT."""
    return 0 if flag.name in {"after", "keep", "port", "grpc_port"} else 1


def max_value(flag: Flag) -> int:
    """Returns the maximum value of a flag of the kind INT, which event logs and messages can hold."""
    return {"port": 65_535, "grpc_port": 65_535, "after": 2**63 - 1}.get(flag.name, 2**31 - 1)


def flags_of(command: str) -> tuple[Flag, ...]:
    """Returns the flags of a command, in the order of the table."""
    return tuple(flag for flag in FLAGS if command in flag.commands)
