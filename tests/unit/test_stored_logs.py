"""Reading logs from files and from stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from databuild.model.records import JobRunRecord
from databuild.orchestration.logs.log_files import log_path
from databuild.orchestration.logs.stored_logs import LISTING_SECONDS, LogReader
from tests.support.fake_storage import FakeStorages

STORE = "s3://bucket/logs"
RUN = f"{STORE}/b/1.1"
RUNNING = JobRunRecord("b.1.1", "b", 1, 1, "//:job", 1, "RUNNING", log_store=STORE)
ENDED = RUNNING._replace(status="COMPLETED", stdout_bytes=10, stderr_bytes=0)


class World:
    """A reader whose clock stands still."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.folder = str(folder)
        self.storages = FakeStorages()
        self.reader = LogReader(self.folder, self.storages, clock=lambda: self.now)

    def store(self, *pieces: tuple[int, bytes]) -> None:
        for start, data in pieces:
            self.storages.files[f"{RUN}/stdout.{start:012}-{start + len(data):012}"] = data


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_place_of_a_log_is_its_only_piece_if_the_job_run_was_short(world: World) -> None:
    short = ENDED._replace(duration_seconds=0.5)
    assert world.reader.place(short, "stdout") == f"{RUN}/stdout.000000000000-000000000010"
    for run in (RUNNING, ENDED, short._replace(duration_seconds=60.0), short._replace(stdout_bytes=10**9)):
        assert world.reader.place(run, "stdout") == f"{RUN}/stdout"
    assert world.reader.place(short, "stderr") == f"{RUN}/stderr"


def test_a_short_log_is_read_without_a_listing(world: World) -> None:
    world.store((0, b"0123456789"))

    assert world.reader.read(ENDED, "stdout", 0) == b"0123456789"
    assert world.reader.read(ENDED, "stdout", 4, 3) == b"456"
    assert {method for method, _ in world.storages.asked} == {"read"}


def test_what_is_known_to_be_empty_or_read_costs_no_request(world: World) -> None:
    assert world.reader.read(ENDED, "stderr", 0) == b""
    assert world.reader.read(ENDED, "stdout", 10) == b""
    assert world.reader.size(ENDED, "stderr") == 0
    assert world.storages.asked == []


@pytest.mark.parametrize("run", [RUNNING, ENDED])
def test_pieces_are_read_in_order(world: World, run: JobRunRecord) -> None:
    world.store((0, b"012"), (3, b"345"), (6, b"6789"))

    assert world.reader.read(run, "stdout", 0) == b"0123456789"
    assert world.reader.read(run, "stdout", 2, 5) == b"23456"
    assert world.reader.read(run, "stdout", 3, 3) == b"345"
    assert world.reader.size(run, "stdout") == 10


def test_a_gap_ends_what_can_be_read(world: World) -> None:
    world.store((0, b"012"), (6, b"6789"))

    assert world.reader.read(ENDED, "stdout", 0) == b"012"
    assert world.reader.read(ENDED, "stdout", 3) == b""
    assert world.reader.size(ENDED, "stdout") == 3


def test_a_running_log_is_listed_once_in_a_while(world: World) -> None:
    world.store((0, b"012"))
    assert world.reader.read(RUNNING, "stdout", 0) == b"012"
    world.store((3, b"345"))
    assert world.reader.read(RUNNING, "stdout", 3) == world.reader.read(RUNNING, "stderr", 0) == b""
    world.now += LISTING_SECONDS

    assert world.reader.read(RUNNING, "stdout", 3) == b"345"
    assert [method for method, _ in world.storages.asked].count("list") == 2


def test_a_log_that_is_not_stored_yet_is_read_from_its_file(world: World) -> None:
    path = Path(log_path(world.folder, RUNNING, "stdout"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0123456")
    world.store((0, b"012"))

    assert world.reader.read(RUNNING, "stdout", 2) == b"23456"
    assert world.reader.size(RUNNING, "stdout") == 7
    assert world.storages.asked == []


def test_a_log_without_a_store_is_a_file(world: World) -> None:
    run = RUNNING._replace(log_store="")
    path = Path(world.reader.place(run, "stdout"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0123456")

    assert str(path) == f"{world.folder}/b/b.1.1.stdout"
    assert world.reader.read(run, "stdout", 2, 3) == b"234"
    assert world.reader.size(run, "stdout") == 7
    assert world.reader.read(run, "stderr", 0) == b""


def test_the_place_of_a_stored_log_is_the_beginning_of_the_names_of_its_pieces(world: World) -> None:
    assert world.reader.place(ENDED, "stderr") == f"{RUN}/stderr"


def test_pieces_that_were_pruned_meanwhile_are_no_error(world: World) -> None:
    world.store((0, b"012"), (3, b"3456789"))
    assert world.reader.size(RUNNING, "stdout") == 10
    world.storages.files.clear()

    assert world.reader.read(RUNNING, "stdout", 0) == b""
