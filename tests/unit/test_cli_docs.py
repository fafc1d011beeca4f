"""Checks that the help and docs/command_line.md describe every command, flag and exit code."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from databuild.cli.display.output import Output
from databuild.cli.flags.command_table import COMMANDS, Command
from databuild.cli.flags.exit_codes import MEANINGS, exit_code_of
from databuild.cli.flags.flag_table import BOOL, ENUM, FLAGS, Flag, flags_of
from databuild.cli.flags.help_text import GROUPS, command_help, overview
from databuild.cli.main import run
from databuild.errors import (
    BuildNotFoundError,
    CoordinationError,
    EventLogError,
    JobConfigurationError,
    PlanChangedError,
)
from tests.support.present import present

DOCUMENT = Path("docs/command_line.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^###? (`[a-z]+`|Common flags)\n(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL))
# Flags of at least this many commands are described once, in the section of common flags.
MIN_COMMANDS_OF_COMMON_FLAG = 6
COMMON = [flag for flag in FLAGS if len(flag.commands) >= MIN_COMMANDS_OF_COMMON_FLAG]


def flag_rows(section: str) -> dict[str, list[str]]:
    """Returns the rows of the table of flags in a section, by the name of the flag."""
    return {
        present(re.match(r"`--(\w+)", row[0]))[1]: row
        for row in (re.split(r"(?<!\\) \| ", line[2:-2]) for line in SECTIONS[section].splitlines())
        if row[0].startswith("`--")
    }


def check_row(flag: Flag, row: Sequence[str]) -> None:
    value = "|".join(flag.values) if flag.kind == ENUM else flag.value_name or flag.kind.upper()
    spelling = f"`--{flag.name}`" if flag.kind == BOOL else f"`--{flag.name}={value}`".replace("|", r"\|")
    assert row[0] == (f"{spelling}, `-{flag.short}`" if flag.short else spelling)
    if flag.default:
        assert f"Default: `{flag.default}`." in row[1]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_section_has_the_example_and_the_other_flags_of_its_command(command: Command) -> None:
    own = {flag.name: flag for flag in flags_of(command.name) if flag not in COMMON}
    rows = flag_rows(f"`{command.name}`")

    assert command.example in SECTIONS[f"`{command.name}`"]
    assert rows.keys() == own.keys()
    for name, flag in own.items():
        check_row(flag, rows[name])


def test_common_flags_are_documented_with_the_commands_that_have_them() -> None:
    rows = flag_rows("Common flags")

    assert rows.keys() == {flag.name for flag in COMMON}
    for flag in COMMON:
        check_row(flag, rows[flag.name])
        named = set(re.findall(r"`(\w+)`", rows[flag.name][2]))
        every = {command.name for command in COMMANDS}
        assert (every - named if rows[flag.name][2].startswith("all except") else named) == set(flag.commands)


def test_no_flag_is_documented_that_does_not_exist() -> None:
    names = {flag.name for flag in FLAGS}

    documented = set(re.findall(r"`--([a-z_]+)", DOCUMENT))
    assert {name for name in documented if name not in names and name.removeprefix("no") not in names} <= {"help"}


def test_every_exit_code_is_documented() -> None:
    for code, meaning in MEANINGS.items():
        assert f"| {code} | {meaning} |" in DOCUMENT


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_with_an_example(command: Command) -> None:
    text = command_help(command, "launcher")

    assert command.summary in text
    assert f"launcher {command.example}" in text
    shown = re.findall(r"^  --(?:\[no\])?(\w+)", text, re.MULTILINE)
    assert sorted(shown) == sorted(flag.name for flag in flags_of(command.name))


def test_headings_of_help_have_flags_that_exist_and_that_no_other_heading_has() -> None:
    grouped = [name for names in GROUPS.values() for name in names]

    assert len(set(grouped)) == len(grouped)
    assert {flag.name for flag in FLAGS}.issuperset(grouped)


def test_the_overview_names_the_commands_for_people() -> None:
    text = overview("launcher")

    for command in COMMANDS:
        assert (f"  {command.name} " in text) is not command.hidden


def test_help_works_without_a_catalog() -> None:
    out = io.StringIO()

    code = run(["help", "build"], out=Output(out), err=Output(io.StringIO()), environ={})

    assert code == 0
    assert "--keep_going" not in out.getvalue().splitlines()[0]
    assert "--[no]keep_going" in out.getvalue()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BuildNotFoundError("x"), 2),
        (JobConfigurationError("//a:b", "it said no"), 1),
        (PlanChangedError(["x"]), 4),
        (EventLogError("the disk is full"), 3),
        (CoordinationError("b", "x"), 3),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError(), 3),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_command_and_flag_for_people(shell: str, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.json"
    catalog.write_text('{"graph_label": "//examples:build_graph"}')
    out = io.StringIO()

    code = run([f"--catalog={catalog}", "completion", shell], out=Output(out), err=Output(io.StringIO()), environ={})

    assert code == 0
    script = out.getvalue()
    assert script.endswith("complete -F _databuild_build_graph build_graph\n")
    for command in COMMANDS:
        if not command.hidden:
            assert f"    {command.name}" in script
            assert all(f"--{flag.name}" in script for flag in flags_of(command.name))
