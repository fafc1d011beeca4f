"""Pieces of logs: their names, and the path through pieces of several processes."""

from __future__ import annotations

import pytest

from databuild.orchestration.logs.pieces import Piece, path_through, piece_of, pieces_among, run_uri, stored_bytes
from databuild.storage.storage import StoredFile


def pieces(*bounds: tuple[int, int]) -> list[Piece]:
    return [Piece(start, end, f"{start}-{end}") for start, end in bounds]


def stored(uri: str) -> StoredFile:
    return StoredFile(uri=uri, size_bytes=1, version="")


def test_the_name_of_a_piece_has_its_stream_and_its_bytes() -> None:
    piece = piece_of("s3://bucket/logs", "b-1.2.3", "stdout", 0, 65536)

    assert piece.uri == "s3://bucket/logs/b-1/2.3/stdout.000000000000-000000065536"
    assert run_uri("/mnt/logs/", "b-1.2.3") == "/mnt/logs/b-1/2.3"


def test_pieces_are_found_among_other_files() -> None:
    first = piece_of("/logs", "b.1.1", "stdout", 0, 5)
    other = piece_of("/logs", "b.1.1", "stderr", 0, 7)
    files = [stored(uri) for uri in (other.uri, first.uri, "/logs/b/1.1/stdout.5", "/logs/b/1.1/notes")]

    assert pieces_among(files, "stdout") == [first]
    assert pieces_among(files, "stderr") == [other]


@pytest.mark.parametrize(
    ("bounds", "start", "expected"),
    [
        ([], 0, []),
        ([(0, 5), (5, 9)], 0, ["0-5", "5-9"]),
        ([(0, 5), (5, 9)], 3, ["0-5", "5-9"]),
        ([(0, 5), (5, 9)], 5, ["5-9"]),
        ([(0, 5), (5, 9)], 9, []),
        ([(0, 5), (6, 9)], 0, ["0-5"]),
        ([(6, 9)], 0, []),
        # Of two processes, whose pieces overlap.
        ([(0, 5), (0, 7), (5, 9), (7, 20)], 0, ["0-7", "7-20"]),
        ([(0, 5), (3, 12), (5, 9), (9, 15)], 0, ["0-5", "3-12", "9-15"]),
    ],
)
def test_a_path_has_each_byte_up_to_the_first_that_is_missing(
    bounds: list[tuple[int, int]], start: int, expected: list[str]
) -> None:
    assert [piece.uri for piece in path_through(pieces(*bounds), start)] == expected


def test_stored_bytes_end_at_a_gap() -> None:
    assert stored_bytes(pieces((0, 5), (5, 9), (10, 12))) == 9
    assert stored_bytes(pieces((1, 5))) == 0
    assert stored_bytes([]) == 0
