"""A program that drives an orchestrator itself may trace it with the SDK of OpenTelemetry."""

from __future__ import annotations

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from databuild.model.results import Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event, partition_available
from databuild.orchestration.events.telemetry import OpenTelemetry
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import plan_pb2
from tests.support.present import present


async def build(orchestrator: BuildOrchestrator) -> None:
    await orchestrator.start_build()
    await orchestrator.start_planning()
    task = plan_pb2.Task(task_id=1, job_label="//:j")
    task.config.outputs.add(str="p")
    await orchestrator.emit_job_graph([task])
    await orchestrator.emit_partition_scheduled("p", 1, pt.REASON_MISSING)
    await orchestrator.complete_planning()
    await orchestrator.start_execution()
    with orchestrator.with_tracing_span("databuild.job_run", job="//:j"):
        await orchestrator.emit_job_scheduled("b.1.1", 1, "//:j")
        await orchestrator.emit_job_running("b.1.1", 1, "//:j")
        await orchestrator.emit_partition_building("p", 1, "b.1.1")
        completed = job_event("b.1.1", 1, "//:j", ev.JOB_STATUS_COMPLETED)
        completed.duration_seconds = 2.0
        await orchestrator.emit(("job", completed), partition_available("p", 1, "b.1.1"))
    await orchestrator.complete_build(Success(jobs_completed=1))


async def test_spans_and_metrics_go_to_the_providers_of_the_program() -> None:
    spans, measured = InMemorySpanExporter(), InMemoryMetricReader()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(MeterProvider([measured]))

    await build(BuildOrchestrator.with_mock_event_log("b", ["p"], telemetry=OpenTelemetry()))

    [span] = spans.get_finished_spans()
    assert (span.name, span.attributes) == ("databuild.job_run", {"databuild.build_request_id": "b", "job": "//:j"})
    found = {
        metric.name: metric.data.data_points
        for resource in present(measured.get_metrics_data()).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert [dict(present(point.attributes)) for point in found["databuild.job_runs"]] == [
        {"job": "//:j", "status": "COMPLETED"}
    ]
    assert [dict(present(point.attributes)) for point in found["databuild.builds"]] == [{"status": "COMPLETED"}]
    assert [dict(present(point.attributes)) for point in found["databuild.partitions"]] == [{"status": "AVAILABLE"}]
    assert [point.sum for point in found["databuild.job_run.duration"] if isinstance(point, HistogramDataPoint)] == [
        2.0
    ]


async def test_without_telemetry_a_span_does_nothing() -> None:
    orchestrator = BuildOrchestrator.with_mock_event_log("b", ["p"])

    await build(orchestrator)

    assert orchestrator.emitted_events[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
