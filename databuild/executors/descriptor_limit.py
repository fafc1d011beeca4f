"""The limit on open files of this process, which is raised when half of it is used.

Jobs do not inherit the raised limit: select(2) fails for descriptors above 1023, and programs that close every
descriptor up to the limit would become slow. The limit belongs to the process, so create one object per process.
"""

from __future__ import annotations

import contextlib
import resource
from typing import Final

_MAX_SOFT_LIMIT: Final = 1 << 20
"""A higher limit has no use and makes the tables of the kernel and of some libraries large."""


class DescriptorLimit:
    """Raises the soft limit on open files to the hard limit when it is needed."""

    def __init__(self, *, highest: int | None = None) -> None:
        """Reads the limits of this process.

        Args:
            highest: The highest soft limit to set; None for the hard limit.
        """
        self._soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # RLIM_INFINITY is -1 in Python.
        allowed = _MAX_SOFT_LIMIT if hard < 0 else min(hard, _MAX_SOFT_LIMIT)
        self._highest = max(allowed if highest is None else min(highest, allowed), self._soft)
        self._raised_from: int | None = None

    @property
    def highest(self) -> int:
        """The number of files that this process can have open after the limit is raised."""
        return self._highest

    @property
    def raised_from(self) -> int | None:
        """The original soft limit; None if it has not been raised."""
        return self._raised_from

    def opened(self, descriptor: int) -> None:
        """Raises the limit if a descriptor that was just opened is close to it.

        The kernel gives out the lowest free number, so the number shows how many descriptors are in use.
        """
        if self._raised_from is None and descriptor >= self._soft // 2:
            self.raise_limit()

    def raise_limit(self) -> None:
        """Raises the limit; does nothing if the kernel refuses."""
        if self._raised_from is not None or self._highest <= self._soft:
            return
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with contextlib.suppress(OSError, ValueError):  # fails if the hard limit was lowered meanwhile
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._highest, hard))
            self._raised_from = self._soft
