"""Files by URI: on this machine, or in an object store.

Knows neither partitions nor logs. All calls block, so an event loop makes them in a thread; several threads may use one
`Storage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file or object.

    Attributes:
        uri: Its URI.
        size_bytes: Its size.
        version: A text that changes with the content: the generation or the ETag of an object, and the time, number and
            size of a file. Empty if the store has none.
    """

    uri: str
    size_bytes: int
    version: str


class Storage(Protocol):
    """The files below the URIs of one scheme and host.

    Every method raises `StorageError` if the store cannot be reached, refuses, or is full.
    """

    def stat(self, uri: str) -> StoredFile | None:
        """Returns what is known of a file; None if it does not exist."""
        ...

    def list(self, uri: str) -> Sequence[StoredFile]:
        """Returns all files below a directory, at any depth, in the order of their URIs; nothing if it does not exist.

        Sees all files whose `write` has returned, those of other processes included.
        """
        ...

    def beginning_with(self, uri: str) -> Sequence[StoredFile]:
        """Returns all files whose URIs begin with a text, in any order; nothing if there are none.

        For an object store, this is one request for each 1,000 files or so.

        Args:
            uri: The text, at least a bucket or directory and a slash.
        """
        ...

    def has_root(self, uri: str) -> bool:
        """Returns False if the bucket of a URI does not exist. A file system always has its root."""
        ...

    def folders(self, uri: str) -> Sequence[str]:
        """Returns the names of the directories directly below a directory, in order; nothing if it does not exist."""
        ...

    def read(self, uri: str, offset: int = 0, limit: int | None = None) -> bytes | None:
        """Returns a part of a file; None if it does not exist.

        Args:
            uri: The file.
            offset: The first byte, below the size of the file.
            limit: The maximum number of bytes; None for all.
        """
        ...

    def write(self, uri: str, data: bytes) -> None:
        """Creates or replaces a file as a whole: readers see the old content or the new."""
        ...

    def remove(self, uri: str) -> None:
        """Removes a file. One that does not exist is no error."""
        ...

    def remove_below(self, uri: str) -> None:
        """Removes all files below a directory, at any depth. A directory that does not exist is no error."""
        ...
