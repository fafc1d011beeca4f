"""The builds and job logs that are pruned, and their order."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import cast

import pytest

from databuild.errors import EventLogError
from databuild.event_log.log import Pruner
from databuild.event_log.reads import BuildReads, LogSize
from databuild.model.records import BuildRecord
from databuild.model.statuses import BuildStatus
from databuild.orchestration.logs.log_folders import (
    LocalLogFolders,
    StoredLogFolders,
    bytes_under,
    logs_pruned_before,
    prunable_logs,
    prune_logs,
)
from databuild.orchestration.maintenance.retention import builds_to_prune, prune_builds
from tests.support.fake_storage import FakeStorages


def record(name: str, ended: float = 100.0, status: BuildStatus = "COMPLETED", pruned: float = 0.0) -> BuildRecord:
    return BuildRecord(name, status, "//:g", ("p",), ended - 5, ended, 10, pruned_time=pruned)


class FakeLog:
    """Has builds, and remembers those that were pruned."""

    def __init__(self, *records: BuildRecord) -> None:
        self.records = {one.build_request_id: one for one in records}
        self.did: list[tuple[tuple[str, ...], float] | str] = []

    def build(self, build_request_id: str) -> BuildRecord | None:
        return self.records.get(build_request_id)

    def builds(self, *, before: str | None = None, limit: int = 20) -> list[BuildRecord]:
        found = sorted(self.records.values(), reverse=True)
        return [one for one in found if before is None or one.build_request_id < before][:limit]

    def bytes_of_events(self, build_request_ids: Collection[str]) -> int:
        return 7 * len(build_request_ids)

    def prune(self, build_request_ids: Collection[str], time: float) -> None:
        if "broken" in build_request_ids:
            raise EventLogError("no")
        self.did.append((tuple(build_request_ids), time))

    def resume(self) -> None:
        self.did.append("go on")


def reads(log: FakeLog) -> BuildReads:
    return cast("BuildReads", log)


def names(builds: Iterable[BuildRecord]) -> list[str]:
    return [build.build_request_id for build in builds]


def test_builds_that_ended_before_a_time_are_pruned() -> None:
    log = FakeLog(record("a", 10), record("b", 20), record("c", 30))

    assert names(builds_to_prune(reads(log), before=20.5)) == ["b", "a"]


def test_the_newest_that_have_ended_are_kept() -> None:
    running = record("d", status="EXECUTING")
    log = FakeLog(record("a", 10), record("b", 20, "FAILED"), record("c", 30, "CANCELLED"), running)

    assert names(builds_to_prune(reads(log), keep=1)) == ["b", "a"]
    assert names(builds_to_prune(reads(log), keep=0)) == ["c", "b", "a"]
    assert names(builds_to_prune(reads(log), keep=2, before=25)) == ["a"]


def test_a_build_that_was_pruned_counts_as_kept_and_is_not_pruned_again() -> None:
    log = FakeLog(record("a"), record("b", pruned=50.0), record("c"))

    assert names(builds_to_prune(reads(log), keep=2)) == ["a"]
    assert names(builds_to_prune(reads(log), keep=1)) == ["a"]


def test_more_builds_than_a_page_are_pruned_in_batches() -> None:
    log = FakeLog(*(record(f"b{number:05}") for number in range(2050)))

    done = list(prune_builds(cast("Pruner", log), cast("LogSize", log), builds_to_prune(reads(log)), 500.0))

    assert [len(batch.builds) for batch in done] == [100] * 20 + [50]
    assert [(batch.events, batch.bytes) for batch in done[-2:]] == [(1000, 700), (500, 350)]
    assert len(log.did) == 22
    assert log.did[0][1] == 500.0
    assert log.did[-1] == "go on"


def test_batches_pruned_before_a_fault_are_reported() -> None:
    log = FakeLog(*(record(f"c{number:05}") for number in range(100)), record("broken"))
    done: list[int] = []

    with pytest.raises(EventLogError):
        done.extend(
            batch.events
            for batch in prune_builds(cast("Pruner", log), cast("LogSize", log), builds_to_prune(reads(log)), 500.0)
        )
    assert len(log.did) == 1


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    for build in ("a", "b", "c", "other"):
        (folder / build / "deep").mkdir(parents=True)
        (folder / build / f"{build}.1.1.stdout").write_text("12345")
        (folder / build / "deep" / "more").write_text("678")
    (folder / "file").touch()
    return folder


def test_logs_of_pruned_builds_go_and_others_stay(logs: Path) -> None:
    log = FakeLog(record("a", pruned=1.0), record("b"), record("c", pruned=1.0))

    assert list(prunable_logs(reads(log), LocalLogFolders(str(logs)))) == [("a", 8), ("c", 8)]
    assert list(prunable_logs(reads(log), LocalLogFolders(str(logs)), also={"b"}.__contains__)) == [
        ("a", 8),
        ("b", 8),
        ("c", 8),
    ]
    assert list(prune_logs(reads(log), LocalLogFolders(str(logs)))) == [("a", 8), ("c", 8)]
    assert sorted(path.name for path in logs.iterdir()) == ["b", "file", "other"]
    assert list(prune_logs(reads(log), LocalLogFolders(str(logs)))) == []
    assert logs_pruned_before(str(logs)) == 0.0


def test_logs_go_for_their_age_once_their_build_has_ended(logs: Path) -> None:
    log = FakeLog(record("a", 10), record("b", 20), record("c", 5, "EXECUTING"))

    assert list(prune_logs(reads(log), LocalLogFolders(str(logs)), before=15.0)) == [("a", 8)]
    assert logs_pruned_before(str(logs)) == 15.0
    assert list(prune_logs(reads(log), LocalLogFolders(str(logs)), before=12.0)) == []
    assert logs_pruned_before(str(logs)) == 15.0
    assert sorted(path.name for path in logs.iterdir()) == [".pruned_before", "b", "c", "file", "other"]


def test_a_removal_of_logs_that_was_interrupted_is_gone_on_with(logs: Path) -> None:
    log = FakeLog(record("a", 10), record("b", 20), record("c", 30))
    next(prune_logs(reads(log), LocalLogFolders(str(logs)), before=50.0))
    (logs / "b" / "b.1.1.stdout").unlink()

    assert logs_pruned_before(str(logs)) == 50.0
    assert list(prune_logs(reads(log), LocalLogFolders(str(logs)), before=50.0)) == [("b", 3), ("c", 8)]


def test_the_socket_of_a_killed_process_goes_with_the_logs() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # the path of a socket has at most 107 bytes
        build = Path(folder, "a")
        build.mkdir()
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(build / "task-1"))

        assert list(prune_logs(reads(FakeLog(record("a", pruned=1.0))), LocalLogFolders(folder))) == [("a", 0)]
        assert not build.exists()


def test_logs_in_a_store_go_as_those_of_this_machine_and_foreign_ones_stay() -> None:
    storages = FakeStorages()
    for build in ("a", "b", "c", "other"):
        storages.files[f"s3://bucket/logs/{build}/1.1/stdout.000000000000-000000000005"] = b"12345"
    storages.files["s3://bucket/logs/file"] = storages.files["s3://bucket/logs-2/a/1.1/x"] = b"1"
    log = FakeLog(record("a", pruned=1.0), record("b", 10), record("c", 20))
    folders = StoredLogFolders(storages, "s3://bucket/logs")

    assert list(prunable_logs(reads(log), folders, also={"c"}.__contains__)) == [("a", 5), ("c", 5)]
    assert list(prune_logs(reads(log), folders)) == [("a", 5)]
    assert list(prune_logs(reads(log), folders, before=15.0)) == [("b", 5)]
    assert sorted(storages.files) == [
        "s3://bucket/logs-2/a/1.1/x",
        "s3://bucket/logs/c/1.1/stdout.000000000000-000000000005",
        "s3://bucket/logs/file",
        "s3://bucket/logs/other/1.1/stdout.000000000000-000000000005",
    ]


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "data").write_text("x" * 1000)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a").symlink_to(tmp_path / "elsewhere")

    assert bytes_under(str(tmp_path / "logs")) < 1000
    assert list(prune_logs(reads(FakeLog(record("a", pruned=1.0))), LocalLogFolders(str(tmp_path / "logs")))) == []


def test_a_missing_folder_has_no_logs(tmp_path: Path) -> None:
    assert list(prune_logs(reads(FakeLog()), LocalLogFolders(f"{tmp_path}/none"), before=50.0)) == []
    assert bytes_under(f"{tmp_path}/none") == 0
