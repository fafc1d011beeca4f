"""The newest events that this process has written, in memory, so that followers in it need not read them back.

It knows positions and encoded events, and not where they are stored.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

_MAX_BYTES: Final = 4 * 1024 * 1024


class RecentEvents:
    """Consecutive events of a log up to the newest one of this process. Any thread may use it.

    Events of other processes are not in it. Where they are between those of this process, older ones are forgotten.

    Events are kept as bytes. As messages they would take eight times the memory, and the build that makes them would
    take longer than a follower takes to parse them.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        """Is empty.

        Args:
            max_bytes: The size of events after which older ones are forgotten.
        """
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._first = 0
        self._payloads: list[bytes] = []
        self._bytes = 0

    def add(self, last: int, payloads: Sequence[bytes]) -> None:
        """Adds encoded events that have become durable.

        Args:
            last: The position of the last event; those of the others precede it without a gap.
            payloads: The events.
        """
        first = last - len(payloads) + 1
        with self._lock:
            if first != self._first + len(self._payloads):
                self._forget(len(self._payloads))
                self._first = first
            self._payloads += payloads
            self._bytes += sum(map(len, payloads))
            if self._bytes > self._max_bytes:
                self._forget_older()

    def after(self, position: int, limit: int) -> list[tuple[int, bytes]]:
        """Returns events from the one after a position on, with their positions; none if that one is not here."""
        with self._lock:
            start = position + 1 - self._first
            payloads = self._payloads[start : start + limit] if start >= 0 else []
        return list(enumerate(payloads, position + 1))

    def _forget_older(self) -> None:
        """Forgets events until half of the limit is left, so that this happens seldom."""
        size, count = self._bytes, 0
        while size > self._max_bytes // 2:
            size -= len(self._payloads[count])
            count += 1
        self._forget(count)

    def _forget(self, count: int) -> None:
        self._bytes -= sum(map(len, self._payloads[:count]))
        del self._payloads[:count]
        self._first += count
