"""Errors of stores: they name the URI and the reason, and no credentials."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from databuild.errors import StorageError
from databuild.storage.storages import Storages
from tests.engines.s3 import S3Server


@pytest.mark.parametrize("user", ["", "ann:hunter2@"])
def test_a_store_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{user}127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-ann")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        with pytest.raises(StorageError) as caught:
            Storages({"s3": ()}).for_uri("s3://bucket").write("s3://bucket/a", b"x")

    assert str(caught.value).startswith("s3://bucket/a cannot be used: ")
    assert "hunter2" not in str(caught.value)


def test_a_store_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Server() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        storage = Storages({"s3": ()}).for_uri("s3://bucket")
        storage.write("s3://bucket/a/1", b"x")
        server.answer_writes_with(403)

        with pytest.raises(StorageError, match="s3://bucket/a/2 cannot be used: "):
            storage.write("s3://bucket/a/2", b"x")
        with pytest.raises(StorageError, match="s3://bucket/a cannot be used: "):
            storage.remove_below("s3://bucket/a")
        assert storage.read("s3://bucket/a/1") == b"x"


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    storage = Storages({}).for_uri(str(tmp_path))

    with pytest.raises(StorageError, match=r"Not a directory|File exists"):
        storage.write(f"{tmp_path}/file/a", b"x")
    assert storage.read(f"{tmp_path}/file/a") is None
    assert list(storage.list(f"{tmp_path}/file/a")) == []


def test_a_write_that_fails_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    with pytest.raises(StorageError):
        Storages({}).for_uri(str(tmp_path)).write(f"{tmp_path}/a", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
