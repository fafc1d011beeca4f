"""The rules of the Build Event Protocol, which each event of a stream must keep.

Ids occur once. Each event but the first is announced by an earlier one. All announced events have come when the stream
ends, the last one is marked, and nothing follows.
"""

from __future__ import annotations

from databuild.exporters.bes.build_event_stream_pb2 import BuildEvent, BuildEventId


class BrokenRuleError(Exception):
    """An event breaks a rule."""


class StreamRules:
    """Checks the events of one stream, in their order.

    Attributes:
        events: The events.
        ended: True after the last one.
    """

    def __init__(self) -> None:
        self.events: list[BuildEvent] = []
        self.ended = False
        self._announced: set[bytes] = set()
        self._seen: set[bytes] = set()

    def add(self, event: BuildEvent) -> None:
        """Adds an event.

        Raises:
            BrokenRuleError: It breaks a rule.
        """
        key = _key(event.id)
        if self.ended:
            raise BrokenRuleError(f"after the last event came {event.id}")
        if not key or not event.WhichOneof("payload"):
            raise BrokenRuleError(f"no id, or nothing in {event}")
        if not self.events and not event.HasField("started"):
            raise BrokenRuleError(f"the first event is {event.id}")
        if key in self._seen:
            raise BrokenRuleError(f"twice: {event.id}")
        if self.events and key not in self._announced:
            raise BrokenRuleError(f"not announced: {event.id}")
        self._seen.add(key)
        for child in map(_key, event.children):
            if child in self._announced:
                raise BrokenRuleError(f"announced twice by {event.id}")
            self._announced.add(child)
        for name in _named_sets(event):
            if name not in self._seen:
                raise BrokenRuleError(f"{event.id} uses a set that has not come")
        self.events.append(event)
        if event.last_message:
            self.ended = True
            missing = self._announced - self._seen
            if missing:
                raise BrokenRuleError(f"announced, and never came: {[BuildEventId.FromString(key) for key in missing]}")

    def of(self, kind: str) -> list[BuildEvent]:
        """Returns the events with a kind of payload."""
        return [event for event in self.events if event.WhichOneof("payload") == kind]


def _key(event_id: BuildEventId) -> bytes:
    return event_id.SerializeToString(deterministic=True)


def _named_sets(event: BuildEvent) -> list[bytes]:
    groups = event.completed.output_group
    return [_key(BuildEventId(named_set=name)) for group in groups for name in group.file_sets]
