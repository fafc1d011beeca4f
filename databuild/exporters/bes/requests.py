"""Requests to a Build Event Service about one build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from google.protobuf.wrappers_pb2 import Int32Value

from databuild.exporters.bes import publish_build_event_pb2 as bes
from databuild.exporters.bes.opening import COMMAND
from databuild.model.bes_invocation import invocation_of

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from databuild.exporters.bes.build_event_stream_pb2 import BuildEvent

_EVENT_TYPE: Final = "type.googleapis.com/build_event_stream.BuildEvent"
"""The published name of the messages in streams, whose package here is another one."""

_MAX_USES: Final = 1_000
"""The number of events after which the request that is filled for them is replaced."""

_RESULTS: Final = {
    0: bes.BuildStatus.COMMAND_SUCCEEDED,
    2: bes.BuildStatus.USER_ERROR,
    3: bes.BuildStatus.SYSTEM_ERROR,
    130: bes.BuildStatus.CANCELLED,
}
"""The result of a build for each exit code; COMMAND_FAILED for others."""


class Requests:
    """Makes the requests about one build. They depend on its events alone."""

    def __init__(self, build_request_id: str, project_id: str) -> None:
        """Makes nothing yet.

        Args:
            build_request_id: The build.
            project_id: The project, or instance, of the service; may be empty.
        """
        self._ids = invocation_of(build_request_id)
        self._project_id = project_id
        self._keywords = ("protocol_name=BEP", f"command_name={COMMAND}", f"databuild={build_request_id}")
        self._begin_request()

    def _begin_request(self) -> None:
        """Makes a request that is filled for many events, which takes a fifth of the time of a new one for each.

        protobuf keeps the memory of every value that a field ever had, so that it is to be replaced now and then.
        """
        self._uses = 0
        self._request = bes.PublishBuildToolEventStreamRequest(project_id=self._project_id)
        self._ordered = self._request.ordered_build_event
        self._ordered.stream_id.build_id = self._ids.build_id
        self._ordered.stream_id.invocation_id = self._ids.invocation_id
        self._ordered.stream_id.component = bes.StreamId.TOOL
        self._event = self._ordered.event
        self._packed = self._event.bazel_event
        self._packed.type_url = _EVENT_TYPE

    def begin(self, time: Timestamp) -> Sequence[bes.PublishLifecycleEventRequest]:
        """Returns the requests before the stream, about the beginning of the build."""
        enqueued = bes.BuildEvent(event_time=time, build_enqueued=bes.BuildEvent.BuildEnqueued())
        started = bes.BuildEvent(
            event_time=time,
            invocation_attempt_started=bes.BuildEvent.InvocationAttemptStarted(attempt_number=1),
        )
        return (self._lifecycle(1, enqueued), self._lifecycle(1, started, of_invocation=True))

    def end(self, time: Timestamp, exit_code: int) -> Sequence[bes.PublishLifecycleEventRequest]:
        """Returns the requests after the stream, about the end of the build."""
        status = bes.BuildStatus(
            result=_RESULTS.get(exit_code, bes.BuildStatus.COMMAND_FAILED),
            build_tool_exit_code=Int32Value(value=exit_code),
        )
        attempt = bes.BuildEvent(
            event_time=time,
            invocation_attempt_finished=bes.BuildEvent.InvocationAttemptFinished(invocation_status=status),
        )
        final = bes.BuildStatus(final_invocation_id=self._ids.invocation_id)
        final.MergeFrom(status)
        build = bes.BuildEvent(event_time=time, build_finished=bes.BuildEvent.BuildFinished(status=final))
        return (self._lifecycle(2, attempt, of_invocation=True), self._lifecycle(2, build))

    def event(self, number: int, time: Timestamp, event: BuildEvent) -> bytes:
        """Returns the serialized request with an event of the stream, whose sequence number is `number`."""
        if self._uses == _MAX_USES:
            self._begin_request()
        self._uses += 1
        self._packed.value = event.SerializeToString(deterministic=True)
        return self._serialized(number, time)

    def stream_end(self, number: int, time: Timestamp) -> bytes:
        """Returns the serialized last request of the stream, whose sequence number is `number`."""
        self._event.component_stream_finished.type = bes.BuildEvent.BuildComponentStreamFinished.FINISHED
        return self._serialized(number, time)

    def _serialized(self, number: int, time: Timestamp) -> bytes:
        self._ordered.sequence_number = number
        self._event.event_time.CopyFrom(time)
        self._request.notification_keywords[:] = self._keywords if number == 1 else ()
        return self._request.SerializeToString()

    def _lifecycle(
        self, number: int, event: bes.BuildEvent, *, of_invocation: bool = False
    ) -> bes.PublishLifecycleEventRequest:
        stream = bes.StreamId(
            build_id=self._ids.build_id,
            invocation_id=self._ids.invocation_id if of_invocation else "",
            component=bes.StreamId.CONTROLLER,
        )
        return bes.PublishLifecycleEventRequest(
            service_level=bes.PublishLifecycleEventRequest.INTERACTIVE,
            build_event=bes.OrderedBuildEvent(stream_id=stream, sequence_number=number, event=event),
            notification_keywords=self._keywords,
            project_id=self._project_id,
        )
