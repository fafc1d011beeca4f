"""Sends events as traces, metrics and logs over OTLP."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from databuild.errors import StorageError
from databuild.exporters.exporter import Batch, Delivery, ReceiverError
from databuild.exporters.otlp.attributes import SCOPE, resource_of
from databuild.exporters.otlp.build_trace import BuildTrace, EndedRun, Links, Spans
from databuild.exporters.otlp.senders import Sender
from databuild.exporters.otlp.settings import LOGS, METRICS, TRACES, Settings
from databuild.exporters.otlp.totals import Totals
from databuild.model.lifecycle import BUILD_ENDS, JOB_ENDS, PARTITION_ENDS
from databuild.model.trace_context import TraceContext, trace_of_build
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
    from google.protobuf.message import Message

    from databuild.event_log.reads import ExportReads
    from databuild.model.records import JobRunRecord

_SEND_SECONDS: Final = 18.0
"""The time after which `send` gives up, although requests are left."""

_MIN_REQUEST_SECONDS: Final = 1.0
_MAX_REQUEST_BYTES: Final = 2 * 1024 * 1024
"""Half of the size that servers of gRPC accept by default."""

_MAX_CACHED: Final = 20_000
_PAGE: Final = 1000
_STREAMS: Final = ("stdout", "stderr")

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Sized(Protocol):
    def ByteSize(self) -> int: ...  # noqa: N802 (its name in protobuf)


_Message = TypeVar("_Message", bound=_Sized)


class _Cache(Generic[_Key, _Value]):
    """A dict that forgets its oldest entries."""

    def __init__(self) -> None:
        self._values: dict[_Key, _Value] = {}

    def get(self, key: _Key) -> _Value | None:
        return self._values.get(key)

    def __contains__(self, key: _Key) -> bool:
        return key in self._values

    def set(self, key: _Key, value: _Value) -> None:
        self._values[key] = value
        if len(self._values) > _MAX_CACHED:
            del self._values[next(iter(self._values))]


class _TraceRequests:
    """Spans in requests of a limited size. They are made in the request, since protobuf copies what it is given."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self._resource = resource
        self._spans: RepeatedCompositeFieldContainer[Span] | None = None
        self._bytes = 0

    def add(self) -> Span:
        if self._spans:
            self._bytes += self._spans[-1].ByteSize()
        if self._spans is None or self._bytes > _MAX_REQUEST_BYTES:
            request = ExportTraceServiceRequest()
            resource_spans = request.resource_spans.add(resource=resource_of(self._resource))
            self._spans = resource_spans.scope_spans.add(scope=SCOPE).spans
            self._bytes = 0
            self.requests.append(request)
        return self._spans.add()


class _Prepared:
    """The requests of a batch that have not been sent yet.

    Attributes:
        first: The position of the first event.
        handled: The number of events.
        state: The state after them.
        requests: The requests, each with its signal.
        refusals: The reasons for those that were refused.
    """

    def __init__(self, batch: Batch, state: str, requests: Sequence[tuple[str, Message]]) -> None:
        self.first = batch.events[0][0]
        self.handled = len(batch.events)
        self.state = state
        self.requests = deque(requests)
        self.refusals: list[str] = []


