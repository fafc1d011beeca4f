"""Opens the data of a partition, and nothing else.

No symbolic link is followed at the end of a path, and data that has changed since it was recorded is refused, so that
nobody can put another file in its place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from databuild.job.locations import file_path, file_version, size_and_version
from databuild.previews.preview import MAX_FILES, MAX_OBJECT_BYTES, Unavailable

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OBJECT_SCHEMES: Final = ("s3", "gs", "abfs", "az")


class Source(NamedTuple):
    """Open data.

    Attributes:
        descriptor: A descriptor of a regular file, at its beginning.
        name: The name of the file, whose extension says what it contains.
        size: The size of the data.
        complete: False if there is more data than the file has: more of an object, or more files of a folder.
    """

    descriptor: int
    name: str
    size: int
    complete: bool = True

    @property
    def path(self) -> str:
        """A path by which this process can open the same file again (proc_pid_fd(5))."""
        return f"/proc/self/fd/{self.descriptor}"

    @property
    def stored_size(self) -> int:
        """The size of the file, which may be only the beginning of an object."""
        return os.fstat(self.descriptor).st_size

    def beginning(self, limit: int) -> bytes:
        """Returns the first bytes."""
        return os.pread(self.descriptor, limit, 0)


@contextmanager
def opened(
    uri: str, version: str, import_paths: Mapping[str, Sequence[str]], readable: Sequence[str]
) -> Iterator[Source]:
    """Opens the data at a URI.

    Args:
        uri: The URI of a file, a folder or an object. Of a folder, the first file with data is opened.
        version: The recorded version; empty if it is unknown.
        import_paths: The directories of the packages of each extension that the graph names.
        readable: Extensions of names, such as `.csv`, by which the file of a folder is chosen.

    Raises:
        Unavailable: The data cannot be opened.
    """
    scheme = uri.partition(":")[0].lower()
    if scheme == "file":
        source = _local(uri, version, readable)
    elif scheme in _OBJECT_SCHEMES:
        source = _object(uri, version, import_paths)
    else:
        raise Unavailable(f"{scheme}: is no place where DataBuild can look")
    try:
        yield source
    finally:
        os.close(source.descriptor)


def _local(uri: str, version: str, readable: Sequence[str]) -> Source:
    try:
        path = file_path(uri)
    except ValueError as error:
        raise Unavailable(str(error)) from None
    descriptor = _open(path)
    facts = os.fstat(descriptor)
    if stat.S_ISDIR(facts.st_mode):
        try:
            if version and version != size_and_version(f"/proc/self/fd/{descriptor}")[1]:
                raise Unavailable("the folder has changed since it was recorded; `partitions verify` says more")
            return _in_folder(descriptor, readable)
        finally:
            os.close(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise Unavailable("the data is neither a file nor a folder")
    if version and version != file_version(facts):
        os.close(descriptor)
        raise Unavailable("the file has changed since it was recorded; `partitions verify` says more")
    return Source(descriptor, os.path.basename(path), facts.st_size)  # noqa: PTH119 - a text


def _open(path: str, folder: int | None = None) -> int:
    try:
        return os.open(path, _FLAGS, dir_fd=folder)
    except FileNotFoundError:
        raise Unavailable("the file does not exist; `partitions verify` records that") from None
    except (OSError, ValueError) as error:
        link = isinstance(error, OSError) and error.errno == 40  # ELOOP
        fault = "it is a symbolic link" if link else getattr(error, "strerror", "") or str(error)
        raise Unavailable(f"the file cannot be opened: {fault}") from None


def _in_folder(folder: int, readable: Sequence[str]) -> Source:
    seen = 0
    for directory, folders, names, parent in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            seen += 1
            if seen > MAX_FILES:
                raise Unavailable(f"none of the first {MAX_FILES:,} files of the folder can be shown")
            if name.startswith(".") or not name.lower().endswith(tuple(readable)):
                continue
            descriptor = _open(name, parent)
            facts = os.fstat(descriptor)
            if stat.S_ISREG(facts.st_mode):
                return Source(descriptor, f"{directory}/{name}".removeprefix("./"), facts.st_size, complete=False)
            os.close(descriptor)
    raise Unavailable("the folder has no file that can be shown")


def _object(uri: str, version: str, import_paths: Mapping[str, Sequence[str]]) -> Source:
    from databuild.errors import DataBuildError
    from databuild.storage.storages import Storages

    try:
        storage = Storages(import_paths).for_uri(uri)
        found = storage.stat(uri)
        if found is None:
            bucket = "/".join(uri.split("/")[:3]) + "/"
            if not storage.has_root(bucket):
                raise Unavailable(f"the bucket {bucket} does not exist")
            if storage.list(uri.rstrip("/")):
                raise Unavailable("the data is several objects; only single ones are shown")
            raise Unavailable("the object does not exist; `partitions verify` records that")
        if version and found.version and version.strip('"') != found.version:
            raise Unavailable("the object has changed since it was recorded; `partitions verify` says more")
        data = storage.read(uri, 0, MAX_OBJECT_BYTES) if found.size_bytes else b""
        if storage.stat(uri) != found:
            raise Unavailable("the object was written again just now; try again")
    except DataBuildError as error:
        raise Unavailable(str(error)) from error
    descriptor = os.memfd_create("databuild-preview")
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(data or b"")
    return Source(descriptor, uri.rpartition("/")[2], found.size_bytes, found.size_bytes <= MAX_OBJECT_BYTES)
