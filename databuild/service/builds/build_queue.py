"""The queue of builds: a limited number of slots, which submitters get in turns.

This module knows nothing of builds except their ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain, zip_longest

from databuild.errors import OverloadedError

_SubmitterQueue = dict[str, "asyncio.Future[str]"]
"""The waiting builds of one submitter, in the order of their arrival."""


class BuildQueue:
    """Gives slots to submitters in turns (round-robin), and to the builds of each submitter in the order of arrival.

    A submitter with many builds therefore does not delay the others.

    Args:
        slots: The number of builds that run at once.
        max_waiting: The number of builds that may wait.
    """

    def __init__(self, slots: int, max_waiting: int) -> None:
        self._free_slots = slots
        self._max_waiting = max_waiting
        self._stopped = False
        self._queues: dict[str, _SubmitterQueue] = {}
        self._submitter_of: dict[str, str] = {}

    def __len__(self) -> int:
        """Returns the number of waiting builds."""
        return len(self._submitter_of)

    @property
    def order(self) -> Sequence[str]:
        """The waiting builds, in the order in which they get slots if no further builds arrive."""
        rounds = zip_longest(*self._queues.values())
        return [build for build in chain.from_iterable(rounds) if build is not None]

    def position(self, build_request_id: str) -> int:
        """Returns the position of a build in the order, from 1; 0 if it does not wait."""
        submitter = self._submitter_of.get(build_request_id)
        if submitter is None:
            return 0
        queue = self._queues[submitter]
        # From the end: most callers ask about a build that has just arrived.
        behind = next(number for number, build in enumerate(reversed(queue)) if build == build_request_id)
        turn = len(queue) - behind
        position = turn
        rounds = turn  # the number of rounds in which a submitter has its turn before that of the build
        for other, waiting in self._queues.items():
            if other == submitter:
                rounds -= 1
            else:
                position += min(len(waiting), rounds)
        return position

    def check_capacity(self) -> None:
        """Checks that another build may wait.

        Raises:
            OverloadedError: The queue is full.
        """
        if len(self) >= self._max_waiting:
            raise OverloadedError(f"{len(self)} builds are in the queue")

    async def acquire(self, build_request_id: str, submitter: str) -> str:
        """Waits for a slot. The caller has to `release` it.

        Returns:
            The author of a cancellation, if the build was cancelled and has no slot; else empty.
        """
        slot: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(submitter, {})[build_request_id] = slot
        self._submitter_of[build_request_id] = submitter
        self._assign_slots()
        try:
            return await slot
        except asyncio.CancelledError:
            if slot.cancelled():
                self._remove(build_request_id)
            elif not slot.result():
                # The slot was assigned in the same moment, and the caller does not know of it.
                self.release()
            raise

    def release(self) -> None:
        """Returns a slot."""
        self._free_slots += 1
        self._assign_slots()

    def cancel(self, build_request_id: str, author: str) -> None:
        """Removes a build from the queue. Does nothing if it does not wait."""
        slot = self._remove(build_request_id)
        if slot is not None and not slot.done():
            slot.set_result(author)

    def stop(self) -> None:
        """Assigns no more slots."""
        self._stopped = True

    def _assign_slots(self) -> None:
        while self._free_slots and self._queues and not self._stopped:
            submitter, queue = next(iter(self._queues.items()))
            slot = self._remove(next(iter(queue)))
            if submitter in self._queues:
                # The dict is ordered by insertion: the submitter moves behind all others.
                self._queues[submitter] = self._queues.pop(submitter)
            if slot is not None and not slot.done():
                self._free_slots -= 1
                slot.set_result("")

    def _remove(self, build_request_id: str) -> asyncio.Future[str] | None:
        submitter = self._submitter_of.pop(build_request_id, None)
        if submitter is None:
            return None
        queue = self._queues[submitter]
        slot = queue.pop(build_request_id)
        if not queue:
            del self._queues[submitter]
        return slot
