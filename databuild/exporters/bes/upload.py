"""One call that sends the stream of a build and receives acknowledgements.

gRPC takes requests from a thread of its own, and acknowledgements arrive in another one.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import grpc

from databuild.exporters.bes import publish_build_event_pb2 as bes
from databuild.exporters.exporter import ReceiverError

if TYPE_CHECKING:
    from databuild.channels.request_headers import Headers

_METHOD: Final = "/google.devtools.build.v1.PublishBuildEvent/PublishBuildToolEventStream"

MAX_WAITING: Final = 1_000
"""The maximum number of requests that wait for the service to read, before the next event of a build is added."""


class Upload:
    """Sends requests in their order. After a fault, the call is over, and another one has to go on."""

    def __init__(self, channel: grpc.Channel, headers: Headers, acknowledged: int) -> None:
        """Begins the call.

        Args:
            channel: The channel.
            headers: The headers of the call.
            acknowledged: The sequence number of the last event that the service has acknowledged in earlier calls.
        """
        self.headers = headers
        self._acknowledged = acknowledged
        self._last = sys.maxsize
        self._waiting: list[bytes] = []
        self._changed = threading.Condition()
        self._complete = False
        self._over = False
        self._error: Exception | None = None
        method = channel.stream_stream(
            _METHOD,
            request_serializer=None,
            response_deserializer=bes.PublishBuildToolEventStreamResponse.FromString,
        )
        self._call = method(self._requests(), metadata=headers)
        threading.Thread(target=self._read, name="build event acknowledgements", daemon=True).start()

    @property
    def acknowledged(self) -> int:
        """The sequence number of the last event that the service has acknowledged."""
        return self._acknowledged

    def wait_for_room(self, deadline: float) -> bool:
        """Waits until few requests wait for the service; returns False if that takes longer.

        Raises:
            grpc.RpcError: The call has failed.
            ReceiverError: The service does not keep to the protocol.
        """
        with self._changed:
            self._wait(lambda: len(self._waiting) <= MAX_WAITING, deadline)
            if self._over:
                raise self._fault()
            return len(self._waiting) <= MAX_WAITING

    def send(self, requests: Sequence[bytes]) -> None:
        """Sends serialized requests."""
        with self._changed:
            self._waiting.extend(requests)
            self._changed.notify_all()

    def wait_for_end(self, last: int, deadline: float) -> bool:
        """Ends the stream, and waits until everything is acknowledged; returns False if that takes longer.

        Args:
            last: The sequence number of the last event.
            deadline: The time, by the monotonic clock, until which to wait.

        Raises:
            grpc.RpcError: The call has failed.
            ReceiverError: The service does not keep to the protocol.
        """
        with self._changed:
            self._complete = True
            self._last = last
            self._changed.notify_all()
            self._wait(lambda: self._acknowledged >= last, deadline)
            if self._over and self._acknowledged < last:
                raise self._fault()
            return self._acknowledged >= last

    def cancel(self) -> None:
        """Ends the call at once."""
        self._end(None)
        self._call.cancel()

    def _wait(self, condition: Callable[[], bool], deadline: float) -> None:
        self._changed.wait_for(lambda: self._over or condition(), max(deadline - time.monotonic(), 0.0))

    def _fault(self) -> Exception:
        return self._error or ReceiverError("it ended the stream before it had acknowledged all events")

    def _requests(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._complete or self._over)
                if self._over or not self._waiting:
                    return
                # All at once: the lock is more expensive than a request.
                requests, self._waiting = self._waiting, []
                self._changed.notify_all()
            yield from requests

    def _read(self) -> None:
        try:
            for response in self._call:
                expected = self._acknowledged + 1
                if response.sequence_number != expected:
                    self._end(
                        ReceiverError(f"it acknowledged event {response.sequence_number} instead of event {expected}")
                    )
                    self._call.cancel()
                    return
                self._acknowledged = expected
                if expected >= self._last:
                    with self._changed:
                        self._changed.notify_all()
        except grpc.RpcError as error:
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        with self._changed:
            self._error = self._error or error
            self._over = True
            self._changed.notify_all()
