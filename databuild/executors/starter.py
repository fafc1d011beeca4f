"""Starts processes, and waits while the machine lacks descriptors, processes or memory."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping
from typing import Final

from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.fd_poller import FdPoller
from databuild.executors.running_process import RunningProcess
from databuild.executors.spawning import Spawner
from databuild.executors.start_faults import EXHAUSTED

_MIN_BACKOFF_SECONDS: Final = 0.01
_MAX_BACKOFF_SECONDS: Final = 1.0


class Starter:
    """Starts the processes of one executor.

    Attributes:
        spawner: Starts single processes.
        poller: Polls their pipes and pidfds.
        running: The number of processes that run for their callers, which count it.
        give_way: Called when a start fails for lack of resources; ends processes that nobody needs.
    """

    def __init__(self, base_env: Mapping[str, str], descriptor_limit: DescriptorLimit, start_seconds: float) -> None:
        """Starts nothing yet.

        Args:
            base_env: The base environment; the variables of each process override it.
            descriptor_limit: The limit on open files of this process.
            start_seconds: The time for which a start waits while none of our processes runs.
        """
        self.spawner: Final = Spawner(base_env)
        self.poller: Final = FdPoller()
        self.running = 0
        self.give_way: Callable[[], None] = lambda: None
        self._descriptor_limit = descriptor_limit
        self._start_seconds = start_seconds

    async def start(self, start: Callable[[int | None], RunningProcess]) -> RunningProcess:
        """Starts a process; retries with back-off while the machine lacks descriptors, processes or memory.

        Args:
            start: Starts the process once, with the given soft limit on open files; None to inherit that limit.

        Raises:
            OSError: The process cannot be started.
        """
        waited = 0.0
        pause = _MIN_BACKOFF_SECONDS
        limit = self._descriptor_limit
        while True:
            try:
                running = start(limit.raised_from)
            except OSError as error:
                # Each of our processes releases resources when it ends, so wait without limit while any run. Other
                # programs may never release theirs.
                if error.errno not in EXHAUSTED or (not self.running and waited >= self._start_seconds):
                    raise
                waited = 0.0 if self.running else waited + pause
                if error.errno == errno.EMFILE:
                    limit.raise_limit()
                self.give_way()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_BACKOFF_SECONDS)
                continue
            limit.opened(running.highest_descriptor)
            return running
