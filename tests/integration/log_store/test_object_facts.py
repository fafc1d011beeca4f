"""Jobs report size and version of objects that they have written with fsspec."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import fsspec.core
import pytest

from databuild.job import Run
from databuild.model.records import Location, StoredData
from databuild.orchestration.stores.look import Look
from databuild.storage.storages import Storages
from tests.integration.log_store.conftest import Store
from tools.python import child

PROGRAM = """
import sys
from databuild.job import Run
Run([], {"DATABUILD_REPORT": sys.argv[1]}).finished("p", uri=sys.argv[2])
"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report"


def location(report: Path) -> Location:
    """Returns the location in the last line of a report."""
    place = json.loads(report.read_text().splitlines()[-1])["partition"]["location"]
    return Location(place["uri"], place.get("size_bytes"), place.get("version", ""))


def write(uri: str, data: bytes) -> None:
    files, path = fsspec.core.url_to_fs(uri)
    files.pipe_file(path, data)


def test_size_and_etag_are_filled_in_and_are_those_of_a_verification(s3: Store, report: Path) -> None:
    uri = f"{s3.uri}/data.csv"
    run = Run([], {"DATABUILD_REPORT": str(report)})
    write(uri, b"seven..")

    run.finished("p", uri=uri)

    first = location(report)
    assert (first.size, len(first.version)) == (7, 32)
    assert Look([StoredData("p", "1", first)], storages=lambda: Storages({"s3": ()})).findings == ()
    write(uri, b"SEVEN..")
    (finding,) = Look([StoredData("p", "1", first)], storages=lambda: Storages({"s3": ()})).findings
    assert finding.detail == "its size is the same, and it was written again"
    run.finished("p", uri=uri)
    assert location(report).size == 7
    assert location(report).version != first.version


def test_what_the_job_says_is_kept(s3: Store, report: Path) -> None:
    uri = f"{s3.uri}/data.csv"
    run = Run([], {"DATABUILD_REPORT": str(report)})
    write(uri, b"seven..")

    run.finished("p", uri=uri, size=3)
    assert location(report).size == 3
    assert location(report).version
    run.finished("p", uri=uri, version="mine")
    assert location(report) == Location(uri, 7, "mine")


def test_an_object_that_does_not_exist_has_no_facts(s3: Store, report: Path) -> None:
    Run([], {"DATABUILD_REPORT": str(report)}).finished("p", uri=f"{s3.uri}/gone")

    assert location(report) == Location(f"{s3.uri}/gone")


def test_a_job_without_the_library_does_not_ask_the_store(s3: Store, report: Path) -> None:
    uri = f"{s3.uri}/data.csv"
    write(uri, b"seven..")

    subprocess.run(child.command("-c", PROGRAM, str(report), uri), check=True)

    assert location(report) == Location(uri)
