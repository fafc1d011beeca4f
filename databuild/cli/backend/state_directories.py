"""State directories: the event log in one, and those of the workspace that know what a graph produces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from databuild.cli.backend.invocation import Invocation
from databuild.errors import DataBuildError
from databuild.event_log.open import open_reader
from databuild.graph.catalog import JobCatalog
from databuild.graph.patterns import PartitionPattern

EVENT_LOG: Final = "events.db"
_LOGS: Final = "logs"
_LOOKED_AT: Final = 100
"""How many refs are looked at for each pattern: to name directories is a hint, and has to be quick."""

_MOST: Final = 5


class KnownStateDirectory(NamedTuple):
    """A state directory that knows a partition which the graph produces, too."""

    path: str
    ref: str


def print_hint(call: Invocation) -> None:
    """Names other state directories where that of the graph is new, so that a renamed graph does not begin anew unseen.

    Only where the state directory is the graph's own: whoever names one, or an event log, has chosen.
    """
    if call.flags.get("state_dir") or call.flags.get("event_log"):
        return
    own = Path(call.state_dir)
    if (own / EVENT_LOG).exists():
        return
    others = find_state_directories(call.catalog(), Path(call.workspace, ".databuild"), own)
    if not others:
        return
    call.err.line(f"databuild: the state directory {own} is new, and others know partitions of this graph:")
    for other in others:
        call.err.line(f"databuild:   {other.path} ({other.ref}, say)")
    first = others[0].path
    taking_over = call.follow_up(f"partitions adopt --from={first}")
    call.err.line(f"databuild: --state_dir={first} uses that one; {taking_over} takes over what it knows")
    call.err.flush()


def find_state_directories(catalog: JobCatalog, folder: Path, own: Path) -> list[KnownStateDirectory]:
    """Returns state directories below a folder that know what a graph produces, those written last first."""
    patterns = [PartitionPattern(text) for job in catalog.jobs.values() for text in job.outputs]
    if not patterns:
        return []
    found = []
    for path in sorted(_state_dirs(folder), key=_written, reverse=True):
        if path != own and (ref := _known(path, patterns)):
            found.append(KnownStateDirectory(str(path), ref))
            if len(found) == _MOST:
                break
    return found


def _state_dirs(folder: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(folder):
        if EVENT_LOG in files:
            yield Path(path)
            folders[:] = [name for name in folders if name != _LOGS]  # a folder for each build


def _written(path: Path) -> float:
    try:
        return (path / EVENT_LOG).stat().st_mtime
    except OSError:  # it has gone meanwhile
        return 0.0


def _known(path: Path, patterns: list[PartitionPattern]) -> str:
    """Returns a ref of one of the patterns that is available there; empty where none is, or nothing can be read."""
    try:
        reader = open_reader(f"sqlite:{path / EVENT_LOG}")
        try:
            for pattern in patterns:
                for record in reader.partitions(prefix=pattern.prefix, limit=_LOOKED_AT):
                    if record.available and pattern.match(record.ref) is not None:
                        return record.ref
        finally:
            reader.close()
    except DataBuildError:
        return ""
    return ""
