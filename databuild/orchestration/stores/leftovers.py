"""Files that job runs leave behind when they are killed: unfinished data, and tokens of data that was deleted.

`databuild.job` names unfinished data after its job run, and the token of a published file after that file. Blocks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from databuild.event_log.reads import BuildReads
from databuild.model import statuses
from databuild.model.job_run_id import parse_job_run_id
from databuild.tuples import NamedTuple

MIN_AGE_SECONDS: Final = 3600.0
"""A process may go on for a while after its run has ended for the event log, such as on a machine that was cut off. So
nothing counts as left behind before the run and the last change of the file are older than this."""

_UNFINISHED: Final = re.compile(r"\.([A-Za-z0-9][A-Za-z0-9_-]{0,63}\.\d+\.\d+)\.\d+\.\d+\.partial\..+", re.DOTALL)
_TOKEN: Final = re.compile(r"\.(.+)\.token", re.DOTALL)
_TOKEN_BYTES: Final = 20


class Leftover(NamedTuple):
    """A file that a job run left behind: its path and its size in bytes."""

    path: str
    size: int


class Leftovers:
    """Finds files that job runs of one event log left behind."""

    def __init__(self, reader: BuildReads, now: float) -> None:
        """Reads nothing yet.

        Args:
            reader: Reads the event log.
            now: The time, in seconds since the epoch.
        """
        self._reader = reader
        self._before = now - MIN_AGE_SECONDS
        self._ended: dict[str, bool] = {}

    def below(self, folders: Iterable[str]) -> Iterator[Leftover]:
        """Yields what was left behind directly in folders. Folders that cannot be read are left out."""
        for folder in folders:
            try:
                with os.scandir(folder) as entries:
                    hidden = [entry for entry in entries if entry.name.startswith(".")]
                for entry in hidden:
                    if self._is_left(entry, folder):
                        yield Leftover(entry.path, entry.stat(follow_symlinks=False).st_size)
            except OSError:
                continue

    def remove(self, found: Leftover) -> bool:
        """Removes a file, and returns False if that is not possible."""
        try:
            Path(found.path).unlink()
        except OSError:
            return False
        return True

    def _is_left(self, entry: os.DirEntry[str], folder: str) -> bool:
        if not entry.is_file(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_mtime >= self._before:
            return False
        if (match := _UNFINISHED.fullmatch(entry.name)) is not None:
            return self._has_ended(match[1])
        if (match := _TOKEN.fullmatch(entry.name)) is not None:
            return not os.path.lexists(f"{folder}/{match[1]}") and _is_token(entry.path)
        return False

    def _has_ended(self, job_run_id: str) -> bool:
        """Returns True if a run of this event log ended long enough ago. Other logs may have the same folders."""
        if job_run_id not in self._ended:
            self._ended[job_run_id] = self._read(job_run_id)
        return self._ended[job_run_id]

    def _read(self, job_run_id: str) -> bool:
        run = self._reader.job_run(job_run_id)
        if run is not None:
            return run.status in statuses.JOB.ended and run.ended_time < self._before
        # Pruning removes runs, and a run has no record before it starts.
        build = self._reader.build(parse_job_run_id(job_run_id).build_request_id)
        return build is not None and build.status in statuses.BUILD.ended and build.updated_time < self._before


def _is_token(path: str) -> bool:
    data = Path(path).read_bytes()
    return len(data) == _TOKEN_BYTES and data.isdigit()
