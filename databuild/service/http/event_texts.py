"""Events of builds as server-sent events, each put into words once for all who watch."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from databuild.service.api.json_codec import to_json_aside
from databuild.service.resources.single_flight import SingleFlight
from databuild.v1.events_pb2 import BuildEvent

_KEPT_BYTES: Final = 4 * 1024 * 1024


class EventTexts:
    """Keeps the newest texts, as many as a bounded number of bytes holds."""

    def __init__(self, kept_bytes: int = _KEPT_BYTES) -> None:
        """Takes how many bytes are kept at most."""
        self._most = kept_bytes
        self._bytes = 0
        self._texts: OrderedDict[str, bytes] = OrderedDict()
        self._in_flight: SingleFlight[str, bytes] = SingleFlight()

    async def of(self, event: BuildEvent) -> bytes:
        """Returns the text of an event; its id there is its sequence number."""
        text = self._texts.get(event.event_id)
        return text if text is not None else await self._in_flight.run(event.event_id, lambda: self._make(event))

    async def _make(self, event: BuildEvent) -> bytes:
        text = f"id: {event.sequence}\ndata: {await to_json_aside(event)}\n\n".encode()
        self._texts[event.event_id] = text
        self._bytes += len(text)
        while self._bytes > self._most:
            self._bytes -= len(self._texts.popitem(last=False)[1])
        return text
