"""The places at which data may be deleted, and those that other partitions use as well.

Places are compared in a canonical form: of files, the folders on the way to them are resolved. A comparison reads
folders, but no data.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from databuild.errors import InvalidRequestError
from databuild.job.locations import file_path
from databuild.model.records import PlacedData
from databuild.storage.storage_uri import EXTENSIONS, check_storage_uri

_NAVIGATION = frozenset({"", ".", ".."})


class PlaceError(Exception):
    """Data at a place cannot be deleted; the text is the fault."""


def check_place(uri: str) -> None:
    """Checks that data at a URI may be deleted, judged by the URI alone.

    Raises:
        PlaceError: The scheme is unknown, the URI names another machine or a whole store, or has `..` in its path.
    """
    scheme, _, rest = uri.partition(":")
    if scheme == "file":
        try:
            segments = file_path(uri).rstrip("/").split("/")[1:]
        except ValueError as error:
            raise PlaceError(str(error)) from None
    elif scheme in EXTENSIONS:
        try:
            check_storage_uri(uri)
        except InvalidRequestError as error:
            raise PlaceError(str(error)) from None
        segments = rest.removeprefix("//").rstrip("/").split("/")
    else:
        known = ", ".join(("file:", *(f"{name}:" for name in EXTENSIONS)))
        raise PlaceError(f"data at {uri!r} cannot be deleted here: its scheme is none of {known}")
    if not _NAVIGATION.isdisjoint(segments):
        raise PlaceError(f"the path of {uri!r} has an empty segment, `.` or `..`")
    if len(segments) < 2:
        raise PlaceError(f"{uri!r} is a whole store, or directly below the root")


class PlaceForm:
    """Brings URIs into the canonical form. The folders on the way to files are resolved once each."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, uri: str) -> str:
        """Returns a text that is equal for equal places, with a slash between segments. Other URIs stay as they are."""
        scheme, _, rest = uri.partition(":")
        if scheme == "file":
            try:
                folder, _, name = file_path(uri).rstrip("/").rpartition("/")
            except ValueError:
                return uri
            if name in _NAVIGATION:
                return self._resolved(f"{folder}/{name}")
            return f"{self._resolved(folder or '/').rstrip('/')}/{name}"
        if scheme in EXTENSIONS:
            return f"{EXTENSIONS[scheme]}:{rest.rstrip('/')}"
        return uri

    def _resolved(self, folder: str) -> str:
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return self._folders[folder]


class SharedPlaces:
    """Finds those of some places that belong to other partitions as well.

    Attributes:
        faults: The fault of each partition whose place is shared, by ref.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        """Compares nothing yet.

        Args:
            places: The URIs of the places, by ref.
        """
        self.faults: dict[str, str] = {}
        self._form = PlaceForm()
        self._refs: dict[str, set[str]] = {}
        self._inside: dict[str, set[str]] = {}
        for ref, uri in places.items():
            place = self._form.of(uri)
            self._refs.setdefault(place, set()).add(ref)
            for folder in _folders(place):
                self._inside.setdefault(folder, set()).add(ref)

    def compare(self, records: Iterable[PlacedData], *, of_another_log: bool = False) -> None:
        """Compares the places with those of recorded data. Forgotten data does not count.

        Args:
            records: The recorded data.
            of_another_log: True if an equal ref is another partition.
        """
        for record in records:
            if record.location is None or record.removed == "FORGOTTEN":
                continue
            other, place = record.ref, self._form.of(record.location.uri)
            same = "" if of_another_log else other
            self._add(self._refs.get(place), other, same, "its location is also that of")
            self._add(self._inside.get(place), other, same, "its location is inside that of")
            for folder in _folders(place):
                self._add(self._refs.get(folder), other, same, "its location contains that of")

    def _add(self, refs: Iterable[str] | None, other: str, same: str, words: str) -> None:
        for ref in refs or ():
            if ref != same:
                self.faults.setdefault(ref, f"{words} {other!r}")


def _folders(place: str) -> Iterator[str]:
    """Yields the folders that contain a place."""
    end = place.rfind("/")
    while end > 0:
        yield place[:end]
        end = place.rfind("/", 0, end)
