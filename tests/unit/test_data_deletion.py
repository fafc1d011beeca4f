"""Data is deleted only at its own place, and only if it is the data that is recorded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from databuild.job.locations import file_uri, size_and_version
from databuild.model.records import Location, PlacedData
from databuild.orchestration.stores.deletion import DataStores, Found
from databuild.orchestration.stores.places import PlaceError, PlaceForm, SharedPlaces, check_place
from databuild.storage.storages import Storages
from tests.support.fake_storage import FakeStorages


def write(path: Path, text: str = "data") -> Location:
    """Writes a file, and returns its location as a job reports it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return at(path)


def at(path: Path) -> Location:
    return Location(file_uri(path), *size_and_version(path))


def delete(location: Location, *, force: bool = False, protected: tuple[str, ...] = ()) -> Found:
    """Looks at data and deletes it; both have to agree."""
    stores = DataStores(Storages({}), protected, force=force)
    (looked,) = stores.look([location])
    (done,) = stores.delete([location])
    assert done == looked
    return done


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_is_deleted_alone(tmp_path: Path) -> None:
    location = write(tmp_path / "data" / "1")
    for name in ("10", ".1.token", "1.csv"):
        write(tmp_path / "data" / name)

    assert delete(location) == Found(4)
    assert names(tmp_path) == ["data", "data/.1.token", "data/1.csv", "data/10"]
    assert delete(location) == Found(0)


def test_a_folder_is_deleted_with_all_of_its_files_and_no_link_is_followed(tmp_path: Path) -> None:
    kept = write(tmp_path / "elsewhere" / "kept")
    write(tmp_path / "data" / "1" / "part" / "a")
    write(tmp_path / "data" / "1" / ".crc")
    (tmp_path / "data" / "1" / "link").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "data" / "10" / "a")

    assert delete(at(tmp_path / "data" / "1")) == Found(4)
    assert names(tmp_path / "data") == ["10", "10/a"]
    assert at(tmp_path / "elsewhere" / "kept") == kept


def test_a_name_with_special_characters_is_decoded(tmp_path: Path) -> None:
    location = write(tmp_path / "data" / "a%2F..%2Fb ü?.csv")
    write(tmp_path / "b ü?.csv")

    assert delete(location) == Found(4)
    assert names(tmp_path) == ["b ü?.csv", "data"]


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("file:///data/../etc/passwd", "`..`"),
        ("file:///data/%2e%2e/etc/passwd", "`..`"),
        ("file:///data/./x", "`..`"),
        ("file:///data//x", "empty segment"),
        ("file:///data", "directly below the root"),
        ("file:///", "directly below the root"),
        ("file://other/data/x", "machine 'other'"),
        ("file:data/x", "no absolute path"),
        ("file:///data/a%00b", "a null character"),
        ("file:///data/a\0b", "a null character"),
        ("s3://bucket", "a whole store"),
        ("s3://bucket/", "a whole store"),
        ("s3://bucket/a/../b", "`..`"),
        ("s3://bucket/a*", "must contain none of"),
        ("s3://user:secret@bucket/a", "neither a user nor a password"),
        ("http://host/data", "its scheme is none of file:, s3:"),
        ("postgresql://host/database/table", "its scheme is none of"),
        ("/data/x", "its scheme is none of"),
        ("", "its scheme is none of"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_other_places_are_refused(uri: str, fault: str, *, force: bool) -> None:
    with pytest.raises(PlaceError, match=fault):
        check_place(uri)
    found = delete(Location(uri, 4, "1"), force=force)

    assert fault in found.fault
    assert "secret" not in found.fault


def test_a_link_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")

    assert "is a link" in delete(at(tmp_path / "link")).fault
    assert "is a link" in delete(at(tmp_path / "link"), force=True).fault
    assert names(tmp_path) == ["link", "real"]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_became_a_link_leads_to_nothing_else(tmp_path: Path, *, force: bool) -> None:
    location = write(tmp_path / "data" / "x")
    write(tmp_path / "theirs" / "x")
    (tmp_path / "data" / "x").unlink()
    (tmp_path / "data").rmdir()
    (tmp_path / "data").symlink_to("theirs")

    assert "was changed since it was made" in delete(location, force=force).fault
    assert (tmp_path / "theirs" / "x").exists()


def test_the_recorded_file_is_deleted_behind_a_link_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "real" / "x")
    (tmp_path / "link").symlink_to("real")

    assert delete(at(tmp_path / "link" / "x")) == Found(4)
    assert names(tmp_path) == ["link", "real"]


def test_a_device_or_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "neither a file nor a folder" in delete(Location(file_uri(tmp_path / "pipe"), 0, "1"), force=True).fault


def test_a_folder_with_something_protected_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "work" / "state" / "events.db")
    (tmp_path / "link").symlink_to("work")
    location = at(tmp_path / "work")
    for protected in (tmp_path / "work" / "state", tmp_path / "work", tmp_path / "link" / "state"):
        assert "is not data" in delete(location, protected=(str(protected),)).fault

    assert delete(location, protected=(str(tmp_path / "wor"), str(tmp_path / "work2"))) == Found(4)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda location: location._replace(version="1.2"), "was changed since it was made"),
        (lambda location: location._replace(size=5), "was changed since it was made"),
        (lambda location: location._replace(version=""), "no job has reported the version"),
    ],
)
def test_other_data_is_deleted_only_by_force(
    tmp_path: Path, change: Callable[[Location], Location], fault: str
) -> None:
    location = change(write(tmp_path / "data" / "x"))

    assert fault in delete(location).fault
    assert names(tmp_path) == ["data", "data/x"]
    assert delete(location, force=True) == Found(4)
    assert names(tmp_path) == ["data"]


