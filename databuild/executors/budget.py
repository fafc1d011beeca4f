"""Computes how many processes fit on this machine, from its limits of files and processes."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from typing import Final

from databuild.executors.cgroups import OWN_GROUPS, SYSTEM, control_group_files
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Capacity
from databuild.executors.running import DESCRIPTORS_OF_A_RUN

RESERVED_DESCRIPTORS: Final = 256
"""Kept for everything but job runs and connections: the event log, its readers, the code, and what is being started."""

_PROCESSES_OF_A_RUN: Final = 2
"""A job, and one that it starts."""

_RESERVED_PROCESSES: Final = 32
"""Kept for threads of ours, and for what else runs there."""


def capacity_of(
    limit: DescriptorLimit, *, connections: int = 0, system: str = SYSTEM, own_groups: str = OWN_GROUPS
) -> Capacity:
    """Returns how many processes this process can run at once; at least one.

    Args:
        limit: The limit of open files.
        connections: How many files are kept for connections.
        system: Where control groups are mounted.
        own_groups: The file that tells the control groups of this process.
    """
    files = (limit.highest - RESERVED_DESCRIPTORS - connections) // DESCRIPTORS_OF_A_RUN
    fits = [(files, f"the limit of open files, {limit.highest:,} (ulimit -Hn)")]
    fits += [
        ((allowed - _RESERVED_PROCESSES) // _PROCESSES_OF_A_RUN, f"the limit of processes, {allowed:,} ({name})")
        for allowed, name in _process_limits(system, own_groups)
    ]
    processes, reason = min(fits)
    return Capacity(max(processes, 1), reason)


def _process_limits(system: str, own_groups: str) -> Iterator[tuple[int, str]]:
    allowed = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if allowed >= 0 and os.getuid() != 0:  # root is exempt (setrlimit(2))
        yield allowed, "ulimit -u"
    for path in control_group_files("pids", "pids.max", "pids.max", system=system, own_groups=own_groups):
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123
                text = file.read().strip()
        except OSError:
            continue
        if text.isdigit():
            yield int(text), "pids.max of the control group"
        return
