"""The exporter to OpenTelemetry continues after faults, and computes the same spans after a crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.event_log.reads import Reader
from databuild.exporters.exporter import Batch, Delivery, ReceiverError
from databuild.exporters.otlp.exporter import OtlpExporter
from databuild.exporters.otlp.settings import settings_from
from databuild.model.results import Failed, Success
from databuild.model.trace_context import span_of_job_run, trace_of_build
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event, partition_available
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2
from tests.support.otlp_receiver import values


class FakeSender:
    """Keeps requests, and raises or returns the next of `answers`."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.seconds: list[float] = []
        self.answers: list[ReceiverError | str] = []

    def send(self, request: Any, seconds: float) -> str:
        answer = self.answers.pop(0) if self.answers else ""
        if isinstance(answer, ReceiverError):
            raise answer
        self.requests.append(request)
        self.seconds.append(seconds)
        return answer

    def close(self) -> None:
        pass

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class World:
    """An exporter, its senders, and a clock that tests move."""

    def __init__(self, **variables: str) -> None:
        self.traces, self.metrics = FakeSender(), FakeSender()
        self.now = 100.0
        senders: Mapping[str, FakeSender] = {"traces": self.traces, "metrics": self.metrics}
        self.exporter = OtlpExporter(
            "otlp:h", settings_from(variables), senders, read_log=lambda *_: b"", clock=lambda: self.now
        )

    def send(self, reader: Reader, *, after: int = 0, limit: int = 1000, state: str = "") -> Delivery:
        events = list(reader.all_events(after_position=after, limit=limit))
        return self.exporter.send(Batch(events, state), reader)


async def log_with_build() -> EventLog:
    """Returns a log with one build of one job run."""
    log = open_event_log("memory:")
    await add_build(log, "b")
    return log


async def add_build(log: EventLog, build: str, inputs: Sequence[tuple[str, str]] = ()) -> None:
    orchestrator = BuildOrchestrator(log, build, ["p"], clock=iter(range(1000, 2000)).__next__)
    await orchestrator.start_build(graph_label="//:g")
    await orchestrator.start_planning()
    task = plan_pb2.Task(task_id=1, job_label="//:j")
    task.config.outputs.add(str="p")
    await orchestrator.emit_job_graph([task])
    await orchestrator.emit_partition_scheduled("p", 1, pt.REASON_MISSING)
    call = ev.ConfigCall(job_label="//:j", refs=1, duration_seconds=0.5)
    call.time.FromSeconds(1002)
    await orchestrator.complete_planning((), [call])
    await orchestrator.start_execution()
    run = f"{build}.1.1"
    await orchestrator.emit_job_scheduled(run, 1, "//:j")
    running = job_event(run, 1, "//:j", ev.JOB_STATUS_RUNNING)
    for ref, version in inputs:
        running.manifest.inputs.add(ref=ref, version=version)
    await orchestrator.emit(("job", running))
    await orchestrator.emit_partition_building("p", 1, run)
    completed = job_event(run, 1, "//:j", ev.JOB_STATUS_COMPLETED)
    await orchestrator.emit(("job", completed), partition_available("p", 1, run, "digest"))
    await orchestrator.complete_build(Success(jobs_completed=1))


async def test_a_fault_in_the_middle_of_a_batch_repeats_only_what_has_no_answer() -> None:
    log = await log_with_build()
    world = World()
    world.metrics.answers = [ReceiverError("away")]

    with pytest.raises(ReceiverError):
        world.send(log.reader(), limit=100)
    delivery = world.send(log.reader())

    assert delivery.handled == len(list(log.reader().all_events()))
    assert (len(world.traces.requests), len(world.metrics.requests)) == (1, 1)
    await log.close()


async def test_every_way_to_cut_the_events_gives_the_same_spans_also_in_another_process() -> None:
    log = await log_with_build()
    reader = log.reader()
    whole = World()
    whole.send(reader)
    events = list(reader.all_events())
    assert sorted(span.name for span in whole.traces.spans) == [
        "build //:g",
        "config //:j",
        "planning",
        "run //:j",
    ]

    for cut in range(1, len(events)):
        first, second = World(), World()
        state = first.send(reader, limit=cut).state
        second.send(reader, after=events[cut - 1][0], state=state)

        assert [*first.traces.spans, *second.traces.spans] == whole.traces.spans
        assert second.metrics.requests[-1] == whole.metrics.requests[-1]
    await log.close()


@pytest.mark.parametrize("whole", [True, False], ids=["learned from events", "read from records"])
async def test_links_lead_to_the_job_runs_that_made_the_inputs(whole: bool) -> None:
    log = await log_with_build()
    [*_, (end, _)] = log.reader().all_events()
    used = [("p", "digest"), ("made", "b.7.1"), ("outside", "unknown"), ("pruned", "gone.1.1"), ("absent", "")]
    await add_build(log, "c", used)
    world = World()
    if whole:
        world.send(log.reader(), limit=end)
    # In a log with further builds, the record of p is that of the newest. Its version is the same here.
    world.send(log.reader(), after=end)

    [*_, run] = [span for span in world.traces.spans if span.name == "run //:j"]
    producer = "b.1.1" if whole else "c.1.1"
    assert [link.span_id.hex() for link in run.links] == [span_of_job_run(producer), span_of_job_run("b.7.1")]
    assert {link.trace_id.hex() for link in run.links} <= {trace_of_build(build, "").trace_id for build in "bc"}
    await log.close()


