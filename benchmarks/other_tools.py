"""Other build tools that the machine has: the same graph, the same commands, as many at once."""

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
MAKE: Final = "make"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A build tool.

    Attributes:
        name: The name of its program.
        file_name: What its build file is called.
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
    # What is phony is made each time, and no implicit rule is looked for.
    lines = [f"all: {request_of(shape)}\n.PHONY: all {' '.join(shape.refs())}\n"]
    lines += [f"{ref}: {' '.join(shape.inputs(ref))}".rstrip() + f"\n\t{job.path} exec {ref}\n" for ref in shape.refs()]
    return "".join(lines)


TOOLS: Final = (
    Tool(name=NINJA, file_name="build.ninja", text=_ninja_file),
    Tool(name=MAKE, file_name="Makefile", text=_makefile),
)


def installed_tools() -> dict[str, str]:
    """Returns the path of each tool that this machine has, by name."""
    found = {tool.name: shutil.which(tool.name) for tool in TOOLS}
    return {name: path for name, path in found.items() if path}


class ToolBuild:
    """Builds a graph with a tool, from nothing each time, as the job makes no file."""

    def __init__(self, tool: Tool, program: str, folder: Path, shape: Shape, job: NoopJob, at_once: int) -> None:
        """Writes the build file.

        Args:
            tool: The tool.
            program: The path of its program.
            folder: Where to build; it is made.
            shape: The graph.
            job: The job.
            at_once: How many processes run at once.
        """
        self.name = tool.name
        self._folder = folder
        self._argv = (program, "-C", str(folder), f"-j{at_once}")
        folder.mkdir(parents=True)
        (folder / tool.file_name).write_text(tool.text(shape, job))

    def run(self, environment: Mapping[str, str]) -> Run:
        """Builds."""
        for kept in (".ninja_log", ".ninja_deps"):
            (self._folder / kept).unlink(missing_ok=True)
        return run_process(self._argv, environment, self._folder / "output")
