"""Facts about many local files and folders at once: which exist, how large they are, and their versions.

It does not know partitions. Every function blocks, so event loops call it in a thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from databuild.job.locations import file_version, size_and_version

_MIN_LISTED: Final = 64
"""A folder in which at least so many files are looked for is listed. For fewer, one call each is faster."""

_PER_THREAD: Final = 2000
"""The number of files from which on another thread helps. It matters for network file systems, which take long to
answer; on a local disk the interpreter lock lets threads help little."""

_MAX_THREADS: Final = 8

FileFacts = tuple[int, str, str]
"""Facts about a file or folder: its size in bytes, -1 if it does not exist or cannot be read; its version, as in
`databuild.job.locations`; and the reason why it cannot be read, if so. Plain tuples, since there may be millions."""

ABSENT: Final[FileFacts] = (-1, "", "")
"""The facts about a file that does not exist."""


def facts_in(folders: Mapping[str, Iterable[str]]) -> Mapping[str, Mapping[str, FileFacts]]:
    """Returns the facts about files and folders, by folder and name. Symbolic links are followed.

    Args:
        folders: The names to look for, by folder; the empty text is the root.
    """
    names = {folder: set(some) for folder, some in folders.items()}
    threads = min(_MAX_THREADS, 1 + sum(map(len, names.values())) // _PER_THREAD, len(names))
    if threads <= 1:
        return _facts_in(list(names.items()))
    ordered = list(names.items())
    found: dict[str, Mapping[str, FileFacts]] = {}
    with ThreadPoolExecutor(threads, thread_name_prefix="files") as pool:
        for part in pool.map(_facts_in, (ordered[number::threads] for number in range(threads))):
            found.update(part)
    return found


def _facts_in(folders: Sequence[tuple[str, set[str]]]) -> dict[str, Mapping[str, FileFacts]]:
    return {
        folder: _listed(folder, names) if len(names) >= _MIN_LISTED else {name: _facts(folder, name) for name in names}
        for folder, names in folders
    }


def _listed(folder: str, names: set[str]) -> dict[str, FileFacts]:
    """Returns the facts about files of one folder, from a listing of it."""
    found: dict[str, FileFacts] = {}
    try:
        with os.scandir(folder or "/") as entries:
            for entry in entries:
                name = entry.name
                if name not in names:
                    continue
                try:
                    facts = entry.stat()
                except OSError as error:
                    found[name] = _of_error(error)
                    continue
                if stat.S_ISDIR(facts.st_mode):
                    found[name] = _facts(folder, name)
                else:
                    found[name] = (facts.st_size, file_version(facts), "")
    except OSError as error:
        return dict.fromkeys(names, _of_error(error)) | found
    for name in names - found.keys():
        found[name] = ABSENT
    return found


def _facts(folder: str, name: str) -> FileFacts:
    try:
        return (*size_and_version(f"{folder}/{name}"), "")
    except OSError as error:
        return _of_error(error)


def _of_error(error: OSError) -> FileFacts:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return ABSENT
    return -1, "", error.strerror or str(error)
