"""The storages that the contract is tested with."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from databuild.storage.storage import Storage
from databuild.storage.storages import Storages
from tests.engines.s3 import S3Server


@dataclass(frozen=True)
class Place:
    """A storage and an empty directory in it."""

    storage: Storage
    uri: str


@pytest.fixture(scope="session")
def s3() -> Iterator[Storages]:
    with S3Server() as server, pytest.MonkeyPatch.context() as environment:
        for name, value in server.environ.items():
            environment.setenv(name, value)
        yield Storages({"s3": ()})


@pytest.fixture(params=["folder", "file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "s3":
        storages: Storages = request.getfixturevalue("s3")
        uri = f"s3://bucket/{uuid.uuid4()}"
    else:
        storages = Storages({})
        uri = f"{'file://' if request.param == 'file' else ''}{tmp_path}/root"
    return Place(storages.for_uri(uri), uri)
