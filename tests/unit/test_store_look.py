"""A look at the places of data finds changes, losses and faults."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from databuild.job import content_digest
from databuild.job.locations import file_uri, size_and_version
from databuild.model.records import Location, StoredData
from databuild.model.store_check import StoreFinding
from databuild.orchestration.stores.look import Look


def recorded(path: Path, ref: str = "p", version: str = "b.1.1") -> StoredData:
    """Returns data that is recorded as it is now."""
    return StoredData(ref, version, Location(file_uri(path), *size_and_version(path)))


def touch(path: Path) -> None:
    os.utime(path, ns=(7, 7))


def grow(path: Path) -> None:
    path.write_text(path.read_text() + "more")


def replace(path: Path) -> None:
    """Writes other content of the same size, with the same times."""
    facts = path.stat()
    path.write_text("x" * facts.st_size)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def remove(path: Path) -> None:
    path.unlink()


def turn_into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def nothing(path: Path) -> None:
    assert path.exists()


@pytest.mark.parametrize(
    ("change", "kind", "by_content"),
    [
        (nothing, "", ""),
        (touch, "changed", ""),
        (grow, "changed", "changed"),
        (replace, "", "changed"),
        (remove, "missing", "missing"),
        (turn_into_folder, "changed", "changed"),
    ],
)
@pytest.mark.parametrize("count", [1, 100])
def test_changes_are_found_by_version_or_by_content(
    tmp_path: Path, change: Callable[[Path], None], kind: str, by_content: str, count: int
) -> None:
    files = [tmp_path / f"data {number}" for number in range(count)]
    for file in files:
        file.write_text("some content")
    data = [recorded(file, f"p/{number}", content_digest(file)) for number, file in enumerate(files)]
    change(files[-1])

    for content, expected in ((False, kind), (True, by_content)):
        look = Look(data, content=content)
        assert [finding.kind for finding in look.findings] == [expected] * bool(expected)
        assert set(look.found) == ({f"p/{count - 1}"} if expected == "changed" else set())
        assert len(look.others) == 0


def test_content_is_compared_only_with_digests_that_can_be_computed(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("x")
    data = recorded(file, version="md5:of another program")
    touch(file)

    (finding,) = Look([data], content=True).findings
    assert (finding.kind, finding.detail) == ("changed", "its size is the same, and it was written again")


def test_a_folder_is_compared_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x").write_text("1")
    data = recorded(folder, version=content_digest(folder))
    assert Look([data]).findings == Look([data], content=True).findings == ()
    (folder / "b").write_text("")

    assert [finding.detail for finding in Look([data], content=True).findings] == ["its content has changed"]
    (folder / "b").write_text("22")
    assert [finding.detail for finding in Look([data]).findings] == ["1 bytes are now 3"]


def test_what_is_not_recorded_is_not_compared(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("x")

    assert Look([StoredData("p", "1", Location(file_uri(file)))]).findings == ()
    assert [found.kind for found in Look([StoredData("p", "1", Location(file_uri(tmp_path / "no")))]).findings] == [
        "missing"
    ]


@pytest.mark.parametrize(
    "uri",
    ["s3://bucket/x", "file://elsewhere/x", "postgresql://h/d/t", "file:///%zz", "file:///a%00/b", "file:///a%00"],
)
def test_other_places_are_counted(uri: str) -> None:
    look = Look([StoredData("p", "1", Location(uri)), StoredData("q", "1", None)])

    assert (look.findings, len(look.others)) == ((), 2)


@pytest.mark.parametrize("count", [1, 100])
def test_a_missing_folder_means_missing_files(tmp_path: Path, count: int) -> None:
    (tmp_path / "file").touch()
    uris = [file_uri(tmp_path / folder / str(number)) for folder in ("gone", "file") for number in range(count)]
    look = Look([StoredData(f"p/{number}", "1", Location(uri)) for number, uri in enumerate(uris)])

    assert [finding.kind for finding in look.findings] == ["missing"] * len(uris)


@pytest.mark.parametrize("count", [1, 100])
def test_a_fault_is_not_a_loss(tmp_path: Path, count: int) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    data = [StoredData(f"p/{name}", "1", Location(file_uri(tmp_path / name))) for name in ("loop", "dangling")]
    others = [tmp_path / str(number) for number in range(count)]
    for other in others:
        other.touch()
    look = Look([*data, *(recorded(other, other.name) for other in others)])

    assert [(finding.ref, finding.kind) for finding in look.findings] == [
        ("p/loop", "unreadable"),
        ("p/dangling", "missing"),
    ]
    assert look.findings[0].detail


def test_several_partitions_may_have_one_place(tmp_path: Path) -> None:
    uri = file_uri(tmp_path / "gone")

    assert Look([StoredData(ref, "1", Location(uri)) for ref in "pq"]).findings == (
        StoreFinding("p", "missing", uri),
        StoreFinding("q", "missing", uri),
    )


def test_many_folders_are_looked_at_by_several_threads(tmp_path: Path) -> None:
    data = []
    for number in range(5000):
        file = tmp_path / str(number % 50) / str(number)
        if number < 50:
            file.parent.mkdir()
        if number % 500:
            file.touch()
            data.append(recorded(file, f"p/{number}"))
        else:
            data.append(StoredData(f"p/{number}", "1", Location(file_uri(file))))

    assert [finding.ref for finding in Look(data).findings] == [f"p/{number}" for number in range(0, 5000, 500)]
