"""The interface between a step of a GitHub workflow and its runner: environment files and workflow commands.

Sources: https://docs.github.com/en/actions/reference/workflows-and-actions/variables and
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import secrets
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MAX_ANNOTATIONS: Final = 10
"""Maximum number of annotations of one level that GitHub shows for a step."""

MAX_TITLE: Final = 255
"""Maximum length of the title of an annotation (https://docs.github.com/en/rest/checks/runs)."""

MAX_MESSAGE: Final = 4096
"""Maximum length of the message of an annotation. The runner cuts off the rest (ExecutionContext.cs in actions/runner).
"""

MAX_SUMMARY_BYTES: Final = 1024 * 1024
"""Maximum size of the summary of a step."""

_INPUT: Final = "DATABUILD_ACTION_"
_HIDDEN: Final = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE")
_LEVELS: Final = ("error", "warning", "notice")


class Step:
    """The step that this process runs.

    Args:
        environ: The environment variables of the step.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._annotations = dict.fromkeys(_LEVELS, 0)

    def text(self, name: str) -> str:
        """Returns an input of the action, stripped; `action.yml` passes them as variables."""
        return self._environ.get(_INPUT + name, "").strip()

    def words(self, name: str) -> list[str]:
        """Returns the words of an input, which are separated by spaces and newlines, and may be quoted.

        Raises:
            ValueError: A quotation mark is open.
        """
        return shlex.split(self.text(name), comments=False)

    def variable(self, name: str) -> str:
        """Returns a variable of the runner; empty if it is not set."""
        return self._environ.get(name, "")

    def child_environment(self) -> dict[str, str]:
        """Returns the environment of programs that the step starts.

        It has neither the inputs of the action, such as the token, nor the files by which a step changes the workflow.
        """
        return {
            name: value for name, value in self._environ.items() if not name.startswith(_INPUT) and name not in _HIDDEN
        }

    def set_outputs(self, values: Mapping[str, object]) -> None:
        """Sets outputs of the step."""
        path = self._environ.get("GITHUB_OUTPUT")
        if path:
            delimiter = f"end_{secrets.token_hex(16)}"
            with Path(path).open("a", encoding="utf-8") as file:
                file.writelines(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())

    def add_summary(self, markdown: str) -> None:
        """Adds Markdown to the summary of the step, cut at a line if it is too large."""
        path = self._environ.get("GITHUB_STEP_SUMMARY")
        if not path:
            return
        file = Path(path)
        left = MAX_SUMMARY_BYTES - (file.stat().st_size if file.exists() else 0)
        data = markdown.encode(errors="replace")
        if len(data) > left:
            note = b"\n\nThe rest is in the artifact of this run.\n"
            data = data[: max(data.rfind(b"\n", 0, max(left - len(note), 0)), 0)] + note if left > len(note) else b""
        with file.open("ab") as summary:
            summary.write(data)

    def annotate(self, level: str, title: str, message: str) -> None:
        """Prints an annotation.

        Args:
            level: `error`, `warning` or `notice`. Of each, those beyond the maximum that GitHub shows are left out.
            title: One line.
            message: The text; of a long one, the beginning and the end.
        """
        self._annotations[level] += 1
        if self._annotations[level] <= MAX_ANNOTATIONS:
            title, message = _shortened(title, MAX_TITLE), _shortened(message, MAX_MESSAGE)
            command = f"::{level} title={_property(title)}::{_data(message)}\n"
            # In UTF-8, whatever the locale of the runner is.
            sys.stdout.flush()
            sys.stdout.buffer.write(command.encode(errors="replace"))
            sys.stdout.flush()

    @contextmanager
    def without_commands(self) -> Iterator[None]:
        """Lets the runner ignore workflow commands in the output of programs, such as `::add-mask::`."""
        token = secrets.token_hex(16)
        print(f"::stop-commands::{token}", flush=True)
        try:
            yield
        finally:
            # On a line of its own, also if the output of a program does not end with a newline.
            print(f"\n::{token}::", flush=True)


def graph_command(step: Step, command: str, arguments: Sequence[str]) -> list[str]:
    """Returns the command line of a command of the graph.

    Args:
        step: Its inputs say how to run Bazel, and which graph.
        command: The command, such as `build`.
        arguments: Its flags.

    Raises:
        ValueError: An input is invalid.
    """
    if not step.text("GRAPH"):
        raise ValueError("the input `graph` is missing: set it to the label of a databuild_graph")
    event_log = step.text("EVENT_LOG")
    return [
        *(step.words("BAZEL") or ["bazel"]),
        "run",
        *step.words("BAZEL_FLAGS"),
        step.text("GRAPH"),
        "--",
        command,
        *arguments,
        *([f"--event_log={event_log}"] if event_log else []),
        "--",
        *step.text("PARTITIONS").split(),
    ]


def _shortened(text: str, length: int) -> str:
    """Returns a text up to a length: its beginning, and its end, which says most in a log."""
    beginning = length // 4
    return text if len(text) <= length else f"{text[:beginning]} … {text[beginning + 3 - length :]}"


def _data(text: str) -> str:
    """Escapes the text of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escapes a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
