"""Other build tools on this machine, for the same graphs, commands and parallelism."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.noop_job import NoopJob
from benchmarks.processes import Run, run_process
from benchmarks.shapes import Shape, request_of

NINJA: Final = "ninja"
NINJA_PLAN: Final = "ninja -n"
MAKE: Final = "make"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A build tool.

    Attributes:
        name: The name of its program.
        file_name: The name of its build file.
        text: Returns the build file of a graph.
    """

    name: str
    file_name: str
    text: Callable[[Shape, NoopJob], str]


def _ninja_file(shape: Shape, job: NoopJob) -> str:
    lines = [f"rule run\n  command = {job.path} exec $out\n"]
    lines += [f"build {ref}: run {' '.join(shape.inputs(ref))}".rstrip() + "\n" for ref in shape.refs()]
    return "".join(lines)


def _makefile(shape: Shape, job: NoopJob) -> str:
    # Phony targets are built each time, and make searches no implicit rules for them.
    lines = [f"all: {request_of(shape)}\n.PHONY: all {' '.join(shape.refs())}\n"]
    lines += [f"{ref}: {' '.join(shape.inputs(ref))}".rstrip() + f"\n\t{job.path} exec {ref}\n" for ref in shape.refs()]
    return "".join(lines)


TOOLS: Final = (
    Tool(name=NINJA, file_name="build.ninja", text=_ninja_file),
    Tool(name=MAKE, file_name="Makefile", text=_makefile),
)


def installed_tools() -> dict[str, str]:
    """Returns the path of each tool that is installed, by name."""
    paths = {tool.name: shutil.which(tool.name) for tool in TOOLS}
    return {name: path for name, path in paths.items() if path}


class ToolBuild:
    """Builds a graph with a tool. Each run builds everything, since the job writes no files."""

    def __init__(self, tool: Tool, program: str, folder: Path, shape: Shape, job: NoopJob, parallelism: int) -> None:
        """Writes the build file.

        Args:
            tool: The tool.
            program: The path of its program.
            folder: The folder for the build, which is created.
            shape: The graph.
            job: The job.
            parallelism: The number of processes that run at once.
        """
        self.name = tool.name
        self._folder = folder
        self._argv: tuple[str, ...] = (program, "-C", str(folder), f"-j{parallelism}")
        folder.mkdir(parents=True)
        (folder / tool.file_name).write_text(tool.text(shape, job))

    def run(self, environment: Mapping[str, str]) -> Run:
        for ninja_file in (".ninja_log", ".ninja_deps"):
            (self._folder / ninja_file).unlink(missing_ok=True)
        return run_process(self._argv, environment, self._folder / "output")


class NinjaPlan(ToolBuild):
    """Lets ninja plan a graph: it prints the commands that it would run."""

    def __init__(self, program: str, folder: Path, shape: Shape, job: NoopJob) -> None:
        """Writes the build file; the arguments are those of ToolBuild."""
        ninja = next(tool for tool in TOOLS if tool.name == NINJA)
        super().__init__(ninja, program, folder, shape, job, 1)
        self.name = NINJA_PLAN
        self._argv = (*self._argv, "-n")
