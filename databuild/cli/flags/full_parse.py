"""Parses any command line, with absl: the authority on what is allowed and on what is said where it is not."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any

from absl import flags

from databuild.cli.flags.command_table import NAMES
from databuild.cli.flags.flag_table import BOOL, ENUM, FLAGS, FLOAT, INT, STRINGS, flags_of, least_of
from databuild.errors import InvalidRequestError

DEFAULT_COMMAND = "build"
_FLAG_FILE = "--flagfile="


class UsageError(InvalidRequestError):
    """The command line cannot be read.

    Args:
        fault: What is wrong with it, in words.
        command: The command whose help would help.
    """

    def __init__(self, fault: str, command: str = "") -> None:
        self.fault = fault
        self.command = command
        super().__init__(f"{fault}; see `{f'help {command}' if command else 'help'}`")


def parse(args: Sequence[str], folder: str = "") -> tuple[str, dict[str, Any], list[str]]:
    """Returns command, flag values and positional arguments; asking for help in any form is the command `help`.

    Args:
        args: What is parsed.
        folder: Where a file of flags is looked for.

    Raises:
        UsageError: The command line cannot be read.
    """
    args = [_with_underscores(arg) for arg in args]
    command, rest = _take_command(args)
    before_dashes = rest[: rest.index("--")] if "--" in rest else rest
    if any(arg in {"--help", "-h", "--helpfull", "--helpshort"} for arg in before_dashes):
        named = any(arg in NAMES for arg in args)
        return "help", {}, [command] if named else []
    values = _flag_values(command)
    rest = [_in_folder(arg, folder) for arg in rest]
    try:
        remaining = values(["databuild", *rest])
    except flags.UnrecognizedFlagError as error:
        raise UsageError(_unknown_flag(error, command), command) from None
    except flags.IllegalFlagValueError as error:
        raise UsageError(_illegal_value(error, command), command) from None
    except flags.Error as error:
        raise UsageError(str(error), command) from None
    given: dict[str, Any] = {flag.name: values[flag.name].value for flag in flags_of(command)}
    for flag in flags_of(command):
        value = given[flag.name]
        if flag.kind == FLOAT and not math.isfinite(value):
            raise UsageError(f"--{flag.name} takes a number of {flag.value_name.lower()}, not {value}", command)
    return command, given, remaining[1:]


def _with_underscores(arg: str) -> str:
    if not arg.startswith("--") or arg == "--":
        return arg
    name, equals, value = arg[2:].partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"


def _in_folder(arg: str, folder: str) -> str:
    """Returns an argument; the path of a file of flags, which absl reads, is one of that folder."""
    if not arg.startswith(_FLAG_FILE):
        return arg
    return _FLAG_FILE + os.path.join(folder, arg.removeprefix(_FLAG_FILE))  # noqa: PTH118


def _take_command(args: Sequence[str]) -> tuple[str, list[str]]:
    """Splits off the command, which is the first argument that is neither a flag nor the value of one."""
    takes_value = {flag.name for flag in FLAGS if flag.kind != BOOL}
    takes_value |= {flag.short for flag in FLAGS if flag.short and flag.kind != BOOL}
    value_next = False
    for index, arg in enumerate(args):
        if arg == "--":
            break
        if value_next:
            value_next = False
        elif arg.startswith("-"):
            value_next = "=" not in arg and arg.lstrip("-") in takes_value
        elif arg in NAMES:
            return NAMES[arg].name, [*args[:index], *args[index + 1 :]]
        else:
            break
    return DEFAULT_COMMAND, list(args)


def _flag_values(command: str) -> flags.FlagValues:
    """Defines the flags of one command."""
    values = flags.FlagValues()  # type: ignore[no-untyped-call]
    values.set_gnu_getopt(True)
    for flag in flags_of(command):
        short = flag.short or None
        if flag.kind == BOOL:
            flags.DEFINE_boolean(flag.name, flag.default, flag.help, flag_values=values, short_name=short)
        elif flag.kind == INT:
            least = least_of(flag)
            flags.DEFINE_integer(flag.name, flag.default, flag.help, least, flag_values=values, short_name=short)
        elif flag.kind == FLOAT:
            flags.DEFINE_float(flag.name, flag.default, flag.help, 0.0, flag_values=values, short_name=short)
        elif flag.kind == ENUM:
            flags.DEFINE_enum(flag.name, flag.default, flag.values, flag.help, flag_values=values, short_name=short)
        elif flag.kind == STRINGS:
            flags.DEFINE_multi_string(flag.name, flag.default, flag.help, flag_values=values, short_name=short)
        else:
            flags.DEFINE_string(flag.name, flag.default, flag.help, flag_values=values, short_name=short)
    return values


def _illegal_value(error: flags.IllegalFlagValueError, command: str) -> str:
    """Returns what a flag takes in place of what it was given."""
    found = re.match(r"flag --(\w+)=(.*?): ", str(error), re.DOTALL)
    flag = next((flag for flag in flags_of(command) if found and flag.name == found[1]), None)
    if found is None or flag is None or flag.kind not in {INT, FLOAT}:
        return str(error)
    what = f"a whole number, {least_of(flag)} or more" if flag.kind == INT else "a number, 0 or more"
    return f"--{flag.name} takes {what}, not {found[2]!r}"


def _unknown_flag(error: flags.UnrecognizedFlagError, command: str) -> str:
    name = error.flagname.removeprefix("no") if error.flagname.startswith("no") else error.flagname
    owners = sorted({owner for flag in FLAGS if flag.name == name for owner in flag.commands})
    if owners:
        return f"--{error.flagname} is a flag of {', '.join(owners)}, not of {command}"
    import difflib

    known = [flag.name for flag in flags_of(command)]
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"{command} has no flag --{error.flagname}" + (f"; did you mean --{nearest[0]}?" if nearest else "")