def test_an_interrupted_deletion_is_finished(tmp_path: Path) -> None:
    location = write(tmp_path / "data" / "x")
    (tmp_path / "data" / "x").rename(tmp_path / "data" / ".x.databuild-deleted")

    assert DataStores(Storages({}), ()).delete([location]) == [Found(0)]
    assert names(tmp_path) == ["data"]


def test_newer_data_that_was_renamed_returns_to_its_place(tmp_path: Path) -> None:
    location = write(tmp_path / "data" / "x")
    (tmp_path / "data" / "x").unlink()
    write(tmp_path / "data" / ".x.databuild-deleted", "newer")
    (found,) = DataStores(Storages({}), ()).delete([location])

    assert "was changed since it was made" in found.fault
    assert (tmp_path / "data" / "x").read_text() == "newer"
    assert names(tmp_path) == ["data", "data/x"]


def test_nothing_is_below_a_file(tmp_path: Path) -> None:
    write(tmp_path / "data" / "x")
    location = Location(file_uri(tmp_path / "data" / "x" / "y"), 1, "1")

    assert delete(location) == Found(0)
    assert names(tmp_path) == ["data", "data/x"]


def test_objects_are_deleted_by_their_version() -> None:
    stores = FakeStorages()
    stores.files = {"s3://bucket/a": b"123", "s3://bucket/a1": b"1", "s3://bucket/f/1": b"12", "s3://bucket/f2/1": b"1"}
    removed = DataStores(stores, (), force=True).delete([Location("s3://bucket/a"), Location("s3://bucket/f/")])
    refused = DataStores(stores, ()).delete([Location("s3://bucket/a1", 1, "etag"), Location("s3://bucket/f2", 1)])

    assert removed == [Found(3), Found(2)]
    assert "does not tell the version" in refused[0].fault
    assert "no job has reported the version" in refused[1].fault
    assert sorted(stores.files) == ["s3://bucket/a1", "s3://bucket/f2/1"]


def test_nothing_is_known_of_a_bucket_that_does_not_exist() -> None:
    stores = FakeStorages()
    stores.files = {"s3://other/a": b"1"}
    location = Location("s3://bucket/a", 1, "etag")

    assert "the bucket s3://bucket/ does not exist" in DataStores(stores, ()).look([location])[0].fault
    stores.files["s3://bucket/b"] = b"1"
    assert DataStores(stores, ()).look([location]) == [Found(0)]


def test_a_store_that_fails_is_a_fault() -> None:
    stores = FakeStorages()
    stores.fault = "it is closed"

    assert "it is closed" in DataStores(stores, ()).delete([Location("s3://bucket/a", 1, "etag")])[0].fault
    assert "add storage = ['s3']" in DataStores(Storages({}), ()).delete([Location("s3://bucket/a", 1, "e")])[0].fault


def row(ref: str, uri: str, removed: str = "") -> PlacedData:
    return PlacedData(ref, "1", Location(uri), "AVAILABLE", 0.0, not removed, removed)


def shared(uri: str, other: str, removed: str = "") -> str:
    """Returns the fault of a place beside another one."""
    places = SharedPlaces({"p": uri})
    places.compare([row("p", uri), row("other", other, removed)])
    return places.faults.get("p", "")


@pytest.mark.parametrize(
    ("uri", "other", "fault"),
    [
        ("file:///data/x", "file:///data/x", "also that of 'other'"),
        ("file:///data/x", "file:/data/x/", "also that of 'other'"),
        ("file:///data/%78", "file://localhost/data/x", "also that of 'other'"),
        ("file:///data/x", "file:///data/../data/x", "also that of 'other'"),
        ("file:///data/t1", "file:///data/t1/x", "contains that of 'other'"),
        ("file:///data/t1", "file:///data/t1/a/b/c", "contains that of 'other'"),
        ("file:///data/t1/x", "file:///data/t1", "inside that of 'other'"),
        ("file:///data/t1", "file:///data/t10", ""),
        ("file:///data/t1", "file:///data/t10/x", ""),
        ("file:///data/t10/x", "file:///data/t1", ""),
        ("s3://bucket/t1", "s3://bucket/t1/", "also that of 'other'"),
        ("s3://bucket/t1", "s3://bucket/t1/x", "contains that of 'other'"),
        ("az://container/t1/x", "abfs://container/t1", "inside that of 'other'"),
        ("s3://bucket/t1", "gs://bucket/t1", ""),
        ("s3://bucket/t1", "s3://bucket/t10", ""),
        ("s3://bucket/t1", "table:t1", ""),
        ("s3://bucket/t1", "file://other/t1", ""),
    ],
)
def test_places_of_other_partitions_are_found(uri: str, other: str, fault: str) -> None:
    assert (fault in shared(uri, other)) if fault else shared(uri, other) == ""


def test_places_are_compared_behind_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    assert "also that of" in shared(file_uri(tmp_path / "real" / "x"), file_uri(tmp_path / "link" / "x"))
    assert "contains that of" in shared(file_uri(tmp_path / "real"), file_uri(tmp_path / "link" / "x"))
    assert PlaceForm().of(file_uri(tmp_path / "link" / "x")) == str(tmp_path / "real" / "x")


def test_forgotten_data_shares_no_place() -> None:
    assert shared("file:///data/x", "file:///data/x", "FORGOTTEN") == ""
    assert "also that of" in shared("file:///data/x", "file:///data/x", "DELETED")
