"""Data of the base at places to which jobs of an environment have written, because they do not separate the two.

Recorded places are compared as texts. It reads records, and looks into no store.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from databuild.event_log.overlay.reader import OverlayReader
from databuild.model.pacing import slices

_MAX_REFS: Final = 10_000
"""Maximum number of partitions that are read at once."""

_MAX_NAMED: Final = 3


def replaced_places_warning(reader: OverlayReader, refs: Collection[str], environment: str) -> list[str]:
    """Returns a warning if data of an environment is where the base has its data of the same partitions.

    Args:
        reader: Reads the environment over the base.
        refs: The partitions that a build in the environment was to make.
        environment: The name of the environment.
    """
    replaced: list[tuple[str, str]] = []
    for some in slices(sorted(refs), _MAX_REFS):
        own = {ref: _uri(location) for ref, _, location in reader.own.stored_rows_of(some)}
        replaced += (
            (ref, uri)
            for ref, _, location in reader.base.stored_rows_of(list(own))
            if (uri := _uri(location)) and uri == own[ref]
        )
    if not replaced:
        return []
    names = "; ".join(f"{ref!r} at {uri}" for ref, uri in sorted(replaced)[:_MAX_NAMED])
    more = f"; and {len(replaced) - _MAX_NAMED} more" if len(replaced) > _MAX_NAMED else ""
    number = "1 partition" if len(replaced) == 1 else f"{len(replaced)} partitions"
    warning = (
        f"jobs of the environment {environment!r} wrote to the places of the base, so that its data of {number} is "
        f"replaced: {names}{more}; `run.location` and the variable DATABUILD_ENVIRONMENT give jobs a place for each "
        "environment"
    )
    return [warning]


def _uri(location: str) -> str:
    return str(json.loads(location)[0]) if location else ""
