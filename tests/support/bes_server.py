"""A Build Event Service that enforces the rules of its protocol, and fails on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from databuild.exporters.bes import publish_build_event_pb2 as bes
from databuild.exporters.bes.build_event_stream_pb2 import BuildEvent
from tests.support.bes_rules import BrokenRuleError, StreamRules

_SERVICE = "google.devtools.build.v1.PublishBuildEvent"
_EVENT_TYPE = "type.googleapis.com/build_event_stream.BuildEvent"


class Stream:
    """One stream, as the service has stored it.

    Attributes:
        stored: The requests by sequence number, from 1.
        rules: The events of the protocol.
        finished: True after the event that ends the stream.
        repeated: The number of events that were sent again.
    """

    def __init__(self) -> None:
        self.stored: list[bytes] = []
        self.rules = StreamRules()
        self.finished = False
        self.repeated = 0

    def store(self, ordered: bes.OrderedBuildEvent) -> None:
        """Stores an event that is new or that was sent before.

        Raises:
            BrokenRuleError: It breaks a rule.
        """
        number, data = ordered.sequence_number, ordered.SerializeToString(deterministic=True)
        if number <= len(self.stored):
            self.repeated += 1
            if data != self.stored[number - 1]:
                raise BrokenRuleError(f"event {number} has changed")
            return
        if number != len(self.stored) + 1:
            raise BrokenRuleError(f"event {number} after event {len(self.stored)}")
        if self.finished:
            raise BrokenRuleError(f"event {number} after the end")
        if not ordered.event.HasField("event_time"):
            raise BrokenRuleError(f"event {number} has no time")
        if ordered.event.HasField("component_stream_finished"):
            if not self.rules.ended:
                raise BrokenRuleError("the stream ended before its last event")
            self.finished = True
        elif ordered.event.bazel_event.type_url == _EVENT_TYPE:
            self.rules.add(BuildEvent.FromString(ordered.event.bazel_event.value))
        else:
            raise BrokenRuleError(f"event {number} is none of a build tool")
        self.stored.append(data)


class BesServer:
    """A service on a port of this machine.

    Attributes:
        streams: The streams by invocation id.
        lifecycle: The kinds of lifecycle events with their sequence numbers, by build id and invocation id.
        faults: The broken rules.
        headers: The headers of each call.
        project_ids: The projects of all requests.
        calls: The number of calls with streams.
        refuses: The code with which every call is refused; None to take it.
        breaks_after: The number of events after which a call breaks; None for never. It applies once.
        acknowledges_at_end: True to acknowledge nothing before the stream is half closed.
        acknowledges: False to acknowledge nothing.
        skips: The number of the event whose acknowledgement is left out, once; None for none.
        wants: A header that each call must have, and its value; None for none.
        has_lifecycle: False to implement no lifecycle events.
        seconds: The time that each event takes.
        gate: No call is answered while it is not set.
    """

    def __init__(self, credentials: grpc.ServerCredentials | None = None, port: int = 0) -> None:
        self.streams: dict[str, Stream] = {}
        self.lifecycle: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self.faults: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.project_ids: set[str] = set()
        self.calls = 0
        self.refuses: grpc.StatusCode | None = None
        self.breaks_after: int | None = None
        self.acknowledges_at_end = False
        self.acknowledges = True
        self.skips: int | None = None
        self.wants: tuple[str, str] | None = None
        self.has_lifecycle = True
        self.seconds = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(20))
        handlers: dict[str, Any] = {
            "PublishLifecycleEvent": grpc.unary_unary_rpc_method_handler(
                self._publish_lifecycle_event,
                bes.PublishLifecycleEventRequest.FromString,
                Empty.SerializeToString,
            ),
            "PublishBuildToolEventStream": grpc.stream_stream_rpc_method_handler(
                self._publish_stream,
                bes.PublishBuildToolEventStreamRequest.FromString,
                bes.PublishBuildToolEventStreamResponse.SerializeToString,
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        self._server.start()

    @property
    def uri(self) -> str:
        return f"bes:grpc://127.0.0.1:{self.port}/main"

    def stop(self) -> None:
        self.gate.set()
        self._server.stop(None).wait()

    def only_stream(self) -> Stream:
        (stream,) = self.streams.values()
        return stream

    def _publish_lifecycle_event(
        self, request: bes.PublishLifecycleEventRequest, context: grpc.ServicerContext
    ) -> Empty:
        self._enter(context)
        if not self.has_lifecycle:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "there is no such method")
        self.project_ids.add(request.project_id)
        ordered = request.build_event
        stream_id, kind = ordered.stream_id, ordered.event.WhichOneof("event") or ""
        with self._lock:
            events = self.lifecycle.setdefault((stream_id.build_id, stream_id.invocation_id), [])
            event = (ordered.sequence_number, kind)
            if event not in events:
                if ordered.sequence_number != len(events) + 1:
                    self.faults.append(f"lifecycle event {event} after {events}")
                events.append(event)
            if stream_id.component != bes.StreamId.CONTROLLER:
                self.faults.append(f"lifecycle event {event} of another component")
            if kind in {"invocation_attempt_finished", "build_finished"} and not self._finished(stream_id.build_id):
                self.faults.append(f"{kind} before the end of the stream")
        return Empty()

    def _finished(self, build_id: str) -> bool:
        invocations = [invocation for build, invocation in self.lifecycle if build == build_id and invocation]
        return any(name in self.streams and self.streams[name].finished for name in invocations)

    def _publish_stream(
        self, requests: Iterator[bes.PublishBuildToolEventStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[bes.PublishBuildToolEventStreamResponse]:
        self._enter(context)
        self.calls += 1
        delayed = []
        stream: Stream | None = None
        for received, request in enumerate(requests):
            if self.breaks_after is not None and received == self.breaks_after:
                self.breaks_after = None
                context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")
            time.sleep(self.seconds)
            self.gate.wait()
            ordered = request.ordered_build_event
            stream = self._store(request, context)
            response = bes.PublishBuildToolEventStreamResponse(
                stream_id=ordered.stream_id, sequence_number=ordered.sequence_number
            )
            if self.acknowledges_at_end:
                delayed.append(response)
            elif ordered.sequence_number == self.skips:
                self.skips = None
            elif self.acknowledges:
                yield response
        if stream is not None and stream.finished:
            yield from delayed

    def _store(self, request: bes.PublishBuildToolEventStreamRequest, context: grpc.ServicerContext) -> Stream:
        ordered = request.ordered_build_event
        stream_id = ordered.stream_id
        fault = ""
        with self._lock:
            self.project_ids.add(request.project_id)
            begun = self.lifecycle.get((stream_id.build_id, stream_id.invocation_id), [])
            if stream_id.component != bes.StreamId.TOOL or (
                self.has_lifecycle and (1, "invocation_attempt_started") not in begun
            ):
                fault = "a stream that was not begun"
            stream = self.streams.setdefault(stream_id.invocation_id, Stream())
            try:
                stream.store(ordered)
            except BrokenRuleError as error:
                fault = str(error)
            if fault:
                self.faults.append(fault)
        if fault:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, fault)
        return stream

    def _enter(self, context: grpc.ServicerContext) -> None:
        self.gate.wait()
        self.headers.append({name: str(value) for name, value in context.invocation_metadata()})
        if self.wants is not None and self.wants[1] != self.headers[-1].get(self.wants[0]):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        if self.refuses is not None:
            context.abort(self.refuses, "not here")
