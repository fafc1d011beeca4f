"""Which build goes next: so many run at once, and the submitters of the others take turns.

It decides and lets wait; it does not know what a build is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain, zip_longest

from databuild.errors import OverloadedError

_Line = dict[str, "asyncio.Future[str]"]
"""The builds of one submitter that wait, in the order in which they came."""


class BuildQueue:
    """Gives turns: to the submitters one after another, and to the builds of each in the order in which they came."""

    def __init__(self, at_once: int, max_waiting: int) -> None:
        """Takes how many builds may have their turn at once, and how many may wait for it."""
        self._free = at_once
        self._most_waiting = max_waiting
        self._stopped = False
        self._lines: dict[str, _Line] = {}
        self._submitter_of: dict[str, str] = {}

    def __len__(self) -> int:
        """Returns how many builds wait."""
        return len(self._submitter_of)

    @property
    def order(self) -> Sequence[str]:
        """The builds that wait, in the order in which they would have their turns if no more came."""
        rounds = zip_longest(*self._lines.values())
        return [build for build in chain.from_iterable(rounds) if build is not None]

    def check_room(self) -> None:
        """Checks that one more build could wait.

        Raises:
            OverloadedError: Too many do.
        """
        if len(self) >= self._most_waiting:
            raise OverloadedError(f"{len(self)} builds are waiting for their turn")

    async def turn(self, build_request_id: str, submitter: str) -> str:
        """Waits for the turn of a build, which lasts until `done`.

        Returns:
            Who cancelled the build instead, so that it has no turn; empty for nobody.
        """
        turn: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(submitter, {})[build_request_id] = turn
        self._submitter_of[build_request_id] = submitter
        self._give()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._take(build_request_id)
            elif not turn.result():
                self.done()
            raise

    def done(self) -> None:
        """Takes back a turn."""
        self._free += 1
        self._give()

    def cancel(self, build_request_id: str, author: str) -> None:
        """Lets a build that waits go without a turn; one that does not wait is left alone."""
        turn = self._take(build_request_id)
        if turn is not None and not turn.done():
            turn.set_result(author)

    def stop(self) -> None:
        """Gives no more turns."""
        self._stopped = True

    def _give(self) -> None:
        while self._free and self._lines and not self._stopped:
            submitter, line = next(iter(self._lines.items()))
            turn = self._take(next(iter(line)))
            if submitter in self._lines:  # goes to the end of the line
                self._lines[submitter] = self._lines.pop(submitter)
            if turn is not None and not turn.done():
                self._free -= 1
                turn.set_result("")

    def _take(self, build_request_id: str) -> asyncio.Future[str] | None:
        submitter = self._submitter_of.pop(build_request_id, None)
        if submitter is None:
            return None
        line = self._lines[submitter]
        turn = line.pop(build_request_id)
        if not line:
            del self._lines[submitter]
        return turn
