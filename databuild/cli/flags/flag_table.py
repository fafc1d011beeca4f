"""Every flag, as data: both parsers, help, completion and the documentation test read this one table."""

from __future__ import annotations

from typing import Any, NamedTuple

from databuild.model import statuses

STRING = "string"
STRINGS = "strings"
BOOL = "bool"
INT = "int"
FLOAT = "float"
ENUM = "enum"


class Flag(NamedTuple):
    """One flag of some commands; a name may stand in several rows, for different commands.

    Attributes:
        name: Its name, with underscores.
        kind: What its value is; STRINGS may be given several times.
        default: Its value where it is not given.
        help: One sentence or two.
        commands: The commands that have it.
        values: What is allowed. ENUM only.
        short: One letter that stands for it.
        value_name: What its value is called in help.
    """

    name: str
    kind: str
    default: Any
    help: str
    commands: tuple[str, ...]
    values: tuple[str, ...] = ()
    short: str = ""
    value_name: str = ""


_READING = ("status", "builds", "partitions", "explain", "events", "logs", "graph", "prune", "check")
_WRITING = ("build", "retry", "cancel", "taint", "serve")
_SINKING = (*_WRITING, "partitions")
_WITH_STATE = (*_READING, *_WRITING, "plan")
_SERVING = ("serve",)
_REMOTE = (*_WRITING[:-1], "plan", "status", "builds", "partitions", "explain", "events", "logs", "prune")
_BUILDING = ("build", "retry")
_PLANNING = ("build", "plan")

