"""The number of processes that the kernel killed for lack of memory, as counted by the control group.

The counter is `oom_kill` in `memory.events` (version 2) or `memory.oom_control` (version 1); see
Documentation/admin-guide/cgroup-v2.rst of Linux.
"""

from __future__ import annotations

import math
from typing import Final

from databuild.executors.cgroups import CGROUP_ROOT, OWN_GROUPS, control_group_files

_SAMPLE_SECONDS: Final = 1.0


class OomKills:
    """Counts kills in the control group of this process, to which its jobs belong.

    The counter has no times. Samples bound them: a run is blamed only for kills after the last sample before its start.
    """

    def __init__(self, *, cgroup_root: str = CGROUP_ROOT, own_groups: str = OWN_GROUPS) -> None:
        """Finds the counter.

        Args:
            cgroup_root: The mount point of the control groups.
            own_groups: The file that lists the control groups of this process.
        """
        paths = control_group_files(
            "memory", "memory.events", "memory.oom_control", cgroup_root=cgroup_root, own_groups=own_groups
        )
        self._path = next((path for path in paths if _count(path) is not None), "")
        self._changes = [(-math.inf, self._read())]
        self._read_time = -math.inf

    def sample(self, now: float) -> None:
        """Reads the counter, at most once per second; call it whenever a process starts.

        Args:
            now: The monotonic time in seconds.
        """
        if self._path and now >= self._read_time + _SAMPLE_SECONDS:
            self._update(now)

    def since(self, started: float, now: float) -> int:
        """Returns the number of kills since a process was started.

        Args:
            started: The start of the process, in monotonic seconds.
            now: The monotonic time in seconds.
        """
        if not self._path:
            return 0
        self._update(now)
        before = next(count for moment, count in reversed(self._changes) if moment <= started)
        return max(self._changes[-1][1] - before, 0)

    def _update(self, now: float) -> None:
        self._read_time = now
        count = self._read()
        if count != self._changes[-1][1]:
            self._changes.append((now, count))

    def _read(self) -> int:
        return (_count(self._path) or 0) if self._path else 0


def _count(path: str) -> int | None:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            counts = dict(line.split(" ", 1) for line in file.read().splitlines() if " " in line)
    except (OSError, ValueError):
        return None
    count = counts.get("oom_kill", "")
    return int(count) if count.strip().isdigit() else None
