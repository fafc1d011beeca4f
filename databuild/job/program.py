"""The command line of a job: `config`, `exec`, `check` and `worker`, or the arguments of a declared job."""

import os
import sys

from databuild.job.answers import Config, ConfigError, ask, to_json
from databuild.job.run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import NoReturn

    from databuild.job.found import Found

    ConfigFunction = Callable[[Sequence[str]], Iterable[Config]]
    RunFunction = Callable[[Run], None]
    CheckFunction = Callable[[Sequence[str]], Iterable[str] | Mapping[str, Found | Exception | None]]

_FAILED = 1
_MISUSED = 2
_VERSION_VARIABLE = "DATABUILD_WORKER"

_HELP = """\
{name}: a job of a DataBuild graph. The graph runs it; to run it by hand:

  {name} config REF...   prints, as JSON, how to produce partitions: inputs, arguments and environment
  {name} exec ARGS...    does the work, with the arguments and the environment that config has printed
  {name} worker          serves many such requests on descriptors 3 and 4; started by the graph alone

For example, to print the configuration of one partition, and then to produce it:

  {name} config daily/date=2013-01-01
  {name} exec ARGS...
"""

_HELP_OF_CHECK = """
To see which partitions exist:

  {name} check REF...
"""

_HELP_OF_DECLARED = """\
{name}: a job of a DataBuild graph, which declares its inputs and arguments in its BUILD file. The graph runs it with
these arguments; run by hand, it does not know its outputs and inputs:

  {name} ARGS...
"""


def main(
    config: "ConfigFunction | RunFunction | None" = None,
    run: "RunFunction | None" = None,
    argv: "Sequence[str] | None" = None,
    *,
    check: "CheckFunction | None" = None,
) -> "NoReturn":
    """Runs the program of a job, and exits.

    `main(run)` is the program of a job that declares its inputs in its BUILD file. It has no sub-commands: all words of
    its command line are arguments of the run.

    Args:
        config: Returns or yields one or more Config for the given refs; each ref must be an output of exactly one.
        run: Does the work of one Config. It returns when every output is complete, and raises if it fails. To fail with
            a message and no traceback, `raise SystemExit("message")`.
        argv: The command line, beginning with the program's name; None for that of the process.
        check: Returns or yields those of the given refs whose data exists, or a mapping from them to Found; an
            exception as a value says that the data cannot be read. For a job with `check = True`.

    Raises:
        TypeError: There is no function to run.
    """
    if run is None:
        config, run = None, config
    if run is None:
        raise TypeError("main needs a function that does the work: main(run) or main(config, run)")
    name, *words = sys.argv if argv is None else argv
    name = os.path.basename(name)  # noqa: PTH119 - pathlib is slow to import
    if config is None:
        _run_declared(run, check, words, name)
    _run_command(config, run, check, words, name)  # type: ignore[arg-type]


def _run_declared(run: "RunFunction", check: "CheckFunction | None", words: "Sequence[str]", name: str) -> "NoReturn":
    # In a build, each word is an argument of the run, also `check` and one that asks a person's program for help.
    in_build = bool(os.environ.get("DATABUILD_JOB_RUN_ID"))
    if check is not None and words[:1] == ["check"] and not in_build:
        sys.exit(_check(check, words[1:], name))
    if list(words) == ["worker"] and _VERSION_VARIABLE in os.environ:
        _serve(None, run)
    if not in_build and list(words) in (["--help"], ["-h"]):
        sys.stdout.write(_help(_HELP_OF_DECLARED, check, name))
        sys.exit(0)
    sys.exit(execute(run, Run(words, os.environ), f"{name}: the run failed"))


def _run_command(
    config: "ConfigFunction", run: "RunFunction", check: "CheckFunction | None", words: "Sequence[str]", name: str
) -> "NoReturn":
    command = words[0] if words else ""
    if command == "config":
        sys.exit(_configure(config, words[1:], name))
    if command == "exec":
        hint = "" if words[1:] else "; exec has no arguments, and config prints those that it needs"
        sys.exit(execute(run, Run(words[1:], os.environ), f"{name}: exec failed{hint}"))
    if command == "check" and check is not None:
        sys.exit(_check(check, words[1:], name))
    if command == "worker" and len(words) == 1:
        if _VERSION_VARIABLE not in os.environ:
            sys.stderr.write(f"{name}: a worker is started by a graph, for a job with worker = True\n")
            sys.exit(_MISUSED)
        _serve(config, run)
    if command in {"--help", "-h", "help"}:
        sys.stdout.write(_help(_HELP, check, name))
        sys.exit(0)
    if words:
        commands = "config, exec and worker" if check is None else "config, exec, check and worker"
        sys.stderr.write(f"{name}: {' '.join(words)!r} is not a command; the commands are {commands}\n\n")
    sys.stderr.write(_help(_HELP, check, name))
    sys.exit(_MISUSED)


def _help(text: str, check: "CheckFunction | None", name: str) -> str:
    return (text if check is None else text + _HELP_OF_CHECK).format(name=name)


def _serve(config: "ConfigFunction | None", run: "RunFunction") -> "NoReturn":
    del os.environ[_VERSION_VARIABLE]  # a program that the job starts is no worker
    from databuild.job.worker import serve

    sys.exit(serve(config, run))


def execute(run: "RunFunction", arguments: Run, heading: str) -> int:
    """Calls the run function and returns the exit code. An exception is printed to stderr, below a heading."""
    try:
        run(arguments)
    except Exception as error:
        from databuild.job.failures import print_failure

        print_failure(heading, error)
        return _FAILED
    return 0


def _configure(config: "ConfigFunction", refs: "Sequence[str]", name: str) -> int:
    return _print_answer("config", lambda: to_json(ask(config, refs)), refs, name)


def _check(check: "CheckFunction", refs: "Sequence[str]", name: str) -> int:
    from databuild.job import found

    return _print_answer("check", lambda: found.to_json(found.ask(check, refs)), refs, name)


def _print_answer(command: str, ask: "Callable[[], str]", refs: "Sequence[str]", name: str) -> int:
    if not refs:
        sys.stderr.write(f"{name}: {command} needs the refs of one or more partitions: {name} {command} REF...\n")
        return _MISUSED
    # The answer is on stdout, so prints of the function go to stderr.
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        answer = ask()
    except ConfigError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return _FAILED
    except Exception as error:
        from databuild.job.failures import print_failure

        more = f" and {len(refs) - 1} more" if len(refs) > 1 else ""
        print_failure(f"{name}: {command} failed for {refs[0]!r}{more}", error)
        return _FAILED
    finally:
        sys.stdout = stdout
    stdout.write(answer + "\n")
    return 0
