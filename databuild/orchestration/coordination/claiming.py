"""Claims of outputs: the verdict on an answered claim, and claims that are under way.

Claims are made by the event log, and the events that follow from a verdict are written by `recording`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from databuild.errors import OrchestrationError
from databuild.event_log.coordination import Claim
from databuild.graph.ports import Verdict
from databuild.model.job_graph import Task
from databuild.orchestration.coordination.versions import Versions
from databuild.v1 import partition_pb2 as pt


def verdict_on(claim: Claim, task: Task, versions: Versions, statuses: Mapping[str, int]) -> Verdict:
    """Decides about an attempt whose claim was answered.

    Args:
        claim: The answer.
        task: The task of the attempt.
        versions: The versions of partitions that the build has planned, made or found.
        statuses: The statuses of the build's own partitions, by ref.
    """
    if claim.short_of:
        return Verdict.NOT_YET
    if not claim.token:
        return Verdict.LATER
    made_by_this_build = any(statuses[ref] == pt.PARTITION_STATUS_AVAILABLE for ref in task.config.outputs)
    if not made_by_this_build and versions.made_by_another(task, claim.versions):
        return Verdict.REUSED
    return Verdict.START


class Judged(NamedTuple):
    """The verdicts on claims.

    Attributes:
        verdicts: One verdict for each attempt.
        written: Must be done before any attempt starts; None if none overwrites data. A run that overwrites data is
            logged before it starts, so that the build that ends a dead one can tell which data it may have changed.
    """

    verdicts: Sequence[Verdict]
    written: asyncio.Future[None] | None = None


class Claiming:
    """Fits `Preparing`."""

    def __init__(self, claims: Awaitable[Sequence[Claim]], judge: Callable[[Sequence[Claim]], Judged]) -> None:
        """Calls `judge` with the answers to the claims as soon as they are there."""
        self._claims = asyncio.ensure_future(claims)
        self._judge = judge
        self._judged: Judged | None = None
        self._claims.add_done_callback(self._answered)

    def done(self) -> bool:
        """Returns whether the verdicts are there and may be followed."""
        if not self._claims.done():
            return False
        self._answered(self._claims)
        written = self._judged.written if self._judged is not None else None
        return written is None or written.done()

    def result(self) -> Sequence[Verdict]:
        """Returns the verdicts.

        Raises:
            CoordinationError: The build may not go on.
            EventLogError: The claims could not be written.
        """
        return self._result().verdicts

    def __await__(self) -> Generator[Any, Any, Sequence[Verdict]]:
        """Waits until the verdicts are there, and may be followed."""
        yield from self._claims.__await__()
        verdicts, written = self._result()
        if written is not None:
            yield from written.__await__()
        return verdicts

    def _result(self) -> Judged:
        if self._judged is None:
            self._judged = self._judge(self._claims.result())
        return self._judged

    def _answered(self, claims: asyncio.Future[Sequence[Claim]]) -> None:
        # Judged at once, so that the events of what may start are written while others run. An error is raised to whom
        # asks for the result.
        if not claims.cancelled() and claims.exception() is None:
            with contextlib.suppress(OrchestrationError):
                self._result()
