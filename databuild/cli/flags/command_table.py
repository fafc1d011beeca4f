"""All commands, as a table. Parsing, help, completion and the test of the documentation read it."""

from __future__ import annotations

from databuild.tuples import NamedTuple


class Form(NamedTuple):
    """One form of a command that has several.

    Attributes:
        usage: The arguments.
        text: The effect of the form, in sentences that begin with a verb.
    """

    usage: str
    text: str


class Command(NamedTuple):
    """One command.

    Attributes:
        name: The name, which is also that of its module in `databuild/cli/commands`.
        usage: The arguments, as the line of usage shows them; empty if there are several forms.
        summary: One sentence.
        details: Further sentences, about all forms; empty for none.
        example: An example, to put after `bazel run //examples:build_graph --`.
        aliases: Other names.
        hidden: True if the overview of commands leaves it out.
        forms: The forms; empty if there is only one.
    """

    name: str
    usage: str
    summary: str
    details: str
    example: str
    aliases: tuple[str, ...] = ()
    hidden: bool = False
    forms: tuple[Form, ...] = ()


DEFAULT_COMMAND = "build"

_BUILD = "A BUILD is the id of a build, the beginning of an id, or `latest`, which is the default."

COMMANDS = (
    Command(
        "build",
        "[PARTITION...]",
        "Builds partitions and everything that they need; the default command.",
        "A PARTITION is a ref or a range of refs. Without one, the default partitions of the graph are built. "
        "Partitions that are available and fresh are not built again.",
        "build daily_flights/date=2013-01-01..2013-01-07 --jobs=2",
    ),
    Command(
        "plan",
        "[PARTITION...]",
        "Shows what a build would run and why, and changes nothing.",
        "`--output=FILE` writes the plan to a file, and `build --plan=FILE` runs exactly that plan.",
        "plan daily_flights/date=2013-01-01 --output=week.plan",
        aliases=("validate",),
    ),
    Command("status", "[BUILD]", "Shows the state of a build.", _BUILD, "status latest"),
    Command(
        "builds",
        "",
        "Lists builds, newest first.",
        "For the next page, pass the last id of this page as `--before`.",
        "builds --status=FAILED --limit=5",
    ),
    Command(
        "retry",
        "[BUILD]",
        "Requests the partitions of an earlier build again.",
        f"Partitions that it finished are not built again. {_BUILD}",
        "retry latest --failed_jobs_only",
    ),
    Command(
        "cancel",
        "BUILD",
        "Asks a running build to stop.",
        "Its orchestrator stops the job processes and records the end. A BUILD is the id of a build, "
        "the beginning of an id, or `latest`.",
        "cancel latest",
    ),
    Command(
        "partitions",
        "",
        "Lists partitions by ref with the record of each, adopts, verifies, forgets or deletes their data.",
        "A PATTERN is a ref, a range or a partition pattern.",
        "partitions daily_flights/ --status=AVAILABLE",
        forms=(
            Form(
                "[PREFIX]",
                "Lists partitions with their records. For the next page, pass the last ref of this page as `--after`.",
            ),
            Form(
                "adopt REF...",
                "Makes partitions available without building them, and records who did so and why: all of them, or "
                "none if one is available or claimed by a build. Builds use them as they are, even if the code of "
                "their jobs changes, until they are tainted or a build is forced.",
            ),
            Form(
                "adopt --from=STATE_DIR [PATTERN...]",
                "Copies the records of partitions from another state directory, for example after a graph was renamed. "
                "Builds treat them as if they had been built here. Without a PATTERN, copies all.",
            ),
            Form(
                "verify [PATTERN...]",
                "Checks whether data is at the place that its job reported, with the size and version that are "
                "recorded. Records what is missing, so that the next build rebuilds it. Exits with 1 if something "
                "is missing, changed or cannot be read. After an interruption, `--after` continues. Without a PATTERN, "
                "looks at all data.",
            ),
            Form(
                "forget PATTERN...",
                "Is the inverse of `adopt`: the data stays in its store, and the next build rebuilds it.",
            ),
            Form(
                "delete PATTERN...",
                "Lists the data, asks, and deletes it in its store. Refuses what a build reads or makes, other data "
                "than the recorded one, and places that other partitions use. What was made from it stays fresh.",
            ),
            Form(
                "clean",
                "Deletes data that is older than the `retention` of its job, and what killed job runs left behind.",
            ),
        ),
    ),
    Command(
        "explain",
        "REF",
        "Shows the record of a partition, its inputs, and what a build would do with it and why.",
        "",
        "explain daily_flights/date=2013-01-01",
    ),
    Command(
        "downstream",
        "REF...",
        "Lists the partitions that were made from others, and those that a build would make from them.",
        "A REF is a ref or a range of refs. No job needs to produce it. Recorded are partitions whose current data was "
        "made from a REF, directly or in several steps, each once, nearest first, with the input of the last step. "
        "Declared are the outputs of declared jobs that read a REF or, in further steps, what is made from it, whether "
        "they exist or not: as ranges, and with fields in braces that may have any value. With `--direct`, both are "
        "those of one step, and a recorded partition is listed once for each REF that it was made from. Nothing is "
        "planned, so jobs with `config` are only known as recorded.",
        "downstream daily_flights/date=2013-01-01",
    ),
    Command(
        "events",
        "",
        "Prints the events of a build, compares the events of two builds, or checks the event log.",
        _BUILD,
        "events latest --follow",
        forms=(
            Form("[BUILD]", "Prints the events of a build. With `--follow`, continues until the build has ended."),
            Form(
                "--all",
                "Prints the events of all builds in the order of the event log, each with its position. "
                "`--after=POSITION` resumes. With `--follow`, continues until it is interrupted. As JSON, each line is "
                "an object with `position` and `event`.",
            ),
            Form(
                "diff BUILD BUILD",
                "Compares two builds, and masks ids, times, durations and the order of concurrent events. Exits with 1 "
                "if a difference remains.",
            ),
            Form(
                "verify [BUILD...]",
                "Reads the whole event log, also while builds run, and checks that the events keep the lifecycle, and "
                "that the records of builds and partitions are what the events add up to. Prints one sentence for each "
                "fault, only of the given BUILDs if there are any, and exits with 1 if there is a fault.",
            ),
        ),
    ),
    Command(
        "logs",
        "[BUILD|JOB_RUN]",
        "Prints the standard output and standard error of job runs.",
        f"{_BUILD} A JOB_RUN is the id of a job run, as `explain` and failures print it.",
        "logs latest --follow",
    ),
    Command(
        "report",
        "[BUILD]",
        "Prints a report about a build: its tasks, failures with the ends of their logs, checks and times.",
        f"{_BUILD} `--format=junit` prints JUnit's XML with tasks and checks as test cases, and `--format=html` one "
        "HTML file with the job graph and the timeline. `build` and `retry` write reports with `--report` and "
        "`--junit_xml`.",
        "report latest --format=html > report.html",
    ),
    Command(
        "reproduce",
        "JOB_RUN",
        "Shows what is needed to run a job run again, or runs it again and compares the result.",
        "A JOB_RUN is the id of a job run, as `explain` and failures print it. It prints the commit, the code digest, "
        "the arguments, the names of variables, inputs and outputs with their versions and places, and the machine. "
        "With `--run`, the job runs once more in a scratch folder that has the recorded inputs, and its exit code and "
        "the contents of its outputs are compared. It exits with 1 if they differ. It refuses with 2 if the program of "
        "the job or an input is not the recorded one. What is written by relative paths, below the workspace or by "
        "`databuild.job` goes to the scratch folder. A program that writes elsewhere by itself replaces what is "
        "there.",
        "reproduce 20261123T095142Z-7k3f9q.12.1 --run",
    ),
    Command(
        "export",
        "",
        "Sends the events of builds that exporters have not sent yet, or sends them again.",
        "The exporters are those of `--exporter` and `--notify`, else those of the graph. An exporter that is used for "
        "the first time begins at the end of the event log. With `--since`, it begins with the first event of a build, "
        "or with the events since a time. It exits with 3 if not everything was sent or taken.",
        "export --exporter=otlp: --since=2h",
    ),
    Command(
        "graph",
        "[PARTITION...]",
        "Draws the whole graph, or the job graph that produces partitions, as Mermaid, DOT or SVG.",
        "Without a PARTITION, it draws all jobs with their patterns, their declared inputs with the expressions that "
        "map partitions to inputs, and the inputs that no job produces. With PARTITIONS, it draws the tasks of a build "
        "that finds no partition available.",
        "graph daily_flights/date=2013-01-01 --format=dot",
    ),
    Command(
        "taint",
        "REF...",
        "Marks partitions as tainted, so that the next build rebuilds them.",
        "`--untaint` removes the taint.",
        "taint daily_flights/date=2013-01-01 --reason='the source was wrong'",
    ),
    Command(
        "serve",
        "",
        "Serves the graph over HTTP and gRPC until it is stopped.",
        "Its builds are those of the command line: the same state directory, the same events. After Ctrl-C or SIGTERM, "
        "running builds have `--drain_seconds` to end. A second signal ends the service without waiting.",
        "serve --max_builds=2",
    ),
    Command(
        "environments",
        "",
        "Lists environments, compares one with the base, makes its data that of the base, or removes it.",
        "A build with `--environment=NAME` makes an environment.",
        "environments diff pr-12",
        forms=(
            Form("[list]", "Lists the environments."),
            Form(
                "diff NAME [REF...]",
                "Compares metadata, metrics, checks and content digests of each partition that the environment has "
                "built with those of the base.",
            ),
            Form(
                "promote NAME [REF...]",
                "Makes partitions available in the base without building them again. They must have been made by the "
                "code of this command, from inputs that the base has too. With REFs, promotes all of them or none; "
                "without, all that can be promoted, and lists the others.",
            ),
            Form(
                "remove NAME",
                "Removes the records and job logs of an environment and, with `--delete_data`, the files that it made "
                "and that nobody else uses.",
            ),
        ),
    ),
    Command(
        "prune",
        "",
        "Replaces each ended build by one row, and removes its events and job logs.",
        "The records of partitions stay: the data that exists, the job runs that made it, its inputs, taints and "
        "adoptions. `builds` still lists a pruned build, and `status` shows its summary. Pruning may run while builds "
        "run. If it is interrupted, the next pruning continues.",
        "prune --older_than=30d --keep=100 --dry_run",
    ),
    Command(
        "check",
        "[REF...]",
        "Checks the graph: patterns, producers, cycles, and that `config` gives the same answer twice.",
        "`databuild_graph_test` runs it. Without a REF, only the patterns, the producers of the default partitions and "
        "declared jobs are checked.",
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
    Command("help", "[COMMAND]", "Explains a command, or lists all commands.", "", "help build"),
)

COMMANDS_BY_NAME = {name: command for command in COMMANDS for name in (command.name, *command.aliases)}
