"""The folders of job logs, one for each build: how much they hold, and which of them are pruned.

A folder goes after its build was pruned, or when the build ended long enough ago. Which of them are still there decides
what is left to do, so that a pruning that was interrupted is gone on with by the next, on whatever machine they lie.
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

_MARK = ".pruned_before"
"""The file that tells when builds have ended whose logs were pruned for their age; no build has a dot in its id."""


def logs_pruned_before(log_directory: str) -> float:
    """Returns when builds have ended at the latest whose logs were pruned for their age; 0 where none were."""
    try:
        with open(os.path.join(log_directory, _MARK), encoding="ascii") as file:  # noqa: PTH118, PTH123
            return float(file.read())
    except (OSError, ValueError):
        return 0.0


def prunable_logs(
    reader: BuildReads, log_directory: str, *, before: float = 0.0, also: Callable[[str], bool] = lambda _: False
) -> Iterator[tuple[str, int]]:
    """Yields the builds whose logs are to go, each with how many bytes they take.

    A folder that is named after no known build is left alone.

    Args:
        reader: Knows the builds.
        log_directory: The folder that holds them.
        before: Those of builds that have ended before then are to go; 0 for none but those of pruned builds.
        also: Whether the logs of a build are to go although it is not pruned yet.
    """
    for build in _folders(log_directory):
        record = reader.build(build)
        if record is not None and (record.pruned_time or also(build) or _ended_before(record, before)):
            yield build, bytes_under(os.path.join(log_directory, build))  # noqa: PTH118


def prune_logs(reader: BuildReads, log_directory: str, *, before: float = 0.0) -> Iterator[tuple[str, int]]:
    """Removes the logs that `prunable_logs` yields, and yields them as they are gone.

    Raises:
        OSError: A folder cannot be removed.
    """
    import shutil

    if before > logs_pruned_before(log_directory) and os.path.isdir(log_directory):  # noqa: PTH112
        # Said before it is done: what is missing then never goes without a word.
        path = os.path.join(log_directory, _MARK)  # noqa: PTH118
        with open(f"{path}.new", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(f"{before!r}\n")
        os.replace(f"{path}.new", path)  # noqa: PTH105
    for build, size in prunable_logs(reader, log_directory, before=before):
        shutil.rmtree(os.path.join(log_directory, build))  # noqa: PTH118
        yield build, size


def bytes_under(folder: str) -> int:
    """Returns how many bytes the files below a folder hold; 0 where there is none."""
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


def _ended_before(record: BuildRecord, moment: float) -> bool:
    return record.status in statuses.BUILD.ended and record.updated_time < moment
