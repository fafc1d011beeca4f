"""Reads logs of job runs wherever they are: in a file of this machine, or in a store.

Every call may block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from databuild.model.records import JobRunRecord
from databuild.orchestration.logs.log_files import known_size, log_path, log_size, read_log
from databuild.orchestration.logs.pieces import (
    Piece,
    path_through,
    piece_of,
    pieces_among,
    run_uri,
    stored_bytes,
)
from databuild.storage.storage import StoredFile
from databuild.storage.storages import Storages

MAX_PIECE_BYTES: Final = 4 * 1024 * 1024
"""The size above which a piece is split."""

MAX_ONE_PIECE_SECONDS: Final = 1.0
"""The duration up to which a job run ends before a piece of its log is stored (`log_uploads.FIRST_SECONDS`)."""

LISTING_SECONDS: Final = 1.0
"""The time for which a listing is used again. A listing of an object store costs more than a file."""

_MAX_LISTINGS: Final = 1000


class LogReader:
    """Reads logs. Several threads may use it.

    Args:
        log_directory: The folder of the job logs of this machine.
        storages: The stores.
        clock: Returns a time in seconds that never goes back.
        base_log_directory: In an environment, the folder of the job logs of the base.
    """

    def __init__(
        self,
        log_directory: str,
        storages: Storages,
        clock: Callable[[], float] = time.monotonic,
        *,
        base_log_directory: str = "",
    ) -> None:
        self._log_directory = log_directory
        self._base_log_directory = base_log_directory
        self._storages = storages
        self._clock = clock
        self._lock = threading.Lock()
        self._listings: dict[str, tuple[float, Sequence[StoredFile]]] = {}

    def place(self, job_run: JobRunRecord, stream: str) -> str:
        """Returns the path of a log or, in a store, its URI.

        The log of a short job run that has ended is one piece, whose URI this is. The names of the pieces of other logs
        begin with it.
        """
        if job_run.log_store:
            size = known_size(job_run, stream)
            if size and size <= MAX_PIECE_BYTES and 0 < job_run.duration_seconds < MAX_ONE_PIECE_SECONDS:
                return piece_of(job_run.log_store, job_run.job_run_id, stream, 0, size).uri
            return f"{run_uri(job_run.log_store, job_run.job_run_id)}/{stream}"
        return self._path(job_run, stream)

    def size(self, job_run: JobRunRecord, stream: str) -> int:
        """Returns the number of bytes that can be read now.

        Raises:
            StorageError: The store cannot be read.
            OSError: The file cannot be read.
        """
        local = log_size(self._path(job_run, stream))
        if not job_run.log_store or local or known_size(job_run, stream) == 0:
            return local
        return stored_bytes(self._pieces(job_run, stream))

    def read(self, job_run: JobRunRecord, stream: str, offset: int, limit: int = -1) -> bytes:
        """Returns a part of a log, up to `limit` bytes (-1 for all); less if the rest cannot be read yet.

        Raises:
            StorageError: The store cannot be read.
            OSError: The file cannot be read.
        """
        data = read_log(self._path(job_run, stream), offset, limit)
        if data or not job_run.log_store:
            return data
        size = known_size(job_run, stream)
        if size is not None and offset >= size:
            return b""
        if size is not None and size <= MAX_PIECE_BYTES:
            # The log of a short job is one piece, which needs no listing.
            whole = piece_of(job_run.log_store, job_run.job_run_id, stream, 0, size)
            found = self._content([whole], offset, limit)
            if found:
                return found
        return self._content(path_through(self._pieces(job_run, stream), offset), offset, limit)

    def _path(self, job_run: JobRunRecord, stream: str) -> str:
        return log_path(self._log_directory, job_run, stream, self._base_log_directory)

    def _pieces(self, job_run: JobRunRecord, stream: str) -> Sequence[Piece]:
        uri = run_uri(job_run.log_store, job_run.job_run_id)
        now = self._clock()
        with self._lock:
            listed, files = self._listings.get(uri, (-LISTING_SECONDS, ()))
        if now - listed >= LISTING_SECONDS:
            files = self._storages.for_uri(uri).list(uri)
            with self._lock:
                self._listings.pop(uri, None)
                self._listings[uri] = now, files
                while len(self._listings) > _MAX_LISTINGS:
                    del self._listings[next(iter(self._listings))]
        return pieces_among(files, stream)

    def _content(self, pieces: Sequence[Piece], offset: int, limit: int) -> bytes:
        parts = []
        for piece in pieces:
            if limit == 0:
                break
            wanted = piece.end - offset if limit < 0 else min(piece.end - offset, limit)
            part = self._storages.for_uri(piece.uri).read(piece.uri, offset - piece.start, wanted)
            if part is None:  # pruned since it was listed
                break
            parts.append(part)
            offset += len(part)
            limit -= len(part) if limit > 0 else 0
        return b"".join(parts)
