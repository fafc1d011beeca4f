"""A real S3 server, and a part of its bucket for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from databuild.storage.storages import Storages
from tests.engines.s3 import S3Server
from tests.support.derived_data import Folder, Objects, Place

EXTENSIONS: dict[str, tuple[str, ...]] = {"s3": ()}


@dataclass(frozen=True)
class Bucket:
    """The part of a bucket that belongs to one test.

    Attributes:
        uri: Its URI, without a slash at the end.
        server: The server.
    """

    uri: str
    server: S3Server

    @property
    def prefix(self) -> str:
        """The beginning of its keys, with a slash at the end."""
        return f"{self.uri.removeprefix('s3://bucket/')}/"

    def put(self, name: str, data: bytes = b"data") -> str:
        """Writes an object, and returns its version."""
        return self.server.put(self.prefix + name, data)

    def names(self) -> list[str]:
        """Returns the names of the objects."""
        return [key.removeprefix(self.prefix) for key in self.server.keys(self.prefix)]


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with S3Server() as running, pytest.MonkeyPatch.context() as environment:
        for name, value in running.environ.items():
            environment.setenv(name, value)
        yield running


@pytest.fixture
def bucket(server: S3Server) -> Iterator[Bucket]:
    yield Bucket(f"s3://bucket/{uuid.uuid4()}", server)
    server.answer_writes_with(200)


@pytest.fixture(scope="session")
def storages(server: S3Server) -> Storages:
    return Storages(EXTENSIONS)


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Returns an empty place for data: a folder, or a part of a bucket."""
    if request.param == "folder":
        return Folder(tmp_path / "data")
    bucket: Bucket = request.getfixturevalue("bucket")
    return Objects(request.getfixturevalue("storages"), bucket.uri)
