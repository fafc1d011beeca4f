"""Finds files of the control groups that this process belongs to, in version 1 and 2 (cgroups(7))."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

SYSTEM: Final = "/sys/fs/cgroup"
OWN_GROUPS: Final = "/proc/self/cgroup"


def control_group_files(
    controller: str, name: str, old_name: str, *, system: str = SYSTEM, own_groups: str = OWN_GROUPS
) -> Iterator[str]:
    """Returns where a file of a controller may be, the likeliest place first.

    Args:
        controller: Such as `memory`.
        name: The file in version 2.
        old_name: The file in version 1.
        system: Where control groups are mounted.
        own_groups: The file that tells the groups of this process.
    """
    try:
        with open(own_groups, encoding="utf-8") as file:  # noqa: PTH123
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        # A container sees its own part of the tree only, and the path leads nowhere there.
        if not controllers:
            yield f"{system}{path.rstrip('/')}/{name}"
            yield f"{system}/{name}"
        elif controller in controllers.split(","):
            yield f"{system}/{controller}{path.rstrip('/')}/{old_name}"
            yield f"{system}/{controller}/{old_name}"
