"""The no-op job: a native program if the machine has a C compiler, else a shell script."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.c_programs import compile_program

COUNT_VARIABLE: Final = "BENCHMARK_COUNT"
"""The environment variable with the file to which each `exec` appends a byte, to count processes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoopJob:
    """The no-op job.

    Attributes:
        path: The path of its executable.
        kind: The kind of executable, in words.
    """

    path: str
    kind: str


def make_noop_job(folder: Path, *, search_path: str | None = None) -> NoopJob:
    """Compiles the job, or copies the script.

    Args:
        folder: The folder for the executable.
        search_path: The search path for a compiler; None for PATH.
    """
    program = folder / "noop_job"
    if kind := compile_program("noop_job.c", program, search_path=search_path):
        return NoopJob(path=str(program), kind=kind)
    shutil.copy(Path(__file__).with_name("noop_job.sh"), program)
    program.chmod(0o755)
    return NoopJob(path=str(program), kind="shell script")


class ProcessCount:
    """Counts the processes of the job that were started with `exec`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "count"

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Adds the variable that makes processes count themselves."""
        return {**environment, COUNT_VARIABLE: os.fspath(self._file)}

    def take(self) -> int:
        """Returns the number of processes since the last call."""
        if not self._file.exists():
            return 0
        count = self._file.stat().st_size
        self._file.unlink()
        return count
