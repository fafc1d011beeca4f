"""The help and the documentation tell of every command, flag and exit code."""

import io
import re
from pathlib import Path

import pytest

from databuild.cli.display.output import Output
from databuild.cli.flags.command_table import COMMANDS
from databuild.cli.flags.exit_codes import MEANINGS, exit_code_of
from databuild.cli.flags.flag_table import FLAGS, flags_of
from databuild.cli.flags.help_text import command_help, overview
from databuild.cli.main import run
from databuild.errors import (
    BuildNotFoundError,
    CoordinationError,
    EventLogError,
    JobConfigurationError,
    PlanChangedError,
)

DOCUMENT = Path("docs/command_line.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `([a-z]+)`\n(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_documented_with_its_flags(command):
    section = SECTIONS[command.name]

    assert command.example in section
    for flag in flags_of(command.name):
        assert f"`--{flag.name}" in section


def test_every_flag_is_documented():
    for flag in FLAGS:
        assert f"--{flag.name}" in DOCUMENT


def test_no_flag_is_documented_that_does_not_exist():
    known = {flag.name for flag in FLAGS}

    assert set(re.findall(r"`--(?:no)?([a-z_]+)", DOCUMENT)) <= known | {"help"}


def test_every_exit_code_is_documented():
    for code, meaning in MEANINGS.items():
        assert f"| {code} | {meaning} |" in DOCUMENT


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_with_an_example(command):
    text = command_help(command, "launcher")

    assert command.summary in text
    assert f"launcher {command.example}" in text
    assert all(f"--{flag.name}" in text or f"--[no]{flag.name}" in text for flag in flags_of(command.name))


def test_the_overview_names_the_commands_for_people():
    text = overview("launcher")

    for command in COMMANDS:
        assert (f"  {command.name} " in text) is not command.hidden


def test_help_works_without_a_catalog():
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
def test_each_error_has_its_exit_code(error, code):
    assert exit_code_of(error) == code


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_command_and_flag_for_people(shell, tmp_path):
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
