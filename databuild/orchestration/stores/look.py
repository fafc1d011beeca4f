"""Compares recorded data with what is at its place now, for many partitions at once. Blocks; reads no event log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from databuild.errors import InvalidRequestError, StorageError
from databuild.job.files import content_digest
from databuild.job.locations import file_path
from databuild.model.records import Location, StoredData
from databuild.model.store_check import StoreFinding
from databuild.orchestration.stores.local_files import FileFacts, facts_in

if TYPE_CHECKING:
    from databuild.storage.storages import Storages

_DIGEST: Final = "sha256:"
"""The beginning of digests that `databuild.job.content_digest` computes."""

_OBJECTS: Final = ("s3://", "gs://", "abfs://", "az://")


class Look:
    """One look at the places of data.

    Attributes:
        findings: The data that is not as recorded, in the order of the data. Data that is not looked at is left out.
        found: The places of changed data with the facts that are there now, by ref.
        others: The data that was not looked at, by ref, each with the step after which it is looked at, one sentence;
            empty if there is none.
        absent: Pairs of the ref and the folder of each missing file.
        without_facts: The number of partitions of which neither size nor version is recorded, and that are there. Their
            data may have changed.
    """

    def __init__(
        self, data: Sequence[StoredData], *, content: bool = False, storages: Callable[[], Storages] | None = None
    ) -> None:
        """Looks.

        Args:
            data: The data, with recorded locations.
            content: True to compare the content of data whose version is a digest that can be computed.
            storages: Returns the storages of the graph, called if there are objects; None to look at no objects.
        """
        self.found: dict[str, Location] = {}
        self.others: dict[str, tuple[StoredData, str]] = {}
        self.absent: list[tuple[str, str]] = []
        self.without_facts = 0
        self._content = content
        # Most URIs share their folder with others, which is decoded once.
        folders: dict[str, str] = {}
        wanted: dict[str, list[str]] = {}
        places: list[tuple[StoredData, Location, str, str]] = []
        objects: list[tuple[StoredData, Location]] = []
        for one in data:
            location = one.location
            if location is None or not location.uri.startswith("file:"):
                if location is not None and location.uri.startswith(_OBJECTS) and storages is not None:
                    objects.append((one, location))
                    places.append((one, location, "", ""))
                else:
                    self.others[one.ref] = one, ""
                continue
            parent, _, name = location.uri.rpartition("/")
            folder = folders.get(parent)
            try:
                if folder is None:
                    folder = folders[parent] = file_path(f"{parent}/").rstrip("/")
                if "%" in name or not name:
                    folder, _, name = file_path(location.uri).rstrip("/").rpartition("/")
            except ValueError:  # such as a file of another machine
                self.others[one.ref] = one, ""
                continue
            wanted.setdefault(folder, []).append(name)
            places.append((one, location, folder, name))
        facts = facts_in(wanted)
        self._storages = storages() if storages is not None and objects else None
        of_objects = self._object_facts(objects)
        self.findings = tuple(
            finding
            for one, location, folder, name in places
            if (found := facts[folder][name] if name else of_objects.get(location.uri)) is not None
            # Most data is as recorded, and then this is all that is done for it.
            and (content or found[0] != location.size or found[1] != location.version)
            for finding in self._compare(one, location, folder, name, found)
        )

    def _object_facts(self, objects: Sequence[tuple[StoredData, Location]]) -> dict[str, FileFacts]:
        """Returns the facts about objects that the graph can look at, by URI; keeps the others."""
        if self._storages is None:
            return {}
        from databuild.orchestration.stores.objects import object_facts
        from databuild.storage.storages import check_storage

        served = []
        for one, location in objects:
            try:
                check_storage(location.uri, self._storages.extensions)
            except InvalidRequestError as error:
                self.others[one.ref] = one, _hint(location.uri, error)
            else:
                served.append(location.uri)
        return dict(object_facts(served, self._storages))

    def _compare(
        self, one: StoredData, location: Location, folder: str, name: str, facts: FileFacts
    ) -> Iterator[StoreFinding]:
        size, version, fault = facts
        if size < 0:
            if not fault and name:
                self.absent.append((one.ref, folder))
            yield StoreFinding(one.ref, "unreadable" if fault else "missing", location.uri, fault)
            return
        try:
            change = self._change(one, location, f"{folder}/{name}" if name else "", size, version)
        except (OSError, StorageError) as error:
            detail = error.fault if isinstance(error, StorageError) else error.strerror or str(error)
            yield StoreFinding(one.ref, "unreadable", location.uri, detail)
            return
        if change:
            self.found[one.ref] = Location(location.uri, size, version)
            yield StoreFinding(one.ref, "changed", location.uri, change)

    def _change(self, one: StoredData, location: Location, path: str, size: int, version: str) -> str:
        """Describes the change of data that exists; returns an empty text if there is none.

        Args:
            one: The data.
            location: Its recorded place.
            path: The path of a file; empty for an object.
            size: Its size now.
            version: Its version now.
        """
        if location.size is not None and location.size != size:
            return f"{location.size:,} bytes are now {size:,}"
        if self._content and one.version.startswith(_DIGEST):
            return "its content has changed" if self._digest(location.uri, path) != one.version else ""
        if location.version and location.version.strip('"') != version:
            return "its size is the same, and it was written again"
        self.without_facts += location.size is None and not location.version
        return ""

    def _digest(self, uri: str, path: str) -> str:
        if path or self._storages is None:
            return content_digest(path)
        from databuild.orchestration.stores.objects import object_digest

        return object_digest(uri, self._storages)


def is_looked_at(location: Location | None) -> bool:
    """Returns True if a location has a scheme at which DataBuild looks, for objects if the graph has the extension."""
    return location is not None and location.uri.startswith(("file:", *_OBJECTS))


def _hint(uri: str, error: InvalidRequestError) -> str:
    """Returns the step after an error about a URI, once for each bucket."""
    root = "/".join(uri.split("/")[:3])
    return str(error).replace(uri, root)
