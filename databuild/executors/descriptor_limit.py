"""The limit of open files of this process, which is raised when it is nearly used up.

Jobs do not get the raised limit: programs that use select(2), or close every descriptor up to the limit, would suffer
from it. It is process-wide state of the kernel, so that a process makes one object of this class.
"""

from __future__ import annotations

import contextlib
import resource
from typing import Final

_MAX_SOFT_LIMIT: Final = 1 << 20
"""Enough for everything: a limit beyond makes tables of the kernel and of libraries large."""


class DescriptorLimit:
    """Raises the soft limit of open files to the hard one, once it is needed."""

    def __init__(self, *, highest: int | None = None) -> None:
        """Reads the limits of this process.

        Args:
            highest: How far the limit may be raised; None for as far as the hard limit.
        """
        self._soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # RLIM_INFINITY is -1 in Python.
        allowed = _MAX_SOFT_LIMIT if hard < 0 else min(hard, _MAX_SOFT_LIMIT)
        self._highest = max(allowed if highest is None else min(highest, allowed), self._soft)
        self._raised_from: int | None = None

    @property
    def highest(self) -> int:
        """How many files this process can have open, once the limit is raised."""
        return self._highest

    @property
    def raised_from(self) -> int | None:
        """The soft limit that this process was started with, where it has been raised; else None."""
        return self._raised_from

    def saw(self, descriptor: int) -> None:
        """Raises the limit where a descriptor that was just opened is near it: the kernel gives out the lowest."""
        if self._raised_from is None and descriptor >= self._soft // 2:
            self.raise_it()

    def raise_it(self) -> None:
        """Raises the limit, where it can be."""
        if self._raised_from is not None or self._highest <= self._soft:
            return
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._highest, hard))
            self._raised_from = self._soft
