"""Maintenance of the event log on request: pruning and verification.

Both can take long. An answer to a request to prune covers a bounded amount of work. A verification runs in the
background, and a request waits for its result for a bounded time.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from databuild.errors import InvalidRequestError, OverloadedError, ShuttingDownError
from databuild.event_log.log import EventLog
from databuild.event_log.verify import verify
from databuild.model.build_request_id import new_build_request_id
from databuild.model.pruning import Pruned, PruneOptions
from databuild.model.views import Verification
from databuild.orchestration.coordination.build_ids import find_build
from databuild.orchestration.logs.log_folders import LogFolders
from databuild.orchestration.maintenance.pruning import prunable, prune
from databuild.service.resources.reader_pool import ReaderPool
from databuild.tuples import NamedTuple

MAX_SECONDS: Final = 20.0
"""The time after which a request to prune stops, and a request to verify returns without a result."""

MAX_VERIFICATIONS: Final = 16
"""The number of verifications that are kept. They run one after another."""


class _Run(NamedTuple):
    """A verification, and the builds whose faults it reports."""

    builds: tuple[str, ...]
    task: asyncio.Task[Verification]


class Maintenance:
    """Prunes and verifies the event log. Used from one event loop.

    Args:
        event_log: The event log.
        log_places: The places of job logs.
        readers: Read the event log.
        max_seconds: The time after which a request returns.
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        event_log: EventLog,
        log_places: Sequence[LogFolders],
        readers: ReaderPool,
        *,
        max_seconds: float = MAX_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._event_log = event_log
        self._log_places = log_places
        self._readers = readers
        self._max_seconds = max_seconds
        self._clock = clock
        self._closed = False
        self._pruning = asyncio.Lock()
        self._tasks: set[asyncio.Task[Pruned]] = set()
        self._verifying = asyncio.Lock()
        self._runs: dict[str, _Run] = {}

    async def prune(self, options: PruneOptions, *, dry_run: bool) -> Pruned:
        """Prunes for a bounded time; with `dry_run`, returns all that would be pruned and changes nothing.

        Raises:
            EventLogError: The event log failed.
        """
        now = self._clock()
        if dry_run:
            return await self._readers.read(lambda reader: prunable(reader, self._log_places, options, now))
        task = asyncio.create_task(self._prune_alone(options, now), name="pruning")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A request that is cancelled does not release the lock while its thread still prunes.
        return await asyncio.shield(task)

    async def verify(self, verification_id: str, builds: Sequence[str]) -> tuple[str, Verification | None]:
        """Starts a verification, or looks up one, and waits for its result for a bounded time.

        Args:
            verification_id: The verification; empty to start one.
            builds: The builds whose faults are reported; none for all.

        Returns:
            The id of the verification, and its result; None while it runs.

        Raises:
            BuildNotFoundError: There is no such build.
            InvalidRequestError: There is no such verification.
            OverloadedError: Too many verifications run already.
        """
        if verification_id:
            run = self._runs.get(verification_id)
            if run is None:
                raise InvalidRequestError(f"there is no verification {verification_id[:80]!r}; start one without an id")
        else:
            verification_id, run = await self._start(tuple(builds))
        done, _ = await asyncio.wait({run.task}, timeout=self._max_seconds)
        return verification_id, run.task.result() if done else None

    async def close(self) -> None:
        """Stops pruning after the current part, and abandons verifications."""
        self._closed = True
        for run in self._runs.values():
            run.task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _start(self, builds: tuple[str, ...]) -> tuple[str, _Run]:
        if self._closed:
            raise ShuttingDownError
        build_request_ids = await self._readers.read(
            lambda reader: tuple(find_build(reader, build).build_request_id for build in builds)
        )
        for old in list(self._runs):
            if len(self._runs) >= MAX_VERIFICATIONS and self._runs[old].task.done():
                del self._runs[old]
        if len(self._runs) >= MAX_VERIFICATIONS:
            raise OverloadedError(f"{MAX_VERIFICATIONS} verifications run or wait already")
        verification_id = new_build_request_id()
        task = asyncio.create_task(self._verify(build_request_ids), name=f"verification {verification_id}")
        run = self._runs[verification_id] = _Run(build_request_ids, task)
        return verification_id, run

    async def _prune_alone(self, options: PruneOptions, now: float) -> Pruned:
        async with self._pruning:
            if self._closed:
                raise ShuttingDownError
            return await asyncio.to_thread(self._prune, options, now)

    def _prune(self, options: PruneOptions, now: float) -> Pruned:
        end = time.monotonic() + self._max_seconds
        total = Pruned()
        reader, pruner = self._event_log.reader(), self._event_log.pruner()
        try:
            for part in prune(reader, pruner, self._log_places, options, now):
                total = total.plus(part)
                if self._closed or time.monotonic() >= end:
                    return total._replace(more=True)
        finally:
            pruner.close()
            reader.close()
        return total

    async def _verify(self, builds: tuple[str, ...]) -> Verification:
        async with self._verifying:
            loop = asyncio.get_running_loop()
            result: asyncio.Future[Verification] = loop.create_future()

            def settle(verification: Verification | None, error: BaseException | None) -> None:
                if result.cancelled():
                    return
                if verification is not None:
                    result.set_result(verification)
                elif error is not None:
                    result.set_exception(error)

            def work() -> None:
                verification: Verification | None = None
                failure: Exception | None = None
                reader = self._event_log.reader()
                try:
                    verification = verify(reader, builds)
                except Exception as error:
                    failure = error
                finally:
                    reader.close()
                with contextlib.suppress(RuntimeError):  # the event loop was closed meanwhile
                    loop.call_soon_threadsafe(settle, verification, failure)

            # A daemon, since a verification cannot be interrupted and must not delay the end of the service.
            threading.Thread(target=work, name="verification", daemon=True).start()
            return await result
