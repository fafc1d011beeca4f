"""Cursors: how far each exporter has read the event log, and which process reads for it now."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Cursor(NamedTuple):
    """The cursor of one exporter.

    Attributes:
        exporter: The name of the exporter.
        position: The position of the last event that it has sent.
        holder: The process that sends for it now; empty if there is none.
    """

    exporter: str
    position: int
    holder: str


class Cursors(Protocol):
    """Reads and moves cursors. It may be used by one thread at a time.

    A cursor has one holder, so that the events of a log are sent in their order even if several processes have the same
    exporter. The hold of a process that dies expires, by the clock of the store.

    Every method raises EventLogError if the store fails.
    """

    def take(self, exporter: str, holder: str, seconds: float) -> int | None:
        """Acquires a cursor, or holds it longer. A new cursor begins at the end of the log.

        Args:
            exporter: The name of the exporter.
            holder: The process that wants to send.
            seconds: The time until the hold expires.

        Returns:
            The position; None while another process holds the cursor.
        """
        ...

    def advance(self, exporter: str, holder: str, position: int, seconds: float) -> bool:
        """Moves a cursor and holds it longer; returns False if another process has taken it."""
        ...

    def release(self, exporter: str, holder: str) -> None:
        """Lets another process take a cursor at once."""
        ...

    def all(self) -> list[Cursor]:
        """Returns all cursors, by exporter."""
        ...

    def close(self) -> None:
        """Releases the store."""
        ...


class SqlCursors:
    """`Cursors` over statements that all SQL databases share. Subclasses run them."""

    def take(self, exporter: str, holder: str, seconds: float) -> int | None:
        rows = self._rows("take_cursor", exporter=exporter, holder=holder, seconds=seconds)
        return int(rows[0][0]) if rows else None

    def advance(self, exporter: str, holder: str, position: int, seconds: float) -> bool:
        values = {"exporter": exporter, "holder": holder, "position": position, "seconds": seconds}
        return bool(self._rows("advance_cursor", **values))

    def release(self, exporter: str, holder: str) -> None:
        self._rows("release_cursor", exporter=exporter, holder=holder)

    def all(self) -> list[Cursor]:
        return [Cursor(exporter, int(position), holder) for exporter, position, holder in self._rows("export_cursors")]

    def _rows(self, query: str, **values: object) -> list[tuple[str, ...]]:
        """Runs a statement in a transaction of its own, with the time as `now`, and returns its rows.

        Raises:
            EventLogError: The store failed.
        """
        raise NotImplementedError
