"""The command line: `main --catalog=FILE --runfiles=FOLDER [COMMAND] [flags] [PARTITION...]`.

The launcher that Bazel writes for a graph passes the first two, and `--user_env=NAME=VALUE` for variables that the
launcher itself changes. Simple command lines are parsed without absl, to start fast. Errors end here, as one line on
standard error and an exit code.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databuild.cli.backend.invocation import Invocation, working_directory
from databuild.cli.display.output import Output
from databuild.cli.flags.exit_codes import OUR_FAILURE, exit_code_of
from databuild.cli.flags.quick_parse import parse_quickly
from databuild.errors import DataBuildError, InvalidRequestError

if TYPE_CHECKING:
    from databuild.cli.backend.backend import Backend

_WITH_EVENT_LOOP = frozenset({"build", "plan", "retry"})


def run(
    argv: Sequence[str], *, out: Output, err: Output, environ: Mapping[str, str] | None = None, **overrides: Any
) -> int:
    """Runs one command line and returns its exit code.

    Args:
        argv: The arguments, without the name of the program.
        out: Receives the result.
        err: Receives everything else.
        environ: The environment variables; None for those of this process.
        overrides: Further arguments of `Invocation`, for tests.
    """
    try:
        catalog_path, runfiles, user_env, rest = _take_launcher_flags(argv)
        _check_text(rest)
        parsed = parse_quickly(rest)
        if parsed is None:
            from databuild.cli.flags.full_parse import parse

            parsed = parse(rest, working_directory(environ))
        command, flags, positionals = parsed
        call = Invocation(
            command,
            flags,
            positionals,
            catalog_path=catalog_path,
            runfiles=runfiles,
            environ=environ,
            user_env=user_env,
            out=out,
            err=err,
            **{"open_backend": _open_backend, **overrides},
        )
        call.check_server()
        call.check_environment()
        code = _command_module(command).run(call)
    except KeyboardInterrupt as interrupt:
        err.line("databuild: interrupted")
        code = exit_code_of(interrupt)
    except DataBuildError as error:
        from databuild.cli.display.error_text import error_text

        err.line(f"databuild: {error_text(error)}")
        code = exit_code_of(error)
    except OSError as error:
        path = f"{error.filename}: " if error.filename else ""
        err.line(f"databuild: {path}{error.strerror or error}")
        code = OUR_FAILURE
    except Exception as error:
        err.line(_report_of_bug(error))
        code = OUR_FAILURE
    out.flush()
    # The command has taken effect, but a script that reads the result must not take it for complete.
    if out.fault:
        err.line(f"databuild: the result could not be written to standard output: {out.fault}")
        code = code or OUR_FAILURE
    err.flush()
    return int(code)


def _take_launcher_flags(argv: Sequence[str]) -> tuple[str, str, dict[str, str], list[str]]:
    """Splits off the flags of the launcher, which come first. Returns catalog, runfiles, user_env and the rest."""
    catalog_path = runfiles = ""
    user_env = {}
    rest = list(argv)
    while rest and rest[0].startswith(("--catalog=", "--runfiles=", "--user_env=")):
        name, _, value = rest.pop(0).partition("=")
        if name == "--catalog":
            catalog_path = value
        elif name == "--runfiles":
            runfiles = value
        else:
            variable, _, text = value.partition("=")
            user_env[variable] = text
    return catalog_path, runfiles, user_env, rest


def _check_text(args: Sequence[str]) -> None:
    """Refuses arguments that are not UTF-8, which neither protobuf messages nor the event log can store."""
    for arg in args:
        try:
            arg.encode()
        except UnicodeEncodeError:
            raise InvalidRequestError(f"the argument {arg!r} is not UTF-8; arguments must be UTF-8") from None


def _command_module(command: str) -> Any:
    if command in _WITH_EVENT_LOOP:
        from databuild.cli.quick_asyncio import import_asyncio

        import_asyncio()
    name = f"databuild.cli.commands.{command}"
    __import__(name)
    return sys.modules[name]


def _open_backend(call: Invocation) -> Backend:
    """Returns the service if one is named, else the state directory. This is the only place that knows both."""
    if call.server:
        from databuild.cli.backend.remote_backend import RemoteBackend

        return RemoteBackend(call)
    from databuild.cli.backend.local_backend import LocalBackend

    return LocalBackend(call)


def _report_of_bug(error: Exception) -> str:
    import traceback

    trace = "".join(traceback.format_exception(error, limit=-4)).rstrip()
    first_line = str(error).splitlines()[0] if str(error) else ""
    return (
        f"databuild: internal error: {type(error).__name__}: {first_line}; please report it with this trace:\n{trace}"
    )


def _open_standard_streams() -> None:
    """Opens /dev/null as each standard stream that is closed, so that no other file gets its descriptor."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")


def _exit(code: int) -> None:
    """Ends the process, whose output is flushed, without tearing the interpreter down.

    This would take half as long as starting it, and a long time after a large plan.
    """
    threads = sys.modules["threading"].enumerate() if "threading" in sys.modules else ()
    if sum(not thread.daemon for thread in threads) > 1:  # beside the main thread
        sys.exit(code)
    atexit._run_exitfuncs()  # noqa: SLF001 - libraries rely on their exit handlers
    os._exit(code)


def main() -> None:
    """Runs the command line of this process."""
    if os.getpid() == 1:  # as in a container
        from databuild.cli.init_process import work_in_a_child

        work_in_a_child()
    _open_standard_streams()
    kept: list[object] = []
    _exit(run(sys.argv[1:], out=Output(sys.stdout), err=Output(sys.stderr), kept=kept))
