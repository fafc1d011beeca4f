"""The parser of all command lines, with absl. It alone words errors in them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any

from absl import flags

from databuild.cli.flags.command_table import COMMANDS_BY_NAME, DEFAULT_COMMAND
from databuild.cli.flags.flag_table import BOOL, ENUM, FLAGS, FLOAT, INT, STRINGS, Flag, flags_of, max_value, min_value
from databuild.cli.flags.near_form import near_command
from databuild.cli.flags.quick_parse import MAX_DIGITS
from databuild.cli.flags.usage_error import UsageError

_FLAG_FILE = "--flagfile="
_NUMBER_AFTER_LETTER = re.compile(r"-([a-z])([0-9]+)")
_LETTERS_WITH_NUMBER = frozenset(flag.short for flag in FLAGS if flag.kind == INT)


def parse(args: Sequence[str], folder: str = "") -> tuple[str, dict[str, Any], list[str]]:
    """Returns the command, the values of its flags and its positional arguments; `--help` becomes the command `help`.

    Args:
        args: The arguments.
        folder: The folder that `--flagfile` is relative to.

    Raises:
        UsageError: The command line is invalid.
    """
    args = [_spelled_out(arg) for arg in args]
    command, rest = _take_command(args)
    before_dashes = rest[: rest.index("--")] if "--" in rest else rest
    if any(arg in {"--help", "-h", "--helpfull", "--helpshort"} for arg in before_dashes):
        has_command = any(arg in COMMANDS_BY_NAME for arg in args)
        return "help", {}, [command] if has_command else []
    values = _flag_values(command)
    rest = [_in_folder(arg, folder) for arg in rest]
    try:
        remaining = values(["databuild", *rest])
    except flags.Error as error:
        if len(rest) == len(args) and isinstance(error, flags.UnrecognizedFlagError):  # no argument names a command
            word = next((arg for arg in args if not arg.startswith("-")), "")
            if hint := near_command(word):
                raise UsageError(f"there is no command {word!r}; {hint}") from None
        raise UsageError(_wrong(error, rest, command), command) from None
    value_of: dict[str, Any] = {flag.name: values[flag.name].value for flag in flags_of(command)}
    for flag in flags_of(command):
        value = value_of[flag.name]
        if flag.kind == FLOAT and not math.isfinite(value):  # absl accepts `nan` and `inf`
            raise UsageError(f"--{flag.name} takes a number of {flag.value_name.lower()}, not {value}", command)
    return command, value_of, remaining[1:]


def _spelled_out(arg: str) -> str:
    """Returns a flag with underscores in its name, and the number after a letter, as in `-j8`, as its value."""
    if (number := _NUMBER_AFTER_LETTER.fullmatch(arg)) and number[1] in _LETTERS_WITH_NUMBER:
        return f"-{number[1]}={number[2]}"
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
            minimum, maximum = min_value(flag), max_value(flag)
            flags.DEFINE_integer(flag.name, flag.default, flag.help, minimum, maximum, values, short_name=short)
        elif flag.kind == FLOAT:
            flags.DEFINE_float(flag.name, flag.default, flag.help, 0.0, flag_values=values, short_name=short)
        elif flag.kind == ENUM:
            flags.DEFINE_enum(flag.name, flag.default, flag.values, flag.help, flag_values=values, short_name=short)
        elif flag.kind == STRINGS:
            flags.DEFINE_multi_string(flag.name, flag.default, flag.help, flag_values=values, short_name=short)
        else:
            flags.DEFINE_string(flag.name, flag.default, flag.help, flag_values=values, short_name=short)
    return values


def _wrong(error: flags.Error, args: Sequence[str], command: str) -> str:
    """Words an error of absl plainly."""
    text = str(error)
    if isinstance(error, flags.UnrecognizedFlagError):
        return _unknown_flag(error.flagname, args, command)
    if isinstance(error, flags.IllegalFlagValueError):
        match = re.match(r"flag --(\w+)=(.*?): ", text, re.DOTALL)
        flag = next((flag for flag in flags_of(command) if match and flag.name == match[1]), None)
        return text if match is None or flag is None else f"--{flag.name} takes {_allowed(flag, match[2])}"
    if match := re.fullmatch(r"Missing value for flag (--?\w+)", text):
        return f"{match[1]} needs a value"
    if isinstance(error, flags.CantOpenFlagFileError):
        reason = re.sub(r".*flagfile: (\[Errno \d+\] )?", "", text)
        return f"the file of --flagfile cannot be read: {reason}"
    return text


def _allowed(flag: Flag, value: str) -> str:
    """Returns the values that a flag takes, and the one that it got, in words."""
    if flag.kind == INT and value.isdecimal() and (len(value) > MAX_DIGITS or int(value) > max_value(flag)):
        allowed = f"at most {max_value(flag)}"
    elif flag.kind == INT:
        allowed = f"a whole number, {min_value(flag)} or more"
    elif flag.kind == FLOAT:
        allowed = "a number, 0 or more"
    elif flag.kind == BOOL:
        allowed = "no value, `true` or `false`"
    else:
        allowed = f"{', '.join(flag.values[:-1])} or {flag.values[-1]}"
    return f"{allowed}, not {value[:80]!r}"


def _unknown_flag(name: str, args: Sequence[str], command: str) -> str:
    dashes = "--" if any(arg.startswith(f"--{name}") for arg in args) else "-"
    positive = name.removeprefix("no")  # absl reports a negated flag with its prefix
    own = flags_of(command)
    if positive != name and any(flag.name == positive for flag in own):
        return f"--{positive} takes a value, so there is no --{name}"
    owners = sorted({owner for flag in FLAGS if name in {flag.name, flag.short} for owner in flag.commands})
    owners = owners or sorted({owner for flag in FLAGS if flag.name == positive for owner in flag.commands})
    if owners:
        return f"{dashes}{name} is a flag of {', '.join(owners)}, not of {command}"
    import difflib

    nearest = difflib.get_close_matches(positive, [flag.name for flag in own], n=1)
    return f"{command} has no flag {dashes}{name}" + (f"; did you mean --{nearest[0]}?" if nearest else "")
