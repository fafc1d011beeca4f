"""The parser of all command lines, with absl. It alone words errors in them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any

from absl import flags

from databuild.cli.flags.command_table import COMMANDS_BY_NAME, DEFAULT_COMMAND
from databuild.cli.flags.flag_table import BOOL, ENUM, FLAGS, FLOAT, INT, STRINGS, flags_of, min_value
from databuild.cli.flags.usage_error import UsageError

_FLAG_FILE = "--flagfile="


def parse(args: Sequence[str], folder: str = "") -> tuple[str, dict[str, Any], list[str]]:
    """Returns the command, the values of its flags and its positional arguments; `--help` becomes the command `help`.

    Args:
        args: The arguments.
        folder: The folder that `--flagfile` is relative to.

    Raises:
        UsageError: The command line is invalid.
    """
    args = [_with_underscores(arg) for arg in args]
    command, rest = _take_command(args)
    before_dashes = rest[: rest.index("--")] if "--" in rest else rest
    if any(arg in {"--help", "-h", "--helpfull", "--helpshort"} for arg in before_dashes):
        has_command = any(arg in COMMANDS_BY_NAME for arg in args)
        return "help", {}, [command] if has_command else []
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
    value_of: dict[str, Any] = {flag.name: values[flag.name].value for flag in flags_of(command)}
    for flag in flags_of(command):
        value = value_of[flag.name]
        if flag.kind == FLOAT and not math.isfinite(value):  # absl accepts `nan` and `inf`
            raise UsageError(f"--{flag.name} takes a number of {flag.value_name.lower()}, not {value}", command)
    return command, value_of, remaining[1:]


def _with_underscores(arg: str) -> str:
    if not arg.startswith("--") or arg == "--":
        return arg
    name, equals, value = arg[2:].partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"


def _in_folder(arg: str, folder: str) -> str:
    """Makes the path in a `--flagfile` argument, which absl would open relative to this process, one of a folder."""
    if not arg.startswith(_FLAG_FILE):
        return arg
    return _FLAG_FILE + os.path.join(folder, arg.removeprefix(_FLAG_FILE))  # noqa: PTH118


def _take_command(args: Sequence[str]) -> tuple[str, list[str]]:
    """Splits off the command: the first argument that is neither a flag nor the value of a flag, if it is a command."""
    # The flags of all commands, since the command is not known yet. A test checks that a name takes a value for all
    # commands or for none.
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
        elif arg in COMMANDS_BY_NAME:
            return COMMANDS_BY_NAME[arg].name, [*args[:index], *args[index + 1 :]]
        else:
            break
    return DEFAULT_COMMAND, list(args)


def _flag_values(command: str) -> flags.FlagValues:
    values = flags.FlagValues()  # type: ignore[no-untyped-call]
    values.set_gnu_getopt(True)  # allows flags after positional arguments
    for flag in flags_of(command):
        short = flag.short or None
        if flag.kind == BOOL:
            flags.DEFINE_boolean(flag.name, flag.default, flag.help, flag_values=values, short_name=short)
        elif flag.kind == INT:
            minimum = min_value(flag)
            flags.DEFINE_integer(flag.name, flag.default, flag.help, minimum, flag_values=values, short_name=short)
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
    """Words an error about a number plainly, and any other one as absl does."""
    match = re.match(r"flag --(\w+)=(.*?): ", str(error), re.DOTALL)
    flag = next((flag for flag in flags_of(command) if match and flag.name == match[1]), None)
    if match is None or flag is None or flag.kind not in {INT, FLOAT}:
        return str(error)
    allowed = f"a whole number, {min_value(flag)} or more" if flag.kind == INT else "a number, 0 or more"
    return f"--{flag.name} takes {allowed}, not {match[2]!r}"


def _unknown_flag(error: flags.UnrecognizedFlagError, command: str) -> str:
    name = error.flagname.removeprefix("no")  # absl reports a negated flag with its prefix
    owners = sorted({owner for flag in FLAGS if flag.name == name for owner in flag.commands})
    if owners:
        return f"--{error.flagname} is a flag of {', '.join(owners)}, not of {command}"
    import difflib

    nearest = difflib.get_close_matches(name, [flag.name for flag in flags_of(command)], n=1)

    return f"{command} has no flag --{error.flagname}" + (f"; did you mean --{nearest[0]}?" if nearest else "")
