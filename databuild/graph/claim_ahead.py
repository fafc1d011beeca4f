"""Claiming ahead: the outputs of the next short tasks are claimed while others run, so that no slot waits for the log.

Claims are made through the observer. Readiness, retries and waiting for other builds are not decided here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from databuild.graph.ports import Attempt, ExecutionObserver, Preparing, Verdict

CLAIMS_PER_SLOT: Final = 16
"""Number of short tasks claimed ahead for each slot. The log answers before half of them have run."""

SHORT_SECONDS: Final = 0.02
"""Tasks that run for less than this are short. Behind longer tasks, claims would be held for too long before they are
used, and the time of a claim does not matter."""


class Claimed(NamedTuple):
    """An attempt whose claim is answered or under way."""

    attempt: Attempt
    preparing: Preparing
    position: int

    def may_start(self) -> bool:
        """Returns whether the claim is answered already and the attempt may start."""
        return self.preparing.done() and self.preparing.result()[self.position] is Verdict.START

    async def verdict(self) -> Verdict:
        """Waits for the answer to the claim."""
        return (await self.preparing)[self.position]


class ClaimAhead:
    """A queue of claimed attempts, refilled in batches while tasks are short."""

    def __init__(
        self,
        observer: ExecutionObserver,
        take: Callable[[], Attempt | None],
        wake: Callable[[int], None],
        *,
        slots: int,
        short_seconds: float,
    ) -> None:
        """Claims nothing yet.

        Args:
            observer: Makes the claims.
            take: Takes the next ready attempt; returns None if none is ready.
            wake: Wakes up to so many idle slots, one for each further attempt of a batch.
            slots: The number of slots that use this queue.
            short_seconds: Claims ahead while tasks take less than this.
        """
        self._observer = observer
        self._take = take
        self._wake = wake
        self._most = slots * CLAIMS_PER_SLOT
        self._short_seconds = short_seconds
        self._short = False
        self._claimed: deque[Claimed] = deque()

    def observe_duration(self, seconds: float) -> None:
        """Notes how long the last task ran."""
        self._short = seconds < self._short_seconds

    def pop(self) -> Claimed | None:
        """Returns the next attempt in line after claiming more if necessary; None if no task is ready."""
        wanted = 0 if self._claimed else 1
        if self._short and len(self._claimed) <= self._most // 2:
            wanted = self._most + 1 - len(self._claimed)
        batch: list[Attempt] = []
        while len(batch) < wanted and (attempt := self._take()) is not None:
            batch.append(attempt)
        if batch:
            preparing = self._observer.prepare(batch)
            self._claimed.extend(Claimed(attempt, preparing, index) for index, attempt in enumerate(batch))
            self._wake(len(batch) - 1)
        return self._claimed.popleft() if self._claimed else None

    def drain(self) -> list[Claimed]:
        """Removes and returns all attempts that are still in line."""
        claimed = list(self._claimed)
        self._claimed.clear()
        return claimed
