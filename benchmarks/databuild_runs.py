"""Runs of DataBuild's command line in a process of its own, on a catalog as Bazel would write it.

The launcher of a graph (rules/private/launcher.sh.tpl) runs the same interpreter on the same file.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.noop_job import NoopJob
from benchmarks.processes import BrokenRunError, Run, run_process
from benchmarks.shapes import Declared, Shape, request_of
from tools.python import child

BUILD: Final = "DataBuild build"
BUILD_AGAIN: Final = "DataBuild build again"
PLAN: Final = "DataBuild plan"
PLAN_DECLARED: Final = "DataBuild plan, declared"
STATUS: Final = "DataBuild status"

_STATE = "state"
_EMPTY_STATE = "nowhere"


def python_environment(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Returns the environment of a process that runs in a folder.

    Python may write compiled modules, as it does by default: compiling them for each run is not a cost of DataBuild.
    """
    return {
        **{name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "BUILD_WORKING_DIRECTORY": str(folder),
        "BUILD_WORKSPACE_DIRECTORY": str(folder),
    }


def bare_python_argv() -> tuple[str, ...]:
    """Returns a command line that starts the interpreter and does nothing."""
    return (sys.executable, "-I", "-c", "pass")


class Graph:
    """A graph of no-op jobs in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        shape: Shape,
        job: NoopJob,
        *,
        declared: bool = False,
        worker: bool = False,
        extensions: Sequence[str] = (),
    ) -> None:
        """Creates the folder and writes the catalog.

        Args:
            folder: The folder.
            shape: The shape of the graph.
            job: The job.
            declared: True to declare the inputs, False to let the job answer `config`.
            worker: True to serve the job by workers, whose protocol it speaks.
            extensions: The extensions of the graph, whose packages this process has.
        """
        folder.mkdir(parents=True)
        self.folder = folder
        self.tasks = shape.tasks
        self.request = request_of(shape)
        self.declared = declared
        jobs: list[dict[str, Any]] = [{"outputs": shape.patterns}]
        if declared:
            jobs = [{"outputs": [one.output], "declaration": _declaration(one)} for one in shape.declared]
        for number, entry in enumerate(jobs):
            entry |= {"label": f"//{shape.name}:job_{number}", "executable": job.path}
            if worker:
                entry["worker"] = {}
        catalog = {
            "graphLabel": f"//{shape.name}:graph",
            "jobs": jobs,
            "extensions": {extension: {} for extension in extensions},
        }
        (folder / "catalog.json").write_text(json.dumps(catalog))

    def command(self, state: str, command: str, *arguments: str) -> tuple[str, ...]:
        """Returns a command line whose state directory is the subfolder `state`."""
        return self._command(command, f"--state_dir={self.folder}/{state}", *arguments)

    def command_to(self, server: str, command: str, *arguments: str) -> tuple[str, ...]:
        """Returns a command line that uses a service."""
        return self._command(command, f"--server={server}", *arguments)

    def build_record(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """Returns the JSON output of `status` for the last build."""
        output = self.folder / "status.json"
        run_process(self.command(_STATE, "status", "--output=json"), environment, output)
        record: dict[str, Any] = json.loads(output.read_text())
        return record

    def _command(self, command: str, *arguments: str) -> tuple[str, ...]:
        flags = (f"--catalog={self.folder}/catalog.json", f"--runfiles={self.folder}")
        return tuple(child.command(main_file(), *flags, command, *arguments))


def _declaration(job: Declared) -> dict[str, Any]:
    """Returns the declaration of a job as in the job catalog. Its argument makes the no-op job do nothing."""
    return {"inputs": job.inputs, "optionalInputs": job.optional_inputs, "bounds": job.bounds, "args": ["exec"]}


class _Command:
    """Base of the contestants that run one command on a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def _run(self, environment: Mapping[str, str], state: str, command: str, *arguments: str) -> Run:
        variables = python_environment(environment, self._graph.folder)
        return run_process(self._graph.command(state, command, *arguments), variables, self._graph.folder / "output")


class Plan(_Command):
    """Plans a graph without records."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.name = PLAN_DECLARED if graph.declared else PLAN

    def run(self, environment: Mapping[str, str]) -> Run:
        run = self._run(environment, _EMPTY_STATE, "plan", self._graph.request)
        output = (self._graph.folder / "output").read_text()
        if f"would build {self._graph.tasks} partition" not in output:
            raise BrokenRunError(f"the plan does not have {self._graph.tasks} partitions:\n{output[:500]}")
        return run


class Build(_Command):
    """Builds a graph: from nothing, or again when all partitions are fresh."""

    def __init__(self, graph: Graph, *, parallelism: int, again: bool = False, flags: Sequence[str] = ()) -> None:
        super().__init__(graph)
        self._flags = (f"--jobs={parallelism}", *flags)
        self.name = BUILD_AGAIN if again else BUILD
        self._again = again

    def run(self, environment: Mapping[str, str]) -> Run:
        if not self._again:
            shutil.rmtree(self._graph.folder / _STATE, ignore_errors=True)
        run = self._run(environment, _STATE, "build", *self._flags, self._graph.request)
        record = self._graph.build_record(python_environment(environment, self._graph.folder))
        expected = 0 if self._again else self._graph.tasks
        if record["status"] != "COMPLETED" or record["jobs_completed"] != expected:
            raise BrokenRunError(f"the build did not complete {expected} tasks: {record}")
        # Sequence numbers have no gaps, so the last one is the number of events.
        return dataclasses.replace(run, events=record["last_sequence"])


class Status(_Command):
    """Prints the status of the last build."""

    name = STATUS

    def run(self, environment: Mapping[str, str]) -> Run:
        return self._run(environment, _STATE, "status")


def main_file() -> str:
    """Returns the path of the command line's main module.

    Raises:
        BrokenRunError: The module cannot be imported.
    """
    spec = importlib.util.find_spec("databuild.cli.__main__")
    if spec is None or spec.origin is None:
        raise BrokenRunError("the module databuild.cli.__main__ cannot be imported")
    return spec.origin
