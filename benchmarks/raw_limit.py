"""Raw limit: the cheapest loop that starts the same processes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Final

from benchmarks.noop_job import NoopJob
from benchmarks.processes import BrokenRunError, Run
from benchmarks.shapes import Shape

RAW_LIMIT: Final = "raw limit"


class RawLimit:
    """Starts the job for each ref of a shape, and waits for free slots only."""

    name = RAW_LIMIT

    def __init__(self, shape: Shape, job: NoopJob, parallelism: int) -> None:
        """Prepares the command lines.

        Args:
            shape: The graph.
            job: The job.
            parallelism: The number of processes that run at once, unless the shape allows fewer.
        """
        self._program = job.path
        self._argvs = [(job.path, "exec", ref) for ref in shape.refs()]
        self._parallelism = min(parallelism, shape.parallelism)

    def run(self, environment: Mapping[str, str]) -> Run:
        program, parallelism = self._program, self._parallelism
        variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        running = failed = 0
        started = time.perf_counter()
        for argv in self._argvs:
            if running == parallelism:
                failed += os.wait()[1] != 0
                running -= 1
            os.posix_spawn(program, argv, variables)
            running += 1
        while running:
            failed += os.wait()[1] != 0
            running -= 1
        seconds = time.perf_counter() - started
        if failed:
            raise BrokenRunError(f"{failed} of {len(self._argvs)} processes of {program} failed")
        return Run(seconds=seconds)
