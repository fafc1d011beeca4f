"""Folders of job logs, one for each build: their sizes, and pruning.

A folder is removed after its build was pruned, or a given time after its build has ended. The folders that exist
determine what remains to be done, so the next pruning continues an interrupted one. Each machine prunes its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from databuild.model import statuses

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads
    from databuild.model.records import BuildRecord

_MARKER = ".pruned_before"
"""The file with the time limit of the last pruning by age. No build has this id, since ids have no dots."""


def logs_pruned_before(log_directory: str) -> float:
    """Returns the time before which ended builds have lost their logs, in seconds since the epoch; 0 for none."""
    try:
        with open(os.path.join(log_directory, _MARKER), encoding="ascii") as file:  # noqa: PTH118, PTH123
            return float(file.read())
    except (OSError, ValueError):
        return 0.0


def prunable_logs(
    reader: BuildReads, log_directory: str, *, before: float = 0.0, also: Callable[[str], bool] = lambda _: False
) -> Iterator[tuple[str, int]]:
    """Yields the builds whose logs would be pruned, each with the size of its logs in bytes.

    Folders that are not named after a build of the event log are ignored.

    Args:
        reader: Reads the builds.
        log_directory: The folder of all job logs.
        before: Selects builds that ended before this time, in seconds since the epoch; 0 to select pruned builds only.
        also: Returns True for further builds to select.
    """
    for build in _folders(log_directory):
        record = reader.build(build)
        if record is not None and (record.pruned_time or also(build) or _ended_before(record, before)):
            yield build, bytes_under(os.path.join(log_directory, build))  # noqa: PTH118


def prune_logs(reader: BuildReads, log_directory: str, *, before: float = 0.0) -> Iterator[tuple[str, int]]:
    """Removes the logs that `prunable_logs` yields, and yields each after its removal.

    Raises:
        OSError: A folder cannot be removed.
    """
    import shutil

    if before > logs_pruned_before(log_directory) and os.path.isdir(log_directory):  # noqa: PTH112
        # The marker is written first, so that a missing log can always be explained. It replaces the old one in one
        # step, so that a reader never sees half of it.
        path = os.path.join(log_directory, _MARKER)  # noqa: PTH118
        with open(f"{path}.new", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(f"{before!r}\n")
        os.replace(f"{path}.new", path)  # noqa: PTH105
    for build, size in prunable_logs(reader, log_directory, before=before):
        shutil.rmtree(os.path.join(log_directory, build))  # noqa: PTH118
        yield build, size


def bytes_under(folder: str) -> int:
    """Returns the total size of the files below a folder; 0 if the folder does not exist."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    total += bytes_under(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _folders(log_directory: str) -> list[str]:
    try:
        with os.scandir(log_directory) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _ended_before(record: BuildRecord, limit: float) -> bool:
    return record.status in statuses.BUILD.ended and record.updated_time < limit
