"""The entry of the command line: `main --catalog=FILE --runfiles=FOLDER [COMMAND] [flags] [PARTITION...]`.

The launcher that Bazel writes for a graph passes the first two, and `--user_env=NAME=VALUE` for variables that jobs are
to have as the user set them. A command that only reads is parsed and answered without absl; everything else goes
through it. Errors end here: one line on standard error and an exit code.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from databuild.cli.backend.invocation import Invocation, working_directory
from databuild.cli.backend.open_backend import open_backend
from databuild.cli.display.error_text import error_text
from databuild.cli.display.output import Output
from databuild.cli.flags.exit_codes import OUR_FAILURE, exit_code_of
from databuild.cli.flags.quick_parse import parse_quickly
from databuild.errors import DataBuildError, InvalidRequestError


def run(
    argv: Sequence[str], *, out: Output, err: Output, environ: Mapping[str, str] | None = None, **given: Any
) -> int:
    """Runs one command line and returns its exit code.

    Args:
        argv: The arguments, without the program's name.
        out: Where results go.
        err: Where everything else goes.
        environ: The environment variables, where not this process's.
        given: Further arguments of Invocation; for tests.
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
            **{"open_backend": open_backend, **given},
        )
        call.check_server()
        code = _command_module(command).run(call)
    except KeyboardInterrupt as interrupt:
        err.line("databuild: interrupted")
        code = exit_code_of(interrupt)
    except DataBuildError as error:
        err.line(f"databuild: {error_text(error)}")
        code = exit_code_of(error)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        err.line(f"databuild: {named}{error.strerror or error}")
        code = OUR_FAILURE
    except Exception as error:
        err.line(_report_of_bug(error))
        code = OUR_FAILURE
    out.flush()
    if out.fault:
        err.line(f"databuild: the result could not be written to standard output: {out.fault}")
        code = code or OUR_FAILURE
    err.flush()
    return int(code)


def _take_launcher_flags(argv: Sequence[str]) -> tuple[str, str, dict[str, str], list[str]]:
    """Splits off what the launcher passes, which always stands first."""
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
    """Refuses arguments that are not UTF-8: nothing that is kept has such a name, and none could be looked up."""
    for arg in args:
        try:
            arg.encode()
        except UnicodeEncodeError:
            raise InvalidRequestError(f"{arg!r} is not UTF-8") from None


def _command_module(command: str) -> Any:
    name = f"databuild.cli.commands.{command}"
    __import__(name)
    return sys.modules[name]


def _report_of_bug(error: Exception) -> str:
    import traceback

    trace = "".join(traceback.format_exception(error, limit=-4)).rstrip()
    said = str(error).splitlines()[0] if str(error) else ""
    return (
        f"databuild: a fault of DataBuild itself: {type(error).__name__}: {said}; please report it with this:\n{trace}"
    )


def _open_what_is_closed() -> None:
    """Opens the standard streams that whoever started us has closed, so that no other file gets their descriptors."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")


def main() -> None:
    """Runs the command line of this process."""
    if os.getpid() == 1:  # of a container, say
        from databuild.cli.init_process import work_in_a_child

        work_in_a_child()
    # A plan is many objects that live as long as the process: looking through them for garbage as often as Python does
    # by itself would take a fifth of the time of a large one.
    gc.set_threshold(100_000, 50, 100)
    _open_what_is_closed()
    code = run(sys.argv[1:], out=Output(sys.stdout), err=Output(sys.stderr))
    if "databuild.cli.flags.full_parse" not in sys.modules:
        # Only read, and all is flushed: taking the interpreter apart would cost half as much again as starting it.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
