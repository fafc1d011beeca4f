"""Pieces of logs in a store, which are objects, to which nothing can be appended.

A piece is named after its job run, its stream, and the bytes of the stream that it contains:

    STORE/BUILD/TASK.ATTEMPT/stdout.000000000000-000000065536

So a piece never changes. Two processes may store the same log, one of them after the other has died: their pieces can
overlap, and have the same bytes where they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.storage.storage import StoredFile

_NAME: Final = re.compile(r"(?P<stream>[a-z]+)\.(?P<start>\d{12})-(?P<end>\d{12})")
_END: Final = 10**12


class Piece(NamedTuple):
    """The bytes of a stream from `start` to `end`, which is excluded."""

    start: int
    end: int
    uri: str


def build_uri(log_store: str, build_request_id: str) -> str:
    return f"{log_store.rstrip('/')}/{build_request_id}"


def run_uri(log_store: str, job_run_id: str) -> str:
    """Returns the URI of the directory with the pieces of a job run."""
    build, _, run = job_run_id.partition(".")
    return f"{build_uri(log_store, build)}/{run}"


def piece_of(log_store: str, job_run_id: str, stream: str, start: int, end: int) -> Piece:
    return Piece(start, end, f"{run_uri(log_store, job_run_id)}/{stream}.{start:012}-{end:012}")


def pieces_among(files: Iterable[StoredFile], stream: str) -> Sequence[Piece]:
    """Returns the pieces of a stream among the files of a job run. Other files are ignored."""
    pieces = []
    for file in files:
        match = _NAME.fullmatch(file.uri.rpartition("/")[2])
        if match is not None and match["stream"] == stream:
            pieces.append(Piece(int(match["start"]), int(match["end"]), file.uri))
    return pieces


def path_through(pieces: Sequence[Piece], start: int) -> Sequence[Piece]:
    """Returns the fewest pieces that have all bytes from a position on, up to the first that is missing, in order."""
    path: list[Piece] = []
    position, best = start, Piece(0, 0, "")
    for piece in (*sorted(pieces), Piece(_END, _END, "")):
        # All pieces that begin at the position or before it have been seen: take the longest.
        while piece.start > position and best.end > position:
            path.append(best)
            position = best.end
        if piece.start > position:
            break
        best = max(best, piece, key=lambda one: one.end)
    return path


def stored_bytes(pieces: Sequence[Piece]) -> int:
    """Returns the number of bytes from the beginning of a stream that pieces have without a gap."""
    path = path_through(pieces, 0)
    return path[-1].end if path else 0
