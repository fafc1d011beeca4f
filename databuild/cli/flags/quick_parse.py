"""A parser of simple command lines, which starts faster than absl.

It accepts a strict subset: `--name=value` and `--name`, spelled exactly as in the table. It leaves everything else to
`full_parse.py`, so that errors are worded in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from databuild.cli.flags.command_table import COMMANDS_BY_NAME, DEFAULT_COMMAND
from databuild.cli.flags.flag_table import BOOL, ENUM, INT, STRING, STRINGS, Flag, flags_of, max_value, min_value

MAX_DIGITS: Final = 19
"""Longer numbers are larger than all maximums, and Python refuses to read very long ones."""


def _is_allowed(flag: Flag, text: str) -> bool:
    return (
        len(text) <= MAX_DIGITS
        and text.isascii()
        and text.isdigit()
        and min_value(flag) <= int(text) <= max_value(flag)
    )


def parse_quickly(args: Sequence[str]) -> tuple[str, dict[str, Any], list[str]] | None:
    """Returns the command, the values of its flags and its positional arguments; None for any other form."""
    positionals = [arg for arg in args if not arg.startswith("-")]
    if not positionals:
        return None
    command, words = DEFAULT_COMMAND, positionals
    if positionals[0] in COMMANDS_BY_NAME:
        command, words = COMMANDS_BY_NAME[positionals[0]].name, positionals[1:]
    flags = {flag.name: flag for flag in flags_of(command)}
    values = {name: [] if flag.kind == STRINGS else flag.default for name, flag in flags.items()}
    for arg in args:
        if not arg.startswith("-"):
            continue  # a positional argument
        name, equals, text = arg.removeprefix("--").partition("=")
        flag = flags.get(name)
        if flag is None or flag.name == "flagfile" or not arg.startswith("--"):
            return None
        # `--noflag`, `--flag=true` and FLOAT are rare, and left to absl.
        if flag.kind == BOOL and not equals:
            values[name] = True
        elif equals and (flag.kind == STRING or (flag.kind == ENUM and text in flag.values)):
            values[name] = text
        elif equals and flag.kind == STRINGS:
            values[name].append(text)
        elif equals and flag.kind == INT and _is_allowed(flag, text):
            values[name] = int(text)
        else:
            return None
    return command, values, words
