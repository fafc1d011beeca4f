"""The raw limit: the cheapest loop that starts the same processes."""

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
    """Starts the job for each ref of a shape, and waits for nothing but a free place."""

    name = RAW_LIMIT

    def __init__(self, shape: Shape, job: NoopJob, at_once: int) -> None:
        """Takes what to start.

        Args:
            shape: The graph.
            job: The job.
            at_once: How many processes run at once; fewer where the shape lets fewer.
        """
        self._program = job.path
        self._argvs = [(job.path, "exec", ref) for ref in shape.refs()]
        self._at_once = min(at_once, shape.at_once)

    def run(self, environment: Mapping[str, str]) -> Run:
        """Starts them all."""
        program, at_once = self._program, self._at_once
        variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        running = failed = 0
        started = time.perf_counter()
        for argv in self._argvs:
            if running == at_once:
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
