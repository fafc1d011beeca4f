"""Files on this machine, or on a file system that several machines have mounted at the same path."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from urllib.parse import quote

from databuild.errors import StorageError
from databuild.storage.storage import StoredFile
from databuild.storage.storage_uri import local_path

_TEMPORARY = ".databuild-"
"""The prefix of files that are being written. Listings leave them out."""


_SAFE = "/!$&'()*+,;=:@"
"""Characters besides letters and digits that stand for themselves in the path of a URI (RFC 3986, section 3.3)."""


class LocalStorage:
    """A `Storage` of paths and `file:` URIs."""

    def stat(self, uri: str) -> StoredFile | None:
        with _translated(uri):
            try:
                status = Path(_path(uri)).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _stored_file(uri, status) if S_ISREG(status.st_mode) else None

    def list(self, uri: str) -> Sequence[StoredFile]:
        root = _path(uri)
        with _translated(uri):
            found = []
            for folder, _, names in os.walk(root):
                for name in names:
                    path = f"{folder}/{name}"
                    if name.startswith(_TEMPORARY):
                        continue
                    try:
                        found.append(_stored_file(_below(uri, path[len(root) :]), Path(path).stat()))
                    except FileNotFoundError:  # removed since it was listed
                        continue
            return sorted(found, key=lambda file: file.uri)

    def beginning_with(self, uri: str) -> Sequence[StoredFile]:
        return [file for file in self.list(uri.rpartition("/")[0]) if file.uri.startswith(uri)]

    def has_root(self, uri: str) -> bool:  # noqa: ARG002 - as the interface has it
        return True

    def folders(self, uri: str) -> Sequence[str]:
        with _translated(uri):
            try:
                with os.scandir(_path(uri)) as entries:
                    return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            except (FileNotFoundError, NotADirectoryError):
                return []

    def read(self, uri: str, offset: int = 0, limit: int | None = None) -> bytes | None:
        with _translated(uri):
            try:
                with Path(_path(uri)).open("rb") as file:
                    file.seek(offset)
                    return file.read(limit)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, uri: str, data: bytes) -> None:
        path = Path(_path(uri))
        with _translated(uri):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    os.fchmod(file.fileno(), 0o644)  # other users of a shared folder may read it
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def remove(self, uri: str) -> None:
        with _translated(uri):
            try:
                Path(_path(uri)).unlink(missing_ok=True)
            except NotADirectoryError:
                return

    def remove_below(self, uri: str) -> None:
        with _translated(uri):
            try:
                shutil.rmtree(_path(uri))
            except FileNotFoundError:
                return


def _stored_file(uri: str, status: os.stat_result) -> StoredFile:
    version = f"{status.st_mtime_ns:x}-{status.st_ino:x}-{status.st_size:x}"
    return StoredFile(uri=uri, size_bytes=status.st_size, version=version)


def _below(uri: str, relative: str) -> str:
    """Returns the URI of a file below a directory, in the form of that of the directory."""
    return uri.rstrip("/") + (quote(os.fsencode(relative), safe=_SAFE) if uri.startswith("file:") else relative)


def _path(uri: str) -> str:
    path = local_path(uri)
    assert path is not None  # the registry opens this storage for such URIs alone
    return path.rstrip("/") or "/"


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise StorageError(uri, fault.strerror or str(fault)) from fault
