"""Sends each build as a stream to a Build Event Service, while it runs.

A build is delivered once its whole stream is acknowledged. So only the terminal event of a build waits for that; its
other events count as handled as soon as they are sent. After a fault, and in a process that finds a build half sent,
the stream is made again from the events of the build in the event log, and is sent from the last acknowledgement on.
Some services acknowledge nothing before the end of a stream, and then get it from the beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.empty_pb2 import Empty

from databuild.channels.address import parse_address
from databuild.channels.channel_options import credentials_of, options_of
from databuild.channels.request_headers import CredentialHelperError, Headers, RequestHeaders
from databuild.errors import InvalidRequestError
from databuild.exporters.bes import publish_build_event_pb2 as bes
from databuild.exporters.bes.build_stream import BuildStream
from databuild.exporters.bes.requests import Requests
from databuild.exporters.bes.service_faults import AlreadyStoredError, RefusedError, error_of
from databuild.exporters.bes.upload import Upload
from databuild.exporters.exporter import Batch, Delivery, ReceiverError
from databuild.model.lifecycle import BUILD_ENDS, OPERATIONS

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads
    from databuild.exporters.bes.run_results import RunLogs
    from databuild.model.client_tls import ClientTls
    from databuild.v1.events_pb2 import BuildEvent

_LIFECYCLE: Final = "/google.devtools.build.v1.PublishBuildEvent/PublishLifecycleEvent"

_SEND_SECONDS: Final = 15.0
"""The time after which `send` returns although the service has not taken or acknowledged everything."""

_MIN_SECONDS: Final = 1.0
"""The minimum time for the answer to a request."""

_NO_LIFECYCLE: Final = frozenset({grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.ALREADY_EXISTS})
"""Codes of services that need no events about the beginning and the end of a build, or have them already."""

_PRUNED: Final = "its earlier events were pruned"
_PAGE: Final = 1_000
_MAX_UNSENT: Final = 200
"""The number of requests after which they are passed to the call, although more follow at once."""

_MAX_REMEMBERED: Final = 1_000
"""The maximum number of unfinished builds whose last acknowledgements are kept between two processes."""


class _NotYetError(ReceiverError):
    """The service is slow; the call goes on."""


_FAULTS: Final = (grpc.RpcError, RefusedError, AlreadyStoredError, ReceiverError)


class _Build:
    """A build of which a part was sent, in one call.

    Attributes:
        stream: The stream so far.
        requests: Makes the requests.
        upload: The call.
        number: The sequence number of the last event of the stream.
        unsent: The requests that the call has not got yet.
    """

    def __init__(self, stream: BuildStream, requests: Requests, upload: Upload) -> None:
        self.stream = stream
        self.requests = requests
        self.upload = upload
        self.number = 0
        self.unsent: list[bytes] = []

    def add(self, event: BuildEvent) -> None:
        """Adds the part of the stream that an event adds, without what was acknowledged before the call."""
        for message in self.stream.of(event):
            self.number += 1
            if self.number > self.upload.acknowledged:
                self.unsent.append(self.requests.event(self.number, event.time, message))
        if self.stream.exit_code is not None:
            self.number += 1
            if self.number > self.upload.acknowledged:
                self.unsent.append(self.requests.stream_end(self.number, event.time))

    def flush(self, deadline: float) -> None:
        """Passes the requests to the call.

        Raises:
            grpc.RpcError: The call has failed.
            ReceiverError: The service is slow, or does not keep to the protocol.
        """
        if not self.upload.wait_for_room(deadline):
            raise _NotYetError("it has not taken all events yet")
        self.upload.send(self.unsent)
        self.unsent = []


class BesExporter:
    """An `Exporter` that sends streams of the Build Event Protocol."""

    def __init__(
        self,
        uri: str,
        *,
        headers: Mapping[str, str],
        credential_helper: str,
        environ: Mapping[str, str],
        tls: ClientTls,
        logs: RunLogs,
        exit_code_of_error: Callable[[BaseException], int],
    ) -> None:
        """Connects to nothing yet.

        Args:
            uri: The address, `bes:grpc://HOST:PORT/INSTANCE`, or `bes:grpcs://` with TLS.
            headers: Headers of all requests.
            credential_helper: The path of a program that prints more headers; empty for none.
            environ: Its environment.
            tls: The files for TLS.
            logs: The logs of job runs.
            exit_code_of_error: Returns the exit code with which the command line ends after an error.

        Raises:
            InvalidRequestError: The address is invalid, or a file for TLS cannot be read.
        """
        scheme, _, inner = uri.partition(":")
        if not inner.startswith(("grpc://", "grpcs://")):
            raise InvalidRequestError(f"{uri!r} must be {scheme}:grpc://HOST:PORT or {scheme}:grpcs://HOST")
        self._address = parse_address(inner, tls_scheme="grpcs", system="a Build Event Service")
        self.name = f"{scheme}:{self._address.uri}"
        if not self._address.tls and any((tls.authority, tls.certificate, tls.key)):
            raise InvalidRequestError(f"certificates need TLS: write grpcs:// instead of grpc:// in {self.name!r}")
        self._credentials = credentials_of(tls) if self._address.tls else None
        self._headers = RequestHeaders(headers, credential_helper, environ, self._address.url)
        self._logs = logs
        self._exit_code_of_error = exit_code_of_error
        self._channel: grpc.Channel | None = None
        self._builds: dict[str, _Build] = {}
        self._begun: set[str] = set()
        self._left_out: set[str] = set()
        self._acknowledged: dict[str, int] = {}
        self._last_headers: Headers = ()

    def send(self, batch: Batch, reads: BuildReads) -> Delivery:
        deadline = time.monotonic() + _SEND_SECONDS
        for name, number in _read_state(batch.state).items():
            self._acknowledged[name] = max(number, self._acknowledged.get(name, 0))
        refusals: list[str] = []
        handled = len(batch.events)
        ends: list[tuple[int, BuildEvent]] = []
        fault: ReceiverError | None = None
        self._logs.look_again()
        try:
            for index, (_, event) in enumerate(batch.events):
                handled = index
                try:
                    ended = self._add(event, reads, deadline)
                except _FAULTS as error:
                    self._settle(error, event, refusals)
                    ended = _is_end(event)
                if ended:
                    ends.append((index, event))
            handled = len(batch.events)
        except ReceiverError as error:
            fault = error
        for build in self._builds.values():
            # A fault stays until the next event of the build, or until it is finished.
            with contextlib.suppress(grpc.RpcError, ReceiverError):
                build.flush(deadline)
        try:
            # The streams of several builds are acknowledged at the same time.
            for index, event in ends:
                try:
                    self._finish(event, deadline)
                except _FAULTS as error:
                    handled, before = index, handled
                    self._settle(error, event, refusals)
                    handled = before
        except ReceiverError as error:
            fault = error
        if not handled and fault is not None:
            raise fault
        return Delivery(handled, refusals, self._state())

    def close(self) -> None:
        for build in self._builds.values():
            build.upload.cancel()
        if self._channel is not None:
            self._channel.close()

    def _settle(
        self,
        error: grpc.RpcError | RefusedError | AlreadyStoredError | ReceiverError,
        event: BuildEvent,
        refusals: list[str],
    ) -> None:
        """Leaves out the build of an event after an error if the service refuses it, or has it already.

        Raises:
            ReceiverError: The event has to be sent again.
        """
        name = event.build_request_id
        if isinstance(error, grpc.RpcError):
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                self._headers.refuse(self._last_headers)
            error = error_of(error, self._address)
        if isinstance(error, ReceiverError):
            if not isinstance(error, _NotYetError):
                self._drop(name)  # the next attempt makes another call
            raise error
        self._leave_out(name)
        if isinstance(error, RefusedError):
            refusals.append(f"{error}, for build {name}")

    def _add(self, event: BuildEvent, reads: BuildReads, deadline: float) -> bool:
        """Sends the part of a stream that an event adds, after the parts of earlier events that were not sent.

        Returns:
            True if the event ends the build.
        """
        name = event.build_request_id
        build = self._builds.get(name)
        if build is None:
            if event.WhichOneof("event") in OPERATIONS:
                return False
            if name in self._left_out:
                return _is_end(event)
            build = self._open(event, reads, deadline)
        while build.stream.sequence < event.sequence - 1:
            earlier = reads.events(name, after_sequence=build.stream.sequence, limit=_PAGE)
            if not earlier:
                raise RefusedError(_PRUNED)
            self._logs.look_again()  # these events may be newer than the batch
            for one in earlier:
                self._send(build, one, deadline)
        if build.stream.sequence < event.sequence:
            self._send(build, event, deadline)
        return build.stream.exit_code is not None and _is_end(event)

    def _send(self, build: _Build, event: BuildEvent, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise _NotYetError("it has not taken all events yet")
        if len(build.unsent) >= _MAX_UNSENT:
            build.flush(deadline)
        build.add(event)

    def _open(self, event: BuildEvent, reads: BuildReads, deadline: float) -> _Build:
        """Begins a call for a build."""
        name = event.build_request_id
        first = event if event.sequence == 1 else next(iter(reads.events(name, limit=1)), None)
        if first is None or first.sequence != 1:
            raise RefusedError(_PRUNED)
        requests = Requests(name, self._address.instance)
        headers = self._new_headers()
        if name not in self._begun:
            self._publish(requests.begin(first.time), headers, deadline)
            self._begun.add(name)
        upload = Upload(self._open_channel(), headers, self._acknowledged.get(name, 0))
        build = self._builds[name] = _Build(BuildStream(self._logs, self._exit_code_of_error), requests, upload)
        return build

    def _finish(self, event: BuildEvent, deadline: float) -> None:
        """Waits until the stream of a build is acknowledged, and tells the service that the build has ended."""
        name = event.build_request_id
        build = self._builds.get(name)
        if build is not None and build.stream.exit_code is not None:
            build.flush(deadline)
            if not build.upload.wait_for_end(build.number, deadline):
                raise _NotYetError(f"it has not acknowledged all events of build {name} yet")
            ending = build.requests.end(event.time, build.stream.exit_code)
            self._publish(ending, build.upload.headers, deadline)
            self._drop(name)
        self._begun.discard(name)
        self._left_out.discard(name)
        self._acknowledged.pop(name, None)

    def _leave_out(self, name: str) -> None:
        self._drop(name)
        self._left_out.add(name)

    def _drop(self, name: str) -> None:
        """Ends the call for a build, and remembers how far it has come."""
        if build := self._builds.pop(name, None):
            self._acknowledged[name] = build.upload.acknowledged
            build.upload.cancel()

    def _publish(self, requests: Sequence[bes.PublishLifecycleEventRequest], headers: Headers, deadline: float) -> None:
        method = self._open_channel().unary_unary(
            _LIFECYCLE,
            request_serializer=bes.PublishLifecycleEventRequest.SerializeToString,
            response_deserializer=Empty.FromString,
        )
        for request in requests:
            try:
                method(request, metadata=headers, timeout=max(deadline - time.monotonic(), _MIN_SECONDS))
            except grpc.RpcError as error:
                if error.code() not in _NO_LIFECYCLE:
                    raise

    def _open_channel(self) -> grpc.Channel:
        if self._channel is None:
            target, options = self._address.target, options_of(self._address.target)
            if self._credentials is None:
                self._channel = grpc.insecure_channel(target, options)
            else:
                self._channel = grpc.secure_channel(target, self._credentials, options)
        return self._channel

    def _new_headers(self) -> Headers:
        try:
            self._last_headers = asyncio.run(self._headers.get())
        except CredentialHelperError as error:
            raise ReceiverError(str(error)) from error
        return self._last_headers

    def _state(self) -> str:
        """Returns how far the streams of unfinished builds are acknowledged, for the next process."""
        numbers = self._acknowledged | {name: build.upload.acknowledged for name, build in self._builds.items()}
        known = {name: number for name, number in numbers.items() if number}
        return json.dumps(dict(list(known.items())[-_MAX_REMEMBERED:])) if known else ""


def _read_state(state: str) -> Mapping[str, int]:
    numbers: dict[str, int] = json.loads(state) if state else {}
    return numbers


def _is_end(event: BuildEvent) -> bool:
    return event.WhichOneof("event") == "build_request" and event.build_request.status in BUILD_ENDS
