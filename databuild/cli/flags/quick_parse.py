"""Parses the plainest command lines of the commands that only read, without importing absl.

It knows a strict subset: `--name=value` and `--name`, spelled exactly as in the table. Whatever else it meets, it
leaves to full_parse, which stays the authority on errors and help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from databuild.cli.flags.command_table import NAMES
from databuild.cli.flags.flag_table import BOOL, ENUM, INT, STRING, STRINGS, flags_of, least_of


def parse_quickly(args: Sequence[str]) -> tuple[str, dict[str, Any], list[str]] | None:
    """Returns command, flag values and positional arguments, or None where the full parser must decide."""
    positionals = [arg for arg in args if not arg.startswith("-")]
    if not positionals:
        return None
    command = NAMES.get(positionals[0])
    if command is None or not command.quick:
        return None
    flags = {flag.name: flag for flag in flags_of(command.name)}
    values = {name: [] if flag.kind == STRINGS else flag.default for name, flag in flags.items()}
    for arg in args:
        if not arg.startswith("-"):
            continue
        name, equals, text = arg.removeprefix("--").partition("=")
        flag = flags.get(name)
        if flag is None or not arg.startswith("--"):
            return None
        if flag.kind == BOOL and not equals:
            values[name] = True
        elif equals and (flag.kind == STRING or (flag.kind == ENUM and text in flag.values)):
            values[name] = text
        elif equals and flag.kind == INT and text.isascii() and text.isdigit() and int(text) >= least_of(flag):
            values[name] = int(text)
        else:
            return None
    return command.name, values, positionals[1:]