FLAGS = (
    Flag("state_dir", STRING, None, "Where the event log and the logs of job runs are kept; by default "
         "`.databuild/<graph>` in the workspace.", _WITH_STATE, value_name="DIR"),
    Flag("event_log", STRING, None, "The event log: `sqlite:PATH`, `memory:` or `postgresql://USER@HOST/DATABASE`; by "
         "default `events.db` in the state directory.", _WITH_STATE, value_name="URI"),
    Flag("server", STRING, None, "The service to ask instead of what is here: `HOST:PORT` of its gRPC, or "
         "`grpcs://HOST:PORT` for TLS; by default what `DATABUILD_SERVER` in the environment says.", _REMOTE,
         value_name="ENDPOINT"),
    Flag("tls_ca", STRING, None, "The root that the certificate of the service has to lead to, in PEM; by default "
         "those that all trust.", _REMOTE, value_name="FILE"),
    Flag("tls_cert", STRING, None, "The certificate to show to the service, in PEM.", _REMOTE, value_name="FILE"),
    Flag("tls_key", STRING, None, "The key of that certificate, in PEM.", _REMOTE, value_name="FILE"),
    Flag("event_sink", STRINGS, (), "Where events are copied to: `stdout:` or `jsonl:PATH`; may be repeated.",
         _SINKING, value_name="URI"),
    Flag("output", ENUM, "text", "The form of the result on standard output.",
         tuple(name for name in _WITH_STATE if name not in {"plan", "graph"}), values=("text", "json")),
    Flag("output", STRING, "text", "`text` or `json` choose the form of the result; anything else is a file that the "
         "plan is written to, as protobuf. (For a file of one of those names, write `./text`.)", ("plan",),
         value_name="text|json|FILE"),
    Flag("jobs", INT, None, "How many job runs may run at once; by default, the number of processors.", _BUILDING,
         short="j"),
    Flag("jobs", INT, None, "How many job runs of one build may run at once where its request does not say; by "
         "default, the number of processors.", _SERVING, short="j"),
    Flag("keep_going", BOOL, False, "Go on with what does not depend on a failure.", _BUILDING, short="k"),
    Flag("stale", ENUM, "rebuild", "What becomes of partitions that are available but stale.", _PLANNING,
         values=("rebuild", "reuse")),
    Flag("force", BOOL, False, "Build what is asked for even if it is fresh.", _PLANNING),
    Flag("plan", STRING, None, "Run exactly the plan of this file, written by `plan --output=FILE`, or stop and list "
         "what has changed since.", ("build",), value_name="FILE"),
    Flag("dry_run", BOOL, False, "Only show the plan, as `plan` does.", ("build",), short="n"),
    Flag("dry_run", BOOL, False, "Only tell what would be pruned; nothing is changed.", ("prune",), short="n"),
    Flag("older_than", STRING, None, "Prune builds that ended longer ago than this: whole numbers with the units w, d, "
         "h, m, s, such as 30d or 12h.", ("prune",), value_name="DURATION"),
    Flag("keep", INT, None, "Prune builds, but never this many of the newest that have ended; together with "
         "`--older_than`, only those that are both.", ("prune",)),
    Flag("logs_older_than", STRING, None, "Remove the job logs of builds that ended longer ago than this; what the "
         "event log knows stays.", ("prune",), value_name="DURATION"),
    Flag("sizes", BOOL, False, "Also count the builds and events there are, and measure the job logs: looks through "
         "all of them.", ("status",)),
    Flag("build_request_id", STRING, None, "The id of the build, where a caller wants to choose it.", _BUILDING,
         value_name="ID"),
    Flag("grace_period", FLOAT, 10.0, "How many seconds job processes get to end by themselves (after TERM) before "
         "they are ended (KILL).", (*_BUILDING, *_SERVING), value_name="SECONDS"),
    Flag("failed_jobs_only", BOOL, False, "Build only what failed jobs should have produced.", ("retry",)),
    Flag("status", ENUM, None, "Only builds of this status.", ("builds",), values=statuses.BUILD.names),
    Flag("status", ENUM, None, "Only partitions of this status.", ("partitions",),
         values=(*statuses.PARTITION.names, statuses.TAINTED)),
    Flag("limit", INT, 20, "How many lines at most.", ("builds",)),
    Flag("limit", INT, 100, "How many lines at most.", ("partitions",)),
    Flag("limit", INT, 20, "How many partitions to list at most; the counts are of all.", ("plan", "build")),
    Flag("before", STRING, None, "Only builds before this one: the last id of the page before.", ("builds",),
         value_name="BUILD"),
    Flag("after", STRING, "", "Only refs after this one: the last ref of the page before.", ("partitions",),
         value_name="REF"),
    Flag("all", BOOL, False, "Print the events of all builds, in the order of the event log.", ("events",)),
    Flag("after", INT, 0, "Only events after this sequence number or, with `--all`, this position.", ("events",),
         value_name="NUMBER"),
    Flag("follow", BOOL, False, "Go on printing until the build ends; with `events --all`, until stopped.",
         ("events", "logs"), short="f"),
    Flag("format", ENUM, "mermaid", "The form of the drawing: text that other programs draw, or a picture.", ("graph",),
         values=("mermaid", "dot", "svg")),
    Flag("reason", STRING, "", "Why the mark is set or taken away; recorded.", ("taint",), value_name="TEXT"),
    Flag("reason", STRING, "", "Why the data is adopted, and where it comes from; recorded, and needed by `adopt`.",
         ("partitions",), value_name="TEXT"),
    Flag("from", STRING, None, "The state directory that `adopt` takes over from: what it knows of partitions, with "
         "versions, metadata and inputs, so that nothing is built again.", ("partitions",), value_name="STATE_DIR"),
    Flag("author", STRING, "", "Who adopts; recorded. By default, the user at the command line. A service "
         "with tokens records the name of the token instead.", ("partitions",),
         value_name="NAME"),
    Flag("force", BOOL, False, "Adopt also what is available already, or claimed by a build; a taint is taken away.",
         ("partitions",)),
    Flag("untaint", BOOL, False, "Take the mark away.", ("taint",)),
    Flag("host", STRING, "127.0.0.1", "The address to listen on.", _SERVING, value_name="ADDRESS"),
    Flag("port", INT, 7420, "The port of HTTP; 0 for any that is free.", _SERVING),
    Flag("grpc_port", INT, 7421, "The port of gRPC; 0 for any that is free.", _SERVING),
    Flag("max_builds", INT, 4, "How many builds run at once; further ones wait for their turn.", _SERVING),
    Flag("token_file", STRING, None, "The file of the tokens that are taken, `NAME read|write TOKEN` on each line; by "
         "default the text of `DATABUILD_TOKENS` in the environment.", _SERVING, value_name="FILE"),
    Flag("tls_cert", STRING, None, "The certificate to serve with, in PEM.", _SERVING, value_name="FILE"),
    Flag("tls_key", STRING, None, "The key of that certificate, in PEM.", _SERVING, value_name="FILE"),
    Flag("tls_client_ca", STRING, None, "The root that certificates of clients have to lead to, in PEM; without it, "
         "clients need none.", _SERVING, value_name="FILE"),
    Flag("insecure_listen", BOOL, False, "Listen beyond loopback although everybody who reaches this machine may then "
         "build, cancel and read everything.", _SERVING),
    Flag("allowed_host", STRINGS, (), "A further name under which the service may be reached over HTTP; may be "
         "repeated.", _SERVING, value_name="NAME"),
    Flag("drain_seconds", FLOAT, 30.0, "How many seconds running builds get to end by themselves when the service is "
         "told to.", _SERVING, value_name="SECONDS"),
    Flag("on_shutdown", ENUM, "cancel", "What becomes of builds that have not ended by then: they are cancelled, or "
         "left for the next to end as dead.", _SERVING, values=("cancel", "leave")),
    Flag("flagfile", STRING, None, "A file of flags, one a line.", _SERVING, value_name="FILE"),
)  # fmt: skip


def least_of(flag: Flag) -> int:
    """Returns the least value of an INT flag: a place to begin after, how many to keep, a port, or a count."""
    return 0 if flag.name in {"after", "keep", "port", "grpc_port"} else 1


def flags_of(command: str) -> tuple[Flag, ...]:
    """Returns the flags of a command, in the order of the table."""
    return tuple(flag for flag in FLAGS if command in flag.commands)
