"""The trace of one build, computed from its events one after the other.

Each span follows from the events up to one of them, and so do its ids and times. After a crash, another process reads
the events of the build again, and sends the same spans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from databuild.exporters.otlp.attributes import Attributes, add_attributes, nanoseconds
from databuild.model import statuses
from databuild.model.enum_names import category_name, severity_name
from databuild.model.lifecycle import BUILD_ENDS, JOB_ENDS
from databuild.model.trace_context import (
    TraceContext,
    span_of_build,
    span_of_config_call,
    span_of_job_run,
    span_of_planning,
    trace_of_build,
)
from databuild.tuples import EMPTY, NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_NO_PRODUCERS: Final[Mapping[tuple[str, str], str]] = {}

_PARTITION_EVENTS: Final[Mapping[pt.PartitionStatus, str]] = {
    status: f"databuild.partition.{statuses.PARTITION.name(status).lower()}"
    for status in (pt.PARTITION_STATUS_AVAILABLE, pt.PARTITION_STATUS_FAILED, pt.PARTITION_STATUS_MISSING)
}
"""The names of events of spans by the statuses of partitions. Other statuses follow from the spans, and are many."""

_SAMPLED_WITH_KNOWN_PARENT: Final = 0x101
_PARENT_IS_REMOTE: Final = 0x200
_MAX_TEMPLATES: Final = 100
_MAX_USES: Final = 1_000
"""The number of job runs after which their template is replaced."""


class Spans(Protocol):
    """Spans of a request, or of several."""

    def add(self) -> Span:
        """Adds a span."""
        ...


class Links(NamedTuple):
    """Finds the spans of other builds.

    Attributes:
        producers: Returns the job runs that produced inputs, by ref and version; those that are unknown are absent.
        trace_of: Returns the trace of the build of a job run; None if it is unknown.
        max_links: The maximum number of links of a span.
    """

    producers: Callable[[Sequence[pt.InputVersion]], Mapping[tuple[str, str], str]]
    trace_of: Callable[[str], TraceContext | None]
    max_links: int


class EndedRun(NamedTuple):
    """A job run whose span is complete.

    Attributes:
        job_run_id: The job run.
        job_label: Its job.
        time: The time of its end, in nanoseconds since the epoch.
    """

    job_run_id: str
    job_label: str
    time: int


class _SpanEvents:
    __slots__ = ("dropped", "events", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.events: list[tuple[int, str, Attributes]] = []
        self.dropped = 0

    def add(self, time: int, name: str, attributes: Attributes) -> None:
        if len(self.events) == self.limit:
            self.dropped += 1
        else:
            self.events.append((time, name, attributes))

    def write(self, span: Span) -> None:
        """Adds the events to a span."""
        for time, name, attributes in self.events:
            event = span.events.add()
            event.time_unix_nano = time
            event.name = name
            add_attributes(event.attributes, attributes)
        if self.dropped:
            span.dropped_events_count = self.dropped


class _Run:
    __slots__ = (
        *("job_run_id", "job_label", "scheduled", "events", "started"),
        *("links", "dropped_links", "end", "ended"),
    )

    def __init__(self, job_run_id: str, job_label: str, scheduled: int, events: _SpanEvents) -> None:
        self.job_run_id = job_run_id
        self.job_label = job_label
        self.scheduled = scheduled
        self.events = events
        self.started = 0
        self.links: Sequence[Span.Link] = ()
        self.dropped_links = 0
        self.end: ev.JobEvent | None = None
        self.ended = 0


class _RunTemplate:
    """The span of job runs that differ in few values. It is filled for one after the other, and then copied.

    That takes a third of the time of a new span that is filled. protobuf keeps the memory of every value that a field
    ever had, so that a template is to be replaced now and then.

    Attributes:
        uses: The number of copies so far.
    """

    __slots__ = ("_span", "cpu_seconds", "job_run_id", "peak_memory_bytes", "task_id", "uses", "waited_seconds")

    def __init__(self, span: Span) -> None:
        """Adds the attributes that differ to a span with those that do not."""
        self.uses = 0
        self._span = span
        self.job_run_id = self._value("databuild.job_run_id")
        self.task_id = self._value("databuild.task_id")
        self.cpu_seconds = self._value("databuild.cpu_seconds")
        self.peak_memory_bytes = self._value("databuild.peak_memory_bytes")
        self.waited_seconds = self._value("databuild.waited_seconds")

    def _value(self, key: str) -> AnyValue:
        value: AnyValue = self._span.attributes.add(key=key).value
        return value

    def add_to(self, spans: Spans | None, span_id: str, start: int, end: int) -> Span:
        """Adds a copy to spans."""
        self.uses += 1
        self._span.span_id = bytes.fromhex(span_id)
        self._span.start_time_unix_nano = start
        self._span.end_time_unix_nano = max(start, end)
        span = spans.add() if spans is not None else Span()
        span.MergeFrom(self._span)
        return span


class BuildTrace:
    """The spans of a build.

    Attributes:
        last_sequence: The sequence number of the last event.
        trace: The ids of the trace; None before the first event, and if the events are no build.
        ended_runs: The job runs whose spans the last event has completed.
    """

    def __init__(self, build_request_id: str, links: Links, max_span_events: int) -> None:
        self.last_sequence = 0
        self.trace: TraceContext | None = None
        self.ended_runs: list[EndedRun] = []
        self._build = build_request_id
        self._span_of_build = span_of_build(build_request_id)
        self._environment = ""
        self._links = links
        self._max_span_events = max_span_events
        self._events = _SpanEvents(max_span_events)
        self._request = ev.BuildRequestEvent()
        self._received = 0
        self._planning = 0
        self._config_calls = 0
        self._runs: dict[str, _Run] = {}
        self._closing: _Run | None = None
        self._templates: dict[tuple[str, ev.JobStatus, int, int], _RunTemplate] = {}

    def advance(self, event: ev.BuildEvent, kind: str | None, spans: Spans | None) -> None:
        """Advances by the next event.

        Args:
            event: The event.
            kind: Its kind, as `WhichOneof` returns it.
            spans: Gets the spans that the event completes; None if they are not needed.
        """
        self.last_sequence = sequence = event.sequence
        if self.ended_runs:
            self.ended_runs = []
        if sequence == 1 and kind == "build_request":
            self._receive(event.build_request, nanoseconds(event.time))
        if self.trace is None:
            return
        if not self.trace.sampled:
            spans = None
        if kind == "partition":
            self._on_partition(event.partition, event.time, spans)
            return
        time = nanoseconds(event.time)
        if self._closing is not None:
            self._close_run(self._closing, spans)
        if kind == "build_request":
            self._on_build(event.build_request, time, spans)
        elif kind == "job":
            self._on_job(event.job, time)
        elif kind == "check":
            self._on_check(event.check, time)
        elif kind == "placement":
            self._on_placement(event.placement, time)
        elif kind == "delegation":
            attributes: Attributes = {
                "databuild.build_request_id": event.delegation.delegated_to_build_request_id,
                "databuild.job": event.delegation.job_label,
                "databuild.partitions": len(event.delegation.partitions),
            }
            self._events.add(time, "databuild.delegation", attributes)

    def _receive(self, received: ev.BuildRequestEvent, time: int) -> None:
        self.trace = trace_of_build(self._build, received.traceparent)
        self._received = time
        self._environment = received.environment
        # The refs may be many; only their number is needed.
        self._request = ev.BuildRequestEvent(
            graph_label=received.graph_label,
            retry_of_build_request_id=received.retry_of_build_request_id,
            jobs_completed=len(received.requested),
        )

    def _on_build(self, event: ev.BuildRequestEvent, time: int, spans: Spans | None) -> None:
        name = statuses.BUILD.name(event.status)
        ended = event.status in BUILD_ENDS
        fault = (event.failure.message or event.error.message) if name == "FAILED" else None
        if not ended:
            self._events.add(time, f"databuild.build.{name.lower()}", {})
        if event.status == ev.BUILD_STATUS_PLANNING:
            self._planning = time
        planned = event.status == ev.BUILD_STATUS_ANALYSIS_COMPLETED
        planning = self._planning
        if planning and (planned or ended):
            self._add_span(spans, span_of_planning(self._build), "planning", planning, time, fault=fault)
            self._planning = 0
        parent = span_of_planning(self._build) if planning else self._span_of_build
        for call in event.config_calls:
            self._add_config_span(spans, call, parent)
        for warning in event.warnings if ended else ():
            self._events.add(time, "databuild.warning", {"databuild.message": warning})
        if ended:
            self._add_build_span(spans, event, name, time, fault)

    def _add_build_span(
        self, spans: Spans | None, event: ev.BuildRequestEvent, name: str, time: int, fault: str | None
    ) -> None:
        assert self.trace is not None
        request = self._request
        span = self._add_span(
            spans,
            self._span_of_build,
            f"build {request.graph_label}",
            self._received,
            time,
            attributes={
                "databuild.graph": request.graph_label,
                "databuild.status": name,
                "databuild.requested": request.jobs_completed,
                "databuild.retry_of": request.retry_of_build_request_id,
                "databuild.jobs_completed": event.jobs_completed,
                "databuild.jobs_failed": event.jobs_failed,
                "databuild.failure_category": _category(event),
                "databuild.cancelled_by": event.cancelled_by,
            },
            fault=fault,
            parent=self.trace.parent_span_id,
        )
        self._events.write(span)
        if self.trace.parent_span_id:
            span.flags |= _PARENT_IS_REMOTE

    def _add_config_span(self, spans: Spans | None, call: ev.ConfigCall, parent: str) -> None:
        self._config_calls += 1
        began = nanoseconds(call.time)
        self._add_span(
            spans,
            span_of_config_call(self._build, self._config_calls),
            f"config {call.job_label}",
            began,
            began + int(call.duration_seconds * 1e9),
            attributes={"databuild.job": call.job_label, "databuild.refs": call.refs},
            fault=call.fault or None,
            parent=parent,
        )

    def _on_job(self, event: ev.JobEvent, time: int) -> None:
        job_run_id = event.job_run_id
        status = event.status
        run = self._runs.get(job_run_id)
        if status == ev.JOB_STATUS_SCHEDULED:
            events = _SpanEvents(self._max_span_events)
            self._runs[job_run_id] = _Run(job_run_id, event.job_label, time, events)
        elif status == ev.JOB_STATUS_RUNNING and run is not None:
            run.started = time
            if inputs := event.manifest.inputs:
                self._link(run, inputs)
        elif status in JOB_ENDS:
            if run is not None and (run.started or status == ev.JOB_STATUS_FAILED):
                run.end, run.ended = event, time
                self._closing = run
            else:
                attributes: Attributes = {
                    "databuild.job": event.job_label or (run.job_label if run else ""),
                    "databuild.job_run_id": job_run_id,
                    "databuild.message": event.failure.message,
                }
                name = statuses.JOB.name(status).lower()
                self._events.add(time, f"databuild.job_run.{name}", attributes)
                self._runs.pop(job_run_id, None)

    def _link(self, run: _Run, inputs: Sequence[pt.InputVersion]) -> None:
        with_data = [used for used in inputs if used.version]
        wanted = with_data[: self._links.max_links]
        run.dropped_links = len(with_data) - len(wanted)
        producers = self._links.producers(wanted) if wanted else _NO_PRODUCERS
        refs: dict[str, list[str]] = {}
        for used in wanted:
            if producer := producers.get((used.ref, used.version)):
                refs.setdefault(producer, []).append(used.ref)
        links = []
        for producer, made in refs.items():
            build = producer.rsplit(".", 2)[0]
            trace = self.trace if build == self._build else self._links.trace_of(build)
            if trace is not None:
                attributes: Attributes = {"databuild.job_run_id": producer, "databuild.partitions": len(made)}
                link = Span.Link(
                    trace_id=bytes.fromhex(trace.trace_id), span_id=bytes.fromhex(span_of_job_run(producer))
                )
                add_attributes(link.attributes, {**attributes, "databuild.partition": made[0]})
                links.append(link)
        run.links = links

    def _on_partition(self, event: ev.PartitionEvent, at: Timestamp, spans: Spans | None) -> None:
        # The events about the outputs of a job run follow its end.
        closing = self._closing
        if closing is not None and event.job_run_id != closing.job_run_id:
            self._close_run(closing, spans)
        if (status := event.status) not in _PARTITION_EVENTS:
            return
        run = self._runs.get(event.job_run_id or event.cause)
        name = _PARTITION_EVENTS[status]
        time = nanoseconds(at)
        attributes: Attributes = {"databuild.partition": event.ref, "databuild.message": event.failure.message}
        if run is not None:
            # By default, the version is the job run.
            version = event.version if event.version != run.job_run_id else ""
            run.events.add(time, name, {**attributes, "databuild.version": version})
        elif status == pt.PARTITION_STATUS_MISSING:
            self._events.add(time, name, attributes)

    def _on_check(self, event: ev.CheckEvent, time: int) -> None:
        if run := self._runs.get(event.job_run_id):
            result = event.result
            attributes: Attributes = {
                "databuild.check": result.name,
                "databuild.passed": result.passed,
                "databuild.severity": severity_name(result.severity),
                "databuild.partition": result.ref,
                "databuild.message": result.message,
            }
            run.events.add(time, "databuild.check", attributes)

    def _on_placement(self, event: ev.PlacementEvent, time: int) -> None:
        if run := self._runs.get(event.job_run_id):
            name = "databuild.machine" if event.started else "databuild.executor"
            attributes: Attributes = {
                name: event.machine if event.started else event.executor,
                "databuild.queued_seconds": event.queued_seconds,
            }
            run.events.add(time, f"databuild.{'started' if event.started else 'accepted'}", attributes)

    def _close_run(self, run: _Run, spans: Spans | None) -> None:
        self._closing = None
        del self._runs[run.job_run_id]
        end = run.end
        assert end is not None
        if run.started:
            self.ended_runs.append(EndedRun(run.job_run_id, run.job_label, run.ended))
        template = self._template_of(run.job_label, end)
        template.job_run_id.string_value = run.job_run_id
        template.task_id.int_value = end.task_id
        template.cpu_seconds.double_value = end.cpu_seconds
        template.peak_memory_bytes.int_value = end.peak_memory_bytes
        template.waited_seconds.double_value = ((run.started or run.ended) - run.scheduled) / 1e9
        span = template.add_to(spans, span_of_job_run(run.job_run_id), run.started or run.scheduled, run.ended)
        add_attributes(
            span.attributes, {"databuild.worker_id": end.worker_id, "databuild.failure_category": _category(end)}
        )
        for metric in end.metrics:
            add_attributes(span.attributes, {f"databuild.metric.{metric.name}": metric.value})
        run.events.write(span)
        if run.links:
            span.links.extend(run.links)
        if run.dropped_links:
            span.dropped_links_count = run.dropped_links
        if end.status == ev.JOB_STATUS_FAILED:
            _set_error(span, end.failure.message)

    def _template_of(self, job_label: str, end: ev.JobEvent) -> _RunTemplate:
        key = job_label, end.status, end.attempt, end.exit_code
        template = self._templates.get(key)
        if template is None or template.uses == _MAX_USES:
            if len(self._templates) == _MAX_TEMPLATES:
                self._templates.clear()
            attributes: Attributes = {
                "databuild.job": job_label,
                "databuild.attempt": end.attempt,
                "databuild.status": statuses.JOB.name(end.status),
                "databuild.exit_code": end.exit_code,
            }
            name = f"run {job_label}"
            span = self._add_span(None, "", name, 0, 0, attributes=attributes)
            template = self._templates[key] = _RunTemplate(span)
        return template

    def _add_span(
        self,
        spans: Spans | None,
        span_id: str,
        name: str,
        start: int,
        end: int,
        *,
        attributes: Attributes = EMPTY,
        fault: str | None = None,
        parent: str | None = None,
    ) -> Span:
        """Adds a span.

        Args:
            spans: The spans to which it is added; None for none.
            span_id: Its id.
            name: Its name.
            start: Its start.
            end: Its end; if it is earlier, the start is the end.
            attributes: Its attributes beside those of every span.
            fault: The message of its error; None for no error.
            parent: The parent; None for the span of the build, empty for none.
        """
        assert self.trace is not None
        span = spans.add() if spans is not None else Span()
        span.trace_id = bytes.fromhex(self.trace.trace_id)
        span.span_id = bytes.fromhex(span_id)
        span.parent_span_id = bytes.fromhex(self._span_of_build if parent is None else parent)
        span.name = name
        span.kind = Span.SPAN_KIND_INTERNAL
        span.start_time_unix_nano = start
        span.end_time_unix_nano = max(start, end)
        span.flags = _SAMPLED_WITH_KNOWN_PARENT
        every = {"databuild.build_request_id": self._build, "databuild.environment": self._environment}
        add_attributes(span.attributes, {**every, **attributes})
        if fault is not None:
            _set_error(span, fault)
        return span


def _category(event: ev.BuildRequestEvent | ev.JobEvent) -> str:
    return category_name(event.failure.category) if event.HasField("failure") else ""


def _set_error(span: Span, message: str) -> None:
    span.status.code = Status.STATUS_CODE_ERROR
    span.status.message = message
