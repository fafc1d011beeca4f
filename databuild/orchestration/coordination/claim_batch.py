"""Claims of the outputs of attempts: the verdict on an answered claim, and batches of pending claims.

The event log makes the claims; `recording` writes the events that follow from a verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any

from databuild.errors import OrchestrationError
from databuild.event_log.coordination import Claim
from databuild.graph.ports import Verdict
from databuild.model.job_graph import Task
from databuild.orchestration.coordination.versions import Versions
from databuild.tuples import NamedTuple
from databuild.v1 import partition_pb2 as pt


def claim_verdict(claim: Claim, task: Task, versions: Versions, statuses: Mapping[str, int]) -> Verdict:
    """Decides about an attempt from the answer to its claim.

    Args:
        claim: The answer.
        task: The task of the attempt.
        versions: The versions of partitions that the build has planned, produced or found.
        statuses: The statuses of the build's own partitions, by ref.
    """
    if claim.short_of:
        return Verdict.RESOURCES_TAKEN
    if not claim.token:
        return Verdict.CLAIMED_ELSEWHERE
    # A failed attempt may have completed some outputs. Then the others are still missing, so the task runs again.
    partly_built = any(statuses[ref] == pt.PARTITION_STATUS_AVAILABLE for ref in task.config.outputs)
    if not partly_built and versions.built_elsewhere(task, claim.versions):
        return Verdict.REUSED
    return Verdict.START


class BatchVerdicts(NamedTuple):
    """The verdicts on a batch of claims.

    Attributes:
        verdicts: One verdict for each attempt.
        written: Must be done before any attempt starts; None if no attempt overwrites data. A run that overwrites data
            is logged before it starts, so that the build that ends a dead build can tell which data may have changed.
    """

    verdicts: Sequence[Verdict]
    written: asyncio.Future[None] | None = None


class ClaimBatch:
    """A batch of pending claims; implements `PendingVerdicts`."""

    def __init__(
        self,
        claims: Awaitable[Sequence[Claim]],
        judge: Callable[[Sequence[Claim]], BatchVerdicts],
        *,
        urgent: bool = True,
    ) -> None:
        """Waits for the answers to claims.

        Args:
            claims: The answers.
            judge: Called once, with the answers, as soon as they are there.
            urgent: True to have them written at once when they are awaited; False to let them share the transaction of
                other operations, which takes a few milliseconds longer.
        """
        self._claims = asyncio.ensure_future(claims)
        self._urgent = urgent
        self._judge = judge
        self._judged: BatchVerdicts | None = None
        self._claims.add_done_callback(self._answered)

    def done(self) -> bool:
        if not self._claims.done():
            return False
        # The callback of the future may not have run yet.
        self._answered(self._claims)
        written = self._judged.written if self._judged is not None else None
        return written is None or written.done()

    def result(self) -> Sequence[Verdict]:
        """Returns the verdicts.

        Raises:
            CoordinationError: The build may not continue.
            EventLogError: The claims could not be written.
        """
        return self._result().verdicts

    def __await__(self) -> Generator[Any, Any, Sequence[Verdict]]:
        yield from (self._claims if self._urgent else asyncio.wait((self._claims,))).__await__()
        verdicts, written = self._result()
        if written is not None:
            yield from written.__await__()
        return verdicts

    def _result(self) -> BatchVerdicts:
        if self._judged is None:
            self._judged = self._judge(self._claims.result())
        return self._judged

    def _answered(self, claims: asyncio.Future[Sequence[Claim]]) -> None:
        # Judges without waiting for a caller, so that the events of claimed attempts are written while other tasks run.
        # An error is raised by `result` or `await`.
        if not claims.cancelled() and claims.exception() is None:
            with contextlib.suppress(OrchestrationError):
                self._result()
