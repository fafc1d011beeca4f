"""Operations: single events that are of no build, written by people (a taint, a request to cancel)."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from databuild.cli.invocation import Invocation
from databuild.v1 import events_pb2 as ev


def append_operation(call: Invocation, operation_id: str, **event: Any) -> None:
    """Writes the one event of an operation, and returns when it is durable.

    Args:
        call: Whose event log to write to.
        operation_id: The id that the event is filed under, as if of a build.
        event: The field of the BuildEvent oneof with its message.
    """
    now = time.time_ns()
    message = ev.BuildEvent(event_id=f"{operation_id}/1", build_request_id=operation_id, sequence=1, **event)
    message.time.FromNanoseconds(now)

    async def append() -> None:
        event_log = call.open_event_log()
        try:
            await event_log.append([message])
        finally:
            await event_log.close()

    asyncio.run(append())


def author(call: Invocation) -> str:
    """Returns who is at the command line: as the environment says, or else the user that the process runs as."""
    named = call.environ.get("USER") or call.environ.get("LOGNAME")
    if named:
        return named
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
