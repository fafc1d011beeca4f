"""Tells whether the kernel has killed processes for want of memory, where the control group counts that.

Version 2 of control groups counts in `memory.events`, version 1 in `memory.oom_control`, both under `oom_kill`
(Documentation/admin-guide/cgroup-v2.rst of Linux).
"""

from __future__ import annotations

import math
from typing import Final

from databuild.executors.cgroups import OWN_GROUPS, SYSTEM, control_group_files

_LOOK_SECONDS: Final = 1.0


class OomKills:
    """Counts the kills in the control group of this process, to which its jobs belong."""

    def __init__(self, *, system: str = SYSTEM, own_groups: str = OWN_GROUPS) -> None:
        """Finds the count.

        Args:
            system: Where control groups are mounted.
            own_groups: The file that tells the groups of this process.
        """
        paths = control_group_files(
            "memory", "memory.events", "memory.oom_control", system=system, own_groups=own_groups
        )
        self._path = next((path for path in paths if _count(path) is not None), "")
        self._changes = [(-math.inf, self._read())]
        self._read_time = -math.inf

    def look(self, now: float) -> None:
        """Notes the count, at most once a second; call it whenever a process starts.

        Args:
            now: The monotonic time in seconds.
        """
        if self._path and now >= self._read_time + _LOOK_SECONDS:
            self._note(now)

    def since(self, started: float, now: float) -> int:
        """Returns how many processes the kernel has killed since a process was started.

        Args:
            started: When that was, in monotonic seconds.
            now: The monotonic time in seconds.
        """
        if not self._path:
            return 0
        self._note(now)
        before = next(count for moment, count in reversed(self._changes) if moment <= started)
        return max(self._changes[-1][1] - before, 0)

    def _note(self, now: float) -> None:
        self._read_time = now
        count = self._read()
        if count != self._changes[-1][1]:
            self._changes.append((now, count))

    def _read(self) -> int:
        return (_count(self._path) or 0) if self._path else 0


def _count(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123
            counts = dict(line.split(" ", 1) for line in file.read().splitlines() if " " in line)
    except (OSError, ValueError):
        return None
    count = counts.get("oom_kill", "")
    return int(count) if count.strip().isdigit() else None
