"""Deletes data at its place, if it is the data that is recorded. Blocks; reads no event log.

A file is renamed before it is removed, and looked at again under its new name. So data that was written to the place in
between is never removed. Object stores have no such step: data that is written between look and request is lost.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from databuild.errors import DataBuildError
from databuild.job.locations import file_path, size_and_version
from databuild.model.records import Location
from databuild.orchestration.stores.objects import fault_of_bucket
from databuild.orchestration.stores.places import PlaceError, check_place
from databuild.storage.storages import Storages
from databuild.tuples import NamedTuple

_THREADS: Final = 8
_RENAMED: Final = ".databuild-deleted"
"""The end of the name under which data waits for its removal."""


class Found(NamedTuple):
    """The data at a place: its size, 0 if nothing is there, and why it cannot be deleted; empty if it can."""

    size: int
    fault: str = ""


class DataStores:
    """The stores from which data is deleted."""

    def __init__(self, storages: Storages, protected: Iterable[str], *, force: bool = False) -> None:
        """Looks at nothing yet.

        Args:
            storages: The stores of objects.
            protected: Paths that are not removed, nor a folder that contains one.
            force: True to delete data whose version is not the recorded one, or is not recorded.
        """
        self._storages = storages
        self._protected = tuple(os.path.realpath(path) for path in protected)
        self._force = force

    def look(self, places: Iterable[Location]) -> list[Found]:
        """Looks at the data, and returns what could be deleted."""
        return self._each(places, remove=False)

    def delete(self, places: Iterable[Location]) -> list[Found]:
        """Deletes the data, and returns what was there. Data that is not there is no fault."""
        return self._each(places, remove=True)

    def _each(self, places: Iterable[Location], *, remove: bool) -> list[Found]:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="delete") as pool:
            return list(pool.map(lambda location: self._one(location, remove=remove), places))

    def _one(self, location: Location, *, remove: bool) -> Found:
        try:
            check_place(location.uri)
            if location.uri.startswith("file:"):
                return self._file(location, remove=remove)
            return self._object(location, remove=remove)
        except PlaceError as error:
            return Found(0, str(error))
        except OSError as error:
            return Found(0, f"its location {location.uri!r} cannot be used: {error.strerror or error}")
        except DataBuildError as error:
            return Found(0, str(error))

    def _file(self, location: Location, *, remove: bool) -> Found:
        path = file_path(location.uri).rstrip("/")
        folder, name = os.path.split(path)
        renamed = Path(folder, f".{name}{_RENAMED}")
        if remove:
            self._finish(Path(path), renamed, location)
        try:
            facts = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return Found(0)
        self._check_file(path, facts)
        # Of a path that leads over a link, only the very file that is recorded is removed.
        force = self._force and os.path.realpath(folder) == folder
        size, version = size_and_version(path)
        _check_version(location, size, version, force=force)
        if not remove:
            return Found(size)
        Path(path).rename(renamed)
        if not force and size_and_version(renamed) != (size, version):
            _put_back(renamed, Path(path))
            raise PlaceError(f"the data at {location.uri!r} was written again just now")
        _remove(renamed)
        return Found(size)

    def _check_file(self, path: str, facts: os.stat_result) -> None:
        if stat.S_ISLNK(facts.st_mode):
            raise PlaceError(f"its location {path!r} is a link")
        if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
            raise PlaceError(f"its location {path!r} is neither a file nor a folder")
        real = os.path.realpath(path)
        for protected in self._protected:
            if protected == real or protected.startswith(f"{real}/"):
                raise PlaceError(f"its location {path!r} contains {protected!r}, which is not data")
        if stat.S_ISDIR(facts.st_mode):
            for below, folders, _ in os.walk(path):
                if any(os.lstat(f"{below}/{name}").st_dev != facts.st_dev for name in folders):
                    raise PlaceError(f"its location {path!r} contains a mounted file system")

    def _finish(self, path: Path, renamed: Path, location: Location) -> None:
        """Finishes a deletion that was interrupted after the data was renamed."""
        try:
            version = size_and_version(renamed)[1]
        except (FileNotFoundError, NotADirectoryError):
            return
        if version == location.version or self._force:
            _remove(renamed)
        else:
            _put_back(renamed, path)

    def _object(self, location: Location, *, remove: bool) -> Found:
        uri = location.uri.rstrip("/")
        storage = self._storages.for_uri(uri)
        found = storage.stat(uri)
        if found is None:
            files = storage.list(uri)
            if not files:
                # Nothing is known of the objects of a bucket that is away, such as one with another name here.
                if fault := fault_of_bucket(uri, self._storages):
                    raise PlaceError(f"its location {uri!r} cannot be used: {fault}")
                return Found(0)
            # A prefix has no version of its own.
            size = sum(file.size_bytes for file in files)
            _check_version(location, size, "", force=self._force)
            if remove:
                storage.remove_below(uri)
            return Found(size)
        _check_version(location, found.size_bytes, found.version, force=self._force)
        if remove:
            storage.remove(uri)
        return Found(found.size_bytes)


def _check_version(location: Location, size: int, version: str, *, force: bool) -> None:
    known = location.version.strip('"')
    # Times of files are coarse: a file that is written twice within some milliseconds may keep its version.
    if force or (known and known == version and location.size in {None, size}):
        return
    if not known:
        raise PlaceError(f"no job has reported the version of the data at {location.uri!r}; `force` deletes any")
    if not version:
        raise PlaceError(f"the store does not tell the version of the data at {location.uri!r}; `force` deletes any")
    raise PlaceError(f"the data at {location.uri!r} was changed since it was made; `force` deletes it")


def _put_back(renamed: Path, path: Path) -> None:
    """Moves data back to its place, unless there is newer data, which makes it obsolete."""
    if renamed.is_dir():
        try:
            renamed.rename(path)
        except OSError:
            if not path.exists():
                raise
            _remove(renamed)
        return
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(renamed)
    renamed.unlink()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
