"""Files of the control groups of this process, in version 1 and 2 (cgroups(7))."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

CGROUP_ROOT: Final = "/sys/fs/cgroup"
OWN_GROUPS: Final = "/proc/self/cgroup"


def control_group_files(
    controller: str, name: str, old_name: str, *, cgroup_root: str = CGROUP_ROOT, own_groups: str = OWN_GROUPS
) -> Iterator[str]:
    """Yields the paths at which a file of a controller may be, most likely first.

    Args:
        controller: The controller, such as `memory`.
        name: The name of the file in version 2.
        old_name: The name of the file in version 1.
        cgroup_root: The mount point of the control groups.
        own_groups: The file that lists the control groups of this process.
    """
    try:
        with open(own_groups, encoding="utf-8") as file:  # noqa: PTH123
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        # In a container, only its own part of the tree is mounted, and the path from the host does not exist.
        if not controllers:
            yield f"{cgroup_root}{path.rstrip('/')}/{name}"
            yield f"{cgroup_root}/{name}"
        elif controller in controllers.split(","):
            yield f"{cgroup_root}/{controller}{path.rstrip('/')}/{old_name}"
            yield f"{cgroup_root}/{controller}/{old_name}"
