"""Writes what people do besides building (a taint, a request to cancel) to the event log."""

from __future__ import annotations

import asyncio
import os

from databuild.cli.invocation import Invocation
from databuild.v1 import events_pb2 as ev


def append_operation(call: Invocation, event: ev.BuildEvent) -> None:
    """Writes the one event of an operation, and returns when it is durable."""

    async def append() -> None:
        event_log = call.open_event_log()
        try:
            await event_log.append([event])
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
