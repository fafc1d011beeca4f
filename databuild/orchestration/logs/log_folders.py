"""Folders of job logs, one for each build: their sizes, and pruning.

A folder is removed after its build was pruned, or a given time after its build has ended. The folders that exist
determine what remains to be done, so the next pruning continues an interrupted one. Each machine prunes its own state
directory, and any of them the store that they share.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from databuild.model import statuses
from databuild.orchestration.logs.pieces import build_uri

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads
    from databuild.model.records import BuildRecord
    from databuild.storage.storages import Storages

_MARKER = ".pruned_before"
"""The file with the time limit of the last pruning by age. No build has this id, since ids have no dots."""


def logs_pruned_before(log_directory: str) -> float:
    """Returns the time before which ended builds have lost their logs, in seconds since the epoch; 0 for none."""
    try:
        with open(os.path.join(log_directory, _MARKER), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            return float(file.read())
    except (OSError, ValueError):
        return 0.0


class LogFolders(Protocol):
    """A place with one folder of logs for each build."""

    def names(self) -> Sequence[str]:
        """Returns the names of the folders, in order."""
        ...

    def size(self, name: str) -> int:
        """Returns the size of a folder in bytes."""
        ...

    def remove(self, name: str) -> None: ...

    def mark(self, before: float) -> None:
        """Notes that logs of builds that ended before a time are being removed."""
        ...


class LocalLogFolders:
    """The log directory of a state directory."""

    def __init__(self, log_directory: str) -> None:
        self._path = log_directory

    def names(self) -> Sequence[str]:
        try:
            with os.scandir(self._path) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def size(self, name: str) -> int:
        return bytes_under(f"{self._path}/{name}")

    def remove(self, name: str) -> None:
        import shutil

        shutil.rmtree(f"{self._path}/{name}")

    def mark(self, before: float) -> None:
        if before <= logs_pruned_before(self._path) or not os.path.isdir(self._path):  # noqa: PTH112
            return
        # It replaces the old marker in one step, so that a reader never sees half of it.
        path = f"{self._path}/{_MARKER}"
        with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"{before!r}\n")
        os.replace(f"{path}.new", path)  # noqa: PTH105


class StoredLogFolders:
    """The logs in a store. All methods raise StorageError if it cannot be used."""

    def __init__(self, storages: Storages, log_store: str) -> None:
        self._storages = storages
        self._root = log_store

    def names(self) -> Sequence[str]:
        return self._storages.for_uri(self._root).folders(self._root)

    def size(self, name: str) -> int:
        uri = build_uri(self._root, name)
        return sum(file.size_bytes for file in self._storages.for_uri(uri).list(uri))

    def remove(self, name: str) -> None:
        uri = build_uri(self._root, name)
        self._storages.for_uri(uri).remove_below(uri)

    def mark(self, before: float) -> None:
        """Does nothing: the records of job runs have the sizes of their logs."""


def log_folders(log_directory: str, storages: Storages, log_store: str) -> Sequence[LogFolders]:
    """Returns the places of logs: the log directory, and the store unless its URI is empty."""
    local = LocalLogFolders(log_directory)
    return (local, StoredLogFolders(storages, log_store)) if log_store else (local,)


def prunable_logs(
    reader: BuildReads, folders: LogFolders, *, before: float = 0.0, also: Callable[[str], bool] = lambda _: False
) -> Iterator[tuple[str, int]]:
    """Yields the builds whose logs would be pruned, each with the size of its logs in bytes.

    Folders that are not named after a build of the event log are ignored.

    Args:
        reader: Reads the builds.
        folders: The place of the logs.
        before: Selects builds that ended before this time, in seconds since the epoch; 0 to select pruned builds only.
        also: Returns True for further builds to select.
    """
    for build in folders.names():
        record = reader.build(build)
        if record is not None and (record.pruned_time or also(build) or _ended_before(record, before)):
            yield build, folders.size(build)


def prune_logs(reader: BuildReads, folders: LogFolders, *, before: float = 0.0) -> Iterator[tuple[str, int]]:
    """Removes the logs that `prunable_logs` yields, and yields each after its removal.

    Raises:
        OSError: A folder cannot be removed.
        StorageError: A store cannot be used.
    """
    folders.mark(before)  # first, so that a missing log can always be explained
    for build, size in prunable_logs(reader, folders, before=before):
        folders.remove(build)
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


def _ended_before(record: BuildRecord, limit: float) -> bool:
    return record.status in statuses.BUILD.ended and record.updated_time < limit
