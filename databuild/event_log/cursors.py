"""Cursors: how far each exporter has read the event log, and which process reads for it now."""

from __future__ import annotations

from typing import Protocol

from databuild.tuples import NamedTuple


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


class Checkpoint(NamedTuple):
    """The progress of an exporter.

    Attributes:
        position: The position of the last event that it has sent.
        state: A text that the exporter keeps with the position; empty at first.
    """

    position: int
    state: str = ""


class Cursors(Protocol):
    """Reads and moves cursors. It may be used by one thread at a time.

    A cursor has one holder, so that the events of a log are sent in their order even if several processes have the same
    exporter. The hold of a process that dies expires, by the clock of the store.

    Every method raises EventLogError if the store fails.
    """

    def take(self, exporter: str, holder: str, seconds: float) -> Checkpoint | None:
        """Acquires a cursor, or holds it longer. A new cursor begins at the end of the log.

        Args:
            exporter: The name of the exporter.
            holder: The process that wants to send.
            seconds: The time until the hold expires.

        Returns:
            The progress so far; None while another process holds the cursor.
        """
        ...

    def advance(
        self, exporter: str, holder: str, before: int, position: int, state: str = "", *, seconds: float
    ) -> bool:
        """Moves a cursor and holds it longer.

        Args:
            exporter: The name of the exporter.
            holder: The process that has sent.
            before: The position from which it has sent.
            position: The position of the last event that it has sent.
            state: The text to keep with it.
            seconds: The time until the hold expires.

        Returns:
            False if another process has taken or moved the cursor.
        """
        ...

    def move(self, exporter: str, position: int) -> None:
        """Moves a cursor, whichever process holds it, so that the events after a position are sent again."""
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

    def take(self, exporter: str, holder: str, seconds: float) -> Checkpoint | None:
        rows = self._rows("take_cursor", exporter=exporter, holder=holder, seconds=seconds)
        return Checkpoint(int(rows[0][0]), rows[0][1]) if rows else None

    def advance(
        self, exporter: str, holder: str, before: int, position: int, state: str = "", *, seconds: float
    ) -> bool:
        values = {"exporter": exporter, "holder": holder, "before": before, "position": position}
        return bool(self._rows("advance_cursor", **values, state=state, seconds=seconds))

    def move(self, exporter: str, position: int) -> None:
        self._rows("move_cursor", exporter=exporter, position=position)

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
