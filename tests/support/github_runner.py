"""Runs a composite action of GitHub as its runner documents it, with environment files and workflow commands.

Sources: https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax (composite actions),
https://docs.github.com/en/actions/reference/workflows-and-actions/expressions, and
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

_EXPRESSION: Final = re.compile(r"\$\{\{ (.*?) \}\}")
_CONTEXT: Final = re.compile(r"'[^']*'|\b(?:inputs|github|steps)\.[\w.-]+")
_COMMAND: Final = re.compile(r"::([\w-]+)(?: ([^:]*))?::(.*)")


class Command(NamedTuple):
    """A workflow command; the values are unescaped."""

    name: str
    title: str
    message: str


class Ran(NamedTuple):
    """The result of a run.

    Attributes:
        outputs: The outputs of the action.
        summary: The summaries of all steps.
        commands: The workflow commands in the output of the steps, those in stopped parts left out.
        used: The inputs of each action that a step uses, by the name of the step.
        codes: The exit code of each step that ran, by its id.
        printed: Everything that the steps printed.
    """

    outputs: Mapping[str, str]
    summary: str
    commands: list[Command]
    used: Mapping[str, Mapping[str, str]]
    codes: Mapping[str, int]
    printed: str

    def annotations(self, level: str) -> list[tuple[str, str]]:
        return [(command.title, command.message) for command in self.commands if command.name == level]


class Runner:
    """Runs an action in a workspace.

    Args:
        action: The file `action.yml`.
        folder: An empty folder for the files of the runner.
        workspace: The workspace.
        environ: Variables of the runner besides those that it sets for each step.
    """

    def __init__(self, action: Path, folder: Path, workspace: Path, environ: Mapping[str, str]) -> None:
        self.definition: Mapping[str, Any] = yaml.safe_load(action.read_text())
        self._action = action
        self._folder = folder
        self._workspace = workspace
        self._environ = environ

    def run(self, event_name: str, event: Mapping[str, Any], **inputs: str) -> Ran:
        """Runs the action; `_` in the names of inputs stands for `-`."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        github = {"event_name": event_name, "token": "the-token"}
        values: dict[str, Any] = {"github": github, "inputs": {}, "steps": {}}
        for name, declared in self.definition["inputs"].items():
            assert not declared.get("required") or name in given, f"the input {name} is required"
            values["inputs"][name] = given.pop(name, None) or _filled(declared.get("default", ""), values)
        assert not given, f"the action has no inputs {list(given)}"
        (self._folder / "event.json").write_text(json.dumps(event))
        (self._folder / "temp").mkdir(exist_ok=True)
        codes: dict[str, int] = {}
        used: dict[str, Mapping[str, str]] = {}
        summary, printed = "", ""
        for number, step in enumerate(self.definition["runs"]["steps"]):
            wanted = step.get("if", "")
            failed = any(codes.values())
            if (failed and "always()" not in wanted) or (wanted and not _value(wanted[4:-3], values)):
                continue
            if "uses" in step:
                used[step["name"]] = {key: _filled(str(value), values) for key, value in step["with"].items()}
                continue
            files = self._folder / str(number)
            files.mkdir(exist_ok=True)
            for name in ("output", "summary"):
                (files / name).write_text("")
            ended = subprocess.run(
                # As the documentation of `shell: bash` says.
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self._workspace / _filled(step["working-directory"], values),
                env=self._variables(event_name, files)
                | {key: _filled(value, values) for key, value in step["env"].items()},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
                check=False,
            )
            codes[step["id"]] = ended.returncode
            printed += ended.stdout
            summary += (files / "summary").read_text()
            values["steps"][step["id"]] = {"outputs": dict(_outputs((files / "output").read_text()))}
        outputs = {name: _filled(output["value"], values) for name, output in self.definition["outputs"].items()}
        return Ran(outputs, summary, list(commands_in(printed)), used, codes, printed)

    def _variables(self, event_name: str, files: Path) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            **self._environ,
            "GITHUB_ACTION_PATH": str(self._action.parent),
            "GITHUB_EVENT_NAME": event_name,
            "GITHUB_EVENT_PATH": str(self._folder / "event.json"),
            "GITHUB_OUTPUT": str(files / "output"),
            "GITHUB_STEP_SUMMARY": str(files / "summary"),
            "GITHUB_REPOSITORY": "acme/data",
            "GITHUB_RUN_ID": "17",
            "GITHUB_SERVER_URL": "https://github.example",
            "RUNNER_TEMP": str(self._folder / "temp"),
        }


def _filled(text: str, values: Mapping[str, Any]) -> str:
    """Replaces the expressions in a text by their values."""
    return _EXPRESSION.sub(lambda found: str(_value(found[1], values)), text)


def _value(expression: str, values: Mapping[str, Any]) -> Any:
    """Evaluates an expression; a property that does not exist is an empty string."""

    def literal(found: re.Match[str]) -> str:
        value: Any = values
        if found[0].startswith("'"):
            return repr(found[0][1:-1])
        for name in found[0].split("."):
            value = value.get(name, "") if isinstance(value, Mapping) else ""
        return repr(value)

    python = _CONTEXT.sub(literal, expression).replace("always()", "True")
    return eval(python.replace("&&", " and ").replace("||", " or "))


def _outputs(text: str) -> Iterator[tuple[str, str]]:
    lines = iter(text.splitlines())
    for line in lines:
        name, separator, delimiter = line.partition("<<")
        if not separator:
            name, _, value = line.partition("=")
            yield name, value
            continue
        found = []
        for following in lines:
            if following == delimiter:
                break
            found.append(following)
        yield name, "\n".join(found)


def commands_in(printed: str) -> Iterator[Command]:
    """Yields the workflow commands in the output of a step."""
    stopped = ""
    for line in printed.splitlines():
        found = _COMMAND.fullmatch(line)
        if stopped:
            stopped = "" if line == f"::{stopped}::" else stopped
        elif found and found[1] == "stop-commands":
            stopped = found[3]
        elif found:
            title = (found[2] or "").removeprefix("title=")
            yield Command(found[1], _unescaped(title.replace("%3A", ":").replace("%2C", ",")), _unescaped(found[3]))


def _unescaped(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
