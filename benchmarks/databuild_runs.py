"""Runs DataBuild as a user does: its command line in a process of its own, on a catalog as Bazel would write it.

The launcher of a graph execs the same interpreter on the same file; rules/private/launcher.sh.tpl says how.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.noop_job import NoopJob
from benchmarks.processes import BrokenRunError, Run, run_process
from benchmarks.shapes import Shape, request_of
from tools.python import child

BUILD: Final = "DataBuild build"
BUILD_AGAIN: Final = "DataBuild build again"
PLAN: Final = "DataBuild plan"
STATUS: Final = "DataBuild status"

_STATE = "state"
_NOWHERE = "nowhere"


def python_environment(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Returns variables with which jobs run in a folder.

    It keeps modules compiled, as it does where nobody tells it otherwise: to compile them each time is not ours.
    """
    return {
        **{name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "BUILD_WORKING_DIRECTORY": str(folder),
        "BUILD_WORKSPACE_DIRECTORY": str(folder),
    }


def bare_python_argv() -> tuple[str, ...]:
    """Returns what starts the interpreter and does nothing."""
    return (sys.executable, "-I", "-c", "pass")


class Graph:
    """A graph of the job that does nothing, in a folder of its own."""

    def __init__(self, folder: Path, shape: Shape, job: NoopJob) -> None:
        """Writes the catalog; the folder is made."""
        folder.mkdir(parents=True)
        self.folder = folder
        self.tasks = shape.tasks
        self.request = request_of(shape)
        entry = {"label": f"//{shape.name}:job", "executable": job.path, "outputs": shape.patterns}
        (folder / "catalog.json").write_text(json.dumps({"graphLabel": f"//{shape.name}:graph", "jobs": [entry]}))

    def command(self, state: str, command: str, *arguments: str) -> tuple[str, ...]:
        """Returns a command line that keeps its state in a folder of that name."""
        return self._command(command, f"--state_dir={self.folder}/{state}", *arguments)

    def command_to(self, server: str, command: str, *arguments: str) -> tuple[str, ...]:
        """Returns a command line that asks a service."""
        return self._command(command, f"--server={server}", *arguments)

    def build_record(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """Returns what `status` says of the last build."""
        output = self.folder / "status.json"
        run_process(self.command(_STATE, "status", "--output=json"), environment, output)
        record: dict[str, Any] = json.loads(output.read_text())
        return record

    def _command(self, command: str, *arguments: str) -> tuple[str, ...]:
        flags = (f"--catalog={self.folder}/catalog.json", f"--runfiles={self.folder}")
        return tuple(child.command(main_file(), *flags, command, *arguments))


class _Command:
    """One command on a graph; a class for each is below."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def _run(self, environment: Mapping[str, str], state: str, command: str, *arguments: str) -> Run:
        variables = python_environment(environment, self._graph.folder)
        return run_process(self._graph.command(state, command, *arguments), variables, self._graph.folder / "output")


class Plan(_Command):
    """Plans a graph of which nothing is known."""

    name = PLAN

    def run(self, environment: Mapping[str, str]) -> Run:
        """Plans, and checks that all of it would be built."""
        run = self._run(environment, _NOWHERE, "plan", self._graph.request)
        said = (self._graph.folder / "output").read_text()
        if f"would build {self._graph.tasks} partition" not in said:
            raise BrokenRunError(f"the plan is not of {self._graph.tasks} partitions:\n{said[:500]}")
        return run


class Build(_Command):
    """Builds a graph, from nothing or where nothing is to do."""

    def __init__(self, graph: Graph, *, at_once: int, again: bool = False) -> None:
        super().__init__(graph)
        self.name = BUILD_AGAIN if again else BUILD
        self._again = again
        self._at_once = at_once

    def run(self, environment: Mapping[str, str]) -> Run:
        """Builds, and checks what the event log says about it."""
        if not self._again:
            shutil.rmtree(self._graph.folder / _STATE, ignore_errors=True)
        run = self._run(environment, _STATE, "build", f"--jobs={self._at_once}", self._graph.request)
        record = self._graph.build_record(python_environment(environment, self._graph.folder))
        expected = 0 if self._again else self._graph.tasks
        if record["status"] != "COMPLETED" or record["jobs_completed"] != expected:
            raise BrokenRunError(f"the build did not complete {expected} tasks: {record}")
        # Sequence numbers have no gaps.
        return Run(seconds=run.seconds, peak_memory_bytes=run.peak_memory_bytes, events=record["last_sequence"])


class Status(_Command):
    """Asks how the last build stands."""

    name = STATUS

    def run(self, environment: Mapping[str, str]) -> Run:
        """Asks."""
        return self._run(environment, _STATE, "status")


def main_file() -> str:
    """Returns the file of the command line's program.

    Raises:
        BrokenRunError: It cannot be imported.
    """
    found = importlib.util.find_spec("databuild.cli.main")
    if found is None or found.origin is None:
        raise BrokenRunError("the command line of DataBuild is not among the modules that can be imported")
    return found.origin
