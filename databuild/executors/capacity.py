"""The number of job processes that fit on this machine, from its limits on open files and processes."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from typing import Final

from databuild.executors.cgroups import CGROUP_ROOT, OWN_GROUPS, control_group_files
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Capacity
from databuild.executors.running_process import DESCRIPTORS_PER_RUN

RESERVED_DESCRIPTORS: Final = 256
"""Descriptors for everything but job runs and connections: event log, readers, code, and processes being started."""

_PROCESSES_OF_A_RUN: Final = 2
"""The job and one child process."""

_RESERVED_PROCESSES: Final = 32
"""Processes for our own threads, which count as processes, and for other programs."""


def capacity_of(
    limit: DescriptorLimit, *, connections: int = 0, cgroup_root: str = CGROUP_ROOT, own_groups: str = OWN_GROUPS
) -> Capacity:
    """Returns the number of processes that this process can run at once, at least 1, and the limit that decides it.

    Args:
        limit: The limit on open files.
        connections: The number of descriptors to reserve for connections.
        cgroup_root: The mount point of the control groups.
        own_groups: The file that lists the control groups of this process.
    """
    by_files = (limit.highest - RESERVED_DESCRIPTORS - connections) // DESCRIPTORS_PER_RUN
    candidates = [(by_files, f"the limit of open files, {limit.highest:,} (ulimit -Hn)")]
    candidates += [
        ((allowed - _RESERVED_PROCESSES) // _PROCESSES_OF_A_RUN, f"the limit of processes, {allowed:,} ({name})")
        for allowed, name in _process_limits(cgroup_root, own_groups)
    ]
    processes, reason = min(candidates)
    return Capacity(max(processes, 1), reason)


def _process_limits(cgroup_root: str, own_groups: str) -> Iterator[tuple[int, str]]:
    allowed = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if allowed >= 0 and os.getuid() != 0:  # RLIM_INFINITY is -1 in Python; root is exempt (setrlimit(2))
        yield allowed, "ulimit -u"
    for path in control_group_files("pids", "pids.max", "pids.max", cgroup_root=cgroup_root, own_groups=own_groups):
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                text = file.read().strip()
        except OSError:
            continue
        if text.isdigit():
            yield int(text), "pids.max of the control group"
        return
