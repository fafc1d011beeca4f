"""State directories in the workspace, and a hint about those that hold partitions of a graph under another name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from databuild.cli.backend.invocation import Invocation
from databuild.errors import DataBuildError
from databuild.event_log.open import open_reader
from databuild.graph.catalog import JobCatalog
from databuild.graph.patterns import PartitionPattern
from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

EVENT_LOG: Final = "events.db"
_FOLDERS: Final = ("logs", "environments")
"""Folders of a state directory, with one folder for each build and each environment."""

_MAX_REFS: Final = 100
"""The maximum number of refs to read for each pattern: the hint must not delay a command."""

_MAX_DIRECTORIES: Final = 5


class KnownStateDirectory(NamedTuple):
    """A state directory, and the ref of a partition in it that the graph produces too."""

    path: str
    ref: str


def print_hint(call: Invocation) -> None:
    """Prints other state directories with partitions of the graph, if the one of the graph does not exist yet.

    Without the hint, a graph that was renamed would build everything again unnoticed. Prints nothing if the flags name
    a state directory or an event log, or an environment.
    """
    if call.flags.get("state_dir") or call.flags.get("event_log") or call.environment:
        return
    own = call.state_dir
    if os.path.exists(os.path.join(own, EVENT_LOG)):  # noqa: PTH110, PTH118 (pathlib would be imported for each build)
        return
    from pathlib import Path

    others = find_state_directories(call.catalog(), Path(call.workspace, ".databuild"), Path(own))
    if not others:
        return
    call.err.line(f"databuild: the state directory {own} is new, and others have partitions of this graph:")
    for other in others:
        call.err.line(f"databuild:   {other.path} (for example {other.ref})")
    first = others[0].path
    adopt_command = call.follow_up(f"partitions adopt --from={first}")
    call.err.line(f"databuild: --state_dir={first} uses it; {adopt_command} copies its records")
    call.err.flush()


def find_state_directories(catalog: JobCatalog, folder: Path, own: Path) -> list[KnownStateDirectory]:
    """Returns state directories below a folder that have partitions of a graph, most recently written first."""
    patterns = [PartitionPattern(text) for job in catalog.jobs.values() for text in job.outputs]
    if not patterns:
        return []
    directories = []
    for path in sorted(_state_dirs(folder), key=_modified_time, reverse=True):
        if path != own and (ref := _example_ref(path, patterns)):
            directories.append(KnownStateDirectory(str(path), ref))
            if len(directories) == _MAX_DIRECTORIES:
                break
    return directories


def _state_dirs(folder: Path) -> Iterator[Path]:
    from pathlib import Path

    for path, folders, files in os.walk(folder):
        if EVENT_LOG in files:
            yield Path(path)
            folders[:] = [name for name in folders if name not in _FOLDERS]


def _modified_time(path: Path) -> float:
    try:
        return (path / EVENT_LOG).stat().st_mtime
    except OSError:  # it was removed meanwhile
        return 0.0


def _example_ref(path: Path, patterns: list[PartitionPattern]) -> str:
    """Returns the ref of an available partition that matches a pattern; empty if there is none, or on an error."""
    try:
        reader = open_reader(f"sqlite:{path / EVENT_LOG}")
        try:
            for pattern in patterns:
                for record in reader.partitions(prefix=pattern.prefix, limit=_MAX_REFS):
                    if record.available and pattern.match(record.ref) is not None:
                        return record.ref
        finally:
            reader.close()
    except DataBuildError:
        return ""
    return ""
