"""Ids of the trace of a build, which follow from the ids of the build and its job runs.

So jobs and every exporter have the same ids, also an exporter that sends the events of a build again. A trace context
has the form of W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context/).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from databuild.tuples import NamedTuple

TRACEPARENT_VARIABLE: Final = "TRACEPARENT"
"""The environment variable with the trace context of a process."""

_TRACEPARENT: Final = r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"


class TraceContext(NamedTuple):
    """The trace of a build.

    Attributes:
        trace_id: The id of the trace: 32 hexadecimal digits.
        parent_span_id: The span of the caller: 16 hexadecimal digits; empty if the build begins the trace.
        sampled: False if the caller does not record the trace.
    """

    trace_id: str
    parent_span_id: str
    sampled: bool

    def traceparent(self, span_id: str) -> str:
        """Returns a `traceparent` whose parent is a span of this trace."""
        return f"00-{self.trace_id}-{span_id}-{'01' if self.sampled else '00'}"


def valid_traceparent(text: str) -> str:
    """Returns a `traceparent` as it is, or an empty text if it is invalid: then the receiver begins a trace."""
    match = re.fullmatch(_TRACEPARENT, text) if text else None  # most builds have none
    # Later versions may have further fields; version 00 has none.
    if not match or (match[4] and text.startswith("00")) or not (match[1].strip("0") and match[2].strip("0")):
        return ""
    return text


def trace_of_build(build_request_id: str, traceparent: str) -> TraceContext:
    """Returns the trace of a build.

    Args:
        build_request_id: The build.
        traceparent: The trace context of its caller; empty or invalid for none.
    """
    valid = valid_traceparent(traceparent)
    match = re.fullmatch(_TRACEPARENT, valid) if valid else None
    if match is None:
        return TraceContext(_digest(build_request_id, 16), "", sampled=True)
    return TraceContext(match[1], match[2], sampled=bool(int(match[3], 16) & 1))


def span_of_build(build_request_id: str) -> str:
    return _digest(build_request_id, 8)


def span_of_planning(build_request_id: str) -> str:
    return _digest(f"{build_request_id}/planning", 8)


def span_of_config_call(build_request_id: str, number: int) -> str:
    """Returns the id of the span of a call of `config`, by its number among the recorded calls of the build."""
    return _digest(f"{build_request_id}/config/{number}", 8)


def span_of_job_run(job_run_id: str) -> str:
    return _digest(job_run_id, 8)


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
