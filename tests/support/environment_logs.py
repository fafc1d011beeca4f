"""The event logs of a base and of its environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from tests.support.stores import Store


@asynccontextmanager
async def logs_of(store: Store) -> AsyncIterator[tuple[EventLog, EventLog]]:
    """Opens the log of a base, and that of its environment `a`."""
    base = open_event_log(store.uri)
    environment = open_event_log(store.uri, environment="a")
    try:
        yield base, environment
    finally:
        await environment.close()
        await base.close()
