"""Every command, as data: parsing, help, completion and the documentation test read this one table."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """One command.

    Attributes:
        name: What it is called.
        usage: What stands after the name on the command line, besides flags.
        summary: One sentence.
        details: What else there is to know.
        example: What follows `bazel run //examples:build_graph --`, to copy.
        aliases: Other names for it.
        quick: Whether it only reads, and so must answer at once.
        hidden: Whether it is for programs, and left out of overviews.
    """

    name: str
    usage: str
    summary: str
    details: str
    example: str
    aliases: tuple[str, ...] = ()
    quick: bool = False
    hidden: bool = False


_BUILD = "BUILD is a build's id, the beginning of one, or `latest`, which is also what no BUILD means."

COMMANDS = (
    Command(
        "build",
        "[PARTITION...]",
        "Builds partitions and whatever they need; the default command.",
        "A PARTITION is a ref or a range of refs. Without any, the graph's default partitions are built. What is "
        "available and fresh is not built again.",
        "build daily_flights/date=2013-01-01..2013-01-07 --jobs=2",
    ),
    Command(
        "plan",
        "[PARTITION...]",
        "Shows what a build would do and why, and changes nothing.",
        "`--output=FILE` writes the plan for `build --plan=FILE`, which runs exactly that.",
        "plan daily_flights/date=2013-01-01 --output=week.plan",
        aliases=("validate",),
    ),
    Command("status", "[BUILD]", "Tells how a build stands.", _BUILD, "status latest", quick=True),
    Command(
        "builds",
        "",
        "Lists builds, newest first.",
        "For the next page, pass the last id of this one as `--before`.",
        "builds --status=FAILED --limit=5",
        quick=True,
    ),
    Command(
        "retry",
        "[BUILD]",
        "Builds again what a build was asked for; what it finished is not repeated.",
        _BUILD,
        "retry latest --failed_jobs_only",
    ),
    Command(
        "cancel",
        "BUILD",
        "Asks a running build to stop; its orchestrator ends its job processes and records the end.",
        _BUILD,
        "cancel latest",
    ),
    Command(
        "partitions",
        "[PREFIX] | adopt REF... | adopt --from=STATE_DIR [PATTERN...]",
        "Lists partitions by ref, with what is known of each, or makes data known that was not built here.",
        "For the next page, pass the last ref of this one as `--after`. `partitions adopt` makes the named partitions, "
        "or ranges of them, available without building them, and records who did so and why: all of them, or none "
        "where one is available already or about to be produced. Builds use them as they are, whatever becomes of the "
        "code of their jobs, until they are forced or tainted. With `--from`, partitions are taken over from another "
        "state directory with what it knows of them, and builds judge them as if they had been built here, which helps "
        "after a graph was renamed. A PATTERN is a ref, a range or a partition pattern; without any, all come along.",
        "partitions daily_flights/ --status=AVAILABLE",
        quick=True,
    ),
    Command(
        "explain",
        "REF",
        "Tells what is known of a partition, what it was made from, and what a build would do with it and why.",
        "",
        "explain daily_flights/date=2013-01-01",
    ),
    Command(
        "events",
        "[BUILD] | --all | diff BUILD BUILD | verify [BUILD...]",
        "Prints the events of a build, or how the events of two builds differ, or checks the event log.",
        f"{_BUILD} `events --all` prints the events of all builds in the order of the event log, each with its "
        "position; with `--follow` it goes on until it is stopped, and `--after=POSITION` resumes. As JSON, each line "
        "is an object with `position` and `event`. `events diff` masks ids, times, durations and the order of what is "
        "concurrent; it exits with 1 where a difference remains. `events verify` reads the whole log, also while "
        "builds run: whether the events keep what they promise, and whether what is known of builds and partitions is "
        "what they add up to. It prints a sentence for each fault (of these builds, where there are any), and exits "
        "with 1 where there is one.",
        "events latest --follow",
    ),
    Command(
        "logs",
        "[BUILD|JOB_RUN]",
        "Prints what job runs wrote to standard output and standard error.",
        f"{_BUILD} A JOB_RUN is an id as `status` and failures print it.",
        "logs latest --follow",
        quick=True,
    ),
    Command(
        "graph",
        "[PARTITION...]",
        "Draws the job graph that produces partitions, as Mermaid or DOT text or as an SVG picture.",
        "Without a PARTITION, that of the graph's default partitions.",
        "graph daily_flights/date=2013-01-01 --format=dot",
    ),
    Command(
        "taint",
        "REF...",
        "Marks partitions as not to be trusted, so that the next build makes them again.",
        "`--untaint` takes the mark away.",
        "taint daily_flights/date=2013-01-01 --reason='the source was wrong'",
    ),
    Command(
        "serve",
        "",
        "Serves the graph over HTTP and gRPC until it is told to stop.",
        "Its builds are those of the command line: the same state directory, the same events. Ctrl-C or SIGTERM gives "
        "running builds `--drain_seconds` to end; a second one does not.",
        "serve --max_builds=2",
    ),
    Command(
        "prune",
        "",
        "Turns builds that have ended into one row each, and removes their events and job logs.",
        "What is known of partitions stays: what data there is, which job run made it and from what, taints and "
        "adoptions. A pruned build keeps its place in `builds` and its summary in `status`. It may run while others "
        "build, and be interrupted: the next one goes on.",
        "prune --older_than=30d --keep=100 --dry_run",
    ),
    Command(
        "check",
        "[REF...]",
        "Checks the graph: patterns, producers, cycles, and that configuring twice gives the same.",
        "This is what databuild_graph_test runs. Without a REF, only the patterns and the producers of the default "
        "partitions are checked.",
        "check daily_flights/date=2013-01-01",
        hidden=True,
    ),
    Command(
        "completion",
        "bash|zsh",
        "Prints a completion script for a shell.",
        "It completes the commands and flags of the launcher that printed it.",
        "completion bash",
    ),
    Command("help", "[COMMAND]", "Explains a command, or lists them all.", "", "help build"),
)

NAMES = {name: command for command in COMMANDS for name in (command.name, *command.aliases)}
