"""The command line of a job: `config`, `exec` and `worker`."""

import os
import sys

from databuild.job.answers import Config, ConfigError, ask, to_json
from databuild.job.run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import NoReturn

    ConfigFunction = Callable[[Sequence[str]], Iterable[Config]]
    RunFunction = Callable[[Run], None]

_FAILED = 1
_MISUSED = 2

_HELP = """\
{name}: a job of a DataBuild graph. The graph runs it; to run it by hand:

  {name} config REF...   prints, as JSON, how to produce partitions: inputs, arguments and environment
  {name} exec ARGS...    does the work, with the arguments and the environment that config has printed
  {name} worker          serves many such requests on stdin and stdout, as length-delimited protobuf messages;
                         DataBuild does not run it yet

For example, to print the configuration of one partition, and then to produce it:

  {name} config daily/date=2013-01-01
  {name} exec ARGS...
"""


def main(config: "ConfigFunction", run: "RunFunction", argv: "Sequence[str] | None" = None) -> "NoReturn":
    """Runs the program of a job, and exits.

    Args:
        config: Returns or yields one or more Config for the given refs; each ref must be an output of exactly one.
        run: Does the work of one Config. It returns when every output is complete, and raises if it fails. To fail with
            a message and no traceback, `raise SystemExit("message")`.
        argv: The command line, beginning with the program's name; None for that of the process.
    """
    name, *words = sys.argv if argv is None else argv
    name = os.path.basename(name)  # noqa: PTH119 - pathlib is slow to import
    command = words[0] if words else ""
    if command == "config":
        sys.exit(_configure(config, words[1:], name))
    if command == "exec":
        sys.exit(execute(run, Run(words[1:], os.environ), name))
    if command == "worker" and len(words) == 1:
        from databuild.job.worker import serve

        sys.exit(serve(config, run))
    if command in {"--help", "-h", "help"}:
        sys.stdout.write(_HELP.format(name=name))
        sys.exit(0)
    if words:
        sys.stderr.write(f"{name}: {' '.join(words)!r} is not a command; the commands are config, exec and worker\n\n")
    sys.stderr.write(_HELP.format(name=name))
    sys.exit(_MISUSED)


def execute(run: "RunFunction", arguments: Run, name: str) -> int:
    """Calls the run function and returns the exit code. An exception is printed to stderr."""
    try:
        run(arguments)
    except Exception as error:
        from databuild.job.failures import print_failure

        hint = "" if arguments.args else "; exec has no arguments, and config prints those that it needs"
        print_failure(f"{name}: exec failed{hint}", error)
        return _FAILED
    return 0


def _configure(config: "ConfigFunction", refs: "Sequence[str]", name: str) -> int:
    if not refs:
        sys.stderr.write(f"{name}: config needs the refs of one or more partitions: {name} config REF...\n")
        return _MISUSED
    # The answer is on stdout, so prints of the config function go to stderr.
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        answer = to_json(ask(config, refs))
    except ConfigError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return _FAILED
    except Exception as error:
        from databuild.job.failures import print_failure

        more = f" and {len(refs) - 1} more" if len(refs) > 1 else ""
        print_failure(f"{name}: config failed for {refs[0]!r}{more}", error)
        return _FAILED
    finally:
        sys.stdout = stdout
    stdout.write(answer + "\n")
    return 0