async def test_refusals_are_returned_and_a_slow_receiver_gets_the_rest_later() -> None:
    log = await log_with_build()
    world = World(OTEL_EXPORTER_OTLP_TIMEOUT="3000")
    world.traces.answers = ["status 400"]
    world.send(log.reader())
    assert world.traces.seconds == [3.0]

    slow = World()
    slow.traces.answers = ["status 400"]
    sent = slow.traces.send

    def send(request: Any, seconds: float) -> str:
        slow.now += 17.5
        return sent(request, seconds)

    slow.traces.send = send  # type: ignore[method-assign]
    with pytest.raises(ReceiverError, match="too slowly"):
        slow.send(log.reader())
    delivery = slow.send(log.reader())
    assert (delivery.refusals, len(slow.traces.requests), len(slow.metrics.requests)) == (["status 400"], 1, 1)
    await log.close()


async def test_metrics_are_sent_at_ends_of_builds_and_at_intervals() -> None:
    log = await log_with_build()
    world = World()
    half = world.send(log.reader(), limit=8)
    assert not world.metrics.requests
    world.now += 60
    world.send(log.reader(), limit=8, state=half.state)
    assert len(world.metrics.requests) == 1
    world.send(log.reader(), after=8, state=half.state)
    assert len(world.metrics.requests) == 2
    await log.close()


async def test_the_span_of_a_job_run_has_nothing_of_other_job_runs() -> None:
    log = open_event_log("memory:")
    build = BuildOrchestrator(log, "b", ["p", "q"], clock=iter(range(1000, 2000)).__next__)
    build.start_build(graph_label="//:g")
    build.start_planning()
    for task, ref in enumerate("pqr", 1):
        build.emit_partition_scheduled(ref, task, pt.REASON_MISSING)
    build.complete_planning()
    await build.start_execution()
    one, two = (job_event(f"b.{task}.1", task, "//:j", ev.JOB_STATUS_COMPLETED) for task in (1, 2))
    one.worker_id = "w"
    one.metrics.add(name="rows", value=7)
    failed = job_event("b.3.1", 3, "//:j", ev.JOB_STATUS_FAILED)
    failed.failure.message, failed.exit_code = "no", 3
    ends = (one, two, failed)
    for end in ends:
        build.emit_job_scheduled(end.job_run_id, end.task_id, "//:j")
        build.emit_job_running(end.job_run_id, end.task_id, "//:j")
        end.cpu_seconds = end.task_id / 10
        await build.emit(("job", end))
    await build.complete_build(Failed(jobs_completed=2, jobs_failed=1, message="no"))
    world = World()
    world.send(log.reader())

    runs = [span for span in world.traces.spans if span.name == "run //:j"]
    assert [span.span_id.hex() for span in runs] == [span_of_job_run(end.job_run_id) for end in ends]
    assert [span.status.message for span in runs] == ["", "", "no"]
    attributes = [values(span.attributes) for span in runs]
    assert [(found["databuild.task_id"], found["databuild.cpu_seconds"]) for found in attributes] == [
        (1, 0.1),
        (2, 0.2),
        (3, 0.3),
    ]
    assert [found["databuild.exit_code"] for found in attributes] == [0, 0, 3]
    extra = {"databuild.worker_id", "databuild.metric.rows"}
    assert [extra & found.keys() for found in attributes] == [extra, set(), set()]
    assert len({span.start_time_unix_nano for span in runs}) == 3
    await log.close()


async def test_many_large_spans_are_sent_in_several_requests() -> None:
    log = open_event_log("memory:")
    build = BuildOrchestrator(log, "b", ["p"], clock=iter(range(1000, 2000)).__next__)
    build.start_build(graph_label="//:g")
    await build.start_planning()
    calls = [ev.ConfigCall(job_label="//:j", refs=1, fault="x" * 1_000_000) for _ in range(5)]
    await build.complete_planning((), calls)
    world = World()
    world.send(log.reader())

    assert [span.name for span in world.traces.spans] == ["planning", *["config //:j"] * 5]
    sizes = [request.ByteSize() for request in world.traces.requests]
    assert len(sizes) == 2
    assert max(sizes) < 4 * 1024 * 1024
    await log.close()


async def test_operations_that_are_no_builds_are_left_out() -> None:
    log = open_event_log("memory:")
    taint = ev.BuildEvent(event_id="t/1", build_request_id="t", sequence=1, taint=ev.TaintEvent(author="ann"))
    await log.append([taint])
    world = World()

    assert world.send(log.reader()).handled == 1

    assert not world.traces.requests
    await log.close()
