"""Reads from the first bytes of a program what the kernel would start it with."""

from __future__ import annotations

import os
from typing import Final

_FIRST_BYTES: Final = 256
"""The kernel reads no more of a file to find its interpreter (BINPRM_BUF_SIZE)."""


def first_bytes(program: str) -> bytes:
    """Returns the bytes that decide how a program is started; none where it cannot be read."""
    try:
        with open(program, "rb") as file:  # noqa: PTH123
            return file.read(_FIRST_BYTES)
    except OSError:
        return b""


def interpreter_of(program: str) -> str:
    """Returns the interpreter that the first line of a program names; empty where it names none."""
    start = first_bytes(program)
    words = start[2:].partition(b"\n")[0].split() if start.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else ""


def is_text(program: str) -> bool:
    """Returns whether a program is empty or looks like text rather than like a binary of whatever format."""
    return all(byte >= 32 or byte in b"\t\n\r" for byte in first_bytes(program))
