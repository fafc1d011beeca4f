"""Writes what people do besides building (a taint, a request to cancel) to the event log."""

from __future__ import annotations

import asyncio

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
