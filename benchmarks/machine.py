"""Description of the machine, without which measurements cannot be compared."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path


def machine_facts(folder: Path) -> dict[str, str]:
    """Returns facts about this machine, by name; `folder` is the one in which graphs are built."""
    return {
        "processors": f"{len(os.sched_getaffinity(0))} of {_processor()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "file system": _file_system(folder),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """Returns the type of the file system of a folder, that of the innermost mount point above it."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    # Spaces in mount points, which are written as \040, are not decoded: such mount points are not found.
    ancestors = {str(path) for path in (folder.resolve(), *folder.resolve().parents)}
    candidates = [
        (len(point), number, kind) for number, (_, point, kind, *_) in enumerate(mounts) if point in ancestors
    ]
    return max(candidates)[2] if candidates else "unknown"
