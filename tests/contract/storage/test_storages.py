"""The contract of storages: files that are written, listed, read and removed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests.contract.storage.conftest import Place


def test_what_was_written_is_read(place: Place) -> None:
    place.storage.write(f"{place.uri}/a/b.txt", b"0123456789")

    assert place.storage.read(f"{place.uri}/a/b.txt") == b"0123456789"
    assert place.storage.read(f"{place.uri}/a/b.txt", 4) == b"456789"
    assert place.storage.read(f"{place.uri}/a/b.txt", 4, 3) == b"456"
    assert place.storage.read(f"{place.uri}/a/b.txt", 0, 3) == b"012"
    assert place.storage.read(f"{place.uri}/a/b.txt", 8, 100) == b"89"


def test_an_empty_file_is_a_file(place: Place) -> None:
    place.storage.write(f"{place.uri}/empty", b"")

    assert place.storage.read(f"{place.uri}/empty") == b""
    assert [file.size_bytes for file in place.storage.list(place.uri)] == [0]


def test_a_file_that_does_not_exist_is_no_error(place: Place) -> None:
    place.storage.write(f"{place.uri}/a/b.txt", b"x")

    assert place.storage.read(f"{place.uri}/none") is None
    assert place.storage.read(f"{place.uri}/a/b.txt/none") is None
    assert place.storage.stat(f"{place.uri}/none") is None
    assert list(place.storage.list(f"{place.uri}/none")) == []
    place.storage.remove_below(f"{place.uri}/none")


def test_a_write_replaces_the_file_and_its_version(place: Place) -> None:
    place.storage.write(f"{place.uri}/a", b"old")
    old = place.storage.stat(f"{place.uri}/a")
    place.storage.write(f"{place.uri}/a", b"newer")
    new = place.storage.stat(f"{place.uri}/a")

    assert old is not None
    assert new is not None
    assert (old.size_bytes, new.size_bytes) == (3, 5)
    assert old.version != new.version
    assert old.version
    assert place.storage.stat(f"{place.uri}/a") == new
    assert place.storage.read(f"{place.uri}/a") == b"newer"


def test_a_listing_has_all_files_below_a_directory_in_order(place: Place) -> None:
    for name in ("build/2", "build/10", "build/deep/er/1", "builds/1"):
        place.storage.write(f"{place.uri}/{name}", b"xyz")

    listed = place.storage.list(f"{place.uri}/build")

    assert [file.uri for file in listed] == [f"{place.uri}/build/{name}" for name in ("10", "2", "deep/er/1")]
    assert {file.size_bytes for file in listed} == {3}
    assert list(place.storage.list(f"{place.uri}/build/")) == list(listed)
    assert place.storage.stat(listed[0].uri) == listed[0]


def test_the_folders_of_a_directory_are_listed_without_what_is_below_them(place: Place) -> None:
    assert list(place.storage.folders(place.uri)) == []
    for name in ("build/1", "build/deep/2", "build-2/1", "other"):
        place.storage.write(f"{place.uri}/{name}", b"x")

    assert list(place.storage.folders(place.uri)) == ["build", "build-2"]
    assert list(place.storage.folders(f"{place.uri}/build")) == ["deep"]


def test_a_listing_sees_files_that_were_written_since_the_last_one(place: Place) -> None:
    place.storage.write(f"{place.uri}/1", b"x")
    assert len(place.storage.list(place.uri)) == 1
    place.storage.write(f"{place.uri}/2", b"x")

    assert len(place.storage.list(place.uri)) == 2


def test_a_directory_is_no_file(place: Place) -> None:
    place.storage.write(f"{place.uri}/a/b", b"x")

    assert list(place.storage.list(f"{place.uri}/a/b")) == []
    assert place.storage.stat(f"{place.uri}/a") is None


def test_removing_a_directory_leaves_its_namesakes(place: Place) -> None:
    for name in ("build/1", "build/deep/2", "build-2/1", "other"):
        place.storage.write(f"{place.uri}/{name}", b"x")

    place.storage.remove_below(f"{place.uri}/build")

    names = [file.uri.removeprefix(place.uri) for file in place.storage.list(place.uri)]
    assert names == ["/build-2/1", "/other"]


def test_many_threads_use_one_storage(place: Place) -> None:
    def write_and_read(number: int) -> bytes | None:
        place.storage.write(f"{place.uri}/{number}", b"%d" % number)
        return place.storage.read(f"{place.uri}/{number}")

    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(write_and_read, range(40)))

    assert read == [b"%d" % number for number in range(40)]
    assert len(place.storage.list(place.uri)) == 40


@pytest.mark.parametrize("name", ["with space", "ünï", "a+b&c=d", "50%", "a#b"])
def test_names_of_all_kinds(place: Place, name: str) -> None:
    if place.uri.startswith("file:"):
        name = quote(name, safe="+&=")
    place.storage.write(f"{place.uri}/{name}/x", b"1")

    assert [file.uri for file in place.storage.list(place.uri)] == [f"{place.uri}/{name}/x"]
    assert place.storage.read(f"{place.uri}/{name}/x") == b"1"
    place.storage.remove_below(f"{place.uri}/{name}")
    assert list(place.storage.list(place.uri)) == []


def test_files_are_listed_by_the_beginning_of_their_uris(place: Place) -> None:
    for name in ("day/10", "day/11/x", "day/2", "day%41"):
        place.storage.write(f"{place.uri}/{name}", b"xyz")

    found = {file.uri: file for file in place.storage.beginning_with(f"{place.uri}/day/1")}
    assert set(found) == {f"{place.uri}/day/10", f"{place.uri}/day/11/x"}
    assert found[f"{place.uri}/day/10"] == place.storage.stat(f"{place.uri}/day/10")
    assert len(place.storage.beginning_with(f"{place.uri}/")) == 4
    assert list(place.storage.beginning_with(f"{place.uri}/none")) == []


def test_a_bucket_exists_or_not(place: Place) -> None:
    assert place.storage.has_root(f"{place.uri}/none")
    if place.uri.startswith("s3:"):
        assert not place.storage.has_root("s3://no-such-bucket/none")


def test_a_file_is_removed_alone(place: Place) -> None:
    for name in ("a", "a.b", "c/a", "ab/a"):
        place.storage.write(f"{place.uri}/{name}", b"x")
    place.storage.remove(f"{place.uri}/a")

    assert [file.uri for file in place.storage.list(place.uri)] == [
        f"{place.uri}/{name}" for name in ("a.b", "ab/a", "c/a")
    ]
    place.storage.remove(f"{place.uri}/a")
    place.storage.remove(f"{place.uri}/a.b/none")
