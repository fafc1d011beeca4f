"""Times of a run, from the timestamps of an engine. All of them are those of one clock, or absent."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from databuild.executors.reapi.remote_execution_pb2 import ExecutedActionMetadata


def queued_seconds(ran: ExecutedActionMetadata) -> float:
    """Returns the time between the queueing of an action and its start on a worker; 0.0 if unknown."""
    return _between(ran.queued_timestamp, ran.worker_start_timestamp)


def duration_seconds(ran: ExecutedActionMetadata) -> float:
    """Returns the run time of a command, or that of its action with inputs and outputs; 0.0 if unknown."""
    return _between(ran.execution_start_timestamp, ran.execution_completed_timestamp) or worker_seconds(ran)


def worker_seconds(ran: ExecutedActionMetadata) -> float:
    """Returns the time that a worker spent on an action, with inputs and outputs; 0.0 if unknown."""
    return _between(ran.worker_start_timestamp, ran.worker_completed_timestamp)


def _between(start: Timestamp, end: Timestamp) -> float:
    if not start.seconds or not end.seconds:
        return 0.0
    nanoseconds: int = end.ToNanoseconds() - start.ToNanoseconds()
    return max(nanoseconds, 0) / 1e9
