"""Claiming ahead: the outputs of the next short tasks are claimed while others run, so that no slot waits for the log.

Claims are made through the observer. Other modules decide about readiness, retries and waiting for other builds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

from databuild.graph.ports import Attempt, ExecutionObserver, PendingVerdicts, Verdict
from databuild.tuples import NamedTuple

CLAIMS_PER_SLOT: Final = 16
"""Number of short tasks claimed ahead for each slot. The log answers before half of them have run."""

CLAIMS_PER_QUEUED: Final = 3
"""Number of short tasks claimed ahead in addition for each that may wait in a queue of the runner, which takes many in
one go."""

SHORT_SECONDS: Final = 0.02
"""Tasks that run for less than this are short. Behind longer tasks, claims would be held for too long before they are
used, and the time of a claim does not matter."""


class Claimed(NamedTuple):
    """An attempt whose claim is answered or pending; `position` is its index in the batch of claims."""

    attempt: Attempt
    verdicts: PendingVerdicts
    position: int

    def may_start(self) -> bool:
        """Returns True if the attempt may start now; never waits."""
        return self.verdicts.done() and self.verdicts.result()[self.position] is Verdict.START

    async def verdict(self) -> Verdict:
        return (await self.verdicts)[self.position]


class _Granted:
    """The verdict on an attempt that was granted before."""

    def done(self) -> bool:
        return True

    def result(self) -> Sequence[Verdict]:
        return (Verdict.START,)

    def __await__(self) -> Generator[Any, Any, Sequence[Verdict]]:
        yield from ()
        return self.result()


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
            wake: Wakes idle slots for the further attempts of a batch; its argument is their maximum number.
            slots: The number of slots that use this queue.
            short_seconds: Tasks are claimed ahead while they take less than this.
        """
        self._observer = observer
        self._take = take
        self._wake = wake
        self._slots = slots
        self._max_claims = slots * CLAIMS_PER_SLOT
        self._short_seconds = short_seconds
        self._short = False
        self._claimed: deque[Claimed] = deque()

    def observe_duration(self, seconds: float) -> None:
        self._short = seconds < self._short_seconds

    def make_room(self, queued: int) -> None:
        """Changes the number of attempts that may wait in a queue of the runner."""
        self._max_claims = self._slots * CLAIMS_PER_SLOT + queued * CLAIMS_PER_QUEUED

    def pop(self) -> Claimed | None:
        """Removes and returns the next attempt, after claiming more if necessary; None if no task is ready."""
        batch_size = 0 if self._claimed else 1
        # Refilled when half empty: one claim operation for many tasks, and slots still have claimed ones meanwhile.
        if self._short and len(self._claimed) <= self._max_claims // 2:
            batch_size = self._max_claims + 1 - len(self._claimed)
        batch: list[Attempt] = []
        while len(batch) < batch_size and (attempt := self._take()) is not None:
            batch.append(attempt)
        if batch:
            verdicts = self._observer.claim(batch)
            self._claimed.extend(Claimed(attempt, verdicts, index) for index, attempt in enumerate(batch))
            self._wake(len(batch) - 1)  # the caller takes one
        return self._claimed.popleft() if self._claimed else None

    def __len__(self) -> int:
        return len(self._claimed)

    def put_back(self, claimed: Claimed) -> None:
        """Makes an attempt the next one again."""
        self._claimed.appendleft(claimed)

    def put_back_granted(self, attempt: Attempt) -> None:
        """Makes an attempt, whose claim was granted, the next one again."""
        self._claimed.appendleft(Claimed(attempt, _Granted(), 0))

    def drain(self) -> list[Claimed]:
        """Removes and returns all attempts of the queue."""
        claimed = list(self._claimed)
        self._claimed.clear()
        return claimed