class OtlpExporter:
    """An `Exporter` for OpenTelemetry."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        senders: Mapping[str, Sender],
        *,
        read_log: Callable[[JobRunRecord, str, int], bytes],
        environment: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sends nothing yet.

        Args:
            name: The name of the cursor.
            settings: The settings.
            senders: The sender of each signal that is sent.
            read_log: Reads the end of a log of a job run, as in `ExporterOptions`.
            environment: The environment whose events it gets, for the labels of metrics; empty for the base.
            clock: Returns a time in seconds that never goes back.
        """
        self.name = name
        self._settings = settings
        self._senders = senders
        self._read_log = read_log
        self._environment = environment
        self._clock = clock
        self._metrics_due = clock() + settings.metric_seconds
        self._prepared: _Prepared | None = None
        self._builds: dict[str, BuildTrace] = {}
        self._traces: _Cache[str, TraceContext | None] = _Cache()
        self._producers: _Cache[tuple[str, str], str] = _Cache()

    def send(self, batch: Batch, reads: ExportReads) -> Delivery:
        deadline = self._clock() + _SEND_SECONDS
        prepared = self._prepared
        # After a fault the same events come again, perhaps with further ones. Requests that were answered are done.
        if prepared is None or prepared.first != batch.events[0][0]:
            prepared = self._prepared = self._prepare(batch, reads)
        while prepared.requests:
            signal, request = prepared.requests[0]
            left = deadline - self._clock()
            if left < _MIN_REQUEST_SECONDS:
                raise ReceiverError("the receiver answers too slowly")
            if refusal := self._senders[signal].send(request, min(self._settings.endpoints[signal].seconds, left)):
                prepared.refusals.append(refusal)
            prepared.requests.popleft()
        self._prepared = None
        return Delivery(prepared.handled, prepared.refusals, prepared.state)

    def close(self) -> None:
        for sender in self._senders.values():
            sender.close()

    def _prepare(self, batch: Batch, reads: ExportReads) -> _Prepared:
        resource = self._settings.resource
        traces = _TraceRequests(resource) if TRACES in self._senders else None
        requests: list[tuple[str, Message]] = []
        totals = Totals(batch.state)
        totals.begin(batch.events[0][1])
        build_ended = False
        follows_builds = TRACES in self._senders or LOGS in self._senders
        for position, event in batch.events:
            kind = event.WhichOneof("event")
            ended = False
            if kind == "partition":
                if event.partition.status in PARTITION_ENDS:
                    totals.count(position, event)
            elif kind == "job":
                if event.job.status in JOB_ENDS:
                    totals.count(position, event)
            elif kind == "build_request" and event.build_request.status in BUILD_ENDS:
                totals.count(position, event)
                build_ended = ended = True
            if follows_builds:
                self._advance(event, kind, ended, traces, requests, reads)
        totals.pass_by(batch.events[-1][0])
        if traces is not None:
            requests = [(TRACES, request) for request in traces.requests] + requests
        if METRICS in self._senders and (build_ended or self._clock() >= self._metrics_due):
            self._metrics_due = self._clock() + self._settings.metric_seconds
            requests.append((METRICS, totals.request(resource, self._environment)))
        return _Prepared(batch, totals.text(), requests)

    def _advance(
        self,
        event: ev.BuildEvent,
        kind: str | None,
        ended: bool,
        spans: Spans | None,
        requests: list[tuple[str, Message]],
        reads: ExportReads,
    ) -> None:
        """Adds the spans that an event completes, and the requests with the logs of their job runs."""
        build_id = event.build_request_id
        build = self._builds.get(build_id)
        if build is None or build.last_sequence != event.sequence - 1:
            build = self._builds[build_id] = self._replay(event, reads)
        if kind == "partition":
            self._remember(event.partition)
        build.advance(event, kind, spans)
        if build.ended_runs and build.trace is not None and LOGS in self._senders:
            for run in build.ended_runs:
                requests += self._log_requests(run, build.trace, build_id, reads)
        if ended or build.trace is None:  # an operation such as a taint is no build
            del self._builds[build_id]

    def _replay(self, event: ev.BuildEvent, reads: ExportReads) -> BuildTrace:
        """Returns the trace of a build before an event: earlier events are read again, as after a crash."""
        links = Links(
            producers=lambda inputs: self._producers_of(inputs, reads),
            trace_of=lambda build: self._trace_of(build, reads),
            max_links=self._settings.max_links,
        )
        build = BuildTrace(event.build_request_id, links, self._settings.max_span_events)
        while build.last_sequence < event.sequence - 1:
            limit = min(event.sequence - 1 - build.last_sequence, _PAGE)
            page = reads.events(event.build_request_id, after_sequence=build.last_sequence, limit=limit)
            if not page:  # pruned meanwhile
                break
            for earlier in page:
                kind = earlier.WhichOneof("event")
                if kind == "partition":
                    self._remember(earlier.partition)
                build.advance(earlier, kind, None)
        return build

    def _remember(self, event: ev.PartitionEvent) -> None:
        """Remembers the job run that produced data, for links."""
        # By default, the version of a partition is its job run.
        if event.status == pt.PARTITION_STATUS_AVAILABLE and event.version != event.job_run_id:
            self._producers.set((event.ref, event.version), event.job_run_id)

    def _producers_of(self, inputs: Sequence[pt.InputVersion], reads: ExportReads) -> Mapping[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        unknown = []
        for used in inputs:
            key = used.ref, used.version
            if _is_job_run(used.version):
                found[key] = used.version
            elif producer := self._producers.get(key):
                found[key] = producer
            else:
                unknown.append(used.ref)
        for ref, record in (reads.partition_records(unknown) if unknown else {}).items():
            if record.job_run_id:
                found[ref, record.version] = record.job_run_id
                self._producers.set((ref, record.version), record.job_run_id)
        return found

    def _trace_of(self, build_request_id: str, reads: ExportReads) -> TraceContext | None:
        if build_request_id not in self._traces:
            events = reads.events(build_request_id, limit=1)
            known = bool(events) and events[0].sequence == 1
            trace = trace_of_build(build_request_id, events[0].build_request.traceparent) if known else None
            self._traces.set(build_request_id, trace)
        return self._traces.get(build_request_id)

    def _log_requests(
        self, run: EndedRun, trace: TraceContext, build_request_id: str, reads: ExportReads
    ) -> list[tuple[str, Message]]:
        from databuild.exporters.otlp.log_records import MAX_LOG_BYTES, log_records, log_request

        record = reads.job_run(run.job_run_id)
        if record is None:
            return []
        records = []
        for stream in _STREAMS:
            try:
                log = self._read_log(record, stream, MAX_LOG_BYTES)
            except (OSError, StorageError):  # it is on another machine, or it was pruned
                continue
            records += log_records(run, trace, build_request_id, stream, log, self._environment)
        return [(LOGS, log_request(part, self._settings.resource)) for part in _parts(records)]


def _is_job_run(version: str) -> bool:
    build, _, rest = version.partition(".")
    task, _, attempt = rest.partition(".")
    return bool(build) and task.isdecimal() and attempt.isdecimal()


def _parts(messages: Sequence[_Message]) -> list[list[_Message]]:
    """Splits messages into parts that a request can hold."""
    parts: list[list[_Message]] = []
    size = _MAX_REQUEST_BYTES
    for message in messages:
        bytes_of_message = message.ByteSize()
        size += bytes_of_message
        if size > _MAX_REQUEST_BYTES:
            parts.append([])
            size = bytes_of_message
        parts[-1].append(message)
    return parts
