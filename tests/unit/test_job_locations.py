"""Locations that jobs report: URIs of paths, and sizes and versions of files and folders."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from databuild.job import Run, content_digest
from databuild.job.locations import file_path, file_uri, files_below, is_uri, size_and_version


def reported(run: Run, **facts: Any) -> dict[str, Any]:
    """Reports a partition, and returns the location of the report."""
    run.finished("a", **facts)
    line = Path(run.env["DATABUILD_REPORT"]).read_text().splitlines()[-1]
    location: dict[str, Any] = json.loads(line)["partition"].get("location", {})
    return location


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run([], {"DATABUILD_REPORT": str(tmp_path / "report")})


@pytest.mark.parametrize("path", ["/data/x", "/a b/ü%.txt", "/plus+and&eq=?#", os.fsdecode(b"/not-\xff-utf8"), "/"])
def test_a_path_survives_its_uri(path: str) -> None:
    uri = file_uri(path)

    assert file_path(uri) == path
    assert uri.isascii()
    assert not set(" ?#") & set(uri)


@pytest.mark.parametrize("uri", ["file:/data/x", "file:///data/x", "file://localhost/data/x", "FILE:/data/x"])
def test_every_form_of_a_local_uri_is_understood(uri: str) -> None:
    assert file_path(uri) == "/data/x"


@pytest.mark.parametrize(
    "uri", ["s3://b/x", "/data/x", "file://host/x", "file:x", "file:", "file:///%zz", "file:///%+1"]
)
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="'"):
        file_path(uri)


def test_uris_are_told_from_paths() -> None:
    assert all(map(is_uri, ("s3://b/x", "file:x", "gs://b", "abfss://c@a/x", "postgresql://h/d")))
    assert not any(map(is_uri, ("", "/data/x", "data/x", "a:b", "./s3://x", "C:\\x")))


def test_the_size_and_version_of_a_file_are_filled_in(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("seven..")
    facts = file.stat()
    expected = {"uri": file.as_uri(), "size_bytes": 7, "version": f"{facts.st_mtime_ns}.{facts.st_ino}"}

    assert reported(run, uri=file) == reported(run, uri=str(file)) == reported(run, uri=file.as_uri()) == expected
    assert reported(run, path=str(file)) == expected
    assert reported(run, uri=file, size=3) == {**expected, "size_bytes": 3}
    assert reported(run, uri=file, size=3, version="v") == {**expected, "size_bytes": 3, "version": "v"}


def test_other_stores_have_the_facts_that_the_job_gives(run: Run) -> None:
    assert reported(run, uri="s3://b/x") == {"uri": "s3://b/x"}
    assert reported(run, uri="s3://b/x", size=0, version="e") == {"uri": "s3://b/x", "size_bytes": 0, "version": "e"}


def test_a_place_that_does_not_exist_is_an_error_and_a_path_is_not(run: Run, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run.finished("a", uri=tmp_path / "gone")
    assert reported(run, path=str(tmp_path / "gone")) == {}
    assert reported(run, path=7) == reported(run, rows=1) == {}


def test_on_an_engine_a_path_is_no_location(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.touch()
    run = Run([], {"DATABUILD_REPORT": str(tmp_path / "report"), "DATABUILD_EXECUTOR": "dask://h:1"})

    assert reported(run, path=str(file)) == {}
    assert reported(run, uri=file)["uri"] == file.as_uri()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns a folder with three files that count, and others that do not."""
    folder = tmp_path / "folder"
    (folder / "b").mkdir(parents=True)
    (folder / "a").write_text("1")
    (folder / "b" / "x").write_text("22")
    (folder / "c").write_text("333")
    (folder / ".a.token").write_text("no")
    (folder / ".git").mkdir()
    (folder / ".git" / "x").write_text("no")
    (folder / "link").symlink_to(folder)
    return folder


def test_a_folder_has_the_sum_of_its_files(folder: Path) -> None:
    size, version = size_and_version(folder)

    assert size == 6
    assert [name for name, _ in files_below(folder)] == ["a", "b/x", "c"]
    assert size_and_version(folder) == (size, version)


@pytest.mark.parametrize("change", ["content", "name", "new", "gone", "again"])
def test_every_change_of_a_file_changes_the_version_of_its_folder(folder: Path, change: str) -> None:
    version = size_and_version(folder)[1]
    digest = content_digest(folder)
    file = folder / "b" / "x"
    if change == "content":
        file.write_text("44")
        os.utime(file, ns=(7, 7))
    elif change == "name":
        file.rename(folder / "b" / "y")
    elif change == "new":
        (folder / "d").touch()
    elif change == "gone":
        file.unlink()
    else:  # the same content in a new file
        (folder / "new").write_text("22")
        (folder / "new").rename(file)

    assert size_and_version(folder)[1] != version
    assert (content_digest(folder) != digest) == (change != "again")


def test_files_that_do_not_count_do_not_change_a_folder(folder: Path) -> None:
    before = size_and_version(folder), content_digest(folder)
    (folder / ".a.token").write_text("changed")
    (folder / ".new.partial").touch()

    assert (size_and_version(folder), content_digest(folder)) == before


def test_the_digest_of_several_files_is_unchanged(folder: Path) -> None:
    one, two = folder / "a", folder / "c"
    digests = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in (one, two))

    assert content_digest(one) == "sha256:" + hashlib.sha256(b"1").hexdigest()
    assert content_digest(one, two) == "sha256:" + hashlib.sha256(digests).hexdigest()
