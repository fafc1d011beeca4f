"""Starts processes by posix_spawn(3) of the C library, without holding the global interpreter lock.

`os.posix_spawn` holds the lock until the new program runs, which takes half the time of a short job. Without it, the
thread of the event log writes meanwhile. The structures of the C library are opaque, so that buffers larger than any of
them stand in (posix_spawn(3), posix_spawn_file_actions_addchdir_np(3)).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from databuild.executors.interpreters import interpreter_of, is_text

_STRUCTURE_BYTES: Final = 1024  # the largest structure of glibc, posix_spawnattr_t, has 336 bytes
_SETPGROUP, _SETSIGDEF, _SETSIGMASK = 0x02, 0x04, 0x08  # POSIX_SPAWN_* of <spawn.h>
# Python ignores SIGPIPE, and nohup or a shell may make this process ignore the others. Jobs expect the defaults.
_DEFAULT_SIGNALS: Final = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_INHERITED: Final = 3
"""The number that the first inherited descriptor has in the process."""

_MAX_PREPARED: Final = 256
"""The number of file actions that are kept. Few differ, since the kernel gives out the lowest free descriptors."""

_SHELL: Final = "/bin/sh"
_NO_INPUT: Final = os.fsencode(os.devnull)
_ENCODING: Final = (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())  # as `os.fsencode` encodes

# Functions that only fill in structures keep the interpreter lock (PyDLL): to reacquire it would take longer than the
# call. posix_spawn itself releases it (CDLL).
_quick: Final = ctypes.PyDLL(None)
_posix_spawn: Final = ctypes.CDLL(None).posix_spawn


def _structure() -> Any:
    return ctypes.create_string_buffer(_STRUCTURE_BYTES)


def _signals(*numbers: int) -> Any:
    signals = _structure()
    _quick.sigemptyset(signals)
    for number in numbers:
        _quick.sigaddset(signals, number)
    return signals


class Spawner:
    """Starts processes, each as the leader of a process group of its own, with no signal blocked or ignored."""

    def __init__(self, base_env: Mapping[str, str]) -> None:
        """Sets up what all processes share.

        Args:
            base_env: The base environment; the variables of each process override it.
        """
        self.base_env: Final = dict(base_env)
        self._prepared: dict[tuple[str, int, int, tuple[int, ...]], Any] = {}
        # Encoded once: a large environment would otherwise dominate the cost of a start.
        self._base_env = {name: _variable(name, value) for name, value in base_env.items()}
        self._attributes = _structure()
        _quick.posix_spawnattr_init(self._attributes)
        _quick.posix_spawnattr_setpgroup(self._attributes, 0)
        _quick.posix_spawnattr_setsigmask(self._attributes, _signals())
        _quick.posix_spawnattr_setsigdefault(self._attributes, _signals(*_DEFAULT_SIGNALS))
        _quick.posix_spawnattr_setflags(self._attributes, ctypes.c_short(_SETPGROUP | _SETSIGDEF | _SETSIGMASK))

    def whole_env(self, env: Mapping[str, str]) -> dict[str, str]:
        """Returns all variables of a process, given those that override the base environment."""
        return {**self.base_env, **env}

    def spawn(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        stdout: int,
        stderr: int,
        *,
        open_files: int | None = None,
        inherited: Sequence[int] = (),
    ) -> int:
        """Starts a process with an empty standard input, and returns its pid.

        Args:
            argv: The absolute path of the program, and its arguments.
            env: The variables that override the base environment.
            cwd: The working directory.
            stdout: The descriptor of its standard output.
            stderr: The descriptor of its standard error.
            open_files: The soft limit on open files; None to inherit that of this process.
            inherited: Descriptors that it gets as 3, 4 and so on. Their numbers here must be higher than those.

        Raises:
            OSError: The process could not be started.
        """
        if open_files is not None:
            _check_program(argv[0])
            # posix_spawn cannot set limits, and setting them after the start would race with the program.
            argv = (_SHELL, "-c", f'ulimit -S -n {open_files} && exec "$@"', _SHELL, *argv)
        arguments = [argument.encode(*_ENCODING) for argument in argv]
        variables = self._base_env | {name: _variable(name, value) for name, value in env.items()}
        pid = ctypes.c_int()
        error = _posix_spawn(
            ctypes.byref(pid),
            arguments[0],
            self._file_actions(cwd, stdout, stderr, tuple(inherited)),
            self._attributes,
            _strings(arguments),
            _strings(tuple(variables.values())),
        )
        if error:
            path = cwd if error == errno.ENOENT and not os.path.isdir(cwd) else argv[0]  # noqa: PTH112
            raise OSError(error, os.strerror(error), path)
        return pid.value

    def _file_actions(self, cwd: str, stdout: int, stderr: int, inherited: tuple[int, ...]) -> Any:
        """Returns the file actions of a process, which are filled in once for each combination."""
        key = (cwd, stdout, stderr, inherited)
        actions = self._prepared.get(key)
        if actions is not None:
            return actions
        if len(self._prepared) == _MAX_PREPARED:
            for unused in self._prepared.values():
                _quick.posix_spawn_file_actions_destroy(unused)
            self._prepared.clear()
        actions = _structure()
        _quick.posix_spawn_file_actions_init(actions)
        _quick.posix_spawn_file_actions_addchdir_np(actions, os.fsencode(cwd))
        _quick.posix_spawn_file_actions_addopen(actions, 0, _NO_INPUT, os.O_RDONLY, 0)
        _quick.posix_spawn_file_actions_adddup2(actions, stdout, 1)
        _quick.posix_spawn_file_actions_adddup2(actions, stderr, 2)
        for number, descriptor in enumerate(inherited, start=FIRST_INHERITED):
            _quick.posix_spawn_file_actions_adddup2(actions, descriptor, number)
        self._prepared[key] = actions
        return actions


def _check_program(path: str) -> None:
    """Raises the error that a direct start would raise.

    A program that is started by a shell makes the shell print a message and exit, which looks like a failed job.
    """
    fault = 0
    if not os.path.exists(path):  # noqa: PTH110
        fault = errno.ENOENT
    elif os.path.isdir(path) or not os.access(path, os.X_OK):  # noqa: PTH112
        fault = errno.EACCES
    elif (interpreter := interpreter_of(path)) and not os.path.exists(interpreter):  # noqa: PTH110
        fault = errno.ENOENT
    elif not interpreter and is_text(path):
        fault = errno.ENOEXEC  # a shell would run it as a shell script
    if fault:
        raise OSError(fault, os.strerror(fault), path)


def _variable(name: str, value: str) -> bytes:
    return f"{name}={value}".encode(*_ENCODING)


def _strings(items: Sequence[bytes]) -> Any:
    """Returns a null-terminated array of pointers."""
    return (ctypes.c_char_p * (len(items) + 1))(*items)
