"""What a job's author is shown of an exception: the frames of their own code, and the message last.

Hidden are frames of databuild.job and of what starts programs. `DATABUILD_FULL_TRACEBACK=1` in the environment of the
job shows them, too. Imported when something has failed, since `traceback` is slow to import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from traceback import FrameSummary, TracebackException

FULL_VARIABLE = "DATABUILD_FULL_TRACEBACK"
_OURS = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - compared with file names as the interpreter has them
_STARTERS = ("<frozen runpy>", "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


def print_failure(heading: str, error: BaseException) -> None:
    """Prints a line that says what failed, and the exception after it, to standard error."""
    trace = TracebackException.from_exception(error)
    if not os.environ.get(FULL_VARIABLE):
        for part in _parts(trace, set()):
            part.stack[:] = [frame for frame in part.stack if not _is_internal(frame)]
    sys.stderr.write(f"{heading}\n" + "".join(trace.format()))


def _parts(trace: TracebackException | None, seen: set[int]) -> Iterator[TracebackException]:
    """Finds an exception, what it was raised from or during, and what is in it where it is a group."""
    if trace is None or id(trace) in seen:
        return
    seen.add(id(trace))
    yield trace
    for other in (trace.__cause__, trace.__context__, *(trace.exceptions or ())):
        yield from _parts(other, seen)


def _is_internal(frame: FrameSummary) -> bool:
    return frame.filename.startswith(_OURS) or frame.filename in _STARTERS
