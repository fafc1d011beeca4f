"""Claims of outputs that were asked for, and what follows from the answers.

What the verdicts are, it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple

from databuild.errors import OrchestrationError
from databuild.event_log.coordination import Claim
from databuild.graph.ports import Verdict


class Judged(NamedTuple):
    """What follows from claims.

    Attributes:
        verdicts: What becomes of the attempts.
        written: What must be done before any starts: data that is there may only be changed by a job run that the
            event log knows, so that whoever ends a dead build can tell what it may have changed.
    """

    verdicts: Sequence[Verdict]
    written: asyncio.Future[None] | None = None


class Claiming:
    """Fits `Preparing`."""

    def __init__(self, claims: Awaitable[Sequence[Claim]], judge: Callable[[Sequence[Claim]], Judged]) -> None:
        """Takes claims that are on their way, and what decides by the answers."""
        self._claims = asyncio.ensure_future(claims)
        self._judge = judge
        self._judged: Judged | None = None
        self._claims.add_done_callback(self._answered)

    def done(self) -> bool:
        """Whether the verdicts are there, and may be followed."""
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
