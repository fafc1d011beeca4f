"""The fast part of a look leaves out files that are exactly as recorded, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from databuild.model.records import StoredRow
from databuild.orchestration.stores.recorded_files import not_as_recorded
from tests.support.build_world import World
from tests.support.file_jobs import Files


@pytest.fixture
async def rows(world: World, tmp_path: Path) -> list[StoredRow]:
    """Returns the rows of three files of a build."""
    Files(world, tmp_path)
    await world.build("b1", "raw/1", "raw/2", "raw/3")
    return list(world.log.reader().stored_rows_under())


def still() -> float:
    return 0.0


def path(tmp_path: Path, number: int) -> Path:
    return tmp_path / f"raw-{number}"


def grow(path: Path) -> None:
    facts = path.stat()
    path.write_text(path.read_text() + "more")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def touch(path: Path) -> None:
    os.utime(path, ns=(7, 7))


def replace(path: Path) -> None:
    """Puts another file of the same size and time in the place."""
    facts = path.stat()
    other = path.with_suffix(".other")
    other.write_text("x" * facts.st_size)
    os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    other.replace(path)


def turn_into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_unreadable(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


async def test_files_as_recorded_are_left_out(rows: list[StoredRow]) -> None:
    assert len(rows) == 3
    assert not_as_recorded(rows, clock=still) == []


@pytest.mark.parametrize("change", [grow, touch, replace, turn_into_folder, make_unreadable, Path.unlink])
async def test_other_data_stays(rows: list[StoredRow], tmp_path: Path, change: Callable[[Path], object]) -> None:
    change(path(tmp_path, 2))

    assert not_as_recorded(rows, clock=still) == [rows[1]]


@pytest.mark.parametrize(
    "location",
    [
        "",
        '["file:///raw",null,""]',
        '["s3://bucket/raw",3,"etag"]',
        '["file:///a%20b",3,"1.2"]',
        '["file:///a\\u0000b",3,"1.2"]',
        '["file:///a\\"b\\",3,\\"1.2\\"]",3,"1.2"]',
        '["file://host/raw",3,"1.2"]',
    ],
)
def test_locations_that_must_be_decoded_stay(location: str) -> None:
    assert not_as_recorded([("p", "1", location)], clock=still) == [("p", "1", location)]


async def test_the_rest_of_a_slow_file_system_stays(rows: list[StoredRow]) -> None:
    ticks = iter(range(100))

    assert not_as_recorded(rows * 500, clock=lambda: float(next(ticks))) == (rows * 500)[1000:]
