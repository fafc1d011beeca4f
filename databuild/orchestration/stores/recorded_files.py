"""The fast part of a look: leaves out the data of partitions that are files exactly as recorded.

Most files of most verifications are, and this is all that is done for them. `look.py` looks at the others again. It
blocks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from databuild.model.records import StoredRow

_SLICE: Final = 1000
_MAX_SLICE_SECONDS: Final = 0.1
"""The time for a slice from which on the file system is a slow one, of another machine. `look.py` then lists its
folders, in several threads."""

_FILE: Final = '["file:///'
_TO_PATH: Final = len('["file://')


def not_as_recorded(
    rows: Sequence[StoredRow], *, clock: Callable[[], float] = time.perf_counter
) -> Sequence[StoredRow]:
    """Returns the rows of data that is not known to be as recorded, in their order.

    Args:
        rows: The recorded data.
        clock: Returns a time in seconds that never goes back.
    """
    rest: list[StoredRow] = []
    for start in range(0, len(rows), _SLICE):
        some = rows[start : start + _SLICE]
        started = clock()
        _add_others(some, rest)
        if clock() - started > _MAX_SLICE_SECONDS * len(some) / _SLICE:
            return [*rest, *rows[start + _SLICE :]]
    return rest


def _add_others(rows: Sequence[StoredRow], rest: list[StoredRow]) -> None:
    stat = os.stat
    for row in rows:
        # The location is JSON without spaces, and a URI has no quotation mark. So the text of an unchanged file can be
        # compared as it is, and is not decoded.
        uri, _, facts = row[2].partition('",')
        if uri.startswith(_FILE) and "%" not in uri and "\\" not in uri:
            try:
                found = stat(uri[_TO_PATH:])
            except (OSError, ValueError):
                pass
            else:
                # The version is that of `databuild.job.locations.file_version`. That of a folder has another form.
                if facts == f'{found.st_size},"{found.st_mtime_ns}.{found.st_ino}"]':
                    continue
        rest.append(row)
