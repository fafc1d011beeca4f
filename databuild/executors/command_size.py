"""The limits of Linux on the size of the command line and environment of a process (execve(2), `fs/exec.c`).

One string has at most 32 pages. All strings, the path of the program and a pointer to each string have at most a
quarter of the soft limit of the stack, clamped to 128 KiB and 6 MiB.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

_MAX_STRING_BYTES: Final = 32 * 4096
"""MAX_ARG_STRLEN: one argument or variable with its terminating zero."""

_MIN_LIMIT_BYTES: Final = 128 * 1024
_MAX_LIMIT_BYTES: Final = 6 * 1024 * 1024
_POINTER_BYTES: Final = 8
_MAX_UTF8_BYTES: Final = 4


class CommandSize:
    """Checks command lines of processes that share a base environment."""

    def __init__(self, base_env: Mapping[str, str]) -> None:
        self._base_env = dict(base_env)
        self._base_characters = sum(len(name) + len(value) + 2 for name, value in base_env.items())

    def fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        """Returns a message about a part that is too large for the kernel, with the next step; empty if all fit.

        Args:
            argv: The command line; `argv[0]` is the path of the program.
            env: The variables of the process; they override the base environment.
        """
        # Counting characters is cheap and enough for nearly every process: encoding everything to count bytes would
        # cost more than the rest of a start.
        characters = self._base_characters + _POINTER_BYTES * (len(argv) + len(env) + len(self._base_env))
        characters += 2 * len(argv[0]) + sum(map(len, argv)) + sum(map(len, env)) + sum(map(len, env.values()))
        if characters * _MAX_UTF8_BYTES < _MIN_LIMIT_BYTES // 2:
            return ""
        whole = self._base_env | dict(env)
        if _total_bytes(argv, whole) <= _limit_bytes() and _largest(argv, whole)[1] <= _MAX_STRING_BYTES:
            return ""
        return explain_size(argv, whole)


def explain_size(argv: Sequence[str], env: Mapping[str, str]) -> str:
    """Returns a message about the part of a command line and environment that is too large, with the next step.

    Args:
        argv: The command line.
        env: All variables of the process.
    """
    name, largest = _largest(argv, env)
    if largest > _MAX_STRING_BYTES:
        what = f"{name} has {largest:,} bytes, and the kernel takes at most {_MAX_STRING_BYTES:,} in one string"
    else:
        what = (
            f"its arguments and environment have {_total_bytes(argv, env):,} bytes together, and the kernel takes at "
            f"most {_limit_bytes():,}; the largest is {name} with {largest:,}"
        )
    return f"{what}. Write long lists into a file, and pass its path"


def _limit_bytes() -> int:
    return min(max(os.sysconf("SC_ARG_MAX"), _MIN_LIMIT_BYTES), _MAX_LIMIT_BYTES)


def _total_bytes(argv: Sequence[str], env: Mapping[str, str]) -> int:
    strings = sum(_bytes(argument) + 1 for argument in (argv[0], *argv))
    variables = sum(_bytes(name) + _bytes(value) + 2 for name, value in env.items())
    return strings + variables + _POINTER_BYTES * (len(argv) + len(env))


def _largest(argv: Sequence[str], env: Mapping[str, str]) -> tuple[str, int]:
    sizes = [(f"argument {number}", _bytes(argument) + 1) for number, argument in enumerate(argv)]
    sizes += [(f"the variable {name}", _bytes(name) + _bytes(value) + 2) for name, value in env.items()]
    return max(sizes, key=lambda part: part[1])


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(os.fsencode(text))
