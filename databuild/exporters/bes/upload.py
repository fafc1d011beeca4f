"""One call that sends the stream of a build and receives acknowledgements.

It uses the layer of gRPC below its Python API (ADR 42): one thread of the call takes its events, and starts the next
operation after each. With the API, each request and each acknowledgement passes through two threads, which takes three
times as long.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc._cython import cygrpc

from databuild.exporters.bes import publish_build_event_pb2 as bes
from databuild.exporters.exporter import ReceiverError

if TYPE_CHECKING:
    from databuild.channels.request_headers import Headers

_METHOD: Final = b"/google.devtools.build.v1.PublishBuildEvent/PublishBuildToolEventStream"

_NO_FLAGS: Final = 0
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

MAX_WAITING: Final = 1_000
"""The maximum number of requests that wait for the service to read, before the next event of a build is added."""


class _CallError(grpc.RpcError):  # type: ignore[misc] # gRPC has no types
    """A call has failed."""

    def __init__(self, code: int, details: str | None) -> None:
        super().__init__(details)
        self._code = _CODES.get(code, grpc.StatusCode.UNKNOWN)
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details


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
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._sending = False
        self._complete = False
        self._closed = False
        self._over = False
        self._error: Exception | None = None
        begin = (
            (
                cygrpc.SendInitialMetadataOperation(headers, _NO_FLAGS),
                cygrpc.ReceiveInitialMetadataOperation(_NO_FLAGS),
            ),
            (cygrpc.ReceiveMessageOperation(_NO_FLAGS),),
            (cygrpc.ReceiveStatusOnClientOperation(_NO_FLAGS),),
        )
        self._due = len(begin)
        self._call = channel._channel.segregated_call(  # noqa: SLF001 (it has no public name)
            cygrpc.PropagationConstants.GRPC_PROPAGATE_DEFAULTS,
            _METHOD,
            None,  # the host of the channel
            None,  # no deadline
            headers,
            None,  # the credentials of the channel
            tuple((operations, None) for operations in begin),
            None,  # no context
        )
        threading.Thread(target=self._run, name="build events", daemon=True).start()

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

    def send(self, requests: Sequence[bes.PublishBuildToolEventStreamRequest]) -> None:
        messages = [request.SerializeToString() for request in requests]
        with self._changed:
            self._waiting.extend(messages)
            if not self._sending:
                self._send_next()

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
            if not self._sending:
                self._send_next()
            self._wait(lambda: self._acknowledged >= last, deadline)
            if self._over and self._acknowledged < last:
                raise self._fault()
            return self._acknowledged >= last

    def cancel(self) -> None:
        """Ends the call at once."""
        self._end(None)
        self._call.cancel(cygrpc.StatusCode.cancelled, "the call is not needed any more")

    def _wait(self, condition: Callable[[], bool], deadline: float) -> None:
        self._changed.wait_for(lambda: self._over or condition(), max(deadline - time.monotonic(), 0.0))

    def _fault(self) -> Exception:
        return self._error or ReceiverError("it ended the stream before it had acknowledged all events")

    def _send_next(self) -> None:
        """Starts the next operation of this side, if there is one."""
        operation = None
        if self._waiting:
            operation = cygrpc.SendMessageOperation(self._waiting.popleft(), _NO_FLAGS)
            if len(self._waiting) == MAX_WAITING:
                self._changed.notify_all()
        elif self._complete and not self._closed:
            self._closed = True
            operation = cygrpc.SendCloseFromClientOperation(_NO_FLAGS)
        self._sending = operation is not None and self._operate(operation)

    def _operate(self, operation: Any) -> bool:
        """Starts an operation; returns False if the call is over."""
        started = not self._over and self._call.operate((operation,), None)
        self._due += started
        return bool(started)

    def _run(self) -> None:
        # All operations that were started have to end, before gRPC can free the call.
        while self._due:
            operations = self._call.next_event().batch_operations
            with self._changed:
                self._due -= 1
                for operation in operations:
                    self._on_end(operation)
        self._end(None)

    def _on_end(self, operation: Any) -> None:
        """Goes on after the end of an operation."""
        kind = operation.type()
        if kind == cygrpc.OperationType.receive_message:
            message = operation.message()
            if message is not None and self._take(message):  # None is the last one
                self._operate(cygrpc.ReceiveMessageOperation(_NO_FLAGS))
        elif kind == cygrpc.OperationType.receive_status_on_client:
            if operation.code() != grpc.StatusCode.OK.value[0]:
                self._error = self._error or _CallError(operation.code(), operation.details())
        elif kind == cygrpc.OperationType.send_message:
            self._send_next()

    def _take(self, message: bytes) -> bool:
        """Returns False if an acknowledgement is not the next one."""
        number = bes.PublishBuildToolEventStreamResponse.FromString(message).sequence_number
        expected = self._acknowledged + 1
        if number != expected:
            self._end(ReceiverError(f"it acknowledged event {number} instead of event {expected}"))
            self._call.cancel(cygrpc.StatusCode.cancelled, "an acknowledgement is out of order")
            return False
        self._acknowledged = expected
        if expected >= self._last:
            self._changed.notify_all()
        return True

    def _end(self, error: Exception | None) -> None:
        with self._changed:
            self._error = self._error or error
            self._over = True
            self._changed.notify_all()
