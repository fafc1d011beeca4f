"""Objects in S3, Google Cloud Storage and Azure, through fsspec.

fsspec has one interface for the libraries of these stores (https://filesystem-spec.readthedocs.io). They take
credentials and endpoints from the environment and from their own files.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import fsspec.core

from databuild.errors import StorageError
from databuild.storage.storage import StoredFile

_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    # Time limits and attempts for one request. A caller that has time tries again itself.
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}}},
    "gs": {"requests_timeout": 30},
    "abfs": {"timeout": 30, "connection_timeout": 5, "read_timeout": 30},
}
_VERSIONS: Final = ("generation", "ETag", "etag")
_MAX_FAULT: Final = 300
_EXPANDED: Final = frozenset("*?[")
"""Characters that the libraries expand, as in patterns of a shell, in requests for many objects."""

# gcsfs prints the traceback of what it raises.
logging.getLogger("gcsfs").setLevel(logging.CRITICAL)


class ObjectStorage:
    """A `Storage` of the objects in the stores of one scheme and host."""

    def __init__(self, uri: str, extension: str) -> None:
        """Imports the library of a store.

        Args:
            uri: A URI in the store.
            extension: The extension that serves its scheme.
        """
        options = _OPTIONS[extension]
        with _translated(uri):
            # Other processes write to the same prefixes, so listings are not cached.
            self._files, _ = fsspec.core.url_to_fs(uri, use_listings_cache=False, skip_instance_cache=True, **options)

    def stat(self, uri: str) -> StoredFile | None:
        with _translated(uri):
            try:
                facts = self._files.info(self._path(uri))
            except FileNotFoundError:
                return None
            return _stored_file(uri, facts) if facts["type"] == "file" else None

    def list(self, uri: str) -> Sequence[StoredFile]:
        prefix = self._path(uri).rstrip("/") + "/"
        with _translated(uri):
            try:
                found = self._files.find(prefix, detail=True)
            except FileNotFoundError:
                return []
            if not isinstance(found, Mapping):  # adlfs returns only the name of a single file
                return []
            names = sorted(name for name in found if name.startswith(prefix))
            return [_stored_file(f"{uri.rstrip('/')}/{name[len(prefix) :]}", found[name]) for name in names]

    def beginning_with(self, uri: str) -> Sequence[StoredFile]:
        parent, _, name = uri.rpartition("/")
        beginning = f"{self._path(parent)}/{name}"
        with _translated(uri):
            try:
                found = self._files.find(self._path(parent), prefix=name, detail=True)
            except FileNotFoundError:
                return []
            if not isinstance(found, Mapping):  # adlfs returns only the name of a single file
                return []
            return [
                _stored_file(f"{parent}/{path[len(beginning) - len(name) :]}", facts)
                for path, facts in found.items()
                if path.startswith(beginning) and facts["type"] == "file"
            ]

    def has_root(self, uri: str) -> bool:
        scheme, _, path = uri.partition("://")
        with _translated(uri):
            try:
                self._files.info(self._path(f"{scheme}://{path.partition('/')[0]}"))
            except FileNotFoundError:
                return False
            return True

    def folders(self, uri: str) -> Sequence[str]:
        path = self._path(uri).rstrip("/")
        with _translated(uri):
            try:
                found = self._files.ls(path, detail=True)
            except FileNotFoundError:
                return []
            # Some libraries return the names of directories with a slash, and some the directory itself as well.
            names = {entry["name"].rstrip("/") for entry in found if entry["type"] == "directory"}
            return sorted(name.rpartition("/")[2] for name in names - {path})

    def read(self, uri: str, offset: int = 0, limit: int | None = None) -> bytes | None:
        end = None if limit is None else offset + limit
        with _translated(uri):
            try:
                data = self._files.cat_file(self._path(uri), start=offset or None, end=end)
            except FileNotFoundError:
                return None
            return bytes(data)

    def write(self, uri: str, data: bytes) -> None:
        with _translated(uri):
            self._files.pipe_file(self._path(uri), data)

    def remove(self, uri: str) -> None:
        with _translated(uri):
            try:
                self._files.rm_file(self._path(uri))
            except FileNotFoundError:
                return

    def remove_below(self, uri: str) -> None:
        found = {file.uri for file in self.list(uri)}
        names = [self._path(one) for one in sorted(found)]
        literal = [name for name in names if not _EXPANDED.intersection(name)]
        with _translated(uri):
            if literal:
                with contextlib.suppress(FileNotFoundError):  # another process has removed them
                    self._files.rm(literal)
            for name in names:
                if _EXPANDED.intersection(name):
                    with contextlib.suppress(FileNotFoundError):
                        self._files.rm_file(name)
        # The libraries do not report the objects that a store refuses to remove in a request for many.
        if kept := sorted(found.intersection(file.uri for file in self.list(uri))):
            raise StorageError(uri, f"the store has kept {len(kept):,} of {len(found):,} objects, such as {kept[0]}")

    def _path(self, uri: str) -> str:
        path: str = fsspec.core.strip_protocol(uri)
        return path


def _stored_file(uri: str, facts: Mapping[str, Any]) -> StoredFile:
    version = next((str(facts[name]).strip('"') for name in _VERSIONS if facts.get(name)), "")
    return StoredFile(uri=uri, size_bytes=int(facts["size"]), version=version)


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Raises the errors of all libraries, which have no common class, as StorageError."""
    try:
        yield
    except Exception as fault:
        raise StorageError(uri, _shown(fault)) from fault


def _shown(fault: BaseException) -> str:
    """Returns an error in one line, without users, passwords and queries of URLs, which may be signed."""
    lines = str(fault).strip().splitlines() or [""]
    text = re.sub(r"://[^/@\s]*@", "://", re.sub(r"\?\S+", "?...", lines[0]))[:_MAX_FAULT]
    return f"{type(fault).__name__}: {text}" if text else type(fault).__name__
