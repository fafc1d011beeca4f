"""The liveness of processes that exist by name only."""

from __future__ import annotations

from collections.abc import Iterable


class FakeLiveness:
    """Processes by name; those in `gone` have died."""

    def __init__(self, process: str = "me", gone: Iterable[str] = ()) -> None:
        self.process = process
        self.gone = set(gone)

    def this_process(self) -> str:
        return self.process

    def is_gone(self, holder: str) -> bool:
        return holder in self.gone

    def is_here(self, holder: str) -> bool:
        return bool(holder)
