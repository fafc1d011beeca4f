"""Tells whether the machine, or the control group of this process, is short of memory."""

from __future__ import annotations

import math
from typing import Final

from databuild.executors.cgroups import CGROUP_ROOT, OWN_GROUPS, control_group_files

_MIN_FREE_SHARE: Final = 0.05
"""Memory is short if less than this share of it is available."""

_SAMPLE_SECONDS: Final = 1.0
_MEMINFO: Final = "/proc/meminfo"


class MemoryPressure:
    """Reads the available memory, at most once per second."""

    def __init__(
        self, *, meminfo: str = _MEMINFO, cgroup_root: str = CGROUP_ROOT, own_groups: str = OWN_GROUPS
    ) -> None:
        """Finds the files.

        Args:
            meminfo: The file with the memory of the machine (proc(5)).
            cgroup_root: The mount point of the control groups.
            own_groups: The file that lists the control groups of this process.
        """
        self._meminfo = meminfo
        self._limits = self._find("memory.max", "memory.limit_in_bytes", cgroup_root, own_groups)
        self._usages = self._find("memory.current", "memory.usage_in_bytes", cgroup_root, own_groups)
        self._statistics = self._find("memory.stat", "memory.stat", cgroup_root, own_groups)
        self._is_short = False
        self._sampled = -math.inf

    def is_short(self, now: float) -> bool:
        """Returns True if less than a twentieth of the memory is available.

        Args:
            now: The monotonic time in seconds.
        """
        if now >= self._sampled + _SAMPLE_SECONDS:
            self._sampled = now
            self._is_short = min(self._free_share_of_machine(), self._free_share_of_group()) < _MIN_FREE_SHARE
        return self._is_short

    def _free_share_of_machine(self) -> float:
        values = _table(_text(self._meminfo))
        total, available = values.get("MemTotal:", 0), values.get("MemAvailable:")
        return available / total if total and available is not None else 1.0

    def _free_share_of_group(self) -> float:
        limit, usage = _number(self._limits), _number(self._usages)
        if not limit or usage is None:
            return 1.0
        # Files that were not used for a while are given up before the limit has any effect.
        reclaimable = _table(_text(self._statistics)).get("inactive_file", 0)
        return 1 - max(usage - reclaimable, 0) / limit

    @staticmethod
    def _find(name: str, old_name: str, cgroup_root: str, own_groups: str) -> str:
        paths = control_group_files("memory", name, old_name, cgroup_root=cgroup_root, own_groups=own_groups)
        return next((path for path in paths if _text(path)), "")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    except (OSError, ValueError):
        return ""


def _number(path: str) -> int | None:
    """Returns the number in a file; None if there is none, as for the limit `max`."""
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _table(text: str) -> dict[str, int]:
    """Returns the first number of each line, by the first word."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}
