"""Compares recorded data with what is at its place now, for many partitions at once. Blocks; reads no event log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from databuild.job.files import content_digest
from databuild.job.locations import file_path
from databuild.model.records import Location, StoredData
from databuild.model.store_check import StoreFinding
from databuild.orchestration.stores.local_files import FileFacts, facts_in

_DIGEST: Final = "sha256:"
"""The beginning of digests that `databuild.job.content_digest` computes."""


class Look:
    """One look at the places of data.

    Attributes:
        findings: The data that is not as recorded, in the order of the data. Data that is not looked at is left out.
        found: The places of changed data with the facts that are there now, by ref.
        not_looked_at: The number of partitions that were not looked at.
    """

    def __init__(self, data: Sequence[StoredData], *, content: bool = False) -> None:
        """Looks.

        Args:
            data: The data, with recorded locations.
            content: True to compare the content of data whose version is a digest that can be computed.
        """
        self.found: dict[str, Location] = {}
        self.not_looked_at = 0
        self._content = content
        # Most URIs share their folder with others, which is decoded once.
        folders: dict[str, str] = {}
        wanted: dict[str, list[str]] = {}
        places: list[tuple[StoredData, Location, str, str]] = []
        for one in data:
            location = one.location
            if location is None or not location.uri.startswith("file:"):
                self.not_looked_at += 1
                continue
            parent, _, name = location.uri.rpartition("/")
            folder = folders.get(parent)
            try:
                if folder is None:
                    folder = folders[parent] = file_path(f"{parent}/").rstrip("/")
                if "%" in name or not name:
                    folder, _, name = file_path(location.uri).rstrip("/").rpartition("/")
            except ValueError:  # such as a file of another machine
                self.not_looked_at += 1
                continue
            wanted.setdefault(folder, []).append(name)
            places.append((one, location, folder, name))
        facts = facts_in(wanted)
        self.findings = tuple(self._compare(places, facts)) if places else ()

    def _compare(
        self, places: Sequence[tuple[StoredData, Location, str, str]], facts: Mapping[str, Mapping[str, FileFacts]]
    ) -> Iterator[StoreFinding]:
        for one, location, folder, name in places:
            size, version, fault = facts[folder][name]
            if size == location.size and version == location.version and not self._content:
                continue
            if size >= 0:
                if change := self._change(one, location, f"{folder}/{name}", size, version):
                    self.found[one.ref] = Location(location.uri, size, version)
                    yield StoreFinding(one.ref, "changed", location.uri, change)
            elif fault:
                yield StoreFinding(one.ref, "unreadable", location.uri, fault)
            else:
                yield StoreFinding(one.ref, "missing", location.uri)

    def _change(self, one: StoredData, location: Location, path: str, size: int, version: str) -> str:
        """Describes the change of data that exists; returns an empty text if there is none."""
        if location.size is not None and location.size != size:
            return f"{location.size:,} bytes are now {size:,}"
        if self._content and one.version.startswith(_DIGEST):
            return "its content has changed" if content_digest(path) != one.version else ""
        if location.version and location.version != version:
            return "its size is the same, and it was written again"
        return ""
