"""Copies of logs to a store: which pieces, when, and what happens if the store fails. Without threads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from databuild.event_log.reads import BuildReads
from databuild.model.records import BuildRecord, JobRunRecord
from databuild.model.statuses import BuildStatus
from databuild.orchestration.logs import log_uploads
from databuild.orchestration.logs.log_uploads import LogUploads
from databuild.orchestration.logs.stored_logs import MAX_PIECE_BYTES
from tests.support.fake_storage import FakeStorages

STORE = "s3://bucket/logs"


class World:
    """Uploads without threads, whose clock stands still."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.storages = FakeStorages()
        self.uploads = LogUploads(self.storages, str(folder), clock=lambda: self.now, threads=0)
        Path(self.uploads.folder("b")).mkdir(parents=True)

    def path(self, run: str, stream: str = "stdout") -> Path:
        return Path(f"{self.uploads.folder('b')}/{run}.{stream}")

    def append(self, run: str, data: bytes, stream: str = "stdout") -> None:
        with self.path(run, stream).open("ab") as file:
            file.write(data)

    def copy(self) -> None:
        while self.uploads.copy_next():
            pass

    def pieces(self) -> Mapping[str, bytes]:
        """Returns the pieces by the end of their URI."""
        return {uri.removeprefix(f"{STORE}/b/"): data for uri, data in self.storages.files.items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Records:
    """Has builds and job runs."""

    def __init__(self, status: BuildStatus, *, pruned: float = 0.0, log_store: str = STORE) -> None:
        self._build = BuildRecord("b", status, "//:g", ("p",), 0.0, 0.0, 1, pruned_time=pruned)
        self._log_store = log_store

    def build(self, name: str) -> BuildRecord | None:
        return self._build if name == "b" else None

    def job_run(self, name: str) -> JobRunRecord | None:
        return JobRunRecord(name, "b", 1, 1, "//:job", 1, "FAILED", log_store=self._log_store)

    @property
    def reads(self) -> BuildReads:
        return cast("BuildReads", self)


def test_a_short_log_is_one_piece_and_an_empty_one_is_none(world: World) -> None:
    world.uploads.begin(STORE, "b.1.1")
    world.append("b.1.1", b"hello\n")

    assert world.uploads.end("b.1.1") == (6, 0)
    world.copy()

    assert world.pieces() == {"1.1/stdout.000000000000-000000000006": b"hello\n"}
    assert world.storages.asked == [("write", f"{STORE}/b/1.1/stdout.000000000000-000000000006")]
    assert not world.path("b.1.1").exists()


def test_a_job_run_without_output_costs_no_request(world: World) -> None:
    world.uploads.begin(STORE, "b.1.1")
    world.now += 3600
    world.copy()

    assert world.uploads.end("b.1.1") == (0, 0)
    world.copy()
    assert world.storages.asked == []


def test_a_growing_log_is_copied_after_a_time_and_only_what_is_new(world: World) -> None:
    world.uploads.begin(STORE, "b.1.1")
    world.append("b.1.1", b"one\n")
    world.copy()
    assert world.pieces() == {}
    world.now += log_uploads.FIRST_SECONDS
    world.copy()
    world.append("b.1.1", b"two\n")
    world.copy()
    assert list(world.pieces()) == ["1.1/stdout.000000000000-000000000004"]
    world.now += log_uploads.FIRST_SECONDS
    world.copy()
    world.append("b.1.1", b"three\n")
    world.uploads.end("b.1.1")
    world.copy()

    assert list(world.pieces().values()) == [b"one\n", b"two\n", b"three\n"]
    assert world.path("b.1.1").exists() is False


def test_pieces_of_an_old_job_run_come_less_often(world: World) -> None:
    world.uploads.begin(STORE, "b.1.1")
    world.now += 3600
    for _ in range(100):
        world.append("b.1.1", b"x")
        world.copy()
        world.now += 1

    assert len(world.pieces()) == 100 / log_uploads.MAX_SECONDS


def test_a_log_of_many_pieces_is_stored_once_more_in_large_ones(world: World) -> None:
    world.uploads.begin(STORE, "b.1.1")
    for _ in range(log_uploads.MANY_PIECES + 1):
        world.append("b.1.1", b"x")
        world.now += log_uploads.FIRST_SECONDS
        world.copy()
    assert len(world.pieces()) == log_uploads.MANY_PIECES + 1

    world.append("b.1.1", b"y")
    world.uploads.end("b.1.1")
    world.copy()

    size = log_uploads.MANY_PIECES + 2
    assert world.pieces()[f"1.1/stdout.000000000000-{size:012}"] == b"x" * (size - 1) + b"y"
    assert len(world.pieces()) == log_uploads.MANY_PIECES + 2


def test_a_large_log_is_split(world: World) -> None:
    world.uploads.begin(STORE, "b.1.1")
    world.append("b.1.1", b"x" * (MAX_PIECE_BYTES + 1))
    world.uploads.end("b.1.1")
    world.copy()

    assert [len(data) for data in world.pieces().values()] == [MAX_PIECE_BYTES, 1]


def test_a_resumed_log_goes_on_after_the_pieces_of_the_dead_process(world: World) -> None:
    world.storages.files[f"{STORE}/b/1.1/stdout.000000000000-000000000004"] = b"one\n"
    world.uploads.begin(STORE, "b.1.1", resumed=True)
    world.append("b.1.1", b"one\ntwo\n")  # the output comes from its beginning again
    assert world.uploads.end("b.1.1") == (8, 0)
    world.copy()

    assert list(world.pieces().values()) == [b"one\n", b"two\n"]


def test_a_store_that_fails_is_tried_again_with_a_growing_pause(world: World) -> None:
    world.storages.fault = "it is full"
    for run in ("b.1.1", "b.2.1"):
        world.uploads.begin(STORE, run)
        world.append(run, b"hello\n")
        world.uploads.end(run)
    tries = []
    for second in range(8):
        asked = len(world.storages.asked)
        world.copy()
        tries += [second] * (len(world.storages.asked) - asked)
        world.now += 1

    assert tries == [0, 1, 3, 7]  # one log tries it, not all
    assert world.path("b.1.1").exists()

    world.storages.fault = ""
    world.now += 8
    world.copy()
    assert sorted(world.pieces()) == [f"{run}/stdout.000000000000-000000000006" for run in ("1.1", "2.1")]
    assert not world.path("b.1.1").exists()


async def test_a_build_waits_for_its_logs(tmp_path: Path) -> None:
    storages = FakeStorages()
    uploads = LogUploads(storages, str(tmp_path))
    Path(uploads.folder("b")).mkdir(parents=True)
    for number in range(20):
        uploads.begin(STORE, f"b.{number}.1")
        Path(f"{uploads.folder('b')}/b.{number}.1.stderr").write_text("x")
        assert uploads.end(f"b.{number}.1") == (0, 1)

    assert list(await uploads.finish(STORE, "b")) == []
    assert len(storages.files) == 20
    assert not Path(uploads.folder("b")).exists()
    uploads.close()


async def test_a_build_does_not_wait_for_a_store_that_fails(tmp_path: Path) -> None:
    storages = FakeStorages()
    storages.fault = "access denied"
    uploads = LogUploads(storages, str(tmp_path))
    Path(uploads.folder("b")).mkdir(parents=True)
    uploads.begin(STORE, "b.1.1")
    Path(f"{uploads.folder('b')}/b.1.1.stdout").write_text("x")
    uploads.end("b.1.1")

    (warning,) = await uploads.finish(STORE, "b")

    assert f"the logs of 1 job run are not in {STORE} yet: " in warning
    assert f"access denied; they are in {uploads.folder('b')}, and the next build or service" in warning
    uploads.close()


def test_a_process_tries_a_store_that_failed_once_again_before_it_ends(tmp_path: Path) -> None:
    storages = FakeStorages()
    storages.faults = ["slow down"]
    uploads = LogUploads(storages, str(tmp_path))
    Path(uploads.folder("b")).mkdir(parents=True)
    uploads.begin(STORE, "b.1.1")
    Path(f"{uploads.folder('b')}/b.1.1.stdout").write_text("x")
    uploads.end("b.1.1")

    uploads.close()

    assert list(storages.files.values()) == [b"x"]


async def test_a_build_stores_what_a_dead_process_has_left_of_it(world: World, tmp_path: Path) -> None:
    world.append("b.1.1", b"left\n")
    uploads = LogUploads(world.storages, str(tmp_path))

    assert list(await uploads.finish(STORE, "b")) == []
    assert list(world.pieces().values()) == [b"left\n"]
    uploads.close()


def test_logs_of_ended_builds_are_taken_over(world: World) -> None:
    world.append("b.1.1", b"left\n", "stderr")
    world.storages.files[f"{STORE}/b/1.1/stderr.000000000000-000000000002"] = b"le"
    (world.path("b.1.1").parent / "notes").touch()

    assert world.uploads.take_over(Records("FAILED").reads) == 1
    world.copy()

    assert list(world.pieces().values()) == [b"le", b"ft\n"]
    assert world.uploads.take_over(Records("FAILED").reads) == 0


@pytest.mark.parametrize("records", [Records("EXECUTING"), Records("FAILED", log_store="")])
def test_other_logs_are_left_alone(world: World, records: Records) -> None:
    world.append("b.1.1", b"left\n")

    assert world.uploads.take_over(records.reads) == 0
    assert world.path("b.1.1").exists()


def test_logs_of_pruned_builds_are_removed(world: World) -> None:
    world.append("b.1.1", b"left\n")

    assert world.uploads.take_over(Records("FAILED", pruned=1.0).reads) == 0
    assert not world.path("b.1.1").exists()
    assert world.storages.asked == []
