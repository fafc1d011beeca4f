"""Raw limit: the cheapest loop that starts the same processes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
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
        self._argvs = [(job.path, "exec", ref) for ref in shape.refs()]
        self._parallelism = min(parallelism, shape.parallelism)

    def run(self, environment: Mapping[str, str]) -> Run:
        return Run(seconds=start_all(self._argvs, self._parallelism, environment))


def start_all(argvs: Sequence[tuple[str, ...]], parallelism: int, environment: Mapping[str, str]) -> float:
    """Starts programs in order, so many at once, and returns the time until the end of the last.

    Raises:
        BrokenRunError: A program failed.
    """
    variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
    running = failed = 0
    started = time.perf_counter()
    for argv in argvs:
        if running == parallelism:
            failed += os.wait()[1] != 0
            running -= 1
        os.posix_spawn(argv[0], argv, variables)
        running += 1
    while running:
        failed += os.wait()[1] != 0
        running -= 1
    seconds = time.perf_counter() - started
    if failed:
        raise BrokenRunError(f"{failed} of {len(argvs)} processes of {argvs[0][0]} failed")
    return seconds
