"""Explanations of failed starts: the cause, the next step, and the party at fault.

The errors are those of execve(2), fork(2) and open(2).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Final

from databuild.executors.command_size import explain_size
from databuild.executors.interpreters import first_bytes, interpreter_of
from databuild.tuples import NamedTuple

EXHAUSTED: Final = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ETXTBSY})
"""Errors that can go away when other processes end, so that a retry may help."""


class StartFault(NamedTuple):
    """The reason why a process could not be started.

    Attributes:
        message: The cause and the next step.
        users_fault: True if the job or its configuration is at fault, so that every start fails in the same way; False
            if the machine is, or the build of the code.
    """

    message: str
    users_fault: bool = False


def start_fault(error: OSError, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> StartFault:
    """Explains an error of a start.

    Args:
        error: The error that the start raised.
        argv: The command line; `argv[0]` is the path of the program.
        env: All variables of the process.
        cwd: Its working directory.
    """
    program = argv[0]
    if error.errno == errno.E2BIG:
        return StartFault(message=explain_size(argv, env), users_fault=True)
    if error.errno in EXHAUSTED:
        return StartFault(message=f"{error.strerror}: {program}; {_EXHAUSTED_HINTS.get(error.errno, _MEMORY_HINT)}")
    # The kernel reports ENOENT for a missing directory, program, interpreter and loader alike.
    if not os.path.isdir(cwd):  # noqa: PTH112
        return StartFault(message=f"its working directory {cwd} does not exist")
    explain = _EXPLAINED.get(error.errno or 0)
    return explain(program) if explain else StartFault(message=f"{error.strerror or error}: {program}")


_MEMORY_HINT = "the machine is out of memory or processes; run fewer jobs at once"
_EXHAUSTED_HINTS: Final = {
    errno.EMFILE: "this process is at its limit of open files (ulimit -n); run fewer jobs at once",
    errno.ENFILE: "the machine is at its limit of open files (fs.file-max); run fewer jobs at once",
    errno.EAGAIN: "the user or container is at its limit of processes (ulimit -u, pids.max); run fewer jobs at once",
    errno.ETXTBSY: "the program is being written; wait for Bazel to end and build again",
}


def _missing(program: str) -> StartFault:
    if not os.path.exists(program):  # noqa: PTH110
        return StartFault(message=f"{program} does not exist; build the graph again with Bazel")
    interpreter = interpreter_of(program)
    if interpreter:
        message = (
            f"{program} needs the interpreter {interpreter}, which does not exist; install it, or change the #! line"
        )
    else:
        message = f"{program} needs a program loader that does not exist; it is made for another system"
    return StartFault(message=message, users_fault=True)


def _denied(program: str) -> StartFault:
    interpreter = interpreter_of(program)
    if os.path.isdir(program):  # noqa: PTH112
        message = f"{program} is a directory; name a program"
    elif os.access(program, os.X_OK) and interpreter and not os.access(interpreter, os.X_OK):
        message = f"{program} needs the interpreter {interpreter}, which is not executable"
    else:
        message = f"{program} is not executable; run `chmod +x`, and check that its file system is not mounted noexec"
    return StartFault(message=message, users_fault=True)


def _not_a_program(program: str) -> StartFault:
    start = first_bytes(program)
    if not start:
        message = f"{program} is empty"
    elif start.startswith(b"\x7fELF"):
        message = f"{program} is made for another kind of processor"
    else:
        message = f"{program} has no #! line and is not a binary; add a first line such as #!/bin/bash"
    return StartFault(message=message, users_fault=True)


_EXPLAINED: Final = {errno.ENOENT: _missing, errno.EACCES: _denied, errno.ENOEXEC: _not_a_program}
