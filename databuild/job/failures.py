"""Tracebacks of failed jobs, with the frames of the author's code only.

Frames of databuild.job and of the interpreter's start are hidden, unless the environment has
`DATABUILD_FULL_TRACEBACK=1`. This module is imported only after a failure, since `traceback` is slow to import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from traceback import FrameSummary, TracebackException

FULL_VARIABLE = "DATABUILD_FULL_TRACEBACK"
_PACKAGE = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - compared with file names of the interpreter
_STARTERS = ("<frozen runpy>", "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


def print_failure(heading: str, error: BaseException) -> None:
    """Prints a heading and the traceback of an exception to standard error."""
    trace = TracebackException.from_exception(error)
    if not os.environ.get(FULL_VARIABLE):
        for linked in _linked_exceptions(trace, set()):
            linked.stack[:] = [frame for frame in linked.stack if not _is_internal(frame)]
    sys.stderr.write(f"{heading}\n" + "".join(trace.format()))


def _linked_exceptions(trace: TracebackException | None, seen: set[int]) -> Iterator[TracebackException]:
    """Yields an exception, its cause and context, and the members of exception groups, recursively."""
    if trace is None or id(trace) in seen:
        return
    seen.add(id(trace))
    yield trace
    for other in (trace.__cause__, trace.__context__, *(trace.exceptions or ())):
        yield from _linked_exceptions(other, seen)


def _is_internal(frame: FrameSummary) -> bool:
    return frame.filename.startswith(_PACKAGE) or frame.filename in _STARTERS
