"""The interpreter of a program, from its first bytes, as the kernel finds it (execve(2))."""

from __future__ import annotations

import os
from typing import Final

_FIRST_BYTES: Final = 256
"""BINPRM_BUF_SIZE: the kernel reads no more of a file to find its interpreter."""


def first_bytes(program: str) -> bytes:
    """Returns the bytes that decide how a program is started; empty if it cannot be read."""
    try:
        with open(program, "rb") as file:  # noqa: PTH123
            return file.read(_FIRST_BYTES)
    except OSError:
        return b""


def interpreter_of(program: str) -> str:
    """Returns the interpreter in the `#!` line of a program; empty if there is no such line."""
    start = first_bytes(program)
    words = start[2:].partition(b"\n")[0].split() if start.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else ""


def is_text(program: str) -> bool:
    """Returns True if a program is empty or begins with printable text, so that it is no binary of any format."""
    return all(byte >= 32 or byte in b"\t\n\r" for byte in first_bytes(program))
