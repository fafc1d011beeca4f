"""Removal of an environment, with the data that was made in it.

Data is deleted only where it belongs to the environment by its place, `ROOT/.environments/NAME/...`, and only if
nobody else knows it: promoted data stays.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from databuild.errors import DataBuildError, EnvironmentInUseError
from databuild.event_log.open import EnvironmentLogs
from databuild.event_log.reads import OpenBuildReads, PlacedDataReads, Reader
from databuild.job.locations import ENVIRONMENTS_FOLDER, file_path
from databuild.model import statuses
from databuild.model.environment_views import RemovedEnvironment
from databuild.orchestration.coordination.dead_builds import find_dead_builds
from databuild.orchestration.stores.data_uses import all_rows
from databuild.orchestration.stores.leftovers import Leftovers
from databuild.orchestration.stores.objects import fault_of_bucket
from databuild.orchestration.stores.places import PlaceError, SharedPlaces, check_place
from databuild.storage.storages import Storages

_MAX_BUILDS: Final = 1000
_THREADS: Final = 8
_Path = TypeVar("_Path", Path, PurePosixPath)


def remove(
    logs: EnvironmentLogs, environment: str, folder: str, storages: Storages, *, with_data: bool
) -> RemovedEnvironment:
    """Removes an environment: its event log, its folder and, if asked for, the data that it made.

    Args:
        logs: The logs of all environments.
        environment: The name of an existing one.
        folder: Its folder, with its job logs.
        storages: The stores of objects.
        with_data: True to delete its data.

    Raises:
        EnvironmentInUseError: Builds run there.
        EventLogError: A log could not be read or removed.
    """
    deleted: list[str] = []
    kept: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(contextlib.closing(logs.reader(environment)))
        check_unused(reader, environment)
        if with_data:
            others = [
                stack.enter_context(contextlib.closing(logs.reader(name))).own
                for name in logs.names()
                if name != environment
            ]
            deleted, kept = delete_data(reader.own, [reader.base, *others], environment, storages)
    logs.remove(environment)
    shutil.rmtree(folder, ignore_errors=True)
    return RemovedEnvironment(environment, tuple(deleted), kept)


def check_unused(reader: OpenBuildReads, environment: str) -> None:
    """Checks that no build runs in an environment.

    Args:
        reader: Reads the log of the environment.
        environment: Its name.

    Raises:
        EnvironmentInUseError: A build runs there.
    """
    dead = find_dead_builds(reader)
    alive = [
        build.build_request_id
        for status in sorted(statuses.BUILD.open)
        for build in reader.builds(status=status, limit=_MAX_BUILDS)
        if build.build_request_id not in dead
    ]
    if alive:
        raise EnvironmentInUseError(environment, alive)


def delete_data(
    own: Reader, others: Sequence[PlacedDataReads], environment: str, storages: Storages
) -> tuple[list[str], dict[str, str]]:
    """Deletes the files and objects of an environment.

    Args:
        own: Reads the log of the environment.
        others: Read the logs of the base and of the other environments.
        environment: The name of the environment.
        storages: The stores of objects.

    Returns:
        The URIs of the deleted data, and the reason for each that was kept, by URI.
    """
    uris = {row.location.uri for page in all_rows(own) for row in page if row.location is not None}
    shared = SharedPlaces({uri: uri for uri in uris})
    for reader in others:
        for page in all_rows(reader):
            shared.compare(page, of_another_log=True)
    used = dict.fromkeys(shared.faults, "the base or another environment uses it")
    free = sorted(uris.difference(used))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="delete") as pool:
        faults = dict(zip(free, pool.map(lambda uri: _delete(uri, environment, storages), free), strict=True))
    deleted = [uri for uri, fault in faults.items() if not fault]
    _remove_leftovers(own, deleted, environment)
    return deleted, used | {uri: fault for uri, fault in faults.items() if fault}


def _delete(uri: str, environment: str, storages: Storages) -> str:
    """Deletes a file, a folder or objects, and returns the reason if it did not."""
    try:
        check_place(uri)
        if not uri.startswith("file:"):
            return _delete_objects(uri.rstrip("/"), environment, storages)
        path = Path(file_path(uri))
        place = place_of(path, environment)
        return _delete_below(path, place) if place is not None else _elsewhere(environment)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"it cannot be deleted: {error.strerror}"
    except (PlaceError, DataBuildError) as error:
        return str(error)


def _elsewhere(environment: str) -> str:
    return f"it is not below {ENVIRONMENTS_FOLDER}/{environment}/"


def _delete_objects(uri: str, environment: str, storages: Storages) -> str:
    _bucket, *key = uri.partition("://")[2].split("/")
    if place_of(PurePosixPath("/", *key), environment) is None:
        return _elsewhere(environment)
    storage = storages.for_uri(uri)
    if storage.stat(uri) is not None:
        storage.remove(uri)
    elif storage.list(uri):
        storage.remove_below(uri)
    elif fault := fault_of_bucket(uri, storages):
        return fault
    return ""


def _delete_below(path: Path, place: Path) -> str:
    # A link in the path must not lead elsewhere.
    if not path.parent.resolve(strict=True).is_relative_to(place.resolve(strict=True)):
        return "its path leads out of the place of the environment"
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    return ""


def place_of(path: _Path, environment: str) -> _Path | None:
    """Returns the folder of an environment that a path is below; None if there is none."""
    if ".." in path.parts:
        return None
    for folder in path.parents:
        if folder.name == environment and folder.parent.name == ENVIRONMENTS_FOLDER:
            return folder
    return None


def _remove_leftovers(own: Reader, deleted: Iterable[str], environment: str) -> None:
    """Removes tokens and unfinished files beside deleted files, and then the folders that are empty."""
    folders = {Path(file_path(uri)).parent for uri in deleted if uri.startswith("file:")}
    leftovers = Leftovers(own, math.inf)
    for found in leftovers.below(map(str, sorted(folders))):
        leftovers.remove(found)
    for folder in folders:
        place = place_of(folder / "data", environment)
        if place is not None:
            _remove_empty(folder, place)


def _remove_empty(folder: Path, place: Path) -> None:
    """Removes empty folders, from one up to the place of the environment."""
    while folder.is_relative_to(place):
        try:
            os.rmdir(folder)  # noqa: PTH106 - removes no folder with files
        except OSError:
            return
        folder = folder.parent
