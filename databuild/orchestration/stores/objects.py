"""Facts about many objects at once: which exist, how large they are, and their versions.

It does not know partitions. Every function blocks, so event loops call it in a thread.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from databuild.errors import InvalidRequestError, StorageError
from databuild.orchestration.stores.local_files import ABSENT, FileFacts
from databuild.storage.storage import StoredFile
from databuild.storage.storages import Storages

_MIN_LISTED: Final = 16
"""The number of objects with a common beginning from which on they are listed. Fewer take a request each."""

_PAGE: Final = 1000
"""The number of objects that a store returns for one request. A listing is split where each part has so many."""

_MAX_THREADS: Final = 16
_CHUNK_BYTES: Final = 8 * 1024 * 1024


def object_facts(uris: Iterable[str], storages: Storages) -> Mapping[str, FileFacts]:
    """Returns the facts about objects and folders of objects, by URI.

    The size of a folder is the sum of the sizes of the objects below it, and its version is a digest of their names,
    sizes and versions. Names that begin with a dot are left out.

    Args:
        uris: The URIs, of schemes that the storages serve.
        storages: The storages.
    """
    groups: list[Sequence[str]] = []
    for bucket in _by_bucket(sorted(set(uris))):
        groups += _groups(bucket)
    with ThreadPoolExecutor(max(1, min(_MAX_THREADS, len(groups))), thread_name_prefix="objects") as pool:
        found: dict[str, FileFacts] = {}
        for part in pool.map(lambda group: _facts_of(group, storages), groups):
            found.update(part)
    for root in {_root(uri) for uri, facts in found.items() if facts == ABSENT}:
        if fault := fault_of_bucket(root, storages):
            found.update(
                (uri, (-1, "", fault)) for uri, facts in found.items() if facts == ABSENT and _root(uri) == root
            )
    return found


def object_digest(uri: str, storages: Storages) -> str:
    """Returns the digest of an object or a folder of objects, as `databuild.job.content_digest` does for files.

    Raises:
        StorageError: The object cannot be read.
    """
    storage = storages.for_uri(uri)
    if storage.stat(uri) is not None:
        return f"sha256:{_digest(uri, storages).hexdigest()}"
    digest = hashlib.sha256()
    folder = uri.rstrip("/") + "/"
    for file in _visible(folder, storage.list(folder[:-1])):
        digest.update(os.fsencode(file.uri[len(folder) :]) + b"\0" + _digest(file.uri, storages).digest())
    return f"sha256:{digest.hexdigest()}"


def _digest(uri: str, storages: Storages) -> hashlib._Hash:
    storage = storages.for_uri(uri)
    file = storage.stat(uri)
    digest = hashlib.sha256()
    offset = 0
    while file is not None and offset < file.size_bytes:
        part = storage.read(uri, offset, _CHUNK_BYTES)
        if not part:
            raise StorageError(uri, "it was removed or became shorter while it was read")
        digest.update(part)
        offset += len(part)
    return digest


def _root(uri: str) -> str:
    return "/".join(uri.split("/")[:3]) + "/"


def _by_bucket(uris: Sequence[str]) -> Iterator[Sequence[str]]:
    start = 0
    while start < len(uris):
        root = _root(uris[start])
        end = start + 1
        while end < len(uris) and uris[end].startswith(root):
            end += 1
        yield uris[start:end]
        start = end


def _groups(uris: Sequence[str]) -> list[Sequence[str]]:
    """Splits sorted URIs of one bucket where each part is worth a listing of its own."""
    if len(uris) < _MIN_LISTED:
        return [[uri] for uri in uris]
    if len(uris) < 2 * _PAGE:
        return [uris]
    length = len(_beginning(uris)) + 1
    parts: list[Sequence[str]] = []
    start = 0
    while start < len(uris):
        end = bisect_left(uris, uris[start][:length] + "\U0010ffff", start)
        parts.append(uris[start : max(end, start + 1)])
        start = max(end, start + 1)
    # Small parts, such as the ends of a range, are listed together with their neighbours.
    joined: list[Sequence[str]] = []
    small: list[str] = []
    for part in parts:
        if len(part) >= _PAGE:
            joined += [small] if small else []
            joined += _groups(part)
            small = []
        else:
            small += part
    if len(small) == len(uris):
        return [uris]
    return joined + ([small] if small else [])


def _beginning(uris: Sequence[str]) -> str:
    """Returns the common beginning of sorted URIs, which has at least the bucket."""
    return os.path.commonprefix([uris[0], uris[-1]])  # noqa: RUF071 - of texts


def _facts_of(uris: Sequence[str], storages: Storages) -> dict[str, FileFacts]:
    try:
        if len(uris) >= _MIN_LISTED:
            return _listed(uris, storages)
        return {uri: _single(uri, storages) for uri in uris}
    except StorageError as error:
        return dict.fromkeys(uris, (-1, "", error.fault))


def _listed(uris: Sequence[str], storages: Storages) -> dict[str, FileFacts]:
    beginning = _beginning(uris)
    files = storages.for_uri(beginning).beginning_with(beginning.rstrip("/") if beginning in uris else beginning)
    by_uri = {file.uri: file for file in files}
    found: dict[str, FileFacts] = {}
    ordered: list[str] = []
    for uri in uris:
        file = by_uri.get(uri)
        if file is not None:
            found[uri] = (file.size_bytes, file.version, "")
            continue
        ordered = ordered or sorted(by_uri)
        folder = uri.rstrip("/") + "/"
        start = bisect_left(ordered, folder)
        end = bisect_left(ordered, folder[:-1] + chr(ord("/") + 1), start)
        found[uri] = _of_folder(folder, [by_uri[name] for name in ordered[start:end]])
    return found


def _single(uri: str, storages: Storages) -> FileFacts:
    storage = storages.for_uri(uri)
    file = None if uri.endswith("/") else storage.stat(uri)
    if file is not None:
        return file.size_bytes, file.version, ""
    folder = uri.rstrip("/") + "/"
    return _of_folder(folder, storage.list(folder[:-1]))


def _of_folder(folder: str, files: Sequence[StoredFile]) -> FileFacts:
    if not files:
        return ABSENT
    digest = hashlib.sha256()
    size = 0
    for file in _visible(folder, files):
        size += file.size_bytes
        digest.update(os.fsencode(f"{file.uri[len(folder) :]}\0{file.size_bytes}\0{file.version}\n"))
    return size, f"folder:{digest.hexdigest()[:32]}", ""


def _visible(folder: str, files: Sequence[StoredFile]) -> list[StoredFile]:
    """Returns the files that count as data, in the order of `databuild.job.locations.files_below`."""
    named = [(file.uri[len(folder) :].split("/"), file) for file in files]
    return [file for names, file in sorted(named, key=lambda one: one[0]) if not any(n.startswith(".") for n in names)]


def fault_of_bucket(uri: str, storages: Storages) -> str:
    """Returns why nothing can be known about the objects of the bucket of a URI; empty if it exists."""
    root = _root(uri)
    try:
        exists = storages.for_uri(root).has_root(root)
    except (StorageError, InvalidRequestError) as error:
        return str(error)
    return "" if exists else f"the bucket {root} does not exist"
