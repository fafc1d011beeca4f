"""Claiming ahead: the outputs of the next short tasks are claimed while others run, so that no slot waits for the log.

Claims are made through the observer. Other modules decide about readiness, retries and waiting for other builds. If
fewer tasks are ready than may be claimed, tasks that follow them are claimed as well (`following`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from databuild.graph.ports import Attempt, ExecutionObserver, PendingVerdicts, Verdict
from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.graph.following import Following

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


def granted(attempt: Attempt) -> Claimed:
    """Returns an attempt whose claim was granted before."""
    return Claimed(attempt, _Granted(), 0)


def _claimed(attempts: Sequence[Attempt], verdicts: PendingVerdicts) -> list[Claimed]:
    return [Claimed(attempt, verdicts, index) for index, attempt in enumerate(attempts)]


class ClaimAhead:
    """A queue of claimed attempts, refilled in batches while tasks are short."""

    def __init__(
        self,
        observer: ExecutionObserver,
        take: Callable[[], Attempt | None],
        wake: Callable[[int], None],
        following: Following,
        take_following: Callable[[int], Sequence[Attempt]],
        *,
        slots: int,
        short_seconds: float,
    ) -> None:
        """Claims nothing yet.

        Args:
            observer: Makes the claims.
            take: Takes the next ready attempt; returns None if none is ready.
            wake: Wakes idle slots for the further attempts of a batch; its argument is their maximum number.
            following: Keeps the followers until they can start.
            take_following: Takes attempts that follow others, up to a number.
            slots: The number of slots that use this queue.
            short_seconds: Tasks are claimed ahead while they take less than this.
        """
        self._observer = observer
        self._take = take
        self._wake = wake
        self._following = following
        self._take_following = take_following
        self._slots = slots
        self._max_claims = slots * CLAIMS_PER_SLOT
        self._short_seconds = short_seconds
        self._short = False
        self._refill: asyncio.Handle | None = None
        self._claimed: deque[Claimed] = deque()

    def observe_duration(self, seconds: float) -> None:
        self._short = seconds < self._short_seconds

    def make_room(self, queued: int) -> None:
        """Changes the number of attempts that may wait in a queue of the runner."""
        self._max_claims = self._slots * CLAIMS_PER_SLOT + queued * CLAIMS_PER_QUEUED

    def pop(self) -> Claimed | None:
        """Removes and returns the next attempt, after claiming more if necessary; None if no task is ready."""
        batch_size = 0 if self._claimed else 1
        held = len(self._claimed) + len(self._following)
        # Refilled when half empty: one claim operation for many tasks, and slots still have claimed ones meanwhile.
        refills = self._short and held <= self._max_claims // 2
        if refills:
            batch_size = self._max_claims + 1 - held
        batch: list[Attempt] = []
        while len(batch) < batch_size and (attempt := self._take()) is not None:
            batch.append(attempt)
        if batch:
            self.add(_claimed(batch, self._observer.claim(batch)))
            self._wake(len(batch) - 1)  # the caller takes one
        if refills and len(batch) < batch_size and self._refill is None:
            # Later, so that the claim of a task that can start does not wait in the same transaction.
            self._refill = asyncio.get_running_loop().call_soon(self._claim_following)
        return self._claimed.popleft() if self._claimed else None

    def __len__(self) -> int:
        return len(self._claimed)

    def _claim_following(self) -> None:
        self._refill = None
        held = len(self._claimed) + len(self._following)
        followers = self._take_following(self._max_claims + 1 - held)
        if not followers:
            return
        for claimed in _claimed(followers, self._observer.claim_following(followers)):
            if self._following.after(claimed.attempt.task) is None:
                self._following.wait(claimed)
            else:
                self._claimed.append(claimed)
                self._wake(1)

    def add(self, claimed: Iterable[Claimed]) -> None:
        """Adds claimed attempts behind the others."""
        self._claimed.extend(claimed)

    def put_back(self, claimed: Claimed) -> None:
        """Makes an attempt the next one again."""
        self._claimed.appendleft(claimed)

    def stop(self) -> None:
        """Claims nothing more unless it is asked to."""
        if self._refill is not None:
            self._refill.cancel()

    def drain(self) -> list[Claimed]:
        """Removes and returns all attempts of the queue."""
        claimed = list(self._claimed)
        self._claimed.clear()
        return claimed
