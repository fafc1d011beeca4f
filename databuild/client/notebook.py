"""Shows something live in a notebook, where there is one; IPython is not needed otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final

_SECONDS: Final = 0.25


class LiveDisplay:
    """Shows one thing, and shows it anew as it changes, a few times a second."""

    def __init__(self, shown: object, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes what is shown."""
        self._shown = shown
        self._clock = clock
        self._next = 0.0
        self._handle: Any = None

    def start(self) -> None:
        """Begins, where a notebook runs this."""
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        if getattr(shell, "kernel", None) is not None:  # a terminal has nothing that could be shown anew
            display = sys.modules["IPython"].display.display
            self._handle = display(self._shown, display_id=True)

    def refresh(self, *, now: bool = False) -> None:
        """Shows it as it is, where that is due.

        Args:
            now: Whether it is due at any rate.
        """
        if self._handle is None or (self._clock() < self._next and not now):
            return
        self._handle.update(self._shown)
        self._next = self._clock() + _SECONDS
