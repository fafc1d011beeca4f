"""Makes the job that does nothing: a native program where there is a C compiler, else a shell script."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COUNT_VARIABLE: Final = "BENCHMARK_COUNT"
"""Names the file to which each `exec` appends a byte, where processes are to be counted."""

_SOURCES = Path(__file__).parent
# A static program is the cheapest to start; not every machine has the static C library.
_WAYS_TO_COMPILE = (("static C program", ("-O2", "-static")), ("C program", ("-O2",)))
_COMPILERS = ("cc", "gcc", "clang")


@dataclass(frozen=True, kw_only=True, slots=True)
class NoopJob:
    """The job that does nothing.

    Attributes:
        path: Its executable.
        kind: What the executable is, in words.
    """

    path: str
    kind: str


def make_noop_job(folder: Path, *, search_path: str | None = None) -> NoopJob:
    """Makes the job in a folder.

    Args:
        folder: Where the executable goes.
        search_path: Where a compiler is looked for, where not on the PATH.
    """
    program = folder / "noop_job"
    found = (shutil.which(name, path=search_path) for name in _COMPILERS)
    compiler = next((path for path in found if path), None)
    if compiler:
        for kind, options in _WAYS_TO_COMPILE:
            if _compiled(compiler, options, program):
                return NoopJob(path=str(program), kind=kind)
    shutil.copy(_SOURCES / "noop_job.sh", program)
    program.chmod(0o755)
    return NoopJob(path=str(program), kind="shell script")


def _compiled(compiler: str, options: Sequence[str], program: Path) -> bool:
    command = (compiler, *options, "-o", str(program), str(_SOURCES / "noop_job.c"))
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class ProcessCount:
    """Counts how often the job has been started with `exec`."""

    def __init__(self, folder: Path) -> None:
        """Takes a folder to count in."""
        self._file = folder / "count"

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Returns environment variables with which processes are counted."""
        return {**environment, COUNT_VARIABLE: os.fspath(self._file)}

    def take(self) -> int:
        """Returns how many there were since the last time."""
        if not self._file.exists():
            return 0
        count = self._file.stat().st_size
        self._file.unlink()
        return count
