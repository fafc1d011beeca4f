"""A store in memory that can fail, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Sequence

from databuild.errors import StorageError
from databuild.storage.storage import Storage, StoredFile
from databuild.storage.storages import Storages


class FakeStorages(Storages):
    """Storages that have one store for all URIs.

    Attributes:
        files: The content of each file, by URI.
        asked: The requests: the method and the URI.
        fault: The words of the failure of each request; empty to work.
        faults: The words of the failures of the next requests.
    """

    def __init__(self) -> None:
        super().__init__({"s3": ()})
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.fault = ""
        self.faults: list[str] = []

    def for_uri(self, uri: str) -> Storage:
        return self

    def stat(self, uri: str) -> StoredFile | None:
        self._ask("stat", uri)
        return _file(uri, self.files[uri]) if uri in self.files else None

    def list(self, uri: str) -> Sequence[StoredFile]:
        self._ask("list", uri)
        return [_file(name, self.files[name]) for name in sorted(self.files) if name.startswith(f"{uri}/")]

    def beginning_with(self, uri: str) -> Sequence[StoredFile]:
        self._ask("beginning_with", uri)
        return [_file(name, data) for name, data in self.files.items() if name.startswith(uri)]

    def has_root(self, uri: str) -> bool:
        self._ask("has_root", uri)
        return any(name.startswith(uri) for name in self.files)

    def folders(self, uri: str) -> Sequence[str]:
        self._ask("folders", uri)
        below = (name.removeprefix(f"{uri}/") for name in self.files if name.startswith(f"{uri}/"))
        return sorted({name.partition("/")[0] for name in below if "/" in name})

    def read(self, uri: str, offset: int = 0, limit: int | None = None) -> bytes | None:
        self._ask("read", uri)
        data = self.files.get(uri)
        return data if data is None else data[offset : None if limit is None else offset + limit]

    def write(self, uri: str, data: bytes) -> None:
        self._ask("write", uri)
        self.files[uri] = data

    def remove(self, uri: str) -> None:
        self._ask("remove", uri)
        self.files.pop(uri, None)

    def remove_below(self, uri: str) -> None:
        self._ask("remove_below", uri)
        for name in [name for name in self.files if name.startswith(f"{uri}/")]:
            del self.files[name]

    def _ask(self, method: str, uri: str) -> None:
        self.asked.append((method, uri))
        fault = self.faults.pop(0) if self.faults else self.fault
        if fault:
            raise StorageError(uri, fault)


def _file(uri: str, data: bytes) -> StoredFile:
    return StoredFile(uri=uri, size_bytes=len(data), version="")
