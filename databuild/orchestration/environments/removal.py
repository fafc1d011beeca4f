"""Removal of an environment, with the data that was made in it.

Data is deleted only where it belongs to the environment by its place, `ROOT/.environments/NAME/...`, and only if
nobody else knows it: promoted data stays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from databuild.errors import EnvironmentInUseError
from databuild.event_log import liveness as processes
from databuild.event_log.liveness import Liveness
from databuild.event_log.open import EnvironmentLogs
from databuild.event_log.reads import OpenBuildReads, PartitionReads, Reader
from databuild.job.locations import ENVIRONMENTS_FOLDER, file_path
from databuild.model import statuses
from databuild.model.environment_views import RemovedEnvironment
from databuild.model.paging import read_pages
from databuild.model.records import PartitionRecord
from databuild.orchestration.coordination.dead_builds import find_dead_builds

_MAX_BUILDS: Final = 1000


def remove(logs: EnvironmentLogs, environment: str, folder: str, *, with_data: bool) -> RemovedEnvironment:
    """Removes an environment: its event log, its folder and, if asked for, the data that it made.

    Args:
        logs: The logs of all environments.
        environment: The name of an existing one.
        folder: Its folder, with its job logs.
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
            deleted, kept = delete_data(reader.own, [reader.base, *others], environment)
    logs.remove(environment)
    shutil.rmtree(folder, ignore_errors=True)
    return RemovedEnvironment(environment, tuple(deleted), kept)


def check_unused(reader: OpenBuildReads, environment: str, liveness: Liveness = processes) -> None:
    """Checks that no build runs in an environment.

    Args:
        reader: Reads the log of the environment.
        environment: Its name.
        liveness: Tells which processes have died.

    Raises:
        EnvironmentInUseError: A build runs there.
    """
    dead = find_dead_builds(reader, liveness)
    alive = [
        build.build_request_id
        for status in sorted(statuses.BUILD.open)
        for build in reader.builds(status=status, limit=_MAX_BUILDS)
        if build.build_request_id not in dead
    ]
    if alive:
        raise EnvironmentInUseError(environment, alive)


def delete_data(own: Reader, others: Sequence[PartitionReads], environment: str) -> tuple[list[str], dict[str, str]]:
    """Deletes the files of an environment.

    Args:
        own: Reads the log of the environment.
        others: Read the logs of the base and of the other environments.
        environment: The name of the environment.

    Returns:
        The URIs of the deleted data, and the reason for each that was kept, by URI.
    """
    deleted: list[str] = []
    kept: dict[str, str] = {}
    pages = read_pages(
        lambda after, limit: own.partitions(after=after, limit=limit), key=lambda record: record.ref, start=""
    )
    for page in pages:
        uris = {record.ref: record.location.uri for record in page if record.location is not None}
        used = set(_uris(others, uris))
        for uri in uris.values():
            if uri in used:
                kept[uri] = "the base or another environment uses it"
            elif fault := _delete(uri, environment):
                kept[uri] = fault
            else:
                deleted.append(uri)
    return deleted, {uri: fault for uri, fault in kept.items() if uri not in deleted}


def _uris(readers: Iterable[PartitionReads], refs: Iterable[str]) -> Iterator[str]:
    """Yields the URIs of partitions in some logs."""
    keys = sorted(refs)
    for reader in readers:
        records: Iterable[PartitionRecord] = reader.partition_records(keys).values()
        yield from (record.location.uri for record in records if record.location is not None)


def _delete(uri: str, environment: str) -> str:
    """Deletes a file or a folder, and returns the reason if it did not."""
    if not uri.startswith("file:"):
        return "only files are deleted; delete it in its store"
    try:
        path = Path(file_path(uri))
    except ValueError as error:
        return str(error)
    place = place_of(path, environment)
    if place is None:
        return f"it is not below {ENVIRONMENTS_FOLDER}/{environment}/"
    try:
        return _delete_below(path, place)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"it cannot be deleted: {error.strerror}"


def _delete_below(path: Path, place: Path) -> str:
    # A link in the path must not lead elsewhere.
    if not path.parent.resolve(strict=True).is_relative_to(place.resolve(strict=True)):
        return "its path leads out of the place of the environment"
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    _remove_empty(path.parent, place)
    return ""


def place_of(path: Path, environment: str) -> Path | None:
    """Returns the folder of an environment that a path is below; None if there is none."""
    if ".." in path.parts:
        return None
    for folder in path.parents:
        if folder.name == environment and folder.parent.name == ENVIRONMENTS_FOLDER:
            return folder
    return None


def _remove_empty(folder: Path, place: Path) -> None:
    """Removes empty folders, from one up to the place of the environment."""
    while folder.is_relative_to(place):
        try:
            os.rmdir(folder)  # noqa: PTH106 - removes no folder with files
        except OSError:
            return
        folder = folder.parent
